//! The judge's part in connections that a SYN cookie opens, or has opened.

use wire::cookie::Proof;
use wire::{Packet, TcpFlags, Time, Transport};

use super::{Chosen, Judge, Outcome, Plan, Stage, Watch};
use crate::answer::Answer;
use crate::engine::{Engine, Keyed};
use crate::limits::ASK_INTERVAL;
use crate::proxy::{Asked, Proxied, Relay};
use crate::screen::{Gate, Guarded};
use crate::session::{CloseReason, Peer, Session};
use crate::table::Handle;
use crate::tcp::State;
use crate::track::{self, Update};
use crate::{Arrived, Reason};

/// Decides about the SYN that an ACK with a right cookie stands for: whatever stands under its key is over,
/// for its client has begun anew.
pub(crate) fn judge_vouched(
    engine: &Engine,
    keyed: &Keyed,
    arrived: Arrived,
    (frame, chosen): (&[u8], &Chosen),
    now: Time,
    watch: &mut impl Watch,
) -> Plan {
    let gate = engine.gate(arrived.ingress, keyed, now);
    let judge = Judge::new(engine, (keyed, gate.as_ref()), arrived, (frame, chosen), now);
    let judge = Judge { vouched: true, ..judge };
    let mut plan = judge.open_vouched(watch);
    if let Outcome::Answer(answer) = plan.outcome {
        plan.outcome = judge.audible(answer);
    }
    watch.stage(Stage::Verdict, || format!("{:?}", plan.outcome));
    plan
}

