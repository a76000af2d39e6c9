//! A stream of PPTP control messages: every one ends where it is told, and the numbers of calls are
//! replaced where they stand.

use engine::alg::pptp::{self, Frame, message_len};

use super::Depth;

/// Messages of one stream that are looked at.
const MESSAGES: usize = 16;

pub(super) fn run(bytes: &[u8]) -> Depth {
    let (mut rest, mut depth) = (bytes, message(bytes));
    for _ in 0..MESSAGES {
        let Frame::Complete(len) = message_len(rest) else { break };
        assert_eq!(message_len(&rest[..len]), Frame::Complete(len));
        assert_eq!(message_len(&rest[..len - 1]), Frame::Incomplete);
        depth = depth.max(message(&rest[..len]));
        rest = &rest[len..];
    }
    depth
}

fn message(bytes: &[u8]) -> Depth {
    let Ok(found) = pptp::read(bytes) else { return Depth::Refused };
    assert_eq!(message_len(bytes), Frame::Complete(bytes.len()));
    let mut again = bytes.to_vec();
    for id in found.call.iter().chain(&found.peer) {
        assert_eq!(id.span.of(bytes), id.number.to_be_bytes());
        id.write(&mut again, !id.number);
    }
    let reread = pptp::read(&again).expect("only the numbers are others");
    let others = |id: Option<pptp::CallId>| id.map(|id| !id.number);
    let numbers = |id: Option<pptp::CallId>| id.map(|id| id.number);
    assert_eq!(numbers(reread.call), others(found.call));
    assert_eq!(numbers(reread.peer), others(found.peer));
    assert_eq!((reread.kind, reread.result), (found.kind, found.result));
    if found.call.is_some() || found.peer.is_some() { Depth::Used } else { Depth::Read }
}
