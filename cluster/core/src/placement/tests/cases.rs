//! Small clusters, one by one.

use wire::SLOTS;

use super::world::{Event, World};
use crate::limits::MEMBERS_MAX;
use crate::placement::{
    Load, Member, Members, MembersError, MoveKind, Role, State, Table, TableError,
};
use crate::{NodeId, Term};

const ALL: u32 = SLOTS as u32;

fn loads(world: &World) -> Vec<(u16, u32, u32)> {
    let of = |(node, load): (NodeId, Load)| (node.0, load.owned, load.backed);
    world.table.loads().into_iter().map(of).collect()
}

fn member(node: u16, weight: u16) -> Member {
    Member { node: NodeId(node), weight, rack: None, state: State::In }
}

#[test]
fn small_clusters() {
    type Wanted<'a> = &'a [(u16, u32, u32)];
    let cases: [(&[u16], Wanted<'_>); 8] = [
        (&[], &[]),
        (&[0], &[]),
        (&[100], &[(1, ALL, 0)]),
        (&[100, 0], &[(1, ALL, 0)]),
        (&[100, 100], &[(1, 2_048, 2_048), (2, 2_048, 2_048)]),
        (&[100, 300], &[(1, 1_024, 3_072), (2, 3_072, 1_024)]),
        (
            &[100, 100, 0, 100, 100],
            &[(1, 1_024, 1_024), (2, 1_024, 1_024), (4, 1_024, 1_024), (5, 1_024, 1_024)],
        ),
        (&[1, 1, 2], &[(1, 1_024, 1_065), (2, 1_024, 1_025), (3, 2_048, 2_006)]),
    ];
    for (weights, wanted) in cases {
        let list: Vec<_> = weights.iter().map(|weight| (*weight, None)).collect();
        assert_eq!(loads(&World::of(&list)), wanted, "{weights:?}");
    }
}

#[test]
fn a_second_node_backs_what_the_first_one_keeps() {
    let mut world = World::of(&[(100, None)]);
    let step = world.turn(&[Event::Join { weight: 100, rack: None }]);
    // It is brought up to its band's lower end, 2 % below half; what it got, the first one backs.
    assert_eq!(loads(&world), [(1, 2_089, 2_007), (2, 2_007, 2_089)]);
    assert_eq!(
        (step.moves.count(MoveKind::Owner), step.moves.count(MoveKind::Backup)),
        (2_007, 4_096)
    );
    assert_eq!(step.cost().copies, f64::from(ALL), "one copy of each slot");
}

#[test]
fn a_pair_of_which_one_dies_moves_nothing() {
    let mut world = World::of(&[(100, None), (100, None)]);
    let before = world.table.clone();
    let step = world.turn(&[Event::Die(0)]);
    assert_eq!(loads(&world), [(2, ALL, 0)]);
    assert_eq!(step.moves.count(MoveKind::Takeover), 2_048);
    assert_eq!((step.moves.count(MoveKind::Owner), step.cost().copies), (0, 0.0));
    let (alone, _) = before.takeover(NodeId(1));
    assert!(alone.places().eq(world.table.places()), "it is what the other one did at once");
    for slot in before.slots_of(NodeId(1), Role::Owner) {
        assert_eq!(world.table.place(slot).term, before.place(slot).term.next());
    }
}

#[test]
fn whom_two_deaths_leave_nobody_is_given_away_above_any_takeover() {
    let mut world = World::of(&[(100, None); 4]);
    let before = world.table.clone();
    world.turn(&[Event::Die(0), Event::Die(1)]);
    let (alone, _) = before.takeover(NodeId(1));
    let lost =
        |it: &crate::placement::Place| (it.owner, it.backup) == (Some(NodeId(1)), Some(NodeId(2)));
    let mut seen = 0;
    for (slot, _) in before.places().filter(|it| lost(&it.1)) {
        // The second one had taken over, perhaps, before it died.
        assert_eq!(alone.place(slot).owner, Some(NodeId(2)));
        assert!(world.table.place(slot).term > alone.place(slot).term);
        seen += 1;
    }
    assert!(seen > 200, "{seen}");
    let (gone, _) = alone.takeover(NodeId(2));
    assert!(
        gone.slots_of(NodeId(2), Role::Owner).count() >= seen,
        "nobody else may say whose they are"
    );
}

#[test]
fn a_drain_hands_over_to_backups_and_the_last_one_goes_on() {
    let mut world = World::of(&[(100, None); 3]);
    let before = world.table.clone();
    let step = world.turn(&[Event::Drain(0)]);
    assert!(!world.table.loads().contains_key(&NodeId(1)));
    let backed = |slot: &wire::Slot| before.place(*slot).backup == world.table.place(*slot).owner;
    let slots: Vec<_> = before.slots_of(NodeId(1), Role::Owner).collect();
    assert!(slots.iter().filter(|slot| backed(slot)).count() * 10 >= slots.len() * 9);
    assert_eq!(step.moves.count(MoveKind::Takeover), 0, "nobody died");
    for slot in slots {
        assert_eq!(world.table.place(slot).term, Term(before.place(slot).term.0 + 2));
    }
    world.turn(&[Event::Drain(1)]);
    assert_eq!(loads(&world), [(3, ALL, 0)]);
    let step = world.turn(&[Event::Drain(2)]);
    assert_eq!(world.table.loads().len(), 3, "all drain: all go on");
    assert_eq!(step.new.seats().len(), 3);
}

#[test]
fn two_racks_back_each_other() {
    let racks = [Some(1), Some(1), Some(2)];
    let world = World::of(&racks.map(|rack| (100, rack)));
    for (slot, place) in world.table.places() {
        let apart = (place.owner == Some(NodeId(3))) != (place.backup == Some(NodeId(3)));
        assert!(apart, "{slot:?}: {place:?}");
    }
    let one_rack = World::of(&[(100, Some(1)); 3]);
    assert!(one_rack.table.places().all(|(_, it)| it.backup.is_some()), "better than none");
}

#[test]
fn who_has_the_secret_alone_can_tell() {
    let list: Vec<Member> = (1..=4).map(|node| member(node, 100)).collect();
    let of = |secret| Table::default().next(&Members::new(secret, &list).unwrap()).0;
    let (a, b) = (of([1, 2]), of([1, 3]));
    let same = a.places().zip(b.places()).filter(|(a, b)| a.1.owner == b.1.owner).count();
    assert!((824..1_224).contains(&same), "{same}: a quarter by chance");
    let members = Members::new([3, 4], &list).unwrap();
    assert!(a.next(&members).1.is_empty(), "another secret moves nothing");
    assert!(!format!("{members:?}").contains("secret"));
}

#[test]
fn what_is_no_cluster_is_refused_by_name() {
    let of = |list: &[Member]| Members::new([0, 0], list).err();
    let many: Vec<_> = (0..=MEMBERS_MAX as u16).map(|node| member(node, 1)).collect();
    assert_eq!(of(&many), Some(MembersError::TooMany { count: MEMBERS_MAX + 1 }));
    assert_eq!(of(&many[1..]), None);
    let node = NodeId(3);
    assert_eq!(of(&[member(3, 1), member(3, 2)]), Some(MembersError::Twice { node }));
    assert_eq!(of(&[member(3, 1_001)]), Some(MembersError::Weight { node, weight: 1_001 }));
}

#[test]
fn what_is_no_table_is_refused_by_name() {
    let good = World::of(&[(100, None), (100, None)]).table.encode();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        Table::decode(&bytes).err()
    };
    // version 8, settled 8, count 1, two nodes 4, least term 8: slots from 29, three bytes each.
    assert_eq!(good.len(), 29 + 3 * usize::from(SLOTS));
    assert_eq!(Table::decode(&good[..good.len() - 1]), Err(TableError::Truncated));
    assert_eq!(Table::decode(&[&good[..], &[0]].concat()), Err(TableError::TooLong));
    assert_eq!(Table::decode(&vec![0; 32 * 1_024 + 1]), Err(TableError::TooLong));
    assert_eq!(changed(16, 17), Some(TableError::Nodes), "too many");
    assert_eq!(changed(18, 3), Some(TableError::Nodes), "not in their order");
    assert_eq!(changed(29, 2), Some(TableError::Place), "no such node");
    assert_eq!(changed(30, good[29]), Some(TableError::Place), "both the same");
    let mut long = good.clone();
    long.splice(31..32, [0x80, 0]);
    assert_eq!(Table::decode(&long), Err(TableError::Term), "not the shortest form");
    long.splice(31..33, [0xff, 0xff, 0xff, 0xff, 0x80, 1]);
    assert_eq!(Table::decode(&long), Err(TableError::Term), "too far");
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// All nodes derive the table from the log by themselves: if this digest changes, nodes of two versions would
/// disagree. Then the change needs a command of its own.
#[test]
fn a_golden_history() {
    let mut world = World::of(&[(100, Some(1)), (200, Some(1)), (100, Some(2)), (150, None)]);
    let turns: [&[Event]; 6] = [
        &[Event::Join { weight: 300, rack: Some(2) }, Event::Join { weight: 100, rack: None }],
        &[Event::Die(1)],
        &[Event::Weigh(2, 400)],
        &[Event::Drain(0), Event::Join { weight: 70, rack: Some(3) }],
        &[Event::Resume(1), Event::Resume(0)],
        &[Event::Leave(4), Event::Die(3)],
    ];
    let digests: Vec<u64> = turns
        .iter()
        .map(|events| {
            world.turn(events);
            fnv(&world.table.encode())
        })
        .collect();
    assert_eq!(digests, GOLDEN);
}

const GOLDEN: [u64; 6] = [
    13_039_189_989_791_109_305,
    15_079_742_497_389_518_195,
    6_109_054_200_150_769_465,
    17_442_810_602_685_901_105,
    16_060_753_482_396_243_023,
    9_195_718_179_462_124_665,
];
