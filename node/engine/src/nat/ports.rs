//! The ports of one public address, by slots: each slot has a run of fifteen, and a flow takes its port from
//! the run of its own slot. So the port tells the slot, and the answer finds the owner without asking.
//!
//! A run that is used up borrows from another one. An engine takes ports of its own slots only: no two
//! engines, and no two nodes, can give the same one.

use wire::placement::{PORTS_PER_SLOT, first_port_of, slot_of_port};
use wire::{Protocol, SLOTS, Slot};

/// What ports are counted by: a port of TCP and the same of UDP are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// TCP.
    Tcp = 0,
    /// UDP.
    Udp = 1,
    /// Identifiers of ICMP and ICMPv6 queries.
    Icmp = 2,
    /// SCTP.
    Sctp = 3,
}

impl Class {
    /// All, in the order of arrays.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Sctp];

    /// The protocol that rules name for each.
    pub(crate) const PROTOCOLS: [Option<u8>; 4] = [Some(6), Some(17), None, Some(132)];

    /// That of a protocol; `None` if many flows cannot share an address by it.
    #[must_use]
    pub const fn of(protocol: Protocol) -> Option<Self> {
        match protocol {
            Protocol::TCP => Some(Self::Tcp),
            Protocol::UDP => Some(Self::Udp),
            Protocol::ICMP | Protocol::ICMPV6 => Some(Self::Icmp),
            Protocol::SCTP => Some(Self::Sctp),
            _ => None,
        }
    }

    /// Whether its flows have ports in headers that are all alike.
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Sctp => "sctp",
        }
    }
}

/// Which ports of each run may be given anew. A pair that hears nothing of its peer gives from its own half:
/// both go on, and neither gives what the other does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Half {
    /// All fifteen.
    #[default]
    Both,
    /// The first seven.
    Low,
    /// The last eight.
    High,
}

impl Half {
    /// Whether a port of a run is of it.
    pub(crate) fn has(self, port: u16) -> bool {
        place(port).is_none_or(|(_, bit)| self.mask() & bit != 0)
    }

    const fn mask(self) -> u16 {
        match self {
            Self::Both => ALL,
            Self::Low => ALL & 0x007f,
            Self::High => ALL & !0x007f,
        }
    }
}

/// What a port has to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) slot: Slot,
    /// Where in the run the search begins: who knows one port shall not know the next.
    pub(crate) start: u8,
    /// Even or odd, as this one is.
    pub(crate) parity: Option<u16>,
    pub(crate) half: Half,
    /// Slots that this engine owns.
    pub(crate) slots: u16,
}

/// A port that may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) port: u16,
    pub(crate) borrowed: bool,
}

/// The ports of one address and class: a word of fifteen bits for each slot.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    used: Box<[u16]>,
    /// Those that are given to nobody, since a rule sends them to a server. Nothing if there are none.
    kept: Box<[u16]>,
    taken: u32,
}

/// Runs that are compared before one lends a port: at eight the next would hardly be fuller.
const LENDERS: usize = 8;

const ALL: u16 = (1 << PORTS_PER_SLOT) - 1;

impl Runs {
    pub(crate) fn new() -> Self {
        Self { used: vec![0; usize::from(SLOTS)].into(), kept: Box::default(), taken: 0 }
    }

    /// Ports that are in use.
    pub(crate) const fn taken(&self) -> u32 {
        self.taken
    }

