//! Who belongs to a cluster changes while it runs: no daemon is restarted for it, and a connection goes on.

use std::time::Duration;

use ringwall_tests::{require, root, wait_for};

use super::{Site, text};
use crate::pair::{PATIENCE, longest_gap};

/// How long a connection may be without an answer when its firewall dies; as in `pair.rs`.
const GAP: Duration = Duration::from_secs(2);

impl Site {
    /// The first so many nodes are a cluster, started, in which all vote; the others are not in it.
    fn running_some(firewalls: usize, witnesses: usize, first: usize) -> Self {
        let mut site = Self::new(firewalls, witnesses);
        site.found_first(first);
        (0..first).for_each(|index| site.start(index));
        site.all_vote(&(0..first).collect::<Vec<_>>());
        site
    }

    /// Lets a node join whose number is new, or is that of one that is no more. Both ends' daemons are as
    /// they are: the issuer's runs, and the joiner's does not.
    fn joins(&self, index: usize, more: &[&str]) {
        let issuer = self.node_file(0);
        let mut make = vec!["cluster", "token", "--node", text(&issuer)];
        make.extend(more);
        let token = self.verb(0, &make).exits(0).stdout;
        let file = self.node_file(index);
        let mut join = vec!["cluster", "join", token.trim(), "--node", text(&file)];
        if index >= self.firewalls {
            join.push("--witness");
        }
        self.verb(index, &join).exits(0);
    }

    /// Waits until these vote, each of them knows it, and none goes by an older list.
    #[track_caller]
    fn all_vote(&self, nodes: &[usize]) {
        let wanted: Vec<usize> = nodes.iter().map(|index| index + 1).collect();
        let numbers = |of: &serde_json::Value, key: &str| -> Vec<usize> {
            let all = of.as_array().map(Vec::as_slice).unwrap_or_default();
            let number =
                |it: &serde_json::Value| if key.is_empty() { it } else { &it[key] }.as_u64();
            all.iter().filter_map(number).filter_map(|it| usize::try_from(it).ok()).collect()
        };
        wait_for(PATIENCE, "all know who votes", || {
            nodes.iter().all(|index| {
                let cluster = self.cluster(*index);
                let policy = &cluster["policy_status"];
                let mut owners = numbers(&cluster["members"], "node");
                owners.push(index + 1);
                owners.sort_unstable();
                numbers(&policy["raft"]["voters"], "") == wanted
                    && numbers(&policy["members"], "node") == wanted
                    && owners == wanted
                    && cluster["members_settled"] == true
            })
        });
    }

