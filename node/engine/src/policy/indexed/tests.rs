//! The index against the scan: for any rules, also where bounds are so tight that labels are filed
//! under `any` or told by no class, both name the same rule.
//!
//! `RINGWALL_MATCHER_PAIRS` says how many pairs of rule set and packet, 400,000 if unset.

#![allow(clippy::unwrap_used)]

use super::super::Policy;
use super::super::tests::rulesets::{Dice, Seed, Style, classbench, organisation, question};
use super::entry::Certainty;
use super::*;

const SMALL: Style = Style {
    rules: 40,
    zones: 3,
    sets: 12,
    ranges: 4,
    places: 60,
    sets_of_rule: 3,
    any: 30,
    negated: 20,
    services: 4,
};
const TIGHT: Bounds = Bounds { class_labels: 60, sweep_steps: 4_000, chain: 2, row_bytes: 2_000 };
/// Packets asked of one rule set.
const QUESTIONS: usize = 2_000;

fn pairs() -> usize {
    let said = std::env::var("RINGWALL_MATCHER_PAIRS").ok();
    said.map_or(400_000, |said| said.parse().unwrap())
}

fn indexed(policy: &config::Policy, bounds: Bounds) -> Indexed {
    build::build(Policy::compile(policy, 1, &[]).unwrap().matcher.linear, bounds)
}

/// Asks both matchers; which rules were hit.
fn same_answers(
    policy: &config::Policy,
    bounds: Bounds,
    count: usize,
    dice: &mut Dice,
) -> Vec<bool> {
    let indexed = indexed(policy, bounds);
    let mut hit = vec![false; policy.rules.len()];
    for _ in 0..count {
        let question = question(policy, dice);
        let want = indexed.linear().find(&question);
        assert_eq!(indexed.find(&question), want, "{question:?} {bounds:?}");
        want.into_iter().for_each(|rule| hit[rule.index()] = true);
    }
    hit
}

/// Bounds that hold for no rule set here, for all, and some between.
fn bounds(dice: &mut Dice) -> Bounds {
    let free = Bounds::default();
    Bounds {
        class_labels: *dice.of(&[free.class_labels, free.class_labels, 300, TIGHT.class_labels, 1]),
        sweep_steps: *dice.of(&[free.sweep_steps, free.sweep_steps, TIGHT.sweep_steps, 1]),
        chain: *dice.of(&[free.chain, 8, TIGHT.chain, 0]),
        row_bytes: *dice.of(&[free.row_bytes, free.row_bytes, TIGHT.row_bytes, 0]),
    }
}

#[test]
fn the_index_and_the_scan_name_the_same_rule_in_organisations() {
    for seed in 0..(pairs() / QUESTIONS) as u64 {
        let dice = &mut Dice(seed);
        let style = Style {
            rules: *dice.of(&[1, 3, 20, 60, 150]),
            zones: 1 + dice.below(4),
            sets: 1 + dice.below(60),
            ranges: *dice.of(&[1, 3, 20]),
            places: *dice.of(&[20, 200, 2_000]),
            any: *dice.of(&[0, 20, 60, 100]),
            negated: *dice.of(&[0, 10, 60]),
            services: *dice.of(&[0, 1, 3, 30]),
            ..SMALL
        };
        let policy = organisation(style, dice);
        let bounds = bounds(dice);
        same_answers(&policy, bounds, QUESTIONS, dice);
    }
}

#[test]
fn the_index_and_the_scan_name_the_same_rule_in_classbench_shapes() {
    let (mut rules, mut hit) = (0, 0);
    for seed in 0..(pairs() / QUESTIONS) as u64 {
        let dice = &mut Dice(seed);
        let shape = *dice.of(&Seed::ALL);
        let policy = classbench(shape, *dice.of(&[10, 100, 400]), dice);
        let bounds = if dice.chance(60) { Bounds::default() } else { bounds(dice) };
        let hits = same_answers(&policy, bounds, QUESTIONS, dice);
        rules += hits.len();
        hit += hits.iter().filter(|hit| **hit).count();
    }
    assert!(hit * 10 > rules * 7, "packets near the rules hit {hit} of {rules}");
}

#[test]
fn bounds_widen_labels_and_are_kept() {
    let dice = &mut Dice(7);
    let policy = organisation(Style { rules: 300, sets: 60, ranges: 8, ..SMALL }, dice);
    let count = |indexed: &Indexed, of| {
        indexed.leaves.entries.iter().filter(|entry| entry.certainty == of).count()
    };
    let free = indexed(&policy, Bounds { chain: 1_000, ..Bounds::default() });
    assert_eq!(count(&free, Certainty::Whole), free.leaves.entries.len());
    assert!(!free.leaves.has_rows());
    let rows = indexed(&policy, Bounds { chain: 4, ..Bounds::default() });
    assert!(rows.leaves.has_rows());
    let bare = indexed(&policy, Bounds { chain: 4, row_bytes: 0, ..Bounds::default() });
    assert!(!bare.leaves.has_rows());
    assert!(count(&bare, Certainty::Widened) > count(&rows, Certainty::Widened));
    let opaque = indexed(&policy, TIGHT);
    assert!(count(&opaque, Certainty::Opaque) > 0);
    assert!(opaque.sources.bytes() < free.sources.bytes());
}

/// Rules that each overlap half of all others: classes would hold 200 million labels.
#[test]
fn overlapping_rules_compile_within_bounds() {
    let ranges = (0..20_000_u32).map(|at| (at << 16, (at + 10_000) << 16));
    let mut policy = classbench(Seed::Acl, 20_000, &mut Dice(1));
    for (at, range) in ranges.enumerate() {
        policy.sets.push(config::AddressSet { v4: vec![range], ..Default::default() });
        let sets = vec![policy.sets.len() - 1];
        policy.rules[at].source = Some(config::AddressMatch { sets, negate: false });
    }
    let compiled = Policy::compile(&policy, 1, &[]).unwrap();
    assert!(compiled.index_bytes() < 400 << 20, "{} bytes", compiled.index_bytes());
    let dice = &mut Dice(2);
    for _ in 0..300 {
        let question = question(&policy, dice);
        assert_eq!(compiled.find(&question), compiled.linear().find(&question));
    }
}
