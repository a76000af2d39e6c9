//! Checks that need no session: addresses, checksums, headers that no honest sender makes.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wire::{Malformed, Options, Packet, Protocol, Transport, Version, checksum, ethernet, icmp};

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

/// IPv6's own address resolution on a wire, which passes it on as it does ARP: without it the hosts at
/// the two ends cannot find each other. `None` for every other packet, which the policy judges.
pub(crate) fn resolution(port: &Port, frame: &[u8], packet: &Packet) -> Option<Content> {
    if port.mode == Mode::Routed || !resolves_addresses(packet) {
        return None;
    }
    Some(transport(port, frame, packet).map_or_else(Content::Refused, |()| Content::Link))
}

/// A neighbour solicitation or advertisement that comes from this very link (RFC 4861 §7.1).
fn resolves_addresses(packet: &Packet) -> bool {
    let kind = match packet.body {
        Transport::Icmp(icmp) if packet.version == Version::V6 && icmp.code == 0 => icmp.kind,
        Transport::Icmp(_)
        | Transport::Tcp(_)
        | Transport::Udp(_)
        | Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => return false,
    };
    // Never in fragments: RFC 6980 §5.
    matches!(kind, 135 | 136) && packet.hop_limit == 255 && packet.fragment.is_none()
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
    if let Some(transit) = link_scoped(packet) {
        return transit;
    }
    if packet.hop_limit == 0 {
        return Transit::No(Reason::HopLimitZero);
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

/// Messages that never leave their link, however they are addressed (RFC 4890 §4.3.3). A router
/// forwards none; one that was routed already is forged. `None` for all other packets.
fn link_scoped(packet: &Packet) -> Option<Transit> {
    let kind = match packet.body {
        Transport::Icmp(icmp) if packet.version == Version::V6 => icmp.kind,
        Transport::Icmp(_)
        | Transport::Tcp(_)
        | Transport::Udp(_)
        | Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => {
            return (packet.protocol == Protocol::IGMP).then_some(Transit::ForRouter);
        }
    };
    let honest = match kind {
        // Router and neighbour discovery, redirects, inverse discovery, SEND's certification paths.
        133..=137 | 141 | 142 | 148 | 149 => packet.hop_limit == 255,
        // Multicast listeners, and the discovery of multicast routers (RFC 4286 §4).
        130..=132 | 143 | 151..=153 => packet.hop_limit == 1,
        _ => return None,
    };
    Some(if honest { Transit::ForRouter } else { Transit::No(Reason::OffLink) })
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
    fields(packet)?;
    if port.checksum == Checksum::Trust || checksum::transport_checksum_ok(frame, packet) {
        return Ok(());
    }
    if checksum::transport_checksum_partial(frame, packet) {
        return Err(Reason::ChecksumPartial);
    }
    Err(Reason::TransportChecksum)
}

/// What the transport header may not say.
fn fields(packet: &Packet) -> Result<(), Reason> {
    let zero = match &packet.body {
        Transport::Tcp(tcp) => tcp.source_port == 0 || tcp.destination_port == 0,
        Transport::Sctp(ports) => ports.source == 0 || ports.destination == 0,
        // As source it says that no answer is expected (RFC 768).
        Transport::Udp(udp) => udp.destination_port == 0,
        Transport::Icmp(icmp) if packet.transport_len() < icmp_len(packet.version, icmp.kind) => {
            return Err(Reason::IcmpLength);
        }
        Transport::Icmp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => false,
    };
    if zero { Err(Reason::PortZero) } else { Ok(()) }
}

/// Fewest bytes of a message that has an answer. That of an error is its embedded packet's affair.
const fn icmp_len(version: Version, kind: u8) -> u32 {
    match (version, kind) {
        // Three timestamps (RFC 792), an address mask (RFC 950).
        (Version::V4, 13 | 14) => 20,
        (Version::V4, 17 | 18) => 12,
        (Version::V4 | Version::V6, _) => icmp::HEADER_LEN as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::resolves_addresses;
    use wire::Packet;
    use wire::build::Builder;

    const A: [u16; 8] = [0xfe80, 0, 0, 0, 0, 0, 0, 1];
    const B: [u16; 8] = [0xff02, 0, 0, 0, 0, 1, 0xff00, 2];

    #[test]
    fn only_what_comes_from_this_link_resolves_addresses() {
        let icmp = |kind, code| Builder::v6(A, B).icmp(kind, code, 0).payload(&[0; 16]);
        let table = [
            (icmp(135, 0).hop_limit(255), true),
            (icmp(136, 0).hop_limit(255), true),
            (icmp(135, 0).hop_limit(254), false),
            (icmp(135, 1).hop_limit(255), false),
            (icmp(134, 0).hop_limit(255), false),
            (icmp(137, 0).hop_limit(255), false),
            (icmp(128, 0).hop_limit(255), false),
            (Builder::v6(A, B).udp(135, 135).hop_limit(255), false),
            (Builder::v4([10, 0, 0, 1], [10, 0, 0, 2]).icmp(135, 0, 0).hop_limit(255), false),
        ];
        for (number, (builder, expected)) in table.into_iter().enumerate() {
            let packet = Packet::parse(&builder.frame()).expect("a packet");
            assert_eq!(resolves_addresses(&packet), expected, "line {number}");
        }
    }
}
