//! Sources: ports, mappings, filtering, and what is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{Filtering, Mapping, Pooling, SourceTo};
use wire::build::{Builder, quotation};
use wire::placement::slot_of_port;
use wire::{Ends, Packet, TcpFlags};

use super::rig::*;
use crate::nat::Half;
use crate::{Reason, Verdict};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | ACK.0);

#[test]
fn a_connection_gets_the_ports_address_and_a_port_of_its_own_both_ways() {
    let mut wall = Wall::new(masquerade());
    let (client, server) = (("10.0.0.5", 40_000), ("198.18.0.1", 443));
    let syn = wall.pass(LAN, &tcp(client, server, SYN).seq(100).mss(1_460));
    let Ends { source, destination } = syn.ends();
    assert_eq!((source.0, destination), (ip("198.51.100.1"), (ip("198.18.0.1"), 443)));
    assert!((1024..=62_463).contains(&source.1));
    let public = ("198.51.100.1", source.1);
    let answer = wall.pass(WAN, &tcp(server, public, SYN_ACK).seq(500).ack(101).mss(1_460));
    assert_eq!(answer.ends().destination, (ip("10.0.0.5"), 40_000));
    assert_eq!(answer.ends().source, (ip("198.18.0.1"), 443));
    // From here on the straight way.
    for round in 0_u32..3 {
        let sent = tcp(client, server, ACK).seq(101 + round).ack(501).payload(b"x");
        assert_eq!(wall.pass(LAN, &sent).ends().source, source);
        let back = tcp(server, public, ACK).seq(501).ack(102 + round).payload(b"");
        assert_eq!(wall.pass(WAN, &back).ends().destination, (ip("10.0.0.5"), 40_000));
    }
    assert_eq!(wall.taken("198.51.100.1"), 1);
    wall.wait(Duration::from_secs(500_000));
    assert_eq!((wall.taken("198.51.100.1"), wall.engine.sessions().len()), (0, 0));
}

/// A server keeps a connection that it has closed (TIME-WAIT, RFC 9293 §3.6.1), and there lets in what is
/// newer of the same ends alone (RFC 6191): the port must stay with the client that asks again, and go to
/// no other.
#[test]
fn a_client_that_asks_again_from_its_port_has_the_public_one_again() {
    let mut wall = Wall::new(masquerade());
    let (client, server) = (("10.0.0.5", 40_000), ("198.18.0.1", 443));
    let fin = TcpFlags(ACK.0 | TcpFlags::FIN.0);
    let mut publics = BTreeSet::new();
    for number in 0..4_u32 {
        let (a, b) = (number * 1_000_000 + 100, number * 1_000_000 + 500);
        let public = wall.pass(LAN, &tcp(client, server, SYN).seq(a).mss(1_460)).ends().source;
        publics.insert(public);
        let public = ("198.51.100.1", public.1);
        wall.pass(WAN, &tcp(server, public, SYN_ACK).seq(b).ack(a + 1).mss(1_460));
        wall.pass(WAN, &tcp(server, public, fin).seq(b + 1).ack(a + 1));
        wall.pass(LAN, &tcp(client, server, fin).seq(a + 1).ack(b + 2));
        wall.pass(WAN, &tcp(server, public, ACK).seq(b + 2).ack(a + 2));
        assert_eq!((wall.taken("198.51.100.1"), wall.engine.sessions().len()), (1, 1));
        wall.wait(Duration::from_secs(5));
    }
    assert_eq!(publics.len(), 1, "{publics:?}");
    // Not so where the other half is given from now on.
    let half = publics.first().map(|it| if Half::Low.has(it.1) { Half::High } else { Half::Low });
    wall.engine.set_nat_half(half.unwrap(), half.unwrap());
    let syn = tcp(client, server, SYN).seq(9_000_000).mss(1_460);
    let public = wall.pass(LAN, &syn).ends().source;
    assert!(half.unwrap().has(public.1), "{public:?} of {half:?}");
    wall.wait(Duration::from_secs(500));
    assert_eq!((wall.taken("198.51.100.1"), wall.engine.sessions().len()), (0, 0));
}

