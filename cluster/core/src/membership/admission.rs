//! Whether a heartbeat of a peer is new: of its present boot, and later than the last on its path.

use std::time::Duration;

use super::heartbeat::Refusal;
use crate::Boot;
use crate::limits::{BOOT_FORGET, BOOTS_REMEMBERED, PATHS_MAX};

/// What is remembered of a peer's numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Admission {
    boot: Option<Boot>,
    past: Vec<Boot>,
    sequences: [u64; PATHS_MAX],
}

/// What a heartbeat says about its own newness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) boot: Boot,
    pub(super) sequence: u64,
    /// The place of its path.
    pub(super) path: usize,
    /// Whether its sender has heard the present boot of this node: then it is no old recording.
    pub(super) knows_us: bool,
}

impl Admission {
    /// Admits a heartbeat, and tells whether it is the first of a boot. `silence` is how long nothing
    /// was heard from the peer.
    ///
    /// Sequences begin at 1. A boot with a lower number than the present one is believed when the peer
    /// has been silent for long and the sender knows our present boot: it has lost its disk.
    pub(super) fn admit(&mut self, it: Numbers, silence: Duration) -> Result<bool, Refusal> {
        if self.boot == Some(it.boot) {
            let last = &mut self.sequences[it.path];
            if it.sequence <= *last {
                return Err(Refusal::Replay);
            }
            *last = it.sequence;
            return Ok(false);
        }
        let older = self.boot.is_some_and(|boot| it.boot < boot);
        let lost_its_disk = silence >= BOOT_FORGET && it.knows_us;
        if self.past.contains(&it.boot) || (older && !lost_its_disk) {
            return Err(Refusal::OldBoot);
        }
        self.begin(it);
        Ok(true)
    }

    fn begin(&mut self, it: Numbers) {
        if self.past.len() == BOOTS_REMEMBERED {
            self.past.remove(0);
        }
        self.past.extend(self.boot.replace(it.boot));
        self.sequences = [0; PATHS_MAX];
        self.sequences[it.path] = it.sequence;
    }

    /// The peer's present boot.
    pub(super) fn boot(&self) -> Option<Boot> {
        self.boot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = BOOT_FORGET;
    const SHORT: Duration = Duration::from_millis(10);

    fn numbers(boot: u32, sequence: u64, path: usize) -> Numbers {
        Numbers { boot: Boot(boot), sequence, path, knows_us: true }
    }

    #[test]
    fn a_sequence_goes_up_on_each_path_and_begins_anew_with_a_boot() {
        let mut it = Admission::default();
        assert_eq!(it.admit(numbers(5, 3, 0), SHORT), Ok(true));
        assert_eq!(it.admit(numbers(5, 3, 0), SHORT), Err(Refusal::Replay));
        assert_eq!(it.admit(numbers(5, 2, 1), SHORT), Ok(false), "a slower path");
        assert_eq!(it.admit(numbers(5, 2, 0), SHORT), Err(Refusal::Replay));
        assert_eq!(it.admit(numbers(6, 1, 0), SHORT), Ok(true));
        assert_eq!(it.boot(), Some(Boot(6)));
        assert_eq!(it.admit(numbers(5, 9, 0), LONG), Err(Refusal::OldBoot), "it has ended");
    }

    #[test]
    fn a_lower_boot_is_believed_after_a_silence_if_it_knows_us() {
        let mut it = Admission::default();
        it.admit(numbers(50, 3, 0), SHORT).unwrap();
        let lower = numbers(1, 1, 0);
        assert_eq!(it.admit(lower, SHORT), Err(Refusal::OldBoot));
        let stranger = Numbers { knows_us: false, ..lower };
        assert_eq!(it.admit(stranger, LONG), Err(Refusal::OldBoot), "could be a recording");
        assert_eq!(it.admit(lower, LONG), Ok(true));
        assert_eq!(it.admit(numbers(50, 4, 0), LONG), Err(Refusal::OldBoot));
    }

    #[test]
    fn the_memory_of_boots_is_bounded() {
        let mut it = Admission::default();
        for boot in 1..=30 {
            assert_eq!(it.admit(numbers(boot, 1, 0), SHORT), Ok(true));
        }
        assert_eq!(it.past.len(), BOOTS_REMEMBERED);
    }
}
