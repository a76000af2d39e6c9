//! What the body of a message is, and where in it a session stands (RFC 3261 §7.4, RFC 2046 §5.1).

use super::{Header, Limit, Refused};
use crate::alg::header::{Fields, Flaw, Params, is_token};
use crate::alg::scan::Scan;
use crate::alg::{Span, text};
use crate::limits::BODY_PARTS_MAX;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    Empty,
    /// A session, all of the body or a part of it: for [`crate::alg::sdp::read`].
    Sdp(Span),
    /// Something else, or encoded.
    Opaque,
}

/// What `Content-Type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sdp,
    /// Parts, with this between them.
    Multipart(Span),
    Other,
}

impl Kind {
    /// Reads a value of `Content-Type`; `None` if it is none.
    pub(super) fn read(bytes: &[u8], value: Span) -> Option<Self> {
        let mut scan = Scan::new(bytes, value);
        let main = scan.take_while(is_token).of(bytes);
        scan.skip_space();
        if main.is_empty() || !scan.eat(b'/') {
            return None;
        }
        scan.skip_space();
        let sub = scan.take_while(is_token).of(bytes);
        if main.eq_ignore_ascii_case(b"multipart") {
            let boundary = Params::new(bytes, scan).value_of(b"boundary");
            // RFC 2046 §5.1.1.
            let boundary = boundary.filter(|it| (1..=70).contains(&it.len()));
            return boundary.map(Self::Multipart);
        }
        let sdp = main.eq_ignore_ascii_case(b"application") && sub.eq_ignore_ascii_case(b"sdp");
        Some(if sdp { Self::Sdp } else { Self::Other })
    }
}

/// Finds the session in a body of this kind. Two of them are refused, for only their reader knows which
/// one it takes.
pub(super) fn find(bytes: &[u8], content: Span, kind: Kind) -> Result<Body, Refused> {
    let boundary = match kind {
        Kind::Sdp => return Ok(Body::Sdp(content)),
        Kind::Other => return Ok(Body::Opaque),
        Kind::Multipart(boundary) => boundary.of(bytes),
    };
    let mut parts = Parts { bytes, boundary, scan: Scan::new(bytes, content), ended: false };
    parts.next_end();
    let (mut found, mut left) = (Body::Opaque, BODY_PARTS_MAX);
    while !parts.ended {
        left = left.checked_sub(1).ok_or(Refused::TooMuch(Limit::Parts))?;
        let start = parts.scan.at();
        let part = Span::new(start, parts.next_end());
        let Some(session) = session(bytes, part)? else { continue };
        if found != Body::Opaque {
            return Err(Refused::Repeated(Header::ContentType));
        }
        found = Body::Sdp(session);
    }
    Ok(found)
}

/// The session that is this part's body, if it is one.
fn session(bytes: &[u8], part: Span) -> Result<Option<Span>, Refused> {
    let mut fields = Fields::new(bytes.get(..part.end as usize).unwrap_or_default(), part);
    let (mut kind, mut plain) = (None, true);
    loop {
        match fields.next() {
            Ok(Some(field)) => {
                let (name, value) = (field.name.of(bytes), field.value.of(bytes));
                if name.eq_ignore_ascii_case(b"content-type") {
                    let read = Kind::read(bytes, field.value).unwrap_or(Kind::Other);
                    if kind.replace(read).is_some() {
                        return Err(Refused::Repeated(Header::ContentType));
                    }
                } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
                    plain &= is_identity(value);
                } else if name.eq_ignore_ascii_case(b"content-encoding") {
                    plain &= value.eq_ignore_ascii_case(b"identity");
                }
            }
            Ok(None) => break,
            Err(Flaw::TooMany) => return Err(Refused::TooMuch(Limit::Fields)),
            // A part that is nothing but a broken header has no session.
            Err(Flaw::Unended | Flaw::Line) => return Ok(None),
        }
    }
    let sdp = kind == Some(Kind::Sdp) && plain;
    Ok(sdp.then(|| Span::new(fields.at(), part.end as usize)))
}

/// RFC 2045 §6.2: those that change nothing.
fn is_identity(encoding: &[u8]) -> bool {
    [b"7bit".as_slice(), b"8bit", b"binary"].iter().any(|it| encoding.eq_ignore_ascii_case(it))
}

/// What stands between boundaries.
struct Parts<'a> {
    bytes: &'a [u8],
    boundary: &'a [u8],
    scan: Scan<'a>,
    /// The last boundary was passed, or there is none.
    ended: bool,
}

impl Parts<'_> {
    /// Passes the next line that is a boundary, and tells where what stands before it ends: the line end
    /// before a boundary is part of it. Without one nothing more is a part.
    fn next_end(&mut self) -> usize {
        let mut end = self.scan.at();
        loop {
            let line = self.scan.take_until(b'\n');
            // The last boundary may have no line end.
            let line = line.unwrap_or_else(|| self.scan.take(usize::MAX));
            if let Some(closing) = self.boundary_in(line.of(self.bytes)) {
                self.ended = closing || self.scan.is_at_end();
                return end;
            }
            let text = line.of(self.bytes);
            end = line.start as usize + text.strip_suffix(b"\r").unwrap_or(text).len();
            if self.scan.is_at_end() {
                self.ended = true;
                return end;
            }
        }
    }

    /// Whether this line is a boundary, and then whether it is the last one.
    fn boundary_in(&self, line: &[u8]) -> Option<bool> {
        let rest = line.strip_prefix(b"--")?.strip_prefix(self.boundary)?;
        let (rest, closing) = rest.strip_prefix(b"--").map_or((rest, false), |rest| (rest, true));
        text::trimmed(rest).is_empty().then_some(closing)
    }
}
