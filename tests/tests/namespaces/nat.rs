//! Translation with real programs on both sides: what a server sees of its clients, who reaches whom, and
//! what of the firewall's own addresses stays its host's.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use netns::Namespace;
use ringwall_tests::world::{CLIENT, Plan, ROUTER, ROUTER_WAN, SERVER, SERVER_OTHER, SOON, World};
use ringwall_tests::{Background, Outcome, require, root, run_command, tool, wait_for};

use crate::sockets::{
    BULK, SILENCE, Server, at, connect, echoes, pings, receive_pattern, send_pattern, tcp_echo,
    tcp_server, udp_answers, udp_echo,
};

/// Everything is permitted both ways; what is translated comes behind it.
const RULES: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]
[[rule]]
id = "out"
from = "trust"
to = "untrust"
action = "permit"
[[rule]]
id = "in"
from = "untrust"
to = "trust"
action = "permit"
[[rule]]
id = "turn"
from = "trust"
to = "trust"
action = "permit"
"#;

pub(crate) const MASQUERADE: &str = r#"
[[nat]]
id = "out"
type = "source"
from = "trust"
to = "untrust"
translate = "interface"
"#;

/// The pool's prefixes are routed to the firewall by the server.
const POOL: [&str; 2] = ["203.0.113.0/24", "fd09::/64"];

/// 203.0.113.1 and fd09::1, one endpoint outside for one inside.
fn pooled(filtering: &str) -> String {
    format!(
        "[[nat-pool]]\nname = \"public\"\naddresses = [\"203.0.113.1\", \"fd09::1\"]\n\
         [[nat]]\nid = \"out\"\ntype = \"source\"\nfrom = \"trust\"\nto = \"untrust\"\n\
         source = [\"10.1.0.0/24\", \"fd01::/64\"]\ntranslate = \"pool:public\"\n\
         mapping = \"endpoint-independent\"\nfiltering = \"{filtering}\"\n"
    )
}

fn world(workers: u16, nat: &str) -> World {
    World::running(Plan::routed(workers, &format!("{RULES}{nat}")))
}

fn route_pool(world: &World) {
    for (prefix, via) in POOL.into_iter().zip(ROUTER_WAN) {
        world.server.add_route(prefix, via).unwrap();
    }
}

/// Says to each connection whom it came from, then sends back what it brings.
fn mirror(inside: &Namespace, address: &str, port: u16) -> Server {
    tcp_server(inside, address, port, |mut stream| {
        let peer = stream.peer_addr().unwrap();
        let _ = writeln!(stream, "{peer}");
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    })
}

/// As whom a connection to a [`mirror`] is seen; it works both ways afterwards.
fn seen_as(from: &Namespace, to: SocketAddr) -> SocketAddr {
    let mut stream = connect(from, to, SOON).unwrap();
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    echoes(&mut stream, b"and on it goes").unwrap();
    String::from_utf8(line).unwrap().trim().parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn in_client(world: &World, program: &str, args: &[&str]) -> Outcome {
    world.client.run(|| run_command(Command::new(program).args(args), Duration::from_secs(40)))
}

#[test]
fn clients_are_seen_as_the_firewall_by_both_families() {
    require!(root());
    for workers in [1, 2] {
        let world = world(workers, MASQUERADE);
        for (server, public) in SERVER.into_iter().zip(ROUTER_WAN) {
            let _mirror = mirror(&world.server, server, 80);
            let _echo = udp_echo(&world.server, server, 7);
            for _ in 0..20 {
                let seen = seen_as(&world.client, at(server, 80));
                assert_eq!(seen.ip(), ip(public), "{workers} workers");
                assert!((1024..=62_463).contains(&seen.port()), "{seen}");
                assert!(udp_answers(&world.client, at(server, 7), SOON));
            }
            assert!(pings(&world.client, server), "{server}");
        }
        world.assert_conservation();
        world.end();
    }
}

#[test]
fn bulk_data_arrive_as_they_were_sent() {
    require!(root());
    let world = world(2, MASQUERADE);
    let sink = tcp_server(&world.server, SERVER[0], 80, |mut stream| {
        let good = receive_pattern(&mut stream, 7, BULK / 4).is_ok();
        let _ = stream.write_all(if good { b"all" } else { b"bad" });
    });
    let mut stream = connect(&world.client, at(SERVER[0], 80), SOON).unwrap();
    send_pattern(&mut stream, 7, BULK / 4).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut told = [0; 3];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"all");
    drop(sink);
    world.end();
}

