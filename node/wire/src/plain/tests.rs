#![allow(clippy::unwrap_used)]
use std::vec::Vec;

use proptest::prelude::*;

use super::{Ack, Plain};
use crate::build::Builder;
use crate::{Options, Packet, Protocol, TcpFlags, Transport, checksum, flow_key};

const DOMAIN: u16 = 0x0102;

/// What is plain, and what just misses it.
fn frames() -> Vec<Vec<u8>> {
    let v4 = Builder::v4([10, 0, 0, 1], [10, 0, 0, 2]);
    let v6 = Builder::v6([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 9]);
    let starts = [
        v4,
        v4.dont_fragment(),
        v4.vlan(7),
        v6,
        Builder::v4([10, 0, 0, 2], [10, 0, 0, 1]),
        v4.ip_options(&[1, 1, 1, 0]),
        v4.fragment(1, 0, true),
        v6.extension(Protocol::DESTINATION_OPTIONS, &[1, 4, 0, 0, 0, 0]),
    ];
    let with = |start: Builder<'static>| {
        let tcp = start.tcp(1, 2).seq(3).ack(4).flags(TcpFlags::ACK).payload(b"data");
        let udp = start.udp(8, 9).payload(b"a datagram's data");
        [tcp, tcp.timestamps(5, 6), tcp.mss(7), tcp.flags(TcpFlags::ACK | TcpFlags::FIN), udp]
            .map(|builder| builder.frame().to_vec())
    };
    starts.into_iter().flat_map(with).collect()
}

/// What the slow twin says of a frame that it finds plain.
fn slowly(frame: &[u8]) -> Option<Plain> {
    let packet = Packet::parse(frame).ok()?;
    let options = packet.options == Options::NONE || packet.options == Options::DONT_FRAGMENT;
    let untagged = packet.network == 14 && options && packet.fragment.is_none();
    let ack = match packet.body {
        Transport::Tcp(tcp) => {
            let plain = matches!(tcp.flags.0 & 0x37, 0x10);
            let options = match tcp.header_len {
                20 => true,
                32 => frame.get(packet.transport as usize + 20..)?.starts_with(&[1, 1, 8, 10]),
                _ => false,
            };
            (plain && options).then_some(Ack {
                sequence: tcp.sequence,
                acknowledgment: tcp.acknowledgment,
                window: tcp.window,
                payload_len: tcp.payload_len,
            })?
        }
        Transport::Udp(udp) => {
            let whole = u32::from(udp.length) == packet.transport_len();
            (whole && udp.checksum != 0).then_some(Ack::default())?
        }
        Transport::Icmp(_)
        | Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => return None,
    };
    let long = frame.len() >= packet.transport as usize + 20;
    let right = checksum::ipv4_header_checksum_ok(frame, &packet);
    let (key, direction) = flow_key(&packet, DOMAIN)?;
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

#[test]
fn both_ways_read_whole_frames_alike() {
    let plain = frames().into_iter().filter(|frame| {
        let read = Plain::read(frame, DOMAIN);
        assert_eq!(read, slowly(frame));
        assert!(read.is_none_or(|plain| plain.checksum_ok(frame)));
        read.is_some()
    });
    // Of the eight kinds of start four are plain, and of each one's five packets three.
    assert_eq!(plain.count(), 4 * 3);
}

#[test]
fn a_router_takes_one_hop_away() {
    for frame in frames() {
        let Some(plain) = Plain::read(&frame, DOMAIN) else { continue };
        let mut routed = frame.clone();
        plain.route(&mut routed, [1; 6], [2; 6]);
        let after = Plain::read(&routed, DOMAIN).unwrap();
        assert_eq!(after, Plain { hop_limit: plain.hop_limit - 1, ..plain });
        assert_eq!(routed[..12], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
        assert_eq!(routed[34.max(frame.len() / 2)..], frame[34.max(frame.len() / 2)..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30_000))]

    #[test]
    fn both_ways_give_one_answer(
        frame in prop::sample::select(frames()),
        changes in prop::collection::vec((12usize..90, any::<u8>()), 0..4),
        len in 14usize..110,
        right in any::<bool>(),
    ) {
        let mut frame = frame;
        for (at, value) in changes {
            let at = at % frame.len();
            frame[at] = value;
        }
        frame.resize(len, 0);
        if right {
            checksum::fill_ipv4_header_checksum(&mut frame, 14);
        }
        prop_assert_eq!(Plain::read(&frame, DOMAIN), slowly(&frame));
    }

    #[test]
    fn the_checksum_is_the_slow_twins(
        frame in prop::sample::select(frames()),
        changes in prop::collection::vec((34usize..90, any::<u8>()), 0..3),
    ) {
        let mut frame = frame;
        for (at, value) in changes {
            let at = at % frame.len();
            frame[at] = value;
        }
        if let Some(plain) = Plain::read(&frame, DOMAIN) {
            let packet = Packet::parse(&frame).unwrap();
            prop_assert_eq!(
                plain.checksum_ok(&frame),
                checksum::transport_checksum_ok(&frame, &packet)
            );
        }
    }

    #[test]
    fn ttl_and_its_checksum_change_like_the_slow_twins(sum in any::<u16>(), ttl in 1u8..=255) {
        let mut frame = frames().remove(0);
        frame[22] = ttl;
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        let plain = Plain { hop_limit: ttl, ..Plain::read(&frames()[0], DOMAIN).unwrap() };
        let (old, new) = (u16::from_be_bytes([ttl, 6]), u16::from_be_bytes([ttl - 1, 6]));
        let mut routed = frame.clone();
        plain.route(&mut routed, [1; 6], [2; 6]);
        let written = u16::from_be_bytes([routed[24], routed[25]]);
        prop_assert_eq!(written, checksum::update16(sum, old, new));
    }
}
