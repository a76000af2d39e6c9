//! Small changes of an idle pair: what a commit takes.

use std::time::Duration;

use config::api::Committed;

use crate::field::failure::Failure;
use crate::field::lab::Node;
use crate::field::log::{self, Commit, now};
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, nothing_special};

use super::commits::with_door;

/// Commits of a run.
const COMMITS: usize = 200;
/// Between two of them: what one leaves to be done is done.
const BETWEEN: Duration = Duration::from_millis(50);

pub(crate) const SMALL: Scenario = Scenario {
    name: "small",
    about: "200 commits of one changed rule by `ringwall commit`, through either node, nothing else",
    bars: &[
        Bar::least("commits", Of::Min, COMMITS as f64),
        Bar::most("took_p50_ms", Of::Median, 50.0),
        Bar::most("commit_p50_ms", Of::Median, 50.0),
        Bar::none("takeovers"),
    ],
    peer: false,
    wants: nothing_special,
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    run.settle()?;
    run.site.pair()?.agree()?;
    let mut files = Vec::new();
    for door in 0..2 {
        files.push(run.site.pair()?.file(&format!("door-{door}.toml"), &with_door(door))?);
    }
    let mut commits = Vec::new();
    for number in 0..COMMITS {
        let (node, door) = (Node::BOTH[number / 2 % 2], number % 2);
        commits.push(run.commit_file(node, &files[door], Some(door))?);
        run.pause(BETWEEN)?;
    }
    log::write(&run.folder, "commits.log", commits)?;
    run.measure_syncs()
}

impl Run<'_> {
    /// `ringwall commit FILE` at a node.
    pub(super) fn commit_file(
        &mut self,
        node: Node,
        file: &std::path::Path,
        door: Option<usize>,
    ) -> Result<Commit, Failure> {
        let site = &mut *self.site;
        let file = file.to_string_lossy().into_owned();
        let called = now();
        let said = site.firewalls.verb(&site.lab, node, &["commit", &file, "--json"])?;
        let returned = Some(now());
        let strange =
            |_| Failure::Strange { what: "ringwall commit".to_owned(), said: said.clone() };
        let Committed { epoch, took_milliseconds: took, .. } =
            serde_json::from_str(&said).map_err(strange)?;
        Ok(Commit { called, returned, node: node.name().to_owned(), epoch, door, took })
    }
}
