//! The mirror's state: which interface is which port, and the addresses of the host. Routes and
//! neighbours are passed on and not kept.

use std::collections::HashMap;
use std::net::IpAddr;

use engine::PortId;
use engine::fib::FibChange;
use ipnet::IpNet;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::translate::{self, Address, How, Interfaces, attribute};
use super::{LinkState, MirrorPort, Update};

#[cfg(test)]
mod tests;

/// What is known of ports and addresses, and the updates that were not fetched yet.
#[derive(Debug)]
pub(super) struct View {
    ports: Vec<Port>,
    interfaces: Interfaces,
    loopback: Option<u32>,
    addresses: HashMap<u32, Vec<Address>>, // of ports and loopback, by index
    host_addresses: Vec<(u16, IpAddr)>,    // as last reported
    updates: Vec<Update>,
    stale: bool,
}

#[derive(Debug)]
struct Port {
    is: MirrorPort,
    admin_up: bool,
    link: LinkState,
    readdressed: bool,
}

impl View {
    /// Of ports that all are without an interface.
    pub(super) fn new(ports: &[MirrorPort]) -> Self {
        let mut domains: Vec<u16> = ports.iter().map(|port| port.domain).collect();
        domains.sort_unstable();
        domains.dedup();
        let port = |is: &MirrorPort| Port {
            is: is.clone(),
            admin_up: false,
            link: absent(is.id),
            readdressed: false,
        };
        Self {
            ports: ports.iter().map(port).collect(),
            interfaces: Interfaces { ports: HashMap::new(), domains },
            loopback: None,
            addresses: HashMap::new(),
            host_addresses: Vec::new(),
            updates: Vec::new(),
            stale: false,
        }
    }

    /// Follows one notification.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is not subscribed to")]
    pub(super) fn notified(&mut self, message: &RouteNetlinkMessage, flags: u16) {
        let interfaces = &self.interfaces;
        let mut changes = Vec::new();
        match message {
            RouteNetlinkMessage::NewLink(link) => self.link(link),
            RouteNetlinkMessage::DelLink(link) => self.link_gone(link),
            RouteNetlinkMessage::NewAddress(address) => {
                translate::address(address).into_iter().for_each(|new| self.address(new));
            }
            RouteNetlinkMessage::DelAddress(address) => {
                translate::address(address).into_iter().for_each(|old| self.address_gone(&old));
            }
            RouteNetlinkMessage::NewRoute(route) => {
                translate::route(route, How::of_new(flags), interfaces, &mut changes);
            }
            RouteNetlinkMessage::DelRoute(route) => {
                translate::route(route, How::Delete, interfaces, &mut changes);
            }
            RouteNetlinkMessage::NewNeighbour(neighbour) => {
                changes.extend(translate::neighbour(neighbour, false, interfaces));
            }
            RouteNetlinkMessage::DelNeighbour(neighbour) => {
                changes.extend(translate::neighbour(neighbour, true, interfaces));
            }
            _ => {}
        }
        changes.into_iter().for_each(|change| self.push(change));
    }

    /// The updates since the last call, in order.
    pub(super) fn take_updates(&mut self) -> Vec<Update> {
        for at in 0..self.ports.len() {
            if std::mem::take(&mut self.ports[at].readdressed) {
                let change = self.port_addresses(at);
                self.push(change);
            }
        }
        let host_addresses = self.list_host_addresses();
        if host_addresses != self.host_addresses {
            self.host_addresses.clone_from(&host_addresses);
            self.updates.push(Update::HostAddresses(host_addresses));
        }
        std::mem::take(&mut self.updates)
    }

