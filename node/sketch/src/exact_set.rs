//! A small set of hashes that is exact as long as there is room.

use crate::bytes::{Malformed, Reader};

const VERSION: u8 = 1;

/// What became of a hash that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It was not there.
    New,
    /// It was there.
    Known,
    /// It was not there, and there is no room.
    Full,
}

/// Up to `N` different hashes of 32 bits, 255 at most. Of 20 things two share a hash once in twenty million
/// sets; that is the only error.
#[derive(Clone, Copy, Debug)]
pub struct ExactSet<const N: usize> {
    len: u8,
    hashes: [u32; N],
}

impl<const N: usize> ExactSet<N> {
    const EMPTY: Self = {
        assert!(N > 0 && N < 256, "its length is a byte");
        Self { len: 0, hashes: [0; N] }
    };

    /// An empty set.
    pub const fn new() -> Self {
        Self::EMPTY
    }

    /// Puts a hash in.
    pub fn insert(&mut self, hash: u32) -> Inserted {
        let len = usize::from(self.len);
        if self.hashes[..len].contains(&hash) {
            return Inserted::Known;
        }
        let Some(free) = self.hashes.get_mut(len) else { return Inserted::Full };
        *free = hash;
        self.len += 1;
        Inserted::New
    }

    /// Whether it is in.
    pub fn contains(&self, hash: u32) -> bool {
        self.as_slice().contains(&hash)
    }

    /// The hashes, in the order in which they came.
    pub fn as_slice(&self) -> &[u32] {
        &self.hashes[..usize::from(self.len)]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts all of another one in. `Full` if there was no room for some.
    pub fn merge(&mut self, other: &Self) -> Inserted {
        let each = other.as_slice().iter().map(|hash| self.insert(*hash));
        each.fold(Inserted::Known, |all, one| match (all, one) {
            (Inserted::Full, _) | (_, Inserted::Full) => Inserted::Full,
            (Inserted::New, _) | (_, Inserted::New) => Inserted::New,
            (Inserted::Known, Inserted::Known) => Inserted::Known,
        })
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Version, length, hashes: 2 + 4N bytes at most.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend([VERSION, self.len]);
        self.as_slice().iter().for_each(|hash| out.extend(hash.to_be_bytes()));
    }

    /// Reads what [`ExactSet::encode`] wrote.
    ///
    /// # Errors
    /// Another version, more than `N`, one twice, or bytes that end too early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.version(VERSION)?;
        let mut set = Self::new();
        for _ in 0..reader.u8()? {
            match set.insert(reader.u32()?) {
                Inserted::New => {}
                Inserted::Known => return Err(Malformed::Value),
                Inserted::Full => return Err(Malformed::Limit),
            }
        }
        Ok(set)
    }
}

impl<const N: usize> Default for ExactSet<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> PartialEq for ExactSet<N> {
    /// As sets: the order does not count.
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.as_slice().iter().all(|hash| other.contains(*hash))
    }
}

impl<const N: usize> Eq for ExactSet<N> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(of: &[u32]) -> ExactSet<16> {
        let mut set = ExactSet::new();
        of.iter().for_each(|hash| _ = set.insert(*hash));
        set
    }

    #[test]
    fn it_says_when_it_is_full() {
        let mut set = ExactSet::<2>::new();
        assert_eq!(set.insert(7), Inserted::New);
        assert_eq!(set.insert(7), Inserted::Known);
        assert_eq!(set.insert(0), Inserted::New);
        assert_eq!(set.insert(8), Inserted::Full);
        assert_eq!((set.insert(0), set.as_slice()), (Inserted::Known, [7, 0].as_slice()));
        let mut other = ExactSet::<2>::new();
        assert_eq!((other.is_empty(), other.merge(&set)), (true, Inserted::New));
        assert_eq!(other.merge(&set), Inserted::Known);
        other.clear();
        other.insert(9);
        assert_eq!(other.merge(&set), Inserted::Full);
    }

    #[test]
    fn these_bytes() {
        let mut out = Vec::new();
        set(&[1, 0xa0b0_c0d0]).encode(&mut out);
        assert_eq!(out, [1, 2, 0, 0, 0, 1, 0xa0, 0xb0, 0xc0, 0xd0]);
        let decode = |bytes: &[u8]| ExactSet::<1>::decode(&mut Reader::new(bytes));
        assert_eq!(decode(&out), Err(Malformed::Limit));
        assert_eq!(decode(&[1, 2, 0, 0, 0, 1, 0, 0, 0, 1]), Err(Malformed::Value));
        assert_eq!(decode(&[1, 1, 0, 0, 0]), Err(Malformed::Truncated));
        assert_eq!(decode(&[9]), Err(Malformed::Version(9)));
    }

    proptest! {
        #[test]
        fn it_is_the_set(
            one in prop::collection::vec(0_u32..20, 0..40),
            other in prop::collection::vec(0_u32..20, 0..40),
        ) {
            let all: BTreeSet<_> = one.iter().chain(&other).copied().collect();
            let mut merged = set(&one);
            let result = merged.merge(&set(&other));
            if all.len() <= 16 {
                let both: Vec<_> = one.iter().chain(&other).copied().collect();
                prop_assert_eq!(merged, set(&both));
                prop_assert_eq!(merged.len(), all.len());
            } else {
                prop_assert!(result == Inserted::Full || merged.len() == 16);
            }
            let mut out = Vec::new();
            merged.encode(&mut out);
            prop_assert_eq!(ExactSet::decode(&mut Reader::new(&out)), Ok(merged));
        }
    }
}
