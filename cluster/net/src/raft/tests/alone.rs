//! A node that is in no cluster.

use core::time::Duration;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use cluster_core::NodeId;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::{
    Applied, Change, Generation, ProposeError, Raft, RaftError, RaftStore, Settings, Timing,
};
use super::hosts::{BOUND, World};
use super::ledger::{Ledger, request};
use super::{OWN, cluster};

const SETTINGS: fn() -> Settings = || Settings { rank: 0, seed: 1, timing: Timing::default() };

/// The store, as soon as the last run has let go of it.
fn store(path: &Path) -> RaftStore {
    let begun = Instant::now();
    loop {
        match RaftStore::open(path, &cluster(), OWN) {
            Ok(store) => return store,
            Err(error) => assert!(begun.elapsed() < BOUND, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

async fn next(applied: &mut mpsc::Receiver<Applied>) -> Applied {
    timeout(BOUND, applied.recv()).await.expect("it is told in time").expect("Raft runs")
}

/// Proposes these, and hears of each what came of it.
async fn propose(raft: &Raft<Ledger>, applied: &mut mpsc::Receiver<Applied>, numbers: [u64; 5]) {
    for number in numbers {
        let proposed = raft.propose(request(number, 10), BOUND).await.unwrap();
        assert_eq!(proposed.outcome[..], proposed.index.to_be_bytes());
        let outcome = Bytes::from(proposed.index.to_be_bytes().to_vec());
        assert_eq!(next(applied).await, Applied::Command { index: proposed.index, outcome });
        assert!(raft.ensure_linearizable(BOUND).await.unwrap() >= proposed.index);
    }
}

/// It leads itself, and each of its lives knows what the last one applied, however that one ended.
#[test]
fn it_proposes_and_restarts_from_its_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("raft.redb");
    let mut known = (Ledger::default(), None);
    for (life, numbers) in
        [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12, 13, 14, 15]].iter().enumerate()
    {
        let runtime = runtime();
        known = runtime.block_on(async {
            let started = Raft::<Ledger>::start_alone(SETTINGS(), store(&path)).await;
            let (raft, mut applied) = started.unwrap();
            let Applied::Restored { index } = next(&mut applied).await else { panic!() };
            assert!(index >= known.1, "{index:?} after {:?}", known.1);
            assert_eq!(raft.look(|ledger, _| ledger.clone()), known.0);
            propose(&raft, &mut applied, *numbers).await;
            let status = raft.status();
            assert_eq!(status.voters, [OWN].into());
            assert_eq!((status.leadership.leader, status.leadership.own), (Some(OWN), true));
            let known = raft.look(|ledger, index| (ledger.clone(), index));
            if life == 0 {
                raft.stop().await;
                let refused = raft.propose(request(99, 1), BOUND).await;
                assert!(refused.is_err(), "{refused:?}");
            }
            known
        });
        // The second one is killed.
        runtime.shutdown_timeout(Duration::from_secs(5));
        assert_eq!(known.0.requests.len(), 5 * (life + 1));
    }
}

#[tokio::test]
async fn nobody_else_can_take_part() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder.path().join("raft.redb"));
    let (raft, _applied) = Raft::<Ledger>::start_alone(SETTINGS(), store).await.unwrap();
    for change in [Change::AddLearner(2), Change::Promote(2), Change::Replace { old: 1, new: 2 }] {
        let refused = raft.change(change, BOUND).await;
        assert!(matches!(refused, Err(ProposeError::Impossible(_))), "{refused:?}");
    }
    let heir = raft.transfer_to(NodeId(2)).await;
    assert!(matches!(heir, Err(ProposeError::NoLeader | ProposeError::Impossible(_))), "{heir:?}");
    raft.stop().await;
}

/// Whose power failed between its generation and its first entry begins once more.
#[tokio::test]
async fn half_an_initialization_is_completed() {
    let folder = TempDir::new().unwrap();
    let store = store(&folder.path().join("raft.redb"));
    store.set_generation(Generation { number: 1, founder: OWN.0 }).await.unwrap();
    let (raft, mut applied) = Raft::start_alone(SETTINGS(), store).await.unwrap();
    assert_eq!(next(&mut applied).await, Applied::Restored { index: None });
    propose(&raft, &mut applied, [1, 2, 3, 4, 5]).await;
    raft.stop().await;
}

/// It would never have a majority, or have one that others do not know of.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_member_of_a_cluster_does_not_go_on_alone() {
    let mut world = World::voting(2, 2).await;
    world.request(10).await;
    world.kill(1).await;
    let begun = Instant::now();
    let store = loop {
        match world.store(1) {
            Some(store) => break store,
            None => assert!(begun.elapsed() < BOUND, "the store does not open"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let refused = Raft::<Ledger>::start_alone(SETTINGS(), store.clone()).await;
    let Err(RaftError::NotAlone(members)) = refused else { panic!("{refused:?}") };
    assert_eq!(members, [1, 2].map(NodeId).into());
    // The way out that the message names.
    store.survive_alone().await.unwrap();
    let (raft, _applied) = Raft::<Ledger>::start_alone(SETTINGS(), store).await.unwrap();
    raft.propose(request(7, 1), BOUND).await.unwrap();
    raft.stop().await;
}
