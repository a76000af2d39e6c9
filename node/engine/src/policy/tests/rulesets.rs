//! Rule sets made up from a seed, and packets near the edges of their rules. Used by the tests of
//! the policy, by `tests/policy.rs` and by `benches/matcher.rs`, each of which brings `Question` and
//! `ZoneId` into scope above this module.

use std::net::IpAddr;

use config::{
    Action, AddressMatch, AddressSet, OnChange, Policy, Replication, Rule, Service, Zone,
};

use super::{Protocol, Question, ZoneId};

/// The mixing function of `SplitMix64` (Steele, Lea and Flood 2014), which is all the chance here.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// One of `choices`, each as often as its weight says.
    fn weighted<'a, T>(&mut self, choices: &'a [(u32, T)]) -> &'a T {
        let total: u32 = choices.iter().map(|choice| choice.0).sum();
        let mut left = self.below(total as usize) as u32;
        for (weight, choice) in choices {
            if left < *weight {
                return choice;
            }
            left -= weight;
        }
        &choices[0].1
    }

    /// A number of `limit`, small ones more often.
    fn skewed(&mut self, limit: usize) -> usize {
        let limit = 1 + self.below(limit);
        self.below(limit)
    }
}

/// The shape of a ClassBench seed: how often which prefix lengths, ports and protocols occur, as
/// counted in the public sets of 1,000 rules (`acl1`, `fw1`, `ipc1`).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seed {
    Acl,
    Fw,
    Ipc,
}

type Lengths = [(u32, [u32; 4])]; // source from, to; destination from, to
type Ports = [(u32, [Port; 2])]; // source, destination

#[derive(Clone, Copy, Debug)]
enum Port {
    Any,
    Exact,
    High,
    Range,
}

impl Seed {
    pub(crate) const ALL: [Self; 3] = [Self::Acl, Self::Fw, Self::Ipc];

    const fn lengths(self) -> &'static Lengths {
        match self {
            Self::Acl => &[
                (505, [31, 32, 31, 32]),
                (75, [29, 32, 29, 32]),
                (155, [29, 32, 20, 24]),
                (80, [22, 25, 31, 32]),
                (20, [20, 25, 16, 24]),
                (8, [0, 0, 24, 32]),
            ],
            Self::Fw => &[
                (250, [0, 0, 30, 32]),
                (135, [1, 1, 30, 32]),
                (35, [2, 2, 31, 32]),
                (75, [30, 32, 0, 0]),
                (60, [31, 32, 1, 2]),
                (55, [30, 32, 30, 32]),
                (25, [20, 28, 0, 1]),
                (22, [0, 0, 0, 0]),
                (20, [0, 1, 0, 1]),
                (40, [16, 28, 24, 32]),
            ],
            Self::Ipc => &[
                (130, [31, 32, 31, 32]),
                (170, [23, 26, 31, 32]),
                (130, [31, 32, 23, 25]),
                (200, [22, 26, 22, 25]),
                (60, [0, 1, 31, 32]),
                (60, [22, 32, 0, 0]),
                (100, [16, 28, 16, 28]),
            ],
        }
    }

    const fn ports(self) -> &'static Ports {
        use Port::{Any, Exact, High, Range};
        match self {
            Self::Acl => &[(557, [Any, Exact]), (234, [Any, Any]), (87, [Any, Range])],
            Self::Fw => &[
                (396, [Any, Exact]),
                (160, [Any, Any]),
                (87, [Exact, Any]),
                (43, [High, High]),
                (28, [Exact, Exact]),
                (22, [Exact, High]),
                (22, [High, Exact]),
                (3, [High, Range]),
            ],
            Self::Ipc => &[
                (345, [Any, Any]),
                (321, [Any, Exact]),
                (161, [Exact, Any]),
                (47, [Any, High]),
                (22, [Any, Range]),
                (17, [Range, Any]),
                (6, [Exact, Exact]),
            ],
        }
    }

    const fn protocols(self) -> &'static [(u32, Option<u8>)] {
        match self {
            Self::Acl => &[(769, Some(6)), (65, None), (29, Some(1)), (15, Some(17))],
            Self::Fw => {
                &[(391, Some(6)), (288, Some(17)), (40, Some(47)), (33, Some(1)), (9, None)]
            }
            Self::Ipc => &[(349, Some(17)), (304, None), (253, Some(6)), (10, Some(1))],
        }
    }
}

