//! What a translator does with a message: every endpoint is replaced, and the message says then what it
//! should.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{Body, Message, NEEDED, SEED, message, read};
use crate::alg::endpoint;
use crate::alg::sdp::{self, Session};
use crate::alg::{Endpoint, Span};

/// One replacement.
type Edit = (Span, Vec<u8>);

/// Replaces addresses by `new`, and ports by those `shift` higher.
#[derive(Clone, Copy, Debug)]
struct Rewriter {
    new: IpAddr,
    shift: u16,
}

impl Rewriter {
    fn port(self, port: u16) -> u16 {
        port.wrapping_add(self.shift)
    }

    /// A name stays.
    fn endpoint(self, endpoint: &Endpoint) -> Option<Edit> {
        endpoint.address.map(|_| self.other_endpoint(endpoint))
    }

    fn other_endpoint(self, endpoint: &Endpoint) -> Edit {
        let mut out = [0; endpoint::TEXT_BYTES];
        let port = endpoint.port.map(|port| self.port(port));
        let len = endpoint::print(self.new, port, &mut out).expect("it fits");
        (endpoint.span(), out[..len].to_vec())
    }

    fn connection(self, connection: &sdp::Connection) -> Option<Edit> {
        connection.address.map(|_| self.other_connection(connection))
    }

    fn other_connection(self, connection: &sdp::Connection) -> Edit {
        let mut out = [0; sdp::CONNECTION_BYTES];
        let len = sdp::print_connection(self.new, &mut out).expect("it fits");
        (connection.span, out[..len].to_vec())
    }

    fn session(self, session: &Session, edits: &mut Vec<Edit>) {
        edits.extend(self.connection(&session.origin));
        edits.extend(session.connection.iter().filter_map(|it| self.connection(it)));
        for media in session.media.iter() {
            edits.push((media.span, number(self.port(media.port))));
            edits.extend(media.connection.iter().filter_map(|it| self.connection(it)));
            let Some(rtcp) = media.rtcp else { continue };
            edits.push((rtcp.span, number(self.port(rtcp.port))));
            edits.extend(rtcp.connection.iter().filter_map(|it| self.connection(it)));
        }
        for candidate in session.candidates.iter() {
            if candidate.address.is_some() {
                edits.push((candidate.host, self.new.to_string().into_bytes()));
            }
            edits.push((candidate.digits, number(self.port(candidate.port))));
        }
    }

    fn message(self, bytes: &[u8], message: &Message) -> Vec<u8> {
        let mut edits: Vec<Edit> =
            message.mentions.iter().filter_map(|it| self.endpoint(&it.endpoint)).collect();
        let header = edits.len();
        if let Body::Sdp(span) = message.body
            && let Ok(session) = sdp::read(bytes, span)
        {
            self.session(&session, &mut edits);
        }
        let grown: usize = edits[header..].iter().map(|(_, text)| text.len()).sum();
        let shrunk: usize = edits[header..].iter().map(|(span, _)| span.len()).sum();
        if let Some(told) = message.content_length {
            let length = message.content.len() + grown - shrunk;
            edits.push((told.span, length.to_string().into_bytes()));
        }
        apply(bytes, edits)
    }
}

fn number(number: u16) -> Vec<u8> {
    let mut out = [0; 10];
    let len = sdp::print_number(number.into(), &mut out).expect("it fits");
    out[..len].to_vec()
}

fn apply(bytes: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort();
    let (mut out, mut at) = (Vec::new(), 0);
    for (span, text) in edits {
        assert!(span.start >= at, "no two stand in one place");
        out.extend_from_slice(&bytes[at as usize..span.start as usize]);
        out.extend_from_slice(&text);
        at = span.end;
    }
    out.extend_from_slice(&bytes[at as usize..]);
    out
}

/// The endpoints of a message and its session, without where they stand.
type Said = Vec<(Option<IpAddr>, Option<u16>)>;

fn said(bytes: &[u8], message: &Message) -> Said {
    let mut all: Said = message
        .mentions
        .iter()
        .map(|mention| (mention.endpoint.address, mention.endpoint.port))
        .collect();
    let Body::Sdp(span) = message.body else { return all };
    let Ok(session) = sdp::read(bytes, span) else { return all };
    all.push((session.origin.address, None));
    all.extend(session.connection.iter().map(|it| (it.address, None)));
    for media in session.media.iter() {
        let own = media.connection.and_then(|it| it.address);
        all.push((own, Some(media.port)));
        let rtcp = media.rtcp.map(|it| (it.connection.and_then(|it| it.address), Some(it.port)));
        all.extend(rtcp);
    }
    all.extend(session.candidates.iter().map(|it| (it.address, Some(it.port))));
    all
}

