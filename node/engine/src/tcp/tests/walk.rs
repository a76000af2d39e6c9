//! Two model endpoints talk through the tracker over a network that loses, reorders and duplicates,
//! in front of it and behind it. Whatever an endpoint sends is honest, so nothing of it may be
//! invalid; and a stranger's segments, thrown in at every step, must never count.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::script::{blank, predict};
use super::*;

/// Sequence numbers here count from the sender's initial one and do not wrap: 0 is the SYN, 1 the
/// first byte, `data + 1` the FIN.
#[derive(Clone, Copy, Debug)]
struct Sent {
    sequence: u32,
    ack: Option<u32>,
    flags: TcpFlags,
    payload: u32,
    window: u16,
    sack: Option<u32>,
}

/// One endpoint: a sender and a receiver of RFC 9293 without timers; what to do when is chance.
#[derive(Debug)]
struct Endpoint {
    data: u32,
    /// SND.UNA, SND.NXT.
    una: u32,
    nxt: u32,
    /// SND.UNA + SND.WND as last told, with SND.WL1 and SND.WL2.
    right: u32,
    told: (u32, u32),
    scale: u8,
    peer_scale: u8,
    /// RCV.NXT once the peer's SYN is here, and the ranges received beyond it.
    received: Option<u32>,
    islands: Vec<(u32, u32)>,
    /// The highest right edge offered.
    offered: u32,
    owes_ack: bool,
    listens: bool,
    open: bool,
    aborted: bool,
    /// RSTs owed for segments that came after the abort.
    resets: Vec<u32>,
}

const MSS: u32 = 1_460;

impl Endpoint {
    fn new(listens: bool, data: u32, scale: u8, peer_scale: u8) -> Self {
        Self {
            data,
            una: 0,
            nxt: u32::from(!listens),
            right: 1,
            told: (0, 0),
            scale,
            peer_scale,
            received: None,
            islands: Vec::new(),
            offered: 0,
            owes_ack: false,
            listens,
            open: false,
            aborted: false,
            resets: Vec::new(),
        }
    }

    fn fin(&self) -> u32 {
        self.data + 1
    }

    fn is_done(&self) -> bool {
        self.una == self.fin() + 1
    }

    /// A segment with the current acknowledgment and a window of chance, at times a shrunk one.
    fn segment(&mut self, sequence: u32, payload: u32, flags: TcpFlags, dice: &mut Dice) -> Sent {
        let scale = if flags.contains(TcpFlags::SYN) { 0 } else { self.scale };
        let window = match dice.below(8) {
            0 => 0,
            1 => dice.below(3_000) as u16,
            _ => (20_000 + dice.below(45_000)) as u16 >> scale.min(4),
        };
        if let Some(received) = self.received {
            self.offered = self.offered.max(received + (u32::from(window) << scale));
        }
        let flags = if self.received.is_some() { flags | TcpFlags::ACK } else { flags };
        let sack = self.islands.iter().map(|&(_, end)| end).max();
        Sent { sequence, ack: self.received, flags, payload, window, sack }
    }

    /// What it sends now, if anything.
    fn emit(&mut self, calm: bool, dice: &mut Dice) -> Option<Sent> {
        if let Some(sequence) = self.resets.pop() {
            let reset = TcpFlags::RST;
            return Some(Sent {
                sequence,
                ack: None,
                flags: reset,
                payload: 0,
                window: 0,
                sack: None,
            });
        }
        if self.aborted || (self.listens && self.received.is_none()) {
            return None;
        }
        if !self.open {
            self.nxt = 1;
            return Some(self.segment(0, 0, TcpFlags::SYN, dice));
        }
        let end = self.right.min(self.data + 1).max(self.nxt.min(self.data + 1));
        let fresh = end - self.nxt.min(end);
        let unacknowledged = self.nxt - self.una;
        match dice.below(if calm { 3 } else { 7 }) {
            0 if self.owes_ack => {
                self.owes_ack = false;
                Some(self.segment(self.nxt, 0, TcpFlags::ACK, dice))
            }
            0 | 4 if fresh > 0 => {
                let payload = fresh.min(1 + dice.below(MSS));
                let sequence = self.nxt;
                self.nxt += payload;
                Some(self.segment(sequence, payload, TcpFlags::ACK, dice))
            }
            1 if unacknowledged > 0 => Some(self.again(self.una, dice)),
            2 => Some(self.advance_or_probe(dice)),
            3 if unacknowledged > 0 => {
                let from = self.una + dice.below(unacknowledged);
                Some(self.again(from, dice))
            }
            5 => Some(self.segment(self.nxt, 0, TcpFlags::ACK, dice)),
            // Keepalive (RFC 9293 §3.8.4), with or without the garbage byte.
            6 => {
                let garbage = dice.below(2).min(self.nxt.saturating_sub(2));
                let garbage = if self.nxt > self.data + 1 { 0 } else { garbage };
                Some(self.segment(self.nxt - 1, garbage, TcpFlags::ACK, dice))
            }
            _ => None,
        }
    }

