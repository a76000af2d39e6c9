//! An AF_XDP socket: one queue of one interface.

mod open;
mod rings;

pub use open::{BusyPoll, Mode, RingSizes, SocketConfig, open_all};

use crate::channel::{Channel, Counters};
use crate::error::Error;
use crate::frame::Frame;
use crate::system::{self, Errno};
use crate::umem::Umem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A socket bound to one queue of one interface, on the UMEM it was opened with.
///
/// Nothing here blocks. A turn is: [`complete`](Self::complete), [`receive`](Self::receive), work,
/// [`transmit`](Self::transmit), [`refill`](Self::refill), [`kick`](Self::kick).
///
/// The methods that move frames take the UMEM and panic if it is another one than the socket was
/// opened with.
#[derive(Debug)]
pub struct Socket {
    channel: Channel,
    umem: std::num::NonZeroU32,
    zero_copy: bool,
    busy_poll: bool,
}

impl Socket {
    /// Moves up to `limit` received frames to the end of `out`. How many.
    pub fn receive(&mut self, umem: &mut Umem, out: &mut Vec<Frame>, limit: usize) -> usize {
        self.check_umem(umem);
        self.channel.receive(umem, out, limit)
    }

    /// Takes frames from the front of `frames` into the TX ring for as long as there is room, and
    /// says how many; the others stay with the caller. [`kick`](Self::kick) sends them.
    pub fn transmit(&mut self, umem: &mut Umem, frames: &mut Vec<Frame>) -> usize {
        self.check_umem(umem);
        self.channel.transmit(umem, frames)
    }

    /// Frees the frames that the kernel has sent. How many.
    pub fn complete(&mut self, umem: &mut Umem) -> usize {
        self.check_umem(umem);
        self.channel.complete(umem)
    }

    /// Gives the kernel free frames to receive into, up to this socket's share. How many.
    pub fn refill(&mut self, umem: &mut Umem) -> usize {
        self.check_umem(umem);
        self.channel.refill(umem)
    }

    /// Gets the kernel to send what is in the TX ring, if it has to be told. In copy mode one call
    /// sends a bounded number, so it is called until the ring is empty or nothing moves any more.
    pub fn kick(&mut self) -> Result<Kick, Error> {
        let mut unread = self.channel.rings.transmit.unread();
        while unread > 0 {
            if self.need_wakeup() && !self.channel.rings.transmit.wants_wakeup() {
                return Ok(Kick::Sent);
            }
            self.channel.counters.wakeups += 1;
            let outcome = system::wake_transmit(self.as_fd());
            let left = self.channel.rings.transmit.unread();
            let moved = left != unread;
            match self.judge(outcome)? {
                // The driver was woken and sends in its own time.
                None if self.zero_copy => return Ok(Kick::Sent),
                Some(Later::Busy) if moved => self.channel.counters.device_drops += 1,
                None | Some(_) if moved => {}
                None => return Ok(Kick::Later(Later::Again)),
                Some(later) => return Ok(Kick::Later(later)),
            }
            unread = left;
        }
        Ok(Kick::Sent)
    }

    /// Gets the kernel to receive, if it has to be told: polls the device when busy polling is on,
    /// else wakes a driver that ran out of frames.
    pub fn wake_receive(&mut self) -> Result<Kick, Error> {
        let wanted = self.zero_copy && self.channel.rings.fill.wants_wakeup();
        if !(self.busy_poll || wanted) {
            return Ok(Kick::Sent);
        }
        self.channel.counters.wakeups += 1;
        let outcome = system::wake_receive(self.as_fd());
        Ok(self.judge(outcome)?.map_or(Kick::Sent, Kick::Later))
    }

    /// Whether the interface is still there. To be asked now and then, and at once when `epoll`
    /// wakes for nothing: an interface that goes away shows in no ring, and the kernel reports no
    /// `EPOLLERR` for it.
    pub fn check(&self) -> Result<(), Error> {
        // The error word is cleared by reading it; a call on the unbound socket fails for ever.
        match (system::pending_error(self.as_fd()), system::wake_receive(self.as_fd())) {
            (Ok(libc::ENETDOWN), _) => Err(self.gone()),
            (Ok(_) | Err(_), outcome) => self.judge(outcome).map(drop),
        }
    }

