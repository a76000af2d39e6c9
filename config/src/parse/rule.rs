//! `[[rule]]` and `[[host-inbound]]`: names resolved to indices.

use core::ops::Range;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::address::AddressRange;
use super::book::{self, Entry};
use super::fields::{self, Fields};
use super::groups::Groups;
use super::reader::{Reader, Value};
use super::{alg, options, service, zones::Zones};
use crate::limits::{DESCRIPTION_BYTES_MAX, OWN_TIMEOUTS_MAX, RULES_MAX, SERVICES_MAX, SETS_MAX};
use crate::{
    Action, AddressMatch, AddressSet, HostInbound, OnChange, Replication, Rule, Service, Terms,
};

const KEYS: [&str; 15] = [
    "id",
    "description",
    "from",
    "to",
    "source",
    "destination",
    "service",
    "action",
    "log",
    "on-change",
    "replication",
    "timeout",
    "sessions-max",
    "pick-up",
    "alg",
];
/// Keys of what a rule grants its sessions.
const TERMS: [&str; 4] = ["timeout", "sessions-max", "pick-up", "alg"];
const ACTIONS: [(&str, Action); 3] =
    [("permit", Action::Permit), ("deny", Action::Deny), ("reject", Action::Reject)];
const ON_CHANGE: [(&str, OnChange); 3] =
    [("keep", OnChange::Keep), ("rematch", OnChange::Rematch), ("kill", OnChange::Kill)];
const REPLICATION: [(&str, Replication); 2] =
    [("sync", Replication::Sync), ("async", Replication::Async)];
const LOG: [(&str, LogEvent); 2] = [("open", LogEvent::Open), ("close", LogEvent::Close)];

#[derive(Clone, Copy, PartialEq)]
enum LogEvent {
    Open,
    Close,
}

/// What rules refer to.
pub(crate) struct Books {
    pub(crate) zones: Zones,
    pub(crate) addresses: Groups<AddressRange>,
    pub(crate) services: Groups<Service>,
    /// Named sets first, in the order of `addresses`; rules add theirs.
    pub(crate) sets: Vec<AddressSet>,
}

/// All rules with the byte ranges of their headers.
pub(crate) fn rules(
    reader: &mut Reader<'_>,
    books: &mut Books,
    document: &Fields<'_, '_>,
) -> (Vec<Rule>, Vec<Range<usize>>) {
    let tables = document.tables(reader, "rule");
    if tables.len() > RULES_MAX {
        let message = format!("{} rules, the limit is {RULES_MAX}", tables.len());
        reader.error(&tables[RULES_MAX].span(), message);
        return (Vec::new(), Vec::new());
    }
    let mut lines = BTreeMap::new();
    let mut services = 0;
    let mut timeouts = BTreeSet::new();
    let mut rules = Vec::with_capacity(tables.len());
    let mut spans = Vec::with_capacity(tables.len());
    for value in tables {
        let Some(fields) = Fields::new(reader, value, "the rule", &KEYS) else { continue };
        let rule = rule(reader, books, &fields, &mut lines);
        services += rule.services.as_ref().map_or(0, Vec::len);
        if services > SERVICES_MAX || books.sets.len() > SETS_MAX {
            let message = format!(
                "the rules up to here hold {services} services (limit {SERVICES_MAX}) and {} \
                 address sets (limit {SETS_MAX})",
                books.sets.len()
            );
            reader.error(&fields.span, message);
            break;
        }
        timeouts.extend(own_timeouts(&rule));
        if timeouts.len() > OWN_TIMEOUTS_MAX {
            let message = format!(
                "the rules up to here have more than {OWN_TIMEOUTS_MAX} different timeouts"
            );
            reader.error_hint(&fields.span, message, "let rules share the same durations");
            break;
        }
        rules.push(rule);
        spans.push(fields.span);
    }
    (rules, spans)
}

