//! Policies that are right: what they become.

use std::net::IpAddr;
use std::time::Duration;

use ringwall_config::{Action, OnChange, Policy, Replication, Service, WindowCheck, parse_policy};

const SAMPLE: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[addresses]
web = ["10.0.2.100/32", "2001:db8:2::100/128"]
blocked = { file = "blocked.txt" }

[services]
echo = ["tcp/7000-7999", "udp/7000-7999"]

[[rule]]
id = "web-in"
from = "trust"
to = "untrust"
destination = ["web"]
service = ["echo", "tcp/443", "icmp/echo-request"]
action = "permit"
log = ["open", "close"]
on-change = "rematch"
replication = "sync"

[[rule]]
id = "rest"
source = ["!blocked", "!192.0.2.1"]
action = "reject"
"#;

fn parse(text: &str) -> Policy {
    let mut load = |name: &str| match name {
        "blocked.txt" => {
            Ok("10.0.0.0/8 # private\n\n# comment\n192.168.0.1-192.168.0.9\n".to_owned())
        }
        other => Err(format!("no such file {other}")),
    };
    let checked = parse_policy("policy.toml", text, &mut load);
    let checked = checked.unwrap_or_else(|all| panic!("{all:#?}"));
    assert_eq!(checked.warnings, []);
    checked.value
}

#[test]
fn the_design_sample_parses() {
    let policy = parse(SAMPLE);
    assert_eq!(policy.zones[0].ports, ["lan"]);
    let rule = policy.rule("web-in").unwrap();
    assert_eq!((rule.from, rule.to, rule.line), (Some(0), Some(1), 13));
    assert_eq!(rule.action, Action::Permit);
    assert_eq!((rule.on_change, rule.replication), (OnChange::Rematch, Replication::Sync));
    assert!(rule.log_open && rule.log_close);
    let ports = |protocol, first, last| Service {
        destination_ports: Some((first, last)),
        ..Service::of_protocol(protocol)
    };
    let icmp =
        |protocol, kind| Service { icmp: Some((kind, None)), ..Service::of_protocol(protocol) };
    let services = [
        ports(6, 7000, 7999),
        ports(17, 7000, 7999),
        ports(6, 443, 443),
        icmp(1, 8),
        icmp(58, 128),
    ];
    assert_eq!(rule.services.as_deref(), Some(&services[..]));
}

#[test]
fn negation_is_over_all_entries() {
    let policy = parse(SAMPLE);
    let rule = policy.rule("rest").unwrap();
    assert_eq!((rule.from, rule.to), (None, None));
    assert!(rule.destination.is_none() && rule.services.is_none());
    let source = rule.source.as_ref().unwrap();
    let matches = |text: &str| source.matches(&policy.sets, text.parse::<IpAddr>().unwrap());
    assert!(!matches("10.1.2.3") && !matches("192.168.0.5") && !matches("192.0.2.1"));
    assert!(matches("192.0.2.2") && matches("2001:db8::1"));
}

/// The services of a rule whose `service` is `written`.
fn services(written: &str) -> Option<Vec<Service>> {
    let book = "a = [\"tcp/1\", \"b\"]\nb = [\"c\", \"udp/2\"]\nc = [\"tcp/1\", \"gre\"]\n";
    let rule = format!("[[rule]]\nid = \"r\"\naction = \"deny\"\nservice = {written}\n");
    parse(&format!("[zones]\n[services]\n{book}{rule}")).rules[0].services.clone()
}

