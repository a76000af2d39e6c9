//! Prometheus metrics: what the node knows, written afresh for every scrape, so that a rule or a
//! port that is gone is gone here as well.

mod agreement;
mod alg;
mod cluster;
mod nat;
mod screens;

use config::Role;
use config::api::{self, WorkerState};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::backend::Backend;

use super::gate::Gate;
use super::rejection::Rejection;

/// What metrics are made of.
pub(super) struct Facts {
    pub(super) status: api::Status,
    pub(super) counters: api::Counters,
    pub(super) policy: api::Policy,
    pub(super) ports: api::Ports,
    pub(super) screening: api::Screening,
    pub(super) algs: api::Algs,
    pub(super) nat: api::Nat,
    /// While the node can tell how it stands to the cluster's policy.
    pub(super) agreement: Option<api::PolicyStatus>,
    /// On a node of a cluster, while its membership thread answers.
    pub(super) cluster: Option<api::Cluster>,
    /// Requests to the API that were refused, by the role that they needed.
    pub(super) refused: [(Role, u64); Role::ALL.len()],
    /// Clients of the API's TLS listener that were turned away before that.
    pub(super) rejected: [(Rejection, u64); Rejection::ALL.len()],
}

impl Facts {
    /// Asks the node.
    pub(super) async fn gather<B: Backend>(node: &B, gate: &Gate) -> Result<Self, api::Error> {
        Ok(Self {
            status: node.status().await?,
            counters: node.counters().await?,
            policy: node.policy().await?,
            ports: node.ports().await?,
            screening: node.screening().await?,
            algs: node.algs().await?,
            nat: node.nat(api::NatRequest::default()).await?,
            agreement: node.policy_status().await.ok(),
            cluster: node.cluster().await.ok(),
            refused: gate.refused(),
            rejected: gate.rejected(),
        })
    }
}

/// The text that Prometheus reads.
pub(super) fn render(facts: &Facts) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        describe();
        node(&facts.status);
        for (role, count) in facts.refused {
            counter!("ringwall_api_refused_total", "role" => role.name()).absolute(count);
        }
        for (rejection, count) in facts.rejected {
            counter!("ringwall_api_rejected_total", "reason" => rejection.name()).absolute(count);
        }
        for (worker, counters) in facts.counters.workers.iter().enumerate() {
            packets(&worker.to_string(), counters.iter());
        }
        let shared = facts.counters.total.iter().filter(|(name, _)| name.starts_with(XDP));
        packets("", shared);
        rules_and_zones(&facts.policy);
        facts.ports.ports.iter().for_each(port);
        screens::describe();
        screens::screening(&facts.screening);
        alg::describe();
        alg::algs(&facts.algs);
        nat::describe();
        nat::nat(&facts.nat);
        if let Some(status) = &facts.agreement {
            agreement::describe();
            agreement::status(status);
        }
        if let Some(facts) = &facts.cluster {
            cluster::describe();
            cluster::cluster(facts);
        }
    });
    recorder.handle().render()
}

/// What the API's names of the XDP program's counters begin with.
const XDP: &str = "xdp.";
/// What the API's names of the drop reasons begin with.
const DROPPED: &str = "dropped.";
/// What the API's names of anomalies begin with.
const ANOMALY: &str = "anomaly.";

