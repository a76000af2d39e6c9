//! The XDP program's verdicts, frame by frame, by BPF_PROG_TEST_RUN in the real kernel.
#![allow(clippy::unwrap_used)]

mod xdp_bench;

use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};

use ringwall_datapath as datapath;

use datapath::xdp::{
    Action, BlockList, HostInbound, MAX_BLOCKED, Mode, PortConfig, Program, SourceBits, Stat,
};
use wire::Time;
use xdp_bench::{Bench, DOMAIN, HOST, HOST6, LINK_LOCAL, MAC, PEER, PEER6, Xsk, frame, ready};

/// One frame in, one verdict and one counter out.
#[track_caller]
fn expect(bench: &Bench, frame: &[u8], stat: Stat) {
    let program = &bench.program;
    let before = program.stats().unwrap();
    let action = bench.namespace.run(|| program.dry_run(frame, bench.ifindex, 0)).unwrap();
    let after = program.stats().unwrap();
    let moved: Vec<_> = Stat::ALL
        .into_iter()
        .filter(|stat| after.get(*stat) != before.get(*stat))
        .map(|stat| (stat.name(), after.get(stat) - before.get(stat)))
        .collect();
    assert_eq!(moved, [(stat.name(), 1)], "a frame moves exactly one counter");
    let expected = match stat.is_drop() {
        true => Action::Drop,
        false if stat == Stat::ToWorker => Action::Redirect,
        false => Action::Pass,
    };
    assert_eq!(action, expected);
}

#[test]
fn an_unknown_interface_and_a_closed_lease_let_nothing_through() {
    let Some(mut bench) = ready() else { return };
    let transit = frame::udp4(PEER, "10.8.9.9", 1000, 2000);
    expect(&bench, &transit, Stat::LeaseExpired);
    bench.program.renew_lease(Time(1)).unwrap();
    expect(&bench, &transit, Stat::LeaseExpired);
    bench.program.renew_lease(Time::MAX).unwrap();
    expect(&bench, &transit, Stat::NoWorker);
    bench.program.remove_port(bench.ifindex).unwrap();
    bench.program.remove_port(bench.ifindex).unwrap();
    expect(&bench, &transit, Stat::NoPort);
}

#[test]
fn transit_goes_to_the_socket_of_its_port_and_queue() {
    let Some(mut bench) = ready() else { return };
    bench.program.renew_lease(Time::MAX).unwrap();
    let socket = Xsk::open();
    bench.program.set_socket(bench.port, 1, &socket).unwrap();
    let transit = frame::udp4(PEER, "10.8.9.9", 1000, 2000);
    expect(&bench, &transit, Stat::NoWorker);
    bench.program.set_socket(bench.port, 0, &socket).unwrap();
    expect(&bench, &transit, Stat::ToWorker);
    for other in [
        frame::udp6(PEER6, "2001:db8:9::9", 1000, 2000),
        frame::with_type(0x8100, &transit),
        frame::with_type(0x88cc, &[0; 46]),
        frame::with_type(0x0800, &[0x45; 10]),
        frame::with_type(0x0800, &[0x65; 40]),
        frame::with_type(0x0800, &[0x44; 40]),
        frame::with_type(0x86dd, &[0x45; 60]),
        frame::with_type(0x86dd, &[0x60; 39]),
        frame::udp4(PEER, "127.0.0.1", 1000, 2000),
        frame::udp6(PEER6, "::1", 1000, 2000),
    ] {
        expect(&bench, &other, Stat::ToWorker);
    }
    let mut word = bench.program.lease_word().unwrap();
    word.renew(Time(1)).unwrap();
    expect(&bench, &transit, Stat::LeaseExpired);
    word.let_latecomers(Time::MAX).unwrap();
    expect(&bench, &transit, Stat::ToWorker);
    for closed in [Time(1), Time::ZERO] {
        word.let_latecomers(closed).unwrap();
        expect(&bench, &transit, Stat::LeaseExpired);
    }
    word.renew(Time::MAX).unwrap();
    bench.program.clear_socket(bench.port, 0).unwrap();
    bench.program.clear_socket(bench.port, 0).unwrap();
    expect(&bench, &transit, Stat::NoWorker);
}

#[test]
fn a_closed_socket_leaves_the_table_by_itself() {
    let Some(mut bench) = ready() else { return };
    bench.program.renew_lease(Time::MAX).unwrap();
    let socket = Xsk::open();
    bench.program.set_socket(bench.port, 0, &socket).unwrap();
    drop(socket);
    expect(&bench, &frame::udp4(PEER, "10.8.9.9", 1, 2), Stat::NoWorker);
}

