//! Where packets come from and go to: an AF_XDP queue, or a twin of it in memory.
//!
//! The worker is generic over [`Port`], so that the shipped loop is what tests, captures and the
//! simulator run. All ports of a worker share its UMEM: forwarding moves a frame, not its bytes.

use std::collections::VecDeque;

use af_xdp::{Frame, Umem};

/// One queue of one network interface, or something that behaves like one.
pub trait Port {
    /// Moves at most `room` received frames to the end of `into`; returns how many.
    fn receive(&mut self, umem: &mut Umem, into: &mut Vec<Frame>, room: usize) -> usize;

    /// Moves frames from the front of `backlog` to the wire, as many as there is room for.
    fn transmit(&mut self, umem: &mut Umem, backlog: &mut Vec<Frame>);

    /// Has the device send what it was given.
    fn kick(&mut self) {}

    /// Once a turn: takes sent frames back, gives the device frames to fill, wakes it.
    fn service(&mut self, umem: &mut Umem);

    /// Whether frames that were accepted are still to be sent: the worker must not sleep.
    fn sending(&self) -> bool;

    /// Whether nothing can be sent for now, whatever waits: the interface is down or gone. The worker
    /// may sleep all the same.
    fn stalled(&self) -> bool {
        false
    }
}

/// A port in memory: what is put in arrives, what is sent stays to be looked at.
#[derive(Debug, Default)]
pub struct MemoryPort {
    arriving: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
    /// Frames that may still be sent; `None` is no bound.
    pub room: Option<usize>,
}

impl MemoryPort {
    /// Makes `frame` arrive.
    pub fn arrive(&mut self, frame: impl Into<Vec<u8>>) {
        self.arriving.push_back(frame.into());
    }

    /// Takes out the oldest frame that was sent.
    pub fn sent(&mut self) -> Option<Vec<u8>> {
        self.sent.pop_front()
    }

    /// Frames that have not been received yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.arriving.len()
    }
}

impl Port for MemoryPort {
    fn receive(&mut self, umem: &mut Umem, into: &mut Vec<Frame>, room: usize) -> usize {
        let mut received = 0;
        while received < room && !self.arriving.is_empty() {
            let Some(mut frame) = umem.alloc() else { break };
            let Some(bytes) = self.arriving.pop_front() else {
                umem.free(frame);
                break;
            };
            match umem.write(&mut frame, &bytes) {
                Ok(()) => {
                    into.push(frame);
                    received += 1;
                }
                // As a device does with a frame longer than its buffers.
                Err(_) => umem.free(frame),
            }
        }
        received
    }

    fn transmit(&mut self, umem: &mut Umem, backlog: &mut Vec<Frame>) {
        let taken = self.room.map_or(backlog.len(), |room| room.min(backlog.len()));
        for frame in backlog.drain(..taken) {
            self.sent.push_back(umem.data(&frame).to_vec());
            umem.free(frame);
        }
        self.room = self.room.map(|room| room - taken);
    }

    fn service(&mut self, _: &mut Umem) {}

    fn sending(&self) -> bool {
        false
    }
}
