//! A disk that is full for a while: the node forwards on, says why nothing is committed through it, and is as
//! before when there is room again, without a restart.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use ringwall_tests::{Background, binary, require, root, wait_for};

use super::{PATIENCE, POLICY, PORT, Pair, text};
use crate::sockets::{at, connect, echoes, tcp_echo};

/// How long a node may take to be as before, once its disk has room: it tries each second.
const HEALED: Duration = Duration::from_secs(10);
/// How long `ringwall commit` asks what came of it, and some.
const INSISTING: Duration = Duration::from_secs(75);
/// Bytes of a policy that finds no room in what its log's file has left.
const LARGE: usize = 256 << 10;

/// A small disk under a folder.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn under(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder");
        let kind = Some("tmpfs");
        mount(kind, &folder, kind, MsFlags::empty(), Some("size=16m")).expect("a small disk");
        Self(folder)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// To the last page.
    fn fill(&self) {
        let mut file = File::create(self.filler()).expect("a file");
        for size in [1 << 16, 1 << 12] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A daemon that is killed later holds it until then.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

impl Pair {
    /// A field of how a node's log does.
    fn log_says(&self, index: usize, field: &str) -> serde_json::Value {
        let outcome = self.verb(index, &["show", "policy", "--json"]).exits(0);
        outcome.json()["policy_status"]["raft"][field].clone()
    }

    fn disk_failed(&self, index: usize) -> bool {
        self.log_says(index, "disk_failed").is_string()
    }

    fn commits(&self, index: usize, file: &Path) -> Background {
        let mut command = Command::new(binary());
        command.args(["commit", text(file)]).env("RINGWALL_SOCKET", self.socket(index));
        self.routers[index].run(|| Background::spawn(&mut command))
    }

    /// Commits at a node until its disk is missed; the commit whose outcome is not known.
    fn commits_until_the_disk_fails(&self, index: usize) -> Background {
        for round in 0..20 {
            let file = self.path(&format!("large-{index}-{round}.toml"));
            let filler = "x".repeat(LARGE);
            std::fs::write(&file, format!("{POLICY}# {index} {round} {filler}\n"))
                .expect("written");
            let mut attempt = self.commits(index, &file);
            wait_for(PATIENCE, "an end of it, or of the room", || {
                attempt.check().is_err() || self.disk_failed(index)
            });
            if self.disk_failed(index) {
                return attempt;
            }
        }
        panic!("the disk of node {} is never missed: {}", index + 1, self.last_words());
    }
}

#[test]
fn a_disk_that_was_full_is_used_again_without_a_restart() {
    require!(root());
    let mut pair = Pair::new();
    let disks = [1, 2].map(|id| SmallDisk::under(pair.path(&format!("data{id}"))));
    pair.found();
    let active = pair.starts();
    let _server = tcp_echo(&pair.server, "10.2.0.2", PORT);
    let mut stream = connect(&pair.client, at("10.2.0.2", PORT), PATIENCE).expect("by the vip");
    let policy = pair.path("policy.toml");

    for ill in [1 - active, active] {
        disks[ill].fill();
        let mut unsettled = pair.commits_until_the_disk_fails(ill);
        let refused = pair.verb(ill, &["commit", text(&policy)]);
        assert_ne!(refused.status, Some(0));
        let said = &refused.stderr;
        let why = said.contains("the disk of this node failed") && said.contains("No space left");
        assert!(why && said.contains("nothing changed"), "{said}");
        let shown = pair.verb(ill, &["show", "cluster"]).exits(0).stdout;
        assert!(shown.contains("IT STANDS STILL") && shown.contains("No space left"), "{shown}");
        echoes(&mut stream, b"still there?").expect("what passes does not depend on it");
        assert_eq!(pair.role(active), "active");

        disks[ill].free();
        let freed = Instant::now();
        wait_for(HEALED, "a pair as before", || {
            let runs = |index| pair.log_says(index, "running") == true;
            let fit = |index| pair.cluster(index).is_some_and(|it| it["fitness"] == "fit");
            (0..2).all(|index| runs(index) && fit(index))
        });
        eprintln!("as before after {:?}", freed.elapsed());
        unsettled.ends(INSISTING);
        let comment = format!("with room at node {}", ill + 1);
        let committed = || pair.verb(ill, &["commit", text(&policy), "--comment", &comment]);
        wait_for(HEALED, "a commit", || committed().status == Some(0));
        let counts = ["disk_failures", "recoveries"].map(|field| pair.log_says(ill, field));
        assert!(counts[0] == counts[1] && counts[0] != 0, "{counts:?}");
        pair.settles(active);
        echoes(&mut stream, b"and still").expect("nobody has noticed");
        for node in pair.nodes.iter_mut().flatten() {
            node.check().expect("it was not restarted");
        }
    }
}
