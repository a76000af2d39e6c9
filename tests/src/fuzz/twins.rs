//! Two engines that are told the same and get the same packets; the second is never told that a
//! packet is plain, and so never goes the straight way. Whatever one says, the other says too.

use std::sync::Arc;
use std::time::Duration;

use engine::fib::FibChange;
use engine::fragment::Datagram;
use engine::table::Cursor;
use engine::{
    Decision, Elsewhere, Engine, Mode, Origin, Parsed, PortId, Reason, Verdict, WorkerId,
};
use wire::{Packet, SLOTS, Time};

use super::engines::{START, change, dump, engine, policy};

/// Ticks after which everything that waits must have been given up.
const TICKS_MAX: usize = 4_096;

/// Both engines, and the burst that has arrived and is not decided yet.
pub(super) struct Twins {
    engines: [Engine; 2],
    pub(super) now: Time,
    epoch: u64,
    burst: Vec<(PortId, Vec<u8>)>,
    /// Frames of a burst.
    pub(super) room: usize,
    /// Packets that the first engine took for plain.
    pub(super) straight: usize,
    pub(super) forwarded: usize,
}

/// What became of one packet, all told.
#[derive(Debug, PartialEq)]
struct Outcome {
    owner: Option<Elsewhere>,
    decision: Option<Decision>,
    frame: Vec<u8>,
    out: Vec<(PortId, Vec<u8>)>,
    events: Vec<String>,
    resolve: Vec<String>,
}

impl Twins {
    pub(super) fn new() -> Self {
        let engines = [engine(), engine()];
        let (burst, now) = (Vec::new(), START);
        Self { engines, now, epoch: 1, burst, room: 1, straight: 0, forwarded: 0 }
    }

    /// A frame arrives; when the burst is full it is decided about.
    pub(super) fn arrive(&mut self, port: PortId, frame: Vec<u8>) {
        self.burst.push((port, frame));
        if self.burst.len() >= self.room {
            self.decide();
        }
    }

    /// Decides about the burst as the worker does: all parsed and touched first.
    pub(super) fn decide(&mut self) {
        let burst = std::mem::take(&mut self.burst);
        let [first, second] = &mut self.engines;
        let parse = |(port, frame): &(PortId, Vec<u8>)| first.parse(*port, frame);
        let mut parsed: Vec<Parsed> = burst.iter().map(parse).collect();
        first.touch(&mut parsed, |_| {});
        self.straight += parsed.iter().filter(|parsed| parsed.is_plain()).count();
        for ((port, frame), parsed) in burst.iter().zip(&parsed) {
            let told = first.explain(*port, frame, self.now);
            let straight = outcome(first, parsed, frame, self.now);
            let round = outcome(second, &Parsed::nothing(*port), frame, self.now);
            assert_eq!(straight, round, "the straight way and the long one");
            assert_eq!(first.counters(), second.counters());
            law(first);
            if let Some(Decision { verdict: Verdict::Forward(_), .. }) = straight.decision {
                self.forwarded += 1;
            }
            if let (Some(reason), Some(decision)) = (told.reason, straight.decision) {
                assert_eq!(decision.verdict, Verdict::Drop(reason), "{told:?}");
            }
        }
    }

    /// Time passes.
    pub(super) fn wait(&mut self, time: Duration) {
        self.decide();
        self.now = self.now + time;
        let now = self.now;
        self.both(|engine| {
            engine.tick(now);
        });
    }

    pub(super) fn set_policy(&mut self, which: u8) {
        self.epoch += 1;
        let policy = policy(which, self.epoch);
        self.both(|engine| engine.set_policy(Arc::clone(&policy)));
    }

    /// The kernel says something; `255` is a full dump.
    pub(super) fn apply(&mut self, which: u8) {
        let changes: Vec<FibChange> = if which == u8::MAX { dump() } else { vec![change(which)] };
        self.both(|engine| {
            engine.apply(&changes);
        });
    }

    /// Another worker gets every slot whose number has one of these bits.
    pub(super) fn share_slots(&mut self, bits: u8) {
        let owner = |slot: usize| WorkerId(u8::from(slot & usize::from(bits) != 0));
        let owners: [WorkerId; SLOTS as usize] = std::array::from_fn(owner);
        let owners = Arc::new(owners);
        self.both(|engine| engine.set_owners(Arc::clone(&owners)));
    }

    /// Does the same to both engines, between two bursts.
    pub(super) fn both(&mut self, mut with: impl FnMut(&mut Engine)) {
        self.decide();
        self.engines.iter_mut().for_each(&mut with);
        let [first, second] = &mut self.engines;
        assert_eq!(output(first), output(second));
        law(first);
        assert_eq!(first.counters(), second.counters());
        assert_eq!(sessions(first), sessions(second));
    }

