//! What is planned: failover, drain, an unfit owner, and what stands against them.

use std::time::Duration;

use super::super::*;
use super::world::{World, longest_gap};

fn ask(world: &mut World, node: usize, request: Request) -> Result<(), Refused> {
    world.tell(node, Input::Request(request));
    *world.hosts[node].answers.last().unwrap()
}

#[test]
fn a_switchover_leaves_no_gap_longer_than_an_exchange() {
    for seed in 0..40 {
        let mut world = World::settled(2, 0, seed);
        let from = world.now;
        assert_eq!(ask(&mut world, 0, Request::Failover), Ok(()));
        world.run_ms(500);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!((world.actives(), world.role(0)), (vec![1], Some(Role::Standby)));
        // Workers stop within 2 ms here, and the word travels for at most 0.3 ms.
        let gap = longest_gap(&world, from, world.now);
        assert!(gap <= Duration::from_micros(2_400), "seed {seed}: {gap:?}");
        assert_eq!(world.hosts[0].passed_on, [NodeId(2)]);
        assert!(world.hosts[0].addresses.is_empty());
        let tally = world.hosts[1].member.as_ref().unwrap().tally();
        assert_eq!((tally.takeovers, tally.switchovers), (1, 1));
        assert_eq!(world.view(1).last_failover.unwrap().why, Why::Switchover);
    }
}

#[test]
fn there_and_back_many_times() {
    let mut world = World::settled(2, 0, 1);
    for round in 0..20 {
        let owner = round % 2;
        assert_eq!(ask(&mut world, owner, Request::Failover), Ok(()));
        world.run_ms(60);
        assert_eq!(world.actives(), [1 - owner], "round {round}");
    }
    world.assert_safe();
    assert!(!world.overlapped);
    assert_eq!(world.view(0).term, Term(21));
}

#[test]
fn a_slow_disk_of_the_peer_is_waited_for_while_forwarding() {
    let mut world = World::settled(2, 0, 2);
    world.hosts[1].disk_us = (300_000, 300_000);
    let from = world.now;
    ask(&mut world, 0, Request::Failover).unwrap();
    world.run_ms(250);
    assert_eq!(world.role(0), Some(Role::Yielding));
    world.run_ms(500);
    assert_eq!(world.actives(), [1]);
    assert!(longest_gap(&world, from, world.now) <= Duration::from_micros(2_400));
    world.assert_safe();
}

#[test]
fn a_slow_disk_of_the_owner_ends_its_lease_but_packets_are_passed_on_meanwhile() {
    let mut world = World::settled(2, 0, 13);
    world.hosts[0].disk_us = (300_000, 300_000);
    ask(&mut world, 0, Request::Failover).unwrap();
    world.run_ms(50);
    assert_eq!(world.role(0), Some(Role::Yielding));
    assert_eq!(world.hosts[0].passed_on, [NodeId(2)], "before the lease is over");
    assert!(world.forwards(0));
    world.run_ms(450);
    assert_eq!((world.actives(), world.hosts[0].passed_on.len()), (vec![1], 1));
    world.assert_safe();
    assert!(!world.overlapped);
}

#[test]
fn an_offer_that_is_not_taken_is_withdrawn() {
    let mut world = World::settled(2, 0, 3);
    world.hosts[1].disk_us = (900_000, 900_000);
    let from = world.now;
    ask(&mut world, 0, Request::Failover).unwrap();
    world.run_ms(700);
    assert_eq!(world.actives(), [0]);
    assert!(world.hosts[0].has(|event| *event == Event::SwitchoverFailed { to: NodeId(2) }));
    world.hosts[1].disk_us = (200, 2_000);
    world.run_ms(2_000);
    world.assert_safe();
    assert_eq!((world.actives(), world.role(1)), (vec![0], Some(Role::Standby)));
    assert_eq!(longest_gap(&world, from, world.now), Duration::ZERO);
    assert!(world.hosts[0].passed_on.is_empty());
}

#[test]
fn the_owner_dies_in_the_middle_of_a_switchover() {
    for delay_us in (0..6_000).step_by(200) {
        let mut world = World::settled(2, 0, delay_us);
        ask(&mut world, 0, Request::Failover).unwrap();
        world.run_until(world.now + delay_us * 1_000);
        world.kill(0);
        world.run_ms(300);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives(), [1], "after {delay_us} µs");
    }
}

