//! Names that mean the same on every node: rules and zones by hashes of what the operator calls
//! them, so that sessions find their own under another order of the file.

use std::collections::BTreeMap;

use crate::ids::{RuleIndex, ZoneId};

/// Hashes of the names of rules and zones, both ways. 0 names nothing.
#[derive(Debug, Default)]
pub(super) struct Names {
    rules: Box<[u64]>,
    zones: Box<[u32]>,
    rule_of: BTreeMap<u64, Option<RuleIndex>>,
    zone_of: BTreeMap<u32, Option<ZoneId>>,
}

impl Names {
    pub(super) fn of(policy: &config::Policy) -> Self {
        let rules: Box<[u64]> = policy.rules.iter().map(|rule| hash(rule.id.as_str())).collect();
        let zones: Box<[u32]> = policy.zones.iter().map(|zone| short(hash(&zone.name))).collect();
        let (mut rule_of, mut zone_of) = (BTreeMap::new(), BTreeMap::new());
        for (place, name) in rules.iter().enumerate() {
            // Two of one hash: neither is told, and their sessions are judged anew.
            let index = RuleIndex(place as u32);
            rule_of.entry(*name).and_modify(|rule| *rule = None).or_insert(Some(index));
        }
        for (place, name) in zones.iter().enumerate() {
            let zone = ZoneId(place as u16);
            zone_of.entry(*name).and_modify(|zone| *zone = None).or_insert(Some(zone));
        }
        Self { rules, zones, rule_of, zone_of }
    }

    pub(super) fn of_rule(&self, rule: RuleIndex) -> u64 {
        self.rules.get(rule.index()).copied().unwrap_or(0)
    }

    pub(super) fn of_zone(&self, zone: ZoneId) -> u32 {
        self.zones.get(zone.index()).copied().unwrap_or(0)
    }

    pub(super) fn rule(&self, name: u64) -> Option<RuleIndex> {
        self.rule_of.get(&name).copied().flatten()
    }

    pub(super) fn zone(&self, name: u32) -> Option<ZoneId> {
        self.zone_of.get(&name).copied().flatten()
    }
}

/// FNV-1a, 64 bits: the same in every version, and good enough where the operator chooses the names.
fn hash(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, step).max(1)
}

/// Both halves of a hash in one.
const fn short(hash: u64) -> u32 {
    let folded = (hash >> 32) as u32 ^ hash as u32;
    if folded == 0 { 1 } else { folded }
}

#[cfg(test)]
mod tests {
    use super::{hash, short};

    #[test]
    fn a_name_has_the_same_hash_for_ever() {
        // The reference values of FNV-1a (draft-eastlake-fnv, "foobar").
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(short(hash("foobar")), 0x8594_4171 ^ 0xf739_67e8);
    }
}
