use core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;

const SEED: u64 = 7;

fn message(lines: &[&str], body: &str) -> Vec<u8> {
    format!("{}\r\n\r\n{body}", lines.join("\r\n")).into_bytes()
}

fn good(bytes: &[u8]) -> Message {
    read(bytes, SEED).unwrap_or_else(|refused| panic!("{refused:?}: {}", bytes.escape_ascii()))
}

/// A request to set up with this transport.
fn setup(transport: &str) -> Vec<u8> {
    let transport = format!("Transport: {transport}");
    message(&["SETUP rtsp://10.2.2.2:8554/trackID=0 RTSP/1.0", "CSeq: 4", &transport], "")
}

fn ports(ports: Option<Ports>) -> Option<(u16, u16)> {
    ports.map(|it| (it.first, it.last))
}

#[test]
fn a_track_is_set_up() {
    let request = message(
        &[
            "SETUP rtsp://10.2.2.2:8554/trackID=1 RTSP/1.0",
            "CSeq: 5",
            "User-Agent: LibVLC/3.0.16 (LIVE555 Streaming Media v2016.11.28)",
            "Transport: RTP/AVP;unicast;client_port=55666-55667",
            "Session: 8c30e102191f49d1",
        ],
        "",
    );
    let asked = good(&request);
    assert_eq!((asked.start, asked.cseq), (Start::Request(Method::Setup), 5));
    let offer = asked.transports.last().expect("one");
    assert_eq!((offer.lower, offer.multicast, offer.interleaved), (Lower::Udp, false, false));
    assert_eq!(offer.client_port.expect("told").span.of(&request), b"55666-55667");
    assert_eq!(offer.span.of(&request), b"RTP/AVP;unicast;client_port=55666-55667");
    let response = message(
        &[
            "RTSP/1.0 200 OK",
            "Server: VLC/3.0.12",
            "Date: Thu, 29 Jul 2021 14:01:25 GMT",
            "Transport: RTP/AVP/UDP;unicast;client_port=55666-55667;server_port=57431-57432;\
             ssrc=935E47F4;mode=play",
            "Session: 8c30e102191f49d1;timeout=60",
            "Content-Length: 0",
            "Cache-Control: no-cache",
            "Cseq: 5",
        ],
        "",
    );
    let answered = good(&response);
    assert_eq!((answered.start, answered.cseq), (Start::Response(200), 5));
    assert_eq!((answered.session, answered.timeout), (asked.session, Some(60)));
    let chosen = answered.transports.last().expect("one");
    assert_eq!(ports(chosen.server_port), Some((57_431, 57_432)));
    assert_eq!(ports(chosen.client_port), Some((55_666, 55_667)));
    let teardown = message(
        &["TEARDOWN rtsp://10.2.2.2/ RTSP/1.0", "CSeq: 9", "Session: 8c30e102191f49d1"],
        "",
    );
    let ended = good(&teardown);
    assert_eq!((ended.start, ended.session), (Start::Request(Method::Teardown), asked.session));
}

/// RFC 2326 §12.39, §14.3.
#[test]
fn transports() {
    let bytes = setup(
        "RTP/AVP;multicast;ttl=127;mode=\"PLAY\",\r\n \
         RTP/AVP;unicast;client_port=3456-3457;mode=\"PLAY,RECORD\"",
    );
    let found = good(&bytes);
    let all: Vec<_> = found.transports.iter().collect();
    assert_eq!((all[0].multicast, all[0].client_port), (true, None));
    assert_eq!(ports(all[1].client_port), Some((3_456, 3_457)));
    let bytes = setup("RTP/AVP;multicast;destination=224.2.0.1;port=3456-3457;ttl=16");
    let found = good(&bytes);
    let group = found.transports.last().expect("one");
    assert_eq!(ports(group.port), Some((3_456, 3_457)));
    let destination = group.destination.expect("told");
    assert_eq!(destination.address, Some(IpAddr::V4(Ipv4Addr::new(224, 2, 0, 1))));
    assert_eq!(destination.span.of(&bytes), b"224.2.0.1");
    for (text, lower, interleaved, client) in [
        ("RTP/AVP/TCP;interleaved=0-1", Lower::Tcp, true, None),
        ("rtp/avp/udp ; unicast ; client_port = 7000", Lower::Udp, false, Some((7_000, 7_000))),
        ("RAW/RAW/UDP;client_port=1-2", Lower::Other, false, Some((1, 2))),
        ("RTP/AVP/SCTP", Lower::Other, false, None),
        ("RTP/SAVP;client_port=1-2", Lower::Other, false, Some((1, 2))),
        ("RTP/AVP;destination;client_port=1-2", Lower::Udp, false, Some((1, 2))),
    ] {
        let found = good(&setup(text));
        let one = found.transports.last().expect("one");
        assert_eq!(
            (one.lower, one.interleaved, ports(one.client_port)),
            (lower, interleaved, client)
        );
    }
    for (text, address) in [("10.0.0.1", true), ("[::1]", true), ("::1", true), ("host", false)] {
        let found = good(&setup(&format!("RTP/AVP;source={text}")));
        let source = found.transports.last().expect("one").source.expect("told");
        assert_eq!(source.address.is_some(), address, "{text}");
    }
}

