//! Taking, announcing, defending and releasing.

use super::*;

fn vip(address: &str) -> Vip {
    Vip { port: PortId(1), address: address.parse().unwrap(), prefix: 24 }
}

fn group() -> (Vips, Vip, Vip) {
    let (a, b) = (vip("10.0.0.1"), vip("2001:db8::1"));
    (Vips::new(vec![a, b]), a, b)
}

#[test]
fn taken_announced_slowly_ever_after_and_released() {
    let (mut vips, a, b) = group();
    let start = Time::from_secs(100);
    let mut orders = Vec::new();
    assert_eq!(vips.next_deadline(), None);
    vips.take(start, |order| orders.push(order));
    vips.take(start, |order| orders.push(order));
    assert_eq!(orders, [Order::Add(a), Order::Add(b)]);
    let mut at_ms = Vec::new();
    for _ in 0..8 {
        let now = vips.next_deadline().unwrap();
        let mut announced = Vec::new();
        vips.handle_timeout(now, |order| announced.push(order));
        assert_eq!(announced, [Order::Announce(a), Order::Announce(b)]);
        at_ms.push(now.since(start).as_millis());
        vips.handle_timeout(now, |order| panic!("twice: {order:?}"));
    }
    assert_eq!(at_ms, [0, 50, 1_000, 2_000, 5_000, 35_000, 65_000, 95_000]);
    orders.clear();
    vips.release(|order| orders.push(order));
    vips.release(|order| orders.push(order));
    assert_eq!(orders, [Order::Remove(a), Order::Remove(b)]);
    assert_eq!(vips.next_deadline(), None);
    vips.handle_timeout(Time::MAX, |order| panic!("not held: {order:?}"));
}

#[test]
fn a_conflict_is_counted_and_answered_at_most_every_ten_seconds() {
    let (mut vips, a, _) = group();
    assert!(!vips.handle_conflict(a.address, Time::ZERO, |_| panic!("not held")));
    vips.take(Time::ZERO, |_| {});
    let mut answers = 0;
    for second in [0, 1, 9, 10, 19, 21] {
        assert!(vips.handle_conflict(a.address, Time::from_secs(second), |order| {
            assert_eq!(order, Order::Announce(a));
            answers += 1;
        }));
    }
    assert_eq!((answers, vips.conflicts()), (3, 6));
    let other = "10.0.0.9".parse().unwrap();
    assert!(!vips.handle_conflict(other, Time::ZERO, |_| panic!("not ours")));
}

#[test]
fn announced_as_if_new_when_somebody_else_may_have_been_believed() {
    let (mut vips, _, _) = group();
    vips.announce_anew(Time::ZERO);
    assert_eq!(vips.next_deadline(), None, "not held");
    vips.take(Time::ZERO, |_| {});
    vips.handle_timeout(Time::from_secs(5), |_| {});
    let again = Time::from_secs(20);
    vips.announce_anew(again);
    let mut count = 0;
    for millis in [0, 50, 1_000, 2_000] {
        let now = again + std::time::Duration::from_millis(millis);
        assert_eq!(vips.next_deadline(), Some(now));
        vips.handle_timeout(now, |_| count += 1);
    }
    assert_eq!(count, 8);
}
