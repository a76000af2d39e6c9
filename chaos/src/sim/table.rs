//! The session table of an engine, as replication asks for it, and a watch over what records do to it.

use cluster_core::replication::{Exported, Imported, Row, Sessions, Table};
use engine::Engine;
use engine::record::Record;
use engine::replication::Contest;
use engine::session::{CloseReason, SessionId};
use wire::{FlowKey, Time};

use super::invariants::monotone::{Monotone, Picture};
use super::planted::Planted;

/// An engine, asked by its node's replication.
pub(crate) struct Watched<'a> {
    table: Table<'a>,
    watch: &'a mut Monotone,
    planted: Planted,
}

impl<'a> Watched<'a> {
    pub(crate) const fn new(
        engine: &'a mut Engine,
        watch: &'a mut Monotone,
        planted: Planted,
    ) -> Self {
        Self { table: Table { engine }, watch, planted }
    }

    fn see(&mut self, place: u32) {
        let engine = &*self.table.engine;
        if let Some((_, session)) = engine.session_at(place) {
            self.watch.see(engine.session_id(session.id), Picture::of(session));
        }
    }
}

impl Sessions for Watched<'_> {
    fn export(&mut self, place: u32, now: Time, out: &mut Vec<u8>) -> Option<Exported> {
        self.table.export(place, now, out)
    }

    fn identity(&self, record: &[u8]) -> Option<SessionId> {
        self.table.identity(record)
    }

    fn import(&mut self, record: &[u8], contest: Contest, now: Time) -> Imported {
        let untranslated = (self.planted == Planted::LosesTranslations)
            .then(|| Record::parse(record).ok())
            .flatten()
            .map(|(record, _)| Record { translated: None, ..record }.to_bytes());
        let record = untranslated.as_deref().unwrap_or(record);
        let imported = self.table.import(record, contest, now);
        match imported {
            Imported::Applied { place, .. } | Imported::Stale { place, .. } => self.see(place),
            Imported::Refused(_) => {}
        }
        imported
    }

    fn delete(
        &mut self,
        key: &FlowKey,
        id: SessionId,
        reason: Option<CloseReason>,
        now: Time,
    ) -> bool {
        self.table.delete(key, id, reason, now)
    }

    fn page(&self, from: u32, places: u32, visit: impl FnMut(&Row<'_>)) -> Option<u32> {
        self.table.page(from, places, visit)
    }

    fn count(&self) -> u32 {
        self.table.count()
    }
}
