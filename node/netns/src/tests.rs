//! Every operation against the real kernel. Without root these are skipped, with a line that says
//! so, unless `RINGWALL_REQUIRE_ALL=1` makes a skip a failure.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;

use super::*;

/// Two namespaces joined by a veth pair, with IPv4 and IPv6 addresses.
fn pair(queues: u32) -> Option<(Namespace, Namespace)> {
    if let Err(reason) = available() {
        assert!(std::env::var_os("RINGWALL_REQUIRE_ALL").is_none(), "{reason}");
        eprintln!("skipped: {reason}");
        return None;
    }
    let (a, b) = (Namespace::new("nst").unwrap(), Namespace::new("nst").unwrap());
    let options = VethOptions { queues, mtu: 1400, ..VethOptions::default() };
    veth(End::new(&a, "left").with_mac([2, 0, 0, 0, 0, 1]), End::new(&b, "right"), &options)
        .unwrap();
    a.add_address("left", "10.9.0.1/24").unwrap();
    b.add_address("right", "10.9.0.2/24").unwrap();
    a.add_address("left", "fd09::1/64").unwrap();
    b.add_address("right", "fd09::2/64").unwrap();
    wait_ready(&[(&a, "left"), (&b, "right")]).unwrap();
    Some((a, b))
}

#[test]
fn tcp_crosses_the_pair_over_both_families() {
    let Some((a, b)) = pair(2) else { return };
    for address in ["10.9.0.2", "fd09::2"] {
        let ip: IpAddr = address.parse().unwrap();
        let listener = b.run(|| TcpListener::bind((ip, 7000))).unwrap();
        let mut out = a.run(|| TcpStream::connect((ip, 7000))).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        out.write_all(b"ping").unwrap();
        drop(out);
        let mut text = String::new();
        peer.read_to_string(&mut text).unwrap();
        assert_eq!(text, "ping");
    }
}

#[test]
fn links_are_as_asked_for() {
    let Some((a, b)) = pair(2) else { return };
    let link = a.link("left").unwrap();
    assert_eq!((link.mac, link.mtu, link.queues), ([2, 0, 0, 0, 0, 1], 1400, 2));
    assert!(link.up && link.carrier);
    a.set_mtu("left", 1300).unwrap();
    assert_eq!(a.link("left").unwrap().mtu, 1300);
    a.down("left").unwrap();
    assert!(!a.link("left").unwrap().up && !b.link("right").unwrap().carrier);
    a.delete("left").unwrap();
    for (namespace, name) in [(&a, "left"), (&b, "right")] {
        assert!(matches!(namespace.link(name), Err(Error::NoLink { .. })));
    }
}

/// Three hosts at one switch; what its ports do is not seen by the links behind them.
#[test]
fn ports_of_a_bridge_are_disabled_and_isolated() {
    let Some((a, b)) = pair(1) else { return };
    let switch = Namespace::new("nst").unwrap();
    switch.add_bridge("lan").unwrap();
    for (host, port, address) in [(&a, "p1", "10.8.0.1"), (&b, "p2", "10.8.0.2")] {
        veth(End::new(&switch, port), End::new(host, "lan0"), &VethOptions::default()).unwrap();
        switch.plug(port, "lan").unwrap();
        host.add_address("lan0", &format!("{address}/24")).unwrap();
        wait_ready(&[(&switch, port), (host, "lan0")]).unwrap();
    }
    let heard = b.run(|| UdpSocket::bind("10.8.0.2:7000")).unwrap();
    heard.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
    let sender = a.run(|| UdpSocket::bind("10.8.0.1:7000")).unwrap();
    let passes = || {
        sender.send_to(b"x", "10.8.0.2:7000").unwrap();
        heard.recv_from(&mut [0; 8]).is_ok()
    };
    assert!(passes());
    switch.enable_port("p2", false).unwrap();
    assert!(!passes() && b.link("lan0").unwrap().carrier);
    switch.enable_port("p2", true).unwrap();
    assert!(passes());
    ["p1", "p2"].iter().for_each(|port| switch.isolate_port(port, true).unwrap());
    assert!(!passes());
    switch.isolate_port("p1", false).unwrap();
    assert!(passes(), "to one that is not isolated");
    assert!(a.enable_port("left", true).is_err(), "in no bridge");
}

#[test]
fn offloads_are_off_unless_wanted() {
    let Some((a, b)) = pair(1) else { return };
    let options = VethOptions { offloads: true, ..VethOptions::default() };
    veth(End::new(&a, "lazy"), End::new(&b, "lazy"), &options).unwrap();
    for feature in ["tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-generic-segmentation"] {
        assert!(!a.feature("left", feature).unwrap() && !b.feature("right", feature).unwrap());
        assert!(a.feature("lazy", feature).unwrap());
    }
    a.set_features("left", &[("rx-gro", true)]).unwrap();
    assert!(a.feature("left", "rx-gro").unwrap() && !b.feature("right", "rx-gro").unwrap());
    assert!(a.set_features("left", &[("no-such-feature", true)]).is_err());
}

