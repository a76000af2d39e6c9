//! A TCP connection through the firewall of the translation's tests, whose two ends keep their own books.

use wire::build::Builder;
use wire::{Ends, Packet, TcpFlags, Transport};

use crate::Verdict;
use crate::nat::tests::rig::*;
use crate::session::Peer;

pub(super) const SYN: TcpFlags = TcpFlags::SYN;
pub(super) const ACK: TcpFlags = TcpFlags::ACK;
pub(super) const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | ACK.0);

/// Only control channels are permitted.
pub(super) const CHANNELS: &str = r#"
[zones]
in = ["a"]
out = ["b"]
[[rule]]
id = "out"
from = "in"
to = "out"
service = [
  "tcp/21", "udp/69", "tcp/5060", "udp/5060", "tcp/1720", "udp/1719", "tcp/554", "tcp/1723", "udp/53",
]
action = "permit"
alg = "auto"
[[rule]]
id = "in"
from = "out"
to = "in"
service = ["tcp/21", "tcp/1720"]
action = "permit"
alg = ["ftp", "h323"]
"#;

/// Both ends of a connection, whose initiator is behind the first port.
pub(super) struct Talk {
    /// The ends of each peer's packets as it sends them.
    pub(super) ends: [Ends; 2],
    /// The next number that each peer sends, and the next one that it expects.
    pub(super) sent: [u32; 2],
    pub(super) expected: [u32; 2],
    ports: [crate::PortId; 2],
}

pub(super) fn wall(nat: config::Nat) -> Wall {
    let mut wall = Wall::new(nat.clone());
    wall.engine.set_policy(policy(CHANNELS, nat, 2));
    wall
}

impl Talk {
    /// The handshake.
    pub(super) fn open(wall: &mut Wall, client: (&str, u16), server: (&str, u16)) -> Self {
        Self::open_by(wall, [LAN, WAN], client, server)
    }

    pub(super) fn open_by(
        wall: &mut Wall,
        ports: [crate::PortId; 2],
        client: (&str, u16),
        server: (&str, u16),
    ) -> Self {
        let syn = tcp(client, server, SYN).seq(1_000).mss(1_460);
        let syn = wall.pass(ports[0], &syn).packet;
        let there = Ends::of(&syn).reversed();
        let answer = Builder::new(there.source.0, there.destination.0)
            .tcp(there.source.1, there.destination.1)
            .flags(SYN_ACK)
            .seq(4_294_967_000)
            .ack(1_001)
            .window(60_000)
            .mss(1_460);
        wall.pass(ports[1], &answer);
        let here = Ends { source: (ip(client.0), client.1), destination: (ip(server.0), server.1) };
        let start = [1_001, 4_294_967_001];
        let mut talk =
            Self { ends: [here, there], sent: start, expected: [start[1], start[0]], ports };
        talk.say(wall, Peer::Initiator, b"");
        talk
    }

