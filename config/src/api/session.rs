//! Sessions and conversations, page by page.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::object;

/// One page of the sessions (or conversations) that pass a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    /// Which ones.
    #[serde(default, deserialize_with = "object::only")]
    pub filter: SessionFilter,
    /// Where the page before ended; `None` for the first page.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Most records of this page; the daemon may answer with fewer.
    #[serde(default = "PageRequest::default_limit")]
    pub limit: u32,
}

impl PageRequest {
    /// Records of a page if the request does not say: a screenful, and small in memory.
    pub const LIMIT_DEFAULT: u32 = 1000;

    fn default_limit() -> u32 {
        Self::LIMIT_DEFAULT
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { filter: SessionFilter::default(), cursor: None, limit: Self::LIMIT_DEFAULT }
    }
}

/// What a session must be to be shown or cleared. `None` is any; all that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionFilter {
    /// Prefix of the address that opened the session.
    pub source: Option<Prefix>,
    /// Prefix of the address it was opened to.
    pub destination: Option<Prefix>,
    /// Port (or ICMP id) of either end.
    pub port: Option<u16>,
    /// IP protocol.
    pub protocol: Option<Protocol>,
    /// Zone of either end.
    pub zone: Option<String>,
    /// Id of the rule that permitted it.
    pub rule: Option<String>,
    /// State, as [`Session::state`] spells it.
    pub state: Option<String>,
    /// Prefix of the address of either end once translated. A session that is not has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated: Option<Prefix>,
    /// Port (or ICMP id) of either end once translated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translated_port: Option<u16>,
    /// Id of a rule of translation that translates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nat_rule: Option<String>,
}

impl SessionFilter {
    /// True if every session passes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// True if `session` passes.
    pub fn matches(&self, session: &Session) -> bool {
        let within = |prefix: &Prefix, address| prefix.contains(address);
        let ports = [session.source_port, session.destination_port];
        let zones = [&session.from, &session.to];
        self.source.as_ref().is_none_or(|prefix| within(prefix, session.source))
            && self.destination.as_ref().is_none_or(|prefix| within(prefix, session.destination))
            && self.port.is_none_or(|port| ports.contains(&port))
            && self.protocol.is_none_or(|protocol| protocol == session.protocol)
            && (self.zone.is_none() || zones.contains(&&self.zone))
            && (self.rule.is_none() || self.rule == session.rule)
            && self.state.as_ref().is_none_or(|state| *state == session.state)
            && self.matches_translated(session.translated.as_ref())
    }

    fn matches_translated(&self, translated: Option<&Translated>) -> bool {
        let Self { translated: prefix, translated_port: port, nat_rule: rule, .. } = self;
        if prefix.is_none() && port.is_none() && rule.is_none() {
            return true;
        }
        translated.is_some_and(|it| {
            let ends = [(it.source, it.source_port), (it.destination, it.destination_port)];
            let rules = [&it.source_rule, &it.destination_rule];
            let fits = |&(address, own): &(IpAddr, u16)| {
                prefix.is_none_or(|prefix| prefix.contains(address))
                    && port.is_none_or(|port| port == own)
            };
            ends.iter().any(fits) && (rule.is_none() || rules.contains(&rule))
        })
    }
}

