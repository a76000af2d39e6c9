//! How long a commit takes to reach sessions for which no packet comes: all of a large table, judged again
//! or ended, and the longest turn that this makes, for which packets would wait.

use std::time::Duration;

use clap::Args;
use engine::WorkerId;
use engine::session::Session;

use crate::failure::Failure;
use crate::report::{Bar, Comparison};
use crate::system::{self, FORWARDER_CORE};
use crate::workload::{self, Bench, Flows, START};

/// A commit reaches every session within a second, and half of it is left to the worker's packets.
const WHOLE_BAR: Option<Bar> = Some(Bar::AtMost(500.0));
/// A turn of packets takes a millisecond or two where the kernel copies each.
const TURN_BAR: Option<Bar> = Some(Bar::AtMost(2_000.0));
/// Rules that sessions are matched with.
const RULES: u32 = 1_000;
/// One turn of so many may be disturbed: as in `engine`.
const DISTURBED: usize = 64;

/// Options of `sweep`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sessions in the table.
    #[arg(long, default_value_t = 1 << 20)]
    sessions: u32,
}

/// A worker without packets after a commit, beside a loop that reads and writes as many bare sessions.
pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Comparison>, Failure> {
    system::pin(FORWARDER_CORE)?;
    let count = options.sessions;
    let mut flows = Flows::new(count);
    let engine = workload::engine(2 * count, RULES, WorkerId(0), START);
    let mut bench = Bench::new(engine, START);
    flows.open(&mut bench);
    let named = |what: &str| format!("{what}, {count} sessions");
    let mut judged = Comparison::new(named("commit, all judged"), "ms", WHOLE_BAR);
    let mut turn = Comparison::new(named("longest turn of it"), "us", TURN_BAR);
    let mut ended = Comparison::new(named("commit, all ended"), "ms", WHOLE_BAR);
    let mut plain = vec![[1_u64; size_of::<Session>() / 8]; flows.count()];
    for round in 0..rounds {
        let bare = workload::timed(|| touch(&mut plain));
        let turns = swept(&mut bench, RULES, u64::from(round) + 2);
        assert_eq!(bench.engine.sessions().len(), flows.count(), "all are permitted still");
        judged.push(milliseconds(turns.iter().sum()), milliseconds(bare));
        turn.push(longest(turns), 1_000.0 * milliseconds(bare));
    }
    // Once only, for then they are gone.
    let bare = workload::timed(|| touch(&mut plain));
    let turns = swept(&mut bench, 0, u64::from(rounds) + 2);
    assert_eq!(bench.engine.sessions().len(), 0, "none is permitted");
    ended.push(milliseconds(turns.iter().sum()), milliseconds(bare));
    Ok(vec![judged, turn, ended])
}

/// The turns of a worker from a commit until it sleeps.
fn swept(bench: &mut Bench, rules: u32, epoch: u64) -> Vec<Duration> {
    let policy = workload::policy(rules, epoch);
    let mut turns = vec![workload::timed(|| bench.engine.set_policy(policy))];
    let mut more = true;
    while more {
        let taken = workload::timed(|| more = bench.tick());
        turns.push(taken);
        bench.wait(taken);
        while bench.engine.next_event().is_some() {}
    }
    turns
}

/// Of the undisturbed turns, microseconds.
fn longest(mut turns: Vec<Duration>) -> f64 {
    turns.sort_unstable();
    turns.truncate(turns.len() - turns.len() / DISTURBED);
    turns.last().map_or(0.0, |turn| 1_000.0 * milliseconds(*turn))
}

fn touch(sessions: &mut [[u64; size_of::<Session>() / 8]]) {
    for session in sessions {
        session[5] = session[5].wrapping_add(session[0]);
        session[23] = session[23].wrapping_add(1);
    }
}

fn milliseconds(duration: Duration) -> f64 {
    1_000.0 * duration.as_secs_f64()
}
