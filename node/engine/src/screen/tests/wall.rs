//! A firewall with a screen outside, and its book.

use std::sync::Arc;
use std::time::Duration;

use sketch::{Book, Key as _, Measure, Oddity, Place, SourceRow, Tally};
use wire::build::Builder;
use wire::{TcpFlags, Time};

use crate::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use crate::policy::Policy;
use crate::{
    Checksum, Engine, Mode, Origin, Port, PortId, Reason, Settings, Verdict, WorkerId, screen,
};

pub(super) const START: Time = Time::from_secs(1_000);
pub(super) const IN: PortId = PortId(0);
pub(super) const OUT: PortId = PortId(1);
/// The zone outside, which has the screen.
pub(super) const ZONE: u8 = 1;
pub(super) const INSIDE: [u8; 4] = [10, 0, 0, 1];
pub(super) const OUTSIDE: [u8; 4] = [198, 18, 0, 1];
const SECRET: [u64; 2] = [1, 2];

/// What is let through: TCP but for ports from 1,000 on, UDP and ICMP.
const RULES: &str = r#"
[zones]
in = ["a"]
out = ["b"]
[[rule]]
id = "closed"
service = "tcp/1000-9999"
action = "deny"
[[rule]]
id = "rejected"
service = "tcp/10000-19999"
action = "reject"
[[rule]]
id = "open"
action = "permit"
"#;

pub(super) struct Wall {
    pub(super) engine: Engine,
    pub(super) now: Time,
    epoch: u64,
}

impl Wall {
    /// With a screen outside that says this; none without a word.
    pub(super) fn new(screen: Option<&str>) -> Self {
        let port = |name: &str, mac: u8| Port {
            name: name.to_owned(),
            domain: 0,
            mode: Mode::Routed,
            mac: [2, 0, 0, 0, 0, mac],
            mtu: 1_500,
            checksum: Checksum::Verify,
            up: true,
        };
        let settings = Settings {
            worker: WorkerId(0),
            node: 1,
            boot: 1,
            seed: [3, 4],
            secret: SECRET,
            sessions: 4_096,
            ports: vec![port("a", 1), port("b", 2)],
        };
        let mut engine = Engine::new(settings, START);
        engine.apply(&[
            route("10.0.0.0/8", 0, "192.0.2.1"),
            route("198.18.0.0/15", 1, "192.0.2.129"),
            neighbour(0, "192.0.2.1"),
            neighbour(1, "192.0.2.129"),
        ]);
        let mut wall = Self { engine, now: START, epoch: 0 };
        wall.commit(screen);
        wall
    }

    /// The hosts of 10.9.0.0/16 are on the inner link itself, and nobody has heard of them yet.
    pub(super) fn direct(&mut self) {
        let kind = RouteKind::Unicast(NextHops::one(IN, None));
        let prefix = "10.9.0.0/16".parse().unwrap();
        let route = Route { metric: 0, kind };
        self.engine.apply(&[FibChange::RouteSet { domain: 0, prefix, route }]);
    }

    pub(super) fn commit(&mut self, screen: Option<&str>) {
        self.epoch += 1;
        let screen = screen.map(|lines| format!("[[screen]]\nzone = \"out\"\n{lines}"));
        let text = format!("{RULES}{}", screen.unwrap_or_default());
        let policy = Policy::from_text(&text, self.epoch, &["a", "b"]).unwrap();
        self.engine.set_policy(Arc::new(policy));
    }

    /// A frame arrives, and the books of packets are right afterwards.
    pub(super) fn arrive(&mut self, ingress: PortId, packet: &Builder<'_>) -> Verdict {
        self.frame(ingress, &packet.frame())
    }

    pub(super) fn frame(&mut self, ingress: PortId, frame: &[u8]) -> Verdict {
        let mut frame = frame.to_vec();
        frame[..6].copy_from_slice(&self.engine.ports()[ingress.index()].mac);
        let parsed = self.engine.parse(ingress, &frame);
        let decision = self.engine.decide(Origin::Port, &parsed, &mut frame, self.now);
        self.engine.counters().balance().unwrap();
        while self.engine.outbox().pop().is_some() {}
        decision.verdict
    }

