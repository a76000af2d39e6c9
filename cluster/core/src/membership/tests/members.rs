//! A node that does not know all members of its cluster.

use super::super::*;
use super::Flaw;
use super::world::World;

/// Three firewalls, of which the second one knows the first alone, and takes itself for one of two. The first
/// one and the third one are settled.
fn with_an_old_list(flaw: Option<Flaw>) -> World {
    let mut world = World::new(3, 0, 1).with_flaw(flaw);
    world.hosts[1].config.peers.retain(|peer| peer.node == NodeId(1));
    for node in 0..3 {
        world.start(node);
    }
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0]);
    world
}

#[test]
fn who_has_an_old_list_does_not_own_also_when_it_is_cut_off() {
    let mut world = with_an_old_list(None);
    world.assert_safe();
    let heard = |ours_is_old: bool| {
        let peer = NodeId(if ours_is_old { 1 } else { 2 });
        move |it: &Event| *it == Event::MembersDiffer { peer, ours_is_old }
    };
    assert!(world.hosts[1].has(heard(true)) && world.hosts[0].has(heard(false)));
    assert!(world.view(1).fitness.has(Fitness::MEMBERS));
    world.cut_both(0, 1, true);
    world.run_ms(1_000);
    world.assert_safe();
    assert_eq!(world.actives(), [0], "the cut one does not go on alone");
    // Told anew, it takes part.
    world.cut_both(0, 1, false);
    world.kill(1);
    world.hosts[1].config = super::world::config(1, 3, 0, 2);
    world.start(1);
    world.run_ms(1_000);
    assert_eq!(world.view(1).fitness, Fitness::FIT);
    world.power_loss(0);
    world.run_ms(1_000);
    world.assert_safe();
    assert_eq!(world.actives().len(), 1);
}

/// The mistake that this is there for.
#[test]
fn without_that_two_would_forward() {
    let mut world = with_an_old_list(Some(Flaw::OldMembers));
    world.cut_both(0, 1, true);
    world.run_ms(1_000);
    assert!(world.actives().contains(&1), "it thinks itself alone: {:?}", world.actives());
}

#[test]
fn the_number_of_a_list_counts_first_and_does_not_depend_on_who_tells_it() {
    let config = |index, nodes, witnesses| super::world::config(index, nodes, witnesses, 2);
    let number = |index, nodes, witnesses| config(index, nodes, witnesses).members();
    assert_eq!(number(0, 3, 0), number(2, 3, 0));
    assert!(number(0, 3, 0) > number(0, 2, 0) && number(0, 2, 0) > 0);
    assert_ne!(number(0, 3, 0), number(0, 3, 1), "a witness is another member");
}

/// What the log says of three members, to one of them; by which lists others may still go.
fn told(index: usize, nodes: &[usize], version: u32, earlier: &[&[u16]]) -> List {
    let all = super::world::config(index, 3, 0, 2);
    let named = |peer: &PeerConfig| nodes.contains(&(usize::from(peer.node.0) - 1));
    let peers = all.peers.into_iter().filter(named).collect();
    let list = |nodes: &&[u16]| nodes.iter().copied().map(NodeId).collect();
    List { version, peers, earlier: earlier.iter().map(list).collect() }
}

/// As its store would have it after a restart, too.
fn tell(world: &mut World, node: usize, list: &List) {
    let config = &mut world.hosts[node].config;
    (config.list, config.peers, config.earlier) =
        (list.version, list.peers.clone(), list.earlier.clone());
    world.tell(node, Input::Members(list));
}

/// A pair that runs by its list, and a third node that is not known yet.
fn a_pair(seed: u64, flaw: Option<Flaw>) -> World {
    let mut world = World::new(3, 0, seed).with_flaw(flaw);
    for node in 0..2 {
        let List { version, peers, earlier } = told(node, &[0, 1], 1, &[]);
        let config = &mut world.hosts[node].config;
        (config.list, config.peers, config.earlier) = (version, peers, earlier);
        world.start(node);
    }
    world.hosts[2].config.earlier = vec![vec![NodeId(1), NodeId(2)]];
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0]);
    world
}

