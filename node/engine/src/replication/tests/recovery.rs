//! Connections whose last segments the new owner did not see.

use std::time::Duration;

use proptest::prelude::*;
use wire::TcpFlags;
use wire::build::Builder;

use super::rig::*;
use crate::limits::{RECOVERY_LAG_MAX, RECOVERY_RATE_MIN};
use crate::{Reason, Verdict};

const CLIENT: u16 = 5_000;
const RST: TcpFlags = TcpFlags::RST;
const LAG: Duration = Duration::from_millis(200);
/// As `rig::tcp` offers it.
const WINDOW: u32 = 60_000;
/// How far ahead of the known end a client may be after `LAG` and as long on the record's way.
const LIMIT: u32 = RECOVERY_RATE_MIN / 5 * 2 + WINDOW;

/// The owner of a connection on which the client has sent 1,000 bytes, and what took it over.
fn pair() -> [Node; 2] {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    handshake(&mut a, CLIENT);
    let data = [7; 1_000];
    a.arrive(LAN, &tcp(CLIENT, false, ACK, 1, 1).payload(&data));
    a.arrive(WAN, &tcp(CLIENT, true, ACK, 1, 1_001));
    b.follow(&mut a);
    b.now = b.now + LAG;
    b.engine.take_over(b.now);
    [a, b]
}

#[test]
fn flags_and_position_tell_what_a_segment_may_do() {
    const PASS: &str = "forward";
    const ASKED: &str = "answer";
    const OUT: &str = "drop";
    // How far ahead of the known end: exactly there; beyond the window; beyond the limit.
    let places = [0, WINDOW + 1_000, LIMIT + 1_000];
    let table: [(TcpFlags, [&str; 3], [&str; 3]); 4] = [
        // after a takeover                      as ever
        (ACK, [PASS, PASS, OUT], [PASS, OUT, OUT]),
        (FIN, [PASS, ASKED, ASKED], [PASS, OUT, OUT]),
        (RST, [PASS, ASKED, ASKED], [PASS, OUT, OUT]),
        // For its receiver to answer (RFC 5961 §4), unless we do.
        (SYN, [PASS, ASKED, ASKED], [PASS, PASS, PASS]),
    ];
    for (flags, recovering, strict) in table {
        for place in 0..3 {
            let data: &[u8] = if flags == ACK { &[7; 500] } else { &[] };
            let packet = tcp(CLIENT, false, flags, 1_001 + places[place], 1).payload(data);
            let [mut a, mut b] = pair();
            for (node, expected) in [(&mut b, recovering[place]), (&mut a, strict[place])] {
                let got = match node.verdict(LAN, &packet) {
                    Verdict::Forward(_) => PASS,
                    Verdict::Answer => ASKED,
                    Verdict::Drop(Reason::TcpWindow) => OUT,
                    Verdict::Drop(_) | Verdict::Consume | Verdict::Hold | Verdict::HandOff(_) => {
                        panic!("{flags:?} {place}")
                    }
                };
                assert_eq!(got, expected, "{flags:?} {place}");
            }
        }
    }
}

#[test]
fn a_direction_jumps_once() {
    let [_, mut b] = pair();
    let data = |seq| tcp(CLIENT, false, ACK, seq, 1).payload(b"data");
    let first = 1_001 + WINDOW + 10_000;
    assert_eq!(b.verdict(LAN, &data(first)), Verdict::Forward(WAN));
    assert_eq!(b.verdict(LAN, &data(first + 4)), Verdict::Forward(WAN));
    let beyond = data(first + WINDOW + 20_000);
    assert_eq!(b.verdict(LAN, &beyond), Verdict::Drop(Reason::TcpWindow));
    // And now a reset is as exact as ever.
    let reset = |seq| tcp(CLIENT, false, RST, seq, 0);
    assert_eq!(b.verdict(LAN, &reset(first + WINDOW + 20_000)), Verdict::Drop(Reason::TcpWindow));
    assert_eq!(b.verdict(LAN, &reset(first + 8)), Verdict::Forward(WAN));
}

