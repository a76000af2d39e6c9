//! What is done to the system, and the log of it.

use std::fmt;
use std::path::Path;

use nix::sys::signal::Signal;

use super::failure::Failure;
use super::lab::{Node, Segment};
use super::log::{self, Nanos};
use super::site::Site;

/// One thing to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, links up.
    Kill(Node),
    /// All links silent, with their carrier; then SIGKILL, so that nothing is said in parting.
    PowerLoss(Node),
    /// SIGSTOP.
    Pause(Node),
    /// SIGCONT.
    Continue(Node),
    /// A planned switchover from this node.
    Switchover(Node),
    /// The nodes do not hear each other in a segment.
    Cut(Segment),
    /// They do not hear each other at all.
    CutAll,
    /// A cable out of its port.
    Pull(Segment, Node),
    /// Nothing of this node reaches the other one.
    Deafen(Node),
    /// Every link is as it was.
    Heal,
    /// The daemon is started again, and the links of the node work.
    Restart(Node),
    /// It is asked to end.
    Stop(Node),
}

impl Fault {
    fn strike(self, site: &mut Site) -> Result<(), Failure> {
        match self {
            Self::Kill(node) => site.firewalls.kill(&site.lab, node),
            Self::PowerLoss(node) => {
                site.lab.silence(node, true)?;
                site.firewalls.kill(&site.lab, node)
            }
            Self::Pause(node) => site.firewalls.signal(node, Signal::SIGSTOP),
            Self::Continue(node) => site.firewalls.signal(node, Signal::SIGCONT),
            Self::Switchover(node) => site.firewalls.switchover(&site.lab, node),
            Self::Cut(segment) => site.lab.cut(segment, true),
            Self::CutAll => Segment::ALL.iter().try_for_each(|it| site.lab.cut(*it, true)),
            Self::Pull(segment, node) => site.lab.pull(segment, node, true),
            Self::Deafen(node) => site.lab.deafen(node),
            Self::Heal => site.lab.mend(),
            Self::Restart(node) => {
                site.lab.silence(node, false)?;
                site.firewalls.start(&site.lab, node)
            }
            Self::Stop(node) => site.firewalls.stop(&site.lab, node),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(node) => write!(f, "kill {}", node.name()),
            Self::PowerLoss(node) => write!(f, "power-loss {}", node.name()),
            Self::Pause(node) => write!(f, "pause {}", node.name()),
            Self::Continue(node) => write!(f, "continue {}", node.name()),
            Self::Switchover(node) => write!(f, "switchover {}", node.name()),
            Self::Cut(segment) => write!(f, "cut {}", segment.name()),
            Self::CutAll => f.write_str("cut all"),
            Self::Pull(segment, node) => write!(f, "pull {}", segment.port(*node)),
            Self::Deafen(from) => write!(f, "deafen {}", from.other().name()),
            Self::Heal => f.write_str("heal"),
            Self::Restart(node) => write!(f, "restart {}", node.name()),
            Self::Stop(node) => write!(f, "stop {}", node.name()),
        }
    }
}

/// What was done and noticed, each with its time: `faults.log`.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    lines: Vec<(Nanos, String)>,
}

impl Faults {
    /// Does it. The time is that of its beginning.
    pub(crate) fn strike(&mut self, site: &mut Site, fault: Fault) -> Result<(), Failure> {
        self.note(log::now(), format!("fault {fault}"));
        fault.strike(site)
    }

    pub(crate) fn note(&mut self, at: Nanos, what: String) {
        self.lines.push((at, what));
    }

    pub(crate) fn write(mut self, folder: &Path) -> Result<(), Failure> {
        self.lines.sort_by_key(|(at, _)| *at);
        let lines = self.lines.iter().map(|(at, what)| format!("{at} {what}"));
        Ok(log::write(folder, "faults.log", lines)?)
    }
}
