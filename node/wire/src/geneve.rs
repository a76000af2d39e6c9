//! Packets passed from node to node: Geneve (RFC 8926) with the one option that ringwall has.
//!
//! ```text
//!  UDP ─► Geneve header (8) ─► option (28) ─► Ethernet frame, as it came in
//! ```
//!
//! The option's data, 24 bytes, big-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version (high half), hops that are left (low half) |
//! | 1 | 1 | flags: 1, a piece; the others are zero, and not looked at |
//! | 2 | 2 | number of the port, the same on all nodes |
//! | 4 | 2 | routing domain |
//! | 6 | 2 | number of the port's zone; 0 as long as none is allotted |
//! | 8 | 8 | term of the slot's ownership, as the sender knows it |
//! | 16 | 8 | tag |
//!
//! The tag is SipHash-2-4 under a key of the cluster, over the Geneve header, the option up to the tag, the
//! length of the frame (4), and the frame's first [`TAGGED_FRAME_LEN`] bytes. A node takes nothing without
//! it. It is no defence against replay: a repeated packet is judged once more, as on any segment.

use siphasher::sip::SipHasher24;

use crate::bytes::{be16, chunk};
use crate::limits::{GENEVE_OPTIONS_MAX, PASS_HOPS_MAX};

/// Bytes before the frame.
pub const OVERHEAD: usize = HEADER + OPTION;
/// Bytes of the frame under the tag: Ethernet, IPv6 with some extensions, transport, and the first of what
/// they carry. The rest has its checksums; covering it would double the price of a long packet.
pub const TAGGED_FRAME_LEN: usize = 128;
/// Bytes that come on top of a port's MTU in a packet of the fabric, at most: IPv6, UDP, [`OVERHEAD`] and
/// the frame's Ethernet header come to 98.
pub const MTU_OVERHEAD: u32 = 100;

/// Bytes of the Geneve header.
const HEADER: usize = 8;
/// Bytes of the option: its own header, and its data.
const OPTION: usize = 4 + DATA;
const DATA: usize = 24;
/// Bytes of the option before the tag.
const TOLD: usize = OPTION - 8;
/// Bytes under the tag that have a fixed place: the Geneve header, the option, the frame's length.
const FIXED: usize = HEADER + TOLD + 4;
/// The frame is an Ethernet one (RFC 8926 §3.4).
const TRANSPARENT_ETHERNET: u16 = 0x6558;
/// The flag "control packet" in the header's second byte, and "critical options present".
const CONTROL: u8 = 0x80;
const CRITICAL: u8 = 0x40;
/// Our option: a class for experimental use (RFC 8926 §7), and a type whose high bit says that who does not
/// know it must drop the packet.
const CLASS: u16 = 0xff52;
const KIND: u8 = 0x81;
/// Flag of the option.
const PIECE: u8 = 1;
/// Versions of the option that are understood: this one.
const VERSION: u8 = 1;

/// What a node says of a packet that it passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// How often it may still be passed on, this time included: 1 to [`PASS_HOPS_MAX`].
    pub hops: u8,
    /// The number of the port that it came in by.
    pub port: u16,
    /// The routing domain of that port.
    pub domain: u16,
    /// The number of its zone, or 0.
    pub zone: u16,
    /// The term of the ownership.
    pub term: u64,
    /// A fragment of a datagram that its sender had whole: it goes where the flow is, and is put together
    /// there again.
    pub piece: bool,
}

/// Why a packet of the fabric is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not Geneve, or not with our option, or of a version that is not known.
    Malformed,
    /// The tag is wrong.
    Tag,
    /// It was passed on too often.
    Hops,
}

/// The key of the tags.
#[derive(Clone, Copy)]
pub struct TagKey(SipHasher24);

impl TagKey {
    /// A key; both nodes must have the same.
    #[must_use]
    pub fn new(key: [u64; 2]) -> Self {
        Self(SipHasher24::new_with_keys(key[0], key[1]))
    }
}

impl core::fmt::Debug for TagKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TagKey")
    }
}

