//! From a session to its record.

use wire::Time;

use super::Replication;
use crate::engine::Engine;
use crate::record::{self, Record};
use crate::rules::short_epoch;
use crate::session::{Flags, Peer, Session, SessionId};
use crate::table::{Handle, Twin};

/// A record as bytes.
pub type Exported = record::Bytes;

impl Engine {
    /// The record of the session in `place`, if it still is session `id`. From now on its next
    /// packet leaves a note.
    pub fn export(&mut self, place: u32, id: SessionId, now: Time) -> Option<Exported> {
        let (handle, session) = self.table.at(place)?;
        if self.replication.origins.name(session.id) != id {
            return None;
        }
        let record = Record {
            proxied: self.proxies.of(handle, session),
            translated: self.table.twin(handle, session).map(|twin| self.translated(twin)),
            ..self.record(session, now)
        };
        if self.replication.connected {
            let session = self.table.get_mut(handle)?;
            session.flags.set(Flags::EXPORTED, true);
            // So that the next packets go the long way, where the first of them leaves a note.
            session.forget_egress();
        }
        Some(record.to_bytes())
    }

    /// The session as another node may see it, but for how it is translated.
    #[must_use]
    pub fn record(&self, session: &Session, now: Time) -> Record {
        let policy = &self.policy;
        let current = session.epoch == short_epoch(policy);
        let rule = self.rule_of(session).map_or(0, |rule| policy.name_of_rule(rule));
        let zone = |peer: Peer| {
            let zone = session.zones[peer.index()];
            let today = if current { Some(zone) } else { self.rules.zone_now(session.epoch, zone) };
            today.map_or(0, |zone| policy.name_of_zone(zone))
        };
        let own = usize::from(session.life).checked_sub(1).filter(|_| current);
        let Replication { origins, .. } = &self.replication;
        Record {
            key: session.key,
            initiator: session.direction(Peer::Initiator),
            id: origins.name(session.id),
            conversation: origins.name(session.conversation),
            flags: session.flags,
            tcp: session.tcp,
            close_reason: session.close_reason,
            query: session.query().unwrap_or(0),
            packets: session.packets,
            bytes: session.bytes,
            rule,
            epoch: session.epoch,
            zones: Peer::BOTH.map(zone),
            age: session.age(now),
            idle: now.since(session.last_seen()).min(session.age(now)),
            remaining: self.replication.ends(session).since(now),
            own_life: own.and_then(|place| policy.own_lives().get(place)).copied(),
            proxied: None,
            translated: None,
        }
    }

    /// A word that two nodes have in common of a session that both know alike: of its key, identity,
    /// state class, translation and rule. Counters, windows and times differ at any moment.
    #[must_use]
    pub fn digest(&self, session: &Session, twin: Option<&Twin>) -> u64 {
        let id = self.replication.origins.name(session.id);
        let rule = self.rule_of(session).map_or(0, |rule| self.policy.name_of_rule(rule));
        let words = [
            u64::from(id.node) << 32 | u64::from(id.boot),
            id.counter,
            u64::from(session.tcp.state().class()),
            rule,
        ];
        let key =
            session.key.as_bytes().as_chunks::<8>().0.iter().map(|it| u64::from_be_bytes(*it));
        let own = key.chain(words).fold(0, |hash, word| mix(hash ^ word));
        let Some(twin) = twin else { return own };
        let beyond = twin.key.as_bytes().as_chunks::<8>().0.iter();
        beyond.map(|it| u64::from_be_bytes(*it)).fold(own, |hash, word| mix(hash ^ word))
    }

    /// The session of a place, if there is one.
    #[must_use]
    pub fn session_at(&self, place: u32) -> Option<(Handle, &Session)> {
        self.table.at(place)
    }
}

/// The finaliser of MurmurHash3 (public domain): every bit counts for every other, so that words can
/// be summed.
const fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}
