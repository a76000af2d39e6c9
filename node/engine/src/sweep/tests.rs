//! What becomes of sessions for which no packet comes, beside a twin that judges one by one and by eye.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use config::OnChange;
use proptest::prelude::*;
use wire::build::Builder;
use wire::{TcpFlags, Time};

use super::pressure;
use crate::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use crate::limits::{PRESSURE_STEPS, SWEEP_PER_TURN, SWEEP_TIME};
use crate::policy::Policy;
use crate::session::{CloseReason, Peer, Session};
use crate::{
    Checksum, Engine, Event, EventKind, Mode, Origin, Port, PortId, Settings, Verdict, WorkerId,
};

const START: Time = Time::from_secs(1_000);
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const IDS: [&str; 4] = ["one", "two", "three", "four"];

/// What a session is of, as a rule can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tcp,
    Udp,
    Echo,
    Timestamp,
    Esp,
}

const KINDS: [Kind; 5] = [Kind::Tcp, Kind::Udp, Kind::Echo, Kind::Timestamp, Kind::Esp];

impl Kind {
    const fn service(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Echo => "icmp4/8",
            Self::Timestamp => "icmp4/13",
            Self::Esp => "esp",
        }
    }

    /// A packet of the flow with this number.
    fn packet(self, number: u8, reply: bool) -> Builder<'static> {
        let [client, server] = [[10, 0, 0, number], [10, 0, 1, 2]];
        let start = match reply {
            false => Builder::v4(client, server).ethernet([6; 6], MACS[0]),
            true => Builder::v4(server, client).ethernet([6; 6], MACS[1]),
        };
        match (self, reply) {
            (Self::Tcp, false) => start.tcp(5_000, 80).flags(TcpFlags::SYN).seq(9),
            (Self::Tcp, true) => {
                start.tcp(80, 5_000).flags(TcpFlags::SYN | TcpFlags::ACK).seq(5).ack(10)
            }
            (Self::Udp, false) => start.udp(5_000, 53),
            (Self::Udp, true) => start.udp(53, 5_000),
            (Self::Echo, false) => start.echo_request(7, 0),
            (Self::Echo, true) => start.echo_reply(7, 0),
            (Self::Timestamp, _) => start.icmp(13 + u8::from(reply), 0, 8 << 16).payload(&[0; 12]),
            (Self::Esp, _) => start.esp(1, 1),
        }
    }
}

/// A rule from one zone to the other.
#[derive(Clone, Copy, Debug)]
struct Rule {
    id: &'static str,
    /// What it is about; all, if `None`.
    kind: Option<Kind>,
    permits: bool,
    on_change: OnChange,
}

impl Rule {
    const fn permitting(id: &'static str, kind: Option<Kind>, on_change: OnChange) -> Self {
        Self { id, kind, permits: true, on_change }
    }

    fn text(&self) -> String {
        let Self { id, kind, permits, on_change } = self;
        let action = if *permits { "permit\"\nlog = [\"close\"]" } else { "deny\"" };
        let service =
            kind.map_or(String::new(), |kind| format!("service = \"{}\"\n", kind.service()));
        let name = on_change.name();
        format!("[[rule]]\nid = \"{id}\"\n{service}on-change = \"{name}\"\naction = \"{action}\n")
    }
}

/// How the twin reads a policy: the first rule that is about this kind.
fn decides(rules: &[Rule], kind: Kind) -> Option<&Rule> {
    rules.iter().find(|rule| rule.kind.is_none_or(|of| of == kind))
}

/// What the twin knows of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Twin {
    /// The rule that it is of; `None` once that was gone.
    rule: Option<&'static str>,
    packets: [u64; 2],
    bytes: [u64; 2],
}

impl Twin {
    /// Whether it lives under other rules, and of which it is then.
    fn judged(&mut self, rules: &[Rule], kind: Kind) -> bool {
        let own = self.rule.and_then(|id| rules.iter().find(|rule| rule.id == id));
        match own.map(|rule| rule.on_change) {
            Some(OnChange::Keep) => true,
            Some(OnChange::Kill) => false,
            Some(OnChange::Rematch) | None => {
                let now = decides(rules, kind).filter(|rule| rule.permits);
                self.rule = now.map(|rule| rule.id);
                now.is_some()
            }
        }
    }
}

type Flow = (Kind, u8);

