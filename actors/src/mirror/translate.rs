//! From the kernel's messages to changes of the engine's tables: functions of their arguments.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::PortId;
use engine::fib::{FibChange, NeighbourState, NextHop, NextHops, Route, RouteKind};
use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::neighbour::{
    self, NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteNextHop,
    RouteNextHopFlags, RouteType, RouteVia,
};

#[cfg(test)]
mod tests;

/// The first attribute of a kind, and what it says: the kinds are more than anybody would list.
macro_rules! attribute {
    ($attributes:expr, $kind:pat => $value:expr) => {
        $attributes.iter().find_map(|attribute| match attribute {
            $kind => $value,
            #[allow(clippy::wildcard_enum_match_arm)]
            _ => None,
        })
    };
}
pub(super) use attribute;

/// Which interface is which port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interfaces {
    /// Port and domain by the index of its interface.
    pub(super) ports: HashMap<u32, (PortId, u16)>,
    /// All domains of ports, with or without an interface; sorted, once each.
    pub(super) domains: Vec<u16>,
}

/// What a message says of its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The first of its prefix and metric.
    Set,
    /// Instead of the one of its prefix and metric.
    Replace,
    /// One more of its prefix and metric; or read from a dump after a flush, where several of one
    /// prefix and metric are separate messages.
    Append,
    /// Gone.
    Delete,
}

impl How {
    /// Of an `RTM_NEWROUTE` notification. The kernel sets `NLM_F_EXCL` for the first route of a
    /// prefix and metric, whoever made it and with whatever flags (`fib_table_insert`,
    /// `fib6_add_rt2node`), and `NLM_F_REPLACE` when it took one away for it.
    pub(super) fn of_new(flags: u16) -> Self {
        if flags & NLM_F_REPLACE != 0 {
            Self::Replace
        } else if flags & NLM_F_EXCL != 0 {
            Self::Set
        } else {
            Self::Append
        }
    }
}

/// Appends the changes that a route message asks for: none for a route of another table, of no
/// port, or of a kind that an engine does not have.
pub(super) fn route(
    message: &RouteMessage,
    how: How,
    interfaces: &Interfaces,
    changes: &mut Vec<FibChange>,
) {
    let Some(prefix) = engine_prefix(message) else { return };
    let metric = attribute!(message.attributes, &RouteAttribute::Priority(metric) => Some(metric));
    let metric = metric.unwrap_or(0);
    let kind = message.header.kind;
    if kind == RouteType::Unicast {
        let hops = hops(message, how, interfaces);
        unicast(prefix, metric, &hops, how, interfaces, changes);
    } else if let Some(kind) = without_port(kind) {
        for &domain in &interfaces.domains {
            let route = Route { metric, kind: kind.clone() };
            changes.push(match how {
                How::Delete => FibChange::RouteDelete { domain, prefix, metric, hop: None },
                How::Set | How::Replace | How::Append => {
                    FibChange::RouteSet { domain, prefix, route }
                }
            });
        }
    }
}

/// The prefix of a route that an engine can have, whatever its next hops are.
fn engine_prefix(message: &RouteMessage) -> Option<IpNet> {
    let header = &message.header;
    let table = attribute!(message.attributes, &RouteAttribute::Table(table) => Some(table));
    let main = u32::from(RouteHeader::RT_TABLE_MAIN);
    let plain = header.source_prefix_length == 0 && header.tos == 0;
    if table.unwrap_or(header.table.into()) != main
        || !plain
        || header.flags.contains(RouteFlags::Cloned)
    {
        return None;
    }
    let destination = attribute!(message.attributes, RouteAttribute::Destination(to) => ip(to));
    let destination = destination.or_else(|| unspecified(header.address_family))?;
    let foreign = match destination {
        IpAddr::V4(address) => address.is_multicast(),
        // Link-local: by the interface alone, never forwarded (RFC 4291 §2.5.6).
        IpAddr::V6(address) => address.is_multicast() || address.is_unicast_link_local(),
    };
    let prefix = IpNet::new(destination, header.destination_prefix_length).ok()?;
    (!foreign).then(|| prefix.trunc())
}

