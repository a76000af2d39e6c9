//! What the other nodes told: the newest state of each row, by node.

use sketch::{Flow, Key, Noted, Pair, Place, Rows, Seed, Tally};
use wire::Time;

use super::baseline::Learned;
use super::state::{Speeds, Sums, spread};
use super::window::Set;
use crate::limits::{
    DIGEST_LOST_AFTER, PEER_ROWS, PEERS_MAX, RATE_LIFE, TALKER_FLOWS_TOLD, TALKER_SPAN,
};
use crate::{Boot, NodeId};

/// Messages that one may be behind the newest and still count.
const BEHIND_MAX: u64 = 1_024;

/// All of the latest were heard.
const HEARD_ALL: u32 = u32::MAX >> (u32::BITS - DIGEST_LOST_AFTER);

/// All other nodes.
#[derive(Default)]
pub(super) struct Peers {
    all: Vec<Peer>,
    /// Messages that did not arrive.
    lost: u64,
}

/// One other node.
pub(super) struct Peer {
    pub(super) node: NodeId,
    boot: Boot,
    newest: u64,
    /// Which of the latest were heard: bit n is the one with the number `newest - n`. What there was before
    /// the first one counts as heard.
    heard: u32,
    pub(super) sources: Rows<Place, Told<SourceTold>>,
    /// Places of length 0 are zones.
    pub(super) destinations: Rows<Place, Told<DestinationTold>>,
    pub(super) pairs: Rows<Pair, Told<PairTold>>,
    pub(super) learned: Learned,
    pub(super) flows: FlowsTold,
}

/// The heaviest flows of one span of a node.
#[derive(Default)]
pub(super) struct FlowsTold {
    /// The second in which the span ended, on that node's clock.
    span: u64,
    at: Time,
    flows: Vec<(Flow, u64, u64)>,
}

impl FlowsTold {
    /// A flow with packets and bytes a second; of a span that is over it is left out.
    pub(super) fn take(&mut self, span: u64, flow: (Flow, u64, u64), now: Time) {
        if span > self.span {
            *self = Self { span, at: now, flows: Vec::new() };
        }
        let known = self.flows.iter().any(|(known, _, _)| *known == flow.0);
        if span == self.span && !known && self.flows.len() < 2 * TALKER_FLOWS_TOLD {
            self.flows.push(flow);
        }
    }

    /// What was told, unless the next span should have been told since.
    pub(super) fn news(&self, now: Time) -> impl Iterator<Item = (Flow, u64, u64)> + '_ {
        let news = now.since(self.at) <= 2 * TALKER_SPAN;
        self.flows.iter().filter(move |_| news).copied()
    }
}

/// The newest that was told of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Told<T> {
    number: u64,
    /// When it was heard.
    at: Time,
    pub(super) sums: Sums,
    rates: Tally,
    average: Speeds,
    pub(super) of: T,
    rank: u16,
}

/// Sets of a source, each of the time that its node counts.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceTold {
    pub(super) ports: Set,
    pub(super) hosts: Set,
    pub(super) slow_ports: Set,
    pub(super) slow_hosts: Set,
}

/// Sets of a destination.
#[derive(Clone, Debug, Default)]
pub(super) struct DestinationTold {
    pub(super) ports: Set,
    pub(super) peers: Set,
}

/// Sets of a pair.
#[derive(Clone, Debug, Default)]
pub(super) struct PairTold {
    pub(super) ports: Set,
}

/// One row of a message.
#[derive(Clone, Debug)]
pub(super) struct Report<T> {
    pub(super) sums: Sums,
    pub(super) rates: Tally,
    pub(super) average: Speeds,
    pub(super) of: T,
}

/// How suspicious it is, for the choice of which rows are kept.
pub(super) trait Suspicious {
    fn suspicion(&self) -> u16;
}

impl Suspicious for SourceTold {
    fn suspicion(&self) -> u16 {
        spread(self.slow_ports.count(), self.slow_hosts.count())
    }
}

impl Suspicious for DestinationTold {
    fn suspicion(&self) -> u16 {
        0
    }
}

impl Suspicious for PairTold {
    fn suspicion(&self) -> u16 {
        spread(self.ports.count(), 1)
    }
}

impl<T: Suspicious> Told<T> {
    /// Takes a report, unless a newer one was taken.
    pub(super) fn take(&mut self, report: Report<T>, number: u64, now: Time) {
        if number <= self.number {
            return;
        }
        let busy = report.average.packets.min(255.0) as u16;
        self.rank = report.of.suspicion() * 256 + busy;
        let Report { sums, rates, average, of } = report;
        *self = Self { number, at: now, sums, rates, average, of, rank: self.rank };
    }

    /// Counts a second, as long as they are news.
    pub(super) fn rates(&self, now: Time) -> Option<&Tally> {
        (now.since(self.at) <= RATE_LIFE).then_some(&self.rates)
    }

