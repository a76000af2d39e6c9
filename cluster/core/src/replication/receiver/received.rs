//! Which numbers have come: all up to one, and a window of bits above it.

use crate::limits::{ACK_BITS, WINDOW_MESSAGES};

/// A set of numbers without gaps below.
#[derive(Clone, Debug)]
pub(super) struct Received {
    settled: u64,
    /// Bit of number n at n modulo the window.
    bits: [u64; WORDS],
}

const WORDS: usize = (WINDOW_MESSAGES / 64) as usize;

impl Received {
    pub(super) fn new(settled: u64) -> Self {
        Self { settled, bits: [0; WORDS] }
    }

    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// Whether the window has a bit for `number`.
    pub(super) fn reaches(&self, number: u64) -> bool {
        number.saturating_sub(self.settled) <= WINDOW_MESSAGES
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        number <= self.settled || (self.reaches(number) && self.bit(number))
    }

    /// Takes in a number that the window reaches.
    pub(super) fn insert(&mut self, number: u64) {
        if number > self.settled && self.reaches(number) {
            self.bits[word(number)] |= 1 << (number % 64);
            self.close_up();
        }
    }

    /// Numbers up to this come no more.
    pub(super) fn settle(&mut self, number: u64) {
        if number.saturating_sub(self.settled) > WINDOW_MESSAGES {
            *self = Self::new(number);
        }
        while self.settled < number {
            self.advance();
        }
        self.close_up();
    }

    /// Bit n: number `settled + 1 + n` has come.
    pub(super) fn ack_bits(&self) -> u64 {
        let bit = |n: u64| u64::from(self.bit(self.settled + 1 + n)) << n;
        (0..ACK_BITS).fold(0, |bits, n| bits | bit(n))
    }

    fn bit(&self, number: u64) -> bool {
        self.bits[word(number)] >> (number % 64) & 1 == 1
    }

    fn close_up(&mut self) {
        while self.bit(self.settled + 1) {
            self.advance();
        }
    }

    fn advance(&mut self) {
        self.settled += 1;
        self.bits[word(self.settled)] &= !(1 << (self.settled % 64));
    }
}

fn word(number: u64) -> usize {
    (number / 64) as usize % WORDS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_agree_with_a_set(
            start in 0_u64..1_000,
            steps in prop::collection::vec((0_u64..300, any::<bool>()), 0..300),
        ) {
            let mut fast = Received::new(start);
            let mut slow: BTreeSet<u64> = (0..=start).collect();
            for (ahead, settle) in steps {
                let base = fast.settled();
                let number = base + ahead;
                if settle && ahead % 7 == 0 {
                    fast.settle(number);
                    slow.extend(0..=number);
                } else if fast.reaches(number) {
                    fast.insert(number);
                    slow.insert(number);
                }
                let settled = (0..).find(|it| !slow.contains(&(it + 1))).unwrap();
                prop_assert_eq!(fast.settled(), settled);
                for number in settled..=settled + WINDOW_MESSAGES {
                    prop_assert_eq!(fast.contains(number), slow.contains(&number));
                }
                for n in 0..ACK_BITS {
                    let told = fast.ack_bits() >> n & 1 == 1;
                    prop_assert_eq!(told, slow.contains(&(settled + 1 + n)));
                }
            }
        }
    }
}