/// One session: both directions of a five-tuple.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Identity: node, boot and counter, as `1.7.4242`.
    pub id: String,
    /// Identity of the conversation it belongs to: that of its first session.
    pub conversation: String,
    /// Worker that holds it.
    pub worker: u16,
    /// Routing domain.
    pub domain: u16,
    /// IP protocol.
    pub protocol: Protocol,
    /// Address that opened it.
    pub source: IpAddr,
    /// Its port; the id for ICMP echo; 0 where there is none.
    pub source_port: u16,
    /// Address it was opened to.
    pub destination: IpAddr,
    /// Its port; the id for ICMP echo; 0 where there is none.
    pub destination_port: u16,
    /// Zone it entered by.
    pub from: Option<String>,
    /// Zone it leaves by.
    pub to: Option<String>,
    /// Port it entered by.
    pub from_port: Option<String>,
    /// Port it leaves by.
    pub to_port: Option<String>,
    /// Protocol state, kebab-case: `syn-sent`, `established`, `time-wait`, …
    pub state: String,
    /// Rule that permitted it; `None` if that rule is gone.
    pub rule: Option<String>,
    /// Epoch of the policy that judged it last; `None` of a session that came from another node under
    /// another policy, and that none has judged here.
    pub epoch: Option<u64>,
    /// The revision whose text that policy has: its own epoch, or after a rollback an earlier one. `None`
    /// where the epoch is forgotten.
    pub revision: Option<u64>,
    /// From its source to its destination.
    pub forward: Traffic,
    /// The other way.
    pub reverse: Traffic,
    /// Since it was opened.
    pub age_milliseconds: u64,
    /// Since its last packet.
    pub idle_milliseconds: u64,
    /// Until it ends if nothing comes.
    pub expires_milliseconds: u64,
    /// Why it ended, if it has.
    pub close_reason: Option<String>,
    /// What its packets look like beyond the firewall, if that is not what they look like before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub translated: Option<Translated>,
}

/// A session as its responder sees it: the ends of its first packet, once translated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translated {
    /// What stands for the address that opened it.
    pub source: IpAddr,
    /// What stands for its port; the id for ICMP echo; 0 where there is none.
    pub source_port: u16,
    /// The address that it goes to.
    pub destination: IpAddr,
    /// The port that it goes to; the id for ICMP echo; 0 where there is none.
    pub destination_port: u16,
    /// Id of the rule that translates its source; `None`: nothing does, or no rule of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_rule: Option<String>,
    /// Id of the rule that translates its destination; `None`: nothing does, or the mapping of an inside
    /// endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_rule: Option<String>,
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes of their IP datagrams.
    pub bytes: u64,
}

/// Some of the sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsPage {
    /// The records.
    pub sessions: Vec<Session>,
    /// Cursor of the next page; `None`: this was the last one.
    pub cursor: Option<String>,
    /// Sessions in the table now, whatever the filter.
    pub total: u64,
}

/// A session and its ALG children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Identity of its first session.
    pub id: String,
    /// Its sessions, oldest first.
    pub sessions: Vec<Session>,
    /// All of them together, from source to destination.
    pub forward: Traffic,
    /// All of them together, the other way.
    pub reverse: Traffic,
}

/// Some of the conversations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConversationsPage {
    /// The records.
    pub conversations: Vec<Conversation>,
    /// Cursor of the next page; `None`: this was the last one.
    pub cursor: Option<String>,
}

/// An IP protocol number. As text it is a name where there is one: `tcp`, `icmp6`, `89`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Protocol(pub u8);

impl Protocol {
    const NAMES: [(u8, &'static str); 8] = [
        (1, "icmp"),
        (6, "tcp"),
        (17, "udp"),
        (47, "gre"),
        (50, "esp"),
        (51, "ah"),
        (58, "icmp6"),
        (132, "sctp"),
    ];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&self.0.to_string()),
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::NAMES.iter().find(|(_, name)| *name == text).map(|(number, _)| *number);
        let number = named.or_else(|| text.parse().ok());
        number.map(Self).ok_or_else(|| format!("`{text}` is no protocol: tcp, udp, icmp, 89, …"))
    }
}

impl TryFrom<String> for Protocol {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> Self {
        protocol.to_string()
    }
}

/// A prefix to filter by. A bare address is a prefix of full length; host bits are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// True if `address` is of the same family and starts with the prefix.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.length) == self.address
    }

    /// First address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Length in bits.
    pub fn length(&self) -> u8 {
        self.length
    }
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & !host).into()
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(length.into()).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & !host).into()
        }
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no prefix such as 10.0.0.0/8 or 2001:db8::/32");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length: u8 = match length {
            Some(length) => length.parse().map_err(|_| bad())?,
            None => most,
        };
        if length > most {
            return Err(bad());
        }
        Ok(Self { address: masked(address, length), length })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}
