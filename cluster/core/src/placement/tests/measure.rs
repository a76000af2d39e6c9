//! The numbers of `ARCHITECTURE.md`:
//!
//! `HISTORIES=10000 cargo test -p ringwall-cluster-core placement::tests::measure -- --ignored --nocapture`

use std::collections::BTreeMap;

use super::world::{Dice, Event, Step, World, fair};
use crate::placement::{Load, State};

/// What the weights and racks of a cluster are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Like {
    Equal,
    Weighted,
    Racks,
    WeightedRacks,
}

const KINDS: [Like; 4] = [Like::Equal, Like::Weighted, Like::Racks, Like::WeightedRacks];

impl Like {
    fn weight(self, dice: &mut Dice) -> u16 {
        let weights = [50, 100, 100, 150, 200, 400];
        let even = matches!(self, Self::Equal | Self::Racks);
        if even { 100 } else { weights[dice.roll(6) as usize] }
    }

    fn rack(self, dice: &mut Dice) -> Option<u16> {
        matches!(self, Self::Racks | Self::WeightedRacks).then(|| dice.roll(4) as u16)
    }

    fn event(self, dice: &mut Dice) -> (&'static str, Event) {
        let at = dice.roll(16) as u8;
        match dice.roll(6) {
            0 | 1 => ("join", Event::Join { weight: self.weight(dice), rack: self.rack(dice) }),
            2 => ("death", Event::Die(at)),
            3 => ("drain", Event::Drain(at)),
            4 => ("return", Event::Resume(at)),
            _ => ("weight", Event::Weigh(at, 50 + 50 * dice.roll(8) as u16)),
        }
    }
}

/// The worst of many changes, and their sum.
#[derive(Default)]
struct Worst {
    changes: u32,
    owned: f64,
    backed: f64,
    moved: f64,
    copied: f64,
    least: (f64, f64),
    sum: (f64, f64),
    passed_on: (f64, f64),
}

impl Worst {
    fn see(&mut self, step: &Step) {
        self.changes += 1;
        let fair = fair(&step.new);
        let loads = step.after.loads();
        for (node, (owned, backed)) in fair.iter().filter(|(_, it)| it.0 >= 50.0 && it.1 >= 50.0) {
            let Load { owned: o, backed: b } = loads.get(node).copied().unwrap_or_default();
            self.owned = self.owned.max(f64::from(o) / owned);
            self.backed = self.backed.max(f64::from(b) / backed);
        }
        let cost = step.cost();
        if cost.owners_least >= 100.0 {
            self.moved = self.moved.max(cost.owners / cost.owners_least);
        }
        if cost.copies_least >= 100.0 {
            self.copied = self.copied.max(cost.copies / cost.copies_least);
        }
        self.least = (self.least.0 + cost.owners_least, self.least.1 + cost.copies_least);
        self.sum = (self.sum.0 + cost.owners, self.sum.1 + cost.copies);
        let died = |it: &&crate::placement::Move| it.kind == crate::placement::MoveKind::Takeover;
        let taken: Vec<_> = step.moves.iter().filter(died).collect();
        let kept = taken.iter().filter(|it| step.after.place(it.slot).owner == it.to).count();
        self.passed_on.0 += taken.len() as f64;
        self.passed_on.1 += (taken.len() - kept) as f64;
    }
}

#[test]
#[ignore = "a measurement: minutes"]
fn measure() {
    let histories = std::env::var("HISTORIES").ok().and_then(|it| it.parse().ok()).unwrap_or(100);
    let mut worst: BTreeMap<(Like, &str), Worst> = BTreeMap::new();
    for history in 0..histories {
        let mut dice = Dice(history);
        let like = KINDS[(history % 4) as usize];
        let mut world = World::new(history);
        for _ in 0..1 + dice.roll(12) {
            let (weight, rack) = (like.weight(&mut dice), like.rack(&mut dice));
            world.happen(&Event::Join { weight, rack });
        }
        world.step();
        for _ in 0..8 {
            let (mut what, event) = like.event(&mut dice);
            let drained = |world: &World| world.list.values().any(|it| it.state == State::Draining);
            let was_drained = drained(&world);
            let step = world.turn(&[event]);
            if what == "death" && was_drained {
                what = "death amid a drain";
            }
            if !step.moves.is_empty() && world.table.loads().len() > 1 {
                worst.entry((like, what)).or_default().see(&step);
                worst.entry((like, what)).or_default().see(&step);
            }
        }
    }
    println!(
        "| cluster | change | changes | owned / fair | backed / fair | moved / least | mean \
         | copied / least | mean | passed on |"
    );
    for ((like, what), it) in worst {
        println!(
            "| {like:?} | {what} | {} | {:.3} | {:.3} | {:.2} | {:.3} | {:.2} | {:.3} | {:.1} % |",
            it.changes,
            it.owned,
            it.backed,
            it.moved,
            it.sum.0 / it.least.0,
            it.copied,
            it.sum.1 / it.least.1,
            100.0 * it.passed_on.1 / it.passed_on.0.max(1.0)
        );
    }
}
