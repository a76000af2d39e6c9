//! The disk of one node is full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::api::{COMMIT, CommitRequest, Committed};

use crate::field::failure::Failure;
use crate::field::lab::Node;
use crate::field::run::{Run, Settings};
use crate::field::scenario::{Bar, Of, Scenario};
use crate::field::site::Wants;
use crate::field::traffic::Plan;

const BEFORE: Duration = Duration::from_millis(1_000);
const AFTER: Duration = Duration::from_secs(2);

pub(crate) const DISK_FULL: Scenario = Scenario {
    name: "disk-full",
    about: "the data disk of a node is full (by turns), and a policy is committed there",
    bars: &[
        Bar::none("lost"),
        Bar::none("takeovers"),
        Bar::none("tcp_broken"),
        Bar::least("commit_told", Of::Min, 1.0),
    ],
    peer: false,
    wants: |_: &Settings| Wants { small_disks: true, ..Wants::default() },
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    let active = run.settle()?;
    let node = if run.number % 2 == 1 { active } else { active.other() };
    let half = run.half_load()?;
    let plan = Plan { probes: false, ..half };
    run.while_flowing(&plan, |run, _| {
        run.pause(BEFORE)?;
        run.note(format!("fault disk-full {}", node.name()));
        let filled = Filled::new(&run.site.pair()?.data(node))?;
        let told = commit(run, node)?;
        run.measured("commit_told", f64::from(u8::from(told)));
        run.pause(AFTER)?;
        drop(filled);
        run.note("fault heal");
        run.pause(AFTER / 2)
    })
}

/// Commits the policy that is in force, with another comment; whether the answer is one that an
/// operator can act on: it is in force, or it is not, and why.
fn commit(run: &mut Run<'_>, node: Node) -> Result<bool, Failure> {
    let pair = run.site.pair()?;
    let path = pair.policy();
    let read = std::fs::read_to_string(&path);
    let text = read.map_err(Failure::system(format!("read {}", path.display())))?;
    let file = path.to_string_lossy().into_owned();
    let comment = Some("while the disk is full".to_owned());
    let request = CommitRequest { file, text, comment, ..CommitRequest::default() };
    let answer: Result<Committed, Failure> = pair.api(node).post(COMMIT, &request);
    let (refused, said) = match answer {
        Ok(committed) => (0.0, Ok(format!("epoch {} is in force", committed.epoch))),
        Err(Failure::Refused { said, .. }) => (1.0, Ok(said)),
        Err(other) => (1.0, Err(other)),
    };
    run.measured("commit_refused", refused);
    run.note(format!("commit at {}: {said:?}", node.name()));
    Ok(said.is_ok())
}

/// A file that takes all that is left of a disk, until it is dropped.
struct Filled(PathBuf);

impl Filled {
    fn new(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("filled");
        let made = File::create(&path);
        let mut file = made.map_err(Failure::system(format!("fill {}", path.display())))?;
        let filled = Self(path);
        // Down to the last page, as other programs' files would.
        for size in [1 << 16, 1 << 12] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Ok(filled)
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        // The folder goes with the site if this fails.
        let _ = std::fs::remove_file(&self.0);
    }
}
