//! What a detector says: attacks, and what is to be done about them.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use config::Reaction;
use sketch::{Oddity, Pair, Place};
use wire::Time;

use super::baseline::{Deviation, Feature};

/// What a driver carries out or writes down.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An attack began.
    Started(Attack),
    /// It goes on: once a second.
    GoingOn(Attack),
    /// It is over; its totals are those of all of it.
    Ended(Attack),
    /// Do this. What is done already may come again with a later end.
    Act(Action),
    /// Do it no longer.
    Undo(Action),
}

/// An attack, as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// Its number on this node; the same from beginning to end.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// Who is named.
    pub subject: Subject,
    /// When it began to be told.
    pub started: Time,
    /// How long it has lasted.
    pub lasted: Duration,
    /// What was seen last: a rate a second, or a number of different ones.
    pub seen: u64,
    /// The most of that.
    pub most: u64,
    /// From which on it is an attack.
    pub threshold: u64,
    /// Different sources, if it is about a destination; different hosts, if about a source.
    pub peers: u64,
    /// What its subject did or suffered since it began.
    pub totals: Totals,
    /// What is done about it.
    pub reaction: Reaction,
    /// This node has the lowest number of those that see it: the one to write it down.
    pub teller: bool,
    /// Of what is unusual: expected, seen, how sure.
    pub deviation: Option<Deviation>,
    /// Others of its kind were folded into one about their destination, and it is one of them.
    pub folded: bool,
}

/// Sums about a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Refused packets, failed beginnings, odd packets.
    pub anomalies: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Totals {
    /// These without others.
    pub(super) const fn without(&self, others: &Self) -> Self {
        Self {
            anomalies: self.anomalies.saturating_sub(others.anomalies),
            sessions: self.sessions.saturating_sub(others.sessions),
            packets: self.packets.saturating_sub(others.packets),
            bytes: self.bytes.saturating_sub(others.bytes),
        }
    }

    /// What came since `before`; of a row that was made anew meanwhile, what it has.
    pub(super) fn since(&self, before: &Self) -> Self {
        let part = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Self {
            anomalies: part(self.anomalies, before.anomalies),
            sessions: part(self.sessions, before.sessions),
            packets: part(self.packets, before.packets),
            bytes: part(self.bytes, before.bytes),
        }
    }
}

/// What a detector has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attacks that began, by what they are.
    pub begun: BTreeMap<Kind, u64>,
    /// Blocks that began, by its own judgement or another node's.
    pub blocks: u64,
    /// Digests for the other nodes.
    pub digests_made: u64,
    /// Digests of other nodes that were taken.
    pub digests_taken: u64,
    /// Digests of other nodes that were not.
    pub digests_refused: u64,
    /// Digests of other nodes that did not arrive.
    pub digests_lost: u64,
    /// Observations in the workers' books.
    pub noted: u64,
    /// Rows of the books that gave way to others.
    pub evicted: u64,
}

/// What an attack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Many SYNs a second.
    SynFlood,
    /// Many ICMP packets a second.
    IcmpFlood,
    /// Many UDP packets a second.
    UdpFlood,
    /// Many fragments a second.
    FragmentFlood,
    /// One source fails at many ports.
    PortScan(Transport),
    /// One source fails at many hosts.
    AddressSweep(Transport),
    /// Many sessions at once.
    SessionLimit,
    /// Many completed handshakes a second.
    ConnectionRate,
    /// Packets that cannot be right.
    Odd(Oddity),
    /// Traffic that is unusual for the hour.
    Unusual(Feature),
}

impl Kind {
    /// Whether it is a rate, and not a number of different ones.
    pub const fn is_rate(self) -> bool {
        match self {
            Self::SynFlood
            | Self::IcmpFlood
            | Self::UdpFlood
            | Self::FragmentFlood
            | Self::SessionLimit
            | Self::ConnectionRate => true,
            Self::PortScan(_) | Self::AddressSweep(_) | Self::Odd(_) | Self::Unusual(_) => false,
        }
    }
}

impl Kind {
    /// Whether those who send it may be forged, each of them.
    pub(super) const fn is_flood(self) -> bool {
        matches!(self, Self::SynFlood | Self::IcmpFlood | Self::UdpFlood | Self::FragmentFlood)
    }
}

impl fmt::Display for Kind {
    /// The name in events and metrics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SynFlood => f.write_str("syn-flood"),
            Self::IcmpFlood => f.write_str("icmp-flood"),
            Self::UdpFlood => f.write_str("udp-flood"),
            Self::FragmentFlood => f.write_str("fragment-flood"),
            Self::PortScan(by) => write!(f, "{by}-port-scan"),
            Self::AddressSweep(by) => write!(f, "{by}-sweep"),
            Self::SessionLimit => f.write_str("session-limit"),
            Self::ConnectionRate => f.write_str("connection-rate"),
            Self::Odd(oddity) => f.write_str(oddity.name()),
            Self::Unusual(feature) => write!(f, "unusual-{feature}"),
        }
    }
}

/// What a scanner scans with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP, and all others.
    Icmp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        })
    }
}

/// Who is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Who sends.
    Source(Place),
    /// Who suffers.
    Destination(Place),
    /// Both.
    Pair(Pair),
    /// All behind the ports of a zone.
    Zone(u8),
}

impl Subject {
    /// The zone by which the packets enter.
    pub const fn zone(&self) -> u8 {
        match self {
            Self::Source(place) | Self::Destination(place) => place.zone,
            Self::Pair(pair) => pair.source.zone,
            Self::Zone(zone) => *zone,
        }
    }

    /// The source, if one is named.
    pub const fn source(&self) -> Option<Place> {
        match self {
            Self::Source(place) => Some(*place),
            Self::Pair(pair) => Some(pair.source),
            Self::Destination(_) | Self::Zone(_) => None,
        }
    }

    /// The destination, if one is named.
    pub const fn destination(&self) -> Option<Place> {
        match self {
            Self::Destination(place) => Some(*place),
            Self::Pair(pair) => Some(pair.destination),
            Self::Source(_) | Self::Zone(_) => None,
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// All packets of a source are dropped, in the XDP program, until then.
    Block {
        /// Who, and by which zone its packets enter.
        source: Place,
        /// The end, on this node's clock.
        until: Time,
    },
    /// SYNs to a destination are answered in its place, with cookies. It comes again each second as long as
    /// the flood goes on; who carries it out ends it by himself when it does not.
    Proxy {
        /// Whose, and by which zone they enter.
        destination: Place,
    },
    /// What is above a rate is dropped. It comes again each second as long as the rate is above; who carries
    /// it out ends it by himself when it does not.
    Drop(RateLimit),
}

/// A rate above which packets are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateLimit {
    /// Which packets.
    pub kind: Kind,
    /// Of whom or to whom.
    pub subject: Subject,
    /// So many pass: a second, or at once.
    pub threshold: u64,
}
