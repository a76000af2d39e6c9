//! A new policy between two bursts: what happens to sessions, hits, and events.

use core::time::Duration;

use engine::session::{CloseReason, SessionId};
use engine::{Event, EventKind, Reason, RuleIndex};
use wire::Version::{V4, V6};
use wire::{build::Builder, flow_key};

use crate::world::{LAN, Side, WAN, World, packet, parse};

const ZONES: &str = "[zones]\ntrust = [\"lan\"]\nuntrust = [\"wan\"]\n";
/// The same zones under other numbers.
const MORE_ZONES: &str =
    "[zones]\nabsent = [\"dmz\"]\nuntrust = [\"wan\"]\nother = [\"x\"]\ntrust = [\"lan\"]\n";

/// A rule from trust to untrust.
fn rule(id: &str, rest: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\nfrom = \"trust\"\nto = \"untrust\"\n{rest}\n")
}

fn dns() -> String {
    rule("dns", "service = [\"udp/53\"]\naction = \"permit\"")
}

fn question<'a>() -> Builder<'a> {
    packet(Side::Client, V4).udp(1_000, 53).payload(b"?")
}

fn answer<'a>() -> Builder<'a> {
    packet(Side::Server, V4).udp(53, 1_000).payload(b"!!")
}

/// A world with one session, of the first rule.
fn opened(policy: &str) -> World {
    let mut world = World::under(policy);
    world.passes(Side::Client, question());
    world.passes(Side::Server, answer());
    world
}

fn hits(world: &mut World) -> Vec<u64> {
    world.workers[0].engine().rules().hits().iter().map(|hits| hits.count).collect()
}

#[test]
fn rematch_is_the_default_and_ends_what_no_rule_permits() {
    for first in [Side::Client, Side::Server] {
        let mut world = opened(&(ZONES.to_owned() + &dns()));
        let other = rule("dns", "service = [\"tcp/443\"]\naction = \"permit\"");
        world.commit(&(ZONES.to_owned() + &other), 2);
        assert_eq!(world.sessions(0), 1, "looked at with its next packet only");
        let next = if first == Side::Client { question() } else { answer() };
        world.is_dropped(first, &next, Reason::PolicyChanged);
        assert_eq!((world.sessions(0), world.counters(0).sessions_closed), (0, 1));
        world.is_dropped(first, &next, Reason::NoRule);
        world.audit();
    }
}

#[test]
fn rematch_finds_another_rule_and_hits_stay_with_their_ids() {
    let mut world = opened(&(ZONES.to_owned() + &dns()));
    assert_eq!(hits(&mut world), [1]);
    let any = rule("any", "action = \"permit\"");
    world.commit(&(MORE_ZONES.to_owned() + &any + &dns()), 2);
    assert_eq!(hits(&mut world), [0, 1]);
    world.passes(Side::Client, question());
    world.passes(Side::Server, answer());
    assert_eq!(hits(&mut world), [0, 1], "a session's packets are no first packets");
    assert_eq!((rule_of(&mut world), world.sessions(0)), (RuleIndex(0), 1));
    // Once more, by the answer this time.
    world.commit(&(ZONES.to_owned() + &dns() + &any), 3);
    world.passes(Side::Server, answer());
    assert_eq!((rule_of(&mut world), hits(&mut world)), (RuleIndex(0), vec![1, 0]));
}

#[test]
fn what_the_responder_may_open_is_asked_again() {
    let back = "[[rule]]\nid = \"in\"\nfrom = \"untrust\"\nto = \"trust\"\naction = \"permit\"\n";
    let out = rule("out", "action = \"permit\"");
    let mut world = World::under(&(ZONES.to_owned() + &out + back));
    let [ours, theirs] = [Side::Client, Side::Server].map(|from| packet(from, V4));
    world.passes(Side::Client, ours.echo_request(5, 1));
    world.passes(Side::Server, theirs.echo_request(5, 1));
    assert_eq!(world.counters(0).sessions_opened, 1);
    world.commit(&(ZONES.to_owned() + &out), 2);
    for _ in 0..2 {
        world.is_dropped(Side::Server, &theirs.echo_request(5, 2), Reason::NoRule);
        world.passes(Side::Server, theirs.echo_reply(5, 1));
        world.passes(Side::Client, ours.echo_request(5, 2));
    }
    world.commit(&(ZONES.to_owned() + &out + back), 3);
    world.passes(Side::Server, theirs.echo_request(5, 3));
    assert_eq!(world.counters(0).sessions_opened, 1);
}

/// The rule of the only session.
fn rule_of(world: &mut World) -> RuleIndex {
    let mut rule = None;
    let engine = world.workers[0].engine();
    engine
        .sessions()
        .page(engine::table::Cursor::default(), |_, session| rule = Some(session.rule));
    rule.expect("a session")
}

#[test]
fn keep_keeps_what_the_rule_would_no_longer_permit() {
    let mut world = opened(&(ZONES.to_owned() + &dns()));
    let keep = "service = [\"tcp/443\"]\non-change = \"keep\"\naction = \"permit\"";
    world.commit(&(ZONES.to_owned() + &rule("first", "action = \"deny\"") + &rule("dns", keep)), 2);
    world.passes(Side::Client, question());
    world.passes(Side::Server, answer());
    assert_eq!(rule_of(&mut world), RuleIndex(1));
    let other = packet(Side::Client, V4).udp(1_001, 53);
    world.is_dropped(Side::Client, &other, Reason::Denied);
    // Its rule is gone: now it is matched again.
    world.commit(&(ZONES.to_owned() + &rule("first", "action = \"deny\"")), 3);
    world.is_dropped(Side::Server, &answer(), Reason::PolicyChanged);
    world.audit();
}