/// An engine and its twin.
struct World {
    engine: Engine,
    now: Time,
    epoch: u64,
    rules: Vec<Rule>,
    twins: BTreeMap<Flow, Twin>,
    /// Those of them that no policy in force has judged.
    old: BTreeSet<Flow>,
    hits: BTreeMap<&'static str, u64>,
}

impl World {
    fn new(rules: &[Rule]) -> Self {
        let port = |(name, mac): (&str, [u8; 6])| Port {
            name: name.to_owned(),
            domain: 0,
            mode: Mode::Routed,
            mac,
            mtu: 1_500,
            checksum: Checksum::Verify,
            up: true,
        };
        let settings = Settings {
            worker: WorkerId(0),
            node: 1,
            boot: 1,
            seed: [3, 4],
            secret: [1, 2],
            sessions: 20_000,
            ports: ["a", "b"].into_iter().zip(MACS).map(port).collect(),
        };
        let engine = Engine::new(settings, START);
        let mut world = Self {
            engine,
            now: START,
            epoch: 0,
            rules: Vec::new(),
            twins: BTreeMap::new(),
            old: BTreeSet::new(),
            hits: BTreeMap::new(),
        };
        (0..2).for_each(|port| world.route(port));
        world.commit(rules);
        world
    }

    /// A network behind a port, and who is in it.
    fn route(&mut self, number: u16) {
        let (port, state) = (PortId(number), NeighbourState::Permanent);
        let kind = RouteKind::Unicast(NextHops::one(port, Some([192, 0, 2, 1].into())));
        let prefix = format!("10.0.{number}.0/24").parse().unwrap();
        self.engine.apply(&[
            FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } },
            FibChange::NeighbourSet { port, address: [192, 0, 2, 1].into(), mac: [6; 6], state },
        ]);
    }

    /// Another policy; rules that are gone are gone for the twin, too.
    fn commit(&mut self, rules: &[Rule]) {
        let text: String = rules.iter().map(Rule::text).collect();
        self.commit_text(&format!("zones = {{ in = [\"a\"], out = [\"b\"] }}\n{text}"));
        self.rules = rules.to_vec();
        self.old.extend(self.twins.keys());
        for twin in self.twins.values_mut() {
            twin.rule = twin.rule.filter(|id| rules.iter().any(|rule| rule.id == *id));
        }
    }

    fn commit_text(&mut self, text: &str) {
        self.epoch += 1;
        let policy = Policy::from_text(text, self.epoch, &["a", "b"]).unwrap();
        self.engine.set_policy(Arc::new(policy));
    }

    fn arrive(&mut self, (kind, number): Flow, reply: bool) -> Verdict {
        let packet = kind.packet(number, reply);
        let mut frame = packet.frame().to_vec();
        let bytes = frame.len() as u64 - 14;
        let ingress = PortId(u16::from(reply));
        let parsed = self.engine.parse(ingress, &frame);
        let verdict = self.engine.decide(Origin::Port, &parsed, &mut frame, self.now).verdict;
        let known = self.twins.contains_key(&(kind, number));
        if !known && !reply {
            let rule = decides(&self.rules, kind).copied();
            rule.iter().for_each(|rule| *self.hits.entry(rule.id).or_default() += 1);
            if let Some(Rule { id, .. }) = rule.filter(|rule| rule.permits) {
                let twin = Twin { rule: Some(id), packets: [0; 2], bytes: [0; 2] };
                self.twins.insert((kind, number), twin);
            }
        }
        if let Some(twin) = self.twins.get_mut(&(kind, number)) {
            assert!(matches!(verdict, Verdict::Forward(_)), "{kind:?} {reply}: {verdict:?}");
            twin.packets[usize::from(reply)] += 1;
            twin.bytes[usize::from(reply)] += bytes;
        }
        verdict
    }

    /// As many turns as there are to do, as a worker without packets takes them. How many.
    fn sweep(&mut self) -> u32 {
        let mut turns = 1;
        while self.engine.tick(self.now) {
            self.now = self.now + Duration::from_micros(100);
            turns += 1;
        }
        let Self { twins, rules, old, .. } = self;
        twins.retain(|flow, twin| !old.contains(flow) || twin.judged(rules, flow.0));
        old.clear();
        turns
    }

    /// What the engine has, in the twin's words.
    fn sessions(&self) -> BTreeMap<Flow, (Session, Twin)> {
        let mut all = BTreeMap::new();
        let mut cursor = Some(crate::table::Cursor::default());
        while let Some(at) = cursor {
            cursor = self.engine.sessions().page(at, |_, session| {
                let rule = self.engine.rule_of(session);
                let id = rule.map(|rule| self.engine.policy().rule(rule).id.clone());
                let rule = id.map(|id| *IDS.iter().find(|known| **known == id).unwrap());
                let Session { packets, bytes, .. } = *session;
                all.insert(flow(session), (*session, Twin { rule, packets, bytes }));
            });
        }
        all
    }

    fn closes(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.engine.next_event()).collect()
    }

    fn is_as_its_twin(&self) {
        let sessions = self.sessions();
        let told: BTreeMap<Flow, Twin> =
            sessions.iter().map(|(flow, (_, twin))| (*flow, twin.clone())).collect();
        assert_eq!(told, self.twins);
        let hits = self.rules.iter().zip(self.engine.rules().hits());
        for (rule, hits) in hits {
            assert_eq!(hits.count, self.hits.get(rule.id).copied().unwrap_or(0), "{}", rule.id);
        }
        for (at, rule) in self.rules.iter().enumerate() {
            let count = self.twins.values().filter(|twin| twin.rule == Some(rule.id)).count();
            let told = self.engine.rules().sessions_of_rule(crate::RuleIndex(at as u32));
            assert_eq!(told as usize, count, "{}", rule.id);
        }
    }
}

