//! Every bound, and who gives way when it is reached.

use std::time::Duration;

use wire::Time;

use super::{Limits, Outcome, Rig, Sample};
use crate::Reason;
use crate::fragment::GivenUp;

/// First half of a datagram of 512 bytes of payload.
fn half(id: u32, source: u8) -> Vec<u8> {
    Sample { id, source, ..Sample::udp(false, 512) }.fragment(0, 256, true)
}

fn other_half(id: u32, source: u8) -> Vec<u8> {
    Sample { id, source, ..Sample::udp(false, 512) }.fragment(256, 256, false)
}

fn is_complete(rig: &mut Rig, frame: &[u8]) -> bool {
    let Outcome::Complete(datagram) = rig.insert(frame).outcome else { return false };
    rig.fragments.done(datagram);
    true
}

#[test]
fn the_oldest_of_a_source_gives_way() {
    let mut rig = Rig::new(Limits { per_source: 2, ..Limits::default() });
    for (id, source) in [(1, 9), (1, 1), (2, 1)] {
        rig.held(&half(id, source));
    }
    let insertion = rig.insert(&half(3, 1));
    assert!(matches!(insertion.outcome, Outcome::Held));
    assert_eq!(insertion.given_up, GivenUp { per_source: 1, ..GivenUp::default() });
    assert!(is_complete(&mut rig, &other_half(1, 9)), "another source is not touched");
    assert!(is_complete(&mut rig, &other_half(2, 1)));
    assert!(is_complete(&mut rig, &other_half(3, 1)));
    assert!(!is_complete(&mut rig, &other_half(1, 1)), "the oldest is gone");
}

#[test]
fn the_oldest_of_all_gives_way_to_a_new_datagram() {
    let mut rig = Rig::new(Limits { datagrams: 3, ..Limits::default() });
    for source in 1..=3 {
        rig.held(&half(1, source));
    }
    let insertion = rig.insert(&half(1, 4));
    assert_eq!(insertion.given_up, GivenUp { memory: 1, ..GivenUp::default() });
    assert_eq!(insertion.given_up.reasons()[1], (Reason::FragmentMemory, 1));
    assert_eq!(rig.fragments.datagrams(), 3);
    assert!(is_complete(&mut rig, &other_half(1, 4)));
    assert!(!is_complete(&mut rig, &other_half(1, 1)));
}

#[test]
fn the_oldest_others_give_way_for_memory() {
    // A first fragment takes two blocks of 256 bytes, another of 256 bytes one.
    let mut rig = Rig::new(Limits { memory: 6 * 256 + 255, ..Limits::default() });
    for id in 1..=3 {
        rig.held(&half(id, 1));
    }
    assert_eq!(rig.fragments.memory(), 6 * 256);
    // Completing the oldest itself: the next oldest goes, not the one in hand.
    let insertion = rig.insert(&other_half(1, 1));
    assert_eq!(insertion.given_up, GivenUp { memory: 1, ..GivenUp::default() });
    assert!(matches!(insertion.outcome, Outcome::Complete(_)));
    assert_eq!(rig.fragments.memory(), 2 * 256);
}

#[test]
fn a_datagram_larger_than_all_memory() {
    let mut rig = Rig::new(Limits { memory: 4 * 256, ..Limits::default() });
    let sample = Sample::udp(false, 2000);
    rig.held(&sample.fragment(0, 512, true));
    assert_eq!(rig.dropped(&sample.fragment(512, 512, true)), (Reason::FragmentMemory, 1));
    assert_eq!((rig.fragments.datagrams(), rig.fragments.memory()), (0, 0));
    let mut none = Rig::new(Limits { memory: 0, datagrams: 0, ..Limits::default() });
    assert_eq!(none.dropped(&half(1, 1)), (Reason::FragmentMemory, 0));
}

