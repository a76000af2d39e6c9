//! Cutting a whole datagram into fragments (RFC 791 §3.2, RFC 8200 §4.5).
use crate::bytes::chunk_mut;
use crate::{Packet, Protocol, Version, checksum, ipv4, ipv6};

/// A datagram and how it is to be cut.
#[derive(Clone, Copy, Debug)]
pub struct Fragments<'f> {
    frame: &'f [u8],
    version: Version,
    network: usize,
    /// Where the fragmentable part starts.
    start: usize,
    end: usize,
    /// IPv6: where the last next-header field of the unfragmentable part is.
    next_header: usize,
    id: u32,
    /// Data bytes of every fragment but the last: a multiple of 8.
    step: usize,
}

impl<'f> Fragments<'f> {
    /// Cuts the datagram of `frame` into fragments of at most `mtu` bytes, IP header included. In
    /// IPv4 `id` counts by its low 16 bits. `None` if it is a fragment (an atomic one too), or the
    /// MTU leaves no room for 8 bytes.
    pub fn new(frame: &'f [u8], packet: &Packet, id: u32, mtu: usize) -> Option<Self> {
        let atomic = packet.options.contains(crate::Options::ATOMIC_FRAGMENT);
        if packet.fragment.is_some() || atomic || frame.len() < packet.end as usize {
            return None;
        }
        let network = packet.network as usize;
        let (start, next_header, header) = match packet.version {
            Version::V4 => (packet.transport as usize, 0, 0),
            Version::V6 => {
                let (start, next_header) = unfragmentable(frame, network)?;
                (start, next_header, ipv6::FRAGMENT_LEN)
            }
        };
        let step = mtu.checked_sub(start - network + header)? & !7;
        let end = packet.end as usize;
        let cut =
            Self { frame, version: packet.version, network, start, end, next_header, id, step };
        (step > 0).then_some(cut)
    }

    /// How many fragments there are: 1 if the datagram has no data.
    pub const fn count(&self) -> usize {
        let data = self.end - self.start;
        if data == 0 { 1 } else { data.div_ceil(self.step) }
    }

    /// Writes fragment `index`, counted from 0, with what stands before the IP header copied; how
    /// many bytes it took. `None` if `out` is too short, or `index` is not below
    /// [`Fragments::count`].
    pub fn write(&self, index: usize, out: &mut [u8]) -> Option<usize> {
        if index >= self.count() {
            return None;
        }
        let offset = index * self.step;
        let from = self.start + offset;
        let to = (from + self.step).min(self.end);
        let more = to < self.end;
        let data = self.frame.get(from..to)?;
        let at = match self.version {
            Version::V4 => self.write_v4(offset, more, data.len(), out)?,
            Version::V6 => self.write_v6(offset, more, data.len(), out)?,
        };
        out.get_mut(at..at + data.len())?.copy_from_slice(data);
        Some(at + data.len())
    }

    /// The header; returns where the data go. The first fragment has all options, the others those
    /// that are to be copied (RFC 791 §3.1: the highest bit of the type).
    fn write_v4(&self, offset: usize, more: bool, len: usize, out: &mut [u8]) -> Option<usize> {
        let fixed = self.network + ipv4::HEADER_LEN;
        out.get_mut(..fixed)?.copy_from_slice(&self.frame[..fixed]);
        let options = &self.frame[fixed..self.start];
        let at = match offset {
            0 => {
                out.get_mut(fixed..self.start)?.copy_from_slice(options);
                self.start
            }
            _ => fixed + copied_options(options, out.get_mut(fixed..self.start)?),
        };
        let header_len = at - self.network;
        out[self.network] = 0x40 | (header_len / 4) as u8;
        let flags = (offset / 8) as u16 | if more { ipv4::MORE_FRAGMENTS } else { 0 };
        put(out, self.network + ipv4::TOTAL_LENGTH, (header_len + len) as u16)?;
        put(out, self.network + ipv4::IDENTIFICATION, self.id as u16)?;
        put(out, self.network + ipv4::FLAGS, flags)?;
        checksum::fill_ipv4_header_checksum(out, self.network as u32);
        Some(at)
    }

    /// The unfragmentable part and a fragment header; returns where the data go.
    fn write_v6(&self, offset: usize, more: bool, len: usize, out: &mut [u8]) -> Option<usize> {
        out.get_mut(..self.start)?.copy_from_slice(&self.frame[..self.start]);
        let next = core::mem::replace(&mut out[self.next_header], Protocol::FRAGMENT.0);
        let header: &mut [u8; ipv6::FRAGMENT_LEN] = chunk_mut(out, self.start)?;
        header[0] = next;
        header[1] = 0;
        header[2..4].copy_from_slice(&(offset as u16 | u16::from(more)).to_be_bytes());
        header[4..].copy_from_slice(&self.id.to_be_bytes());
        let at = self.start + ipv6::FRAGMENT_LEN;
        let payload = at - self.network - ipv6::HEADER_LEN + len;
        put(out, self.network + ipv6::PAYLOAD_LENGTH, payload as u16)?;
        Some(at)
    }
}

/// The end of the headers that every fragment carries (IPv6 header, hop-by-hop options, and
/// everything up to a routing header), and the place of the next-header field that is to name the
/// fragment header.
fn unfragmentable(frame: &[u8], network: usize) -> Option<(usize, usize)> {
    let mut field = network + ipv6::NEXT_HEADER;
    let mut at = network + ipv6::HEADER_LEN;
    let mut found = (at, field);
    loop {
        let protocol = Protocol(*frame.get(field)?);
        match protocol {
            Protocol::HOP_BY_HOP | Protocol::ROUTING | Protocol::DESTINATION_OPTIONS => {}
            _ => return Some(found),
        }
        field = at;
        at += (usize::from(*frame.get(at + 1)?) + 1) * 8;
        if protocol != Protocol::DESTINATION_OPTIONS {
            found = (at, field);
        }
    }
}

/// Copies the options that go into every fragment; how many bytes, padded to a multiple of 4. The
/// options were checked when the packet was parsed, and `out` is as long as they are.
fn copied_options(mut options: &[u8], out: &mut [u8]) -> usize {
    const COPIED: u8 = 0x80;
    let mut len = 0;
    while let Some(&kind) = options.first() {
        let size = match kind {
            ipv4::option::END => break,
            ipv4::option::NOP => 1,
            _ => options.get(1).map_or(options.len(), |&size| usize::from(size)),
        };
        let Some((option, rest)) = options.split_at_checked(size.max(1)) else { break };
        if kind & COPIED != 0 {
            out[len..len + option.len()].copy_from_slice(option);
            len += option.len();
        }
        options = rest;
    }
    let padded = len.next_multiple_of(4);
    out[len..padded].fill(ipv4::option::END);
    padded
}

fn put(out: &mut [u8], at: usize, value: u16) -> Option<()> {
    *chunk_mut(out, at)? = value.to_be_bytes();
    Some(())
}
