#![allow(clippy::unwrap_used)]

use super::Channel;
use super::fake::{self, FakeKernel};
use crate::channel::Shares;
use crate::frame::{Frame, LentFrame};
use crate::ring::Descriptor;
use crate::umem::{Umem, UmemConfig};
use proptest::prelude::*;
use std::collections::BTreeSet;

const FRAMES: u32 = 24;
const RING: u32 = 8;
const SHARES: Shares = Shares { fill: 7, transmit: 6 };
const CHANNELS: usize = 3;

fn umem() -> Umem {
    let config = UmemConfig { frames: FRAMES, frame_size: 2048, ..UmemConfig::default() };
    Umem::new(&config).unwrap()
}

/// One thing that the program or another thread does.
#[derive(Clone, Debug)]
enum Step {
    Alloc,
    Free(usize),
    Drop(usize),
    Lend(usize),
    TakeBack(usize),
    DropLent(usize),
    Reopen(usize),
    On(usize, Act),
}

/// One thing that happens on a channel, on our side or the kernel's.
#[derive(Clone, Debug)]
enum Act {
    Refill,
    KernelTakesFill(usize),
    KernelDelivers(usize, u32),
    Receive(usize),
    Transmit(usize, usize),
    KernelTakesTransmit(usize),
    KernelCompletes(usize),
    Complete,
    KernelLies(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0usize..64;
    prop_oneof![
        2 => Just(Step::Alloc),
        1 => which.clone().prop_map(Step::Free),
        1 => which.clone().prop_map(Step::Drop),
        1 => which.clone().prop_map(Step::Lend),
        1 => which.clone().prop_map(Step::TakeBack),
        1 => which.prop_map(Step::DropLent),
        1 => (0..CHANNELS).prop_map(Step::Reopen),
        40 => (0..CHANNELS, act()).prop_map(|(at, act)| Step::On(at, act)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let which = 0usize..64;
    let count = 0usize..12;
    let len = prop_oneof![4 => 14u32..1500, 1 => 0u32..14];
    prop_oneof![
        4 => Just(Act::Refill),
        4 => count.clone().prop_map(Act::KernelTakesFill),
        8 => (which.clone(), len).prop_map(|(which, len)| Act::KernelDelivers(which, len)),
        4 => count.clone().prop_map(Act::Receive),
        4 => (which.clone(), count.clone()).prop_map(|(from, count)| Act::Transmit(from, count)),
        4 => count.prop_map(Act::KernelTakesTransmit),
        8 => which.prop_map(Act::KernelCompletes),
        4 => Just(Act::Complete),
        1 => (0usize..8, any::<bool>()).prop_map(|(which, rx)| Act::KernelLies(which, rx)),
    ]
}

/// A UMEM with channels, what the program holds, and how many descriptors were lies.
struct World {
    umem: Umem,
    channels: Vec<(Channel, FakeKernel)>,
    held: Vec<Frame>,
    lent: Vec<LentFrame>,
    dropped: u64,
    lies: u64,
}

impl World {
    fn new() -> Self {
        let mut umem = umem();
        let channels = (0..CHANNELS as u32)
            .map(|queue| fake::channel(&mut umem, queue, RING, SHARES))
            .collect();
        Self { umem, channels, held: Vec::new(), lent: Vec::new(), dropped: 0, lies: 0 }
    }

    fn take_held(&mut self, which: usize) -> Option<Frame> {
        (!self.held.is_empty()).then(|| self.held.swap_remove(which % self.held.len()))
    }

    fn take_lent(&mut self, which: usize) -> Option<LentFrame> {
        (!self.lent.is_empty()).then(|| self.lent.swap_remove(which % self.lent.len()))
    }

    fn perform(&mut self, step: Step) {
        match step {
            Step::Alloc => self.held.extend(self.umem.alloc()),
            Step::Free(which) => {
                if let Some(frame) = self.take_held(which) {
                    self.umem.free(frame);
                }
            }
            Step::Drop(which) => self.dropped += u64::from(self.take_held(which).is_some()),
            Step::Lend(which) => {
                if let Some(frame) = self.take_held(which) {
                    self.lent.push(self.umem.lend(frame));
                }
            }
            Step::TakeBack(which) => {
                if let Some(lent) = self.take_lent(which) {
                    self.held.push(self.umem.take_back(lent).unwrap());
                }
            }
            Step::DropLent(which) => self.dropped += u64::from(self.take_lent(which).is_some()),
            Step::Reopen(at) => self.reopen(at),
            Step::On(at, act) => self.act(at, act),
        }
    }

    fn act(&mut self, at: usize, act: Act) {
        let Self { umem, channels, held, .. } = self;
        let (channel, kernel) = &mut channels[at];
        match act {
            Act::Refill => _ = channel.refill(umem),
            Act::KernelTakesFill(count) => kernel.take_fill(count),
            Act::KernelDelivers(which, len) => _ = kernel.deliver(which, len),
            Act::Receive(limit) => _ = channel.receive(umem, held, limit),
            Act::Transmit(from, count) => {
                let from = from.min(held.len());
                let to = (from + count).min(held.len());
                let mut burst: Vec<Frame> = held.drain(from..to).collect();
                channel.transmit(umem, &mut burst);
                held.append(&mut burst);
            }
            Act::KernelTakesTransmit(count) => kernel.take_transmit(count),
            Act::KernelCompletes(which) => _ = kernel.complete(which),
            Act::Complete => _ = channel.complete(umem),
            Act::KernelLies(which, receive) => self.lie(at, which, receive),
        }
    }

    /// The kernel names a frame that it does not have: one that is held here, or none at all.
    fn lie(&mut self, at: usize, which: usize, receive: bool) {
        let Self { umem, channels, held, lies, .. } = self;
        let (channel, kernel) = &mut channels[at];
        channel.receive(umem, held, usize::MAX);
        channel.complete(umem);
        let number = held.get(which).map_or(u64::MAX / 4096, |frame| u64::from(frame.index()));
        let address = number * 2048 + 256;
        let lie = Descriptor { address, len: 60, options: 0 };
        assert!(if receive { kernel.deliver_raw(lie) } else { kernel.complete_raw(address) });
        assert_eq!(channel.receive(umem, held, usize::MAX) + channel.complete(umem), 0);
        *lies += 1;
    }

    /// The socket is closed with frames in all of its rings, and the queue is opened again.
    fn reopen(&mut self, at: usize) {
        let (closed, _kernel) = self.channels.remove(at);
        let queue = closed.endpoint.queue;
        drop(closed);
        let before = self.umem.audit();
        let reopened = fake::channel(&mut self.umem, queue, RING, SHARES);
        self.channels.insert(at, reopened);
        let after = self.umem.audit();
        assert_eq!(after.retired, 0);
        assert_eq!(after.free, before.free + before.retired);
    }

    /// Every frame is in exactly one place, and the places are as large as is known from outside.
    fn check(&mut self) {
        let audit = self.umem.audit();
        assert!(audit.balanced(), "{audit:?}");
        assert_eq!(audit.held as usize, self.held.len());
        assert_eq!(audit.lent as usize, self.lent.len());
        assert_eq!(audit.abandoned, self.dropped);
        assert_eq!(audit.in_use(), self.umem.in_use());
        let held = self.held.iter().map(Frame::index);
        let lent = self.lent.iter().map(|lent| lent.frame().index());
        let receiving = self.channels.iter().flat_map(|(_, kernel)| &kernel.receiving);
        let sending = self.channels.iter().flat_map(|(_, kernel)| &kernel.sending);
        let with_kernel = receiving.copied().chain(sending.map(|sent| sent.address));
        let all: Vec<u32> =
            held.chain(lent).chain(with_kernel.map(|a| (a / 2048) as u32)).collect();
        let distinct: BTreeSet<u32> = all.iter().copied().collect();
        assert_eq!(distinct.len(), all.len(), "a frame is in two places");
        for (channel, _) in &self.channels {
            assert!(channel.filled <= SHARES.fill && channel.sending <= SHARES.transmit);
        }
    }

    /// Everything comes home: at the end all frames are free.
    fn settle(&mut self) {
        let Self { umem, channels, held, lent, .. } = self;
        held.extend(lent.drain(..).map(|lent| umem.take_back(lent).unwrap()));
        for (channel, kernel) in channels {
            loop {
                kernel.take_fill(usize::MAX);
                kernel.take_transmit(usize::MAX);
                let moved = kernel.complete(0) | kernel.deliver(0, 60);
                channel.complete(umem);
                channel.receive(umem, held, usize::MAX);
                if !moved {
                    break;
                }
            }
        }
        held.drain(..).for_each(|frame| umem.free(frame));
        assert_eq!(umem.in_use(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_frame_is_lost_or_doubled(steps in prop::collection::vec(step(), 1..400)) {
        let mut world = World::new();
        for step in steps {
            world.perform(step);
            world.check();
        }
        world.settle();
        let audit = world.umem.audit();
        prop_assert_eq!(audit.refused, world.lies);
        prop_assert_eq!(audit.free, FRAMES);
    }
}

#[test]
fn a_dishonest_kernel_gets_no_second_token() {
    let mut umem = umem();
    let (mut channel, mut kernel) = fake::channel(&mut umem, 0, RING, SHARES);
    channel.refill(&mut umem);
    kernel.take_fill(1);
    let address = kernel.receiving[0];
    let good = Descriptor { address: address + 256, len: 60, options: 0 };
    let past_the_end = Descriptor { address: address + 2000, len: 60, options: 0 };
    let nowhere = Descriptor { address: u64::MAX, len: 60, options: 0 };
    for descriptor in [past_the_end, nowhere, good, good] {
        assert!(kernel.deliver_raw(descriptor));
    }
    assert!(kernel.complete_raw(address));
    let mut held = Vec::new();
    assert_eq!(channel.receive(&mut umem, &mut held, 64), 1);
    assert_eq!(channel.complete(&mut umem), 0);
    let audit = umem.audit();
    assert_eq!((audit.held, audit.refused), (1, 4));
    assert!(audit.balanced());
    umem.free(held.remove(0));
}

#[test]
fn what_the_kernel_would_not_complete_is_never_given_to_it() {
    let mut umem = umem();
    let (mut channel, mut kernel) = fake::channel(&mut umem, 0, RING, SHARES);
    let mut short = umem.alloc().unwrap();
    umem.write(&mut short, &[0; 13]).unwrap();
    let mut long_enough = umem.alloc().unwrap();
    umem.write(&mut long_enough, &[0; 14]).unwrap();
    let mut burst = vec![short, long_enough];
    assert_eq!(channel.transmit(&mut umem, &mut burst), 2);
    assert!(burst.is_empty());
    kernel.take_transmit(8);
    assert_eq!(kernel.sending.len(), 1);
    assert_eq!((channel.counters.too_short, channel.counters.transmitted), (1, 1));
    assert_eq!(umem.in_use(), 1);
}

#[test]
fn a_port_that_does_not_send_keeps_only_its_share() {
    let mut umem = umem();
    let (mut channel, _kernel) = fake::channel(&mut umem, 0, RING, SHARES);
    let mut burst: Vec<Frame> = std::iter::from_fn(|| umem.alloc()).take(20).collect();
    for frame in &mut burst {
        umem.write(frame, &[0; 60]).unwrap();
    }
    let order: Vec<u32> = burst.iter().map(Frame::index).collect();
    assert_eq!(channel.transmit(&mut umem, &mut burst), SHARES.transmit as usize);
    assert_eq!(channel.transmit(&mut umem, &mut burst), 0);
    let left: Vec<u32> = burst.iter().map(Frame::index).collect();
    assert_eq!(left, order[SHARES.transmit as usize..], "the first ones went, in order");
    burst.drain(..).for_each(|frame| umem.free(frame));
    let (mut other, _kernel) = fake::channel(&mut umem, 1, RING, SHARES);
    assert_eq!(other.refill(&mut umem), SHARES.fill as usize);
}

#[test]
fn closed_sockets_keep_their_frames_until_the_kernel_lets_go() {
    let mut umem = umem();
    let (mut channel, mut kernel) = fake::channel(&mut umem, 7, RING, SHARES);
    channel.refill(&mut umem);
    kernel.take_fill(3);
    drop(channel);
    let audit = umem.audit();
    assert_eq!((audit.fill, audit.retired), (0, SHARES.fill));
    assert!(audit.balanced());
    assert_eq!(umem.release_retired(1, 6), 0, "another queue");
    assert_eq!(umem.release_retired(1, 7), SHARES.fill);
    assert_eq!(umem.in_use(), 0);
}
