//! Translation as operators see it: who has which public endpoint, in `show`, the log and the metrics.

use ringwall_tests::world::{CLIENT, Plan, ROUTER_WAN, SERVER, SOON, World};
use ringwall_tests::{require, root, wait_for};

use crate::sockets::{at, connect, echoes, tcp_echo};

const PORT: u16 = 7001;

const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]
[[rule]]
id = "out"
from = "trust"
to = "untrust"
action = "permit"
log = ["open", "close"]
[[nat-pool]]
name = "public"
addresses = "203.0.113.1"
[[nat]]
id = "by-pool"
type = "source"
from = "trust"
to = "untrust"
source = ["10.1.0.0/24"]
translate = "pool:public"
mapping = "endpoint-independent"
"#;

/// The sessions that `show sessions` finds.
fn found(world: &World, filters: &[&str]) -> Vec<serde_json::Value> {
    let shown = world.json(&[&["show", "sessions"], filters].concat());
    shown["sessions"].as_array().unwrap().clone()
}

#[test]
fn operators_see_who_has_which_public_endpoint() {
    require!(root());
    for workers in [1, 2] {
        let mut world = World::running(Plan::routed(workers, POLICY));
        world.server.add_route("203.0.113.0/24", ROUTER_WAN[0]).unwrap();
        let _echo = tcp_echo(&world.server, SERVER[0], PORT);
        let mut stream = connect(&world.client, at(SERVER[0], PORT), SOON).unwrap();
        echoes(&mut stream, b"as somebody else").unwrap();

        let sessions = found(&world, &["--translated", "203.0.113.1"]);
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        let (session, beyond) = (&sessions[0], &sessions[0]["translated"]);
        assert_eq!(session["source"], CLIENT[0]);
        assert_eq!(
            (&beyond["source"], &beyond["source_rule"]),
            (&"203.0.113.1".into(), &"by-pool".into())
        );
        assert_eq!(beyond["destination"], session["destination"], "its destination stays");
        let port = beyond["source_port"].as_u64().unwrap();
        assert!((1024..=62_463).contains(&port), "{port}");
        for (port, count) in [(port, 1), (port + 1, 0)] {
            let port = port.to_string();
            assert_eq!(found(&world, &["--translated-port", &port]).len(), count, "{port}");
        }
        assert_eq!(found(&world, &["--nat-rule", "by-pool"]).len(), 1);
        let arrow = format!("203.0.113.1:{port} → {}:{PORT}", SERVER[0]);
        world.verb(&["show", "sessions"]).exits(0).says(&arrow);

        let nat = world.json(&["show", "nat", "--users"]);
        let pool = &nat["pools"][0];
        assert_eq!((&pool["name"], &pool["used"]["tcp"]), (&"public".into(), &1.into()), "{nat}");
        assert_eq!(pool["users"][0]["address"], CLIENT[0]);
        assert_eq!(pool["users"][0]["ports"], 1);
        let rule = &nat["rules"][0];
        assert_eq!((&rule["hits"], &rule["sessions"]), (&1.into(), &1.into()), "{nat}");
        assert_eq!((&nat["mappings"], &nat["refused"]), (&1.into(), &0.into()), "{nat}");
        world.verb(&["show", "nat"]).exits(0).says("203.0.113.1");
        let metrics = world.metrics();
        let used = r#"ringwall_nat_ports_used{pool="public",protocol="tcp"} 1"#;
        assert!(metrics.lines().any(|line| line == used), "{metrics}");

        let opened = world.node().says(SOON, "session-open");
        let fields = ["nat_source=203.0.113.1", &format!("nat_source_port={port}")];
        assert!(fields.iter().all(|field| opened.contains(field)), "{opened}");
        drop(stream);
        world.verb(&["clear", "sessions", "--nat-rule", "by-pool"]).exits(0);
        wait_for(SOON, "a port that is given back", || {
            world.json(&["show", "nat"])["pools"][0]["used"]["tcp"] == 0
        });
        world.assert_conservation();
        world.end();
    }
}