/// The timeouts that are not those of `[timeouts]`.
fn own_timeouts(rule: &Rule) -> impl Iterator<Item = Duration> + '_ {
    let services = rule.services.iter().flatten();
    services.filter_map(|service| service.timeout).chain(rule.terms.timeout)
}

fn rule(
    reader: &mut Reader<'_>,
    books: &mut Books,
    fields: &Fields<'_, '_>,
    lines: &mut BTreeMap<String, usize>,
) -> Rule {
    let id = fields.required_string(reader, "id").unwrap_or_default().to_owned();
    check_id(reader, fields, &id, lines);
    let action = fields.required(reader, "action");
    let action = action.and_then(|value| fields::choice(reader, value, "action", &ACTIONS));
    let (log_open, log_close) = log(reader, fields);
    let services = fields.get("service");
    let services = services.and_then(|value| service::of_rule(reader, &books.services, value));
    let terms = terms(reader, fields, action, services.as_deref());
    let algs = alg::of_rule(reader, fields, services.as_deref());
    Rule {
        id,
        description: description(reader, fields),
        from: zone(reader, books, fields, "from"),
        to: zone(reader, books, fields, "to"),
        source: addresses(reader, books, fields, "source"),
        destination: addresses(reader, books, fields, "destination"),
        services,
        action: action.unwrap_or(Action::Deny),
        log_open,
        log_close,
        on_change: fields.choice(reader, "on-change", &ON_CHANGE).unwrap_or_default(),
        replication: fields.choice(reader, "replication", &REPLICATION).unwrap_or_default(),
        terms,
        algs,
        line: reader.line(fields.span.start),
    }
}

fn terms(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    action: Option<Action>,
    services: Option<&[Service]>,
) -> Terms {
    for key in TERMS {
        if let (Some(span), Some(Action::Deny | Action::Reject)) = (fields.key_span(key), action) {
            let message = format!("`{key}` in a rule that opens no session");
            reader.error_hint(&span, message, "only a rule that permits has sessions");
        }
    }
    Terms {
        timeout: options::timeout(reader, fields, "timeout"),
        sessions_max: options::sessions_max(reader, fields),
        pick_up: pick_up(reader, fields, services),
    }
}

/// `pick-up`, which needs a TCP connection to be picked up.
fn pick_up(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, services: Option<&[Service]>) -> bool {
    let pick_up = fields.boolean(reader, "pick-up").unwrap_or_default();
    let tcp = services.is_none_or(|services| services.iter().any(Service::is_tcp));
    if let (true, false, Some(span)) = (pick_up, tcp, fields.key_span("pick-up")) {
        let hint = "only a TCP connection has a beginning that can be missed";
        reader.error_hint(&span, "`pick-up` in a rule without TCP", hint);
    }
    pick_up
}

/// Checks the `id` of a rule; `lines` has those before it.
pub(crate) fn check_id(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    id: &str,
    lines: &mut BTreeMap<String, usize>,
) {
    let Some(span) = fields.get("id").filter(|id| id.get_ref().is_str()).map(Value::span) else {
        return;
    };
    if !reader.check_name("rule", id, &span) {
        return;
    }
    let line = reader.line(span.start);
    if let Some(first) = lines.get(id) {
        let hint = "ids are unique: counters and sessions refer to them";
        reader.error_hint(&span, format!("rule `{id}` exists already, in line {first}"), hint);
    } else {
        lines.insert(id.to_owned(), line);
    }
}

