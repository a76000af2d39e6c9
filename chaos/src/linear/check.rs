//! The search for an order that explains a history.
//!
//! Calls and answers stand in a list, as they came. Whatever was called before the first answer left may
//! be done next: it is taken out, with its answer, and the search begins at the front again. At an answer
//! whose operation is still in, none of those before it led on: the last one done is put back.
//!
//! The search is over when no answer is left. An operation without one may stay in the list for ever, so
//! that of two configurations with equal states and equal answers behind them, the one that has used fewer
//! such operations leads wherever the other one does. That prunes what would double with each of them.

use std::collections::HashMap;

use super::history::Operation;
use super::model::Model;
use super::report::{Found, Violation};
use crate::limits::LINEAR_STATES_TOLD;

/// An operation of a model.
pub(super) type Done<M> = Operation<<M as Model>::Call, <M as Model>::Answer>;

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is an order that explains everything.
    Linearizable,
    /// There is none.
    Violation(Violation),
    /// The search was given up: too many orders are possible.
    Undecided {
        /// Configurations looked at.
        configurations: usize,
    },
}

/// Judges one history, within a number of configurations. Its operations are in the order of their calls.
pub(super) fn check<M: Model>(model: &M, operations: &[&Done<M>], most: usize) -> Verdict {
    match Search::new(model, operations, most).run() {
        Outcome::Explained(_) => Verdict::Linearizable,
        Outcome::Unexplained(stuck) => Verdict::Violation(shortest(model, operations, stuck, most)),
        Outcome::GivenUp(configurations) => Verdict::Undecided { configurations },
    }
}

/// The shortest prefix that has no order. Each prefix of a linearizable history is linearizable, so it is
/// found by halving; it does not end before the answer that the whole history was stuck at, but may
/// end after it: an answer that has not come yet can still be any.
fn shortest<M: Model>(model: &M, operations: &[&Done<M>], stuck: Stuck, most: usize) -> Violation {
    let ends = operations.iter().filter_map(|it| it.answered.as_ref().map(|end| end.at));
    let mut ends: Vec<usize> = ends.filter(|at| *at >= stuck.at).collect();
    ends.sort_unstable();
    let (mut low, mut high, mut last_stuck) = (0, ends.len() - 1, stuck);
    while low < high {
        // Mostly it is the very answer that the whole history was stuck at.
        let middle = if low == 0 { 0 } else { usize::midpoint(low, high) };
        let prefix = prefix::<M>(operations, ends[middle]);
        match Search::new(model, &prefix.iter().collect::<Vec<_>>(), most).run() {
            Outcome::Unexplained(stuck) => (high, last_stuck) = (middle, stuck),
            Outcome::Explained(_) | Outcome::GivenUp(_) => low = middle + 1,
        }
    }
    let before = prefix::<M>(operations, ends[high] - 1);
    let explained = match Search::new(model, &before.iter().collect::<Vec<_>>(), most).run() {
        Outcome::Explained(explained) => explained,
        Outcome::Unexplained(_) | Outcome::GivenUp(_) => Explained::default(),
    };
    let states = if last_stuck.at == ends[high] { last_stuck.states } else { explained.states };
    let found = Found { at: ends[high], order: &explained.order, states };
    Violation::of::<M>(operations, found)
}

/// What was known after so many events.
fn prefix<M: Model>(operations: &[&Done<M>], events: usize) -> Vec<Done<M>> {
    let known = operations.iter().filter(|it| it.called <= events);
    let cut = |it: &&Done<M>| Operation {
        process: it.process,
        call: it.call.clone(),
        called: it.called,
        answered: it.answered.clone().filter(|end| end.at <= events),
    };
    known.map(cut).collect()
}

/// How a search ends.
enum Outcome {
    Explained(Explained),
    Unexplained(Stuck),
    /// After so many configurations.
    GivenUp(usize),
}

/// An order of operations that explains all answers, and the state after it.
#[derive(Default)]
struct Explained {
    order: Vec<usize>,
    states: Vec<String>,
}

/// The latest answer that a configuration had left over, and the states that it was left over in.
#[derive(Default)]
struct Stuck {
    at: usize,
    states: Vec<String>,
}

