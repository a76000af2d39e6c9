//! From a record to a session, new or known.
//!
//! *Which of two sessions of one key.* Of one engine in one run, the one of the higher count is newer.
//! Else there is no order that two clocks would agree upon, and the owner's word counts: a backup takes
//! what comes for its own, an owner keeps what it has, and the other one is a conflict. But after a split
//! both have owned, and the packets went to one of them: then the one that is further on stays, whoever
//! has it, and the owner's word decides between equals only.
//!
//! *Which of two pictures of one session.* Attempt and state, then windows, then packets: each only
//! goes forward, so that records may be repeated and overtake one another. What has no order (the
//! last segment, the rest of the life) goes with the picture that is further on.

use std::cmp::Ordering;
use std::time::Duration;

use wire::Time;

use super::Role;
use crate::engine::Engine;
use crate::policy::LifeIndex;
use crate::record::Record;
use crate::rules::{NO_EPOCH, short_epoch};
use crate::session::{CloseReason, Flags, Opening, Peer, Session, SessionId};
use crate::sweep::Judged;
use crate::table::{self, Handle};
use crate::tcp::{Standing, State};
use crate::{RuleIndex, WorkerId, ZoneId};

use super::origins::Origins;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// A session came to be.
    Opened(Handle),
    /// The session was known, and nothing here is further on.
    Updated(Handle),
    /// What is here is further on, whatever else the record told: its sender wants to know.
    Stale {
        /// The session's place.
        place: u32,
        /// Its name.
        id: SessionId,
    },
    /// Two nodes opened sessions of one key; one of them has ended.
    Conflict {
        /// It lives here.
        kept: SessionId,
        /// It is over.
        ended: SessionId,
    },
    /// Nothing came of it.
    Refused(Refused),
}

/// Which of two sessions of one key stays, if two nodes opened them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contest {
    /// The owner's.
    Owners,
    /// The one that is further on; of equals the owner's. Both nodes have owned.
    Further,
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its place in the table is taken.
    TableFull,
    /// Sessions of too many engines are here.
    OriginsFull,
    /// No port is of its routing domain.
    NoDomain,
    /// Its slot belongs to another worker.
    OtherWorker(WorkerId),
    /// Another session's packets look like its own, translated: two nodes have given one port.
    PortTaken,
    /// The session of its name was opened from the other side.
    OtherInitiator,
    /// The owner's policy, which is another than the record's, does not permit it: it has ended.
    Denied,
}

impl Engine {
    /// Takes a record over.
    pub fn import(&mut self, record: &Record, contest: Contest, now: Time) -> Imported {
        let imported = self.take_in(record, contest, now);
        let imported = match self.replication.role {
            Role::Owner => self.judged(imported, record, now),
            Role::Backup => imported,
        };
        if let Imported::Opened(handle) | Imported::Updated(handle) = imported {
            self.want_next_hops(handle);
        }
        let counters = &mut self.replication.counters;
        *match imported {
            Imported::Opened(_) => &mut counters.opened,
            Imported::Updated(_) => &mut counters.updated,
            Imported::Stale { .. } => &mut counters.stale,
            Imported::Conflict { .. } => &mut counters.conflicts,
            Imported::Refused(_) => &mut counters.refused,
        } += 1;
        imported
    }

    /// Judges what came to an owner under another policy, between the zones that the record names. Its
    /// next packet may never come, and until it is judged no other node can tell it alike.
    fn judged(&mut self, imported: Imported, record: &Record, now: Time) -> Imported {
        let handle = self.table.find(self.table.hash(&record.key), &record.key);
        let found = handle.and_then(|handle| Some((handle, *self.table.get(handle)?)));
        let Some((handle, session)) = found.filter(|(_, it)| it.epoch == NO_EPOCH) else {
            return imported;
        };
        let zones = record.zones.map(|zone| self.policy.zone_named(zone));
        let zones = zones.iter().all(Option::is_some).then_some(zones);
        match self.judge_again(handle, &session, zones, now) {
            Judged::Lives | Judged::Waits => imported,
            Judged::Ended => Imported::Refused(Refused::Denied),
        }
    }

