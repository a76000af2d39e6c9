//! What one flow actor notes of its traffic, in memory that never grows.
//!
//! ```text
//!                 ┌─ source rows       what it does, failed ports and hosts
//! Observation ────┼─ destination rows  what is done to it, its peers
//!   note()        ├─ pair rows         failed ports
//!                 ├─ scope rows        destination prefixes: peers, entropy of sources and ports
//!                 ├─ flow rows         bytes (ends and parts of sessions alone)
//!                 └─ oddity rows       (odd packets alone)
//! ```
//!
//! What a zone sees is the sum of its scopes, made when somebody asks, and of what had no scope. So when all
//! rows of a set are taken, a new prefix gets one only now and then: to move an old one into its zone's rest
//! is more work than a note may be, and a sweep over many prefixes would have it done for each packet.
//!
//! A book is handed over whole, about ten times a second, against an empty one that had been handed over
//! before; so a drain costs the worker a swap. Whoever reads it clears it, and tells it which destinations
//! are under a flood: sources that are not known yet get no row for what they send there, for most of them
//! are forged, and the destination is what will be named.

mod row;

pub use self::row::{DestinationRow, FlowRow, OddityRow, PairRow, ScopeRow, SourceRow, Tally};

use self::row::Delta;
use crate::limits::{
    BOOK_DESTINATIONS, BOOK_FLOWS, BOOK_MUTED_MAX, BOOK_ODDITIES, BOOK_PAIRS, BOOK_SCOPES,
    BOOK_SOURCES, BOOK_ZONES_MAX, NOTED_TOGETHER, SCOPE_ADMITTED_LOG2,
};
use crate::observation::{Kind, Observation};
use crate::place::{Flow, OddPair, Pair, Place};
use crate::rows::{Key as _, Noted, Row, Rows};
use crate::seed::Seed;

/// How many bits of an address count, in IPv4 and IPv6; the others are one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Of sources: whoever has a /64 has all of its addresses.
    pub source: (u8, u8),
    /// Of destinations.
    pub destination: (u8, u8),
    /// Of the destination prefixes whose traffic is modelled.
    pub scope: (u8, u8),
}

impl Default for Aggregation {
    fn default() -> Self {
        Self { source: (32, 64), destination: (32, 128), scope: (24, 48) }
    }
}

/// The notes of one flow actor since they were last handed over.
#[derive(Clone)]
pub struct Book {
    seed: Seed,
    /// By zone.
    aggregation: Vec<Aggregation>,
    noted: u64,
    /// Decides which prefix gets a scope in a full set.
    dice: u32,
    /// Hashes of destinations under a flood.
    muted: [u64; BOOK_MUTED_MAX],
    muted_count: usize,
    /// By source.
    pub sources: Rows<Place, SourceRow>,
    /// By destination.
    pub destinations: Rows<Place, DestinationRow>,
    /// By source and destination.
    pub pairs: Rows<Pair, PairRow>,
    /// By flow.
    pub flows: Rows<Flow, FlowRow>,
    /// By oddity, source and destination.
    pub oddities: Rows<OddPair, OddityRow>,
    /// By destination prefix.
    pub scopes: Rows<Place, ScopeRow>,
    /// By zone: what stands in no scope.
    rest: Vec<ScopeRow>,
    /// Room for the observations that are noted together.
    together: Vec<Prepared>,
}

/// An observation with the places that it is about, and their hashes, each made once.
#[derive(Clone, Copy)]
struct Prepared {
    it: Observation,
    pair: Pair,
    scope: Place,
    hashes: Hashes,
}

#[derive(Clone, Copy)]
struct Hashes {
    source: u64,
    destination: u64,
    pair: u64,
    scope: u64,
    /// Port and protocol.
    port: u64,
}

