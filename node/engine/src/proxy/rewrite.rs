//! The numbers in a frame: translated in place, checksums with them.

use wire::tcp::{CHECKSUM, HEADER_LEN, option};
use wire::{Packet, TcpFlags, Transport, checksum, icmp};

use super::{Joined, Relay};
use crate::session::Peer;

/// Offsets in a TCP header (RFC 9293 §3.1).
pub(crate) const SEQUENCE: usize = 4;
pub(crate) const ACKNOWLEDGMENT: usize = 8;
const WINDOW: usize = 14;

impl Relay {
    /// Translates the frame of `packet`.
    pub(crate) fn rewrite(&self, frame: &mut [u8], packet: &Packet) {
        match self {
            Self::Translate(joined, sender) => segment(frame, packet, joined, *sender),
            Self::Quotation(joined) => quotation(frame, packet, joined),
            // Other frames leave in the place of this one.
            Self::Ask(_) | Self::Join(_) | Self::Control(..) | Self::Begin(_) => {}
        }
    }
}

fn segment(frame: &mut [u8], packet: &Packet, joined: &Joined, sender: Peer) {
    let Transport::Tcp(tcp) = &packet.body else { return };
    let start = packet.transport as usize;
    let Some(header) = frame.get_mut(start..start + usize::from(tcp.header_len)) else { return };
    // Options may stand at odd places: the sums of the whole header are right for any.
    let before = checksum::sum(header);
    let syn = tcp.flags.contains(TcpFlags::SYN);
    match sender {
        Peer::Responder => {
            add(header, SEQUENCE, joined.shift);
            put16(header, WINDOW, joined.servers_window(tcp.window, syn));
        }
        Peer::Initiator => {
            // Some stacks set ACK in a RST without meaning it.
            let none = tcp.flags.contains(TcpFlags::RST) && tcp.acknowledgment.0 == 0;
            if tcp.flags.contains(TcpFlags::ACK) && !none {
                add(header, ACKNOWLEDGMENT, joined.shift.wrapping_neg());
            }
            put16(header, WINDOW, joined.clients_window(tcp.window, syn));
        }
    }
    options(header, joined, sender);
    update(header, CHECKSUM, before);
}

/// Timestamps of both, SACK blocks of the client: those are the server's numbers.
fn options(header: &mut [u8], joined: &Joined, sender: Peer) {
    let mut at = HEADER_LEN;
    while let Some(&kind) = header.get(at) {
        match kind {
            option::END => break,
            option::NOP => at += 1,
            _ => {
                let len = header.get(at + 1).map_or(0, |len| usize::from(*len));
                // The parser has walked them: this cannot be.
                if len < 2 {
                    break;
                }
                match (kind, sender) {
                    (option::TIMESTAMPS, Peer::Responder) => {
                        add(header, at + 2, joined.stamp_shift)
                    }
                    (option::TIMESTAMPS, Peer::Initiator) => {
                        add(header, at + 6, joined.stamp_shift.wrapping_neg());
                    }
                    (option::SACK, Peer::Initiator) => {
                        let edges = (at + 2..at + len).step_by(4);
                        edges.for_each(|edge| add(header, edge, joined.shift.wrapping_neg()));
                    }
                    _ => {}
                }
                at += len;
            }
        }
    }
}

/// An ICMP error about a packet of the server's quotes the number that the client knows; the server looks for
/// its own (RFC 5927 §4.1). The quoted checksum is left: no host verifies one.
fn quotation(frame: &mut [u8], packet: &Packet, joined: &Joined) {
    let Ok(quoted) = Packet::parse_embedded(frame, packet) else { return };
    if quoted.tcp_sequence.is_none() {
        return;
    }
    let (start, end) = (packet.transport as usize, packet.end as usize);
    let at = (quoted.transport - packet.transport) as usize + SEQUENCE;
    let Some(message) = frame.get_mut(start..end) else { return };
    let before = checksum::sum(message);
    add(message, at, joined.shift.wrapping_neg());
    update(message, icmp::CHECKSUM, before);
}

/// The checksum at this place, after the sum of the bytes around it was `before` (RFC 1624 §3).
pub(crate) fn update(bytes: &mut [u8], at: usize, before: u32) {
    let after = checksum::sum(bytes);
    let Some(&[high, low]) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { return };
    let old = u16::from_be_bytes([high, low]);
    let new = checksum::update16(old, checksum::fold(before), checksum::fold(after));
    put16(bytes, at, new);
}

fn add(bytes: &mut [u8], at: usize, shift: u32) {
    let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else { return };
    *field = u32::from_be_bytes(*field).wrapping_add(shift).to_be_bytes();
}

pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else { return };
    *field = value.to_be_bytes();
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else { return };
    *field = value.to_be_bytes();
}
