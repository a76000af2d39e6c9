//! What a translated session takes when it opens, and gives back when it ends.

use config::Filtering;
use wire::{Delta, Direction, Ends, FlowKey, Packet, Time};

use super::mappings::{Inside, Mappings, Outside};
use super::ports::Class;
use super::{Nat, Place, Rewriting, Turn};
use crate::commit::{Body, Context};
use crate::engine::{Engine, Keyed};
use crate::event::Leaving;
use crate::limits::{NAT_FRAME_BYTES, NAT_MAPPINGS_MAX};
use crate::pipeline::{Chosen, Way};
use crate::record::Translated;
use crate::session::{CloseReason, Peer, Session};
use crate::table::{Handle, Marks, NO_PLACE, Twin};
use crate::{Reason, Verdict};

/// How a session that is about to open will be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) twin: Twin,
    /// Of the second key, in the table.
    pub(crate) hash: u64,
    /// Its port was free just now, so that it is in no key and reserved for nobody.
    pub(crate) free: bool,
}

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

/// Whether a mapping is what it goes by, or came by.
const fn by_mapping(twin: &Twin) -> bool {
    twin.marks.has(Marks::MAPPED) || twin.marks.has(Marks::INWARD)
}

impl Nat {
    /// A session begins, which its rules count by themselves: its port is taken. One that came by a record
    /// may be of an address that is not here yet.
    pub(crate) fn begin(&mut self, session: &Session, twin: &Twin) {
        self.begin_child(session, twin);
        if let Some((outside, class)) = self.port_of(twin) {
            if !self.share_reserved((outside.place, class, outside.port))
                && let Some(runs) = self.runs_mut(outside.place, class)
            {
                runs.take(outside.port);
            }
            if twin.marks.has(Marks::BORROWED) {
                self.counters.borrowed += 1;
                self.addresses[usize::from(outside.place)].borrowed += 1;
            }
        }
        if by_mapping(twin) {
            self.begin_mapped(session, twin);
        }
    }

    #[inline(never)]
    fn begin_mapped(&mut self, session: &Session, twin: &Twin) {
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
        self.end_child(session, twin);
        let mapped = twin.marks.has(Marks::MAPPED);
        if let Some((outside, class)) = self.port_of(twin).filter(|_| !mapped) {
            self.let_go((outside.place, class, outside.port));
        }
        if !by_mapping(twin) {
            return;
        }
        for going in self.goings(session, twin).into_iter().flatten() {
            let Some(mappings) = self.mappings.as_mut() else { continue };
            if mappings.end(&going.inside, &going.outside, going.remote) {
                let Outside { place, class, port } = going.outside;
                self.let_go((place, class, port));
            }
        }
    }

    /// Takes what the judge has left.
    #[inline]
    pub(crate) fn settle(&mut self, chosen: Chosen) -> Option<Binding> {
        if let Some(place) = chosen.full.get() {
            self.count_refused(place);
        }
        chosen.binding.into_inner()
    }

    /// A first packet found no port of an address.
    #[cold]
    fn count_refused(&mut self, place: Place) {
        if let Some(public) = self.addresses.get_mut(usize::from(place)) {
            public.refused += 1;
        }
    }

    /// What is told of a session's translation.
    pub(crate) fn leaving(&self, twin: &Twin) -> Leaving {
        Leaving { ends: twin.ends(), rules: twin.rules.map(|rule| self.names.hash_of(rule)) }
    }

    /// The port that its source has.
    fn port_of(&mut self, twin: &Twin) -> Option<(Outside, Class)> {
        let class = Class::of(twin.key.protocol()).filter(|_| twin.marks.has(Marks::PORT))?;
        let port = twin.key.source_port(twin.initiator);
        let place = match twin.place {
            NO_PLACE => self.place_of_source(twin)?,
            place => place,
        };
        Some((Outside { place, class, port }, class))
    }

