//! Goes through a description once, line by line.

use super::{Candidate, Connection, Flow, Media, Refused, Rtcp, Session};
use crate::alg::scan::Scan;
use crate::alg::{List, Span, text};

/// One line.
#[derive(Clone, Copy)]
struct Line {
    letter: u8,
    value: Span,
    /// Its end included.
    all: Span,
}

pub(super) fn read(bytes: &[u8], span: Span) -> Result<Session, Refused> {
    let mut scan = Scan::new(bytes, span);
    let version = next(bytes, &mut scan)?.ok_or(Refused::NotSdp)?;
    let origin = next(bytes, &mut scan)?.ok_or(Refused::NotSdp)?;
    if version.letter != b'v' || version.value.of(bytes) != b"0" || origin.letter != b'o' {
        return Err(Refused::NotSdp);
    }
    let mut session = Session {
        origin: origin_of(bytes, origin.value).ok_or(Refused::Malformed(b'o'))?,
        connection: None,
        flow: None,
        media: List::new(),
        candidates: List::new(),
    };
    while let Some(line) = next(bytes, &mut scan)? {
        match line.letter {
            b'v' | b'o' => return Err(Refused::Repeated(line.letter)),
            b'm' => {
                let media = Media::read(bytes, line.value).ok_or(Refused::Malformed(b'm'))?;
                session.media.push(media).map_err(|_| Refused::TooManyMedia)?;
            }
            b'c' => session.connect(bytes, line.value)?,
            b'a' => session.attribute(bytes, line)?,
            _ => {}
        }
    }
    Ok(session)
}

/// The next line; empty ones, which some write at the end, are passed over.
fn next(bytes: &[u8], scan: &mut Scan<'_>) -> Result<Option<Line>, Refused> {
    while !scan.is_at_end() {
        let start = scan.at();
        // The last line may have no end.
        let line = scan.take_until(b'\n').unwrap_or_else(|| scan.take(usize::MAX));
        let text = line.of(bytes);
        match text.strip_suffix(b"\r").unwrap_or(text) {
            [] => {}
            [letter, b'=', value @ ..] if letter.is_ascii_lowercase() => {
                if value.iter().any(|byte| matches!(byte, b'\r' | 0)) {
                    return Err(Refused::Line);
                }
                let value = Span::new(start + 2, start + 2 + value.len());
                return Ok(Some(Line { letter: *letter, value, all: Span::new(start, scan.at()) }));
            }
            _ => return Err(Refused::Line),
        }
    }
    Ok(None)
}

impl Session {
    fn connect(&mut self, bytes: &[u8], value: Span) -> Result<(), Refused> {
        let connection = Connection::read(bytes, value).ok_or(Refused::Malformed(b'c'))?;
        let slot = match self.media.last_mut() {
            Some(media) => &mut media.connection,
            None => &mut self.connection,
        };
        // Several are for multicast in layers (RFC 8866 §5.7); of two plain ones, which is meant?
        match slot.replace(connection) {
            None => Ok(()),
            Some(_) => Err(Refused::Repeated(b'c')),
        }
    }

    fn attribute(&mut self, bytes: &[u8], line: Line) -> Result<(), Refused> {
        let mut scan = Scan::new(bytes, line.value);
        let name = scan.take_while(|byte| byte != b':').of(bytes);
        scan.eat(b':');
        let value = scan.remains();
        match name {
            b"sendrecv" => self.flow(Flow::Both),
            b"sendonly" => self.flow(Flow::Sending),
            b"recvonly" => self.flow(Flow::Receiving),
            b"inactive" => self.flow(Flow::None),
            b"rtcp" => self.rtcp(bytes, value),
            b"rtcp-mux" => {
                if let Some(media) = self.media.last_mut() {
                    media.muxed = true;
                }
                Ok(())
            }
            b"candidate" => self.candidate(bytes, value, line.all),
            _ => Ok(()),
        }
    }

    fn flow(&mut self, flow: Flow) -> Result<(), Refused> {
        let slot = match self.media.last_mut() {
            Some(media) => &mut media.flow,
            None => &mut self.flow,
        };
        match slot.replace(flow) {
            Some(other) if other != flow => Err(Refused::Attribute),
            _ => Ok(()),
        }
    }

    fn rtcp(&mut self, bytes: &[u8], value: Span) -> Result<(), Refused> {
        let rtcp = Rtcp::read(bytes, value).ok_or(Refused::Attribute)?;
        // It belongs to a medium (RFC 3605 §2.1).
        let media = self.media.last_mut().ok_or(Refused::Attribute)?;
        match media.rtcp.replace(rtcp) {
            None => Ok(()),
            Some(_) => Err(Refused::Attribute),
        }
    }

    fn candidate(&mut self, bytes: &[u8], value: Span, all: Span) -> Result<(), Refused> {
        let media = self.media.len().checked_sub(1).ok_or(Refused::Candidate)?;
        let media = u8::try_from(media).map_err(|_| Refused::TooManyMedia)?;
        let candidate = Candidate::read(bytes, value, all, media).ok_or(Refused::Candidate)?;
        self.candidates.push(candidate).map_err(|_| Refused::TooManyCandidates)
    }
}

/// `alice 2890844526 2890844526 IN IP4 10.0.0.1`.
fn origin_of(bytes: &[u8], value: Span) -> Option<Connection> {
    let mut scan = Scan::new(bytes, value);
    for _ in 0..3 {
        scan.take_until(b' ').filter(|word| !word.is_empty())?;
    }
    Connection::read(bytes, scan.remains())
}

impl Connection {
    /// `IN IP4 224.2.1.1/127/3`. An address must be of the family that is named.
    pub(super) fn read(bytes: &[u8], value: Span) -> Option<Self> {
        let mut scan = Scan::new(bytes, value);
        let start = scan.at();
        if !scan.eat_word(b"IN ") {
            return None;
        }
        let family = scan.take_until(b' ')?.of(bytes);
        let host = scan.take_while(|byte| !text::is_space(byte) && byte != b'/');
        let address = text::address(host.of(bytes));
        let fits = match family {
            b"IP4" => address.is_none_or(|address| address.is_ipv4()),
            b"IP6" => address.is_none_or(|address| address.is_ipv6()),
            _ => false,
        };
        let rest = scan.take_while(|byte| byte.is_ascii_digit() || byte == b'/');
        scan.take_while(|byte| byte == b' ');
        let ended = scan.is_at_end() && (rest.is_empty() || rest.of(bytes).starts_with(b"/"));
        let span = Span::new(start, host.end as usize);
        (fits && ended && !host.is_empty()).then_some(Self { span, host, address })
    }
}
