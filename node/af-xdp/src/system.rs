//! The system calls of AF_XDP, each wrapped once.
#![allow(unsafe_code)]

use crate::ring::Layout;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// `errno` of a failed call.
pub(crate) type Errno = i32;

/// `setsockopt(SOL_XDP)` from Linux 6.17 on (include/uapi/linux/if_xdp.h); not in `libc` yet.
const XDP_MAX_TX_SKB_BUDGET: i32 = 9;

/// Plain integers, as the kernel writes and reads them.
///
/// # Safety
/// All zeroes, and anything the kernel writes, must be a valid value.
unsafe trait Plain: Copy {}

// SAFETY: structures of integers only.
unsafe impl Plain for libc::xdp_mmap_offsets {}
// SAFETY: as above.
unsafe impl Plain for libc::xdp_statistics {}
// SAFETY: as above.
unsafe impl Plain for libc::xdp_options {}
// SAFETY: as above.
unsafe impl Plain for libc::xdp_umem_reg {}
// SAFETY: an integer.
unsafe impl Plain for u32 {}

/// Where the four rings lie in their mappings.
pub(crate) struct Layouts {
    pub(crate) fill: Layout,
    pub(crate) completion: Layout,
    pub(crate) receive: Layout,
    pub(crate) transmit: Layout,
}

/// A new AF_XDP socket.
pub(crate) fn socket() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::socket(libc::AF_XDP, kind, 0) })?;
    // SAFETY: the descriptor was made just now and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Registers memory: `address` and `len` in bytes.
pub(crate) fn register(
    fd: BorrowedFd<'_>,
    (address, len): (u64, u64),
    frame_size: u32,
    headroom: u32,
) -> Result<(), Errno> {
    // The whole structure, zeroed: kernels since 6.11 look at the fields behind `flags`, and take
    // rubbish there for a request.
    let mut request: libc::xdp_umem_reg = zeroed();
    request.addr = address;
    request.len = len;
    request.chunk_size = frame_size;
    request.headroom = headroom;
    set(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &request)
}

/// Creates one ring: `ring` is `XDP_RX_RING` and so on.
pub(crate) fn create_ring(fd: BorrowedFd<'_>, ring: i32, entries: u32) -> Result<(), Errno> {
    set(fd, libc::SOL_XDP, ring, &entries)
}

/// How the rings are laid out.
pub(crate) fn layouts(fd: BorrowedFd<'_>) -> Result<Layouts, Errno> {
    let offsets: libc::xdp_mmap_offsets = get(fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS)?;
    let layout = |ring: libc::xdp_ring_offset| Layout {
        producer: ring.producer as usize,
        consumer: ring.consumer as usize,
        flags: ring.flags as usize,
        entries: ring.desc as usize,
    };
    Ok(Layouts {
        fill: layout(offsets.fr),
        completion: layout(offsets.cr),
        receive: layout(offsets.rx),
        transmit: layout(offsets.tx),
    })
}

/// Binds to a queue. `share` is the socket whose UMEM is to be shared.
pub(crate) fn bind(
    fd: BorrowedFd<'_>,
    interface: u32,
    queue: u32,
    flags: u16,
    share: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let address = libc::sockaddr_xdp {
        sxdp_family: libc::AF_XDP as u16,
        sxdp_flags: flags,
        sxdp_ifindex: interface,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: share.map_or(0, |fd| fd.as_raw_fd() as u32),
    };
    let len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is valid for `len` bytes during the call, which does not keep it.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) }).map(drop)
}

/// Asks the kernel to send what is in the TX ring.
pub(crate) fn wake_transmit(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: an empty message and no address; nothing is read or written.
    let sent = unsafe { libc::sendto(fd.as_raw_fd(), ptr::null(), 0, flags, ptr::null(), 0) };
    check(sent as i32).map(drop)
}

/// Asks the kernel to receive: wakes the driver, or polls it when busy polling is on.
pub(crate) fn wake_receive(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let (raw, flags) = (fd.as_raw_fd(), libc::MSG_DONTWAIT);
    // SAFETY: an empty buffer and no address; nothing is written.
    let received =
        unsafe { libc::recvfrom(raw, ptr::null_mut(), 0, flags, ptr::null_mut(), ptr::null_mut()) };
    check(received as i32).map(drop)
}

/// The socket's counters in the kernel.
pub(crate) fn statistics(fd: BorrowedFd<'_>) -> Result<libc::xdp_statistics, Errno> {
    get(fd, libc::SOL_XDP, libc::XDP_STATISTICS)
}

/// Whether the socket, once bound, moves frames without a copy.
pub(crate) fn zero_copy(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    let options: libc::xdp_options = get(fd, libc::SOL_XDP, libc::XDP_OPTIONS)?;
    Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
}

/// Lets one `sendto` take up to `frames` frames in copy mode.
pub(crate) fn set_transmit_budget(fd: BorrowedFd<'_>, frames: u32) -> Result<(), Errno> {
    set(fd, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &frames)
}

/// Turns busy polling on: `micros` at most at a time, `budget` frames at most.
pub(crate) fn set_busy_poll(fd: BorrowedFd<'_>, micros: u32, budget: u32) -> Result<(), Errno> {
    set(fd, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, &1)?;
    set(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, &micros)?;
    set(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET, &budget)
}

/// The error that happened to the socket since the last look, 0 for none.
pub(crate) fn pending_error(fd: BorrowedFd<'_>) -> Result<Errno, Errno> {
    get::<u32>(fd, libc::SOL_SOCKET, libc::SO_ERROR).map(|errno| errno as Errno)
}

/// Whether the namespace of the calling thread has an interface of this index.
pub(crate) fn interface_exists(index: u32) -> bool {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: room for the longest name.
    !unsafe { libc::if_indextoname(index, name.as_mut_ptr()) }.is_null()
}

fn set<T: Plain>(fd: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> Result<(), Errno> {
    let (raw, len) = (fd.as_raw_fd(), size_of::<T>() as libc::socklen_t);
    // SAFETY: `value` is valid for `len` bytes, and the kernel only reads it.
    check(unsafe { libc::setsockopt(raw, level, name, ptr::from_ref(value).cast(), len) }).map(drop)
}

fn get<T: Plain>(fd: BorrowedFd<'_>, level: i32, name: i32) -> Result<T, Errno> {
    let mut value: T = zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    let place = (&raw mut value).cast();
    // SAFETY: the kernel writes at most `len` bytes to `place`, any of which are valid in a `T`.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, place, &mut len) })?;
    Ok(value)
}

fn zeroed<T: Plain>() -> T {
    // SAFETY: `Plain` says that all zeroes are a valid value.
    unsafe { mem::zeroed() }
}

fn check(result: i32) -> Result<i32, Errno> {
    match result {
        -1 => Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)),
        other => Ok(other),
    }
}
