//! Packets that made a flow actor panic, and the switch that plants such a panic on purpose.

use std::collections::VecDeque;

use engine::PortId;
use wire::Time;

use crate::limits::POISON_KEPT;

/// A frame that was in hand when a flow actor panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison {
    /// When it happened.
    pub time: Time,
    /// Where the frame arrived.
    pub ingress: PortId,
    /// The frame as it was left, from its Ethernet header on.
    pub frame: Vec<u8>,
}

/// The last few poisonous frames of a worker.
#[derive(Debug, Default)]
pub(crate) struct PoisonStore {
    kept: VecDeque<Poison>,
}

impl PoisonStore {
    /// Keeps a frame; the oldest makes room.
    pub(crate) fn keep(&mut self, poison: Poison) {
        if self.kept.len() == POISON_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(poison);
    }

    /// Takes out the oldest frame kept.
    pub(crate) fn take(&mut self) -> Option<Poison> {
        self.kept.pop_front()
    }
}

/// A planted panic, to prove supervision with the shipped program: the worker panics when it decides
/// a frame that contains the pattern. Armed only by an operator of a node with `failpoints = true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failpoint {
    /// Bytes that make a frame poisonous, anywhere in it.
    pub pattern: Vec<u8>,
    /// Panics left.
    pub times: u32,
}

impl Failpoint {
    /// Whether `frame` is to panic; counts down.
    pub(crate) fn strikes(&mut self, frame: &[u8]) -> bool {
        let hit = self.times > 0
            && !self.pattern.is_empty()
            && frame.windows(self.pattern.len()).any(|window| window == self.pattern);
        self.times -= u32::from(hit);
        hit
    }
}
