//! Closed by default: without a live daemon no transit packet passes, whatever the kernel would do.
//!
//! The kernel's forwarding is switched on here for both IP versions, and the last step shows that
//! it would forward: once the program is detached, the same probes pass.

use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use ringwall_tests::world::{Plan, SERVER, SOON, World};
use ringwall_tests::{Outcome, binary, require, root, run_command, tool, wait_for};

use crate::sockets::{Server, at, connect, echoes, tcp_echo, udp, udp_answers, udp_echo};

const PORT: u16 = 7001;

const POLICY: &str = r#"
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

/// The lease, and then some: what was on its way when the daemon stopped has passed by now.
const LEASE_OVER: Duration = Duration::from_millis(1500);
/// Datagrams of one round of probes, over existing flows and new ones.
const PROBES: u64 = 100;

/// A world with the kernel's forwarding on, echo servers, and flows that are already open.
struct Watch {
    world: World,
    servers: Vec<(Server, Server)>,
    open: Vec<(UdpSocket, TcpStream)>,
}

impl Watch {
    fn new(workers: u16) -> Self {
        let world = World::new(Plan::routed(workers, POLICY));
        world.router.set_sysctl("net/ipv4/ip_forward", "1").unwrap();
        world.router.set_sysctl("net/ipv6/conf/all/forwarding", "1").unwrap();
        let echo =
            |server| (udp_echo(&world.server, server, PORT), tcp_echo(&world.server, server, PORT));
        let servers = SERVER.map(echo).into();
        Self { world, servers, open: Vec::new() }
    }

    fn start(&mut self) {
        self.world.start();
        self.open.clear();
        for server in SERVER {
            let to = at(server, PORT);
            assert!(udp_answers(&self.world.client, to, SOON), "{server}: no UDP at the start");
            let mut tcp = connect(&self.world.client, to, SOON).unwrap();
            echoes(&mut tcp, b"before").unwrap();
            self.open.push((udp(&self.world.client, to), tcp));
        }
    }

    fn received(&self) -> [u64; 2] {
        [0, 1]
            .map(|version| self.servers[version].0.received() + self.servers[version].1.received())
    }

    /// One round of probes: datagrams in old and new flows, new connections, data in old ones.
    /// How many arrived, by IP version.
    fn probes(&mut self) -> [u64; 2] {
        let before = self.received();
        for (server, (old, tcp)) in SERVER.iter().zip(&mut self.open) {
            let to = at(server, PORT);
            let new = udp(&self.world.client, to);
            for _ in 0..PROBES / 2 {
                // An ICMP error of an earlier probe may show up here; it is no arrival.
                let _ = (old.send(b"old"), new.send(b"new"));
            }
            let _ = connect(&self.world.client, to, Duration::from_millis(300));
            let _ = echoes_soon(tcp);
        }
        std::thread::sleep(Duration::from_millis(200)); // What can arrive has arrived.
        let after = self.received();
        [after[0] - before[0], after[1] - before[1]]
    }

    /// Nothing passes, not even once the neighbours are known to the kernel and all is warm.
    #[track_caller]
    fn assert_closed(&mut self, when: &str) {
        for round in 0..2 {
            assert_eq!(self.probes(), [0, 0], "{when}, round {round}: packets passed");
        }
    }
}

/// Data in an existing connection; whether it came back at once.
fn echoes_soon(tcp: &mut TcpStream) -> bool {
    tcp.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let came = echoes(tcp, b"during").is_ok();
    tcp.set_read_timeout(Some(SOON)).unwrap();
    came
}

#[test]
fn a_killed_daemon_leaves_the_way_closed_and_the_next_one_opens_it() {
    require!(root());
    for workers in [1, 2] {
        killed(workers);
    }
}

fn killed(workers: u16) {
    let mut watch = Watch::new(workers);
    watch.start();
    watch.world.kill();
    watch.assert_closed("killed");
    // The next daemon adopts the pinned program: no moment without it, and traffic goes on.
    watch.start();
    watch.world.assert_conservation();
    watch.world.stop();
    watch.assert_closed("stopped in order");
    watch.world.detach();
    let [v4, v6] = watch.probes();
    assert!(v4 >= PROBES / 2 && v6 >= PROBES / 2, "the kernel forwards only {v4} and {v6}");
}

#[test]
fn a_daemon_that_stands_still_forwards_nothing_and_recovers() {
    require!(root());
    for workers in [1, 2] {
        frozen(workers);
    }
}

fn frozen(workers: u16) {
    let mut watch = Watch::new(workers);
    watch.start();
    watch.world.node().signal(Signal::SIGSTOP);
    std::thread::sleep(LEASE_OVER);
    watch.assert_closed("SIGSTOP");
    let before = watch.received();
    watch.world.node().signal(Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(100));
    let late = [watch.received()[0] - before[0], watch.received()[1] - before[1]];
    // Established TCP retransmits, so that one more arrival a connection is its own doing.
    eprintln!("{workers} worker(s): {late:?} arrivals within 100 ms of SIGCONT");
    for server in SERVER {
        wait_for(SOON, "traffic after SIGCONT", || {
            udp_answers(&watch.world.client, at(server, PORT), Duration::from_millis(100))
        });
    }
    for (_, tcp) in &mut watch.open {
        let mut rest = vec![0; b"during".len() * 2];
        // What was sent meanwhile is delivered late, not lost: TCP sees to that.
        std::io::Read::read_exact(tcp, &mut rest).unwrap();
        echoes(tcp, b"after").unwrap();
    }
    watch.world.end();
}

#[test]
fn detach_is_refused_while_a_daemon_lives_and_works_without_one() {
    require!(root());
    for workers in [1, 2] {
        detached(workers);
    }
}

fn detached(workers: u16) {
    let mut world = World::running(Plan::routed(workers, POLICY));
    let node = world.path("node.toml");
    let detach = ["detach", "--node", node.to_str().unwrap()];
    world.verb(&detach).exits(1).says("holds interface");
    world.stop();
    assert!(world.bpf_dir().read_dir().unwrap().next().is_some(), "nothing is pinned");
    world.verb(&detach).exits(0);
    assert!(world.bpf_dir().read_dir().is_ok_and(|mut pinned| pinned.next().is_none()));
    world.verb(&detach).exits(0); // Nothing left to do, and that is no failure.
}

#[test]
fn a_bpf_file_system_that_dies_with_the_process_is_refused() {
    require!(root(), tool("unshare"), tool("mount"));
    for workers in [1, 2] {
        let world = World::new(Plan::routed(workers, POLICY));
        let outcome = run_in_own_mounts(&world);
        outcome.exits(1).says("nsenter --net").says("ip netns exec");
        assert!(!world.socket().exists());
    }
}

/// As `ip netns exec` does it: a mount namespace of its own, with a new `/sys` and no bpffs.
fn run_in_own_mounts(world: &World) -> Outcome {
    let script = "umount -l /sys && mount -t sysfs sysfs /sys && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    command.arg(binary()).arg("run").arg("--node").arg(world.path("node.toml"));
    command.arg("--policy").arg(world.path("policy.toml"));
    world.router.run(|| run_command(&mut command, SOON))
}
