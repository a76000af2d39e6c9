#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::{AddressMatch, AddressSet, Service, Zone};
use proptest::prelude::*;
use wire::Protocol;

use super::*;

mod corpus;
pub(super) mod rulesets;

const PORTS: [&str; 3] = ["lan", "wan", "spare"];
const TRUST: ZoneId = ZoneId(0);
const UNTRUST: ZoneId = ZoneId(1);

#[test]
fn the_first_match_wins() {
    let web = rule("web", |rule| rule.services = Some(vec![tcp(443)]));
    let rest = rule("rest", |rule| rule.action = Action::Reject);
    let policy = compile(&[web.clone(), rest.clone()]);
    assert_eq!(policy.judge(&question(443)), Decision::Permit(RuleIndex(0)));
    assert_eq!(policy.judge(&question(80)), Decision::Reject(RuleIndex(1)));
    let policy = compile(&[rest, web]);
    assert_eq!(policy.judge(&question(443)), Decision::Reject(RuleIndex(0)));
}

#[test]
fn no_match_is_no_rule() {
    let deny = rule("deny", |rule| {
        rule.action = Action::Deny;
        rule.services = Some(vec![tcp(443)]);
    });
    let policy = compile(&[deny]);
    assert_eq!(policy.judge(&question(443)), Decision::Deny(RuleIndex(0)));
    assert_eq!(policy.judge(&question(80)), Decision::NoRule);
    assert_eq!(compile(&[]).judge(&question(443)), Decision::NoRule);
    assert_eq!(Decision::NoRule.rule(), None);
}

/// One row per field: what the rule says, a question that matches, one that does not.
#[test]
fn every_field_can_refuse() {
    type Change<T> = fn(&mut T);
    let rows: [(Change<config::Rule>, Change<Question>, Mismatch); 12] = [
        (|r| r.from = Some(0), |q| q.from_zone = UNTRUST, Mismatch::FromZone),
        (|r| r.to = Some(1), |q| q.to_zone = TRUST, Mismatch::ToZone),
        (|r| r.source = within(&[0]), |q| q.source = ip("10.0.1.0"), Mismatch::Source),
        (|r| r.source = within(&[0]), |q| q.source = ip("9.255.255.255"), Mismatch::Source),
        (
            |r| r.destination = without(&[0]),
            |q| q.destination = ip("10.0.0.1"),
            Mismatch::Destination,
        ),
        (|r| r.destination = within(&[0, 1]), |q| q.destination = ip("::1"), Mismatch::Destination),
        (|r| r.services = Some(vec![tcp(443)]), |q| q.destination_port = 444, Mismatch::Service),
        (|r| r.services = Some(vec![tcp(443)]), |q| q.protocol = Protocol(17), Mismatch::Service),
        (|r| r.services = Some(vec![]), |_| {}, Mismatch::Service),
        (
            |r| r.services = Some(vec![Service { source_ports: Some((5, 9)), ..tcp(443) }]),
            |q| q.source_port = 4,
            Mismatch::Service,
        ),
        (
            |r| r.services = Some(vec![Service { source_ports: Some((5, 9)), ..tcp(443) }]),
            |q| q.source_port = 10,
            Mismatch::Service,
        ),
        (|r| r.source = within(&[2]), |_| {}, Mismatch::Source), // an empty set holds nothing
    ];
    for (at, (change_rule, change_question, want)) in rows.into_iter().enumerate() {
        let policy = compile(&[rule("r", change_rule)]);
        let mut question = Question {
            source: ip("10.0.0.7"),
            destination: ip("2001:db8::7"),
            source_port: 5,
            ..question(443)
        };
        if at != 8 && at != 11 {
            assert_eq!(policy.mismatch(RuleIndex(0), &question), None, "row {at}");
            assert_eq!(policy.find(&question), Some(RuleIndex(0)), "row {at}");
        }
        change_question(&mut question);
        assert_eq!(policy.mismatch(RuleIndex(0), &question), Some(want), "row {at}");
        assert_eq!(policy.find(&question), None, "row {at}");
    }
}

