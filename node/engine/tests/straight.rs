//! The straight way against its slow twin: two engines are told the same and get the same packets,
//! one of them without ever being told that a packet is plain. Verdicts, frames, counters and
//! sessions must be the same after every single packet.
#![allow(clippy::unwrap_used, clippy::panic)]

extern crate ringwall_engine as engine;

use std::sync::Arc;
use std::time::Duration;

use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::{Checksum, Decision, Engine, Mode, Origin, Parsed, Port, PortId, Settings, WorkerId};
use proptest::prelude::*;
use wire::build::Builder;
use wire::{TcpFlags, Time};

const START: Time = Time::from_secs(1_000);
const MACS: [[u8; 6]; 3] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]];
/// Permits everything from `in` to `out`; `RULES[1]` no longer permits UDP, and a port has moved.
/// Both grant some sessions lives of their own, by other numbers. `RULES[0]` picks up, and has limits.
const RULES: [&str; 2] = [
    r#"
[zones]
in = ["a", "c"]
out = ["b"]
[services]
dns = { protocol = "udp", ports = 53, timeout = "1m" }
[[rule]]
id = "own"
from = "in"
to = "out"
source = ["10.0.0.1", "10.0.0.3", "fd00:a::1"]
service = ["dns", "tcp"]
action = "permit"
[[rule]]
id = "all"
from = "in"
to = "out"
action = "permit"
timeout = "2m"
pick-up = true
sessions-max = 3
"#,
    r#"
[zones]
in = ["a"]
out = ["b"]
other = ["c"]
[[rule]]
id = "own"
from = "in"
to = "out"
source = ["10.0.0.1", "10.0.0.2", "fd00:a::1"]
service = ["tcp"]
action = "permit"
timeout = "90s"
[[rule]]
id = "tcp"
from = "in"
to = "out"
service = ["tcp/1-65535"]
action = "permit"
"#,
];

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Tcp { flow: u8, reply: bool, segment: Segment, frame: Frame },
    Udp { flow: u8, reply: bool, payload: u16, frame: Frame },
    Wait(u16),
    Policy(bool),
    Neighbour(u8),
    Port { up: bool, mtu: u32 },
}

#[derive(Clone, Debug)]
struct Segment {
    flags: u8,
    /// Off the sender's next sequence number, and off the other's.
    seq: i32,
    ack: i32,
    window: u16,
    payload: u16,
    options: u8,
}

/// What may be odd about any frame.
#[derive(Clone, Debug)]
struct Frame {
    port: Option<u8>,
    ttl: u8,
    broken: Option<(u8, u8)>,
    v6: bool,
    padding: u8,
}

struct Twins {
    engines: [Engine; 2],
    /// Next sequence numbers of both peers of each TCP flow.
    numbers: [[u32; 2]; 4],
    now: Time,
    straight: usize,
}

impl Twins {
    fn new() -> Self {
        let port = |name: &str, mac| Port {
            name: name.to_owned(),
            domain: 0,
            mode: Mode::Routed,
            mac,
            mtu: 1_500,
            checksum: Checksum::Verify,
            up: true,
        };
        let ports = ["a", "b", "c"].into_iter().zip(MACS).map(|(name, mac)| port(name, mac));
        let ports: Vec<Port> = ports.collect();
        let engine = || {
            let settings = Settings {
                worker: WorkerId(0),
                node: 1,
                boot: 1,
                seed: [3, 4],
                secret: [1, 2],
                sessions: 64,
                ports: ports.clone(),
            };
            let mut engine = Engine::new(settings, START);
            engine.apply(&[
                route("10.0.0.0/8", 0, "192.0.2.1"),
                route("198.18.0.0/15", 1, "192.0.2.129"),
                route("fd00:a::/32", 0, "192.0.2.1"),
                route("fd00:b::/32", 1, "192.0.2.129"),
                neighbour(0, "192.0.2.1", 9),
                neighbour(1, "192.0.2.129", 9),
            ]);
            engine.set_policy(policy(0, 1));
            engine
        };
        let engines = [engine(), engine()];
        Self { engines, numbers: [[1_000, 0xffff_ff00]; 4], now: START, straight: 0 }
    }

