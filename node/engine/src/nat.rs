//! Address translation: a session's packets look one way on the side that opened it, and another beyond.
//!
//! ```text
//!              first key                                  second key (the session's twin)
//!  initiator   10.0.0.5:1234 → 203.0.113.7:80             198.51.100.1:2051 → 203.0.113.7:80
//!  ──────────► looked up as it comes ────► translated ────────────────────────────────────► responder
//!  ◄────────── translated ◄──── looked up as it comes, by the second key ◄──────────────────
//! ```
//!
//! Every kind is these two keys: one more source, one more destination, both, other prefixes, another
//! family. So lookup, tracker, replication and fragments know of one thing only, the
//! [twin](crate::table::Twin).
//!
//! - `compiled.rs`: the rules as they are asked, which `making.rs` puts together. `choose.rs`: what a
//!   first packet becomes; part of the judge, so it changes nothing. `act.rs`: carries that out, and
//!   what a session's end gives back. `simply.rs`: the short way of what nearly all first packets become.
//! - `ports.rs`: a public address's ports by slots. `mappings.rs`: endpoint-independent mappings.
//! - `placing.rs`: which slot a packet belongs to when it is not yet, or no more, as the inside sees it.
//!
//! **Order.** Destination, route, source; the policy is asked with the source as it came and the destination
//! as it leaves. A session's translation is its own: commits do not change it.

mod act;
mod choose;
mod compiled;
mod fixed_map;
mod making;
mod mappings;
mod names;
mod placing;
mod ports;
mod reserve;
mod rewriting;
mod simply;
#[cfg(test)]
pub(crate) mod tests;
mod usage;

use std::collections::HashMap;
use std::net::IpAddr;

pub(crate) use self::act::Binding;
pub(crate) use self::choose::{First, KnownAs, Toward};
use self::compiled::Pool;
pub use self::compiled::PublicUse;
pub(crate) use self::compiled::Translations;
pub(crate) use self::fixed_map::FixedMap;
use self::mappings::Mappings;
use self::names::Names;
pub use self::names::{NatRule, word_of};
pub(crate) use self::placing::protocol_in;
use self::ports::Runs;
pub use self::ports::{Class, Half};
use self::reserve::Reservations;
use self::rewriting::Rewriting;
pub(crate) use self::rewriting::Turn;
pub(crate) use self::simply::Simple;
pub use self::usage::{AddressUse, RuleUse, Usage};
use wire::Protocol;

use crate::fib::Fib;
use crate::keyed::Keyed;
use crate::limits::{NAT_ADDRESSES_MAX, NAT_MAPPINGS_MAX, NAT_QUERY_LIFE, NAT_UDP_LIFE};
use crate::policy::Policy;
use crate::{Mode, Port, PortId};

/// Where a public address is kept.
pub(crate) type Place = u16;

/// What an engine keeps for translation.
#[derive(Debug)]
pub(crate) struct Nat {
    seed: u64,
    /// Public addresses that have ports to give, or had.
    book: HashMap<(u16, IpAddr), u16, Keyed>,
    /// What may be in the book: most addresses that packets go to are ruled out by one bit.
    sieve: Sieve,
    addresses: Vec<Public>,
    mappings: Option<Mappings>,
    /// Of sessions that gateways have announced.
    reserved: Reservations,
    pub(crate) names: Names,
    /// The addresses that ports share with those of other nodes: what interfaces are translated to.
    shared: Box<[(PortId, IpAddr)]>,
    /// UDP ports that the node itself needs on its own addresses.
    host_udp: Box<[u16]>,
    /// The engine's numbers of the rules of the policy in force, in its order.
    numbers: Box<[NatRule]>,
    /// The places of the addresses of its pools: IPv4, IPv6.
    pools: Box<[[Box<[u16]>; 2]]>,
    pub(crate) half: Half,
    /// The half that is this node's alone when it cannot hear its peer.
    pub(crate) own: Half,
    pub(crate) counters: Counted,
    /// Where frames of another family are written; nothing until there is one.
    pub(crate) space: Box<[u8]>,
    /// That of the last packet that became IPv4.
    pub(crate) identification: u16,
}

