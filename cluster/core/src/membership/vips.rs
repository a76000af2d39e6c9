//! The addresses of the VIP group: held by the owner, announced when it gets them and slowly ever after.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use engine::PortId;
use wire::Time;

use crate::limits::{ANNOUNCE_AT, ANNOUNCE_EVERY, DEFEND_INTERVAL};

/// An address of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vip {
    /// The port it is on.
    pub port: PortId,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix.
    pub prefix: u8,
}

/// What the addresses' holder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Put the address on its port.
    Add(Vip),
    /// Take it off.
    Remove(Vip),
    /// Send a gratuitous ARP (RFC 5227 §3) or an unsolicited neighbour advertisement (RFC 4861 §7.2.6).
    Announce(Vip),
}

/// Which addresses are held, and when they are announced next.
#[derive(Clone, Debug)]
pub struct Vips {
    vips: Vec<Vip>,
    held: Option<Held>,
    conflicts: u64,
    defended_at: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    since: Time,
    /// How many announcements there were.
    announced: usize,
    next: Time,
}

impl Vips {
    /// A group that is not held.
    pub fn new(vips: Vec<Vip>) -> Self {
        Self { vips, held: None, conflicts: 0, defended_at: None }
    }

    /// Takes all addresses; they are announced at once, by the next [`Vips::handle_timeout`].
    pub fn take(&mut self, now: Time, orders: impl FnMut(Order)) {
        if self.held.is_none() {
            self.held = Some(Held { since: now, announced: 0, next: now });
            self.vips.iter().copied().map(Order::Add).for_each(orders);
        }
    }

    /// Gives all addresses up.
    pub fn release(&mut self, orders: impl FnMut(Order)) {
        if self.held.take().is_some() {
            self.vips.iter().copied().map(Order::Remove).for_each(orders);
        }
    }

    /// Another node has held the addresses, too, and may have been believed: they are announced as if
    /// they were new.
    pub fn announce_anew(&mut self, now: Time) {
        if let Some(held) = &mut self.held {
            *held = Held { since: now, announced: 0, next: now };
        }
    }

    /// Announces what is due.
    pub fn handle_timeout(&mut self, now: Time, orders: impl FnMut(Order)) {
        let Some(held) = self.held.as_mut().filter(|held| held.next <= now) else { return };
        held.announced += 1;
        held.next = match ANNOUNCE_AT.get(held.announced) {
            Some(after) => held.since + *after,
            None => now + ANNOUNCE_EVERY,
        };
        self.vips.iter().copied().map(Order::Announce).for_each(orders);
    }

    /// Somebody else was seen to use `address`: counted, and answered if it is ours to defend
    /// (RFC 5227 §2.4 b). Tells whether it is.
    pub fn handle_conflict(
        &mut self,
        address: IpAddr,
        now: Time,
        mut orders: impl FnMut(Order),
    ) -> bool {
        let ours = self.vips.iter().copied().find(|vip| vip.address == address);
        let Some(vip) = ours.filter(|_| self.held.is_some()) else { return false };
        self.conflicts += 1;
        let rest = self.defended_at.is_some_and(|at| now.since(at) < DEFEND_INTERVAL);
        if !rest {
            self.defended_at = Some(now);
            orders(Order::Announce(vip));
        }
        true
    }

    /// When [`Vips::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.held.filter(|_| !self.vips.is_empty()).map(|held| held.next)
    }

    /// Whether the addresses are held.
    pub fn held(&self) -> bool {
        self.held.is_some()
    }

    /// Packets of others that used one of our addresses while we held it.
    pub fn conflicts(&self) -> u64 {
        self.conflicts
    }
}
