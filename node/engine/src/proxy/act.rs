//! What the firewall sends in the place of others: SYNs to servers, and what joins both ends.

use wire::build::Builder;
use wire::cookie::Proof;
use wire::{Ends, Packet, Tcp, TcpFlags, Time, Transport, Version, ethernet};

use super::{Asked, Joined, Proxied};
use crate::answer;
use crate::commit::{Body, Context};
use crate::engine::{Engine, Keyed};
use crate::fib::Lookup;
use crate::limits::{ANSWER_FRAME_BYTES, ASK_TRIES, ASKS_PER_TICK, REMADE_FRAME_BYTES};
use crate::nat::Turn;
use crate::pipeline::{self, Change, Outcome, Way};
use crate::replication::Role;
use crate::session::{Flags, Peer, Session};
use crate::table::Handle;
use crate::tcp::State;
use crate::{Arrived, Decision, Mode, PortId, Verdict};

/// A frame that leaves, or is judged, in the place of another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remade {
    bytes: [u8; REMADE_FRAME_BYTES],
    len: usize,
    pub(crate) packet: Packet,
}

impl Remade {
    /// The packet of a builder under the link header of `packet`'s frame. `None`: the header is too long.
    fn new(frame: &[u8], packet: &Packet, builder: &Builder<'_>) -> Option<Self> {
        let mut bytes = [0; REMADE_FRAME_BYTES];
        let network = packet.network as usize;
        bytes.get_mut(..network)?.copy_from_slice(frame.get(..network)?);
        let len = network + builder.bare().dont_fragment().write(&mut bytes[network..])?;
        let packet = Packet::parse_ip(&bytes[..len], packet.network, packet.vlans).ok()?;
        Some(Self { bytes, len, packet })
    }

    /// The SYN that an ACK stands for, as its client would have sent it.
    pub(crate) fn syn(proof: &Proof, frame: &[u8], packet: &Packet) -> Option<Self> {
        let Transport::Tcp(tcp) = &packet.body else { return None };
        let asked = Asked::by(proof, tcp.window);
        let syn =
            asked.syn(packet.source, packet.destination, (tcp.source_port, tcp.destination_port));
        Self::new(frame, packet, &syn.hop_limit(packet.hop_limit))
    }

    pub(crate) fn frame(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn frame_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }

    /// What the packet is found by stays the same.
    pub(crate) const fn keyed(&self, keyed: &Keyed) -> Keyed {
        Keyed { packet: self.packet, ..*keyed }
    }
}

impl Asked {
    const fn by(proof: &Proof, window: u16) -> Self {
        let Proof { client, cookie, offer } = *proof;
        Self { client, cookie, offer, window }
    }

    /// The SYN to the server. Its window is the client's; it is never scaled, so the largest at most.
    fn syn(
        &self,
        source: std::net::IpAddr,
        destination: std::net::IpAddr,
        (from, to): (u16, u16),
    ) -> Builder<'static> {
        let scale = self.offer.window_scale().unwrap_or(0);
        let syn = Builder::new(source, destination)
            .tcp(from, to)
            .flags(TcpFlags::SYN)
            .seq(self.client.0)
            .window(super::widened(self.window, scale));
        self.offer.options(syn)
    }
}

/// The moment when the server answers.
struct Join<'a> {
    asked: Asked,
    joined: Joined,
    /// The server's SYN-ACK as it came.
    answer: &'a Tcp,
}

impl Join<'_> {
    /// The ACK of the server's SYN-ACK: what its client would say. `packet` is the SYN-ACK.
    fn acknowledgment(&self, packet: &Packet) -> Builder<'static> {
        let (asked, answer) = (&self.asked, self.answer);
        let ack = Builder::new(packet.destination, packet.source)
            .tcp(answer.destination_port, answer.source_port)
            .flags(TcpFlags::ACK)
            .seq((asked.client + 1).0)
            .ack((answer.sequence + 1).0)
            .window(self.joined.clients_window(asked.window, false));
        match (&asked.offer.stamped, answer.timestamps) {
            (Some(stamped), Some((value, _))) => ack.timestamps(stamped.value, value),
            (Some(_) | None, _) => ack,
        }
    }

    /// What opens the window of the client, in the server's place.
    fn opening(&self, packet: &Packet) -> Builder<'static> {
        let (asked, answer) = (&self.asked, self.answer);
        // The SYN-ACK's window was not scaled; the client scales this one as it was told.
        let window = match asked.offer.window_scale() {
            Some(_) => answer.window >> wire::cookie::SCALE,
            None => answer.window,
        };
        let ack = Builder::new(packet.source, packet.destination)
            .tcp(answer.source_port, answer.destination_port)
            .flags(TcpFlags::ACK)
            .seq((asked.cookie + 1).0)
            .ack((asked.client + 1).0)
            .window(window);
        match &asked.offer.stamped {
            Some(stamped) => ack.timestamps(stamped.told, stamped.value),
            None => ack,
        }
    }
}

