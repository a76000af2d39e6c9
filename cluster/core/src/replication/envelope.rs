//! The bytes of a replication message. All numbers are big-endian.
//!
//! | offset | bytes | header |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | kind: 1 changes (numbered and acknowledged), 2 control |
//! | 2 | 1 | flags: bit 0 somebody holds a packet for this, acknowledge at once |
//! | 3 | 1 | bytes of the header; items begin there, so that a later version may add fields |
//! | 4 | 2 | stream: the sending worker |
//! | 6 | 2 | sender's node |
//! | 8 | 4 | sender's boot |
//! | 12 | 4 | boot of the node whose messages are acknowledged here; 0 while unknown |
//! | 16 | 8 | sender's term |
//! | 24 | 8 | number, from 1; in control messages that of the last changes sent |
//! | 32 | 8 | floor: lower numbers are acknowledged or given up, and come no more |
//! | 40 | 8 | acknowledgment: every number up to it is settled |
//! | 48 | 8 | bit n: number `acknowledgment + 1 + n` has arrived, too |
//! | 56 | 2 | items |
//! | 58 | 2 | 0 |
//!
//! An item is kind (1), flags (1), length of its body (2), body. A body may be longer than this
//! version knows; an item of unknown kind is passed over.
//!
//! | kind | item | body |
//! |---|---|---|
//! | 1 | record | as the engine made it; flag bit 0: answers a stale one |
//! | 2 | delete | key 40, identity 14 (node 2, boot 4, counter 8), reason 1 |
//! | 3 | bulk request | bulk 4, bits of slots 512; flag bit 0: merge, the joiner keeps what it has |
//! | 4 | bulk begin | bulk 4, sessions 4 |
//! | 5 | bulk end | bulk 4, records sent 4 |
//! | 6 | bulk done | bulk 4 |
//! | 7 | digest | round 4, first slot 2, a word of 8 for each slot; none at a round's beginning |
//! | 8 | digest result | round 4, round in which the last slot was seen equal 4, unequal slots 2 |

mod item;
#[cfg(test)]
mod tests;
mod writer;

pub use self::item::{Item, Items, SlotBits, SlotSet, Words};
pub use self::writer::{Tail, Writer};

use crate::limits::ITEMS_PER_MESSAGE_MAX;
use crate::{Boot, NodeId, Term};

/// The version that this code writes, and the only one it reads.
pub const VERSION: u8 = 1;
/// Bytes of the header that this version writes.
pub const HEADER_BYTES: usize = 60;
/// Bytes of an item before its body.
pub const ITEM_HEAD_BYTES: usize = 4;

const URGENT: u8 = 1;
/// Numbers stay below this, so that a window can be added to any of them.
const NUMBER_END: u64 = 1 << 63;

/// What stands before the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What kind of message.
    pub kind: MessageKind,
    /// Somebody holds a packet for what is in it.
    pub urgent: bool,
    /// The sending worker.
    pub stream: u16,
    /// The sending node.
    pub node: NodeId,
    /// The run of its daemon.
    pub boot: Boot,
    /// The run of the daemon that `ack` answers.
    pub peer_boot: Boot,
    /// The ownership that the sender knows.
    pub term: Term,
    /// Its number, or the last one given if it has none of its own.
    pub number: u64,
    /// Lower numbers come no more.
    pub floor: u64,
    /// Numbers up to this are settled at the sender of this message.
    pub ack: u64,
    /// Bit n: number `ack + 1 + n` has arrived there.
    pub ack_bits: u64,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Records and deletes, with a number of its own.
    Changes,
    /// What is repeated by itself, and bare acknowledgments.
    Control,
}

/// A message that was checked from end to end: its items can be walked without a mistake.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What stands before the items.
    pub header: Header,
    count: u16,
    items: &'a [u8],
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Fewer bytes than a header.
    Short,
    /// Another version.
    Version(u8),
    /// A kind of message that this version does not know.
    Kind(u8),
    /// The header says that it is shorter than it must be or longer than the message.
    HeaderLength(u8),
    /// Changes without a number, or a floor above it.
    Number,
    /// It says that it has so many items, more than any may have.
    Items(u16),
    /// The item with this index does not end within the message.
    Item(u16),
}

