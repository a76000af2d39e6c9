//! A witness: a member that votes, on who owns and on the policy, and has no ports, workers or sessions.
//!
//! It runs the same membership machine and the same log as a firewall, over the fabric alone. Two firewalls
//! then have a majority without each other, so that no cut between them lets both forward. What is agreed on
//! with its help can also be asked for here.

use std::fmt;
use std::path::Path;

use cluster_core::NodeId;
use cluster_core::membership::Kind;
use cluster_net::identity::Papers;
use cluster_net::store::Roster;
use config::api;
use datapath::Lease;
use ractor::ActorRef;
use tokio::sync::{mpsc, watch};
use wire::Time;

use crate::clock;
use crate::cluster::limits::ADMITTED;
use crate::cluster::{Around, ClusterError, Loom, Part, Plan};
use crate::epochs::Epochs;
use crate::node::StartError;
use crate::policy::{self, Author, Desk, Origin, Permit, PolicyMessage};

/// A running witness.
pub struct Witness {
    name: String,
    id: u16,
    started: Time,
    part: Part,
    policy: ActorRef<PolicyMessage>,
    desk: Desk,
    in_force: watch::Receiver<policy::InForce>,
}

impl Witness {
    /// Starts it.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: config::Node) -> Result<Self, StartError> {
        let plan = Plan::read(&config, Kind::Witness)?.ok_or(ClusterError::NoFabric)?;
        let (node, folder) = (NodeId(config.id), Path::new(&config.data_dir));
        let (in_force, founding) =
            policy::first(&policy::shared_folder(folder), node, &[]).map_err(StartError::Data)?;
        let epochs = Epochs::new(&in_force, 0);
        let (in_force, seen) = watch::channel(in_force);
        let passing = plan.passing(&config, &[]).await;
        let loom = Loom::new(&plan, passing, 0);
        let (name, roster) = (plan.cluster().clone(), plan.roster());
        let permit = Permit::default();
        // Without ports nothing of them will ever change.
        let (_, watched) = watch::channel(Vec::new());
        let (members, told) = watch::channel(Roster::default());
        let (admit, admitted) = mpsc::channel(ADMITTED);
        let around = Around {
            shards: Vec::new(),
            lease: Lease::default(),
            word: None,
            watched,
            in_force: seen.clone(),
            permit: permit.clone(),
            roster: told,
            admitted: admit,
            papers: Papers::new(folder),
            digests: None,
        };
        let part = Part::start(plan, loom, around).await?;
        let sender = part.sender().clone();
        let grounds =
            founding.clustered(&name, node, sender.clone(), Origin::Joined, roster).await?;
        let staff = policy::Staff {
            node,
            founding,
            grounds,
            sender: Some(sender),
            permit,
            standing: part.standing(),
            roster: members,
            admitted,
            in_force,
            epochs,
            ports: Vec::new(),
            implicit: Vec::new(),
            shards: Vec::new(),
            program: None,
        };
        let (policy, desk) = policy::start(staff)
            .await
            .map_err(|error| StartError::System(format!("an actor: {error}")))?;
        if !clock::offset().is_zero() {
            tracing::warn!(ahead = ?clock::offset(), "a test has set this node's clock");
        }
        let (name, id, started) = (config.name, config.id, clock::now());
        Ok(Self { name, id, started, part, policy, desk, in_force: seen })
    }

    /// What it is and how it does.
    #[must_use]
    pub fn status(&self) -> api::Status {
        let up = clock::now().since(self.started);
        api::Status {
            name: self.name.clone(),
            id: self.id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_milliseconds: u64::try_from(up.as_millis()).unwrap_or(u64::MAX),
            epoch: self.in_force.borrow().version.epoch.0,
            digest: String::new(),
            sessions: 0,
            sessions_max: 0,
            workers: Vec::new(),
            capabilities: Vec::new(),
            syslog: Vec::new(),
        }
    }

    /// What membership knows.
    ///
    /// # Errors
    /// Its thread does not answer.
    pub async fn cluster(&self) -> Result<api::Cluster, api::Error> {
        self.part.view().await
    }

    /// Puts a policy in force on every firewall, or none.
    ///
    /// # Errors
    /// As at a firewall.
    pub async fn commit(
        &self,
        request: api::CommitRequest,
        author: Author,
    ) -> Result<api::Committed, api::Error> {
        self.desk.commit(request, author).await
    }

    /// Puts an earlier revision in force again.
    ///
    /// # Errors
    /// As at a firewall.
    pub async fn rollback(
        &self,
        request: api::RollbackRequest,
        author: Author,
    ) -> Result<api::Committed, api::Error> {
        self.desk.rollback(request, author).await
    }

    /// Keeps the policy that is on trial.
    ///
    /// # Errors
    /// As at a firewall.
    pub async fn confirm(
        &self,
        request: api::ConfirmRequest,
        author: Author,
    ) -> Result<api::Confirmed, api::Error> {
        self.desk.confirm(request, author).await
    }

    /// All revisions that are kept.
    ///
    /// # Errors
    /// None that is known.
    pub async fn history(&self) -> Result<api::History, api::Error> {
        self.desk.history().await
    }

    /// How two revisions differ.
    ///
    /// # Errors
    /// One of them is not kept.
    pub async fn compare(
        &self,
        request: api::CompareRequest,
    ) -> Result<api::Comparison, api::Error> {
        self.desk.compare(request).await
    }

    /// The log of the policy.
    #[must_use]
    pub fn policy_status(&self) -> api::PolicyStatus {
        self.desk.status()
    }

    /// Changes who belongs to the cluster.
    ///
    /// # Errors
    /// The cluster does not agree.
    pub async fn change_member(
        &self,
        request: api::MemberRequest,
        author: Author,
    ) -> Result<api::Done, api::Error> {
        self.desk.change_member(request, author).await
    }

    /// Lets one node join, by a token.
    ///
    /// # Errors
    /// The node has no authority.
    pub async fn make_token(
        &self,
        request: api::TokenRequest,
    ) -> Result<api::TokenMade, api::Error> {
        self.part.make_token(request).await
    }

    /// Says that it goes, and stops.
    pub async fn shutdown(&self) {
        self.part.shutdown().await;
        let _ = self.policy.stop_and_wait(None, None).await;
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("name", &self.name).finish_non_exhaustive()
    }
}
