//! What keeps a node with the wrong policy from owning.

use super::super::*;
use super::world::World;

const OLD: [u8; 16] = [1; 16];
const NEW: [u8; 16] = [2; 16];

/// A settled pair whose owner runs [`OLD`] and whose standby runs [`NEW`].
fn differing(guard: PolicyGuard) -> World {
    let mut world = World::new(2, 0, 1);
    for host in &mut world.hosts {
        host.config.guard = guard;
    }
    for node in [0, 1] {
        world.start(node);
        world.tell(node, Input::Policy(OLD));
    }
    world.run_ms(1_000);
    assert_eq!(world.actives(), [0]);
    world.tell(1, Input::Policy(NEW));
    world.run_ms(100);
    world
}

#[test]
fn digests_count_with_one_guard_and_not_with_the_other() {
    for (guard, permits) in [(PolicyGuard::Digest, false), (PolicyGuard::Fitness, true)] {
        let mut world = differing(guard);
        world.tell(0, Input::Request(Request::Failover));
        let wanted = if permits { Ok(()) } else { Err(Refused::PeerPolicyDiffers(NodeId(2))) };
        assert_eq!(world.hosts[0].answers, [wanted], "{guard:?}");
        world.run_ms(500);
        assert_eq!(world.actives() == [1], permits, "{guard:?}");

        let mut world = differing(guard);
        world.power_loss(0);
        world.run_ms(500);
        assert_eq!(world.actives() == [1], permits, "{guard:?}");
        assert_eq!(world.view(1).policy_differs, !permits, "{guard:?}");
        world.assert_safe();
    }
}

#[test]
fn a_node_without_leave_to_forward_neither_takes_over_nor_goes_on() {
    let mut world = World::settled(2, 0, 1);
    world.tell(1, Input::Fitness(Fitness::POLICY));
    world.run_ms(100);
    world.tell(0, Input::Request(Request::Failover));
    assert_eq!(world.hosts[0].answers, [Err(Refused::PeerUnfit(NodeId(2), Fitness::POLICY))]);
    world.tell(0, Input::Fitness(Fitness::POLICY));
    world.run_ms(1_000);
    assert!(world.actives().is_empty() && !world.forwards(0) && !world.forwards(1));
    world.tell(1, Input::Fitness(Fitness::FIT));
    world.run_ms(500);
    assert_eq!(world.actives(), [1]);
    world.assert_safe();
}
