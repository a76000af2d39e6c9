//! The judge's part in translation: which session a packet belongs to by the way it looks, what a first
//! packet means, and where it leads.

use wire::{Direction, Ends, Options, Packet, Protocol, Transport, Version};

use super::{Judge, Outcome, Permitted, Plan, Stage, Watch};
use crate::engine::Engine;
use crate::nat::{Binding, First, Toward};
use crate::policy::Question;
use crate::session::{CloseReason, Peer, Session};
use crate::table::{Handle, Side};
use crate::{Mode, Reason, State};

impl Engine {
    /// Who of a session sends a packet that it was found by; `None` if nobody of a translated session sends
    /// such packets on this side.
    pub(crate) fn sender(
        &self,
        (handle, side): (Handle, Side),
        session: &Session,
        direction: Direction,
    ) -> Option<Peer> {
        let (sender, meets) = match (side, self.table.twin(handle, session)) {
            (Side::First, None) => return Some(session.sender(direction)),
            (Side::First, Some(_)) => (session.sender(direction), Peer::Initiator),
            (Side::Second, Some(twin)) => (twin.sender(direction), Peer::Responder),
            (Side::Second, None) => return None,
        };
        (sender == meets).then_some(sender)
    }

    /// Who sent the packet that an ICMP error is about, which came back as it looks behind the translation.
    pub(crate) fn quoted_sender(
        &self,
        (handle, side): (Handle, Side),
        session: &Session,
        direction: Direction,
    ) -> Option<Peer> {
        let (sender, meets) = match (side, self.table.twin(handle, session)) {
            (Side::First, None) => return Some(session.sender(direction)),
            (Side::First, Some(_)) => (session.sender(direction), Peer::Responder),
            (Side::Second, Some(twin)) => (twin.sender(direction), Peer::Initiator),
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
        Some(match sender {
            Peer::Initiator => twin.ends(),
            Peer::Responder => {
                let direction = session.direction(Peer::Responder);
                Ends::of_key(&session.key, direction)
            }
        })
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
    fn meant(&self) -> Result<Option<Toward>, Reason> {
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
        if self.engine.is_untranslated() {
            return self.open_here(stale, watch);
        }
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

    /// How the session will be translated that the packet in hand opens.
    #[inline(never)]
    pub(super) fn bind(
        &self,
        permitted: &Permitted,
        stale: Option<Handle>,
        watch: &mut impl Watch,
    ) -> Result<Option<Binding>, Reason> {
        let engine = self.engine;
        let Permitted { way, permission } = permitted;
        let ports = [self.arrived.ingress, way.port];
        let routed = |port: &crate::PortId| {
            let port = engine.settings.ports.get(port.index());
            port.is_some_and(|port| port.mode == Mode::Routed)
        };
        if !ports.iter().all(routed) {
            return Ok(None);
        }
        let Some((key, _)) = &self.keyed.flow else { return Ok(None) };
        let question = Question::of(self.packet, permission.zones[0], permission.zones[1]);
        let bound = engine.binding(&First {
            ends: Ends::of(&self.keyed.packet),
            key,
            protocol: self.packet.protocol,
            toward: self.toward,
            question: &question,
            ports,
            hash: self.keyed.hash,
            stale,
        });
        // What AH vouches for are the addresses, too (RFC 4302 §2.6, RFC 3715 §2.1).
        let vouched =
            self.packet.protocol == Protocol::AH || self.packet.options.contains(Options::AH);
        let bound = match bound {
            Ok(Some(_)) if vouched => Err(Reason::NatImpossible),
            other => other,
        };
        watch.stage(Stage::Translation, || match &bound {
            Ok(None) => "neither source nor destination change".to_owned(),
            Ok(Some(binding)) => {
                let Ends { source, destination } = binding.ends();
                format!(
                    "leaves as {} port {} to {} port {}",
                    source.0, source.1, destination.0, destination.1
                )
            }
            Err(reason) => reason.explain().to_owned(),
        });
        bound
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
        let beyond = self.engine.ends_beyond(handle, session, sender.other());
        let Some(beyond) = beyond else { return self.route(watch) };
        let packet = Packet { destination: beyond.destination.0, ..*self.packet };
        self.of(&packet).route(watch)
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
        Transport::Icmp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => {}
    }
    packet
}
