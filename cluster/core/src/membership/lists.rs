//! The list of members changes while the cluster runs, and nodes learn of it one after the other.
//!
//! ```text
//!  node 1   list A ──────┤ A and B ├──────────────┤ B            a lease needs a majority of every list
//!  node 2   list A ─────────────────┤ A and B ├───┤ B            that counts; none is given for silence
//!  node 3                ┤ A and B ├──────────────┤ B
//!                          1 has noted B   all of A have: A is over
//! ```
//!
//! Until a node knows that everybody who belongs to an earlier list, and stays, goes by the new one, the
//! earlier one counts for it, too. So of two nodes that forward one after the other, whatever each of them
//! knows, the majorities share a voter: by the list of who knows less. A pair's node that goes on because it
//! hears nobody is of an earlier list, and has no such ground any more by the time that its peer goes without
//! it. Who has left need not be heard: those who stay do not vote for it. They wait until a lease that it may
//! have had from them has run out, unless they own themselves.
//!
//! Each list has a number, told in heartbeats: that of the cluster's log, how many members there are, and a
//! digest of who they are. Lists that were made by files alone have the log's number 0. They came about
//! without the above: a node that hears of a longer one than its own does not own. Who joins says none before
//! the log names it: its papers may name others who never come.

use wire::Time;

use super::Member;
use super::config::{Config, PeerConfig};
use super::lease::Ground;
use super::peer::Peer;
use crate::NodeId;
use crate::limits::{MEMBERS_MAX, PATHS_MAX};

#[cfg(test)]
use super::tests::Flaw;

/// A list of members, as a member is told of it while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Which one of the cluster's log it is; 0: of none.
    pub version: u32,
    /// The other members.
    pub peers: Vec<PeerConfig>,
    /// Earlier lists by which a node may still go, each with all of its members.
    pub earlier: Vec<Vec<NodeId>>,
}

/// What heartbeats say of the sender's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ListNumber(pub(super) u64);

impl ListNumber {
    /// Bits of how many and who they are.
    const WHO_BITS: u32 = 40;

    pub(super) fn new(version: u32, count: usize, digest: u64) -> Self {
        let version = u64::from(version.min((1 << (u64::BITS - Self::WHO_BITS)) - 1));
        let count = count.min(usize::from(u8::MAX)) as u64;
        Self((version << Self::WHO_BITS) | (count << 32) | (digest >> 32))
    }

    const fn version(self) -> u64 {
        self.0 >> Self::WHO_BITS
    }

    /// How many they are, and a digest of who.
    const fn who(self) -> u64 {
        self.0 & ((1 << Self::WHO_BITS) - 1)
    }

    /// Whether they name the same members.
    const fn is_alike(self, other: Self) -> bool {
        self.who() == other.who()
    }

    /// Whether it differs from another so that the rules above do not hold: one of them is the files' alone.
    fn contradicts(self, other: Self) -> bool {
        let agreed = self.version() > 0 && other.version() > 0;
        self.0 != 0 && !self.is_alike(other) && !agreed
    }

    /// Whether who goes by it goes by no list before `ours`.
    fn is_as_new_as(self, ours: Self) -> bool {
        match ours.version() {
            0 => self.is_alike(ours),
            version => self.version() >= version,
        }
    }
}

impl Member {
    /// Goes by another list from now on. It is on the disk. One that cannot be is not taken.
    pub(super) fn set_members(&mut self, list: &List, now: Time) {
        let mut config = self.config.clone();
        config.list = list.version;
        config.peers.clone_from(&list.peers);
        config.earlier.clone_from(&list.earlier);
        #[cfg(test)]
        if self.flawed(Flaw::ListAtOnce) {
            config.earlier.clear();
        }
        if config.check().is_err() {
            return;
        }
        let owner = self.owner.map(|index| self.peers[index].node);
        let mut known = core::mem::take(&mut self.peers);
        for told in &config.peers {
            let same = |peer: &Peer| (peer.node, peer.kind) == (told.node, told.kind);
            let peer = match known.iter().position(same) {
                Some(index) => known.swap_remove(index),
                None => self.meet(told, &known, now),
            };
            self.peers.push(peer);
        }
        if !known.is_empty() {
            self.parted = Some(now);
        }
        self.owner = owner.and_then(|node| self.peers.iter().position(|peer| peer.node == node));
        self.partner = self.partner.among(&config);
        self.members = config.members();
        self.config = config;
        let contradicts = |peer: &Peer| self.is_outnumbered_by(ListNumber(peer.members));
        self.outnumbered = self.peers.iter().any(contradicts);
        if !self.config.earlier.is_empty() {
            // Nobody is alone among more. That it was is told.
            self.end_alone(now);
        }
    }

