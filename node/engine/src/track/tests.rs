#![allow(clippy::unwrap_used)]

use wire::build::Builder;
use wire::{Direction, TcpFlags};

use super::*;
use crate::session::Opening;
use crate::table::{Handle, SessionTable};
use crate::{RuleIndex, ZoneId};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [192, 0, 2, 9];

/// A table with the sessions of one test, and the time.
struct World {
    table: SessionTable,
    settings: Settings,
    now: Time,
}

/// What became of a packet.
#[derive(Debug, PartialEq)]
enum Outcome {
    Opened,
    Passed,
    Asked,
    Reopen,
    Finished,
    Dropped(Reason),
}

impl World {
    fn new() -> Self {
        let now = Time::from_secs(50);
        Self { table: SessionTable::new(16, [1, 2], now), settings: Settings::default(), now }
    }

    fn wait(&mut self, millis: u64) -> &mut Self {
        self.now = self.now + Duration::from_millis(millis);
        self
    }

    fn find(&self, packet: &Packet) -> (Option<Handle>, wire::FlowKey, Direction) {
        let (key, direction) = wire::flow_key(packet, 0).unwrap();
        (self.table.find(self.table.hash(&key), &key), key, direction)
    }

    /// Plays a pipeline that permits everything but what must be asked for.
    fn send(&mut self, builder: Builder<'_>) -> Outcome {
        let frame = builder.frame();
        let packet = Packet::parse(&frame).unwrap();
        let (handle, key, direction) = self.find(&packet);
        let Some(handle) = handle else { return self.open(&packet, key, direction) };
        let session = *self.table.get(handle).unwrap();
        let sender = session.sender(direction);
        let (update, outcome) = match judge(&session, sender, &packet, &self.settings, self.now) {
            Judgement::Pass(update) => (update, Outcome::Passed),
            Judgement::Ask(update) => (update, Outcome::Asked),
            Judgement::Reopen => return Outcome::Reopen,
            Judgement::Invalid(reason) => return Outcome::Dropped(reason),
            Judgement::Challenge { .. } => panic!("nobody was taken over"),
        };
        self.table.commit(handle, &update, sender, packet.ip_len(), self.now);
        if update.finished().is_some() {
            self.table.remove(handle);
            return Outcome::Finished;
        }
        outcome
    }

    fn open(&mut self, packet: &Packet, key: wire::FlowKey, direction: Direction) -> Outcome {
        let update = match open(packet, &self.settings) {
            Ok(update) => update,
            Err(reason) => return Outcome::Dropped(reason),
        };
        let opening =
            Opening { key, direction, id: 1, rule: RuleIndex(0), epoch: 1, zones: [ZoneId(0); 2] };
        let session = Session::new(&opening, self.now);
        let handle = self.table.insert(self.table.hash(&key), &session).unwrap();
        self.table.commit(handle, &update, Peer::Initiator, packet.ip_len(), self.now);
        Outcome::Opened
    }

    /// Seconds that the session of this packet has left.
    fn life(&self, builder: Builder<'_>) -> u64 {
        self.session(builder).deadline.since(self.now).as_secs()
    }

    fn session(&self, builder: Builder<'_>) -> Session {
        let frame = builder.frame();
        let packet = Packet::parse(&frame).unwrap();
        *self.table.get(self.find(&packet).0.unwrap()).unwrap()
    }
}

fn udp() -> [Builder<'static>; 2] {
    [Builder::v4(A, B).udp(5_000, 53), Builder::v4(B, A).udp(53, 5_000)]
}

#[test]
fn a_udp_question_and_its_answer_are_forgotten_soon() {
    let [question, answer] = udp();
    let mut world = World::new();
    assert_eq!(world.send(question), Outcome::Opened);
    assert_eq!(world.life(question), 30);
    assert_eq!(world.wait(100).send(answer), Outcome::Passed);
    assert_eq!(world.life(question), 30);
    let session = world.session(question);
    assert!(session.flags.has(Flags::REPLY_SEEN) && !session.flags.has(Flags::ASSURED));
}

#[test]
fn a_udp_stream_lives_longer_once_both_have_sent_for_a_while() {
    let [there, back] = udp();
    let mut world = World::new();
    world.send(there);
    world.wait(5_000).send(there);
    assert_eq!(world.life(there), 30, "one direction alone is no stream");
    world.wait(5_000).send(back);
    assert_eq!(world.life(there), 120);
    assert!(world.session(there).flags.has(Flags::ASSURED));
    world.wait(1_000).send(there);
    assert_eq!(world.life(there), 120);
    assert_eq!(world.session(there).packets, [3, 1]);
    assert_eq!(world.session(there).bytes, [3 * 28, 28]);
}

