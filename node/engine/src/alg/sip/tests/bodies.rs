//! Bodies: which are sessions, and where they stand.

use super::{Body, Header, Limit, NEEDED, Refused, SEED, good, message, read};
use crate::limits::BODY_PARTS_MAX;

fn with(lines: &[&str], body: &[u8]) -> Vec<u8> {
    message(&[&NEEDED, lines].concat(), body)
}

/// What stands where the session is told to.
fn session(bytes: &[u8]) -> Option<&[u8]> {
    match good(bytes).body {
        Body::Sdp(span) => Some(span.of(bytes)),
        Body::Empty | Body::Opaque => None,
    }
}

#[test]
fn a_body_is_a_session_if_its_type_says_so() {
    let kinds = [
        ("application/sdp", true),
        ("Application / SDP ; charset=utf-8", true),
        ("application/pidf+xml", false),
        ("text/sdp", false),
        ("application/sdpx", false),
        ("message/sipfrag", false),
    ];
    for (kind, is) in kinds {
        let bytes = with(&[&format!("c: {kind}")], b"v=0\r\n");
        assert_eq!(session(&bytes).is_some(), is, "{kind}");
    }
    assert_eq!(good(&with(&[], b"v=0\r\n")).body, Body::Opaque);
    assert_eq!(good(&with(&["c: application/sdp"], b"")).body, Body::Empty);
    assert_eq!(session(&with(&["c: application/sdp", "e: gzip"], b"v=0")), None);
    assert!(session(&with(&["c: application/sdp", "e: identity"], b"v=0")).is_some());
}

/// RFC 3261 §18.3: what is beyond is passed over, what is missing makes it no message.
#[test]
fn the_length_says_where_the_body_ends() {
    let bytes =
        with(&["c: application/sdp", "Content-Length: 5"], b"v=0\r\nm=audio 1 RTP/AVP 0\r\n");
    assert_eq!(session(&bytes), Some(&b"v=0\r\n"[..]));
    assert_eq!(good(&bytes).beyond, 21);
    let bytes = with(&["c: application/sdp", "Content-Length: 6"], b"v=0\r\n");
    assert_eq!(read(&bytes, SEED), Err(Refused::Length));
    let bytes = with(&["Content-Length: 4294967295"], b"v=0\r\n");
    assert_eq!(read(&bytes, SEED), Err(Refused::Length));
}

const MIXED: &str = "Content-Type: multipart/mixed;boundary=\"b 1\"";

#[test]
fn a_session_among_parts() {
    let bodies: [&[u8]; 4] = [
        b"--b 1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b 1--\r\n",
        b"preamble\r\n--b 1  \r\n\r\ntext\r\n--b 1\r\nc: x\r\nContent-Type: application/sdp\r\n\
          Content-Transfer-Encoding: 8bit\r\n\r\nv=0\r\n\r\n--b 1\r\n\
          Content-Type: image/png\r\n\r\n\0\r\xff\n\r\n--b 1--",
        b"--b 1\ncontent-type: Application/SDP\n\nv=0\r\n\n--b 1--\nv=1",
        b"--b 1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n",
    ];
    for body in bodies {
        let bytes = with(&[MIXED], body);
        let found = session(&bytes).expect("one");
        assert!(matches!(found, b"v=0\r\n" | b"v=0"), "{}", found.escape_ascii());
    }
}

#[test]
fn parts_without_a_session() {
    let bodies: [&[u8]; 8] = [
        b"v=0\r\n",
        b"--b 1--\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b 1--\r\n",
        b"--b 1\r\nContent-Type: text/plain\r\n\r\nv=0\r\n--b 1--\r\n",
        b"--b 1\r\nContent-Type: application/sdp\r\nContent-Encoding: gzip\r\n\r\n\
          v=0\r\n--b 1--\r\n",
        b"--b 1\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\n\
          v=0\r\n--b 1--\r\n",
        b"--b 1\r\nContent-Type: application/sdp\r\n--b 1--\r\n",
        b"--b 1x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b 1--\r\n",
        b"--b 1\r\nno field\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b 1--\r\n",
    ];
    for body in bodies {
        assert_eq!(good(&with(&[MIXED], body)).body, Body::Opaque, "{}", body.escape_ascii());
    }
}

#[test]
fn two_sessions_are_one_too_many() {
    let part = b"--b 1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n";
    let found = read(&with(&[MIXED], &[&part[..], part, b"--b 1--"].concat()), SEED);
    assert_eq!(found, Err(Refused::Repeated(Header::ContentType)));
    let types = "--b 1\r\nContent-Type: text/plain\r\nContent-Type: application/sdp\r\n\r\n\
        v=0\r\n--b 1--";
    let found = read(&with(&[MIXED], types.as_bytes()), SEED);
    assert_eq!(found, Err(Refused::Repeated(Header::ContentType)));
}

#[test]
fn parts_are_counted() {
    let part = b"--b 1\r\n\r\n\r\n";
    let most = [&part.repeat(BODY_PARTS_MAX)[..], b"--b 1--"].concat();
    assert!(read(&with(&[MIXED], &most), SEED).is_ok());
    let more = [&part.repeat(BODY_PARTS_MAX + 1)[..], b"--b 1--"].concat();
    assert_eq!(read(&with(&[MIXED], &more), SEED), Err(Refused::TooMuch(Limit::Parts)));
}
