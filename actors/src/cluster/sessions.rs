//! The replication machine's view of an engine.

use cluster_core::replication::{
    Exported, Imported, Note, NoteKind, Refusal, Release, Row, Sessions,
};
use engine::Engine;
use engine::record::Record;
use engine::replication::{self as own, Refused};
use engine::session::{CloseReason, Flags, SessionId};
use wire::{FlowKey, PlacementKey, Time, slot};

/// The sessions of one worker.
pub(super) struct Table<'a> {
    pub(super) engine: &'a mut Engine,
    /// Places flows into slots.
    pub(super) secret: [u64; 2],
}

impl Sessions for Table<'_> {
    fn export(&mut self, place: u32, now: Time, out: &mut Vec<u8>) -> Option<Exported> {
        let (_, session) = self.engine.session_at(place)?;
        let (stored, held) = (session.id, session.flags.has(Flags::HELD));
        let id = self.engine.session_id(stored);
        let held_up_to = if held { self.engine.mark() as u32 } else { 0 };
        out.extend(self.engine.export(place, id, now)?);
        Some(Exported { id, held_up_to })
    }

    fn identity(&self, record: &[u8]) -> Option<SessionId> {
        Record::parse(record).ok().map(|(record, _)| record.id)
    }

    fn import(&mut self, record: &[u8], now: Time) -> Imported {
        let Ok((record, _)) = Record::parse(record) else {
            return Imported::Refused(Refusal::Malformed);
        };
        match self.engine.import(&record, now) {
            own::Imported::Opened(handle) | own::Imported::Updated(handle) => {
                Imported::Applied { place: handle.place(), replaced: false }
            }
            own::Imported::Stale { place, id } => Imported::Stale { place, id },
            own::Imported::Conflict { kept, ended: _ } => self.settled(&record, kept),
            own::Imported::Refused(Refused::TableFull) => Imported::Refused(Refusal::Full),
            own::Imported::Refused(
                Refused::OriginsFull
                | Refused::NoDomain
                | Refused::OtherWorker(_)
                | Refused::Denied,
            ) => Imported::Refused(Refusal::Unknown),
            own::Imported::Refused(Refused::OtherInitiator) => {
                Imported::Refused(Refusal::Malformed)
            }
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
            visit(&Row {
                place,
                id: self.engine.session_id(session.id),
                key: &session.key,
                slot: slot(self.secret, &PlacementKey::of_flow(&session.key)),
                word: self.engine.digest(session),
            });
        }
        (end < capacity).then_some(end)
    }

    fn count(&self) -> u32 {
        self.engine.sessions().len() as u32
    }
}

impl Table<'_> {
    /// What came of two sessions of one key.
    fn settled(&self, record: &Record, kept: SessionId) -> Imported {
        let table = self.engine.sessions();
        let Some(handle) = table.find(table.hash(&record.key), &record.key) else {
            return Imported::Refused(Refusal::Full);
        };
        let place = handle.place();
        match kept == record.id {
            true => Imported::Applied { place, replaced: true },
            false => Imported::Stale { place, id: kept },
        }
    }

    /// Lets go what the peer has acknowledged.
    pub(super) fn release(&mut self, release: &Release, now: Time) {
        let mark = widen(release.up_to, self.engine.mark());
        self.engine.release(release.place, release.id, mark, now);
    }
}

/// The 64-bit mark, not after `newest`, whose low half is `low`.
const fn widen(low: u32, newest: u64) -> u64 {
    newest - (newest as u32).wrapping_sub(low) as u64
}

/// A note of the engine in the machine's words.
pub(super) fn note(note: &own::Note) -> Note {
    let kind = match note.kind {
        own::NoteKind::Opened => NoteKind::Opened,
        own::NoteKind::Changed | own::NoteKind::Moved => NoteKind::Changed,
        own::NoteKind::Closed(key, reason) => NoteKind::Closed { key, reason },
    };
    Note { kind, place: note.place, id: note.id, sync: note.sync }
}

#[cfg(test)]
mod tests {
    use super::widen;

    #[test]
    fn a_mark_survives_its_way_to_the_peer() {
        for newest in [5, 0xffff_ffff, 0x1_0000_0003, u64::MAX >> 8] {
            for behind in [0, 1, 4] {
                let mark = newest - behind;
                assert_eq!(widen(mark as u32, newest), mark, "{newest} - {behind}");
            }
        }
    }
}
