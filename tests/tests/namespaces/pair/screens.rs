//! Attacks on a pair: both know of one, who is blocked stays blocked when the other one takes over, and who
//! is guarded stays guarded.

use std::process::Command;
use std::time::{Duration, Instant};

use ringwall_tests::{Background, require, root, run_command, tool, wait_for};

use super::{GAP, PATIENCE, POLICY, PORT, Pair, longest_gap};
use crate::sockets::{at, connect, echoes, tcp_echo};

/// Who scans: another address of the client's host.
const SCANNER: &str = "10.1.0.66";
/// A block is everywhere within a second; and the verbs that ask take a while on a busy machine.
const EVERYWHERE: Duration = Duration::from_secs(3);

const SCREEN: &str = "[[screen]]\nzone = \"trust\"\n\
                      port-scan = { threshold = 20, action = \"block\", block-for = \"10m\" }\n";

fn scan(pair: &Pair) {
    let args = ["-sS", "-Pn", "-n", "--max-retries", "0", "-p", "1-40", "-S", SCANNER, "-e", "c0"];
    let mut nmap = Command::new("nmap");
    nmap.args(args).arg("10.2.0.2");
    pair.client.run(|| run_command(&mut nmap, PATIENCE)).exits(0);
}

fn blocks(pair: &Pair, index: usize) -> Vec<String> {
    let told = pair.verb(index, &["show", "anomalies", "--json"]).exits(0).json();
    let blocks = told["blocks"].as_array().cloned().unwrap_or_default();
    blocks.iter().filter_map(|it| it["source"].as_str().map(str::to_owned)).collect()
}

fn blocked_frames(pair: &Pair, index: usize) -> u64 {
    let counters = pair.verb(index, &["show", "counters", "--json"]).exits(0).json();
    counters["total"]["xdp.blocked"].as_u64().unwrap_or(0)
}

/// Few enough that a flood of any machine is one.
const PROXY: &str = "[[screen]]\nzone = \"trust\"\n\
                     syn-flood = { alarm = 100, destination = 200, action = \"proxy\" }\n";

fn guarded(pair: &Pair, index: usize) -> u64 {
    let told = pair.verb(index, &["show", "screens", "--json"]).exits(0).json();
    told["guarded"].as_u64().unwrap_or(0)
}

fn counter(pair: &Pair, index: usize, name: &str) -> u64 {
    let counters = pair.verb(index, &["show", "counters", "--json"]).exits(0).json();
    counters["total"][name].as_u64().unwrap_or_else(|| panic!("no counter {name}"))
}

/// The standby sees nothing of the flood, and answers it from its first packet on when it takes over: no SYN
/// of the flood makes a session.
#[test]
fn who_takes_over_amid_a_flood_answers_it_at_once() {
    require!(root(), tool("hping3"));
    let mut pair = Pair::new();
    std::fs::write(pair.path("policy.toml"), format!("{POLICY}{PROXY}")).unwrap();
    pair.found();
    let active = pair.starts();
    let _server = tcp_echo(&pair.server, "10.2.0.2", PORT);
    let port = PORT.to_string();
    // 40 s of it. It is ended by itself: of one that started it, it would be left behind.
    let mut hping = Command::new("hping3");
    hping.args(["-q", "--rand-source", "-i", "u500", "-c", "80000", "-S", "-p", &port, "10.2.0.2"]);
    let flood = pair.client.run(|| Background::spawn(&mut hping));
    wait_for(PATIENCE, "the guard of the active node", || guarded(&pair, active) == 1);
    wait_for(PATIENCE, "the guard of the standby", || guarded(&pair, 1 - active) == 1);
    wait_for(PATIENCE, "digests", || {
        let told = pair.verb(1 - active, &["show", "screens", "--json"]).exits(0).json();
        told["digests_taken"].as_u64() > Some(4)
    });

    let before = counter(&pair, 1 - active, "sessions-opened");
    pair.nodes[active] = None; // As a crash.
    wait_for(PATIENCE, "SYNs answered by the standby", || {
        counter(&pair, 1 - active, "xdp.syn-answered") > 2_000
    });
    let opened = counter(&pair, 1 - active, "sessions-opened") - before;
    assert_eq!(opened, 0, "SYNs of the flood made sessions");
    assert_eq!(guarded(&pair, 1 - active), 1);
    drop(flood);
}

#[test]
fn who_is_blocked_stays_blocked_when_the_other_takes_over() {
    require!(root(), tool("nmap"));
    let mut pair = Pair::new();
    std::fs::write(pair.path("policy.toml"), format!("{POLICY}{SCREEN}")).unwrap();
    pair.found();
    let active = pair.starts();
    pair.client.add_address("c0", &format!("{SCANNER}/24")).unwrap();
    let _server = tcp_echo(&pair.server, "10.2.0.2", PORT);
    let mut stream = connect(&pair.client, at("10.2.0.2", PORT), PATIENCE).expect("by the vip");
    echoes(&mut stream, b"hello").expect("an echo");

    scan(&pair);
    wait_for(PATIENCE, "the block where the packets come", || {
        blocks(&pair, active).iter().any(|it| it == SCANNER)
    });
    let known = Instant::now();
    wait_for(PATIENCE, "the block on the standby", || {
        blocks(&pair, 1 - active).iter().any(|it| it == SCANNER)
    });
    let took = known.elapsed();
    assert!(took < EVERYWHERE, "the standby knew {took:?} later");

    pair.nodes[active] = None; // As a crash.
    let gap = longest_gap(&mut stream, Duration::from_secs(2));
    assert!(gap <= GAP, "who is not blocked had no answer for {gap:?}");
    let before = blocked_frames(&pair, 1 - active);
    scan(&pair);
    wait_for(PATIENCE, "drops where the packets come now", || {
        blocked_frames(&pair, 1 - active) >= before + 20
    });
    echoes(&mut stream, b"still there").expect("an echo");
}
