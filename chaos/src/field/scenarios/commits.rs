//! Revisions that open and shut doors by turns, through either node, while the nodes' paths fail.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use config::api::{CommitRequest, POLICY_STATUS, PolicyStatus};

use crate::field::api::Undone;
use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::{Node, Segment};
use crate::field::limits::{PROBED, SETTLE};
use crate::field::log::{self, Commit, now};
use crate::field::operator::Operator;
use crate::field::pair;
use crate::field::run::{Run, Settings, all_kinds};
use crate::field::scenario::{Bar, Of, Scenario};
use crate::field::site::Wants;
use crate::field::traffic::{Door, Plan, Traffic};
use crate::field::wait::pause;
use crate::sim::dice::Dice;

/// Revisions that come in force.
const WANTED: usize = 110;
/// Tries at most, and the time that they may take: a stuck cluster is no reason to wait for ever.
const TRIES: usize = 160;
const TIME: Duration = Duration::from_secs(300);
/// Between an answer and the next request, milliseconds: many probes are judged by one revision alone.
const BETWEEN: core::ops::Range<u64> = 100..400;
/// Between two faults, milliseconds.
const CALM: core::ops::Range<u64> = 300..1_200;
/// Between two rounds of forged segments.
const FORGED: Duration = Duration::from_secs(4);
/// Ports of a switch, and a node's, work again.
const AFTER_PULL: Duration = Duration::from_millis(500);

pub(crate) const COMMITS: Scenario = Scenario {
    name: "commits",
    about: "revisions open and shut ports by turns while the standby is stopped and paths are cut",
    bars: &[
        Bar::least("commits", Of::Min, 100.0),
        Bar::none("violations"),
        Bar::none("probes_lost"),
        // Without these the two above say nothing.
        Bar::least("probes_shut", Of::Min, 10_000.0),
        Bar::least("probes_open", Of::Min, 10_000.0),
        Bar::none("lost_outside"),
        Bar::none("takeovers_outside"),
        Bar::none("tcp_broken"),
        Bar::none("rst_passed"),
        Bar::none("forged_passed"),
        Bar::least("control_passed", Of::Min, PROBED as f64),
    ],
    peer: false,
    // New flows of probes stay for long.
    wants: |_: &Settings| Wants { sessions: 262_144, ..Wants::default() },
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    run.settle()?;
    run.site.pair()?.agree()?;
    let plan = run.at_half(Plan { doors: 2, ..all_kinds() })?;
    let seed = u64::from(run.number);
    let mut operators = Vec::new();
    for node in Node::BOTH {
        let dice = Dice::new(now(), node.number() as u64);
        operators.push((node, Operator::new(run.site.pair()?.api(node), dice)));
    }
    run.while_flowing(&plan, |run, traffic| {
        let (over, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        let mut dice = Dice::new(seed, 2);
        let (troubled, commits) = std::thread::scope(|scope| {
            let work = || {
                let commits = commit_all(&mut operators, &mut dice, &over);
                ended.store(true, Ordering::Relaxed);
                commits
            };
            let work = scope.spawn(work);
            let troubled = trouble(run, traffic, &ended);
            over.store(true, Ordering::Relaxed);
            let commits = work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (troubled, commits)
        });
        log::write(&run.folder, "commits.log", &commits.done)?;
        run.measured("commits_undone", commits.undone.len() as f64);
        commits.undone.into_iter().for_each(|(at, why)| run.note_at(at, why));
        troubled?;
        run.pause(SETTLE)
    })?;
    run.measure_syncs()
}

/// What came of all of them.
#[derive(Default)]
struct Commits {
    done: Vec<Commit>,
    undone: Vec<(log::Nanos, String)>,
}

/// Through each node by turns. Revision N opens the door N mod 2, and shuts the other one.
fn commit_all(operators: &mut [(Node, Operator)], dice: &mut Dice, over: &AtomicBool) -> Commits {
    let (mut commits, begun) = (Commits::default(), Instant::now());
    for number in 0..TRIES {
        let in_force = commits.done.iter().filter(|it| it.returned.is_some()).count();
        if in_force >= WANTED || begun.elapsed() > TIME || over.load(Ordering::Relaxed) {
            break;
        }
        let door = number % 2;
        let (node, operator) = &mut operators[number % 2];
        let comment = Some(format!("revision {number}"));
        let request = CommitRequest {
            file: "policy.toml".to_owned(),
            text: with_door(door),
            comment,
            ..CommitRequest::default()
        };
        let called = now();
        let answer = operator.commit(request);
        let (node, door) = (node.name().to_owned(), Some(door));
        match answer {
            Ok(it) => {
                let (returned, took) = (Some(now()), it.took_milliseconds);
                let commit = Commit { called, returned, node, epoch: it.epoch, door, took };
                commits.done.push(commit);
                if !it.missing.is_empty() {
                    commits.undone.push((called, format!("missing {:?}", it.missing)));
                }
            }
            // It is not in force, and will not be.
            Err(Undone::Refused(error)) => {
                commits.undone.push((called, format!("refused: {error}")))
            }
            Err(Undone::NotSent(why)) => commits.undone.push((called, format!("not sent: {why}"))),
            Err(Undone::Unknown(why)) => {
                let commit = Commit { called, returned: None, node, epoch: 0, door, took: 0 };
                commits.done.push(commit);
                commits.undone.push((called, format!("not known: {why}")));
            }
        }
        if pause(dice.millis(BETWEEN)).is_err() {
            break;
        }
    }
    commits
}

/// The pair's policy, with one open door.
pub(super) fn with_door(door: usize) -> String {
    let port = Door(door).port();
    let text = pair::policy();
    format!(
        "{text}\n[[rule]]\nid = \"door\"\nfrom = \"trust\"\nto = \"untrust\"\n\
         service = [\"udp/{port}\"]\naction = \"permit\"\n"
    )
}

/// Faults that nobody but an operator may notice, until all is committed. A data link that is pulled out of
/// the active node is an outage: the ownership moves.
fn trouble(run: &mut Run<'_>, traffic: &Traffic, ended: &AtomicBool) -> Result<(), Failure> {
    let mut dice = Dice::new(u64::from(run.number), 1);
    let mut forged = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        run.pause(dice.millis(CALM))?;
        if forged.elapsed() >= FORGED {
            traffic.probe()?;
            forged = Instant::now();
        }
        let Some(active) = run.active_now()? else { continue };
        let standby = active.other();
        match dice.below(10) {
            0..4 => {
                let stopped = dice.millis(50..400);
                run.strike_blindly(Fault::Pause(standby))?;
                let waited = run.pause(stopped);
                run.strike_blindly(Fault::Continue(standby))?;
                waited?;
            }
            4..7 => cut(run, Fault::Cut(Segment::Fabric), &mut dice)?,
            7 => cut(run, Fault::Cut(Segment::Lan), &mut dice)?,
            8 => cut(run, Fault::Cut(Segment::Wan), &mut dice)?,
            _ => {
                run.note("outage begins");
                let segment = Segment::DATA[dice.below(2) as usize];
                cut(run, Fault::Pull(segment, active), &mut dice)?;
                run.pause(AFTER_PULL)?;
                run.note("outage ends");
            }
        }
    }
    Ok(())
}

