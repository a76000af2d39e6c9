//! Why a history is not linearizable, for people.

use core::fmt;

use super::check::Done;
use super::history::Operation;
use super::model::Model;
use crate::limits::LINEAR_ORDER_TOLD;

/// A history that no order explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key that it is about, where there are keys.
    pub key: Option<String>,
    /// Events of the shortest prefix that no order explains: up to the answer that fits nothing.
    pub events: usize,
    /// The operation of that answer.
    pub answer: String,
    /// The last operations of an order that explains all but that answer.
    pub order: Vec<String>,
    /// How many stand before them.
    pub before: usize,
    /// States that orders lead to, just before that answer; the first few.
    pub states: Vec<String>,
    /// What was in flight then: called, and not answered.
    pub in_flight: Vec<String>,
}

/// Where there is no order any more.
pub(super) struct Found<'a> {
    /// The event of the answer.
    pub(super) at: usize,
    /// An order of what was before it, by the operations' numbers.
    pub(super) order: &'a [usize],
    /// What it led to.
    pub(super) states: Vec<String>,
}

impl Violation {
    pub(super) fn of<M: Model>(operations: &[&Done<M>], found: Found<'_>) -> Self {
        let Found { at, order, states } = found;
        let last = &order[order.len().saturating_sub(LINEAR_ORDER_TOLD)..];
        let ends_at = |it: &Done<M>| it.answered.as_ref().map(|end| end.at);
        let in_flight = |it: &&&Done<M>| it.called < at && ends_at(it).is_none_or(|end| end > at);
        let told = |operation: &&Done<M>| told::<M>(operation, at);
        let answer = operations.iter().find(|it| ends_at(it) == Some(at));
        Self {
            key: None,
            events: at,
            answer: answer.map(told).unwrap_or_default(),
            order: last.iter().map(|&number| told(&operations[number])).collect(),
            before: order.len() - last.len(),
            states,
            in_flight: operations.iter().filter(in_flight).map(told).collect(),
        }
    }
}

/// An operation in words. What was answered after event `now` has no part in it.
fn told<M: Model>(operation: &Done<M>, now: usize) -> String {
    let Operation { process, call, called, answered } = operation;
    match answered {
        None => format!("process {process}: {call} (from event {called}; never answered)"),
        Some(end) if end.at > now => {
            format!("process {process}: {call} (from event {called}; later → {})", end.answer)
        }
        Some(end) => format!("process {process}: {call} → {} ({called}–{})", end.answer, end.at),
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.key.as_ref().map(|key| format!(", key {key:?}")).unwrap_or_default();
        writeln!(f, "not linearizable{of}: no order explains the first {} events", self.events)?;
        writeln!(f, "the answer that fits nothing:\n  {}", self.answer)?;
        list(f, "in flight then:", &self.in_flight)?;
        list(f, "states that orders led to, just before it:", &self.states)?;
        writeln!(f, "an order that explains all but it: {} operations, and then", self.before)?;
        self.order.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

fn list(f: &mut fmt::Formatter<'_>, heading: &str, lines: &[String]) -> fmt::Result {
    writeln!(f, "{heading}")?;
    if lines.is_empty() {
        return writeln!(f, "  nothing");
    }
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}
