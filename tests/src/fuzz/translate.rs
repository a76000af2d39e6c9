//! A frame with other ends, and as a packet of the other IP version: what was right stays right, what was
//! wrong stays wrong, and other ends can be taken back.

use std::net::IpAddr;

use wire::translate::{nat64, rewrite, rewrite_quotation};
use wire::{Delta, Embedded, Ends, FlowKey, Packet, Plain, Transport, Udp, Version, checksum};

/// Identification of what becomes IPv4.
const ID: u16 = 0x1d1d;

/// Everything that can be done with a frame; `plain` is its short descriptor, if it has one.
pub(super) fn exercise(frame: &[u8], packet: &Packet, plain: Option<&Plain>) {
    let to = ends(packet.version, packet);
    let new = rewritten(frame, packet, &to);
    if let Some(plain) = plain {
        let mut short = frame.to_vec();
        let (key, direction) = FlowKey::new(0, packet.protocol, to.source, to.destination);
        plain.translate(&mut short, (&key, direction), Delta::between(&Ends::of(packet), &to));
        assert_eq!(short, new, "the short descriptor translates like the long one");
    }
    as_the_other(frame, packet);
    if let Ok(embedded) = Packet::parse_embedded(frame, packet) {
        quoted(frame, packet, &embedded);
        error_as_the_other(frame, packet, &embedded);
    }
}

/// Ends of a version that a packet can have.
fn ends(version: Version, packet: &Packet) -> Ends {
    let (from, to): (IpAddr, IpAddr) = match version {
        Version::V4 => ([9, 8, 7, 6].into(), [5, 4, 3, 2].into()),
        Version::V6 => ([0x2a; 16].into(), [0xfd; 16].into()),
    };
    let port = if matches!(packet.body, Transport::Icmp(_)) { 40_001 } else { 53 };
    Ends { source: (from, 40_001), destination: (to, port) }
}

fn rewritten(frame: &[u8], packet: &Packet, to: &Ends) -> Vec<u8> {
    let (from, mut new) = (Ends::of(packet), frame.to_vec());
    let delta = Delta::between(&from, to);
    rewrite(&mut new, packet, to, delta);
    let translated = as_right(frame, packet, &new);
    assert_eq!((translated.source, translated.destination), (to.source.0, to.destination.0));
    // Only a checksum of all ones or zeros has another representation when it comes back.
    let mut back = new.clone();
    rewrite(&mut back, &translated, &from, delta.reversed());
    let changed = back.iter().zip(frame).filter(|(back, old)| back != old).count();
    assert!(changed <= 4, "{changed} bytes are not what they were");
    new
}

fn quoted(frame: &[u8], packet: &Packet, embedded: &Embedded) {
    let to = ends(packet.version, packet);
    let mut new = frame.to_vec();
    rewrite_quotation(&mut new, packet, embedded, (to.source.0, to.destination.0), &to);
    let translated = as_right(frame, packet, &new);
    let inner = Packet::parse_embedded(&new, &translated).expect("as readable as before");
    assert_eq!((inner.source, inner.destination), (to.source.0, to.destination.0));
}

fn as_the_other(frame: &[u8], packet: &Packet) {
    let mut out = vec![0; frame.len() + 64];
    let written = match packet.version {
        Version::V4 => nat64::to_v6(frame, packet, &ends(Version::V6, packet), &mut out),
        Version::V6 => nat64::to_v4(frame, packet, &ends(Version::V4, packet), ID, &mut out),
    };
    let Ok(len) = written else { return };
    let translated = Packet::parse(&out[..len]).expect("a packet");
    assert_eq!(translated.end as usize, len);
    // None is right over IPv4 and wrong over IPv6: it gets one there.
    if !matches!(packet.body, Transport::Udp(Udp { checksum: 0, .. })) {
        as_right(frame, packet, &out[..len]);
    }
}

fn error_as_the_other(frame: &[u8], packet: &Packet, embedded: &Embedded) {
    let mut out = vec![0; frame.len() + 256];
    let (v4, v6) = (ends(Version::V4, packet), ends(Version::V6, packet));
    let outer = |ends: &Ends| (ends.source.0, ends.destination.0);
    let written = match packet.version {
        Version::V4 => nat64::error_to_v6(frame, packet, embedded, outer(&v6), &v6, &mut out),
        Version::V6 => nat64::error_to_v4(frame, packet, embedded, outer(&v4), &v4, ID, &mut out),
    };
    let Ok(len) = written else { return };
    let translated = as_right(frame, packet, &out[..len]);
    assert!(Packet::parse_embedded(&out[..len], &translated).is_ok());
}

/// The new frame's packet, whose checksums are right if and only if the old ones were. A header that is
/// written anew is right.
fn as_right(old: &[u8], packet: &Packet, new: &[u8]) -> Packet {
    let translated = Packet::parse(new).expect("a packet still");
    let header = checksum::ipv4_header_checksum_ok;
    let anew = packet.version != translated.version;
    assert_eq!(header(new, &translated), anew || header(old, packet));
    let transport = checksum::transport_checksum_ok;
    assert_eq!(transport(new, &translated), transport(old, packet));
    translated
}
