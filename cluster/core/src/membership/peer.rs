//! What is known of another member: what it said last, over which path, and what was promised to it.

use std::time::Duration;

use wire::Time;

use super::admission::{Admission, Numbers};
use super::config::{Kind, PeerConfig, Timing};
use super::fitness::Class;
use super::heartbeat::{Flags, Heartbeat, PathId, Refusal};
use super::lists;
use super::liveness::{Change, Ignored, Rate, Session};
use crate::limits::DRIFT_PPM;
use crate::{Boot, NodeId, Term};

/// Another member.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) kind: Kind,
    /// Its place among the peers, from which its sessions have their discriminators.
    pub(super) place: u32,
    pub(super) paths: Vec<Path>,
    admission: Admission,
    /// The newest thing it said in its present boot, on any path.
    pub(super) said: Option<Heartbeat>,
    /// When anything of it was last received.
    pub(super) heard_at: Option<Time>,
    /// The newest of our heartbeats that it acknowledged as a voter of ours, by its sending.
    pub(super) acknowledged: Option<Time>,
    /// The term in which it did.
    pub(super) voted_in: Term,
    /// The newest of its claims that this node has promised on, as it gave the time.
    pub(super) promised_ns: u64,
    /// Until when it certainly has a lease by a majority, by this node's clock; it may end it before.
    pub(super) leased_until: Option<Time>,
    /// Its list of members, as it said last.
    pub(super) members: u64,
}

/// One path to a peer.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) id: PathId,
    pub(super) session: Session,
    /// When to send next.
    pub(super) send_at: Time,
    /// The last heartbeat received: when its sender sent it, and when it came.
    pub(super) echo: Option<(u64, Time)>,
    /// The last round trip.
    pub(super) round_trip: Option<Duration>,
    /// Control parts that said nothing about the session.
    pub(super) ignored: u64,
}

/// What a heartbeat changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct News {
    /// It is the first of a boot.
    pub(super) boot: Option<Boot>,
    /// It is the newest thing the peer said, on any path.
    pub(super) newest: bool,
    /// The path's session changed.
    pub(super) change: Option<Change>,
    /// What the peer's fitness comes to, if that changed.
    pub(super) class: Option<Class>,
}

impl Peer {
    /// A peer that was never heard, at a place of its own in this boot.
    pub(super) fn new(
        config: &PeerConfig,
        timing: &Timing,
        (boot, place): (Boot, u32),
        now: Time,
    ) -> Self {
        let first = lists::discriminator(boot.0, place);
        let rate = Rate { interval: timing.interval, detect_multiplier: timing.detect_multiplier };
        let path = |(index, id): (u32, &PathId)| Path {
            id: *id,
            session: Session::new(first + index, rate),
            send_at: now,
            echo: None,
            round_trip: None,
            ignored: 0,
        };
        Self {
            node: config.node,
            kind: config.kind,
            place,
            paths: (0..).zip(&config.paths).map(path).collect(),
            admission: Admission::default(),
            said: None,
            heard_at: None,
            acknowledged: None,
            voted_in: Term::default(),
            promised_ns: 0,
            leased_until: None,
            members: 0,
        }
    }

    /// Takes in a heartbeat that came by `path`, for this node's boot `ours`.
    pub(super) fn hear(
        &mut self,
        it: &Heartbeat,
        (path, ours): (PathId, Boot),
        now: Time,
    ) -> Result<News, Refusal> {
        let index = self.paths.iter().position(|known| known.id == path).ok_or(Refusal::Path)?;
        if it.path != path {
            return Err(Refusal::Path);
        }
        let knows_us = it.heard_boot == Some(ours);
        let numbers = Numbers { boot: it.boot, sequence: it.sequence, path: index, knows_us };
        let silence = self.heard_at.map_or(Duration::MAX, |at| now.since(at));
        let mut news = News::default();
        if self.admission.admit(numbers, silence)? {
            news.boot = Some(it.boot);
            self.said = None;
            self.promised_ns = 0;
            self.leased_until = None;
        }
        self.heard_at = Some(now);
        news.change = self.paths[index].hear(it, knows_us, now);
        news.newest = self.said.as_ref().is_none_or(|said| said.sequence < it.sequence);
        if news.newest {
            let before = self.said.as_ref().map(|said| said.fitness.class());
            news.class = Some(it.fitness.class()).filter(|class| before != Some(*class));
            self.said = Some(it.clone());
            self.note_lease(it, knows_us, now);
        }
        Ok(news)
    }

    /// Its lease was live when it sent this, and so later than what it echoes. How long the heartbeat was on
    /// its way does not matter then.
    fn note_lease(&mut self, it: &Heartbeat, knows_us: bool, now: Time) {
        if it.lease_left.is_zero() || it.flags.has(Flags::ALONE) {
            self.leased_until = None;
            return;
        }
        let echo = Some(Time(it.echo_ns)).filter(|at| knows_us && it.echo_ns != 0 && *at <= now);
        let left = it.lease_left - it.lease_left * (2 * DRIFT_PPM) / 1_000_000;
        self.leased_until = self.leased_until.max(echo.map(|at| at + left));
    }

    /// The peer's boot.
    pub(super) fn boot(&self) -> Option<Boot> {
        self.admission.boot()
    }

    /// How long nothing was heard, for one who listens since `listening`.
    pub(super) fn silence(&self, listening: Time, now: Time) -> Duration {
        now.since(self.heard_at.map_or(listening, |at| at.max(listening)))
    }

    /// Silence by which an owner here may think itself alone: the slower of both ends' detection.
    pub(super) fn detect(&self, timing: &Timing) -> Duration {
        let sessions = self.paths.iter().map(|path| path.session.detection_time());
        sessions.fold(timing.detect(), Duration::max)
    }

    /// Silence after which its lease has certainly ended, whatever it is configured to.
    pub(super) fn patience(&self, timing: &Timing) -> Duration {
        let lease = self.said.as_ref().map_or(Duration::ZERO, |said| said.lease);
        timing.takeover.max(timing.outlasts(lease)).max(self.detect(timing))
    }

    /// Whether the newest it said is a claim: an owner that has voted for its heir makes none any more.
    pub(super) fn claims(&self) -> bool {
        let claims = |said: &Heartbeat| {
            let own = said.vote == Some(self.node);
            own && said.role.claims() && !said.flags.has(Flags::ENDED)
        };
        self.said.as_ref().is_some_and(claims)
    }

    /// Whether it could own, as far as it says.
    pub(super) fn could_own(&self) -> bool {
        let able = |said: &Heartbeat| said.fitness.class() != Class::Unable;
        self.kind == Kind::Firewall && self.said.as_ref().is_some_and(able)
    }
}

impl Path {
    fn hear(&mut self, it: &Heartbeat, knows_us: bool, now: Time) -> Option<Change> {
        self.echo = Some((it.sent_ns, now));
        if knows_us && it.echo_ns != 0 {
            let both_ways = now.since(Time(it.echo_ns));
            self.round_trip = Some(both_ways.saturating_sub(it.echo_held));
        }
        match self.session.handle_control(&it.control, now) {
            Ok(change) => change,
            Err(
                Ignored::NoMultiplier
                | Ignored::NoDiscriminator
                | Ignored::OtherSession
                | Ignored::UnknownSession
                | Ignored::SwitchedOff,
            ) => {
                self.ignored += 1;
                None
            }
        }
    }
}