fn flow(session: &Session) -> Flow {
    let (source, _) = session.key.source(session.direction(Peer::Initiator));
    let std::net::IpAddr::V4(source) = source else { panic!("all are IPv4") };
    let kind = match (session.key.protocol(), session.query()) {
        (wire::Protocol::TCP, None) => Kind::Tcp,
        (wire::Protocol::UDP, None) => Kind::Udp,
        (wire::Protocol::ICMP, Some(8)) => Kind::Echo,
        (wire::Protocol::ICMP, Some(13)) => Kind::Timestamp,
        (wire::Protocol::ESP, None) => Kind::Esp,
        other => panic!("a session of {other:?}"),
    };
    (kind, source.octets()[3])
}

/// Rules after the commit, by whether a session of rule `one`, which is about its kind, lives.
fn afterwards(kind: Kind) -> Vec<(Vec<Rule>, [bool; 3])> {
    let own = |permits| Rule { permits, ..Rule::permitting("one", Some(kind), OnChange::Rematch) };
    let all = |id, permits| Rule { permits, ..Rule::permitting(id, None, OnChange::Rematch) };
    // Lives under keep, rematch, kill.
    vec![
        (vec![own(true)], [true, true, false]),
        (vec![all("two", true), own(true)], [true, true, false]),
        (vec![all("two", false), own(true)], [true, false, false]),
        (vec![own(false)], [true, false, false]),
        (vec![all("two", true)], [true, true, true]), // the rule is gone, and its word with it
        (vec![all("two", false)], [false; 3]),
        (vec![], [false; 3]),
    ]
}

#[test]
fn each_kind_of_session_is_judged_without_a_packet_as_its_rule_says() {
    let ways = [OnChange::Keep, OnChange::Rematch, OnChange::Kill];
    for kind in KINDS {
        for answered in [false, true] {
            for (rules, lives) in afterwards(kind) {
                for (on_change, lives) in ways.into_iter().zip(lives) {
                    let case = format!("{kind:?} {answered} {on_change:?} {rules:?}");
                    judged_once(kind, answered, &rules, on_change, lives, &case);
                }
            }
        }
    }
}

