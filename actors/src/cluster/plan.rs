//! What a node needs to know to take part in its cluster, read before anything is started.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path as FilePath;

use cluster_core::membership::{
    Alone, Config, ConfigError, Facts, Kind, PathId, PeerConfig, PolicyGuard, Timing, Vip,
};
use cluster_core::policy::log::Member as LogMember;
use cluster_core::{Boot, NodeId};
use cluster_net::identity::{ClusterName, Identity, IdentityError, Papers};
use cluster_net::store::{Electorate, Member, Standing, Store, StoreError};
use cluster_net::transport::TransportError;
use datapath::Latecomers;
use engine::PortId;
use siphasher::sip128::SipHasher24;

use super::memory;
use super::passing::{self, Passing};
use super::paths::Path;
use crate::ports::Watched;

/// Why a node cannot take part in its cluster.
#[derive(Debug)]
pub enum ClusterError {
    /// `[cluster]` without `[fabric]`.
    NoFabric,
    /// A placement that is not carried out.
    Placement,
    /// Addresses of more than one group.
    Groups,
    /// The node file has another number than the identity.
    OtherNode {
        /// That of the file.
        file: u16,
        /// That of the identity.
        identity: NodeId,
    },
    /// There is no other member.
    NoOther,
    /// Nobody knows where this member is.
    NoAddress(NodeId),
    /// The node joined as something else than it is run as.
    Kind(Kind),
    /// Keys and certificates.
    Identity(IdentityError),
    /// The node's memory.
    Store(StoreError),
    /// The node file's times, paths or addresses.
    Config(ConfigError),
    /// The connections to the others.
    Transport(TransportError),
    /// The sockets by which packets are passed on.
    Fabric(std::io::Error),
    /// A socket or a thread.
    System(std::io::Error),
}

/// All that is read.
pub(crate) struct Plan {
    pub(super) identity: Identity,
    pub(super) store: Store,
    pub(super) founder: bool,
    pub(super) facts: Facts,
    pub(super) boot: Boot,
    pub(super) kind: Kind,
    /// The others that vote for a lease, by the list that this node goes by.
    pub(super) others: Vec<Other>,
    pub(super) electorate: Electorate,
    /// All others whose certificates are good.
    pub(super) trusted: Vec<Other>,
    /// Whose address is the node file's, whatever it said when it joined.
    pub(super) pinned: Option<NodeId>,
    /// Whether this node has left its cluster.
    pub(super) is_out: bool,
    pub(super) calls: Vec<SocketAddr>,
    pub(super) listen: SocketAddr,
    pub(super) geneve_port: u16,
    pub(super) paths: Vec<Path>,
    pub(super) vips: Vec<Vip>,
    pub(super) rank: u16,
    /// Ports that have an address of the group.
    pub(super) tracked: Vec<usize>,
    /// Neighbours that must answer.
    pub(super) targets: Vec<config::Target>,
    pub(super) unconfirmed: config::Unconfirmed,
}

/// Another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Other {
    pub(super) node: NodeId,
    pub(super) kind: Kind,
    /// Where it listens: its address in the fabric.
    pub(super) address: SocketAddr,
}

