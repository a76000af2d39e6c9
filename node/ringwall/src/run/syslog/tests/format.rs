//! Messages, read by the grammar.

use std::time::{Duration, SystemTime};

use config::{EventClass, Facility, Receiver};
use tracing_subscriber::layer::SubscriberExt as _;

use super::grammar::{Parsed, parse};
use crate::limits::{SYSLOG_MESSAGE_BYTES, SYSLOG_VALUE_BYTES};
use crate::run::syslog::line::{Line, Severity};
use crate::run::syslog::message::{Sender, timestamp};
use crate::run::syslog::{Item, Syslog};

fn sender() -> Sender {
    Sender { host: "fw1.example".to_owned(), process: 4_711, node: "fw1".to_owned() }
}

fn to(facility: Facility) -> config::Syslog {
    config::Syslog {
        to: Receiver::Unix("/dev/log".to_owned()),
        facility,
        events: vec![
            EventClass::Attacks,
            EventClass::Sessions,
            EventClass::Policy,
            EventClass::Node,
        ],
        enterprise: 32_473,
    }
}

fn line(fields: &[(&'static str, &str)]) -> Line {
    Line {
        severity: Severity::Warning,
        class: EventClass::Attacks,
        event: Some("attack-start".to_owned()),
        words: None,
        fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
    }
}

fn message(line: &Line) -> String {
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    sender().message(line, &to(Facility::Local0), at, 6)
}

fn read(line: &Line) -> Parsed {
    let message = message(line);
    assert!(message.len() <= SYSLOG_MESSAGE_BYTES, "{} bytes", message.len());
    parse(&message).unwrap_or_else(|why| panic!("{why}: {message}"))
}

#[test]
fn a_message_is_what_the_rfc_says() {
    let told = message(&line(&[("kind", "syn-flood"), ("zone", "untrust"), ("seen", "9")]));
    let expected = "<132>1 2023-11-14T22:13:20.123456Z fw1.example ringwall 4711 attack-start \
                    [ringwall@32473 node=\"fw1\" kind=\"syn-flood\" zone=\"untrust\" seen=\"9\"]\
                    [meta sequenceId=\"7\"] \u{feff}attack-start kind=syn-flood zone=untrust seen=9";
    assert_eq!(told, expected);
    let parsed = parse(&told).unwrap();
    assert_eq!((parsed.priority, parsed.event.as_deref()), (16 * 8 + 4, Some("attack-start")));
    assert_eq!((parsed.data.len(), parsed.data[0].1.len()), (2, 4));
}

#[test]
fn priorities_are_facility_and_severity() {
    let of = |facility, severity| {
        let line = Line { severity, ..line(&[]) };
        let told = sender().message(&line, &to(facility), SystemTime::UNIX_EPOCH, 0);
        parse(&told).unwrap().priority
    };
    assert_eq!(of(Facility::Daemon, Severity::Error), 27);
    assert_eq!(of(Facility::Daemon, Severity::Informational), 30);
    assert_eq!(of(Facility::Auth, Severity::Warning), 36);
    assert_eq!(of(Facility::Authpriv, Severity::Warning), 84);
    assert_eq!(of(Facility::Local7, Severity::Informational), 190);
}

/// Whatever a value holds, it is read as it was, but for what would end the line.
#[test]
fn values_are_escaped() {
    let table = [
        ("plain", "plain"),
        ("", ""),
        ("a\"b\\c]d", "a\"b\\c]d"),
        ("]\" x=\"1\"][evil@1 a=\"", "]\" x=\"1\"][evil@1 a=\""),
        ("\\\\]]\"\"", "\\\\]]\"\""),
        ("zwölf €", "zwölf €"),
        ("one\ntwo\r\0\x1b[2J\u{9b}", "one two   [2J "),
    ];
    for (value, expected) in table {
        let parsed = read(&line(&[("key", value)]));
        assert_eq!(parsed.data[0].1[1], ("key".to_owned(), expected.to_owned()));
        assert_eq!((parsed.data.len(), parsed.data[0].1.len()), (2, 2), "{value:?}");
    }
}

#[test]
fn a_text_has_its_fields_behind_it() {
    let with = |words: Option<&str>, event: Option<&str>, fields: &[(&'static str, &str)]| {
        let (words, event) = (words.map(str::to_owned), event.map(str::to_owned));
        let parsed = read(&Line { words, event, ..line(fields) });
        (parsed.event, parsed.text)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        with(Some("running"), None, &[("node", "a b")]),
        (None, some("running node=\"a b\""))
    );
    assert_eq!(with(Some("w"), Some("e"), &[("a", "")]), (some("e"), some("w a=\"\"")));
    assert_eq!(with(None, None, &[("a", "1"), ("b", "x=y")]), (None, some("a=1 b=\"x=y\"")));
    assert_eq!(with(None, None, &[]), (None, None));
    assert_eq!(with(Some("a\nb"), None, &[]), (None, some("a b")));
}

/// However long the parts are: a whole message, and the most important of it.
#[test]
fn what_is_too_long_is_cut_where_it_may_be() {
    let long = "é".repeat(4_000);
    let parsed = read(&Line { words: Some(long.clone()), ..line(&[("key", &long), ("k2", "2")]) });
    let parameters = &parsed.data[0].1;
    assert_eq!(parameters[1].1.len(), SYSLOG_VALUE_BYTES);
    assert_eq!(parameters[2], ("k2".to_owned(), "2".to_owned()));
    assert!(parsed.text.unwrap().starts_with("ééé"));
    // Escapes double: each value stays whole or is left out.
    let brackets = "]".repeat(600);
    let parsed = read(&line(&[("a", &brackets), ("b", &brackets), ("c", "3")]));
    let names: Vec<_> = parsed.data[0].1.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["node", "a", "c"]);
    let many: Vec<(&'static str, &str)> = (0..1_000).map(|_| ("name", "value")).collect();
    assert!(read(&line(&many)).data[0].1.len() > 100);
    // Names of a host and an event that no header can have.
    let strange = Sender { host: "ä b\n".to_owned(), ..sender() };
    let line = Line { event: Some("e\u{301} x".repeat(30)), ..line(&[]) };
    let told = strange.message(&line, &to(Facility::Daemon), SystemTime::UNIX_EPOCH, u32::MAX);
    let parsed = parse(&told).unwrap();
    assert_eq!((parsed.host.as_deref(), parsed.event.unwrap().len()), (Some("b"), 32));
    let nobody = Sender { host: String::new(), ..sender() };
    let told = nobody.message(&line, &to(Facility::Daemon), SystemTime::UNIX_EPOCH, 0);
    assert_eq!(parse(&told).unwrap().host, None);
}

#[test]
fn sequence_numbers_stay_in_their_range() {
    let of = |sequence| {
        let at = SystemTime::UNIX_EPOCH;
        let told = sender().message(&line(&[]), &to(Facility::Daemon), at, sequence);
        parse(&told).unwrap().data[1].1[0].1.clone()
    };
    assert_eq!([0, 2_147_483_646, 2_147_483_647].map(of), ["1", "2147483647", "1"]);
}

#[test]
fn times_are_those_of_the_calendar() {
    let at = |micros| timestamp(SystemTime::UNIX_EPOCH + Duration::from_micros(micros));
    assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
    assert_eq!(at(951_782_400_000_001), "2000-02-29T00:00:00.000001Z");
    assert_eq!(timestamp(SystemTime::UNIX_EPOCH - Duration::from_secs(9)), at(0));
}

/// Lines as the daemon's parts write them, through the layer.
#[test]
fn events_of_the_log_become_messages_of_those_who_want_them() {
    let all = to(Facility::Daemon);
    let attacks = config::Syslog { events: vec![EventClass::Attacks], ..all.clone() };
    let quiet =
        config::Syslog { events: vec![EventClass::Sessions, EventClass::Policy], ..all.clone() };
    let (_syslog, layer, deliveries) = Syslog::new(&[all, attacks, quiet], "fw1");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let (number, none): (u64, Option<f64>) = (7, None);
        let sure = Some(0.5_f64);
        tracing::warn!(target: "screen", event = "attack", attack = number, kind = %"syn-flood", none, sure);
        tracing::info!(target: "session", event = "session-open", source = %"10.0.0.1", rule = "web");
        tracing::warn!(target: "ringwall_actors::policy::say", epoch = 5, "this node goes back");
        tracing::error!(cause = "a \"b\"]", "panic");
        tracing::debug!("not told");
        tracing::warn!(target: "ringwall::run::syslog::deliver", "for the log alone");
    });
    let told: Vec<Vec<Parsed>> =
        deliveries.0.into_iter().map(|it| it.into_waiting()).map(taken).collect();
    let events = |at: usize| {
        let event = |it: &Parsed| it.event.clone().unwrap_or_default();
        told[at].iter().map(event).collect::<Vec<_>>()
    };
    assert_eq!(events(0), ["attack", "session-open", "", ""]);
    assert_eq!(
        (events(1), events(2)),
        (vec!["attack".to_owned()], vec!["session-open".to_owned(), String::new()])
    );
    let attack = &told[1][0];
    let pairs: Vec<_> =
        attack.data[0].1.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(pairs, ["node=fw1", "attack=7", "kind=syn-flood", "sure=0.5"]);
    assert_eq!(
        attack.data[1],
        ("meta".to_owned(), vec![("sequenceId".to_owned(), "1".to_owned())])
    );
    let panic = &told[0][3];
    assert_eq!((panic.priority, panic.data[0].1[1].1.as_str()), (27, "a \"b\"]"));
    assert_eq!(panic.text.as_deref(), Some("panic cause=\"a \\\"b\\\"]\""));
    assert_eq!(panic.process, Some(std::process::id().to_string()));
}

fn taken(mut waiting: tokio::sync::mpsc::Receiver<Item>) -> Vec<Parsed> {
    let mut all = Vec::new();
    while let Ok(item) = waiting.try_recv() {
        let Item::Message(message) = item else { panic!("nobody flushes") };
        all.push(parse(&message).unwrap_or_else(|why| panic!("{why}: {message}")));
    }
    all
}
