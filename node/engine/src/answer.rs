//! Frames that the firewall itself sends about a packet: a TCP reset or an ICMP error, written into
//! the caller's buffer, back out of the port the packet came in by.
//!
//! ```text
//! Answer ── may (rules of silence) ──► Limiter ── permits ──► write ──► frame
//! ```

use std::net::IpAddr;

use wire::{Packet, Seq, Transport, Version, cookie, icmp};

use crate::Reason;
use crate::limits::{IPV4_MTU_MIN, IPV6_MTU_MIN};

mod limit;
mod mute;
#[cfg(test)]
mod tests;
mod write;

pub use limit::{Limiter, Rate, Rates};
pub use mute::Mute;
pub(crate) use write::send_back;

/// What to say about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// TCP reset, as a host without such a connection sends it (RFC 9293 §3.10.7.1). Seems to come
    /// from the packet's destination.
    Reset,
    /// TCP challenge ACK (RFC 5961 §3.2), which its sender answers with its true numbers. Seems to come
    /// from the packet's destination.
    Challenge {
        /// Sequence number.
        sequence: Seq,
        /// Acknowledgment number.
        acknowledgment: Seq,
    },
    /// The SYN-ACK to a SYN, with a cookie: seems to come from the packet's destination.
    Cookie {
        /// What it is made with.
        context: cookie::Context,
        /// The MSS that it announces.
        mss: u16,
    },
    /// ICMP destination unreachable.
    Unreachable(Unreachable),
    /// ICMP time exceeded: the hop limit ran out here.
    HopLimit,
    /// ICMP time exceeded: the datagram's fragments did not all come (RFC 8200 §4.5). The packet is
    /// its first fragment.
    Reassembly,
    /// ICMPv4 fragmentation needed (RFC 1191 §4), ICMPv6 packet too big (RFC 4443 §3.2).
    TooBig {
        /// MTU of the next link, bytes of an IP packet.
        mtu: u32,
    },
}

/// Why a destination cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// No route: ICMPv4 network (0), ICMPv6 no route (0).
    Route,
    /// The neighbour does not answer: ICMPv4 host (1), ICMPv6 address (3).
    Host,
    /// Nobody listens: ICMPv4 and ICMPv6 port (3, 4).
    Port,
    /// The policy or a route forbids it: ICMPv4 13 (RFC 1812 §5.2.7.1), ICMPv6 1.
    Prohibited,
}

impl Answer {
    /// What `action = "reject"` says about a packet.
    pub const fn reject(packet: &Packet) -> Self {
        match packet.body {
            Transport::Tcp(_) => Self::Reset,
            Transport::Udp(_)
            | Transport::Icmp(_)
            | Transport::Sctp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => Self::Unreachable(Unreachable::Prohibited),
        }
    }

    /// Whether it is one of those that no limit is for: one for each SYN, and no longer than it.
    pub(crate) const fn is_cookie(self) -> bool {
        matches!(self, Self::Cookie { .. })
    }

    /// Whether the RFCs allow this answer to this packet. The caller knows one more rule: nothing
    /// is said to or about a directed broadcast address (`Fib::is_broadcast`).
    pub fn may(self, frame: &[u8], packet: &Packet) -> Result<(), Mute> {
        mute::check(self, frame, packet)
    }

    /// Writes the answer to `packet`, the whole of `frame`, into `out`; returns its length, bytes.
    ///
    /// The link-layer header is the frame's own with its addresses swapped, VLAN tags and all.
    /// `source` is the address an ICMP error comes from; a reset does not use it. A buffer of
    /// [`crate::limits::ANSWER_FRAME_BYTES`] is enough for any Ethernet frame.
    pub fn write(
        self,
        frame: &[u8],
        packet: &Packet,
        source: IpAddr,
        out: &mut [u8],
    ) -> Result<usize, Mute> {
        self.may(frame, packet)?;
        match (self, packet.body) {
            (Self::Reset, Transport::Tcp(tcp)) => write::reset(frame, packet, &tcp, out),
            (Self::Challenge { sequence, acknowledgment }, Transport::Tcp(tcp)) => {
                write::challenge(frame, packet, &tcp, [sequence, acknowledgment], out)
            }
            (Self::Cookie { context, mss }, _) => {
                let answer = cookie::answer(packet, &context, mss).ok_or(Mute::NoSyn)?;
                send_back(&answer, frame, packet, out)
            }
            _ => write::error(self.message(packet.version), frame, packet, source, out),
        }
    }

