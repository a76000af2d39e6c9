//! What the engine is measured with: two ports, routes, and TCP flows whose next packets can be
//! written without end. `benches/engine.rs` and the `ringwall-bench` binary share it.
//!
//! A packet is written from a few words of its flow's, so the writing reads little memory and is
//! left out of what is measured. Each flow is a download in small pieces: the client sends 16 bytes
//! with timestamps, the server acknowledges them in the next round, and so on.
//!
//! Whoever includes this file has a function `prefetch` beside it, the driver's part.

use std::sync::Arc;

use engine::fib::{FibChange, Neighbour, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::screen::Observation;
use engine::{Checksum, Engine, Mode, Origin, Parsed, Port, PortId, Settings, Verdict, WorkerId};
use wire::build::Builder;
use wire::{TcpFlags, Time};

/// Packets decided together, as the worker does.
pub(crate) const BURST: usize = 64;
/// The clients' port.
pub(crate) const LAN: PortId = PortId(0);
/// The servers' port.
pub(crate) const WAN: PortId = PortId(1);
/// Link-layer addresses of the engine's ports.
pub(crate) const PORT_MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0x10], [2, 0, 0, 0, 0, 0x20]];
/// Link-layer addresses of the next hops.
pub(crate) const PEER_MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0x11], [2, 0, 0, 0, 0, 0x21]];
/// Bytes of the longest frame here, rounded up to cache lines.
pub(crate) const FRAME_BYTES: usize = 128;

const PAYLOAD: [u8; 16] = [0x5a; 16];
/// Virtual time between two bursts, nanoseconds: 64 packets at 10 Mpps.
const BURST_NANOS: u64 = 6_400;
/// When virtual time starts.
pub(crate) const START: Time = Time::from_secs(1_000);
/// As many five-tuples as the clients' addresses have, so that a flood hardly ever repeats one.
const FLOOD_FLOWS: u32 = 1 << 27;
/// Servers, one for each rule of a long policy.
const SERVERS: u32 = 1_000;

/// An engine between two ports, with routes, under the policy of [`policy`], at `now`.
pub(crate) fn engine(sessions: u32, rules: u32, worker: WorkerId, now: Time) -> Engine {
    let settings = Settings {
        worker,
        node: 1,
        boot: 1,
        seed: [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210],
        secret: [7, 8],
        sessions,
        ports: vec![port("lan", PORT_MACS[0]), port("wan", PORT_MACS[1])],
    };
    let mut engine = Engine::new(settings, now);
    engine.apply(&[
        route("10.0.0.0/8", LAN, "192.0.2.1"),
        route("198.18.0.0/15", WAN, "192.0.2.129"),
        neighbour(LAN, "192.0.2.1", PEER_MACS[0]),
        neighbour(WAN, "192.0.2.129", PEER_MACS[1]),
    ]);
    engine.set_policy(policy(rules, 1));
    engine
}

fn port(name: &str, mac: [u8; 6]) -> Port {
    Port {
        name: name.to_owned(),
        domain: 0,
        mode: Mode::Routed,
        mac,
        mtu: 1_500,
        checksum: Checksum::Verify,
        up: true,
    }
}

fn route(prefix: &str, port: PortId, gateway: &str) -> FibChange {
    let gateway = Some(gateway.parse().expect("an address"));
    let kind = RouteKind::Unicast(NextHops::one(port, gateway));
    let prefix = prefix.parse().expect("a prefix");
    FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } }
}

fn neighbour(port: PortId, address: &str, mac: [u8; 6]) -> FibChange {
    let Neighbour { mac, state } = Neighbour { mac, state: NeighbourState::Permanent };
    FibChange::NeighbourSet { port, address: address.parse().expect("an address"), mac, state }
}

/// One rule permits everything from `lan` to `wan`; of more, each permits one server, so that a new
/// flow's rule is found after half of them on average.
pub(crate) fn policy(rules: u32, epoch: u64) -> Arc<Policy> {
    compiled(&rules_text(rules), epoch)
}

/// The same with a screen where the clients are, that acts and never needs to.
#[allow(dead_code, reason = "not every user of this file screens")]
pub(crate) fn screened(rules: u32, epoch: u64) -> Arc<Policy> {
    let limits = "action = \"drop\"\nsyn-flood = { source = 1000000, destination = 1000000 }\n\
                  session-limit = { source = 1000000, pair = 1000000 }\n";
    let screen = format!("[[screen]]\nzone = \"inside\"\n{limits}");
    compiled(&(rules_text(rules) + &screen), epoch)
}

