//! Tools that flood, sweep and send what no stack sends: named rightly, and stopped.
//!
//! Floods run for some seconds at whatever rate the machine gives them, so a threshold here is far below any.

use super::*;

/// All of IPv6 behind the client's link is one source.
const CLIENT_NET: &str = "fd01::/64";
const V6: &str = SERVER[1];
const V6_OTHER: &str = SERVER_OTHER[1];

/// What is above a threshold is dropped, and who is above his own is blocked.
const FLOODS: &str = "syn-flood = { source = 500, alarm = 200, destination = 400, action = \"block\" }\n\
                      icmp-flood = { threshold = 300, action = \"drop\" }\n\
                      udp-flood = { threshold = 300, action = \"drop\" }\n\
                      fragment-flood = { threshold = 300, action = \"drop\" }\n";
/// Who scans is blocked.
const SCANS_BLOCKED: &str = "port-scan = { action = \"block\", block-for = \"10m\" }\n\
                             address-sweep = { action = \"block\", block-for = \"10m\" }\n";
/// Who sends what cannot be right is blocked.
const ODD_BLOCKED: &str = "anomalies = { action = \"block\", block-for = \"10m\" }\n";

/// How it is seen that an attack is stopped.
#[derive(Clone, Copy, Debug)]
enum Stopped {
    /// Its source is blocked.
    Blocked,
    /// This counter counts what is dropped of it, and nobody is blocked.
    Dropped(&'static str),
}

/// A tool with its arguments, the screen, and what becomes of it.
struct Row<'a> {
    tool: &'a str,
    args: &'a [&'a str],
    screen: &'a str,
    seen: Seen<'a>,
    stopped: Stopped,
}

const fn from(kind: &str) -> Seen<'_> {
    Seen { kind, source: Some(CLIENT_NET), destination: None }
}

const fn to<'a>(kind: &'a str, destination: &'a str) -> Seen<'a> {
    Seen { kind, source: None, destination: Some(destination) }
}

const fn odd(kind: &str) -> Seen<'_> {
    Seen { kind, source: Some(CLIENT_NET), destination: Some(SERVER[1]) }
}

const fn row<'a>(
    (tool, args): (&'a str, &'a [&'a str]),
    screen: &'a str,
    seen: Seen<'a>,
    stopped: Stopped,
) -> Row<'a> {
    Row { tool, args, screen, seen, stopped }
}

const ICMP: Stopped = Stopped::Dropped("dropped.icmp-flood");
const SYN: Stopped = Stopped::Dropped("dropped.syn-flood");

/// Seconds after which a tool that never ends is ended: longer than a next hop is waited for.
const FLOOD_SECONDS: &str = "7";

/// Runs a tool until it ends, or its time is over. What it says does not matter: most are killed.
fn run_for(world: &World, row: &Row<'_>) {
    let timed = ["-s", "INT", "-k", "2", FLOOD_SECONDS, row.tool];
    attack(world, "timeout", &[&timed[..], row.args].concat());
}

fn blocked(world: &World) -> Vec<String> {
    let told = world.json(&["show", "anomalies"]);
    let blocks = told["blocks"].as_array().unwrap();
    blocks.iter().filter_map(|it| it["source"].as_str().map(str::to_owned)).collect()
}