impl<'a> Judge<'a> {
    /// The same about another reading of the packet.
    pub(super) const fn of<'b>(&self, packet: &'b Packet) -> Judge<'b>
    where
        'a: 'b,
    {
        Judge { packet, ..*self }
    }

    fn open_vouched(&self, watch: &mut impl Watch) -> Plan {
        let Some((key, _)) = &self.keyed.flow else { return Plan::drop(Reason::BadCookie) };
        let found = self.engine.table.find(self.keyed.hash, key);
        self.open(found.map(|handle| (handle, CloseReason::Reopened)), watch)
    }

    /// What becomes of a packet at its screen, whatever it belongs to. `None` lets it through.
    pub(super) fn screen(&self, gate: &Gate<'_>, watch: &mut impl Watch) -> Option<Outcome> {
        let Some(reason) = gate.entrance() else { return self.cookie(gate, watch) };
        watch.stage(Stage::Screen, || reason.explain().to_owned());
        Some(Outcome::Drop(reason))
    }

    /// A SYN to a destination that is guarded is answered in its place, as the XDP program does it.
    fn cookie(&self, gate: &Gate<'_>, watch: &mut impl Watch) -> Option<Outcome> {
        let (context, mss) = gate.guards()?;
        let domain = self.engine.fib.domain_of(self.arrived.ingress).unwrap_or_default();
        let own = self.engine.fib.is_own(domain, self.packet.destination);
        // The host's own services are its own matter; a server that a rule puts there is not.
        if own && !matches!(self.meant(), Ok(Some(_))) {
            return None;
        }
        watch.stage(Stage::Screen, || "answered with a cookie".to_owned());
        Some(Outcome::Answer(Answer::Cookie { context, mss }))
    }

    /// A packet that contradicts what is known, or needs a session and has none: it may bring a cookie.
    /// Else its reason.
    pub(super) fn proof(&self, reason: Reason, watch: &mut impl Watch) -> Result<Plan, Reason> {
        match self.gate.map_or(Guarded::No, Gate::proof) {
            Guarded::Proven(proof) => {
                let Proof { client, .. } = proof;
                watch.stage(Stage::Screen, || format!("its cookie is right: for the SYN {client}"));
                Ok(Plan { state: crate::State::New, ..Plan::bare(Outcome::Vouched(proof)) })
            }
            Guarded::Wrong => Err(Reason::BadCookie),
            Guarded::No => Err(reason),
        }
    }

    /// The same where a session stands under its key: one that is open is no matter of cookies.
    pub(super) fn proof_against(
        &self,
        session: &Session,
        reason: Reason,
        watch: &mut impl Watch,
    ) -> Result<Plan, Reason> {
        match session.tcp.state() {
            State::None
            | State::Established
            | State::FinWait
            | State::CloseWait
            | State::LastAck => Err(reason),
            State::SynSent
            | State::SynSent2
            | State::SynReceived
            | State::PickedUp
            | State::TimeWait
            | State::Close => match self.proof(reason, watch) {
                Err(Reason::BadCookie) => Err(reason),
                other => other,
            },
        }
    }

    /// A packet of a session that a cookie has opened.
    pub(super) fn follow_proxied(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
        proxied: Proxied,
        watch: &mut impl Watch,
    ) -> Plan {
        match (proxied, sender) {
            (Proxied::Joined(joined), Peer::Initiator) => {
                let relay = Relay::Translate(joined, sender);
                let judgement = self.track(handle, session, sender);
                self.follow_judged(handle, session, sender, judgement, Some(relay), watch)
            }
            (Proxied::Joined(joined), Peer::Responder) => {
                let packet = joined.as_seen(self.packet);
                let judge = self.of(&packet);
                let relay = Relay::Translate(joined, sender);
                let judgement = match judge.track(handle, session, sender) {
                    // What is told to the server is told in its own numbers.
                    track::Judgement::Challenge { sequence, acknowledgment } => {
                        let acknowledgment = acknowledgment - joined.shift;
                        track::Judgement::Challenge { sequence, acknowledgment }
                    }
                    other @ (track::Judgement::Pass(_)
                    | track::Judgement::Ask(_)
                    | track::Judgement::Reopen
                    | track::Judgement::Invalid(_)) => other,
                };
                judge.follow_judged(handle, session, sender, judgement, Some(relay), watch)
            }
            (Proxied::Asked(asked), Peer::Initiator) => {
                self.follow_waiting(handle, session, &asked, watch)
            }
            (Proxied::Asked(asked), Peer::Responder) => {
                self.follow_asked(handle, session, &asked, watch)
            }
        }
    }

    /// A packet of a client whose server has not answered yet.
    fn follow_waiting(
        &self,
        handle: Handle,
        session: &Session,
        asked: &Asked,
        watch: &mut impl Watch,
    ) -> Plan {
        let sender = Peer::Initiator;
        let Transport::Tcp(tcp) = &self.packet.body else { return Plan::drop(Reason::TcpState) };
        if tcp.flags.contains(TcpFlags::RST) {
            // The server has not seen the number that it acknowledges; nor does it look.
            let judgement = self.track(handle, session, sender);
            return self.follow_judged(handle, session, sender, judgement, None, watch);
        }
        if tcp.flags.contains(TcpFlags::SYN) {
            // Nobody is guarded any more, and the client has never heard of its cookie.
            return self.open(Some((handle, CloseReason::Reopened)), watch);
        }
        if tcp.acknowledgment != asked.cookie + 1
            && let Ok(plan) = self.proof(Reason::TcpState, watch)
        {
            return plan;
        }
        let again = self.now.since(session.last_seen()) >= ASK_INTERVAL;
        if !again {
            watch.stage(Stage::Tracker, || Reason::ServerPending.explain().to_owned());
            return Plan { state: crate::State::New, ..Plan::drop(Reason::ServerPending) };
        }
        watch.stage(Stage::Tracker, || "asks its server again".to_owned());
        let judgement = track::Judgement::Pass(Update::noted());
        self.follow_judged(handle, session, sender, judgement, Some(Relay::Ask(handle)), watch)
    }

    /// What a server says to the SYN that was sent in its client's place.
    fn follow_asked(
        &self,
        handle: Handle,
        session: &Session,
        asked: &Asked,
        watch: &mut impl Watch,
    ) -> Plan {
        let sender = Peer::Responder;
        let Transport::Tcp(tcp) = &self.packet.body else { return Plan::drop(Reason::TcpState) };
        let kind = [TcpFlags::SYN, TcpFlags::ACK, TcpFlags::RST].map(|it| tcp.flags.contains(it));
        match kind {
            [true, true, false] => {
                let judgement = track::join(session, asked, tcp, &self.engine.tracking);
                let relay = Some(Relay::Join(handle));
                self.follow_judged(handle, session, sender, judgement, relay, watch)
            }
            [_, _, true] => {
                let relay = Some(Relay::Translate(asked.refused_by(tcp), sender));
                let judgement = self.track(handle, session, sender);
                self.follow_judged(handle, session, sender, judgement, relay, watch)
            }
            // It still holds an old connection. A client resets that by the number of this (RFC 9293
            // §3.5.1, figure 9), and is asked for by the next SYN.
            [false, true, false] => {
                watch.stage(Stage::Tracker, || "an old connection of its server".to_owned());
                Plan { state: crate::State::Invalid, ..Plan::answer(Answer::Reset) }
            }
            [true, false, false] | [false, false, false] => Plan::invalid(Reason::TcpState),
        }
    }

    /// How an ICMP error about a packet of `sender` is passed on: what a server sent, it knows by its own
    /// numbers.
    pub(super) fn quoted(&self, handle: Handle, session: &Session, sender: Peer) -> Option<Relay> {
        if sender == Peer::Initiator {
            return None;
        }
        match self.engine.proxies.of(handle, session)? {
            Proxied::Joined(joined) => Some(Relay::Quotation(joined)),
            Proxied::Asked(_) => None,
        }
    }
}
