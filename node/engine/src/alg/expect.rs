//! From what a control channel announces to the pinhole that lets it in.

use std::net::IpAddr;

use wire::{Ends, FlowKey, PlacementKey, Protocol, Time, slot};

use super::pinholes::{Hint, Pinhole};
use super::speech::Speech;
use super::steering::Steered;
use crate::engine::Engine;
use crate::limits::PINHOLE_PORT_MIN;
use crate::nat::Place;
use crate::session::{Peer, Session};
use crate::table::{Handle, Marks, Twin};
use crate::tcp::State;

/// What one side of a control channel will listen for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Announced {
    pub(crate) protocol: Protocol,
    /// Its address, where it names one.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    /// Sessions that may come.
    pub(crate) uses: u8,
    /// The call that they are of, or 0.
    pub(crate) call: u32,
    /// The port that the other side is to be told, where that is settled.
    pub(crate) shown: Option<u16>,
    /// What they will speak, if that is to be read, too.
    pub(crate) speech: Option<Speech>,
}

impl Announced {
    /// Nothing yet.
    pub(crate) const NONE: Self = Self {
        protocol: Protocol(0),
        address: None,
        port: 0,
        uses: 1,
        call: 0,
        shown: None,
        speech: None,
    };
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

/// The last port that an address of the firewall's own lends.
const LAST_PORT: u16 = 62_463;
/// Ports that are tried, one behind the other.
const PORTS_TRIED: usize = 64;
/// Numbers of calls that are tried: of several workers, each has a part of them.
const CALLS_TRIED: u16 = 1_024;

/// The number that no call of a gateway has: GRE without one has the same key.
pub(crate) const NO_CALL: u16 = 0;

/// Both sides of a session, of which one announces something to the other.
pub(crate) struct Sides {
    /// The one that announces, as it knows itself.
    pub(crate) own: (IpAddr, u16),
    /// The same as the other one knows it.
    pub(crate) shown: (IpAddr, u16),
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

