use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::Seed;
use crate::streams::{adversarial, zipf};

const SEED: Seed = Seed::new([11, 12]);

fn sketch(stream: &[u64], width_log2: u8, depth: u8) -> CountMin {
    let mut sketch = CountMin::new(width_log2, depth);
    stream.iter().for_each(|thing| sketch.add(SEED.word(*thing), 1));
    sketch
}

fn exact(stream: &[u64]) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    stream.iter().for_each(|thing| *counts.entry(*thing).or_insert(0) += 1);
    counts
}

#[test]
fn an_estimate_keeps_its_bound() {
    for (name, stream) in
        [("zipf", zipf(3, 100_000, 20_000)), ("adversarial", adversarial(3, 100_000))]
    {
        let sketch = sketch(&stream, 12, 4);
        let counts = exact(&stream);
        let beyond = counts.iter().filter(|(thing, count)| {
            let estimate = sketch.estimate(SEED.word(**thing));
            assert!(estimate >= **count, "{name}: never too low");
            estimate > **count + sketch.error()
        });
        // δ = e^-4 = 1.8 %.
        let (beyond, all) = (beyond.count(), counts.len());
        assert!(beyond * 1000 <= all * 18, "{name}: {beyond} of {all} beyond {}", sketch.error());
    }
}

#[test]
fn these_bytes() {
    let mut sketch = CountMin::new(1, 2);
    sketch.add(0, 300);
    sketch.add(1, 1);
    let mut out = Vec::new();
    sketch.encode(&mut out);
    assert_eq!(out, [1, 1, 2, 0xad, 2, 0xac, 2, 1, 1, 0xac, 2]);
    assert_eq!(CountMin::decode(&mut Reader::new(&out)), Ok(sketch));
    let cases: [(&[u8], Malformed); 5] = [
        (&[2, 1, 2], Malformed::Version(2)),
        (&[1, 21, 2, 0], Malformed::Limit),
        (&[1, 1, 9, 0], Malformed::Limit),
        (&[1, 1, 0, 0], Malformed::Limit),
        (&[1, 20, 8, 0, 1], Malformed::Truncated),
    ];
    for (bytes, why) in cases {
        assert_eq!(CountMin::decode(&mut Reader::new(bytes)), Err(why));
    }
}

#[test]
fn another_shape_is_left_out() {
    let mut sketch = CountMin::new(4, 2);
    assert!(!sketch.merge(&CountMin::new(5, 2)));
    assert!(!sketch.merge(&CountMin::new(4, 3)));
}

proptest! {
    #[test]
    fn a_merge_is_the_sketch_of_both_streams(
        one in prop::collection::vec(0_u64..50, 0..200),
        other in prop::collection::vec(0_u64..50, 0..200),
    ) {
        let mut merged = sketch(&one, 5, 3);
        prop_assert!(merged.merge(&sketch(&other, 5, 3)));
        let both: Vec<_> = one.iter().chain(&other).copied().collect();
        prop_assert_eq!(&merged, &sketch(&both, 5, 3));
        let mut out = Vec::new();
        merged.encode(&mut out);
        prop_assert_eq!(CountMin::decode(&mut Reader::new(&out)), Ok(merged));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = CountMin::decode(&mut Reader::new(&bytes));
    }
}
