//! The way from node to node for packets: one worker's sockets on the fabric.
//!
//! ```text
//!  old owner: frame ─► port's number, term, tag ─► UDP ──fabric──► UDP ─► checked ─► frame :new owner
//! ```
//!
//! So go latecomers of a switchover, and, where many nodes own, packets of each other's slots. Kernel
//! sockets, one read or one written packet a system call. Neither end allocates.

use core::ops::Range;
use core::ptr;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use engine::{PortId, Reason};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, sendmsg};
use wire::Time;
use wire::geneve::{Passed, Refused, TagKey};
use wire::limits::PASS_HOPS_MAX;

use crate::lease::Latecomers;
use crate::limits::{FABRIC_DATAGRAM, FABRIC_TERMS_BACK};

/// One worker's end of the fabric.
#[derive(Debug)]
pub struct Fabric {
    key: TagKey,
    peers: Vec<(IpAddr, SockaddrStorage)>,
    labels: Vec<Label>,
    longest_frame: usize,
    /// Nodes own each its slots: a packet's term is that of its slot.
    pub(crate) by_slots: bool,
    receiver: UdpSocket,
    sender: UdpSocket,
    pub(crate) latecomers: Latecomers,
    pub(crate) clock: fn() -> Time,
    buffer: Box<[u8]>,
    /// Where in it the frame lies that came last.
    frame: Range<usize>,
}

/// What a worker's end is made of.
#[derive(Debug)]
pub struct FabricParts {
    /// The key of tags, the same on all nodes.
    pub key: TagKey,
    /// The addresses of the other nodes, with their Geneve port.
    pub peers: Vec<SocketAddr>,
    /// What the ports are called between nodes, in `PortId` order.
    pub labels: Vec<Label>,
    /// The longest frame that fits through.
    pub longest_frame: usize,
    /// Bound to the Geneve port, not blocking.
    pub receiver: UdpSocket,
    /// Bound to this node's address, not blocking. Not connected: there need be no way to the peer yet.
    pub sender: UdpSocket,
    /// What is done without a lease.
    pub latecomers: Latecomers,
    /// The clock of leases, which is looked at once more before frames leave.
    pub clock: fn() -> Time,
}

/// What a port is called between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// A number, the same on all nodes.
    pub number: u16,
    /// Its routing domain.
    pub domain: u16,
}

/// How a packet has come from node to node so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Travelled {
    /// How often it may be passed on yet.
    pub(crate) hops: u8,
    /// It is a fragment of a datagram that was whole already ([`Passed::piece`]).
    pub(crate) piece: bool,
}

impl Travelled {
    /// Of what came in by a port.
    pub(crate) const NOT_YET: Self = Self { hops: PASS_HOPS_MAX, piece: false };

    /// Of what another node passed on.
    pub(crate) fn of(passed: &Passed) -> Self {
        Self { hops: passed.again().map_or(0, |again| again.hops), piece: passed.piece }
    }
}

/// What came over the fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A [`Fabric::frame`] of another node, as if it had come in by this port.
    Frame(PortId, Passed),
    /// Not to be taken.
    Refused(Reason),
}

impl Fabric {
    /// Assembles it.
    #[must_use]
    pub fn new(parts: FabricParts) -> Self {
        let FabricParts { key, peers, labels, longest_frame, receiver, sender, latecomers, clock } =
            parts;
        let peers = peers.into_iter().map(|peer| (peer.ip(), peer.into())).collect();
        let buffer = vec![0; FABRIC_DATAGRAM].into();
        Self {
            key,
            peers,
            labels,
            longest_frame,
            by_slots: false,
            receiver,
            sender,
            latecomers,
            clock,
            buffer,
            frame: 0..0,
        }
    }

    /// How many other nodes it knows.
    #[must_use]
    pub const fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Takes in one more of the other nodes, with its Geneve port; it has the next place.
    pub fn meet(&mut self, peer: SocketAddr) {
        self.peers.push((peer.ip(), peer.into()));
    }

    /// What to sleep on.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }

    /// The socket that it sends by.
    #[must_use]
    pub const fn sender(&self) -> &UdpSocket {
        &self.sender
    }

    /// Passes a frame on that came in by `port`.
    pub(crate) fn pass_on(&self, port: PortId, frame: &[u8]) -> Result<(), Reason> {
        self.pass_to_heir(Travelled::NOT_YET, (port, frame))
    }

    /// Passes on what came last, and was passed on to this node.
    pub(crate) fn pass_again(&self, port: PortId, passed: &Passed) -> Result<(), Reason> {
        self.pass_to_heir(Travelled::of(passed), (port, self.frame()))
    }

    fn pass_to_heir(&self, travelled: Travelled, came: (PortId, &[u8])) -> Result<(), Reason> {
        self.hand_over(self.latecomers.heir(), self.latecomers.term(), travelled, came)
    }

