//! Checks that need no session: addresses, checksums, headers that no honest sender makes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::{Malformed, Options, Packet, Protocol, Transport, Version, checksum, ethernet};

use crate::engine::Content;
use crate::{Checksum, Mode, Port, Reason};

/// What becomes of a frame that is no IP packet.
pub(crate) fn not_a_packet(port: &Port, malformed: Malformed) -> Content {
    match (malformed, port.mode) {
        // A wire carries address resolution; the hosts at its ends need it.
        (Malformed::NotIp(ethernet::ARP), Mode::Wire(_)) => Content::Link,
        // The XDP program gives ARP to the kernel; a capture has no kernel.
        (Malformed::NotIp(ethernet::ARP), Mode::Routed) => Content::Consume,
        _ => Content::Refused(malformed.into()),
    }
}

/// The frame and its IP header, before anything is looked up. Applies to every fragment.
pub(crate) fn network(port: &Port, frame: &[u8], packet: &Packet) -> Result<(), Reason> {
    if port.mode == Mode::Routed {
        if packet.vlans > 0 {
            return Err(Reason::VlanTagged);
        }
        if port.mac != [0; 6] && !addressed_to(frame, port.mac) {
            return Err(Reason::OtherHost);
        }
    }
    if packet.version == Version::V4 && !checksum::ipv4_header_checksum_ok(frame, packet) {
        return Err(Reason::IpChecksum);
    }
    if packet.options.contains(Options::ROUTING_0) {
        return Err(Reason::RoutingHeader0);
    }
    if packet.options.contains(Options::SOURCE_ROUTE) {
        return Err(Reason::SourceRoute);
    }
    addresses(packet)
}

fn addressed_to(frame: &[u8], mac: [u8; 6]) -> bool {
    frame.get(..6).is_some_and(|to| to == mac || to[0] & 1 == 1)
}

/// Addresses that no packet in transit may have (RFC 1122 §3.2.1.3, RFC 4291 §2.5).
fn addresses(packet: &Packet) -> Result<(), Reason> {
    let (source, destination) = (packet.source, packet.destination);
    if source == destination && !source.is_multicast() {
        return Err(Reason::Land);
    }
    match source {
        IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() || v4.is_loopback() => {
            Err(Reason::SourceInvalid)
        }
        IpAddr::V6(v6) if v6.is_multicast() || v6.is_loopback() => Err(Reason::SourceInvalid),
        IpAddr::V4(_) | IpAddr::V6(_) => match destination {
            IpAddr::V4(v4) if v4.is_loopback() || v4.is_unspecified() || reserved(v4) => {
                Err(Reason::DestinationInvalid)
            }
            IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => {
                Err(Reason::DestinationInvalid)
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(()),
        },
    }
}

/// 240.0.0.0/4 but for the limited broadcast (RFC 1112 §4).
fn reserved(address: Ipv4Addr) -> bool {
    address.octets()[0] >= 240 && !address.is_broadcast()
}

/// Whether a router forwards this packet at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transit {
    /// Yes, routes permitting.
    Yes,
    /// It speaks to routers themselves: neighbour discovery, multicast listener reports, IGMP.
    ForRouter,
    /// No.
    No(Reason),
}

/// What a router does with the packet's addresses (RFC 1812 §5.3, RFC 4291 §2.5.6).
pub(crate) fn transit(packet: &Packet) -> Transit {
    let (source, destination) = (packet.source, packet.destination);
    if for_router(packet) {
        return Transit::ForRouter;
    }
    if multicast(destination) {
        return Transit::No(Reason::Multicast);
    }
    if link_local(source) || link_local(destination) {
        return Transit::No(Reason::LinkLocal);
    }
    if source.is_unspecified() {
        return Transit::No(Reason::SourceInvalid);
    }
    Transit::Yes
}

fn for_router(packet: &Packet) -> bool {
    match packet.body {
        // Router and neighbour discovery, redirects: 133 to 137, only ever one hop old (RFC 4861).
        Transport::Icmp(icmp) if packet.version == Version::V6 => {
            (matches!(icmp.kind, 133..=137) && packet.hop_limit == 255)
                || matches!(icmp.kind, 130..=132 | 143)
        }
        Transport::Icmp(_)
        | Transport::Tcp(_)
        | Transport::Udp(_)
        | Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => packet.protocol == Protocol::IGMP,
    }
}

pub(crate) fn multicast(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v4_compatible(v6),
    }
}

/// IPv4-mapped addresses never appear on the wire (RFC 4291 §2.5.5.2, RFC 4942 §2.2).
fn v4_compatible(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

/// The transport header of a whole datagram.
pub(crate) fn transport(port: &Port, frame: &[u8], packet: &Packet) -> Result<(), Reason> {
    if port.checksum == Checksum::Trust || checksum::transport_checksum_ok(frame, packet) {
        return Ok(());
    }
    if checksum::transport_checksum_partial(frame, packet) {
        return Err(Reason::ChecksumPartial);
    }
    Err(Reason::TransportChecksum)
}
