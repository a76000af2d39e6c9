//! A stream of RTSP: every message ends where it is told, and ports are replaced where they stand.

use engine::alg::rtsp::{self, Frame, Ports, message_len, print_ports};

use super::Depth;

const SEED: u64 = 7;
/// Messages of one stream that are looked at.
const MESSAGES: usize = 16;

pub(super) fn run(bytes: &[u8]) -> Depth {
    let (mut rest, mut depth) = (bytes, message(bytes));
    for _ in 0..MESSAGES {
        match message_len(rest) {
            Frame::Complete(len) => {
                assert_eq!(message_len(&rest[..len]), Frame::Complete(len));
                assert_eq!(message_len(&rest[..len - 1]), Frame::Incomplete);
                depth = depth.max(message(&rest[..len]));
                rest = &rest[len..];
            }
            Frame::Media(len) if len <= rest.len() => rest = &rest[len..],
            Frame::Media(_) | Frame::TooMuch(_) | Frame::Incomplete | Frame::NotRtsp => break,
        }
    }
    depth
}

fn message(bytes: &[u8]) -> Depth {
    let Ok(found) = rtsp::read(bytes, SEED) else { return Depth::Refused };
    assert_eq!(message_len(bytes), Frame::Complete(bytes.len()));
    let mut depth = Depth::Read;
    for (place, transport) in found.transports.iter().enumerate() {
        for host in transport.source.iter().chain(&transport.destination) {
            assert!(host.span.is_within(transport.span));
        }
        let all = transport.client_port.iter().chain(&transport.server_port).chain(&transport.port);
        all.for_each(|ports| stands(bytes, ports));
        if let Some(ports) = transport.client_port {
            replace(bytes, place, ports);
            depth = Depth::Used;
        }
    }
    depth
}

fn stands(bytes: &[u8], ports: &Ports) {
    let text = std::str::from_utf8(ports.span.of(bytes)).expect("ASCII");
    let numbers: Vec<u16> = text.split('-').map(|it| it.parse().expect("a port")).collect();
    assert_eq!((numbers[0], numbers[numbers.len() - 1]), (ports.first, ports.last));
}

fn replace(bytes: &[u8], place: usize, ports: Ports) {
    let (first, last) = (ports.first ^ 1, ports.first | 0x8001);
    let mut out = [0; 11];
    let len = print_ports(first, last, &mut out).expect("it fits");
    let range = ports.span.range();
    let again = [&bytes[..range.start], &out[..len], &bytes[range.end..]].concat();
    let reread = match rtsp::read(&again, SEED) {
        Ok(reread) => reread,
        Err(refused) => return assert_eq!(refused, rtsp::Refused::TooLong),
    };
    let transport = reread.transports.get(place).expect("as many");
    let read = transport.client_port.expect("told").span.of(&again);
    assert_eq!(read, &out[..len]);
}