#[test]
fn a_wire_takes_everything_and_nothing_without_a_lease() {
    let Some(mut bench) = ready() else { return };
    let wire = PortConfig { mode: Mode::Wire, ..bench.config() };
    bench.program.set_port(bench.ifindex, &wire).unwrap();
    let socket = Xsk::open();
    bench.program.set_socket(bench.port, 0, &socket).unwrap();
    let frames = [
        frame::arp(),
        frame::udp4(PEER, HOST, 1, 2),
        frame::icmp6(PEER6, LINK_LOCAL, 255, 135),
        frame::with_type(0x8100, &[0; 46]),
    ];
    for frame in &frames {
        expect(&bench, frame, Stat::LeaseExpired);
    }
    bench.program.renew_lease(Time::MAX).unwrap();
    for frame in &frames {
        expect(&bench, frame, Stat::ToWorker);
    }
    bench.program.clear_socket(bench.port, 0).unwrap();
    for frame in &frames {
        expect(&bench, frame, Stat::NoWorker);
    }
}

#[test]
fn what_keeps_the_link_working_goes_to_the_kernel_without_a_lease() {
    let Some(bench) = ready() else { return };
    expect(&bench, &frame::arp(), Stat::LinkControl);
    for kind in 133..=137 {
        expect(&bench, &frame::icmp6(PEER6, LINK_LOCAL, 255, kind), Stat::LinkControl);
        expect(&bench, &frame::icmp6(PEER6, "ff02::1:ff00:2", 255, kind), Stat::LinkControl);
        expect(&bench, &frame::icmp6(PEER6, HOST6, 255, kind), Stat::LinkControl);
        expect(&bench, &frame::icmp6(PEER6, HOST6, 254, kind), Stat::HostDenied);
    }
    for kind in [130, 131, 132, 143] {
        let report = frame::icmp6("fe80::9", "ff02::16", 1, kind);
        expect(&bench, &report, Stat::LinkControl);
        let option = frame::with_extensions(&report, &[(0, vec![58, 0, 5, 2, 0, 0, 1, 0])]);
        expect(&bench, &option, Stat::LinkControl);
        expect(&bench, &frame::icmp6("fe80::9", "ff02::16", 2, kind), Stat::HostDenied);
    }
    expect(&bench, &frame::ip4(PEER, "224.0.0.1", 1, 2, &[0x11; 8]), Stat::LinkControl);
    expect(&bench, &frame::ip4(PEER, "224.0.0.1", 64, 2, &[0x11; 8]), Stat::HostDenied);
    expect(&bench, &frame::ip4(PEER, HOST, 1, 2, &[0x11; 8]), Stat::HostDenied);
}

/// The cluster's addresses in these tests, which the kernel has, too.
const VIP: &str = "10.8.0.100";
const VIP6: &str = "2001:db8:8::100";

/// The bench with the cluster's addresses, and echo and DNS allowed.
fn with_vips() -> Option<Bench> {
    let mut bench = ready()?;
    let vips = [VIP, VIP6].map(|text| (DOMAIN, text.parse::<IpAddr>().unwrap()));
    bench.program.set_vips(vips).unwrap();
    let own = Bench::addresses().into_iter().chain(vips);
    bench.program.set_host_addresses(own).unwrap();
    let mut inbound = HostInbound::new();
    inbound.allow_numbers(17, 53, 53);
    inbound.allow_numbers(1, 0x0800, 0x08ff);
    inbound.allow_numbers(58, 0x8000, 0x80ff);
    bench.program.set_host_inbound(bench.port, &inbound).unwrap();
    Some(bench)
}

/// Expects what it says with a lease, and of all `about_vips` that they are dropped without one.
#[track_caller]
fn expect_lease_decides(bench: &mut Bench, about_vips: &[(Vec<u8>, Stat)]) {
    for lease in [Time::MAX, Time(1), Time::MAX, Time::ZERO] {
        bench.program.renew_lease(lease).unwrap();
        for (frame, stat) in about_vips {
            let stat = if lease == Time::MAX { *stat } else { Stat::VipWithoutLease };
            expect(bench, frame, stat);
        }
    }
}

#[test]
fn who_asks_for_a_vip_is_heard_with_a_lease_only() {
    let Some(mut bench) = with_vips() else { return };
    let mut asks = vec![(frame::arp_for(1, VIP), Stat::LinkControl)];
    for to in ["ff02::1:ff00:100", VIP6, LINK_LOCAL, HOST6] {
        let solicitation = frame::solicitation(to, VIP6);
        let hop_by_hop = (0, vec![58, 0, 1, 4, 0, 0, 0, 0]);
        asks.push((frame::with_extensions(&solicitation, &[hop_by_hop]), Stat::LinkControl));
        asks.push((solicitation, Stat::LinkControl));
    }
    expect_lease_decides(&mut bench, &asks);
}

#[test]
fn who_asks_for_another_address_is_always_heard() {
    let Some(mut bench) = with_vips() else { return };
    for lease in [Time::ZERO, Time::MAX] {
        bench.program.renew_lease(lease).unwrap();
        for target in [HOST, PEER, "10.8.0.101", "0.0.0.0"] {
            expect(&bench, &frame::arp_for(1, target), Stat::LinkControl);
        }
        // An answer to a question of the host's own, and one too short for a target.
        expect(&bench, &frame::arp_for(2, VIP), Stat::LinkControl);
        expect(&bench, &frame::arp_for(1, VIP)[..41], Stat::LinkControl);
        for target in [HOST6, LINK_LOCAL, PEER6, "2001:db8:8::101"] {
            let to_group = frame::solicitation("ff02::1:ff00:100", target);
            expect(&bench, &to_group, Stat::LinkControl);
            expect(&bench, &frame::solicitation(HOST6, target), Stat::LinkControl);
        }
        // Of an advertisement the kernel learns; no other type has its target there.
        let mut advertisement = frame::solicitation("ff02::1", VIP6);
        advertisement[54] = 136;
        expect(&bench, &advertisement, Stat::LinkControl);
        expect(&bench, &frame::solicitation("ff02::1:ff00:100", VIP6)[..77], Stat::Malformed);
    }
}

