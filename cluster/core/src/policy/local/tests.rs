//! One node's machine, step by step.

use std::time::Duration;

use super::*;
use crate::policy::log::Trial;
use crate::policy::{Epoch, MachineBoot, Summary, WallTime};

const V1: Version = Version { epoch: Epoch(1), source: Epoch(1) };
const V2: Version = Version { epoch: Epoch(2), source: Epoch(2) };
const BACK: Version = Version { epoch: Epoch(3), source: Epoch(1) };

fn clocks(millis: u64) -> Clocks {
    let boottime = Time::from_millis(1_000_000 + millis);
    let wall = WallTime(5_000_000 + millis);
    Clocks { now: boottime, boottime, machine: MachineBoot(1), wall }
}

fn log(applied: u64, running: Version) -> Summary {
    Summary { applied, decided: applied, running, trial: None, pending: None }
}

fn trial(applied: u64) -> Summary {
    let confirm = Duration::from_secs(20);
    let trial = Trial { epoch: Epoch(2), fallback: Epoch(1), revert: BACK, confirm };
    Summary { trial: Some(trial), ..log(applied, V2) }
}

fn facts(decided: u64, runs: Version) -> Facts {
    Facts { decided, runs, trial: None }
}

/// A machine, and what it said since the last look.
struct Bench {
    it: Local,
    now: u64,
}

impl Bench {
    fn new(facts: Facts) -> Self {
        Self { it: Local::new(NodeId(1), facts, &clocks(0)), now: 0 }
    }

    /// A node that runs version 1 since entry 4, on its disk, too.
    fn settled() -> Self {
        let mut bench = Self::new(facts(4, V1));
        bench.obey();
        bench
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.it.handle(input, &clocks(self.now));
        self.take()
    }

    fn take(&mut self) -> Vec<Output> {
        let quiet = |it: &Output| !matches!(it, Output::AskClearance { .. });
        std::iter::from_fn(|| self.it.poll_output()).filter(quiet).collect()
    }

    /// Does all that it wants; gives what it told at last.
    fn obey(&mut self) -> Report {
        let mut todo: VecDeque<_> = self.take().into();
        while let Some(output) = todo.pop_front() {
            let Some(input) = done(output) else { continue };
            todo.extend(self.tell(input));
        }
        self.it.report()
    }

    fn may_forward(&self) -> bool {
        self.it.may_forward(&clocks(self.now))
    }

    fn clear(&mut self, index: u64) {
        let asked = clocks(self.now).boottime;
        self.tell(Input::Cleared { asked, index });
    }
}

/// The answer of a driver that can do everything.
fn done(output: Output) -> Option<Input> {
    match output {
        Output::Compile { purpose, version } => {
            Some(Input::Compiled { purpose, version, result: Ok(()) })
        }
        Output::Run(version) => Some(Input::Running(version)),
        Output::Save(facts) => Some(Input::Saved(facts)),
        Output::Tell(_) | Output::AskClearance { .. } | Output::Event(_) => None,
    }
}

fn compile(version: Version) -> Output {
    Output::Compile { purpose: Purpose::Force, version }
}

#[test]
fn it_tells_what_it_runs_when_that_is_on_its_disk() {
    let mut bench = Bench::settled();
    assert_eq!(bench.it.report().settled, 4);
    assert_eq!(bench.tell(Input::Log(log(6, V2))), [compile(V2)]);
    let compiled = Input::Compiled { purpose: Purpose::Force, version: V2, result: Ok(()) };
    assert_eq!(bench.tell(compiled), [Output::Run(V2), Output::Save(facts(6, V2))]);
    let told = bench.tell(Input::Running(V2));
    assert!(matches!(&told[..], [Output::Tell(it)] if it.settled == 4), "{told:?}");
    let told = bench.tell(Input::Saved(facts(6, V2)));
    assert!(matches!(&told[..], [Output::Tell(it)] if it.settled == 6 && it.runs == Epoch(2)));
    // The other way round: the disk is faster than the workers.
    let mut bench = Bench::settled();
    bench.tell(Input::Log(log(6, V2)));
    bench.tell(Input::Compiled { purpose: Purpose::Force, version: V2, result: Ok(()) });
    assert_eq!(bench.tell(Input::Saved(facts(6, V2))), []);
    assert_eq!(bench.it.report().settled, 4);
    bench.tell(Input::Running(V2));
    assert_eq!(bench.it.report().settled, 6);
}

#[test]
fn what_is_behind_its_disk_is_history() {
    let mut bench = Bench::settled();
    assert_eq!(bench.tell(Input::Log(log(2, V2))), [], "an older entry, seen again");
    assert_eq!(bench.it.running(), V1);
    assert_eq!(bench.tell(Input::Log(log(4, V1))), []);
}