fn cut(run: &mut Run<'_>, fault: Fault, dice: &mut Dice) -> Result<(), Failure> {
    run.strike_blindly(fault)?;
    run.pause(dice.millis(100..500))?;
    run.strike_blindly(Fault::Heal)
}

impl Run<'_> {
    /// Who says that it is active; none while both or nobody do.
    pub(super) fn active_now(&mut self) -> Result<Option<Node>, Failure> {
        let pair = self.site.pair()?;
        let says = |node: &Node| pair.api(*node).cluster().is_ok_and(|it| it.role == "active");
        let all: Vec<Node> = Node::BOTH.into_iter().filter(says).collect();
        Ok(if let [one] = all[..] { Some(one) } else { None })
    }

    /// What writes to the log's disk took, the slowest node's: microseconds, fsync included.
    pub(super) fn measure_syncs(&mut self) -> Result<(), Failure> {
        let nodes = self.site.lab.nodes();
        let pair = self.site.pair()?;
        let mut worst = [None; 2];
        for &node in nodes {
            let status: PolicyStatus = pair.api(node).get(POLICY_STATUS)?;
            let it = [status.raft.sync_p50_microseconds, status.raft.sync_p99_microseconds];
            worst = [worst[0].max(it[0]), worst[1].max(it[1])];
        }
        for (name, value) in ["fsync_p50_ms", "fsync_p99_ms"].into_iter().zip(worst) {
            if let Some(microseconds) = value {
                self.measured(name, microseconds as f64 / 1e3);
            }
        }
        Ok(())
    }
}
