//! Starting: without a policy, and with a node file that does not fit the machine.

use std::process::Command;

use ringwall_tests::world::{Plan, SERVER, SOON, World};
use ringwall_tests::{Outcome, binary, require, root, run_command};

use crate::sockets::{Door, assert_silent, at, connect, echoes, tcp_echo, udp_answers, udp_echo};

const PORT: u16 = 7001;

const PERMIT: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[[rule]]
id = "probes"
from = "trust"
to = "untrust"
service = ["tcp/7001", "udp/7001", "icmp/echo-request"]
action = "permit"
"#;

#[test]
fn without_a_policy_everything_is_denied_until_one_is_committed() {
    require!(root());
    for workers in [1, 2] {
        without_policy(workers);
    }
}

fn without_policy(workers: u16) {
    let mut world = World::new(Plan::routed(workers, PERMIT));
    world.start_without_policy();
    world.node().says(SOON, "there is no policy: everything is denied");
    let policy = world.json(&["show", "policy"]);
    assert_eq!((&policy["epoch"], &policy["rules"]), (&0.into(), &serde_json::json!([])));
    let servers = SERVER.map(|server| {
        (tcp_echo(&world.server, server, PORT), udp_echo(&world.server, server, PORT))
    });
    let closed = SERVER.map(|server| {
        let to = at(server, PORT);
        [Door::Tcp(&world.client, to), Door::Udp(&world.client, to)]
    });
    assert_silent(closed.as_flattened());
    assert!(servers.iter().all(|(tcp, udp)| (tcp.received(), udp.received()) == (0, 0)));
    // Without a policy there is no lease: the XDP program lets nothing in.
    assert!(world.counter("xdp.lease-expired") > 0, "nothing was denied");
    let file = world.path("policy.toml");
    assert_eq!(world.json(&["commit", file.to_str().unwrap()])["epoch"], 1);
    assert_open(&world);
    // The committed policy is kept: the next start needs none either.
    world.stop();
    world.start_without_policy();
    assert_eq!(world.json(&["show", "policy"])["epoch"], 1);
    assert_open(&world);
    world.end();
}

#[track_caller]
fn assert_open(world: &World) {
    for server in SERVER {
        let to = at(server, PORT);
        assert!(udp_answers(&world.client, to, SOON), "{server}: permitted, and denied");
        let mut stream = connect(&world.client, to, SOON).unwrap();
        echoes(&mut stream, b"permitted").unwrap();
    }
}

#[test]
fn an_interface_that_is_not_there_is_named_with_its_port() {
    require!(root());
    for workers in [1, 2] {
        let world = World::new(Plan::routed(workers, PERMIT));
        let node = std::fs::read_to_string(world.path("node.toml")).unwrap();
        world.write("node.toml", &node.replace("\"wan0\"", "\"nowhere0\""));
        let refused = run(&world, &[]).exits(1).says("port `wan`").says("interface `nowhere0`");
        assert!(!refused.stderr.contains("panicked"), "{refused}");
        let error = run(&world, &["--json"]).exits(1).json();
        let error = error["error"].as_str().unwrap();
        assert!(error.contains("`wan`") && error.contains("`nowhere0`"), "{error}");
        assert!(!world.socket().exists(), "something still listens");
        let pinned = world.bpf_dir().read_dir().map_or(0, Iterator::count);
        assert_eq!(pinned, 0, "something is left on the other port");
    }
}

/// `ringwall run`, which is to end by itself.
fn run(world: &World, more: &[&str]) -> Outcome {
    let mut command = Command::new(binary());
    command.arg("run").arg("--node").arg(world.path("node.toml"));
    command.arg("--policy").arg(world.path("policy.toml")).args(more);
    world.router.run(|| run_command(&mut command, SOON))
}