impl Book {
    /// An empty book for zones that aggregate like this. Of others nothing is counted by zone.
    pub fn new(seed: Seed, zones: &[Aggregation]) -> Self {
        let mut book = Self {
            seed,
            aggregation: Vec::new(),
            noted: 0,
            dice: 1,
            muted: [0; BOOK_MUTED_MAX],
            muted_count: 0,
            sources: Rows::new(BOOK_SOURCES),
            destinations: Rows::new(BOOK_DESTINATIONS),
            pairs: Rows::new(BOOK_PAIRS),
            flows: Rows::new(BOOK_FLOWS),
            oddities: Rows::new(BOOK_ODDITIES),
            scopes: Rows::new(BOOK_SCOPES),
            rest: Vec::new(),
            together: Vec::with_capacity(NOTED_TOGETHER),
        };
        book.aggregate(zones);
        book
    }

    /// From now on zones aggregate like this: for an empty book, since a place has one prefix in it.
    /// Allocates when there are more zones than before, so it is not for the flow actor.
    pub fn aggregate(&mut self, zones: &[Aggregation]) {
        let zones = &zones[..zones.len().min(BOOK_ZONES_MAX)];
        self.aggregation.clear();
        self.aggregation.extend(zones);
        self.rest.resize_with(zones.len(), ScopeRow::default);
    }

    /// How many observations it has.
    pub const fn noted(&self) -> u64 {
        self.noted
    }

    /// How many rows gave way to others.
    pub fn evicted(&self) -> u64 {
        let hosts = self.sources.evicted() + self.destinations.evicted() + self.pairs.evicted();
        hosts + self.flows.evicted() + self.oddities.evicted() + self.scopes.evicted()
    }

    /// What each zone saw, by its number; for who reads the book, since it adds up all scopes.
    pub fn zones(&self) -> Vec<ScopeRow> {
        let mut zones = self.rest.clone();
        for scope in self.scopes.iter() {
            if let Some(zone) = zones.get_mut(usize::from(scope.key.zone)) {
                zone.merge(&scope.value);
            }
        }
        zones
    }

    /// The seed of its hashes.
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// Notes one observation.
    pub fn note(&mut self, it: &Observation) {
        self.note_all(core::slice::from_ref(it));
    }

    /// Notes observations: a fixed amount of work for each, no allocation. Many at once cost each of them
    /// less than half: rows are far apart in memory, and what several need is fetched together.
    pub fn note_all(&mut self, all: &[Observation]) {
        let mut together = core::mem::take(&mut self.together);
        for some in all.chunks(NOTED_TOGETHER) {
            together.clear();
            together.extend(some.iter().map(|it| self.prepare(it)));
            self.touch(&together);
            together.iter().for_each(|it| self.enter(it));
        }
        self.together = together;
    }

    #[inline]
    fn prepare(&self, it: &Observation) -> Prepared {
        let of = self.aggregation_of(it.zone);
        let place = |address, lengths| Place::hashed(self.seed, it.zone, address, lengths);
        let (source, source_hash) = place(it.source, of.source);
        let (destination, destination_hash) = place(it.destination, of.destination);
        let (scope, scope_hash) = place(it.destination, of.scope);
        let hashes = Hashes {
            source: source_hash,
            destination: destination_hash,
            pair: self.seed.join(source_hash, destination_hash),
            scope: scope_hash,
            port: self.seed.word(u64::from(it.protocol) << 16 | u64::from(it.port)),
        };
        Prepared { it: *it, pair: Pair { source, destination }, scope, hashes }
    }

    /// Reads what will be written. In two passes, since the place of a row stands in its set: the reads of
    /// one pass depend on nothing, so the processor waits for many of them at a time.
    fn touch(&self, together: &[Prepared]) {
        if together.len() == 1 {
            return;
        }
        let mut seen = 0;
        for Prepared { hashes, .. } in together {
            seen ^= self.sources.touch(hashes.source)
                ^ self.destinations.touch(hashes.destination)
                ^ self.pairs.touch(hashes.pair);
        }
        core::hint::black_box(seen);
        for Prepared { hashes, .. } in together {
            seen ^= self.sources.touch_row(hashes.source)
                ^ self.destinations.touch_row(hashes.destination)
                ^ self.pairs.touch_row(hashes.pair)
                ^ self.scopes.touch_row(hashes.scope);
        }
        core::hint::black_box(seen);
    }

