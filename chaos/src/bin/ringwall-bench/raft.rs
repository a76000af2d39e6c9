//! Agreement by Raft: how long a small proposal takes beside the disk's fsync, and how long nobody answers
//! when the leader dies. Three voters in this process, each with a runtime, a file and a QUIC endpoint of
//! its own, as a daemon has them; the machine is the policy's.

mod voters;

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::runtime::{Builder, Runtime};

use crate::failure::Failure;
use crate::times::Times;

use voters::{VOTERS, Voters};

/// Bytes of a bare write: a page, as a small commit of the store changes a few of them.
const PAGE: usize = 4_096;

/// Options of `raft`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Small proposals at the leader and at a follower in each round, and bare writes with an fsync.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    proposals: u32,
    /// Leaders that are killed afterwards, one after the other.
    #[arg(long, default_value_t = 20)]
    kills: u32,
    /// Where the voters keep their files: on a disk, not in memory.
    #[arg(long, default_value = "target")]
    directory: PathBuf,
}

/// Each kind of wait with all its samples.
pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Times>, Failure> {
    runtime()?.block_on(async {
        let mut voters = Voters::start(&options.directory).await?;
        let mut results = proposals(&mut voters, options.proposals, rounds).await?;
        results.extend(kills(&mut voters, options.kills).await?);
        Ok(results)
    })
}

/// One thread, for a voter or for who measures.
fn runtime() -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().map_err(Failure::io("start a runtime"))
}

/// Proposals at the leader, at a follower, and bare writes take turns.
async fn proposals(voters: &mut Voters, count: u32, rounds: u32) -> Result<Vec<Times>, Failure> {
    let mut at_leader = Times::new("small proposal at the leader");
    let mut at_follower = Times::new("small proposal at a follower");
    let mut bare = Times::new("bare write of 4 KiB and fsync");
    let mut file = BareFile::create(voters.path("bare"))?;
    for _ in 0..rounds {
        let leader = voters.leader().await?;
        let follower = leader % VOTERS + 1;
        for _ in 0..count {
            at_leader.push(voters.propose(&[leader]).await?);
            at_follower.push(voters.propose(&[follower]).await?);
            bare.push(file.sync()?);
        }
    }
    let mut results = vec![at_leader, at_follower, bare];
    for (node, syncs) in voters.sync_times() {
        results.push(Times::counted(format!("commit to the disk of node {node}"), &syncs));
    }
    Ok(results)
}

/// From the kill to the next proposal that a survivor gets through; the killed one is back before the next.
async fn kills(voters: &mut Voters, count: u32) -> Result<Option<Times>, Failure> {
    let mut times = Times::new("leader killed, until a survivor's next proposal");
    for _ in 0..count {
        voters.settle().await?;
        let leader = voters.leader().await?;
        let begun = Instant::now();
        voters.kill(leader).await?;
        let survivors: Vec<u16> = voters.up().collect();
        voters.propose(&survivors).await?;
        times.push(begun.elapsed());
        voters.boot(leader).await?;
    }
    Ok((count > 0).then_some(times))
}

/// A file that is written to in place.
struct BareFile {
    file: File,
    page: [u8; PAGE],
}

impl BareFile {
    fn create(path: PathBuf) -> Result<Self, Failure> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path);
        let file = file.map_err(Failure::io("make a file to sync"))?;
        Ok(Self { file, page: [0x5a; PAGE] })
    }

    fn sync(&mut self) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let written = self.file.seek(SeekFrom::Start(0)).and_then(|_| {
            self.file.write_all(&self.page)?;
            self.file.sync_data()
        });
        written.map_err(Failure::io("sync a file"))?;
        Ok(begun.elapsed())
    }
}
