//! Files of histories.
//!
//! | kind | a line |
//! |---|---|
//! | register | `INFO  jepsen.util - 0 :invoke :write 4`, as etcd's test under Jepsen logs |
//! | kv | `{:process 0, :type :invoke, :f :append, :key "0", :value "x"}` |
//! | policy | `{"process":0,"call":{"commit":{"base":1,"text":"a"}}}`, JSON, our own |

mod jepsen;
mod kv;
mod policy;

use core::fmt;

pub use self::policy::{PolicyEvent, PolicyLine};
use super::history::{Disorder, History};
use super::kv::{Kv, KvAnswer, KvCall};
use super::policy::{Policies, PolicyAnswer, PolicyCall};
use super::register::{Register, RegisterAnswer, RegisterCall};
use super::{Verdict, check_keys};

/// A history of one of the models.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// Of a register.
    Register(History<RegisterCall, RegisterAnswer>),
    /// Of a store of texts.
    Kv(History<KvCall, KvAnswer>),
    /// Of a cluster's policy.
    Policy(History<PolicyCall, PolicyAnswer>),
}

/// Why a text is no history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoHistory {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: Wrong,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It does not read as an event.
    Unknown(String),
    /// It does not fit those before it.
    Disorder(Disorder),
    /// No event is in the file.
    Empty,
}

/// Reads a history; its first line tells its kind.
///
/// # Errors
/// A line is not understood, or does not fit those before it.
pub fn parse(text: &str) -> Result<Parsed, NoHistory> {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let first = first.ok_or(NoHistory { line: 0, why: Wrong::Empty })?;
    if first.starts_with("{:") {
        lines(text, kv::event).map(Parsed::Kv)
    } else if first.starts_with('{') {
        lines(text, policy::event).map(Parsed::Policy)
    } else {
        lines(text, jepsen::event).map(Parsed::Register)
    }
}

impl Parsed {
    /// Judges it. `kept` is how many revisions of a policy are kept.
    pub fn check(&self, kept: usize) -> Verdict {
        match self {
            Self::Register(history) => single(check_keys(&Register, history, |_| "")),
            Self::Kv(history) => check_keys(&Kv, history, |call| call.key().to_owned()),
            Self::Policy(history) => single(check_keys(&Policies { kept }, history, |_| "")),
        }
    }

    /// How many operations it has.
    pub fn operations(&self) -> usize {
        match self {
            Self::Register(history) => history.operations().len(),
            Self::Kv(history) => history.operations().len(),
            Self::Policy(history) => history.operations().len(),
        }
    }

    /// What it is a history of.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Register(_) => "register",
            Self::Kv(_) => "kv",
            Self::Policy(_) => "policy",
        }
    }
}

/// There is one key only: it needs no name.
fn single(mut verdict: Verdict) -> Verdict {
    if let Verdict::Violation(violation) = &mut verdict {
        violation.key = None;
    }
    verdict
}

/// Tells a history of one event.
type Read<C, A> = fn(&mut History<C, A>, &str) -> Result<(), Wrong>;

fn lines<C, A>(text: &str, event: Read<C, A>) -> Result<History<C, A>, NoHistory> {
    let mut history = History::default();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        event(&mut history, line.trim()).map_err(|why| NoHistory { line: at + 1, why })?;
    }
    Ok(history)
}

impl Wrong {
    fn unknown(what: impl Into<String>) -> Self {
        Self::Unknown(what.into())
    }
}

impl From<Disorder> for Wrong {
    fn from(disorder: Disorder) -> Self {
        Self::Disorder(disorder)
    }
}

impl fmt::Display for NoHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Wrong::Unknown(what) => write!(f, "line {}: not understood: {what}", self.line),
            Wrong::Disorder(disorder) => write!(f, "line {}: {disorder}", self.line),
            Wrong::Empty => f.write_str("no event is in the file"),
        }
    }
}

impl std::error::Error for NoHistory {}
