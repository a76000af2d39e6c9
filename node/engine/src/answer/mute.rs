//! When nothing may be said: RFC 1122 §3.2.2, RFC 1812 §4.3.2.7, RFC 4443 §2.4 (e), RFC 9293
//! §3.10.7.1. These rules keep answers from breeding answers, and from being sent to many.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::{Options, Packet, Tcp, TcpFlags, Transport, Version, ethernet, icmp};

use super::Answer;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mute {
    /// The packet is an ICMP error or a redirect.
    IcmpError,
    /// The packet is a fragment other than the first; for a reset, any fragment.
    Fragment,
    /// The frame was sent to a group of stations, or seems to come from one.
    GroupFrame,
    /// The destination address is multicast or broadcast.
    GroupDestination,
    /// The source address does not name one host: unspecified, loopback, multicast, broadcast.
    SourceInvalid,
    /// A reset was asked for, and the packet is one.
    ResetToReset,
    /// A reset was asked for, and the packet is not TCP.
    NotTcp,
    /// A reset was asked for, and the packet has a source route, so that its destination address is
    /// not the connection's.
    SourceRouted,
    /// A cookie was asked for, and the packet is no plain SYN.
    NoSyn,
    /// The source address given is not of the packet's IP version.
    NoSource,
    /// The buffer is too short.
    NoRoom,
}

pub(super) fn check(answer: Answer, frame: &[u8], packet: &Packet) -> Result<(), Mute> {
    if speaks_about_another(packet) {
        return Err(Mute::IcmpError);
    }
    if packet.is_later_fragment() {
        return Err(Mute::Fragment);
    }
    if names_no_host(packet.source) {
        return Err(Mute::SourceInvalid);
    }
    group(answer, frame, packet)?;
    match answer {
        Answer::Reset => reset(packet),
        // Once for each packet, and what answers it is no RST that asks again.
        Answer::Challenge { .. } => connection(packet).map(|_| ()),
        Answer::Cookie { .. } if wire::cookie::is_answerable(packet) => Ok(()),
        Answer::Cookie { .. } => Err(Mute::NoSyn),
        Answer::Unreachable(_) | Answer::HopLimit | Answer::Reassembly | Answer::TooBig { .. } => {
            Ok(())
        }
    }
}

/// A packet too big for a link is said also about multicast: path MTU discovery needs it (RFC 4443
/// §2.4 e.3). Not so in IPv4.
fn group(answer: Answer, frame: &[u8], packet: &Packet) -> Result<(), Mute> {
    let [to, from] = group_stations(frame, packet);
    if from {
        return Err(Mute::GroupFrame);
    }
    if matches!((answer, packet.version), (Answer::TooBig { .. }, Version::V6)) {
        return Ok(());
    }
    if to {
        return Err(Mute::GroupFrame);
    }
    if is_group(packet.destination) { Err(Mute::GroupDestination) } else { Ok(()) }
}

fn reset(packet: &Packet) -> Result<(), Mute> {
    let Tcp { flags, .. } = connection(packet)?;
    if flags.contains(TcpFlags::RST) { Err(Mute::ResetToReset) } else { Ok(()) }
}

/// The segment, if an answer to it would reach the connection's peer.
fn connection(packet: &Packet) -> Result<Tcp, Mute> {
    let Transport::Tcp(segment) = packet.body else { return Err(Mute::NotTcp) };
    if packet.fragment.is_some() {
        return Err(Mute::Fragment);
    }
    let routed = Options::SOURCE_ROUTE | Options::SEGMENTS_LEFT;
    if packet.options.intersects(routed) { Err(Mute::SourceRouted) } else { Ok(segment) }
}

fn speaks_about_another(packet: &Packet) -> bool {
    let Transport::Icmp(message) = packet.body else { return false };
    let redirect = match packet.version {
        Version::V4 => icmp::v4::REDIRECT,
        Version::V6 => icmp::v6::REDIRECT,
    };
    packet.is_icmp_error() || message.kind == redirect
}

/// Whether the frame's destination and source are groups; of a frame without Ethernet, no.
fn group_stations(frame: &[u8], packet: &Packet) -> [bool; 2] {
    if (packet.network as usize) < ethernet::HEADER_LEN {
        return [false; 2];
    }
    let group = |at: usize| frame.get(at).is_some_and(|first| first & 1 == 1);
    [group(ethernet::DESTINATION), group(ethernet::SOURCE)]
}

fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn names_no_host(address: IpAddr) -> bool {
    match address {
        // "This network" 0/8, loopback, multicast, reserved 240/4 with the limited broadcast.
        IpAddr::V4(address) => matches!(address.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(address) => {
            let unspecified = address == Ipv6Addr::UNSPECIFIED;
            unspecified || address.is_loopback() || address.is_multicast()
        }
    }
}