/// A gateway has told somebody of the port, or a child has come by it: when that ends, the port is still
/// one of the client that asked again.
#[test]
fn a_port_that_is_kept_and_reserved_is_given_back_when_nobody_needs_it() {
    let mut wall = Wall::new(masquerade());
    wall.engine.nat.prepare_announcements();
    let (client, server) = (("10.0.0.5", 40_000), ("198.18.0.1", 443));
    let fin = TcpFlags(ACK.0 | TcpFlags::FIN.0);
    let of = |public| ((0, wire::Protocol::TCP), public);
    for reserved in [true, false] {
        let first = wall.pass(LAN, &tcp(client, server, SYN).seq(100).mss(1_460)).ends().source;
        let public = ("198.51.100.1", first.1);
        wall.pass(WAN, &tcp(server, public, SYN_ACK).seq(500).ack(101).mss(1_460));
        assert!(!reserved || wall.engine.nat.reserve(of(first).0, of(first).1));
        wall.pass(WAN, &tcp(server, public, fin).seq(501).ack(101));
        wall.pass(LAN, &tcp(client, server, fin).seq(101).ack(502));
        wall.pass(WAN, &tcp(server, public, ACK).seq(502).ack(102));
        let again = wall.pass(LAN, &tcp(client, server, SYN).seq(1_000_000).mss(1_460));
        assert_eq!(again.ends().source, first);
        if reserved {
            wall.engine.nat.unreserve(of(first).0, of(first).1);
        }
        assert_eq!(wall.taken("198.51.100.1"), 1, "its client has it");
        wall.wait(Duration::from_secs(500));
        assert_eq!(wall.taken("198.51.100.1"), 0);
    }
}

#[test]
fn who_comes_past_the_translation_is_dropped() {
    let mut wall = Wall::new(masquerade());
    let (client, server) = (("10.0.0.5", 40_000), ("198.18.0.1", 443));
    let public = wall.pass(LAN, &udp(client, server)).ends().source;
    assert_eq!(wall.drop(WAN, &udp(server, client)), Reason::NatBypassed);
    let from_public = Builder::new(public.0, ip(server.0)).udp(public.1, server.1);
    assert_eq!(wall.drop(WAN, &from_public), Reason::NatBypassed);
    assert_eq!(
        wall.pass(WAN, &Builder::new(ip(server.0), public.0).udp(server.1, public.1)).port,
        LAN
    );
}

#[test]
fn a_stranger_finds_nobody_at_a_public_address() {
    let mut wall = Wall::new(pooled(Mapping::default()));
    let public = wall.pass(LAN, &udp(("10.0.0.5", 4_000), ("198.18.0.1", 53))).ends().source;
    let stranger = Builder::new(ip("198.18.0.1"), public.0).udp(54, public.1);
    assert_eq!(wall.drop(WAN, &stranger), Reason::NatUnmapped);
    let own = udp(("198.18.0.1", 53), ("198.51.100.1", 5_000));
    assert_eq!(wall.drop(WAN, &own), Reason::LocalDestination, "no rule gives that address");
}

#[test]
fn a_port_that_was_not_noted_as_announced_is_not_given_back_by_its_child() {
    let mut wall = Wall::new(masquerade());
    let public = wall.pass(LAN, &udp(("10.0.0.5", 4_000), ("198.18.0.1", 53))).ends().source;
    wall.engine.nat.unreserve((0, wire::Protocol::UDP), public);
    wall.engine.nat.prepare_announcements();
    wall.engine.nat.unreserve((0, wire::Protocol::UDP), public);
    assert_eq!(wall.taken("198.51.100.1"), 1, "its session has it");
}

