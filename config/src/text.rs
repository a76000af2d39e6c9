//! The model in the words of the policy file.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::parse::icmp;
use crate::ranges::prefixes;
use crate::{AddressMatch, AddressSet, DestinationTo, Nat, Policy, Service, SourceTo};

impl fmt::Display for Service {
    /// The form of the policy file: `tcp/443`, `icmp4/echo-request`, `proto/89`. Source ports,
    /// and a timeout, which the file writes in a table, follow in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, source_ports, destination_ports, icmp, timeout } = *self;
        match protocol_name(protocol) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "proto/{protocol}")?,
        }
        if let Some(ports) = destination_ports {
            write_ports(f, "/", ports)?;
        }
        if let Some((kind, code)) = icmp {
            match icmp::name(protocol == 58, kind) {
                Some(name) => write!(f, "/{name}")?,
                None => write!(f, "/{kind}")?,
            }
            if let Some(code) = code {
                write!(f, "/{code}")?;
            }
        }
        if let Some(ports) = source_ports {
            write_ports(f, " from port ", ports)?;
        }
        match timeout {
            Some(timeout) => write!(f, " for {}s", timeout.as_secs()),
            None => Ok(()),
        }
    }
}

fn protocol_name(protocol: u8) -> Option<&'static str> {
    match protocol {
        1 => Some("icmp4"),
        6 => Some("tcp"),
        17 => Some("udp"),
        47 => Some("gre"),
        50 => Some("esp"),
        51 => Some("ah"),
        58 => Some("icmp6"),
        132 => Some("sctp"),
        _ => None,
    }
}

fn write_ports(f: &mut fmt::Formatter<'_>, before: &str, (first, last): (u16, u16)) -> fmt::Result {
    match first == last {
        true => write!(f, "{before}{first}"),
        false => write!(f, "{before}{first}-{last}"),
    }
}

impl AddressSet {
    /// Each range as an address, a prefix or `first-last`.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.v4
            .iter()
            .map(|&range| v4_text(range))
            .chain(self.v6.iter().map(|&range| v6_text(range)))
    }

    /// Each of the prefixes that make up the set exactly.
    pub(crate) fn prefix_texts(&self) -> impl Iterator<Item = String> + '_ {
        let v4 = self.v4.iter().flat_map(|&range| prefixes(range)).map(v4_text);
        v4.chain(self.v6.iter().flat_map(|&range| prefixes(range)).map(v6_text))
    }
}

fn v4_text((first, last): (u32, u32)) -> String {
    let [first_address, last_address] = [first, last].map(Ipv4Addr::from_bits);
    let one_prefix = prefixes((first, last)).nth(1).is_none();
    match (first ^ last).leading_zeros() {
        32 => first_address.to_string(),
        length if one_prefix => format!("{first_address}/{length}"),
        _ => format!("{first_address}-{last_address}"),
    }
}

fn v6_text((first, last): (u128, u128)) -> String {
    let [first_address, last_address] = [first, last].map(Ipv6Addr::from_bits);
    let one_prefix = prefixes((first, last)).nth(1).is_none();
    match (first ^ last).leading_zeros() {
        128 => first_address.to_string(),
        length if one_prefix => format!("{first_address}/{length}"),
        _ => format!("{first_address}-{last_address}"),
    }
}

impl fmt::Display for DestinationTo {
    /// An address, a prefix or `first-last`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match *self {
            Self::V4(first, last) => v4_text((first, last)),
            Self::V6(first, last) => v6_text((first, last)),
        })
    }
}

impl Nat {
    /// What a rule of it translates a source to, in the form of the policy file.
    pub fn source_to_text(&self, to: SourceTo) -> String {
        match to {
            SourceTo::Interface => "interface".to_owned(),
            SourceTo::Pool(index) => format!("pool:{}", self.pools[index].name),
            SourceTo::Untouched => "none".to_owned(),
        }
    }
}

impl Policy {
    /// What an address match says: names of sets, the literals of anonymous ones, `!` in front of
    /// each if it is negated. Any is an empty list.
    pub fn address_texts(&self, addresses: Option<&AddressMatch>) -> Vec<String> {
        let Some(AddressMatch { sets, negate }) = addresses else { return Vec::new() };
        let not = if *negate { "!" } else { "" };
        let sets = sets.iter().map(|&index| &self.sets[index]);
        let texts = sets.flat_map(|set| match &set.name {
            Some(name) => vec![format!("{not}{name}")],
            None => set.texts().map(|text| format!("{not}{text}")).collect(),
        });
        texts.collect()
    }

    /// Name of a zone; any is `None`.
    pub fn zone_name(&self, zone: Option<usize>) -> Option<&str> {
        zone.map(|index| self.zones[index].name.as_str())
    }
}
