//! What of the host's own addresses the XDP program gives to the workers for address translation, by
//! BPF_PROG_TEST_RUN in the real kernel.
#![allow(clippy::unwrap_used)]

mod xdp_bench;

use std::net::IpAddr;

use ringwall_datapath as datapath;

use datapath::xdp::{Action, HostInbound, MAX_FORWARDED, NAT_PORTS, NatAddress, Stat};
use wire::build::Builder;
use wire::{Icmp, Options, Packet, Protocol, Time, Transport, Version};
use xdp_bench::{Bench, DOMAIN, HOST, HOST6, LINK_LOCAL, PEER, PEER6, Xsk, frame, ready};

/// A service of the host's in the range of source NAT, and one that is forwarded.
const API: u16 = 8_443;
const WEB: u16 = 443;

/// Ports about the bounds of everything.
const PORTS: [u16; 9] = [0, 22, WEB, 1_023, 1_024, API, 40_000, 62_463, 62_464];

fn stat_of(bench: &Bench, frame: &[u8]) -> Stat {
    let program = &bench.program;
    let before = program.stats().unwrap();
    let action = bench.namespace.run(|| program.dry_run(frame, bench.ifindex, 0)).unwrap();
    let after = program.stats().unwrap();
    let moved = Stat::ALL.into_iter().find(|stat| after.get(*stat) > before.get(*stat)).unwrap();
    assert_eq!(moved == Stat::ToWorker, action == Action::Redirect);
    moved
}

/// The bench with a lease, a socket, and what the host lets in.
struct Nat {
    bench: Bench,
    inbound: HostInbound,
    _socket: Xsk,
}

fn prepared() -> Option<Nat> {
    let mut bench = ready()?;
    bench.program.renew_lease(Time::MAX).unwrap();
    let socket = Xsk::open();
    bench.program.set_socket(bench.port, 0, &socket).unwrap();
    let mut inbound = HostInbound::new();
    inbound.allow_numbers(6, API, API);
    inbound.allow_numbers(6, 22, 22);
    inbound.allow_numbers(17, API, API);
    inbound.allow_numbers(1, 0x0800, 0x08ff);
    inbound.allow_numbers(58, 0x8000, 0x80ff);
    bench.program.set_host_inbound(bench.port, &inbound).unwrap();
    Some(Nat { bench, inbound, _socket: socket })
}

impl Nat {
    #[track_caller]
    fn expect(&self, frame: &[u8], stat: Stat) {
        assert_eq!(stat_of(&self.bench, frame).name(), stat.name());
    }

    fn set(&mut self, addresses: &[NatAddress]) {
        self.bench.program.set_nat_inbound(addresses).unwrap();
    }

    /// Whether the slow twin gives a whole packet to an own address to the workers.
    fn slowly(&self, nat: &NatAddress, frame: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(frame) else { return nat.all };
        let own = packet.destination == nat.address;
        let odd = packet.options.intersects(Options::SOURCE_ROUTE | Options::SEGMENTS_LEFT);
        let protocol = packet.protocol.0;
        own && (nat.all
            || !odd
                && match (packet.ports(), &packet.body) {
                    (Some((_, port)), _) => self.is_translated(nat, protocol, port),
                    (_, Transport::Icmp(icmp)) => self.icmp(nat, frame, &packet, icmp),
                    _ => nat.forwarded.allows(protocol, 0),
                })
    }

    fn is_translated(&self, nat: &NatAddress, protocol: u8, port: u16) -> bool {
        let host = self.inbound.allows(protocol, port);
        nat.forwarded.allows(protocol, port) || nat.range && NAT_PORTS.contains(&port) && !host
    }

    fn icmp(&self, nat: &NatAddress, frame: &[u8], packet: &Packet, icmp: &Icmp) -> bool {
        let id = nat.range && NAT_PORTS.contains(&icmp.id);
        let number = u16::from_be_bytes([icmp.kind, icmp.code]);
        match (is_reply(packet.version, icmp.kind), is_error(packet.version, icmp.kind)) {
            (true, _) => id,
            (_, true) => self.error(nat, frame, packet),
            (false, false) => nat.forwarded.allows(packet.protocol.0, number),
        }
    }