    /// A free port of the slot's own run, or else of one of the slots that `own` says yes to.
    pub(crate) fn offer(&self, wanted: &Wanted, own: impl Fn(Slot) -> bool) -> Option<Offer> {
        if let Some(port) = self.in_run(wanted.slot, wanted) {
            return Some(Offer { port, borrowed: false });
        }
        // Nothing is left to look for: it would be looked for at every slot.
        let most = u32::from(wanted.slots) * u32::from(PORTS_PER_SLOT);
        if self.taken >= most {
            return None;
        }
        // A step that is odd meets every slot once, and neighbours in need do not search side by side.
        let step = u32::from(wanted.start) * 2 + 1;
        let nth = |tries| (u32::from(wanted.slot.0) + tries * step) % u32::from(SLOTS);
        let others = (1..u32::from(SLOTS)).map(|tries| Slot(nth(tries) as u16));
        let mut others = others.filter(|slot| self.free(*slot, wanted) != 0 && own(*slot));
        // Who borrows from a run that needs its ports soon has it borrow, too: of a few the fullest gives.
        let few = others.by_ref().take(LENDERS);
        let lender = few.max_by_key(|slot| self.free(*slot, wanted).count_ones())?;
        self.in_run(lender, wanted).map(|port| Offer { port, borrowed: true })
    }

    /// Whether a port is like those that may be given, free or not.
    pub(crate) fn lends(&self, port: u16, wanted: &Wanted) -> bool {
        place(port).is_some_and(|(slot, bit)| {
            let kept = self.kept.get(slot).copied().unwrap_or(0);
            let first = first_port_of(Slot(slot as u16));
            !kept & wanted.half.mask() & parity(first, wanted.parity) & bit != 0
        })
    }

    /// The places in a slot's run that may be given.
    fn free(&self, slot: Slot, wanted: &Wanted) -> u16 {
        let at = usize::from(slot.0);
        let kept = self.kept.get(at).copied().unwrap_or(0);
        let like = parity(first_port_of(slot), wanted.parity);
        !(self.used[at] | kept) & wanted.half.mask() & like
    }

    /// Keeps these ports, and no others, from being given.
    pub(crate) fn keep(&mut self, ports: impl Iterator<Item = (u16, u16)>) {
        self.kept = Box::default();
        for (first, last) in ports {
            if self.kept.is_empty() {
                self.kept = vec![0; usize::from(SLOTS)].into();
            }
            for (slot, bit) in (first..=last).filter_map(place) {
                self.kept[slot] |= bit;
            }
        }
    }

    fn in_run(&self, slot: Slot, wanted: &Wanted) -> Option<u16> {
        port_of(slot, self.free(slot, wanted), wanted.start)
    }

    /// A free port of a slot's own run, of any parity.
    #[inline(always)]
    pub(crate) fn own(&self, slot: Slot, start: u8, half: Half) -> Option<u16> {
        let at = usize::from(slot.0);
        let kept = if self.kept.is_empty() { 0 } else { self.kept[at] };
        port_of(slot, !(self.used[at] | kept) & half.mask(), start)
    }

    pub(crate) fn is_free(&self, port: u16) -> bool {
        let kept = |slot: usize| self.kept.get(slot).copied().unwrap_or(0);
        place(port).is_some_and(|(slot, bit)| (self.used[slot] | kept(slot)) & bit == 0)
    }

    /// The same of a port that may be given anew.
    pub(crate) fn is_free_for(&self, port: u16, half: Half) -> bool {
        self.is_free(port) && place(port).is_some_and(|(_, bit)| half.mask() & bit != 0)
    }

    /// `false`: it is taken already, or no port of a run.
    #[inline(always)]
    pub(crate) fn take(&mut self, port: u16) -> bool {
        let Some((slot, bit)) = place(port) else { return false };
        let free = self.used[slot] & bit == 0;
        self.used[slot] |= bit;
        self.taken += u32::from(free);
        free
    }

    pub(crate) fn give_all_back(&mut self) {
        self.used.fill(0);
        self.taken = 0;
    }

    pub(crate) fn give_back(&mut self, port: u16) {
        if let Some((slot, bit)) = place(port) {
            self.taken -= u32::from(self.used[slot] & bit != 0);
            self.used[slot] &= !bit;
        }
    }
}

/// One of the free places of a slot's run, the first from `start` on.
#[inline(always)]
fn port_of(slot: Slot, free: u16, start: u8) -> Option<u16> {
    let from = free & (ALL << (u16::from(start) % PORTS_PER_SLOT));
    let place = if from == 0 { free } else { from }.trailing_zeros() as u16;
    (free != 0).then_some(first_port_of(slot) + place)
}

