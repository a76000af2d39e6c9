//! Verbs of the command line, over a real socket.

use clap::Parser as _;

use super::Pair;
use crate::cli::Cli;
use crate::client::ClientError;
use crate::failure::Failure;
use crate::out::Out;

/// What a verb says, and how it ends.
fn run(pair: &Pair, arguments: &[&str]) -> (String, Result<(), Failure>) {
    let socket = pair.socket.to_str().unwrap();
    let words = [&["ringwall"], arguments, &["--socket", socket]].concat();
    let Cli { json, verb } = Cli::try_parse_from(words).unwrap();
    let mut bytes = Vec::new();
    let done = crate::carry_out(verb, &mut Out::to(&mut bytes, json));
    (String::from_utf8(bytes).unwrap(), done)
}

fn said(pair: &Pair, arguments: &[&str]) -> String {
    let (text, done) = run(pair, arguments);
    done.unwrap();
    text
}

/// A policy file; nothing in it matters to a node that answers the same to everybody.
fn policy() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    std::fs::write(&file, "[zones]\na = [\"lan\"]\n").unwrap();
    (folder, file.to_str().unwrap().to_owned())
}

#[test]
fn a_commit_whose_outcome_is_not_known_is_asked_about_under_one_id() {
    let pair = Pair::start();
    let (_folder, file) = policy();
    let told = said(&pair, &["commit", &file, "--comment", "unknown once", "--confirm", "90s"]);
    assert!(
        told.ends_with("epoch 6 is on trial: it reverts in 90s unless `ringwall confirm`\n"),
        "{told}"
    );
    let mut ids = pair.fake.requests();
    assert_eq!((ids.len(), ids[0].is_some()), (2, true), "{ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    // Each command is a request of its own, unless it is told to ask about an earlier one.
    said(&pair, &["commit", &file]);
    said(&pair, &["commit", &file, "--request", "abc"]);
    let ids = pair.fake.requests();
    assert_ne!(ids[1], ids[2]);
    assert_eq!(ids[3], Some(config::api::RequestId(0xabc)));
}

#[test]
fn a_conflict_is_refused_with_what_others_did() {
    let pair = Pair::start();
    let (_folder, file) = policy();
    let (told, done) = run(&pair, &["commit", &file, "--comment", "conflict", "--base", "4"]);
    assert_eq!(told, "");
    let Err(Failure::Client(ClientError::Refused(error))) = done else { panic!("{done:?}") };
    assert_eq!((error.changes.len(), error.revisions.len()), (1, 1));
    assert_eq!(pair.fake.requests().len(), 1, "a refusal is not asked about again");
}

#[test]
fn a_trial_is_kept_or_ended() {
    let pair = Pair::start();
    let kept = said(&pair, &["confirm"]);
    assert_eq!(kept, "epoch 6 stays in force on every node (0 ms)\n");
    let json: serde_json::Value =
        serde_json::from_str(&said(&pair, &["confirm", "5", "--json"])).unwrap();
    assert_eq!(json["epoch"], 5);
    let ended = said(&pair, &["rollback", "4"]);
    assert!(ended.ends_with("epoch 4 is in force on every node (0 ms)\n"), "{ended}");
}

#[test]
fn members_come_and_go_by_number() {
    let pair = Pair::start();
    let rows: [(&[&str], &str); 4] = [
        (&["leave"], "node 1 is no member any more\n"),
        (&["leave", "3"], "node 3 is no member any more\n"),
        (&["promote", "4"], "node 4 has a vote\n"),
        (&["replace", "2", "4"], "node 4 has taken the place of node 2\n"),
    ];
    for (arguments, told) in rows {
        assert_eq!(said(&pair, &[&["cluster"], arguments].concat()), told);
    }
    let (_, done) = run(&pair, &["cluster", "leave", "9"]);
    assert!(matches!(done, Err(Failure::Client(ClientError::Refused(_)))), "{done:?}");
}

#[test]
fn screens_are_shown_with_what_they_did_and_learned() {
    let pair = Pair::start();
    let told = said(&pair, &["show", "screens"]);
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[1..3], ["syn-flood  1      3", "land       0      2"], "{told}");
    assert!(lines[3].starts_with("sources blocked: 4 now, 9 in all"), "{told}");
    assert_eq!(lines[7], "a     -             25 %     6      packets 1200.0", "{told}");
    assert_eq!(lines[8], "a     192.0.2.0/24  ready    6      packets 1200.0", "{told}");
    let json: serde_json::Value =
        serde_json::from_str(&said(&pair, &["show", "screens", "--json"])).unwrap();
    assert_eq!(json["kinds"][0]["begun"], 3);
}

#[test]
fn translation_is_shown_with_what_is_in_use_and_by_whom() {
    let pair = Pair::start();
    let told = said(&pair, &["show", "nat"]);
    let lines: Vec<_> = told.lines().collect();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let pool = "public 192.0.2.0/31 122880 15360 7 0 0 192.0.2.1 25 % 3 0";
    assert_eq!(words(lines[1]), pool, "{told}");
    assert!(lines[2].starts_with("interface wan  198.51.100.1 "), "{told}");
    let rule = "out source any any any any any pool:public 8 40";
    assert_eq!(words(lines[4]), rule, "{told}");
    let counts = "endpoint-independent mappings: 5; first packets refused for want of a port: 6";
    assert_eq!(lines[5..], [counts], "{told}");
    let told = said(&pair, &["show", "nat", "--users"]);
    assert_eq!(told.lines().last().map(words).as_deref(), Some("public 10.0.0.5 9000"), "{told}");
    let json: serde_json::Value =
        serde_json::from_str(&said(&pair, &["show", "nat", "--json"])).unwrap();
    assert_eq!(json["pools"][0]["used"]["tcp"], 15_360);
    assert_eq!(json["pools"][0]["users"], serde_json::Value::Null);
}

/// What it tells of instead, since a test has no terminal.
#[test]
fn a_screen_wants_a_terminal() {
    let pair = Pair::start();
    for arguments in [&["top"][..], &["top", "--json"]] {
        let (told, done) = run(&pair, arguments);
        let Err(Failure::Usage(why)) = done else { panic!("{done:?}") };
        assert!(told.is_empty() && why.contains("`ringwall show top`"), "{why}");
    }
}

#[test]
fn the_policy_and_the_cluster_are_shown_with_trial_and_log() {
    let pair = Pair::start();
    for what in ["policy", "cluster"] {
        let told = said(&pair, &["show", what]);
        let trial = "epoch 5 is ON TRIAL: epoch 4 comes back in 1m 30s unless `ringwall confirm`\n";
        let log = "log: node 2 leads, in term 3; entry 41 of 42; voters 1, 2, 3;";
        assert!(told.contains(trial) && told.contains(log), "{told}");
        let json: serde_json::Value =
            serde_json::from_str(&said(&pair, &["show", what, "--json"])).unwrap();
        assert_eq!(json["policy_status"]["raft"]["applied"], 41, "{json}");
        let own =
            if what == "policy" { &json["rules"][0]["id"] } else { &json["members"][0]["node"] };
        assert!(!own.is_null(), "{json}");
    }
}
