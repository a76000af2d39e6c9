//! `Transport` (RFC 2326 §12.39).

use core::net::IpAddr;

use crate::alg::header::{Param, Params, is_token};
use crate::alg::scan::Scan;
use crate::alg::{Span, text};

/// One way to send a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// All of it, from its protocol to its last parameter.
    pub span: Span,
    /// Over what RTP goes.
    pub lower: Lower,
    /// To a group; otherwise to the client alone.
    pub multicast: bool,
    /// In the control connection itself.
    pub interleaved: bool,
    /// `client_port`: where the client receives RTP and RTCP.
    pub client_port: Option<Ports>,
    /// `server_port`: from where the server sends.
    pub server_port: Option<Ports>,
    /// `port`: those of a group.
    pub port: Option<Ports>,
    /// `source`: who sends, where it is not the server.
    pub source: Option<Host>,
    /// `destination`: who receives, where it is not the client.
    pub destination: Option<Host>,
}

/// Over what RTP goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lower {
    /// `RTP/AVP`, `RTP/AVP/UDP`.
    Udp,
    /// `RTP/AVP/TCP`.
    Tcp,
    /// Something that is not known: it opens nothing.
    Other,
}

/// A port, or two of them with all between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Where they stand: what [`print_ports`] can replace.
    pub span: Span,
    /// The first one, of RTP.
    pub first: u16,
    /// The last one, of RTCP; not below the first, and the same where one is told.
    pub last: u16,
}

/// An address or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where it stands, brackets included.
    pub span: Span,
    /// The address; `None` is a name.
    pub address: Option<IpAddr>,
}

/// Writes `first-last`, or one number if they are the same, and tells the length. `None` if `out` is too
/// short; 11 bytes are enough.
pub fn print_ports(first: u16, last: u16, out: &mut [u8]) -> Option<usize> {
    if first == last {
        return text::print(out, format_args!("{first}"));
    }
    text::print(out, format_args!("{first}-{last}"))
}

/// The next one of a list, up to a comma or the end; `None` if it is not as RFC 2326 writes it, or says
/// something twice.
pub(super) fn next<'a>(bytes: &'a [u8], scan: &mut Scan<'a>) -> Option<Transport> {
    scan.skip_space();
    let protocol = scan.take_while(|byte| is_token(byte) || byte == b'/');
    let mut transport = Transport {
        span: protocol,
        lower: Lower::named(protocol.of(bytes))?,
        multicast: false,
        interleaved: false,
        client_port: None,
        server_port: None,
        port: None,
        source: None,
        destination: None,
    };
    let mut params = Params::new(bytes, *scan);
    for param in params.by_ref() {
        transport.note(bytes, param)?;
        transport.span = transport.span.to(param.name).to(param.value);
    }
    *scan = params.remains();
    matches!(scan.peek(), None | Some(b',')).then_some(transport)
}

impl Transport {
    fn note(&mut self, bytes: &[u8], Param { name, value }: Param) -> Option<()> {
        let name = name.of(bytes);
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        if is(b"multicast") {
            self.multicast = true;
        } else if is(b"interleaved") {
            self.interleaved = true;
        } else if is(b"client_port") {
            return once(&mut self.client_port, Ports::read(bytes, value)?);
        } else if is(b"server_port") {
            return once(&mut self.server_port, Ports::read(bytes, value)?);
        } else if is(b"port") {
            return once(&mut self.port, Ports::read(bytes, value)?);
        } else if is(b"source") {
            return once(&mut self.source, Host::read(bytes, value)?);
        } else if is(b"destination") && !value.is_empty() {
            return once(&mut self.destination, Host::read(bytes, value)?);
        }
        Some(())
    }
}

impl Lower {
    /// `None` if there is no protocol at all. RTP goes over UDP unless it is said otherwise.
    fn named(protocol: &[u8]) -> Option<Self> {
        let mut parts = protocol.split(|byte| *byte == b'/');
        let mut is = |word: &[u8]| parts.next().map(|part| part.eq_ignore_ascii_case(word));
        if protocol.is_empty() || is(b"RTP") != Some(true) || is(b"AVP") != Some(true) {
            return (!protocol.is_empty()).then_some(Self::Other);
        }
        Some(match parts.next() {
            None => Self::Udp,
            Some(lower) if lower.eq_ignore_ascii_case(b"UDP") => Self::Udp,
            Some(lower) if lower.eq_ignore_ascii_case(b"TCP") => Self::Tcp,
            Some(_) => Self::Other,
        })
    }
}

impl Ports {
    /// `55664-55665` or `55664`.
    fn read(bytes: &[u8], span: Span) -> Option<Self> {
        let text = span.of(bytes);
        let mut numbers = text.splitn(2, |byte| *byte == b'-').map(text::port);
        let first = numbers.next()??;
        let last = numbers.next().unwrap_or(Some(first))?;
        (first <= last).then_some(Self { span, first, last })
    }
}

impl Host {
    fn read(bytes: &[u8], span: Span) -> Option<Self> {
        let text = span.of(bytes);
        let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
        let address = text::address(inner.unwrap_or(text));
        (!span.is_empty()).then_some(Self { span, address })
    }
}

/// Keeps what may be said once.
fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}
