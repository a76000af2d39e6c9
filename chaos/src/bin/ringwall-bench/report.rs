//! Results: medians of subject and baseline, their ratio, and the bar.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;

/// What was measured: one value of each a round.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    name: String,
    unit: &'static str,
    rounds: Vec<[f64; 2]>,
    bar: Option<Bar>,
}

/// What must hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    /// The subject's median is at most this, in the comparison's unit.
    AtMost(f64),
    /// Subject over baseline is at least this.
    RatioAtLeast(f64),
    /// Subject over baseline is at most this.
    RatioAtMost(f64),
    /// Subject is above baseline by this at most, in the comparison's unit.
    MoreAtMost(f64),
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    unit: &'static str,
    subject: Spread,
    baseline: Spread,
    /// Median of the rounds' subject over baseline.
    ratio: f64,
    bar: Option<String>,
    holds: bool,
    rounds: usize,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Comparison {
    pub(crate) fn new(name: impl Into<String>, unit: &'static str, bar: Option<Bar>) -> Self {
        Self { name: name.into(), unit, rounds: Vec::new(), bar }
    }

    /// Adds a round.
    pub(crate) fn push(&mut self, subject: f64, baseline: f64) {
        self.rounds.push([subject, baseline]);
    }

    /// Whether the bar is kept; true without one.
    pub(crate) fn holds(&self) -> bool {
        match self.bar {
            Some(Bar::AtMost(most)) => self.spread(0).median <= most,
            Some(Bar::RatioAtLeast(least)) => self.ratio() >= least,
            Some(Bar::RatioAtMost(most)) => self.ratio() <= most,
            Some(Bar::MoreAtMost(most)) => self.more() <= most,
            None => true,
        }
    }

    fn more(&self) -> f64 {
        spread(self.rounds.iter().map(|[subject, baseline]| subject - baseline)).median
    }

    fn ratio(&self) -> f64 {
        spread(self.rounds.iter().map(|[subject, baseline]| subject / baseline)).median
    }

    fn spread(&self, which: usize) -> Spread {
        spread(self.rounds.iter().map(|round| round[which]))
    }

    fn row(&self) -> Row<'_> {
        let bar = self.bar.map(|bar| match bar {
            Bar::AtMost(most) => format!("<= {most} {}", self.unit),
            Bar::RatioAtLeast(least) => format!("ratio >= {least}"),
            Bar::RatioAtMost(most) => format!("ratio <= {most}"),
            Bar::MoreAtMost(most) => format!("+{:.1} <= {most} {}", self.more(), self.unit),
        });
        Row {
            name: &self.name,
            unit: self.unit,
            subject: self.spread(0),
            baseline: self.spread(1),
            ratio: self.ratio(),
            bar,
            holds: self.holds(),
            rounds: self.rounds.len(),
        }
    }
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    Spread {
        median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
        least: at(0),
        most: at(last),
    }
}

/// Prints all to standard output.
pub(crate) fn print(results: &[Comparison], json: bool) -> io::Result<()> {
    let rows: Vec<Row<'_>> = results.iter().map(Comparison::row).collect();
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &rows)?;
        return writeln!(out);
    }
    let head = ["subject", "(least", "most)", "baseline", "ratio"];
    let [subject, least, most, baseline, ratio] = head;
    writeln!(out, "{:<42}{subject:>11}{least:>11}{most:>11}{baseline:>11}{ratio:>8}  bar", "")?;
    for row in &rows {
        print_row(&mut out, row)?;
    }
    Ok(())
}

fn print_row(out: &mut impl Write, row: &Row<'_>) -> io::Result<()> {
    let Row { name, unit, subject, baseline, ratio, .. } = row;
    let Spread { median, least, most } = subject;
    let title = format!("{name}, {unit}");
    let places = if *median < 1_000.0 { 1 } else { 0 };
    write!(out, "{title:<42}{median:>11.places$}{least:>11.places$}{most:>11.places$}")?;
    write!(out, "{:>11.places$}{ratio:>8.3}", baseline.median)?;
    match &row.bar {
        Some(bar) => writeln!(out, "  {bar}: {}", if row.holds { "holds" } else { "MISSED" }),
        None => writeln!(out),
    }
}

/// Says why there is no result.
pub(crate) fn complain(failure: &Failure) -> io::Result<()> {
    writeln!(io::stderr(), "ringwall-bench: {failure}")
}

#[cfg(test)]
mod tests {
    use super::{Bar, Comparison};

    fn rounds(bar: Bar) -> Comparison {
        let mut comparison = Comparison::new("test", "ns", Some(bar));
        for (subject, baseline) in [(10.0, 20.0), (30.0, 20.0), (20.0, 10.0), (40.0, 40.0)] {
            comparison.push(subject, baseline);
        }
        comparison
    }

    #[test]
    fn a_round_out_of_line_does_not_move_the_median() {
        let row = rounds(Bar::AtMost(25.0));
        assert_eq!(row.row().subject.median, 25.0);
        assert_eq!(row.row().ratio, 1.25);
        assert!(row.holds());
    }

    #[test]
    fn a_missed_bar_is_said() {
        assert!(!rounds(Bar::AtMost(24.9)).holds());
        assert!(rounds(Bar::RatioAtLeast(1.25)).holds());
        assert!(!rounds(Bar::RatioAtLeast(1.3)).holds());
        assert!(rounds(Bar::MoreAtMost(5.0)).holds());
        assert!(!rounds(Bar::MoreAtMost(4.9)).holds());
    }
}
