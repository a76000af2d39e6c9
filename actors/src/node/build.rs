//! Starting a node.

use std::path::Path;
use std::sync::{Arc, Mutex};

use af_xdp::Umem;
use cluster_core::Boot;
use cluster_core::membership::Kind;
use datapath::xdp::{BpfDir, Mode as XdpMode, PortConfig, Program};
use datapath::{Bell, Lease, Parts, Peer, Worker, XskPort};
use engine::alg::Steering;
use engine::fib::FibChange;
use engine::screen::Observation;
use engine::{Engine, Event, Mode, Owners, PortId, Settings, WorkerId};
use rtrb::{Consumer, RingBuffer};
use tokio::sync::{mpsc, watch};
use wire::SLOTS;

use super::staff::{Beginning, Staff, start_actors};
use super::{Node, StartError, lock};
use crate::clock;
use crate::cluster::{ClusterError, Loom, Plan};
use crate::epochs::Epochs;
use crate::flow::{Wanted, XskWorker};
use crate::gate::Gate;
use crate::limits::WANTED_QUEUE;
use crate::mirror::{LinkState, Mirror, MirrorPort, Update};
use crate::opening::{self, Bound, Interface};
use crate::policy::{self, InForce};
use crate::ports::Watched;
use crate::shard::{Crewman, Shard};

/// A policy given on the command line: name of its file, and its text with lists inlined.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Name of the file.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// Starts a node. `seed` is put in force when the data directory has no policy yet, and ignored with
/// a warning when it has.
///
/// # Errors
/// [`StartError`]; nothing is left attached that was not before.
pub async fn start(config: config::Node, seed: Option<Seed>) -> Result<Node, StartError> {
    let plan = Plan::read(&config, Kind::Firewall)?;
    let bpf_dir = BpfDir::prepare(Path::new(&config.bpf_dir))?;
    let mut program = Gate::new(Program::load()?);
    let names: Vec<String> = config.ports.iter().map(|port| port.name.clone()).collect();
    let beginning = Beginning::read(&config, plan.as_ref(), seed, &names)?;
    let in_force = beginning.in_force.clone();
    let (mirror, mut updates) =
        Mirror::start(mirrored(&config)).await.map_err(StartError::Mirror)?;
    let state = first_state(&mut updates).await?;
    let watched = watched(&config, &state.links)?;
    watched
        .iter()
        .filter_map(|seen| seen.link.ifindex)
        .try_for_each(|ifindex| bpf_dir.refuse_held(ifindex))?;
    describe(&mut program, &config, &watched, &state)?;
    let program = Arc::new(Mutex::new(program));
    let inbound = policy::host_inbound(&in_force.source, &names, &policy::implicit(&config))?;
    lock(&program).set_policy(&in_force.compiled, &inbound)?;
    let lease = Lease::default();
    let secrets = Secrets::draw(plan.as_ref()).map_err(StartError::Data)?;
    let mut loom = loom(plan.as_ref(), &config, &watched, &secrets).await;
    let crew = crew(&config, &watched, &in_force, &state.changes, (&lease, &secrets))?;
    let (wants, wanted) = mpsc::channel(WANTED_QUEUE);
    let (shards, threads) = start_shards(&config, crew.workers, &wants, &mut loom)?;
    attach(&program, &bpf_dir, &watched, &crew.bound)?;
    let epochs = Epochs::new(&in_force, names.len());
    let (in_force, in_force_seen) = watch::channel(in_force);
    let (watched, watched_seen) = watch::channel(watched);
    let (actors, desk) = start_actors(Staff {
        config: &config,
        bpf_dir: &bpf_dir,
        names,
        beginning,
        program: Arc::clone(&program),
        shards: shards.clone(),
        rings: crew.rings,
        observed: crew.observed,
        lease,
        in_force,
        epochs: epochs.clone(),
        watched,
        mirror,
        updates,
        wanted,
        pair: plan.zip(loom),
        boot: Boot(secrets.boot),
        seed: engine::screen::seed(secrets.secret),
        cookies: wire::cookie::Key::new(secrets.secret),
    })
    .await?;
    if !clock::offset().is_zero() {
        tracing::warn!(ahead = ?clock::offset(), "a test has set this node's clock");
    }
    Ok(Node {
        config,
        started: clock::now(),
        shards,
        threads: Mutex::new(threads),
        program,
        in_force: in_force_seen,
        epochs,
        watched: watched_seen,
        desk,
        actors,
    })
}

