//! Goes through a message once, field by field.

use core::hash::BuildHasher as _;

use super::address;
use super::body::{self, Kind};
use super::{Body, Cseq, Header, Limit, Mention, Message, Method, Number, Place, Refused, Start};
use super::{Via, start, via};
use crate::alg::header::{self, Fields, Flaw, is_token};
use crate::alg::scan::Scan;
use crate::alg::{Endpoint, List, Span, text};
use crate::keyed::Keyed;
use crate::limits::SIP_MENTIONS_MAX;

/// What the fields so far have said.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    keyed: Keyed,
    start: Start,
    fields: Fields<'a>,
    via: Option<Via>,
    call_id: Option<u64>,
    from: Option<Option<u64>>,
    to: Option<Option<u64>>,
    cseq: Option<Cseq>,
    expires: Option<u32>,
    all_contacts: bool,
    mentions: List<Mention, SIP_MENTIONS_MAX>,
    length: Option<Number>,
    kind: Option<Kind>,
    encoded: Option<bool>,
}

impl<'a> Reader<'a> {
    /// Behind the first line.
    pub(super) fn new(bytes: &'a [u8], keyed: Keyed) -> Result<Self, Refused> {
        let mut scan = Scan::new(bytes, Span::new(0, bytes.len()));
        scan.take_while(|byte| matches!(byte, b'\r' | b'\n'));
        let line = header::line(bytes, &mut scan).map_err(|_| Refused::NotSip)?;
        let (start, uri) = start::read(bytes, line).ok_or(Refused::NotSip)?;
        let mut reader = Self {
            bytes,
            keyed,
            start,
            fields: Fields::new(bytes, scan.remains()),
            via: None,
            call_id: None,
            from: None,
            to: None,
            cseq: None,
            expires: None,
            all_contacts: false,
            mentions: List::new(),
            length: None,
            kind: None,
            encoded: None,
        };
        if let Some(endpoint) = uri.and_then(|uri| address::endpoint(bytes, uri)) {
            reader.mention(Place::Request, endpoint, None)?;
        }
        Ok(reader)
    }

    /// Reads the fields and finds the body.
    pub(super) fn message(mut self) -> Result<Message, Refused> {
        while let Some(field) = self.fields.next()? {
            if let Some(header) = Header::named(field.name.of(self.bytes)) {
                self.field(header, field.value)?;
            }
        }
        let (start, all) = (self.fields.at(), self.bytes.len());
        let told = self.length.map(|length| start.saturating_add(length.value as usize));
        let end = told.unwrap_or(all);
        if end > all {
            return Err(Refused::Length);
        }
        let content = Span::new(start, end);
        Ok(Message {
            start: self.start,
            via: self.via.ok_or(Refused::Missing(Header::Via))?,
            call_id: self.call_id.ok_or(Refused::Missing(Header::CallId))?,
            from_tag: self.from.ok_or(Refused::Missing(Header::From))?,
            to_tag: self.to.ok_or(Refused::Missing(Header::To))?,
            cseq: self.cseq()?,
            expires: self.expires,
            all_contacts: self.all_contacts,
            mentions: self.mentions,
            content_length: self.length,
            content,
            body: self.body(content)?,
            beyond: Span::new(end, all).len() as u32,
        })
    }

    /// That of a request is its own method (RFC 3261 §8.1.1.5).
    fn cseq(&self) -> Result<Cseq, Refused> {
        let cseq = self.cseq.ok_or(Refused::Missing(Header::Cseq))?;
        match self.start {
            Start::Request(method) if method != cseq.method => {
                Err(Refused::Malformed(Header::Cseq))
            }
            Start::Request(_) | Start::Response(_) => Ok(cseq),
        }
    }

    fn body(&self, content: Span) -> Result<Body, Refused> {
        if content.is_empty() {
            return Ok(Body::Empty);
        }
        match self.kind.filter(|_| self.encoded != Some(true)) {
            Some(kind) => body::find(self.bytes, content, kind),
            None => Ok(Body::Opaque),
        }
    }

    fn field(&mut self, header: Header, value: Span) -> Result<(), Refused> {
        let text = value.of(self.bytes);
        let malformed = Refused::Malformed(header);
        match header {
            Header::Via => self.vias(value),
            Header::From => {
                let tag = self.party(Place::From, value)?;
                once(&mut self.from, tag, header)
            }
            Header::To => {
                let tag = self.party(Place::To, value)?;
                once(&mut self.to, tag, header)
            }
            Header::CallId => {
                let hash = (!text.is_empty()).then(|| self.keyed.hash_one(text));
                once(&mut self.call_id, hash.ok_or(malformed)?, header)
            }
            Header::Cseq => once(&mut self.cseq, cseq(text).ok_or(malformed)?, header),
            Header::Contact if text == b"*" => {
                self.all_contacts = true;
                Ok(())
            }
            Header::Contact => self.addresses(header, Place::Contact, value),
            Header::Route => self.addresses(header, Place::Route, value),
            Header::RecordRoute => self.addresses(header, Place::RecordRoute, value),
            Header::Expires => once(&mut self.expires, seconds(text), header),
            Header::ContentLength => {
                let length = text::decimal(text, 10).ok_or(malformed)?;
                once(&mut self.length, Number { value: length, span: value }, header)
            }
            Header::ContentType => {
                let kind = Kind::read(self.bytes, value).ok_or(malformed)?;
                once(&mut self.kind, kind, header)
            }
            Header::ContentEncoding => {
                once(&mut self.encoded, !text.eq_ignore_ascii_case(b"identity"), header)
            }
        }
    }