/// Counters of the API that are metrics of their own: name there, name here, help.
const PLAIN: [(&str, &str, &str); 14] = [
    ("received", "ringwall_packets_received_total", "Packets taken from a port"),
    ("forwarded", "ringwall_packets_forwarded_total", "Packets sent on their way"),
    ("answered", "ringwall_packets_answered_total", "Packets answered with a RST or an ICMP error"),
    ("consumed", "ringwall_packets_consumed_total", "Packets for the firewall itself"),
    ("handed-in", "ringwall_packets_handed_in_total", "Packets taken over from another worker"),
    (
        "handed-out",
        "ringwall_packets_handed_out_total",
        "Packets given to the worker they belong to",
    ),
    (
        "passed-in",
        "ringwall_packets_passed_in_total",
        "Packets that another node passed on to this one",
    ),
    (
        "passed-on",
        "ringwall_packets_passed_on_total",
        "Packets passed on to the node that owns now",
    ),
    ("answers-sent", "ringwall_answers_sent_total", "RSTs and ICMP errors made"),
    ("outputs-lost", "ringwall_outputs_lost_total", "Frames that found no room to be sent"),
    ("events-lost", "ringwall_events_lost_total", "Log events that found no room"),
    ("sessions-opened", "ringwall_sessions_opened_total", "Sessions opened"),
    ("sessions-closed", "ringwall_sessions_closed_total", "Sessions closed"),
    (
        "sessions-evicted",
        "ringwall_sessions_evicted_total",
        "Sessions that gave way in a full table",
    ),
];

/// Counters with labels: name, help.
const LABELLED: [(&str, &str); 14] = [
    ("ringwall_packets_dropped_total", "Packets dropped, by reason"),
    ("ringwall_anomalies_total", "Oddities of sessions, by name"),
    ("ringwall_xdp_frames_total", "Frames by what the XDP program did with them"),
    ("ringwall_rule_hits_total", "First packets that a rule decided"),
    ("ringwall_api_refused_total", "Requests to the API refused for want of a role"),
    ("ringwall_api_rejected_total", "Clients of the API's TLS listener that nobody knows"),
    ("ringwall_syslog_sent_total", "Messages given to the network for a syslog receiver"),
    ("ringwall_syslog_lost_total", "Messages that a receiver missed, by cause"),
    ("ringwall_worker_restarts_total", "Restarts of a worker's flow actor after a panic"),
    ("ringwall_port_received_packets_total", "Frames received by a port"),
    ("ringwall_port_received_bytes_total", "Bytes received by a port"),
    ("ringwall_port_sent_packets_total", "Frames sent by a port"),
    ("ringwall_port_sent_bytes_total", "Bytes sent by a port"),
    ("ringwall_port_lost_packets_total", "Frames lost at a port, by cause"),
];

/// Gauges: name, help.
const GAUGES: [(&str, &str); 13] = [
    ("ringwall_info", "Always 1; the labels say what runs"),
    ("ringwall_uptime_seconds", "Time since the daemon started"),
    ("ringwall_policy_epoch", "Epoch of the policy in force"),
    ("ringwall_sessions", "Live sessions"),
    ("ringwall_sessions_max", "Room for sessions"),
    ("ringwall_rule_sessions", "Live sessions of a rule"),
    ("ringwall_rule_sessions_max", "Sessions that a rule may have, if it has a limit"),
    ("ringwall_zone_sessions", "Live sessions that a zone opened"),
    ("ringwall_zone_sessions_max", "Sessions that a zone may have opened, if it has a limit"),
    ("ringwall_packets_held", "Packets that wait now: fragments, and for a next hop"),
    ("ringwall_syslog_delivers", "1 if a syslog receiver takes messages"),
    ("ringwall_worker_running", "1 if the worker judges packets, 0 if it does not"),
    ("ringwall_port_up", "1 if the port's link is up"),
];

fn describe() {
    let plain = PLAIN.iter().map(|(_, name, help)| (name, help));
    let labelled = LABELLED.iter().map(|(name, help)| (name, help));
    plain.chain(labelled).for_each(|(name, help)| describe_counter!(*name, Unit::Count, *help));
    GAUGES.iter().for_each(|(name, help)| describe_gauge!(*name, Unit::Count, *help));
}

