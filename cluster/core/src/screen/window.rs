//! Different things in a time: two generations of a set.
//!
//! ```text
//!   before        now
//! ├────────────┼──────┄┄┄┄┄┄┤     both together reach back one to two windows
//! ```
//!
//! So what comes within one window is always seen together, wherever the generations change, and what is
//! spread over more than two never is.

use core::time::Duration;

use sketch::Distinct;
use sketch::limits::ROW_REGISTERS;
use wire::Time;

/// A set of different things, as rows have it.
pub(super) type Set = Distinct<ROW_REGISTERS>;

/// Two generations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    generation: u64,
    now: Set,
    before: Set,
}

/// Which generation it is.
pub(super) fn generation(now: Time, window: Duration) -> u64 {
    let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX).max(1);
    // From 1, so that a window that was never used is old.
    now.as_nanos() / nanos + 1
}

impl Window {
    /// Adds what was seen in this generation.
    pub(super) fn merge(&mut self, generation: u64, more: &Set) {
        self.turn(generation);
        self.now.merge(more);
    }

    /// Everything of this generation and the one before.
    pub(super) fn all(&self, generation: u64) -> Set {
        let mut all = Set::new();
        if generation <= self.generation {
            all.merge(&self.now);
            all.merge(&self.before);
        } else if generation == self.generation + 1 {
            all.merge(&self.now);
        }
        all
    }

    pub(super) fn clear(&mut self) {
        self.generation = 0;
        self.now.clear();
        self.before.clear();
    }

    fn turn(&mut self, generation: u64) {
        if generation <= self.generation {
            return;
        }
        if generation == self.generation + 1 {
            self.before = self.now;
        } else {
            self.before.clear();
        }
        self.now.clear();
        self.generation = generation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(of: &[u64]) -> Set {
        let mut set = Set::new();
        of.iter().for_each(|it| _ = set.insert(it << 32));
        set
    }

    #[test]
    fn what_is_told_reaches_back_one_generation() {
        let minute = Duration::from_secs(60);
        assert_eq!(generation(Time::ZERO, minute), 1);
        assert_eq!(generation(Time::from_secs(60), minute), 2);
        let mut window = Window::default();
        assert_eq!(window.all(7).count(), 0);
        window.merge(7, &set(&[1, 2]));
        window.merge(7, &set(&[2, 3]));
        assert_eq!(window.all(7).count(), 3);
        assert_eq!(window.all(8).count(), 3);
        assert_eq!(window.all(9).count(), 0);
        window.merge(8, &set(&[4]));
        assert_eq!((window.all(8).count(), window.all(9).count()), (4, 1));
        window.merge(10, &set(&[5]));
        assert_eq!(window.all(10).count(), 1);
        window.clear();
        assert_eq!(window.all(10).count(), 0);
    }
}