/// One public address.
#[derive(Debug)]
struct Public {
    domain: u16,
    address: IpAddr,
    /// By [`Class`].
    runs: [Runs; Class::ALL.len()],
    borrowed: u64,
    /// First packets that found no port of it.
    refused: u64,
}

/// What was counted of translation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Ports given of another slot's run.
    pub borrowed: u64,
    /// Records whose second key another session had.
    pub twice: u64,
}

impl Nat {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            book: HashMap::with_hasher(Keyed::new(seed)),
            sieve: Sieve::default(),
            addresses: Vec::new(),
            mappings: None,
            reserved: Reservations::default(),
            names: Names::default(),
            shared: Box::default(),
            host_udp: Box::default(),
            numbers: Box::default(),
            pools: Box::default(),
            half: Half::Both,
            own: Half::Both,
            counters: Counted::default(),
            space: Box::default(),
            identification: seed as u16,
        }
    }

    /// Whether any address has ports to give, or had.
    #[inline]
    pub(crate) const fn is_idle(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Takes what a policy needs: not on the packet path.
    pub(crate) fn prepare(&mut self, policy: &Policy, fib: &Fib, ports: &[Port], sessions: usize) {
        let rules = policy.translations();
        self.numbers = rules.rules.iter().map(|id| self.names.number(id)).collect();
        for pool in &rules.pools {
            for address in pool.addresses() {
                self.add(pool.domain, address);
            }
        }
        if rules.masquerades {
            self.add_own(fib, ports);
        }
        let places = |pool: &Pool, v4: bool| {
            let of = pool.addresses().filter(|address| address.is_ipv4() == v4);
            of.filter_map(|address| self.place(pool.domain, address)).collect()
        };
        let pools = rules.pools.iter().map(|pool| [true, false].map(|v4| places(pool, v4)));
        self.pools = pools.collect();
        let own = |public: &Public| {
            let shared = self.shared.iter().any(|(_, address)| *address == public.address);
            shared || fib.is_own(public.domain, public.address)
        };
        for public in &mut self.addresses {
            let is_own = own(public);
            for (class, protocol) in Class::ALL.into_iter().zip(Class::PROTOCOLS) {
                let needed = self.host_udp.iter().map(|&port| (Protocol::UDP.0, port, port));
                let host = rules.host().chain(needed).filter(|_| is_own);
                let kept = rules.served(public.address).chain(host);
                let ports = kept.filter(|it| Some(it.0) == protocol).map(|it| (it.1, it.2));
                public.runs[class as usize].keep(ports);
            }
        }
        if rules.has_mappings() && self.mappings.is_none() {
            let most = sessions.min(NAT_MAPPINGS_MAX as usize) as u32;
            self.mappings = Some(Mappings::new(most, self.seed));
        }
    }

    /// The address of a port that moves with the ownership, of the family of `like`.
    fn shared_by(&self, port: PortId, like: IpAddr) -> Option<IpAddr> {
        let of = self.shared.iter().filter(|(of, _)| *of == port);
        of.map(|(_, address)| *address).find(|address| address.is_ipv4() == like.is_ipv4())
    }

    /// The addresses of routed ports, and those that they share, though they may be elsewhere now.
    fn add_own(&mut self, fib: &Fib, ports: &[Port]) {
        for (port, address) in self.shared.clone() {
            let domain = fib.domain_of(port).unwrap_or_default();
            self.add(domain, address);
        }
        for (at, port) in ports.iter().enumerate().filter(|(_, port)| port.mode == Mode::Routed) {
            for network in fib.addresses_of(PortId(at as u16)) {
                if !is_link_local(network.addr()) {
                    self.add(port.domain, network.addr());
                }
            }
        }
    }

    fn add(&mut self, domain: u16, address: IpAddr) {
        if self.book.contains_key(&(domain, address)) || self.addresses.len() == NAT_ADDRESSES_MAX {
            return;
        }
        self.sieve.add(address);
        self.book.insert((domain, address), self.addresses.len() as u16);
        let runs = Class::ALL.map(|_| Runs::new());
        self.addresses.push(Public { domain, address, runs, borrowed: 0, refused: 0 });
    }

    /// The place of a public address.
    #[inline]
    fn place(&self, domain: u16, address: IpAddr) -> Option<u16> {
        if self.sieve.may_have(address) { self.place_in_book(domain, address) } else { None }
    }

    /// Whether an address may be a public one.
    #[inline]
    pub(crate) const fn may_be_public(&self, address: IpAddr) -> bool {
        self.sieve.may_have(address)
    }

    #[inline(never)]
    fn place_in_book(&self, domain: u16, address: IpAddr) -> Option<u16> {
        self.book.get(&(domain, address)).copied()
    }

    fn address(&self, place: u16) -> Option<IpAddr> {
        self.addresses.get(usize::from(place)).map(|public| public.address)
    }

    fn runs(&self, place: u16, class: Class) -> Option<&Runs> {
        self.addresses.get(usize::from(place)).map(|public| &public.runs[class as usize])
    }

    fn runs_mut(&mut self, place: u16, class: Class) -> Option<&mut Runs> {
        self.addresses.get_mut(usize::from(place)).map(|public| &mut public.runs[class as usize])
    }

    /// The engine's number of a rule of the policy in force.
    fn number(&self, rule: u16) -> NatRule {
        self.numbers.get(usize::from(rule)).copied().unwrap_or(NatRule::NONE)
    }
}

