//! What `show cluster` tells: this node, the others, the paths, and the last failover.

use std::time::Duration;

use wire::Time;

use super::config::Kind;
use super::fitness::{Fitness, Readiness};
use super::heartbeat::PathId;
use super::lease::Ground;
use super::liveness::State;
use super::messages::Why;
use super::ownership::Role;
use super::peer::{Path, Peer};
use super::{Claim, Member};
use crate::{Boot, NodeId, Term};

/// The cluster as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// This node.
    pub node: NodeId,
    /// Its boot.
    pub boot: Boot,
    /// Its role.
    pub role: Role,
    /// The highest term it has claimed or voted for.
    pub term: Term,
    /// For whom it voted in that term.
    pub vote: Option<NodeId>,
    /// Who owns, as far as it knows.
    pub owner: Option<NodeId>,
    /// With whom it replicates sessions.
    pub partner: Option<NodeId>,
    /// What is left of its lease, and what that rests on.
    pub lease: Option<(Duration, Ground)>,
    /// What speaks against it.
    pub fitness: Fitness,
    /// Whether its replicas are complete.
    pub readiness: Readiness,
    /// Whether the dead owner's other policy keeps it from taking over.
    pub policy_differs: bool,
    /// Whether it waits for its disk.
    pub saving: bool,
    /// The others.
    pub members: Vec<MemberView>,
    /// Which list of the log they are, and whether no earlier one counts.
    pub list: (u32, bool),
    /// The last time that it became owner.
    pub last_failover: Option<Failover>,
}

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Its number.
    pub node: NodeId,
    /// What it is for.
    pub kind: Kind,
    /// Its boot, if it was ever heard.
    pub boot: Option<Boot>,
    /// How long ago it was heard.
    pub heard_ago: Option<Duration>,
    /// What it said last.
    pub said: Option<Said>,
    /// The paths to it.
    pub paths: Vec<PathView>,
}

/// What a member said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// What was left of its lease.
    pub lease_left: Duration,
    /// Its rank.
    pub rank: u16,
    /// What speaks against it.
    pub fitness: Fitness,
    /// Whether its replicas are complete.
    pub readiness: Readiness,
    /// Whether it runs the same policy as this node.
    pub same_policy: bool,
}

/// A path to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathView {
    /// Its number.
    pub path: PathId,
    /// The state of its session.
    pub state: State,
    /// The last round trip.
    pub round_trip: Option<Duration>,
    /// Between two heartbeats.
    pub interval: Duration,
    /// Heartbeats whose BFD part said nothing about the session.
    pub ignored: u64,
}

/// A change of ownership to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failover {
    /// When it owned (its clock).
    pub at: Time,
    /// The last owner, if one was known.
    pub from: Option<NodeId>,
    /// The term then.
    pub term: Term,
    /// Why.
    pub why: Why,
    /// From the last sign of the old owner to the claim.
    pub detection: Duration,
    /// From the claim to the lease: disk and votes.
    pub claiming: Duration,
}

impl Member {
    /// What there is to tell, as of the last turn.
    pub fn view(&self) -> View {
        let left = self.lease.until().map(|until| until.since(self.now));
        View {
            node: self.config.node,
            boot: self.boot,
            role: self.role,
            term: self.saved.term,
            vote: self.saved.vote,
            owner: self.owner_node(),
            partner: self.partner.node,
            lease: left.zip(self.lease.ground()),
            fitness: self.own_fitness(),
            readiness: self.readiness,
            policy_differs: self.policy_stands_against(),
            saving: self.saved != self.wanted,
            members: self.peers.iter().map(|peer| self.view_of(peer)).collect(),
            list: (self.config.list, self.config.is_settled()),
            last_failover: self.last_failover,
        }
    }

    /// Who owns, as far as this node knows, and since which term.
    pub fn owner(&self) -> Option<(NodeId, Term)> {
        let owner = self.owner_node()?;
        let term = match owner == self.config.node {
            true => self.owned_term,
            false => self.peers.iter().find(|peer| peer.node == owner)?.said.as_ref()?.term,
        };
        Some((owner, term))
    }

    /// The other members.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().map(|peer| peer.node)
    }

    /// The role of this node.
    pub fn role(&self) -> Role {
        self.role
    }

    fn view_of(&self, peer: &Peer) -> MemberView {
        let said = peer.said.as_ref().map(|said| Said {
            role: said.role,
            term: said.term,
            lease_left: said.lease_left,
            rank: said.rank,
            fitness: said.fitness,
            readiness: said.readiness,
            same_policy: said.policy == self.policy,
        });
        MemberView {
            node: peer.node,
            kind: peer.kind,
            boot: peer.boot(),
            heard_ago: peer.heard_at.map(|at| self.now.since(at)),
            said,
            paths: peer.paths.iter().map(PathView::of).collect(),
        }
    }

    pub(super) fn note_failover(&mut self, claim: Claim, now: Time) {
        self.last_failover = Some(Failover {
            at: now,
            from: claim.from,
            term: self.saved.term,
            why: claim.why,
            detection: claim.detection,
            claiming: now.since(claim.since),
        });
    }
}

impl PathView {
    fn of(path: &Path) -> Self {
        Self {
            path: path.id,
            state: path.session.state(),
            round_trip: path.round_trip,
            interval: path.session.transmit_interval(),
            ignored: path.ignored,
        }
    }
}
