//! Frames that no honest sender makes: whatever they hold, the books balance and no frame is lost.

use core::time::Duration;

use engine::{Mode, Port};
use proptest::prelude::*;
use ringwall_datapath::MemoryPort;
use wire::{TcpFlags, Version};

use crate::handoff::cut;
use crate::world::{LAN, POLICY, Side, WAN, World, packet, ports};

/// A well-formed frame or fragment of one.
fn sound() -> impl Strategy<Value = Vec<u8>> {
    let payload = proptest::collection::vec(any::<u8>(), 0..1_400);
    (any::<bool>(), 0..6_u8, 0..8_u16, payload).prop_map(|(v6, kind, flow, payload)| {
        let start = packet(Side::Client, if v6 { Version::V6 } else { Version::V4 });
        let start = start.payload(&payload);
        let fragments = |mtu| cut(&start.udp(flow, 53), flow.into(), mtu);
        match kind {
            0 => start.udp(flow, 53).frame().to_vec(),
            1 => start.tcp(flow, 80).flags(TcpFlags::SYN).frame().to_vec(),
            2 => start.echo_request(flow, 1).frame().to_vec(),
            3 => start.vlan(flow).udp(flow, 53).frame().to_vec(),
            4 => fragments(600).remove(0),
            _ => fragments(600).pop().expect("at least one"),
        }
    })
}

/// The frame with some bytes changed and perhaps its end cut off; or pure noise.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let spoilt = (sound(), changes, any::<prop::sample::Index>(), any::<bool>());
    let spoilt = spoilt.prop_map(|(mut frame, changes, end, shorten)| {
        for (at, byte) in changes {
            // Headers are where it hurts.
            let at = at.index(frame.len().min(80));
            frame[at] = byte;
        }
        let end = if shorten { end.index(frame.len()) + 1 } else { frame.len() };
        frame.truncate(end);
        frame
    });
    prop_oneof![4 => spoilt, 1 => proptest::collection::vec(any::<u8>(), 1..1_600)]
}

fn world(wire: bool) -> World {
    let ends = if wire { [WAN, LAN].map(Mode::Wire) } else { [Mode::Routed; 2] };
    let ports: Vec<_> =
        ports().into_iter().zip(ends).map(|(port, mode)| Port { mode, ..port }).collect();
    World::with(2, &ports, POLICY, MemoryPort::default)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_frame_upsets_the_books(
        wire in any::<bool>(),
        frames in proptest::collection::vec((frame(), 0..2_usize, any::<bool>()), 1..60),
    ) {
        let mut world = world(wire);
        let count = frames.len() as u64;
        for (frame, worker, reverse) in frames {
            let from = if reverse { Side::Server } else { Side::Client };
            world.arrive(worker, from, &frame);
        }
        world.settle();
        world.wait(Duration::from_secs(35));
        prop_assert_eq!(world.total(|counters| counters.received), count);
        prop_assert_eq!(world.total(|counters| counters.held), 0);
        prop_assert_eq!(world.dropped(engine::Reason::HandoffFull), 0);
        world.audit();
    }
}
