//! `[[nat-pool]]` and `[[nat]]`: every key, and what is refused.

use std::net::{Ipv4Addr, Ipv6Addr};

use ringwall_config::{
    AddressMatch, DestinationNat, DestinationTo, Diagnostic, Filtering, Mapping, Nat, NatKind,
    NatPool, Policy, Pooling, PrefixNat, Service, Severity, SourceNat, SourceTo, StaticNat, limits,
    parse_policy,
};

const ZONES: &str = "[zones]\na = \"p\"\nb = \"q\"\n[addresses]\nfour = \"10.0.0.0/8\"\n\
                     six = \"fd00::/8\"\nboth = [\"four\", \"six\"]\n";
const POOLS: &str = "[[nat-pool]]\nname = \"v4\"\naddresses = \"192.0.2.1\"\n\
                     [[nat-pool]]\nname = \"v6\"\naddresses = \"2001:db8::1\"\n";

const INSIDE: &str = "an endpoint-independent mapping without the addresses inside [name them in `source`: \
                      they tell which node and worker has a mapping]";

fn policy(lines: &str) -> Policy {
    let text = format!("{ZONES}{lines}");
    let checked = parse_policy("p", &text, &mut |_| Err("no list".to_owned()));
    let checked = checked.unwrap_or_else(|all| panic!("{lines}: {all:#?}"));
    assert_eq!(checked.warnings, [], "{lines}");
    checked.value
}

fn nat(lines: &str) -> Nat {
    policy(lines).nat
}

/// What the only rule of `lines` does.
fn kind(lines: &str) -> NatKind {
    nat(&format!("{POOLS}[[nat]]\nid = \"r\"\n{lines}")).rules.remove(0).kind
}

/// Problems, with warnings, behind `before`; lines are counted behind it.
fn after(before: &str, lines: &str) -> Vec<String> {
    let start = format!("{ZONES}{before}");
    let all = match parse_policy("p", &format!("{start}{lines}"), &mut |_| Ok(String::new())) {
        Ok(checked) => checked.warnings,
        Err(all) => all,
    };
    let above = start.lines().count();
    let one = |it: &Diagnostic| {
        let warning = if it.severity == Severity::Warning { "warning: " } else { "" };
        let hint = it.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
        let line = it.line as i64 - above as i64;
        format!("{warning}{line}:{} {}{hint}", it.column, it.message)
    };
    all.iter().map(one).collect()
}

/// Problems of one rule; line 1 is behind its id and type.
fn in_rule(kind: &str, lines: &str) -> Vec<String> {
    after(&format!("{POOLS}[[nat]]\nid = \"r\"\ntype = \"{kind}\"\n"), lines)
}

