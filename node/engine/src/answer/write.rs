//! The bytes of an answer: the frame's link header turned round, then a TCP segment or an ICMP
//! error.

use std::net::IpAddr;

use wire::build::{Builder, quotation};
use wire::{Packet, Seq, Tcp, TcpFlags, Version, ethernet};

use super::{Message, Mute};
use crate::limits::ANSWER_HOP_LIMIT;

/// A reset as RFC 9293 §3.10.7.1 has it: from the segment's acknowledgment if it has one, otherwise
/// acknowledging all of the segment.
pub(super) fn reset(
    frame: &[u8],
    packet: &Packet,
    segment: &Tcp,
    out: &mut [u8],
) -> Result<usize, Mute> {
    let answer = Builder::new(packet.destination, packet.source)
        .tcp(segment.destination_port, segment.source_port)
        .window(0);
    let answer = if segment.flags.contains(TcpFlags::ACK) {
        answer.flags(TcpFlags::RST).seq(segment.acknowledgment.0)
    } else {
        let end = segment.sequence + segment.segment_len();
        answer.flags(TcpFlags::RST | TcpFlags::ACK).ack(end.0)
    };
    send_back(&answer, frame, packet, out)
}

/// An ACK of these sequence and acknowledgment numbers. It is to be found out of order, so its window
/// counts for nothing.
pub(super) fn challenge(
    frame: &[u8],
    packet: &Packet,
    segment: &Tcp,
    [sequence, acknowledgment]: [Seq; 2],
    out: &mut [u8],
) -> Result<usize, Mute> {
    let answer = Builder::new(packet.destination, packet.source)
        .tcp(segment.destination_port, segment.source_port)
        .flags(TcpFlags::ACK)
        .seq(sequence.0)
        .ack(acknowledgment.0)
        .window(0);
    send_back(&answer, frame, packet, out)
}

/// An ICMP error that quotes as much of the packet as its size allows.
pub(super) fn error(
    message: Message,
    frame: &[u8],
    packet: &Packet,
    source: IpAddr,
    out: &mut [u8],
) -> Result<usize, Mute> {
    if source.is_ipv4() != packet.source.is_ipv4() {
        return Err(Mute::NoSource);
    }
    let class = match packet.version {
        Version::V4 => INTERNETWORK_CONTROL,
        Version::V6 => 0,
    };
    let answer = Builder::new(source, packet.source)
        .traffic_class(class)
        .icmp(message.kind, message.code, message.rest)
        .payload(quotation(frame, packet));
    send_back(&answer, frame, packet, out)
}

/// Don't-fragment and id 0: an atomic datagram needs no id (RFC 6864 §4.1).
pub(crate) fn send_back(
    answer: &Builder<'_>,
    frame: &[u8],
    packet: &Packet,
    out: &mut [u8],
) -> Result<usize, Mute> {
    let link = frame.get(..packet.network as usize).unwrap_or_default();
    let (link_out, ip_out) = out.split_at_mut_checked(link.len()).ok_or(Mute::NoRoom)?;
    turn_round(link, link_out);
    let answer = answer.bare().dont_fragment().hop_limit(ANSWER_HOP_LIMIT);
    let written = answer.write(ip_out).ok_or(Mute::NoRoom)?;
    Ok(link.len() + written)
}

/// Copies a link header, its two addresses swapped. A capture without Ethernet has a shorter one,
/// which says nothing of stations.
fn turn_round(link: &[u8], out: &mut [u8]) {
    out.copy_from_slice(link);
    if link.len() >= ethernet::HEADER_LEN {
        let (to, from) = (ethernet::DESTINATION, ethernet::SOURCE);
        out[to..to + 6].copy_from_slice(&link[from..from + 6]);
        out[from..from + 6].copy_from_slice(&link[to..to + 6]);
    }
}

/// Precedence 6 (DSCP CS6): ICMP errors should have it (RFC 1812 §4.3.2.5).
const INTERNETWORK_CONTROL: u8 = 0xc0;
