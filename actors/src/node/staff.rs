//! The node's actors, in the order in which they start; and what its policy begins with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cluster_core::{Boot, NodeId};
use cluster_net::identity::Papers;
use cluster_net::store::Roster;
use cluster_net::transport::Sender;
use datapath::Lease;
use datapath::xdp::{BlockList, BpfDir, LeaseWord};
use engine::Event;
use engine::screen::Observation;
use ractor::Actor;
use rtrb::Consumer;
use tokio::sync::{mpsc, watch};

use super::{Actors, Permission, Seed, StartError, lock};
use crate::clock;
use crate::cluster::limits::ADMITTED;
use crate::cluster::{Around, Loom, Part, Plan};
use crate::epochs::Epochs;
use crate::flow::Wanted;
use crate::gate::Gate;
use crate::keeper::{Keeper, KeeperActor};
use crate::limits::DIGESTS_QUEUE;
use crate::mirror::{Mirror, Update};
use crate::policy::{self, Desk, Founding, Grounds, InForce, Origin, Permit, Standing};
use crate::ports::{Ports, PortsActor, Watched};
use crate::screener;
use crate::shard::Shard;
use crate::telemetry::{Telemetry, TelemetryActor};

/// What a node's policy begins with.
pub(super) struct Beginning {
    pub(super) in_force: InForce,
    founding: Founding,
    origin: Origin,
    /// A node that is alone runs its first policy before it counts as started.
    waits: bool,
}

impl Beginning {
    /// Reads what the node ran last; if that is nothing, what it is to begin with.
    pub(super) fn read(
        config: &config::Node,
        plan: Option<&Plan>,
        seed: Option<Seed>,
        names: &[String],
    ) -> Result<Self, StartError> {
        let data = Path::new(&config.data_dir);
        let (in_force, founding) = policy::first(&folder(data, plan), NodeId(config.id), names)
            .map_err(StartError::Data)?;
        let founds = plan.is_none_or(Plan::is_founder);
        let inherited = match founding.is_new() && founds {
            true => Founding::inherited(data).map_err(StartError::Data)?,
            false => None,
        };
        if !founds && founding.is_new() {
            tracing::info!("the policy comes from the cluster");
        } else if !founding.is_new() || inherited.is_some() {
            warn_of_other(
                seed.as_ref(),
                founding.text().or(inherited.as_ref().map(|it| &*it.text)),
            );
        } else if let Some(Seed { file, text }) = &seed {
            // Said at once, not by a log.
            policy::check(file, text, names)?;
        } else {
            tracing::warn!("there is no policy: everything is denied until `ringwall commit`");
        }
        let first = inherited.or(seed).filter(|_| founding.is_new());
        let waits = plan.is_none() && (first.is_some() || !founding.is_new());
        let origin = if founds { Origin::Founder(first) } else { Origin::Joined };
        Ok(Self { in_force, founding, origin, waits })
    }
}

fn folder(data: &Path, plan: Option<&Plan>) -> PathBuf {
    match plan {
        Some(_) => policy::shared_folder(data),
        None => data.join("policy"),
    }
}

fn warn_of_other(seed: Option<&Seed>, kept: Option<&str>) {
    if seed.is_some_and(|seed| kept != Some(&seed.text)) {
        tracing::warn!(
            "the policy on the command line is not the one in force, which rules; `ringwall commit` \
             changes it"
        );
    }
}

/// What the node's actors are started with.
pub(super) struct Staff<'a> {
    pub(super) config: &'a config::Node,
    pub(super) bpf_dir: &'a BpfDir,
    pub(super) names: Vec<String>,
    pub(super) beginning: Beginning,
    pub(super) program: Arc<Mutex<Gate>>,
    pub(super) shards: Vec<Shard>,
    pub(super) rings: Vec<Consumer<Event>>,
    pub(super) observed: Vec<Consumer<Observation>>,
    pub(super) lease: Lease,
    pub(super) in_force: watch::Sender<InForce>,
    pub(super) epochs: Epochs,
    pub(super) watched: watch::Sender<Vec<Watched>>,
    pub(super) mirror: Mirror,
    pub(super) updates: mpsc::Receiver<Update>,
    pub(super) wanted: mpsc::Receiver<Wanted>,
    /// On a node of a cluster.
    pub(super) pair: Option<(Plan, Loom)>,
    /// The run of the daemon.
    pub(super) boot: Boot,
    /// Of all sketches of the cluster.
    pub(super) seed: sketch::Seed,
    /// What SYN cookies are made with.
    pub(super) cookies: wire::cookie::Key,
}

/// What others than the ports' actor write to the XDP program.
fn take_maps(program: &Mutex<Gate>) -> Result<(LeaseWord, Option<BlockList>), StartError> {
    let mut program = lock(program);
    Ok((program.lease_word()?, program.take_blocks()))
}

