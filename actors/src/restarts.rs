//! How often a flow actor may be restarted: a pure machine, `panicked(now)` in, what to do out.

use core::time::Duration;
use std::collections::VecDeque;

use wire::Time;

/// What to do after a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterPanic {
    /// Start the actor again.
    Restart,
    /// Start it again, and let it drop everything: something keeps killing it.
    DropOnly,
}

/// Counts the panics of one shard.
#[derive(Debug)]
pub struct Restarts {
    most: usize,
    window: Duration,
    recent: VecDeque<Time>,
}

impl Restarts {
    /// Allows `most` panics within `window`.
    #[must_use]
    pub fn new(most: usize, window: Duration) -> Self {
        Self { most, window, recent: VecDeque::with_capacity(most + 1) }
    }

    /// A panic happened.
    pub fn panicked(&mut self, now: Time) -> AfterPanic {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|first| now.since(*first) > self.window) {
            self.recent.pop_front();
        }
        if self.recent.len() > self.most { AfterPanic::DropOnly } else { AfterPanic::Restart }
    }
}

#[cfg(test)]
mod tests {
    use super::{AfterPanic, Restarts};
    use core::time::Duration;
    use wire::Time;

    /// (seconds of each panic, what follows the last one) with 2 allowed in 10 s.
    #[test]
    fn table() {
        let table: &[(&[u64], AfterPanic)] = &[
            (&[0], AfterPanic::Restart),
            (&[0, 1], AfterPanic::Restart),
            (&[0, 1, 2], AfterPanic::DropOnly),
            (&[0, 1, 10], AfterPanic::DropOnly),
            (&[0, 1, 11], AfterPanic::Restart),
            (&[0, 20, 40, 60], AfterPanic::Restart),
            (&[0, 20, 21, 22], AfterPanic::DropOnly),
        ];
        for (panics, expected) in table {
            let mut restarts = Restarts::new(2, Duration::from_secs(10));
            let last = panics.iter().map(|at| restarts.panicked(Time::from_secs(*at))).last();
            assert_eq!(last, Some(*expected), "{panics:?}");
        }
    }
}