    /// Where a session to an endpoint of the first side comes in.
    fn hint(&self, protocol: Protocol, port: u16) -> Hint {
        let Self { domain, other, shown, .. } = *self;
        Hint { domain, protocol, from: other, to: (shown.0, port) }
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
        let Announced { protocol, port, uses, call, speech, .. } = *announced;
        // Calls of GRE have numbers, any of which a host may give.
        if port < PINHOLE_PORT_MIN && protocol != Protocol::GRE {
            return Err(Refused::LowPort);
        }
        let known = self.told_before(handle, (sides.own.0, port), announced);
        let shown = match known.or(announced.shown) {
            Some(shown) => shown,
            None => self.shown_port(&session, twin.as_ref(), &sides, announced)?,
        };
        let hint = sides.hint(protocol, shown);
        let to = hint.to;
        let takes_port = self.nat.reserve((hint.domain, protocol), to);
        let pinhole = Pinhole {
            parent: (handle.place(), session.id),
            opener: sender.other(),
            inside: (sides.own.0, port),
            seen: sides.seen,
            takes_port,
            uses,
            call,
            speech,
            answered: false,
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

    /// The port that the other side was told before of what is announced again.
    pub(crate) fn told_before(
        &self,
        handle: Handle,
        inside: (IpAddr, u16),
        announced: &Announced,
    ) -> Option<u16> {
        let session = self.table.get(handle)?;
        let control = self.algs.controls.of(handle, session).filter(|_| announced.call != 0)?;
        control.hints().find_map(|hint| {
            let known = self.algs.pinholes.get(hint, Time::ZERO)?;
            let same = (known.inside, known.call) == (inside, announced.call);
            (same && hint.protocol == announced.protocol).then_some(hint.to.1)
        })
    }

    /// Two ports, of which the first is even and the second the next, that nobody has: for what `sender`
    /// announces at two that are so. `None`: they are told as they are.
    pub(crate) fn pair_for(
        &self,
        handle: Handle,
        sender: Peer,
        protocol: Protocol,
    ) -> Result<Option<u16>, Refused> {
        let session = self.table.get(handle).ok_or(Refused::NoRoom)?;
        let twin = self.table.twin(handle, session);
        let sides = Sides::of(session, twin, sender);
        let Some(place) = sides.public else { return Ok(None) };
        let place = self.nat.place_of(place, (sides.domain, sides.shown.0));
        let slot = self.slot_of_session(&session.key, session.direction(Peer::Initiator), twin);
        let owns = |slot| self.owns(slot);
        let pair = place.and_then(|place| self.nat.free_pair(place, protocol, slot, owns));
        pair.map(Some).ok_or(Refused::NoPort)
    }

    /// The number by which the other side is to know a call of `sides`: its own one, where nobody else
    /// has that at the address that stands for it. Each worker gives those whose packets are placed with
    /// it. `None`: none was found.
    pub(crate) fn call_number(&self, handle: Handle, sides: &Sides, own: u16) -> Option<u16> {
        if sides.own.0 == sides.shown.0 {
            return Some(own);
        }
        let (domain, other) = sides.seen;
        let ends = ((other, 0), (sides.own.0, own));
        let (inside, _) = FlowKey::new(domain, Protocol::GRE, ends.0, ends.1);
        // The packets of an earlier call of this number still come by the number that it was told then.
        let before = self.table.locate(self.table.hash(&inside), &inside);
        let before = before.and_then(|(handle, _)| self.table.get(handle));
        let before = before.map(|it| it.key.destination(it.direction(Peer::Initiator)).1);
        let near = (0..CALLS_TRIED).map(|step| own.wrapping_add(step));
        let mut all = before.into_iter().chain(near).filter(|number| *number != NO_CALL);
        all.find(|number| {
            let hint = sides.hint(Protocol::GRE, *number);
            let (outside, _) = FlowKey::new(hint.domain, Protocol::GRE, (hint.from, 0), hint.to);
            let place = slot(self.settings.secret, &PlacementKey::of_flow(&outside));
            let same = |it: &Pinhole| (it.parent.0, it.inside) == (handle.place(), ends.1);
            self.owns(place)
                && self.algs.pinholes.get(&hint, Time::ZERO).is_none_or(same)
                && self.leads_nowhere_but(&outside, &inside)
        })
    }

    /// Whether no session comes in as `outside` that becomes anything but `inside`.
    fn leads_nowhere_but(&self, outside: &FlowKey, inside: &FlowKey) -> bool {
        let Some((handle, _)) = self.table.locate(self.table.hash(outside), outside) else {
            return true;
        };
        let session = self.table.get(handle);
        let twin = session.and_then(|session| self.table.twin(handle, session));
        twin.is_some_and(|twin| twin.key == *inside)
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
        let Some(place) = sides.public else { return self.port_of_own(sides, announced) };
        // One that listens where it already sends from.
        if (protocol, port) == (session.key.protocol(), sides.own.1) {
            return Ok(sides.shown.1);
        }
        let slot = self.slot_of_session(&session.key, session.direction(Peer::Initiator), twin);
        let owns = |slot| self.owns(slot);
        let place = self.nat.place_of(place, (sides.domain, sides.shown.0));
        let place = place.ok_or(Refused::NoPort)?;
        let start = (session.id % 15) as u8;
        let free = self.nat.free_port(place, protocol, (slot, start, self.slots), owns);
        free.ok_or(Refused::NoPort)
    }

    /// The port that the other side was told of an endpoint in any of the channel's pinholes.
    pub(crate) fn told_at(
        &self,
        handle: Handle,
        protocol: Protocol,
        inside: (IpAddr, u16),
    ) -> Option<u16> {
        self.pinhole_at(handle, protocol, inside).map(|(hint, _)| hint.to.1)
    }

    /// The call that the pinhole of an endpoint is of.
    pub(crate) fn call_at(
        &self,
        handle: Handle,
        protocol: Protocol,
        inside: (IpAddr, u16),
    ) -> Option<u32> {
        self.pinhole_at(handle, protocol, inside).map(|(_, pinhole)| pinhole.call)
    }

    fn pinhole_at(
        &self,
        handle: Handle,
        protocol: Protocol,
        inside: (IpAddr, u16),
    ) -> Option<(&Hint, &Pinhole)> {
        let control = self.algs.controls.of(handle, self.table.get(handle)?)?;
        let known = |hint| Some((hint, self.algs.pinholes.get(hint, Time::ZERO)?));
        let mut all = control.hints().filter_map(known);
        all.find(|(hint, pinhole)| hint.protocol == protocol && pinhole.inside == inside)
    }

    /// Whom an endpoint means that one of the channel's pinholes is for.
    pub(crate) fn inside_of(&self, handle: Handle, to: (IpAddr, u16)) -> Option<(IpAddr, u16)> {
        let control = self.algs.controls.of(handle, self.table.get(handle)?)?;
        let hint = control.hints().find(|hint| hint.to == to)?;
        self.algs.pinholes.get(hint, Time::ZERO).map(|pinhole| pinhole.inside)
    }

    /// A call is over, or, of one that is not answered, refused. Returns whether a pinhole was closed.
    pub(crate) fn close_call(&mut self, handle: Handle, call: u32, refused: bool) -> bool {
        self.close_like(handle, |it| it.call == call && !(refused && it.answered))
    }

    /// The same of all calls like these.
    pub(crate) fn close_calls(&mut self, handle: Handle, like: impl Fn(u32) -> bool) -> bool {
        self.close_like(handle, |it| like(it.call))
    }

    fn close_like(&mut self, handle: Handle, like: impl Fn(&Pinhole) -> bool) -> bool {
        let mut closed = false;
        while let Some((hint, session)) = self.pinhole_like(handle, &like) {
            self.close_pinhole_of(&hint, session);
            if let Some(control) = self.algs.controls.at(handle.place()) {
                control.forget(&hint);
            }
            closed = true;
        }
        closed
    }

    /// Closes all pinholes of a control channel.
    pub(crate) fn close_announced(&mut self, handle: Handle) {
        let Some(session) = self.table.get(handle) else { return };
        let hints = self.algs.controls.of(handle, session).map(|control| control.hints);
        let session = session.id;
        for hint in hints.into_iter().flatten().flatten() {
            self.close_pinhole_of(&hint, session);
            if let Some(control) = self.algs.controls.at(handle.place()) {
                control.forget(&hint);
            }
        }
    }

    /// A control connection that is over has nothing more to announce, though its session is still kept.
    pub(super) fn close_with_connection(&mut self, handle: Handle) {
        let state = self.table.get(handle).map(|session| session.tcp.state());
        if matches!(state, Some(State::TimeWait | State::Close)) {
            self.close_announced(handle);
        }
    }

    fn pinhole_like(&self, handle: Handle, like: impl Fn(&Pinhole) -> bool) -> Option<(Hint, u64)> {
        let control = self.algs.controls.of(handle, self.table.get(handle)?)?;
        let known = |hint: &Hint| self.algs.pinholes.get(hint, Time::ZERO);
        let hint = control.hints().find(|hint| known(hint).is_some_and(&like))?;
        Some((*hint, control.session))
    }

    /// A call is answered: its pinholes stand until then. Returns whether there are any.
    pub(crate) fn answer_call(&mut self, handle: Handle, call: u32, until: Time) -> bool {
        self.answer_calls(handle, |it| it == call, until)
    }

    /// The same of all calls like these.
    pub(crate) fn answer_calls(
        &mut self,
        handle: Handle,
        like: impl Fn(u32) -> bool,
        until: Time,
    ) -> bool {
        self.change_calls(handle, |it| {
            like(it.call).then_some(Pinhole { until, answered: true, ..*it })
        })
    }

    /// Has pinholes be others, of the same endpoints. Returns whether there are any.
    pub(crate) fn change_calls(
        &mut self,
        handle: Handle,
        change: impl Fn(&Pinhole) -> Option<Pinhole>,
    ) -> bool {
        let Some(session) = self.table.get(handle) else { return false };
        let Some(control) = self.algs.controls.of(handle, session) else { return false };
        let mut any = false;
        for hint in control.hints() {
            let known = self.algs.pinholes.get(hint, Time::ZERO);
            if let Some(pinhole) = known.and_then(&change) {
                any |= self.algs.pinholes.insert(*hint, pinhole);
            }
        }
        any
    }

    /// The port at an address that stands for a server. One of the firewall's own lends just those ports that
    /// are not its host's, so another one may have to stand for that of the server.
    fn port_of_own(&self, sides: &Sides, announced: &Announced) -> Result<u16, Refused> {
        let Announced { protocol, port, .. } = *announced;
        let (address, domain) = (sides.shown.0, sides.domain);
        if address == sides.own.0 || !self.fib.is_own(domain, address) {
            return Ok(port);
        }
        // What a rule sends to a server is none of its host's.
        let served = |it: (u8, u16, u16)| it.0 == protocol.0 && (it.1..=it.2).contains(&port);
        if self.policy.translations().served(address).any(served) {
            return Ok(port);
        }
        let range = PINHOLE_PORT_MIN..=LAST_PORT;
        let first = if range.contains(&port) {
            port
        } else {
            PINHOLE_PORT_MIN + port % (LAST_PORT - PINHOLE_PORT_MIN)
        };
        let free = |port: &u16| {
            let hint = Hint { domain, protocol, from: sides.other, to: (address, *port) };
            self.nat.may_lend(&self.policy, (domain, protocol), (address, *port))
                && self.algs.pinholes.get(&hint, Time::ZERO).is_none()
        };
        let mut near = (first..=LAST_PORT).chain(PINHOLE_PORT_MIN..first).take(PORTS_TRIED);
        near.find(free).ok_or(Refused::NoPort)
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
