//! The policy as the engine compiles it: names resolved, groups flattened, addresses merged.

use core::net::IpAddr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AlgUse, Nat, Screen};

/// Everything one policy file says. Indices (`usize`) point into `zones` and `sets`.
///
/// Equal policies serialize to equal bytes: that is what a digest is taken over. Source lines are
/// not part of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Policy {
    /// Zones, in the order of the file.
    pub zones: Vec<Zone>,
    /// Named address sets in the order of the file, then the anonymous ones of rules.
    pub sets: Vec<AddressSet>,
    /// Rules, first match wins. No match is a deny with reason `no-rule`.
    pub rules: Vec<Rule>,
    /// What may reach the node itself.
    pub host_inbound: Vec<HostInbound>,
    /// Idle times per protocol state.
    pub timeouts: Timeouts,
    /// Packet checks that can be switched.
    pub integrity: Integrity,
    /// Attack detectors of zones, in the order of the file. Without any the bytes are those of a policy of an
    /// earlier version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub screens: Vec<Screen>,
    /// Address translation; the same of a policy without any.
    #[serde(skip_serializing_if = "Nat::is_empty")]
    pub nat: Nat,
}

impl Policy {
    /// Index of the zone named `name`.
    pub fn zone(&self, name: &str) -> Option<usize> {
        self.zones.iter().position(|zone| zone.name == name)
    }

    /// Index of the zone that `port` belongs to.
    pub fn zone_of_port(&self, port: &str) -> Option<usize> {
        self.zones.iter().position(|zone| zone.ports.iter().any(|name| name == port))
    }

    /// The screen of the zone with this index.
    pub fn screen(&self, zone: usize) -> Option<&Screen> {
        self.screens.iter().find(|screen| screen.zone == zone)
    }

    /// The rule whose stable id is `id`.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

/// A set of ports: the unit of policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// Name, unique in the policy.
    pub name: String,
    /// Port names of the node file. A port is in one zone at most.
    pub ports: Vec<String>,
    /// Sessions that hosts of this zone may have opened at once, in the whole node.
    pub sessions_max: Option<u32>,
}

/// Addresses as inclusive ranges: sorted, disjoint, not adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AddressSet {
    /// Name in `[addresses]`; `None` for the literals of one rule.
    pub name: Option<String>,
    /// IPv4 ranges, first and last address as numbers.
    pub v4: Vec<(u32, u32)>,
    /// IPv6 ranges, first and last address as numbers.
    pub v6: Vec<(u128, u128)>,
}

impl AddressSet {
    /// True if the set holds `address`. An IPv4-mapped IPv6 address is an IPv6 address here.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }

    /// True if the set holds no address at all.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|range| range.0 <= address);
    after > 0 && address <= ranges[after - 1].1
}

/// One rule, as written, with its names resolved. `None` in a match field means any.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Stable id: counters and sessions refer to it across reordering and commits.
    pub id: String,
    /// The operator's own words, shown beside the rule.
    pub description: Option<String>,
    /// Index of the zone the packet enters by.
    pub from: Option<usize>,
    /// Index of the zone the packet leaves by.
    pub to: Option<usize>,
    /// Source addresses.
    pub source: Option<AddressMatch>,
    /// Destination addresses.
    pub destination: Option<AddressMatch>,
    /// Services, groups flattened; one of them must match.
    pub services: Option<Vec<Service>>,
    /// What happens to the first packet of a session.
    pub action: Action,
    /// Log when a session opens, or, under deny and reject, when a packet is refused.
    pub log_open: bool,
    /// Log when a session closes.
    pub log_close: bool,
    /// What a policy change does to this rule's live sessions.
    pub on_change: OnChange,
    /// Whether the first packet waits for the backup.
    pub replication: Replication,
    /// What its sessions are granted.
    pub terms: Terms,
    /// Gateways for its sessions, in the order of [`Alg`](crate::Alg).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algs: Vec<AlgUse>,
    /// Line of the rule in its file, from 1. For messages only, so not serialized.
    #[serde(skip)]
    pub line: usize,
}

impl Rule {
    /// What is logged, in the words of the policy file.
    pub fn log_names(&self) -> Vec<&'static str> {
        let events = [("open", self.log_open), ("close", self.log_close)];
        events.into_iter().filter(|(_, logged)| *logged).map(|(name, _)| name).collect()
    }

    /// Its gateways, as the policy file says them.
    pub fn alg_names(&self) -> Vec<String> {
        self.algs.iter().map(ToString::to_string).collect()
    }
}

