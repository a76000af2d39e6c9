//! Public ClassBench sets with their header traces, where `RINGWALL_CORPUS` points.
//!
//! A trace names, for each packet, a rule that the packet was made from. Rules there may also ask for
//! TCP flags, which ours cannot, and the traces do not heed: so an earlier rule that differs in them
//! may match too. Where none does, the rule named must be the one found.

use std::path::PathBuf;

use config::{AddressMatch, AddressSet, Service};
use wire::Protocol;

use super::super::Matcher;
use super::*;

#[test]
fn traces_of_classbench_name_the_rule_found() {
    let Some(corpus) = std::env::var_os("RINGWALL_CORPUS").map(PathBuf::from) else {
        eprintln!("skipped: RINGWALL_CORPUS is not set");
        return;
    };
    for (name, rules, named_first) in
        [("acl1", 878, 8_472), ("fw1", 761, 6_998), ("ipc1", 923, 9_224)]
    {
        let read = |suffix: &str| {
            let file = corpus.join(format!("rules/classbench__{name}_1k{suffix}"));
            std::fs::read_to_string(file).unwrap()
        };
        let mut model = model(&[]);
        read("").lines().for_each(|line| add_rule(&mut model, line));
        assert_eq!(model.rules.len(), rules, "{name}");
        let policy = Policy::compile(&model, 1, &PORTS).unwrap();
        let mut first = 0;
        for line in read("_trace").lines() {
            let (question, named) = packet(line);
            let found = policy.find(&question);
            assert_eq!(found, policy.linear().find(&question), "{name} {line}");
            assert_eq!(policy.mismatch(named, &question), None, "{name} {line}");
            assert!(found <= Some(named), "{name} {line}");
            first += usize::from(found == Some(named));
        }
        assert_eq!(first, named_first, "{name}: packets whose named rule is the first to match");
    }
}

fn add_rule(model: &mut config::Policy, line: &str) {
    let fields: Vec<&str> = line.trim_start_matches('@').split('\t').collect();
    let mut addresses = |prefix: &str| {
        let v4 = vec![range(prefix)];
        model.sets.push(AddressSet { name: None, v4, v6: Vec::new() });
        Some(AddressMatch { sets: vec![model.sets.len() - 1], negate: false })
    };
    let (source, destination) = (addresses(fields[0]), addresses(fields[1]));
    let ports = |text: &str| {
        let (first, last) = text.split_once(" : ").unwrap();
        Some((first.parse().unwrap(), last.parse().unwrap()))
    };
    let protocol = |text: &str| u8::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    let (number, mask) = fields[4].split_once('/').unwrap();
    let (source_ports, destination_ports) = (ports(fields[2]), ports(fields[3]));
    let service =
        |number| Service { source_ports, destination_ports, ..Service::of_protocol(number) };
    let services = match protocol(mask) {
        0 => (0..=u8::MAX).map(service).collect(),
        _ => vec![service(protocol(number))],
    };
    let id = format!("r{}", model.rules.len());
    let made = rule(&id, |rule| {
        (rule.source, rule.destination, rule.services) = (source, destination, Some(services));
    });
    model.rules.push(made);
}

fn range(prefix: &str) -> (u32, u32) {
    let (address, length) = prefix.split_once('/').unwrap();
    let low = u32::MAX.checked_shr(length.parse().unwrap()).unwrap_or(0);
    let bits = address.parse::<Ipv4Addr>().unwrap().to_bits();
    (bits & !low, bits | low)
}

fn packet(line: &str) -> (Question, RuleIndex) {
    let numbers: Vec<u32> = line.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let address = |bits: u32| Ipv4Addr::from_bits(bits).into();
    let asked = Question {
        source: address(numbers[0]),
        destination: address(numbers[1]),
        source_port: numbers[2] as u16,
        destination_port: numbers[3] as u16,
        protocol: Protocol(numbers[4] as u8),
        ..question(0)
    };
    (asked, RuleIndex(numbers[6]))
}
