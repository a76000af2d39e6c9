//! Netlink messages and one blocking request at a time (RFC 3549 §2).

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
};
use nix::sys::time::TimeVal;

use crate::Error;
use crate::limits::{NETLINK_BUFFER, NETLINK_TIMEOUT};

/// Length of `struct nlmsghdr`: length u32, type u16, flags u16, sequence u32, port u32.
const HEADER: usize = 16;
/// Length of `struct nlattr`: length u16, type u16.
const ATTRIBUTE: usize = 4;
/// Marks an attribute that holds attributes.
const NESTED: u16 = libc::NLA_F_NESTED as u16;

pub(crate) const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
pub(crate) const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
pub(crate) const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
pub(crate) const DUMP: u16 = libc::NLM_F_DUMP as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
const ERROR: u16 = libc::NLMSG_ERROR as u16;
const DONE: u16 = libc::NLMSG_DONE as u16;

/// A request under construction.
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// `fixed` is the family's own header, for instance `struct ifinfomsg`.
    pub(crate) fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST | ACK).to_ne_bytes());
        bytes.extend_from_slice(fixed);
        let mut message = Self { bytes };
        message.pad();
        message
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(ATTRIBUTE + value.len()).expect("attributes are short");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// A string with its closing zero byte.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.attribute(kind | NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).expect("attributes are short");
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Bytes without an attribute header, for fixed headers inside attributes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// The datagram, with its length and sequence number filled in.
    fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).expect("requests are short");
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// A netlink socket in the namespace of the thread that opened it.
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub(crate) fn open(protocol: SockProtocol) -> Result<Self, Error> {
        let failed = Error::netlink("netlink socket");
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
            .map_err(&failed)?;
        let timeout = TimeVal::new(NETLINK_TIMEOUT.as_secs().cast_signed(), 0);
        setsockopt(&fd, ReceiveTimeout, &timeout).map_err(&failed)?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends `message` and returns the payloads of the answers; `what` names the request in errors.
    pub(crate) fn request(&mut self, what: &str, message: Message) -> Result<Vec<Vec<u8>>, Error> {
        self.sequence += 1;
        let bytes = message.finish(self.sequence);
        send(self.fd.as_raw_fd(), &bytes, MsgFlags::empty()).map_err(Error::netlink(what))?;
        self.answers(what)
    }

    fn answers(&self, what: &str) -> Result<Vec<Vec<u8>>, Error> {
        let mut answers = Vec::new();
        let mut buffer = vec![0; NETLINK_BUFFER];
        loop {
            let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())
                .map_err(Error::netlink(what))?;
            if self.take(what, &buffer[..length], &mut answers)? {
                return Ok(answers);
            }
        }
    }

    /// Adds the messages of one datagram to `answers`; true once the last one is there.
    fn take(&self, what: &str, bytes: &[u8], answers: &mut Vec<Vec<u8>>) -> Result<bool, Error> {
        let truncated = || Error::Truncated { request: what.to_owned() };
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = read_u32(rest, 0).ok_or_else(truncated)? as usize;
            let message = rest.get(..length).ok_or_else(truncated)?;
            let kind = read_u16(message, 4).ok_or_else(truncated)?;
            let sequence = read_u32(message, 8).ok_or_else(truncated)?;
            let payload = message.get(HEADER..).ok_or_else(truncated)?;
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
            if sequence != self.sequence {
                continue; // The late answer to a request that timed out.
            }
            match kind {
                ERROR | DONE => return acknowledged(what, payload),
                _ => answers.push(payload.to_vec()),
            }
        }
        Ok(false)
    }
}

/// The error number of an acknowledgement or of the end of a dump: 0 is success.
fn acknowledged(what: &str, payload: &[u8]) -> Result<bool, Error> {
    match read_u32(payload, 0).map_or(0, u32::cast_signed) {
        0 => Ok(true),
        errno => Err(Error::netlink(what)(Errno::from_raw(-errno))),
    }
}

/// The attributes after a fixed header, as (type without flags, value).
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(read_u16(rest, 0)?);
        let kind = read_u16(rest, 2)? & libc::NLA_TYPE_MASK as u16;
        let value = rest.get(ATTRIBUTE..length)?;
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        Some((kind, value))
    })
}

pub(crate) fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
