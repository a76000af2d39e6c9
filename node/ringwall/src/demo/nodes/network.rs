//! Two segments that every node is on, and a fabric between the nodes.

use std::net::{IpAddr, Ipv4Addr};

use netns::{End, Error, Namespace, VethOptions, veth, wait_ready};

/// Client, server, the nodes, and the switch that joins them; gone when this value is, or the process.
pub(in crate::demo) struct Network {
    pub(in crate::demo) client: Namespace,
    pub(in crate::demo) server: Namespace,
    pub(super) nodes: Vec<Namespace>,
    #[expect(dead_code, reason = "keeps the bridges in being")]
    switch: Namespace,
}

/// Addresses for documentation (RFC 5737): on no network that matters.
pub(in crate::demo) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));
/// The gateways, which are the group's addresses.
pub(super) const GATEWAYS: [(&str, &str); 2] = [("lan", "192.0.2.1"), ("wan", "198.51.100.1")];
/// Where a node hears the others.
pub(super) fn fabric(index: usize) -> String {
    format!("203.0.113.{}", index + 1)
}

const SEGMENTS: [&str; 3] = ["lan", "wan", "fab"];

/// Room for what the nodes put around a packet that one passes to the other.
const FABRIC_MTU: u32 = 1_700;

impl Network {
    /// Makes it; every link carries traffic when this returns.
    pub(super) fn make(count: usize) -> Result<Self, Error> {
        let new = || Namespace::new("ringwall-demo");
        let (client, server, switch) = (new()?, new()?, new()?);
        let nodes = (0..count).map(|_| new()).collect::<Result<Vec<_>, _>>()?;
        SEGMENTS.into_iter().try_for_each(|segment| switch.add_bridge(segment))?;
        let plug = |host: &Namespace, link: &str, segment: &str, end: &str, address: &str| {
            let mtu = if segment == "fab" { FABRIC_MTU } else { 1_500 };
            let options = VethOptions { mtu, ..VethOptions::default() };
            veth(End::new(&switch, end), End::new(host, link), &options)?;
            switch.plug(end, segment)?;
            host.add_address(link, address)?;
            wait_ready(&[(&switch, end), (host, link)])
        };
        plug(&client, "eth0", "lan", "lan-client", "192.0.2.2/24")?;
        plug(&server, "eth0", "wan", "wan-server", &format!("{SERVER}/24"))?;
        for (node, at) in nodes.iter().zip(1..) {
            let fabric = fabric(at - 1);
            plug(node, "lan0", "lan", &format!("lan-{at}"), &format!("192.0.2.1{at}/24"))?;
            plug(node, "wan0", "wan", &format!("wan-{at}"), &format!("198.51.100.1{at}/24"))?;
            plug(node, "fab0", "fab", &format!("fab-{at}"), &format!("{fabric}/24"))?;
        }
        for (host, (_, gateway)) in [&client, &server].into_iter().zip(GATEWAYS) {
            host.add_route("0.0.0.0/0", gateway)?;
        }
        Ok(Self { client, server, nodes, switch })
    }
}
