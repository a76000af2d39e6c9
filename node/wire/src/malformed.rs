//! Every way in which a frame can be wrong.
use core::fmt;

/// Why a frame has no descriptor. [`Malformed::name`] is what counters and logs show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Not IPv4 or IPv6: the EtherType found (below 0x0600 an IEEE 802.3 length).
    NotIp(u16),
    /// The frame ends before its EtherType (Ethernet header and VLAN tags).
    FrameTooShort,
    /// More VLAN tags than [`MAX_VLAN_TAGS`](crate::limits::MAX_VLAN_TAGS).
    VlanTagsTooMany,
    /// The IP version is neither 4 nor 6, or not the one that the EtherType says.
    BadVersion,
    /// The IPv4 header length field is below 20 bytes (RFC 791 §3.1).
    HeaderTooShort,
    /// The frame ends inside the IP header.
    HeaderTruncated,
    /// The IPv4 total length is zero or shorter than the header.
    TotalLengthTooShort,
    /// The IP length field says more than the frame holds: the datagram is truncated.
    TotalLengthTooLong,
    /// An IPv4 option, or an option of an IPv6 hop-by-hop options header, has a length below its
    /// minimum or past the end of its header.
    OptionsBad,
    /// The datagram ends inside an IPv6 extension header, or an AH says that it is shorter than its
    /// fixed part.
    ExtensionTruncated,
    /// More extension headers than [`MAX_EXTENSION_HEADERS`](crate::limits::MAX_EXTENSION_HEADERS).
    ExtensionChainTooLong,
    /// A hop-by-hop options header that does not follow the IPv6 header immediately (RFC 8200
    /// §4.1).
    HopByHopNotFirst,
    /// The datagram ends inside the IPv6 fragment header.
    FragmentHeaderTruncated,
    /// A second IPv6 fragment header beside that of a real fragment.
    FragmentHeaderRepeated,
    /// The datagram, not being a fragment, ends inside the transport header.
    TransportTruncated,
    /// The TCP data offset is below 5 or past the end of the segment (RFC 9293 §3.1).
    TcpDataOffset,
    /// A TCP option has a length below its minimum, past the end of the header, or not the one of
    /// its kind.
    TcpOptionBad,
    /// The UDP length is below 8 or past the end of the datagram (RFC 768).
    UdpLength,
    /// GRE version 1 that is not RFC 2637's enhanced GRE (a key, PPP inside, neither checksum nor
    /// routing).
    GreHeaderBad,
    /// An IPv6 jumbogram (RFC 2675): no interface that a port can be has such an MTU.
    JumboPayload,
    /// The packet inside an ICMP error ends before 8 bytes of its transport header (RFC 792).
    EmbeddedTruncated,
    /// The packet was asked for its embedded packet and is not an ICMP error.
    NoEmbeddedPacket,
}

impl Malformed {
    /// One of each, [`Malformed::NotIp`] with EtherType 0: for tables of names and counters.
    pub const ALL: [Self; 22] = [
        Self::NotIp(0),
        Self::FrameTooShort,
        Self::VlanTagsTooMany,
        Self::BadVersion,
        Self::HeaderTooShort,
        Self::HeaderTruncated,
        Self::TotalLengthTooShort,
        Self::TotalLengthTooLong,
        Self::OptionsBad,
        Self::ExtensionTruncated,
        Self::ExtensionChainTooLong,
        Self::HopByHopNotFirst,
        Self::FragmentHeaderTruncated,
        Self::FragmentHeaderRepeated,
        Self::TransportTruncated,
        Self::TcpDataOffset,
        Self::TcpOptionBad,
        Self::UdpLength,
        Self::GreHeaderBad,
        Self::JumboPayload,
        Self::EmbeddedTruncated,
        Self::NoEmbeddedPacket,
    ];

    /// The name in kebab case, without the EtherType.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotIp(_) => "not-ip",
            Self::FrameTooShort => "frame-too-short",
            Self::VlanTagsTooMany => "vlan-tags-too-many",
            Self::BadVersion => "bad-version",
            Self::HeaderTooShort => "header-too-short",
            Self::HeaderTruncated => "header-truncated",
            Self::TotalLengthTooShort => "total-length-too-short",
            Self::TotalLengthTooLong => "total-length-too-long",
            Self::OptionsBad => "options-bad",
            Self::ExtensionTruncated => "extension-truncated",
            Self::ExtensionChainTooLong => "extension-chain-too-long",
            Self::HopByHopNotFirst => "hop-by-hop-not-first",
            Self::FragmentHeaderTruncated => "fragment-header-truncated",
            Self::FragmentHeaderRepeated => "fragment-header-repeated",
            Self::TransportTruncated => "transport-truncated",
            Self::TcpDataOffset => "tcp-data-offset",
            Self::TcpOptionBad => "tcp-option-bad",
            Self::UdpLength => "udp-length",
            Self::GreHeaderBad => "gre-header-bad",
            Self::JumboPayload => "jumbo-payload",
            Self::EmbeddedTruncated => "embedded-truncated",
            Self::NoEmbeddedPacket => "no-embedded-packet",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Self::NotIp(ethertype) = self {
            write!(f, " (EtherType {ethertype:#06x})")?;
        }
        Ok(())
    }
}

impl core::error::Error for Malformed {}
