//! A pair with a witness, and larger clusters: a majority decides.

use std::time::Duration;

use super::super::*;
use super::world::{World, longest_gap};

const WITNESS: usize = 2;

#[test]
fn power_loss_with_a_witness() {
    for seed in 0..20 {
        let mut world = World::settled(3, 1, seed);
        let at = world.now;
        world.power_loss(0);
        world.run_ms(400);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives(), [1]);
        let gap = longest_gap(&world, at, world.now);
        assert!(gap <= Duration::from_millis(100), "seed {seed}: {gap:?}");
    }
}

#[test]
fn a_cut_between_the_pair_makes_no_second_owner() {
    for seed in 0..20 {
        let mut world = World::settled(3, 1, seed);
        let from = world.now;
        world.cut_both(0, 1, true);
        world.run_ms(2_000);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives(), [0], "the witness keeps its promise");
        assert_eq!(longest_gap(&world, from, world.now), Duration::ZERO);
        world.cut_both(0, 1, false);
        world.run_ms(1_000);
        assert_eq!((world.actives(), world.role(1)), (vec![0], Some(Role::Standby)));
    }
}

#[test]
fn an_owner_without_a_majority_closes_and_the_rest_takes_over() {
    for seed in 0..20 {
        let mut world = World::settled(3, 1, seed);
        world.cut_both(0, 1, true);
        world.cut_both(0, WITNESS, true);
        world.run_ms(1_000);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives(), [1]);
        assert_eq!(world.role(0), Some(Role::Closed));
        assert!(!world.forwards(0) && world.hosts[0].addresses.is_empty());
        world.cut_both(0, 1, false);
        world.cut_both(0, WITNESS, false);
        world.run_ms(1_000);
        world.assert_safe();
        assert_eq!((world.actives(), world.role(0)), (vec![1], Some(Role::Standby)));
    }
}

#[test]
fn a_dead_witness_costs_nothing_until_the_second_death() {
    let mut world = World::settled(3, 1, 1);
    let from = world.now;
    world.power_loss(WITNESS);
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0]);
    assert_eq!(longest_gap(&world, from, world.now), Duration::ZERO);
    world.power_loss(0);
    world.run_ms(1_000);
    assert!(world.actives().is_empty(), "one of three is no majority");
    assert!(!world.forwards(1));
    world.start(WITNESS);
    world.run_ms(1_000);
    assert_eq!(world.actives(), [1]);
    world.assert_safe();
}

#[test]
fn a_witness_that_restarts_or_lost_its_disk_lets_nobody_else_in() {
    for seed in 0..30 {
        let mut world = World::settled(3, 1, seed);
        world.cut_both(0, 1, true);
        world.run_ms(200);
        for _ in 0..5 {
            world.kill(WITNESS);
            if seed % 2 == 0 {
                world.hosts[WITNESS].disk = Facts::default();
            }
            world.start(WITNESS);
            let ms = world.rng.below(120);
            world.run_ms(ms);
        }
        world.run_ms(1_000);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives().len(), 1);
        assert_ne!(world.role(WITNESS), Some(Role::Active));
    }
}

#[test]
fn a_witness_never_owns() {
    let mut world = World::new(3, 1, 2);
    world.start(WITNESS);
    world.run_ms(1_000);
    assert_eq!(world.role(WITNESS), Some(Role::Listening));
    assert!(world.view(WITNESS).fitness.has(Fitness::WITNESS));
    world.start(1);
    world.run_ms(1_000);
    assert_eq!(world.actives(), [1], "two of three");
}

#[test]
fn planned_switchover_with_a_witness() {
    for seed in 0..20 {
        let mut world = World::settled(3, 1, seed);
        let from = world.now;
        world.tell(0, Input::Request(Request::Failover));
        world.run_ms(500);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives(), [1]);
        let gap = longest_gap(&world, from, world.now);
        assert!(gap <= Duration::from_micros(2_400), "seed {seed}: {gap:?}");
        assert_eq!(world.view(1).term, Term(2), "one term, the one that was offered");
    }
}

#[test]
fn five_nodes_survive_two_deaths() {
    let mut world = World::settled(5, 0, 3);
    world.power_loss(0);
    world.run_ms(500);
    assert_eq!(world.actives(), [1], "the best of those that are left");
    world.power_loss(1);
    world.run_ms(500);
    assert_eq!(world.actives(), [2]);
    world.power_loss(2);
    world.run_ms(500);
    assert!(world.actives().is_empty());
    world.assert_safe();
    assert!(!world.overlapped);
}
