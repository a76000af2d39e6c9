//! Attackers' own tools against a zone with a screen: each attack is named rightly, with its source, or with
//! its destination where sources are forged; what the policy refuses never arrives.

mod floods;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use datapath::xdp::{BpfDir, Mode, PortConfig, Program, detach_all};
use ringwall_tests::world::{CLIENT, Plan, SERVER, SERVER_OTHER, SOON, World};
use ringwall_tests::{Outcome, require, root, run_command, tool, wait_for};
use serde_json::Value;

use crate::sockets::{at, connect, echoes, pings, tcp_echo, tcp_server};

/// Port 80 is open, all others are refused. `action` is the screen's.
fn policy(action: &str, more: &str) -> String {
    format!(
        "[zones]\ntrust = [\"lan\"]\nuntrust = [\"wan\"]\n\
         [[rule]]\nid = \"web\"\nfrom = \"trust\"\nto = \"untrust\"\n\
         service = [\"tcp/80\", \"icmp/echo-request\"]\naction = \"permit\"\n\
         [[screen]]\nzone = \"trust\"\naction = \"{action}\"\n{more}"
    )
}

/// Tools that wait for answers which do not come.
const LONG: Duration = Duration::from_secs(120);

/// What is seen of an attack.
#[derive(Debug, PartialEq)]
struct Seen<'a> {
    kind: &'a str,
    source: Option<&'a str>,
    destination: Option<&'a str>,
}

fn attack(world: &World, program: &str, args: &[&str]) -> Outcome {
    world.client.run(|| run_command(Command::new(program).args(args), LONG))
}

fn attacks(world: &World) -> Vec<Value> {
    let told = world.json(&["show", "anomalies"]);
    assert_eq!(told["screening"], true);
    told["attacks"].as_array().unwrap().clone()
}

/// Waits until the attack is shown.
#[track_caller]
fn is_named(world: &World, what: &str, seen: &Seen<'_>) {
    let mut last = Vec::new();
    let named = std::iter::repeat_with(|| {
        last = attacks(world);
        std::thread::sleep(Duration::from_millis(100));
        last.iter().any(|it| {
            it["kind"] == seen.kind
                && it["source"].as_str() == seen.source
                && it["destination"].as_str() == seen.destination
        })
    });
    let named = named.take(100).any(|named| named);
    assert!(named, "{what}: {seen:?} is not among {last:#?}");
}

fn forget(world: &World) {
    world.verb(&["clear", "anomalies"]).exits(0);
}

/// Scans, with what they are called.
const SCANS: [(&[&str], &str); 9] = [
    (&["-sS", "-p", "1-60"], "tcp-port-scan"),
    (&["-sS", "-T2", "--scan-delay", "50ms", "-p", "100-140"], "tcp-port-scan"),
    (&["-sS", "-T5", "-p", "1-1000"], "tcp-port-scan"),
    (&["-sT", "-p", "1-60"], "tcp-port-scan"),
    (&["-sA", "-p", "1-60"], "tcp-port-scan"),
    (&["-sU", "-p", "1-60"], "udp-port-scan"),
    (&["-sF", "-p", "1-60"], "tcp-fin-without-ack"),
    (&["-sN", "-p", "1-60"], "tcp-no-flags"),
    (&["-sX", "-p", "1-60"], "tcp-xmas"),
];

#[test]
fn every_scan_of_nmap_is_named_with_its_source() {
    require!(root(), tool("nmap"));
    let world = World::running(Plan::routed(2, &policy("alarm", "")));
    let _web = tcp_echo(&world.server, SERVER[0], 80);
    for (kind_of_scan, kind) in SCANS {
        forget(&world);
        let args = ["-Pn", "-n", "--max-retries", "0", SERVER[0]];
        attack(&world, "nmap", &[kind_of_scan, &args[..]].concat()).exits(0);
        let destination = (!kind.ends_with("-scan")).then_some(SERVER[0]);
        let seen = Seen { kind, source: Some(CLIENT[0]), destination };
        is_named(&world, &kind_of_scan.join(" "), &seen);
    }
    world.end();
}

