//! Calls that were recorded at both sides of a Linux router, and what that expected of them.
//!
//! `RINGWALL_CORPUS` names the folder that has the recordings; their licences do not allow them in here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use wire::{Ends, Packet, Protocol};

use super::talk::*;
use crate::PortId;
use crate::nat::tests::rig::*;

/// A session that may come: its protocol, who may begin it, and to which endpoint.
type Expected = (Protocol, IpAddr, (IpAddr, u16));

const CALLER: &str = "198.18.1.2";
const CALLEE: &str = "198.18.2.2";

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("RINGWALL_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED recorded calls: RINGWALL_CORPUS is not set");
    }
    folder
}

/// The frames of a capture in classic format, little-endian, with whole checksums.
fn frames(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut rest, mut frames) = (&bytes[24..], Vec::new());
    while let Some((head, behind)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(head[8..12].try_into().expect("four")) as usize;
        let mut frame = behind[..len].to_vec();
        let packet = Packet::parse(&frame).expect("a packet");
        wire::checksum::fill_transport_checksum(&mut frame, &packet);
        frames.push(frame);
        rest = &behind[len..];
    }
    frames
}

/// What Linux expected, by its lines about that.
fn expected(file: &Path) -> BTreeSet<Expected> {
    let text = std::fs::read_to_string(file).expect("what Linux did");
    let lines = text.lines().filter(|line| line.starts_with("#expect"));
    let of = |line: &str, name: &str| {
        let word = line.split(' ').filter_map(|it| it.strip_prefix(name)).find(|it| *it != "0");
        word.expect("a word").to_owned()
    };
    let entry = |line: &str| {
        let protocol = Protocol(of(line, "proto=").parse().expect("a number"));
        let port = of(line, "dport=").parse().expect("a port");
        (protocol, ip(&of(line, "src=")), (ip(&of(line, "dst=")), port))
    };
    lines.map(entry).collect()
}

/// With the caller inside.
fn of_callers(nat: config::Nat) -> Wall {
    let mut wall = wall(nat);
    wall.engine.apply(&[route("198.18.1.0/24", 0, "10.0.0.254")]);
    wall
}

/// A frame arrives from its sender's side; what leaves.
fn replay(wall: &mut Wall, port: PortId, mut frame: Vec<u8>) -> Vec<Left> {
    frame[..6].copy_from_slice(&wall.engine.ports()[port.index()].mac);
    let (decision, left) = wall.arrive_frame(port, frame);
    assert!(is_forwarded(decision.verdict), "{decision:?}");
    left
}

#[test]
fn what_linux_expects_of_recorded_calls_is_expected_here() {
    let Some(corpus) = corpus() else { return };
    for call in ["fast_tun", "slow_sep"] {
        let name = format!("recorded__ooh323c-{call}-in.pcap");
        let frames = frames(&corpus.join("h323").join(&name));
        let mut wall = of_callers(config::Nat::default());
        let mut known = BTreeSet::new();
        for frame in frames {
            let from = Packet::parse(&frame).expect("a packet").source;
            let port = if from == ip(CALLER) { LAN } else { WAN };
            replay(&mut wall, port, frame);
            let open = wall.engine.open_pinholes(usize::MAX);
            known.extend(open.iter().map(|it| (it.protocol, it.from, it.to)));
        }
        let theirs = expected(&corpus.join("oracle/h323").join(format!("{name}.tsv")));
        assert!(theirs.len() >= 4, "{theirs:?}");
        let missing: Vec<_> = theirs.difference(&known).collect();
        assert!(missing.is_empty(), "{call}: {missing:?} of {known:?}");
        // What Linux does not expect are the caller's ports of fast start, and channels of H.245.
        let more = known.difference(&theirs).filter(|it| it.0 == Protocol::UDP);
        assert!(more.clone().all(|it| it.2.0 == ip(CALLER)), "{call}: {more:?}");
        assert_eq!(wall.engine.alg_now().1, 0, "{call}: it is over");
        assert_eq!(wall.engine.alg_counters().malformed, 0, "{call}");
    }
}

#[test]
fn a_recorded_call_through_a_public_address_names_that() {
    let Some(corpus) = corpus() else { return };
    let tap = |side| corpus.join(format!("h323/recorded__ooh323c-slow_sep_nat-{side}.pcap"));
    let (inside, outside) = (frames(&tap("in")), frames(&tap("out")));
    assert_eq!(inside.len(), outside.len());
    let all = config::NatRule {
        source: None,
        ..source(config::SourceTo::Interface, config::Mapping::default())
    };
    let mut wall = of_callers(nat(Vec::new(), vec![all]));
    // The caller's endpoints: as Linux told them, and as they are told here.
    let (mut told, mut named) = (BTreeMap::new(), 0);
    for (inside, outside) in inside.into_iter().zip(outside) {
        let theirs = Packet::parse(&outside).expect("a packet");
        if theirs.source == ip(CALLEE) {
            let (mut frame, to) = (outside, told[&Ends::of(&theirs).destination]);
            readdress(&mut frame, to);
            assert_eq!(replay(&mut wall, WAN, frame)[0].packet.destination, ip(CALLER));
            continue;
        }
        let left = replay(&mut wall, LAN, inside);
        assert_eq!((left.len(), left[0].packet.payload_len()), (1, theirs.payload_len()));
        let said = data(&left[0]);
        let public = left[0].ends().source;
        told.insert(Ends::of(&theirs).source, public);
        let count = |bytes: &[u8], address: IpAddr| {
            let IpAddr::V4(address) = address else { panic!("{address}") };
            bytes.windows(4).filter(|it| *it == address.octets()).count()
        };
        let start = (theirs.end - theirs.payload_len()) as usize;
        assert_eq!(count(&said, ip(CALLER)), 0, "{said:?}");
        assert_eq!(count(&said, public.0), count(&outside[start..], theirs.source));
        named += count(&said, public.0);
    }
    assert!(named >= 4, "its signalling, its RTP and RTCP: {named}");
}

/// Sends a frame to another endpoint.
fn readdress(frame: &mut [u8], (address, port): (IpAddr, u16)) {
    let packet = Packet::parse(frame).expect("a packet");
    let IpAddr::V4(address) = address else { panic!("{address}") };
    let (network, transport) = (packet.network as usize, packet.transport as usize);
    frame[network + 16..network + 20].copy_from_slice(&address.octets());
    frame[transport + 2..transport + 4].copy_from_slice(&port.to_be_bytes());
    wire::checksum::fill_ipv4_header_checksum(frame, packet.network);
    let packet = Packet::parse(frame).expect("a packet");
    wire::checksum::fill_transport_checksum(frame, &packet);
}