/// Spans stand on the text that they are told for; what is replaced is read as what replaced it.
fn check(bytes: &[u8], rewriter: Rewriter) -> bool {
    let Ok(found) = read(bytes, SEED) else { return false };
    for mention in found.mentions.iter() {
        let Endpoint { host, address, digits, port } = mention.endpoint;
        let text = core::str::from_utf8(host.of(bytes)).expect("ASCII");
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        assert_eq!(bare.parse::<IpAddr>().ok(), address);
        let digits = digits.map(|it| core::str::from_utf8(it.of(bytes)).expect("digits"));
        assert_eq!(digits.map(|it| it.parse().expect("a port")), port);
    }
    assert!(found.content.end as usize + found.beyond as usize == bytes.len());
    let again = rewriter.message(bytes, &found);
    let Ok(reread) = read(&again, SEED) else {
        return again.len() > crate::limits::SIP_MESSAGE_BYTES;
    };
    let expected = said(bytes, &found).into_iter().map(|(address, port)| {
        (address.map(|_| rewriter.new), port.map(|port| rewriter.port(port)))
    });
    // A name's port stays with it, as a translator would leave it.
    let names = |(address, port): (Option<IpAddr>, Option<u16>)| address.is_some().then_some(port);
    let wanted: Vec<_> = expected.map(names).collect();
    let reads: Vec<_> = said(&again, &reread).into_iter().map(names).collect();
    assert_eq!(reads, wanted, "{}", again.escape_ascii());
    assert!(said(&again, &reread).iter().all(|it| it.0.is_none_or(|it| it == rewriter.new)));
    let same =
        |message: &Message| (message.call_id, message.from_tag, message.cseq, message.beyond);
    assert_eq!(same(&reread), same(&found));
    if let Some(told) = reread.content_length {
        assert_eq!(told.value as usize, reread.content.len());
    }
    true
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 250));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6));

/// As a phone behind a translator sent it.
const OFFER: &[u8] = b"v=0\r\no=SIPPS 105015165 105015162 IN IP4 192.168.1.2\r\ns=SIP call\r\n\
c=IN IP4 192.168.1.2\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0 8 97 2 3\r\na=rtpmap:0 pcmu/8000\r\n\
a=rtpmap:8 pcma/8000\r\na=rtpmap:97 iLBC/8000\r\na=rtpmap:2 G726-32/8000\r\na=rtpmap:3 GSM/8000\r\n\
a=fmtp:97 mode=20\r\na=sendrecv\r\n";

const ICE: &[u8] = b"v=0\r\no=- 1 2 IN IP6 2001:db8::1\r\ns=-\r\nt=0 0\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP6 2001:db8::1\r\na=rtcp:53020 IN IP6 2001:db8::2\r\n\
a=candidate:1 1 UDP 2130706431 10.0.1.1 8998 typ host\r\n\
a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998\r\n\
a=candidate:3 1 TCP 99 x.local 9 typ host tcptype active\r\nm=image 0 udptl t38\r\n";

const INVITE: [&str; 8] = [
    "INVITE sip:97239287044@voip.brujula.net SIP/2.0",
    "Via: SIP/2.0/UDP 192.168.1.2:5060;branch=z9hG4bKnp104984053-44ce4a41192.168.1.2;rport",
    "From: \"arik\" <sip:816666@voip.brujula.net>;tag=6433ef9",
    "To: <sip:97239287044@voip.brujula.net>",
    "Call-ID: 105090259-446faf7a@192.168.1.2",
    "CSeq: 1 INVITE",
    "Content-Type: application/sdp",
    "Contact: <sip:816666@192.168.1.2>",
];

fn invite(body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    message(&[&INVITE[..], &[&length]].concat(), body)
}

#[test]
fn an_offer_behind_a_translator() {
    let bytes = invite(OFFER);
    let found = read(&bytes, SEED).expect("good");
    assert_eq!((found.content.len(), found.beyond), (272, 0), "as it was recorded");
    let rewriter = Rewriter { new: V4, shift: 10_000 };
    let again = String::from_utf8(rewriter.message(&bytes, &found)).expect("text");
    assert!(again.contains("Via: SIP/2.0/UDP 203.0.113.250:15060;branch="));
    assert!(again.contains("Contact: <sip:816666@203.0.113.250>\r\nContent-Length: 276\r\n"));
    assert!(again.contains("105015162 IN IP4 203.0.113.250\r\n"));
    assert!(again.contains("c=IN IP4 203.0.113.250\r\n"));
    assert!(again.contains("m=audio 40000 RTP/AVP 0 8"));
    assert!(again.contains("Call-ID: 105090259-446faf7a@192.168.1.2"), "no endpoint");
    for body in [OFFER, ICE] {
        for new in [V4, V6] {
            assert!(check(&invite(body), Rewriter { new, shift: 10_000 }));
        }
    }
}

