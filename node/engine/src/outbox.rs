//! Frames that the engine wants to send besides the one in hand: answers, fragments of a
//! reassembled datagram, packets whose next hop has been found.
//!
//! One byte arena, filled by the engine during a packet and drained by the driver after it; nothing
//! is allocated after construction.

use std::collections::VecDeque;

use crate::PortId;
use crate::limits::{OUTBOX_BYTES, OUTBOX_FRAMES};

/// A bounded queue of frames with their egress ports.
#[derive(Debug)]
pub struct Outbox {
    arena: Vec<u8>,
    used: usize,
    entries: VecDeque<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    port: PortId,
    start: usize,
    len: usize,
}

impl Outbox {
    /// An empty outbox with all its memory.
    pub(crate) fn new() -> Self {
        Self {
            arena: vec![0; OUTBOX_BYTES],
            used: 0,
            entries: VecDeque::with_capacity(OUTBOX_FRAMES),
        }
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Queues a frame of at most `max` bytes that `write` fills; `write` returns its length, or
    /// `None` to queue nothing. Returns whether a frame was queued.
    pub(crate) fn push_with(
        &mut self,
        port: PortId,
        max: usize,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> bool {
        if self.entries.len() >= OUTBOX_FRAMES {
            return false;
        }
        let Some(space) = self.arena.get_mut(self.used..self.used + max) else { return false };
        let Some(len) = write(space).filter(|len| *len <= max) else { return false };
        self.entries.push_back(Entry { port, start: self.used, len });
        self.used += len;
        true
    }

    /// Queues a copy of `frame`. Returns whether there was room.
    pub(crate) fn push(&mut self, port: PortId, frame: &[u8]) -> bool {
        self.push_with(port, frame.len(), |space| {
            space.copy_from_slice(frame);
            Some(frame.len())
        })
    }

    /// Takes the oldest frame out.
    pub fn pop(&mut self) -> Option<(PortId, &[u8])> {
        let Entry { port, start, len } = self.entries.pop_front()?;
        if self.entries.is_empty() {
            // The bytes of the last entry stay readable until the next push.
            self.used = 0;
        }
        Some((port, &self.arena[start..start + len]))
    }
}

#[cfg(test)]
mod tests {
    use super::Outbox;
    use crate::PortId;
    use crate::limits::{OUTBOX_BYTES, OUTBOX_FRAMES};

    #[test]
    fn frames_leave_in_order_with_their_ports() {
        let mut outbox = Outbox::new();
        assert!(outbox.push(PortId(1), b"first"));
        assert!(outbox.push(PortId(2), b"second"));
        assert_eq!(outbox.pop(), Some((PortId(1), &b"first"[..])));
        assert_eq!(outbox.pop(), Some((PortId(2), &b"second"[..])));
        assert_eq!(outbox.pop(), None);
    }

    #[test]
    fn is_bounded_in_frames_and_bytes() {
        let mut outbox = Outbox::new();
        let pushed = (0..=OUTBOX_FRAMES).filter(|_| outbox.push(PortId(0), b"x")).count();
        assert_eq!(pushed, OUTBOX_FRAMES);
        while outbox.pop().is_some() {}
        assert!(outbox.push(PortId(0), &vec![0; OUTBOX_BYTES]));
        assert!(!outbox.push(PortId(0), b"x"));
    }

    #[test]
    fn a_refused_write_takes_no_room() {
        let mut outbox = Outbox::new();
        assert!(!outbox.push_with(PortId(0), 100, |_| None));
        assert!(!outbox.push_with(PortId(0), 100, |_| Some(101)));
        assert!(outbox.is_empty());
    }
}
