//! Nodes that join, go, are replaced, or are all that is left.

use core::time::Duration;
use std::collections::BTreeSet;

use cluster_core::NodeId;

use super::super::wire::Generation;
use super::super::{Change, ProposeError, Timing};
use super::hosts::{BOUND, World};
use crate::Counter;

fn nodes(ids: &[u16]) -> BTreeSet<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

/// Little log is kept, so a node that lags needs a snapshot.
fn forgetful() -> Timing {
    Timing { snapshot_entries: 20, kept_entries: 5, ..Timing::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_learner_that_lags_gets_a_snapshot() {
    let mut world = World::voting_with(4, 3, forgetful()).await;
    for _ in 0..60 {
        world.request(50_000).await;
    }
    let leader = world.leader().await;
    let raft = world.raft(leader).clone();
    world.until("the log is cut", || raft.status().purged > Some(30)).await;
    assert!(raft.status().log_bytes < 60 * 50_000);
    world.start(4).await;
    world.change(4, Change::AddLearner(4)).await;
    world.agree().await;
    let status = world.raft(4).status();
    assert!(status.purged >= Some(30), "{status:?}");
    assert_eq!((status.voters, status.learners), (nodes(&[1, 2, 3]), nodes(&[4])));
    // And it starts again from that snapshot.
    let before = world.ledger(4);
    world.kill(4).await;
    world.start(4).await;
    let after = world.ledger(4);
    assert!(before.requests.iter().all(|(number, at)| after.requests.get(number) == Some(at)));
    world.request(10).await;
    world.agree().await;
}

/// A follower that was away for longer than the log is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_voter_that_was_away_gets_a_snapshot() {
    let mut world = World::voting_with(3, 3, forgetful()).await;
    world.request(10).await;
    let away = world.leader().await % 3 + 1;
    world.kill(away).await;
    for _ in 0..60 {
        world.request(1_000).await;
    }
    world.start(away).await;
    world.agree().await;
    world.request(10).await;
    world.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_voter_is_replaced() {
    let mut world = World::voting(4, 3).await;
    world.request(10).await;
    let dead = world.leader().await;
    world.kill(dead).await;
    world.request(10).await;
    world.start(4).await;
    world.change(4, Change::AddLearner(4)).await;
    world.change(4, Change::Replace { old: dead, new: 4 }).await;
    world.request(10).await;
    world.agree().await;
    let expected = nodes(&[1, 2, 3, 4]).into_iter().filter(|node| node.0 != dead).collect();
    assert_eq!(world.raft(4).status().voters, expected);
    // The new voter counts: one more may die.
    let next = world.leader().await;
    world.kill(next).await;
    world.request(10).await;
}

/// Learners have no vote, so dead ones are in nobody's way: with one voter, and with two.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_dead_learner_is_in_nobodys_way() {
    let mut world = World::voting(3, 1).await;
    world.start(2).await;
    world.start(3).await;
    world.change(2, Change::AddLearner(2)).await;
    world.change(3, Change::AddLearner(3)).await;
    world.kill(3).await;
    world.request(10).await;
    world.change(2, Change::Promote(2)).await;
    world.request(10).await;
    let leader = world.leader().await;
    let raft = world.raft(leader).clone();
    assert_eq!(raft.status().voters, nodes(&[1, 2]));
    // A pair that has lost one decides nothing.
    world.kill(3 - leader).await;
    let refused = world.try_request(leader, 999, 10, Duration::from_secs(3)).await;
    let open = [Err(ProposeError::Unknown), Err(ProposeError::NoLeader)];
    assert!(open.contains(&refused), "{refused:?}");
    let read = raft.ensure_linearizable(Duration::from_secs(1)).await;
    assert_eq!(read, Err(ProposeError::NoLeader));
    world.until("it says so", || raft.status().leadership.leader.is_none()).await;
    world.start(3 - leader).await;
    world.request(10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn members_come_and_go_from_one_to_five_and_back() {
    let mut world = World::voting(5, 5).await;
    world.request(10).await;
    assert_eq!(world.raft(1).status().voters, nodes(&[1, 2, 3, 4, 5]));
    let unknown = world.raft(1).change(Change::Promote(9), BOUND).await;
    assert!(matches!(unknown, Err(ProposeError::Impossible(_))), "{unknown:?}");
    for gone in [5, 4, 3, 2] {
        // Also when the one that goes leads.
        world.change(1, Change::Remove(gone)).await;
        world.kill(gone).await;
        world.request(10).await;
    }
    assert_eq!(world.raft(1).status().voters, nodes(&[1]));
    world.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_sole_survivor_goes_on_and_the_other_stays_out() {
    let mut world = World::voting(2, 2).await;
    for _ in 0..5 {
        world.request(10).await;
    }
    world.agree().await;
    world.kill(1).await;
    // Nobody knows whether this was agreed on: the survivor's log has it perhaps.
    let _ = world.try_request(2, 500, 10, Duration::from_millis(300)).await;
    world.raft(2).stop().await;
    world.kill(2).await;
    let store = loop {
        match world.store(2) {
            Some(store) => break store,
            None => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    let generation = store.survive_alone().await.unwrap();
    assert_eq!(generation, Generation { number: 2, founder: 2 });
    drop(store);
    world.start(2).await;
    world.request(10).await;
    assert_eq!(world.raft(2).status().voters, nodes(&[2]));
    let term = world.term(2);
    // The other comes back with the old history: it asks for votes in vain.
    world.start(1).await;
    world.until("it is refused", || world.count(2, Counter::RaftOtherGeneration) > 3).await;
    assert!(world.count(1, Counter::RaftRefusedForGeneration) > 0);
    world.request(10).await;
    assert_eq!(world.term(2), term);
    let refused = world.try_request(1, 999, 10, Duration::from_secs(1)).await;
    assert!(refused.is_err(), "{refused:?}");
    // Wiped, it joins like any other.
    world.kill(1).await;
    world.wipe(1);
    world.start(1).await;
    world.change(2, Change::AddLearner(1)).await;
    world.change(2, Change::Promote(1)).await;
    world.request(10).await;
    world.agree().await;
    assert_eq!(world.raft(1).status().generation, Some(generation));
    assert_eq!(world.raft(1).status().voters, nodes(&[1, 2]));
}