#[test]
fn a_scan_by_ipv6_and_a_sweep_are_named() {
    require!(root(), tool("nmap"));
    let world = World::running(Plan::routed(1, &policy("alarm", "")));
    let args = ["-6", "-sS", "-Pn", "-n", "--max-retries", "0", "-p", "1-60", SERVER[1]];
    attack(&world, "nmap", &args).exits(0);
    let source = Some("fd01::/64");
    is_named(&world, "nmap -6", &Seen { kind: "tcp-port-scan", source, destination: None });
    let sweep = ["-sS", "-Pn", "-n", "--max-retries", "0", "-p", "23", "10.2.0.32/27"];
    attack(&world, "nmap", &sweep).exits(0);
    let source = Some(CLIENT[0]);
    is_named(&world, "nmap of a network", &Seen { kind: "tcp-sweep", source, destination: None });
    let metrics = world.metrics();
    for kind in ["tcp-port-scan", "tcp-sweep"] {
        let told = format!("ringwall_attacks_begun_total{{kind=\"{kind}\"}} 1\n");
        assert!(metrics.contains(&told), "{metrics}");
    }
    world.end();
}

/// The scanner does not find what it had found without a block, and others go on.
#[test]
fn who_scans_is_blocked_everywhere_at_once_and_others_are_not() {
    require!(root(), tool("nmap"));
    let block = "port-scan = { threshold = 20, action = \"block\" }\n";
    let world = World::running(Plan::routed(2, &policy("alarm", block)));
    let _web = tcp_echo(&world.server, SERVER[0], 80);
    let mut before = connect(&world.client, at(SERVER[0], 80), SOON).unwrap();
    echoes(&mut before, b"before").unwrap();
    let args = ["-sS", "-Pn", "-n", "--max-retries", "0", "-p", "1-60", SERVER[0]];
    attack(&world, "nmap", &args).exits(0);
    wait_for(SOON, "the block", || {
        let told = world.json(&["show", "anomalies"]);
        told["blocks"].as_array().unwrap().iter().any(|it| it["source"] == CLIENT[0])
    });
    wait_for(SOON, "drops by the XDP program", || {
        assert!(!pings(&world.client, SERVER[0]), "who is blocked reaches nobody");
        world.counter("xdp.blocked") > 0
    });
    // IPv6 is another source.
    assert!(pings(&world.client, SERVER[1]));
    world.verb(&["clear", "anomalies"]).exits(0);
    wait_for(SOON, "the end of the block", || pings(&world.client, SERVER[0]));
    echoes(&mut before, b"after").unwrap();
    world.end();
}

/// Forged sources: the destination is named, nobody is accused, and a connection that is open goes on.
#[test]
fn a_flood_from_forged_sources_is_named_by_its_destination() {
    require!(root(), tool("hping3"));
    let flood = "syn-flood = { destination = 500, action = \"drop\" }\n";
    let world = World::running(Plan::routed(2, &policy("alarm", flood)));
    let _web = tcp_echo(&world.server, SERVER[0], 80);
    let mut open = connect(&world.client, at(SERVER[0], 80), SOON).unwrap();
    let args = ["-S", "-p", "80", "--rand-source", "-i", "u200", "-c", "10000", "-q", SERVER[0]];
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| attack(&world, "hping3", &args));
        let seen = Seen { kind: "syn-flood", source: None, destination: Some(SERVER[0]) };
        is_named(&world, "hping3 --rand-source", &seen);
        echoes(&mut open, b"in the flood").unwrap();
        // It waits for answers that never come.
        let _ = flooding.join().unwrap();
    });
    assert!(world.counter("dropped.syn-flood") > 1_000);
    for it in attacks(&world) {
        assert_eq!(it["source"], Value::Null, "nobody is accused by forged packets: {it}");
    }
    world.end();
}

/// Of a scanner among decoys nobody can say who he is: what they scan is named, and nobody is blocked.
#[test]
fn a_scan_with_decoys_is_named_by_its_destination() {
    require!(root(), tool("nmap"));
    let world = World::running(Plan::routed(1, &policy("block", "")));
    let decoys: Vec<String> = (1..=20).map(|host| format!("172.20.0.{host}")).collect();
    let decoys = decoys.join(",");
    let args = ["-sS", "-Pn", "-n", "--max-retries", "0", "-p", "1-30", "-D", &decoys, SERVER[0]];
    attack(&world, "nmap", &args).exits(0);
    let seen = Seen { kind: "tcp-port-scan", source: None, destination: Some(SERVER[0]) };
    is_named(&world, "nmap -D", &seen);
    wait_for(SOON, "nobody blocked", || {
        world.json(&["show", "anomalies"])["blocks"].as_array().unwrap().is_empty()
    });
    world.end();
}

