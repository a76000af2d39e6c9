//! The packets of the replayed demo, and what must become of each.

use wire::TcpFlags;
use wire::build::{Builder, Frame};

/// Prefixes on the inside.
pub(super) const INSIDE: &str = "192.0.2.0/24,2001:db8:1::/64";

pub(super) const POLICY: &str = r#"[zones]
trust = ["inside"]
untrust = ["outside"]

[[rule]]
id = "open"
from = "trust"
to = "untrust"
service = ["tcp/443", "udp/53", "icmp/echo-request"]
action = "permit"

[[rule]]
id = "silent"
from = "trust"
service = ["tcp/23"]
action = "deny"

[[rule]]
id = "refused"
from = "trust"
service = ["tcp/25"]
action = "reject"
"#;

/// A packet, what it is, and `VERDICT [REASON], STATE`.
pub(super) struct Packet {
    pub(super) what: &'static str,
    pub(super) expected: &'static str,
    pub(super) frame: Frame,
}

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const CLIENT: [u8; 4] = [192, 0, 2, 2];
const SERVER: [u8; 4] = [198, 51, 100, 2];
const CLIENT6: [u16; 8] = [0x2001, 0xdb8, 1, 0, 0, 0, 0, 2];
const SERVER6: [u16; 8] = [0x2001, 0xdb8, 2, 0, 0, 0, 0, 2];

/// All of them, in the order of their time.
pub(super) fn all() -> Vec<Packet> {
    let mut packets = connection();
    packets.extend(refusals());
    packets.extend(queries());
    packets.extend(intruders());
    packets.extend(version_6());
    packets
}

fn packet(what: &'static str, expected: &'static str, builder: Builder<'_>) -> Packet {
    Packet { what, expected, frame: builder.frame() }
}

fn out() -> Builder<'static> {
    Builder::v4(CLIENT, SERVER)
}

fn back() -> Builder<'static> {
    Builder::v4(SERVER, CLIENT)
}

/// A permitted TCP connection with data both ways.
fn connection() -> Vec<Packet> {
    let out = || out().tcp(40_000, 443);
    let back = || back().tcp(443, 40_000);
    let request = out().flags(ACK | TcpFlags::PSH).seq(1001).ack(5001).payload(b"request");
    let answer = back().flags(ACK | TcpFlags::PSH).seq(5001).ack(1008).payload(b"answer");
    vec![
        packet("TCP SYN, permitted", "forward, new", out().flags(SYN).seq(1000).mss(1460)),
        packet(
            "TCP SYN and ACK of the answer",
            "forward, established",
            back().flags(SYN | ACK).seq(5000).ack(1001).mss(1460),
        ),
        packet("TCP ACK", "forward, established", out().flags(ACK).seq(1001).ack(5001)),
        packet("TCP data", "forward, established", request),
        packet("TCP data of the answer", "forward, established", answer),
        packet(
            "TCP data outside the window",
            "drop tcp-window, invalid",
            back().flags(ACK).seq(900_005_001).ack(1008).payload(b"forged"),
        ),
    ]
}

fn refusals() -> Vec<Packet> {
    vec![
        packet("TCP SYN, denied", "drop denied, new", out().tcp(40_001, 23).flags(SYN)),
        packet("TCP SYN, rejected", "answer, new", out().tcp(40_002, 25).flags(SYN)),
        packet("TCP SYN, named by no rule", "drop no-rule, new", out().tcp(40_003, 99).flags(SYN)),
        packet("UDP, named by no rule", "drop no-rule, new", out().udp(40_004, 99)),
    ]
}

fn queries() -> Vec<Packet> {
    vec![
        packet("UDP query, permitted", "forward, new", out().udp(40_005, 53).payload(b"query")),
        packet("UDP answer", "forward, established", back().udp(53, 40_005).payload(b"answer")),
        packet("ping, permitted", "forward, new", out().echo_request(7, 1)),
        packet("ping answer", "forward, established", back().echo_reply(7, 1)),
    ]
}

/// What nobody asked for.
fn intruders() -> Vec<Packet> {
    vec![
        packet("TCP SYN from outside", "drop no-rule, new", back().tcp(40_006, 443).flags(SYN)),
        packet(
            "TCP data of no connection",
            "drop tcp-not-syn, invalid",
            back().tcp(443, 40_007).flags(ACK).seq(1).ack(1).payload(b"guess"),
        ),
        packet("UDP from outside", "drop no-rule, new", back().udp(53, 40_008)),
        packet(
            "ping answer without a ping",
            "drop icmp-unsolicited, invalid",
            back().echo_reply(8, 1),
        ),
    ]
}

fn version_6() -> Vec<Packet> {
    let out = || Builder::v6(CLIENT6, SERVER6);
    let back = || Builder::v6(SERVER6, CLIENT6);
    vec![
        packet("IPv6 TCP SYN, permitted", "forward, new", out().tcp(40_000, 443).flags(SYN)),
        packet(
            "IPv6 TCP answer",
            "forward, established",
            back().tcp(443, 40_000).flags(SYN | ACK).ack(1),
        ),
        packet("IPv6 TCP SYN, denied", "drop denied, new", out().tcp(40_001, 23).flags(SYN)),
        packet("IPv6 ping, permitted", "forward, new", out().echo_request(7, 1)),
        packet("IPv6 ping answer", "forward, established", back().echo_reply(7, 1)),
        packet("IPv6 UDP from outside", "drop no-rule, new", back().udp(53, 40_008)),
    ]
}
