//! The leader's machine, step by step.

use std::time::Duration;

use super::*;
use crate::limits::{
    APPEND_AGAIN, CLEARANCE, CLEARANCE_LAG, READY_WAIT, REQUEST_WAIT, REQUESTS_WAITING, SETTLE_WAIT,
};
use crate::policy::local::{Closed, Deadline, Report, Verdict};
use crate::policy::log::{Cause, Content, Member, Withdrawal};
use crate::policy::{Epoch, MachineBoot, Outcome, PolicyText, RequestId, WallTime};

/// The nodes: three firewalls and a witness. Node 1 leads.
const FIREWALLS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

fn clocks(millis: u64) -> Clocks {
    let boottime = Time::from_millis(1_000_000 + millis);
    Clocks { now: boottime, boottime, machine: MachineBoot(1), wall: WallTime(millis) }
}

fn ms(span: Duration) -> u64 {
    span.as_millis() as u64
}

/// A leader, its log, and what it said.
struct Bench {
    it: Coordinator,
    log: Log,
    trial: Option<Armed>,
    now: u64,
    appended: Vec<Action>,
    answers: Vec<(u64, Answer)>,
    asked: Vec<NodeId>,
    cleared: Vec<NodeId>,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            it: Coordinator::new(NodeId(1)),
            log: Log::default(),
            trial: None,
            // Long after the beginning: nobody was cleared by another leader.
            now: 10_000,
            appended: Vec::new(),
            answers: Vec::new(),
            asked: Vec::new(),
            cleared: Vec::new(),
        };
        for (at, kind) in (1..).zip([Kind::Firewall, Kind::Firewall, Kind::Firewall, Kind::Witness])
        {
            let (address, name) = (([10, 0, 9, 1], 7_400).into(), Line::default());
            let member = Member { kind, address, name };
            bench.apply(Action::SetMember { node: NodeId(at), member }, None);
        }
        bench.it.handle(Input::Leads(true), &clocks(0));
        bench
    }

    fn apply(&mut self, action: Action, request: Option<u128>) -> Outcome {
        let index = self.log.summary().applied + 1;
        let command = Command { request: request.map(RequestId), stamp: Stamp::default(), action };
        let outcome = self.log.take(index, &command);
        self.show();
        outcome
    }

    fn show(&mut self) {
        let log = self.log.clone();
        self.tell(Input::Log(&log, self.trial));
    }

    fn tell(&mut self, input: Input<'_>) {
        self.it.handle(input, &clocks(self.now));
        while let Some(output) = self.it.poll_output() {
            match output {
                Output::Append(it) => self.appended.push(it.action),
                Output::Ask(node) => self.asked.push(node),
                Output::Clear { node, .. } => self.cleared.push(node),
                Output::Answer(ticket, answer) => self.answers.push((ticket.0, answer)),
            }
        }
    }

    fn request(&mut self, ticket: u64, request: u128, action: Action) {
        let request = Some(RequestId(request));
        let command = Command { request, stamp: Stamp::default(), action };
        let log = self.log.clone();
        self.tell(Input::Request(Ticket(ticket), &command, &log));
    }

    fn report(&mut self, node: NodeId, settled: u64, verdict: Option<Verdict>) {
        let proposal = self.log.pending().map(|it| it.proposal);
        let runs = Epoch(0);
        self.tell(Input::Report(&Report { node, settled, runs, proposal, verdict, closed: None }));
    }

    fn down(&mut self, node: NodeId, dark_at: u64) {
        let dark_at = clocks(dark_at).now;
        self.tell(Input::Liveness(node, Liveness::Down { dark_at }));
    }

    fn at(&mut self, millis: u64) {
        self.now = millis;
        self.tell(Input::Tick);
    }

    /// Request 1 under ticket 1, agreed on and appended.
    fn proposed() -> Self {
        let mut bench = Self::new();
        bench.request(1, 1, commit("text", None));
        assert_eq!(bench.appended.len(), 1);
        bench.apply(commit("text", None), Some(1));
        bench.appended.clear();
        bench
    }

    /// The same, switched to at entry 6.
    fn switched() -> Self {
        let mut bench = Self::proposed();
        FIREWALLS.into_iter().for_each(|node| bench.report(node, 0, Some(Verdict::Ready {})));
        bench.apply(bench.appended[0].clone(), None);
        bench.appended.clear();
        bench
    }
}