    fn fitness(&self, index: usize) -> String {
        self.cluster(index)["fitness"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_third_firewall_joins_a_running_pair_and_leaves_it_again() {
    require!(root());
    let mut site = Site::running_some(3, 0, 2);
    let (owner, standby) = site.settles(&[0, 1]);
    let mut talk = site.talk();
    site.joins(2, &[]);
    site.start(2);
    site.all_vote(&[0, 1, 2]);
    talk.goes_on();
    assert_eq!(site.active(), Some(owner), "nothing changed hands for it");

    // It counts: the owner dies, and two of three are a majority.
    site.kill(owner);
    let gap = longest_gap(&mut talk.stream, Duration::from_secs(3));
    eprintln!("the longest time without an answer: {gap:?}");
    assert!(gap <= GAP, "{gap:?}");
    assert_eq!(site.cluster(standby)["lease_ground"], "votes");
    site.start(owner);
    site.all_vote(&[0, 1, 2]);
    let (owner, _) = site.settles(&[0, 1, 2]);

    // An owner is not taken out; the third one is.
    let refused = site.verb(owner, &["cluster", "leave"]).exits(1).stderr;
    assert!(refused.contains("hand over first"), "{refused}");
    site.verb(owner, &["cluster", "leave", "3"]).exits(0);
    site.all_vote(&[0, 1]);
    wait_for(PATIENCE, "it knows that it is out", || site.fitness(2).contains("removed"));
    assert_ne!(site.role(2), "active");
    let said = site.nodes[2].as_ref().expect("it runs").to_string();
    assert!(said.contains("NO MEMBER OF THE CLUSTER ANY MORE"), "{said}");
    talk.goes_on();
    let (owner, standby) = site.settles(&[0, 1]);

    // Nor does it come back by a restart, also when nobody is heard.
    site.kill(2);
    site.start(2);
    wait_for(PATIENCE, "it knows it still", || site.fitness(2).contains("removed"));
    site.kill(standby);
    let gap = longest_gap(&mut talk.stream, Duration::from_secs(2));
    assert!(gap <= GAP, "{gap:?}");
    let cluster = site.cluster(owner);
    assert_eq!((&cluster["role"], &cluster["lease_ground"]), (&"active".into(), &"alone".into()));
    assert_ne!(site.role(2), "active");
    talk.goes_on();
}

/// With no majority but its own afterwards, and the other one stopped as soon as the verb says so.
#[test]
fn a_pair_becomes_one_firewall_and_can_still_commit() {
    require!(root());
    let mut site = Site::running_some(2, 0, 2);
    let (owner, standby) = site.settles(&[0, 1]);
    let mut talk = site.talk();
    let leaver = (standby + 1).to_string();
    site.verb(owner, &["cluster", "leave", &leaver]).exits(0);
    assert_ne!(site.role(standby), "active");
    assert!(site.fitness(standby).contains("removed"), "{}", site.fitness(standby));
    site.kill(standby);
    site.all_vote(&[owner]);
    assert_eq!(site.active(), Some(owner));
    assert_eq!(site.cluster(owner)["lease_ground"], "votes");
    talk.goes_on();
    let policy = site.path("policy.toml");
    site.verb(owner, &["commit", text(&policy)]).exits(0);
    talk.goes_on();

    // What left knows it from its disk, before it hears anybody.
    site.cut_off(standby, true);
    site.start(standby);
    wait_for(PATIENCE, "it knows that it is out", || site.fitness(standby).contains("removed"));
    assert_ne!(site.role(standby), "active");
    let last = site.verb(owner, &["cluster", "leave"]).exits(1).stderr;
    assert!(last.contains("only member"), "{last}");
}

#[test]
fn a_dead_firewall_is_replaced_by_a_new_one() {
    require!(root());
    let mut site = Site::running_some(4, 0, 3);
    let (owner, backup) = site.settles(&[0, 1, 2]);
    let mut talk = site.talk();
    // The first one has the authority's key, so it is to live.
    let dead = (1..3).find(|index| *index != owner).expect("one of two");
    site.kill(dead);
    let early = site.verb(0, &["cluster", "replace", &(dead + 1).to_string(), "4"]).exits(1).stderr;
    assert!(early.contains("no member yet"), "{early}");
    site.joins(3, &[]);
    site.start(3);
    let alive: Vec<usize> = (0..4).filter(|index| *index != dead).collect();
    wait_for(PATIENCE, "the new one votes", || alive.iter().all(|index| site.votes(*index) == 4));
    site.verb(0, &["cluster", "replace", &(dead + 1).to_string(), "4"]).exits(0);
    site.all_vote(&alive);
    talk.goes_on();
    assert!([owner, backup].contains(&site.active().expect("an owner")));

    // Who comes back from the dead is refused, and does nothing.
    site.start(dead);
    wait_for(PATIENCE, "it is refused", || site.fitness(dead).contains("removed"));
    assert_ne!(site.role(dead), "active");
    site.settles(&alive);
    talk.goes_on();
}

#[test]
fn five_vote_and_three_of_them_are_enough() {
    require!(root());
    let mut site = Site::running_some(3, 2, 5);
    let (owner, _) = site.settles(&[0, 1, 2]);
    let mut talk = site.talk();
    let witness = 3;
    site.kill(witness);
    site.kill(owner);
    let gap = longest_gap(&mut talk.stream, Duration::from_secs(3));
    eprintln!("the longest time without an answer: {gap:?}");
    assert!(gap <= GAP, "{gap:?}");
    let left: Vec<usize> = (0..3).filter(|index| *index != owner).collect();
    let (owner, backup) = site.settles(&left);
    assert_eq!(site.cluster(owner)["lease_ground"], "votes");

    // Two of five are not: nobody forwards.
    site.kill(backup);
    wait_for(PATIENCE, "the last firewall stops", || site.role(owner) == "closed");
    assert_eq!(site.cluster(owner)["lease_milliseconds"], serde_json::Value::Null);
    site.start(witness);
    wait_for(PATIENCE, "three are there again", || site.role(owner) == "active");
    talk.goes_on();
}

#[test]
fn a_sole_survivor_goes_on_and_the_other_one_is_refused_until_it_joins_anew() {
    require!(root());
    let mut site = Site::running_some(2, 0, 2);
    site.settles(&[0, 1]);
    (0..2).for_each(|index| site.kill(index));
    let file = site.node_file(0);
    let recover = ["cluster", "recover", "--sole-survivor", "--yes", "--node", text(&file)];
    wait_for(PATIENCE, "the log is free", || site.verb(0, &recover).status == Some(0));
    site.start(0);
    wait_for(PATIENCE, "it goes on alone", || site.active() == Some(0));
    site.all_vote(&[0]);
    let mut talk = site.talk();

    // The other one has another history.
    site.start(1);
    wait_for(PATIENCE, "it is refused", || {
        assert_ne!(site.role(1), "active");
        site.fitness(1).contains("removed")
    });
    let said = site.nodes[1].as_ref().expect("it runs").to_string();
    for part in ["it is no member there", "cluster recover", "wipe the folder `cluster`"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    talk.goes_on();

    // Wiped, it joins under its number.
    site.kill(1);
    std::fs::remove_dir_all(site.path("data2").join("cluster")).expect("its papers");
    site.joins(1, &["--replaces", "2"]);
    site.start(1);
    site.all_vote(&[0, 1]);
    assert_eq!(site.settles(&[0, 1]).0, 0);
    site.kill(0);
    let gap = longest_gap(&mut talk.stream, Duration::from_secs(3));
    assert!(gap <= GAP, "{gap:?}");
}
