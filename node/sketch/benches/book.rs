//! What an observation costs a flow actor: at most 150 ns are allowed for a new or a denied packet. Beside it
//! the same stream in exact counts, which say far less and grow with what an attacker sends.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use ringwall_sketch::limits::NOTED_TOGETHER;
use ringwall_sketch::{Aggregation, Book, DenyClass, Kind, Observation, Pair, Place, Seed};

/// Observations between two drains at half a million a second, ten drains a second.
const BETWEEN_DRAINS: u64 = 50_000;

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

/// What comes as the n-th: made when it is wanted, as a flow actor does, and not read from memory.
#[derive(Clone, Copy)]
struct Stream {
    sources: u64,
    kind: Kind,
    v6: bool,
}

impl Stream {
    fn get(&self, at: u64) -> Observation {
        let spread = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        observation(self.kind, spread(at % self.sources), spread(at), self.v6)
    }
}

fn cases() -> [(&'static str, Stream); 5] {
    let denied = Kind::Denied(DenyClass::Policy);
    let stream = |sources, kind, v6| Stream { sources, kind, v6 };
    [
        ("a few clients, permitted", stream(100, Kind::Permitted, false)),
        ("forged sources, permitted", stream(u64::MAX, Kind::Permitted, false)),
        ("forged sources, denied", stream(u64::MAX, denied, false)),
        ("forged IPv6 sources, denied", stream(u64::MAX, denied, true)),
        ("one scanner, denied", stream(1, denied, false)),
    ]
}

/// Packets by source, by destination and between the two.
#[derive(Default)]
struct Exact {
    sources: HashMap<Place, u64>,
    destinations: HashMap<Place, u64>,
    pairs: HashMap<Pair, u64>,
}

impl Notes for Exact {
    fn note(&mut self, it: &Observation) {
        let (source, destination) =
            (Place::of(it.zone, it.source), Place::of(it.zone, it.destination));
        *self.sources.entry(source).or_default() += 1;
        *self.destinations.entry(destination).or_default() += 1;
        *self.pairs.entry(Pair { source, destination }).or_default() += 1;
    }

    fn clear(&mut self) {
        self.sources.clear();
        self.destinations.clear();
        self.pairs.clear();
    }
}

/// Something that notes a stream and is emptied now and then.
trait Notes {
    fn note(&mut self, it: &Observation);
    fn clear(&mut self);
}

impl Notes for Book {
    fn note(&mut self, it: &Observation) {
        self.note(it);
    }

    fn clear(&mut self) {
        self.clear();
    }
}

/// As a flow actor notes: several together.
struct Together {
    book: Book,
    waiting: Vec<Observation>,
}

impl Notes for Together {
    fn note(&mut self, it: &Observation) {
        self.waiting.push(*it);
        if self.waiting.len() == NOTED_TOGETHER {
            self.book.note_all(&self.waiting);
            self.waiting.clear();
        }
    }

    fn clear(&mut self) {
        self.waiting.clear();
        self.book.clear();
    }
}

/// What making the stream costs.
struct Nothing;

impl Notes for Nothing {
    fn note(&mut self, it: &Observation) {
        black_box(it);
    }

    fn clear(&mut self) {}
}

fn bench(c: &mut Criterion, kind: &str, mut of: impl Notes) {
    let mut group = c.benchmark_group(kind);
    for (name, stream) in cases() {
        let mut at = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                of.note(&stream.get(at));
                at += 1;
                if at == BETWEEN_DRAINS {
                    at = 0;
                    of.clear();
                }
            });
        });
        of.clear();
    }
}

fn note(c: &mut Criterion) {
    bench(c, "nothing", Nothing);
    let book = Book::new(Seed::new([1, 2]), &[Aggregation::default(); 2]);
    bench(c, "book", book.clone());
    bench(c, "book, together", Together { book, waiting: Vec::with_capacity(NOTED_TOGETHER) });
    bench(c, "exact counts", Exact::default());
}

criterion_group!(benches, note);
criterion_main!(benches);
