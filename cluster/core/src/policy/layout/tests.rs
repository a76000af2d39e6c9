//! The bytes stay what they are; whatever comes, nothing panics, and nothing wrong is taken.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::limits::{ANSWER_BYTES, LINE_BYTES, MEMBERS_MAX, POLICY_TEXT_BYTES};
use crate::membership::Kind;
use crate::placement::{Member as Share, State};
use crate::policy::coordinator::{Excuse, Excused};
use crate::policy::local::{Armed, Closed, Deadline, Verdict};
use crate::policy::log::command::{Cause, Content, Member, Placement, Stamp, Withdrawal};
use crate::policy::log::{Action, Changed, PLACEMENT_KEY, Refusal, Trial};
use crate::policy::{
    Epoch, Line, MachineBoot, PolicyText, ProposalId, Replicated, RequestId, Secret, Version,
    WallTime,
};
use crate::{NodeId, Term};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(text: &str) -> Line {
    Line::new(text).unwrap()
}

fn by(author: &str, request: u128, action: Action) -> Command {
    let stamp = Stamp { author: line(author), wall: WallTime(1_000) };
    Command { request: Some(RequestId(request)), stamp, action }
}

fn proposal(base: u64, text: &str, confirm: Option<Duration>) -> Action {
    let content = Content::Text { text: PolicyText::new(text).unwrap() };
    let (file, comment) = (line("p"), line("c"));
    Action::Propose { base: Epoch(base), content, file, comment, confirm }
}

/// A log with a bit of everything in it.
fn log() -> Log {
    let mut log = Log::default();
    let actions = [
        Action::SetMember {
            node: NodeId(1),
            member: Member {
                kind: Kind::Firewall,
                address: ([10, 0, 9, 1], 7_400).into(),
                name: line("fw1"),
            },
        },
        Action::NumberZones { zones: vec![line("lan"), line("wan")] },
        Action::SetSecret { name: line("k"), secret: Some(Secret::new(&[7, 8]).unwrap()) },
        Action::SetSetting { key: line("a"), value: Some(line("b")) },
        Action::SetPlacement { placement: Placement { owner: NodeId(1), term: Term(3) } },
        proposal(0, "one", None),
        Action::Switch { proposal: ProposalId(6) },
        proposal(1, "two", Some(Duration::from_secs(20))),
        Action::Switch { proposal: ProposalId(8) },
    ];
    for (index, action) in (1..).zip(actions) {
        log.take(index, &by("bob", index.into(), action));
    }
    log
}

