//! What the policy allows passes, byte for byte, with one worker and with two; the rest does not.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ringwall_tests::world::{CLIENT, Plan, SERVER, SERVER_OTHER, SOON, World};
use ringwall_tests::{require, root, tool, wait_for};

use crate::sockets::{
    BULK, Door, Pattern, SILENCE, assert_silent, at, connect, download, echoes, pings, rate,
    tcp_echo, udp, udp_answers, udp_echo, upload,
};

/// Ports of the server that the policy below knows.
const ALLOWED: u16 = 7001;
const DENIED: u16 = 7002;
const REJECTED: u16 = 7003;

const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[addresses]
server = ["10.2.0.2", "fd02::2"]

[[rule]]
id = "services"
from = "trust"
to = "untrust"
destination = ["server"]
service = ["tcp/7001", "udp/7001", "icmp/echo-request"]
action = "permit"

[[rule]]
id = "rejected"
from = "trust"
to = "untrust"
service = ["tcp/7003", "udp/7003"]
action = "reject"
"#;

fn world(workers: u16) -> World {
    World::running(Plan::routed(workers, POLICY))
}

#[test]
fn ping_where_it_is_allowed_with_one_worker() {
    require!(root(), tool("ping"));
    ping(1);
}

#[test]
fn ping_where_it_is_allowed_with_two_workers() {
    require!(root(), tool("ping"));
    ping(2);
}

fn ping(workers: u16) {
    let world = world(workers);
    for allowed in SERVER {
        assert!(pings(&world.client, allowed), "{allowed} does not answer");
    }
    let denied = SERVER_OTHER.map(|other| Door::Ping(&world.client, other));
    let inwards = CLIENT.map(|client| Door::Ping(&world.server, client));
    assert_silent(&[denied, inwards].concat());
    assert!(world.counter("dropped.no-rule") >= 4);
    world.end();
}

#[test]
fn tcp_transfers_are_the_same_bytes_with_one_worker() {
    require!(root());
    transfers(1);
}

#[test]
fn tcp_transfers_are_the_same_bytes_with_two_workers() {
    require!(root());
    transfers(2);
}

fn transfers(workers: u16) {
    let world = world(workers);
    for server in SERVER {
        let to = at(server, ALLOWED);
        let down = download(&world.client, &world.server, to, BULK).unwrap();
        let up = upload(&world.client, &world.server, to, BULK).unwrap();
        let (down, up) = (rate(BULK, down), rate(BULK, up));
        eprintln!("{workers} worker(s), {server}: 100 MiB down at {down}, up at {up}");
    }
    world.end();
}

#[test]
fn tcp_is_denied_silently_and_rejected_at_once_with_one_worker() {
    require!(root());
    denials(1);
}

#[test]
fn tcp_is_denied_silently_and_rejected_at_once_with_two_workers() {
    require!(root());
    denials(2);
}

fn denials(workers: u16) {
    let world = world(workers);
    for server in SERVER {
        let reachable =
            [ALLOWED, DENIED, REJECTED].map(|port| tcp_echo(&world.server, server, port));
        let mut allowed = connect(&world.client, at(server, ALLOWED), SOON).unwrap();
        echoes(&mut allowed, b"as usual").unwrap();
        assert_silent(&[Door::Tcp(&world.client, at(server, DENIED))]);
        let start = Instant::now();
        let rejected = connect(&world.client, at(server, REJECTED), SOON).unwrap_err();
        assert_eq!(rejected.kind(), ErrorKind::ConnectionRefused, "{server}: {rejected}");
        assert!(start.elapsed() < SILENCE, "the refusal took {:?}", start.elapsed());
        assert_eq!(reachable.map(|server| server.received()), [1, 0, 0]);
        assert!(udp_is_refused(&world, server), "{server}: no ICMP error for rejected UDP");
    }
    world.end();
}

/// A rejected datagram brings an ICMP error, which a connected socket reports.
fn udp_is_refused(world: &World, server: &str) -> bool {
    let socket = udp(&world.client, at(server, REJECTED));
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.send(b"?").unwrap();
    let refusal = socket.recv(&mut [0; 8]).unwrap_err();
    eprintln!("{server}: rejected UDP reports {refusal}");
    refusal.kind() != ErrorKind::WouldBlock
}

#[test]
fn udp_where_it_is_allowed_with_one_worker() {
    require!(root());
    datagrams(1);
}

#[test]
fn udp_where_it_is_allowed_with_two_workers() {
    require!(root());
    datagrams(2);
}

fn datagrams(workers: u16) {
    let world = world(workers);
    for server in SERVER {
        let allowed = udp_echo(&world.server, server, ALLOWED);
        let denied = udp_echo(&world.server, server, DENIED);
        // Many flows: with two workers, some have request and reply on different queues.
        for _ in 0..32 {
            assert!(udp_answers(&world.client, at(server, ALLOWED), SOON), "{server}: no echo");
        }
        assert_silent(&[Door::Udp(&world.client, at(server, DENIED))]);
        assert_eq!((allowed.received(), denied.received()), (32, 0));
    }
    if workers == 2 {
        let handed = world.counter("handed-out");
        eprintln!("64 UDP exchanges with two workers: {handed} packets handed over");
        assert!(handed > 0, "no packet ever came to the other worker's queue");
    }
    world.end();
}

#[test]
fn bulk_udp_is_the_same_bytes_with_one_worker() {
    require!(root());
    bulk_datagrams(1);
}

#[test]
fn bulk_udp_is_the_same_bytes_with_two_workers() {
    require!(root());
    bulk_datagrams(2);
}

/// 100 MiB in datagrams of 1,200 bytes, each checked; in step, so that no socket buffer overflows.
fn bulk_datagrams(workers: u16) {
    let world = world(workers);
    for server in SERVER {
        let echo = udp_echo(&world.server, server, ALLOWED);
        // The neighbours are known from here on: fewer packets than a window wait for one.
        assert!(udp_answers(&world.client, at(server, ALLOWED), SOON));
        let socket = udp(&world.client, at(server, ALLOWED));
        socket.set_read_timeout(Some(SOON)).unwrap();
        let start = Instant::now();
        let datagrams = BULK / 2 / 1200; // There and back again.
        in_step(&socket, datagrams);
        let took = start.elapsed();
        wait_for(SOON, "every datagram", || echo.count.load(Ordering::Relaxed) == datagrams + 1);
        let rate = rate(BULK, took);
        eprintln!("{workers} worker(s), {server}: 100 MiB of UDP, half each way, at {rate}");
    }
    world.end();
}

/// Echoes `datagrams`, at most 32 of them on their way at a time.
fn in_step(socket: &UdpSocket, datagrams: u64) {
    let (mut sent, mut received) = (Pattern::new(7), Pattern::new(7));
    let (mut out, mut expected, mut back) = ([0; 1200], [0; 1200], [0; 2048]);
    for number in 0..datagrams + 32 {
        if number < datagrams {
            sent.fill(&mut out);
            socket.send(&out).unwrap();
        }
        if number >= 32 {
            let length = socket.recv(&mut back).unwrap();
            received.fill(&mut expected);
            assert_eq!(back[..length], expected, "datagram {} differs", number - 32);
        }
    }
}