#[test]
fn a_third_node_is_taken_in_while_the_pair_runs() {
    let mut world = a_pair(1, None);
    let boots = world.hosts.iter().map(|host| host.boot).collect::<Vec<_>>();
    world.start(2);
    world.run_ms(500);
    assert_eq!((world.actives(), world.view(2).members[0].heard_ago), (vec![0], None));
    let counted = world.hosts[0].intervals.len();
    for node in [1, 0, 2] {
        tell(&mut world, node, &told(node, &[0, 1, 2], 2, &[&[1, 2]]));
        world.run_ms(100);
        world.assert_safe();
    }
    for node in 0..3 {
        assert_eq!(world.view(node).list, (2, true), "node {node}");
        assert!(world.hosts[node].has(|it| *it == Event::MembersSettled { version: 2 }));
    }
    assert_eq!(world.hosts[0].intervals.len(), counted, "the owner forwarded all the time");
    assert_eq!(boots[..2], [world.hosts[0].boot, world.hosts[1].boot]);
    // It counts: with it, one of the two may die, and it takes over from the last one but itself.
    world.power_loss(0);
    world.run_ms(1_000);
    assert_eq!(world.actives(), [1]);
    world.assert_safe();
    world.power_loss(1);
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0; 0], "one of three is no majority");
}

/// Three that go by the log's list.
fn three_that_agree(seed: u64) -> World {
    let mut world = World::settled(3, 0, seed);
    for node in 0..3 {
        tell(&mut world, node, &told(node, &[0, 1, 2], 1, &[]));
    }
    world.run_ms(200);
    world
}

#[test]
fn who_leaves_is_waited_for_by_nobody_and_is_voted_for_by_nobody() {
    let mut world = three_that_agree(1);
    for node in 0..2 {
        tell(&mut world, node, &told(node, &[0, 1], 2, &[&[1, 2, 3]]));
    }
    world.run_ms(30);
    assert_eq!(world.view(1).list, (2, false), "it may have a lease by our vote");
    assert_eq!(world.view(0).list, (2, true), "not while this one has one");
    world.run_ms(500);
    assert_eq!([world.view(0).list, world.view(1).list], [(2, true); 2]);
    assert_eq!(world.actives(), [0]);
    // A pair again, with what comes of that.
    world.power_loss(1);
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0]);
    world.assert_safe();
    assert_eq!(world.role(2), Some(Role::Standby), "it goes by the old list, and hears nobody");
}

#[test]
fn the_last_of_a_pair_forwards_on_when_the_other_one_leaves() {
    let mut world = a_pair(7, None);
    world.tell(1, Input::Fitness(Fitness::REMOVED));
    world.run_ms(100);
    let counted = world.hosts[0].intervals.len();
    tell(&mut world, 0, &told(0, &[0], 2, &[&[1, 2]]));
    world.run_ms(1_000);
    assert_eq!((world.actives(), world.view(0).list), (vec![0], (2, true)));
    assert_eq!(world.hosts[0].intervals.len(), counted, "all the time");
    world.assert_safe();
}

/// An owner that leaves: its lease ends, and then another's begins.
#[test]
fn an_owner_that_leaves_is_followed_by_one_who_stays() {
    let mut world = three_that_agree(3);
    for node in 1..3 {
        tell(&mut world, node, &told(node, &[1, 2], 2, &[&[1, 2, 3]]));
    }
    world.run_ms(2_000);
    world.assert_safe();
    assert_eq!(world.actives().len(), 1);
    assert_ne!(world.actives(), [0]);
}

#[test]
fn without_everybody_a_pair_that_grows_keeps_to_both_lists() {
    let mut world = a_pair(5, None);
    tell(&mut world, 0, &told(0, &[0, 1, 2], 2, &[&[1, 2]]));
    world.start(2);
    world.power_loss(1);
    world.run_ms(2_000);
    assert_eq!(world.actives(), [0; 0], "the other one may be alive, and alone");
    assert_eq!(world.view(0).list, (2, false));
    world.start(1);
    world.run_ms(1_000);
    assert_eq!(world.actives().len(), 1, "it is heard, by the old list");
    world.assert_safe();
    tell(&mut world, 1, &told(1, &[0, 1, 2], 2, &[&[1, 2]]));
    world.run_ms(200);
    assert_eq!(world.view(0).list, (2, true));
    world.assert_safe();
}

