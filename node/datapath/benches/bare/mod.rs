//! The least an XDP program for AF_XDP can do: `bpf_redirect_map(&sockets, queue, XDP_DROP)`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Commands and kinds of linux/bpf.h.
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE: libc::c_long = 2;
const PROGRAM_LOAD: libc::c_long = 5;
const TEST_RUN: libc::c_long = 10;
const MAP_TYPE_XSK: u32 = 17;
const PROGRAM_TYPE_XDP: u32 = 6;
const XDP_REDIRECT: u32 = 4;

const LICENCE: &[u8] = b"Dual MIT/GPL\0";

pub(crate) struct BareProgram {
    program: OwnedFd,
}

impl BareProgram {
    /// Loads it, with this socket for queue 0.
    pub(crate) fn load(socket: impl AsFd) -> io::Result<Self> {
        let sockets = create_sockets()?;
        set_socket(&sockets, 0, &socket)?;
        // The program keeps the map.
        Ok(Self { program: load(&instructions(sockets.as_raw_fd()))? })
    }

    /// The time of one run (whole nanoseconds) out of `repeat`.
    pub(crate) fn timed_run(&self, frame: &[u8], repeat: u32) -> io::Result<Duration> {
        let mut attributes = Attributes::default();
        attributes.0[0] = self.program.as_raw_fd().cast_unsigned();
        attributes.0[2] = u32::try_from(frame.len()).map_err(io::Error::other)?;
        attributes.point(4, frame);
        attributes.0[8] = repeat;
        attributes.call(TEST_RUN)?;
        assert_eq!(attributes.0[1], XDP_REDIRECT);
        Ok(Duration::from_nanos(attributes.0[9].into()))
    }
}

/// `struct bpf_insn`: operation, registers (source << 4 | destination), offset, number.
#[repr(C)]
struct Instruction(u8, u8, i16, i32);

fn instructions(sockets: i32) -> [Instruction; 6] {
    [
        Instruction(0x61, 0x12, 16, 0),      // r2 = context->rx_queue_index
        Instruction(0x18, 0x11, 0, sockets), // r1 = the map, in two instructions
        Instruction(0, 0, 0, 0),
        Instruction(0xb7, 0x03, 0, 1),  // r3 = XDP_DROP
        Instruction(0x85, 0x00, 0, 51), // r0 = bpf_redirect_map(r1, r2, r3)
        Instruction(0x95, 0x00, 0, 0),  // return r0
    ]
}

fn create_sockets() -> io::Result<OwnedFd> {
    let mut attributes = Attributes::default();
    attributes.0[..4].copy_from_slice(&[MAP_TYPE_XSK, 4, 4, 1]);
    attributes.open(MAP_CREATE)
}

fn set_socket(sockets: &OwnedFd, queue: u32, socket: &impl AsFd) -> io::Result<()> {
    let (key, value) = (queue, socket.as_fd().as_raw_fd());
    let mut attributes = Attributes::default();
    attributes.0[0] = sockets.as_raw_fd().cast_unsigned();
    attributes.point(2, &raw const key);
    attributes.point(4, &raw const value);
    attributes.call(MAP_UPDATE).map(drop)
}

fn load(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let mut attributes = Attributes::default();
    attributes.0[0] = PROGRAM_TYPE_XDP;
    attributes.0[1] = u32::try_from(instructions.len()).map_err(io::Error::other)?;
    attributes.point(2, instructions);
    attributes.point(4, LICENCE);
    attributes.open(PROGRAM_LOAD)
}

/// `union bpf_attr`; longer than what any command here reads.
#[derive(Default)]
#[repr(C, align(8))]
struct Attributes([u32; 32]);

impl Attributes {
    /// Puts an address into two words.
    fn point<T: ?Sized>(&mut self, at: usize, to: *const T) {
        let bytes = (to.cast::<u8>() as u64).to_ne_bytes();
        let (words, _) = bytes.as_chunks::<4>();
        self.0[at] = u32::from_ne_bytes(words[0]);
        self.0[at + 1] = u32::from_ne_bytes(words[1]);
    }

    /// The system call; what it returns, which is a descriptor for some commands.
    fn call(&mut self, command: libc::c_long) -> io::Result<i32> {
        let size = size_of::<Self>();
        // SAFETY: the attributes are `size` bytes and outlive the call, as does what the callers
        // let them point at, with the lengths they state.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *self, size) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        i32::try_from(result).map_err(io::Error::other)
    }

    fn open(&mut self, command: libc::c_long) -> io::Result<OwnedFd> {
        let fd = self.call(command)?;
        // SAFETY: these commands return a new descriptor, which is nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}
