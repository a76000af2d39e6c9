//! Notifications made by hand, and the updates that follow.
#![allow(clippy::unwrap_used)]

use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};

use super::*;

const UP: LinkFlags = LinkFlags::Up.union(LinkFlags::LowerUp);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn view() -> View {
    let port = |(id, interface, domain): (u16, &str, u16)| MirrorPort {
        id: PortId(id),
        interface: interface.to_owned(),
        domain,
    };
    View::new(&[(0, "wan", 0), (1, "lan", 7)].map(port))
}

fn link(index: u32, name: &str, flags: LinkFlags) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = flags;
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Address(MAC.to_vec()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::NumRxQueues(4),
    ];
    message
}

fn new_link(view: &mut View, index: u32, name: &str, flags: LinkFlags) -> Vec<Update> {
    view.notified(&RouteNetlinkMessage::NewLink(link(index, name, flags)), 0);
    view.take_updates()
}

fn address(index: u32, network: &str) -> AddressMessage {
    let network: IpNet = network.parse().unwrap();
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = network.prefix_len();
    message.attributes.push(AddressAttribute::Local(network.addr()));
    message
}

fn add(view: &mut View, index: u32, network: &str) -> Vec<Update> {
    view.notified(&RouteNetlinkMessage::NewAddress(address(index, network)), 0);
    view.take_updates()
}

fn remove(view: &mut View, index: u32, network: &str) -> Vec<Update> {
    view.notified(&RouteNetlinkMessage::DelAddress(address(index, network)), 0);
    view.take_updates()
}

fn state(ifindex: u32, up: bool) -> LinkState {
    LinkState { port: PortId(0), ifindex: Some(ifindex), up, mac: MAC, mtu: 1500, queues: 4 }
}

fn addresses(port: u16, list: &[&str]) -> FibChange {
    let addresses = list.iter().map(|text| text.parse().unwrap()).collect();
    FibChange::PortAddresses { port: PortId(port), addresses }
}

fn down() -> Update {
    Update::Changes(vec![FibChange::PortDown { port: PortId(0) }])
}

fn host(list: &[(u16, &str)]) -> Update {
    Update::HostAddresses(list.iter().map(|(at, text)| (*at, text.parse().unwrap())).collect())
}

#[test]
fn a_link_is_reported_when_it_changes() {
    let mut view = view();
    assert_eq!(new_link(&mut view, 5, "eth9", UP), []);
    assert_eq!(new_link(&mut view, 4, "wan", LinkFlags::Up), [Update::Link(state(4, false))]);
    assert_eq!(new_link(&mut view, 4, "wan", UP), [Update::Link(state(4, true))]);
    assert_eq!(new_link(&mut view, 4, "wan", UP), []);
    let mut smaller = link(4, "wan", UP);
    smaller.attributes = vec![LinkAttribute::IfName("wan".to_owned()), LinkAttribute::Mtu(1400)];
    view.notified(&RouteNetlinkMessage::NewLink(smaller), 0);
    let mtu = 1400;
    assert_eq!(view.take_updates(), [Update::Link(LinkState { mtu, ..state(4, true) })]);
}

#[test]
fn routes_go_with_the_administrator_not_with_the_carrier() {
    let mut view = view();
    new_link(&mut view, 4, "wan", UP);
    assert!(view.take_stale());
    assert!(!view.take_stale());
    // No carrier: the kernel keeps the routes, but may count their next hops as dead.
    let link_down = Update::Link(state(4, false));
    assert_eq!(new_link(&mut view, 4, "wan", LinkFlags::Up), [link_down]);
    assert!(view.take_stale());
    assert_eq!(new_link(&mut view, 4, "wan", LinkFlags::empty()), [down()]);
    assert!(view.take_stale());
    assert_eq!(new_link(&mut view, 4, "wan", LinkFlags::empty()), []);
    assert!(!view.take_stale());
    assert_eq!(new_link(&mut view, 4, "wan", UP), [Update::Link(state(4, true))]);
    assert!(view.take_stale());
}

#[test]
fn a_link_that_goes_takes_everything_with_it() {
    let mut view = view();
    new_link(&mut view, 4, "wan", UP);
    add(&mut view, 4, "192.0.2.1/24");
    let gone = RouteNetlinkMessage::DelLink(link(4, "wan", LinkFlags::empty()));
    view.notified(&gone, 0);
    let expected = [
        down(),
        Update::Link(absent(PortId(0))),
        Update::Changes(vec![addresses(0, &[])]),
        host(&[]),
    ];
    assert_eq!(view.take_updates(), expected);
    assert_eq!((view.interface_of(PortId(0)), view.interfaces().ports.len()), (None, 0));
    view.notified(&gone, 0);
    assert_eq!(view.take_updates(), []);

    view.take_stale();
    assert_eq!(new_link(&mut view, 9, "wan", UP), [Update::Link(state(9, true))]);
    assert!(view.take_stale());
    assert_eq!(view.interface_of(PortId(0)), Some(9));
}

