//! The disk of one node is full for a while.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use config::api::{COMMIT, CommitRequest, Committed};

use crate::field::failure::Failure;
use crate::field::lab::Node;
use crate::field::limits::HEALING;
use crate::field::run::{Run, Settings};
use crate::field::scenario::{Bar, Of, Scenario};
use crate::field::site::Wants;
use crate::field::traffic::Plan;
use crate::field::wait::wait_for;

const BEFORE: Duration = Duration::from_millis(1_000);
const AFTER: Duration = Duration::from_secs(2);
/// How long the pair may take to be as before, once there is room again: an attempt is made each second.
const HEALED_MILLISECONDS: f64 = 10_000.0;

pub(crate) const DISK_FULL: Scenario = Scenario {
    name: "disk-full",
    about: "the data disk of a node is full (by turns), a policy is committed there, and again with room",
    bars: &[
        Bar::none("lost"),
        Bar::none("takeovers"),
        Bar::none("tcp_broken"),
        Bar::least("commit_told", Of::Min, 1.0),
        Bar::most("standby_fit_ms", Of::Max, HEALED_MILLISECONDS),
        Bar::most("commit_again_ms", Of::Max, HEALED_MILLISECONDS),
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
        let answer = commit(run, node, "while the disk is full")?;
        let told = matches!(answer, Answer::InForce | Answer::Refused);
        run.measured("commit_told", f64::from(u8::from(told)));
        run.measured("commit_refused", f64::from(u8::from(answer != Answer::InForce)));
        run.pause(AFTER)?;
        drop(filled);
        run.note("fault heal");
        let freed = Instant::now();
        let settled = run.site.pair()?.settle_within(HEALING);
        took(run, "standby_fit_ms", freed, settled.map(drop))?;
        let again = wait_for(HEALING, "a commit", || {
            let answer = commit(run, node, "with room again").map_err(|error| error.to_string())?;
            if answer == Answer::InForce { Ok(()) } else { Err(format!("{answer:?}")) }
        });
        took(run, "commit_again_ms", freed, again)?;
        run.pause(AFTER / 2)
    })
}

/// Measures how long something took since the disk had room again; what never came took all the wait.
fn took(
    run: &mut Run<'_>,
    figure: &str,
    since: Instant,
    came: Result<(), Failure>,
) -> Result<(), Failure> {
    match came {
        Ok(()) | Err(Failure::Late { .. }) => {
            run.measured(figure, since.elapsed().as_secs_f64() * 1_000.0);
            Ok(())
        }
        Err(other) => Err(other),
    }
}

/// What an operator heard of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    InForce,
    /// It is not, and why.
    Refused,
    /// Nothing that he can act on.
    Nothing,
}

/// Commits the policy that is in force, with another comment.
fn commit(run: &mut Run<'_>, node: Node, comment: &str) -> Result<Answer, Failure> {
    let pair = run.site.pair()?;
    let path = pair.policy();
    let read = std::fs::read_to_string(&path);
    let text = read.map_err(Failure::system(format!("read {}", path.display())))?;
    let file = path.to_string_lossy().into_owned();
    let comment = Some(comment.to_owned());
    let request = CommitRequest { file, text, comment, ..CommitRequest::default() };
    let answer: Result<Committed, Failure> = pair.api(node).post(COMMIT, &request);
    let (answer, said) = match answer {
        Ok(committed) => (Answer::InForce, format!("epoch {} is in force", committed.epoch)),
        Err(Failure::Refused { said, .. }) => (Answer::Refused, said),
        Err(other) => (Answer::Nothing, other.to_string()),
    };
    run.note(format!("commit at {}: {said}", node.name()));
    Ok(answer)
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
