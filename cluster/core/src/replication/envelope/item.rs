//! The items of a message.

use engine::session::{CloseReason, SessionId};
use wire::{FlowKey, SLOTS, Slot};

use super::{EnvelopeError, ITEM_HEAD_BYTES};

/// Bytes of a set of slots.
pub(super) const SLOT_SET_BYTES: usize = SLOTS as usize / 8;
/// Bytes of a key.
const KEY_BYTES: usize = size_of::<FlowKey>();
/// Bytes of an identity.
pub(super) const ID_BYTES: usize = 14;
/// The first flag of an item: a record that answers, a request that merges.
pub(super) const FLAG: u8 = 1;

pub(super) const RECORD: u8 = 1;
pub(super) const DELETE: u8 = 2;
pub(super) const BULK_REQUEST: u8 = 3;
pub(super) const BULK_BEGIN: u8 = 4;
pub(super) const BULK_END: u8 = 5;
pub(super) const BULK_DONE: u8 = 6;
pub(super) const DIGEST: u8 = 7;
pub(super) const DIGEST_RESULT: u8 = 8;

/// One item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item<'a> {
    /// A session as it was when the message was made.
    Record {
        /// It answers a record that was stale, and is not answered itself.
        answer: bool,
        /// The engine's bytes.
        bytes: &'a [u8],
    },
    /// A session that is gone.
    Delete {
        /// Its key.
        key: FlowKey,
        /// Its identity; another session of that key stays.
        id: SessionId,
        /// Why it ended, if this version knows the reason.
        reason: Option<CloseReason>,
    },
    /// The joiner asks for all sessions of some slots.
    BulkRequest {
        /// The joiner's running number.
        bulk: u32,
        /// Both tables are joined: the joiner will keep what the other does not have.
        merge: bool,
        /// Which slots.
        slots: SlotBits<'a>,
    },
    /// The owner has heard the request.
    BulkBegin {
        /// Which one.
        bulk: u32,
        /// About how many sessions will come.
        sessions: u32,
    },
    /// All of them were sent and acknowledged.
    BulkEnd {
        /// Which one.
        bulk: u32,
        /// Records that were sent.
        sent: u32,
    },
    /// The joiner has heard of the end.
    BulkDone {
        /// Which one.
        bulk: u32,
    },
    /// Digests of consecutive slots.
    Digest {
        /// The owner's running number of the comparison.
        round: u32,
        /// The slot of the first word.
        first: u16,
        /// A word for each slot.
        words: Words<'a>,
    },
    /// What the comparison gave.
    DigestResult {
        /// Which one.
        round: u32,
        /// Every slot was seen equal in this round or a later one; 0 if one never was.
        equal_since: u32,
        /// Slots that differ now.
        unequal: u16,
    },
    /// A kind that a newer version sends.
    Unknown {
        /// Its number.
        kind: u8,
    },
    /// A body that is too short for its kind, or holds what cannot be.
    Malformed {
        /// Its kind's number.
        kind: u8,
    },
}

/// A set of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSet([u64; SLOTS as usize / 64]);

/// A set of slots, as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotBits<'a>(&'a [u8; SLOT_SET_BYTES]);

/// Words of digests, as they stand in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a>(&'a [u8]);

/// Walks over the items of a checked message.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Items<'a> {
    pub(super) fn new(rest: &'a [u8], left: u16) -> Self {
        Self { rest, left }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (kind, flags, body, rest) = cut(self.rest)?;
        self.rest = rest;
        Some(Item::read(kind, flags, body))
    }
}

impl<'a> Item<'a> {
    fn read(kind: u8, flags: u8, body: &'a [u8]) -> Self {
        let flag = flags & FLAG != 0;
        let item = match kind {
            RECORD => Some(Self::Record { answer: flag, bytes: body }),
            DELETE => delete(body),
            BULK_REQUEST => bulk_request(flag, body),
            BULK_BEGIN => two(body).map(|(bulk, sessions)| Item::BulkBegin { bulk, sessions }),
            BULK_END => two(body).map(|(bulk, sent)| Item::BulkEnd { bulk, sent }),
            BULK_DONE => word(body).map(|(bulk, _)| Item::BulkDone { bulk }),
            DIGEST => digest(body),
            DIGEST_RESULT => digest_result(body),
            _ => Some(Self::Unknown { kind }),
        };
        item.unwrap_or(Self::Malformed { kind })
    }
}

/// The first item of `bytes`: kind, flags, body, and what follows.
fn cut(bytes: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let (&[kind, flags, high, low], rest) = bytes.split_first_chunk::<ITEM_HEAD_BYTES>()?;
    let (body, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, flags, body, rest))
}

