//! A translated packet is the packet that would have been built with the other version.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use ringwall_wire::build::{Builder, Frame, quotation};
use ringwall_wire::translate::nat64::{self, Untranslatable};
use ringwall_wire::{Embedded, Ends, Packet, Protocol, Version, checksum};

use super::address;
use super::recipe::{Kind, Recipe, ends, recipe};
use crate::samples::{self, v4, v6};

/// The identification that translators are told.
const ID: u16 = 0x1d1d;
/// Bits of a recipe's options in IPv6.
const ROUTED: u8 = 1 << 1;
const ATOMIC: u8 = 1 << 2;
const AH: u8 = 1 << 3;

const fn other(version: Version) -> Version {
    match version {
        Version::V4 => Version::V6,
        Version::V6 => Version::V4,
    }
}

fn parsed(frame: &[u8]) -> Packet {
    Packet::parse(frame).unwrap()
}

fn quoted_in(frame: &[u8]) -> Embedded {
    Packet::parse_embedded(frame, &parsed(frame)).unwrap()
}

/// The packet of the frame, in the other version.
fn translated(frame: &[u8], to: &Ends) -> Result<Vec<u8>, Untranslatable> {
    let packet = parsed(frame);
    let mut out = vec![0xee; 4096];
    let len = match packet.version {
        Version::V4 => nat64::to_v6(frame, &packet, to, &mut out)?,
        Version::V6 => nat64::to_v4(frame, &packet, to, ID, &mut out)?,
    };
    out.truncate(len);
    Ok(out)
}

/// What the recipe is in the other version, or why not; `quoted` in an error.
fn counterpart(recipe: &Recipe, quoted: bool) -> Result<Recipe, Untranslatable> {
    let (v6, protocol) = (recipe.version == Version::V6, Untranslatable::Protocol);
    if v6 && recipe.options & ROUTED != 0 && !quoted {
        let before = if recipe.options & 1 != 0 { 8 } else { 0 };
        return Err(Untranslatable::SegmentsLeft(40 + before + 3));
    }
    if v6 && recipe.options & AH != 0 {
        return Err(protocol(Protocol::AH));
    }
    let atomic = v6 && recipe.options & ATOMIC != 0;
    if recipe.kind == Kind::OtherIcmp {
        return Err(Untranslatable::Icmp(if v6 { 133 } else { 9 }, 0));
    }
    let made = recipe.kind == Kind::UdpNoChecksum && !v6 && !quoted;
    let kind = if made { Kind::Udp } else { recipe.kind };
    let mut made = Recipe {
        version: other(recipe.version),
        kind,
        options: 0,
        dont_fragment: false,
        id: match (atomic, quoted) {
            (true, _) => 9,
            (_, true) => 0,
            _ => ID,
        },
        padding: 0,
        ..recipe.clone()
    };
    made.dont_fragment = v6 && !atomic && made.ip_len() > 1_260;
    Ok(made)
}

impl Recipe {
    /// Bytes of the IP packet, without options.
    fn ip_len(&self) -> usize {
        let ends: IpAddr = match self.version {
            Version::V4 => [1, 2, 3, 4].into(),
            Version::V6 => [1; 16].into(),
        };
        let recipe = Self { padding: 0, vlans: Vec::new(), ..self.clone() };
        recipe.build(&Ends { source: (ends, 1), destination: (ends, 1) }).len() - 14
    }
}

/// A recipe, ends of its version, and ends of the other one.
fn change() -> impl Strategy<Value = (Recipe, Ends, Ends)> {
    recipe().prop_flat_map(|recipe| {
        let (version, kind) = (recipe.version, recipe.kind);
        (Just(recipe), ends(version, kind), ends(other(version), kind))
    })
}

type Outer = (IpAddr, IpAddr);

/// The same, with addresses of an error about the packet and of its counterpart.
fn quoted() -> impl Strategy<Value = (Recipe, Ends, Ends, Outer, Outer)> {
    change().prop_flat_map(|(recipe, from, to)| {
        let v4 = recipe.version == Version::V4;
        let pair = |v4| (address(v4), address(v4));
        (Just(recipe), Just(from), Just(to), pair(v4), pair(!v4))
    })
}

