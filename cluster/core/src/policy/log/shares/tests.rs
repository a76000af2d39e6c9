//! The table follows from the entries, and from nothing else.

use crate::membership::Kind;
use crate::placement::{Load, Member, State, Table};
use crate::policy::log::{
    self, Action, Changed, Command, Log, Outcome, PLACEMENT_KEY, Refusal, Stamp,
};
use crate::policy::{Line, Replicated, Secret, encode_command};
use crate::{NodeId, Term};

fn share(node: u16, weight: u16, state: State) -> Member {
    Member { node: NodeId(node), weight, rack: None, state }
}

fn member(node: u16, kind: Kind) -> Action {
    let (address, name) = (([10, 0, 9, 1], 7_400).into(), Line::cut("fw"));
    Action::SetMember { node: NodeId(node), member: log::Member { kind, address, name } }
}

fn secret(bytes: Option<&[u8]>) -> Action {
    let secret = bytes.map(|bytes| Secret::new(bytes).unwrap());
    Action::SetSecret { name: Line::cut(PLACEMENT_KEY), secret }
}

fn shares(list: &[Member]) -> Action {
    Action::SetShares { shares: list.to_vec() }
}

fn act(log: &mut Log, action: Action) -> Outcome {
    let index = log.summary().applied + 1;
    log.take(index, &Command { request: None, stamp: Stamp::default(), action })
}

/// Three firewalls and a witness, with a key.
fn cluster() -> Log {
    let mut log = Log::default();
    (1..=3).for_each(|node| drop(act(&mut log, member(node, Kind::Firewall))));
    act(&mut log, member(4, Kind::Witness));
    act(&mut log, secret(Some(&[7; 16])));
    log
}

fn three(last: State) -> Action {
    shares(&[share(1, 100, State::In), share(2, 100, State::In), share(3, 100, last)])
}

fn owned(log: &Log) -> Vec<(u16, u32)> {
    let of = |(node, load): (NodeId, Load)| (node.0, load.owned);
    log.cluster()
        .table()
        .map(|table| table.loads().into_iter().map(of).collect())
        .unwrap_or_default()
}

#[test]
fn no_table_before_somebody_has_a_share() {
    let mut log = cluster();
    assert_eq!(log.cluster().table(), None);
    let told = act(&mut log, three(State::In));
    assert_eq!(told, Outcome::Changed { what: Changed::Shares { placement: 1 } });
    assert_eq!(owned(&log), [(1, 1_366), (2, 1_365), (3, 1_365)]);
    assert_eq!(act(&mut log, three(State::In)), told, "nothing moved, so it is the same table");
    assert_eq!(log.cluster().share(NodeId(3)), Some(share(3, 100, State::In)));
}

#[test]
fn what_cannot_be_is_refused_by_name_and_changes_nothing() {
    let mut bare = Log::default();
    act(&mut bare, member(1, Kind::Firewall));
    let none = Outcome::Refused { why: Refusal::NoPlacementKey {} };
    assert_eq!(act(&mut bare, shares(&[share(1, 1, State::In)])), none);
    act(&mut bare, secret(Some(&[7; 15])));
    assert_eq!(act(&mut bare, shares(&[share(1, 1, State::In)])), none, "that is no key");
    let mut log = cluster();
    act(&mut log, three(State::In));
    let before = log.cluster().clone();
    let cases = [
        (
            shares(&[share(1, 9, State::In), share(9, 1, State::In)]),
            Refusal::NoSuchMember { node: NodeId(9) },
        ),
        (
            shares(&[share(1, 9, State::In), share(4, 1, State::In)]),
            Refusal::Witness { node: NodeId(4) },
        ),
        (
            shares(&[share(1, 9, State::In), share(2, 1_001, State::In)]),
            Refusal::Weight { node: NodeId(2) },
        ),
        (secret(None), Refusal::NoPlacementKey {}),
        (secret(Some(&[1; 17])), Refusal::NoPlacementKey {}),
    ];
    for (action, why) in cases {
        assert_eq!(act(&mut log, action), Outcome::Refused { why });
        assert_eq!(log.cluster(), &before, "{why:?}");
    }
    act(&mut log, secret(Some(&[9; 16])));
    assert_eq!(log.cluster().table(), before.table(), "another key moves nothing");
}

#[test]
fn a_death_a_drain_and_a_return_move_slots() {
    let mut log = cluster();
    act(&mut log, three(State::In));
    let before = log.cluster().table().unwrap().clone();
    act(&mut log, shares(&[share(3, 100, State::Gone)]));
    let (alone, _) = before.takeover(NodeId(3));
    let after = log.cluster().table().unwrap().clone();
    let agree = |(a, b): (crate::placement::Place, crate::placement::Place)| {
        if a.owner == b.owner { a.term == b.term } else { a.term < b.term }
    };
    let places = |table: &Table| table.places().map(|it| it.1).collect::<Vec<_>>();
    assert!(places(&alone).into_iter().zip(places(&after)).all(agree));
    assert_eq!(after.loads().len(), 2);
    act(&mut log, shares(&[share(3, 100, State::In), share(1, 100, State::Draining)]));
    let left: Vec<u16> = owned(&log).into_iter().map(|it| it.0).collect();
    assert_eq!(left, [2, 3]);
    assert!(log.cluster().table().unwrap().places().any(|it| it.1.term > Term(4)));
}

#[test]
fn who_is_no_firewall_any_more_has_no_slots() {
    type Step<'a> = (fn(&mut Log) -> Outcome, &'a [u16]);
    let steps: [Step<'_>; 3] = [
        (|log| act(log, Action::RemoveMember { node: NodeId(2) }), &[1, 3]),
        (|log| act(log, member(2, Kind::Witness)), &[1, 3]),
        (|log| act(log, Action::Recover { generation: 1, survivor: NodeId(3) }), &[3]),
    ];
    for (step, wanted) in steps {
        let mut log = cluster();
        act(&mut log, three(State::In));
        step(&mut log);
        let left: Vec<u16> = owned(&log).into_iter().map(|it| it.0).collect();
        assert_eq!(left, wanted);
        assert_eq!(log.cluster().share(NodeId(2)), None);
    }
}

/// Two nodes, one of which is restored from a snapshot after each entry, have the same table all the time.
#[test]
fn the_table_is_the_same_on_every_node() {
    let (mut log, mut twin) = (cluster(), cluster());
    let actions = [
        three(State::In),
        shares(&[share(3, 100, State::Gone)]),
        shares(&[share(3, 40, State::In)]),
        Action::RemoveMember { node: NodeId(1) },
        secret(Some(&[1; 16])),
        shares(&[share(2, 300, State::In)]),
    ];
    for action in actions {
        let index = log.summary().applied + 1;
        let bytes = encode_command(&Command { request: None, stamp: Stamp::default(), action });
        assert_eq!(log.apply(index, &bytes), twin.apply(index, &bytes));
        twin = Log::restore(&twin.snapshot()).unwrap();
        assert_eq!(log, twin);
    }
}
