//! Policies that are right: what they become.

use std::net::IpAddr;

use ringwall_config::{Action, OnChange, Policy, Replication, Service, parse_policy};

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
