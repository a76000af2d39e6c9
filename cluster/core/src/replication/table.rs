//! The sessions of an engine, as replication asks for them.

#[cfg(test)]
mod tests;

use engine::Engine;
use engine::record::Record;
use engine::replication::{Contest, Imported as Import, Refused};
use engine::session::{CloseReason, Flags, Peer, SessionId};
use wire::{FlowKey, Time};

use super::note::Release;
use super::sessions::{Exported, Imported, Refusal, Row, Sessions};

/// An engine, asked by its worker's replication.
#[derive(Debug)]
pub struct Table<'a> {
    /// The engine.
    pub engine: &'a mut Engine,
}

impl Table<'_> {
    /// Lets go what the peer has acknowledged.
    pub fn release(&mut self, release: &Release, now: Time) {
        self.engine.release(release.place, release.id, release.up_to, now);
    }

    /// What came of two sessions of one key.
    fn settled(&self, key: &FlowKey, kept: SessionId, came: SessionId) -> Imported {
        let table = self.engine.sessions();
        let place = table.find(table.hash(key), key).map(|handle| handle.place());
        match place {
            Some(place) if kept == came => Imported::Applied { place, replaced: true },
            Some(place) => Imported::Stale { place, id: kept },
            None => Imported::Refused(Refusal::Full),
        }
    }
}

impl Sessions for Table<'_> {
    fn export(&mut self, place: u32, now: Time, out: &mut Vec<u8>) -> Option<Exported> {
        let (_, session) = self.engine.session_at(place)?;
        let (id, held) = (self.engine.session_id(session.id), session.flags.has(Flags::HELD));
        let held_up_to = if held { self.engine.mark() } else { 0 };
        out.extend_from_slice(&self.engine.export(place, id, now)?);
        self.engine.export_control(place, now, out);
        Some(Exported { id, held_up_to })
    }

    fn identity(&self, record: &[u8]) -> Option<SessionId> {
        Record::parse(record).ok().map(|(record, _)| record.id)
    }

    fn import(&mut self, record: &[u8], contest: Contest, now: Time) -> Imported {
        let bytes = record;
        let Ok((record, len)) = Record::parse(bytes) else {
            return Imported::Refused(Refusal::Malformed);
        };
        match self.engine.import(&record, contest, now) {
            Import::Opened(handle) | Import::Updated(handle) => {
                self.engine.import_control(handle.place(), &bytes[len..], contest, now);
                Imported::Applied { place: handle.place(), replaced: false }
            }
            Import::Stale { place, id } => Imported::Stale { place, id },
            Import::Conflict { kept, ended: _ } => self.settled(&record.key, kept, record.id),
            Import::Refused(refused) => Imported::Refused(refusal(refused)),
        }
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
            let twin = self.engine.twin_of(place);
            let (key, word) = (&session.key, self.engine.digest(session, twin));
            let slot = self.engine.slot_of_session(key, session.direction(Peer::Initiator), twin);
            visit(&Row { place, id, key, slot, word });
        }
        (end < capacity).then_some(end)
    }

    fn count(&self) -> u32 {
        self.engine.sessions().len() as u32
    }
}

const fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::TableFull | Refused::OriginsFull => Refusal::Full,
        Refused::NoDomain | Refused::OtherWorker(_) | Refused::PortTaken | Refused::Denied => {
            Refusal::Unknown
        }
        Refused::OtherInitiator => Refusal::Malformed,
    }
}
