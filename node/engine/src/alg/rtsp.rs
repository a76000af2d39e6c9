//! RTSP: where the media of a track will go, which `Transport` says (RFC 2326 §12.39).
//!
//! ```text
//! SETUP rtsp://server/track RTSP/1.0
//! CSeq: 4
//! Transport: RTP/AVP;unicast;client_port=55664-55665    ◄ the server will send there
//!
//! RTSP/1.0 200 OK
//! CSeq: 4
//! Session: 8c30e102191f49d1;timeout=60
//! Transport: RTP/AVP;unicast;client_port=55664-55665;server_port=58547-58548   ◄ from there
//! ```
//!
//! With `interleaved` the media stay in the connection, behind a `$` (§10.12), and nothing is to be opened.

mod frame;
#[cfg(test)]
mod tests;
mod transport;

use core::hash::BuildHasher as _;

pub(crate) use self::frame::told_len;
pub use self::frame::{Frame, message_len};
pub use self::transport::{Host, Lower, Ports, Transport, print_ports};
use super::header::{self, Fields, Flaw, Params, is_token};
use super::scan::Scan;
use super::sip::Number;
use super::{List, Span, text};
use crate::keyed::Keyed;
use crate::limits::{METHOD_BYTES, RTSP_MESSAGE_BYTES, RTSP_TRANSPORTS_MAX};

/// What is known of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// A request with its method, or a response with its status.
    pub start: Start,
    /// `CSeq`: by which a response is known to be that to a request.
    pub cseq: u32,
    /// Hash of the session's name.
    pub session: Option<u64>,
    /// How long the session lives without a word, seconds (RFC 2326 §12.37).
    pub timeout: Option<u32>,
    /// `Transport`: what a client offers, the best first, or the one that a server has chosen.
    pub transports: List<Transport, RTSP_TRANSPORTS_MAX>,
    /// What `Content-Length` says, and where its digits stand.
    pub content_length: Option<Number>,
    /// Where the body stands.
    pub content: Span,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request with this method.
    Request(Method),
    /// A response with this status, 100 to 599.
    Response(u16),
}

/// What is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A track is to be sent, or sent otherwise (RFC 2326 §10.4).
    Setup,
    /// A track, or all of a session, is to end (§10.7).
    Teardown,
    /// Everything else.
    Other,
}

/// A header field that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// `CSeq`.
    Cseq,
    /// `Session`.
    Session,
    /// `Transport`.
    Transport,
    /// `Content-Length`.
    ContentLength,
}

/// Why a message is not understood. It may pass, but it opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not begin as RTSP 1.0 does.
    NotRtsp,
    /// Longer than [`RTSP_MESSAGE_BYTES`].
    TooLong,
    /// More header fields than [`crate::limits::HEADER_FIELDS_MAX`].
    TooManyFields,
    /// More than [`RTSP_TRANSPORTS_MAX`] transports.
    TooManyTransports,
    /// The header has no end.
    Unended,
    /// A line of the header is no field.
    Line,
    /// The field is not as RFC 2326 writes it.
    Malformed(Header),
    /// The field stands there twice, and must not.
    Repeated(Header),
    /// There is no `CSeq` (§12.17).
    Missing(Header),
    /// `Content-Length` is not that of the body.
    Length,
}

/// Reads a message ([`message_len`]). Hashes are keyed by `seed`.
///
/// # Errors
/// [`Refused`] says why the message is not understood.
pub fn read(bytes: &[u8], seed: u64) -> Result<Message, Refused> {
    if bytes.len() > RTSP_MESSAGE_BYTES {
        return Err(Refused::TooLong);
    }
    let mut scan = Scan::new(bytes, Span::new(0, bytes.len()));
    let line = header::line(bytes, &mut scan).map_err(|_| Refused::NotRtsp)?;
    let start = start(bytes, line).ok_or(Refused::NotRtsp)?;
    let mut reader = Reader { bytes, keyed: Keyed::new(seed), ..Reader::default() };
    let mut fields = Fields::new(bytes, scan.remains());
    while let Some(field) = fields.next()? {
        if let Some(header) = Header::named(field.name.of(bytes)) {
            reader.field(header, field.value)?;
        }
    }
    let content = Span::new(fields.at(), bytes.len());
    // RFC 2326 §12.14: none means that there is no body.
    if content.len() != reader.length.map_or(0, |length| length.value as usize) {
        return Err(Refused::Length);
    }
    Ok(Message {
        start,
        cseq: reader.cseq.ok_or(Refused::Missing(Header::Cseq))?,
        session: reader.session,
        timeout: reader.timeout,
        transports: reader.transports,
        content_length: reader.length,
        content,
    })
}

