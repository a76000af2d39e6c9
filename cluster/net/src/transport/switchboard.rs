//! Who is connected: one link for each peer, and which of two is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use cluster_core::{Boot, NodeId};
use tokio::sync::watch;

use super::link::Link;

/// The links of an endpoint.
#[derive(Debug)]
pub(super) struct Switchboard {
    links: RwLock<BTreeMap<NodeId, Arc<Link>>>,
    /// Counts changes, for those who wait for one.
    changes: watch::Sender<u64>,
}

/// What decides between two connections to the same peer. Both ends know it of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    /// The peer's run.
    pub(super) boot: Boot,
    /// Whether the end with the lower number called.
    pub(super) called_by_lower: bool,
}

impl Rank {
    /// Whether a new connection takes the place of the one that is there: that of a later run does;
    /// within a run that which the lower number called; else the newer, since who called it has
    /// given up the older.
    fn replaces(self, old: Self) -> bool {
        match self.boot.cmp(&old.boot) {
            core::cmp::Ordering::Less => false,
            core::cmp::Ordering::Greater => true,
            core::cmp::Ordering::Equal => self.called_by_lower || !old.called_by_lower,
        }
    }
}

/// What became of a new link.
pub(super) enum Plugged {
    /// It is the only one.
    Alone,
    /// It took the place of this one, which has to be closed.
    Instead(Arc<Link>),
    /// The one that is there stays.
    Refused,
}

impl Switchboard {
    pub(super) fn new() -> Self {
        Self { links: RwLock::default(), changes: watch::Sender::new(0) }
    }

    pub(super) fn plug(&self, link: &Arc<Link>) -> Plugged {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        if links.get(&link.node).is_some_and(|old| !link.rank.replaces(old.rank)) {
            return Plugged::Refused;
        }
        let old = links.insert(link.node, Arc::clone(link));
        drop(links);
        self.changed();
        old.map_or(Plugged::Alone, Plugged::Instead)
    }

    /// Takes a link out, if it was not replaced before.
    pub(super) fn unplug(&self, link: &Arc<Link>) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        if links.get(&link.node).is_some_and(|there| Arc::ptr_eq(there, link)) {
            links.remove(&link.node);
        }
        drop(links);
        self.changed();
    }

    pub(super) fn get(&self, node: NodeId) -> Option<Arc<Link>> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Resolves while the peer has no link.
    pub(super) async fn until_down(&self, node: NodeId) {
        let mut changes = self.changes.subscribe();
        // An error means that the endpoint is gone.
        let _ = changes.wait_for(|_| self.get(node).is_none()).await;
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_keep_the_same_connection() {
        let rank = |boot, called_by_lower| Rank { boot: Boot(boot), called_by_lower };
        // (new, old, the new one is kept)
        let table = [
            (rank(2, false), rank(1, true), true),
            (rank(2, true), rank(1, false), true),
            (rank(1, true), rank(2, false), false),
            (rank(1, true), rank(1, false), true),
            (rank(1, true), rank(1, true), true),
            (rank(1, false), rank(1, false), true),
            (rank(1, false), rank(1, true), false),
        ];
        for (new, old, kept) in table {
            assert_eq!(new.replaces(old), kept, "{new:?} {old:?}");
        }
    }

    /// Two different connections of one run: whichever comes first, the same one is left.
    #[test]
    fn the_order_of_two_callers_does_not_matter() {
        let [low, high] =
            [true, false].map(|called_by_lower| Rank { boot: Boot(1), called_by_lower });
        assert!(low.replaces(high) && !high.replaces(low));
    }
}
