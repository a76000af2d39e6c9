//! Disks that fail for a while under whole nodes.

use core::time::Duration;
use std::time::Instant;

use tokio::time::sleep;

use super::super::{ProposeError, Raft, RaftStore, Settings, Timing};
use super::hosts::{BOUND, World};
use super::ledger::{Ledger, request};
use super::{OWN, cluster};
use crate::limits::STORE_AGAIN;
use crate::store::tests::disk::{Disk, Fault};

/// What a disk may refuse.
const FAULTS: [Fault; 3] = [Fault::Sync(0), Fault::Write(0), Fault::Everything(0)];

impl World {
    fn ails(&self, node: u16) -> bool {
        let status = self.raft(node).status();
        status.ailment.is_some() && !self.raft(node).leadership().borrow().running
    }

    fn is_well(&self, node: u16) -> bool {
        let status = self.raft(node).status();
        status.ailment.is_none() && status.leadership.running
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_others_commit_while_one_disk_fails_and_it_catches_up_and_votes_again() {
    let mut world = World::on_disks(3).await;
    let mut healed = [0; 4];
    for (round, fault) in (0..).zip([FAULTS, FAULTS].concat()) {
        world.request(10).await;
        let leader = world.leader().await;
        // A follower, then a leader, and so on.
        let ill = if round % 2 == 0 { leader % 3 + 1 } else { leader };
        world.disk(ill).refuse(fault);
        for _ in 0..3 {
            world.request(10).await;
        }
        world.until("the disk is missed", || world.ails(ill)).await;
        let refused = world.try_request(ill, 7_777, 10, BOUND).await;
        let Err(ProposeError::Disk(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("refused by the test"), "{why}");
        world.request(10).await;
        let before = world.ledger(ill);
        // It stands still, and longer than the pause between two attempts.
        sleep(STORE_AGAIN + Duration::from_millis(200)).await;
        assert!(world.ails(ill));
        assert_eq!(world.ledger(ill), before, "what it knew can be looked at");
        world.disk(ill).mend();
        world.disk(ill).evict();
        world.until("it runs again", || world.is_well(ill)).await;
        world.agree().await;
        healed[usize::from(ill)] += 1;
        let status = world.raft(ill).status();
        assert_eq!([status.failures, status.recoveries], [healed[usize::from(ill)]; 2]);
        // Without one of the others, its vote and its disk are wanted.
        let other = ill % 3 + 1;
        world.kill(other).await;
        world.request(10).await;
        world.start(other).await;
        world.agree().await;
        healed[usize::from(other)] = 0;
    }
    assert!(!world.ledger(1).requests.contains_key(&7_777), "what was refused was not done");
}

/// The disk fails a moment, while entries are on their way to the others: the leader's own log may be
/// shorter than theirs when it is back, before anybody has missed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leader_whose_disk_fails_a_moment_contradicts_nobody() {
    let mut world = World::on_disks(3).await;
    for round in 0..20_u64 {
        world.request(10).await;
        let leader = world.leader().await;
        let before = world.raft(leader).status().recoveries;
        world.disk(leader).refuse(Fault::Hiccup);
        let number = 1_000 + round;
        let tried = world.try_request(leader, number, 10, BOUND).await;
        if tried.is_ok() {
            world.acknowledged.insert(number);
        }
        let recovered = || world.raft(leader).status().recoveries > before && world.is_well(leader);
        world.until("it runs again", recovered).await;
        world.request(10).await;
        world.agree().await;
    }
}

/// A node that is alone has nobody to ask, and loses nothing either.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_that_is_alone_goes_on_when_its_disk_does() {
    let disk = Disk::new();
    let make = disk.clone();
    let store = RaftStore::with_backends(move || make.clone(), &cluster(), OWN).unwrap();
    let settings = Settings { rank: 0, seed: 1, timing: Timing::default() };
    let (raft, mut applied) = Raft::<Ledger>::start_alone(settings, store).await.unwrap();
    let reader = tokio::spawn(async move { while applied.recv().await.is_some() {} });
    let mut acknowledged = Vec::new();
    for (number, fault) in (0..).zip([FAULTS, FAULTS].concat()) {
        raft.propose(request(number, 10), BOUND).await.unwrap();
        acknowledged.push(number);
        disk.refuse(fault);
        let refused = raft.propose(request(100 + number, 10), BOUND).await;
        assert!(matches!(refused, Err(ProposeError::Unknown)), "{refused:?}");
        let refused = raft.propose(request(200 + number, 10), BOUND).await;
        assert!(matches!(refused, Err(ProposeError::Disk(_))), "{refused:?}");
        disk.mend();
        disk.evict();
        let begun = Instant::now();
        while !raft.status().leadership.running || raft.status().ailment.is_some() {
            assert!(begun.elapsed() < BOUND, "{:?}", raft.status());
            sleep(Duration::from_millis(2)).await;
        }
    }
    raft.propose(request(99, 10), BOUND).await.unwrap();
    let requests = raft.look(|ledger, _| ledger.requests.clone());
    assert!(acknowledged.iter().all(|number| requests.contains_key(number)), "{requests:?}");
    assert!(!requests.keys().any(|number| *number >= 200), "{requests:?}");
    assert_eq!(raft.status().voters, [OWN].into());
    raft.stop().await;
    assert!(!raft.leadership().borrow().running);
    reader.abort();
}
