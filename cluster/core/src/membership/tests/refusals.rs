//! What a member does not listen to, each counted; and bounds.

use super::super::heartbeat::{Flags, Key};
use super::super::*;
use super::world::config;
use crate::limits::MEMBER_OUTPUTS_MAX;

fn member() -> Member {
    let config = config(0, 2, 0, 2);
    Member::new(config, Boot(7), Facts::default(), Time::from_secs(1)).unwrap()
}

fn beat() -> Heartbeat {
    Heartbeat {
        from: NodeId(2),
        to: NodeId(1),
        boot: Boot(3),
        sequence: 1,
        path: PathId(1),
        ..Heartbeat::default()
    }
}

/// What becomes of a heartbeat that comes by path 1.
fn refusal(member: &mut Member, it: &Heartbeat) -> Option<Refusal> {
    let before = member.tally().clone();
    let bytes = it.encode(&Key::new(&[7; 32]));
    member.handle(Input::Heartbeat { path: PathId(1), bytes: &bytes }, Time::from_secs(1));
    let after = member.tally();
    let rose = |it: &Refusal| after.refused[*it as usize] > before.refused[*it as usize];
    let refused = Refusal::ALL.into_iter().find(rose);
    assert_eq!(after.heard - before.heard, u64::from(refused.is_none()));
    refused
}

#[test]
fn each_refusal_is_counted() {
    let mut it = member();
    assert_eq!(refusal(&mut it, &Heartbeat { from: NodeId(1), ..beat() }), Some(Refusal::Own));
    let other = Heartbeat { to: NodeId(3), ..beat() };
    assert_eq!(refusal(&mut it, &other), Some(Refusal::Misdirected));
    let unknown = Heartbeat { from: NodeId(9), ..beat() };
    assert_eq!(refusal(&mut it, &unknown), Some(Refusal::UnknownNode));
    let elsewhere = Heartbeat { path: PathId(0), ..beat() };
    assert_eq!(refusal(&mut it, &elsewhere), Some(Refusal::Path));
    assert_eq!(refusal(&mut it, &beat()), None);
    assert_eq!(refusal(&mut it, &beat()), Some(Refusal::Replay));
    let old = Heartbeat { boot: Boot(2), sequence: 9, ..beat() };
    assert_eq!(refusal(&mut it, &old), Some(Refusal::OldBoot));
    for (bytes, why) in [
        (&[1; 4][..], Refusal::Length),
        (&[2; HEARTBEAT_LEN][..], Refusal::Version),
        (&[1; HEARTBEAT_LEN][..], Refusal::Tag),
    ] {
        it.handle(Input::Heartbeat { path: PathId(1), bytes }, Time::from_secs(1));
        assert_eq!(it.tally().refused[why as usize], 1, "{}", why.name());
    }
    let by_another = beat().encode(&Key::new(&[7; 32]));
    it.handle(Input::Heartbeat { path: PathId(5), bytes: &by_another }, Time::from_secs(1));
    assert_eq!(it.tally().refused[Refusal::Path as usize], 2);
}

