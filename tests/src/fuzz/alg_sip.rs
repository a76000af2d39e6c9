//! A SIP message, or a stream of them: spans stand on what they are told for, and once all endpoints are
//! replaced, as translation does it, the message says what it was made to say, and how long its body is.

use std::net::{IpAddr, Ipv4Addr};

use engine::alg::sip::{self, Body, Frame, Message, message_len};
use engine::alg::{Endpoint, Span, endpoint, sdp};
use engine::limits::SIP_MESSAGE_BYTES;

use super::Depth;

const NEW: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 250));
const SEED: u64 = 7;
/// Messages of one stream that are looked at.
const MESSAGES: usize = 16;

/// One replacement.
type Edit = (Span, Vec<u8>);

pub(super) fn run(bytes: &[u8]) -> Depth {
    stream(bytes);
    let _ = sdp::read(bytes, Span::new(0, bytes.len()));
    message(bytes)
}

fn stream(bytes: &[u8]) {
    let mut rest = bytes;
    for _ in 0..MESSAGES {
        match message_len(rest) {
            Frame::Complete(len) => {
                assert_eq!(message_len(&rest[..len]), Frame::Complete(len));
                assert_eq!(message_len(&rest[..len - 1]), Frame::Incomplete);
                if let Ok(found) = sip::read(&rest[..len], SEED) {
                    assert_eq!((found.content.end as usize, found.beyond), (len, 0));
                }
                message(&rest[..len]);
                rest = &rest[len..];
            }
            Frame::KeepAlive(len) => rest = &rest[len..],
            Frame::TooMuch(len) => {
                assert!(len > SIP_MESSAGE_BYTES);
                return;
            }
            Frame::Incomplete | Frame::NotSip => return,
        }
    }
}

fn message(bytes: &[u8]) -> Depth {
    let Ok(found) = sip::read(bytes, SEED) else { return Depth::Refused };
    assert_eq!(found.content.end as usize + found.beyond as usize, bytes.len());
    for mention in found.mentions.iter() {
        stands(bytes, &mention.endpoint);
    }
    let session = session(bytes, &found);
    let again = apply(bytes, edits(bytes, &found));
    let Ok(reread) = sip::read(&again, SEED) else {
        assert!(again.len() > SIP_MESSAGE_BYTES, "{}", again.escape_ascii());
        return Depth::Read;
    };
    assert_eq!(said(&again, &reread), replaced(said(bytes, &found)));
    assert_eq!(
        (reread.call_id, reread.from_tag, reread.to_tag, reread.cseq, reread.beyond),
        (found.call_id, found.from_tag, found.to_tag, found.cseq, found.beyond),
    );
    if session.is_some() { Depth::Used } else { Depth::Read }
}

fn session(bytes: &[u8], message: &Message) -> Option<sdp::Session> {
    match message.body {
        Body::Sdp(span) => sdp::read(bytes, span).ok(),
        Body::Empty | Body::Opaque => None,
    }
}

fn text(bytes: &[u8], span: Span) -> &str {
    std::str::from_utf8(span.of(bytes)).expect("ASCII")
}

fn stands(bytes: &[u8], endpoint: &Endpoint) {
    let host = text(bytes, endpoint.host).trim_start_matches('[').trim_end_matches(']');
    assert_eq!(host.parse().ok(), endpoint.address);
    let port = endpoint.digits.map(|digits| text(bytes, digits).parse().expect("a port"));
    assert_eq!(port, endpoint.port);
}

/// Every address by another; ports stay.
fn edits(bytes: &[u8], message: &Message) -> Vec<Edit> {
    let mut edits = Vec::new();
    for endpoint in message.mentions.iter().map(|mention| mention.endpoint) {
        let mut out = [0; endpoint::TEXT_BYTES];
        let len = endpoint::print(NEW, endpoint.port, &mut out).expect("it fits");
        if endpoint.address.is_some() {
            edits.push((endpoint.span(), out[..len].to_vec()));
        }
    }
    let header = edits.len();
    if let Some(session) = session(bytes, message) {
        for connection in connections(&session).filter(|it| it.address.is_some()) {
            let mut out = [0; sdp::CONNECTION_BYTES];
            let len = sdp::print_connection(NEW, &mut out).expect("it fits");
            edits.push((connection.span, out[..len].to_vec()));
        }
        for candidate in session.candidates.iter().filter(|it| it.address.is_some()) {
            edits.push((candidate.host, NEW.to_string().into_bytes()));
        }
        for media in session.media.iter() {
            edits.push((media.span, media.port.to_string().into_bytes()));
        }
    }
    let (shrunk, grown) = edits[header..]
        .iter()
        .fold((0, 0), |(shrunk, grown), (span, text)| (shrunk + span.len(), grown + text.len()));
    if let Some(told) = message.content_length {
        let length = message.content.len() + grown - shrunk;
        edits.push((told.span, length.to_string().into_bytes()));
    }
    edits
}

fn apply(bytes: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort();
    let (mut out, mut at) = (Vec::new(), 0);
    for (span, text) in edits {
        assert!(span.start as usize >= at, "no two stand in one place");
        out.extend_from_slice(&bytes[at..span.start as usize]);
        out.extend(text);
        at = span.end as usize;
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

fn connections(session: &sdp::Session) -> impl Iterator<Item = sdp::Connection> {
    let of_media = session.media.iter().flat_map(|media| {
        media.connection.into_iter().chain(media.rtcp.and_then(|rtcp| rtcp.connection))
    });
    std::iter::once(session.origin).chain(session.connection).chain(of_media)
}

/// All that is said of endpoints, without where it stands.
fn said(bytes: &[u8], message: &Message) -> Vec<(Option<IpAddr>, Option<u16>)> {
    let mut said: Vec<_> = message
        .mentions
        .iter()
        .map(|mention| (mention.endpoint.address, mention.endpoint.port))
        .collect();
    if let Some(session) = session(bytes, message) {
        said.extend(connections(&session).map(|connection| (connection.address, None)));
        said.extend(session.media.iter().map(|media| (None, Some(media.port))));
        said.extend(session.candidates.iter().map(|it| (it.address, Some(it.port))));
    }
    said
}

fn replaced(mut said: Vec<(Option<IpAddr>, Option<u16>)>) -> Vec<(Option<IpAddr>, Option<u16>)> {
    for (address, _) in &mut said {
        *address = address.map(|_| NEW);
    }
    said
}
