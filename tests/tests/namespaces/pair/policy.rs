//! One policy on both nodes: committed on either, refused by either, on trial, and after a node is lost.

use std::time::{Duration, Instant};

use ringwall_tests::{require, root, wait_for};
use serde_json::{Value, json};

use super::{PATIENCE, POLICY, PORT, Pair, text};
use crate::sockets::{at, connect, tcp_echo};

/// How long a policy is on trial in these tests: long enough to restart a daemon meanwhile.
const TRIAL: Duration = Duration::from_secs(6);

pub(super) fn other_policy() -> String {
    POLICY.replace("\"permit\"", "\"deny\"")
}

impl Pair {
    pub(super) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("written");
        text(&path).to_owned()
    }

    pub(super) fn policy_status(&self, index: usize) -> Value {
        let outcome = self.verb(index, &["show", "policy", "--json"]);
        if outcome.status == Some(0) { outcome.json() } else { Value::Null }
    }

    /// What a node runs: its epoch, and the action of its only rule.
    pub(super) fn runs(&self, index: usize) -> (u64, String) {
        let policy = self.policy_status(index);
        let action = policy["rules"][0]["action"].as_str().unwrap_or_default().to_owned();
        (policy["epoch"].as_u64().unwrap_or_default(), action)
    }

    #[track_caller]
    fn both_run(&self, epoch: u64, action: &str) {
        for index in 0..2 {
            assert_eq!(self.runs(index), (epoch, action.to_owned()), "node {}", index + 1);
        }
    }

    fn opens(&self) -> bool {
        connect(&self.client, at("10.2.0.2", PORT), Duration::from_millis(700)).is_ok()
    }
}

#[test]
fn a_commit_on_either_node_is_in_force_on_both_and_a_stale_one_on_none() {
    require!(root());
    let mut pair = Pair::founded();
    let active = pair.starts();
    let _server = tcp_echo(&pair.server, "10.2.0.2", PORT);
    pair.both_run(1, "permit");
    assert!(pair.opens());
    let (deny, permit) = (pair.file("deny.toml", &other_policy()), pair.file("p.toml", POLICY));

    let done = pair.verb(1 - active, &["commit", &deny, "--json"]).exits(0).json();
    assert_eq!((&done["epoch"], &done["excused"]), (&json!(2), &json!([])), "{done}");
    pair.both_run(2, "deny");
    assert!(!pair.opens());

    let stale = pair.verb(active, &["commit", &permit, "--base", "1"]);
    assert_ne!(stale.status, Some(0));
    assert!(stale.stderr.contains("epoch 2 is in force"), "{}", stale.stderr);
    assert!(
        stale.stderr.contains("permit → deny"),
        "with what the other changed: {}",
        stale.stderr
    );
    pair.both_run(2, "deny");

    let back = pair.verb(active, &["rollback", "--json"]).exits(0).json();
    assert_eq!(back["epoch"], json!(3), "{back}");
    pair.both_run(3, "permit");
    assert!(pair.opens());
    let history = pair.verb(1 - active, &["history", "--json"]).exits(0).json();
    let told: Vec<_> = (0..3)
        .map(|at| {
            let it = &history["revisions"][at];
            (it["epoch"].as_u64(), it["author"].as_str(), it["kind"].as_str())
        })
        .collect();
    let root = Some("root");
    assert_eq!(told[..2], [(Some(3), root, Some("rollback")), (Some(2), root, Some("commit")),]);
    assert_eq!(told[2].0, Some(1));
}

