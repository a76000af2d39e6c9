//! Cuts the address space into intervals within which no address set begins or ends, and gives
//! intervals that lie in the same sets the same *base class*.

use std::collections::HashMap;

use super::Hashing;
use super::trie::Address;

/// Numbers for lists of numbers.
#[derive(Debug, Default)]
pub(super) struct Interner {
    known: HashMap<Box<[u32]>, u32, Hashing>,
    lists: Vec<Box<[u32]>>,
    held: usize,
}

impl Interner {
    pub(super) fn number(&mut self, list: &[u32]) -> u32 {
        if let Some(number) = self.known.get(list) {
            return *number;
        }
        let number = self.lists.len() as u32;
        self.known.insert(list.into(), number);
        self.lists.push(list.into());
        self.held += list.len() + 1;
        number
    }

    pub(super) fn lists(&self) -> &[Box<[u32]>] {
        &self.lists
    }

    /// Numbers in all lists, and one for each list.
    pub(super) const fn held(&self) -> usize {
        self.held
    }
}

/// What is left of the work that may be done. A hostile rule set ends it, not the machine.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) steps: usize,
    pub(super) held: usize,
}

/// There are too many classes. For each set, how many intervals lie in it.
#[derive(Debug)]
pub(super) struct TooMany {
    pub(super) weights: Vec<u64>,
}

/// Intervals by their starts, with the base class of each: numbers of `classes`, which holds lists
/// of sets.
pub(super) fn sweep<'a, T: Address + 'a>(
    ranges: impl Iterator<Item = (u32, T, T)>,
    sets: usize,
    classes: &mut Interner,
    budget: &mut Budget,
) -> Result<Vec<(T, u32)>, TooMany> {
    let mut edges = Vec::new();
    for (set, first, last) in ranges {
        edges.push((first, set));
        edges.extend(last.next().map(|after| (after, set)));
    }
    edges.sort_unstable();
    let mut active = Active { sets: Vec::new(), since: vec![0; sets], weights: vec![0; sets] };
    let mut intervals: Vec<(T, u32)> = Vec::with_capacity(edges.len() + 1);
    if edges.first().is_none_or(|edge| edge.0 > T::ZERO) {
        intervals.push((T::ZERO, classes.number(&[])));
    }
    for (now, edges) in edges.chunk_by(|a, b| a.0 == b.0).enumerate() {
        edges.iter().for_each(|edge| active.toggle(edge.1, now as u64));
        let cost = active.sets.len() + 1;
        budget.steps = budget.steps.saturating_sub(cost);
        if budget.steps == 0 || classes.held() > budget.held {
            return Err(TooMany { weights: active.weigh(now as u64) });
        }
        let class = classes.number(&active.sets);
        if intervals.last().is_none_or(|last| last.1 != class) {
            intervals.push((edges[0].0, class));
        }
    }
    Ok(intervals)
}

/// The sets that the sweep is in.
struct Active {
    sets: Vec<u32>, // sorted
    since: Vec<u64>,
    weights: Vec<u64>,
}

impl Active {
    /// An edge of a set: its start, or the first address behind it. Ranges of one set that touch
    /// have both at once, and cancel out.
    fn toggle(&mut self, set: u32, now: u64) {
        match self.sets.binary_search(&set) {
            Ok(at) => {
                self.sets.remove(at);
                self.weights[set as usize] += now - self.since[set as usize];
            }
            Err(at) => {
                self.sets.insert(at, set);
                self.since[set as usize] = now;
            }
        }
    }

    fn weigh(mut self, now: u64) -> Vec<u64> {
        for &set in &self.sets {
            self.weights[set as usize] += now - self.since[set as usize] + 1;
        }
        self.weights
    }
}
