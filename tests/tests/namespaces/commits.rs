//! Sessions across a commit, with real flows: each is judged within a second of it, also without a packet,
//! and keeps what it counted; the log and `show sessions` tell by which policy.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use ringwall_tests::world::{Plan, SERVER, SOON, World};
use ringwall_tests::{require, root, wait_for};
use serde_json::Value;

use crate::sockets::{SILENCE, at, connect, echoes, pings, tcp_echo, udp, udp_echo};

/// A second for the firewall, and two more for the verbs that ask it on a busy machine.
const JUDGED: Duration = Duration::from_secs(3);
/// What becomes of live sessions of the rules on these ports, in this order.
const PORTS: [u16; 3] = [7001, 7002, 7003];
const ECHO: &str = "echo";

/// Rules `keep`, `rematch` and `kill` for a port each, one for pings, and what stands before them.
fn policy(first: &str, pings: &str) -> String {
    let mut text = format!("[zones]\ntrust = [\"lan\"]\nuntrust = [\"wan\"]\n{first}");
    for (on_change, port) in ["keep", "rematch", "kill"].into_iter().zip(PORTS) {
        let service = format!("\"tcp/{port}\", \"udp/{port}\"");
        text += &rule(on_change, on_change, &service, "permit");
    }
    text + &rule(ECHO, "rematch", "\"icmp/echo-request\"", pings)
}

fn rule(id: &str, on_change: &str, service: &str, action: &str) -> String {
    // What is denied never closes.
    let log = if action == "permit" { "\"open\", \"close\"" } else { "\"open\"" };
    format!(
        "[[rule]]\nid = \"{id}\"\nfrom = \"trust\"\nto = \"untrust\"\nservice = [{service}]\n\
         action = \"{action}\"\non-change = \"{on_change}\"\nlog = [{log}]\n"
    )
}

fn deny(id: &str) -> String {
    rule(id, "rematch", "\"tcp/7001-7003\", \"udp/7001-7003\"", "deny")
}

#[test]
fn a_commit_reaches_every_session_within_a_second() {
    require!(root());
    for workers in [1, 2] {
        let mut world = World::running(Plan::routed(workers, &policy("", "permit")));
        let server = SERVER[0];
        let _servers = PORTS.map(|port| {
            (tcp_echo(&world.server, server, port), udp_echo(&world.server, server, port))
        });
        let mut streams = PORTS.map(|port| connect(&world.client, at(server, port), SOON).unwrap());
        streams.iter_mut().for_each(|stream| echoes(stream, b"permitted").unwrap());
        let sockets = PORTS.map(|port| udp(&world.client, at(server, port)));
        for socket in &sockets {
            socket.set_read_timeout(Some(SOON)).unwrap();
            socket.send(b"a datagram").unwrap();
            socket.recv(&mut [0; 64]).unwrap();
        }
        assert!(pings(&world.client, server), "a ping is permitted");
        let first = epoch(&world);
        let before = sessions(&world);
        assert_eq!(before.len(), 7, "three of TCP and of UDP, and a ping: {before:?}");
        assert!(before.iter().all(|it| is_judged_by(it, first, first)), "{before:?}");

        still_permitted(&world, &before, first + 1);
        // An idle TCP connection that was killed: both ends are told nothing, and nothing comes through.
        streams[2].set_read_timeout(Some(SILENCE)).unwrap();
        assert!(echoes(&mut streams[2], b"killed").is_err(), "what was killed carries nothing");
        for stream in &mut streams[..2] {
            echoes(stream, b"kept and matched").unwrap();
        }
        assert_eq!(world.counter("dropped.policy-changed"), 0, "it was over before a packet came");
        now_denied(&world, &mut streams, first + 2);
        rolled_back(&mut world, first + 3, first + 1);
        world.end();
    }
}

/// Nothing changes for anybody but by what the rules say of live sessions; rules move, too.
fn still_permitted(world: &World, before: &[Value], epoch: u64) {
    let other = rule("other", "rematch", "\"tcp/1\"", "permit");
    let after = commit(world, &policy(&other, "permit"), epoch, 5);
    for session in &after {
        let same = before.iter().find(|it| it["id"] == session["id"]).expect("an old one");
        for kept in ["rule", "forward", "reverse", "state", "from", "to"] {
            assert_eq!(session[kept], same[kept], "{session}");
        }
        assert_ne!(session["rule"], "kill", "{session}");
    }
    let hits = [("other", 0), ("keep", 2), ("rematch", 2), ("kill", 2), (ECHO, 1)];
    assert_eq!(uses(world, "hits"), hits.map(|(id, count)| (id.to_owned(), count)));
    let live = [("other", 0), ("keep", 2), ("rematch", 2), ("kill", 0), (ECHO, 1)];
    assert_eq!(uses(world, "sessions"), live.map(|(id, count)| (id.to_owned(), count)));
}

