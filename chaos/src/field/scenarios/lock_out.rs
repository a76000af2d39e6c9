//! A policy on trial that locks everybody out, while nodes die, paths are cut and a clock jumps.

use std::time::{Duration, Instant};

use config::api::{CommitRequest, Committed, HISTORY, History, POLICY_STATUS, PolicyStatus};
use config::api::{EventKind, RevisionKind};

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::Node;
use crate::field::limits::HEALING;
use crate::field::log::{self, Commit, DEADLINE, Nanos, now};
use crate::field::operator::Operator;
use crate::field::run::{Run, Settings};
use crate::field::scenario::{Bar, Of, Scenario};
use crate::field::site::Wants;
use crate::field::traffic::{Plan, Side, StreamPlan};
use crate::field::wait::wait_for;
use crate::sim::dice::Dice;

use super::commits::with_door;

const BEFORE: Duration = Duration::from_secs(1);
/// The trial.
const TRIAL: Duration = Duration::from_secs(20);
/// When, after the answer, a node dies, comes back, and a clock jumps.
const KILLED: Duration = Duration::from_secs(4);
const BACK: Duration = Duration::from_secs(6);
const JUMPED: Duration = Duration::from_secs(9);
/// By how much, seconds: forward and back by turns.
const JUMP: i64 = 3_600;
/// How long the way back is looked for, from the answer on; many times the bar, so that a miss is measured.
const LOOKED: Duration = Duration::from_secs(45);
/// Traffic with the old policy, before the paths are healed.
const AFTER: Duration = Duration::from_secs(2);

pub(crate) const LOCK_OUT: Scenario = Scenario {
    name: "lock-out",
    about: "`commit --confirm 20s` of a policy that permits nothing; paths cut, a node killed, a clock off",
    bars: &[
        Bar::least("locked", Of::Min, 2.0),
        Bar::least("revert_s", Of::Min, 20.0),
        Bar::most("reverted_s", Of::Max, 21.0),
        Bar::most("opened_again_s", Of::Max, 21.0),
        Bar::none("violations"),
        Bar::least("probes_shut", Of::Min, 10_000.0),
        Bar::least("agreed", Of::Min, 1.0),
        Bar::least("told", Of::Min, 1.0),
        Bar::most("heal_s", Of::Max, 10.0),
    ],
    peer: false,
    wants: |_: &Settings| Wants { wall_clocks: true, ..Wants::default() },
    run,
};

/// What of the four kinds of run: who is killed, whose clock jumps, and where to.
struct Turn {
    killed: Node,
    jumps: Node,
    by: i64,
}

impl Turn {
    fn new(number: u32, active: Node) -> Self {
        let killed = if number.is_multiple_of(2) { active.other() } else { active };
        let jumps = if (number / 2).is_multiple_of(2) { killed } else { killed.other() };
        let by = if (number / 4).is_multiple_of(2) { JUMP } else { -JUMP };
        Self { killed, jumps, by }
    }
}

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    for node in Node::BOTH {
        run.site.pair()?.set_wall(node, 0)?;
    }
    let active = run.settle()?;
    run.site.pair()?.agree()?;
    let turn = Turn::new(run.number, active);
    let streams = vec![StreamPlan { per_second: 500, from: Side::Client }];
    let plan = Plan { streams, doors: 1, ..Plan::default() };
    let operator = |run: &mut Run<'_>, node: Node| {
        let api = run.site.pair()?.api(node);
        Ok::<_, Failure>(Operator::new(api, Dice::new(now(), node.number() as u64)))
    };
    let mut operator = operator(run, active)?;
    run.while_flowing(&plan, |run, _| {
        let (open, old) = commit(&mut operator, active, with_door(0), None)?;
        run.pause(BEFORE)?;
        let (shut, lock) = commit(&mut operator, active, locked(), Some(TRIAL))?;
        let answered = Instant::now();
        run.strike_blindly(Fault::CutAll)?;
        let locked = run.running(lock.epoch)?;
        run.measured("locked", locked as f64);
        let begun = Trial { old: old.epoch, called: shut.called, answered };
        let back = trial(run, &turn, &begun)?;
        run.pause(AFTER)?;
        // No node runs what it was before the deadline, so the door is shut until then.
        let called = shut.called + TRIAL.as_nanos() as u64;
        let node = DEADLINE.to_owned();
        let again = Commit { called, returned: back, node, took: 0, ..open };
        log::write(&run.folder, "commits.log", [&open, &shut, &again])?;
        run.strike(Fault::Heal)?;
        agree(run, old.epoch)
    })
}

/// Nothing passes, and nobody may reach the nodes.
fn locked() -> String {
    "[zones]\ntrust = [\"lan\"]\nuntrust = [\"wan\"]\n".to_owned()
}