    fn error(&self, nat: &NatAddress, frame: &[u8], packet: &Packet) -> bool {
        let Ok(embedded) = Packet::parse_embedded(frame, packet) else { return false };
        let protocol = embedded.protocol.0;
        let ports = [Protocol::TCP, Protocol::UDP, Protocol::SCTP].contains(&embedded.protocol);
        embedded.source == nat.address
            && !embedded.is_later_fragment()
            && match embedded.icmp {
                _ if ports => self.is_translated(nat, protocol, embedded.source_port),
                Some(icmp) if is_reply(embedded.version, icmp.kind) => {
                    let echo = if embedded.version == Version::V4 { 0x0800 } else { 0x8000 };
                    nat.forwarded.allows(protocol, echo)
                }
                Some(icmp) => icmp.query && nat.range && NAT_PORTS.contains(&icmp.id),
                None => nat.forwarded.allows(protocol, 0),
            }
    }
}

fn is_reply(version: Version, kind: u8) -> bool {
    match version {
        Version::V4 => [0, 14, 16, 18].contains(&kind),
        Version::V6 => kind == 129,
    }
}

/// Of those that reach the host.
fn is_error(version: Version, kind: u8) -> bool {
    match version {
        Version::V4 => [3, 11, 12].contains(&kind),
        Version::V6 => (1..=4).contains(&kind),
    }
}

fn own(version: Version) -> IpAddr {
    if version == Version::V4 { HOST } else { HOST6 }.parse().unwrap()
}

fn peer(version: Version) -> IpAddr {
    if version == Version::V4 { PEER } else { PEER6 }.parse().unwrap()
}

/// What an address can be said to be.
fn settings(version: Version) -> Vec<NatAddress> {
    let none = NatAddress::new(DOMAIN, own(version));
    let mut forwarding = none.clone();
    for (protocol, first, last) in
        [(6, WEB, WEB), (17, API, API + 9), (132, 0, u16::MAX), (47, 0, 0)]
    {
        forwarding.forwarded.allow_numbers(protocol, first, last);
    }
    let mut pinging = NatAddress { range: true, ..none.clone() };
    pinging.forwarded.allow_numbers(1, 0x0800, 0x08ff);
    pinging.forwarded.allow_numbers(58, 0x8000, 0x80ff);
    let both = NatAddress { range: true, ..forwarding.clone() };
    let range = NatAddress { range: true, ..none.clone() };
    let all = NatAddress { all: true, ..none.clone() };
    vec![none, range, forwarding, both, pinging, all]
}

/// Packets with every transport header and port of interest, from a start.
fn transports<'a>(start: Builder<'a>) -> Vec<Builder<'a>> {
    let mut all = vec![start.gre(0x0800, None), start.esp(1, 2), start.raw(Protocol(89))];
    for port in PORTS {
        all.extend([
            start.tcp(9, port).payload(b"data"),
            start.tcp(port, 9),
            start.udp(9, port),
            start.udp(port, 9),
            start.sctp(9, port, 1),
            start.sctp(port, 9, 1),
        ]);
        for kind in [0, 8, 5, 9, 13, 14, 15, 16, 17, 18, 128, 129, 130, 139] {
            all.push(start.icmp(kind, 0, u32::from(port) << 16 | 1));
        }
    }
    all
}

/// Starts from one address to another: bare, and with what stands between the headers.
fn starts(from: IpAddr, to: IpAddr) -> Vec<Builder<'static>> {
    let start = Builder::new(from, to);
    if to.is_ipv4() {
        let (alert, route) = (&[148, 4, 0, 0], &[131, 7, 4, 10, 8, 9, 9]);
        return vec![start, start.ip_options(alert), start.ip_options(route)];
    }
    vec![
        start,
        start.extension(Protocol::DESTINATION_OPTIONS, &[1, 4, 0, 0, 0, 0]),
        start.extension(Protocol::ROUTING, &[4, 1, 0, 0, 0, 0]),
        start.extension(Protocol::ROUTING, &[4, 0, 0, 0, 0, 0]).fragment(9, 0, false),
    ]
}

