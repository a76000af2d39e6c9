//! What nearly every translated first packet becomes: TCP or UDP over IPv4, whose source gets a port of its
//! own slot's run, and whose destination stays.
//!
//! It answers as [`choose`](super::choose), its slow twin, would, or not at all: refusals, borrowing,
//! mappings, and rules that ask for more than zones take the long way.

use std::net::IpAddr;

use config::SourceTo;
use wire::placement::slot_of_flow;
use wire::{Delta, Direction, FlowKey};

use super::choose::start_of;
use super::ports::Class;
use super::{Binding, NatRule, Public, spread};
use crate::engine::Engine;
use crate::table::{Marks, Twin};
use crate::{PortId, ZoneId};

/// A first packet that a rule permits, whose destination stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Simple<'a> {
    pub(crate) key: &'a FlowKey,
    pub(crate) direction: Direction,
    pub(crate) hash: u64,
    /// Of its sender and its receiver.
    pub(crate) zones: [ZoneId; 2],
    pub(crate) egress: PortId,
}

impl Engine {
    /// How the session of such a packet will be translated; the inner `None`: not at all. `None`: who wants
    /// to know takes the long way.
    #[inline(always)]
    pub(crate) fn binding_simply(&self, first: &Simple<'_>) -> Option<Option<Binding>> {
        let Simple { key, direction, hash, zones, egress } = *first;
        let rules = self.policy.translations();
        if rules.has_mappings() {
            return None;
        }
        let class = Class::of(key.protocol()).filter(|class| class.is_plain())?;
        let [source, destination] = key.v4_ends(direction)?;
        let (rule, to) = rules.source_by_zones(zones)?;
        let place = match to {
            SourceTo::Pool(pool) => self.place_in_pool(pool, source.0)?,
            SourceTo::Interface => self.place_of_port(egress, key, direction)?,
            SourceTo::Untouched => return Some(None),
        };
        let Public { address: IpAddr::V4(address), runs, .. } =
            self.nat.addresses.get(usize::from(place))?
        else {
            return None;
        };
        let slot = slot_of_flow(self.settings.secret, key);
        let port = runs[class as usize].own(slot, start_of(hash), self.nat.half)?;
        let to = (address.to_bits(), port);
        let domain = self.fib.domain_of(egress).unwrap_or_default();
        let (beyond, initiator) = FlowKey::v4(domain, key.protocol(), to, destination);
        let second = self.table.hash(&beyond);
        if !self.table.has_twin_room(second) || source == to {
            return None;
        }
        let twin = Twin {
            key: beyond,
            delta: Delta::between_v4_sources(source, to),
            initiator,
            marks: Marks::PORT,
            rules: [self.nat.number(rule), NatRule::NONE],
            place,
        };
        Some(Some(Binding { twin, hash: second, free: true }))
    }

    /// Where the address of a pool is kept that an inside address has.
    #[inline]
    fn place_in_pool(&self, pool: usize, inside: u32) -> Option<u16> {
        let [places, _] = self.nat.pools.get(pool)?;
        let from = match places.len() {
            1 => 0,
            _ => spread(self.settings.secret, IpAddr::V4(inside.into())),
        };
        let nth = from.checked_rem(places.len() as u32)?;
        places.get(nth as usize).copied()
    }

    /// Where the address is kept that sources get that leave by a port.
    #[inline(never)]
    fn place_of_port(&self, port: PortId, key: &FlowKey, direction: Direction) -> Option<u16> {
        let (destination, _) = key.destination(direction);
        let shared = self.nat.shared_by(port, destination);
        let address = shared.or_else(|| self.fib.source_for(port, destination))?;
        self.nat.place(self.fib.domain_of(port).unwrap_or_default(), address)
    }
}
