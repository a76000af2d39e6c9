//! The list of members while the node runs: from the cluster's log to the node's store, and from there to all
//! that goes by it.
//!
//! ```text
//!  log ─► roster ─► store (disk) ─┬─► transport: whose certificates are good, whom to call
//!                                 ├─► workers: whom packets can be passed on to
//!                                 └─► membership: who votes for a lease
//! ```
//!
//! The disk comes first: others rely on it that who said a list's number goes by no older one after a
//! restart. But for one thing: who is to leave forwards nothing from then on, whatever the disk says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::mpsc::SyncSender;

use cluster_core::NodeId;
use cluster_core::membership::{Kind, List, PathId};
use cluster_net::store::{Electorate, Member, Noted, Roster, StoreError};
use cluster_net::transport;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::heart::{Command, Line, Membership};
use super::limits::MEMBERS_AGAIN;
use super::memory::Note;
use super::plan::{Other, Plan, peer_config};
use crate::shard::Shard;

/// What the task works with.
pub(super) struct Members {
    own: (NodeId, Kind),
    roster: watch::Receiver<Roster>,
    notes: SyncSender<Note>,
    line: Line,
    sender: transport::Sender,
    shards: Vec<Shard>,
    /// Where the others are, and whose address is the node file's: a pair's other node.
    pinned: Option<NodeId>,
    known: BTreeMap<NodeId, Other>,
    /// Firewalls in the order in which the workers know them. Who leaves keeps its place.
    pub(super) firewalls: Vec<Other>,
    geneve_port: u16,
    /// The numbers of this node's paths.
    paths: Vec<PathId>,
    /// Whose certificates are good.
    trusted: BTreeSet<NodeId>,
    /// By which list membership goes, as it was told.
    electorate: Electorate,
    is_behind: bool,
    is_out: bool,
}

impl Members {
    /// What is known at the start.
    pub(super) fn new(
        plan: &Plan,
        (roster, shards): (watch::Receiver<Roster>, Vec<Shard>),
        (notes, line): (SyncSender<Note>, Line),
        sender: transport::Sender,
    ) -> Self {
        Self {
            own: (plan.identity.node, plan.kind),
            roster,
            notes,
            line,
            sender,
            shards,
            pinned: plan.pinned,
            known: plan.trusted.iter().map(|other| (other.node, *other)).collect(),
            firewalls: plan.firewalls().collect(),
            geneve_port: plan.geneve_port,
            paths: plan.path_ids(),
            trusted: plan.members(),
            electorate: plan.electorate.clone(),
            is_behind: false,
            is_out: plan.is_out,
        }
    }

    /// Runs until nobody tells of the log any more.
    pub(super) async fn run(mut self) {
        self.roster.mark_changed();
        while self.roster.changed().await.is_ok() {
            self.take().await;
        }
    }

    /// Goes by what the log says now.
    async fn take(&mut self) {
        let mut told = false;
        loop {
            // While the disk refuses, the log may go on.
            let roster = self.roster.borrow_and_update().clone();
            if roster.puts_out(self.own.0) {
                self.stand_out().await;
            }
            match self.note(roster).await {
                Some(Ok(noted)) => return self.go_by(noted).await,
                Some(Err(error)) if !told => {
                    told = true;
                    tracing::error!(%error, "the list of members cannot be noted: the earlier one stays");
                }
                // The store's thread has much to do, or has ended.
                Some(Err(_)) | None => {}
            }
            sleep(MEMBERS_AGAIN).await;
        }
    }

