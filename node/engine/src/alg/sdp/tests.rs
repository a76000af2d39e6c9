use core::net::Ipv4Addr;

use super::*;

fn parse(text: &str) -> Result<Session, Refused> {
    read(text.as_bytes(), Span::new(0, text.len()))
}

fn with(lines: &str) -> Result<Session, Refused> {
    parse(&format!("{HEAD}{lines}"))
}

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n";

fn good(lines: &str) -> Session {
    with(lines).unwrap_or_else(|refused| panic!("{refused:?}: {lines}"))
}

fn v4(a: u8, b: u8, c: u8, d: u8) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
}

/// RFC 8866 §5, shortened.
#[test]
fn the_example_of_the_rfc() {
    let text = "v=0\r\no=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\ns=Call to John Smith\r\n\
        i=SDP Offer #1\r\nu=http://www.jdoe.example.com/home.html\r\ne=Jane Doe <jane@jdoe.example.com>\r\n\
        p=+1 617 555-6011\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\n\
        m=audio 49180 RTP/AVP 0\r\nm=video 51372 RTP/AVP 99\r\nc=IN IP6 2001:db8::2\r\n\
        a=rtpmap:99 h263-1998/90000\r\n";
    let session = parse(text).expect("good");
    assert_eq!(session.origin.span.of(text.as_bytes()), b"IN IP4 198.51.100.1");
    let media: Vec<_> = session.media.iter().collect();
    let ports: Vec<_> = media.iter().map(|media| (media.kind, media.port)).collect();
    assert_eq!(ports, [(Kind::Audio, 49_170), (Kind::Audio, 49_180), (Kind::Video, 51_372)]);
    assert_eq!(media[2].span.of(text.as_bytes()), b"51372");
    let first = session.connection_of(media[0]).expect("the session's");
    assert_eq!(first.address, v4(198, 51, 100, 1));
    let last = session.connection_of(media[2]).expect("its own");
    assert_eq!(last.host.of(text.as_bytes()), b"2001:db8::2");
    assert_eq!(last.address, Some("2001:db8::2".parse().expect("an address")));
}

/// As a gateway answered: who describes the session is not who sends.
#[test]
fn the_origin_may_be_elsewhere() {
    let text = "v=0\r\no=cp10 112047106116 112047106116 IN IP4 212.242.33.75\r\ns=SIP Call\r\n\
        c=IN IP4 212.242.33.36\r\nt=0 0\r\nm=audio 40392 RTP/AVP 8 0\r\nb=AS:64\r\n\
        a=rtpmap:8 PCMA/8000/1\r\na=rtpmap:0 PCMU/8000/1\r\na=ptime:20\r\n";
    let session = parse(text).expect("good");
    assert_eq!(session.origin.address, v4(212, 242, 33, 75));
    let media = session.media.last().expect("one");
    let connection = session.connection_of(media).expect("the session's");
    assert_eq!((connection.address, media.port), (v4(212, 242, 33, 36), 40_392));
}

#[test]
fn protocols_are_told_apart() {
    use Protocol::{Other, Rtp, Tcp, TcpRtp, Udp};
    for (name, protocol, rtcp) in [
        ("RTP/AVP", Rtp, Some(1_001)),
        ("RTP/SAVPF", Rtp, Some(1_001)),
        ("UDP/TLS/RTP/SAVP", Rtp, Some(1_001)),
        ("udp", Udp, None),
        ("udptl", Udp, None),
        ("UDPTL", Udp, None),
        ("UDP/DTLS/SCTP", Udp, None),
        ("TCP", Tcp, None),
        ("TCP/MSRP", Tcp, None),
        ("TCP/TLS/BFCP", Tcp, None),
        ("TLS", Tcp, None),
        ("TCP/RTP/AVP", TcpRtp, None),
        ("SCTP", Other, None),
        ("vat", Other, None),
    ] {
        let session = good(&format!("m=audio 1000 {name} 0\r\n"));
        let media = session.media.last().expect("one");
        assert_eq!((media.protocol, media.rtcp_port()), (protocol, rtcp), "{name}");
    }
}