#[test]
fn an_acknowledgment_of_what_was_not_sent_yet_or_by_an_earlier_boot_gives_no_lease() {
    let mut it = member();
    it.wanted = Facts { term: Term(1), vote: Some(NodeId(1)), drained: false };
    it.saved = it.wanted;
    it.role = Role::TakingOver;
    it.lease.claim(Time::from_secs(1));
    let good = Heartbeat {
        heard_boot: Some(Boot(7)),
        term: Term(1),
        vote: Some(NodeId(1)),
        flags: Flags(Flags::BACKS),
        acknowledged_ns: Time::from_secs(1).as_nanos(),
        role: Role::Standby,
        ..beat()
    };
    let bad = [
        Heartbeat { heard_boot: Some(Boot(6)), sequence: 1, ..good.clone() },
        Heartbeat { heard_boot: None, sequence: 2, ..good.clone() },
        Heartbeat { term: Term(0), sequence: 3, ..good.clone() },
        Heartbeat { vote: Some(NodeId(2)), sequence: 4, ..good.clone() },
        Heartbeat { flags: Flags(0), sequence: 5, ..good.clone() },
        Heartbeat { acknowledged_ns: u64::MAX, sequence: 6, ..good.clone() },
        Heartbeat { acknowledged_ns: 5, sequence: 7, ..good },
    ];
    for bad in bad {
        // A promise of an earlier boot to the peer binds this one; the peer says that it has ended.
        let bad = Heartbeat { flags: Flags(bad.flags.0 | Flags::ENDED), ..bad };
        assert_eq!(refusal(&mut it, &bad), None);
        assert_eq!((it.role, it.lease.until()), (Role::TakingOver, None), "{bad:?}");
        it.saved = Facts { term: Term(1), vote: Some(NodeId(1)), drained: false };
        it.wanted = it.saved;
    }
    let good = Heartbeat { flags: Flags(Flags::BACKS | Flags::ENDED), sequence: 9, ..good };
    assert_eq!(refusal(&mut it, &good), None);
    assert_eq!(it.role, Role::Active);
}

#[test]
fn a_claim_waits_for_the_disk() {
    let mut it = Member::new(config(0, 1, 0, 0), Boot(1), Facts::default(), Time::ZERO).unwrap();
    let mut now = Time::ZERO;
    while it.role() != Role::TakingOver {
        now = it.next_deadline().unwrap();
        it.handle(Input::Timeout, now);
    }
    let outputs: Vec<Output> = std::iter::from_fn(|| it.poll_output()).collect();
    let facts = Facts { term: Term(1), vote: Some(NodeId(1)), drained: false };
    assert!(outputs.contains(&Output::Persist(facts)));
    assert!(!outputs.iter().any(|it| matches!(it, Output::LeaseUntil(_))));
    it.handle(Input::Persisted(facts), now);
    assert_eq!(it.role(), Role::Active);
    let outputs: Vec<Output> = std::iter::from_fn(|| it.poll_output()).collect();
    let lease = outputs.iter().position(|it| matches!(it, Output::LeaseUntil(_)));
    let owner = outputs.iter().position(|it| matches!(it, Output::BecomeOwner { .. }));
    assert!(owner.is_some() && owner < lease, "{outputs:?}");
}

#[test]
fn outputs_that_nobody_takes_are_bounded_and_heartbeats_give_way() {
    let mut it = member();
    for _ in 0..2 * MEMBER_OUTPUTS_MAX {
        let now = it.next_deadline().unwrap();
        it.handle(Input::Timeout, now);
    }
    assert!(it.tally().outputs_lost > 0);
    let outputs: Vec<Output> = std::iter::from_fn(|| it.poll_output()).collect();
    assert_eq!(outputs.len(), MEMBER_OUTPUTS_MAX);
    assert!(outputs.iter().any(|it| matches!(it, Output::Persist(_))));
}

#[test]
fn a_path_that_is_switched_off_stays_down() {
    let mut it = member();
    it.handle(Input::Path { peer: NodeId(2), path: PathId(1), enabled: false }, Time::from_secs(1));
    assert_eq!(refusal(&mut it, &Heartbeat { sequence: 1, ..beat() }), None);
    let path = it.view().members[0].paths[1];
    assert_eq!((path.state, path.ignored), (liveness::State::AdminDown, 1));
    it.handle(Input::Path { peer: NodeId(2), path: PathId(1), enabled: true }, Time::from_secs(1));
    assert_eq!(it.view().members[0].paths[1].state, liveness::State::Down);
}

#[test]
fn a_conflict_is_told() {
    let mut world = super::world::World::settled(2, 0, 1);
    let address = "10.0.1.1".parse().unwrap();
    let announced = world.hosts[0].announced;
    world.tell(0, Input::Conflict(address));
    world.tell(1, Input::Conflict(address));
    assert!(world.hosts[0].has(|event| *event == Event::AddressConflict(address)));
    assert!(!world.hosts[1].has(|event| *event == Event::AddressConflict(address)));
    assert_eq!(world.hosts[0].announced, announced + 1);
}
