//! What decoding allocates, whatever the bytes claim. The only test of its binary, since it counts
//! what the whole process allocates.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use ringwall_cluster_net::codec::{VERSION, decode};
use ringwall_cluster_net::limits::CONTROL_BODY_BYTES;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Bytes allocated by decoding these.
fn allocated(bytes: &[u8]) -> usize {
    let region = Region::new(COUNTING);
    let decoded = decode(bytes);
    let stats = region.change();
    drop(decoded);
    stats.bytes_allocated
}

/// A list is claimed when it begins and given back element by element, so that a list and what its
/// elements hold are within the limit each, and together within twice that.
const MOST: usize = 2 * CONTROL_BODY_BYTES;

#[test]
fn decoding_allocates_within_the_limit() {
    // The largest claims in each place where a length stands: one element more than the limit has
    // room for, and the most there is.
    let hello = [&[VERSION, 1, 1, 1][..], &[0; 32]].concat();
    for claim in [2720_u64, 2731, 8192, 65_536, 1 << 20, u64::MAX] {
        let length = [&[0xfd][..], &claim.to_le_bytes()].concat();
        let filled = vec![0; 70_000];
        for head in [&hello[..], &[VERSION, 6, 1, 1], &[VERSION, 8, 1]] {
            assert!(allocated(&[head, &length].concat()) <= MOST);
            assert!(allocated(&[head, &length, &filled].concat()) <= MOST);
        }
    }
    assert!(allocated(&[&hello[..], &[0xfb, 0xa0, 0x0a], &[0; 2720]].concat()) > 0, "it counts");
    let any_body = (1_u8..=8, prop::collection::vec(any::<u8>(), 0..300));
    let checked = TestRunner::default().run(&any_body, |(tag, body)| {
        let bytes = [&[VERSION, tag][..], &body].concat();
        prop_assert!(allocated(&bytes) <= MOST);
        Ok(())
    });
    checked.unwrap();
}
