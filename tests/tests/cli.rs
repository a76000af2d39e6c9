//! The command line without a daemon and without root: exit statuses, output for people and for
//! machines, and an error that says what to do.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;

use ringwall_tests::{TempDir, run, temp_dir, workspace};
use serde_json::Value;
use wire::TcpFlags;
use wire::build::Builder;

const POLICY: &str = r#"
[zones]
trust = ["inside"]
untrust = ["outside"]

[[rule]]
id = "web"
from = "trust"
to = "untrust"
service = ["tcp/443"]
action = "permit"
"#;

/// A file in a folder of this test's own.
fn file(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn example(name: &str) -> String {
    let path: PathBuf = workspace().join("config/examples").join(name);
    path.to_str().unwrap().to_owned()
}

#[test]
fn check_accepts_the_examples() {
    let pairs = [("node.toml", "policy.toml"), ("wire-node.toml", "wire-policy.toml")];
    for (node, policy) in pairs {
        let [node, policy] = [node, policy].map(example);
        run(["check", &node, &policy]).exits(0).says("good");
        let reports = run(["check", "--json", &node, &policy]).exits(0).json();
        let kinds = [&reports[0]["kind"], &reports[1]["kind"]];
        assert_eq!(kinds, ["node", "policy"]);
        assert_eq!(
            (&reports[0]["accepted"], &reports[1]["accepted"]),
            (&true.into(), &true.into())
        );
    }
    run(["check", &example("list-policy.toml")]).exits(0);
}

#[test]
fn check_tells_every_mistake_with_its_place() {
    let folder = temp_dir();
    let wrong = POLICY.replace("\"trust\"\nto", "\"turst\"\nto").replace("tcp/443", "tcp/70000");
    let path = file(&folder, "policy.toml", wrong);
    run(["check", &path]).exits(1).says("turst").says("70000").says(":8:8").says("refused");
    let reports = run(["check", "--json", &path]).exits(1).json();
    let diagnostics = reports[0]["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 2, "{reports}");
    assert_eq!((&diagnostics[0]["line"], &diagnostics[1]["line"]), (&8.into(), &10.into()));
    assert_eq!(reports[0]["accepted"], false);
}

#[test]
fn check_survives_any_input() {
    let folder = temp_dir();
    let garbage: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let nested = "[".repeat(100_000).into_bytes();
    for (name, bytes) in [("garbage", garbage), ("nested", nested), ("zeros", vec![0; 4096])] {
        let path = file(&folder, name, bytes);
        let outcome = run(["check", &path]).exits(1);
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
    }
    let missing = folder.path().join("missing.toml");
    run(["check", missing.to_str().unwrap()]).exits(1).says("missing.toml");
    run(["check", folder.path().to_str().unwrap()]).exits(1);
}

/// A pcap of Ethernet frames, a millisecond apart.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    // Magic, version 2.4, zone, accuracy, longest frame, link type 1 (Ethernet).
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (number, frame) in frames.iter().enumerate() {
        let length = frame.len() as u32;
        for word in [1_700_000_000, number as u32 * 1000, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// A handshake to port 443 and a SYN to port 22.
fn capture() -> Vec<u8> {
    let (client, server) = ([10, 0, 1, 5], [192, 0, 2, 9]);
    let out = || Builder::v4(client, server);
    let back = || Builder::v4(server, client);
    let syn_ack = TcpFlags::SYN | TcpFlags::ACK;
    pcap(&[
        out().tcp(4000, 443).flags(TcpFlags::SYN).seq(100).frame().to_vec(),
        back().tcp(443, 4000).flags(syn_ack).seq(900).ack(101).frame().to_vec(),
        out().tcp(4000, 443).flags(TcpFlags::ACK).seq(101).ack(901).frame().to_vec(),
        out().tcp(4001, 22).flags(TcpFlags::SYN).seq(1).frame().to_vec(),
    ])
}

fn replay(folder: &TempDir, capture: &[u8], json: bool) -> ringwall_tests::Outcome {
    let policy = file(folder, "policy.toml", POLICY);
    let capture = file(folder, "capture.pcap", capture);
    let mut args = vec!["replay", "--policy", &policy, "--inside", "10.0.1.0/24", &capture];
    args.extend(json.then_some("--json"));
    run(args)
}

#[test]
fn replay_tells_each_packets_fate_and_always_the_same() {
    let folder = temp_dir();
    let outcome = replay(&folder, &capture(), true).exits(0);
    let lines = outcome.json_lines();
    assert_eq!(lines.len(), 5);
    let verdicts: Vec<&Value> = lines[..4].iter().map(|line| &line["verdict"]).collect();
    assert_eq!(verdicts, ["forward", "forward", "forward", "drop"]);
    assert_eq!(lines[3]["reason"], "no-rule");
    assert_eq!((&lines[0]["port"], &lines[1]["port"]), (&"inside".into(), &"outside".into()));
    assert_eq!((&lines[0]["n"], &lines[3]["n"]), (&1.into(), &4.into()));
    let totals = &lines[4]["totals"];
    assert_eq!((&totals["received"], &totals["forwarded"]), (&4.into(), &3.into()));
    assert_eq!(totals["dropped"]["no-rule"], 1);
    assert_eq!(replay(&folder, &capture(), true).stdout, outcome.stdout);
    replay(&folder, &capture(), false).exits(0).says("forwarded 3").says("no-rule");
}

#[test]
fn replay_of_a_broken_capture_says_so_and_keeps_what_it_has() {
    let folder = temp_dir();
    let whole = capture();
    let cut = replay(&folder, &whole[..whole.len() - 10], true).exits(1).json_lines();
    assert_eq!(cut.len(), 4, "three packets and the totals");
    assert!(cut[3]["totals"]["error"].is_string());
    replay(&folder, b"no capture at all, but long enough", false).exits(1);
    replay(&folder, b"", false).exits(1);
    run(["replay", "--policy", "/missing", "--inside", "10.0.0.0/8", "/missing"]).exits(1);
}

/// `explain` of a packet from `inside` to TCP port `port`, from files alone.
fn explain(port: &str, more: &[&str]) -> ringwall_tests::Outcome {
    let packet = ["--source", "10.0.1.5", "--destination", "192.0.2.9", "--destination-port", port];
    run([&["explain", "--from", "inside"], &packet[..], more].concat())
}

#[test]
fn explain_needs_no_daemon_where_it_has_a_policy() {
    let folder = temp_dir();
    let deny = "[[rule]]\nid = \"no-telnet\"\nservice = [\"tcp/23\"]\naction = \"deny\"\n";
    let policy = file(&folder, "policy.toml", format!("{POLICY}{deny}"));
    let ask = |port, more: &[&str]| explain(port, &[&["--policy", &policy], more].concat());
    ask("443", &[]).exits(0).says("policy").says("verdict: forward, rule web, out by port outside");
    ask("23", &[]).exits(0).says("verdict: drop, reason denied, rule no-telnet");
    let permitted = ask("443", &["--json"]).exits(0).json();
    let stages: Vec<&Value> =
        permitted["stages"].as_array().unwrap().iter().map(|stage| &stage["name"]).collect();
    let expected = ["integrity", "transit", "lookup", "tracker", "route", "policy", "verdict"];
    assert_eq!(stages, expected);
    assert_eq!((&permitted["verdict"], &permitted["rule"]), (&"forward".into(), &"web".into()));
    assert_eq!((&permitted["port"], &permitted["reason"]), (&"outside".into(), &Value::Null));
    let unmatched = ask("22", &["--json"]).exits(0).json();
    assert_eq!((&unmatched["verdict"], &unmatched["reason"]), (&"drop".into(), &"no-rule".into()));
    let reply = ask("443", &["--tcp-flags", "A", "--json"]).exits(0).json();
    assert_eq!(reply["verdict"], "drop", "no connection begins with an ACK: {reply}");
}

#[test]
fn explain_from_files_says_what_is_wrong_with_them() {
    let folder = temp_dir();
    let wrong = file(&folder, "wrong.toml", POLICY.replace("\"trust\"\nto", "\"turst\"\nto"));
    explain("443", &["--policy", &wrong]).exits(1).says("turst").says("wrong.toml:8:8");
    let error = explain("443", &["--policy", &wrong, "--json"]).exits(1).json();
    assert_eq!(error["diagnostics"][0]["line"], 8, "{error}");
    explain("443", &["--policy", "/missing.toml"]).exits(1).says("/missing.toml");
    let policy = file(&folder, "policy.toml", POLICY);
    let node = example("node.toml");
    // The example's ports are called otherwise.
    let files = ["--policy", &policy, "--node", &node];
    explain("443", &files).exits(1).says("there is no port `inside`").says("lan, wan");
    explain("443", &["--policy", &policy, "--to", "nowhere"]).exits(1).says("`nowhere`");
    explain("443", &["--policy", &policy, "--socket", "/run/x.sock"]).exits(2);
    explain("443", &["--node", &node]).exits(2).says("--policy");
}

#[test]
fn explain_asks_which_way_where_there_are_several() {
    let folder = temp_dir();
    let three = POLICY.replace("[[rule]]", "dmz = [\"servers\"]\n\n[[rule]]");
    let policy = file(&folder, "policy.toml", three);
    explain("443", &["--policy", &policy]).exits(2).says("--to").says("outside").says("servers");
    let ask = |to| explain("443", &["--policy", &policy, "--to", to, "--json"]).exits(0).json();
    assert_eq!(
        (&ask("outside")["rule"], &ask("outside")["port"]),
        (&"web".into(), &"outside".into())
    );
    assert_eq!(ask("servers")["reason"], "no-rule");
}

#[test]
fn explain_knows_a_wires_other_end() {
    let [node, policy] = ["wire-node.toml", "wire-policy.toml"].map(example);
    let checked = fs::read_to_string(&node).unwrap();
    let from = checked.split("name = \"").nth(2).unwrap().split('"').next().unwrap();
    let ends = ["--source", "10.0.1.5", "--destination", "192.0.2.9"];
    let packet = [&ends[..], &["--destination-port", "443", "--from", from]].concat();
    let files = ["explain", "--policy", &policy, "--node", &node, "--json"];
    let told = run([&files[..], &packet].concat()).exits(0).json();
    let route = told["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == "route");
    assert_eq!(route.unwrap()["finding"], "the other end of the wire", "{told}");
    run([&files[..], &packet, &["--to", from]].concat()).exits(2).json();
}

#[test]
fn every_verb_has_a_help_text() {
    let help = run(["--help"]).exits(0).says("Exit status: 0 done, 1 refused or failed, 2 usage");
    let verbs = [
        "run",
        "check",
        "explain",
        "replay",
        "show",
        "clear",
        "commit",
        "rollback",
        "compare",
        "history",
        "token",
        "demo",
        "detach",
        "completion",
        "man",
    ];
    for verb in verbs {
        assert!(help.stdout.contains(&format!("\n  {verb}")), "no {verb} in {help}");
        run([verb, "--help"]).exits(0).says("Usage: ");
    }
    for what in ["sessions", "conversations", "counters", "policy", "ports", "status"] {
        run(["show", what, "--help"]).exits(0).says("--socket");
    }
    run(["--version"]).exits(0).says(env!("CARGO_PKG_VERSION"));
}

#[test]
fn wrong_usage_is_exit_status_2() {
    let usages: [&[&str]; 7] = [
        &[],
        &["frobnicate"],
        &["show"],
        &["show", "everything"],
        &["check"],
        &["replay", "capture.pcap"],
        &["show", "sessions", "--source", "10.0.0.0/33"],
    ];
    for args in usages {
        run(args).exits(2).says("--help");
    }
    run(["clear", "sessions", "--socket", "/missing.sock"]).exits(2).says("--all");
    let mixed = ["--source", "10.0.0.1", "--destination", "fd00::1"];
    run([&["explain", "--from", "lan"][..], &mixed].concat()).exits(2);
}

#[test]
fn without_a_daemon_the_verbs_say_what_to_do() {
    let folder = temp_dir();
    let socket = folder.path().join("none.sock");
    let socket = socket.to_str().unwrap();
    for what in ["sessions", "conversations", "counters", "policy", "ports", "status"] {
        let outcome = run(["show", what, "--socket", socket]).exits(1);
        outcome.says(socket).says("ringwall run");
        let error = run(["show", what, "--socket", socket, "--json"]).exits(1).json();
        assert!(error["error"].as_str().unwrap().contains("ringwall run"), "{error}");
    }
    let policy = file(&folder, "policy.toml", POLICY);
    run(["commit", &policy, "--socket", socket]).exits(1).says("ringwall run");
    for verb in ["rollback", "compare", "history"] {
        run([verb, "--socket", socket]).exits(1).says("ringwall run");
    }
    // A socket that nobody listens at any more.
    drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
    run(["show", "status", "--socket", socket]).exits(1).says("has ended");
    // And something that is no daemon.
    let plain = file(&folder, "plain.sock", "no socket");
    run(["show", "status", "--socket", &plain]).exits(1);
}

/// The secret is printed once, or goes into a file; what the node needs is its hash.
#[test]
fn a_token_is_printed_once_or_written_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = temp_dir();
    let made = run(["token", "ci"]).exits(0);
    let lines: Vec<&str> = made.stdout.lines().collect();
    let [_, token, _, line] = lines[..] else { panic!("{made}") };
    assert!(token.starts_with("ringwall_") && token.len() == 73, "{made}");
    assert!(line.starts_with("ci ") && line.len() == 67 && !line.contains(token), "{made}");
    run(["token", "ci", "--json"]).exits(2).says("--into");
    run(["token", "c i"]).exits(2).says("NAME is a letter");
    let path = folder.path().join("ci.token");
    let into = path.to_str().unwrap();
    let made = run(["token", "ci", "--into", into, "--json"]).exits(0);
    let token = fs::read_to_string(&path).unwrap();
    assert!(!made.stdout.contains(token.trim()), "{made}");
    assert!(made.json()["line"].as_str().unwrap().starts_with("ci "));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    run(["token", "ci", "--into", into]).exits(1).says(into);
}

#[test]
fn who_asks_another_machine_says_who_he_is_and_whom_he_trusts() {
    let folder = temp_dir();
    let none = file(&folder, "none.pem", "");
    let url = "https://127.0.0.1:1";
    let ask = |args: &[&str]| run([&["show", "status"][..], args].concat());
    ask(&["--api", url]).exits(2).says("--ca");
    ask(&["--api", "http://127.0.0.1:1", "--ca", &none]).exits(2).says("https://HOST:PORT");
    ask(&["--api", url, "--ca", &none, "--socket", "/s"]).exits(2);
    ask(&["--api", url, "--ca", &none, "--cert", &none]).exits(2).says("--key");
    ask(&["--cert", &none, "--key", &none]).exits(2).says("--api");
    ask(&["--api", url, "--ca", &none]).exits(1).says("RINGWALL_TOKEN");
    // A secret that others may read is none.
    let open = file(&folder, "open.token", "hunter2");
    let told = ask(&["--api", url, "--ca", &none, "--token-file", &open]).exits(1);
    assert!(!told.says("others may read it").stderr.contains("hunter2"));
}

#[test]
fn run_refuses_what_it_cannot_run_before_it_touches_anything() {
    let folder = temp_dir();
    let node = file(&folder, "node.toml", "[node]\nid = 0\nname = \"fw\"\n");
    let policy = file(&folder, "policy.toml", POLICY);
    run(["run", "--node", &node, "--policy", &policy]).exits(1).says("id");
    run(["run", "--node", "/missing.toml"]).exits(1).says("/missing.toml");
    let wrong = file(&folder, "wrong.toml", "[zones]\ntrust = [\"lan\", ");
    let node = fs::read_to_string(example("node.toml")).unwrap();
    let node = file(&folder, "good.toml", node);
    run(["run", "--node", &node, "--policy", &wrong]).exits(1).says("wrong.toml");
}

#[test]
fn completion_and_manual_pages_are_made() {
    let folder = temp_dir();
    for shell in ["bash", "zsh", "fish"] {
        run(["completion", shell]).exits(0).says("rollback").says("compare").says("history");
    }
    run(["man", folder.path().to_str().unwrap()]).exits(0);
    let pages = fs::read_dir(folder.path()).unwrap().count();
    assert!(pages > 12, "{pages} manual pages");
}
