//! Session descriptions (RFC 8866) as offers and answers carry them (RFC 3264): where media will go.
//!
//! ```text
//! v=0
//! o=alice 1 1 IN IP4 10.0.0.1          origin: a name for the session, made of an address
//! s=-
//! c=IN IP4 10.0.0.1                    connection: the address of all media …
//! t=0 0
//! m=audio 49170 RTP/AVP 0              medium: its port, its protocol
//! c=IN IP4 10.0.0.2                    … but for those with their own
//! a=rtcp:53020                         the port of its RTCP, where that is not the next one (RFC 3605)
//! a=sendonly                           who sends
//! a=candidate:1 1 UDP 1 10.0.0.1 …     another place where it may go (RFC 8839 §5.1)
//! ```
//!
//! A description is refused as a whole if one line of what is read here is not as the RFC writes it.

mod candidate;
mod media;
mod reader;
#[cfg(test)]
mod tests;

use core::net::IpAddr;

pub use self::candidate::Candidate;
pub use self::media::{Kind, Media, Protocol, Rtcp};
use super::{List, Span, text};
use crate::limits::{SDP_CANDIDATES_MAX, SDP_MEDIA_MAX};

/// Bytes that [`print_connection`] needs at most: `IN IP6 ` and an address.
pub const CONNECTION_BYTES: usize = 7 + 45;

/// What is known of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The address in `o=`.
    pub origin: Connection,
    /// `c=` for all media.
    pub connection: Option<Connection>,
    /// Who sends, for all media.
    pub flow: Option<Flow>,
    /// The media, in order: an answer has as many as the offer (RFC 3264 §6).
    pub media: List<Media, SDP_MEDIA_MAX>,
    /// Where else media may go.
    pub candidates: List<Candidate, SDP_CANDIDATES_MAX>,
}

impl Session {
    /// Where this medium goes; `None` if that is said nowhere.
    pub fn connection_of(&self, media: &Media) -> Option<Connection> {
        media.connection.or(self.connection)
    }

    /// Who sends this medium (RFC 8866 §6.7).
    pub fn flow_of(&self, media: &Media) -> Flow {
        media.flow.or(self.flow).unwrap_or(Flow::Both)
    }

    /// Whether the medium is on hold: the other side is not to send, by what it is told or, as before RFC
    /// 3264 (§8.4), by an address that is none.
    pub fn is_held(&self, media: &Media) -> bool {
        let nowhere = self.connection_of(media).and_then(|it| it.address);
        let nowhere = nowhere.is_some_and(|address| address.is_unspecified());
        nowhere || matches!(self.flow_of(media), Flow::Sending | Flow::None)
    }
}

/// `IN IP4 10.0.0.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// All of it, but for what a multicast address has behind a slash: what [`print_connection`] can
    /// replace.
    pub span: Span,
    /// The address alone.
    pub host: Span,
    /// The address; `None` is a name.
    pub address: Option<IpAddr>,
}

/// Who sends, as the one says who describes the session (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// `sendrecv`.
    Both,
    /// `sendonly`.
    Sending,
    /// `recvonly`.
    Receiving,
    /// `inactive`.
    None,
}

/// Why a description is not understood. It opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not begin with `v=0`, or has no `o=`.
    NotSdp,
    /// A line is no `letter=value`, or has a carriage return within.
    Line,
    /// The line of this letter is not as RFC 8866 writes it.
    Malformed(u8),
    /// The line of this letter stands there twice, and must not.
    Repeated(u8),
    /// An attribute `rtcp`, or one that says who sends, is malformed, or says two things.
    Attribute,
    /// An attribute `candidate` is not as RFC 8839 writes it.
    Candidate,
    /// More than [`SDP_MEDIA_MAX`] media.
    TooManyMedia,
    /// More than [`SDP_CANDIDATES_MAX`] candidates.
    TooManyCandidates,
}

/// Reads the description that stands at `span` in a message. The places it tells are those in `bytes`.
///
/// # Errors
/// [`Refused`] says why the description is not understood.
pub fn read(bytes: &[u8], span: Span) -> Result<Session, Refused> {
    reader::read(bytes, span)
}

/// Writes `IN IP4 address` or `IN IP6 address`, and tells the length. `None` if `out` is too short;
/// [`CONNECTION_BYTES`] are enough.
pub fn print_connection(address: IpAddr, out: &mut [u8]) -> Option<usize> {
    match address {
        IpAddr::V4(address) => text::print(out, format_args!("IN IP4 {address}")),
        IpAddr::V6(address) => text::print(out, format_args!("IN IP6 {address}")),
    }
}

/// Writes an address as a candidate has it, and tells the length. `None` if `out` is too short.
pub fn print_address(address: IpAddr, out: &mut [u8]) -> Option<usize> {
    text::print(out, format_args!("{address}"))
}

/// Writes a number, as of a port or of `Content-Length`, and tells the length. `None` if `out` is too
/// short; 10 bytes are enough.
pub fn print_number(number: u32, out: &mut [u8]) -> Option<usize> {
    text::print(out, format_args!("{number}"))
}
