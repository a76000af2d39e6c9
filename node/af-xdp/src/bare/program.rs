//! The smallest XDP program that feeds AF_XDP sockets, put together and loaded by hand.
#![allow(unsafe_code)]

use crate::error::Error;
use crate::socket::Socket;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

// include/uapi/linux/bpf.h
const BPF_MAP_CREATE: i32 = 0;
const BPF_MAP_UPDATE_ELEM: i32 = 2;
const BPF_PROG_LOAD: i32 = 5;
const BPF_LINK_CREATE: i32 = 28;
const BPF_MAP_TYPE_XSKMAP: u32 = 17;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_FUNC_REDIRECT_MAP: i32 = 51;
const BPF_PSEUDO_MAP_FD: u8 = 1;

/// What becomes of a frame whose queue has no socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Dropped.
    Drop,
    /// To the kernel's own stack.
    Pass,
}

/// A program on one interface that gives each frame to the socket of its queue. It leaves the
/// interface when dropped.
#[derive(Debug)]
pub struct RedirectProgram {
    map: OwnedFd,
    _link: OwnedFd,
}

impl RedirectProgram {
    /// Loads it and attaches it to an interface, in the driver if that can, with room for `queues`
    /// sockets.
    pub fn attach(interface: u32, queues: u32, otherwise: Otherwise) -> Result<Self, Error> {
        let map = create_map(queues)?;
        let program = load(&instructions(map.as_raw_fd(), otherwise))?;
        let link = attach(&program, interface)?;
        Ok(Self { map, _link: link })
    }

    /// From now on frames of this socket's queue go to it.
    pub fn insert(&self, socket: &Socket) -> Result<(), Error> {
        let (key, value) = (socket.queue(), socket.as_raw_fd());
        let update = MapUpdate {
            map: self.map.as_raw_fd() as u32,
            padding: 0,
            key: (&raw const key) as u64,
            value: (&raw const value) as u64,
            flags: 0,
        };
        bpf("bpf(BPF_MAP_UPDATE_ELEM)", BPF_MAP_UPDATE_ELEM, &update).map(drop)
    }
}

/// ```text
/// r2 = ctx->rx_queue_index
/// r1 = map
/// r3 = XDP_DROP or XDP_PASS     (what redirect_map returns where the map is empty)
/// call bpf_redirect_map
/// exit
/// ```
fn instructions(map: RawFd, otherwise: Otherwise) -> [u64; 6] {
    let verdict = match otherwise {
        Otherwise::Drop => 1,
        Otherwise::Pass => 2,
    };
    [
        instruction(0x61, 2, 1, 16, 0),
        instruction(0x18, 1, BPF_PSEUDO_MAP_FD, 0, map),
        instruction(0, 0, 0, 0, 0),
        instruction(0xb7, 3, 0, 0, verdict),
        instruction(0x85, 0, 0, 0, BPF_FUNC_REDIRECT_MAP),
        instruction(0x95, 0, 0, 0, 0),
    ]
}

/// `struct bpf_insn`: code, two registers in a byte, offset, immediate.
pub(super) fn instruction(
    code: u8,
    destination: u8,
    source: u8,
    offset: u16,
    immediate: i32,
) -> u64 {
    let [low, high] = offset.to_ne_bytes();
    let [a, b, c, d] = immediate.to_ne_bytes();
    let registers = match cfg!(target_endian = "little") {
        true => destination | source << 4,
        false => destination << 4 | source,
    };
    u64::from_ne_bytes([code, registers, low, high, a, b, c, d])
}

#[repr(C)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct MapUpdate {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// The arguments of a `bpf` command: integers and addresses, a prefix of `union bpf_attr`.
///
/// # Safety
/// Laid out as the kernel has it, and every address in it valid during the call.
pub(super) unsafe trait Attribute {}

// SAFETY: four integers.
unsafe impl Attribute for MapCreate {}
// SAFETY: `insert` makes it of addresses of its own variables.
unsafe impl Attribute for MapUpdate {}
// SAFETY: `load` makes it of a slice and a literal.
unsafe impl Attribute for ProgramLoad {}
// SAFETY: four integers.
unsafe impl Attribute for LinkCreate {}

fn create_map(queues: u32) -> Result<OwnedFd, Error> {
    let kind = BPF_MAP_TYPE_XSKMAP;
    let create = MapCreate { kind, key_size: 4, value_size: 4, max_entries: queues };
    let fd = bpf("bpf(BPF_MAP_CREATE)", BPF_MAP_CREATE, &create)?;
    // SAFETY: a new descriptor that belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn load(instructions: &[u64]) -> Result<OwnedFd, Error> {
    let load = ProgramLoad {
        kind: BPF_PROG_TYPE_XDP,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"MIT OR Apache-2.0".as_ptr() as u64,
    };
    let fd = bpf("bpf(BPF_PROG_LOAD)", BPF_PROG_LOAD, &load)?;
    // SAFETY: a new descriptor that belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attach(program: &OwnedFd, interface: u32) -> Result<OwnedFd, Error> {
    let program = program.as_raw_fd() as u32;
    let create = LinkCreate { program, interface, attach_type: BPF_XDP, flags: 0 };
    let fd = bpf("bpf(BPF_LINK_CREATE)", BPF_LINK_CREATE, &create)?;
    // SAFETY: a new descriptor that belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn bpf<T: Attribute>(
    call: &'static str,
    command: i32,
    attribute: &T,
) -> Result<RawFd, Error> {
    let address = ptr::from_ref(attribute);
    // SAFETY: the attribute is valid for its size, and so is what its addresses lead to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, address, size_of::<T>()) };
    if result < 0 {
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        return Err(Error::System { call, errno });
    }
    Ok(result as RawFd)
}

/// Sleeps until one of two descriptors can be read, or `timeout` is over.
pub(super) fn wait_readable(fds: [RawFd; 2], timeout: Duration) {
    let mut fds = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: two valid entries, written by the kernel only during the call.
    unsafe { libc::poll(fds.as_mut_ptr(), 2, millis) };
}