#[test]
fn an_endpoint_keeps_its_mapping_whoever_it_speaks_to_and_another_has_another() {
    let mut wall = Wall::new(pooled(independent(Filtering::AddressAndPortDependent)));
    let to = |server: &str| udp(("10.0.0.5", 4_000), (server, 53));
    let public = wall.pass(LAN, &to("198.18.0.1")).ends().source;
    assert_eq!(wall.pass(LAN, &to("198.18.0.2")).ends().source, public);
    assert_eq!(wall.pass(LAN, &to("203.0.114.9")).ends().source, public);
    let other = wall.pass(LAN, &udp(("10.0.0.5", 4_001), ("198.18.0.1", 53))).ends().source;
    assert!(other != public && other.0 == public.0);
    assert_eq!((wall.taken("203.0.113.1"), wall.engine.nat_usage().mappings), (2, 2));
    wall.wait(Duration::from_secs(119));
    assert_eq!(wall.engine.nat_usage().mappings, 2, "RFC 4787: not below two minutes");
    wall.wait(Duration::from_secs(3));
    assert_eq!((wall.taken("203.0.113.1"), wall.engine.nat_usage().mappings), (0, 0));
}

#[test]
fn an_endpoint_has_a_mapping_at_each_address_that_it_leaves_by_and_no_port_is_lost() {
    let by = independent(Filtering::EndpointIndependent);
    let mut wall = Wall::new(masquerade_by(by));
    let sent = |to: &'static str| udp(("10.0.0.5", 40_000), (to, 53));
    let first = wall.pass(LAN, &sent("198.18.0.1")).ends().source;
    wall.commit(pooled(by), 2);
    let second = wall.pass(LAN, &sent("198.18.0.2")).ends().source;
    let addresses = [first.0, second.0];
    assert_eq!(addresses, [ip("198.51.100.1"), ip("203.0.113.1")]);
    assert_eq!(addresses.map(|it| wall.taken(&it.to_string())), [1, 1]);
    wall.commit(masquerade_by(by), 3);
    assert_eq!(wall.pass(LAN, &sent("198.18.0.3")).ends().source, first, "it is still the same");
    wall.wait(Duration::from_secs(3_600));
    assert_eq!(wall.engine.sessions().len(), 0);
    assert_eq!(addresses.map(|it| wall.taken(&it.to_string())), [0, 0]);
}

#[test]
fn without_independence_each_session_has_a_port() {
    let mut wall = Wall::new(pooled(Mapping::default()));
    let to = |server: &str| udp(("10.0.0.5", 4_000), (server, 53));
    let first = wall.pass(LAN, &to("198.18.0.1")).ends().source;
    let second = wall.pass(LAN, &to("198.18.0.2")).ends().source;
    assert!(first != second, "{first:?}");
}

#[test]
fn filtering_admits_whom_the_rule_says() {
    let knocks = [
        // who knocks, and who is admitted by each kind of filtering
        (("198.18.0.1", 53), [true, true, true]),
        (("198.18.0.1", 54), [true, true, false]),
        (("198.18.0.2", 53), [true, false, false]),
    ];
    let kinds = [
        Filtering::EndpointIndependent,
        Filtering::AddressDependent,
        Filtering::AddressAndPortDependent,
    ];
    for (kind, filtering) in kinds.into_iter().enumerate() {
        for (from, admitted) in knocks {
            let mut wall = Wall::new(pooled(independent(filtering)));
            let sent = wall.pass(LAN, &udp(("10.0.0.5", 4_000), ("198.18.0.1", 53)));
            let public = sent.ends().source;
            let knock = Builder::new(ip(from.0), public.0).udp(from.1, public.1);
            if admitted[kind] {
                let inside = wall.pass(WAN, &knock);
                assert_eq!(inside.ends().destination, (ip("10.0.0.5"), 4_000));
                assert_eq!(inside.ends().source, (ip(from.0), from.1));
                let back = wall.pass(LAN, &answer_udp(&inside));
                assert_eq!(back.ends().source, public, "the answer leaves by the mapping");
            } else {
                assert_eq!(wall.drop(WAN, &knock), Reason::NatFiltered, "{filtering:?} {from:?}");
            }
        }
    }
}