    /// FIN if everything is sent, a probe if the window is closed, else an ACK.
    fn advance_or_probe(&mut self, dice: &mut Dice) -> Sent {
        if self.nxt == self.fin() {
            self.nxt += 1;
            return self.segment(self.fin(), 0, TcpFlags::FIN | TcpFlags::ACK, dice);
        }
        let closed = self.nxt == self.una && self.nxt >= self.right && self.nxt <= self.data;
        let probe = u32::from(closed);
        self.nxt += probe;
        self.segment(self.nxt - probe, probe, TcpFlags::ACK, dice)
    }

    /// Sends again from `from`: at most a segment, with the FIN if it is reached.
    fn again(&mut self, from: u32, dice: &mut Dice) -> Sent {
        let sent = self.nxt.min(self.data + 1);
        let payload = sent.saturating_sub(from).min(MSS);
        let fin = self.nxt > self.fin() && from + payload == self.fin();
        let flags = if fin { TcpFlags::FIN | TcpFlags::ACK } else { TcpFlags::ACK };
        self.segment(from, payload, flags, dice)
    }

    fn receive(&mut self, segment: &Sent) {
        if self.aborted {
            if !segment.flags.contains(TcpFlags::RST) {
                self.resets.extend(segment.ack);
            }
            return;
        }
        if segment.flags.contains(TcpFlags::RST) {
            // RFC 5961 §3.2: exact, or a challenge ACK.
            self.aborted |= self.received == Some(segment.sequence);
            self.owes_ack = true;
            return;
        }
        let Some(received) = self.received else {
            if segment.flags.contains(TcpFlags::SYN) {
                self.received = Some(1);
                self.open = segment.ack.is_some();
                self.take_ack(segment);
                self.owes_ack = true;
            }
            return;
        };
        let fin = u32::from(segment.flags.contains(TcpFlags::FIN));
        let end = segment.sequence + segment.payload + fin;
        self.owes_ack |= end > segment.sequence || segment.sequence < received;
        if self.open && segment.sequence < received && end <= received {
            // Not acceptable: an ACK is due, and nothing else counts (RFC 9293 §3.10.7.4).
            return;
        }
        self.take_ack(segment);
        let end = end.min(self.offered.max(received));
        if !segment.flags.contains(TcpFlags::SYN) && end > received && segment.sequence < end {
            self.islands.push((segment.sequence, end));
            self.join(received);
        }
    }

    fn join(&mut self, mut received: u32) {
        self.islands.sort_unstable();
        for &(from, to) in &self.islands {
            if from <= received {
                received = received.max(to);
            }
        }
        self.islands.retain(|&(_, to)| to > received);
        self.received = Some(received);
    }

    fn take_ack(&mut self, segment: &Sent) {
        let Some(ack) = segment.ack.filter(|&ack| ack >= self.una && ack <= self.nxt) else {
            return;
        };
        self.una = ack;
        self.open |= ack > 0;
        let told = (segment.sequence, ack);
        if told >= self.told || self.told == (0, 0) {
            self.told = told;
            let syn = segment.flags.contains(TcpFlags::SYN);
            let scale = if syn { 0 } else { self.peer_scale };
            self.right = ack + (u32::from(segment.window) << scale);
        }
    }
}

/// Chance, repeatable: SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound.max(1))) as u32
    }

    fn one_in(&mut self, chance: u32) -> bool {
        self.below(chance) == 0
    }
}

/// A path that keeps up to 12 segments, loses one in 12 and doubles one in 12.
#[derive(Default)]
struct Path(VecDeque<Sent>);

impl Path {
    fn put(&mut self, segment: Sent) {
        if self.0.len() < 12 {
            self.0.push_back(segment);
        }
    }

    fn take(&mut self, calm: bool, dice: &mut Dice) -> Option<Sent> {
        if calm {
            return self.0.pop_front();
        }
        let at = dice.below(self.0.len().min(6) as u32) as usize;
        let segment = if dice.one_in(12) { self.0.get(at).copied() } else { self.0.remove(at) };
        segment.filter(|_| !dice.one_in(12))
    }
}

