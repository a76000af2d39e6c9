#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use wire::Protocol;

use super::*;
use crate::limits::BUCKET_ENTRIES;
use crate::session::CloseReason;
use crate::session::Opening;
use crate::{RuleIndex, ZoneId};

const SEED: [u64; 2] = [7, 11];

fn key(domain: u16, number: u32) -> FlowKey {
    let client = (IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | (number >> 8))), 1_024);
    let server = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), (number & 0xff) as u16);
    FlowKey::new(domain, Protocol::TCP, client, server).0
}

fn session(key: FlowKey, id: u64, now: Time) -> Session {
    let direction = wire::Direction::Forward;
    let opening =
        Opening { key, direction, id, rule: RuleIndex(0), epoch: 1, zones: [ZoneId(0); 2] };
    Session::new(&opening, now)
}

fn insert(table: &mut SessionTable, key: FlowKey, id: u64) -> Result<Handle, Refused> {
    table.insert(table.hash(&key), &session(key, id, Time::ZERO))
}

fn id_of(table: &SessionTable, key: &FlowKey) -> Option<u64> {
    let handle = table.find(table.hash(key), key)?;
    table.get(handle).map(|session| session.id)
}

#[test]
fn finds_what_was_inserted_until_it_is_removed() {
    let mut table = SessionTable::new(100, SEED, Time::ZERO);
    let handle = insert(&mut table, key(0, 1), 42).unwrap();
    assert_eq!(insert(&mut table, key(0, 1), 43), Err(Refused::Duplicate));
    assert_eq!((table.len(), id_of(&table, &key(0, 1))), (1, Some(42)));
    assert_eq!(table.remove(handle).unwrap().id, 42);
    assert_eq!((table.len(), id_of(&table, &key(0, 1))), (0, None));
    assert!(table.remove(handle).is_none() && table.get(handle).is_none());
}

#[test]
fn two_domains_with_equal_addresses_never_mix() {
    let mut table = SessionTable::new(100, SEED, Time::ZERO);
    insert(&mut table, key(1, 9), 1).unwrap();
    assert_eq!(id_of(&table, &key(2, 9)), None);
    insert(&mut table, key(2, 9), 2).unwrap();
    assert_eq!((id_of(&table, &key(1, 9)), id_of(&table, &key(2, 9))), (Some(1), Some(2)));
}

#[test]
fn a_place_given_back_is_the_next_to_be_used() {
    let mut table = SessionTable::new(8, SEED, Time::ZERO);
    let first = insert(&mut table, key(0, 1), 1).unwrap();
    insert(&mut table, key(0, 2), 2).unwrap();
    table.remove(first);
    assert_eq!(insert(&mut table, key(0, 3), 3), Ok(first));
}

#[test]
fn a_full_table_refuses_and_takes_again_after_a_removal() {
    let mut table = SessionTable::new(4, SEED, Time::ZERO);
    let handles: Vec<_> = (0..4).map(|n| insert(&mut table, key(0, n), 0).unwrap()).collect();
    assert_eq!(table.room(table.hash(&key(0, 9))), Err(Refused::Full));
    assert_eq!(insert(&mut table, key(0, 9), 0), Err(Refused::Full));
    assert_eq!(table.gauges().refused_full, 1);
    table.remove(handles[2]);
    assert!(insert(&mut table, key(0, 9), 0).is_ok());
}

/// Keys that share both buckets with each other in this table.
fn colliding(table: &SessionTable, count: usize) -> Vec<FlowKey> {
    let spot = |key: &FlowKey| {
        let spot = table.buckets.spot(table.hash(key));
        (spot.primary, spot.secondary)
    };
    let wanted = spot(&key(0, 0));
    (0..).map(|n| key(0, n)).filter(|key| spot(key) == wanted).take(count).collect()
}

