//! Simulated days: what is normal stays quiet, what is not is told.

use core::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use sketch::{Aggregation, Book, Kind as Seen, Observation, Seed};

use super::super::Screens;
use super::*;

const SEED: Seed = Seed::new([71, 72]);
const DAY: u32 = 86_400;

/// A fixed sequence of numbers.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }

    /// About `mean`, as independent events are: the sum of many small chances.
    fn about(&mut self, mean: f64) -> u64 {
        let spread = mean.sqrt().max(1.0);
        let noise: f64 = (0..12).map(|_| self.below(1_000) as f64 / 1_000.0).sum::<f64>() - 6.0;
        (mean + noise * spread).round().max(0.0) as u64
    }
}

/// Traffic into one network, minute by minute.
struct Days {
    baselines: Baselines,
    screens: Screens,
    others: Vec<Learned>,
    book: Book,
    dice: Dice,
    minute: u32,
    told: Vec<(u32, Unusual)>,
}

/// One minute's traffic: sessions, from so many clients of which the n-th is as likely as 1/n.
#[derive(Clone, Copy)]
struct Minute {
    sessions: f64,
    clients: u64,
    ports: u64,
    packets: u32,
    /// Of a thousand.
    answered: u64,
}

const OFFICE: Minute =
    Minute { sessions: 100.0, clients: 200, ports: 3, packets: 40, answered: 970 };

impl Days {
    fn new() -> Self {
        let text = "[zones]\nin = \"a\"\nout = \"b\"\n[[screen]]\nzone = \"out\"\n";
        let policy = config::parse_policy("p", text, &mut |_| Err(String::new())).unwrap().value;
        let screens = Screens::new(&Arc::new(policy));
        Self {
            baselines: Baselines::new(),
            screens,
            others: Vec::new(),
            book: Book::new(SEED, &[Aggregation::default(); 2]),
            dice: Dice(5),
            minute: 0,
            told: Vec::new(),
        }
    }

    fn second_of_day(&self) -> u32 {
        self.minute * 60 % DAY
    }

    fn hour(&self) -> f64 {
        f64::from(self.second_of_day()) / 3_600.0
    }

    fn minute(&mut self, of: Minute) {
        let sessions = self.dice.about(of.sessions);
        for _ in 0..sessions {
            let client = self.dice.below(of.clients).min(self.dice.below(of.clients));
            let it = Observation {
                kind: Seen::Permitted,
                zone: 1,
                protocol: 6,
                source: IpAddr::V4(Ipv4Addr::from_bits(0xc000_0000 + client as u32 * 7)),
                destination: [10, 0, 0, 1].into(),
                source_port: 1,
                port: 443 + self.dice.below(of.ports) as u16,
                packets: 1,
                bytes: 60,
            };
            self.book.note(&it);
            if self.dice.below(1_000) < of.answered {
                self.book.note(&Observation { kind: Seen::Completed, packets: 0, bytes: 0, ..it });
            }
            let packets = of.packets / 2 + self.dice.below(u64::from(of.packets)) as u32;
            let bytes = u64::from(packets) * 700;
            self.book.note(&Observation { kind: Seen::Ended, packets, bytes, ..it });
        }
        self.end_minute();
    }

    fn end_minute(&mut self) {
        self.baselines.gather(Place::zone(1), &self.book.zones()[1]);
        for row in self.book.scopes.iter() {
            self.baselines.gather(row.key, &row.value);
        }
        self.book.clear();
        let others = || self.others.iter().collect();
        let second_of_day = self.minute * 60 % DAY;
        let told = self.baselines.sample(second_of_day, &self.screens, others);
        self.told.extend(told.into_iter().map(|it| (self.minute, it)));
        self.minute += 1;
    }

    fn days(&mut self, days: u32, mut of: impl FnMut(&Self) -> Minute) {
        for _ in 0..days * DAY / 60 {
            let minute = of(self);
            self.minute(minute);
        }
    }

