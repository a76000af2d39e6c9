//! What the daemon says about itself: status, counters, policy, ports.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Action, OnChange, Replication};

/// The node at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Name of the node.
    pub name: String,
    /// Number of the node.
    pub id: u16,
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Since the daemon started.
    pub uptime_milliseconds: u64,
    /// Epoch of the policy in force.
    pub epoch: u64,
    /// Digest of the policy in force, hexadecimal.
    pub digest: String,
    /// Live sessions of all workers.
    pub sessions: u64,
    /// Room for sessions in all workers.
    pub sessions_max: u64,
    /// Workers.
    pub workers: Vec<Worker>,
    /// Capabilities the process has kept, by their names.
    pub capabilities: Vec<String>,
    /// Receivers of its events.
    #[serde(default)]
    pub syslog: Vec<SyslogReceiver>,
}

/// A receiver of events, and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyslogReceiver {
    /// Where it is, as in the node file.
    pub to: String,
    /// It takes messages; `false` before the first one.
    pub delivers: bool,
    /// Messages given to the network.
    pub sent: u64,
    /// Messages that found no room in its queue.
    pub dropped: u64,
    /// Messages that UDP refused.
    pub refused: u64,
}

/// One packet worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its number, from 0.
    pub worker: u16,
    /// What it does.
    pub state: WorkerState,
    /// Live sessions it holds.
    pub sessions: u64,
    /// Times its actor was restarted after a panic.
    pub restarts: u64,
    /// CPU it is pinned to, if it is.
    pub cpu: Option<u32>,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerState {
    /// Judges and forwards.
    Running,
    /// Drops everything: its actor panicked too often.
    DropOnly,
    /// Does not answer within its time.
    Silent,
}

/// Counters by name. Drops are `dropped.REASON`, oddities of sessions `anomaly.NAME`, those of the XDP
/// program `xdp.NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// All workers together, and what belongs to none.
    pub total: BTreeMap<String, u64>,
    /// Each worker, by its number.
    pub workers: Vec<BTreeMap<String, u64>>,
}

/// The policy in force with its hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Epoch, counted by commits.
    pub epoch: u64,
    /// Digest, hexadecimal.
    pub digest: String,
    /// Comment of its commit.
    pub comment: Option<String>,
    /// Zones.
    pub zones: Vec<Zone>,
    /// Rules in their order.
    pub rules: Vec<Rule>,
    /// Packets no rule matched.
    pub no_rule_hits: u64,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// Name.
    pub name: String,
    /// Names of its ports.
    pub ports: Vec<String>,
    /// Live sessions that its hosts opened.
    pub sessions: u64,
    /// How many they may be at once; `None` is no limit.
    pub sessions_max: Option<u32>,
}

impl Zone {
    /// `zone` without sessions.
    pub fn of(zone: &crate::Zone) -> Self {
        let crate::Zone { name, ports, sessions_max } = zone.clone();
        Self { name, ports, sessions: 0, sessions_max }
    }
}

/// One rule as it is in force. An empty list or `None` is any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Stable id.
    pub id: String,
    /// The operator's words.
    pub description: Option<String>,
    /// Zone the packet enters by.
    pub from: Option<String>,
    /// Zone the packet leaves by.
    pub to: Option<String>,
    /// Sources as the policy file would say it, `!` in front of negated ones.
    pub source: Vec<String>,
    /// Destinations in the same way.
    pub destination: Vec<String>,
    /// Services, groups flattened.
    pub service: Vec<String>,
    /// What it does.
    pub action: Action,
    /// `open`, `close`.
    pub log: Vec<String>,
    /// What a change of policy does to its sessions.
    pub on_change: OnChange,
    /// Whether first packets wait for the backup.
    pub replication: Replication,
    /// Whether TCP connections whose SYN was not seen may become sessions.
    pub pick_up: bool,
    /// Gateways for its sessions, as the policy file says them.
    #[serde(default)]
    pub alg: Vec<String>,
    /// Live sessions of the rule.
    pub sessions: u64,
    /// How many they may be at once; `None` is no limit.
    pub sessions_max: Option<u32>,
    /// Times it was the first match.
    pub hits: u64,
    /// Since the last of them.
    pub last_hit_milliseconds: Option<u64>,
}

impl Rule {
    /// `rule` of `policy` in words, without hits and sessions.
    pub fn of(policy: &crate::Policy, rule: &crate::Rule) -> Self {
        let zone = |zone| policy.zone_name(zone).map(str::to_owned);
        let services = rule.services.iter().flatten();
        Self {
            id: rule.id.clone(),
            description: rule.description.clone(),
            from: zone(rule.from),
            to: zone(rule.to),
            source: policy.address_texts(rule.source.as_ref()),
            destination: policy.address_texts(rule.destination.as_ref()),
            service: services.map(ToString::to_string).collect(),
            action: rule.action,
            log: rule.log_names().into_iter().map(str::to_owned).collect(),
            on_change: rule.on_change,
            replication: rule.replication,
            pick_up: rule.terms.pick_up,
            alg: rule.alg_names(),
            sessions: 0,
            sessions_max: rule.terms.sessions_max,
            hits: 0,
            last_hit_milliseconds: None,
        }
    }
}

/// All ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// In the order of the node file.
    pub ports: Vec<Port>,
}

/// One port and its interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Name in the node file.
    pub name: String,
    /// Interface of the kernel.
    pub interface: String,
    /// Zone of the policy in force.
    pub zone: Option<String>,
    /// Routing domain.
    pub domain: u16,
    /// State of the interface.
    pub state: PortState,
    /// Port at the other end of its wire; `None` if it is routed.
    pub wire: Option<String>,
    /// How AF_XDP is bound.
    pub mode: BindMode,
    /// How the XDP program is attached.
    pub xdp: XdpMode,
    /// Receive queues served.
    pub queues: u16,
    /// Ethernet address, as `02:00:00:00:00:01`.
    pub mac: Option<String>,
    /// Largest IP datagram in bytes.
    pub mtu: Option<u32>,
    /// Frames received by the workers.
    pub received_packets: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames sent by the workers.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames lost at this port, by cause: rings full, no frame, send failed, …
    pub drops: BTreeMap<String, u64>,
}

/// State of a port's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortState {
    /// It carries traffic.
    Up,
    /// It is there without carrier, or set down.
    Down,
    /// It does not exist at the moment.
    Gone,
}

/// How AF_XDP is bound to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BindMode {
    /// The driver works in the workers' memory.
    ZeroCopy,
    /// The kernel copies each frame.
    Copy,
    /// Not bound at the moment.
    None,
}

/// How the XDP program is attached to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the kernel's generic hook, on an skb.
    Generic,
    /// Not attached at the moment.
    None,
}