/// A policy of `rules` rules of a seed's shape, from zone 0 to zone 1, narrow rules first.
pub(crate) fn classbench(seed: Seed, rules: usize, dice: &mut Dice) -> Policy {
    let sources = hosts(rules / 8 + 16, dice);
    let destinations = hosts(rules / 4 + 16, dice);
    let ports: Vec<u16> = (0..rules / 40 + 60).map(|_| dice.skewed(1 << 16) as u16).collect();
    let mut drafts: Vec<_> = (0..rules)
        .map(|_| {
            let [from, to, other_from, other_to] = *dice.weighted(seed.lengths());
            let source = prefix(*dice.of(&sources), from, to, dice);
            let destination = prefix(*dice.of(&destinations), other_from, other_to, dice);
            (source, destination, service(seed, &ports, dice))
        })
        .collect();
    drafts.sort_by_key(|draft| u64::from(draft.0.1 - draft.0.0) + u64::from(draft.1.1 - draft.1.0));
    let mut policy = two_zones();
    for (source, destination, service) in drafts {
        let mut rule = blank(policy.rules.len());
        (rule.from, rule.to) = (Some(0), Some(1));
        rule.source = literal(&mut policy, source);
        rule.destination = literal(&mut policy, destination);
        rule.services = service.map(|service| vec![service]);
        policy.rules.push(rule);
    }
    policy
}

/// Addresses in clusters: a few networks, fewer subnets in each than there is room for.
fn hosts(count: usize, dice: &mut Dice) -> Vec<u32> {
    let networks: Vec<u32> =
        (0..count / 30 + 4).map(|_| 0x0a00_0000 ^ (dice.roll() as u32 & 0xffff_0000)).collect();
    let host = |_| {
        let network = networks[dice.skewed(networks.len())];
        network | (dice.skewed(256) as u32) << 8 | dice.below(256) as u32
    };
    (0..count).map(host).collect()
}

fn prefix(host: u32, shortest: u32, longest: u32, dice: &mut Dice) -> (u32, u32) {
    let length = shortest + dice.below((longest - shortest + 1) as usize) as u32;
    let low = u32::MAX.checked_shr(length).unwrap_or(0);
    (host & !low, host | low)
}

fn service(seed: Seed, ports: &[u16], dice: &mut Dice) -> Option<Service> {
    let protocol = (*dice.weighted(seed.protocols()))?;
    if !matches!(protocol, 6 | 17) {
        return Some(Service::of_protocol(protocol));
    }
    let [source, destination] = *dice.weighted(seed.ports());
    let mut port = |of: Port| match of {
        Port::Any => None,
        Port::High => Some((1_024, u16::MAX)),
        Port::Exact => {
            let port = *dice.of(ports);
            Some((port, port))
        }
        Port::Range => {
            let first = *dice.of(ports);
            Some((first, first.saturating_add(dice.below(200) as u16)))
        }
    };
    let (source_ports, destination_ports) = (port(source), port(destination));
    Some(Service { source_ports, destination_ports, ..Service::of_protocol(protocol) })
}

fn literal(policy: &mut Policy, range: (u32, u32)) -> Option<AddressMatch> {
    if range == (0, u32::MAX) {
        return None;
    }
    policy.sets.push(AddressSet { name: None, v4: vec![range], v6: Vec::new() });
    Some(AddressMatch { sets: vec![policy.sets.len() - 1], negate: false })
}

/// How a made-up policy of an organisation looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) rules: usize,
    pub(crate) zones: usize,
    pub(crate) sets: usize,
    /// Ranges of a set at most.
    pub(crate) ranges: usize,
    /// Distinct addresses that ranges begin and end at: few make sets overlap.
    pub(crate) places: u32,
    /// Sets that one rule names at most.
    pub(crate) sets_of_rule: usize,
    /// Rules, of a hundred, whose addresses are any, or negated.
    pub(crate) any: usize,
    pub(crate) negated: usize,
    /// Services of a rule at most.
    pub(crate) services: usize,
}

