//! Packets are conserved: on each engine, at each node's edge, and in the network.

use super::super::daemon::Daemon;
use super::super::network::Books as NetworkBooks;
use super::super::node::Node;

pub(crate) const NAME: &str = "packets-are-conserved";

/// The network's books, with what is still under way.
pub(crate) fn network(books: &NetworkBooks, under_way: u64) -> Option<String> {
    let taken = books.sent + books.doubled;
    let given = books.arrived + books.lost + under_way;
    (taken != given).then(|| format!("the network took {taken} and gave {given}: {books:?}"))
}

/// An engine's books.
pub(crate) fn engine(daemon: &Daemon, number: usize) -> Option<String> {
    let counters = daemon.engine.counters();
    let imbalance = counters.balance().err()?;
    Some(format!("the engine of node {}: {imbalance}", number + 1))
}

/// What came to a node, and what its engine took and gave.
pub(crate) fn node(node: &Node) -> Option<String> {
    let books = &node.books;
    let waiting = node.ring.len() as u64;
    let known = books.no_lease + books.ring_full + books.given + books.lost + waiting;
    let name = node.index + 1;
    if books.arrived != known {
        return Some(format!("node {name} got {} frames, {known} are known", books.arrived));
    }
    let daemon = node.daemon.as_ref()?;
    let counters = daemon.engine.counters();
    if counters.received != books.given_now {
        let given = books.given_now;
        return Some(format!("node {name}'s engine was given {given}, counts {counters:?}"));
    }
    let made = counters.forwarded + counters.answers;
    (made != books.emitted_now)
        .then(|| format!("node {name}'s engine made {made} frames, {} left it", books.emitted_now))
}
