//! When there is a trigger for the ownership machine, and what a lease may rest on.

use std::time::Duration;

use wire::Time;

use super::config::{Alone, Kind};
use super::fitness::{Class, Readiness};
use super::heartbeat::{Flags, Heartbeat};
use super::lease::{Basis, Ground};
use super::messages::{Event, Output, Refused};
use super::ownership::{Role, Trigger};
use super::peer::Peer;
use super::{Member, Stage, Wish};
use crate::NodeId;
use crate::limits::{CLAIM_LIFE, STEPS_PER_TURN, SWITCHOVER_REST, UNFIT_HOLD};

#[cfg(test)]
use super::tests::Flaw;

impl Member {
    /// Goes on until nothing follows any more.
    pub(super) fn settle(&mut self, now: Time) {
        self.note_better(now);
        self.hurry = true;
        for _ in 0..STEPS_PER_TURN {
            self.look_for_owner(now);
            self.vote(now);
            self.raise(now);
            self.renew(now);
            self.own_raised_term();
            let Some(trigger) = self.trigger(now) else {
                self.hurry = false;
                break;
            };
            self.apply(trigger, now);
        }
    }

    fn trigger(&self, now: Time) -> Option<Trigger> {
        match self.role {
            Role::Listening | Role::Standby => self.trigger_waiting(now),
            Role::TakingOver => self.trigger_taking_over(now),
            Role::Active => self.trigger_active(now),
            Role::Yielding => self.trigger_yielding(now),
            Role::Drained => first([
                (self.follows_another(), Trigger::Follow),
                (self.wish == Wish::Resume, Trigger::Resume),
            ]),
            Role::Closed => {
                let granted = !self.cannot_own() && self.lease.is_live(now);
                first([(granted, Trigger::Granted)]).or_else(|| self.trigger_waiting(now))
            }
        }
    }

    fn trigger_waiting(&self, now: Time) -> Option<Trigger> {
        first([
            (self.follows_another(), Trigger::Follow),
            (self.wish == Wish::Drain, Trigger::Drain),
            (self.role == Role::Standby && self.is_offered(), Trigger::Offered),
            (self.is_vacant(now), Trigger::Vacant),
        ])
    }

    fn trigger_taking_over(&self, now: Time) -> Option<Trigger> {
        let since = self.claim.map_or(now, |claim| claim.since);
        first([
            (self.cannot_own(), Trigger::Unable),
            (self.rival(now).is_some(), Trigger::Follow),
            (self.wish == Wish::Drain, Trigger::Drain),
            (self.is_claimed() && self.is_backed() && self.lease.is_live(now), Trigger::Granted),
            (now.since(since) >= CLAIM_LIFE, Trigger::Lapsed),
        ])
    }

    fn trigger_active(&self, now: Time) -> Option<Trigger> {
        first([
            (self.cannot_own(), Trigger::Unable),
            (self.rival(now).is_some(), Trigger::Follow),
            (self.is_lapsed(now), Trigger::Lapsed),
            (self.wish == Wish::Drain && self.successor().is_ok(), Trigger::Drain),
            (self.wants_handover(now), Trigger::HandOver),
        ])
    }

    fn trigger_yielding(&self, now: Time) -> Option<Trigger> {
        let offer = self.offer?;
        let (made, taken) = (offer.stage == Stage::Made, offer.stage == Stage::Taken);
        let noted = self.saved == self.wanted && self.saved.vote == Some(offer.to);
        let given_up = offer.until <= now || !self.is_reached(offer.to, now);
        first([
            (self.cannot_own(), Trigger::Unable),
            (made && self.has_claimed(offer.to), Trigger::Taken),
            (!made && self.lease.is_dark(now), Trigger::Stopped),
            (taken && noted, Trigger::Conceded),
            (made && self.rival(now).is_some(), Trigger::Follow),
            (made && given_up, Trigger::Withdrawn),
            (made && self.is_lapsed(now), Trigger::Lapsed),
        ])
    }

    /// Whose claim is heard, and outranks ours if there is one.
    pub(super) fn rival(&self, now: Time) -> Option<usize> {
        let ours = (self.role.owns(), self.strength());
        let peers = self.peers.iter().enumerate().filter(|(_, peer)| {
            peer.claims() && self.is_lately_heard(peer, now) && !self.is_settled_with(peer)
        });
        let (index, peer) = peers.max_by_key(|(_, peer)| strength_of(peer))?;
        (!self.role.claims() || strength_of(peer) > Some(ours)).then_some(index)
    }

