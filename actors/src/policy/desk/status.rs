//! How a node stands to what its cluster agrees on; and changes of who belongs to it.

use cluster_core::NodeId;
use cluster_core::membership::Kind;
use cluster_core::policy::log::{Action, leave};
use cluster_core::replication::Histogram;
use cluster_net::raft::{Change, ProposeError};
use config::api::{self, Error, MemberKind, MemberVerb, PolicyMember, PolicyStatus};
use tokio::time::{sleep, timeout};

use super::{Desk, answers};
use crate::clock;
use crate::policy::Author;
use crate::policy::limits::{CHANGE_TIMEOUT, LEAVE_LOOK, LEAVE_PATIENCE};

impl Desk {
    /// The policy that runs here, and the log from which it came.
    pub(crate) fn status(&self) -> PolicyStatus {
        let seen = self.seen.borrow().clone();
        let version = self.in_force.borrow().version;
        let (pending, members) = self.raft.look(|log, _| {
            let members = log.cluster().members().iter().map(|(node, member)| PolicyMember {
                node: node.0,
                kind: match member.kind {
                    Kind::Firewall => MemberKind::Firewall,
                    Kind::Witness => MemberKind::Witness,
                },
                address: member.address.to_string(),
                name: member.name.to_string(),
            });
            (log.pending().map(pending), members.collect())
        });
        let left = |at: wire::Time| at.since(clock::boottime()).as_millis() as u64;
        PolicyStatus {
            epoch: version.epoch.0,
            source: version.source.0,
            trial: seen.trial.filter(|it| !it.alone).map(|it| api::Trial {
                epoch: it.trial.epoch.0,
                fallback: it.trial.fallback.0,
                left_milliseconds: left(it.deadline.at),
            }),
            pending,
            raft: self.raft_status(),
            may_forward: seen.may_forward,
            unable: seen.unable.map(|why| why.to_string()),
            members,
        }
    }

    fn raft_status(&self) -> api::Raft {
        let status = self.raft.status();
        let leadership = status.leadership;
        let numbers =
            |nodes: &std::collections::BTreeSet<NodeId>| nodes.iter().map(|node| node.0).collect();
        let sync = |permille| quantile(&status.sync_times, permille);
        api::Raft {
            running: leadership.running,
            disk_failed: status.ailment.clone(),
            disk_failures: status.failures,
            recoveries: status.recoveries,
            leader: leadership.leader.map(|node| node.0),
            own: leadership.own,
            term: leadership.term,
            generation: status.generation.map(|it| it.number),
            voters: numbers(&status.voters),
            learners: numbers(&status.learners),
            applied: status.applied,
            last: status.last,
            sync_p50_microseconds: sync(500),
            sync_p99_microseconds: sync(990),
        }
    }

    /// Changes who belongs to the cluster.
    pub(crate) async fn change_member(
        &self,
        request: api::MemberRequest,
        author: Author,
    ) -> Result<api::Done, Error> {
        let api::MemberRequest { verb, node, by, request } = request;
        match (verb, by) {
            (MemberVerb::Promote, _) => self.change(Change::Promote(node)).await?,
            (MemberVerb::Remove, _) => self.remove(node, request, author).await?,
            (MemberVerb::Replace, Some(new)) => {
                self.catch_up().await;
                let named =
                    self.raft.look(|log, _| log.cluster().members().contains_key(&NodeId(new)));
                if !named || !self.raft.status().voters.contains(&NodeId(new)) {
                    return Err(Error::new(format!(
                        "node {new} is no member yet: let it join (`ringwall cluster token`), start its \
                         daemon, and wait until `ringwall show cluster` says that it votes"
                    )));
                }
                self.remove(node, request, author).await?;
            }
            (MemberVerb::Replace, None) => {
                return Err(Error::new("`replace` needs the number of who comes (`by`)"));
            }
        }
        Ok(api::Done {})
    }

    /// Takes a member out: the log says so, upon which it forwards nothing; then the leader takes it out of
    /// the log's voters, and last out of the list by which leases are given. Returns when all that is done.
    async fn remove(
        &self,
        node: u16,
        request: Option<api::RequestId>,
        author: Author,
    ) -> Result<(), Error> {
        let owner = self.standing.borrow().owner.map(|(owner, _)| owner);
        let others = self.raft.look(|log, _| {
            let members = log.cluster().members();
            members.keys().any(|member| *member != NodeId(node))
        });
        if owner == Some(NodeId(node)) && others {
            return Err(Error::new(format!(
                "node {node} owns the addresses now: hand over first (`ringwall cluster failover` there)"
            )));
        }
        if !others {
            return Err(Error::new(format!("node {node} is the only member: nobody would go on")));
        }
        let node = NodeId(node);
        let named = || self.raft.look(|log, _| log.cluster().members().contains_key(&node));
        let action = if named() {
            let (key, value) = leave(node);
            Action::SetSetting { key, value: Some(value) }
        } else {
            Action::RemoveMember { node }
        };
        answers::changed(self.submit(self.id(request), action, author).await?)?;
        let gone = async {
            while named() {
                sleep(LEAVE_LOOK).await;
            }
        };
        timeout(LEAVE_PATIENCE, gone).await.map_err(|_| {
            Error::unknown(format!(
                "node {node} forwards nothing any more, and still votes: leave its daemon running until \
                 `ringwall show cluster` does not name it"
            ))
        })
    }

    async fn change(&self, change: Change) -> Result<(), Error> {
        let changed = self.raft.change(change, CHANGE_TIMEOUT).await;
        changed.map_err(|error| match error {
            ProposeError::Unknown => {
                Error::unknown("whether the members changed is not known: ask again")
            }
            ProposeError::NoLeader => Error::new("no node leads now: nothing changed"),
            ProposeError::Impossible(why) => Error::new(why),
            ProposeError::TooLarge
            | ProposeError::OtherGeneration
            | ProposeError::Disk(_)
            | ProposeError::Stopped => Error::new(format!("the members did not change: {error}")),
        })
    }
}

fn pending(it: &cluster_core::policy::log::Pending) -> api::Pending {
    let author = it.revision.stamp.author.as_str();
    api::Pending {
        epoch: it.revision.version.epoch.0,
        author: (!author.is_empty()).then(|| author.to_owned()),
        proposed_unix_seconds: Some(it.revision.stamp.wall.0 / 1_000),
        confirm_milliseconds: it.confirm.map(|span| span.as_millis() as u64),
    }
}

/// Microseconds below which so many of a thousand lie.
fn quantile(times: &Histogram, permille: u64) -> Option<u64> {
    let time = times.below(permille).filter(|_| times.count() > 0);
    time.map(|time| time.as_micros() as u64)
}