struct World {
    tcp: Tcp,
    initial: [u32; 2],
    scales: [Option<u8>; 2],
    sack: bool,
    ends: [Endpoint; 2],
    before: [Path; 2],
    behind: [Path; 2],
    dice: Dice,
    forged: u32,
    /// A RST came before data with lower sequence numbers, so it was not exact where it passed.
    overtaking: bool,
}

impl World {
    fn new(initial: [u32; 2], scales: [Option<u8>; 2], data: [u32; 2], seed: u64) -> Self {
        let both = scales[0].is_some() && scales[1].is_some();
        let scale = |side: usize| if both { scales[side].unwrap_or(0) } else { 0 };
        let end = |side: usize| Endpoint::new(side == 1, data[side], scale(side), scale(1 - side));
        Self {
            tcp: Tcp::IDLE,
            initial,
            scales,
            sack: seed.is_multiple_of(2),
            ends: [end(0), end(1)],
            before: Default::default(),
            behind: Default::default(),
            dice: Dice(seed),
            forged: 0,
            overtaking: false,
        }
    }

    fn step(&mut self, calm: bool) {
        let peer = Peer::BOTH[self.dice.below(2) as usize];
        let side = peer.index();
        match self.dice.below(3) {
            0 => {
                if let Some(segment) = self.ends[side].emit(calm, &mut self.dice) {
                    self.before[side].put(segment);
                }
            }
            1 => {
                if let Some(segment) = self.before[side].take(calm, &mut self.dice) {
                    self.pass(peer, &segment);
                }
            }
            _ => {
                if let Some(segment) = self.behind[side].take(calm, &mut self.dice) {
                    self.ends[1 - side].receive(&segment);
                }
            }
        }
        if self.tcp.state() != State::None {
            self.forge(peer);
        }
    }

    /// An honest segment reaches the tracker.
    fn pass(&mut self, peer: Peer, sent: &Sent) {
        let segment = self.on_the_wire(peer, sent);
        let before = self.tcp.state();
        if before == State::None {
            self.tcp = Tcp::open(&segment).expect("the first segment is a SYN");
        } else {
            match twins(&self.tcp, peer, &segment) {
                Judgement::Accept(accepted) => self.tcp = accepted.next,
                Judgement::Ignore(next) => {
                    self.tcp = next;
                    self.overtaking |= sent.flags.contains(TcpFlags::RST);
                }
                other @ (Judgement::Reopen | Judgement::Invalid(_)) => {
                    let wanted = self.ends[peer.other().index()].received == Some(sent.sequence);
                    let late = sent.flags.contains(TcpFlags::RST) && !wanted;
                    assert!(
                        late,
                        "{other:?} for {sent:?} of {peer:?}\n{:?}\n{:#?}",
                        self.tcp, self.ends
                    );
                    return;
                }
            }
        }
        let after = self.tcp.state();
        assert!(rank(before) <= rank(after), "{before:?} back to {after:?} by {sent:?}");
        self.behind[peer.index()].put(*sent);
    }

    fn on_the_wire(&self, peer: Peer, sent: &Sent) -> Segment {
        let (own, other) = (self.initial[peer.index()], self.initial[peer.other().index()]);
        let syn = sent.flags.contains(TcpFlags::SYN);
        Segment {
            sequence: Seq(own) + sent.sequence,
            acknowledgment: Seq(other) + sent.ack.unwrap_or(0),
            flags: sent.flags,
            window: sent.window,
            payload: sent.payload,
            window_scale: self.scales[peer.index()].filter(|_| syn),
            sack_permitted: self.sack && syn,
            sack: sent.sack.filter(|_| self.sack).map(|edge| Seq(other) + edge),
        }
    }

