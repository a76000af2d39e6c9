//! Gateways: control channels and what they have announced.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Pinholes that are told, those that close first.
pub const PINHOLES: usize = 256;

/// What the gateways of a node have to do, all workers together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Algs {
    /// Control channels that are read now, by gateway.
    pub channels: Vec<AlgChannels>,
    /// Pinholes that stand open.
    pub pinholes: u64,
    /// [`PINHOLES`] of them at most.
    pub open: Vec<Pinhole>,
    /// Since the start.
    pub counters: AlgCounters,
}

/// Control channels of one gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlgChannels {
    /// The gateway.
    pub alg: String,
    /// How many.
    pub channels: u64,
}

/// A session that a control channel has announced, and that has not come yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinhole {
    /// The gateway.
    pub alg: String,
    /// The session that has announced it.
    pub session: String,
    /// IP protocol (IANA).
    pub protocol: u8,
    /// Who may come.
    pub source: IpAddr,
    /// To which address.
    pub destination: IpAddr,
    /// And to which port.
    pub destination_port: u16,
    /// Whom that means, if it is translated.
    pub inside: IpAddr,
    /// The port of that.
    pub inside_port: u16,
    /// Sessions that it may still let in.
    pub uses: u8,
    /// The rest of its life.
    pub remaining_milliseconds: u64,
}

/// What was counted of gateways since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlgCounters {
    /// Control channels that were read.
    pub channels: u64,
    /// Those that were not, for want of room.
    pub unread: u64,
    /// Pinholes opened.
    pub opened: u64,
    /// Sessions that came by one.
    pub used: u64,
    /// Pinholes whose time ended before anybody came.
    pub expired: u64,
    /// Announcements of another host than their sender: let in is nothing.
    pub third_party: u64,
    /// Announcements of a port below 1024.
    pub low_port: u64,
    /// Announcements for which there was no pinhole, or no port.
    pub no_room: u64,
    /// Announcements to a side of another family.
    pub families: u64,
    /// What looks like an announcement, and is none.
    pub malformed: u64,
    /// Messages that were too long to be read.
    #[serde(default)]
    pub too_long: u64,
    /// Directions of control channels that speak another protocol.
    #[serde(default)]
    pub foreign: u64,
}

impl AlgCounters {
    /// Each with its name.
    #[must_use]
    pub const fn entries(&self) -> [(&'static str, u64); 12] {
        [
            ("channels", self.channels),
            ("unread", self.unread),
            ("opened", self.opened),
            ("used", self.used),
            ("expired", self.expired),
            ("third-party", self.third_party),
            ("low-port", self.low_port),
            ("no-room", self.no_room),
            ("families", self.families),
            ("malformed", self.malformed),
            ("too-long", self.too_long),
            ("foreign", self.foreign),
        ]
    }
}