/// Named sets of both families that several rules share, negation, zones, lists of services.
pub(crate) fn organisation(style: Style, dice: &mut Dice) -> Policy {
    let zone = |at| Zone { name: format!("z{at}"), ports: Vec::new(), sessions_max: None };
    let zones = (0..style.zones).map(zone);
    let mut policy = Policy { zones: zones.collect(), ..Policy::default() };
    policy.sets = (0..style.sets).map(|_| a_set(style, dice)).collect();
    for at in 0..style.rules {
        let mut rule = blank(at);
        let mut zone = || (!dice.chance(30)).then(|| dice.below(style.zones));
        (rule.from, rule.to) = (zone(), zone());
        (rule.source, rule.destination) = (addresses(style, dice), addresses(style, dice));
        rule.services = (!dice.chance(25)).then(|| {
            let count = dice.below(style.services + 1);
            (0..count).map(|_| a_service(dice)).collect()
        });
        policy.rules.push(rule);
    }
    policy
}

fn a_set(style: Style, dice: &mut Dice) -> AddressSet {
    let mut cuts = || {
        let count = 2 * dice.below(style.ranges + 1);
        let mut cuts: Vec<u32> =
            (0..count).map(|_| dice.below(style.places as usize) as u32).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.truncate(cuts.len() & !1);
        cuts
    };
    let (v4, v6) = (cuts(), cuts());
    let v4 = v4.chunks_exact(2).map(|cut| (spread_v4(cut[0]), spread_v4(cut[1]) - 1));
    let v6 = v6.chunks_exact(2).map(|cut| (spread_v6(cut[0]), spread_v6(cut[1]) - 1));
    AddressSet { name: None, v4: v4.collect(), v6: v6.collect() }
}

/// Places lie in the low, the middle and the high bits; greater ones are greater addresses.
fn spread_v4(place: u32) -> u32 {
    place << 20 | (place & 3) << 10 | (place >> 2) & 0xff
}

fn spread_v6(place: u32) -> u128 {
    let place = u128::from(place);
    (0x2001_0db8 << 96) + ((place >> 4) << 64 | (place & 12) << 30 | (place & 3) << 8 | 1)
}

fn addresses(style: Style, dice: &mut Dice) -> Option<AddressMatch> {
    if dice.chance(style.any) {
        return None;
    }
    let count = 1 + dice.below(style.sets_of_rule);
    let sets = (0..count).map(|_| dice.below(style.sets)).collect();
    Some(AddressMatch { sets, negate: dice.chance(style.negated) })
}

fn a_service(dice: &mut Dice) -> Service {
    let protocol = *dice.of(&[1, 6, 6, 6, 17, 17, 47, 58, 132]);
    let mut service = Service::of_protocol(protocol);
    if matches!(protocol, 1 | 58) {
        let mut small = || dice.below(4) as u8;
        let (kind, code) = (small(), small());
        service.icmp = dice.chance(70).then(|| (kind, dice.chance(50).then_some(code)));
        return service;
    }
    let mut ports = |percent| {
        let first = if dice.chance(20) { 65_530 } else { dice.below(30) as u16 };
        let last = first.saturating_add(dice.skewed(10) as u16);
        dice.chance(percent).then_some((first, last))
    };
    (service.source_ports, service.destination_ports) = (ports(20), ports(85));
    service
}

