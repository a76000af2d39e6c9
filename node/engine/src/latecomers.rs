//! Packets that this node may not forward: those that the old owner of a switchover passes on to the new
//! one, and those that the heir holds until it owns. The driver has them; here they are counted, and what
//! waited inside the engine comes out again.

use std::net::IpAddr;

use wire::{Packet, Time};

use crate::commit::change_hop_limit;
use crate::engine::{Engine, Origin};
use crate::fib::{Hop, Lookup};
use crate::replication::Role;
use crate::session::Peer;
use crate::table::Handle;
use crate::{PortId, Reason};

/// A packet that waited in the engine, as it came in.
#[derive(Debug)]
pub struct Latecomer<'a> {
    /// The port that it came in by.
    pub ingress: PortId,
    /// The packets that it stands for; 0 for further pieces of one.
    pub packets: u32,
    /// The frame.
    pub frame: &'a [u8],
}

/// Books of the driver.
impl Engine {
    /// Counts packets that the driver passed on to the node that owns, or could not.
    pub fn pass_on(&mut self, origin: Origin, passed: Result<(), Reason>, packets: u32) {
        match passed {
            Ok(()) => {
                self.ledger.take(origin, packets);
                self.ledger.pass_on(packets);
            }
            Err(reason) => self.refuse(origin, reason, packets),
        }
    }

    /// Counts packets that the driver holds until this node owns. They come back as [`Origin::Held`].
    pub fn hold_for_lease(&mut self, origin: Origin, packets: u32) {
        self.ledger.take(origin, packets);
        self.ledger.hold(packets);
    }
}

/// What waits in an engine that is not to judge any more.
impl Engine {
    /// Takes out a packet that waits for the backup or for a next hop's link-layer address, undone to what
    /// it was when it came in. It still counts as held: [`Self::pass_on`] it as [`Origin::Held`].
    pub fn next_latecomer(&mut self) -> Option<Latecomer<'_>> {
        let Self { replication, pending, .. } = self;
        let (bytes, waiting) = match replication.held.expire(Time::MAX) {
            Some(frame) => (frame.bytes, frame.meta.waiting()),
            None => {
                let frame = pending.expire(Time::MAX)?;
                (frame.bytes, frame.meta)
            }
        };
        undo(bytes, &waiting.link);
        Some(Latecomer { ingress: waiting.ingress, packets: waiting.packets, frame: bytes })
    }
}

/// The heir's next hops.
impl Engine {
    /// A backup asks for the link-layer addresses that its replica will need, so that its first packets as
    /// an owner need not wait for them.
    pub(crate) fn want_next_hops(&mut self, handle: Handle) {
        if self.replication.role != Role::Backup {
            return;
        }
        let Some(session) = self.table.get(handle) else { return };
        let (key, hash) = (session.key, self.table.hash(&session.key) as u32);
        let ways = Peer::BOTH.map(|peer| key.destination(session.direction(peer)).0);
        for to in ways {
            if let Some((port, next)) = self.unresolved(key.domain(), to, hash) {
                self.want(port, next);
            }
        }
    }

    fn unresolved(&self, domain: u16, to: IpAddr, hash: u32) -> Option<(PortId, IpAddr)> {
        match self.fib.lookup(domain, to, hash) {
            Lookup::Hop(Hop { port, next }) => {
                self.fib.resolve(port, next).is_none().then_some((port, next))
            }
            Lookup::Local
            | Lookup::Broadcast
            | Lookup::Blackhole
            | Lookup::Unreachable
            | Lookup::Prohibit
            | Lookup::NoRoute => None,
        }
    }
}

/// Gives a frame that was readied for its next hop the link-layer addresses that it came with, and the hop
/// that it was charged. One that passed a wire has its addresses, and was charged none.
fn undo(frame: &mut [u8], link: &[u8; 12]) {
    let Some(addresses) = frame.first_chunk_mut::<12>() else { return };
    if addresses == link {
        return;
    }
    *addresses = *link;
    if let Ok(packet) = Packet::parse(frame) {
        change_hop_limit(frame, &packet, |hops| hops.saturating_add(1));
    }
}
