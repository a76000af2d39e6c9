//! A cluster that lives: members come, go, die, drain and change, and each time there is a next table.

use std::collections::BTreeMap;

use wire::SLOTS;

use crate::NodeId;
use crate::placement::pairs::{Racks, may};
use crate::placement::shares::Shares;
use crate::placement::{Member, Members, Moves, State, Table};

pub(super) const ALL: f64 = SLOTS as f64;

/// What happens to a cluster. Who it happens to is one of those there are.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Join { weight: u16, rack: Option<u16> },
    Leave(u8),
    Die(u8),
    Drain(u8),
    Resume(u8),
    Weigh(u8, u16),
    Shift(u8, Option<u16>),
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) secret: [u64; 2],
    pub(super) list: BTreeMap<NodeId, Member>,
    pub(super) table: Table,
    last: u16,
}

/// One change: the members and tables on both sides.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) old: Members,
    pub(super) new: Members,
    pub(super) before: Table,
    pub(super) after: Table,
    pub(super) moves: Moves,
}

impl World {
    pub(super) fn new(secret: u64) -> Self {
        let (list, table) = (BTreeMap::new(), Table::default());
        Self { secret: [secret, !secret], list, table, last: 0 }
    }

    /// Of members with these weights and racks, numbered from 1.
    pub(super) fn of(members: &[(u16, Option<u16>)]) -> Self {
        let mut world = Self::new(7);
        members.iter().for_each(|&(weight, rack)| world.happen(&Event::Join { weight, rack }));
        world.step();
        world
    }

    pub(super) fn members(&self) -> Members {
        let list: Vec<Member> = self.list.values().copied().collect();
        Members::new(self.secret, &list).unwrap()
    }

    pub(super) fn set(&mut self, node: u16, state: State) {
        self.list.get_mut(&NodeId(node)).unwrap().state = state;
    }

    pub(super) fn happen(&mut self, event: &Event) {
        let count = self.list.len();
        let which = |at: u8| usize::from(at) % count.max(1);
        match *event {
            Event::Join { weight, rack } if count < 16 => {
                self.last += 1;
                let node = NodeId(self.last);
                self.list.insert(node, Member { node, weight, rack, state: State::In });
            }
            Event::Leave(at) => {
                let node = self.list.keys().nth(which(at)).copied();
                node.and_then(|node| self.list.remove(&node));
            }
            Event::Die(at) => self.change(which(at), |it| it.state = State::Gone),
            Event::Drain(at) => self.change(which(at), |it| it.state = State::Draining),
            Event::Resume(at) => self.change(which(at), |it| it.state = State::In),
            Event::Weigh(at, weight) => self.change(which(at), |it| it.weight = weight),
            Event::Shift(at, rack) => self.change(which(at), |it| it.rack = rack),
            Event::Join { .. } => {}
        }
    }

    fn change(&mut self, at: usize, change: impl Fn(&mut Member)) {
        self.list.values_mut().nth(at).into_iter().for_each(change);
    }

    /// The next table.
    pub(super) fn step(&mut self) -> Step {
        self.step_from(self.members())
    }

    pub(super) fn step_from(&mut self, old: Members) -> Step {
        let (before, new) = (self.table.clone(), self.members());
        let (after, moves) = before.next(&new);
        self.table = after.clone();
        Step { old, new, before, after, moves }
    }

    /// What happens, and the next table.
    pub(super) fn turn(&mut self, events: &[Event]) -> Step {
        let old = self.members();
        events.iter().for_each(|event| self.happen(event));
        self.step_from(old)
    }
}

/// Slots owned and backed that are fair, by node.
pub(super) fn fair(members: &Members) -> BTreeMap<NodeId, (f64, f64)> {
    let slots = |share: u64| share as f64 / 2_f64.powi(32) * ALL;
    let of = |it: &Member| {
        let fair = members.fair(it.node)?;
        Some((it.node, (slots(fair.owned.share), slots(fair.backed.share))))
    };
    members.list().iter().filter_map(of).collect()
}

/// What a change must move at the least, and what it moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    /// Slots with another owner.
    pub(super) owners: f64,
    pub(super) owners_least: f64,
    /// Sessions of slots that a node must be sent, which it had not in either role.
    pub(super) copies: f64,
    pub(super) copies_least: f64,
}

impl Step {
    pub(super) fn cost(&self) -> Cost {
        let (was, is) = (fair(&self.old), fair(&self.new));
        let loads = self.before.loads();
        let mut cost = Cost::default();
        let gone = || loads.iter().filter(|(node, _)| !is.contains_key(*node)).map(|it| it.1);
        let owned: f64 = gone().map(|it| f64::from(it.owned)).sum();
        let backed: f64 = gone().map(|it| f64::from(it.backed)).sum();
        for (node, (owned, backed)) in &is {
            let (o, b) = was.get(node).copied().unwrap_or_default();
            cost.owners_least += (owned - o).max(0.0);
            cost.copies_least += (owned - o).max(0.0) + (backed - b).max(0.0);
        }
        cost.owners_least = cost.owners_least.max(owned);
        // What nobody is left to have needs no copy.
        let lost = if is.len() > 1 { owned + backed } else { 0.0 };
        cost.copies_least = cost.copies_least.max(lost).max(f64::from(self.together()));
        for ((_, a), (_, b)) in self.before.places().zip(self.after.places()) {
            cost.owners += f64::from(u8::from(a.owner != b.owner));
            for node in [b.owner, b.backup].into_iter().flatten() {
                let had = [a.owner, a.backup].contains(&Some(node));
                cost.copies += f64::from(u8::from(!had));
            }
        }
        cost
    }

    /// Slots whose owner and backup stayed, and have come to stand in one rack, for which the others are
    /// enough.
    fn together(&self) -> u32 {
        let seats = self.new.seats();
        let shares = Shares::of(&seats);
        let at = |node: Option<NodeId>| seats.iter().position(|it| Some(it.node) == node);
        let pairs =
            self.before.places().filter_map(|(_, it)| Some((at(it.owner)?, at(it.backup)?)));
        let apart = |a, b| may(&seats, &shares, Racks::Apart, a, b);
        pairs.filter(|(a, b)| !apart(*a, *b)).count() as u32
    }
}

/// Random numbers from a seed (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}