/// The operator's own words.
pub(crate) fn description(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<String> {
    let text = fields.string(reader, "description")?;
    if text.len() > DESCRIPTION_BYTES_MAX {
        let span = fields.get("description").map_or(fields.span.clone(), Value::span);
        let limit = format!("the description is longer than {DESCRIPTION_BYTES_MAX} bytes");
        reader.error(&span, limit);
    }
    Some(text.to_owned())
}

/// The zone named at `key`; `None` means any.
pub(crate) fn zone(
    reader: &mut Reader<'_>,
    books: &Books,
    fields: &Fields<'_, '_>,
    key: &str,
) -> Option<usize> {
    let name = fields.string(reader, key).filter(|name| *name != "any")?;
    let span = fields.get(key).map(Value::span)?;
    books.zones.find(reader, name, &span)
}

fn log(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> (bool, bool) {
    let Some(value) = fields.get("log") else { return (false, false) };
    let events = fields::list(value).iter();
    let events: Vec<_> =
        events.filter_map(|value| fields::choice(reader, value, "log", &LOG)).collect();
    (events.contains(&LogEvent::Open), events.contains(&LogEvent::Close))
}

/// The addresses at `key`: names, literals, or all of them negated by a leading `!`.
pub(crate) fn addresses(
    reader: &mut Reader<'_>,
    books: &mut Books,
    fields: &Fields<'_, '_>,
    key: &str,
) -> Option<AddressMatch> {
    let value = fields.get(key)?;
    let entries = fields::strings(reader, value);
    if fields::list(value).is_empty() {
        reader.error_hint(&value.span(), "the list is empty", "leave it out to match any address");
    }
    let negate = entries.first().is_some_and(|(text, _)| text.starts_with('!'));
    let mut collected = Collected { any: None, sets: Vec::new(), literals: Vec::new() };
    for (text, span) in &entries {
        if text.starts_with('!') != negate {
            let hint = "either all entries start with `!` (none of them may match) or none does";
            reader.error_hint(span, "negated and plain addresses are mixed", hint);
            return None;
        }
        collected.add(reader, books, text.strip_prefix('!').unwrap_or(text), span);
    }
    collected.finish(reader, books, negate, entries.len())
}

struct Collected {
    any: Option<Range<usize>>,
    sets: Vec<usize>,
    literals: Vec<AddressRange>,
}

impl Collected {
    fn add(&mut self, reader: &mut Reader<'_>, books: &Books, text: &str, span: &Range<usize>) {
        match book::entry(reader, text, span) {
            Some(Entry::Any) => self.any = Some(span.clone()),
            Some(Entry::Range(range)) => self.literals.push(range),
            Some(Entry::Name) => {
                let found = books.addresses.find(reader, text, span);
                self.sets.extend(found.filter(|index| !self.sets.contains(index)));
            }
            None => {}
        }
    }

    fn finish(
        mut self,
        reader: &mut Reader<'_>,
        books: &mut Books,
        negate: bool,
        entries: usize,
    ) -> Option<AddressMatch> {
        if let Some(span) = self.any {
            if negate {
                reader.error(&span, "`!any` matches nothing");
            } else if entries > 1 {
                reader.error(&span, "`any` beside other addresses makes them pointless");
            }
            return None;
        }
        if !self.literals.is_empty() {
            self.sets.push(books.sets.len());
            books.sets.push(book::set(None, &self.literals));
        }
        (!self.sets.is_empty()).then_some(AddressMatch { sets: self.sets, negate })
    }
}

/// `[[host-inbound]]`: what may reach the node itself.
pub(crate) fn host_inbound(
    reader: &mut Reader<'_>,
    books: &Books,
    document: &Fields<'_, '_>,
) -> Vec<HostInbound> {
    let mut all = Vec::new();
    for value in document.tables(reader, "host-inbound") {
        let fields = Fields::new(reader, value, "the host-inbound entry", &["zone", "service"]);
        let Some(fields) = fields else { continue };
        let services = fields.required(reader, "service");
        let services = services.and_then(|value| service::of_rule(reader, &books.services, value));
        let Some(name) = fields.required_string(reader, "zone") else { continue };
        let span = fields.get("zone").map_or(fields.span.clone(), Value::span);
        let zone = books.zones.find(reader, name, &span);
        all.extend(zone.map(|zone| HostInbound { zone, services }));
    }
    all
}
