//! `ringwall replay` on one capture.

use std::fs;
use std::path::Path;

use ringwall_tests::{TempDir, run, temp_dir};
use serde::Deserialize;

/// The two policies that netfilter had: new sessions from the inside only, or from both sides.
pub(crate) const POLICIES: [&str; 2] = ["out", "open"];

/// Whether sequence numbers are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Check,
    Off,
}

/// What became of a packet.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Fate {
    /// Counts the IP packets of the capture, from 1; nothing else has it.
    n: Option<u64>,
    verdict: String,
    reason: Option<String>,
    /// As in [`Judged::frames`](crate::oracle::Judged::frames).
    pub(crate) frames: u32,
}

/// Policy files, ready for use.
pub(crate) struct Policies {
    folder: TempDir,
}

impl Policies {
    pub(crate) fn new(window: Window) -> Self {
        let folder = temp_dir();
        for name in POLICIES {
            fs::write(folder.path().join(name), text(name, window)).unwrap();
        }
        Self { folder }
    }

    /// The fate of every IP packet of a capture under one of [`POLICIES`].
    pub(crate) fn replay(
        &self,
        policy: &str,
        capture: &Path,
        inside: &str,
        sums: &str,
    ) -> Vec<Fate> {
        let policy = self.folder.path().join(policy);
        let [policy, capture] = [&policy, capture].map(|path| path.to_str().unwrap());
        let outcome = run([
            ["replay", "--json"],
            ["--policy", policy],
            ["--inside", inside],
            ["--max-gap", "20ms"],
            ["--checksum", sums],
            ["--", capture],
        ]
        .concat());
        let lines = outcome.json_lines();
        let totals = lines.last().and_then(|last| last.get("totals"));
        let totals = totals.unwrap_or_else(|| panic!("no totals from {outcome}"));
        assert_eq!(totals.get("imbalance"), None, "packets are lost or counted twice");
        let lines = lines.into_iter().filter(|line| line.get("totals").is_none());
        let fates = lines.map(|line| serde_json::from_value::<Fate>(line).unwrap());
        fates.filter(|fate| fate.n.is_some()).collect()
    }
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason.as_deref().unwrap_or(&self.verdict))
    }
}

fn text(policy: &str, window: Window) -> String {
    let rule = |id: &str, from: &str, to: &str| {
        format!("[[rule]]\nid = \"{id}\"\nfrom = \"{from}\"\nto = \"{to}\"\naction = \"permit\"\n")
    };
    let mut text = String::from("[zones]\ntrust = [\"inside\"]\nuntrust = [\"outside\"]\n");
    text.push_str(&rule("out", "trust", "untrust"));
    if policy == "open" {
        text.push_str(&rule("in", "untrust", "trust"));
    }
    let window = match window {
        Window::Check => "check",
        Window::Off => "off",
    };
    text.push_str(&format!("[integrity]\ntcp-window = \"{window}\"\n"));
    text
}
