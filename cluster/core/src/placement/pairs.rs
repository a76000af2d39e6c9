//! How the slots of each owner are to be spread over its backups.
//!
//! Given are how many slots each seat owns (rows) and backs (columns), and which pairs may be. The most even
//! table with these sums is found by scaling rows and columns in turn (iterative proportional fitting): a
//! goal to steer by, not a promise. When a node dies, its row is what each survivor takes over.

use super::members::Seat;
use super::shares::Shares;
use crate::limits::{MEMBERS_MAX, PAIR_ROUNDS};

/// Something of each pair: owner, then backup.
pub(super) type Pairs<T> = [[T; MEMBERS_MAX]; MEMBERS_MAX];

/// Bits after the point of a goal.
pub(super) const FRACTION: u32 = 16;

/// How much less a pair within a rack is wanted than one of two racks, where both may be.
const WITHIN_RACK: u64 = 64;

/// Whether one may back the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Racks {
    /// Only from another rack, unless their rack is too heavy for the rest.
    Apart,
    /// From anywhere.
    Any,
}

/// Whether the seat may back what the other one owns.
pub(super) fn may(
    seats: &[Seat],
    shares: &Shares,
    racks: Racks,
    owner: usize,
    backup: usize,
) -> bool {
    let (a, b) = (seats[owner].rack, seats[backup].rack);
    owner != backup && (a != b || racks == Racks::Any || shares.mixed == Some(a))
}

/// The goal of each pair, with [`FRACTION`] bits after the point.
pub(super) fn goals(seats: &[Seat], shares: &Shares, rows: &[u32], columns: &[u32]) -> Pairs<u64> {
    let count = seats.len();
    let mut goals: Pairs<u64> = [[0; MEMBERS_MAX]; MEMBERS_MAX];
    for (owner, row) in goals.iter_mut().enumerate().take(count) {
        for (backup, goal) in row.iter_mut().enumerate().take(count) {
            let one = u64::from(may(seats, shares, Racks::Apart, owner, backup)) << 32;
            let same = seats[owner].rack == seats[backup].rack;
            *goal = if same { one / WITHIN_RACK } else { one };
        }
    }
    for _ in 0..PAIR_ROUNDS {
        for (row, wanted) in goals.iter_mut().zip(rows) {
            let sum = row.iter().sum();
            row.iter_mut().for_each(|goal| *goal = scaled(*goal, *wanted, sum));
        }
        for (backup, wanted) in columns.iter().enumerate() {
            let sum = goals.iter().map(|row| row[backup]).sum();
            goals.iter_mut().for_each(|row| row[backup] = scaled(row[backup], *wanted, sum));
        }
    }
    goals
}

/// `goal × wanted ÷ sum`, with the bits after the point.
fn scaled(goal: u64, wanted: u32, sum: u64) -> u64 {
    let it = (u128::from(goal) * (u128::from(wanted) << FRACTION)) / u128::from(sum.max(1));
    u64::try_from(it).expect("no more than all slots, 28 bits")
}
