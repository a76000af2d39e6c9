//! The store on disks that fail, and what its writes share.

use openraft::EntryPayload;
use openraft::storage::{
    IOFlushed, RaftLogReader as _, RaftLogStorage as _, RaftLogStorageExt as _,
};
use openraft::type_config::TypeConfigExt as _;

use super::super::store::RaftStore;
use super::super::types::{
    Command, Entry, LeaderId, LogId, SnapshotMeta, StoredMembership, Types, Vote,
};
use super::super::wire::Generation;
use super::ledger::request;
use super::{OWN, cluster};
use crate::store::StoreError;
use crate::store::tests::disk::{Disk, Fault};

pub(super) fn on(disk: &Disk) -> RaftStore {
    RaftStore::with_backend(disk.clone(), &cluster(), OWN).unwrap()
}

/// The same, which can be opened anew.
pub(super) fn reopening(disk: &Disk) -> RaftStore {
    let disk = disk.clone();
    RaftStore::with_backends(move || disk.clone(), &cluster(), OWN).unwrap()
}

pub(super) fn id(term: u64, index: u64) -> LogId {
    LogId { leader_id: LeaderId { term, node_id: 1 }, index }
}

pub(super) fn entry(term: u64, index: u64, padding: usize) -> Entry {
    let payload = EntryPayload::Normal(Command(request(index, padding)));
    Entry { log_id: id(term, index), payload }
}

pub(super) fn vote(term: u64) -> Vote {
    Vote { leader_id: LeaderId { term, node_id: 1 }, committed: true }
}

fn meta(term: u64, index: u64) -> SnapshotMeta {
    let members = StoredMembership::default();
    SnapshotMeta { last_log_id: Some(id(term, index)), last_membership: members }
}

async fn indexes(store: &mut RaftStore) -> Vec<u64> {
    let entries = store.try_get_log_entries(..).await.unwrap();
    entries.iter().map(|entry| entry.log_id.index).collect()
}

#[tokio::test]
async fn all_of_it_is_there_after_a_restart() {
    let disk = Disk::new();
    let mut store = on(&disk);
    store.save_vote(&vote(3)).await.unwrap();
    store.blocking_append((0..10).map(|index| entry(3, index, 100))).await.unwrap();
    store.save_committed(Some(id(3, 6))).await.unwrap();
    store.truncate_after(Some(id(3, 7))).await.unwrap();
    store.save_snapshot(&meta(3, 4), request(0, 600 << 10)).await.unwrap();
    store.purge(id(3, 2)).await.unwrap();
    let generation = Generation { number: 1, founder: 1 };
    store.set_generation(generation).await.unwrap();
    store.announcements_synced().await.unwrap();
    let mut again = on(&disk.restarted());
    for store in [&mut store, &mut again] {
        assert_eq!(store.read_vote().await.unwrap(), Some(vote(3)));
        assert_eq!(store.read_committed().await.unwrap(), Some(id(3, 6)));
        let state = store.get_log_state().await.unwrap();
        assert_eq!(state.last_purged_log_id, Some(id(3, 2)));
        assert_eq!(state.last_log_id, Some(id(3, 7)));
        assert_eq!(indexes(store).await, [3, 4, 5, 6, 7]);
        let snapshot = store.snapshot().await.unwrap().unwrap();
        assert_eq!(snapshot.meta, meta(3, 4));
        assert_eq!(snapshot.snapshot, request(0, 600 << 10));
        assert_eq!(store.generation(), Some(generation));
    }
}

#[tokio::test]
async fn a_store_is_one_nodes() {
    let disk = Disk::new();
    drop(on(&disk));
    let beta = "beta".parse().unwrap();
    for (cluster, node) in [(&beta, OWN), (&cluster(), cluster_core::NodeId(2))] {
        let refused = RaftStore::with_backend(disk.restarted(), cluster, node);
        assert!(matches!(refused, Err(StoreError::Foreign(_))), "{refused:?}");
    }
}

/// As many writes as wait, one commit.
#[tokio::test]
async fn what_queues_shares_a_commit() {
    let mut store = on(&Disk::new());
    let mut written = Vec::new();
    for index in 0..2_000 {
        let (done, flushed) = Types::oneshot();
        store.append([entry(1, index, 10)], IOFlushed::signal(done)).await.unwrap();
        written.push(flushed);
    }
    for flushed in written {
        flushed.await.unwrap().unwrap();
    }
    let commits = store.sync_times().count();
    assert!(commits < 1_000, "{commits} commits");
    assert_eq!(indexes(&mut store).await.len(), 2_000);
}

/// An entry can be read from the moment it was given, whatever the disk does meanwhile.
#[tokio::test]
async fn entries_are_readable_before_and_after_their_sync() {
    let mut store = on(&Disk::new());
    let large = 3 << 20;
    for index in 0..6 {
        let (done, flushed) = Types::oneshot();
        store.append([entry(1, index, large)], IOFlushed::signal(done)).await.unwrap();
        assert_eq!(indexes(&mut store).await, (0..=index).collect::<Vec<_>>());
        flushed.await.unwrap().unwrap();
        assert_eq!(indexes(&mut store).await, (0..=index).collect::<Vec<_>>());
    }
    // More than memory keeps, so some of it came from the disk; and one at a time is enough.
    let part = store.limited_get_log_entries(1, 5).await.unwrap();
    assert_eq!(part.iter().map(|entry| entry.log_id.index).collect::<Vec<_>>(), [1]);
    assert_eq!(part[0], entry(1, 1, large));
    assert!(store.log_bytes() >= 6 * large as u64);
}

