//! What a cluster does when nothing is wrong, and what it refuses.

use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use cluster_core::NodeId;

use super::super::types::{LeaderId, SnapshotMeta, Vote};
use super::super::wire::{self, Answer, Ask, Generation, Question, Refusal, Tag};
use super::super::{Applied, Change, ProposeError, RaftError, Timing};
use super::hosts::{BOUND, World};
use super::ledger::request;
use crate::Counter;
use crate::limits::RAFT_COMMAND_BYTES;
use crate::transport::{self, Channel, Urgency};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_single_node_keeps_what_it_was_told() {
    let mut world = World::voting(1, 1).await;
    for _ in 0..10 {
        world.request(10).await;
    }
    let before = world.ledger(1);
    let mut told = world.applied(1);
    let begun = Instant::now();
    while told.len() < 11 && begun.elapsed() < BOUND {
        tokio::task::yield_now().await;
        told.extend(world.applied(1));
    }
    assert_eq!(told[0], Applied::Restored { index: None });
    let indexes: Vec<u64> = before.requests.values().copied().collect();
    let outcomes = indexes.iter().map(|index| Applied::Command {
        index: *index,
        outcome: Bytes::from(index.to_be_bytes().to_vec()),
    });
    assert_eq!(told[1..], outcomes.collect::<Vec<_>>());
    assert!(matches!(world.raft(1).initialize().await, Err(RaftError::NotEmpty)));
    world.kill(1).await;
    world.start(1).await;
    // What was applied is applied from the first moment, without an election.
    assert_eq!(world.ledger(1), before);
    let mut first = world.applied(1);
    while first.is_empty() && begun.elapsed() < BOUND {
        tokio::task::yield_now().await;
        first = world.applied(1);
    }
    let Applied::Restored { index } = first[0] else { panic!("{first:?}") };
    assert!(index >= indexes.last().copied(), "{index:?}");
    world.request(10).await;
    assert!(world.raft(1).status().sync_times.count() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_node_proposes_and_reads_what_all_agreed_on() {
    let mut world = World::voting(3, 3).await;
    let leader = world.leader().await;
    for number in 100..130 {
        let at = (number % 3 + 1) as u16;
        let proposed = world.try_request(at, number, 10, BOUND).await.unwrap();
        assert_eq!(proposed.outcome[..], proposed.index.to_be_bytes());
        world.acknowledged.insert(number);
        // Read at another node: not older.
        let reader = (number % 2 + u64::from(at)) as u16 % 3 + 1;
        let read = world.raft(reader).ensure_linearizable(BOUND).await.unwrap();
        assert!(read >= proposed.index);
        assert!(world.ledger(reader).requests.contains_key(&number));
    }
    world.agree().await;
    for node in 1..=3 {
        let status = world.raft(node).status();
        assert_eq!(status.voters, [1, 2, 3].map(NodeId).into());
        assert_eq!(status.leadership.leader, Some(NodeId(leader)), "{status:?}");
        assert_eq!(status.generation, Some(Generation { number: 1, founder: 1 }));
    }
    let long = Bytes::from(vec![0; RAFT_COMMAND_BYTES + 1]);
    assert_eq!(world.raft(1).propose(long, BOUND).await, Err(ProposeError::TooLarge));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_lets_another_lead() {
    let mut world = World::voting(3, 3).await;
    for _ in 0..3 {
        world.request(10).await;
        let leader = world.leader().await;
        let heir = leader % 3 + 1;
        let stranger = world.raft(leader).transfer_to(NodeId(9)).await;
        assert!(matches!(stranger, Err(ProposeError::Impossible(_))));
        assert_eq!(world.raft(heir).transfer_to(NodeId(leader)).await, Err(ProposeError::NoLeader));
        world.raft(leader).transfer_to(NodeId(heir)).await.unwrap();
        let seen = world.raft(heir).leadership();
        world.until("the heir leads", || seen.borrow().own).await;
    }
    world.request(10).await;
    world.agree().await;
}

/// The largest revision takes its time, and nobody takes the leader for dead meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_entry_of_32_mib_disturbs_no_leader() {
    let _alone = super::ALONE.lock().await;
    let mut world = World::voting(3, 3).await;
    let (leader, term) = (world.leader().await, world.term(1));
    let follower = leader % 3 + 1;
    let within = Duration::from_secs(30);
    world.try_request(follower, 7, 32 << 20, within).await.unwrap();
    world.acknowledged.insert(7);
    world.request(10).await;
    world.agree().await;
    assert_eq!(world.leader().await, leader);
    assert_eq!([1, 2, 3].map(|node| world.term(node)), [term; 3]);
}

/// openraft's own timer is off; the watchdog alone finds a leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_watchdog_ends_a_time_without_leader() {
    let timing = Timing { campaigns: false, ..Timing::default() };
    let mut world = World::voting_with(3, 3, timing).await;
    world.request(10).await;
    let leader = world.leader().await;
    world.kill(leader).await;
    world.request(10).await;
    let campaigns: u64 =
        world.up().iter().map(|node| world.count(*node, Counter::RaftLeaderless)).sum();
    assert!(campaigns > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_cannot_be_read_is_refused_and_counted() {
    let mut world = World::voting(2, 2).await;
    world.request(10).await;
    let asked = async |message: Vec<u8>| {
        let tail = Bytes::from_static(b"no snapshot");
        let (channel, urgency) = (Channel::Raft, Urgency::Usual);
        let question = transport::Question { channel, message, tail, urgency };
        let answer = world.sender(2).call(NodeId(1), question, BOUND).await.unwrap();
        wire::decode::<Answer>(Tag::Answer, &answer).unwrap()
    };
    assert_eq!(asked(vec![1, 2, 3]).await, Answer::Refused(Refusal::Malformed));
    assert_eq!(world.count(1, Counter::RaftMalformed), 1);
    let ours = Generation { number: 1, founder: 1 };
    for theirs in [Generation { founder: 2, ..ours }, Generation { number: 2, ..ours }] {
        let question = Question { generation: Some(theirs), body: Ask::ReadIndex };
        let message = wire::encode(Tag::Question, &question).unwrap();
        assert_eq!(asked(message).await, Answer::Refused(Refusal::Generation(Some(ours))));
    }
    assert_eq!(world.count(1, Counter::RaftOtherGeneration), 2);
    // A snapshot that the machine cannot read never reaches openraft.
    let vote = Vote { leader_id: LeaderId { term: 99, node_id: 2 }, committed: true };
    let body = Ask::Snapshot { vote: (&vote).into(), meta: (&SnapshotMeta::default()).into() };
    let message = wire::encode(Tag::Question, &Question { generation: Some(ours), body }).unwrap();
    let refused = asked(message).await;
    assert!(matches!(refused, Answer::Refused(Refusal::Impossible(_))), "{refused:?}");
    assert_eq!(world.count(1, Counter::RaftSnapshotMalformed), 1);
    world.request(10).await;
}

/// Who is no member any more is thrown out, and its questions with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_is_no_member_is_refused_and_counted() {
    let mut world = World::voting(3, 3).await;
    world.request(10).await;
    world.change(1, Change::Remove(3)).await;
    for node in [1, 2] {
        world.sender(node).set_members([1, 2].map(NodeId).into());
    }
    world.until("it is refused", || world.count(1, Counter::NotAMember) > 0).await;
    let refused = world.try_request(3, 999, 10, Duration::from_secs(1)).await;
    assert!(refused.is_err(), "{refused:?}");
    world.kill(3).await;
    world.request(10).await;
    world.agree().await;
    assert!(!world.ledger(1).requests.contains_key(&999));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_raft_that_stopped_says_so() {
    let world = World::voting(1, 1).await;
    let raft = world.raft(1).clone();
    raft.stop().await;
    let refused = raft.propose(request(1, 1), BOUND).await;
    assert!(matches!(refused, Err(ProposeError::Stopped | ProposeError::Unknown)), "{refused:?}");
}
