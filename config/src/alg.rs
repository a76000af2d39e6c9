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
    /// Calls (RFC 3261), over UDP.
    Sip,
}

impl Alg {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ftp, Self::Tftp, Self::Sip];

    /// Its word in the policy file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ftp => "ftp",
            Self::Tftp => "tftp",
            Self::Sip => "sip",
        }
    }

    /// The port that IANA has given it.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Ftp => 21,
            Self::Tftp => 69,
            Self::Sip => 5_060,
        }
    }

    /// The IP protocol (IANA) that its control channel is of.
    #[must_use]
    pub const fn protocol(self) -> u8 {
        match self {
            Self::Ftp => 6,
            Self::Tftp | Self::Sip => 17,
        }
    }
}

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

    /// At the port that IANA has given it.
    #[must_use]
    pub const fn usual(alg: Alg) -> Self {
        Self { alg, ports: (alg.port(), alg.port()) }
    }

    /// Whether it is for sessions of this IP protocol to this port.
    #[must_use]
    pub const fn is_for(&self, protocol: u8, port: u16) -> bool {
        self.alg.protocol() == protocol && self.ports.0 <= port && port <= self.ports.1
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