impl Plan {
    /// Reads the node's papers and memory, for a node that is run as a `kind`; `None` if its file has no
    /// `[cluster]`. Counts the boot.
    pub(crate) fn read(config: &config::Node, kind: Kind) -> Result<Option<Self>, ClusterError> {
        let Some(cluster) = &config.cluster else { return Ok(None) };
        match cluster.placement {
            config::Placement::Vip => {}
            config::Placement::Hash => return Err(ClusterError::Placement),
        }
        let fabric = config.fabric.as_ref().ok_or(ClusterError::NoFabric)?;
        let papers = Papers::new(FilePath::new(&config.data_dir));
        let identity = papers.identity().map_err(ClusterError::Identity)?;
        if identity.node != NodeId(config.id) {
            let (file, identity) = (config.id, identity.node);
            return Err(ClusterError::OtherNode { file, identity });
        }
        let mut store = Store::open(&papers.store_path(), &identity.cluster, identity.node)
            .map_err(ClusterError::Store)?;
        let (trusted, calls) = others(&store, (identity.node, kind), cluster)?;
        let electorate = store.electorate().map_err(ClusterError::Store)?;
        let founder = store.is_founder().map_err(ClusterError::Store)?;
        let is_out = store.is_out().map_err(ClusterError::Store)?;
        let pair = cluster.peers.first().and(trusted.first()).filter(|_| trusted.len() == 1);
        let pinned = pair.map(|other| other.node);
        let others = voters(&electorate, (identity.node, founder), &trusted)?;
        let tracked = tracked(config)?;
        let local = cluster.listen.ip();
        let port = fabric.heartbeat_port;
        let addresses = others.iter().map(|other| (other.node, other.address.ip()));
        let mut paths = vec![Path::fabric(&fabric.interface, local, addresses, port)];
        paths.extend(segments(config, &tracked, port));
        Ok(Some(Self {
            facts: memory::recall(&store).map_err(ClusterError::Store)?,
            boot: store.next_boot().map_err(ClusterError::Store)?,
            founder,
            identity,
            store,
            kind,
            others,
            electorate,
            trusted,
            pinned,
            is_out,
            calls,
            listen: cluster.listen,
            geneve_port: fabric.geneve_port,
            paths,
            vips: config.vips.iter().map(vip).collect(),
            rank: config.vips.first().map_or(0, |vip| vip.rank.into()),
            tracked,
            targets: config.targets.clone(),
            unconfirmed: cluster.unconfirmed,
        }))
    }

    /// Whether this node made the cluster.
    pub(crate) const fn is_founder(&self) -> bool {
        self.founder
    }

    /// This node.
    pub(crate) const fn node(&self) -> NodeId {
        self.identity.node
    }

    /// The cluster.
    pub(crate) const fn cluster(&self) -> &ClusterName {
        &self.identity.cluster
    }

    /// The members, as the log is to name them.
    pub(crate) fn roster(&self) -> Vec<(NodeId, LogMember)> {
        let member = |kind, address| LogMember { kind, address, name: Default::default() };
        let own = (self.identity.node, member(self.kind, self.listen));
        let others = self.trusted.iter().map(|it| (it.node, member(it.kind, it.address)));
        [own].into_iter().chain(others).collect()
    }

    /// What the membership machine is told.
    pub(super) fn membership(&self) -> Config {
        Config {
            node: self.identity.node,
            kind: self.kind,
            rank: self.rank,
            preempt: false,
            alone: Alone::Forward,
            guard: PolicyGuard::Fitness,
            list: self.electorate.version,
            peers: self
                .others
                .iter()
                .map(|it| peer_config(self.kind, it, &self.path_ids()))
                .collect(),
            earlier: self
                .electorate
                .earlier
                .iter()
                .map(|it| it.iter().copied().collect())
                .collect(),
            vips: self.vips.clone(),
            timing: Timing::default(),
            secret: self.identity.secret.0,
        }
    }

    /// The numbers of this node's paths.
    pub(super) fn path_ids(&self) -> Vec<PathId> {
        self.paths.iter().map(|path| path.id).collect()
    }

