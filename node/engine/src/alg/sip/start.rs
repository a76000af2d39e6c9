//! The first line (RFC 3261 §7.1, §7.2).

use crate::alg::header::is_token;
use crate::alg::scan::Scan;
use crate::alg::{Span, text};
use crate::limits::METHOD_BYTES;

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request with this method.
    Request(Method),
    /// A response with this status, 100 to 699.
    Response(u16),
}

/// What is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §13.2.2.4.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §10.
    Register,
    /// RFC 3261 §11.
    Options,
    /// RFC 3262.
    Prack,
    /// RFC 3311.
    Update,
    /// RFC 6086.
    Info,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3515.
    Refer,
    /// RFC 3428.
    Message,
    /// RFC 3903.
    Publish,
    /// None of these.
    Other,
}

impl Method {
    const NAMES: [(&'static [u8], Self); 14] = [
        (b"INVITE", Self::Invite),
        (b"ACK", Self::Ack),
        (b"BYE", Self::Bye),
        (b"CANCEL", Self::Cancel),
        (b"REGISTER", Self::Register),
        (b"OPTIONS", Self::Options),
        (b"PRACK", Self::Prack),
        (b"UPDATE", Self::Update),
        (b"INFO", Self::Info),
        (b"SUBSCRIBE", Self::Subscribe),
        (b"NOTIFY", Self::Notify),
        (b"REFER", Self::Refer),
        (b"MESSAGE", Self::Message),
        (b"PUBLISH", Self::Publish),
    ];

    /// Methods are told apart by case (RFC 3261 §7.1).
    pub(super) fn named(word: &[u8]) -> Option<Self> {
        if word.is_empty() || word.len() > METHOD_BYTES {
            return None;
        }
        let found = Self::NAMES.iter().find(|(name, _)| *name == word);
        Some(found.map_or(Self::Other, |(_, method)| *method))
    }
}

const VERSION: &[u8] = b"SIP/2.0";

/// Reads the line `span`, and tells where the URI of a request stands. `None` if it is not SIP's.
pub(super) fn read(bytes: &[u8], span: Span) -> Option<(Start, Option<Span>)> {
    let mut scan = Scan::new(bytes, span);
    if scan.eat_word(VERSION) {
        let number = scan.eat(b' ').then(|| scan.take(3))?;
        let status = text::decimal(number.of(bytes), 3).filter(|it| (100..700).contains(it))?;
        let ended = scan.is_at_end() || scan.eat(b' ');
        return ended.then_some((Start::Response(u16::try_from(status).ok()?), None));
    }
    let method = Method::named(scan.take_while(is_token).of(bytes))?;
    let uri = scan.eat(b' ').then(|| scan.take_until(b' '))??;
    let ended = !uri.is_empty() && scan.eat_word(VERSION) && scan.is_at_end();
    ended.then_some((Start::Request(method), Some(uri)))
}

/// Whether these bytes, as far as they have come, can be the beginning of a first line.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let version = bytes.len().min(VERSION.len());
    let response = bytes.get(..version).zip(VERSION.get(..version));
    if response.is_some_and(|(begin, version)| begin.eq_ignore_ascii_case(version)) {
        return true;
    }
    let word = bytes.iter().take_while(|byte| is_token(**byte)).count();
    let spaced = bytes.get(word).is_none_or(|byte| *byte == b' ');
    (1..=METHOD_BYTES).contains(&word) && spaced
}
