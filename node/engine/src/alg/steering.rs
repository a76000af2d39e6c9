//! Which worker has the sessions that control channels have announced.
//!
//! A session is where its key's slot is; an announced one is where its channel is, for only there is it known
//! that it may come. So all workers of a node look here first: for the endpoint that was announced and the
//! host that may speak to it, whichever of both sends. An entry is made before the announcement leaves, and
//! stands as long as the pinhole or a session that came by it.
//!
//! ```text
//!  ports   [u16; 65,536]   how many entries name a port: nearly every packet needs no more than that
//!  rows    [u64; n]        56 bits of a keyed hash, 8 bits of worker; 0: free
//! ```
//!
//! One worker writes an entry, others read: each row is one word.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};
use wire::{Ends, FlowKey, Protocol};

use super::pinholes::{Hint, Pinhole};
use crate::WorkerId;
use crate::limits::{STEERED_BUCKET, STEERED_MAX};
use crate::nat::FixedMap;
use crate::session::{Peer, Session};
use crate::table::Twin;

/// An endpoint, and the host that may speak to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Steered {
    pub(crate) domain: u16,
    pub(crate) protocol: Protocol,
    pub(crate) endpoint: (IpAddr, u16),
    pub(crate) other: IpAddr,
}

/// What the workers of a node have in common.
#[derive(Debug)]
pub struct Steering {
    secrets: RapidSecrets,
    len: AtomicU32,
    ports: Box<[AtomicU16]>,
    rows: Box<[AtomicU64]>,
}

impl Steered {
    /// Both rows of a pinhole: as it comes, and as it goes.
    pub(crate) fn of_pinhole(hint: &Hint, pinhole: &Pinhole) -> [Self; 2] {
        let (domain, other) = pinhole.seen;
        let first = Self {
            domain: hint.domain,
            protocol: hint.protocol,
            endpoint: hint.to,
            other: hint.from,
        };
        [first, Self { domain, endpoint: pinhole.inside, other, ..first }]
    }

    /// Both rows of a session that has come by one.
    pub(crate) fn of_session(session: &Session, twin: Option<&Twin>) -> [Self; 2] {
        let key = &session.key;
        let sent = Ends::of_key(key, session.direction(Peer::Initiator));
        let (ends, domain) = twin.map_or((sent, key.domain()), |it| (it.ends(), it.key.domain()));
        let row = |domain, ends: Ends| Self {
            domain,
            protocol: key.protocol(),
            endpoint: ends.destination,
            other: ends.source.0,
        };
        [row(key.domain(), sent), row(domain, ends)]
    }
}

/// The part of it that one worker keeps: how often it needs each entry.
#[derive(Debug)]
pub(crate) struct Rudder {
    steering: Arc<Steering>,
    worker: WorkerId,
    needed: FixedMap<Steered, u32>,
}

impl Rudder {
    pub(crate) fn new(steering: Arc<Steering>, worker: WorkerId, seed: u64) -> Self {
        let nobody = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let (protocol, endpoint) = (Protocol(0), (nobody, 0));
        let nothing = (Steered { domain: 0, protocol, endpoint, other: nobody }, 0);
        Self { steering, worker, needed: FixedMap::new(STEERED_MAX, seed, nothing) }
    }

    #[inline]
    pub(crate) fn find(&self, key: &FlowKey) -> Option<WorkerId> {
        self.steering.find(key)
    }

    /// `false`, and nothing done, if there is no room.
    pub(crate) fn steer(&mut self, [first, second]: &[Steered; 2]) -> bool {
        if !self.take(first) {
            return false;
        }
        let both = self.take(second);
        if !both {
            self.give_back(first);
        }
        both
    }

    pub(crate) fn let_go(&mut self, rows: &[Steered; 2]) {
        rows.iter().for_each(|row| self.give_back(row));
    }

    fn take(&mut self, row: &Steered) -> bool {
        if let Some(count) = self.needed.get_mut(row) {
            *count += 1;
            return true;
        }
        !self.needed.is_full()
            && self.steering.insert(row, self.worker)
            && self.needed.insert(*row, 1)
    }

    fn give_back(&mut self, row: &Steered) {
        let Some(count) = self.needed.get_mut(row) else { return };
        *count -= 1;
        if *count == 0 {
            self.needed.remove(row);
            self.steering.remove(row, self.worker);
        }
    }

    /// Nobody needs any.
    pub(crate) fn clear(&mut self) {
        let Self { steering, worker, needed } = self;
        needed.iter().for_each(|(row, _)| steering.remove(row, *worker));
        needed.clear();
    }
}

