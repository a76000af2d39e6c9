//! The disk: notes down what membership must not forget, one thing after the other, on a thread of its
//! own, since each takes as long as a disk's flush.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;

use cluster_core::NodeId;
use cluster_core::membership::Facts;
use cluster_net::limits::SLOTS;
use cluster_net::store::{Assignment, Store, StoreError};

use super::heart::{Command, Line};
use super::limits::{DISK_AGAIN, FACTS};

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

/// Starts the thread; it ends when the sender is dropped.
pub(super) fn start(store: Store, line: Line) -> io::Result<(SyncSender<Facts>, JoinHandle<()>)> {
    let (facts, noted) = sync_channel(FACTS);
    let thread = std::thread::Builder::new()
        .name("cluster-store".to_owned())
        .spawn(move || run(store, &noted, &line))?;
    Ok((facts, thread))
}

fn run(mut store: Store, noted: &Receiver<Facts>, line: &Line) {
    while let Ok(facts) = noted.recv() {
        let facts = match note(&mut store, facts) {
            Ok(()) => facts,
            Err(error) => {
                tracing::error!(
                    %error,
                    "the ownership cannot be noted: THIS NODE CANNOT TAKE OVER. Make room on its disk; it is \
                     tried again"
                );
                line.insist(Command::DiskFailed);
                let Some(facts) = insist(&mut store, facts, noted) else { return };
                tracing::warn!("the ownership can be noted again: the disk works");
                facts
            }
        };
        line.insist(Command::Persisted(facts));
    }
}

/// Tries again until it works, each time from what the disk has; facts that come meanwhile say all that those
/// before them said. None: nobody wants it any more.
fn insist(store: &mut Store, mut facts: Facts, noted: &Receiver<Facts>) -> Option<Facts> {
    loop {
        match noted.recv_timeout(DISK_AGAIN) {
            Ok(newer) => facts = newer,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        if store.reopen().and_then(|()| note(store, facts)).is_ok() {
            return Some(facts);
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
