#![allow(clippy::unwrap_used, clippy::unwrap_in_result)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::limits::{METRICS_MAX, NEIGHBOURS_MAX, NEXT_HOPS_MAX};

const LAN: PortId = PortId(0);
const WAN: PortId = PortId(1);
const OTHER: PortId = PortId(2); // in domain 7

#[test]
fn the_longest_prefix_wins() {
    let mut fib = fib();
    set(&mut fib, "0.0.0.0/0", 0, via(WAN, "198.51.100.1"));
    set(&mut fib, "10.0.0.0/8", 0, via(LAN, "192.0.2.1"));
    set(&mut fib, "10.1.0.0/16", 0, RouteKind::Unicast(NextHops::one(LAN, None)));
    set(&mut fib, "::/0", 0, via(WAN, "fe80::1"));
    assert_eq!(look(&fib, "203.0.113.9"), hop(WAN, "198.51.100.1"));
    assert_eq!(look(&fib, "10.2.0.1"), hop(LAN, "192.0.2.1"));
    assert_eq!(look(&fib, "10.1.0.1"), hop(LAN, "10.1.0.1"));
    assert_eq!(look(&fib, "2001:db8::1"), hop(WAN, "fe80::1"));
    assert_eq!(fib.len(), (4, 0));
}

#[test]
fn every_kind_of_route_has_its_answer() {
    let mut fib = fib();
    for (prefix, kind, want) in [
        ("10.0.0.0/24", RouteKind::Local, Lookup::Local),
        ("10.0.1.0/24", RouteKind::Blackhole, Lookup::Blackhole),
        ("10.0.2.0/24", RouteKind::Unreachable, Lookup::Unreachable),
        ("10.0.3.0/24", RouteKind::Prohibit, Lookup::Prohibit),
    ] {
        let inside: IpNet = prefix.parse().unwrap();
        set(&mut fib, prefix, 0, kind);
        assert_eq!(look(&fib, &inside.addr().to_string()), want);
    }
    assert_eq!(look(&fib, "10.0.4.1"), Lookup::NoRoute);
    assert_eq!(look(&fib, "2001:db8::1"), Lookup::NoRoute);
}

#[test]
fn the_lowest_metric_wins_and_the_others_are_remembered() {
    let mut fib = fib();
    set(&mut fib, "10.0.0.0/8", 20, via(LAN, "192.0.2.20"));
    set(&mut fib, "10.0.0.0/8", 10, via(LAN, "192.0.2.10"));
    set(&mut fib, "10.0.0.0/8", 30, RouteKind::Blackhole);
    assert_eq!(look(&fib, "10.0.0.1"), hop(LAN, "192.0.2.10"));
    assert_eq!(delete(&mut fib, "10.0.0.0/8", 10), Applied::Changed);
    assert_eq!(look(&fib, "10.0.0.1"), hop(LAN, "192.0.2.20"));
    assert_eq!(delete(&mut fib, "10.0.0.0/8", 20), Applied::Changed);
    assert_eq!(look(&fib, "10.0.0.1"), Lookup::Blackhole);
    assert_eq!(delete(&mut fib, "10.0.0.0/8", 30), Applied::Changed);
    assert_eq!(look(&fib, "10.0.0.1"), Lookup::NoRoute);
    assert_eq!(delete(&mut fib, "10.0.0.0/8", 30), Applied::Unchanged);
    assert!(fib.is_empty());
}

#[test]
fn more_metrics_than_the_limit_are_refused() {
    let mut fib = fib();
    let most = METRICS_MAX as u32;
    for metric in 0..most {
        assert_eq!(set(&mut fib, "10.0.0.0/8", metric, RouteKind::Blackhole), Applied::Changed);
    }
    assert_eq!(set(&mut fib, "10.0.0.0/8", most, RouteKind::Blackhole), Applied::Full);
    assert_eq!(set(&mut fib, "10.0.0.0/8", 0, RouteKind::Local), Applied::Changed);
}

