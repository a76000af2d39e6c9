//! Nanoseconds a record: from the note to the message, and from the message into the table, beside a
//! loop that only copies the records into messages.
//!
//! `cargo bench -p ringwall-cluster-core --bench replication`; the last line is the summary. The goal
//! is 150 ns a record at the sender.

#![expect(clippy::disallowed_methods, reason = "a benchmark is what reads the clock")]
#![expect(clippy::print_stdout, reason = "the summary is for people")]

extern crate ringwall_cluster_core as cluster_core;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use cluster_core::replication::{
    Exported, Imported, Input, Output, Replication, Row, Sessions, Settings,
};
use cluster_core::{Boot, NodeId, Term};
use criterion::{Criterion, Throughput, criterion_group};
use engine::replication::{Contest, Note, NoteKind};
use engine::session::{CloseReason, SessionId};
use wire::{FlowKey, Protocol, Slot, Time};

/// Sessions of each table: 6 MiB of records, more than a second-level cache holds.
const SESSIONS: u32 = 65_536;
/// Bytes of a record of an IPv4 session.
const RECORD_BYTES: usize = 96;
/// Notes of one burst.
const BURST: u32 = 64;
/// Between two bursts: a million changes in a second.
const BURST_INTERVAL: Duration = Duration::from_micros(64);

/// A table whose records are ready.
struct Table {
    records: Vec<[u8; RECORD_BYTES]>,
    key: FlowKey,
}

impl Table {
    fn new() -> Self {
        let record = |place: u32| {
            let mut record = [7; RECORD_BYTES];
            record[..4].copy_from_slice(&place.to_be_bytes());
            record
        };
        let host = |last| (IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 1);
        let (key, _) = FlowKey::new(0, Protocol(6), host(1), host(2));
        Self { records: (0..SESSIONS).map(record).collect(), key }
    }
}

fn id(place: u32) -> SessionId {
    SessionId { node: 1, boot: 1, counter: u64::from(place) + 1 }
}

impl Sessions for Table {
    fn export(&mut self, place: u32, _: Time, out: &mut Vec<u8>) -> Option<Exported> {
        out.extend_from_slice(&self.records[place as usize]);
        Some(Exported { id: id(place), held_up_to: 1 })
    }

    fn identity(&self, record: &[u8]) -> Option<SessionId> {
        Some(id(u32::from_be_bytes(*record.first_chunk()?)))
    }

    fn import(&mut self, record: &[u8], _: Contest, _: Time) -> Imported {
        let place = u32::from_be_bytes(*record.first_chunk().expect("made here"));
        self.records[place as usize].copy_from_slice(record);
        Imported::Applied { place, replaced: false }
    }

    fn delete(&mut self, _: &FlowKey, _: SessionId, _: Option<CloseReason>, _: Time) -> bool {
        false
    }

    fn page(&self, from: u32, places: u32, mut visit: impl FnMut(&Row<'_>)) -> Option<u32> {
        let end = (from + places).min(SESSIONS);
        for place in from..end {
            let slot = Slot((place % 4_096) as u16);
            visit(&Row { place, id: id(place), key: &self.key, slot, word: place.into() });
        }
        (end < SESSIONS).then_some(end)
    }

    fn count(&self) -> u32 {
        SESSIONS
    }
}

/// Two machines, and what each took.
struct Pair {
    machines: [Replication; 2],
    tables: [Table; 2],
    now: Time,
    place: u32,
    took: [Duration; 2],
    released: u64,
    messages: Vec<Vec<u8>>,
    count: usize,
}

impl Pair {
    fn new() -> Self {
        let settings = |node, peer| {
            let (node, peer) = (NodeId(node), NodeId(peer));
            let mut settings = Settings::new(node, Boot(1), peer, 0, SESSIONS, 3);
            settings.digest_interval = Duration::from_secs(1_000_000);
            settings
        };
        let mut pair = Self {
            machines: [settings(1, 2), settings(2, 1)].map(Replication::new),
            tables: [Table::new(), Table::new()],
            now: Time::from_secs(1),
            place: 0,
            took: [Duration::ZERO; 2],
            released: 0,
            messages: (0..64).map(|_| Vec::with_capacity(2_000)).collect(),
            count: 0,
        };
        for (index, owner) in [(0, true), (1, false)] {
            pair.input(index, Input::Role { owner, term: Term(1) });
            pair.input(index, Input::Connected);
        }
        pair
    }

    fn input(&mut self, index: usize, input: Input<'_>) {
        self.machines[index].handle(input, &mut self.tables[index], self.now);
    }

