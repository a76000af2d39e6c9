//! The lease keeper: renews the permission to forward for as long as every worker lives.
//!
//! A single node needs nobody's consent. What it does need is that its own workers move: a node with
//! a stuck worker, or one that is paused, must not look alive to the network.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use datapath::Lease;
use wire::Time;

use crate::limits::STUCK_AFTER;

/// A worker's sign of life: the time of its last turn, or that it sleeps.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

/// Stands for "asleep": a sleeping worker has nothing to be late with.
const ASLEEP: u64 = u64::MAX;

impl Pulse {
    /// A turn begins.
    pub fn moved(&self, now: Time) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// The worker lies down.
    pub fn idle(&self) {
        self.0.store(ASLEEP, Ordering::Relaxed);
    }

    /// Whether the worker sleeps or moved lately.
    #[must_use]
    pub fn beats(&self, now: Time) -> bool {
        self.beats_within(now, STUCK_AFTER)
    }

    /// Whether the worker sleeps or moved at most so long ago.
    #[must_use]
    pub fn beats_within(&self, now: Time, span: Duration) -> bool {
        match self.0.load(Ordering::Relaxed) {
            ASLEEP => true,
            last => now.since(Time(last)) <= span,
        }
    }
}

/// The deadline of a lease renewed at `now`, or `None` when a worker is stuck.
#[must_use]
pub fn renewal(pulses: &[Pulse], now: Time) -> Option<Time> {
    pulses.iter().all(|pulse| pulse.beats(now)).then(|| now + Lease::LENGTH)
}

#[cfg(test)]
mod tests {
    use super::{Pulse, renewal};
    use crate::limits::STUCK_AFTER;
    use datapath::Lease;
    use wire::Time;

    #[test]
    fn renewed_while_all_move_or_sleep() {
        let (busy, sleeping) = (Pulse::default(), Pulse::default());
        let start = Time::from_secs(100);
        busy.moved(start);
        sleeping.idle();
        let pulses = [busy, sleeping];
        let later = start + STUCK_AFTER;
        assert_eq!(renewal(&pulses, later), Some(later + Lease::LENGTH));
        assert_eq!(renewal(&pulses, later + core::time::Duration::from_millis(1)), None);
    }
}
