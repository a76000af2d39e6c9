//! Histories of a store in EDN, one map a line, its keys always in the same order.

use super::{History, Wrong};
use crate::linear::kv::{KvAnswer, KvCall};

pub(super) fn event(history: &mut History<KvCall, KvAnswer>, line: &str) -> Result<(), Wrong> {
    let unknown = || Wrong::unknown(line);
    let fields = fields(line).ok_or_else(unknown)?;
    let process = fields.process.parse().map_err(|_| unknown())?;
    let text = || quoted(fields.value).map(str::to_owned).ok_or_else(unknown);
    let key = quoted(fields.key).map(str::to_owned).ok_or_else(unknown)?;
    match (fields.kind, fields.operation) {
        (":invoke", ":get") => history.call(process, KvCall::Get(key))?,
        (":invoke", ":put") => history.call(process, KvCall::Put(key, text()?))?,
        (":invoke", ":append") => history.call(process, KvCall::Append(key, text()?))?,
        (":ok", ":get") => history.answer(process, KvAnswer::Text(text()?))?,
        (":ok", ":put" | ":append") => history.answer(process, KvAnswer::Done)?,
        (":info" | ":fail", ":get") | (":info", ":put" | ":append") => history.give_up(process)?,
        _ => return Err(unknown()),
    }
    Ok(())
}

struct Fields<'a> {
    process: &'a str,
    kind: &'a str,
    operation: &'a str,
    key: &'a str,
    value: &'a str,
}

fn fields(line: &str) -> Option<Fields<'_>> {
    let rest = line.strip_prefix("{:process ")?.strip_suffix('}')?;
    let (process, rest) = rest.split_once(", :type ")?;
    let (kind, rest) = rest.split_once(", :f ")?;
    let (operation, rest) = rest.split_once(", :key ")?;
    let (key, value) = rest.split_once(", :value ")?;
    Some(Fields { process, kind, operation, key, value })
}

/// A text without escapes: these histories have none, and one that has is not misread.
fn quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains(['"', '\\'])).then_some(inner)
}
