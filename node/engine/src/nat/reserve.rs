//! Ports of public addresses that sessions to come will be sent to: a gateway has announced them.
//!
//! Such a port is taken as long as anybody needs it: the pinhole, then each session that came by it.

use std::net::IpAddr;

use wire::placement::{PORTS_PER_SLOT, first_port_of};
use wire::{Protocol, SLOTS, Slot};

use super::fixed_map::FixedMap;
use super::ports::{Class, Wanted};
use super::{Nat, Place};
use crate::limits::NAT_RESERVED_MAX;
use crate::policy::Policy;
use crate::session::{Peer, Session};
use crate::table::{NO_PLACE, Twin};

/// Runs that are looked through for two ports beside each other.
const PAIR_SLOTS: u16 = 64;

/// A port of a public address.
pub(super) type Reserved = (Place, Class, u16);

/// How many need each.
#[derive(Debug, Default)]
pub(super) struct Reservations(Option<FixedMap<Reserved, u32>>);

impl Reservations {
    pub(super) fn clear(&mut self) {
        if let Some(known) = &mut self.0 {
            known.clear();
        }
    }
}

impl Nat {
    /// Takes the memory for ports that are announced.
    pub(crate) fn prepare_announcements(&mut self) {
        let seed = self.seed;
        let nothing = ((0, Class::Tcp, 0), 0);
        let known = &mut self.reserved.0;
        known.get_or_insert_with(|| FixedMap::new(NAT_RESERVED_MAX, seed, nothing));
    }

    /// A port of a public address that nobody has, of this slot's run if there is one. It is not taken yet.
    pub(crate) fn free_port(
        &self,
        place: Place,
        protocol: Protocol,
        (slot, start, slots): (Slot, u8, u16),
        owns: impl Fn(Slot) -> bool,
    ) -> Option<u16> {
        let runs = self.runs(place, Class::of(protocol)?)?;
        let wanted = Wanted { slot, start, parity: None, half: self.half, slots };
        runs.offer(&wanted, owns).map(|offer| offer.port)
    }

    /// Two ports of one slot's run that nobody has, the first one even, of this slot if it has them.
    pub(crate) fn free_pair(
        &self,
        place: Place,
        protocol: Protocol,
        slot: Slot,
        owns: impl Fn(Slot) -> bool,
    ) -> Option<u16> {
        let runs = self.runs(place, Class::of(protocol)?)?;
        let slots = (0..PAIR_SLOTS).map(|step| Slot((slot.0 + step) % SLOTS));
        let ports = slots.filter(|slot| owns(*slot)).flat_map(|slot| {
            let first = first_port_of(slot);
            (first..first + PORTS_PER_SLOT - 1).filter(|port| port.is_multiple_of(2))
        });
        let free = |port: &u16| {
            runs.is_free_for(*port, self.half) && runs.is_free_for(*port + 1, self.half)
        };
        ports.into_iter().find(free)
    }

    /// Where an address is kept: it may have come by a record before it was known here.
    pub(crate) fn place_of(&self, place: Place, (domain, address): (u16, IpAddr)) -> Option<Place> {
        if place == NO_PLACE { self.place(domain, address) } else { Some(place) }
    }

    /// Whether a port of an own address may stand for one of a server: nobody has it, no rule sends it
    /// elsewhere, and it is none of its host's.
    pub(crate) fn may_lend(
        &self,
        policy: &Policy,
        (domain, protocol): (u16, Protocol),
        (address, port): (IpAddr, u16),
    ) -> bool {
        let rules = policy.translations();
        let kept = rules.served(address).chain(rules.host());
        let kept = kept.filter(|it| it.0 == protocol.0);
        let class = Class::of(protocol);
        let runs = self
            .place(domain, address)
            .zip(class)
            .and_then(|(place, class)| self.runs(place, class));
        kept.into_iter().all(|(_, first, last)| !(first..=last).contains(&port))
            && runs.is_none_or(|runs| runs.is_free(port))
    }

    /// One more needs this port. `false`: it is no port that is given, or there is no memory.
    pub(crate) fn reserve(
        &mut self,
        (domain, protocol): (u16, Protocol),
        (address, port): (IpAddr, u16),
    ) -> bool {
        let Some(place) = self.place(domain, address) else { return false };
        let Some(class) = Class::of(protocol) else { return false };
        let Some(known) = self.reserved.0.as_mut() else { return false };
        if let Some(count) = known.get_mut(&(place, class, port)) {
            *count += 1;
            return true;
        }
        if known.is_full() {
            return false;
        }
        let Some(runs) = self.runs_mut(place, class) else { return false };
        // Else a session has it: that is one who needs it, too.
        let needed = if runs.take(port) { 1 } else { 2 };
        self.reserved.0.as_mut().is_some_and(|known| known.insert((place, class, port), needed))
    }

    /// A session begins that has this port; whether others need it, too.
    pub(super) fn share_reserved(&mut self, port: Reserved) -> bool {
        let count = self.reserved.0.as_mut().and_then(|known| known.get_mut(&port));
        count.map(|count| *count += 1).is_some()
    }

    /// One less needs it.
    pub(crate) fn unreserve(
        &mut self,
        (domain, protocol): (u16, Protocol),
        (address, port): (IpAddr, u16),
    ) {
        let (Some(place), Some(class)) = (self.place(domain, address), Class::of(protocol)) else {
            return;
        };
        // Where there was no memory to note it, it is not this one's to give back.
        let known = self.reserved.0.as_ref();
        if known.is_some_and(|known| known.get(&(place, class, port)).is_some()) {
            self.let_go((place, class, port));
        }
    }

    /// Who had this port needs it no more: it is given back if nobody does.
    pub(super) fn let_go(&mut self, port: Reserved) {
        if let Some(known) = self.reserved.0.as_mut()
            && let Some(count) = known.get_mut(&port)
        {
            *count -= 1;
            if *count > 0 {
                return;
            }
            known.remove(&port);
        }
        if let Some(runs) = self.runs_mut(port.0, port.1) {
            runs.give_back(port.2);
        }
    }

    /// An announced session begins that was sent to a public address.
    pub(super) fn begin_child(&mut self, session: &Session, twin: &Twin) {
        if let Some(sent) = announced(session, twin) {
            self.reserve((session.key.domain(), session.key.protocol()), sent);
        }
    }

    /// It is over.
    pub(super) fn end_child(&mut self, session: &Session, twin: &Twin) {
        if let Some(sent) = announced(session, twin) {
            self.unreserve((session.key.domain(), session.key.protocol()), sent);
        }
    }
}

/// The endpoint that an announced session was sent to, if it is another one beyond.
fn announced(session: &Session, twin: &Twin) -> Option<(IpAddr, u16)> {
    let sent = session.key.destination(session.direction(Peer::Initiator));
    (session.is_child() && twin.ends().destination != sent).then_some(sent)
}