#[test]
fn two_behind_one_address_reach_each_other_by_their_mappings() {
    let mut wall = Wall::new(pooled(independent(Filtering::EndpointIndependent)));
    let b = wall.pass(LAN, &udp(("10.0.0.6", 6_000), ("198.18.0.1", 53))).ends().source;
    let a = ("10.0.0.5", 5_000);
    let turned = wall.pass(LAN, &Builder::new(ip(a.0), b.0).udp(a.1, b.1));
    assert_eq!((turned.port, turned.ends().destination), (LAN, (ip("10.0.0.6"), 6_000)));
    assert!(turned.ends().source.0 != ip(a.0), "RFC 4787 REQ-9: the source is an outside one");
    let back = wall.pass(LAN, &answer_udp(&turned));
    assert_eq!((back.port, back.ends().destination), (LAN, (ip(a.0), a.1)));
    assert_eq!(back.ends().source, b);
}

/// RFC 4787 §6, REQ-9: by the address and the port that it has outside, before it was there or after.
#[test]
fn who_turns_back_is_seen_by_its_own_mapping() {
    for (nat, known_before) in [
        (pooled(independent(Filtering::EndpointIndependent)), true),
        (pooled(independent(Filtering::EndpointIndependent)), false),
        (masquerade_by(independent(Filtering::EndpointIndependent)), true),
        (masquerade_by(independent(Filtering::EndpointIndependent)), false),
    ] {
        let mut wall = Wall::new(nat);
        let (a, outside) = (("10.0.0.5", 5_000), ("198.18.0.1", 53));
        let b = wall.pass(LAN, &udp(("10.0.0.6", 6_000), outside)).ends().source;
        let before = known_before.then(|| wall.pass(LAN, &udp(a, outside)).ends().source);
        let turned = wall.pass(LAN, &Builder::new(ip(a.0), b.0).udp(a.1, b.1));
        assert_eq!((turned.port, turned.ends().destination), (LAN, (ip("10.0.0.6"), 6_000)));
        let after = wall.pass(LAN, &udp(a, ("198.18.0.2", 54))).ends().source;
        assert_eq!((turned.ends().source, before.unwrap_or(after)), (after, after));
        let back = wall.pass(LAN, &answer_udp(&turned));
        assert_eq!((back.port, back.ends().destination), (LAN, (ip(a.0), a.1)));
        assert_eq!(back.ends().source, b);
        let public = b.0.to_string();
        assert_eq!((wall.taken(&public), wall.engine.nat_usage().mappings), (2, 2));
        // Whoever knows the mapping of one reaches it by that, and is seen by its own.
        let c = wall.pass(LAN, &udp(("10.0.0.7", 7_000), outside)).ends().source;
        let met = wall.pass(LAN, &Builder::new(ip("10.0.0.7"), after.0).udp(7_000, after.1));
        assert_eq!((met.ends().source, met.ends().destination), (c, (ip(a.0), a.1)));
        wall.wait(Duration::from_secs(1_000));
        assert_eq!((wall.taken(&public), wall.engine.nat_usage().mappings), (0, 0));
    }
}

#[test]
fn a_stranger_outside_is_seen_as_itself_by_whom_it_reaches_by_a_mapping() {
    let mut of_all = source(SourceTo::Interface, independent(Filtering::EndpointIndependent));
    of_all.from = None;
    let mut wall = Wall::new(nat(Vec::new(), vec![of_all]));
    let public = wall.pass(LAN, &udp(("10.0.0.5", 5_000), ("198.18.0.1", 53))).ends().source;
    let knock = Builder::new(ip("10.200.0.9"), public.0).udp(9_000, public.1);
    assert_eq!(wall.pass(WAN, &knock).ends().source, (ip("10.200.0.9"), 9_000));
}

#[test]
fn queries_have_one_identifier_and_it_is_translated() {
    let mut wall = Wall::new(masquerade());
    let ping = Builder::new(ip("10.0.0.5"), ip("198.18.0.1")).echo_request(77, 1).payload(b"ping");
    let left = wall.pass(LAN, &ping);
    let id = icmp_id(&left);
    assert!(left.packet.source == ip("198.51.100.1") && slot_of_port(id).is_some(), "{left:?}");
    let reply = Builder::new(ip("198.18.0.1"), ip("198.51.100.1")).echo_reply(id, 1);
    let back = wall.pass(WAN, &reply.payload(b"ping"));
    assert_eq!((back.packet.destination, icmp_id(&back)), (ip("10.0.0.5"), 77));
}