fn commit(
    operator: &mut Operator,
    node: Node,
    text: String,
    confirm: Option<Duration>,
) -> Result<(Commit, Committed), Failure> {
    let confirm_milliseconds = confirm.map(|it| it.as_millis() as u64);
    let door = confirm.is_none().then_some(0);
    let file = "policy.toml".to_owned();
    let request = CommitRequest { file, text, confirm_milliseconds, ..CommitRequest::default() };
    let called = now();
    let done = operator.commit(request).map_err(|undone| Failure::Refused {
        what: "a commit".to_owned(),
        said: format!("{undone:?}"),
    })?;
    let (returned, took, epoch) = (Some(now()), done.took_milliseconds, done.epoch);
    let node = node.name().to_owned();
    Ok((Commit { called, returned, node, epoch, door, took }, done))
}

/// A trial under way.
struct Trial {
    /// The epoch whose text comes back.
    old: u64,
    called: Nanos,
    answered: Instant,
}

/// Does what is to be done, and looks at both nodes all the time. When the last one had gone back, if both
/// did.
fn trial(run: &mut Run<'_>, turn: &Turn, trial: &Trial) -> Result<Option<Nanos>, Failure> {
    let mut steps = vec![
        (JUMPED, Step::Jump(turn.jumps, turn.by)),
        (BACK, Step::Strike(Fault::Restart(turn.killed))),
        (KILLED, Step::Strike(Fault::Kill(turn.killed))),
    ];
    let mut back = [None; 2];
    while trial.answered.elapsed() < LOOKED && back.contains(&None) {
        if let Some((_, step)) = steps.pop_if(|(at, _)| trial.answered.elapsed() >= *at) {
            step.take(run)?;
        }
        for node in Node::BOTH {
            let says = run.site.pair()?.api(node).get::<PolicyStatus>(POLICY_STATUS);
            let is_back = says.is_ok_and(|it| it.source == trial.old && it.trial.is_none());
            let seen = &mut back[node.index()];
            if is_back && steps.is_empty() && seen.is_none() {
                *seen = Some(now());
                run.note(format!("old policy at {}", node.name()));
            }
        }
        run.pause(Duration::from_millis(10))?;
    }
    let seconds = |from: Nanos, to: Nanos| to.saturating_sub(from) as f64 / 1e9;
    let [first, last] = [back.iter().flatten().min(), back.iter().flatten().max()];
    if let Some(&first) = first {
        run.measured("revert_s", seconds(trial.called, first));
    }
    let last = last.copied().filter(|_| !back.contains(&None));
    if let Some(last) = last {
        let since = trial.answered.elapsed().as_nanos() as u64;
        run.measured("reverted_s", seconds(now() - since, last));
    }
    Ok(last)
}

enum Step {
    Strike(Fault),
    Jump(Node, i64),
}

impl Step {
    fn take(self, run: &mut Run<'_>) -> Result<(), Failure> {
        match self {
            Self::Strike(fault) => run.strike_blindly(fault),
            Self::Jump(node, by) => {
                run.note(format!("fault clock {} {by}", node.name()));
                run.site.pair()?.set_wall(node, by)
            }
        }
    }
}

/// Both run one epoch with the old text; and when the log has caught up with what each did alone, both their
/// histories tell how it came.
fn agree(run: &mut Run<'_>, old: u64) -> Result<(), Failure> {
    let healed = Instant::now();
    let pair = run.site.pair()?;
    pair.settle_within(HEALING)?;
    let agreed = wait_for(HEALING, "the old policy on both nodes", || {
        let view = pair.agree_within(Duration::ZERO).map_err(|failure| failure.to_string())?;
        if view.source == old { Ok(view) } else { Err(format!("{view:?}")) }
    });
    let seconds = healed.elapsed().as_secs_f64();
    let told = wait_for(HEALING, "histories that tell of the way back", || {
        let histories = Node::BOTH.map(|node| pair.api(node).get::<History>(HISTORY));
        let all = histories.iter().all(|it| it.as_ref().is_ok_and(|it| tells(it, old)));
        if all { Ok(()) } else { Err(format!("{histories:?}")) }
    });
    let flag = |held: bool| f64::from(u8::from(held));
    run.measured("heal_s", seconds);
    run.measured("agreed", flag(agreed.is_ok()));
    run.measured("told", flag(told.is_ok()));
    for failure in agreed.err().into_iter().chain(told.err()) {
        run.note(failure.to_string());
    }
    Ok(())
}

/// Whether the revision in force has the text of `old`, by a revert.
fn tells(history: &History, old: u64) -> bool {
    let back = history.revisions.iter().find(|it| it.in_force);
    let is_back = back
        .is_some_and(|it| it.kind == RevisionKind::Revert && it.source.unwrap_or(it.epoch) == old);
    is_back && history.events.iter().any(|it| it.kind == EventKind::Revert)
}

impl Run<'_> {
    /// How many nodes run this epoch.
    fn running(&mut self, epoch: u64) -> Result<usize, Failure> {
        let pair = self.site.pair()?;
        let says = |node: &&Node| {
            let status = pair.api(**node).get::<PolicyStatus>(POLICY_STATUS);
            status.is_ok_and(|it| it.epoch == epoch && it.trial.is_some())
        };
        Ok(Node::BOTH.iter().filter(says).count())
    }
}