#[test]
fn keys_that_collide_fill_both_buckets_and_then_are_refused() {
    let mut table = SessionTable::new(64, SEED, Time::ZERO);
    let keys = colliding(&table, 17);
    let handles: Vec<_> =
        keys[..16].iter().zip(0..).map(|(&key, id)| insert(&mut table, key, id).unwrap()).collect();
    assert_eq!(insert(&mut table, keys[16], 16), Err(Refused::BucketsFull));
    assert_eq!((table.gauges().refused_buckets, table.gauges().spilled), (1, 8));
    for (key, id) in keys[..16].iter().zip(0..) {
        assert_eq!(id_of(&table, key), Some(id));
    }
    // The ninth to sixteenth live in the secondary bucket and are still found when the primary
    // has room again, until the last of them is gone.
    for handle in &handles[..8] {
        table.remove(*handle);
    }
    for (key, id) in keys[8..16].iter().zip(8..) {
        assert_eq!(id_of(&table, key), Some(id));
    }
    assert_eq!(insert(&mut table, keys[16], 16), Ok(handles[7]));
    for handle in &handles[8..] {
        table.remove(*handle);
    }
    assert_eq!((table.gauges().spilled, table.len()), (0, 1));
    assert_eq!(table.audit(), Audit::default());
}

#[test]
fn nearly_everything_fits_into_a_table_that_is_nearly_full() {
    const CAPACITY: u32 = 40_000;
    let mut table = SessionTable::new(CAPACITY, SEED, Time::ZERO);
    let mut refused = 0;
    for number in 0..CAPACITY {
        refused += u32::from(insert(&mut table, key(0, number), 0) == Err(Refused::BucketsFull));
    }
    assert!(refused <= CAPACITY / 5_000, "{refused} refused");
    let gauges = table.gauges();
    assert!(gauges.spilled < CAPACITY / 100, "{gauges:?}");
    assert!(table.memory() / CAPACITY as usize <= 256, "{} bytes", table.memory());
    assert_eq!(table.audit(), Audit::default());
}

#[test]
fn the_hash_spreads_neighbouring_keys() {
    let table = SessionTable::new(32_000, SEED, Time::ZERO);
    let mut load = vec![0_u32; table.buckets.len()];
    let (mut tags, mut bits) = (vec![0_u32; 256], [0_u32; 64]);
    const KEYS: u32 = 100_000;
    for number in 0..KEYS {
        let hash = table.hash(&key(0, number));
        load[table.buckets.primary(hash)] += 1;
        tags[(hash & 0xff) as usize] += 1;
        // Avalanche: one bit of the port changes about half of the hash.
        let flipped = hash ^ table.hash(&key(0, number ^ 1));
        for (bit, count) in bits.iter_mut().enumerate() {
            *count += (flipped >> bit & 1) as u32;
        }
    }
    let even = f64::from(KEYS) / load.len() as f64;
    let chi: f64 = load.iter().map(|&n| (f64::from(n) - even).powi(2) / even).sum();
    // Chi-square over 10,000 buckets: mean 10,000, deviation 141.
    assert!((chi - load.len() as f64).abs() < 900.0, "{chi}");
    assert!(tags.iter().all(|&n| (250..530).contains(&n)), "{tags:?}");
    assert!(bits.iter().all(|&n| (KEYS / 2).abs_diff(n) < KEYS / 10), "{bits:?}");
}

#[test]
fn another_seed_is_another_function() {
    let tables = [[1, 2], [2, 1], [1, 3]].map(|seed| SessionTable::new(1, seed, Time::ZERO));
    let hashes = tables.map(|table| table.hash(&key(0, 5)));
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
}

#[test]
fn sessions_expire_at_their_deadline_and_not_before() {
    let mut table = SessionTable::new(10, SEED, Time::ZERO);
    let handle = insert(&mut table, key(0, 1), 1).unwrap();
    table.get_mut(handle).unwrap().deadline = Time::from_secs(100);
    let mut closed = Vec::new();
    for secs in 1..=101 {
        let advance = table.expire(Time::from_secs(secs), 10, |session, reason| {
            closed.push((secs, session.id, reason));
        });
        assert!(!advance.behind);
    }
    assert_eq!(closed, [(101, 1, CloseReason::Timeout)]);
    assert_eq!((table.len(), id_of(&table, &key(0, 1)), table.next_deadline()), (0, None, None));
}

