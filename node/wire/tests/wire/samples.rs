//! Valid frames by name: what other tests cut, change and compare.
use ringwall_wire::build::{Builder, Frame, quotation};
use ringwall_wire::{Packet, Protocol, TcpFlags, icmp};

pub(crate) const CLIENT: [u8; 4] = [192, 0, 2, 10];
pub(crate) const SERVER: [u8; 4] = [198, 51, 100, 20];
pub(crate) const CLIENT6: [u16; 8] = [0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10];
pub(crate) const SERVER6: [u16; 8] = [0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x20];
pub(crate) const ROUTER: [u8; 4] = [203, 0, 113, 1];
pub(crate) const ROUTER6: [u16; 8] = [0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 1];

/// A type 0 routing header with one segment left, which leads to [`CLIENT6`]'s neighbour ::99.
pub(crate) const ROUTING_0: [u8; 22] =
    [0, 1, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99];

pub(crate) fn v4() -> Builder<'static> {
    Builder::v4(CLIENT, SERVER)
}

pub(crate) fn v4_back() -> Builder<'static> {
    Builder::v4(SERVER, CLIENT)
}

pub(crate) fn v6() -> Builder<'static> {
    Builder::v6(CLIENT6, SERVER6)
}

pub(crate) fn v6_back() -> Builder<'static> {
    Builder::v6(SERVER6, CLIENT6)
}

/// Frames that have a flow key of their own.
pub(crate) fn flows() -> Vec<(&'static str, Frame)> {
    [tcp(), udp(), icmp(), others(), extensions()].concat()
}

/// Every sample.
pub(crate) fn all() -> Vec<(&'static str, Frame)> {
    [flows(), fragments(), errors()].concat()
}

fn tcp() -> Vec<(&'static str, Frame)> {
    let syn = v4().tcp(40_000, 443).seq(1).flags(TcpFlags::SYN).mss(1460).sack_permitted();
    let syn = syn.timestamps(7, 0).window_scale(7);
    let answer = v4_back().tcp(443, 40_000).seq(9).ack(2).flags(TcpFlags::SYN | TcpFlags::ACK);
    let data = v4().tcp(40_000, 443).seq(2).ack(10).flags(TcpFlags::ACK | TcpFlags::PSH);
    let data = data.timestamps(8, 9).payload(b"GET / HTTP/1.1\r\n\r\n");
    let sack = v4().tcp(40_000, 443).ack(10).flags(TcpFlags::ACK);
    let data6 = v6().tcp(40_000, 443).seq(2).ack(10).flags(TcpFlags::ACK).payload(b"hello");
    let answer6 = v6_back().tcp(443, 40_000).ack(7).flags(TcpFlags::ACK);
    vec![
        ("tcp4-syn", syn.frame()),
        ("tcp4-syn-ack", answer.mss(1400).frame()),
        ("tcp4-data", data.dont_fragment().frame()),
        ("tcp4-sack", sack.timestamps(1, 2).sack(&[(20, 30), (40, 50)]).frame()),
        ("tcp4-padded", v4().tcp(40_000, 443).flags(TcpFlags::RST).padded_to(60).frame()),
        ("tcp4-vlan", v4().vlan(10).tcp(40_000, 443).flags(TcpFlags::ACK).frame()),
        ("tcp4-qinq", v4().vlan(100).vlan(10).tcp(40_000, 443).flags(TcpFlags::ACK).frame()),
        ("tcp6-data", data6.frame()),
        ("tcp6-answer", answer6.frame()),
        ("tcp6-vlan", v6().vlan(20).tcp(40_000, 443).flags(TcpFlags::FIN | TcpFlags::ACK).frame()),
    ]
}

fn udp() -> Vec<(&'static str, Frame)> {
    let options = v4().ip_options(&[148, 4, 0, 0]).udp(5000, 53);
    vec![
        ("udp4", v4().udp(5000, 53).payload(b"question").frame()),
        ("udp4-answer", v4_back().udp(53, 5000).payload(b"answer").frame()),
        ("udp4-no-checksum", v4().udp(5000, 53).without_checksum().payload(b"odd").frame()),
        ("udp4-options", options.payload(b"router alert").frame()),
        ("udp6", v6().udp(5000, 53).payload(b"question").frame()),
        ("udp6-answer", v6_back().udp(53, 5000).payload(b"answer").frame()),
    ]
}

fn icmp() -> Vec<(&'static str, Frame)> {
    let solicitation = v6().hop_limit(255).icmp(icmp::v6::NEIGHBOR_SOLICITATION, 0, 0);
    let stamp = v4().icmp(icmp::v4::TIMESTAMP_REQUEST, 0, 0x1234_0001);
    vec![
        ("icmp4-echo-request", v4().echo_request(0x1234, 1).payload(b"ping").frame()),
        ("icmp4-echo-reply", v4_back().echo_reply(0x1234, 1).payload(b"ping").frame()),
        ("icmp4-timestamp", stamp.payload(&[0; 12]).frame()),
        ("icmp6-echo-request", v6().echo_request(0x1234, 1).payload(b"ping").frame()),
        ("icmp6-echo-reply", v6_back().echo_reply(0x1234, 1).payload(b"ping").frame()),
        ("icmp6-solicitation", solicitation.payload(&[0xfe; 16]).frame()),
    ]
}

