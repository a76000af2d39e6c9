//! Opening a socket.

use super::{Socket, rings};
use crate::channel::{Channel, Rings, Shares};
use crate::error::Error;
use crate::limits::{COPY_BATCH, LARGEST_RING, REGISTERED_FRAME_SIZES};
use crate::system::{self, Errno};
use crate::umem::{Endpoint, Umem};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// What to open, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// Index of the interface in the calling thread's network namespace.
    pub interface: u32,
    /// Number of the queue.
    pub queue: u32,
    /// Entries of the rings.
    pub rings: RingSizes,
    /// Copy or zero copy.
    pub mode: Mode,
    /// Let the kernel say when it wants to be called (`XDP_USE_NEED_WAKEUP`). The first socket of
    /// a UMEM decides for all of them, because the kernel does.
    pub need_wakeup: bool,
    /// Drive the device from this thread instead of from interrupts.
    pub busy_poll: Option<BusyPoll>,
    /// Frames to keep in the fill and RX rings. Sockets that share a UMEM should not together ask
    /// for more than it has: see [`Umem::fair_share`].
    pub fill_share: u32,
    /// Frames to have in the TX and completion rings at most, so that a port which does not send
    /// cannot starve the others.
    pub transmit_share: u32,
}

impl SocketConfig {
    /// The usual settings for one queue, with frames for one of `sockets` sockets on `umem`.
    pub fn new(interface: u32, queue: u32, umem: &Umem, sockets: u32) -> Self {
        let share = umem.fair_share(sockets);
        Self {
            interface,
            queue,
            rings: RingSizes::default(),
            mode: Mode::Auto,
            need_wakeup: true,
            busy_poll: None,
            fill_share: share,
            transmit_share: share,
        }
    }
}

/// Copy or zero copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Zero copy if the driver has it, else copy.
    Auto,
    /// Copy.
    Copy,
    /// Zero copy or an error.
    ZeroCopy,
}

/// Entries of each ring: powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingSizes {
    /// Frames for the kernel to receive into.
    pub fill: u32,
    /// Frames that were sent.
    pub completion: u32,
    /// Received frames.
    pub receive: u32,
    /// Frames to be sent.
    pub transmit: u32,
}

impl RingSizes {
    /// All four alike.
    pub const fn all(entries: u32) -> Self {
        Self { fill: entries, completion: entries, receive: entries, transmit: entries }
    }

    fn check(&self) -> Result<(), Error> {
        let rings = [
            ("fill", self.fill),
            ("completion", self.completion),
            ("receive", self.receive),
            ("transmit", self.transmit),
        ];
        let bad = |&(_, n): &(&str, u32)| !n.is_power_of_two() || n > LARGEST_RING;
        let found = rings.into_iter().find(bad);
        found.map_or(Ok(()), |(ring, entries)| Err(Error::RingSize { ring, entries }))
    }
}

impl Default for RingSizes {
    fn default() -> Self {
        Self::all(2048)
    }
}

/// Busy polling (`SO_BUSY_POLL` and its relatives). Needs `CAP_NET_ADMIN`. On a real NIC also set
/// `napi_defer_hard_irqs` and `gro_flush_timeout` of the interface, or interrupts go on as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// Microseconds to poll at most.
    pub micros: u32,
    /// Frames to take in one go.
    pub budget: u32,
}

impl Socket {
    /// Opens a socket on `umem`, with its fill ring filled, so that it can be put into an XSKMAP
    /// at once. The first socket registers the memory; later ones share it, each with its own fill
    /// and completion rings.
    pub fn open(umem: &mut Umem, config: &SocketConfig) -> Result<Self, Error> {
        config.rings.check()?;
        if !REGISTERED_FRAME_SIZES.contains(&umem.frame_size()) {
            let headroom = umem.region().headroom;
            return Err(Error::FrameSize { bytes: umem.frame_size(), headroom });
        }
        umem.check_open(config.interface, config.queue)?;
        let opening = Opening { umem, config, fd: system::socket().map_err(socket_error)? };
        let mut socket = opening.open()?;
        socket.refill(umem);
        Ok(socket)
    }
}

/// Opens several sockets, all with or all without zero copy: a UMEM cannot have both. In mode
/// `Auto`, if one driver has no zero copy, all are opened in copy mode. The error names the config
/// that failed, by its place; the others are closed again.
pub fn open_all(umem: &mut Umem, configs: &[SocketConfig]) -> Result<Vec<Socket>, (usize, Error)> {
    match open_each(umem, configs, |config| config.mode) {
        Err((place, Error::ZeroCopyUnsupported { .. })) if configs[place].mode == Mode::Auto => {
            open_each(umem, configs, |_| Mode::Copy)
        }
        result => result,
    }
}

fn open_each(
    umem: &mut Umem,
    configs: &[SocketConfig],
    mode: impl Fn(&SocketConfig) -> Mode,
) -> Result<Vec<Socket>, (usize, Error)> {
    let mut sockets = Vec::with_capacity(configs.len());
    for (place, config) in configs.iter().enumerate() {
        let config = SocketConfig { mode: mode(config), ..config.clone() };
        match Socket::open(umem, &config) {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                for socket in sockets {
                    let _left: u32 = Socket::close(socket, umem);
                }
                return Err((place, error));
            }
        }
    }
    Ok(sockets)
}

