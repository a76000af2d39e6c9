//! SYN cookies: a SYN-ACK that needs no memory, since its own numbers say what the SYN was.
//!
//! ```text
//! sequence number of the SYN-ACK            its TSval, if the SYN had timestamps
//!  31              5 4   3 2       0         31                6  5      4        3         0
//! ┌─────────────────┬─────┬─────────┐       ┌──────────────────┬───┬───────────┬────────────┐
//! │ hash, 27 bits   │slot │ MSS     │       │ hash, 26 others  │ 0 │ SACK perm.│ scale or 15│
//! └─────────────────┴─────┴─────────┘       └──────────────────┴───┴───────────┴────────────┘
//! ```
//!
//! The hash is SipHash-1-3 of addresses, ports, the SYN's sequence number, the slot of 64 seconds and the
//! place of the MSS in a table, under a key of the whole cluster: so the ACK is good on every node. The
//! slot is of the wall clock, since monotonic clocks of nodes have nothing in common; the one before and the
//! one after it are good too, and a node whose clock is a minute wrong breaks what is just being opened, no
//! more. The last two bits of the slot are in the number, so that one hash tells, not three.
//!
//! Who guesses needs 2²⁷ ACKs for one session, and then has opened one. With timestamps the echo must be
//! right too.
//!
//! ECN is never agreed on: nobody has asked the server yet whether it would answer congestion marks. Linux
//! keeps it in the bit that is 0 here; it speaks for its own host.
//!
//! The XDP program (`node/datapath/bpf/cookie.h`) is the twin of [`answer`]: the same frame, byte for byte.

use siphasher::sip::SipHasher13;

use crate::build::Builder;
use crate::key::mapped;
use crate::limits::MAX_WINDOW_SCALE;
use crate::tcp::option;
use crate::{Options, Packet, Seq, Tcp, TcpFlags, Transport, Version};

/// Seconds of a slot: a SYN-ACK is good for one slot at least and for less than three.
pub const SLOT_SECONDS: u64 = 64;

/// The sizes that a client's MSS is rounded down to: what links and tunnels make of 1,500 bytes, and jumbo
/// frames. The least is what every host takes (RFC 9293 §3.7.1).
pub const SIZES: [u16; 8] = [536, 1_220, 1_300, 1_360, 1_400, 1_440, 1_460, 8_960];

/// The window scale that is announced in a server's place: a window of 8 MiB. What the server really
/// announces is converted.
pub const SCALE: u8 = 7;

/// Bits of a cookie below the hash: slot and size.
const MAC_SHIFT: u32 = 5;
const SIZE_MASK: u32 = 7;
const SLOT_SHIFT: u32 = 3;
const SLOT_MASK: u32 = 3;
/// Bits of a timestamp below the hash.
const STAMP_SHIFT: u32 = 6;
const NO_SCALE: u32 = 15;
const SACK: u32 = 1 << 4;
const UNUSED: u32 = 1 << 5;
/// Bytes that are hashed.
const MESSAGE: usize = 45;

/// What cookies are made and checked with: the same on all nodes of a cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u64; 2]);

/// What a node knows that a cookie is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The cluster's key.
    pub key: Key,
    /// The slot that it is; see [`slot`].
    pub slot: u32,
}

/// What a client's SYN offered, as far as a cookie keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The MSS, rounded down to one of [`SIZES`].
    pub mss: u16,
    /// What rides in a timestamp; `None` if it had none.
    pub stamped: Option<Stamped>,
}

/// What is kept where a client sends timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The window scale.
    pub window_scale: Option<u8>,
    /// Whether SACK is permitted.
    pub sack_permitted: bool,
    /// The TSval that the client was answered with.
    pub told: u32,
    /// Its own last TSval.
    pub value: u32,
}

/// An ACK whose cookie is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The client's initial sequence number.
    pub client: Seq,
    /// The one that it was answered with.
    pub cookie: Seq,
    /// What its SYN offered.
    pub offer: Offer,
}

/// The slot of a point in time, in seconds since 1970.
#[must_use]
pub const fn slot(seconds: u64) -> u32 {
    (seconds / SLOT_SECONDS) as u32
}

impl Key {
    /// The key of a cluster with this secret: another one than that of the slots.
    #[must_use]
    pub const fn new(secret: [u64; 2]) -> Self {
        // The words of "syn-cook" and "ies-2^27".
        Self([secret[0] ^ 0x7379_6e2d_636f_6f6b, secret[1] ^ 0x6965_732d_325e_3237])
    }

    /// Its halves, for the program's map.
    #[must_use]
    pub const fn words(self) -> [u64; 2] {
        self.0
    }

