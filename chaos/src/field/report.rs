//! What all runs of a scenario came to, beside its bars: for a terminal, as JSON, and as a page.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::failure::Failure;
use super::figures::Figures;
use super::scenario::{Bar, Of, Scenario};
use super::site::Kind;
use super::timeline::Timeline;

/// A scenario's runs.
pub struct Report {
    pub(crate) scenario: &'static Scenario,
    pub(crate) kind: Kind,
    pub(crate) runs: Vec<RunReport>,
}

/// One of them.
#[derive(Debug)]
pub struct RunReport {
    pub number: u32,
    pub outcome: Result<Figures, Failure>,
    pub(crate) timeline: Timeline,
}

/// A figure over all runs.
#[derive(Clone, Debug, PartialEq)]
struct Distribution(Vec<f64>);

impl Distribution {
    /// The value below which (or at which) so many of a hundred are.
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    fn of(&self, of: Of) -> f64 {
        match of {
            Of::Median => self.percentile(50),
            Of::Max => self.percentile(100),
            Of::Min => self.0[0],
            Of::Sum => self.0.iter().sum(),
        }
    }
}

/// A bar and what was measured.
struct Row {
    bar: Bar,
    value: Option<f64>,
}

impl Row {
    /// A figure that is not there holds nothing up.
    fn holds(&self) -> bool {
        self.value.is_some_and(|value| value >= self.bar.least && value <= self.bar.most)
    }

    fn wanted(&self) -> String {
        match (self.bar.least.is_finite(), self.bar.most.is_finite()) {
            (true, true) => format!("{} to {}", number(self.bar.least), number(self.bar.most)),
            (true, false) => format!("≥ {}", number(self.bar.least)),
            (false, _) => format!("≤ {}", number(self.bar.most)),
        }
    }
}

impl Report {
    fn carried_out(&self) -> impl Iterator<Item = &Figures> {
        self.runs.iter().filter_map(|run| run.outcome.as_ref().ok())
    }

    /// Whether some run could not be carried out, or none was.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.runs.is_empty() || self.runs.iter().any(|run| run.outcome.is_err())
    }

    /// Whether the bars of these figures hold, or all if none is named; those of the peer are for
    /// comparison only.
    #[must_use]
    pub fn holds(&self, judged: &[String]) -> bool {
        let counts =
            |row: &&Row| judged.is_empty() || judged.iter().any(|name| name == row.bar.figure);
        match self.kind {
            Kind::Ringwall(_) => self.rows().iter().filter(counts).all(Row::holds),
            Kind::Keepalived(_) => true,
        }
    }

    /// Every figure of all runs, in order of size.
    fn distributions(&self) -> BTreeMap<String, Distribution> {
        let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (name, value) in self.carried_out().flat_map(numbers) {
            // Points in time are no sizes.
            if !["fault", "gap_from"].contains(&&*name) {
                all.entry(name).or_default().push(value);
            }
        }
        let sorted = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            Distribution(values)
        };
        all.into_iter().map(|(name, values)| (name, sorted(values))).collect()
    }

    fn rows(&self) -> Vec<Row> {
        let (all, runs) = (self.distributions(), self.carried_out().count());
        // Of every run: one that came to no figure at all must not be hidden by those that did.
        let value =
            |bar: &Bar| all.get(bar.figure).filter(|it| it.0.len() == runs).map(|it| it.of(bar.of));
        self.scenario.bars.iter().map(|bar| Row { bar: *bar, value: value(bar) }).collect()
    }

    /// All of it, for machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let run = |run: &RunReport| match &run.outcome {
            Ok(figures) => json!({ "run": run.number, "figures": figures }),
            Err(failure) => json!({ "run": run.number, "failure": failure.to_string() }),
        };
        let distribution = |(name, it): (String, Distribution)| {
            let [p50, p99, max] = [50, 99, 100].map(|percent| it.percentile(percent));
            (
                name,
                json!({ "runs": it.0.len(), "p50": p50, "p99": p99, "max": max, "min": it.0[0] }),
            )
        };
        let distributions = self.distributions().into_iter().map(distribution);
        let bar = |row: &Row| {
            json!({
                "figure": row.bar.figure,
                "of": row.bar.of.name(),
                "wanted": row.wanted(),
                "value": row.value,
                "holds": row.holds(),
            })
        };
        json!({
            "scenario": self.scenario.name,
            "firewall": self.kind.name(),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
            "distributions": distributions.collect::<serde_json::Map<_, _>>(),
            "bars": self.rows().iter().map(bar).collect::<Vec<_>>(),
        })
    }

    fn verdict(&self, row: &Row) -> &'static str {
        match (&self.kind, row.holds()) {
            (_, true) => "holds",
            (Kind::Ringwall(_), false) => "MISSED",
            (Kind::Keepalived(_), false) => "missed",
        }
    }
}