fn unicast(
    prefix: IpNet,
    metric: u32,
    hops: &[(u16, NextHop)],
    how: How,
    interfaces: &Interfaces,
    changes: &mut Vec<FibChange>,
) {
    if how == How::Delete {
        changes.extend(hops.iter().map(|&(domain, hop)| FibChange::RouteDelete {
            domain,
            prefix,
            metric,
            hop: Some(hop),
        }));
        return;
    }
    for &domain in &interfaces.domains {
        let own: Vec<NextHop> =
            hops.iter().filter(|(of, _)| *of == domain).map(|(_, hop)| *hop).collect();
        let route =
            NextHops::new(&own).map(|hops| Route { metric, kind: RouteKind::Unicast(hops) });
        match (route, how) {
            (Some(route), How::Append) => {
                changes.push(FibChange::RouteAppend { domain, prefix, route });
            }
            (Some(route), _) => changes.push(FibChange::RouteSet { domain, prefix, route }),
            // The route that it replaces may have been in this domain.
            (None, How::Replace) => {
                changes.push(FibChange::RouteDelete { domain, prefix, metric, hop: None });
            }
            (None, _) => {}
        }
    }
}

/// The next hops by ports that the kernel would use, with their domains; of a deleted route all.
fn hops(message: &RouteMessage, how: How, interfaces: &Interfaces) -> Vec<(u16, NextHop)> {
    let all = how == How::Delete;
    let of_multipath = |several: &[RouteNextHop]| {
        let alive = |hop: &&RouteNextHop| all || !hop.flags.contains(RouteNextHopFlags::Dead);
        let hop = |hop: &RouteNextHop| {
            // `rtnh_hops` is the weight less one.
            let weight = hop.hops.saturating_add(1);
            next_hop(hop.interface_index, &hop.attributes, weight, interfaces)
        };
        several.iter().filter(alive).filter_map(hop).collect()
    };
    let several = attribute!(
        message.attributes,
        RouteAttribute::MultiPath(several) => Some(of_multipath(several))
    );
    several.unwrap_or_else(|| {
        if !all && message.header.flags.contains(RouteFlags::Dead) {
            return Vec::new();
        }
        let interface = attribute!(message.attributes, &RouteAttribute::Oif(index) => Some(index));
        let hop = interface.and_then(|index| next_hop(index, &message.attributes, 1, interfaces));
        hop.into_iter().collect()
    })
}

fn next_hop(
    interface: u32,
    attributes: &[RouteAttribute],
    weight: u8,
    interfaces: &Interfaces,
) -> Option<(u16, NextHop)> {
    let &(port, domain) = interfaces.ports.get(&interface)?;
    let encapsulated = |attribute| matches!(attribute, &RouteAttribute::Encap(_));
    if attributes.iter().any(encapsulated) {
        return None;
    }
    let gateway = attribute!(attributes, RouteAttribute::Gateway(address) => ip(address));
    // A gateway of the other family (RFC 5549).
    let gateway = gateway.or_else(|| attribute!(attributes, RouteAttribute::Via(to) => other(to)));
    Some((domain, NextHop { port, gateway, weight }))
}

/// Routes that need no next hop.
fn without_port(kind: RouteType) -> Option<RouteKind> {
    const KINDS: [(RouteType, RouteKind); 5] = [
        (RouteType::BlackHole, RouteKind::Blackhole),
        (RouteType::Unreachable, RouteKind::Unreachable),
        // "Not in this table": there is no other, so there is no way.
        (RouteType::Throw, RouteKind::Unreachable),
        (RouteType::Prohibit, RouteKind::Prohibit),
        (RouteType::Local, RouteKind::Local),
    ];
    KINDS.into_iter().find(|(of, _)| *of == kind).map(|(_, kind)| kind)
}

