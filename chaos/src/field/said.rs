//! What a node says in its log (JSON lines), by its own clock.

use std::io;
use std::path::Path;

use serde_json::Value;

use super::log::Nanos;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) at: Nanos,
    pub(crate) level: String,
    pub(crate) message: String,
    /// The other fields.
    pub(crate) more: Value,
}

impl Said {
    /// `active term 4`, if the line tells of another role.
    pub(crate) fn role(&self) -> Option<String> {
        let field = |name| self.more.get(name).map(plain);
        let is_role = self.message == "the role of this node changed";
        is_role.then(|| {
            format!(
                "{} term {}",
                field("to").unwrap_or_default(),
                field("term").unwrap_or_default()
            )
        })
    }
}

/// The lines of a log since `since`.
pub(crate) fn said(path: &Path, since: Nanos) -> io::Result<Vec<Said>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    Ok(text.lines().filter_map(parse).filter(|line| line.at >= since).collect())
}

fn parse(line: &str) -> Option<Said> {
    let more: Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| Some(more.get(name)?.as_str()?.to_owned());
    let at = nanos(&field("timestamp")?)?;
    Some(Said { at, level: field("level")?, message: field("message").unwrap_or_default(), more })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// An RFC 3339 time in UTC, as the daemon writes it.
fn nanos(text: &str) -> Option<Nanos> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let fraction: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(u64::try_from(seconds).ok()? * 1_000_000_000 + fraction)
}

/// Days since 1970-01-01, in the Gregorian calendar: years begin in March, so that leap days end them.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(nanos("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(nanos("2000-02-29T12:00:00.5Z"), Some(951_825_600_500_000_000));
        assert_eq!(nanos("2026-11-29T02:12:37.123456Z"), Some(1_795_918_357_123_456_000));
        assert_eq!(nanos("yesterday"), None);
    }

    #[test]
    fn a_role_is_read() {
        let line = r#"{"timestamp":"2026-11-29T02:12:37.1Z","level":"INFO",
            "message":"the role of this node changed","from":"standby","to":"active","term":"4"}"#;
        let said = parse(&line.replace('\n', "")).expect("a line");
        assert_eq!(said.role().as_deref(), Some("active term 4"));
        assert_eq!(parse("panicked at …"), None);
    }
}