    fn meet(&self, told: &PeerConfig, leaving: &[Peer], now: Time) -> Peer {
        let taken = |place: u32| self.peers.iter().chain(leaving).any(|peer| peer.place == place);
        // As many as are there and were there; all their sessions' numbers fit below the boot.
        let places = 0..2 * MEMBERS_MAX as u32 - 1;
        let place = places.into_iter().find(|place| !taken(*place)).unwrap_or_default();
        Peer::new(told, &self.config.timing, (self.boot, place), now)
    }

    /// What heartbeats say of this node's list; 0: nothing.
    pub(super) fn told_list(&self) -> u64 {
        let joins = self.config.list == 0 && !self.config.is_settled();
        if joins { 0 } else { self.members }
    }

    /// Whether a peer's list shows that ours is old, and nothing else would keep this node from owning by it.
    pub(super) fn is_outnumbered_by(&self, theirs: ListNumber) -> bool {
        let ours = ListNumber(self.members);
        // By how many they are: a log that has just begun names one after the other.
        let old = theirs.contradicts(ours) && theirs.who() > ours.who();
        #[cfg(test)]
        let old = old && !self.flawed(Flaw::OldMembers);
        old
    }

    /// Whether people should hear of a peer's list.
    pub(super) fn is_odd(&self, theirs: ListNumber) -> bool {
        theirs.contradicts(ListNumber(self.members))
    }

    /// Forgets earlier lists once everybody who is left of them goes by a newer one, and a lease of who has
    /// gone has run out.
    pub(super) fn settle_lists(&mut self, now: Time) -> bool {
        let earlier = &self.config.earlier;
        let counts = |peer: &&Peer| earlier.iter().any(|list| list.contains(&peer.node));
        let ours = ListNumber(self.members);
        let mut old = self.peers.iter().filter(counts);
        let over = old.all(|peer| peer.members != 0 && ListNumber(peer.members).is_as_new_as(ours));
        // While this node has a lease by votes, nobody else has one.
        let owns = self.lease.is_live(now) && self.lease.ground() == Some(Ground::Votes);
        let parted = self.parted.is_some_and(|at| now.since(at) < self.config.timing.takeover);
        let waits = parted && !owns;
        let settled = !earlier.is_empty() && over && !waits;
        if settled {
            self.config.earlier.clear();
        }
        settled
    }

    /// Whether those of whom `held` says so are, with this node, a majority of every list that counts.
    pub(super) fn is_quorum(&self, held: impl Fn(&Peer) -> bool) -> bool {
        let own = self.config.node;
        let count = |list: &dyn Fn(NodeId) -> bool| {
            let peers = self.peers.iter().filter(|peer| list(peer.node) && held(peer)).count();
            peers + usize::from(list(own))
        };
        count(&|_| true) >= self.config.majority()
            && self
                .config
                .earlier
                .iter()
                .all(|list| count(&|node| list.contains(&node)) > list.len() / 2)
    }

    /// When the heartbeat was sent that a majority of every list that counts has acknowledged.
    pub(super) fn acknowledged(&self, now: Time) -> Option<Time> {
        let by = |majority: usize, list: &dyn Fn(NodeId) -> bool| {
            let mut acks = [Time::ZERO; MEMBERS_MAX];
            let peers = self.peers.iter().filter(|peer| list(peer.node));
            let known = peers.filter_map(|peer| peer.acknowledged);
            let count = acks.iter_mut().zip(known).map(|(ack, known)| *ack = known).count();
            // Without a vote of its own it needs one more of others.
            let others = majority + usize::from(!list(self.config.node));
            super::lease::acknowledged(others, &mut acks[..count], now)
        };
        let earlier = self.config.earlier.iter();
        let earlier = earlier.map(|list| by(list.len() / 2 + 1, &|node| list.contains(&node)));
        // Nothing comes before any time.
        earlier.fold(by(self.config.majority(), &|_| true), Ord::min)
    }
}

/// The first discriminator of a peer's sessions in a boot (RFC 5880 §6.3), by its place among the peers.
pub(super) const fn discriminator(boot: u32, place: u32) -> u32 {
    (boot << 8) | (place * PATHS_MAX as u32 + 1)
}

impl Config {
    /// Whether no list but this one counts.
    pub(super) fn is_settled(&self) -> bool {
        self.earlier.is_empty()
    }
}
