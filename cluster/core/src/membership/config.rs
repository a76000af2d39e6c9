//! What a member is told once: who the others are, over which paths, and how long things take.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use siphasher::sip128::SipHasher24;

use super::heartbeat::PathId;
use super::lists::ListNumber;
use super::vips::Vip;
use crate::NodeId;
use crate::limits::{
    DETECT_MULTIPLIER, DRIFT_PPM, HEARTBEAT_INTERVAL, LEASE, LEASE_LAG, MEMBERS_MAX, PATHS_MAX,
    TAKEOVER, VIPS_MAX,
};

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Forwards when it owns.
    Firewall,
    /// Only votes, so that a pair has a majority.
    Witness,
}

/// What a pair's node does whose every path to the peer is silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Alone {
    /// Forwards. If the peer lives behind a cut, both do; the interval is marked afterwards.
    #[default]
    Forward,
    /// Forwards nothing: no overlap, and no takeover either.
    None,
}

/// What keeps a node with the wrong policy from owning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PolicyGuard {
    /// The digests in heartbeats: who runs another policy than the owner neither takes over nor is handed
    /// the ownership.
    #[default]
    Digest,
    /// [`Fitness::POLICY`](super::Fitness::POLICY), which the driver sets. Digests are for people.
    Fitness,
}

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its number.
    pub node: NodeId,
    /// What it is for.
    pub kind: Kind,
    /// The paths to it.
    pub paths: Vec<PathId>,
}

/// All that a member is told at its start, but for what it remembers.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// What it is for.
    pub kind: Kind,
    /// Its rank; the higher one wins a tie.
    pub rank: u16,
    /// Whether a better rank takes the ownership back. Nobody's connections gain by that.
    pub preempt: bool,
    /// What to do without any path.
    pub alone: Alone,
    /// What keeps a node with the wrong policy from owning.
    pub guard: PolicyGuard,
    /// Which list of the cluster's log says so; 0: none yet.
    pub list: u32,
    /// The other members; each of them votes, as this node does.
    pub peers: Vec<PeerConfig>,
    /// Earlier lists by which a node may still go, each with all of its members.
    pub earlier: Vec<Vec<NodeId>>,
    /// The addresses of the VIP group.
    pub vips: Vec<Vip>,
    /// How long things take.
    pub timing: Timing,
    /// The cluster's secret.
    pub secret: [u8; 32],
}

/// The clocks of membership. Nodes may differ in them: each waits for as long as the other's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a path.
    pub interval: Duration,
    /// Heartbeats missed until a path is down.
    pub detect_multiplier: u8,
    /// Life of a lease.
    pub lease: Duration,
    /// Silence of the owner after which another takes over.
    pub takeover: Duration,
    /// How long after its deadline a lease is still felt.
    pub lag: Duration,
}

/// Why a configuration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A node has the number 0, which stands for nobody.
    NodeZero,
    /// Two members have this number.
    NodeTwice(NodeId),
    /// More than [`MEMBERS_MAX`] members.
    TooManyMembers(usize),
    /// There is no path to this peer, or there are more than [`PATHS_MAX`], or one twice.
    Paths(NodeId),
    /// More than [`VIPS_MAX`] addresses.
    TooManyVips(usize),
    /// An address stands there twice, or its prefix is too long.
    Vip(Vip),
    /// The times do not fit together.
    Timing(TimingError),
}

/// Why times do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimingError {
    /// The interval is not between 1 ms and 1 s.
    Interval,
    /// A single lost heartbeat would be a detection: the multiplier is below 2.
    Multiplier,
    /// The lease ends before a detection and one more interval: a standby's death would stop the owner.
    LeaseTooShort,
    /// A takeover does not wait for the lease, its lag and the drift of both clocks.
    TakeoverTooShort,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            interval: HEARTBEAT_INTERVAL,
            detect_multiplier: DETECT_MULTIPLIER,
            lease: LEASE,
            takeover: TAKEOVER,
            lag: LEASE_LAG,
        }
    }
}

impl Timing {
    /// Silence after which a path, and so a peer, counts as cut off.
    #[must_use]
    pub fn detect(&self) -> Duration {
        self.interval * u32::from(self.detect_multiplier)
    }

    /// Silence that outlasts a lease of `lease` by another's clock: with its lag, and both drifting.
    #[must_use]
    pub fn outlasts(&self, lease: Duration) -> Duration {
        let span = lease + self.lag;
        span + span * (2 * DRIFT_PPM) / 1_000_000
    }