/// Each in a world of its own: what one tool did says nothing of the next one.
#[track_caller]
fn each_is_named_and_stopped(rows: &[Row<'_>]) {
    for row in rows {
        let world = World::running(Plan::routed(1, &policy("alarm", row.screen)));
        let _web = [0, 1].map(|family| tcp_echo(&world.server, SERVER[family], 80));
        let what = format!("{} {}", row.tool, row.args.join(" "));
        std::thread::scope(|scope| {
            scope.spawn(|| run_for(&world, row));
            is_named(&world, &what, &row.seen);
        });
        match row.stopped {
            Stopped::Blocked => {
                let source = row.seen.source.unwrap();
                wait_for(SOON, &what, || blocked(&world).iter().any(|it| it == source));
                wait_for(SOON, &what, || world.counter("xdp.blocked") > 0);
            }
            Stopped::Dropped(counter) => {
                assert!(world.counter(counter) > 100, "{what}");
                assert_eq!(blocked(&world), [""; 0], "{what}: nobody is accused");
            }
        }
        world.end();
    }
}

#[test]
fn floods_of_hping3_are_named_and_stopped() {
    require!(root(), tool("hping3"));
    const FORGED: [&str; 3] = ["-q", "--flood", "--rand-source"];
    let server = SERVER[0];
    let syn = [&FORGED[..], &["-S", "-p", "80", server]].concat();
    let udp = [&FORGED[..], &["-2", "-p", "53", server]].concat();
    let icmp = [&FORGED[..], &["-1", server]].concat();
    let fragments = [&FORGED[..], &["-1", "-x", "-d", "96", server]].concat();
    let own = ["-q", "--flood", "-S", "-p", "80", server];
    each_is_named_and_stopped(&[
        row(("hping3", &syn), FLOODS, to("syn-flood", server), SYN),
        row(
            ("hping3", &udp),
            FLOODS,
            to("udp-flood", server),
            Stopped::Dropped("dropped.udp-flood"),
        ),
        row(("hping3", &icmp), FLOODS, to("icmp-flood", server), ICMP),
        row(
            ("hping3", &fragments),
            FLOODS,
            to("fragment-flood", server),
            Stopped::Dropped("dropped.fragment-flood"),
        ),
        row(
            ("hping3", &own),
            FLOODS,
            Seen { kind: "syn-flood", source: Some(CLIENT[0]), destination: None },
            Stopped::Blocked,
        ),
    ]);
}

/// Of the tools that speak to the link alone (router and neighbour messages, MLD, DHCPv6) a router passes
/// nothing on; these go through it.
#[test]
fn floods_of_thc_ipv6_are_named_and_stopped() {
    require!(root(), tool("atk6-denial6"));
    let denial = ["1", "2", "5", "7"].map(|case| ["c0", V6, case]);
    let mut rows: Vec<_> = denial
        .iter()
        .map(|args| row(("atk6-denial6", args), FLOODS, to("icmp-flood", V6), ICMP))
        .collect();
    let flood = |tool, args, seen, stopped| row((tool, args), FLOODS, seen, stopped);
    rows.extend([
        flood("atk6-flood_unreach6", &["c0", V6], to("icmp-flood", V6), ICMP),
        flood("atk6-flood_unreach6", &["-R", "c0", V6], to("icmp-flood", V6), ICMP),
        flood("atk6-smurf6", &["c0", V6, V6_OTHER], to("icmp-flood", V6_OTHER), ICMP),
        flood("atk6-thcsyn6", &["c0", V6, "80"], from("syn-flood"), Stopped::Blocked),
        flood("atk6-thcsyn6", &["-R", "c0", V6, "80"], to("syn-flood", V6), SYN),
    ]);
    each_is_named_and_stopped(&rows);
}

#[test]
fn sweeps_and_scans_of_thc_ipv6_are_named_and_stopped() {
    require!(root(), tool("atk6-ndpexhaust26"));
    let scan = |tool, args, seen| row((tool, args), SCANS_BLOCKED, seen, Stopped::Blocked);
    each_is_named_and_stopped(&[
        // Permitted, and to hosts that nobody has: their next hops stay silent.
        scan("atk6-ndpexhaust26", &["-p", "c0", "fd02::"], from("icmp-sweep")),
        scan("atk6-ndpexhaust26", &["-p", "-r", "c0", "fd02::"], from("icmp-sweep")),
        scan("atk6-ndpexhaust6", &["c0", "fd02::/64"], from("icmp-sweep")),
        scan("atk6-thcsyn6", &["-D", "c0", V6, "80"], from("tcp-sweep")),
        scan("atk6-thcsyn6", &["-A", "c0", V6, "x"], from("tcp-port-scan")),
    ]);
}

#[test]
fn what_thc_ipv6_sends_that_cannot_be_right_is_named_and_its_sender_blocked() {
    require!(root(), tool("atk6-denial6"));
    let cases = [("3", "extension-chain"), ("4", "extension-chain"), ("6", "fragment-bad")];
    let cases = cases.map(|(case, kind)| (["c0", V6, case], kind));
    let rows: Vec<_> = cases
        .iter()
        .map(|(args, kind)| row(("atk6-denial6", args), ODD_BLOCKED, odd(kind), Stopped::Blocked))
        .collect();
    each_is_named_and_stopped(&rows);
}

/// Tools that try one thing after the other, and what they are called.
#[test]
fn collections_of_exploits_are_named_by_what_they_send() {
    require!(root(), tool("atk6-exploit6"));
    const COLLECTIONS: [(&str, &[&str], &[&str]); 4] = [
        ("atk6-exploit6", &["c0", V6], &["ping-of-death", "teardrop", "icmp-large"]),
        ("atk6-fragmentation6", &["-p", "c0", V6], &["teardrop"]),
        ("atk6-implementation6", &["-p", "c0", V6], &["extension-chain"]),
        ("atk6-randicmp6", &["-p", "c0", V6], &["malformed"]),
    ];
    for (tool, args, kinds) in COLLECTIONS {
        let world = World::running(Plan::routed(1, &policy("alarm", "")));
        let timed = ["-s", "INT", "-k", "2", "45", tool];
        std::thread::scope(|scope| {
            scope.spawn(|| attack(&world, "timeout", &[&timed[..], args].concat()));
            kinds.iter().for_each(|kind| is_named(&world, tool, &odd(kind)));
        });
        world.end();
    }
}

/// Ports for each of nmap's timings: the slow one waits 0.4 s before each probe.
const TIMINGS: [(&str, &str); 4] =
    [("-T2", "1-24"), ("-T3", "1-60"), ("-T4", "1-60"), ("-T5", "1-60")];

#[test]
fn a_scan_is_named_and_stopped_however_patient_nmap_is() {
    require!(root(), tool("nmap"));
    let world = World::running(Plan::routed(2, &policy("alarm", SCANS_BLOCKED)));
    let _web = tcp_echo(&world.server, SERVER[0], 80);
    for (timing, ports) in TIMINGS {
        let args = ["-sS", timing, "-p", ports, "-Pn", "-n", "--max-retries", "0"];
        let wait = ["--initial-rtt-timeout", "100ms", "--max-rtt-timeout", "100ms", SERVER[0]];
        attack(&world, "nmap", &[&args[..], &wait].concat()).exits(0);
        is_named(&world, timing, &Seen { source: Some(CLIENT[0]), ..from("tcp-port-scan") });
        assert_eq!(blocked(&world), [CLIENT[0]], "{timing}");
        assert!(!pings(&world.client, SERVER[0]), "{timing}: who is blocked reaches nobody");
        forget(&world);
        wait_for(SOON, "the end of the block", || pings(&world.client, SERVER[0]));
    }
    world.end();
}

#[test]
fn masscan_is_stopped() {
    require!(root(), tool("masscan"));
    let world = World::running(Plan::routed(1, &policy("alarm", SCANS_BLOCKED)));
    let router = router_mac(&world);
    let args = ["-p1-2000", "--rate", "1000", "--wait", "0", "-e", "c0", "--source-ip", CLIENT[0]];
    let args = [&args[..], &["--router-mac", &router, SERVER[0]]].concat();
    attack(&world, "masscan", &args).exits(0);
    is_named(&world, "masscan", &Seen { source: Some(CLIENT[0]), ..from("tcp-port-scan") });
    assert_eq!(blocked(&world), [CLIENT[0]]);
    wait_for(SOON, "drops by the XDP program", || world.counter("xdp.blocked") > 500);
    world.end();
}
