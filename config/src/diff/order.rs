//! Which elements of a list came, went or have moved: all but a longest run that kept its order.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Place;

/// What became of one element, by its index.
pub(super) enum Step {
    Removed {
        was: usize,
        place: Place,
    },
    Added {
        is: usize,
        place: Place,
    },
    /// It is in both, `moved` to a place unless it kept its order.
    Kept {
        was: usize,
        is: usize,
        moved: Option<Place>,
    },
}

/// Leads from the ids of `old` to those of `new`: what was removed first, then the others in their new order.
pub(super) fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let (before, after) = (positions(old), positions(new));
    let gone = old.iter().enumerate().filter(|(_, id)| !after.contains_key(*id));
    let mut steps: Vec<_> =
        gone.map(|(was, _)| Step::Removed { was, place: place(old, was) }).collect();
    let moved = out_of_order(new.iter().filter_map(|id| before.get(*id)).copied());
    steps.extend(new.iter().enumerate().map(|(is, id)| match before.get(*id) {
        None => Step::Added { is, place: place(new, is) },
        Some(&was) => {
            let moved = moved.contains(&was).then(|| place(new, is));
            Step::Kept { was, is, moved }
        }
    }));
    steps
}

fn positions<'i>(ids: &[&'i str]) -> BTreeMap<&'i str, usize> {
    ids.iter().enumerate().map(|(at, id)| (*id, at)).collect()
}

fn place(ids: &[&str], position: usize) -> Place {
    let id = |position: usize| ids.get(position).map(|id| (*id).to_owned());
    let after = position.checked_sub(1).and_then(id);
    Place { position: position + 1, after, before: id(position + 1) }
}

/// `positions` are the old positions, distinct, in their new order. Returns the fewest of them
/// whose moving explains the new order.
fn out_of_order(positions: impl Iterator<Item = usize>) -> BTreeSet<usize> {
    let positions: Vec<usize> = positions.collect();
    let mut moved: BTreeSet<usize> = positions.iter().copied().collect();
    for at in longest_increasing(&positions) {
        moved.remove(&positions[at]);
    }
    moved
}

/// Indices of a longest increasing subsequence, last first (patience sorting).
fn longest_increasing(values: &[usize]) -> Vec<usize> {
    let mut tops: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(values.len());
    for (at, value) in values.iter().enumerate() {
        let pile = tops.partition_point(|&top| values[top] < *value);
        before.push(pile.checked_sub(1).map(|left| tops[left]));
        match tops.get_mut(pile) {
            Some(top) => *top = at,
            None => tops.push(at),
        }
    }
    let last = tops.last().copied();
    core::iter::successors(last, |&at| before[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(positions: &[usize]) -> Vec<usize> {
        let mut moved: Vec<_> = out_of_order(positions.iter().copied()).into_iter().collect();
        moved.sort_unstable();
        moved
    }

    #[test]
    fn only_what_jumped_has_moved() {
        assert_eq!(moved(&[]), [0; 0]);
        assert_eq!(moved(&[0, 1, 2, 3]), [0; 0]);
        assert_eq!(moved(&[3, 0, 1, 2]), [3]);
        assert_eq!(moved(&[1, 2, 3, 0]), [0]);
        assert_eq!(moved(&[0, 2, 5, 9]), [0; 0], "gaps are removed rules");
        assert_eq!(moved(&[2, 1, 0]).len(), 2);
    }
}
