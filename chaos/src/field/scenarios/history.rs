//! Concurrent clients through both nodes, under faults; the checker of histories judges what they saw.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use config::Change;
use config::api::{CommitRequest, Committed};

use crate::field::api::{Api, Undone};
use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::{Node, Segment};
use crate::field::limits::HEALING;
use crate::field::log;
use crate::field::operator::Operator;
use crate::field::pair;
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, nothing_special};
use crate::field::wait::pause;
use crate::linear::parse::{PolicyEvent, PolicyLine};
use crate::linear::{PolicyAnswer, PolicyCall};
use crate::sim::dice::Dice;

const CLIENTS: u32 = 3;
/// How long they go on, and no longer: a run with enough operations ends earlier.
const TIME: Duration = Duration::from_secs(180);
/// How long they go on at least, so that faults of each kind happen.
const LEAST: Duration = Duration::from_secs(60);
/// Operations of a run: answered, and not with a refusal.
const OPERATIONS: u64 = 200;
/// How long a client asks what came of a change before it gives up.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two operations of a client, milliseconds.
const BETWEEN: core::ops::Range<u64> = 20..250;
/// Between two faults, milliseconds: a pair without a witness agrees on nothing while one is under way.
const CALM: core::ops::Range<u64> = 1_000..4_000;
/// Epochs that a client remembers, to go back to.
const REMEMBERED: usize = 8;
/// Of each rule that tells texts apart, before the client and its number.
const MARK: &str = "mark-";

pub(crate) const HISTORY: Scenario = Scenario {
    name: "history",
    about: "3 clients commit, roll back and read through both nodes under faults: is it linearizable?",
    bars: &[
        Bar::least("linearizable", Of::Min, 1.0),
        Bar::least("operations", Of::Min, OPERATIONS as f64),
        Bar::least("reads", Of::Min, 30.0),
        Bar::least("faults", Of::Min, 8.0),
    ],
    peer: false,
    wants: nothing_special,
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    run.settle()?;
    let pair = run.site.pair()?;
    pair.agree()?;
    let apis = Node::BOTH.map(|node| pair.api(node));
    let lines = Lines::default();
    let (seed, over) = (u64::from(run.number), AtomicBool::new(false));
    let mut clients: Vec<Client<'_>> =
        (0..CLIENTS).map(|process| Client::new(process, seed, &apis, &lines)).collect();
    // Two revisions of which the history knows, so that nobody goes back to one before them.
    clients[0].commit(false);
    clients[0].commit(false);
    let troubled = std::thread::scope(|scope| {
        for mut client in clients {
            let over = &over;
            scope.spawn(move || while !over.load(Ordering::Relaxed) && client.turn().is_ok() {});
        }
        let troubled = trouble(run, &lines);
        over.store(true, Ordering::Relaxed);
        troubled
    });
    log::write(&run.folder, "history.log", lines.all())?;
    let faults = troubled?;
    run.measured("faults", f64::from(faults));
    run.site.pair()?.settle_within(HEALING).map(drop)
}

/// What all clients did and heard, in the order in which it was seen.
#[derive(Default)]
struct Lines(Mutex<Vec<PolicyLine>>);

impl Lines {
    fn add(&self, process: u32, what: PolicyEvent) {
        // Whoever panicked with it has pushed its line, or has not.
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(PolicyLine { process, what });
    }

    fn all(&self) -> Vec<PolicyLine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers that are no refusals.
    fn answered(&self) -> u64 {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_one = |line: &&PolicyLine| match &line.what {
            PolicyEvent::Answer(answer) => *answer != PolicyAnswer::Refused,
            PolicyEvent::Call(_) | PolicyEvent::GaveUp(_) => false,
        };
        lines.iter().filter(is_one).count() as u64
    }
}

/// Somebody who does one thing at a time.
struct Client<'a> {
    process: u32,
    dice: Dice,
    operators: [Operator; 2],
    lines: &'a Lines,
    texts: u32,
    /// Epochs that were in force, as this client heard; the newest last.
    epochs: VecDeque<u64>,
}

impl<'a> Client<'a> {
    fn new(process: u32, seed: u64, apis: &[Api; 2], lines: &'a Lines) -> Self {
        let dice = Dice::new(seed, 10 + u64::from(process));
        // Ids that no other run has had.
        let id = |node: u64| Dice::new(log::now(), u64::from(process) * 2 + node);
        let operator =
            |node: usize| Operator::new(apis[node].clone(), id(node as u64)).hasty(PATIENCE);
        let operators = [operator(0), operator(1)];
        Self { process, dice, operators, lines, texts: 0, epochs: VecDeque::new() }
    }

    /// One operation, and a pause.
    fn turn(&mut self) -> Result<(), Failure> {
        match self.dice.below(10) {
            0..3 => self.commit(false),
            3..5 => self.commit(true),
            5 => self.rollback(None),
            6 => {
                let known = self.dice.below(self.epochs.len() as u64) as usize;
                let epoch = self.epochs.get(known).copied();
                self.rollback(epoch);
            }
            _ => self.read(),
        }
        pause(self.dice.millis(BETWEEN))
    }