    /// Ends the replica of session `id`, whose owner has ended it. A session of another name under the
    /// same key stays, and an owner is told by nobody.
    pub fn delete_replica(&mut self, key: &wire::FlowKey, id: SessionId, now: Time) -> bool {
        let found = self.table.find(self.table.hash(key), key);
        let Some((handle, session)) = found.and_then(|it| Some((it, self.table.get(it)?))) else {
            return false;
        };
        let same = self.replication.origins.name(session.id) == id;
        if !same || self.replication.role == Role::Owner {
            return false;
        }
        self.close(handle, session.expiry_reason(), now);
        self.replication.counters.deleted += 1;
        true
    }

    fn take_in(&mut self, record: &Record, contest: Contest, now: Time) -> Imported {
        if let Some(refused) = self.refuses(record) {
            return Imported::Refused(refused);
        }
        let hash = self.table.hash(&record.key);
        let Some(handle) = self.table.find(hash, &record.key) else {
            return self.open_replica(record, hash, now);
        };
        let Some(id) = self.replication.origins.store(record.id) else {
            return Imported::Refused(Refused::OriginsFull);
        };
        let Some(here) = self.table.get(handle).copied() else {
            return Imported::Refused(Refused::TableFull);
        };
        if here.id == id {
            if here.direction(Peer::Initiator) != record.initiator {
                return Imported::Refused(Refused::OtherInitiator);
            }
            return self.merge(handle, &here, record, now);
        }
        if !Origins::is_same(here.id, id) && self.stays(&here, record, contest, now) {
            let kept = self.replication.origins.name(here.id);
            return Imported::Conflict { kept, ended: record.id };
        }
        self.choose(handle, &here, id, record, now)
    }

    /// Whether the session here, of another engine than the record's, is the one of both that stays.
    fn stays(&self, here: &Session, record: &Record, contest: Contest, now: Time) -> bool {
        let owner = match self.replication.role {
            Role::Owner => Ordering::Greater,
            Role::Backup => Ordering::Less,
        };
        let order = match contest {
            Contest::Owners => owner,
            Contest::Further => {
                let there = (record.tcp.state(), record.flags.has(Flags::REPLY_SEEN));
                let here = (here.tcp.state(), here.flags.has(Flags::REPLY_SEEN));
                progress(here).cmp(&progress(there)).then(owner)
            }
        };
        order.is_gt() && self.replication.ends(here) > now
    }

    /// Another session of the same key.
    fn choose(
        &mut self,
        handle: Handle,
        here: &Session,
        id: u64,
        record: &Record,
        now: Time,
    ) -> Imported {
        let name = self.replication.origins.name(here.id);
        let hash = self.table.hash(&record.key);
        if Origins::is_same(here.id, id) {
            if here.id > id {
                return Imported::Stale { place: handle.place(), id: name };
            }
            self.close(handle, CloseReason::Reopened, now);
            return self.open_replica(record, hash, now);
        }
        self.close(handle, CloseReason::Conflict, now);
        match self.open_replica(record, hash, now) {
            Imported::Opened(_) => Imported::Conflict { kept: record.id, ended: name },
            refused @ (Imported::Updated(_)
            | Imported::Stale { .. }
            | Imported::Conflict { .. }
            | Imported::Refused(_)) => refused,
        }
    }

    fn refuses(&self, record: &Record) -> Option<Refused> {
        let domain = record.key.domain();
        if !self.settings.ports.iter().any(|port| port.domain == domain) {
            return Some(Refused::NoDomain);
        }
        // What a control channel has announced is where that is.
        if self.owns_all || record.conversation != record.id {
            return None;
        }
        let twin =
            record.translated.as_ref().map(|it| self.twin_by(&record.key, record.initiator, it));
        let slot = self.slot_of_session(&record.key, record.initiator, twin.as_ref());
        self.worker_of(slot).map(Refused::OtherWorker)
    }