#[test]
fn the_heir_dies_in_the_middle_of_a_switchover() {
    for delay_us in (0..6_000).step_by(200) {
        let mut world = World::settled(2, 0, delay_us);
        ask(&mut world, 0, Request::Failover).unwrap();
        world.run_until(world.now + delay_us * 1_000);
        world.kill(1);
        world.run_ms(300);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives(), [0], "after {delay_us} µs");
    }
}

#[test]
fn a_drained_node_votes_but_does_not_own_until_resumed() {
    let mut world = World::settled(2, 0, 4);
    assert_eq!(ask(&mut world, 0, Request::Drain), Ok(()));
    world.run_ms(500);
    assert_eq!((world.actives(), world.role(0)), (vec![1], Some(Role::Drained)));
    assert_eq!(
        ask(&mut world, 1, Request::Failover),
        Err(Refused::PeerUnfit(NodeId(1), Fitness::DRAINED))
    );
    world.kill(0);
    world.start(0);
    world.run_ms(500);
    assert_eq!(world.role(0), Some(Role::Drained), "a restart does not resume");
    world.power_loss(1);
    world.run_ms(500);
    assert_eq!(world.role(0), Some(Role::Drained));
    assert!(!world.forwards(0));
    assert_eq!(ask(&mut world, 0, Request::Resume), Ok(()));
    world.run_ms(500);
    assert_eq!(world.actives(), [0]);
    assert_eq!(ask(&mut world, 0, Request::Resume), Err(Refused::NotDrained));
    world.assert_safe();
}

#[test]
fn a_link_that_stays_down_moves_the_ownership_once() {
    let mut world = World::settled(2, 0, 5);
    let from = world.now;
    world.tell(0, Input::Fitness(Fitness::PORT_DOWN));
    world.run_ms(60);
    world.tell(0, Input::Fitness(Fitness::FIT));
    world.run_ms(300);
    assert_eq!(world.actives(), [0], "it only bounced");
    world.tell(0, Input::Fitness(Fitness::PORT_DOWN));
    world.run_ms(300);
    assert_eq!(world.actives(), [1]);
    world.tell(0, Input::Fitness(Fitness::FIT));
    world.run_ms(500);
    assert_eq!(world.actives(), [1], "no preemption");
    world.tell(1, Input::Fitness(Fitness::TARGET_UNREACHABLE));
    world.run_ms(2_000);
    assert_eq!(world.actives(), [1], "it rests");
    world.run_ms(9_000);
    assert_eq!(world.actives(), [0], "and then moves");
    assert!(longest_gap(&world, from, world.now) <= Duration::from_micros(2_400));
    world.assert_safe();
    assert!(!world.overlapped);
}

#[test]
fn an_impaired_owner_without_a_better_peer_goes_on() {
    let mut world = World::settled(2, 0, 6);
    for node in 0..2 {
        world.tell(node, Input::Fitness(Fitness::PORT_DOWN));
    }
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0]);
    world.power_loss(0);
    world.run_ms(500);
    assert_eq!(world.actives(), [1], "an impaired one is better than none");
}

#[test]
fn stuck_workers_or_a_planned_end_close_the_owner_and_the_peer_takes_over_at_once() {
    for seed in 0..20 {
        let mut world = World::settled(2, 0, seed);
        let from = world.now;
        let why = if seed % 2 == 0 { Fitness::WORKERS_STUCK } else { Fitness::STOPPING };
        world.tell(0, Input::Fitness(why));
        world.run_ms(500);
        world.assert_safe();
        assert!(!world.overlapped);
        assert_eq!(world.actives(), [1]);
        let gap = longest_gap(&world, from, world.now);
        assert!(gap < Duration::from_millis(10), "{gap:?}");
        assert_eq!(world.view(1).last_failover.unwrap().why, Why::OwnerStopped);
    }
}

