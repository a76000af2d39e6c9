//! The judge's part in translation: which session a packet belongs to by the way it looks, what a first
//! packet means, and where it leads.

use wire::{Direction, Ends, Options, Packet, Protocol, Transport, Version};

use super::{Judge, Link, Outcome, Permitted, Plan, Stage, Watch};
use crate::engine::Engine;
use crate::nat::{First, Simple, Toward};
use crate::policy::Question;
use crate::session::{CloseReason, Peer, Session};
use crate::table::{Handle, Side};
use crate::{Mode, PortId, Reason, State};

impl Engine {
    /// Who of a session sends a packet that it was found by; `None` if nobody of a translated session sends
    /// such packets on this side.
    pub(crate) fn sender(
        &self,
        found: (Handle, Side),
        session: &Session,
        direction: Direction,
    ) -> Option<Peer> {
        self.sender_met(Peer::Initiator, found, session, direction)
    }

    /// Who sent the packet that an ICMP error is about, which came back as it looks behind the translation.
    pub(crate) fn quoted_sender(
        &self,
        found: (Handle, Side),
        session: &Session,
        direction: Direction,
    ) -> Option<Peer> {
        self.sender_met(Peer::Responder, found, session, direction)
    }

    /// Who sends a packet of a session, if of a translated one it is `first` by the first key, and the other
    /// peer by the second.
    fn sender_met(
        &self,
        first: Peer,
        (handle, side): (Handle, Side),
        session: &Session,
        direction: Direction,
    ) -> Option<Peer> {
        let (sender, meets) = match (side, self.table.twin(handle, session)) {
            (Side::First, None) => return Some(session.sender(direction)),
            (Side::First, Some(_)) => (session.sender(direction), first),
            (Side::Second, Some(twin)) => (twin.sender(direction), first.other()),
            (Side::Second, None) => return None,
        };
        (sender == meets).then_some(sender)
    }

    /// Both ends of a sender's packets when they have left; `None`: they leave as they came.
    pub(crate) fn ends_beyond(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
    ) -> Option<Ends> {
        let twin = self.table.twin(handle, session)?;
        Some(twin.beyond(session, sender).ends())
    }
}

