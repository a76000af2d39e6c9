//! Three firewalls: the owner and one backup have the sessions, and the third takes the place of who dies.

use std::time::Duration;

use ringwall_tests::{require, root, wait_for};

use super::Site;
use crate::pair::{PATIENCE, longest_gap};

/// How long a connection may be without an answer when its firewall dies; as in `pair.rs`.
const GAP: Duration = Duration::from_secs(2);

#[test]
fn a_connection_outlives_one_owner_after_the_other() {
    require!(root());
    let mut site = Site::running(3, 0);
    let (first, backup) = site.settles(&[0, 1, 2]);
    let third = (0..3).find(|it| ![first, backup].contains(it)).unwrap();
    let mut talk = site.talk();
    wait_for(PATIENCE, "the session on the backup", || site.sessions(backup) == 1);
    let spare = site.cluster(third);
    assert_eq!(
        (&spare["role"], &spare["readiness"], &spare["replicates_with"]),
        (&"standby".into(), &"bulk-waiting".into(), &serde_json::Value::Null),
    );
    assert_eq!(site.sessions(third), 0);

    // The owner dies: the backup takes over, and the third one takes its place.
    site.kill(first);
    let gap = longest_gap(&mut talk.stream, Duration::from_secs(3));
    eprintln!("the longest time without an answer: {gap:?}");
    assert!(gap <= GAP, "{gap:?}");
    assert_eq!(site.settles(&[backup, third]), (backup, third));
    assert_eq!(site.cluster(backup)["last_failover"]["why"], "owner-silent");
    wait_for(PATIENCE, "the session on the next backup", || site.sessions(third) == 1);

    // Who returns is the third one now. The next owner dies.
    site.start(first);
    wait_for(PATIENCE, "the first one stands by", || {
        let cluster = site.cluster(first);
        cluster["role"] == "standby" && cluster["fitness"] == "fit"
    });
    assert_eq!(site.settles(&[0, 1, 2]), (backup, third), "the backup stays");
    site.kill(backup);
    let gap = longest_gap(&mut talk.stream, Duration::from_secs(3));
    eprintln!("the longest time without an answer: {gap:?}");
    assert!(gap <= GAP, "{gap:?}");
    assert_eq!(site.settles(&[first, third]), (third, first));

    // Who is down is not asked what it would say to a policy, and that is told.
    let policy = site.path("policy.toml");
    let check = ["commit", "--check", policy.to_str().expect("our own path"), "--json"];
    let checked = site.verb(third, &check).exits(0).json();
    let (unasked, refused) = (&checked["unasked"], &checked["refused"]);
    let down = (backup + 1).into();
    assert_eq!((&unasked[0]["node"], unasked[1].is_null()), (&down, true), "{checked}");
    assert_eq!(refused, &serde_json::json!([]), "{checked}");

    // And one that is planned: owner and backup change places.
    site.verb(third, &["cluster", "failover"]).exits(0);
    wait_for(PATIENCE, "the planned change", || site.active() == Some(first));
    assert_eq!(site.settles(&[first, third]), (first, third));
    talk.goes_on();
}
