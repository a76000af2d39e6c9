//! The place of a scenario's runs: the network, the firewalls in it, and a folder.

use std::path::{Path, PathBuf};

use config::api::Committed;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::Signal;

use super::failure::Failure;
use super::keepalived::{Keepalived, Tuning};
use super::lab::{Lab, Node};
use super::pair::Pair;
use super::process::Process;

/// What a scenario wants of its site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    /// The nodes: [`Node::BOTH`], or [`Node::ALL`] with a third firewall of ours, which the others prefer
    /// themselves to, and which votes as they do.
    pub(crate) nodes: &'static [Node],
    /// Places of the session table. A large one takes seconds to start.
    pub(crate) sessions: u32,
    /// Seconds by which each node's clock is ahead of the machine's.
    pub(crate) clock_ahead: [u32; Node::ALL.len()],
    /// Data folders on small disks of their own.
    pub(crate) small_disks: bool,
    /// Clocks of the wall that can be set while a daemon runs.
    pub(crate) wall_clocks: bool,
    /// What stands in the policy behind what all have.
    pub(crate) policy: &'static str,
}

impl Default for Wants {
    fn default() -> Self {
        let clock_ahead = [0; Node::ALL.len()];
        Self {
            nodes: &Node::BOTH,
            sessions: 65_536,
            clock_ahead,
            small_disks: false,
            wall_clocks: false,
            policy: "",
        }
    }
}

/// Which firewalls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours: this program.
    Ringwall(PathBuf),
    /// Linux: nftables, conntrackd and keepalived, as they come or tuned.
    Keepalived(Tuning),
}

impl Kind {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ringwall(_) => "ringwall",
            Self::Keepalived(Tuning::Default) => "keepalived",
            Self::Keepalived(Tuning::Fast) => "keepalived-50ms",
        }
    }
}

/// Network, firewalls, folder. They end in this order, reversed.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) firewalls: Firewalls,
    pub(crate) lab: Lab,
    /// Last: what the others stand on.
    _folder: Folder,
}

impl Site {
    pub(crate) fn new(kind: &Kind, wants: Wants) -> Result<Self, Failure> {
        let mut folder = Folder::new()?;
        let lab = Lab::new(wants.nodes)?;
        if wants.small_disks {
            folder.add_disks(wants.nodes)?;
        }
        let path = folder.path.as_path();
        let firewalls = match kind {
            Kind::Ringwall(binary) => Firewalls::Ringwall(Pair::new(&lab, binary, path, wants)?),
            Kind::Keepalived(tuning) => {
                Firewalls::Keepalived(Keepalived::new(&lab, path, *tuning)?)
            }
        };
        Ok(Self { firewalls, lab, _folder: folder })
    }

    /// Everything works again, and the nodes have settled; the active one.
    pub(crate) fn settle(&mut self) -> Result<Node, Failure> {
        self.lab.mend()?;
        for &node in self.lab.nodes() {
            if !self.firewalls.runs(node) {
                self.firewalls.start(&self.lab, node)?;
            }
        }
        self.firewalls.settle(&self.lab)
    }

    /// Our pair.
    pub(crate) fn pair(&mut self) -> Result<&mut Pair, Failure> {
        match &mut self.firewalls {
            Firewalls::Ringwall(pair) => Ok(pair),
            Firewalls::Keepalived(_) => Err(foreign()),
        }
    }
}

fn foreign() -> Failure {
    let said = "the peer has nothing like it".to_owned();
    Failure::Refused { what: "the scenario".to_owned(), said }
}

/// Both firewalls.
#[derive(Debug)]
pub(crate) enum Firewalls {
    Ringwall(Pair),
    Keepalived(Keepalived),
}

impl Firewalls {
    pub(crate) fn start(&mut self, lab: &Lab, node: Node) -> Result<(), Failure> {
        match self {
            Self::Ringwall(pair) => pair.start(lab, node),
            Self::Keepalived(peer) => peer.start(lab, node),
        }
    }

    pub(crate) fn stop(&mut self, lab: &Lab, node: Node) -> Result<(), Failure> {
        match self {
            Self::Ringwall(pair) => pair.stop(node),
            Self::Keepalived(peer) => peer.kill(lab, node),
        }
    }

    pub(crate) fn kill(&mut self, lab: &Lab, node: Node) -> Result<(), Failure> {
        match self {
            Self::Ringwall(pair) => {
                pair.kill(node);
                Ok(())
            }
            Self::Keepalived(peer) => peer.kill(lab, node),
        }
    }

    pub(crate) fn runs(&self, node: Node) -> bool {
        match self {
            Self::Ringwall(pair) => pair.process(node).is_some(),
            Self::Keepalived(peer) => peer.runs(node),
        }
    }

    pub(crate) fn signal(&self, node: Node, signal: Signal) -> Result<(), Failure> {
        self.processes(node).into_iter().try_for_each(|process| process.signal(signal))
    }

    pub(crate) fn switchover(&mut self, lab: &Lab, from: Node) -> Result<(), Failure> {
        match self {
            Self::Ringwall(pair) => pair.failover(from),
            Self::Keepalived(peer) => peer.switchover(lab, from),
        }
    }

    /// `ringwall commit FILE`.
    pub(crate) fn commit(&self, lab: &Lab, node: Node, file: &Path) -> Result<Committed, Failure> {
        match self {
            Self::Ringwall(pair) => pair.commit(lab, node, file),
            Self::Keepalived(_) => Err(foreign()),
        }
    }

    pub(crate) fn settle(&mut self, lab: &Lab) -> Result<Node, Failure> {
        match self {
            Self::Ringwall(pair) => pair.settle(),
            Self::Keepalived(peer) => peer.settle(lab),
        }
    }

    fn processes(&self, node: Node) -> Vec<&Process> {
        match self {
            Self::Ringwall(pair) => pair.process(node).into_iter().collect(),
            Self::Keepalived(peer) => peer.processes(node),
        }
    }
}

/// A folder for files, sockets and data; gone with this value.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    disks: Vec<PathBuf>,
}

/// Size of a small disk: room for a node's store and its revisions, and little more.
const DISK: &str = "size=8m";

impl Folder {
    fn new() -> Result<Self, Failure> {
        let name = format!("ringwall-field-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // What an earlier program of this number left, which cannot run any more.
        let _ = std::fs::remove_dir_all(&path);
        let failed = Failure::system(format!("make {}", path.display()));
        std::fs::create_dir_all(&path).map_err(failed)?;
        Ok(Self { path, disks: Vec::new() })
    }

    fn add_disks(&mut self, nodes: &[Node]) -> Result<(), Failure> {
        for node in nodes {
            let disk = self.path.join(format!("data{}", node.number()));
            let what = format!("make a small disk at {}", disk.display());
            std::fs::create_dir(&disk).map_err(Failure::system(what.clone()))?;
            let (kind, options) = (Some("tmpfs"), Some(DISK));
            mount(kind, &disk, kind, MsFlags::empty(), options).map_err(Failure::call(what))?;
            self.disks.push(disk);
        }
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for disk in &self.disks {
            // Nothing can be done about a failure.
            let _ = umount2(disk, MntFlags::MNT_DETACH);
        }
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
