//! Operating a node: a second instance, interfaces that come and go, policies committed live.

use std::collections::BTreeSet;
use std::process::Command;

use nix::sys::signal::Signal;
use ringwall_tests::world::{Plan, SERVER, SOON, World};
use ringwall_tests::{Outcome, binary, require, root, run_command, wait_for, workspace};
use serde_json::Value;

use crate::sockets::{
    Door, SILENCE, assert_silent, at, connect, echoes, tcp_echo, udp_answers, udp_echo,
};

const PORT: u16 = 7001;

const PERMIT: &str = r#"
[zones]
trust = { ports = ["lan"], sessions-max = 2000 }
untrust = ["wan"]

[[rule]]
id = "probes"
from = "trust"
to = "untrust"
service = ["tcp/7001", "udp/7001"]
action = "permit"
sessions-max = 1000
on-change = "rematch"
log = ["open", "close"]
"#;

fn deny() -> String {
    PERMIT.replace("permit", "deny").replace("sessions-max = 1000\n", "")
}

#[test]
fn an_interface_that_comes_back_carries_traffic_again() {
    require!(root());
    for workers in [1, 2] {
        let mut world = World::running(Plan::routed(workers, PERMIT));
        let _echoes = SERVER.map(|server| udp_echo(&world.server, server, PORT));
        let works = |world: &World| {
            SERVER.iter().all(|to| udp_answers(&world.client, at(to, PORT), SOON / 10))
        };
        wait_for(SOON, "traffic at first", || works(&world));
        for _ in 0..2 {
            world.router.delete("lan0").unwrap();
            wait_for(SOON, "a port without interface", || state(&world, "lan") == "gone");
            assert_eq!(state(&world, "wan"), "up");
            world.join_client();
            wait_for(SOON, "a port that is up", || state(&world, "lan") == "up");
            wait_for(SOON, "traffic again", || works(&world));
        }
        world.node().check().unwrap();
        world.end();
    }
}

