//! Where a message ends that comes over a connection (RFC 3261 §18.3).

use super::{Header, start};
use crate::alg::header::{self, Fields, Flaw};
use crate::alg::scan::Scan;
use crate::alg::{Span, text};
use crate::limits::SIP_MESSAGE_BYTES;

/// What the bytes of a connection begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of so many bytes, all of which are there.
    Complete(usize),
    /// So many bytes of line ends, which mean "I am still here" (RFC 5626 §4.4.1).
    KeepAlive(usize),
    /// A message of so many bytes, there or not, which is too long to be read: it is to be passed over.
    TooMuch(usize),
    /// The beginning of a message.
    Incomplete,
    /// Something else, or a message that does not say how long it is: nothing behind it can be read.
    NotSip,
}

/// Tells how long the message is that `bytes` begin with. Looks at no more than
/// [`SIP_MESSAGE_BYTES`], and again at all of them when more have come.
pub fn message_len(bytes: &[u8]) -> Frame {
    let ends = bytes.chunks(2).take_while(|pair| *pair == b"\r\n").count() * 2;
    match bytes {
        [] | [b'\r'] => return Frame::Incomplete,
        _ if ends > 0 => return Frame::KeepAlive(ends),
        _ => {}
    }
    let seen = bytes.get(..SIP_MESSAGE_BYTES).unwrap_or(bytes);
    match length(seen) {
        Ok(Some(len)) if len > SIP_MESSAGE_BYTES => Frame::TooMuch(len),
        Ok(Some(len)) if len <= bytes.len() => Frame::Complete(len),
        Ok(Some(_)) => Frame::Incomplete,
        Err(Flaw::Unended) if bytes.len() < SIP_MESSAGE_BYTES => Frame::Incomplete,
        Ok(None) | Err(Flaw::Unended | Flaw::Line | Flaw::TooMany) => Frame::NotSip,
    }
}

/// How long the message is that `bytes` are the beginning of, where it says so already.
pub(crate) fn told_len(bytes: &[u8]) -> Option<usize> {
    length(bytes.get(..SIP_MESSAGE_BYTES).unwrap_or(bytes)).ok().flatten()
}

/// Length of header and body; `None` if it is not told, or not once.
fn length(bytes: &[u8]) -> Result<Option<usize>, Flaw> {
    if !start::may_begin(bytes) {
        return Err(Flaw::Line);
    }
    let mut scan = Scan::new(bytes, Span::new(0, bytes.len()));
    let line = header::line(bytes, &mut scan)?;
    start::read(bytes, line).ok_or(Flaw::Line)?;
    let mut fields = Fields::new(bytes, scan.remains());
    let mut told = None;
    while let Some(field) = fields.next()? {
        if Header::named(field.name.of(bytes)) != Some(Header::ContentLength) {
            continue;
        }
        let length = text::decimal(field.value.of(bytes), 10);
        if told.is_some() || length.is_none() {
            return Ok(None);
        }
        told = length;
    }
    Ok(told.map(|length| fields.at().saturating_add(length as usize)))
}
