//! From an address to what holds there, when the address space is cut into intervals: a search tree
//! that eats an address 16 bits at a time.
//!
//! ```text
//! cell of the first 16 bits ─► block: sorted 16-bit keys, a cell each ─► … ─► value
//!                          └─► tail: up to 8 whole addresses, where much of an address is left
//! ```
//! Keys are two bytes wide, so that 32 of them share a cache line. Where many intervals begin in
//! different first 16 bits, the first step is a direct index.

/// An address as a number, in steps of 16 bits.
pub(super) trait Address: Copy + Ord {
    const ZERO: Self;
    const STEPS: usize;
    /// The 16 bits of step `at`, 0 being the most significant.
    fn step(self, at: usize) -> u16;
    /// True if all bits after step `at` are zero.
    fn ends(self, at: usize) -> bool;
    fn next(self) -> Option<Self>;
}

macro_rules! address {
    ($number:ty) => {
        impl Address for $number {
            const ZERO: Self = 0;
            const STEPS: usize = Self::BITS as usize / 16;

            #[inline]
            fn step(self, at: usize) -> u16 {
                (self >> (Self::BITS as usize - 16 * (at + 1))) as u16
            }

            fn ends(self, at: usize) -> bool {
                self.trailing_zeros() as usize >= Self::BITS as usize - 16 * (at + 1)
            }

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        }
    };
}

address!(u32);
address!(u128);

/// Keys of the first step from which a direct index is kept (512 KiB): below it, a search takes at
/// most four comparisons.
const DIRECT_MIN: usize = 16;
/// Intervals of one tail: three comparisons.
const TAIL_MAX: usize = 8;
const TAIL: u32 = 1 << 31;

/// Values by address: each holds from its start up to the next start.
#[derive(Debug)]
pub(super) struct Trie<T> {
    direct: Box<[Cell]>, // empty, or one for each first step
    top: Cell,
    keys: Vec<u16>,
    cells: Vec<Cell>,
    starts: Vec<T>,
    values: Vec<u32>,
}

/// A value (`len` is 0), a block of `len` keys, or, with [`TAIL`], a tail of `len` addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    at: u32,
    len: u32,
}

impl<T: Address> Trie<T> {
    /// From starts in ascending order, the first of which is zero.
    pub(super) fn new(intervals: &[(T, u32)]) -> Self {
        debug_assert!(intervals.first().is_some_and(|first| first.0 == T::ZERO));
        let mut trie = Self {
            direct: Box::default(),
            top: Cell { at: 0, len: 0 },
            keys: Vec::new(),
            cells: Vec::new(),
            starts: Vec::new(),
            values: Vec::new(),
        };
        trie.top = trie.block(intervals, 0, 0);
        trie.spread();
        trie
    }

    /// The first step towards `address`.
    #[inline]
    pub(super) fn enter(&self, address: T) -> Cell {
        let first = address.step(0);
        match self.direct.get(usize::from(first)) {
            Some(cell) => *cell,
            None => self.search(self.top, first),
        }
    }

    /// The value at `address`, from its first step on.
    #[inline]
    pub(super) fn follow(&self, entered: Cell, address: T) -> u32 {
        let (mut cell, mut step) = (entered, 1);
        while cell.len != 0 {
            if cell.len & TAIL != 0 {
                return self.tail(cell, address);
            }
            cell = self.search(cell, address.step(step));
            step += 1;
        }
        cell.at
    }

    #[inline]
    fn search(&self, block: Cell, key: u16) -> Cell {
        if block.len == 0 {
            return block;
        }
        let at = block.at as usize;
        let keys = &self.keys[at..at + block.len as usize];
        self.cells[at + keys.partition_point(|start| *start <= key) - 1]
    }

    fn tail(&self, tail: Cell, address: T) -> u32 {
        let (at, len) = (tail.at as usize, (tail.len & !TAIL) as usize);
        let starts = &self.starts[at..at + len];
        self.values[at + starts.partition_point(|start| *start <= address) - 1]
    }

