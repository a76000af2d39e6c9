//! What is done to a translated packet when it leaves.

use std::net::IpAddr;

use wire::translate::{self, Delta, Ends, nat64};
use wire::{Embedded, Packet, Version};

use crate::commit::Body;
use crate::engine::{Engine, Keyed};
use crate::session::{Flags, Peer, Session};
use crate::table::{Beyond, Handle};

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

    /// Writes the frame of the other family; `id` is the identification that it gets if it becomes IPv4.
    /// `None`: it cannot be.
    pub(crate) fn write(
        &self,
        frame: &[u8],
        packet: &Packet,
        id: u16,
        space: &mut [u8],
    ) -> Option<usize> {
        let written = match (self, packet.version) {
            (Self::Across(to), Version::V4) => nat64::to_v6(frame, packet, to, space),
            (Self::Across(to), Version::V6) => nat64::to_v4(frame, packet, to, id, space),
            (Self::Error { outer, quoted, across: true }, version) => {
                let embedded = Embedded::parse(frame, packet).ok()?;
                match version {
                    Version::V4 => {
                        nat64::error_to_v6(frame, packet, &embedded, *outer, quoted, space)
                    }
                    Version::V6 => {
                        nat64::error_to_v4(frame, packet, &embedded, *outer, quoted, id, space)
                    }
                }
            }
            (Self::Within(..) | Self::Error { across: false, .. }, _) => return None,
        };
        written.ok()
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

/// Whether the packet in hand is to be translated, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Not,
    /// It was translated already: it stands for another one.
    Done,
    /// It is of this session, from this peer. The session may have ended with it.
    Session(Handle, Peer),
    /// It is an ICMP error.
    Error,
}

impl Turn {
    /// That of a packet of a session.
    #[inline]
    pub(crate) const fn of(handle: Handle, session: &Session, sender: Peer) -> Self {
        if session.flags.has(Flags::TRANSLATED) { Self::Session(handle, sender) } else { Self::Not }
    }
}

impl Engine {
    /// That of an ICMP error about a session.
    #[inline]
    pub(crate) fn turn_of_error(&self, keyed: &Keyed) -> Turn {
        if keyed.packet.is_icmp_error() && !self.is_untranslated() {
            Turn::Error
        } else {
            Turn::Not
        }
    }

    /// Translates what nearly every packet is; `false`, and nothing done, for any other.
    #[inline]
    pub(crate) fn rewrites_simply(&self, turn: Turn, packet: &Packet, body: &mut Body<'_>) -> bool {
        let Turn::Session(handle, sender) = turn else { return false };
        let Some((session, twin)) = self.table.remains(handle) else { return false };
        let Beyond { key, direction, delta } = twin.beyond(session, sender);
        translate::rewrite_simple(body.bytes_mut(), packet, (key, direction), delta)
    }

    /// What its turn means for a packet.
    pub(crate) fn rewriting(&self, turn: Turn, keyed: &Keyed) -> Option<Rewriting> {
        match turn {
            Turn::Not | Turn::Done => None,
            Turn::Session(handle, sender) => {
                let (session, twin) = self.table.remains(handle)?;
                let beyond = twin.beyond(session, sender);
                Some(Rewriting::of(&keyed.packet, beyond.ends(), beyond.delta))
            }
            Turn::Error => self.rewriting_of_error(keyed),
        }
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
