//! From a table to the next.

use wire::{SLOTS, Slot};

use super::members::{Members, Seat};
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
    pub(super) owners: Vec<Option<usize>>,
    pub(super) backups: Vec<Option<usize>>,
    /// Those whose owner died: whoever has them now has them only just.
    pub(super) taken: Vec<bool>,
}

impl Draft<'_> {
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
        let died: Vec<Place> = self.places.iter().map(|place| survive(*place, members)).collect();
        let seats = members.seats();
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
        let mut next = Self { version: self.version, places: places.collect() };
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
        let owners = died.iter().map(|it| at(it.owner).or_else(|| at(it.backup))).collect();
        let taken = before.iter().zip(died).map(|(a, b)| a.owner != b.owner).collect();
        let backups = vec![None; died.len()];
        let mut draft = Draft { secret, seats, shares: &shares, owners, backups, taken };
        owners::settle(&mut draft);
        for (slot, before) in before.iter().enumerate() {
            // The backup stays; if it owns now, who owned before has the state.
            let holders = [at(before.backup), at(before.owner)];
            let other = |it: &usize| Some(*it) != draft.owners[slot];
            draft.backups[slot] = holders.into_iter().flatten().find(other);
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

/// The place as the deaths of members have made it.
fn survive(place: Place, members: &Members) -> Place {
    let Some(owner) = place.owner else { return place };
    let backup_lives = place.backup.is_some_and(|backup| members.lives(backup));
    match (members.lives(owner), backup_lives) {
        (false, true) => place.without(owner),
        // Nobody is left: it is given away anew, above the term of a backup that took over and died.
        (false, false) => Place { owner: None, backup: None, ..place },
        (true, _) => place,
    }
}
