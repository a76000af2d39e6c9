//! The rules of one pair of labels: a few are compared one after the other; many are cut into
//! *chunks*, for which bit columns tell which of the entries are worth comparing.
//!
//! ```text
//!   protocol, destination port ─► column ┐
//!   source port ────────────────► column ┼─ and ─► entries, in the order of rules
//!   class of source ────────────► row    │
//!   class of destination ───────► row    ┘  rows: only where rules are filed under wider labels
//! ```
//! A chunk has at most 512 entries, so that a column is one cache line and the columns of `n`
//! entries take memory in proportion to `n`, whatever their ports are.

use super::entry::{Asked, Certainty, Entry};
use super::rows::Rows;
use crate::limits::MATCHER_CHUNK_ENTRIES;

/// All entries, and the columns of large leaves.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    pub(super) entries: Vec<Entry>,
    large: Vec<Large>,
    chunks: Vec<Chunk>,
    protocols: Vec<(u16, Columns)>, // of each chunk in ascending order, then ANY_OTHER
    keys: Vec<u16>,
    words: Vec<u64>,
}

/// A leaf with columns.
#[derive(Debug)]
struct Large {
    chunks: (u32, u32),
    sources: Option<Rows>,
    destinations: Option<Rows>,
}

/// Up to [`MATCHER_CHUNK_ENTRIES`] entries.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    entries: u32,
    words: u32,
    protocols: (u32, u32),
    source_ports: Option<Columns>,
}

/// Sorted keys, and for each a column of as many words as the chunk says.
#[derive(Clone, Copy, Debug)]
struct Columns {
    keys: (u32, u32),
    words: u32,
}

/// Stands for the protocols that no entry of a chunk names.
const ANY_OTHER: u16 = 256;
/// Bits of a word.
const WORD: usize = u64::BITS as usize;

impl Leaves {
    /// The first rule before `best` among `len` entries from `at`, or `best`.
    #[inline]
    pub(super) fn scan(
        &self,
        (at, len): (u32, u32),
        asked: &Asked,
        best: u32,
        verify: impl Fn(u32) -> bool,
    ) -> u32 {
        for entry in &self.entries[at as usize..(at + len) as usize] {
            if entry.rule >= best {
                break;
            }
            if entry.matches(asked) && (entry.certainty == Certainty::Whole || verify(entry.rule)) {
                return entry.rule;
            }
        }
        best
    }

    /// The same in a large leaf, for addresses of these classes.
    pub(super) fn search(
        &self,
        leaf: u32,
        classes: (u32, u32),
        asked: &Asked,
        best: u32,
        verify: impl Fn(u32) -> bool,
    ) -> u32 {
        let leaf = &self.large[leaf as usize];
        let sources = leaf.sources.as_ref().map(|rows| rows.of(classes.0));
        let destinations = leaf.destinations.as_ref().map(|rows| rows.of(classes.1));
        let chunks = &self.chunks[leaf.chunks.0 as usize..leaf.chunks.1 as usize];
        let mut from = 0;
        for chunk in chunks {
            if self.entries[chunk.entries as usize].rule >= best {
                break;
            }
            let rows = [sources, destinations]
                .map(|row| row.map_or(&[][..], |row| &row[from..from + chunk.words as usize]));
            from += chunk.words as usize;
            if let Some(rule) = self.first(chunk, rows, asked, best, &verify) {
                return rule;
            }
        }
        best
    }

