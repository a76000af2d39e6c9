//! How many slots each seat is to have: near its fair share, and near what it has.

use super::shares::WHOLE;
use crate::limits::LOAD_CAP_PERCENT;
use wire::SLOTS;

/// How many slots a node may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its share of all, a part of 2³².
    pub share: u64,
    /// With fewer it is given more.
    pub low: u32,
    /// With more it gives away.
    pub high: u32,
    /// It never has more.
    pub cap: u32,
}

/// The bound of a share, with so many percent within which nothing moves.
pub(super) fn bound(share: u64, band: u64) -> Bound {
    let slots = share * u64::from(SLOTS);
    let (low, high) = (100 - band, 100 + band);
    Bound {
        share,
        low: (slots * low / 100 / WHOLE) as u32,
        high: (slots * high).div_ceil(100 * WHOLE) as u32,
        cap: (slots * LOAD_CAP_PERCENT).div_ceil(100 * WHOLE) as u32,
    }
}

/// How many each is to have: what it has, if that is within its bound, else the bound; then those that have
/// least beside their share get more, or those that have most give some, until all slots are given.
pub(super) fn quotas(counts: &[u32], bounds: &[Bound]) -> Vec<u32> {
    let clip = |(count, bound): (&u32, &Bound)| (*count).clamp(bound.low, bound.high);
    let mut quotas: Vec<u32> = counts.iter().zip(bounds).map(clip).collect();
    let mut sum: u32 = quotas.iter().sum();
    while sum < u32::from(SLOTS) {
        let poorer =
            |a: &usize, b: &usize| weigh(quotas[*a] + 1, bounds[*a], quotas[*b] + 1, bounds[*b]);
        let room = |at: &usize| quotas[*at] < bounds[*at].high;
        let Some(at) = (0..quotas.len()).filter(room).min_by(poorer) else { break };
        quotas[at] += 1;
        sum += 1;
    }
    while sum > u32::from(SLOTS) {
        let poorer = |a: &usize, b: &usize| weigh(quotas[*a], bounds[*a], quotas[*b], bounds[*b]);
        let spare = |at: &usize| quotas[*at] > bounds[*at].low;
        let Some(at) = (0..quotas.len()).filter(spare).max_by(poorer) else { break };
        quotas[at] -= 1;
        sum -= 1;
    }
    quotas
}

/// Which of two has less beside its share.
fn weigh(a: u32, of_a: Bound, b: u32, of_b: Bound) -> std::cmp::Ordering {
    (u64::from(a) * of_b.share).cmp(&(u64::from(b) * of_a.share))
}
