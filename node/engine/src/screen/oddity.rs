//! What a packet that was dropped, or let through, says of its sender: one table for all of them.

use sketch::{DenyClass, Kind, Oddity};
use wire::{Options, Packet, Protocol, Tcp, TcpFlags, Transport};

use super::drops;
use crate::answer::{Answer, Unreachable};
use crate::limits::ICMP_USUAL_BYTES;
use crate::{Anomaly, Reason};

/// Protocols from here on are not assigned (IANA "Protocol Numbers"); the last three are not to be.
const UNASSIGNED: core::ops::RangeInclusive<u8> = 146..=255;
/// What old stacks listened to and crashed at.
const NETBIOS: u16 = 139;
/// FIN, PSH and URG: all lights on.
const XMAS: TcpFlags = TcpFlags(TcpFlags::FIN.0 | TcpFlags::PSH.0 | TcpFlags::URG.0);

/// What is odd about a packet that the engine itself lets through.
pub(super) fn of_packet(packet: &Packet) -> Option<Oddity> {
    const KINDS: [(Options, Oddity); 4] = [
        (Options::RECORD_ROUTE, Oddity::RecordRoute),
        (Options::TIMESTAMP, Oddity::Timestamp),
        (Options::SECURITY, Oddity::Security),
        (Options::STREAM, Oddity::Stream),
    ];
    if packet.options.contains(Options::IPV4_OPTIONS) {
        let mut kinds = KINDS.iter().filter(|(option, _)| packet.options.contains(*option));
        if let Some((_, oddity)) = kinds.next() {
            return Some(*oddity);
        }
    }
    match &packet.body {
        Transport::Icmp(icmp) => {
            let large = !icmp.embedded && packet.ip_len() > ICMP_USUAL_BYTES;
            large.then_some(Oddity::IcmpLarge)
        }
        Transport::Tcp(tcp) => {
            let nuke = tcp.destination_port == NETBIOS && tcp.flags.contains(TcpFlags::URG);
            nuke.then_some(Oddity::WinNuke)
        }
        Transport::None | Transport::Other => {
            let Protocol(number) = packet.protocol;
            UNASSIGNED.contains(&number).then_some(Oddity::UnknownProtocol)
        }
        Transport::Udp(_) | Transport::Sctp(_) | Transport::Gre(_) | Transport::Esp { .. } => None,
    }
}

/// What a drop says of the packet's sender; `None`: nothing. `tcp` is the packet's, if it has one.
pub(super) fn of_drop(reason: Reason, tcp: Option<&Tcp>) -> Option<Kind> {
    let xmas = || tcp.is_some_and(|tcp| tcp.flags.contains(XMAS));
    if reason == Reason::TcpFinWithoutAck && xmas() {
        return Some(Kind::Odd(Oddity::TcpXmas));
    }
    // A bare ACK asks whether a filter has a state. What else comes late, servers send to clients' many ports
    // when a session is over.
    let asks = matches!(reason, Reason::TcpNotSyn | Reason::BadCookie);
    if asks && tcp.is_some_and(is_bare_ack) {
        return Some(Kind::Denied(DenyClass::State));
    }
    drops::told(reason)
}

fn is_bare_ack(tcp: &Tcp) -> bool {
    let control = TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0 | TcpFlags::ACK.0;
    tcp.flags.0 & control == TcpFlags::ACK.0 && tcp.payload_len == 0
}

/// What an answer in the place of the packet says of its sender.
pub(super) const fn of_answer(answer: Answer) -> Option<Kind> {
    match answer {
        Answer::Unreachable(Unreachable::Port | Unreachable::Prohibited) | Answer::Reset => {
            Some(Kind::Denied(DenyClass::Policy))
        }
        Answer::Unreachable(Unreachable::Route | Unreachable::Host) => {
            Some(Kind::Denied(DenyClass::Resources))
        }
        // Of a flood it is a part, whoever answers it.
        Answer::Cookie { .. } => Some(Kind::Denied(DenyClass::Limit)),
        Answer::HopLimit
        | Answer::TooBig { .. }
        | Answer::Challenge { .. }
        | Answer::Reassembly => None,
    }
}

/// What is odd about a session, as an event of its initiator.
pub(super) const fn of_session(anomaly: Anomaly) -> Kind {
    match anomaly {
        Anomaly::TcpSynUnanswered => Kind::Unanswered,
        Anomaly::TcpSynAckUnanswered => Kind::HalfOpen,
        Anomaly::TcpSynRefused => Kind::Refused,
        Anomaly::TcpSynWithdrawn => Kind::Withdrawn,
        Anomaly::TcpSynUnreachable | Anomaly::UdpUnreachable => Kind::Unreachable,
        Anomaly::TcpSynUrgent => Kind::Odd(Oddity::TcpFlags),
    }
}
