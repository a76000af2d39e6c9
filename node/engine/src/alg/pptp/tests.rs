use proptest::prelude::*;

use super::*;

/// A message of this type, with these bytes of its own, filled up with zeros.
fn message(kind: u8, length: u8, own: &[u8]) -> Vec<u8> {
    let head = [&[0, length, 0, 1][..], &MAGIC_COOKIE, &[0, kind, 0, 0]].concat();
    let mut bytes = [&head[..], own].concat();
    bytes.resize(length.into(), 0);
    bytes
}

fn numbers(bytes: &[u8]) -> (Option<u16>, Option<u16>, Option<u8>) {
    let found = read(bytes).expect("a message");
    (found.call.map(|it| it.number), found.peer.map(|it| it.number), found.result)
}

/// A recorded call, from a client behind a translator.
#[test]
fn a_call() {
    let start = message(1, 156, b"\x01\0\0\0\0\0\0\x03\0\0\0\x03\xff\xff\0\x01local");
    assert_eq!(read(&start).map(|it| it.kind), Ok(Kind::StartRequest));
    let answer = message(2, 156, b"\x01\0\x01\0\0\0\0\x02\0\0\0\x03");
    assert_eq!(numbers(&answer), (None, None, Some(1)));
    let request = message(7, 168, b"\0\0\0\0\0\0\x09\x60\0\x98\x96\x80\0\0\0\x03\0\0\0\x03\0\x03");
    assert_eq!(numbers(&request), (Some(0), None, None));
    let reply = message(8, 32, b"\x2d\xeb\0\0\x01\0\0\0\0\xe4\x0b\x54\x40");
    assert_eq!(numbers(&reply), (Some(0x2deb), Some(0), Some(1)));
    let info = message(15, 24, b"\xa1\x96\0\0\0\0\xff\xff\xff\xff");
    assert_eq!(numbers(&info), (None, Some(0xa196), None));
    let clear = message(12, 16, b"\0\0\0\0");
    assert_eq!(
        (read(&clear).map(|it| it.kind), numbers(&clear).0),
        (Ok(Kind::CallClearRequest), Some(0))
    );
    let gone = message(13, 148, b"\x2d\xeb\x04");
    assert_eq!(numbers(&gone), (Some(0x2deb), None, Some(4)));
}

#[test]
fn incoming_calls() {
    assert_eq!(numbers(&message(9, 220, &[1, 2, 3, 4])), (Some(0x0102), None, None));
    assert_eq!(numbers(&message(10, 24, &[1, 2, 3, 4, 1])), (Some(0x0102), Some(0x0304), Some(1)));
    assert_eq!(numbers(&message(11, 28, &[1, 2, 3, 4])), (None, Some(0x0102), None));
    assert_eq!(numbers(&message(14, 40, &[1, 2, 3, 4])), (None, Some(0x0102), None));
}

#[test]
fn numbers_are_replaced_where_they_stand() {
    let mut bytes = message(8, 32, &[1, 2, 3, 4, 1]);
    let before = bytes.clone();
    let found = read(&bytes).expect("a message");
    found.call.expect("has one").write(&mut bytes, 0xaabb);
    found.peer.expect("has one").write(&mut bytes, 0xccdd);
    assert_eq!(numbers(&bytes), (Some(0xaabb), Some(0xccdd), Some(1)));
    assert_eq!((&bytes[..12], &bytes[16..]), (&before[..12], &before[16..]));
    found.call.expect("has one").write(&mut bytes[..13], 0);
    assert_eq!(bytes[12], 0xaa, "not the message that was read");
}

#[test]
fn every_message_has_its_length() {
    for (number, layout) in (1..).zip(&LAYOUTS) {
        let length = u8::try_from(layout.length).expect("none is longer");
        assert_eq!(read(&message(number, length, &[])).map(|it| it.kind), Ok(layout.kind));
        assert_eq!(read(&message(number, length - 1, &[])), Err(Refused::Length));
        assert!(read(&message(number, length + 1, &[])).is_ok(), "what is added is for others");
    }
}

#[test]
fn what_is_no_control_message() {
    let good = message(12, 16, &[]);
    for (at, byte, refused) in [
        (1, 15, Refused::Length),
        (0, 1, Refused::Length),
        (3, 2, Refused::NotControl),
        (4, 0, Refused::NotControl),
        (7, 0, Refused::NotControl),
        (9, 0, Refused::Kind(0)),
        (9, 16, Refused::Kind(16)),
        (8, 1, Refused::Kind(0x010c)),
    ] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(read(&bytes), Err(refused), "{at}");
    }
    for end in 0..good.len() {
        assert_eq!(read(&good[..end]), Err(Refused::Length));
    }
}

#[test]
fn a_message_that_is_too_long_is_none() {
    for (length, longest) in [(PPTP_MESSAGE_BYTES, true), (PPTP_MESSAGE_BYTES + 1, false)] {
        let mut bytes = message(12, 16, &[]);
        bytes.resize(length, 0);
        bytes[..2].copy_from_slice(&(length as u16).to_be_bytes());
        assert_eq!(read(&bytes).is_ok(), longest);
        assert_eq!(message_len(&bytes) == Frame::Complete(length), longest);
    }
}

#[test]
fn messages_in_a_stream() {
    let good = message(12, 16, &[]);
    let stream = [&good[..], &good].concat();
    for end in 0..16 {
        assert_eq!(message_len(&stream[..end]), Frame::Incomplete, "{end}");
    }
    assert_eq!(message_len(&stream), Frame::Complete(16));
    for (at, byte) in [(1, 11), (0, 3), (2, 1), (3, 2), (5, 0)] {
        let mut bytes = stream.clone();
        bytes[at] = byte;
        assert_eq!(message_len(&bytes), Frame::NotPptp, "{at}");
        assert_eq!(message_len(&bytes[..at.max(1) + 1]), Frame::NotPptp, "as early as can be");
    }
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(kind in 0_u8..20, length in 0_u8..230, own: [u8; 8], more: Vec<u8>) {
        let bytes = message(kind, length, &own);
        for bytes in [&bytes, &more, &[&bytes[..], &more].concat()] {
            if let Ok(found) = read(bytes) {
                prop_assert_eq!(message_len(bytes), Frame::Complete(bytes.len()));
                for id in found.call.iter().chain(&found.peer) {
                    prop_assert_eq!(id.span.of(bytes), id.number.to_be_bytes());
                }
            }
        }
    }
}
