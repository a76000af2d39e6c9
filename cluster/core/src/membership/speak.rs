//! What a member says: a heartbeat on each path as often as agreed, and at once when it has news.

use std::time::Duration;

use wire::Time;

use super::heartbeat::{Flags, Heartbeat};
use super::lease::Ground;
use super::messages::Output;
use super::ownership::Role;
use super::peer::Peer;
use super::{Member, Offer};
use crate::limits::ALONE_TOLD;
use crate::{NodeId, Term};

#[cfg(test)]
use super::tests::Flaw;

/// What every heartbeat says of the sender; when it changes, peers are told at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stance {
    role: Role,
    term: Term,
    vote: Option<NodeId>,
    /// Whose claim is acknowledged.
    backs: Option<NodeId>,
    ended: bool,
    alone: bool,
    /// Leaves a vacant ownership to another.
    stands_back: bool,
    offer: Option<(NodeId, Term)>,
    /// Whom a claimant replicates with.
    backup: Option<NodeId>,
}

impl Member {
    pub(super) fn speak(&mut self, now: Time) {
        self.begin_to_speak(now);
        if self.speaking.is_none() {
            return;
        }
        let stance = self.take_stance(now);
        let news = self.stance.replace(stance) != Some(stance);
        for peer in 0..self.peers.len() {
            for path in 0..self.peers[peer].paths.len() {
                if news || self.peers[peer].paths[path].send_at <= now {
                    self.send(peer, path, stance, now);
                }
            }
        }
    }

    /// A node that has just started, or was paused and claims nothing, is silent until it can acknowledge
    /// an owner, or until it has heard none for the detection time: an owner who is alone goes on as
    /// long as it hears nothing. What lay in the sockets during a pause is read in the first interval,
    /// and nothing to acknowledge.
    fn begin_to_speak(&mut self, now: Time) {
        if self.woken && !self.role.claims() {
            self.speaking = None;
        }
        let timing = &self.config.timing;
        let ready = match self.owner.and_then(|index| self.peers[index].heard_at) {
            Some(at) => self.saved == self.wanted && at >= self.listening + timing.interval,
            None => now.since(self.listening) >= timing.detect(),
        };
        if ready && self.speaking.is_none() {
            self.speaking = Some(now);
        }
    }

    fn take_stance(&self, now: Time) -> Stance {
        let ground = self.lease.ground() == Some(Ground::Alone);
        let was = self.was_alone.is_some_and(|was| now.since(was.heard_at) < ALONE_TOLD);
        let offer = self.offer.filter(|_| self.role == Role::Yielding);
        let role = self.told_role();
        Stance {
            role,
            term: self.saved.term,
            vote: self.saved.vote,
            backs: self.backs(now),
            ended: !role.claims() && self.has_ended(now),
            alone: ground || was,
            stands_back: !role.claims() && self.policy_stands_against(),
            offer: offer.map(|Offer { to, term, .. }| (to, term)),
            backup: self.partner.node.filter(|_| role.claims()),
        }
    }

    /// A claim is told once it is on disk; an earlier one that is, is another. While its term is being
    /// raised it is told in the old one: whoever gives way to it must not begin to claim anew.
    fn told_role(&self) -> Role {
        let noted = self.claim.is_some_and(|claim| claim.noted);
        let untold = self.role == Role::TakingOver && !noted;
        if untold { Role::Standby } else { self.role }
    }

    /// Whose claim this node acknowledges: nobody's before its vote is on disk and its own forwarding has
    /// ended for certain.
    fn backs(&self, now: Time) -> Option<NodeId> {
        let vote = self.saved.vote.filter(|vote| self.promise.to == Some(*vote));
        vote.filter(|_| self.has_ended(now))
    }

    /// Whether this node has certainly ceased to forward, so that it may help another to.
    pub(super) fn has_ended(&self, now: Time) -> bool {
        #[cfg(test)]
        if self.flawed(Flaw::VoteWhileForwarding) {
            return true;
        }
        self.lease.is_dark(now)
    }

    fn send(&mut self, peer: usize, path: usize, stance: Stance, now: Time) {
        self.sequence += 1;
        let it = self.compose(&self.peers[peer], path, stance, now);
        let bytes = it.encode(&self.key);
        let peer = &mut self.peers[peer];
        let (to, path) = (peer.node, &mut peer.paths[path]);
        path.send_at = now + path.session.transmit_interval();
        let path = path.id;
        self.tally.sent += 1;
        self.push(Output::SendHeartbeat { to, path, bytes });
    }

    fn compose(&self, peer: &Peer, path: usize, stance: Stance, now: Time) -> Heartbeat {
        let path = &peer.paths[path];
        let flags = Flags::default()
            .with(Flags::ENDED, stance.ended)
            .with(Flags::ALONE, stance.alone)
            .with(Flags::BACKS, stance.backs == Some(peer.node))
            .with(Flags::STANDS_BACK, stance.stands_back)
            .with(Flags::NAMES_BACKUP, stance.backup == Some(peer.node));
        let (echo_ns, received_at) = path.echo.unwrap_or((0, now));
        let left = self.lease.until().map_or(Duration::ZERO, |until| until.since(now));
        Heartbeat {
            flags,
            path: path.id,
            role: stance.role,
            from: self.config.node,
            to: peer.node,
            boot: self.boot,
            heard_boot: peer.boot(),
            sequence: self.sequence,
            sent_ns: now.as_nanos(),
            echo_ns,
            echo_held: now.since(received_at),
            acknowledged_ns: peer.promised_ns,
            control: path.session.control(),
            readiness: self.readiness,
            term: stance.term,
            vote: stance.vote,
            fitness: self.own_fitness(),
            rank: self.config.rank,
            offer: stance.offer,
            lease_left: left,
            lease: self.config.timing.lease,
            policy: self.policy,
            members: self.told_list(),
        }
    }
}
