//! What holds of the difference between any two policies, and of large ones.

use core::fmt::Write as _;
use core::net::Ipv4Addr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Change, diff, policy};
use crate::Policy;
use crate::limits::MEMBERS_TOLD;

const IDS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// A policy as text, its parts in the order given.
#[derive(Clone, Debug)]
struct Parts {
    zones: Vec<&'static str>,
    rules: Vec<(&'static str, &'static str)>,
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
    let ids = subsequence(IDS.to_vec(), 0..=7).prop_shuffle();
    let zones = subsequence(vec!["y", "z"], 0..=2);
    (ids, proptest::collection::vec(select(fields.to_vec()), 7), zones).prop_map(
        |(ids, fields, more)| {
            let zones = ["x"].into_iter().chain(more).collect();
            Parts { zones, rules: ids.into_iter().zip(fields).collect() }
        },
    )
}

fn ids(policy: &Policy) -> Vec<&str> {
    policy.rules.iter().map(|rule| rule.id.as_str()).collect()
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
        let mut order: Vec<String> = ids(&old).into_iter().map(str::to_owned).collect();
        let mut placed = Vec::new();
        for change in diff(&old, &new) {
            match change {
                Change::RuleRemoved { rule, place, .. } => {
                    prop_assert_eq!(&old.rules[place.position - 1].id, &rule);
                    order.retain(|id| *id != rule);
                }
                Change::RuleMoved { rule, from, place } => {
                    prop_assert_eq!(&old.rules[from - 1].id, &rule);
                    order.retain(|id| *id != rule);
                    placed.push((place.position, rule, place));
                }
                Change::RuleAdded { rule, place, .. } => placed.push((place.position, rule, place)),
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
                | Change::ScreenChanged { .. } => {}
            }
        }
        placed.sort_by_key(|(position, _, _)| *position);
        for (position, rule, place) in placed {
            order.insert(position - 1, rule);
            let at = |position: usize| new.rules.get(position).map(|rule| rule.id.clone());
            prop_assert_eq!(place.after, position.checked_sub(2).and_then(at));
            prop_assert_eq!(place.before, at(position));
        }
        prop_assert_eq!(order, ids(&new));
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