fn commit(text: &str, confirm: Option<Duration>) -> Action {
    let content = Content::Text { text: PolicyText::new(text).unwrap() };
    let (file, comment) = (Line::default(), Line::default());
    Action::Propose { base: Epoch(0), content, file, comment, confirm }
}

const PROPOSAL: ProposalId = ProposalId(5);

fn refused() -> Verdict {
    Verdict::Refused { why: Line::cut("no") }
}

/// What each firewall has said (or that it is down), before and after the bound → what is appended.
#[test]
fn the_first_step_is_a_table() {
    let switch = || Some(Action::Switch { proposal: PROPOSAL });
    let withdraw = |who: u16, why| {
        let who = (who > 0).then_some(NodeId(who));
        Some(Action::Withdraw { proposal: PROPOSAL, who, why })
    };
    let no = || Withdrawal::Refused { why: Line::cut("no") };
    let late = || Withdrawal::Unanswered {};
    // r: ready, n: refused, d: down, -: silent
    let cases = [
        ("rrr", switch(), switch()),
        ("rr-", None, withdraw(3, late())),
        ("r-d", None, withdraw(2, late())),
        ("rrd", switch(), switch()),
        ("rdd", switch(), switch()),
        ("rrn", withdraw(3, no()), withdraw(3, no())),
        ("-n-", withdraw(2, no()), withdraw(2, no())),
        ("ddd", None, withdraw(0, Withdrawal::NobodyTried {})),
    ];
    for (said, early, after) in cases {
        let mut bench = Bench::proposed();
        for (node, said) in FIREWALLS.into_iter().zip(said.chars()) {
            match said {
                'r' => bench.report(node, 0, Some(Verdict::Ready {})),
                'n' => bench.report(node, 0, Some(refused())),
                'd' => bench.down(node, 0),
                _ => bench.report(node, 0, None),
            }
        }
        assert_eq!(bench.appended.last().cloned(), early, "{said}");
        bench.at(10_000 + ms(READY_WAIT) - 1);
        assert_eq!(bench.appended.last().cloned(), early, "{said}, just before the bound");
        bench.at(10_000 + ms(READY_WAIT));
        assert_eq!(bench.appended.last().cloned(), after, "{said}, after the bound");
    }
}

#[test]
fn a_step_is_appended_once_and_again_if_it_is_lost() {
    let mut bench = Bench::proposed();
    FIREWALLS.into_iter().for_each(|node| bench.report(node, 0, Some(Verdict::Ready {})));
    bench.at(10_000 + ms(APPEND_AGAIN) - 1);
    assert_eq!(bench.appended.len(), 1);
    bench.at(10_000 + ms(APPEND_AGAIN));
    assert_eq!(bench.appended.len(), 2);
    bench.apply(Action::Switch { proposal: PROPOSAL }, None);
    assert!(matches!(
        bench.apply(Action::Switch { proposal: PROPOSAL }, None),
        Outcome::Refused { .. }
    ));
    assert!(bench.answers.is_empty());
}

#[test]
fn the_answer_waits_for_every_firewall() {
    let mut bench = Bench::switched();
    bench.now = 10_040;
    bench.report(NodeId(1), 6, None);
    bench.report(NodeId(2), 6, None);
    bench.report(NodeId(3), 5, None);
    assert_eq!(bench.answers, []);
    bench.report(NodeId(3), 7, None);
    let outcome = Outcome::Committed { epoch: Epoch(1), reverts_as: None };
    let took = Duration::from_millis(40);
    let answer = Answer::Done { outcome, took, excused: Vec::new() };
    assert_eq!(bench.answers, [(1, answer)]);
}

#[test]
fn who_is_down_is_waited_for_until_its_lease_has_ended() {
    let mut bench = Bench::switched();
    bench.report(NodeId(1), 6, None);
    bench.report(NodeId(2), 6, None);
    bench.down(NodeId(3), 10_065);
    assert_eq!(bench.it.next_deadline(&clocks(10_000)), Some(clocks(10_065).now));
    bench.at(10_064);
    assert_eq!(bench.answers, []);
    bench.at(10_065);
    let [(1, Answer::Done { excused, .. })] = &bench.answers[..] else {
        panic!("{:?}", bench.answers)
    };
    assert_eq!(excused[..], [Excused { node: NodeId(3), why: Excuse::Down }]);
}