/// Whether `count` items stand in `bytes`.
pub(super) fn check(mut bytes: &[u8], count: u16) -> Result<(), EnvelopeError> {
    for index in 0..count {
        (_, _, _, bytes) = cut(bytes).ok_or(EnvelopeError::Item(index))?;
    }
    Ok(())
}

fn word(body: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = body.split_first_chunk()?;
    Some((u32::from_be_bytes(*word), rest))
}

fn two(body: &[u8]) -> Option<(u32, u32)> {
    let (first, rest) = word(body)?;
    Some((first, word(rest)?.0))
}

fn delete(body: &[u8]) -> Option<Item<'_>> {
    let (key, rest) = body.split_first_chunk::<KEY_BYTES>()?;
    let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
    let reason = reason(*rest.first()?);
    Some(Item::Delete { key: FlowKey::from_bytes(key)?, id: read_id(id), reason })
}

fn bulk_request(merge: bool, body: &[u8]) -> Option<Item<'_>> {
    let (bulk, rest) = word(body)?;
    let (bits, _) = rest.split_first_chunk::<SLOT_SET_BYTES>()?;
    Some(Item::BulkRequest { bulk, merge, slots: SlotBits(bits) })
}

fn digest(body: &[u8]) -> Option<Item<'_>> {
    let (round, rest) = word(body)?;
    let (first, words) = rest.split_first_chunk()?;
    let first = u16::from_be_bytes(*first);
    let fits = usize::from(first) + words.len() / 8 <= usize::from(SLOTS);
    fits.then_some(Item::Digest { round, first, words: Words(words) })
}

fn digest_result(body: &[u8]) -> Option<Item<'_>> {
    let (round, rest) = word(body)?;
    let (equal_since, rest) = word(rest)?;
    let (unequal, _) = rest.split_first_chunk()?;
    Some(Item::DigestResult { round, equal_since, unequal: u16::from_be_bytes(*unequal) })
}

fn read_id(bytes: &[u8; ID_BYTES]) -> SessionId {
    let [n0, n1, b0, b1, b2, b3, counter @ ..] = *bytes;
    SessionId {
        node: u16::from_be_bytes([n0, n1]),
        boot: u32::from_be_bytes([b0, b1, b2, b3]),
        counter: u64::from_be_bytes(counter),
    }
}

pub(super) fn write_id(id: SessionId) -> [u8; ID_BYTES] {
    let mut bytes = [0; ID_BYTES];
    bytes[..2].copy_from_slice(&id.node.to_be_bytes());
    bytes[2..6].copy_from_slice(&id.boot.to_be_bytes());
    bytes[6..].copy_from_slice(&id.counter.to_be_bytes());
    bytes
}

/// The wire's number of a reason; the order of counters may change, these may not.
pub(super) const fn reason_number(reason: CloseReason) -> u8 {
    match reason {
        CloseReason::Timeout => 1,
        CloseReason::TcpFin => 2,
        CloseReason::TcpRst => 3,
        CloseReason::Reopened => 4,
        CloseReason::Cleared => 5,
        CloseReason::Policy => 6,
        CloseReason::PortGone => 7,
        CloseReason::Evicted => 8,
        CloseReason::Poison => 9,
        CloseReason::Shutdown => 10,
        CloseReason::Conflict => 11,
        CloseReason::Answered => 12,
    }
}

fn reason(number: u8) -> Option<CloseReason> {
    CloseReason::ALL.iter().copied().find(|reason| reason_number(*reason) == number)
}

impl SlotSet {
    /// No slot.
    pub const NONE: Self = Self([0; SLOTS as usize / 64]);
    /// Every slot.
    pub const ALL: Self = Self([u64::MAX; SLOTS as usize / 64]);

    /// Whether `slot` is in it.
    pub const fn contains(&self, slot: Slot) -> bool {
        let index = slot.0 % SLOTS;
        self.0[index as usize / 64] >> (index % 64) & 1 == 1
    }

    /// Puts `slot` in.
    pub const fn insert(&mut self, slot: Slot) {
        let index = slot.0 % SLOTS;
        self.0[index as usize / 64] |= 1 << (index % 64);
    }

    /// Slots in it.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether none is in it.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }
}

impl SlotBits<'_> {
    /// The set.
    pub fn set(&self) -> SlotSet {
        let mut set = SlotSet::NONE;
        for (word, bytes) in set.0.iter_mut().zip(self.0.as_chunks().0) {
            *word = u64::from_be_bytes(*bytes);
        }
        set
    }
}

impl Words<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        self.0.len() / 8
    }

    /// Whether there is none, as at a round's beginning.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The words, in the order of slots.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes))
    }
}
