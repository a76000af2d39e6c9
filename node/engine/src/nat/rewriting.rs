//! What is done to a translated packet when it leaves.

use std::net::IpAddr;

use wire::translate::{self, Delta, Ends};
use wire::{Embedded, Packet, Version};

use crate::engine::{Engine, Keyed};
use crate::session::{Peer, Session};
use crate::table::Handle;

/// How a packet in hand changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rewriting {
    /// Other ends of the same family.
    Within(Ends, Delta),
    /// Ends of the other family.
    Across(Ends),
    /// An ICMP error: who it is from and to, and the ends of the packet that it quotes.
    Error { outer: (IpAddr, IpAddr), quoted: Ends, across: bool },
}

impl Rewriting {
    /// Of a packet whose translation begins, or goes on.
    pub(crate) fn of(packet: &Packet, to: Ends, delta: Delta) -> Self {
        if Version::of(to.destination.0) == packet.version {
            Self::Within(to, delta)
        } else {
            Self::Across(to)
        }
    }

    /// Whether another frame leaves in the place of the one in hand.
    pub(crate) const fn makes_another(&self) -> bool {
        matches!(self, Self::Across(_) | Self::Error { across: true, .. })
    }

    /// Writes the frame of the other family. `None`: it cannot be.
    pub(crate) fn write(
        &self,
        _frame: &[u8],
        _packet: &Packet,
        _space: &mut [u8],
    ) -> Option<usize> {
        None
    }

    /// Carries it out within one family.
    pub(crate) fn apply(&self, frame: &mut [u8], packet: &Packet) {
        match self {
            Self::Within(to, delta) => translate::rewrite(frame, packet, to, *delta),
            Self::Error { outer, quoted, across: false } => {
                if let Ok(embedded) = Embedded::parse(frame, packet) {
                    translate::rewrite_quotation(frame, packet, &embedded, *outer, quoted);
                }
            }
            Self::Across(_) | Self::Error { across: true, .. } => {}
        }
    }
}

impl Engine {
    /// How a packet of a session changes that goes on.
    pub(crate) fn rewriting_of(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
        packet: &Packet,
    ) -> Option<Rewriting> {
        let twin = self.table.twin(handle, session)?;
        let to = self.ends_beyond(handle, session, sender)?;
        let delta = match sender {
            Peer::Initiator => twin.delta,
            Peer::Responder => twin.delta.reversed(),
        };
        Some(Rewriting::of(packet, to, delta))
    }

    /// How an ICMP error changes that is about a packet of a translated session.
    pub(crate) fn rewriting_of_error(&self, keyed: &Keyed) -> Option<Rewriting> {
        let (key, direction) = keyed.flow.as_ref()?;
        let found = self.table.locate(keyed.hash, key)?;
        let session = self.table.get(found.0)?;
        self.table.twin(found.0, session)?;
        let sender = self.quoted_sender(found, session, *direction)?;
        // As its sender knows it, and as it looked where the error comes from.
        let here = match sender {
            Peer::Initiator => Ends::of_key(&session.key, session.direction(Peer::Initiator)),
            Peer::Responder => self.table.twin(found.0, session)?.ends().reversed(),
        };
        let there = self.ends_beyond(found.0, session, sender)?;
        let packet = &keyed.packet;
        let across = Version::of(here.source.0) != packet.version;
        // Whoever is translated is not seen by its own address, nor are those beside it.
        let from = match (across, here.destination.0 == there.destination.0) {
            (true, _) => from_across(packet.source, here.destination.0),
            (false, true) => packet.source,
            (false, false) => here.destination.0,
        };
        Some(Rewriting::Error { outer: (from, here.source.0), quoted: here, across })
    }
}

/// A router of the other family: behind the prefix that the destination has (RFC 6052), or, where IPv4 has
/// no word for it, the destination itself.
fn from_across(router: IpAddr, destination: IpAddr) -> IpAddr {
    match (router, destination) {
        (IpAddr::V4(router), IpAddr::V6(destination)) => {
            let prefix = destination.to_bits() & !u128::from(u32::MAX);
            std::net::Ipv6Addr::from_bits(prefix | u128::from(router.to_bits())).into()
        }
        _ => destination,
    }
}
