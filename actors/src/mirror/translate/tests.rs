//! Messages made by hand, and what becomes of them.
#![allow(clippy::unwrap_used)]

use rtnetlink::packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::neighbour::NeighbourState as Kernel;
use rtnetlink::packet_route::route::RouteLwTunnelEncap;

use super::*;

const LEFT: PortId = PortId(0);
const RIGHT: PortId = PortId(1);
const OTHER: PortId = PortId(2);

/// Interfaces 10 and 11 are ports of domain 0, interface 12 is one of domain 7.
fn interfaces() -> Interfaces {
    let ports = HashMap::from([(10, (LEFT, 0)), (11, (RIGHT, 0)), (12, (OTHER, 7))]);
    Interfaces { ports, domains: vec![0, 7] }
}

fn message(prefix: &str, kind: RouteType, attributes: Vec<RouteAttribute>) -> RouteMessage {
    let prefix: IpNet = prefix.parse().unwrap();
    let mut message = RouteMessage::default();
    message.header.address_family = match prefix {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.destination_prefix_length = prefix.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.kind = kind;
    message.attributes = attributes;
    if prefix.prefix_len() != 0 {
        message.attributes.push(RouteAttribute::Destination(prefix.addr().into()));
    }
    message
}

fn by(interface: u32, gateway: &str) -> Vec<RouteAttribute> {
    let gateway: IpAddr = gateway.parse().unwrap();
    vec![RouteAttribute::Oif(interface), RouteAttribute::Gateway(gateway.into())]
}

fn of_many(hops: &[(u32, &str, u8)]) -> Vec<RouteAttribute> {
    let hop = |&(interface, gateway, weight): &(u32, &str, u8)| {
        let mut hop = RouteNextHop::default();
        hop.interface_index = interface;
        hop.hops = weight - 1;
        hop.attributes = by(interface, gateway)[1..].to_vec();
        hop
    };
    vec![RouteAttribute::MultiPath(hops.iter().map(hop).collect())]
}

fn changes(message: &RouteMessage, how: How) -> Vec<FibChange> {
    let mut changes = Vec::new();
    route(message, how, &interfaces(), &mut changes);
    changes
}

fn hop(port: PortId, gateway: &str, weight: u8) -> NextHop {
    NextHop { port, gateway: Some(gateway.parse().unwrap()), weight }
}

fn set(domain: u16, prefix: &str, metric: u32, hops: &[NextHop]) -> FibChange {
    let kind = RouteKind::Unicast(NextHops::new(hops).unwrap());
    FibChange::RouteSet { domain, prefix: prefix.parse().unwrap(), route: Route { metric, kind } }
}

fn delete(domain: u16, prefix: &str, metric: u32, hop: Option<NextHop>) -> FibChange {
    FibChange::RouteDelete { domain, prefix: prefix.parse().unwrap(), metric, hop }
}

#[test]
fn the_domain_is_that_of_the_port() {
    let mut route = message("10.1.0.0/16", RouteType::Unicast, by(10, "10.0.0.2"));
    route.attributes.push(RouteAttribute::Priority(20));
    let found = changes(&route, How::Set);
    assert_eq!(found, [set(0, "10.1.0.0/16", 20, &[hop(LEFT, "10.0.0.2", 1)])]);
    let route = message("2001:db8::/32", RouteType::Unicast, by(12, "fe80::1"));
    let found = changes(&route, How::Set);
    assert_eq!(found, [set(7, "2001:db8::/32", 0, &[hop(OTHER, "fe80::1", 1)])]);
}

#[test]
fn a_default_route_has_no_destination_attribute() {
    let route = message("0.0.0.0/0", RouteType::Unicast, by(10, "10.0.0.2"));
    assert_eq!(changes(&route, How::Set), [set(0, "0.0.0.0/0", 0, &[hop(LEFT, "10.0.0.2", 1)])]);
    let route = message("::/0", RouteType::Unicast, by(10, "fe80::2"));
    assert_eq!(changes(&route, How::Set), [set(0, "::/0", 0, &[hop(LEFT, "fe80::2", 1)])]);
}

#[test]
fn a_route_onto_a_link_has_no_gateway() {
    let attributes = vec![RouteAttribute::Oif(11)];
    let found = changes(&message("10.2.0.0/24", RouteType::Unicast, attributes), How::Set);
    let hop = NextHop { port: RIGHT, gateway: None, weight: 1 };
    assert_eq!(found, [set(0, "10.2.0.0/24", 0, &[hop])]);
}

#[test]
fn a_gateway_may_be_of_the_other_family() {
    let via = RouteAttribute::Via(RouteVia::Inet6("fe80::9".parse().unwrap()));
    let attributes = vec![RouteAttribute::Oif(10), via];
    let found = changes(&message("10.3.0.0/16", RouteType::Unicast, attributes), How::Set);
    assert_eq!(found, [set(0, "10.3.0.0/16", 0, &[hop(LEFT, "fe80::9", 1)])]);
}

#[test]
fn next_hops_go_to_their_domains_with_their_weights() {
    let hops = of_many(&[(10, "10.0.0.2", 3), (12, "10.7.0.2", 1), (11, "10.1.0.2", 255)]);
    let route = message("10.9.0.0/16", RouteType::Unicast, hops);
    let expected = [
        set(0, "10.9.0.0/16", 0, &[hop(LEFT, "10.0.0.2", 3), hop(RIGHT, "10.1.0.2", 255)]),
        set(7, "10.9.0.0/16", 0, &[hop(OTHER, "10.7.0.2", 1)]),
    ];
    assert_eq!(changes(&route, How::Set), expected);
    let deleted = [
        delete(0, "10.9.0.0/16", 0, Some(hop(LEFT, "10.0.0.2", 3))),
        delete(7, "10.9.0.0/16", 0, Some(hop(OTHER, "10.7.0.2", 1))),
        delete(0, "10.9.0.0/16", 0, Some(hop(RIGHT, "10.1.0.2", 255))),
    ];
    assert_eq!(changes(&route, How::Delete), deleted);
}

#[test]
fn a_replacing_route_takes_the_old_one_out_of_other_domains() {
    let route = message("10.4.0.0/16", RouteType::Unicast, by(12, "10.7.0.2"));
    let moved =
        [delete(0, "10.4.0.0/16", 0, None), set(7, "10.4.0.0/16", 0, &[hop(OTHER, "10.7.0.2", 1)])];
    assert_eq!(changes(&route, How::Replace), moved);
    let away = message("10.4.0.0/16", RouteType::Unicast, by(99, "10.7.0.2"));
    let gone = [delete(0, "10.4.0.0/16", 0, None), delete(7, "10.4.0.0/16", 0, None)];
    assert_eq!(changes(&away, How::Replace), gone);
}

#[test]
fn next_hops_by_no_port_are_passed_over() {
    let route = message("10.5.0.0/16", RouteType::Unicast, by(99, "192.0.2.1"));
    for how in [How::Set, How::Append, How::Delete] {
        assert_eq!(changes(&route, how), []);
    }
    let hops = of_many(&[(99, "192.0.2.1", 1), (10, "10.0.0.2", 1)]);
    let route = message("10.5.0.0/16", RouteType::Unicast, hops);
    assert_eq!(changes(&route, How::Set), [set(0, "10.5.0.0/16", 0, &[hop(LEFT, "10.0.0.2", 1)])]);
}

#[test]
fn dead_next_hops_are_not_used_but_deleted() {
    let mut route = message("10.6.0.0/16", RouteType::Unicast, by(10, "10.0.0.2"));
    route.header.flags = RouteFlags::Dead | RouteFlags::Linkdown;
    assert_eq!(changes(&route, How::Append), []);
    let gone = delete(0, "10.6.0.0/16", 0, Some(hop(LEFT, "10.0.0.2", 1)));
    assert_eq!(changes(&route, How::Delete), [gone]);

    let mut route = message("10.6.0.0/16", RouteType::Unicast, Vec::new());
    let mut hops = of_many(&[(10, "10.0.0.2", 1), (11, "10.1.0.2", 1)]);
    if let RouteAttribute::MultiPath(hops) = &mut hops[0] {
        hops[1].flags = RouteNextHopFlags::Dead;
    }
    route.attributes.extend(hops);
    assert_eq!(changes(&route, How::Set), [set(0, "10.6.0.0/16", 0, &[hop(LEFT, "10.0.0.2", 1)])]);
}

#[test]
fn routes_without_a_port_hold_in_all_domains() {
    let table = [
        (RouteType::BlackHole, RouteKind::Blackhole),
        (RouteType::Unreachable, RouteKind::Unreachable),
        (RouteType::Prohibit, RouteKind::Prohibit),
        (RouteType::Throw, RouteKind::Unreachable),
        (RouteType::Local, RouteKind::Local),
    ];
    for (kernel, kind) in table {
        let message = message("192.0.2.0/24", kernel, vec![RouteAttribute::Priority(5)]);
        let prefix = "192.0.2.0/24".parse().unwrap();
        let route = Route { metric: 5, kind };
        let in_domain = |domain| FibChange::RouteSet { domain, prefix, route: route.clone() };
        assert_eq!(changes(&message, How::Append), [in_domain(0), in_domain(7)], "{kernel:?}");
        let gone = [delete(0, "192.0.2.0/24", 5, None), delete(7, "192.0.2.0/24", 5, None)];
        assert_eq!(changes(&message, How::Delete), gone);
    }
}

type Edit = fn(&mut RouteMessage);

#[test]
fn what_no_engine_can_have_is_left_out() {
    let plain = || message("10.8.0.0/16", RouteType::Unicast, by(10, "10.0.0.2"));
    let edits: [(&str, Edit); 8] = [
        ("table local", |route| route.header.table = 255),
        ("table 1000", |route| {
            route.header.table = 0;
            route.attributes.push(RouteAttribute::Table(1000));
        }),
        ("type of service", |route| route.header.tos = 0x10),
        ("source prefix", |route| route.header.source_prefix_length = 24),
        ("cached", |route| route.header.flags = RouteFlags::Cloned),
        ("broadcast", |route| route.header.kind = RouteType::Broadcast),
        ("multicast", |route| route.header.kind = RouteType::Multicast),
        ("encapsulated", |route| {
            let other =
                RouteLwTunnelEncap::Other(rtnetlink::packet_core::DefaultNla::new(1, vec![0; 4]));
            route.attributes.push(RouteAttribute::Encap(vec![other]));
        }),
    ];
    assert_eq!(changes(&plain(), How::Set).len(), 1);
    for (name, edit) in edits {
        let mut route = plain();
        edit(&mut route);
        assert_eq!(changes(&route, How::Set), [], "{name}");
    }
    for prefix in ["fe80::/64", "ff00::/8", "ff02::1/128", "224.0.0.0/4"] {
        let route = message(prefix, RouteType::Unicast, vec![RouteAttribute::Oif(10)]);
        assert_eq!(changes(&route, How::Append), [], "{prefix}");
    }
}

#[test]
fn the_table_attribute_wins_over_the_header() {
    let mut route = message("10.8.0.0/16", RouteType::Unicast, by(10, "10.0.0.2"));
    route.header.table = 0;
    route.attributes.push(RouteAttribute::Table(254));
    assert_eq!(changes(&route, How::Set).len(), 1);
}

#[test]
fn the_flags_of_a_notification_say_how() {
    let table = [
        (NLM_F_CREATE | NLM_F_EXCL, How::Set),
        (NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND, How::Set),
        (NLM_F_CREATE | NLM_F_APPEND, How::Append),
        (NLM_F_CREATE, How::Append),
        (NLM_F_REPLACE, How::Replace),
        (NLM_F_CREATE | NLM_F_REPLACE, How::Replace),
    ];
    for (flags, how) in table {
        assert_eq!(How::of_new(flags), how, "{flags:#x}");
    }
}

#[test]
fn more_next_hops_of_one_metric_are_appended() {
    let route = message("2001:db8:1::/48", RouteType::Unicast, by(11, "fe80::3"));
    let found = changes(&route, How::Append);
    let next_hops = NextHops::new(&[hop(RIGHT, "fe80::3", 1)]).unwrap();
    let route = Route { metric: 0, kind: RouteKind::Unicast(next_hops) };
    let prefix = "2001:db8:1::/48".parse().unwrap();
    assert_eq!(found, [FibChange::RouteAppend { domain: 0, prefix, route }]);
}

fn neighbour_message(address: &str, state: Kernel, mac: &[u8]) -> NeighbourMessage {
    let address: IpAddr = address.parse().unwrap();
    let mut message = NeighbourMessage::default();
    message.header.ifindex = 10;
    message.header.state = state;
    message.attributes.push(NeighbourAttribute::Destination(address.into()));
    if !mac.is_empty() {
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    }
    message
}

#[test]
fn neighbours_are_known_in_the_states_that_have_a_mac() {
    let mac = [2, 0, 0, 0, 0, 9];
    let address: IpAddr = "10.0.0.9".parse().unwrap();
    let table = [
        (Kernel::Reachable, Some(NeighbourState::Reachable)),
        (Kernel::Stale, Some(NeighbourState::Stale)),
        (Kernel::Delay, Some(NeighbourState::Stale)),
        (Kernel::Probe, Some(NeighbourState::Stale)),
        (Kernel::Permanent, Some(NeighbourState::Permanent)),
        (Kernel::Noarp, Some(NeighbourState::Permanent)),
        (Kernel::Failed, None),
        (Kernel::Incomplete, None),
        (Kernel::None, None),
    ];
    let lost = Some(FibChange::NeighbourLost { port: LEFT, address });
    for (kernel, state) in table {
        let message = neighbour_message("10.0.0.9", kernel, &mac);
        let expected = match state {
            Some(state) => Some(FibChange::NeighbourSet { port: LEFT, address, mac, state }),
            None => lost.clone(),
        };
        assert_eq!(neighbour(&message, false, &interfaces()), expected, "{kernel:?}");
        assert_eq!(neighbour(&message, true, &interfaces()), lost, "deleted {kernel:?}");
    }
    let without = neighbour_message("10.0.0.9", Kernel::Reachable, &[]);
    assert_eq!(neighbour(&without, false, &interfaces()), lost);
}

#[test]
fn groups_proxies_and_other_interfaces_are_no_neighbours() {
    for group in ["224.0.0.5", "255.255.255.255", "ff02::1:2"] {
        let message = neighbour_message(group, Kernel::Noarp, &[1, 0, 0x5e, 0, 0, 5]);
        assert_eq!(neighbour(&message, false, &interfaces()), None, "{group}");
    }
    let mut proxy = neighbour_message("10.0.0.9", Kernel::Permanent, &[2; 6]);
    proxy.header.flags = NeighbourFlags::Proxy;
    assert_eq!(neighbour(&proxy, false, &interfaces()), None);
    let mut elsewhere = neighbour_message("10.0.0.9", Kernel::Reachable, &[2; 6]);
    elsewhere.header.ifindex = 99;
    assert_eq!(neighbour(&elsewhere, false, &interfaces()), None);
    let mut bridge = neighbour_message("10.0.0.9", Kernel::Reachable, &[2; 6]);
    bridge.attributes.remove(0);
    assert_eq!(neighbour(&bridge, false, &interfaces()), None);
}

fn address_message(length: u8, attributes: Vec<AddressAttribute>) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = 10;
    message.header.prefix_len = length;
    message.attributes = attributes;
    message
}

