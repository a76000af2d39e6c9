//! Nodes that cannot hear each other.

use core::time::Duration;

use cluster_core::NodeId;
use tokio::time::sleep;

use super::super::{ProposeError, Timing};
use super::hosts::World;

/// Many times longer than an election takes, the watchdog's included.
const LONG: Duration = Duration::from_secs(6);

/// Pre-vote: who hears nobody asks, and gets no answer that would let its term grow. When it is back,
/// nobody has to step down.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_term_of_an_isolated_voter_does_not_grow() {
    let mut world = World::voting(3, 3).await;
    world.request(10).await;
    let leader = world.leader().await;
    let alone = leader % 3 + 1;
    world.agree().await;
    let term = world.term(leader);
    world.isolate(&[alone]);
    let seen = world.raft(alone).leadership();
    world.until("it hears no leader", || seen.borrow().leader.is_none()).await;
    sleep(LONG).await;
    assert_eq!(world.term(alone), term);
    world.request(10).await;
    world.isolate(&[]);
    world.agree().await;
    assert_eq!(world.leader().await, leader);
    assert_eq!([1, 2, 3].map(|node| world.term(node)), [term; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_that_is_cut_off_decides_nothing_and_learns_what_others_did() {
    let mut world = World::voting(3, 3).await;
    for round in 0..3 {
        world.request(10).await;
        let old = world.leader().await;
        world.isolate(&[old]);
        let lost = 9_000 + round;
        let (refused, read) = tokio::join!(
            world.try_request(old, lost, 10, Duration::from_secs(1)),
            world.raft(old).ensure_linearizable(Duration::from_secs(1)),
        );
        let open = [Err(ProposeError::Unknown), Err(ProposeError::NoLeader)];
        assert!(open.contains(&refused), "{refused:?}");
        assert_eq!(read, Err(ProposeError::NoLeader));
        // The others elect, and go on.
        let other = old % 3 + 1;
        let number = 8_000 + round;
        world
            .until("others lead", || {
                let seen = *world.raft(other).leadership().borrow();
                seen.leader.is_some_and(|leader| leader != NodeId(old))
            })
            .await;
        world.try_request(other, number, 10, Duration::from_secs(10)).await.unwrap();
        world.acknowledged.insert(number);
        assert!(!world.ledger(old).requests.contains_key(&number));
        world.isolate(&[]);
        world.agree().await;
        // What the old leader could not have agreed on is gone.
        assert!(!world.ledger(old).requests.contains_key(&lost));
    }
}

/// Longer than the transport's own idle timeout, so that all connections are made anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn all_apart_and_together_again() {
    let mut world = World::voting_with(5, 5, Timing::default()).await;
    world.request(10).await;
    world.isolate(&[1, 2]);
    let survivor = world.raft(4).leadership();
    world.until("three lead", || survivor.borrow().leader.is_some_and(|it| it.0 > 2)).await;
    let number = 7_000;
    world.try_request(4, number, 10, Duration::from_secs(10)).await.unwrap();
    world.acknowledged.insert(number);
    sleep(2 * LONG).await;
    world.isolate(&[]);
    world.agree().await;
    world.request(10).await;
    world.agree().await;
}
