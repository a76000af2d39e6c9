//! The screens of a policy, by the numbers of its zones.

use std::sync::Arc;

use config::{AddressSet, Policy, PrefixLengths, Screen};
use sketch::{Aggregation, Place};

/// The screens in force.
#[derive(Clone, Debug, Default)]
pub struct Screens {
    zones: Vec<ZoneScreen>,
    aggregation: Vec<Aggregation>,
}

/// The screen of one zone.
#[derive(Clone, Debug)]
pub struct ZoneScreen {
    /// The zone's number, as observations have it.
    pub zone: u8,
    /// Its detectors.
    pub screen: Screen,
    policy: Arc<Policy>,
}

impl Screens {
    /// Those of `policy`. A zone's number is its index; one whose index is none is not observed, so it has no
    /// screen here.
    pub fn new(policy: &Arc<Policy>) -> Self {
        let mut aggregation = vec![Aggregation::default(); policy.zones.len()];
        let zone = |screen: &Screen| {
            let PrefixLengths { v4, v6 } = screen.aggregate;
            aggregation.get_mut(screen.zone)?.source = (v4, v6);
            let zone = u8::try_from(screen.zone).ok()?;
            Some(ZoneScreen { zone, screen: screen.clone(), policy: Arc::clone(policy) })
        };
        let zones = policy.screens.iter().filter_map(zone).collect();
        Self { zones, aggregation }
    }

    /// How the zones aggregate, by their numbers: what books are made with.
    pub fn aggregation(&self) -> &[Aggregation] {
        &self.aggregation
    }

    /// The screen of the zone with this number.
    pub fn of(&self, zone: u8) -> Option<&ZoneScreen> {
        self.zones.iter().find(|it| it.zone == zone)
    }

    /// Whether no zone has any.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }
}

impl ZoneScreen {
    /// Whether some address of a place is exempt.
    pub fn exempts(&self, source: &Place) -> bool {
        let Some(exempt) = &self.screen.exempt else { return false };
        let within = exempt.sets.iter().any(|set| overlaps(&self.policy.sets[*set], source));
        within != exempt.negate
    }
}

/// Whether a set and a place have an address in common.
fn overlaps(set: &AddressSet, place: &Place) -> bool {
    let length = u32::from(place.prefix_length());
    match place.address() {
        core::net::IpAddr::V4(address) => {
            let last = u32::MAX.checked_shr(length).unwrap_or(0);
            meets(&set.v4, address.to_bits(), address.to_bits() | last)
        }
        core::net::IpAddr::V6(address) => {
            let last = u128::MAX.checked_shr(length).unwrap_or(0);
            meets(&set.v6, address.to_bits(), address.to_bits() | last)
        }
    }
}

fn meets<T: Ord + Copy>(ranges: &[(T, T)], first: T, last: T) -> bool {
    let after = ranges.partition_point(|range| range.1 < first);
    ranges.get(after).is_some_and(|range| range.0 <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exempt_address_exempts_the_prefix_that_it_is_in() {
        let text = "[zones]\nin = \"a\"\nout = \"b\"\n[[screen]]\nzone = \"out\"\naggregate-v4 = 24\n\
                    exempt = [\"192.0.2.7\", \"2001:db8:1:2::5-2001:db8:1:2::9\"]\n";
        let policy = config::parse_policy("p", text, &mut |_| Err(String::new())).unwrap().value;
        let screens = Screens::new(&Arc::new(policy));
        let sources: Vec<_> = screens.aggregation().iter().map(|it| it.source).collect();
        assert_eq!(sources, [(32, 64), (24, 64)]);
        assert!(screens.of(0).is_none() && !screens.is_empty());
        let screen = screens.of(1).unwrap();
        let exempts =
            |text: &str, v4, v6| screen.exempts(&Place::new(1, text.parse().unwrap(), v4, v6));
        assert!(exempts("192.0.2.7", 32, 64) && !exempts("192.0.2.8", 32, 64));
        assert!(exempts("192.0.2.8", 24, 64) && !exempts("192.0.3.8", 24, 64));
        assert!(exempts("2001:db8:1:2::", 32, 64) && !exempts("2001:db8:1:3::", 32, 64));
        assert!(exempts("2001:db8:1:2::7", 32, 128) && !exempts("2001:db8:1:2::4", 32, 128));
    }
}
