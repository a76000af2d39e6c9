//! Sorted, disjoint, inclusive ranges of addresses.

/// An address as a number.
pub(crate) trait Address: Copy + Ord {
    const BITS: u32;
    fn next(self) -> Option<Self>;
    fn previous(self) -> Option<Self>;
    fn trailing_zeros(self) -> u32;
    /// `self` with its `bits` lowest bits set; all of them if `bits` is the width.
    fn with_low_ones(self, bits: u32) -> Self;
}

macro_rules! address {
    ($number:ty) => {
        impl Address for $number {
            const BITS: u32 = Self::BITS;

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }

            fn trailing_zeros(self) -> u32 {
                Self::trailing_zeros(self)
            }

            fn with_low_ones(self, bits: u32) -> Self {
                self | !Self::MAX.checked_shl(bits).unwrap_or(0)
            }
        }
    };
}

address!(u32);
address!(u128);

/// Sorts `ranges` and joins those that overlap or touch.
pub(crate) fn merge<T: Address>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let touches = kept.1.next().is_none_or(|after| next.0 <= after);
        if touches {
            kept.1 = kept.1.max(next.1);
        }
        touches
    });
}

/// True if one of the merged `ranges` holds all of `inner`.
pub(crate) fn covers<T: Address>(ranges: &[(T, T)], inner: (T, T)) -> bool {
    let after = ranges.partition_point(|range| range.0 <= inner.0);
    after > 0 && inner.1 <= ranges[after - 1].1
}

/// True if one of the merged `ranges` holds any address of `inner`.
pub(crate) fn touches<T: Address>(ranges: &[(T, T)], inner: (T, T)) -> bool {
    let after = ranges.partition_point(|range| range.0 <= inner.1);
    after > 0 && inner.0 <= ranges[after - 1].1
}

/// What the merged `ranges` hold and the merged `other` do not.
pub(crate) fn subtract<T: Address>(ranges: &[(T, T)], other: &[(T, T)]) -> Vec<(T, T)> {
    let mut rest = Vec::new();
    let mut others = other.iter().peekable();
    for &(first, last) in ranges {
        let mut from = Some(first);
        while let Some(&&(cut_first, cut_last)) = others.peek() {
            let Some(start) = from.filter(|_| cut_first <= last) else { break };
            if cut_last >= start {
                let before = cut_first.previous().filter(|&end| start <= end);
                rest.extend(before.map(|end| (start, end)));
                from = cut_last.next().filter(|&next| next <= last);
            }
            if cut_last > last {
                break;
            }
            others.next();
        }
        rest.extend(from.map(|start| (start, last)));
    }
    rest
}

/// Number of prefixes that make up the ranges exactly.
pub(crate) fn prefix_count<T: Address>(ranges: &[(T, T)]) -> usize {
    ranges.iter().map(|&range| prefixes(range).count()).sum()
}

/// The prefixes that make up one range exactly, as first and last address.
pub(crate) fn prefixes<T: Address>((first, last): (T, T)) -> impl Iterator<Item = (T, T)> {
    let mut from = Some(first);
    core::iter::from_fn(move || {
        let start = from.filter(|&start| start <= last)?;
        let mut bits = start.trailing_zeros().min(T::BITS);
        while start.with_low_ones(bits) > last {
            bits -= 1;
        }
        let end = start.with_low_ones(bits);
        from = end.next();
        Some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Every fourth address, so that both ends of the number space are near.
    fn spread(small: u8) -> u32 {
        if small < 32 { u32::from(small) } else { u32::MAX - 63 + u32::from(small) }
    }

    fn ranges() -> impl Strategy<Value = Vec<(u32, u32)>> {
        let range = (0_u8..64, 0_u8..64).prop_map(|(a, b)| (spread(a.min(b)), spread(a.max(b))));
        vec(range, 0..6)
    }

    fn holds(ranges: &[(u32, u32)], address: u32) -> bool {
        ranges.iter().any(|&(first, last)| (first..=last).contains(&address))
    }

    fn addresses() -> impl Iterator<Item = u32> {
        (0..64).map(spread)
    }

    proptest! {
        #[test]
        fn merged_ranges_hold_the_same_and_stand_apart(ranges in ranges()) {
            let mut merged = ranges.clone();
            merge(&mut merged);
            for address in addresses() {
                prop_assert_eq!(holds(&ranges, address), holds(&merged, address));
            }
            for pair in merged.windows(2) {
                prop_assert!(pair[0].1.checked_add(1).is_some_and(|next| next < pair[1].0));
            }
        }

        #[test]
        fn a_difference_is_what_one_holds_and_the_other_does_not(a in ranges(), b in ranges()) {
            let (mut a, mut b) = (a, b);
            merge(&mut a);
            merge(&mut b);
            let rest = subtract(&a, &b);
            for address in addresses() {
                prop_assert_eq!(holds(&rest, address), holds(&a, address) && !holds(&b, address));
            }
        }

        #[test]
        fn covers_and_touches_agree_with_single_addresses(a in ranges(), b in ranges()) {
            let mut a = a;
            merge(&mut a);
            for range in b {
                let within: Vec<_> =
                    addresses().filter(|&at| holds(&[range], at)).map(|at| holds(&a, at)).collect();
                prop_assert_eq!(touches(&a, range), within.contains(&true));
                // The gap in the middle of the test's addresses is in no range or in all of it.
                prop_assert_eq!(covers(&a, range), !within.contains(&false) && {
                    let spans_gap = range.0 < 32 && range.1 > 32;
                    !spans_gap || holds(&a, 1 << 20)
                });
            }
        }

        #[test]
        fn prefixes_tile_a_range(range in any::<(u32, u32)>()) {
            let range = (range.0.min(range.1), range.0.max(range.1));
            let tiles: Vec<_> = prefixes(range).collect();
            prop_assert_eq!((tiles[0].0, tiles[tiles.len() - 1].1), range);
            for pair in tiles.windows(2) {
                prop_assert_eq!(pair[0].1 + 1, pair[1].0);
            }
            for (first, last) in tiles {
                let size = u64::from(last - first) + 1;
                prop_assert!(size.is_power_of_two() && u64::from(first).is_multiple_of(size));
            }
        }
    }

    #[test]
    fn the_whole_space_is_one_prefix() {
        assert_eq!(prefix_count(&[(0, u32::MAX)]), 1);
        assert_eq!(prefix_count(&[(0, u128::MAX)]), 1);
        assert_eq!(prefix_count(&[(1_u32, 6)]), 4);
        assert_eq!(subtract(&[(0, u128::MAX)], &[(0, u128::MAX)]), []);
    }
}
