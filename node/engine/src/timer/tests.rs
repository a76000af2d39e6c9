#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const TICK: u64 = TIMER_GRANULARITY_NANOS;
const CAPACITY: u32 = 16;

fn drain(wheel: &mut TimerWheel, now: Time) -> Vec<u32> {
    let mut fired = Vec::new();
    let advance = wheel.advance(now, usize::MAX, |index| {
        fired.push(index);
        Visit::Done
    });
    assert_eq!((advance.visits, advance.behind), (fired.len(), false));
    fired
}

#[test]
fn fires_within_one_tick_after_the_deadline_and_never_before() {
    let mut wheel = TimerWheel::new(CAPACITY, Time(12_345));
    wheel.arm(3, Time(12_345 + 10 * TICK));
    assert_eq!(drain(&mut wheel, Time(12_344 + 10 * TICK)), []);
    assert_eq!(wheel.next_deadline(), Some(Time(11 * TICK)));
    assert_eq!(drain(&mut wheel, Time(11 * TICK)), [3]);
    assert_eq!((wheel.armed(), wheel.next_deadline()), (0, None));
}

#[test]
fn five_days_wait_through_many_revolutions() {
    let mut wheel = TimerWheel::new(CAPACITY, Time::ZERO);
    let deadline = Time::from_secs(432_000);
    wheel.arm(0, deadline);
    let (mut now, mut visits, mut fired) = (Time::ZERO, 0, None);
    while fired.is_none() {
        now = Time(now.0 + 60_000_000_000);
        visits += wheel
            .advance(now, 1, |_| {
                if now < deadline {
                    return Visit::Rearm(deadline);
                }
                fired = Some(now);
                Visit::Done
            })
            .visits;
    }
    assert_eq!(fired, Some(Time::from_secs(432_000 + 60)));
    assert!(visits < 1_000, "{visits} visits");
}

#[test]
fn only_an_earlier_deadline_moves_an_entry() {
    let mut wheel = TimerWheel::new(CAPACITY, Time::ZERO);
    wheel.arm(1, Time(50 * TICK));
    wheel.arm(1, Time(90 * TICK));
    assert_eq!(wheel.next_deadline(), Some(Time(50 * TICK)));
    wheel.arm(1, Time(20 * TICK));
    assert_eq!(wheel.next_deadline(), Some(Time(20 * TICK)));
    assert_eq!(wheel.armed(), 1);
}

