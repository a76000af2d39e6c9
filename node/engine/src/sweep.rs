//! The sweep: what a commit or a filling table means for sessions that no packet comes for.
//!
//! ```text
//! commit ────────┐                 ┌► of an older epoch: judged again, kept or closed
//!                ├► sweep from the ┤
//! fill, a step up┘  first place on └► life shortened to what today's settings give
//! ```
//!
//! A bounded number of places a turn; whoever sees more work than that is told to come again at once.
//!
//! *Pressure*, after pf: from 60 % on every timeout shrinks, in steps, towards nothing at 120 %. So
//! at 100 % a third is left, and what is idle makes room before anything must give way.

use wire::{Protocol, Time};

use crate::engine::Engine;
use crate::limits::{PRESSURE_END_TENTHS, PRESSURE_START_TENTHS, PRESSURE_STEPS, SWEEP_PER_TURN};
use crate::policy::Question;
use crate::rematch::{self, Rematch};
use crate::replication::Role;
use crate::rules::short_epoch;
use crate::session::{CloseReason, Peer, Session};
use crate::table::Handle;
use crate::{ZoneId, track};

/// How far the sweep is, and why there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    /// The next place; `None` between two sweeps.
    next: Option<u32>,
    /// Steps of pressure that the settings in force were made for.
    pressure: u32,
}

impl Sweep {
    /// From the first place on, once more.
    pub(crate) const fn start(&mut self) {
        self.next = Some(0);
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
        let Some(next) = self.sweep.next else { return false };
        let end = next.saturating_add(SWEEP_PER_TURN).min(self.table.places());
        for place in next..end {
            if let Some((handle, session)) = self.table.at(place) {
                let session = *session;
                self.sweep_one(handle, &session, now);
            }
        }
        self.sweep.next = (end < self.table.places()).then_some(end);
        self.sweep.next.is_some()
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
            let zones = zones_today(self, session);
            if !self.judge_again(handle, session, zones, now) {
                return;
            }
        }
        if self.sweep.pressure > 0 {
            self.shorten(handle);
        }
    }
}

impl Engine {
    /// Judges a session of an older epoch, or of none, between the zones of initiator and responder today,
    /// as far as they are known. Whether it lives.
    pub(crate) fn judge_again(
        &mut self,
        handle: Handle,
        session: &Session,
        zones: Option<[Option<ZoneId>; 2]>,
        now: Time,
    ) -> bool {
        match rematch::judge(self, session, zones, |zones| question(session, zones)) {
            Rematch::Permitted(permission) => self.renew(handle, permission, session.last_seen()),
            Rematch::Refused(_) => {
                self.close(handle, CloseReason::Policy, now);
                return false;
            }
            Rematch::Postponed(_) => {}
        }
        true
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
fn zones_today(engine: &Engine, session: &Session) -> Option<[Option<ZoneId>; 2]> {
    let zone = |peer| rematch::zone_today(engine, session, peer);
    Some([zone(Peer::Initiator)?, zone(Peer::Responder)?])
}

/// The question that the session's first packet would raise. `None` for ICMP, whose type the session
/// does not remember: its next packet tells, and it lives for half a minute.
fn question(session: &Session, [from_zone, to_zone]: [ZoneId; 2]) -> Option<Question> {
    let direction = session.direction(Peer::Initiator);
    let (source, source_port) = session.key.source(direction);
    let (destination, destination_port) = session.key.destination(direction);
    let protocol = session.key.protocol();
    let (source_port, destination_port) = match protocol {
        Protocol::ICMP | Protocol::ICMPV6 => return None,
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
        icmp: None,
    })
}

#[cfg(test)]
mod tests {
    use super::pressure;
    use crate::limits::PRESSURE_STEPS;

    #[test]
    fn pressure_begins_at_six_tenths_and_leaves_a_third_at_the_end() {
        assert_eq!(pressure(0, 100), 0);
        assert_eq!(pressure(60, 100), 0);
        assert_eq!(pressure(64, 100), 1);
        assert_eq!(pressure(90, 100), PRESSURE_STEPS / 2);
        assert_eq!(pressure(100, 100), PRESSURE_STEPS * 2 / 3);
        assert_eq!(pressure(1, 1), 10);
    }
}
