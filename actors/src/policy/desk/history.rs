//! What was in force before, and how it differs: from the log, compared on a thread that may take its time.

use std::sync::Arc;

use cluster_core::policy::log::{Cause, Revision};
use cluster_core::policy::{Epoch, Log, Outcome, Version};
use config::api::{self, Comparison, Error, History, RevisionKind};
use config::limits::CHANGES_TOLD;

use super::{Desk, blocking};
use crate::policy::compile;
use crate::policy::limits::COUNTED_BYTES;
use crate::policy::room::ALONE;
use crate::policy::say;

/// A revision's file and text, to be parsed elsewhere.
pub(super) struct Source {
    epoch: Epoch,
    file: String,
    text: Option<String>,
}

impl Desk {
    /// All revisions that are kept, and what was decided lately; the newest first.
    pub(crate) async fn history(&self) -> Result<History, Error> {
        let (revisions, sources, events) = self.raft.look(|log, _| {
            let revisions: Vec<_> = log.revisions().rev().map(|it| label(log, it)).collect();
            let sources: Vec<_> = log.revisions().rev().map(|it| counted(log, it)).collect();
            let events: Vec<_> = log.changes().rev().map(event).collect();
            (revisions, sources, events)
        });
        let count = move || {
            let counted = revisions.into_iter().zip(sources).map(|(revision, sources)| {
                let changes = sources.and_then(|[old, new]| {
                    let [old, new] = [old.parse().ok()?, new.parse().ok()?];
                    Some(config::diff(&old, &new).len())
                });
                api::Revision { changes, ..revision }
            });
            Ok(History { revisions: counted.collect(), events })
        };
        blocking(count).await
    }

    /// How two revisions differ.
    pub(crate) async fn compare(&self, request: api::CompareRequest) -> Result<Comparison, Error> {
        let [from, to] = self.raft.look(|log, _| {
            let running = log.summary().running.epoch;
            let to = request.to.map_or(running, Epoch);
            let before =
                || log.revisions().rev().map(|it| it.version.epoch).find(|it| *it < running);
            let from = request.from.map(Epoch).or_else(before).unwrap_or(Epoch::NONE);
            [one(log, from), one(log, to)]
        });
        let ((from, old), (to, new)) = (from?, to?);
        let compare = move || {
            let mut changes = config::diff(&old.parse()?, &new.parse()?);
            let count = changes.len();
            changes.truncate(CHANGES_TOLD);
            Ok(Comparison { from, to, count, changes })
        };
        blocking(compare).await
    }

    /// How the policy would change from one epoch to the other.
    pub(super) async fn differences(
        &self,
        from: Epoch,
        to: Epoch,
    ) -> Result<Vec<config::Change>, Error> {
        let [old, new] = self.raft.look(|log, _| [source(log, from), source(log, to)]);
        blocking(move || Ok(config::diff(&old.parse()?, &new.parse()?))).await
    }

    /// Where to read what a policy said.
    pub(super) fn said(&self, epoch: Epoch) -> Said {
        let in_force = self.in_force.borrow();
        if in_force.version.epoch == epoch {
            return Said::Runs(Arc::clone(&in_force.source));
        }
        Said::Kept(self.raft.look(|log, _| source(log, epoch)))
    }

    /// A conflict, with what the others changed since `base`, and who.
    pub(super) async fn with_differences(&self, error: Error, base: Epoch) -> Error {
        let (running, revisions) = self.raft.look(|log, _| {
            let since = log.revisions().rev().filter(|it| it.version.epoch > base);
            (log.summary().running.epoch, since.map(|it| label(log, it)).collect::<Vec<_>>())
        });
        if running == base {
            return error;
        }
        let (old, new) = (self.said(base), self.said(running));
        let compared = blocking(move || {
            let mut changes = config::diff(&*old.policy()?, &*new.policy()?);
            changes.truncate(CHANGES_TOLD);
            Ok(changes)
        });
        // A text that is not kept any more cannot be compared.
        let changes = compared.await.unwrap_or_default();
        Error { changes, revisions, ..error }
    }
}

