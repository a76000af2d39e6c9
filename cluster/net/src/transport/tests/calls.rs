//! Questions and answers.

use core::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::nodes::{Cluster, Node, within};
use super::*;
use crate::limits::{CALL_BLOCK_BYTES, CALL_BYTES, POLICY_CALLS};
use crate::transport::frames;

fn question(message: &[u8], tail: usize) -> Question {
    let tail = (0..tail).map(|at| (at % 251) as u8).collect::<Vec<_>>();
    let (channel, urgency) = (Channel::Raft, Urgency::Usual);
    Question { channel, message: message.to_vec(), tail: Bytes::from(tail), urgency }
}

/// A small question.
fn small(channel: Channel) -> Question {
    Question { channel, ..question(b"?", 0) }
}

/// Answers all questions with this.
fn answering(mut calls: mpsc::Receiver<Call>, answer: &'static [u8]) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            call.answer(answer.to_vec());
        }
    })
}

const PATIENT: Duration = Duration::from_secs(20);

async fn pair(cluster: &Cluster) -> (Node, Node) {
    let mut a = cluster.node(1).start();
    let b = cluster.node(2).calling(&a).start();
    assert_eq!(a.up().await.0, NodeId(2));
    (a, b)
}

#[tokio::test]
async fn questions_are_answered_both_ways_with_their_tails() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    for (from, to) in [(&a, &b), (&b, &a)] {
        let mut calls = to.sender().answer_calls(Channel::Raft);
        for tail in [0, 1, CALL_BLOCK_BYTES, 3 * CALL_BLOCK_BYTES + 7] {
            let asked = question(b"what?", tail);
            let answer = from.sender().call(to.id, asked.clone(), PATIENT);
            let answering = async {
                let call = calls.recv().await.unwrap();
                assert_eq!((call.node, &call.message[..]), (from.id, &b"what?"[..]));
                assert_eq!(call.tail, asked.tail);
                call.answer(tail.to_string().into_bytes());
            };
            let (answer, ()) = within(async { tokio::join!(answer, answering) }).await;
            assert_eq!(answer, Ok(tail.to_string().into_bytes()));
        }
    }
    a.counted(&[]).await;
    b.counted(&[]).await;
}

#[tokio::test]
async fn what_is_not_answered_says_why() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let ask = async |within| a.sender().call(NodeId(2), question(b"?", 0), within).await;
    let stranger = a.sender().call(NodeId(9), question(b"?", 0), PATIENT).await;
    assert_eq!(stranger, Err(CallError::Down));
    let long = a.sender().call(NodeId(2), question(&vec![0; CALL_BYTES + 1], 0), PATIENT).await;
    assert_eq!(long, Err(CallError::TooLarge));
    // Nobody answers any questions there.
    assert_eq!(ask(PATIENT).await, Err(CallError::Broken));
    b.counted(&[(Counter::CallUnwanted, 1)]).await;
    // Somebody takes them, and says nothing.
    let calls = b.sender().answer_calls(Channel::Raft);
    assert_eq!(ask(Duration::from_millis(200)).await, Err(CallError::Late));
    a.counted(&[(Counter::OversizedFrame, 1), (Counter::CallLate, 1)]).await;
    // Somebody takes them no more.
    drop(calls);
    assert_eq!(ask(PATIENT).await, Err(CallError::Broken));
    b.counted(&[(Counter::CallUnwanted, 2)]).await;
}

#[tokio::test]
async fn each_channel_has_its_own_answerer() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let ask = async |channel| a.sender().call(NodeId(2), small(channel), PATIENT).await;
    let raft = answering(b.sender().answer_calls(Channel::Raft), b"raft");
    // Nobody answers the policy's questions yet.
    assert_eq!(ask(Channel::Policy).await, Err(CallError::Broken));
    b.counted(&[(Counter::CallUnwanted, 1)]).await;
    let policy = answering(b.sender().answer_calls(Channel::Policy), b"policy");
    assert_eq!(ask(Channel::Raft).await, Ok(b"raft".to_vec()));
    assert_eq!(ask(Channel::Policy).await, Ok(b"policy".to_vec()));
    // Who takes over one channel leaves the other alone.
    let other = answering(b.sender().answer_calls(Channel::Raft), b"other");
    assert_eq!(ask(Channel::Raft).await, Ok(b"other".to_vec()));
    assert_eq!(ask(Channel::Policy).await, Ok(b"policy".to_vec()));
    b.counted(&[(Counter::CallUnwanted, 1)]).await;
    [raft, policy, other].iter().for_each(JoinHandle::abort);
}