impl Steering {
    /// Of a node whose secret nobody outside may guess.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let rows = STEERED_MAX as usize * 2;
        Self {
            secrets: RapidSecrets::seed(seed),
            len: AtomicU32::new(0),
            ports: (0..=u16::MAX).map(|_| AtomicU16::new(0)).collect(),
            rows: (0..rows).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The worker that has the sessions of this key.
    #[inline]
    #[must_use]
    pub fn find(&self, key: &FlowKey) -> Option<WorkerId> {
        if self.len.load(Ordering::Acquire) == 0 {
            return None;
        }
        let (low, high) = (key.low(), key.high());
        let known = |port: u16| self.ports[usize::from(port)].load(Ordering::Acquire) > 0;
        let of = |endpoint, other| {
            let (domain, protocol) = (key.domain(), key.protocol());
            self.worker(&Steered { domain, protocol, endpoint, other })
        };
        let first = known(low.1).then(|| of(low, high.0)).flatten();
        first.or_else(|| known(high.1).then(|| of(high, low.0)).flatten())
    }

    fn worker(&self, steered: &Steered) -> Option<WorkerId> {
        let print = self.print(steered);
        let rows = self.bucket(print).iter().map(|row| row.load(Ordering::Acquire));
        rows.filter(|row| row >> 8 == print >> 8).map(|row| WorkerId((row & 0xff) as u8)).next()
    }

    /// From now on a worker has these sessions, whoever had them. `false`: there is no room.
    pub(crate) fn insert(&self, steered: &Steered, worker: WorkerId) -> bool {
        let print = self.print(steered);
        let row = print & !0xff | u64::from(worker.0);
        let bucket = self.bucket(print);
        if let Some(same) = bucket.iter().find(|it| it.load(Ordering::Acquire) >> 8 == print >> 8) {
            same.store(row, Ordering::Release);
            return true;
        }
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        let took = bucket.iter().any(|it| it.compare_exchange(0, row, order.0, order.1).is_ok());
        if took {
            self.ports[usize::from(steered.endpoint.1)].fetch_add(1, Ordering::AcqRel);
            self.len.fetch_add(1, Ordering::AcqRel);
        }
        took
    }

    /// A worker has them no more; if another has them by now, nothing happens.
    pub(crate) fn remove(&self, steered: &Steered, worker: WorkerId) {
        let print = self.print(steered);
        let row = print & !0xff | u64::from(worker.0);
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        let bucket = self.bucket(print);
        if bucket.iter().any(|it| it.compare_exchange(row, 0, order.0, order.1).is_ok()) {
            self.ports[usize::from(steered.endpoint.1)].fetch_sub(1, Ordering::AcqRel);
            self.len.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Entries.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bucket(&self, print: u64) -> &[AtomicU64] {
        let buckets = self.rows.len() / STEERED_BUCKET;
        let first = (print >> 32) as usize % buckets * STEERED_BUCKET;
        &self.rows[first..first + STEERED_BUCKET]
    }

    /// The keyed hash of an entry; its upper 56 bits are never all zero.
    fn print(&self, steered: &Steered) -> u64 {
        let Steered { domain, protocol, endpoint: (address, port), other } = *steered;
        let mut bytes = [0; 38];
        bytes[..16].copy_from_slice(&bits(address).to_be_bytes());
        bytes[16..32].copy_from_slice(&bits(other).to_be_bytes());
        bytes[32..34].copy_from_slice(&port.to_be_bytes());
        bytes[34..36].copy_from_slice(&domain.to_be_bytes());
        bytes[36] = protocol.0;
        bytes[37] = u8::from(address.is_ipv6());
        rapidhash_v3_seeded(&bytes, &self.secrets) | 1 << 63
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steered(host: u8, port: u16) -> Steered {
        let endpoint = (IpAddr::from([10, 0, 0, host]), port);
        Steered {
            domain: 3,
            protocol: Protocol::UDP,
            endpoint,
            other: IpAddr::from([192, 0, 2, 1]),
        }
    }

    fn key(steered: &Steered, port: u16) -> FlowKey {
        FlowKey::new(3, Protocol::UDP, (steered.other, port), steered.endpoint).0
    }

    #[test]
    fn an_entry_is_found_by_both_ends_whatever_the_other_port() {
        let (steering, one, other) = (Steering::new(7), steered(1, 5_000), steered(2, 5_000));
        assert_eq!(steering.find(&key(&one, 9)), None);
        assert!(steering.insert(&one, WorkerId(4)));
        assert_eq!(steering.find(&key(&one, 9)), Some(WorkerId(4)));
        assert_eq!(steering.find(&key(&one, 5_000)), Some(WorkerId(4)));
        assert_eq!(steering.find(&key(&other, 9)), None);
        // The last word counts, and only who has them can let them go.
        assert!(steering.insert(&one, WorkerId(0)));
        steering.remove(&one, WorkerId(4));
        assert_eq!((steering.find(&key(&one, 9)), steering.len()), (Some(WorkerId(0)), 1));
        steering.remove(&one, WorkerId(0));
        assert_eq!((steering.find(&key(&one, 9)), steering.len()), (None, 0));
    }

    #[test]
    fn a_full_bucket_refuses_and_forgets_nothing() {
        let steering = Steering::new(7);
        let all: Vec<_> =
            (0..250).flat_map(|host| (1..400).map(move |port| steered(host, port))).collect();
        let taken: Vec<_> = all.iter().filter(|it| steering.insert(it, WorkerId(1))).collect();
        assert!(taken.len() < all.len() && taken.len() > STEERED_MAX as usize);
        assert!(taken.iter().all(|it| steering.find(&key(it, 9)) == Some(WorkerId(1))));
        taken.iter().for_each(|it| steering.remove(it, WorkerId(1)));
        assert!(steering.is_empty());
    }
}
