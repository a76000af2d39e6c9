//! A stream of messages, cut and repeated at random, with losses behind the firewall: its far end gets what
//! it would have got of whole messages.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::Transport;

use super::sip::{head, message};
use super::talk::*;
use crate::Verdict;
use crate::nat::tests::rig::*;
use crate::session::Peer::{Initiator, Responder};

const PHONE: (&str, u16) = ("10.0.0.5", 40_700);
const PROXY: (&str, u16) = ("198.18.0.1", 5_060);

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many bytes more are sent; lost or not.
    More(usize, bool),
    /// Some that were sent are sent again, from a part of what is not acknowledged on.
    Again(u8, usize, bool),
    /// The far end acknowledges what it has; that is lost or not.
    Nod(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![1..12_usize, 1..1_460_usize];
    let again = (any::<u8>(), len.clone(), any::<bool>());
    let step = prop_oneof![
        3 => (len, any::<bool>()).prop_map(|(len, lost)| Step::More(len, lost)),
        2 => again.prop_map(|(from, len, lost)| Step::Again(from, len, lost)),
        2 => any::<bool>().prop_map(Step::Nod),
    ];
    vec(step, 1..60)
}

fn messages(sizes: &[(u8, u16)]) -> Vec<String> {
    let of = |(kind, size): &(u8, u16)| {
        let size = usize::from(*size);
        let mut lines = head("OPTIONS sip:bob@198.18.0.1 SIP/2.0", "1 OPTIONS", "10.0.0.5:40700");
        lines.push(format!("X: {}", "x".repeat(size % 900)));
        match kind % 4 {
            0 => "\r\n\r\n".to_owned(),
            1 => {
                lines.push(format!("Y: {}", "y".repeat(900)));
                lines.push(format!("Z: {}", "z".repeat(900)));
                message(&lines, &[])
            }
            2 if size % 8 == 0 => message(&lines, &["long".repeat(1_100)]),
            _ => message(&lines, &[]),
        }
    };
    sizes.iter().map(of).collect()
}

/// Both ends of the stream.
struct Ends {
    wall: Wall,
    talk: Talk,
    text: Vec<u8>,
    /// Bytes that were sent, and that its sender knows to have arrived.
    sent: usize,
    acknowledged: usize,
    /// What the far end has.
    got: Vec<u8>,
    start: [u32; 2],
}

impl Ends {
    fn send(&mut self, at: usize, len: usize, lost: bool) {
        let end = (at + len).min(self.text.len()).min(at + 1_460);
        let text = self.text[at..end].to_vec();
        let segment = self.talk.segment(Initiator, self.start[0].wrapping_add(at as u32), &text);
        let (decision, left) = self.wall.arrive(LAN, &segment);
        if decision.verdict == Verdict::Answer {
            return self.hear(&left[0]);
        }
        assert!(is_forwarded(decision.verdict), "{decision:?}");
        self.sent = self.sent.max(end);
        for left in left.iter().filter(|_| !lost) {
            let Transport::Tcp(tcp) = &left.packet.body else { panic!("{left:?}") };
            let (at, data) = (tcp.sequence.0.wrapping_sub(self.start[0]) as usize, data(left));
            assert!(at <= self.got.len() || data.is_empty(), "{at} of {}", self.got.len());
            if at + data.len() > self.got.len() && at <= self.got.len() {
                self.got.extend(&data[self.got.len() - at..]);
            }
        }
    }

    /// The far end acknowledges all that it has.
    fn nod(&mut self, lost: bool) {
        self.talk.expected[1] = self.start[0].wrapping_add(self.got.len() as u32);
        let nod = self.talk.segment(Responder, self.start[1], b"");
        let left = self.wall.pass(WAN, &nod);
        if !lost {
            self.hear(&left);
        }
    }

    /// The sender is told what has arrived.
    fn hear(&mut self, left: &Left) {
        let Transport::Tcp(tcp) = &left.packet.body else { panic!("{left:?}") };
        let known = tcp.acknowledgment.0.wrapping_sub(self.start[0]) as usize;
        assert!(known <= self.sent, "{known} of {}", self.sent);
        self.acknowledged = self.acknowledged.max(known);
    }

    fn step(&mut self, step: Step) {
        let waiting = self.sent - self.acknowledged;
        match step {
            Step::More(len, lost) if self.sent < self.text.len() && waiting < 6_000 => {
                // What comes behind a gap would be of no use to this far end.
                let whole = self.sent == self.text.len() || !lost;
                self.send(self.sent, len, !whole);
                if lost {
                    self.recover();
                }
            }
            Step::Again(from, len, lost) if waiting > 0 => {
                let at = self.acknowledged + usize::from(from) * waiting / 256;
                self.send(at, len.min(self.sent - at), lost);
            }
            Step::Nod(lost) => self.nod(lost),
            Step::More(..) | Step::Again(..) => {}
        }
    }

    /// All that was not acknowledged is sent again.
    fn recover(&mut self) {
        self.nod(false);
        let mut at = self.acknowledged;
        while at < self.sent {
            self.send(at, self.sent - at, false);
            at = (at + 1_460).min(self.sent);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_cut_repeated_and_lost(sizes in vec(any::<(u8, u16)>(), 1..7), steps in steps()) {
        let messages = messages(&sizes);
        let mut reference = wall(masquerade());
        let mut talk = Talk::open(&mut reference, PHONE, PROXY);
        let mut expected = Vec::new();
        for whole in &messages {
            for piece in whole.as_bytes().chunks(1_460) {
                expected.extend(talk.utter(&mut reference, Initiator, piece));
            }
            talk.nod(&mut reference, Responder);
        }
        let mut wall = wall(masquerade());
        let talk = Talk::open(&mut wall, PHONE, PROXY);
        let (start, text) = (talk.sent, messages.concat().into_bytes());
        let (sent, acknowledged, got) = (0, 0, Vec::new());
        let mut ends = Ends { wall, talk, text, sent, acknowledged, got, start };
        steps.into_iter().for_each(|step| ends.step(step));
        ends.recover();
        while ends.sent < ends.text.len() {
            ends.send(ends.sent, 1_460, false);
            ends.recover();
        }
        ends.recover();
        prop_assert_eq!(String::from_utf8_lossy(&ends.got), String::from_utf8_lossy(&expected));
        ends.nod(false);
        prop_assert_eq!(ends.acknowledged, ends.text.len());
        prop_assert_eq!(ends.wall.engine.alg_counters().foreign, 0);
    }
}