    /// Two claims that belong to one switchover are no rivals.
    fn is_settled_with(&self, peer: &Peer) -> bool {
        let offers_us = peer.said.as_ref().and_then(|said| said.offer).map(|(to, _)| to);
        match self.role {
            Role::TakingOver => offers_us == Some(self.config.node),
            Role::Yielding => self.offer.map(|offer| offer.to) == Some(peer.node),
            Role::Listening | Role::Standby | Role::Active | Role::Drained | Role::Closed => false,
        }
    }

    /// Forgets an owner that does not claim any more, and tells people once if its policy is in the way.
    fn look_for_owner(&mut self, now: Time) {
        let heard = |index: &usize| {
            let peer = &self.peers[*index];
            peer.claims() && self.hears(peer, now)
        };
        self.owner = self.owner.filter(heard);
        let stands_against = self.owner.is_none() && self.policy_stands_against();
        let Some(last) = self.last_owner.as_mut().filter(|last| stands_against && !last.told)
        else {
            return;
        };
        last.told = true;
        let owner = last.node;
        self.push(Output::Event(Event::PolicyDiffers { owner }));
    }

    fn follows_another(&self) -> bool {
        let rival = self.rival(self.now);
        rival.is_some() && rival != self.owner
    }

    /// Votes for the owner's term when that is new, and nothing stands against it: no promise, and no
    /// packet that this node might still forward.
    fn vote(&mut self, now: Time) {
        let Some(index) = self.owner.filter(|_| !self.role.claims()) else { return };
        let peer = &self.peers[index];
        let Some(said) = &peer.said else { return };
        let new = said.term > self.wanted.term
            || (said.term == self.wanted.term && self.wanted.vote.is_none());
        let free = self.promise.is_free_for(peer.node, now) && self.has_ended(now);
        #[cfg(test)]
        let free = free || self.flawed(Flaw::VoteAgainstPromise);
        if new && free && peer.kind == Kind::Firewall {
            let (node, term) = (peer.node, said.term);
            self.promise_to(index, now);
            self.want(term, node);
        }
    }

    /// Raises the term of an owner that a voter cannot acknowledge, because its vote in this term, or a
    /// later one, was another's.
    fn raise(&mut self, now: Time) {
        let offered = self.role == Role::Yielding;
        if !self.role.claims() || offered || !self.is_claimed() || self.rival(now).is_some() {
            return;
        }
        let node = self.config.node;
        let spent = |said: &Heartbeat| {
            let other = said.vote.is_some_and(|vote| vote != node);
            said.term > self.saved.term || (said.term == self.saved.term && other)
        };
        let heard =
            self.peers.iter().filter(|peer| self.is_near(peer, now) && !self.is_settled_with(peer));
        if heard.filter_map(|peer| peer.said.as_ref()).any(spent) {
            self.want(self.highest_term().next(), node);
        }
    }

    /// Renews the lease, and tells the driver.
    fn renew(&mut self, now: Time) {
        let basis = self.basis(now);
        let order = self.lease.renew(basis, now);
        self.push_lease(order);
    }

    /// An owner that raised its term owns in the new one as soon as a majority voted in it, or there is
    /// nobody to.
    fn own_raised_term(&mut self) {
        let raised = self.is_claimed() && self.owned_term != self.saved.term;
        if self.role.owns() && raised && self.is_backed() {
            self.become_owner();
        }
    }

    /// Whether a majority voted in the term on disk, or a pair's node is alone with it.
    fn is_backed(&self) -> bool {
        self.is_quorum(|peer| peer.voted_in == self.saved.term)
            || self.lease.ground() == Some(Ground::Alone)
    }

    fn basis(&self, now: Time) -> Basis {
        let node = self.config.node;
        // An owner that raises its term keeps its claim; a new one begins on disk.
        let noted = self.is_claimed() || self.role != Role::TakingOver;
        let claimed = noted && self.saved.vote == Some(node) && self.promise.is_free_for(node, now);
        if !claimed || self.cannot_own() {
            return Basis::default();
        }
        let acknowledged = self.acknowledged(now);
        match self.role {
            Role::TakingOver | Role::Active | Role::Yielding => {
                Basis { acknowledged, alone: self.is_alone(now) }
            }
            // Who claims nothing is acknowledged by nobody, but a pair's owner whose peer fell silent
            // after that goes on.
            Role::Closed => Basis { acknowledged: None, alone: self.is_alone(now) },
            Role::Listening | Role::Standby | Role::Drained => Basis::default(),
        }
    }

    /// Whether this node of a pair may think itself alone.
    fn is_alone(&self, now: Time) -> bool {
        let [peer] = self.peers.as_slice() else { return false };
        #[cfg(test)]
        if self.flawed(Flaw::AloneWhileHearing) && peer.acknowledged.is_some() {
            return true;
        }
        let timing = &self.config.timing;
        // Who has no lease may have been taken over from: the other's must have ended, too.
        let enough =
            if self.lease.is_live(now) { peer.detect(timing) } else { peer.patience(timing) };
        self.is_alone_for(enough, now)
    }

