//! With whom sessions are replicated: one other firewall, the same as seen from both sides.

use super::super::heartbeat::Flags;
use super::super::*;
use super::world::{World, config};
use crate::limits::BACKUP_HOLD;

const NOW: Time = Time::from_secs(10);
const FIT: Fitness = Fitness::FIT;
const IMPAIRED: Fitness = Fitness::PORT_DOWN;
const UNABLE: Fitness = Fitness::DRAINED;

fn ago(ms: u64) -> Time {
    Time(NOW.0 - ms * 1_000_000)
}

/// What node 1 hears of another one.
#[derive(Clone, Copy, Debug)]
struct Other {
    /// Milliseconds since then.
    heard: u64,
    follows: bool,
    names_us: bool,
    fitness: Fitness,
    readiness: Readiness,
    rank: u16,
}

const NEAR: Other = Other {
    heard: 0,
    follows: true,
    names_us: false,
    fitness: FIT,
    readiness: Readiness::BulkWaiting,
    rank: 100,
};
const SILENT: Other = Other { heard: 51, ..NEAR };

/// Node 1 of three firewalls.
#[derive(Clone, Copy, Debug)]
struct Case {
    role: Role,
    /// Whom it replicates with, and for how many milliseconds there has been a better one.
    partner: Option<u16>,
    outdone: Option<u64>,
    /// Whom it follows.
    owner: Option<u16>,
    others: [Other; 2],
}

const OWNER: Case =
    Case { role: Role::Active, partner: None, outdone: None, owner: None, others: [NEAR, NEAR] };

impl Case {
    fn member(self) -> Member {
        let mut it =
            Member::new(config(0, 3, 0, 1), Boot(7), Facts::default(), ago(5_000)).unwrap();
        it.now = NOW;
        it.role = self.role;
        it.partner.node = self.partner.map(NodeId);
        it.partner.outdone_since = self.outdone.map(ago);
        it.owner = self.owner.map(|node| usize::from(node) - 2);
        for (index, other) in self.others.into_iter().enumerate() {
            let node = NodeId(index as u16 + 2);
            let flags = Flags::default()
                .with(Flags::BACKS, other.follows)
                .with(Flags::NAMES_BACKUP, other.names_us);
            let vote = if other.follows { NodeId(1) } else { node };
            it.peers[index].heard_at = Some(ago(other.heard));
            it.peers[index].said = Some(Heartbeat {
                from: node,
                flags,
                vote: Some(vote),
                fitness: other.fitness,
                readiness: other.readiness,
                rank: other.rank,
                ..Heartbeat::default()
            });
        }
        it
    }
}

#[test]
fn whom_an_owner_chooses() {
    let with = |partner: u16, others| Case { partner: Some(partner), others, ..OWNER };
    let anew = |others| Case { others, ..OWNER };
    let outdone = |ms, others| Case { outdone: Some(ms), ..with(2, others) };
    let ready = Other { readiness: Readiness::Ready, ..NEAR };
    let (impaired, unable) =
        (Other { fitness: IMPAIRED, ..NEAR }, Other { fitness: UNABLE, ..NEAR });
    let better = Other { rank: 101, ..NEAR };
    let elsewhere = Other { follows: false, ..NEAR };
    let long = BACKUP_HOLD.as_millis() as u64;
    let table = [
        // The best of its followers, by class, readiness, rank and number.
        (anew([NEAR, NEAR]), Some(3)),
        (anew([better, NEAR]), Some(2)),
        (anew([ready, better]), Some(2)),
        (anew([Other { readiness: Readiness::Ready, ..impaired }, NEAR]), Some(3)),
        (anew([impaired, unable]), Some(2)),
        (anew([unable, SILENT]), Some(2)),
        (anew([elsewhere, unable]), Some(3)),
        (anew([SILENT, elsewhere]), None),
        // The one that it has stays.
        (with(2, [NEAR, better]), Some(2)),
        (with(2, [NEAR, Other { readiness: Readiness::Ready, ..better }]), Some(2)),
        (with(2, [elsewhere, better]), Some(2)),
        (with(2, [impaired, NEAR]), Some(2)),
        (outdone(long - 1, [impaired, NEAR]), Some(2)),
        // Unless it falls silent, or another was fitter for long.
        (with(2, [SILENT, NEAR]), Some(3)),
        (with(2, [SILENT, SILENT]), None),
        (with(2, [SILENT, elsewhere]), None),
        (outdone(long, [impaired, NEAR]), Some(3)),
        (outdone(long, [unable, impaired]), Some(3)),
        // While it hands over nothing changes but by silence.
        (Case { role: Role::Yielding, ..outdone(long, [impaired, NEAR]) }, Some(2)),
        (Case { role: Role::Yielding, ..with(2, [SILENT, NEAR]) }, Some(3)),
    ];
    for (case, wanted) in table {
        let mut it = case.member();
        it.pair_up(NOW);
        assert_eq!(it.partner.node, wanted.map(NodeId), "{case:?}");
    }
}