/// A packet near the edge of some rule of `policy`, so that each rule is hit, and missed closely.
pub(crate) fn question(policy: &Policy, dice: &mut Dice) -> Question {
    let fields = policy.rules[dice.below(policy.rules.len())].clone();
    let other = &policy.rules[dice.below(policy.rules.len())];
    let pick = |percent: usize, dice: &mut Dice| if dice.chance(percent) { other } else { &fields };
    let v4 = dice.chance(70);
    let source = near(policy, pick(4, dice).source.as_ref(), v4, dice);
    let destination = near(policy, pick(4, dice).destination.as_ref(), v4, dice);
    let mut question = Question {
        from_zone: ZoneId(fields.from.unwrap_or_else(|| dice.below(policy.zones.len())) as u16),
        to_zone: ZoneId(fields.to.unwrap_or_else(|| dice.below(policy.zones.len())) as u16),
        source,
        destination,
        protocol: Protocol(*dice.of(&[1, 6, 17, 50, 58])),
        source_port: dice.roll() as u16,
        destination_port: dice.roll() as u16,
        icmp: None,
    };
    if let Some(list) = pick(4, dice).services.as_ref().filter(|list| !list.is_empty()) {
        let service = dice.of(list);
        question.protocol = Protocol(service.protocol);
        question.source_port = port(service.source_ports, dice);
        question.destination_port = port(service.destination_ports, dice);
        question.icmp = service.icmp.map(|(kind, code)| (kind, code.unwrap_or(1)));
    }
    if question.protocol.0 == 1 || question.protocol.0 == 58 {
        (question.source_port, question.destination_port) = (0, 0);
        let any = (dice.below(5) as u8, dice.below(5) as u8);
        let known = question.icmp.filter(|_| !dice.chance(10));
        question.icmp = Some(known.unwrap_or(any)).filter(|_| !dice.chance(2));
    }
    question
}

fn port(range: Option<(u16, u16)>, dice: &mut Dice) -> u16 {
    let Some((first, last)) = range else { return dice.roll() as u16 };
    let within = first + dice.below(usize::from(last - first) + 1) as u16;
    let close = [first, first, last, within, within, first.wrapping_sub(1), last.wrapping_add(1)];
    let choices = if dice.chance(80) { 5 } else { close.len() };
    close[dice.below(choices)]
}

fn near(policy: &Policy, of: Option<&AddressMatch>, v4: bool, dice: &mut Dice) -> IpAddr {
    let listed = of.filter(|_| !dice.chance(3));
    let own = listed.map(|of| *dice.of(&of.sets));
    let negate = listed.is_some_and(|of| of.negate);
    let set = match own {
        Some(own) if !negate || dice.chance(20) => own,
        Some(_) | None => dice.below(policy.sets.len()),
    };
    let Some(set) = policy.sets.get(set) else { return IpAddr::from([10, 0, 0, 1]) };
    let inside = dice.chance(85);
    let at = dice.below(4);
    let bits = dice.roll();
    if !set.v4.is_empty() && (v4 || set.v6.is_empty()) {
        let (first, last) = *dice.of(&set.v4);
        let size = u64::from(last - first) + 1;
        let within = first + (bits % size) as u32;
        let ends = [first, last, within, within];
        let outside = [first.wrapping_sub(1), last.wrapping_add(1), bits as u32, within];
        return IpAddr::from((if inside { ends } else { outside })[at].to_be_bytes());
    }
    let Some(&(first, last)) = (!set.v6.is_empty()).then(|| dice.of(&set.v6)) else {
        return IpAddr::from((bits as u32).to_be_bytes());
    };
    let within = first + u128::from(bits) % (last - first).max(1);
    let ends = [first, last, within, within];
    let outside = [first.wrapping_sub(1), last.wrapping_add(1), u128::from(bits), within];
    IpAddr::from((if inside { ends } else { outside })[at].to_be_bytes())
}

fn two_zones() -> Policy {
    let zone = |name: &str, port: &str| Zone {
        name: name.into(),
        ports: vec![port.into()],
        sessions_max: None,
    };
    Policy { zones: vec![zone("inside", "lan"), zone("outside", "wan")], ..Policy::default() }
}

/// A rule that permits everything.
pub(super) fn blank(at: usize) -> Rule {
    Rule {
        id: format!("r{at}"),
        description: None,
        from: None,
        to: None,
        source: None,
        destination: None,
        services: None,
        action: Action::Permit,
        log_open: false,
        log_close: false,
        on_change: OnChange::Rematch,
        replication: Replication::Sync,
        terms: config::Terms::default(),
        algs: Vec::new(),
        line: at + 1,
    }
}