/// A socket on its way.
struct Opening<'a> {
    umem: &'a mut Umem,
    config: &'a SocketConfig,
    fd: OwnedFd,
}

impl Opening<'_> {
    fn open(self) -> Result<Socket, Error> {
        let rings = rings::create(self.fd.as_fd(), &self.config.rings)?;
        self.tune()?;
        let need_wakeup = self.bind()?;
        self.finish(rings, need_wakeup)
    }

    /// What can be set before binding. A kernel without the larger budget sends fewer frames a
    /// call, and nothing else changes.
    fn tune(&self) -> Result<(), Error> {
        let fd = self.fd.as_fd();
        let budget = self.config.rings.transmit.max(COPY_BATCH);
        let _ = system::set_transmit_budget(fd, budget);
        let Some(BusyPoll { micros, budget }) = self.config.busy_poll else { return Ok(()) };
        system::set_busy_poll(fd, micros, budget).map_err(|errno| match errno {
            libc::EPERM => Error::BusyPollPermission,
            errno => Error::System { call: "setsockopt(SO_BUSY_POLL)", errno },
        })
    }

    /// Binds, sharing the memory of an open socket if there is one that still has its interface.
    /// Whether the kernel says when it wants to be woken.
    fn bind(&self) -> Result<bool, Error> {
        let SocketConfig { interface, queue, .. } = *self.config;
        for other in self.umem.endpoints() {
            let share = other.fd.as_ref().map(AsFd::as_fd);
            let flags = libc::XDP_SHARED_UMEM;
            match system::bind(self.fd.as_fd(), interface, queue, flags, share) {
                // The interface of the other one is gone.
                Err(libc::EBADF) => continue,
                Err(errno) => return Err(self.bind_error(errno)),
                Ok(()) => return Ok(other.need_wakeup),
            }
        }
        self.bind_first()?;
        Ok(self.config.need_wakeup)
    }

    /// Registers the memory and binds.
    fn bind_first(&self) -> Result<(), Error> {
        let SocketConfig { interface, queue, mode, need_wakeup, .. } = *self.config;
        let region = self.umem.region();
        let fd = self.fd.as_fd();
        system::register(fd, region.span(), region.frame_size, region.headroom)
            .map_err(|errno| register_error(errno, region.span().1 as usize))?;
        let wakeup = if need_wakeup { libc::XDP_USE_NEED_WAKEUP } else { 0 };
        let bind = |mode: u16| system::bind(fd, interface, queue, mode | wakeup, None);
        let bound = match mode {
            Mode::Copy => bind(libc::XDP_COPY),
            Mode::ZeroCopy => bind(libc::XDP_ZEROCOPY),
            Mode::Auto => bind(libc::XDP_ZEROCOPY).or_else(|_| bind(libc::XDP_COPY)),
        };
        bound.map_err(|errno| self.bind_error(errno))
    }

    fn finish(self, rings: Rings, need_wakeup: bool) -> Result<Socket, Error> {
        let Self { umem, config, fd } = self;
        let zero_copy = system::zero_copy(fd.as_fd()).map_err(Error::system("XDP_OPTIONS"))?;
        let (interface, queue) = (config.interface, config.queue);
        if config.mode == Mode::ZeroCopy && !zero_copy {
            return Err(Error::ZeroCopyUnsupported { interface, queue });
        }
        let endpoint = Arc::new(Endpoint { fd: Some(fd), interface, queue, need_wakeup });
        let slot = umem.register(&endpoint)?;
        let shares = Shares { fill: config.fill_share, transmit: config.transmit_share };
        let channel = Channel::new(rings, endpoint, slot, shares);
        let (umem, busy_poll) = (umem.region().id, config.busy_poll.is_some());
        Ok(Socket { channel, umem, zero_copy, busy_poll })
    }

    fn bind_error(&self, errno: Errno) -> Error {
        let SocketConfig { interface, queue, .. } = *self.config;
        match errno {
            libc::EBUSY => Error::QueueBusy { interface, queue },
            libc::EINVAL => Error::NoSuchQueue { interface, queue },
            libc::ENODEV => Error::NoSuchInterface { interface },
            libc::EOPNOTSUPP => Error::ZeroCopyUnsupported { interface, queue },
            libc::EPERM => Error::Permission,
            errno => Error::System { call: "bind", errno },
        }
    }
}

fn socket_error(errno: Errno) -> Error {
    match errno {
        libc::EPERM => Error::Permission,
        libc::EAFNOSUPPORT => Error::Unsupported,
        errno => Error::System { call: "socket(AF_XDP)", errno },
    }
}

fn register_error(errno: Errno, bytes: usize) -> Error {
    match errno {
        libc::ENOBUFS => Error::MemoryLimit { bytes },
        libc::ENOMEM => Error::OutOfMemory { bytes },
        errno => Error::System { call: "setsockopt(XDP_UMEM_REG)", errno },
    }
}
