//! `[[syslog]]` of the node file: receivers of events.

use super::fields::{self, Fields};
use super::paths;
use super::reader::{Reader, Value, quoted};
use crate::limits::{ENTERPRISE_DEFAULT, SYSLOG_MAX};
use crate::{EventClass, Facility, Receiver, Syslog};

const KEYS: [&str; 4] = ["to", "facility", "events", "enterprise"];
const FACILITIES: [(&str, Facility); 11] = [
    ("daemon", Facility::Daemon),
    ("auth", Facility::Auth),
    ("authpriv", Facility::Authpriv),
    ("local0", Facility::Local0),
    ("local1", Facility::Local1),
    ("local2", Facility::Local2),
    ("local3", Facility::Local3),
    ("local4", Facility::Local4),
    ("local5", Facility::Local5),
    ("local6", Facility::Local6),
    ("local7", Facility::Local7),
];
const CLASSES: [(&str, EventClass); 4] = [
    ("attacks", EventClass::Attacks),
    ("sessions", EventClass::Sessions),
    ("policy", EventClass::Policy),
    ("node", EventClass::Node),
];
/// Without `events`: sessions are many, and have to be asked for.
const CLASSES_DEFAULT: [EventClass; 3] =
    [EventClass::Attacks, EventClass::Policy, EventClass::Node];
const EXAMPLES: &str = "\"udp:192.0.2.9:514\", \"tcp:[2001:db8::9]:601\" or \"unix:/dev/log\"";

/// The receivers, each once.
pub(super) fn receivers(reader: &mut Reader<'_>, document: &Fields<'_, '_>) -> Vec<Syslog> {
    let sections = document.tables(reader, "syslog");
    if let Some(first) = sections.get(SYSLOG_MAX) {
        let message = format!("{} receivers, the limit is {SYSLOG_MAX}", sections.len());
        let hint = "have one of them pass events on to the others";
        reader.error_hint(&first.span(), message, hint);
        return Vec::new();
    }
    let mut all: Vec<Syslog> = Vec::new();
    for section in sections {
        let Some(fields) = Fields::new(reader, section, "[[syslog]]", &KEYS) else { continue };
        let Some(value) = fields.required(reader, "to") else { continue };
        let Some(to) = receiver(reader, value) else { continue };
        if all.iter().any(|known| known.to == to) {
            reader.error(&value.span(), format!("`{to}` is a receiver already"));
        }
        let facility = fields.choice(reader, "facility", &FACILITIES).unwrap_or_default();
        let events = fields.get("events").map(|value| classes(reader, value));
        let events = events.unwrap_or_else(|| CLASSES_DEFAULT.to_vec());
        let enterprise = fields.integer(reader, "enterprise", 1..=u32::MAX);
        let enterprise = enterprise.unwrap_or(ENTERPRISE_DEFAULT);
        all.push(Syslog { to, facility, events, enterprise });
    }
    all
}

fn receiver(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Receiver> {
    let text = fields::string(reader, value)?;
    let parsed = match text.split_once(':') {
        Some(("unix", path)) => {
            return paths::socket_at(reader, path, "to", &value.span()).map(Receiver::Unix);
        }
        Some(("udp", address)) => address.parse().ok().map(Receiver::Udp),
        Some(("tcp", address)) => address.parse().ok().map(Receiver::Tcp),
        Some(_) | None => None,
    };
    if parsed.is_none() {
        let message = format!("{} is no receiver", quoted(text));
        reader.error_hint(&value.span(), message, format!("a way and a place: {EXAMPLES}"));
    }
    parsed
}

fn classes(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<EventClass> {
    let mut all = Vec::new();
    for value in fields::list(value) {
        let class = fields::choice(reader, value, "events", &CLASSES);
        if let Some(class) = class.filter(|class| !all.contains(class)) {
            all.push(class);
        }
    }
    if all.is_empty() {
        let hint = "leave `events` out, or the whole section";
        reader.error_hint(&value.span(), "a receiver that is told nothing", hint);
    }
    all
}