impl Judge<'_> {
    /// The packet in hand as its way is looked for; `None`: as it is.
    pub(super) fn leaving(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
    ) -> Option<Packet> {
        let beyond = self.engine.ends_beyond(handle, session, sender)?;
        Some(Packet { destination: beyond.destination.0, ..*self.packet })
    }

    /// What a first packet means by its destination.
    pub(super) fn meant(&self) -> Result<Option<Toward>, Reason> {
        let engine = self.engine;
        let port = engine.settings.ports.get(self.arrived.ingress.index());
        let Some(port) = port.filter(|port| port.mode == Mode::Routed) else { return Ok(None) };
        match engine.policy.zone_of_port(self.arrived.ingress) {
            Some(zone) => engine.toward(zone, port.domain, self.packet),
            None => Ok(None),
        }
    }

    /// A packet that would open a session, wherever it leads.
    pub(super) fn open(
        &self,
        stale: Option<(Handle, CloseReason)>,
        watch: &mut impl Watch,
    ) -> Plan {
        if let Some(plan) = self.open_announced(stale, watch) {
            return plan;
        }
        // The packet may be one that leaves, where its session has just ended.
        let came = core::ptr::eq(self.packet, &raw const self.keyed.packet);
        if self.engine.is_untranslated() || came && self.means_what_it_says() {
            return self.open_here(stale, watch);
        }
        self.open_meant(stale, watch)
    }

    /// Whether its destination is nobody's but its own, for sure.
    #[inline]
    fn means_what_it_says(&self) -> bool {
        let Engine { policy, nat, .. } = self.engine;
        !policy.translations().has_targets() && !nat.may_be_public(self.packet.destination)
    }

    #[inline(never)]
    fn open_meant(&self, stale: Option<(Handle, CloseReason)>, watch: &mut impl Watch) -> Plan {
        let judge = Judge { packet: &self.keyed.packet, ..*self };
        match judge.meant() {
            Ok(None) => judge.open_here(stale, watch),
            Ok(Some(toward)) => {
                let packet = bound_for(judge.packet, toward.to);
                watch.stage(Stage::Translation, || {
                    let (address, port) = toward.to;
                    format!("its destination becomes {address} port {port}")
                });
                Judge { packet: &packet, toward: Some(toward), ..judge }.open_here(stale, watch)
            }
            Err(reason) => {
                watch.stage(Stage::Translation, || reason.explain().to_owned());
                Plan { state: State::New, ..Plan::drop(reason) }
            }
        }
    }

    /// Leaves in [`Judge::chosen`] how the session will be translated that the packet in hand opens.
    #[inline]
    pub(super) fn bind(
        &self,
        permitted: &Permitted,
        stale: Option<Handle>,
        watch: &mut impl Watch,
    ) -> Result<(), Reason> {
        let bound = match !self.opens_again(stale) && self.bind_simply(permitted) {
            true => Ok(()),
            false => self.bind_in_full(permitted, stale),
        };
        watch.stage(Stage::Translation, || self.say_bound(bound));
        bound
    }

    /// Whether the session that gives way to this one was of the same ends.
    fn opens_again(&self, stale: Option<Handle>) -> bool {
        let before = stale.and_then(|handle| self.engine.table.get(handle));
        before.is_some_and(|before| self.keyed.flow.is_some_and(|(key, _)| key == before.key))
    }

    fn say_bound(&self, bound: Result<(), Reason>) -> String {
        match (bound, self.chosen.binding.get()) {
            (Ok(()), None) => "neither source nor destination change".to_owned(),
            (Ok(()), Some(binding)) => {
                let Ends { source, destination } = binding.twin.ends();
                format!(
                    "leaves as {} port {} to {} port {}",
                    source.0, source.1, destination.0, destination.1
                )
            }
            (Err(reason), _) => reason.explain().to_owned(),
        }
    }

    /// The same of what nearly all packets are; `false`, and nothing left, of others.
    #[inline(never)]
    fn bind_simply(&self, permitted: &Permitted) -> bool {
        let Some((key, direction)) = &self.keyed.flow else { return false };
        let Permitted { way, permission } = permitted;
        let passes = matches!(way.link, Link::Untouched);
        let announced = self.toward.is_some() || self.announced.is_some();
        if passes || announced || self.packet.options.contains(Options::AH) {
            return false;
        }
        let bound = self.engine.binding_simply(&Simple {
            key,
            direction: *direction,
            hash: self.keyed.hash,
            zones: permission.zones,
            egress: way.port,
        });
        bound.map(|bound| self.chosen.binding.set(bound)).is_some()
    }

    fn is_routed(&self, port: PortId) -> bool {
        let port = self.engine.settings.ports.get(port.index());
        port.is_some_and(|port| port.mode == Mode::Routed)
    }

    #[cold]
    #[inline(never)]
    fn bind_in_full(&self, permitted: &Permitted, stale: Option<Handle>) -> Result<(), Reason> {
        let Permitted { way, permission } = permitted;
        let ports = [self.arrived.ingress, way.port];
        let Some((key, _)) = &self.keyed.flow else { return Ok(()) };
        if !ports.iter().all(|port| self.is_routed(*port)) {
            return Ok(());
        }
        let question = Question::of(self.packet, permission.zones[0], permission.zones[1]);
        let bound = self.engine.binding(&First {
            ends: Ends::of(&self.keyed.packet),
            key,
            protocol: self.packet.protocol,
            toward: self.toward,
            question: &question,
            ports,
            hash: self.keyed.hash,
            stale,
            full: &self.chosen.full,
            announced: self.announced.is_some(),
            known_as: self.announced.and_then(|_| self.known_as()),
        })?;
        // What AH vouches for are the addresses, too (RFC 4302 §2.6, RFC 3715 §2.1).
        let vouched =
            self.packet.protocol == Protocol::AH || self.packet.options.contains(Options::AH);
        if vouched && bound.is_some() {
            return Err(Reason::NatImpossible);
        }
        self.chosen.binding.set(bound);
        Ok(())
    }

    /// By how many bytes the packet is longer when it has left: headers of the families differ.
    pub(super) fn growth(&self) -> i32 {
        match (self.packet.version, Version::of(self.packet.destination)) {
            (Version::V4, Version::V6) => HEADERS_DIFFER,
            (Version::V6, Version::V4) => -HEADERS_DIFFER,
            (Version::V4, Version::V4) | (Version::V6, Version::V6) => 0,
        }
    }

    /// A packet of a translated session that came as it looks on the other side.
    pub(super) fn bypassed(&self, watch: &mut impl Watch) -> Plan {
        watch.stage(Stage::Lookup, || Reason::NatBypassed.explain().to_owned());
        Plan::invalid(Reason::NatBypassed)
    }

    /// Where an ICMP error goes that is about a packet of `sender`.
    pub(super) fn route_of_error(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
        watch: &mut impl Watch,
    ) -> Outcome {
        // It goes to the sender as it is known where the error goes.
        match self.leaving(handle, session, sender.other()) {
            None => self.route(watch),
            Some(packet) => self.of(&packet).route(watch),
        }
    }
}

/// Bytes of an IPv6 header beyond those of an IPv4 header (RFC 7915 §4).
const HEADERS_DIFFER: i32 = 20;

/// A packet as the policy sees it: its destination is what it leads to.
pub(super) fn bound_for(packet: &Packet, (address, port): (std::net::IpAddr, u16)) -> Packet {
    let mut packet = Packet { destination: address, ..*packet };
    match &mut packet.body {
        Transport::Tcp(tcp) => tcp.destination_port = port,
        Transport::Udp(udp) => udp.destination_port = port,
        Transport::Sctp(ports) => ports.destination = port,
        Transport::Gre(gre) => *gre = gre.of_call(port),
        Transport::Icmp(_) | Transport::Esp { .. } | Transport::None | Transport::Other => {}
    }
    packet
}