    /// Whether a pair's peer, since this node listens and speaks, has been silent on every path for so long;
    /// and that is enough for this node to go on.
    pub(super) fn is_alone_for(&self, enough: Duration, now: Time) -> bool {
        let ([peer], Some(speaking)) = (self.peers.as_slice(), self.speaking) else {
            return false;
        };
        let forwards = match self.config.alone {
            Alone::Forward => self.config.is_settled(),
            Alone::None => false,
        };
        forwards && peer.silence(self.listening.max(speaking), now) >= enough
    }

    /// Whether nobody owns and this node is the one to.
    fn is_vacant(&self, now: Time) -> bool {
        // Others must have had time to hear this node, too.
        let both_ways = self.speaking.map(|at| now.since(at.max(self.listening)));
        both_ways.is_some_and(|span| span >= self.config.timing.takeover)
            && !self.cannot_own()
            && self.owner.is_none()
            && self.saved == self.wanted
            && self.promise.is_free_for(self.config.node, now)
            && self.reaches_enough(now)
            && !self.policy_stands_against()
            && !self.peers.iter().any(|peer| self.is_better_candidate(peer, now))
    }

    /// Whether a claim could be granted: a majority is heard, or a pair's peer is dead.
    fn reaches_enough(&self, now: Time) -> bool {
        let pair = self.config.peers.len() == 1 && self.config.is_settled();
        let alone = pair && self.config.alone == Alone::Forward;
        self.is_quorum(|peer| self.is_near(peer, now))
            || (alone && self.peers.iter().all(|peer| !self.hears(peer, now)))
    }

    /// Whether another is to claim rather than this node.
    fn is_better_candidate(&self, peer: &Peer, now: Time) -> bool {
        let (guard, policy) = (self.config.guard, self.last_owner.map(|last| last.policy));
        let Some(said) = peer.said.as_ref().filter(|_| self.is_near(peer, now)) else {
            return false;
        };
        let eligible = peer.could_own()
            && !said.flags.has(Flags::STANDS_BACK)
            && policy.is_none_or(|policy| guard.permits(said.policy, policy));
        eligible && candidacy(said) > self.own_candidacy()
    }

    /// Whether this node runs another policy than the last owner did.
    pub(super) fn policy_stands_against(&self) -> bool {
        let guard = self.config.guard;
        let differs = self.last_owner.is_some_and(|last| !guard.permits(self.policy, last.policy));
        differs && !self.policy_overridden
    }

    /// Whether the owner offers its ownership, and this node can take it.
    fn is_offered(&self) -> bool {
        let Some(said) = self.owner.and_then(|index| self.peers[index].said.as_ref()) else {
            return false;
        };
        let to_us = said.offer.is_some_and(|(to, _)| to == self.config.node);
        to_us
            && !self.cannot_own()
            && self.readiness.is_ready()
            && self.config.guard.permits(self.policy, said.policy)
            && self.saved == self.wanted
            && self.wish != Wish::Drain
    }

    /// The peer that an owner would hand over to, or why there is none.
    pub(super) fn successor(&self) -> Result<NodeId, Refused> {
        let mut best: Result<&Peer, Refused> = Err(Refused::NoPeer);
        for peer in self.peers.iter().filter(|peer| peer.kind == Kind::Firewall) {
            match (self.can_succeed(peer), best) {
                (Ok(()), Ok(other)) if strength_of(other) >= strength_of(peer) => {}
                (Ok(()), _) => best = Ok(peer),
                (Err(why), Err(Refused::NoPeer)) => best = Err(why),
                (Err(why), Err(_)) if self.is_backed_by(peer) => best = Err(why),
                (Err(_), _) => {}
            }
        }
        best.map(|peer| peer.node)
    }

    fn can_succeed(&self, peer: &Peer) -> Result<(), Refused> {
        let heard = peer.said.as_ref().filter(|_| self.is_near(peer, self.now));
        let follows =
            |said: &&Heartbeat| said.flags.has(Flags::BACKS) && said.vote == Some(self.config.node);
        let said = heard.filter(follows).ok_or(Refused::NoPeer)?;
        let class = said.fitness.class();
        if class == Class::Unable || class < self.own_fitness().class() {
            Err(Refused::PeerUnfit(peer.node, said.fitness))
        } else if !self.is_backed_by(peer) {
            // Whatever it says: it may not know yet that it is the backup no more.
            Err(Refused::PeerNotReady(peer.node, Readiness::BulkWaiting))
        } else if !said.readiness.is_ready() {
            Err(Refused::PeerNotReady(peer.node, said.readiness))
        } else if !self.config.guard.permits(said.policy, self.policy) {
            Err(Refused::PeerPolicyDiffers(peer.node))
        } else {
            Ok(())
        }
    }

