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
    let rows: [&[&str]; 11] = [
        &[],
        &["no-such-verb"],
        &["commit", "policy.toml", "--confirm", "10"],
        &["commit", "policy.toml", "--confirm", "25h"],
        &["confirm", "--request", "x"],
        &["cluster", "promote", "0"],
        &["cluster", "replace", "2", "2"],
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
    let rows: [&[&str]; 8] = [
        &["show", "status"],
        &["show", "sessions"],
        &["clear", "sessions", "--all"],
        &["confirm"],
        &["rollback"],
        &["cluster", "leave"],
        &["cluster", "leave", "3"],
        &["cluster", "replace", "2", "3"],
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
    let verbs = ["ringwall-confirm.1", "ringwall-cluster-recover.1"];
    for page in ["ringwall.1", "ringwall-replay.1", "ringwall-show-sessions.1"].iter().chain(&verbs)
    {
        assert!(Path::new(&pages).join(page).is_file(), "{page}");
    }
    let commit = std::fs::read_to_string(Path::new(&pages).join("ringwall-commit.1")).unwrap();
    let status = "3 in force, but a node did not say in time that it runs it";
    assert!(commit.contains(status), "{commit}");
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

/// A node file of a cluster, whose data lies beside it.
fn member(folder: &tempfile::TempDir, id: u16, listen: std::net::SocketAddr) -> String {
    let data = path(folder, &format!("data{id}"));
    let name = format!("node{id}.toml");
    let node = format!(
        "[node]\nid = {id}\nname = \"fw{id}\"\ndata-dir = \"{data}\"\n[[port]]\nname = \"lan\"\n\
         interface = \"lan0\"\n[log]\nfile = \"/proc/none/log\"\n[cluster]\nlisten = \"{listen}\"\n"
    );
    std::fs::write(folder.path().join(&name), node).unwrap();
    path(folder, &name)
}

/// Addresses that nobody has just now.
fn free_addresses() -> [std::net::SocketAddr; 2] {
    let sockets = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap())
}

/// The program's end, within a bound.
fn wait(child: &mut std::process::Child) -> Option<i32> {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while std::time::Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("it did not end within 30 s");
}

#[test]
fn a_cluster_is_made_and_joined() {
    use std::io::BufRead as _;

    let folder = folder(&[]);
    let [first, second] = free_addresses();
    let (one, two) = (member(&folder, 1, first), member(&folder, 2, second));
    let init = ["cluster", "init", "--node", &one, "--name", "alpha", "--json"];
    let output = ringwall(&init);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let made = json(&output);
    assert_eq!((&made["cluster"], &made["node"]), (&"alpha".into(), &1.into()));
    let again = ringwall(&init);
    assert_eq!(again.status.code(), Some(1));
    assert!(json(&again)["error"].as_str().unwrap().contains("belongs to a cluster already"));
    let mut issuer = command(&["cluster", "token", "--node", &one, "--expires", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(issuer.stdout.take().unwrap());
    let mut token = String::new();
    said.read_line(&mut token).unwrap();
    assert!(token.starts_with(&format!("ringwall-1/alpha/{first}/")), "{token}");
    let join = ["cluster", "join", token.trim(), "--node", &two, "--json"];
    let output = ringwall(&join);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let joined = json(&output);
    assert_eq!((&joined["done"], &joined["node"]), (&"joined".into(), &2.into()));
    assert_eq!(joined["fingerprint"], made["fingerprint"]);
    assert_eq!(wait(&mut issuer), Some(0));
    let mut rest = String::new();
    said.read_line(&mut rest).unwrap();
    assert_eq!(rest, "node 2 joined\n");
    for (node, status) in [(&one, 0), (&two, 1)] {
        let renewed = ringwall(&["cluster", "renew", "--node", node]);
        assert_eq!(renewed.status.code(), Some(status), "{renewed:?}");
    }
    assert_eq!(ringwall(&join).status.code(), Some(1), "it is a member already");
}

#[test]
fn what_a_cluster_needs_is_said() {
    let node = "[node]\nid = 1\nname = \"fw1\"\n[[port]]\nname = \"lan\"\ninterface = \"lan0\"\n";
    let folder = folder(&[("alone.toml", node)]);
    let alone = path(&folder, "alone.toml");
    let [listen, _] = free_addresses();
    let one = member(&folder, 1, listen);
    let rows: [(&[&str], i32, &str); 5] = [
        (&["init", "--node", &alone, "--name", "alpha"], 1, "has no `[cluster]`"),
        (&["init", "--node", &one, "--name", "Alpha"], 2, "lower-case letter"),
        (&["token", "--node", &one], 1, "belongs to no cluster yet"),
        (&["renew", "--node", &one], 1, "belongs to no cluster yet"),
        (&["join", "hello", "--node", &one], 2, "no join token"),
    ];
    for (arguments, status, why) in rows {
        let output = ringwall(&[&["cluster"], arguments].concat());
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
}
