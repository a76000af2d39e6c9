//! The node's inner things in the words of its API.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::api;
use datapath::xdp::{AttachMode, Stats};
use engine::session::{Peer, Session};
use engine::table::{Gauges, Handle, Twin};
use engine::{Anomaly, Counters, Engine, PortId, Reason};
use wire::{Ends, Protocol, Time};

use super::queries::Named;
use super::uses::{RuleUse, Uses};
use crate::epochs::Epochs;
use crate::flow::XskWorker;
use crate::policy::InForce;
use crate::ports::Watched;
use crate::shard::Shard;

/// The names that sessions are shown with.
#[derive(Clone)]
pub(super) struct View {
    pub(super) epochs: Epochs,
    pub(super) ports: Vec<String>,
}

impl View {
    pub(super) fn session(
        &self,
        engine: &Engine,
        (handle, session): (Handle, &Session),
        now: Time,
    ) -> api::Session {
        let opened = session.direction(Peer::Initiator);
        let (source, source_port) = session.key.source(opened);
        let (destination, destination_port) = session.key.destination(opened);
        let traffic = |peer: Peer| api::Traffic {
            packets: session.packets[peer.index()],
            bytes: session.bytes[peer.index()],
        };
        let port = |peer| session.last_egress(peer).map(|egress| self.port(egress.port));
        // The engine's own policy: while a commit is under way, another one may be in force elsewhere.
        let policy = engine.policy();
        let zones = engine.zones_of(session);
        let [from, to] = zones.map(|zone| Some(policy.zone_name(zone?).to_owned()));
        let [epoch, revision] = self.epochs.tell(session.epoch);
        api::Session {
            id: engine.session_id(session.id).to_string(),
            conversation: engine.session_id(session.conversation).to_string(),
            worker: engine.worker().0.into(),
            domain: session.key.domain(),
            protocol: api::Protocol(session.key.protocol().0),
            source,
            source_port,
            destination,
            destination_port,
            from,
            to,
            from_port: port(Peer::Responder),
            to_port: port(Peer::Initiator),
            state: state_name(session).to_owned(),
            rule: engine.rule_of(session).map(|rule| policy.rule(rule).id.clone()),
            epoch,
            revision,
            forward: traffic(Peer::Initiator),
            reverse: traffic(Peer::Responder),
            age_milliseconds: milliseconds(session.age(now)),
            idle_milliseconds: milliseconds(now.since(session.last_seen())),
            expires_milliseconds: milliseconds(session.deadline.since(now)),
            close_reason: session.close_reason.map(|reason| reason.name().to_owned()),
            translated: engine.twin_of(handle.place()).map(|twin| translated(engine, twin)),
        }
    }

    fn port(&self, port: PortId) -> String {
        self.ports.get(port.index()).cloned().unwrap_or_else(|| port.0.to_string())
    }
}

fn translated(engine: &Engine, twin: &Twin) -> api::Translated {
    let Ends { source, destination } = twin.ends();
    let [source_rule, destination_rule] =
        twin.rules.map(|rule| engine.nat_rule_id(rule).map(str::to_owned));
    api::Translated {
        source: source.0,
        source_port: source.1,
        destination: destination.0,
        destination_port: destination.1,
        source_rule,
        destination_rule,
    }
}

/// The TCP state in RFC 9293's words; of other protocols, whether both sides have spoken.
fn state_name(session: &Session) -> &'static str {
    if session.key.protocol() == Protocol::TCP {
        return session.tcp.state().name();
    }
    if session.is_established_for(Peer::Initiator) { "two-way" } else { "one-way" }
}

pub(super) fn worker(shard: &Shard, gauges: Option<Gauges>, now: Time) -> api::Worker {
    let state = if shard.drop_only.load(Ordering::Relaxed) {
        api::WorkerState::DropOnly
    } else if gauges.is_some() && shard.pulse.beats(now) {
        api::WorkerState::Running
    } else {
        api::WorkerState::Silent
    };
    api::Worker {
        worker: shard.index as u16,
        state,
        sessions: gauges.map_or(0, |gauges| u64::from(gauges.sessions)),
        restarts: shard.restarts.load(Ordering::Relaxed),
        cpu: shard.core.map(|core| core as u32),
    }
}

