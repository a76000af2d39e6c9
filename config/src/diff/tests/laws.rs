//! What holds of the difference between any two policies, and of large ones.

use core::fmt::Write as _;
use core::net::Ipv4Addr;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Change, Place, diff, policy};
use crate::Policy;
use crate::limits::MEMBERS_TOLD;

const IDS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// A policy as text, its parts in the order given.
#[derive(Clone, Debug)]
struct Parts {
    zones: Vec<&'static str>,
    rules: Vec<(&'static str, &'static str)>,
    nat: Vec<(&'static str, &'static str)>,
}

impl Parts {
    fn policy(&self) -> Policy {
        let mut text = "[zones]\n".to_owned();
        self.zones.iter().for_each(|zone| text += &format!("{zone} = [\"p-{zone}\"]\n"));
        text.push_str("[addresses]\n");
        self.zones.iter().for_each(|zone| text += &format!("of-{zone} = [\"10.0.0.0/9\"]\n"));
        for (id, field) in &self.rules {
            let _ = write!(text, "[[rule]]\nid = \"{id}\"\naction = \"permit\"\n{field}\n");
        }
        text.push_str("[[nat-pool]]\nname = \"p\"\naddresses = \"192.0.2.1\"\n");
        for (id, field) in &self.nat {
            let _ = write!(text, "[[nat]]\nid = \"{id}\"\n{field}\n");
        }
        policy(&text)
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let fields = [
        "",
        "source = \"10.0.0.0/8\"",
        "source = [\"10.0.0.0/8\", \"192.0.2.1\"]",
        "source = [\"!of-x\"]",
        "service = [\"tcp/1\", \"udp/2\"]",
        "from = \"x\"\nlog = \"open\"",
    ];
    let of_nat = [
        "type = \"source\"\ntranslate = \"pool:p\"",
        "type = \"source\"\ntranslate = \"none\"\nsource = [\"10.0.0.0/8\", \"of-x\"]",
        "type = \"destination\"\ndestination = \"of-x\"\nto-address = \"10.0.0.1\"",
        "type = \"nat64\"\nprefix = \"64:ff9b::/96\"\ntranslate = \"interface\"",
    ];
    let ids = || subsequence(IDS.to_vec(), 0..=7).prop_shuffle();
    let zones = subsequence(vec!["y", "z"], 0..=2);
    let rules = (ids(), vec(select(fields.to_vec()), 7));
    let nat = (ids(), vec(select(of_nat.to_vec()), 7));
    (rules, nat, zones).prop_map(|((ids, fields), (nat, of_nat), more)| Parts {
        zones: ["x"].into_iter().chain(more).collect(),
        rules: ids.into_iter().zip(fields).collect(),
        nat: nat.into_iter().zip(of_nat).collect(),
    })
}

fn rules(policy: &Policy) -> Vec<&str> {
    policy.rules.iter().map(|rule| rule.id.as_str()).collect()
}

fn nat(policy: &Policy) -> Vec<&str> {
    policy.nat.rules.iter().map(|rule| rule.id.as_str()).collect()
}

/// Carries out the changes of places on the ids of `old`, and compares with those of `new`.
fn follow(old: &[&str], new: &[&str], steps: &[Step]) -> Result<(), TestCaseError> {
    let mut order: Vec<String> = old.iter().map(|id| (*id).to_owned()).collect();
    let mut placed = Vec::new();
    for step in steps {
        match step {
            Step::Removed(rule, place) => {
                prop_assert_eq!(old[place.position - 1], rule);
                order.retain(|id| id != rule);
            }
            Step::Moved(rule, from, place) => {
                prop_assert_eq!(old[from - 1], rule);
                order.retain(|id| id != rule);
                placed.push((place.position, rule, place));
            }
            Step::Added(rule, place) => placed.push((place.position, rule, place)),
        }
    }
    placed.sort_by_key(|(position, _, _)| *position);
    for (position, rule, place) in placed {
        order.insert(position - 1, rule.clone());
        let at = |position: usize| new.get(position).copied();
        prop_assert_eq!(place.after.as_deref(), position.checked_sub(2).and_then(at));
        prop_assert_eq!(place.before.as_deref(), at(position));
    }
    prop_assert_eq!(order, new);
    Ok(())
}

enum Step {
    Removed(String, Place),
    Moved(String, usize, Place),
    Added(String, Place),
}

/// Changes of places, of rules and of rules of translation.
fn steps(changes: Vec<Change>) -> [Vec<Step>; 2] {
    let [mut rules, mut nat] = [Vec::new(), Vec::new()];
    for change in changes {
        match change {
            Change::RuleRemoved { rule, place, .. } => rules.push(Step::Removed(rule, place)),
            Change::RuleMoved { rule, from, place } => rules.push(Step::Moved(rule, from, place)),
            Change::RuleAdded { rule, place, .. } => rules.push(Step::Added(rule, place)),
            Change::NatRuleRemoved { rule, place, .. } => nat.push(Step::Removed(rule, place)),
            Change::NatRuleMoved { rule, from, place } => nat.push(Step::Moved(rule, from, place)),
            Change::NatRuleAdded { rule, place, .. } => nat.push(Step::Added(rule, place)),
            Change::ZoneAdded { .. }
            | Change::ZoneRemoved { .. }
            | Change::ZoneChanged { .. }
            | Change::ZoneSessionsChanged { .. }
            | Change::AddressSetAdded { .. }
            | Change::AddressSetRemoved { .. }
            | Change::AddressSetChanged { .. }
            | Change::RuleChanged { .. }
            | Change::HostInboundChanged { .. }
            | Change::TimeoutChanged { .. }
            | Change::IntegrityChanged { .. }
            | Change::ScreenAdded { .. }
            | Change::ScreenRemoved { .. }
            | Change::ScreenChanged { .. }
            | Change::NatPoolAdded { .. }
            | Change::NatPoolRemoved { .. }
            | Change::NatPoolChanged { .. }
            | Change::NatRuleChanged { .. } => {}
        }
    }
    [rules, nat]
}

proptest! {
    #[test]
    fn a_policy_does_not_differ_from_itself(parts in parts()) {
        prop_assert_eq!(diff(&parts.policy(), &parts.policy()), []);
    }

    #[test]
    fn only_equal_policies_do_not_differ(one in parts(), other in parts()) {
        let equal = one.policy() == other.policy();
        prop_assert_eq!(diff(&one.policy(), &other.policy()).is_empty(), equal);
    }

    #[test]
    fn the_order_of_zones_and_sets_does_not_matter(one in parts(), other in parts()) {
        let mut turned = other.clone();
        turned.zones.reverse();
        prop_assert_eq!(diff(&other.policy(), &turned.policy()), []);
        let texts = |to: &Parts| {
            let changes = diff(&one.policy(), &to.policy());
            let mut texts: Vec<_> = changes.iter().map(ToString::to_string).collect();
            texts.sort();
            texts
        };
        prop_assert_eq!(texts(&other), texts(&turned));
    }

    /// The changes of places lead from the old order to the new one, whoever carries them out.
    #[test]
    fn the_new_order_follows_from_the_changes(one in parts(), other in parts()) {
        let (old, new) = (one.policy(), other.policy());
        let [of_rules, of_nat] = steps(diff(&old, &new));
        follow(&rules(&old), &rules(&new), &of_rules)?;
        follow(&nat(&old), &nat(&new), &of_nat)?;
    }
}

/// 10,000 rules that all changed, and 100,000 prefixes that came and went: a second or so, and few words
/// for the prefixes.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test measures how long it takes")]
fn large_policies_differ_quickly_and_shortly() {
    let text = |action: &str, last: u32| {
        let mut text = "[zones]\n[addresses]\nlist = [".to_owned();
        for number in 0..100_000 {
            let address = Ipv4Addr::from_bits(0x0a00_0000 + 2 * number + last);
            let _ = write!(text, "\"{address}\",");
        }
        text.push_str("]\n");
        for number in 0..10_000 {
            let rule = format!("[[rule]]\nid = \"r{number}\"\naction = \"{action}\"\n");
            let _ = writeln!(
                text,
                "{rule}source = [\"10.1.{}.{}\", \"list\"]",
                number / 250,
                number % 250
            );
        }
        policy(&text)
    };
    let (old, new) = (text("permit", 0), text("deny", 1));
    let start = Instant::now();
    let changes = diff(&old, &new);
    let took = start.elapsed();
    let Change::AddressSetChanged { added, removed, .. } = &changes[0] else {
        panic!("{:?}", changes[0])
    };
    assert_eq!((added.count, removed.count), (100_000, 100_000));
    assert_eq!((added.first.len(), removed.first.len()), (MEMBERS_TOLD, MEMBERS_TOLD));
    assert!(changes[0].to_string().len() < 1_000, "{}", changes[0]);
    assert_eq!(changes.len(), 10_001);
    assert!(took < Duration::from_secs(10), "{took:?}");
    println!("{took:?} for {} changes", changes.len());
}