    fn step(&mut self, step: &Step, epoch: u64) {
        match step {
            Step::Tcp { flow, reply, segment, frame } => {
                let bytes = self.segment(usize::from(*flow), *reply, segment, frame);
                self.arrive(*reply, frame, bytes);
            }
            Step::Udp { flow, reply, payload, frame } => {
                let ports = if *reply { (53, 4_000) } else { (4_000, 53) };
                let data = vec![0x42; usize::from(*payload)];
                let start = start(*flow, *reply, frame).udp(ports.0, ports.1);
                let bytes = start.payload(&data).frame().to_vec();
                self.arrive(*reply, frame, bytes);
            }
            Step::Wait(seconds) => {
                self.now = self.now + Duration::from_secs(u64::from(*seconds));
                let now = self.now;
                self.engines.iter_mut().for_each(|engine| {
                    engine.tick(now);
                });
            }
            Step::Policy(which) => {
                for engine in &mut self.engines {
                    engine.set_policy(policy(usize::from(*which), epoch));
                }
            }
            Step::Neighbour(last) => {
                let change = [neighbour(1, "192.0.2.129", *last)];
                self.engines.iter_mut().for_each(|engine| {
                    engine.apply(&change);
                });
            }
            Step::Port { up, mtu } => {
                for engine in &mut self.engines {
                    engine.set_port(PortId(1), |port| (port.up, port.mtu) = (*up, *mtu));
                }
            }
        }
    }

    fn segment(&mut self, flow: usize, reply: bool, segment: &Segment, frame: &Frame) -> Vec<u8> {
        let (own, other) = (usize::from(reply), usize::from(!reply));
        let flags = TcpFlags(segment.flags);
        let seq = self.numbers[flow][own].wrapping_add_signed(segment.seq);
        let ack = self.numbers[flow][other].wrapping_add_signed(segment.ack);
        let len = u32::from(segment.payload);
        let ends = u32::from(flags.contains(TcpFlags::SYN) || flags.contains(TcpFlags::FIN));
        if segment.seq == 0 {
            self.numbers[flow][own] = seq.wrapping_add(len + ends);
        }
        let ports = if reply { (443, 5_000) } else { (5_000, 443) };
        let data = vec![0x17; usize::from(segment.payload)];
        let start = start(flow as u8, reply, frame).tcp(ports.0, ports.1);
        let builder = start.seq(seq).ack(ack).flags(flags).window(segment.window).payload(&data);
        match segment.options {
            0 => builder.frame().to_vec(),
            1 => builder.timestamps(7, 8).frame().to_vec(),
            _ => builder.window_scale(7).sack_permitted().frame().to_vec(),
        }
    }

    /// A frame arrives at both.
    fn arrive(&mut self, reply: bool, odd: &Frame, mut bytes: Vec<u8>) {
        let port = odd.port.unwrap_or(u8::from(reply));
        bytes[..6].copy_from_slice(&MACS[usize::from(port)]);
        if let Some((at, bits)) = odd.broken {
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= bits;
        }
        bytes.resize(bytes.len() + usize::from(odd.padding), 0);
        let port = PortId(u16::from(port));
        let [first, second] = &mut self.engines;
        let mut parsed = first.parse(port, &bytes);
        self.straight += usize::from(parsed.is_plain());
        let straight = decide(first, &mut parsed, &bytes, self.now);
        let round = decide(second, &mut Parsed::nothing(port), &bytes, self.now);
        assert_eq!(straight, round, "{odd:?}");
        assert_eq!(first.counters(), second.counters());
        first.counters().balance().unwrap();
        assert_eq!(sessions(first), sessions(second));
    }
}

type Outcome = (Decision, Vec<u8>, Vec<(PortId, Vec<u8>)>, Vec<String>);

fn decide(engine: &mut Engine, parsed: &mut Parsed, bytes: &[u8], now: Time) -> Outcome {
    engine.touch(std::slice::from_mut(parsed), |_| {});
    let mut frame = bytes.to_vec();
    let decision = engine.decide(Origin::Port, parsed, &mut frame, now);
    let outbox = engine.outbox();
    let out = std::iter::from_fn(|| outbox.pop().map(|(port, frame)| (port, frame.to_vec())));
    let out = out.collect();
    let events = std::iter::from_fn(|| engine.next_event().map(|event| format!("{event:?}")));
    let events = events.collect();
    while engine.next_resolve().is_some() {}
    (decision, frame, out, events)
}

/// Everything about every session.
fn sessions(engine: &Engine) -> String {
    let mut text = String::new();
    engine.sessions().page(engine::table::Cursor::default(), |handle, session| {
        text += &format!("{handle:?} {session:?}\n");
    });
    text
}

fn start(flow: u8, reply: bool, frame: &Frame) -> Builder<'static> {
    let flow = flow % 4;
    let builder = if frame.v6 {
        let (a, b) =
            ([0xfd00, 0xa, 0, 0, 0, 0, 0, u16::from(flow)], [0xfd00, 0xb, 0, 0, 0, 0, 0, 1]);
        if reply { Builder::v6(b, a) } else { Builder::v6(a, b) }
    } else {
        let (a, b) = ([10, 0, 0, flow], [198, 18, 0, 1]);
        if reply { Builder::v4(b, a) } else { Builder::v4(a, b) }
    };
    builder.hop_limit(frame.ttl)
}