#[test]
fn rtcp_may_be_elsewhere() {
    let session = good("m=audio 49170 RTP/AVP 0\r\na=rtcp:53020\r\nm=video 65535 RTP/AVP 0\r\n");
    let media: Vec<_> = session.media.iter().collect();
    assert_eq!((media[0].rtcp_port(), media[1].rtcp_port()), (Some(53_020), None));
    let lines = "m=audio 1 RTP/AVP 0\r\n\
        a=rtcp:53020 IN IP6 2001:2345:6789:ABCD:EF01:2345:6789:ABCD\r\n\
        a=rtcp-mux\r\n";
    let session = good(lines);
    let media = session.media.last().expect("one");
    assert!(media.muxed);
    assert!(media.rtcp.expect("told").connection.expect("told").address.is_some());
}

#[test]
fn holds() {
    for (lines, held, flow) in [
        ("", false, Flow::Both),
        ("a=sendonly\r\n", true, Flow::Sending),
        ("a=inactive\r\n", true, Flow::None),
        ("a=recvonly\r\n", false, Flow::Receiving),
        ("a=sendrecv\r\n", false, Flow::Both),
        ("c=IN IP4 0.0.0.0\r\n", true, Flow::Both),
        ("c=IN IP6 ::\r\n", true, Flow::Both),
    ] {
        let session = good(&format!("m=audio 1 RTP/AVP 0\r\n{lines}"));
        let media = session.media.last().expect("one");
        assert_eq!((session.is_held(media), session.flow_of(media)), (held, flow), "{lines}");
    }
    let session =
        good("a=sendonly\r\nm=audio 1 RTP/AVP 0\r\nm=video 2 RTP/AVP 0\r\na=sendrecv\r\n");
    let held: Vec<_> = session.media.iter().map(|media| session.is_held(media)).collect();
    assert_eq!(held, [true, false]);
}

#[test]
fn candidates() {
    let lines = "m=audio 1 RTP/AVP 0\r\nm=audio 2 RTP/AVP 0\r\n\
        a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998 \
        generation 0\r\n\
        a=candidate:H76 2 tcp 1 a1b2.local 9 typ host tcptype active\r\n";
    let text = format!("{HEAD}{lines}");
    let session = parse(&text).expect("good");
    let all: Vec<_> = session.candidates.iter().collect();
    let first = all[0];
    assert_eq!((first.media, first.component, first.tcp), (1, 1, false));
    assert_eq!((first.address, first.port), (v4(192, 0, 2, 3), 45_664));
    assert_eq!(first.host.of(text.as_bytes()), b"192.0.2.3");
    assert_eq!(first.digits.of(text.as_bytes()), b"45664");
    assert!(first.line.of(text.as_bytes()).starts_with(b"a=candidate:2 1 UDP"));
    assert!(first.line.of(text.as_bytes()).ends_with(b"generation 0\r\n"));
    let (span, related) = first.related.expect("told");
    assert_eq!((span.of(text.as_bytes()), related), (&b"10.0.1.1"[..], v4(10, 0, 1, 1)));
    assert_eq!(first.related_port.expect("told").1, 8_998);
    assert_eq!((all[1].tcp, all[1].address, all[1].port), (true, None, 9));
}

#[test]
fn several_ports() {
    let session = good("m=video 49170/2 RTP/AVP 31\r\nc=IN IP4 224.2.1.1/127/3\r\n");
    let media = session.media.last().expect("one");
    assert_eq!((media.port, media.count), (49_170, 2));
    let text = format!("{HEAD}m=video 49170/2 RTP/AVP 31\r\nc=IN IP4 224.2.1.1/127/3\r\n");
    let connection = media.connection.expect("its own");
    assert_eq!(connection.span.of(text.as_bytes()), b"IN IP4 224.2.1.1");
}

#[test]
fn what_others_write_is_taken() {
    for lines in [
        "m=audio 0 RTP/AVP\r\n",
        "m=audio 1 RTP/AVP 0",
        "m=audio 1 RTP/AVP 0\n\n",
        "c=IN IP4 host.example.com\r\n",
        "c=IN IP4 10.0.0.1 \r\n",
        "a=x:\x01y\r\nb=AS:64\r\nk=prompt\r\n",
    ] {
        good(lines);
    }
}