    /// The reason for a drop that would have been this answer.
    pub(crate) const fn silent(self) -> Reason {
        match self {
            Self::HopLimit => Reason::HopLimit,
            Self::TooBig { .. } => Reason::TooBig,
            Self::Unreachable(Unreachable::Route) => Reason::NoRoute,
            Self::Unreachable(Unreachable::Host) => Reason::NeighbourUnresolved,
            Self::Unreachable(Unreachable::Port | Unreachable::Prohibited) | Self::Reset => {
                Reason::RejectLimited
            }
            Self::Challenge { .. } => Reason::TcpWindow,
            Self::Cookie { .. } => Reason::SynFlood,
            Self::Reassembly => Reason::FragmentTimeout,
        }
    }

    /// The ICMP message that says it; of a reset, what stands for it in ICMP.
    fn message(self, version: Version) -> Message {
        match version {
            Version::V4 => self.message_v4(),
            Version::V6 => self.message_v6(),
        }
    }

    fn message_v4(self) -> Message {
        use icmp::v4;
        let unreachable = |code| Message { kind: v4::UNREACHABLE, code, rest: 0 };
        let exceeded = |code| Message { kind: v4::TIME_EXCEEDED, code, rest: 0 };
        match self {
            Self::Unreachable(Unreachable::Route) => unreachable(v4::NETWORK),
            Self::Unreachable(Unreachable::Host) => unreachable(v4::HOST),
            Self::Unreachable(Unreachable::Port) => unreachable(v4::PORT),
            Self::Unreachable(Unreachable::Prohibited)
            | Self::Reset
            | Self::Challenge { .. }
            | Self::Cookie { .. } => unreachable(v4::PROHIBITED),
            Self::HopLimit => exceeded(v4::IN_TRANSIT),
            Self::Reassembly => exceeded(v4::REASSEMBLY),
            Self::TooBig { mtu } => {
                let rest = mtu.clamp(IPV4_MTU_MIN, u32::from(u16::MAX));
                Message { rest, ..unreachable(v4::FRAGMENTATION_NEEDED) }
            }
        }
    }

    fn message_v6(self) -> Message {
        use icmp::v6;
        let unreachable = |code| Message { kind: v6::UNREACHABLE, code, rest: 0 };
        let exceeded = |code| Message { kind: v6::TIME_EXCEEDED, code, rest: 0 };
        match self {
            Self::Unreachable(Unreachable::Route) => unreachable(v6::NO_ROUTE),
            Self::Unreachable(Unreachable::Host) => unreachable(v6::ADDRESS),
            Self::Unreachable(Unreachable::Port) => unreachable(v6::PORT),
            Self::Unreachable(Unreachable::Prohibited)
            | Self::Reset
            | Self::Challenge { .. }
            | Self::Cookie { .. } => unreachable(v6::PROHIBITED),
            Self::HopLimit => exceeded(v6::HOP_LIMIT),
            Self::Reassembly => exceeded(v6::REASSEMBLY),
            Self::TooBig { mtu } => {
                Message { kind: v6::PACKET_TOO_BIG, code: 0, rest: mtu.max(IPV6_MTU_MIN) }
            }
        }
    }
}

/// The header of an ICMP error without its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    kind: u8,
    code: u8,
    rest: u32, // bytes 4 to 7
}