    fn operator(&mut self) -> &mut Operator {
        let node = self.dice.below(2) as usize;
        &mut self.operators[node]
    }

    /// With the epoch that this client heard of last as its base, or without one.
    fn commit(&mut self, based: bool) {
        let text = format!("{MARK}{}-{}", self.process, self.texts);
        self.texts += 1;
        let base = self.epochs.back().copied().filter(|_| based);
        self.call(PolicyCall::Commit { base, text: text.clone(), confirm: false });
        let request = CommitRequest { text: marked(&text), base, ..request() };
        let answer = self.operator().commit(request);
        self.answer(answer, base.is_some(), |_| Some(text));
    }

    fn rollback(&mut self, to: Option<u64>) {
        self.call(PolicyCall::Rollback { to });
        let answer = self.operator().rollback(to);
        // It tells how the texts differ as its node knew them, which may be too little.
        self.answer(answer, false, |_| None);
    }

    /// A check of a text without a mark tells which mark is in force.
    fn read(&mut self) {
        self.call(PolicyCall::Read);
        let request = CommitRequest { text: pair::policy(), ..request() };
        let answer = match self.operator().check(request) {
            Ok(checked) => Ok(checked),
            // Nothing was read.
            Err(Undone::Refused(error)) => Err(Undone::Unknown(error.error)),
            Err(Undone::NotSent(why) | Undone::Unknown(why)) => Err(Undone::Unknown(why)),
        };
        self.answer(answer, false, |checked| {
            let mark = |change: &Change| {
                let Change::RuleRemoved { rule, .. } = change else { return None };
                Some(rule.clone())
            };
            checked.changes.iter().find_map(mark)
        });
    }

    fn call(&self, call: PolicyCall) {
        self.lines.add(self.process, PolicyEvent::Call(call));
    }

    fn answer(
        &mut self,
        answer: Result<Committed, Undone>,
        based: bool,
        text: impl FnOnce(&Committed) -> Option<String>,
    ) {
        let said = match answer {
            Ok(it) => {
                self.heard(it.epoch);
                let (epoch, text) = (it.epoch, text(&it));
                PolicyEvent::Answer(PolicyAnswer::Running { epoch, text, waits: Some(false) })
            }
            // Without a base its node chose one, which was overtaken.
            Err(Undone::Refused(error)) => match running(&error.error).filter(|_| based) {
                Some(running) => {
                    self.heard(running);
                    PolicyEvent::Answer(PolicyAnswer::Conflict { running })
                }
                None => PolicyEvent::Answer(PolicyAnswer::Refused),
            },
            Err(Undone::NotSent(_)) => PolicyEvent::Answer(PolicyAnswer::Refused),
            Err(Undone::Unknown(_)) => PolicyEvent::GaveUp(true),
        };
        self.lines.add(self.process, said);
    }

    fn heard(&mut self, epoch: u64) {
        self.epochs.push_back(epoch);
        while self.epochs.len() > REMEMBERED {
            self.epochs.pop_front();
        }
    }
}

fn request() -> CommitRequest {
    CommitRequest { file: "policy.toml".to_owned(), ..CommitRequest::default() }
}

/// The pair's policy, with a rule by which it is told from any other.
fn marked(mark: &str) -> String {
    let text = pair::policy();
    format!(
        "{text}\n[[rule]]\nid = \"{mark}\"\nfrom = \"untrust\"\nto = \"trust\"\naction = \"deny\"\n"
    )
}

/// What is in force, if that is why something was refused.
fn running(error: &str) -> Option<u64> {
    let (epoch, rest) = error.strip_prefix("epoch ")?.split_once(' ')?;
    rest.starts_with("is in force, not the one").then(|| epoch.parse().ok())?
}

/// Faults one after the other, until enough was done; how many.
fn trouble(run: &mut Run<'_>, lines: &Lines) -> Result<u32, Failure> {
    let (mut dice, mut faults, begun) = (Dice::new(u64::from(run.number), 1), 0, Instant::now());
    while begun.elapsed() < TIME {
        if begun.elapsed() >= LEAST && lines.answered() >= OPERATIONS + 20 {
            break;
        }
        run.pause(dice.millis(CALM))?;
        let node = Node::BOTH[dice.below(2) as usize];
        faults += 1;
        let (fault, after, lasts) = match dice.below(8) {
            0..2 => (Fault::Kill(node), Fault::Restart(node), 50..1_500),
            2..5 => (Fault::Pause(node), Fault::Continue(node), 50..2_000),
            5..7 => (Fault::CutAll, Fault::Heal, 100..2_500),
            _ => (Fault::Cut(Segment::Fabric), Fault::Heal, 100..2_500),
        };
        run.strike_blindly(fault)?;
        let waited = run.pause(dice.millis(lasts));
        run.strike_blindly(after)?;
        waited?;
    }
    Ok(faults)
}
