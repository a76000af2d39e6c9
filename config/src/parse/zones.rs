//! `[zones]`: names for sets of ports.
//!
//! A zone is its ports, or in the long form a table of them and what the zone is granted.

use core::ops::Range;
use std::collections::BTreeMap;

use super::fields::{self, Fields};
use super::options;
use super::reader::{Reader, Value, quoted};
use crate::Zone;
use crate::limits::{PORTS_MAX, ZONES_MAX};

/// Keys of a zone in the long form.
const LONG_FORM: [&str; 2] = ["ports", "sessions-max"];

/// The zones in the order of the file.
pub(crate) struct Zones {
    pub(crate) zones: Vec<Zone>,
}

impl Zones {
    /// Parses `[zones]`; a port may be in one zone only.
    pub(crate) fn parse(reader: &mut Reader<'_>, document: &Fields<'_, '_>) -> Self {
        let mut zones = Vec::new();
        let mut owners = BTreeMap::new();
        let table = document.required(reader, "zones");
        let table = table.and_then(|value| Fields::open(reader, value, "[zones]"));
        for (name, span, value) in table.iter().flat_map(Fields::entries) {
            if check_name(reader, name, &span) {
                zones.push(zone(reader, name, value, &mut owners));
            }
        }
        if zones.len() > ZONES_MAX {
            let span = table.map_or(0..0, |table| table.span);
            reader.error(&span, format!("{} zones, the limit is {ZONES_MAX}", zones.len()));
        }
        Self { zones }
    }

    /// The index of zone `name`; a dangling one is reported at `span`.
    pub(crate) fn find(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        span: &Range<usize>,
    ) -> Option<usize> {
        let found = self.zones.iter().position(|zone| zone.name == name);
        if found.is_none() {
            let names = || self.zones.iter().map(|zone| zone.name.as_str());
            let all = || Some(format!("zones: {}", names().collect::<Vec<_>>().join(", ")));
            reader.unknown(span, format!("unknown zone {}", quoted(name)), name, names(), all);
        }
        found
    }
}

fn check_name(reader: &mut Reader<'_>, name: &str, span: &Range<usize>) -> bool {
    if name == "any" {
        reader.error(span, "`any` means every zone already");
        return false;
    }
    reader.check_name("zone", name, span)
}

fn zone<'v>(
    reader: &mut Reader<'_>,
    name: &'v str,
    value: &'v Value<'_>,
    owners: &mut BTreeMap<&'v str, &'v str>,
) -> Zone {
    let mut zone = Zone { name: name.to_owned(), ports: Vec::new(), sessions_max: None };
    if !value.get_ref().is_table() {
        zone.ports = ports(reader, name, value, owners);
    } else if let Some(fields) = Fields::new(reader, value, "the zone", &LONG_FORM) {
        let named = fields.required(reader, "ports");
        zone.ports = named.map_or_else(Vec::new, |value| ports(reader, name, value, owners));
        zone.sessions_max = options::sessions_max(reader, &fields);
    }
    zone
}

fn ports<'v>(
    reader: &mut Reader<'_>,
    zone: &'v str,
    value: &'v Value<'_>,
    owners: &mut BTreeMap<&'v str, &'v str>,
) -> Vec<String> {
    let mut ports = Vec::new();
    if fields::list(value).is_empty() {
        reader.error_hint(&value.span(), format!("zone `{zone}` has no ports"), "name its ports");
    }
    for (port, span) in fields::strings(reader, value) {
        if !reader.check_name("port", port, &span) {
            continue;
        }
        match owners.insert(port, zone) {
            Some(other) => {
                let message = format!("port `{port}` is in zone `{other}` already");
                reader.error_hint(&span, message, "a port is in one zone only");
            }
            None => ports.push(port.to_owned()),
        }
    }
    if ports.len() > PORTS_MAX {
        let message = format!("{} ports, the limit is {PORTS_MAX}", ports.len());
        reader.error(&value.span(), message);
    }
    ports
}
