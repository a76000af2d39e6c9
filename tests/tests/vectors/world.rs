//! An engine in the vectors' network: the driver of the tests, as plain as a driver can be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::fib::FibChange;
use engine::policy::Policy;
use engine::{Anomaly, Counters, Decision, Engine, Origin, PortId, Reason, Settings, WorkerId};
use wire::Time;

use crate::network;

/// Changes of counters by name; a name is a field of [`Counters`], or that of a [`Reason`] or an
/// [`Anomaly`].
pub(crate) type Changes = BTreeMap<String, i64>;

/// Longest time between two looks at the timers, as a worker's turns come. Shorter than every
/// lifetime, so that what expires does so close to its time.
const TICK: Duration = Duration::from_millis(100);

/// Room for a frame with what the engine may prepend or append.
const FRAME_ROOM: usize = 2048;

pub(crate) struct World {
    engine: Engine,
    now: Time,
    epoch: u64,
    before: Changes,
}

/// What became of one frame.
pub(crate) struct Outcome {
    pub(crate) decision: Decision,
    /// The frame in hand, as the engine left it.
    pub(crate) frame: Vec<u8>,
}

impl World {
    /// A fresh engine with routes and neighbours, under `policy`.
    pub(crate) fn new(policy: &str) -> Result<Self, String> {
        let now = Time::from_secs(1_000);
        let settings = Settings {
            worker: WorkerId(0),
            node: 1,
            boot: 1,
            seed: [1, 2],
            secret: [3, 4],
            sessions: 64,
            ports: network::ports(),
        };
        let mut engine = Engine::new(settings, now);
        engine.apply(&network::changes());
        let mut world = Self { engine, now, epoch: 0, before: Changes::new() };
        world.commit(policy)?;
        world.changes();
        Ok(world)
    }

    /// Puts a policy in force.
    pub(crate) fn commit(&mut self, text: &str) -> Result<(), String> {
        self.epoch += 1;
        let compiled = Policy::from_text(text, self.epoch, network::port_names());
        self.engine.set_policy(Arc::new(compiled.map_err(|error| format!("{error:#?}"))?));
        Ok(())
    }

    pub(crate) fn apply(&mut self, change: FibChange) {
        self.engine.apply(&[change]);
    }

    /// The link is gone; its routes go when the kernel says so.
    pub(crate) fn link_down(&mut self, port: PortId) {
        self.engine.set_port(port, |port| port.up = false);
    }

    /// Lets time go by, as a worker without traffic would.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + TICK);
            self.engine.tick(self.now);
        }
    }

    /// A frame arrives.
    pub(crate) fn arrive(&mut self, port: PortId, bytes: &[u8]) -> Outcome {
        let mut frame = Vec::with_capacity(FRAME_ROOM);
        frame.extend(bytes);
        let mut parsed = self.engine.parse(port, &frame);
        self.engine.touch(std::slice::from_mut(&mut parsed), |_| {});
        let decision = self.engine.decide(Origin::Port, &parsed, &mut frame, self.now);
        Outcome { decision, frame }
    }

    /// The frames that wait to leave, besides the one in hand.
    pub(crate) fn outbox(&mut self) -> Vec<(PortId, Vec<u8>)> {
        let outbox = self.engine.outbox();
        std::iter::from_fn(|| outbox.pop().map(|(port, frame)| (port, frame.to_vec()))).collect()
    }

    /// What the counters did since the last call; the books are checked on the way.
    pub(crate) fn changes(&mut self) -> Changes {
        let counters = self.engine.counters();
        if let Err(imbalance) = counters.balance() {
            panic!("the books do not balance: {imbalance}");
        }
        let mut after = named(counters);
        let resolves = std::iter::from_fn(|| self.engine.next_resolve()).count();
        let changes = after
            .iter()
            .map(|(name, value)| (name.clone(), value - self.before.get(name).unwrap_or(&0)))
            .chain([("resolves".to_owned(), resolves as i64)])
            .filter(|(_, change)| *change != 0)
            .collect();
        while self.engine.next_event().is_some() {}
        std::mem::swap(&mut self.before, &mut after);
        changes
    }
}

/// Every counter by name. The pattern names each field, so that a new one cannot be forgotten.
fn named(counters: &Counters) -> Changes {
    let Counters {
        received,
        handed_in,
        handed_out,
        passed_in,
        passed_on,
        forwarded,
        answered,
        consumed,
        held,
        dropped: _,
        answers,
        outputs_lost,
        events_lost,
        sessions_opened,
        sessions_closed,
        sessions_evicted,
        anomalies: _,
    } = counters;
    let fields = [
        ("received", received),
        ("handed_in", handed_in),
        ("handed_out", handed_out),
        ("passed_in", passed_in),
        ("passed_on", passed_on),
        ("forwarded", forwarded),
        ("answered", answered),
        ("consumed", consumed),
        ("held", held),
        ("answers", answers),
        ("outputs_lost", outputs_lost),
        ("events_lost", events_lost),
        ("sessions_opened", sessions_opened),
        ("sessions_closed", sessions_closed),
        ("sessions_evicted", sessions_evicted),
    ];
    let reasons = Reason::ALL.iter().map(|reason| (reason.name(), counters.dropped(*reason)));
    let anomalies =
        Anomaly::ALL.iter().map(|anomaly| (anomaly.name(), counters.anomalous(*anomaly)));
    let fields = fields.map(|(name, value)| (name, *value)).into_iter();
    let fields = fields.chain(reasons).chain(anomalies);
    fields.map(|(name, value)| (name.to_owned(), value as i64)).collect()
}
