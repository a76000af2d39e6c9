//! What an observation costs a flow actor: at most 150 ns are allowed for a new or a denied packet.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use ringwall_sketch::{Aggregation, Book, DenyClass, Kind, Observation, Seed};

/// Observations between two drains at half a million a second, ten drains a second.
const BETWEEN_DRAINS: usize = 50_000;

fn observation(kind: Kind, source: u64, port: u64, v6: bool) -> Observation {
    let address = |bits: u64| match v6 {
        true => IpAddr::V6(Ipv6Addr::from_bits(u128::from(bits) << 64 | 0x2001 << 112)),
        false => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
    };
    Observation {
        kind,
        zone: 1,
        protocol: 6,
        source: address(source),
        destination: address(0x0a00_0001 + source % 64),
        source_port: 40_000,
        port: port as u16,
        packets: 1,
        bytes: 60,
    }
}

fn stream(sources: u64, kind: Kind, v6: bool) -> Vec<Observation> {
    let spread = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    (0..BETWEEN_DRAINS as u64)
        .map(|at| observation(kind, spread(at % sources), spread(at), v6))
        .collect()
}

fn note(c: &mut Criterion) {
    let cases = [
        ("a few clients, permitted", stream(100, Kind::Permitted, false)),
        ("forged sources, permitted", stream(u64::MAX, Kind::Permitted, false)),
        ("forged sources, denied", stream(u64::MAX, Kind::Denied(DenyClass::Policy), false)),
        ("forged IPv6 sources, denied", stream(u64::MAX, Kind::Denied(DenyClass::Policy), true)),
        ("one scanner, denied", stream(1, Kind::Denied(DenyClass::Policy), false)),
    ];
    for (name, observations) in cases {
        let mut book = Book::new(Seed::new([1, 2]), &[Aggregation::default(); 2]);
        let mut at = 0;
        c.bench_function(name, |b| {
            b.iter(|| {
                book.note(black_box(&observations[at]));
                at += 1;
                if at == observations.len() {
                    at = 0;
                    book.clear();
                }
            });
        });
    }
}

criterion_group!(benches, note);
criterion_main!(benches);