/// The same with the clients behind sixteen public addresses.
#[allow(dead_code, reason = "not every user of this file translates")]
pub(crate) fn translated(rules: u32, epoch: u64) -> Arc<Policy> {
    let pool = "[[nat-pool]]\nname = \"public\"\naddresses = [\"203.0.113.0/28\"]\n";
    let rule = "[[nat]]\nid = \"out\"\ntype = \"source\"\nfrom = \"inside\"\nto = \"outside\"\n\
                translate = \"pool:public\"\n";
    compiled(&(rules_text(rules) + pool + rule), epoch)
}

fn compiled(text: &str, epoch: u64) -> Arc<Policy> {
    Arc::new(Policy::from_text(text, epoch, &["lan", "wan"]).expect("a valid policy"))
}

fn rules_text(rules: u32) -> String {
    let mut text = String::from("[zones]\ninside = [\"lan\"]\noutside = [\"wan\"]\n");
    for rule in 0..rules {
        let start = "from = \"inside\"\nto = \"outside\"\naction = \"permit\"\n";
        text += &format!("[[rule]]\nid = \"r{rule}\"\n{start}");
        if rules > 1 {
            let [a, b, c, d] = server(rule);
            text += &format!("destination = [\"{a}.{b}.{c}.{d}\"]\nservice = [\"tcp/443\"]\n");
        }
    }
    text
}

/// TCP connections, numbered from 0.
#[derive(Debug)]
pub(crate) struct Flows {
    /// For each flow, how far it is: rounds of one piece and its acknowledgment.
    sent: Vec<u32>,
    /// The order in which flows are visited: a permutation, so that no prefetcher sees a pattern.
    order: Vec<u32>,
    next: usize,
    answers: bool,
    /// What each client looks like to its server, once it was seen: address and port.
    seen: Vec<([u8; 4], u16)>,
}

/// Packets of one burst, all of one port.
#[derive(Debug)]
pub(crate) struct Burst {
    /// The port they come in by.
    pub(crate) ingress: PortId,
    /// Which flow each is of.
    pub(crate) flows: [u32; BURST],
    frames: Box<[[u8; FRAME_BYTES]; BURST]>,
    lengths: [usize; BURST],
}

impl Default for Burst {
    fn default() -> Self {
        let frames = Box::new([[0; FRAME_BYTES]; BURST]);
        Self { ingress: LAN, flows: [0; BURST], frames, lengths: [0; BURST] }
    }
}

impl Burst {
    /// The bytes of a packet.
    pub(crate) fn frame(&self, at: usize) -> &[u8] {
        &self.frames[at][..self.lengths[at]]
    }

    fn write(&mut self, at: usize, flow: u32, packet: &Builder<'_>) {
        self.flows[at] = flow;
        let frame = &mut self.frames[at];
        self.lengths[at] = packet.write(frame).expect("a packet that fits");
    }
}

impl Flows {
    /// `count` connections, a multiple of [`BURST`], none of them open.
    pub(crate) fn new(count: u32) -> Self {
        let count = count.next_multiple_of(BURST as u32);
        let mut order: Vec<u32> = (0..count).collect();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for at in (1..order.len()).rev() {
            // xorshift64 (Marsaglia 2003): any permutation does.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            order.swap(at, (random % (at as u64 + 1)) as usize);
        }
        let seen = (0..count).map(|flow| (client(flow), client_port(flow))).collect();
        Self { sent: vec![0; count as usize], order, next: 0, answers: false, seen }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.sent.len()
    }

    /// Opens all of them by a handshake, in the order of their numbers: their sessions then lie in
    /// another order than the visits go.
    ///
    /// # Panics
    /// If the engine does not forward one of its packets.
    pub(crate) fn open(&mut self, bench: &mut Bench) {
        let mut burst = Burst::default();
        for start in (0..self.count()).step_by(BURST) {
            for step in [Step::Syn, Step::SynAck, Step::Ack] {
                self.write_burst(&mut burst, step, |at| (start + at) as u32);
                let forwarded = bench.decide(&mut burst);
                assert_eq!(forwarded, BURST, "{step:?}: {:?}", bench.engine.counters());
                if step == Step::Syn {
                    self.look_at(&burst);
                }
            }
        }
    }

    /// Notes whom the servers see, from SYNs that have been forwarded: answers go there.
    fn look_at(&mut self, burst: &Burst) {
        for (at, &flow) in burst.flows.iter().enumerate() {
            let frame = burst.frame(at);
            let address = [frame[26], frame[27], frame[28], frame[29]];
            self.seen[flow as usize] = (address, u16::from_be_bytes([frame[34], frame[35]]));
        }
    }

    /// Writes the packets of the next 64 flows in the order of visits.
    pub(crate) fn next(&mut self, burst: &mut Burst) {
        let step = if self.answers { Step::Answer } else { Step::Data };
        self.write_visits(burst, step);
        self.next += BURST;
        if self.next == self.count() {
            (self.next, self.answers) = (0, !self.answers);
        }
    }