/// A set of addresses that takes some for its own that are not.
#[derive(Debug, Default)]
struct Sieve([u64; 8]);

impl Sieve {
    fn add(&mut self, address: IpAddr) {
        let (word, bit) = Self::spot(address);
        self.0[word] |= bit;
    }

    #[inline]
    const fn may_have(&self, address: IpAddr) -> bool {
        let (word, bit) = Self::spot(address);
        self.0[word] & bit != 0
    }

    /// Multiplicative hashing by the golden ratio (Knuth, volume 3, §6.4). Who makes addresses that are not
    /// ruled out has them looked up, as all would be.
    #[inline]
    const fn spot(address: IpAddr) -> (usize, u64) {
        let word = match address {
            IpAddr::V4(address) => address.to_bits(),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                (bits ^ bits >> 32 ^ bits >> 64 ^ bits >> 96) as u32
            }
        };
        let hash = word.wrapping_mul(0x9e37_79b9);
        ((hash >> 29) as usize, 1 << (hash >> 23 & 63))
    }
}

/// A number that all nodes agree on, from an address alone: two folded multiplications. It shares a load;
/// who guesses it gains a public address that it may have anyway.
fn spread(secret: [u64; 2], address: IpAddr) -> u32 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let low = fold(bits as u64 ^ secret[0], secret[1] | 1);
    fold(low ^ (bits >> 64) as u64, secret[0] | 1) as u32
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The timeouts of a policy, none shorter than what mappings must live (RFC 4787 §4.3: two minutes; RFC 5508
/// §3.2: one for queries), where it has endpoint-independent ones: a mapping lives by its sessions.
pub(crate) fn timeouts(policy: &config::Policy) -> config::Timeouts {
    let independent = policy.nat.rules.iter().any(|rule| match &rule.kind {
        config::NatKind::Source(nat) => nat.mapping.endpoint_independent,
        config::NatKind::Nat64(nat) => nat.mapping.endpoint_independent,
        config::NatKind::Destination(_)
        | config::NatKind::Static(_)
        | config::NatKind::Prefix(_) => false,
    });
    let given = policy.timeouts;
    if !independent {
        return given;
    }
    config::Timeouts {
        udp_first: given.udp_first.max(NAT_UDP_LIFE),
        udp_stream: given.udp_stream.max(NAT_UDP_LIFE),
        icmp: given.icmp.max(NAT_QUERY_LIFE),
        ..given
    }
}