    /// Takes all outputs of a machine; its messages are kept.
    fn drain(&mut self, index: usize) {
        while let Some(output) = self.machines[index].poll_output(&mut self.tables[index], self.now)
        {
            match output {
                Output::Send(bytes) => {
                    self.messages[self.count].clear();
                    self.messages[self.count].extend_from_slice(bytes);
                    self.count += 1;
                }
                Output::Release(_) => self.released += 1,
                Output::Peer(_) | Output::NewerTerm(_) | Output::Bulk(..) => {}
            }
        }
    }

    /// Gives the messages that were kept to a machine.
    fn deliver(&mut self, index: usize) {
        let messages = std::mem::take(&mut self.messages);
        for message in &messages[..self.count] {
            self.input(index, Input::Message(message));
        }
        (self.messages, self.count) = (messages, 0);
    }

    /// A burst of new sessions for which packets are held, all the way to their release.
    fn burst(&mut self) {
        self.now = self.now + BURST_INTERVAL;
        let start = Instant::now();
        for _ in 0..BURST {
            self.place = (self.place + 7_919) % SESSIONS;
            let note =
                Note { kind: NoteKind::Opened, place: self.place, id: id(self.place), sync: true };
            self.input(0, Input::Note(note));
        }
        self.drain(0);
        let sent = Instant::now();
        self.deliver(1);
        self.drain(1);
        let applied = Instant::now();
        self.deliver(0);
        self.drain(0);
        self.count = 0;
        self.took[0] += sent - start + applied.elapsed();
        self.took[1] += applied - sent;
    }

    /// Nanoseconds of each machine for so many bursts.
    fn run(&mut self, bursts: u64) -> [Duration; 2] {
        self.took = [Duration::ZERO; 2];
        let before = self.released;
        (0..bursts).for_each(|_| self.burst());
        assert_eq!(self.released - before, bursts * u64::from(BURST), "each hold was released");
        self.took
    }
}

/// Copies a burst of records into messages, and back out into another table.
fn copy(tables: &mut [Table; 2], place: &mut u32, message: &mut Vec<u8>) {
    message.clear();
    for _ in 0..BURST {
        *place = (*place + 7_919) % SESSIONS;
        message.extend_from_slice(&tables[0].records[*place as usize]);
    }
    for record in black_box(&*message).as_chunks::<RECORD_BYTES>().0 {
        let place = u32::from_be_bytes(*record.first_chunk().expect("longer than that"));
        tables[1].records[place as usize] = *record;
    }
}

fn copying(tables: &mut [Table; 2], bursts: u64) -> Duration {
    let (mut place, mut message) = (0, Vec::with_capacity(BURST as usize * RECORD_BYTES));
    let start = Instant::now();
    (0..bursts).for_each(|_| copy(tables, &mut place, &mut message));
    start.elapsed()
}

fn replication(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(BURST.into()));
    group.sample_size(30).measurement_time(Duration::from_secs(2));
    for (index, name) in ["note to message, and its release", "message to table"].iter().enumerate()
    {
        let mut pair = Pair::new();
        group.bench_function(*name, |it| it.iter_custom(|bursts| pair.run(bursts)[index]));
    }
    let mut tables = [Table::new(), Table::new()];
    group.bench_function("baseline: copies", |it| {
        it.iter_custom(|bursts| copying(&mut tables, bursts));
    });
    group.finish();
}

/// One line: nanoseconds a record, and how many times the copies alone. The three are measured in
/// turn, in rounds shorter than a time slice, and of each the lowest tenth's end counts: the machine
/// may have other things to do.
fn summary() {
    const ROUNDS: usize = 2_000;
    const BURSTS: u64 = 20;
    let (mut pair, mut tables) = (Pair::new(), [Table::new(), Table::new()]);
    let mut rounds: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let [sender, receiver] = pair.run(BURSTS);
        for (times, took) in rounds.iter_mut().zip([sender, receiver, copying(&mut tables, BURSTS)])
        {
            times.push(took.as_nanos() as f64 / (BURSTS * u64::from(BURST)) as f64);
        }
    }
    rounds.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let [sender, receiver, copies] = rounds.map(|times| times[ROUNDS / 10]);
    println!(
        "a record: sender {sender:.0} ns, receiver {receiver:.0} ns, copies alone {copies:.0} ns; \
         {:.1} times the copies",
        (sender + receiver) / copies
    );
}

criterion_group!(benches, replication);

fn main() {
    benches();
    summary();
    Criterion::default().configure_from_args().final_summary();
}