#[test]
fn what_one_node_cannot_run_is_in_force_on_none() {
    require!(root());
    let mut pair = Pair::founded();
    // Node 2 has a port more.
    let file = pair
        .node_text(1)
        .replace("[cluster]", "[[port]]\nname = \"dmz\"\ninterface = \"dmz0\"\n[cluster]");
    std::fs::write(pair.node_file(1), file).expect("written");
    pair.routers[1].add_bridge("dmz0").expect("an interface");
    pair.starts();
    let dmz = POLICY.replace("untrust = ", "dmz = [\"dmz\"]\nuntrust = ");
    let dmz = pair.file("dmz.toml", &dmz);
    for index in 0..2 {
        let refused = pair.verb(index, &["commit", &dmz]);
        assert_ne!(refused.status, Some(0));
        let said = &refused.stderr;
        let named = said.contains("node 1 refuses it") && said.contains("`dmz`");
        assert!(named && said.contains("nothing changed"), "{said}");
    }
    pair.both_run(1, "permit");
}

#[test]
fn a_check_asks_every_live_firewall_and_puts_nothing_into_the_log() {
    require!(root());
    let mut pair = Pair::founded();
    // Node 1 has a port more.
    let file = pair
        .node_text(0)
        .replace("[cluster]", "[[port]]\nname = \"dmz\"\ninterface = \"dmz0\"\n[cluster]");
    std::fs::write(pair.node_file(0), file).expect("written");
    pair.routers[0].add_bridge("dmz0").expect("an interface");
    pair.starts();
    let proposals = |pair: &Pair| {
        let history = pair.verb(0, &["history", "--events", "--json"]).exits(0).json();
        let events = history["events"].as_array().expect("a list").clone();
        let of_policy = |it: &&Value| it["kind"] == "commit" || it["kind"] == "withdraw";
        events.iter().filter(of_policy).count()
    };
    let known = proposals(&pair);
    let dmz = POLICY.replace("untrust = ", "dmz = [\"dmz\"]\nuntrust = ");
    let (dmz, good) = (pair.file("dmz.toml", &dmz), pair.file("good.toml", &other_policy()));
    for index in 0..2 {
        let checked = pair.verb(index, &["commit", "--check", &dmz, "--json"]).exits(1).json();
        let refused = &checked["refused"];
        let [node, why] = [&refused[0]["node"], &refused[0]["why"]];
        assert_eq!((node, &refused[1], &checked["unasked"]), (&json!(2), &Value::Null, &json!([])));
        assert!(why.as_str().is_some_and(|it| it.contains("`dmz`")), "{checked}");
        let told = pair.verb(index, &["commit", "--check", &dmz]).exits(1).stdout;
        assert!(told.contains("node 2 would refuse it") && told.contains("`dmz`"), "{told}");
        let checked = pair.verb(index, &["commit", "--check", &good, "--json"]).exits(0).json();
        assert_eq!((&checked["refused"], &checked["unasked"]), (&json!([]), &json!([])));
    }
    assert_eq!(proposals(&pair), known, "nothing was proposed");
    pair.both_run(1, "permit");
    // Nobody leads once one is gone, so nothing can be told of what is in force.
    pair.nodes[1] = None; // SIGKILL
    wait_for(PATIENCE, "a check that is refused", || {
        pair.verb(0, &["commit", "--check", &good]).stderr.contains("no node leads now")
    });
}

