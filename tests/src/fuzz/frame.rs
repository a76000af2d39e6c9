//! One frame, read in every way there is. What is parsed lies inside the frame; the short
//! descriptor says what the long one says.

use wire::arp::Arp;
use wire::build::Fragments;
use wire::ndp::Neighbor;
use wire::{
    FragmentKey, Malformed, Options, Packet, PlacementKey, Plain, SLOTS, Transport, Version,
};
use wire::{checksum, embedded_key, flow_key, slot};

use super::{Depth, translate};

const DOMAIN: u16 = 0x0102;
/// Where the IP header of an untagged frame begins.
const NETWORK: u32 = 14;

pub(super) fn run(frame: &[u8]) -> Depth {
    let depth = exercise(frame);
    // A fuzzer does not guess checksums; with them put right, more of the frame is looked at.
    depth.max(exercise(&righted(frame)))
}

/// The frame with its checksums put right, as far as it is a packet.
fn righted(frame: &[u8]) -> Vec<u8> {
    let mut right = frame.to_vec();
    let Ok(packet) = Packet::parse(frame) else { return right };
    if packet.version == Version::V4 {
        checksum::fill_ipv4_header_checksum(&mut right, packet.network);
    }
    checksum::fill_transport_checksum(&mut right, &packet);
    // The descriptor remembers a checksum of zero: read again.
    let packet = Packet::parse(&right).expect("no checksum makes a packet malformed");
    assert!(checksum::ipv4_header_checksum_ok(&right, &packet));
    assert!(checksum::transport_checksum_ok(&right, &packet));
    right
}

/// Everything that can be done with a frame.
pub(super) fn exercise(frame: &[u8]) -> Depth {
    let _ = Arp::parse(frame);
    for at in [0, 4, NETWORK, 18, u32::MAX] {
        let _ = Packet::parse_ip(frame, at, 0);
    }
    let parsed = Packet::parse(frame);
    let plain = Plain::read(frame, DOMAIN);
    assert_eq!(plain, slowly(frame, &parsed), "the short descriptor and the long one");
    let Ok(packet) = parsed else { return Depth::Refused };
    inside(frame, &packet);
    keys(frame, &packet);
    let _ = Neighbor::parse(frame, &packet);
    let _ = checksum::transport_checksum_partial(frame, &packet);
    fragments(frame, &packet);
    translate::exercise(frame, &packet, plain.as_ref());
    let Some(plain) = plain else { return Depth::Read };
    assert_eq!(plain.checksum_ok(frame), checksum::transport_checksum_ok(frame, &packet));
    routed(frame, &plain);
    Depth::Used
}

/// What the slow twin says of a frame that it finds plain.
fn slowly(frame: &[u8], parsed: &Result<Packet, Malformed>) -> Option<Plain> {
    let packet = parsed.as_ref().ok()?;
    let options = [Options::NONE, Options::DONT_FRAGMENT].contains(&packet.options);
    let untagged = packet.network == NETWORK && options && packet.fragment.is_none();
    let long = frame.len() >= packet.transport as usize + 20;
    let right = checksum::ipv4_header_checksum_ok(frame, packet);
    let ack = ack(frame, packet)?;
    let (key, direction) = flow_key(packet, DOMAIN)?;
    let plain = Plain {
        key,
        direction,
        version: packet.version,
        hop_limit: packet.hop_limit,
        ip_len: packet.ip_len(),
        ack,
    };
    (untagged && long && right).then_some(plain)
}

fn ack(frame: &[u8], packet: &Packet) -> Option<wire::plain::Ack> {
    match packet.body {
        Transport::Tcp(tcp) => {
            let options = match tcp.header_len {
                20 => true,
                32 => frame.get(packet.transport as usize + 20..)?.starts_with(&[1, 1, 8, 10]),
                _ => false,
            };
            (tcp.flags.0 & 0x37 == 0x10 && options).then_some(wire::plain::Ack {
                sequence: tcp.sequence,
                acknowledgment: tcp.acknowledgment,
                window: tcp.window,
                payload_len: tcp.payload_len,
            })
        }
        Transport::Udp(udp) => {
            let whole = u32::from(udp.length) == packet.transport_len();
            (whole && udp.checksum != 0).then_some(wire::plain::Ack::default())
        }
        Transport::Icmp(_)
        | Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => None,
    }
}

fn inside(frame: &[u8], packet: &Packet) {
    assert!(packet.network < packet.transport && packet.transport <= packet.end);
    assert!(packet.end as usize <= frame.len());
    assert!(packet.payload_len() <= packet.transport_len());
    if let Transport::Tcp(tcp) = packet.body {
        assert_eq!(packet.transport_len(), u32::from(tcp.header_len) + tcp.payload_len);
    }
    if let Some(fragment) = packet.fragment {
        assert!(fragment.offset != 0 || fragment.more);
        assert!(fragment.header < packet.transport);
    }
}

/// A packet is a fragment or of a flow; each key has a slot.
fn keys(frame: &[u8], packet: &Packet) {
    let flow = flow_key(packet, DOMAIN).map(|(key, _)| PlacementKey::of_flow(&key));
    let fragment = FragmentKey::of(packet, DOMAIN).map(|key| PlacementKey::of_fragment(&key));
    assert!(flow.is_none() || fragment.is_none(), "a fragment or a flow");
    let embedded = embedded(frame, packet);
    for key in [flow, fragment, embedded].iter().flatten() {
        assert!(slot([1, 2], key).0 < SLOTS);
    }
}

fn embedded(frame: &[u8], packet: &Packet) -> Option<PlacementKey> {
    let embedded = Packet::parse_embedded(frame, packet).ok()?;
    assert!(packet.transport < embedded.network && embedded.network < embedded.transport);
    assert!(embedded.transport <= embedded.end && embedded.end <= packet.end);
    embedded_key(&embedded, DOMAIN).map(|(key, _)| PlacementKey::of_flow(&key))
}

/// A fragment of a good packet is good.
fn fragments(frame: &[u8], packet: &Packet) {
    let Some(fragments) = Fragments::new(frame, packet, 1, 576) else { return };
    let mut out = [0; 1_024];
    for index in 0..fragments.count() {
        let len = fragments.write(index, &mut out).expect("576 bytes fit");
        assert!(Packet::parse(&out[..len]).is_ok());
    }
}

/// A router takes one hop away, and the header's checksum stays right.
fn routed(frame: &[u8], plain: &Plain) {
    if plain.hop_limit == 0 {
        return;
    }
    let mut routed = frame.to_vec();
    plain.route(&mut routed, [1; 6], [2; 6]);
    let after = Plain::read(&routed, DOMAIN);
    assert_eq!(after, Some(Plain { hop_limit: plain.hop_limit - 1, ..*plain }));
}