fn judged_once(
    kind: Kind,
    answered: bool,
    rules: &[Rule],
    on_change: OnChange,
    lives: bool,
    case: &str,
) {
    let mut world = World::new(&[Rule::permitting("one", Some(kind), OnChange::Rematch)]);
    world.arrive((kind, 1), false);
    if answered {
        world.arrive((kind, 1), true);
    }
    let before = world.sessions()[&(kind, 1)].0;
    let says = |rule: &Rule| match rule.id {
        "one" => Rule { on_change, ..*rule },
        _ => *rule,
    };
    world.commit(&rules.iter().map(says).collect::<Vec<_>>());
    world.sweep();
    world.is_as_its_twin();
    let now = world.sessions();
    let closes = world.closes();
    assert_eq!(now.len(), usize::from(lives), "{case}");
    if let Some((after, _)) = now.get(&(kind, 1)) {
        assert_eq!((after.epoch, after.id), (2, before.id), "{case}");
        assert_eq!((after.packets, after.bytes), (before.packets, before.bytes), "{case}");
        assert!(closes.is_empty(), "{case}");
        return;
    }
    let [close] = closes[..] else { panic!("{case}: {closes:?}") };
    assert_eq!(close.kind, EventKind::Close(CloseReason::Policy), "{case}");
    assert_eq!((close.epoch, close.judged), (1, 2), "{case}: its rule's, and who ended it");
    assert_eq!((close.packets, close.bytes), (before.packets, before.bytes), "{case}");
    assert_eq!(world.engine.counters().sessions_closed, 1, "{case}");
}

#[test]
fn a_session_that_ends_by_itself_was_judged_by_its_own_policy() {
    let mut world = World::new(&[Rule::permitting("one", None, OnChange::Rematch)]);
    world.arrive((Kind::Udp, 1), false);
    world.now = world.now + Duration::from_secs(60);
    while world.engine.tick(world.now) {}
    let [close] = world.closes()[..] else { panic!("one") };
    assert_eq!((close.kind, close.judged), (EventKind::Close(CloseReason::Timeout), 1));
}

#[test]
fn a_zone_that_is_gone_is_found_by_the_route_and_waits_for_one() {
    for routed in [true, false] {
        let mut world = World::new(&[Rule::permitting("one", None, OnChange::Rematch)]);
        // Never answered: the port of its initiator is known by no packet.
        world.arrive((Kind::Udp, 1), false);
        let prefix = "10.0.0.0/24".parse().unwrap();
        if !routed {
            world.engine.apply(&[FibChange::RouteDelete {
                domain: 0,
                prefix,
                metric: 0,
                hop: None,
            }]);
        }
        let renamed = "zones = { other = [\"a\"], out = [\"b\"] }\n";
        world.commit_text(renamed);
        while world.engine.tick(world.now) {}
        assert_eq!(world.engine.sessions().len(), usize::from(!routed), "nobody can tell yet");
        world.now = world.now + Duration::from_secs(2);
        while world.engine.tick(world.now) {}
        assert_eq!(world.engine.sessions().len(), usize::from(!routed), "nothing is new");
        world.route(0);
        while world.engine.tick(world.now) {}
        assert!(world.engine.sessions().is_empty(), "no rule permits it, whatever its zone is");
    }
}

/// Sessions of one kind, so many that a sweep takes several turns.
fn many() -> World {
    let mut world = World::new(&[Rule::permitting("one", None, OnChange::Rematch)]);
    for port in 0..3 * SWEEP_PER_TURN {
        let [client, server] = [[10, 0, 0, 2], [10, 0, 1, 2]];
        let packet = Builder::v4(client, server).ethernet([6; 6], MACS[0]).udp(port as u16, 53);
        let mut frame = packet.frame().to_vec();
        let parsed = world.engine.parse(PortId(0), &frame);
        world.engine.decide(Origin::Port, &parsed, &mut frame, world.now);
    }
    assert_eq!(world.engine.sessions().len(), 3 * SWEEP_PER_TURN as usize);
    world
}

#[test]
fn a_turn_looks_at_so_many_and_commits_in_a_row_keep_the_sweep_from_no_place() {
    let mut world = many();
    let deny = Rule { permits: false, ..Rule::permitting("one", None, OnChange::Rematch) };
    let left = |world: &World| world.engine.sessions().len() as u32;
    for part in 1..=3 {
        // Another commit before each turn.
        world.commit(&[deny]);
        world.engine.tick(world.now);
        assert_eq!(left(&world), (3 - part) * SWEEP_PER_TURN);
    }
    assert_eq!(world.engine.counters().events_lost, 0);
}

#[test]
fn long_turns_look_at_more_and_it_takes_no_longer_than_it_should() {
    let mut world = many();
    let deny = Rule { permits: false, ..Rule::permitting("one", None, OnChange::Rematch) };
    world.commit(&[deny]);
    let begun = world.now;
    while world.engine.tick(world.now) {
        world.now = world.now + Duration::from_millis(300);
    }
    assert_eq!(world.engine.sessions().len(), 0);
    assert!(world.now.since(begun) <= SWEEP_TIME + Duration::from_millis(100));
}

