//! `[[port]]` and `[[wire]]` of the node file.

use core::ops::Range;
use std::collections::BTreeMap;

use super::fields::{self, Fields};
use super::reader::{Reader, Value, quoted};
use crate::limits::{BUSY_POLL_MICROSECONDS_MAX, INTERFACE_BYTES_MAX, PORTS_MAX, QUEUES_MAX};
use crate::{Checksum, Port, Wire, ZeroCopy};

const PORT_KEYS: [&str; 8] =
    ["name", "interface", "domain", "mode", "checksum", "queues", "busy-poll", "zero-copy"];
const CHECKSUM: [(&str, Checksum); 2] = [("verify", Checksum::Verify), ("trust", Checksum::Trust)];
const ZERO_COPY: [(&str, ZeroCopy); 2] = [("auto", ZeroCopy::Auto), ("off", ZeroCopy::Off)];
const MODE: [(&str, Mode); 2] = [("routed", Mode::Routed), ("wire", Mode::Wire)];

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Routed,
    Wire,
}

/// The ports and wires of a node.
pub(crate) struct Ports {
    pub(crate) ports: Vec<Port>,
    pub(crate) wires: Vec<Wire>,
    /// What each port says about its mode, and where.
    modes: Vec<Option<(Mode, Range<usize>)>>,
}

impl Ports {
    /// Those of a witness.
    pub(crate) const fn none() -> Self {
        Self { ports: Vec::new(), wires: Vec::new(), modes: Vec::new() }
    }

    pub(crate) fn parse(reader: &mut Reader<'_>, document: &Fields<'_, '_>) -> Self {
        let mut all = Self::none();
        let mut seen = Seen::default();
        let tables = document.tables(reader, "port");
        for value in tables {
            if let Some(fields) = Fields::new(reader, value, "the port", &PORT_KEYS) {
                all.add_port(reader, &fields, &mut seen);
            }
        }
        let span = document.key_span("port");
        if span.is_none() {
            let hint = "add a `[[port]]` for each; a witness has none: `ringwall witness` runs it";
            reader.error_hint(&(0..0), "the node has no ports", hint);
        } else if tables.len() > PORTS_MAX {
            let message = format!("{} ports, the limit is {PORTS_MAX}", tables.len());
            reader.error(&span.unwrap_or(0..0), message);
        }
        for value in document.tables(reader, "wire") {
            all.add_wire(reader, value);
        }
        all.check_modes(reader);
        all
    }

    fn add_port(&mut self, reader: &mut Reader<'_>, fields: &Fields<'_, '_>, seen: &mut Seen) {
        let name = fields.required_string(reader, "name").unwrap_or_default();
        let interface = fields.required_string(reader, "interface").unwrap_or_default();
        if let Some(span) = string_span(fields, "name")
            && reader.check_name("port", name, &span)
        {
            unique(reader, &mut seen.names, "port", name, &span);
        }
        if let Some(span) = string_span(fields, "interface")
            && check_interface(reader, interface, &span)
        {
            unique(reader, &mut seen.interfaces, "interface", interface, &span);
        }
        let mode = fields.choice(reader, "mode", &MODE).zip(string_span(fields, "mode"));
        self.modes.push(mode);
        self.ports.push(Port {
            name: name.to_owned(),
            interface: interface.to_owned(),
            domain: small(fields.integer(reader, "domain", 0..=u16::MAX.into())).unwrap_or(0),
            checksum: fields.choice(reader, "checksum", &CHECKSUM).unwrap_or_default(),
            queues: small(fields.integer(reader, "queues", 1..=QUEUES_MAX.into())),
            busy_poll: fields.integer(reader, "busy-poll", 1..=BUSY_POLL_MICROSECONDS_MAX),
            zero_copy: fields.choice(reader, "zero-copy", &ZERO_COPY).unwrap_or_default(),
        });
    }

