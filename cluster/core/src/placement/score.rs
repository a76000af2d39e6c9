//! The cost of a slot at a node: weighted rendezvous, in integers.
//!
//! With `u` uniform in (0, 1), the node with the least `−ln(u) ÷ weight` is each one with a probability in
//! proportion to its weight. A logarithm to the base 2 orders them alike. Floating point may differ between
//! machines and libraries; so it is a table of 256 steps, made at compile time by squaring, and a straight
//! line between two of them: off by less than 2⁻¹⁸ of an octave, the same everywhere.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use wire::Slot;

use crate::NodeId;

/// Tells this use of the secret from any other, and this version of it.
const TAG: [u8; 4] = *b"rwp1";
/// Steps of the table of logarithms.
const STEPS: usize = 256;
/// Bits after the point.
const FRACTION: u32 = 32;
/// Bits by which a cost is longer than its logarithm, so that dividing it by a weight loses nothing that
/// counts.
const SPARE: u32 = 20;

/// `log2(1 + i / 256)`, 32 bits after the point.
static LOGARITHMS: [u64; STEPS + 1] = logarithms();

const fn logarithms() -> [u64; STEPS + 1] {
    let mut table = [0; STEPS + 1];
    let mut i = 0;
    while i < STEPS {
        table[i] = logarithm_of((1 << 62) + ((i as u128) << 54));
        i += 1;
    }
    table[STEPS] = 1 << FRACTION;
    table
}

/// Of a number in [1, 2) with 62 bits after the point: each squaring gives one more binary digit.
const fn logarithm_of(mut x: u128) -> u64 {
    let mut digits = 0;
    let mut left = FRACTION;
    while left > 0 {
        left -= 1;
        x = (x * x) >> 62;
        if x >= 1 << 63 {
            x >>= 1;
            digits |= 1 << left;
        }
    }
    digits
}

/// `−log2(hash ÷ 2⁶⁴)`, 32 bits after the point; above 0.
fn negative_logarithm(hash: u64) -> u64 {
    // 0 has no logarithm, and 1 is as unlikely.
    let hash = hash | 1;
    let zeros = hash.leading_zeros();
    let mantissa = hash << zeros;
    let step = ((mantissa >> 55) & 0xff) as usize;
    let within = (mantissa >> 23) & 0xffff_ffff;
    let (low, high) = (LOGARITHMS[step], LOGARITHMS[step + 1]);
    let fraction = low + (((high - low) * within) >> FRACTION);
    (u64::from(zeros + 1) << FRACTION) - fraction
}

/// What the slot costs at the node: the least is best. A weight of nothing is dear beyond all.
pub(super) fn cost(secret: [u64; 2], slot: Slot, node: NodeId, weight: u64) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(secret[0], secret[1]);
    let ([a, b], [c, d], [t, u, v, w]) = (slot.0.to_be_bytes(), node.0.to_be_bytes(), TAG);
    hasher.write(&[t, u, v, w, a, b, c, d]);
    let logarithm = negative_logarithm(hasher.finish()) << SPARE;
    logarithm.checked_div(weight).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_near_the_true_ones() {
        let mut hash = 1_u64;
        for step in 0..20_000_u64 {
            hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
            let hash = hash >> (step % 60);
            let told = negative_logarithm(hash) as f64 / (1_u64 << FRACTION) as f64;
            let wanted = 64.0 - ((hash | 1) as f64).log2();
            assert!((told - wanted).abs() < 1.0 / f64::from(1 << 18), "{hash}: {told} {wanted}");
        }
        assert_eq!(negative_logarithm(0), 64 << FRACTION);
        assert_eq!(negative_logarithm(1 << 63), 1 << FRACTION);
        assert!(negative_logarithm(u64::MAX) > 0);
    }

    #[test]
    fn golden_costs() {
        let costs = [(0, 1, 1), (0, 2, 1), (4_095, 1, 1), (4_095, 1, 100), (7, 16, 1_000)]
            .map(|(slot, node, weight)| cost([1, 2], Slot(slot), NodeId(node), weight));
        assert_eq!(costs, GOLDEN);
        assert_eq!(cost([1, 2], Slot(0), NodeId(1), 0), u64::MAX);
        assert_ne!(cost([1, 3], Slot(0), NodeId(1), 1), costs[0], "another secret");
    }

    const GOLDEN: [u64; 5] = [
        17_393_713_747_591_168,
        3_402_673_387_732_992,
        14_713_543_047_774_208,
        147_135_430_477_742,
        9_552_262_724_583,
    ];

    #[test]
    fn the_cheapest_is_each_in_proportion_to_its_weight() {
        let weights = [1_u64, 2, 5];
        let mut wins = [0_u32; 3];
        for slot in 0..wire::SLOTS {
            for secret in 0..8 {
                let of = |i: &usize| cost([secret, 9], Slot(slot), NodeId(*i as u16), weights[*i]);
                wins[(0..3).min_by_key(of).unwrap()] += 1;
            }
        }
        for (won, weight) in wins.iter().zip(weights) {
            let wanted = 4_096 * weight as u32;
            assert!(won.abs_diff(wanted) < 400, "{wins:?}: four standard deviations and more");
        }
    }
}
