//! Who called what, and what was answered, in the order in which that was seen.

use core::fmt;
use std::collections::BTreeMap;

/// Calls and answers of processes, each of which does one thing at a time.
#[derive(Clone, Debug)]
pub struct History<C, A> {
    operations: Vec<Operation<C, A>>,
    events: usize,
    /// Who waits for an answer, and to which operation.
    waiting: BTreeMap<u32, usize>,
}

/// A call with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<C, A> {
    /// Who called.
    pub process: u32,
    /// What for.
    pub call: C,
    /// The event that it was called in, from 1.
    pub called: usize,
    /// `None`: no answer ever came. The call may take effect at any later time, or never.
    pub answered: Option<Answered<A>>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered<A> {
    /// The event that it came in, from 1.
    pub at: usize,
    /// What it says.
    pub answer: A,
}

/// Why an event does not fit those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disorder {
    /// A process calls, and waits already.
    Twice {
        /// Which one.
        process: u32,
    },
    /// An answer to a process that waits for none.
    Unasked {
        /// Which one.
        process: u32,
    },
}

impl<C, A> Default for History<C, A> {
    fn default() -> Self {
        Self { operations: Vec::new(), events: 0, waiting: BTreeMap::new() }
    }
}

impl<C, A> History<C, A> {
    /// `process` calls.
    ///
    /// # Errors
    /// It waits for an answer.
    pub fn call(&mut self, process: u32, call: C) -> Result<(), Disorder> {
        if self.waiting.insert(process, self.operations.len()).is_some() {
            return Err(Disorder::Twice { process });
        }
        self.events += 1;
        let called = self.events;
        self.operations.push(Operation { process, call, called, answered: None });
        Ok(())
    }

    /// `process` has its answer.
    ///
    /// # Errors
    /// It waits for none.
    pub fn answer(&mut self, process: u32, answer: A) -> Result<(), Disorder> {
        let waited = self.waiting.remove(&process).ok_or(Disorder::Unasked { process })?;
        self.events += 1;
        self.operations[waited].answered = Some(Answered { at: self.events, answer });
        Ok(())
    }

    /// `process` waits no longer; what it called for may still happen.
    ///
    /// # Errors
    /// It waits for none.
    pub fn give_up(&mut self, process: u32) -> Result<(), Disorder> {
        self.waiting.remove(&process).ok_or(Disorder::Unasked { process })?;
        self.events += 1;
        Ok(())
    }

    /// All operations, in the order of their calls.
    pub fn operations(&self) -> &[Operation<C, A>] {
        &self.operations
    }

    /// What `process` waits for.
    pub fn waits_for(&self, process: u32) -> Option<&C> {
        self.waiting.get(&process).map(|&at| &self.operations[at].call)
    }

    /// Calls, answers, and answers given up.
    pub fn events(&self) -> usize {
        self.events
    }
}

impl fmt::Display for Disorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice { process } => write!(f, "process {process} calls, and waits already"),
            Self::Unasked { process } => {
                write!(f, "an answer to process {process}, which waits for none")
            }
        }
    }
}

impl std::error::Error for Disorder {}