#[test]
fn requests_are_refused_with_the_reason() {
    let mut world = World::settled(2, 0, 7);
    assert_eq!(ask(&mut world, 1, Request::Failover), Err(Refused::NotOwner(Some(NodeId(1)))));
    assert_eq!(ask(&mut world, 1, Request::Resume), Err(Refused::NotDrained));
    assert_eq!(ask(&mut world, 1, Request::Claim), Err(Refused::Owned(NodeId(1))));
    for (input, why) in [
        (
            Input::Readiness(Readiness::BulkRunning),
            Refused::PeerNotReady(NodeId(2), Readiness::BulkRunning),
        ),
        (Input::Fitness(Fitness::PORT_DOWN), Refused::PeerUnfit(NodeId(2), Fitness::PORT_DOWN)),
        (Input::Policy([9; 16]), Refused::PeerPolicyDiffers(NodeId(2))),
    ] {
        world.tell(1, input);
        world.run_ms(50);
        for request in [Request::Failover, Request::Drain] {
            assert_eq!(ask(&mut world, 0, request), Err(why));
        }
        world.tell(1, Input::Readiness(Readiness::Ready));
        world.tell(1, Input::Fitness(Fitness::FIT));
        world.tell(1, Input::Policy([0; 16]));
        world.run_ms(50);
    }
    ask(&mut world, 0, Request::Failover).unwrap();
    for request in [Request::Failover, Request::Drain] {
        assert_eq!(ask(&mut world, 0, request), Err(Refused::Busy));
    }
    world.run_ms(500);
    world.power_loss(0);
    world.run_ms(300);
    assert_eq!(ask(&mut world, 1, Request::Failover), Err(Refused::NoPeer));
    world.tell(1, Input::Fitness(Fitness::WORKERS_STUCK));
    let unable = Refused::Unable(Fitness::WORKERS_STUCK);
    assert_eq!(ask(&mut world, 1, Request::Claim), Err(unable));
}

#[test]
fn a_node_with_another_policy_does_not_take_over_unless_told_to() {
    let mut world = World::settled(2, 0, 8);
    world.tell(1, Input::Policy([9; 16]));
    world.run_ms(100);
    world.power_loss(0);
    world.run_ms(1_000);
    assert_eq!(world.role(1), Some(Role::Standby));
    assert!(world.view(1).policy_differs);
    let told = |event: &&(u64, Event)| event.1 == Event::PolicyDiffers { owner: NodeId(1) };
    assert_eq!(world.hosts[1].events.iter().filter(told).count(), 1);
    assert_eq!(ask(&mut world, 1, Request::Claim), Ok(()));
    world.run_ms(100);
    assert_eq!(world.actives(), [1]);
    world.assert_safe();
}

/// Node 2 owned with another policy than node 1's, died, and is back: it knows of no owner, node 1 has
/// the better rank, and would wait for node 2.
#[test]
fn an_owner_that_returns_owns_if_the_other_stands_back() {
    let mut world = World::settled(2, 0, 10);
    assert_eq!(ask(&mut world, 0, Request::Failover), Ok(()));
    world.run_ms(100);
    assert_eq!(world.actives(), [1]);
    world.tell(1, Input::Policy([9; 16]));
    world.run_ms(100);
    world.power_loss(1);
    world.run_ms(1_000);
    assert!(world.actives().is_empty() && world.view(0).policy_differs);
    world.start(1);
    world.tell(1, Input::Policy([9; 16]));
    world.run_ms(500);
    assert_eq!(world.actives(), [1]);
    world.assert_safe();
}

/// As above, but it comes back with the policy of node 1: nothing stands against that one any more.
#[test]
fn an_owner_that_returns_with_the_others_policy_lets_it_own() {
    let mut world = World::settled(2, 0, 11);
    assert_eq!(ask(&mut world, 0, Request::Failover), Ok(()));
    world.run_ms(100);
    world.tell(1, Input::Policy([9; 16]));
    world.run_ms(100);
    world.power_loss(1);
    world.run_ms(1_000);
    world.start(1);
    world.run_ms(500);
    assert_eq!(world.actives(), [0]);
    world.assert_safe();
}

#[test]
fn a_node_that_is_not_ready_takes_over_from_the_dead_only() {
    let mut world = World::settled(2, 0, 9);
    world.tell(1, Input::Readiness(Readiness::BulkWaiting));
    world.tell(0, Input::Fitness(Fitness::PORT_DOWN));
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0], "fitter, but not ready");
    world.power_loss(0);
    world.run_ms(300);
    assert_eq!(world.actives(), [1]);
    world.assert_safe();
}

#[test]
fn a_better_rank_takes_it_back_only_where_asked_for() {
    for preempt in [false, true] {
        let mut world = World::new(2, 0, 10);
        for node in 0..2 {
            world.hosts[node].config.preempt = preempt;
        }
        world.start(1);
        world.run_ms(500);
        assert_eq!(world.actives(), [1]);
        world.start(0);
        world.run_ms(2_000);
        assert_eq!(world.actives(), [usize::from(!preempt)]);
        world.assert_safe();
        assert!(!world.overlapped);
    }
}