/// A rule before all denies them, and pings are denied: only what is kept stays.
fn now_denied(world: &World, streams: &mut [TcpStream; 3], epoch: u64) {
    let after = commit(world, &policy(&deny("no"), "deny"), epoch, 2);
    assert!(after.iter().all(|it| it["rule"] == "keep"), "{after:?}");
    echoes(&mut streams[0], b"kept").unwrap();
    streams[1].set_read_timeout(Some(SILENCE)).unwrap();
    assert!(echoes(&mut streams[1], b"denied").is_err(), "a session outlived its rule");
    let refused = udp(&world.client, at(SERVER[0], PORTS[0]));
    refused.set_read_timeout(Some(SILENCE)).unwrap();
    refused.send(b"a new one").unwrap();
    assert!(refused.recv(&mut [0; 64]).is_err(), "a new session is denied");
    assert_eq!(world.counter("dropped.policy-changed"), 0, "all was over before a packet came");
}

/// Rules that come back have their counts again, and the log told by which policy.
fn rolled_back(world: &mut World, epoch: u64, revision: u64) {
    world.json(&["rollback", &revision.to_string()]);
    let after = judged(world, epoch, 2);
    assert!(after.iter().all(|it| is_judged_by(it, epoch, revision)), "{after:?}");
    let hits: Vec<(String, u64)> = uses(world, "hits");
    assert!(hits.contains(&("rematch".to_owned(), 2)) && hits.contains(&(ECHO.to_owned(), 1)));
    let node = world.node();
    node.says(SOON, "session-deny");
    let said = node.output();
    let lines = |event: &str| -> Vec<String> {
        said.lines().filter(|line| line.contains(event)).map(str::to_owned).collect()
    };
    let [opened, ended, denied] = ["session-open", "session-close", "session-deny"].map(lines);
    let tells = |line: &str, by: u64| line.contains(&format!("epoch={by} revision={by} "));
    let first = epoch - 3;
    assert!(opened.iter().all(|line| tells(line, first)), "{opened:?}");
    // Two were killed by the second policy, two and the ping denied by the third.
    for (rule, count, by) in
        [("kill", 2, first + 1), ("rematch", 2, first + 2), (ECHO, 1, first + 2)]
    {
        let of_rule = format!("rule=\"{rule}\"");
        let ends: Vec<&String> = ended.iter().filter(|line| line.contains(&of_rule)).collect();
        assert_eq!(ends.len(), count, "{rule}: {ended:?}");
        for line in ends {
            assert!(line.contains("reason=\"policy\"") && tells(line, by), "{line}");
        }
    }
    assert!(!denied.is_empty() && denied.iter().all(|line| tells(line, first + 2)), "{denied:?}");
}

/// Commits, and waits until all live sessions were judged by it; there are so many then.
fn commit(world: &World, policy: &str, epoch: u64, count: usize) -> Vec<Value> {
    let file = world.write("next.toml", policy);
    world.verb(&["commit", "--json", file.to_str().unwrap()]).exits(0);
    let after = judged(world, epoch, count);
    assert!(after.iter().all(|it| is_judged_by(it, epoch, epoch)), "{after:?}");
    after
}

fn judged(world: &World, epoch: u64, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    let all = || sessions(world).iter().all(|it| it["epoch"] == epoch);
    wait_for(JUDGED, "sessions that all were judged", || all() && sessions(world).len() == count);
    eprintln!("judged within {:?} of the commit's answer", begun.elapsed());
    sessions(world)
}

fn is_judged_by(session: &Value, epoch: u64, revision: u64) -> bool {
    session["epoch"] == epoch && session["revision"] == revision
}

fn sessions(world: &World) -> Vec<Value> {
    world.json(&["show", "sessions"])["sessions"].as_array().unwrap().clone()
}

fn uses(world: &World, what: &str) -> Vec<(String, u64)> {
    let policy = world.json(&["show", "policy"]);
    let rules = policy["rules"].as_array().unwrap();
    let told = |rule: &Value| (rule["id"].as_str().unwrap().into(), rule[what].as_u64().unwrap());
    rules.iter().map(told).collect()
}

fn epoch(world: &World) -> u64 {
    world.json(&["show", "policy"])["epoch"].as_u64().unwrap()
}
