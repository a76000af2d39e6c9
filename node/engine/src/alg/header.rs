//! Header fields as in mail: `name: value`, one a line, the rest of a long one on lines that begin with
//! white space, an empty line at the end (RFC 3261 §7.3, RFC 2326 §4, RFC 2045 §3).

use super::scan::Scan;
use super::{Span, text};
use crate::limits::HEADER_FIELDS_MAX;

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Span,
    /// Without white space around it; line ends of a folded one are within.
    pub(super) value: Span,
}

/// Why no further field can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The bytes end before the header does.
    Unended,
    /// A line that is no field, or a carriage return within one.
    Line,
    /// More than [`HEADER_FIELDS_MAX`].
    TooMany,
}

/// The fields of a header, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    scan: Scan<'a>,
    left: usize,
}

impl<'a> Fields<'a> {
    /// Those that begin where `span` does.
    pub(super) fn new(bytes: &'a [u8], span: Span) -> Self {
        Self { bytes, scan: Scan::new(bytes, span), left: HEADER_FIELDS_MAX }
    }

    /// The next one; `None` behind the empty line.
    pub(super) fn next(&mut self) -> Result<Option<Field>, Flaw> {
        let start = self.scan.at();
        let first = self.line()?;
        if first.is_empty() {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(Flaw::TooMany)?;
        let mut all = first;
        while is_fold(self.scan.peek().ok_or(Flaw::Unended)?) {
            all = all.to(self.line()?);
        }
        let mut scan = Scan::new(self.bytes, Span::new(start, all.end as usize));
        let name = scan.take_while(is_token);
        scan.take_while(is_fold);
        if name.is_empty() || !scan.eat(b':') {
            return Err(Flaw::Line);
        }
        Ok(Some(Field { name, value: trimmed(self.bytes, scan.remains()) }))
    }

    /// Where the body begins, once there are no more fields.
    pub(super) const fn at(&self) -> usize {
        self.scan.at()
    }

    fn line(&mut self) -> Result<Span, Flaw> {
        line(self.bytes, &mut self.scan)
    }
}

/// The next line without its end, which is CRLF or LF.
pub(super) fn line(bytes: &[u8], scan: &mut Scan<'_>) -> Result<Span, Flaw> {
    let all = scan.take_until(b'\n').ok_or(Flaw::Unended)?;
    let text = all.of(bytes);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    // Some readers end a line there.
    if text.contains(&b'\r') {
        return Err(Flaw::Line);
    }
    Ok(Span::new(all.start as usize, all.start as usize + text.len()))
}

/// `span` without white space around it.
pub(super) fn trimmed(bytes: &[u8], span: Span) -> Span {
    let all = span.of(bytes);
    let kept = text::trimmed(all);
    let start = all.iter().position(|byte| !text::is_space(*byte)).unwrap_or(all.len());
    let start = span.start as usize + start;
    Span::new(start, start + kept.len())
}

/// The parameters `;name=value` of a value, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Params<'a> {
    bytes: &'a [u8],
    scan: Scan<'a>,
}

/// One parameter; the value is empty if there is none, and without its quotes if it has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) name: Span,
    pub(super) value: Span,
}

impl<'a> Params<'a> {
    pub(super) fn new(bytes: &'a [u8], scan: Scan<'a>) -> Self {
        Self { bytes, scan }
    }

    /// Behind the last one.
    pub(super) fn remains(mut self) -> Scan<'a> {
        self.scan.skip_space();
        self.scan
    }

    /// The value of the first one with this name.
    pub(super) fn value_of(mut self, name: &[u8]) -> Option<Span> {
        let bytes = self.bytes;
        let named = self.find(|param| param.name.of(bytes).eq_ignore_ascii_case(name));
        named.map(|param| param.value)
    }
}

impl Iterator for Params<'_> {
    type Item = Param;

    /// Ends where something stands that is none.
    fn next(&mut self) -> Option<Param> {
        let mut ahead = self.scan;
        ahead.skip_space();
        if !ahead.eat(b';') {
            return None;
        }
        ahead.skip_space();
        let name = ahead.take_while(is_token);
        let mut value = Span::new(ahead.at(), ahead.at());
        let mut behind = ahead;
        behind.skip_space();
        if behind.eat(b'=') {
            behind.skip_space();
            value = if behind.eat(b'"') {
                quoted(&mut behind)?
            } else {
                behind.take_while(|byte| !text::is_space(byte) && byte != b';' && byte != b',')
            };
            ahead = behind;
        }
        self.scan = ahead;
        Some(Param { name, value })
    }
}

/// The rest of a quoted string behind its first quote (RFC 3261 §25.1 `quoted-string`); `None` if it does
/// not end.
pub(super) fn quoted(scan: &mut Scan<'_>) -> Option<Span> {
    let start = scan.at();
    loop {
        match scan.next()? {
            b'"' => return Some(Span::new(start, scan.at() - 1)),
            b'\\' => scan.next().map(drop)?,
            _ => {}
        }
    }
}

/// Whether a line that begins so goes on with the one before.
const fn is_fold(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 3261 §25.1 `token`.
pub(super) const fn is_token(byte: u8) -> bool {
    let mark = matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
    byte.is_ascii_alphanumeric() || mark
}