fn route(prefix: &str, port: u16, gateway: &str) -> FibChange {
    let gateway = Some(gateway.parse().unwrap());
    let kind = RouteKind::Unicast(NextHops::one(PortId(port), gateway));
    FibChange::RouteSet {
        domain: 0,
        prefix: prefix.parse().unwrap(),
        route: Route { metric: 0, kind },
    }
}

fn neighbour(port: u16, address: &str, last: u8) -> FibChange {
    let (mac, state) = ([2, 0, 0, 0, 9, last], NeighbourState::Permanent);
    FibChange::NeighbourSet { port: PortId(port), address: address.parse().unwrap(), mac, state }
}

fn policy(which: usize, epoch: u64) -> Arc<Policy> {
    Arc::new(Policy::from_text(RULES[which], epoch, &["a", "b", "c"]).unwrap())
}

fn frame() -> impl Strategy<Value = Frame> {
    let usual = Just((None, 64, None, 0));
    let odd = (
        prop::option::weighted(0.3, 0u8..3),
        prop_oneof![Just(64u8), 0u8..3],
        prop::option::weighted(0.3, (any::<u8>(), 1u8..)),
        0u8..20,
    );
    (prop_oneof![8 => usual, 1 => odd], prop::bool::weighted(0.3))
        .prop_map(|((port, ttl, broken, padding), v6)| Frame { port, ttl, broken, v6, padding })
}

fn segment() -> impl Strategy<Value = Segment> {
    let flags = prop_oneof![
        10 => Just(0x10u8),
        6 => Just(0x18),
        1 => Just(0x02),
        1 => Just(0x12),
        1 => Just(0x11),
        1 => Just(0x04),
        1 => any::<u8>(),
    ];
    let off = || prop_oneof![12 => Just(0i32), 1 => -3_000i32..3_000, 1 => any::<i32>()];
    let payload = prop_oneof![3 => Just(0u16), 3 => 1u16..200, 1 => 1_300u16..1_600];
    let window = prop_oneof![5 => Just(0xffffu16), 1 => Just(0), 1 => any::<u16>()];
    (flags, off(), off(), window, payload, 0u8..3).prop_map(
        |(flags, seq, ack, window, payload, options)| {
            // Only a SYN may carry what it negotiates.
            let options = if flags & 2 == 0 { options.min(1) } else { options };
            Segment { flags, seq, ack, window, payload, options }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0u8..4, any::<bool>(), segment(), frame())
            .prop_map(|(flow, reply, segment, frame)| Step::Tcp { flow, reply, segment, frame }),
        12 => (0u8..4, any::<bool>(), 0u16..1_600, frame())
            .prop_map(|(flow, reply, payload, frame)| Step::Udp { flow, reply, payload, frame }),
        2 => (0u16..200).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Policy),
        1 => (1u8..4).prop_map(Step::Neighbour),
        1 => (prop::bool::weighted(0.8), prop_oneof![Just(1_500u32), 600u32..1_500])
            .prop_map(|(up, mtu)| Step::Port { up, mtu }),
    ]
}

/// A handshake and the first answer of each flow, so that most of what follows is of open flows.
fn handshakes() -> Vec<Step> {
    let usual = |v6| Frame { port: None, ttl: 64, broken: None, v6, padding: 0 };
    let tcp = |flow: u8, reply, flags| Step::Tcp {
        flow,
        reply,
        segment: Segment { flags, seq: 0, ack: 0, window: 0xffff, payload: 0, options: 0 },
        frame: usual(flow % 2 == 1),
    };
    (0..4)
        .flat_map(|flow| [tcp(flow, false, 2), tcp(flow, true, 0x12), tcp(flow, false, 0x10)])
        .collect()
}

#[test]
fn an_open_connection_goes_straight() {
    let mut twins = Twins::new();
    for step in handshakes() {
        twins.step(&step, 1);
    }
    let before = twins.straight;
    let usual = Frame { port: None, ttl: 64, broken: None, v6: false, padding: 0 };
    for flow in [0, 2] {
        let segment = Segment { flags: 0x18, seq: 0, ack: 0, window: 9, payload: 100, options: 1 };
        twins.step(&Step::Tcp { flow, reply: true, segment, frame: usual.clone() }, 1);
    }
    assert_eq!(twins.straight - before, 2);
    assert_eq!(twins.engines[0].counters().forwarded, 14);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn both_ways_lead_to_the_same(steps in prop::collection::vec(step(), 1..120)) {
        let mut twins = Twins::new();
        for step in &handshakes() {
            twins.step(step, 1);
        }
        for (number, step) in steps.iter().enumerate() {
            twins.step(step, 2 + number as u64);
        }
        prop_assert!(twins.straight > 0);
    }
}
