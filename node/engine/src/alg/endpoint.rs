//! `host:port`, as SIP writes it (RFC 3261 §25.1 `hostport`, `sent-by`).

use core::net::IpAddr;

use super::scan::Scan;
use super::{Span, text};

/// Bytes that [`print()`] needs at most: an IPv6 address in brackets, a colon, and a port.
pub const TEXT_BYTES: usize = 2 + 45 + 6;

/// A host and perhaps a port, and where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where the host stands, brackets included.
    pub host: Span,
    /// The host's address; `None` is a name.
    pub address: Option<IpAddr>,
    /// Where the port's digits stand.
    pub digits: Option<Span>,
    /// The port; `None` is that of the protocol.
    pub port: Option<u16>,
}

impl Endpoint {
    /// From the host's first byte to the port's last one, or the host's: what [`print()`] can replace.
    pub fn span(&self) -> Span {
        self.digits.map_or(self.host, |digits| self.host.to(digits))
    }

    /// The next bytes of `scan`, if they are one. White space may stand around the colon where
    /// `spaced`, as it may in a `Via` (RFC 3261 §25.1).
    pub(super) fn read(bytes: &[u8], scan: &mut Scan<'_>, spaced: bool) -> Option<Self> {
        let (host, address) = host(bytes, scan)?;
        let mut ahead = *scan;
        if spaced {
            ahead.skip_space();
        }
        if !ahead.eat(b':') {
            return Some(Self { host, address, digits: None, port: None });
        }
        if spaced {
            ahead.skip_space();
        }
        let digits = ahead.take_while(|byte| byte.is_ascii_digit());
        let port = Some(text::port(digits.of(bytes))?);
        *scan = ahead;
        Some(Self { host, address, digits: Some(digits), port })
    }
}

/// Writes an address, in brackets if it is of IPv6, and a port behind it, and tells the length. `None` if
/// `out` is too short; [`TEXT_BYTES`] are enough.
pub fn print(address: IpAddr, port: Option<u16>, out: &mut [u8]) -> Option<usize> {
    match (address, port) {
        (IpAddr::V4(address), Some(port)) => text::print(out, format_args!("{address}:{port}")),
        (IpAddr::V4(address), None) => text::print(out, format_args!("{address}")),
        (IpAddr::V6(address), Some(port)) => text::print(out, format_args!("[{address}]:{port}")),
        (IpAddr::V6(address), None) => text::print(out, format_args!("[{address}]")),
    }
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn host(bytes: &[u8], scan: &mut Scan<'_>) -> Option<(Span, Option<IpAddr>)> {
    let start = scan.at();
    if scan.eat(b'[') {
        let address = text::address(scan.take_until(b']')?.of(bytes)).filter(IpAddr::is_ipv6)?;
        return Some((Span::new(start, scan.at()), Some(address)));
    }
    let host = scan.take_while(is_of_name);
    let address = text::address(host.of(bytes));
    (!host.is_empty()).then_some((host, address))
}

/// `_` is in no host name, and in many.
const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}
