//! Where a packet leaves: longest-prefix-match routes per routing domain, the addresses of our own
//! ports, and the neighbours' link-layer addresses.
//!
//! The tables mirror the kernel's: a driver turns its notifications into [`FibChange`]s, and every
//! engine applies the same list between two bursts, so a resynchronisation (`Flush` and everything
//! again) is never seen half done by a packet.
//!
//! ```text
//! destination ── lookup(domain, destination, flow hash) ──► Hop { port, next } ── resolve ──► MAC
//! ```
//!
//! A session may remember a `Hop` and its MAC as long as [`Fib::generation`] stays the same.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::ids::PortId;
use crate::keyed::Keyed;
use crate::limits::{DOMAINS_MAX, PORT_ADDRESSES_MAX};

mod neighbours;
mod routes;
#[cfg(test)]
mod tests;

pub use neighbours::{Neighbour, NeighbourState};
pub use routes::{NextHop, NextHops, Route, RouteKind};

use neighbours::Neighbours;
use routes::Table;

/// Routes, port addresses and neighbours of one engine.
#[derive(Debug)]
pub struct Fib {
    generation: u32,
    tables: Vec<(u16, Table)>, // sorted by domain
    ports: Vec<Port>,          // by PortId
    own: HashMap<(u16, IpAddr), Own, Keyed>,
    neighbours: Neighbours,
}

impl Fib {
    /// An empty table for ports whose domains are `domains`, in `PortId` order. `seed` keys the
    /// hash maps.
    pub fn new(domains: &[u16], seed: u64) -> Self {
        let port = |&domain| Port { domain, addresses: Vec::new() };
        Self {
            generation: 1,
            tables: Vec::new(),
            ports: domains.iter().map(port).collect(),
            own: HashMap::with_hasher(Keyed::new(seed)),
            neighbours: Neighbours::new(seed),
        }
    }

    /// Version of everything a lookup or a resolution can answer; never 0, so that 0 can mean
    /// "not looked up yet". A change of a neighbour's state that leaves its MAC is no new version.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Makes everything that was remembered of lookups worthless.
    pub(crate) fn forget(&mut self) {
        self.generation = self.generation.wrapping_add(1).max(1);
    }

    /// Carries out one change.
    pub fn apply(&mut self, change: &FibChange) -> Applied {
        let applied = self.change(change);
        if applied == Applied::Changed {
            self.forget();
        }
        applied
    }

    fn change(&mut self, change: &FibChange) -> Applied {
        match change {
            FibChange::Flush => self.flush(),
            FibChange::RouteSet { domain, prefix, route } => {
                self.edit_table(*domain, |table| table.set(*prefix, route))
            }
            FibChange::RouteAppend { domain, prefix, route } => {
                self.edit_table(*domain, |table| table.append(*prefix, route))
            }
            FibChange::RouteDelete { domain, prefix, metric, hop } => {
                match find(&self.tables, *domain) {
                    Ok(at) => self.tables[at].1.delete(*prefix, *metric, hop.as_ref()),
                    Err(_) => Applied::Unchanged,
                }
            }
            FibChange::NeighbourSet { port, address, mac, state } => {
                self.neighbours.set(*port, *address, Neighbour { mac: *mac, state: *state })
            }
            FibChange::NeighbourLost { port, address } => self.neighbours.lose(*port, *address),
            FibChange::PortAddresses { port, addresses } => self.set_addresses(*port, addresses),
            FibChange::PortDown { port } => self.port_down(*port),
        }
    }

    /// The way of a packet to `destination` in `domain`. Among equal-cost next hops `flow_hash`
    /// chooses, so it must be the same for every packet of a flow.
    pub fn lookup(&self, domain: u16, destination: IpAddr, flow_hash: u32) -> Lookup {
        match self.own.get(&(domain, destination)) {
            Some(Own::Address) => return Lookup::Local,
            Some(Own::Broadcast) => return Lookup::Broadcast,
            None => {}
        }
        let Ok(at) = find(&self.tables, domain) else { return Lookup::NoRoute };
        let Some(kind) = self.tables[at].1.best(destination) else { return Lookup::NoRoute };
        match kind {
            RouteKind::Unicast(hops) => {
                let hop = hops.choose(flow_hash);
                Lookup::Hop(Hop { port: hop.port, next: hop.gateway.unwrap_or(destination) })
            }
            RouteKind::Local => Lookup::Local,
            RouteKind::Blackhole => Lookup::Blackhole,
            RouteKind::Unreachable => Lookup::Unreachable,
            RouteKind::Prohibit => Lookup::Prohibit,
        }
    }

