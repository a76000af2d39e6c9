//! One run of a scenario, and what it leaves: a folder of logs, from which its figures come.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use config::api::{CLUSTER, COUNTERS, ClusterStream, Counters, PORTS, Ports};
use serde_json::json;

use super::failure::Failure;
use super::fault::{Fault, Faults};
use super::figures::{Figures, figures};
use super::keepalived::Tuning;
use super::lab::Node;
use super::limits::{
    BULK_BYTES_MIN, BULK_PACKETS_PER_SEGMENT, DOOR_PER_SECOND, LOAD_SHARE, PEER_OUTAGE,
    SEGMENT_BYTES,
};
use super::log::{self, Nanos};
use super::pair::Pair;
use super::site::{Firewalls, Kind, Site};
use super::traffic::{Capacity, Plan, Side, StreamPlan, Traffic, capacity};
use super::wait::pause;
use super::wire::Wire;

/// What a run may be told from outside.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which firewalls.
    pub kind: Kind,
    /// Packets a second that go through; measured anew in each run if it is not given.
    pub capacity: Option<u32>,
    /// Length of a scenario that only watches.
    pub length: Duration,
    /// Sessions of the scenarios that need many.
    pub sessions: u32,
}

/// A run under way.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) site: &'a mut Site,
    pub(crate) settings: &'a Settings,
    pub(crate) number: u32,
    pub(crate) folder: PathBuf,
    faults: Faults,
    started: Nanos,
    capacity: Option<Capacity>,
    plan: Plan,
    measured: BTreeMap<String, f64>,
    active: Option<Node>,
    /// Lines of `cluster.log`.
    views: Vec<String>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        site: &'a mut Site,
        settings: &'a Settings,
        number: u32,
        folder: PathBuf,
    ) -> Result<Self, Failure> {
        let failed = Failure::system(format!("make {}", folder.display()));
        std::fs::create_dir_all(&folder).map_err(failed)?;
        Ok(Self {
            site,
            settings,
            number,
            folder,
            faults: Faults::default(),
            started: log::now(),
            capacity: None,
            plan: Plan::default(),
            measured: BTreeMap::new(),
            active: None,
            views: Vec::new(),
        })
    }

    /// Waits until all is well; the active node.
    pub(crate) fn settle(&mut self) -> Result<Node, Failure> {
        let active = self.site.settle()?;
        if self.active.is_none() {
            (self.active, self.started) = (Some(active), log::now());
            self.faults.note(self.started, format!("role {} active term 0", active.name()));
        }
        Ok(active)
    }

    /// Packets a second that go through.
    pub(crate) fn capacity(&mut self) -> Result<u32, Failure> {
        let found = match self.settings.capacity {
            Some(packets_per_second) => Capacity { packets_per_second, received: 1.0 },
            None => capacity(&self.site.lab.ends())?,
        };
        self.capacity = Some(found);
        Ok(found.packets_per_second)
    }

    /// All kinds of traffic, at half of the capacity.
    pub(crate) fn half_load(&mut self) -> Result<Plan, Failure> {
        self.at_half(all_kinds())
    }

    /// The plan, with transfers that fill it up to half of the capacity.
    pub(crate) fn at_half(&mut self, plan: Plan) -> Result<Plan, Failure> {
        let budget = f64::from(self.capacity()?) * LOAD_SHARE - packets_per_second(&plan);
        let bytes = budget / BULK_PACKETS_PER_SEGMENT * SEGMENT_BYTES;
        Ok(Plan { bulk_bytes_per_second: (bytes as u64).max(BULK_BYTES_MIN), ..plan })
    }

    /// Does `work` while `plan` flows, and leaves the logs of both.
    pub(crate) fn while_flowing(
        &mut self,
        plan: &Plan,
        work: impl FnOnce(&mut Self, &Traffic) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.plan = plan.clone();
        self.write_counters("counters-before.log")?;
        let wire = Wire::start(&self.site.lab)?;
        let traffic = Traffic::start(&self.site.lab.ends(), plan)?;
        self.note("traffic flows");
        work(self, &traffic)?;
        self.note("traffic ends");
        traffic.finish(&self.folder)?;
        wire.finish(&self.folder)
    }

    /// What the nodes have counted until now.
    fn write_counters(&self, file: &str) -> Result<(), Failure> {
        let Firewalls::Ringwall(pair) = &self.site.firewalls else { return Ok(()) };
        let lines = self.site.lab.nodes().iter().flat_map(|node| counters(pair, *node));
        Ok(log::write(&self.folder, file, lines)?)
    }

    /// Does it, and keeps what the nodes said of their cluster just before.
    pub(crate) fn strike(&mut self, fault: Fault) -> Result<(), Failure> {
        self.look(&format!("before {fault}"));
        self.look_at_streams();
        self.faults.strike(self.site, fault)
    }

    /// Does it, and looks at nothing: a stopped node would not answer.
    pub(crate) fn strike_blindly(&mut self, fault: Fault) -> Result<(), Failure> {
        self.faults.strike(self.site, fault)
    }

    /// Before the first fault: what the active node has replicated. Nothing, and what follows breaks.
    fn look_at_streams(&mut self) {
        let Some(active) = self.active else { return };
        let Firewalls::Ringwall(pair) = &self.site.firewalls else { return };
        if self.measured.contains_key("replicated_records") {
            return;
        }
        let Ok(view) = pair.api(active).cluster() else { return };
        let sum = |of: fn(&ClusterStream) -> u64| view.streams.iter().map(of).sum::<u64>() as f64;
        let figures = [
            ("replicated_records", sum(|it| it.records_sent)),
            ("replication_behind", sum(|it| it.behind)),
            ("replication_behind_ms", sum(|it| it.behind_milliseconds)),
        ];
        figures.into_iter().for_each(|(name, value)| self.measured(name, value));
    }

    /// A line of `cluster.log` for each of our nodes that answers.
    pub(crate) fn look(&mut self, when: &str) {
        let Firewalls::Ringwall(pair) = &self.site.firewalls else { return };
        for &node in self.site.lab.nodes() {
            if let Ok(view) = pair.api(node).get::<serde_json::Value>(CLUSTER) {
                let name = node.name();
                self.views.push(format!("{} {name} {when}: {view}", log::now()));
            }
        }
    }

    /// A line of `faults.log`, of this moment.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.faults.note(log::now(), what.into());
    }

    /// The same, of an earlier one.
    pub(crate) fn note_at(&mut self, at: Nanos, what: String) {
        self.faults.note(at, what);
    }

    /// A figure that no log of the traffic tells.
    pub(crate) fn measured(&mut self, name: &str, value: f64) {
        self.measured.insert(name.to_owned(), value);
    }

    /// Counts one more of what no log of the traffic tells.
    pub(crate) fn count(&mut self, name: &str) {
        *self.measured.entry(name.to_owned()).or_default() += 1.0;
    }

    /// How long to watch after a fault: `length`, and for the peer the time that it takes by design.
    pub(crate) fn outlast(&self, length: Duration) -> Duration {
        match self.settings.kind {
            Kind::Ringwall(_) | Kind::Keepalived(Tuning::Fast) => length,
            Kind::Keepalived(Tuning::Default) => length + PEER_OUTAGE,
        }
    }

    pub(crate) fn pause(&self, length: Duration) -> Result<(), Failure> {
        pause(length)
    }

    /// Leaves the last logs, and gives the figures of all of them.
    pub(crate) fn finish(mut self, scenario: &str) -> Result<Figures, Failure> {
        self.look("at the end");
        self.note_roles()?;
        let about = json!({
            "scenario": scenario,
            "run": self.number,
            "started": self.started,
            "firewall": self.settings.kind.name(),
            "nodes": self.site.lab.nodes().iter().map(|node| node.name()).collect::<Vec<_>>(),
            "active": self.active.map(Node::name),
            "capacity": self.capacity.map(|it| json!({
                "packets_per_second": it.packets_per_second,
                "received": it.received,
            })),
            "load": {
                "packets_per_second": packets_per_second(&self.plan),
                "bulk_bytes_per_second": self.plan.bulk_bytes_per_second,
                "load_per_second": self.plan.load_per_second,
                "slow": self.plan.slow,
                "young_per_second": self.plan.young_per_second,
            },
            "measured": self.measured,
        });
        log::write(&self.folder, "cluster.log", &self.views)?;
        log::write(&self.folder, "run.json", [format!("{about:#}")])?;
        self.faults.write(&self.folder)?;
        Ok(figures(&self.folder)?)
    }

    /// What the nodes say about their roles, and their logs as a whole.
    fn note_roles(&mut self) -> Result<(), Failure> {
        match &self.site.firewalls {
            Firewalls::Ringwall(pair) => {
                let said = pair.said(self.started)?;
                for (node, line) in &said {
                    if let Some(role) = line.role() {
                        self.faults.note(line.at, format!("role {} {role}", node.name()));
                    }
                }
                let lines =
                    said.iter().map(|(node, line)| format!("{} {}", node.name(), line.more));
                log::write(&self.folder, "nodes.log", lines)?;
                self.write_counters("counters.log")?;
            }
            Firewalls::Keepalived(peer) => {
                for (at, node, role) in peer.said(self.started) {
                    let role = if role == "MASTER" { "active" } else { "standby" };
                    self.faults.note(at, format!("role {} {role} term 0", node.name()));
                }
            }
        }
        Ok(())
    }
}