#[test]
fn golden_commands() {
    let request = format!("01{:032x}", 5);
    let stamp = format!("00000003{}{:016x}", hex(b"bob"), 1_000);
    let head = format!("01{request}{stamp}");
    let cases = [
        (
            proposal(7, "text", Some(Duration::from_millis(20_000))),
            format!(
                "01{:016x}0100000004{}00000001{}00000001{}01{:016x}",
                7,
                hex(b"text"),
                hex(b"p"),
                hex(b"c"),
                20_000
            ),
        ),
        (Action::Switch { proposal: ProposalId(9) }, format!("02{:016x}", 9)),
        (
            Action::Withdraw {
                proposal: ProposalId(9),
                who: Some(NodeId(2)),
                why: Withdrawal::Refused { why: line("no") },
            },
            format!("03{:016x}0100020100000002{}", 9, hex(b"no")),
        ),
        (Action::Confirm { epoch: Epoch(3) }, format!("04{:016x}", 3)),
        (Action::Revert { epoch: Epoch(3), cause: Cause::Rollback {} }, format!("05{:016x}02", 3)),
        (
            Action::SetMember {
                node: NodeId(2),
                member: Member {
                    kind: Kind::Witness,
                    address: ([10, 0, 9, 2], 7_400).into(),
                    name: line("w"),
                },
            },
            "06000202040a0009021ce80000000177".to_owned(),
        ),
        (Action::RemoveMember { node: NodeId(2) }, "070002".to_owned()),
        (Action::NumberZones { zones: vec![line("a")] }, "08000000010000000161".to_owned()),
        (
            Action::SetPlacement { placement: Placement { owner: NodeId(1), term: Term(2) } },
            format!("090001{:016x}", 2),
        ),
        (Action::SetSetting { key: line("a"), value: None }, "0a000000016100".to_owned()),
        (
            Action::SetSecret { name: line("a"), secret: Some(Secret::new(&[1]).unwrap()) },
            "0b0000000161010000000101".to_owned(),
        ),
        (Action::Recover { generation: 2, survivor: NodeId(1) }, format!("0c{:016x}0001", 2)),
        (
            Action::SetShares {
                shares: vec![
                    Share { node: NodeId(2), weight: 100, rack: Some(7), state: State::In },
                    Share { node: NodeId(3), weight: 0, rack: None, state: State::Draining },
                    Share { node: NodeId(4), weight: 1, rack: None, state: State::Gone },
                ],
            },
            "0d000000030002006401000701000300000002000400010003".to_owned(),
        ),
    ];
    for (action, wanted) in cases {
        let it = by("bob", 5, action);
        assert_eq!(hex(&encode_command(&it)), format!("{head}{wanted}"), "{it:?}");
        assert_eq!(command(&encode_command(&it)), Ok(it));
    }
}

#[test]
fn golden_outcomes() {
    let cases = [
        (Outcome::Committed { epoch: Epoch(2), reverts_as: Some(Epoch(3)) }, "0202_01_03"),
        (Outcome::Confirmed { epoch: Epoch(2) }, "0402"),
        (Outcome::Refused { why: Refusal::Conflict { running: Epoch(4) } }, "0701_04"),
        (Outcome::Refused { why: Refusal::Malformed {} }, "070d"),
        (Outcome::Changed { what: Changed::Zones { numbered: 2 } }, "0603_0002"),
        (Outcome::Changed { what: Changed::Shares { placement: 4 } }, "0608_04"),
        (Outcome::Refused { why: Refusal::Witness { node: NodeId(2) } }, "070e_0002"),
        (Outcome::Refused { why: Refusal::Weight { node: NodeId(2) } }, "070f_0002"),
        (Outcome::Refused { why: Refusal::NoPlacementKey {} }, "0710"),
    ];
    for (it, _) in &cases {
        assert_eq!(outcome(&encode_outcome(it)).as_ref(), Ok(it));
    }
    let bytes: Vec<_> = cases.iter().map(|(it, _)| hex(&encode_outcome(it))).collect();
    let wanted = [
        format!("0102{:016x}01{:016x}", 2, 3),
        format!("0104{:016x}", 2),
        format!("010701{:016x}", 4),
        "01070d".to_owned(),
        "0106030002".to_owned(),
        format!("010608{:016x}", 4),
        "01070e0002".to_owned(),
        "01070f0002".to_owned(),
        "010710".to_owned(),
    ];
    assert_eq!(bytes, wanted);
}