#[test]
fn a_vip_is_reached_with_a_lease_only() {
    let Some(mut bench) = with_vips() else { return };
    let mut later = frame::udp4(PEER, VIP, 9, 53);
    later[20..22].copy_from_slice(&1_u16.to_be_bytes());
    let packets = [
        (frame::icmp4(PEER, VIP, 8, 0), Stat::ToHost),
        (frame::icmp6(PEER6, VIP6, 64, 128), Stat::ToHost),
        (frame::icmp6(PEER6, VIP6, 255, 136), Stat::LinkControl),
        (frame::udp4(PEER, VIP, 9, 53), Stat::ToHost),
        (frame::udp6(PEER6, VIP6, 9, 54), Stat::HostDenied),
        (frame::tcp4(PEER, VIP, 9, 22, 0x02), Stat::HostDenied),
        (later, Stat::ToHost),
    ];
    expect_lease_decides(&mut bench, &packets);
    bench.program.renew_lease(Time::ZERO).unwrap();
    expect(&bench, &frame::icmp4(PEER, HOST, 8, 0), Stat::ToHost);
    expect(&bench, &frame::icmp6(PEER6, HOST6, 64, 128), Stat::ToHost);
}

#[test]
fn a_vip_that_the_kernel_has_not_is_transit_with_a_lease() {
    let Some(mut bench) = with_vips() else { return };
    bench.program.set_host_addresses(Bench::addresses()).unwrap();
    let echoes = [
        (frame::icmp4(PEER, VIP, 8, 0), Stat::NoWorker),
        (frame::icmp6(PEER6, VIP6, 64, 128), Stat::NoWorker),
    ];
    expect_lease_decides(&mut bench, &echoes);
    // Of another domain it is somebody else's, and without a cluster the host's own.
    bench.program.set_vips([(DOMAIN + 1, VIP.parse().unwrap())]).unwrap();
    expect(&bench, &echoes[0].0, Stat::LeaseExpired);
    expect(&bench, &frame::arp_for(1, VIP), Stat::LinkControl);
    bench.program.set_host_addresses([(DOMAIN, VIP.parse().unwrap())]).unwrap();
    expect(&bench, &echoes[0].0, Stat::ToHost);
}

#[test]
fn neighbour_discovery_for_somebody_else_is_transit() {
    // The kernel would forward it if forwarding is on.
    let Some(bench) = ready() else { return };
    let solicitation = frame::icmp6(PEER6, "2001:db8:9::9", 255, 135);
    expect(&bench, &solicitation, Stat::LeaseExpired);
}

#[test]
fn only_allowed_services_reach_the_host() {
    let Some(mut bench) = ready() else { return };
    let mut inbound = HostInbound::new();
    inbound.allow_numbers(6, 22, 22);
    inbound.allow_numbers(17, 5000, 5999);
    inbound.allow_numbers(132, 2905, 2905);
    inbound.allow_numbers(1, 0x0800, 0x08ff);
    inbound.allow_numbers(58, 0x8000, 0x80ff);
    inbound.allow_numbers(89, 0, 0);
    bench.program.set_host_inbound(bench.port, &inbound).unwrap();
    for (frame, allowed) in [
        (frame::tcp4(PEER, HOST, 1000, 22, 0x02), true),
        (frame::tcp4(PEER, HOST, 1000, 23, 0x02), false),
        (frame::tcp4(PEER, HOST, 1000, 23, 0x10), false),
        (frame::tcp6(PEER6, HOST6, 1000, 22, 0x02), true),
        (frame::tcp6(PEER6, LINK_LOCAL, 1000, 22, 0x02), true),
        (frame::tcp6(PEER6, HOST6, 1000, 21, 0x02), false),
        (frame::udp4(PEER, HOST, 1000, 5000), true),
        (frame::udp4(PEER, HOST, 1000, 5999), true),
        (frame::udp4(PEER, HOST, 1000, 4999), false),
        (frame::udp4(PEER, HOST, 1000, 6000), false),
        (frame::udp4(PEER, "255.255.255.255", 1000, 5001), true),
        (frame::udp4(PEER, "10.8.0.255", 1000, 5001), true),
        (frame::udp4(PEER, "10.8.0.255", 1000, 67), false),
        (frame::udp6(PEER6, "ff02::fb", 1000, 5353), true),
        (frame::ip4(PEER, HOST, 64, 132, &[3, 232, 11, 89, 0, 0, 0, 0, 0, 0, 0, 0]), true),
        (frame::ip4(PEER, HOST, 64, 132, &[3, 232, 11, 90, 0, 0, 0, 0, 0, 0, 0, 0]), false),
        (frame::icmp4(PEER, HOST, 8, 0), true),
        (frame::icmp4(PEER, HOST, 13, 0), false),
        (frame::icmp6(PEER6, HOST6, 64, 128), true),
        (frame::icmp6(PEER6, HOST6, 64, 139), false),
        (frame::ip4(PEER, "224.0.0.5", 1, 89, &[2, 1, 0, 44]), true),
        (frame::ip4(PEER, "224.0.0.18", 255, 112, &[0x21; 20]), false),
        (frame::ip4(PEER, HOST, 64, 47, &[0; 8]), false),
    ] {
        expect(&bench, &frame, if allowed { Stat::ToHost } else { Stat::HostDenied });
    }
}