/// On the packet path.
impl Engine {
    /// Judges the SYN that an ACK with a right cookie stands for, and sends it on in the ACK's place.
    #[cold]
    pub(crate) fn vouch(
        &mut self,
        proof: &Proof,
        keyed: &Keyed,
        arrived: Arrived,
        body: &mut Body<'_>,
        now: Time,
    ) -> Decision {
        let Some(mut syn) = Remade::syn(proof, body.bytes(), &keyed.packet) else {
            return Decision::bare(Verdict::Drop(crate::Reason::BadCookie));
        };
        let asking = syn.keyed(keyed);
        let (watch, chosen) = (&mut pipeline::Unwatched, pipeline::Chosen::default());
        let seen = (syn.frame(), &chosen);
        let plan = pipeline::judge_vouched(self, &asking, arrived, seen, now, watch);
        let chosen = self.nat.settle(chosen);
        let decided = (&plan, chosen.as_ref());
        let decision = match plan.outcome {
            Outcome::Forward(way) => {
                let mut frame = Body::Frame(syn.frame_mut());
                let mut decision = self.commit(decided, &asking, arrived, &mut frame, now);
                if matches!(plan.session, Change::Open { .. }) {
                    let Transport::Tcp(tcp) = &keyed.packet.body else { return decision };
                    self.begin_asking(&asking, Asked::by(proof, tcp.window), now);
                }
                if std::mem::take(&mut decision.in_hand) && !self.outbox.push(way.port, syn.frame())
                {
                    self.ledger.output_lost();
                }
                decision
            }
            // What is said, is said of the packet that came: its sender knows no other number.
            Outcome::Answer(_) | Outcome::Consume | Outcome::Drop(_) | Outcome::Vouched(_) => {
                self.commit(decided, keyed, arrived, body, now)
            }
        };
        if self.screening.is_some() {
            self.observe(&plan, &asking, arrived, now);
        }
        decision
    }

    /// The session that was just opened is one whose server is asked.
    fn begin_asking(&mut self, keyed: &Keyed, asked: Asked, now: Time) {
        let Some((key, _)) = &keyed.flow else { return };
        let Some(handle) = self.table.find(keyed.hash, key) else { return };
        // Without memory, which nobody is guarded without, it would be a session like any other.
        if !self.proxies.set(handle, &Proxied::Asked(asked)) {
            return;
        }
        let Some(session) = self.table.get_mut(handle) else { return };
        session.flags.set(Flags::PROXIED, true);
        session.forget_egress();
        self.proxies.ask_later(handle.place(), session.id, 1, now);
    }

    /// What a session's server was asked, while it has not answered.
    fn asked(&self, handle: Handle) -> Option<Asked> {
        match self.proxies.of(handle, self.table.get(handle)?)? {
            Proxied::Asked(asked) => Some(asked),
            Proxied::Joined(_) => None,
        }
    }

    /// The client's ACK, come again, has the server asked again.
    #[cold]
    pub(crate) fn ask_again(
        &mut self,
        way: &Way,
        handle: Handle,
        context: &Context<'_>,
        body: &Body<'_>,
    ) -> (Verdict, bool) {
        let packet = &context.keyed.packet;
        let (Some(asked), Some((from, to))) = (self.asked(handle), packet.ports()) else {
            return self.nothing_leaves(way);
        };
        let syn = asked.syn(packet.source, packet.destination, (from, to));
        let syn = Remade::new(body.bytes(), packet, &syn.hop_limit(packet.hop_limit));
        self.send_instead(way, syn, context, self.turn_of(handle, Peer::Initiator))
    }

    /// The server has answered: from now on both speak to each other.
    #[cold]
    pub(crate) fn join(
        &mut self,
        way: &Way,
        handle: Handle,
        context: &Context<'_>,
        body: &Body<'_>,
    ) -> (Verdict, bool) {
        let packet = &context.keyed.packet;
        let (Some(asked), Transport::Tcp(answer)) = (self.asked(handle), &packet.body) else {
            return self.nothing_leaves(way);
        };
        let join = Join { asked, joined: asked.joined_by(answer), answer };
        self.proxies.set(handle, &Proxied::Joined(join.joined));
        let ack = join.acknowledgment(packet);
        let frame = body.bytes();
        let written = self.outbox.push_with(context.ingress(), ANSWER_FRAME_BYTES, |space| {
            answer::send_back(&ack, frame, packet, space).ok()
        });
        if !written {
            self.ledger.output_lost();
        }
        let opening = join.opening(packet).hop_limit(packet.hop_limit);
        let opening = Remade::new(frame, packet, &opening);
        self.send_instead(way, opening, context, self.turn_of(handle, Peer::Responder))
    }

