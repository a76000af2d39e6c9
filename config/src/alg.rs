//! Application-level gateways: what a rule's sessions may announce.

use core::fmt;

use serde::Serialize;

/// A protocol whose messages announce sessions to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Alg {
    /// File transfer (RFC 959, RFC 2428).
    Ftp,
    /// Trivial file transfer (RFC 1350).
    Tftp,
    /// Calls (RFC 3261), over UDP and TCP.
    Sip,
    /// Calls (ITU-T H.323): registration over UDP, signalling over TCP.
    H323,
    /// Streams of media (RFC 2326).
    Rtsp,
    /// Tunnels (RFC 2637).
    Pptp,
    /// Names (RFC 1035), over UDP: each query is answered once.
    Dns,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Ftp, Self::Tftp, Self::Sip, Self::H323, Self::Rtsp, Self::Pptp, Self::Dns];

    /// Its word in the policy file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ftp => "ftp",
            Self::Tftp => "tftp",
            Self::Sip => "sip",
            Self::H323 => "h323",
            Self::Rtsp => "rtsp",
            Self::Pptp => "pptp",
            Self::Dns => "dns",
        }
    }

    /// The ports that IANA has given it, inclusive.
    #[must_use]
    pub const fn ports(self) -> (u16, u16) {
        match self {
            Self::Ftp => (21, 21),
            Self::Tftp => (69, 69),
            Self::Sip => (5_060, 5_060),
            // Registration, and signalling of calls.
            Self::H323 => (1_719, 1_720),
            Self::Rtsp => (554, 554),
            Self::Pptp => (1_723, 1_723),
            Self::Dns => (53, 53),
        }
    }

    /// Whether control channels of it may be of this IP protocol (IANA).
    #[must_use]
    pub const fn is_over(self, protocol: u8) -> bool {
        match self {
            Self::Ftp | Self::Rtsp | Self::Pptp => protocol == TCP,
            Self::Tftp | Self::Dns => protocol == UDP,
            Self::Sip | Self::H323 => protocol == TCP || protocol == UDP,
        }
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A gateway for those sessions of a rule that go to some ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AlgUse {
    /// Which.
    pub alg: Alg,
    /// Destination ports, inclusive.
    pub ports: (u16, u16),
}

impl AlgUse {
    /// Every port: the rule's services say which.
    pub const ANY: (u16, u16) = (1, u16::MAX);

    /// At the ports that IANA has given it.
    #[must_use]
    pub const fn usual(alg: Alg) -> Self {
        Self { alg, ports: alg.ports() }
    }

    /// Whether it is for sessions of this IP protocol to this port.
    #[must_use]
    pub const fn is_for(&self, protocol: u8, port: u16) -> bool {
        self.alg.is_over(protocol) && self.ports.0 <= port && port <= self.ports.1
    }
}

impl fmt::Display for AlgUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.alg.name();
        match self.ports {
            Self::ANY => write!(f, "{name}/any"),
            _ if *self == Self::usual(self.alg) => f.write_str(name),
            (first, last) if first == last => write!(f, "{name}/{first}"),
            (first, last) => write!(f, "{name}/{first}-{last}"),
        }
    }
}
