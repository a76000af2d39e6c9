//! A syslog message, as RFC 5424 §6 has it.
//!
//! ```text
//! <132>1 2026-11-30T06:14:44.123456Z fw1.example ringwall 4711 attack-start [ringwall@32473 node="fw1"
//!  kind="syn-flood" …][meta sequenceId="7"] BOM attack-start kind=syn-flood …
//! ```

use core::fmt::Write as _;
use std::time::{Duration, SystemTime};

use config::Syslog;

use super::line::Line;
use crate::limits::{SYSLOG_MESSAGE_BYTES, SYSLOG_VALUE_BYTES};
use crate::table::date;

/// Who sends messages: the same in all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender {
    /// The machine's name.
    pub(super) host: String,
    pub(super) process: u32,
    /// The node's name.
    pub(super) node: String,
}

const APP_NAME: &str = "ringwall";
const NIL: &str = "-";
/// What says that the text is UTF-8 (RFC 5424 §6.4).
const BOM: &str = "\u{feff}";
/// Sequence numbers begin again behind it (RFC 5424 §7.3.1).
const SEQUENCE_MAX: u32 = 2_147_483_647;

/// Characters that the parts of the header have at most (RFC 5424 §6).
const HOST_MAX: usize = 255;
const EVENT_MAX: usize = 32;
/// Characters of the name of a parameter.
const NAME_MAX: usize = 32;

impl Sender {
    /// This process.
    pub(super) fn here(node: &str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self { host: host.trim().to_owned(), process: std::process::id(), node: node.to_owned() }
    }

    /// The message that tells a receiver of a line: of [`SYSLOG_MESSAGE_BYTES`] at most. What has no room is
    /// left out: first the end of the text, then whole parameters.
    pub(super) fn message(
        &self,
        line: &Line,
        to: &Syslog,
        at: SystemTime,
        sequence: u32,
    ) -> String {
        let priority = u16::from(to.facility.number()) * 8 + line.severity as u16;
        let (time, host) = (timestamp(at), header(&self.host, HOST_MAX));
        let event = header(line.event.as_deref().unwrap_or_default(), EVENT_MAX);
        let process = self.process;
        let mut message = format!("<{priority}>1 {time} {host} {APP_NAME} {process} {event} ");
        let meta = format!("[meta sequenceId=\"{}\"]", sequence % SEQUENCE_MAX + 1);
        let room = SYSLOG_MESSAGE_BYTES - meta.len();
        // Writing into a string does not fail.
        let _ = write!(message, "[{APP_NAME}@{}", to.enterprise);
        let node = core::iter::once(("node", self.node.as_str()));
        let fields = line.fields.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in node.chain(fields) {
            let parameter = format!(" {}=\"{}\"", parameter_name(name), parameter_value(value));
            if message.len() + parameter.len() < room {
                message.push_str(&parameter);
            }
        }
        message.push(']');
        message.push_str(&meta);
        let room = SYSLOG_MESSAGE_BYTES.saturating_sub(message.len() + 1 + BOM.len());
        let text = within(&printable(&line.text()), room).to_owned();
        if !text.is_empty() {
            message.push(' ');
            message.push_str(BOM);
            message.push_str(&text);
        }
        message
    }
}

/// RFC 3339 in UTC, with microseconds (RFC 5424 §6.2.3).
pub(super) fn timestamp(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let [hour, minute, second] = [second / 3_600, second / 60 % 60, second % 60];
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// A part of the header: printable ASCII without spaces, or the sign for nothing.
fn header(text: &str, most: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if kept.is_empty() { NIL.to_owned() } else { kept }
}

/// SD-NAME of RFC 5424 §6.3.3; ours are good ones, a library's may be anything.
fn parameter_name(name: &str) -> String {
    let good = |it: &char| it.is_ascii_graphic() && !"=]\"".contains(*it);
    let kept: String = name.chars().filter(good).take(NAME_MAX).collect();
    if kept.is_empty() { "_".to_owned() } else { kept }
}

/// PARAM-VALUE: `"`, `\` and `]` behind a backslash.
fn parameter_value(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in within(&printable(value), SYSLOG_VALUE_BYTES).chars() {
        if matches!(character, '"' | '\\' | ']') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A line stays one, and does nothing to the terminal on which it is read.
fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}

/// The beginning of a text, in so many bytes.
fn within(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
