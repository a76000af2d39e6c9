//! What is said while the demo runs, and the summary at its end.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::limits::SEEN_CHARACTERS;
use crate::out::Out;
use crate::table::Table;

/// What a step saw, in words: `Ok` if that is what was expected.
pub(super) type Seen = Result<String, String>;

/// Says each step as it happens and keeps it for the summary.
pub(super) struct Report<'a, 'o> {
    out: &'a mut Out<'o>,
    started: Instant,
    rows: Vec<Row>,
    packets: BTreeMap<String, u64>,
    current: Current,
}

/// One step.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) step: String,
    pub(super) expected: String,
    pub(super) seen: String,
    pub(super) ok: bool,
    /// How long it took.
    pub(super) milliseconds: u64,
}

/// The step that runs now, for whoever has to say what hung.
#[derive(Clone, Default)]
pub(super) struct Current(Arc<Mutex<String>>);

/// The summary as JSON.
#[derive(Serialize)]
struct Summary<'a> {
    summary: Sums<'a>,
}

#[derive(Serialize)]
struct Sums<'a> {
    ok: bool,
    steps: usize,
    failed: usize,
    milliseconds: u64,
    packets: &'a BTreeMap<String, u64>,
}

impl<'a, 'o> Report<'a, 'o> {
    pub(super) fn new(out: &'a mut Out<'o>) -> Self {
        let current = Current::default();
        Self { out, started: Instant::now(), rows: Vec::new(), packets: BTreeMap::new(), current }
    }

    /// Where the step that runs now can be seen from another thread.
    pub(super) fn current(&self) -> Current {
        self.current.clone()
    }

    /// Does one step and says how it went; true if it went as expected.
    pub(super) fn step(
        &mut self,
        step: &str,
        expected: &str,
        work: impl FnOnce() -> Seen,
    ) -> io::Result<bool> {
        self.current.set(step);
        let begun = Instant::now();
        let seen = work();
        let row = Row {
            step: step.to_owned(),
            expected: expected.to_owned(),
            ok: seen.is_ok(),
            seen: one_line(&seen.unwrap_or_else(|wrong| wrong)),
            milliseconds: milliseconds(begun),
        };
        self.say(&row)?;
        let ok = row.ok;
        self.rows.push(row);
        Ok(ok)
    }

    fn say(&mut self, row: &Row) -> io::Result<()> {
        if self.out.json() {
            self.out.value(row)?;
        } else {
            let at = self.started.elapsed().as_secs_f64();
            let word = if row.ok { "ok" } else { "FAILED" };
            self.out.line(format!("{at:7.3} s  {word:6}  {}: {}", row.step, row.seen))?;
        }
        self.out.flush()
    }

    /// A line between the steps, for people only.
    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        if !self.out.json() {
            self.out.line(text)?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// A few lines of something longer, if there are any, for people only.
    pub(super) fn excerpt<'t>(
        &mut self,
        title: &str,
        lines: impl Iterator<Item = &'t str>,
    ) -> io::Result<()> {
        let mut lines = lines.peekable();
        if lines.peek().is_none() {
            return Ok(());
        }
        self.note(&format!("\n{title}"))?;
        lines.try_for_each(|line| self.note(&format!("    {line}")))?;
        self.note("")
    }

    /// Packets by what became of them, for the summary.
    pub(super) fn packets(&mut self, packets: BTreeMap<String, u64>) {
        self.packets = packets;
    }

    /// True if a step did not go as expected.
    pub(super) fn failed(&self) -> bool {
        self.rows.iter().any(|row| !row.ok)
    }

    fn tables(&mut self) -> io::Result<()> {
        let mut steps = Table::new(&["STEP", "EXPECTED", "VERDICT", "SEEN"]);
        for Row { step, expected, seen, ok, .. } in &self.rows {
            let verdict = if *ok { "ok" } else { "FAILED" };
            steps.row([step.clone(), expected.clone(), verdict.to_owned(), seen.clone()]);
        }
        self.out.line("")?;
        steps.print("no steps", self.out)?;
        if self.packets.is_empty() {
            return Ok(());
        }
        let mut packets = Table::new(&["PACKETS", "COUNT"]);
        for (name, count) in &self.packets {
            packets.row([name.clone(), count.to_string()]);
        }
        self.out.line("")?;
        packets.print("", self.out)
    }

    /// The summary; true if every step went as expected.
    pub(super) fn finish(mut self) -> io::Result<bool> {
        let failed = self.rows.iter().filter(|row| !row.ok).count();
        let ok = failed == 0 && !self.rows.is_empty();
        let (steps, milliseconds) = (self.rows.len(), milliseconds(self.started));
        if self.out.json() {
            let packets = &self.packets;
            self.out
                .value(&Summary { summary: Sums { ok, steps, failed, milliseconds, packets } })?;
        } else {
            self.tables()?;
            let good = steps - failed;
            let seconds = milliseconds as f64 / 1000.0;
            self.out.line(format!("\n{good} of {steps} steps as expected, in {seconds:.1} s"))?;
        }
        self.out.flush()?;
        Ok(ok)
    }
}

impl Current {
    fn set(&self, step: &str) {
        step.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a command said may have many lines; a row has one.
fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(SEEN_CHARACTERS) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