#[test]
fn a_tcp_connection_from_first_to_last() {
    let a = |flags, seq, ack| Builder::v4(A, B).tcp(1_000, 80).flags(flags).seq(seq).ack(ack);
    let b = |flags, seq, ack| Builder::v4(B, A).tcp(80, 1_000).flags(flags).seq(seq).ack(ack);
    let (syn, ack, fin) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN | TcpFlags::ACK);
    let mut world = World::new();
    assert_eq!(world.send(a(ack, 1, 1)), Outcome::Dropped(Reason::TcpNotSyn));
    assert_eq!(world.send(a(syn, 0, 0)), Outcome::Opened);
    assert_eq!(world.life(a(syn, 0, 0)), 120);
    assert_eq!(world.wait(1_000).send(a(syn, 0, 0)), Outcome::Passed);
    assert_eq!(world.life(a(syn, 0, 0)), 119, "a repeated SYN prolongs nothing");
    assert_eq!(world.send(b(syn | ack, 500, 1)), Outcome::Passed);
    assert_eq!(world.life(a(syn, 0, 0)), 60);
    assert!(!world.session(a(syn, 0, 0)).flags.has(Flags::ASSURED));
    assert_eq!(world.send(a(ack, 1, 501)), Outcome::Passed);
    assert_eq!(world.life(a(syn, 0, 0)), 432_000);
    assert!(world.session(a(syn, 0, 0)).flags.has(Flags::ASSURED));
    assert_eq!(world.send(b(ack, 700_000, 1)), Outcome::Dropped(Reason::TcpWindow));
    assert_eq!(world.send(b(syn, 700_000, 1)), Outcome::Dropped(Reason::TcpState));
    let nothing = Builder::v4(A, B).tcp(1_000, 80);
    assert_eq!(world.send(nothing), Outcome::Dropped(Reason::TcpNoFlags));
    assert_eq!(world.send(a(fin, 1, 501)), Outcome::Passed);
    assert_eq!(world.send(b(fin, 501, 2)), Outcome::Passed);
    assert_eq!(world.send(a(ack, 2, 502)), Outcome::Passed);
    assert_eq!(world.life(a(syn, 0, 0)), 120);
    assert_eq!(world.session(a(syn, 0, 0)).expiry_reason(), CloseReason::TcpFin);
    assert_eq!(world.send(a(syn, 90_000, 0)), Outcome::Reopen);
    // From five days down to two minutes, and the wheel knows.
    world.wait(121_000);
    let mut closed = Vec::new();
    world.table.expire(world.now, 100, |session, reason| closed.push((session.packets, reason)));
    assert_eq!(closed, [([5, 2], CloseReason::TcpFin)]);
}

#[test]
fn a_refused_tcp_connection_leaves_nothing() {
    let mut world = World::new();
    world.send(Builder::v4(A, B).tcp(1_000, 80).flags(TcpFlags::SYN).seq(9));
    let refusal = Builder::v4(B, A).tcp(80, 1_000).flags(TcpFlags::RST | TcpFlags::ACK).ack(10);
    assert_eq!(world.send(refusal), Outcome::Finished);
    assert!(world.table.is_empty());
}

#[test]
fn segments_out_of_the_window_pass_only_when_told_so() {
    let mut world = World::new();
    world.settings.tcp_window = WindowCheck::Off;
    world.send(Builder::v4(A, B).tcp(1_000, 80).flags(TcpFlags::SYN).seq(9));
    let syn_ack = TcpFlags::SYN | TcpFlags::ACK;
    world.send(Builder::v4(B, A).tcp(80, 1_000).flags(syn_ack).ack(10));
    let stray = Builder::v4(A, B).tcp(1_000, 80).flags(TcpFlags::ACK).seq(90_000_000).ack(77);
    assert_eq!(world.send(stray), Outcome::Passed);
}

#[test]
fn echo_goes_there_and_back() {
    let mut world = World::new();
    let reply = Builder::v4(B, A).echo_reply(7, 1);
    assert_eq!(world.send(reply), Outcome::Dropped(Reason::IcmpUnsolicited));
    assert_eq!(world.send(Builder::v4(A, B).echo_request(7, 1)), Outcome::Opened);
    assert_eq!(
        world.send(Builder::v4(A, B).echo_reply(7, 1)),
        Outcome::Dropped(Reason::IcmpUnsolicited)
    );
    assert_eq!(world.send(reply), Outcome::Passed);
    assert_eq!(world.life(reply), 30);
    // Another id is another session.
    assert_eq!(
        world.send(Builder::v4(B, A).echo_reply(8, 1)),
        Outcome::Dropped(Reason::IcmpUnsolicited)
    );
}

