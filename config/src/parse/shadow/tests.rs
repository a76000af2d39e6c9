#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::{Action, AddressSet};

/// Addresses 0 to 7 of each family, three zones, three protocols, ports 0 to 3.
const ADDRESSES: u32 = 8;
const PORTS: u16 = 4;

#[derive(Clone, Copy, Debug)]
struct Probe {
    from: usize,
    to: usize,
    source: (bool, u32),
    destination: (bool, u32),
    service: (u8, u16, u16),
}

fn matches(policy: &Policy, rule: &Rule, probe: Probe) -> bool {
    let zone = |zone: Option<usize>, is| zone.is_none_or(|zone| zone == is);
    let address = |addresses: &Option<AddressMatch>, (v6, bits): (bool, u32)| {
        let ip = match v6 {
            true => core::net::Ipv6Addr::from_bits(bits.into()).into(),
            false => core::net::Ipv4Addr::from_bits(bits).into(),
        };
        addresses.as_ref().is_none_or(|addresses| addresses.matches(&policy.sets, ip))
    };
    zone(rule.from, probe.from)
        && zone(rule.to, probe.to)
        && address(&rule.source, probe.source)
        && address(&rule.destination, probe.destination)
        && rule
            .services
            .as_ref()
            .is_none_or(|all| all.iter().any(|service| service_matches(service, probe.service)))
}

fn service_matches(service: &Service, (protocol, source, destination): (u8, u16, u16)) -> bool {
    let within = |range: Option<(u16, u16)>, port| {
        range.is_none_or(|(first, last)| (first..=last).contains(&port))
    };
    // For ICMP the probe's ports stand for type and code.
    let icmp = service.icmp.is_none_or(|(kind, code)| {
        u16::from(kind) == source && code.is_none_or(|code| u16::from(code) == destination)
    });
    service.protocol == protocol
        && match protocol {
            1 => icmp,
            _ => {
                within(service.source_ports, source)
                    && within(service.destination_ports, destination)
            }
        }
}

fn range(most: u32) -> impl Strategy<Value = (u32, u32)> {
    (0..most, 0..most).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn set() -> impl Strategy<Value = AddressSet> {
    (vec(range(ADDRESSES), 0..3), vec(range(ADDRESSES), 0..3)).prop_map(|(mut v4, v6)| {
        let mut v6: Vec<_> = v6.into_iter().map(|(a, b)| (u128::from(a), u128::from(b))).collect();
        crate::ranges::merge(&mut v4);
        crate::ranges::merge(&mut v6);
        AddressSet { name: None, v4, v6 }
    })
}

fn addresses() -> impl Strategy<Value = Option<AddressMatch>> {
    let sets = vec(0_usize..6, 1..3);
    option::weighted(
        0.7,
        (sets, any::<bool>()).prop_map(|(sets, negate)| AddressMatch { sets, negate }),
    )
}

fn service() -> impl Strategy<Value = Service> {
    let ports = || option::of(range(PORTS.into()).prop_map(|(a, b)| (a as u16, b as u16)));
    let ported = (prop_oneof![Just(6), Just(17)], ports(), ports()).prop_map(
        |(protocol, source_ports, destination_ports)| Service {
            source_ports,
            destination_ports,
            ..Service::of_protocol(protocol)
        },
    );
    let icmp = option::of((0_u8..4, option::of(0_u8..4)))
        .prop_map(|icmp| Service { icmp, ..Service::of_protocol(1) });
    prop_oneof![ported, icmp]
}

fn rule() -> impl Strategy<Value = Rule> {
    let zones = || option::of(0_usize..3);
    let services = option::weighted(0.7, vec(service(), 1..4));
    (zones(), zones(), addresses(), addresses(), services).prop_map(
        |(from, to, source, destination, services)| Rule {
            id: String::new(),
            description: None,
            from,
            to,
            source,
            destination,
            services,
            action: Action::Permit,
            log_open: false,
            log_close: false,
            on_change: Default::default(),
            replication: Default::default(),
            terms: Default::default(),
            algs: Vec::new(),
            line: 1,
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    (vec(set(), 6), vec(rule(), 2..8)).prop_map(|(sets, rules)| Policy {
        sets,
        rules,
        ..Policy::default()
    })
}

fn probes() -> impl Iterator<Item = Probe> {
    let addresses = || (0..2 * ADDRESSES).map(|at| (at >= ADDRESSES, at % ADDRESSES));
    let services = [1, 6, 17]
        .into_iter()
        .flat_map(|protocol| (0..PORTS * PORTS).map(move |at| (protocol, at / PORTS, at % PORTS)));
    let services: Vec<_> = services.collect();
    let zones = (0..9).map(|at| (at / 3, at % 3));
    zones.flat_map(move |(from, to)| {
        let services = services.clone();
        addresses().flat_map(move |source| {
            let services = services.clone();
            addresses().flat_map(move |destination| {
                services.clone().into_iter().map(move |service| Probe {
                    from,
                    to,
                    source,
                    destination,
                    service,
                })
            })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_shadowed_rule_matches_nothing_that_its_cover_does_not(policy in policy()) {
        for (later, earlier) in shadowed(&policy) {
            prop_assert!(earlier < later);
            let (narrow, wide) = (&policy.rules[later], &policy.rules[earlier]);
            for probe in probes() {
                let missed = matches(&policy, narrow, probe) && !matches(&policy, wide, probe);
                prop_assert!(!missed, "{probe:?} reaches {narrow:?} past {wide:?}");
            }
        }
    }

    #[test]
    fn a_copy_of_a_rule_is_always_found(mut policy in policy()) {
        policy.rules.push(policy.rules[0].clone());
        let last = policy.rules.len() - 1;
        prop_assert!(shadowed(&policy).iter().any(|(later, _)| *later == last));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_service_covers_another_if_it_matches_all_of_its_packets(a in service(), b in service()) {
        let probes = [1, 6, 17].into_iter().flat_map(|protocol| {
            (0..PORTS * PORTS).map(move |at| (protocol, at / PORTS, at % PORTS))
        });
        let mut reached = probes.filter(|&probe| service_matches(&b, probe));
        let all = reached.all(|probe| service_matches(&a, probe));
        // Ports and types beyond the probes' make a difference only to fields that are any.
        prop_assert!(all || !a.covers(&b), "{a} does not cover {b}");
        prop_assert!(b.covers(&b) && Service::of_protocol(b.protocol).covers(&b));
    }
}

#[test]
fn candidates_are_all_earlier_rules_or_both_ends() {
    let list = |later, window| candidates(later, window).collect::<Vec<_>>();
    assert_eq!(list(0, 4), [0; 0]);
    assert_eq!(list(3, 100), [0, 1, 2]);
    assert_eq!(list(10, 4), [0, 1, 8, 9]);
    assert_eq!(list(10, 0), [0; 0]);
}