#[test]
fn it_overtakes_what_came_meanwhile() {
    let mut bench = Bench::settled();
    bench.tell(Input::Log(log(6, V2)));
    let v3 = Version { epoch: Epoch(5), source: Epoch(5) };
    assert_eq!(bench.tell(Input::Log(log(8, v3))), []);
    let compiled = Input::Compiled { purpose: Purpose::Force, version: V2, result: Ok(()) };
    assert_eq!(bench.tell(compiled), [compile(v3)], "the older one is not run any more");
}

#[test]
fn a_proposal_is_tried_once_and_told() {
    let mut bench = Bench::settled();
    let pending = Some((ProposalId(5), V2));
    let summary = Summary { applied: 5, pending, ..log(4, V1) };
    let purpose = Purpose::Proposal(ProposalId(5));
    let wanted = Output::Compile { purpose, version: V2 };
    let outputs = bench.tell(Input::Log(summary));
    assert_eq!(outputs[0], wanted);
    assert_eq!(bench.tell(Input::Log(summary)), []);
    let why = Line::cut("no such port");
    bench.tell(Input::Compiled { purpose, version: V2, result: Err(why.clone()) });
    let report = bench.it.report();
    assert_eq!(
        (report.proposal, report.verdict),
        (Some(ProposalId(5)), Some(Verdict::Refused { why }))
    );
    assert_eq!(bench.tell(Input::Asked).len(), 1, "told again when asked");
    bench.tell(Input::Log(Summary { applied: 6, ..log(4, V1) }));
    assert_eq!(bench.it.report().proposal, None);
}

#[test]
fn who_may_forward() {
    let mut bench = Bench::settled();
    bench.tell(Input::Log(log(4, V1)));
    assert!(!bench.may_forward(), "no leader has said so");
    bench.clear(5);
    assert!(!bench.may_forward(), "an entry is missing");
    bench.tell(Input::Log(Summary { applied: 5, ..log(4, V1) }));
    assert!(bench.may_forward());
    bench.now = 499;
    assert!(bench.may_forward());
    bench.now = 500;
    assert!(!bench.may_forward(), "too long ago");
    bench.tell(Input::Lease(true));
    assert!(!bench.may_forward(), "a lease that it should not have");
    bench.tell(Input::Lease(false));
    bench.clear(5);
    bench.tell(Input::Lease(true));
    bench.now = 5_000;
    assert!(bench.may_forward(), "it goes on");
    bench.tell(Input::Log(log(6, V2)));
    assert!(bench.may_forward(), "also in the middle of a switch");
    bench.tell(Input::Lease(false));
    bench.clear(6);
    assert!(!bench.may_forward(), "but it does not begin there");
    bench.obey();
    bench.tell(Input::Compiled { purpose: Purpose::Force, version: V2, result: Ok(()) });
    bench.tell(Input::Running(V2));
    assert!(bench.may_forward());
    bench.now = 9_000;
    assert!(!bench.may_forward());
    bench.tell(Input::Alone(true));
    assert!(bench.may_forward(), "a pair's survivor");
}

#[test]
fn a_clearance_from_the_future_is_none() {
    let mut bench = Bench::settled();
    bench.tell(Input::Log(log(4, V1)));
    bench.tell(Input::Cleared { asked: clocks(1).boottime, index: 4 });
    assert!(!bench.may_forward());
}

#[test]
fn who_cannot_run_the_newest_stops_says_so_and_tries_again() {
    let mut bench = Bench::settled();
    bench.tell(Input::Log(log(4, V1)));
    bench.clear(4);
    bench.tell(Input::Lease(true));
    bench.tell(Input::Log(log(6, V2)));
    let why = Line::cut("port is gone");
    let failed =
        || Input::Compiled { purpose: Purpose::Force, version: V2, result: Err(why.clone()) };
    let outputs = bench.tell(failed());
    assert!(outputs.contains(&Output::Event(Event::CannotRun { version: V2, why: why.clone() })));
    assert!(!outputs.iter().any(|it| matches!(it, Output::Save(_))), "the disk keeps what can run");
    assert!(!bench.may_forward());
    assert_eq!(bench.it.report().closed, None, "it may still forward");
    bench.tell(Input::Lease(false));
    assert_eq!(bench.it.report().closed, Some(Closed { decided: 6, why: why.clone() }));
    bench.now = 999;
    assert_eq!(bench.tell(Input::Tick), []);
    bench.now = 1_000;
    assert_eq!(bench.tell(Input::Tick), [compile(V2)]);
    bench.tell(Input::Compiled { purpose: Purpose::Force, version: V2, result: Ok(()) });
    bench.tell(Input::Running(V2));
    assert_eq!((bench.it.unable(), bench.it.report().closed), (None, None));
}