/// Sessions by the conversation that they belong to.
pub(super) fn conversations(page: api::SessionsPage) -> api::ConversationsPage {
    let mut found: BTreeMap<String, Vec<api::Session>> = BTreeMap::new();
    for session in page.sessions {
        found.entry(session.conversation.clone()).or_default().push(session);
    }
    let sum = |traffic: &mut dyn Iterator<Item = api::Traffic>| {
        traffic.fold(api::Traffic::default(), |sum, one| api::Traffic {
            packets: sum.packets + one.packets,
            bytes: sum.bytes + one.bytes,
        })
    };
    let conversation = |(id, sessions): (String, Vec<api::Session>)| api::Conversation {
        forward: sum(&mut sessions.iter().map(|session| session.forward)),
        reverse: sum(&mut sessions.iter().map(|session| session.reverse)),
        id,
        sessions,
    };
    let conversations = found.into_iter().map(conversation).collect();
    api::ConversationsPage { conversations, cursor: page.cursor }
}

pub(super) fn counters(counters: &Counters) -> Named {
    let plain = [
        ("received", counters.received),
        ("handed-in", counters.handed_in),
        ("handed-out", counters.handed_out),
        ("passed-in", counters.passed_in),
        ("passed-on", counters.passed_on),
        ("forwarded", counters.forwarded),
        ("answered", counters.answered),
        ("consumed", counters.consumed),
        ("held", counters.held),
        ("dropped", counters.dropped_total()),
        ("answers-sent", counters.answers),
        ("outputs-lost", counters.outputs_lost),
        ("events-lost", counters.events_lost),
        ("sessions-opened", counters.sessions_opened),
        ("sessions-closed", counters.sessions_closed),
        ("sessions-evicted", counters.sessions_evicted),
    ];
    let reasons = Reason::ALL
        .iter()
        .map(|reason| (format!("dropped.{}", reason.name()), counters.dropped(*reason)));
    let anomalies = Anomaly::ALL
        .iter()
        .map(|anomaly| (format!("anomaly.{}", anomaly.name()), counters.anomalous(*anomaly)));
    let plain = plain.map(|(name, value)| (name.to_owned(), value));
    plain.into_iter().chain(reasons).chain(anomalies).collect()
}

/// All workers together.
pub(super) fn sum(workers: &[Named]) -> Named {
    let mut total = Named::new();
    for (name, value) in workers.iter().flatten() {
        *total.entry(name.clone()).or_default() += value;
    }
    total
}

pub(super) fn xdp_counters(stats: &Stats) -> impl Iterator<Item = (String, u64)> {
    stats.iter().map(|(stat, value)| (format!("xdp.{}", stat.name()), value))
}

pub(super) fn policy(in_force: &InForce, uses: &Uses, now: Time) -> api::Policy {
    let source = &in_force.source;
    let rule = |(rule, used): (&config::Rule, &RuleUse)| api::Rule {
        sessions: used.sessions,
        hits: used.hits.count,
        last_hit_milliseconds: used.hits.last.map(|last| milliseconds(now.since(last))),
        ..api::Rule::of(source, rule)
    };
    let zone =
        |(zone, &sessions): (&config::Zone, &u64)| api::Zone { sessions, ..api::Zone::of(zone) };
    api::Policy {
        epoch: in_force.compiled.epoch(),
        digest: digest(in_force),
        comment: in_force.comment.clone(),
        zones: source.zones.iter().zip(&uses.zones).map(zone).collect(),
        rules: source.rules.iter().zip(&uses.rules).map(rule).collect(),
        no_rule_hits: uses.no_rule,
    }
}

/// A short name for what a policy says, the same wherever it is the same.
pub(super) fn digest(in_force: &InForce) -> String {
    let [half, _] = in_force.digest.as_chunks::<8>().0 else { return String::new() };
    format!("{:016x}", u64::from_be_bytes(*half))
}