pub(super) async fn start_actors(staff: Staff<'_>) -> Result<(Actors, Desk), StartError> {
    let failed = |error| StartError::System(format!("an actor: {error}"));
    let telemetry = Telemetry::new(staff.rings, staff.names.clone(), staff.epochs.clone());
    let (telemetry, _) = Actor::spawn(None, TelemetryActor, telemetry).await.map_err(failed)?;
    let watched = staff.watched.subscribe();
    let (word, blocks) = take_maps(&staff.program)?;
    let ports = Ports {
        config: staff.config.clone(),
        bpf_dir: staff.bpf_dir.clone(),
        program: Arc::clone(&staff.program),
        shards: staff.shards.clone(),
        watched: staff.watched,
        mirror: staff.mirror,
    };
    let ports = (ports, staff.updates, staff.wanted);
    let (ports, _) = Actor::spawn(None, PortsActor, ports).await.map_err(failed)?;
    let (permit, node) = (Permit::default(), NodeId(staff.config.id));
    let Beginning { founding, origin, waits, .. } = staff.beginning;
    let (roster, members) = watch::channel(Roster::default());
    let (admit, admitted) = mpsc::channel(ADMITTED);
    let (digests, heard) = mpsc::channel(DIGESTS_QUEUE);
    let around = Around {
        shards: staff.shards.clone(),
        lease: staff.lease,
        word: None,
        watched,
        in_force: staff.in_force.subscribe(),
        permit: permit.clone(),
        roster: members,
        admitted: admit,
        papers: Papers::new(Path::new(&staff.config.data_dir)),
        digests: Some(digests),
    };
    let begun = Begun::of(node, staff.pair, (word, around), &founding, origin).await?;
    let Begun { part, grounds, standing, sender } = begun;
    let watch = screener::start(screener::Parts {
        node,
        boot: staff.boot,
        seed: staff.seed,
        shards: staff.shards.clone(),
        in_force: staff.in_force.subscribe(),
        fabric: part.as_ref().ok().map(|part| part.screens(heard)),
        blocks,
        observed: staff.observed,
        key: staff.cookies,
    })
    .map_err(StartError::Data)?;
    let policy = policy::Staff {
        node,
        founding,
        grounds,
        sender,
        permit: permit.clone(),
        standing,
        roster,
        admitted,
        in_force: staff.in_force,
        epochs: staff.epochs,
        ports: staff.names,
        implicit: policy::implicit(staff.config),
        shards: staff.shards,
        program: Some(staff.program),
    };
    let (policy, desk) = policy::start(policy).await.map_err(failed)?;
    if waits {
        first_policy(&permit).await?;
    }
    let permission = Permission::start(part).await?;
    Ok((Actors { policy, ports, telemetry, permission, watch }, desk))
}

impl Permission {
    async fn start(part: Result<Part, Keeper>) -> Result<Self, StartError> {
        match part {
            Ok(part) => Ok(Self::Cluster(Box::new(part))),
            Err(keeper) => {
                let keeper = Actor::spawn(None, KeeperActor, keeper).await;
                let failed = |error| StartError::System(format!("an actor: {error}"));
                keeper.map(|(keeper, _)| Self::Keeper(keeper)).map_err(failed)
            }
        }
    }
}

/// What the policy's actor stands on: a part in a cluster, or a keeper of the lease.
struct Begun {
    part: Result<Part, Keeper>,
    grounds: Grounds,
    standing: watch::Receiver<Standing>,
    sender: Option<Sender>,
}

impl Begun {
    async fn of(
        node: NodeId,
        pair: Option<(Plan, Loom)>,
        (word, around): (LeaseWord, Around),
        founding: &Founding,
        origin: Origin,
    ) -> Result<Self, StartError> {
        match pair {
            Some(pair) => {
                let around = Around { word: Some(word), ..around };
                Self::in_cluster(pair, around, founding, origin).await
            }
            None => Self::alone(node, word, around, founding, origin).await,
        }
    }

    async fn in_cluster(
        (plan, loom): (Plan, Loom),
        around: Around,
        founding: &Founding,
        origin: Origin,
    ) -> Result<Self, StartError> {
        let (name, node, roster) = (plan.cluster().clone(), plan.node(), plan.roster());
        let part = Part::start(plan, loom, around).await?;
        let (sender, standing) = (part.sender().clone(), part.standing());
        let grounds = founding.clustered(&name, node, sender.clone(), origin, roster).await?;
        Ok(Self { part: Ok(part), grounds, standing, sender: Some(sender) })
    }

    async fn alone(
        node: NodeId,
        word: LeaseWord,
        around: Around,
        founding: &Founding,
        origin: Origin,
    ) -> Result<Self, StartError> {
        let Around { shards, lease, permit, .. } = around;
        let pulses = shards.iter().map(|shard| shard.pulse.clone()).collect();
        let keeper = Keeper { pulses, lease, word, permit, stuck: false };
        let grounds = founding.alone(node, origin).await?;
        // Nobody else could agree on anything.
        let (_, standing) = watch::channel(Standing { alone: true, ..Standing::default() });
        Ok(Self { part: Err(keeper), grounds, standing, sender: None })
    }
}

/// Waits until a node that is alone may forward under its policy.
async fn first_policy(permit: &Permit) -> Result<(), StartError> {
    let begun = clock::now();
    while !permit.would_take(clock::boottime()) {
        if clock::now().since(begun) > policy::FIRST_POLICY {
            let error = "the policy was not in force in time; the log says why".to_owned();
            return Err(config::api::Error::new(error).into());
        }
        tokio::time::sleep(policy::FIRST_POLICY_LOOK).await;
    }
    Ok(())
}
