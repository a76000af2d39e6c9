//! Walks over a table, step by step.

use super::sessions::{Row, Sessions};
use crate::limits::{EMPTY_PAGES_PER_STEP, PAGE_PLACES};

/// A step of a walk: shows the sessions of the next page that has any, passing over a few that have
/// none, and says where to go on; `None` at the table's end.
pub(super) fn step<S: Sessions>(
    sessions: &S,
    from: u32,
    mut visit: impl FnMut(&Row<'_>),
) -> Option<u32> {
    let mut cursor = from;
    for _ in 0..EMPTY_PAGES_PER_STEP {
        let mut empty = true;
        cursor = sessions.page(cursor, PAGE_PLACES, |row| {
            empty = false;
            visit(row);
        })?;
        if !empty {
            break;
        }
    }
    Some(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::tests::model::Table;

    /// Where the steps of a walk over a table of so many places end.
    fn steps(table: &Table) -> (Vec<u32>, u32) {
        let (mut ends, mut seen, mut from) = (Vec::new(), 0, Some(0));
        while let Some(cursor) = from {
            from = step(table, cursor, |_| seen += 1);
            ends.extend(from);
        }
        (ends, seen)
    }

    #[test]
    fn pages_without_a_session_are_passed_over_but_not_without_end() {
        let most = EMPTY_PAGES_PER_STEP as u32;
        let empty = Table::new(1, 1, (2 * most + 1) * PAGE_PLACES);
        assert_eq!(steps(&empty), (vec![most * PAGE_PLACES, 2 * most * PAGE_PLACES], 0));
        let mut table = Table::new(1, 1, 4 * PAGE_PLACES);
        table.open(1, false);
        assert_eq!(steps(&table), (vec![PAGE_PLACES], 1), "a page with one ends its step");
    }
}
