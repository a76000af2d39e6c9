//! What goes wrong unplanned: deaths, pauses, cuts, returns.

use std::time::Duration;

use super::super::*;
use super::world::{MS, World, longest_gap};

/// When node 1 began to forward after `from`.
fn began(world: &World, node: usize, from: u64) -> u64 {
    let intervals = &world.hosts[node].intervals;
    intervals.iter().map(|(start, _)| *start).find(|start| *start >= from).unwrap()
}

fn took_over(world: &World, node: usize) -> (Why, Duration) {
    let took = |(_, event): &(u64, Event)| {
        let Event::TookOver { why, detection, .. } = event else { return None };
        Some((*why, *detection))
    };
    world.hosts[node].events.iter().rev().find_map(took).unwrap()
}

#[test]
fn power_loss_is_over_in_a_tenth_of_a_second() {
    let mut took_ms: Vec<u64> = Vec::new();
    for seed in 0..40 {
        let mut world = World::settled(2, 0, seed);
        let phase = world.rng.below(10);
        world.run_ms(phase);
        let at = world.now;
        world.power_loss(0);
        world.run_ms(300);
        world.assert_safe();
        assert_eq!(world.actives(), [1]);
        took_ms.push((began(&world, 1, at) - at) / MS);
        let (why, detection) = took_over(&world, 1);
        assert_eq!(why, Why::OwnerSilent);
        assert!((75..77).contains(&detection.as_millis()), "{detection:?}");
        let failover = world.view(1).last_failover.unwrap();
        assert_eq!((failover.from, failover.term), (Some(NodeId(1)), Term(2)));
        assert!(failover.claiming <= Duration::from_millis(3), "{failover:?}");
        assert_eq!(world.hosts[1].addresses.len(), 1);
        assert!(world.hosts[1].announced >= 2, "at once and after 50 ms");
    }
    took_ms.sort_unstable();
    assert!(took_ms[20] <= 80 && took_ms[39] <= 90, "{took_ms:?}");
}

#[test]
fn kill_leaves_the_lease_word_which_ends_before_the_takeover() {
    for seed in 0..20 {
        let mut world = World::settled(2, 0, seed);
        let at = world.now;
        world.kill(0);
        world.run_ms(300);
        world.assert_safe();
        assert_eq!(world.actives(), [1]);
        let last = world.hosts[0].intervals.last().unwrap().1;
        assert!(last > at + 40 * MS, "the word outlived the daemon");
        assert!(last < began(&world, 1, at), "and ended in time");
        assert!(!world.overlapped);
    }
}

#[test]
fn a_stopped_owner_is_taken_over_from_and_stays_standby() {
    for seed in 0..20 {
        let mut world = World::settled(2, 0, seed);
        world.pause(0, 2_000);
        world.run_ms(1_999);
        assert_eq!(world.role(1), Some(Role::Active));
        let resumed = world.now;
        world.run_ms(1_000);
        world.assert_safe();
        assert_eq!((world.actives(), world.role(0)), (vec![1], Some(Role::Standby)));
        assert!(
            world.hosts[0]
                .has(|event| matches!(event, Event::Paused(gap) if gap.as_millis() > 1_900))
        );
        assert!(world.hosts[0].addresses.is_empty());
        assert_eq!(longest_gap(&world, resumed, world.now), Duration::ZERO);
    }
}

/// Its peer died as owner long before; what it said then is no claim, however fresh a pause makes it look.
#[test]
fn a_stopped_owner_without_peer_does_not_follow_the_dead_one() {
    for seed in 0..20 {
        let mut world = World::settled(2, 0, seed);
        world.power_loss(0);
        world.run_ms(500);
        assert_eq!(world.actives(), [1]);
        world.pause(1, 2_000);
        world.run_ms(2_000);
        let resumed = world.now;
        world.tell(1, Input::Policy([9; 16]));
        world.run_ms(300);
        assert_eq!(world.actives(), [1], "seed {seed}");
        let gap = longest_gap(&world, resumed, world.now);
        assert!(gap < Duration::from_millis(150), "{gap:?}");
        world.assert_safe();
    }
}

#[test]
fn a_stopped_or_dead_standby_costs_nothing_nor_does_its_return() {
    for seed in 0..20 {
        let mut world = World::settled(2, 0, seed);
        let from = world.now;
        world.pause(1, 2_000);
        world.run_ms(2_500);
        world.power_loss(1);
        world.run_ms(500);
        world.start(1);
        world.run_ms(500);
        world.assert_safe();
        assert_eq!((world.actives(), world.role(1)), (vec![0], Some(Role::Standby)));
        assert_eq!(longest_gap(&world, from, world.now), Duration::ZERO, "seed {seed}");
        assert_eq!(world.view(0).term, Term(1), "nobody claimed anything");
    }
}

