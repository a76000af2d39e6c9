//! Who backs each slot: as owners are found, but not everybody may back everything.
//!
//! What has to move goes where it costs least, first only as far as each pair's goal allows, then as far as
//! there is room. What is left then has room only at seats that may not back it: it pushes another slot
//! aside, along the shortest chain of such steps.

use std::cmp::Reverse;

use super::next::Draft;
use super::pairs::{FRACTION, Pairs, Racks, goals, may};
use super::quotas::{Bound, bound, quotas};
use crate::limits::{BACKED_BAND_PERCENT, MEMBERS_MAX};

/// What is known of the backups while they are settled.
struct Book<'a, 'b> {
    draft: &'a mut Draft<'b>,
    /// Who had each slot before anything moved.
    kept: Vec<Option<usize>>,
    bounds: Vec<Bound>,
    counts: Vec<u32>,
    quotas: Vec<u32>,
    /// Slots of each owner with each backup.
    pairs: Pairs<u32>,
    /// Slots of each owner without one.
    bare: [u32; MEMBERS_MAX],
    goals: Pairs<u64>,
}

/// Gives each slot a backup, if there are two seats.
pub(super) fn settle(draft: &mut Draft<'_>) {
    if draft.seats.len() < 2 {
        draft.backups.fill(None);
        return;
    }
    let mut book = Book::open(draft);
    let candidates = book.candidates();
    book.give(&candidates, true);
    book.give(&candidates, false);
    book.push_aside();
}

impl<'a, 'b> Book<'a, 'b> {
    fn open(draft: &'a mut Draft<'b>) -> Self {
        let seats = draft.seats.len();
        let bounds: Vec<Bound> =
            draft.shares.backed.iter().map(|share| bound(*share, BACKED_BAND_PERCENT)).collect();
        let (mut counts, mut rows) = (vec![0_u32; seats], vec![0_u32; seats]);
        let mut pairs = [[0; MEMBERS_MAX]; MEMBERS_MAX];
        let mut bare = [0; MEMBERS_MAX];
        for slot in 0..draft.owners.len() {
            let Some(owner) = draft.owners[slot] else { continue };
            rows[owner] += 1;
            let (seats, shares) = (draft.seats, draft.shares);
            let fits = |it: &usize| may(seats, shares, Racks::Apart, owner, *it);
            draft.backups[slot] = draft.backups[slot].filter(fits);
            let Some(backup) = draft.backups[slot] else {
                bare[owner] += 1;
                continue;
            };
            counts[backup] += 1;
            pairs[owner][backup] += 1;
        }
        let quotas = quotas(&counts, &bounds);
        let goals = goals(draft.seats, draft.shares, &rows, &quotas);
        let kept = draft.backups.clone();
        Self { draft, kept, bounds, counts, quotas, pairs, bare, goals }
    }

    fn may(&self, racks: Racks, owner: usize, backup: usize) -> bool {
        may(self.draft.seats, self.draft.shares, racks, owner, backup)
    }

    /// Each slot that may move, to each seat that has room and may back it; those without a backup first.
    fn candidates(&self) -> Vec<(bool, u64, usize, usize)> {
        let all = 0..self.counts.len();
        let receivers: Vec<usize> = all.filter(|it| self.counts[*it] < self.quotas[*it]).collect();
        let mut list = Vec::new();
        for (slot, owner) in self.draft.owners.iter().enumerate() {
            let (Some(owner), from) = (*owner, self.draft.backups[slot]) else { continue };
            if from.is_some_and(|from| self.counts[from] <= self.quotas[from]) {
                continue;
            }
            let fit = receivers.iter().filter(|to| self.may(Racks::Apart, owner, **to));
            list.extend(fit.map(|to| (from.is_some(), self.draft.cost(slot, *to), slot, *to)));
        }
        list.sort_unstable();
        list
    }

    /// Moves what may move where there is room, and (`evenly`) where the pair's goal allows it.
    fn give(&mut self, candidates: &[(bool, u64, usize, usize)], evenly: bool) {
        for &(_, _, slot, to) in candidates {
            let (owner, from) = (self.draft.owners[slot], self.draft.backups[slot]);
            let Some(owner) = owner else { continue };
            let spare = from.is_none_or(|from| self.counts[from] > self.quotas[from]);
            let even = !evenly
                || (self.excess(owner, to) < 0 && from.is_none_or(|it| self.excess(owner, it) > 0));
            if spare && even && self.counts[to] < self.quotas[to] {
                self.set(slot, to);
            }
        }
    }

    /// By how much a pair is above its goal.
    fn excess(&self, owner: usize, backup: usize) -> i64 {
        let (has, goal) = (self.pairs[owner][backup], self.goals[owner][backup]);
        (i64::from(has) << FRACTION) - goal as i64
    }

