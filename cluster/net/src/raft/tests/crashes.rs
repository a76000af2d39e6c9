//! Loss of power at each call to the disk: what was acknowledged is there, and the store opens.

use openraft::storage::{IOFlushed, RaftLogReader as _, RaftLogStorage as _};
use openraft::type_config::TypeConfigExt as _;

use super::super::store::RaftStore;
use super::super::types::{Entry, LogId, SnapshotMeta, StoredMembership, Types, Vote};
use super::super::wire::Generation;
use super::disks::{entry, id, on, reopening, vote};
use super::ledger::request;
use crate::store::tests::disk::{Disk, Fault};

/// A write, as openraft orders them.
#[derive(Clone, Copy, Debug)]
enum Step {
    Vote(u64),
    Append(u64, u64),
    Committed(u64, u64),
    Truncate(u64, u64),
    Purge(u64, u64),
    Snapshot(u64, u64),
    Generation(u64),
}

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    entries: Vec<Entry>,
    snapshot: Option<(SnapshotMeta, u64)>,
    generation: Option<Generation>,
}

/// Steps in groups; those of a group are under way at the same time.
const SCRIPT: &[&[Step]] = &[
    &[Step::Generation(1)],
    &[Step::Vote(1)],
    &[Step::Append(1, 0), Step::Append(1, 1), Step::Append(1, 2)],
    &[Step::Committed(1, 1), Step::Append(1, 3), Step::Append(1, 4)],
    &[Step::Vote(2)],
    &[Step::Truncate(1, 2)],
    &[Step::Append(2, 3), Step::Committed(2, 3), Step::Append(2, 4)],
    &[Step::Snapshot(2, 3)],
    &[Step::Purge(1, 1)],
    &[Step::Append(2, 5), Step::Append(2, 6), Step::Append(2, 7)],
    &[Step::Committed(2, 7)],
    &[Step::Snapshot(2, 7)],
    &[Step::Purge(2, 5)],
    &[Step::Vote(3), Step::Append(3, 8)],
    &[Step::Generation(2)],
    &[Step::Append(3, 9), Step::Committed(3, 9)],
];

/// Entries of a few hundred bytes, and one of many pages.
fn padding(index: u64) -> usize {
    if index == 4 { 40_000 } else { 300 }
}

fn snapshot_meta(term: u64, index: u64) -> SnapshotMeta {
    let members = StoredMembership::default();
    SnapshotMeta { last_log_id: Some(id(term, index)), last_membership: members }
}

impl Content {
    fn after(&self, step: Step) -> Self {
        let mut after = self.clone();
        match step {
            Step::Vote(term) => after.vote = Some(vote(term)),
            Step::Append(term, index) => after.entries.push(entry(term, index, padding(index))),
            Step::Committed(term, index) => after.committed = Some(id(term, index)),
            Step::Truncate(_, last) => after.entries.retain(|entry| entry.log_id.index <= last),
            Step::Purge(term, upto) => {
                after.entries.retain(|entry| entry.log_id.index > upto);
                after.purged = Some(id(term, upto));
            }
            Step::Snapshot(term, index) => {
                after.snapshot = Some((snapshot_meta(term, index), index));
            }
            Step::Generation(number) => {
                after.generation = Some(Generation { number, founder: 1 });
            }
        }
        after
    }

    async fn of(store: &mut RaftStore) -> Self {
        let state = store.get_log_state().await.unwrap();
        let entries = store.try_get_log_entries(..).await.unwrap();
        let last = entries.last().map(|entry| entry.log_id).or(state.last_purged_log_id);
        assert_eq!(state.last_log_id, last);
        let snapshot = store.snapshot().await.unwrap();
        let snapshot = snapshot.map(|snapshot| {
            let index = u64::from_be_bytes(*snapshot.snapshot.first_chunk().unwrap());
            assert_eq!(snapshot.snapshot, request(index, 300 << 10), "a snapshot is whole");
            (snapshot.meta, index)
        });
        Self {
            vote: store.read_vote().await.unwrap(),
            committed: store.read_committed().await.unwrap(),
            purged: state.last_purged_log_id,
            entries,
            snapshot,
            generation: store.generation(),
        }
    }
}

