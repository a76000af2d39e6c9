//! What the policy's machines ask of membership: who may still forward although it is not heard.
//!
//! | voters | what is known | an unheard firewall's forwarding has certainly ended |
//! |---|---|---|
//! | two, by any list that counts | | never: it may go on alone |
//! | more | nobody's lease by a majority | never: it may have one |
//! | | this node's is live, or another's is | now, or when our promise to it ends |
//!
//! Two leases by a majority never overlap ([`super::lease`]). That another's is live follows from what it
//! said was left of it, counted from the sending of the heartbeat of ours that it echoed: it had not sent
//! its own before that. An owner may end its lease early, for an heir to begin; then this page is wrong for
//! a lease's life at most. Who lets nodes begin to forward waits longer for each of them
//! ([`CLEARANCE_LAG`](crate::limits::CLEARANCE_LAG)).

use wire::Time;

use super::Member;
use super::config::Kind;
use super::lease::Ground;
use super::peer::Peer;
use crate::NodeId;
use crate::limits::{CLEARANCE_LAG, LEASE};
use crate::policy::coordinator::Liveness;

const _: () = assert!(
    LEASE.as_nanos() < CLEARANCE_LAG.as_nanos(),
    "an heir's lease is known of for as long as the old owner's may be believed in"
);

impl Member {
    /// What is known of a member, as of the last turn. Of this node, and of who is no member, nothing speaks
    /// against its being alive.
    #[must_use]
    pub fn liveness(&self, node: NodeId) -> Liveness {
        let now = self.now;
        let listens_long = now.since(self.listening) >= self.config.timing.takeover;
        match self.peers.iter().find(|peer| peer.node == node) {
            Some(peer) if listens_long && !self.is_near(peer, now) => {
                Liveness::Down { dark_at: self.dark_at(peer, now) }
            }
            Some(_) | None => Liveness::Alive,
        }
    }

    /// Whether this node is one of two, and has heard nothing of the other on any path, since it listens and
    /// speaks, for so long that the other's lease by its acknowledgments has ended: what lets it go on alone.
    #[must_use]
    pub fn is_alone_for_policy(&self, now: Time) -> bool {
        let [peer] = self.peers.as_slice() else { return false };
        self.is_alone_for(peer.patience(&self.config.timing), now)
    }

    /// Whether this node's lease rests on nobody's being heard: its peer may forward as well.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.lease.ground() == Some(Ground::Alone)
    }

    fn dark_at(&self, silent: &Peer, now: Time) -> Time {
        match silent.kind {
            Kind::Witness => return now,
            Kind::Firewall => {}
        }
        let earlier = self.config.earlier.iter();
        let may_be_alone =
            self.peers.len() < 2 || earlier.map(Vec::len).any(|members| members <= 2);
        if may_be_alone || !self.is_another_leased(silent.node, now) {
            return Time::MAX;
        }
        if self.promise.to == Some(silent.node) { self.promise.until.max(now) } else { now }
    }

    /// Whether a lease by a majority is certainly live now that is not this node's.
    fn is_another_leased(&self, node: NodeId, now: Time) -> bool {
        let ours = self.lease.is_live(now) && self.lease.ground() == Some(Ground::Votes);
        let lives = |peer: &Peer| peer.leased_until.is_some_and(|until| until > now);
        ours || self.peers.iter().any(|peer| peer.node != node && lives(peer))
    }
}
