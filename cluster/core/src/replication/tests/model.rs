//! A session table as slow as can be, which keeps count of what must never happen.

use core::hash::{BuildHasher, Hash};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};

use engine::replication::{Contest, Note, NoteKind};
use engine::session::{CloseReason, SessionId};
use wire::{FlowKey, Protocol, SLOTS, Slot, Time};

use crate::replication::keyed::Keyed;
use crate::replication::{Exported, Imported, Refusal, Row, Sessions};

/// A session of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: FlowKey,
    pub(crate) id: SessionId,
    /// Its state: only ever rises.
    pub(crate) rank: u8,
    /// Its window: only ever rises.
    pub(crate) window: u32,
    /// How many of its packets were held so far.
    pub(crate) held: u32,
}

/// A node's table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) places: Vec<Option<Entry>>,
    by_key: BTreeMap<FlowKey, u32>,
    node: u16,
    boot: u32,
    counter: u64,
    /// Notes for the sender.
    pub(crate) notes: VecDeque<Note>,
    /// Packets held, by session: from the first that is still held to the last.
    pub(crate) holding: BTreeMap<SessionId, (u32, u32)>,
    /// The last held packet of each session whose effects a record told.
    pub(crate) seen: BTreeMap<SessionId, u32>,
    /// The furthest state of each session that ever was here.
    best: BTreeMap<SessionId, (u8, u32)>,
    /// Sessions that ended here, by a packet or by the peer's delete.
    ended: BTreeSet<SessionId>,
    /// Sessions that lived again after their end.
    pub(crate) resurrected: Vec<SessionId>,
    /// Sessions that went back to an earlier state.
    pub(crate) went_back: Vec<SessionId>,
    /// Sessions closed for another one of the same key.
    pub(crate) losers: Vec<SessionId>,
}

/// The key of flow `n`.
pub(crate) fn key(n: u16) -> FlowKey {
    let host = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    FlowKey::new(0, Protocol(17), (host(1), n), (host(2), 53)).0
}

/// The slot of a key.
pub(crate) fn slot(key: &FlowKey) -> Slot {
    Slot((Keyed::new(1).hash_one(key.as_bytes()) % u64::from(SLOTS)) as u16)
}

pub(crate) const RECORD_BYTES: usize = 40 + 14 + 1 + 4 + 4;

impl Entry {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(&self.id.node.to_be_bytes());
        out.extend_from_slice(&self.id.boot.to_be_bytes());
        out.extend_from_slice(&self.id.counter.to_be_bytes());
        out.push(self.rank);
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&self.held.to_be_bytes());
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; RECORD_BYTES] = bytes.try_into().ok()?;
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let id = SessionId {
            node: u16::from_be_bytes([bytes[40], bytes[41]]),
            boot: number(42),
            counter: u64::from_be_bytes(bytes[46..54].try_into().unwrap()),
        };
        let key = FlowKey::from_bytes(bytes[..40].try_into().unwrap())?;
        Some(Self { key, id, rank: bytes[54], window: number(55), held: number(59) })
    }

    /// What digests see of it.
    fn word(&self) -> u64 {
        let mut hasher = Keyed::new(2).build_hasher();
        (self.key.as_bytes(), self.id, self.rank).hash(&mut hasher);
        core::hash::Hasher::finish(&hasher)
    }
}

impl Table {
    pub(crate) fn new(node: u16, boot: u32, places: u32) -> Self {
        Self {
            places: vec![None; places as usize],
            by_key: BTreeMap::new(),
            node,
            boot,
            counter: 0,
            notes: VecDeque::new(),
            holding: BTreeMap::new(),
            seen: BTreeMap::new(),
            best: BTreeMap::new(),
            ended: BTreeSet::new(),
            resurrected: Vec::new(),
            went_back: Vec::new(),
            losers: Vec::new(),
        }
    }

    /// The first packet of flow `n`, if it has no session and there is room.
    pub(crate) fn open(&mut self, n: u16, sync: bool) -> Option<SessionId> {
        let key = key(n);
        if self.by_key.contains_key(&key) {
            return None;
        }
        self.counter += 1;
        let id = SessionId { node: self.node, boot: self.boot, counter: self.counter };
        let entry = Entry { key, id, rank: 1, window: 1, held: 0 };
        let place = self.insert(entry)?;
        self.note(NoteKind::Opened, place, sync);
        Some(id)
    }

    /// A packet of flow `n`, if it has a session: it moves the window, and perhaps the state.
    pub(crate) fn change(&mut self, n: u16, state: bool, sync: bool) {
        let Some(place) = self.by_key.get(&key(n)).copied() else { return };
        let entry = self.places[place as usize].as_mut().expect("the map points at sessions");
        entry.window += 1;
        entry.rank += u8::from(state && entry.rank < u8::MAX);
        self.saw(place);
        self.note(NoteKind::Changed, place, sync);
    }

    /// The session of flow `n` ends.
    pub(crate) fn close(&mut self, n: u16, reason: CloseReason) {
        let Some(entry) = self.take(&key(n)) else { return };
        self.ended.insert(entry.1.id);
        let kind = NoteKind::Closed(entry.1.key, reason);
        self.notes.push_back(Note { kind, place: entry.0, id: entry.1.id, sync: false });
    }