#[test]
fn whom_the_others_choose() {
    let names = Other { follows: false, names_us: true, ..NEAR };
    let owner = Other { names_us: false, ..names };
    let follower = Case { role: Role::Standby, owner: Some(2), others: [names, NEAR], ..OWNER };
    let claims = Case { role: Role::TakingOver, owner: None, ..follower };
    let mut table = vec![
        // A claimant keeps what it has: the old owner of a switchover.
        (Case { partner: Some(2), ..claims }, Some(2)),
        (Case { partner: Some(2), others: [SILENT, NEAR], ..claims }, None),
        (claims, None),
    ];
    for role in [Role::Listening, Role::Standby, Role::Drained, Role::Closed] {
        let follower = Case { role, ..follower };
        table.extend([
            (follower, Some(2)),
            (Case { partner: Some(3), ..follower }, Some(2)),
            (Case { others: [owner, NEAR], partner: Some(2), ..follower }, None),
            (Case { others: [owner, names], ..follower }, None),
            (Case { owner: None, partner: Some(2), ..follower }, None),
        ]);
    }
    for (case, wanted) in table {
        let mut it = case.member();
        it.pair_up(NOW);
        assert_eq!(it.partner.node, wanted.map(NodeId), "{case:?}");
    }
}

#[test]
fn of_two_firewalls_each_is_the_others_partner_whatever_happens() {
    for (nodes, witnesses) in [(2, 0), (3, 1)] {
        let mut world = World::settled(nodes, witnesses, 1);
        world.power_loss(0);
        world.run_ms(500);
        assert_eq!(world.actives(), [1]);
        world.start(0);
        world.run_ms(1_000);
        let told = |node: usize| (world.hosts[node].partner, world.hosts[node].partners);
        assert_eq!(told(0), (Some(NodeId(2)), 2), "once in each boot");
        assert_eq!(told(1), (Some(NodeId(1)), 1));
        if witnesses > 0 {
            assert_eq!(told(2), (None, 0));
        }
    }
}

/// Whom `node` replicates with, and who of three is left.
fn partner(world: &World, node: usize) -> (usize, usize) {
    let partner = usize::from(world.hosts[node].partner.expect("it has one").0) - 1;
    (partner, (0..3).find(|it| ![node, partner].contains(it)).unwrap())
}

/// How often each was told of a partner.
fn told(world: &World) -> Vec<u32> {
    world.hosts.iter().map(|host| host.partners).collect()
}

/// The driver says that replication has ended as soon as the owner is silent, before anybody takes over.
#[test]
fn the_backup_takes_over_although_its_replication_has_ended() {
    for seed in 0..20 {
        let mut world = World::settled(3, 0, seed);
        // The second node has the better rank, the third one the sessions.
        world.tell(1, Input::Readiness(Readiness::BulkWaiting));
        world.run_ms(100);
        world.power_loss(0);
        world.run_ms(52);
        world.tell(2, Input::Readiness(Readiness::BulkWaiting));
        world.run_ms(500);
        assert_eq!(world.actives(), [2], "seed {seed}");
        world.start(0);
        world.run_ms(1_000);
        world.assert_safe();
        assert_eq!(world.actives(), [2], "seed {seed}");
    }
}

