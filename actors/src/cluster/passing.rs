//! How workers reach the other firewalls with packets: the key, what ports are called between nodes, sockets,
//! and whether the fabric is wide enough.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;

use cluster_core::NodeId;
use config::Port;
use datapath::fabric::{FabricParts, Label, never_cut};
use datapath::{Fabric, Latecomers};
use futures_util::TryStreamExt as _;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBufForce, SndBufForce};
use rtnetlink::packet_route::link::LinkAttribute;
use siphasher::sip::SipHasher24;
use socket2::{Domain, Protocol, Socket, Type};
use wire::ethernet;
use wire::geneve::{MTU_OVERHEAD, OVERHEAD, TagKey};

use super::limits::FABRIC_SOCKET_BYTES;
use crate::flow::XskWorker;
use crate::ports::Watched;

/// What all workers have in common.
#[derive(Clone, Debug)]
pub(crate) struct Passing {
    pub(super) key: [u64; 2],
    pub(super) local: IpAddr,
    /// Of Geneve.
    pub(super) port: u16,
    pub(super) peers: Vec<(NodeId, IpAddr)>,
    pub(super) labels: Vec<Label>,
    pub(super) longest_frame: usize,
    pub(super) latecomers: Latecomers,
}

impl Passing {
    /// Connects a worker to the other firewalls.
    pub(super) fn join(&self, worker: &mut XskWorker) -> io::Result<()> {
        let receiver = open(SocketAddr::new(self.local, self.port))?;
        // A port of its own, so that the peer's workers share what the workers of this node send.
        let sender = open(SocketAddr::new(self.local, 0))?;
        worker.join_fabric(Fabric::new(FabricParts {
            key: TagKey::new(self.key),
            peers: self.peers.iter().map(|(_, it)| SocketAddr::new(*it, self.port)).collect(),
            labels: self.labels.clone(),
            longest_frame: self.longest_frame,
            receiver: receiver.into(),
            sender: sender.into(),
            latecomers: self.latecomers.clone(),
            clock: crate::clock::now,
        }));
        Ok(())
    }
}

/// A socket on the fabric. The address may come later than the daemon.
fn open(local: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    match local {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    socket.set_reuse_port(true)?;
    setsockopt(&socket, RcvBufForce, &FABRIC_SOCKET_BYTES)?;
    setsockopt(&socket, SndBufForce, &FABRIC_SOCKET_BYTES)?;
    never_cut(socket.as_fd(), local.ip())?;
    socket.bind(&local.into())?;
    Ok(socket)
}

/// What the ports are called between nodes: a number for each name, the same wherever the names are.
pub(super) fn labels(ports: &[Port]) -> Vec<Label> {
    let mut order: Vec<usize> = (0..ports.len()).collect();
    order.sort_by_key(|port| &ports[*port].name);
    let mut labels = vec![Label { number: 0, domain: 0 }; ports.len()];
    let mut taken = Vec::new();
    for port in order {
        let Port { name, domain, .. } = &ports[port];
        let mut number = SipHasher24::new().hash(name.as_bytes()) as u16;
        while taken.contains(&number) {
            number = number.wrapping_add(1);
        }
        taken.push(number);
        labels[port] = Label { number, domain: *domain };
    }
    labels
}

/// The longest frame that fits through a fabric of this MTU.
pub(super) fn longest_frame(mtu: u32, local: IpAddr) -> usize {
    let ip = match local {
        IpAddr::V4(_) => 20,
        IpAddr::V6(_) => 40,
    };
    (mtu as usize).saturating_sub(ip + UDP + OVERHEAD)
}

/// Bytes of a UDP header.
const UDP: usize = 8;

const _: () = assert!(40 + UDP + OVERHEAD + ethernet::HEADER_LEN <= MTU_OVERHEAD as usize);

/// The interface's MTU now; `None` if it is away.
pub(super) async fn mtu(interface: &str) -> Option<u32> {
    let (connection, handle, _) = rtnetlink::new_connection().ok()?;
    let connection = tokio::spawn(connection);
    let mut links = handle.link().get().match_name(interface.to_owned()).execute();
    let link = links.try_next().await.ok().flatten();
    connection.abort();
    let mtu = |attribute: &LinkAttribute| {
        let LinkAttribute::Mtu(mtu) = attribute else { return None };
        Some(*mtu)
    };
    link?.attributes.iter().find_map(mtu)
}

/// Tells people which ports carry packets that the fabric cannot.
pub(super) fn warn_of_narrow(interface: &str, mtu: u32, ports: &[Watched]) {
    for port in ports.iter().filter(|port| mtu < port.link.mtu + MTU_OVERHEAD) {
        let (port, wanted) = (&port.name, port.link.mtu + MTU_OVERHEAD);
        tracing::warn!(
            port,
            interface,
            mtu,
            wanted,
            "THE FABRIC IS TOO NARROW: in a switchover long packets of the port are lost; set \
             `ip link set {interface} mtu {wanted}`, on every node"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, domain: u16) -> Port {
        let text = format!(
            "[node]\nid = 1\nname = \"fw1\"\n[[port]]\nname = \"{name}\"\ninterface = \"eth0\"\n\
             domain = {domain}\n"
        );
        let node = config::parse_node("node.toml", &text).expect("a good file").value;
        node.ports.into_iter().next().expect("a port")
    }

    #[test]
    fn ports_are_called_alike_in_any_order() {
        let [lan, wan] = [port("lan", 0), port("wan", 3)];
        let there = labels(&[lan.clone(), wan.clone()]);
        let here = labels(&[wan, lan]);
        assert_eq!((there[0], there[1]), (here[1], here[0]));
        assert_eq!((there[0].domain, there[1].domain), (0, 3));
        assert_ne!(there[0].number, there[1].number);
    }

    #[test]
    fn names_of_one_number_are_told_apart() {
        let ports: Vec<Port> = (0..64).map(|it| port(&format!("p{it}"), 0)).collect();
        let mut numbers: Vec<u16> = labels(&ports).iter().map(|it| it.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 64);
    }

    #[test]
    fn a_fabric_a_hundred_bytes_wider_takes_full_frames() {
        for local in ["10.9.0.1", "fd09::1"] {
            let longest = longest_frame(1_500 + MTU_OVERHEAD, local.parse().expect("an address"));
            assert!(longest >= 1_514, "{longest}");
            assert!(longest_frame(1_500, local.parse().expect("an address")) < 1_514);
        }
    }
}
