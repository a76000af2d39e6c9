//! Results of waits: quantiles over all samples.

use std::io::{self, Write};
use std::time::Duration;

use cluster_core::replication::Histogram;
use serde::Serialize;

/// How long something took, each time.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    name: String,
    samples: Samples,
}

#[derive(Clone, Debug)]
enum Samples {
    Each(Vec<Duration>),
    /// By buckets, of which the upper ends are told.
    Counted(Box<Histogram>),
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    count: u64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    max_ms: Option<f64>,
}

impl Times {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), samples: Samples::Each(Vec::new()) }
    }

    /// Times that somebody else counted.
    pub(crate) fn counted(name: impl Into<String>, times: &Histogram) -> Self {
        Self { name: name.into(), samples: Samples::Counted(Box::new(*times)) }
    }

    /// Adds a sample; what was counted by somebody else has none.
    pub(crate) fn push(&mut self, took: Duration) {
        match &mut self.samples {
            Samples::Each(times) => times.push(took),
            Samples::Counted(times) => {
                times.add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            }
        }
    }

    fn count(&self) -> u64 {
        match &self.samples {
            Samples::Each(times) => times.len() as u64,
            Samples::Counted(times) => times.count(),
        }
    }

    /// What so many of a thousand stay below, or at.
    fn below(&self, permille: u64) -> Option<Duration> {
        match &self.samples {
            Samples::Each(times) => {
                let mut times = times.clone();
                times.sort();
                let rank = (times.len() * permille as usize).div_ceil(1_000).max(1);
                times.get(rank - 1).copied()
            }
            Samples::Counted(times) => times.below(permille),
        }
    }

    fn row(&self) -> Row<'_> {
        let millis = |permille| self.below(permille).map(|it| it.as_secs_f64() * 1e3);
        let [p50_ms, p99_ms, max_ms] = [500, 990, 1_000].map(millis);
        Row { name: &self.name, count: self.count(), p50_ms, p99_ms, max_ms }
    }
}

/// Prints all to standard output: a table as in `RESULTS.md`, below the command that made it.
pub(crate) fn print(results: &[Times], json: bool) -> io::Result<()> {
    let rows: Vec<Row<'_>> = results.iter().map(Times::row).collect();
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &rows)?;
        return writeln!(out);
    }
    let command: Vec<String> = std::env::args().collect();
    writeln!(out, "    {}\n", command.join(" "))?;
    writeln!(out, "| wait | count | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|")?;
    for Row { name, count, p50_ms, p99_ms, max_ms } in &rows {
        let [p50, p99, max] = [p50_ms, p99_ms, max_ms].map(shown);
        writeln!(out, "| {name} | {count} | {p50} | {p99} | {max} |")?;
    }
    Ok(())
}

fn shown(millis: &Option<f64>) -> String {
    millis.map_or_else(|| "-".to_owned(), |it| format!("{it:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut times = Times::new("test");
        assert_eq!((times.count(), times.below(500)), (0, None));
        (1..=200).rev().for_each(|number| times.push(Duration::from_millis(number)));
        let row = times.row();
        assert_eq!((row.count, row.p50_ms), (200, Some(100.0)));
        assert_eq!((row.p99_ms, row.max_ms), (Some(198.0), Some(200.0)));
        times.push(Duration::from_secs(1));
        assert_eq!(times.below(1_000), Some(Duration::from_secs(1)));
    }

    #[test]
    fn what_was_counted_tells_ends_of_buckets() {
        let mut counted = Histogram::default();
        (0..10).for_each(|_| counted.add(1_000_000));
        let times = Times::counted("test", &counted);
        assert_eq!((times.count(), times.below(500)), (10, counted.below(500)));
    }
}