#[test]
fn names_repeat_between_namespaces_but_not_within_one() {
    let Some((a, b)) = pair(1) else { return };
    let c = Namespace::new("nst").unwrap();
    veth(End::new(&c, "left"), End::new(&b, "other"), &VethOptions::default()).unwrap();
    let again = veth(End::new(&a, "left"), End::new(&c, "x"), &VethOptions::default());
    assert_eq!(again.unwrap_err().errno(), Some(nix::errno::Errno::EEXIST));
}

#[test]
fn routes_and_neighbours_carry_packets_through_a_middle_namespace() {
    let Some((a, b)) = pair(1) else { return };
    let c = Namespace::new("nst").unwrap();
    veth(End::new(&b, "b1"), End::new(&c, "c0"), &VethOptions::default()).unwrap();
    b.add_address("b1", "10.9.1.1/24").unwrap();
    c.add_address("c0", "10.9.1.2/24").unwrap();
    b.set_sysctl("net/ipv4/ip_forward", "1").unwrap();
    assert_eq!(b.sysctl("net/ipv4/ip_forward").unwrap(), "1");
    assert_eq!(a.sysctl("net/ipv4/ip_forward").unwrap(), "0");
    a.add_route("10.9.1.0/24", "10.9.0.2").unwrap();
    c.add_route("0.0.0.0/0", "10.9.1.1").unwrap();
    a.set_neighbour("left", "10.9.0.2", b.link("right").unwrap().mac).unwrap();
    let server = c.run(|| UdpSocket::bind("10.9.1.2:53")).unwrap();
    let client = a.run(|| UdpSocket::bind("10.9.0.1:0")).unwrap();
    client.send_to(b"query", "10.9.1.2:53").unwrap();
    let mut buffer = [0; 16];
    server.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from.ip()), (&b"query"[..], "10.9.0.1".parse().unwrap()));
    a.delete_neighbour("left", "10.9.0.2").unwrap();
    a.delete_route("10.9.1.0/24").unwrap();
    assert!(client.send_to(b"query", "10.9.1.2:53").is_err());
}

#[test]
fn only_the_network_namespace_changes_for_a_command() {
    let Some((a, _)) = pair(1) else { return };
    let links = |kind: &str| {
        let mut command = Command::new("readlink");
        command.arg(format!("/proc/self/ns/{kind}"));
        let inside = String::from_utf8(a.output(&mut command).unwrap().stdout).unwrap();
        let outside = String::from_utf8(command.output().unwrap().stdout).unwrap();
        (inside, outside)
    };
    let (inside, outside) = links("net");
    assert_ne!(inside, outside);
    assert_eq!(inside.trim(), format!("net:[{}]", a.inode()));
    let (inside, outside) = links("mnt");
    assert_eq!(inside, outside);
}

#[test]
fn link_local_addresses_are_usable_and_found() {
    let Some((a, b)) = pair(1) else { return };
    let (left, right) = (a.link_local("left").unwrap(), b.link_local("right").unwrap());
    assert!(left.is_some() && right.is_some() && left != right);
    a.delete_address("left", "10.9.0.1/24").unwrap();
    assert!(a.delete_address("left", "10.9.0.1/24").is_err());
}

#[test]
fn a_visible_name_goes_with_its_value_and_stale_ones_are_removed() {
    if pair(1).is_none() {
        return;
    }
    let shown = match Namespace::visible("nst-shown") {
        Ok(namespace) => namespace,
        Err(error) => panic!("{error}"),
    };
    let path = Path::new("/run/netns").join(shown.name());
    let _entered = std::fs::File::open(&path).unwrap();
    // Ours is alive, so it is not stale; one of a process id that cannot exist is.
    let stale = Path::new("/run/netns/nst-shown-4194305-0");
    std::fs::File::create(stale).unwrap();
    assert_eq!(cleanup_stale("nst-shown"), 1);
    assert!(path.exists() && !stale.exists());
    drop(shown);
    assert!(!path.exists());
}

#[test]
fn a_panic_inside_goes_on_outside() {
    let Some((a, _)) = pair(1) else { return };
    let caught = std::panic::catch_unwind(|| a.run(|| panic!("planted")));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"planted"));
}

#[test]
fn text_that_is_no_prefix_is_named() {
    let Some((a, _)) = pair(1) else { return };
    for text in ["10.0.0.1", "10.0.0.1/33", "fd00::/129", "x/8", "10.0.0.1/"] {
        assert_eq!(a.add_address("left", text), Err(Error::BadPrefix(text.to_owned())));
    }
    assert_eq!(a.add_route("10.0.0.0/8", "x"), Err(Error::BadAddress("x".to_owned())));
    assert!(a.set_sysctl("kernel/hostname", "x").is_err());
}
