//! Endpoint-independent mappings (RFC 4787 §4.1): an inside endpoint keeps its public one as long as it has
//! a session by it, whoever with.

use std::net::{IpAddr, Ipv4Addr};

use config::Filtering;

use super::fixed_map::FixedMap;
use super::ports::Class;

/// An endpoint inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inside {
    pub(crate) domain: u16,
    pub(crate) class: Class,
    pub(crate) endpoint: (IpAddr, u16),
}

/// An endpoint outside: the place of its address, and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outside {
    pub(crate) place: u16,
    pub(crate) class: Class,
    pub(crate) port: u16,
}

/// All mappings of an engine, with as many sessions as there are of each. An inside endpoint has one for each
/// public address that it leaves by: with two uplinks there are two.
#[derive(Debug)]
pub(crate) struct Mappings {
    by_inside: FixedMap<(Inside, u16), (Outside, u32)>,
    by_outside: FixedMap<Outside, (Inside, Filtering)>,
    /// Whom an inside endpoint has sent to, with the sessions of each.
    contacts: FixedMap<(Outside, IpAddr), u32>,
}

const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Mappings {
    /// Room for so many mappings and for as many contacts.
    pub(crate) fn new(most: u32, seed: u64) -> Self {
        let inside = Inside { domain: 0, class: Class::Tcp, endpoint: (NOWHERE, 0) };
        let outside = Outside { place: 0, class: Class::Tcp, port: 0 };
        Self {
            by_inside: FixedMap::new(most, seed, ((inside, 0), (outside, 0))),
            by_outside: FixedMap::new(
                most,
                seed.rotate_left(17),
                (outside, (inside, Filtering::default())),
            ),
            contacts: FixedMap::new(most, seed.rotate_left(31), ((outside, NOWHERE), 0)),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.by_inside.clear();
        self.by_outside.clear();
        self.contacts.clear();
    }

    pub(crate) const fn len(&self) -> u32 {
        self.by_inside.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.by_inside.is_full() || self.contacts.is_full()
    }

    /// The mapping of an inside endpoint at a public address, by the place of that.
    pub(crate) fn of_inside(&self, inside: &Inside, place: u16) -> Option<Outside> {
        self.by_inside.get(&(*inside, place)).map(|(outside, _)| *outside)
    }

    /// Who is mapped to a public endpoint, and who may open sessions by that.
    pub(crate) fn of_outside(&self, outside: &Outside) -> Option<(Inside, Filtering)> {
        self.by_outside.get(outside).copied()
    }

    /// Whether the inside endpoint of a mapping has a session with this address.
    pub(crate) fn knows(&self, outside: &Outside, address: IpAddr) -> bool {
        self.contacts.get(&(*outside, address)).is_some()
    }

    /// One more session by a mapping, which is new if it is the first. `false`: there is no room.
    pub(crate) fn begin(
        &mut self,
        inside: Inside,
        outside: Outside,
        remote: IpAddr,
        filtering: Filtering,
    ) -> bool {
        if self.is_full() {
            return false;
        }
        let by = (inside, outside.place);
        match self.by_inside.get_mut(&by) {
            Some((_, sessions)) => *sessions += 1,
            None => {
                self.by_inside.insert(by, (outside, 1));
                self.by_outside.insert(outside, (inside, filtering));
            }
        }
        match self.contacts.get_mut(&(outside, remote)) {
            Some(sessions) => *sessions += 1,
            None => {
                self.contacts.insert((outside, remote), 1);
            }
        }
        true
    }

    /// One session less; whether the mapping is gone with it.
    pub(crate) fn end(&mut self, inside: &Inside, outside: &Outside, remote: IpAddr) -> bool {
        let contact = (*outside, remote);
        if let Some(sessions) = self.contacts.get_mut(&contact) {
            *sessions -= 1;
            if *sessions == 0 {
                self.contacts.remove(&contact);
            }
        }
        let by = (*inside, outside.place);
        let Some((_, sessions)) = self.by_inside.get_mut(&by) else { return false };
        *sessions -= 1;
        if *sessions > 0 {
            return false;
        }
        self.by_inside.remove(&by);
        self.by_outside.remove(outside);
        true
    }
}