fn node(status: &api::Status) {
    let labels = [("node", status.name.clone()), ("version", status.version.clone())];
    gauge!("ringwall_info", &labels).set(1.0);
    gauge!("ringwall_uptime_seconds").set(status.uptime_milliseconds as f64 / 1_000.0);
    gauge!("ringwall_policy_epoch").set(status.epoch as f64);
    gauge!("ringwall_sessions").set(status.sessions as f64);
    gauge!("ringwall_sessions_max").set(status.sessions_max as f64);
    status.syslog.iter().for_each(syslog);
    for worker in &status.workers {
        let label = [("worker", worker.worker.to_string())];
        let running = worker.state == WorkerState::Running;
        gauge!("ringwall_worker_running", &label).set(one_if(running));
        counter!("ringwall_worker_restarts_total", &label).absolute(worker.restarts);
    }
}

fn syslog(receiver: &api::SyslogReceiver) {
    let label = [("receiver", receiver.to.clone())];
    gauge!("ringwall_syslog_delivers", &label).set(one_if(receiver.delivers));
    counter!("ringwall_syslog_sent_total", &label).absolute(receiver.sent);
    for (cause, count) in [("queue-full", receiver.dropped), ("refused", receiver.refused)] {
        let labels = [("receiver", receiver.to.clone()), ("cause", cause.to_owned())];
        counter!("ringwall_syslog_lost_total", &labels).absolute(count);
    }
}

fn packets<'a>(worker: &str, counters: impl Iterator<Item = (&'a String, &'a u64)>) {
    let worker = worker.to_owned();
    for (name, &value) in counters {
        if let Some(reason) = name.strip_prefix(DROPPED) {
            let labels = [("reason", reason.to_owned()), ("worker", worker.clone())];
            counter!("ringwall_packets_dropped_total", &labels).absolute(value);
        } else if let Some(anomaly) = name.strip_prefix(ANOMALY) {
            let labels = [("anomaly", anomaly.to_owned()), ("worker", worker.clone())];
            counter!("ringwall_anomalies_total", &labels).absolute(value);
        } else if let Some(verdict) = name.strip_prefix(XDP) {
            let label = [("verdict", verdict.to_owned())];
            counter!("ringwall_xdp_frames_total", &label).absolute(value);
        } else if name == "held" {
            gauge!("ringwall_packets_held", "worker" => worker.clone()).set(value as f64);
        } else if let Some((_, metric, _)) = PLAIN.iter().find(|(plain, ..)| plain == name) {
            counter!(*metric, "worker" => worker.clone()).absolute(value);
        }
    }
}

fn rules_and_zones(policy: &api::Policy) {
    for rule in &policy.rules {
        let label = [("rule", rule.id.clone())];
        counter!("ringwall_rule_hits_total", &label).absolute(rule.hits);
        gauge!("ringwall_rule_sessions", &label).set(rule.sessions as f64);
        if let Some(max) = rule.sessions_max {
            gauge!("ringwall_rule_sessions_max", &label).set(f64::from(max));
        }
    }
    for zone in &policy.zones {
        let label = [("zone", zone.name.clone())];
        gauge!("ringwall_zone_sessions", &label).set(zone.sessions as f64);
        if let Some(max) = zone.sessions_max {
            gauge!("ringwall_zone_sessions_max", &label).set(f64::from(max));
        }
    }
}

fn port(port: &api::Port) {
    let label = [("port", port.name.clone())];
    let up = port.state == api::PortState::Up;
    gauge!("ringwall_port_up", &label).set(one_if(up));
    let values = [
        ("ringwall_port_received_packets_total", port.received_packets),
        ("ringwall_port_received_bytes_total", port.received_bytes),
        ("ringwall_port_sent_packets_total", port.sent_packets),
        ("ringwall_port_sent_bytes_total", port.sent_bytes),
    ];
    for (name, value) in values {
        counter!(name, &label).absolute(value);
    }
    for (cause, &frames) in &port.drops {
        let labels = [("port", port.name.clone()), ("cause", cause.clone())];
        counter!("ringwall_port_lost_packets_total", &labels).absolute(frames);
    }
}

fn one_if(it: bool) -> f64 {
    f64::from(u8::from(it))
}