#[test]
fn an_earlier_deadline_counts_once_the_wheel_is_told() {
    let mut table = SessionTable::new(10, SEED, Time::ZERO);
    let mut long = session(key(0, 1), 1, Time::ZERO);
    long.deadline = Time::from_secs(432_000);
    let handle = table.insert(table.hash(&long.key), &long).unwrap();
    table.get_mut(handle).unwrap().deadline = Time::from_secs(10);
    table.rearm(handle);
    let mut closed = 0;
    table.expire(Time::from_secs(11), 10, |_, _| closed += 1);
    assert_eq!(closed, 1);
}

#[test]
fn pages_show_each_lasting_session_once() {
    const CAPACITY: u32 = 5_000;
    let mut table = SessionTable::new(CAPACITY, SEED, Time::ZERO);
    let handles: Vec<_> =
        (0..CAPACITY - 100).filter_map(|n| insert(&mut table, key(0, n), n.into()).ok()).collect();
    let (mut cursor, mut shown, mut pages) = (Some(Cursor::default()), Vec::new(), 0);
    while let Some(at) = cursor {
        cursor = table.page(at, |_, session| shown.push(session.id));
        // Between two pages some come and some go.
        table.remove(handles[handles.len() - 1 - pages]);
        let _ = insert(&mut table, key(1, pages as u32), 1_000_000 + pages as u64);
        pages += 1;
    }
    assert_eq!(pages, handles.len().div_ceil(SESSIONS_PER_PAGE));
    let lasting = u64::from(CAPACITY) - 200;
    for id in 0..lasting {
        assert_eq!(shown.iter().filter(|&&other| other == id).count(), 1, "session {id}");
    }
}

#[test]
fn an_audit_mends_what_a_panic_may_leave_behind() {
    let damages: [fn(&mut SessionTable); 6] = [
        |table| table.buckets.bucket_mut(0).set(7, 0x1234, 3),
        |table| table.buckets.bucket_mut(1).set(7, 0x1234, 1_000_000),
        |table| table.buckets.bucket_mut(2).set_spill(5),
        |table| table.free.push(0),
        |table| table.slab[5].flags.set(Flags::LIVE, false),
        |table| table.wheel.disarm(6),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let mut table = SessionTable::new(16, SEED, Time::ZERO);
        for id in 0..10 {
            insert(&mut table, key(0, id), id.into()).unwrap();
        }
        assert_eq!(table.audit(), Audit::default());
        damage(&mut table);
        let audit = table.audit();
        assert!(audit.repairs() > 0, "damage {number}: {audit:?}");
        assert_eq!(table.audit(), Audit::default(), "damage {number}");
        let found = (0..10).filter(|&id| id_of(&table, &key(0, id)) == Some(id.into())).count();
        assert_eq!(found, if number == 4 { 9 } else { 10 }, "damage {number}");
        assert_eq!(table.len(), found);
    }
}

#[test]
fn auditing_the_touched_bucket_finds_a_half_done_removal() {
    let mut table = SessionTable::new(16, SEED, Time::ZERO);
    let handle = insert(&mut table, key(0, 1), 1).unwrap();
    let hash = table.hash(&key(0, 1));
    assert_eq!(table.audit_bucket(hash), 0);
    table.get_mut(handle).unwrap().flags.set(Flags::LIVE, false);
    assert!(table.audit_bucket(hash) > 0);
    assert_eq!((table.audit_bucket(hash), table.len(), table.audit()), (0, 0, Audit::default()));
}

/// What happens to a table.
#[derive(Clone, Debug)]
enum Op {
    Insert { key: u32, life: u64 },
    Remove { key: u32 },
    PutOff { key: u32, life: u64 },
    Expire { secs: u64, budget: usize },
    Translate { key: u32, beyond: u32 },
    Rebuild,
    Audit,
}