#[test]
fn a_session_among_parts() {
    let part = [b"--x\r\nContent-Type: application/sdp\r\n\r\n", OFFER, b"\r\n--x--\r\n"].concat();
    let length = format!("l: {}", part.len());
    let lines = [&NEEDED[..], &["c: multipart/mixed;boundary=x", &length]].concat();
    assert!(check(&message(&lines, &part), Rewriter { new: V6, shift: 1 }));
}

fn hosts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|it| Ipv4Addr::from(it).to_string()),
        any::<[u8; 16]>().prop_map(|it| format!("[{}]", Ipv6Addr::from(it))),
        "[a-z0-9.-]{1,12}",
    ]
}

fn endpoints() -> impl Strategy<Value = String> {
    (hosts(), proptest::option::of(any::<u16>())).prop_map(|(host, port)| match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

fn uris() -> impl Strategy<Value = String> {
    (
        r#"("x" |"a,<" |al )?"#,
        "(a@|)",
        endpoints(),
        "(;lr|;a=b?c=d|)",
        "(;tag=[a-c]|;expires=[0-9]|)",
    )
        .prop_map(|(name, user, endpoint, uri, params)| {
            format!("{name}<sip:{user}{endpoint}{uri}>{params}")
        })
}

fn fields() -> impl Strategy<Value = String> {
    prop_oneof![
        ("(Contact|m|Route|Record-Route) ?:", uris(), uris(), " ?,( |\r\n )?")
            .prop_map(|(name, a, b, comma)| format!("{name} {a}{comma}{b}")),
        ("(Via|v):( |\r\n\t)", "UDP|TCP|TLS", endpoints(), "(;rport|;rport=5|;received=::1|)")
            .prop_map(|(name, kind, host, params)| format!("{name}SIP/2.0/{kind} {host}{params}")),
        "(Subject|X): [ -~]{0,20}",
    ]
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let connection = prop_oneof![
        any::<[u8; 4]>().prop_map(|it| format!("IN IP4 {}", Ipv4Addr::from(it))),
        any::<[u8; 16]>().prop_map(|it| format!("IN IP6 {}", Ipv6Addr::from(it))),
    ];
    let media = (connection.clone(), 1_u16..60_000, "(|a=rtcp:77\r\n|a=sendonly\r\n)").prop_map(
        |(connection, port, more)| format!("m=audio {port} RTP/AVP 0\r\nc={connection}\r\n{more}"),
    );
    (connection, prop::collection::vec(media, 0..4)).prop_map(|(connection, media)| {
        format!("v=0\r\no=- 1 1 {connection}\r\ns=-\r\n{}", media.concat()).into_bytes()
    })
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(fields(), 0..8), bodies()).prop_map(|(fields, body)| {
        let length = format!("Content-Length: {}", body.len());
        let mut lines = NEEDED.to_vec();
        lines.extend(fields.iter().map(String::as_str));
        lines.extend(["Content-Type: application/sdp", &length]);
        message(&lines, &body)
    })
}

/// A place, and what is put there.
fn breaks() -> impl Strategy<Value = (prop::sample::Index, String)> {
    (any::<prop::sample::Index>(), "[\r\n:;,<>\"@\\[/ =0-9-]")
}

proptest! {
    #[test]
    fn what_is_replaced_is_read_again(bytes in messages(), six: bool, shift in 0_u16..5_000) {
        let new = if six { V6 } else { V4 };
        prop_assert!(check(&bytes, Rewriter { new, shift }), "{}", bytes.escape_ascii());
    }

    #[test]
    fn broken_messages_can_be_read(
        bytes in prop_oneof![messages(), Just(invite(ICE))],
        breaks in prop::collection::vec(breaks(), 1..6),
    ) {
        let mut bytes = bytes;
        for (place, with) in breaks {
            let place = place.index(bytes.len());
            bytes[place] = with.as_bytes()[0];
        }
        check(&bytes, Rewriter { new: V4, shift: 0 });
        super::super::message_len(&bytes);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes, Rewriter { new: V4, shift: 0 });
        super::super::message_len(&bytes);
        let _ = sdp::read(&bytes, Span::new(0, bytes.len()));
    }
}
