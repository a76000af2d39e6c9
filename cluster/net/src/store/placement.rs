//! The placement as runs of slots: a pair's is one run, so that a takeover writes one row.

use cluster_core::{NodeId, Term};

use super::StoreError;
use crate::limits::SLOTS;

/// Who has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The node that forwards.
    pub owner: NodeId,
    /// The node that holds replicas, if there is one.
    pub backup: Option<NodeId>,
    /// Version of the ownership.
    pub term: Term,
}

/// Slots from `first` to `last`, both included, that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
    /// Who has them.
    pub assignment: Assignment,
}

const VERSION: u8 = 1;
/// version, last, owner, backup or 0, term
const BYTES: usize = 1 + 2 + 2 + 2 + 8;
const DAMAGED: StoreError = StoreError::Damaged("a row of the placement");

impl Run {
    /// All slots alike.
    #[must_use]
    pub const fn all(assignment: Assignment) -> Self {
        Self { first: 0, last: SLOTS - 1, assignment }
    }

    pub(super) fn to_bytes(self) -> [u8; BYTES] {
        let Assignment { owner, backup, term } = self.assignment;
        let mut bytes = [0; BYTES];
        bytes[0] = VERSION;
        bytes[1..3].copy_from_slice(&self.last.to_be_bytes());
        bytes[3..5].copy_from_slice(&owner.0.to_be_bytes());
        bytes[5..7].copy_from_slice(&backup.unwrap_or_default().0.to_be_bytes());
        bytes[7..].copy_from_slice(&term.0.to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(first: u16, bytes: &[u8]) -> Result<Self, StoreError> {
        let bytes: &[u8; BYTES] = bytes.try_into().map_err(|_| DAMAGED)?;
        let [VERSION, l0, l1, o0, o1, b0, b1, term @ ..] = *bytes else { return Err(DAMAGED) };
        let backup = u16::from_be_bytes([b0, b1]);
        let assignment = Assignment {
            owner: NodeId(u16::from_be_bytes([o0, o1])),
            backup: (backup > 0).then_some(NodeId(backup)),
            term: Term(u64::from_be_bytes(term)),
        };
        Ok(Self { first, last: u16::from_be_bytes([l0, l1]), assignment })
    }
}

/// Whether `runs` hold each slot once, in order.
pub(super) fn covers_all(runs: &[Run]) -> bool {
    let mut next = 0;
    for run in runs {
        if run.first != next || run.last < run.first || run.last >= SLOTS {
            return false;
        }
        next = run.last + 1;
    }
    next == SLOTS
}

/// The runs with those slots given to somebody. Neighbours that become alike are joined.
pub(super) fn overlay(
    runs: &[Run],
    (first, last): (u16, u16),
    assignment: Assignment,
) -> Result<Vec<Run>, StoreError> {
    if first > last || last >= SLOTS {
        return Err(StoreError::Slots);
    }
    let mut after: Vec<Run> = Vec::with_capacity(runs.len() + 2);
    for run in runs {
        let outside = run.last < first || run.first > last;
        if !outside {
            may_follow(run.assignment, assignment)?;
        }
        let (from, to) = (first.max(run.first), last.min(run.last));
        let parts = if outside {
            [Some(*run), None, None]
        } else {
            [
                (run.first < from).then(|| Run { last: from - 1, ..*run }),
                Some(Run { first: from, last: to, assignment }),
                (run.last > to).then(|| Run { first: to + 1, ..*run }),
            ]
        };
        parts.into_iter().flatten().for_each(|part| append(&mut after, part));
    }
    Ok(after)
}

fn append(runs: &mut Vec<Run>, next: Run) {
    match runs.last_mut() {
        Some(last) if last.assignment == next.assignment => last.last = next.last,
        Some(_) | None => runs.push(next),
    }
}

/// A newer term may say anything; the same one may only change the backup.
fn may_follow(known: Assignment, next: Assignment) -> Result<(), StoreError> {
    if next.term < known.term {
        return Err(StoreError::StaleTerm { known: known.term });
    }
    if next.term == known.term && next.owner != known.owner {
        return Err(StoreError::TermTaken { owner: known.owner });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assignment(owner: u16, term: u64) -> Assignment {
        Assignment { owner: NodeId(owner), backup: Some(NodeId(9)), term: Term(term) }
    }

    fn all(owner: u16, term: u64) -> Vec<Run> {
        vec![Run::all(assignment(owner, term))]
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        for backup in [None, Some(NodeId(2))] {
            let assignment = Assignment { owner: NodeId(1), backup, term: Term(u64::MAX) };
            let run = Run { first: 7, last: 4095, assignment };
            assert_eq!(Run::from_bytes(7, &run.to_bytes()).unwrap(), run);
            assert!(Run::from_bytes(7, &run.to_bytes()[1..]).is_err());
            let mut newer = run.to_bytes();
            newer[0] = VERSION + 1;
            assert!(Run::from_bytes(7, &newer).is_err());
        }
    }

    #[test]
    fn a_term_has_one_owner_and_goes_up() {
        let runs = all(1, 5);
        let whole = (0, SLOTS - 1);
        let stale = overlay(&runs, whole, assignment(2, 4));
        assert!(matches!(stale, Err(StoreError::StaleTerm { known: Term(5) })));
        let taken = overlay(&runs, whole, assignment(2, 5));
        assert!(matches!(taken, Err(StoreError::TermTaken { owner: NodeId(1) })));
        let other_backup = Assignment { backup: None, ..assignment(1, 5) };
        assert_eq!(overlay(&runs, whole, other_backup).unwrap()[0].assignment, other_backup);
        assert_eq!(overlay(&runs, whole, assignment(2, 6)).unwrap(), all(2, 6));
        for slots in [(1, 0), (0, SLOTS), (SLOTS, SLOTS)] {
            let refused = overlay(&runs, slots, assignment(2, 6));
            assert!(matches!(refused, Err(StoreError::Slots)), "{slots:?}");
        }
    }

    #[test]
    fn one_stale_slot_refuses_all() {
        let runs = overlay(&all(1, 5), (10, 10), assignment(2, 9)).unwrap();
        assert_eq!(runs.len(), 3);
        assert!(overlay(&runs, (0, 100), assignment(3, 8)).is_err());
        assert_eq!(overlay(&runs, (0, SLOTS - 1), assignment(3, 10)).unwrap(), all(3, 10));
    }

    proptest! {
        /// The same as a plain table of 4,096 entries.
        #[test]
        fn runs_are_a_table(
            steps in prop::collection::vec((0..SLOTS, 0..SLOTS, 1u16..4, 0u64..6), 0..40),
        ) {
            let mut runs = all(1, 0);
            let mut table = vec![assignment(1, 0); usize::from(SLOTS)];
            for (a, b, owner, term) in steps {
                let slots = (a.min(b), a.max(b));
                let next = assignment(owner, term);
                let part = &mut table[usize::from(slots.0)..=usize::from(slots.1)];
                let allowed = part.iter().all(|known| may_follow(*known, next).is_ok());
                let laid = overlay(&runs, slots, next);
                prop_assert_eq!(laid.is_ok(), allowed);
                if let Ok(laid) = laid {
                    part.fill(next);
                    runs = laid;
                }
                prop_assert!(covers_all(&runs));
                for run in &runs {
                    let part = &table[usize::from(run.first)..=usize::from(run.last)];
                    prop_assert!(part.iter().all(|known| *known == run.assignment));
                }
            }
        }
    }
}
