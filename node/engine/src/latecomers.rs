//! Packets that this node may not forward: those that the old owner of a switchover passes on to the new
//! one, and those that the heir holds until it owns. The driver has them; here they are counted, and what
//! waited inside the engine comes out again.

use std::net::IpAddr;

use wire::{Ends, Packet, Time, Version};

use crate::commit::change_hop_limit;
use crate::engine::{Engine, Origin};
use crate::fib::{Hop, Lookup};
use crate::replication::Role;
use crate::session::{Flags, Peer};
use crate::table::{Handle, SessionTable, Side};
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
        let Self { replication, pending, table, .. } = self;
        let (bytes, waiting) = match replication.held.expire(Time::MAX) {
            Some(frame) => (frame.bytes, frame.meta.waiting()),
            None => {
                let frame = pending.expire(Time::MAX)?;
                (frame.bytes, frame.meta)
            }
        };
        if undo(bytes, &waiting.link) {
            untranslate(table, bytes, waiting.domain);
        }
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
        let ends = Self::seen_by_policy(session, self.table.twin(handle, session));
        let ways = ends.map(|(address, _)| address);
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
///
/// Whether it was routed.
fn undo(frame: &mut [u8], link: &[u8; 12]) -> bool {
    let Some(addresses) = frame.first_chunk_mut::<12>() else { return false };
    if addresses == link {
        return false;
    }
    *addresses = *link;
    if let Ok(packet) = Packet::parse(frame) {
        change_hop_limit(frame, &packet, |hops| hops.saturating_add(1));
    }
    true
}

/// Gives a frame of a translated session the ends back that it came with. One whose session is over, and
/// one that was made of the other family, stays as it is: its sender sends it again.
pub(crate) fn untranslate(table: &SessionTable, frame: &mut [u8], domain: u16) {
    let Ok(packet) = Packet::parse(frame) else { return };
    let Some((key, direction)) = wire::flow_key(&packet, domain) else { return };
    let Some((handle, side)) = table.locate(table.hash(&key), &key) else { return };
    let Some(session) = table.get(handle) else { return };
    let Some(twin) = table.twin(handle, session) else { return };
    let (sender, to, delta) = match side {
        Side::First => (session.sender(direction), twin.ends().reversed(), twin.delta),
        Side::Second => {
            let came = Ends::of_key(&session.key, session.direction(Peer::Initiator));
            (twin.sender(direction), came, twin.delta.reversed())
        }
    };
    let left = match side {
        Side::First => Peer::Responder,
        Side::Second => Peer::Initiator,
    };
    if sender == left && Version::of(to.source.0) == packet.version {
        wire::translate::rewrite(frame, &packet, &to, delta);
    }
}

/// The session that a frame, as it came in, belongs to, if it is one of its initiator's and nobody has
/// answered yet.
pub(crate) fn begun_by(table: &SessionTable, frame: &[u8], domain: u16) -> Option<Handle> {
    let packet = Packet::parse(frame).ok()?;
    let (key, direction) = wire::flow_key(&packet, domain)?;
    let handle = table.find(table.hash(&key), &key)?;
    let session = table.get(handle)?;
    let begins = session.sender(direction) == Peer::Initiator
        && !session.flags.has(Flags::REPLY_SEEN)
        && !session.flags.has(Flags::UNREACHABLE);
    begins.then_some(handle)
}