    /// The link-layer address of `next` on `port`, or `None` when it must be asked for first.
    pub fn resolve(&self, port: PortId, next: IpAddr) -> Option<[u8; 6]> {
        self.neighbours.find(port, next).map(|neighbour| neighbour.mac)
    }

    /// What is known of `next` on `port`.
    pub fn neighbour(&self, port: PortId, next: IpAddr) -> Option<Neighbour> {
        self.neighbours.find(port, next)
    }

    /// The routing domain of a port; `None` for a port that the node does not have.
    pub fn domain_of(&self, port: PortId) -> Option<u16> {
        self.ports.get(port.index()).map(|port| port.domain)
    }

    /// The addresses of a port.
    pub fn addresses_of(&self, port: PortId) -> &[IpNet] {
        self.ports.get(port.index()).map_or(&[], |port| &port.addresses)
    }

    /// Whether `address` is one of our own in `domain`.
    pub fn is_own(&self, domain: u16, address: IpAddr) -> bool {
        self.own.get(&(domain, address)) == Some(&Own::Address)
    }

    /// Whether `address` is the directed broadcast address of a network on one of our ports: never
    /// forwarded to (RFC 2644) and never answered (RFC 1812 §4.3.2.7).
    pub fn is_broadcast(&self, domain: u16, address: IpAddr) -> bool {
        self.own.get(&(domain, address)) == Some(&Own::Broadcast)
    }

    /// The address that an ICMP error to `towards` should come from when it leaves by `port`
    /// (RFC 1812 §4.3.2.4): one of the port's own, on the network of `towards` if there is one, of
    /// the same scope if there is one, or else any of the domain (an unnumbered port).
    pub fn source_for(&self, port: PortId, towards: IpAddr) -> Option<IpAddr> {
        let here = self.ports.get(port.index())?;
        let elsewhere = self.ports.iter().filter(|other| other.domain == here.domain);
        best_source(&here.addresses, towards)
            .or_else(|| elsewhere.filter_map(|other| best_source(&other.addresses, towards)).next())
    }

    /// Number of prefixes with a route and of neighbours, for `show`.
    pub fn len(&self) -> (usize, usize) {
        (self.tables.iter().map(|(_, table)| table.len()).sum(), self.neighbours.len())
    }

    /// Whether there is neither a route nor a neighbour.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    fn flush(&mut self) -> Applied {
        let empty = self.is_empty() && self.own.is_empty();
        self.tables.clear();
        self.own.clear();
        self.ports.iter_mut().for_each(|port| port.addresses.clear());
        self.neighbours.clear();
        if empty { Applied::Unchanged } else { Applied::Changed }
    }

    fn edit_table(&mut self, domain: u16, edit: impl FnOnce(&mut Table) -> Applied) -> Applied {
        let at = match find(&self.tables, domain) {
            Ok(at) => at,
            Err(_) if self.tables.len() == DOMAINS_MAX => return Applied::Full,
            Err(at) => {
                self.tables.insert(at, (domain, Table::default()));
                at
            }
        };
        edit(&mut self.tables[at].1)
    }

    fn set_addresses(&mut self, port: PortId, addresses: &[IpNet]) -> Applied {
        if addresses.len() > PORT_ADDRESSES_MAX {
            return Applied::Full;
        }
        match self.ports.get_mut(port.index()) {
            Some(port) if port.addresses != addresses => port.addresses = addresses.to_vec(),
            Some(_) | None => return Applied::Unchanged,
        }
        self.own.clear();
        for port in &self.ports {
            for network in &port.addresses {
                if let Some(broadcast) = directed_broadcast(network) {
                    self.own.entry((port.domain, broadcast)).or_insert(Own::Broadcast);
                }
                // An address wins over a broadcast address that another port's network derives.
                self.own.insert((port.domain, network.addr()), Own::Address);
            }
        }
        Applied::Changed
    }

    fn port_down(&mut self, port: PortId) -> Applied {
        let mut changed = self.neighbours.lose_port(port);
        for (_, table) in &mut self.tables {
            changed |= table.remove_port(port);
        }
        if changed { Applied::Changed } else { Applied::Unchanged }
    }
}