    /// The segment with which a peer says this, at a number.
    pub(super) fn segment<'a>(&self, peer: Peer, seq: u32, text: &'a [u8]) -> Builder<'a> {
        let at = peer.index();
        let Ends { source, destination } = self.ends[at];
        Builder::new(source.0, destination.0)
            .tcp(source.1, destination.1)
            .flags(TcpFlags(ACK.0 | TcpFlags::PSH.0))
            .seq(seq)
            .ack(self.expected[at])
            .window(60_000)
            .payload(text)
    }

    /// One peer says something, and the other one hears what is returned: the next in its order, with an
    /// acknowledgment of what it has sent itself.
    pub(super) fn say(&mut self, wall: &mut Wall, peer: Peer, text: &[u8]) -> String {
        let segment = self.segment(peer, self.sent[peer.index()], text);
        self.sent[peer.index()] = self.sent[peer.index()].wrapping_add(text.len() as u32);
        let left = wall.pass(self.ports[peer.index()], &segment);
        self.hear(peer, &left)
    }

    /// The same of bytes, which may leave in any number of segments, none of which is too long.
    pub(super) fn utter(&mut self, wall: &mut Wall, peer: Peer, bytes: &[u8]) -> Vec<u8> {
        let segment = self.segment(peer, self.sent[peer.index()], bytes);
        self.sent[peer.index()] = self.sent[peer.index()].wrapping_add(bytes.len() as u32);
        let (decision, left) = wall.arrive(self.ports[peer.index()], &segment);
        assert!(is_forwarded(decision.verdict), "{decision:?}");
        let mut heard = Vec::new();
        for left in left {
            assert!(left.packet.ip_len() <= 1_500, "{left:?}");
            heard.extend(self.hear_bytes(peer, &left));
        }
        heard
    }

    /// The far end says that it has heard all.
    pub(super) fn nod(&mut self, wall: &mut Wall, peer: Peer) {
        assert_eq!(self.utter(wall, peer, b""), b"");
    }

    /// What the other peer makes of a segment that has left.
    pub(super) fn hear(&mut self, peer: Peer, left: &Left) -> String {
        String::from_utf8(self.hear_bytes(peer, left)).expect("it is text")
    }

    fn hear_bytes(&mut self, peer: Peer, left: &Left) -> Vec<u8> {
        let other = peer.other().index();
        let Transport::Tcp(tcp) = &left.packet.body else { panic!("{left:?}") };
        let text = data(left);
        if !text.is_empty() {
            assert_eq!(tcp.sequence.0, self.expected[other], "what comes next: {text:?}");
        }
        assert_eq!(tcp.acknowledgment.0, self.sent[other], "all that was said is acknowledged");
        assert_eq!(Ends::of(&left.packet), self.ends[other].reversed());
        self.expected[other] = self.expected[other].wrapping_add(text.len() as u32);
        text
    }

    /// The initiator resets the connection, or both end it, and all is acknowledged.
    pub(super) fn end(&mut self, wall: &mut Wall, how: TcpFlags) {
        let last = TcpFlags(ACK.0 | how.0);
        let resets = how == TcpFlags::RST;
        let said = [(Peer::Initiator, last), (Peer::Responder, last), (Peer::Initiator, ACK)];
        for (peer, flags) in said.into_iter().take(if resets { 1 } else { 3 }) {
            let at = peer.index();
            wall.pass(self.ports[at], &self.segment(peer, self.sent[at], b"").flags(flags));
            if flags == last {
                self.sent[at] = self.sent[at].wrapping_add(1);
                self.expected[1 - at] = self.expected[1 - at].wrapping_add(1);
            }
        }
    }

    /// The client's end as the server knows it.
    pub(super) fn shown(&self) -> Ends {
        self.ends[1].reversed()
    }

    /// A line and the acknowledgment of it.
    pub(super) fn line(&mut self, wall: &mut Wall, peer: Peer, text: &str) -> String {
        let heard = self.say(wall, peer, text.as_bytes());
        assert_eq!(self.say(wall, peer.other(), b""), "");
        heard
    }
}

/// The data of a segment.
pub(super) fn data(left: &Left) -> Vec<u8> {
    let Packet { end, .. } = left.packet;
    let start = end - left.packet.payload_len();
    left.frame[start as usize..end as usize].to_vec()
}

/// Six numbers of an announcement.
pub(super) fn six(text: &str) -> (String, u16) {
    let from = text.find(|it: char| it.is_ascii_digit() && text.contains(',')).expect("numbers");
    let from = text[from..].find(|it: char| it.is_ascii_digit()).map_or(from, |at| from + at);
    let numbers: Vec<u16> = text[from..]
        .split(|it: char| !it.is_ascii_digit())
        .filter_map(|it| it.parse().ok())
        .collect();
    let [a, b, c, d, high, low] = numbers[numbers.len() - 6..] else { panic!("{text}") };
    (format!("{a}.{b}.{c}.{d}"), high * 256 + low)
}

pub(super) fn is_forwarded(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Forward(_))
}

/// As the policy has an address.
pub(super) fn ip4(text: &str) -> u32 {
    text.parse::<std::net::Ipv4Addr>().expect("an address").to_bits()
}
