//! What goes into a member, and what comes out.

use core::ops::Range;
use std::net::IpAddr;
use std::time::Duration;

use wire::Time;

use super::fitness::{Class, Fitness, Readiness};
use super::heartbeat::{HEARTBEAT_LEN, PathId};
use super::lists::List;
use super::liveness::Diagnostic;
use super::ownership::Role;
use super::vips::Vip;
use crate::{Boot, NodeId, Term};

/// What a node must not forget over a restart: else it could claim a term twice, or vote twice in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The highest term that this node ever claimed or voted for.
    pub term: Term,
    /// For whom it voted in that term; itself, if it claimed.
    pub vote: Option<NodeId>,
    /// Whether the operator has taken it out of service.
    pub drained: bool,
}

/// Everything a member can be told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A heartbeat came by `path`.
    Heartbeat {
        /// The path it came by.
        path: PathId,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// Time has passed.
    Timeout,
    /// These facts are on disk now, as an [`Output::Persist`] asked.
    Persisted(Facts),
    /// An [`Output::LeaseEnd`] has reached every worker, and what was left to replicate is sent.
    Stopped {
        /// The end's number.
        number: u64,
    },
    /// What speaks against this node now; the operator's drain is not the driver's to tell.
    Fitness(Fitness),
    /// Whether the replicas are complete.
    Readiness(Readiness),
    /// The digest of the policy in force.
    Policy([u8; 16]),
    /// A path is switched on or off.
    Path {
        /// The peer it leads to.
        peer: NodeId,
        /// The path.
        path: PathId,
        /// On or off.
        enabled: bool,
    },
    /// Somebody else was seen to use one of the group's addresses.
    Conflict(IpAddr),
    /// The operator asks for something; answered by [`Output::Answer`].
    Request(Request),
    /// The cluster has another list of members, which is on disk.
    Members(&'a List),
}

/// What an operator can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// Hand the ownership over, as planned.
    Failover,
    /// Take this node out of service.
    Drain,
    /// Put it back.
    Resume,
    /// Take over even with another policy than the dead owner's.
    Claim,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// This node does not own; that one does.
    NotOwner(Option<NodeId>),
    /// This node owns already, or another does.
    Owned(NodeId),
    /// No other firewall is heard, or none that follows this node.
    NoPeer,
    /// The peer is not fit enough to own.
    PeerUnfit(NodeId, Fitness),
    /// The peer's replicas are not complete.
    PeerNotReady(NodeId, Readiness),
    /// The peer runs another policy.
    PeerPolicyDiffers(NodeId),
    /// A switchover is under way.
    Busy,
    /// The node is not out of service.
    NotDrained,
    /// The node cannot own.
    Unable(Fitness),
}

/// Everything a member wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes.
    SendHeartbeat {
        /// To that peer,
        to: NodeId,
        /// by that path.
        path: PathId,
        /// The whole heartbeat.
        bytes: [u8; HEARTBEAT_LEN],
    },
    /// Note this down durably, one after the other, then say so by [`Input::Persisted`].
    Persist(Facts),
    /// Forward until then.
    LeaseUntil(Time),
    /// Forward no more, from now on; then say so by [`Input::Stopped`].
    LeaseEnd {
        /// Counts the ends.
        number: u64,
    },
    /// This node owns `slots` in `term`. Comes again with a higher term, if it has to raise it.
    BecomeOwner {
        /// The term.
        term: Term,
        /// The slots: all of them, for a VIP group.
        slots: Range<u16>,
    },
    /// This node owns no more.
    StopOwning {
        /// The term that it owned in.
        term: Term,
    },
    /// Pass packets that arrive while there is no lease on to the new owner, for a while. It comes before
    /// the [`Output::LeaseEnd`] of a switchover.
    PassOn {
        /// The new owner: it has claimed, and has no lease yet.
        to: NodeId,
        /// Until then.
        until: Time,
    },
    /// Replicate sessions with that firewall from now on, and with nobody else; or with nobody.
    Replicate {
        /// With whom.
        with: Option<NodeId>,
    },
    /// Put the address on its port.
    AddAddress(Vip),
    /// Take it off.
    RemoveAddress(Vip),
    /// Announce it to the segment.
    Announce(Vip),
    /// The answer to a request.
    Answer(Request, Result<(), Refused>),
    /// Tell people.
    Event(Event),
}

/// Why the ownership moved here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nobody owned at the start.
    Start,
    /// The owner fell silent.
    OwnerSilent,
    /// The owner said that it had stopped.
    OwnerStopped,
    /// The owner handed over.
    Switchover,
    /// The owner's lease ended here, and nobody took over.
    Regained,
}

/// What people want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The role changed.
    Role {
        /// Before.
        from: Role,
        /// Now.
        to: Role,
        /// The term noted on disk.
        term: Term,
    },
    /// This node owns now.
    TookOver {
        /// The term.
        term: Term,
        /// Why.
        why: Why,
        /// From the last sign of the old owner to the claim.
        detection: Duration,
    },
    /// The planned switchover did not come about; this node goes on.
    SwitchoverFailed {
        /// Who was to own.
        to: NodeId,
    },
    /// Both nodes of the pair may have forwarded in this interval (this node's clock).
    SplitHealed {
        /// When this node began to forward alone.
        from: Time,
        /// When it heard the other.
        to: Time,
    },
    /// This node was not run for this long, and listens anew.
    Paused(Duration),
    /// A path came up or went down.
    Path {
        /// The peer.
        peer: NodeId,
        /// The path.
        path: PathId,
        /// Whether it is up.
        up: bool,
        /// Why it went down.
        diagnostic: Diagnostic,
    },
    /// A peer has started anew.
    PeerBooted {
        /// The peer.
        peer: NodeId,
        /// Its boot.
        boot: Boot,
    },
    /// A peer's class changed.
    PeerClass {
        /// The peer.
        peer: NodeId,
        /// What its fitness comes to.
        class: Class,
    },
    /// The dead owner ran another policy than this node, which therefore does not take over.
    PolicyDiffers {
        /// The dead owner.
        owner: NodeId,
    },
    /// A peer has another list of members, made by files. Who has the older one does not own until it is told
    /// anew.
    MembersDiffer {
        /// The peer.
        peer: NodeId,
        /// Whether this node's list is the old one.
        ours_is_old: bool,
    },
    /// No list of members counts any more but this one.
    MembersSettled {
        /// Which one of the log it is.
        version: u32,
    },
    /// Somebody else uses an address that this node holds.
    AddressConflict(IpAddr),
}
