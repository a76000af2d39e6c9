//! State × command, and what is kept.

use std::time::Duration;

use super::*;
use crate::limits::{
    CHANGES_KEPT, CONFIRM_MAX, CONFIRM_MIN, LISTS_KEPT, REQUESTS_REMEMBERED, REVISIONS_KEPT,
};
use crate::membership::Kind;
use crate::policy::{Line, Secret, WallTime};
use crate::{NodeId, Term};

const TRIAL: Duration = Duration::from_secs(20);

fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn commit(base: u64, text: &str, confirm: Option<Duration>) -> Action {
    let content = Content::Text { text: PolicyText::new(text).unwrap() };
    let (file, comment) = (line("p.toml"), Line::default());
    Action::Propose { base: Epoch(base), content, file, comment, confirm }
}

fn rollback(base: u64, of: u64) -> Action {
    let (file, comment) = (line("p.toml"), Line::default());
    let content = Content::Again { of: Epoch(of) };
    Action::Propose { base: Epoch(base), content, file, comment, confirm: None }
}

fn switch(proposal: u64) -> Action {
    Action::Switch { proposal: ProposalId(proposal) }
}

fn withdraw(proposal: u64) -> Action {
    let (proposal, why) = (ProposalId(proposal), Withdrawal::Unwanted {});
    Action::Withdraw { proposal, who: Some(NodeId(2)), why }
}

fn confirm(epoch: u64) -> Action {
    Action::Confirm { epoch: Epoch(epoch) }
}

fn revert(epoch: u64) -> Action {
    Action::Revert { epoch: Epoch(epoch), cause: Cause::Deadline {} }
}

/// Applies an action as the next entry, under a request id if given.
fn act(log: &mut Log, request: Option<u128>, action: Action) -> Outcome {
    let index = log.summary().applied + 1;
    let stamp = Stamp { author: line("alice"), wall: WallTime(index) };
    log.take(index, &Command { request: request.map(RequestId), stamp, action })
}

