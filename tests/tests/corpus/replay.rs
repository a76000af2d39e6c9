//! `ringwall replay` on one capture.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use ringwall_tests::{TempDir, run, temp_dir};
use serde::Deserialize;

use crate::oracle::Expected;

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
    state: Option<String>,
    reason: Option<String>,
    /// As in [`Judged::frames`](crate::oracle::Judged::frames).
    pub(crate) frames: u32,
}

/// What a gateway has announced.
#[derive(Deserialize)]
struct Announced {
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
    destination_port: u16,
}

impl Announced {
    fn expected(self) -> Expected {
        (self.protocol, self.source, (self.destination, self.destination_port))
    }
}

/// Policy files, ready for use.
pub(crate) struct Policies {
    folder: TempDir,
}

impl Policies {
    pub(crate) fn new(window: Window) -> Self {
        let folder = temp_dir();
        for name in POLICIES {
            for alg in ALG {
                fs::write(folder.path().join(file(name, alg)), text(name, alg, window)).unwrap();
            }
        }
        Self { folder }
    }

    /// The fate of every IP packet of a capture under one of [`POLICIES`], and what gateways announced.
    pub(crate) fn replay(
        &self,
        policy: &str,
        capture: &Path,
        inside: &str,
        (sums, gateways): (&str, bool),
    ) -> (Vec<Fate>, BTreeSet<Expected>) {
        let policy = self.folder.path().join(file(policy, ALG[usize::from(gateways)]));
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
        let announced = totals.get("announced").and_then(|it| it.as_array()).into_iter().flatten();
        let announced = announced.map(|it| Announced::deserialize(it).unwrap().expected());
        // Of GRE, Linux tells no call numbers.
        let announced = announced.filter(|(protocol, ..)| *protocol != GRE).collect();
        let lines = lines.into_iter().filter(|line| line.get("totals").is_none());
        let fates = lines.map(|line| serde_json::from_value::<Fate>(line).unwrap());
        (fates.filter(|fate| fate.n.is_some()).collect(), announced)
    }
}

impl Fate {
    /// Whether a gateway has announced it, if it has ports.
    pub(crate) fn is_announced(&self) -> bool {
        self.state.as_deref() == Some("related")
    }
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason.as_deref().unwrap_or(&self.verdict))
    }
}

/// Its IP protocol.
const GRE: u8 = 47;

/// Without gateways, and with all of them.
const ALG: [&str; 2] = ["off", "auto"];

fn file(policy: &str, alg: &str) -> String {
    format!("{policy}-{alg}")
}

fn text(policy: &str, alg: &str, window: Window) -> String {
    let rule = |id: &str, from: &str, to: &str| {
        let way = format!("id = \"{id}\"\nfrom = \"{from}\"\nto = \"{to}\"\n");
        format!("[[rule]]\n{way}action = \"permit\"\nalg = \"{alg}\"\n")
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
