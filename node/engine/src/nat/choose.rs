//! What a first packet becomes. Nothing changes here: what is chosen is taken when the session opens.

use std::cell::Cell;
use std::net::IpAddr;

use config::{Filtering, Mapping, SourceTo};
use wire::placement::{PORTS_PER_SLOT, slot_of_port};
use wire::{Delta, Ends, FlowKey, Packet, PlacementKey, Protocol, Slot, Version, slot};

use super::act::Binding;
use super::compiled::Origin;
use super::mappings::{Inside, Outside};
use super::placing::protocol_in;
use super::ports::{Class, Offer, Runs, Wanted};
use super::{NatRule, Place, spread};
use crate::engine::Engine;
use crate::policy::Question;
use crate::table::{Handle, Marks, NO_PLACE, Twin};
use crate::{PortId, Reason, ZoneId};

/// What the destination of a first packet becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Toward {
    pub(crate) to: (IpAddr, u16),
    rule: NatRule,
    /// By the mapping of an inside endpoint.
    inward: bool,
    /// By the prefix of this rule of the policy in force.
    nat64: Option<u16>,
}

impl Toward {
    /// What a gateway has announced.
    pub(crate) const fn announced(to: (IpAddr, u16)) -> Self {
        Self { to, rule: NatRule::NONE, inward: false, nat64: None }
    }
}

/// A first packet that a rule permits, when its source is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First<'a> {
    /// As it came.
    pub(crate) ends: Ends,
    pub(crate) key: &'a FlowKey,
    pub(crate) protocol: Protocol,
    pub(crate) toward: Option<Toward>,
    /// As the policy was asked.
    pub(crate) question: &'a Question,
    /// By which ports it comes and leaves.
    pub(crate) ports: [PortId; 2],
    pub(crate) hash: u64,
    /// The session that gives way to it.
    pub(crate) stale: Option<Handle>,
    /// Left behind of a packet that is refused: the address of which no port was left.
    pub(crate) full: &'a Cell<Option<Place>>,
    /// A gateway has announced it, and perhaps its source.
    pub(crate) announced: bool,
    pub(crate) known_as: Option<KnownAs>,
}

/// What the far end was told of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownAs {
    pub(crate) to: (IpAddr, u16),
    /// The port is one of a public address, and taken for it.
    pub(crate) takes_port: bool,
}

/// A public endpoint for a source.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    to: (IpAddr, u16),
    marks: Marks,
    /// Where its address is kept.
    place: u16,
}

impl Engine {
    /// What becomes of the destination of a first packet that comes from a zone; `None`: nothing.
    #[inline(never)]
    pub(crate) fn toward(
        &self,
        zone: ZoneId,
        domain: u16,
        packet: &Packet,
    ) -> Result<Option<Toward>, Reason> {
        let rules = self.policy.translations();
        if rules.is_empty() && self.nat.is_idle() {
            return Ok(None);
        }
        if rules.has_targets() {
            let question = Question::of(packet, zone, zone);
            let spread = |client| spread(self.settings.secret, client);
            let target = rules.target(&question, spread).map_err(|_| Reason::NatImpossible)?;
            if let Some(target) = target {
                let port = target.port.unwrap_or(Ends::of(packet).destination.1);
                return Ok(Some(Toward {
                    to: (target.to, port),
                    rule: self.nat.number(target.rule),
                    inward: false,
                    nat64: target.nat64.then_some(target.rule),
                }));
            }
        }
        self.toward_mapped(domain, packet)
    }

