//! What nodes tell each other: the newest states of the rows that matter. All numbers are big-endian.
//!
//! | offset | bytes | header |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 1 | bytes of the header; items begin there, so that a later version may add fields |
//! | 2 | 2 | sender's node |
//! | 4 | 4 | sender's boot |
//! | 8 | 8 | number, from 1, one more with each message of a boot |
//! | 16 | 4 | check of the seed: under another one hashes mean nothing |
//! | 20 | 2 | items |
//!
//! An item is kind (1), length of its body (2), body. A body may be longer than this version knows; an item
//! of unknown kind is passed over. A *count* has seven bits a byte, the lowest first.
//!
//! | kind | item | body |
//! |---|---|---|
//! | 1 | source | place, sums, rates, ports, hosts, slow ports, slow hosts |
//! | 2 | destination, or a zone | place, sums, rates, ports, peers |
//! | 3 | pair | source, destination, sums, rates, ports |
//! | 4 | block | place, milliseconds that it still lasts: 4 |
//! | 5 | learned | place, hour 1, seven times weight, mean, squares |
//! | 6 | flow | flow, second in which its span ended, packets a second, bytes a second: counts |
//! | 7 | guard | destination whose SYNs are answered, milliseconds that it still lasts: 4 |
//!
//! *Sums* are the number of counts (1), so many counts, packets, bytes. *Rates* are the same of the last
//! second, then averages a second of sessions, packets and bytes. Places and sets are as `sketch` writes
//! them.
//!
//! Whatever a message says replaces what an earlier one said of the same row; a later one wins, whichever
//! comes first.

use sketch::{
    Distinct, Flow, Malformed, Measure, Moments, Pair, Place, Reader, Stored as _, Tally, put_count,
};
use wire::Time;

use super::baseline::Feature;
use super::detector::{Own, Settings};
use super::peers::{DestinationTold, NotTaken, PairTold, Peer, Peers, Report, SourceTold};
use super::screens::Screens;
use super::state::{Speeds, Sums};
use crate::limits::{DIGEST_BYTES, GUARD_TOLD_LIFE};
use crate::{Boot, NodeId};

mod tell;

pub(super) use self::tell::{Done, Teller};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 22;
const ITEM_HEAD_BYTES: usize = 3;

const SOURCE: u8 = 1;
const DESTINATION: u8 = 2;
const PAIR: u8 = 3;
const BLOCK: u8 = 4;
const LEARNED: u8 = 5;
const FLOW: u8 = 6;
const GUARD: u8 = 7;

/// Why a message of another node was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestError {
    /// Its bytes are not what they should be.
    Malformed(Malformed),
    /// Longer than a digest may be.
    Length(usize),
    /// The sender's sketches are under another seed.
    Seed,
    /// It is this node's own.
    Own,
    /// Of an earlier run of its node, or far behind.
    Old,
    /// More nodes than a cluster has.
    Nodes,
}

impl From<Malformed> for DigestError {
    fn from(why: Malformed) -> Self {
        Self::Malformed(why)
    }
}

impl From<NotTaken> for DigestError {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Old => Self::Old,
            NotTaken::Many => Self::Nodes,
        }
    }
}

/// Whether a datagram is one of these, and not of a replication, whose second byte is a kind and small.
pub fn is_digest(message: &[u8]) -> bool {
    matches!(message, [VERSION, header, ..] if usize::from(*header) >= HEADER_BYTES)
}

/// What a message says is done, each until then on this node's clock.
#[derive(Default)]
pub(super) struct Heard {
    /// Sources that are blocked.
    pub(super) blocks: Vec<(Place, Time)>,
    /// Destinations that are guarded.
    pub(super) guards: Vec<(Place, Time)>,
}

/// Takes a message into what its sender told. What is done comes back.
///
/// A message with a mistake in it is taken up to there, but for what is done.
pub(super) fn read(
    message: &[u8],
    settings: &Settings,
    peers: &mut Peers,
    now: Time,
) -> Result<Heard, DigestError> {
    if message.len() > DIGEST_BYTES {
        return Err(DigestError::Length(message.len()));
    }
    let mut reader = Reader::new(message);
    reader.version(VERSION)?;
    let length = usize::from(reader.u8()?);
    let (node, boot) = (NodeId(reader.u16()?), Boot(reader.u32()?));
    let (number, seed) = (reader.u64()?, reader.u32()?);
    let items = reader.u16()?;
    reader.bytes(length.checked_sub(HEADER_BYTES).ok_or(Malformed::Value)?)?;
    if seed != settings.seed.check() {
        return Err(DigestError::Seed);
    }
    if node == settings.node {
        return Err(DigestError::Own);
    }
    let peer = peers.of(node, boot, number)?;
    let mut heard = Heard::default();
    for _ in 0..items {
        let (kind, length) = (reader.u8()?, reader.u16()?);
        let mut body = Reader::new(reader.bytes(usize::from(length))?);
        let (peer, seed, heard) = (&mut *peer, settings.seed, &mut heard);
        Taken { peer, number, now, seed, heard }.item(kind, &mut body)?;
    }
    Ok(heard)
}

/// Where items go.
struct Taken<'a> {
    peer: &'a mut Peer,
    number: u64,
    now: Time,
    seed: sketch::Seed,
    heard: &'a mut Heard,
}