    /// Writes the first packets of the next 64 flows.
    pub(crate) fn next_new(&mut self, burst: &mut Burst) {
        self.write_visits(burst, Step::Syn);
        self.next = (self.next + BURST) % self.count();
    }

    /// Writes 64 first packets of connections that nobody has seen, from this one on.
    #[allow(dead_code, reason = "criterion has no flood")]
    pub(crate) fn flood(burst: &mut Burst, first: u32) {
        burst.ingress = LAN;
        for at in 0..BURST {
            let flow = (first + at as u32) % FLOOD_FLOWS;
            burst.write(at, flow, &packet(flow, 0, Step::Syn));
        }
    }

    fn write_visits(&mut self, burst: &mut Burst, step: Step) {
        let (order, next) = (core::mem::take(&mut self.order), self.next);
        self.write_burst(burst, step, |at| order[next + at]);
        self.order = order;
    }

    fn write_burst(&mut self, burst: &mut Burst, step: Step, flow: impl Fn(usize) -> u32) {
        burst.ingress = step.ingress();
        for at in 0..BURST {
            let flow = flow(at);
            let seen = self.seen[flow as usize];
            let sent = &mut self.sent[flow as usize];
            burst.write(at, flow, &packet_seen(flow, *sent, step, seen));
            *sent = sent.wrapping_add(u32::from(step == Step::Answer));
        }
    }

    /// A packet of an open connection that may come any number of times: the client's
    /// acknowledgment.
    #[allow(dead_code, reason = "not every user of this file sends on wires")]
    pub(crate) fn keepalive(flow: u32, out: &mut [u8]) -> usize {
        packet(flow, 0, Step::Ack).write(out).expect("a packet that fits")
    }
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Syn,
    SynAck,
    Ack,
    Data,
    Answer,
}

impl Step {
    const fn ingress(self) -> PortId {
        match self {
            Self::Syn | Self::Ack | Self::Data => LAN,
            Self::SynAck | Self::Answer => WAN,
        }
    }
}

/// A packet of a flow whose client has had `sent` pieces acknowledged.
fn packet(flow: u32, sent: u32, step: Step) -> Builder<'static> {
    packet_seen(flow, sent, step, (client(flow), client_port(flow)))
}

/// The same of a client that its server sees as another one.
fn packet_seen(flow: u32, sent: u32, step: Step, seen: ([u8; 4], u16)) -> Builder<'static> {
    let (client, server) = (client(flow), server(flow % SERVERS));
    let client_port = client_port(flow);
    let client_seq = flow.wrapping_add(1).wrapping_add(sent.wrapping_mul(PAYLOAD.len() as u32));
    let server_seq = flow.wrapping_mul(31);
    let there = Builder::v4(client, server)
        .ethernet(PEER_MACS[0], PORT_MACS[0])
        .tcp(client_port, 443)
        .dont_fragment();
    let back = Builder::v4(server, seen.0)
        .ethernet(PEER_MACS[1], PORT_MACS[1])
        .tcp(443, seen.1)
        .dont_fragment();
    let start = |builder: Builder<'static>| {
        builder.mss(1_460).window_scale(7).sack_permitted().timestamps(1, 0)
    };
    match step {
        Step::Syn => start(there.seq(flow).flags(TcpFlags::SYN)),
        Step::SynAck => {
            start(back.seq(server_seq).ack(client_seq).flags(TcpFlags::SYN | TcpFlags::ACK))
        }
        Step::Ack => there
            .seq(client_seq)
            .ack(server_seq.wrapping_add(1))
            .flags(TcpFlags::ACK)
            .timestamps(1, 2),
        Step::Data => there
            .seq(client_seq)
            .ack(server_seq.wrapping_add(1))
            .flags(TcpFlags::ACK | TcpFlags::PSH)
            .timestamps(1, 2)
            .payload(&PAYLOAD),
        Step::Answer => back
            .seq(server_seq.wrapping_add(1))
            .ack(client_seq.wrapping_add(PAYLOAD.len() as u32))
            .flags(TcpFlags::ACK)
            .timestamps(2, 1),
    }
}

const fn client_port(flow: u32) -> u16 {
    0x8000 | (flow & 0xf) as u16
}

const fn client(flow: u32) -> [u8; 4] {
    (0x0a00_0000 + (flow >> 4) + 1).to_be_bytes()
}

const fn server(number: u32) -> [u8; 4] {
    (0xc612_0000_u32 + 1 + number).to_be_bytes()
}

/// An engine with its clock, driven as the worker drives it.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The subject.
    pub(crate) engine: Engine,
    now: Time,
    parsed: Vec<Parsed>,
    /// As the ring to who notes what was observed.
    observed: Vec<Observation>,
}

/// Observations in the ring: those of some milliseconds of a flood.
const OBSERVED: usize = 8_192;