/// What the workers of a cluster's node are joined to the others by.
async fn loom(
    plan: Option<&Plan>,
    config: &config::Node,
    watched: &[Watched],
    secrets: &Secrets,
) -> Option<Loom> {
    let plan = plan?;
    let passing = plan.passing(config, watched).await;
    Some(Loom::new(plan, passing, secrets.seed[0] ^ secrets.seed[1]))
}

fn mirrored(config: &config::Node) -> Vec<MirrorPort> {
    let port = |(index, port): (usize, &config::Port)| MirrorPort {
        id: PortId(index as u16),
        interface: port.interface.clone(),
        domain: port.domain,
    };
    config.ports.iter().enumerate().map(port).collect()
}

/// What the kernel knows at the start.
struct State {
    changes: Vec<FibChange>,
    links: Vec<LinkState>,
    addresses: Vec<(u16, std::net::IpAddr)>,
}

async fn first_state(updates: &mut mpsc::Receiver<Update>) -> Result<State, StartError> {
    match updates.recv().await {
        Some(Update::Resync { changes, links, host_addresses }) => {
            Ok(State { changes, links, addresses: host_addresses })
        }
        Some(Update::Changes(_) | Update::Link(_) | Update::HostAddresses(_)) | None => {
            Err(StartError::System("a first look at its interfaces and routes".to_owned()))
        }
    }
}

/// Each port with its interface as it is now. At the start all must be there.
fn watched(config: &config::Node, links: &[LinkState]) -> Result<Vec<Watched>, StartError> {
    let mut watched = Vec::new();
    for (index, port) in config.ports.iter().enumerate() {
        let link = links.iter().find(|link| usize::from(link.port.0) == index);
        let Some(link) = link.filter(|link| link.ifindex.is_some()) else {
            let (port, interface) = (port.name.clone(), port.interface.clone());
            return Err(StartError::NoInterface { port, interface });
        };
        let seen = Watched::new(config, index, link.clone());
        let most = opening::largest_packet(config.frame_size);
        if link.mtu > most {
            return Err(StartError::Mtu { port: port.name.clone(), mtu: link.mtu, most });
        }
        if let Some(interface) = seen.interface() {
            opening::check_queues(&interface, config.workers)?;
        }
        watched.push(seen);
    }
    Ok(watched)
}

fn describe(
    program: &mut Gate,
    config: &config::Node,
    watched: &[Watched],
    state: &State,
) -> Result<(), StartError> {
    for (index, seen) in watched.iter().enumerate() {
        if let Some(ifindex) = seen.link.ifindex {
            program.set_port(ifindex, &port_config(config, index, seen.link.mac))?;
        }
    }
    program.set_vips(&vips(config).collect::<Vec<_>>())?;
    program.set_own(&state.addresses)?;
    Ok(())
}

/// The same by port.
fn shared(config: &config::Node) -> Vec<(PortId, std::net::IpAddr)> {
    shared_vips(config).iter().map(|vip| (PortId(vip.port as u16), vip.address)).collect()
}

/// The addresses that this node shares with others, by domain.
fn vips(config: &config::Node) -> impl Iterator<Item = (u16, std::net::IpAddr)> {
    shared_vips(config).iter().map(|vip| (config.ports[vip.port].domain, vip.address))
}

/// Those of a node of a cluster; alone it shares none.
fn shared_vips(config: &config::Node) -> &[config::Vip] {
    if config.cluster.is_some() { &config.vips } else { &[] }
}

/// A port as the XDP program sees it.
pub(crate) fn port_config(config: &config::Node, index: usize, mac: [u8; 6]) -> PortConfig {
    let mode = match config.wire_peer(index) {
        Some(_) => XdpMode::Wire,
        None => XdpMode::Routed,
    };
    let domain = config.ports[index].domain;
    PortConfig { index: index as u16, mode, domain, mac: Some(mac) }
}

/// The workers with what belongs to them.
#[derive(Default)]
struct Crew {
    workers: Vec<XskWorker>,
    rings: Vec<Consumer<Event>>,
    observed: Vec<Consumer<Observation>>,
    /// Sockets by port.
    bound: Vec<(PortId, Bound)>,
}