#[test]
fn masscan_is_named() {
    require!(root(), tool("masscan"));
    let world = World::running(Plan::routed(1, &policy("alarm", "")));
    let args = ["-p1-100", "--rate", "1000", "--wait", "0", "-e", "c0", "--source-ip", CLIENT[0]];
    let router = router_mac(&world);
    let args = [&args[..], &["--router-mac", &router, SERVER[0]]].concat();
    attack(&world, "masscan", &args).exits(0);
    let seen = Seen { kind: "tcp-port-scan", source: Some(CLIENT[0]), destination: None };
    is_named(&world, "masscan", &seen);
    world.end();
}

fn router_mac(world: &World) -> String {
    let mac = world.router.run(|| std::fs::read_to_string("/sys/class/net/lan0/address"));
    mac.map_or_else(|_| shown_mac(world), |mac| mac.trim().to_owned())
}

/// Where `sysfs` shows another namespace.
fn shown_mac(world: &World) -> String {
    let mut ip = Command::new("ip");
    let shown = world.router.run(|| run_command(ip.args(["-j", "link", "show", "lan0"]), SOON));
    shown.exits(0).json()[0]["address"].as_str().unwrap().to_owned()
}

/// Packets that no stack sends, made by scapy: what each is called.
const ODD: [(&str, &str, &str); 6] = [
    (
        "teardrop",
        "teardrop",
        "p=IP(dst=D,id=7,flags='MF')/UDP(sport=1,dport=80)/('a'*24);\
         q=IP(dst=D,id=7,frag=3,proto=17)/('b'*4); send([p,q])",
    ),
    // Its first fragment has 36 bytes, which is no multiple of eight (RFC 791 §2.3), and goes first.
    (
        "teardrop as it was published",
        "fragment-bad",
        "p=IP(dst=D,id=9,flags='MF')/UDP(sport=1,dport=80)/('a'*28);\
         q=IP(dst=D,id=9,frag=3,proto=17)/('b'*4); send([p,q])",
    ),
    (
        "ping of death",
        "ping-of-death",
        "send([IP(dst=D,id=8,flags='MF')/ICMP()/('a'*1392), IP(dst=D,id=8,frag=8189,proto=1)/('b'*600)])",
    ),
    ("land", "land", "send(IP(src=D,dst=D)/TCP(sport=80,dport=80,flags='S'))"),
    ("syn and fin", "tcp-syn-fin", "send(IP(dst=D)/TCP(dport=80,flags='SF'))"),
    (
        "source route",
        "source-route",
        "send(IP(dst=D,options=[IPOption_LSRR(routers=['10.9.9.9'])])/TCP(dport=80,flags='S'))",
    ),
];

#[test]
fn packets_that_cannot_be_right_are_named() {
    require!(root(), tool("scapy"));
    let world = World::running(Plan::routed(1, &policy("alarm", "")));
    assert!(pings(&world.client, SERVER[0]));
    let forwarded = world.counter("forwarded");
    for (what, kind, code) in ODD {
        forget(&world);
        let code = format!(
            "from scapy.all import *; conf.verb=0; D='{}'; S=send\n\
             def send(x): S(x, iface='c0')\n{code}",
            SERVER[0]
        );
        attack(&world, "/usr/bin/python3", &["-c", &code]).exits(0);
        let source = if kind == "land" { SERVER[0] } else { CLIENT[0] };
        let seen = Seen { kind, source: Some(source), destination: Some(SERVER[0]) };
        is_named(&world, what, &seen);
    }
    assert_eq!(world.counter("forwarded"), forwarded, "none of them reached anybody");
    world.end();
}

/// Ways around a packet filter that `atk6-firewall6` tries, the last one with eleven source ports.
const WAYS: usize = 39;
/// Ways that are tried at a time: each waits some seconds for an answer.
const WAYS_AT_ONCE: usize = 10;