    fn turn_of(&self, handle: Handle, sender: Peer) -> Turn {
        let of = |session| Turn::of(handle, session, sender);
        self.table.get(handle).map_or(Turn::Not, of)
    }

    /// Sends a frame on its way in the place of the one in hand.
    fn send_instead(
        &mut self,
        way: &Way,
        remade: Option<Remade>,
        context: &Context<'_>,
        turn: Turn,
    ) -> (Verdict, bool) {
        let Some(mut remade) = remade else { return self.nothing_leaves(way) };
        let keyed = remade.keyed(context.keyed);
        let context = context.of(&keyed);
        let mut frame = Body::Frame(remade.frame_mut());
        let (verdict, in_hand) = self.forward(way, &context, turn, &mut frame);
        if in_hand && !self.outbox.push(way.port, remade.frame()) {
            self.ledger.output_lost();
        }
        (verdict, false)
    }

    /// A link header that is longer than any that the parser takes, or a session that is not what its judge
    /// saw: it cannot be.
    fn nothing_leaves(&mut self, way: &Way) -> (Verdict, bool) {
        self.ledger.output_lost();
        (Verdict::Forward(way.port), false)
    }
}

/// What time brings.
impl Engine {
    /// Asks servers again that have not answered. Bounded.
    pub(crate) fn ask_due(&mut self, now: Time) {
        for _ in 0..ASKS_PER_TICK {
            let Some(due) = self.proxies.next_due(now) else { return };
            let Some((handle, session)) = self.table.at(due.place) else { continue };
            let waits = session.id == due.id && session.tcp.state() == State::SynSent;
            let owner = self.replication.role == Role::Owner;
            let session = *session;
            match self.proxies.of(handle, &session).filter(|_| waits && owner) {
                Some(Proxied::Asked(asked)) => self.ask_by_timer(handle, &session, &asked, now),
                Some(Proxied::Joined(_)) | None => continue,
            }
            if due.tries < ASK_TRIES {
                self.proxies.ask_later(due.place, due.id, due.tries + 1, now);
            }
        }
    }

    /// One SYN. At a wire nobody knows the stations: there the client's ACK alone asks again.
    fn ask_by_timer(&mut self, handle: Handle, session: &Session, asked: &Asked, now: Time) {
        let Some((port, next)) = self.next_station(handle, session) else { return };
        let direction = session.direction(Peer::Initiator);
        let came = Ends::of_key(&session.key, direction);
        let leaves = self.ends_beyond(handle, session, Peer::Initiator).unwrap_or(came);
        let ((source, from), (destination, to)) = (leaves.source, leaves.destination);
        let syn = asked.syn(source, destination, (from, to));
        let own = self.settings.ports[port.index()].mac;
        let written = self.outbox.push_with(port, REMADE_FRAME_BYTES, |space| {
            let (link, ip) = space.split_at_mut_checked(ethernet::HEADER_LEN)?;
            link[..6].copy_from_slice(&next);
            link[6..12].copy_from_slice(&own);
            link[12..].copy_from_slice(&Version::of(source).ethertype().to_be_bytes());
            Some(ethernet::HEADER_LEN + syn.bare().dont_fragment().write(ip)?)
        });
        if !written {
            self.ledger.output_lost();
        }
        if let Some(session) = self.table.get_mut(handle) {
            session.see(now);
        }
    }

    /// The port and the station that leads to a flow's responder.
    fn next_station(&mut self, handle: Handle, session: &Session) -> Option<(PortId, [u8; 6])> {
        let key = &session.key;
        let [_, (destination, _)] = Self::seen_by_policy(session, self.table.twin(handle, session));
        let flow = self.table.hash(key) as u32;
        let Lookup::Hop(hop) = self.fib.lookup(key.domain(), destination, flow) else {
            return None;
        };
        let port = self.settings.ports.get(hop.port.index())?;
        if !port.up || port.mode != Mode::Routed {
            return None;
        }
        let station = self.fib.resolve(hop.port, hop.next);
        if station.is_none() {
            self.want(hop.port, hop.next);
        }
        Some((hop.port, station?))
    }
}
