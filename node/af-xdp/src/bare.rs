//! A bare AF_XDP forwarder: what comes in by one port goes out by the other, unread.
//!
//! It is the yardstick for anything that does more with a packet, and the other end in tests. Only
//! with the feature `bare`.
//!
//! # What it does between two veth pairs
//! Frames of 64 bytes, one way, copy mode (veth has no zero copy), two cores of a busy virtual
//! machine, one to send and one to forward; medians of five runs of a second of
//! `examples/rates.rs`, Linux 6.18. Single runs differ by 15 %.
//!
//! | woken by | frames/s | CPU | CPU ns a frame | frames a call |
//! |---|---|---|---|---|
//! | need-wakeup, sleeps | 687,000 | 88 % | 1,279 | 18 |
//! | need-wakeup, spins | 631,000 | 97 % | 1,538 | 8 |
//! | no need-wakeup, sleeps | 652,000 | 80 % | 1,225 | 12 |
//! | no need-wakeup, spins | 687,000 | 92 % | 1,341 | 11 |
//! | busy poll, sleeps | 697,000 | 85 % | 1,216 | 16 |
//! | busy poll, spins | 701,000 | 98 % | 1,395 | 1.3 |
//! | bursts of 32, sleeps | 697,000 | 89 % | 1,271 | 14 |
//! | bursts of 256, sleeps | 583,000 | 84 % | 1,447 | 14 |
//!
//! So the choice does not matter here: in copy mode the kernel always wants to be called, and the
//! frames of a veth arrive on the sender's core, so there is no device to poll. Sleeping is no
//! slower than spinning. Of the time, about 12 ns are this crate's (receive, transmit, complete,
//! refill; measured against rings in memory); the kernel has the rest, most of it in `sendto`.

mod flood;
mod program;

pub use flood::SynFlood;
pub use program::{Otherwise, RedirectProgram};

use crate::error::Error;
use crate::frame::Frame;
use crate::socket::{BusyPoll, Kick, Mode, RingSizes, Socket, SocketConfig, open_all};
use crate::umem::{Umem, UmemConfig};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A forwarder between one queue of two interfaces, on one UMEM.
#[derive(Debug)]
pub struct BareForwarder {
    umem: Umem,
    sockets: [Socket; 2],
    rewrite: [Option<Addresses>; 2],
    burst: Vec<Frame>,
    totals: Totals,
}

/// Settings of a [`BareForwarder`].
#[derive(Clone, Debug)]
pub struct BareConfig {
    /// Indices of the two interfaces.
    pub interfaces: [u32; 2],
    /// The queue of both.
    pub queue: u32,
    /// The memory.
    pub umem: UmemConfig,
    /// Entries of the rings.
    pub rings: RingSizes,
    /// Copy or zero copy.
    pub mode: Mode,
    /// As in [`SocketConfig`].
    pub need_wakeup: bool,
    /// As in [`SocketConfig`].
    pub busy_poll: Option<BusyPoll>,
    /// What to write over the addresses of frames that leave by each of the two.
    pub rewrite: [Option<Addresses>; 2],
    /// Frames to take at a time.
    pub burst: usize,
}

impl BareConfig {
    /// The usual settings.
    pub fn new(interfaces: [u32; 2], queue: u32) -> Self {
        Self {
            interfaces,
            queue,
            umem: UmemConfig::default(),
            rings: RingSizes::default(),
            mode: Mode::Auto,
            need_wakeup: true,
            busy_poll: None,
            rewrite: [None, None],
            burst: 64,
        }
    }
}

/// Ethernet addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Of the receiver.
    pub destination: [u8; 6],
    /// Of the sender.
    pub source: [u8; 6],
}

/// What a forwarder has done. `received` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames received on both ports.
    pub received: u64,
    /// Frames put into a TX ring.
    pub forwarded: u64,
    /// Frames for which there was no room there.
    pub dropped: u64,
}

impl BareForwarder {
    /// Opens both sockets and puts them into the maps of the programs on their interfaces.
    pub fn open(config: &BareConfig, programs: [&RedirectProgram; 2]) -> Result<Self, Error> {
        let mut umem = Umem::new(&config.umem)?;
        let configs = config.interfaces.map(|interface| SocketConfig {
            rings: config.rings,
            mode: config.mode,
            need_wakeup: config.need_wakeup,
            busy_poll: config.busy_poll,
            ..SocketConfig::new(interface, config.queue, &umem, 2)
        });
        let mut opened = open_all(&mut umem, &configs).map_err(|(_, error)| error)?.into_iter();
        let (Some(one), Some(two)) = (opened.next(), opened.next()) else {
            unreachable!("a socket for each config");
        };
        let sockets = [one, two];
        for (program, socket) in programs.into_iter().zip(&sockets) {
            program.insert(socket)?;
        }
        let burst = Vec::with_capacity(config.burst);
        Ok(Self { umem, sockets, rewrite: config.rewrite, burst, totals: Totals::default() })
    }

    /// Takes at most one burst from each port to the other. How many frames were received.
    pub fn turn(&mut self) -> Result<usize, Error> {
        let received = self.forward(0) + self.forward(1);
        for socket in &mut self.sockets {
            let _later: Kick = socket.wake_receive()?;
            let _later: Kick = socket.kick()?;
        }
        Ok(received)
    }

    /// Forwards until told to stop, asleep while there is nothing to do unless `spin`.
    pub fn run(&mut self, stop: &AtomicBool, spin: bool) -> Result<(), Error> {
        while !stop.load(Ordering::Relaxed) {
            if self.turn()? == 0 && !spin {
                self.wait(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// Sleeps until a frame has come in, or `timeout` is over.
    pub fn wait(&self, timeout: Duration) {
        let fds = self.sockets.each_ref().map(AsRawFd::as_raw_fd);
        program::wait_readable(fds, timeout);
    }

    /// What was done so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The sockets.
    pub fn sockets(&self) -> &[Socket; 2] {
        &self.sockets
    }

    /// The memory.
    pub fn umem(&mut self) -> &mut Umem {
        &mut self.umem
    }

    fn forward(&mut self, from: usize) -> usize {
        let Self { umem, sockets: [one, two], rewrite, burst, totals } = self;
        let (input, output) = if from == 0 { (one, two) } else { (two, one) };
        output.complete(umem);
        let received = input.receive(umem, burst, burst.capacity());
        if let Some(addresses) = &rewrite[1 - from] {
            burst.iter_mut().for_each(|frame| overwrite(umem.data_mut(frame), addresses));
        }
        let forwarded = output.transmit(umem, burst);
        burst.drain(..).for_each(|frame| umem.free(frame));
        input.refill(umem);
        totals.received += received as u64;
        totals.forwarded += forwarded as u64;
        totals.dropped += (received - forwarded) as u64;
        received
    }
}

fn overwrite(data: &mut [u8], addresses: &Addresses) {
    if let Some((destination, rest)) = data.split_first_chunk_mut::<6>()
        && let Some((source, _)) = rest.split_first_chunk_mut::<6>()
    {
        (*destination, *source) = (addresses.destination, addresses.source);
    }
}
