//! Who owns each slot: bounded-load weighted rendezvous, from where the slots are.

use super::next::Draft;
use super::pairs::{Racks, may};
use super::quotas::{Bound, bound, quotas};
use crate::limits::OWNED_BAND_PERCENT;

/// Why a slot may move; those that must move first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Nobody has it.
    Free,
    /// Who has it took it over just now: it moves anyway.
    Taken,
    /// Who has it has too many.
    Held,
}

/// Gives each slot an owner. What has to move goes where it costs least.
pub(super) fn settle(draft: &mut Draft<'_>) {
    let bounds: Vec<Bound> =
        draft.shares.owned.iter().map(|share| bound(*share, OWNED_BAND_PERCENT)).collect();
    let mut counts = vec![0_u32; draft.seats.len()];
    draft.owners.iter().flatten().for_each(|seat| counts[*seat] += 1);
    let quotas = quotas(&counts, &bounds);
    for (_, _, _, slot, to) in candidates(draft, &counts, &quotas) {
        let from = draft.owners[slot];
        let may_go = from.is_none_or(|from| counts[from] > quotas[from]);
        if !may_go || counts[to] >= quotas[to] {
            continue;
        }
        if let Some(from) = from {
            counts[from] -= 1;
        }
        counts[to] += 1;
        draft.owners[slot] = Some(to);
    }
}

/// Each slot that may move, to each seat that has room, in the order in which they are tried.
fn candidates(
    draft: &Draft<'_>,
    counts: &[u32],
    quotas: &[u32],
) -> Vec<(Class, bool, u64, usize, usize)> {
    let receivers: Vec<usize> = (0..counts.len()).filter(|it| counts[*it] < quotas[*it]).collect();
    let class = |slot: usize| match draft.owners[slot] {
        None => Some(Class::Free),
        Some(owner) if counts[owner] <= quotas[owner] => None,
        Some(_) if draft.taken[slot] => Some(Class::Taken),
        Some(_) => Some(Class::Held),
    };
    let mut list = Vec::new();
    for (slot, class) in (0..draft.owners.len()).filter_map(|slot| Some((slot, class(slot)?))) {
        list.extend(receivers.iter().map(|to| {
            // Where the backup cannot stay, it is copied as well.
            let (seats, shares) = (draft.seats, draft.shares);
            let stays = |it: usize| may(seats, shares, Racks::Apart, *to, it);
            let goes = !draft.holder(slot, *to).is_none_or(stays);
            (class, goes, draft.cost(slot, *to), slot, *to)
        }));
    }
    list.sort_unstable();
    list
}
