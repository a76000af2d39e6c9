//! The revisions that are kept, and their texts.

use std::collections::{BTreeMap, VecDeque};

use super::command::Stamp;
use crate::limits::{REVISIONS_BYTES, REVISIONS_KEPT};
use crate::policy::{Epoch, Line, PolicyText, Version};

/// A revision: what was in force once, or is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its epoch, and which revision brought its text.
    pub version: Version,
    /// What was running when it was proposed.
    pub base: Epoch,
    /// The file that it came from.
    pub file: Line,
    /// The author's remark, or nothing.
    pub comment: Line,
    /// Who proposed it, and when.
    pub stamp: Stamp,
}

/// Revisions in their order, and each text once, under the epoch that brought it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Shelf {
    pub(in crate::policy) revisions: VecDeque<Revision>,
    pub(in crate::policy) texts: BTreeMap<Epoch, PolicyText>,
}

impl Shelf {
    pub(in crate::policy) fn get(&self, epoch: Epoch) -> Option<&Revision> {
        let at = self.revisions.binary_search_by_key(&epoch, |it| it.version.epoch).ok()?;
        self.revisions.get(at)
    }

    /// Takes a revision in, and forgets what is beyond the limits: the oldest first, never those in
    /// `needed`. Texts that nobody refers to go, too.
    pub(super) fn push(&mut self, revision: Revision, needed: &[Epoch]) {
        self.revisions.push_back(revision);
        while self.is_too_large() && self.forget_one(needed) {}
    }

    /// Drops the texts that no revision refers to; a proposal that goes leaves one.
    pub(super) fn sweep(&mut self) {
        let revisions = &self.revisions;
        let used = |source| revisions.iter().any(|it| it.version.source == source);
        self.texts.retain(|source, _| used(*source));
    }

    fn is_too_large(&self) -> bool {
        self.revisions.len() > REVISIONS_KEPT || self.bytes() > REVISIONS_BYTES
    }

    fn bytes(&self) -> usize {
        self.texts.values().map(|text| text.as_str().len()).sum()
    }

    fn forget_one(&mut self, needed: &[Epoch]) -> bool {
        let free = |it: &Revision| !needed.contains(&it.version.epoch);
        let Some(at) = self.revisions.iter().position(free) else { return false };
        self.revisions.remove(at);
        self.sweep();
        true
    }
}