#[test]
fn the_own_address_is_the_local_one() {
    let [own, peer]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()];
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    let (local, other) = (AddressAttribute::Local, AddressAttribute::Address);
    let table = [
        (24, vec![local(own), other(own)], "10.0.0.1/24"),
        (24, vec![other(own)], "10.0.0.1/24"),
        (32, vec![other(peer), local(own)], "10.0.0.1/32"),
        (24, vec![other(peer), local(own)], "10.0.0.1/32"),
        (64, vec![other(v6)], "2001:db8::1/64"),
    ];
    for (length, attributes, network) in table {
        let found = address(&address_message(length, attributes)).unwrap();
        assert_eq!((found.interface, found.network), (10, network.parse().unwrap()));
        assert!(found.usable && !found.secondary);
    }
    assert_eq!(address(&address_message(24, vec![])), None);
    assert_eq!(address(&address_message(33, vec![local(own)])), None);
}

#[test]
fn tentative_and_duplicate_addresses_are_not_usable() {
    let v6: IpAddr = "2001:db8::1".parse().unwrap();
    let table = [
        (AddressFlags::Permanent, true),
        (AddressFlags::Tentative, false),
        (AddressFlags::Tentative | AddressFlags::Optimistic, true),
        (AddressFlags::Permanent | AddressFlags::Dadfailed, false),
        (AddressFlags::Deprecated, true),
    ];
    for (flags, usable) in table {
        let attributes = vec![AddressAttribute::Address(v6), AddressAttribute::Flags(flags)];
        let found = address(&address_message(64, attributes)).unwrap();
        assert_eq!(found.usable, usable, "{flags:?}");
    }
    let mut short = address_message(64, vec![AddressAttribute::Address(v6)]);
    short.header.flags = AddressHeaderFlags::Tentative | AddressHeaderFlags::Secondary;
    let found = address(&short).unwrap();
    assert!(!found.usable && found.secondary);
}