#[test]
fn a_bridge_speaks_of_its_port_not_of_the_interface() {
    let mut view = view();
    new_link(&mut view, 4, "wan", UP);
    let mut left_bridge = link(4, "wan", UP);
    left_bridge.header.interface_family = AddressFamily::Bridge;
    view.notified(&RouteNetlinkMessage::DelLink(left_bridge.clone()), 0);
    left_bridge.header.flags = LinkFlags::empty();
    view.notified(&RouteNetlinkMessage::NewLink(left_bridge), 0);
    assert_eq!(view.take_updates(), []);
}

#[test]
fn a_name_may_move_to_another_interface() {
    let mut view = view();
    new_link(&mut view, 4, "wan", UP);
    let lost = [down(), Update::Link(absent(PortId(0))), Update::Changes(vec![addresses(0, &[])])];
    assert_eq!(new_link(&mut view, 4, "old-wan", UP), lost);
    view.take_stale();
    assert_eq!(new_link(&mut view, 6, "wan", UP), [Update::Link(state(6, true))]);
    assert!(view.take_stale());
    // The other way round: the new one is told before the old one's end.
    let mut moved = lost.to_vec();
    moved.insert(2, Update::Link(state(7, true)));
    assert_eq!(new_link(&mut view, 7, "wan", UP), moved);
    view.notified(&RouteNetlinkMessage::DelLink(link(6, "wan", LinkFlags::empty())), 0);
    assert_eq!(view.take_updates(), []);
}

#[test]
fn a_port_has_all_its_addresses_primary_ones_first() {
    let mut view = view();
    new_link(&mut view, 4, "wan", UP);
    let mut second = address(4, "192.0.2.2/24");
    second.header.flags = rtnetlink::packet_route::address::AddressHeaderFlags::Secondary;
    view.notified(&RouteNetlinkMessage::NewAddress(second), 0);
    view.notified(&RouteNetlinkMessage::NewAddress(address(4, "192.0.2.1/24")), 0);
    let both = addresses(0, &["192.0.2.1/24", "192.0.2.2/24"]);
    let all = host(&[(0, "192.0.2.1"), (0, "192.0.2.2"), (0, "192.0.2.255")]);
    assert_eq!(view.take_updates(), [Update::Changes(vec![both]), all]);
    view.take_stale();
    let one = addresses(0, &["192.0.2.2/24"]);
    let rest = host(&[(0, "192.0.2.2"), (0, "192.0.2.255")]);
    let updates = remove(&mut view, 4, "192.0.2.1/24");
    assert_eq!(updates, [Update::Changes(vec![one]), rest]);
    assert!(view.take_stale());
    assert_eq!(add(&mut view, 99, "198.51.100.1/24"), []);
}

#[test]
fn loopback_addresses_are_own_in_every_domain() {
    let mut view = view();
    assert_eq!(new_link(&mut view, 1, "lo", UP | LinkFlags::Loopback), []);
    let updates = add(&mut view, 1, "198.51.100.1/32");
    assert_eq!(updates, [host(&[(0, "198.51.100.1"), (7, "198.51.100.1")])]);
    let updates = add(&mut view, 1, "2001:db8::1/128");
    let all = [(0, "198.51.100.1"), (0, "2001:db8::1"), (7, "198.51.100.1"), (7, "2001:db8::1")];
    assert_eq!(updates, [host(&all)]);
    assert!(!view.take_stale());
}

#[test]
fn point_to_point_networks_have_no_broadcast_address() {
    let mut view = view();
    new_link(&mut view, 4, "lan", UP);
    let updates = add(&mut view, 4, "192.0.2.0/31");
    let change = Update::Changes(vec![addresses(1, &["192.0.2.0/31"])]);
    assert_eq!(updates, [change, host(&[(7, "192.0.2.0")])]);
}

#[test]
fn a_resync_reports_everything_and_nothing_twice() {
    let mut view = view();
    view.notified(&RouteNetlinkMessage::NewLink(link(4, "wan", UP)), 0);
    view.notified(&RouteNetlinkMessage::NewAddress(address(4, "192.0.2.1/24")), 0);
    let rest = FibChange::PortDown { port: PortId(1) }; // any
    let Update::Resync { changes, links, host_addresses } = view.resync(vec![rest.clone()]) else {
        panic!("not a resync")
    };
    let lan = addresses(1, &[]);
    assert_eq!(changes, [FibChange::Flush, addresses(0, &["192.0.2.1/24"]), lan, rest]);
    assert_eq!(links, [state(4, true), absent(PortId(1))]);
    assert_eq!(host_addresses.len(), 2);
    assert_eq!(view.take_updates(), []);
    assert!(!view.take_stale());
}