    /// Goes by what is on the disk.
    async fn go_by(&mut self, noted: Noted) {
        let Noted { electorate, is_behind, trusted, is_out } = noted;
        if is_out {
            self.stand_out().await;
        }
        if is_behind && !self.is_behind {
            tracing::error!(
                "this node was away while the members changed too often, and goes by an old list: let it \
                 leave, wipe the folder `cluster` of its data directory, and let it join anew"
            );
        }
        self.is_behind = is_behind;
        self.trust(&trusted).await;
        if electorate == self.electorate {
            return;
        }
        match self.membership(&electorate) {
            Ok(membership) => {
                self.electorate = electorate;
                self.tell(|| Command::Members(Box::new(membership.clone()))).await;
            }
            Err(node) => {
                tracing::error!(%node, "no address of the member is known: the earlier list stays")
            }
        }
    }

    /// Forwards no more. Before it is on the disk: who stays counts on it.
    async fn stand_out(&mut self) {
        if self.is_out {
            return;
        }
        self.is_out = true;
        tracing::error!(
            "THIS NODE IS NO MEMBER OF THE CLUSTER ANY MORE: it forwards nothing. When `ringwall show \
             cluster` on another one does not name it, stop its daemon; to let it in again, wipe the folder \
             `cluster` of its data directory and join anew"
        );
        self.tell(|| Command::Removed).await;
    }

    async fn note(&self, roster: Roster) -> Option<Result<Noted, StoreError>> {
        let (answer, answered) = oneshot::channel();
        self.notes.try_send(Note::Roster(Box::new(roster), answer)).ok()?;
        answered.await.ok()
    }

    /// Whom to talk to, and where; who is new is called.
    async fn trust(&mut self, members: &BTreeMap<NodeId, Member>) {
        let others = members.iter().filter(|(node, _)| **node != self.own.0);
        for (node, member) in others {
            let Some(address) = member.addresses.first().copied() else { continue };
            let told = Other { node: *node, kind: member.kind, address };
            let pinned = self.known.get(node).filter(|_| self.pinned == Some(*node));
            let other = pinned.copied().unwrap_or(told);
            self.known.insert(*node, other);
            if self.trusted.insert(*node) {
                tracing::info!(%node, %address, "the node may connect");
            }
            if !self.sender.call_at(other.address) {
                tracing::error!(%node, "too many nodes are called: this one is not");
            }
            match self.firewalls.iter_mut().find(|it| it.node == *node) {
                Some(known) => *known = other,
                None if other.kind == Kind::Firewall => self.firewalls.push(other),
                None => {}
            }
        }
        self.trusted = members.keys().copied().chain([self.own.0]).collect();
        self.sender.set_members(self.trusted.clone());
        self.introduce().await;
    }

    /// Tells the workers of all firewalls.
    async fn introduce(&self) {
        let at = |it: &Other| SocketAddr::new(it.address.ip(), self.geneve_port);
        let all: Vec<SocketAddr> = self.firewalls.iter().map(at).collect();
        for shard in &self.shards {
            let all = all.clone();
            if shard.ask(move |worker| worker.meet(&all)).await.is_err() {
                tracing::error!(shard = shard.index, "a worker does not learn of the members");
            }
        }
    }

    /// Who votes, as the membership thread takes it; or of whom no address is known.
    fn membership(&self, electorate: &Electorate) -> Result<Membership, NodeId> {
        let Electorate { version, members, earlier } = electorate;
        let others = members.iter().filter(|node| **node != self.own.0);
        let others = others.map(|node| self.known.get(node).ok_or(*node));
        let others: Vec<&Other> = others.collect::<Result<_, _>>()?;
        let peers = others.iter().map(|it| peer_config(self.own.1, it, &self.paths)).collect();
        let earlier = earlier.iter().map(|list| list.iter().copied().collect()).collect();
        Ok(Membership {
            list: List { version: *version, peers, earlier },
            fabric: others.iter().map(|it| (it.node, it.address.ip())).collect(),
            firewalls: self.firewalls.iter().map(|it| it.node).collect(),
        })
    }

    /// Tells the membership thread, which always has room within a turn.
    async fn tell(&self, command: impl Fn() -> Command) {
        while !self.line.tell(command()) {
            sleep(MEMBERS_AGAIN).await;
        }
    }
}
