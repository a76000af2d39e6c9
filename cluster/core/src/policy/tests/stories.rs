//! Random lives of a cluster, and planted mistakes that they find.

use std::collections::BTreeMap;

use super::Flaw;
use super::world::{TICK, World};

/// A story: troubled times, then quiet ones, after which all must be well.
fn story(seed: u64, flaw: Option<Flaw>) -> World {
    let nodes = if seed.is_multiple_of(3) { 5 } else { 3 };
    let mut world = World::new(seed, nodes, flaw);
    for _ in 0..20_000 / TICK {
        world.step(false);
        if world.judge.violation.is_some() {
            return world;
        }
    }
    world.heal();
    for _ in 0..14_000 / TICK {
        world.step(true);
        if world.judge.violation.is_some() {
            return world;
        }
    }
    let mut judge = core::mem::take(&mut world.judge);
    judge.end(&world);
    world.judge = judge;
    world
}

/// The first seed that ends badly.
fn broken(flaw: Option<Flaw>, seeds: u64) -> Option<(u64, String)> {
    (0..seeds).find_map(|seed| Some((seed, story(seed, flaw).judge.violation?)))
}

/// Seeds: a few seconds' worth.
const SEEDS: u64 = 3_000;

/// What must have been seen, or the stories prove nothing.
const SEEN: [&str; 12] = [
    "done",
    "done, some excused",
    "too late",
    "unknown",
    "log: confirmed",
    "log: refused",
    "log: reverted",
    "log: withdrawn",
    "reverted alone",
    "took again",
    "cannot run",
    "stands still",
];

#[test]
fn whatever_befalls_the_nodes() {
    let mut seen = BTreeMap::new();
    for seed in 0..SEEDS {
        let world = story(seed, None);
        assert_eq!(world.judge.violation, None, "seed {seed}");
        assert_eq!(world.unanswered(), "", "seed {seed}: requests without an answer");
        for (what, count) in world.judge.seen {
            *seen.entry(what).or_insert(0) += count;
        }
    }
    for what in SEEN {
        assert!(seen.get(what).is_some_and(|count| *count >= 20), "{what}: {seen:?}");
    }
}

macro_rules! planted {
    ($($name:ident: $flaw:ident => [$($told:literal),*]),* $(,)?) => { $(
        #[test]
        fn $name() {
            let (seed, what) = broken(Some(Flaw::$flaw), 3 * SEEDS).expect("a seed that ends badly");
            let meant = [$($told),*].iter().any(|told| what.contains(told));
            assert!(meant, "seed {seed}: another mistake: {what}");
        }
    )* };
}

planted! {
    found_if_a_reverts_number_is_not_reserved: RevertNumberNotReserved => ["another"],
    found_if_requests_are_forgotten: RequestsForgotten => ["and as", "knows nothing"],
    found_if_told_before_saved: ToldBeforeSaved => ["remembers"],
    found_if_a_node_forwards_uncleared: ForwardsUncleared => ["forwards under"],
    found_if_the_deadline_is_forgotten: DeadlineForgotten => ["unconfirmed, due", "left over"],
    found_if_the_deadline_is_by_the_wall_clock: DeadlineByWallClock => ["unconfirmed, due", "went back from"],
    found_if_old_entries_are_taken: TakesOldEntries => ["lost the text", "unconfirmed, due"],
    found_if_a_node_stays_reverted_alone: StaysRevertedAlone => ["forwards under", "runs"],
    found_if_clearances_are_forgotten: ClearanceForgotten => ["forwards under"],
    found_if_a_refusal_is_ignored: RefusalIgnored => ["refused"],
    found_if_leases_are_not_waited_for: LeaseNotWaitedFor => ["forwards under"],
    found_if_a_stalled_node_keeps_its_clearance: ClearedWhileStalled => ["forwards under"],
    found_if_a_stall_outlives_a_clearance: StallOutlivesClearance => ["forwards under"],
    found_if_a_new_leader_trusts: NewLeaderTrusts => ["forwards under"],
}