    /// In the end nothing is held, and the sessions are those that were opened and not closed.
    pub(super) fn finish(mut self) {
        self.wait(Duration::from_secs(600));
        for _ in 0..TICKS_MAX {
            self.wait(Duration::from_secs(1));
            if self.engines[0].counters().held == 0 {
                break;
            }
        }
        let engine = &self.engines[0];
        assert_eq!(engine.counters().held, 0, "held for ever");
    }
}

/// `received = forwarded + answered + consumed + held + Σ dropped`, and the like of sessions.
fn law(engine: &Engine) {
    let counters = engine.counters();
    counters.balance().unwrap_or_else(|imbalance| panic!("{imbalance}: {counters:?}"));
    let open = counters.sessions_opened - counters.sessions_closed;
    assert_eq!(open, engine.sessions().len() as u64, "{counters:?}");
}

fn outcome(engine: &mut Engine, parsed: &Parsed, frame: &[u8], now: Time) -> Outcome {
    let owner = engine.owner(parsed, frame, false);
    let mut frame = frame.to_vec();
    // What belongs to another worker is given to it, or, every other time, comes from it.
    let foreign = owner.is_some() && engine.counters().received.is_multiple_of(2);
    let decision = if foreign {
        engine.hand_off(Origin::Port, engine.counters().received.is_multiple_of(4), 1);
        None
    } else {
        let origin = if owner.is_some() { Origin::Peer } else { Origin::Port };
        Some(decide(engine, origin, parsed, &mut frame, now))
    };
    let (out, events, resolve) = output(engine);
    Outcome { owner, decision, frame, out, events, resolve }
}

/// The engine's decision; a datagram that belongs to another worker goes there and comes back.
fn decide(
    engine: &mut Engine,
    origin: Origin,
    parsed: &Parsed,
    frame: &mut [u8],
    now: Time,
) -> Decision {
    let decision = engine.decide(origin, parsed, frame, now);
    match decision.verdict {
        Verdict::Forward(_) if decision.in_hand => {
            let routed = engine.ports()[parsed.ingress.index()].mode == Mode::Routed;
            assert!(!routed || Packet::parse(frame).is_ok(), "what leaves is a packet");
            decision
        }
        Verdict::HandOff(_) if now.as_nanos().is_multiple_of(2) => {
            engine.drop_datagram();
            decision
        }
        Verdict::HandOff(_) => {
            let taken = engine.exchange_datagram(Datagram::empty());
            let (port, mut datagram) = taken.expect("a datagram to hand off");
            engine.decide_datagram(port, &mut datagram, now)
        }
        Verdict::Forward(_)
        | Verdict::Answer
        | Verdict::Consume
        | Verdict::Hold
        | Verdict::Drop(_) => decision,
    }
}

type Output = (Vec<(PortId, Vec<u8>)>, Vec<String>, Vec<String>);

/// Everything that waits to be taken out. What is to be sent is a packet.
fn output(engine: &mut Engine) -> Output {
    let mut out = Vec::new();
    while let Some((port, frame)) = engine.outbox().pop() {
        let parsed = Packet::parse(frame);
        assert!(parsed.is_ok(), "{parsed:?}: {frame:02x?}");
        out.push((port, frame.to_vec()));
    }
    let events = std::iter::from_fn(|| engine.next_event().map(|event| format!("{event:?}")));
    let events = events.collect();
    let resolve = std::iter::from_fn(|| engine.next_resolve().map(|hop| format!("{hop:?}")));
    let resolve = resolve.collect();
    (out, events, resolve)
}

/// Everything about every session.
fn sessions(engine: &Engine) -> String {
    let mut text = String::new();
    engine.sessions().page(Cursor::default(), |handle, session| {
        text += &format!("{handle:?} {session:?}\n");
    });
    text
}

/// Ends the sessions at both engines whose number has these bits.
pub(super) fn end_some(engine: &mut Engine, bits: u8, now: Time) {
    let mut handles = Vec::new();
    engine.sessions().page(Cursor::default(), |handle, _| handles.push(handle));
    for (number, handle) in handles.into_iter().enumerate() {
        if number & usize::from(bits) == 0 {
            engine.end_session(handle, engine::session::CloseReason::Cleared, now);
        }
    }
}

/// What a driver does besides deciding.
pub(super) fn refuse(engine: &mut Engine) {
    engine.refuse(Origin::Port, Reason::TransmitFull, 1);
}
