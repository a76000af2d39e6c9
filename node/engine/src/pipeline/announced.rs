//! The judge's part in control channels, and in sessions that one has announced.

use super::{Judge, Outcome, Permission, Permitted, Plan, Stage, Watch};
use crate::alg::{self, Begin, Control, Hint, Pinhole, Speech};
use crate::engine::Engine;
use crate::nat::{KnownAs, Toward};
use crate::policy::LifeIndex;
use crate::proxy::Relay;
use crate::session::{CloseReason, Peer, Session};
use crate::table::Handle;
use crate::{RuleIndex, State, track};

/// Life as of any session of its protocol: what its parent's rule says is of the parent.
pub(crate) const NO_LIFE: LifeIndex = 0;

impl Judge<'_> {
    /// A packet of a control channel, which its gateway reads.
    #[cold]
    pub(super) fn follow_control(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
        control: &Control,
        watch: &mut impl Watch,
    ) -> Plan {
        let packet = alg::as_seen(&control.streams, self.packet, sender);
        let judge = self.of(&packet);
        let relay = Some(Relay::Control(handle, sender));
        let judgement = match judge.track(handle, session, sender) {
            // What is told to its sender is told in the numbers that it knows.
            track::Judgement::Challenge { sequence, acknowledgment } => {
                let sequence = control.stream(sender.other()).beyond(sequence);
                track::Judgement::Challenge { sequence, acknowledgment }
            }
            other @ (track::Judgement::Pass(_)
            | track::Judgement::Ask(_)
            | track::Judgement::Reopen
            | track::Judgement::Invalid(_)) => other,
        };
        judge.follow_judged(handle, session, sender, judgement, relay, watch)
    }

    /// What gateways have to do with the session that the packet opens.
    #[inline]
    pub(super) fn begin(&self, rule: RuleIndex) -> Option<Begin> {
        let rule = self.engine.policy.rule(rule);
        if self.announced.is_none() && rule.algs.is_empty() {
            return None;
        }
        let protocol = self.packet.protocol;
        let speech = match self.announced {
            // What was announced is read if that said so.
            Some(speech) => speech,
            None => {
                let alg = self.packet.ports().and_then(|(_, port)| rule.alg(protocol, port));
                alg.map(|alg| Speech::of(alg, protocol))
            }
        };
        // Of a cookie the numbers are translated already.
        let speech = speech.filter(|_| !self.vouched);
        let announced = self.announced.is_some();
        (announced || speech.is_some()).then_some(Begin { speech, announced })
    }

    /// A packet that would open a session which was announced; `None`: it was not.
    #[inline]
    pub(super) fn open_announced(
        &self,
        stale: Option<(Handle, CloseReason)>,
        watch: &mut impl Watch,
    ) -> Option<Plan> {
        if self.engine.algs.pinholes.is_empty() {
            return None;
        }
        self.open_by_pinhole(stale, watch)
    }

    #[cold]
    fn open_by_pinhole(
        &self,
        stale: Option<(Handle, CloseReason)>,
        watch: &mut impl Watch,
    ) -> Option<Plan> {
        let domain = self.engine.fib.domain_of(self.arrived.ingress)?;
        let hint = Hint::of(&self.keyed.packet, domain)?;
        let pinhole = self.engine.algs.pinholes.get(&hint, self.now)?;
        let packet = super::translated::bound_for(&self.keyed.packet, pinhole.inside);
        let toward = (pinhole.inside != hint.to).then(|| Toward::announced(pinhole.inside));
        let judge = Judge { packet: &packet, toward, announced: Some(pinhole.speech), ..*self };
        let update = track::open(judge.packet, &self.engine.tracking).ok()?;
        let permitted = judge.permitted_by(pinhole, watch)?;
        if let Some(reason) = judge.gate.and_then(|gate| gate.beginning(judge.vouched)) {
            watch.stage(Stage::Screen, || reason.explain().to_owned());
            return Some(Plan { state: State::Related, ..Plan::drop(reason) });
        }
        let plan = judge.open_permitted(update, permitted, stale, watch);
        Some(Plan { state: State::Related, ..plan })
    }

    /// What the other side was told of the endpoint that the packet in hand comes from, if that is one that
    /// was announced, too: who sends from where it listens must be seen as such.
    #[cold]
    pub(super) fn known_as(&self) -> Option<KnownAs> {
        let Engine { algs, table, fib, .. } = self.engine;
        let domain = fib.domain_of(self.arrived.ingress)?;
        let hint = Hint::of(&self.keyed.packet, domain)?;
        let pinhole = algs.pinholes.get(&hint, self.now)?;
        let (handle, parent) = table.at(pinhole.parent.0)?;
        // A call has no port at who sends: it comes from where its channel does.
        if hint.protocol == wire::Protocol::GRE {
            let sides = alg::Sides::of(parent, table.twin(handle, parent), pinhole.opener);
            return Some(KnownAs { to: (sides.shown.0, 0), takes_port: false });
        }
        let from = (self.packet.source, self.packet.ports()?.0);
        let own = |it: &&Hint| {
            let known = algs.pinholes.get(it, self.now);
            it.protocol == hint.protocol && known.is_some_and(|it| it.inside == from)
        };
        let told = *algs.controls.of(handle, parent)?.hints().find(own)?;
        let takes_port = algs.pinholes.get(&told, self.now)?.takes_port;
        Some(KnownAs { to: told.to, takes_port })
    }

    /// What permits it: the rule of the session that announced it, between the zones of that, if it comes
    /// and leaves by them.
    fn permitted_by(&self, pinhole: &Pinhole, watch: &mut impl Watch) -> Option<Permitted> {
        let engine = self.engine;
        let (place, session) = pinhole.parent;
        let (_, parent) = engine.table.at(place).filter(|(_, it)| it.id == session)?;
        let rule = engine.rule_of(parent)?;
        let Outcome::Forward(way) = self.route(watch) else { return None };
        let of = engine.zones_of(parent);
        let zones = [of[pinhole.opener.index()], of[pinhole.opener.other().index()]];
        let ports = [self.arrived.ingress, way.port];
        if zones != ports.map(|port| engine.policy.zone_of_port(port)) {
            return None;
        }
        watch.stage(Stage::Policy, || {
            let rule = &engine.policy.rule(rule).id;
            format!("announced by session {session}, which rule {rule} permits")
        });
        let [Some(from), Some(to)] = zones else { return None };
        Some(Permitted { way, permission: Permission { rule, zones: [from, to], life: NO_LIFE } })
    }
}