#[test]
fn answers_to_the_host_by_icmp_reach_it() {
    let Some(bench) = ready() else { return };
    for (kind, passes) in [(0, true), (3, true), (11, true), (12, true), (5, false), (8, false)] {
        let stat = if passes { Stat::ToHost } else { Stat::HostDenied };
        expect(&bench, &frame::icmp4(PEER, HOST, kind, 0), stat);
        expect(&bench, &frame::icmp4(PEER, "10.8.9.9", kind, 0), Stat::LeaseExpired);
        expect(&bench, &frame::icmp4(PEER, "224.0.0.1", kind, 0), Stat::HostDenied);
    }
    for (kind, passes) in [(1, true), (2, true), (4, true), (129, true), (5, false), (128, false)] {
        let stat = if passes { Stat::ToHost } else { Stat::HostDenied };
        expect(&bench, &frame::icmp6(PEER6, HOST6, 64, kind), stat);
    }
}

#[test]
fn host_inbound_is_per_port_and_changes_by_difference() {
    let Some(mut bench) = ready() else { return };
    let mut first = HostInbound::new();
    first.allow_numbers(6, 22, 23);
    first.allow_numbers(17, 53, 53);
    bench.program.set_host_inbound(bench.port + 1, &first).unwrap();
    let (tcp, udp) = (frame::tcp4(PEER, HOST, 9, 23, 2), frame::udp4(PEER, HOST, 9, 53));
    expect(&bench, &tcp, Stat::HostDenied);
    bench.program.set_host_inbound(bench.port, &first).unwrap();
    expect(&bench, &tcp, Stat::ToHost);
    expect(&bench, &udp, Stat::ToHost);
    let mut second = HostInbound::new();
    second.allow_numbers(6, 22, 22);
    bench.program.set_host_inbound(bench.port, &second).unwrap();
    expect(&bench, &tcp, Stat::HostDenied);
    expect(&bench, &udp, Stat::HostDenied);
    expect(&bench, &frame::tcp4(PEER, HOST, 9, 22, 2), Stat::ToHost);
    // The other port's services were left alone.
    let other = PortConfig { index: bench.port + 1, ..bench.config() };
    bench.program.set_port(bench.ifindex, &other).unwrap();
    expect(&bench, &tcp, Stat::ToHost);
}

#[test]
fn host_addresses_are_per_domain_and_change_by_difference() {
    let Some(mut bench) = ready() else { return };
    let echo = frame::icmp4(PEER, HOST, 0, 0);
    let addresses = |domain: u16, list: &[&str]| -> Vec<(u16, IpAddr)> {
        list.iter().map(|text| (domain, text.parse().unwrap())).collect()
    };
    bench.program.set_host_addresses(addresses(DOMAIN + 1, &[HOST])).unwrap();
    expect(&bench, &echo, Stat::LeaseExpired);
    bench.program.set_host_addresses(addresses(DOMAIN, &[HOST, HOST6])).unwrap();
    expect(&bench, &echo, Stat::ToHost);
    bench.program.set_host_addresses(addresses(DOMAIN, &[HOST6, "10.8.0.77"])).unwrap();
    expect(&bench, &echo, Stat::LeaseExpired);
    expect(&bench, &frame::icmp4(PEER, "10.8.0.77", 0, 0), Stat::ToHost);
    expect(&bench, &frame::icmp6(PEER6, HOST6, 64, 129), Stat::ToHost);
}

#[test]
fn frames_for_other_stations_are_not_taken() {
    let Some(mut bench) = ready() else { return };
    let own = PortConfig { mac: Some(MAC), ..bench.config() };
    bench.program.set_port(bench.ifindex, &own).unwrap();
    let to = |mac: [u8; 6], mut frame: Vec<u8>| {
        frame[..6].copy_from_slice(&mac);
        frame
    };
    let other = [2, 0, 0, 0, 0, 99];
    expect(&bench, &to(other, frame::arp()), Stat::NotForUs);
    expect(&bench, &to(other, frame::icmp4(PEER, HOST, 0, 0)), Stat::NotForUs);
    expect(&bench, &to(MAC, frame::icmp4(PEER, HOST, 0, 0)), Stat::ToHost);
    expect(&bench, &to([0xff; 6], frame::arp()), Stat::LinkControl);
    // IP that would be routed must not have been sent to everybody.
    expect(&bench, &to([0xff; 6], frame::udp4(PEER, "10.8.9.9", 1, 2)), Stat::NotForUs);
    expect(&bench, &to([0x33; 6], frame::udp6(PEER6, "2001:db8:9::9", 1, 2)), Stat::NotForUs);
    expect(&bench, &to(MAC, frame::udp4(PEER, "10.8.9.9", 1, 2)), Stat::LeaseExpired);
}

