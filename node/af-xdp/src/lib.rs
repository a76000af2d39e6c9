//! AF_XDP sockets, the memory they share, and their rings, over `libc` alone.
//!
//! A worker has one [`Umem`] and, on it, one [`Socket`] for its queue of every port. A frame that
//! came in by one port goes out by another without a copy: its token moves from
//! [`Socket::receive`] to [`Socket::transmit`], and its number from an RX ring to a TX ring.
//!
//! ```no_run
//! use af_xdp::{Socket, SocketConfig, Umem, UmemConfig};
//! # fn main() -> Result<(), af_xdp::Error> {
//! let mut umem = Umem::new(&UmemConfig::default())?;
//! let config = |interface| SocketConfig::new(interface, 0, &umem, 2);
//! let (inside, outside) = (config(3), config(4));
//! let mut inside = Socket::open(&mut umem, &inside)?;
//! let mut outside = Socket::open(&mut umem, &outside)?;
//! let mut burst = Vec::with_capacity(64);
//! loop {
//!     outside.complete(&mut umem);
//!     inside.receive(&mut umem, &mut burst, 64);
//!     outside.transmit(&mut umem, &mut burst);
//!     burst.drain(..).for_each(|frame| umem.free(frame)); // no room: dropped
//!     inside.refill(&mut umem);
//!     outside.kick()?;
//! #   break;
//! }
//! # Ok(()) }
//! ```
//!
//! # Facts about the kernel
//! Each is held by a test in `tests/` where the test machine's drivers can show it.
//!
//! - Every (interface, queue) has its own fill and completion rings, also when sockets share a
//!   UMEM; sharing it between interfaces needs Linux 5.10. A frame comes back by the completion
//!   ring of the socket that sent it, and is then free for any of them.
//! - Flags of a later socket come from the one it shares with: copy or zero copy, need-wakeup. One
//!   driver without zero copy puts all of them into copy mode ([`open_all`]).
//! - In copy mode nothing is sent without a call, whatever the driver. One call sends 32 frames
//!   (Linux 6.17 lets the socket raise that, which is done here) and fails with `EAGAIN` if there
//!   are more. `EAGAIN`, `EBUSY`, `ENOBUFS` and `ENETDOWN` mean "later". `EBUSY` in copy mode means
//!   that one frame was dropped by the device (longer than the MTU, say) and is complete all the
//!   same. `poll` and `epoll` send as well, when they look at a socket.
//! - A TX descriptor the kernel finds invalid is skipped and never completed. Nothing that could
//!   be one is put into the ring here.
//! - An interface that goes away shows in no ring, and `epoll` does not report it: the socket is
//!   woken once, with no event. [`Socket::check`] tells, and [`Socket::kick`] fails. An interface
//!   set down and up again goes on with the same socket.
//! - Closing is asynchronous: the queue may be refused with [`Error::QueueBusy`] for a moment. It
//!   is freed when the last packet of the old socket has left, so a successful bind is the proof
//!   that the frames left behind are free ([`Umem::release_retired`]).
//! - A socket needs `CAP_NET_RAW` to be opened. Its memory counts against `RLIMIT_MEMLOCK` without
//!   `CAP_IPC_LOCK`; busy polling needs `CAP_NET_ADMIN`. None is needed afterwards. A process that
//!   gives them up cannot open a socket again when an interface returns.

#[cfg(feature = "bare")]
pub mod bare;
mod channel;
mod error;
mod frame;
pub mod limits;
mod mapping;
mod region;
mod ring;
mod socket;
mod system;
mod umem;

pub use channel::Counters;
pub use error::Error;
pub use frame::{Frame, LentFrame, NoRoom};
pub use socket::{
    BusyPoll, Kick, Later, Mode, RingSizes, Socket, SocketConfig, Statistics, open_all,
};
pub use umem::{Audit, Umem, UmemConfig};
