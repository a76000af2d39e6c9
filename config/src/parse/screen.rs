//! `[[screen]]`: the detectors of a zone.
//!
//! A detector is a table of what differs from its defaults, or `"off"`.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::fields::Fields;
use super::options;
use super::reader::{Reader, Value};
use super::rule::{self, Books};
use crate::limits::{SCREEN_THRESHOLD_MAX, SESSIONS_MAX};
use crate::{
    Baseline, Flood, PrefixLengths, Reaction, Response, Scan, Screen, SessionLimit, SynFlood,
};

const KEYS: [&str; 16] = [
    "zone",
    "action",
    "block-for",
    "exempt",
    "aggregate-v4",
    "aggregate-v6",
    "syn-flood",
    "icmp-flood",
    "udp-flood",
    "fragment-flood",
    "port-scan",
    "address-sweep",
    "session-limit",
    "connection-rate",
    "anomalies",
    "baseline",
];

const ACTIONS: [(&str, Reaction); 3] =
    [("alarm", Reaction::Alarm), ("drop", Reaction::Drop), ("block", Reaction::Block)];

/// Those that SYNs alone can be met with, too.
const ACTIONS_ON_SYNS: [(&str, Reaction); 4] = [
    ("alarm", Reaction::Alarm),
    ("drop", Reaction::Drop),
    ("proxy", Reaction::Proxy),
    ("block", Reaction::Block),
];

const PROXY: &str = "proxy";

const THRESHOLD: RangeInclusive<u32> = 1..=SCREEN_THRESHOLD_MAX;

/// All screens; a zone has one.
pub(crate) fn screens(
    reader: &mut Reader<'_>,
    books: &mut Books,
    document: &Fields<'_, '_>,
) -> Vec<Screen> {
    let mut screens: Vec<Screen> = Vec::new();
    for value in document.tables(reader, "screen") {
        let Some(fields) = Fields::new(reader, value, "the screen", &KEYS) else { continue };
        let Some(name) = fields.required_string(reader, "zone") else { continue };
        let span = fields.get("zone").map_or(fields.span.clone(), Value::span);
        let Some(zone) = books.zones.find(reader, name, &span) else { continue };
        if screens.iter().any(|screen| screen.zone == zone) {
            let hint = "write all detectors of a zone into one";
            reader.error_hint(&span, format!("zone `{name}` has a screen already"), hint);
        }
        screens.push(screen(reader, books, &fields, zone));
    }
    screens
}

fn screen(
    reader: &mut Reader<'_>,
    books: &mut Books,
    fields: &Fields<'_, '_>,
    zone: usize,
) -> Screen {
    let defaults = Screen::of_zone(zone);
    let mut of = Detectors { response: Response::default(), blocks: false };
    of.response = of.response(reader, fields);
    let screen = Screen {
        zone,
        exempt: rule::addresses(reader, books, fields, "exempt"),
        aggregate: aggregate(reader, fields),
        syn_flood: of.detector(reader, fields, "syn-flood", defaults.syn_flood, syn_flood),
        icmp_flood: of.detector(reader, fields, "icmp-flood", defaults.icmp_flood, flood),
        udp_flood: of.detector(reader, fields, "udp-flood", defaults.udp_flood, flood),
        fragment_flood: of.detector(
            reader,
            fields,
            "fragment-flood",
            defaults.fragment_flood,
            flood,
        ),
        port_scan: of.detector(reader, fields, "port-scan", defaults.port_scan, scan),
        address_sweep: of.detector(reader, fields, "address-sweep", defaults.address_sweep, scan),
        session_limit: of.detector(reader, fields, "session-limit", None, session_limit),
        connection_rate: of.detector(reader, fields, "connection-rate", None, connection_rate),
        anomalies: of.detector(reader, fields, "anomalies", defaults.anomalies, flood),
        baseline: of.detector(reader, fields, "baseline", defaults.baseline, baseline),
    };
    of.unused_block_time(reader, fields);
    screen
}