/// The change of an `RTM_NEWNEIGH` or, if `deleted`, an `RTM_DELNEIGH`; `None` for what is no
/// host or router on the link of a port.
pub(super) fn neighbour(
    message: &NeighbourMessage,
    deleted: bool,
    interfaces: &Interfaces,
) -> Option<FibChange> {
    let header = &message.header;
    let &(port, _) = interfaces.ports.get(&header.ifindex)?;
    if header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let address = attribute!(message.attributes, NeighbourAttribute::Destination(of) => host(of))?;
    // The kernel keeps the MACs computed from group addresses here too.
    if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return None;
    }
    let mac = attribute!(
        message.attributes,
        NeighbourAttribute::LinkLayerAddress(bytes) => <[u8; 6]>::try_from(&bytes[..]).ok()
    );
    let known = (!deleted).then(|| neighbour_state(header.state)).flatten().zip(mac);
    Some(match known {
        Some((state, mac)) => FibChange::NeighbourSet { port, address, mac, state },
        None => FibChange::NeighbourLost { port, address },
    })
}

fn neighbour_state(state: neighbour::NeighbourState) -> Option<NeighbourState> {
    use neighbour::NeighbourState as Kernel;
    const STATES: [(Kernel, NeighbourState); 6] = [
        (Kernel::Reachable, NeighbourState::Reachable),
        (Kernel::Stale, NeighbourState::Stale),
        (Kernel::Delay, NeighbourState::Stale),
        (Kernel::Probe, NeighbourState::Stale),
        (Kernel::Permanent, NeighbourState::Permanent),
        (Kernel::Noarp, NeighbourState::Permanent),
    ];
    STATES.into_iter().find(|(of, _)| *of == state).map(|(_, state)| state)
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Index of the interface.
    pub(super) interface: u32,
    /// The address and its network's prefix length; a host prefix if the other end of a
    /// point-to-point link is its network.
    pub(super) network: IpNet,
    /// Of the same network as an earlier address of the interface.
    pub(super) secondary: bool,
    /// False while, or after, duplicate address detection says that it may not be used.
    pub(super) usable: bool,
}

/// The address of an `RTM_NEWADDR` or `RTM_DELADDR`.
pub(super) fn address(message: &AddressMessage) -> Option<Address> {
    let attributes = &message.attributes;
    let local = attribute!(attributes, &AddressAttribute::Local(address) => Some(address));
    let other = attribute!(attributes, &AddressAttribute::Address(address) => Some(address));
    let flags = attribute!(attributes, &AddressAttribute::Flags(all) => Some(all));
    let short = || AddressFlags::from_bits_retain(message.header.flags.bits().into());
    let flags = flags.unwrap_or_else(short); // before they were more than eight
    // Without a peer both are the same; IPv6 then has only IFA_ADDRESS.
    let address = local.or(other)?;
    let with_peer = other.is_some_and(|other| other != address);
    let network = match with_peer {
        true => IpNet::from(address),
        false => IpNet::new(address, message.header.prefix_len).ok()?,
    };
    let tentative =
        flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    Some(Address {
        interface: message.header.index,
        network,
        secondary: flags.contains(AddressFlags::Secondary),
        usable: !tentative && !flags.contains(AddressFlags::Dadfailed),
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    if let RouteAddress::Inet(v4) = address {
        return Some(IpAddr::V4(*v4));
    }
    if let RouteAddress::Inet6(v6) = address { Some(IpAddr::V6(*v6)) } else { None }
}

fn other(gateway: &RouteVia) -> Option<IpAddr> {
    if let RouteVia::Inet(v4) = gateway {
        return Some(IpAddr::V4(*v4));
    }
    if let RouteVia::Inet6(v6) = gateway { Some(IpAddr::V6(*v6)) } else { None }
}

fn host(address: &NeighbourAddress) -> Option<IpAddr> {
    if let NeighbourAddress::Inet(v4) = address {
        return Some(IpAddr::V4(*v4));
    }
    if let NeighbourAddress::Inet6(v6) = address { Some(IpAddr::V6(*v6)) } else { None }
}

/// The destination of a default route, which has no attribute for it.
fn unspecified(family: AddressFamily) -> Option<IpAddr> {
    if family == AddressFamily::Inet {
        Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    } else {
        (family == AddressFamily::Inet6).then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    }
}
