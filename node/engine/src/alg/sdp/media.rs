//! `m=` and what belongs to it (RFC 8866 §5.14).

use super::{Connection, Flow};
use crate::alg::scan::Scan;
use crate::alg::{Span, text};

/// One medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    /// What it is.
    pub kind: Kind,
    /// Where the port's digits stand.
    pub span: Span,
    /// Where it goes; 0 refuses or ends the medium (RFC 3264 §6, §8.2).
    pub port: u16,
    /// How many ports there are: for RTP pairs, of which the first begins at `port`. 1 unless it is said.
    pub count: u16,
    /// Over what it goes.
    pub protocol: Protocol,
    /// Its own `c=`.
    pub connection: Option<Connection>,
    /// `a=rtcp`.
    pub rtcp: Option<Rtcp>,
    /// `a=rtcp-mux`: RTCP may come to the same port (RFC 5761 §5.1.1).
    pub muxed: bool,
    /// Who sends.
    pub flow: Option<Flow>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `audio`.
    Audio,
    /// `video`.
    Video,
    /// `text`.
    Text,
    /// `application`.
    Application,
    /// `message`.
    Message,
    /// `image`: a fax (T.38).
    Image,
    /// None of these.
    Other,
}

/// Over what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RTP over UDP, encrypted or not: `RTP/AVP`, `RTP/SAVPF`, `UDP/TLS/RTP/SAVP`. With RTCP, mostly at the
    /// next port.
    Rtp,
    /// UDP without RTCP: `udptl`, `UDP/BFCP`, `UDP/DTLS/SCTP`.
    Udp,
    /// RTP over TCP, in one connection with its RTCP (RFC 4571): `TCP/RTP/AVP`.
    TcpRtp,
    /// TCP: `TCP/MSRP`, `TCP/TLS/BFCP`.
    Tcp,
    /// None of these: it opens nothing.
    Other,
}

/// `a=rtcp:53020 IN IP4 10.0.0.1` (RFC 3605 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtcp {
    /// Where the port's digits stand.
    pub span: Span,
    /// The port.
    pub port: u16,
    /// The address, where it is another.
    pub connection: Option<Connection>,
}

impl Media {
    /// The port of RTCP, if it has one that is not the medium's (RFC 3550 §11, RFC 3605).
    pub const fn rtcp_port(&self) -> Option<u16> {
        match (self.protocol, self.rtcp) {
            (Protocol::Rtp, Some(rtcp)) => Some(rtcp.port),
            (Protocol::Rtp, None) => self.port.checked_add(1),
            (Protocol::Udp | Protocol::TcpRtp | Protocol::Tcp | Protocol::Other, _) => None,
        }
    }

    /// `audio 49170/2 RTP/AVP 0 8`.
    pub(super) fn read(bytes: &[u8], value: Span) -> Option<Self> {
        let mut scan = Scan::new(bytes, value);
        let kind = Kind::named(scan.take_until(b' ')?.of(bytes))?;
        let span = scan.take_while(|byte| byte.is_ascii_digit());
        let port = text::port(span.of(bytes))?;
        let count = if scan.eat(b'/') {
            let count = scan.take_while(|byte| byte.is_ascii_digit());
            text::port(count.of(bytes)).filter(|count| *count > 0)?
        } else {
            1
        };
        let protocol = scan.eat(b' ').then(|| scan.take_while(|byte| byte != b' '))?;
        let protocol = Protocol::named(protocol.of(bytes))?;
        // Formats, of which some have none for a medium that they refuse.
        let formats = scan.is_at_end() || scan.eat(b' ');
        // All of them must be ports.
        let each = if protocol == Protocol::Rtp { 2 } else { 1 };
        let last = u32::from(port) + each * u32::from(count) - 1;
        let fits = port == 0 || last <= u32::from(u16::MAX) || count == 1;
        (formats && fits).then_some(Self {
            kind,
            span,
            port,
            count,
            protocol,
            connection: None,
            rtcp: None,
            muxed: false,
            flow: None,
        })
    }
}

impl Kind {
    fn named(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"" => return None,
            b"audio" => Self::Audio,
            b"video" => Self::Video,
            b"text" => Self::Text,
            b"application" => Self::Application,
            b"message" => Self::Message,
            b"image" => Self::Image,
            _ => Self::Other,
        })
    }
}

impl Protocol {
    /// By the parts between slashes: the first says over what, another may be RTP.
    fn named(text: &[u8]) -> Option<Self> {
        let is = |part: &[u8], name: &[u8]| part.eq_ignore_ascii_case(name);
        let mut parts = text.split(|byte| *byte == b'/');
        let first = parts.next().filter(|first| !first.is_empty())?;
        let rtp = parts.any(|part| is(part, b"RTP"));
        Some(if is(first, b"RTP") || is(first, b"UDP") && rtp {
            Self::Rtp
        } else if is(first, b"UDP") || is(first, b"udptl") || is(first, b"DTLS") {
            Self::Udp
        } else if is(first, b"TCP") && rtp {
            Self::TcpRtp
        } else if is(first, b"TCP") || is(first, b"TLS") {
            Self::Tcp
        } else {
            Self::Other
        })
    }
}

impl Rtcp {
    /// What stands behind `rtcp:`.
    pub(super) fn read(bytes: &[u8], value: Span) -> Option<Self> {
        let mut scan = Scan::new(bytes, value);
        let span = scan.take_while(|byte| byte.is_ascii_digit());
        let port = text::port(span.of(bytes))?;
        let connection = match scan.is_at_end() {
            true => None,
            false if scan.eat(b' ') => Some(Connection::read(bytes, scan.remains())?),
            false => return None,
        };
        Some(Self { span, port, connection })
    }
}
