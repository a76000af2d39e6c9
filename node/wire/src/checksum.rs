//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! A *sum* is the unfolded one's complement sum of big-endian 16-bit words; sums of parts add up as
//! long as every part but the last has an even length. A *checksum* is the complement of a folded
//! sum, as headers carry it.
use core::net::IpAddr;

use crate::bytes::{be16, chunk, chunk_mut};
use crate::{Options, Packet, Protocol, Transport, Version, icmp, ipv4, ipv6, tcp, udp};

/// The sum of the bytes, an odd last one padded with zero. At most 0xffff.
#[inline]
pub fn sum(bytes: &[u8]) -> u32 {
    let mut total = native_sum(bytes);
    total = (total >> 32) + (total & 0xffff_ffff);
    total = (total >> 32) + (total & 0xffff_ffff);
    u32::from(u16::from_be(fold(total as u32)))
}

/// Whether the sum of the bytes and of the big-endian number `more`, which is below 2³², is all ones
/// when folded: the checksum in them is right. Bytes and number are not all zero.
#[inline]
pub(crate) fn sums_to_ones(bytes: &[u8], more: u32) -> bool {
    // All ones is zero in one's complement, hence a multiple of 0xffff, whose order of bytes makes no
    // difference to that; and to test this is one multiplication.
    let more = u64::from(more) << if cfg!(target_endian = "little") { 8 } else { 0 };
    (native_sum(bytes) + more).is_multiple_of(0xffff)
}

/// The sum, in the machine's own byte order and not folded: One's complement addition does not care
/// (RFC 1071 §2 B). Below 2⁶⁰.
#[inline(always)]
fn native_sum(bytes: &[u8]) -> u64 {
    let (mut total, mut carries) = (0_u64, 0_u64);
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let mut carry = false;
        for word in block.as_chunks::<8>().0 {
            (total, carry) = total.carrying_add(u64::from_ne_bytes(*word), carry);
        }
        carries += u64::from(carry);
    }
    // No loop over what is left: the compiler would unroll it.
    let mut rest = rest;
    if let Some((half, tail)) = rest.split_first_chunk::<16>() {
        let half = u128::from_le_bytes(*half);
        let (low, high) = ((half as u64).to_le(), ((half >> 64) as u64).to_le());
        let (sum, carry) = total.overflowing_add(low);
        let (sum, again) = sum.carrying_add(high, carry);
        (total, carries, rest) = (sum, carries + u64::from(again), tail);
    }
    if let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let (sum, carry) = total.overflowing_add(u64::from_ne_bytes(*word));
        (total, carries, rest) = (sum, carries + u64::from(carry), tail);
    }
    (total >> 32) + (total & 0xffff_ffff) + carries + last_word(bytes, rest)
}

/// `tail`, the last 0 to 7 of the bytes, as a word padded with zeros.
#[inline(always)]
fn last_word(bytes: &[u8], tail: &[u8]) -> u64 {
    let missing = 8 * (8 - tail.len() as u32);
    match bytes.last_chunk::<8>() {
        _ if tail.is_empty() => 0,
        // One load, and the bytes that are summed already shifted out.
        Some(word) => (u64::from_le_bytes(*word) >> missing).to_le(),
        None => {
            let mut word = [0; 8];
            word[..tail.len()].copy_from_slice(tail);
            u64::from_ne_bytes(word)
        }
    }
}

/// Folds a sum to 16 bits.
#[inline]
pub const fn fold(sum: u32) -> u16 {
    let once = (sum >> 16) + (sum & 0xffff);
    ((once >> 16) + (once & 0xffff)) as u16
}

/// The checksum that a sum makes.
#[inline]
pub const fn finish(sum: u32) -> u16 {
    !fold(sum)
}

/// The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1); `len` is the length of transport
/// header and data.
#[inline]
pub fn pseudo(source: IpAddr, destination: IpAddr, protocol: Protocol, len: u32) -> u32 {
    address_sum(source)
        + address_sum(destination)
        + (len >> 16)
        + (len & 0xffff)
        + u32::from(protocol.0)
}

/// The checksum after one 16-bit word went from `old` to `new` (RFC 1624 §3, equation 3).
#[inline]
pub const fn update16(checksum: u16, old: u16, new: u16) -> u16 {
    finish(!checksum as u32 + !old as u32 + new as u32)
}

/// The checksum after a 32-bit word at an even offset went from `old` to `new`.
#[inline]
pub const fn update32(checksum: u16, old: u32, new: u32) -> u16 {
    let checksum = update16(checksum, (old >> 16) as u16, (new >> 16) as u16);
    update16(checksum, old as u16, new as u16)
}

/// The checksum after an address went from `old` to `new`, also to one of the other IP version.
#[inline]
pub fn update_address(checksum: u16, old: IpAddr, new: IpAddr) -> u16 {
    update16(checksum, fold(address_sum(old)), fold(address_sum(new)))
}