    /// Stores what the `intervals` that start under one prefix say; before them, `value` holds.
    fn block(&mut self, intervals: &[(T, u32)], step: usize, mut value: u32) -> Cell {
        if step > 0 && step + 2 <= T::STEPS && intervals.len() <= TAIL_MAX {
            return self.store_tail(intervals, value);
        }
        let (mut keys, mut cells) = (Vec::new(), Vec::new());
        let mut put = |key: u16, cell: Cell| {
            if cells.last() != Some(&cell) {
                keys.push(key);
                cells.push(cell);
            }
        };
        let leaf = |at| Cell { at, len: 0 };
        let mut open = Some(0); // where `value` holds again
        for group in intervals.chunk_by(|a, b| a.0.step(step) == b.0.step(step)) {
            let (start, own) = group[0];
            let key = start.step(step);
            if let Some(from) = open.filter(|&from| from < key) {
                put(from, leaf(value));
            }
            let whole = group.len() == 1 && start.ends(step);
            put(key, if whole { leaf(own) } else { self.block(group, step + 1, value) });
            value = group[group.len() - 1].1;
            open = key.checked_add(1).filter(|_| !whole);
        }
        if let Some(from) = open {
            put(from, leaf(value));
        }
        if let [cell @ Cell { len: 0, .. }] = cells[..] {
            return cell;
        }
        let cell = Cell { at: self.keys.len() as u32, len: keys.len() as u32 };
        self.keys.append(&mut keys);
        self.cells.append(&mut cells);
        cell
    }

    fn store_tail(&mut self, intervals: &[(T, u32)], value: u32) -> Cell {
        let at = self.starts.len();
        self.starts.push(T::ZERO);
        self.values.push(value);
        self.starts.extend(intervals.iter().map(|interval| interval.0));
        self.values.extend(intervals.iter().map(|interval| interval.1));
        Cell { at: at as u32, len: (self.starts.len() - at) as u32 | TAIL }
    }

    fn spread(&mut self) {
        if self.top.len as usize > DIRECT_MIN && self.top.len & TAIL == 0 {
            self.direct = (0..=u16::MAX).map(|key| self.search(self.top, key)).collect();
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.direct)
            + size_of_val(&*self.keys)
            + size_of_val(&*self.cells)
            + size_of_val(&*self.starts)
            + size_of_val(&*self.values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<T: Address + std::fmt::Debug>(starts: &std::collections::BTreeSet<T>, asked: &[T]) {
        let mut intervals = vec![(T::ZERO, 0)];
        let later = starts.iter().filter(|start| **start != T::ZERO);
        intervals.extend(later.enumerate().map(|(at, start)| (*start, at as u32 + 1)));
        let trie = Trie::new(&intervals);
        for &address in asked.iter().chain(starts) {
            let want = intervals.iter().rposition(|interval| interval.0 <= address);
            assert_eq!(
                Some(trie.follow(trie.enter(address), address) as usize),
                want,
                "{address:?}"
            );
        }
    }

    /// Numbers that share many leading bits.
    fn close() -> impl Strategy<Value = u128> {
        let shape = (any::<u128>(), 0u32..9, 0u32..9, 0u8..4);
        shape.prop_map(|(bits, high, low, flavour)| {
            let bits = bits.checked_shl(16 * low).unwrap_or(0);
            let kept = bits.checked_shr(16 * high).unwrap_or(0);
            match flavour {
                0 => kept,
                1 => !kept,
                2 => bits,
                _ => kept.wrapping_sub(1),
            }
        })
    }

    proptest! {
        #[test]
        fn every_address_has_the_value_of_the_last_start(
            starts in proptest::collection::btree_set(close(), 0..60),
            asked in proptest::collection::vec(close(), 0..60),
        ) {
            let near: Vec<u128> =
                starts.iter().flat_map(|s| [s.wrapping_sub(1), s.wrapping_add(1)]).collect();
            check(&starts, &[asked.clone(), near].concat());
            let narrow = |wide: u128| (wide ^ (wide >> 96)) as u32;
            let starts = starts.into_iter().map(narrow).collect::<std::collections::BTreeSet<_>>();
            let near = starts.iter().flat_map(|s| [s.wrapping_sub(1), s.wrapping_add(1)]);
            let asked: Vec<u32> = asked.into_iter().map(narrow).chain(near).collect();
            check(&starts, &asked);
        }
    }
}
