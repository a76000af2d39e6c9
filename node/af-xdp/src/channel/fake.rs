//! The kernel's side of a channel, in memory.
#![allow(unsafe_code)]

use super::{Channel, Rings, Shares};
use crate::mapping::Mapping;
use crate::ring::{Consumer, Descriptor, Entry, Layout, Producer};
use crate::umem::{Endpoint, Umem};
use std::sync::Arc;

/// Layout of a ring as the kernel's: each index in a cache line of its own.
const LAYOUT: Layout = Layout { producer: 0, consumer: 64, flags: 128, entries: 192 };

/// A kernel that takes frames and returns them in any order, honestly or not.
pub(crate) struct FakeKernel {
    fill: Consumer<u64>,
    completion: Producer<u64>,
    receive: Producer<Descriptor>,
    transmit: Consumer<Descriptor>,
    /// Addresses of frames taken from the fill ring.
    pub(crate) receiving: Vec<u64>,
    /// Frames taken from the TX ring.
    pub(crate) sending: Vec<Descriptor>,
}

/// Both sides of a new channel on `umem`.
pub(crate) fn channel(
    umem: &mut Umem,
    queue: u32,
    ring: u32,
    shares: Shares,
) -> (Channel, FakeKernel) {
    let endpoint = Endpoint { fd: None, interface: 1, queue, need_wakeup: false };
    let endpoint = Arc::new(endpoint);
    let slot = umem.register(&endpoint).unwrap();
    let (fill, kernel_fill) = ends(ring);
    let (kernel_completion, completion) = ends(ring);
    let (kernel_receive, receive) = ends(ring);
    let (transmit, kernel_transmit) = ends(ring);
    let rings = Rings { fill, completion, receive, transmit };
    let kernel = FakeKernel {
        fill: kernel_fill,
        completion: kernel_completion,
        receive: kernel_receive,
        transmit: kernel_transmit,
        receiving: Vec::new(),
        sending: Vec::new(),
    };
    (Channel::new(rings, endpoint, slot, shares), kernel)
}

/// Both ends of a new ring.
pub(crate) fn ends<T: Entry>(size: u32) -> (Producer<T>, Consumer<T>) {
    let mapping = Arc::new(Mapping::anonymous(LAYOUT.bytes::<T>(size), false).unwrap());
    // SAFETY: the memory was made here and is known to these two ends only.
    unsafe {
        (Producer::new(Arc::clone(&mapping), LAYOUT, size), Consumer::new(mapping, LAYOUT, size))
    }
}

impl FakeKernel {
    /// Takes up to `count` frames from the fill ring.
    pub(crate) fn take_fill(&mut self, count: usize) {
        self.receiving.extend(std::iter::from_fn(|| self.fill.pop()).take(count));
        self.fill.release();
    }

    /// Puts one of the taken frames into the RX ring, `len` bytes of data 256 bytes into it. False
    /// if there is none, or the ring is full.
    pub(crate) fn deliver(&mut self, which: usize, len: u32) -> bool {
        if self.receiving.is_empty() || self.receive.room(1) == 0 {
            return false;
        }
        let address = self.receiving.swap_remove(which % self.receiving.len()) + 256;
        self.deliver_raw(Descriptor { address, len, options: 0 })
    }

    /// Puts any descriptor into the RX ring.
    pub(crate) fn deliver_raw(&mut self, descriptor: Descriptor) -> bool {
        let pushed = self.receive.push(descriptor);
        self.receive.submit();
        pushed
    }

    /// Takes up to `count` frames from the TX ring.
    pub(crate) fn take_transmit(&mut self, count: usize) {
        self.sending.extend(std::iter::from_fn(|| self.transmit.pop()).take(count));
        self.transmit.release();
    }

    /// Puts one of the taken frames into the completion ring.
    pub(crate) fn complete(&mut self, which: usize) -> bool {
        if self.sending.is_empty() || self.completion.room(1) == 0 {
            return false;
        }
        let sent = self.sending.swap_remove(which % self.sending.len());
        self.complete_raw(sent.address)
    }

    /// Puts any address into the completion ring.
    pub(crate) fn complete_raw(&mut self, address: u64) -> bool {
        let pushed = self.completion.push(address);
        self.completion.submit();
        pushed
    }
}
