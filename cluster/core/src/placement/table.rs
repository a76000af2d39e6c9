//! The table: who owns each slot, who backs it, since which term.

use std::collections::BTreeMap;

use wire::{SLOTS, Slot};

use super::members::{Members, digest};
use super::moves::{Move, MoveKind, Moves};
use crate::{NodeId, Term};

/// Who has a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Who answers for it; nobody before there was a member, or if there is none.
    pub owner: Option<NodeId>,
    /// Who has its sessions, too, and takes over; nobody if there is no other.
    pub backup: Option<NodeId>,
    /// The version of its ownership.
    pub term: Term,
}

/// What a node may be to a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It answers for it.
    Owner,
    /// It has its sessions, too, and takes over.
    Backup,
}

/// How many slots a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Those that it owns.
    pub owned: u32,
    /// Those that it backs.
    pub backed: u32,
}

/// Who has which slot.
#[derive(Clone, PartialEq, Eq)]
pub struct Table {
    pub(super) version: u64,
    /// Digest of the seats that it was settled for; 0 for none.
    pub(super) settled: u64,
    /// One for each slot, in their order.
    pub(super) places: Box<[Place]>,
}

impl Default for Table {
    /// Nobody has anything.
    fn default() -> Self {
        Self { version: 0, settled: 0, places: vec![Place::default(); usize::from(SLOTS)].into() }
    }
}

impl std::fmt::Debug for Table {
    /// 4,096 places help nobody: what the nodes have.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("version", &self.version)
            .field("loads", &self.loads())
            .finish()
    }
}

impl Table {
    /// The version, as the log counts them; one more with each change.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Who has a slot.
    #[must_use]
    pub fn place(&self, slot: Slot) -> Place {
        self.places[usize::from(slot.0)]
    }

    /// All slots, in their order, with who has them.
    pub fn places(&self) -> impl ExactSizeIterator<Item = (Slot, Place)> {
        (0..SLOTS).map(Slot).zip(self.places.iter().copied())
    }

    /// The slots of a node in one role, in their order.
    pub fn slots_of(&self, node: NodeId, role: Role) -> impl Iterator<Item = Slot> {
        let has = move |place: &Place| match role {
            Role::Owner => place.owner == Some(node),
            Role::Backup => place.backup == Some(node),
        };
        self.places().filter(move |(_, place)| has(place)).map(|(slot, _)| slot)
    }

    /// How many slots each node has that has any.
    #[must_use]
    pub fn loads(&self) -> BTreeMap<NodeId, Load> {
        let mut loads: BTreeMap<NodeId, Load> = BTreeMap::new();
        for place in &self.places {
            if let Some(node) = place.owner {
                loads.entry(node).or_default().owned += 1;
            }
            if let Some(node) = place.backup {
                loads.entry(node).or_default().backed += 1;
            }
        }
        loads
    }

    /// Whether it can be the table of these members: made for those that are given slots, and for no others.
    #[must_use]
    pub fn is_of(&self, members: &Members) -> bool {
        let seats = members.seats();
        let seated = |node: Option<NodeId>| {
            node.is_some_and(|node| seats.iter().any(|seat| seat.node == node))
        };
        let fits = |place: &Place| {
            let (owned, backed) = (!seats.is_empty(), seats.len() > 1);
            let right =
                |node: Option<NodeId>, wanted| node.is_some() == wanted && seated(node) == wanted;
            right(place.owner, owned) && right(place.backup, backed)
        };
        self.settled == digest(&seats) && self.places.iter().all(fits)
    }

    /// What the others do at once when a node is dead, before the log says so: the backups of its slots own
    /// them, in the next term, and what it backed has no backup. [`Table::next`] begins with the same.
    ///
    /// A slot of which both are dead stays as it is: who is to own it, the log alone can say.
    #[must_use]
    pub fn takeover(&self, dead: NodeId) -> (Self, Moves) {
        let mut next = Self { settled: 0, ..self.clone() };
        let mut moves = Vec::new();
        for (slot, place) in (0..SLOTS).map(Slot).zip(&mut next.places) {
            let before = *place;
            *place = before.without(dead);
            let kind =
                if place.owner == before.owner { MoveKind::Backup } else { MoveKind::Takeover };
            if *place != before {
                let to = place.owner.filter(|_| kind == MoveKind::Takeover);
                moves.push(Move { slot, kind, from: Some(dead), to });
            }
        }
        (next, Moves::new(moves))
    }
}

impl Place {
    /// The place after the death of a node, as it comes about without the log.
    pub(super) fn without(self, dead: NodeId) -> Self {
        match (self.owner, self.backup) {
            (Some(owner), Some(backup)) if owner == dead => {
                Self { owner: Some(backup), backup: None, term: self.term.next() }
            }
            (owner, Some(backup)) if backup == dead => Self { owner, backup: None, ..self },
            _ => self,
        }
    }
}
