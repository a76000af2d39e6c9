//! Numbers and addresses as text protocols write them.

use core::fmt::{self, Write as _};
use core::net::IpAddr;

/// A decimal number of one to `digits` digits, and nothing else.
pub(super) fn decimal(text: &[u8], digits: usize) -> Option<u32> {
    if text.is_empty() || text.len() > digits || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.iter().try_fold(0_u32, |number, digit| {
        number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
    })
}

/// A port: one to five digits, at most 65535.
pub(super) fn port(text: &[u8]) -> Option<u16> {
    decimal(text, 5).and_then(|number| u16::try_from(number).ok())
}

/// One byte in decimal: one to three digits, at most 255.
pub(super) fn byte(text: &[u8]) -> Option<u8> {
    decimal(text, 3).and_then(|number| u8::try_from(number).ok())
}

/// An address in its usual notation, without brackets or zone.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// White space within a line, and the line ends that a folded header has in it.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without white space around it.
pub(super) fn trimmed(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(*byte)).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// Writes to `out` and tells the length; `None` if it does not fit.
pub(super) fn print(out: &mut [u8], text: fmt::Arguments<'_>) -> Option<usize> {
    let mut printer = Printer { out, len: 0 };
    printer.write_fmt(text).ok()?;
    Some(printer.len)
}

struct Printer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl fmt::Write for Printer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.checked_add(text.len()).ok_or(fmt::Error)?;
        let place = self.out.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
