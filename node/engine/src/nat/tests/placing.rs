//! Both directions of a session have one slot, and every worker finds it by itself.

use config::{Filtering, Mapping, Nat};
use proptest::prelude::*;
use wire::build::Builder;

use super::rig::*;
use crate::engine::Content;
use crate::{PortId, session::Peer};

/// The slot that a frame is placed by.
fn slot(wall: &Wall, port: PortId, packet: &Builder<'_>) -> u16 {
    let mut frame = packet.frame().to_vec();
    frame[..6].copy_from_slice(&wall.engine.ports()[port.index()].mac);
    let content = wall.engine.read(port, &frame);
    assert!(matches!(content, Content::Ip(_)), "{content:?}");
    wall.engine.slot_of(port, &content).expect("a packet has a slot").0
}

fn slots_of_sessions(wall: &Wall) -> Vec<u16> {
    let mut slots = Vec::new();
    wall.engine.sessions().page(crate::table::Cursor::default(), |handle, session| {
        let twin = wall.engine.twin_of(handle.place());
        let direction = session.direction(Peer::Initiator);
        slots.push(wall.engine.slot_of_session(&session.key, direction, twin).0);
    });
    slots
}

fn mappings() -> impl Strategy<Value = Nat> {
    let filtering = Filtering::EndpointIndependent;
    prop_oneof![
        Just(masquerade()),
        Just(pooled(Mapping::default())),
        Just(pooled(independent(filtering))),
        Just(pooled(Mapping { parity: true, ..independent(filtering) })),
    ]
}

proptest! {
    #[test]
    fn a_session_its_packets_and_its_errors_are_in_one_slot(
        nat in mappings(), client in 2_u8..250, port in 1_024_u16.., server in 1_u8..250,
    ) {
        let mut wall = Wall::new(nat);
        let (client, server) = (format!("10.0.0.{client}"), format!("198.18.0.{server}"));
        let sent = udp((&client, port), (&server, 53));
        let home = slot(&wall, LAN, &sent);
        let left = wall.pass(LAN, &sent);
        let answer = answer_udp(&left);
        prop_assert_eq!(slot(&wall, WAN, &answer), home);
        let quoted = wire::build::quotation(&left.frame, &left.packet).to_vec();
        let error = Builder::new(ip("192.0.2.1"), left.packet.source).icmp(3, 1, 0).payload(&quoted);
        prop_assert_eq!(slot(&wall, WAN, &error), home);
        prop_assert_eq!(slots_of_sessions(&wall), vec![home]);
        let back = wall.pass(WAN, &answer);
        let quoted = wire::build::quotation(&back.frame, &back.packet).to_vec();
        let error = Builder::new(ip(&client), ip(&server)).icmp(3, 3, 0).payload(&quoted);
        prop_assert_eq!(slot(&wall, LAN, &error), home);
    }
}