    /// From outside, so many packets: how many were forwarded, and how many dropped for `reason`. All
    /// are the one or the other.
    pub(super) fn burst<'a>(
        &mut self,
        count: u16,
        reason: Reason,
        each: impl Fn(u16) -> Builder<'a>,
    ) -> (u64, u64) {
        let before = self.engine.counters().clone();
        (0..count).for_each(|number| _ = self.arrive(OUT, &each(number)));
        let after = self.engine.counters();
        let forwarded = after.forwarded - before.forwarded;
        let dropped = after.dropped(reason) - before.dropped(reason);
        assert_eq!(forwarded + dropped, u64::from(count), "dropped for something else");
        (forwarded, dropped)
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        while self.engine.tick(self.now) {}
        self.engine.counters().balance().unwrap();
    }

    /// From now on another worker owns the other half of the slots.
    pub(super) fn own_half(&mut self) {
        let mut owners: crate::engine::Owners = [WorkerId(0); _];
        owners.iter_mut().step_by(2).for_each(|owner| *owner = WorkerId(1));
        self.engine.set_owners(Arc::new(owners));
    }

    /// A connection from outside.
    pub(super) fn connect(&mut self, client: [u8; 4], port: u16) {
        for (ingress, flags, seq, ack) in [(OUT, SYN, 0, 0), (IN, SYN_ACK, 0, 1), (OUT, ACK, 1, 1)]
        {
            let packet = match ingress {
                OUT => Builder::v4(client, INSIDE).tcp(port, 80),
                _ => Builder::v4(INSIDE, client).tcp(80, port),
            };
            let verdict = self.arrive(ingress, &packet.flags(flags).seq(seq).ack(ack));
            assert!(matches!(verdict, Verdict::Forward(_)), "{verdict:?}");
        }
    }

    /// What was noted since this was last asked.
    pub(super) fn book(&mut self) -> Book {
        let mut book = Book::new(screen::seed(SECRET), &[]);
        assert!(self.engine.exchange_book(&mut book));
        book
    }
}

/// What a book says of a source outside.
pub(super) fn source(book: &Book, address: [u8; 4]) -> Option<&SourceRow> {
    let place = Place::of(ZONE, address.into());
    book.sources.get(place.hash(book.seed()), &place).map(|row| &row.value)
}

/// What a book says of a destination inside, for packets from outside.
pub(super) fn destination(book: &Book, address: [u8; 4]) -> Option<&Tally> {
    let place = Place::of(ZONE, address.into());
    book.destinations.get(place.hash(book.seed()), &place).map(|row| &row.value.tally)
}

/// The measures of the usual source, those that are not 0.
pub(super) fn measures(book: &Book) -> Vec<(Measure, u32)> {
    let row = source(book, OUTSIDE).map(|row| row.tally).unwrap_or_default();
    let all = Measure::ALL.into_iter().map(|measure| (measure, row.of(measure)));
    all.filter(|(_, count)| *count > 0).collect()
}

/// Odd packets, by kind.
pub(super) fn oddities(book: &Book) -> Vec<(Oddity, u32)> {
    let mut all: Vec<_> =
        book.oddities.iter().map(|row| (row.key.oddity, row.value.packets)).collect();
    all.sort_unstable();
    all
}

fn route(prefix: &str, port: u16, gateway: &str) -> FibChange {
    let kind = RouteKind::Unicast(NextHops::one(PortId(port), Some(gateway.parse().unwrap())));
    let route = Route { metric: 0, kind };
    FibChange::RouteSet { domain: 0, prefix: prefix.parse().unwrap(), route }
}

fn neighbour(port: u16, address: &str) -> FibChange {
    let (mac, state) = ([2, 0, 0, 0, 1, port as u8], NeighbourState::Permanent);
    FibChange::NeighbourSet { port: PortId(port), address: address.parse().unwrap(), mac, state }
}

pub(super) const SYN: TcpFlags = TcpFlags::SYN;
pub(super) const ACK: TcpFlags = TcpFlags::ACK;
pub(super) const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | ACK.0);
pub(super) const FIN_ACK: TcpFlags = TcpFlags(TcpFlags::FIN.0 | ACK.0);
pub(super) const RST: TcpFlags = TcpFlags::RST;

/// The first packet of a connection from outside.
pub(super) fn syn(port: u16) -> Builder<'static> {
    Builder::v4(OUTSIDE, INSIDE).tcp(port, 80).flags(SYN)
}

/// The same from somebody else each time.
pub(super) fn anybodys_syn(number: u16) -> Builder<'static> {
    let [high, low] = number.to_be_bytes();
    Builder::v4([198, 19, high, low], INSIDE).tcp(4_000, 80).flags(SYN)
}

pub(super) fn udp(port: u16) -> Builder<'static> {
    Builder::v4(OUTSIDE, INSIDE).udp(port, 53).payload(&[7; 32])
}

/// An echo request.
pub(super) fn ping(id: u16) -> Builder<'static> {
    Builder::v4(OUTSIDE, INSIDE).icmp(8, 0, u32::from(id) << 16)
}

/// The first fragment of a datagram.
pub(super) fn fragment(id: u16) -> Builder<'static> {
    Builder::v4(OUTSIDE, INSIDE)
        .fragment(id.into(), 0, true)
        .raw(wire::Protocol::UDP)
        .payload(&[0x1f, 0x90, 0, 53, 0, 32, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
}