/// What a rule grants its sessions beyond their opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// Idle life once open, in the place of `tcp-established`, `udp-stream` and `generic`. `None`:
    /// that of the service, or of `[timeouts]`.
    pub timeout: Option<Duration>,
    /// Sessions that the rule may have at once, in the whole node.
    pub sessions_max: Option<u32>,
    /// Whether a TCP connection whose SYN was not seen may become a session.
    pub pick_up: bool,
}

/// Addresses of a rule: within (or, negated, in none of) the union of `sets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressMatch {
    /// Indices into [`Policy::sets`], at least one.
    pub sets: Vec<usize>,
    /// True: the address must be in none of the sets.
    pub negate: bool,
}

impl AddressMatch {
    /// True if `address` satisfies this match, `sets` being those of the same policy.
    pub fn matches(&self, sets: &[AddressSet], address: IpAddr) -> bool {
        let within = self.sets.iter().any(|&index| sets[index].contains(address));
        within != self.negate
    }
}

/// One protocol with what narrows it. Ranges are inclusive; `None` means any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Service {
    /// IP protocol number (IANA): 1 and 58 are ICMP and ICMPv6.
    pub protocol: u8,
    /// Source ports of TCP, UDP and SCTP.
    pub source_ports: Option<(u16, u16)>,
    /// Destination ports of TCP, UDP and SCTP.
    pub destination_ports: Option<(u16, u16)>,
    /// ICMP or ICMPv6 type, and its code if only that one is meant.
    pub icmp: Option<(u8, Option<u8>)>,
    /// Idle life of its sessions, unless their rule has one: see [`Terms::timeout`].
    pub timeout: Option<Duration>,
}

impl Service {
    /// Every packet of IP protocol `protocol`.
    pub const fn of_protocol(protocol: u8) -> Self {
        Self { protocol, source_ports: None, destination_ports: None, icmp: None, timeout: None }
    }

    /// True if it is about TCP.
    pub const fn is_tcp(&self) -> bool {
        self.protocol == TCP
    }

    /// True if all that `other` matches is matched by `self` too, whatever their timeouts.
    pub fn covers(&self, other: &Self) -> bool {
        self.protocol == other.protocol
            && ports_cover(self.source_ports, other.source_ports)
            && ports_cover(self.destination_ports, other.destination_ports)
            && icmp_covers(self.icmp, other.icmp)
    }
}

/// IANA's protocol number.
const TCP: u8 = 6;

fn ports_cover(wide: Option<(u16, u16)>, narrow: Option<(u16, u16)>) -> bool {
    let (first, last) = wide.unwrap_or((0, u16::MAX));
    let (narrow_first, narrow_last) = narrow.unwrap_or((0, u16::MAX));
    first <= narrow_first && narrow_last <= last
}

fn icmp_covers(wide: Option<(u8, Option<u8>)>, narrow: Option<(u8, Option<u8>)>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some((kind, code)), Some((narrow_kind, narrow_code))) => {
            kind == narrow_kind && (code.is_none() || code == narrow_code)
        }
    }
}

/// What a rule does with the first packet of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Open a session and forward.
    Permit,
    /// Drop silently.
    Deny,
    /// Drop and answer: a TCP RST or an ICMP unreachable, rate-limited.
    Reject,
}

impl Action {
    /// The word of the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Reject => "reject",
        }
    }
}

/// What a policy change does to a live session of the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnChange {
    /// The session lives on, whatever the new policy says.
    Keep,
    /// It is matched again, by its next packet or within a second.
    #[default]
    Rematch,
    /// It is closed, by its next packet or within a second.
    Kill,
}

impl OnChange {
    /// The word of the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Rematch => "rematch",
            Self::Kill => "kill",
        }
    }
}

/// Whether a packet that creates state waits until the backup has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replication {
    /// Held until the backup acknowledged, within a bound.
    #[default]
    Sync,
    /// Forwarded at once.
    Async,
}

impl Replication {
    /// The word of the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}

/// What may reach the node itself by the ports of a zone. What is not listed is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostInbound {
    /// Index of the zone.
    pub zone: usize,
    /// Services, groups flattened; `None` means any.
    pub services: Option<Vec<Service>>,
}

