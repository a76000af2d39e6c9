//! Histories of a cluster's policy, and what must not happen to it.

use super::super::parse::parse;
use super::super::{Verdict, Violation};

const REVISIONS_KEPT: usize = 50;

/// One event a line: process, then `> call` or `< answer`, in JSON; `?` is an answer that was given up.
fn judge(events: &[&str]) -> Verdict {
    let line = |event: &&str| {
        let (process, rest) = event.split_once(' ').unwrap();
        match rest.split_at(1) {
            (">", call) => format!("{{\"process\":{process},\"call\":{call}}}\n"),
            ("<", answer) => format!("{{\"process\":{process},\"answer\":{answer}}}\n"),
            ("?", _) => format!("{{\"process\":{process},\"gave-up\":true}}\n"),
            _ => panic!("{event}"),
        }
    };
    let text: String = events.iter().map(line).collect();
    parse(&text).unwrap_or_else(|why| panic!("{why}: {text}")).check(REVISIONS_KEPT)
}

fn violation(events: &[&str]) -> Violation {
    match judge(events) {
        Verdict::Violation(violation) => violation,
        other @ (Verdict::Linearizable | Verdict::Undecided { .. }) => panic!("{other:?}"),
    }
}

const A: &str = r#"1 >{"commit":{"base":0,"text":"a"}}"#;
const A_RUNS: &str = r#"1 <{"running":{"epoch":1}}"#;
const READ: &str = r#"2 >"read""#;

#[test]
fn of_two_commits_on_one_base_one_conflicts() {
    let other = r#"2 >{"commit":{"base":0,"text":"b"}}"#;
    let conflict = r#"2 <{"conflict":{"running":1}}"#;
    assert_eq!(judge(&[A, other, conflict, A_RUNS]), Verdict::Linearizable);
    let both = [A, other, A_RUNS, r#"2 <{"running":{"epoch":2}}"#];
    assert_eq!(violation(&both).events, 4, "an update is lost");
    let early = [other, conflict, A, A_RUNS];
    assert_eq!(violation(&early).events, 2, "nothing else was in the way");
    let wrong = [A, A_RUNS, other, r#"2 <{"conflict":{"running":0}}"#];
    assert_eq!(violation(&wrong).events, 4);
}

#[test]
fn an_acknowledged_revision_is_never_unseen() {
    let old = r#"2 <{"running":{"epoch":0}}"#;
    assert_eq!(violation(&[A, A_RUNS, READ, old]).events, 4);
    assert_eq!(judge(&[A, READ, old, A_RUNS]), Verdict::Linearizable);
    let other = r#"2 <{"running":{"epoch":1,"text":"b"}}"#;
    assert_eq!(violation(&[A, A_RUNS, READ, other]).events, 4, "text and number belong together");
}

#[test]
fn a_commit_without_an_answer_may_run_later_under_a_number_that_is_told_then() {
    let b = r#"3 >{"commit":{"base":null,"text":"b"}}"#;
    let b_runs = |epoch: u64| format!(r#"2 <{{"running":{{"epoch":{epoch},"text":"b"}}}}"#);
    let a_reads = r#"2 <{"running":{"epoch":1,"text":"a"}}"#;
    let (two, four) = (b_runs(2), b_runs(4));
    let lost = [A, A_RUNS, b, "3 ?", READ, a_reads, READ, &four, READ, &four];
    assert_eq!(judge(&lost), Verdict::Linearizable, "numbers may be left out");
    let changes = [A, A_RUNS, b, "3 ?", READ, &four, READ, &two];
    assert_eq!(violation(&changes).events, 8, "a number stays");
    let back = [A, A_RUNS, b, "3 ?", READ, &four, READ, a_reads];
    assert_eq!(violation(&back).events, 8, "nobody rolled back");
    let based = r#"4 >{"commit":{"base":4,"text":"c"}}"#;
    let c_runs = r#"4 <{"running":{"epoch":5}}"#;
    assert_eq!(judge(&[A, A_RUNS, b, "3 ?", based, c_runs]), Verdict::Linearizable);
    let lower = r#"4 <{"running":{"epoch":4}}"#;
    assert_eq!(violation(&[A, A_RUNS, b, "3 ?", based, lower]).events, 6, "numbers grow");
}

#[test]
fn a_rollback_brings_a_text_back_under_a_new_number() {
    let b = [r#"1 >{"commit":{"base":1,"text":"b"}}"#, r#"1 <{"running":{"epoch":2}}"#];
    let back = |to: &str, text: &str| {
        let call = format!(r#"1 >{{"rollback":{{"to":{to}}}}}"#);
        let answer = format!(r#"1 <{{"running":{{"epoch":3,"text":"{text}"}}}}"#);
        judge(&[A, A_RUNS, b[0], b[1], &call, &answer])
    };
    assert_eq!(back("null", "a"), Verdict::Linearizable);
    assert_eq!(back("1", "a"), Verdict::Linearizable);
    assert_eq!(back("0", ""), Verdict::Linearizable);
    assert!(matches!(back("null", "b"), Verdict::Violation(_)));
    assert!(matches!(back("7", "a"), Verdict::Violation(_)), "there is no such revision");
}

#[test]
fn what_waits_to_be_confirmed_ends_or_stays_and_never_both() {
    let a = r#"1 >{"commit":{"base":0,"text":"a","confirm":true}}"#;
    let revert = r#"9 >{"revert":{"text":"a"}}"#;
    let read = |epoch: u64, text: &str, waits: bool| {
        let (epoch, text) = (format!("\"epoch\":{epoch}"), format!("\"text\":\"{text}\""));
        format!(r#"2 <{{"running":{{{epoch},{text},"waits":{waits}}}}}"#)
    };
    let (waits, kept, gone) = (read(1, "a", true), read(1, "a", false), read(2, "", false));
    let confirm = r#"1 >{"confirm":{"epoch":1}}"#;
    let confirmed = r#"1 <"confirmed""#;
    let begun = [revert, a, A_RUNS, READ, &waits];
    let then = |more: &[&str]| judge(&[&begun[..], more].concat());
    assert_eq!(then(&[READ, &gone]), Verdict::Linearizable);
    assert_eq!(then(&[confirm, confirmed, READ, &kept]), Verdict::Linearizable);
    assert_eq!(then(&[READ, &gone, confirm, r#"1 <"refused""#]), Verdict::Linearizable);
    assert_ne!(then(&[READ, &gone, confirm, confirmed]), Verdict::Linearizable, "it is gone");
    assert_ne!(then(&[confirm, confirmed, READ, &gone]), Verdict::Linearizable, "it was confirmed");
    let other = r#"3 >{"commit":{"base":null,"text":"b"}}"#;
    let refused = r#"3 <"waits""#;
    assert_eq!(then(&[other, refused]), Verdict::Linearizable);
    let runs = r#"3 <{"running":{"epoch":3,"text":"b"}}"#;
    assert_eq!(then(&[other, runs]), Verdict::Linearizable, "the deadline came before it");
    assert_ne!(judge(&[a, A_RUNS, other, runs]), Verdict::Linearizable, "there was no deadline");
    assert_ne!(judge(&[A, A_RUNS, other, refused]), Verdict::Linearizable, "nothing waits");
    let rollback = [r#"1 >{"rollback":{"to":null}}"#, r#"1 <{"running":{"epoch":2,"text":""}}"#];
    assert_eq!(
        then(&[rollback[0], rollback[1], confirm, r#"1 <"refused""#]),
        Verdict::Linearizable
    );
}
