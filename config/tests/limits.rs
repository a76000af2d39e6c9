//! Each limit of a policy refuses what is beyond it, and takes what is not.

use std::fmt::Write as _;

use ringwall_config::limits::{
    DESCRIPTION_BYTES_MAX, NODE_BYTES_MAX, OWN_TIMEOUTS_MAX, POLICY_BYTES_MAX, RANGES_MAX,
    RULE_SERVICES_MAX, RULES_MAX, SERVICES_MAX, ZONES_MAX,
};
use ringwall_config::{parse_node, parse_policy};

/// The messages of all problems of `text`, with their lines.
fn problems(text: &str) -> Vec<String> {
    match parse_policy("p", text, &mut |_| Ok(ranges())) {
        Ok(_) => Vec::new(),
        Err(all) => all.iter().map(|one| format!("{} {}", one.line, one.message)).collect(),
    }
}

/// One address more than half of what all sets may hold: none of them merge.
fn ranges() -> String {
    let count = RANGES_MAX / 2 + 1;
    let mut list = String::with_capacity(count * 16);
    for at in 0..count {
        let address = std::net::Ipv4Addr::from_bits(u32::try_from(at * 2).expect("small"));
        writeln!(list, "{address}").expect("to a string");
    }
    list
}

#[test]
fn bytes_of_a_file() {
    let comment = |size| "#".repeat(size);
    let message = "1 the file has 67108865 bytes, the limit is 67108864";
    assert_eq!(problems(&comment(POLICY_BYTES_MAX + 1)), [message]);
    let all = parse_node("n", &comment(NODE_BYTES_MAX + 1)).expect_err("too long");
    assert_eq!(all[0].message, "the file has 1048577 bytes, the limit is 1048576");
}

#[test]
fn zones() {
    let zones = |count| {
        let lines = (0..count).map(|at| format!("z{at} = \"p{at}\"\n"));
        problems(&format!("[zones]\n{}", lines.collect::<String>()))
    };
    assert_eq!(zones(ZONES_MAX), [""; 0]);
    assert_eq!(zones(ZONES_MAX + 1), ["1 256 zones, the limit is 255"]);
}

#[test]
fn rules() {
    let text = format!("[zones]\n{}", "[[rule]]\n".repeat(RULES_MAX + 1));
    assert_eq!(problems(&text), ["200002 200001 rules, the limit is 200000"]);
}

#[test]
fn services_of_a_rule() {
    let rule = |count| {
        let services: Vec<_> = (0..count).map(|port| format!("tcp/{port}")).collect();
        problems(&format!(
            "[zones]\n[[rule]]\nid = \"r\"\naction = \"deny\"\nservice = {services:?}"
        ))
    };
    assert_eq!(rule(RULE_SERVICES_MAX), [""; 0]);
    assert_eq!(rule(RULE_SERVICES_MAX + 1), ["5 4097 services, the limit of a rule is 4096"]);
}

#[test]
fn services_of_all_rules() {
    let services: Vec<_> = (0..RULE_SERVICES_MAX).map(|port| format!("tcp/{port}")).collect();
    let mut text = format!("[zones]\n[services]\nmany = {services:?}\n");
    for at in 0..=SERVICES_MAX / RULE_SERVICES_MAX {
        let line = format!("[[rule]]\nid = \"r{at}\"\naction = \"deny\"\nservice = \"many\"\n");
        text += &line;
    }
    let message = "1028 the rules up to here hold 1052672 services (limit 1048576) and 0 address \
                   sets (limit 400000)";
    assert_eq!(problems(&text), [message]);
}

#[test]
fn different_timeouts() {
    let rules = |count: usize| {
        let rule = |at: usize| {
            let timeout = at / 2 + 1; // two rules share each
            format!(
                "[[rule]]\nid = \"r{at}\"\naction = \"permit\"\ntimeout = \"{timeout}s\"\nto = \"a\"\n"
            )
        };
        let rules: String = (0..2 * count).map(rule).collect();
        problems(&format!("[zones]\na = \"p\"\n{rules}"))
    };
    assert_eq!(rules(OWN_TIMEOUTS_MAX), [""; 0]);
    let message = "2553 the rules up to here have more than 255 different timeouts";
    assert_eq!(rules(OWN_TIMEOUTS_MAX + 1), [message]);
}

#[test]
fn addresses_of_all_sets() {
    let text = "[zones]\n[addresses]\na = { file = \"l\" }\n";
    assert_eq!(problems(text), [""; 0]);
    for second in ["\"a\"", "{ file = \"l\" }"] {
        let text = format!("{text}b = {second}\n");
        assert_eq!(problems(&text), ["4 more than 4194304 entries in all address groups"]);
    }
}

#[test]
fn bytes_of_a_description() {
    let rule = |size| {
        let text = "x".repeat(size);
        problems(&format!(
            "[zones]\n[[rule]]\nid = \"r\"\naction = \"deny\"\ndescription = \"{text}\""
        ))
    };
    assert_eq!(rule(DESCRIPTION_BYTES_MAX), [""; 0]);
    assert_eq!(rule(DESCRIPTION_BYTES_MAX + 1), ["5 the description is longer than 1024 bytes"]);
}