/// The table of a terminal.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (runs, done) = (self.runs.len(), self.carried_out().count());
        let (name, about) = (self.scenario.name, self.scenario.about);
        writeln!(f, "{name} ({}): {about}; {done} of {runs} runs", self.kind.name())?;
        writeln!(f, "  {:<24} {:<7} {:>10} {:>12}", "FIGURE", "OF RUNS", "MEASURED", "BAR")?;
        for row in self.rows() {
            let value = row.value.map_or_else(|| "none".to_owned(), number);
            let (figure, of) = (row.bar.figure, row.bar.of.name());
            let (wanted, verdict) = (row.wanted(), self.verdict(&row));
            writeln!(f, "  {figure:<24} {of:<7} {value:>10} {wanted:>12}  {verdict}")?;
        }
        writeln!(f, "  {:<24} {:>10} {:>10} {:>10}", "ALL FIGURES", "P50", "P99", "MAX")?;
        for (figure, it) in self.distributions() {
            let [p50, p99, max] = [50, 99, 100].map(|percent| number(it.percentile(percent)));
            writeln!(f, "  {figure:<24} {p50:>10} {p99:>10} {max:>10}")?;
        }
        for run in &self.runs {
            if let Err(failure) = &run.outcome {
                writeln!(f, "  run {} could not be carried out: {failure}", run.number)?;
            }
        }
        Ok(())
    }
}

/// One page with everything in it; it asks for nothing from elsewhere.
#[must_use]
pub fn html(reports: &[Report]) -> String {
    let mut page = String::from(HEAD);
    reports.iter().for_each(|report| section(report, &mut page));
    page + "</body></html>\n"
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
<title>ringwall in the field</title><style>\
body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}td,th{padding:.15em .8em;text-align:right;\
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}.missed{color:#b00;\
font-weight:bold}.holds{color:#070}svg{display:block;width:100%;height:auto}details{margin:.3em 0}\
pre{white-space:pre-wrap}</style></head><body><h1>ringwall in the field</h1>\n";

fn section(report: &Report, page: &mut String) {
    let mut line = |text: String| page.push_str(&text);
    let (name, about) = (report.scenario.name, report.scenario.about);
    line(format!("<h2>{name} <small>{}</small></h2><p>{about}</p>\n", report.kind.name()));
    line(
        "<table><tr><th>figure</th><th>of runs</th><th>measured</th><th>bar</th><th></th></tr>"
            .into(),
    );
    for row in report.rows() {
        let class = if row.holds() { "holds" } else { "missed" };
        let value = row.value.map_or_else(|| "none".to_owned(), number);
        let (figure, of, wanted) = (row.bar.figure, row.bar.of.name(), row.wanted());
        line(format!(
            "<tr><td>{figure}</td><td>{of}</td><td>{value}</td><td>{wanted}</td>\
             <td class=\"{class}\">{class}</td></tr>\n"
        ));
    }
    line(
        "</table><details><summary>all figures</summary><table><tr><th>figure</th><th>p50</th>\
          <th>p99</th><th>max</th></tr>"
            .into(),
    );
    for (figure, it) in report.distributions() {
        let [p50, p99, max] = [50, 99, 100].map(|percent| number(it.percentile(percent)));
        line(format!("<tr><td>{figure}</td><td>{p50}</td><td>{p99}</td><td>{max}</td></tr>\n"));
    }
    line("</table></details>\n".into());
    for run in &report.runs {
        let said = match &run.outcome {
            Ok(figures) => gist(figures),
            Err(failure) => escaped(&format!("not carried out: {failure}")),
        };
        line(format!("<details><summary>run {}: {said}</summary>", run.number));
        line(run.timeline.svg());
        line("</details>\n".into());
    }
}

/// What one wants to know of a run at once.
fn gist(figures: &Figures) -> String {
    let mut text = String::new();
    if let Some(gap) = figures.gap_ms {
        write!(text, "gap {} ms, ", number(gap)).expect("a string takes all");
    }
    let Figures { lost, tcp_broken, young_dead, takeovers, .. } = figures;
    write!(
        text,
        "lost {lost}, broken {tcp_broken}, young dead {young_dead}, takeovers {takeovers}"
    )
    .expect("a string takes all");
    text
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The figures that are numbers, those that a scenario measured by itself among them.
fn numbers(figures: &Figures) -> Vec<(String, f64)> {
    let value = serde_json::to_value(figures).expect("figures are plain data");
    let Value::Object(fields) = value else { return Vec::new() };
    let mut all = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Number(number) => all.extend(number.as_f64().map(|it| (name, it))),
            Value::Bool(flag) => all.push((name, f64::from(u8::from(flag)))),
            Value::Object(inner) => {
                all.extend(inner.into_iter().filter_map(|(name, it)| Some((name, it.as_f64()?))));
            }
            Value::Null | Value::String(_) | Value::Array(_) => {}
        }
    }
    all
}