/// What the fields so far have said.
struct Reader<'a> {
    bytes: &'a [u8],
    keyed: Keyed,
    cseq: Option<u32>,
    session: Option<u64>,
    timeout: Option<u32>,
    transports: List<Transport, RTSP_TRANSPORTS_MAX>,
    length: Option<Number>,
}

impl Default for Reader<'_> {
    fn default() -> Self {
        Self {
            bytes: &[],
            keyed: Keyed::new(0),
            cseq: None,
            session: None,
            timeout: None,
            transports: List::new(),
            length: None,
        }
    }
}

impl Reader<'_> {
    fn field(&mut self, header: Header, value: Span) -> Result<(), Refused> {
        let text = value.of(self.bytes);
        let number = || text::decimal(text, 10).ok_or(Refused::Malformed(header));
        match header {
            Header::Cseq => once(&mut self.cseq, number()?, header),
            Header::Session => self.session(value),
            Header::Transport => self.transports(value),
            Header::ContentLength => {
                once(&mut self.length, Number { value: number()?, span: value }, header)
            }
        }
    }

    /// `8c30e102191f49d1;timeout=60`.
    fn session(&mut self, value: Span) -> Result<(), Refused> {
        let mut scan = Scan::new(self.bytes, value);
        let name = scan.take_while(|byte| byte != b';' && !text::is_space(byte));
        let timeout = Params::new(self.bytes, scan).value_of(b"timeout");
        self.timeout = timeout.and_then(|value| text::decimal(value.of(self.bytes), 10));
        if name.is_empty() {
            return Err(Refused::Malformed(Header::Session));
        }
        let hash = self.keyed.hash_one(name.of(self.bytes));
        once(&mut self.session, hash, Header::Session)
    }

    fn transports(&mut self, value: Span) -> Result<(), Refused> {
        if !self.transports.is_empty() {
            return Err(Refused::Repeated(Header::Transport));
        }
        let mut scan = Scan::new(self.bytes, value);
        loop {
            let transport = transport::next(self.bytes, &mut scan);
            let transport = transport.ok_or(Refused::Malformed(Header::Transport))?;
            self.transports.push(transport).map_err(|_| Refused::TooManyTransports)?;
            if !scan.eat(b',') {
                return Ok(());
            }
        }
    }
}

impl Header {
    fn named(name: &[u8]) -> Option<Self> {
        const NAMES: [(&[u8], Header); 4] = [
            (b"cseq", Header::Cseq),
            (b"session", Header::Session),
            (b"transport", Header::Transport),
            (b"content-length", Header::ContentLength),
        ];
        let found = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, header)| *header)
    }
}

impl From<Flaw> for Refused {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Unended => Self::Unended,
            Flaw::Line => Self::Line,
            Flaw::TooMany => Self::TooManyFields,
        }
    }
}

/// Keeps what may be said once.
fn once<T>(slot: &mut Option<T>, value: T, header: Header) -> Result<(), Refused> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refused::Repeated(header)),
    }
}

const VERSION: &[u8] = b"RTSP/1.0";

/// The first line (RFC 2326 §6.1, §7.1).
fn start(bytes: &[u8], line: Span) -> Option<Start> {
    let mut scan = Scan::new(bytes, line);
    if scan.eat_word(VERSION) {
        let number = scan.eat(b' ').then(|| scan.take(3))?;
        let status = text::decimal(number.of(bytes), 3).filter(|it| (100..600).contains(it))?;
        let ended = scan.is_at_end() || scan.eat(b' ');
        return ended.then_some(Start::Response(u16::try_from(status).ok()?));
    }
    let word = scan.take_while(is_token);
    let method = match word.of(bytes) {
        b"SETUP" => Method::Setup,
        b"TEARDOWN" => Method::Teardown,
        _ if word.is_empty() || word.len() > METHOD_BYTES => return None,
        _ => Method::Other,
    };
    let uri = scan.eat(b' ').then(|| scan.take_until(b' '))??;
    let ended = !uri.is_empty() && scan.eat_word(VERSION) && scan.is_at_end();
    ended.then_some(Start::Request(method))
}