#[test]
fn the_generation_moves_with_effective_changes_only() {
    let mut fib = fib();
    let first = fib.generation();
    assert_ne!(first, 0);
    assert_eq!(set(&mut fib, "10.0.0.0/8", 0, RouteKind::Local), Applied::Changed);
    assert_eq!(fib.generation(), first + 1);
    assert_eq!(set(&mut fib, "10.0.0.0/8", 0, RouteKind::Local), Applied::Unchanged);
    assert_eq!(delete(&mut fib, "10.0.0.0/9", 0), Applied::Unchanged);
    assert_eq!(neighbour(&mut fib, LAN, "10.0.0.1", 1, NeighbourState::Stale), Applied::Changed);
    let known = fib.generation();
    let again = neighbour(&mut fib, LAN, "10.0.0.1", 1, NeighbourState::Reachable);
    assert_eq!((again, fib.generation()), (Applied::Unchanged, known));
    assert_eq!(fib.neighbour(LAN, ip("10.0.0.1")).unwrap().state, NeighbourState::Reachable);
    assert_eq!(neighbour(&mut fib, LAN, "10.0.0.1", 2, NeighbourState::Stale), Applied::Changed);
    assert_eq!(fib.apply(&FibChange::Flush), Applied::Changed);
    assert_eq!(fib.apply(&FibChange::Flush), Applied::Unchanged);
    fib.generation = u32::MAX;
    set(&mut fib, "10.0.0.0/8", 0, RouteKind::Local);
    assert_eq!(fib.generation(), 1, "0 is skipped");
}

#[test]
fn neighbours_belong_to_a_port() {
    let mut fib = fib();
    neighbour(&mut fib, LAN, "fe80::1", 1, NeighbourState::Reachable);
    neighbour(&mut fib, WAN, "fe80::1", 2, NeighbourState::Permanent);
    assert_eq!(fib.resolve(LAN, ip("fe80::1")), Some(mac(1)));
    assert_eq!(fib.resolve(WAN, ip("fe80::1")), Some(mac(2)));
    assert_eq!(fib.resolve(WAN, ip("fe80::2")), None);
    let lost = FibChange::NeighbourLost { port: LAN, address: ip("fe80::1") };
    assert_eq!(fib.apply(&lost), Applied::Changed);
    assert_eq!(fib.apply(&lost), Applied::Unchanged);
    assert_eq!(fib.resolve(LAN, ip("fe80::1")), None);
    assert_eq!(fib.resolve(WAN, ip("fe80::1")), Some(mac(2)));
}

#[test]
fn a_full_neighbour_table_still_updates_what_it_knows() {
    let mut fib = fib();
    let address = |n: u32| IpAddr::from(Ipv4Addr::from(n));
    let set = |fib: &mut Fib, n: u32, last: u8| {
        let (mac, state) = (mac(last), NeighbourState::Stale);
        fib.apply(&FibChange::NeighbourSet { port: LAN, address: address(n), mac, state })
    };
    let most = NEIGHBOURS_MAX as u32;
    for n in 0..most {
        assert_eq!(set(&mut fib, n, 1), Applied::Changed);
    }
    assert_eq!(set(&mut fib, most, 1), Applied::Full);
    assert_eq!(set(&mut fib, 0, 2), Applied::Changed);
    assert_eq!(fib.resolve(LAN, address(0)), Some(mac(2)));
}

#[test]
fn domains_do_not_mix() {
    let mut fib = fib();
    let prefix = "10.0.0.0/8".parse().unwrap();
    let route = Route { metric: 0, kind: via(OTHER, "10.9.9.9") };
    fib.apply(&FibChange::RouteSet { domain: 7, prefix, route });
    assert_eq!(look(&fib, "10.0.0.1"), Lookup::NoRoute);
    assert_eq!(fib.lookup(7, ip("10.0.0.1"), 0), hop(OTHER, "10.9.9.9"));
    addresses(&mut fib, OTHER, &["10.0.0.1/24"]);
    assert!(fib.is_own(7, ip("10.0.0.1")) && !fib.is_own(0, ip("10.0.0.1")));
    assert_eq!(fib.lookup(7, ip("10.0.0.1"), 0), Lookup::Local);
    assert_eq!((fib.domain_of(OTHER), fib.domain_of(PortId(9))), (Some(7), None));
}

