//! A node's monotonic clock: its own zero, its own speed. It never jumps; what a wall clock does is no
//! matter, since neither engine nor machines read one.

use wire::Time;

/// How a node's clock shows the world's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// What it showed at the beginning, nanoseconds.
    offset: u64,
    /// How much it is fast, parts per million.
    ppm: i64,
    /// How long it stood still altogether: only a machine that is frozen whole does that.
    frozen: u64,
}

impl Clock {
    pub(crate) const fn new(offset: u64, ppm: i64) -> Self {
        Self { offset, ppm, frozen: 0 }
    }

    /// What it shows.
    pub(crate) fn local(&self, now: Time) -> Time {
        let run = i128::from(now.0) - i128::from(self.frozen);
        let shown = i128::from(self.offset) + run + run * i128::from(self.ppm) / 1_000_000;
        Time(u64::try_from(shown).unwrap_or(0))
    }

    /// The first time of the world at which it shows `local`.
    pub(crate) fn world(&self, local: Time) -> Time {
        if local == Time::MAX {
            return local;
        }
        let shown = i128::from(local.0) - i128::from(self.offset);
        let run = shown * 1_000_000 / i128::from(1_000_000 + self.ppm);
        let mut at = Time(u64::try_from(run + i128::from(self.frozen)).unwrap_or(0));
        while self.local(at) < local {
            at = Time(at.0 + 1);
        }
        at
    }

    /// It stood still for so long.
    pub(crate) const fn freeze(&mut self, nanos: u64) {
        self.frozen += nanos;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_its_own_is_found_in_the_worlds_time() {
        for (offset, ppm) in [(0, 0), (5_000_000_000, 400), (17, -400)] {
            let mut clock = Clock::new(offset, ppm);
            for frozen in [0, 3_000_000_000] {
                clock.freeze(frozen);
                for millis in [4_000, 9_001, 60_000] {
                    let local = clock.local(Time::from_millis(millis));
                    let at = clock.world(local);
                    assert!(clock.local(at) >= local && clock.local(Time(at.0 - 2)) < local);
                }
            }
        }
    }
}