fn others() -> Vec<(&'static str, Frame)> {
    vec![
        ("sctp4", v4().sctp(3868, 3869, 0xfeed).payload(&[0; 4]).frame()),
        ("sctp6", v6().sctp(3868, 3869, 0xfeed).frame()),
        ("gre4-version-0", v4().gre(0x0800, Some(0xdead_beef)).payload(&[0x45; 20]).frame()),
        ("gre4-version-1", v4().gre_call(0x4321, 17).payload(b"ppp").frame()),
        ("gre6-version-0", v6().gre(0x86dd, None).frame()),
        ("esp4", v4().esp(0xc0ff_ee00, 1).payload(&[0xaa; 32]).frame()),
        ("esp6", v6().esp(0xc0ff_ee00, 1).payload(&[0xaa; 32]).frame()),
        ("ah4", v4().raw(Protocol::AH).payload(&AH_THEN_UDP).frame()),
        ("ospf4", v4().raw(Protocol::OSPF).payload(&[2, 1, 0, 44]).frame()),
        ("no-next-header6", v6().frame()),
    ]
}

/// AH (24 bytes) and a UDP header behind it.
const AH_THEN_UDP: [u8; 32] = [
    17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0x13, 0x88, 0, 53, 0,
    8, 0, 0,
];

fn extensions() -> Vec<(&'static str, Frame)> {
    let hop_by_hop = v6().extension(Protocol::HOP_BY_HOP, &[5, 2, 0, 0, 1, 0]);
    let chain = hop_by_hop
        .extension(Protocol::ROUTING, &[2, 0, 0, 0, 0, 0])
        .fragment(0xabcd, 0, false)
        .extension(Protocol::AH, &[0; 22])
        .extension(Protocol::DESTINATION_OPTIONS, &[1, 4, 0, 0, 0, 0]);
    let routed = v6().extension(Protocol::ROUTING, &ROUTING_0);
    vec![
        ("udp6-router-alert", hop_by_hop.udp(5000, 53).frame()),
        ("tcp6-chain", chain.tcp(40_000, 443).flags(TcpFlags::ACK).frame()),
        ("udp6-atomic-fragment", v6().fragment(9, 0, false).udp(5000, 53).frame()),
        ("udp6-routing-0", routed.udp(5000, 53).payload(b"detour").frame()),
    ]
}

/// Fragments: the first and a later one of a UDP datagram, of both versions, and a first one that
/// is cut.
pub(crate) fn fragments() -> Vec<(&'static str, Frame)> {
    let data = [0x13, 0x88, 0, 53, 0, 40, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let v4 = |offset, more, data| {
        v4().fragment(0x77, offset, more).raw(Protocol::UDP).payload(data).frame()
    };
    let v6 = |offset, more, data| {
        v6().fragment(0x0001_0077, offset, more).raw(Protocol::UDP).payload(data).frame()
    };
    vec![
        ("fragment4-first", v4(0, true, &data)),
        ("fragment4-middle", v4(16, true, &[9; 8])),
        ("fragment4-last", v4(24, false, &[9; 5])),
        ("fragment4-first-cut", v4(0, true, &[0x13, 0x88])),
        ("fragment6-first", v6(0, true, &data)),
        ("fragment6-last", v6(16, false, &[9; 5])),
        ("fragment6-first-cut", v6(0, true, &[0x13, 0x88])),
    ]
}

/// ICMP errors, each about the sample whose name it ends with.
pub(crate) fn errors() -> Vec<(&'static str, Frame)> {
    let about = |name: &str| flows().into_iter().find(|(found, _)| *found == name).unwrap().1;
    let v4 = |kind, code, rest, quoted: &[u8]| {
        Builder::v4(ROUTER, CLIENT).icmp(kind, code, rest).payload(quoted).frame()
    };
    let v6 = |kind, code, rest, quoted: &[u8]| {
        Builder::v6(ROUTER6, CLIENT6).icmp(kind, code, rest).payload(quoted).frame()
    };
    let tcp4 = quoted(&about("tcp4-data"));
    let least = &tcp4[..28];
    vec![
        ("error4-unreachable-udp4", v4(3, 3, 0, &quoted(&about("udp4")))),
        ("error4-mtu-tcp4-data", v4(3, 4, 1400, &tcp4)),
        ("error4-exceeded-tcp4-data", v4(11, 0, 0, least)),
        ("error4-redirect-icmp4-echo-request", v4(5, 1, 0, &quoted(&about("icmp4-echo-request")))),
        ("error4-unreachable-gre4-version-1", v4(3, 2, 0, &quoted(&about("gre4-version-1")))),
        ("error6-mtu-tcp6-data", v6(2, 0, 1280, &quoted(&about("tcp6-data")))),
        ("error6-unreachable-udp6", v6(1, 4, 0, &quoted(&about("udp6")))),
        ("error6-exceeded-tcp6-chain", v6(3, 0, 0, &quoted(&about("tcp6-chain")))),
        ("error6-problem-icmp6-echo-request", v6(4, 1, 6, &quoted(&about("icmp6-echo-request")))),
    ]
}

/// What an ICMP error about this frame quotes.
fn quoted(frame: &[u8]) -> Vec<u8> {
    quotation(frame, &Packet::parse(frame).unwrap()).to_vec()
}

/// The sample of this name.
pub(crate) fn sample(name: &str) -> Frame {
    all().into_iter().find(|(found, _)| *found == name).expect("a sample of this name").1
}