fn crew(
    config: &config::Node,
    watched: &[Watched],
    in_force: &InForce,
    changes: &[FibChange],
    (lease, secrets): (&Lease, &Secrets),
) -> Result<Crew, StartError> {
    let bells = (0..config.workers).map(|_| Bell::new()).collect::<Result<Vec<_>, _>>();
    let bells = bells.map_err(StartError::Data)?;
    let mut crew = Crew::default();
    let owners = Arc::new(owners(config.workers));
    // One worker alone needs nobody to be told where anything is.
    let steering = (config.workers > 1).then(|| Arc::new(Steering::new(secrets.seed[1])));
    for (index, peers) in introduce(&bells).into_iter().enumerate() {
        let mut umem = opening::umem(config.frames, config.frame_size)?;
        let ports = open_ports(&mut umem, config, watched, index as u16, &mut crew.bound)?;
        let settings = settings(config, watched, index, secrets);
        let mut engine = Engine::new(settings, clock::now());
        engine.set_shared(&shared(config));
        let host_udp: Vec<_> = policy::implicit(config).iter().map(|own| own.udp).collect();
        engine.set_host_udp(&host_udp);
        engine.set_policy(Arc::clone(&in_force.compiled));
        engine.set_owners(Arc::clone(&owners));
        if let Some(steering) = &steering {
            engine.set_steering(Arc::clone(steering));
        }
        engine.apply(changes);
        let (events, ring) = RingBuffer::new(datapath::limits::EVENTS);
        crew.rings.push(ring);
        let (observed, ring) = RingBuffer::new(datapath::limits::OBSERVATIONS);
        crew.observed.push(ring);
        let (bell, lease) = (bells[index].clone(), lease.clone());
        let parts = Parts { umem, ports, engine, peers, bell, events, observed, lease };
        crew.workers.push(Worker::new(parts));
    }
    Ok(crew)
}

/// Rings between each two workers.
fn introduce(bells: &[Bell]) -> Vec<Vec<Peer>> {
    let mut peers: Vec<Vec<Peer>> = bells.iter().map(|_| Vec::new()).collect();
    for a in 0..bells.len() {
        for b in a + 1..bells.len() {
            let ids = [WorkerId(a as u8), WorkerId(b as u8)];
            let [of_a, of_b] = Peer::pair(ids, [bells[a].clone(), bells[b].clone()]);
            peers[a].push(of_a);
            peers[b].push(of_b);
        }
    }
    peers
}

fn open_ports(
    umem: &mut Umem,
    config: &config::Node,
    watched: &[Watched],
    worker: u16,
    bound: &mut Vec<(PortId, Bound)>,
) -> Result<Vec<XskPort>, StartError> {
    let interfaces: Vec<Option<Interface>> = watched.iter().map(Watched::interface).collect();
    let of_worker = |i: &Interface| opening::queues_of(i, worker, config.workers).count() as u32;
    let sockets = interfaces.iter().flatten().map(of_worker).sum();
    let mut ports = Vec::new();
    for (index, interface) in interfaces.iter().enumerate() {
        let Some(interface) = interface else {
            ports.push(XskPort::default());
            continue;
        };
        let (port, sockets) = opening::open(umem, interface, worker, config.workers, sockets)?;
        ports.push(port);
        bound.push((PortId(index as u16), sockets));
    }
    Ok(ports)
}

/// Slots in turn to each worker; inside a node this is a local table.
fn owners(workers: u16) -> Owners {
    let mut owners = [WorkerId(0); SLOTS as usize];
    for (slot, owner) in owners.iter_mut().enumerate() {
        *owner = WorkerId((slot % usize::from(workers.max(1))) as u8);
    }
    owners
}

/// Numbers that nobody outside may guess.
struct Secrets {
    boot: u32,
    seed: [u64; 2],
    secret: [u64; 2],
}

impl Secrets {
    /// Draws them. What both nodes of a pair must have in common comes from their plan.
    fn draw(plan: Option<&Plan>) -> std::io::Result<Self> {
        let mut bytes = [0; 36];
        let mut source = std::fs::File::open("/dev/urandom")?;
        std::io::Read::read_exact(&mut source, &mut bytes)?;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(word)
        };
        let boot = u32::from_ne_bytes([bytes[32], bytes[33], bytes[34], bytes[35]]);
        Ok(Self {
            boot: plan.map_or(boot, Plan::boot),
            seed: [word(0), word(8)],
            secret: plan.map_or([word(16), word(24)], Plan::placement_secret),
        })
    }
}

