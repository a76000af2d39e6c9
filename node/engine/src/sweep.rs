//! The sweep: what a commit or a filling table means for sessions that no packet comes for.
//!
//! ```text
//! commit ────────┐                 ┌► of an older epoch: judged again, kept or closed
//!                ├► sweep from the ┤
//! fill, a step up┘  first place on └► life shortened to what today's settings give
//! ```
//!
//! A bounded number of places a turn; whoever sees more work than that is told to come again at once. A
//! commit amid a sweep lets it go on to where it is now, so that commits in a row keep it from no place.
//!
//! Where a peer is today, the port that leads to it tells, else the name of its old zone, else the routes:
//! a session that came by a record knows no ports yet. If nothing tells, the session is looked at again
//! when routes have changed.
//!
//! *Pressure*, after pf: from 60 % on every timeout shrinks, in steps, towards nothing at 120 %. So
//! at 100 % a third is left, and what is idle makes room before anything must give way.

use wire::{Protocol, Time};

use crate::engine::Engine;
use crate::fib::Lookup;
use crate::limits::{
    PRESSURE_END_TENTHS, PRESSURE_START_TENTHS, PRESSURE_STEPS, SWEEP_AGAIN, SWEEP_PER_TURN,
    SWEEP_PER_TURN_MAX, SWEEP_TIME,
};
use crate::policy::Question;
use crate::rematch::{self, Rematch};
use crate::replication::Role;
use crate::rules::short_epoch;
use crate::session::{CloseReason, Peer, Session};
use crate::table::{Handle, Twin};
use crate::{Mode, PortId, ZoneId, track};

#[cfg(test)]
mod tests;

/// How far the sweep is, and why there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    /// The next place.
    next: u32,
    /// Places still to be looked at; 0 between two sweeps.
    left: u32,
    /// Places that the table had used at the last turn.
    places: u32,
    /// Every place is to be looked at, from the next turn on.
    wanted: bool,
    /// The last turn of this sweep.
    since: Option<Time>,
    /// Sessions of this sweep that could not be judged.
    postponed: u32,
    /// When those are looked at again, if the FIB is of another generation then.
    again: Option<(Time, u32)>,
    /// Steps of pressure that the settings in force were made for.
    pressure: u32,
}

/// What came of a session that was judged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Lives,
    Ended,
    /// What decides is not known now.
    Waits,
}

impl Sweep {
    /// All places once more, from where it is now.
    pub(crate) const fn start(&mut self) {
        self.wanted = true;
    }

    /// The places for a turn at `now` of a table that has used so many.
    fn take_part(&mut self, places: u32, now: Time) -> core::ops::Range<u32> {
        if core::mem::take(&mut self.wanted) {
            (self.left, self.places, self.postponed, self.again) = (places, places, 0, None);
        }
        // What comes behind the last place is passed over in addition.
        self.left += places.saturating_sub(self.places);
        self.places = places;
        if self.next >= places {
            self.next = 0;
        }
        let passed = self.since.map_or(0, |since| now.since(since).as_nanos());
        let due = u128::from(places) * passed / SWEEP_TIME.as_nanos();
        let due = (due as u32).clamp(SWEEP_PER_TURN, SWEEP_PER_TURN_MAX);
        let end = self.next.saturating_add(due.min(self.left)).min(places);
        let part = self.next..end;
        self.left = self.left.saturating_sub(part.len() as u32);
        self.next = end;
        self.since = (self.left > 0).then_some(now);
        part
    }

    /// Of so many parts of a life, [`PRESSURE_STEPS`], these are left.
    const fn parts_left(&self) -> u32 {
        PRESSURE_STEPS.saturating_sub(self.pressure)
    }
}

impl Engine {
    /// One turn's part of the sweep. Returns whether there is more to do.
    pub(crate) fn sweep(&mut self, now: Time) -> bool {
        // What becomes of replicas their owner says.
        if self.replication.role == Role::Backup {
            return false;
        }
        self.feel_pressure();
        self.look_again(now);
        if !self.sweep.wanted && self.sweep.left == 0 {
            return false;
        }
        for place in self.sweep.take_part(self.table.places(), now) {
            if let Some((handle, session)) = self.table.at(place) {
                let session = *session;
                self.sweep_one(handle, &session, now);
            }
        }
        if self.sweep.left == 0 && self.sweep.postponed > 0 {
            self.sweep.again = Some((now + SWEEP_AGAIN, self.fib.generation()));
        }
        self.sweep.left > 0
    }

    /// Sweeps once more for those that could not be judged, if there are other routes since.
    fn look_again(&mut self, now: Time) {
        let Some((at, generation)) = self.sweep.again else { return };
        if now >= at && generation != self.fib.generation() {
            self.sweep.start();
        }
    }

    /// Sets lives by how full the table is.
    fn feel_pressure(&mut self) {
        let pressure = pressure(self.table.len() as u64, self.table.capacity() as u64);
        if pressure == self.sweep.pressure {
            return;
        }
        if pressure > self.sweep.pressure {
            self.sweep.start();
        }
        self.sweep.pressure = pressure;
        let (policy, part) = (&self.policy, self.sweep.parts_left());
        self.tracking.scale(policy.timeouts(), policy.own_lives(), part, PRESSURE_STEPS);
    }

