//! `show sessions`.

use std::net::IpAddr;

use config::api::{self, Session, SessionsPage};

use super::Page;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, duration, or_none};

pub(super) fn run(page: &Page, out: &mut Out<'_>) -> Result<(), Failure> {
    let answer: SessionsPage = page.daemon.client()?.post(api::SESSIONS, &page.request())?;
    if out.json() {
        return Ok(out.value(&answer)?);
    }
    let mut table = Table::new(&HEADING);
    answer.sessions.iter().for_each(|session| table.row(row(session)));
    table.print("no sessions", out)?;
    out.line(format!("{} shown, {} in the table", answer.sessions.len(), answer.total))?;
    if let Some(cursor) = answer.cursor {
        out.line(format!("there are more: --cursor {cursor}"))?;
    }
    Ok(())
}

/// The columns of [`row`].
pub(super) const HEADING: [&str; 11] = [
    "ID",
    "PROTO",
    "SOURCE",
    "DESTINATION",
    "FROM",
    "TO",
    "STATE",
    "RULE",
    "PACKETS",
    "IDLE",
    "LEFT",
];

pub(super) fn row(session: &Session) -> [String; 11] {
    [
        session.id.clone(),
        session.protocol.to_string(),
        end(session.source, session.source_port),
        end(session.destination, session.destination_port),
        or_none(session.from.as_deref()),
        or_none(session.to.as_deref()),
        session.state.clone(),
        or_none(session.rule.as_deref()),
        format!("{}/{}", session.forward.packets, session.reverse.packets),
        duration(session.idle_milliseconds),
        duration(session.expires_milliseconds),
    ]
}

/// Address and port as they are usually written; no port where there is none.
fn end(address: IpAddr, port: u16) -> String {
    match (address, port) {
        (address, 0) => address.to_string(),
        (IpAddr::V4(address), port) => format!("{address}:{port}"),
        (IpAddr::V6(address), port) => format!("[{address}]:{port}"),
    }
}