#[test]
fn errors_find_whom_they_are_about_and_quote_what_it_sent() {
    let mut wall = Wall::new(masquerade());
    let client = ("10.0.0.5", 4_000);
    let left = wall.pass(LAN, &udp(client, ("198.18.0.1", 33_434)));
    let quoted = quotation(&left.frame, &left.packet).to_vec();
    let error = Builder::new(ip("192.0.2.77"), ip("198.51.100.1")).icmp(11, 0, 0).payload(&quoted);
    let back = wall.pass(WAN, &error);
    assert_eq!((back.packet.source, back.packet.destination), (ip("192.0.2.77"), ip("10.0.0.5")));
    let inner = Packet::parse_embedded(&back.frame, &back.packet).expect("it quotes");
    assert_eq!((inner.source, inner.source_port), (ip("10.0.0.5"), 4_000));
    assert_eq!((inner.destination, inner.destination_port), (ip("198.18.0.1"), 33_434));
    // And the other way: the client refuses the answer.
    let answer = wall.pass(WAN, &answer_udp(&left));
    let quoted = quotation(&answer.frame, &answer.packet).to_vec();
    let error = Builder::new(ip("10.0.0.5"), ip("198.18.0.1")).icmp(3, 3, 0).payload(&quoted);
    let out = wall.pass(LAN, &error);
    assert_eq!((out.packet.source, out.packet.destination), (ip("198.51.100.1"), ip("198.18.0.1")));
    let inner = Packet::parse_embedded(&out.frame, &out.packet).expect("it quotes");
    assert_eq!((inner.destination, inner.destination_port), left.ends().source);
}

#[test]
fn what_has_no_ports_is_refused_and_says_so() {
    let mut wall = Wall::new(masquerade());
    let esp = Builder::new(ip("10.0.0.5"), ip("198.18.0.1")).esp(7, 1).payload(&[0; 32]);
    assert_eq!(wall.drop(LAN, &esp), Reason::NatProtocol);
}

#[test]
fn parity_stays_and_pairs_are_neighbours() {
    let mapping = Mapping { parity: true, ..independent(Filtering::EndpointIndependent) };
    let mut wall = Wall::new(pooled(mapping));
    for port in [6_000_u16, 7_003, 8_002, 9_001] {
        let of = |port| udp(("10.0.0.5", port), ("198.18.0.1", 5_004));
        let first = wall.pass(LAN, &of(port)).ends().source;
        let second = wall.pass(LAN, &of(port ^ 1)).ends().source;
        assert_eq!(first.1 & 1, port & 1, "parity of {port}");
        assert_eq!(second.1, first.1 ^ 1, "the neighbour of {port}");
    }
}

#[test]
fn v6_is_masqueraded_too() {
    let mut wall = Wall::new(masquerade());
    let (client, server) = (("fd00::5", 40_000), ("2001:db8:99::1", 443));
    let left = wall.pass(LAN, &tcp(client, server, SYN));
    let source = left.ends().source;
    assert_eq!(source.0, ip("2001:db8::1"));
    let back = Builder::new(ip(server.0), source.0).tcp(443, source.1).flags(SYN_ACK).ack(1);
    assert_eq!(wall.pass(WAN, &back.window(1_000)).ends().destination, (ip(client.0), 40_000));
}

#[test]
fn an_inside_address_has_one_public_address_and_another_only_if_the_pool_says_so() {
    for (pooling, expected) in [(Pooling::Paired, 1), (Pooling::Arbitrary, 2)] {
        let rules = vec![source(SourceTo::Pool(0), Mapping::default())];
        let nat = nat(vec![pool(2, pooling)], rules);
        let mut wall = Wall::with(1, 200_000, crate::WorkerId(0), nat);
        let mut addresses = BTreeSet::new();
        let mut refused = 0;
        for flow in 0..61_500_u32 {
            let to = format!("198.18.{}.{}", flow / 60_000, flow % 7);
            let sent = udp(("10.0.0.5", (flow % 60_000 + 1_000) as u16), (&to, 53));
            let (decision, left) = wall.arrive(LAN, &sent);
            if let Verdict::Forward(_) = decision.verdict {
                addresses.extend(left.iter().map(|it| it.ends().source.0));
            } else {
                assert_eq!(decision.verdict, Verdict::Drop(Reason::NatExhausted));
                refused += 1;
            }
        }
        assert_eq!(addresses.len(), expected, "{pooling:?}");
        assert_eq!(refused, if pooling == Pooling::Paired { 60 } else { 0 });
    }
}

