//! `[timeouts]` and `[integrity]`, and terms that stand in several tables.

use core::time::Duration;

use super::duration;
use super::fields::{self, Fields};
use super::reader::{Reader, Value, quoted};
use crate::limits::SESSIONS_MAX;
use crate::{Integrity, Timeouts, WindowCheck};

type Timeout = fn(&mut Timeouts) -> &mut Duration;

const TIMEOUTS: [(&str, Timeout); 14] = [
    ("tcp-syn-sent", |all| &mut all.tcp_syn_sent),
    ("tcp-syn-received", |all| &mut all.tcp_syn_received),
    ("tcp-established", |all| &mut all.tcp_established),
    ("tcp-fin-wait", |all| &mut all.tcp_fin_wait),
    ("tcp-close-wait", |all| &mut all.tcp_close_wait),
    ("tcp-last-ack", |all| &mut all.tcp_last_ack),
    ("tcp-time-wait", |all| &mut all.tcp_time_wait),
    ("tcp-close", |all| &mut all.tcp_close),
    ("tcp-unacknowledged", |all| &mut all.tcp_unacknowledged),
    ("udp-first", |all| &mut all.udp_first),
    ("udp-stream", |all| &mut all.udp_stream),
    ("icmp", |all| &mut all.icmp),
    ("generic", |all| &mut all.generic),
    ("fragment", |all| &mut all.fragment),
];

const WINDOW: [(&str, WindowCheck); 2] = [("check", WindowCheck::Check), ("off", WindowCheck::Off)];

/// `[timeouts]`: overrides of the defaults.
pub(crate) fn timeouts(reader: &mut Reader<'_>, value: Option<&Value<'_>>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let names = TIMEOUTS.map(|(name, _)| name);
    let fields = value.and_then(|value| Fields::new(reader, value, "[timeouts]", &names));
    let Some(fields) = fields else { return timeouts };
    for (name, timeout) in TIMEOUTS {
        if let Some(value) = fields.get(name)
            && let Some(duration) = timeout_value(reader, value)
        {
            *timeout(&mut timeouts) = duration;
        }
    }
    timeouts
}

/// The timeout at `key`, if it is there.
pub(crate) fn timeout(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    key: &str,
) -> Option<Duration> {
    timeout_value(reader, fields.get(key)?)
}

fn timeout_value(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Duration> {
    let hint = "a number and a unit from \"1s\" to \"365d\": \"30s\", \"5m\", \"2h\", \"5d\"";
    if value.get_ref().is_integer() {
        reader.error_hint(&value.span(), "the unit is missing", hint);
        return None;
    }
    let text = fields::string(reader, value)?;
    let duration = duration::parse(text);
    if duration.is_none() {
        reader.error_hint(&value.span(), format!("{} is no timeout", quoted(text)), hint);
    }
    duration
}

/// `sessions-max`: how many sessions a rule or a zone may have at once.
pub(crate) fn sessions_max(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<u32> {
    fields.integer(reader, "sessions-max", 1..=SESSIONS_MAX)
}

/// `[integrity]`: packet checks that can be switched.
pub(crate) fn integrity(reader: &mut Reader<'_>, value: Option<&Value<'_>>) -> Integrity {
    let fields = value.and_then(|value| Fields::new(reader, value, "[integrity]", &["tcp-window"]));
    let window = fields.and_then(|fields| fields.choice(reader, "tcp-window", &WINDOW));
    Integrity { tcp_window: window.unwrap_or_default() }
}
