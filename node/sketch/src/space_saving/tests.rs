use proptest::prelude::*;

use super::*;
use crate::streams::{adversarial, zipf};

fn sketch(stream: &[u64], capacity: usize) -> SpaceSaving<u64> {
    let mut sketch = SpaceSaving::new(capacity);
    stream.iter().for_each(|thing| sketch.add(*thing, 1));
    sketch
}

fn exact(stream: &[u64]) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    stream.iter().for_each(|thing| *counts.entry(*thing).or_insert(0) += 1);
    counts
}

/// What Metwally et al. promise, against exact counts.
fn keeps_its_bounds(sketch: &SpaceSaving<u64>, counts: &BTreeMap<u64, u64>) {
    let total: u64 = counts.values().sum();
    assert_eq!(sketch.total(), total);
    let bound = total / sketch.capacity as u64;
    assert!(sketch.missed() <= bound, "{} > {bound}", sketch.missed());
    for entry in sketch.heaviest() {
        let truth = counts.get(&entry.key).copied().unwrap_or(0);
        assert!(entry.least() <= truth && truth <= entry.count, "{entry:?}: {truth}");
        assert!(entry.error <= bound, "{entry:?} beyond {bound}");
    }
    for (thing, count) in counts {
        assert!(*count <= sketch.missed() || sketch.get(thing).is_some(), "{thing}: {count}");
    }
}

#[test]
fn the_bounds_hold_for_zipf_and_for_an_attacker() {
    for stream in [zipf(9, 100_000, 30_000), adversarial(9, 100_000)] {
        for capacity in [1, 10, 100, 1_000] {
            keeps_its_bounds(&sketch(&stream, capacity), &exact(&stream));
        }
    }
    let heaviest = sketch(&zipf(9, 100_000, 30_000), 1_000).heaviest();
    let first: Vec<_> = heaviest.iter().take(5).map(|it| it.key).collect();
    assert_eq!(first, [0, 1, 2, 3, 4]);
}

#[test]
fn a_sketch_that_is_not_full_is_exact() {
    let sketch = sketch(&[5, 5, 6, 5], 8);
    let entry = |key, count| Entry { key, count, error: 0 };
    assert_eq!(sketch.heaviest(), [entry(5, 3), entry(6, 1)]);
    assert_eq!((sketch.missed(), sketch.get(&7)), (0, None));
}

#[test]
fn a_newcomer_takes_over_the_lightest_count_as_its_error() {
    let mut sketch = SpaceSaving::new(2);
    [(1, 10), (2, 3), (3, 4), (9, 0)].into_iter().for_each(|(key, weight)| sketch.add(key, weight));
    assert_eq!(sketch.get(&2), None);
    let newcomer = sketch.get(&3).expect("it has an entry");
    assert_eq!((newcomer.count, newcomer.error, newcomer.least()), (7, 3, 4));
}

#[test]
fn these_bytes() {
    let mut out = Vec::new();
    let mut sketch = SpaceSaving::new(2);
    [(1, 300), (2, 3), (3, 4)].into_iter().for_each(|(key, weight)| sketch.add(key, weight));
    sketch.encode(&mut out);
    let golden = [
        1, 2, 0xb3, 2, 2, //
        0, 0, 0, 0, 0, 0, 0, 1, 0xac, 2, 0, //
        0, 0, 0, 0, 0, 0, 0, 3, 7, 3,
    ];
    assert_eq!(out, golden);
    let read = SpaceSaving::<u64>::decode(&mut Reader::new(&out)).expect("good bytes");
    assert_eq!((read.heaviest(), read.total()), (sketch.heaviest(), sketch.total()));
    let decode = |bytes: &[u8]| SpaceSaving::<u64>::decode(&mut Reader::new(bytes)).err();
    assert_eq!(decode(&[2]), Some(Malformed::Version(2)));
    assert_eq!(decode(&[1, 0xff, 0xff, 3, 0, 0]), Some(Malformed::Limit));
    assert_eq!(decode(&[1, 1, 0, 2]), Some(Malformed::Limit));
    assert_eq!(decode(&golden[..20]), Some(Malformed::Truncated));
    let error_above = [1, 1, 9, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3];
    assert_eq!(decode(&error_above), Some(Malformed::Value));
}

proptest! {
    #[test]
    fn a_merge_keeps_the_bounds_over_both_streams(
        one in prop::collection::vec(0_u64..60, 0..300),
        other in prop::collection::vec(30_u64..90, 0..300),
        capacity in 1_usize..40,
    ) {
        let mut merged = sketch(&one, capacity);
        merged.merge(&sketch(&other, capacity));
        let counts = exact(&[one, other].concat());
        for entry in merged.heaviest() {
            let truth = counts.get(&entry.key).copied().unwrap_or(0);
            prop_assert!(entry.least() <= truth && truth <= entry.count);
            prop_assert!(entry.error <= merged.total() / capacity as u64);
        }
        for (thing, count) in &counts {
            prop_assert!(merged.get(thing).is_some() || *count <= merged.total() / capacity as u64);
        }
        let mut out = Vec::new();
        merged.encode(&mut out);
        let read = SpaceSaving::<u64>::decode(&mut Reader::new(&out)).expect("what was written");
        prop_assert_eq!(read.heaviest(), merged.heaviest());
    }

    #[test]
    fn the_heap_is_one_and_knows_its_places(
        stream in prop::collection::vec((0_u64..30, 0_u64..9), 0..200),
        capacity in 1_usize..12,
    ) {
        let mut sketch = SpaceSaving::new(capacity);
        for (key, weight) in stream {
            sketch.add(key, weight);
            prop_assert_eq!(sketch.places.len(), sketch.heap.len());
            for (at, entry) in sketch.heap.iter().enumerate() {
                prop_assert_eq!(sketch.places[&entry.key], at as u16);
                prop_assert!(at == 0 || sketch.heap[(at - 1) / 2].count <= entry.count);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SpaceSaving::<u64>::decode(&mut Reader::new(&bytes));
    }
}