    /// Whether to hand over: the operator wants it, or a standby has been the better one for long.
    fn wants_handover(&self, now: Time) -> bool {
        if self.wish == Wish::Failover {
            return self.successor().is_ok();
        }
        let rests = self.switched_at.is_some_and(|at| now.since(at) < SWITCHOVER_REST);
        let held = self.better_since.is_some_and(|at| now.since(at) >= UNFIT_HOLD);
        held && !rests && self.lease.is_live(now)
    }

    /// Notes since when a standby is better than this owner.
    fn note_better(&mut self, now: Time) {
        let better = self.role == Role::Active
            && self.successor().is_ok_and(|node| self.is_outdone_by(node));
        self.better_since = better.then(|| self.better_since.unwrap_or(now));
    }

    /// Whether `node` is fitter, or of a higher rank where that counts.
    fn is_outdone_by(&self, node: NodeId) -> bool {
        let Some(said) = self.said_by(node) else { return false };
        let (class, ours) = (said.fitness.class(), self.own_fitness().class());
        class > ours || (self.config.preempt && class == ours && said.rank > self.config.rank)
    }

    /// Whether the one that was offered the ownership has noted and claimed a later term.
    fn has_claimed(&self, node: NodeId) -> bool {
        let peer = self.peers.iter().find(|peer| peer.node == node && peer.claims());
        let said = peer.and_then(|peer| peer.said.as_ref());
        said.is_some_and(|said| said.term > self.saved.term)
    }

    /// Whether the lease has been away for too long: at once after a pause, for by then another may own;
    /// else a lease's life, for an acknowledgment may be on its way.
    fn is_lapsed(&self, now: Time) -> bool {
        let life = if self.woken { Duration::ZERO } else { self.config.timing.lease };
        self.lease.lapsed_for(now).is_some_and(|lapsed| lapsed >= life)
    }

    /// Whether this node's claim is on its disk.
    pub(super) fn is_claimed(&self) -> bool {
        self.saved == self.wanted && self.saved.vote == Some(self.config.node)
    }

    pub(super) fn cannot_own(&self) -> bool {
        self.own_fitness().class() == Class::Unable
    }

    /// Whether the peer may still hold a lease, as far as its silence tells.
    fn hears(&self, peer: &Peer, now: Time) -> bool {
        let silence = peer.silence(self.listening, now);
        peer.heard_at.is_some() && silence < peer.patience(&self.config.timing)
    }

    /// Whether what it said may still hold. Unlike [`Self::hears`], a pause of this node does not make
    /// words of before the pause fresh again.
    fn is_lately_heard(&self, peer: &Peer, now: Time) -> bool {
        let silence = peer.heard_at.map(|at| now.since(at));
        silence.is_some_and(|silence| silence < peer.patience(&self.config.timing))
    }

    /// Whether the peer is heard right now.
    pub(super) fn is_near(&self, peer: &Peer, now: Time) -> bool {
        let silence = peer.heard_at.map(|at| now.since(at));
        silence.is_some_and(|silence| silence < peer.detect(&self.config.timing))
    }

    pub(super) fn is_reached(&self, node: NodeId, now: Time) -> bool {
        self.peers.iter().any(|peer| peer.node == node && self.is_near(peer, now))
    }

    pub(super) fn said_by(&self, node: NodeId) -> Option<&Heartbeat> {
        self.peers.iter().find(|peer| peer.node == node)?.said.as_ref()
    }

    /// What decides between two owners.
    fn strength(&self) -> (Class, u16, NodeId) {
        (self.own_fitness().class(), self.config.rank, self.config.node)
    }

    fn own_candidacy(&self) -> (Class, bool, u16, NodeId) {
        let (class, rank, node) = self.strength();
        (class, self.readiness.is_ready(), rank, node)
    }
}

/// Owners before claimants without a lease; then fitness, rank and number.
fn strength_of(peer: &Peer) -> Option<(bool, (Class, u16, NodeId))> {
    let said = peer.said.as_ref()?;
    Some((said.role.owns(), (said.fitness.class(), said.rank, said.from)))
}

/// What decides who claims when nobody owns.
pub(super) fn candidacy(said: &Heartbeat) -> (Class, bool, u16, NodeId) {
    (said.fitness.class(), said.readiness.is_ready(), said.rank, said.from)
}

/// The first trigger whose condition holds.
fn first<const N: usize>(rows: [(bool, Trigger); N]) -> Option<Trigger> {
    rows.into_iter().find(|(holds, _)| *holds).map(|(_, trigger)| trigger)
}
