//! Two workers of one node: what one of them lets in, no other can.

use std::sync::Arc;

use wire::build::Builder;

use super::pptp;
use super::talk::*;
use crate::alg::Steering;
use crate::engine::Owners;
use crate::nat::tests::rig::*;
use crate::session::Peer::{Initiator, Responder};
use crate::{Elsewhere, PortId, Reason, WorkerId};

/// Workers with half of the slots each.
fn workers(nat: &config::Nat) -> [Wall; 2] {
    let steering = Arc::new(Steering::new(7));
    let mut owners: Owners = [WorkerId(0); _];
    owners.iter_mut().skip(1).step_by(2).for_each(|owner| *owner = WorkerId(1));
    let owners = Arc::new(owners);
    [0, 1].map(|worker| {
        let mut wall = Wall::with(1, 256, WorkerId(worker), nat.clone());
        wall.engine.set_owners(Arc::clone(&owners));
        wall.engine.set_steering(Arc::clone(&steering));
        wall.engine.set_policy(policy(CHANNELS, nat.clone(), 2));
        wall
    })
}

/// The worker that a packet is for, whichever of them gets it.
fn home(workers: &[Wall; 2], port: PortId, packet: &Builder<'_>) -> usize {
    let homes = [0, 1].map(|at| {
        let Wall { engine, .. } = &workers[at];
        let mut frame = packet.frame().to_vec();
        frame[..6].copy_from_slice(&engine.ports()[port.index()].mac);
        match engine.owner(&engine.parse(port, &frame), &frame, false) {
            None => at,
            Some(Elsewhere::Worker(worker)) => usize::from(worker.0),
            Some(Elsewhere::Node(..)) => panic!("there is one node"),
        }
    });
    assert_eq!(homes[0], homes[1], "both say the same of {packet:?}");
    homes[0]
}

/// All clients give their call the same number, to the same server: each worker tells its own.
#[test]
fn tunnels_of_two_workers_have_numbers_of_their_own() {
    let mut workers = workers(&masquerade());
    let mut told = std::collections::BTreeMap::new();
    for host in 5..45_u16 {
        let client = format!("10.0.0.{host}");
        let ends = ((&*client, 40_200), pptp::SERVER);
        let at = home(&workers, LAN, &tcp(ends.0, ends.1, SYN));
        let wall = &mut workers[at];
        let mut talk = Talk::open(wall, ends.0, ends.1);
        let request = talk.utter(wall, Initiator, &pptp::request(3));
        talk.nod(wall, Responder);
        let number = u16::from_be_bytes([request[12], request[13]]);
        assert!(number != 0 && told.insert(number, at).is_none(), "{number} was told before");
        talk.utter(wall, Responder, &pptp::reply(host, number, 1));
    }
    for (number, at) in told {
        let packet = pptp::gre(pptp::SERVER.0, "198.51.100.1", number);
        assert_eq!(home(&workers, WAN, &packet), at);
        workers[at].pass(WAN, &packet);
    }
}

#[test]
fn a_pinhole_that_two_packets_claim_at_two_workers_lets_one_in() {
    for nat in [config::Nat::default(), masquerade()] {
        let mut apart = 0;
        for client in 40_000..40_040 {
            let mut workers = workers(&nat);
            let ends = (("10.0.0.5", client), ("198.18.0.1", 21));
            let at = home(&workers, LAN, &tcp(ends.0, ends.1, SYN));
            let mut talk = Talk::open(&mut workers[at], ends.0, ends.1);
            let data =
                |port| tcp(("10.0.0.5", port), ("198.18.0.1", 51_210), SYN).seq(7).mss(1_460);
            // Before it is announced, each is a packet of its own slot.
            apart += u32::from(home(&workers, LAN, &data(50_001)) != at);
            talk.line(&mut workers[at], Initiator, "PASV\r\n");
            let reply = "227 Entering Passive Mode (198,18,0,1,200,10).\r\n";
            talk.line(&mut workers[at], Responder, reply);
            for first in [50_001, 50_002] {
                assert_eq!(home(&workers, LAN, &data(first)), at, "its channel's");
            }
            workers[at].pass(LAN, &data(50_001));
            // It is used up: the other one is anybody's again, and nobody lets it in.
            for wall in &mut workers {
                assert_eq!(wall.drop(LAN, &data(50_002)), Reason::NoRule);
            }
            assert_eq!(home(&workers, LAN, &data(50_001)), at, "its session is still there");
        }
        assert!(apart >= 10, "{apart} of 40 would be elsewhere by their slots");
    }
}