#[test]
fn kill_ends_what_the_rule_still_permits() {
    let mut world = opened(&(ZONES.to_owned() + &dns()));
    let kill = "service = [\"udp/53\"]\non-change = \"kill\"\naction = \"permit\"";
    world.commit(&(ZONES.to_owned() + &rule("dns", kill)), 2);
    world.is_dropped(Side::Server, &answer(), Reason::PolicyChanged);
    world.passes(Side::Client, question());
    assert_eq!(world.counters(0).sessions_opened, 2);
    world.passes(Side::Server, answer());
}

#[test]
fn a_session_without_a_way_on_outlives_the_change() {
    let mut world = opened(&(ZONES.to_owned() + &dns()));
    let lost = engine::fib::FibChange::PortDown { port: WAN };
    world.workers[0].engine().apply(&[lost]);
    world.commit(&(ZONES.to_owned() + &dns()), 2);
    assert_eq!(world.pass(Side::Client, &question()), None);
    assert_eq!((world.counters(0).answered, world.sessions(0)), (1, 1));
    assert_eq!(hits(&mut world), [1], "an unreachable destination is no decision of a rule");
}

fn logged(world: &mut World) -> Event {
    let event = world.events[0].pop().expect("an event");
    assert!(world.events[0].pop().is_err(), "only one");
    event
}

fn zone_names(world: &mut World, event: &Event) -> Vec<String> {
    let policy = world.workers[0].engine().policy().clone();
    let name = |zone: &Option<_>| zone.map(|zone| policy.zone_name(zone).to_owned());
    event.zones.iter().filter_map(name).collect()
}

const LOG: &str = "log = [\"open\", \"close\"]\naction = \"permit\"";

#[test]
fn open_and_close_tell_the_whole_session() {
    let mut world = World::under(&(ZONES.to_owned() + &rule("out", LOG)));
    world.passes(Side::Client, question());
    let (key, initiator) = flow_key(&parse(&question().frame()), 0).expect("a flow");
    let open = logged(&mut world);
    let id = SessionId { node: 7, boot: 9, counter: 1 };
    let bytes = [question(), answer()].map(|sent| u64::from(parse(&sent.frame()).ip_len()));
    let expected = Event {
        kind: EventKind::Open,
        key,
        initiator,
        translated: None,
        session: Some(id),
        rule: Some(RuleIndex(0)),
        epoch: 1,
        judged: 1,
        zones: open.zones,
        ingress: Some(LAN),
        egress: Some(WAN),
        packets: [1, 0],
        bytes: [bytes[0], 0],
        duration: Duration::ZERO,
    };
    assert_eq!(open, expected);
    assert_eq!(zone_names(&mut world, &open), ["trust", "untrust"]);
    world.passes(Side::Server, answer());
    world.passes(Side::Server, answer());
    world.wait(Duration::from_secs(125));
    let close = logged(&mut world);
    let kind = EventKind::Close(CloseReason::Timeout);
    let (packets, bytes) = ([1, 2], [bytes[0], 2 * bytes[1]]);
    assert_eq!(close, Event { kind, packets, bytes, duration: close.duration, ..expected });
    assert!(close.duration >= Duration::from_secs(30) && close.duration < Duration::from_secs(125));
    assert_eq!(world.counters(0).events_lost, 0);
}

#[test]
fn a_denial_is_told_when_its_rule_wants_it() {
    let deny = rule("no", "service = [\"udp/53\"]\nlog = [\"open\"]\naction = \"deny\"");
    let mut world = World::under(&(ZONES.to_owned() + &deny + &rule("quiet", "action = \"deny\"")));
    world.is_dropped(Side::Client, &question(), Reason::Denied);
    let event = logged(&mut world);
    assert_eq!((event.kind, event.session), (EventKind::Deny(Reason::Denied), None));
    assert_eq!((event.rule, event.packets), (Some(RuleIndex(0)), [1, 0]));
    assert_eq!((event.ingress, event.egress), (Some(LAN), Some(WAN)));
    assert_eq!(zone_names(&mut world, &event), ["trust", "untrust"]);
    world.is_dropped(Side::Client, &packet(Side::Client, V6).udp(1, 2), Reason::Denied);
    assert!(world.events[0].pop().is_err());
    assert_eq!(hits(&mut world), [1, 1]);
}

#[test]
fn a_reject_answers_and_is_told() {
    let reject = rule("no", "log = [\"open\"]\naction = \"reject\"");
    let mut world = World::under(&(ZONES.to_owned() + &reject));
    assert_eq!(world.pass(Side::Client, &question()), None);
    assert_eq!(world.sent(0, LAN).expect("an ICMP error")[34..36], [3, 13]);
    assert_eq!(logged(&mut world).kind, EventKind::Deny(Reason::Denied));
    let syn = packet(Side::Client, V6).tcp(1, 2).seq(5).flags(wire::TcpFlags::SYN);
    assert_eq!(world.pass(Side::Client, &syn), None);
    let reset = world.sent(0, LAN).expect("a reset");
    assert_eq!(parse(&reset).ports(), Some((2, 1)));
    assert_eq!(hits(&mut world), [2]);
}

#[test]
fn a_close_after_a_change_names_rule_and_zones_of_one_epoch() {
    let mut world = opened(&(ZONES.to_owned() + &rule("out", LOG)));
    logged(&mut world);
    let any = rule("any", "service = [\"tcp/1\"]\naction = \"permit\"");
    world.commit(&(MORE_ZONES.to_owned() + &any + &rule("out", LOG)), 2);
    world.passes(Side::Server, answer());
    world.wait(Duration::from_secs(125));
    let close = logged(&mut world);
    assert_eq!((close.epoch, close.rule), (2, Some(RuleIndex(1))));
    assert_eq!(zone_names(&mut world, &close), ["trust", "untrust"]);
}