    fn set(&mut self, slot: usize, to: usize) {
        let Some(owner) = self.draft.owners[slot] else { return };
        match self.draft.backups[slot].replace(to) {
            Some(from) => {
                self.counts[from] -= 1;
                self.pairs[owner][from] -= 1;
            }
            None => self.bare[owner] -= 1,
        }
        self.counts[to] += 1;
        self.pairs[owner][to] += 1;
    }

    /// Gives the rest a backup, and takes from each seat what is above its bound: in one step where there is
    /// one, else by the shortest chain, up to the bound, or the cap. If there is no way, racks are given up,
    /// and last the cap. Then whoever is still below its bound is given more, if there is a way.
    fn push_aside(&mut self) {
        type Limit<'a, 'b> = fn(&Book<'a, 'b>, usize) -> u32;
        let low: Limit<'a, 'b> = |it, at| it.bounds[at].low;
        let quota: Limit<'a, 'b> = |it, at| it.quotas[at];
        let high: Limit<'a, 'b> = |it, at| it.bounds[at].high;
        let cap: Limit<'a, 'b> = |it, at| it.bounds[at].cap;
        let none: Limit<'a, 'b> = |_, _| u32::MAX;
        let wants = [
            ((high, high), Racks::Apart, 1),
            ((high, high), Racks::Apart, MEMBERS_MAX),
            ((cap, cap), Racks::Apart, MEMBERS_MAX),
            ((cap, cap), Racks::Any, MEMBERS_MAX),
            ((none, none), Racks::Any, MEMBERS_MAX),
            ((quota, low), Racks::Apart, MEMBERS_MAX),
        ];
        for (limits, racks, steps) in wants {
            while let Some(chain) = self.chain(limits, racks).filter(|it| it.len() <= steps + 1) {
                for step in chain.windows(2).rev() {
                    self.step(step[0], step[1], racks);
                }
            }
        }
    }

    /// The shortest chain of seats from one above the first limit, or from the slots without a backup
    /// (named by the number after the seats), to one below the second: each may back something that the
    /// one before backs.
    fn chain(
        &self,
        (above, below): (impl Fn(&Self, usize) -> u32, impl Fn(&Self, usize) -> u32),
        racks: Racks,
    ) -> Option<Vec<usize>> {
        let nobody = self.counts.len();
        let bare = self.bare.iter().any(|count| *count > 0).then_some(nobody);
        let above = (0..nobody).filter(|at| self.counts[*at] > above(self, *at));
        let mut chain: Vec<(usize, Option<usize>)> =
            bare.into_iter().chain(above).map(|at| (at, None)).collect();
        let mut at = 0;
        while let Some(&(from, _)) = chain.get(at) {
            if from != nobody && self.counts[from] < below(self, from) {
                return Some(back_from(&chain, at));
            }
            for to in 0..nobody {
                if chain.iter().all(|(seen, _)| *seen != to) && self.can_step(from, to, racks) {
                    chain.push((to, Some(at)));
                }
            }
            at += 1;
        }
        None
    }

    /// Whether something that one seat backs may go to the other.
    fn can_step(&self, from: usize, to: usize, racks: Racks) -> bool {
        let fits = |owner| self.held(owner, from) > 0 && self.may(racks, owner, to);
        (0..self.counts.len()).any(fits)
    }

    /// Slots of an owner with a backup, or with none.
    fn held(&self, owner: usize, backup: usize) -> u32 {
        if backup == self.counts.len() { self.bare[owner] } else { self.pairs[owner][backup] }
    }

    /// Moves one slot from one seat to another: one that moves anyway, of the pair that is most above its
    /// goal, where it costs least.
    fn step(&mut self, from: usize, to: usize, racks: Racks) {
        let backup = (from < self.counts.len()).then_some(from);
        let fits = |slot: &usize| {
            let owner = self.draft.owners[*slot].filter(|_| self.draft.backups[*slot] == backup);
            owner.is_some_and(|owner| self.may(racks, owner, to))
        };
        let rank = |slot: &usize| {
            let owner = self.draft.owners[*slot].expect("it fits, so it has an owner");
            let over = backup.map_or(0, |from| self.excess(owner, from)) - self.excess(owner, to);
            let stays = backup.is_some() && self.kept[*slot] == backup;
            (stays, Reverse(over), self.draft.cost(*slot, to))
        };
        let slot = (0..self.draft.owners.len()).filter(fits).min_by_key(rank);
        self.set(slot.expect("a chain is of steps that can be taken"), to);
    }
}

/// The chain that ends there, from its beginning.
fn back_from(chain: &[(usize, Option<usize>)], end: usize) -> Vec<usize> {
    let before = |at: &usize| chain[*at].1;
    let mut seats: Vec<usize> =
        std::iter::successors(Some(end), before).map(|at| chain[at].0).collect();
    seats.reverse();
    seats
}