    fn enter(&mut self, Prepared { it, pair, scope, hashes }: &Prepared) {
        let delta = Delta::new(it);
        self.noted += 1;
        self.note_scope(scope, hashes, &delta);
        self.destinations.change(hashes.destination, &pair.destination, |row| {
            row.value.note(&delta, hashes.port, hashes.source);
        });
        self.note_pair(pair, hashes, &delta);
        match it.kind {
            Kind::Carried | Kind::Ended => self.note_flow(it),
            Kind::Odd(oddity) => {
                let key = OddPair { oddity, pair: *pair };
                self.oddities.change(key.hash(self.seed), &key, |row| row.value.note());
            }
            Kind::Permitted
            | Kind::Denied(_)
            | Kind::Completed
            | Kind::Unanswered
            | Kind::HalfOpen
            | Kind::Refused
            | Kind::Withdrawn
            | Kind::Unreachable
            | Kind::Fragment => {}
        }
    }

    /// From now on newcomers to these destinations get no rows of their own; the first few count.
    pub fn mute<'a>(&mut self, destinations: impl IntoIterator<Item = &'a Place>) {
        self.muted_count = 0;
        for place in destinations.into_iter().take(BOOK_MUTED_MAX) {
            self.muted[self.muted_count] = place.hash(self.seed);
            self.muted_count += 1;
        }
    }

    /// Forgets everything but the muted destinations; work and memory as much as was noted.
    pub fn clear(&mut self) {
        self.noted = 0;
        self.sources.clear();
        self.destinations.clear();
        self.pairs.clear();
        self.flows.clear();
        self.oddities.clear();
        self.scopes.clear();
        self.rest.iter_mut().for_each(Noted::reset);
    }

    fn aggregation_of(&self, zone: u8) -> Aggregation {
        self.aggregation.get(usize::from(zone)).copied().unwrap_or_default()
    }

    #[inline]
    fn note_scope(&mut self, scope: &Place, hashes: &Hashes, delta: &Delta) {
        let hash = hashes.scope;
        let note = |row: &mut ScopeRow| row.note(delta, hashes.port, hashes.source);
        let noted = self.scopes.change_unless_full(hash, scope, |row| note(&mut row.value));
        if noted.is_some() {
            return;
        }
        if self.is_admitted() {
            let Self { scopes, rest, .. } = self;
            let give_way = |gone: &Row<Place, ScopeRow>| {
                if let Some(rest) = rest.get_mut(usize::from(gone.key.zone)) {
                    rest.merge(&gone.value);
                }
            };
            scopes.take_over(hash, scope, give_way, |row| note(&mut row.value));
        } else {
            self.scopes.pass_over(hash, delta.packets);
            if let Some(rest) = self.rest.get_mut(usize::from(scope.zone)) {
                note(rest);
            }
        }
    }

    /// At random, so that nobody keeps in step with it.
    const fn is_admitted(&mut self) -> bool {
        // Numerical Recipes' generator, of which the upper bits are good enough.
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.dice >> (u32::BITS - SCOPE_ADMITTED_LOG2) == 0
    }

    #[inline]
    fn note_pair(&mut self, pair: &Pair, hashes: &Hashes, delta: &Delta) {
        let source = |value: &mut SourceRow| {
            value.note(delta, hashes.port, (hashes.destination, &pair.destination));
        };
        let both = |value: &mut PairRow| value.note(delta, hashes.port);
        if self.muted[..self.muted_count].contains(&hashes.destination) {
            self.sources.change_known(hashes.source, &pair.source, |row| source(&mut row.value));
            self.pairs.change_known(hashes.pair, pair, |row| both(&mut row.value));
        } else {
            self.sources.change(hashes.source, &pair.source, |row| source(&mut row.value));
            self.pairs.change(hashes.pair, pair, |row| both(&mut row.value));
        }
    }

    fn note_flow(&mut self, it: &Observation) {
        let pair = Pair {
            source: Place::of(it.zone, it.source),
            destination: Place::of(it.zone, it.destination),
        };
        let (source_port, port, protocol) = (it.source_port, it.port, it.protocol);
        let flow = Flow { pair, source_port, port, protocol };
        let ended = it.kind == Kind::Ended;
        self.flows.change(flow.hash(self.seed), &flow, |row| row.value.note(it, ended));
    }
}

#[cfg(test)]
mod tests;