#[test]
fn an_old_owner_that_returns_stays_standby() {
    let mut world = World::settled(2, 0, 1);
    world.power_loss(0);
    world.run_ms(500);
    let from = world.now;
    world.start(0);
    world.run_ms(2_000);
    world.assert_safe();
    assert_eq!((world.actives(), world.role(0)), (vec![1], Some(Role::Standby)));
    assert_eq!(longest_gap(&world, from, world.now), Duration::ZERO);
    let view = world.view(0);
    assert_eq!((view.owner, view.term, view.vote), (Some(NodeId(2)), Term(2), Some(NodeId(2))));
}

#[test]
fn a_cut_fabric_alone_moves_nothing() {
    let mut world = World::settled(2, 0, 2);
    let from = world.now;
    for (a, b) in [(0, 1), (1, 0)] {
        world.line(a, b, 0).cut = true;
    }
    world.run_ms(1_000);
    world.assert_safe();
    assert_eq!((world.actives(), world.role(1)), (vec![0], Some(Role::Standby)));
    assert_eq!(longest_gap(&world, from, world.now), Duration::ZERO);
    for node in 0..2 {
        let down = |event: &Event| matches!(event, Event::Path { path: PathId(0), up: false, .. });
        assert!(world.hosts[node].has(down));
        let states: Vec<_> = world.view(node).members[0].paths.iter().map(|it| it.state).collect();
        assert_eq!(states, [liveness::State::Down, liveness::State::Up]);
    }
}

#[test]
fn who_is_not_heard_is_taken_over_from_and_has_stopped_before() {
    for seed in 0..20 {
        let mut world = World::settled(2, 0, seed);
        world.cut(0, 1, true);
        world.run_ms(500);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives(), [1]);
        assert_eq!(world.role(0), Some(Role::Standby), "it hears the new owner");
        world.cut(0, 1, false);
        world.run_ms(500);
        world.assert_safe();
        assert_eq!(world.actives(), [1], "and does not take it back");
    }
}

#[test]
fn who_does_not_hear_goes_on() {
    for seed in 0..20 {
        let mut world = World::settled(2, 0, seed);
        let from = world.now;
        world.cut(1, 0, true);
        world.run_ms(500);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!((world.actives(), world.role(1)), (vec![0], Some(Role::Standby)));
        world.cut(1, 0, false);
        world.run_ms(500);
        world.assert_safe();
        assert_eq!(world.actives(), [0]);
        let gap = longest_gap(&world, from, world.now);
        assert_eq!(gap, Duration::ZERO, "seed {seed}");
        let split = |event: &Event| matches!(event, Event::SplitHealed { .. });
        assert!(!world.hosts[0].has(split), "there was none");
    }
}

#[test]
fn a_split_is_healed_by_the_better_one_and_marked() {
    for seed in 0..20 {
        let mut world = World::settled(2, 0, seed);
        let from = world.now;
        world.cut_both(0, 1, true);
        world.run_ms(1_000);
        assert_eq!(world.actives(), [0, 1]);
        assert!(world.overlapped, "both forward while nothing is heard");
        let healed = world.now;
        world.cut_both(0, 1, false);
        world.run_ms(500);
        world.assert_safe();
        assert_eq!((world.actives(), world.role(1)), (vec![0], Some(Role::Standby)));
        assert_eq!(world.view(0).term, Term(3), "above both");
        assert_eq!(world.hosts[0].owning, Some(Term(3)));
        let gap = longest_gap(&world, healed, world.now);
        assert!(gap <= Duration::from_millis(20), "two votes on disk: {gap:?}");
        for host in &world.hosts {
            let marked = |event: &Event| {
                let Event::SplitHealed { from: began, to } = event else { return false };
                *began >= host.clock(from) && *to >= host.clock(healed)
            };
            assert!(host.has(marked), "seed {seed}: {:?}", host.events);
        }
    }
}

#[test]
fn alone_none_forwards_nothing_without_the_peer() {
    let mut world = World::new(2, 0, 3);
    for node in 0..2 {
        world.hosts[node].config.alone = Alone::None;
        world.start(node);
    }
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0]);
    world.power_loss(0);
    world.run_ms(1_000);
    assert_eq!(world.role(1), Some(Role::Standby));
    assert!(world.hosts[1].intervals.is_empty());
    world.start(0);
    world.run_ms(1_000);
    assert_eq!(world.actives().len(), 1, "both are there again");
    world.cut_both(0, 1, true);
    world.run_ms(1_000);
    assert!(world.actives().is_empty());
    assert!((0..2).all(|node| !world.forwards(node) && world.hosts[node].addresses.is_empty()));
    world.assert_safe();
    assert!(!world.overlapped);
}