impl Taken<'_> {
    fn item(&mut self, kind: u8, body: &mut Reader<'_>) -> Result<(), Malformed> {
        use sketch::Key as _;
        let (number, now) = (self.number, self.now);
        match kind {
            SOURCE => {
                let place = Place::load(body)?;
                let (sums, rates, average) = figures(body)?;
                let of = SourceTold {
                    ports: Distinct::decode(body)?,
                    hosts: Distinct::decode(body)?,
                    slow_ports: Distinct::decode(body)?,
                    slow_hosts: Distinct::decode(body)?,
                };
                let report = Report { sums, rates, average, of };
                let rows = &mut self.peer.sources;
                rows.change(place.hash(self.seed), &place, |row| {
                    row.value.take(report, number, now)
                });
            }
            DESTINATION => {
                let place = Place::load(body)?;
                let (sums, rates, average) = figures(body)?;
                let of = DestinationTold {
                    ports: Distinct::decode(body)?,
                    peers: Distinct::decode(body)?,
                };
                let report = Report { sums, rates, average, of };
                let rows = &mut self.peer.destinations;
                rows.change(place.hash(self.seed), &place, |row| {
                    row.value.take(report, number, now)
                });
            }
            PAIR => {
                let pair = Pair::load(body)?;
                let (sums, rates, average) = figures(body)?;
                let report = Report {
                    sums,
                    rates,
                    average,
                    of: PairTold { ports: Distinct::decode(body)? },
                };
                let rows = &mut self.peer.pairs;
                rows.change(pair.hash(self.seed), &pair, |row| row.value.take(report, number, now));
            }
            BLOCK => self.block(body)?,
            LEARNED => self.learned(body)?,
            FLOW => self.flow(body)?,
            GUARD => self.guard(body)?,
            _ => {}
        }
        Ok(())
    }

    fn block(&mut self, body: &mut Reader<'_>) -> Result<(), Malformed> {
        let place = Place::load(body)?;
        let left = core::time::Duration::from_millis(body.u32()?.into());
        self.heard.blocks.push((place, self.now + left));
        Ok(())
    }

    fn guard(&mut self, body: &mut Reader<'_>) -> Result<(), Malformed> {
        let place = Place::load(body)?;
        let left = core::time::Duration::from_millis(body.u32()?.into());
        self.heard.guards.push((place, self.now + left.min(GUARD_TOLD_LIFE)));
        Ok(())
    }

    fn flow(&mut self, body: &mut Reader<'_>) -> Result<(), Malformed> {
        let (flow, span) = (Flow::load(body)?, body.count()?);
        let flow = (flow, body.count()?, body.count()?);
        self.peer.flows.take(span, flow, self.now);
        Ok(())
    }

    fn learned(&mut self, body: &mut Reader<'_>) -> Result<(), Malformed> {
        let (place, hour) = (Place::load(body)?, body.u8()?);
        let mut slot = [Moments::new(); Feature::COUNT];
        for moments in &mut slot {
            *moments = Moments::decode(body)?;
        }
        self.peer.learned.take(place, hour, slot);
        Ok(())
    }
}

fn figures(body: &mut Reader<'_>) -> Result<(Sums, Tally, Speeds), Malformed> {
    let sums = Sums::load(body)?;
    let rates = load_tally(body)?;
    let mut average = || body.count().map(|it| it as f64);
    let average = Speeds { sessions: average()?, packets: average()?, bytes: average()? };
    Ok((sums, rates, average))
}

fn put_figures(sums: &Sums, rates: &Tally, average: &Speeds, out: &mut Vec<u8>) {
    sums.store(out);
    let mut last = Sums::default();
    last.add(rates);
    last.store(out);
    let Speeds { sessions, packets, bytes } = average;
    [sessions, packets, bytes].into_iter().for_each(|it| put_count(it.round() as u64, out));
}

fn load_tally(body: &mut Reader<'_>) -> Result<Tally, Malformed> {
    let sums = Sums::load(body)?;
    let mut tally = Tally::default();
    for measure in Measure::ALL {
        let count = u32::try_from(sums.of(measure)).map_err(|_| Malformed::Limit)?;
        tally.set(measure, count);
    }
    tally.packets = sums.packets;
    tally.bytes = sums.bytes;
    Ok(tally)
}

/// A message under way.
struct Message {
    bytes: Vec<u8>,
    items: u16,
}

impl Message {
    fn new(settings: &Settings, number: u64) -> Self {
        let mut bytes = Vec::with_capacity(DIGEST_BYTES);
        bytes.extend([VERSION, HEADER_BYTES as u8]);
        bytes.extend(settings.node.0.to_be_bytes());
        bytes.extend(settings.boot.0.to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes.extend(settings.seed.check().to_be_bytes());
        bytes.extend([0, 0]);
        Self { bytes, items: 0 }
    }

    /// Appends an item, if there is room for it.
    fn push(&mut self, kind: u8, body: &[u8]) -> bool {
        if self.bytes.len() + ITEM_HEAD_BYTES + body.len() > DIGEST_BYTES {
            return false;
        }
        self.bytes.push(kind);
        self.bytes.extend((body.len() as u16).to_be_bytes());
        self.bytes.extend(body);
        self.items += 1;
        true
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes[20..22].copy_from_slice(&self.items.to_be_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests;