#[test]
fn flows_spread_over_next_hops_by_weight() {
    let hops: Vec<NextHop> =
        (1..=3).map(|n| NextHop { port: LAN, gateway: gateway(n), weight: n }).collect();
    let hops = NextHops::new(&hops).unwrap();
    let mut seen = BTreeMap::new();
    for step in 0..6_000_u32 {
        let chosen = hops.choose(step * (u32::MAX / 6_000));
        *seen.entry(chosen.gateway).or_insert(0_i32) += 1;
    }
    let share = |n| seen[&gateway(n)];
    for (n, want) in [(1, 1_000), (2, 2_000), (3, 3_000)] {
        assert!((share(n) - want).abs() <= 2, "{n}: {}", share(n));
    }
    assert_eq!(hops.choose(u32::MAX).gateway, gateway(3));
    assert_eq!(hops.choose(7), hops.choose(7));
}

#[test]
fn a_weight_of_zero_is_one() {
    let hop = |n| NextHop { port: LAN, gateway: gateway(n), weight: 0 };
    let hops = NextHops::new(&[hop(1), hop(2)]).unwrap();
    assert_eq!(hops.choose(0).gateway, gateway(1));
    assert_eq!(hops.choose(u32::MAX).gateway, gateway(2));
    assert_eq!(NextHops::new(&[]), None);
}

#[test]
fn next_hops_come_and_go_one_by_one() {
    let mut fib = fib();
    let prefix: IpNet = "10.0.0.0/8".parse().unwrap();
    let append = |fib: &mut Fib, n: u8| {
        let route = Route { metric: 5, kind: RouteKind::Unicast(NextHops::one(LAN, gateway(n))) };
        fib.apply(&FibChange::RouteAppend { domain: 0, prefix, route })
    };
    for n in 1..=NEXT_HOPS_MAX as u8 {
        assert_eq!(append(&mut fib, n), Applied::Changed);
        assert_eq!(append(&mut fib, n), Applied::Unchanged);
    }
    assert_eq!(append(&mut fib, 99), Applied::Full);
    for n in 1..=NEXT_HOPS_MAX as u8 {
        assert_ne!(look(&fib, "10.0.0.1"), Lookup::NoRoute);
        let hop = Some(NextHop { port: LAN, gateway: gateway(n), weight: 200 });
        let delete = FibChange::RouteDelete { domain: 0, prefix, metric: 5, hop };
        assert_eq!(fib.apply(&delete), Applied::Changed);
        assert_eq!(fib.apply(&delete), Applied::Unchanged);
    }
    assert!(fib.is_empty());
}

#[test]
fn appending_to_another_kind_of_route_replaces_it() {
    let mut fib = fib();
    set(&mut fib, "10.0.0.0/8", 5, RouteKind::Blackhole);
    let route = Route { metric: 5, kind: via(LAN, "192.0.2.1") };
    let prefix = "10.0.0.0/8".parse().unwrap();
    let append = FibChange::RouteAppend { domain: 0, prefix, route };
    assert_eq!(fib.apply(&append), Applied::Changed);
    assert_eq!(look(&fib, "10.0.0.1"), hop(LAN, "192.0.2.1"));
}

#[test]
fn a_port_that_goes_down_takes_its_hops_and_neighbours_along() {
    let mut fib = fib();
    let both = [LAN, WAN].map(|port| NextHop { port, gateway: gateway(1), weight: 1 });
    set(&mut fib, "0.0.0.0/0", 0, RouteKind::Unicast(NextHops::new(&both).unwrap()));
    set(&mut fib, "10.0.0.0/8", 0, via(WAN, "192.0.2.1"));
    set(&mut fib, "10.0.0.0/8", 9, via(LAN, "192.0.2.2"));
    set(&mut fib, "2001:db8::/32", 0, via(WAN, "fe80::1"));
    neighbour(&mut fib, WAN, "fe80::1", 1, NeighbourState::Reachable);
    neighbour(&mut fib, LAN, "fe80::1", 2, NeighbourState::Reachable);
    addresses(&mut fib, WAN, &["192.0.2.9/24"]);
    assert_eq!(fib.apply(&FibChange::PortDown { port: WAN }), Applied::Changed);
    assert_eq!(fib.apply(&FibChange::PortDown { port: WAN }), Applied::Unchanged);
    for hash in [0, u32::MAX] {
        let found = fib.lookup(0, ip("203.0.113.1"), hash);
        assert_eq!(found, Lookup::Hop(Hop { port: LAN, next: gateway(1).unwrap() }));
    }
    assert_eq!(look(&fib, "10.0.0.1"), hop(LAN, "192.0.2.2"));
    assert_eq!(look(&fib, "2001:db8::1"), Lookup::NoRoute);
    assert_eq!(fib.resolve(WAN, ip("fe80::1")), None);
    assert_eq!(fib.resolve(LAN, ip("fe80::1")), Some(mac(2)));
    assert!(fib.is_own(0, ip("192.0.2.9")), "addresses stay");
}