#[test]
fn it_goes_back_alone_and_forward_again_if_confirmed() {
    let mut bench = Bench::settled();
    bench.tell(Input::Log(trial(6)));
    bench.tell(Input::Compiled { purpose: Purpose::Force, version: V2, result: Ok(()) });
    bench.tell(Input::Running(V2));
    let armed = bench.it.trial().unwrap();
    bench.tell(Input::Saved(Facts { decided: 6, runs: V2, trial: Some(armed) }));
    assert_eq!(bench.it.report().settled, 6);
    bench.now = 19_999;
    assert_eq!(bench.tell(Input::Tick), []);
    bench.now = 20_000;
    let outputs = bench.tell(Input::Tick);
    assert_eq!(outputs, [Output::Event(Event::RevertedAlone { epoch: Epoch(2) }), compile(BACK)]);
    bench.tell(Input::Compiled { purpose: Purpose::Force, version: BACK, result: Ok(()) });
    bench.tell(Input::Running(BACK));
    assert_eq!(bench.it.running(), BACK);
    let mut confirmed = bench;
    let outputs = confirmed.tell(Input::Log(log(7, V2)));
    assert!(outputs.contains(&Output::Event(Event::TookAgain { epoch: Epoch(2) })));
    assert!(outputs.contains(&compile(V2)));
    assert_eq!(confirmed.it.tally().took_again, 1);
}

#[test]
fn the_logs_revert_finds_it_done() {
    let mut bench = Bench::settled();
    bench.tell(Input::Log(trial(6)));
    bench.now = 20_000;
    bench.tell(Input::Compiled { purpose: Purpose::Force, version: V2, result: Ok(()) });
    assert!(bench.tell(Input::Running(V2)).contains(&compile(BACK)));
    bench.tell(Input::Compiled { purpose: Purpose::Force, version: BACK, result: Ok(()) });
    bench.tell(Input::Running(BACK));
    assert_eq!(bench.it.running(), BACK);
    let outputs = bench.tell(Input::Log(log(7, BACK)));
    assert_eq!(outputs, [Output::Save(facts(7, BACK))]);
    assert_eq!((bench.it.running(), bench.it.tally().took_again), (BACK, 0));
}

/// After a restart in each state it runs what its disk says, and what the deadline made of it.
#[test]
fn restarts_in_every_state() {
    let armed = |alone| {
        let trial = trial(6).trial.unwrap();
        let deadline = Deadline::new(trial.confirm, &clocks(0));
        Facts { decided: 6, runs: V2, trial: Some(Armed { trial, deadline, alone }) }
    };
    let other = |millis, wall| {
        let machine = MachineBoot(2);
        Clocks { boottime: Time::from_millis(millis), machine, wall: WallTime(wall), ..clocks(0) }
    };
    let cases = [
        ("nothing yet", Facts::default(), clocks(5), Version::NONE),
        ("settled", facts(4, V1), clocks(5), V1),
        ("on trial", armed(false), clocks(19_999), V2),
        ("on trial, too late", armed(false), clocks(20_000), BACK),
        ("reverted alone", armed(true), clocks(5), BACK),
        ("machine restarted in time", armed(false), other(3, 5_010_000), V2),
        ("machine restarted too late", armed(false), other(3, 5_020_000), BACK),
        ("machine restarted, clock set back", armed(false), other(3, 7), V2),
        ("machine restarted, clock set ahead", armed(false), other(3, 9_000_000), BACK),
    ];
    for (name, facts, clocks, runs) in cases {
        let mut it = Local::new(NodeId(1), facts, &clocks);
        assert!(!it.may_forward(&clocks), "{name}");
        while let Some(output) = it.poll_output() {
            let Some(input) = done(output) else { continue };
            it.handle(input, &clocks);
        }
        assert_eq!(it.running(), runs, "{name}");
        assert_eq!(it.report().settled, facts.decided, "{name}");
        assert!(!it.may_forward(&clocks), "{name}: it does not know whether that is the newest");
    }
}

#[test]
fn ticks_are_due_when_something_is() {
    let mut bench = Bench::settled();
    assert_eq!(bench.it.next_deadline(), clocks(100).boottime, "the next question");
    bench.tell(Input::Log(trial(6)));
    bench.now = 19_950;
    bench.tell(Input::Tick);
    assert_eq!(bench.it.next_deadline(), clocks(20_000).boottime, "the trial");
}
