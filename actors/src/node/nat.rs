//! What is in use of translation: the engines' numbers in the words of the API, those of all workers
//! added up.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use config::api;
use engine::nat::{Class, Usage};
use engine::session::{Peer, Session};
use engine::table::{Cursor, Marks, Twin};
use engine::{Engine, PortId, Reason};

/// What one worker knows.
pub(super) struct Share {
    usage: Usage,
    refused: u64,
    /// Addresses of ports, by their domains.
    own: Vec<((u16, IpAddr), PortId)>,
}

impl Share {
    pub(super) fn of(engine: &Engine) -> Self {
        let ports = engine.ports().iter().enumerate();
        let own = ports.flat_map(|(index, port)| {
            let id = PortId(index as u16);
            let addresses = engine.fib().addresses_of(id).iter();
            addresses.map(move |network| ((port.domain, network.addr()), id))
        });
        let refused = engine.counters().dropped(Reason::NatExhausted);
        Self { usage: engine.nat_usage(), refused, own: own.collect() }
    }
}

/// A session's port of a public address, and who has it.
pub(super) struct Lease {
    inside: IpAddr,
    public: (u16, IpAddr),
    /// Of a port that several sessions share.
    shared: Option<(Class, u16)>,
}

/// Ports of the sessions of a page; where the next one begins.
pub(super) fn leases(engine: &Engine, from: Cursor) -> (Vec<Lease>, Option<Cursor>) {
    let mut found = Vec::new();
    let next = engine.sessions().page(from, |handle, session| {
        let twin = engine.twin_of(handle.place());
        found.extend(twin.and_then(|twin| lease(session, twin)));
    });
    (found, next)
}

fn lease(session: &Session, twin: &Twin) -> Option<Lease> {
    let class = Class::of(twin.key.protocol())?;
    let direction = session.direction(Peer::Initiator);
    if twin.marks.has(Marks::INWARD) {
        // Opened by the mapping of its responder.
        let (address, port) = session.key.destination(direction);
        let public = (session.key.domain(), address);
        let (inside, _) = twin.ends().destination;
        return Some(Lease { inside, public, shared: Some((class, port)) });
    }
    let ((inside, _), (address, port)) = (session.key.source(direction), twin.ends().source);
    let shared = twin.marks.has(Marks::MAPPED).then_some((class, port));
    let lease = Lease { inside, public: (twin.key.domain(), address), shared };
    twin.marks.has(Marks::PORT).then_some(lease)
}

/// All workers together.
pub(super) struct Ledger {
    nat: api::Nat,
    /// Where an address stands: the pool, and its place there.
    places: HashMap<(u16, IpAddr), (usize, usize)>,
    /// Ports of inside addresses, by pool.
    users: BTreeMap<(usize, IpAddr), u64>,
    shared: HashSet<(u16, IpAddr, Class, u16)>,
}

impl Ledger {
    /// The pools and rules of a policy, of which nothing is in use.
    pub(super) fn of(policy: &config::Policy) -> Self {
        let nat = api::Nat::of(policy);
        let pools = nat.pools.iter().enumerate();
        let places = pools.flat_map(|(pool, of)| {
            let addresses = of.by_address.iter().enumerate();
            addresses.map(move |(place, it)| ((of.domain, it.address), (pool, place)))
        });
        let places = places.collect();
        Self { nat, places, users: BTreeMap::new(), shared: HashSet::new() }
    }

    /// Adds what a worker knows; `ports` are the names of ports.
    pub(super) fn add(&mut self, share: &Share, ports: &[String]) {
        let Share { usage, refused, own } = share;
        self.nat.mappings += u64::from(usage.mappings);
        self.nat.refused += refused;
        for rule in &mut self.nat.rules {
            if let Some(of) = usage.rules.iter().find(|of| of.id == rule.id) {
                rule.hits += of.hits;
                rule.sessions += u64::from(of.sessions);
            }
        }
        for of in &usage.addresses {
            let [tcp, udp, icmp, sctp] = of.taken.map(u64::from);
            let used = api::NatPorts { tcp, udp, icmp, sctp };
            let of_port = own.iter().find(|(address, _)| *address == (of.domain, of.address));
            let port = of_port.and_then(|(_, port)| ports.get(port.index()));
            let place = self.places.get(&(of.domain, of.address)).copied();
            let place = match (place, port) {
                (Some(place), _) => place,
                (None, None) if used.total() == 0 => continue,
                (None, port) => self.place(of.domain, of.address, port),
            };
            let pool = &mut self.nat.pools[place.0];
            pool.used += used;
            pool.borrowed += of.borrowed;
            pool.refused += of.refused;
            let address = &mut pool.by_address[place.1];
            address.used += used;
            address.borrowed += of.borrowed;
        }
    }

    /// A place for an address of a port, or of neither port nor pool.
    fn place(&mut self, domain: u16, address: IpAddr, port: Option<&String>) -> (usize, usize) {
        let (kind, name) = match port {
            Some(port) => (api::NatPoolKind::Interface, port.clone()),
            None => (api::NatPoolKind::Former, String::new()),
        };
        let pools = &mut self.nat.pools;
        let same = |it: &api::NatPool| it.kind == kind && it.name == name && it.domain == domain;
        let pool = pools.iter().position(same).unwrap_or_else(|| {
            pools.push(api::NatPool { kind, name: name.clone(), domain, ..Default::default() });
            pools.len() - 1
        });
        let of = &mut pools[pool];
        of.addresses.push(address.to_string());
        of.ports += api::NAT_PORTS_OF_ADDRESS;
        let used = api::NatPorts::default();
        of.by_address.push(api::NatAddress { address, used, borrowed: 0 });
        let place = (pool, of.by_address.len() - 1);
        self.places.insert((domain, address), place);
        place
    }

