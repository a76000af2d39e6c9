//! etcd's histories: `INFO  jepsen.util - PROCESS⇥:KIND⇥:OPERATION⇥VALUE`.
//!
//! `:info` says that the client knows nothing; its process is never heard of again. A read that failed has
//! told nothing, and changed nothing.

use super::{History, Wrong};
use crate::linear::register::{RegisterAnswer, RegisterCall, Value};

type Registers = History<RegisterCall, RegisterAnswer>;

pub(super) fn event(history: &mut Registers, line: &str) -> Result<(), Wrong> {
    let unknown = || Wrong::unknown(line);
    let rest = line.strip_prefix("INFO").ok_or_else(unknown)?.trim_start();
    let rest = rest.strip_prefix("jepsen.util -").ok_or_else(unknown)?;
    let mut words = rest.split_whitespace();
    let process = words.next().and_then(|word| word.parse().ok()).ok_or_else(unknown)?;
    let mut word = || words.next().ok_or_else(unknown);
    let (kind, operation) = (word()?, word()?);
    let value: Vec<&str> = words.collect();
    match (kind, operation) {
        (":invoke", _) => history.call(process, call(operation, &value).ok_or_else(unknown)?)?,
        (":ok", ":read") => {
            let [value] = value[..] else { return Err(unknown()) };
            let value = read(value).ok_or_else(unknown)?;
            history.answer(process, RegisterAnswer::Value(value))?;
        }
        (":ok", ":write" | ":cas") => history.answer(process, RegisterAnswer::Done)?,
        (":fail", ":cas") => history.answer(process, RegisterAnswer::Differs)?,
        (":fail", ":read") | (":info", ":read" | ":write" | ":cas") => history.give_up(process)?,
        _ => return Err(unknown()),
    }
    Ok(())
}

fn call(operation: &str, value: &[&str]) -> Option<RegisterCall> {
    match (operation, value) {
        (":read", ["nil"]) => Some(RegisterCall::Read),
        (":write", [value]) => Some(RegisterCall::Write(value.parse().ok()?)),
        (":cas", [old, new]) => {
            let (old, new) = (old.strip_prefix('[')?, new.strip_suffix(']')?);
            Some(RegisterCall::CompareAndSet(old.parse().ok()?, new.parse().ok()?))
        }
        _ => None,
    }
}

fn read(value: &str) -> Option<Value> {
    if value == "nil" { Some(Value(None)) } else { value.parse().ok().map(|it| Value(Some(it))) }
}
