//! A bump in the wire: two ports joined, no address, no route; the policy holds all the same.

use std::io::ErrorKind;

use ringwall_tests::world::{Plan, SOON, WIRE_CLIENT, WIRE_SERVER, World};
use ringwall_tests::{require, root, tool};

use crate::sockets::{
    Door, assert_silent, at, connect, download, echoes, pings, rate, tcp_echo, udp_answers,
    udp_echo,
};

const POLICY: &str = r#"
[zones]
inside = ["lan"]
outside = ["wan"]

[[rule]]
id = "services"
from = "inside"
to = "outside"
service = ["tcp/7001", "udp/7001", "icmp/echo-request"]
action = "permit"

[[rule]]
id = "rejected"
from = "inside"
to = "outside"
service = ["tcp/7003"]
action = "reject"
"#;

#[test]
fn neighbours_find_each_other_and_the_policy_holds_with_one_worker() {
    require!(root(), tool("ping"));
    bump(1);
}

#[test]
fn neighbours_find_each_other_and_the_policy_holds_with_two_workers() {
    require!(root(), tool("ping"));
    bump(2);
}

fn bump(workers: u16) {
    let world = World::running(Plan::wire(workers, POLICY));
    for (client, server) in WIRE_CLIENT.iter().zip(WIRE_SERVER) {
        assert!(pings(&world.client, server), "{server} does not answer");
        let _servers = [7002, 7003].map(|port| tcp_echo(&world.server, server, port));
        let _udp = [7001, 7002].map(|port| udp_echo(&world.server, server, port));
        let took = download(&world.client, &world.server, at(server, 7001), 20 << 20).unwrap();
        eprintln!("{workers} worker(s), {server} by wire: {}", rate(20 << 20, took));
        let denied = at(server, 7002);
        assert_silent(&[
            Door::Tcp(&world.client, denied),
            Door::Udp(&world.client, denied),
            Door::Ping(&world.server, client),
        ]);
        let rejected = connect(&world.client, at(server, 7003), SOON).unwrap_err();
        assert_eq!(rejected.kind(), ErrorKind::ConnectionRefused, "{rejected}");
        for _ in 0..16 {
            assert!(udp_answers(&world.client, at(server, 7001), SOON));
        }
        let echo = tcp_echo(&world.server, server, 7001);
        let mut again = connect(&world.client, at(server, 7001), SOON).unwrap();
        echoes(&mut again, b"once more").unwrap();
        assert_eq!(echo.received(), 1);
    }
    world.end();
}

#[test]
fn the_wire_is_cut_while_no_daemon_lives() {
    require!(root(), tool("ping"));
    for workers in [1, 2] {
        let mut world = World::running(Plan::wire(workers, POLICY));
        let servers = WIRE_SERVER.map(|server| {
            assert!(pings(&world.client, server), "{server} does not answer");
            udp_echo(&world.server, server, 7001)
        });
        world.kill();
        let doors = WIRE_SERVER.map(|server| {
            [Door::Udp(&world.client, at(server, 7001)), Door::Ping(&world.client, server)]
        });
        assert_silent(doors.as_flattened());
        assert_eq!(servers.each_ref().map(|server| server.received()), [0, 0]);
        world.start();
        for server in WIRE_SERVER {
            assert!(udp_answers(&world.client, at(server, 7001), SOON), "{server}");
        }
        world.end();
    }
}