    pub(crate) fn release(&mut self, id: SessionId, up_to: u64) {
        let Some((_, last)) = self.holding.get(&id).copied() else { return };
        let up_to = u32::try_from(up_to).unwrap_or(u32::MAX);
        if up_to >= last {
            self.holding.remove(&id);
        } else {
            self.holding.insert(id, (up_to + 1, last));
        }
    }

    /// The sessions, by key.
    pub(crate) fn sessions(&self) -> BTreeMap<FlowKey, Entry> {
        self.places.iter().flatten().map(|entry| (entry.key, *entry)).collect()
    }

    pub(crate) fn get(&self, n: u16) -> Option<Entry> {
        let place = self.by_key.get(&key(n))?;
        self.places[*place as usize]
    }

    /// Loses a session without a word, as a mistake would.
    pub(crate) fn lose(&mut self, n: u16) {
        self.take(&key(n));
    }

    fn note(&mut self, kind: NoteKind, place: u32, sync: bool) {
        let entry = self.places[place as usize].as_mut().expect("noted where it is");
        if sync {
            entry.held += 1;
            let holds = self.holding.entry(entry.id).or_insert((entry.held, entry.held));
            holds.1 = entry.held;
        }
        self.notes.push_back(Note { kind, place, id: entry.id, sync });
    }

    fn insert(&mut self, entry: Entry) -> Option<u32> {
        let place = self.places.iter().position(Option::is_none)?;
        self.places[place] = Some(entry);
        self.by_key.insert(entry.key, place as u32);
        if self.ended.contains(&entry.id) {
            self.resurrected.push(entry.id);
        }
        self.saw(place as u32);
        Some(place as u32)
    }

    fn saw(&mut self, place: u32) {
        let entry = self.places[place as usize].expect("seen where it is");
        let best = self.best.entry(entry.id).or_default();
        if entry.rank < best.0 {
            self.went_back.push(entry.id);
        }
        *best = (best.0.max(entry.rank), best.1.max(entry.window));
    }

    fn take(&mut self, key: &FlowKey) -> Option<(u32, Entry)> {
        let place = self.by_key.remove(key)?;
        let entry = self.places[place as usize].take()?;
        self.holding.remove(&entry.id);
        Some((place, entry))
    }
}

impl Sessions for Table {
    fn export(&mut self, place: u32, _: Time, out: &mut Vec<u8>) -> Option<Exported> {
        let entry = self.places.get(place as usize)?.as_ref()?;
        entry.write(out);
        let held_up_to = self.holding.get(&entry.id).map_or(0, |(_, last)| u64::from(*last));
        Some(Exported { id: entry.id, held_up_to })
    }

    fn identity(&self, record: &[u8]) -> Option<SessionId> {
        Entry::read(record).map(|entry| entry.id)
    }

    fn import(&mut self, record: &[u8], contest: Contest, _: Time) -> Imported {
        let Some(new) = Entry::read(record) else { return Imported::Refused(Refusal::Malformed) };
        let seen = self.seen.entry(new.id).or_default();
        *seen = (*seen).max(new.held);
        let Some(place) = self.by_key.get(&new.key).copied() else {
            return match self.insert(new) {
                Some(place) => Imported::Applied { place, replaced: false },
                None => Imported::Refused(Refusal::Full),
            };
        };
        let old = self.places[place as usize].as_mut().expect("the map points at sessions");
        if new.id == old.id {
            let stale = new.rank <= old.rank && new.window < old.window;
            (old.rank, old.window) = (old.rank.max(new.rank), old.window.max(new.window));
            self.saw(place);
            return match stale {
                true => Imported::Stale { place, id: new.id },
                false => Imported::Applied { place, replaced: false },
            };
        }
        let strength = |it: &Entry| match contest {
            Contest::Owners => (false, it.id),
            Contest::Further => (it.rank > 1, it.id),
        };
        if strength(&new) < strength(old) {
            return Imported::Stale { place, id: old.id };
        }
        self.losers.push(old.id);
        self.take(&new.key);
        let place = self.insert(new).expect("a place was just left");
        Imported::Applied { place, replaced: true }
    }

    fn delete(
        &mut self,
        key: &FlowKey,
        id: SessionId,
        reason: Option<CloseReason>,
        _: Time,
    ) -> bool {
        if reason.is_some() {
            self.ended.insert(id);
        }
        let here = self.by_key.get(key).and_then(|place| self.places[*place as usize]);
        let same = here.is_some_and(|entry| entry.id == id);
        same && self.take(key).is_some()
    }

    fn page(&self, from: u32, places: u32, mut visit: impl FnMut(&Row<'_>)) -> Option<u32> {
        let end = self.places.len().min((from + places) as usize);
        for place in from as usize..end {
            let Some(entry) = &self.places[place] else { continue };
            let (id, key) = (entry.id, &entry.key);
            visit(&Row { place: place as u32, id, key, slot: slot(key), word: entry.word() });
        }
        (end < self.places.len()).then_some(end as u32)
    }

    fn count(&self) -> u32 {
        self.by_key.len() as u32
    }
}