#[test]
fn the_program_and_its_slow_twin_agree_about_every_packet() {
    let Some(mut nat) = prepared() else { return };
    for version in [Version::V4, Version::V6] {
        let starts = starts(peer(version), own(version));
        let frames: Vec<_> =
            starts.into_iter().flat_map(transports).map(|builder| builder.frame()).collect();
        compare(&mut nat, version, &frames.iter().map(|frame| frame.to_vec()).collect::<Vec<_>>());
    }
}

#[test]
fn and_about_every_error() {
    let Some(mut nat) = prepared() else { return };
    for version in [Version::V4, Version::V6] {
        let mut frames = Vec::new();
        let start = Builder::new(peer(version), own(version));
        let others: IpAddr = peer(version);
        let embedded = [
            Builder::new(own(version), others),
            Builder::new(others, own(version)),
            match version {
                Version::V4 => Builder::new(own(version), others).ip_options(&[148, 4, 0, 0]),
                Version::V6 => Builder::new(own(version), others).traffic_class(9),
            },
            match version {
                Version::V4 => Builder::new(own(version), others).fragment(1, 8, true),
                Version::V6 => Builder::new(own(version), others).hop_limit(9),
            },
        ];
        for inner in embedded.into_iter().flat_map(transports) {
            let inner = inner.frame();
            for kind in [1, 2, 3, 4, 5, 11, 12] {
                frames.push(start.icmp(kind, 1, 0).payload(&inner[14..]).frame().to_vec());
            }
        }
        // Cut where a header is missing.
        let inner = embedded[0].tcp(40_000, 9).frame();
        for end in 14..inner.len() {
            let kind = if version == Version::V4 { 3 } else { 1 };
            frames.push(start.icmp(kind, 1, 0).payload(&inner[14..end]).frame().to_vec());
        }
        compare(&mut nat, version, &frames);
    }
}

/// Holds the program against the twin, and against what it says of the host's packets without translation.
fn compare(nat: &mut Nat, version: Version, frames: &[Vec<u8>]) {
    nat.set(&[]);
    let before: Vec<_> = frames.iter().map(|frame| stat_of(&nat.bench, frame)).collect();
    for setting in settings(version) {
        nat.set(std::slice::from_ref(&setting));
        let mut translated = 0;
        for (frame, before) in frames.iter().zip(&before) {
            assert_ne!(*before, Stat::ToWorker);
            let workers = nat.slowly(&setting, frame);
            translated += usize::from(workers);
            let expected = if workers { Stat::ToWorker } else { *before };
            let packet = Packet::parse(frame);
            assert_eq!(stat_of(&nat.bench, frame), expected, "{setting:?} {packet:?} {frame:02x?}");
        }
        let something =
            setting.all || setting.range || setting != NatAddress::new(DOMAIN, setting.address);
        assert_eq!(translated > 0, something, "{setting:?}");
    }
}

#[test]
fn what_is_translated_needs_a_lease() {
    let Some(mut nat) = prepared() else { return };
    nat.set(&[NatAddress { range: true, ..NatAddress::new(DOMAIN, own(Version::V4)) }]);
    let (answer, echo) = (frame::udp4(PEER, HOST, 53, 40_000), frame::icmp4(PEER, HOST, 8, 0));
    nat.expect(&answer, Stat::ToWorker);
    nat.bench.program.renew_lease(Time(1)).unwrap();
    nat.expect(&answer, Stat::LeaseExpired);
    nat.expect(&echo, Stat::ToHost);
}