#[test]
fn who_was_cleared_is_waited_for_although_it_is_not_heard() {
    let mut bench = Bench::switched();
    bench.report(NodeId(1), 6, None);
    bench.report(NodeId(2), 6, None);
    bench.tell(Input::Clearance { node: NodeId(3), asked: Time(7), index: 4 });
    assert_eq!(bench.cleared, [NodeId(3)]);
    bench.down(NodeId(3), 9_000);
    bench.at(10_000 + ms(CLEARANCE + CLEARANCE_LAG) - 1);
    assert_eq!(bench.answers, []);
    bench.at(10_000 + ms(CLEARANCE + CLEARANCE_LAG));
    assert_eq!(bench.answers.len(), 1);
}

#[test]
fn a_new_leader_leaves_nobody_out_at_first() {
    let mut bench = Bench::switched();
    bench.tell(Input::Leads(false));
    assert_eq!(bench.answers, [(1, Answer::Unknown { down: vec![] })]);
    bench.answers.clear();
    bench.tell(Input::Leads(true));
    bench.request(2, 1, commit("text", None));
    assert_eq!(bench.appended, [], "it stands in the log");
    bench.report(NodeId(1), 6, None);
    bench.report(NodeId(2), 6, None);
    bench.down(NodeId(3), 0);
    bench.at(10_599);
    assert_eq!(bench.answers, []);
    bench.at(10_600);
    assert!(matches!(&bench.answers[..], [(2, Answer::Done { .. })]), "{:?}", bench.answers);
}

#[test]
fn who_comes_under_an_old_number_has_said_nothing() {
    let mut bench = Bench::switched();
    FIREWALLS.into_iter().for_each(|node| bench.report(node, 9, None));
    bench.answers.clear();
    let member = bench.log.cluster().members()[&NodeId(3)].clone();
    bench.apply(Action::RemoveMember { node: NodeId(3) }, None);
    bench.apply(Action::SetMember { node: NodeId(3), member }, None);
    bench.request(2, 1, commit("text", None));
    assert_eq!(bench.answers, [], "the retry waits for the new node");
    bench.report(NodeId(3), 6, None);
    assert!(matches!(&bench.answers[..], [(2, Answer::Done { .. })]));
}

#[test]
fn who_is_closed_is_excused_with_its_reason() {
    let mut bench = Bench::switched();
    bench.report(NodeId(1), 6, None);
    bench.report(NodeId(2), 6, None);
    let why = Line::cut("port is gone");
    let mut report = Report {
        node: NodeId(3),
        settled: 0,
        runs: Epoch(0),
        proposal: None,
        verdict: None,
        closed: Some(Closed { decided: 5, why: why.clone() }),
    };
    bench.tell(Input::Report(&report));
    assert_eq!(bench.answers, [], "that was about an earlier one");
    report.closed = Some(Closed { decided: 6, why: why.clone() });
    bench.tell(Input::Report(&report));
    let [(1, Answer::Done { excused, .. })] = &bench.answers[..] else {
        panic!("{:?}", bench.answers)
    };
    assert_eq!(excused[..], [Excused { node: NodeId(3), why: Excuse::Closed(why) }]);
}

#[test]
fn the_wait_has_a_bound_and_says_for_whom() {
    let mut bench = Bench::switched();
    bench.report(NodeId(1), 6, None);
    bench.at(10_000 + ms(SETTLE_WAIT) - 1);
    assert_eq!(bench.answers, []);
    assert!(bench.asked.contains(&NodeId(2)) && bench.asked.contains(&NodeId(3)));
    bench.at(10_000 + ms(SETTLE_WAIT));
    let [(1, Answer::Unsettled { missing, .. })] = &bench.answers[..] else {
        panic!("{:?}", bench.answers)
    };
    assert_eq!(missing[..], [NodeId(2), NodeId(3)]);
}

