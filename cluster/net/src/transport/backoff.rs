//! Pauses between attempts: doubling, bounded, and different for each caller.

use core::time::Duration;

/// The pauses of one caller.
#[derive(Debug)]
pub(super) struct Backoff {
    bounds: (Duration, Duration),
    next: Duration,
    /// State of a xorshift generator; never 0.
    state: u64,
}

impl Backoff {
    pub(super) fn new(bounds: (Duration, Duration), seed: u64) -> Self {
        Self { bounds, next: bounds.0, state: seed | 1 }
    }

    /// The next pause: from half of the step to all of it, so that two ends that lost each other do
    /// not go on in step.
    pub(super) fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.bounds.1);
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let share = u32::try_from(self.state >> 32).unwrap_or(u32::MAX);
        step / 2 + (step / 2).mul_f64(f64::from(share) / f64::from(u32::MAX))
    }

    /// After a success the pauses begin anew.
    pub(super) fn reset(&mut self) {
        self.next = self.bounds.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(50);
    const MAX: Duration = Duration::from_secs(2);

    #[test]
    fn pauses_double_within_their_bounds() {
        for seed in 0..100 {
            let mut backoff = Backoff::new((MIN, MAX), seed);
            let mut step = MIN;
            for _ in 0..20 {
                let pause = backoff.pause();
                assert!(step / 2 <= pause && pause <= step, "{pause:?} of {step:?}");
                step = (step * 2).min(MAX);
            }
            backoff.reset();
            assert!(backoff.pause() <= MIN);
        }
    }

    #[test]
    fn callers_differ() {
        let pauses = |seed| {
            let mut backoff = Backoff::new((MIN, MAX), seed);
            (0..4).map(|_| backoff.pause()).collect::<Vec<_>>()
        };
        assert_ne!(pauses(2), pauses(4));
    }
}
