//! A policy on trial while wall clocks jump: it goes back at its deadline, which no wall clock knows.

use std::time::{Duration, Instant};

use ringwall_tests::{require, root, wait_for};
use serde_json::Value;

use super::policy::other_policy;
use super::{PATIENCE, Pair};

/// How long the policy is on trial: a daemon is restarted meanwhile, and answers again.
const TRIAL: Duration = Duration::from_secs(10);
/// How far a clock jumps, seconds: many times the trial.
const JUMP: i64 = 3_600;
/// How long before and after its deadline a node may be seen to have gone back: what a look takes, and what
/// a busy machine needs to switch.
const EARLY: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(3);

impl Pair {
    fn jump(&self, index: usize, seconds: i64) {
        // Whole at once: the daemon reads it at each look at its clock.
        let (path, beside) = (self.wall(index), self.path("wall.new"));
        std::fs::write(&beside, seconds.to_string()).expect("written");
        std::fs::rename(beside, path).expect("in its place");
    }
}

/// Who was killed comes back with a clock that is an hour off, and the clock of who runs on jumps as far.
fn trial(killed_jumps: i64, other_jumps: i64) {
    let mut pair = Pair::founded();
    let active = pair.starts();
    let killed = 1 - active;
    let deny = pair.file("deny.toml", &other_policy());
    let confirm = format!("{}s", TRIAL.as_secs());
    let called = Instant::now();
    pair.verb(active, &["commit", &deny, "--confirm", &confirm]).exits(0);
    let answered = Instant::now();
    assert_eq!(
        [0, 1].map(|index| pair.runs(index)),
        [(2, "deny".to_owned()), (2, "deny".to_owned())]
    );

    pair.jump(active, other_jumps);
    pair.nodes[killed] = None; // SIGKILL
    pair.jump(killed, killed_jumps);
    pair.start(killed);
    wait_for(PATIENCE, "the killed one answers", || pair.runs(killed).0 > 0);
    let restarted = called.elapsed();
    assert!(restarted < TRIAL, "too busy a machine to see anything: {restarted:?}");

    // When each of them was seen to have gone back: not before this, and at the latest then.
    let mut back: [Option<(Duration, Duration)>; 2] = [None; 2];
    wait_for(PATIENCE, "both go back", || {
        for (index, seen) in back.iter_mut().enumerate().filter(|(_, seen)| seen.is_none()) {
            let asked = (called.elapsed(), answered.elapsed());
            let told = pair.policy_status(index);
            let reverted = told["epoch"] == 3 && told["rules"][0]["action"] == "permit";
            if reverted && told["policy_status"]["trial"] == Value::Null {
                // The answer may have waited: it was true when it came, at the earliest when it was asked.
                *seen = Some((called.elapsed(), asked.1));
            }
        }
        back.iter().all(Option::is_some)
    });
    for (index, seen) in back.iter().enumerate() {
        let (at_most, at_least) = seen.expect("it went back");
        eprintln!("node {} went back within {at_least:?} and {at_most:?}", index + 1);
        assert!(at_most + EARLY >= TRIAL, "node {}: too early, {at_most:?}", index + 1);
        assert!(at_least <= TRIAL + LATE, "node {}: too late, {at_least:?}", index + 1);
    }
}

#[test]
fn a_trial_ends_in_time_when_the_killed_ones_clock_is_an_hour_ahead_and_the_others_behind() {
    require!(root());
    trial(JUMP, -JUMP);
}

#[test]
fn a_trial_ends_in_time_when_the_killed_ones_clock_is_an_hour_behind_and_the_others_ahead() {
    require!(root());
    trial(-JUMP, JUMP);
}
