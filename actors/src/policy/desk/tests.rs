use cluster_core::policy::coordinator::{Excuse, Excused};
use cluster_core::policy::log::{Refusal, Withdrawal};
use cluster_core::policy::{Outcome, PolicyText, ProposalId, Replicated as _, encode_command};

use super::*;

fn apply(log: &mut Log, action: Action) {
    let command = Command { request: None, stamp: Stamp::default(), action };
    log.apply(log.summary().applied + 1, &encode_command(&command));
}

/// A revision in force, on trial for so many seconds if that is said.
fn commit(log: &mut Log, confirm: Option<u64>) {
    let text = format!("# {}", log.summary().applied);
    let base = log.summary().running.epoch;
    let content = Content::Text { text: PolicyText::new(text).expect("short") };
    let confirm = confirm.map(Duration::from_secs);
    let (file, comment) = (Line::cut("p.toml"), Line::default());
    apply(log, Action::Propose { base, content, file, comment, confirm });
    let proposal = log.pending().expect("it is tried").proposal;
    apply(log, Action::Switch { proposal });
}

/// What is in force, what is asked for → what follows.
#[test]
fn going_back_is_a_table() {
    let mut log = Log::default();
    let nothing = earlier(&log, None).expect_err("nothing was ever committed");
    assert_eq!(nothing.error, "there is no earlier revision");
    for _ in 0..3 {
        commit(&mut log, None);
    }
    let again = |log: &Log, wanted| {
        let Earlier { running, to, action } = earlier(log, wanted).expect("there is one");
        let Action::Propose { base, content, .. } = action else { panic!("{action:?}") };
        assert_eq!((base, content), (running, Content::Again { of: to }));
        to.0
    };
    assert_eq!((again(&log, None), again(&log, Some(1)), again(&log, Some(9))), (2, 1, 9));
    commit(&mut log, Some(60));
    let reverts = |log: &Log, wanted| {
        let Earlier { running, to, action } = earlier(log, wanted).expect("there is one");
        let revert = Action::Revert { epoch: Epoch(4), cause: Cause::Rollback {} };
        (running, to, action) == (Epoch(4), Epoch(3), revert)
    };
    assert!(reverts(&log, None) && reverts(&log, Some(3)), "the trial ends");
    assert_eq!(again(&log, Some(1)), 1, "which the log refuses, as a trial is open");
}

#[test]
fn an_answer_says_who_was_not_waited_for_and_until_when_it_is_on_trial() {
    let outcome = Outcome::Committed { epoch: Epoch(7), reverts_as: Some(Epoch(8)) };
    let excused = vec![Excused { node: NodeId(2), why: Excuse::Down }];
    let took = Duration::from_millis(38);
    let answer = Answer::Done { outcome: outcome.clone(), took, excused };
    let told = answers::committed(answer, Some(600_000)).expect("in force");
    let reverts = api::Reverts { epoch: 8, in_milliseconds: 600_000 };
    assert_eq!((told.epoch, told.took_milliseconds, told.reverts), (7, 38, Some(reverts)));
    assert_eq!(told.excused[0].node, 2);
    let missing = vec![NodeId(3)];
    let answer = Answer::Unsettled { outcome, took, missing };
    assert_eq!(answers::committed(answer, None).expect("in force").missing, [3]);
}

#[test]
fn what_is_not_known_is_not_called_an_error_of_the_operator() {
    let unknown = Answer::Unknown { down: vec![NodeId(2)] };
    let error = answers::committed(unknown, None).expect_err("who knows");
    assert!(error.unknown && error.error.contains("node 2 is not heard"), "{error}");
    let outcome = Outcome::Refused { why: Refusal::Conflict { running: Epoch(5) } };
    let answer = Answer::Done { outcome, took: Duration::ZERO, excused: Vec::new() };
    let error = answers::committed(answer, None).expect_err("a conflict");
    assert!(!error.unknown && error.error.contains("epoch 5 is in force"), "{error}");
    let why = Withdrawal::Refused { why: Line::cut("no such port") };
    let outcome = Outcome::Withdrawn { proposal: ProposalId(3), who: Some(NodeId(2)), why };
    let answer = Answer::Done { outcome, took: Duration::ZERO, excused: Vec::new() };
    let error = answers::confirmed(answer).expect_err("withdrawn");
    assert!(error.error.contains("node 2 refuses it"), "{error}");
}
