//! Attacks: tables of anomalies, top talkers, what is blocked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Prefix;

/// Rows that are told when nobody says how many.
pub const SCREEN_ROWS: u32 = 32;

/// By whom a table goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScreenSide {
    /// Suspected attackers.
    #[default]
    Source,
    /// Sites under attack.
    Destination,
    /// Both together.
    Pair,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnomalyOrder {
    /// The most anomalies.
    #[default]
    Anomalies,
    /// The most bytes.
    Bytes,
    /// The most sessions.
    Flows,
    /// The most packets.
    Packets,
}

/// Which anomalies are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomaliesRequest {
    /// By whom.
    #[serde(default)]
    pub by: ScreenSide,
    /// What comes first.
    #[serde(default)]
    pub order: AnomalyOrder,
    /// Sources within this prefix.
    #[serde(default)]
    pub source: Option<Prefix>,
    /// Destinations within this prefix.
    #[serde(default)]
    pub destination: Option<Prefix>,
    /// Rows with fewer anomalies are left out.
    #[serde(default = "one")]
    pub threshold: u64,
    /// Most rows.
    #[serde(default = "usual_rows")]
    pub rows: u32,
}

impl Default for AnomaliesRequest {
    fn default() -> Self {
        let (by, order) = (ScreenSide::default(), AnomalyOrder::default());
        let (source, destination) = (None, None);
        Self { by, order, source, destination, threshold: one(), rows: usual_rows() }
    }
}

const fn one() -> u64 {
    1
}

const fn usual_rows() -> u32 {
    SCREEN_ROWS
}

/// What is known of attacks, on all nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Anomalies {
    /// Whether some zone has a screen; without one nothing is known.
    pub screening: bool,
    /// Attacks that go on, as this node sees them.
    pub attacks: Vec<Attack>,
    /// Rows of the table.
    pub rows: Vec<AnomalyRow>,
    /// Sources that are blocked.
    pub blocks: Vec<Block>,
    /// Attacks that were not followed, blocks and scopes that found no room.
    pub beyond_limits: [u64; 3],
}

/// An attack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    /// Its number on this node.
    pub number: u64,
    /// Its kind, as events call it.
    pub kind: String,
    /// The zone by which its packets enter.
    pub zone: String,
    /// Who sends, if that is told.
    pub source: Option<String>,
    /// Who suffers, if that is told.
    pub destination: Option<String>,
    /// What was seen last: a rate a second, or a number of different ones.
    pub seen: u64,
    /// The most of that.
    pub most: u64,
    /// From which on it is an attack.
    pub threshold: u64,
    /// What was expected, of what is unusual.
    pub expected: Option<f64>,
    /// Packets since it began.
    pub packets: u64,
    /// What is done about it.
    pub action: String,
    /// How long it has lasted.
    pub lasted_ms: u64,
}

/// A row of an anomaly table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnomalyRow {
    /// The zone by which the packets enter.
    pub zone: String,
    /// Who sends; a prefix where the zone counts by prefixes.
    pub source: Option<String>,
    /// To whom.
    pub destination: Option<String>,
    /// Packets that were refused or odd, and beginnings that came to nothing.
    pub anomalies: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Different ports at which it failed lately.
    pub ports: u64,
    /// Different hosts at which a source failed lately, or sources that came to a destination.
    pub peers: u64,
}

/// A source that is blocked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The zone by which its packets enter.
    pub zone: String,
    /// Who.
    pub source: String,
    /// For how long still.
    pub rest_ms: u64,
}

/// Forgets rows and attacks, or lets blocked sources through again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnomaliesClearRequest {
    /// Only the blocks of sources within this prefix end; without one all end, and all is forgotten.
    #[serde(default)]
    pub source: Option<Prefix>,
}

/// What the screens of a node have done since some zone had one, and what they have learned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Screening {
    /// Whether some zone has a screen; without one all else is 0.
    pub screening: bool,
    /// Kinds of attacks that there were.
    pub kinds: Vec<ScreenKind>,
    /// Sources that are blocked now.
    pub blocked: u64,
    /// Blocks that began.
    pub blocks: u64,
    /// Rates that are held down now: of sources, to destinations, into zones.
    pub curbs: u64,
    /// Destinations whose SYNs are answered in their place now, by this node's judgement or another's.
    #[serde(default)]
    pub guarded: u64,
    /// What the workers noted.
    pub noted: u64,
    /// Rows of the workers' notes that gave way to others.
    pub evicted: u64,
    /// Digests for other nodes.
    pub digests_made: u64,
    /// Digests of other nodes that were taken.
    pub digests_taken: u64,
    /// Digests of other nodes that were not.
    pub digests_refused: u64,
    /// Digests of other nodes that did not arrive.
    #[serde(default)]
    pub digests_lost: u64,
    /// Zones and destination prefixes whose traffic is modelled, of all nodes.
    pub baselines: Vec<ScreenBaseline>,
}

/// Attacks of one kind, as this node sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScreenKind {
    /// Its name, as events call it.
    pub kind: String,
    /// Those that go on.
    pub live: u64,
    /// All that began.
    pub begun: u64,
}

/// What is normal for a zone or a destination prefix, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScreenBaseline {
    /// The zone by which the packets enter.
    pub zone: String,
    /// The prefix; `None`: all of the zone.
    pub prefix: Option<String>,
    /// From 0 to 1: what of the time to learn is over. From 1 on it is judged.
    pub learned: f64,
    /// Hours of the day of which something is known.
    pub hours: u32,
    /// What is expected of each feature in a minute, now; missing where it is not known yet.
    pub expected: BTreeMap<String, f64>,
}

/// By whom talkers are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopSide {
    /// Who sends.
    #[default]
    Source,
    /// To whom.
    Destination,
    /// Both together.
    Pair,
    /// Single flows.
    Flow,
}

/// What comes first among talkers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopOrder {
    /// Bytes a second.
    #[default]
    Bandwidth,
    /// Packets a second.
    Packets,
    /// Sessions opened a second.
    Sessions,
}

/// Which talkers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopRequest {
    /// By whom.
    #[serde(default)]
    pub by: TopSide,
    /// What comes first.
    #[serde(default)]
    pub order: TopOrder,
    /// Most rows.
    #[serde(default = "usual_rows")]
    pub rows: u32,
}

impl Default for TopRequest {
    fn default() -> Self {
        Self { by: TopSide::default(), order: TopOrder::default(), rows: usual_rows() }
    }
}

/// The top talkers of all nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// Whether some zone has a screen; without one nothing is known.
    pub screening: bool,
    /// The first comes first.
    pub rows: Vec<TopRow>,
}

/// A talker, averaged over the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TopRow {
    /// The zone by which the packets enter.
    pub zone: String,
    /// Who sends.
    pub source: Option<String>,
    /// To whom.
    pub destination: Option<String>,
    /// IP protocol and both ports, of a flow.
    pub flow: Option<TopFlow>,
    /// Sessions opened a second; of a flow 0.
    pub sessions: f64,
    /// Packets a second, of those who begin.
    pub packets: f64,
    /// Bits a second, both ways.
    pub bits: f64,
}

/// What tells a flow from others between the same two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopFlow {
    /// IP protocol.
    pub protocol: u8,
    /// The initiator's port.
    pub source_port: u16,
    /// The responder's port, of ICMP the type.
    pub port: u16,
}
