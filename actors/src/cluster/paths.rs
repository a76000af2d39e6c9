//! The sockets of heartbeats: one for each path to the other nodes.
//!
//! On the fabric each node has an address. On a data segment a node may have none but the group's, so
//! heartbeats go from link-local address to all nodes of the link (`ff02::1`), and those that are for
//! somebody else are refused by the machine.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};

use cluster_core::NodeId;
use cluster_core::membership::PathId;
use socket2::{Domain, Protocol, Socket, Type};
use wire::Time;

use super::limits::SOCKET_PAUSE;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Where a path leads.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// Its number, the same at both ends.
    pub(super) id: PathId,
    /// What people call it.
    pub(super) name: String,
    /// The interface.
    pub(super) device: String,
    /// Address of this node in it.
    pub(super) local: SocketAddr,
    /// Where the others are.
    pub(super) reach: Reach,
}

/// Where heartbeats of a path go.
#[derive(Clone, Debug)]
pub(super) enum Reach {
    /// To the node's own address.
    Each(Vec<(NodeId, SocketAddr)>),
    /// To all nodes of the link.
    All(SocketAddr),
}

impl Path {
    /// The fabric's number.
    pub(super) const FABRIC: PathId = PathId(0);

    /// Over the fabric.
    pub(super) fn fabric(
        device: &str,
        local: IpAddr,
        others: impl IntoIterator<Item = (NodeId, IpAddr)>,
        port: u16,
    ) -> Self {
        let at = |address| SocketAddr::new(address, port);
        let each = others.into_iter().map(|(node, address)| (node, at(address))).collect();
        let (name, device) = ("fabric".to_owned(), device.to_owned());
        Self { id: Self::FABRIC, name, device, local: at(local), reach: Reach::Each(each) }
    }

    /// Over the segment of a port.
    pub(super) fn segment(id: PathId, name: &str, device: &str, port: u16) -> Self {
        let local = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let reach = Reach::All(SocketAddr::new(ALL_NODES.into(), port));
        Self { id, name: name.to_owned(), device: device.to_owned(), local, reach }
    }

    /// Where heartbeats to `node` go.
    fn to(&self, node: NodeId) -> Option<SocketAddr> {
        match &self.reach {
            Reach::Each(others) => {
                others.iter().find(|(other, _)| *other == node).map(|(_, address)| *address)
            }
            Reach::All(address) => Some(*address),
        }
    }

    fn open(&self) -> io::Result<UdpSocket> {
        let domain = Domain::for_address(self.local);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(self.device.as_bytes()))?;
        if self.local.is_ipv6() {
            socket.set_only_v6(true)?;
            socket.set_multicast_loop_v6(false)?;
        }
        socket.bind(&self.local.into())?;
        Ok(socket.into())
    }
}

/// All paths.
pub(super) struct Paths(Vec<Open>);

struct Open {
    path: Path,
    socket: Option<UdpSocket>,
    retry_at: Time,
    /// To whom it does not work, as people were told; nobody in particular if there is no socket.
    told: Vec<Option<NodeId>>,
}

impl Paths {
    pub(super) fn new(paths: Vec<Path>) -> Self {
        let closed = |path| Open { path, socket: None, retry_at: Time::ZERO, told: Vec::new() };
        Self(paths.into_iter().map(closed).collect())
    }

    /// Opens what is not open. An interface that is away comes back under another number, so its
    /// socket is closed when sending fails.
    pub(super) fn open(&mut self, now: Time) {
        for it in self.0.iter_mut().filter(|it| it.socket.is_none() && it.retry_at <= now) {
            match it.path.open() {
                Ok(socket) => it.socket = Some(socket),
                Err(error) => it.fail(None, &error, now),
            }
        }
    }

