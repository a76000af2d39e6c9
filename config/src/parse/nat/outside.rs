//! Addresses outside that stand for some inside: each for one, and none of a pool.

use core::ops::Range;

use super::pool::Pools;
use crate::parse::address::AddressRange;
use crate::parse::reader::Reader;

/// What the rules so far have claimed.
pub(super) struct Outside {
    /// By any rule that maps addresses one to one.
    outside: Vec<Claim>,
    /// Those inside of rules without state: what a packet is translated into follows from it alone.
    inside: Vec<Claim>,
}

/// Addresses of a rule.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) rule: String,
    pub(super) line: usize,
    /// Of the zone outside; `None`: of any.
    pub(super) zone: Option<usize>,
    pub(super) range: AddressRange,
}

impl Claim {
    fn meets(&self, other: &Self) -> bool {
        let zones = self.zone.is_none() || other.zone.is_none() || self.zone == other.zone;
        zones && self.range.touches(other.range)
    }
}

impl Outside {
    pub(super) const fn new() -> Self {
        Self { outside: Vec::new(), inside: Vec::new() }
    }

    /// Claims addresses outside.
    pub(super) fn outside(
        &mut self,
        reader: &mut Reader<'_>,
        pools: &Pools,
        claim: Claim,
        span: &Range<usize>,
    ) {
        if let Some((pool, line)) = pools.with(claim.range) {
            let message = format!("some of these are in pool `{pool}`, in line {line}");
            let hint = "a pool's addresses are shared by ports, these are one host's each";
            reader.error_hint(span, message, hint);
        }
        add(reader, &mut self.outside, claim, span, "an address outside stands for one inside");
    }

    /// Claims addresses inside for a rule without state.
    pub(super) fn inside(&mut self, reader: &mut Reader<'_>, claim: Claim, span: &Range<usize>) {
        add(
            reader,
            &mut self.inside,
            claim,
            span,
            "an address inside has one outside, by each zone",
        );
    }
}

fn add(
    reader: &mut Reader<'_>,
    claims: &mut Vec<Claim>,
    claim: Claim,
    span: &Range<usize>,
    hint: &str,
) {
    if let Some(other) = claims.iter().find(|other| other.meets(&claim)) {
        let message =
            format!("rule `{}`, in line {}, translates some of these", other.rule, other.line);
        reader.error_hint(span, message, hint);
    }
    claims.push(claim);
}