    /// Adds the ports of a page of sessions.
    pub(super) fn lend(&mut self, leases: Vec<Lease>) {
        for Lease { inside, public, shared } in leases {
            let Some(&(pool, _)) = self.places.get(&public) else { continue };
            let anew = shared
                .is_none_or(|(class, port)| self.shared.insert((public.0, public.1, class, port)));
            *self.users.entry((pool, inside)).or_default() += u64::from(anew);
        }
    }

    /// The answer: interfaces behind the pools, what is left of earlier policies behind those.
    pub(super) fn finish(mut self) -> api::Nat {
        for ((pool, address), ports) in self.users {
            self.nat.pools[pool].users.push(api::NatUser { address, ports });
        }
        for pool in &mut self.nat.pools {
            pool.users.sort_by_key(|user| core::cmp::Reverse(user.ports));
            pool.users.truncate(api::NAT_USERS);
        }
        self.nat.pools.sort_by_key(|pool| match pool.kind {
            api::NatPoolKind::Pool => 0,
            api::NatPoolKind::Interface => 1,
            api::NatPoolKind::Former => 2,
        });
        self.nat
    }
}

#[cfg(test)]
mod tests {
    use super::{Lease, Ledger, Share};
    use config::api::{NatPoolKind, NatPorts, NatUser};
    use engine::PortId;
    use engine::nat::{AddressUse, Class, RuleUse, Usage};
    use std::net::IpAddr;

    const POLICY: &str = r#"
        [zones]
        [[nat-pool]]
        name = "public"
        addresses = ["192.0.2.1", "192.0.2.2"]
        [[nat]]
        id = "out"
        type = "source"
        translate = "pool:public"
    "#;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn ledger() -> Ledger {
        let policy = config::parse_policy("p", POLICY, &mut |_| Err(String::new()));
        Ledger::of(&policy.expect("good").value)
    }

    fn share(addresses: &[(&str, [u32; 4], u64)]) -> Share {
        let address = |&(address, taken, borrowed): &(&str, [u32; 4], u64)| AddressUse {
            domain: 0,
            address: ip(address),
            taken,
            borrowed,
            refused: borrowed * 2,
        };
        let rule = |id: &str, hits, sessions| RuleUse { id: id.to_owned(), hits, sessions };
        let usage = Usage {
            addresses: addresses.iter().map(address).collect(),
            rules: vec![rule("gone", 9, 9), rule("out", 5, 2)],
            mappings: 3,
            ..Usage::default()
        };
        Share { usage, refused: 4, own: vec![((0, ip("198.51.100.1")), PortId(1))] }
    }

    #[test]
    fn workers_add_up_by_pool_port_and_what_is_left() {
        let ports = ["lan", "wan"].map(str::to_owned);
        let one = share(&[
            ("192.0.2.2", [1, 2, 0, 0], 1),
            ("203.0.113.9", [0, 0, 0, 0], 7),
            ("203.0.113.8", [0, 0, 0, 1], 0),
            ("198.51.100.1", [0, 0, 0, 0], 0),
        ]);
        let two = share(&[("192.0.2.2", [10, 0, 0, 0], 0), ("198.51.100.1", [0, 0, 3, 0], 2)]);
        let mut ledger = ledger();
        ledger.add(&one, &ports);
        ledger.add(&two, &ports);
        let nat = ledger.finish();
        let said: Vec<_> = nat
            .pools
            .iter()
            .map(|it| (it.kind, it.name.as_str(), it.used.total(), it.borrowed, it.refused))
            .collect();
        let expected = [
            (NatPoolKind::Pool, "public", 13, 1, 2),
            (NatPoolKind::Interface, "wan", 3, 2, 4),
            (NatPoolKind::Former, "", 1, 0, 0),
        ];
        assert_eq!(said, expected, "an address that nothing has any more is not told");
        assert_eq!(
            nat.pools.iter().map(|it| it.ports).collect::<Vec<_>>(),
            [122_880, 61_440, 61_440]
        );
        let second = &nat.pools[0].by_address[1];
        assert_eq!(second.used, NatPorts { tcp: 11, udp: 2, ..NatPorts::default() });
        assert_eq!(nat.pools[0].fullest().map(|it| it.address), Some(ip("192.0.2.2")));
        assert_eq!((nat.mappings, nat.refused), (6, 8));
        assert_eq!((nat.rules[0].hits, nat.rules[0].sessions), (10, 4));
    }

    #[test]
    fn a_mapping_is_one_port_however_many_sessions_share_it() {
        let lease = |inside: &str, shared| Lease {
            inside: ip(inside),
            public: (0, ip("192.0.2.1")),
            shared,
        };
        let mut ledger = ledger();
        let mapping = Some((Class::Udp, 2000));
        ledger.lend(vec![lease("10.0.0.1", mapping), lease("10.0.0.2", None)]);
        let other = Some((Class::Tcp, 2000));
        ledger.lend(vec![lease("10.0.0.1", mapping), lease("10.0.0.2", None)]);
        ledger.lend(vec![lease("10.0.0.2", other)]);
        let elsewhere = Lease { public: (1, ip("192.0.2.1")), ..lease("10.0.0.9", None) };
        ledger.lend(vec![elsewhere]);
        let user = |address: &str, ports| NatUser { address: ip(address), ports };
        let users = ledger.finish().pools.remove(0).users;
        assert_eq!(users, [user("10.0.0.2", 3), user("10.0.0.1", 1)]);
    }
}
