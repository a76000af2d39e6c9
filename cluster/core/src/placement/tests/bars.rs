//! What holds after any change of any cluster.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wire::SLOTS;

use super::world::{Event, Step, World};
use crate::limits::{MEMBERS_MAX, TABLE_BYTES};
use crate::placement::pairs::{Racks, may};
use crate::placement::shares::Shares;
use crate::placement::{Member, Members, MoveKind, Place, State, Table};
use crate::{NodeId, Term};

fn racks() -> impl Strategy<Value = Option<u16>> {
    option::weighted(0.5, 0..4_u16)
}

fn events() -> impl Strategy<Value = Event> {
    let weight = || prop_oneof![6 => Just(100_u16), 3 => 1..9_u16, 1 => Just(0), 1 => Just(1_000)];
    prop_oneof![
        4 => (weight(), racks()).prop_map(|(weight, rack)| Event::Join { weight, rack }),
        1 => any::<u8>().prop_map(Event::Leave),
        3 => any::<u8>().prop_map(Event::Die),
        2 => any::<u8>().prop_map(Event::Drain),
        2 => any::<u8>().prop_map(Event::Resume),
        2 => (any::<u8>(), weight()).prop_map(|(at, weight)| Event::Weigh(at, weight)),
        1 => (any::<u8>(), racks()).prop_map(|(at, rack)| Event::Shift(at, rack)),
    ]
}

/// Joins at first, then changes of one member or of several at once.
fn histories() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let join = || (Just(100), racks()).prop_map(|(weight, rack)| Event::Join { weight, rack });
    let first = vec(join(), 0..MEMBERS_MAX);
    (first, vec(vec(events(), 1..3), 1..10)).prop_map(|(first, rest)| {
        let mut turns = vec![first];
        turns.extend(rest);
        turns
    })
}

/// The weights of those that are given slots, told anew.
fn weights(members: &Members) -> BTreeMap<NodeId, u64> {
    let of = |state| {
        let has = move |it: &&Member| it.state == state && it.weight > 0;
        members.list().iter().filter(has).map(|it| (it.node, u64::from(it.weight))).collect()
    };
    let seated: BTreeMap<_, _> = of(State::In);
    if seated.is_empty() { of(State::Draining) } else { seated }
}

/// `1.05 × slots × weight ÷ all weights`, rounded up.
fn cap(weight: u64, all: u64) -> u32 {
    u32::try_from((u64::from(SLOTS) * weight * 105).div_ceil(100 * all)).unwrap()
}

fn rack_of(members: &Members, node: NodeId) -> (u16, u16) {
    let it = members.list().iter().find(|it| it.node == node).unwrap();
    it.rack.map_or((1, node.0), |rack| (0, rack))
}

/// The weight of everything that stands in a node's rack.
fn weight_beside(members: &Members, node: NodeId) -> u64 {
    let rack = rack_of(members, node);
    weights(members).iter().filter(|it| rack_of(members, *it.0) == rack).map(|it| it.1).sum()
}

fn nobody_is_above_its_cap(step: &Step) {
    let (weights, loads) = (weights(&step.new), step.after.loads());
    let all: u64 = weights.values().sum();
    // A rack of more than half is backed by the rest, which then backs more than its weight says.
    let balanced = weights.keys().all(|node| 2 * weight_beside(&step.new, *node) <= all);
    for (node, load) in loads {
        let cap = cap(weights[&node], all);
        assert!(load.owned <= cap, "node {node} owns {}, cap {cap}", load.owned);
        let fair = step.new.fair(node).expect("who has slots has a share");
        let backed = if balanced { cap } else { fair.backed.cap };
        assert!(load.backed <= backed, "node {node} backs {}, cap {backed}", load.backed);
    }
}

fn each_slot_has_an_owner_and_another_backup(step: &Step) {
    let weights = weights(&step.new);
    for (slot, place) in step.after.places() {
        let seated = |node: &NodeId| weights.contains_key(node);
        assert_eq!(place.owner.as_ref().is_some_and(seated), !weights.is_empty(), "{slot:?}");
        assert_eq!(place.backup.as_ref().is_some_and(seated), weights.len() > 1, "{slot:?}");
        assert!(place.backup.is_none() || place.backup != place.owner, "{slot:?}");
    }
}

