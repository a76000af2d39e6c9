//! Own addresses that are the firewall's in part: what is sent there goes to the workers for address
//! translation, which is transit, and not to the host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aya::Ebpf;
use aya::maps::{HashMap, MapData};

use super::error::Error;
use super::inbound::{ServiceSet, ServiceWords};
use super::limits::MAX_FORWARDED;
use super::port::{AddressKey, NAT_ALL, NAT_FORWARDED, NAT_RANGE, address_key};
use super::{removed, take};

/// `struct forwarded_key` of the program.
type ForwardedKey = [u8; 24];

/// What of an address of the host's is the workers'. Said of an address that is not the host's, it changes
/// nothing: all of that is the workers'. Frames with a VLAN tag are, too.
///
/// A fragment goes where the first one of its datagram went; before that one, to the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatAddress {
    /// Routing domain of the address.
    pub domain: u16,
    pub address: IpAddr,
    /// Everything: the address stands for one inside.
    pub all: bool,
    /// The ports of TCP, UDP and SCTP that source NAT gives away, [`NAT_PORTS`](super::NAT_PORTS): but for
    /// those that the port's [`HostInbound`](super::HostInbound) lets in, which stay the host's; these
    /// identifiers of replies by ICMP; and errors about packets that went from such a port or queries with
    /// such an identifier. Echo requests are the host's; but replies to the host's own, if its identifiers
    /// lie in the range, are not: nothing tells them apart.
    pub range: bool,
    /// Services that somebody inside has, and errors about what they send. They go before the host's.
    pub forwarded: ServiceSet,
}

impl NatAddress {
    /// An address of which nothing is the workers' yet.
    pub fn new(domain: u16, address: IpAddr) -> Self {
        Self { domain, address, all: false, range: false, forwarded: ServiceSet::new() }
    }

    /// The bits of the address in the program's `addresses`.
    fn standing(&self) -> u8 {
        let forwarded = self.forwarded.protocols().next().is_some();
        [(self.all, NAT_ALL), (self.range, NAT_RANGE), (forwarded, NAT_FORWARDED)]
            .into_iter()
            .fold(0, |bits, (set, bit)| if set { bits | bit } else { bits })
    }

    fn entries(&self) -> impl Iterator<Item = (ForwardedKey, &ServiceWords)> {
        let address = address_key(self.domain, self.address);
        self.forwarded.protocols().map(move |(protocol, words)| {
            let mut key = [0; 24];
            key[..20].copy_from_slice(&address);
            key[20..].copy_from_slice(&u32::from(protocol).to_ne_bytes());
            (key, words)
        })
    }
}

/// What several [`NatAddress`] say together: of one address all that any of them says.
#[derive(Default)]
pub(super) struct NatTables {
    /// Bits of the program's `addresses`.
    pub(super) standings: BTreeMap<AddressKey, u8>,
    forwarded: BTreeMap<ForwardedKey, Box<ServiceWords>>,
}

impl NatTables {
    pub(super) fn new(wanted: &[NatAddress]) -> Result<Self, Error> {
        let mut tables = Self::default();
        for address in wanted {
            let key = address_key(address.domain, address.address);
            *tables.standings.entry(key).or_default() |= address.standing();
            for (key, words) in address.entries() {
                let all = tables.forwarded.entry(key).or_insert_with(|| Box::new([0; _]));
                all.iter_mut().zip(words).for_each(|(all, word)| *all |= word);
            }
        }
        match tables.forwarded.len() {
            entries if entries > MAX_FORWARDED => Err(Error::Forwarded { entries }),
            _ => Ok(tables),
        }
    }
}

/// The program's table of forwarded services.
pub(super) struct Forwarded {
    map: HashMap<MapData, ForwardedKey, ServiceWords>,
}

impl Forwarded {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self { map: take(ebpf, "forwarded")? })
    }

    /// Makes these the entries and no others; each changes in one step. One counts as soon as its address
    /// has the bit.
    pub(super) fn set(&mut self, wanted: &NatTables) -> Result<(), Error> {
        let failed = Error::map("forwarded");
        let present: Vec<ForwardedKey> =
            self.map.keys().collect::<Result<_, _>>().map_err(&failed)?;
        // First those that go: a full table has room for as many others.
        for key in present.iter().filter(|key| !wanted.forwarded.contains_key(*key)) {
            removed("forwarded", self.map.remove(key))?;
        }
        for (key, words) in &wanted.forwarded {
            self.map.insert(key, words.as_ref(), 0).map_err(&failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_said_of_one_address_adds_up() {
        let address: IpAddr = [192, 0, 2, 1].into();
        let mut web = NatAddress::new(3, address);
        web.forwarded.allow_numbers(6, 443, 443);
        let mut more = NatAddress { range: true, ..NatAddress::new(3, address) };
        more.forwarded.allow_numbers(6, 80, 80);
        let other = NatAddress { all: true, ..NatAddress::new(4, address) };
        let tables = NatTables::new(&[web, more, other]).unwrap();
        let standings = [(3, NAT_RANGE | NAT_FORWARDED), (4, NAT_ALL)]
            .map(|(domain, bits)| (address_key(domain, address), bits));
        assert_eq!(tables.standings, standings.into());
        assert_eq!(tables.forwarded.len(), 1);
        let words = tables.forwarded.values().next().unwrap();
        assert_eq!((words[6], words[1]), (1 << (443 % 64), 1 << (80 % 64)));
    }

    #[test]
    fn more_than_fit_are_refused_with_a_word() {
        let one = |last: u16| {
            let [high, low] = last.to_be_bytes();
            let mut address = NatAddress::new(0, [10, 9, high, low].into());
            address.forwarded.allow_numbers(17, 53, 53);
            address
        };
        let most = u16::try_from(MAX_FORWARDED).unwrap();
        assert!(NatTables::new(&(0..most).map(one).collect::<Vec<_>>()).is_ok());
        let refused = NatTables::new(&(0..=most).map(one).collect::<Vec<_>>()).err().unwrap();
        assert!(refused.to_string().contains("1025"), "{refused}");
    }
}