    fn add_wire(&mut self, reader: &mut Reader<'_>, value: &Value<'_>) {
        let Some(fields) = Fields::new(reader, value, "the wire", &["ports"]) else { return };
        let Some(value) = fields.required(reader, "ports") else { return };
        let ends = fields::strings(reader, value);
        let [(a, a_span), (b, b_span)] = &ends[..] else {
            let message = format!("a wire has two ports, not {}", fields::list(value).len());
            return reader.error(&value.span(), message);
        };
        let (a, b) = (self.find(reader, a, a_span), self.find(reader, b, b_span));
        let Some((a, b)) = a.zip(b) else { return };
        if a == b {
            return reader.error(b_span, "a wire has two different ports");
        }
        for (end, span) in [(a, a_span), (b, b_span)] {
            if self.wires.iter().any(|wire| wire.peer(end).is_some()) {
                let name = &self.ports[end].name;
                return reader.error(span, format!("port `{name}` is in another wire already"));
            }
        }
        let (domain_a, domain_b) = (self.ports[a].domain, self.ports[b].domain);
        if domain_a != domain_b {
            let message = format!("the ports are in domains {domain_a} and {domain_b}");
            return reader.error_hint(&value.span(), message, "give both the same `domain`");
        }
        self.wires.push(Wire { a, b });
    }

    pub(crate) fn find(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        span: &Range<usize>,
    ) -> Option<usize> {
        let found = self.ports.iter().position(|port| port.name == name);
        if found.is_none() {
            let names = || self.ports.iter().map(|port| port.name.as_str());
            let all = || Some(format!("ports: {}", names().collect::<Vec<_>>().join(", ")));
            reader.unknown(span, format!("unknown port {}", quoted(name)), name, names(), all);
        }
        found
    }

    fn check_modes(&self, reader: &mut Reader<'_>) {
        for (at, mode) in self.modes.iter().enumerate() {
            let in_wire = self.wires.iter().any(|wire| wire.peer(at).is_some());
            match mode {
                Some((Mode::Wire, span)) if !in_wire => {
                    let hint = "add `[[wire]]` with `ports` = this port and its peer";
                    reader.error_hint(span, "the port is in no wire", hint);
                }
                Some((Mode::Routed, span)) if in_wire => {
                    reader.error(span, "the port is in a `[[wire]]`, so it is not routed");
                }
                Some(_) | None => {}
            }
        }
    }
}

/// Names seen so far with their lines.
#[derive(Default)]
struct Seen {
    names: BTreeMap<String, usize>,
    interfaces: BTreeMap<String, usize>,
}

fn unique(
    reader: &mut Reader<'_>,
    seen: &mut BTreeMap<String, usize>,
    kind: &str,
    name: &str,
    span: &Range<usize>,
) {
    let line = reader.line(span.start);
    match seen.get(name) {
        Some(first) => {
            reader.error(span, format!("{kind} `{name}` exists already, in line {first}"));
        }
        None => {
            seen.insert(name.to_owned(), line);
        }
    }
}

/// What the kernel's `dev_valid_name` takes.
pub(crate) fn check_interface(reader: &mut Reader<'_>, name: &str, span: &Range<usize>) -> bool {
    let bad = |byte: u8| byte.is_ascii_whitespace() || b"/:".contains(&byte) || byte == 0;
    let good = !name.is_empty()
        && name.len() <= INTERFACE_BYTES_MAX
        && name != "."
        && name != ".."
        && !name.bytes().any(bad);
    if !good {
        let hint = format!("1 to {INTERFACE_BYTES_MAX} bytes without `/`, `:` and spaces");
        reader.error_hint(span, format!("{} is no interface name", quoted(name)), hint);
    }
    good
}

pub(crate) fn string_span(fields: &Fields<'_, '_>, key: &str) -> Option<Range<usize>> {
    fields.get(key).filter(|value| value.get_ref().is_str()).map(Value::span)
}

pub(crate) fn small(number: Option<u32>) -> Option<u16> {
    number.and_then(|number| u16::try_from(number).ok())
}
