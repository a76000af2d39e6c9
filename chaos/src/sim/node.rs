//! A node: what its kernel and its disk keep, and the daemon that may or may not run on it.

use std::collections::VecDeque;

use core::time::Duration;

use cluster_core::membership::PathId;
use cluster_core::membership::messages::Facts;
use engine::PortId;
use wire::Time;

use super::clock::Clock;
use super::daemon::Daemon;
use super::planted::Planted;
use crate::limits::{RING_FRAMES, SOCKET_MESSAGES};

/// A node of the pair.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) index: usize,
    pub(crate) clock: Clock,
    pub(crate) daemon: Option<Daemon>,
    /// Reasons why it has no power, and why its daemon is not to run.
    pub(crate) dark: u32,
    pub(crate) killed: u32,
    /// Reasons why nothing of the daemon runs.
    pub(crate) pauses: u32,
    /// How long everything may take, by each reason why it is slow.
    pub(crate) slow: Vec<Duration>,
    pub(crate) disk: Facts,
    /// When the disk has done what it was given: it writes one thing after the other.
    pub(crate) disk_busy: Time,
    pub(crate) boots: u32,
    /// The lease word: until when its program lets transit pass, by its own clock.
    pub(crate) lease: Option<Time>,
    /// Whether the group's addresses are on its ports.
    pub(crate) addresses: bool,
    pub(crate) ring: VecDeque<(PortId, Vec<u8>)>,
    pub(crate) sockets: VecDeque<Message>,
    /// When it is run next, in the world's time.
    pub(crate) wake_at: Time,
    pub(crate) books: Books,
}

/// What lies in a node's sockets.
#[derive(Debug)]
pub(crate) enum Message {
    Heartbeat(PathId, Vec<u8>),
    Replication(Vec<u8>),
}

/// Frames at the node's edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) arrived: u64,
    /// Dropped by the program, which saw no lease.
    pub(crate) no_lease: u64,
    pub(crate) ring_full: u64,
    pub(crate) sockets_full: u64,
    /// Nobody was there to take them.
    pub(crate) lost: u64,
    pub(crate) given: u64,
    /// Given to the engine that runs now, and got from it.
    pub(crate) given_now: u64,
    pub(crate) emitted_now: u64,
    /// Not sent, because the lease had ended meanwhile.
    pub(crate) discarded: u64,
}

impl Node {
    /// Whether there is a daemon to ask.
    pub(crate) fn answers(&self) -> bool {
        self.daemon.is_some() && self.pauses == 0
    }

    pub(crate) fn new(index: usize, clock: Clock) -> Self {
        Self {
            index,
            clock,
            daemon: None,
            dark: 0,
            killed: 0,
            pauses: 0,
            slow: Vec::new(),
            disk: Facts::default(),
            disk_busy: Time::ZERO,
            boots: 0,
            lease: None,
            addresses: false,
            ring: VecDeque::new(),
            sockets: VecDeque::new(),
            wake_at: Time::MAX,
            books: Books::default(),
        }
    }

    /// What its clock shows.
    pub(crate) fn local(&self, now: Time) -> Time {
        self.clock.local(now)
    }

    /// Whether its lease word covers `local`.
    pub(crate) fn has_lease(&self, local: Time, planted: Planted) -> bool {
        planted == Planted::IgnoresTheLease || self.lease.is_some_and(|until| local <= until)
    }

    pub(crate) const fn has_power(&self) -> bool {
        self.dark == 0
    }

    /// Whether a message is looked at as soon as it comes.
    pub(crate) fn is_prompt(&self) -> bool {
        self.daemon.is_some() && self.pauses == 0 && self.slow.is_empty()
    }

    /// Whether the daemon runs, and without delay, and could take the other one's place.
    pub(crate) fn is_sound(&self) -> bool {
        self.is_prompt() && self.daemon.as_ref().is_some_and(Daemon::is_sound)
    }

    /// A frame waits in the ring.
    pub(crate) fn queue_frame(&mut self, port: PortId, frame: Vec<u8>) {
        if self.ring.len() < RING_FRAMES {
            self.ring.push_back((port, frame));
        } else {
            self.books.ring_full += 1;
        }
    }

    /// A message waits in a socket.
    pub(crate) fn queue_message(&mut self, message: Message) {
        if self.sockets.len() < SOCKET_MESSAGES {
            self.sockets.push_back(message);
        } else {
            self.books.sockets_full += 1;
        }
    }

    /// The daemon is gone, with all that waited for it.
    pub(crate) fn lose_daemon(&mut self) {
        self.daemon = None;
        self.books.lost += self.ring.len() as u64;
        self.ring.clear();
        self.sockets.clear();
        self.wake_at = Time::MAX;
    }

    /// The node is to be run at `at` of the world's time.
    pub(crate) fn wake_by(&mut self, at: Time) {
        self.wake_at = self.wake_at.min(at);
    }
}
