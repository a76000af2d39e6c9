//! What a drop says of the packet's sender, by its reason: one table, in which each reason stands once, or
//! nothing compiles.

use sketch::DenyClass::{self, Limit, Policy, Resources, State, Stray};
use sketch::{Kind, Oddity};

use crate::Reason::{self, *};

/// `None`: nothing.
pub(super) const fn told(reason: Reason) -> Option<Kind> {
    KINDS[reason as usize]
}

const KINDS: [Option<Kind>; Reason::COUNT] = {
    let (mut kinds, mut listed) = ([None; Reason::COUNT], [false; Reason::COUNT]);
    let mut group = 0;
    while group < TABLE.len() {
        let (kind, mut reasons) = TABLE[group];
        while let [first, rest @ ..] = reasons {
            let place = *first as usize;
            assert!(!listed[place], "a reason stands in the table twice");
            (kinds[place], listed[place], reasons) = (kind, true, rest);
        }
        group += 1;
    }
    let mut place = 0;
    while place < Reason::COUNT {
        assert!(listed[place], "a reason is missing in the table");
        place += 1;
    }
    kinds
};

const fn odd(oddity: Oddity) -> Option<Kind> {
    Some(Kind::Odd(oddity))
}

const fn denied(class: DenyClass) -> Option<Kind> {
    Some(Kind::Denied(class))
}

const TABLE: [(Option<Kind>, &[Reason]); 22] = [
    (
        odd(Oddity::Malformed),
        &[
            BadVersion,
            HeaderTooShort,
            HeaderTruncated,
            TotalLengthTooShort,
            TotalLengthTooLong,
            TransportTruncated,
            TcpDataOffset,
            TcpOptionBad,
            UdpLength,
            GreHeaderBad,
            JumboPayload,
            EmbeddedTruncated,
            IcmpLength,
            HopLimitZero,
            DestinationInvalid,
        ],
    ),
    (odd(Oddity::OptionBad), &[OptionsBad]),
    (
        odd(Oddity::ExtensionChain),
        &[
            ExtensionTruncated,
            ExtensionChainTooLong,
            HopByHopNotFirst,
            FragmentHeaderTruncated,
            FragmentHeaderRepeated,
        ],
    ),
    (odd(Oddity::PortZero), &[PortZero]),
    (odd(Oddity::Checksum), &[IpChecksum, TransportChecksum]),
    (odd(Oddity::Land), &[Land]),
    (odd(Oddity::Spoofed), &[SourceInvalid, OffLink, ZoneMismatch]),
    (odd(Oddity::SourceRoute), &[SourceRoute, RoutingHeader0]),
    (odd(Oddity::Teardrop), &[FragmentOverlap]),
    (odd(Oddity::FragmentTiny), &[FragmentTiny, FragmentHeaderChain]),
    (odd(Oddity::FragmentBad), &[FragmentLength]),
    (odd(Oddity::PingOfDeath), &[FragmentOversize]),
    (odd(Oddity::TcpNoFlags), &[TcpNoFlags]),
    (odd(Oddity::TcpSynFin), &[TcpSynFin]),
    (odd(Oddity::TcpFinWithoutAck), &[TcpFinWithoutAck]),
    (odd(Oddity::TcpFlags), &[TcpFlags]),
    (denied(State), &[IcmpUnsolicited]),
    (denied(Policy), &[NoRule, Denied, RejectLimited, LocalDestination, NatUnmapped, NatFiltered]),
    (
        denied(Stray),
        &[
            TcpNotSyn,
            BadCookie,
            ServerPending,
            TcpState,
            TcpWindow,
            IcmpUnrelated,
            PolicyChanged,
            NatBypassed,
            FragmentTimeout,
            FragmentMemory,
            FragmentTooMany,
            FragmentPerSource,
            FragmentFlood,
            Blocked,
        ],
    ),
    (
        denied(Limit),
        &[
            RuleSessions,
            ZoneSessions,
            SynFlood,
            IcmpFlood,
            UdpFlood,
            ConnectionRate,
            SourceSessions,
            DestinationSessions,
            PairSessions,
        ],
    ),
    (
        denied(Resources),
        &[
            NatExhausted,
            NatProtocol,
            NatImpossible,
            TableFull,
            NoRoute,
            RouteRefused,
            PortDown,
            NeighbourUnresolved,
            NeighbourQueueFull,
        ],
    ),
    // Told as what it is where it is looked at (Odd), no packet of ours, or no fault of its sender's.
    (
        None,
        &[
            AlgGap,
            AlgBusy,
            AlgMalformed,
            AlgUnasked,
            Odd,
            NotIp,
            FrameTooShort,
            VlanTagsTooMany,
            VlanTagged,
            OtherHost,
            ChecksumPartial,
            Multicast,
            LinkLocal,
            FragmentDuplicate,
            NoZone,
            HopLimit,
            TooBig,
            HandoffFull,
            TransmitFull,
            Poison,
            DropOnly,
            LeaseExpired,
            NotOwner,
            HoldFull,
            HoldExpired,
            HoldClosed,
            HeirFull,
            HeirExpired,
            FabricFull,
            FabricTooBig,
            FabricStranger,
            FabricMalformed,
            FabricTag,
            FabricHops,
            FabricTerm,
            FabricPort,
        ],
    ),
];
