//! A pair and a witness: one firewall goes on by a majority when the other is gone, and never both.

use std::time::{Duration, Instant};

use ringwall_tests::{require, root, wait_for};

use super::Site;
use crate::pair::{PATIENCE, longest_gap};

/// How long a connection may be without an answer when its firewall dies; as in `pair.rs`.
const GAP: Duration = Duration::from_secs(2);
const WITNESS: usize = 2;

#[test]
fn a_pair_with_a_witness_goes_on_by_majority_and_never_twice() {
    require!(root());
    let mut site = Site::running(2, 1);
    let (owner, standby) = site.settles(&[0, 1]);
    let witness = site.cluster(WITNESS);
    assert_eq!((&witness["kind"], &witness["owner"]), (&"witness".into(), &(owner + 1).into()));
    let fabric = |member: &serde_json::Value| {
        member["paths"]
            .as_array()
            .is_some_and(|paths| paths.len() == 1 && paths[0]["name"] == "fabric")
    };
    assert!(witness["members"].as_array().unwrap().iter().all(fabric), "{witness}");
    let mut talk = site.talk();
    wait_for(PATIENCE, "the session on the standby", || site.sessions(standby) == 1);

    // The owner dies.
    site.kill(owner);
    let gap = longest_gap(&mut talk.stream, Duration::from_secs(3));
    eprintln!("the longest time without an answer: {gap:?}");
    assert!(gap <= GAP, "{gap:?}");
    let (dead, owner) = (owner, standby);
    let cluster = site.cluster(owner);
    assert_eq!((&cluster["role"], &cluster["lease_ground"]), (&"active".into(), &"votes".into()));
    site.start(dead);
    let (owner, standby) = site.settles(&[owner, dead]);
    assert_eq!(standby, dead, "who returns stands by");

    // The standby dies, and all its cables with it: the owner goes on.
    site.kill(standby);
    site.cut_off(standby, true);
    let gap = longest_gap(&mut talk.stream, Duration::from_secs(2));
    assert!(gap <= GAP, "{gap:?}");
    let cluster = site.cluster(owner);
    assert_eq!((&cluster["role"], &cluster["lease_ground"]), (&"active".into(), &"votes".into()));
    site.cut_off(standby, false);
    site.start(standby);
    assert_eq!(site.settles(&[0, 1]), (owner, standby));

    // The owner is cut off from everybody: it stops, and then the standby goes on.
    site.cut_off(owner, true);
    let begun = Instant::now();
    wait_for(PATIENCE, "the standby takes over", || site.role(standby) == "active");
    let cut_off = site.cluster(owner);
    eprintln!("taken over after {:?}", begun.elapsed());
    assert_eq!(cut_off["lease_milliseconds"], serde_json::Value::Null, "{cut_off}");
    assert_eq!(cut_off["role"], "closed", "{cut_off}");
    talk.goes_on();
    site.cut_off(owner, false);
    assert_eq!(site.settles(&[0, 1]), (standby, owner));
    talk.goes_on();
}
