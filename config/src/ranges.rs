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
