//! A policy's text: parsed without a panic; what parses compiles, and its index and the scan over
//! its rules give one answer to every question that lies on an edge of some rule.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::{AddressMatch, Diagnostic, Service, Severity};
use engine::ZoneId;
use engine::policy::{Matcher, Policy, Question};
use wire::Protocol;

use super::Depth;

/// Edges of addresses, and of ports, that are put together to questions.
const EDGES_MAX: usize = 12;
/// Rules whose edges are asked about.
const RULES_MAX: usize = 24;
const PORTS: [&str; 3] = ["a", "b", "eth0"];

pub(super) fn run(bytes: &[u8]) -> Depth {
    let Ok(text) = std::str::from_utf8(bytes) else { return Depth::Refused };
    try_text("fuzz.toml", text)
}

/// A policy's text, from wherever.
pub(super) fn try_text(file: &str, text: &str) -> Depth {
    let inlined = config::inline_lists(file, text, &mut list);
    let parsed = match config::parse_policy(file, text, &mut list) {
        Ok(checked) => checked,
        Err(diagnostics) => {
            check(&diagnostics);
            return Depth::Refused;
        }
    };
    let inlined = inlined.unwrap_or_else(|errors| panic!("parses, but not inlined: {errors:?}"));
    let mut none = |name: &str| Err(format!("`{name}` was to be inlined"));
    let again = config::parse_policy(file, &inlined, &mut none);
    let again = again.unwrap_or_else(|errors| panic!("not parsed when inlined: {errors:?}"));
    assert_eq!(parsed.value, again.value, "inlining changes the meaning");
    assert!(config::diff(&parsed.value, &again.value).is_empty());
    let _ = config::diff(&config::Policy::default(), &parsed.value);
    let compiled = Policy::compile(&parsed.value, 1, &PORTS);
    let compiled =
        compiled.unwrap_or_else(|error| panic!("parses, but does not compile: {error:?}"));
    assert_eq!(compiled.rules().len(), parsed.value.rules.len());
    ask(&parsed.value, &compiled);
    if parsed.value.rules.is_empty() { Depth::Read } else { Depth::Used }
}

/// List files by name: most are there.
fn list(name: &str) -> Result<String, String> {
    match name.len() % 4 {
        0 => Err("no such file".to_owned()),
        1 => Ok("# nothing\n".to_owned()),
        _ => Ok("10.0.0.0/8\n192.0.2.1 # one\n2001:db8::/32\n10.1.0.0-10.2.0.0\n".to_owned()),
    }
}

/// A refusal names a place and a cause.
fn check(diagnostics: &[Diagnostic]) {
    assert!(
        diagnostics.iter().any(|it| it.severity == Severity::Error),
        "refused without an error"
    );
    for diagnostic in diagnostics {
        assert!(diagnostic.line > 0 && diagnostic.column > 0, "{diagnostic}");
        assert!(!diagnostic.message.is_empty() && !diagnostic.to_string().is_empty());
    }
}

fn ask(policy: &config::Policy, compiled: &Policy) {
    let zones: Vec<ZoneId> =
        (0..policy.zones.len().clamp(1, 3)).map(|it| ZoneId(it as u16)).collect();
    for rule in policy.rules.iter().take(RULES_MAX) {
        let sources = edges(policy, rule.source.as_ref());
        let destinations = edges(policy, rule.destination.as_ref());
        let services = services(rule.services.as_deref());
        for (number, &source) in sources.iter().enumerate() {
            for &destination in &destinations {
                let base = services[number % services.len()];
                for &(from_zone, to_zone) in &pairs(&zones, rule.from, rule.to) {
                    one(compiled, &Question { from_zone, to_zone, source, destination, ..base });
                }
            }
        }
        for question in services {
            one(compiled, &question);
        }
    }
}

/// The zones that the rule names, and others.
fn pairs(zones: &[ZoneId], from: Option<usize>, to: Option<usize>) -> Vec<(ZoneId, ZoneId)> {
    let named = |zone: Option<usize>| ZoneId(zone.unwrap_or(0) as u16);
    let mut pairs = vec![(named(from), named(to)), (named(to), named(from))];
    pairs.extend(zones.iter().map(|&zone| (zone, named(to))));
    pairs
}

fn one(policy: &Policy, question: &Question) {
    let (found, scanned) = (policy.find(question), policy.linear().find(question));
    assert_eq!(found, scanned, "index and scan: {question:?}");
    assert_eq!(policy.judge(question).rule(), found);
    if let Some(rule) = found {
        assert_eq!(policy.mismatch(rule, question), None);
    }
}

/// The first and last addresses of the ranges, and those just outside.
fn edges(policy: &config::Policy, addresses: Option<&AddressMatch>) -> Vec<IpAddr> {
    let mut edges: Vec<IpAddr> = vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let sets = addresses.map_or(&[][..], |it| &it.sets);
    for set in sets.iter().map(|&set| &policy.sets[set]) {
        let v4 = set.v4.iter().take(EDGES_MAX);
        edges.extend(v4.flat_map(|&(low, high)| {
            [low, high, low.wrapping_sub(1), high.wrapping_add(1)]
                .map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits)))
        }));
        let v6 = set.v6.iter().take(EDGES_MAX);
        edges.extend(v6.flat_map(|&(low, high)| {
            [low, high, low.wrapping_sub(1), high.wrapping_add(1)]
                .map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits)))
        }));
    }
    let step = edges.len().div_ceil(EDGES_MAX);
    edges.into_iter().step_by(step).collect()
}

/// Questions at the edges of services, about unspecified addresses.
fn services(services: Option<&[Service]>) -> Vec<Question> {
    let mut questions = vec![question(6, 1, 80, None), question(1, 0, 0, Some((8, 0)))];
    for service in services.unwrap_or_default().iter().take(EDGES_MAX) {
        let (low, high) = service.destination_ports.unwrap_or((0, u16::MAX));
        let (first, last) = service.source_ports.unwrap_or((0, u16::MAX));
        let icmp = service.icmp.map(|(kind, code)| (kind, code.unwrap_or(1)));
        questions.extend([
            question(service.protocol, first, low, icmp),
            question(service.protocol, last, high, icmp),
            question(service.protocol, first, high.wrapping_add(1), icmp.map(|(it, _)| (it, 9))),
            question(service.protocol, first.wrapping_sub(1), low.wrapping_sub(1), icmp),
        ]);
    }
    questions
}

fn question(protocol: u8, source: u16, destination: u16, icmp: Option<(u8, u8)>) -> Question {
    Question {
        from_zone: ZoneId(0),
        to_zone: ZoneId(0),
        source: Ipv4Addr::UNSPECIFIED.into(),
        destination: Ipv4Addr::UNSPECIFIED.into(),
        protocol: Protocol(protocol),
        source_port: source,
        destination_port: destination,
        icmp,
    }
}