fn state(world: &World, port: &str) -> String {
    let ports = world.json(&["show", "ports"]);
    let found = ports["ports"].as_array().unwrap().iter().find(|shown| shown["name"] == port);
    found.unwrap()["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_second_instance_is_refused() {
    require!(root());
    for workers in [1, 2] {
        second_instances(workers);
    }
}

fn second_instances(workers: u16) {
    let world = World::running(Plan::routed(workers, PERMIT));
    let _echo = udp_echo(&world.server, SERVER[0], PORT);
    let first = std::fs::read_to_string(world.path("node.toml")).unwrap();
    let second = first.replace("/data", "/data-2").replace("api.sock", "api-2.sock");
    second_instance(&world, &second).exits(1).says("another ringwall holds interface");
    let bpf = world.bpf_dir().to_str().unwrap();
    let third = second.replace(bpf, &format!("{bpf}-b"));
    let outcome = second_instance(&world, &third);
    let _ = std::fs::remove_dir_all(format!("{bpf}-b"));
    outcome.exits(1).says("port `lan`").says("interface lan0").says("another process holds it");
    let fourth = third.replace("api-2.sock", "api.sock");
    second_instance(&world, &fourth).exits(1).says("another daemon listens at");
    let _ = std::fs::remove_dir_all(format!("{bpf}-b"));
    assert!(udp_answers(&world.client, at(SERVER[0], PORT), SOON), "the first one suffered");
    world.end();
}

fn second_instance(world: &World, node: &str) -> Outcome {
    let node = world.write("second.toml", node);
    let mut command = Command::new(binary());
    command.arg("run").arg("--node").arg(node).arg("--policy").arg(world.path("policy.toml"));
    world.router.run(|| run_command(&mut command, SOON))
}

#[test]
fn a_policy_is_committed_live_and_rolled_back() {
    require!(root());
    for workers in [1, 2] {
        let world = World::running(Plan::routed(workers, PERMIT));
        let _servers = SERVER.map(|server| {
            (tcp_echo(&world.server, server, PORT), udp_echo(&world.server, server, PORT))
        });
        let mut open = SERVER.map(|to| connect(&world.client, at(to, PORT), SOON).unwrap());
        open.iter_mut().for_each(|stream| echoes(stream, b"permitted").unwrap());
        let epoch = epoch(&world);
        commit(&world, &deny()).exits(0);
        assert_silent(&SERVER.map(|to| Door::Udp(&world.client, at(to, PORT))));
        for (to, stream) in SERVER.iter().zip(&mut open) {
            stream.set_read_timeout(Some(SILENCE)).unwrap();
            assert!(echoes(stream, b"rematch").is_err(), "{to}: a session outlived its rule");
        }
        world.json(&["rollback"]);
        for to in SERVER {
            assert!(
                udp_answers(&world.client, at(to, PORT), SOON),
                "{to}: rolled back, and denied"
            );
        }
        assert_eq!(self::epoch(&world), epoch + 2);
        let history = world.json(&["history"]);
        let [newest, before] = [0, 1].map(|at| &history["revisions"][at]);
        assert_eq!((&newest["epoch"], &newest["in_force"]), (&(epoch + 2).into(), &true.into()));
        assert_eq!((&before["author"], &before["in_force"]), (&"root".into(), &false.into()));
        let same = world.json(&["compare", &epoch.to_string()]);
        assert_eq!((&same["from"]["epoch"], &same["count"]), (&epoch.into(), &0.into()));
        assert_ne!(world.json(&["compare"])["count"], 0);
        world.end();
    }
}

fn epoch(world: &World) -> u64 {
    world.json(&["show", "policy"])["epoch"].as_u64().unwrap()
}

fn commit(world: &World, policy: &str) -> Outcome {
    let file = world.write("next.toml", policy);
    world.verb(&["commit", "--json", file.to_str().unwrap()])
}

#[test]
fn a_broken_policy_leaves_the_one_in_force() {
    require!(root());
    for workers in [1, 2] {
        broken_policies(workers);
    }
}

fn broken_policies(workers: u16) {
    let world = World::running(Plan::routed(workers, PERMIT));
    let _udp = udp_echo(&world.server, SERVER[0], PORT);
    let before = world.json(&["show", "policy"]);
    let wrong = PERMIT.replace("\"trust\"", "\"turst\"");
    for broken in ["[[rule]]\nid = = 1", "\u{feff}\0\0", &wrong] {
        commit(&world, broken).exits(1);
        let now = world.json(&["show", "policy"]);
        assert_eq!((&now["epoch"], &now["digest"]), (&before["epoch"], &before["digest"]));
        assert!(udp_answers(&world.client, at(SERVER[0], PORT), SOON));
    }
    let said = commit(&world, &wrong).exits(1);
    assert!((said.stdout + &said.stderr).contains("turst"));
    world.end();
}

/// A few hundred requests of garbage: each is refused, none does harm.
#[test]
fn garbage_from_the_api_changes_nothing() {
    require!(root());
    for workers in [1, 2] {
        garbage(workers);
    }
}

fn garbage(workers: u16) {
    let mut world = World::running(Plan::routed(workers, PERMIT));
    let before = world.json(&["show", "policy"]);
    // A policy with a piece missing is none, or means the same: it is only refused here, because
    // `base` is an epoch that was never in force.
    let commit = |text: &str| serde_json::json!({ "text": text, "file": "p", "base": 77 });
    for cut in 0..PERMIT.len() {
        let without = [&PERMIT[..cut], PERMIT.get(cut + 7..).unwrap_or_default()].concat();
        refused(&world, config::api::COMMIT, &commit(&without).to_string());
    }
    let packet = serde_json::json!({ "port": "lan", "source": "10.1.0.2",
        "destination": "10.2.0.2", "protocol": "tcp", "tcp_flags": "S" });
    let wrong = [
        ("port", serde_json::json!("")),
        ("port", serde_json::json!("\u{0}".repeat(100_000))),
        ("source", serde_json::json!("fd01::1")),
        ("source", serde_json::json!("10.1.0.2/24")),
        ("protocol", serde_json::json!(-1)),
        ("protocol", serde_json::json!("no-such")),
        ("destination_port", serde_json::json!(65_536)),
        ("tcp_flags", serde_json::json!("SYN✓")),
    ];
    for (key, value) in wrong {
        let mut packet = packet.clone();
        packet[key] = value;
        refused(&world, config::api::EXPLAIN, &packet.to_string());
    }
    for cursor in ["", ".", "0", "0.", "x.y", "-1.0", "0.99999999999999999999", "✓.0"] {
        let page = serde_json::json!({ "cursor": cursor, "limit": 1 });
        refused(&world, config::api::SESSIONS, &page.to_string());
    }
    // Beyond the table and beyond the workers there is nothing, which is no mistake.
    for cursor in ["0.4294967295", "65535.0"] {
        let page = serde_json::json!({ "cursor": cursor });
        let (status, answer) = world.post(config::api::SESSIONS, &page);
        assert_eq!((status, &answer["sessions"]), (200, &Value::Array(Vec::new())), "{cursor}");
    }
    refused(&world, config::api::ROLLBACK, r#"{ "epoch": 18446744073709551615 }"#);
    let after = world.json(&["show", "policy"]);
    assert_eq!((&after["epoch"], &after["digest"]), (&before["epoch"], &before["digest"]));
    assert!(!world.node().output().contains("panic"), "{}", world.node());
    world.end();
}

#[track_caller]
fn refused(world: &World, path: &str, body: &str) {
    let (status, answer) = world.post_text(path, body);
    assert!((400..500).contains(&status), "{path} answers {status} {answer} to {body}");
    assert!(answer["error"].is_string(), "{path} does not say why: {answer}");
}

#[test]
fn a_log_file_that_was_moved_away_is_begun_anew_on_sighup() {
    require!(root());
    for workers in [1, 2] {
        log_file(workers);
    }
}

fn log_file(workers: u16) {
    let mut world = World::new(Plan::routed(workers, PERMIT));
    let [log, moved] = ["log", "log.1"].map(|name| world.path(name));
    let node = std::fs::read_to_string(world.path("node.toml")).unwrap();
    world.write("node.toml", &format!("{node}\n[log]\nfile = {log:?}\n"));
    world.start();
    let said = |path| std::fs::read_to_string(path).unwrap_or_default();
    wait_for(SOON, "the log file", || said(&log).contains("running"));
    std::fs::rename(&log, &moved).unwrap();
    world.node().signal(Signal::SIGHUP);
    wait_for(SOON, "a new log file", || said(&log).contains("SIGHUP"));
    let _echo = udp_echo(&world.server, SERVER[0], PORT);
    assert!(udp_answers(&world.client, at(SERVER[0], PORT), SOON));
    wait_for(SOON, "a session in the new log", || said(&log).contains("session-open"));
    let logged = said(&log);
    let opened = logged.lines().find(|line| line.contains("session-open")).unwrap();
    // The first packet waits for the server's link-layer address; where it goes is known all the same.
    for fact in ["to=\"untrust\"", "ingress=\"lan\"", "egress=\"wan\""] {
        assert!(opened.contains(fact), "no {fact} in {opened}");
    }
    assert!(!said(&moved).contains("session-open"), "{}", said(&moved));
    world.end();
}

#[test]
fn the_verbs_tell_what_happens() {
    require!(root());
    for workers in [1, 2] {
        verbs(workers);
    }
}

fn verbs(workers: u16) {
    let mut world = World::running(Plan::routed(workers, PERMIT));
    let to = at(SERVER[0], PORT);
    let _tcp = tcp_echo(&world.server, SERVER[0], PORT);
    let mut streams: Vec<_> = (0..8).map(|_| connect(&world.client, to, SOON).unwrap()).collect();
    streams.iter_mut().for_each(|stream| echoes(stream, b"a session").unwrap());
    let sessions = world.json(&["show", "sessions", "--protocol", "tcp", "--port", "7001"]);
    let listed = sessions["sessions"].as_array().unwrap();
    assert_eq!(listed.len(), 8, "{sessions}");
    for session in listed {
        assert_eq!(session["state"], "established", "{session}");
        assert_eq!(
            (&session["rule"], &session["destination_port"]),
            (&"probes".into(), &PORT.into())
        );
        assert!(session["forward"]["packets"].as_u64() >= Some(3), "{session}");
        assert!(session["reverse"]["packets"].as_u64() >= Some(2), "{session}");
    }
    let conversations = world.json(&["show", "conversations"]);
    assert_eq!(conversations["conversations"].as_array().unwrap().len(), 8);
    rule_and_ports(&world, workers);
    metrics(&world);
    explain(&world);
    let cleared = world.json(&["clear", "sessions", "--port", "7001"]);
    assert_eq!(cleared["count"], 8);
    assert_eq!(world.json(&["show", "sessions"])["sessions"], Value::Array(Vec::new()));
    world.verb(&["clear", "sessions"]).exits(2).says("--all");
    world.node().says(SOON, "probes");
    world.end();
}

fn rule_and_ports(world: &World, workers: u16) {
    let policy = world.json(&["show", "policy"]);
    assert_eq!(
        (&policy["rules"][0]["id"], &policy["rules"][0]["hits"]),
        (&"probes".into(), &8.into())
    );
    assert!(policy["rules"][0]["last_hit_milliseconds"].as_u64().unwrap() < 15_000);
    let used = |of: &Value| (of["sessions"].as_u64(), of["sessions_max"].as_u64());
    assert_eq!(used(&policy["rules"][0]), (Some(8), Some(1000)));
    assert_eq!(used(&policy["zones"][0]), (Some(8), Some(2000)));
    let ports = world.json(&["show", "ports"]);
    for port in ports["ports"].as_array().unwrap() {
        assert_eq!((&port["mode"], &port["queues"]), (&"copy".into(), &workers.into()), "{port}");
        assert_eq!((&port["state"], &port["mtu"]), (&"up".into(), &1500.into()), "{port}");
        assert!(port["received_packets"].as_u64() > Some(16), "{port}");
    }
    for what in ["status", "counters", "policy", "ports", "sessions", "conversations"] {
        let text = world.verb(&["show", what]).exits(0);
        assert!(!text.stdout.trim().is_empty(), "`show {what}` says nothing");
    }
}

/// Metrics with a label for each of what this node does not have.
const OF_OTHERS: [&str; 6] = [
    "ringwall_cluster_",
    "ringwall_attacks",
    "ringwall_screen_learned_",
    "ringwall_syslog_",
    "ringwall_nat_",
    "ringwall_alg_",
];

/// Every metric is in the document, and every one of the document is there, but for [`OF_OTHERS`].
fn metrics(world: &World) {
    let file = workspace().join("node/ringwall/METRICS.md");
    let document = std::fs::read_to_string(file).unwrap();
    let row = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let documented: BTreeSet<String> = document
        .lines()
        .filter_map(row)
        .filter(|it| !OF_OTHERS.iter().any(|others| it.starts_with(others)))
        .collect();
    let text = world.metrics();
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let name = |line: &str| line.split(['{', ' ']).next().unwrap().to_owned();
    assert_eq!(samples.map(name).collect::<BTreeSet<_>>(), documented);
}

/// `explain` says what would happen, and nothing happens.
fn explain(world: &World) {
    let before = world.json(&["show", "counters"])["total"]["received"].clone();
    let files = ["node.toml", "policy.toml"].map(|name| world.path(name));
    let [node, policy] = files.each_ref().map(|path| path.to_str().unwrap());
    let ask = |port: &str| {
        let packet =
            ["--source", "10.1.0.2", "--destination", "10.2.0.2", "--destination-port", port];
        let question = [&["explain", "--from", "lan"], &packet[..]].concat();
        let told = world.json(&question);
        // The files alone say the same: no session, and the same way out.
        let alone = world.json(&[&question[..], &["--node", node, "--policy", policy]].concat());
        assert_eq!(stages_but_the_last(&told), stages_but_the_last(&alone));
        for fact in ["verdict", "reason", "rule", "port"] {
            assert_eq!(told[fact], alone[fact], "{fact}: {told} and {alone}");
        }
        told
    };
    let (permitted, denied) = (ask("7001"), ask("7002"));
    assert_eq!((&permitted["verdict"], &permitted["rule"]), (&"forward".into(), &"probes".into()));
    assert_eq!((&denied["verdict"], &denied["reason"]), (&"drop".into(), &"no-rule".into()));
    assert_eq!(permitted["port"], "wan");
    let after = world.json(&["show", "counters"])["total"]["received"].clone();
    assert!(after.as_u64().unwrap() - before.as_u64().unwrap() < 8, "explain moves packets");
}

/// What each stage of an explanation found; the last one shows the next hop's link-layer address.
fn stages_but_the_last(told: &Value) -> &[Value] {
    let stages = told["stages"].as_array().unwrap();
    &stages[..stages.len() - 1]
}
