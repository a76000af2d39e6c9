//! What is normal: learned for each zone and destination prefix, hour by hour.
//!
//! ```text
//! a minute's traffic ─► seven features ─► logarithm ─┬─► unusual? ──► three in a row: told
//!                                                    └─► the hour's mean and variance
//! ```
//!
//! **The model.** A feature is looked at as its logarithm, so that a difference is a factor. For each hour
//! of the day there is a mean and a variance of at most seven days of samples, older ones fade
//! ([`Moments::cap`]). What is expected is read between the middles of two hours, plus the *drift*: how far
//! the last day as a whole was from that. That is all: a daily curve, a slow trend, a spread.
//!
//! **The judgement.** A sample is unusual if it is so many standard deviations and so many times off. The
//! standard deviation is never taken below what chance makes of so few events (1/√n), nor below a quarter;
//! nor below that of the burstiest hour, so that who is quiet at night and bursts by day is not unusual
//! when he stays late. How sure it is follows from Cantelli's inequality, which holds for any distribution:
//! z standard deviations above the mean have a probability of at most 1/(1+z²), n samples in a row to the
//! n-th power.
//!
//! **Unusual samples are not learned**, so an attack does not become normal while it lasts, unless it lasts a
//! day. What is less than unusual counts as two standard deviations at most, once there is a norm: else who
//! grows slowly would make his own growth the spread of the hour, and never become unusual.
//!
//! **Of several nodes** each learns of the traffic that it forwards, and tells its means. They are kept by
//! node and merged when something is judged; so a takeover knows what its predecessor knew.

mod model;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sketch::{Moments, Place, ScopeRow};

pub use self::model::{Deviation, FeatureState, Learning};
pub use self::sample::Feature;

pub(super) use self::model::Learned;
use self::model::{Hours, Norm};
use self::sample::Sample;
use super::screens::Screens;
use crate::limits::{SCOPES_MAX, UNUSUAL_SAMPLES, UNUSUAL_SAMPLES_MAX};

/// The traffic of this node, as far as it is modelled.
pub(super) struct Baselines {
    scopes: BTreeMap<Place, Scope>,
    /// Scopes that found no room.
    pub(super) crowded: u64,
}

/// One zone or destination prefix.
struct Scope {
    /// Since the last sample.
    gathered: Box<ScopeRow>,
    hours: Hours,
    /// Unusual samples in a row, by feature.
    runs: [u32; Feature::COUNT],
}

/// Something unusual that lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unusual {
    pub(super) scope: Place,
    pub(super) deviation: Deviation,
}

impl Baselines {
    pub(super) const fn new() -> Self {
        Self { scopes: BTreeMap::new(), crowded: 0 }
    }

    /// Adds what a book has of a scope.
    pub(super) fn gather(&mut self, scope: Place, row: &ScopeRow) {
        if !self.scopes.contains_key(&scope) && !self.make_room(scope, row) {
            self.crowded += 1;
            return;
        }
        let entry = self.scopes.entry(scope).or_insert_with(Scope::new);
        entry.gathered.merge(row);
    }

    /// A place for a new scope: where none is free, that of the least busy one that has not learned a day
    /// yet, if the newcomer is busier. Zones always have one.
    fn make_room(&mut self, scope: Place, row: &ScopeRow) -> bool {
        if self.scopes.len() < SCOPES_MAX || scope.is_zone() {
            return true;
        }
        let young = self.scopes.iter().filter(|(place, it)| {
            !place.is_zone() && it.hours.samples() < f64::from(UNUSUAL_SAMPLES_MAX)
        });
        let least = young.min_by_key(|(_, it)| it.gathered.tally.packets);
        let least = least.filter(|(_, it)| it.gathered.tally.packets < row.tally.packets);
        let Some(gone) = least.map(|(place, _)| *place) else { return false };
        self.scopes.remove(&gone);
        true
    }

    /// Makes a sample of what was gathered, judges it by what all nodes know, and learns of it.
    pub(super) fn sample<'a>(
        &mut self,
        second_of_day: u32,
        screens: &Screens,
        others: impl Fn() -> Vec<&'a Learned>,
    ) -> Vec<Unusual> {
        let others = others();
        let mut found = Vec::new();
        for (place, scope) in &mut self.scopes {
            let sample = Sample::of(&scope.gathered);
            sketch::Noted::reset(&mut *scope.gathered);
            let known = others.iter().filter_map(|learned| learned.of(place));
            let Some(baseline) = screens.of(place.zone).and_then(|it| it.screen.baseline) else {
                continue;
            };
            let norm = Norm::new(&scope.hours, known, second_of_day);
            scope.judge(&sample, &norm, &baseline, second_of_day, |deviation| {
                found.push(Unusual { scope: *place, deviation });
            });
        }
        found
    }

    /// What is gathered is of no use: this node did not forward all the time.
    pub(super) fn forget_gathered(&mut self) {
        let all = self.scopes.values_mut();
        all.for_each(|scope| sketch::Noted::reset(&mut *scope.gathered));
    }

    /// What has been learned, of all nodes.
    pub(super) fn learning(
        &self,
        second_of_day: u32,
        screens: &Screens,
        others: &[&Learned],
    ) -> Vec<Learning> {
        let one = |(place, scope): (&Place, &Scope)| {
            let baseline = screens.of(place.zone)?.screen.baseline?;
            let known = others.iter().filter_map(|learned| learned.of(place));
            let norm = Norm::new(&scope.hours, known, second_of_day);
            Some(norm.learning(*place, &baseline))
        };
        self.scopes.iter().filter_map(one).collect()
    }

    /// The slot behind `after` that has learned something, for the others.
    pub(super) fn next_slot(
        &self,
        after: Option<(Place, u8)>,
    ) -> Option<(Place, u8, [Moments; Feature::COUNT])> {
        let slots = self.scopes.iter().flat_map(|(place, scope)| {
            scope.hours.known().map(move |(hour, slot)| (*place, hour, *slot))
        });
        let mut slots = slots.peekable();
        let first = slots.peek().copied();
        after
            .map_or(first, |after| slots.find(|(place, hour, _)| (*place, *hour) > after).or(first))
    }
}

impl Scope {
    fn new() -> Self {
        let gathered = Box::default();
        Self { gathered, hours: Hours::new(), runs: [0; Feature::COUNT] }
    }

    fn judge(
        &mut self,
        sample: &Sample,
        norm: &Norm,
        baseline: &config::Baseline,
        second_of_day: u32,
        mut tell: impl FnMut(Deviation),
    ) {
        for feature in Feature::ALL {
            let Some(value) = sample.value(feature) else { continue };
            let run = &mut self.runs[feature as usize];
            let deviation = norm.deviation(feature, value, sample, baseline);
            *run = if deviation.is_some() { *run + 1 } else { 0 };
            if let Some(deviation) = deviation
                && *run >= UNUSUAL_SAMPLES
            {
                tell(deviation.after(*run));
            }
            let logarithm = match deviation {
                None => norm.tempered(feature, value, sample, baseline),
                Some(_) if *run > UNUSUAL_SAMPLES_MAX => feature.logarithm(value),
                Some(_) => continue,
            };
            self.hours.learn(feature, second_of_day, logarithm, norm.expected(feature));
        }
    }
}