#[test]
fn malformed_lines() {
    use Refused::{Attribute, Candidate, Line, Malformed, Repeated};
    for (lines, refused) in [
        ("m=audio\r\n", Malformed(b'm')),
        ("m=audio x RTP/AVP 0\r\n", Malformed(b'm')),
        ("m=audio 65536 RTP/AVP 0\r\n", Malformed(b'm')),
        ("m=audio 123456 RTP/AVP 0\r\n", Malformed(b'm')),
        ("m=audio 1/0 RTP/AVP 0\r\n", Malformed(b'm')),
        ("m=audio 65535/2 udp 0\r\n", Malformed(b'm')),
        ("m=audio 65533/2 RTP/AVP 0\r\n", Malformed(b'm')),
        ("m=audio 1\r\n", Malformed(b'm')),
        ("m=audio  1 RTP/AVP 0\r\n", Malformed(b'm')),
        ("m= 1 RTP/AVP 0\r\n", Malformed(b'm')),
        ("c=IN IP4 ::1\r\n", Malformed(b'c')),
        ("c=IN IP6 10.0.0.1\r\n", Malformed(b'c')),
        ("c=IN IP5 10.0.0.1\r\n", Malformed(b'c')),
        ("c=IN IP4\r\n", Malformed(b'c')),
        ("c=IN IP4 10.0.0.1 10.0.0.2\r\n", Malformed(b'c')),
        ("c=ATM IP4 10.0.0.1\r\n", Malformed(b'c')),
        ("c=IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.2\r\n", Repeated(b'c')),
        ("o=- 1 1 IN IP4 10.0.0.1\r\n", Repeated(b'o')),
        ("v=0\r\n", Repeated(b'v')),
        ("nothing\r\n", Line),
        ("M=audio 1 RTP/AVP 0\r\n", Line),
        (" a=b\r\n", Line),
        ("a=b\rm=audio 1 RTP/AVP 0\r\n", Line),
        ("a=b\0\r\n", Line),
        ("a=rtcp:1\r\n", Attribute),
        ("m=audio 1 RTP/AVP 0\r\na=rtcp:65536\r\n", Attribute),
        ("m=audio 1 RTP/AVP 0\r\na=rtcp:1x\r\n", Attribute),
        ("m=audio 1 RTP/AVP 0\r\na=rtcp:1 IN IP4\r\n", Attribute),
        ("m=audio 1 RTP/AVP 0\r\na=rtcp:1\r\na=rtcp:2\r\n", Attribute),
        ("a=sendonly\r\na=sendrecv\r\n", Attribute),
        ("a=candidate:1 1 UDP 1 10.0.0.1 1 typ host\r\n", Candidate),
        ("m=audio 1 RTP/AVP 0\r\na=candidate:1 1 UDP 1 10.0.0.1 70000 typ host\r\n", Candidate),
        ("m=audio 1 RTP/AVP 0\r\na=candidate:1 1 UDP 1 10.0.0.1 1 host\r\n", Candidate),
        ("m=audio 1 RTP/AVP 0\r\na=candidate:\r\n", Candidate),
    ] {
        assert_eq!(with(lines), Err(refused), "{lines}");
    }
    for text in
        ["", "v=1\r\no=- 1 1 IN IP4 1.1.1.1\r\n", "v=0\r\n", "v=0\r\ns=-\r\n", "o=\r\nv=0\r\n"]
    {
        assert_eq!(parse(text), Err(Refused::NotSdp), "{text}");
    }
    for origin in ["", "- 1 IN IP4 10.0.0.1", "- 1 1 IN IP4 ", "-  1 IN IP4 10.0.0.1"] {
        let text = format!("v=0\r\no={origin}\r\n");
        assert_eq!(parse(&text), Err(Malformed(b'o')), "{text}");
    }
}

#[test]
fn limits_are_told() {
    let media = "m=audio 1 RTP/AVP 0\r\n";
    assert_eq!(good(&media.repeat(SDP_MEDIA_MAX)).media.len(), SDP_MEDIA_MAX);
    assert_eq!(with(&media.repeat(SDP_MEDIA_MAX + 1)), Err(Refused::TooManyMedia));
    let line = "a=candidate:1 1 UDP 1 10.0.0.1 1 typ host\r\n";
    let most = format!("{media}{}", line.repeat(SDP_CANDIDATES_MAX));
    assert_eq!(good(&most).candidates.len(), SDP_CANDIDATES_MAX);
    assert_eq!(with(&format!("{most}{line}")), Err(Refused::TooManyCandidates));
}

/// Spans are those in the message, not in the description.
#[test]
fn a_description_within_a_message() {
    let text = format!("12345{HEAD}m=audio 4711 RTP/AVP 0\r\n--x");
    let session = read(text.as_bytes(), Span::new(5, text.len() - 3)).expect("good");
    assert_eq!(session.media.last().expect("one").span.of(text.as_bytes()), b"4711");
}