#[test]
fn atk6_firewall6_never_reaches_a_denied_port() {
    require!(root(), tool("atk6-firewall6"));
    let world = World::running(Plan::routed(1, &policy("alarm", "")));
    let reached = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&reached);
    let _denied = tcp_server(&world.server, SERVER[1], 22, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let next = AtomicUsize::new(WAYS);
    std::thread::scope(|scope| {
        for _ in 0..WAYS_AT_ONCE {
            scope.spawn(|| {
                // The longest first.
                while let Some(way) = count_down(&next) {
                    let number = way.to_string();
                    let outcome =
                        attack(&world, "atk6-firewall6", &["c0", SERVER[1], "22", &number]);
                    let failed = outcome.stdout.contains("FAILED - no reply");
                    assert!(failed && !outcome.stdout.contains("PASSED"), "way {way}: {outcome:?}");
                }
            });
        }
    });
    assert_eq!(reached.load(Ordering::Relaxed), 0, "a connection to the denied port was made");
    world.end();
}

/// The number before it is lowered; `None` at 0.
fn count_down(next: &AtomicUsize) -> Option<usize> {
    let lowered = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1));
    lowered.ok().filter(|it| *it > 0)
}

/// A program at the client's end of its veth, which lets in what its connections get. Without one there, the
/// kernel keeps what the firewall's program sends back until something else comes that way.
struct ClientEnd {
    program: Option<Program>,
    dir: BpfDir,
    path: PathBuf,
}

impl ClientEnd {
    fn of(world: &World) -> Self {
        let path =
            PathBuf::from(format!("/sys/fs/bpf/ringwall-test-client-{}", std::process::id()));
        let dir = BpfDir::prepare(&path).unwrap();
        let ifindex = world.client.link("c0").unwrap().index;
        let mut program = Program::load().unwrap();
        let port = PortConfig { index: 0, mode: Mode::Routed, domain: 0, mac: None };
        program.set_port(ifindex, &port).unwrap();
        let own = CLIENT.map(|text| (0, text.parse().unwrap()));
        program.set_host_addresses(own).unwrap();
        world.client.run(|| program.attach(&dir, ifindex)).unwrap();
        Self { program: Some(program), dir, path }
    }

    fn end(mut self, world: &World) {
        self.program = None;
        world.client.run(|| detach_all(&self.dir)).unwrap();
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// While a server is flooded, nothing of the flood reaches it, and who answers a cookie does: with all that
/// its kernel and the server's agree on.
#[test]
fn a_flooded_server_is_answered_for_and_reached_by_who_answers() {
    require!(root(), tool("hping3"));
    let flood = "syn-flood = { alarm = 100, destination = 200, action = \"proxy\" }\n";
    let world = World::running(Plan::routed(2, &policy("alarm", flood)));
    let end = ClientEnd::of(&world);
    let _web = tcp_echo(&world.server, SERVER[0], 80);
    let mut before = connect(&world.client, at(SERVER[0], 80), SOON).unwrap();
    echoes(&mut before, b"before").unwrap();
    let args = ["-S", "-p", "80", "--rand-source", "-i", "u200", "-c", "20000", "-q", SERVER[0]];
    let text: Vec<u8> = (0..5_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut open = Vec::new();
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| attack(&world, "hping3", &args));
        wait_for(SOON, "SYNs answered", || world.counter("xdp.syn-answered") > 100);
        let opened = world.counter("sessions-opened");
        for round in 0..20 {
            let mut stream = connect(&world.client, at(SERVER[0], 80), SOON).unwrap();
            echoes(&mut stream, &text).unwrap_or_else(|error| panic!("{round}: {error}"));
            open.push(stream);
        }
        let opened = world.counter("sessions-opened") - opened;
        assert_eq!(opened, 20, "no SYN of the flood has made a session");
        echoes(&mut before, b"in the flood").unwrap();
        let _ = flooding.join().unwrap();
    });
    // The flood is over; its connections are not, nor is a refused port open any more.
    wait_for(LONG, "the end of the attack", || attacks(&world).is_empty());
    for stream in &mut open {
        echoes(stream, &text).unwrap();
    }
    drop(open);
    let answered = world.counter("xdp.syn-answered");
    let mut after = connect(&world.client, at(SERVER[0], 80), SOON).unwrap();
    echoes(&mut after, b"after").unwrap();
    assert_eq!(world.counter("xdp.syn-answered"), answered);
    end.end(&world);
    world.end();
}