pub(super) fn port(
    config: &config::Node,
    index: usize,
    seen: &Watched,
    policy: &config::Policy,
) -> api::Port {
    let state = match (seen.link.ifindex, seen.link.up) {
        (None, _) => api::PortState::Gone,
        (Some(_), true) => api::PortState::Up,
        (Some(_), false) => api::PortState::Down,
    };
    let zone = policy.zone_of_port(&seen.name).map(|zone| policy.zones[zone].name.clone());
    let present = seen.link.ifindex.is_some();
    api::Port {
        name: seen.name.clone(),
        interface: seen.interface_name.clone(),
        zone,
        domain: config.ports[index].domain,
        state,
        wire: config.wire_peer(index).map(|peer| config.ports[peer].name.clone()),
        mode: api::BindMode::None,
        xdp: match seen.xdp {
            Some(AttachMode::Native) => api::XdpMode::Native,
            Some(AttachMode::Generic) => api::XdpMode::Generic,
            None => api::XdpMode::None,
        },
        queues: seen.queues,
        mac: present.then(|| mac(seen.link.mac)),
        mtu: present.then_some(seen.link.mtu),
        received_packets: 0,
        received_bytes: 0,
        sent_packets: 0,
        sent_bytes: 0,
        drops: BTreeMap::new(),
    }
}

fn mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// One worker's share of a port.
pub(super) struct Queue {
    zero_copy: Option<bool>,
    received: u64,
    sent: u64,
    drops: Vec<(&'static str, u64)>,
}

pub(super) fn queue(worker: &mut XskWorker, port: PortId) -> Queue {
    let mut queue = Queue { zero_copy: None, received: 0, sent: 0, drops: Vec::new() };
    let Some(port) = worker.port(port) else { return queue };
    queue.zero_copy = port.zero_copy();
    for (counters, kernel) in port.statistics() {
        queue.received += counters.received;
        queue.sent += counters.transmitted;
        queue.drops.extend([
            ("device", counters.device_drops),
            ("too-short", counters.too_short),
            ("rx-no-frame", kernel.rx_dropped),
            ("rx-ring-full", kernel.rx_ring_full),
            ("fill-ring-empty", kernel.fill_ring_empty),
        ]);
    }
    queue
}

impl Queue {
    pub(super) fn add_to(self, port: &mut api::Port) {
        port.received_packets += self.received;
        port.sent_packets += self.sent;
        match self.zero_copy {
            Some(true) => port.mode = api::BindMode::ZeroCopy,
            Some(false) => port.mode = api::BindMode::Copy,
            None => {}
        }
        for (name, drops) in self.drops {
            *port.drops.entry(name.to_owned()).or_default() += drops;
        }
    }
}

/// Bytes from hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let whole = !digits.is_empty() && digits.len().is_multiple_of(2);
    whole.then(|| digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{counters, sum, unhex};
    use engine::{Anomaly, Counters, Reason};

    #[test]
    fn workers_are_added_up_name_by_name() {
        let mut one = Counters { received: 5, ..Counters::default() };
        one.dropped[Reason::NoRule as usize] = 2;
        one.anomalies[Anomaly::TcpSynUnanswered as usize] = 3;
        let mut two = Counters { received: 7, ..Counters::default() };
        two.anomalies[Anomaly::TcpSynUnanswered as usize] = 4;
        two.anomalies[Anomaly::UdpUnreachable as usize] = 1;
        let total = sum(&[counters(&one), counters(&two)]);
        let expected = [
            ("received", 12),
            ("dropped", 2),
            ("dropped.no-rule", 2),
            ("anomaly.tcp-syn-unanswered", 7),
            ("anomaly.udp-unreachable", 1),
            ("anomaly.tcp-syn-refused", 0),
        ];
        assert_eq!(expected.map(|(name, _)| (name, total[name])), expected);
        assert_eq!(
            total.keys().filter(|name| name.starts_with("anomaly.")).count(),
            Anomaly::COUNT
        );
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(unhex("00ff7A"), Some(vec![0, 255, 0x7a]));
        assert_eq!(unhex(""), None);
        assert_eq!(unhex("abc"), None);
        assert_eq!(unhex("zz"), None);
    }
}