fn ops(keys: u32) -> impl Strategy<Value = Op> {
    let (key, beyond) = (0..keys, 0..keys);
    let life = 0..2_000_u64;
    prop_oneof![
        6 => (key.clone(), life.clone()).prop_map(|(key, life)| Op::Insert { key, life }),
        3 => key.clone().prop_map(|key| Op::Remove { key }),
        2 => (key.clone(), life).prop_map(|(key, life)| Op::PutOff { key, life }),
        2 => (0..300_u64, prop_oneof![Just(2_usize), Just(1_000)])
            .prop_map(|(secs, budget)| Op::Expire { secs, budget }),
        3 => (key, beyond).prop_map(|(key, beyond)| Op::Translate { key, beyond }),
        1 => Just(Op::Rebuild),
        1 => Just(Op::Audit),
    ]
}

/// The table beside a BTreeMap from key to (id, deadline).
struct Twins {
    table: SessionTable,
    keys: Vec<FlowKey>,
    beyond: Vec<FlowKey>,
    map: BTreeMap<FlowKey, (u64, Time)>,
    /// The second keys of translated sessions, with their first ones.
    second: BTreeMap<FlowKey, FlowKey>,
    now: Time,
    next_id: u64,
}

impl Twins {
    fn step(&mut self, op: &Op) {
        match *op {
            Op::Insert { key, life } => self.insert(self.keys[key as usize], life),
            Op::Remove { key } => {
                let key = self.keys[key as usize];
                let handle = self.table.find(self.table.hash(&key), &key);
                let removed = handle.and_then(|handle| self.table.remove(handle));
                let expected = self.map.remove(&key).map(|(id, _)| id);
                self.second.retain(|_, first| *first != key);
                assert_eq!(removed.map(|session| session.id), expected);
            }
            Op::PutOff { key, life } => {
                let key = self.keys[key as usize];
                if let Some((_, deadline)) = self.map.get_mut(&key) {
                    *deadline = (*deadline).max(self.now + std::time::Duration::from_secs(life));
                    let handle = self.table.find(self.table.hash(&key), &key).unwrap();
                    self.table.get_mut(handle).unwrap().deadline = *deadline;
                }
            }
            Op::Expire { secs, budget } => self.expire(secs, budget),
            Op::Translate { key, beyond } => self.translate(self.keys[key as usize], beyond),
            Op::Rebuild => self.rebuild(),
            Op::Audit => assert_eq!(self.table.audit(), Audit::default()),
        }
        self.compare();
    }

    /// Nobody is given up unless two buckets may have been full.
    fn rebuild(&mut self) {
        let keys = self.map.len() + self.second.len();
        let dropped = self.table.rebuild();
        assert!(dropped == 0 || keys >= 16, "{dropped} of {keys}");
        let Self { table, map, second, .. } = self;
        let before = map.len();
        map.retain(|key, _| table.find(table.hash(key), key).is_some());
        second.retain(|_, first| map.contains_key(first));
        assert_eq!(before - map.len(), dropped);
    }

    /// A session that lives and has no second key gets one that is nobody's.
    fn translate(&mut self, key: FlowKey, beyond: u32) {
        let second = self.beyond[beyond as usize];
        let Some(handle) = self.table.find(self.table.hash(&key), &key) else { return };
        let free = !self.second.contains_key(&second);
        let hash = self.table.hash(&second);
        let room = self.table.twin_room(hash, &second, None, false);
        assert!(free || !room, "somebody has it");
        let twin = Twin { key: second, ..Twin::EMPTY };
        if room && self.table.translate(handle, hash, &twin) {
            assert!(self.second.values().all(|first| *first != key), "one has one");
            self.second.insert(second, key);
        }
    }

