//! The same packets through the shipped engine and through a Linux router with nftables (`masquerade`, `dnat
//! to`): what both forward is the same, byte for byte, but for the link layer and the public port that each
//! chose for itself.
//!
//! Packets are those of the recordings in `corpus/own`, of the captures that `RINGWALL_CORPUS` names, and
//! random ones. Each is sent to both routers as its host would send it: from outside to the port that this
//! router gave.
//!
//! | file | what it does |
//! |------|--------------|
//! | `scenario.rs` | the networks, the rules, and what a router's neighbours know |
//! | `linux.rs` | the kernel's router, in a namespace |
//! | `wall.rs` | the engine |
//! | `captures.rs` | moves captures into the networks |
//! | `random.rs` | random flows |
//! | `datagram.rs` | IPv4 headers as bytes |
//! | `tally.rs` | compares and counts |
#![allow(clippy::unwrap_used)]

mod captures;
mod datagram;
mod linux;
mod random;
mod scenario;
mod tally;
mod wall;

use std::path::PathBuf;

use ringwall_tests::{Corpus, require, root, tool, workspace};

use captures::Mover;
use linux::Linux;
use random::{Case, Dice, has_no_checksum};
use scenario::{Kind, Seat};
use tally::Tally;
use wall::Wall;

/// Random flows of each kind of translation.
const CASES: u16 = 400;
/// Datagrams without a checksum among those.
const WITHOUT_CHECKSUM: usize = 100;

/// At least so many of each are compared in random flows, from either side.
const RANDOM_LEAST: [(&str, usize); 5] =
    [("TCP", 300), ("UDP", 100), ("ICMP query", 150), ("ICMP error", 150), ("fragmented", 80)];
/// And so many in all captures of the corpus together.
const CORPUS_LEAST: [(&str, usize); 4] =
    [("TCP", 500), ("UDP", 50), ("ICMP query", 5), ("fragmented", 1)];
const CORPUS_LEAST_OF_ALL: usize = 3_000;
const OWN_LEAST_OF_ALL: usize = 1_000;

/// Why one router alone may carry a packet of a capture, and how many that are in the corpus at most. Random
/// flows have none.
const ALONE: [(&str, usize); 6] = [
    // A connection needs a beginning; Linux takes it up anywhere (`nf_conntrack_tcp_loose`).
    ("tcp-not-syn", 250),
    // So there is no port that answers in such a connection could be sent to.
    ("no mapping to send to", 60),
    // RFC 9293 §3.10.7: outside of the window, where Linux looks less closely.
    ("tcp-window", 20),
    // A fuzzer's UDP, shorter by its own length than by IP's: `captures.rs` sums all of it, as Linux does,
    // where RFC 768 sums what UDP's length says.
    ("transport-checksum", 10),
    // A forged RST of a connection that opens ends it in Linux alone, so what follows is invalid there.
    ("left untranslated", 10),
    ("Linux is silent", 10),
];

#[test]
fn sources_of_recordings_are_translated_alike() {
    require!(root(), tool("nft"));
    of_captures("own recordings", own(), Kind::Source).has_at_least(&[], OWN_LEAST_OF_ALL);
}

#[test]
fn destinations_of_recordings_are_translated_alike() {
    require!(root(), tool("nft"));
    of_captures("own recordings", own(), Kind::Destination).has_at_least(&[], OWN_LEAST_OF_ALL);
}

#[test]
fn sources_of_the_corpus_are_translated_alike() {
    of_corpus(Kind::Source);
}

#[test]
fn destinations_of_the_corpus_are_translated_alike() {
    of_corpus(Kind::Destination);
}

#[test]
fn random_sources_are_translated_alike() {
    random(Kind::Source);
}

#[test]
fn random_destinations_are_translated_alike() {
    random(Kind::Destination);
}

fn of_corpus(kind: Kind) {
    require!(root(), tool("nft"));
    let Some(corpus) = Corpus::from_env() else { return };
    let tally = of_captures("corpus", corpus.captures(""), kind);
    tally.has_at_least(&CORPUS_LEAST, CORPUS_LEAST_OF_ALL);
}

fn own() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join("tests/tests/corpus/own")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut captures: Vec<_> =
        paths.filter(|it| it.extension().is_some_and(|it| it == "pcap")).collect();
    captures.sort();
    captures
}

fn of_captures(what: &str, captures: Vec<PathBuf>, kind: Kind) -> Tally {
    let mut mover = Mover::new(kind);
    let mut theirs = Seat::new(Linux::new(kind.nft()), kind);
    let mut tally = Tally::default();
    for path in captures {
        // Captures are strangers to each other.
        let mut ours = Seat::new(Wall::new(kind.policy()), kind);
        for step in mover.steps(&path) {
            tally.compare(&mut ours, &mut theirs, &step, &path.to_string_lossy());
        }
    }
    tally.say(&format!("{what}, {kind:?}"));
    tally.is_alike();
    tally.alone_only_for(&ALONE);
    tally
}

fn random(kind: Kind) {
    require!(root(), tool("nft"));
    let mut dice = Dice(7);
    let mut ours = Seat::new(Wall::new(kind.policy()), kind);
    let mut theirs = Seat::new(Linux::new(kind.nft()), kind);
    let (mut tally, mut without_checksum) = (Tally::default(), 0);
    for number in 1..=CASES {
        for step in Case::new(kind, number, &mut dice).steps {
            without_checksum += usize::from(has_no_checksum(&step));
            tally.compare(&mut ours, &mut theirs, &step, &format!("case {number}"));
        }
    }
    tally.say(&format!("random, {kind:?}"));
    tally.is_alike();
    tally.alone_only_for(&[]);
    tally.has_at_least(&RANDOM_LEAST, 0);
    assert!(without_checksum >= WITHOUT_CHECKSUM, "{without_checksum} without checksum");
}
