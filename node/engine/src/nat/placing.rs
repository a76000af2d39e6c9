//! The slot of a packet. Both directions of a session must have one, and nobody may need a table for it:
//!
//! - a packet to a public address is placed by its port, which is of the run of its session's slot;
//! - else it is placed as the inside sees it, the destination's translation done first;
//! - under an endpoint-independent rule by its inside endpoint alone, so that one actor has the mapping.

use std::net::IpAddr;

use wire::placement::slot_of_port;
use wire::{Direction, FlowKey, PlacementKey, Protocol, Slot, Transport, Version, slot};

use super::ports::Class;
use super::spread;
use crate::PortId;
use crate::engine::{Engine, Keyed};
use crate::policy::Question;
use crate::session::{Peer, Session};
use crate::table::{Marks, Twin};

impl Engine {
    /// The slot of a packet that came in by this port. `None`: it has no key.
    pub(crate) fn slot_of_packet(&self, ingress: PortId, keyed: &Keyed) -> Option<Slot> {
        let secret = self.settings.secret;
        if let Some(key) = &keyed.fragment {
            return Some(slot(secret, &PlacementKey::of_fragment(key)));
        }
        let (key, direction) = keyed.flow.as_ref()?;
        if self.is_untranslated() {
            return Some(slot(secret, &PlacementKey::of_flow(key)));
        }
        if keyed.packet.is_icmp_error() {
            // It goes the other way than what it is about.
            return Some(self.slot_of_travel(ingress, key, direction.reversed(), None));
        }
        let icmp = match &keyed.packet.body {
            Transport::Icmp(icmp) => Some((icmp.kind, icmp.code)),
            Transport::Tcp(_)
            | Transport::Udp(_)
            | Transport::Sctp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => None,
        };
        Some(self.slot_of_travel(ingress, key, *direction, icmp))
    }

    /// The slot of a packet of a plain flow.
    pub(crate) fn slot_of_plain(
        &self,
        ingress: PortId,
        key: &FlowKey,
        direction: Direction,
    ) -> Slot {
        if self.is_untranslated() {
            return slot(self.settings.secret, &PlacementKey::of_flow(key));
        }
        self.slot_of_travel(ingress, key, direction, None)
    }

    /// Whether nothing is translated, nor was: then the key alone tells the slot.
    #[inline]
    pub(crate) fn is_untranslated(&self) -> bool {
        self.nat.is_idle() && self.policy.translations().is_empty()
    }

    fn slot_of_travel(
        &self,
        ingress: PortId,
        key: &FlowKey,
        direction: Direction,
        icmp: Option<(u8, u8)>,
    ) -> Slot {
        let (source, destination) = (key.source(direction), key.destination(direction));
        let protocol = key.protocol();
        // A rule's server goes before whoever may have the port: it is given to nobody.
        if let Some(seen) = self.seen_inside(ingress, key, direction, icmp) {
            return self.home(key.domain(), protocol, source, seen);
        }
        if Class::of(protocol).is_some()
            && self.nat.place(key.domain(), destination.0).is_some()
            && let Some(slot) = slot_of_port(destination.1)
        {
            return slot;
        }
        self.home(key.domain(), protocol, source, destination)
    }

    /// The destination behind its translation, where a rule translates it within its family.
    fn seen_inside(
        &self,
        ingress: PortId,
        key: &FlowKey,
        direction: Direction,
        icmp: Option<(u8, u8)>,
    ) -> Option<(IpAddr, u16)> {
        let rules = self.policy.translations();
        let zone = self.policy.zone_of_port(ingress).filter(|_| rules.has_targets())?;
        let (source, destination) = (key.source(direction), key.destination(direction));
        let has_ports = icmp.is_none() && !is_icmp(key.protocol());
        let port = |end: (IpAddr, u16)| if has_ports { end.1 } else { 0 };
        let question = Question {
            from_zone: zone,
            to_zone: zone,
            source: source.0,
            destination: destination.0,
            protocol: key.protocol(),
            source_port: port(source),
            destination_port: port(destination),
            icmp,
        };
        let spread = |client| spread(self.settings.secret, client);
        let target = rules.target(&question, spread).ok().flatten()?;
        (!target.nat64).then_some((target.to, target.port.unwrap_or(destination.1)))
    }

    /// The slot of a flow as the inside sees it.
    pub(crate) fn home(
        &self,
        domain: u16,
        protocol: Protocol,
        source: (IpAddr, u16),
        destination: (IpAddr, u16),
    ) -> Slot {
        let rules = self.policy.translations();
        let independent = |end: &(IpAddr, u16)| {
            let parity = rules.independence(end.0)?;
            Some((end.0, if parity { end.1 & !1 } else { end.1 }))
        };
        let shared = Class::of(protocol).is_some();
        let ends = [source, destination];
        let endpoint = ends.iter().filter(|_| shared).filter_map(independent).min();
        let key = match endpoint {
            Some(endpoint) => PlacementKey::of_endpoint(domain, protocol, endpoint),
            None => PlacementKey::of_flow(&FlowKey::new(domain, protocol, source, destination).0),
        };
        slot(self.settings.secret, &key)
    }

    /// The slot of a session, the same on every node.
    #[must_use]
    pub fn slot_of_session(
        &self,
        key: &FlowKey,
        initiator: Direction,
        twin: Option<&Twin>,
    ) -> Slot {
        let Some(twin) = twin else {
            return self.home(key.domain(), key.protocol(), key.low(), key.high());
        };
        let (source, destination) = (key.source(initiator), key.destination(initiator));
        let ends = twin.ends();
        let own_run = twin.marks.has(Marks::PORT) && !twin.marks.has(Marks::BORROWED);
        let told = match (own_run, twin.marks.has(Marks::INWARD)) {
            (true, _) => slot_of_port(ends.source.1),
            (false, true) => slot_of_port(destination.1),
            (false, false) => None,
        };
        let one_family = twin.key.version() == key.version();
        let seen = if one_family { ends.destination } else { destination };
        told.unwrap_or_else(|| self.home(key.domain(), key.protocol(), source, seen))
    }

    /// How a session of the table is translated, if it is.
    #[must_use]
    pub fn twin_of(&self, place: u32) -> Option<&Twin> {
        let (handle, session) = self.table.at(place)?;
        self.table.twin(handle, session)
    }

    /// Both ends of its first packet as the policy sees them: the source as it comes, the destination as it
    /// leaves.
    pub(crate) fn seen_by_policy(session: &Session, twin: Option<&Twin>) -> [(IpAddr, u16); 2] {
        let direction = session.direction(Peer::Initiator);
        let as_sent = session.key.destination(direction);
        let destination = twin.map_or(as_sent, |twin| twin.ends().destination);
        [session.key.source(direction), destination]
    }
}

fn is_icmp(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::ICMP | Protocol::ICMPV6)
}

/// The protocol that a packet of one family has in the other.
pub(crate) const fn protocol_in(version: Version, protocol: Protocol) -> Protocol {
    match (version, protocol) {
        (Version::V4, Protocol::ICMPV6) => Protocol::ICMP,
        (Version::V6, Protocol::ICMP) => Protocol::ICMPV6,
        (_, same) => same,
    }
}
