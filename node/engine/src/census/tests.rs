//! Whatever happens, the census says what a recount of the whole table says.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use wire::build::Builder;
use wire::{SLOTS, TcpFlags, Time};

use crate::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use crate::policy::Policy;
use crate::session::CloseReason;
use crate::table::Handle;
use crate::{
    Checksum, Engine, Mode, Origin, Port, PortId, Reason, RuleIndex, Settings, Verdict, WorkerId,
    ZoneId,
};

const START: Time = Time::from_secs(1_000);
const PORTS: [&str; 3] = ["a", "b", "c"];
const MACS: [[u8; 6]; 3] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3]];
/// Rules and zones that come, go, move, and treat live sessions in every way. `t` has TCP, the others
/// what is left of UDP.
const POLICIES: [&str; 4] = [
    r#"
zones = { in = { ports = ["a", "c"], sessions-max = 7 }, out = ["b"] }
[[rule]]
id = "t"
service = "tcp"
action = "permit"
sessions-max = 3
pick-up = true
[[rule]]
id = "u"
service = "udp/1000-1003"
action = "permit"
sessions-max = 2
on-change = "keep"
[[rule]]
id = "k"
action = "permit"
on-change = "kill"
"#,
    r#"
zones = { out = { ports = "b", sessions-max = 2 }, in = ["a"], third = ["c"] }
[[rule]]
id = "k"
service = "udp"
action = "permit"
on-change = "kill"
[[rule]]
id = "t"
from = "in"
action = "permit"
"#,
    r#"
zones = { third = ["a", "b", "c"] }
[[rule]]
id = "u"
service = "udp"
action = "permit"
on-change = "keep"
[[rule]]
id = "new"
action = "permit"
sessions-max = 5
"#,
    r#"
zones = { in = ["a"], out = ["b"] }
[[rule]]
id = "t"
service = "tcp"
action = "deny"
[[rule]]
id = "u"
action = "permit"
"#,
];

#[derive(Clone, Debug)]
enum Step {
    Tcp {
        way: Way,
        flow: u8,
        flags: u8,
    },
    Udp {
        way: Way,
        flow: u8,
    },
    Echo {
        flow: u8,
    },
    Wait(u16),
    Policy(u8),
    Clear(u8),
    /// As many commits as make an epoch forgotten.
    Forget,
    Slots(u16),
    /// Something went wrong, and a panic came of it.
    Panic {
        lose: bool,
    },
}

/// From the host behind a port to the one behind the next port, or back.
#[derive(Clone, Copy, Debug)]
struct Way {
    port: u8,
    reply: bool,
}

fn way() -> impl Strategy<Value = Way> {
    (0..3_u8, any::<bool>()).prop_map(|(port, reply)| Way { port, reply })
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop::sample::select(vec![0x02_u8, 0x12, 0x10, 0x11, 0x04, 0x18]);
    prop_oneof![
        8 => (way(), 0..8_u8, flags)
            .prop_map(|(way, flow, flags)| Step::Tcp { way, flow, flags }),
        8 => (way(), 0..8_u8).prop_map(|(way, flow)| Step::Udp { way, flow }),
        2 => (0..8_u8).prop_map(|flow| Step::Echo { flow }),
        3 => (0..40_000_u16).prop_map(Step::Wait),
        3 => (0..4_u8).prop_map(Step::Policy),
        1 => any::<u8>().prop_map(Step::Clear),
        1 => Just(Step::Forget),
        1 => (1..=SLOTS).prop_map(Step::Slots),
        1 => any::<bool>().prop_map(|lose| Step::Panic { lose }),
    ]
}

/// An engine with room for few sessions, so that the table fills and sessions give way.
struct World {
    engine: Engine,
    now: Time,
    epoch: u64,
}