    /// Whether the kernel may have changed something without a notification, or something was
    /// there before its interface became a port's. Asking resets it.
    pub(super) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.stale)
    }

    /// The address of every port and the report of everything, to be followed by `rest`.
    pub(super) fn resync(&mut self, rest: Vec<FibChange>) -> Update {
        let mut changes = Vec::with_capacity(rest.len() + self.ports.len() + 1);
        changes.push(FibChange::Flush);
        changes.extend((0..self.ports.len()).map(|at| self.port_addresses(at)));
        changes.extend(rest);
        self.ports.iter_mut().for_each(|port| port.readdressed = false);
        self.updates.clear();
        self.stale = false;
        self.host_addresses = self.list_host_addresses();
        let host_addresses = self.host_addresses.clone();
        Update::Resync { changes, links: self.links().cloned().collect(), host_addresses }
    }

    /// The interface of every port, in the order of the configuration.
    pub(super) fn links(&self) -> impl Iterator<Item = &LinkState> {
        self.ports.iter().map(|port| &port.link)
    }

    pub(super) fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// The index of a port's interface, if there is one.
    pub(super) fn interface_of(&self, port: PortId) -> Option<u32> {
        self.ports.iter().find(|other| other.is.id == port)?.link.ifindex
    }

    fn link(&mut self, message: &LinkMessage) {
        // A bridge reports its ports under its own family.
        if message.header.interface_family != AddressFamily::Unspec {
            return;
        }
        let index = message.header.index;
        if message.header.flags.contains(LinkFlags::Loopback) {
            self.loopback = Some(index);
        }
        let Some(name) = name(message) else { return };
        let renamed = |port: &Port| port.link.ifindex == Some(index) && port.is.interface != name;
        if let Some(at) = self.ports.iter().position(renamed) {
            self.lose(at);
        }
        let Some(at) = self.ports.iter().position(|port| port.is.interface == name) else { return };
        if self.ports[at].link.ifindex.is_some_and(|old| old != index) {
            self.lose(at);
        }
        self.follow(at, message);
    }

    fn follow(&mut self, at: usize, message: &LinkMessage) {
        let port = &mut self.ports[at];
        let after = state_of(message, &port.link);
        let before = std::mem::replace(&mut port.link, after.clone());
        let was_admin_up = port.admin_up;
        port.admin_up = message.header.flags.contains(LinkFlags::Up);
        let (id, admin_up) = (port.is.id, port.admin_up);
        self.interfaces.ports.insert(message.header.index, (id, port.is.domain));
        if was_admin_up && !admin_up {
            self.push(FibChange::PortDown { port: id });
        }
        // What it had under another name is not told again; of IPv4 routes the kernel does not tell
        // that a next hop lives again with its interface.
        self.stale |= before.ifindex.is_none() || before.up != after.up || was_admin_up != admin_up;
        if before != after {
            self.updates.push(Update::Link(after));
        }
    }

    fn link_gone(&mut self, message: &LinkMessage) {
        if message.header.interface_family != AddressFamily::Unspec {
            return;
        }
        let index = Some(message.header.index);
        if let Some(at) = self.ports.iter().position(|port| port.link.ifindex == index) {
            self.lose(at);
        }
    }

    /// The port is without an interface.
    fn lose(&mut self, at: usize) {
        let port = &mut self.ports[at];
        let lost = std::mem::replace(&mut port.link, absent(port.is.id));
        port.admin_up = false;
        port.readdressed = true;
        if let Some(index) = lost.ifindex {
            self.interfaces.ports.remove(&index);
            self.addresses.remove(&index);
        }
        self.push(FibChange::PortDown { port: lost.port });
        self.updates.push(Update::Link(absent(lost.port)));
    }

    fn address(&mut self, new: Address) {
        if !self.is_followed(new.interface) {
            return;
        }
        let list = self.addresses.entry(new.interface).or_default();
        match list.iter_mut().find(|old| old.network == new.network) {
            Some(old) => *old = new,
            None => list.push(new),
        }
        list.sort_by_key(|address| address.secondary); // stable
        self.readdressed(new.interface);
    }

    fn address_gone(&mut self, old: &Address) {
        // With the last IPv4 address of an interface its next hops die, and with any the routes that
        // prefer it as their source: the former is never told, the latter only by newer kernels.
        self.stale |= old.network.addr().is_ipv4();
        if let Some(list) = self.addresses.get_mut(&old.interface) {
            list.retain(|address| address.network != old.network);
            self.readdressed(old.interface);
        }
    }

    fn readdressed(&mut self, interface: u32) {
        let of = |port: &&mut Port| port.link.ifindex == Some(interface);
        self.ports.iter_mut().filter(of).for_each(|port| port.readdressed = true);
    }

    fn is_followed(&self, interface: u32) -> bool {
        self.loopback == Some(interface) || self.interfaces.ports.contains_key(&interface)
    }

    fn usable(&self, interface: Option<u32>) -> impl Iterator<Item = IpNet> {
        let list = interface.and_then(|index| self.addresses.get(&index));
        let usable = list.into_iter().flatten().filter(|address| address.usable);
        usable.map(|address| address.network)
    }

    fn port_addresses(&self, at: usize) -> FibChange {
        let port = &self.ports[at];
        let addresses = self.usable(port.link.ifindex).collect();
        FibChange::PortAddresses { port: port.is.id, addresses }
    }

    fn list_host_addresses(&self) -> Vec<(u16, IpAddr)> {
        let of_port = |port: &Port| {
            let domain = port.is.domain;
            let own = self.usable(port.link.ifindex);
            own.flat_map(move |network| {
                let all = [Some(network.addr()), broadcast(&network)];
                all.into_iter().flatten().map(move |address| (domain, address))
            })
        };
        let of_loopback =
            |&domain| self.usable(self.loopback).map(move |network| (domain, network.addr()));
        let mut all: Vec<(u16, IpAddr)> = self.ports.iter().flat_map(of_port).collect();
        all.extend(self.interfaces.domains.iter().flat_map(of_loopback));
        all.sort_unstable();
        all.dedup();
        all
    }

    fn push(&mut self, change: FibChange) {
        if let Some(Update::Changes(changes)) = self.updates.last_mut() {
            changes.push(change);
        } else {
            self.updates.push(Update::Changes(vec![change]));
        }
    }
}

fn absent(port: PortId) -> LinkState {
    LinkState { port, ifindex: None, up: false, mac: [0; 6], mtu: 0, queues: 0 }
}

/// The link as a message shows it; what the message does not say stays as it was.
fn state_of(message: &LinkMessage, before: &LinkState) -> LinkState {
    let up = message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
    let mut link = LinkState { ifindex: Some(message.header.index), up, ..before.clone() };
    let attributes = &message.attributes;
    if let Some(mac) = attribute!(attributes, LinkAttribute::Address(bytes) => Some(bytes)) {
        link.mac = <[u8; 6]>::try_from(&mac[..]).unwrap_or_default();
    }
    if let Some(mtu) = attribute!(attributes, &LinkAttribute::Mtu(mtu) => Some(mtu)) {
        link.mtu = mtu;
    }
    if let Some(count) = attribute!(attributes, &LinkAttribute::NumRxQueues(count) => Some(count)) {
        link.queues = u16::try_from(count).unwrap_or(u16::MAX);
    }
    link
}

fn name(message: &LinkMessage) -> Option<&str> {
    attribute!(message.attributes, LinkAttribute::IfName(name) => Some(name.as_str()))
}

/// A /31 or /32 has no broadcast address (RFC 3021), IPv6 has none at all.
fn broadcast(network: &IpNet) -> Option<IpAddr> {
    match network {
        IpNet::V4(network) if network.prefix_len() <= 30 => Some(network.broadcast().into()),
        IpNet::V4(_) | IpNet::V6(_) => None,
    }
}
