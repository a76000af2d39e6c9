//! Three network namespaces in a row, with IPv4 and IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netns::{End, Error, Namespace, VethOptions, veth, wait_ready};

/// Client, router and server; gone when this value is, or the process.
///
/// The router's kernel forwards nothing unless it is told to: what gets through has gone through
/// the firewall.
pub(super) struct Network {
    pub(super) client: Namespace,
    pub(super) router: Namespace,
    pub(super) server: Namespace,
}

/// Addresses for documentation (RFC 5737, RFC 3849): on no network that matters.
pub(super) const CLIENT: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2)),
];
pub(super) const SERVER: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 2)),
];

const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];
const LENGTHS: [u8; 2] = [24, 64];

impl Network {
    /// Makes it; every link carries traffic when this returns.
    pub(super) fn make() -> Result<Self, Error> {
        let new = || Namespace::new("ringwall-demo");
        let network = Self { client: new()?, router: new()?, server: new()? };
        let Self { client, router, server } = &network;
        join(client, "eth0", router, "lan0", CLIENT)?;
        join(server, "eth0", router, "wan0", SERVER)?;
        for host in [client, server] {
            // Unprivileged ICMP echo sockets, for every group.
            host.set_sysctl("net/ipv4/ping_group_range", "0 2147483647")?;
        }
        wait_ready(&[(client, "eth0"), (router, "lan0"), (router, "wan0"), (server, "eth0")])?;
        Ok(network)
    }

    /// Lets the router's kernel forward from now on.
    pub(super) fn forward(&self) -> Result<(), Error> {
        self.router.set_sysctl("net/ipv4/ip_forward", "1")?;
        self.router.set_sysctl("net/ipv6/conf/all/forwarding", "1")
    }
}

/// A veth pair with unfinished checksums and segments switched off, as on a wire.
fn join(
    host: &Namespace,
    link: &str,
    router: &Namespace,
    port: &str,
    addresses: [IpAddr; 2],
) -> Result<(), Error> {
    veth(End::new(host, link), End::new(router, port), &VethOptions::default())?;
    for ((address, length), everywhere) in addresses.into_iter().zip(LENGTHS).zip(EVERYWHERE) {
        let gateway = gateway(address);
        host.add_address(link, &format!("{address}/{length}"))?;
        router.add_address(port, &format!("{gateway}/{length}"))?;
        host.add_route(everywhere, &gateway.to_string())?;
    }
    Ok(())
}

/// The router's address beside a host's: the one before it.
fn gateway(host: IpAddr) -> IpAddr {
    match host {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() - 1).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() - 1).into(),
    }
}
