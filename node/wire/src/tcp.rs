//! TCP (RFC 9293) with the options of RFC 7323, RFC 2018 and RFC 7413.
use core::fmt;
use core::ops::{Add, AddAssign, BitOr, Sub};

use crate::Malformed;
use crate::bytes::{be16, be32, chunk};
use crate::limits::{MAX_SACK_BLOCKS, MAX_WINDOW_SCALE};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Bytes of the longest header.
pub const MAX_HEADER_LEN: usize = 60;
/// Offset of the checksum, 2 bytes.
pub const CHECKSUM: usize = 16;

/// Option kinds (the IANA registry "TCP Option Kind Numbers").
pub mod option {
    /// End of the list, 1 byte.
    pub const END: u8 = 0;
    /// No operation, 1 byte.
    pub const NOP: u8 = 1;
    /// Maximum segment size, 4 bytes.
    pub const MSS: u8 = 2;
    /// Window scale, 3 bytes.
    pub const WINDOW_SCALE: u8 = 3;
    /// SACK permitted, 2 bytes.
    pub const SACK_PERMITTED: u8 = 4;
    /// SACK, 2 + 8 bytes a block.
    pub const SACK: u8 = 5;
    /// Timestamps, 10 bytes.
    pub const TIMESTAMPS: u8 = 8;
    /// TCP fast open cookie.
    pub const FAST_OPEN: u8 = 34;
    /// Shared by experiments (RFC 6994).
    pub const EXPERIMENT: u8 = 254;
    /// The experiment id of fast open before it had its own kind (RFC 7413 §4.1.1).
    pub const FAST_OPEN_EXPERIMENT: [u8; 2] = [0xf9, 0x89];
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// SEG.SEQ.
    pub sequence: Seq,
    /// SEG.ACK; means something only with [`TcpFlags::ACK`].
    pub acknowledgment: Seq,
    /// Control bits.
    pub flags: TcpFlags,
    /// SEG.WND, unscaled.
    pub window: u16,
    /// Urgent pointer; means something only with [`TcpFlags::URG`].
    pub urgent: u16,
    /// Bytes of the header with options: 20 to 60.
    pub header_len: u8,
    /// Bytes of data in this packet (in a first fragment, of this fragment).
    pub payload_len: u32,
    /// Maximum segment size, bytes.
    pub mss: Option<u16>,
    /// Window scale, at most 14 (RFC 7323 §2.3).
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// SACK blocks.
    pub sack: SackBlocks,
    /// A fast open option, with or without a cookie.
    pub fast_open: bool,
}

impl Tcp {
    /// Reads the segment `bytes[at..]`. With `whole` false (a first fragment) the header may be
    /// cut, which is [`Malformed::TransportTruncated`] and for the caller to judge.
    pub(crate) fn parse(bytes: &[u8], at: usize, whole: bool) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LEN] = chunk(bytes, at).ok_or(Malformed::TransportTruncated)?;
        let header_len = usize::from(header[12] >> 4) * 4;
        if header_len < HEADER_LEN {
            return Err(Malformed::TcpDataOffset);
        }
        let Some(options) = bytes.get(at + HEADER_LEN..at + header_len) else {
            return Err(if whole {
                Malformed::TcpDataOffset
            } else {
                Malformed::TransportTruncated
            });
        };
        let mut tcp = Self::fixed(header);
        tcp.header_len = header_len as u8;
        tcp.payload_len = (bytes.len() - at - header_len) as u32;
        tcp.walk_options(options)?;
        Ok(tcp)
    }

    /// The fixed header alone: no options, no lengths.
    #[inline(always)]
    fn fixed(header: &[u8; HEADER_LEN]) -> Self {
        Self {
            source_port: be16(header, 0),
            destination_port: be16(header, 2),
            sequence: Seq(be32(header, 4)),
            acknowledgment: Seq(be32(header, 8)),
            flags: TcpFlags(header[13]),
            window: be16(header, 14),
            urgent: be16(header, 18),
            header_len: HEADER_LEN as u8,
            payload_len: 0,
            mss: None,
            window_scale: None,
            sack_permitted: false,
            timestamps: None,
            sack: SackBlocks::NONE,
            fast_open: false,
        }
    }

    /// SEG.LEN: data bytes plus one for SYN and one for FIN (RFC 9293 §3.4).
    #[inline]
    pub fn segment_len(&self) -> u32 {
        self.payload_len
            + u32::from(self.flags.contains(TcpFlags::SYN))
            + u32::from(self.flags.contains(TcpFlags::FIN))
    }

    fn walk_options(&mut self, mut rest: &[u8]) -> Result<(), Malformed> {
        while let Some((&kind, tail)) = rest.split_first() {
            match kind {
                option::END => break,
                option::NOP => rest = tail,
                _ => {
                    let len = tail.first().map_or(0, |&len| usize::from(len));
                    let option = rest.get(2..len).ok_or(Malformed::TcpOptionBad)?;
                    self.read_option(kind, option)?;
                    rest = &rest[len..];
                }
            }
        }
        Ok(())
    }

    /// `body` is the option without kind and length.
    fn read_option(&mut self, kind: u8, body: &[u8]) -> Result<(), Malformed> {
        match (kind, body) {
            (option::MSS, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            (option::WINDOW_SCALE, &[scale]) => {
                self.window_scale = Some(scale.min(MAX_WINDOW_SCALE));
            }
            (option::SACK_PERMITTED, []) => self.sack_permitted = true,
            (option::SACK, _) => self.sack = SackBlocks::read(body)?,
            (option::TIMESTAMPS, _) => {
                let stamps: &[u8; 8] = body.try_into().map_err(|_| Malformed::TcpOptionBad)?;
                self.timestamps = Some((be32(stamps, 0), be32(stamps, 4)));
            }
            (option::MSS | option::WINDOW_SCALE | option::SACK_PERMITTED, _) => {
                return Err(Malformed::TcpOptionBad);
            }
            (option::FAST_OPEN, _) => self.fast_open = true,
            (option::EXPERIMENT, _) if body.starts_with(&option::FAST_OPEN_EXPERIMENT) => {
                self.fast_open = true;
            }
            _ => {}
        }
        Ok(())
    }
}