fn v4(text: &str) -> u32 {
    text.parse::<Ipv4Addr>().expect("an address").to_bits()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

#[test]
fn without_translation_the_digest_is_as_before() {
    let policy = policy("");
    assert!(policy.nat.is_empty());
    let json = serde_json::to_string(&policy).expect("it serializes");
    assert!(!json.contains("nat"), "{json}");
}

#[test]
fn pools() {
    let pools = nat("[[nat-pool]]\nname = \"one\"\naddresses = \"192.0.2.1\"\n\
                     [[nat-pool]]\nname = \"two\"\ndomain = 7\npooling = \"arbitrary\"\n\
                     addresses = [\"192.0.2.0/31\", \"2001:db8::/124\", \"192.0.2.2-192.0.2.3\"]\n")
    .pools;
    let one = NatPool {
        name: "one".to_owned(),
        v4: vec![(v4("192.0.2.1"), v4("192.0.2.1"))],
        v6: vec![],
        pooling: Pooling::Paired,
        domain: 0,
    };
    let first = v6("2001:db8::").to_bits();
    let two = NatPool {
        name: "two".to_owned(),
        v4: vec![(v4("192.0.2.0"), v4("192.0.2.3"))],
        v6: vec![(first, first + 15)],
        pooling: Pooling::Arbitrary,
        domain: 7,
    };
    assert_eq!(pools, [one, two], "one domain's addresses are not another's");
}

#[test]
fn sources() {
    let source = |lines: &str| kind(&format!("type = \"source\"\n{lines}"));
    let plain = SourceNat {
        to: None,
        destination: None,
        services: None,
        translate: SourceTo::Interface,
        mapping: Mapping::default(),
    };
    assert_eq!(source("translate = \"interface\""), NatKind::Source(plain.clone()));
    let untouched = SourceNat { translate: SourceTo::Untouched, ..plain.clone() };
    assert_eq!(source("translate = \"none\"\nto = \"any\""), NatKind::Source(untouched));
    let mapping = Mapping {
        endpoint_independent: true,
        filtering: Filtering::AddressDependent,
        parity: true,
    };
    let all = source(
        "to = \"b\"\ndestination = \"both\"\nservice = [\"udp/53\", \"icmp\"]\n\
         translate = \"pool:v6\"\nmapping = \"endpoint-independent\"\nsource = \"six\"\n\
         filtering = \"address-dependent\"\nport-parity = true",
    );
    let udp = Service { destination_ports: Some((53, 53)), ..Service::of_protocol(17) };
    let wanted = SourceNat {
        to: Some(1),
        destination: Some(AddressMatch { sets: vec![2], negate: false }),
        services: Some(vec![udp, Service::of_protocol(1), Service::of_protocol(58)]),
        translate: SourceTo::Pool(1),
        mapping,
    };
    assert_eq!(all, NatKind::Source(wanted));
    let strict = source(
        "translate = \"pool:v4\"\nmapping = \"address-and-port-dependent\"\n\
         filtering = \"address-and-port-dependent\"\nport-parity = false",
    );
    let pool = SourceTo::Pool(0);
    assert_eq!(strict, NatKind::Source(SourceNat { translate: pool, ..plain }), "the defaults");
}

#[test]
fn destinations() {
    let of =
        |lines: &str| kind(&format!("type = \"destination\"\ndestination = \"four\"\n{lines}"));
    let address = v4("10.0.0.10");
    let plain = DestinationNat {
        destination: AddressMatch { sets: vec![0], negate: false },
        services: None,
        to: DestinationTo::V4(address, address),
        to_port: None,
    };
    assert_eq!(of("to-address = \"10.0.0.10\""), NatKind::Destination(plain.clone()));
    let prefix = DestinationNat { to: DestinationTo::V4(address, address + 1), ..plain.clone() };
    assert_eq!(of("to-address = \"10.0.0.10/31\""), NatKind::Destination(prefix));
    let ports = of("to-address = \"10.0.0.10-10.0.0.12\"\nto-port = 65525\n\
                    service = [{ protocol = \"tcp\", ports = \"80-89\", timeout = \"1h\" }, \
                    \"tcp/80-89\", \"tcp/7\", \"sctp/7\"]");
    let service = |protocol, ports| Service {
        destination_ports: Some(ports),
        ..Service::of_protocol(protocol)
    };
    let wanted = DestinationNat {
        services: Some(vec![service(6, (80, 89)), service(6, (7, 7)), service(132, (7, 7))]),
        to: DestinationTo::V4(address, address + 2),
        to_port: Some(65_525),
        ..plain
    };
    assert_eq!(ports, NatKind::Destination(wanted), "timeouts are of the rules that permit");
}

#[test]
fn what_goes_both_ways() {
    let statics = kind(
        "type = \"static\"\nfrom = \"b\"\noutside = \"203.0.113.64/28\"\ninside = \"10.1.0.64/28\"",
    );
    let wanted = StaticNat::V4 {
        outside: Ipv4Addr::new(203, 0, 113, 64),
        inside: Ipv4Addr::new(10, 1, 0, 64),
        length: 28,
        zone: Some(1),
    };
    assert_eq!(statics, NatKind::Static(wanted));
    let one = kind("type = \"static\"\noutside = \"2001:db8::7\"\ninside = \"fd00::7/128\"");
    let (outside, inside) = (v6("2001:db8::7"), v6("fd00::7"));
    let wanted = StaticNat::V6 { outside, inside, length: 128, zone: None };
    assert_eq!(one, NatKind::Static(wanted));
    let npt = kind(
        "type = \"nptv6\"\nfrom = \"b\"\noutside = \"2001:db8:1::/48\"\ninside = \"fd00:1::/48\"",
    );
    let (outside, inside) = (v6("2001:db8:1::"), v6("fd00:1::"));
    let wanted = PrefixNat { inside, outside, length: 48, zone: Some(1) };
    assert_eq!(npt, NatKind::Prefix(wanted));
}

#[test]
fn clients_of_nat64() {
    let NatKind::Nat64(nat) = kind(
        "type = \"nat64\"\nsource = \"both\"\nprefix = \"64:ff9b::/96\"\ntranslate = \"pool:v4\"\n\
         mapping = \"endpoint-independent\"",
    ) else {
        panic!("another kind")
    };
    assert_eq!((nat.prefix, nat.translate), (v6("64:ff9b::"), SourceTo::Pool(0)));
    assert_eq!(nat.mapping, Mapping { endpoint_independent: true, ..Mapping::default() });
}

#[test]
fn what_any_rule_has() {
    let nat = nat("[[nat]]\nid = \"r\"\ndescription = \"d\"\ntype = \"source\"\nfrom = \"b\"\n\
                   source = [\"!four\"]\ntranslate = \"interface\"\n");
    let rule = nat.rule("r").expect("it is there");
    assert_eq!((rule.from, rule.line), (Some(1), 8));
    assert_eq!(rule.description.as_deref(), Some("d"));
    assert_eq!(rule.source, Some(AddressMatch { sets: vec![0], negate: true }));
    assert_eq!((nat.rule("s"), nat.pool("v4")), (None, None));
}

#[test]
fn literals_of_rules_of_translation_come_last_among_sets() {
    let policy = policy(
        "[[nat]]\nid = \"r\"\ntype = \"source\"\nsource = \"10.0.0.1\"\n\
                         translate = \"interface\"\n[[rule]]\nid = \"q\"\naction = \"deny\"\n\
                         source = \"10.0.0.2\"\n[[screen]]\nzone = \"a\"\nexempt = \"10.0.0.3\"\n",
    );
    let of_nat = policy.nat.rules[0].source.as_ref().map(|it| it.sets.clone());
    assert_eq!((of_nat, policy.sets.len()), (Some(vec![5]), 6));
}

#[test]
fn every_mistake_of_a_pool_has_its_place() {
    let pool = |lines: &str| after("[[nat-pool]]\n", lines);
    let unusable = "such as those of 0.0.0.0/8, 127.0.0.0/8, multicast, link-local IPv6";
    let cases = [
        ("name = \"x\"", "0:1 the nat pool has no `addresses`"),
        ("addresses = \"192.0.2.1\"", "0:1 the nat pool has no `name`"),
        ("name = \"x\"\naddresses = []", "2:13 the pool is empty [name its public addresses]"),
        (
            "name = \"x\"\naddresses = \"four\"",
            "2:13 `four` is not an address [an address, a prefix such as 10.0.0.0/8, or a range such \
             as 10.0.0.1-10.0.0.9]",
        ),
        (
            "name = \"x\"\naddresses = [\"192.0.2.1/24\"]",
            "2:14 `192.0.2.1/24` has bits set beyond its prefix length [the prefix is 192.0.2.0/24]",
        ),
        (
            "name = \"x\"\naddresses = \"192.0.2.1\"\npooling = \"pair\"",
            "3:11 `pair` is no value of `pooling` [one of paired, arbitrary]",
        ),
        (
            "name = \"x\"\naddresses = \"192.0.2.1\"\ndomain = 65536",
            "3:10 `domain` must be from 0 to 65535",
        ),
        (
            "name = \"x\"\naddresses = \"192.0.2.1\"\nadress = 1",
            "3:1 unknown key `adress` in the nat pool [known keys: name, addresses, pooling, domain]",
        ),
    ];
    for (lines, problem) in cases {
        assert_eq!(pool(lines), [problem], "{lines}");
    }
    for range in
        ["127.0.0.1", "224.0.0.0/4", "0.0.0.0/0", "255.255.255.255", "fe80::1", "ff02::/16"]
    {
        let problem = format!("2:13 `{range}` has addresses that no host can have [{unusable}]");
        assert_eq!(pool(&format!("name = \"x\"\naddresses = \"{range}\"")), [problem]);
    }
    assert_eq!(
        after(POOLS, "[[nat-pool]]\nname = \"v4\"\naddresses = [\"192.0.2.7\", \"192.0.2.0/30\"]"),
        [
            "2:8 pool `v4` exists already, in line 8 [rules and counters refer to a pool by its name]",
            "3:13 some of these are in pool `v4`, in line 8 [an address is in one pool: its ports \
             are given out once]",
        ]
    );
}

/// Lines of a source rule that cannot be, by what they say of translating, and what is said of them.
fn mistakes_of_translating() -> Vec<(&'static str, String)> {
    let mapping = "it needs `mapping = \"endpoint-independent\"`";
    vec![
        ("", "-2:1 the nat rule has no `translate`".to_owned()),
        (
            "translate = \"pool:v5\"",
            "1:13 unknown pool `v5` [pools: v4, v6]".to_owned(),
        ),
        (
            "translate = \"v4\"",
            "1:13 `v4` is no value of `translate` [write `pool:v4`]".to_owned(),
        ),
        (
            "translate = \"masquerade\"",
            "1:13 `masquerade` is no value of `translate` [`interface`, `pool:NAME` or `none`]"
                .to_owned(),
        ),
        (
            "translate = \"interfaces\"",
            "1:13 `interfaces` is no value of `translate` [did you mean `interface`?]".to_owned(),
        ),
        (
            "translate = \"pool:v4\"\nfiltering = \"address-dependent\"",
            format!("2:13 `filtering` of mappings that are one peer's each [{mapping}]"),
        ),
        (
            "translate = \"interface\"\nmapping = \"endpoint-independent\"",
            format!("2:11 {INSIDE}"),
        ),
        (
            "translate = \"interface\"\nmapping = \"endpoint-independent\"\nsource = \"!four\"",
            format!("2:11 {INSIDE}"),
        ),
        (
            "translate = \"none\"\nmapping = \"endpoint-independent\"\nsource = \"four\"",
            "2:1 `mapping` in a rule that translates nothing [`translate = \"none\"` is an exception]"
                .to_owned(),
        ),
    ]
}

/// The same by what they match, and by keys that are none.
fn mistakes_of_matching() -> Vec<(&'static str, String)> {
    vec![
        (
            "translate = \"pool:v4\"\nsource = \"six\"",
            "1:13 pool `v4` has no IPv6 address [`source` is IPv6, pool `v4` IPv4: they never meet]"
                .to_owned(),
        ),
        (
            "translate = \"pool:v6\"\ndestination = \"four\"",
            "1:13 pool `v6` has no IPv4 address [`destination` is IPv4, pool `v6` IPv6: they never \
             meet]"
                .to_owned(),
        ),
        (
            "translate = \"pool:v6\"\nsource = \"four\"\ndestination = \"six\"",
            "3:15 `destination` has no IPv4 address [`source` is IPv4, `destination` IPv6: they \
             never meet]"
                .to_owned(),
        ),
        (
            "translate = \"interface\"\nservice = [\"tcp\", \"esp\"]",
            "2:11 `esp` has no ports to be translated by [a rule of type `static` translates it]"
                .to_owned(),
        ),
        (
            "translate = \"interface\"\nto-port = 7",
            "2:1 `to-port` in a rule of type `source` [it is a key of destination]".to_owned(),
        ),
        (
            "translate = \"interface\"\noutside = \"10.0.0.1\"",
            "2:1 `outside` in a rule of type `source` [it is a key of static, nptv6]".to_owned(),
        ),
        (
            "translate = \"interface\"\nsorce = \"four\"",
            "2:1 unknown key `sorce` in the nat rule [did you mean `source`?]".to_owned(),
        ),
        ("translate = \"interface\"\nto = \"c\"", "2:6 unknown zone `c` [zones: a, b]".to_owned()),
        (
            "translate = \"interface\"\nport-parity = 1",
            "2:15 expected true or false, found an integer".to_owned(),
        ),
    ]
}

#[test]
fn every_mistake_of_a_source_rule_has_its_place() {
    for (lines, problem) in mistakes_of_translating().into_iter().chain(mistakes_of_matching()) {
        assert_eq!(in_rule("source", lines), [problem], "{lines}");
    }
    assert_eq!(in_rule("source", "translate = \"none\"\nservice = \"esp\""), [""; 0], "untouched");
    let none = after("", "[[nat]]\nid = \"r\"\ntype = \"source\"\ntranslate = \"pool:x\"");
    assert_eq!(none, ["4:13 unknown pool `x` [there is no `[[nat-pool]]`]"]);
}

#[test]
fn every_mistake_of_a_destination_rule_has_its_place() {
    let cases = [
        (
            "destination = \"any\"\nto-address = \"10.0.0.1\"",
            "1:15 `any` is of both families [0.0.0.0/0 or ::/0, as `to-address` is IPv4 or IPv6]",
        ),
        ("destination = \"four\"", "-2:1 the nat rule has no `to-address`"),
        ("to-address = \"10.0.0.1\"", "-2:1 the nat rule has no `destination`"),
        (
            "destination = \"four\"\nto-address = \"fd00::1\"",
            "1:15 `destination` has no IPv6 address [`to-address` is IPv6, `destination` IPv4: they \
             never meet]",
        ),
        (
            "destination = \"both\"\nto-address = \"fd00::1\"",
            "warning: 1:15 the IPv4 addresses of `destination` are not translated [`to-address` is \
             IPv6: write a rule for each family]",
        ),
        (
            "destination = \"four\"\nto-address = \"10.0.0.1\"\nsource = \"six\"",
            "3:10 `source` has no IPv4 address [`to-address` is IPv4, `source` IPv6: they never meet]",
        ),
        (
            "destination = \"four\"\nto-address = \"10.0.0.1\"\nto-port = 80",
            "3:1 `to-port` without services that have ports [such as service = [\"tcp/443\"]]",
        ),
        (
            "destination = \"four\"\nto-address = \"10.0.0.1\"\nservice = \"tcp\"\nto-port = 80",
            "4:1 `to-port` with `tcp`, which names no ports [such as service = [\"tcp/443\"]]",
        ),
        (
            "destination = \"four\"\nto-address = \"10.0.0.1\"\nservice = \"icmp4/8\"\nto-port = 80",
            "4:1 `to-port` with `icmp4/echo-request`, which names no ports [such as service = \
             [\"tcp/443\"]]",
        ),
        (
            "destination = \"four\"\nto-address = \"10.0.0.1\"\n\
             service = [\"tcp/1-10\", \"tcp/20\", \"udp/20\"]\nto-port = 65526",
            "4:1 the last of the services would go to port 65536 [65535 is the last]",
        ),
        (
            "destination = \"four\"\nto-address = \"10.0.0.1\"\nservice = \"tcp/1\"\nto-port = 0",
            "4:11 `to-port` must be from 1 to 65535",
        ),
        (
            "destination = \"four\"\nto-address = \"10.0.0.1\"\ntranslate = \"none\"",
            "3:1 `translate` in a rule of type `destination` [it is a key of source, nat64]",
        ),
    ];
    for (lines, problem) in cases {
        assert_eq!(in_rule("destination", lines), [problem], "{lines}");
    }
    let all = "destination = [\"!six\"]\nto-address = \"10.0.0.1\"";
    assert_eq!(in_rule("destination", all), [""; 0], "what a negation takes is not written");
}

#[test]
fn every_mistake_of_what_goes_both_ways_has_its_place() {
    let one = "each address outside stands for one inside";
    let cases = [
        (
            "outside = \"192.0.2.7\"\ninside = \"fd00::1\"",
            format!("2:10 `inside` and `outside` differ in family [{one}]"),
        ),
        (
            "outside = \"203.0.113.0/28\"\ninside = \"10.0.0.0/27\"",
            format!("2:10 `outside` is a /28, `inside` a /27 [{one}]"),
        ),
        (
            "outside = \"10.0.0.0/28\"\ninside = \"10.0.0.0/28\"",
            "2:10 `inside` and `outside` are the same addresses [take the rule out: it would do \
             nothing]"
                .to_owned(),
        ),
        (
            "outside = \"203.0.113.1/28\"\ninside = \"10.0.0.0/28\"",
            "1:11 `203.0.113.1/28` has bits set beyond its prefix length [the prefix is \
             203.0.113.0/28]"
                .to_owned(),
        ),
        (
            "outside = \"203.0.113.0-203.0.113.1\"\ninside = \"10.0.0.0/31\"",
            "1:11 `203.0.113.0-203.0.113.1` is no prefix [an address or a prefix such as \
             192.0.2.64/28]"
                .to_owned(),
        ),
        (
            "outside = \"192.0.2.0/31\"\ninside = \"10.0.0.0/31\"",
            "1:11 some of these are in pool `v4`, in line 8 [a pool's addresses are shared by \
             ports, these are one host's each]"
                .to_owned(),
        ),
        (
            "outside = \"192.0.2.0/31\"\ninside = \"10.0.0.0/31\"\nsource = \"four\"",
            "3:1 `source` in a rule of type `static` [it is a key of source, destination, nat64]"
                .to_owned(),
        ),
        ("outside = \"203.0.113.1\"", "-2:1 the nat rule has no `inside`".to_owned()),
    ];
    for (lines, problem) in cases {
        let found = in_rule("static", lines);
        assert!(found.contains(&problem), "{lines}: {found:#?}");
    }
    let cases = [
        (
            "outside = \"203.0.113.0/28\"\ninside = \"10.0.0.0/28\"",
            "1:11 nptv6 is of IPv6 [a rule of type `static` translates IPv4]",
        ),
        (
            "outside = \"2001:db8:1::/65\"\ninside = \"fd00::/65\"",
            "1:11 a prefix of nptv6 has 16 to 64 bits [a rule of type `static` translates longer \
             ones, and keeps no checksum]",
        ),
    ];
    for (lines, problem) in cases {
        assert_eq!(in_rule("nptv6", lines), [problem], "{lines}");
    }
}

#[test]
fn an_address_outside_stands_for_one_inside() {
    let rule = |id: &str, kind: &str, from: &str, outside: &str, inside: &str| {
        let zone = if from.is_empty() { String::new() } else { format!("from = \"{from}\"\n") };
        format!(
            "[[nat]]\nid = \"{id}\"\ntype = \"{kind}\"\n{zone}outside = \"{outside}\"\n\
             inside = \"{inside}\"\n"
        )
    };
    let first = rule("one", "nptv6", "b", "2001:db8:1::/48", "fd00:1::/48");
    let of = |second: &str| after(&first, second);
    let taken = "rule `one`, in line 8, translates some of these";
    assert_eq!(
        of(&rule("two", "static", "b", "2001:db8:1::7", "fd00:2::7")),
        [format!("5:11 {taken} [an address outside stands for one inside]")]
    );
    assert_eq!(
        of(&rule("two", "static", "", "2001:db8:1::7", "fd00:2::7")),
        [format!("4:11 {taken} [an address outside stands for one inside]")]
    );
    assert_eq!(
        of(&rule("two", "nptv6", "b", "2001:db8:2::/48", "fd00:1::/48")),
        [format!("6:10 {taken} [an address inside has one outside, by each zone]")]
    );
    assert_eq!(of(&rule("two", "nptv6", "a", "2001:db8:1::/48", "fd00:1::/48")), [""; 0]);
    assert_eq!(of(&rule("two", "static", "b", "2001:db8:2::7", "fd00:1::7")), [""; 0]);
}

#[test]
fn every_mistake_of_nat64_has_its_place() {
    let hint = "64:ff9b::/96 is that of everybody; the IPv4 address takes the last 32 bits";
    let cases = [
        ("prefix = \"10.0.0.0/8\"", format!("1:10 `prefix` is one of IPv6 [{hint}]")),
        ("prefix = \"64:ff9b:1::/64\"", format!("1:10 `prefix` must be a /96 [{hint}]")),
        (
            "prefix = \"2001:db8:0:0:100::/96\"",
            "1:10 bits 64 to 71 of `prefix` must be zero [RFC 6052 §2.2]".to_owned(),
        ),
    ];
    for (prefix, problem) in cases {
        let lines = format!("{prefix}\ntranslate = \"interface\"");
        assert_eq!(in_rule("nat64", &lines), [problem], "{prefix}");
    }
    let cases = [
        ("", "-2:1 the nat rule has no `translate`"),
        (
            "translate = \"none\"",
            "2:13 a nat64 rule translates its sources [`interface` or `pool:NAME`: an IPv6 source \
             cannot go to IPv4 untouched]",
        ),
        (
            "translate = \"pool:v6\"",
            "2:13 pool `v6` has no IPv4 address [what a nat64 rule translates into is IPv4, pool \
             `v6` IPv6: they never meet]",
        ),
        (
            "translate = \"interface\"\nsource = \"four\"",
            "3:10 `source` has no IPv6 address [`prefix` is IPv6, `source` IPv4: they never meet]",
        ),
        (
            "translate = \"interface\"\nmapping = \"endpoint-independent\"",
            &format!("3:11 {INSIDE}"),
        ),
        (
            "translate = \"interface\"\nto = \"b\"",
            "3:1 `to` in a rule of type `nat64` [it is a key of source]",
        ),
    ];
    for (lines, problem) in cases {
        let lines = format!("prefix = \"64:ff9b::/96\"\n{lines}");
        assert_eq!(in_rule("nat64", &lines), [problem], "{lines}");
    }
}

#[test]
fn ids_and_types() {
    let rule = "[[nat]]\nid = \"r\"\ntype = \"source\"\ntranslate = \"interface\"\nto = \"a\"\n";
    assert_eq!(
        after(rule, &rule.replace("\"a\"", "\"b\"")),
        ["2:6 rule `r` exists already, in line 9 [ids are unique: counters and sessions refer to \
          them]"]
    );
    let of_rule = "[[rule]]\nid = \"r\"\naction = \"permit\"\n";
    assert_eq!(after(rule, of_rule), [""; 0], "rules of policy have ids of their own");
    assert_eq!(
        after("", "[[nat]]\nid = \"r\"\ntype = \"masquerade\"\n"),
        [
            "3:8 `masquerade` is no value of `type` [one of source, destination, static, nptv6, nat64]"
        ]
    );
    assert_eq!(
        after("", "[[nat]]\n"),
        ["1:1 the nat rule has no `id`", "1:1 the nat rule has no `type`"]
    );
    assert_eq!(
        after("", "[nat]"),
        ["1:1 expected a list of tables, found a table [write `[[nat]]`]"]
    );
}

#[test]
fn a_rule_that_an_earlier_one_shadows_is_a_warning() {
    let source =
        |id: &str, lines: &str| format!("[[nat]]\nid = \"{id}\"\ntype = \"source\"\n{lines}\n");
    let wide = source("wide", "translate = \"pool:v4\"\nsource = \"four\"");
    let wide = format!("{POOLS}{wide}");
    let of = |lines: &str| after(&wide, lines);
    let warning =
        ["warning: 1:1 rule `narrow` never matches [rule `wide` in line 14 takes all its \
                    packets; move or remove one of them]"];
    let narrow = source("narrow", "translate = \"interface\"\nsource = \"10.0.0.1\"\nto = \"b\"");
    assert_eq!(of(&narrow), warning);
    assert_eq!(of(&source("narrow", "translate = \"interface\"\nsource = \"both\"")), [""; 0]);
    let anything = after(
        &format!("{POOLS}{}", source("wide", "translate = \"pool:v4\"")),
        &source("narrow", "translate = \"pool:v6\""),
    );
    assert_eq!(anything, [""; 0], "a pool without IPv6 takes none of it");
    let exception = after(
        &format!("{POOLS}{}", source("wide", "translate = \"none\"")),
        &source("narrow", "translate = \"pool:v6\""),
    );
    assert_eq!(exception, warning, "an exception takes both families");
    let destination = |id: &str, lines: &str| {
        format!("[[nat]]\nid = \"{id}\"\ntype = \"destination\"\n{lines}\n")
    };
    let wide = format!(
        "{POOLS}{}",
        destination("wide", "destination = \"four\"\nto-address = \"10.9.9.9\"")
    );
    let narrow = "destination = \"10.0.0.0/9\"\nservice = \"tcp\"\nto-address = \"10.9.9.8\"";
    assert_eq!(after(&wide, &destination("narrow", narrow)), warning);
    let other = source("narrow", "destination = \"10.0.0.0/9\"\ntranslate = \"interface\"");
    assert_eq!(after(&wide, &other), [""; 0], "another side of the packet");
}

#[test]
fn a_host_that_has_all_ports_leaves_masquerading_none() {
    let rule = |lines: &str| format!("[[nat]]\nid = \"r\"\ntype = \"source\"\n{lines}\n");
    let host =
        |services: &str| format!("{POOLS}[[host-inbound]]\nzone = \"a\"\nservice = {services}\n");
    let hint = "`[[host-inbound]]` has all of 1024 to 62463 for the host: let in the ports alone \
                that it serves";
    let warning =
        |names: &str| vec![format!("warning: 1:1 rule `r` has no {names} port to give [{hint}]")];
    let masquerade = rule("translate = \"interface\"");
    let of = |services: &str| after(&host(services), &masquerade);
    assert_eq!(of(r#"["tcp"]"#), warning("tcp"));
    let both = of(r#"["udp/30001-62463", "udp/1000-30000", "tcp"]"#);
    assert_eq!(both, warning("tcp and udp"));
    let one_is_left = r#"["udp/1024-30000", "udp/30002-65535"]"#;
    for left in [one_is_left, r#"["udp/1024-62462"]"#, r#"["udp/1025-62463"]"#] {
        assert_eq!(of(left), [""; 0], "{left}");
    }
    assert_eq!(of("\"any\""), [""; 0], "the host has what is of no session");
    let other = rule("service = \"udp\"\ntranslate = \"interface\"");
    assert_eq!(after(&host(r#"["tcp"]"#), &other), [""; 0]);
    let pooled = rule("translate = \"pool:v4\"");
    assert_eq!(after(&host(r#"["tcp"]"#), &pooled), [""; 0], "no host has a pool");
    let nat64 = "[[nat]]\nid = \"r\"\ntype = \"nat64\"\nprefix = \"64:ff9b::/96\"\n\
                 translate = \"interface\"\n";
    assert_eq!(after(&host(r#"["udp"]"#), nat64), warning("udp"));
}

#[test]
fn limits_of_translation() {
    let most = limits::NAT_POOL_ADDRESSES_MAX;
    let pools = |last: &str| {
        let one = "[[nat-pool]]\nname = \"one\"\naddresses = \"10.0.0.0-10.0.3.254\"\n";
        after(one, &format!("[[nat-pool]]\nname = \"two\"\naddresses = \"{last}\"\n"))
    };
    assert_eq!(pools("2001:db8::1"), [""; 0]);
    let hint = "each address has 61,440 ports: one serves many clients";
    let beyond = |count: &str| {
        format!("1:1 the nat pools up to here have {count} addresses, the limit is {most} [{hint}]")
    };
    assert_eq!(pools("2001:db8::/127"), [beyond("1025")]);
    assert_eq!(pools("2000::/3"), [beyond("42535295865117307932921825928971027455")]);
    let rules = |count: usize| after("", &"[[nat]]\n".repeat(count));
    let most = limits::NAT_RULES_MAX;
    let message = format!("{}:1 {} nat rules, the limit is {most}", most + 1, most + 1);
    assert_eq!(rules(most + 1), [message]);
    let services: Vec<_> =
        (0..limits::RULE_SERVICES_MAX).map(|port| format!("tcp/{port}")).collect();
    let book = format!("[services]\nmany = {services:?}\n");
    let rule = |at: usize| {
        format!(
            "[[nat]]\nid = \"r{at}\"\ntype = \"source\"\nfrom = \"{}\"\nsource = \"10.0.0.{at}\"\n\
                 service = \"many\"\ntranslate = \"interface\"\n",
            if at.is_multiple_of(2) { "a" } else { "b" }
        )
    };
    let rules = |count: usize| after(&book, &(0..count).map(rule).collect::<String>());
    let most = limits::NAT_SERVICES_MAX / limits::RULE_SERVICES_MAX;
    assert_eq!(rules(most), [""; 0]);
    let services = limits::NAT_SERVICES_MAX + limits::RULE_SERVICES_MAX;
    let message = format!(
        "{}:1 the nat rules up to here hold {services} services (limit {}), the policy {} address \
         sets (limit {})",
        most * 7 + 1,
        limits::NAT_SERVICES_MAX,
        most + 4,
        limits::SETS_MAX
    );
    assert_eq!(rules(most + 1), [message]);
}
