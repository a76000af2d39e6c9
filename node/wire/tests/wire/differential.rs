//! The parser against etherparse: the same answer for the same frame, good or bad.
//!
//! Where they differ on purpose:
//!
//! | frame | this crate | etherparse |
//! |---|---|---|
//! | EtherType neither IP nor a VLAN tag | `not-ip` | gives what it found |
//! | more than two VLAN tags | `vlan-tags-too-many` | three are taken |
//! | bad options: IPv4, IPv6, TCP; jumbograms | refused | not looked at |
//! | more than 8 extension headers | refused | no limit |
//! | real fragment header beside another | refused | the last one counts |
//! | SCTP, GRE, ESP | read as far as keys need | not looked at |
//! | IPv4 AH | a protocol (its key is the addresses) | passed over |
//! | IPv6 payload length 0 | nothing follows | the rest of the frame |
//! | UDP length 0 | refused | the rest of the datagram |
//! | ICMP of the other IP version | not read | read |
//! | ICMP timestamps, IGMP | 8 bytes are enough; not read | their own lengths |
//! | first fragment | transport header read if whole | not looked at |
//! | first fragment whose chain is cut | fragment without a body | refused |
//! | later fragment | nothing is read after its header | the chain goes on |
//! | IPv4 header below 20 bytes by IHL, frame cut as well | the first fault in header order | another |
use etherparse::{IpNumber, LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use ringwall_wire::{Malformed, Options, Packet, Protocol, Transport, Version};

use crate::arbitrary::mutated;
use crate::samples;

#[test]
fn samples_are_read_alike() {
    let compared = samples::all().iter().filter(|(name, frame)| compare(name, frame)).count();
    assert!(compared > 40, "only {compared} were read by both");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn mutated_samples_are_read_alike(frame in mutated()) {
        compare("mutated", &frame);
    }

    #[test]
    fn arbitrary_ip_is_read_alike(v6: bool, rest in prop::collection::vec(any::<u8>(), 0..120)) {
        let start: &[u8] = if v6 { &[0x86, 0xdd, 0x60] } else { &[0x08, 0x00, 0x45] };
        compare("arbitrary", &[&[2; 12], start, &rest].concat());
    }
}

/// Whether both read the frame, having asserted that they agree.
fn compare(name: &str, frame: &[u8]) -> bool {
    match (Packet::parse(frame), SlicedPacket::from_ethernet(frame)) {
        (Ok(ours), Ok(theirs)) => {
            if !later_chain(&ours) {
                assert_eq!(Seen::ours(&ours), Seen::theirs(frame, &theirs, &ours), "{name}");
            }
            true
        }
        (Ok(ours), Err(theirs)) => {
            assert!(may_be_good(&ours), "{name}: good, but {theirs}: {ours:?}");
            false
        }
        (Err(ours), Ok(theirs)) => {
            assert!(may_be_bad(frame, ours), "{name}: {ours}, but {theirs:?}");
            false
        }
        (Err(_), Err(_)) => false,
    }
}

/// What both say of a packet.
#[derive(Debug, PartialEq)]
struct Seen {
    vlans: usize,
    protocol: u8,
    addresses: (Vec<u8>, Vec<u8>),
    hop_limit: u8,
    /// Start and end of what follows the IP header and its extensions.
    payload: (usize, usize),
    fragmented: bool,
    ports: Option<(u16, u16)>,
    tcp: Option<[u32; 7]>,
    icmp: Option<(u8, u8)>,
}

impl Seen {
    fn ours(packet: &Packet) -> Self {
        let octets = |address| match address {
            std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
            std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        let whole = packet.fragment.is_none();
        let sctp = matches!(packet.body, Transport::Sctp(_));
        Self {
            vlans: usize::from(packet.vlans),
            protocol: packet.protocol.0,
            addresses: (octets(packet.source), octets(packet.destination)),
            hop_limit: packet.hop_limit,
            payload: (packet.transport as usize, packet.end as usize),
            fragmented: !whole,
            ports: packet.ports().filter(|_| whole && !sctp),
            tcp: our_tcp(packet).filter(|_| whole),
            icmp: our_icmp(packet).filter(|_| whole),
        }
    }

    fn theirs(frame: &[u8], packet: &SlicedPacket<'_>, ours: &Packet) -> Self {
        let net = packet.net.as_ref().unwrap();
        let payload = net.ip_payload_ref().unwrap();
        let mut start = payload.payload.as_ptr() as usize - frame.as_ptr() as usize;
        let mut protocol = payload.ip_number;
        let (addresses, hop_limit) = match net {
            NetSlice::Ipv4(slice) => {
                let header = slice.header();
                if let Some(auth) = slice.extensions().auth {
                    start -= auth.slice().len();
                    protocol = IpNumber::AUTHENTICATION_HEADER;
                }
                ((header.source().to_vec(), header.destination().to_vec()), header.ttl())
            }
            NetSlice::Ipv6(slice) => {
                let header = slice.header();
                ((header.source().to_vec(), header.destination().to_vec()), header.hop_limit())
            }
            NetSlice::Arp(_) => panic!("read as IP by this crate"),
        };
        let end =
            payload.payload.as_ptr() as usize - frame.as_ptr() as usize + payload.payload.len();
        let empty6 =
            ours.version == Version::V6 && frame[ours.network as usize + 4..][..2] == [0; 2];
        let vlan = |ext: &&LinkExtSlice<'_>| matches!(ext, LinkExtSlice::Vlan(_));
        // Behind an IPv4 AH they read on, and they read ICMP of the other IP version.
        let transport = packet.transport.as_ref().filter(|_| ours.body != Transport::Other);
        Self {
            vlans: packet.link_exts.iter().filter(vlan).count(),
            protocol: protocol.0,
            addresses,
            hop_limit,
            payload: (start, if empty6 { ours.end as usize } else { end }),
            fragmented: payload.fragmented,
            ports: transport.and_then(ports),
            tcp: transport.and_then(tcp),
            icmp: match transport {
                Some(TransportSlice::Icmpv4(slice)) => Some((slice.type_u8(), slice.code_u8())),
                Some(TransportSlice::Icmpv6(slice)) => Some((slice.type_u8(), slice.code_u8())),
                _ => None,
            },
        }
    }
}

fn our_tcp(packet: &Packet) -> Option<[u32; 7]> {
    let Transport::Tcp(tcp) = packet.body else { return None };
    Some([
        tcp.sequence.0,
        tcp.acknowledgment.0,
        u32::from(tcp.flags.0),
        tcp.window.into(),
        tcp.urgent.into(),
        tcp.header_len.into(),
        tcp.payload_len,
    ])
}

fn our_icmp(packet: &Packet) -> Option<(u8, u8)> {
    let Transport::Icmp(icmp) = packet.body else { return None };
    Some((icmp.kind, icmp.code))
}

fn ports(transport: &TransportSlice<'_>) -> Option<(u16, u16)> {
    match transport {
        TransportSlice::Tcp(slice) => Some((slice.source_port(), slice.destination_port())),
        TransportSlice::Udp(slice) => Some((slice.source_port(), slice.destination_port())),
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => None,
    }
}

fn tcp(transport: &TransportSlice<'_>) -> Option<[u32; 7]> {
    let TransportSlice::Tcp(slice) = transport else { return None };
    let header_len = u32::from(slice.data_offset()) * 4;
    Some([
        slice.sequence_number(),
        slice.acknowledgment_number(),
        u32::from(slice.slice()[13]),
        slice.window_size().into(),
        slice.urgent_pointer().into(),
        header_len,
        slice.payload().len() as u32,
    ])
}

/// Later fragments, and first ones whose chain is cut: only this crate stops there.
fn later_chain(packet: &Packet) -> bool {
    packet.version == Version::V6 && packet.fragment.is_some()
}

/// What this crate takes and etherparse may refuse; see the table above.
fn may_be_good(packet: &Packet) -> bool {
    let Packet { version, protocol, .. } = *packet;
    let igmp = protocol == Protocol::IGMP;
    let stamps = protocol == Protocol::ICMP && version == Version::V4;
    let other_version =
        packet.body == Transport::Other && matches!(protocol, Protocol::ICMP | Protocol::ICMPV6);
    let ah = packet.options.contains(Options::AH);
    igmp || stamps || other_version || ah || later_chain(packet)
}

/// What this crate refuses and etherparse may take; see the table above.
fn may_be_bad(frame: &[u8], error: Malformed) -> bool {
    match error {
        Malformed::NotIp(_)
        | Malformed::VlanTagsTooMany
        | Malformed::OptionsBad
        | Malformed::ExtensionChainTooLong
        | Malformed::FragmentHeaderRepeated
        | Malformed::TcpOptionBad
        | Malformed::JumboPayload
        | Malformed::GreHeaderBad => true,
        // They read on for a length of 0, and do not read SCTP, GRE, ESP and fragments at all.
        Malformed::UdpLength
        | Malformed::TransportTruncated
        | Malformed::TcpDataOffset
        | Malformed::ExtensionTruncated
        | Malformed::FragmentHeaderTruncated => not_read_by_them(frame),
        Malformed::FrameTooShort
        | Malformed::BadVersion
        | Malformed::HeaderTooShort
        | Malformed::HeaderTruncated
        | Malformed::TotalLengthTooShort
        | Malformed::TotalLengthTooLong
        | Malformed::HopByHopNotFirst
        | Malformed::EmbeddedTruncated
        | Malformed::NoEmbeddedPacket => false,
    }
}

/// A fault that etherparse cannot see: in a protocol that it does not read, in a fragment, or
/// behind a length of 0.
fn not_read_by_them(frame: &[u8]) -> bool {
    let theirs = SlicedPacket::from_ethernet(frame).unwrap();
    let net = theirs.net.as_ref().unwrap();
    let payload = net.ip_payload_ref().unwrap();
    let unread = [Protocol::SCTP, Protocol::GRE, Protocol::ESP].map(|protocol| protocol.0);
    let empty6 = match net {
        NetSlice::Ipv6(slice) => slice.header().payload_length() == 0,
        NetSlice::Ipv4(_) | NetSlice::Arp(_) => false,
    };
    let empty_udp = payload.ip_number == IpNumber::UDP
        && payload.payload.get(4..6).is_some_and(|length| length == [0, 0]);
    payload.fragmented || unread.contains(&payload.ip_number.0) || empty6 || empty_udp
}