#[test]
fn work_left_over_comes_first_and_in_order() {
    let mut wheel = TimerWheel::new(CAPACITY, Time::ZERO);
    for index in 0..10 {
        wheel.arm(index, Time(u64::from(index + 1) * TICK));
    }
    let mut fired = Vec::new();
    for left in [6, 2, 0] {
        let advance = wheel.advance(Time(100 * TICK), 4, |index| {
            fired.push(index);
            Visit::Done
        });
        assert_eq!((advance.behind, wheel.armed()), (left > 0, left));
    }
    assert_eq!(fired, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_visitor_that_rearms_into_the_past_does_not_hold_the_wheel_up() {
    let mut wheel = TimerWheel::new(CAPACITY, Time::ZERO);
    wheel.arm(0, Time(TICK));
    let advance = wheel.advance(Time(5 * TICK), 1_000, |_| Visit::Rearm(Time::ZERO));
    assert_eq!((advance.visits, advance.behind), (5, false));
}

#[test]
fn the_end_of_time_is_a_deadline_like_any_other() {
    let mut wheel = TimerWheel::new(CAPACITY, Time::from_secs(1));
    wheel.arm(0, Time::MAX);
    let advance = wheel.advance(Time::from_secs(10_000_000), 1 << 20, |_| Visit::Rearm(Time::MAX));
    assert!(!advance.behind && advance.visits < 20_000, "{advance:?}");
    assert!(wheel.is_armed(0));
}

#[test]
fn an_audit_rebuilds_broken_links() {
    let deadline = |index: u32| Time(u64::from(index + 3) * TICK);
    let mut wheel = TimerWheel::new(CAPACITY, Time::ZERO);
    for index in 0..CAPACITY {
        wheel.arm(index, deadline(index % 4));
    }
    assert_eq!(wheel.audit(|index| Some(deadline(index % 4))), 0);
    wheel.links[7].next = 11;
    assert!(wheel.audit(|index| Some(deadline(index % 4))) > 0);
    assert_eq!(wheel.audit(|index| Some(deadline(index % 4))), 0);
    let mut fired = drain(&mut wheel, Time(100 * TICK));
    fired.sort_unstable();
    assert_eq!(fired, (0..CAPACITY).collect::<Vec<_>>());
}

/// What a user of the wheel does.
#[derive(Clone, Debug)]
enum Op {
    /// A new timer, or an earlier deadline for one that is armed.
    Arm {
        index: u32,
        after: u64,
    },
    /// A packet: the deadline is written, the wheel not told.
    PutOff {
        index: u32,
        after: u64,
    },
    Disarm {
        index: u32,
    },
    Advance {
        by: u64,
        budget: usize,
    },
}

fn ops() -> impl Strategy<Value = Op> {
    let index = 0..CAPACITY;
    // From within one tick to far beyond the wheel's span.
    let after = || prop_oneof![0..3 * TICK, 0..500 * TICK, 0..20_000 * TICK];
    prop_oneof![
        4 => (index.clone(), after()).prop_map(|(index, after)| Op::Arm { index, after }),
        3 => (index.clone(), after()).prop_map(|(index, after)| Op::PutOff { index, after }),
        1 => index.prop_map(|index| Op::Disarm { index }),
        4 => (after(), prop_oneof![Just(1_usize), Just(3), Just(1_000_000)])
            .prop_map(|(by, budget)| Op::Advance { by, budget }),
    ]
}

/// The wheel beside a sorted list of the true deadlines.
struct Twins {
    wheel: TimerWheel,
    deadlines: BTreeMap<u32, Time>,
    now: Time,
}

impl Twins {
    fn step(&mut self, op: &Op) {
        match *op {
            Op::Arm { index, after } => {
                let wanted = Time(self.now.0 + after);
                let deadline = self.deadlines.entry(index).or_insert(wanted);
                *deadline = wanted.min(*deadline);
                self.wheel.arm(index, *deadline);
            }
            Op::PutOff { index, after } => {
                if let Some(deadline) = self.deadlines.get_mut(&index) {
                    *deadline = (*deadline).max(Time(self.now.0 + after));
                }
            }
            Op::Disarm { index } => {
                self.deadlines.remove(&index);
                self.wheel.disarm(index);
            }
            Op::Advance { by, budget } => self.advance(by, budget),
        }
        assert_eq!(self.wheel.armed(), self.deadlines.len());
        assert_eq!(self.wheel.audit(|index| self.deadlines.get(&index).copied()), 0);
    }

    fn advance(&mut self, by: u64, budget: usize) {
        self.now = Time(self.now.0 + by);
        let Self { wheel, deadlines, now } = self;
        let advance = wheel.advance(*now, budget, |index| {
            let deadline = deadlines[&index];
            if deadline > *now {
                return Visit::Rearm(deadline);
            }
            deadlines.remove(&index);
            Visit::Done
        });
        assert!(advance.visits <= budget);
        if !advance.behind {
            // Nothing later than one granularity (and the entry is on time to the nanosecond only
            // by its deadline's tick).
            let latest = Time(now.0.saturating_sub(TICK));
            assert!(
                deadlines.values().all(|&deadline| deadline > latest),
                "{deadlines:?} at {now:?}"
            );
            if let (Some(next), Some(first)) = (wheel.next_deadline(), deadlines.values().min()) {
                assert!(next.0 <= first.0.next_multiple_of(TICK).max(now.0 + TICK));
            }
        } else {
            assert_eq!(advance.visits, budget);
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_sorted_list(start in 0..1_u64 << 50, ops in prop::collection::vec(ops(), 1..80)) {
        let start = Time(start);
        let mut twins =
            Twins { wheel: TimerWheel::new(CAPACITY, start), deadlines: BTreeMap::new(), now: start };
        for op in &ops {
            twins.step(op);
        }
        // Whatever is left fires, all of it.
        for _ in 0..100 {
            twins.step(&Op::Advance { by: 20_000 * TICK, budget: 1_000_000 });
        }
        prop_assert!(twins.deadlines.is_empty());
    }
}