#[test]
fn what_came_unseen_may_be_acknowledged_bit_by_bit() {
    let [_, mut b] = pair();
    for ack in [50_000, 120_000, 121_460, LIMIT] {
        let packet = tcp(CLIENT, true, ACK, 1, ack);
        assert_eq!(b.verdict(WAN, &packet), Verdict::Forward(LAN), "{ack}");
    }
    let ahead = tcp(CLIENT, true, ACK, 1, 1_001 + LIMIT + 1);
    assert_eq!(b.verdict(WAN, &ahead), Verdict::Drop(Reason::TcpWindow));
}

#[test]
fn a_challenge_is_answered_with_the_true_numbers_and_the_fin_passes() {
    let [_, mut b] = pair();
    // 100,000 more bytes and a FIN were sent; the FIN was lost and comes again.
    let fin = tcp(CLIENT, false, FIN, 101_001, 1);
    assert_eq!(b.verdict(LAN, &fin), Verdict::Answer);
    let sent = b.sent();
    let [(port, frame)] = &sent[..] else { panic!("one challenge") };
    let challenge = wire::Packet::parse(frame).unwrap();
    let wire::Transport::Tcp(header) = challenge.body else { panic!("TCP") };
    assert_eq!((*port, header.flags), (LAN, ACK));
    assert_eq!(header.sequence, wire::Seq(INITIAL[1]), "below what the client acknowledged");
    assert_eq!(header.acknowledgment, wire::Seq(INITIAL[0]) + 1_001);
    let answer = tcp(CLIENT, false, ACK, 101_002, 1);
    assert_eq!(b.verdict(LAN, &answer), Verdict::Forward(WAN));
    assert_eq!(b.verdict(LAN, &fin), Verdict::Forward(WAN));
    let last = tcp(CLIENT, true, FIN, 1, 101_002);
    assert_eq!(b.verdict(WAN, &last), Verdict::Forward(LAN));
}

#[test]
fn challenges_are_limited_like_all_answers() {
    let [_, mut b] = pair();
    let fin = tcp(CLIENT, false, FIN, 101_001, 1);
    let verdicts: Vec<Verdict> = (0..60).map(|_| b.verdict(LAN, &fin)).collect();
    assert!(verdicts.contains(&Verdict::Drop(Reason::TcpWindow)));
}

#[test]
fn an_owner_of_before_is_not_sure_either() {
    let [mut a, _] = pair();
    a.engine.stand_down();
    a.wait(Duration::from_secs(1));
    a.engine.take_over(a.now);
    let ahead = tcp(CLIENT, false, ACK, 1_001 + WINDOW + 1_000, 1).payload(b"data");
    assert_eq!(a.verdict(LAN, &ahead), Verdict::Forward(WAN));
    // Of a connection that it has opened since, it has seen all.
    handshake(&mut a, CLIENT + 1);
    let ahead = tcp(CLIENT + 1, false, ACK, 1 + WINDOW + 1_000, 1).payload(b"data");
    assert_eq!(a.verdict(LAN, &ahead), Verdict::Drop(Reason::TcpWindow));
}

/// From the server; sequence number, acknowledgment, bytes.
type Sent = (bool, u32, u32, u32);

/// Two peers that send at a steady rate, within each other's window.
struct Peers {
    /// Bytes a millisecond.
    rates: [u32; 2],
    /// Next number to send, and the highest number acknowledged.
    next: [u32; 2],
    una: [u32; 2],
}