impl World {
    fn new() -> Self {
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
            sessions: 12,
            ports: PORTS.into_iter().zip(MACS).map(port).collect(),
        };
        let mut engine = Engine::new(settings, START);
        for number in 0..3 {
            let (port, state) = (PortId(number), NeighbourState::Permanent);
            let kind = RouteKind::Unicast(NextHops::one(port, None));
            let prefix = format!("10.0.{number}.0/24").parse().unwrap();
            let address = format!("10.0.{number}.2").parse().unwrap();
            engine.apply(&[
                FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } },
                FibChange::NeighbourSet { port, address, mac: [6; 6], state },
            ]);
        }
        let mut world = Self { engine, now: START, epoch: 0 };
        world.commit(0);
        world
    }

    fn commit(&mut self, which: u8) {
        self.epoch += 1;
        self.engine.set_policy(Arc::new(policy(which, self.epoch)));
    }

    /// A frame arrives; `build` gets its beginning.
    fn arrive(&mut self, way: Way, build: impl FnOnce(Builder<'static>) -> Builder<'static>) {
        let ends = [way.port, (way.port + 1) % 3];
        let [from, to] = if way.reply { [ends[1], ends[0]] } else { ends };
        let start = Builder::v4([10, 0, from, 2], [10, 0, to, 2]);
        let start = start.ethernet([6; 6], MACS[usize::from(from)]);
        let mut frame = build(start).frame().to_vec();
        let before = self.engine.counters().sessions_opened;
        let ingress = PortId(u16::from(from));
        let parsed = self.engine.parse(ingress, &frame);
        let decision = self.engine.decide(Origin::Port, &parsed, &mut frame, self.now);
        let opened = self.engine.counters().sessions_opened > before;
        if opened {
            self.within_limits(decision.rule.unwrap(), ingress);
        }
        let refused = [Reason::RuleSessions, Reason::ZoneSessions].map(Verdict::Drop);
        assert!(!(opened && refused.contains(&decision.verdict)));
    }

    /// A session that opens is within the limits of its rule and zone.
    fn within_limits(&self, rule: RuleIndex, ingress: PortId) {
        let policy = self.engine.policy();
        let zone = policy.zone_of_port(ingress).unwrap();
        let rules = self.engine.rules();
        let within = |now: u32, max: Option<u32>| {
            assert!(max.is_none_or(|max| now <= self.engine.share(max)), "{now} of {max:?}");
        };
        within(rules.sessions_of_rule(rule), policy.rule(rule).sessions_max);
        within(rules.sessions_of_zone(zone), policy.zone_sessions_max(zone));
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::Tcp { way, flow, flags } => {
                let (from, to) = ports(way, flow);
                self.arrive(way, |start| start.tcp(from, to).flags(TcpFlags(flags)));
            }
            Step::Udp { way, flow } => {
                let (from, to) = ports(way, flow);
                self.arrive(way, |start| start.udp(from, to));
            }
            Step::Echo { flow } => {
                let way = Way { port: 0, reply: false };
                self.arrive(way, |start| start.echo_request(u16::from(flow), 0));
            }
            Step::Wait(milliseconds) => {
                self.now = self.now + Duration::from_millis(milliseconds.into());
                self.engine.tick(self.now);
            }
            Step::Policy(which) => self.commit(which),
            Step::Clear(which) => {
                let all = self.handles();
                if let Some(handle) = all.get(usize::from(which) % all.len().max(1)) {
                    self.engine.end_session(*handle, CloseReason::Cleared, self.now);
                }
            }
            Step::Forget => (0..60).for_each(|_| self.commit(0)),
            Step::Slots(own) => {
                let owner = |slot: usize| WorkerId(u8::from(slot >= usize::from(own)));
                let owners: [WorkerId; SLOTS as usize] = std::array::from_fn(owner);
                // Ownership is asked before a packet is decided, so all are still decided here.
                self.engine.set_owners(Arc::new(owners));
            }
            Step::Panic { lose } => {
                // A session that went without being counted.
                if let Some(handle) = self.handles().first().filter(|_| lose) {
                    self.engine.table.remove(*handle);
                }
                self.engine.recover();
            }
        }
    }

    fn handles(&self) -> Vec<Handle> {
        let mut all = Vec::new();
        self.engine.sessions().page(Default::default(), |handle, _| all.push(handle));
        all
    }

    /// The slow twin: every session counted, for what it belongs to today.
    fn recount(&self) -> (Vec<u32>, Vec<u32>, u32) {
        let policy = self.engine.policy();
        let (mut rules, mut zones) = (vec![0; policy.rules().len()], vec![0; policy.zones().len()]);
        let mut total = 0;
        self.engine.sessions().page(Default::default(), |_, session| {
            let current = u64::from(session.epoch) == self.epoch;
            let zone = match current {
                true => Some(session.zones[0]),
                false => self.engine.rules.zone_now(session.epoch, session.zones[0]),
            };
            let rule = self.engine.rule_of(session);
            rule.into_iter().for_each(|rule| rules[rule.index()] += 1);
            zone.into_iter().for_each(|zone| zones[zone.index()] += 1);
            total += 1;
        });
        (rules, zones, total)
    }

    fn census(&self) -> (Vec<u32>, Vec<u32>, u32) {
        let (policy, rules) = (self.engine.policy(), self.engine.rules());
        let of_rule = |at: usize| rules.sessions_of_rule(RuleIndex(at as u32));
        let of_zone = |at: usize| rules.sessions_of_zone(ZoneId(at as u16));
        let by_rule = (0..policy.rules().len()).map(of_rule).collect();
        let by_zone = (0..policy.zones().len()).map(of_zone).collect();
        (by_rule, by_zone, rules.sessions())
    }
}

