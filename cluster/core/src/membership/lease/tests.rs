//! The rules of the lease, one at a time. That they suffice is shown by `membership/tests/overlap.rs`.

use super::*;

const MS: fn(u64) -> Time = Time::from_millis;

fn lease() -> Lease {
    Lease::new(Duration::from_millis(65), Duration::from_millis(5))
}

fn votes(sent_ms: u64) -> Basis {
    Basis { acknowledged: Some(MS(sent_ms)), alone: false }
}

const ALONE: Basis = Basis { acknowledged: None, alone: true };

#[test]
fn it_is_counted_from_the_sending() {
    let mut lease = lease();
    lease.claim(MS(100));
    assert_eq!(lease.renew(votes(99), MS(105)), None, "sent before the claim");
    assert_eq!(lease.renew(votes(100), MS(130)), Some(Order::Until(MS(165))));
    assert_eq!(lease.renew(votes(100), MS(140)), None);
    assert_eq!(lease.renew(votes(110), MS(150)), Some(Order::Until(MS(175))));
    assert_eq!(lease.renew(votes(105), MS(151)), None, "it never shrinks by an old acknowledgment");
    assert_eq!(lease.ground(), Some(Ground::Votes));
}

#[test]
fn it_runs_out_by_itself_and_is_felt_for_the_lag() {
    let mut lease = lease();
    lease.claim(MS(100));
    lease.renew(votes(100), MS(101));
    assert!(lease.is_live(MS(164)) && !lease.is_live(MS(165)));
    assert_eq!(lease.renew(Basis::default(), MS(165)), Some(Order::End { number: 1 }));
    assert_eq!(lease.lapsed_for(MS(175)), Some(Duration::from_millis(10)));
    assert!(!lease.is_dark(MS(169)) && lease.is_dark(MS(170)));
}

#[test]
fn what_silence_gave_goes_with_it() {
    let mut lease = lease();
    lease.claim(MS(100));
    lease.renew(votes(100), MS(101));
    assert_eq!(lease.renew(ALONE, MS(150)), Some(Order::Until(MS(215))));
    assert_eq!(lease.ground(), Some(Ground::Alone));
    assert_eq!(lease.hear(), Some(MS(150)));
    assert_eq!(
        lease.renew(Basis::default(), MS(160)),
        Some(Order::Until(MS(165))),
        "by votes still"
    );
    lease.renew(ALONE, MS(161));
    lease.hear();
    assert_eq!(lease.renew(Basis::default(), MS(170)), Some(Order::End { number: 1 }));
    assert!(!lease.is_dark(MS(171)), "a worker may still forward");
    lease.confirm(1, MS(172));
    assert!(lease.is_dark(MS(172)));
}

#[test]
fn only_the_last_end_can_be_confirmed() {
    let mut lease = lease();
    lease.claim(MS(0));
    lease.renew(votes(0), MS(1));
    assert_eq!(lease.end(), Some(Order::End { number: 1 }));
    assert_eq!(lease.end(), None);
    lease.renew(ALONE, MS(2));
    lease.confirm(1, MS(3));
    assert!(!lease.is_dark(MS(3)), "it lives again");
    assert_eq!(lease.disclaim(), Some(Order::End { number: 2 }));
    lease.confirm(1, MS(4));
    assert!(!lease.is_dark(MS(4)), "of an earlier end");
    lease.confirm(2, MS(4));
    assert!(lease.is_dark(MS(4)));
    assert_eq!(lease.renew(votes(3), MS(5)), None, "claims nothing");
}

#[test]
fn majorities_need_the_newest_of_enough_peers() {
    let ack = |majority, acks: &[u64]| {
        let mut acks: Vec<Time> = acks.iter().copied().map(MS).collect();
        acknowledged(majority, &mut acks, MS(99))
    };
    assert_eq!(ack(1, &[]), Some(MS(99)), "a single node");
    assert_eq!(ack(2, &[]), None, "a pair, unacknowledged");
    assert_eq!(ack(2, &[7]), Some(MS(7)));
    assert_eq!(ack(2, &[3, 7]), Some(MS(7)), "one of two peers is enough of three");
    assert_eq!(ack(3, &[3, 7]), Some(MS(3)));
    assert_eq!(ack(3, &[3, 9, 7, 1]), Some(MS(7)));
}

#[test]
fn a_time_alone_is_told_when_somebody_is_heard_though_its_lease_has_ended() {
    let mut lease = lease();
    lease.claim(MS(0));
    lease.renew(ALONE, MS(2));
    lease.disclaim();
    assert_eq!(lease.ground(), None);
    assert_eq!(lease.hear(), Some(MS(2)));
    assert_eq!(lease.hear(), None, "once");
}