/// Port unreachable, in both versions.
const fn unreachable(version: Version) -> (u8, u8) {
    match version {
        Version::V4 => (3, 3),
        Version::V6 => (1, 4),
    }
}

/// The error about the recipe's packet that quotes so much of it.
fn error(outer: Outer, recipe: &Recipe, inner: &Ends, transport: usize) -> Vec<u8> {
    let frame = recipe.build(inner);
    let packet = Packet::parse(&frame).unwrap();
    let headers = (packet.transport - packet.network) as usize;
    let quoted = quotation(&frame, &packet);
    let quoted = &quoted[..quoted.len().min(headers + transport)];
    let (kind, code) = unreachable(recipe.version);
    let builder = Builder::new(outer.0, outer.1).vlan(7).traffic_class(0x42).id(ID);
    let mut out = vec![0; Frame::MAX];
    let len = builder.icmp(kind, code, 0).payload(quoted).write(&mut out).unwrap();
    out.truncate(len);
    out
}

/// The error, in the other version.
fn translated_error(frame: &[u8], outer: Outer, inner: &Ends) -> Result<Vec<u8>, Untranslatable> {
    let (error, embedded) = (parsed(frame), quoted_in(frame));
    let mut out = vec![0xee; 4096];
    let len = match error.version {
        Version::V4 => nat64::error_to_v6(frame, &error, &embedded, outer, inner, &mut out)?,
        Version::V6 => nat64::error_to_v4(frame, &error, &embedded, outer, inner, ID, &mut out)?,
    };
    out.truncate(len);
    Ok(out)
}

/// Ends of IPv4 and of IPv6 for packets whose ends do not matter.
fn any_ends() -> (Ends, Ends) {
    let v4 = Ends { source: ([9, 9, 9, 9].into(), 7), destination: ([8, 8, 8, 8].into(), 6) };
    let v6 = Ends { source: ([9; 16].into(), 7), destination: ([8; 16].into(), 6) };
    (v4, v6)
}