struct Search<'a, M: Model> {
    model: &'a M,
    operations: &'a [&'a Done<M>],
    list: List,
    states: States<M::State>,
    /// What is done, and the number of the state that it led to.
    done: Bits,
    /// What is done and was never answered; it is not in `done`.
    used: Bits,
    state: usize,
    /// What was done, in order, each with the state before it.
    path: Vec<(usize, usize)>,
    seen: HashMap<(Bits, usize), Vec<Bits>>,
    configurations: usize,
    most: usize,
    stuck_at: usize,
    stuck_in: Vec<usize>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(model: &'a M, operations: &'a [&'a Done<M>], most: usize) -> Self {
        let mut states = States::default();
        let state = states.number(model.start());
        let events = |it: &&Done<M>| (it.called, it.answered.as_ref().map(|end| end.at));
        Self {
            model,
            operations,
            list: List::new(operations.iter().map(events)),
            states,
            done: Bits::none_of(operations.len()),
            used: Bits::none_of(operations.len()),
            state,
            path: Vec::new(),
            seen: HashMap::new(),
            configurations: 0,
            most,
            stuck_at: 0,
            stuck_in: Vec::new(),
        }
    }

    fn run(mut self) -> Outcome {
        let mut entry = self.list.first();
        while self.list.answers > 0 {
            if self.configurations >= self.most {
                return Outcome::GivenUp(self.configurations);
            }
            entry = match self.list.what(entry) {
                Entry::Call(operation) if self.enter(operation) => self.list.first(),
                Entry::Call(_) => self.list.after(entry),
                Entry::Answer(operation) => {
                    self.note(operation);
                    match self.back() {
                        Some(entry) => self.list.after(entry),
                        None => return Outcome::Unexplained(self.stuck()),
                    }
                }
            };
        }
        let order = self.path.iter().map(|(number, _)| *number).collect();
        let states = vec![self.states.state(self.state).to_string()];
        Outcome::Explained(Explained { order, states })
    }

    /// Does an operation next, if it can be, and if that leads to what is new.
    fn enter(&mut self, number: usize) -> bool {
        let operation = self.operations[number];
        let answer = operation.answered.as_ref().map(|answered| &answered.answer);
        if answer.is_none() && self.twin_waits(number) {
            return false;
        }
        let before = self.states.state(self.state);
        let Some(after) = self.model.step(before, &operation.call, answer) else { return false };
        let after = self.states.number(after);
        // What was never answered and changes nothing need not happen.
        if answer.is_none() && after == self.state {
            return false;
        }
        self.mark(number, true);
        if !self.is_new(after) {
            self.mark(number, false);
            return false;
        }
        self.path.push((number, self.state));
        self.state = after;
        self.list.take_out(number);
        true
    }

    /// Of calls that are equal and were never answered, the earliest is as good as any.
    fn twin_waits(&self, number: usize) -> bool {
        let call = &self.operations[number].call;
        let waits = |earlier: &usize| {
            let other = self.operations[*earlier];
            other.answered.is_none() && !self.used.has(*earlier) && other.call == *call
        };
        (0..number).any(|earlier| waits(&earlier))
    }

    /// Remembers what is done now, unless something as good was remembered before.
    fn is_new(&mut self, state: usize) -> bool {
        let seen = self.seen.entry((self.done.clone(), state)).or_default();
        if seen.iter().any(|used| used.is_within(&self.used)) {
            return false;
        }
        seen.retain(|used| !self.used.is_within(used));
        seen.push(self.used.clone());
        self.configurations += 1;
        true
    }

    fn mark(&mut self, number: usize, value: bool) {
        match self.operations[number].answered {
            Some(_) => self.done.set(number, value),
            None => self.used.set(number, value),
        }
    }

    /// Takes the last operation back, and gives its call.
    fn back(&mut self) -> Option<usize> {
        let (number, before) = self.path.pop()?;
        self.state = before;
        self.mark(number, false);
        Some(self.list.put_back(number))
    }

    fn note(&mut self, operation: usize) {
        let at = self.operations[operation].answered.as_ref().map_or(0, |end| end.at);
        if at > self.stuck_at {
            self.stuck_at = at;
            self.stuck_in.clear();
        }
        let room = self.stuck_in.len() < LINEAR_STATES_TOLD;
        if at == self.stuck_at && room && !self.stuck_in.contains(&self.state) {
            self.stuck_in.push(self.state);
        }
    }

    fn stuck(&self) -> Stuck {
        let states = self.stuck_in.iter().map(|&state| self.states.state(state).to_string());
        Stuck { at: self.stuck_at, states: states.collect() }
    }
}

