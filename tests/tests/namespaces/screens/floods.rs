//! Exploration.
use super::*;

const PROBES: &[(&str, &[&str])] = &[
    ("atk6-denial6", &["c0", "fd02::2", "1"]),
    ("atk6-denial6", &["c0", "fd02::2", "2"]),
    ("atk6-denial6", &["c0", "fd02::2", "3"]),
    ("atk6-denial6", &["c0", "fd02::2", "4"]),
    ("atk6-denial6", &["c0", "fd02::2", "5"]),
    ("atk6-denial6", &["c0", "fd02::2", "6"]),
    ("atk6-denial6", &["c0", "fd02::2", "7"]),
    ("atk6-flood_unreach6", &["c0", "fd02::2"]),
    ("atk6-flood_unreach6", &["-R", "c0", "fd02::2"]),
    ("atk6-flood_unreach6", &["-F", "c0", "fd02::2"]),
    ("atk6-flood_redir6", &["c0", "fd02::2"]),
    ("atk6-flood_solicitate6", &["c0", "fd02::2"]),
    ("atk6-flood_advertise6", &["c0", "fd02::2"]),
    ("atk6-flood_rs6", &["c0", "fd02::2"]),
    ("atk6-flood_router26", &["c0", "fd02::2"]),
    ("atk6-flood_mld6", &["c0", "fd02::2"]),
    ("atk6-thcsyn6", &["c0", "fd02::2", "80"]),
    ("atk6-thcsyn6", &["-R", "c0", "fd02::2", "80"]),
    ("atk6-thcsyn6", &["-D", "c0", "fd02::2", "80"]),
    ("atk6-thcsyn6", &["-A", "c0", "fd02::2", "x"]),
    ("atk6-exploit6", &["c0", "fd02::2"]),
    ("atk6-fragmentation6", &["-fp", "-n", "3", "c0", "fd02::2"]),
    ("atk6-implementation6", &["-p", "c0", "fd02::2"]),
    ("atk6-randicmp6", &["-p", "c0", "fd02::2"]),
    ("atk6-ndpexhaust26", &["-p", "c0", "fd02::"]),
    ("atk6-ndpexhaust26", &["-pc", "c0", "fd02::"]),
    ("atk6-ndpexhaust26", &["-pr", "c0", "fd02::"]),
    ("atk6-ndpexhaust26", &["c0", "fd02::"]),
    ("atk6-ndpexhaust6", &["c0", "fd02::/64"]),
    ("atk6-smurf6", &["c0", "fd02::2", "fd02::3"]),
    ("hping3", &["--flood", "--rand-source", "-S", "-p", "80", "10.2.0.2"]),
    ("hping3", &["--flood", "--rand-source", "-2", "-p", "80", "10.2.0.2"]),
    ("hping3", &["--flood", "--rand-source", "-1", "10.2.0.2"]),
    ("hping3", &["--flood", "--rand-source", "-1", "-x", "-d", "100", "10.2.0.2"]),
    ("hping3", &["--flood", "-S", "-p", "80", "10.2.0.2"]),
];

#[test]
fn probe() {
    let more = std::env::var("PROBE_MORE").unwrap_or_default();
    let action = std::env::var("PROBE_ACTION").unwrap_or("alarm".into());
    let wanted = std::env::var("PROBE").unwrap_or_default();
    for (program, args) in PROBES {
        if !format!("{program} {args:?}").contains(&wanted) {
            continue;
        }
        let world = World::running(Plan::routed(1, &policy(&action, &more)));
        let outcome =
            attack(&world, "timeout", &[&["-s", "INT", "-k", "2", "6", program], *args].concat());
        std::thread::sleep(Duration::from_millis(1500));
        let told = world.json(&["show", "anomalies"]);
        eprintln!(
            "##### {program} {args:?} status {:?} {}",
            outcome.status,
            outcome.stderr.lines().last().unwrap_or_default()
        );
        for it in told["attacks"].as_array().unwrap() {
            eprintln!(
                "  {} from {} to {} seen {} threshold {} packets {}",
                it["kind"],
                it["source"],
                it["destination"],
                it["seen"],
                it["threshold"],
                it["packets"]
            );
        }
        eprintln!("  blocks {}", told["blocks"]);
        let counters = world.json(&["show", "counters"]);
        let named = counters["total"].as_object().unwrap().iter().filter(|(_, count)| **count != 0);
        eprintln!(
            "  {}",
            named.map(|(name, count)| format!("{name}={count}")).collect::<Vec<_>>().join(" ")
        );
        world.end();
    }
}
