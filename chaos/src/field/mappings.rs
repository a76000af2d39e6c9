//! Who is seen as what beyond a firewall that translates, as its nodes tell.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use config::api::{PageRequest, SESSIONS, Session, SessionsPage};

use super::api::Api;
use super::failure::Failure;

/// A flow: protocol, source, destination.
type Flow = (u8, SocketAddr, SocketAddr);

/// What the sources of a node's sessions look like beyond it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mappings(BTreeMap<Flow, (SocketAddr, String)>);

impl Mappings {
    pub(crate) fn read(api: &Api) -> Result<Self, Failure> {
        let (mut all, mut cursor) = (BTreeMap::new(), None);
        loop {
            let request = PageRequest { cursor, ..PageRequest::default() };
            let page: SessionsPage = api.post(SESSIONS, &request)?;
            all.extend(page.sessions.iter().filter_map(mapping));
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(Self(all));
            }
        }
    }

    /// Those of sessions that are there later, too. Reading takes its time: without it, one that ends and one
    /// that gets its port meanwhile are both seen.
    pub(crate) fn still(mut self, later: &Self) -> Self {
        self.0.retain(|flow, known| later.0.get(flow).is_some_and(|it| it.1 == known.1));
        self
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Flows that are not among the others.
    pub(crate) fn beyond(&self, other: &Self) -> usize {
        self.0.keys().filter(|flow| !other.0.contains_key(*flow)).count()
    }

    /// Sessions that both know, as something else each. A port of a client's is soon another session's, which
    /// may have another mapping.
    pub(crate) fn unlike(&self, other: &Self) -> usize {
        let changed = |(flow, (public, session)): &(&Flow, &(SocketAddr, String))| {
            other.0.get(*flow).is_some_and(|it| it.1 == *session && it.0 != *public)
        };
        self.0.iter().filter(changed).count()
    }

    /// Public endpoints that stand for more than one inside, on one of two nodes or on both together. A
    /// session that began before they were apart may have ended on one of them, which gives its port anew;
    /// the other one cannot have heard of that.
    pub(crate) fn twice(&self, nodes: [&Self; 2]) -> usize {
        let mut users: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (node, of) in nodes.into_iter().enumerate() {
            for (&(protocol, inside, _), (public, session)) in &of.0 {
                users.entry((protocol, *public)).or_default().push((inside, node, session));
            }
        }
        let began = |session: &String| self.0.values().any(|(_, it)| it == session);
        let both = |(one, at, first): &User<'_>, (other, there, second): &User<'_>| {
            one != other && (at == there || !began(first) && !began(second))
        };
        let twice = |users: &&Vec<User<'_>>| {
            let pairs = users.iter().enumerate();
            pairs
                .flat_map(|(at, one)| users[at + 1..].iter().map(move |it| (one, it)))
                .any(|(one, other)| both(one, other))
        };
        users.values().filter(twice).count()
    }
}

/// The endpoint inside, the node that says so, and the session.
type User<'a> = (SocketAddr, usize, &'a String);

fn mapping(session: &Session) -> Option<(Flow, (SocketAddr, String))> {
    let translated = session.translated.as_ref()?;
    let at = |address: IpAddr, port| SocketAddr::new(address, port);
    let source = at(session.source, session.source_port);
    let destination = at(session.destination, session.destination_port);
    let public = at(translated.source, translated.source_port);
    let flow = (session.protocol.0, source, destination);
    (public != source).then(|| (flow, (public, session.id.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Own port, public port, session.
    fn mappings(all: &[(u16, u16, &str)]) -> Mappings {
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let of = |(own, public, session): &(u16, u16, &str)| {
            ((6, at(*own), at(80)), (at(*public), (*session).to_owned()))
        };
        Mappings(all.iter().map(of).collect())
    }

    #[test]
    fn what_changed_and_what_was_given_twice_is_counted() {
        let before = mappings(&[(1, 11, "a"), (2, 12, "b"), (3, 13, "c"), (5, 15, "d")]);
        // Of 5 it is another session.
        let after = mappings(&[(2, 12, "b"), (3, 14, "c"), (4, 11, "e"), (5, 16, "f")]);
        assert_eq!((before.unlike(&after), after.unlike(&before)), (1, 1));
        assert_eq!((before.beyond(&after), after.beyond(&before)), (1, 1));
        // 11 is of 1 there and of 4 here; that 2 is 12 on both is the same thing.
        let none = mappings(&[]);
        assert_eq!((none.twice([&before, &none]), none.twice([&before, &after])), (0, 1));
        assert_eq!(before.twice([&before, &after]), 0, "1 is over there");
        let one_node = mappings(&[(1, 11, "a"), (2, 11, "b")]);
        assert_eq!(before.twice([&one_node, &none]), 1);
    }
}