#[test]
fn what_is_translated_of_a_vip_comes_late_too() {
    let Some(mut nat) = prepared() else { return };
    nat.bench.program.set_vips([(DOMAIN, own(Version::V4))]).unwrap();
    nat.set(&[NatAddress { range: true, ..NatAddress::new(DOMAIN, own(Version::V4)) }]);
    nat.bench.program.renew_lease(Time(1)).unwrap();
    let mut word = nat.bench.program.lease_word().unwrap();
    let (answer, echo) = (frame::udp4(PEER, HOST, 53, 40_000), frame::icmp4(PEER, HOST, 8, 0));
    let mut group = answer.clone();
    group[..6].fill(0xff);
    // The kernel loses the address while the last of them come.
    for addresses in [Bench::addresses().to_vec(), Vec::new()] {
        nat.bench.program.set_host_addresses(addresses).unwrap();
        for (late, stat) in [(Time::MAX, Stat::ToWorker), (Time(1), Stat::VipWithoutLease)] {
            word.let_latecomers(late).unwrap();
            nat.expect(&answer, stat);
            for others in [&echo, &group, &frame::udp4(PEER, HOST, 53, 100)] {
                nat.expect(others, Stat::VipWithoutLease);
            }
            nat.expect(&frame::arp_for(1, HOST), Stat::VipWithoutLease);
        }
    }
}

#[test]
fn it_is_said_of_an_address_in_a_domain_while_it_is_the_hosts() {
    let Some(mut nat) = prepared() else { return };
    let answer = frame::udp4(PEER, HOST, 53, 40_000);
    let range = |domain| NatAddress { range: true, ..NatAddress::new(domain, own(Version::V4)) };
    nat.expect(&answer, Stat::HostDenied);
    nat.set(&[range(DOMAIN + 1)]);
    nat.expect(&answer, Stat::HostDenied);
    nat.set(&[range(DOMAIN)]);
    nat.expect(&answer, Stat::ToWorker);
    let denied = frame::udp4(PEER, HOST, 53, 100);
    nat.expect(&denied, Stat::HostDenied);
    nat.bench.program.set_host_addresses([]).unwrap();
    nat.expect(&denied, Stat::ToWorker);
    nat.bench.program.set_host_addresses(Bench::addresses()).unwrap();
    nat.expect(&answer, Stat::ToWorker);
    nat.expect(&denied, Stat::HostDenied);
    // The cluster's address, for who has the lease.
    nat.bench.program.set_vips([(DOMAIN, own(Version::V4))]).unwrap();
    nat.expect(&answer, Stat::ToWorker);
    nat.bench.program.renew_lease(Time(1)).unwrap();
    nat.expect(&answer, Stat::VipWithoutLease);
}

#[test]
fn other_addresses_and_other_frames_are_as_before() {
    let Some(mut nat) = prepared() else { return };
    let all = |version| NatAddress { all: true, ..NatAddress::new(DOMAIN, own(version)) };
    nat.set(&[all(Version::V4), all(Version::V6)]);
    for (frame, stat) in [
        (frame::arp_for(1, HOST), Stat::LinkControl),
        (frame::solicitation("ff02::1:ff00:1", HOST6), Stat::LinkControl),
        (frame::udp4(PEER, "10.8.0.255", 9, 40_000), Stat::HostDenied),
        (frame::udp4(PEER, "224.0.0.1", 9, 40_000), Stat::HostDenied),
        (frame::udp6(PEER6, LINK_LOCAL, 9, 40_000), Stat::HostDenied),
        (frame::udp4(PEER, "10.8.9.9", 9, 22), Stat::ToWorker),
        (frame::with_type(0x8100, &frame::udp4(PEER, HOST, 9, 22)), Stat::ToWorker),
        (frame::udp4(PEER, HOST, 9, 22), Stat::ToWorker),
        (frame::udp6(PEER6, HOST6, 9, 22), Stat::ToWorker),
    ] {
        nat.expect(&frame, stat);
    }
    // What is routed must have been sent to this station alone.
    let mut group = frame::udp4(PEER, HOST, 9, 40_000);
    group[0] = 0xff;
    nat.expect(&group, Stat::HostDenied);
}

