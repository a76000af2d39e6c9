//! With whom a node replicates its sessions: with one other firewall at a time, or with nobody.
//!
//! | firewalls | this node | its partner |
//! |---|---|---|
//! | two | | the other one, whoever owns |
//! | more | owns | the one it has, as long as that is heard; else its best follower |
//! | | has claimed, and has no lease yet | the one it has, as long as that is heard |
//! | | follows an owner who names it | the owner |
//! | | else | nobody |
//!
//! So an owner chooses its backup, and tells it by a flag of the heartbeats to it; nobody replicates with an
//! owner who does not say so. In a planned switchover owner and backup stay partners and change places.
//! A follower whose fitness is of a better class than the backup's takes its place after a while, at the
//! price of a bulk: it is the one that would take over.

use wire::Time;

use super::config::Kind;
use super::decide::candidacy;
use super::fitness::Class;
use super::heartbeat::{Flags, Heartbeat};
use super::messages::Output;
use super::ownership::Role;
use super::peer::Peer;
use super::{Config, Member};
use crate::NodeId;
use crate::limits::BACKUP_HOLD;

/// With whom, and since when there is a better one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partner {
    /// The other firewall, where there is just one.
    only: Option<NodeId>,
    /// How many firewalls there are besides this node.
    firewalls: usize,
    pub(super) node: Option<NodeId>,
    pub(super) outdone_since: Option<Time>,
}

impl Partner {
    /// Nobody's yet.
    pub(super) fn new(config: &Config) -> Self {
        let others = config.peers.iter().filter(|peer| peer.kind == Kind::Firewall);
        let others: Vec<NodeId> = match config.kind {
            Kind::Firewall => others.map(|peer| peer.node).collect(),
            Kind::Witness => Vec::new(),
        };
        let only = others.first().copied().filter(|_| others.len() == 1);
        Self { only, firewalls: others.len(), node: None, outdone_since: None }
    }
}

impl Partner {
    /// The same among other members.
    pub(super) fn among(self, config: &Config) -> Self {
        Self { node: self.node, outdone_since: self.outdone_since, ..Self::new(config) }
    }
}

impl Member {
    /// Looks for a partner anew, and tells the driver if it is another one.
    pub(super) fn pair_up(&mut self, now: Time) {
        let partner = self.next_partner(now);
        let better = self.is_backup_outdone(partner, now);
        self.partner.outdone_since = better.then(|| self.partner.outdone_since.unwrap_or(now));
        if partner != self.partner.node {
            self.partner.node = partner;
            self.push(Output::Replicate { with: partner });
        }
    }

    /// Whether the replicas of `peer` can be complete, as far as this owner has seen to it.
    pub(super) fn is_backed_by(&self, peer: &Peer) -> bool {
        self.partner.node == Some(peer.node)
    }

    fn next_partner(&self, now: Time) -> Option<NodeId> {
        if self.partner.firewalls < 2 {
            return self.partner.only;
        }
        let present = self.partner.node.filter(|node| self.is_reached(*node, now));
        match self.role {
            Role::Active | Role::Yielding => {
                let stays = present.filter(|_| !self.is_to_change(now));
                stays.or_else(|| Some(self.best_follower(now)?.node)).or(present)
            }
            Role::TakingOver => present,
            Role::Listening | Role::Standby | Role::Drained | Role::Closed => {
                let peer = &self.peers[self.owner?];
                let said = peer.said.as_ref()?;
                said.flags.has(Flags::NAMES_BACKUP).then_some(peer.node)
            }
        }
    }

    /// Whether the backup has been outdone for long. A switchover that has begun is not disturbed.
    fn is_to_change(&self, now: Time) -> bool {
        let long = |since: Time| now.since(since) >= BACKUP_HOLD;
        self.role == Role::Active && self.partner.outdone_since.is_some_and(long)
    }

    fn is_backup_outdone(&self, partner: Option<NodeId>, now: Time) -> bool {
        let present = partner.and_then(|node| self.said_by(node)).map(class);
        let best = self.best_follower(now).and_then(|peer| peer.said.as_ref()).map(class);
        let chooses = self.partner.firewalls > 1 && self.role.owns();
        chooses && partner == self.partner.node && present.is_some() && best > present
    }

    /// The best of the firewalls that are heard and vote for this node.
    fn best_follower(&self, now: Time) -> Option<&Peer> {
        let follows =
            |said: &Heartbeat| said.flags.has(Flags::BACKS) && said.vote == Some(self.config.node);
        let firewalls = self.peers.iter().filter(|peer| peer.kind == Kind::Firewall);
        let near = firewalls.filter(|peer| self.is_near(peer, now));
        let followers = near.filter(|peer| peer.said.as_ref().is_some_and(follows));
        followers.max_by_key(|peer| peer.said.as_ref().map(candidacy))
    }
}

const fn class(said: &Heartbeat) -> Class {
    said.fitness.class()
}
