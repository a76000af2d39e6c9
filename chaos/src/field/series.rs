//! A scenario, many times over: on one site as long as that works, on a fresh one after a failure.

use std::path::Path;

use super::failure::Failure;
use super::figures::Figures;
use super::report::{Report, RunReport};
use super::run::{Run, Settings};
use super::scenario::Scenario;
use super::site::Site;
use super::timeline::timeline;
use super::wait::interrupted;

/// Told after each run.
pub type Progress<'a> = &'a mut dyn FnMut(&RunReport);

/// Runs `scenario` so many times; the logs of run N are in `folder`/N.
pub fn series(
    scenario: &'static Scenario,
    settings: &Settings,
    runs: u32,
    folder: &Path,
    progress: Progress<'_>,
) -> Report {
    let mut site = None;
    let mut all = Vec::new();
    for number in 1..=runs {
        if interrupted() {
            break;
        }
        let place = folder.join(number.to_string());
        let outcome = one(scenario, settings, &mut site, number, &place);
        if outcome.is_err() {
            // Whatever state it was left in.
            site = None;
        }
        let report = RunReport { number, outcome, timeline: timeline(&place) };
        progress(&report);
        all.push(report);
    }
    Report { scenario, kind: settings.kind.clone(), runs: all }
}

fn one(
    scenario: &Scenario,
    settings: &Settings,
    site: &mut Option<Site>,
    number: u32,
    folder: &Path,
) -> Result<Figures, Failure> {
    let site = match site {
        Some(site) => site,
        None => site.insert(Site::new(&settings.kind, (scenario.wants)(settings))?),
    };
    let mut run = Run::new(site, settings, number, folder.to_owned())?;
    let done = (scenario.run)(&mut run);
    // Also of a run that failed: what was done and said tells why.
    let figures = run.finish(scenario.name);
    done.and(figures)
}
