//! A map whose memory is taken once: chains through a slab. It neither grows nor moves anything, so that
//! what a packet pays has a bound whatever was inserted and removed before.

use std::hash::{BuildHasher, Hash};

use crate::keyed::Keyed;

/// At most as many entries as it was made for.
#[derive(Debug)]
pub(crate) struct FixedMap<K, V> {
    keyed: Keyed,
    heads: Box<[u32]>,
    entries: Box<[Entry<K, V>]>,
    /// The first of the free entries, chained.
    free: u32,
    len: u32,
}

#[derive(Clone, Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    next: u32,
}

const END: u32 = u32::MAX;

impl<K: Hash + Eq + Copy, V: Copy> FixedMap<K, V> {
    /// For `capacity` entries; `nothing` stands where none is.
    pub(crate) fn new(capacity: u32, seed: u64, nothing: (K, V)) -> Self {
        let (key, value) = nothing;
        let entry =
            |at: u32| Entry { key, value, next: if at + 1 < capacity { at + 1 } else { END } };
        Self {
            keyed: Keyed::new(seed),
            heads: vec![END; capacity.next_power_of_two() as usize].into_boxed_slice(),
            entries: (0..capacity).map(entry).collect(),
            free: if capacity == 0 { END } else { 0 },
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.free == END
    }

    pub(crate) fn clear(&mut self) {
        self.heads.fill(END);
        let last = self.entries.len().saturating_sub(1);
        for (at, entry) in self.entries.iter_mut().enumerate() {
            entry.next = if at == last { END } else { at as u32 + 1 };
        }
        self.free = if self.entries.is_empty() { END } else { 0 };
        self.len = 0;
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(key)?;
        Some(&self.entries[at as usize].value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key)?;
        Some(&mut self.entries[at as usize].value)
    }

    /// Puts an entry in, or another value into the one there is; `false` if it is full.
    pub(crate) fn insert(&mut self, key: K, value: V) -> bool {
        if let Some(known) = self.get_mut(&key) {
            *known = value;
            return true;
        }
        let at = self.free;
        let head = self.head(&key);
        let Some(entry) = self.entries.get_mut(at as usize) else { return false };
        self.free = entry.next;
        *entry = Entry { key, value, next: self.heads[head] };
        self.heads[head] = at;
        self.len += 1;
        true
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let head = self.head(key);
        let mut before = END;
        let mut at = self.heads[head];
        while let Some(entry) = self.entries.get(at as usize) {
            if entry.key == *key {
                let (value, next) = (entry.value, entry.next);
                match self.entries.get_mut(before as usize) {
                    Some(entry) => entry.next = next,
                    None => self.heads[head] = next,
                }
                self.entries[at as usize].next = self.free;
                self.free = at;
                self.len -= 1;
                return Some(value);
            }
            (before, at) = (at, entry.next);
        }
        None
    }

    /// All entries, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let chain = move |head: &u32| {
            let first = self.entries.get(*head as usize);
            std::iter::successors(first, |entry| self.entries.get(entry.next as usize))
        };
        self.heads.iter().flat_map(chain).map(|entry| (&entry.key, &entry.value))
    }

    /// Has all entries changed.
    pub(crate) fn change_all(&mut self, mut with: impl FnMut(&K, &mut V)) {
        for head in &self.heads {
            let mut at = *head;
            while let Some(entry) = self.entries.get_mut(at as usize) {
                with(&entry.key, &mut entry.value);
                at = entry.next;
            }
        }
    }

    fn head(&self, key: &K) -> usize {
        self.keyed.hash_one(key) as usize & (self.heads.len() - 1)
    }

    fn find(&self, key: &K) -> Option<u32> {
        let mut at = self.heads[self.head(key)];
        while let Some(entry) = self.entries.get(at as usize) {
            if entry.key == *key {
                return Some(at);
            }
            at = entry.next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::FixedMap;

    proptest! {
        #[test]
        fn it_is_a_map_of_so_many(steps in prop::collection::vec((0_u8..40, any::<Option<u16>>()), 0..400)) {
            let mut map = FixedMap::new(16, 7, (0_u8, 0_u16));
            let mut twin = BTreeMap::new();
            for (key, value) in steps {
                match value {
                    Some(value) => {
                        let fits = twin.len() < 16 || twin.contains_key(&key);
                        prop_assert_eq!(map.insert(key, value), fits);
                        if fits {
                            twin.insert(key, value);
                        }
                    }
                    None => prop_assert_eq!(map.remove(&key), twin.remove(&key)),
                }
                prop_assert_eq!(map.len() as usize, twin.len());
                prop_assert_eq!(map.is_full(), twin.len() == 16);
                if key == 39 {
                    map.clear();
                    twin.clear();
                }
                for key in 0..40 {
                    prop_assert_eq!(map.get(&key), twin.get(&key));
                }
            }
        }
    }
}