/// An entry of the list.
enum Entry {
    Call(usize),
    Answer(usize),
}

/// Calls and answers in the order of their events, doubly linked, so that what is taken out goes back to
/// its place in no time ("dancing links"). Operation `n` has its call at `2n`, its answer at `2n + 1`; the
/// last place is before the first entry and after the last.
struct List {
    next: Vec<usize>,
    previous: Vec<usize>,
    answered: Vec<bool>,
    /// Answers in the list.
    answers: usize,
}

impl List {
    fn new(operations: impl Iterator<Item = (usize, Option<usize>)>) -> Self {
        let (mut entries, mut answered) = (Vec::new(), Vec::new());
        for (number, (called, answer)) in operations.enumerate() {
            entries.push((called, 2 * number));
            entries.extend(answer.map(|at| (at, 2 * number + 1)));
            answered.push(answer.is_some());
        }
        entries.sort_unstable();
        let end = 2 * answered.len();
        let (mut next, mut previous) = (vec![end; end + 1], vec![end; end + 1]);
        let mut last = end;
        for (_, entry) in entries {
            (next[last], previous[entry]) = (entry, last);
            last = entry;
        }
        previous[end] = last;
        let answers = answered.iter().filter(|it| **it).count();
        Self { next, previous, answered, answers }
    }

    fn first(&self) -> usize {
        self.next[2 * self.answered.len()]
    }

    fn after(&self, entry: usize) -> usize {
        self.next[entry]
    }

    /// Asked while answers are left: the walk from the front comes to one of them, never to the end.
    fn what(&self, entry: usize) -> Entry {
        if entry.is_multiple_of(2) { Entry::Call(entry / 2) } else { Entry::Answer(entry / 2) }
    }

    fn take_out(&mut self, number: usize) {
        self.unlink(2 * number);
        if self.answered[number] {
            self.unlink(2 * number + 1);
            self.answers -= 1;
        }
    }

    /// In the opposite order of [`Self::take_out`], so that the neighbours are those of then.
    fn put_back(&mut self, number: usize) -> usize {
        if self.answered[number] {
            self.link(2 * number + 1);
            self.answers += 1;
        }
        self.link(2 * number);
        2 * number
    }

    fn unlink(&mut self, entry: usize) {
        let (previous, next) = (self.previous[entry], self.next[entry]);
        (self.next[previous], self.previous[next]) = (next, previous);
    }

    fn link(&mut self, entry: usize) {
        let (previous, next) = (self.previous[entry], self.next[entry]);
        (self.next[previous], self.previous[next]) = (entry, entry);
    }
}

/// States by number: a configuration is compared and kept by a number, however large its state is.
struct States<S> {
    numbers: HashMap<S, usize>,
    states: Vec<S>,
}

impl<S> Default for States<S> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), states: Vec::new() }
    }
}

impl<S: Clone + Eq + std::hash::Hash> States<S> {
    fn number(&mut self, state: S) -> usize {
        if let Some(&number) = self.numbers.get(&state) {
            return number;
        }
        self.states.push(state.clone());
        self.numbers.insert(state, self.states.len() - 1);
        self.states.len() - 1
    }

    fn state(&self, number: usize) -> &S {
        &self.states[number]
    }
}

/// A set of operations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Bits(Box<[u64]>);

impl Bits {
    fn none_of(operations: usize) -> Self {
        Self(vec![0; operations.div_ceil(64)].into())
    }

    fn set(&mut self, number: usize, value: bool) {
        let bit = 1 << (number % 64);
        let word = &mut self.0[number / 64];
        *word = if value { *word | bit } else { *word & !bit };
    }

    fn has(&self, number: usize) -> bool {
        self.0[number / 64] & 1 << (number % 64) != 0
    }

    fn is_within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(these, those)| these & !those == 0)
    }
}