/// Idle times after which a session ends. Defaults are those of Linux conntrack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// A SYN was seen.
    pub tcp_syn_sent: Duration,
    /// A SYN-ACK was seen.
    pub tcp_syn_received: Duration,
    /// The handshake is complete.
    pub tcp_established: Duration,
    /// One side has sent its FIN.
    pub tcp_fin_wait: Duration,
    /// That FIN was acknowledged.
    pub tcp_close_wait: Duration,
    /// Both sides have sent their FIN.
    pub tcp_last_ack: Duration,
    /// Both FINs were acknowledged.
    pub tcp_time_wait: Duration,
    /// A valid RST was seen.
    pub tcp_close: Duration,
    /// Data was sent and is not acknowledged.
    pub tcp_unacknowledged: Duration,
    /// UDP in one direction only.
    pub udp_first: Duration,
    /// UDP in both directions.
    pub udp_stream: Duration,
    /// ICMP and ICMPv6 echo.
    pub icmp: Duration,
    /// Every other protocol.
    pub generic: Duration,
    /// An incomplete datagram (RFC 8200 §4.5 says 60 s, Linux uses 30 s for IPv4).
    pub fragment: Duration,
}

impl Timeouts {
    /// Each timeout by its key in the policy file.
    pub fn entries(&self) -> [(&'static str, Duration); 14] {
        [
            ("tcp-syn-sent", self.tcp_syn_sent),
            ("tcp-syn-received", self.tcp_syn_received),
            ("tcp-established", self.tcp_established),
            ("tcp-fin-wait", self.tcp_fin_wait),
            ("tcp-close-wait", self.tcp_close_wait),
            ("tcp-last-ack", self.tcp_last_ack),
            ("tcp-time-wait", self.tcp_time_wait),
            ("tcp-close", self.tcp_close),
            ("tcp-unacknowledged", self.tcp_unacknowledged),
            ("udp-first", self.udp_first),
            ("udp-stream", self.udp_stream),
            ("icmp", self.icmp),
            ("generic", self.generic),
            ("fragment", self.fragment),
        ]
    }

    /// All of them times `part / whole`.
    #[must_use]
    pub fn scaled(&self, part: u32, whole: u32) -> Self {
        let scale = |time: Duration| time * part / whole;
        Self {
            tcp_syn_sent: scale(self.tcp_syn_sent),
            tcp_syn_received: scale(self.tcp_syn_received),
            tcp_established: scale(self.tcp_established),
            tcp_fin_wait: scale(self.tcp_fin_wait),
            tcp_close_wait: scale(self.tcp_close_wait),
            tcp_last_ack: scale(self.tcp_last_ack),
            tcp_time_wait: scale(self.tcp_time_wait),
            tcp_close: scale(self.tcp_close),
            tcp_unacknowledged: scale(self.tcp_unacknowledged),
            udp_first: scale(self.udp_first),
            udp_stream: scale(self.udp_stream),
            icmp: scale(self.icmp),
            generic: scale(self.generic),
            fragment: scale(self.fragment),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            tcp_syn_sent: Duration::from_secs(120),
            tcp_syn_received: Duration::from_secs(60),
            tcp_established: Duration::from_secs(432_000),
            tcp_fin_wait: Duration::from_secs(120),
            tcp_close_wait: Duration::from_secs(60),
            tcp_last_ack: Duration::from_secs(30),
            tcp_time_wait: Duration::from_secs(120),
            tcp_close: Duration::from_secs(10),
            tcp_unacknowledged: Duration::from_secs(300),
            udp_first: Duration::from_secs(30),
            udp_stream: Duration::from_secs(120),
            icmp: Duration::from_secs(30),
            generic: Duration::from_secs(600),
            fragment: Duration::from_secs(30),
        }
    }
}

/// Packet checks that can be switched off where a network needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Sequence and acknowledgment numbers against the window.
    pub tcp_window: WindowCheck,
}

/// Whether TCP segments are checked against the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowCheck {
    /// Out-of-window segments are dropped.
    #[default]
    Check,
    /// Only flags are checked.
    Off,
}

impl WindowCheck {
    /// The word of the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Off => "off",
        }
    }
}
