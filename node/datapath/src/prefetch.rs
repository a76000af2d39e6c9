//! Memory that will be needed soon, fetched while something else is done.

#![allow(unsafe_code, reason = "an instruction that no safe function stands for")]

/// Begins to fetch the cache line of `place`, which may be any address, into the second-level cache.
///
/// Not into the first: what waits for that one stands in about twenty buffers, which bound how many
/// fetches overlap. Three lines of each record of a table of 32 MiB took 37 ns a record that way, as
/// by plain reads, and 16 ns by this one.
#[inline(always)]
pub fn prefetch(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint. It reads nothing as far as the program can see, and no address faults.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(place.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a hint. It reads nothing as far as the program can see, and no address faults.
    unsafe {
        core::arch::asm!(
            "prfm pldl2keep, [{place}]",
            place = in(reg) place,
            options(nostack, preserves_flags, readonly)
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_will_do() {
        let here = 7_u64;
        for place in [
            std::ptr::from_ref(&here).cast(),
            std::ptr::null(),
            std::ptr::without_provenance(usize::MAX),
        ] {
            prefetch(place);
        }
        assert_eq!(here, 7);
    }
}