    fn vias(&mut self, value: Span) -> Result<(), Refused> {
        let mut scan = Scan::new(self.bytes, value);
        loop {
            let via = via::next(self.bytes, &mut scan);
            let via = via.ok_or(Refused::Malformed(Header::Via))?;
            let place = if self.via.is_none() { Place::TopVia } else { Place::Via };
            self.via.get_or_insert(via);
            self.mention(place, via.endpoint, None)?;
            if scan.is_at_end() {
                return Ok(());
            }
        }
    }

    fn addresses(&mut self, header: Header, place: Place, value: Span) -> Result<(), Refused> {
        let mut scan = Scan::new(self.bytes, value);
        loop {
            let address = address::next(self.bytes, &mut scan);
            let address = address.ok_or(Refused::Malformed(header))?;
            let expires = address.params(self.bytes).value_of(b"expires");
            let expires = expires.filter(|_| place == Place::Contact);
            let expires = expires.map(|value| seconds(value.of(self.bytes)));
            if let Some(endpoint) = address::endpoint(self.bytes, address.uri) {
                self.mention(place, endpoint, expires)?;
            }
            if scan.is_at_end() {
                return Ok(());
            }
        }
    }

    /// The one address of `From` or `To`, and the hash of its tag.
    fn party(&mut self, place: Place, value: Span) -> Result<Option<u64>, Refused> {
        let header = if place == Place::From { Header::From } else { Header::To };
        let mut scan = Scan::new(self.bytes, value);
        let address = address::next(self.bytes, &mut scan).filter(|_| scan.is_at_end());
        let address = address.ok_or(Refused::Malformed(header))?;
        if let Some(endpoint) = address::endpoint(self.bytes, address.uri) {
            self.mention(place, endpoint, None)?;
        }
        let tag = address.params(self.bytes).value_of(b"tag").filter(|tag| !tag.is_empty());
        Ok(tag.map(|tag| self.keyed.hash_one(tag.of(self.bytes))))
    }

    fn mention(
        &mut self,
        place: Place,
        endpoint: Endpoint,
        expires: Option<u32>,
    ) -> Result<(), Refused> {
        let pushed = self.mentions.push(Mention { place, endpoint, expires });
        pushed.map_err(|_| Refused::TooMuch(Limit::Mentions))
    }
}

impl Header {
    const NAMES: [(&'static [u8], Self); 20] = [
        (b"via", Self::Via),
        (b"v", Self::Via),
        (b"from", Self::From),
        (b"f", Self::From),
        (b"to", Self::To),
        (b"t", Self::To),
        (b"call-id", Self::CallId),
        (b"i", Self::CallId),
        (b"cseq", Self::Cseq),
        (b"contact", Self::Contact),
        (b"m", Self::Contact),
        (b"route", Self::Route),
        (b"record-route", Self::RecordRoute),
        (b"expires", Self::Expires),
        (b"content-length", Self::ContentLength),
        (b"l", Self::ContentLength),
        (b"content-type", Self::ContentType),
        (b"c", Self::ContentType),
        (b"content-encoding", Self::ContentEncoding),
        (b"e", Self::ContentEncoding),
    ];

    /// The one with this name, long or short (RFC 3261 §7.3.3), in any case.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, header)| *header)
    }
}

impl From<Flaw> for Refused {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::Unended => Self::Unended,
            Flaw::Line => Self::Line,
            Flaw::TooMany => Self::TooMuch(Limit::Fields),
        }
    }
}

/// Keeps what may be said once.
fn once<T>(slot: &mut Option<T>, value: T, header: Header) -> Result<(), Refused> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refused::Repeated(header)),
    }
}

/// RFC 3261 §20.10, §20.19: what is no number means an hour.
fn seconds(value: &[u8]) -> u32 {
    text::decimal(value, 10).unwrap_or(3_600)
}

/// `314159 INVITE`.
fn cseq(value: &[u8]) -> Option<Cseq> {
    let mut scan = Scan::new(value, Span::new(0, value.len()));
    let digits = scan.take_while(|byte| byte.is_ascii_digit());
    let number = text::decimal(digits.of(value), 10)?;
    let spaced = !scan.take_while(text::is_space).is_empty();
    let method = Method::named(scan.take_while(is_token).of(value))?;
    (spaced && scan.is_at_end()).then_some(Cseq { number, method })
}