#[test]
fn malformed_transports() {
    for text in [
        "",
        ";unicast",
        "RTP/AVP;client_port=65536-65537",
        "RTP/AVP;client_port=2-1",
        "RTP/AVP;client_port=1-2-3",
        "RTP/AVP;client_port=",
        "RTP/AVP;client_port",
        "RTP/AVP;client_port=1-",
        "RTP/AVP;client_port=1;client_port=2",
        "RTP/AVP;source=",
        "RTP/AVP;unicast client_port=1",
        "RTP/AVP,",
        "RTP/AVP;mode=\"PLAY",
    ] {
        let expected = Err(Refused::Malformed(Header::Transport));
        assert_eq!(read(&setup(text), SEED), expected, "{text}");
    }
    let most = ["RTP/AVP;client_port=1"; RTSP_TRANSPORTS_MAX].join(",");
    assert_eq!(good(&setup(&most)).transports.len(), RTSP_TRANSPORTS_MAX);
    assert_eq!(read(&setup(&format!("{most},RTP/AVP")), SEED), Err(Refused::TooManyTransports));
}

#[test]
fn malformed_messages() {
    let start = "SETUP rtsp://a RTSP/1.0";
    let cseq = "CSeq: 1";
    for (lines, body, refused) in [
        (vec![start], "", Refused::Missing(Header::Cseq)),
        (vec![start, cseq, cseq], "", Refused::Repeated(Header::Cseq)),
        (vec![start, "CSeq: x"], "", Refused::Malformed(Header::Cseq)),
        (vec![start, cseq, "Session: ;timeout=1"], "", Refused::Malformed(Header::Session)),
        (vec![start, cseq, "Session: a", "Session: b"], "", Refused::Repeated(Header::Session)),
        (
            vec![start, cseq, "Transport: RTP/AVP", "Transport: RTP/AVP"],
            "",
            Refused::Repeated(Header::Transport),
        ),
        (vec![start, cseq, "Content-Length: 2"], "1", Refused::Length),
        (vec![start, cseq], "1", Refused::Length),
        (vec![start, cseq, "no colon"], "", Refused::Line),
        (vec!["SETUP rtsp://a RTSP/2.0", cseq], "", Refused::NotRtsp),
        (vec!["RTSP/1.0 600 no", cseq], "", Refused::NotRtsp),
        (vec!["GET / HTTP/1.1", cseq], "", Refused::NotRtsp),
    ] {
        assert_eq!(read(&message(&lines, body), SEED), Err(refused), "{lines:?}");
    }
    let fields = vec!["a: b"; crate::limits::HEADER_FIELDS_MAX];
    let found = read(&message(&[&[start, cseq], &fields[..]].concat(), ""), SEED);
    assert_eq!(found, Err(Refused::TooManyFields));
}

#[test]
fn messages_and_media_in_a_stream() {
    let described = message(&["RTSP/1.0 200 OK", "Content-Length: 5", "CSeq: 3"], "v=0\r\n");
    let stream = [&described[..], b"$\0\0\x02xx"].concat();
    assert_eq!(message_len(&stream), Frame::Complete(described.len()));
    for end in 0..described.len() {
        assert_eq!(message_len(&stream[..end]), Frame::Incomplete, "{end}");
    }
    assert_eq!(good(&described).content.of(&described), b"v=0\r\n");
    for (bytes, frame) in [
        (&b"$\0\0\x02xx"[..], Frame::Media(6)),
        (b"$\x01\xff\xff", Frame::Media(65_539)),
        (b"$\0\0", Frame::Incomplete),
        (b"\r\nSETUP", Frame::Media(2)),
        (b"\r", Frame::Incomplete),
        (b"\0", Frame::NotRtsp),
        (b"HTTP/1.1 200 OK\r\n", Frame::NotRtsp),
        (b"RTSP/1.0 200 OK\r\nContent-Length: x\r\n\r\n", Frame::NotRtsp),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", Frame::NotRtsp),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 99999\r\n\r\n", Frame::TooMuch(100_041)),
    ] {
        assert_eq!(message_len(bytes), frame, "{}", bytes.escape_ascii());
    }
}

proptest! {
    /// Ports are replaced where they stand, and read again.
    #[test]
    fn what_is_replaced_is_read_again(
        before in "(RTP/AVP/TCP;interleaved=0-1,|)", first: u16, more in 0_u16..3,
        new: u16, after in "(;server_port=1-2|;source=h|;mode=\"a,b\"|)",
    ) {
        let old = match more {
            0 => format!("{first}"),
            _ => format!("{}-{first}", first.saturating_sub(more)),
        };
        let bytes = setup(&format!("{before}RTP/AVP;unicast;client_port={old}{after}"));
        let found = good(&bytes);
        let place = found.transports.last().expect("one").client_port.expect("told").span.range();
        let mut out = [0; 11];
        let len = print_ports(new, new.saturating_add(more), &mut out).expect("it fits");
        let again = [&bytes[..place.start], &out[..len], &bytes[place.end..]].concat();
        let reread = good(&again);
        let last = reread.transports.last().expect("one");
        prop_assert_eq!(ports(last.client_port), Some((new, new.saturating_add(more))));
        let before = found.transports.last().expect("one");
        prop_assert_eq!(ports(last.server_port), ports(before.server_port));
    }

    #[test]
    fn broken_messages_can_be_read(
        breaks in prop::collection::vec((any::<prop::sample::Index>(), "[\r\n:;,=\" $0-9-]"), 0..5),
        any in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = setup("RTP/AVP;unicast;client_port=3456-3457;source=10.0.0.1,RTP/AVP/TCP");
        for (place, with) in breaks {
            let place = place.index(bytes.len());
            bytes[place] = with.as_bytes()[0];
        }
        for bytes in [&bytes, &any] {
            if let Ok(found) = read(bytes, SEED) {
                prop_assert_eq!(message_len(bytes), Frame::Complete(bytes.len()));
                for one in found.transports.iter() {
                    for ports in one.client_port.iter().chain(&one.server_port).chain(&one.port) {
                        prop_assert!(ports.span.is_within(one.span));
                    }
                }
            }
            message_len(bytes);
        }
    }
}