    /// Closes the socket. The frames it left with the kernel stay out of use until the kernel has
    /// surely let go of them: at once if the interface is gone, else when the queue is opened
    /// again (see [`Umem::release_retired`]). How many those are.
    pub fn close(self, umem: &mut Umem) -> u32 {
        self.check_umem(umem);
        let (slot, gone) = (self.channel.slot, self.check().is_err());
        drop(self);
        if gone {
            umem.release_slot(slot);
        }
        umem.with_kernel(slot)
    }

    /// Index of the interface.
    pub fn interface(&self) -> u32 {
        self.channel.endpoint.interface
    }

    /// Number of the queue.
    pub fn queue(&self) -> u32 {
        self.channel.endpoint.queue
    }

    /// Whether the driver and this socket share frames without a copy.
    pub fn zero_copy(&self) -> bool {
        self.zero_copy
    }

    /// Whether the kernel says when it wants to be called, as the first socket of the UMEM asked.
    pub fn need_wakeup(&self) -> bool {
        self.channel.endpoint.need_wakeup
    }

    /// Frames waiting to be received.
    pub fn waiting(&self) -> u32 {
        self.channel.waiting()
    }

    /// What this socket has done.
    pub fn counters(&self) -> Counters {
        self.channel.counters
    }

    /// What the kernel counted for this socket.
    pub fn statistics(&self) -> Result<Statistics, Error> {
        let counted = system::statistics(self.as_fd())
            .map_err(Error::system("getsockopt(XDP_STATISTICS)"))?;
        Ok(Statistics {
            rx_dropped: counted.rx_dropped,
            rx_invalid_descriptors: counted.rx_invalid_descs,
            rx_ring_full: counted.rx_ring_full,
            fill_ring_empty: counted.rx_fill_ring_empty_descs,
            tx_invalid_descriptors: counted.tx_invalid_descs,
            tx_ring_empty: counted.tx_ring_empty_descs,
        })
    }

    /// What a failed wake-up means.
    fn judge(&self, outcome: Result<(), Errno>) -> Result<Option<Later>, Error> {
        match outcome {
            Ok(()) => Ok(None),
            Err(libc::EAGAIN | libc::EINTR) => Ok(Some(Later::Again)),
            Err(libc::EBUSY) => Ok(Some(Later::Busy)),
            Err(libc::ENOBUFS | libc::ENOMEM) => Ok(Some(Later::NoBuffers)),
            Err(libc::ENETDOWN) => Ok(Some(Later::Down)),
            // A zero-copy driver says so too, while it has no XDP program.
            Err(libc::ENXIO) if self.zero_copy && system::interface_exists(self.interface()) => {
                Ok(Some(Later::Again))
            }
            Err(libc::ENXIO) => Err(self.gone()),
            Err(errno) => Err(Error::System { call: "wake the kernel", errno }),
        }
    }

    fn gone(&self) -> Error {
        Error::Gone { interface: self.interface(), queue: self.queue() }
    }

    fn check_umem(&self, umem: &Umem) {
        assert!(umem.region().id == self.umem, "socket of another UMEM");
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let fd = self.channel.endpoint.fd.as_ref();
        fd.expect("an opened socket has a descriptor").as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// How a wake-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kick {
    /// All is on its way, or there was nothing to do.
    Sent,
    /// Frames are still in the ring. Not an error: kick again in the next turn.
    Later(Later),
}

/// Why the kernel did not send all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// `EAGAIN`: the device's queue is full, or the completion ring waits to be read.
    Again,
    /// `EBUSY`: the device did not take the frame.
    Busy,
    /// `ENOBUFS`, `ENOMEM`: the kernel has no memory for a packet.
    NoBuffers,
    /// `ENETDOWN`: the interface is set down.
    Down,
}

/// A socket's counters in the kernel (`struct xdp_statistics`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames dropped because they were too long, or there was none to receive into.
    pub rx_dropped: u64,
    /// Wrong addresses in the fill ring.
    pub rx_invalid_descriptors: u64,
    /// Frames dropped because the RX ring was full.
    pub rx_ring_full: u64,
    /// Times the fill ring was found empty.
    pub fill_ring_empty: u64,
    /// Wrong descriptors in the TX ring.
    pub tx_invalid_descriptors: u64,
    /// Times the TX ring was found empty.
    pub tx_ring_empty: u64,
}