#[test]
fn a_trial_that_nobody_confirms_ends_on_both_also_on_one_that_was_killed() {
    require!(root());
    let mut pair = Pair::founded();
    let active = pair.starts();
    let _server = tcp_echo(&pair.server, "10.2.0.2", PORT);
    let deny = pair.file("deny.toml", &other_policy());
    let confirm = format!("{}s", TRIAL.as_secs());
    let done =
        pair.verb(active, &["commit", &deny, "--confirm", &confirm, "--json"]).exits(0).json();
    let since = Instant::now();
    assert_eq!(done["reverts"]["epoch"], json!(3), "{done}");
    pair.both_run(2, "deny");
    let trial = &pair.policy_status(1 - active)["policy_status"]["trial"];
    assert_eq!((&trial["epoch"], &trial["fallback"]), (&json!(2), &json!(1)), "{trial}");
    let busy = pair.verb(active, &["commit", &deny]);
    assert!(busy.stderr.contains("epoch 2 is on trial"), "{}", busy.stderr);

    pair.nodes[1 - active] = None; // SIGKILL
    pair.start(1 - active);
    wait_for(PATIENCE, "both back on the old text", || {
        (0..2).all(|index| pair.runs(index) == (3, "permit".to_owned()))
    });
    assert!(since.elapsed() >= TRIAL - Duration::from_millis(500), "{:?}", since.elapsed());
    wait_for(PATIENCE, "a connection", || pair.opens());

    // And one that is confirmed stays.
    // The nodes went back alone, and the log follows when somebody leads again.
    let mut epoch = 0;
    wait_for(PATIENCE, "a commit after the trial", || {
        let again = pair.verb(active, &["commit", &deny, "--confirm", "10m", "--json"]);
        let done = again.status == Some(0);
        epoch = if done { again.json()["epoch"].as_u64().unwrap_or_default() } else { 0 };
        done
    });
    assert!(epoch >= 4, "{epoch}");
    pair.verb(1 - active, &["confirm"]).exits(0);
    let status = pair.policy_status(active);
    let seen = (&status["policy_status"]["trial"], &status["epoch"]);
    assert_eq!(seen, (&Value::Null, &json!(epoch)));
    pair.both_run(epoch, "deny");
}

#[test]
fn a_survivor_forwards_and_says_why_it_cannot_commit_until_it_is_told_to_go_on_alone() {
    require!(root());
    let mut pair = Pair::founded();
    let active = pair.starts();
    let survivor = 1 - active;
    let _server = tcp_echo(&pair.server, "10.2.0.2", PORT);
    pair.nodes[active] = None; // SIGKILL
    wait_for(PATIENCE, "a takeover", || pair.role(survivor) == "active");
    assert!(pair.opens());
    let deny = pair.file("deny.toml", &other_policy());
    let waits = pair.verb(survivor, &["commit", &deny]);
    assert_ne!(waits.status, Some(0));
    let dead = format!("node {} is not heard", active + 1);
    assert!(waits.stderr.contains(&dead), "{}", waits.stderr);
    assert!(waits.stderr.contains("cluster recover --sole-survivor"), "{}", waits.stderr);
    assert_eq!(pair.runs(survivor), (1, "permit".to_owned()));
    assert!(pair.opens(), "and forwards all the same");

    // It starts alone, too, with what it ran last.
    pair.nodes[survivor] = None;
    pair.start(survivor);
    wait_for(PATIENCE, "an active node", || pair.role(survivor) == "active");
    wait_for(PATIENCE, "a connection", || pair.opens());

    pair.nodes[survivor] = None;
    let file = pair.node_file(survivor);
    let recover = ["cluster", "recover", "--sole-survivor", "--yes", "--node", text(&file)];
    pair.verb(survivor, &recover).exits(0);
    pair.start(survivor);
    wait_for(PATIENCE, "a commit by one node", || {
        pair.verb(survivor, &["commit", &deny]).status == Some(0)
    });
    assert_eq!(pair.runs(survivor).1, "deny");

    // The other one has another history, and never forwards.
    pair.start(active);
    let waits = wait_for_refusal(&pair, active);
    assert!(waits, "{}", pair.last_words());
    assert_ne!(pair.role(active), "active");
    // Nor does it hold the survivor up.
    let permit = pair.file("permit.toml", POLICY);
    let done = pair.verb(survivor, &["commit", &permit, "--json"]).exits(0).json();
    assert_eq!(done["missing"], json!([]), "{done}");
    assert_ne!(pair.runs(active).0, pair.runs(survivor).0);
}

/// For a while, the node that was lost must not be active nor run the new text.
fn wait_for_refusal(pair: &Pair, node: usize) -> bool {
    let until = Instant::now() + Duration::from_secs(4);
    let mut answered = false;
    while Instant::now() < until {
        let role = pair.role(node);
        answered |= !role.is_empty();
        if role == "active" || pair.runs(node).1 == "deny" {
            return false;
        }
    }
    answered
}
