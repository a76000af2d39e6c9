//! One service of one rule, as it is compared with a packet.

use super::super::Question;
use super::super::criteria::Service;

/// What a question asks of an entry, worked out once for all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) protocol: u8,
    pub(super) source_port: u16,
    destination_port: u16,
    icmp: u32, // ICMP | type << 8 | code, or 0
}

/// Set where there is an ICMP type.
const ICMP: u32 = 1 << 16;

impl Asked {
    #[inline]
    pub(super) fn of(question: &Question) -> Self {
        let icmp = |(kind, code)| ICMP | u32::from(kind) << 8 | u32::from(code);
        Self {
            protocol: question.protocol.0,
            source_port: question.source_port,
            destination_port: question.destination_port,
            icmp: question.icmp.map_or(0, icmp),
        }
    }

    /// What services of the packet's protocol are told apart by: ICMP type and code, or else the
    /// destination port.
    #[inline]
    pub(super) const fn detail(&self) -> u16 {
        if is_icmp(self.protocol) { self.icmp as u16 } else { self.destination_port }
    }
}

const fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, 1 | 58)
}

/// Whether the rule matches for certain if its entry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Yes.
    Whole,
    /// Filed under wider labels than its own: its addresses must be looked up.
    Widened,
    /// The same, and no class tells its addresses.
    Opaque,
}

/// A service of a rule. Ports are a first one and how many follow, so that one comparison does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) rule: u32,
    source_ports: (u16, u16),
    destination_ports: (u16, u16),
    icmp: (u32, u32),   // what, and which bits of it
    protocol: (u8, u8), // what, and which bits of it
    pub(super) certainty: Certainty,
}

/// First port, and how many follow.
#[inline]
const fn within(ports: (u16, u16), port: u16) -> bool {
    port.wrapping_sub(ports.0) <= ports.1
}

/// What an entry says of a packet, without the rule.
pub(super) type Content = ((u16, u16), (u16, u16), (u32, u32), (u8, u8));

impl Entry {
    /// Any packet.
    pub(super) const fn any(rule: u32, certainty: Certainty) -> Self {
        let all = (0, u16::MAX);
        let (icmp, protocol) = ((0, 0), (0, 0));
        Self { rule, source_ports: all, destination_ports: all, icmp, protocol, certainty }
    }

    /// A packet of `service`; `None` if there is none, its ports running backwards.
    pub(super) fn new(rule: u32, service: &Service, certainty: Certainty) -> Option<Self> {
        let ports = |(first, last): (u16, u16)| Some((first, last.checked_sub(first)?));
        let icmp = match service.icmp {
            None => (0, 0),
            Some((kind, None)) => (ICMP | u32::from(kind) << 8, ICMP | 0xff00),
            Some((kind, Some(code))) => {
                (ICMP | u32::from(kind) << 8 | u32::from(code), ICMP | 0xffff)
            }
        };
        Some(Self {
            rule,
            source_ports: ports(service.source_ports)?,
            destination_ports: ports(service.destination_ports)?,
            icmp,
            protocol: (service.protocol, u8::MAX),
            certainty,
        })
    }

    #[inline]
    pub(super) const fn matches(&self, asked: &Asked) -> bool {
        (asked.protocol ^ self.protocol.0) & self.protocol.1 == 0
            && within(self.destination_ports, asked.destination_port)
            && within(self.source_ports, asked.source_port)
            && (asked.icmp ^ self.icmp.0) & self.icmp.1 == 0
    }

    pub(super) const fn content(&self) -> Content {
        (self.source_ports, self.destination_ports, self.icmp, self.protocol)
    }

    /// True if the entry matches every packet whose addresses its rule matches.
    pub(super) fn is_any(&self) -> bool {
        self.content() == Self::any(0, Certainty::Whole).content()
    }

    /// The one protocol that it matches, or `None` for any.
    pub(super) fn protocol(&self) -> Option<u8> {
        (self.protocol.1 != 0).then_some(self.protocol.0)
    }

    /// First and last [`Asked::detail`] that it can match.
    pub(super) fn details(&self) -> (u16, u16) {
        let last_port = self.destination_ports.0 + self.destination_ports.1;
        match self.protocol() {
            None => (0, u16::MAX),
            Some(protocol) if is_icmp(protocol) => {
                (self.icmp.0 as u16, self.icmp.0 as u16 | !(self.icmp.1 as u16))
            }
            Some(_) => (self.destination_ports.0, last_port),
        }
    }

    /// First and last source port that it matches.
    pub(super) const fn source_ports(&self) -> (u16, u16) {
        (self.source_ports.0, self.source_ports.0 + self.source_ports.1)
    }
}
