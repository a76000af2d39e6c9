//! A large policy is committed while traffic flows, and `nft -f` of the same rules beside it.

use std::process::Command;
use std::time::{Duration, Instant};

use netns::Namespace;

use crate::field::failure::Failure;
use crate::field::limits::SETTLE;
use crate::field::log;
use crate::field::pair;
use crate::field::process;
use crate::field::ruleset::Ruleset;
use crate::field::run::{Run, all_kinds};
use crate::field::scenario::{Bar, Of, Scenario, nothing_special, three};
use crate::field::traffic::{Plan, Side, StreamPlan};

/// What latency is without a commit.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(1);
/// Datagrams a second of the stream whose latency counts.
const PER_SECOND: u32 = 2_000;

pub(crate) const LARGE: Scenario = Scenario {
    name: "large",
    about: "a commit of 10,000 rules and 100,000 prefixes under load, and `nft -f` of the same",
    bars: BARS,
    peer: false,
    wants: nothing_special,
    run,
};

pub(crate) const LARGE_3: Scenario = Scenario {
    name: "large-3",
    about: "as large, on three firewalls, through each of them by turns",
    wants: three,
    ..LARGE
};

const BARS: &[Bar] = &[
    Bar::most("commit_max_ms", Of::Max, 3_000.0),
    Bar::most("took_p50_ms", Of::Max, 3_000.0),
    // The large policy, and the one before it again.
    Bar::least("running_everywhere", Of::Min, 2.0),
    Bar::none("lost"),
    Bar::most("latency_ratio", Of::Max, 2.0),
    Bar::none("takeovers"),
    Bar::none("tcp_broken"),
];

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    let rules = Ruleset::new(u64::from(run.number));
    // Before anything is measured: its transaction keeps a processor to itself for tenths of a second, which
    // no heartbeat survives.
    let theirs = nft(&run.site.pair()?.file("large.nft", &rules.nft)?)?.as_secs_f64();
    run.measured("nft_s", theirs);
    run.settle()?;
    let pair = run.site.pair()?;
    pair.agree()?;
    pair.file(Ruleset::LIST, &rules.list)?;
    let large = pair.file("large.toml", &rules.policy(&pair::policy()))?;
    let small = pair.policy();
    let nodes = run.site.lab.nodes();
    let node = nodes[run.number as usize % nodes.len()];
    let streams = [Side::Client, Side::Server];
    let streams = streams.map(|from| StreamPlan { per_second: PER_SECOND, from }).to_vec();
    let mut took = Duration::ZERO;
    let plan = run.at_half(Plan { streams, probes: false, ..all_kinds() })?;
    run.while_flowing(&plan, |run, _| {
        run.pause(AFTER)?;
        run.note("span before begins");
        run.pause(BEFORE)?;
        run.note("span before ends");
        run.note("span during begins");
        let (commit, answer) = run.commit_file(node, &large, None)?;
        run.note("span during ends");
        run.check_everywhere(&answer)?;
        log::write(&run.folder, "commits.log", [&commit])?;
        took = Duration::from_nanos(commit.returned.unwrap_or(commit.called) - commit.called);
        run.pause(SETTLE)
    })?;
    run.measured("commit_to_nft", took.as_secs_f64() / theirs);
    let (_, answer) = run.commit_file(node, &small, None)?;
    run.check_everywhere(&answer)?;
    run.measure_syncs()
}

/// What `nft -f` takes, in a namespace of its own.
fn nft(file: &std::path::Path) -> Result<Duration, Failure> {
    let namespace = Namespace::new("rwf-nft")?;
    let begun = Instant::now();
    process::run(&namespace, Command::new("nft").arg("-f").arg(file))?;
    Ok(begun.elapsed())
}