#[test]
fn cut_off_headers_for_the_host_are_malformed() {
    let Some(mut bench) = ready() else { return };
    let mut inbound = HostInbound::new();
    for protocol in [1, 6, 17, 58, 132] {
        inbound.allow_numbers(protocol, 0, u16::MAX);
    }
    bench.program.set_host_inbound(bench.port, &inbound).unwrap();
    for (protocol, least) in [(6, 20), (17, 8), (132, 12), (1, 8)] {
        let whole = vec![0; least];
        expect(&bench, &frame::ip4(PEER, HOST, 64, protocol, &whole), Stat::ToHost);
        expect(&bench, &frame::ip4(PEER, HOST, 64, protocol, &whole[1..]), Stat::Malformed);
    }
    expect(&bench, &frame::ip6(PEER6, HOST6, 64, 58, &[0; 7]), Stat::Malformed);
    // An IPv4 header that claims more than there is.
    let mut long = frame::ip4(PEER, HOST, 64, 17, &[0; 8]);
    long[14] = 0x4f;
    expect(&bench, &long, Stat::Malformed);
    // An extension header chain that is cut off, and one that does not end.
    expect(&bench, &frame::ip6(PEER6, HOST6, 64, 0, &[17, 1, 0, 0, 0, 0, 0]), Stat::Malformed);
    expect(&bench, &frame::ip6(PEER6, HOST6, 64, 0, &[17, 9, 0, 0, 0, 0, 0, 0]), Stat::Malformed);
    let endless: Vec<_> = (0..8).map(|_| (60, vec![60, 0, 1, 4, 0, 0, 0, 0])).collect();
    let udp = frame::udp6(PEER6, HOST6, 1, 2);
    expect(&bench, &frame::with_extensions(&udp, &endless), Stat::Malformed);
    expect(&bench, &frame::with_extensions(&udp, &endless[..7]), Stat::ToHost);
}