impl<'a> Message<'a> {
    /// Reads a message. What follows the last item is passed over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let (fixed, _) = bytes.split_first_chunk().ok_or(EnvelopeError::Short)?;
        let header = Header::read(fixed)?;
        let length = fixed[3];
        let items = bytes.get(usize::from(length)..);
        let items = items.filter(|_| usize::from(length) >= HEADER_BYTES);
        let items = items.ok_or(EnvelopeError::HeaderLength(length))?;
        let count = u16::from_be_bytes([fixed[56], fixed[57]]);
        if usize::from(count) > ITEMS_PER_MESSAGE_MAX {
            return Err(EnvelopeError::Items(count));
        }
        item::check(items, count)?;
        Ok(Self { header, count, items })
    }

    /// Its items, in order.
    pub fn items(&self) -> Items<'a> {
        Items::new(self.items, self.count)
    }
}

impl Header {
    fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Self, EnvelopeError> {
        if bytes[0] != VERSION {
            return Err(EnvelopeError::Version(bytes[0]));
        }
        let header = Self {
            kind: MessageKind::read(bytes[1])?,
            urgent: bytes[2] & URGENT != 0,
            stream: u16::from_be_bytes(part(bytes, 4)),
            node: NodeId(u16::from_be_bytes(part(bytes, 6))),
            boot: Boot(u32::from_be_bytes(part(bytes, 8))),
            peer_boot: Boot(u32::from_be_bytes(part(bytes, 12))),
            term: Term(u64::from_be_bytes(part(bytes, 16))),
            number: u64::from_be_bytes(part(bytes, 24)),
            floor: u64::from_be_bytes(part(bytes, 32)),
            ack: u64::from_be_bytes(part(bytes, 40)),
            ack_bits: u64::from_be_bytes(part(bytes, 48)),
        };
        if header.numbers_fit() { Ok(header) } else { Err(EnvelopeError::Number) }
    }

    /// A floor is 1 at least, and what is numbered stands on or above it. No stream lives so long
    /// that its numbers end.
    fn numbers_fit(&self) -> bool {
        let lowest = match self.kind {
            MessageKind::Changes => self.number,
            MessageKind::Control => self.number.saturating_add(1),
        };
        self.number < NUMBER_END && (1..=lowest).contains(&self.floor)
    }

    fn write(&self, out: &mut [u8; HEADER_BYTES]) {
        out[0] = VERSION;
        out[1] = self.kind.number();
        out[2] = u8::from(self.urgent) * URGENT;
        out[3] = HEADER_BYTES as u8;
        out[4..6].copy_from_slice(&self.stream.to_be_bytes());
        out[6..8].copy_from_slice(&self.node.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.boot.0.to_be_bytes());
        out[12..16].copy_from_slice(&self.peer_boot.0.to_be_bytes());
        out[16..24].copy_from_slice(&self.term.0.to_be_bytes());
        out[24..32].copy_from_slice(&self.number.to_be_bytes());
        out[32..40].copy_from_slice(&self.floor.to_be_bytes());
        out[40..48].copy_from_slice(&self.ack.to_be_bytes());
        out[48..56].copy_from_slice(&self.ack_bits.to_be_bytes());
    }
}

impl MessageKind {
    fn read(number: u8) -> Result<Self, EnvelopeError> {
        match number {
            1 => Ok(Self::Changes),
            2 => Ok(Self::Control),
            _ => Err(EnvelopeError::Kind(number)),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Changes => 1,
            Self::Control => 2,
        }
    }
}

/// `N` bytes at `offset` of a header; the caller's constants lie within it.
fn part<const N: usize>(bytes: &[u8; HEADER_BYTES], offset: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[offset..offset + N]);
    part
}