    /// Checks that leases end before others take over.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), TimingError> {
        let millisecond = Duration::from_millis(1);
        if !(millisecond..=Duration::from_secs(1)).contains(&self.interval) {
            Err(TimingError::Interval)
        } else if self.detect_multiplier < 2 {
            Err(TimingError::Multiplier)
        } else if self.lease < self.detect() + self.interval {
            Err(TimingError::LeaseTooShort)
        } else if self.takeover <= self.outlasts(self.lease) {
            Err(TimingError::TakeoverTooShort)
        } else {
            Ok(())
        }
    }
}

impl PolicyGuard {
    /// Whether a node that runs `ours` may follow one that runs `theirs` as an owner.
    #[must_use]
    pub(super) fn permits(self, ours: [u8; 16], theirs: [u8; 16]) -> bool {
        match self {
            Self::Digest => ours == theirs,
            Self::Fitness => true,
        }
    }
}

impl Config {
    /// Who belongs to the cluster, in a number: which list of the log it is, how many there are, and a digest
    /// of who they are.
    #[must_use]
    pub fn members(&self) -> u64 {
        let peers = self.peers.iter().map(|peer| (peer.node, peer.kind));
        let mut all: Vec<_> = peers.chain([(self.node, self.kind)]).collect();
        all.sort_unstable_by_key(|(node, _)| *node);
        let mut told = Vec::new();
        for (node, kind) in &all {
            told.extend(node.0.to_be_bytes());
            told.push(u8::from(*kind == Kind::Witness));
        }
        let digest = SipHasher24::new_with_key(b"ringwall members").hash(&told).as_u128();
        ListNumber::new(self.list, all.len(), digest as u64).0
    }

    /// How many vote: all members.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.peers.len() + 1
    }

    /// How many votes make a majority, this node's included.
    #[must_use]
    pub fn majority(&self) -> usize {
        self.voters() / 2 + 1
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.timing.check().map_err(ConfigError::Timing)?;
        if self.voters() > MEMBERS_MAX {
            return Err(ConfigError::TooManyMembers(self.voters()));
        }
        self.check_nodes()?;
        self.peers.iter().try_for_each(check_paths)?;
        self.check_vips()
    }

    fn check_nodes(&self) -> Result<(), ConfigError> {
        let mut nodes: Vec<NodeId> = self.peers.iter().map(|peer| peer.node).collect();
        nodes.push(self.node);
        nodes.sort_unstable();
        if nodes[0] == NodeId(0) {
            return Err(ConfigError::NodeZero);
        }
        let twice = nodes.windows(2).find(|pair| pair[0] == pair[1]);
        twice.map_or(Ok(()), |pair| Err(ConfigError::NodeTwice(pair[0])))
    }

    fn check_vips(&self) -> Result<(), ConfigError> {
        if self.vips.len() > VIPS_MAX {
            return Err(ConfigError::TooManyVips(self.vips.len()));
        }
        for (index, vip) in self.vips.iter().enumerate() {
            let longest = if vip.address.is_ipv4() { 32 } else { 128 };
            let same = |other: &Vip| (other.port, other.address) == (vip.port, vip.address);
            if vip.prefix > longest || self.vips[..index].iter().any(same) {
                return Err(ConfigError::Vip(*vip));
            }
        }
        Ok(())
    }
}

fn check_paths(peer: &PeerConfig) -> Result<(), ConfigError> {
    let paths = &peer.paths;
    let twice = paths.iter().enumerate().any(|(index, path)| paths[..index].contains(path));
    if paths.is_empty() || paths.len() > PATHS_MAX || twice {
        return Err(ConfigError::Paths(peer.node));
    }
    Ok(())
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NodeZero => f.write_str("a node has the number 0"),
            Self::NodeTwice(node) => write!(f, "two members have the number {node}"),
            Self::TooManyMembers(count) => {
                write!(f, "{count} members, {MEMBERS_MAX} are the limit")
            }
            Self::Paths(node) => {
                write!(f, "node {node} needs 1 to {PATHS_MAX} paths, each of them once")
            }
            Self::TooManyVips(count) => write!(f, "{count} addresses, {VIPS_MAX} are the limit"),
            Self::Vip(vip) => {
                let (address, prefix) = (vip.address, vip.prefix);
                write!(
                    f,
                    "address {address}/{prefix} stands there twice, or its prefix is too long"
                )
            }
            Self::Timing(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for TimingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interval => "the heartbeat interval is not between 1 ms and 1 s",
            Self::Multiplier => "the detect multiplier is below 2",
            Self::LeaseTooShort => "the lease is shorter than detection and one interval",
            Self::TakeoverTooShort => "a takeover does not wait for lease, lag and drift",
        })
    }
}

impl std::error::Error for TimingError {}
