//! TFTP: the request after which the server answers from a port of its own (RFC 1350 §4).
//!
//! ```text
//! client:p ─► server:69   RRQ or WRQ            ◄ read here
//! client:p ◄─ server:q    DATA, ACK or OACK     ◄ the connection that the request announces
//! ```

#[cfg(test)]
mod tests;

use super::Span;
use crate::limits::{TFTP_OPTIONS_MAX, TFTP_REQUEST_BYTES};

/// A request, and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub kind: Kind,
    /// Where the name of the file stands.
    pub file: Span,
    /// How the file is written.
    pub mode: Mode,
    /// Options behind it (RFC 2347).
    pub options: u8,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `RRQ`: to get a file.
    Read,
    /// `WRQ`: to put a file.
    Write,
}

/// How the file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `netascii`.
    Netascii,
    /// `octet`.
    Octet,
    /// `mail`, which no server should have (RFC 1350 §1).
    Mail,
}

/// Why a datagram is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Another operation, as data and acknowledgements are.
    Operation,
    /// It is longer than a request may be.
    TooLong,
    /// A name, the mode or an option has no end, or is empty.
    Cut,
    /// A mode that is not known.
    Mode,
    /// More than [`TFTP_OPTIONS_MAX`] options.
    TooManyOptions,
}

/// Reads a datagram to the server's port.
///
/// # Errors
/// [`Refused`] says why it is no request.
pub fn read(datagram: &[u8]) -> Result<Request, Refused> {
    let kind = match datagram {
        [0, 1, ..] => Kind::Read,
        [0, 2, ..] => Kind::Write,
        _ => return Err(Refused::Operation),
    };
    if datagram.len() > TFTP_REQUEST_BYTES {
        return Err(Refused::TooLong);
    }
    let mut at = 2;
    let file = string(datagram, &mut at)?;
    let mode = Mode::named(string(datagram, &mut at)?.of(datagram)).ok_or(Refused::Mode)?;
    let mut options = 0;
    while at < datagram.len() {
        if usize::from(options) == TFTP_OPTIONS_MAX {
            return Err(Refused::TooManyOptions);
        }
        string(datagram, &mut at)?;
        string(datagram, &mut at)?;
        options += 1;
    }
    Ok(Request { kind, file, mode, options })
}

/// The next string without its zero, which is passed.
fn string(datagram: &[u8], at: &mut usize) -> Result<Span, Refused> {
    let rest = datagram.get(*at..).unwrap_or_default();
    let length = rest.iter().position(|byte| *byte == 0).filter(|length| *length > 0);
    let span = Span::new(*at, *at + length.ok_or(Refused::Cut)?);
    *at = span.end as usize + 1;
    Ok(span)
}

impl Mode {
    /// In any case (RFC 1350 §5).
    fn named(word: &[u8]) -> Option<Self> {
        const NAMES: [(&[u8], Mode); 3] =
            [(b"netascii", Mode::Netascii), (b"octet", Mode::Octet), (b"mail", Mode::Mail)];
        NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, mode)| *mode)
    }
}