    /// Gives a frame that came in by a port to the node at this place, which has its slot since `term`.
    pub(crate) fn hand_over(
        &self,
        place: usize,
        term: u64,
        travelled: Travelled,
        (port, frame): (PortId, &[u8]),
    ) -> Result<(), Reason> {
        let Label { number, domain } = *self.labels.get(port.index()).ok_or(Reason::FabricPort)?;
        let Travelled { hops, piece } = travelled;
        if hops == 0 {
            return Err(Reason::FabricHops);
        }
        self.send(place, &Passed { hops, port: number, domain, zone: 0, term, piece }, frame)
    }

    fn send(&self, place: usize, passed: &Passed, frame: &[u8]) -> Result<(), Reason> {
        if frame.len() > self.longest_frame {
            return Err(Reason::FabricTooBig);
        }
        // There is one whenever packets are passed on, and whoever has a slot is known.
        let (_, to) = self.peers.get(place).ok_or(Reason::FabricFull)?;
        let head = passed.head(&self.key, frame);
        let parts = [IoSlice::new(&head), IoSlice::new(frame)];
        match sendmsg(self.sender.as_raw_fd(), &parts, &[], FLAGS, Some(to)) {
            Ok(_) => Ok(()),
            Err(Errno::EMSGSIZE) => Err(Reason::FabricTooBig),
            Err(_) => Err(Reason::FabricFull),
        }
    }

    /// Takes in the next packet of the fabric.
    pub(crate) fn receive(&mut self) -> Option<Arrival> {
        let (length, from) = receive(&self.receiver, &mut self.buffer)?;
        Some(self.check(from, length).unwrap_or_else(Arrival::Refused))
    }

    /// The frame that came last.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.buffer[self.frame.clone()]
    }

    fn check(&mut self, from: SocketAddr, length: usize) -> Result<Arrival, Reason> {
        if !self.peers.iter().any(|(peer, _)| *peer == from.ip()) {
            return Err(Reason::FabricStranger);
        }
        let (passed, frame) = Passed::read(&self.key, &self.buffer[..length]).map_err(reason)?;
        self.frame = length - frame.len()..length;
        // Of a slot the term is old for as long as nothing happens. Who sends by an older one has found the
        // right node all the same, or the packet goes on from here.
        let by_term = !self.by_slots;
        if by_term && passed.term.saturating_add(FABRIC_TERMS_BACK) < self.latecomers.term() {
            return Err(Reason::FabricTerm);
        }
        let label = Label { number: passed.port, domain: passed.domain };
        let port = self.labels.iter().position(|it| *it == label).ok_or(Reason::FabricPort)?;
        Ok(Arrival::Frame(PortId(port as u16), passed))
    }
}

/// Makes the kernel refuse what is too long for the fabric's interface now ([`Reason::FabricTooBig`]), where
/// it would cut it into fragments (RFC 8926 §4.4.1): the interface may have become narrower since
/// [`FabricParts::longest_frame`] was worked out, or was away then.
///
/// # Errors
/// What the kernel says.
#[allow(unsafe_code, reason = "a system call that no safe crate offers")]
pub fn never_cut(socket: BorrowedFd<'_>, local: IpAddr) -> io::Result<()> {
    // As the interface says, whatever ICMP tells of the way (ip(7)).
    let (level, name, value) = match local {
        IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    };
    let length = size_of_val(&value) as libc::socklen_t;
    let place = ptr::from_ref(&value).cast();
    // SAFETY: `value` is valid for `length` bytes, and the kernel only reads it.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, place, length) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok(received) => return Some(received),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nothing is there.
            Err(_) => return None,
        }
    }
}

const fn reason(refused: Refused) -> Reason {
    match refused {
        Refused::Malformed => Reason::FabricMalformed,
        Refused::Tag => Reason::FabricTag,
        Refused::Hops => Reason::FabricHops,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(unsafe_code, reason = "a system call that no safe crate offers")]
    fn discovery(socket: &UdpSocket, level: libc::c_int, name: libc::c_int) -> libc::c_int {
        let (mut value, mut length) = (-1, size_of::<libc::c_int>() as libc::socklen_t);
        let place = (&raw mut value).cast();
        // SAFETY: the kernel writes at most `length` bytes to `place`, an integer's.
        let got =
            unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, place, &raw mut length) };
        assert_eq!(got, 0);
        value
    }

    #[test]
    fn nothing_is_cut_for_the_fabric() {
        let v4 = (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE);
        let v6 = (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE);
        for (local, (level, name, probe)) in [("127.0.0.1:0", v4), ("[::1]:0", v6)] {
            // A machine may lack one of the families.
            let Ok(socket) = UdpSocket::bind(local) else { continue };
            assert_ne!(discovery(&socket, level, name), probe, "it must be asked for");
            let own = socket.local_addr().expect("it is bound").ip();
            never_cut(socket.as_fd(), own).expect("a socket's own option");
            assert_eq!(discovery(&socket, level, name), probe, "{local}");
        }
    }
}
