//! The two netlink sockets: one that listens to notifications, one for requests, whose answers can
//! then not mix with notifications.
//!
//! Both are read here and not by rtnetlink's `Connection`: that one puts notifications into a queue
//! without a bound, while unread ones have to stay in the kernel, which says when it loses some.

use std::io;

use nix::errno::Errno;
use rtnetlink::MulticastGroup;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use tokio::time::timeout;

use super::MirrorError;
use super::limits::{DATAGRAM_MAX, DRAIN_MAX, RECEIVE_BUFFER, REQUEST_TIMEOUT};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

const GROUPS: [MulticastGroup; 6] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Neigh,
];

/// A message and the flags of its header (`NLM_F_*`).
pub(super) type Flagged = (RouteNetlinkMessage, u16);

/// The socket of the notifications.
pub(super) struct Notifications {
    socket: TokioSocket,
    buffer: Vec<u8>,
}

impl Notifications {
    pub(super) fn subscribe() -> Result<Self, MirrorError> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE).map_err(MirrorError::Socket)?;
        let groups = GROUPS.iter().fold(0, |groups, &group| groups | 1 << (group as u32 - 1));
        let raw = socket.socket_mut();
        raw.set_rx_buf_sz(RECEIVE_BUFFER).map_err(MirrorError::Socket)?;
        raw.bind(&SocketAddr::new(0, groups)).map_err(MirrorError::Socket)?;
        Ok(Self { socket, buffer: Vec::with_capacity(DATAGRAM_MAX) })
    }

    /// Waits for notifications. May be cancelled without loss. `ENOBUFS`: some were lost.
    pub(super) async fn next(&mut self, into: &mut Vec<Flagged>) -> io::Result<()> {
        self.buffer.clear();
        let from = self.socket.recv_from(&mut self.buffer).await?;
        self.take(&from, into);
        Ok(())
    }

    /// Like [`Notifications::next`] without waiting; false if there are none.
    pub(super) fn try_next(&mut self, into: &mut Vec<Flagged>) -> io::Result<bool> {
        self.buffer.clear();
        match self.socket.socket_ref().recv_from(&mut self.buffer, 0) {
            Ok((_, from)) => {
                self.take(&from, into);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Throws away what came before a dump: the dump holds it, and after a loss the rest would tell
    /// of a past whose continuation is missing.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        for _ in 0..DRAIN_MAX {
            self.buffer.clear();
            match self.socket.socket_ref().recv_from(&mut self.buffer, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_overrun(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take(&self, from: &SocketAddr, into: &mut Vec<Flagged>) {
        if from.port_number() != 0 {
            return; // not from the kernel
        }
        for message in messages(&self.buffer) {
            let flags = message.header.flags;
            if let NetlinkPayload::InnerMessage(inner) = message.payload {
                into.push((inner, flags));
            }
        }
    }
}

/// The socket of requests, one at a time.
pub(super) struct Requests {
    socket: TokioSocket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Requests {
    pub(super) fn open() -> Result<Self, MirrorError> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE).map_err(MirrorError::Socket)?;
        socket.socket_mut().bind_auto().map_err(MirrorError::Socket)?;
        Ok(Self { socket, buffer: Vec::with_capacity(DATAGRAM_MAX), sequence: 0 })
    }

    /// Hands every message of a dump to `each`. False if the kernel's table changed meanwhile, so
    /// that something may be missing.
    pub(super) async fn dump(
        &mut self,
        what: &'static str,
        request: RouteNetlinkMessage,
        each: impl FnMut(&RouteNetlinkMessage),
    ) -> Result<bool, MirrorError> {
        self.send(request, NLM_F_DUMP).await?;
        timeout(REQUEST_TIMEOUT, self.answers(what, each))
            .await
            .map_err(|_| MirrorError::Silent { what })?
    }

    /// Asks for something to be done, and waits until it is.
    pub(super) async fn ask(
        &mut self,
        what: &'static str,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), MirrorError> {
        self.send(request, NLM_F_ACK | flags).await?;
        timeout(REQUEST_TIMEOUT, self.answers(what, |_| {}))
            .await
            .map_err(|_| MirrorError::Silent { what })?
            .map(drop)
    }

    async fn send(&mut self, request: RouteNetlinkMessage, flags: u16) -> Result<(), MirrorError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let sent = self.socket.send_to(&bytes, &SocketAddr::new(0, 0)).await;
        sent.map(drop).map_err(MirrorError::Transfer)
    }

    /// Reads answers until the last one; earlier requests' are passed over.
    async fn answers(
        &mut self,
        what: &'static str,
        mut each: impl FnMut(&RouteNetlinkMessage),
    ) -> Result<bool, MirrorError> {
        let mut whole = true;
        loop {
            self.buffer.clear();
            let from = self.socket.recv_from(&mut self.buffer).await;
            if from.map_err(MirrorError::Transfer)?.port_number() != 0 {
                continue;
            }
            for message in messages(&self.buffer) {
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                whole &= message.header.flags & NLM_F_DUMP_INTR == 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(inner) => each(&inner),
                    NetlinkPayload::Done(done) if done.code == 0 => return Ok(whole),
                    NetlinkPayload::Done(done) => {
                        let error = io::Error::from_raw_os_error(done.code.saturating_neg());
                        return Err(MirrorError::Refused { what, error });
                    }
                    NetlinkPayload::Error(answer) if answer.code.is_none() => return Ok(whole),
                    NetlinkPayload::Error(answer) => {
                        return Err(MirrorError::Refused { what, error: answer.to_io() });
                    }
                    NetlinkPayload::Noop | NetlinkPayload::Overrun(_) | _ => {}
                }
            }
        }
    }
}

/// Whether the kernel lost notifications because nobody read them.
pub(super) fn is_overrun(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::ENOBUFS as i32)
}

/// The messages of a datagram. One that cannot be understood is said and passed over.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = NetlinkMessage<RouteNetlinkMessage>> {
    std::iter::from_fn(move || {
        while let Some(length) = message_length(datagram) {
            let message = NetlinkMessage::deserialize(&datagram[..length]);
            datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
            match message {
                Ok(message) => return Some(message),
                Err(error) => tracing::warn!(%error, "a netlink message is not understood"),
            }
        }
        None
    })
}

/// `nlmsg_len`, if that many bytes are there.
fn message_length(datagram: &[u8]) -> Option<usize> {
    let length = u32::from_ne_bytes(*datagram.first_chunk()?) as usize;
    (HEADER..=datagram.len()).contains(&length).then_some(length)
}
