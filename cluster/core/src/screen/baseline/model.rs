//! Means and variances of the hours, and what follows from them.

use std::collections::BTreeMap;

use sketch::{Moments, Place};

use super::sample::{Feature, Sample};
use crate::limits::{DRIFT_SAMPLES, SAMPLE_EVERY, SAMPLES_PER_HOUR_MAX, SCOPES_MAX};

const HOURS: usize = 24;
/// Samples of an hour below which nothing is said of it: half of it.
const HOUR_SAMPLES_MIN: f64 = 30.0;
/// Standard deviation of a logarithm that every feature has at least: a quarter more or less is normal.
const DEVIATION_MIN: f64 = 0.25;
/// A sample that is not unusual is learned as if it were no further off than this many standard deviations.
const TEMPERED_DEVIATIONS: f64 = 2.0;
/// A sample moves the drift as if it were no further off than this: half as much again.
const DRIFT_STEP_MAX: f64 = 0.4;

/// One hour: a mean and a variance of each feature.
pub(super) type Slot = [Moments; Feature::COUNT];

/// What one node has learned of one scope.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    slots: Box<[Slot; HOURS]>,
    /// How far the last day was off, by feature.
    drift: [f64; Feature::COUNT],
}

impl Hours {
    pub(super) fn new() -> Self {
        let slots = Box::new([[Moments::new(); Feature::COUNT]; HOURS]);
        Self { slots, drift: [0.0; Feature::COUNT] }
    }

    /// The logarithm of what was seen, and that of what was expected.
    pub(super) fn learn(
        &mut self,
        feature: Feature,
        second_of_day: u32,
        logarithm: f64,
        expected: Option<f64>,
    ) {
        let slot = &mut self.slots[hour(second_of_day)][feature as usize];
        slot.add(logarithm);
        slot.cap(SAMPLES_PER_HOUR_MAX);
        if let Some(expected) = expected {
            let off = (logarithm - expected).clamp(-DRIFT_STEP_MAX, DRIFT_STEP_MAX);
            self.drift[feature as usize] += off / DRIFT_SAMPLES;
        }
    }

    /// Samples that all hours stand for, at most seven days of them.
    pub(super) fn samples(&self) -> f64 {
        self.slots.iter().map(|slot| slot[Feature::Packets as usize].weight()).sum()
    }

    /// Hours of which something is known.
    pub(super) fn known(&self) -> impl Iterator<Item = (u8, &Slot)> {
        let known = |slot: &Slot| slot[Feature::Packets as usize].weight() > 0.0;
        (0..).zip(self.slots.iter()).filter(move |(_, slot)| known(slot))
    }

    fn merge(&mut self, other: &Self) {
        for (slot, more) in self.slots.iter_mut().zip(other.slots.iter()) {
            slot.iter_mut().zip(more).for_each(|(moments, more)| moments.merge(more));
        }
    }
}

/// What another node has learned.
#[derive(Clone, Debug, Default)]
pub(in crate::screen) struct Learned {
    scopes: BTreeMap<Place, Hours>,
}

impl Learned {
    /// The newest that it told of an hour takes the place of what it told before.
    pub(in crate::screen) fn take(
        &mut self,
        place: Place,
        hour: u8,
        slot: [Moments; Feature::COUNT],
    ) {
        if !self.scopes.contains_key(&place) && self.scopes.len() >= SCOPES_MAX {
            return;
        }
        let hours = self.scopes.entry(place).or_insert_with(Hours::new);
        if let Some(place) = hours.slots.get_mut(usize::from(hour)) {
            *place = slot;
        }
    }

    pub(super) fn of(&self, place: &Place) -> Option<&Hours> {
        self.scopes.get(place)
    }
}

const fn hour(second_of_day: u32) -> usize {
    (second_of_day / 3_600) as usize % HOURS
}

/// What is normal at one moment, by all that is known.
pub(super) struct Norm {
    hours: Hours,
    second_of_day: u32,
}