#[test]
fn requests_that_are_not_taken() {
    let mut bench = Bench::new();
    let command = Command { request: None, stamp: Stamp::default(), action: commit("a", None) };
    let log = bench.log.clone();
    bench.tell(Input::Request(Ticket(1), &command, &log));
    bench.tell(Input::Leads(false));
    bench.request(2, 2, commit("a", None));
    bench.tell(Input::Leads(true));
    for n in 0..=REQUESTS_WAITING as u64 {
        bench.request(100 + n, u128::from(100 + n), commit("a", None));
    }
    let full = (100 + REQUESTS_WAITING as u64, Answer::Full);
    assert_eq!(bench.answers, [(1, Answer::Unnumbered), (2, Answer::NotLeading), full]);
    bench.answers.clear();
    bench.down(NodeId(2), 0);
    bench.down(NodeId(4), 0);
    bench.at(10_000 + ms(REQUEST_WAIT));
    assert_eq!(bench.answers.len(), REQUESTS_WAITING);
    let unknown = Answer::Unknown { down: vec![NodeId(2), NodeId(4)] };
    assert!(bench.answers.iter().all(|(_, it)| *it == unknown), "with who is missing");
}

#[test]
fn a_retry_is_appended_if_the_first_was_lost() {
    let mut bench = Bench::new();
    bench.request(1, 1, commit("a", None));
    bench.request(2, 1, commit("a", None));
    assert_eq!(bench.appended.len(), 1);
    bench.now += ms(APPEND_AGAIN);
    bench.request(3, 1, commit("a", None));
    bench.request(4, 1, commit("a", None));
    assert_eq!(bench.appended.len(), 2);
}

/// On trial as epoch 3 since entry 8; the leader's own deadline comes at 30 s.
fn on_trial() -> Bench {
    let mut bench = Bench::switched();
    FIREWALLS.into_iter().for_each(|node| bench.report(node, 6, None));
    let mut action = commit("two", Some(Duration::from_secs(20)));
    if let Action::Propose { base, .. } = &mut action {
        *base = Epoch(1);
    }
    bench.apply(action, Some(2));
    bench.apply(Action::Switch { proposal: ProposalId(7) }, None);
    let trial = bench.log.summary().trial.unwrap();
    let deadline = Deadline::new(trial.confirm, &clocks(10_000));
    bench.trial = Some(Armed { trial, deadline, alone: false });
    bench.appended.clear();
    bench.answers.clear();
    bench.show();
    bench
}

#[test]
fn a_trial_ends_at_the_leaders_own_deadline() {
    let confirm = || Action::Confirm { epoch: Epoch(2) };
    let mut bench = on_trial();
    assert_eq!(bench.it.next_deadline(&clocks(10_000)), Some(clocks(30_000).now));
    bench.at(29_999);
    bench.request(5, 5, confirm());
    assert_eq!(bench.appended, [confirm()]);
    bench.at(30_000);
    let next = bench.it.next_deadline(&clocks(30_000));
    assert_eq!(next, Some(clocks(30_099).now), "not at once: it is on its way");
    let revert = Action::Revert { epoch: Epoch(2), cause: Cause::Deadline {} };
    assert_eq!(bench.appended, [confirm(), revert.clone()], "the log decides which was first");
    bench.request(6, 6, confirm());
    assert_eq!(bench.answers, [(6, Answer::TooLate { epoch: Epoch(2) })]);
    bench.apply(revert, None);
    bench.apply(confirm(), Some(5));
    assert!(matches!(
        &bench.answers[1],
        (5, Answer::Done { outcome: Outcome::Refused { .. }, .. })
    ));
}

#[test]
fn a_confirmation_is_answered_when_those_that_went_back_are_here_again() {
    let mut bench = on_trial();
    bench.request(5, 5, Action::Confirm { epoch: Epoch(2) });
    bench.apply(Action::Confirm { epoch: Epoch(2) }, Some(5));
    FIREWALLS.into_iter().for_each(|node| bench.report(node, 8, None));
    assert_eq!(bench.answers, []);
    FIREWALLS.into_iter().for_each(|node| bench.report(node, 9, None));
    assert!(matches!(&bench.answers[..], [(5, Answer::Done { .. })]));
}