    /// The other firewalls: whom sessions can be replicated with, and packets passed on to.
    pub(super) fn firewalls(&self) -> impl Iterator<Item = Other> + '_ {
        let firewall = |other: &&Other| other.kind == Kind::Firewall;
        self.others.iter().filter(firewall).copied()
    }

    /// Every member, this node among them.
    pub(super) fn members(&self) -> BTreeSet<NodeId> {
        let others = self.trusted.iter().map(|other| other.node);
        others.chain([self.identity.node]).collect()
    }

    /// How workers reach the other firewalls with packets. Tells people if the fabric is too narrow.
    pub(crate) async fn passing(&self, config: &config::Node, ports: &[Watched]) -> Passing {
        let fabric = &self.paths[0];
        let local = fabric.local.ip();
        let mtu = passing::mtu(&fabric.device).await;
        if let Some(mtu) = mtu {
            passing::warn_of_narrow(&fabric.device, mtu, ports);
        }
        Passing {
            key: self.derive(b"ringwall fabric 1"),
            local,
            port: self.geneve_port,
            peers: self.firewalls().map(|other| (other.node, other.address.ip())).collect(),
            labels: passing::labels(&config.ports),
            // What is away comes back with an MTU that nobody knows yet: the kernel says what fits.
            longest_frame: passing::longest_frame(mtu.unwrap_or(u32::from(u16::MAX)), local),
            latecomers: Latecomers::default(),
        }
    }

    /// Places flows into slots, alike on all nodes.
    pub(crate) fn placement_secret(&self) -> [u64; 2] {
        self.derive(b"ringwall placement 1")
    }

    /// A key for one purpose, alike on all nodes.
    fn derive(&self, purpose: &[u8]) -> [u64; 2] {
        let secret = &self.identity.secret.0;
        let (mut key, mut message) = ([0; 16], purpose.to_vec());
        key.copy_from_slice(&secret[..16]);
        message.extend(&secret[16..]);
        let word = SipHasher24::new_with_key(&key).hash(&message).as_u128();
        [(word >> 64) as u64, word as u64]
    }

    /// The number of this run, by which sessions are called.
    pub(crate) const fn boot(&self) -> u32 {
        self.boot.0
    }
}

/// Firewalls hear each other by every path, and a witness by the fabric alone.
pub(super) fn peer_config(own: Kind, other: &Other, paths: &[PathId]) -> PeerConfig {
    let Other { node, kind, .. } = *other;
    let segments = [own, kind] == [Kind::Firewall; 2];
    let paths = paths.iter().copied().filter(|id| segments || *id == Path::FABRIC).collect();
    PeerConfig { node, kind, paths }
}

/// Those of the others that vote. Who made the cluster, or is named by its log, may be the only one.
fn voters(
    electorate: &Electorate,
    (own, founder): (NodeId, bool),
    trusted: &[Other],
) -> Result<Vec<Other>, ClusterError> {
    let at = |node: &NodeId| {
        let known = trusted.iter().find(|other| other.node == *node);
        known.copied().ok_or(ClusterError::NoAddress(*node))
    };
    let others = electorate.members.iter().filter(|node| **node != own);
    let others = others.map(at).collect::<Result<Vec<_>, _>>()?;
    let alone = others.is_empty() && electorate.version == 0 && !founder;
    if alone { Err(ClusterError::NoOther) } else { Ok(others) }
}

/// All others whose certificates are good, and whom to call.
fn others(
    store: &Store,
    (own, kind): (NodeId, Kind),
    cluster: &config::Cluster,
) -> Result<(Vec<Other>, Vec<SocketAddr>), ClusterError> {
    let mut members = store.members().map_err(ClusterError::Store)?;
    members.retain(|_, member| member.standing == Standing::Member);
    let joined_as = members.remove(&own).map_or(Kind::Firewall, |member| member.kind);
    if joined_as != kind {
        return Err(ClusterError::Kind(joined_as));
    }
    let calls = cluster.peers.iter().chain(members.values().flat_map(|it| &it.addresses));
    let mut called = BTreeSet::new();
    let calls = calls.copied().filter(|address| called.insert(*address)).collect();
    // The node file has a pair's address, whatever the other one said when it joined.
    let of_a_pair = cluster.peers.first().filter(|_| members.len() == 1);
    let other = |(node, member): (&NodeId, &Member)| {
        let address =
            *of_a_pair.or(member.addresses.first()).ok_or(ClusterError::NoAddress(*node))?;
        Ok(Other { node: *node, kind: member.kind, address })
    };
    let others: Vec<Other> = members.iter().map(other).collect::<Result<_, _>>()?;
    Ok((others, calls))
}

