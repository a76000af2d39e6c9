//! Figures of parts of a run: what was lost outside of outages, and latency within named spans.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::limits::OUTAGE_MARGIN;
use super::super::log::{self, Error, Nanos, Receipt, Told};
use super::nodes::actives;
use super::{Figures, millis, percentile};

/// Stretches of time.
type Spans = Vec<(Nanos, Nanos)>;

/// When packets may be lost, and the ownership may move.
#[derive(Debug, Default)]
pub(super) struct Outages(Spans);

impl Outages {
    /// Lines `outage begins`, `outage ends`; one that does not end lasts until the end of the run. What was
    /// under way when one began is part of it.
    pub(super) fn new(lines: &[Told]) -> Self {
        let margin = OUTAGE_MARGIN.as_nanos() as u64;
        let spans = spans(lines, "outage");
        Self(spans.into_iter().map(|(from, to)| (from.saturating_sub(margin), to)).collect())
    }

    pub(super) fn hold(&self, at: Nanos) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&at))
    }
}

fn spans(lines: &[Told], name: &str) -> Spans {
    let mut all = Spans::new();
    for line in lines {
        match line.what.strip_prefix(name).map(str::trim) {
            Some("begins") => all.push((line.at, Nanos::MAX)),
            Some("ends") => {
                if let Some((_, end)) = all.last_mut() {
                    *end = line.at;
                }
            }
            Some(_) | None => {}
        }
    }
    all
}

impl Figures {
    /// Takeovers, and datagrams of streams that were lost, outside of outages.
    pub(super) fn outside(
        &mut self,
        folder: &Path,
        lines: &[Told],
        outages: &Outages,
    ) -> Result<(), Error> {
        let takeovers = actives(lines).into_iter().skip(1);
        self.takeovers_outside = takeovers.filter(|(at, ..)| !outages.hold(*at)).count() as u64;
        for stream in 0.. {
            let Some(sent) = log::read::<Receipt>(folder, &format!("stream-{stream}.sent"))? else {
                break;
            };
            let arrived = arrivals(folder, stream)?;
            let lost = sent.iter().filter(|it| !arrived.contains_key(&it.number));
            self.lost_outside += lost.filter(|it| !outages.hold(it.at)).count() as u64;
        }
        Ok(())
    }

    /// How long datagrams of the streams were under way that were sent within each span: `NAME_p50_us`,
    /// `NAME_p99_us`, and of those how many were lost; what the 99th is of one that is named `during` beside
    /// one named `before`.
    pub(super) fn latencies(&mut self, folder: &Path, lines: &[Told]) -> Result<(), Error> {
        for name in ["before", "during"] {
            let spans = spans(lines, &format!("span {name}"));
            if spans.is_empty() {
                continue;
            }
            let (mut times, mut lost) = (Vec::new(), 0_u64);
            for stream in 0.. {
                let sent = log::read::<Receipt>(folder, &format!("stream-{stream}.sent"))?;
                let Some(sent) = sent else { break };
                let arrived = arrivals(folder, stream)?;
                let inside = |it: &&Receipt| spans.iter().any(|s| (s.0..=s.1).contains(&it.at));
                for it in sent.iter().filter(inside) {
                    match arrived.get(&it.number) {
                        Some(at) => times.push(millis(it.at, *at) * 1e3),
                        None => lost += 1,
                    }
                }
            }
            self.measured.insert(format!("{name}_lost"), lost as f64);
            for (figure, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
                if let Some(value) = percentile(&mut times, share) {
                    self.measured.insert(format!("{name}_{figure}_us"), value);
                }
            }
        }
        let p99 = |name: &str| self.measured.get(&format!("{name}_p99_us")).copied();
        self.latency_ratio =
            p99("during").zip(p99("before")).map(|(during, before)| during / before);
        Ok(())
    }
}

fn arrivals(folder: &Path, stream: u32) -> Result<BTreeMap<u64, Nanos>, Error> {
    let received = log::read::<Receipt>(folder, &format!("stream-{stream}.received"))?;
    Ok(received.into_iter().flatten().map(|it| (it.number, it.at)).collect())
}
