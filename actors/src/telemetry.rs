//! The telemetry actor: takes session events from the workers' rings and writes them to the log, in
//! the structured form that RT_FLOW made usual: one line per event, every field named.

use std::sync::Arc;

use engine::{Event, EventKind, PortId, ZoneId};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use rtrb::Consumer;

use crate::epochs::{Epochs, Named};
use crate::limits::{EVENTS_PER_DRAIN, TELEMETRY_INTERVAL};

/// Time to look into the rings.
pub struct Drain;

/// The behaviour; its state is [`Telemetry`].
pub struct TelemetryActor;

/// What the telemetry actor works with.
pub struct Telemetry {
    rings: Vec<Consumer<Event>>,
    ports: Vec<String>,
    epochs: Epochs,
}

impl Telemetry {
    /// Reads from one ring per worker; `ports` are their names in `PortId` order.
    #[must_use]
    pub fn new(rings: Vec<Consumer<Event>>, ports: Vec<String>, epochs: Epochs) -> Self {
        Self { rings, ports, epochs }
    }

    fn drain(&mut self) {
        for index in 0..self.rings.len() {
            for _ in 0..EVENTS_PER_DRAIN {
                let Ok(event) = self.rings[index].pop() else { break };
                self.log(&event);
            }
        }
    }

    fn log(&self, event: &Event) {
        let named = self.epochs.find(event.epoch);
        let rule = event.rule.and_then(|rule| named.as_ref()?.rule(rule)).unwrap_or("-");
        let Way { zones, ports } = Way::of(event, named.as_ref());
        let [from, to] = zones.map(|zone| named.as_ref()?.zone(zone?)).map(|it| it.unwrap_or("-"));
        let [epoch, revision] = self.epochs.tell(event.judged);
        let [ingress, egress] = ports.map(|port| self.port_name(port));
        let (source, source_port) = event.key.source(event.initiator);
        let (destination, destination_port) = event.key.destination(event.initiator);
        let (nat_source, nat_destination) =
            event.translated.map(|it| (it.ends.source, it.ends.destination)).unzip();
        let by = |side: usize| named.as_ref()?.translation(event.translated?.rules[side]);
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
            epoch,
            revision,
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
            nat_source = nat_source.map(|(address, _)| display(address)),
            nat_source_port = nat_source.map(|(_, port)| port),
            nat_destination = nat_destination.map(|(address, _)| display(address)),
            nat_destination_port = nat_destination.map(|(_, port)| port),
            nat_source_rule = by(0),
            nat_destination_rule = by(1),
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

/// The zones and ports of initiator and responder, as far as they can be told.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    zones: [Option<ZoneId>; 2],
    ports: [Option<PortId>; 2],
}

impl Way {
    /// What the event says, and what follows from its policy: a packet that still waits for its next
    /// hop's address leaves by the only port of its zone, if there is but one.
    fn of(event: &Event, policy: Option<&Arc<Named>>) -> Self {
        let [from, to] = event.zones;
        let only = |zone: Option<ZoneId>| policy?.only_port(zone?);
        Self {
            zones: event.zones,
            ports: [event.ingress.or_else(|| only(from)), event.egress.or_else(|| only(to))],
        }
    }
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
    use super::{Telemetry, Way};
    use crate::epochs::{Epochs, Named};
    use crate::policy::sample;
    use core::time::Duration;
    use engine::nat::word_of;
    use engine::{Event, EventKind, Leaving, PortId, RuleIndex, ZoneId};
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};
    use tracing::span;
    use wire::{Ends, FlowKey};

    const PORTS: [&str; 4] = ["lan", "wan", "left", "right"];

    /// Takes the fields of what is logged.
    #[derive(Clone, Default)]
    struct Taken(Arc<Mutex<Vec<(&'static str, String)>>>);

    impl tracing::Subscriber for Taken {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    impl Visit for Taken {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.lock().unwrap().push((field.name(), format!("{value:?}")));
        }
    }

    /// Fields of the line about an event that begin so.
    fn logged(event: &Event, names: &str) -> Vec<(&'static str, String)> {
        let nat = "[[nat]]\nid = \"out\"\ntype = \"source\"\ntranslate = \"interface\"\n";
        let text = format!("[zones]\na = [\"lan\"]\n{nat}");
        let policy = sample("p", &text, 1, &PORTS.map(str::to_owned));
        let epochs = Epochs::new(&policy, PORTS.len());
        let telemetry = Telemetry::new(Vec::new(), PORTS.map(str::to_owned).into(), epochs);
        let taken = Taken::default();
        tracing::subscriber::with_default(taken.clone(), || telemetry.log(event));
        let mut fields = core::mem::take(&mut *taken.0.lock().unwrap());
        fields.retain(|(name, _)| name.starts_with(names));
        fields
    }

    #[test]
    fn a_line_says_how_a_session_is_translated_if_it_is() {
        let plain = event(ZoneId(0), None);
        assert_eq!(logged(&plain, "nat_"), []);
        let ends = Ends {
            source: ([198, 51, 100, 1].into(), 2_051),
            destination: ("2001:db8::1".parse().unwrap(), 80),
        };
        let rules = [word_of("out"), 0];
        let translated = Event { translated: Some(Leaving { ends, rules }), ..plain };
        let wanted = [
            ("nat_source", "198.51.100.1"),
            ("nat_source_port", "2051"),
            ("nat_destination", "2001:db8::1"),
            ("nat_destination_port", "80"),
            ("nat_source_rule", "\"out\""),
        ];
        let wanted = wanted.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(logged(&translated, "nat_"), wanted);
        let source = logged(&translated, "source");
        assert_eq!(source[0], ("source", "10.0.0.1".to_owned()), "as the initiator sends");
    }

    /// Zone 0 has port 0, zone 1 port 1, zone 2 ports 2 and 3.
    fn policy() -> Arc<Named> {
        let text =
            "[zones]\ntrust = [\"lan\"]\nuntrust = [\"wan\"]\nboth = [\"left\", \"right\"]\n";
        let policy = sample("p", text, 1, &PORTS.map(str::to_owned));
        Epochs::new(&policy, PORTS.len()).find(1).expect("entered")
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
            translated: None,
            session: None,
            rule: Some(RuleIndex(0)),
            epoch: 1,
            judged: 1,
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
            let Way { zones, ports } = Way::of(event, Some(&policy));
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
            [None, right].map(|egress| Way::of(&event(ZoneId(1), egress), None));
        assert_eq!((waiting.zones[1], waiting.ports[1]), (Some(ZoneId(1)), None));
        assert_eq!((leaving.zones[1], leaving.ports[1]), (Some(ZoneId(1)), right));
    }
}
