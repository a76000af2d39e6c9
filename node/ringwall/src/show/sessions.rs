//! `show sessions`.

use std::net::IpAddr;

use config::api::{self, Session, SessionsPage, Translated};

use super::Page;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, duration, or_none};

pub(super) fn run(page: &Page, out: &mut Out<'_>) -> Result<(), Failure> {
    let answer: SessionsPage = page.daemon.client()?.post(api::SESSIONS, &page.request())?;
    if out.json() {
        return Ok(out.value(&answer)?);
    }
    table(&answer.sessions).print("no sessions", out)?;
    out.line(format!("{} shown, {} in the table", answer.sessions.len(), answer.total))?;
    if let Some(cursor) = answer.cursor {
        out.line(format!("there are more: --cursor {cursor}"))?;
    }
    Ok(())
}

/// The columns of [`row`].
const HEADING: [&str; 12] = [
    "ID",
    "PROTO",
    "SOURCE",
    "DESTINATION",
    "AS",
    "FROM",
    "TO",
    "STATE",
    "RULE",
    "PACKETS",
    "IDLE",
    "LEFT",
];

/// Sessions, each in a row. How they are translated is a column only if one of them is.
pub(super) fn table(sessions: &[Session]) -> Table {
    let translated = sessions.iter().any(|session| session.translated.is_some());
    let shown = |name: &str| translated || name != "AS";
    let heading: Vec<&str> = HEADING.into_iter().filter(|name| shown(name)).collect();
    let mut table = Table::new(&heading);
    for session in sessions {
        let cells = HEADING.into_iter().zip(row(session)).filter(|(name, _)| shown(name));
        table.row(cells.map(|(_, cell)| cell));
    }
    table
}

fn row(session: &Session) -> [String; 12] {
    [
        session.id.clone(),
        session.protocol.to_string(),
        end(session.source, session.source_port),
        end(session.destination, session.destination_port),
        session.translated.as_ref().map(beyond).unwrap_or_default(),
        or_none(session.from.as_deref()),
        or_none(session.to.as_deref()),
        session.state.clone(),
        or_none(session.rule.as_deref()),
        format!("{}/{}", session.forward.packets, session.reverse.packets),
        duration(session.idle_milliseconds),
        duration(session.expires_milliseconds),
    ]
}

/// The ends of a session as its responder sees them.
fn beyond(it: &Translated) -> String {
    let source = end(it.source, it.source_port);
    format!("{source} → {}", end(it.destination, it.destination_port))
}

/// Address and port as they are usually written; no port where there is none.
fn end(address: IpAddr, port: u16) -> String {
    match (address, port) {
        (address, 0) => address.to_string(),
        (IpAddr::V4(address), port) => format!("{address}:{port}"),
        (IpAddr::V6(address), port) => format!("[{address}]:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::table;
    use crate::out::Out;
    use config::api::{Protocol, Session, Traffic, Translated};

    fn session(translated: Option<Translated>) -> Session {
        Session {
            id: "1.1.1".to_owned(),
            conversation: "1.1.1".to_owned(),
            worker: 0,
            domain: 0,
            protocol: Protocol(6),
            source: [10, 0, 0, 5].into(),
            source_port: 1_234,
            destination: [203, 0, 113, 7].into(),
            destination_port: 80,
            from: Some("trust".to_owned()),
            to: Some("untrust".to_owned()),
            from_port: None,
            to_port: None,
            state: "established".to_owned(),
            rule: Some("out".to_owned()),
            epoch: Some(1),
            revision: Some(1),
            forward: Traffic::default(),
            reverse: Traffic::default(),
            age_milliseconds: 1,
            idle_milliseconds: 1,
            expires_milliseconds: 1,
            close_reason: None,
            translated,
        }
    }

    fn shown(sessions: &[Session]) -> String {
        let mut bytes = Vec::new();
        table(sessions).print("no sessions", &mut Out::to(&mut bytes, false)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_is_translated_is_shown_both_ways() {
        let plain = shown(&[session(None)]);
        assert!(!plain.contains("  AS  "), "{plain}");
        let translated = Translated {
            source: "2001:db8::1".parse().unwrap(),
            source_port: 2_051,
            destination: [203, 0, 113, 7].into(),
            destination_port: 8_080,
            source_rule: None,
            destination_rule: None,
        };
        let both = shown(&[session(Some(translated)), session(None)]);
        let lines: Vec<_> = both.lines().collect();
        assert!(lines[0].contains("  DESTINATION     AS  "), "{both}");
        let ends = "10.0.0.5:1234  203.0.113.7:80  [2001:db8::1]:2051 → 203.0.113.7:8080  trust";
        assert!(lines[1].contains(ends), "{both}");
        assert!(lines[2].contains("203.0.113.7:80  -  "), "{both}");
    }
}
