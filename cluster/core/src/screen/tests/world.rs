//! Detectors in virtual time: what their workers note, what they tell each other, what they say.

use core::net::IpAddr;
use std::sync::Arc;

use sketch::{Aggregation, Book, DenyClass, Kind as Seen, Observation, Place, Seed};
use wire::Time;

use crate::screen::{Action, Attack, Detector, Output, Screens, Settings};
use crate::{Boot, NodeId};

pub(super) const SEED: Seed = Seed::new([61, 62]);
/// The zone outside, which has the screen; zone 0 has none.
pub(super) const OUT: u8 = 1;
pub(super) const DENIED: Seen = Seen::Denied(DenyClass::Policy);

/// Milliseconds between two ticks.
const STEP: u64 = 100;

pub(super) struct World {
    pub(super) now: Time,
    pub(super) nodes: Vec<Node>,
    /// Whether a digest with this count, from node to node, arrives, and how often.
    pub(super) copies: fn(u64) -> usize,
    sent: u64,
}

pub(super) struct Node {
    pub(super) detector: Detector,
    books: Vec<Book>,
    pub(super) said: Vec<(Time, Output)>,
}

pub(super) fn screens(lines: &str) -> Screens {
    let text = format!("[zones]\nin = \"a\"\nout = \"b\"\n[[screen]]\nzone = \"out\"\n{lines}");
    let policy = config::parse_policy("p", &text, &mut |_| Err(String::new()));
    let policy = policy.unwrap_or_else(|all| panic!("{all:#?}")).value;
    Screens::new(&Arc::new(policy))
}

pub(super) fn place(text: &str) -> Place {
    Place::of(OUT, text.parse().unwrap())
}

impl World {
    /// So many nodes with two workers each.
    pub(super) fn new(nodes: u16, lines: &str) -> Self {
        // A time amid windows and seconds, as a node's life has it.
        let now = Time::from_millis(98_765_432);
        let node = |id| Node::new(id, 1, lines, now);
        Self { now, nodes: (1..=nodes).map(node).collect(), copies: |_| 1, sent: 0 }
    }

    /// A worker of a node sees something.
    pub(super) fn note(&mut self, node: usize, worker: usize, it: &Observation) {
        self.nodes[node].books[worker].note(it);
    }

    /// Time passes; books and digests go their way.
    pub(super) fn run(&mut self, millis: u64) {
        for _ in 0..millis / STEP {
            self.now = self.now + core::time::Duration::from_millis(STEP);
            self.step();
        }
    }

    pub(super) fn run_seconds(&mut self, seconds: u64) {
        self.run(seconds * 1_000);
    }

    fn step(&mut self) {
        let mut sent = Vec::new();
        for (at, node) in self.nodes.iter_mut().enumerate() {
            node.step(self.now);
            sent.extend(node.detector.digests(self.now).into_iter().map(|it| (at, it)));
        }
        for (from, message) in sent {
            assert!(message.len() <= crate::limits::DIGEST_BYTES);
            for (to, node) in self.nodes.iter_mut().enumerate().filter(|(to, _)| *to != from) {
                let _ = to;
                self.sent += 1;
                for _ in 0..(self.copies)(self.sent) {
                    node.detector.hear(&message, self.now).unwrap();
                }
            }
        }
    }
}

impl Node {
    pub(super) fn new(id: u16, boot: u32, lines: &str, now: Time) -> Self {
        let settings = Settings { node: NodeId(id), boot: Boot(boot), seed: SEED };
        let book = || Book::new(SEED, &[Aggregation::default(); 2]);
        Self {
            detector: Detector::new(settings, screens(lines), now),
            books: vec![book(), book()],
            said: Vec::new(),
        }
    }

    fn step(&mut self, now: Time) {
        self.books.iter_mut().for_each(|book| self.detector.take(book, now));
        let said = self.detector.tick(now, 12 * 3_600, true);
        self.said.extend(said.into_iter().map(|it| (now, it)));
    }

    pub(super) fn started(&self) -> Vec<&Attack> {
        let started = |(_, it): &'_ (Time, Output)| matches!(it, Output::Started(_));
        self.said.iter().filter(|it| started(it)).map(|(_, it)| attack(it)).collect()
    }

    pub(super) fn ended(&self) -> Vec<&Attack> {
        let ended = |(_, it): &'_ (Time, Output)| matches!(it, Output::Ended(_));
        self.said.iter().filter(|it| ended(it)).map(|(_, it)| attack(it)).collect()
    }

    /// Names of what began: kind and subject.
    pub(super) fn names(&self) -> Vec<String> {
        self.started().iter().map(|it| name(it)).collect()
    }

    pub(super) fn acts(&self) -> Vec<Action> {
        let act = |(_, it): &(Time, Output)| match it {
            Output::Act(action) => Some(*action),
            Output::Started(_) | Output::GoingOn(_) | Output::Ended(_) | Output::Undo(_) => None,
        };
        self.said.iter().filter_map(act).collect()
    }

    pub(super) fn undone(&self) -> Vec<Action> {
        let undone = |(_, it): &(Time, Output)| match it {
            Output::Undo(action) => Some(*action),
            Output::Started(_) | Output::GoingOn(_) | Output::Ended(_) | Output::Act(_) => None,
        };
        self.said.iter().filter_map(undone).collect()
    }
}

fn attack(output: &Output) -> &Attack {
    match output {
        Output::Started(attack) | Output::GoingOn(attack) | Output::Ended(attack) => attack,
        Output::Act(action) | Output::Undo(action) => panic!("{action:?} is no attack"),
    }
}

pub(super) fn name(attack: &Attack) -> String {
    use crate::screen::Subject;
    let subject = match attack.subject {
        Subject::Source(place) => format!("from {place}"),
        Subject::Destination(place) => format!("to {place}"),
        Subject::Pair(pair) => format!("from {} to {}", pair.source, pair.destination),
        Subject::Zone(zone) => format!("into zone {zone}"),
    };
    format!("{} {subject}", attack.kind)
}

/// A TCP packet from outside.
pub(super) fn tcp(kind: Seen, source: &str, destination: &str, port: u16) -> Observation {
    from(kind, source.parse().unwrap(), destination.parse().unwrap(), port)
}

pub(super) fn from(kind: Seen, source: IpAddr, destination: IpAddr, port: u16) -> Observation {
    Observation {
        kind,
        zone: OUT,
        protocol: 6,
        source,
        destination,
        source_port: 40_000,
        port,
        packets: 1,
        bytes: 60,
    }
}
