//! Which elements of a list have moved: all but a longest run that kept its order.

use std::collections::BTreeSet;

/// `positions` are the old positions, distinct, in their new order. Returns the fewest of them
/// whose moving explains the new order.
pub(crate) fn out_of_order(positions: impl Iterator<Item = usize>) -> BTreeSet<usize> {
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