    /// A stranger who knows addresses and ports, but no number, sends in the name of `peer`.
    fn forge(&mut self, peer: Peer) {
        let flags = match self.dice.below(4) {
            0 => TcpFlags::RST,
            1 => TcpFlags::RST | TcpFlags::ACK,
            2 => TcpFlags::FIN | TcpFlags::ACK,
            _ => TcpFlags::ACK,
        };
        let data = !flags.contains(TcpFlags::RST);
        let segment = Segment {
            sequence: Seq(self.dice.next() as u32),
            acknowledgment: Seq(self.dice.next() as u32),
            payload: if data { 1 + self.dice.below(MSS) } else { 0 },
            ..blank(flags)
        };
        if self.guessed(peer, &segment) {
            return;
        }
        let sent = self.ends[peer.index()].nxt;
        let judged = twins(&self.tcp, peer, &segment);
        match judged {
            Judgement::Invalid(_) => self.forged += 1,
            // In the window by chance: about one in 2^15 for a reset. It must not close.
            Judgement::Ignore(next) if flags.contains(TcpFlags::RST) => assert_eq!(next, self.tcp),
            // Before the handshake the initiator takes no data; the tracker believes none.
            Judgement::Ignore(next) if rank(next.state()) < rank(State::SynReceived) => {
                assert_eq!((next.windows, next.marks), (self.tcp.windows, self.tcp.marks));
            }
            // Old data, which the receiver has: harmless.
            Judgement::Ignore(_) => {
                let end = segment.end() - Seq(self.initial[peer.index()]);
                assert!(end <= sent as i32, "{segment:?} {judged:?}");
            }
            Judgement::Accept(_) | Judgement::Reopen => {
                panic!("{segment:?} {judged:?} {:?}", self.tcp)
            }
        }
    }

    /// Whether a stranger was so lucky as to hit both windows (with scale 14 one in 1,000 is).
    fn guessed(&self, peer: Peer, segment: &Segment) -> bool {
        let near = |number: Seq, side: usize| {
            let reach = (65_535_i32 << self.ends[1 - side].scale).max(66_000) * 2;
            let distance = number - (Seq(self.initial[side]) + self.ends[side].nxt);
            distance.abs() <= reach
        };
        near(segment.sequence, peer.index()) && near(segment.acknowledgment, 1 - peer.index())
    }

    fn is_done(&self) -> bool {
        self.ends.iter().all(Endpoint::is_done)
    }
}

/// The long way of judging, which the short one must agree with.
fn twins(tcp: &Tcp, peer: Peer, segment: &Segment) -> Judgement {
    let judgement = tcp.judge(peer, segment, WindowCheck::Check);
    if let Some(stream) = predict(tcp, peer, segment, WindowCheck::Check) {
        let mut predicted = *tcp;
        predicted.take_stream(&stream);
        assert_eq!(judgement, Judgement::Accept(Accepted::new(predicted, true)));
    }
    judgement
}

/// The order in which states may follow each other.
fn rank(state: State) -> u32 {
    match state {
        State::None => 0,
        State::SynSent => 1,
        State::SynSent2 => 2,
        State::PickedUp => unreachable!("a walk begins with a SYN"),
        State::SynReceived => 3,
        State::Established => 4,
        State::FinWait => 5,
        State::CloseWait => 6,
        State::LastAck => 7,
        State::TimeWait => 8,
        State::Close => 9,
    }
}

fn scale() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![Just(None), (0..=7_u8).prop_map(Some), Just(Some(14))]
}

proptest! {
    #[test]
    fn nothing_honest_is_invalid_and_nothing_forged_counts(
        initial in any::<[u32; 2]>(),
        scales in [scale(), scale()],
        data in [0..60_000_u32, 0..60_000_u32],
        seed in any::<u64>(),
    ) {
        let mut world = World::new(initial, scales, data, seed);
        for _ in 0..2_500 {
            world.step(false);
        }
        let mut steps = 0;
        while !world.is_done() && steps < 200_000 {
            world.step(true);
            steps += 1;
        }
        prop_assert!(world.is_done(), "stuck: {:?} {:?}", world.tcp, world.ends);
        for _ in 0..2_000 {
            world.step(true);
        }
        prop_assert_eq!(world.tcp.state(), State::TimeWait);
        // Windows of a gigabyte leave little outside.
        prop_assert!(world.forged > 1_000 || scales == [Some(14); 2]);
    }

    #[test]
    fn an_abort_closes_whatever_is_lost(
        initial in any::<[u32; 2]>(),
        scales in [scale(), scale()],
        who in 0..2_usize,
        seed in any::<u64>(),
    ) {
        let mut world = World::new(initial, scales, [40_000; 2], seed);
        for _ in 0..40_000 {
            world.step(false);
            if world.ends[0].open && world.ends[1].open && world.dice.one_in(100) {
                break;
            }
        }
        prop_assert!(world.ends[who].open);
        world.ends[who].aborted = true;
        let exact = world.ends[who].nxt;
        world.ends[who].resets.push(exact);
        let mut steps = 0;
        while !world.ends[1 - who].aborted && steps < 200_000 {
            world.step(steps > 2_000);
            steps += 1;
        }
        prop_assert!(world.ends[1 - who].aborted, "stuck: {:?} {:?}", world.tcp, world.ends);
        prop_assert!(world.tcp.state() == State::Close || world.overtaking, "{:?}", world.tcp);
    }
}