#[test]
fn icmp_matches_by_type_and_code() {
    let icmp = |icmp| Service { icmp, ..Service::of_protocol(1) };
    let rows = [
        (icmp(None), Some((3, 1)), true),
        (icmp(None), None, true),
        (icmp(Some((8, None))), Some((8, 0)), true),
        (icmp(Some((8, None))), Some((8, 5)), true),
        (icmp(Some((8, None))), Some((0, 0)), false),
        (icmp(Some((3, Some(4)))), Some((3, 4)), true),
        (icmp(Some((3, Some(4)))), Some((3, 3)), false),
        (icmp(Some((3, None))), None, false),
    ];
    for (service, asked, want) in rows {
        let policy = compile(&[rule("r", |rule| rule.services = Some(vec![service]))]);
        let question = Question { protocol: Protocol(1), icmp: asked, ..question(0) };
        assert_eq!(policy.find(&question).is_some(), want, "{service:?} {asked:?}");
    }
}

#[test]
fn negation_covers_the_union_of_the_sets() {
    let policy = compile(&[rule("r", |rule| rule.source = without(&[0, 1]))]);
    for (source, want) in [
        ("10.0.0.0", false),
        ("10.0.0.255", false),
        ("192.0.2.1", false),
        ("203.0.113.1", true),
        ("2001:db8::1", false),
        ("2001:db9::1", true),
    ] {
        let question = Question { source: ip(source), ..question(443) };
        assert_eq!(policy.find(&question).is_some(), want, "{source}");
    }
}

#[test]
fn ports_have_the_zones_of_the_policy() {
    let policy = Policy::compile(&model(&[]), 7, &["wan", "lan", "spare"]).unwrap();
    assert_eq!(policy.epoch(), 7);
    assert_eq!(policy.zone_of_port(PortId(0)), Some(UNTRUST));
    assert_eq!(policy.zone_of_port(PortId(1)), Some(TRUST));
    assert_eq!(policy.zone_of_port(PortId(2)), None);
    assert_eq!(policy.zone_of_port(PortId(3)), None);
    assert_eq!(policy.zone_name(UNTRUST), "untrust");
    assert_eq!(policy.absent_ports(), []);
    let policy = Policy::compile(&model(&[]), 7, &["lan"]).unwrap();
    assert_eq!(policy.absent_ports(), [(UNTRUST, "wan".to_owned())]);
}

#[test]
fn facts_of_rules_are_kept() {
    let written = rule("r", |rule| {
        rule.action = Action::Reject;
        rule.log_close = true;
        rule.on_change = OnChange::Kill;
        rule.replication = Replication::Async;
        rule.terms.sessions_max = Some(9);
        rule.terms.pick_up = true;
        rule.algs = vec![AlgUse::usual(Alg::Ftp)];
        rule.line = 12;
    });
    let policy = compile(&[rule("a", |_| {}), written]);
    let kept = policy.rule(policy.rule_by_id("r").unwrap());
    let want = Rule {
        id: "r".into(),
        action: Action::Reject,
        log_open: false,
        log_close: true,
        on_change: OnChange::Kill,
        replication: Replication::Async,
        sessions_max: Some(9),
        pick_up: true,
        algs: [AlgUse::usual(Alg::Ftp)].into(),
        line: 12,
    };
    assert_eq!(*kept, want);
    assert_eq!(policy.rule_by_id("none"), None);
}

#[test]
fn rules_are_followed_by_id_across_epochs() {
    let named = |id: &str| rule(id, |_| {});
    let old = compile(&[named("a"), named("b"), named("c")]);
    let new = compile(&[named("c"), named("new"), named("a")]);
    assert_eq!(new.map_from(&old), [Some(RuleIndex(2)), None, Some(RuleIndex(0))]);
    assert_eq!(old.map_from(&old), [0, 1, 2].map(|at| Some(RuleIndex(at))));
}