/// As many digits as mean something.
fn number(value: f64) -> String {
    let value = value + 0.0; // A sum of nothing is -0.
    if value.fract() == 0.0 || value.abs() >= 1_000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::scenario::scenario;

    fn report(gaps: &[f64], broken: u64) -> Report {
        let run = |gap: &f64| RunReport {
            number: 1,
            outcome: Ok(Figures {
                gap_ms: Some(*gap),
                tcp_broken: broken,
                young_opened: 200,
                young_opened_after: 150,
                takeovers: 1,
                overlap_ms: Some(0.0),
                overlap_frames: Some(0),
                rst_passed: Some(0),
                forged_passed: Some(0),
                control_passed: Some(8),
                ..Figures::default()
            }),
            timeline: Timeline::default(),
        };
        let kind = Kind::Ringwall("ringwall".into());
        Report {
            scenario: scenario("crash").expect("there"),
            kind,
            runs: gaps.iter().map(run).collect(),
        }
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let it = Distribution((1..=20).map(f64::from).collect());
        assert_eq!([50, 99, 100].map(|percent| it.percentile(percent)), [10.0, 20.0, 20.0]);
        assert_eq!(Distribution(vec![7.0]).percentile(50), 7.0);
    }

    #[test]
    fn bars_are_for_all_runs() {
        assert!(report(&[90.0, 95.0, 150.0], 0).holds(&[]), "the median counts, and the largest");
        assert!(!report(&[90.0, 101.0, 150.0], 0).holds(&[]));
        assert!(!report(&[90.0, 95.0, 201.0], 0).holds(&[]));
        assert!(report(&[90.0, 95.0, 201.0], 0).holds(&["tcp_broken".to_owned()]));
        assert!(!report(&[90.0, 95.0, 150.0], 1).holds(&[]));
        assert!(!report(&[], 0).holds(&[]) && report(&[], 0).failed());
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let mut it = report(&[90.0], 0);
        let outcome = it.runs[0].outcome.as_mut().expect("it is one");
        outcome.overlap_ms = None;
        assert!(!it.holds(&[]));
        // Nor in one run of many.
        let mut it = report(&[90.0, 90.0, 90.0], 0);
        let outcome = it.runs[1].outcome.as_mut().expect("it is one");
        outcome.gap_ms = None;
        assert!(!it.holds(&[]));
        assert!(it.holds(&["tcp_broken".to_owned()]));
    }
}
