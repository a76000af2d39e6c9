//! What a member does when its role changes.

use std::time::Duration;

use wire::{SLOTS, Time};

use super::lease::Order;
use super::messages::{Event, Facts, Output, Why};
use super::ownership::{Act, Role, Trigger, step};
use super::{Claim, LastOwner, Member, Offer, Stage, Wish};
use crate::limits::{OFFER_LIFE, PASS_ON};
use crate::{NodeId, Term};

#[cfg(test)]
use super::tests::Flaw;

impl Member {
    pub(super) fn apply(&mut self, trigger: Trigger, now: Time) {
        let from = self.role;
        let step = step(from, trigger);
        self.carry_out(step.act, trigger, now);
        self.role = step.next;
        if from != step.next {
            let term = self.wanted.term;
            self.push(Output::Event(Event::Role { from, to: step.next, term }));
        }
        if step.act == Act::Own {
            self.become_owner();
            let until = self.lease.until();
            self.push_lease(until.map(Order::Until));
        }
    }

    fn carry_out(&mut self, act: Act, trigger: Trigger, now: Time) {
        match act {
            Act::Keep => {}
            Act::Follow => self.follow(now),
            Act::Claim => self.claim(trigger, now),
            Act::Own => self.own(now),
            Act::Offer => self.offer(now),
            Act::Concede => self.concede(now),
            Act::End => self.end(),
            Act::Leave => self.leave(now),
            Act::Withdraw => self.withdraw(),
            Act::Stop => self.stop(trigger),
            Act::Abandon => self.abandon(),
            Act::Drain => self.set_drained(true),
            Act::Resume => self.set_drained(false),
        }
    }

    fn follow(&mut self, now: Time) {
        self.owner = self.rival(now);
        self.policy_overridden = false;
        let Some(peer) = self.owner.map(|index| &self.peers[index]) else { return };
        let policy = peer.said.as_ref().map_or([0; 16], |said| said.policy);
        let heard_at = peer.heard_at.unwrap_or(now);
        let last = LastOwner { node: peer.node, heard_at, policy, told: false };
        self.last_owner = Some(last);
    }

    fn claim(&mut self, trigger: Trigger, now: Time) {
        let last = self.last_owner;
        let detection = last.map_or(Duration::ZERO, |last| now.since(last.heard_at));
        let why = self.why(trigger, now);
        let from = last.map(|last| last.node);
        self.claim = Some(Claim { why, since: now, detection, from, noted: false });
        self.want(self.highest_term().next(), self.config.node);
        self.owner = None;
    }

    fn why(&self, trigger: Trigger, now: Time) -> Why {
        if trigger == Trigger::Offered {
            return Why::Switchover;
        }
        let Some(last) = self.last_owner else {
            return if self.role == Role::Closed { Why::Regained } else { Why::Start };
        };
        let near = |node| self.peers.iter().any(|it| it.node == node && self.is_near(it, now));
        if near(last.node) { Why::OwnerStopped } else { Why::OwnerSilent }
    }

    fn own(&mut self, now: Time) {
        if self.role == Role::Closed {
            let from = Some(self.config.node);
            let (why, detection) = (Why::Regained, Duration::ZERO);
            self.claim = Some(Claim { why, since: now, detection, from, noted: true });
            self.lease.claim(now);
        }
        self.tally.takeovers += 1;
        if let Some(claim) = self.claim {
            self.tally.switchovers += u64::from(claim.why == Why::Switchover);
            // What comes by itself rests after a switchover that came by itself, on either node.
            self.switched_at = (claim.why == Why::Switchover).then_some(now).or(self.switched_at);
            self.note_failover(claim, now);
            let (term, why, detection) = (self.saved.term, claim.why, claim.detection);
            self.push(Output::Event(Event::TookOver { term, why, detection }));
        }
        self.last_owner = None;
        self.policy_overridden = false;
        let mut orders = Vec::new();
        self.vips.take(now, |order| orders.push(order));
        self.push_orders(orders);
    }

    /// Tells the driver that this node owns in the term on its disk.
    pub(super) fn become_owner(&mut self) {
        self.owned_term = self.saved.term;
        self.push(Output::BecomeOwner { term: self.saved.term, slots: 0..SLOTS });
    }

