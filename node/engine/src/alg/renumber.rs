//! The numbers of a segment within a control channel whose text was replaced: in the frame, in place.

use wire::tcp::{CHECKSUM, HEADER_LEN, option};
use wire::{Packet, Seq, TcpFlags, Transport};

use super::stream::Stream;
use crate::proxy::{ACKNOWLEDGMENT, SEQUENCE, put32, update};
use crate::session::Peer;

/// Gives a segment of `sender` the numbers that the far end knows; its own shall be `sequence`.
pub(crate) fn renumber(
    frame: &mut [u8],
    packet: &Packet,
    streams: &[Stream; 2],
    sender: Peer,
    sequence: Seq,
) {
    let Transport::Tcp(tcp) = &packet.body else { return };
    let start = packet.transport as usize;
    let Some(header) = frame.get_mut(start..start + usize::from(tcp.header_len)) else { return };
    // Options may stand at odd places: the sums of the whole header are right for any.
    let before = wire::checksum::sum(header);
    put32(header, SEQUENCE, sequence.0);
    let theirs = &streams[sender.other().index()];
    // Some stacks set ACK in a RST without meaning it.
    let none = tcp.flags.contains(TcpFlags::RST) && tcp.acknowledgment.0 == 0;
    if tcp.flags.contains(TcpFlags::ACK) && !none {
        put32(header, ACKNOWLEDGMENT, theirs.acknowledged(tcp.acknowledgment).0);
    }
    for edge in sack_edges(header) {
        let number = header.get(edge..).and_then(|rest| rest.first_chunk().copied());
        if let Some(number) = number {
            put32(header, edge, theirs.here(Seq(u32::from_be_bytes(number))).0);
        }
    }
    update(header, CHECKSUM, before);
}

/// The segment as the tracker sees it: in its sender's numbers.
pub(crate) fn as_seen(streams: &[Stream; 2], packet: &Packet, sender: Peer) -> Packet {
    let mut packet = *packet;
    if let Transport::Tcp(tcp) = &mut packet.body
        && tcp.flags.contains(TcpFlags::ACK)
    {
        tcp.acknowledgment = streams[sender.other().index()].acknowledged(tcp.acknowledgment);
    }
    packet
}

/// Where the edges of SACK blocks stand in a header (RFC 2018 §3); four blocks at most.
fn sack_edges(header: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let mut at = HEADER_LEN;
    let mut found = 0..0;
    while let (Some(&kind), len) = (header.get(at), header.get(at + 1).copied().unwrap_or(0)) {
        match (kind, usize::from(len)) {
            (option::END, _) => break,
            (option::NOP, _) => at += 1,
            // The parser has walked them: this cannot be.
            (_, 0 | 1) => break,
            (option::SACK, len) => {
                found = at + 2..at + len;
                break;
            }
            (_, len) => at += len,
        }
    }
    found.step_by(4)
}
