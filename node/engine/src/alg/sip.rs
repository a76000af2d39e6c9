//! SIP messages (RFC 3261): who talks to whom, and every place that names an endpoint.
//!
//! ```text
//! INVITE sip:bob@10.0.0.2 SIP/2.0                ◄ start line, with a URI in a request
//! Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK… ◄ where the answer goes: the top one
//! Contact: <sip:alice@10.0.0.1:5060>             ◄ where later requests go
//! Content-Type: application/sdp                  ◄ says whether the body is a session: `alg::sdp`
//! Content-Length: 142                            ◄ to be written anew when the body changes
//! ```
//!
//! Names of header fields may be short (RFC 3261 §7.3.3), values may go on behind a line end. A message
//! without the fields that each must have, or with two of what there must be one of, is refused: about what
//! it means two readers could differ.

mod address;
mod body;
mod frame;
mod reader;
mod start;
#[cfg(test)]
mod tests;
mod via;

pub use self::body::Body;
pub(crate) use self::frame::told_len;
pub use self::frame::{Frame, message_len};
pub use self::start::{Method, Start};
pub use self::via::{Rport, Transport, Via};
use super::{Endpoint, List, Span};
use crate::keyed::Keyed;
use crate::limits::{SIP_MENTIONS_MAX, SIP_MESSAGE_BYTES};

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// A request with its method, or a response with its status.
    pub start: Start,
    /// The topmost `Via`: of who sent the request.
    pub via: Via,
    /// Hash of `Call-ID`.
    pub call_id: u64,
    /// Hash of the tag in `From`: of who made the dialog's first request, or makes this one.
    pub from_tag: Option<u64>,
    /// Hash of the tag in `To`; without one there is no dialog yet (RFC 3261 §12).
    pub to_tag: Option<u64>,
    /// Number and method of the transaction.
    pub cseq: Cseq,
    /// `Expires`, seconds.
    pub expires: Option<u32>,
    /// `Contact: *`: all registrations of this client (RFC 3261 §10.2.2).
    pub all_contacts: bool,
    /// Every place that names an endpoint, in the order in which they stand.
    pub mentions: List<Mention, SIP_MENTIONS_MAX>,
    /// What `Content-Length` says, and where its digits stand.
    pub content_length: Option<Number>,
    /// Where the body stands.
    pub content: Span,
    /// What the body is.
    pub body: Body,
    /// Bytes behind the body, which are none of the message (RFC 3261 §18.3).
    pub beyond: u32,
}

impl Message {
    /// Those that stand in this place.
    pub fn mentioned(&self, place: Place) -> impl Iterator<Item = &Mention> {
        self.mentions.iter().filter(move |mention| mention.place == place)
    }
}

/// An endpoint and where it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// In which header field.
    pub place: Place,
    /// Host and port.
    pub endpoint: Endpoint,
    /// The parameter `expires` of a `Contact`, seconds.
    pub expires: Option<u32>,
}

/// Where an endpoint is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The request's URI.
    Request,
    /// The first `Via`.
    TopVia,
    /// Another `Via`, which is for those farther back.
    Via,
    /// `Contact`.
    Contact,
    /// `Route`.
    Route,
    /// `Record-Route`.
    RecordRoute,
    /// `From`.
    From,
    /// `To`.
    To,
}

/// `CSeq` (RFC 3261 §20.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cseq {
    /// Its number.
    pub number: u32,
    /// The method of the request, also in a response.
    pub method: Method,
}

/// A number and where its digits stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// What it is.
    pub value: u32,
    /// Its digits.
    pub span: Span,
}

/// A header field that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `Via`, `v`.
    Via,
    /// `From`, `f`.
    From,
    /// `To`, `t`.
    To,
    /// `Call-ID`, `i`.
    CallId,
    /// `CSeq`.
    Cseq,
    /// `Contact`, `m`.
    Contact,
    /// `Route`.
    Route,
    /// `Record-Route`.
    RecordRoute,
    /// `Expires`.
    Expires,
    /// `Content-Length`, `l`.
    ContentLength,
    /// `Content-Type`, `c`.
    ContentType,
    /// `Content-Encoding`, `e`.
    ContentEncoding,
}

/// Why a message is not understood. It may pass, but it opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not begin as SIP does.
    NotSip,
    /// There is more of it than is looked at.
    TooMuch(Limit),
    /// The header has no end.
    Unended,
    /// A line of the header is no field.
    Line,
    /// The field is not as RFC 3261 writes it.
    Malformed(Header),
    /// The field stands there twice, and must not.
    Repeated(Header),
    /// The field is not there, and must be.
    Missing(Header),
    /// `Content-Length` is more than there is.
    Length,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`SIP_MESSAGE_BYTES`].
    Bytes,
    /// [`crate::limits::HEADER_FIELDS_MAX`].
    Fields,
    /// [`SIP_MENTIONS_MAX`].
    Mentions,
    /// [`crate::limits::BODY_PARTS_MAX`].
    Parts,
}

/// Reads a datagram, or a message of a connection ([`message_len`]). Hashes are keyed by `seed`: whoever
/// does not know it cannot make two calls look like one.
///
/// # Errors
/// [`Refused`] says why the message is not understood.
pub fn read(bytes: &[u8], seed: u64) -> Result<Message, Refused> {
    if bytes.len() > SIP_MESSAGE_BYTES {
        return Err(Refused::TooMuch(Limit::Bytes));
    }
    reader::Reader::new(bytes, Keyed::new(seed))?.message()
}
