//! From what a control channel announces to the pinhole that lets it in.

use std::net::IpAddr;

use wire::{Ends, Protocol, Time};

use super::pinholes::{Hint, Pinhole};
use super::steering::Steered;
use crate::engine::Engine;
use crate::limits::PINHOLE_PORT_MIN;
use crate::nat::Place;
use crate::session::{Peer, Session};
use crate::table::{Handle, Marks, Twin};

/// What one side of a control channel will listen for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    pub(crate) protocol: Protocol,
    /// Its address, where it names one.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    /// Sessions that may come.
    pub(crate) uses: u8,
}

/// Why nothing is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It names another host than its sender: a bounce (RFC 2577 §3).
    ThirdParty,
    /// A port that services have.
    LowPort,
    /// Its two sides are of different families.
    Families,
    /// There is no pinhole left, or another session has announced the same.
    NoRoom,
    /// The public address has no port left.
    NoPort,
}

/// Both sides of a session, of which one announces something to the other.
pub(crate) struct Sides {
    /// The one that announces, as it knows itself.
    own: (IpAddr, u16),
    /// The same as the other one knows it.
    shown: (IpAddr, u16),
    /// The other one, as it knows itself.
    other: IpAddr,
    /// The routing domain of the other one.
    domain: u16,
    /// The other one as the first one knows it, and the routing domain of that.
    pub(crate) seen: (u16, IpAddr),
    /// Where the address is kept whose ports its sessions are given.
    public: Option<Place>,
}

impl Sides {
    pub(crate) fn of(session: &Session, twin: Option<&Twin>, sender: Peer) -> Self {
        let first = Ends::of_key(&session.key, session.direction(Peer::Initiator));
        let last = twin.map_or(first, Twin::ends);
        let beyond = twin.map_or(session.key.domain(), |twin| twin.key.domain());
        match sender {
            Peer::Initiator => Self {
                own: first.source,
                shown: last.source,
                other: last.destination.0,
                domain: beyond,
                seen: (session.key.domain(), first.destination.0),
                public: twin.filter(|twin| twin.marks.has(Marks::PORT)).map(|twin| twin.place),
            },
            Peer::Responder => Self {
                own: last.destination,
                shown: first.destination,
                other: first.source.0,
                domain: session.key.domain(),
                seen: (beyond, last.source.0),
                public: None,
            },
        }
    }
}

impl Engine {
    /// Lets in what `sender` of a control channel announces. Returns how the other side must know it.
    pub(crate) fn expect(
        &mut self,
        handle: Handle,
        sender: Peer,
        announced: &Announced,
        now: Time,
    ) -> Result<(IpAddr, u16), Refused> {
        let told = self.open_pinhole(handle, sender, announced, now);
        self.algs.counters.count(told.as_ref().err().copied());
        told
    }

    fn open_pinhole(
        &mut self,
        handle: Handle,
        sender: Peer,
        announced: &Announced,
        now: Time,
    ) -> Result<(IpAddr, u16), Refused> {
        let session = *self.table.get(handle).ok_or(Refused::NoRoom)?;
        let twin = self.table.twin(handle, &session).copied();
        let sides = Sides::of(&session, twin.as_ref(), sender);
        if sides.own.0.is_ipv4() != sides.shown.0.is_ipv4() {
            return Err(Refused::Families);
        }
        if announced.address.is_some_and(|address| address != sides.own.0) {
            return Err(Refused::ThirdParty);
        }
        if announced.port < PINHOLE_PORT_MIN {
            return Err(Refused::LowPort);
        }
        let Announced { protocol, port, uses, .. } = *announced;
        let shown = self.shown_port(&session, twin.as_ref(), &sides, announced)?;
        let to = (sides.shown.0, shown);
        let hint = Hint { domain: sides.domain, protocol, from: sides.other, to };
        let takes_port = self.nat.reserve((hint.domain, protocol), to);
        let pinhole = Pinhole {
            parent: (handle.place(), session.id),
            opener: sender.other(),
            inside: (sides.own.0, port),
            seen: sides.seen,
            takes_port,
            uses,
            until: Time::ZERO,
        };
        // Who announces the same again means the same: what stands there goes.
        self.close_pinhole_of(&hint, session.id);
        let rows = Steered::of_pinhole(&hint, &pinhole);
        let steered = self.algs.steer(&rows);
        if !steered || !self.algs.pinholes.open(hint, pinhole, now) {
            if steered {
                self.algs.let_go(&rows);
            }
            if takes_port {
                self.nat.unreserve((hint.domain, protocol), to);
            }
            return Err(Refused::NoRoom);
        }
        let control = self.algs.controls.at(handle.place());
        if let Some(oldest) = control.and_then(|control| control.remember(hint)) {
            self.close_pinhole_of(&oldest, session.id);
        }
        Ok(to)
    }

    /// The port that the other side is told.
    fn shown_port(
        &self,
        session: &Session,
        twin: Option<&Twin>,
        sides: &Sides,
        announced: &Announced,
    ) -> Result<u16, Refused> {
        let Announced { protocol, port, .. } = *announced;
        let Some(place) = sides.public else { return Ok(port) };
        // One that listens where it already sends from.
        if (protocol, port) == (session.key.protocol(), sides.own.1) {
            return Ok(sides.shown.1);
        }
        let slot = self.slot_of_session(&session.key, session.direction(Peer::Initiator), twin);
        let owns = |slot| self.owns_all || self.owner_of(slot).is_none();
        let place = self.nat.place_of(place, (sides.domain, sides.shown.0));
        let place = place.ok_or(Refused::NoPort)?;
        let start = (session.id % 15) as u8;
        let free = self.nat.free_port(place, protocol, (slot, start, self.slots), owns);
        free.ok_or(Refused::NoPort)
    }

    /// Closes a pinhole if it is of this session.
    fn close_pinhole_of(&mut self, hint: &Hint, session: u64) {
        let Self { algs, nat, .. } = self;
        let known = algs.pinholes.get(hint, Time::ZERO);
        if known.is_some_and(|pinhole| pinhole.parent.1 == session)
            && let Some(pinhole) = algs.pinholes.close(hint)
        {
            algs.give_back(hint, &pinhole, nat);
        }
    }
}