#[test]
fn addresses_are_embedded_and_extracted() {
    // RFC 6052 §2.4.
    let v4 = Ipv4Addr::new(192, 0, 2, 33);
    for (prefix, address) in [
        ("2001:db8:122:344::", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::", "64:ff9b::192.0.2.33"),
        ("64:ff9b::ffff:ffff", "64:ff9b::192.0.2.33"),
    ] {
        let (prefix, address): (Ipv6Addr, Ipv6Addr) =
            (prefix.parse().unwrap(), address.parse().unwrap());
        assert_eq!(nat64::embed(prefix, v4), address);
        assert_eq!(nat64::extract(prefix, address), Some(v4));
        let outside = Ipv6Addr::from_bits(address.to_bits() ^ 1 << 32);
        assert_eq!(nat64::extract(prefix, outside), None);
        assert_eq!(nat64::is_well_known(prefix), prefix.segments()[0] == 0x64);
    }
    assert!(!nat64::is_well_known("64:ff9b:1::".parse().unwrap()));
    assert!(!nat64::is_well_known("64:ff9b:0:0:0:1::".parse().unwrap()));
}

#[test]
fn what_has_no_counterpart_is_refused() {
    use Untranslatable as U;
    let (to4, to6) = any_ends();
    let refused = |builder: Builder<'_>, to: &Ends| translated(&builder.frame(), to).unwrap_err();
    assert_eq!(refused(v4().udp(1, 2), &to4), U::Version);
    assert_eq!(refused(v6().udp(1, 2), &to6), U::Version);
    let mixed = Ends { source: to6.source, ..to4 };
    assert_eq!(refused(v4().udp(1, 2), &mixed), U::Version);
    for protocol in [0, 2, 43, 44, 51, 58, 60] {
        let raw = v4().raw(Protocol(protocol)).payload(&[0; 8]);
        assert_eq!(refused(raw, &to6), U::Protocol(Protocol(protocol)), "{protocol}");
    }
    for protocol in [1, 2] {
        let raw = v6().raw(Protocol(protocol)).payload(&[0; 8]);
        assert_eq!(refused(raw, &to4), U::Protocol(Protocol(protocol)), "{protocol}");
    }
    for kind in [9, 10, 13, 14, 15, 16, 17, 18, 99] {
        assert_eq!(refused(v4().icmp(kind, 0, 0), &to6), U::Icmp(kind, 0));
    }
    for kind in [130, 131, 132, 133, 134, 135, 136, 137, 143, 200] {
        assert_eq!(refused(v6().icmp(kind, 0, 0), &to4), U::Icmp(kind, 0));
    }
    assert_eq!(translated(&samples::sample("fragment4-first"), &to6), Err(U::Fragment));
    assert_eq!(translated(&samples::sample("fragment6-last"), &to4), Err(U::Fragment));
    assert_eq!(
        translated(&samples::sample("error4-unreachable-udp4"), &to6),
        Err(U::NestedError),
        "an error needs the ends of what is in it"
    );
}

#[test]
fn a_source_route_that_is_used_up_is_none() {
    let (_, to6) = any_ends();
    for (options, refused) in [
        (&[131, 7, 4, 10, 0, 0, 1][..], true),
        (&[131, 7, 7, 10, 0, 0, 1], true),
        (&[131, 7, 8, 10, 0, 0, 1], false),
        (&[1, 1, 137, 3, 4], false),
        (&[148, 4, 0, 0, 137, 7, 4, 10, 0, 0, 1], true),
        (&[131, 7, 8, 10, 0, 0, 1, 137, 7, 4, 10, 0, 0, 1], true),
        (&[7, 7, 4, 131, 131, 131, 131], false),
        (&[131, 2], true),
    ] {
        let new = translated(&v4().ip_options(options).udp(1, 2).frame(), &to6);
        assert_eq!(new == Err(Untranslatable::SourceRoute), refused, "{options:?} {new:?}");
        assert!(refused || new.is_ok());
    }
}

#[test]
fn a_buffer_that_is_too_short_is_refused() {
    let (to4, to6) = any_ends();
    for (frame, to) in [
        (v4().vlan(3).udp(1, 2).payload(b"data").frame(), to6),
        (v6().tcp(1, 2).payload(b"data").frame(), to4),
        (v6().extension(Protocol::DESTINATION_OPTIONS, &[1, 4, 0, 0, 0, 0]).udp(1, 2).frame(), to4),
    ] {
        let packet = parsed(&frame);
        let len = translated(&frame, &to).unwrap().len();
        for short in 0..len {
            let out = &mut vec![0; short];
            let result = match packet.version {
                Version::V4 => nat64::to_v6(&frame, &packet, &to, out),
                Version::V6 => nat64::to_v4(&frame, &packet, &to, ID, out),
            };
            assert_eq!(result, Err(Untranslatable::TooLong));
        }
    }
    // As IPv6 its length field would not hold it, as IPv4.
    let mut big = vec![0; 70_000];
    let data = vec![0; 65_520];
    let len = v6().udp(1, 2).payload(&data).write(&mut big).unwrap();
    let packet = Packet::parse(&big[..len]).unwrap();
    let out = &mut vec![0; 70_000];
    let result = nat64::to_v4(&big[..len], &packet, &to4, ID, out);
    assert_eq!(result, Err(Untranslatable::TooLong));
}

/// Up to 1,260 bytes it fits any path as IPv6: so it may be cut.
#[test]
fn longer_packets_must_not_be_cut() {
    let (to4, _) = any_ends();
    for (len, flags) in [(1_232, 0), (1_233, 0x40)] {
        let data = vec![0; len];
        let new = translated(&v6().udp(1, 2).payload(&data).frame(), &to4).unwrap();
        assert_eq!((parsed(&new).ip_len() as usize, new[20]), (28 + len, flags));
        let inner = v6().udp(1, 2).payload(&data).frame();
        let frame = v6().icmp(1, 0, 0).payload(&inner[14..]).frame();
        let new = translated_error(&frame, (to4.source.0, to4.destination.0), &to4).unwrap();
        assert_eq!((new[20], new[42 + 6]), (0, flags), "the error, and what is in it");
    }
}

#[test]
fn an_error_about_an_error_is_refused() {
    let (to4, to6) = any_ends();
    let inner = samples::sample("error4-unreachable-udp4");
    let frame = v4().icmp(3, 1, 0).payload(&inner[14..]).frame();
    let outer = (to6.source.0, to6.destination.0);
    assert_eq!(translated_error(&frame, outer, &to6), Err(Untranslatable::NestedError));
    let inner = samples::sample("error6-unreachable-udp6");
    let frame = v6().icmp(1, 0, 0).payload(&inner[14..]).frame();
    let outer = (to4.source.0, to4.destination.0);
    assert_eq!(translated_error(&frame, outer, &to4), Err(Untranslatable::NestedError));
    assert_eq!(translated_error(&frame, outer, &to6), Err(Untranslatable::Version));
}

#[test]
fn path_mtus_are_those_of_the_other_version() {
    let (to4, to6) = any_ends();
    let rest = |frame: &[u8]| u32::from_be_bytes(frame[4..8].try_into().unwrap());
    let data = [0; 1_460];
    let inner = v4().dont_fragment().udp(5, 6).payload(&data).frame();
    for (said, mtu) in [(1_400, 1_420), (500, 1_280), (0, 1_280)] {
        let frame = v4().icmp(3, 4, said).payload(&inner[14..42]).frame();
        let new = translated_error(&frame, (to6.source.0, to6.destination.0), &to6).unwrap();
        assert_eq!((new[54], new[55], rest(&new[54..])), (2, 0, mtu));
    }
    let inner = v6().udp(5, 6).payload(&data).frame();
    for (said, mtu) in [(1_400, 1_380), (1_280, 1_260)] {
        let frame = v6().icmp(2, 0, said).payload(&inner[14..]).frame();
        let new = translated_error(&frame, (to4.source.0, to4.destination.0), &to4).unwrap();
        assert_eq!((new[34], new[35], rest(&new[34..])), (3, 4, mtu));
        assert_eq!(new.len(), 14 + 576, "no longer than an ICMPv4 error is");
    }
}

/// A header of an extension, and an object of it (RFC 4884 §7).
const EXTENSION: [u8; 12] = [0x20, 0, 0, 0, 0, 8, 1, 1, 0xaa, 0xbb, 0xcc, 0xdd];

#[test]
fn extensions_are_carried_over() {
    let (to4, to6) = any_ends();
    let data = [5; 300];
    let inner = v4().udp(5, 6).payload(&data).frame();
    let message = [&inner[14..14 + 128], &EXTENSION].concat();
    let outer6 = (to6.source.0, to6.destination.0);
    for (kind, code, carried) in [(11, 0, true), (3, 1, true), (3, 4, false), (3, 2, false)] {
        let frame = v4().icmp(kind, code, 32 << 16).payload(&message).frame();
        let new = translated_error(&frame, outer6, &to6).unwrap();
        let packet = parsed(&new);
        assert!(checksum::transport_checksum_ok(&new, &packet));
        assert_eq!(new.ends_with(&EXTENSION), carried, "{kind} {code}");
        // 40 bytes of header and 108 behind it, in words of 8.
        assert_eq!(new[58], if carried { 19 } else { 0 } * u8::from(kind == 11 || code == 1));
        assert_eq!(new.len(), 54 + 8 + if carried { 152 + 12 } else { 148 });
        let embedded = quoted_in(&new);
        assert_eq!(Ends::of_embedded(&embedded), to6);
    }
    let inner = v6().udp(5, 6).payload(&data).frame();
    let message = [&inner[14..14 + 136], &EXTENSION].concat();
    let outer4 = (to4.source.0, to4.destination.0);
    for (kind, code, carried) in [(3, 0, true), (1, 0, true), (2, 0, false), (4, 1, false)] {
        let rest = if carried { 17 << 24 } else { 0 };
        let frame = v6().icmp(kind, code, rest).payload(&message).frame();
        let new = translated_error(&frame, outer4, &to4).unwrap();
        let packet = parsed(&new);
        assert!(checksum::transport_checksum_ok(&new, &packet));
        assert!(new.ends_with(&EXTENSION), "carried, or taken for a part of the packet");
        // 20 bytes of header and 96 behind it: padded to 128, in words of 4.
        assert_eq!(new[39], if carried { 32 } else { 0 });
        assert_eq!(new.len(), 34 + 8 + if carried { 128 } else { 116 } + 12);
    }
    // No room for it.
    let long = v6().udp(5, 6).payload(&[5; 1_200]).frame();
    let message = [&long[14..14 + 1_208], &EXTENSION].concat();
    let frame = v6().icmp(3, 0, 151 << 24).payload(&message).frame();
    let new = translated_error(&frame, outer4, &to4).unwrap();
    assert_eq!((new.len(), new[39]), (14 + 576, 0));
}

#[test]
fn embedded_fragments_stay_fragments() {
    let (to4, to6) = any_ends();
    let udp = [0, 5, 0, 6, 0, 100, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8];
    let inner = v4().fragment(0x77, 0, true).raw(Protocol::UDP).payload(&udp).frame();
    let frame = v4().icmp(11, 1, 0).payload(&inner[14..]).frame();
    let new = translated_error(&frame, (to6.source.0, to6.destination.0), &to6).unwrap();
    let embedded = quoted_in(&new);
    let fragment = embedded.fragment.unwrap();
    assert_eq!((fragment.id, fragment.offset, fragment.more), (0x77, 0, true));
    assert_eq!((Ends::of_embedded(&embedded), embedded.protocol), (to6, Protocol::UDP));
    assert_eq!(new[66..68], [0, 24], "8 bytes of fragment header and 16 of data");
    let inner = v6().fragment(0x0001_0077, 8, true).raw(Protocol::UDP).payload(&udp).frame();
    let frame = v6().icmp(3, 1, 0).payload(&inner[14..]).frame();
    let new = translated_error(&frame, (to4.source.0, to4.destination.0), &to4).unwrap();
    let packet = parsed(&new);
    assert!(checksum::transport_checksum_ok(&new, &packet));
    let embedded = quoted_in(&new);
    let fragment = embedded.fragment.unwrap();
    assert_eq!((fragment.id, fragment.offset, fragment.more), (0x77, 8, true));
    assert_eq!(new[44..46], [0, 36]);
    assert_eq!(new[62..], udp, "data of a later fragment");
    // The checksum of ICMPv6 counts a length that only the last fragment tells.
    let echo = [8, 0, 0x12, 0x34, 0, 7, 0, 1, 5, 5, 5, 5, 5, 5, 5, 5];
    let inner = v4().fragment(0x77, 0, true).raw(Protocol::ICMP).payload(&echo).frame();
    let frame = v4().icmp(11, 1, 0).payload(&inner[14..]).frame();
    let to6 = Ends { source: (to6.source.0, 9), destination: (to6.destination.0, 9) };
    let new = translated_error(&frame, (to6.source.0, to6.destination.0), &to6).unwrap();
    assert_eq!(new[new.len() - 16..][..8], [128, 0, 0x12, 0x34, 0, 9, 0, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn a_translated_packet_is_one_built_as_the_other((recipe, from, to) in change()) {
        let expected = counterpart(&recipe, false).map(|other| other.build(&to));
        prop_assert_eq!(translated(&recipe.build(&from), &to), expected, "{:?}", recipe);
    }

    #[test]
    fn there_and_back_is_nothing((recipe, from, to) in change()) {
        // What is not kept: padding, options, identification and flags, and that there was no checksum.
        let none = recipe.kind == Kind::UdpNoChecksum;
        let recipe = Recipe { version: Version::V6, options: 0, padding: 0, ..recipe };
        let (from, to) = if from.source.0.is_ipv6() { (from, to) } else { (to, from) };
        let frame = recipe.build(&from);
        let Ok(there) = translated(&frame, &to) else { return Ok(()) };
        let back = translated(&there, &from).unwrap();
        prop_assert!(none || back == frame);
        prop_assert_eq!(back.len(), frame.len());
    }

    #[test]
    fn a_wrong_checksum_stays_wrong((recipe, from, to) in change(), at: prop::sample::Index, bit in 0u32..8) {
        // No checksum is right over IPv4 and wrong over IPv6.
        prop_assume!(recipe.kind != Kind::UdpNoChecksum);
        let mut wrong = recipe.build(&from);
        let packet = Packet::parse(&wrong).unwrap();
        let at = packet.transport as usize + at.index(packet.transport_len().max(1) as usize);
        let Some(byte) = wrong.get_mut(at) else { return Ok(()) };
        *byte ^= 1 << bit;
        let Ok(packet) = Packet::parse(&wrong) else { return Ok(()) };
        let Ok(new) = translated(&wrong, &to) else { return Ok(()) };
        let ok = checksum::transport_checksum_ok(&wrong, &packet);
        let packet = parsed(&new);
        prop_assert_eq!(checksum::transport_checksum_ok(&new, &packet), ok);
    }

    #[test]
    fn a_translated_error_is_one_built_about_the_other(
        (recipe, from, to, outer, new_outer) in quoted(),
        transport in 8usize..1_300,
    ) {
        // Half of a checksum stays as it is.
        let transport = if matches!(transport, 9..=11 | 17) { 8 } else { transport };
        let frame = error(outer, &recipe, &from, transport);
        let packet = parsed(&frame);
        if Packet::parse_embedded(&frame, &packet).is_err() {
            return Ok(());
        }
        let kept = usize::try_from(packet.end).unwrap() - 18 - 8;
        let old = if recipe.version == Version::V4 { 20 } else { 40 };
        let extensions = recipe.build(&from);
        let extensions = parsed(&extensions);
        let kept = kept - old - (extensions.transport - extensions.network) as usize;
        let expected = counterpart(&recipe, true)
            .map(|other| error(new_outer, &other, &to, kept));
        let new = translated_error(&frame, new_outer, &to);
        prop_assert_eq!(new, expected, "{:?}", recipe);
    }

    #[test]
    fn a_wrong_error_stays_wrong(
        (recipe, from, to, outer, new_outer) in quoted(),
        at: prop::sample::Index,
        bit in 0u32..8,
    ) {
        let mut frame = error(outer, &recipe, &from, 200);
        let packet = parsed(&frame);
        // Behind the type, so that it stays what it is.
        let start = packet.transport as usize + 2;
        let at = start + at.index(frame.len() - start);
        frame[at] ^= 1 << bit;
        let packet = parsed(&frame);
        let ok = checksum::transport_checksum_ok(&frame, &packet);
        prop_assert!(!ok);
        if Packet::parse_embedded(&frame, &packet).is_ok()
            && let Ok(new) = translated_error(&frame, new_outer, &to)
        {
            let packet = parsed(&new);
            prop_assert!(!checksum::transport_checksum_ok(&new, &packet));
        }
    }

    #[test]
    fn a_cut_frame_is_safe((recipe, from, to, outer, new_outer) in quoted(), len: prop::sample::Index) {
        let mut out = vec![0; 4096];
        let frame = recipe.build(&from);
        let packet = parsed(&frame);
        let cut = &frame[..len.index(frame.len())];
        let _ = nat64::to_v6(cut, &packet, &to, &mut out);
        let _ = nat64::to_v4(cut, &packet, &to, ID, &mut out);
        let frame = error(outer, &recipe, &from, 200);
        let packet = parsed(&frame);
        let Ok(embedded) = Packet::parse_embedded(&frame, &packet) else { return Ok(()) };
        let cut = &frame[..len.index(frame.len())];
        let _ = nat64::error_to_v6(cut, &packet, &embedded, new_outer, &to, &mut out);
        let _ = nat64::error_to_v4(cut, &packet, &embedded, new_outer, &to, ID, &mut out);
    }
}
