//! The store on a disk that can be crashed, filled and made to fail.

pub(crate) mod disk;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use cluster_core::membership::Kind;
use proptest::prelude::*;

use super::*;
use crate::identity::Authority;
use crate::token::Token;
use disk::{Disk, Fault};

pub(super) fn seed() -> Seed {
    let assignment = Assignment { owner: NodeId(1), backup: Some(NodeId(2)), term: Term(1) };
    Seed {
        cluster: "alpha".parse().unwrap(),
        node: NodeId(1),
        placement: vec![Run::all(assignment)],
        members: BTreeMap::from([(NodeId(1), Member::at(Vec::new()))]),
        founder: true,
        boots: 0,
    }
}

fn at_term(term: u64) -> Assignment {
    Assignment { owner: NodeId(1), backup: Some(NodeId(2)), term: Term(term) }
}

const ALL: (u16, u16) = (0, crate::limits::SLOTS - 1);

fn term(store: &Store) -> u64 {
    let runs = store.placement().unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].assignment.term.0
}

#[test]
fn a_store_on_a_file_is_private_and_of_one_node() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.redb");
    fs::write(path.with_extension("new"), "left behind").unwrap();
    let seed = seed();
    assert!(matches!(Store::open(&path, &seed.cluster, seed.node), Err(StoreError::Storage(_))));
    Store::create(&path, &seed).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!path.with_extension("new").exists());
    let mut store = Store::open(&path, &seed.cluster, seed.node).unwrap();
    assert_eq!(store.next_boot().unwrap(), Boot(1));
    assert_eq!(store.placement().unwrap(), seed.placement);
    assert_eq!(store.members().unwrap(), seed.members);
    drop(store);
    let beta = "beta".parse().unwrap();
    for (cluster, node) in [(&beta, NodeId(1)), (&seed.cluster, NodeId(2))] {
        let refused = Store::open(&path, cluster, node);
        assert!(matches!(refused, Err(StoreError::Foreign(_))), "{refused:?}");
    }
    let mut store = Store::open(&path, &seed.cluster, seed.node).unwrap();
    assert_eq!(store.next_boot().unwrap(), Boot(2));
}

#[test]
fn what_is_refused_changes_nothing_and_poisons_nothing() {
    let mut store = Store::with_backend(Disk::new(), &seed()).unwrap();
    store.assign(ALL, at_term(5)).unwrap();
    let stale = store.assign(ALL, at_term(4));
    assert!(matches!(stale, Err(StoreError::StaleTerm { known: Term(5) })));
    let other = Assignment { owner: NodeId(2), ..at_term(5) };
    let taken = store.assign(ALL, other);
    assert!(matches!(taken, Err(StoreError::TermTaken { owner: NodeId(1) })));
    assert!(!store.is_poisoned());
    assert_eq!(term(&store), 5);
}

#[test]
fn runs_are_cut_and_joined_on_disk() {
    let disk = Disk::new();
    let mut store = Store::with_backend(disk.clone(), &seed()).unwrap();
    let other = Assignment { owner: NodeId(2), backup: None, term: Term(2) };
    store.assign((100, 199), other).unwrap();
    let runs = store.placement().unwrap();
    let cuts: Vec<_> = runs.iter().map(|run| (run.first, run.last)).collect();
    assert_eq!(cuts, [(0, 99), (100, 199), (200, 4095)]);
    drop(store);
    let mut store = Store::with_backend(disk.restarted(), &seed()).unwrap();
    assert_eq!(store.placement().unwrap(), runs);
    store.assign(ALL, at_term(3)).unwrap();
    assert_eq!(term(&store), 3);
}

#[test]
fn zones_have_one_number_each() {
    let mut store = Store::with_backend(Disk::new(), &seed()).unwrap();
    assert_eq!(store.zone("lan").unwrap(), None);
    assert_eq!(store.allot_zone("lan").unwrap(), 1);
    assert_eq!(store.allot_zone("wan").unwrap(), 2);
    assert_eq!(store.allot_zone("lan").unwrap(), 1);
    store.learn_zone("dmz", 7).unwrap();
    store.learn_zone("dmz", 7).unwrap();
    assert_eq!(store.allot_zone("new").unwrap(), 8);
    for (name, number) in [("lan", 3), ("other", 1), ("dmz", 1)] {
        assert!(matches!(store.learn_zone(name, number), Err(StoreError::ZoneTaken)), "{name}");
    }
    for number in [0, ZONES + 1] {
        assert!(matches!(store.learn_zone("more", number), Err(StoreError::Full(_))));
    }
    store.learn_zone("last", ZONES).unwrap();
    assert!(matches!(store.allot_zone("beyond"), Err(StoreError::Full(_))));
    for name in ["", &"x".repeat(ZONE_NAME_BYTES + 1)] {
        assert!(matches!(store.allot_zone(name), Err(StoreError::ZoneName)));
    }
}