/// What a policy said: known, or to be parsed on a thread that may take its time.
pub(super) enum Said {
    Runs(Arc<config::Policy>),
    Kept(Source),
}

impl Said {
    pub(super) fn policy(self) -> Result<Arc<config::Policy>, Error> {
        match self {
            Self::Runs(policy) => Ok(policy),
            Self::Kept(source) => source.parse().map(Arc::new),
        }
    }
}

impl Source {
    fn parse(&self) -> Result<config::Policy, Error> {
        if self.epoch == Epoch::NONE {
            return Ok(config::Policy::default());
        }
        let Some(text) = &self.text else {
            let epoch = self.epoch;
            return Err(Error::new(format!("the text of epoch {epoch} is not kept")));
        };
        Ok(compile::parse(&self.file, text, ALONE)?.value)
    }
}

fn source(log: &Log, epoch: Epoch) -> Source {
    let found = log.revision(epoch);
    let text = found.and_then(|it| log.text(it.version.source));
    let file = found.map_or_else(|| "policy".to_owned(), |it| it.file.to_string());
    Source { epoch, file, text: text.map(|text| text.as_str().to_owned()) }
}

/// What the changes of a revision are counted from, if its texts are short.
fn counted(log: &Log, it: &Revision) -> Option<[Source; 2]> {
    let pair = [source(log, it.base), source(log, it.version.epoch)];
    let short =
        |source: &Source| source.text.as_ref().is_none_or(|text| text.len() <= COUNTED_BYTES);
    pair.iter().all(short).then_some(pair)
}

fn one(log: &Log, epoch: Epoch) -> Result<(api::Revision, Source), Error> {
    if epoch == Epoch::NONE {
        let nothing = api::Revision { changes: Some(0), ..api::Revision::default() };
        return Ok((nothing, source(log, epoch)));
    }
    match log.revision(epoch) {
        Some(it) => Ok((label(log, it), source(log, epoch))),
        None => Err(missing(log, epoch)),
    }
}

fn label(log: &Log, it: &Revision) -> api::Revision {
    let Version { epoch, source } = it.version;
    let text = |line: &cluster_core::policy::Line| {
        (!line.as_str().is_empty()).then(|| line.as_str().to_owned())
    };
    api::Revision {
        epoch: epoch.0,
        in_force: log.summary().running.epoch == epoch,
        author: text(&it.stamp.author),
        committed_unix_seconds: Some(it.stamp.wall.0 / 1_000),
        comment: text(&it.comment),
        file: it.file.to_string(),
        changes: None,
        kind: kind(log, it),
        source: (source != epoch).then_some(source.0),
    }
}

/// A revert stands in the log as the end of a trial; what else has an earlier text is a rollback.
fn kind(log: &Log, it: &Revision) -> RevisionKind {
    let Version { epoch, source } = it.version;
    let reverted = log.changes().any(|change| {
        let deadline = Cause::Deadline {};
        matches!(&change.outcome,
            Outcome::Reverted { now, cause, .. } if *now == epoch && *cause == deadline)
    });
    match () {
        () if reverted => RevisionKind::Revert,
        () if source != epoch => RevisionKind::Rollback,
        () => RevisionKind::Commit,
    }
}

fn event(change: &cluster_core::policy::log::Change) -> api::Event {
    api::Event {
        index: change.index,
        author: change.stamp.author.to_string(),
        unix_seconds: change.stamp.wall.0 / 1_000,
        ..say::of_outcome(&change.outcome)
    }
}

fn missing(log: &Log, epoch: Epoch) -> Error {
    let first = log.revisions().next().map(|it| it.version.epoch);
    let last = log.revisions().next_back().map(|it| it.version.epoch);
    Error::new(match first.zip(last) {
        Some((first, last)) => {
            format!("epoch {epoch} is not kept: `ringwall history` has {first} to {last}")
        }
        None => format!("epoch {epoch} is not kept: nothing was ever committed"),
    })
}
