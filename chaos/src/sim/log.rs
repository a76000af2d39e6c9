//! What happened, as one line each, and a digest of all of it: the same seed gives the same lines.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use cluster_core::Term;
use cluster_core::membership::{PathId, Readiness, Role, Why};
use engine::PortId;
use wire::Time;

use super::hosts::tcp::Fate;
use crate::limits::LOG_LINES;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    /// A fault begins, or ends, by its name and node.
    Fault {
        name: &'static str,
        node: usize,
        begins: bool,
    },
    Starts {
        node: usize,
        boot: u32,
    },
    Role {
        node: usize,
        from: Role,
        to: Role,
        term: Term,
    },
    Owns {
        node: usize,
        owns: bool,
        term: Term,
    },
    TookOver {
        node: usize,
        why: Why,
        micros: u64,
    },
    Path {
        node: usize,
        path: PathId,
        up: bool,
    },
    Paused {
        node: usize,
        micros: u64,
    },
    Healed {
        node: usize,
    },
    Connected {
        node: usize,
        attempt: u32,
    },
    Ready {
        node: usize,
        readiness: Readiness,
    },
    Answered {
        node: usize,
        granted: bool,
    },
    Addresses {
        node: usize,
        held: bool,
    },
    /// A host believes that this node has the gateway's address.
    Believes {
        side: usize,
        host: usize,
        node: usize,
    },
    Opens {
        flow: usize,
    },
    Acknowledged {
        flow: usize,
    },
    Done {
        flow: usize,
    },
    Broken {
        flow: usize,
        fate: Fate,
    },
    /// The lease word says so, in the world's time.
    Lease {
        node: usize,
        until: Option<Time>,
    },
    Forwards {
        node: usize,
        port: PortId,
        flow: Option<usize>,
    },
    Arrives {
        side: usize,
        flow: usize,
        end: usize,
    },
    Heard {
        node: usize,
        bytes: usize,
    },
}

impl Fact {
    /// Of those there are so many that a report leaves them out.
    const fn is_fine(&self) -> bool {
        matches!(
            self,
            Self::Lease { until: Some(_), .. }
                | Self::Forwards { .. }
                | Self::Arrives { .. }
                | Self::Heard { .. }
                | Self::Acknowledged { .. }
                | Self::Opens { .. }
                | Self::Done { .. }
        )
    }
}

/// The log of a run.
#[derive(Debug)]
pub(crate) struct Log {
    last: VecDeque<(Time, Fact)>,
    all: Option<Vec<(Time, Fact)>>,
    hasher: DefaultHasher,
    count: u64,
}

impl Log {
    pub(crate) fn new(keeps_all: bool) -> Self {
        let all = keeps_all.then(Vec::new);
        Self { last: VecDeque::new(), all, hasher: DefaultHasher::new(), count: 0 }
    }

    pub(crate) fn note(&mut self, now: Time, fact: Fact) {
        (now, fact).hash(&mut self.hasher);
        self.count += 1;
        if let Some(all) = &mut self.all {
            all.push((now, fact));
        }
        if !fact.is_fine() {
            if self.last.len() == LOG_LINES {
                self.last.pop_front();
            }
            self.last.push_back((now, fact));
        }
    }

    /// A number that two runs have in common only if everything happened alike.
    pub(crate) fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The last lines, or all.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line =
            |(at, fact): &(Time, Fact)| format!("{:>14.6} {fact}", at.as_nanos() as f64 / 1e9);
        match &self.all {
            Some(all) => all.iter().map(line).collect(),
            None => self.last.iter().map(line).collect(),
        }
    }
}

/// What the lines of a log mean.
pub(crate) const LEGEND: &str = "\
seconds, then: n1/n2 the nodes; flow numbers are client ports less 10000; t the term
  fault+ fault-   a fault begins, ends     start     a daemon starts, with its boot
  role            of a node, before > now  owns      the driver was told to own, or not to
  lease -         the lease word is closed took-over why, microseconds since the owner was heard
  path            0 fabric, 1 lan, 2 wan   believes  a host takes this node for its gateway
";

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Fault { name, node, begins } => {
                let sign = if begins { '+' } else { '-' };
                write!(f, "n{} fault{sign} {name}", node + 1)
            }
            Self::Starts { node, boot } => write!(f, "n{} start boot {boot}", node + 1),
            Self::Role { node, from, to, term } => {
                write!(f, "n{} role {from:?} > {to:?} t{term}", node + 1)
            }
            Self::Owns { node, owns, term } => write!(f, "n{} owns {owns} t{term}", node + 1),
            Self::TookOver { node, why, micros } => {
                write!(f, "n{} took-over {why:?} {micros}", node + 1)
            }
            Self::Path { node, path, up } => write!(f, "n{} path {} up {up}", node + 1, path.0),
            Self::Paused { node, micros } => write!(f, "n{} was paused {micros} us", node + 1),
            Self::Healed { node } => write!(f, "n{} split healed", node + 1),
            Self::Connected { node, attempt } => {
                write!(f, "n{} replication connected, attempt {attempt}", node + 1)
            }
            Self::Ready { node, readiness } => write!(f, "n{} {readiness:?}", node + 1),
            Self::Answered { node, granted } => {
                write!(f, "n{} operator's request granted {granted}", node + 1)
            }
            Self::Addresses { node, held } => write!(f, "n{} addresses {held}", node + 1),
            Self::Believes { side, host, node } => {
                write!(f, "n{} believes host {side}.{host}", node + 1)
            }
            Self::Opens { flow } => write!(f, "flow {flow} opens"),
            Self::Acknowledged { flow } => write!(f, "flow {flow} acknowledged"),
            Self::Done { flow } => write!(f, "flow {flow} done"),
            Self::Broken { flow, fate } => write!(f, "flow {flow} broken {fate:?}"),
            Self::Lease { node, until } => match until {
                Some(until) => write!(f, "n{} lease {}", node + 1, until.as_nanos()),
                None => write!(f, "n{} lease -", node + 1),
            },
            Self::Forwards { node, port, flow } => {
                write!(f, "n{} forwards by {} flow {flow:?}", node + 1, port.0)
            }
            Self::Arrives { side, flow, end } => write!(f, "flow {flow} arrives {side} {end}"),
            Self::Heard { node, bytes } => write!(f, "n{} hears {bytes} bytes", node + 1),
        }
    }
}
