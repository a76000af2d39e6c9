//! Operating a node: a second instance, interfaces that come and go, policies committed live.

use std::process::Command;

use ringwall_tests::world::{Plan, SERVER, SOON, World};
use ringwall_tests::{Outcome, binary, require, root, run_command, wait_for};
use serde_json::Value;

use crate::sockets::{SILENCE, at, connect, echoes, tcp_echo, udp_answers, udp_echo};

const PORT: u16 = 7001;

const PERMIT: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[[rule]]
id = "probes"
from = "trust"
to = "untrust"
service = ["tcp/7001", "udp/7001"]
action = "permit"
on-change = "rematch"
log = ["open", "close"]
"#;

fn deny() -> String {
    PERMIT.replace("permit", "deny")
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
    let world = World::running(Plan::routed(1, PERMIT));
    let _echo = udp_echo(&world.server, SERVER[0], PORT);
    let first = std::fs::read_to_string(world.path("node.toml")).unwrap();
    let second = first.replace("/data", "/data-2").replace("api.sock", "api-2.sock");
    second_instance(&world, &second).exits(1).says("another ringwall holds interface");
    let bpf = world.bpf_dir().to_str().unwrap();
    let third = second.replace(bpf, &format!("{bpf}-b"));
    let outcome = second_instance(&world, &third).exits(1);
    let _ = std::fs::remove_dir_all(format!("{bpf}-b"));
    eprintln!("with another bpf-dir: {}", outcome.stderr.trim());
    // The same data directory or socket under other ports is no better.
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
        for (to, stream) in SERVER.iter().zip(&mut open) {
            assert!(!udp_answers(&world.client, at(to, PORT), SILENCE), "{to}: denied, and passes");
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
    let world = World::running(Plan::routed(1, PERMIT));
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

#[test]
fn the_verbs_tell_what_happens() {
    require!(root());
    let mut world = World::running(Plan::routed(2, PERMIT));
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
    rule_and_ports(&world);
    explain(&world);
    let cleared = world.json(&["clear", "sessions", "--port", "7001"]);
    assert_eq!(cleared["count"], 8);
    assert_eq!(world.json(&["show", "sessions"])["sessions"], Value::Array(Vec::new()));
    world.verb(&["clear", "sessions"]).exits(2).says("--all");
    world.node().says(SOON, "probes");
    world.end();
}

fn rule_and_ports(world: &World) {
    let policy = world.json(&["show", "policy"]);
    assert_eq!(
        (&policy["rules"][0]["id"], &policy["rules"][0]["hits"]),
        (&"probes".into(), &8.into())
    );
    assert!(policy["rules"][0]["last_hit_milliseconds"].as_u64().unwrap() < 15_000);
    let ports = world.json(&["show", "ports"]);
    for port in ports["ports"].as_array().unwrap() {
        assert_eq!((&port["mode"], &port["queues"]), (&"copy".into(), &2.into()), "{port}");
        assert_eq!((&port["state"], &port["mtu"]), (&"up".into(), &1500.into()), "{port}");
        assert!(port["received_packets"].as_u64() > Some(16), "{port}");
    }
    for what in ["status", "counters", "policy", "ports", "sessions", "conversations"] {
        let text = world.verb(&["show", what]).exits(0);
        assert!(!text.stdout.trim().is_empty(), "`show {what}` says nothing");
    }
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
