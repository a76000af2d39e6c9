//! The way from node to node for packets: one worker's sockets on the fabric.
//!
//! ```text
//!  old owner: frame ─► port's number, term, tag ─► UDP ──fabric──► UDP ─► checked ─► frame :new owner
//! ```
//!
//! Kernel sockets, one read or one written packet a system call: latecomers of a switchover come for a
//! moment. Neither end allocates.

use core::ops::Range;
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
    peer: IpAddr,
    to: SockaddrStorage,
    labels: Vec<Label>,
    longest_frame: usize,
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
    /// The address of the other node, and its Geneve port.
    pub peer: SocketAddr,
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

/// What came over the fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A [`Fabric::frame`] of the peer, as if it had come in by this port.
    Frame(PortId, Passed),
    /// Not to be taken.
    Refused(Reason),
}

impl Fabric {
    /// Assembles it.
    #[must_use]
    pub fn new(parts: FabricParts) -> Self {
        let FabricParts { key, peer, labels, longest_frame, receiver, sender, latecomers, clock } =
            parts;
        let buffer = vec![0; FABRIC_DATAGRAM].into();
        Self {
            key,
            peer: peer.ip(),
            to: peer.into(),
            labels,
            longest_frame,
            receiver,
            sender,
            latecomers,
            clock,
            buffer,
            frame: 0..0,
        }
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
        let Label { number, domain } = *self.labels.get(port.index()).ok_or(Reason::FabricPort)?;
        let term = self.latecomers.term();
        let passed = Passed { hops: PASS_HOPS_MAX, port: number, domain, zone: 0, term };
        self.send(&passed, frame)
    }

    /// Passes on what came last, and was passed on to this node.
    pub(crate) fn pass_again(&self, passed: Passed) -> Result<(), Reason> {
        let again = passed.again().map_err(reason)?;
        self.send(&Passed { term: self.latecomers.term(), ..again }, self.frame())
    }

    fn send(&self, passed: &Passed, frame: &[u8]) -> Result<(), Reason> {
        if frame.len() > self.longest_frame {
            return Err(Reason::FabricTooBig);
        }
        let head = passed.head(&self.key, frame);
        let parts = [IoSlice::new(&head), IoSlice::new(frame)];
        match sendmsg(self.sender.as_raw_fd(), &parts, &[], FLAGS, Some(&self.to)) {
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
        if from.ip() != self.peer {
            return Err(Reason::FabricStranger);
        }
        let (passed, frame) = Passed::read(&self.key, &self.buffer[..length]).map_err(reason)?;
        self.frame = length - frame.len()..length;
        if passed.term.saturating_add(FABRIC_TERMS_BACK) < self.latecomers.term() {
            return Err(Reason::FabricTerm);
        }
        let label = Label { number: passed.port, domain: passed.domain };
        let port = self.labels.iter().position(|it| *it == label).ok_or(Reason::FabricPort)?;
        Ok(Arrival::Frame(PortId(port as u16), passed))
    }
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