    fn open_replica(&mut self, record: &Record, hash: u64, now: Time) -> Imported {
        let Some(session) = self.replica(record, now) else {
            return Imported::Refused(Refused::OriginsFull);
        };
        if let Some(translated) = &record.translated {
            self.table.reserve_twins();
            let second = self.table.hash(&translated.key);
            let child = session.is_child();
            if !self.table.twin_room(second, &translated.key, None, child) {
                self.nat.counters.twice += 1;
                return Imported::Refused(Refused::PortTaken);
            }
            if let Some(other) = self.table.in_the_way(second, &translated.key, child) {
                self.close(other, CloseReason::Reopened, now);
            }
        }
        if self.table.room(hash) == Err(table::Refused::Full)
            && let Some(victim) = self.table.victim(hash)
        {
            self.close(victim, CloseReason::Evicted, now);
        }
        let Ok(handle) = self.table.insert(hash, &session) else {
            return Imported::Refused(Refused::TableFull);
        };
        self.learn_proxied(handle, record);
        if let Some(translated) = &record.translated {
            let twin = self.twin_by(&record.key, record.initiator, translated);
            self.replicate_translation(handle, &session, twin);
        }
        self.algs.begin_child(&session, self.table.twin(handle, &session));
        self.replication.origins.hold(session.id);
        self.replication.origins.hold(session.conversation);
        self.rules.begun(&session);
        self.observe_import(handle, None);
        self.ledger.opened();
        self.replication.lags.reserve(self.table.capacity());
        self.replication.lags.learn(handle, None, &session, now);
        Imported::Opened(handle)
    }

    /// Takes over how a session's packets are translated, unless more is known here.
    fn learn_proxied(&mut self, handle: Handle, record: &Record) {
        let Some(there) = &record.proxied else { return };
        self.proxies.reserve(self.table.capacity());
        let Some(session) = self.table.get_mut(handle) else { return };
        if there.is_newer_than(self.proxies.of(handle, session).as_ref()) {
            session.flags.set(Flags::PROXIED, true);
            session.forget_egress();
            self.proxies.set(handle, there);
        }
    }

    /// The session that a record is of, as it would be here. `None` if its origin finds no place.
    fn replica(&mut self, record: &Record, now: Time) -> Option<Session> {
        let origins = &mut self.replication.origins;
        let id = origins.store(record.id)?;
        // The first name must not lose its place to the second.
        origins.hold(id);
        let conversation = origins.store(record.conversation);
        origins.let_go(id);
        let conversation = conversation?;
        let Terms { rule, epoch, zones, life } = self.terms(record);
        let direction = record.initiator;
        let opening = Opening { key: record.key, direction, id, rule, epoch, zones };
        let created = Time(now.0.saturating_sub(nanos(record.age)));
        let mut session = Session::new(&opening, created);
        (session.conversation, session.life) = (conversation, life);
        session.flags = session.flags.with(record.flags);
        session.set_query(record.query);
        if epoch != NO_EPOCH {
            session.flags.set(Flags::LOG_CLOSE, self.policy.rule(rule).log_close);
        }
        (session.tcp, session.close_reason) = (record.tcp, record.close_reason);
        (session.packets, session.bytes) = (record.packets, record.bytes);
        session.see(Time(now.0.saturating_sub(nanos(record.idle))));
        session.deadline = now + record.remaining;
        Some(session)
    }

    /// What the policy in force says of the session. Under another policy than the record's, or without
    /// its rule, it is of no epoch, and its next packet is judged anew.
    fn terms(&self, record: &Record) -> Terms {
        let policy = &self.policy;
        let unknown = Terms { rule: RuleIndex(0), epoch: NO_EPOCH, zones: [ZoneId(0); 2], life: 0 };
        let life = match record.own_life {
            None => Some(0),
            Some(life) => {
                // In the list a life has its full length, in the record whole milliseconds.
                let is_it = |own: &Duration| own.as_millis() == life.as_millis();
                let place = policy.own_lives().iter().position(is_it);
                place.map(|place| place as LifeIndex + 1)
            }
        };
        let epoch = short_epoch(policy);
        let [a, b] = record.zones.map(|zone| policy.zone_named(zone));
        match (policy.rule_named(record.rule), a, b, life) {
            (Some(rule), Some(a), Some(b), Some(life)) if record.epoch == epoch => {
                Terms { rule, epoch, zones: [a, b], life }
            }
            _ => unknown,
        }
    }