    fn features(&self) -> Vec<Feature> {
        let mut all: Vec<_> = self.told.iter().map(|(_, it)| it.deviation.feature).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// An office's day: a tenth at night, all of it from ten to four.
fn curve(hour: f64) -> f64 {
    let day = (1.0 - ((hour - 13.0).abs() - 3.0).max(0.0) / 5.0).max(0.0);
    0.1 + 0.9 * day
}

fn office(days: &Days) -> Minute {
    Minute { sessions: OFFICE.sessions * curve(days.hour()), ..OFFICE }
}

#[test]
fn a_daily_curve_is_normal() {
    let mut days = Days::new();
    days.days(6, office);
    assert_eq!(days.told, []);
    let learning = days.baselines.learning(days.second_of_day(), &days.screens, &[]);
    let prefix = learning.iter().find(|it| !it.scope.is_zone()).unwrap();
    assert_eq!((prefix.scope.to_string().as_str(), prefix.hours), ("10.0.0.0/24", 24));
    assert_eq!(prefix.learned, 1.0);
    let sessions = prefix.features[Feature::Sessions as usize];
    let expected = sessions.expected.unwrap();
    assert!((7.0..14.0).contains(&expected), "ten a minute at midnight: {expected}");
}

#[test]
fn a_five_fold_ramp_is_told_with_what_was_expected() {
    let mut days = Days::new();
    days.days(4, office);
    assert_eq!(days.told, []);
    // Within three hours of the fifth day, from one to five times; below every threshold, which begin at
    // 200 a second.
    let start = days.minute;
    for minute in 0..14 * 60 {
        let ramp = 1.0 + 4.0 * ((f64::from(minute) - 600.0) / 180.0).clamp(0.0, 1.0);
        let usual = office(&days);
        days.minute(Minute { sessions: usual.sessions * ramp, ..usual });
    }
    let found = days.told.iter().find(|(_, it)| it.deviation.feature == Feature::Sessions);
    let (when, unusual) = found.expect("it is found");
    let deviation = &unusual.deviation;
    let ratio = deviation.seen / deviation.expected;
    assert!((2.5..5.5).contains(&ratio), "{deviation:?}");
    assert!(deviation.deviations >= 4.0 && deviation.sure > 0.999, "{deviation:?}");
    assert!((60.0..140.0).contains(&deviation.expected), "{deviation:?}");
    assert!(*when > start + 600, "not before it begins: {}", when - start);
    // It goes on to be told, and is not learned.
    let last = days.told.last().expect("it is told to the end");
    assert_eq!(last.0, days.minute - 1);
}

#[test]
fn a_drift_of_a_tenth_is_normal_whether_at_once_or_each_day() {
    let mut days = Days::new();
    days.days(4, office);
    days.days(1, |it| Minute { sessions: office(it).sessions * 1.1, ..OFFICE });
    assert_eq!(days.told, []);
    for day in 1..=5 {
        let grown = 1.1_f64.powi(day + 1);
        days.days(1, |it| Minute { sessions: office(it).sessions * grown, ..OFFICE });
    }
    assert_eq!(days.told, [], "the drift follows");
}

#[test]
fn a_busy_resolver_is_normal() {
    let mut days = Days::new();
    // Many short sessions, a spread of ports, bursts of twice as many now and then.
    let mut bursts = Dice(9);
    let mut resolver = |it: &Days| {
        let burst = if bursts.below(20) == 0 { 2.0 } else { 1.0 };
        let sessions = 150.0 * curve(it.hour()) * burst;
        Minute { sessions, clients: 2, ports: 20_000, packets: 2, answered: 1_000 }
    };
    days.days(5, &mut resolver);
    assert_eq!(days.told, []);
}

#[test]
fn a_browser_is_normal_also_when_it_stays_late() {
    let mut days = Days::new();
    let mut person = Dice(10);
    // Reads for some minutes, then loads a page of 30 to 150 connections; from nine to five, one day in five
    // until ten at night.
    let mut browser = |it: &Days| {
        let late = it.minute / 1_440 % 5 == 4;
        let at_work = (9.0..if late { 22.0 } else { 17.0 }).contains(&it.hour());
        let page = at_work && person.below(4) == 0;
        let sessions = if page { 30.0 + person.below(120) as f64 } else { 0.0 };
        Minute { sessions, clients: 1, ports: 2, packets: 60, answered: 990 }
    };
    days.days(9, &mut browser);
    assert_eq!(days.told, []);
}

#[test]
fn a_spoofed_trickle_shows_in_sources_and_unanswered_syns() {
    let mut days = Days::new();
    days.days(4, office);
    let noon = |it: &Days| (11.0..12.0).contains(&it.hour());
    days.days(1, |it| {
        let usual = office(it);
        if noon(it) { Minute { clients: 50_000, answered: 300, ..usual } } else { usual }
    });
    let features = days.features();
    assert!(features.contains(&Feature::Unanswered), "{features:?}");
    assert!(!features.contains(&Feature::Sessions), "{features:?}");
}

#[test]
fn nothing_is_told_before_it_is_learned() {
    let mut days = Days::new();
    days.days(2, office);
    for _ in 0..12 * 60 {
        let usual = office(&days);
        days.minute(Minute { sessions: usual.sessions * 5.0, ..usual });
    }
    assert_eq!(days.told, []);
}

#[test]
fn a_successor_knows_what_was_learned_before_it() {
    let mut days = Days::new();
    days.days(4, office);
    let mut told = Learned::default();
    let mut after = None;
    while let Some((scope, hour, slot)) = days.baselines.next_slot(after) {
        if after.is_some_and(|after| (scope, hour) <= after) {
            break;
        }
        // Told twice, it is known once.
        told.take(scope, hour, slot);
        told.take(scope, hour, slot);
        after = Some((scope, hour));
    }
    let mut heir = Days::new();
    heir.others.push(told);
    for _ in 0..13 * 60 {
        let usual = office(&heir);
        let ramp = if heir.hour() >= 11.0 { 5.0 } else { 1.0 };
        heir.minute(Minute { sessions: usual.sessions * ramp, ..usual });
    }
    let first = heir.told.first().expect("it is found by who never saw a normal day").0;
    assert!((11 * 60..11 * 60 + 10).contains(&first), "minute {first}");
    let learning = heir.baselines.learning(0, &heir.screens, &[&heir.others[0]]);
    assert!(learning.iter().all(|it| it.learned == 1.0 && it.hours == 24), "{learning:#?}");
}

#[test]
fn scopes_have_a_bound_and_the_busier_stay() {
    let mut baselines = Baselines::new();
    let mut book = Book::new(SEED, &[Aggregation::default(); 2]);
    let mut gather = |net: u32, packets: u32| {
        book.clear();
        book.note(&Observation {
            kind: Seen::Carried,
            zone: 1,
            protocol: 6,
            source: [192, 0, 2, 1].into(),
            destination: Ipv4Addr::from_bits(net << 8).into(),
            source_port: 1,
            port: 1,
            packets,
            bytes: 1,
        });
        let row = book.scopes.iter().next().unwrap();
        baselines.gather(row.key, &row.value);
        (baselines.scopes.len(), baselines.crowded)
    };
    (1..=SCOPES_MAX as u32).for_each(|net| _ = gather(net, 100));
    assert_eq!(gather(1_000, 100), (SCOPES_MAX, 1), "no busier than those that are there");
    assert_eq!(gather(1_001, 101), (SCOPES_MAX, 1));
}
