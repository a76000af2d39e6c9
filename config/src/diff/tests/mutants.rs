//! Whatever differs in a policy is told, in both directions. A field that is new does not compile here
//! until somebody has thought of it.

mod nat;

use core::time::Duration;

use super::{BASE, diff, policy};
use crate::{
    Action, AddressMatch, AddressSet, Alg, AlgUse, Baseline, Flood, HostInbound, Integrity,
    OnChange, Policy, PrefixLengths, Reaction, Replication, Response, Rule, Scan, Screen, Service,
    SessionLimit, SynFlood, Terms, Timeouts, WindowCheck, Zone,
};

type Mutant = (&'static str, fn(&mut Policy));

#[test]
fn every_difference_is_told() {
    let base = policy(BASE);
    for (name, mutate) in all() {
        let mut mutant = base.clone();
        mutate(&mut mutant);
        assert_ne!(base, mutant, "{name}");
        let changes = diff(&base, &mutant);
        assert!(!changes.is_empty(), "{name}");
        assert!(changes.iter().all(|it| !it.to_string().trim().is_empty()), "{name}: {changes:?}");
        assert!(!diff(&mutant, &base).is_empty(), "{name}, back");
        assert_eq!(diff(&mutant, &mutant), [], "{name}");
    }
}

#[test]
fn every_timeout_is_told() {
    let base = policy(BASE);
    let doubled = Policy { timeouts: base.timeouts.scaled(2, 1), ..base.clone() };
    assert_eq!(diff(&base, &doubled).len(), Timeouts::default().entries().len());
}

fn all() -> Vec<Mutant> {
    let of_screens = [of_screen(), of_detectors()].concat();
    [of_policy(), of_rule(), of_addresses(), of_service(), of_screens, nat::all()].concat()
}

fn of_policy() -> Vec<Mutant> {
    // All fields, so that none is forgotten.
    let Policy { zones, sets, rules, host_inbound, timeouts, integrity, screens, nat } =
        policy(BASE);
    let Zone { name: _, ports: _, sessions_max: _ } = &zones[0];
    let AddressSet { name: _, v4: _, v6: _ } = &sets[0];
    let HostInbound { zone: _, services: _ } = &host_inbound[0];
    let Integrity { tcp_window: _ } = integrity;
    let _ = (rules, timeouts, screens, nat);
    vec![
        ("a zone more", |it| {
            it.zones.push(Zone { name: "z".into(), ports: vec![], sessions_max: None })
        }),
        ("a zone's name", |it| it.zones[1].name.push('x')),
        ("a zone's ports", |it| it.zones[0].ports.push("wifi".into())),
        ("a zone's sessions", |it| it.zones[0].sessions_max = Some(7)),
        ("a set more", |it| {
            it.sets.push(AddressSet { name: Some("s".into()), ..Default::default() })
        }),
        ("a set's name", |it| it.sets[0].name = Some("other".into())),
        ("a set's IPv4", |it| it.sets[0].v4.push((u32::MAX, u32::MAX))),
        ("a set's IPv6", |it| it.sets[0].v6.push((0, 0))),
        ("a rule less", |it| it.rules.truncate(2)),
        ("a rule more", |it| it.rules.push(Rule { id: "z".into(), ..it.rules[0].clone() })),
        ("the order of rules", |it| it.rules.swap(0, 2)),
        ("inbound's zone", |it| it.host_inbound[0].zone = 1),
        ("inbound's services", |it| it.host_inbound[0].services = None),
        ("no inbound service", |it| it.host_inbound[0].services = Some(vec![])),
        ("inbound less", |it| it.host_inbound.clear()),
        ("a timeout", |it| it.timeouts.fragment *= 2),
        ("the window check", |it| it.integrity.tcp_window = WindowCheck::Off),
    ]
}

fn of_rule() -> Vec<Mutant> {
    let Rule {
        id: _,
        description: _,
        from: _,
        to: _,
        source: _,
        destination: _,
        services: _,
        action: _,
        log_open: _,
        log_close: _,
        on_change: _,
        replication: _,
        terms: Terms { timeout: _, sessions_max: _, pick_up: _ },
        algs: _,
        // For messages only.
        line: _,
    } = &policy(BASE).rules[0];
    vec![
        ("a rule's id", |it| it.rules[0].id.push('x')),
        ("a description", |it| it.rules[0].description = Some("x".into())),
        ("from", |it| it.rules[0].from = None),
        ("to", |it| it.rules[0].to = Some(1)),
        ("action", |it| it.rules[0].action = Action::Reject),
        ("log open", |it| it.rules[0].log_open = true),
        ("log close", |it| it.rules[0].log_close = true),
        ("on-change", |it| it.rules[0].on_change = OnChange::Keep),
        ("replication", |it| it.rules[0].replication = Replication::Async),
        ("timeout", |it| it.rules[0].terms.timeout = Some(Duration::from_secs(1))),
        ("sessions-max", |it| it.rules[0].terms.sessions_max = Some(1)),
        ("pick-up", |it| it.rules[0].terms.pick_up = true),
        ("alg", |it| it.rules[0].algs.push(AlgUse::usual(Alg::Ftp))),
    ]
}

fn of_addresses() -> Vec<Mutant> {
    let match_of = policy(BASE).rules.remove(0).destination;
    let AddressMatch { sets: _, negate: _ } = match_of.expect("the rule has a destination");
    fn destination(policy: &mut Policy) -> &mut AddressMatch {
        policy.rules[0].destination.as_mut().expect("the rule has a destination")
    }
    vec![
        ("source", |it| it.rules[0].source = it.rules[0].destination.clone()),
        ("no destination", |it| it.rules[0].destination = None),
        ("a set less", |it| destination(it).sets.truncate(1)),
        ("another set", |it| destination(it).sets[0] = 1),
        ("negation", |it| destination(it).negate = true),
        ("a literal", |it| it.sets[1].v4[0].1 += 1),
    ]
}

fn of_service() -> Vec<Mutant> {
    let first = policy(BASE).rules[0].services.clone().expect("the rule has services")[0];
    let Service { protocol: _, source_ports: _, destination_ports: _, icmp: _, timeout: _ } = first;
    fn service(policy: &mut Policy) -> &mut Service {
        &mut policy.rules[0].services.as_mut().expect("the rule has services")[0]
    }
    vec![
        ("no services", |it| it.rules[0].services = None),
        ("a service less", |it| it.rules[0].services.iter_mut().for_each(|it| it.truncate(1))),
        ("protocol", |it| service(it).protocol = 132),
        ("source ports", |it| service(it).source_ports = Some((1, 2))),
        ("destination ports", |it| service(it).destination_ports = None),
        ("icmp", |it| {
            *service(it) = Service { icmp: Some((8, Some(0))), ..Service::of_protocol(1) }
        }),
        ("a service's timeout", |it| service(it).timeout = Some(Duration::from_secs(1))),
    ]
}

fn of_screen() -> Vec<Mutant> {
    let screen = policy(BASE).screens.remove(0);
    let Screen {
        zone: _,
        exempt: _,
        aggregate: PrefixLengths { v4: _, v6: _ },
        syn_flood: _,
        icmp_flood: _,
        udp_flood: _,
        fragment_flood: _,
        port_scan: _,
        address_sweep: _,
        session_limit: _,
        connection_rate: _,
        anomalies: _,
        baseline: _,
    } = screen;
    vec![
        ("a screen less", |it| it.screens.clear()),
        ("a screen more", |it| it.screens.push(Screen::of_zone(1))),
        ("a screen's zone", |it| it.screens[0].zone = 1),
        ("exempt", |it| it.screens[0].exempt = None),
        ("exempt negated", |it| it.screens[0].exempt.as_mut().expect("it has").negate = true),
        ("aggregate-v4", |it| it.screens[0].aggregate.v4 = 24),
        ("aggregate-v6", |it| it.screens[0].aggregate.v6 = 128),
        ("syn-flood", |it| it.screens[0].syn_flood = None),
        ("icmp-flood", |it| it.screens[0].icmp_flood = None),
        ("udp-flood", |it| it.screens[0].udp_flood = None),
        ("fragment-flood", |it| it.screens[0].fragment_flood = None),
        ("port-scan", |it| it.screens[0].port_scan = None),
        ("address-sweep", |it| it.screens[0].address_sweep = None),
        ("session-limit", |it| it.screens[0].session_limit = None),
        ("connection-rate", |it| it.screens[0].connection_rate = None),
        ("anomalies", |it| it.screens[0].anomalies = None),
        ("baseline", |it| it.screens[0].baseline = None),
    ]
}

fn of_detectors() -> Vec<Mutant> {
    let screen = policy(BASE).screens.remove(0);
    let SynFlood { alarm: _, source: _, destination: _, zone: _, response } =
        screen.syn_flood.expect("on");
    let Response { action: _, block_for: _ } = response;
    let Flood { threshold: _, response: _ } = screen.anomalies.expect("on");
    let Scan {
        threshold: _,
        window: _,
        burst_threshold: _,
        slow_threshold: _,
        slow_window: _,
        response: _,
    } = screen.port_scan.expect("on");
    let SessionLimit { source: _, destination: _, pair: _, response: _ } =
        screen.session_limit.expect("on");
    let Baseline { deviations: _, factor: _, learn: _ } = screen.baseline.expect("on");
    fn syn(policy: &mut Policy) -> &mut SynFlood {
        policy.screens[0].syn_flood.as_mut().expect("on")
    }
    fn scan(policy: &mut Policy) -> &mut Scan {
        policy.screens[0].port_scan.as_mut().expect("on")
    }
    fn limit(policy: &mut Policy) -> &mut SessionLimit {
        policy.screens[0].session_limit.as_mut().expect("on")
    }
    fn baseline(policy: &mut Policy) -> &mut Baseline {
        policy.screens[0].baseline.as_mut().expect("on")
    }
    vec![
        ("syn alarm", |it| syn(it).alarm += 1),
        ("syn source", |it| syn(it).source += 1),
        ("syn destination", |it| syn(it).destination += 1),
        ("syn zone", |it| syn(it).zone = Some(9)),
        ("syn action", |it| syn(it).response.action = Reaction::Drop),
        ("syn block-for", |it| syn(it).response.block_for *= 2),
        ("a threshold", |it| it.screens[0].anomalies.as_mut().expect("on").threshold += 1),
        ("scan threshold", |it| scan(it).threshold += 1),
        ("scan window", |it| scan(it).window *= 2),
        ("burst threshold", |it| scan(it).burst_threshold += 1),
        ("slow threshold", |it| scan(it).slow_threshold += 1),
        ("slow window", |it| scan(it).slow_window *= 2),
        ("scan action", |it| scan(it).response.action = Reaction::Block),
        ("limit of sources", |it| limit(it).source = None),
        ("limit of destinations", |it| limit(it).destination = Some(5)),
        ("limit of pairs", |it| limit(it).pair = Some(5)),
        ("deviations", |it| baseline(it).deviations += 1),
        ("factor", |it| baseline(it).factor += 1),
        ("learn", |it| baseline(it).learn *= 2),
    ]
}
