//! The short way of first packets says what the long one says.

use config::{Mapping, Nat, NatKind, Pooling, SourceNat, SourceTo};
use proptest::prelude::*;
use wire::build::Builder;
use wire::{Ends, Packet};

use super::rig::*;
use crate::ZoneId;
use crate::nat::{First, Simple};
use crate::policy::Question;

/// Rules of which most are told by zones alone.
fn policies() -> Vec<Nat> {
    let plain = Mapping::default();
    let to = |translate, from: Option<usize>, to: Option<usize>| {
        let (destination, services) = (None, None);
        let kind = SourceNat { to, destination, services, translate, mapping: plain };
        rule("any", from, NatKind::Source(kind))
    };
    let pool_v6 = || config::NatPool { v4: Vec::new(), ..pool(4, Pooling::Paired) };
    let (of_pool, of_port) = (SourceTo::Pool(0), SourceTo::Interface);
    vec![
        nat(Vec::new(), vec![to(of_port, Some(0), Some(1))]),
        nat(vec![pool(4, Pooling::Paired)], vec![to(of_pool, Some(0), None)]),
        nat(vec![pool(1, Pooling::Arbitrary)], vec![to(of_pool, None, Some(1))]),
        // An exception in front; a rule for IPv6 in front; rules that ask for more, in front and behind.
        nat(Vec::new(), vec![to(SourceTo::Untouched, Some(1), None), to(of_port, None, None)]),
        nat(vec![pool_v6()], vec![to(of_pool, None, None), to(of_port, None, Some(1))]),
        nat(Vec::new(), vec![source(of_port, plain), to(SourceTo::Untouched, None, None)]),
        nat(vec![pool(4, Pooling::Paired)], vec![to(of_pool, None, None), source(of_port, plain)]),
    ]
}

/// Compares both answers about a first packet. `false`: the short way leaves it to the long one.
fn agree(wall: &Wall, packet: &Packet, [from, to]: [crate::PortId; 2], hash: u64) -> bool {
    let zone = |port: crate::PortId| ZoneId(port.0);
    let (key, direction) = wire::flow_key(packet, 0).expect("it has ports");
    let zones = [from, to].map(zone);
    let simple = Simple { key: &key, direction, hash, zones, egress: to };
    let Some(said) = wall.engine.binding_simply(&simple) else { return false };
    let question = Question::of(packet, zones[0], zones[1]);
    let full = std::cell::Cell::new(None);
    let first = First {
        full: &full,
        announced: false,
        known_as: None,
        ends: Ends::of(packet),
        key: &key,
        protocol: packet.protocol,
        toward: None,
        question: &question,
        ports: [from, to],
        hash,
        stale: None,
    };
    assert_eq!(Ok(said), wall.engine.binding(&first), "{packet:?}");
    true
}

proptest! {
    #[test]
    fn it_says_what_the_long_way_says(
        flows in prop::collection::vec(
            (any::<[[u8; 2]; 2]>(), any::<[u16; 2]>(), any::<[bool; 3]>(), any::<u64>()),
            1..40,
        ),
        used in prop::collection::vec(0_u16..61_440, 0..30),
        kind in 0_usize..7,
    ) {
        let mut wall = Wall::new(policies().swap_remove(kind));
        for public in &mut wall.engine.nat.addresses {
            for runs in &mut public.runs {
                // Runs of slots that are used up, but for a few ports.
                used.iter().for_each(|port| { runs.take(port + 1_024); });
            }
        }
        let mut simple = 0;
        for ([[a, b], [c, d]], [port, to_port], [udp, outward, turns], hash) in flows {
            let inside = ip(&format!("10.1.{a}.{b}"));
            let outside = ip(&format!("198.18.{c}.{d}"));
            let (from, to) = if outward { (inside, outside) } else { (outside, inside) };
            let builder = Builder::new(from, to);
            let builder = if udp { builder.udp(port, to_port) } else { builder.tcp(port, to_port) };
            let packet = Packet::parse(&builder.frame()).expect("a packet");
            let ports = if outward { [LAN, WAN] } else { [WAN, LAN] };
            let ports = if turns { [ports[0]; 2] } else { ports };
            simple += u32::from(agree(&wall, &packet, ports, hash));
        }
        // All rules but those that ask for addresses are told by zones alone.
        prop_assert!(kind == 5 || simple > 0, "kind {kind}");
    }
}