/// Carries a group out; false: the disk refused.
async fn carry_out(store: &mut RaftStore, group: &[Step]) -> bool {
    let mut flushed = Vec::new();
    for step in group {
        let done = match *step {
            Step::Vote(term) => store.save_vote(&vote(term)).await.is_ok(),
            Step::Append(term, index) => {
                let (done, signal) = Types::oneshot();
                flushed.push(signal);
                let entry = entry(term, index, padding(index));
                store.append([entry], IOFlushed::signal(done)).await.is_ok()
            }
            Step::Committed(term, index) => {
                store.save_committed(Some(id(term, index))).await.is_ok()
            }
            Step::Truncate(term, last) => store.truncate_after(Some(id(term, last))).await.is_ok(),
            Step::Purge(term, upto) => store.purge(id(term, upto)).await.is_ok(),
            Step::Snapshot(term, index) => {
                let data = request(index, 300 << 10);
                store.save_snapshot(&snapshot_meta(term, index), data).await.is_ok()
            }
            Step::Generation(number) => {
                store.set_generation(Generation { number, founder: 1 }).await.is_ok()
            }
        };
        if !done {
            return false;
        }
    }
    for signal in flushed {
        if !matches!(signal.await, Ok(Ok(()))) {
            return false;
        }
    }
    store.announcements_synced().await.is_ok()
}

/// Runs the script until the disk loses power. Steps that were acknowledged, and steps that were begun.
async fn run(store: &mut RaftStore) -> (usize, usize) {
    let mut acknowledged = 0;
    for group in SCRIPT {
        if !carry_out(store, group).await {
            return (acknowledged, acknowledged + group.len());
        }
        acknowledged += group.len();
    }
    (acknowledged, acknowledged)
}

#[tokio::test]
async fn a_crash_at_each_call_to_the_disk_loses_nothing_acknowledged() {
    let _alone = super::ALONE.lock().await;
    let steps = SCRIPT.iter().flat_map(|group| group.iter());
    let mut contents = vec![Content::default()];
    for step in steps {
        contents.push(contents.last().unwrap().after(*step));
    }
    let mut restarts = 0;
    for calls in 0.. {
        let disk = Disk::new();
        let mut store = on(&disk);
        disk.refuse(Fault::Everything(calls));
        let (acknowledged, begun) = run(&mut store).await;
        let possible = &contents[acknowledged..=begun];
        for seed in 1..=4 {
            let crashed = disk.crashed(seed * 1_000 + calls as u64);
            let mut again = on(&crashed);
            let found = Content::of(&mut again).await;
            assert!(
                possible.contains(&found),
                "call {calls}, seed {seed}: after {acknowledged} to {begun} steps: {found:?}"
            );
            restarts += 1;
            // And it goes on from there.
            let last = found.entries.last().map(|entry| entry.log_id).or(found.purged);
            let next = entry(9, last.map_or(0, |last| last.index + 1), 10);
            again.save_vote(&vote(9)).await.unwrap();
            let mut after = found.clone();
            let (done, signal) = Types::oneshot();
            again.append([next.clone()], IOFlushed::signal(done)).await.unwrap();
            signal.await.unwrap().unwrap();
            after.vote = Some(vote(9));
            after.entries.push(next);
            assert_eq!(Content::of(&mut on(&crashed.restarted())).await, after);
            restarts += 1;
        }
        if acknowledged == contents.len() - 1 {
            break;
        }
    }
    println!("{restarts} restarts");
    assert!(restarts >= 1_000, "{restarts}");
}

/// A disk that fails for a while, at each of its writes and syncs: what was acknowledged is there when it is
/// opened anew, and what is read then is there for good.
#[tokio::test]
async fn a_failure_at_each_call_to_the_disk_is_mended() {
    let _alone = super::ALONE.lock().await;
    let mut contents = vec![Content::default()];
    for step in SCRIPT.iter().flat_map(|group| group.iter()) {
        contents.push(contents.last().unwrap().after(*step));
    }
    let mut mended = 0;
    for (fault, stride) in [(Fault::Sync as fn(usize) -> Fault, 1), (Fault::Write, 3)] {
        for calls in (0..).step_by(stride) {
            let disk = Disk::new();
            let mut store = reopening(&disk);
            disk.refuse(fault(calls));
            let (acknowledged, begun) = run(&mut store).await;
            if acknowledged == contents.len() - 1 {
                break;
            }
            disk.mend();
            if calls % 2 == 0 {
                disk.evict();
            }
            let mut again = store.reopen().unwrap();
            let found = Content::of(&mut again).await;
            let possible = &contents[acknowledged..=begun];
            assert!(
                possible.contains(&found),
                "call {calls}, {acknowledged} to {begun}: {found:?}"
            );
            for seed in 1..=4 {
                let crashed = disk.crashed(seed * 1_000 + calls as u64);
                assert_eq!(
                    Content::of(&mut on(&crashed)).await,
                    found,
                    "call {calls}, seed {seed}"
                );
            }
            again.save_vote(&vote(9)).await.unwrap();
            let after = Content { vote: Some(vote(9)), ..found };
            disk.evict();
            assert_eq!(Content::of(&mut on(&disk.crashed(calls as u64))).await, after);
            mended += 1;
        }
    }
    println!("mended {mended} times");
    assert!(mended >= 60, "{mended}");
}
