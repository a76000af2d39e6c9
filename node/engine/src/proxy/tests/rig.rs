//! A firewall between a client outside and a server inside, who is guarded; and what both ends say.

use std::sync::Arc;
use std::time::Duration;

use sketch::Place;
use wire::build::Builder;
use wire::{Packet, Seq, Tcp, TcpFlags, Time, Transport, checksum};

use crate::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use crate::policy::Policy;
use crate::record::Record;
use crate::replication::{Contest, Imported};
use crate::session::Session;
use crate::tcp::State;
use crate::{
    Checksum, Decision, Engine, Mode, Origin, Port, PortId, Reason, Settings, Verdict, WorkerId,
};

pub(super) const START: Time = Time::from_secs(1_000);
pub(super) const IN: PortId = PortId(0);
pub(super) const OUT: PortId = PortId(1);
pub(super) const SYN: TcpFlags = TcpFlags::SYN;
pub(super) const ACK: TcpFlags = TcpFlags::ACK;
pub(super) const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | ACK.0);
pub(super) const FIN: TcpFlags = TcpFlags(TcpFlags::FIN.0 | ACK.0);
pub(super) const RST: TcpFlags = TcpFlags::RST;
/// The slot that it is.
pub(super) const SLOT: u32 = 9;
/// What both ends begin with: the client's numbers wrap at once, and the server's soon.
pub(super) const CLIENT: u32 = u32::MAX;
pub(super) const SERVER: u32 = u32::MAX - 700;
/// The timestamp of the client's ACK, and of the server's SYN-ACK.
pub(super) const CLIENT_STAMP: u32 = 501;
pub(super) const SERVER_STAMP: u32 = u32::MAX - 3;
/// The zone outside.
const ZONE: u8 = 1;

const POLICY: &str = r#"
[zones]
in = ["a"]
out = ["b"]
[[screen]]
zone = "out"
syn-flood = { destination = 5, action = "drop" }
[[rule]]
id = "denied"
service = "tcp/81"
action = "deny"
[[rule]]
id = "rejected"
service = "tcp/82"
action = "reject"
[[rule]]
id = "few"
service = "tcp/83"
action = "permit"
sessions-max = 1
[[rule]]
id = "open"
action = "permit"
"#;

/// A frame that the firewall sent.
pub(super) struct Sent {
    pub(super) port: PortId,
    pub(super) frame: Vec<u8>,
}

impl Sent {
    pub(super) fn packet(&self) -> Packet {
        Packet::parse(&self.frame).unwrap()
    }

    pub(super) fn tcp(&self) -> Tcp {
        let Transport::Tcp(tcp) = self.packet().body else { panic!("no TCP") };
        tcp
    }
}

pub(super) struct Firewall {
    pub(super) engine: Engine,
    pub(super) now: Time,
}

impl Firewall {
    /// Guarding the server for a minute.
    pub(super) fn guarding(node: u16) -> Self {
        let mut firewall = Self::new(node);
        firewall.guard(START + Duration::from_secs(60));
        firewall
    }

