//! Leaders that are killed, again and again.

use core::time::Duration;
use std::time::Instant;

use super::hosts::World;

/// Whatever else the machine does: an election of its second or third attempt.
const LONGEST: Duration = Duration::from_secs(15);

/// Kills the leader so many times; each time the next request is acknowledged within the bound.
async fn kill_leaders(voters: u16, kills: usize) {
    let mut world = World::voting(voters, voters).await;
    let mut times = Vec::new();
    for kill in 0..kills {
        world.request(100).await;
        let leader = world.leader().await;
        let killed = Instant::now();
        world.kill(leader).await;
        world.request(100).await;
        let took = killed.elapsed();
        assert!(took < LONGEST, "kill {kill}: {took:?}");
        times.push(took);
        world.start(leader).await;
        let newest = world.acknowledged.last().copied().unwrap();
        world
            .until("the killed one is back", || world.ledger(leader).requests.contains_key(&newest))
            .await;
    }
    world.agree().await;
    times.sort();
    let at = |permille: usize| times[(times.len() * permille / 1_000).min(times.len() - 1)];
    let (p50, p90, p99) = (at(500), at(900), at(990));
    println!(
        "{voters} voters, {kills} kills: p50 {p50:?}, p90 {p90:?}, p99 {p99:?}, {:?}",
        at(999)
    );
    let syncs = world.raft(world.up()[0]).status().sync_times;
    println!("commits to the disk: p50 {:?}, p99 {:?}", syncs.below(500), syncs.below(990));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn two_survivors_of_three_elect_after_each_of_20_kills() {
    kill_leaders(3, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn four_survivors_of_five_elect_after_each_of_5_kills() {
    kill_leaders(5, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "takes five minutes"]
async fn two_survivors_of_three_elect_after_each_of_200_kills() {
    kill_leaders(3, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "takes two minutes"]
async fn four_survivors_of_five_elect_after_each_of_50_kills() {
    kill_leaders(5, 50).await;
}