    fn first(
        &self,
        chunk: &Chunk,
        rows: [&[u64]; 2],
        asked: &Asked,
        best: u32,
        verify: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let mut bits = [u64::MAX; MATCHER_CHUNK_ENTRIES / WORD];
        let bits = &mut bits[..chunk.words as usize];
        rows.iter().for_each(|row| and(bits, row));
        if bits.iter().all(|word| *word == 0) {
            return None;
        }
        and(bits, self.protocol_column(chunk, asked));
        if let Some(columns) = chunk.source_ports {
            and(bits, self.column(columns, chunk.words, asked.source_port));
        }
        for (at, &word) in bits.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                let place = chunk.entries as usize + at * WORD + word.trailing_zeros() as usize;
                let entry = &self.entries[place];
                if entry.rule >= best {
                    return Some(best);
                }
                let whole = entry.certainty == Certainty::Whole;
                if entry.matches(asked) && (whole || verify(entry.rule)) {
                    return Some(entry.rule);
                }
                word &= word - 1;
            }
        }
        None
    }

    fn protocol_column(&self, chunk: &Chunk, asked: &Asked) -> &[u64] {
        let protocols = &self.protocols[chunk.protocols.0 as usize..chunk.protocols.1 as usize];
        let at = protocols.partition_point(|known| known.0 < u16::from(asked.protocol));
        let named = protocols[at].0 == u16::from(asked.protocol);
        let columns = protocols[if named { at } else { protocols.len() - 1 }].1;
        self.column(columns, chunk.words, asked.detail())
    }

    #[inline]
    fn column(&self, columns: Columns, words: u32, key: u16) -> &[u64] {
        let keys = &self.keys[columns.keys.0 as usize..columns.keys.1 as usize];
        let at = keys.partition_point(|first| *first <= key) - 1;
        let from = columns.words as usize + at * words as usize;
        &self.words[from..from + words as usize]
    }

    /// Stores a large leaf; its place. `rows` are of as many bits as there are entries, each chunk
    /// padded to whole words.
    pub(super) fn add_large(
        &mut self,
        entries: &[Entry],
        sources: Option<Rows>,
        destinations: Option<Rows>,
    ) -> u32 {
        let first = self.chunks.len() as u32;
        for entries in entries.chunks(MATCHER_CHUNK_ENTRIES) {
            let chunk = self.chunk(entries);
            self.chunks.push(chunk);
        }
        let chunks = (first, self.chunks.len() as u32);
        self.large.push(Large { chunks, sources, destinations });
        self.large.len() as u32 - 1
    }

    fn chunk(&mut self, entries: &[Entry]) -> Chunk {
        let at = self.entries.len() as u32;
        self.entries.extend_from_slice(entries);
        let mut named: Vec<u16> =
            entries.iter().filter_map(Entry::protocol).map(u16::from).collect();
        named.push(ANY_OTHER);
        named.sort_unstable();
        named.dedup();
        let first = self.protocols.len() as u32;
        for protocol in named {
            let of = |entry: &Entry| {
                let fits = entry.protocol().is_none_or(|own| u16::from(own) == protocol);
                fits.then(|| entry.details())
            };
            let columns = self.columns(entries, of);
            self.protocols.push((protocol, columns));
        }
        let any_source = entries.iter().all(|entry| entry.source_ports() == (0, u16::MAX));
        let source_ports =
            (!any_source).then(|| self.columns(entries, |entry| Some(entry.source_ports())));
        Chunk {
            entries: at,
            words: entries.len().div_ceil(WORD) as u32,
            protocols: (first, self.protocols.len() as u32),
            source_ports,
        }
    }

    /// The columns of the ranges that `range` gives to entries; one without a range is in none.
    fn columns(
        &mut self,
        entries: &[Entry],
        range: impl Fn(&Entry) -> Option<(u16, u16)>,
    ) -> Columns {
        let mut edges = vec![(0, None)];
        for (at, entry) in entries.iter().enumerate() {
            let Some((first, last)) = range(entry) else { continue };
            edges.push((first, Some(at)));
            edges.extend(last.checked_add(1).map(|after| (after, Some(at))));
        }
        edges.sort_unstable();
        let (keys, words) = (self.keys.len(), self.words.len());
        let mut column = vec![0_u64; entries.len().div_ceil(WORD)];
        for edges in edges.chunk_by(|a, b| a.0 == b.0) {
            for at in edges.iter().filter_map(|edge| edge.1) {
                column[at / WORD] ^= 1 << (at % WORD);
            }
            self.keys.push(edges[0].0);
            self.words.extend_from_slice(&column);
        }
        Columns { keys: (keys as u32, self.keys.len() as u32), words: words as u32 }
    }

    /// True if any leaf tells classes apart.
    pub(super) fn has_rows(&self) -> bool {
        self.large.iter().any(|leaf| leaf.sources.is_some() || leaf.destinations.is_some())
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let rows = self.large.iter().flat_map(|leaf| [&leaf.sources, &leaf.destinations]);
        size_of_val(&*self.entries)
            + size_of_val(&*self.large)
            + size_of_val(&*self.chunks)
            + size_of_val(&*self.protocols)
            + size_of_val(&*self.keys)
            + size_of_val(&*self.words)
            + rows.flatten().map(Rows::bytes).sum::<usize>()
    }
}

/// Clears the bits that `column` lacks; an empty one lacks none.
#[inline]
fn and(bits: &mut [u64], column: &[u64]) {
    bits.iter_mut().zip(column).for_each(|(word, mask)| *word &= mask);
}
