//! What differs between two tables, as steps.

use wire::Slot;

use super::table::Place;
use crate::NodeId;

/// One step from a table to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Move {
    /// Before all that follows from it, then by slot.
    pub kind: MoveKind,
    /// What moves.
    pub slot: Slot,
    /// Who had it.
    pub from: Option<NodeId>,
    /// Who has it then.
    pub to: Option<NodeId>,
}

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MoveKind {
    /// The ownership, from a dead node to its backup, which has the sessions. Nothing is copied.
    Takeover,
    /// The ownership, by a handover between two that live; or from nobody.
    Owner,
    /// The part of the backup. Nothing is copied if it owned the slot before.
    Backup,
}

/// All steps from a table to the next, in an order in which they can be taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    list: Vec<Move>,
}

impl Moves {
    pub(super) fn new(mut list: Vec<Move>) -> Self {
        list.sort_unstable();
        Self { list }
    }

    /// The steps of one slot: from one place to the other, by way of what came about at the death of its
    /// owner.
    pub(super) fn of(slot: Slot, before: Place, died: Place, after: Place, list: &mut Vec<Move>) {
        let mut push = |kind, from, to| list.push(Move { kind, slot, from, to });
        if died.owner != before.owner {
            push(MoveKind::Takeover, before.owner, died.owner);
        }
        if after.owner != died.owner {
            push(MoveKind::Owner, died.owner, after.owner);
        }
        // Whose owner died has lost its backup by that step.
        let backup = if died.owner == before.owner { before.backup } else { None };
        if after.backup != backup {
            push(MoveKind::Backup, backup, after.backup);
        }
    }

    /// Whether nothing moves.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The steps.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Move> {
        self.list.iter()
    }

    /// How many steps are of a kind.
    #[must_use]
    pub fn count(&self, kind: MoveKind) -> usize {
        self.list.iter().filter(|it| it.kind == kind).count()
    }
}