    /// Where its source's address is kept, from now on if it was not.
    #[cold]
    fn place_of_source(&mut self, twin: &Twin) -> Option<u16> {
        let (address, _) = twin.key.source(twin.initiator);
        self.add(twin.key.domain(), address);
        self.place(twin.key.domain(), address)
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
}

impl Engine {
    /// A session that has just opened is translated. The judge saw that there is room.
    pub(crate) fn translate_from_now(
        &mut self,
        handle: Handle,
        session: &Session,
        Binding { twin, hash, free }: &Binding,
        now: Time,
    ) -> Turn {
        let fresh = *free && twin.marks == Marks::PORT && !session.is_child();
        let child = session.is_child();
        if !fresh && let Some(other) = self.table.in_the_way(*hash, &twin.key, child) {
            self.close(other, CloseReason::Reopened, now);
        }
        if !self.table.translate(handle, *hash, twin) {
            return Turn::Not;
        }
        self.nat.names.hit(twin.rules);
        match (twin.marks, Class::of(twin.key.protocol())) {
            // What `begin` does for nearly all.
            (Marks::PORT, Some(class)) if fresh && twin.place != NO_PLACE => {
                if let Some(runs) = self.nat.runs_mut(twin.place, class) {
                    runs.take(twin.key.source_port(twin.initiator));
                }
            }
            _ => self.nat.begin(session, twin),
        }
        Turn::Session(handle, Peer::Initiator)
    }

    /// A frame of the other family leaves in the place of the one in hand.
    #[cold]
    pub(crate) fn forward_across(
        &mut self,
        way: &Way,
        rewriting: &Rewriting,
        context: &Context<'_>,
        body: &Body<'_>,
    ) -> (Verdict, bool) {
        let mut space = std::mem::take(&mut self.nat.space);
        if space.is_empty() {
            space = vec![0; NAT_FRAME_BYTES].into_boxed_slice();
        }
        self.nat.identification = self.nat.identification.wrapping_add(1);
        let id = self.nat.identification;
        let written = rewriting.write(body.bytes(), &context.keyed.packet, id, &mut space);
        let forwarded = written.and_then(|len| {
            let frame = &mut space[..len];
            let packet = Packet::parse(frame).ok()?;
            let keyed = Keyed { packet, ..*context.keyed };
            let context = context.of(&keyed);
            let mut frame = Body::Frame(frame);
            let (verdict, in_hand) = self.forward(way, &context, Turn::Done, &mut frame);
            if in_hand && !self.outbox.push(way.port, &space[..len]) {
                self.ledger.output_lost();
            }
            Some(verdict)
        });
        self.nat.space = space;
        (forwarded.unwrap_or(Verdict::Drop(Reason::NatImpossible)), false)
    }
}

/// After a panic.
impl Nat {
    /// Counts anew what sessions have taken, since they are not those that took it.
    pub(crate) fn recount<'a>(&mut self, sessions: impl Iterator<Item = (&'a Session, &'a Twin)>) {
        for runs in self.addresses.iter_mut().flat_map(|public| &mut public.runs) {
            runs.give_all_back();
        }
        self.mappings.iter_mut().for_each(Mappings::clear);
        self.reserved.clear();
        self.names.end_all();
        let (counters, borrowed) = (self.counters, self.borrowed());
        sessions.for_each(|(session, twin)| {
            self.names.begun(twin.rules);
            self.begin(session, twin);
        });
        // Nothing was given just now.
        self.counters = counters;
        for (public, borrowed) in self.addresses.iter_mut().zip(borrowed) {
            public.borrowed = borrowed;
        }
    }

    fn borrowed(&self) -> Vec<u64> {
        self.addresses.iter().map(|public| public.borrowed).collect()
    }
}

/// Records.
impl Engine {
    /// How a session is translated, as another node may see it.
    pub(crate) fn translated(&self, twin: &Twin) -> Translated {
        let rules = twin.rules.map(|rule| self.nat.names.hash_of(rule));
        Translated { key: twin.key, initiator: twin.initiator, marks: twin.marks, rules }
    }

    /// The same as it is here.
    pub(crate) fn twin_by(&self, key: &FlowKey, initiator: Direction, told: &Translated) -> Twin {
        let Translated { key: beyond, initiator: there, marks, rules } = *told;
        let (came, leaves) = (Ends::of_key(key, initiator), Ends::of_key(&beyond, there));
        let one_family = key.version() == beyond.version();
        let delta = if one_family { Delta::between(&came, &leaves) } else { Delta::default() };
        let rules = rules.map(|rule| self.nat.names.of_hash(rule));
        Twin { key: beyond, delta, initiator: there, marks, rules, place: NO_PLACE }
    }

    /// A session that came by a record is translated.
    pub(crate) fn replicate_translation(&mut self, handle: Handle, session: &Session, twin: Twin) {
        if self.table.translate(handle, self.table.hash(&twin.key), &twin) {
            self.nat.names.begun(twin.rules);
            self.nat.begin(session, &twin);
        }
    }
}
