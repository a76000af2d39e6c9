//! A node in a network namespace between two others, with real sockets at both ends.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use config::api;
use datapath::xdp::{BpfDir, detach_all};
use netns::{End, Namespace, VethOptions};
use ringwall_actors::{Seed, start};

const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]
[[rule]]
id = "out"
from = "trust"
to = "untrust"
service = ["tcp/7000", "udp/7000"]
action = "permit"
log = ["open", "close"]
"#;

struct World {
    client: Namespace,
    router: Namespace,
    server: Namespace,
    data: tempfile::TempDir,
}

impl World {
    fn new(queues: u32) -> Self {
        let (client, router, server) = (
            Namespace::new("rwc").unwrap(),
            Namespace::new("rwr").unwrap(),
            Namespace::new("rws").unwrap(),
        );
        let options = VethOptions { queues, ..VethOptions::default() };
        netns::veth(End::new(&client, "c0"), End::new(&router, "lan0"), &options).unwrap();
        netns::veth(End::new(&server, "s0"), End::new(&router, "wan0"), &options).unwrap();
        client.add_address("c0", "10.0.1.2/24").unwrap();
        router.add_address("lan0", "10.0.1.1/24").unwrap();
        router.add_address("wan0", "10.0.2.1/24").unwrap();
        server.add_address("s0", "10.0.2.2/24").unwrap();
        client.add_route("0.0.0.0/0", "10.0.1.1").unwrap();
        server.add_route("0.0.0.0/0", "10.0.2.1").unwrap();
        netns::wait_ready(&[(&client, "c0"), (&server, "s0")]).unwrap();
        Self { client, router, server, data: tempfile::tempdir().unwrap() }
    }

    /// Where the node pins its links: of this world alone, since tests run side by side.
    fn bpf_dir(&self) -> String {
        format!("/sys/fs/bpf/ringwall-node-{}-{}", std::process::id(), self.router.inode())
    }

    fn config(&self, workers: u16) -> config::Node {
        let (data, bpf_dir) = (self.data.path().display(), self.bpf_dir());
        let text = format!(
            "[node]\nid = 1\nname = \"test\"\ndata-dir = \"{data}\"\nworkers = {workers}\n\
             bpf-dir = \"{bpf_dir}\"\nsessions = 4096\n\
             [[port]]\nname = \"lan\"\ninterface = \"lan0\"\n\
             [[port]]\nname = \"wan\"\ninterface = \"wan0\"\n"
        );
        config::parse_node("node.toml", &text).unwrap().value
    }
}

impl Drop for World {
    /// Pins outlive the process, which is what they are for.
    fn drop(&mut self) {
        let path = self.bpf_dir();
        let left = self.router.run(|| {
            let directory = BpfDir::prepare(Path::new(&path)).map_err(|error| error.to_string())?;
            detach_all(&directory).map_err(|error| error.to_string())?;
            std::fs::remove_dir_all(&path).map_err(|error| error.to_string())
        });
        if let Err(error) = left {
            eprintln!("{path} stays: {error}");
        }
    }
}

fn allowed() -> bool {
    match netns::available() {
        Ok(()) => true,
        Err(why) => {
            assert!(std::env::var_os("RINGWALL_REQUIRE_ALL").is_none(), "required, but {why}");
            eprintln!("SKIPPED: {why}");
            false
        }
    }
}

/// Runs a node in the router's namespace while `work` goes on.
fn with_node(world: &World, workers: u16, work: impl FnOnce(&ringwall_actors::Node) + Send) {
    let seed = Seed { file: "policy.toml".to_owned(), text: POLICY.to_owned() };
    world.router.run(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let node = runtime.block_on(start(world.config(workers), Some(seed))).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| work(&node)).join().unwrap();
        });
        let counters = runtime.block_on(node.counters()).unwrap();
        runtime.block_on(node.shutdown()).unwrap();
        assert_balanced(&counters);
    });
}

fn assert_balanced(counters: &api::Counters) {
    let get = |name: &str| counters.total.get(name).copied().unwrap_or_default();
    let taken = get("received") + get("handed-in");
    let given: u64 = ["forwarded", "answered", "consumed", "held", "handed-out", "dropped"]
        .iter()
        .map(|name| get(name))
        .sum();
    assert_eq!(taken, given, "{:?}", counters.total);
}

fn echo(world: &World, megabytes: usize) {
    let listener = world.server.run(|| TcpListener::bind("10.0.2.2:7000").unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; 65_536];
        loop {
            let read = stream.read(&mut buffer).unwrap();
            if read == 0 {
                break;
            }
            stream.write_all(&buffer[..read]).unwrap();
        }
    });
    let mut stream = world.client.run(|| TcpStream::connect("10.0.2.2:7000").unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let total = megabytes << 20;
    let writer = std::thread::spawn(move || {
        let mut sent = 0;
        while sent < total {
            let chunk: Vec<u8> = (sent..sent + 65_536).map(|at| ((at * 31) >> 3) as u8).collect();
            stream.write_all(&chunk).unwrap();
            sent += chunk.len();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let (mut received, mut buffer) = (0, vec![0; 65_536]);
    loop {
        let read = reader.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        for (offset, byte) in buffer[..read].iter().enumerate() {
            assert_eq!(*byte, (((received + offset) * 31) >> 3) as u8, "at {}", received + offset);
        }
        received += read;
    }
    assert_eq!(received, total);
    writer.join().unwrap();
    server.join().unwrap();
}

fn passes(world: &World, workers: u16) {
    let begun = Instant::now();
    with_node(world, workers, |_| {
        echo(world, 16);
        let server = world.server.run(|| UdpSocket::bind("10.0.2.2:7001").unwrap());
        let client = world.client.run(|| UdpSocket::bind("10.0.1.2:0").unwrap());
        server.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        client.send_to(b"forbidden", "10.0.2.2:7001").unwrap();
        assert!(server.recv(&mut [0; 64]).is_err(), "a forbidden datagram passed");
    });
    eprintln!("{workers} worker(s): {:?}", begun.elapsed());
}

#[test]
fn tcp_passes_and_what_is_forbidden_does_not() {
    if allowed() {
        passes(&World::new(1), 1);
    }
}

#[test]
fn two_workers_hand_packets_to_one_another() {
    if allowed() {
        passes(&World::new(2), 2);
    }
}
