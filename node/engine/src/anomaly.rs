//! Anomalies: what is odd about a session as a whole, where each packet by itself was let through.
//!
//! An oddity of one packet is a [`Reason`](crate::Reason): such a packet is dropped and counted there.
//! What is left are odd beginnings, beginnings that come to nothing, and ICMP errors that say so. A
//! session is read when it opens, when it ends, and when an ICMP error about it passes; never while
//! packets flow.
//!
//! ```text
//! SYN with URG ───────────────────────────────────► tcp-syn-urgent
//! SYN ─┬─ (nothing) ────────────── its time is over ► tcp-syn-unanswered
//!      ├─ ICMP unreachable ────────────────────────► tcp-syn-unreachable
//!      ├─ RST of the responder ────────────────────► tcp-syn-refused
//!      ├─ RST of the initiator ────────────────────► tcp-syn-withdrawn
//!      └─ SYN-ACK ─┬─ (nothing) ── its time is over ► tcp-syn-ack-unanswered
//!                  └─ RST, of either, as above
//! UDP ─── ICMP unreachable ────────────────────────► udp-unreachable
//! ```
//!
//! A session has at most one anomaly of each name, however often a segment or an error is repeated.
//! Only a session whose own time ran out went *unanswered*: one that was evicted, cleared or refused
//! by a new policy before was not given the time, and has its close reason.

use wire::{Icmp, Packet, Protocol, TcpFlags, Transport, Version, icmp};

use crate::session::{CloseReason, Flags, Peer, Session};
use crate::tcp;

/// Declares [`Anomaly`] together with its list, names and help texts, so that they cannot differ.
macro_rules! anomalies {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal,)+) => {
        /// One oddity of a session.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Anomaly {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Anomaly {
            /// Every anomaly, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number of anomalies: the length of a counter array.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in counters, metrics and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happened, and what it may mean.
            #[must_use]
            pub const fn explain(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),+).trim_ascii(),)+ }
            }
        }
    };
}

anomalies! {
    /// A SYN was let through and no SYN-ACK came in its time: a dead host, a scan, or a SYN flood.
    TcpSynUnanswered = "tcp-syn-unanswered",
    /// SYN and SYN-ACK passed and no ACK completed the handshake in its time: a SYN flood from forged
    /// addresses, or a half-open scan.
    TcpSynAckUnanswered = "tcp-syn-ack-unanswered",
    /// The responder reset the connection before it was open: a closed port, met by mistake or by a
    /// scan.
    TcpSynRefused = "tcp-syn-refused",
    /// The initiator reset the connection before it was open: a half-open scan that found an open
    /// port, or a client that gave up.
    TcpSynWithdrawn = "tcp-syn-withdrawn",
    /// An ICMP destination unreachable answered a SYN: no such host or port, or another firewall.
    TcpSynUnreachable = "tcp-syn-unreachable",
    /// The SYN that opened a connection had URG set: no stack sends that, tools that tell stacks apart do.
    TcpSynUrgent = "tcp-syn-urgent",
    /// An ICMP destination unreachable answered a UDP datagram: a closed port, met by mistake or by a
    /// scan.
    UdpUnreachable = "udp-unreachable",
}

impl Anomaly {
    /// What is odd about a session that ends for `reason`.
    pub(crate) fn at_end(session: &Session, reason: CloseReason) -> Option<Self> {
        let unreachable = session.flags.has(Flags::UNREACHABLE);
        match session.tcp.state() {
            tcp::State::SynSent | tcp::State::SynSent2 => {
                (waited(reason) && !unreachable).then_some(Self::TcpSynUnanswered)
            }
            tcp::State::SynReceived => waited(reason).then_some(Self::TcpSynAckUnanswered),
            tcp::State::Close => session.tcp.reset_while_opening().map(Self::of_reset),
            tcp::State::None
            | tcp::State::Established
            | tcp::State::FinWait
            | tcp::State::CloseWait
            | tcp::State::LastAck
            | tcp::State::TimeWait
            | tcp::State::PickedUp => None,
        }
    }

    const fn of_reset(sender: Peer) -> Self {
        match sender {
            Peer::Initiator => Self::TcpSynWithdrawn,
            Peer::Responder => Self::TcpSynRefused,
        }
    }

    /// What is odd about a session whose first packet this is.
    pub(crate) fn at_opening(packet: &Packet) -> Option<Self> {
        let Transport::Tcp(tcp) = &packet.body else { return None };
        tcp.flags.contains(TcpFlags::SYN | TcpFlags::URG).then_some(Self::TcpSynUrgent)
    }

    /// What is odd about a session when this ICMP error about a packet of `sender` passes; nothing,
    /// if one passed before.
    pub(crate) fn of_error(
        session: &Session,
        sender: Peer,
        version: Version,
        error: &Icmp,
    ) -> Option<Self> {
        if !says_unreachable(version, error) || session.flags.has(Flags::UNREACHABLE) {
            return None;
        }
        Self::of_unreachable(session, sender)
    }

    /// What is odd about a session whose first packet found no next hop.
    pub(crate) fn of_silence(session: &Session) -> Option<Self> {
        Self::of_unreachable(session, Peer::Initiator)
    }

    fn of_unreachable(session: &Session, sender: Peer) -> Option<Self> {
        let opening = matches!(session.tcp.state(), tcp::State::SynSent | tcp::State::SynSent2);
        match session.key.protocol() {
            Protocol::TCP if opening && sender == Peer::Initiator => Some(Self::TcpSynUnreachable),
            Protocol::UDP => Some(Self::UdpUnreachable),
            _ => None,
        }
    }
}

/// Whether a session that ends so had all the time that it was due.
const fn waited(reason: CloseReason) -> bool {
    match reason {
        CloseReason::Timeout => true,
        CloseReason::TcpFin
        | CloseReason::TcpRst
        | CloseReason::Reopened
        | CloseReason::Cleared
        | CloseReason::Policy
        | CloseReason::Conflict
        | CloseReason::Answered
        | CloseReason::PortGone
        | CloseReason::Evicted
        | CloseReason::Poison
        | CloseReason::Shutdown => false,
    }
}

/// Destination unreachable, but for a path MTU, which is no fault of the destination (RFC 1191 §4).
const fn says_unreachable(version: Version, error: &Icmp) -> bool {
    match version {
        Version::V4 => {
            error.kind == icmp::v4::UNREACHABLE && error.code != icmp::v4::FRAGMENTATION_NEEDED
        }
        Version::V6 => error.kind == icmp::v6::UNREACHABLE,
    }
}

#[cfg(test)]
mod tests;
