//! What can go wrong, by cause, and what to do about it.

use std::fmt;

/// Why a UMEM or a socket could not be had, or no longer works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The process may not open packet sockets.
    Permission,
    /// The kernel has no AF_XDP.
    Unsupported,
    /// Another socket has the queue, or the kernel is still closing an earlier one. Closing is
    /// asynchronous, so the caller may try again for a bounded time.
    QueueBusy { interface: u32, queue: u32 },
    /// The interface has no such queue.
    NoSuchQueue { interface: u32, queue: u32 },
    /// No interface has this index in the namespace of the calling thread.
    NoSuchInterface { interface: u32 },
    /// Zero copy was asked for (or taken by an earlier socket of the same UMEM), and this driver
    /// has none.
    ZeroCopyUnsupported { interface: u32, queue: u32 },
    /// Locking the frames into memory would pass `RLIMIT_MEMLOCK`.
    MemoryLimit { bytes: usize },
    /// No memory for frames or rings.
    OutOfMemory { bytes: usize },
    /// The UMEM has this queue open already.
    AlreadyOpen { interface: u32, queue: u32 },
    /// One UMEM serves at most [`MAX_SOCKETS`](crate::limits::MAX_SOCKETS).
    TooManySockets,
    /// Frames that the kernel cannot register, or no room for data in a frame.
    FrameSize { bytes: u32, headroom: u32 },
    /// Zero frames, or more than [`LARGEST_REGION`](crate::limits::LARGEST_REGION) bytes of them.
    FrameCount { frames: u32 },
    /// A ring size that is not a power of two between 1 and
    /// [`LARGEST_RING`](crate::limits::LARGEST_RING).
    RingSize { ring: &'static str, entries: u32 },
    /// Busy polling was asked for without `CAP_NET_ADMIN`.
    BusyPollPermission,
    /// The interface of a bound socket has gone. Close the socket and open another one when the
    /// interface is back.
    Gone { interface: u32, queue: u32 },
    /// Any other failed call, by its name and `errno`.
    System { call: &'static str, errno: i32 },
}

impl Error {
    /// Turns the `errno` of `call` into an error that has no cause of its own here.
    pub(crate) fn system(call: &'static str) -> impl Fn(i32) -> Self {
        move |errno| Self::System { call, errno }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission => {
                write!(f, "not allowed to open an AF_XDP socket: run as root or give CAP_NET_RAW")
            }
            Self::Unsupported => {
                write!(f, "this kernel has no AF_XDP: CONFIG_XDP_SOCKETS is needed")
            }
            Self::QueueBusy { interface, queue } => write!(
                f,
                "queue {queue} of interface {interface} is in use: another program is bound to \
                 it, or an earlier socket is still being closed"
            ),
            Self::NoSuchQueue { interface, queue } => write!(
                f,
                "interface {interface} has no queue {queue}: see `ethtool -l` for their number"
            ),
            Self::NoSuchInterface { interface } => {
                write!(f, "there is no interface {interface} in this network namespace")
            }
            Self::ZeroCopyUnsupported { interface, queue } => write!(
                f,
                "queue {queue} of interface {interface} has no zero copy: open all sockets of \
                 this UMEM in copy mode"
            ),
            Self::MemoryLimit { bytes } => write!(
                f,
                "locking {bytes} bytes passes RLIMIT_MEMLOCK: raise it or give CAP_IPC_LOCK"
            ),
            Self::OutOfMemory { bytes } => write!(f, "no memory for {bytes} bytes"),
            Self::AlreadyOpen { interface, queue } => {
                write!(f, "queue {queue} of interface {interface} is open in this UMEM already")
            }
            Self::TooManySockets => {
                write!(f, "one UMEM serves at most {} sockets", crate::limits::MAX_SOCKETS)
            }
            Self::FrameSize { bytes, headroom } => write!(
                f,
                "frames of {bytes} bytes with {headroom} bytes of headroom cannot be used: the \
                 kernel registers 2048 or 4096, and 256 bytes are always kept free"
            ),
            Self::FrameCount { frames } => {
                write!(f, "a UMEM of {frames} frames is empty or larger than 4 GiB")
            }
            Self::RingSize { ring, entries } => write!(
                f,
                "the {ring} ring cannot have {entries} entries: use a power of two up to 65536"
            ),
            Self::BusyPollPermission => write!(f, "busy polling needs CAP_NET_ADMIN"),
            Self::Gone { interface, queue } => write!(
                f,
                "interface {interface} has gone; its socket on queue {queue} must be opened anew"
            ),
            Self::System { call, errno } => {
                write!(f, "{call}: {}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl std::error::Error for Error {}
