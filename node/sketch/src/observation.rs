//! What a flow actor sees that a detector wants to know: session events and denied packets.
//!
//! Packets of open sessions are no observations. What they carried comes as [`Kind::Carried`] now and then,
//! and with the end of the session.

use core::net::IpAddr;

/// One event of one flow, from its initiator's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What happened.
    pub kind: Kind,
    /// The zone by which the initiator's packets enter.
    pub zone: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// Who began.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The initiator's port; 0 where there is none.
    pub source_port: u16,
    /// The responder's port, of ICMP the type; 0 where there is none.
    pub port: u16,
    /// Packets that this tells of: 1 of a first, denied or odd packet, the initiator's of a session that were
    /// not told before, 0 of an event without packets.
    pub packets: u32,
    /// Bytes of them, and of a session's those of the answers too.
    pub bytes: u64,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first packet of a session was let through.
    Permitted,
    /// A packet was refused.
    Denied(DenyClass),
    /// A TCP handshake was completed.
    Completed,
    /// A session's first packets had no answer in their time.
    Unanswered,
    /// SYN and SYN-ACK passed, and no ACK came in its time.
    HalfOpen,
    /// The responder reset the connection before it was open.
    Refused,
    /// The initiator did.
    Withdrawn,
    /// An ICMP unreachable answered the first packets.
    Unreachable,
    /// A packet that cannot be right, whatever its flow.
    Odd(Oddity),
    /// A fragment came.
    Fragment,
    /// What a session carried since it was last told.
    Carried,
    /// A session ended, and carried this since it was last told.
    Ended,
}

/// Why a packet was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyClass {
    /// By the policy: its sender wanted what it may not have.
    Policy,
    /// It belongs to no session and may not begin one: how ACK scans look.
    State,
    /// It came late or out of place: no question, and no first packet.
    Stray,
    /// By a limit, which says nothing of its sender.
    Limit,
    /// For want of a route, memory or a backup, which neither does.
    Resources,
}

/// Declares [`Oddity`] together with its list, numbers, names and help texts.
macro_rules! oddities {
    ($($(#[doc = $text:literal])+ $variant:ident = $number:literal $name:literal,)+) => {
        /// A packet that cannot be right.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Oddity {
            #[default]
            $($(#[doc = $text])+ $variant = $number,)+
        }

        impl Oddity {
            /// Every one, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in events, tables and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it is, and what it is for.
            pub const fn explain(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),+).trim_ascii(),)+ }
            }
        }
    };
}

oddities! {
    /// Fragments that make up more than 65,535 bytes: old stacks crashed.
    PingOfDeath = 0 "ping-of-death",
    /// An ICMP packet larger than anybody needs.
    IcmpLarge = 1 "icmp-large",
    /// Fragments that overlap: teardrop, bonk, boink, and evasion of inspection.
    Teardrop = 2 "teardrop",
    /// A first fragment too small for the header that would be judged.
    FragmentTiny = 3 "fragment-tiny",
    /// Fragments of a length or an order that cannot be.
    FragmentBad = 4 "fragment-bad",
    /// Source and destination are the same.
    Land = 5 "land",
    /// TCP without any flag: a null scan.
    TcpNoFlags = 6 "tcp-no-flags",
    /// FIN, PSH and URG: an xmas scan.
    TcpXmas = 7 "tcp-xmas",
    /// SYN and FIN together.
    TcpSynFin = 8 "tcp-syn-fin",
    /// FIN without ACK: a FIN scan.
    TcpFinWithoutAck = 9 "tcp-fin-without-ack",
    /// Another set of TCP flags that no stack sends.
    TcpFlags = 10 "tcp-flags",
    /// TCP with URG to port 139: old stacks crashed.
    WinNuke = 11 "winnuke",
    /// A loose or strict source route, or IPv6's routing header 0.
    SourceRoute = 12 "source-route",
    /// The record-route option.
    RecordRoute = 13 "record-route",
    /// The timestamp option.
    Timestamp = 14 "timestamp",
    /// The security option.
    Security = 15 "security",
    /// The stream-id option.
    Stream = 16 "stream",
    /// Options that cannot be read.
    OptionBad = 17 "option-bad",
    /// An IP protocol that is not assigned.
    UnknownProtocol = 18 "unknown-protocol",
    /// A chain of extension headers that is too long, or in an order that cannot be.
    ExtensionChain = 19 "extension-chain",
    /// A source that no packet can have, or that is not behind this port.
    Spoofed = 20 "spoofed",
    /// A header or a length that cannot be.
    Malformed = 21 "malformed",
    /// A wrong checksum.
    Checksum = 22 "checksum",
    /// Port 0.
    PortZero = 23 "port-zero",
}