/// In each rack that the others can back with at most twice their share, and everywhere up to that.
fn racks_are_apart(step: &Step) {
    let weights = weights(&step.new);
    let all: u64 = weights.values().sum();
    for (slot, place) in step.after.places() {
        let (Some(owner), Some(backup)) = (place.owner, place.backup) else { continue };
        let beside = weight_beside(&step.new, owner);
        if 3 * beside <= 2 * all {
            let apart = rack_of(&step.new, owner) != rack_of(&step.new, backup);
            assert!(apart, "{slot:?}: {owner} and {backup} share a rack");
        }
    }
}

/// Owners: 1.2 times what the change is about, in any cluster. Copies likewise, where each node is a rack
/// of its own and none has more than a third of all. In larger racks what a node may back is tied to what
/// others own, and more has to be copied than the shares move by.
fn moves_are_few(step: &Step) {
    let (cost, slack) = (step.cost(), step.new.list().len() as f64);
    assert!(cost.owners <= 1.2 * cost.owners_least + slack, "{cost:?}");
    let racks = |members: &Members| -> Vec<Option<u16>> {
        members.list().iter().map(|it| it.rack).collect()
    };
    if step.old.list().len() == step.new.list().len() && racks(&step.old) != racks(&step.new) {
        // Who is carried to another rack changes who may back what; that is no change of shares.
        return;
    }
    let loose = |members: &Members| {
        let all: u64 = weights(members).values().sum();
        let light = |(node, weight): (&NodeId, &u64)| {
            3 * weight <= all && weight_beside(members, *node) == *weight
        };
        weights(members).iter().all(light)
    };
    let bar = if loose(&step.old) && loose(&step.new) { 1.2 } else { 2.5 };
    assert!(cost.copies <= bar * cost.copies_least + 2.0 * slack, "{bar} {cost:?}");
}

fn terms_rise_with_owners(before: &Table, after: &Table) {
    for ((slot, a), (_, b)) in before.places().zip(after.places()) {
        let wanted = if a.owner == b.owner { a.term == b.term } else { a.term < b.term };
        assert!(wanted, "{slot:?}: {a:?} {b:?}");
    }
}

/// The moves, taken one after the other, lead from the one table to the other.
fn moves_lead_there(step: &Step) {
    let mut places: Vec<Place> = step.before.places().map(|it| it.1).collect();
    for it in step.moves.iter() {
        let place = &mut places[usize::from(it.slot.0)];
        let role = match it.kind {
            MoveKind::Takeover => {
                assert_eq!(place.backup.take(), it.to);
                place.term = Term(place.term.0 + 1);
                &mut place.owner
            }
            MoveKind::Owner => {
                place.term = Term(place.term.0 + 2);
                &mut place.owner
            }
            MoveKind::Backup => &mut place.backup,
        };
        assert_eq!(std::mem::replace(role, it.to), it.from, "{it:?}");
    }
    assert!(step.after.places().map(|it| it.1).eq(places));
    let changed = step.before.places().ne(step.after.places());
    assert_eq!(step.after.version() - step.before.version(), u64::from(changed));
}

fn again_and_in_any_order_it_is_the_same(step: &Step, secret: [u64; 2], turn: usize) {
    let (again, moves) = step.after.next(&step.new);
    assert!(moves.is_empty() && again == step.after, "{} moves again", moves.iter().len());
    let mut list = step.new.list().to_vec();
    let middle = turn % list.len().max(1);
    list.rotate_left(middle);
    list.reverse();
    let shuffled = Members::new(secret, &list).unwrap();
    assert!(step.before.next(&shuffled).0 == step.after);
}

/// What the backups do by themselves is what the log says; where it gives a slot to somebody else again,
/// that one has a higher term.
fn a_takeover_agrees_with_the_log(world: &World, which: usize) {
    let seats: Vec<NodeId> = weights(&world.members()).into_keys().collect();
    let Some(dead) = seats.get(which % seats.len().max(1)).copied() else { return };
    let (alone, _) = world.table.takeover(dead);
    let mut later = world.clone();
    later.set(dead.0, State::Gone);
    let step = later.step_from(world.members());
    terms_rise_with_owners(&world.table, &alone);
    terms_rise_with_owners(&alone, &step.after);
    for (slot, before) in world.table.places().filter(|it| it.1.owner == Some(dead)) {
        assert_eq!(alone.place(slot).owner, before.backup.or(before.owner));
    }
    survivors_share(&step, dead);
}