    /// The hash that a cookie shows a part of. All numbers of the packet are hashed as they stand in it.
    fn hash(self, packet: &Packet, tcp: &Tcp, client: Seq, slot: u32, size: u32) -> u64 {
        let mut message = [0; MESSAGE];
        message[..16].copy_from_slice(&mapped(packet.source).to_be_bytes());
        message[16..32].copy_from_slice(&mapped(packet.destination).to_be_bytes());
        message[32..34].copy_from_slice(&tcp.source_port.to_be_bytes());
        message[34..36].copy_from_slice(&tcp.destination_port.to_be_bytes());
        message[36..40].copy_from_slice(&client.0.to_be_bytes());
        message[40..44].copy_from_slice(&slot.to_le_bytes());
        message[44] = size as u8;
        SipHasher13::new_with_keys(self.0[0], self.0[1]).hash(&message)
    }
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Whether the packet is a SYN that is answered with a cookie: one that asks for a connection and for
/// nothing else, whole, without IP options or extension headers. What is odd is for the long way.
#[must_use]
pub fn is_answerable(packet: &Packet) -> bool {
    let Transport::Tcp(tcp) = &packet.body else { return false };
    let control = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::FIN | TcpFlags::RST;
    let plain = [Options::NONE, Options::DONT_FRAGMENT].contains(&packet.options);
    tcp.flags.0 & control.0 == TcpFlags::SYN.0 && plain && packet.fragment.is_none()
}

/// The SYN-ACK to a SYN, in its server's place, without a link header; `mss` is what the server is taken
/// to announce. Its window is closed, so that the client sends nothing before the server is there. `None`
/// if the packet is not such a SYN.
#[must_use]
pub fn answer(packet: &Packet, context: &Context, mss: u16) -> Option<Builder<'static>> {
    let Transport::Tcp(tcp) = &packet.body else { return None };
    if !is_answerable(packet) {
        return None;
    }
    let size = size_of(tcp.mss.unwrap_or(usual_mss(packet.version)));
    let hash = context.key.hash(packet, tcp, tcp.sequence, context.slot, size);
    let cookie = hash as u32 & !0 << MAC_SHIFT | (context.slot & SLOT_MASK) << SLOT_SHIFT | size;
    let [high, low] = mss.to_be_bytes();
    let answer = Builder::new(packet.destination, packet.source)
        .bare()
        .dont_fragment()
        .tcp(tcp.destination_port, tcp.source_port)
        .flags(TcpFlags::SYN | TcpFlags::ACK)
        .seq(cookie)
        .ack((tcp.sequence + 1).0)
        .window(0)
        .tcp_option(&[option::MSS, 4, high, low]);
    let Some((value, _)) = tcp.timestamps else { return Some(answer) };
    let scale = tcp.window_scale.map_or(NO_SCALE, u32::from);
    let sack = if tcp.sack_permitted { SACK } else { 0 };
    let told = (hash >> 32) as u32 & !0 << STAMP_SHIFT | sack | scale;
    const NOPS: [u8; 4] = [option::NOP; 4];
    let permitted = [option::SACK_PERMITTED, 2];
    let scaled = [option::NOP, option::WINDOW_SCALE, 3, SCALE];
    let answer = answer
        .tcp_option(if tcp.sack_permitted { &permitted } else { &NOPS[..2] })
        .tcp_option(&[option::TIMESTAMPS, 10])
        .tcp_option(&told.to_be_bytes())
        .tcp_option(&value.to_be_bytes())
        .tcp_option(if tcp.window_scale.is_some() { &scaled } else { &NOPS });
    Some(answer)
}

/// What an ACK proves, if its cookie is right.
///
/// The first ACK has the number after the SYN's. If it was lost, a client that probes the closed window asks
/// with the number before its next one, which is the SYN's.
#[must_use]
pub fn check(packet: &Packet, context: &Context) -> Option<Proof> {
    let Transport::Tcp(tcp) = &packet.body else { return None };
    let wrong = TcpFlags::SYN | TcpFlags::RST;
    if !tcp.flags.contains(TcpFlags::ACK) || tcp.flags.intersects(wrong) {
        return None;
    }
    let cookie = tcp.acknowledgment - 1;
    let last = cookie.0 >> SLOT_SHIFT & SLOT_MASK;
    let slots = [context.slot.wrapping_sub(1), context.slot, context.slot.wrapping_add(1)];
    let slot = slots.into_iter().find(|slot| slot & SLOT_MASK == last)?;
    let size = cookie.0 & SIZE_MASK;
    let (client, hash) = [tcp.sequence - 1, tcp.sequence].into_iter().find_map(|client| {
        let hash = context.key.hash(packet, tcp, client, slot, size);
        (hash as u32 >> MAC_SHIFT == cookie.0 >> MAC_SHIFT).then_some((client, hash))
    })?;
    let stamped = match tcp.timestamps {
        None => None,
        Some((value, told)) => Some(unstamp(value, told, (hash >> 32) as u32)?),
    };
    let offer = Offer { mss: SIZES[size as usize], stamped };
    Some(Proof { client, cookie, offer })
}

/// What the echo of a timestamp keeps.
fn unstamp(value: u32, told: u32, hash: u32) -> Option<Stamped> {
    if told >> STAMP_SHIFT != hash >> STAMP_SHIFT || told & UNUSED != 0 {
        return None;
    }
    let scale = told & NO_SCALE;
    let window_scale = (scale != NO_SCALE).then_some((scale as u8).min(MAX_WINDOW_SCALE));
    Some(Stamped { window_scale, sack_permitted: told & SACK != 0, told, value })
}

impl Offer {
    /// The options of the SYN, for a server.
    #[must_use]
    pub fn options<'a>(&self, syn: Builder<'a>) -> Builder<'a> {
        let syn = syn.mss(self.mss);
        let Some(stamped) = &self.stamped else { return syn };
        let syn = if stamped.sack_permitted { syn.sack_permitted() } else { syn };
        let syn = syn.timestamps(stamped.value, 0);
        stamped.window_scale.map_or(syn, |scale| syn.window_scale(scale))
    }

    /// The window scale that the client means.
    #[must_use]
    pub fn window_scale(&self) -> Option<u8> {
        self.stamped?.window_scale
    }
}

/// What a host means that says nothing (RFC 9293 §3.7.1).
const fn usual_mss(version: Version) -> u16 {
    match version {
        Version::V4 => 536,
        Version::V6 => 1_220,
    }
}

/// The place of the largest size that is not above it; of none the least.
fn size_of(mss: u16) -> u32 {
    SIZES.iter().skip(1).filter(|size| **size <= mss).count() as u32
}

const _: () = assert!(SIZES.len() == SIZE_MASK as usize + 1);

#[cfg(test)]
mod tests;
