//! The session table of an engine, as replication asks for it, and a watch over what records do to it.

use cluster_core::replication::{Exported, Imported, Refusal, Row, Sessions};
use engine::record::Record;
use engine::replication::{Imported as Import, Refused};
use engine::session::{CloseReason, SessionId};
use engine::{Engine, record};
use wire::{FlowKey, PlacementKey, Slot, Time, slot};

use super::invariants::monotone::{Monotone, Picture};
use super::topology::SECRET;

/// An engine, asked by its node's replication.
pub(crate) struct Table<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) watch: &'a mut Monotone,
}

/// The slot of a flow.
pub(crate) fn slot_of(key: &FlowKey) -> Slot {
    slot(SECRET, &PlacementKey::of_flow(key))
}

impl Table<'_> {
    fn place_of(&self, key: &FlowKey) -> Option<u32> {
        let table = self.engine.sessions();
        table.find(table.hash(key), key).map(|handle| handle.place())
    }

    fn conflict(&self, key: &FlowKey, kept: SessionId, came: SessionId) -> Imported {
        match self.place_of(key) {
            Some(place) if kept == came => Imported::Applied { place, replaced: true },
            Some(place) => Imported::Stale { place, id: kept },
            None => Imported::Refused(Refusal::Full),
        }
    }

    fn see(&mut self, place: u32) {
        if let Some((_, session)) = self.engine.session_at(place) {
            self.watch.see(self.engine.session_id(session.id), Picture::of(session));
        }
    }
}

impl Sessions for Table<'_> {
    fn export(&mut self, place: u32, now: Time, out: &mut Vec<u8>) -> Option<Exported> {
        let (_, session) = self.engine.session_at(place)?;
        let id = self.engine.session_id(session.id);
        let bytes: [u8; record::LEN] = self.engine.export(place, id, now)?;
        out.extend_from_slice(&bytes);
        // What a run holds is counted in thousands; a driver that lives longer needs more bits here.
        let held_up_to = u32::try_from(self.engine.mark()).unwrap_or(u32::MAX);
        Some(Exported { id, held_up_to })
    }

    fn identity(&self, record: &[u8]) -> Option<SessionId> {
        Record::parse(record).ok().map(|(record, _)| record.id)
    }

    fn import(&mut self, record: &[u8], now: Time) -> Imported {
        let Ok((record, _)) = Record::parse(record) else {
            return Imported::Refused(Refusal::Malformed);
        };
        let imported = match self.engine.import(&record, now) {
            Import::Opened(handle) | Import::Updated(handle) => {
                Imported::Applied { place: handle.place(), replaced: false }
            }
            Import::Stale { place, id } => Imported::Stale { place, id },
            Import::Conflict { kept, .. } => self.conflict(&record.key, kept, record.id),
            Import::Refused(Refused::TableFull | Refused::OriginsFull) => {
                Imported::Refused(Refusal::Full)
            }
            Import::Refused(Refused::NoDomain | Refused::OtherWorker(_) | Refused::Denied) => {
                Imported::Refused(Refusal::Unknown)
            }
            Import::Refused(Refused::OtherInitiator) => Imported::Refused(Refusal::Malformed),
        };
        match imported {
            Imported::Applied { place, .. } | Imported::Stale { place, .. } => self.see(place),
            Imported::Refused(_) => {}
        }
        imported
    }

    fn delete(&mut self, key: &FlowKey, id: SessionId, _: Option<CloseReason>, now: Time) -> bool {
        self.engine.delete_replica(key, id, now)
    }

    fn page(&self, from: u32, places: u32, mut visit: impl FnMut(&Row<'_>)) -> Option<u32> {
        let capacity = self.engine.sessions().capacity() as u32;
        let end = from.saturating_add(places).min(capacity);
        for place in from..end {
            let Some((_, session)) = self.engine.session_at(place) else { continue };
            let id = self.engine.session_id(session.id);
            let (key, word) = (&session.key, self.engine.digest(session));
            visit(&Row { place, id, key, slot: slot_of(key), word });
        }
        (end < capacity).then_some(end)
    }

    fn count(&self) -> u32 {
        self.engine.sessions().len() as u32
    }
}