    fn offer(&mut self, now: Time) {
        let Ok(to) = self.successor() else { return };
        let term = self.highest_term().next();
        let until = now + OFFER_LIFE;
        self.offer = Some(Offer { to, term, until, stage: Stage::Made });
    }

    /// Votes for the peer that has taken the offer. Forwarding goes on until that is on disk; it is not
    /// renewed any more. From the last packet that is forwarded here, if a slow disk outlasts the lease, or
    /// when that is ended, packets are passed on: the peer holds them until it has the lease.
    fn concede(&mut self, now: Time) {
        let Some(offer) = self.offer.as_mut() else { return };
        offer.stage = Stage::Taken;
        let (to, offered) = (offer.to, offer.term);
        let Some(index) = self.peers.iter().position(|peer| peer.node == to) else { return };
        let term = self.peers[index].said.as_ref().map_or(offered, |said| said.term);
        self.promise_to(index, now);
        self.push(Output::PassOn { to, until: now + PASS_ON });
        self.want(term, to);
    }

    fn end(&mut self) {
        if let Some(offer) = self.offer.as_mut() {
            offer.stage = Stage::Ending;
        }
        self.end_lease();
        self.release_addresses();
    }

    fn leave(&mut self, now: Time) {
        self.stop_owning();
        self.offer = None;
        self.switched_at = Some(now);
        if self.wish == Wish::Failover {
            self.wish = Wish::None;
        }
    }

    fn withdraw(&mut self) {
        self.wish = Wish::None;
        self.better_since = None;
        if let Some(offer) = self.offer.take() {
            self.push(Output::Event(Event::SwitchoverFailed { to: offer.to }));
        }
    }

    fn stop(&mut self, trigger: Trigger) {
        self.tally.leases_lost += u64::from(trigger == Trigger::Lapsed);
        self.stop_owning();
        if self.wish == Wish::Failover {
            self.wish = Wish::None;
        }
        if self.offer.is_some() {
            self.withdraw();
        }
    }

    fn stop_owning(&mut self) {
        self.end_lease();
        self.release_addresses();
        self.push(Output::StopOwning { term: self.owned_term });
    }

    fn abandon(&mut self) {
        self.claim = None;
        self.end_lease();
    }

    fn set_drained(&mut self, drained: bool) {
        self.wish = Wish::None;
        self.wanted.drained = drained;
        self.push(Output::Persist(self.wanted));
    }

    fn end_lease(&mut self) {
        let order = self.lease.disclaim();
        self.push_lease(order);
    }

    fn release_addresses(&mut self) {
        let mut orders = Vec::new();
        self.vips.release(|order| orders.push(order));
        self.push_orders(orders);
    }

    /// Tells the driver of the lease; but only an owner's, so that nothing is forwarded by an engine
    /// that does not know yet that it owns.
    pub(super) fn push_lease(&mut self, order: Option<Order>) {
        match order {
            Some(Order::Until(until)) if self.role.owns() => {
                self.push(Output::LeaseUntil(until));
            }
            Some(Order::Until(_)) => {}
            Some(Order::End { number }) => self.push(Output::LeaseEnd { number }),
            None => {}
        }
    }

    /// Wants a claim or a vote noted; it counts once it is.
    pub(super) fn want(&mut self, term: Term, vote: NodeId) {
        self.wanted = Facts { term, vote: Some(vote), ..self.wanted };
        self.push(Output::Persist(self.wanted));
    }

    /// The highest term that this node knows of.
    pub(super) fn highest_term(&self) -> Term {
        let said = self.peers.iter().filter_map(|peer| peer.said.as_ref());
        said.map(|said| said.term).fold(self.wanted.term, Term::max)
    }

    /// Begins to listen anew, after a pause.
    pub(super) fn listen_anew(&mut self, now: Time) {
        #[cfg(test)]
        if self.flawed(Flaw::NoListeningAfterPause) {
            return;
        }
        self.listening = now;
    }

    /// Announces addresses that are due, while this node may forward.
    pub(super) fn announce(&mut self, now: Time) {
        if self.lease.is_live(now) {
            let mut orders = Vec::new();
            self.vips.handle_timeout(now, |order| orders.push(order));
            self.push_orders(orders);
        }
    }
}