#[test]
fn too_many_fragments() {
    let mut rig = Rig::new(Limits { per_datagram: 4, ..Limits::default() });
    let sample = Sample::udp(true, 64);
    for offset in (0..32).step_by(8) {
        rig.held(&sample.fragment(offset, 8, true));
    }
    assert!(matches!(rig.outcome(&sample.fragment(8, 8, true)), Outcome::Duplicate));
    assert_eq!(rig.dropped(&sample.fragment(32, 8, true)), (Reason::FragmentTooMany, 4));
    // No caller gets more than there are places for.
    let mut rig = Rig::new(Limits { per_datagram: usize::MAX, ..Limits::default() });
    let sample = Sample::udp(true, 8 * 200);
    for at in 0..128 {
        rig.held(&sample.fragment(at * 8, 8, true));
    }
    assert_eq!(rig.dropped(&sample.fragment(128 * 8, 8, true)), (Reason::FragmentTooMany, 128));
}

#[test]
fn time_runs_from_the_first_arrival() {
    let mut rig = Rig::new(Limits::default());
    let start = rig.now;
    let sample = Sample::udp(false, 2000);
    rig.held(&sample.fragment(800, 400, true));
    assert_eq!(rig.fragments.next_deadline(), Some(start + Duration::from_secs(30)));
    rig.now = start + Duration::from_secs(29);
    rig.held(&sample.fragment(0, 400, true));
    rig.held(&half(5, 5));
    assert_eq!(rig.fragments.expire(rig.now, 9, |_| panic!("nothing is over")), 0);

    rig.now = start + Duration::from_secs(30);
    let mut expired = Vec::new();
    let count =
        rig.fragments.expire(rig.now, 9, |over| expired.push((over.held, over.first.to_vec())));
    assert_eq!(count, 1);
    assert_eq!(expired, [(2, sample.fragment(0, 400, true))], "the frame that an error may quote");
    assert_eq!(rig.fragments.next_deadline(), Some(start + Duration::from_secs(59)));
    assert_eq!(rig.fragments.held(), 1);
}

#[test]
fn nothing_is_quoted_without_the_first_fragment() {
    let mut rig = Rig::new(Limits::default());
    assert!(matches!(rig.insert_from(4, &other_half(1, 1)).outcome, Outcome::Held));
    rig.now = Time::MAX;
    let count = rig.fragments.expire(rig.now, 1, |over| {
        assert_eq!((over.held, over.ingress, over.first), (1, 4, &[][..]));
    });
    assert_eq!((count, rig.fragments.held()), (1, 0));
}

#[test]
fn the_budget_bounds_one_call() {
    let mut rig = Rig::new(Limits::default());
    for id in 0..5 {
        rig.held(&half(id, 1));
    }
    rig.now = Time::MAX;
    assert_eq!(rig.fragments.expire(rig.now, 2, |_| {}), 2);
    assert_eq!(rig.fragments.held(), 3);
    // One whose time is over is not completed, even if nobody has looked yet.
    let insertion = rig.insert_after_expiry(&other_half(2, 1));
    assert_eq!(insertion.given_up, GivenUp { timeout: 1, ..GivenUp::default() });
    assert!(matches!(insertion.outcome, Outcome::Held));
    assert_eq!(rig.fragments.clear(), 3);
    assert_eq!((rig.fragments.held(), rig.fragments.datagrams()), (0, 0));
    assert_eq!(rig.fragments.next_deadline(), None);
}

impl Rig {
    /// As `insert`, after fragments left by `expire`.
    fn insert_after_expiry(&mut self, frame: &[u8]) -> super::Insertion {
        self.held = self.fragments.held();
        self.insert(frame)
    }
}

#[test]
fn another_lifetime_holds_at_once() {
    let mut rig = Rig::new(Limits::default());
    rig.held(&half(1, 1));
    rig.fragments.configure(Duration::from_secs(1), false);
    rig.now = rig.now + Duration::from_secs(1);
    assert_eq!(rig.fragments.expire(rig.now, 9, |_| {}), 1);
    rig.held = 0;
    rig.held(&Sample::tcp(false, 64).fragment(0, 8, true));
}

#[test]
fn one_datagram_at_a_time_is_in_hand() {
    let mut rig = Rig::new(Limits::default());
    rig.held(&half(1, 1));
    rig.held(&half(2, 1));
    let datagram = rig.complete(&other_half(1, 1));
    assert_eq!(rig.dropped(&other_half(2, 1)), (Reason::FragmentMemory, 1));
    drop(datagram); // lost in a panic
    rig.fragments.recover();
    rig.held(&half(3, 1));
    assert!(is_complete(&mut rig, &other_half(3, 1)));
}