#[test]
fn sessions_that_come_meanwhile_take_no_part_of_the_sweep() {
    let mut world = many();
    world.commit(&[Rule::permitting("one", Some(Kind::Tcp), OnChange::Rematch)]);
    world.engine.tick(world.now);
    // Behind all others, so they are passed over before the first places.
    for number in 1..200 {
        world.arrive((Kind::Tcp, number), false);
    }
    while world.engine.tick(world.now) {}
    assert_eq!(world.engine.sessions().len(), 199);
}

#[derive(Clone, Debug)]
enum Step {
    Packet { flow: Flow, reply: bool },
    Commit(Vec<Rule>),
    Sweep,
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let kind = prop::option::of(prop::sample::select(KINDS.to_vec()));
    let ways = vec![OnChange::Keep, OnChange::Rematch, OnChange::Kill];
    let rest = (kind, any::<bool>(), prop::sample::select(ways));
    let ids = prop::sample::subsequence(IDS.to_vec(), 0..=IDS.len()).prop_shuffle();
    (ids, prop::collection::vec(rest, IDS.len())).prop_map(|(ids, rest)| {
        let rule = |(id, (kind, permits, on_change))| Rule { id, kind, permits, on_change };
        ids.into_iter().zip(rest).map(rule).collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let flow = (prop::sample::select(KINDS.to_vec()), 1..4_u8);
    prop_oneof![
        6 => (flow, any::<bool>()).prop_map(|(flow, reply)| Step::Packet { flow, reply }),
        2 => rules().prop_map(Step::Commit),
        1 => Just(Step::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Rules, hits, sessions and what they counted, through any commits. Several may come before a sweep.
    #[test]
    fn after_a_sweep_all_is_as_the_twin_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(&[Rule::permitting("one", None, OnChange::Rematch)]);
        let mut swept = true;
        for step in steps {
            match step {
                Step::Packet { flow, reply } => {
                    if !swept {
                        // What a packet's own look says, the tests of the packet path tell.
                        world.sweep();
                        swept = true;
                    }
                    // An answer to nobody opens nothing, and each of a handshake comes once.
                    let known = world.twins.get(&flow);
                    let fits = match reply {
                        false => flow.0 != Kind::Tcp || known.is_none(),
                        true => known.is_some_and(|twin| twin.packets[1] == 0),
                    };
                    if fits {
                        world.arrive(flow, reply);
                    }
                }
                Step::Commit(rules) => {
                    world.commit(&rules);
                    swept = false;
                }
                Step::Sweep => {
                    world.sweep();
                    swept = true;
                }
            }
            if swept {
                world.is_as_its_twin();
            }
        }
    }
}

#[test]
fn a_session_remembers_each_icmp_type_that_opens_one() {
    for (v6, range) in [(false, 0..=255_u8), (true, 0..=255)] {
        for kind in range {
            let start = match v6 {
                false => Builder::v4([10, 0, 0, 1], [10, 0, 1, 2]),
                true => Builder::v6([1, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 2]),
            };
            let frame = start.icmp(kind, 0, 7 << 16).frame().to_vec();
            let Ok(packet) = wire::Packet::parse(&frame) else { continue };
            let opens = crate::track::open(&packet, &crate::track::Settings::default()).is_ok();
            let Some((key, direction)) = wire::flow_key(&packet, 0) else {
                assert!(!opens, "{kind}");
                continue;
            };
            let opening = crate::session::Opening {
                key,
                direction,
                id: 1,
                rule: crate::RuleIndex(0),
                epoch: 1,
                zones: [crate::ZoneId(0); 2],
            };
            let mut session = Session::new(&opening, START);
            session.set_query(kind);
            assert_eq!(session.query(), opens.then_some(kind), "{kind} {v6}");
        }
    }
}

#[test]
fn pressure_begins_at_six_tenths_and_leaves_a_third_at_the_end() {
    assert_eq!(pressure(0, 100), 0);
    assert_eq!(pressure(60, 100), 0);
    assert_eq!(pressure(64, 100), 1);
    assert_eq!(pressure(90, 100), PRESSURE_STEPS / 2);
    assert_eq!(pressure(100, 100), PRESSURE_STEPS * 2 / 3);
    assert_eq!(pressure(1, 1), 10);
}