/// A sequence number: arithmetic modulo 2³², comparison by distance (RFC 9293 §3.4).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u32);

impl Seq {
    /// `self` < `other`.
    #[inline]
    pub const fn lt(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// `self` ≤ `other`.
    #[inline]
    pub const fn le(self, other: Self) -> bool {
        !other.lt(self)
    }

    /// `self` > `other`.
    #[inline]
    pub const fn gt(self, other: Self) -> bool {
        other.lt(self)
    }

    /// `self` ≥ `other`.
    #[inline]
    pub const fn ge(self, other: Self) -> bool {
        !self.lt(other)
    }

    /// The later of the two.
    #[inline]
    pub const fn max(self, other: Self) -> Self {
        if self.lt(other) { other } else { self }
    }

    /// The earlier of the two.
    #[inline]
    pub const fn min(self, other: Self) -> Self {
        if other.lt(self) { other } else { self }
    }
}

impl Add<u32> for Seq {
    type Output = Self;

    #[inline]
    fn add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl AddAssign<u32> for Seq {
    #[inline]
    fn add_assign(&mut self, bytes: u32) {
        *self = *self + bytes;
    }
}

impl Sub<u32> for Seq {
    type Output = Self;

    #[inline]
    fn sub(self, bytes: u32) -> Self {
        Self(self.0.wrapping_sub(bytes))
    }
}

impl Sub for Seq {
    type Output = i32;

    /// The distance from `other` to `self`, negative if `self` is the earlier.
    #[inline]
    fn sub(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The control bits of a segment.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    const NAMES: [&'static str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

    /// Whether all of `other` is set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is set.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether no bit is set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for TcpFlags {
    /// Names joined by `|`, or `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        for (bit, name) in Self::NAMES.iter().enumerate() {
            if self.0 & (1 << bit) != 0 {
                write!(f, "{separator}{name}")?;
                separator = "|";
            }
        }
        Ok(())
    }
}

/// The blocks of a SACK option: (left edge, right edge), at most [`MAX_SACK_BLOCKS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    count: u8,
    blocks: [(Seq, Seq); MAX_SACK_BLOCKS],
}

impl SackBlocks {
    /// No block.
    pub const NONE: Self = Self { count: 0, blocks: [(Seq(0), Seq(0)); MAX_SACK_BLOCKS] };

    /// The blocks in the order of the option.
    #[inline]
    pub fn as_slice(&self) -> &[(Seq, Seq)] {
        &self.blocks[..usize::from(self.count)]
    }

    /// Whether there is no block.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The highest right edge.
    #[inline]
    pub fn highest(&self) -> Option<Seq> {
        self.as_slice().iter().map(|&(_, right)| right).reduce(Seq::max)
    }

    fn read(body: &[u8]) -> Result<Self, Malformed> {
        let (blocks, rest) = body.as_chunks::<8>();
        if blocks.is_empty() || blocks.len() > MAX_SACK_BLOCKS || !rest.is_empty() {
            return Err(Malformed::TcpOptionBad);
        }
        let mut read = Self { count: blocks.len() as u8, ..Self::NONE };
        for (into, block) in read.blocks.iter_mut().zip(blocks) {
            *into = (Seq(be32(block, 0)), Seq(be32(block, 4)));
        }
        Ok(read)
    }
}