    fn insert(&mut self, key: FlowKey, life: u64) {
        self.next_id += 1;
        let mut new = session(key, self.next_id, self.now);
        new.deadline = self.now + std::time::Duration::from_secs(life);
        let hash = self.table.hash(&key);
        let room = self.table.room(hash);
        let inserted = self.table.insert(hash, &new);
        match inserted {
            Ok(_) => {
                assert_eq!(room, Ok(()));
                assert_eq!(self.map.insert(key, (self.next_id, new.deadline)), None);
            }
            Err(Refused::Duplicate) => assert!(self.map.contains_key(&key)),
            Err(Refused::Full) => assert_eq!(self.map.len(), self.table.capacity()),
            // Allowed to the table only when sixteen of the keys stand in the way.
            Err(Refused::BucketsFull) => {
                assert!(self.map.len() + self.second.len() >= 16);
            }
        }
    }

    fn expire(&mut self, secs: u64, budget: usize) {
        self.now = self.now + std::time::Duration::from_secs(secs);
        let (now, map, second) = (self.now, &mut self.map, &mut self.second);
        let advance = self.table.expire(now, budget, |session, _| {
            let (id, deadline) = map.remove(&session.key).expect("closed once");
            assert!(id == session.id && deadline <= now);
            second.retain(|_, first| *first != session.key);
        });
        if !advance.behind {
            let late = Time(now.0.saturating_sub(crate::limits::TIMER_GRANULARITY_NANOS));
            assert!(map.values().all(|&(_, deadline)| deadline > late));
        }
    }

    fn compare(&self) {
        assert_eq!(self.table.len(), self.map.len());
        for key in &self.keys {
            assert_eq!(id_of(&self.table, key), self.map.get(key).map(|&(id, _)| id));
        }
        for key in &self.beyond {
            let found = self.table.locate(self.table.hash(key), key);
            let id = found.map(|(handle, side)| {
                assert_eq!(side, Side::Second);
                self.table.get(handle).map(|session| session.id)
            });
            let first = self.second.get(key).and_then(|first| self.map.get(first));
            assert_eq!(id.flatten(), first.map(|(id, _)| *id));
        }
        let (mut cursor, mut shown) = (Some(Cursor::default()), BTreeMap::new());
        while let Some(at) = cursor {
            cursor = self.table.page(at, |_, session| {
                assert_eq!(shown.insert(session.key, session.id), None);
            });
        }
        assert!(shown.iter().eq(self.map.iter().map(|(key, (id, _))| (key, id))));
    }
}

fn agree(capacity: u32, seed: [u64; 2], collide: bool, ops: &[Op]) {
    let mut table = SessionTable::new(capacity, seed, Time::ZERO);
    table.reserve_twins();
    let beyond = (0..KEYS).map(|number| key(7, number)).collect();
    let keys = if collide {
        colliding(&table, KEYS as usize)
    } else {
        (0..KEYS).map(|number| key((number % 2) as u16, number / 2)).collect()
    };
    let (map, second) = (BTreeMap::new(), BTreeMap::new());
    let mut twins = Twins { table, keys, beyond, map, second, now: Time::ZERO, next_id: 0 };
    for op in ops {
        twins.step(op);
    }
    assert_eq!(twins.table.audit(), Audit::default());
}

/// Keys that the twins draw from: enough to fill two buckets and more.
const KEYS: u32 = 24;

proptest! {
    #[test]
    fn agrees_with_a_map(
        capacity in 1_u32..30,
        seed in any::<[u64; 2]>(),
        collide in any::<bool>(),
        ops in prop::collection::vec(ops(KEYS), 1..120),
    ) {
        agree(capacity, seed, collide, &ops);
    }
}

/// A session that found room for both its keys must not find one of them taken by the other.
#[test]
fn a_second_key_has_room_beside_the_first() {
    let spread = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut buckets = Buckets::new(1);
    let places = 2 * BUCKET_ENTRIES as u32;
    for taken in 0..=places {
        let beside = buckets.has_room_for_second(7);
        // Of four free places in two buckets two are in one of them.
        assert!(taken + 4 > places || beside, "{taken} taken");
        assert!(taken + 1 < places || !beside, "{taken} taken");
        let inserted = buckets.insert(spread(u64::from(taken)), taken);
        assert_eq!(inserted, taken < places);
    }
}
