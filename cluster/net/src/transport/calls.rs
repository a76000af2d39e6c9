//! Calls: a question to a peer and its answer, each on a stream of its own, on a connection of their
//! own. So a long question delays no datagram, and no other question.
//!
//! ```text
//! question   channel u8 │ frame, or: channel u8 │ frame │ blocks │ empty block   (a tail, in blocks)
//! answer     frame
//! ```
//!
//! The channel says whom a question is for. Each has its own receiver, its own queue and its own room on
//! the connection, so that who answers slowly on one holds up nobody on the other.
//!
//! Each end keeps one connection to ask by, from the first call on, as long as the link stands.

use core::time::Duration;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use cluster_core::NodeId;
use quinn::Connection;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::arrival;
use super::backoff::Backoff;
use super::frames::{self, FrameError};
use super::link::{Fault, Link};
use super::protocol::{Close, Kind};
use super::shared::{self, Shared};
use crate::Counter;
use crate::limits::{
    ANSWER_BYTES, CALL_BLOCK_BYTES, CALL_BYTES, CALL_SILENCE, POLICY_CALLS, RAFT_CALLS,
};

/// Whom a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Raft.
    Raft,
    /// The machines of the policy.
    Policy,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Whom it is for.
    pub channel: Channel,
    /// The question, of at most [`CALL_BYTES`].
    pub message: Vec<u8>,
    /// What follows it, of at most [`crate::limits::CALL_TAIL_BYTES`]; empty: nothing.
    pub tail: Bytes,
    /// Whether it goes before others.
    pub urgency: Urgency,
}

/// Which of several questions goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody's patience is running out.
    Prompt,
    /// The usual.
    Usual,
    /// May take its time.
    Idle,
}

/// A question of a peer. Who drops it refuses to answer.
#[derive(Debug)]
pub struct Call {
    /// Who asks, by its certificate.
    pub node: NodeId,
    /// What it asks.
    pub message: Vec<u8>,
    /// What followed.
    pub tail: Vec<u8>,
    pub(super) reply: oneshot::Sender<Vec<u8>>,
}

/// Why there is no answer. The peer may have heard the question, but for [`CallError::Down`] and
/// [`CallError::TooLarge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The peer is not connected.
    Down,
    /// The question is longer than a peer takes.
    TooLarge,
    /// The connection broke, or the peer does not want to answer.
    Broken,
    /// The time is over.
    Late,
}

/// The asking side of a link.
#[derive(Debug)]
pub(super) struct Line {
    connection: watch::Sender<Option<Connection>>,
    wanted: Notify,
    born: Instant,
    /// Milliseconds from `born` to the last time that anything was heard.
    heard: AtomicU64,
    /// Packets received by then.
    packets: AtomicU64,
    /// Room for questions of each channel.
    room: [Semaphore; Channel::ALL.len()],
}

impl Channel {
    pub(super) const ALL: [Self; 2] = [Self::Raft, Self::Policy];

    /// Its number on the wire, which is never used for another one.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Raft => 1,
            Self::Policy => 2,
        }
    }

    /// The channel of this number.
    pub(super) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.number() == number)
    }

    /// Questions of one peer that are answered at a time.
    pub(super) const fn room(self) -> u32 {
        match self {
            Self::Raft => RAFT_CALLS,
            Self::Policy => POLICY_CALLS,
        }
    }
}

impl Call {
    /// Whether the peer still waits for an answer.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    /// Answers, with at most [`ANSWER_BYTES`].
    pub fn answer(self, bytes: Vec<u8>) {
        // An error means that the peer does not wait any more.
        let _ = self.reply.send(bytes);
    }
}

impl Urgency {
    const fn priority(self) -> i32 {
        match self {
            Self::Prompt => 1,
            Self::Usual => 0,
            Self::Idle => -1,
        }
    }
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            connection: watch::Sender::new(None),
            wanted: Notify::new(),
            born: Instant::now(),
            heard: AtomicU64::new(0),
            packets: AtomicU64::new(0),
            room: Channel::ALL.map(|channel| Semaphore::new(channel.room() as usize)),
        }
    }

    fn hear(&self) {
        self.heard.store(self.age(), Ordering::Relaxed);
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A connection that has been silent for long gets another one in its place: what waits in it
    /// for an acknowledgment is sent again at growing intervals, long after the path is well again.
    fn give_up_if_silent(&self) {
        // A long question on its way is acknowledged, if not answered.
        let connection = self.connection.borrow().clone();
        let packets = connection.as_ref().map_or(0, |it| it.stats().udp_rx.datagrams);
        if self.packets.swap(packets, Ordering::Relaxed) != packets {
            return self.hear();
        }
        let silent = self.age().saturating_sub(self.heard.load(Ordering::Relaxed));
        if u128::from(silent) < CALL_SILENCE.as_millis() {
            return;
        }
        if let Some(connection) = connection {
            connection.close(Close::Stalled.code(), b"");
        }
    }

    /// Which connection it is, for tests.
    #[cfg(test)]
    pub(super) fn id(&self) -> Option<usize> {
        self.connection.borrow().as_ref().map(Connection::stable_id)
    }

    pub(super) async fn connected(&self) -> Result<Connection, CallError> {
        self.wanted.notify_one();
        let mut connection = self.connection.subscribe();
        let found = connection.wait_for(Option::is_some).await.map_err(|_| CallError::Down)?;
        found.clone().ok_or(CallError::Down)
    }
}