fn digest(bytes: &[u8]) -> u64 {
    // FNV-1a: a golden vector of a long text.
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn a_golden_snapshot() {
    let log = log();
    let bytes = log.snapshot();
    assert_eq!((bytes.len(), digest(&bytes)), (SNAPSHOT_LENGTH, SNAPSHOT_DIGEST));
    assert_eq!(Log::restore(&bytes), Ok(log));
}

const SNAPSHOT_LENGTH: usize = 876;
const SNAPSHOT_DIGEST: u64 = 11_623_529_392_926_073_581;

/// A log with slots, too.
fn placed_log() -> Log {
    let mut log = log();
    let key = Some(Secret::new(&[7; 16]).unwrap());
    let (name, kind) = (line(PLACEMENT_KEY), Kind::Firewall);
    let second = Member { kind, address: ([10, 0, 9, 2], 7_400).into(), name: line("fw2") };
    let share =
        |node, weight| Share { node: NodeId(node), weight, rack: Some(1), state: State::In };
    let actions = [
        Action::SetSecret { name, secret: key },
        Action::SetMember { node: NodeId(2), member: second },
        Action::SetShares { shares: vec![share(1, 100), share(2, 50)] },
    ];
    for (index, action) in (10..).zip(actions) {
        log.take(index, &by("bob", index.into(), action));
    }
    assert!(log.cluster.table.is_some());
    log
}

/// A log without slots has the bytes that it always had; one with slots says so by its version.
#[test]
fn a_golden_snapshot_with_slots() {
    let placed = placed_log();
    let bytes = placed.snapshot();
    assert_eq!((bytes[0], bytes.len(), digest(&bytes)), (2, PLACED_LENGTH, PLACED_DIGEST));
    assert_eq!(Log::restore(&bytes), Ok(placed));
    let (mut old, mut new) = (log().snapshot(), bytes);
    assert_eq!(old[0], 1);
    (old[0], new[0]) = (2, 1);
    assert_eq!(Log::restore(&old), Err(Malformed::Truncated));
    assert_eq!(Log::restore(&new), Err(Malformed::Trailing));
    new[0] = 3;
    assert_eq!(Log::restore(&new), Err(Malformed::Version(3)));
}

const PLACED_LENGTH: usize = 13_486;
const PLACED_DIGEST: u64 = 13_082_154_376_818_034_076;

#[test]
fn a_table_that_does_not_fit_its_cluster_is_refused() {
    let restored = |change: fn(&mut Log)| {
        let mut log = placed_log();
        change(&mut log);
        Log::restore(&log.snapshot()).err()
    };
    assert_eq!(restored(|_| {}), None);
    let changes: [fn(&mut Log); 5] = [
        |it| drop(it.cluster.secrets.remove(&line(PLACEMENT_KEY))),
        |it| drop(it.cluster.members.remove(&NodeId(2))),
        |it| it.cluster.shares.retain(|node, _| *node == NodeId(1)),
        |it| it.cluster.shares.get_mut(&NodeId(1)).unwrap().weight = 99,
        |it| it.cluster.table = Some(it.cluster.table.take().unwrap().takeover(NodeId(2)).0),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(restored(change), Some(Malformed::Incoherent), "{number}");
    }
}

fn armed() -> Armed {
    let revert = Version { epoch: Epoch(3), source: Epoch(1) };
    let confirm = Duration::from_secs(20);
    let trial = Trial { epoch: Epoch(2), fallback: Epoch(1), revert, confirm };
    let at = wire::Time::from_secs(9);
    let (machine, wall) = (MachineBoot(5), WallTime(77));
    Armed { trial, deadline: Deadline { machine, at, wall, span: confirm }, alone: true }
}

#[test]
fn golden_facts_and_reports() {
    let runs = Version { epoch: Epoch(2), source: Epoch(2) };
    let facts = Facts { decided: 6, runs, trial: Some(armed()) };
    let wanted = [
        format!("01{:016x}{:016x}{:016x}01", 6, 2, 2),
        format!("{:016x}{:016x}{:016x}{:016x}{:016x}", 2, 1, 3, 1, 20_000),
        format!("{:032x}{:016x}{:016x}{:016x}01", 5, 9_000_000_000_u64, 77, 20_000),
    ];
    assert_eq!(hex(&facts.encode()), wanted.concat());
    assert_eq!(Facts::decode(&facts.encode()), Ok(facts));
    let report = Report {
        node: NodeId(2),
        settled: 4,
        runs: Epoch(1),
        proposal: Some(ProposalId(9)),
        verdict: Some(Verdict::Refused { why: line("no") }),
        closed: Some(Closed { decided: 4, why: line("n") }),
    };
    let wanted = [
        format!("010002{:016x}{:016x}", 4, 1),
        format!("01{:016x}010200000002{}", 9, hex(b"no")),
        format!("01{:016x}00000001{}", 4, hex(b"n")),
    ];
    assert_eq!(hex(&report.encode()), wanted.concat());
    assert_eq!(Report::decode(&report.encode()), Ok(report));
}

#[test]
fn golden_answers() {
    let outcome = Outcome::Committed { epoch: Epoch(2), reverts_as: Some(Epoch(3)) };
    let told = format!("02{:016x}01{:016x}", 2, 3);
    let took = Duration::from_millis(700);
    let excused = vec![
        Excused { node: NodeId(2), why: Excuse::Down },
        Excused { node: NodeId(3), why: Excuse::Closed(line("no")) },
    ];
    let cases = [
        (
            Answer::Done { outcome: outcome.clone(), took, excused },
            format!("01{told}{:016x}00000002000201000302{:08x}{}", 700, 2, hex(b"no")),
        ),
        (
            Answer::Unsettled { outcome, took, missing: vec![NodeId(7)] },
            format!("02{told}{:016x}000000010007", 700),
        ),
        (Answer::TooLate { epoch: Epoch(4) }, format!("03{:016x}", 4)),
        (Answer::Unnumbered, "04".to_owned()),
        (Answer::NotLeading, "05".to_owned()),
        (Answer::Full, "06".to_owned()),
        (Answer::Unknown { down: vec![NodeId(1), NodeId(2)] }, "070000000200010002".to_owned()),
    ];
    for (it, wanted) in cases {
        assert_eq!(hex(&it.encode()), format!("01{wanted}"), "{it:?}");
        assert_eq!(Answer::decode(&it.encode()), Ok(it));
    }
    assert_eq!(Answer::decode(&vec![1; ANSWER_BYTES + 1]), Err(Malformed::Limit));
}

#[test]
fn the_longest_answer_fits_and_of_too_many_nodes_the_first_are_told() {
    let long = line(&"y".repeat(LINE_BYTES));
    let nodes = || (0..=MEMBERS_MAX as u16).map(NodeId);
    let excused = nodes().map(|node| Excused { node, why: Excuse::Closed(long.clone()) });
    let why = Withdrawal::Refused { why: long.clone() };
    let outcome = Outcome::Withdrawn { proposal: ProposalId(1), who: Some(NodeId(1)), why };
    let took = Duration::MAX;
    let it = Answer::Done { outcome, took, excused: excused.collect() };
    let Ok(Answer::Done { excused, took, .. }) = Answer::decode(&it.encode()) else {
        panic!("it does not come back");
    };
    assert_eq!((excused.len(), took), (MEMBERS_MAX, Duration::from_millis(u64::MAX)));
    let it = Answer::Unknown { down: nodes().collect() };
    let down = nodes().take(MEMBERS_MAX).collect();
    assert_eq!(Answer::decode(&it.encode()), Ok(Answer::Unknown { down }));
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let good = encode_command(&by("bob", 5, Action::Switch { proposal: ProposalId(9) }));
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        command(&bytes)
    };
    assert_eq!(command(&[]), Err(Malformed::Truncated));
    assert_eq!(command(&good[..good.len() - 1]), Err(Malformed::Truncated));
    assert_eq!(command(&[&good[..], &[0]].concat()), Err(Malformed::Trailing));
    assert_eq!(changed(0, 2), Err(Malformed::Version(2)));
    assert_eq!(changed(1, 2), Err(Malformed::Value), "an optional is there or not");
    assert_eq!(changed(22, 0xff), Err(Malformed::Value), "no UTF-8");
    assert_eq!(changed(18, 0xff), Err(Malformed::Limit), "a length");
    assert_eq!(changed(33, 99), Err(Malformed::Tag));
    assert_eq!(command(&vec![1; COMMAND_BYTES + 1]), Err(Malformed::Limit));
}

