//! Mean and variance of numbers as they come.
//!
//! Each number is taken in by Welford's update ("Note on a Method for Calculating Corrected Sums of Squares
//! and Products", 1962), two of them merge by Chan, Golub and LeVeque ("Updating Formulae and a Pairwise
//! Algorithm for Computing Sample Variances", 1979). No sums of squares, so nothing is lost by cancellation.

use crate::bytes::{Malformed, Reader};

const VERSION: u8 = 1;

/// Weight, mean and squared deviations of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    weight: f64,
    mean: f64,
    /// Sum of squared deviations from the mean.
    squares: f64,
}

impl Moments {
    /// Bytes of an encoding.
    pub const ENCODED: usize = 25;

    /// Nothing yet.
    pub const fn new() -> Self {
        Self { weight: 0.0, mean: 0.0, squares: 0.0 }
    }

    /// Takes a number in; one that is not finite is left out.
    pub fn add(&mut self, number: f64) {
        if number.is_finite() {
            self.weight += 1.0;
            let off = number - self.mean;
            self.mean += off / self.weight;
            self.squares += off * (number - self.mean);
        }
    }

    /// Takes in all that another one has.
    pub fn merge(&mut self, other: &Self) {
        if other.weight > 0.0 {
            let weight = self.weight + other.weight;
            let off = other.mean - self.mean;
            self.mean += off * (other.weight / weight);
            self.squares += other.squares + off * off * (self.weight * other.weight / weight);
            self.weight = weight;
        }
    }

    /// How many numbers it stands for: fewer than were taken in, if it was told to forget.
    pub const fn weight(&self) -> f64 {
        self.weight
    }

    /// Their mean; 0 of none.
    pub const fn mean(&self) -> f64 {
        self.mean
    }

    /// Their sample variance; 0 of fewer than two.
    pub fn variance(&self) -> f64 {
        if self.weight > 1.0 { (self.squares / (self.weight - 1.0)).max(0.0) } else { 0.0 }
    }

    /// Their standard deviation.
    pub fn deviation(&self) -> f64 {
        self.variance().sqrt()
    }

    /// Counts for no more than `weight` numbers from now on, so that later ones move the mean: with a cap
    /// each number fades as 1/weight.
    pub fn cap(&mut self, weight: f64) {
        if self.weight > weight {
            self.squares *= weight / self.weight;
            self.weight = weight;
        }
    }

    /// Version, weight, mean, squared deviations.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        [self.weight, self.mean, self.squares]
            .iter()
            .for_each(|it| out.extend(it.to_bits().to_be_bytes()));
    }

    /// Reads what [`Moments::encode`] wrote.
    ///
    /// # Errors
    /// Another version, numbers that are none or cannot be, an early end.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.version(VERSION)?;
        let read = Self { weight: reader.f64()?, mean: reader.f64()?, squares: reader.f64()? };
        if read.weight >= 0.0 && read.squares >= 0.0 { Ok(read) } else { Err(Malformed::Value) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &[f64]) -> Moments {
        let mut moments = Moments::new();
        numbers.iter().for_each(|number| moments.add(*number));
        moments
    }

    #[test]
    fn they_are_the_textbook_ones() {
        let moments = of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0, f64::NAN]);
        assert_eq!((moments.weight(), moments.mean()), (8.0, 5.0));
        assert!((moments.variance() - 32.0 / 7.0).abs() < 1e-12);
        assert_eq!((of(&[]).variance(), of(&[3.0]).deviation()), (0.0, 0.0));
        // Naive sums of squares lose everything here.
        let large = of(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0]);
        assert!((large.variance() - 30.0).abs() < 1e-6, "{}", large.variance());
    }

    #[test]
    fn a_cap_lets_old_numbers_fade() {
        let mut moments = of(&[10.0; 100]);
        for _ in 0..30 {
            moments.add(20.0);
            moments.cap(10.0);
        }
        assert!(moments.mean() > 19.0 && moments.weight() == 10.0, "{moments:?}");
    }

    #[test]
    fn these_bytes() {
        let mut out = Vec::new();
        of(&[1.0, 2.0]).encode(&mut out);
        let words = [1, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, 0x3f, 0xe0];
        assert_eq!((&out[..19], out.len()), (words.as_slice(), Moments::ENCODED));
        assert_eq!(Moments::decode(&mut Reader::new(&out)), Ok(of(&[1.0, 2.0])));
        out[1] = 0xc0;
        assert_eq!(Moments::decode(&mut Reader::new(&out)), Err(Malformed::Value));
        assert_eq!(Moments::decode(&mut Reader::new(&out[..9])), Err(Malformed::Truncated));
        assert_eq!(Moments::decode(&mut Reader::new(&[0])), Err(Malformed::Version(0)));
    }

    proptest! {
        #[test]
        fn a_merge_is_as_if_one_had_seen_both(
            one in prop::collection::vec(-1e3..1e3_f64, 0..50),
            other in prop::collection::vec(-1e3..1e3_f64, 0..50),
        ) {
            let mut merged = of(&one);
            merged.merge(&of(&other));
            let both = of(&[one, other].concat());
            prop_assert_eq!(merged.weight(), both.weight());
            prop_assert!((merged.mean() - both.mean()).abs() < 1e-6);
            prop_assert!((merged.variance() - both.variance()).abs() < 1e-4);
        }
    }
}