/// One change of the tables, as the kernel's mirror reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FibChange {
    /// Forget all routes, neighbours and port addresses: a full dump follows in the same list.
    Flush,
    /// Add the route of this prefix and metric, or replace it.
    RouteSet {
        /// Routing domain.
        domain: u16,
        /// Destination prefix; host bits are ignored.
        prefix: IpNet,
        /// What to do with packets to it.
        route: Route,
    },
    /// Add next hops to the unicast route of this prefix and metric (`NLM_F_APPEND`); without such
    /// a route the same as `RouteSet`.
    RouteAppend {
        /// Routing domain.
        domain: u16,
        /// Destination prefix; host bits are ignored.
        prefix: IpNet,
        /// The route whose next hops are added.
        route: Route,
    },
    /// Remove the route of this prefix and metric, or only one of its next hops; a route without
    /// next hops is gone.
    RouteDelete {
        /// Routing domain.
        domain: u16,
        /// Destination prefix; host bits are ignored.
        prefix: IpNet,
        /// Metric of the route.
        metric: u32,
        /// `None`: the whole route. The weight is not compared.
        hop: Option<NextHop>,
    },
    /// A neighbour is known, or its state changed.
    NeighbourSet {
        /// Port it is reached by.
        port: PortId,
        /// Its network address.
        address: IpAddr,
        /// Its link-layer address.
        mac: [u8; 6],
        /// How sure the kernel is of it.
        state: NeighbourState,
    },
    /// A neighbour did not answer or was deleted.
    NeighbourLost {
        /// Port it was reached by.
        port: PortId,
        /// Its network address.
        address: IpAddr,
    },
    /// All addresses of a port, each with its network's prefix length; replaces the earlier list.
    PortAddresses {
        /// The port.
        port: PortId,
        /// The addresses, primary first.
        addresses: Vec<IpNet>,
    },
    /// A port went down: its neighbours and all next hops by it are gone (for IPv4 the kernel
    /// removes such routes without a notification). Its addresses stay until `PortAddresses`.
    PortDown {
        /// The port.
        port: PortId,
    },
}

/// What [`Fib::apply`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Something that a lookup can see changed; the generation is new.
    Changed,
    /// Nothing that a lookup can see changed.
    Unchanged,
    /// A limit was reached; the change was not carried out. To be counted and said.
    Full,
}

/// What [`Fib::lookup`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Forward there.
    Hop(Hop),
    /// One of our own addresses.
    Local,
    /// The directed broadcast address of a network of ours.
    Broadcast,
    /// Drop without a word (RTN_BLACKHOLE).
    Blackhole,
    /// Drop, answer host unreachable (RTN_UNREACHABLE).
    Unreachable,
    /// Drop, answer administratively prohibited (RTN_PROHIBIT).
    Prohibit,
    /// No route: drop, answer network unreachable.
    NoRoute,
}

/// A port and the address to send to on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Port the packet leaves by.
    pub port: PortId,
    /// Address whose MAC the frame is sent to: the gateway, or the destination itself.
    pub next: IpAddr,
}

#[derive(Debug)]
struct Port {
    domain: u16,
    addresses: Vec<IpNet>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Address,
    Broadcast,
}

fn find(tables: &[(u16, Table)], domain: u16) -> Result<usize, usize> {
    tables.binary_search_by_key(&domain, |(number, _)| *number)
}

/// A network of /31 or /32 has no broadcast address (RFC 3021), IPv6 has none at all.
fn directed_broadcast(network: &IpNet) -> Option<IpAddr> {
    match network {
        IpNet::V4(network) if network.prefix_len() <= 30 => Some(network.broadcast().into()),
        IpNet::V4(_) | IpNet::V6(_) => None,
    }
}

fn best_source(addresses: &[IpNet], towards: IpAddr) -> Option<IpAddr> {
    let fit = |network: &&IpNet| {
        (network.contains(&towards), link_local(network.addr()) == link_local(towards))
    };
    // `max_by_key` keeps the last of equals and the first address is the primary one: hence `rev`.
    let family = addresses.iter().filter(|network| network.addr().is_ipv4() == towards.is_ipv4());
    family.rev().max_by_key(fit).map(IpNet::addr)
}

fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