/// The bits of a run that begins at `first` whose ports are like this one.
const fn parity(first: u16, like: Option<u16>) -> u16 {
    const EVEN_PLACES: u16 = 0x5555 & ALL;
    match like {
        None => ALL,
        Some(port) if (port ^ first) & 1 == 0 => EVEN_PLACES,
        Some(_) => ALL & !EVEN_PLACES,
    }
}

#[inline(always)]
fn place(port: u16) -> Option<(usize, u16)> {
    let slot = slot_of_port(port)?;
    Some((usize::from(slot.0), 1 << (port - first_port_of(slot))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    use super::*;

    fn wanted(slot: u16) -> Wanted {
        Wanted { slots: SLOTS, slot: Slot(slot), start: 0, parity: None, half: Half::Both }
    }

    #[test]
    fn a_run_gives_its_fifteen_ports_then_borrows_then_refuses() {
        let mut runs = Runs::new();
        let own = |slot: Slot| slot.0 < 2;
        for place in 0..15 {
            let offer = runs.offer(&wanted(1), own).expect("there are fifteen");
            assert_eq!(offer, Offer { port: 1024 + 15 + place, borrowed: false });
            assert!(runs.take(offer.port));
        }
        for _ in 0..15 {
            let offer = runs.offer(&wanted(1), own).expect("another run has fifteen, too");
            assert!(offer.borrowed && slot_of_port(offer.port) == Some(Slot(0)), "{offer:?}");
            assert!(runs.take(offer.port) && !runs.take(offer.port));
        }
        assert_eq!(runs.offer(&wanted(1), own), None);
        runs.give_back(1030);
        runs.give_back(1030);
        assert_eq!((runs.taken(), runs.is_free(1030), runs.is_free(1031)), (29, true, false));
        assert_eq!(runs.offer(&wanted(1), own), Some(Offer { port: 1030, borrowed: true }));
    }

    #[test]
    fn all_ports_of_an_address_are_given_once() {
        let mut runs = Runs::new();
        let mut given = BTreeSet::new();
        while let Some(offer) = runs.offer(&Wanted { start: 11, ..wanted(7) }, |_| true) {
            assert!(runs.take(offer.port));
            assert!(given.insert(offer.port), "{} twice", offer.port);
        }
        assert_eq!(given.len(), 61_440);
        assert_eq!((given.first(), given.last()), (Some(&1024), Some(&62_463)));
    }

    #[test]
    fn halves_share_a_run_without_meeting() {
        let give = |half| {
            let mut runs = Runs::new();
            let mut given = BTreeSet::new();
            while let Some(offer) = runs.offer(&Wanted { half, ..wanted(9) }, |_| true) {
                assert!(runs.take(offer.port));
                given.insert(offer.port);
            }
            given
        };
        let (low, high) = (give(Half::Low), give(Half::High));
        assert_eq!((low.len(), high.len()), (7 * 4096, 8 * 4096));
        assert!(low.is_disjoint(&high));
    }

    proptest! {
        #[test]
        fn an_offer_is_free_of_the_slot_and_of_the_parity(
            used in prop::collection::vec(1024_u16..1054, 0..25),
            slot in 0_u16..2, start in 0_u8..15, parity in any::<Option<u16>>(),
        ) {
            let mut runs = Runs::new();
            for port in &used {
                runs.take(*port);
            }
            let like = |port: u16| parity.is_none_or(|like| (like ^ port) & 1 == 0);
            let wanted = Wanted { start, parity, ..wanted(slot) };
            let run = first_port_of(Slot(slot))..first_port_of(Slot(slot)) + 15;
            let expected = run.clone().any(|port| !used.contains(&port) && like(port));
            match runs.offer(&wanted, |_| false) {
                None => prop_assert!(!expected),
                Some(Offer { port, borrowed }) => {
                    prop_assert!(expected && !borrowed && run.contains(&port) && like(port));
                    prop_assert!(!used.contains(&port));
                }
            }
        }
    }
}
