//! What of the captures is told as an attack, with screens on both sides that have their defaults: what the
//! reviewed list `attacks.tsv` says, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ringwall_tests::{run, temp_dir, workspace};

use crate::compare::Capture;

/// Kinds of attacks by capture; captures that are not listed raise none.
pub(crate) struct Expected(BTreeMap<String, BTreeSet<String>>);

impl Expected {
    pub(crate) fn read() -> Self {
        let path = workspace().join("tests/tests/corpus/attacks.tsv");
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let row = |line: &str| {
            let [name, kinds, why] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("three columns are wanted: {line}");
            };
            assert!(!why.trim().is_empty(), "{name} is listed without a reason");
            (name.to_owned(), kinds.split(' ').map(str::to_owned).collect())
        };
        Self(lines.map(row).collect())
    }

    /// Listed captures of this folder, that are not among these.
    fn beside(&self, folder: fn(&str) -> bool, captures: &[Capture]) -> Vec<&str> {
        let names: BTreeSet<&str> = captures.iter().map(|it| it.name.as_str()).collect();
        let listed = self.0.keys().map(String::as_str).filter(|name| folder(name));
        listed.filter(|name| !names.contains(name)).collect()
    }
}

/// Replays all, and compares with the list.
pub(crate) fn compare(captures: &[Capture], folder: fn(&str) -> bool) {
    let (expected, files) = (Expected::read(), temp_dir());
    let policy = files.path().join("policy.toml");
    fs::write(&policy, policy_text()).unwrap();
    assert_eq!(expected.beside(folder, captures), [""; 0], "listed and not there");
    let mut wrong = Vec::new();
    for capture in captures {
        let told = told(capture, policy.to_str().unwrap());
        let wanted = expected.0.get(&capture.name).cloned().unwrap_or_default();
        if told != wanted {
            wrong.push(format!("{}: told {told:?}, listed {wanted:?}", capture.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), captures.len(), wrong.join("\n"));
}

fn told(capture: &Capture, policy: &str) -> BTreeSet<String> {
    let outcome = run([
        ["replay", "--json"],
        ["--policy", policy],
        ["--inside", capture.inside()],
        ["--checksum", capture.sums()],
        ["--", capture.path.to_str().unwrap()],
    ]
    .concat());
    let events = outcome.json_lines().into_iter();
    let attacks = events.filter_map(|line| Some(line.get("attack")?["kind"].as_str()?.to_owned()));
    attacks.collect()
}

fn policy_text() -> String {
    let mut text = String::from("[zones]\ntrust = [\"inside\"]\nuntrust = [\"outside\"]\n");
    text += "[[rule]]\nid = \"out\"\nfrom = \"trust\"\nto = \"untrust\"\naction = \"permit\"\n";
    for zone in ["trust", "untrust"] {
        text += &format!("[[screen]]\nzone = \"{zone}\"\n");
    }
    text
}