#[test]
fn the_owner_dies_then_the_next_one() {
    for seed in 0..20 {
        let mut world = World::settled(4, 1, seed);
        world.assert_paired(0);
        world.power_loss(0);
        world.run_ms(500);
        let [owner] = world.actives()[..] else { panic!("seed {seed}: {:?}", world.actives()) };
        world.assert_paired(owner);
        let (backup, _) = partner(&world, owner);
        world.start(0);
        world.run_ms(1_000);
        assert_eq!(partner(&world, owner), (backup, 0), "it stays");
        world.assert_paired(owner);
        world.power_loss(owner);
        world.run_ms(500);
        let [next] = world.actives()[..] else { panic!("seed {seed}: {:?}", world.actives()) };
        world.assert_paired(next);
        world.start(owner);
        world.run_ms(1_000);
        world.assert_paired(next);
        world.assert_safe();
        assert!(!world.overlapped);
    }
}

#[test]
fn the_backup_dies_and_another_takes_its_place() {
    for seed in 0..20 {
        let mut world = World::settled(3, 0, seed);
        let (backup, third) = partner(&world, 0);
        world.power_loss(backup);
        world.run_ms(200);
        assert_eq!((world.actives(), partner(&world, 0)), (vec![0], (third, backup)));
        world.assert_paired(0);
        world.start(backup);
        world.run_ms(1_000);
        assert_eq!(partner(&world, 0), (third, backup), "it stays");
        world.assert_paired(0);
        world.power_loss(0);
        world.run_ms(500);
        let owner = world.actives()[0];
        world.assert_paired(owner);
        world.assert_safe();
        assert!(!world.overlapped);
    }
}

#[test]
fn a_switchover_changes_places_and_no_partner() {
    for seed in 0..20 {
        let mut world = World::settled(3, 0, seed);
        let ((heir, _), before) = (partner(&world, 0), told(&world));
        world.tell(0, Input::Request(Request::Failover));
        world.run_ms(1_000);
        assert_eq!(world.actives(), [heir]);
        world.assert_paired(heir);
        assert_eq!(told(&world), before, "seed {seed}");
    }
}

#[test]
fn an_impaired_backup_is_replaced_after_a_while_and_a_link_that_bounces_moves_nothing() {
    let mut world = World::settled(3, 0, 1);
    let ((backup, third), before) = (partner(&world, 0), told(&world));
    let (fit, down) = (Input::Fitness(FIT), Input::Fitness(IMPAIRED));
    for _ in 0..20 {
        world.tell(backup, down);
        world.run_ms(500);
        world.tell(backup, fit);
        world.run_ms(200);
    }
    assert_eq!(told(&world), before);
    world.tell(backup, down);
    world.run_ms(900);
    assert_eq!(partner(&world, 0), (backup, third));
    world.run_ms(300);
    assert_eq!(partner(&world, 0), (third, backup));
    world.assert_paired(0);
    world.tell(backup, fit);
    world.run_ms(2_000);
    assert_eq!(partner(&world, 0), (third, backup), "it is as good");
}

#[test]
fn loss_changes_no_partner() {
    let mut world = World::settled(3, 0, 1);
    let before = told(&world);
    for line in &mut world.lines {
        line.loss_percent = 20;
    }
    world.run_ms(10_000);
    assert_eq!((world.actives(), told(&world)), (vec![0], before));
}

#[test]
fn only_the_backup_is_handed_over_to() {
    let mut world = World::settled(3, 0, 1);
    let (backup, third) = partner(&world, 0);
    world.tell(backup, Input::Readiness(Readiness::BulkRunning));
    world.run_ms(100);
    world.tell(0, Input::Request(Request::Failover));
    let node = world.hosts[backup].config.node;
    let refused = Refused::PeerNotReady(node, Readiness::BulkRunning);
    assert_eq!(world.hosts[0].answers, [Err(refused)], "the third one only says that it is ready");
    world.power_loss(backup);
    world.run_ms(200);
    world.tell(0, Input::Request(Request::Failover));
    world.run_ms(500);
    assert_eq!(world.actives(), [third]);
}