    /// Sends a heartbeat, if the path is there.
    pub(super) fn send(&mut self, to: NodeId, id: PathId, bytes: &[u8], now: Time) {
        let Some(it) = self.0.iter_mut().find(|it| it.path.id == id) else { return };
        let (Some(socket), Some(address)) = (&it.socket, it.path.to(to)) else { return };
        match socket.send_to(bytes, address) {
            Ok(_) => it.told.retain(|told| told.is_some_and(|told| told != to)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => it.fail(Some(to), &error, now),
        }
    }

    /// Reads one heartbeat of the path at `index` into `buffer`.
    pub(super) fn receive(&self, index: usize, buffer: &mut [u8]) -> Option<(PathId, usize)> {
        let it = self.0.get(index)?;
        // An error is one of an earlier packet's (port unreachable): heartbeats behind it are fine.
        let (length, _) = it.socket.as_ref()?.recv_from(buffer).ok()?;
        Some((it.path.id, length))
    }

    /// Where the others are in the fabric, from now on.
    pub(super) fn set_fabric(&mut self, others: Vec<(NodeId, IpAddr)>) {
        let Some(it) = self.0.iter_mut().find(|it| it.path.id == Path::FABRIC) else { return };
        let port = it.path.local.port();
        let at = |(node, address)| (node, SocketAddr::new(address, port));
        it.path.reach = Reach::Each(others.into_iter().map(at).collect());
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What to sleep on.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().filter_map(|it| Some(it.socket.as_ref()?.as_fd()))
    }

    /// What people call a path.
    pub(super) fn name(&self, id: PathId) -> &str {
        self.0.iter().find(|it| it.path.id == id).map_or("", |it| &it.path.name)
    }
}

impl Open {
    fn fail(&mut self, to: Option<NodeId>, error: &io::Error, now: Time) {
        // Nobody listens at the other end yet: that is for the machine to notice.
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return;
        }
        if !self.told.contains(&to) {
            let (path, device) = (&self.path.name, &self.path.device);
            let to = to.map(|node| node.0);
            tracing::warn!(path, device, to, %error, "heartbeats cannot be sent");
            self.told.push(to.map(NodeId));
        }
        // Without a way to one node there may be one to the others.
        let unreachable = [io::ErrorKind::NetworkUnreachable, io::ErrorKind::HostUnreachable];
        if to.is_none() || !unreachable.contains(&error.kind()) {
            self.socket = None;
            self.retry_at = now + SOCKET_PAUSE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_go_from_end_to_end() {
        let local: IpAddr = "127.0.0.1".parse().expect("an address");
        let receivers =
            [2, 3].map(|node| (NodeId(node), UdpSocket::bind("127.0.0.1:0").expect("a port")));
        let at = |(node, socket): &(NodeId, UdpSocket)| {
            (*node, socket.local_addr().expect("it is bound"))
        };
        let reach = Reach::Each(receivers.iter().map(at).collect());
        let path = Path { reach, ..Path::fabric("lo", local, [], 0) };
        let (mut paths, now) = (Paths::new(vec![path]), Time::from_secs(1));
        paths.open(now);
        assert_eq!(paths.descriptors().count(), 1);
        let mut buffer = [0; 16];
        for (node, receiver) in &receivers {
            paths.send(*node, Path::FABRIC, &node.0.to_be_bytes(), now);
            assert_eq!(receiver.recv(&mut buffer).expect("it comes"), 2);
            assert_eq!(buffer[..2], node.0.to_be_bytes());
        }
        paths.send(NodeId(4), Path::FABRIC, b"beat", now);
        assert_eq!(paths.receive(0, &mut buffer), None, "nobody answers");
    }

    #[test]
    fn a_node_without_a_way_to_it_keeps_no_heartbeats_from_the_others() {
        let local: IpAddr = "127.0.0.1".parse().expect("an address");
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let there = receiver.local_addr().expect("it is bound");
        // The loopback's addresses do not leave the loopback.
        let nowhere = "192.0.2.1:9".parse().expect("an address");
        let reach = Reach::Each(vec![(NodeId(2), nowhere), (NodeId(3), there)]);
        let path = Path { reach, ..Path::fabric("lo", local, [], 0) };
        let (mut paths, now) = (Paths::new(vec![path]), Time::from_secs(1));
        paths.open(now);
        paths.0[0].fail(Some(NodeId(2)), &io::ErrorKind::NetworkUnreachable.into(), now);
        assert_eq!(paths.0[0].told, [Some(NodeId(2))]);
        paths.send(NodeId(3), Path::FABRIC, b"beat", now);
        assert_eq!(receiver.recv(&mut [0; 16]).expect("it comes"), 4);
        assert_eq!(paths.0[0].told, [Some(NodeId(2))], "said once");
    }

    #[test]
    fn an_interface_that_is_away_is_tried_again_later() {
        let local: IpAddr = "127.0.0.1".parse().expect("an address");
        let mut paths = Paths::new(vec![Path::fabric("nowhere0", local, [], 0)]);
        let start = Time::from_secs(1);
        paths.open(start);
        assert_eq!(paths.descriptors().count(), 0);
        assert_eq!(paths.0[0].retry_at, start + SOCKET_PAUSE);
    }
}