/// Whether the IPv4 header checksum is right; true for IPv6, which has none.
#[inline]
pub fn ipv4_header_checksum_ok(frame: &[u8], packet: &Packet) -> bool {
    match packet.version {
        Version::V4 => ipv4_header(frame, packet.network as usize).is_some_and(|header| {
            // Nearly all have no options, and a sum over a known length has no loop.
            let plain: Result<&[u8; 20], _> = header.try_into();
            let sum = plain.map_or_else(|_| sum(header), |header| sum(header));
            fold(sum) == 0xffff
        }),
        Version::V6 => true,
    }
}

/// Writes the checksum of the IPv4 header at offset `network`; leaves a frame that does not hold it
/// alone.
pub fn fill_ipv4_header_checksum(frame: &mut [u8], network: u32) {
    let at = network as usize;
    put(frame, at + ipv4::CHECKSUM, 0);
    if let Some(header) = ipv4_header(frame, at) {
        let checksum = finish(sum(header));
        put(frame, at + ipv4::CHECKSUM, checksum);
    }
}

/// Whether the checksum of TCP, UDP, ICMPv4 or ICMPv6 is right. UDP checksum 0 means none in IPv4
/// and is wrong in IPv6 (RFC 8200 §8.1). True for what has no such checksum here: other protocols,
/// fragments, cut headers.
#[inline]
pub fn transport_checksum_ok(frame: &[u8], packet: &Packet) -> bool {
    let Some(covered) = Covered::of(frame, packet) else { return true };
    if let Transport::Udp(udp::Udp { checksum: 0, .. }) = packet.body {
        return packet.version == Version::V4;
    }
    let Some(bytes) = frame.get(covered.start..covered.end) else { return false };
    fold(covered.pseudo + sum(bytes)) == 0xffff
}

/// Whether the checksum field of TCP or UDP holds just the pseudo-header's sum: a local sender left
/// the rest to hardware that this frame never met (checksum offload on a veth).
pub fn transport_checksum_partial(frame: &[u8], packet: &Packet) -> bool {
    match (&packet.body, Covered::of(frame, packet)) {
        (Transport::Tcp(_) | Transport::Udp(_), Some(covered)) => chunk(frame, covered.field)
            .is_some_and(|field: &[u8; 2]| be16(field, 0) == fold(covered.pseudo)),
        _ => false,
    }
}

/// Writes the checksum of TCP, UDP, ICMPv4 or ICMPv6; does nothing for what
/// [`transport_checksum_ok`] has none of.
pub fn fill_transport_checksum(frame: &mut [u8], packet: &Packet) {
    let Some(covered) = Covered::of(frame, packet) else { return };
    put(frame, covered.field, 0);
    let Some(bytes) = frame.get(covered.start..covered.end) else { return };
    let checksum = finish(covered.pseudo + sum(bytes));
    // All ones and all zeros are the same number, and zero means "none" in UDP (RFC 768).
    let none = checksum == 0 && packet.protocol == Protocol::UDP;
    put(frame, covered.field, if none { 0xffff } else { checksum });
}

/// What a transport checksum covers: `frame[start..end]` and a pseudo-header, and where it stands.
struct Covered {
    start: usize,
    end: usize,
    field: usize,
    pseudo: u32,
}

impl Covered {
    #[inline]
    fn of(frame: &[u8], packet: &Packet) -> Option<Self> {
        if packet.fragment.is_some() {
            return None;
        }
        let start = packet.transport as usize;
        let whole = packet.transport_len();
        let (field, len) = match &packet.body {
            Transport::Tcp(_) => (tcp::CHECKSUM, whole),
            Transport::Udp(udp) => (udp::CHECKSUM, u32::from(udp.length)),
            Transport::Icmp(_) => (icmp::CHECKSUM, whole),
            Transport::Sctp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => return None,
        };
        let pseudo = match packet.protocol {
            Protocol::ICMP => 0,
            _ => pseudo(packet.source, destination(frame, packet), packet.protocol, len),
        };
        Some(Self { start, end: start + len as usize, field: start + field, pseudo })
    }
}

/// The final destination: behind a routing header with segments left it is not the one of the IPv6
/// header.
#[inline]
fn destination(frame: &[u8], packet: &Packet) -> IpAddr {
    if packet.options.contains(Options::SEGMENTS_LEFT)
        && let Some(last) = ipv6::final_destination(frame, packet.network as usize)
    {
        return IpAddr::V6(last);
    }
    packet.destination
}

#[inline]
pub(crate) fn address_sum(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => {
            let bits = v4.to_bits();
            (bits >> 16) + (bits & 0xffff)
        }
        IpAddr::V6(v6) => v6.segments().iter().map(|segment| u32::from(*segment)).sum(),
    }
}

#[inline]
fn ipv4_header(frame: &[u8], at: usize) -> Option<&[u8]> {
    let len = usize::from(frame.get(at)? & 0x0f) * 4;
    frame.get(at..at + len)
}

#[inline]
fn put(frame: &mut [u8], at: usize, value: u16) {
    if let Some(field) = chunk_mut::<2>(frame, at) {
        *field = value.to_be_bytes();
    }
}
