//! Random fragments that mean no good: the bounds hold, every held fragment leaves once, and the verdicts
//! are those of a twin that keeps single bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Limits, Outcome, Rig, Sample};
use crate::Reason;

/// One fragment of one of a few datagrams, with one of two contents.
#[derive(Clone, Debug)]
struct Shot {
    id: u32,
    source: u8,
    ipv6: bool,
    offset: usize,
    length: usize,
    more: bool,
    content: u8,
    /// Milliseconds since the one before.
    pause: u64,
}

impl Shot {
    fn payload(&self) -> Vec<u8> {
        let mut sample = Sample::udp(self.ipv6, 4096);
        sample.payload[100] ^= self.content;
        sample.payload[self.offset..self.offset + self.length].to_vec()
    }

    fn frame(&self) -> Vec<u8> {
        let sample = Sample { id: self.id, source: self.source, ..Sample::udp(self.ipv6, 4096) };
        sample.fragment_of(self.offset, &self.payload(), self.more)
    }
}

/// Offsets below `units` × 8 bytes.
fn shots(units: usize) -> impl Strategy<Value = Vec<Shot>> {
    let place = (0..units, 0..units / 2, prop_oneof![4 => Just(0_usize), 1 => 1..8_usize]);
    let shot =
        (0..3_u32, 1..4_u8, any::<bool>(), place, prop::bool::weighted(0.8), 0..2_u8, 0..900_u64);
    let shot = shot.prop_map(|(id, source, ipv6, place, more, content, pause)| {
        let (offset, length, odd) = (place.0 * 8, place.1 * 8 + place.2, place.2 != 0);
        // A fragment with nothing behind and nothing before it is none.
        let more = more || offset == 0;
        let length = if odd && more && offset == 0 { length & !7 } else { length };
        Shot { id, source, ipv6, offset, length, more, content, pause }
    });
    vec(shot, 1..200)
}

/// A datagram kept byte by byte.
#[derive(Default)]
struct Twin {
    pieces: Vec<(usize, Vec<u8>)>,
    bytes: BTreeMap<usize, u8>,
    total: Option<usize>,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Held,
    Duplicate,
    Dropped(Reason, usize),
    Complete(Vec<u8>),
}

impl Twin {
    fn take(&mut self, shot: &Shot) -> Answer {
        let payload = shot.payload();
        let end = shot.offset + payload.len();
        if payload.is_empty() || (shot.more && !payload.len().is_multiple_of(8)) {
            return Answer::Dropped(Reason::FragmentLength, 0);
        }
        let behind = |limit: usize| self.bytes.range(limit..).next().is_some();
        let wrong_end = match self.total {
            Some(total) if shot.more => end >= total,
            Some(total) => end != total,
            None => !shot.more && behind(end - 1),
        };
        let exactly = |(offset, held): &(usize, Vec<u8>)| {
            (*offset, held.len()) == (shot.offset, payload.len())
        };
        let overlaps = self.bytes.range(shot.offset..end).next().is_some();
        if wrong_end && (!overlaps || self.pieces.iter().any(exactly)) {
            return self.abandon(Reason::FragmentLength);
        }
        for (offset, held) in &self.pieces {
            if (*offset, held.len()) == (shot.offset, payload.len()) {
                let same = *held == payload;
                let forged = Answer::Dropped(Reason::FragmentOverlap, 0);
                return if same { Answer::Duplicate } else { forged };
            }
        }
        if overlaps {
            return self.abandon(Reason::FragmentOverlap);
        }
        self.bytes.extend((shot.offset..).zip(payload.iter().copied()));
        self.pieces.push((shot.offset, payload));
        if !shot.more {
            self.total = Some(end);
        }
        if self.total != Some(self.bytes.len()) {
            return Answer::Held;
        }
        Answer::Complete(std::mem::take(self).bytes.into_values().collect())
    }

    fn abandon(&mut self, reason: Reason) -> Answer {
        Answer::Dropped(reason, std::mem::take(self).pieces.len())
    }
}

/// What the engine says, in the twin's words.
fn answer(rig: &mut Rig, outcome: Outcome) -> Answer {
    match outcome {
        Outcome::Held => Answer::Held,
        Outcome::Duplicate => Answer::Duplicate,
        Outcome::Dropped { reason, released } => Answer::Dropped(reason, released as usize),
        Outcome::Complete(datagram) => {
            let headers =
                datagram.network() as usize + if datagram.frame()[12] == 8 { 20 } else { 40 };
            let payload = datagram.frame()[headers..].to_vec();
            rig.fragments.done(datagram);
            Answer::Complete(payload)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_twin_agrees(shots in shots(12)) {
        let mut rig = Rig::new(Limits::default());
        let mut twins: BTreeMap<(u32, u8, bool), Twin> = BTreeMap::new();
        for shot in &shots {
            let twin = twins.entry((shot.id, shot.source, shot.ipv6)).or_default();
            let outcome = rig.outcome(&shot.frame());
            let answer = answer(&mut rig, outcome);
            prop_assert_eq!(answer, twin.take(shot), "{:?}", shot);
        }
        let held: usize = twins.values().map(|twin| twin.pieces.len()).sum();
        prop_assert_eq!(rig.fragments.held() as usize, held);
        prop_assert_eq!(rig.fragments.clear() as usize, held);
        prop_assert_eq!(rig.fragments.memory(), 0);
    }

    #[test]
    fn the_bounds_hold(shots in shots(300), budget in 0..3_u32) {
        let limits = Limits {
            memory: 20 * 256,
            datagrams: 7,
            per_source: 3,
            per_datagram: 5,
            lifetime: Duration::from_secs(5),
            tiny: true,
        };
        let mut rig = Rig::new(limits);
        for shot in &shots {
            rig.now = rig.now + Duration::from_millis(shot.pause);
            let insertion = rig.insert(&shot.frame());
            answer(&mut rig, insertion.outcome);
            let mut expired = 0;
            let count = rig.fragments.expire(rig.now, budget, |over| expired += over.held);
            prop_assert!(count <= budget);
            rig.held -= expired;
            prop_assert_eq!(rig.fragments.held(), rig.held);
            prop_assert!(rig.fragments.memory() <= limits.memory);
            prop_assert!(rig.fragments.datagrams() <= limits.datagrams);
            prop_assert!(rig.fragments.held() as usize <= limits.datagrams * limits.per_datagram);
        }
        rig.fragments.clear();
        prop_assert_eq!((rig.fragments.memory(), rig.fragments.datagrams()), (0, 0));
    }
}
