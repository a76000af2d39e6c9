//! The program from outside: exit status, what goes to stdout and what to stderr.

#![allow(clippy::unwrap_used)]

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const POLICY: &str = "[zones]\ntrust = [\"lan\"]\n[[rule]]\nid = \"a\"\naction = \"permit\"\n";

fn ringwall(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringwall"));
    command.args(arguments).env_remove("RINGWALL_SOCKET").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder with these files in it.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).to_string_lossy().into_owned()
}

#[test]
fn usage_is_status_2_and_says_nothing_on_stdout() {
    let rows: [&[&str]; 6] = [
        &[],
        &["no-such-verb"],
        &["check"],
        &["replay", "capture.pcap"],
        &["clear", "sessions"],
        &["explain", "--from", "lan", "--source", "10.0.0.1", "--destination", "::1"],
    ];
    for arguments in rows {
        let output = ringwall(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_packet_without_its_port_is_wrong_usage() {
    let folder = folder(&[("policy.toml", POLICY)]);
    let policy = path(&folder, "policy.toml");
    let ask = |more: &[&str]| {
        let packet = ["--source", "10.0.0.1", "--destination", "10.0.0.2"];
        let files = ["explain", "--policy", &policy, "--from", "lan"];
        ringwall(&[&files[..], &packet, more].concat())
    };
    for protocol in ["tcp", "udp", "sctp"] {
        let output = ask(&["--protocol", protocol]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = text(&output.stderr);
        assert!(said.contains("--destination-port") && said.contains(protocol), "{said}");
        let output = ask(&["--protocol", protocol, "--destination-port", "7"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(ask(&[]).status.code(), Some(2), "TCP is what is asked about by default");
    assert_eq!(ask(&["--protocol", "icmp"]).status.code(), Some(0));
}

#[test]
fn help_and_version_are_status_0() {
    for arguments in [&["--help"], &["--version"]] {
        let output = ringwall(arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("ringwall"));
    }
}

#[test]
fn check_finds_every_mistake_at_its_place() {
    let bad =
        "[zones]\ntrust = [\"lan\"]\n[[rule]]\nid = \"a\"\nfrom = \"turst\"\naction = \"alow\"\n";
    let folder = folder(&[("good.toml", POLICY), ("bad.toml", bad)]);
    let output = ringwall(&["check", &path(&folder, "good.toml")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = ringwall(&["check", &path(&folder, "bad.toml")]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    for part in
        ["bad.toml:5:8", "5 | from = \"turst\"\n  |        ^\n", "bad.toml:6:10", "2 errors"]
    {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let output = ringwall(&["check", "--json", &path(&folder, "bad.toml")]);
    assert_eq!(output.status.code(), Some(1));
    let reports = json(&output);
    assert_eq!((&reports[0]["kind"], &reports[0]["accepted"]), (&"policy".into(), &false.into()));
    assert_eq!(reports[0]["diagnostics"].as_array().unwrap().len(), 2);
}

#[test]
fn lists_lie_beside_their_policy() {
    let policy =
        format!("{POLICY}source = [\"bad\"]\n[addresses]\nbad = {{ file = \"bad.txt\" }}\n");
    let folder = folder(&[("policy.toml", &policy), ("bad.txt", "10.0.0.0/8\n")]);
    let good = ringwall(&["check", &path(&folder, "policy.toml")]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    std::fs::write(folder.path().join("bad.txt"), "10.0.0.0/8\n10.0.0.0/99\n").unwrap();
    let bad = ringwall(&["check", &path(&folder, "policy.toml")]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stdout).contains("bad.txt:2:"), "{}", text(&bad.stdout));
}

#[test]
fn a_node_and_its_policy_are_compared() {
    let node = "[node]\nid = 1\nname = \"fw1\"\n[[port]]\nname = \"wan\"\ninterface = \"wan0\"\n";
    let folder = folder(&[("node.toml", node), ("policy.toml", POLICY)]);
    let output = ringwall(&["check", &path(&folder, "node.toml"), &path(&folder, "policy.toml")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("wan is in no zone"), "{}", text(&output.stdout));
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = folder(&[("policy.toml", POLICY), ("not.pcap", "not a capture")]);
    let missing = path(&folder, "missing.toml");
    let output = ringwall(&["check", &missing]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&missing));
    let output = ringwall(&["check", "--json", &missing]);
    assert!(json(&output)["error"].as_str().unwrap().contains(&missing));
    let (policy, capture) = (path(&folder, "policy.toml"), path(&folder, "not.pcap"));
    let replay = ["replay", "--policy", &policy, "--inside", "10.0.0.0/8", &capture];
    let output = ringwall(&replay);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("not a pcap"), "{}", text(&output.stderr));
}

#[test]
fn without_a_daemon_a_verb_says_what_to_do() {
    let folder = folder(&[]);
    let socket = path(&folder, "fw1.sock");
    let rows: [&[&str]; 4] = [
        &["show", "status"],
        &["show", "sessions"],
        &["clear", "sessions", "--all"],
        &["rollback"],
    ];
    for verb in rows {
        let output = ringwall(&[verb, &["--socket", &socket]].concat());
        assert_eq!(output.status.code(), Some(1), "{verb:?}");
        assert!(text(&output.stderr).contains("ringwall run"), "{}", text(&output.stderr));
        let output = ringwall(&[verb, &["--json", "--socket", &socket]].concat());
        assert!(json(&output)["error"].as_str().unwrap().contains("ringwall run"));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = command(&["completion", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    assert_eq!(said, "");
}

#[test]
fn completions_and_manual_pages_cover_the_verbs() {
    for shell in ["bash", "zsh", "fish"] {
        let output = ringwall(&["completion", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("replay"), "{shell}");
    }
    let folder = folder(&[]);
    let pages = path(&folder, "man");
    assert_eq!(ringwall(&["man", &pages]).status.code(), Some(0));
    for page in ["ringwall.1", "ringwall-replay.1", "ringwall-show-sessions.1"] {
        assert!(Path::new(&pages).join(page).is_file(), "{page}");
    }
    assert!(!Path::new(&pages).join("ringwall-failpoint.1").exists());
}

#[test]
fn run_refuses_broken_files_before_it_touches_anything() {
    let node = "[node]\nid = 1\nname = \"fw1\"\nworker = 2\n";
    let folder = folder(&[("node.toml", node)]);
    let output = ringwall(&["run", "--node", &path(&folder, "node.toml")]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("node.toml:4:1") && said.contains("workers"), "{said}");
}
