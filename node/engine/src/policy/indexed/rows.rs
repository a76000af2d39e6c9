//! Bit rows of a large leaf: for each class of addresses, which entries it leaves.

use std::collections::HashMap;

use super::Hashing;
use super::entry::Entry;
use super::sides::Side;

/// Equal rows are stored once.
#[derive(Debug)]
pub(super) struct Rows {
    row_of_class: Box<[u32]>,
    words: usize, // of one row
    bits: Vec<u64>,
}

impl Rows {
    /// The most bytes that rows for so many classes and entries can take.
    pub(super) const fn bytes_max(classes: usize, entries: usize) -> usize {
        classes * (entries.div_ceil(64) * 8 + 4)
    }

    /// `classes` are the labels of each class, sorted. Bit `n` of a row is entry `n`: set unless the
    /// entry's own label is told by classes and missing in this one.
    pub(super) fn new(entries: &[Entry], side: &Side, classes: &[Box<[u32]>]) -> Self {
        let words = entries.len().div_ceil(64);
        let mut always = vec![0_u64; words];
        let mut of_label: HashMap<u32, Vec<u32>, Hashing> = HashMap::default();
        for (at, entry) in entries.iter().enumerate() {
            let rule = entry.rule as usize;
            if side.widened(rule) && !side.is_opaque(rule) {
                of_label.entry(side.of_rule[rule]).or_default().push(at as u32);
            } else {
                always[at / 64] |= 1 << (at % 64);
            }
        }
        let mut known: HashMap<Box<[u64]>, u32, Hashing> = HashMap::default();
        let mut bits = Vec::new();
        let row_of_class = classes.iter().map(|labels| {
            let mut row = always.clone();
            for at in labels.iter().filter_map(|label| of_label.get(label)).flatten() {
                row[*at as usize / 64] |= 1 << (at % 64);
            }
            let next = known.len() as u32;
            *known.entry(row.into()).or_insert_with_key(|row| {
                bits.extend_from_slice(row);
                next
            })
        });
        Self { row_of_class: row_of_class.collect(), words, bits }
    }

    /// The row of a class.
    #[inline]
    pub(super) fn of(&self, class: u32) -> &[u64] {
        let from = self.row_of_class[class as usize] as usize * self.words;
        &self.bits[from..from + self.words]
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.row_of_class) + size_of_val(&*self.bits)
    }
}