#[test]
fn everyday_programs_work_behind_a_public_address() {
    require!(root(), tool("curl"), tool("iperf3"), tool("traceroute"), tool("dig"));
    let world = world(1, MASQUERADE);
    let _web = tcp_server(&world.server, SERVER[0], 80, |mut stream| {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        let answer = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
        let _ = stream.write_all(answer.as_bytes());
    });
    let url = format!("http://{}/", SERVER[0]);
    in_client(&world, "curl", &["-s", "--max-time", "10", &url]).exits(0).says("hello");

    let mut iperf = world
        .server
        .run(|| Background::spawn(Command::new("iperf3").args(["-s", "-1", "--forceflush"])));
    iperf.says(SOON, "Server listening");
    in_client(&world, "iperf3", &["-c", SERVER[0], "-t", "2"]).exits(0).says("receiver");

    let hops = in_client(&world, "traceroute", &["-n", "-q", "1", "-w", "3", SERVER[0]]).exits(0);
    assert!(hops.stdout.contains(ROUTER[0]), "{}", hops.stdout);
    assert!(hops.stdout.lines().last().unwrap().contains(SERVER[0]), "{}", hops.stdout);
    let hops = in_client(&world, "traceroute", &["-I", "-n", "-q", "1", "-w", "3", SERVER[0]]);
    assert!(hops.stdout.lines().last().unwrap().contains(SERVER[0]), "{}", hops.stdout);

    let _names = name_server(&world.server);
    let server = format!("@{}", SERVER[0]);
    let args = ["+short", "+time=3", "+tries=2", &server, "www.example.net", "A"];
    in_client(&world, "dig", &args).exits(0).says("192.0.2.53");
    world.end();
}

/// Answers every question with 192.0.2.53.
fn name_server(inside: &Namespace) -> Answerer {
    Answerer::start(inside, at(SERVER[0], 53), |question| {
        // Behind the question's name, type and class nothing of it is said again (RFC 1035 §4.1).
        let name = question[12..].iter().position(|length| *length == 0)?;
        let end = 12 + name + 5;
        let mut answer = question.get(..end)?.to_vec();
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 53]);
        Some(answer)
    })
}

