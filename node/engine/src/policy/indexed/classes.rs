//! Classes of addresses: two addresses are in the same class of a side if the same labels hold for
//! both. Told off the packet path, from base classes (the sets an interval lies in).

use super::super::addresses::Book;
use super::Bounds;
use super::sides::{ANY, Side};
use super::sweep::{Budget, Interner, TooMany, sweep};

/// The classes of one side, and where they are.
#[derive(Debug)]
pub(super) struct Classes {
    pub(super) v4: Vec<(u32, u32)>,  // start, class
    pub(super) v6: Vec<(u128, u32)>, // start, class
    /// Labels of each class, sorted; [`ANY`] is not told.
    pub(super) labels: Vec<Box<[u32]>>,
}

impl Classes {
    /// The classes of `side`. If they would be too many, labels are made opaque until they are not.
    pub(super) fn new(book: &Book, side: &mut Side, bounds: Bounds) -> Self {
        loop {
            match Self::of_clear_labels(book, side, bounds) {
                Ok(classes) => return classes,
                Err(TooMany { weights }) => blur(side, &weights),
            }
        }
    }

    fn of_clear_labels(book: &Book, side: &Side, bounds: Bounds) -> Result<Self, TooMany> {
        let mut budget = Budget { steps: bounds.sweep_steps, held: bounds.class_labels };
        let users = Users::of(side, book.sets());
        let used = |set: &u32| users.used(*set);
        let mut base = Interner::default();
        let sets = 0..book.sets() as u32;
        let v4 = sets.clone().filter(used).flat_map(|set| book.v4(set));
        let v4 = sweep(v4, book.sets(), &mut base, &mut budget)?;
        let v6 = sets.filter(used).flat_map(|set| book.v6(set));
        let v6 = sweep(v6, book.sets(), &mut base, &mut budget)?;
        let mut classes = Interner::default();
        let mut of_base = Vec::with_capacity(base.lists().len());
        for sets in base.lists() {
            let labels = users.labels(sets);
            budget.steps = budget.steps.saturating_sub(labels.len());
            of_base.push(classes.number(&labels));
            if budget.steps == 0 || classes.held() > budget.held {
                return Err(TooMany { weights: users.weights(base.lists(), book.sets()) });
            }
        }
        let v4 = renumber(v4, &of_base);
        Ok(Self { v4, v6: renumber(v6, &of_base), labels: classes.lists().to_vec() })
    }
}

fn renumber<T>(intervals: Vec<(T, u32)>, of_base: &[u32]) -> Vec<(T, u32)> {
    let mut intervals: Vec<_> =
        intervals.into_iter().map(|(start, base)| (start, of_base[base as usize])).collect();
    intervals.dedup_by_key(|interval| interval.1);
    intervals
}

/// Which labels refer to each set.
struct Users {
    plain: Vec<Vec<u32>>,
    negated: Vec<Vec<u32>>,
    all_negated: Vec<u32>,
}

impl Users {
    fn of(side: &Side, sets: usize) -> Self {
        let mut users =
            Self { plain: vec![vec![]; sets], negated: vec![vec![]; sets], all_negated: vec![] };
        for (number, label) in side.labels.iter().enumerate().skip(1) {
            if side.opaque[number] {
                continue;
            }
            let of_set = if label.negate { &mut users.negated } else { &mut users.plain };
            label.sets.iter().for_each(|&set| of_set[set as usize].push(number as u32));
            if label.negate {
                users.all_negated.push(number as u32);
            }
        }
        users
    }

    fn used(&self, set: u32) -> bool {
        !self.plain[set as usize].is_empty() || !self.negated[set as usize].is_empty()
    }

    /// The labels that hold within exactly these sets, sorted.
    fn labels(&self, sets: &[u32]) -> Vec<u32> {
        let collect = |of: &[Vec<u32>]| {
            let mut labels: Vec<u32> =
                sets.iter().flat_map(|&set| &of[set as usize]).copied().collect();
            labels.sort_unstable();
            labels.dedup();
            labels
        };
        let (mut labels, refused) = (collect(&self.plain), collect(&self.negated));
        let holds = |label: &&u32| refused.binary_search(label).is_err();
        labels.extend(self.all_negated.iter().filter(holds));
        labels.sort_unstable();
        labels
    }

    /// For each set, how many labels its base classes have.
    fn weights(&self, base: &[Box<[u32]>], sets: usize) -> Vec<u64> {
        let mut weights = vec![0; sets];
        for set in base.iter().flatten() {
            let users = self.plain[*set as usize].len() + self.negated[*set as usize].len();
            weights[*set as usize] += users as u64;
        }
        weights
    }
}

/// Makes the heaviest labels opaque, as many as make half of all weight. The work falls by as much
/// each time, and ends with no labels at all.
fn blur(side: &mut Side, weights: &[u64]) {
    let weight = |label: u32| {
        let label = &side.labels[label as usize];
        label.sets.iter().map(|&set| weights[set as usize]).sum::<u64>() + 1
    };
    let clear = (1..side.labels.len() as u32).filter(|&label| !side.opaque[label as usize]);
    let mut clear: Vec<(u64, u32)> = clear.map(|label| (weight(label), label)).collect();
    clear.sort_unstable_by_key(|clear| std::cmp::Reverse(clear.0));
    let half = clear.iter().map(|clear| clear.0).sum::<u64>() / 2;
    let mut taken = 0;
    for (weight, label) in clear {
        side.opaque[label as usize] = true;
        taken += weight;
        if taken > half {
            break;
        }
    }
}

/// Files labels under [`ANY`] until no class has more than `chain` left; of a class
/// that has more, those that most other such classes have too.
pub(super) fn relax(side: &mut Side, classes: &[Box<[u32]>], chain: usize) {
    let long = || classes.iter().filter(|labels| labels.len() > chain);
    let mut cover = vec![0_u32; side.labels.len()];
    long().flatten().for_each(|&label| cover[label as usize] += 1);
    for labels in long() {
        let kept = |label: &&u32| !side.relaxed[**label as usize];
        let mut kept: Vec<u32> = labels.iter().filter(kept).copied().collect();
        let excess = kept.len().saturating_sub(chain);
        kept.sort_by_key(|&label| std::cmp::Reverse(cover[label as usize]));
        kept[..excess].iter().for_each(|&label| side.relaxed[label as usize] = true);
    }
    debug_assert!(!side.relaxed[ANY as usize]);
}
