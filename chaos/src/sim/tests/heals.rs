//! What is said after a cut of every way is mended.

use core::time::Duration;

use wire::Time;

use super::super::fault::{Fault, Planned, Target};
use super::super::topology::Sim;
use super::super::world::World;

fn planned(at: u64, lasts: u64, target: Target, fault: Fault) -> Planned {
    Planned { at: Time::from_millis(at), lasts: Duration::from_millis(lasts), target, fault }
}

/// Both nodes were believed; only one still forwards. A host that only listens must hear of it.
#[test]
fn hosts_learn_at_once_who_forwards_after_a_split() {
    // Later than the first owner's last announcement, five seconds after it began.
    let apart = planned(7_000, 1_000, Target::Owner, Fault::Apart);
    let mut world = World::with_faults(Sim::new(21, 40), vec![apart]);
    world.run_until(Time::from_millis(7_900));
    assert_eq!(world.overlap.splits, 1);
    assert!(world.hosts.as_flattened().iter().all(|it| it.gateway == Some(1)), "the later one");
    world.run_until(Time::from_millis(8_100));
    assert_eq!(world.violation, None);
    assert!(
        world.hosts.as_flattened().iter().all(|it| it.gateway == Some(0)),
        "the one that stays"
    );
}

/// The owner is paused and has lost its lease by the time that the other is heard again.
#[test]
fn a_split_is_told_though_one_of_both_had_ceased_before_it_healed() {
    let faults = vec![
        planned(5_000, 3_000, Target::Owner, Fault::Apart),
        planned(7_800, 190, Target::Owner, Fault::Pause),
    ];
    let mut world = World::with_faults(Sim::new(22, 40), faults);
    world.run();
    assert_eq!(world.violation, None);
    assert_eq!(world.overlap.splits, 1);
}
