//! `Via`: the way back for responses (RFC 3261 §20.42, RFC 3581).

use core::net::IpAddr;

use crate::alg::header::{Param, Params, is_token};
use crate::alg::scan::Scan;
use crate::alg::{Endpoint, Span, text};

/// One of the ways back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// `sent-by`: who asks for the response.
    pub endpoint: Endpoint,
    /// Over what.
    pub transport: Transport,
    /// `received`: where the request came from, as the other side saw it. Its text, and the address.
    pub received: Option<(Span, Option<IpAddr>)>,
    /// `rport`.
    pub rport: Rport,
}

/// Over what a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `UDP`.
    Udp,
    /// `TCP`.
    Tcp,
    /// `TLS`, over TCP.
    Tls,
    /// `SCTP`.
    Sctp,
    /// None of these.
    Other,
}

/// The port that the request came from (RFC 3581 §3, §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rport {
    /// Not asked for.
    Absent,
    /// Asked for; the word stands here.
    Asked(Span),
    /// The other side told it; its digits stand here.
    Told(Span, u16),
}

/// The next one of a list; `None` if it is not as RFC 3261 writes it.
pub(super) fn next<'a>(bytes: &'a [u8], scan: &mut Scan<'a>) -> Option<Via> {
    let transport = protocol(bytes, scan)?;
    let mut via = Via {
        endpoint: Endpoint::read(bytes, scan, true)?,
        transport,
        received: None,
        rport: Rport::Absent,
    };
    let mut params = Params::new(bytes, *scan);
    for param in params.by_ref() {
        via.note(bytes, param)?;
    }
    *scan = params.remains();
    (scan.is_at_end() || scan.eat(b',')).then_some(via)
}

impl Via {
    fn note(&mut self, bytes: &[u8], Param { name, value }: Param) -> Option<()> {
        let word = name.of(bytes);
        if word.eq_ignore_ascii_case(b"received") {
            self.received = Some((value, received(value.of(bytes))));
        } else if word.eq_ignore_ascii_case(b"rport") && value.is_empty() {
            self.rport = Rport::Asked(name);
        } else if word.eq_ignore_ascii_case(b"rport") {
            self.rport = Rport::Told(value, text::port(value.of(bytes))?);
        }
        Some(())
    }
}

/// `SIP / 2.0 / UDP`, and the space behind it.
fn protocol(bytes: &[u8], scan: &mut Scan<'_>) -> Option<Transport> {
    let mut word = || {
        scan.skip_space();
        let word = scan.take_while(is_token).of(bytes);
        let spaced = scan.peek().is_some_and(text::is_space);
        scan.skip_space();
        (word, spaced, scan.eat(b'/'))
    };
    let ((name, _, first), (version, _, second)) = (word(), word());
    let (transport, spaced, third) = word();
    let ours = name.eq_ignore_ascii_case(b"SIP") && version == b"2.0";
    (ours && first && second && spaced && !third).then(|| Transport::named(transport))
}

impl Transport {
    fn named(word: &[u8]) -> Self {
        const NAMES: [(&[u8], Transport); 4] = [
            (b"UDP", Transport::Udp),
            (b"TCP", Transport::Tcp),
            (b"TLS", Transport::Tls),
            (b"SCTP", Transport::Sctp),
        ];
        let found = NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
        found.map_or(Self::Other, |(_, transport)| *transport)
    }
}

/// An IPv6 address stands there with brackets or without (RFC 5118 §4.5).
fn received(text: &[u8]) -> Option<IpAddr> {
    let inner = text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]"));
    text::address(inner.unwrap_or(text))
}