impl Bench {
    /// Takes an engine of [`engine()`], whose time is `now`.
    pub(crate) fn new(engine: Engine, now: Time) -> Self {
        let observed = Vec::with_capacity(OBSERVED);
        Self { engine, now, parsed: Vec::with_capacity(BURST), observed }
    }

    /// Parses, touches and decides a burst. How many packets are forwarded.
    pub(crate) fn decide(&mut self, burst: &mut Burst) -> usize {
        self.now = self.now + core::time::Duration::from_nanos(BURST_NANOS);
        self.parsed.clear();
        for at in 0..BURST {
            self.parsed.push(Parsed::nothing(burst.ingress));
            self.engine.parse_into(&mut self.parsed[at], burst.frame(at));
        }
        self.engine.touch(&mut self.parsed, super::prefetch);
        let mut forwarded = 0;
        let frames = burst.frames.iter_mut().zip(burst.lengths);
        for (parsed, (frame, len)) in self.parsed.iter().zip(frames) {
            if self.engine.owner(parsed, &frame[..len], false).is_some() {
                continue;
            }
            let decision = self.engine.decide(Origin::Port, parsed, &mut frame[..len], self.now);
            forwarded += usize::from(matches!(decision.verdict, Verdict::Forward(_)));
        }
        self.hand_on();
        forwarded
    }

    /// What the driver does with observations after a burst; the other thread's work is not part of it.
    fn hand_on(&mut self) {
        let observed = &mut self.observed;
        self.engine.tell_observed(|all| {
            if observed.len() + all.len() > OBSERVED {
                observed.clear();
            }
            observed.extend_from_slice(all);
            all.len()
        });
    }

    /// Lets virtual time go by.
    #[allow(dead_code, reason = "criterion has no flood")]
    pub(crate) fn wait(&mut self, time: core::time::Duration) {
        self.now = self.now + time;
    }

    /// Lets timers run, as each turn does. Whether there is more to do.
    #[allow(dead_code, reason = "criterion's bursts are too few for timers to matter")]
    pub(crate) fn tick(&mut self) -> bool {
        self.engine.tick(self.now)
    }

    /// Ends all sessions.
    #[allow(dead_code, reason = "instructions are counted once")]
    pub(crate) fn clear(&mut self) {
        let mut cursor = Some(engine::table::Cursor::default());
        let mut handles = Vec::new();
        while let Some(at) = cursor {
            cursor = self.engine.sessions().page(at, |handle, _| handles.push(handle));
        }
        for handle in handles {
            self.engine.end_session(handle, engine::session::CloseReason::Cleared, self.now);
        }
    }
}

/// What the least that any stateful forwarder must touch costs: the same frames, a cache line of a
/// hash table and a session-sized record each, in the same order, counted into and marked.
#[derive(Debug)]
pub(crate) struct Baseline {
    lines: Vec<[u64; 8]>,
    records: Vec<[u64; 24]>,
}

impl Baseline {
    /// Memory for `flows` flows, as large as the engine's for a table of `sessions`.
    pub(crate) fn new(flows: usize, sessions: u32) -> Self {
        // Buckets of eight entries of which 3.2 are taken in a full table.
        let lines = (sessions as usize * 10 / 32).next_power_of_two();
        Self { lines: vec![[1; 8]; lines], records: vec![[1; 24]; flows] }
    }

    /// One burst. The sum is there to be used, so that nothing is left out.
    pub(crate) fn touch(&mut self, burst: &mut Burst) -> u64 {
        let mut sum = 0_u64;
        for &flow in &burst.flows {
            sum = sum.wrapping_add(self.lines[self.line(flow)][0]);
        }
        for (at, &flow) in burst.flows.iter().enumerate() {
            let frame = &mut burst.frames[at][..burst.lengths[at]];
            let words = frame.as_chunks::<8>().0;
            sum = words.iter().fold(sum, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
            frame[22] = frame[22].wrapping_sub(1);
            let record = &mut self.records[flow as usize];
            sum = sum.wrapping_add(record[0]);
            record[5] = record[5].wrapping_add(1);
            record[8] = record[8].wrapping_add(sum);
            record[16] = record[16].wrapping_add(1);
            record[18] = record[18].wrapping_add(64);
        }
        sum
    }

    fn line(&self, flow: u32) -> usize {
        let mixed = u64::from(flow).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        mixed as usize & (self.lines.len() - 1)
    }
}

/// How long `work` takes. The clock is read around a whole burst, which adds half a nanosecond a
/// packet.
#[allow(dead_code, reason = "instructions are counted without a clock")]
#[allow(clippy::disallowed_methods, reason = "a benchmark is where the clock belongs")]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> std::time::Duration {
    let start = std::time::Instant::now();
    core::hint::black_box(work());
    start.elapsed()
}