/// All kinds of traffic; how much transfers move is open.
pub(crate) fn all_kinds() -> Plan {
    let both = [Side::Client, Side::Server];
    let streams = both.map(|from| StreamPlan { per_second: 1_000, from }).to_vec();
    let (slow, bulk, young_per_second) = (1_000, 20, 200);
    Plan { streams, slow, bulk, young_per_second, probes: true, ..Plan::default() }
}

/// What a node has counted since its start, and its ports have; a node that is dead has nothing to tell.
fn counters(pair: &Pair, node: Node) -> Vec<String> {
    let api = pair.api(node);
    let total = api.get::<Counters>(COUNTERS).map(|it| it.total).unwrap_or_default();
    let ports = api.get::<Ports>(PORTS).map(|it| it.ports).unwrap_or_default();
    let lost = ports.into_iter().flat_map(|port| {
        port.drops
            .into_iter()
            .map(move |(cause, count)| (format!("port.{}.{cause}", port.name), count))
    });
    let counted = total.into_iter().chain(lost).filter(|(_, count)| *count > 0);
    counted.map(|(name, count)| format!("{} {name} {count}", node.name())).collect()
}

/// Packets a second of a plan, transfers apart: a slow connection sends a message a second and gets
/// it back, each acknowledged; a young one is opened, sends, gets it back, and is closed.
fn packets_per_second(plan: &Plan) -> f64 {
    let streams: u32 = plan.streams.iter().map(|it| it.per_second).sum();
    let (slow, young) = (plan.slow as f64 * 4.0, f64::from(plan.young_per_second) * 10.0);
    let doors = plan.doors as f64 * f64::from(DOOR_PER_SECOND);
    f64::from(streams) + slow + young + doors + f64::from(plan.load_per_second)
}
