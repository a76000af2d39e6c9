//! No translated source gets a port that the host serves. Who lets in all ports to the host leaves none.

use core::ops::Range;

use crate::parse::reader::Reader;
use crate::{NatKind, Policy, Service, SourceTo};

/// The ports that translated sources may have: of 4,096 slots fifteen each, as `ARCHITECTURE.md` says.
const SOURCES: (u16, u16) = (1024, 62_463);
/// Protocols whose sources have such ports, by number and name.
const PROTOCOLS: [(u8, &str); 3] = [(6, "tcp"), (17, "udp"), (132, "sctp")];

/// Warns of rules that translate to addresses of ports, where `[[host-inbound]]` has all ports of a protocol.
pub(crate) fn check(reader: &mut Reader<'_>, policy: &Policy, spans: &[Range<usize>]) {
    let inbound = policy.host_inbound.iter().filter_map(|it| it.services.as_ref());
    let services: Vec<&Service> = inbound.flatten().collect();
    let taken: Vec<_> = PROTOCOLS.iter().filter(|(of, _)| takes_all(&services, *of)).collect();
    for (rule, span) in policy.nat.rules.iter().zip(spans) {
        let meant = taken.iter().filter(|(of, _)| masquerades(&rule.kind, *of));
        let names: Vec<&str> = meant.map(|(_, name)| *name).collect();
        if !names.is_empty() {
            let names = names.join(" and ");
            let message = format!("rule `{}` has no {names} port to give", rule.id);
            let (first, last) = SOURCES;
            let hint = format!(
                "`[[host-inbound]]` has all of {first} to {last} for the host: let in the ports alone \
                 that it serves"
            );
            reader.warn(span, message, hint);
        }
    }
}

/// Whether a rule translates sources of a protocol to addresses of ports.
fn masquerades(kind: &NatKind, protocol: u8) -> bool {
    match kind {
        NatKind::Source(nat) => {
            let carries = |all: &Vec<Service>| all.iter().any(|it| it.protocol == protocol);
            nat.translate == SourceTo::Interface && nat.services.as_ref().is_none_or(carries)
        }
        NatKind::Nat64(nat) => nat.translate == SourceTo::Interface,
        NatKind::Destination(_) | NatKind::Static(_) | NatKind::Prefix(_) => false,
    }
}

/// Whether services of a protocol are all that sources could have.
fn takes_all(services: &[&Service], protocol: u8) -> bool {
    let of = services.iter().filter(|service| service.protocol == protocol);
    let mut ranges: Vec<(u16, u16)> =
        of.map(|service| service.destination_ports.unwrap_or((0, u16::MAX))).collect();
    ranges.sort_unstable();
    let (first, last) = (u32::from(SOURCES.0), u32::from(SOURCES.1));
    let covered = ranges.iter().fold(first, |next, &(from, to)| {
        if u32::from(from) <= next { next.max(u32::from(to) + 1) } else { next }
    });
    covered > last
}