fn settings(
    config: &config::Node,
    watched: &[Watched],
    worker: usize,
    secrets: &Secrets,
) -> Settings {
    let port = |(index, seen): (usize, &Watched)| {
        let LinkState { mac, mtu, up, .. } = seen.link;
        engine::Port { mac, mtu, up, ..engine_port(config, index) }
    };
    // A shard's share, and a tenth for slots that are busier than others.
    let share = config.sessions / u32::from(config.workers.max(1));
    let spare = if config.workers > 1 { share / 10 } else { 0 };
    Settings {
        worker: WorkerId(worker as u8),
        node: config.id,
        boot: secrets.boot,
        seed: [secrets.seed[0].wrapping_add(worker as u64), secrets.seed[1]],
        secret: secrets.secret,
        sessions: share + spare,
        ports: watched.iter().enumerate().map(port).collect(),
    }
}

/// Port `index` of the node file as an engine sees it while its interface is not known: up, with
/// any link-layer address, for packets of any length.
#[must_use]
pub fn engine_port(config: &config::Node, index: usize) -> engine::Port {
    let port = &config.ports[index];
    engine::Port {
        name: port.name.clone(),
        domain: port.domain,
        mode: match config.wire_peer(index) {
            Some(peer) => Mode::Wire(PortId(peer as u16)),
            None => Mode::Routed,
        },
        mac: [0; 6],
        mtu: u32::from(u16::MAX),
        checksum: match port.checksum {
            config::Checksum::Verify => engine::Checksum::Verify,
            config::Checksum::Trust => engine::Checksum::Trust,
        },
        up: true,
    }
}

type Threads = Vec<(std::thread::JoinHandle<()>, tokio::sync::oneshot::Sender<()>)>;

fn start_shards(
    config: &config::Node,
    workers: Vec<XskWorker>,
    wants: &mpsc::Sender<Wanted>,
    loom: &mut Option<Loom>,
) -> Result<(Vec<Shard>, Threads), StartError> {
    let cores = match &config.cores {
        Some(cores) => cores.iter().copied().map(usize::from).collect(),
        None => crate::shard::cores(),
    };
    let (mut shards, mut threads) = (Vec::new(), Vec::new());
    let pinned = workers.len() <= cores.len();
    let poison = Path::new(&config.data_dir).join("poison");
    for (index, mut worker) in workers.into_iter().enumerate() {
        let core = cores.get(index).copied().filter(|_| pinned);
        let stream = loom.as_mut().map(|loom| loom.join(&mut worker)).transpose();
        let stream = stream.map_err(ClusterError::Fabric)?;
        let descriptors = opening::descriptors(&mut worker)?;
        let crewman = Crewman { worker, descriptors, stream };
        let started = Shard::start(index, core, crewman, wants.clone(), poison.clone());
        let (shard, thread, stop) =
            started.map_err(|error| StartError::System(format!("a shard's thread: {error}")))?;
        shards.push(shard);
        threads.push((thread, stop));
    }
    Ok((shards, threads))
}

fn attach(
    program: &Mutex<Gate>,
    bpf_dir: &BpfDir,
    watched: &[Watched],
    bound: &[(PortId, Bound)],
) -> Result<(), StartError> {
    let mut program = lock(program);
    for (port, sockets) in bound {
        for (queue, socket) in sockets {
            program.set_socket(port.0, *queue, socket)?;
        }
    }
    for seen in watched {
        if let Some(ifindex) = seen.link.ifindex {
            let attached = program.attach(bpf_dir, ifindex)?;
            let mode = attached.mode.name();
            let adopted = attached.adopted;
            tracing::info!(port = seen.name, ifindex, mode, adopted, "XDP program attached");
            if !attached.vlan_tags_kept {
                tracing::warn!(
                    port = seen.name,
                    "the interface takes VLAN tags off before XDP sees them: tagged frames look \
                     untagged (`ethtool -K {} rxvlan off`)",
                    seen.interface_name
                );
            }
        }
    }
    Ok(())
}
