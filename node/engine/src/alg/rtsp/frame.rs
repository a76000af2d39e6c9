//! What a control connection is made of: messages, and media between them (RFC 2326 §10.12).

use super::{Header, METHOD_BYTES, VERSION, start};
use crate::alg::header::{self, Fields, Flaw, is_token};
use crate::alg::scan::Scan;
use crate::alg::{Span, text};
use crate::limits::RTSP_MESSAGE_BYTES;

/// What the bytes of a connection begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of so many bytes, all of which are there.
    Complete(usize),
    /// So many bytes of media, there or not, or of line ends: to be passed over.
    Media(usize),
    /// A message of so many bytes, there or not, which is too long to be read: to be passed over.
    TooMuch(usize),
    /// The beginning of a message.
    Incomplete,
    /// Something else: nothing behind it can be read.
    NotRtsp,
}

/// Tells how long the message is that `bytes` begin with. Looks at no more than
/// [`RTSP_MESSAGE_BYTES`], and again at all of them when more have come.
pub fn message_len(bytes: &[u8]) -> Frame {
    match bytes {
        [b'$', _, high, low, ..] => {
            return Frame::Media(4 + usize::from(u16::from_be_bytes([*high, *low])));
        }
        [] | [b'$', ..] | [b'\r'] => return Frame::Incomplete,
        [b'\r', b'\n', ..] => return Frame::Media(2),
        _ => {}
    }
    let seen = bytes.get(..RTSP_MESSAGE_BYTES).unwrap_or(bytes);
    match length(seen) {
        Ok(Some(len)) if len > RTSP_MESSAGE_BYTES => Frame::TooMuch(len),
        Ok(Some(len)) if len <= bytes.len() => Frame::Complete(len),
        Ok(Some(_)) => Frame::Incomplete,
        Err(Flaw::Unended) if bytes.len() < RTSP_MESSAGE_BYTES => Frame::Incomplete,
        Ok(None) | Err(Flaw::Unended | Flaw::Line | Flaw::TooMany) => Frame::NotRtsp,
    }
}

/// How long the message is that `bytes` are the beginning of, where it says so already.
pub(crate) fn told_len(bytes: &[u8]) -> Option<usize> {
    length(bytes.get(..RTSP_MESSAGE_BYTES).unwrap_or(bytes)).ok().flatten()
}

/// Length of header and body; `None` if it is told twice, or wrongly.
fn length(bytes: &[u8]) -> Result<Option<usize>, Flaw> {
    if !may_begin(bytes) {
        return Err(Flaw::Line);
    }
    let mut scan = Scan::new(bytes, Span::new(0, bytes.len()));
    let line = header::line(bytes, &mut scan)?;
    start(bytes, line).ok_or(Flaw::Line)?;
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
    let length = told.unwrap_or(0) as usize;
    Ok(Some(fields.at().saturating_add(length)))
}

/// Whether these bytes, as far as they have come, can be the beginning of a first line.
fn may_begin(bytes: &[u8]) -> bool {
    let seen = bytes.len().min(VERSION.len());
    if bytes.get(..seen).zip(VERSION.get(..seen)).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b)) {
        return true;
    }
    let word = bytes.iter().take_while(|byte| is_token(**byte)).count();
    let spaced = bytes.get(word).is_none_or(|byte| *byte == b' ');
    (1..=METHOD_BYTES).contains(&word) && spaced
}
