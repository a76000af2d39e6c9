//! The node's own traffic: what it opens itself works, what comes in needs a `[[host-inbound]]`.

use ringwall_tests::world::{Plan, ROUTER, ROUTER_WAN, SERVER, SOON, World};
use ringwall_tests::{require, root, tool};

use crate::sockets::{
    Door, assert_silent, at, connect, echoes, pings, tcp_echo, udp_answers, udp_echo,
};

const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[[host-inbound]]
zone = "trust"
service = ["tcp/2222", "udp/2222", "icmp/echo-request"]
"#;

/// Allowed from the client's side, and from nowhere else.
const OPEN: u16 = 2222;
const CLOSED: u16 = 2223;
const DNS: u16 = 53;

#[test]
fn the_node_reaches_others() {
    require!(root(), tool("ping"));
    for workers in [1, 2] {
        let world = World::running(Plan::routed(workers, POLICY));
        for server in SERVER {
            let _tcp = tcp_echo(&world.server, server, CLOSED);
            let _dns = udp_echo(&world.server, server, DNS);
            let mut stream = connect(&world.router, at(server, CLOSED), SOON).unwrap();
            echoes(&mut stream, b"from the node itself").unwrap();
            assert!(udp_answers(&world.router, at(server, DNS), SOON), "{server}: no DNS answer");
            assert!(pings(&world.router, server), "{server} does not answer the node's ping");
        }
        world.end();
    }
}

#[test]
fn others_reach_what_the_node_offers_and_nothing_else() {
    require!(root(), tool("ping"));
    for workers in [1, 2] {
        let world = World::running(Plan::routed(workers, POLICY));
        for (router, wan) in ROUTER.iter().zip(ROUTER_WAN) {
            let open = tcp_echo(&world.router, router, OPEN);
            let closed = tcp_echo(&world.router, router, CLOSED);
            let untrusted = tcp_echo(&world.router, wan, OPEN);
            let (udp_open, udp_closed) =
                (udp_echo(&world.router, router, OPEN), udp_echo(&world.router, router, CLOSED));
            let mut stream = connect(&world.client, at(router, OPEN), SOON).unwrap();
            echoes(&mut stream, b"to the node").unwrap();
            assert!(udp_answers(&world.client, at(router, OPEN), SOON));
            let doors = [(&world.client, at(router, CLOSED)), (&world.server, at(wan, OPEN))];
            let doors = doors.map(|(from, to)| [Door::Tcp(from, to), Door::Udp(from, to)]);
            assert_silent(&[doors.as_flattened(), &[Door::Ping(&world.server, wan)]].concat());
            let counts = [&open, &closed, &untrusted, &udp_open, &udp_closed];
            assert_eq!(counts.map(|server| server.received()), [1, 0, 0, 1, 0], "{router}");
            assert!(pings(&world.client, router), "{router} does not answer");
        }
        world.end();
    }
}
