//! The detector of one node, in the capture's time.

use std::sync::Arc;
use std::time::Duration;

use actors::obey;
use cluster_core::screen::{Attack, Detector, Output, Screens, Settings};
use cluster_core::{Boot, NodeId};
use engine::Engine;
use serde::Serialize;
use sketch::{Book, Place};
use wire::Time;

use crate::failure::Failure;
use crate::limits::REPLAY_BEATS;
use crate::out::Out;

/// As often as a running node looks at what its workers noted.
const BEAT: Duration = Duration::from_millis(100);
/// The hour of all captures, since baselines learn nothing from one.
const SECOND_OF_DAY: u32 = 12 * 3_600;

/// What looks for attacks.
pub(super) struct Detection {
    detector: Detector,
    book: Book,
    zones: Vec<String>,
    due: Time,
}

/// That an attack began, or is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Event {
    event: &'static str,
    pub(super) kind: String,
    zone: String,
    source: Option<String>,
    destination: Option<String>,
    /// The most that was seen of it until now.
    seen: u64,
    threshold: u64,
    action: &'static str,
}

/// An event as a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    attack: &'a Event,
}

impl Detection {
    /// `None`: the policy has no screen.
    pub(super) fn new(policy: &config::Policy, secret: [u64; 2], now: Time) -> Option<Self> {
        if policy.screens.is_empty() {
            return None;
        }
        let seed = engine::screen::seed(secret);
        let settings = Settings { node: NodeId(1), boot: Boot(1), seed };
        let screens = Screens::new(&Arc::new(policy.clone()));
        let book = Book::new(seed, screens.aggregation());
        let zones = policy.zones.iter().map(|zone| zone.name.clone()).collect();
        Some(Self { detector: Detector::new(settings, screens, now), book, zones, due: now + BEAT })
    }

    /// When it wants to look next; of a long silence only the end is looked at.
    pub(super) fn due(&mut self, now: Time) -> Option<Time> {
        let silence = BEAT * REPLAY_BEATS;
        if now.since(self.due) > silence {
            self.due = Time(now.as_nanos().saturating_sub(silence.as_nanos() as u64));
        }
        (self.due <= now).then_some(self.due)
    }

    /// Judges what the engine noted until now, and has it do what is to be done.
    pub(super) fn look(&mut self, engine: &mut Engine) -> Vec<Event> {
        let now = self.due;
        self.due = now + BEAT;
        engine.exchange_book(&mut self.book);
        self.detector.take(&mut self.book, now);
        let said = self.detector.tick(now, SECOND_OF_DAY, true);
        said.iter().for_each(|it| obey(engine, it, now));
        said.iter().filter_map(|it| self.event(it)).collect()
    }

    fn event(&self, said: &Output) -> Option<Event> {
        match said {
            Output::Started(attack) => Some(self.tell("start", attack)),
            Output::Ended(attack) => Some(self.tell("end", attack)),
            Output::GoingOn(_) | Output::Act(_) | Output::Undo(_) => None,
        }
    }

    fn tell(&self, event: &'static str, attack: &Attack) -> Event {
        let named = |place: Option<Place>| place.map(|it| it.to_string());
        let zone = self.zones.get(usize::from(attack.subject.zone()));
        Event {
            event,
            kind: attack.kind.to_string(),
            zone: zone.cloned().unwrap_or_default(),
            source: named(attack.subject.source()),
            destination: named(attack.subject.destination()),
            seen: attack.most,
            threshold: attack.threshold,
            action: attack.reaction.name(),
        }
    }
}

impl Event {
    pub(super) fn print(&self, out: &mut Out<'_>) -> Result<(), Failure> {
        if out.json() {
            return Ok(out.value(&Line { attack: self })?);
        }
        let Self { event, kind, zone, seen, threshold, action, .. } = self;
        let from = self.source.as_ref().map(|it| format!(" from {it}")).unwrap_or_default();
        let to = self.destination.as_ref().map(|it| format!(" to {it}")).unwrap_or_default();
        Ok(out.line(format!(
            "attack-{event}: {kind}{from}{to} in zone {zone}: {seen}, threshold {threshold}, {action}"
        ))?)
    }
}
