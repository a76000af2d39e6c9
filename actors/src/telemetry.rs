//! The telemetry actor: takes session events from the workers' rings and writes them to the log, in
//! the structured form that RT_FLOW made usual: one line per event, every field named.

use std::collections::VecDeque;

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
    policies: VecDeque<InForce>,
}

impl Telemetry {
    /// Reads from one ring per worker; `ports` are their names in `PortId` order.
    #[must_use]
    pub fn new(
        rings: Vec<Consumer<Event>>,
        ports: Vec<String>,
        in_force: watch::Receiver<InForce>,
    ) -> Self {
        let policies = VecDeque::from([in_force.borrow().clone()]);
        Self { rings, ports, in_force, policies }
    }

    fn drain(&mut self) {
        if self.in_force.has_changed().unwrap_or(false) {
            let policy = self.in_force.borrow_and_update().clone();
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
        let mut known = self.policies.iter().rev();
        let policy = known.find(|policy| policy.compiled.epoch() as u32 == event.epoch);
        let rule = event.rule.and_then(|rule| rule_name(policy?, rule)).unwrap_or("-");
        let Way { zones, ports } = Way::of(event, policy, self.ports.len());
        let [from, to] = zones.map(|zone| zone_name(policy, zone));
        let [ingress, egress] = ports.map(|port| self.port_name(port));
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
            ingress,
            egress,
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

fn rule_name(policy: &InForce, rule: RuleIndex) -> Option<&str> {
    policy.compiled.rules().get(rule.index()).map(|rule| rule.id.as_str())
}

fn zone_name(policy: Option<&InForce>, zone: Option<ZoneId>) -> &str {
    let name = zone.and_then(|zone| policy?.compiled.zones().get(zone.index()));
    name.map_or("-", String::as_str)
}

/// The zones and ports of initiator and responder, as far as they can be told.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    zones: [Option<ZoneId>; 2],
    ports: [Option<PortId>; 2],
}

impl Way {
    /// What the event says, and what follows from its policy: a packet that still waits for its next
    /// hop's address leaves by the only port of its zone, if there is but one.
    fn of(event: &Event, policy: Option<&InForce>, ports: usize) -> Self {
        let [from, to] = event.zones;
        let only = |zone: Option<ZoneId>| only_port(&policy?.compiled, zone?, ports);
        Self {
            zones: event.zones,
            ports: [event.ingress.or_else(|| only(from)), event.egress.or_else(|| only(to))],
        }
    }
}

fn only_port(policy: &Policy, zone: ZoneId, ports: usize) -> Option<PortId> {
    let ids = (0..ports).map(|index| PortId(index as u16));
    let mut of_zone = ids.filter(|port| policy.zone_of_port(*port) == Some(zone));
    let first = of_zone.next()?;
    of_zone.next().is_none().then_some(first)
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

#[cfg(test)]
mod tests {
    use super::Way;
    use crate::policy::{InForce, sample};
    use core::time::Duration;
    use engine::{Event, EventKind, PortId, RuleIndex, ZoneId};
    use wire::FlowKey;

    const PORTS: [&str; 4] = ["lan", "wan", "left", "right"];

    /// Zone 0 has port 0, zone 1 port 1, zone 2 ports 2 and 3.
    fn policy() -> InForce {
        let text =
            "[zones]\ntrust = [\"lan\"]\nuntrust = [\"wan\"]\nboth = [\"left\", \"right\"]\n";
        sample("p", text, 1, &PORTS.map(str::to_owned))
    }

    fn event(to: ZoneId, egress: Option<PortId>) -> Event {
        let (key, initiator) = FlowKey::new(
            0,
            wire::Protocol::TCP,
            ([10, 0, 0, 1].into(), 1),
            ([10, 0, 0, 2].into(), 2),
        );
        Event {
            kind: EventKind::Open,
            key,
            initiator,
            session: None,
            rule: Some(RuleIndex(0)),
            epoch: 1,
            zones: [Some(ZoneId(0)), Some(to)],
            ingress: Some(PortId(0)),
            egress,
            packets: [1, 0],
            bytes: [40, 0],
            duration: Duration::ZERO,
        }
    }

    #[test]
    fn what_an_event_leaves_open_follows_from_its_policy() {
        let policy = policy();
        let to = |event: &Event| {
            let Way { zones, ports } = Way::of(event, Some(&policy), PORTS.len());
            assert_eq!((zones[0], ports[0]), (Some(ZoneId(0)), Some(PortId(0))));
            (zones[1], ports[1])
        };
        // A session that waits for a neighbour, in a zone of one port and of two; one that does not.
        assert_eq!(to(&event(ZoneId(1), None)), (Some(ZoneId(1)), Some(PortId(1))));
        assert_eq!(to(&event(ZoneId(2), None)), (Some(ZoneId(2)), None));
        let right = Some(PortId(3));
        assert_eq!(to(&event(ZoneId(2), right)), (Some(ZoneId(2)), right));
        // Of a policy that is forgotten, what the event itself says.
        let [waiting, leaving] =
            [None, right].map(|egress| Way::of(&event(ZoneId(1), egress), None, PORTS.len()));
        assert_eq!((waiting.zones[1], waiting.ports[1]), (Some(ZoneId(1)), None));
        assert_eq!((leaving.zones[1], leaving.ports[1]), (Some(ZoneId(1)), right));
    }
}