    /// Another picture of a session that is here.
    fn merge(&mut self, handle: Handle, here: &Session, record: &Record, now: Time) -> Imported {
        let Some(there) = self.replica(record, now) else {
            return Imported::Refused(Refused::OriginsFull);
        };
        let standing = standing(here, &there);
        let merged = merged(here, &there, short_epoch(&self.policy));
        if let Some(session) = self.table.get_mut(handle) {
            *session = merged;
        }
        self.learn_proxied(handle, record);
        self.rules.ended(here);
        self.rules.begun(&merged);
        self.observe_import(handle, Some(here));
        self.table.rearm(handle);
        let made = merged.created + record.age;
        self.replication.lags.reserve(self.table.capacity());
        self.replication.lags.learn(handle, Some(here), &merged, made);
        match standing.ahead {
            true => Imported::Stale { place: handle.place(), id: record.id },
            false => Imported::Updated(handle),
        }
    }
}

/// Under which rule a session lives.
struct Terms {
    rule: RuleIndex,
    epoch: u32,
    zones: [ZoneId; 2],
    life: LifeIndex,
}

/// What decides about packets: which picture of a session is further on.
fn standing(here: &Session, there: &Session) -> Standing {
    let mut standing = here.tcp.standing(&there.tcp);
    for flag in [Flags::REPLY_SEEN, Flags::ASSURED] {
        let (a, b) = (here.flags.has(flag), there.flags.has(flag));
        standing.ahead |= a && !b;
        standing.behind |= b && !a;
    }
    standing
}

/// What both pictures know.
fn merged(here: &Session, there: &Session, epoch: u32) -> Session {
    let newer = is_newer(there, here);
    let mut session = *here;
    session.tcp = here.tcp.merged(&there.tcp, !newer);
    let known = [Flags::REPLY_SEEN, Flags::ASSURED].into_iter().filter(|it| there.flags.has(*it));
    for flag in known {
        session.flags.set(flag, true);
    }
    there.query().into_iter().for_each(|kind| session.set_query(kind));
    for side in 0..2 {
        session.packets[side] = here.packets[side].max(there.packets[side]);
        session.bytes[side] = here.bytes[side].max(there.bytes[side]);
    }
    let seen = if newer { there.last_seen() } else { here.last_seen() };
    session.created = here.created.min(there.created);
    session.see(seen);
    if newer {
        (session.deadline, session.close_reason) = (there.deadline, there.close_reason);
    }
    let known_here = here.epoch == epoch;
    if there.epoch == epoch && (newer || !known_here) {
        (session.epoch, session.rule) = (there.epoch, there.rule);
        (session.zones, session.life) = (there.zones, there.life);
        for flag in [Flags::BOTH_MAY_OPEN, Flags::LOG_CLOSE] {
            session.flags.set(flag, there.flags.has(flag));
        }
    }
    session
}

/// Whether `a` is the later picture: further on, or with more packets.
fn is_newer(a: &Session, b: &Session) -> bool {
    let Standing { ahead, behind } = a.tcp.standing(&b.tcp);
    let packets = |session: &Session| session.packets[0].saturating_add(session.packets[1]);
    match (ahead, behind) {
        (true, false) => true,
        (false, true) => false,
        (false, false) | (true, true) => packets(a) > packets(b),
    }
}

/// How far a session has come, of which another node has another one: a connection that is over counts
/// for nothing, and one that is open for more than one that has only begun.
const fn progress((state, answered): (State, bool)) -> u8 {
    match state {
        State::TimeWait | State::Close => 0,
        State::SynSent | State::SynSent2 => 1,
        State::SynReceived | State::PickedUp => 2,
        State::Established | State::FinWait | State::CloseWait | State::LastAck => 3,
        State::None if answered => 2,
        State::None => 1,
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