    pub(super) fn new(node: u16) -> Self {
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
            node,
            boot: 1,
            seed: [3, u64::from(node)],
            secret: [1, 2],
            sessions: 64,
            ports: vec![port("a", 1), port("b", 2)],
        };
        let mut engine = Engine::new(settings, START);
        engine.apply(&[
            route("10.0.0.0/8", 0, "192.0.2.1"),
            route("198.18.0.0/15", 1, "192.0.2.129"),
            route("2001:db8:a::/48", 0, "fe80::a"),
            route("2001:db8:b::/48", 1, "fe80::b"),
            neighbour(0, "192.0.2.1"),
            neighbour(1, "192.0.2.129"),
            neighbour(0, "fe80::a"),
            neighbour(1, "fe80::b"),
        ]);
        engine.set_policy(Arc::new(Policy::from_text(POLICY, 1, &["a", "b"]).unwrap()));
        engine.set_cookie_slot(SLOT);
        Self { engine, now: START }
    }

    pub(super) fn guard(&mut self, until: Time) {
        for server in ["10.0.0.1", "2001:db8:a::1"] {
            self.engine.guard(&Place::of(ZONE, server.parse().unwrap()), 1_460, until);
        }
    }

    /// A frame arrives: what is decided, and all that leaves, right to the checksums.
    pub(super) fn arrive(
        &mut self,
        ingress: PortId,
        packet: &Builder<'_>,
    ) -> (Decision, Vec<Sent>) {
        let mut frame = packet.frame().to_vec();
        frame[..6].copy_from_slice(&self.engine.ports()[ingress.index()].mac);
        let parsed = self.engine.parse(ingress, &frame);
        let decision = self.engine.decide(Origin::Port, &parsed, &mut frame, self.now);
        self.engine.counters().balance().unwrap();
        let mut sent = self.sent();
        if let Verdict::Forward(port) = decision.verdict
            && decision.in_hand
        {
            sent.push(right(Sent { port, frame }));
        }
        (decision, sent)
    }

    /// The same, where one frame is to leave by that port.
    #[track_caller]
    pub(super) fn forward(&mut self, ingress: PortId, packet: &Builder<'_>, to: PortId) -> Sent {
        let (decision, mut sent) = self.arrive(ingress, packet);
        assert_eq!(decision.verdict, Verdict::Forward(to));
        assert_eq!(sent.len(), 1);
        sent.pop().unwrap()
    }

    /// The same, where nothing leaves.
    #[track_caller]
    pub(super) fn drop(&mut self, ingress: PortId, packet: &Builder<'_>, reason: Reason) {
        let (decision, sent) = self.arrive(ingress, packet);
        assert_eq!(decision.verdict, Verdict::Drop(reason));
        assert!(sent.is_empty());
    }

    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let outbox = self.engine.outbox();
        let all = std::iter::from_fn(|| {
            outbox.pop().map(|(port, frame)| Sent { port, frame: frame.to_vec() })
        });
        all.map(right).collect()
    }

    /// Time goes by: what leaves by itself.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Sent> {
        self.now = self.now + time;
        while self.engine.tick(self.now) {}
        self.engine.counters().balance().unwrap();
        self.sent()
    }

    /// The only session.
    pub(super) fn session(&self) -> Session {
        assert_eq!(self.engine.sessions().len(), 1);
        let places = 0..self.engine.sessions().places();
        let mut all = places.filter_map(|place| self.engine.session_at(place));
        *all.next().unwrap().1
    }

    pub(super) fn state(&self) -> State {
        self.session().tcp.state()
    }

    /// The record of the only session, in bytes and back.
    pub(super) fn record(&mut self) -> Record {
        let places = 0..self.engine.sessions().places();
        let mut all = places.filter_map(|place| self.engine.session_at(place));
        let (handle, session) = all.next().unwrap();
        let (place, id) = (handle.place(), self.engine.session_id(session.id));
        let bytes = self.engine.export(place, id, self.now).unwrap();
        let (record, length) = Record::parse(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        record
    }

    pub(super) fn import(&mut self, record: &Record) -> Imported {
        self.engine.import(record, Contest::Owners, self.now)
    }

    /// Sends a SYN, and gives what the client was answered with.
    #[track_caller]
    pub(super) fn syn_ack(&mut self, syn: &Builder<'_>) -> Tcp {
        let (decision, sent) = self.arrive(OUT, syn);
        assert_eq!((decision.verdict, sent.len()), (Verdict::Answer, 1));
        assert_eq!(sent[0].port, OUT);
        sent[0].tcp()
    }

    /// Opens a connection with all options up to the server's SYN: the cookie.
    #[track_caller]
    pub(super) fn ask(&mut self, of: Ends) -> Cookie {
        let answer = self.syn_ack(&of.syn());
        let cookie = Cookie::of(&answer);
        let syn = self.forward(OUT, &of.ack(cookie), IN);
        assert_eq!((syn.port, syn.tcp().flags), (IN, SYN));
        cookie
    }

    /// The same up to the end of the handshake.
    #[track_caller]
    pub(super) fn connect(&mut self, of: Ends) -> Cookie {
        let cookie = self.ask(of);
        let (decision, sent) = self.arrive(IN, &of.syn_ack());
        assert_eq!((decision.verdict, sent.len()), (Verdict::Forward(OUT), 2));
        cookie
    }
}

/// What a client was answered with.
#[derive(Clone, Copy)]
pub(super) struct Cookie {
    pub(super) number: u32,
    pub(super) stamp: u32,
}

impl Cookie {
    pub(super) fn of(answer: &Tcp) -> Self {
        let stamp = answer.timestamps.map_or(0, |(told, _)| told);
        Self { number: answer.sequence.0, stamp }
    }
}

/// Both ends of a connection.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) v6: bool,
    pub(super) port: u16,
}

pub(super) const V4: Ends = Ends { v6: false, port: 80 };
pub(super) const V6: Ends = Ends { v6: true, port: 80 };

impl Ends {
    /// What the client sends.
    pub(super) fn client(self) -> Builder<'static> {
        let builder = match self.v6 {
            false => Builder::v4([198, 18, 0, 1], [10, 0, 0, 1]),
            true => Builder::v6(
                [0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 1],
                [0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1],
            ),
        };
        builder.tcp(4_000, self.port).seq(CLIENT.wrapping_add(1)).window(1_000)
    }

    /// What the server sends.
    pub(super) fn server(self) -> Builder<'static> {
        let builder = match self.v6 {
            false => Builder::v4([10, 0, 0, 1], [198, 18, 0, 1]),
            true => Builder::v6(
                [0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1],
                [0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 1],
            ),
        };
        let builder = builder.tcp(self.port, 4_000).ack(CLIENT.wrapping_add(1));
        builder.seq(SERVER.wrapping_add(1)).window(2_000)
    }

    /// The SYN with all options.
    pub(super) fn syn(self) -> Builder<'static> {
        let syn = self.bare_syn().mss(1_400).sack_permitted();
        syn.timestamps(CLIENT_STAMP - 1, 0).window_scale(9)
    }

    pub(super) fn bare_syn(self) -> Builder<'static> {
        self.client().flags(SYN).seq(CLIENT).window(64_000)
    }

    /// The ACK to the SYN-ACK, with all options.
    pub(super) fn ack(self, cookie: Cookie) -> Builder<'static> {
        let ack = self.client().flags(ACK).ack(cookie.number.wrapping_add(1));
        ack.timestamps(CLIENT_STAMP, cookie.stamp)
    }

    /// The server's SYN-ACK, with all options.
    pub(super) fn syn_ack(self) -> Builder<'static> {
        let answer = self.server().flags(SYN_ACK).seq(SERVER).window(30_000);
        let answer = answer.mss(1_380).sack_permitted();
        answer.timestamps(SERVER_STAMP, CLIENT_STAMP).window_scale(6)
    }
}

fn right(sent: Sent) -> Sent {
    let packet = sent.packet();
    assert!(checksum::ipv4_header_checksum_ok(&sent.frame, &packet));
    assert!(checksum::transport_checksum_ok(&sent.frame, &packet));
    sent
}

/// The number after that many bytes.
pub(super) fn after(initial: u32, bytes: u32) -> Seq {
    Seq(initial) + bytes
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