#[test]
fn the_longest_command_and_a_full_snapshot_fit() {
    let text = "x".repeat(POLICY_TEXT_BYTES);
    let mut log = Log::default();
    for revision in 0..6 {
        let base = log.summary().running.epoch;
        let long = line(&"y".repeat(LINE_BYTES));
        let content = Content::Text { text: PolicyText::new(text.as_str()).unwrap() };
        let (file, comment) = (long.clone(), long);
        let action = Action::Propose { base, content, file, comment, confirm: None };
        let bytes = encode_command(&by(&"z".repeat(LINE_BYTES), revision + 1, action));
        assert!(bytes.len() <= COMMAND_BYTES);
        let index = log.summary().applied + 1;
        log.apply(index, &bytes);
        assert!(log.pending().is_some());
        if revision < 5 {
            log.take(
                index + 1,
                &by("n", 99 + revision, Action::Switch { proposal: ProposalId(index) }),
            );
        }
    }
    assert_eq!(log.revisions().count(), 4, "the byte budget");
    let bytes = log.snapshot();
    assert!(bytes.len() <= SNAPSHOT_BYTES);
    assert!(Log::restore(&bytes).is_ok());
}

#[test]
fn a_snapshot_whose_parts_do_not_fit_is_refused() {
    let restored = |change: fn(&mut Log)| {
        let mut log = log();
        change(&mut log);
        Log::restore(&log.snapshot()).err()
    };
    assert_eq!(restored(|_| {}), None);
    let changes: [fn(&mut Log); 8] = [
        |it| it.decided = it.applied + 1,
        |it| it.running.epoch = Epoch(9),
        |it| it.running.source = Epoch(1),
        |it| it.last = Epoch(1),
        |it| it.trial.as_mut().unwrap().fallback = Epoch(7),
        |it| it.trial.as_mut().unwrap().revert.source = Epoch(2),
        |it| it.shelf.texts.clear(),
        |it| it.shelf.revisions.clear(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(restored(change), Some(Malformed::Incoherent), "{number}");
    }
}

fn lines() -> impl Strategy<Value = Line> {
    ".{0,20}".prop_map(|text| Line::cut(&text))
}

fn shares() -> impl Strategy<Value = Share> {
    let states = prop_oneof![Just(State::In), Just(State::Draining), Just(State::Gone)];
    (0..9_u16, 0..1_100_u16, option::of(0..3_u16), states)
        .prop_map(|(node, weight, rack, state)| Share { node: NodeId(node), weight, rack, state })
}

fn actions() -> impl Strategy<Value = Action> {
    let epoch = || (0..6_u64).prop_map(Epoch);
    let confirm = option::of((0..100_000_u64).prop_map(Duration::from_millis));
    let content = prop_oneof![
        ".{0,50}".prop_map(|text| Content::Text { text: PolicyText::new(text).unwrap() }),
        epoch().prop_map(|of| Content::Again { of }),
    ];
    let node = || (0..9_u16).prop_map(NodeId);
    let proposal = || (0..40_u64).prop_map(ProposalId);
    prop_oneof![
        (epoch(), content, lines(), lines(), confirm).prop_map(
            |(base, content, file, comment, confirm)| {
                Action::Propose { base, content, file, comment, confirm }
            }
        ),
        proposal().prop_map(|proposal| Action::Switch { proposal }),
        (proposal(), option::of(node()), lines()).prop_map(|(proposal, who, why)| {
            Action::Withdraw { proposal, who, why: Withdrawal::Refused { why } }
        }),
        epoch().prop_map(|epoch| Action::Confirm { epoch }),
        epoch().prop_map(|epoch| Action::Revert { epoch, cause: Cause::Deadline {} }),
        (node(), any::<([u8; 16], u16)>(), lines()).prop_map(|(node, address, name)| {
            let member = Member { kind: Kind::Witness, address: address.into(), name };
            Action::SetMember { node, member }
        }),
        vec(lines(), 0..5).prop_map(|zones| Action::NumberZones { zones }),
        (lines(), option::of(vec(any::<u8>(), 0..9))).prop_map(|(name, secret)| {
            let secret = secret.map(|bytes| Secret::new(&bytes).unwrap());
            Action::SetSecret { name, secret }
        }),
        (lines(), option::of(lines())).prop_map(|(key, value)| Action::SetSetting { key, value }),
        vec(shares(), 0..4).prop_map(|shares| Action::SetShares { shares }),
        Just(Action::SetSecret {
            name: line(PLACEMENT_KEY),
            secret: Some(Secret::new(&[5; 16]).unwrap()),
        }),
        (0..9_u16).prop_map(|node| {
            let (kind, name) = (Kind::Firewall, line("f"));
            let member = Member { kind, address: ([10, 0, 9, 2], 7_400).into(), name };
            Action::SetMember { node: NodeId(node), member }
        }),
    ]
}

fn commands() -> impl Strategy<Value = Command> {
    let request = option::of((0..30_u128).prop_map(RequestId));
    (request, lines(), any::<u64>(), actions()).prop_map(|(request, author, wall, action)| {
        Command { request, stamp: Stamp { author, wall: WallTime(wall) }, action }
    })
}

proptest! {
    #[test]
    fn commands_come_back(it in commands()) {
        prop_assert_eq!(command(&encode_command(&it)), Ok(it));
    }

    /// Any life of a log: its snapshot is it, and a restored one goes on as it does.
    #[test]
    fn logs_come_back(commands in vec(commands(), 0..60)) {
        let (mut log, mut twin) = (Log::default(), Log::default());
        for (index, it) in (1..).zip(&commands) {
            // Ids of what is pending are hard to guess.
            let action = match (&it.action, log.pending()) {
                (Action::Switch { .. }, Some(it)) => Action::Switch { proposal: it.proposal },
                (action, _) => action.clone(),
            };
            let bytes = encode_command(&Command { action, ..it.clone() });
            let answer = log.apply(index, &bytes);
            prop_assert!(outcome(&answer).is_ok());
            prop_assert_eq!(twin.apply(index, &bytes), answer);
            twin = Log::restore(&log.snapshot()).expect("a snapshot");
            prop_assert_eq!(&twin, &log);
        }
    }

    #[test]
    fn garbage_is_refused(bytes in vec(any::<u8>(), 0..300)) {
        let versioned = [&[VERSION], &bytes[..]].concat();
        for bytes in [&bytes, &versioned] {
            let _ = (command(bytes), outcome(bytes), super::log(bytes));
            let _ = (Report::decode(bytes), Facts::decode(bytes), Answer::decode(bytes));
            let mut log = log();
            let (before, index) = (log.clone(), log.summary().applied + 1);
            let answer = outcome(&log.apply(index, bytes)).unwrap();
            if command(bytes).is_err() {
                prop_assert_eq!(answer, Outcome::Refused { why: Refusal::Malformed {} });
                prop_assert_eq!(log.revisions().count(), before.revisions().count());
            }
        }
    }

    /// One bit of a snapshot is another: refused, or a state that goes on without a panic.
    #[test]
    fn a_damaged_snapshot_does_no_harm(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = log().snapshot();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(mut log) = Log::restore(&bytes) {
            let cause = Cause::Deadline {};
            let epoch = log.summary().running.epoch;
            log.take(90, &by("x", 900, Action::Revert { epoch, cause }));
            log.take(91, &by("x", 901, proposal(epoch.0, "z", None)));
            log.take(92, &by("x", 902, Action::Switch { proposal: ProposalId(91) }));
            prop_assert!(Log::restore(&log.snapshot()).is_ok());
        }
    }
}
