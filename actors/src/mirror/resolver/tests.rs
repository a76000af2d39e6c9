//! Requests against a clock of the test's own.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;

const PORT: PortId = PortId(3);

fn key(last: u8) -> Key {
    (PORT, IpAddr::from([10, 0, 0, last]))
}

fn known(key: Key, state: NeighbourState) -> [FibChange; 1] {
    [FibChange::NeighbourSet { port: key.0, address: key.1, mac: [2; 6], state }]
}

fn lost(key: Key) -> [FibChange; 1] {
    [FibChange::NeighbourLost { port: key.0, address: key.1 }]
}

#[test]
fn what_was_lost_with_a_port_is_asked_for_anew_when_it_is_back() {
    let (mut resolver, start) = (Resolver::default(), Instant::now());
    for number in 1..=3 {
        assert!(resolver.ask(key(number), start));
    }
    let other = (PortId(4), key(1).1);
    assert!(resolver.ask(other, start));
    resolver.observe(&known(key(1), NeighbourState::Reachable));
    resolver.observe(&known(key(2), NeighbourState::Reachable));
    resolver.observe(&[FibChange::PortDown { port: key(1).0 }]);
    resolver.observe(&known(key(2), NeighbourState::Stale));
    let mut anew = resolver.anew(key(1).0, start + ASK_PAUSE / 2);
    anew.sort();
    assert_eq!(anew, [key(1), key(3)], "2 is known, and the other one is another port's");
    assert!(!resolver.ask(key(1), start + ASK_PAUSE), "it was asked for half a second ago");
}

#[test]
fn the_kernel_is_asked_once_a_second() {
    let (mut resolver, start) = (Resolver::default(), Instant::now());
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    assert!(resolver.ask(key(1), at(0)));
    assert!(!resolver.ask(key(1), at(999)));
    assert!(resolver.ask(key(2), at(999)));
    assert!(resolver.ask((PortId(4), key(1).1), at(999)));
    assert!(resolver.ask(key(1), at(1000)));
    assert!(!resolver.ask(key(1), at(1001)));
}

#[test]
fn stale_neighbours_are_used_again_as_long_as_they_are_known() {
    let (mut resolver, start) = (Resolver::default(), Instant::now());
    let after = |seconds| start + Duration::from_secs(seconds);
    assert!(resolver.ask(key(1), start));
    assert_eq!(resolver.due(after(60)), []);
    resolver.observe(&known(key(1), NeighbourState::Reachable));
    assert_eq!(resolver.due(after(60)), []);
    resolver.observe(&known(key(1), NeighbourState::Stale));
    assert_eq!(resolver.due(after(29)), []);
    assert_eq!(resolver.due(after(30)), [key(1)]);
    assert_eq!(resolver.due(after(59)), []);
    resolver.forget(after(59));
    assert_eq!(resolver.due(after(60)), [key(1)]);
    resolver.observe(&lost(key(1)));
    assert_eq!(resolver.due(after(120)), []);
    resolver.forget(after(120));
    assert!(resolver.asked.is_empty());
}

#[test]
fn neighbours_that_nobody_asked_for_are_left_alone() {
    let (mut resolver, start) = (Resolver::default(), Instant::now());
    resolver.observe(&known(key(1), NeighbourState::Stale));
    assert_eq!(resolver.due(start + Duration::from_secs(100)), []);
    assert!(resolver.asked.is_empty());
}

#[test]
fn permanent_neighbours_are_never_used() {
    let (mut resolver, start) = (Resolver::default(), Instant::now());
    resolver.observe(&known(key(1), NeighbourState::Permanent));
    assert!(!resolver.ask(key(1), start));
    resolver.observe(&lost(key(1)));
    assert!(resolver.ask(key(1), start));
}

#[test]
fn what_a_scan_can_cost_is_bounded() {
    let (mut resolver, start) = (Resolver::default(), Instant::now());
    let of = |number: u32| (PORT, IpAddr::from(number.to_be_bytes()));
    let most = u32::try_from(UNRESOLVED_MAX).unwrap();
    assert!((0..most).all(|number| resolver.ask(of(number), start)));
    assert!(!resolver.ask(of(most), start));
    // A known one makes room, and so does time.
    resolver.observe(&known(of(0), NeighbourState::Reachable));
    assert!(resolver.ask(of(most), start));
    assert!(!resolver.ask(of(most + 1), start));
    assert!(resolver.ask(of(most + 1), start + ASK_PAUSE));
    assert_eq!(resolver.asked.len(), 2);
    assert_eq!(resolver.unresolved, 1);
}

#[test]
fn a_port_without_a_link_has_no_known_neighbours() {
    let (mut resolver, start) = (Resolver::default(), Instant::now());
    for change in [FibChange::Flush, FibChange::PortDown { port: PORT }] {
        let later = start + Duration::from_secs(1000);
        resolver.ask(key(1), start);
        resolver.observe(&known(key(1), NeighbourState::Stale));
        resolver.observe(&known(key(2), NeighbourState::Permanent));
        resolver.observe(&[FibChange::PortDown { port: PortId(9) }]);
        assert_eq!((resolver.unresolved, resolver.permanent.len()), (0, 1));
        resolver.observe(&[change]);
        assert_eq!((resolver.unresolved, resolver.permanent.len()), (1, 0));
        assert_eq!(resolver.due(later), []);
        resolver.forget(later);
    }
}
