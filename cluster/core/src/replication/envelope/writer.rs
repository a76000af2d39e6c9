//! Writes a message into a buffer that is used again and again.

use engine::session::{CloseReason, SessionId};
use wire::FlowKey;

use super::item::{self, SlotSet};
use super::{HEADER_BYTES, Header, ITEM_HEAD_BYTES};
use crate::limits::{DELETE_BYTES, ITEMS_PER_MESSAGE_MAX};

/// A message being made. The header is written last, when it is known what the items are.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    limit: usize,
    count: u16,
}

/// How a record's item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail<T> {
    /// It stands in the message.
    Written(T),
    /// There was nothing to write.
    Nothing,
    /// It does not fit into what is left; the message is as before.
    Full,
    /// It would not fit into an empty message either.
    Oversized,
}

impl<'a> Writer<'a> {
    /// Begins a message of at most `limit` bytes in `out`, whose content goes.
    pub fn new(out: &'a mut Vec<u8>, limit: usize) -> Self {
        out.clear();
        out.resize(HEADER_BYTES, 0);
        Self { out, limit, count: 0 }
    }

    /// Items so far.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Whether a body of `bytes` fits.
    pub fn has_room(&self, bytes: usize) -> bool {
        usize::from(self.count) < ITEMS_PER_MESSAGE_MAX
            && self.out.len() + ITEM_HEAD_BYTES + bytes <= self.limit
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether it has no item.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds the record that `export` appends.
    pub fn record<T: Copy>(
        &mut self,
        answer: bool,
        export: impl FnOnce(&mut Vec<u8>) -> Option<T>,
    ) -> Tail<T> {
        if !self.has_room(0) {
            return Tail::Full;
        }
        let start = self.begin(item::RECORD, answer);
        let exported = export(self.out);
        let body = self.out.len() - start;
        if let Some(exported) = exported
            && self.out.len() <= self.limit
        {
            self.end(start);
            return Tail::Written(exported);
        }
        self.out.truncate(start - ITEM_HEAD_BYTES);
        match exported {
            None => Tail::Nothing,
            Some(_) if HEADER_BYTES + ITEM_HEAD_BYTES + body > self.limit => Tail::Oversized,
            Some(_) => Tail::Full,
        }
    }

    /// Adds a delete if it fits.
    pub fn delete(&mut self, key: &FlowKey, id: SessionId, reason: CloseReason) -> bool {
        if !self.has_room(DELETE_BYTES - ITEM_HEAD_BYTES) {
            return false;
        }
        let start = self.begin(item::DELETE, false);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(&item::write_id(id));
        self.out.push(item::reason_number(reason));
        self.end(start);
        true
    }

    /// Adds a request. It fits into an empty message.
    pub fn bulk_request(&mut self, bulk: u32, merge: bool, slots: &SlotSet) {
        let start = self.begin(item::BULK_REQUEST, merge);
        self.out.extend_from_slice(&bulk.to_be_bytes());
        slots.words().iter().for_each(|word| self.out.extend_from_slice(&word.to_be_bytes()));
        self.end(start);
    }

    /// Adds the beginning of a bulk.
    pub fn bulk_begin(&mut self, bulk: u32, sessions: u32) {
        self.numbers(item::BULK_BEGIN, &[bulk, sessions]);
    }

    /// Adds the end of a bulk.
    pub fn bulk_end(&mut self, bulk: u32, sent: u32) {
        self.numbers(item::BULK_END, &[bulk, sent]);
    }

    /// Adds the answer to the end of a bulk.
    pub fn bulk_done(&mut self, bulk: u32) {
        self.numbers(item::BULK_DONE, &[bulk]);
    }

    /// Adds digests of slots from `first` on. They fit into an empty message if they are no more
    /// than [`DIGEST_PIECE_SLOTS`](crate::limits::DIGEST_PIECE_SLOTS).
    pub fn digest(&mut self, round: u32, first: u16, words: &[u64]) {
        let start = self.begin(item::DIGEST, false);
        self.out.extend_from_slice(&round.to_be_bytes());
        self.out.extend_from_slice(&first.to_be_bytes());
        words.iter().for_each(|word| self.out.extend_from_slice(&word.to_be_bytes()));
        self.end(start);
    }

    /// Adds what a comparison gave.
    pub fn digest_result(&mut self, round: u32, equal_since: u32, unequal: u16) {
        let start = self.begin(item::DIGEST_RESULT, false);
        self.out.extend_from_slice(&round.to_be_bytes());
        self.out.extend_from_slice(&equal_since.to_be_bytes());
        self.out.extend_from_slice(&unequal.to_be_bytes());
        self.end(start);
    }

    /// Ends the message.
    pub fn finish(self, header: &Header) {
        let Some(bytes) = self.out.first_chunk_mut() else { return };
        header.write(bytes);
        bytes[56..58].copy_from_slice(&self.count.to_be_bytes());
    }

    fn numbers(&mut self, kind: u8, numbers: &[u32]) {
        let start = self.begin(kind, false);
        numbers.iter().for_each(|number| self.out.extend_from_slice(&number.to_be_bytes()));
        self.end(start);
    }

    /// Writes an item's head, without its length; the body's offset.
    fn begin(&mut self, kind: u8, flag: bool) -> usize {
        self.out.extend_from_slice(&[kind, u8::from(flag) * item::FLAG, 0, 0]);
        self.out.len()
    }

    /// Fills in the length of the body that began at `start`.
    fn end(&mut self, start: usize) {
        let length = u16::try_from(self.out.len() - start).unwrap_or(u16::MAX);
        self.out[start - 2..start].copy_from_slice(&length.to_be_bytes());
        self.count += 1;
    }
}