impl Oddity {
    /// Its number, on the wire too.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The one with this number.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether it is how scanners look for ports.
    pub const fn is_probe(self) -> bool {
        matches!(
            self,
            Self::TcpNoFlags
                | Self::TcpXmas
                | Self::TcpSynFin
                | Self::TcpFinWithoutAck
                | Self::TcpFlags
        )
    }
}

/// What is counted in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Measure {
    /// First packets of TCP connections, let through or not.
    Syn,
    /// UDP packets, as far as they are told.
    Udp,
    /// ICMP packets, as far as they are told.
    Icmp,
    /// Fragments.
    Fragment,
    /// Sessions that were opened.
    Opened,
    /// Handshakes that were completed.
    Completed,
    /// Sessions that ended.
    Ended,
    /// Packets that were refused.
    Denied,
    /// Beginnings without an answer.
    Unanswered,
    /// Handshakes without the last ACK.
    HalfOpen,
    /// Beginnings that the responder reset.
    Refused,
    /// Beginnings that the initiator reset.
    Withdrawn,
    /// Beginnings that an ICMP unreachable answered.
    Unreachable,
    /// Packets that cannot be right.
    Odd,
    /// Attempts that failed, TCP.
    FailedTcp,
    /// Attempts that failed, UDP.
    FailedUdp,
    /// Attempts that failed, ICMP and others.
    FailedOther,
}

impl Measure {
    /// How many there are.
    pub const COUNT: usize = 17;

    /// Every one, in the order of the counts.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Syn,
        Self::Udp,
        Self::Icmp,
        Self::Fragment,
        Self::Opened,
        Self::Completed,
        Self::Ended,
        Self::Denied,
        Self::Unanswered,
        Self::HalfOpen,
        Self::Refused,
        Self::Withdrawn,
        Self::Unreachable,
        Self::Odd,
        Self::FailedTcp,
        Self::FailedUdp,
        Self::FailedOther,
    ];

    /// Those by which each packet counts, and not each observation: what was dropped or answered in front of
    /// a flow actor is told as one observation of many packets.
    pub(crate) const OF_PACKETS: Measures = Measures::NONE
        .with(Self::Syn)
        .with(Self::Udp)
        .with(Self::Icmp)
        .with(Self::Fragment)
        .with(Self::Denied)
        .with(Self::Odd);

    /// What counts as an anomaly of its source and destination.
    pub const ANOMALIES: Measures = Measures::NONE
        .with(Self::Denied)
        .with(Self::Unanswered)
        .with(Self::HalfOpen)
        .with(Self::Refused)
        .with(Self::Withdrawn)
        .with(Self::Unreachable)
        .with(Self::Odd);

    /// Attempts that failed.
    pub const FAILED: Measures =
        Measures::NONE.with(Self::FailedTcp).with(Self::FailedUdp).with(Self::FailedOther);
}

/// A set of measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measures(u32);

impl Measures {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// These and another one.
    #[must_use]
    pub const fn with(self, measure: Measure) -> Self {
        Self(self.0 | 1 << measure as u8)
    }

    /// These and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether it is among them.
    pub const fn has(self, measure: Measure) -> bool {
        self.0 & (1 << measure as u8) != 0
    }

    /// Whether any of `others` is.
    pub const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// A bit for each, by its number.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// Each of them.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Measure> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let next = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            Measure::ALL.get(next).copied()
        })
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

impl Observation {
    /// What it adds to.
    #[inline]
    pub fn measures(&self) -> Measures {
        match self.kind {
            Kind::Permitted => self.packet_measure().with(Measure::Opened),
            Kind::Denied(DenyClass::State) if self.protocol == TCP => self.failed(Measure::Denied),
            Kind::Denied(DenyClass::Policy | DenyClass::State) => {
                self.failed(Measure::Denied).and(self.packet_measure())
            }
            // A flood of ICMP errors about nothing is a flood of ICMP.
            Kind::Denied(DenyClass::Stray) if matches!(self.protocol, ICMP | ICMP6) => {
                self.carried().with(Measure::Denied)
            }
            Kind::Denied(DenyClass::Stray) => Measures::NONE.with(Measure::Denied),
            Kind::Denied(DenyClass::Limit | DenyClass::Resources) => {
                self.packet_measure().with(Measure::Denied)
            }
            Kind::Completed => Measures::NONE.with(Measure::Completed),
            Kind::Unanswered => self.failed(Measure::Unanswered),
            Kind::HalfOpen => Measures::NONE.with(Measure::HalfOpen),
            Kind::Refused => self.failed(Measure::Refused),
            Kind::Withdrawn => self.failed(Measure::Withdrawn),
            Kind::Unreachable => self.failed(Measure::Unreachable),
            Kind::Odd(oddity) if oddity.is_probe() => self.failed(Measure::Odd),
            Kind::Odd(_) => Measures::NONE.with(Measure::Odd),
            Kind::Fragment => Measures::NONE.with(Measure::Fragment),
            Kind::Carried => self.carried(),
            Kind::Ended => self.carried().with(Measure::Ended),
        }
    }

