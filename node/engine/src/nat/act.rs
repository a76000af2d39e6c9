//! What a translated session takes when it opens, and gives back when it ends.

use config::Filtering;
use wire::{Delta, Direction, FlowKey};

use super::mappings::{Inside, Mappings, Outside};
use super::ports::Class;
use super::{Nat, NatRule};
use crate::limits::NAT_MAPPINGS_MAX;
use crate::session::{Peer, Session};
use crate::table::{Marks, Twin};

/// How a session that is about to open will be translated.
pub(crate) type Binding = Twin;

impl Marks {
    /// Who may open sessions by the mapping.
    pub(crate) const fn of_filtering(filtering: Filtering) -> Self {
        match filtering {
            Filtering::EndpointIndependent => Self::OPEN,
            Filtering::AddressDependent => Self::KNOWN,
            Filtering::AddressAndPortDependent => Self::NONE,
        }
    }

    const fn filtering(self) -> Filtering {
        if self.has(Self::OPEN) {
            Filtering::EndpointIndependent
        } else if self.has(Self::KNOWN) {
            Filtering::AddressDependent
        } else {
            Filtering::AddressAndPortDependent
        }
    }
}

/// A mapping that a session goes by.
struct Going {
    inside: Inside,
    outside: Outside,
    remote: std::net::IpAddr,
}

impl Nat {
    /// A session begins: its port is taken. One that came by a record may be of an address that is not here
    /// yet.
    pub(crate) fn begin(&mut self, session: &Session, twin: &Twin) {
        self.names.begun(twin.rules);
        let ends = twin.ends();
        if let Some((outside, class)) = self.port_of(twin) {
            if let Some(runs) = self.runs_mut(outside.place, class) {
                runs.take(ends.source.1);
            }
            if twin.marks.has(Marks::BORROWED) {
                self.counters.borrowed += 1;
                self.addresses[usize::from(outside.place)].borrowed += 1;
            }
        }
        for going in self.goings(session, twin).into_iter().flatten() {
            let mappings =
                self.mappings.get_or_insert_with(|| Mappings::new(NAT_MAPPINGS_MAX, self.seed));
            let filtering = twin.marks.filtering();
            mappings.begin(going.inside, going.outside, going.remote, filtering);
        }
    }

    /// It is over.
    pub(crate) fn end(&mut self, session: &Session, twin: &Twin) {
        self.names.ended(twin.rules);
        let mapped = twin.marks.has(Marks::MAPPED);
        if let Some((outside, class)) = self.port_of(twin).filter(|_| !mapped)
            && let Some(runs) = self.runs_mut(outside.place, class)
        {
            runs.give_back(outside.port);
        }
        for going in self.goings(session, twin).into_iter().flatten() {
            let Some(mappings) = self.mappings.as_mut() else { continue };
            if mappings.end(&going.inside, &going.outside, going.remote)
                && let Some(runs) = self.runs_mut(going.outside.place, going.outside.class)
            {
                runs.give_back(going.outside.port);
            }
        }
    }

    /// The port that its source has.
    fn port_of(&mut self, twin: &Twin) -> Option<(Outside, Class)> {
        let class = Class::of(twin.key.protocol()).filter(|_| twin.marks.has(Marks::PORT))?;
        let (address, port) = twin.ends().source;
        self.add(twin.key.domain(), address);
        let place = self.place(twin.key.domain(), address)?;
        Some((Outside { place, class, port }, class))
    }

    /// The mappings that it goes by: that of its source, and that of whom it means.
    fn goings(&mut self, session: &Session, twin: &Twin) -> [Option<Going>; 2] {
        let direction = session.direction(Peer::Initiator);
        let (source, sent) = (session.key.source(direction), session.key.destination(direction));
        let ends = twin.ends();
        let class = Class::of(twin.key.protocol());
        let own = class.filter(|_| twin.marks.has(Marks::MAPPED)).and_then(|class| {
            let (outside, _) = self.port_of(twin)?;
            let inside = Inside { domain: session.key.domain(), class, endpoint: source };
            Some(Going { inside, outside, remote: ends.destination.0 })
        });
        let meant = class.filter(|_| twin.marks.has(Marks::INWARD)).and_then(|class| {
            let place = self.place(session.key.domain(), sent.0)?;
            let outside = Outside { place, class, port: sent.1 };
            let inside = Inside { domain: twin.key.domain(), class, endpoint: ends.destination };
            Some(Going { inside, outside, remote: source.0 })
        });
        [own, meant]
    }

    /// A first packet found no port.
    pub(crate) fn count_refusal(&mut self) {
        self.counters.exhausted += 1;
    }
}

/// A twin from what a record tells of it.
pub(crate) const fn twin(
    key: FlowKey,
    initiator: Direction,
    delta: Delta,
    marks: Marks,
    rules: [NatRule; 2],
) -> Twin {
    Twin { key, delta, initiator, marks, rules }
}