#[test]
fn each_form_of_service() {
    let of = Service::of_protocol;
    let to = |protocol, ports| Service { destination_ports: Some(ports), ..of(protocol) };
    let icmp = |protocol, kind, code| Service { icmp: Some((kind, code)), ..of(protocol) };
    let cases = [
        ("\"tcp\"", vec![of(6)]),
        ("\"udp/53\"", vec![to(17, (53, 53))]),
        ("\"sctp/0-65535\"", vec![to(132, (0, 65_535))]),
        ("[\"gre\", \"esp\", \"ah\", \"proto/89\"]", vec![of(47), of(50), of(51), of(89)]),
        ("\"icmp\"", vec![of(1), of(58)]),
        ("\"icmp4\"", vec![of(1)]),
        ("\"icmp6\"", vec![of(58)]),
        ("\"icmp/echo-reply\"", vec![icmp(1, 0, None), icmp(58, 129, None)]),
        ("\"icmp/packet-too-big\"", vec![icmp(58, 2, None)]),
        ("\"icmp/8/0\"", vec![icmp(1, 8, Some(0))]),
        ("\"icmp4/destination-unreachable/4\"", vec![icmp(1, 3, Some(4))]),
        ("\"icmp6/128\"", vec![icmp(58, 128, None)]),
        ("\"a\"", vec![to(6, (1, 1)), of(47), to(17, (2, 2))]),
        ("[\"tcp/1\", \"tcp/1\"]", vec![to(6, (1, 1))]),
    ];
    for (written, wanted) in cases {
        let mut found = services(written).expect(written);
        let mut wanted = wanted;
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{written}");
    }
    assert_eq!(services("\"any\""), None);
    let table = "{ protocol = \"udp\", ports = 123, source-ports = \"1024-65535\" }";
    let ntp = Service { source_ports: Some((1024, 65_535)), ..to(17, (123, 123)) };
    assert_eq!(services(table), Some(vec![ntp]));
    assert_eq!(ntp.to_string(), "udp/123 from port 1024-65535");
    let table = "{ protocol = \"tcp\", ports = 22, timeout = \"5m\" }";
    let ssh = Service { timeout: Some(Duration::from_secs(300)), ..to(6, (22, 22)) };
    assert_eq!(services(table), Some(vec![ssh]));
    assert_eq!(ssh.to_string(), "tcp/22 for 300s");
}

#[test]
fn sets_are_flat_sorted_and_merged() {
    let policy = parse(
        "[zones]\n[addresses]\nall = [\"low\", \"10.0.0.128/25\", \"::2-::5\", \"low\"]\n\
         low = [\"10.0.0.0/25\", \"six\", \"192.0.2.7\"]\nsix = [\"::1\", \"::6/127\", \"::5\"]\n",
    );
    let all = &policy.sets[0];
    assert_eq!(all.name.as_deref(), Some("all"));
    assert_eq!(all.v4, [(0x0a00_0000, 0x0a00_00ff), (0xc000_0207, 0xc000_0207)]);
    assert_eq!(all.v6, [(1, 7)]);
    assert_eq!(all.texts().collect::<Vec<_>>(), ["10.0.0.0/24", "192.0.2.7", "::1-::7"]);
    let holds = |text: &str| all.contains(text.parse::<IpAddr>().unwrap());
    assert!(holds("10.0.0.255") && holds("::7") && holds("192.0.2.7"));
    assert!(!holds("10.0.1.0") && !holds("::8") && !holds("::") && !holds("::ffff:10.0.0.1"));
}

#[test]
fn a_rules_own_addresses_form_one_set() {
    let policy = parse(
        "[zones]\n[addresses]\nweb = \"::1\"\n[[rule]]\nid = \"r\"\naction = \"deny\"\n\
         source = [\"10.0.0.1\", \"web\", \"10.0.0.0\"]\ndestination = \"web\"\n",
    );
    let rule = &policy.rules[0];
    assert_eq!(rule.source.as_ref().unwrap().sets, [0, 1]);
    assert_eq!(rule.destination.as_ref().unwrap().sets, [0]);
    assert_eq!(
        (&policy.sets[1].name, &policy.sets[1].v4[..]),
        (&None, &[(0x0a00_0000, 0x0a00_0001)][..])
    );
    assert_eq!(policy.address_texts(rule.source.as_ref()), ["web", "10.0.0.0/31"]);
}

#[test]
fn host_inbound_is_by_zone() {
    let policy = parse(
        "[zones]\na = \"p\"\nb = \"q\"\n[services]\nssh = \"tcp/22\"\n\
         [[host-inbound]]\nzone = \"b\"\nservice = [\"ssh\"]\n\
         [[host-inbound]]\nzone = \"a\"\nservice = \"any\"\n",
    );
    let ssh = Service { destination_ports: Some((22, 22)), ..Service::of_protocol(6) };
    let entries: Vec<_> =
        policy.host_inbound.iter().map(|entry| (entry.zone, entry.services.clone())).collect();
    assert_eq!(entries, [(1, Some(vec![ssh])), (0, None)]);
}