/// Asks, and waits for the answer `within` a time.
pub(super) async fn call(
    shared: &Shared,
    node: NodeId,
    question: Question,
    within: Duration,
) -> Result<Vec<u8>, CallError> {
    let link = shared.switchboard.get(node).ok_or(CallError::Down)?;
    if question.message.len() > CALL_BYTES {
        shared.counters.count(Counter::OversizedFrame);
        return Err(CallError::TooLarge);
    }
    let asked = async {
        let room = &link.line.room[question.channel as usize];
        let _permit = room.acquire().await.map_err(|_| CallError::Broken)?;
        tokio::select! {
            connection = link.line.connected() => ask(&connection?, question, within).await,
            () = link.until_ended() => Err(CallError::Broken),
        }
    };
    let answer = timeout(within, asked).await.unwrap_or(Err(CallError::Late));
    match answer {
        Ok(_) => link.line.hear(),
        Err(CallError::Late) => {
            shared.counters.count(Counter::CallLate);
            link.line.give_up_if_silent();
        }
        Err(CallError::Down | CallError::TooLarge | CallError::Broken) => {}
    }
    answer
}

async fn ask(
    connection: &Connection,
    question: Question,
    within: Duration,
) -> Result<Vec<u8>, CallError> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(|_| CallError::Broken)?;
    let _ = send.set_priority(question.urgency.priority());
    frames::write_byte(&mut send, question.channel.number(), within).await.map_err(broken)?;
    frames::write(&mut send, &question.message, within).await.map_err(broken)?;
    for block in question.tail.chunks(CALL_BLOCK_BYTES) {
        frames::write(&mut send, block, within).await.map_err(broken)?;
    }
    if !question.tail.is_empty() {
        frames::write(&mut send, &[], within).await.map_err(broken)?;
    }
    send.finish().map_err(|_| CallError::Broken)?;
    frames::read(&mut receive, ANSWER_BYTES, within).await.map_err(broken)
}

fn broken(error: FrameError) -> CallError {
    match error {
        FrameError::Ended | FrameError::Oversized => CallError::Broken,
        FrameError::Stalled => CallError::Late,
    }
}

/// Keeps a link's connection for calls up, once one is wanted.
pub(super) async fn keep(shared: &Arc<Shared>, link: &Link) -> Fault {
    link.line.wanted.notified().await;
    let address = link.connection.remote_address();
    let mut backoff = Backoff::new(shared.timing.reconnect, shared::seed());
    loop {
        if let Some(shaken) = arrival::shake_hands(shared, address, Kind::Calls).await {
            if shaken.node == link.node {
                backoff.reset();
                link.line.hear();
                link.line.connection.send_replace(Some(shaken.connection.clone()));
                shaken.connection.closed().await;
                link.line.connection.send_replace(None);
            } else {
                shaken.connection.close(Close::NoPeer.code(), b"");
            }
        }
        sleep(backoff.pause()).await;
    }
}

/// Where calls of peers go; the last who asked for those of a channel has them.
#[derive(Debug, Default)]
pub(super) struct Switch([std::sync::RwLock<Option<mpsc::Sender<Call>>>; Channel::ALL.len()]);

impl Switch {
    pub(super) fn set(&self, channel: Channel, calls: mpsc::Sender<Call>) {
        let mut there = self.0[channel as usize].write().unwrap_or_else(PoisonError::into_inner);
        *there = Some(calls);
    }

    pub(super) fn get(&self, channel: Channel) -> Option<mpsc::Sender<Call>> {
        self.0[channel as usize].read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl core::fmt::Display for CallError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Down => "the peer is not connected",
            Self::TooLarge => "the question is longer than a peer takes",
            Self::Broken => "the connection broke, or the peer does not answer",
            Self::Late => "no answer in time",
        })
    }
}

impl core::error::Error for CallError {}