impl Norm {
    pub(super) fn new<'a>(
        own: &Hours,
        others: impl Iterator<Item = &'a Hours>,
        second_of_day: u32,
    ) -> Self {
        let mut hours = own.clone();
        others.for_each(|other| hours.merge(other));
        Self { hours, second_of_day }
    }

    /// The logarithm that is expected.
    pub(super) fn expected(&self, feature: Feature) -> Option<f64> {
        let drift = self.hours.drift[feature as usize];
        self.mix(feature, Moments::mean).map(|mean| mean + drift)
    }

    /// How unusual a value is, if it is.
    pub(super) fn deviation(
        &self,
        feature: Feature,
        value: f64,
        sample: &Sample,
        baseline: &config::Baseline,
    ) -> Option<Deviation> {
        if !self.is_learned(baseline) {
            return None;
        }
        let expected = self.expected(feature)?;
        let logarithm = feature.logarithm(value);
        let off =
            if feature.both_ways() { (logarithm - expected).abs() } else { logarithm - expected };
        let normal = self.spread(feature, sample.events(feature))?;
        let deviations = off / normal;
        let unusual = deviations >= f64::from(baseline.deviations)
            && off >= f64::from(baseline.factor).ln()
            && value >= feature.least();
        let expected = feature.value(expected);
        unusual
            .then(|| Deviation { feature, expected, seen: value, deviations, sure: 0.0 }.after(1))
    }

    /// The logarithm of a value as it is to be learned: where there is a norm, not further off than
    /// [`TEMPERED_DEVIATIONS`].
    pub(super) fn tempered(
        &self,
        feature: Feature,
        value: f64,
        sample: &Sample,
        baseline: &config::Baseline,
    ) -> f64 {
        let logarithm = feature.logarithm(value);
        if !self.is_learned(baseline) {
            return logarithm;
        }
        let normal = self.spread(feature, sample.events(feature));
        let (Some(expected), Some(normal)) = (self.expected(feature), normal) else {
            return logarithm;
        };
        let most = TEMPERED_DEVIATIONS * normal;
        logarithm.clamp(expected - most, expected + most)
    }

    /// The standard deviation that is normal: that of the hour, of the burstiest one, of chance, or the
    /// least.
    fn spread(&self, feature: Feature, events: f64) -> Option<f64> {
        let hour = self.mix(feature, Moments::variance)?;
        let bursts = (0..HOURS).map(|at| self.bursts(feature, at)).fold(0.0, f64::max);
        let chance = 1.0 / events.max(1.0);
        Some(hour.max(bursts).max(chance).max(DEVIATION_MIN * DEVIATION_MIN).sqrt())
    }

    /// The variance of an hour beyond what chance makes of its few events, and beyond its slope: the part
    /// that says how the traffic is, and not when.
    fn bursts(&self, feature: Feature, at: usize) -> f64 {
        let slot = |at: usize| {
            let slot = &self.hours.slots[at % HOURS][feature as usize];
            (slot.weight() >= HOUR_SAMPLES_MIN).then_some(slot)
        };
        let Some(here) = slot(at) else { return 0.0 };
        let mean = |at| slot(at).map_or(here.mean(), Moments::mean);
        let slope = (mean(at + 1) - mean(at + HOURS - 1)) / 2.0;
        let counted = if feature.is_count() { feature.value(here.mean()) } else { f64::INFINITY };
        let chance = 1.0 / counted.max(1.0);
        // Values spread evenly over a slope have a twelfth of its square as their variance.
        here.variance() - chance - slope * slope / 12.0
    }

    /// A figure between the middles of two hours, of those that are known.
    fn mix(&self, feature: Feature, of: impl Fn(&Moments) -> f64) -> Option<f64> {
        let place = (f64::from(self.second_of_day) / 3_600.0 + HOURS as f64 - 0.5) % HOURS as f64;
        let (first, part) = (place as usize % HOURS, place.fract());
        let slot = |at: usize| {
            let slot = &self.hours.slots[at % HOURS][feature as usize];
            (slot.weight() >= HOUR_SAMPLES_MIN).then(|| of(slot))
        };
        match (slot(first), slot(first + 1)) {
            (Some(one), Some(other)) => Some(one * (1.0 - part) + other * part),
            (one, other) => one.or(other),
        }
    }

    fn is_learned(&self, baseline: &config::Baseline) -> bool {
        self.hours.samples() >= wanted(baseline)
    }

    pub(super) fn learning(&self, scope: Place, baseline: &config::Baseline) -> Learning {
        let feature = |feature: Feature| {
            let (expected, normal) = (self.expected(feature), self.mix(feature, Moments::variance));
            let expected = expected.map(|it| feature.value(it));
            FeatureState { feature, expected, factor: normal.map(|it| it.sqrt().exp()) }
        };
        let hours = self.hours.known().count();
        let learned = (self.hours.samples() / wanted(baseline)).min(1.0);
        Learning { scope, learned, hours, features: Feature::ALL.map(feature) }
    }
}

/// Samples before anything is told: those of the time to learn, of which one in ten may be missing; never
/// more than hours keep.
fn wanted(baseline: &config::Baseline) -> f64 {
    let samples = baseline.learn.as_secs_f64() / SAMPLE_EVERY.as_secs_f64();
    0.9 * samples.min(SAMPLES_PER_HOUR_MAX * HOURS as f64)
}

/// What was expected, what was seen, and how sure it is that it is not chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Of what.
    pub feature: Feature,
    /// Expected in a minute, in the feature's unit.
    pub expected: f64,
    /// Seen in a minute.
    pub seen: f64,
    /// Standard deviations between the logarithms of the two.
    pub deviations: f64,
    /// From 0 to 1: by Cantelli's inequality for as many samples as there were in a row.
    pub sure: f64,
}

impl Deviation {
    pub(super) fn after(mut self, samples: u32) -> Self {
        let chance = 1.0 / (1.0 + self.deviations * self.deviations);
        self.sure = 1.0 - chance.powi(i32::try_from(samples).unwrap_or(i32::MAX));
        self
    }
}

/// How far the learning of a scope is.
#[derive(Clone, Debug, PartialEq)]
pub struct Learning {
    /// A destination prefix, or a whole zone.
    pub scope: Place,
    /// From 0 to 1: from then on it is judged.
    pub learned: f64,
    /// Hours of the day of which something is known.
    pub hours: usize,
    /// What is expected now.
    pub features: [FeatureState; Feature::COUNT],
}

/// What is expected of a feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeatureState {
    /// Of which.
    pub feature: Feature,
    /// In a minute, now; `None`: not known yet.
    pub expected: Option<f64>,
    /// One standard deviation as a factor: 1.3 is a third more, or less.
    pub factor: Option<f64>,
}