fn acted(actions: Vec<Action>) -> Log {
    let mut log = Log::default();
    for action in actions {
        let outcome = act(&mut log, None, action);
        assert!(!matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    }
    log
}

/// The states of the table: nothing yet, 1 in force, 2 pending (entry 3), 2 on trial.
fn states() -> [(&'static str, Log); 4] {
    let one = || vec![commit(0, "one", None), switch(1)];
    let and = |more: &[Action]| acted([one(), more.to_vec()].concat());
    [
        ("empty", Log::default()),
        ("running", and(&[])),
        ("pending", and(&[commit(1, "two", Some(TRIAL))])),
        ("trial", and(&[commit(1, "two", Some(TRIAL)), switch(3)])),
    ]
}

fn refused(why: Refusal) -> Outcome {
    Outcome::Refused { why }
}

/// What must come of each action in each state, written independently of the code: by action first.
fn wanted(state: &str, action: &str) -> Outcome {
    let running = match state {
        "empty" => Epoch(0),
        "trial" => Epoch(2),
        _ => Epoch(1),
    };
    let busy = refused(Refusal::Busy { proposal: ProposalId(3) });
    let on_trial = refused(Refusal::OnTrial { epoch: Epoch(2) });
    let conflict = refused(Refusal::Conflict { running });
    let (proposal, epoch) = (ProposalId(3), Epoch(2));
    match (action, state) {
        ("commit" | "stale" | "rollback" | "lost" | "trial" | "short", "pending") => busy,
        ("commit" | "stale" | "rollback" | "lost" | "trial" | "short", "trial") => on_trial,
        ("commit" | "trial", "running") => Outcome::Proposed { proposal, epoch },
        ("rollback", "running") => Outcome::Proposed { proposal, epoch },
        ("lost", "running") => refused(Refusal::NoSuchRevision { epoch: Epoch(7) }),
        ("short", "running") => refused(Refusal::ConfirmTime {}),
        ("stale", "running") | ("commit" | "rollback" | "lost" | "trial" | "short", "empty") => {
            conflict
        }
        ("stale", "empty") => Outcome::Proposed { proposal: ProposalId(1), epoch: Epoch(1) },
        ("switch", "pending") => Outcome::Committed { epoch, reverts_as: Some(Epoch(3)) },
        ("withdraw", "pending") => {
            let (who, why) = (Some(NodeId(2)), Withdrawal::Unwanted {});
            Outcome::Withdrawn { proposal, who, why }
        }
        ("switch" | "withdraw", _) => refused(Refusal::NotPending { running }),
        ("confirm", "trial") => Outcome::Confirmed { epoch },
        ("revert", "trial") => {
            Outcome::Reverted { epoch, now: Epoch(3), cause: Cause::Deadline {} }
        }
        ("confirm" | "revert", _) => refused(Refusal::NotOnTrial { epoch, running }),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_state_times_command() {
    let actions = || {
        [
            ("commit", commit(1, "new", None)),
            ("stale", commit(0, "new", None)),
            ("trial", commit(1, "new", Some(TRIAL))),
            ("short", commit(1, "new", Some(Duration::from_millis(1)))),
            ("rollback", rollback(1, 1)),
            ("lost", rollback(1, 7)),
            ("switch", switch(3)),
            ("withdraw", withdraw(3)),
            ("confirm", confirm(2)),
            ("revert", revert(2)),
        ]
    };
    for (state, log) in states() {
        for (name, action) in actions() {
            let (mut log, before) = (log.clone(), log.summary());
            let outcome = act(&mut log, None, action);
            assert_eq!(outcome, wanted(state, name), "{state} × {name}");
            let summary = log.summary();
            assert_eq!(summary.applied, before.applied + 1);
            let moved = (summary.running, summary.trial) != (before.running, before.trial);
            assert_eq!(moved, outcome.moves_policy(), "{state} × {name}");
            assert_eq!(moved, summary.decided == summary.applied, "{state} × {name}");
        }
    }
}

#[test]
fn no_two_texts_have_one_number() {
    let mut log = acted(vec![commit(0, "one", None), switch(1), commit(1, "two", None)]);
    act(&mut log, None, withdraw(3));
    assert_eq!(log.text(Epoch(2)), None, "what is withdrawn is forgotten");
    act(&mut log, None, commit(1, "three", Some(TRIAL)));
    act(&mut log, None, switch(5));
    assert_eq!(log.summary().running.epoch, Epoch(3), "2 is used up");
    act(&mut log, None, confirm(3));
    act(&mut log, None, commit(3, "four", None));
    let (_, version) = log.summary().pending.unwrap();
    assert_eq!(version.epoch, Epoch(5), "4 was the revert's");
}

#[test]
fn a_revert_and_a_rollback_have_an_earlier_text() {
    let mut log = acted(vec![commit(0, "one", None), switch(1)]);
    for action in [commit(1, "two", Some(TRIAL)), switch(3), revert(2)] {
        act(&mut log, None, action);
    }
    let running = log.summary().running;
    assert_eq!(running, Version { epoch: Epoch(3), source: Epoch(1) });
    assert_eq!(log.text(running.source).unwrap().as_str(), "one");
    for action in [rollback(3, 2), switch(6), rollback(4, 3), switch(8)] {
        act(&mut log, None, action);
    }
    assert_eq!(log.summary().running, Version { epoch: Epoch(5), source: Epoch(1) });
    let sources: Vec<_> = log.revisions().map(|it| it.version.source.0).collect();
    assert_eq!(sources, [1, 2, 1, 2, 1]);
}

#[test]
fn the_first_revision_has_no_way_back() {
    let mut log = Log::default();
    let outcome = act(&mut log, None, commit(0, "one", Some(TRIAL)));
    assert_eq!(outcome, refused(Refusal::NoFallback {}));
}

#[test]
fn times_to_confirm_have_limits() {
    let log = acted(vec![commit(0, "one", None), switch(1)]);
    let milli = Duration::from_millis(1);
    for (time, fits) in [
        (CONFIRM_MIN, true),
        (CONFIRM_MIN - milli, false),
        (CONFIRM_MAX, true),
        (CONFIRM_MAX + milli, false),
        (CONFIRM_MIN + Duration::from_micros(1), false),
    ] {
        let outcome = act(&mut log.clone(), None, commit(1, "two", Some(time)));
        assert_eq!(outcome != refused(Refusal::ConfirmTime {}), fits, "{time:?}");
    }
}

#[test]
fn a_request_is_carried_out_once() {
    let mut log = acted(vec![commit(0, "one", None), switch(1)]);
    let first = act(&mut log, Some(7), commit(1, "two", None));
    assert_eq!(act(&mut log, Some(7), commit(1, "two", None)), first, "it is being tried");
    assert_eq!(log.progress(RequestId(7)), Some(Progress::Pending(ProposalId(3))));
    act(&mut log, None, switch(3));
    let committed = Outcome::Committed { epoch: Epoch(2), reverts_as: None };
    let before = log.summary();
    assert_eq!(act(&mut log, Some(7), commit(1, "two", None)), committed);
    assert_eq!(log.summary().running, before.running);
    let finished = Finished { request: RequestId(7), index: 5, outcome: committed };
    assert_eq!(log.progress(RequestId(7)), Some(Progress::Finished(&finished)));
    let conflict = act(&mut log, Some(8), commit(1, "three", None));
    assert_eq!(act(&mut log, Some(8), commit(2, "three", None)), conflict, "a refusal stays, too");
    assert_eq!(log.progress(RequestId(9)), None);
}

#[test]
fn the_oldest_is_forgotten_and_never_what_is_needed() {
    let mut log = acted(vec![commit(0, "first", None), switch(1)]);
    for _ in 0..REVISIONS_KEPT + 5 {
        let base = log.summary().running.epoch.0;
        let at = log.summary().applied + 1;
        act(&mut log, Some(u128::from(at)), commit(base, &format!("text {base}"), None));
        act(&mut log, None, switch(at));
    }
    assert_eq!(log.revisions().count(), REVISIONS_KEPT);
    assert_eq!(log.revisions().next().unwrap().version.epoch, Epoch(7));
    assert_eq!(log.text(Epoch(6)), None);
    assert!(log.text(Epoch(7)).is_some());
    for n in 0..REQUESTS_REMEMBERED as u128 + 300 {
        let (key, value) = (line("k"), Some(line("v")));
        act(&mut log, Some(10_000 + n), Action::SetSetting { key, value });
    }
    assert_eq!(log.requests.len(), REQUESTS_REMEMBERED);
    assert_eq!(log.changes().count(), CHANGES_KEPT);
    assert_eq!(log.progress(RequestId(10_299)), None);
    assert!(log.progress(RequestId(10_300)).is_some());
}

fn member(kind: Kind) -> Member {
    Member { kind, address: ([10, 0, 9, 1], 7_400).into(), name: line("fw") }
}

#[test]
fn what_the_cluster_knows_of_itself() {
    let mut log = Log::default();
    let firewall = |node| Action::SetMember { node: NodeId(node), member: member(Kind::Firewall) };
    let placed = |owner, term| {
        let (owner, term) = (NodeId(owner), Term(term));
        Action::SetPlacement { placement: Placement { owner, term } }
    };
    let recover = |generation, survivor| Action::Recover { generation, survivor: NodeId(survivor) };
    let zones = |names: &[&str]| Action::NumberZones {
        zones: names.iter().map(|name| line(name)).collect(),
    };
    let changed = |what| Outcome::Changed { what };
    let cases = [
        (firewall(1), changed(Changed::Member { node: NodeId(1) })),
        (firewall(2), changed(Changed::Member { node: NodeId(2) })),
        (zones(&["lan", "wan"]), changed(Changed::Zones { numbered: 2 })),
        (zones(&["dmz", "lan"]), changed(Changed::Zones { numbered: 3 })),
        (placed(1, 2), changed(Changed::Placement { term: Term(2) })),
        (placed(2, 2), refused(Refusal::StaleTerm { term: Term(2) })),
        (recover(0, 1), refused(Refusal::StaleGeneration { generation: 0 })),
        (recover(1, 9), refused(Refusal::NoSuchMember { node: NodeId(9) })),
        (recover(1, 1), changed(Changed::Recovered { generation: 1 })),
        (
            Action::RemoveMember { node: NodeId(2) },
            refused(Refusal::NoSuchMember { node: NodeId(2) }),
        ),
        (recover(1, 1), refused(Refusal::StaleGeneration { generation: 1 })),
        (Action::RemoveMember { node: NodeId(1) }, changed(Changed::Left { node: NodeId(1) })),
    ];
    for (action, outcome) in cases {
        let told = format!("{action:?}");
        assert_eq!(act(&mut log, None, action), outcome, "{told}");
    }
    let numbers: Vec<_> =
        log.cluster().zones().iter().map(|(name, it)| (name.as_str(), *it)).collect();
    assert_eq!(numbers, [("dmz", 3), ("lan", 1), ("wan", 2)]);
}

#[test]
fn secrets_are_kept_and_never_shown() {
    let mut log = Log::default();
    let secret = Some(Secret::new(b"hunter2").unwrap());
    let action = Action::SetSecret { name: line("key"), secret };
    let shown = format!("{action:?} {:?}", act(&mut log, Some(1), action.clone()));
    let all = format!("{shown} {log:?} {:?}", log.changes().collect::<Vec<_>>());
    assert!(!all.contains("hunter2") && !all.contains("104, 117"), "{all}");
    assert_eq!(log.cluster().secret(&line("key")).unwrap().expose(), b"hunter2");
    act(&mut log, None, Action::SetSecret { name: line("key"), secret: None });
    assert_eq!(log.cluster().secret(&line("key")), None);
}

#[test]
fn maps_have_limits() {
    let mut log = Log::default();
    let set = |n: usize| {
        let (key, value) = (line(&format!("{n}")), Some(line("v")));
        Action::SetSetting { key, value }
    };
    for n in 0..crate::limits::SETTINGS_MAX {
        assert!(matches!(act(&mut log, None, set(n)), Outcome::Changed { .. }));
    }
    assert_eq!(act(&mut log, None, set(999)), refused(Refusal::Full {}));
    assert!(matches!(act(&mut log, None, set(0)), Outcome::Changed { .. }), "one that is there");
    for block in 0..4 {
        let zones = (0..1_024).map(|n| line(&format!("{block}/{n}"))).collect();
        assert!(matches!(
            act(&mut log, None, Action::NumberZones { zones }),
            Outcome::Changed { .. }
        ));
    }
    let zones = vec![line("0/0"), line("one more")];
    assert_eq!(act(&mut log, None, Action::NumberZones { zones }), refused(Refusal::Full {}));
}

#[test]
fn history_tells_who_did_what() {
    let log = acted(vec![commit(0, "one", None), switch(1), commit(1, "two", None), withdraw(3)]);
    let told: Vec<_> = log.changes().map(|it| (it.index, it.stamp.author.as_str())).collect();
    assert_eq!(told, [(2, "alice"), (4, "alice")]);
}

#[test]
fn the_log_knows_who_is_to_come_and_who_has_left() {
    let mut log = Log::default();
    let [one, two, three] = [1, 2, 3].map(NodeId);
    let set = |node| Action::SetMember { node, member: member(Kind::Firewall) };
    let invite = |node| {
        let invitation = Invitation { kind: Kind::Witness, address: ([10, 0, 9, 3], 7_400).into() };
        let (key, value) = invitation.setting(node);
        (invitation, Action::SetSetting { key, value: Some(value) })
    };
    let lists = |log: &Log| {
        let cluster = log.cluster();
        let invited: Vec<_> = cluster.invited().into_keys().collect();
        (cluster.list(), invited, cluster.gone().into_iter().collect::<Vec<_>>())
    };
    let (invitation, invites_three) = invite(three);
    let steps = [
        (set(one), (1, vec![], vec![])),
        (set(two), (2, vec![], vec![])),
        (set(two), (2, vec![], vec![])),
        (invites_three.clone(), (2, vec![three], vec![])),
        (set(three), (3, vec![], vec![])),
        (Action::RemoveMember { node: three }, (4, vec![], vec![three])),
        (invites_three, (4, vec![three], vec![])),
        (Action::RemoveMember { node: three }, (4, vec![], vec![three])),
        (Action::Recover { generation: 1, survivor: one }, (5, vec![], vec![two, three])),
    ];
    for (action, wanted) in steps {
        let told = format!("{action:?}");
        act(&mut log, None, action);
        assert_eq!(lists(&log), wanted, "{told}");
        if wanted.1 == [three] {
            assert_eq!(log.cluster().invited()[&three], invitation);
        }
    }
    let again = act(&mut log, None, Action::RemoveMember { node: three });
    let why = Refusal::NoSuchMember { node: three };
    assert_eq!(again, Outcome::Refused { why });
}

#[test]
fn who_leaves_is_a_member_until_it_has_left() {
    let mut log = Log::default();
    let [one, two] = [1, 2].map(NodeId);
    let set = |node| Action::SetMember { node, member: member(Kind::Firewall) };
    let leave = |node| {
        let (key, value) = leave(node);
        Action::SetSetting { key, value: Some(value) }
    };
    let state = |log: &Log| {
        let cluster = log.cluster();
        (cluster.list(), cluster.leaving().contains(&two), cluster.gone().contains(&two))
    };
    let none = act(&mut log, None, leave(two));
    assert_eq!(none, Outcome::Refused { why: Refusal::NoSuchMember { node: two } });
    act(&mut log, None, set(one));
    act(&mut log, None, set(two));
    act(&mut log, None, leave(two));
    assert_eq!(state(&log), (2, true, false));
    let (key, value) =
        Invitation { kind: Kind::Witness, address: ([10, 0, 9, 3], 7_400).into() }.setting(two);
    for again in [set(two), Action::SetSetting { key, value: Some(value) }, leave(two)] {
        act(&mut log, None, again);
        assert_eq!(state(&log), (2, true, false), "nothing but going ends it");
    }
    act(&mut log, None, Action::RemoveMember { node: two });
    assert_eq!(state(&log), (3, false, true));
}

#[test]
fn the_last_lists_are_kept() {
    let mut log = Log::default();
    let one = NodeId(1);
    let set = |node| Action::SetMember { node: NodeId(node), member: member(Kind::Firewall) };
    act(&mut log, None, set(1));
    for turn in 0..u32::from(u8::MAX) {
        act(&mut log, None, set(2));
        act(&mut log, None, Action::RemoveMember { node: NodeId(2) });
        let (lists, newest) = (log.cluster().lists(), 2 * turn + 3);
        assert_eq!(log.cluster().list(), newest);
        let kept: Vec<u32> = lists.keys().copied().collect();
        let oldest = newest.saturating_sub(LISTS_KEPT - 1).max(1);
        assert_eq!(kept, (oldest..=newest).collect::<Vec<_>>());
        for (number, nodes) in lists {
            let both = number % 2 == 0;
            assert_eq!(nodes.len(), if both { 2 } else { 1 });
            assert!(nodes.contains(&one));
        }
    }
}
