//! Datagrams split by hand, against the reassembly and against byte-wise twins of it.
#![allow(clippy::unwrap_used)]

mod attacks;
mod bounds;
mod datagram;
mod hostile;
mod order;
mod sample;
mod wrap;

use wire::{FragmentKey, Packet, Time};

use super::{Datagram, Fragments, Insertion, Limits, Outcome};
use crate::Reason;

use sample::Sample;

/// Reassembly with a ledger of what must be held.
struct Rig {
    fragments: Fragments,
    held: u32,
    now: Time,
}

impl Rig {
    fn new(limits: Limits) -> Self {
        Self { fragments: Fragments::new(limits, 7), held: 0, now: Time::from_secs(1000) }
    }

    /// Gives it one fragment and balances the ledger: every held fragment leaves once.
    fn insert(&mut self, frame: &[u8]) -> Insertion {
        self.insert_from(0, frame)
    }

    fn insert_from(&mut self, ingress: u16, frame: &[u8]) -> Insertion {
        let packet = Packet::parse(frame).unwrap();
        let key = FragmentKey::of(&packet, 0).unwrap();
        let insertion = self.fragments.insert(key, ingress, frame, &packet, self.now);
        self.held -= insertion.given_up.total();
        match &insertion.outcome {
            Outcome::Held => self.held += 1,
            Outcome::Duplicate => {}
            Outcome::Dropped { released, .. } => self.held -= released,
            Outcome::Complete(datagram) => self.held -= datagram.held(),
        }
        assert_eq!(self.fragments.held(), self.held);
        insertion
    }

    fn outcome(&mut self, frame: &[u8]) -> Outcome {
        let insertion = self.insert(frame);
        assert_eq!(insertion.given_up.total(), 0, "nothing else gave way");
        insertion.outcome
    }

    fn held(&mut self, frame: &[u8]) {
        let outcome = self.outcome(frame);
        assert!(matches!(outcome, Outcome::Held), "{outcome:?}");
    }

    fn complete(&mut self, frame: &[u8]) -> Datagram {
        let outcome = self.outcome(frame);
        let shown = format!("{outcome:?}");
        let Outcome::Complete(datagram) = outcome else { panic!("not complete: {shown}") };
        datagram
    }

    /// Reason, and how many held fragments went with it.
    fn dropped(&mut self, frame: &[u8]) -> (Reason, u32) {
        let outcome = self.outcome(frame);
        let Outcome::Dropped { reason, released } = outcome else {
            panic!("not dropped: {outcome:?}")
        };
        (reason, released)
    }

    /// Checks that a datagram is this frame, and gives it back.
    fn done(&mut self, datagram: Datagram, frame: &[u8]) {
        assert_eq!(datagram.frame(), frame);
        self.fragments.done(datagram);
    }
}