#[test]
fn a_broken_model_is_refused() {
    let refused = |change: fn(&mut config::Policy)| {
        let mut model = model(&[rule("a", |_| {}), rule("b", |_| {})]);
        change(&mut model);
        Policy::compile(&model, 1, &PORTS).unwrap_err()
    };
    let missing = |rule: &str| CompileError::NoSuchSet { rule: rule.into() };
    assert_eq!(refused(|m| m.rules[1].source = within(&[3])), missing("b"));
    assert_eq!(refused(|m| m.rules[0].destination = without(&[0, 9])), missing("a"));
    let no_zone = CompileError::NoSuchZone { rule: "a".into() };
    assert_eq!(refused(|m| m.rules[0].to = Some(2)), no_zone);
    assert_eq!(refused(|m| m.rules[0].from = Some(2)), no_zone);
    let duplicate = CompileError::DuplicateRule { id: "a".into() };
    assert_eq!(refused(|m| m.rules[1].id = "a".into()), duplicate);
    let unsorted = CompileError::SetNotSorted { set: 0 };
    assert_eq!(refused(|m| m.sets[0].v4 = vec![(5, 9), (9, 10)]), unsorted);
    assert_eq!(refused(|m| m.sets[0].v4 = vec![(7, 6)]), unsorted);
    assert_eq!(refused(|m| m.sets[0].v6 = vec![(5, 9), (1, 2)]), unsorted);
    let twice = refused(|m| m.zones[1].ports.push("lan".into()));
    assert_eq!(twice.to_string(), r#"port "lan" is in two zones, "trust" and "untrust""#);
}

#[test]
fn a_hundred_thousand_prefixes_are_one_search() {
    let mut model = model(&[rule("listed", |rule| rule.source = within(&[3]))]);
    let v4 = (0..100_000).map(|n| (n * 1_024, n * 1_024 + 255)).collect();
    model.sets.push(AddressSet { name: None, v4, v6: Vec::new() });
    let policy = Policy::compile(&model, 1, &PORTS).unwrap();
    let listed = |bits: u32| {
        let source = Ipv4Addr::from(bits).into();
        policy.find(&Question { source, ..question(443) }).is_some()
    };
    for n in (0..100_000).step_by(997) {
        assert!(listed(n * 1_024) && listed(n * 1_024 + 255));
        assert!(!listed(n * 1_024 + 256) && !listed(n * 1_024 + 1_023));
    }
    assert!(!listed(u32::MAX));
}

/// From the operator's words to the decision.
#[test]
fn a_policy_file_means_what_it_says() {
    let text = r#"
        [zones]
        trust = ["lan"]
        untrust = ["wan"]
        [addresses]
        web = ["203.0.113.0/24", "2001:db8:2::100/128"]
        [services]
        echo = ["tcp/7000-7999", "udp/7000-7999"]
        [[rule]]
        id = "web-in"
        from = "trust"
        to = "untrust"
        destination = ["web"]
        service = ["echo", "tcp/443", "icmp/echo-request"]
        action = "permit"
        [[rule]]
        id = "rest"
        from = "trust"
        action = "reject"
    "#;
    let load = &mut |_: &str| Err("no list files here".to_owned());
    let model = config::parse_policy("policy.toml", text, load).unwrap().value;
    let policy = Policy::compile(&model, 1, &PORTS).unwrap();
    let (web, rest) = (Decision::Permit(RuleIndex(0)), Decision::Reject(RuleIndex(1)));
    let v6 =
        Question { source: ip("2001:db8::1"), destination: ip("2001:db8:2::100"), ..question(0) };
    let echo = |of: Question, protocol, kind| Question {
        protocol: Protocol(protocol),
        icmp: Some((kind, 0)),
        ..of
    };
    for (question, want) in [
        (question(443), web),
        (question(7_500), web),
        (question(80), rest),
        (Question { destination: ip("203.0.114.1"), ..question(443) }, rest),
        (Question { protocol: Protocol::UDP, ..question(7_000) }, web),
        (Question { protocol: Protocol::UDP, ..question(443) }, rest),
        (Question { destination_port: 443, ..v6 }, web),
        (echo(question(0), 1, 8), web),
        (echo(v6, 58, 128), web),
        (echo(question(0), 1, 13), rest),
        (echo(v6, 58, 8), rest),
        (Question { from_zone: UNTRUST, to_zone: TRUST, ..question(443) }, Decision::NoRule),
    ] {
        assert_eq!(policy.judge(&question), want, "{question:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The compiled matcher against the model read word by word.
    #[test]
    fn compiled_is_what_was_written(
        sets in proptest::collection::vec(a_set(), 1..6),
        rules in proptest::collection::vec(a_rule(), 0..12),
        questions in proptest::collection::vec(a_question(), 1..40),
    ) {
        let mut model = model(&[]);
        model.rules = rules.into_iter().enumerate().map(|(at, mut rule)| {
            rule.id = format!("r{at}");
            for of in [&mut rule.source, &mut rule.destination].into_iter().flatten() {
                of.sets.iter_mut().for_each(|set| *set %= sets.len());
            }
            rule
        }).collect();
        model.sets = sets;
        let policy = Policy::compile(&model, 1, &PORTS).unwrap();
        for question in questions {
            let want = model.rules.iter().position(|rule| says_yes(&model, rule, &question));
            prop_assert_eq!(policy.find(&question).map(RuleIndex::index), want, "{:?}", question);
        }
    }
}

/// The slow twin: the meaning of a rule, straight from the model.
fn says_yes(model: &config::Policy, rule: &config::Rule, question: &Question) -> bool {
    let zone = |of: Option<usize>, is: ZoneId| of.is_none() || of == Some(is.index());
    zone(rule.from, question.from_zone)
        && zone(rule.to, question.to_zone)
        && address(model, rule.source.as_ref(), question.source)
        && address(model, rule.destination.as_ref(), question.destination)
        && rule.services.as_ref().is_none_or(|list| list.iter().any(|s| serves(s, question)))
}

fn address(model: &config::Policy, of: Option<&AddressMatch>, address: IpAddr) -> bool {
    let Some(of) = of else { return true };
    let mut inside = false;
    for set in of.sets.iter().map(|&set| &model.sets[set]) {
        inside |= match address {
            IpAddr::V4(a) => set.v4.iter().any(|r| (r.0..=r.1).contains(&a.to_bits())),
            IpAddr::V6(a) => set.v6.iter().any(|r| (r.0..=r.1).contains(&a.to_bits())),
        };
    }
    if of.negate { !inside } else { inside }
}

fn serves(service: &Service, question: &Question) -> bool {
    let port = |of: Option<(u16, u16)>, is: u16| of.is_none_or(|r| (r.0..=r.1).contains(&is));
    let icmp = match service.icmp {
        None => true,
        Some((kind, None)) => question.icmp.map(|is| is.0) == Some(kind),
        Some((kind, Some(code))) => question.icmp == Some((kind, code)),
    };
    service.protocol == question.protocol.0
        && port(service.source_ports, question.source_port)
        && port(service.destination_ports, question.destination_port)
        && icmp
}

fn a_set() -> impl Strategy<Value = AddressSet> {
    let cuts = || proptest::collection::btree_set(0u8..64, 0..8);
    (cuts(), cuts()).prop_map(|(v4, v6)| {
        let pairs = |cuts: std::collections::BTreeSet<u8>| {
            let cuts: Vec<u8> = cuts.into_iter().collect();
            cuts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect::<Vec<_>>()
        };
        let v4 = pairs(v4).into_iter().map(|(a, b)| (small_v4(a), small_v4(b))).collect();
        let v6 = pairs(v6).into_iter().map(|(a, b)| (small_v6(a), small_v6(b))).collect();
        AddressSet { name: None, v4, v6 }
    })
}

fn small_v4(n: u8) -> u32 {
    0x0a00_0000 + u32::from(n)
}

fn small_v6(n: u8) -> u128 {
    (0x2001_0db8 << 96) + u128::from(n)
}

fn a_rule() -> impl Strategy<Value = config::Rule> {
    let zone = || proptest::option::of(0usize..2);
    let address = || {
        let sets = proptest::collection::vec(0usize..6, 1..4);
        let of = (sets, any::<bool>()).prop_map(|(sets, negate)| AddressMatch { sets, negate });
        proptest::option::of(of)
    };
    let services = proptest::option::of(proptest::collection::vec(a_service(), 0..4));
    (zone(), zone(), address(), address(), services).prop_map(
        |(from, to, source, destination, services)| config::Rule {
            from,
            to,
            source,
            destination,
            services,
            ..rule("", |_| {})
        },
    )
}

fn a_service() -> impl Strategy<Value = Service> {
    let range = || proptest::option::of((0u16..6, 0u16..6).prop_map(|(a, b)| (a.min(b), a.max(b))));
    let icmp = proptest::option::of((0u8..3, proptest::option::of(0u8..3)));
    (a_protocol(), range(), range(), icmp).prop_map(|(protocol, source, destination, icmp)| {
        match protocol {
            1 | 58 => Service { icmp, ..Service::of_protocol(protocol) },
            _ => Service {
                source_ports: source,
                destination_ports: destination,
                ..Service::of_protocol(protocol)
            },
        }
    })
}

fn a_protocol() -> impl Strategy<Value = u8> {
    proptest::sample::select(vec![1, 6, 17, 47, 58])
}

fn a_question() -> impl Strategy<Value = Question> {
    let address = || {
        let number = 0u8..64;
        (number, any::<bool>()).prop_map(|(n, v4)| match v4 {
            true => IpAddr::from(Ipv4Addr::from(small_v4(n))),
            false => IpAddr::from(Ipv6Addr::from(small_v6(n))),
        })
    };
    let ports = (0u16..6, 0u16..6);
    let zones = (0u16..2, 0u16..2);
    let icmp = (0u8..3, 0u8..3);
    (zones, address(), address(), a_protocol(), ports, icmp).prop_map(
        |(zones, source, destination, protocol, ports, icmp)| Question {
            from_zone: ZoneId(zones.0),
            to_zone: ZoneId(zones.1),
            source,
            destination,
            protocol: Protocol(protocol),
            source_port: ports.0,
            destination_port: ports.1,
            icmp: matches!(protocol, 1 | 58).then_some(icmp),
        },
    )
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn tcp(port: u16) -> Service {
    Service { destination_ports: Some((port, port)), ..Service::of_protocol(6) }
}

fn within(sets: &[usize]) -> Option<AddressMatch> {
    Some(AddressMatch { sets: sets.to_vec(), negate: false })
}

fn without(sets: &[usize]) -> Option<AddressMatch> {
    Some(AddressMatch { sets: sets.to_vec(), negate: true })
}

fn question(destination_port: u16) -> Question {
    Question {
        from_zone: TRUST,
        to_zone: UNTRUST,
        source: ip("10.0.0.7"),
        destination: ip("203.0.113.7"),
        protocol: Protocol(6),
        source_port: 50_000,
        destination_port,
        icmp: None,
    }
}

fn rule(id: &str, change: impl FnOnce(&mut config::Rule)) -> config::Rule {
    let mut rule = config::Rule { id: id.into(), ..rulesets::blank(0) };
    change(&mut rule);
    rule
}

/// Two zones and three sets: 0 and 1 with addresses, 2 empty.
fn model(rules: &[config::Rule]) -> config::Policy {
    let zone = |name: &str, port: &str| Zone {
        name: name.into(),
        ports: vec![port.into()],
        sessions_max: None,
    };
    let set = |v4: &[(u32, u32)], v6: &[(u128, u128)]| AddressSet {
        name: None,
        v4: v4.to_vec(),
        v6: v6.to_vec(),
    };
    let documentation = (0x2001_0db8 << 96, (0x2001_0db9 << 96) - 1);
    config::Policy {
        zones: vec![zone("trust", "lan"), zone("untrust", "wan")],
        sets: vec![
            set(&[(0x0a00_0000, 0x0a00_00ff)], &[]),
            set(&[(0xc000_0201, 0xc000_0201)], &[documentation]),
            set(&[], &[]),
        ],
        rules: rules.to_vec(),
        ..config::Policy::default()
    }
}

fn compile(rules: &[config::Rule]) -> Policy {
    Policy::compile(&model(rules), 1, &PORTS).unwrap()
}
