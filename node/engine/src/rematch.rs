//! What becomes of a session when the policy has changed: the same words for its next packet
//! and for the sweep, whichever comes first.

use config::{Action, OnChange};

use crate::engine::Engine;
use crate::pipeline::{NO_LIFE, Permission};
use crate::policy::{Decision, Question};
use crate::session::{Peer, Session};
use crate::{RuleIndex, ZoneId};

/// The outcome of a look at a session of an older epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rematch {
    /// Not to be told now; the rule is where the session's own is today.
    Postponed(Option<RuleIndex>),
    /// Its rule keeps it, though a port that it uses is in no zone now, or in none that is known: so it
    /// stays of the epoch that it was of.
    Kept(RuleIndex),
    Permitted(Permission),
    Refused(Option<RuleIndex>),
}

/// Judges a session of an older epoch. `zones` are those of initiator and responder today, if both
/// peers' ports are known; `question` is the one that its first packet would raise between them.
pub(crate) fn judge(
    engine: &Engine,
    session: &Session,
    zones: Option<[Option<ZoneId>; 2]>,
    question: impl FnOnce([ZoneId; 2]) -> Option<Question>,
) -> Rematch {
    let known = engine.rules.now(session.epoch, session.rule);
    let on_change = known.map_or(OnChange::Rematch, |rule| engine.policy.rule(rule).on_change);
    if let (OnChange::Kill, Some(_)) = (on_change, known) {
        return Rematch::Refused(known);
    }
    let zones = match (on_change, known, zones) {
        (OnChange::Keep, Some(rule), None) => return Rematch::Kept(rule),
        (_, _, None) => return Rematch::Postponed(known),
        (_, _, Some(zones)) => zones,
    };
    if session.is_child() {
        return judge_child(engine, session, (on_change, known), zones);
    }
    match (on_change, known, zones) {
        (OnChange::Keep, Some(rule), [Some(initiator), Some(responder)]) => {
            let zones = [initiator, responder];
            let life = question(zones).map_or(0, |question| engine.policy.life(rule, &question));
            Rematch::Permitted(Permission { rule, zones, life })
        }
        (OnChange::Keep, Some(rule), _) => Rematch::Kept(rule),
        (_, _, [Some(initiator), Some(responder)]) => {
            let zones = [initiator, responder];
            question(zones)
                .map_or(Rematch::Postponed(known), |question| ask(engine, &question, zones))
        }
        (_, _, [None, _] | [_, None]) => Rematch::Refused(None),
    }
}

/// Judges a session that another one has announced: no rule was asked for its first packet, and none would
/// permit it. It lives as long as the rule of its parent permits anything, between the same two zones.
fn judge_child(
    engine: &Engine,
    session: &Session,
    (on_change, known): (OnChange, Option<RuleIndex>),
    zones: [Option<ZoneId>; 2],
) -> Rematch {
    let Some(rule) = known else { return Rematch::Refused(None) };
    let keeps = on_change == OnChange::Keep;
    let [Some(initiator), Some(responder)] = zones else {
        return if keeps { Rematch::Kept(rule) } else { Rematch::Refused(None) };
    };
    let zones = [initiator, responder];
    let before = session.zones.map(|zone| engine.rules.zone_now(session.epoch, zone));
    let moved =
        before.into_iter().zip(zones).any(|(before, now)| before.is_some_and(|it| it != now));
    let permits = engine.policy.rule(rule).action == Action::Permit;
    if !keeps && (moved || !permits) {
        return Rematch::Refused(known);
    }
    Rematch::Permitted(Permission { rule, zones, life: NO_LIFE })
}

/// The zone of a peer of an older epoch's session today. Zones are numbered anew with each policy, and
/// a port may have changed its zone: the port that leads to the peer tells, and the name of its old
/// zone as long as there is none. `None` if neither does; the inner `None` is a port without a zone.
pub(crate) fn zone_today(engine: &Engine, session: &Session, peer: Peer) -> Option<Option<ZoneId>> {
    match session.last_egress(peer.other()) {
        Some(egress) => Some(engine.policy.zone_of_port(egress.port)),
        None => engine.rules.zone_now(session.epoch, session.zones[peer.index()]).map(Some),
    }
}

/// Asks the policy in force.
fn ask(engine: &Engine, question: &Question, zones: [ZoneId; 2]) -> Rematch {
    match engine.policy.judge(question) {
        Decision::Permit(rule) => {
            let life = engine.policy.life(rule, question);
            Rematch::Permitted(Permission { rule, zones, life })
        }
        Decision::Deny(rule) | Decision::Reject(rule) => Rematch::Refused(Some(rule)),
        Decision::NoRule => Rematch::Refused(None),
    }
}
