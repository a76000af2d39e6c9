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
pub(crate) struct Mappings(BTreeMap<Flow, SocketAddr>);

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

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Flows that are not among the others.
    pub(crate) fn beyond(&self, other: &Self) -> usize {
        self.0.keys().filter(|flow| !other.0.contains_key(*flow)).count()
    }

    /// Flows that both know, as something else each.
    pub(crate) fn unlike(&self, other: &Self) -> usize {
        let changed = |(flow, public): &(&Flow, &SocketAddr)| {
            other.0.get(*flow).is_some_and(|it| it != *public)
        };
        self.0.iter().filter(changed).count()
    }

    /// Public endpoints that stand for more than one inside, on one of the nodes or on both together.
    pub(crate) fn twice(all: &[&Self]) -> usize {
        let mut owners = BTreeMap::new();
        let mut twice = BTreeMap::new();
        for (&(protocol, inside, _), &public) in all.iter().flat_map(|it| &it.0) {
            let owner = *owners.entry((protocol, public)).or_insert(inside);
            if owner != inside {
                twice.insert((protocol, public), inside);
            }
        }
        twice.len()
    }
}

fn mapping(session: &Session) -> Option<(Flow, SocketAddr)> {
    let translated = session.translated.as_ref()?;
    let at = |address: IpAddr, port| SocketAddr::new(address, port);
    let source = at(session.source, session.source_port);
    let destination = at(session.destination, session.destination_port);
    let public = at(translated.source, translated.source_port);
    (public != source).then_some(((session.protocol.0, source, destination), public))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(all: &[(u16, u16)]) -> Mappings {
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        Mappings(all.iter().map(|(own, public)| ((6, at(*own), at(80)), at(*public))).collect())
    }

    #[test]
    fn what_changed_and_what_was_given_twice_is_counted() {
        let before = mappings(&[(1, 11), (2, 12), (3, 13)]);
        let after = mappings(&[(2, 12), (3, 14), (4, 11)]);
        assert_eq!((before.unlike(&after), after.unlike(&before)), (1, 1));
        assert_eq!((before.beyond(&after), after.beyond(&before)), (1, 1));
        assert_eq!(Mappings::twice(&[&before]) + Mappings::twice(&[&after]), 0);
        // 11 is of 1 there and of 4 here; that 2 is 12 on both is the same thing.
        assert_eq!(Mappings::twice(&[&before, &after]), 1);
    }
}