/// What a newer node may ask is refused before it is read, and the connection stays.
#[tokio::test]
async fn an_unknown_channel_is_refused_and_counted() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let answering = answering(b.sender().answer_calls(Channel::Raft), b"yes");
    let link = a.sender().shared.switchboard.get(NodeId(2)).unwrap();
    let connection = within(link.line.connected()).await.unwrap();
    for (nth, number) in (1..).zip([0, 3, u8::MAX]) {
        let (mut send, mut receive) = within(connection.open_bi()).await.unwrap();
        frames::write_byte(&mut send, number, PATIENT).await.unwrap();
        // The refusal may overtake it.
        let _ = frames::write(&mut send, b"?", PATIENT).await;
        let answer = within(frames::read(&mut receive, 9, PATIENT)).await;
        assert_eq!(answer, Err(frames::FrameError::Ended));
        b.counted(&[(Counter::CallUnwanted, nth)]).await;
    }
    let asked = a.sender().call(NodeId(2), small(Channel::Raft), PATIENT).await;
    assert_eq!(asked, Ok(b"yes".to_vec()));
    assert_eq!(link.line.id(), Some(connection.stable_id()));
    answering.abort();
}

/// Questions that are not answered fill their channel's room on the connection, and no other's.
#[tokio::test]
async fn a_channel_that_waits_leaves_the_other_its_room() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let mut policy = b.sender().answer_calls(Channel::Policy);
    let raft = answering(b.sender().answer_calls(Channel::Raft), b"yes");
    let mut asking = JoinSet::new();
    for _ in 0..=POLICY_CALLS {
        let sender = a.sender().clone();
        asking.spawn(async move { sender.call(NodeId(2), small(Channel::Policy), PATIENT).await });
    }
    let mut held = Vec::new();
    while held.len() < POLICY_CALLS as usize {
        held.push(within(policy.recv()).await.unwrap());
    }
    let asked = a.sender().call(NodeId(2), small(Channel::Raft), PATIENT).await;
    assert_eq!(asked, Ok(b"yes".to_vec()));
    assert!(policy.try_recv().is_err(), "the last one waits at the asker");
    held.pop().unwrap().answer(Vec::new());
    held.push(within(policy.recv()).await.unwrap());
    held.into_iter().for_each(|call| call.answer(Vec::new()));
    while let Some(asked) = within(asking.join_next()).await {
        assert_eq!(asked.unwrap(), Ok(Vec::new()));
    }
    b.counted(&[]).await;
    raft.abort();
}

/// Questions whose askers have given up make room for others on the connection, and wait in the queue:
/// in that of their channel.
#[tokio::test]
async fn a_full_queue_refuses() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let _calls = b.sender().answer_calls(Channel::Policy);
    let raft = answering(b.sender().answer_calls(Channel::Raft), b"yes");
    let mut refused = 0;
    let asking = async {
        while b.counters.get(Counter::CallsFull) == 0 {
            let within = Duration::from_millis(5);
            let asked = a.sender().call(NodeId(2), small(Channel::Policy), within).await;
            refused += u32::from(asked == Err(CallError::Broken));
        }
    };
    within(asking).await;
    assert_eq!(refused, 1);
    let asked = a.sender().call(NodeId(2), small(Channel::Raft), PATIENT).await;
    assert_eq!(asked, Ok(b"yes".to_vec()));
    assert_eq!(b.counters.get(Counter::CallsFull), 1);
    assert_eq!(b.counters.get(Counter::CallUnwanted), 0);
    raft.abort();
}

/// A connection in which nothing is heard for long is replaced; the link stays.
#[tokio::test]
async fn a_silent_connection_is_replaced() {
    let cluster = Cluster::new(2);
    let (a, b) = pair(&cluster).await;
    let answering = answering(b.sender().answer_calls(Channel::Raft), b"");
    let ask = async |within| a.sender().call(NodeId(2), question(b"?", 0), within).await;
    assert_eq!(ask(PATIENT).await, Ok(Vec::new()));
    let link = a.sender().shared.switchboard.get(NodeId(2)).unwrap();
    let first = link.line.id().unwrap();
    a.sender().cut([b.address()].into());
    b.sender().cut([a.address()].into());
    // The first says that something was heard since the last, the others that nothing was.
    for _ in 0..4 {
        assert_eq!(ask(Duration::from_millis(400)).await, Err(CallError::Late));
    }
    a.sender().cut(BTreeSet::new());
    b.sender().cut(BTreeSet::new());
    // The question that finds the old connection closed is told so.
    while ask(PATIENT).await != Ok(Vec::new()) {}
    assert_ne!(link.line.id().unwrap(), first);
    assert_eq!(a.sender().peers(), [(NodeId(2), Boot(1))]);
    answering.abort();
}