    fn sweep_one(&mut self, handle: Handle, session: &Session, now: Time) {
        if session.epoch != short_epoch(&self.policy) {
            let zones = zones_today(self, handle, session);
            match self.judge_again(handle, session, zones, now) {
                Judged::Lives => {}
                Judged::Waits => self.sweep.postponed = self.sweep.postponed.saturating_add(1),
                Judged::Ended => return,
            }
        }
        if self.screening.is_some() {
            self.count_open(handle);
        }
        if self.sweep.pressure > 0 {
            self.shorten(handle);
        }
    }
}

impl Engine {
    /// Judges a session of an older epoch, or of none, between the zones of initiator and responder today,
    /// as far as they are known.
    pub(crate) fn judge_again(
        &mut self,
        handle: Handle,
        session: &Session,
        zones: Option<[Option<ZoneId>; 2]>,
        now: Time,
    ) -> Judged {
        let twin = self.table.twin(handle, session).copied();
        match rematch::judge(self, session, zones, |zones| question(session, twin.as_ref(), zones))
        {
            Rematch::Permitted(permission) => self.renew(handle, permission, session.last_seen()),
            Rematch::Refused(_) => {
                self.close(handle, CloseReason::Policy, now);
                return Judged::Ended;
            }
            Rematch::Kept(_) => {}
            Rematch::Postponed(_) => return Judged::Waits,
        }
        Judged::Lives
    }

    /// Gives a session no more life than today's settings do.
    fn shorten(&mut self, handle: Handle) {
        let Some(session) = self.table.get(handle) else { return };
        // Which life is its own is a number of its epoch's policy.
        let today = session.of_epoch(short_epoch(&self.policy));
        let life = track::life(&today, &self.tracking);
        let deadline = Time(session.last_seen().0.saturating_add(life));
        if deadline < session.deadline {
            self.table.shorten(handle, deadline);
        }
    }
}

/// Steps of pressure, 0 to [`PRESSURE_STEPS`].
fn pressure(sessions: u64, capacity: u64) -> u32 {
    let above = (sessions * 10).saturating_sub(capacity * PRESSURE_START_TENTHS);
    let span = capacity * (PRESSURE_END_TENTHS - PRESSURE_START_TENTHS);
    (above * u64::from(PRESSURE_STEPS) / span.max(1)) as u32
}

/// What connection tracking reads of the policy, under the pressure there is.
pub(crate) fn tracking(engine: &Engine) -> track::Settings {
    let policy = &engine.policy;
    let window = policy.integrity().tcp_window;
    let mut tracking = track::Settings::new(*policy.timeouts(), policy.own_lives(), window);
    let part = engine.sweep.parts_left();
    tracking.scale(policy.timeouts(), policy.own_lives(), part, PRESSURE_STEPS);
    tracking
}

/// The zones of initiator and responder. `None` if one of them is not to be told.
fn zones_today(engine: &Engine, handle: Handle, session: &Session) -> Option<[Option<ZoneId>; 2]> {
    let twin = engine.table.twin(handle, session);
    let zone = |peer| {
        let told = rematch::zone_today(engine, session, peer);
        let routed = || Some(engine.policy.zone_of_port(port_toward(engine, session, twin, peer)?));
        told.or_else(routed)
    };
    Some([zone(Peer::Initiator)?, zone(Peer::Responder)?])
}

/// The port that leads to a peer whose packets were never answered here: the other end of the wire that they
/// go through, or as the routes say.
fn port_toward(
    engine: &Engine,
    session: &Session,
    twin: Option<&Twin>,
    peer: Peer,
) -> Option<PortId> {
    if let Some(egress) = session.last_egress(peer)
        && let Mode::Wire(other) = engine.ports().get(egress.port.index())?.mode
    {
        return Some(other);
    }
    let (address, _) = Engine::seen_by_policy(session, twin)[peer.index()];
    // Among equal ways any tells: an interface's zone is that of all that lead to a network, or nobody's.
    match engine.fib.lookup(session.key.domain(), address, 0) {
        Lookup::Hop(hop) => Some(hop.port),
        Lookup::NoRoute
        | Lookup::Unreachable
        | Lookup::Prohibit
        | Lookup::Blackhole
        | Lookup::Local
        | Lookup::Broadcast => None,
    }
}

/// The question that the session's first packet would raise. `None` of ICMP whose type an older node did
/// not tell: its next packet does, and it lives for half a minute.
pub(crate) fn question(
    session: &Session,
    twin: Option<&Twin>,
    [from_zone, to_zone]: [ZoneId; 2],
) -> Option<Question> {
    let [(source, source_port), (destination, destination_port)] =
        Engine::seen_by_policy(session, twin);
    let protocol = session.key.protocol();
    let mut icmp = None;
    let (source_port, destination_port) = match protocol {
        Protocol::ICMP | Protocol::ICMPV6 => {
            icmp = Some((session.query()?, 0));
            (0, 0)
        }
        Protocol::TCP | Protocol::UDP | Protocol::SCTP => (source_port, destination_port),
        _ => (0, 0),
    };
    Some(Question {
        from_zone,
        to_zone,
        source,
        destination,
        protocol,
        source_port,
        destination_port,
        icmp,
    })
}
