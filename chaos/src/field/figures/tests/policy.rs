//! Doors, outages, spans and histories.

use super::*;

/// Revision 1 opens door 0 within 100–110 ms, revision 2 door 1 within 300–320 ms.
fn commits() -> (&'static str, String) {
    let line = |called: u64, returned: u64, epoch: u64, door: u64| {
        format!("{} {} fw1 {epoch} {door} 7\n", called * MS, returned * MS)
    };
    ("commits.log", line(100, 110, 1, 0) + &line(300, 320, 2, 1))
}

/// Of one probe at door 0: sent, arrived → is it judged as one at a shut door, as a violation; as one at an
/// open door, as lost.
#[test]
fn a_probe_is_judged_by_the_revisions_that_may_have_seen_it() {
    for (sent, arrived, expected) in [
        // Before anything was in force for sure.
        (105, Some(106), [0, 0, 0, 0]),
        // Revision 1 alone, which permits it.
        (120, Some(121), [0, 0, 1, 0]),
        (120, None, [0, 0, 1, 1]),
        // Revision 2 may have judged it as well: nothing is certain.
        (290, None, [0, 0, 0, 0]),
        (301, Some(302), [0, 0, 0, 0]),
        (319, Some(900), [0, 0, 0, 0]),
        // Revision 2 was in force, and forbids it.
        (320, None, [1, 0, 0, 0]),
        (320, Some(321), [1, 1, 0, 0]),
        (700, Some(701), [1, 1, 0, 0]),
    ] {
        // A second probe, at the end, so that the first one is not too young to be missed; it is at a shut
        // door.
        let probes = numbered(&[(0, sent), (1, 2_000)]);
        let receipts = arrived.map_or_else(String::new, |at| numbered(&[(0, at)]));
        let it = of(&[commits(), ("door-0.sent", probes), ("door-0.received", receipts)]);
        let [shut, violations, open, lost] = expected;
        let seen = [it.probes_shut, it.violations, it.probes_open, it.probes_lost];
        assert_eq!(seen, [shut + 1, violations, open, lost].map(Some), "sent at {sent} ms");
    }
}

#[test]
fn a_revision_that_was_asked_for_before_it_arrived_may_have_let_it_pass() {
    // Sent while revision 2 shuts door 0; revision 3, which opens it, is asked for at 400 ms.
    let more = format!("{} - fw2 0 0 0\n", 400 * MS);
    let (name, text) = commits();
    for (arrived, violations) in [(399, 1), (400, 0)] {
        let it = of(&[
            (name, text.clone() + &more),
            ("door-0.sent", numbered(&[(0, 390)])),
            ("door-0.received", numbered(&[(0, arrived)])),
        ]);
        assert_eq!((it.commits, it.violations), (Some(2), Some(violations)), "{arrived}");
    }
}

#[test]
fn commits_are_timed_from_request_to_answer_and_deadlines_are_none() {
    let (name, text) = commits();
    let it = of(&[(name, text + &format!("{} {} deadline 3 - 0\n", 500 * MS, 900 * MS))]);
    assert_eq!(it.commits, Some(2));
    assert_eq!((it.commit_p50_ms, it.commit_max_ms), (Some(10.0), Some(20.0)));
    assert_eq!(it.took_p99_ms, Some(7.0));
    assert_eq!(it.violations, None, "there were no doors");
}

/// Door 0 is shut at 110 ms, and opened by a deadline; every tenth probe is of a flow of its own.
#[test]
fn a_door_opens_again_when_a_new_flow_comes_through() {
    let text = format!("{} {} fw1 2 - 7\n", 100 * MS, 110 * MS)
        + &format!("{} {} deadline 1 0 0\n", 500 * MS, 600 * MS);
    let sent = (0..=20).map(|number| (number, 400 + number * 10)).collect::<Vec<_>>();
    let receipts = numbered(&[(19, 591), (20, 610)]);
    let it = of(&[
        ("commits.log", text),
        ("door-0.sent", numbered(&sent)),
        ("door-0.received", receipts),
    ]);
    assert_eq!(it.opened_again_s, Some(0.5));
}

#[test]
fn what_an_outage_costs_is_not_counted_outside_of_it() {
    let told = lines(&[
        ("", 0, "role fw1 active term 1"),
        ("", 100, "outage begins"),
        ("", 150, "role fw2 active term 2"),
        ("", 200, "outage ends"),
        ("", 300, "role fw1 active term 3"),
    ]);
    // One too early by more than what is under way, one under way, one in it, one after it.
    let sent = numbered(&[(0, 70), (1, 90), (2, 200), (3, 201)]);
    let it = of(&[("faults.log", told), ("stream-0.sent", sent)]);
    assert_eq!((it.takeovers, it.takeovers_outside), (2, 1));
    assert_eq!((it.lost, it.lost_outside), (4, 2));
}

#[test]
fn latency_during_is_compared_with_that_before() {
    let told = lines(&[
        ("", 0, "span before begins"),
        ("", 10, "span before ends"),
        ("", 20, "span during begins"),
        ("", 30, "span during ends"),
    ]);
    let sent = numbered(&[(0, 0), (1, 15), (2, 20), (3, 30)]);
    let receipts = numbered(&[(0, 2), (1, 100), (2, 25)]);
    let it = of(&[("faults.log", told), ("stream-0.sent", sent), ("stream-0.received", receipts)]);
    assert_eq!(it.latency_ratio, Some(2.5));
    assert_eq!(it.measured["before_p99_us"], 2_000.0);
    assert_eq!((it.measured["before_lost"], it.measured["during_lost"]), (0.0, 1.0));
}

#[test]
fn a_history_is_judged() {
    let text = |second: u64| {
        format!(
            "{{\"process\":1,\"call\":{{\"commit\":{{\"base\":0,\"text\":\"a\"}}}}}}\n\
             {{\"process\":1,\"answer\":{{\"running\":{{\"epoch\":1}}}}}}\n\
             {{\"process\":2,\"call\":\"read\"}}\n\
             {{\"process\":2,\"answer\":{{\"running\":{{\"epoch\":{second}}}}}}}\n\
             {{\"process\":1,\"call\":{{\"rollback\":{{\"to\":null}}}}}}\n\
             {{\"process\":1,\"answer\":\"refused\"}}\n\
             {{\"process\":2,\"call\":{{\"rollback\":{{\"to\":null}}}}}}\n"
        )
    };
    let it = of(&[("history.log", text(1))]);
    assert_eq!((it.operations, it.reads, it.refused), (Some(2), Some(1), Some(1)));
    assert_eq!((it.unanswered, it.linearizable), (Some(1), Some(true)));
    assert_eq!(of(&[("history.log", text(0))]).linearizable, Some(false));
}
