//! Small changes of an idle firewall, a pair or three nodes: what a commit takes.

use std::path::Path;
use std::time::Duration;

use config::api::{Committed, POLICY_STATUS, PolicyStatus};

use crate::field::failure::Failure;
use crate::field::lab::Node;
use crate::field::log::{self, Commit, now};
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, nothing_special, three};

use super::commits::with_door;

/// Commits of a run.
const COMMITS: usize = 200;
/// Between two of them: what one leaves to be done is done.
const BETWEEN: Duration = Duration::from_millis(50);

pub(crate) const SMALL: Scenario = Scenario {
    name: "small",
    about: "200 commits of one changed rule by `ringwall commit`, through either node, nothing else",
    bars: BARS,
    peer: false,
    wants: nothing_special,
    run,
};

pub(crate) const SMALL_3: Scenario = Scenario {
    name: "small-3",
    about: "as small, on three firewalls, through each of them",
    wants: three,
    ..SMALL
};

const BARS: &[Bar] = &[
    Bar::least("commits", Of::Min, COMMITS as f64),
    Bar::least("running_everywhere", Of::Min, COMMITS as f64),
    Bar::most("took_p50_ms", Of::Median, 50.0),
    Bar::most("commit_p50_ms", Of::Median, 50.0),
    Bar::none("takeovers"),
];

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    run.settle()?;
    run.site.pair()?.agree()?;
    let mut files = Vec::new();
    for door in 0..2 {
        files.push(run.site.pair()?.file(&format!("door-{door}.toml"), &with_door(door))?);
    }
    let (mut commits, nodes) = (Vec::new(), run.site.lab.nodes());
    for number in 0..COMMITS {
        let (node, door) = (nodes[number / 2 % nodes.len()], number % 2);
        let (commit, answer) = run.commit_file(node, &files[door], Some(door))?;
        run.check_everywhere(&answer)?;
        commits.push(commit);
        run.pause(BETWEEN)?;
    }
    log::write(&run.folder, "commits.log", commits)?;
    run.measure_syncs()
}

impl Run<'_> {
    /// `ringwall commit FILE` at a node; when, and what it answered.
    pub(super) fn commit_file(
        &self,
        node: Node,
        file: &Path,
        door: Option<usize>,
    ) -> Result<(Commit, Committed), Failure> {
        let called = now();
        let answer = self.site.firewalls.commit(&self.site.lab, node, file)?;
        let returned = Some(now());
        let (node, epoch, took) = (node.name().to_owned(), answer.epoch, answer.took_milliseconds);
        Ok((Commit { called, returned, node, epoch, door, took }, answer))
    }

    /// All nodes must run what a commit has answered for: `running_everywhere` counts where they do.
    pub(super) fn check_everywhere(&mut self, answer: &Committed) -> Result<(), Failure> {
        let nodes = self.site.lab.nodes();
        let pair = self.site.pair()?;
        let mut elsewhere = Vec::new();
        for &node in nodes {
            let runs = pair.api(node).get::<PolicyStatus>(POLICY_STATUS)?.epoch;
            let missing = answer.missing.iter().any(|it| usize::from(*it) == node.number());
            if missing || runs != answer.epoch {
                elsewhere.push(format!("{} runs {runs}", node.name()));
            }
        }
        if elsewhere.is_empty() {
            self.count("running_everywhere");
        } else {
            self.note(format!("epoch {} in force, but {}", answer.epoch, elsewhere.join(", ")));
        }
        Ok(())
    }
}