/// Each survivor has more than before, if its share rises by more than its band leaves open.
fn survivors_share(step: &Step, dead: NodeId) {
    let (before, after) = (step.before.loads(), step.after.loads());
    let (was, is) = (super::world::fair(&step.old), super::world::fair(&step.new));
    for (node, (owned, _)) in is.iter().filter(|it| *it.0 != dead) {
        let rise = owned - was.get(node).map_or(0.0, |it| it.0);
        let of =
            |loads: &BTreeMap<_, crate::placement::Load>| loads.get(node).map_or(0, |it| it.owned);
        if rise > 0.04 * owned + 2.0 {
            assert!(of(&after) > of(&before), "node {node} takes nothing of {rise} slots");
        }
    }
}

fn it_comes_back_from_bytes(table: &Table) {
    let bytes = table.encode();
    assert!(bytes.len() <= TABLE_BYTES);
    assert!(Table::decode(&bytes).as_ref() == Ok(table));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn all_bars_hold_in_any_history(history in histories(), seed in any::<u64>()) {
        let mut world = World::new(seed);
        for (turn, events) in history.iter().enumerate() {
            let step = world.turn(events);
            each_slot_has_an_owner_and_another_backup(&step);
            nobody_is_above_its_cap(&step);
            racks_are_apart(&step);
            moves_are_few(&step);
            terms_rise_with_owners(&step.before, &step.after);
            moves_lead_there(&step);
            again_and_in_any_order_it_is_the_same(&step, world.secret, turn);
            a_takeover_agrees_with_the_log(&world, turn);
            it_comes_back_from_bytes(&step.after);
        }
    }

    /// In a cluster of equals, whatever its past: all others take over from who dies, at once, and none is
    /// more than a tenth above the cap that the log then holds it to.
    #[test]
    fn equals_share_what_a_dead_one_had(
        count in 3..=16_u16,
        past in vec(any::<u8>(), 0..4),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(seed);
        let join = Event::Join { weight: 100, rack: None };
        world.turn(&vec![join.clone(); usize::from(count)]);
        for at in past {
            world.turn(&[Event::Leave(at)]);
            world.turn(std::slice::from_ref(&join));
        }
        for dead in world.list.keys() {
            // Which slots a joiner takes is chance, so what one backs of another scatters like a count of it.
            let even = f64::from(SLOTS) / f64::from(count) / f64::from(count - 1);
            let most = 1.1 * even + 6.0 * even.sqrt();
            let (alone, _) = world.table.takeover(*dead);
            let before = world.table.loads();
            for (node, load) in alone.loads() {
                let more = f64::from(load.owned - before[&node].owned);
                prop_assert!(more >= 1.0 && more <= most, "{node}: {more} of {even}");
                let cap = cap(1, u64::from(count) - 1);
                prop_assert!(f64::from(load.owned) <= 1.1 * f64::from(cap), "{node} above {cap}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_table_are_refused(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let table = World::of(&[(100, None), (200, None), (100, None)]).table;
        let mut bytes = table.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // Whatever it is, it is another table, or none; and has one encoding.
        match Table::decode(&bytes) {
            Ok(other) => prop_assert!(other != table && other.encode() == bytes),
            Err(_) => prop_assert!(Table::decode(&bytes[..at]).is_err()),
        }
    }
}

/// The rule by which pairs are chosen says the same as the test's own.
#[test]
fn a_pair_within_a_rack_is_for_heavy_racks_only() {
    for (weights, within) in [([1_u16, 1, 1], false), ([1, 1, 2], false), ([3, 3, 2], true)] {
        let [a, b, c] = weights;
        let world = World::of(&[(a, Some(1)), (b, Some(1)), (c, Some(2))]);
        let members = world.members();
        let seats = members.seats();
        let shares = Shares::of(&seats);
        assert_eq!(may(&seats, &shares, Racks::Apart, 0, 1), within, "{weights:?}");
        assert!(may(&seats, &shares, Racks::Apart, 0, 2) && may(&seats, &shares, Racks::Any, 0, 1));
    }
}
