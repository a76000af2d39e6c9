//! Statistics in fixed memory, whatever an attacker sends: sketches, and the book that a flow actor keeps
//! with them.
//!
//! | sketch | answers | error |
//! |---|---|---|
//! | [`CountMin`] | how often a thing was seen | above by ε·total at most, with probability 1 - δ |
//! | [`SpaceSaving`] | the heaviest things | above by total / capacity at most; each entry knows its own |
//! | [`ExactSet`] | how many different things, up to a few | none, or it says that it is full |
//! | [`Distinct`] | how many different things | none up to M/4, then 1.04/√M standard error |
//! | [`Entropy`] | how spread out a stream is | never above the truth, nor above log2 M |
//! | [`Moments`] | mean and variance | rounding |
//! | [`Rows`] | rows for the things that matter | what a row has missed at most stands beside it |
//!
//! All of them merge: sketches of two streams make the sketch of both. Things go in as hashes under a
//! [`Seed`], so who does not know the seed cannot aim at collisions; sketches merge only under one seed.
//! Each has a versioned encoding of bounded length. Nothing here allocates once it is made, but for
//! encoding and decoding.
//!
//! A [`Book`] is what one flow actor notes of its traffic: an [`Observation`] for each session event and
//! each denied packet, in rows by source, destination, pair and flow.
#![forbid(unsafe_code)]

pub mod limits;

mod book;
mod bytes;
mod count_min;
mod distinct;
mod entropy;
mod exact_set;
mod moments;
mod observation;
mod place;
mod rows;
mod seed;
mod space_saving;
#[cfg(test)]
mod streams;

pub use book::{
    Aggregation, Book, DestinationRow, FlowRow, OddityRow, PairRow, ScopeRow, SourceRow, Tally,
};
pub use bytes::{Malformed, Reader, put_count};
pub use count_min::CountMin;
pub use distinct::Distinct;
pub use entropy::Entropy;
pub use exact_set::{ExactSet, Inserted};
pub use moments::Moments;
pub use observation::{DenyClass, Kind, Measure, Measures, Observation, Oddity};
pub use place::{Flow, OddPair, Pair, Place};
pub use rows::{Key, Noted, Row, Rows};
pub use seed::Seed;
pub use space_saving::{Entry, SpaceSaving, Stored};
