//! Captures the segments of the connections that are probed, at an end's interfaces.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{ReceiveTimeout, ReceiveTimestampns};
use nix::sys::socket::{MsgFlags, SockProtocol, recvmsg, setsockopt};
use nix::sys::time::{TimeSpec, TimeVal};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use wire::{Packet, Transport};

use super::stream::stamp;
use super::{Error, Port};
use crate::field::limits::LONGEST_SLEEP;
use crate::field::log::Nanos;

/// Bytes of a frame that are looked at: headers and the longest message.
const FRAME: usize = 256;

/// A segment that was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) at: Nanos,
    pub(super) ports: (u16, u16),
    pub(super) flags: wire::TcpFlags,
    pub(super) sequence: u32,
    pub(super) ack: u32,
    pub(super) window: u16,
    /// Bytes of data.
    pub(super) length: u32,
}

/// A packet socket.
#[derive(Debug)]
pub(super) struct Capture {
    socket: OwnedFd,
}

/// Takes TCP segments from or to [`Port::PROBED`], without VLAN tags and extension headers, and
/// nothing else.
const FILTER: [SockFilter; 16] = {
    const LOAD_HALF: u16 = 0x28; // BPF_LD | BPF_H | BPF_ABS
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const LOAD_HALF_X: u16 = 0x48; // BPF_LD | BPF_H | BPF_IND
    const LOAD_LENGTH_X: u16 = 0xb1; // BPF_LDX | BPF_B | BPF_MSH
    const LOAD_X: u16 = 0x01; // BPF_LDX | BPF_W | BPF_IMM
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const TCP: u32 = 6;
    const PORT: u32 = Port::PROBED as u32;
    const fn op(code: u16, yes: u8, no: u8, value: u32) -> SockFilter {
        SockFilter::new(code, yes, no, value)
    }
    [
        op(LOAD_HALF, 0, 0, 12),        // 0: the Ethernet type
        op(EQUAL, 0, 4, 0x0800),        // 1: IPv4, or go to 6
        op(LOAD_BYTE, 0, 0, 23),        // 2: its protocol
        op(EQUAL, 0, 11, TCP),          // 3: or go to 15
        op(LOAD_LENGTH_X, 0, 0, 14),    // 4: X is the length of its header
        op(JUMP, 0, 0, 4),              // 5: go to 10
        op(EQUAL, 0, 8, 0x86dd),        // 6: IPv6, or go to 15
        op(LOAD_BYTE, 0, 0, 20),        // 7: its next header
        op(EQUAL, 0, 6, TCP),           // 8: or go to 15
        op(LOAD_X, 0, 0, 40),           // 9: X is the length of its header
        op(LOAD_HALF_X, 0, 0, 14),      // 10: the source port
        op(EQUAL, 2, 0, PORT),          // 11: go to 14
        op(LOAD_HALF_X, 0, 0, 16),      // 12: the destination port
        op(EQUAL, 0, 1, PORT),          // 13: or go to 15
        op(RETURN, 0, 0, FRAME as u32), // 14
        op(RETURN, 0, 0, 0),            // 15
    ]
};

impl Capture {
    /// Opens one on all interfaces. To be called inside the namespace.
    pub(super) fn open() -> Result<Self, Error> {
        let made = (|| {
            let protocol = Protocol::from(SockProtocol::EthAll as i32);
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol))?;
            socket.attach_filter(&FILTER)?;
            setsockopt(&socket, ReceiveTimestampns, &true)?;
            let limit = TimeVal::new(0, LONGEST_SLEEP.as_micros() as i64);
            setsockopt(&socket, ReceiveTimeout, &limit)?;
            Ok(socket.into())
        })();
        Ok(Self { socket: made.map_err(Error::io("capture segments"))? })
    }

    /// The next segment, waited for no longer than a turn.
    pub(super) fn next(&self) -> Result<Option<Segment>, Error> {
        let mut bytes = [0; FRAME];
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut slices = [std::io::IoSliceMut::new(&mut bytes)];
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut slices, Some(&mut control), MsgFlags::empty());
        let (length, at) = match message {
            Ok(message) => (message.bytes, stamp(message.cmsgs())),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return Ok(None),
            Err(errno) => return Err(Error::io("capture segments")(errno.into())),
        };
        Ok(Segment::read(&bytes[..length.min(FRAME)], at))
    }
}

impl Segment {
    fn read(frame: &[u8], at: Nanos) -> Option<Self> {
        let packet = Packet::parse(frame).ok()?;
        let Transport::Tcp(tcp) = &packet.body else { return None };
        let start = packet.transport + u32::from(tcp.header_len);
        Some(Self {
            at,
            ports: packet.ports()?,
            flags: tcp.flags,
            sequence: tcp.sequence.0,
            ack: tcp.acknowledgment.0,
            window: tcp.window,
            length: packet.end - start,
        })
    }
}
