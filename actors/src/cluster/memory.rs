//! The disk: notes down what membership must not forget, one thing after the other, on a thread of its
//! own, since each takes as long as a disk's flush.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Instant;

use cluster_core::NodeId;
use cluster_core::membership::Facts;
use cluster_net::limits::SLOTS;
use cluster_net::store::{Assignment, Noted, Roster, Store, StoreError};
use tokio::sync::oneshot;

use super::heart::{Command, Line};
use super::limits::DISK_AGAIN;

/// What the store remembers of membership.
pub(super) fn recall(store: &Store) -> Result<Facts, StoreError> {
    let placement = store.placement()?;
    let newest = placement.iter().map(|run| run.assignment).max_by_key(|it| it.term);
    let drained = store.is_drained()?;
    Ok(newest.map_or(Facts { drained, ..Facts::default() }, |it| Facts {
        term: it.term,
        vote: (it.owner != NodeId(0)).then_some(it.owner),
        drained,
    }))
}

/// What is to be noted.
pub(super) enum Note {
    /// What membership must not forget.
    Facts(Facts),
    /// What the cluster's log says of the members; answered when it is on the disk.
    Roster(Box<Roster>, oneshot::Sender<Result<Noted, StoreError>>),
    /// This list is the only one that counts.
    Settled(u32),
    /// Something else, done where the store is.
    With(Work),
    /// Nothing more comes.
    End,
}

/// Work on the store.
pub(super) type Work = Box<dyn FnOnce(&mut Store) + Send>;

/// Starts the thread; it ends when it is told to.
pub(super) fn start(
    store: Store,
    own: NodeId,
    notes: Receiver<Note>,
    line: Line,
) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("cluster-store".to_owned());
    thread.spawn(move || run(store, own, &notes, &line))
}

fn run(mut store: Store, own: NodeId, notes: &Receiver<Note>, line: &Line) {
    // What the disk has refused, until it is noted; facts that come meanwhile say all that those before them
    // said.
    let mut owed: Option<(Facts, Instant)> = None;
    loop {
        let next = match owed {
            Some((_, due)) => notes.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => notes.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let again = |facts| (facts, Instant::now() + DISK_AGAIN);
        match next {
            Ok(Note::Facts(facts)) => {
                owed = remember(&mut store, facts, owed.is_some(), line).map(again);
            }
            Err(RecvTimeoutError::Timeout) => {
                let facts = owed.and_then(|(facts, _)| remember(&mut store, facts, true, line));
                owed = facts.map(again);
            }
            // Whoever asked may have gone.
            Ok(Note::Roster(roster, answer)) => {
                let noted = healed(&mut store).and_then(|store| store.note_roster(own, &roster));
                drop(answer.send(noted));
            }
            Ok(Note::Settled(version)) => {
                let noted = healed(&mut store).and_then(|it| it.settle_electorate(version));
                if let Err(error) = noted {
                    tracing::error!(%error, "that the list of members is settled cannot be noted");
                }
            }
            Ok(Note::With(work)) => {
                // On a store that is not well it fails by itself.
                let _ = healed(&mut store);
                work(&mut store);
            }
            Ok(Note::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The store, opened anew if an earlier write failed.
fn healed(store: &mut Store) -> Result<&mut Store, StoreError> {
    if store.is_poisoned() {
        store.reopen()?;
    }
    Ok(store)
}

/// Notes facts down, `again` from what the disk has. They come back if it does not work; it is tried again.
fn remember(store: &mut Store, facts: Facts, again: bool, line: &Line) -> Option<Facts> {
    match healed(store).and_then(|store| note(store, facts)) {
        Ok(()) => {
            if again {
                tracing::warn!("the ownership can be noted again: the disk works");
            }
            line.insist(Command::Persisted(facts));
            None
        }
        Err(error) => {
            if !again {
                tracing::error!(
                    %error,
                    "the ownership cannot be noted: THIS NODE CANNOT TAKE OVER. Make room on its disk; it is \
                     tried again"
                );
                line.insist(Command::DiskFailed);
            }
            Some(facts)
        }
    }
}

fn note(store: &mut Store, facts: Facts) -> Result<(), StoreError> {
    if let Some(owner) = facts.vote {
        let assignment = Assignment { owner, backup: None, term: facts.term };
        store.assign((0, SLOTS - 1), assignment)?;
    }
    if store.is_drained()? != facts.drained {
        store.set_drained(facts.drained)?;
    }
    Ok(())
}
