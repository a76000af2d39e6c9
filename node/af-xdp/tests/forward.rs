//! Frames through real sockets over veth pairs.
#![allow(clippy::unwrap_used)]

mod veth;

use af_xdp::bare::{Addresses, BareConfig, BareForwarder, Otherwise, RedirectProgram};
use af_xdp::{BusyPoll, Mode, UmemConfig};
use std::time::Instant;
use veth::{End, PATIENCE, in_namespace, numbered, veth};

const FRAMES: u64 = 10_000;
const WINDOW: u64 = 200;

/// left end -- (veth) -- forwarder -- (veth) -- right end
struct Line {
    left: End,
    forwarder: BareForwarder,
    right: End,
}

impl Line {
    /// Sends both ways at once and wants all frames in order, with `WINDOW` on their way at most.
    fn exchange(&mut self, frames: u64, len: usize) {
        let (mut sent, mut to_left, mut to_right) = (0, 0, 0);
        let deadline = Instant::now() + PATIENCE;
        while to_left.min(to_right) < frames {
            assert!(Instant::now() < deadline, "{sent} sent, {to_left} and {to_right} arrived");
            let until = frames.min(to_left.min(to_right) + WINDOW);
            self.left.send(sent..until, len);
            self.right.send(sent..until, len);
            sent = until;
            self.forwarder.turn().unwrap();
            self.left.expect(&mut to_left, len);
            self.right.expect(&mut to_right, len);
        }
        assert_eq!((to_left, to_right), (frames, frames));
    }

    fn settle(&mut self, frames: u64) {
        let totals = self.forwarder.totals();
        assert_eq!((totals.received, totals.forwarded, totals.dropped), (frames, frames, 0));
        self.forwarder.turn().unwrap();
        let audit = self.forwarder.umem().audit();
        assert!(audit.balanced(), "{audit:?}");
        assert_eq!((audit.held, audit.transmit, audit.retired), (0, 0, 0), "{audit:?}");
        assert_eq!((audit.abandoned, audit.refused), (0, 0));
        for socket in self.forwarder.sockets() {
            let statistics = socket.statistics().unwrap();
            assert_eq!((statistics.rx_dropped, statistics.rx_ring_full), (0, 0));
            assert_eq!(statistics.tx_invalid_descriptors, 0);
            assert_eq!(socket.counters().device_drops, 0);
        }
        self.left.settle();
        self.right.settle();
    }
}

/// The two pairs, and what is attached to them: inner and outer programs.
struct Wires {
    inner: [u32; 2],
    outer: [u32; 2],
    inner_programs: [RedirectProgram; 2],
    outer_programs: [RedirectProgram; 2],
}

impl Wires {
    fn new(queues: u32) -> Self {
        let [left_inner, left_outer] = veth("left", "left-end", queues);
        let [right_inner, right_outer] = veth("right", "right-end", queues);
        let (inner, outer) = ([left_inner, right_inner], [left_outer, right_outer]);
        let program = |port| RedirectProgram::attach(port, queues, Otherwise::Drop).unwrap();
        Self {
            inner,
            outer,
            inner_programs: inner.map(program),
            outer_programs: outer.map(program),
        }
    }

    fn line(&self, config: &BareConfig) -> Line {
        let [left, right] = &self.outer_programs;
        Line {
            left: End::open(self.outer[0], config.queue, left),
            forwarder: BareForwarder::open(config, self.inner_programs.each_ref()).unwrap(),
            right: End::open(self.outer[1], config.queue, right),
        }
    }
}

#[test]
fn one_umem_forwards_ten_thousand_frames_both_ways() {
    in_namespace(|| {
        let wires = Wires::new(1);
        let mut line = wires.line(&BareConfig::new(wires.inner, 0));
        assert!(line.forwarder.sockets().iter().all(|socket| !socket.zero_copy()), "veth has none");
        line.exchange(FRAMES, 64);
        line.settle(2 * FRAMES);
    });
}

#[test]
fn frames_of_a_full_mtu_arrive_whole() {
    in_namespace(|| {
        let wires = Wires::new(1);
        let mut line = wires.line(&BareConfig::new(wires.inner, 0));
        line.exchange(1_000, 1514);
        line.exchange(100, 22);
        line.settle(2 * 1_100);
    });
}

#[test]
fn large_frames_take_the_headroom_that_was_asked_for() {
    in_namespace(|| {
        let wires = Wires::new(1);
        let umem = UmemConfig { frames: 4096, frame_size: 4096, headroom: 128, huge_pages: true };
        let mut line = wires.line(&BareConfig { umem, ..BareConfig::new(wires.inner, 0) });
        line.exchange(1_000, 1514);
        line.settle(2 * 1_000);
    });
}

#[test]
fn every_way_of_waking_the_kernel_loses_nothing() {
    for need_wakeup in [true, false] {
        for busy_poll in [None, Some(BusyPoll { micros: 20, budget: 64 })] {
            in_namespace(move || {
                let wires = Wires::new(1);
                let config = BareConfig::new(wires.inner, 0);
                let mut line = wires.line(&BareConfig { need_wakeup, busy_poll, ..config });
                let inherited = line.forwarder.sockets().each_ref().map(|s| s.need_wakeup());
                assert_eq!(inherited, [need_wakeup; 2]);
                line.exchange(2_000, 64);
                line.settle(2 * 2_000);
            });
        }
    }
}

#[test]
fn two_queues_are_two_workers() {
    in_namespace(|| {
        let wires = Wires::new(2);
        let mut lines = [0, 1].map(|queue| wires.line(&BareConfig::new(wires.inner, queue)));
        for _ in 0..5 {
            lines.iter_mut().for_each(|line| line.exchange(1_000, 64));
        }
        lines.iter_mut().for_each(|line| line.settle(2 * 5_000));
    });
}

#[test]
fn few_frames_are_enough_if_they_come_home() {
    in_namespace(|| {
        let wires = Wires::new(1);
        let umem = UmemConfig { frames: 1152, ..UmemConfig::default() };
        let mode = Mode::Copy;
        let mut line = wires.line(&BareConfig { umem, mode, ..BareConfig::new(wires.inner, 0) });
        line.exchange(FRAMES, 64);
        line.settle(2 * FRAMES);
    });
}

#[test]
fn addresses_are_rewritten_in_place() {
    in_namespace(|| {
        let wires = Wires::new(1);
        let addresses = Addresses { destination: [0xff; 6], source: [2, 0, 0, 0, 0, 9] };
        let rewrite = [None, Some(addresses)];
        let mut line = wires.line(&BareConfig { rewrite, ..BareConfig::new(wires.inner, 0) });
        line.left.send(5..6, 60);
        let deadline = Instant::now() + PATIENCE;
        let mut got = Vec::new();
        while got.is_empty() {
            assert!(Instant::now() < deadline, "nothing arrived");
            line.forwarder.turn().unwrap();
            line.right.socket.receive(&mut line.right.umem, &mut got, 8);
        }
        let mut expected = numbered(5, 60);
        expected[6..12].copy_from_slice(&addresses.source);
        assert_eq!(line.right.umem.data(&got[0]), expected);
        got.drain(..).for_each(|frame| line.right.umem.free(frame));
    });
}
