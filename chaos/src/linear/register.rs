//! A register: read, write, compare and set.

use core::fmt;

use super::model::Model;

/// One register, with nothing in it at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Register;

/// What is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Value(pub Option<i64>);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterCall {
    /// What is in it?
    Read,
    /// Put this in.
    Write(i64),
    /// Put the second in, if the first is in.
    CompareAndSet(i64, i64),
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterAnswer {
    /// This is in it.
    Value(Value),
    /// It is done.
    Done,
    /// Something else was in it, and still is.
    Differs,
}

impl Model for Register {
    type Call = RegisterCall;
    type Answer = RegisterAnswer;
    type State = Value;

    fn start(&self) -> Value {
        Value(None)
    }

    fn step(
        &self,
        state: &Value,
        call: &RegisterCall,
        answer: Option<&RegisterAnswer>,
    ) -> Option<Value> {
        let (after, right) = match *call {
            RegisterCall::Read => (*state, RegisterAnswer::Value(*state)),
            RegisterCall::Write(value) => (Value(Some(value)), RegisterAnswer::Done),
            RegisterCall::CompareAndSet(old, new) if *state == Value(Some(old)) => {
                (Value(Some(new)), RegisterAnswer::Done)
            }
            RegisterCall::CompareAndSet(..) => (*state, RegisterAnswer::Differs),
        };
        answer.is_none_or(|answer| *answer == right).then_some(after)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("nothing"),
        }
    }
}

impl fmt::Display for RegisterCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read => f.write_str("read"),
            Self::Write(value) => write!(f, "write {value}"),
            Self::CompareAndSet(old, new) => write!(f, "set {new} if {old}"),
        }
    }
}

impl fmt::Display for RegisterAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Done => f.write_str("done"),
            Self::Differs => f.write_str("differs"),
        }
    }
}