/// The bar of one public address: 52,000 flows of many clients, of which 95 % need not borrow; and as many
/// as 61,000 all get a port, none of them twice.
#[test]
fn one_address_carries_sixty_one_thousand_flows() {
    let mut wall = Wall::with(1, 200_000, crate::WorkerId(0), pooled(Mapping::default()));
    let mut given = BTreeSet::new();
    let mut at_52_000 = 0;
    for flow in 0..61_000_u32 {
        let client = format!("10.1.{}.{}", flow / 251, flow % 251);
        let left =
            wall.pass(LAN, &udp((&client, (1_024 + flow % 64_000) as u16), ("198.18.0.1", 53)));
        assert!(given.insert(left.ends().source), "{:?} twice", left.ends().source);
        if flow + 1 == 52_000 {
            at_52_000 = wall.engine.nat_usage().counted.borrowed;
        }
    }
    assert!(at_52_000 * 20 <= 52_000, "{at_52_000} of 52,000 borrowed");
    assert_eq!(wall.taken("203.0.113.1"), 61_000);
}

#[test]
fn who_finds_no_port_is_counted_where_there_was_none() {
    let none_left = |pooling, addresses| {
        let rules = vec![source(SourceTo::Pool(0), Mapping::default())];
        let mut wall =
            Wall::with(1, 200_000, crate::WorkerId(0), nat(vec![pool(addresses, pooling)], rules));
        let mut sent = 0_u32;
        while sent < 61_440 + 10 {
            let client = format!("10.1.{}.{}", sent / 251, sent % 251);
            let from = (client.as_str(), (1_024 + sent % 64_000) as u16);
            wall.arrive(LAN, &udp(from, ("198.18.0.1", 53)));
            sent += 1;
        }
        let usage = wall.engine.nat_usage();
        usage.addresses.iter().filter(|it| it.address.is_ipv4()).map(|it| it.refused).collect()
    };
    let refused: Vec<u64> = none_left(Pooling::Paired, 1);
    assert_eq!(refused, [10]);
    let refused: Vec<u64> = none_left(Pooling::Arbitrary, 2);
    assert_eq!(refused, [0, 0], "the other one has ports");
}

/// The host keeps what `host-inbound` and the node itself need of the firewall's own address.
#[test]
fn what_the_host_serves_is_given_to_nobody() {
    let inbound = r#"
[[host-inbound]]
zone = "out"
service = { protocol = "udp", ports = "1024-30000" }
"#;
    let mut wall = Wall::new(masquerade());
    let rules = [RULES, inbound].concat();
    wall.engine.set_policy(policy(&rules, masquerade(), 2));
    wall.engine.set_host_udp(&(30_001..=50_000).collect::<Vec<_>>());
    let (mut udp_ports, mut tcp_ports) = (BTreeSet::new(), BTreeSet::new());
    for port in 40_000..40_100 {
        let (client, server) = (("10.0.0.5", port), ("198.18.0.1", 53));
        udp_ports.insert(wall.pass(LAN, &udp(client, server)).ends().source.1);
        tcp_ports.insert(wall.pass(LAN, &tcp(client, server, SYN)).ends().source.1);
    }
    assert_eq!((udp_ports.len(), tcp_ports.len()), (100, 100));
    assert!(udp_ports.iter().all(|&port| port > 50_000), "{udp_ports:?}");
    assert!(tcp_ports.iter().any(|&port| port < 50_000), "of another protocol: {tcp_ports:?}");
}