/// Nodes learn of the third one at any time, are cut off and die meanwhile.
fn storm(seed: u64, flaw: Option<Flaw>) -> World {
    let mut world = a_pair(seed, flaw);
    let mut rng = super::world::Rng(seed ^ 0x5eed);
    let grown = |node| told(node, &[0, 1, 2], 2, &[&[1, 2]]);
    let mut steps: Vec<(u64, u8, usize)> = vec![(0, 0, 2)];
    steps.extend((0..3).map(|node| (rng.below(800), 1, node)));
    for _ in 0..4 {
        let (at, node) = (rng.below(1_500), rng.below(3) as usize);
        steps.push((at, 2, node));
        steps.push((at + rng.below(1_500), 3, node));
    }
    let dies = (rng.below(1_500), rng.below(3) as usize);
    steps.extend([(dies.0, 4, dies.1), (dies.0 + 1 + rng.below(600), 0, dies.1)]);
    steps.sort_unstable();
    let begun = world.now;
    for (at, what, node) in steps {
        world.run_until(begun.max(begun + at * super::world::MS));
        let others = (0..3).filter(|it| *it != node);
        match what {
            0 => world.start(node),
            1 => tell(&mut world, node, &grown(node)),
            2 | 3 => others.for_each(|other| world.cut_both(node, other, what == 2)),
            _ => world.kill(node),
        }
    }
    (0..3).for_each(|node| (0..3).for_each(|other| world.cut_both(node, other, false)));
    world.run_ms(3_000);
    world
}

#[test]
fn lists_may_change_at_any_time() {
    for seed in 0..300 {
        let world = storm(seed, None);
        assert_eq!(world.violation, None, "seed {seed}");
        assert_eq!(world.actives().len(), 1, "seed {seed}: {:?}", world.actives());
        for node in 0..3 {
            assert_eq!(world.view(node).list, (2, true), "seed {seed}, node {node}");
        }
    }
}

/// The mistake that this is there for.
#[test]
fn a_list_that_counts_at_once_lets_two_forward() {
    let found = (0..300).find(|seed| storm(*seed, Some(Flaw::ListAtOnce)).violation.is_some());
    assert!(found.is_some());
}

/// One of three is told to go, and forwards no more; the others learn at any time that it has gone, and are
/// cut off meanwhile.
fn parting(seed: u64) -> (World, [usize; 2]) {
    let mut world = three_that_agree(seed);
    let mut rng = super::world::Rng(seed ^ 0x6006);
    let leaver = rng.below(3) as usize;
    let stay = [(leaver + 1) % 3, (leaver + 2) % 3];
    world.tell(leaver, Input::Fitness(Fitness::REMOVED));
    let mut steps: Vec<(u64, u8, usize)> =
        stay.map(|node| (100 + rng.below(800), 0, node)).to_vec();
    for _ in 0..4 {
        let (at, node) = (rng.below(1_500), rng.below(3) as usize);
        steps.extend([(at, 1, node), (at + rng.below(1_000), 2, node)]);
    }
    steps.sort_unstable();
    let begun = world.now;
    for (at, what, node) in steps {
        world.run_until(begun.max(begun + at * super::world::MS));
        match what {
            0 => tell(&mut world, node, &told(node, &stay, 2, &[&[1, 2, 3]])),
            _ => (0..3).filter(|it| *it != node).for_each(|it| world.cut_both(node, it, what == 1)),
        }
    }
    (0..3).for_each(|node| (0..3).for_each(|other| world.cut_both(node, other, false)));
    world.run_ms(3_000);
    (world, stay)
}

#[test]
fn a_member_may_go_at_any_time() {
    for seed in 0..300 {
        let (world, stay) = parting(seed);
        assert_eq!(world.violation, None, "seed {seed}");
        assert_eq!(world.actives().len(), 1, "seed {seed}: {:?}", world.actives());
        assert!(stay.contains(&world.actives()[0]), "seed {seed}: {:?}", world.actives());
        for node in stay {
            assert_eq!(world.view(node).list, (2, true), "seed {seed}, node {node}");
        }
    }
}
