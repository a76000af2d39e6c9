//! The field harness' traffic through a kernel that routes and filters, which drops everything for a
//! known time: the figures must show just that.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netns::{End, Namespace, VethOptions, veth, wait_ready};
use ringwall_chaos::field::figures::{Figures, figures};
use ringwall_chaos::field::log;
use ringwall_chaos::field::traffic::{Ends, Plan, Side, StreamPlan, Traffic, capacity};

/// What a stateful firewall does, in the words of nft: no segment without a connection, none outside its
/// window.
const RULES: &str = "
    table inet fw {
        chain forward {
            type filter hook forward priority 0; policy drop;
            ct state established,related accept
            iifname lan ct state new tcp flags & (syn|ack|rst|fin) == syn accept
            iifname lan ct state new meta l4proto udp accept
        }
    }
    table inet outage {
        chain forward { type filter hook forward priority -300; policy accept; }
    }";

/// How long nothing gets through.
const OUTAGE: Duration = Duration::from_millis(80);

struct Lab {
    client: Namespace,
    router: Namespace,
    server: Namespace,
}

/// One at a time: they share the cores. Without a lab where the test cannot run, which a line tells.
fn lab() -> (MutexGuard<'static, ()>, Option<Lab>) {
    static ONE: Mutex<()> = Mutex::new(());
    let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let missing = netns::available().err().or_else(|| {
        let nft = Command::new("nft").arg("--version").output();
        nft.err().map(|error| format!("nft cannot be run: {error}"))
    });
    let Some(why) = missing else { return (turn, Some(Lab::new())) };
    assert!(std::env::var_os("RINGWALL_REQUIRE_ALL").is_none(), "{why}");
    eprintln!("SKIPPED field_traffic: {why}");
    (turn, None)
}

impl Lab {
    fn new() -> Self {
        let [client, router, server] =
            ["fieldc", "fieldr", "fields"].map(|name| Namespace::new(name).unwrap());
        let options = VethOptions::default();
        veth(End::new(&client, "c0"), End::new(&router, "lan"), &options).unwrap();
        veth(End::new(&router, "wan"), End::new(&server, "s0"), &options).unwrap();
        for (namespace, link, net, host) in [
            (&client, "c0", 0, 2),
            (&router, "lan", 0, 1),
            (&router, "wan", 1, 1),
            (&server, "s0", 1, 2),
        ] {
            namespace.add_address(link, &format!("10.77.{net}.{host}/24")).unwrap();
            namespace.add_address(link, &format!("fd77:{net}::{host}/64")).unwrap();
        }
        wait_ready(&[(&client, "c0"), (&router, "lan"), (&router, "wan"), (&server, "s0")])
            .unwrap();
        for (namespace, net) in [(&client, 0), (&server, 1)] {
            namespace.add_route("0.0.0.0/0", &format!("10.77.{net}.1")).unwrap();
            namespace.add_route("::/0", &format!("fd77:{net}::1")).unwrap();
        }
        router.set_sysctl("net/ipv4/ip_forward", "1").unwrap();
        router.set_sysctl("net/ipv6/conf/all/forwarding", "1").unwrap();
        let lab = Self { client, router, server };
        lab.nft(RULES);
        lab.router.set_sysctl("net/netfilter/nf_conntrack_tcp_loose", "0").unwrap();
        lab
    }

    fn ends(&self) -> Ends<'_> {
        self.ends_at(["10.77.0.2", "10.77.1.2"])
    }

    fn ends_at(&self, addresses: [&str; 2]) -> Ends<'_> {
        let [client_address, server_address] = addresses.map(|text| text.parse().unwrap());
        Ends { client: &self.client, server: &self.server, client_address, server_address }
    }

    fn nft(&self, text: &str) {
        let output = self.router.output(Command::new("nft").arg(text)).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Drops everything for a time; how long at least, and at most.
    fn outage(&self) -> [Duration; 2] {
        let (before, dropping) = (Instant::now(), "chain inet outage forward { policy drop; }");
        self.nft(dropping);
        let inside = Instant::now();
        std::thread::sleep(OUTAGE);
        let least = inside.elapsed();
        self.nft("chain inet outage forward { policy accept; }");
        [least, before.elapsed()]
    }
}

/// A number from the environment, for a look at more.
fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().unwrap())
}

fn plan() -> Plan {
    let streams = [(1_000, Side::Client), (1_000, Side::Server), (5_000, Side::Client)];
    let streams = streams.map(|(per_second, from)| StreamPlan { per_second, from });
    Plan {
        streams: streams.to_vec(),
        slow: asked("FIELD_SLOW", 200) as usize,
        bulk: asked("FIELD_BULK", 6) as usize,
        bulk_bytes_per_second: asked("FIELD_BULK_RATE", 6_000_000),
        young_per_second: asked("FIELD_YOUNG", 200) as u32,
        load_per_second: asked("FIELD_LOAD", 10_000) as u32,
        probes: true,
        doors: 0,
        gateways: Vec::new(),
    }
}