#[test]
fn own_addresses_and_broadcasts_come_before_routes() {
    let mut fib = fib();
    set(&mut fib, "0.0.0.0/0", 0, via(WAN, "198.51.100.1"));
    addresses(&mut fib, LAN, &["192.0.2.1/24", "198.51.100.0/31", "2001:db8::1/64"]);
    assert_eq!(look(&fib, "192.0.2.1"), Lookup::Local);
    assert_eq!(look(&fib, "2001:db8::1"), Lookup::Local);
    assert_eq!(look(&fib, "192.0.2.255"), Lookup::Broadcast);
    assert_eq!(look(&fib, "198.51.100.0"), Lookup::Local);
    assert_eq!(look(&fib, "198.51.100.1"), hop(WAN, "198.51.100.1"));
    assert!(fib.is_broadcast(0, ip("192.0.2.255")) && !fib.is_broadcast(0, ip("192.0.2.1")));
    // Another port owns an address that is the broadcast of the first one's network.
    addresses(&mut fib, WAN, &["192.0.2.255/32"]);
    assert_eq!(look(&fib, "192.0.2.255"), Lookup::Local);
    addresses(&mut fib, LAN, &["192.0.2.1/24"]);
    assert_eq!(look(&fib, "192.0.2.255"), Lookup::Local);
    assert_eq!(look(&fib, "2001:db8::1"), Lookup::NoRoute);
}

#[test]
fn errors_come_from_the_best_address_of_the_port() {
    let mut fib = fib();
    addresses(&mut fib, LAN, &["192.0.2.1/24", "10.0.0.1/8", "fe80::1/64", "2001:db8::1/64"]);
    addresses(&mut fib, WAN, &["2001:db8:9::1/64"]);
    for (port, towards, want) in [
        (LAN, "192.0.2.77", Some("192.0.2.1")),
        (LAN, "10.77.0.1", Some("10.0.0.1")),
        (LAN, "203.0.113.1", Some("192.0.2.1")),
        (LAN, "fe80::77", Some("fe80::1")),
        (LAN, "2001:db8:5::1", Some("2001:db8::1")),
        (WAN, "203.0.113.1", Some("192.0.2.1")), // unnumbered in IPv4
        (OTHER, "203.0.113.1", None),            // another domain's address would be wrong
    ] {
        assert_eq!(fib.source_for(port, ip(towards)), want.map(ip), "{port:?} {towards}");
    }
}

#[test]
fn a_port_that_does_not_exist_has_no_addresses() {
    let mut fib = fib();
    assert_eq!(addresses(&mut fib, PortId(9), &["192.0.2.1/24"]), Applied::Unchanged);
    assert_eq!(fib.source_for(PortId(9), ip("192.0.2.1")), None);
    assert_eq!(look(&fib, "192.0.2.1"), Lookup::NoRoute);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The trie against a list that is scanned, over a small space where prefixes nest often.
    #[test]
    fn lookup_is_a_linear_scan_ipv4(
        edits in vec((any::<u32>(), 0u8..=32, 0u32..3, any::<bool>()), 1..60),
        probes in vec(any::<u32>(), 1..40),
    ) {
        let spread = |bits: u32| IpAddr::from(Ipv4Addr::from(0x0a00_0000 | (bits & 0x00c0_00c3)));
        check(edits, probes.into_iter().map(spread).collect(), spread)?;
    }

    #[test]
    fn lookup_is_a_linear_scan_ipv6(
        edits in vec((any::<u32>(), 0u8..=128, 0u32..3, any::<bool>()), 1..60),
        probes in vec(any::<u32>(), 1..40),
    ) {
        let spread = |bits: u32| {
            let bits = u128::from(bits);
            let bits = (bits & 3) | ((bits & 0xc) << 60) | ((bits & 0xf0) << 92);
            IpAddr::from(Ipv6Addr::from((0x2001_0db8 << 96) | bits))
        };
        check(edits, probes.into_iter().map(spread).collect(), spread)?;
    }
}

