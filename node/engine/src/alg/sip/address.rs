//! URIs and the lists of them in `Contact`, `Route`, `From` and their like (RFC 3261 §19.1, §20.10).

use crate::alg::header::{Params, is_token, quoted, trimmed};
use crate::alg::scan::Scan;
use crate::alg::{Endpoint, Span};

/// One of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    /// Its URI.
    pub(super) uri: Span,
    /// What stands behind it and belongs to it.
    params: Span,
}

impl Address {
    pub(super) fn params<'a>(&self, bytes: &'a [u8]) -> Params<'a> {
        Params::new(bytes, Scan::new(bytes, self.params))
    }
}

/// The next one of a list; `None` if it is not as RFC 3261 writes it.
///
/// ```text
/// "a, b" <sip:a@host>;tag=1 , sip:b@host;tag=2
///         └── uri ──┘└params   └─ uri ─┘└params
/// ```
pub(super) fn next(bytes: &[u8], scan: &mut Scan<'_>) -> Option<Address> {
    scan.skip_space();
    let start = scan.at();
    while let Some(byte) = scan.peek() {
        match byte {
            b',' => break,
            b'<' => return in_brackets(scan),
            _ => pass(scan)?,
        }
    }
    let all = trimmed(bytes, Span::new(start, scan.at()));
    let mut bare = Scan::new(bytes, all);
    // Without brackets the parameters are the field's, not the URI's (RFC 3261 §20).
    let uri = trimmed(bytes, bare.take_while(|byte| byte != b';'));
    finish(scan, Address { uri, params: bare.remains() })
}

fn in_brackets(scan: &mut Scan<'_>) -> Option<Address> {
    scan.next();
    let uri = scan.take_until(b'>')?;
    let start = scan.at();
    while scan.peek().is_some_and(|byte| byte != b',') {
        pass(scan)?;
    }
    finish(scan, Address { uri, params: Span::new(start, scan.at()) })
}

/// Past the comma behind it.
fn finish(scan: &mut Scan<'_>, address: Address) -> Option<Address> {
    scan.eat(b',');
    (!address.uri.is_empty()).then_some(address)
}

/// Passes a byte, or all of a quoted string. Some phones write a backslash before the quotes too.
fn pass(scan: &mut Scan<'_>) -> Option<()> {
    match scan.next()? {
        b'"' => quoted(scan).map(drop),
        b'\\' => scan.next().map(drop),
        _ => Some(()),
    }
}

/// The endpoint that a URI of SIP names; `None` for others, and where it cannot be told for sure.
pub(super) fn endpoint(bytes: &[u8], uri: Span) -> Option<Endpoint> {
    let mut scan = Scan::new(bytes, uri);
    let scheme = scan.take_while(is_token).of(bytes);
    let known = scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips");
    if !known || !scan.eat(b':') {
        return None;
    }
    scan.take_until(b'@');
    if scan.rest().contains(&b'@') {
        return None;
    }
    let endpoint = Endpoint::read(bytes, &mut scan, false)?;
    matches!(scan.peek(), None | Some(b';' | b'?')).then_some(endpoint)
}
