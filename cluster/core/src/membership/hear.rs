//! What a member takes in: heartbeats, and what the driver found out.

use std::net::IpAddr;

use wire::Time;

use super::heartbeat::{Flags, Heartbeat, PathId, Refusal};
use super::lists::ListNumber;
use super::liveness::{Change, State};
use super::messages::{Event, Facts, Output, Refused, Request};
use super::ownership::Role;
use super::{Claim, LastOwner, Member, Promise, WasAlone, Wish, vips};
use crate::NodeId;
use crate::limits::ALONE_TOLD;

#[cfg(test)]
use super::tests::Flaw;

impl Member {
    pub(super) fn handle_heartbeat(&mut self, path: PathId, bytes: &[u8], now: Time) {
        match self.hear(path, bytes, now) {
            Ok(()) => self.tally.heard += 1,
            Err(refusal) => self.tally.refused[refusal as usize] += 1,
        }
    }

    fn hear(&mut self, path: PathId, bytes: &[u8], now: Time) -> Result<(), Refusal> {
        let it = Heartbeat::decode(bytes, &self.key)?;
        if it.from == self.config.node {
            return Err(Refusal::Own);
        }
        if it.to != self.config.node {
            return Err(Refusal::Misdirected);
        }
        let known = self.peers.iter().position(|peer| peer.node == it.from);
        let index = known.ok_or(Refusal::UnknownNode)?;
        let news = self.peers[index].hear(&it, (path, self.boot), now)?;
        if let Some(boot) = news.boot {
            self.push(Output::Event(Event::PeerBooted { peer: it.from, boot }));
        }
        if let Some(class) = news.class {
            self.push(Output::Event(Event::PeerClass { peer: it.from, class }));
        }
        if let Some(change) = news.change {
            self.tell_path(it.from, path, change);
        }
        #[cfg(test)]
        if self.flawed(Flaw::BelievedForEver) {
            self.peers[index].leased_until = (!it.lease_left.is_zero()).then_some(Time::MAX);
        }
        self.hear_peer(&it, now);
        if news.newest {
            self.hear_members(index, &it);
            self.hear_claim(index, &it, now);
        }
        self.hear_acknowledgment(index, &it, now);
        Ok(())
    }

    /// A node that does not know all members may take a minority for a majority, or think itself one of two.
    /// That it once heard of more is kept until it has another list, for it may be cut off by then.
    fn hear_members(&mut self, index: usize, it: &Heartbeat) {
        let theirs = ListNumber(it.members);
        let new = core::mem::replace(&mut self.peers[index].members, it.members) != it.members;
        let ours_is_old = self.is_outnumbered_by(theirs);
        self.outnumbered |= ours_is_old;
        if new && self.is_odd(theirs) {
            self.push(Output::Event(Event::MembersDiffer { peer: it.from, ours_is_old }));
        }
    }

    /// The peer lives: what was granted because it did not is gone.
    fn hear_peer(&mut self, it: &Heartbeat, now: Time) {
        #[cfg(test)]
        if self.flawed(Flaw::AloneWhileHearing) {
            return;
        }
        self.end_alone(now);
        let was = self.was_alone.as_mut().filter(|was| now.since(was.heard_at) < ALONE_TOLD);
        if let Some(was) = was.filter(|was| !was.told && it.flags.has(Flags::ALONE)) {
            was.told = true;
            let healed = Event::SplitHealed { from: was.since, to: was.heard_at };
            self.push(Output::Event(healed));
            self.vips.announce_anew(now);
        }
    }

    /// What silence gave is gone; since when it did is told.
    pub(super) fn end_alone(&mut self, now: Time) {
        if let Some(since) = self.lease.hear() {
            self.was_alone = Some(WasAlone { since, heard_at: now, told: false });
        }
    }

    /// What the peer says about the ownership binds this node, or sets it free.
    fn hear_claim(&mut self, index: usize, it: &Heartbeat, now: Time) {
        if it.flags.has(Flags::ENDED) && self.promise.to == Some(it.from) {
            self.promise.until = Time::ZERO;
        }
        // An owner that is no owner any more, but lives: what counts is the policy that it runs now.
        if let Some(last) = self.last_owner.as_mut().filter(|last| last.node == it.from) {
            last.policy = it.policy;
        }
        if !self.peers[index].claims() {
            return;
        }
        if self.stands_by(it) && self.promise.is_free_for(it.from, now) {
            self.promise_to(index, now);
        }
        let told = self.last_owner.is_some_and(|last| last.node == it.from && last.told);
        if Some(index) == self.owner {
            let (node, policy) = (it.from, it.policy);
            self.last_owner = Some(LastOwner { node, heard_at: now, policy, told });
        }
    }

    /// Whether a claim is one that this node has voted for: also while a claim of its own, which the
    /// owner has offered, is not yet on disk.
    fn stands_by(&self, it: &Heartbeat) -> bool {
        let voted = |facts: Facts| facts.vote == Some(it.from) && it.term >= facts.term;
        let claiming = self.wanted.vote == Some(self.config.node);
        voted(self.wanted) || (claiming && voted(self.saved))
    }

    /// Promises not to vote for another, nor to claim, before what the peer has said last cannot give it
    /// a lease any more.
    pub(super) fn promise_to(&mut self, index: usize, now: Time) {
        let peer = &mut self.peers[index];
        let heard_at = peer.heard_at.unwrap_or(now);
        let until = heard_at + peer.patience(&self.config.timing);
        self.promise = Promise { to: Some(peer.node), until };
        peer.promised_ns = peer.said.as_ref().map_or(0, |said| said.sent_ns);
    }

