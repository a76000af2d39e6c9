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
