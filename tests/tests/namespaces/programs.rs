//! Programs that everybody has, through the firewall.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use ringwall_tests::world::{Plan, ROUTER, SERVER, SOON, World};
use ringwall_tests::{Background, Outcome, require, root, run_command, tool};
use serde_json::Value;

use crate::sockets::{
    BULK, at, pings, receive_pattern, send_pattern, tcp_echo, tcp_server, upload,
};

const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[[rule]]
id = "web"
from = "trust"
to = "untrust"
service = ["tcp/80", "tcp/443", "tcp/8080-8082", "icmp/echo-request"]
action = "permit"

[[rule]]
id = "iperf"
from = "trust"
to = "untrust"
service = ["tcp/5201", "udp/5201"]
action = "permit"
"#;

/// Programs that count seconds are given this long.
const LONG: Duration = Duration::from_secs(50);

fn client(world: &World, program: &str, args: &[&str]) -> Outcome {
    world.client.run(|| run_command(Command::new(program).args(args), LONG))
}

#[test]
fn nmap_sees_exactly_the_open_ports() {
    require!(root(), tool("nmap"));
    for workers in [1, 2] {
        let world = World::running(Plan::routed(workers, POLICY));
        // Both at once: most of the time goes by in waiting for ports that do not answer.
        std::thread::scope(|scope| {
            for server in SERVER {
                scope.spawn(|| nmap(&world, server));
            }
        });
        world.end();
    }
}

fn nmap(world: &World, server: &str) {
    // Listened to and permitted: 80, 443, 8080. 8081 is permitted and nobody is there.
    let _servers =
        [22, 23, 80, 443, 3306, 8080, 8083, 9000].map(|port| tcp_echo(&world.server, server, port));
    let range = "20-30,75-85,440-446,3300-3310,8078-8085,9000";
    let args = ["-sS", "-Pn", "-n", "--max-retries", "2", "-oG", "-", "-p", range, server];
    let version = server.contains(':').then_some("-6");
    let args: Vec<&str> = version.into_iter().chain(args).collect();
    let report = client(world, "nmap", &args).exits(0).stdout;
    assert_eq!(ports(&report, "open"), BTreeSet::from([80, 443, 8080]), "{report}");
    assert_eq!(ports(&report, "closed"), BTreeSet::from([8081, 8082]), "{report}");
}

/// Ports of one state in nmap's greppable report: `Ports: 80/open/tcp//http///, 81/…`.
fn ports(report: &str, state: &str) -> BTreeSet<u16> {
    let listed = report.lines().filter_map(|line| line.split_once("Ports: "));
    let entries = listed.flat_map(|(_, ports)| ports.split(['\t', ',']));
    let parts = entries.map(|entry| entry.trim().split('/').collect::<Vec<_>>());
    let of_state = parts.filter(|parts| parts.get(1) == Some(&state));
    of_state.map(|parts| parts[0].parse().unwrap()).collect()
}

#[test]
fn iperf3_runs_over_tcp_and_udp_with_one_worker() {
    require!(root(), tool("iperf3"));
    iperf3(1);
}

#[test]
fn iperf3_runs_over_tcp_and_udp_with_two_workers() {
    require!(root(), tool("iperf3"));
    iperf3(2);
}

fn iperf3(workers: u16) {
    let world = World::running(Plan::routed(workers, POLICY));
    for server in SERVER {
        let tcp = iperf(&world, server, &["-t", "1"]);
        let received = &tcp["end"]["sum_received"];
        eprintln!("{workers} worker(s), {server}: iperf3 TCP {:.0} Mbit/s", bits(received) / 1e6);
        assert!(received["bytes"].as_u64() > Some(10_000_000), "{received}");
        let udp = iperf(&world, server, &["-t", "1", "-u", "-b", "50M", "-l", "1200"]);
        let sum = &udp["end"]["sum"];
        let lost = sum["lost_percent"].as_f64().unwrap();
        eprintln!("{server}: iperf3 UDP {:.0} Mbit/s, {lost:.2} % lost", bits(sum) / 1e6);
        assert!(lost < 5.0, "{sum}");
    }
    world.end();
}

fn bits(sum: &Value) -> f64 {
    sum["bits_per_second"].as_f64().unwrap()
}

fn iperf(world: &World, server: &str, args: &[&str]) -> Value {
    let mut listen = Command::new("iperf3");
    listen.args(["-s", "-1", "--forceflush", "-B", server]);
    let mut listening = world.server.run(|| Background::spawn(&mut listen));
    listening.says(SOON, "listening");
    let args = [&["-J", "-c", server], args].concat();
    client(world, "iperf3", &args).exits(0).json()
}

#[test]
fn curl_downloads_the_same_bytes() {
    require!(root(), tool("curl"));
    for workers in [1, 2] {
        let world = World::running(Plan::routed(workers, POLICY));
        SERVER.iter().for_each(|server| curl(&world, server));
        world.end();
    }
}

/// A download of 100 MiB, each byte compared.
fn curl(world: &World, server: &str) {
    let _http = tcp_server(&world.server, server, 80, |mut stream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BULK}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).and_then(|()| send_pattern(stream, 80, BULK));
    });
    let url = format!("http://{}/file", at(server, 80));
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "50", &url]);
    curl.stdout(Stdio::piped());
    let mut child = world.client.run(|| curl.spawn()).unwrap();
    let compared = receive_pattern(child.stdout.take().unwrap(), 80, BULK);
    assert!(child.wait().unwrap().success());
    compared.unwrap();
}

#[test]
fn path_mtu_discovery_works() {
    require!(root(), tool("ip"));
    for workers in [1, 2] {
        let world = World::new(Plan::routed(workers, POLICY));
        // The hosts at both ends believe in 1,500; only the firewall knows better.
        world.router.set_mtu("wan0", 1400).unwrap();
        let mut world = world;
        world.start();
        for server in SERVER {
            upload(&world.client, &world.server, at(server, 8080), 5 << 20).unwrap();
            let route = client(&world, "ip", &["route", "get", server]).exits(0);
            assert!(
                route.stdout.contains("mtu 1400"),
                "{server}: the client learned nothing: {route}"
            );
        }
        assert!(world.counter("answers-sent") >= 2);
        world.end();
    }
}

#[test]
fn hop_limits_are_counted_and_told() {
    require!(root(), tool("ping"));
    for workers in [1, 2] {
        let world = World::running(Plan::routed(workers, POLICY));
        for (server, router) in SERVER.iter().zip(ROUTER) {
            // The exit status is 1 without an echo reply.
            let short = client(&world, "ping", &["-n", "-c1", "-W2", "-t1", server]);
            let told = short
                .stdout
                .lines()
                .any(|line| line.contains(&format!("From {router}")) && line.contains("xceeded"));
            assert!(told, "no `time exceeded` of {router}: {short}");
            client(&world, "ping", &["-n", "-c1", "-W2", "-t2", server]).exits(0).says("ttl=63");
            assert!(pings(&world.client, server));
        }
        world.end();
    }
}
