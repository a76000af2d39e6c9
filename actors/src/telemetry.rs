//! The telemetry actor: takes session events from the workers' rings and writes them to the log, in
//! the structured form that RT_FLOW made usual: one line per event, every field named.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::{Event, EventKind, PortId, RuleIndex, ZoneId, policy::Policy};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use rtrb::Consumer;
use tokio::sync::watch;

use crate::limits::{EVENTS_PER_DRAIN, POLICIES_REMEMBERED, TELEMETRY_INTERVAL};
use crate::policy::InForce;

/// Time to look into the rings.
pub struct Drain;

/// The behaviour; its state is [`Telemetry`].
pub struct TelemetryActor;

/// What the telemetry actor works with.
pub struct Telemetry {
    rings: Vec<Consumer<Event>>,
    ports: Vec<String>,
    in_force: watch::Receiver<InForce>,
    /// The last few policies, newest last: events name rules by epoch and place.
    policies: VecDeque<Arc<Policy>>,
}

impl Telemetry {
    /// Reads from one ring per worker; `ports` are their names in `PortId` order.
    #[must_use]
    pub fn new(
        rings: Vec<Consumer<Event>>,
        ports: Vec<String>,
        in_force: watch::Receiver<InForce>,
    ) -> Self {
        let policies = VecDeque::from([Arc::clone(&in_force.borrow().compiled)]);
        Self { rings, ports, in_force, policies }
    }

    fn drain(&mut self) {
        if self.in_force.has_changed().unwrap_or(false) {
            let policy = Arc::clone(&self.in_force.borrow_and_update().compiled);
            if self.policies.len() == POLICIES_REMEMBERED {
                self.policies.pop_front();
            }
            self.policies.push_back(policy);
        }
        for index in 0..self.rings.len() {
            for _ in 0..EVENTS_PER_DRAIN {
                let Ok(event) = self.rings[index].pop() else { break };
                self.log(&event);
            }
        }
    }

    fn log(&self, event: &Event) {
        let policy = self.policies.iter().rev().find(|p| p.epoch() as u32 == event.epoch);
        let policy = policy.map(AsRef::as_ref);
        let rule = event.rule.and_then(|rule| rule_name(policy, rule)).unwrap_or("-");
        let [from, to] = event.zones.map(|zone| zone_name(policy, zone));
        let (source, source_port) = event.key.source(event.initiator);
        let (destination, destination_port) = event.key.destination(event.initiator);
        let session = event.session.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let (name, reason) = match event.kind {
            EventKind::Open => ("session-open", "-"),
            EventKind::Close(reason) => ("session-close", reason.name()),
            EventKind::Deny(reason) => ("session-deny", reason.name()),
        };
        tracing::info!(
            target: "session",
            event = name,
            session,
            rule,
            reason,
            from,
            to,
            ingress = self.port_name(event.ingress),
            egress = self.port_name(event.egress),
            protocol = event.key.protocol().0,
            %source,
            source_port,
            %destination,
            destination_port,
            packets_sent = event.packets[0],
            bytes_sent = event.bytes[0],
            packets_received = event.packets[1],
            bytes_received = event.bytes[1],
            milliseconds = event.duration.as_millis() as u64,
        );
    }

    fn port_name(&self, port: Option<PortId>) -> &str {
        port.and_then(|port| self.ports.get(port.index())).map_or("-", String::as_str)
    }
}

fn rule_name(policy: Option<&Policy>, rule: RuleIndex) -> Option<&str> {
    policy?.rules().get(rule.index()).map(|rule| rule.id.as_str())
}

fn zone_name(policy: Option<&Policy>, zone: Option<ZoneId>) -> &str {
    let name = zone.and_then(|zone| policy?.zones().get(zone.index()));
    name.map_or("-", String::as_str)
}

impl Actor for TelemetryActor {
    type Msg = Drain;
    type State = Telemetry;
    type Arguments = Telemetry;

    async fn pre_start(
        &self,
        myself: ActorRef<Drain>,
        state: Telemetry,
    ) -> Result<Telemetry, ActorProcessingErr> {
        myself.send_interval(TELEMETRY_INTERVAL, || Drain);
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Drain>,
        Drain: Drain,
        state: &mut Telemetry,
    ) -> Result<(), ActorProcessingErr> {
        state.drain();
        Ok(())
    }

    /// What is still in the rings when the node stops belongs into the log as well.
    async fn post_stop(
        &self,
        _: ActorRef<Drain>,
        state: &mut Telemetry,
    ) -> Result<(), ActorProcessingErr> {
        state.drain();
        Ok(())
    }
}
