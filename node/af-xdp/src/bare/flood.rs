//! A generator of SYNs from forged sources, as fast as a core can: a program that the kernel runs on frames
//! of its own (`BPF_PROG_TEST_RUN` with live frames) and that sends each of them out of an interface.
//!
//! ```text
//! source address  x, and below it the complement of x        what is added to a checksum by the one
//! source port     y, and in the sequence number              is taken away by the other, so both
//!                 the complement of y                         checksums of the template stay right
//! ```
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

use super::program::{Attribute, bpf, instruction, load};
use crate::error::Error;
use crate::limits::FLOOD_BATCH;

const BPF_PROG_TEST_RUN: i32 = 10;
const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
const BPF_FUNC_GET_PRANDOM_U32: i32 = 7;
const XDP_ABORTED: i32 = 0;
const XDP_TX: i32 = 3;

/// Ethernet, IPv4 and TCP headers without options.
const HEADERS: i32 = 54;

/// The program with its template.
#[derive(Debug)]
pub struct SynFlood {
    program: OwnedFd,
    interface: u32,
    template: Vec<u8>,
}

impl SynFlood {
    /// The source address of the template: its halves are complements.
    pub const SOURCE: [u8; 4] = [64, 0, 191, 255];
    /// The source port and the sequence number of the template: the upper half of this is the other's
    /// complement.
    pub const PORT_AND_SEQUENCE: (u16, u32) = (0, 0xffff_0000);

    /// A flood out of an interface. The template is an Ethernet frame with an IPv4 SYN from
    /// [`Self::SOURCE`], with [`Self::PORT_AND_SEQUENCE`] and right checksums.
    pub fn new(interface: u32, template: &[u8]) -> Result<Self, Error> {
        let program = load(&instructions())?;
        Ok(Self { program, interface, template: template.to_vec() })
    }

    /// Sends so many.
    pub fn send(&self, packets: u32) -> Result<(), Error> {
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context = [0, self.template.len() as u32, 0, self.interface, 0, 0];
        let run = TestRun {
            program: self.program.as_raw_fd() as u32,
            returned: 0,
            data_size: [self.template.len() as u32, 0],
            data: [self.template.as_ptr() as u64, 0],
            repeat: packets,
            duration: 0,
            context_size: [size_of_val(&context) as u32, 0],
            context: [context.as_ptr() as u64, 0],
            flags: BPF_F_TEST_XDP_LIVE_FRAMES,
            cpu: 0,
            batch_size: FLOOD_BATCH,
            padding: 0,
        };
        bpf("bpf(BPF_PROG_TEST_RUN)", BPF_PROG_TEST_RUN, &run).map(drop)
    }
}

/// ```text
/// r6 = ctx->data; if r6 + HEADERS > ctx->data_end return XDP_ABORTED
/// r0 = random
/// source = 64..95, any        below it the complement
/// port   = any                in the sequence number the complement
/// return XDP_TX
/// ```
fn instructions() -> [u64; 22] {
    let store = |from, at| instruction(0x6b, 6, from, at, 0);
    let complement = |of| instruction(0xa7, of, 0, 0, 0xffff);
    [
        instruction(0x61, 6, 1, 0, 0),       // r6 = data
        instruction(0x61, 2, 1, 4, 0),       // r2 = data_end
        instruction(0xbf, 3, 6, 0, 0),       // r3 = r6
        instruction(0x07, 3, 0, 0, HEADERS), // r3 += HEADERS
        instruction(0x3d, 2, 3, 2, 0),       // if r2 >= r3 skip 2
        instruction(0xb7, 0, 0, 0, XDP_ABORTED),
        instruction(0x95, 0, 0, 0, 0),
        instruction(0x85, 0, 0, 0, BPF_FUNC_GET_PRANDOM_U32),
        instruction(0xbf, 7, 0, 0, 0),      // r7 = r0
        instruction(0x57, 7, 0, 0, 0xff1f), // r7 &= 0xff1f: octets 0..31, any
        instruction(0x47, 7, 0, 0, 0x0040), // r7 |= 0x0040: octets 64..95, any
        store(7, 26),
        complement(7),
        store(7, 28),
        instruction(0xbf, 8, 0, 0, 0),  // r8 = r0
        instruction(0x77, 8, 0, 0, 16), // r8 >>= 16
        instruction(0x57, 8, 0, 0, 0xffff),
        store(8, 34),
        complement(8),
        store(8, 38),
        instruction(0xb7, 0, 0, 0, XDP_TX),
        instruction(0x95, 0, 0, 0, 0),
    ]
}

/// The `test` part of `union bpf_attr`.
#[repr(C)]
struct TestRun {
    program: u32,
    returned: u32,
    data_size: [u32; 2],
    data: [u64; 2],
    repeat: u32,
    duration: u32,
    context_size: [u32; 2],
    context: [u64; 2],
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

// SAFETY: `send` makes it of addresses of its own variables.
unsafe impl Attribute for TestRun {}
