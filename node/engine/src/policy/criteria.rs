//! What one rule matches, in compiled form, and the one function that says whether it does.

use super::Question;
use super::addresses::{AddressTest, Book};
use crate::ids::ZoneId;

/// The match fields of one rule; `None` is any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Criteria {
    pub(super) from: Option<ZoneId>,
    pub(super) to: Option<ZoneId>,
    pub(super) services: Option<(u32, u32)>, // from, to: a run of `Tables::services`
    pub(super) source: Option<AddressTest>,
    pub(super) destination: Option<AddressTest>,
}

/// What the criteria of all rules refer to.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) book: Book,
    pub(super) services: Vec<Service>,
}

impl Criteria {
    #[inline]
    pub(super) fn mismatch(&self, tables: &Tables, question: &Question) -> Option<Mismatch> {
        if self.from.is_some_and(|zone| zone != question.from_zone) {
            return Some(Mismatch::FromZone);
        }
        if self.to.is_some_and(|zone| zone != question.to_zone) {
            return Some(Mismatch::ToZone);
        }
        if !self.services.is_none_or(|run| tables.serves(run, question)) {
            return Some(Mismatch::Service);
        }
        let satisfies =
            |test: Option<_>, address| test.is_none_or(|test| tables.book.satisfies(test, address));
        if !satisfies(self.source, question.source) {
            return Some(Mismatch::Source);
        }
        if !satisfies(self.destination, question.destination) {
            return Some(Mismatch::Destination);
        }
        None
    }
}

impl Tables {
    #[inline]
    fn serves(&self, run: (u32, u32), question: &Question) -> bool {
        self.services[run.0 as usize..run.1 as usize]
            .iter()
            .any(|service| service.matches(question))
    }
}

/// The first field of a rule that does not match, in the order in which they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It enters by another zone.
    FromZone,
    /// It leaves by another zone.
    ToZone,
    /// Protocol, ports or ICMP type differ.
    Service,
    /// The source address is not in (or, negated, is in) the rule's sets.
    Source,
    /// The destination address is not in (or, negated, is in) the rule's sets.
    Destination,
}

impl Mismatch {
    /// The field's name in the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FromZone => "from",
            Self::ToZone => "to",
            Self::Service => "service",
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// One protocol with what narrows it; ranges are inclusive.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    pub(super) protocol: u8,
    pub(super) source_ports: (u16, u16),
    pub(super) destination_ports: (u16, u16),
    pub(super) icmp: Option<(u8, Option<u8>)>,
}

impl Service {
    #[inline]
    pub(super) fn matches(&self, question: &Question) -> bool {
        self.protocol == question.protocol.0
            && within(self.source_ports, question.source_port)
            && within(self.destination_ports, question.destination_port)
            && self.icmp_matches(question.icmp)
    }

    fn icmp_matches(&self, icmp: Option<(u8, u8)>) -> bool {
        match (self.icmp, icmp) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((want, None)), Some((kind, _))) => want == kind,
            (Some((want, Some(want_code))), Some((kind, code))) => {
                (want, want_code) == (kind, code)
            }
        }
    }
}

impl From<&config::Service> for Service {
    fn from(service: &config::Service) -> Self {
        const ANY: (u16, u16) = (0, u16::MAX);
        Self {
            protocol: service.protocol,
            source_ports: service.source_ports.unwrap_or(ANY),
            destination_ports: service.destination_ports.unwrap_or(ANY),
            icmp: service.icmp,
        }
    }
}

fn within(range: (u16, u16), port: u16) -> bool {
    range.0 <= port && port <= range.1
}
