//! Address sets as sorted inclusive ranges, shared by every rule that names them.

use std::net::IpAddr;

/// All address sets of a policy, and the lists of sets that rules refer to.
#[derive(Debug, Default)]
pub(super) struct Book {
    v4: Vec<Ranges<u32>>,
    v6: Vec<Ranges<u128>>,
    lists: Vec<u32>,
}

impl Book {
    /// Adds the next set; `false` if its ranges are not sorted and disjoint.
    pub(super) fn add_set(&mut self, set: &config::AddressSet) -> bool {
        let (v4, v6) = (Ranges::new(&set.v4), Ranges::new(&set.v6));
        let sound = v4.is_some() && v6.is_some();
        self.v4.extend(v4);
        self.v6.extend(v6);
        sound
    }

    /// Compiles a rule's address match; `None` if it names a set that does not exist.
    pub(super) fn add_test(&mut self, of: &config::AddressMatch) -> Option<AddressTest> {
        let first = self.lists.len();
        for &set in &of.sets {
            self.v4.get(set)?;
            self.lists.push(u32::try_from(set).ok()?);
        }
        let range = (u32::try_from(first).ok()?, u32::try_from(self.lists.len()).ok()?);
        Some(AddressTest { lists: range, negate: of.negate })
    }

    /// How many sets there are.
    pub(super) fn sets(&self) -> usize {
        self.v4.len()
    }

    /// The sets that a rule's match names, and whether it is negated.
    pub(super) fn sets_of(&self, test: AddressTest) -> (&[u32], bool) {
        (&self.lists[test.lists.0 as usize..test.lists.1 as usize], test.negate)
    }

    /// Each IPv4 range of a set: the set, first and last address.
    pub(super) fn v4(&self, set: u32) -> impl Iterator<Item = (u32, u32, u32)> {
        self.v4[set as usize].iter().map(move |(first, last)| (set, first, last))
    }

    /// Each IPv6 range of a set: the set, first and last address.
    pub(super) fn v6(&self, set: u32) -> impl Iterator<Item = (u32, u128, u128)> {
        self.v6[set as usize].iter().map(move |(first, last)| (set, first, last))
    }

    /// What is equal for sets that hold the same addresses in the same ranges.
    pub(super) fn content(&self, set: u32) -> impl std::hash::Hash + Eq {
        (&self.v4[set as usize], &self.v6[set as usize])
    }

    /// Whether `address` satisfies a rule's match. An IPv4-mapped IPv6 address is an IPv6 address.
    #[inline]
    pub(super) fn satisfies(&self, test: AddressTest, address: IpAddr) -> bool {
        let sets = &self.lists[test.lists.0 as usize..test.lists.1 as usize];
        let within = match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                sets.iter().any(|&set| self.v4[set as usize].contains(bits))
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                sets.iter().any(|&set| self.v6[set as usize].contains(bits))
            }
        };
        within != test.negate
    }
}

/// A rule's match on one address: within (or, negated, in none of) a list of sets.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddressTest {
    lists: (u32, u32), // from, to: a run of `Book::lists`
    negate: bool,
}

/// Sorted, disjoint inclusive ranges. First and last addresses lie apart, so that a search walks
/// through half the memory.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Ranges<T> {
    firsts: Box<[T]>,
    lasts: Box<[T]>,
}

impl<T: Copy + Ord> Ranges<T> {
    fn new(ranges: &[(T, T)]) -> Option<Self> {
        let forward = ranges.iter().all(|(first, last)| first <= last);
        let sorted = ranges.windows(2).all(|pair| pair[0].1 < pair[1].0);
        let firsts = ranges.iter().map(|range| range.0).collect();
        let lasts = ranges.iter().map(|range| range.1).collect();
        (forward && sorted).then_some(Self { firsts, lasts })
    }

    fn iter(&self) -> impl Iterator<Item = (T, T)> {
        self.firsts.iter().copied().zip(self.lasts.iter().copied())
    }

    #[inline]
    fn contains(&self, address: T) -> bool {
        let after = self.firsts.partition_point(|first| *first <= address);
        after > 0 && address <= self.lasts[after - 1]
    }
}