#[test]
fn what_keeps_the_link_working_is_the_hosts() {
    let Some(mut nat) = prepared() else { return };
    let none = NatAddress::new(DOMAIN, own(Version::V6));
    let mut forwarding = NatAddress { range: true, ..none.clone() };
    forwarding.forwarded.allow_numbers(58, 0, u16::MAX);
    for address in [NatAddress { all: true, ..none }, forwarding] {
        let all = address.all;
        nat.set(&[address]);
        for kind in 133..=137 {
            nat.expect(&frame::icmp6(PEER6, HOST6, 255, kind), Stat::LinkControl);
            nat.expect(&frame::icmp6(PEER6, HOST6, 254, kind), Stat::ToWorker);
        }
        nat.expect(&frame::icmp6(PEER6, HOST6, 1, 130), Stat::LinkControl);
        nat.expect(&frame::icmp6(PEER6, HOST6, 255, 128), Stat::ToWorker);
        let cut = frame::ip6(PEER6, HOST6, 64, 0, &[58, 9, 0, 0]);
        nat.expect(&cut, if all { Stat::ToWorker } else { Stat::Malformed });
    }
}

/// A fragment of a datagram to the host: of UDP, from a port or with more data.
fn fragment(version: Version, id: u32, port: u16, first: bool) -> Vec<u8> {
    let header = [0, 53, port.to_be_bytes()[0], port.to_be_bytes()[1], 0, 40, 0, 0];
    let start = Builder::new(peer(version), own(version)).raw(Protocol::UDP).payload(&header);
    let start = start.fragment(id, if first { 0 } else { 24 }, first);
    start.frame().to_vec()
}

#[test]
fn fragments_go_where_the_first_one_went() {
    let Some(mut nat) = prepared() else { return };
    for version in [Version::V4, Version::V6] {
        nat.set(&[NatAddress { range: true, ..NatAddress::new(DOMAIN, own(version)) }]);
        let later = |id| fragment(version, id, 0, false);
        let first = |id, port| fragment(version, id, port, true);
        nat.expect(&later(1), Stat::ToWorker);
        nat.expect(&first(1, API), Stat::ToHost);
        nat.expect(&later(1), Stat::ToHost);
        nat.expect(&first(2, 40_000), Stat::ToWorker);
        nat.expect(&later(2), Stat::ToWorker);
        nat.expect(&later(1), Stat::ToHost);
        // The number comes again.
        nat.expect(&first(1, 40_000), Stat::ToWorker);
        nat.expect(&later(1), Stat::ToWorker);
        // What is denied comes to nothing at the host.
        nat.expect(&first(1, 100), Stat::HostDenied);
        nat.expect(&later(1), Stat::ToHost);
        nat.set(&[]);
        nat.expect(&later(2), Stat::ToHost);
    }
}

#[test]
fn services_change_by_difference_and_a_full_table_is_refused() {
    let Some(mut nat) = prepared() else { return };
    let host = own(Version::V4);
    let one = |services: &[(u8, u16)]| {
        let mut address = NatAddress::new(DOMAIN, host);
        for (protocol, port) in services {
            address.forwarded.allow_numbers(*protocol, *port, *port);
        }
        address
    };
    let (tcp, udp) = (frame::tcp4(PEER, HOST, 9, WEB, 2), frame::udp4(PEER, HOST, 9, WEB));
    nat.set(&[one(&[(6, WEB), (17, WEB)])]);
    nat.expect(&tcp, Stat::ToWorker);
    nat.expect(&udp, Stat::ToWorker);
    nat.set(&[one(&[(17, WEB)]), one(&[(17, WEB + 1)])]);
    nat.expect(&tcp, Stat::HostDenied);
    nat.expect(&udp, Stat::ToWorker);
    let many = (0..=u16::try_from(MAX_FORWARDED).unwrap()).map(|at| {
        let [high, low] = at.to_be_bytes();
        let mut address = NatAddress::new(DOMAIN, [10, 7, high, low].into());
        address.forwarded.allow_numbers(6, 1, 1);
        address
    });
    let mut many: Vec<_> = many.collect();
    assert!(nat.bench.program.set_nat_inbound(&many).is_err());
    nat.expect(&udp, Stat::ToWorker);
    many.truncate(MAX_FORWARDED - 1);
    many.push(one(&[(6, WEB)]));
    nat.set(&many);
    nat.expect(&tcp, Stat::ToWorker);
    nat.expect(&udp, Stat::HostDenied);
}
