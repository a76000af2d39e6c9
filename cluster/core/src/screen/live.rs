//! The attacks that go on: beginning, once a second, end; and when many are one.
//!
//! ```text
//!          at its threshold             quiet for a while
//!  (none) ─────────────────► live ────────────────────────► ended
//!                             │ ▲  each second with news: GoingOn
//!                             └─┘  stays live from half of its threshold on
//!
//!  sources that scan one destination: the eighth folds all of them into one attack on the destination
//! ```

use std::collections::BTreeMap;

use sketch::Place;
use wire::Time;

use super::act::Acts;
use super::attack::{Attack, Kind, Output, Subject, Totals};
use super::judge::{Finding, Target};
use crate::limits::{
    ATTACKS_MAX, DECOYS_MIN, FLOOD_QUIET, FORGED_MIN, ODD_ATTACKS_MAX, SCAN_QUIET,
};

/// All that go on.
#[derive(Default)]
pub(super) struct Live {
    attacks: BTreeMap<(Kind, Subject), Entry>,
    numbers: u64,
    /// How many began, by what they are.
    pub(super) begun: BTreeMap<Kind, u64>,
    /// Attacks that were not followed, for want of room.
    pub(super) untold: u64,
}

struct Entry {
    attack: Attack,
    /// What its subject had when it began.
    before: Totals,
    target: Option<Place>,
    last: Time,
    /// Something new since it was told.
    fresh: bool,
}

impl Live {
    /// Something was found: it begins, or goes on.
    pub(super) fn found(
        &mut self,
        finding: Finding,
        now: Time,
        acts: &mut Acts,
        out: &mut Vec<Output>,
    ) {
        let finding = self.named(finding, now, acts, out);
        let key = (finding.kind, finding.subject);
        if let Some(entry) = self.attacks.get_mut(&key) {
            entry.update(&finding, now);
            acts.meet(&finding, now, out);
            return;
        }
        if finding.seen < finding.threshold {
            return;
        }
        if self.is_full_for(&finding.kind) {
            self.untold += 1;
            return;
        }
        self.numbers += 1;
        *self.begun.entry(finding.kind).or_default() += 1;
        let entry = Entry::new(self.numbers, &finding, now);
        out.push(Output::Started(entry.attack.clone()));
        acts.meet(&finding, now, out);
        self.attacks.insert(key, entry);
    }

    /// Whether there is no room for one more of this kind.
    fn is_full_for(&self, kind: &Kind) -> bool {
        let is_odd = |kind: &Kind| matches!(kind, Kind::Odd(_));
        let odd = || self.attacks.keys().filter(|(kind, _)| is_odd(kind)).count();
        self.attacks.len() >= ATTACKS_MAX || (is_odd(kind) && odd() >= ODD_ATTACKS_MAX)
    }

    /// A second has passed.
    pub(super) fn second(&mut self, now: Time, acts: &mut Acts, out: &mut Vec<Output>) {
        let mut over = Vec::new();
        for (key, entry) in &mut self.attacks {
            let quiet = if key.0.is_rate() { FLOOD_QUIET } else { SCAN_QUIET };
            if now.since(entry.last) >= quiet {
                over.push(*key);
            } else if entry.fresh && entry.attack.started != now {
                entry.fresh = false;
                entry.attack.lasted = now.since(entry.attack.started);
                out.push(Output::GoingOn(entry.attack.clone()));
            }
        }
        over.into_iter().for_each(|key| self.end(&key, (false, now), acts, out));
    }

    /// Ends what a new policy has no threshold for.
    pub(super) fn keep(
        &mut self,
        keep: impl Fn(&Kind, &Subject) -> bool,
        now: Time,
        acts: &mut Acts,
        out: &mut Vec<Output>,
    ) {
        let gone = self.attacks.keys().filter(|(kind, subject)| !keep(kind, subject));
        let gone: Vec<_> = gone.copied().collect();
        gone.into_iter().for_each(|key| self.end(&key, (false, now), acts, out));
    }

    /// Destinations under a flood: newcomers to them are mostly forged.
    pub(super) fn flooded(&self) -> impl Iterator<Item = &Place> {
        self.attacks.keys().filter_map(|(kind, subject)| match subject {
            Subject::Destination(place) if kind.is_flood() => Some(place),
            Subject::Destination(_) | Subject::Source(_) | Subject::Pair(_) | Subject::Zone(_) => {
                None
            }
        })
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Attack> {
        self.attacks.values().map(|entry| &entry.attack)
    }

    /// The finding as it is to be told: about the destination, if it is one of many sources'.
    fn named(
        &mut self,
        finding: Finding,
        now: Time,
        acts: &mut Acts,
        out: &mut Vec<Output>,
    ) -> Finding {
        let Some(target) = finding.target else { return finding };
        let whole = (finding.kind, Subject::Destination(target.place));
        if self.attacks.contains_key(&whole) {
            return about(finding, target);
        }
        if self.attacks.contains_key(&(finding.kind, finding.subject)) {
            return finding;
        }
        let many = if matches!(finding.kind, Kind::Odd(_)) { FORGED_MIN } else { DECOYS_MIN };
        let alike = self.attacks.iter().filter(|((kind, subject), entry)| {
            *kind == finding.kind && *subject != whole.1 && entry.target == Some(target.place)
        });
        let alike: Vec<_> = alike.map(|(key, _)| *key).collect();
        if alike.len() + 1 < many {
            return finding;
        }
        alike.iter().for_each(|key| self.end(key, (true, now), acts, out));
        about(finding, target)
    }

    fn end(
        &mut self,
        key: &(Kind, Subject),
        (folded, now): (bool, Time),
        acts: &mut Acts,
        out: &mut Vec<Output>,
    ) {
        if let Some(mut entry) = self.attacks.remove(key) {
            entry.attack.lasted = entry.last.since(entry.attack.started);
            entry.attack.folded = folded;
            out.push(Output::Ended(entry.attack));
            acts.end(key, folded, now, out);
        }
    }
}

/// A finding about a source, as one about what it scans.
fn about(finding: Finding, target: Target) -> Finding {
    let Target { place, totals, peers } = target;
    Finding { subject: Subject::Destination(place), totals, peers, target: None, ..finding }
}

impl Entry {
    fn new(number: u64, finding: &Finding, now: Time) -> Self {
        let attack = Attack {
            number,
            kind: finding.kind,
            subject: finding.subject,
            started: now,
            lasted: core::time::Duration::ZERO,
            seen: finding.seen,
            most: finding.seen,
            threshold: finding.threshold,
            peers: finding.peers,
            totals: finding.part,
            reaction: finding.response.action,
            teller: finding.teller,
            deviation: finding.deviation,
            folded: false,
        };
        let before = finding.totals.without(&finding.part);
        Self { attack, before, target: finding.target.map(|it| it.place), last: now, fresh: false }
    }

    fn update(&mut self, finding: &Finding, now: Time) {
        let attack = &mut self.attack;
        attack.seen = finding.seen;
        attack.most = attack.most.max(finding.seen);
        attack.peers = attack.peers.max(finding.peers);
        attack.totals = finding.totals.since(&self.before);
        attack.teller = finding.teller;
        attack.deviation = finding.deviation.or(attack.deviation);
        attack.lasted = now.since(attack.started);
        self.last = now;
        self.fresh = true;
    }
}