#[test]
fn a_members_number_is_not_given_again() {
    let mut store = Store::with_backend(Disk::new(), &seed()).unwrap();
    let addresses = vec!["10.0.0.2:7400".parse().unwrap()];
    store.add_member(NodeId(2), &Member::at(addresses.clone())).unwrap();
    let taken = |done| matches!(done, Err(StoreError::NodeTaken(NodeId(2))));
    assert!(taken(store.add_member(NodeId(2), &Member::at(Vec::new()))));
    store.retire_member(NodeId(2)).unwrap();
    assert!(taken(store.add_member(NodeId(2), &Member::at(Vec::new()))));
    let again = store.retire_member(NodeId(2));
    assert!(matches!(again, Err(StoreError::NoMember(NodeId(2)))));
    let member = &store.members().unwrap()[&NodeId(2)];
    assert_eq!((member.standing, &member.addresses), (Standing::Retired, &addresses));
    for node in 3..=MEMBERS as u16 {
        store.add_member(NodeId(node), &Member::at(Vec::new())).unwrap();
    }
    let full = store.add_member(NodeId(1000), &Member::at(Vec::new()));
    assert!(matches!(full, Err(StoreError::Full("members"))));
}

#[test]
fn what_another_node_knows_of_the_members_is_learned() {
    let mut store = Store::with_backend(Disk::new(), &seed()).unwrap();
    let at = |text: &str| vec![text.parse().unwrap()];
    store.add_member(NodeId(2), &Member::at(at("10.0.0.2:7400"))).unwrap();
    store.add_member(NodeId(3), &Member::at(at("10.0.0.3:7400"))).unwrap();
    store.retire_member(NodeId(3)).unwrap();
    let retired = Member { standing: Standing::Retired, ..Member::at(at("10.0.0.5:7400")) };
    let told = BTreeMap::from([
        (NodeId(2), Member::at(at("10.0.0.22:7400"))),
        (NodeId(3), Member::at(at("10.0.0.3:7400"))),
        (NodeId(4), Member::new(Kind::Witness, at("10.0.0.4:7400"))),
        (NodeId(5), retired),
    ]);
    store.learn_members(&told).unwrap();
    let known = store.members().unwrap();
    assert_eq!(known.keys().map(|node| node.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(known[&NodeId(2)], told[&NodeId(2)], "it has moved");
    assert_eq!(known[&NodeId(3)].standing, Standing::Retired, "it does not come back");
    assert_eq!((&known[&NodeId(4)], &known[&NodeId(5)]), (&told[&NodeId(4)], &told[&NodeId(5)]));
    let more = (6..=MEMBERS as u16 + 1).map(|node| (NodeId(node), Member::at(Vec::new())));
    let full = store.learn_members(&more.collect());
    assert!(matches!(full, Err(StoreError::Full("members"))));
    assert_eq!(store.members().unwrap(), known);
}

#[test]
fn new_papers_do_not_change_what_a_node_is_for() {
    let mut store = Store::with_backend(Disk::new(), &seed()).unwrap();
    store.add_member(NodeId(2), &Member::new(Kind::Witness, Vec::new())).unwrap();
    let token = tokens(1).remove(0);
    store.add_token(token.id(), &token.record(100, 50, Some(NodeId(2))), 100).unwrap();
    store.admit(token.id(), NodeId(2), &Member::at(Vec::new())).unwrap();
    assert_eq!(store.members().unwrap()[&NodeId(2)].kind, Kind::Witness);
}

fn tokens(count: usize) -> Vec<Token> {
    let (_, identity) = Authority::found("alpha".parse().unwrap(), NodeId(1)).unwrap();
    (0..count).map(|_| Token::make(&identity, Vec::new()).unwrap()).collect()
}

#[test]
fn a_token_is_used_once_also_after_a_restart() {
    let disk = Disk::new();
    let mut store = Store::with_backend(disk.clone(), &seed()).unwrap();
    let all = tokens(2);
    for token in &all {
        store.add_token(token.id(), &token.record(100, 50, None), 100).unwrap();
    }
    // One that cannot be admitted leaves the token as it is.
    let taken = store.admit(all[0].id(), NodeId(1), &Member::at(Vec::new()));
    assert!(matches!(taken, Err(StoreError::NodeTaken(NodeId(1)))));
    assert!(!store.token(all[0].id()).unwrap().unwrap().used);
    store.admit(all[0].id(), NodeId(2), &Member::at(Vec::new())).unwrap();
    drop(store);
    let mut store = Store::with_backend(disk.crashed(1), &seed()).unwrap();
    assert!(store.token(all[0].id()).unwrap().unwrap().used);
    let again = store.admit(all[0].id(), NodeId(3), &Member::at(Vec::new()));
    assert!(matches!(again, Err(StoreError::NoToken)));
    assert!(!store.members().unwrap().contains_key(&NodeId(3)));
    let unknown = store.admit(tokens(1)[0].id(), NodeId(3), &Member::at(Vec::new()));
    assert!(matches!(unknown, Err(StoreError::NoToken)));
    assert!(store.members().unwrap().contains_key(&NodeId(2)));
}

#[test]
fn a_token_that_replaces_is_for_that_member_alone() {
    let mut store = Store::with_backend(Disk::new(), &seed()).unwrap();
    store.add_member(NodeId(2), &Member::at(Vec::new())).unwrap();
    let all = tokens(2);
    for (token, replaces) in all.iter().zip([2, 9]) {
        let record = token.record(100, 50, Some(NodeId(replaces)));
        store.add_token(token.id(), &record, 100).unwrap();
    }
    for (token, node) in [(0, 3), (1, 9), (1, 2)] {
        let refused = store.admit(all[token].id(), NodeId(node), &Member::at(Vec::new()));
        assert!(matches!(refused, Err(StoreError::NoMember(_))), "{token} {node}");
    }
    let addresses = vec!["10.0.0.9:1".parse().unwrap()];
    store.admit(all[0].id(), NodeId(2), &Member::at(addresses.clone())).unwrap();
    assert_eq!(store.members().unwrap()[&NodeId(2)].addresses, addresses);
}

#[test]
fn tokens_are_few_and_forgotten_when_expired() {
    let mut store = Store::with_backend(Disk::new(), &seed()).unwrap();
    let all = tokens(TOKENS + 1);
    for token in &all[..TOKENS] {
        store.add_token(token.id(), &token.record(100, 50, None), 100).unwrap();
    }
    let last = &all[TOKENS];
    let full = store.add_token(last.id(), &last.record(100, 50, None), 149);
    assert!(matches!(full, Err(StoreError::Full(_))));
    store.add_token(last.id(), &last.record(150, 50, None), 150).unwrap();
    assert_eq!(store.token(all[0].id()).unwrap(), None);
    assert!(store.token(last.id()).unwrap().is_some());
}

/// Whatever step of whatever call the disk refuses: the caller is told, nothing is promised from then
/// on, and the next run finds what was promised, or what was being written.
fn refused_at_each_step(fault: fn(usize) -> Fault) {
    let mut refusals = 0;
    for step in 0.. {
        let disk = Disk::new();
        let mut store = Store::with_backend(disk.clone(), &seed()).unwrap();
        store.assign(ALL, at_term(2)).unwrap();
        disk.refuse(fault(step));
        let mut promised = 2;
        let failed = (3..6).find(|term| {
            let done = store.assign(ALL, at_term(*term));
            if done.is_ok() {
                promised = *term;
            }
            done.is_err()
        });
        if failed.is_none() {
            break;
        }
        refusals += 1;
        assert!(store.is_poisoned(), "{:?}", fault(step));
        disk.mend();
        assert!(matches!(store.assign(ALL, at_term(9)), Err(StoreError::Poisoned)));
        assert!(matches!(store.placement(), Err(StoreError::Poisoned)));
        assert!(matches!(store.next_boot(), Err(StoreError::Poisoned)));
        drop(store);
        for crash in 0..4 {
            let store = Store::with_backend(disk.crashed(crash), &seed()).unwrap();
            let found = term(&store);
            let uncertain = failed == Some(found);
            assert!(found == promised || uncertain, "{:?}: {found} {promised}", fault(step));
        }
    }
    assert!(refusals >= 3, "only {refusals} steps were refused");
}

#[test]
fn a_failed_sync_poisons_the_store() {
    refused_at_each_step(Fault::Sync);
}

#[test]
fn a_failed_write_poisons_the_store() {
    refused_at_each_step(Fault::Write);
}

#[test]
fn a_full_disk_is_said_and_breaks_nothing() {
    let disk = Disk::new();
    let mut store = Store::with_backend(disk.clone(), &seed()).unwrap();
    disk.refuse(Fault::Growth);
    // Rows that have to make the file grow sooner or later.
    let mut known = 1;
    let full = loop {
        match store.allot_zone(&format!("{known:060}")) {
            Ok(number) => known = number + 1,
            Err(error) => break error,
        }
        assert!(known < ZONES, "the disk never got full");
    };
    assert!(matches!(full, StoreError::Storage(_)), "{full}");
    assert!(matches!(store.allot_zone("more"), Err(StoreError::Poisoned)));
    drop(store);
    let store = Store::with_backend(disk.crashed(3), &seed()).unwrap();
    for number in 1..known {
        assert_eq!(store.zone(&format!("{number:060}")).unwrap(), Some(number));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Power is lost at any write: sectors that were not synced are there or not, each by itself.
    #[test]
    fn what_was_promised_survives_any_crash(
        terms in 1u64..12,
        lost_after in 0usize..200,
        crash in any::<u64>(),
    ) {
        let disk = Disk::new();
        let mut store = Store::with_backend(disk.clone(), &seed()).unwrap();
        disk.refuse(Fault::Everything(lost_after));
        let mut promised = 1;
        for term in 2..2 + terms {
            if store.assign(ALL, at_term(term)).is_err() {
                break;
            }
            promised = term;
        }
        // Not even a regular end gets through to a disk without power.
        drop(store);
        let store = Store::with_backend(disk.crashed(crash), &seed()).unwrap();
        let found = term(&store);
        prop_assert!(found == promised || found == promised + 1, "{} {}", found, promised);
    }
}
