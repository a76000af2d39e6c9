//! What was in force before, and how it differs. Files are read and texts parsed on a thread that may
//! take its time.

use std::io;
use std::path::Path;

use config::api::{self, Comparison, Error, History};
use config::limits::CHANGES_TOLD;

use super::Node;
use crate::policy::invalid;
use crate::revisions::Revisions;

impl Node {
    /// All revisions that are kept, the newest first.
    ///
    /// # Errors
    /// One cannot be read.
    pub async fn history(&self) -> Result<History, Error> {
        self.of_revisions(history).await
    }

    /// How two revisions differ.
    ///
    /// # Errors
    /// One of them is not kept, or cannot be read.
    pub async fn compare(&self, request: api::CompareRequest) -> Result<Comparison, Error> {
        self.of_revisions(move |revisions, running| compare(revisions, running, request)).await
    }

    async fn of_revisions<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&Revisions, u64) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let running = self.in_force.borrow().compiled.epoch();
        let folder = self.config.data_dir.clone();
        let work = move || {
            let revisions = Revisions::open(Path::new(&folder)).map_err(unreadable)?;
            answer(&revisions, running)
        };
        let worked = tokio::task::spawn_blocking(work).await;
        worked.map_err(|error| Error::new(format!("the answer was lost: {error}")))?
    }
}

fn history(revisions: &Revisions, running: u64) -> Result<History, Error> {
    let epochs = revisions.epochs().map_err(unreadable)?;
    let labels = epochs.into_iter().rev().map(|epoch| label(revisions, running, epoch));
    Ok(History { revisions: labels.collect::<Result<_, _>>()?, ..History::default() })
}

fn compare(
    revisions: &Revisions,
    running: u64,
    request: api::CompareRequest,
) -> Result<Comparison, Error> {
    let to = request.to.unwrap_or(running);
    let from = match request.from {
        Some(from) => from,
        None => before(revisions, running)?,
    };
    let [old, new] = [policy(revisions, from)?, policy(revisions, to)?];
    let mut changes = config::diff(&old, &new);
    let count = changes.len();
    changes.truncate(CHANGES_TOLD);
    let label = |epoch| label(revisions, running, epoch);
    Ok(Comparison { from: label(from)?, to: label(to)?, count, changes })
}

/// The revision before the one in force; 0 before the first.
fn before(revisions: &Revisions, running: u64) -> Result<u64, Error> {
    let kept = revisions.epochs().map_err(unreadable)?;
    Ok(kept.into_iter().rev().find(|epoch| *epoch < running).unwrap_or(0))
}

/// Epoch 0 is before any revision: nothing passes.
fn policy(revisions: &Revisions, epoch: u64) -> Result<config::Policy, Error> {
    if epoch == 0 {
        return Ok(config::Policy::default());
    }
    let kept = revisions.read(epoch).map_err(|error| missing(revisions, epoch, &error))?;
    let mut inlined = |name: &str| Err(format!("list `{name}` is not inlined"));
    let parsed = config::parse_policy(&kept.file, &kept.text, &mut inlined);
    let error = format!("epoch {epoch} is not valid for this version");
    let not_valid = |diagnostics| invalid(error, diagnostics);
    Ok(parsed.map_err(not_valid)?.value)
}

fn label(revisions: &Revisions, running: u64, epoch: u64) -> Result<api::Revision, Error> {
    let label = match epoch {
        0 => api::Revision { changes: Some(0), ..api::Revision::default() },
        _ => revisions.label(epoch).map_err(|error| missing(revisions, epoch, &error))?,
    };
    Ok(api::Revision { in_force: epoch == running, ..label })
}

fn missing(revisions: &Revisions, epoch: u64, error: &io::Error) -> Error {
    if error.kind() != io::ErrorKind::NotFound {
        return Error::new(format!("epoch {epoch} cannot be read: {error}"));
    }
    let kept = revisions.epochs().unwrap_or_default();
    Error::new(match (kept.first(), kept.last()) {
        (Some(first), Some(last)) => {
            format!("epoch {epoch} is not kept: `ringwall history` has {first} to {last}")
        }
        _ => format!("epoch {epoch} is not kept: nothing was ever committed"),
    })
}

fn unreadable(error: io::Error) -> Error {
    Error::new(format!("the revisions cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use config::api::CompareRequest;

    use super::{compare, history};
    use crate::revisions::{Revision, Revisions};

    fn kept(texts: &[&str]) -> (tempfile::TempDir, Revisions) {
        let directory = tempfile::tempdir().expect("a directory");
        let revisions = Revisions::open(directory.path()).expect("it opens");
        for (number, rules) in texts.iter().enumerate() {
            let revision = Revision {
                epoch: number as u64 + 1,
                comment: Some(format!("change {number}")),
                file: "p.toml".to_owned(),
                text: format!("[zones]\na = [\"lan\"]\n{rules}"),
                author: Some("ada".to_owned()),
                committed_unix_seconds: Some(1_700_000_000),
                changes: None,
            };
            revisions.write(&revision).expect("written");
        }
        (directory, revisions)
    }

    #[test]
    fn what_is_compared_by_default_is_the_last_change() {
        let rule = "[[rule]]\nid = \"r\"\naction = ";
        let texts = ["".to_owned(), format!("{rule}\"permit\""), format!("{rule}\"deny\"")];
        let (_folder, revisions) = kept(&texts.each_ref().map(String::as_str));
        let ask = |from, to| {
            let found = compare(&revisions, 3, CompareRequest { from, to }).expect("they are kept");
            let changes: Vec<_> = found.changes.iter().map(ToString::to_string).collect();
            (found.from.epoch, found.to.epoch, changes)
        };
        let last = "~ rule r\n    action: permit → deny".to_owned();
        assert_eq!(ask(None, None), (2, 3, vec![last.clone()]));
        assert_eq!(ask(Some(2), None), (2, 3, vec![last]));
        assert_eq!(ask(Some(3), Some(1)), (3, 1, vec!["- rule r: action deny".to_owned()]));
        assert_eq!(ask(Some(0), Some(1)), (0, 1, vec!["+ zone a: lan".to_owned()]));
        let gone = compare(&revisions, 3, CompareRequest { from: Some(9), to: None });
        let gone = gone.expect_err("it is not kept").error;
        assert!(gone.contains("epoch 9") && gone.contains("1 to 3"), "{gone}");
    }

    #[test]
    fn the_history_begins_with_the_newest_and_says_what_runs() {
        let (_folder, revisions) = kept(&["", "", ""]);
        let found = history(&revisions, 2).expect("readable").revisions;
        let told: Vec<_> = found.iter().map(|it| (it.epoch, it.in_force)).collect();
        assert_eq!(told, [(3, false), (2, true), (1, false)]);
        assert_eq!(found[0].comment.as_deref(), Some("change 2"));
        assert_eq!(found[0].author.as_deref(), Some("ada"));
    }

    #[test]
    fn of_many_changes_the_first_are_told() {
        let rule = |id: usize| format!("[[rule]]\nid = \"r{id}\"\naction = \"deny\"\n");
        let many: String = (0..config::limits::CHANGES_TOLD + 10).map(rule).collect();
        let (_folder, revisions) = kept(&["", &many]);
        let found = compare(&revisions, 2, CompareRequest::default()).expect("they are kept");
        assert_eq!(found.changes.len(), config::limits::CHANGES_TOLD);
        assert_eq!(found.count, config::limits::CHANGES_TOLD + 10);
    }
}