#[test]
fn two_hosts_that_ping_each_other_with_one_id_need_permission_both_ways() {
    let mut world = World::new();
    world.send(Builder::v4(A, B).echo_request(1, 1));
    let back = Builder::v4(B, A).echo_request(1, 1);
    assert_eq!(world.send(back), Outcome::Asked);
    assert_eq!(world.send(back), Outcome::Passed, "asked once");
    assert_eq!(world.send(Builder::v4(A, B).echo_reply(1, 1)), Outcome::Passed);
    assert_eq!(world.send(Builder::v4(B, A).echo_reply(1, 1)), Outcome::Passed);
    assert_eq!(world.session(back).packets, [2, 3]);
}

#[test]
fn icmp_that_is_no_query_opens_nothing() {
    let mut world = World::new();
    for kind in [9, 10, 30, 40, 200] {
        let message = Builder::v4(A, B).icmp(kind, 0, 0);
        assert_eq!(world.send(message), Outcome::Dropped(Reason::IcmpUnsolicited), "{kind}");
    }
    let (a, b) = ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2]);
    for kind in [130, 133, 135, 143] {
        let message = Builder::v6(a, b).icmp(kind, 0, 0);
        assert_eq!(world.send(message), Outcome::Dropped(Reason::IcmpUnsolicited), "{kind}");
    }
    assert_eq!(world.send(Builder::v6(a, b).echo_request(3, 1)), Outcome::Opened);
    assert_eq!(world.send(Builder::v6(b, a).echo_reply(3, 1)), Outcome::Passed);
    // Timestamp, information and address mask pair up like echo (RFC 792, RFC 950).
    for kind in [13, 15, 17] {
        let id = u32::from(kind) << 16;
        assert_eq!(world.send(Builder::v4(A, B).icmp(kind, 0, id)), Outcome::Opened);
        assert_eq!(world.send(Builder::v4(B, A).icmp(kind + 1, 0, id)), Outcome::Passed);
    }
}

#[test]
fn mobility_messages_answer_a_request_or_come_unasked() {
    let (a, b) = ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2]);
    for request in [144, 146] {
        let mut world = World::new();
        let icmp = |from, to, kind| Builder::v6(from, to).icmp(kind, 0, 0x0007_0000);
        assert_eq!(world.send(icmp(a, b, request)), Outcome::Opened);
        assert_eq!(world.send(icmp(b, a, request + 1)), Outcome::Passed);
        assert_eq!(world.send(icmp(a, b, request)), Outcome::Passed);
        assert_eq!(world.send(icmp(b, a, request)), Outcome::Asked, "it asks by itself");
        // Unasked, it needs a permission, and permits no question.
        let mut world = World::new();
        assert_eq!(world.send(icmp(b, a, request + 1)), Outcome::Opened);
        assert_eq!(world.send(icmp(b, a, request + 1)), Outcome::Passed);
        assert_eq!(world.send(icmp(a, b, request)), Outcome::Asked);
    }
}

#[test]
fn other_protocols_go_by_their_addresses() {
    let mut world = World::new();
    let esp = |from, to| Builder::v4(from, to).esp(0x1234, 1);
    assert_eq!(world.send(esp(A, B)), Outcome::Opened);
    assert_eq!(world.life(esp(A, B)), 600);
    assert_eq!(world.send(Builder::v4(B, A).esp(0x9999, 1)), Outcome::Passed);
    let session = world.session(esp(A, B));
    assert!(session.flags.has(Flags::REPLY_SEEN.with(Flags::ASSURED)));
    assert_eq!(world.send(Builder::v4(A, B).sctp(1, 2, 3)), Outcome::Opened);
    assert_eq!(world.table.len(), 2);
}

#[test]
fn pressure_scales_the_lives_of_rules_as_well() {
    let (timeouts, own) = (Timeouts::default(), [60, 3_600].map(Duration::from_secs));
    let mut settings = Settings::new(timeouts, &own, WindowCheck::Check);
    let (key, direction) = wire::FlowKey::new(0, Protocol(89), (A.into(), 0), (B.into(), 0));
    let opening =
        Opening { key, direction, id: 1, rule: RuleIndex(0), epoch: 1, zones: [ZoneId(0); 2] };
    let mut session = Session::new(&opening, Time::from_secs(50));
    let mut lives = |settings: &Settings| {
        [0, 1, 2, 3].map(|own| {
            session.life = own;
            life(&session, settings) / 1_000_000_000
        })
    };
    assert_eq!(lives(&settings), [600, 60, 3_600, 600]);
    settings.scale(&timeouts, &own, 1, 2);
    assert_eq!(lives(&settings), [300, 30, 1_800, 300]);
}
