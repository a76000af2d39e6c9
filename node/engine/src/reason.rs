//! Why a packet was dropped: one reason per drop, each with a name and an explanation.
//!
//! The doc comment of a variant is its help text: counters, `explain` and the manual show the same
//! sentence. `tests/tidy` demands that every reason is produced by at least one test.

/// Declares [`Reason`] together with its list, names and help texts, so that they cannot differ.
macro_rules! reasons {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal,)+) => {
        /// The cause of a drop. Every dropped packet has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number of reasons: the length of a counter array.
            pub const COUNT: usize = Self::ALL.len();

            /// The reason's name in counters, logs and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happened and, where there is something to do, what to do.
            #[must_use]
            pub const fn explain(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    // Frames and headers: one for each `wire::Malformed`
    /// The frame carries neither IPv4 nor IPv6, and the port does not pass such frames on.
    NotIp = "not-ip",
    /// The frame ends before its EtherType.
    FrameTooShort = "frame-too-short",
    /// More VLAN tags than the parser passes over.
    VlanTagsTooMany = "vlan-tags-too-many",
    /// The IP version is neither 4 nor 6, or not the one that the EtherType says.
    BadVersion = "bad-version",
    /// The IPv4 header length field is below 20 bytes (RFC 791 §3.1).
    HeaderTooShort = "header-too-short",
    /// The frame ends inside the IP header.
    HeaderTruncated = "header-truncated",
    /// The IPv4 total length is shorter than the header.
    TotalLengthTooShort = "total-length-too-short",
    /// The IP length field says more than the frame holds.
    TotalLengthTooLong = "total-length-too-long",
    /// An IPv4 or IPv6 option has an impossible length.
    OptionsBad = "options-bad",
    /// The datagram ends inside an IPv6 extension header.
    ExtensionTruncated = "extension-truncated",
    /// More IPv6 extension headers than the parser follows.
    ExtensionChainTooLong = "extension-chain-too-long",
    /// A hop-by-hop options header not directly behind the IPv6 header (RFC 8200 §4.1).
    HopByHopNotFirst = "hop-by-hop-not-first",
    /// The datagram ends inside the IPv6 fragment header.
    FragmentHeaderTruncated = "fragment-header-truncated",
    /// A second IPv6 fragment header beside that of a real fragment.
    FragmentHeaderRepeated = "fragment-header-repeated",
    /// The datagram ends inside the transport header.
    TransportTruncated = "transport-truncated",
    /// The TCP data offset is below 5 or past the end of the segment (RFC 9293 §3.1).
    TcpDataOffset = "tcp-data-offset",
    /// A TCP option has an impossible length.
    TcpOptionBad = "tcp-option-bad",
    /// The UDP length is below 8 or past the end of the datagram (RFC 768).
    UdpLength = "udp-length",
    /// GRE version 1 that is not RFC 2637's enhanced GRE.
    GreHeaderBad = "gre-header-bad",
    /// An IPv6 jumbogram (RFC 2675), which no port of this firewall can carry.
    JumboPayload = "jumbo-payload",
    /// The packet inside an ICMP error ends before 8 bytes of its transport header (RFC 792).
    EmbeddedTruncated = "embedded-truncated",
    /// The ICMP message is shorter than its type demands (RFC 792, RFC 950).
    IcmpLength = "icmp-length",
    /// TCP or SCTP port 0, or UDP destination port 0: reserved (RFC 6335 §6), only probes use them.
    PortZero = "port-zero",
    /// The hop limit is 0: no host and no router may send such a packet (RFC 1812 §4.2.2.9).
    HopLimitZero = "hop-limit-zero",
    /// A neighbour discovery or multicast listener message with a hop limit that shows it does not
    /// come from this link (RFC 4861 §6.1 and §7.1, RFC 3810 §5, RFC 4890 §4.3.3).
    OffLink = "off-link",

    // Frames and checksums
    /// A VLAN-tagged frame arrived at a routed port; give the VLAN an interface of its own.
    VlanTagged = "vlan-tagged",
    /// The frame is addressed to another station's MAC address.
    OtherHost = "other-host",
    /// The IPv4 header checksum is wrong (RFC 1071).
    IpChecksum = "ip-checksum",
    /// The TCP, UDP or ICMP checksum is wrong.
    TransportChecksum = "transport-checksum",
    /// The checksum field holds only the pseudo-header sum: a local sender left it to hardware.
    /// Run `ethtool -K IF tx off` at the sender, or set `checksum = "trust"` on the port.
    ChecksumPartial = "checksum-partial",

    // Addresses
    /// Source and destination are equal (LAND attack).
    Land = "land",
    /// The source is multicast, broadcast, unspecified or loopback: no host may send so.
    SourceInvalid = "source-invalid",
    /// The destination is unspecified, loopback or reserved.
    DestinationInvalid = "destination-invalid",
    /// The destination is multicast or broadcast, which is not routed.
    Multicast = "multicast",
    /// A link-local address, which is not routed (RFC 4291 §2.5.6, RFC 3927 §7).
    LinkLocal = "link-local",
    /// A loose or strict source route option (RFC 7126 §4.3).
    SourceRoute = "source-route",
    /// A routing header of type 0 (RFC 5095).
    RoutingHeader0 = "routing-header-0",
    /// The destination is one of the firewall's own addresses.
    LocalDestination = "local-destination",

    // Fragments
    /// Fragments of one datagram overlap (RFC 5722 §4, RFC 1858 §3), and the datagram is given up. With
    /// other bytes in exactly the place of a held one, a fragment is dropped alone.
    FragmentOverlap = "fragment-overlap",
    /// An exact copy of a fragment that is held already; the held one stays (RFC 8200 §4.5).
    FragmentDuplicate = "fragment-duplicate",
    /// The first fragment is too small for the transport header (RFC 1858 §4, RFC 3128).
    FragmentTiny = "fragment-tiny",
    /// Fragment lengths contradict one another, or a middle one is no multiple of 8.
    FragmentLength = "fragment-length",
    /// The reassembled datagram would exceed 65,535 bytes (ping of death).
    FragmentOversize = "fragment-oversize",
    /// The first IPv6 fragment lacks part of the header chain (RFC 7112 §5).
    FragmentHeaderChain = "fragment-header-chain",
    /// The datagram was not complete in time.
    FragmentTimeout = "fragment-timeout",
    /// The memory for fragments is used up.
    FragmentMemory = "fragment-memory",
    /// The datagram came in more fragments than allowed.
    FragmentTooMany = "fragment-too-many",
    /// The source has too many incomplete datagrams.
    FragmentPerSource = "fragment-per-source",

    // Sessions
    /// A TCP segment with none of SYN, FIN, RST and ACK: a null scan, or a fingerprint's probe.
    TcpNoFlags = "tcp-no-flags",
    /// A TCP segment with SYN and FIN: a probe for filters that look for one of them.
    TcpSynFin = "tcp-syn-fin",
    /// A TCP segment with FIN and without ACK (RFC 9293 §3.10.7.4): a FIN or Xmas scan.
    TcpFinWithoutAck = "tcp-fin-without-ack",
    /// Other TCP flags that no honest sender combines (RFC 9293 §3.10): RST with SYN or FIN, URG with
    /// RST or SYN-ACK.
    TcpFlags = "tcp-flags",
    /// A TCP segment without a session that is not a plain SYN. An ACK may open one where the rule that
    /// permits it says `pick-up = true`.
    TcpNotSyn = "tcp-not-syn",
    /// A TCP segment that the connection's state does not allow.
    TcpState = "tcp-state",
    /// A TCP sequence or acknowledgment number outside the window (RFC 9293 §3.10.7.4, RFC 5961).
    TcpWindow = "tcp-window",
    /// The packet enters from another zone than its session's sender: a forged address, or a route that
    /// changed between zones.
    ZoneMismatch = "zone-mismatch",
    /// An ICMP error whose embedded packet belongs to no session.
    IcmpUnrelated = "icmp-unrelated",
    /// An ICMP reply without its request, or an ICMP type that opens no session.
    IcmpUnsolicited = "icmp-unsolicited",
    /// The session table is full.
    TableFull = "table-full",
    /// The rule that permits it has as many sessions as its `sessions-max`.
    RuleSessions = "rule-sessions",
    /// The zone it comes from has opened as many sessions as its `sessions-max`.
    ZoneSessions = "zone-sessions",

    // Screens
    /// Its source is blocked for a time, since it attacked. `clear anomalies` lets it through again.
    Blocked = "blocked",
    /// A packet that cannot be right, and the screen of the zone that it enters by drops such.
    Odd = "odd",
    /// More first packets of TCP connections in this second than the screen's `syn-flood` says.
    SynFlood = "syn-flood",
    /// An ACK that belongs to no session, to a destination whose SYNs are answered with cookies, and its
    /// cookie is wrong or more than a minute old.
    BadCookie = "bad-cookie",
    /// Its client has proved itself by a cookie, and its server has not answered yet. A client sends it that
    /// does not respect the closed window.
    ServerPending = "server-pending",
    /// More ICMP packets to its destination in this second than the screen's `icmp-flood` says.
    IcmpFlood = "icmp-flood",
    /// More UDP packets to its destination in this second than the screen's `udp-flood` says.
    UdpFlood = "udp-flood",
    /// More fragments to their destination in this second than the screen's `fragment-flood` says.
    FragmentFlood = "fragment-flood",
    /// Its source has completed as many handshakes in this second as the screen's `connection-rate` says.
    ConnectionRate = "connection-rate",
    /// Its source has as many sessions as the screen's `session-limit` says.
    SourceSessions = "source-sessions",
    /// Its destination has as many sessions as the screen's `session-limit` says.
    DestinationSessions = "destination-sessions",
    /// Its source has as many sessions with its destination as the screen's `session-limit` says.
    PairSessions = "pair-sessions",

    // Policy
    /// No rule matches.
    NoRule = "no-rule",
    /// A rule denies the packet.
    Denied = "denied",
    /// The packet is rejected, but the answers' rate limit is reached or none may be sent.
    RejectLimited = "reject-limited",
    /// The port belongs to no zone of the policy in force.
    NoZone = "no-zone",
    /// The policy in force no longer permits the session.
    PolicyChanged = "policy-changed",

    // Translation
    /// Its source would need a port of a public address, and none is left there, nor room for its session.
    /// Give the pool more addresses, or the rule a pool of its own.
    NatExhausted = "nat-exhausted",
    /// Many hosts cannot share an address by its protocol, which has no ports (ESP, AH, GRE): give the host
    /// an address of its own by a static rule.
    NatProtocol = "nat-protocol",
    /// A rule of translation fits it, and cannot be carried out: the port it leaves by has no address of its
    /// family, its address has no counterpart in the other prefix, or AH vouches for its addresses.
    NatImpossible = "nat-impossible",
    /// A packet to a public address of translation, of no session, and nobody has that port.
    NatUnmapped = "nat-unmapped",
    /// A packet to the mapping of an inside endpoint, from whom the rule's `filtering` does not admit.
    NatFiltered = "nat-filtered",
    /// A segment of a control channel came before those that it follows: a gateway reads in order. It is sent
    /// again.
    AlgGap = "alg-gap",
    /// A control channel has more text replaced than its far end has acknowledged, or some that another node
    /// has replaced before a takeover. It is sent again.
    AlgBusy = "alg-busy",
    /// What should be DNS is none: shorter than what it tells, or with a name that is none.
    AlgMalformed = "alg-malformed",
    /// A response of DNS to no query that waits for one: it came twice, or is forged.
    AlgUnasked = "alg-unasked",
    /// A packet of a translated session that came past the translation: as it looks on the other side.
    NatBypassed = "nat-bypassed",

    // Routing
    /// No route to the destination.
    NoRoute = "no-route",
    /// The route says blackhole, unreachable or prohibit.
    RouteRefused = "route-refused",
    /// The port that the packet would leave by is down.
    PortDown = "port-down",
    /// The hop limit ran out and no ICMP error could be sent.
    HopLimit = "hop-limit",
    /// The packet is larger than the next link's MTU and no ICMP error could be sent.
    TooBig = "too-big",
    /// The next hop's link-layer address could not be resolved in time.
    NeighbourUnresolved = "neighbour-unresolved",
    /// Too many packets wait for the next hop's link-layer address.
    NeighbourQueueFull = "neighbour-queue-full",

    // The worker
    /// The ring to the worker that owns the flow is full.
    HandoffFull = "handoff-full",
    /// The egress port could not take the frame in time.
    TransmitFull = "transmit-full",
    /// The packet made a flow actor panic; it was saved for study.
    Poison = "poison",
    /// The shard panicked too often and drops everything until it is restarted.
    DropOnly = "drop-only",
    /// The forwarding lease has ended.
    LeaseExpired = "lease-expired",

    // The cluster
    /// Another node owns the flow; this one keeps replicas for it.
    NotOwner = "not-owner",
    /// Too many packets wait for the backup to know their session.
    HoldFull = "hold-full",
    /// The backup did not confirm in time that it knows the session.
    HoldExpired = "hold-expired",
    /// Its session ended while the packet waited for the backup.
    HoldClosed = "hold-closed",
    /// Too many packets came to the heir before it owned.
    HeirFull = "heir-full",
    /// The packet came to the heir, which did not own in time.
    HeirExpired = "heir-expired",
    /// The fabric takes no more packets for the owner now.
    FabricFull = "fabric-full",
    /// The packet does not fit through the fabric to the owner. Give the fabric's interface an MTU that
    /// is 100 bytes above that of every port.
    FabricTooBig = "fabric-too-big",
    /// A packet of the fabric that did not come from the peer's address.
    FabricStranger = "fabric-stranger",
    /// A packet of the fabric that is not in Geneve with this version's option (RFC 8926).
    FabricMalformed = "fabric-malformed",
    /// A packet of the fabric without a tag under the cluster's secret.
    FabricTag = "fabric-tag",
    /// The packet was passed on from node to node too often.
    FabricHops = "fabric-hops",
    /// A packet of the fabric from a node that does not know the newest owner.
    FabricTerm = "fabric-term",
    /// A packet of the fabric for a port that this node does not have. Both nodes need the same port
    /// names, in the same domains.
    FabricPort = "fabric-port",
}

impl From<wire::Malformed> for Reason {
    fn from(malformed: wire::Malformed) -> Self {
        use wire::Malformed as M;
        match malformed {
            M::NotIp(_) => Self::NotIp,
            M::FrameTooShort => Self::FrameTooShort,
            M::VlanTagsTooMany => Self::VlanTagsTooMany,
            M::BadVersion => Self::BadVersion,
            M::HeaderTooShort => Self::HeaderTooShort,
            M::HeaderTruncated => Self::HeaderTruncated,
            M::TotalLengthTooShort => Self::TotalLengthTooShort,
            M::TotalLengthTooLong => Self::TotalLengthTooLong,
            M::OptionsBad => Self::OptionsBad,
            M::ExtensionTruncated => Self::ExtensionTruncated,
            M::ExtensionChainTooLong => Self::ExtensionChainTooLong,
            M::HopByHopNotFirst => Self::HopByHopNotFirst,
            M::FragmentHeaderTruncated => Self::FragmentHeaderTruncated,
            M::FragmentHeaderRepeated => Self::FragmentHeaderRepeated,
            M::TransportTruncated => Self::TransportTruncated,
            M::TcpDataOffset => Self::TcpDataOffset,
            M::TcpOptionBad => Self::TcpOptionBad,
            M::UdpLength => Self::UdpLength,
            M::GreHeaderBad => Self::GreHeaderBad,
            M::JumboPayload => Self::JumboPayload,
            M::EmbeddedTruncated | M::NoEmbeddedPacket => Self::EmbeddedTruncated,
        }
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::COUNT);
        for name in names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
        }
    }

    #[test]
    fn counters_are_indexed_by_position() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, position);
            assert!(reason.explain().ends_with('.'), "{reason} lacks a sentence");
        }
    }
}