#[test]
fn each_timeout_has_its_key_and_default() {
    let defaults = parse("[zones]\n").timeouts;
    let seconds = [120, 60, 432_000, 120, 60, 30, 120, 10, 300, 30, 120, 30, 600, 30];
    let entries = defaults.entries();
    assert_eq!(entries.map(|(_, timeout)| timeout.as_secs()), seconds);
    for (at, (key, _)) in entries.iter().enumerate() {
        let changed = parse(&format!("[zones]\n[timeouts]\n{key} = \"7s\"\n")).timeouts.entries();
        for (other, (_, timeout)) in changed.iter().enumerate() {
            let wanted = if other == at { 7 } else { seconds[other] };
            assert_eq!(timeout.as_secs(), wanted, "{key}");
        }
    }
}

#[test]
fn what_a_rule_leaves_out_has_its_default() {
    let policy = parse("[zones]\n[[rule]]\nid = \"r\"\naction = \"permit\"\n");
    let rule = &policy.rules[0];
    assert_eq!((rule.from, rule.to, &rule.source, &rule.destination), (None, None, &None, &None));
    assert_eq!((&rule.services, &rule.description), (&None, &None));
    assert_eq!((rule.log_open, rule.log_close), (false, false));
    assert_eq!((rule.on_change, rule.replication), (OnChange::Rematch, Replication::Sync));
    assert_eq!((rule.terms.sessions_max, rule.terms.pick_up), (None, false));
    assert_eq!(policy.integrity.tcp_window, WindowCheck::Check);
}

#[test]
fn a_zone_is_its_ports_or_a_table_of_them_and_its_limit() {
    let long = "{ ports = [\"p\"], sessions-max = 9 }";
    let policy = parse(&format!("[zones]\na = {long}\nb = [\"q\"]\n"));
    let zone = |at: usize| (policy.zones[at].ports.clone(), policy.zones[at].sessions_max);
    assert_eq!(zone(0), (vec!["p".to_owned()], Some(9)));
    assert_eq!(zone(1), (vec!["q".to_owned()], None));
    let tables = "[zones.a]\nports = \"p\"\nsessions-max = 9\n[zones.b]\nports = \"q\"\n";
    assert_eq!(parse(tables).zones, policy.zones);
}

#[test]
fn a_rule_may_bound_its_sessions_and_pick_connections_up() {
    let terms = "sessions-max = 1_000\npick-up = true\n";
    let policy = parse(&format!("[zones]\n[[rule]]\nid = \"r\"\naction = \"permit\"\n{terms}"));
    let rule = &policy.rules[0];
    assert_eq!((rule.terms.sessions_max, rule.terms.pick_up), (Some(1_000), true));
}

#[test]
fn a_rule_names_the_gateways_of_its_sessions() {
    let algs = |lines: &str| {
        let head = "[zones]\n[[rule]]\nid = \"r\"\naction = \"permit\"\n";
        parse(&format!("{head}{lines}\n")).rules[0].alg_names()
    };
    assert_eq!(algs(""), [""; 0]);
    assert_eq!(algs("alg = \"off\""), [""; 0]);
    assert_eq!(algs("alg = \"auto\""), ["ftp", "tftp", "sip", "h323", "rtsp", "pptp", "dns"]);
    assert_eq!(algs("service = \"udp\"\nalg = \"auto\""), ["tftp", "sip", "h323", "dns"]);
    assert_eq!(
        algs("alg = [\"tftp/any\", \"ftp/2100-2199\", \"ftp\"]"),
        ["ftp", "ftp/2100-2199", "tftp/any"]
    );
    assert_eq!(algs("alg = [\"ftp/21\", \"ftp\"]"), ["ftp"]);
}

#[test]
fn comments_and_lines_do_not_change_what_is_digested() {
    let json = |text: &str| serde_json::to_string(&parse(text)).unwrap();
    let moved = SAMPLE.replace("[[rule]]", "\n# a comment\n[[rule]]");
    assert_eq!(json(SAMPLE), json(&moved));
    assert_ne!(json(SAMPLE), json(&SAMPLE.replace("7999", "7998")));
}
