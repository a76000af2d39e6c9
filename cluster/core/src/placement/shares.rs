//! What is fair: how large a part of all slots each seat should own, and back.
//!
//! Owned: in proportion to weights. Backed: the same, where that can be; a node cannot back what it owns, so
//! beside one that owns more than half of all, the others back all of that. A rack that owns more than half
//! is backed by the rest likewise, up to twice what the rest owns; what is above stays within the rack.

use super::members::{Members, Seat};
use super::quotas::{Bound, bound};
use crate::NodeId;
use crate::limits::{BACKED_BAND_PERCENT, OWNED_BAND_PERCENT, RACK_STRETCH};

/// All slots, as a share.
pub(super) const WHOLE: u64 = 1 << 32;

/// The shares of all seats, parts of [`WHOLE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) owned: Vec<u64>,
    pub(super) backed: Vec<u64>,
    /// The rack within which owner and backup may both stand, if there is one.
    pub(super) mixed: Option<usize>,
}

/// What is fair for a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fair {
    /// Slots that it owns.
    pub owned: Bound,
    /// Slots that it backs.
    pub backed: Bound,
}

impl Shares {
    pub(super) fn of(seats: &[Seat]) -> Self {
        let total: u64 = seats.iter().map(|it| it.weight).sum();
        let owned: Vec<u64> = seats.iter().map(|it| it.weight * WHOLE / total.max(1)).collect();
        if seats.len() < 2 {
            return Self { backed: vec![0; owned.len()], owned, mixed: None };
        }
        let (mut backed, mixed) = by_racks(seats, &owned);
        relieve_largest(&owned, &mut backed);
        Self { owned, backed, mixed }
    }
}

impl Members {
    /// What is fair for a node; none if it is given no slots.
    #[must_use]
    pub fn fair(&self, node: NodeId) -> Option<Fair> {
        let seats = self.seats();
        let at = seats.iter().position(|it| it.node == node)?;
        let shares = Shares::of(&seats);
        Some(Fair {
            owned: bound(shares.owned[at], OWNED_BAND_PERCENT),
            backed: bound(shares.backed[at], BACKED_BAND_PERCENT),
        })
    }
}

/// Backed shares that keep owner and backup in different racks, as far as that is bearable, and the rack in
/// which it is not.
fn by_racks(seats: &[Seat], owned: &[u64]) -> (Vec<u64>, Option<usize>) {
    let racks = 1 + seats.iter().map(|it| it.rack).max().unwrap_or(0);
    if racks == 1 {
        return (owned.to_vec(), Some(0));
    }
    let of_rack = |rack| -> u64 {
        seats.iter().zip(owned).filter(|(it, _)| it.rack == rack).map(|it| it.1).sum()
    };
    let all: u64 = owned.iter().sum();
    let Some((heavy, inside)) =
        (0..racks).map(|rack| (rack, of_rack(rack))).find(|(_, share)| share * 2 > all)
    else {
        return (owned.to_vec(), None);
    };
    let rest = all - inside;
    // By weights, for shares are rounded, and a rack of just two thirds is not too heavy.
    let weight = |within: bool| -> u64 {
        seats.iter().filter(|it| (it.rack == heavy) == within).map(|it| it.weight).sum()
    };
    let mixed = weight(true) > RACK_STRETCH * weight(false);
    let outside = if mixed { rest * RACK_STRETCH } else { inside };
    let backed = seats.iter().zip(owned).map(|(seat, share)| {
        let (part, of) = if seat.rack == heavy { (all - outside, inside) } else { (outside, rest) };
        scaled(*share, part, of)
    });
    (backed.collect(), mixed.then_some(heavy))
}

/// Who owns more than half cannot back as much: the others back more.
fn relieve_largest(owned: &[u64], backed: &mut [u64]) {
    let all: u64 = owned.iter().sum();
    let Some(at) = (0..owned.len()).find(|at| backed[*at] > all - owned[*at]) else { return };
    let others: u64 = backed.iter().sum::<u64>() - backed[at];
    backed[at] = all - owned[at];
    for (_, share) in backed.iter_mut().enumerate().filter(|(other, _)| *other != at) {
        *share = scaled(*share, owned[at], others);
    }
}

/// `share × part ÷ of`.
fn scaled(share: u64, part: u64, of: u64) -> u64 {
    let it = u128::from(share) * u128::from(part) / u128::from(of.max(1));
    u64::try_from(it).expect("a part of the whole is no larger than it")
}
