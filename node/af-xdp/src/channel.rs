//! The four rings of a socket and the frames in them. What the kernel does at the other end is
//! taken from the rings alone, so tests put a made-up kernel there.

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use crate::frame::Frame;
use crate::ring::{Consumer, Descriptor, Producer};
use crate::umem::{Endpoint, SlotId, Umem};
use std::sync::Arc;

/// Both directions between a UMEM and one queue of an interface.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) rings: Rings,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) slot: SlotId,
    pub(crate) shares: Shares,
    /// Frames in the fill ring, the kernel and the RX ring.
    filled: u32,
    /// Frames in the TX ring, the kernel and the completion ring.
    sending: u32,
    pub(crate) counters: Counters,
}

/// Our ends of the rings.
#[derive(Debug)]
pub(crate) struct Rings {
    pub(crate) fill: Producer<u64>,
    pub(crate) completion: Consumer<u64>,
    pub(crate) receive: Consumer<Descriptor>,
    pub(crate) transmit: Producer<Descriptor>,
}

/// Frames of the UMEM that one socket may keep with the kernel at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) fill: u32,
    pub(crate) transmit: u32,
}

/// What one socket has done, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub received: u64,
    /// Frames put into the TX ring.
    pub transmitted: u64,
    /// Frames that the kernel is done with.
    pub completed: u64,
    /// Frames too short to be sent (see [`SHORTEST_FRAME`](crate::limits::SHORTEST_FRAME)), freed
    /// instead.
    pub too_short: u64,
    /// Frames the device did not take: sent as far as the rings say, but dropped (copy mode).
    pub device_drops: u64,
    /// Calls made to get the kernel to send or receive.
    pub wakeups: u64,
}

impl Channel {
    pub(crate) fn new(rings: Rings, endpoint: Arc<Endpoint>, slot: SlotId, shares: Shares) -> Self {
        let counters = Counters::default();
        Self { rings, endpoint, slot, shares, filled: 0, sending: 0, counters }
    }

    /// Moves up to `limit` received frames to the end of `out`. How many.
    pub(crate) fn receive(&mut self, umem: &mut Umem, out: &mut Vec<Frame>, limit: usize) -> usize {
        let before = out.len();
        for _ in 0..limit {
            let Some(descriptor) = self.rings.receive.pop() else { break };
            if let Some(frame) = umem.accept_received(self.slot, descriptor) {
                out.push(frame);
            }
        }
        self.rings.receive.release();
        let received = out.len() - before;
        self.filled -= received as u32;
        self.counters.received += received as u64;
        received
    }

    /// Takes frames from the front of `frames` for as long as there is room. How many.
    pub(crate) fn transmit(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize {
        let share = self.shares.transmit.saturating_sub(self.sending);
        let wanted = u32::try_from(frames.len()).unwrap_or(u32::MAX).min(share);
        let accepted = self.rings.transmit.room(wanted) as usize;
        let mut sent = 0;
        for frame in frames.drain(..accepted) {
            if let Some(descriptor) = umem.give_transmit(self.slot, frame) {
                let pushed = self.rings.transmit.push(descriptor);
                debug_assert!(pushed, "room was made sure of");
                sent += 1;
            }
        }
        self.rings.transmit.submit();
        self.sending += sent;
        self.counters.transmitted += u64::from(sent);
        self.counters.too_short += accepted as u64 - u64::from(sent);
        accepted
    }

    /// Frees the frames that the kernel has sent. How many.
    pub(crate) fn complete(&mut self, umem: &mut Umem) -> usize {
        let mut completed = 0;
        while let Some(address) = self.rings.completion.pop() {
            completed += u32::from(umem.accept_completed(self.slot, address));
        }
        self.rings.completion.release();
        self.sending -= completed;
        self.counters.completed += u64::from(completed);
        completed as usize
    }

    /// Gives the kernel free frames to receive into, up to this socket's share. How many.
    pub(crate) fn refill(&mut self, umem: &mut Umem) -> usize {
        let wanted = self.shares.fill.saturating_sub(self.filled);
        let room = self.rings.fill.room(wanted);
        let mut given = 0;
        while given < room {
            let Some(address) = umem.give_fill(self.slot) else { break };
            let pushed = self.rings.fill.push(address);
            debug_assert!(pushed, "room was made sure of");
            given += 1;
        }
        self.rings.fill.submit();
        self.filled += given;
        given as usize
    }

    /// Frames waiting in the RX ring.
    pub(crate) fn waiting(&self) -> u32 {
        self.rings.receive.waiting()
    }
}
