//! What a policy is asked about: the first packet of a flow, between two zones.

use std::net::IpAddr;

use wire::{Packet, Protocol, Transport};

use crate::ids::ZoneId;

/// The fields that rules can match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Zone of the port the packet came in by.
    pub from_zone: ZoneId,
    /// Zone of the port it would leave by.
    pub to_zone: ZoneId,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol of the transport header, behind extension headers.
    pub protocol: Protocol,
    /// Source port of TCP, UDP and SCTP; 0 for others.
    pub source_port: u16,
    /// Destination port of TCP, UDP and SCTP; 0 for others.
    pub destination_port: u16,
    /// Type and code of ICMP and ICMPv6.
    pub icmp: Option<(u8, u8)>,
}

impl Question {
    /// The question that `packet` raises between two zones.
    pub fn of(packet: &Packet, from_zone: ZoneId, to_zone: ZoneId) -> Self {
        let (source_port, destination_port) = packet.ports().unwrap_or((0, 0));
        let icmp = match packet.body {
            Transport::Icmp(icmp) => Some((icmp.kind, icmp.code)),
            Transport::Tcp(_)
            | Transport::Udp(_)
            | Transport::Sctp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => None,
        };
        let Packet { source, destination, protocol, .. } = *packet;
        Self {
            from_zone,
            to_zone,
            source,
            destination,
            protocol,
            source_port,
            destination_port,
            icmp,
        }
    }
}