fn aggregate(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> PrefixLengths {
    let mut lengths = PrefixLengths::default();
    if let Some(v4) = fields.integer(reader, "aggregate-v4", 24..=32) {
        lengths.v4 = v4 as u8;
    }
    let Some(value) = fields.get("aggregate-v6") else { return lengths };
    let number = value.get_ref().as_integer().map(|number| number.as_str());
    if number == Some("128") {
        lengths.v6 = 128;
    } else if number.and_then(|it| it.parse().ok()).is_some_and(|it: u8| (48..=64).contains(&it)) {
        lengths.v6 = number.and_then(|it| it.parse().ok()).unwrap_or(lengths.v6);
    } else {
        let hint = "128 is each address by itself";
        let message = "`aggregate-v6` must be from 48 to 64, or 128";
        reader.error_hint(&value.span(), message, hint);
    }
    lengths
}

/// What the detectors of one screen share.
struct Detectors {
    /// Of detectors that do not say their own.
    response: Response,
    /// Some detector blocks.
    blocks: bool,
}

/// A detector's own keys.
type Own<T> = fn(&mut Reader<'_>, &Value<'_>, &mut Detectors, Option<T>) -> Option<T>;

impl Detectors {
    /// The detector at `key`: its defaults, nothing, or what stands there.
    fn detector<T: Responds>(
        &mut self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_, '_>,
        key: &str,
        defaults: Option<T>,
        own: Own<T>,
    ) -> Option<T> {
        let defaults = defaults.map(|it| it.responding(self.response));
        let detector = match fields.get(key) {
            None => defaults,
            Some(value) if value.get_ref().as_str() == Some("off") => None,
            Some(value) if value.get_ref().is_str() => {
                let hint =
                    format!("`{key} = \"off\"`, or a table of what differs from the defaults");
                reader.error_hint(&value.span(), format!("`{key}` is a table or \"off\""), hint);
                None
            }
            Some(value) => own(reader, value, self, defaults),
        };
        self.blocks |= detector.as_ref().is_some_and(Responds::blocks);
        detector
    }

    /// `action` and `block-for`, of the screen or of one detector.
    fn response(&self, reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Response {
        let action = match fields.get("action") {
            Some(value) if value.get_ref().as_str() == Some(PROXY) => {
                refuse_proxy(reader, value);
                None
            }
            Some(_) | None => fields.choice(reader, "action", &ACTIONS),
        };
        self.response_of(reader, fields, action)
    }

    /// The same of SYN floods, which alone can be answered.
    fn response_to_syns(&self, reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Response {
        let action = fields.choice(reader, "action", &ACTIONS_ON_SYNS);
        self.response_of(reader, fields, action)
    }

    fn response_of(
        &self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_, '_>,
        action: Option<Reaction>,
    ) -> Response {
        let block_for = options::timeout(reader, fields, "block-for");
        let action = action.unwrap_or(self.response.action);
        Response { action, block_for: block_for.unwrap_or(self.response.block_for) }
    }

    /// A time for which nobody is blocked is a mistake.
    fn unused_block_time(&self, reader: &mut Reader<'_>, fields: &Fields<'_, '_>) {
        if let (Some(span), false) = (fields.key_span("block-for"), self.blocks) {
            let hint = "no detector of this screen has the action `block`";
            reader.warn(&span, "`block-for` has no effect", hint);
        }
    }
}

/// A detector with a response.
trait Responds {
    fn responding(self, response: Response) -> Self;
    fn blocks(&self) -> bool;
}

macro_rules! responds {
    ($($kind:ty),*) => { $(
        impl Responds for $kind {
            fn responding(mut self, response: Response) -> Self {
                self.response = response;
                self
            }
            fn blocks(&self) -> bool {
                self.response.action == Reaction::Block
            }
        }
    )* };
}

responds!(SynFlood, Flood, Scan, SessionLimit);

/// Nothing but SYNs can be answered in another's place.
fn refuse_proxy(reader: &mut Reader<'_>, value: &Value<'_>) {
    let hint = "say `syn-flood = { action = \"proxy\" }`";
    reader.error_hint(&value.span(), "`proxy` is an action of `syn-flood` alone", hint);
}

impl Responds for Baseline {
    fn responding(self, _: Response) -> Self {
        self
    }
    fn blocks(&self) -> bool {
        false
    }
}

fn syn_flood(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    of: &mut Detectors,
    defaults: Option<SynFlood>,
) -> Option<SynFlood> {
    let keys = ["alarm", "source", "destination", "zone", "action", "block-for"];
    let fields = Fields::new(reader, value, "syn-flood", &keys)?;
    let mut flood = defaults?;
    flood.response = of.response_to_syns(reader, &fields);
    let thresholds = [
        ("alarm", &mut flood.alarm),
        ("source", &mut flood.source),
        ("destination", &mut flood.destination),
    ];
    thresholds.into_iter().for_each(|(key, threshold)| set(reader, &fields, key, threshold));
    flood.zone = fields.integer(reader, "zone", THRESHOLD).or(flood.zone);
    Some(flood)
}

fn flood(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    of: &mut Detectors,
    defaults: Option<Flood>,
) -> Option<Flood> {
    let fields = Fields::new(reader, value, "the detector", &["threshold", "action", "block-for"])?;
    let mut flood = defaults?;
    flood.response = of.response(reader, &fields);
    set(reader, &fields, "threshold", &mut flood.threshold);
    Some(flood)
}

/// A rate without a default: what a busy client does is each network's own.
fn connection_rate(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    of: &mut Detectors,
    _: Option<Flood>,
) -> Option<Flood> {
    let keys = ["threshold", "action", "block-for"];
    let fields = Fields::new(reader, value, "connection-rate", &keys)?;
    fields.required(reader, "threshold");
    let threshold = fields.integer(reader, "threshold", THRESHOLD)?;
    Some(Flood { threshold, response: of.response(reader, &fields) })
}

fn scan(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    of: &mut Detectors,
    defaults: Option<Scan>,
) -> Option<Scan> {
    let keys = [
        "threshold",
        "window",
        "burst-threshold",
        "slow-threshold",
        "slow-window",
        "action",
        "block-for",
    ];
    let fields = Fields::new(reader, value, "the detector", &keys)?;
    let mut scan = defaults?;
    scan.response = of.response(reader, &fields);
    set(reader, &fields, "threshold", &mut scan.threshold);
    scan.burst_threshold = Scan::burst_of(scan.threshold);
    set(reader, &fields, "burst-threshold", &mut scan.burst_threshold);
    scan.slow_threshold = scan.threshold;
    set(reader, &fields, "slow-threshold", &mut scan.slow_threshold);
    set_time(reader, &fields, "window", &mut scan.window);
    set_time(reader, &fields, "slow-window", &mut scan.slow_window);
    if scan.slow_window < scan.window {
        let message = "`slow-window` is shorter than `window`";
        reader.error_hint(&fields.span, message, "a slow scan takes longer than a fast one");
    }
    Some(scan)
}

fn session_limit(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    of: &mut Detectors,
    _: Option<SessionLimit>,
) -> Option<SessionLimit> {
    let keys = ["source", "destination", "pair", "action", "block-for"];
    let fields = Fields::new(reader, value, "session-limit", &keys)?;
    let limit = |reader: &mut Reader<'_>, key| fields.integer(reader, key, 1..=SESSIONS_MAX);
    let (source, destination) = (limit(reader, "source"), limit(reader, "destination"));
    let pair = limit(reader, "pair");
    if !["source", "destination", "pair"].iter().any(|key| fields.get(key).is_some()) {
        let hint = "`source`, `destination` or `pair`";
        reader.error_hint(&fields.span, "session-limit limits nothing", hint);
    }
    let response = of.response(reader, &fields);
    Some(SessionLimit { source, destination, pair, response })
}

fn baseline(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    _: &mut Detectors,
    defaults: Option<Baseline>,
) -> Option<Baseline> {
    let fields = Fields::new(reader, value, "baseline", &["deviations", "factor", "learn"])?;
    let mut baseline = defaults?;
    let least = [
        ("deviations", &mut baseline.deviations, 2..=100),
        ("factor", &mut baseline.factor, 2..=1_000),
    ];
    for (key, number, range) in least {
        if let Some(given) = fields.integer(reader, key, range) {
            *number = given;
        }
    }
    set_time(reader, &fields, "learn", &mut baseline.learn);
    if baseline.learn < DAY
        && let Some(value) = fields.get("learn")
    {
        let hint = "each hour of the day is learned by itself";
        reader.error_hint(&value.span(), "`learn` is shorter than a day", hint);
    }
    Some(baseline)
}

const DAY: Duration = Duration::from_secs(86_400);

fn set(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &str, threshold: &mut u32) {
    if let Some(given) = fields.integer(reader, key, THRESHOLD) {
        *threshold = given;
    }
}

fn set_time(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, key: &str, time: &mut Duration) {
    if let Some(given) = options::timeout(reader, fields, key) {
        *time = given;
    }
}