    /// A voter acknowledges what this boot sent as a claimant.
    fn hear_acknowledgment(&mut self, index: usize, it: &Heartbeat, now: Time) {
        let ours = it.heard_boot == Some(self.boot) && it.vote == Some(self.config.node);
        let present = ours && it.term == self.saved.term;
        if !present || !it.flags.has(Flags::BACKS) || it.acknowledged_ns == 0 {
            return;
        }
        let sent = Time(it.acknowledged_ns);
        #[cfg(test)]
        let sent = if self.flawed(Flaw::LeaseFromReceipt) { now } else { sent };
        // Later than now is no time of ours.
        if sent <= now {
            let peer = &mut self.peers[index];
            peer.acknowledged = peer.acknowledged.max(Some(sent));
            peer.voted_in = it.term;
        }
    }

    fn tell_path(&mut self, peer: NodeId, path: PathId, change: Change) {
        let up = change.to == State::Up;
        if up || change.from == State::Up {
            let diagnostic = change.diagnostic;
            self.push(Output::Event(Event::Path { peer, path, up, diagnostic }));
        }
    }

    pub(super) fn expire_paths(&mut self, now: Time) {
        for peer in 0..self.peers.len() {
            for path in 0..self.peers[peer].paths.len() {
                let it = &mut self.peers[peer].paths[path];
                let id = it.id;
                if let Some(change) = it.session.handle_timeout(now) {
                    self.tell_path(self.peers[peer].node, id, change);
                }
            }
        }
    }

    pub(super) fn handle_path(&mut self, node: NodeId, id: PathId, enabled: bool) {
        let peer = self.peers.iter_mut().find(|peer| peer.node == node);
        let path = peer.and_then(|peer| peer.paths.iter_mut().find(|path| path.id == id));
        if let Some(change) = path.and_then(|path| path.session.set_enabled(enabled)) {
            self.tell_path(node, id, change);
        }
    }

    /// Facts are on disk. A claim begins with that: what was said before was another's, or an earlier one.
    pub(super) fn handle_persisted(&mut self, facts: Facts, now: Time) {
        debug_assert!(facts.term >= self.saved.term, "a disk does one thing after the other");
        let new = facts.term > self.saved.term;
        self.saved = facts;
        if new && self.role == Role::TakingOver && self.is_claimed() {
            self.lease.claim(now);
            self.claim = self.claim.map(|claim| Claim { noted: true, ..claim });
        }
    }

    pub(super) fn handle_conflict(&mut self, address: IpAddr, now: Time) {
        let mut orders = Vec::new();
        if self.vips.handle_conflict(address, now, |order| orders.push(order)) {
            self.push(Output::Event(Event::AddressConflict(address)));
        }
        self.push_orders(orders);
    }

    pub(super) fn push_orders(&mut self, orders: Vec<vips::Order>) {
        for order in orders {
            self.push(match order {
                vips::Order::Add(vip) => Output::AddAddress(vip),
                vips::Order::Remove(vip) => Output::RemoveAddress(vip),
                vips::Order::Announce(vip) => Output::Announce(vip),
            });
        }
    }

    pub(super) fn handle_request(&mut self, request: Request) {
        let answer = match request {
            Request::Failover => self.ask_failover(),
            Request::Drain => self.ask_drain(),
            Request::Resume => self.ask_resume(),
            Request::Claim => self.ask_claim(),
        };
        self.push(Output::Answer(request, answer));
    }

    fn ask_failover(&mut self) -> Result<(), Refused> {
        match self.role {
            Role::Active => {
                self.successor()?;
                self.wish = Wish::Failover;
                Ok(())
            }
            Role::Yielding => Err(Refused::Busy),
            Role::Listening | Role::Standby | Role::TakingOver | Role::Drained | Role::Closed => {
                Err(Refused::NotOwner(self.owner_node()))
            }
        }
    }

    fn ask_drain(&mut self) -> Result<(), Refused> {
        match self.role {
            Role::Active => {
                self.successor()?;
            }
            Role::Yielding => return Err(Refused::Busy),
            Role::Listening | Role::Standby | Role::TakingOver | Role::Drained | Role::Closed => {}
        }
        self.wish = Wish::Drain;
        Ok(())
    }

    /// A drain that has not come about yet is called off; a switchover that has begun goes on.
    fn ask_resume(&mut self) -> Result<(), Refused> {
        if self.role == Role::Drained {
            self.wish = Wish::Resume;
        } else if self.wish == Wish::Drain {
            self.wish = Wish::None;
        } else {
            return Err(Refused::NotDrained);
        }
        Ok(())
    }

    fn ask_claim(&mut self) -> Result<(), Refused> {
        if let Some(owner) = self.owner_node() {
            return Err(Refused::Owned(owner));
        }
        if self.cannot_own() {
            return Err(Refused::Unable(self.own_fitness()));
        }
        self.policy_overridden = true;
        Ok(())
    }

    /// Who owns, as far as this node knows.
    pub(super) fn owner_node(&self) -> Option<NodeId> {
        if self.role.owns() {
            return Some(self.config.node);
        }
        self.owner.map(|index| self.peers[index].node)
    }
}