#[test]
fn extension_headers_are_passed_over_and_options_walked() {
    let Some(mut bench) = ready() else { return };
    let mut inbound = HostInbound::new();
    inbound.allow_numbers(17, 53, 53);
    bench.program.set_host_inbound(bench.port, &inbound).unwrap();
    let allowed = frame::udp6(PEER6, HOST6, 9, 53);
    let chain = [
        (0, vec![60, 0, 1, 4, 0, 0, 0, 0]),
        (60, vec![43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (43, vec![51, 0, 4, 0, 0, 0, 0, 0]),
        (51, vec![44, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (44, vec![17, 0, 0, 1, 0, 0, 0, 9]),
    ];
    expect(&bench, &frame::with_extensions(&allowed, &chain), Stat::ToHost);
    let denied = frame::udp6(PEER6, HOST6, 9, 54);
    expect(&bench, &frame::with_extensions(&denied, &chain), Stat::HostDenied);
    // Options of IPv4: no operation, router alert, end.
    let harmless = [1, 1, 148, 4, 0, 0, 0, 131];
    expect(&bench, &frame::with_options(&frame::udp4(PEER, HOST, 9, 53), &harmless), Stat::ToHost);
    let denied = frame::udp4(PEER, HOST, 9, 54);
    expect(&bench, &frame::with_options(&denied, &harmless), Stat::HostDenied);
}

#[test]
fn what_the_host_would_send_on_does_not_reach_it() {
    let Some(mut bench) = ready() else { return };
    let mut inbound = HostInbound::new();
    inbound.allow_numbers(17, 53, 53);
    bench.program.set_host_inbound(bench.port, &inbound).unwrap();
    let allowed = frame::udp4(PEER, HOST, 9, 53);
    for options in [
        vec![131, 7, 4, 10, 8, 9, 9, 0],
        vec![1, 137, 7, 4, 10, 8, 9, 9],
        vec![148, 4, 0, 0, 131, 3, 4, 0],
        vec![1; 39].into_iter().chain([131]).collect(),
        vec![7, 0, 0, 0],
        vec![7, 1, 131, 3],
    ] {
        expect(&bench, &frame::with_options(&allowed, &options), Stat::HostDenied);
    }
    let nothing = vec![1; 40];
    expect(&bench, &frame::with_options(&allowed, &nothing), Stat::ToHost);
    let routing = (43, vec![17, 2, 4, 1, 0, 0, 0, 0]);
    let allowed = frame::udp6(PEER6, HOST6, 9, 53);
    expect(&bench, &frame::with_extensions(&allowed, &[routing]), Stat::HostDenied);
}

#[test]
fn the_first_fragment_is_judged_and_later_ones_pass() {
    let Some(bench) = ready() else { return };
    let datagram = frame::udp4(PEER, HOST, 9, 53);
    for (field, stat) in [
        (0x2000_u16, Stat::HostDenied),
        (0x0001, Stat::ToHost),
        (0x2001, Stat::ToHost),
        (0x4000, Stat::HostDenied),
    ] {
        let mut fragment = datagram.clone();
        fragment[20..22].copy_from_slice(&field.to_be_bytes());
        expect(&bench, &fragment, stat);
    }
    let datagram = frame::udp6(PEER6, HOST6, 9, 53);
    for (field, stat) in [(0x0001_u16, Stat::HostDenied), (0x0008, Stat::ToHost)] {
        let [high, low] = field.to_be_bytes();
        let fragment = (44, vec![17, 0, high, low, 0, 0, 0, 1]);
        expect(&bench, &frame::with_extensions(&datagram, &[fragment]), stat);
    }
}

#[test]
fn segments_of_the_hosts_own_connections_pass() {
    let Some(bench) = ready() else { return };
    for (host, peer) in [(HOST, PEER), (HOST6, PEER6)] {
        let address: IpAddr = peer.parse().unwrap();
        let listener = bench.peer.run(|| TcpListener::bind((address, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = bench.namespace.run(|| TcpStream::connect((address, port))).unwrap();
        let local = socket.local_addr().unwrap().port();
        let segment = |from, to, flags| frame::tcp(peer, host, from, to, flags);
        expect(&bench, &segment(port, local, 0x10), Stat::ToHost);
        expect(&bench, &segment(port, local, 0x12), Stat::ToHost);
        expect(&bench, &segment(port, local, 0x04), Stat::ToHost);
        expect(&bench, &segment(port, local, 0x02), Stat::HostDenied);
        expect(&bench, &segment(port ^ 1, local, 0x10), Stat::HostDenied);
        expect(&bench, &segment(port, local ^ 1, 0x10), Stat::HostDenied);
        drop(socket);
    }
}

#[test]
fn a_listening_socket_alone_lets_nothing_in() {
    let Some(bench) = ready() else { return };
    let listener = bench.namespace.run(|| TcpListener::bind("[::]:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = bench.namespace.run(|| UdpSocket::bind(("::", port))).unwrap();
    for flags in [0x02, 0x10, 0x12, 0x14] {
        expect(&bench, &frame::tcp4(PEER, HOST, 9, port, flags), Stat::HostDenied);
        expect(&bench, &frame::tcp6(PEER6, HOST6, 9, port, flags), Stat::HostDenied);
    }
    expect(&bench, &frame::udp4(PEER, HOST, 9, port), Stat::HostDenied);
    expect(&bench, &frame::udp6(PEER6, HOST6, 9, port), Stat::HostDenied);
    expect(&bench, &frame::udp6(PEER6, HOST6, 0, port), Stat::HostDenied);
    drop(server);
}

#[test]
fn datagrams_from_the_peer_of_a_connected_socket_pass() {
    let Some(bench) = ready() else { return };
    for (host, peer, any) in [(HOST, PEER, "0.0.0.0:0"), (HOST6, PEER6, "[::]:0")] {
        let socket = bench.namespace.run(|| UdpSocket::bind(any)).unwrap();
        let local = socket.local_addr().unwrap().port();
        expect(&bench, &frame::udp(peer, host, 53, local), Stat::HostDenied);
        let server: IpAddr = peer.parse().unwrap();
        bench.namespace.run(|| socket.connect((server, 53))).unwrap();
        expect(&bench, &frame::udp(peer, host, 53, local), Stat::ToHost);
        expect(&bench, &frame::udp(peer, host, 54, local), Stat::HostDenied);
        let stranger = if server.is_ipv4() { "10.8.0.9" } else { "2001:db8:8::9" };
        expect(&bench, &frame::udp(stranger, host, 53, local), Stat::HostDenied);
    }
}

#[test]
fn an_ipv6_socket_that_talks_ipv4_counts_too() {
    let Some(bench) = ready() else { return };
    let socket = bench.namespace.run(|| UdpSocket::bind("[::]:0")).unwrap();
    let local = socket.local_addr().unwrap().port();
    bench.namespace.run(|| socket.connect((format!("::ffff:{PEER}").as_str(), 53))).unwrap();
    expect(&bench, &frame::udp4(PEER, HOST, 53, local), Stat::ToHost);
    expect(&bench, &frame::udp4(PEER, HOST, 54, local), Stat::HostDenied);
}

#[test]
fn a_lease_ends_within_two_timer_ticks_and_counts_again_at_once() {
    let Some(mut bench) = ready() else { return };
    let socket = Xsk::open();
    bench.program.set_socket(bench.port, 0, &socket).unwrap();
    let transit = frame::udp4(PEER, "10.8.9.9", 1000, 2000);
    let run = |bench: &Bench| {
        let run = || bench.program.timed_run(&transit, bench.ifindex, 0, 100);
        bench.namespace.run(run).unwrap().0
    };
    let millisecond = 1_000_000;
    let deadline = monotonic() + 50 * millisecond;
    bench.program.renew_lease(Time(deadline)).unwrap();
    loop {
        let begun = monotonic();
        let action = run(&bench);
        let ended = monotonic();
        if ended <= deadline {
            assert_eq!(action, Action::Redirect, "{} ns left", deadline - ended);
        }
        // A tick is 10 ms at most.
        if begun > deadline + 20 * millisecond {
            assert_eq!(action, Action::Drop, "{} ns late", begun - deadline);
            break;
        }
    }
    bench.program.renew_lease(Time::MAX).unwrap();
    assert_eq!(run(&bench), Action::Redirect);
    bench.program.renew_lease(Time(deadline)).unwrap();
    assert_eq!(run(&bench), Action::Drop);
}

fn monotonic() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    u64::try_from(now.tv_sec() * 1_000_000_000 + now.tv_nsec()).unwrap()
}

#[test]
fn ports_whose_numbers_meet_in_a_slot_are_told_apart() {
    let Some(mut bench) = ready() else { return };
    let (ours, other) = (bench.ifindex, bench.ifindex + 256);
    let wire = PortConfig { index: 9, mode: Mode::Wire, domain: 0, mac: None };
    // A wire's frames need a lease; a routed port's ARP does not.
    let routed = bench.config();
    bench.program.remove_port(ours).unwrap();
    bench.program.set_port(other, &wire).unwrap();
    expect(&bench, &frame::arp(), Stat::NoPort);
    bench.program.set_port(ours, &routed).unwrap();
    expect(&bench, &frame::arp(), Stat::LinkControl);
    bench.program.remove_port(other).unwrap();
    expect(&bench, &frame::arp(), Stat::LinkControl);
    bench.program.set_port(ours, &wire).unwrap();
    expect(&bench, &frame::arp(), Stat::LeaseExpired);
    bench.program.set_port(other, &routed).unwrap();
    bench.program.remove_port(other).unwrap();
    expect(&bench, &frame::arp(), Stat::LeaseExpired);
    bench.program.remove_port(ours).unwrap();
    expect(&bench, &frame::arp(), Stat::NoPort);
}

#[test]
fn every_one_of_many_addresses_is_known_and_no_other() {
    let Some(mut bench) = ready() else { return };
    let own = |index: u16| -> [IpAddr; 2] {
        let [high, low] = index.to_be_bytes();
        let mut six = [0x20, 1, 0xd, 0xb8, 0, 0, high, 0, 0, low, 0, 0, 0, 0, 0, 1];
        six[15] ^= low.wrapping_mul(37);
        [[10, 8 + high, low.wrapping_mul(91), low].into(), six.into()]
    };
    let echo = |address: IpAddr| match address {
        IpAddr::V4(v4) => frame::icmp4(PEER, &v4.to_string(), 0, 0),
        IpAddr::V6(v6) => frame::icmp6(PEER6, &v6.to_string(), 64, 129),
    };
    let all = (0..1000).flat_map(own).map(|address| (DOMAIN, address));
    bench.program.set_host_addresses(all).unwrap();
    for address in (0..1000).flat_map(own) {
        expect(&bench, &echo(address), Stat::ToHost);
    }
    for address in (1000..2000).flat_map(own) {
        expect(&bench, &echo(address), Stat::LeaseExpired);
    }
    bench.program.set_host_addresses((990..1010).flat_map(own).map(|own| (DOMAIN, own))).unwrap();
    for index in 900..1100 {
        let stat = if (990..1010).contains(&index) { Stat::ToHost } else { Stat::LeaseExpired };
        for address in own(index) {
            expect(&bench, &echo(address), stat);
        }
    }
}

/// Of the million instructions that the verifier allows. It takes 17,600 on Linux 6.18; a branch
/// too many in a loop multiplies that, and a load's time with it.
const VERIFIER_BUDGET: u32 = 20_000;

#[test]
fn the_verifier_is_soon_done() {
    let Some(bench) = ready() else { return };
    let Some(instructions) = bench.program.verified_instructions().unwrap() else {
        eprintln!("skipped: this kernel does not say what it verified (Linux 5.16 does)");
        return;
    };
    assert!(instructions > 100, "{instructions}: more than the transit path");
    assert!(instructions < VERIFIER_BUDGET, "{instructions} instructions");
}

#[test]
fn numbers_out_of_range_are_refused() {
    let Some(mut bench) = ready() else { return };
    let program = &mut bench.program;
    let port = PortConfig { index: 64, mode: Mode::Routed, domain: 0, mac: None };
    assert!(program.set_port(1, &port).is_err());
    assert!(program.set_host_inbound(64, &HostInbound::new()).is_err());
    assert!(program.set_socket(64, 0, Xsk::open()).is_err());
    assert!(program.set_socket(0, 64, Xsk::open()).is_err());
    assert!(program.set_socket(0, 0, std::io::stderr()).is_err(), "not an AF_XDP socket");
    let loaded = Program::load().unwrap();
    assert_eq!(loaded.stats().unwrap().received(), 0);
}

#[test]
fn the_committed_object_is_what_the_source_gives() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/build.sh");
    let output = std::process::Command::new(script).arg("--check").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(2) {
        assert!(std::env::var_os("RINGWALL_REQUIRE_ALL").is_none(), "{text}");
        eprintln!("skipped: {text}");
        return;
    }
    assert!(output.status.success(), "{text}");
}

/// Blocks at the bench's zone 7, which counts sources of IPv4 by /24 and of IPv6 by /64.
fn with_blocks() -> Option<(Bench, BlockList)> {
    ready().map(blocking)
}

fn blocking(mut bench: Bench) -> (Bench, BlockList) {
    let mut blocks = bench.program.take_blocks().unwrap();
    assert!(bench.program.take_blocks().is_none());
    let bits = SourceBits { zone: 7, v4: 24, v6: 64 };
    let ports = (0..=bench.port).map(|port| (port == bench.port).then_some(bits));
    blocks.set_zones(ports).unwrap();
    (bench, blocks)
}

#[test]
fn who_is_blocked_reaches_nobody_until_the_end_or_a_word() {
    let Some((bench, mut blocks)) = with_blocks() else { return };
    let now = Time(1);
    let frames = |from: &str, from6: &str| {
        [
            frame::udp4(from, "10.8.9.9", 1000, 2000),
            frame::icmp4(from, HOST, 0, 0),
            frame::udp6(from6, "2001:db8:9::9", 1000, 2000),
            frame::icmp6(from6, HOST6, 255, 136),
        ]
    };
    let stats = [Stat::LeaseExpired, Stat::ToHost, Stat::LeaseExpired, Stat::LinkControl];
    let expect_all = |bench: &Bench, from: (&str, &str), blocked: [bool; 4]| {
        for ((frame, stat), blocked) in frames(from.0, from.1).iter().zip(stats).zip(blocked) {
            expect(bench, frame, if blocked { Stat::Blocked } else { stat });
        }
    };
    let (inside, next) = (("10.8.7.9", "2001:db8:7::9"), ("10.8.6.9", "2001:db8:7:1::9"));
    expect_all(&bench, inside, [false; 4]);
    blocks.block(7, "10.8.7.0".parse().unwrap(), Time::MAX, now).unwrap();
    expect_all(&bench, inside, [true, true, false, false]);
    blocks.block(7, "2001:db8:7::".parse().unwrap(), Time::MAX, now).unwrap();
    blocks.block(6, "10.8.6.0".parse().unwrap(), Time::MAX, now).unwrap();
    expect_all(&bench, inside, [true; 4]);
    expect_all(&bench, next, [false; 4]);
    // Of other packets nobody knows the sender.
    expect(&bench, &frame::arp(), Stat::LinkControl);
    expect(&bench, &frame::with_type(0x0800, &[0x45; 10]), Stat::LeaseExpired);
    blocks.unblock(7, "10.8.7.0".parse().unwrap()).unwrap();
    blocks.unblock(7, "10.8.7.0".parse().unwrap()).unwrap();
    expect_all(&bench, inside, [false, false, true, true]);
    // The program sees the end by itself.
    blocks.block(7, "2001:db8:7::".parse().unwrap(), Time(2), now).unwrap();
    expect_all(&bench, inside, [false; 4]);
    assert_eq!(blocks.len(), 2);
    blocks.expire(Time(2)).unwrap();
    assert_eq!(blocks.len(), 1);
}

#[test]
fn blocks_are_of_a_zone_and_a_wire_has_one_too() {
    let Some((mut bench, mut blocks)) = with_blocks() else { return };
    let wire = PortConfig { mode: Mode::Wire, ..bench.config() };
    bench.program.set_port(bench.ifindex, &wire).unwrap();
    let transit = frame::udp4("10.8.7.9", "10.8.9.9", 1000, 2000);
    blocks.block(7, "10.8.7.0".parse().unwrap(), Time::MAX, Time(1)).unwrap();
    expect(&bench, &transit, Stat::Blocked);
    blocks.set_zones([]).unwrap();
    assert!(blocks.is_empty());
    expect(&bench, &transit, Stat::LeaseExpired);
    blocks.block(7, "10.8.7.0".parse().unwrap(), Time::MAX, Time(1)).unwrap();
    expect(&bench, &transit, Stat::LeaseExpired);
}

#[test]
fn in_a_full_list_the_block_that_ends_first_gives_way() {
    let Some((bench, mut blocks)) = with_blocks() else { return };
    let far = 1 << 62;
    let source = |at: u32| IpAddr::from((0x0b00_0000 + (at << 8)).to_be_bytes());
    let transit = |at| frame::udp(&source(at).to_string(), "10.8.9.9", 1000, 2000);
    let most = u32::try_from(MAX_BLOCKED).unwrap();
    for at in 0..=most {
        blocks.block(7, source(at), Time(far + u64::from(at)), Time(1)).unwrap();
    }
    assert_eq!(blocks.len(), MAX_BLOCKED);
    expect(&bench, &transit(0), Stat::LeaseExpired);
    for at in [1, most / 2, most] {
        expect(&bench, &transit(at), Stat::Blocked);
    }
}