#[tokio::test]
async fn a_failure_poisons_the_store() {
    for fault in [Fault::Sync(0), Fault::Write(0), Fault::Everything(0)] {
        let disk = Disk::new();
        let mut store = on(&disk);
        store.save_vote(&vote(1)).await.unwrap();
        disk.refuse(fault);
        assert!(store.save_vote(&vote(2)).await.is_err(), "{fault:?}");
        disk.mend();
        assert!(store.is_poisoned());
        assert!(store.save_vote(&vote(3)).await.is_err(), "{fault:?}");
        assert!(store.blocking_append([entry(3, 0, 10)]).await.is_err(), "{fault:?}");
        let again = on(&disk.crashed(7)).read_vote().await.unwrap();
        assert!([Some(vote(1)), Some(vote(2))].contains(&again), "{fault:?}: {again:?}");
    }
}

#[tokio::test]
async fn a_full_disk_poisons_the_store_and_loses_nothing() {
    let disk = Disk::new();
    let mut store = on(&disk);
    store.blocking_append([entry(1, 0, 10)]).await.unwrap();
    disk.refuse(Fault::Growth);
    assert!(store.blocking_append([entry(1, 1, 8 << 20)]).await.is_err());
    assert!(store.is_poisoned());
    assert_eq!(indexes(&mut on(&disk.restarted())).await, [0]);
    assert_eq!(indexes(&mut on(&disk.crashed(1))).await, [0]);
}

#[tokio::test]
async fn a_store_that_failed_is_opened_anew_and_the_old_one_is_given_up() {
    let entries = || (0..3).map(|index| entry(1, index, 100));
    for fault in [Fault::Sync(0), Fault::Sync(1), Fault::Write(0), Fault::Everything(0)] {
        let disk = Disk::new();
        let mut failed = reopening(&disk);
        failed.save_vote(&vote(1)).await.unwrap();
        failed.blocking_append(entries()).await.unwrap();
        disk.refuse(fault);
        assert!(failed.save_vote(&vote(2)).await.is_err(), "{fault:?}");
        let said = failed.ailment().unwrap();
        assert!(said.contains("refused by the test"), "{said}");
        let refused = failed.reopen();
        assert!(matches!(refused, Err(StoreError::Storage(_))), "{fault:?}: {refused:?}");
        disk.mend();
        disk.evict();
        let mut again = failed.reopen().unwrap();
        assert_eq!((again.ailment(), failed.ailment()), (None, Some(said)));
        let known = again.read_vote().await.unwrap();
        assert!([Some(vote(1)), Some(vote(2))].contains(&known), "{fault:?}: {known:?}");
        assert!(failed.save_vote(&vote(9)).await.is_err(), "{fault:?}: it is given up");
        for seed in 1..20 {
            let mut crashed = on(&disk.crashed(seed));
            assert_eq!(
                crashed.read_vote().await.unwrap(),
                known,
                "{fault:?}: what is read is there"
            );
            assert_eq!(indexes(&mut crashed).await, [0, 1, 2], "{fault:?}");
        }
        again.save_vote(&vote(3)).await.unwrap();
        assert_eq!(on(&disk.crashed(5)).read_vote().await.unwrap(), Some(vote(3)), "{fault:?}");
    }
}

/// What is applied must be known to the next run: who applies waits for that.
#[tokio::test]
async fn an_announcement_that_fails_is_not_waited_for_in_vain() {
    let disk = Disk::new();
    let mut store = on(&disk);
    store.blocking_append([entry(1, 0, 10)]).await.unwrap();
    disk.refuse(Fault::Sync(0));
    store.save_committed(Some(id(1, 0))).await.unwrap();
    let waited = store.announcements_synced().await;
    assert!(matches!(waited, Err(StoreError::Poisoned)), "{waited:?}");
}

#[tokio::test]
async fn a_survivor_goes_on_in_a_new_generation() {
    let disk = Disk::new();
    let mut store = on(&disk);
    assert!(matches!(store.survive_alone().await, Err(StoreError::Damaged(_))));
    store.set_generation(Generation { number: 4, founder: 9 }).await.unwrap();
    store.blocking_append([entry(5, 0, 10), entry(5, 1, 10)]).await.unwrap();
    store.save_vote(&vote(7)).await.unwrap();
    let generation = store.survive_alone().await.unwrap();
    assert_eq!(generation, Generation { number: 5, founder: 1 });
    for store in [&mut store, &mut on(&disk.restarted())] {
        assert_eq!(store.generation(), Some(generation));
        let entries = store.try_get_log_entries(..).await.unwrap();
        let EntryPayload::Membership(members) = &entries[2].payload else { panic!("{entries:?}") };
        assert_eq!(members.voter_ids().collect::<Vec<_>>(), [1]);
        assert_eq!(entries[2].log_id, id(8, 2));
        assert_eq!(store.read_vote().await.unwrap().map(|vote| vote.leader_id().term), Some(8));
    }
}