fn run(lab: &Lab, ends: &Ends<'_>, plan: &Plan) -> (Figures, [Duration; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let traffic = Traffic::start(ends, plan).unwrap();
    eprintln!("started in {:?}", start.elapsed());
    std::thread::sleep(Duration::from_millis(1_500));
    traffic.probe().unwrap();
    let fault = log::now();
    let lasted = lab.outage();
    std::thread::sleep(Duration::from_millis(1_500));
    traffic.probe().unwrap();
    std::thread::sleep(Duration::from_millis(asked("FIELD_REST_MS", 500)));
    let start = Instant::now();
    traffic.finish(folder.path()).unwrap();
    eprintln!("finished in {:?}; {}", start.elapsed(), threads(folder.path()));
    fs::write(folder.path().join("faults.log"), format!("{fault} fault drop\n")).unwrap();
    (figures(folder.path()).unwrap(), lasted)
}

fn threads(folder: &std::path::Path) -> String {
    fs::read_to_string(folder.join("threads.log")).unwrap()
}

#[test]
fn an_outage_is_seen_as_what_it_was() {
    let (_one, Some(lab)) = lab() else { return };
    let plan = plan();
    let (figures, [least, most]) = run(&lab, &lab.ends(), &plan);
    eprintln!("outage of {least:?} to {most:?}\n{figures:#?}");
    let gap = figures.gap_ms.unwrap();
    assert!(gap >= least.as_secs_f64() * 1e3, "the streams saw less than what was done to them");
    let slack = 100.0 + figures.send_pause_ms.unwrap();
    assert!(gap <= most.as_secs_f64() * 1e3 + slack, "the streams saw more than that");
    // 7,000 datagrams a second, for as long.
    let (low, high) = (least.as_secs_f64() * 7e3 * 0.5, most.as_secs_f64() * 7e3 * 1.5);
    assert!((low..high).contains(&(figures.lost as f64)), "lost {}", figures.lost);
    assert_eq!((figures.lost_unsent, figures.lost_at_socket, figures.repeated), (0, 0, 0));
    assert_eq!((figures.tcp_opened, figures.tcp_broken), ((plan.slow + plan.bulk) as u64, 0));
    assert!(figures.slow_echo_ms > Some(100.0) && figures.bulk_pause_ms >= Some(80.0));
    assert!(figures.young_opened > 300 && figures.young_dead == 0);
    assert!(figures.young_halfway > Some(30), "so many rest for 300 ms at any moment");
    assert!(figures.young_open_max_ms > Some(900.0), "a SYN is sent again after a second");
    assert_eq!((figures.forged_passed, figures.rst_passed), (Some(0), Some(0)));
    assert_eq!((figures.control_sent, figures.control_passed), (Some(8), Some(8)));
    assert!(figures.load_lost > 0 && figures.load_lost < figures.load_sent / 10);
}

#[test]
fn what_a_filter_lets_pass_is_told() {
    let (_one, Some(lab)) = lab() else { return };
    lab.nft("insert rule inet fw forward accept");
    let plan = Plan { slow: 8, probes: true, ..Plan::default() };
    let (figures, _) = run(&lab, &lab.ends(), &plan);
    assert_eq!((figures.forged_passed, figures.rst_passed), (Some(8), Some(8)));
    assert_eq!((figures.tcp_opened, figures.tcp_broken), (8, 0), "a far reset ends nothing");
}

#[test]
fn the_same_over_ipv6() {
    let (_one, Some(lab)) = lab() else { return };
    let streams = vec![StreamPlan { per_second: 500, from: Side::Server }];
    let (slow, bulk, young_per_second, load_per_second) = (8, 2, 50, 1_000);
    let plan = Plan { streams, slow, bulk, young_per_second, load_per_second, ..plan() };
    let (figures, [least, _]) = run(&lab, &lab.ends_at(["fd77:0::2", "fd77:1::2"]), &plan);
    assert!(figures.gap_ms >= Some(least.as_secs_f64() * 1e3), "{figures:#?}");
    assert_eq!((figures.tcp_opened, figures.tcp_broken, figures.young_dead), (10, 0, 0));
    assert_eq!((figures.forged_passed, figures.rst_passed), (Some(0), Some(0)));
    assert_eq!((figures.control_sent, figures.control_passed), (Some(8), Some(8)));
    assert!(figures.load_lost > 0 && figures.load_lost < figures.load_sent / 5);
}

#[test]
fn a_lost_connection_is_told() {
    let (_one, Some(lab)) = lab() else { return };
    let plan = Plan { slow: 20, young_per_second: 100, ..Plan::default() };
    let folder = tempfile::tempdir().unwrap();
    let traffic = Traffic::start(&lab.ends(), &plan).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    // As a firewall that has lost its sessions, and says so.
    lab.nft("insert rule inet fw forward meta l4proto tcp reject with tcp reset");
    std::thread::sleep(Duration::from_millis(1_500));
    traffic.finish(folder.path()).unwrap();
    let figures = figures(folder.path()).unwrap();
    assert_eq!((figures.tcp_opened, figures.tcp_broken, figures.tcp_reset), (20, 20, 20));
    assert!(figures.young_dead > 10 && figures.young_reset > figures.young_dead, "{figures:#?}");
}

#[test]
fn the_capacity_is_found_in_a_few_seconds() {
    let (_one, Some(lab)) = lab() else { return };
    let start = Instant::now();
    let capacity = capacity(&lab.ends()).unwrap();
    eprintln!("{capacity:?} in {:?}", start.elapsed());
    assert!(capacity.packets_per_second > 1_000 && capacity.received > 0.99);
    assert!(start.elapsed() < Duration::from_secs(6), "3 s of trials");
}
