//! Messages in a stream.

use super::{NEEDED, message};
use crate::alg::sip::{Frame, message_len};
use crate::limits::SIP_MESSAGE_BYTES;

fn with(lines: &[&str], body: &[u8]) -> Vec<u8> {
    message(&[&NEEDED, lines].concat(), body)
}

#[test]
fn a_message_ends_where_its_length_says() {
    for body in [&b""[..], b"1234567"] {
        let bytes = with(&[&format!("l: {}", body.len())], body);
        let stream = [&bytes[..], b"SIP/2.0 100 Trying\r\n"].concat();
        assert_eq!(message_len(&stream), Frame::Complete(bytes.len()));
        for end in 0..bytes.len() {
            assert_eq!(message_len(&bytes[..end]), Frame::Incomplete, "{end}");
        }
    }
    let answer = message(&["SIP/2.0 200 OK", "Content-Length: 0"], b"");
    for end in 0..answer.len() {
        assert_eq!(message_len(&answer[..end]), Frame::Incomplete, "{end}");
    }
    assert_eq!(message_len(&answer), Frame::Complete(answer.len()));
}

#[test]
fn line_ends_between_messages_keep_the_connection() {
    for (bytes, frame) in [
        (&b"\r\n"[..], Frame::KeepAlive(2)),
        (b"\r\n\r\n", Frame::KeepAlive(4)),
        (b"\r\n\r", Frame::KeepAlive(2)),
        (b"\r\nOPTIONS", Frame::KeepAlive(2)),
        (b"\r", Frame::Incomplete),
        (b"\n", Frame::NotSip),
        (b"", Frame::Incomplete),
    ] {
        assert_eq!(message_len(bytes), frame, "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_is_not_sip_is_told_early() {
    for bytes in [
        &b"\x16\x03\x01\x02\0"[..],
        b"\0",
        b"OPTIONS\tsip:a SIP/2.0",
        b"hello world\r\n",
        b"GET / HTTP/1.1\r\n",
        b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        b"OPTIONS sip:a SIP/2.0\r\nno colon\r\nV",
    ] {
        assert_eq!(message_len(bytes), Frame::NotSip, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_length_must_be_told_once() {
    for lines in [&[][..], &["l: 1", "Content-Length: 1"], &["l: x"], &["l: 1, 1"], &["l:"]] {
        assert_eq!(message_len(&with(lines, b"1")), Frame::NotSip, "{lines:?}");
    }
}

#[test]
fn a_long_message_is_passed_over() {
    let short = with(&["l: 00000"], b"").len();
    let most = SIP_MESSAGE_BYTES - short;
    let bytes = with(&[&format!("l: {most:05}")], &vec![b'x'; most]);
    assert_eq!(message_len(&bytes), Frame::Complete(SIP_MESSAGE_BYTES));
    let bytes = with(&[&format!("l: {:05}", most + 1)], b"");
    assert_eq!(message_len(&bytes), Frame::TooMuch(SIP_MESSAGE_BYTES + 1));
    let endless = [&b"OPTIONS sip:a SIP/2.0\r\nS: "[..], &[b'x'; SIP_MESSAGE_BYTES]].concat();
    assert_eq!(message_len(&endless), Frame::NotSip);
    assert_eq!(message_len(&endless[..SIP_MESSAGE_BYTES - 1]), Frame::Incomplete);
}
