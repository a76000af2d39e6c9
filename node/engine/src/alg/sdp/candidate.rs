//! `a=candidate`: a place where a medium may go as well (RFC 8839 §5.1).

use core::net::IpAddr;

use crate::alg::scan::Scan;
use crate::alg::{Span, text};

/// `candidate:1 1 UDP 2130706431 10.0.0.1 8998 typ host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The medium's place in the list of them.
    pub media: u8,
    /// The whole line with its end, which can be left out.
    pub line: Span,
    /// 1 is RTP, 2 is RTCP.
    pub component: u16,
    /// Whether it is over TCP (RFC 6544).
    pub tcp: bool,
    /// Where the address stands.
    pub host: Span,
    /// The address; `None` is a name.
    pub address: Option<IpAddr>,
    /// Where the port's digits stand.
    pub digits: Span,
    /// The port; 9 if it will only connect (RFC 6544 §4.5).
    pub port: u16,
    /// What it was found by: `raddr`, where the address stands and what it is.
    pub related: Option<(Span, Option<IpAddr>)>,
    /// `rport`.
    pub related_port: Option<(Span, u16)>,
}

impl Candidate {
    /// What stands behind `candidate:`.
    pub(super) fn read(bytes: &[u8], value: Span, line: Span, media: u8) -> Option<Self> {
        let mut words = Words { scan: Scan::new(bytes, value) };
        words.next()?; // Its foundation.
        let component = text::port(words.next()?.of(bytes))?;
        let transport = words.next()?.of(bytes);
        text::decimal(words.next()?.of(bytes), 10)?; // Its priority.
        let (host, digits) = (words.next()?, words.next()?);
        if words.next()?.of(bytes) != b"typ" {
            return None;
        }
        words.next()?;
        let mut candidate = Self {
            media,
            line,
            component,
            tcp: transport.eq_ignore_ascii_case(b"TCP"),
            host,
            address: text::address(host.of(bytes)),
            digits,
            port: text::port(digits.of(bytes))?,
            related: None,
            related_port: None,
        };
        candidate.extend(bytes, words)?;
        Some(candidate)
    }

    /// Pairs of a name and a value.
    fn extend(&mut self, bytes: &[u8], mut words: Words<'_>) -> Option<()> {
        while let Some(name) = words.next() {
            let Some(value) = words.next() else { return Some(()) };
            match name.of(bytes) {
                b"raddr" => self.related = Some((value, text::address(value.of(bytes)))),
                b"rport" => self.related_port = Some((value, text::port(value.of(bytes))?)),
                _ => {}
            }
        }
        Some(())
    }
}

/// What stands between spaces.
struct Words<'a> {
    scan: Scan<'a>,
}

impl Words<'_> {
    fn next(&mut self) -> Option<Span> {
        self.scan.take_while(|byte| byte == b' ');
        let word = self.scan.take_while(|byte| byte != b' ');
        (!word.is_empty()).then_some(word)
    }
}