/// The ports of the group's addresses, by name, so that all nodes count their segments alike.
fn tracked(config: &config::Node) -> Result<Vec<usize>, ClusterError> {
    if config.vips.windows(2).any(|pair| pair[0].group != pair[1].group) {
        return Err(ClusterError::Groups);
    }
    let mut ports: Vec<usize> = config.vips.iter().map(|vip| vip.port).collect();
    ports.sort_by_key(|port| &config.ports[*port].name);
    ports.dedup();
    Ok(ports)
}

fn segments(config: &config::Node, tracked: &[usize], port: u16) -> impl Iterator<Item = Path> {
    let most = cluster_core::limits::PATHS_MAX - 1;
    (1..).zip(tracked).take(most).map(move |(id, index)| {
        let data = &config.ports[*index];
        Path::segment(PathId(id), &data.name, &data.interface, port)
    })
}

fn vip(vip: &config::Vip) -> Vip {
    Vip { port: PortId(vip.port as u16), address: vip.address, prefix: vip.length }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFabric => f.write_str(
                "`[cluster]` without `[fabric]`: say by which interface the other nodes are reached",
            ),
            Self::Placement => f.write_str(
                "`placement = \"hash\"` is not carried out by this version; write \"vip\"",
            ),
            Self::Groups => f.write_str("all `[[vip]]` must be of one group in this version"),
            Self::OtherNode { file, identity } => write!(
                f,
                "the node file says `id = {file}`, but this node joined its cluster as {identity}"
            ),
            Self::NoOther => f.write_str(
                "the cluster has no other member yet: let one in (`ringwall cluster token`), or run \
                 this node without `[cluster]`",
            ),
            Self::NoAddress(node) => write!(f, "nobody says where node {node} listens"),
            Self::Kind(Kind::Witness) => f.write_str(
                "this node joined its cluster as a witness: start it by `ringwall witness`",
            ),
            Self::Kind(Kind::Firewall) => f.write_str(
                "this node joined its cluster as a firewall: start it by `ringwall run`; a witness \
                 joins by `ringwall cluster join --witness`",
            ),
            Self::Identity(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Transport(error) => error.fmt(f),
            Self::Fabric(error) => write!(
                f,
                "packets cannot be passed on over the fabric (`geneve-port`, `listen`): {error}"
            ),
            Self::System(error) => write!(f, "the cluster's sockets and threads: {error}"),
        }
    }
}

impl std::error::Error for ClusterError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_counted_by_the_names_of_their_ports() {
        let text = "[node]\nid = 1\nname = \"fw1\"\n\
            [[port]]\nname = \"wan\"\ninterface = \"eth1\"\n\
            [[port]]\nname = \"lan\"\ninterface = \"eth0\"\n\
            [[port]]\nname = \"dmz\"\ninterface = \"eth2\"\n\
            [cluster]\nlisten = \"10.0.9.1:7400\"\npeers = [\"10.0.9.2:7400\"]\n\
            [fabric]\ninterface = \"eth3\"\n\
            [[vip]]\ngroup = \"gate\"\nport = \"wan\"\naddress = \"10.2.0.1/24\"\n\
            [[vip]]\ngroup = \"gate\"\nport = \"lan\"\naddress = \"10.1.0.1/24\"\n\
            [[vip]]\ngroup = \"gate\"\nport = \"lan\"\naddress = \"fd01::1/64\"\n";
        let node = config::parse_node("node.toml", text).expect("a good file").value;
        let tracked = tracked(&node).expect("one group");
        assert_eq!(tracked, [1, 0], "lan, wan");
        let paths: Vec<_> =
            segments(&node, &tracked, 7401).map(|it| (it.id.0, it.device)).collect();
        assert_eq!(paths, [(1, "eth0".to_owned()), (2, "eth1".to_owned())]);
    }
}