#[test]
fn a_single_node_owns_by_itself() {
    let mut world = World::new(1, 0, 4);
    world.start(0);
    world.run_ms(500);
    let from = world.now;
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0]);
    assert_eq!(longest_gap(&world, from, world.now), Duration::ZERO);
}

#[test]
fn of_two_that_boot_at_once_exactly_one_owns() {
    for seed in 0..60 {
        let mut world = World::new(2, 0, seed);
        let first = world.rng.below(2) as usize;
        world.start(first);
        let ms = world.rng.below(140);
        world.run_ms(ms);
        world.start(1 - first);
        world.run_ms(1_000);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives().len(), 1, "seed {seed}");
        let owner = world.actives()[0];
        assert_eq!(world.role(1 - owner), Some(Role::Standby));
        if ms < 40 {
            assert_eq!(owner, 0, "the better rank, when both are new");
        }
    }
}

#[test]
fn a_node_whose_disk_was_lost_comes_back_as_standby() {
    for seed in 0..10 {
        let mut world = World::new(2, 0, seed);
        world.hosts[1].boot = 5_000;
        world.start(0);
        world.start(1);
        world.run_ms(1_000);
        world.power_loss(1);
        world.run_ms(1_200);
        world.hosts[1].disk = Facts::default();
        world.hosts[1].boot = 3_000;
        let from = world.now;
        world.start(1);
        world.run_ms(1_000);
        world.assert_safe();
        assert_eq!((world.actives(), world.role(1)), (vec![0], Some(Role::Standby)));
        assert_eq!(world.view(1).term, Term(1), "it learned the term");
        assert_eq!(longest_gap(&world, from, world.now), Duration::ZERO);
        world.power_loss(0);
        world.run_ms(500);
        assert_eq!((world.actives(), world.hosts[1].owning), (vec![1], Some(Term(2))));
        world.assert_safe();
    }
}

#[test]
fn terms_survive_restarts() {
    let mut world = World::settled(2, 0, 6);
    let mut last = world.hosts[0].owning.unwrap();
    for _ in 0..5 {
        world.power_loss(0);
        world.power_loss(1);
        world.run_ms(100);
        world.start(0);
        world.start(1);
        world.run_ms(1_000);
        let owner = world.actives()[0];
        let term = world.hosts[owner].owning.unwrap();
        assert!(term > last, "{term:?} after {last:?}");
        last = term;
    }
    world.assert_safe();
}

#[test]
fn a_longer_lease_of_the_owner_is_waited_for() {
    let mut world = World::new(2, 0, 7);
    let slow = Duration::from_millis(300);
    let timing = Timing { lease: slow, takeover: slow + slow, ..Timing::default() };
    world.hosts[0].config.timing = timing;
    world.start(0);
    world.start(1);
    world.run_ms(2_000);
    assert_eq!(world.actives(), [0]);
    world.kill(0);
    world.run_ms(1_000);
    world.assert_safe();
    assert!(!world.overlapped);
    assert_eq!(world.actives(), [1]);
}

#[test]
fn a_clock_that_goes_back_is_held() {
    let config = super::world::config(0, 1, 0, 0);
    let mut member = Member::new(config, Boot(1), Facts::default(), Time::from_secs(9)).unwrap();
    member.handle(Input::Timeout, Time::from_secs(8));
    assert!(member.next_deadline().unwrap() > Time::from_secs(9));
    assert_eq!(member.tally().pauses, 0);
}

/// Two claims that are on their way to slow disks at once: the weaker one must not claim anew while the
/// stronger one raises its term above it.
#[test]
fn an_owner_that_was_unable_for_a_moment_does_not_begin_a_race_of_claims() {
    for seed in 0..60 {
        let mut world = World::settled(2, 0, seed);
        world.hosts.iter_mut().for_each(|host| host.disk_us = (5_000, 30_000));
        let (from, term) = (world.now, world.view(0).term);
        world.tell(0, Input::Fitness(Fitness::WORKERS_STUCK));
        let spell = 5 + world.rng.below(40);
        world.run_ms(spell);
        world.tell(0, Input::Fitness(Fitness::FIT));
        world.run_ms(1_000);
        world.assert_safe();
        assert_eq!(world.actives().len(), 1, "seed {seed}");
        let gap = longest_gap(&world, from, world.now);
        let claims = world.view(0).term.0.max(world.view(1).term.0) - term.0;
        assert!(claims <= 3 && gap.as_millis() <= 200, "seed {seed}: {claims} claims, {gap:?}");
    }
}