impl Passed {
    /// Writes all that goes before `frame` on the fabric.
    #[must_use]
    pub fn head(&self, key: &TagKey, frame: &[u8]) -> [u8; OVERHEAD] {
        let mut head = [0; OVERHEAD];
        head[0] = (OPTION / 4) as u8;
        head[1] = CRITICAL;
        head[2..4].copy_from_slice(&TRANSPARENT_ETHERNET.to_be_bytes());
        head[8..10].copy_from_slice(&CLASS.to_be_bytes());
        head[10] = KIND;
        head[11] = (DATA / 4) as u8;
        head[12] = VERSION << 4 | self.hops & 0xf;
        head[13] = if self.piece { PIECE } else { 0 };
        head[14..16].copy_from_slice(&self.port.to_be_bytes());
        head[16..18].copy_from_slice(&self.domain.to_be_bytes());
        head[18..20].copy_from_slice(&self.zone.to_be_bytes());
        head[20..28].copy_from_slice(&self.term.to_be_bytes());
        let sum = tag(key, &head[..HEADER], &head[HEADER..HEADER + TOLD], frame);
        head[28..36].copy_from_slice(&sum.to_be_bytes());
        head
    }

    /// Reads what came in a UDP datagram; the frame lies behind it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read<'a>(key: &TagKey, datagram: &'a [u8]) -> Result<(Self, &'a [u8]), Refused> {
        let header: &[u8; HEADER] = chunk(datagram, 0).ok_or(Refused::Malformed)?;
        let options = usize::from(header[0] & 0x3f) * 4;
        let plain =
            header[0] >> 6 == 0 && header[1] & CONTROL == 0 && options <= GENEVE_OPTIONS_MAX;
        if !plain || be16(header, 2) != TRANSPARENT_ETHERNET {
            return Err(Refused::Malformed);
        }
        let frame_at = HEADER + options;
        let frame = datagram.get(frame_at..).ok_or(Refused::Malformed)?;
        let option = option(&datagram[HEADER..frame_at]).ok_or(Refused::Malformed)?;
        if option[4] >> 4 != VERSION {
            return Err(Refused::Malformed);
        }
        let (told, sent) = option.split_at(TOLD);
        if tag(key, header, told, frame).to_be_bytes()[..] != *sent {
            return Err(Refused::Tag);
        }
        let passed = Self {
            hops: option[4] & 0xf,
            piece: option[5] & PIECE != 0,
            port: be16(option, 6),
            domain: be16(option, 8),
            zone: be16(option, 10),
            term: u64::from_be_bytes(*chunk(option, 12).ok_or(Refused::Malformed)?),
        };
        let known = (1..=PASS_HOPS_MAX).contains(&passed.hops);
        if known { Ok((passed, frame)) } else { Err(Refused::Hops) }
    }

    /// The same, passed on once more.
    ///
    /// # Errors
    /// It has no hop left.
    pub const fn again(self) -> Result<Self, Refused> {
        match self.hops {
            0 | 1 => Err(Refused::Hops),
            hops => Ok(Self { hops: hops - 1, ..self }),
        }
    }
}

/// Our option among `options`. Others are passed over, unless they are critical (RFC 8926 §3.5).
fn option(mut options: &[u8]) -> Option<&[u8; OPTION]> {
    let mut found = None;
    while !options.is_empty() {
        let header: &[u8; 4] = chunk(options, 0)?;
        let length = usize::from(header[3] & 0x1f) * 4;
        let (whole, rest) = options.split_at_checked(4 + length)?;
        match (be16(header, 0), header[2]) {
            (CLASS, KIND) if found.is_none() => found = Some(whole.try_into().ok()?),
            (CLASS, KIND) => return None,
            (_, kind) if kind & 0x80 != 0 => return None,
            (_, _) => {}
        }
        options = rest;
    }
    found
}

fn tag(key: &TagKey, header: &[u8], told: &[u8], frame: &[u8]) -> u64 {
    let covered = frame.len().min(TAGGED_FRAME_LEN);
    let mut message = [0; FIXED + TAGGED_FRAME_LEN];
    let (fixed, rest) = message.split_at_mut(FIXED);
    fixed[..HEADER].copy_from_slice(header);
    fixed[HEADER..HEADER + TOLD].copy_from_slice(told);
    fixed[HEADER + TOLD..].copy_from_slice(&(frame.len() as u32).to_be_bytes());
    rest[..covered].copy_from_slice(&frame[..covered]);
    key.0.hash(&message[..FIXED + covered])
}

#[cfg(test)]
mod tests;
