#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::PortId;

const LAN: PortId = PortId(0);
const WAN: PortId = PortId(1);

#[test]
fn frames_come_back_in_order_with_what_was_given() {
    let mut store = Pending::new(1);
    assert_eq!(hold(&mut store, LAN, 1, b"one", 10), Ok(Held::First));
    assert_eq!(hold(&mut store, LAN, 1, b"two", 11), Ok(Held::Behind));
    assert_eq!(hold(&mut store, WAN, 1, b"other port", 12), Ok(Held::First));
    assert_eq!((store.len(), store.queues()), (3, 2));
    let frame = store.release((LAN, host(1))).unwrap();
    assert_eq!(frame.key, (LAN, host(1)));
    assert_eq!((frame.since, frame.meta), (Time(10), 10));
    assert_eq!(frame.bytes, b"one");
    assert_eq!(store.release((LAN, host(1))).unwrap().bytes, b"two");
    assert!(store.release((LAN, host(1))).is_none());
    assert!(store.release((LAN, host(2))).is_none());
    assert_eq!((store.len(), store.queues()), (1, 1));
}

#[test]
fn a_neighbour_has_its_share() {
    let mut store = Pending::new(1);
    for n in 0..HELD_PER_NEIGHBOUR {
        assert!(hold(&mut store, LAN, 1, b"x", n as u64).is_ok());
    }
    assert_eq!(hold(&mut store, LAN, 1, b"x", 99), Err(Refused::QueueFull));
    assert_eq!(hold(&mut store, LAN, 2, b"x", 99), Ok(Held::First));
    store.release((LAN, host(1))).unwrap();
    assert_eq!(hold(&mut store, LAN, 1, b"x", 99), Ok(Held::Behind));
}

#[test]
fn the_store_has_an_end() {
    let mut store = Pending::new(1);
    for n in 0..HELD_FRAMES {
        assert_eq!(hold(&mut store, LAN, n as u32, b"x", 0), Ok(Held::First));
    }
    assert_eq!(hold(&mut store, LAN, 0, b"x", 0), Err(Refused::StoreFull));
    assert_eq!(hold(&mut store, LAN, 1 << 20, b"x", 0), Err(Refused::StoreFull));
    assert_eq!(store.len(), HELD_FRAMES);
    store.release((LAN, host(7))).unwrap();
    assert_eq!(hold(&mut store, LAN, 1 << 20, b"x", 0), Ok(Held::First));
}

#[test]
fn a_frame_longer_than_a_slot_is_refused() {
    let mut store = Pending::new(1);
    let long = [7; HELD_FRAME_BYTES + 1];
    assert_eq!(hold(&mut store, LAN, 1, &long, 0), Err(Refused::TooLong));
    assert!(store.is_empty());
    assert_eq!(hold(&mut store, LAN, 1, &long[1..], 0), Ok(Held::First));
    assert_eq!(store.release((LAN, host(1))).unwrap().bytes, &long[1..]);
}

#[test]
fn frames_expire_oldest_first() {
    let mut store = Pending::new(1);
    let life = HELD_LIFE.as_nanos() as u64;
    hold(&mut store, LAN, 1, b"a", 0).unwrap();
    hold(&mut store, LAN, 2, b"b", 5).unwrap();
    hold(&mut store, LAN, 1, b"c", 5).unwrap();
    assert_eq!(store.next_expiry(), Some(Time(life)));
    assert!(store.expire(Time(life - 1)).is_none());
    assert_eq!(store.expire(Time(life)).unwrap().bytes, b"a");
    assert!(store.expire(Time(life)).is_none());
    assert_eq!(store.expire(Time(life + 5)).unwrap().bytes, b"b");
    assert_eq!(store.expire(Time(life + 5)).unwrap().bytes, b"c");
    assert!(store.expire(Time(u64::MAX)).is_none());
    assert_eq!((store.len(), store.queues(), store.next_expiry()), (0, 0, None));
}

#[test]
fn a_store_without_slots_refuses_everything() {
    let bounds = Bounds { frames: 0, ..Bounds::default() };
    let mut store = Pending::with_bounds(bounds, 1);
    assert_eq!(hold(&mut store, LAN, 1, b"x", 0), Err(Refused::StoreFull));
    assert!(store.expire(Time(u64::MAX)).is_none());
}

#[test]
fn the_index_never_grows() {
    let mut store = Pending::new(1);
    let capacity = store.queues.capacity();
    for n in 0..100_000_u32 {
        if hold(&mut store, LAN, n, b"x", 0).is_err() {
            store.release((LAN, host(n - HELD_FRAMES as u32))).unwrap();
            hold(&mut store, LAN, n, b"x", 0).unwrap();
        }
        // Entries worn out by removals count against it until the map cleans up in place.
        assert!(store.queues.capacity() <= capacity);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Hold(u8, u8),
    Release(u8),
    Expire,
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..5, 0u8..30).prop_map(|(to, length)| Step::Hold(to, length)),
        2 => (0u8..5).prop_map(Step::Release),
        2 => Just(Step::Expire),
        2 => (0u8..40).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Against a plain list of frames.
    #[test]
    fn behaves_as_a_list(steps in proptest::collection::vec(step(), 1..200)) {
        let life = Duration::from_nanos(50);
        let bounds = Bounds { per_queue: 3, frames: 8, frame_bytes: 24, life };
        let mut store = Pending::with_bounds(bounds, 9);
        let mut list: VecDeque<(u8, Vec<u8>, u64)> = VecDeque::new();
        let mut now = 0;
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Hold(to, length) => {
                    let frame = vec![n as u8; usize::from(length)];
                    let waiting = list.iter().filter(|held| held.0 == to).count();
                    let want = match (length > 24, waiting, list.len()) {
                        (true, _, _) => Err(Refused::TooLong),
                        (false, 3, _) => Err(Refused::QueueFull),
                        (false, _, 8) => Err(Refused::StoreFull),
                        (false, 0, _) => Ok(Held::First),
                        (false, _, _) => Ok(Held::Behind),
                    };
                    prop_assert_eq!(hold(&mut store, LAN, to.into(), &frame, now), want);
                    if want.is_ok() {
                        list.push_back((to, frame, now));
                    }
                }
                Step::Release(to) => {
                    let found = list.iter().position(|held| held.0 == to);
                    let want = found.and_then(|at| list.remove(at));
                    let got = store.release((LAN, host(to.into())));
                    let got = got.map(|frame| (frame.bytes.to_vec(), frame.meta));
                    prop_assert_eq!(got, want.map(|held| (held.1, held.2)));
                }
                Step::Expire => {
                    let over = list.front().is_some_and(|held| held.2 + 50 <= now);
                    let want = if over { list.pop_front() } else { None };
                    let got = store.expire(Time(now));
                    let got = got.map(|frame| (frame.bytes.to_vec(), frame.meta));
                    prop_assert_eq!(got, want.map(|held| (held.1, held.2)));
                }
                Step::Wait(span) => now += u64::from(span),
            }
            prop_assert_eq!(store.len(), list.len());
        }
    }
}

fn host(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + n).into()
}

/// The time doubles as what is given with the frame.
fn hold(
    store: &mut Pending<(PortId, IpAddr), u64>,
    port: PortId,
    to: u32,
    frame: &[u8],
    now: u64,
) -> Result<Held, Refused> {
    store.hold((port, host(to)), frame, Time(now), now)
}