    /// Averages, as long as they are news.
    pub(super) fn average(&self, now: Time) -> Option<&Speeds> {
        (now.since(self.at) <= RATE_LIFE).then_some(&self.average)
    }

    /// What it says of the last `life`; nothing, if it was heard before.
    pub(super) fn within(&self, now: Time, life: core::time::Duration) -> Option<&T> {
        (now.since(self.at) <= life).then_some(&self.of)
    }
}

impl<T: Default> Noted for Told<T> {
    fn rank(&self) -> u16 {
        self.rank
    }

    fn weight(&self) -> u32 {
        0
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Peer {
    fn new(node: NodeId, boot: Boot) -> Self {
        Self {
            node,
            boot,
            newest: 0,
            heard: HEARD_ALL,
            sources: Rows::new(PEER_ROWS),
            destinations: Rows::new(PEER_ROWS / 2),
            pairs: Rows::new(PEER_ROWS / 2),
            learned: Learned::default(),
            flows: FlowsTold::default(),
        }
    }

    /// Whether this number is not too old.
    const fn admits(&self, number: u64) -> bool {
        number.saturating_add(BEHIND_MAX) >= self.newest
    }

    /// Takes note of a message. How many others are lost by that: those that have fallen too far behind and
    /// were not heard.
    fn hears(&mut self, number: u64) -> u64 {
        let window = u64::from(DIGEST_LOST_AFTER);
        let first = self.newest == 0;
        let newer = number.saturating_sub(self.newest);
        if newer == 0 {
            let behind = self.newest - number;
            self.heard |= if behind < window { 1 << behind } else { 0 };
            return 0;
        }
        self.newest = number;
        if first {
            return 0;
        }
        let leave = newer.min(window) as u32;
        let left = self.heard >> (DIGEST_LOST_AFTER - leave);
        self.heard = (self.heard.checked_shl(leave).unwrap_or(0) | 1) & HEARD_ALL;
        // Of a longer gap the first ones were never among the latest.
        u64::from(leave - left.count_ones()) + (newer - u64::from(leave))
    }

    /// Rows that have nothing to say any more make room.
    pub(super) fn refresh(&mut self, now: Time, life: core::time::Duration) {
        let fade = |at: Time, rank: &mut u16| {
            if now.since(at) > life {
                *rank = 0;
            }
        };
        self.sources.change_all(|row| fade(row.value.at, &mut row.value.rank));
        self.destinations.change_all(|row| fade(row.value.at, &mut row.value.rank));
        self.pairs.change_all(|row| fade(row.value.at, &mut row.value.rank));
    }
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It is of an earlier run of its node, or too far behind.
    Old,
    /// More nodes than a cluster has.
    Many,
}

impl Peers {
    /// The node that sends this message, with what it told before in the same run.
    pub(super) fn of(
        &mut self,
        node: NodeId,
        boot: Boot,
        number: u64,
    ) -> Result<&mut Peer, NotTaken> {
        let known = self.all.iter().position(|peer| peer.node == node);
        let at = match known {
            Some(at) if self.all[at].boot > boot => return Err(NotTaken::Old),
            Some(at) => {
                if self.all[at].boot < boot {
                    self.all[at] = Peer::new(node, boot);
                }
                at
            }
            None if self.all.len() >= PEERS_MAX => return Err(NotTaken::Many),
            None => {
                self.all.push(Peer::new(node, boot));
                self.all.len() - 1
            }
        };
        let peer = &mut self.all[at];
        if !peer.admits(number) {
            return Err(NotTaken::Old);
        }
        self.lost = self.lost.saturating_add(peer.hears(number));
        Ok(peer)
    }

    /// Messages that did not arrive.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Forgets all rows; what was learned stays.
    pub(super) fn clear(&mut self) {
        for peer in &mut self.all {
            peer.sources.clear();
            peer.destinations.clear();
            peer.pairs.clear();
            peer.flows = FlowsTold::default();
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.all.iter()
    }

    /// All of them, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.all.iter_mut()
    }

    /// What each told of a source.
    pub(super) fn source<'a>(
        &'a self,
        seed: Seed,
        place: &'a Place,
    ) -> impl Iterator<Item = (NodeId, &'a Told<SourceTold>)> {
        let hash = place.hash(seed);
        self.all.iter().filter_map(move |it| Some((it.node, &it.sources.get(hash, place)?.value)))
    }

    /// What each told of a destination.
    pub(super) fn destination<'a>(
        &'a self,
        seed: Seed,
        place: &'a Place,
    ) -> impl Iterator<Item = (NodeId, &'a Told<DestinationTold>)> {
        let hash = place.hash(seed);
        let told = move |it: &'a Peer| Some((it.node, &it.destinations.get(hash, place)?.value));
        self.all.iter().filter_map(told)
    }
}