impl Peers {
    /// What both send in a millisecond: data, and then acknowledgments of all that came.
    fn millisecond(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for (side, reply) in [(0, false), (1, true)] {
            let mut left = self.rates[side];
            while left > 0 && self.next[side] - self.una[side] + MSS <= WINDOW {
                let bytes = left.min(MSS);
                sent.push((reply, self.next[side], self.una[1 - side], bytes));
                (self.next[side], left) = (self.next[side] + bytes, left - bytes);
            }
        }
        for (side, reply) in [(1, true), (0, false)] {
            self.una[1 - side] = self.next[1 - side];
            sent.push((reply, self.next[side], self.next[1 - side], 0));
        }
        sent
    }
}

const MSS: u32 = 1_400;

fn packet(&(reply, seq, ack, bytes): &Sent) -> (crate::PortId, Builder<'static>) {
    const DATA: [u8; MSS as usize] = [7; MSS as usize];
    let ingress = if reply { WAN } else { LAN };
    (ingress, tcp(CLIENT, reply, ACK, seq, ack).payload(&DATA[..bytes as usize]))
}

/// A backup whose records lag behind by `lag` milliseconds, made every `every`, after half a second;
/// and the peers at that time, with what they sent last.
fn takeover(rates: [u32; 2], lag: u64, every: u64) -> (Node, Peers, Vec<Sent>) {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    handshake(&mut a, CLIENT);
    let mut peers = Peers { rates, next: [1; 2], una: [1; 2] };
    let mut flight = Vec::new();
    let mut records = std::collections::VecDeque::new();
    for millisecond in 0..500 {
        for node in [&mut a, &mut b] {
            node.now = node.now + Duration::from_millis(1);
        }
        flight = peers.millisecond();
        for sent in &flight {
            let (ingress, packet) = packet(sent);
            assert!(matches!(a.verdict(ingress, &packet), Verdict::Forward(_)));
        }
        if millisecond % every == 0 {
            records.push_back((millisecond + lag, a.records()[0]));
        }
        while records.front().is_some_and(|(due, _)| *due <= millisecond) {
            b.import(&records.pop_front().unwrap().1);
        }
    }
    b.engine.take_over(b.now);
    (b, peers, flight)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Records lag by up to 200 ms: whatever two honest peers send passes, what was lost with the
    /// old owner and comes again included; and whoever guesses gets nothing through.
    #[test]
    fn honest_peers_pass_and_blind_forgers_do_not(
        rates in [1_u32..20_000, 1_u32..20_000],
        lag in 0_u64..150,
        every in 10_u64..50,
        guesses in prop::collection::vec((any::<bool>(), 1_u32 << 29..1 << 31, any::<bool>()), 8),
        flags in prop::sample::select(vec![ACK, FIN, RST, SYN, SYN_ACK]),
        lost in any::<bool>(),
    ) {
        let (mut b, mut peers, flight) = takeover(rates, lag, every);
        for (reply, far, sequence) in guesses {
            let (own, other) = (usize::from(reply), usize::from(!reply));
            let seq = if sequence { peers.next[own].wrapping_add(far) } else { peers.next[own] };
            let ack = if sequence { peers.next[other] } else { peers.next[other].wrapping_add(far) };
            // A SYN-ACK, FIN or RST with a right number is no guess.
            if sequence || flags == ACK {
                let (ingress, _) = packet(&(reply, 0, 0, 0));
                let verdict = b.verdict(ingress, &tcp(CLIENT, reply, flags, seq, ack).payload(b"x"));
                prop_assert!(!matches!(verdict, Verdict::Forward(_)), "{flags:?} {seq} {ack}");
            }
        }
        let again = if lost { flight } else { Vec::new() };
        let rest = (0..50).flat_map(|_| peers.millisecond()).collect::<Vec<_>>();
        for sent in again.iter().chain(&rest) {
            let (ingress, packet) = packet(sent);
            let verdict = b.verdict(ingress, &packet);
            prop_assert!(matches!(verdict, Verdict::Forward(_)), "{sent:?}: {verdict:?}");
        }
        prop_assert!(LAG < RECOVERY_LAG_MAX);
    }
}
