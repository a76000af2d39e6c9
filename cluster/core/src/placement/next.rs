//! From a table to the next.

use wire::{SLOTS, Slot};

use super::members::{Members, Seat, digest};
use super::moves::Moves;
use super::score;
use super::shares::Shares;
use super::table::{Place, Table};
use super::{backups, owners};
use crate::{NodeId, Term};

/// By how much a slot's term rises when the log gives it to another: by two, so that who takes over at the
/// same time, and knows nothing of it, has a lower one.
const PLANNED: u64 = 2;

/// A table under way: seats by their place among all.
pub(super) struct Draft<'a> {
    pub(super) secret: [u64; 2],
    pub(super) seats: &'a [Seat],
    pub(super) shares: &'a Shares,
    /// Who has the sessions of each slot: its backup, its owner.
    holders: Vec<[Option<usize>; 2]>,
    pub(super) owners: Vec<Option<usize>>,
    pub(super) backups: Vec<Option<usize>>,
    /// Those whose owner died or drains: whoever has them now has them only just.
    pub(super) taken: Vec<bool>,
}

impl Draft<'_> {
    /// Who has the slot's sessions beside this owner. The backup stays; if it owns now, it is who owned
    /// before.
    pub(super) fn holder(&self, slot: usize, owner: usize) -> Option<usize> {
        self.holders[slot].iter().copied().flatten().find(|it| *it != owner)
    }

    pub(super) fn cost(&self, slot: usize, seat: usize) -> u64 {
        let seat = self.seats[seat];
        // Slots are counted in 16 bits.
        score::cost(self.secret, Slot(slot as u16), seat.node, seat.weight)
    }
}

impl Table {
    /// The table of these members, made from this one. The same members again: the same table.
    #[must_use]
    pub fn next(&self, members: &Members) -> (Self, Moves) {
        let seats = members.seats();
        let settled = digest(&seats);
        if settled == self.settled {
            return (self.clone(), Moves::default());
        }
        let died: Vec<Place> = self.places.iter().map(|place| survive(*place, members)).collect();
        let places = if seats.is_empty() {
            vec![(None, None); died.len()]
        } else {
            self.settle(&died, members, &seats)
        };
        let places = died.iter().zip(places).map(|(died, (owner, backup))| {
            let moved = owner != died.owner;
            let term = if moved { Term(died.term.0.saturating_add(PLANNED)) } else { died.term };
            Place { owner, backup, term }
        });
        let mut next = Self { version: self.version, settled, places: places.collect() };
        let moves = self.moves_to(&died, &next);
        next.version += u64::from(!moves.is_empty());
        (next, moves)
    }

    /// Owner and backup of each slot.
    fn settle(
        &self,
        died: &[Place],
        members: &Members,
        seats: &[Seat],
    ) -> Vec<(Option<NodeId>, Option<NodeId>)> {
        let at = |node: Option<NodeId>| seats.binary_search_by_key(&node?, |seat| seat.node).ok();
        let shares = Shares::of(seats);
        let (before, secret) = (&self.places, members.secret());
        // Who drains is followed by its backup, which has the state.
        let owners: Vec<_> = died.iter().map(|it| at(it.owner).or_else(|| at(it.backup))).collect();
        let moves = |(place, owner): (&Place, &Option<usize>)| at(place.owner) != *owner;
        let taken = before.iter().zip(&owners).map(moves).collect();
        let holders = before.iter().map(|it| [at(it.backup), at(it.owner)]).collect();
        let backups = vec![None; died.len()];
        let shares = &shares;
        let mut draft = Draft { secret, seats, shares, holders, owners, backups, taken };
        owners::settle(&mut draft);
        for slot in 0..draft.owners.len() {
            let holder = draft.owners[slot].and_then(|owner| draft.holder(slot, owner));
            draft.backups[slot] = holder;
        }
        backups::settle(&mut draft);
        let node = |seat: &Option<usize>| seat.map(|seat| seats[seat].node);
        draft.owners.iter().map(node).zip(draft.backups.iter().map(node)).collect()
    }

    fn moves_to(&self, died: &[Place], next: &Self) -> Moves {
        let mut list = Vec::new();
        for (slot, after) in (0..SLOTS).map(Slot).zip(&next.places) {
            let at = usize::from(slot.0);
            Moves::of(slot, self.places[at], died[at], *after, &mut list);
        }
        Moves::new(list)
    }
}

/// The place as the deaths of members have made it. Of whom nobody is left, the slot is given away anew: by
/// two terms, so above the one of a backup that took over and died.
fn survive(place: Place, members: &Members) -> Place {
    let lives = |node: Option<NodeId>| node.is_some_and(|node| members.lives(node));
    match place.owner {
        Some(owner) if !members.lives(owner) && lives(place.backup) => place.without(owner),
        _ => place,
    }
}