    /// An attempt that came to nothing.
    fn failed(&self, what: Measure) -> Measures {
        let failed = match self.protocol {
            TCP => Measure::FailedTcp,
            UDP => Measure::FailedUdp,
            _ => Measure::FailedOther,
        };
        Measures::NONE.with(what).with(failed)
    }

    /// A first packet by its protocol.
    fn packet_measure(&self) -> Measures {
        match self.protocol {
            TCP => Measures::NONE.with(Measure::Syn),
            _ => self.carried(),
        }
    }

    /// Packets by their protocol, if there are any; those of TCP connections are no measure of a flood.
    fn carried(&self) -> Measures {
        match self.protocol {
            _ if self.packets == 0 => Measures::NONE,
            UDP => Measures::NONE.with(Measure::Udp),
            ICMP | ICMP6 => Measures::NONE.with(Measure::Icmp),
            _ => Measures::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Measure::*;

    fn measures(kind: Kind, protocol: u8) -> Vec<Measure> {
        let address = IpAddr::from([192, 0, 2, 1]);
        let it = Observation {
            kind,
            zone: 0,
            protocol,
            source: address,
            destination: address,
            source_port: 1,
            port: 2,
            packets: 1,
            bytes: 60,
        };
        it.measures().iter().collect()
    }

    #[test]
    fn each_kind_adds_to_these() {
        let policy = Kind::Denied(DenyClass::Policy);
        let table: [(Kind, u8, &[Measure]); 22] = [
            (Kind::Permitted, TCP, &[Syn, Opened]),
            (Kind::Permitted, UDP, &[Udp, Opened]),
            (Kind::Permitted, ICMP6, &[Icmp, Opened]),
            (Kind::Permitted, 47, &[Opened]),
            (policy, TCP, &[Syn, Denied, FailedTcp]),
            (policy, UDP, &[Udp, Denied, FailedUdp]),
            (policy, ICMP, &[Icmp, Denied, FailedOther]),
            (Kind::Denied(DenyClass::State), TCP, &[Denied, FailedTcp]),
            (Kind::Denied(DenyClass::Stray), TCP, &[Denied]),
            (Kind::Denied(DenyClass::Stray), ICMP6, &[Icmp, Denied]),
            (Kind::Denied(DenyClass::Limit), TCP, &[Syn, Denied]),
            (Kind::Denied(DenyClass::Resources), UDP, &[Udp, Denied]),
            (Kind::Completed, TCP, &[Completed]),
            (Kind::Unanswered, ICMP, &[Unanswered, FailedOther]),
            (Kind::HalfOpen, TCP, &[HalfOpen]),
            (Kind::Refused, TCP, &[Refused, FailedTcp]),
            (Kind::Withdrawn, TCP, &[Withdrawn, FailedTcp]),
            (Kind::Unreachable, UDP, &[Unreachable, FailedUdp]),
            (Kind::Odd(Oddity::TcpNoFlags), TCP, &[Odd, FailedTcp]),
            (Kind::Odd(Oddity::Land), TCP, &[Odd]),
            (Kind::Fragment, UDP, &[Fragment]),
            (Kind::Ended, UDP, &[Udp, Ended]),
        ];
        for (kind, protocol, expected) in table {
            assert_eq!(measures(kind, protocol), expected, "{kind:?} {protocol}");
        }
        assert_eq!(measures(Kind::Carried, TCP), []);
        let address = IpAddr::from([192, 0, 2, 1]);
        let none = Observation {
            kind: Kind::Ended,
            zone: 0,
            protocol: UDP,
            source: address,
            destination: address,
            source_port: 1,
            port: 2,
            packets: 0,
            bytes: 60,
        };
        assert_eq!(none.measures().iter().collect::<Vec<_>>(), [Ended], "answers alone");
    }

    #[test]
    fn numbers_and_names_are_their_own() {
        for (number, oddity) in (0..).zip(Oddity::ALL) {
            assert_eq!((oddity.number(), Oddity::of_number(number)), (number, Some(*oddity)));
            assert!(Oddity::ALL.iter().filter(|it| it.name() == oddity.name()).count() == 1);
            assert!(oddity.explain().ends_with('.'));
        }
        assert_eq!(Oddity::of_number(Oddity::ALL.len() as u8), None);
        assert!((0..).zip(Measure::ALL).all(|(number, it)| it as usize == number));
    }
}