/// Source and destination port.
fn ports(way: Way, flow: u8) -> (u16, u16) {
    let ports = (5_000, 1_000 + u16::from(flow));
    if way.reply { (ports.1, ports.0) } else { ports }
}

fn policy(which: u8, epoch: u64) -> Policy {
    let text = POLICIES[usize::from(which)];
    Policy::from_text(text, epoch, &PORTS).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_census_is_what_a_recount_says(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.play(step);
            prop_assert_eq!(world.census(), world.recount(), "after {:?}", step);
        }
    }
}

/// The steps above are worth something only if they come everywhere.
#[test]
fn sessions_begin_and_end_in_every_way() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut reached = [0_u64; 5];
    for _ in 0..200 {
        let steps = prop::collection::vec(step(), 120).new_tree(&mut runner).unwrap().current();
        let mut world = World::new();
        steps.iter().for_each(|step| world.play(step));
        let counters = world.engine.counters();
        let reasons = [Reason::RuleSessions, Reason::ZoneSessions, Reason::PolicyChanged];
        let [rule, zone, changed] = reasons.map(|reason| counters.dropped(reason));
        let more = [rule, zone, changed, counters.sessions_evicted, counters.sessions_closed];
        reached.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
    }
    assert!(reached.iter().all(|count| *count > 20), "{reached:?}");
}

#[test]
fn explain_tells_the_use_and_the_limit() {
    let mut world = World::new();
    let out = Way { port: 0, reply: false };
    (0..2).for_each(|flow| world.play(&Step::Udp { way: out, flow }));
    let beyond = Builder::v4([10, 0, 0, 2], [10, 0, 1, 2]).ethernet([6; 6], MACS[0]);
    let told = world.engine.explain(PortId(0), &beyond.udp(1_002, 1_002).frame(), world.now);
    assert_eq!((told.verdict, told.reason), ("drop", Some(Reason::RuleSessions)));
    assert!(told.stages.iter().any(|(_, says)| says.ends_with("Here: 2 of 2.")), "{told:?}");
}

#[test]
fn a_limit_is_shared_by_slots_and_rounded_up() {
    let mut world = World::new();
    assert_eq!(world.engine.share(1_000), 1_000);
    for (own, thousand, three) in [(SLOTS / 2, 500, 2), (1, 1, 1), (0, 0, 0)] {
        world.play(&Step::Slots(own));
        assert_eq!((world.engine.share(1_000), world.engine.share(3)), (thousand, three));
    }
}