/// A program that answers datagrams until it is dropped.
struct Answerer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Answerer {
    fn start(
        inside: &Namespace,
        on: SocketAddr,
        answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = inside.run(|| UdpSocket::bind(on)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((length, from)) = socket.recv_from(&mut buffer)
                    && let Some(answer) = answer(&buffer[..length])
                {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A socket of the client and what it hears.
struct Caller(UdpSocket);

impl Caller {
    fn new(world: &World, family: usize) -> Self {
        let socket = world.client.run(|| UdpSocket::bind(at(CLIENT[family], 0))).unwrap();
        socket.set_read_timeout(Some(SILENCE)).unwrap();
        Self(socket)
    }

    fn sends(&self, to: SocketAddr) {
        self.0.send_to(b"who am I?", to).unwrap();
    }

    /// What comes, and from whom; nothing within the time that nothing takes.
    fn hears(&self) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 256];
        let (length, from) = self.0.recv_from(&mut buffer).ok()?;
        Some((buffer[..length].to_vec(), from))
    }
}

/// A socket of the server, and as whom a caller reaches it.
struct Listener(UdpSocket);

impl Listener {
    fn new(world: &World, address: &str, port: u16) -> Self {
        let socket = world.server.run(|| UdpSocket::bind(at(address, port))).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self(socket)
    }

    fn meets(&self, caller: &Caller) -> SocketAddr {
        caller.sends(self.0.local_addr().unwrap());
        let mut buffer = [0; 256];
        self.0.recv_from(&mut buffer).unwrap().1
    }
}

/// RFC 5780 §4: mapping and filtering behaviour, found as its clients find them.
#[test]
fn mapping_and_filtering_are_what_the_rule_says() {
    require!(root());
    let kinds = [
        ("endpoint-independent", [true, true, true]),
        ("address-dependent", [true, true, false]),
        ("address-and-port-dependent", [true, false, false]),
    ];
    for (filtering, admits) in kinds {
        let world = world(2, &pooled(filtering));
        route_pool(&world);
        for family in 0..2 {
            let caller = Caller::new(&world, family);
            let (server, other) = (SERVER[family], SERVER_OTHER[family]);
            let primary = Listener::new(&world, server, 3_478);
            let (port, address) =
                (Listener::new(&world, server, 3_479), Listener::new(&world, other, 3_478));
            let mapped = primary.meets(&caller);
            assert_eq!(mapped.ip(), ip(["203.0.113.1", "fd09::1"][family]));
            // Filtering, test I to III: the same endpoint, another port, another address.
            let from = [&primary, &port, &address];
            for (listener, admitted) in from.into_iter().zip(admits) {
                listener.0.send_to(b"hello?", mapped).unwrap();
                let heard = caller.hears();
                let sender = listener.0.local_addr().unwrap();
                let expected = admitted.then(|| (b"hello?".to_vec(), sender));
                assert_eq!(heard, expected, "{filtering}, from {sender}");
            }
            // Mapping: whoever it speaks to.
            assert_eq!(port.meets(&caller), mapped);
            assert_eq!(address.meets(&caller), mapped);
        }
        world.end();
    }
}

#[test]
fn a_port_of_the_firewall_leads_to_a_server_inside_and_the_others_stay_its_own() {
    require!(root());
    let nat = r#"
[[nat]]
id = "web"
type = "destination"
from = "untrust"
destination = ["10.2.0.1", "fd02::1"]
service = ["tcp/8080-8081", "udp/8080"]
to-address = "10.1.0.2"
to-port = 80
[[nat]]
id = "web6"
type = "destination"
from = "untrust"
destination = ["fd02::1"]
service = ["tcp/8090"]
to-address = "fd01::2"
to-port = 80
[[host-inbound]]
zone = "untrust"
service = ["tcp/2222"]
"#;
    for workers in [1, 2] {
        let world = world(workers, &format!("{nat}{MASQUERADE}"));
        let _inside = [mirror(&world.client, CLIENT[0], 80), mirror(&world.client, CLIENT[1], 80)];
        let _second = tcp_echo(&world.client, CLIENT[0], 81);
        let _datagrams = udp_echo(&world.client, CLIENT[0], 80);
        let seen = seen_as(&world.server, at(ROUTER_WAN[0], 8_080));
        assert_eq!(seen.ip(), ip(SERVER[0]), "who asks is seen");
        // The server has two addresses of IPv6, and its kernel's choice between them.
        let seen = seen_as(&world.server, at(ROUTER_WAN[1], 8_090)).ip();
        assert!([SERVER[1], SERVER_OTHER[1]].map(ip).contains(&seen), "{seen}");
        let mut second = connect(&world.server, at(ROUTER_WAN[0], 8_081), SOON).unwrap();
        echoes(&mut second, b"in their order").unwrap();
        assert!(udp_answers(&world.server, at(ROUTER_WAN[0], 8_080), SOON));
        // The host's own: a service that is let in, and a connection of its own.
        let _host = tcp_echo(&world.router, ROUTER_WAN[0], 2_222);
        let mut host = connect(&world.server, at(ROUTER_WAN[0], 2_222), SOON).unwrap();
        echoes(&mut host, b"the firewall itself").unwrap();
        world.router.set_sysctl("net/ipv4/ip_local_port_range", "62464 65535").unwrap();
        let _outside = tcp_echo(&world.server, SERVER[0], 443);
        let mut own = connect(&world.router, at(SERVER[0], 443), SOON).unwrap();
        echoes(&mut own, b"of its own").unwrap();
        world.end();
    }
}

#[test]
fn who_is_inside_reaches_a_server_inside_by_its_public_name() {
    require!(root());
    let nat = r#"
[[nat]]
id = "web"
type = "destination"
destination = ["10.2.0.1"]
service = ["tcp/8080"]
to-address = "10.1.0.2"
to-port = 80
"#;
    let world = world(2, &format!("{nat}{MASQUERADE}"));
    let _inside = mirror(&world.client, CLIENT[0], 80);
    let seen = seen_as(&world.client, at(ROUTER_WAN[0], 8_080));
    assert_eq!(seen.ip(), ip(ROUTER[0]), "so that the answer comes by way of the firewall");
    world.end();
}

#[test]
fn a_prefix_outside_stands_for_one_inside_both_ways() {
    require!(root());
    let nat = r#"
[[nat]]
id = "dmz"
type = "static"
from = "untrust"
outside = "203.0.113.0/28"
inside = "10.1.0.0/28"
[[nat]]
id = "dmz6"
type = "static"
from = "untrust"
outside = "fd09::/64"
inside = "fd01::/64"
"#;
    let world = world(2, nat);
    route_pool(&world);
    for (family, outside) in ["203.0.113.2", "fd09::2"].into_iter().enumerate() {
        let (client, server) = (CLIENT[family], SERVER[family]);
        let _mirror = mirror(&world.server, server, 80);
        assert_eq!(seen_as(&world.client, at(server, 80)).ip(), ip(outside));
        let _inside = mirror(&world.client, client, 80);
        let seen = seen_as(&world.server, at(outside, 80)).ip();
        assert!([server, SERVER_OTHER[family]].map(ip).contains(&seen), "{seen}");
        assert!(pings(&world.server, outside) && pings(&world.client, server));
    }
    world.end();
}

#[test]
fn clients_with_ipv6_alone_reach_ipv4() {
    require!(root(), tool("curl"));
    let nat = r#"
[[nat]]
id = "six-to-four"
type = "nat64"
from = "trust"
prefix = "64:ff9b::/96"
translate = "interface"
"#;
    // 10.2.0.2 behind the prefix.
    let server = "64:ff9b::a02:2";
    for workers in [1, 2] {
        let world = world(workers, nat);
        world.client.add_route("64:ff9b::/96", ROUTER[1]).unwrap();
        let _mirror = mirror(&world.server, SERVER[0], 80);
        let _echo = udp_echo(&world.server, SERVER[0], 7);
        assert_eq!(seen_as(&world.client, at(server, 80)).ip(), ip(ROUTER_WAN[0]));
        assert!(udp_answers(&world.client, at(server, 7), SOON));
        assert!(pings(&world.client, server));
        let _sink = tcp_server(&world.server, SERVER[0], 81, |mut stream| {
            let good = receive_pattern(&mut stream, 7, BULK / 10).is_ok();
            let _ = stream.write_all(if good { b"all" } else { b"bad" });
        });
        let mut stream = connect(&world.client, at(server, 81), SOON).unwrap();
        send_pattern(&mut stream, 7, BULK / 10).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut told = [0; 3];
        stream.read_exact(&mut told).unwrap();
        assert_eq!(&told, b"all");
        // A smaller path of IPv4 is told in the measure of IPv6.
        world.router.set_mtu("wan0", 1_300).unwrap();
        world.server.set_mtu("s0", 1_300).unwrap();
        wait_for(SOON, "the smaller interface", || {
            let args = ["-6", "-n", "-c1", "-W1", "-M", "do", "-s", "1400", server];
            let told = in_client(&world, "ping", &args);
            (told.stdout + &told.stderr).contains("1320")
        });
        world.end();
    }
}

#[test]
fn a_prefix_of_ipv6_stands_for_another_without_state() {
    require!(root());
    let nat = r#"
[[nat]]
id = "v6"
type = "nptv6"
inside = "fd01::/64"
outside = "fd09::/64"
"#;
    let world = world(2, nat);
    route_pool(&world);
    let _mirror = mirror(&world.server, SERVER[1], 80);
    let seen = seen_as(&world.client, at(SERVER[1], 80)).ip();
    let IpAddr::V6(outside) = seen else { panic!("{seen}") };
    assert_eq!(outside.segments()[..4], [0xfd09, 0, 0, 0], "{seen}");
    let _inside = mirror(&world.client, CLIENT[1], 80);
    seen_as(&world.server, SocketAddr::new(seen, 80));
    assert!(pings(&world.server, &seen.to_string()));
    world.end();
}

#[test]
fn a_smaller_path_is_told_to_the_client_and_large_datagrams_arrive_in_pieces() {
    require!(root());
    let world = world(1, MASQUERADE);
    world.router.set_mtu("wan0", 1_300).unwrap();
    world.server.set_mtu("s0", 1_300).unwrap();
    let _echo = udp_echo(&world.server, SERVER[0], 7);
    wait_for(SOON, "the smaller interface", || {
        let args = ["-n", "-c1", "-W1", "-M", "do", "-s", "1400", SERVER[0]];
        let told = in_client(&world, "ping", &args);
        (told.stdout + &told.stderr).contains("1300")
    });
    let socket = world.client.run(|| UdpSocket::bind(at(CLIENT[0], 0))).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let large = vec![0x5a; 1_900];
    socket.send_to(&large, at(SERVER[0], 7)).unwrap();
    let mut back = vec![0; 2_048];
    let (length, _) = socket.recv_from(&mut back).unwrap();
    assert_eq!(back[..length], large[..]);
    world.end();
}
