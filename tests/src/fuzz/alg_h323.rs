//! A message of H.323, the first octet of the input saying on which channel: what is told of it lies in it,
//! writing other endpoints there changes nothing else, and what is told of a beginning is a beginning of
//! that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::alg::h323::{
    Error, Extent, Found, Frame, HEADER_LEN, Mention, frame_len, read_control, read_ras,
    read_signalling,
};
use engine::limits::H323_MENTIONS_MAX;

use super::Depth;

/// Beginnings that are tried of a message.
const BEGINNINGS: usize = 16;

pub(super) fn run(bytes: &[u8]) -> Depth {
    let Some((channel, bytes)) = bytes.split_first() else { return Depth::Refused };
    let read = [signalling, control, ras][usize::from(channel % 3)];
    framed(bytes);
    message(read, bytes)
}

/// What is told of a message, and how reading ended.
type Told = (Vec<Found>, Result<Extent, Error>);

fn signalling(message: &[u8]) -> Told {
    let mut found = Vec::new();
    let end = read_signalling(message, |it| found.push(it));
    (found, end)
}

fn control(message: &[u8]) -> Told {
    let mut found = Vec::new();
    let end = read_control(message, |it| found.push(it));
    (found, end)
}

fn ras(message: &[u8]) -> Told {
    let mut found = Vec::new();
    let end = read_ras(message, |it| found.push(it));
    (found, end)
}

/// The input as a stream: frames follow each other, and more bytes do not change what was a frame.
fn framed(mut stream: &[u8]) {
    while let Frame::Complete(length) = frame_len(stream) {
        assert!(length >= HEADER_LEN);
        let (frame, rest) = stream.split_at(length);
        assert_eq!(frame_len(frame), Frame::Complete(length));
        assert_eq!(frame_len(&frame[..length - 1]), Frame::Incomplete);
        stream = rest;
    }
}

fn message(read: fn(&[u8]) -> Told, message: &[u8]) -> Depth {
    let (found, end) = read(message);
    let mentions: Vec<Mention> = found.iter().filter_map(mention).collect();
    assert!(mentions.len() <= H323_MENTIONS_MAX);
    let mut from = 0;
    for mention in &mentions {
        assert!(mention.at >= from, "{mention:?} overlaps");
        let standing = standing(mention);
        from = mention.at + standing.len();
        assert_eq!(message.get(mention.at..from), Some(&standing[..]), "{mention:?}");
    }
    rewritten(read, message, &found, end);
    for part in 0..BEGINNINGS {
        let (beginning, _) = read(&message[..message.len() * part / BEGINNINGS]);
        assert!(found.starts_with(&beginning));
    }
    match (end, mentions.is_empty()) {
        (Err(_), true) => Depth::Refused,
        (Ok(_), true) => Depth::Read,
        (_, false) => Depth::Used,
    }
}

fn mention(found: &Found) -> Option<Mention> {
    match found {
        Found::Mention(mention) => Some(*mention),
        Found::Event(_) => None,
    }
}

fn standing(mention: &Mention) -> Vec<u8> {
    let address = match mention.address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    [&address[..], &mention.port.to_be_bytes()].concat()
}

/// Writes another endpoint everywhere, reads, and writes the old ones back.
fn rewritten(read: fn(&[u8]) -> Told, message: &[u8], found: &[Found], end: Result<Extent, Error>) {
    let mut other = message.to_vec();
    let mut expected = found.to_vec();
    for (port, found) in (1..).zip(&mut expected) {
        let Found::Mention(mention) = found else { continue };
        let address = match mention.address {
            IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        mention.write(&mut other, address, port).expect("it is there");
        (mention.address, mention.port) = (address, port);
    }
    assert_eq!(read(&other), (expected, end));
    for mention in found.iter().filter_map(mention) {
        mention.write(&mut other, mention.address, mention.port).expect("it is there");
    }
    assert_eq!(other, message, "all else is as it was");
}