    /// The inside endpoint that a packet to a public one means.
    fn toward_mapped(&self, domain: u16, packet: &Packet) -> Result<Option<Toward>, Reason> {
        let Ends { source, destination } = Ends::of(packet);
        let (Some(place), Some(class)) =
            (self.nat.place(domain, destination.0), Class::of(packet.protocol))
        else {
            return Ok(None);
        };
        if slot_of_port(destination.1).is_none() {
            return Ok(None);
        }
        let outside = Outside { place, class, port: destination.1 };
        let mappings = self.nat.mappings.as_ref();
        let mapped = mappings.and_then(|mappings| Some((mappings, mappings.of_outside(&outside)?)));
        let Some((mappings, (inside, filtering))) = mapped else { return Err(Reason::NatUnmapped) };
        let admitted = match filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => mappings.knows(&outside, source.0),
            Filtering::AddressAndPortDependent => false,
        };
        if !admitted {
            return Err(Reason::NatFiltered);
        }
        let rule = NatRule::NONE;
        Ok(Some(Toward { to: inside.endpoint, rule, inward: true, nat64: None }))
    }

    /// How the session of a first packet will be translated; `None`: not at all.
    #[inline(never)]
    pub(crate) fn binding(&self, first: &First<'_>) -> Result<Option<Binding>, Reason> {
        let rules = self.policy.translations();
        if rules.is_empty() && first.toward.is_none() {
            return Ok(None);
        }
        let ends = first.ends;
        let destination = first.toward.map_or(ends.destination, |toward| toward.to);
        let (rule, chosen) = self.source(first, destination)?;
        // A query has one identifier, which both ends know.
        let query = Class::of(first.protocol) == Some(Class::Icmp);
        let port = if query { chosen.to.1 } else { destination.1 };
        let to = Ends { source: chosen.to, destination: (destination.0, port) };
        if to == ends {
            return Ok(None);
        }
        let version = Version::of(destination.0);
        let protocol = protocol_in(version, first.protocol);
        let domain = self.fib.domain_of(first.ports[1]).unwrap_or_default();
        let (key, initiator) = FlowKey::new(domain, protocol, to.source, to.destination);
        // A port that is free is in nobody's key; that of one that gives way is in its own.
        let left = self.left_by(first, chosen.to.0) == Some(chosen.to.1);
        let chosen_now = chosen.marks.has(Marks::PORT) && first.known_as.is_none() && !left;
        let new_port = chosen_now && !chosen.marks.has(Marks::MAPPED);
        let hash = self.table.hash(&key);
        let room = if new_port {
            self.table.has_twin_room(hash)
        } else {
            self.table.twin_room(hash, &key, first.stale, first.announced)
        };
        if !room {
            return Err(Reason::NatExhausted);
        }
        let inward = first.toward.is_some_and(|toward| toward.inward);
        let marks = if inward { chosen.marks.with(Marks::INWARD) } else { chosen.marks };
        let one_family = version == Version::of(ends.destination.0);
        let delta = if one_family { Delta::between(&ends, &to) } else { Delta::default() };
        let rules = [rule, first.toward.map_or(NatRule::NONE, |toward| toward.rule)];
        let twin = Twin { key, delta, initiator, marks, rules, place: chosen.place };
        Ok(Some(Binding { twin, hash, free: new_port }))
    }

    fn source(
        &self,
        first: &First<'_>,
        destination: (IpAddr, u16),
    ) -> Result<(NatRule, Chosen), Reason> {
        let rules = self.policy.translations();
        let nat64 = first.toward.and_then(|toward| toward.nat64);
        let origin = match nat64 {
            Some(rule) => rules.origin_of(rule).ok_or(Reason::NatImpossible)?,
            None => rules.origin(first.question).map_err(|_| Reason::NatImpossible)?,
        };
        let untouched = Chosen { to: first.ends.source, marks: Marks::default(), place: NO_PLACE };
        if let Some(known) = first.known_as {
            return Ok((self.rule_of_origin(origin), self.as_announced(first, known)));
        }
        if first.toward.is_some_and(|toward| toward.inward)
            && let Some((rule, chosen)) = self.as_known_outside(first)?
        {
            return Ok((self.nat.number(rule), chosen));
        }
        match origin {
            // Who is on the side of the server that it means must be answered by way of here.
            Origin::Untouched if self.turns_back(first) => {
                let mapping = Mapping::default();
                let chosen = match first.toward {
                    Some(toward) if toward.inward => self.beside_mapped(first, destination)?,
                    _ => self.public(first, destination, SourceTo::Interface, mapping)?,
                };
                Ok((NatRule::NONE, chosen))
            }
            Origin::Untouched => Ok((NatRule::NONE, untouched)),
            Origin::Own(rule, address) => {
                let to = (address, first.ends.source.1);
                Ok((self.nat.number(rule), Chosen { to, ..untouched }))
            }
            Origin::Shared(rule, to, mapping) => {
                Ok((self.nat.number(rule), self.public(first, destination, to, mapping)?))
            }
        }
    }

    /// The endpoint that a gateway has announced, of whom now sends from there.
    fn as_announced(&self, first: &First<'_>, KnownAs { to, takes_port }: KnownAs) -> Chosen {
        let domain = self.fib.domain_of(first.ports[1]).unwrap_or_default();
        let place = self.nat.place(domain, to.0).filter(|_| takes_port);
        let marks = if place.is_some() { Marks::PORT } else { Marks::default() };
        Chosen { to, marks, place: place.unwrap_or(NO_PLACE) }
    }

    fn rule_of_origin(&self, origin: Origin) -> NatRule {
        match origin {
            Origin::Untouched => NatRule::NONE,
            Origin::Own(rule, _) | Origin::Shared(rule, ..) => self.nat.number(rule),
        }
    }

    /// The endpoint that an inside host is known by outside, for its packet to the mapping of another one
    /// (RFC 4787 §6, REQ-9). `None`: it has no mapping by rule, or another actor has it.
    #[inline(never)]
    fn as_known_outside(&self, first: &First<'_>) -> Result<Option<(u16, Chosen)>, Reason> {
        let sent = first.ends.destination;
        let (Some((rule, to, mapping)), Some(class), Some(asked)) = (
            self.policy.translations().origin_outside(first.question, sent),
            Class::of(first.protocol),
            slot_of_port(sent.1),
        ) else {
            return Ok(None);
        };
        let domain = self.fib.domain_of(first.ports[0]).unwrap_or_default();
        let slot = self.home(domain, first.protocol, first.ends.source, sent);
        if !self.owns(slot) {
            return Ok(None);
        }
        let source = Source { first, class, slot, mapping, inward: false };
        let chosen = match to {
            SourceTo::Untouched => return Ok(None),
            SourceTo::Interface => self.of_own(&source, domain, sent.0)?,
            SourceTo::Pool(pool) => self.of_pool(&source, pool, sent.0.is_ipv4())?,
        };
        // The session is where the mapping is that was asked for.
        let borrowed = slot_of_port(chosen.to.1) != Some(asked);
        let marks = chosen.marks.without(Marks::BORROWED);
        let marks = if borrowed { marks.with(Marks::BORROWED) } else { marks };
        Ok(Some((rule, Chosen { marks, ..chosen })))
    }

    /// An endpoint of the address that a packet was sent to.
    fn beside_mapped(
        &self,
        first: &First<'_>,
        destination: (IpAddr, u16),
    ) -> Result<Chosen, Reason> {
        let class = Class::of(first.protocol).ok_or(Reason::NatProtocol)?;
        let slot = self.slot_of_first(first, destination, true);
        let source = Source { first, class, slot, mapping: Mapping::default(), inward: true };
        let domain = self.fib.domain_of(first.ports[0]).unwrap_or_default();
        self.of_own(&source, domain, first.ends.destination.0)
    }

    /// Whether a packet leaves by the port that it came by, because of its destination's translation.
    fn turns_back(&self, first: &First<'_>) -> bool {
        let [ingress, egress] = first.ports;
        first.toward.is_some() && ingress == egress
    }

    /// An endpoint of a public address.
    fn public(
        &self,
        first: &First<'_>,
        destination: (IpAddr, u16),
        to: SourceTo,
        mapping: Mapping,
    ) -> Result<Chosen, Reason> {
        let class = Class::of(first.protocol).ok_or(Reason::NatProtocol)?;
        let inward = first.toward.is_some_and(|toward| toward.inward);
        let slot = self.slot_of_first(first, destination, inward);
        let source = Source { first, class, slot, mapping, inward };
        let domain = self.fib.domain_of(first.ports[1]).unwrap_or_default();
        let v4 = destination.0.is_ipv4();
        match to {
            SourceTo::Untouched => {
                Ok(Chosen { to: first.ends.source, marks: Marks::default(), place: NO_PLACE })
            }
            SourceTo::Interface => {
                let port = first.ports[1];
                let shared = self.nat.shared_by(port, destination.0);
                let own = shared.or_else(|| self.fib.source_for(port, destination.0));
                let address = own.ok_or(Reason::NatImpossible)?;
                self.of_own(&source, domain, address)
            }
            SourceTo::Pool(pool) => self.of_pool(&source, pool, v4),
        }
    }

    fn slot_of_first(&self, first: &First<'_>, destination: (IpAddr, u16), inward: bool) -> Slot {
        let Ends { source, destination: sent } = first.ends;
        if first.toward.is_none() && !self.policy.translations().has_mappings() {
            return slot(self.settings.secret, &PlacementKey::of_flow(first.key));
        }
        let one_family = sent.0.is_ipv4() == destination.0.is_ipv4();
        let seen = if one_family { destination } else { sent };
        let domain = self.fib.domain_of(first.ports[0]).unwrap_or_default();
        let told = inward.then(|| slot_of_port(sent.1)).flatten();
        told.unwrap_or_else(|| self.home(domain, first.protocol, source, seen))
    }

    /// The address of a pool that an inside address has, or, where the pool says so, any other.
    fn of_pool(&self, source: &Source<'_>, pool: usize, v4: bool) -> Result<Chosen, Reason> {
        let places = self.nat.pools.get(pool).map(|places| &places[usize::from(!v4)]);
        let places = places.filter(|places| !places.is_empty()).ok_or(Reason::NatImpossible)?;
        let count = places.len();
        let inside = source.first.ends.source.0;
        let from = match count {
            1 => 0,
            _ => spread(self.settings.secret, inside) as usize,
        };
        let arbitrary = self.policy.translations().pools.get(pool).is_some_and(|it| it.arbitrary);
        let tries = if arbitrary { count } else { 1 };
        let mut refused = Reason::NatExhausted;
        for step in 0..tries {
            match self.of_address(source, places[(from.wrapping_add(step)) % count]) {
                Ok(chosen) => {
                    source.first.full.set(None);
                    return Ok(chosen);
                }
                Err(reason) => refused = reason,
            }
        }
        Err(refused)
    }

    /// A port of an address of the firewall's own.
    fn of_own(&self, source: &Source<'_>, domain: u16, address: IpAddr) -> Result<Chosen, Reason> {
        let place = self.nat.place(domain, address).ok_or(Reason::NatImpossible)?;
        self.of_address(source, place)
    }

    /// A port of a public address.
    fn of_address(&self, source: &Source<'_>, place: u16) -> Result<Chosen, Reason> {
        let address = self.nat.address(place).ok_or(Reason::NatImpossible)?;
        let Source { first, class, slot, mapping, inward } = *source;
        let inside = first.ends.source;
        let independent = mapping.endpoint_independent && !inward;
        if independent && let Some(chosen) = self.known_mapping(source, place, address)? {
            return Ok(chosen);
        }
        let runs = self.nat.runs(place, class).ok_or(Reason::NatImpossible)?;
        let wanted = Wanted {
            slot,
            start: start_of(first.hash),
            parity: mapping.parity.then_some(inside.1),
            half: self.nat.half,
            slots: self.slots,
        };
        let beside = independent.then(|| self.beside(source, place)).flatten();
        let offer = match (self.left_by(first, address), beside) {
            (Some(port), _) if !independent && self.may_go_on(runs, port, &wanted) => {
                Some(Offer { port, borrowed: slot_of_port(port) != Some(slot) })
            }
            (_, Some(port)) => Some(Offer { port, borrowed: false }),
            (_, None) => runs.offer(&wanted, |slot| self.owns(slot)),
        };
        let Some(Offer { port, borrowed }) = offer else {
            first.full.set(Some(place));
            return Err(Reason::NatExhausted);
        };
        let mut marks = Marks::PORT;
        if borrowed {
            marks = marks.with(Marks::BORROWED);
        }
        if independent {
            marks = marks.with(Marks::MAPPED).with(Marks::of_filtering(mapping.filtering));
        }
        Ok(Chosen { to: (address, port), marks, place })
    }

    /// The port of the session that gives way to this one, if the same client asks the same server from the
    /// same port. The server may still keep the old connection (TIME-WAIT): it lets in what is newer of the
    /// same client (RFC 6191), and takes for a stray what comes from another one to which the port went.
    fn left_by(&self, first: &First<'_>, address: IpAddr) -> Option<u16> {
        let handle = first.stale?;
        let session = self.table.get(handle).filter(|session| session.key == *first.key)?;
        let twin = self.table.twin(handle, session)?;
        let (known, port) = twin.key.source(twin.initiator);
        let domain = self.fib.domain_of(first.ports[1]).unwrap_or_default();
        let now = (domain, first.protocol, address);
        let same = (twin.key.domain(), twin.key.protocol(), known) == now;
        (same && twin.marks.has(Marks::PORT) && !twin.marks.has(Marks::MAPPED)).then_some(port)
    }

    /// Whether a session may have a port that another one leaves to it.
    fn may_go_on(&self, runs: &Runs, port: u16, wanted: &Wanted) -> bool {
        runs.lends(port, wanted) && slot_of_port(port).is_some_and(|slot| self.owns(slot))
    }

    /// The mapping that an inside endpoint has already.
    fn known_mapping(
        &self,
        source: &Source<'_>,
        place: u16,
        address: IpAddr,
    ) -> Result<Option<Chosen>, Reason> {
        let mappings = self.nat.mappings.as_ref().ok_or(Reason::NatExhausted)?;
        if mappings.is_full() {
            return Err(Reason::NatExhausted);
        }
        let known = mappings.of_inside(&source.inside(self), place);
        Ok(known.map(|Outside { port, .. }| {
            let filtering = Marks::of_filtering(source.mapping.filtering);
            let marks = Marks::PORT.with(Marks::MAPPED).with(filtering);
            let borrowed = slot_of_port(port) != Some(source.slot);
            let marks = if borrowed { marks.with(Marks::BORROWED) } else { marks };
            Chosen { to: (address, port), marks, place }
        }))
    }

    /// The port beside that of the other one of a pair of ports, where such pairs stay together.
    fn beside(&self, source: &Source<'_>, place: u16) -> Option<u16> {
        let mappings = self.nat.mappings.as_ref().filter(|_| source.mapping.parity)?;
        let mut other = source.inside(self);
        other.endpoint.1 ^= 1;
        let known = mappings.of_inside(&other, place)?;
        let port = known.port ^ 1;
        let runs = self.nat.runs(place, source.class)?;
        let fits = slot_of_port(port) == Some(source.slot) && runs.is_free(port);
        fits.then_some(port)
    }
}

/// Where in a run the search for a port begins, of a flow with this hash.
#[inline]
pub(super) const fn start_of(hash: u64) -> u8 {
    (hash >> 7) as u8 % PORTS_PER_SLOT as u8
}

/// Who is to get a public endpoint.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    first: &'a First<'a>,
    class: Class,
    slot: Slot,
    mapping: Mapping,
    inward: bool,
}

impl Source<'_> {
    fn inside(&self, engine: &Engine) -> Inside {
        let domain = engine.fib.domain_of(self.first.ports[0]).unwrap_or_default();
        Inside { domain, class: self.class, endpoint: self.first.ends.source }
    }
}