/// Applies `edits` (address seed, length, metric, add or delete) to both, then compares lookups.
fn check(
    edits: Vec<(u32, u8, u32, bool)>,
    probes: Vec<IpAddr>,
    spread: impl Fn(u32) -> IpAddr,
) -> Result<(), TestCaseError> {
    let mut fib = fib();
    let mut list: BTreeMap<(IpNet, u32), IpAddr> = BTreeMap::new();
    for (at, (seed, length, metric, add)) in edits.into_iter().enumerate() {
        let prefix = IpNet::new(spread(seed), length).unwrap().trunc();
        let next = IpAddr::from(Ipv4Addr::from(at as u32));
        let known = list.contains_key(&(prefix, metric));
        if add {
            list.insert((prefix, metric), next);
            let kind = RouteKind::Unicast(NextHops::one(LAN, Some(next)));
            let route = Route { metric, kind };
            let applied = fib.apply(&FibChange::RouteSet { domain: 0, prefix, route });
            prop_assert_eq!(applied, Applied::Changed);
        } else {
            list.remove(&(prefix, metric));
            let change = FibChange::RouteDelete { domain: 0, prefix, metric, hop: None };
            prop_assert_eq!(fib.apply(&change) == Applied::Changed, known);
        }
    }
    for probe in probes {
        prop_assert_eq!(fib.lookup(0, probe, 0), scan(&list, probe), "{}", probe);
    }
    Ok(())
}

fn scan(list: &BTreeMap<(IpNet, u32), IpAddr>, probe: IpAddr) -> Lookup {
    let covering = list.iter().filter(|((prefix, _), _)| prefix.contains(&probe));
    let best = covering.min_by_key(|((prefix, metric), _)| (128 - prefix.prefix_len(), *metric));
    best.map_or(Lookup::NoRoute, |(_, &next)| Lookup::Hop(Hop { port: LAN, next }))
}

fn fib() -> Fib {
    Fib::new(&[0, 0, 7], 42)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

fn gateway(last: u8) -> Option<IpAddr> {
    Some(Ipv4Addr::new(192, 0, 2, last).into())
}

fn via(port: PortId, next: &str) -> RouteKind {
    RouteKind::Unicast(NextHops::one(port, Some(ip(next))))
}

fn hop(port: PortId, next: &str) -> Lookup {
    Lookup::Hop(Hop { port, next: ip(next) })
}

fn look(fib: &Fib, destination: &str) -> Lookup {
    fib.lookup(0, ip(destination), 0)
}

fn set(fib: &mut Fib, prefix: &str, metric: u32, kind: RouteKind) -> Applied {
    let prefix = prefix.parse().unwrap();
    fib.apply(&FibChange::RouteSet { domain: 0, prefix, route: Route { metric, kind } })
}

fn delete(fib: &mut Fib, prefix: &str, metric: u32) -> Applied {
    let prefix = prefix.parse().unwrap();
    fib.apply(&FibChange::RouteDelete { domain: 0, prefix, metric, hop: None })
}

fn neighbour(fib: &mut Fib, port: PortId, next: &str, n: u8, state: NeighbourState) -> Applied {
    let (address, mac) = (ip(next), mac(n));
    fib.apply(&FibChange::NeighbourSet { port, address, mac, state })
}

fn addresses(fib: &mut Fib, port: PortId, list: &[&str]) -> Applied {
    let addresses = list.iter().map(|text| text.parse().unwrap()).collect();
    fib.apply(&FibChange::PortAddresses { port, addresses })
}
