use proptest::prelude::*;

use super::*;
use crate::Seed;

const SEED: Seed = Seed::new([21, 22]);

fn sketch<const M: usize>(things: impl IntoIterator<Item = u64>) -> Distinct<M> {
    let mut sketch = Distinct::new();
    things.into_iter().for_each(|thing| _ = sketch.insert(SEED.word(thing)));
    sketch
}

#[test]
fn it_is_exact_as_long_as_it_says() {
    assert_eq!((Distinct::<64>::EXACT, Distinct::<128>::EXACT), (16, 32));
    assert_eq!((Distinct::<512>::EXACT, Distinct::<1024>::EXACT), (128, 254));
    for count in 0..=32 {
        let sketch = sketch::<128>((0..count).chain(0..count));
        assert!(sketch.is_exact());
        assert_eq!((sketch.count(), sketch.error()), (count, 0.0));
    }
    assert!(!sketch::<128>(0..33).is_exact());
}

/// Things counted upwards, multiples of 2^32, and spread ones: each count within four standard errors.
fn within_its_error<const M: usize>() {
    let mut worst = 0.0_f64;
    for count in [40, 100, 300, 1_000, 10_000, 100_000, 1_000_000_u64] {
        let shapes: [fn(u64) -> u64; 3] =
            [|it| it, |it| it << 32, |it| it.wrapping_mul(0x9e37_79b9_7f4a_7c15)];
        for shape in shapes {
            let sketch = sketch::<M>((0..count).map(shape));
            if sketch.is_exact() {
                continue;
            }
            let off = (sketch.count() as f64 - count as f64).abs() / count as f64;
            worst = worst.max(off / sketch.error());
            assert!(off <= 4.0 * sketch.error(), "{M}: {count} seen as {}", sketch.count());
        }
    }
    assert!(worst > 0.0, "no sketch is that good");
}

#[test]
fn the_error_is_within_its_bound() {
    within_its_error::<64>();
    within_its_error::<128>();
    within_its_error::<1024>();
}

/// Of many sketches the mean has no bias, and the spread is the one that is promised.
#[test]
fn there_is_no_bias_just_above_the_exact_ones() {
    for count in [40, 80, 200, 400_u64] {
        let estimates = (0..400_u64).map(|round| {
            let things = (0..count).map(|it| round << 32 | it);
            sketch::<128>(things).count() as f64 / count as f64 - 1.0
        });
        let estimates: Vec<_> = estimates.collect();
        let mean = estimates.iter().sum::<f64>() / 400.0;
        let spread = (estimates.iter().map(|it| it * it).sum::<f64>() / 400.0).sqrt();
        assert!(mean.abs() < 0.02, "{count}: bias {mean}");
        assert!(spread < 0.11, "{count}: spread {spread}");
    }
}

#[test]
fn these_bytes() {
    let mut out = Vec::new();
    let mut sketch = Distinct::<64>::new();
    sketch.insert(0x0102_0304 << 32);
    sketch.insert(0xa0b0_c0d0 << 32);
    sketch.encode(&mut out);
    assert_eq!(out, [1, 2, 1, 2, 3, 4, 0xa0, 0xb0, 0xc0, 0xd0]);
    // Register n gets n+1 leading zeros, if it has room for them.
    (0..64_u64).for_each(|at| _ = sketch.insert((at << 58 | 1 << 57 >> (at % 8)) & !0xffff_ffff));
    out.clear();
    sketch.encode(&mut out);
    assert_eq!(out[..2], [1, 255]);
    let first: Vec<u8> = (0..64).map(|at| at % 8 + 1).collect();
    assert_eq!(out[2], 2, "0x01020304 has one zero behind its register");
    assert_eq!(out[3..42], first[1..40]);
    assert_eq!(out.len(), Distinct::<64>::ENCODED_MAX);
    assert_eq!(Distinct::decode(&mut Reader::new(&out)), Ok(sketch));
    let decode = |bytes: &[u8]| Distinct::<64>::decode(&mut Reader::new(bytes));
    out[9] = 28;
    assert_eq!(decode(&out), Err(Malformed::Value), "26 bits and one are the highest rank");
    assert_eq!(decode(&[1, 17]), Err(Malformed::Limit));
    assert_eq!(decode(&[1, 2, 0, 0, 0, 1, 0, 0, 0, 1]), Err(Malformed::Value));
    assert_eq!(decode(&[1, 2, 0]), Err(Malformed::Truncated));
    assert_eq!(decode(&[3]), Err(Malformed::Version(3)));
}

#[test]
fn the_ends_of_the_scale_are_no_trap() {
    let mut full = Distinct::<64> { len: REGISTERS, bytes: [Distinct::<64>::RANK_MAX; 64] };
    assert!(full.count() > 1 << 31, "{}", full.count());
    full.bytes = [0; 64];
    assert_eq!(full.count(), 0);
}

proptest! {
    #[test]
    fn a_merge_is_the_sketch_of_both_streams(
        one in prop::collection::vec(0_u64..80, 0..120),
        other in prop::collection::vec(0_u64..80, 0..120),
    ) {
        let mut merged: Distinct<64> = sketch(one.iter().copied());
        merged.merge(&sketch(other.iter().copied()));
        let both: Distinct<64> = sketch(one.iter().chain(&other).copied());
        prop_assert_eq!(merged, both);
        let mut again = merged;
        again.merge(&sketch(other));
        prop_assert_eq!(again, merged, "what is merged twice counts once");
        let mut out = Vec::new();
        merged.encode(&mut out);
        prop_assert!(out.len() <= Distinct::<64>::ENCODED_MAX);
        prop_assert_eq!(Distinct::decode(&mut Reader::new(&out)), Ok(merged));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(sketch) = Distinct::<64>::decode(&mut Reader::new(&bytes)) {
            let _ = sketch.count();
        }
    }
}
