mod bodies;
mod frames;
mod rewrite;

use core::net::{IpAddr, Ipv4Addr};

use super::*;

const SEED: u64 = 7;

/// Lines with their ends, an empty one, and a body.
fn message(lines: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// What no message is without.
const NEEDED: [&str; 6] = [
    "OPTIONS sip:carol@chicago.com SIP/2.0",
    "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKhjhs8ass877",
    "To: <sip:carol@chicago.com>",
    "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
    "Call-ID: a84b4c76e66710",
    "CSeq: 63104 OPTIONS",
];

fn with(lines: &[&str]) -> Vec<u8> {
    message(&[&NEEDED, lines].concat(), b"")
}

fn good(bytes: &[u8]) -> Message {
    read(bytes, SEED).unwrap_or_else(|refused| panic!("{refused:?}: {}", bytes.escape_ascii()))
}

/// The texts of the endpoints named in this place.
fn texts(bytes: &[u8], place: Place) -> Vec<&str> {
    let message = good(bytes);
    let spans: Vec<_> = message.mentioned(place).map(|it| it.endpoint.span()).collect();
    spans.iter().map(|span| core::str::from_utf8(span.of(bytes)).expect("ASCII")).collect()
}

fn v4(address: [u8; 4]) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::from(address)))
}

#[test]
fn a_registration() {
    let bytes = message(
        &[
            "REGISTER sip:10.192.60.4 SIP/2.0",
            "From: \"26841945\"<sip:26841945@10.192.60.4>;tag=c085d8-ae78e54-13c4-41c244",
            "To: \"26841945\"<sip:26841945@10.192.60.4>",
            "Call-ID: c15740-ae78e54-13c4-38-3e10ffda-38",
            "CSeq: 28716 REGISTER",
            "Via: SIP/2.0/UDP 10.231.142.84:5060;branch=z9hG4bK-41c244-dedbe8-15f40879;rport",
            "Max-Forwards: 70",
            "Contact: <sip:26841945@10.231.142.84:5060>",
            "Expires: 600",
            "Authorization: Digest username=\"26841945\",realm=\"Huawei\",uri=\"sip:10.192.60.4\"",
            "Content-Length: 0",
        ],
        b"",
    );
    let found = good(&bytes);
    assert_eq!(found.start, Start::Request(Method::Register));
    assert_eq!(found.cseq, Cseq { number: 28_716, method: Method::Register });
    assert_eq!((found.expires, found.all_contacts), (Some(600), false));
    assert_eq!((found.from_tag.is_some(), found.to_tag), (true, None));
    assert_eq!((found.body, found.beyond), (Body::Empty, 0));
    assert_eq!(found.content_length.expect("told").span.of(&bytes), b"0");
    let Rport::Asked(span) = found.via.rport else { panic!("{:?}", found.via) };
    assert_eq!(span.of(&bytes), b"rport");
    assert_eq!(found.via.endpoint.address, v4([10, 231, 142, 84]));
    assert_eq!(texts(&bytes, Place::Request), ["10.192.60.4"]);
    assert_eq!(texts(&bytes, Place::TopVia), ["10.231.142.84:5060"]);
    assert_eq!(texts(&bytes, Place::Contact), ["10.231.142.84:5060"]);
    assert_eq!(texts(&bytes, Place::From), ["10.192.60.4"]);
    assert_eq!(texts(&bytes, Place::To), ["10.192.60.4"]);
    assert_eq!(found.mentions.len(), 5, "not what Authorization says");
}

#[test]
fn the_answer_to_a_registration() {
    let bytes = message(
        &[
            "SIP/2.0 200 OK",
            "Via: SIP/2.0/TCP 192.168.43.1:48376;branch=z9hG4bK-1;rport=43168;\
             received=192.168.43.1",
            "To: <sip:987654@192.168.43.100;transport=TCP>;tag=9dd61ff61e802d8e2b.5c1b",
            "From: <sip:987654@192.168.43.100;transport=TCP>;tag=9b99167f",
            "Call-ID: 8OmtYUU8EdlafUh4g4jiAw..",
            "CSeq: 1 REGISTER",
            "Contact: <sip:987654@192.168.43.1:48376;rinstance=be2e;transport=tcp>;expires=600",
            "Server: kamailio (5.2.1 (x86_64/linux))",
            "Content-Length: 0",
        ],
        b"",
    );
    let found = good(&bytes);
    assert_eq!(found.start, Start::Response(200));
    assert_eq!(found.via.transport, Transport::Tcp);
    let Rport::Told(span, 43_168) = found.via.rport else { panic!("{:?}", found.via) };
    assert_eq!(span.of(&bytes), b"43168");
    let (span, received) = found.via.received.expect("told");
    assert_eq!((span.of(&bytes), received), (&b"192.168.43.1"[..], v4([192, 168, 43, 1])));
    let contact = found.mentioned(Place::Contact).next().expect("one");
    assert_eq!((contact.expires, contact.endpoint.port), (Some(600), Some(48_376)));
    assert!(found.to_tag.is_some());
}

/// After RFC 4475 §3.1.1.1: all that the grammar allows.
#[test]
fn a_torturous_message() {
    let bytes = message(
        &[
            "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0",
            "TO :",
            " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
            "from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>",
            "  ;",
            "  tag = 98asjd8",
            "MaX-fOrWaRdS: 0068",
            "Call-ID: wsinv.ndaksdj@192.0.2.1",
            "Content-Length   : 4",
            "cseq: 0009",
            "  INVITE",
            "Via  : SIP  /   2.0",
            " /UDP",
            "    192.0.2.2;branch=390skdjuw",
            "s :",
            "NewFangledHeader:   newfangled value",
            " continued newfangled value",
            "UnknownHeaderWithUnusualValue: ;;,,;;,;",
            "Content-Type: application/sdp",
            "Route:",
            " <sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
            "v:  SIP  / 2.0  / TCP     spindle.example.com   ;",
            "  branch  =   z9hG4bK9ikj8  ,",
            " SIP  /    2.0   / UDP  192.168.255.111 : 5070 ; branch=",
            " z9hG4bK30239",
            "m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com:5061> ; newparam =",
            "      newvalue ;",
            "  secondparam ; q = 0.33, <sip:a@[2001:db8::1]:5062>;expires = 7 , tel:+1-212",
        ],
        b"v=0\r",
    );
    let found = good(&bytes);
    assert_eq!(found.cseq, Cseq { number: 9, method: Method::Invite });
    let vias = texts(&bytes, Place::Via);
    assert_eq!(texts(&bytes, Place::TopVia), ["192.0.2.2"]);
    assert_eq!(vias, ["spindle.example.com", "192.168.255.111 : 5070"]);
    assert_eq!(texts(&bytes, Place::Contact), ["example.com:5061", "[2001:db8::1]:5062"]);
    assert_eq!(texts(&bytes, Place::Route), ["services.example.com"]);
    assert_eq!(texts(&bytes, Place::From), ["example.com"]);
    assert_eq!(texts(&bytes, Place::To), ["chair-dnrc.example.com"]);
    let expires: Vec<_> = found.mentioned(Place::Contact).map(|it| it.expires).collect();
    assert_eq!(expires, [None, Some(7)]);
    assert_eq!(found.content.of(&bytes), b"v=0\r");
    assert_eq!(found.body, Body::Sdp(found.content));
    assert_eq!(found.content_length.expect("told").span.of(&bytes), b"4");
    let other =
        message(&[&NEEDED[..4], &["Call-ID: wsinv.ndaksdj@192.0.2.1", NEEDED[5]]].concat(), b"");
    assert_eq!(good(&other).call_id, found.call_id);
    let plain = with(&["Contact: <sip:a@b>;tag=98asjd8"]);
    assert_ne!(good(&plain).from_tag, found.from_tag, "a Contact's is none");
    let tag =
        message(&[&NEEDED[..3], &["f: sip:x@y;tag=98asjd8", NEEDED[4], NEEDED[5]]].concat(), b"");
    assert_eq!(good(&tag).from_tag, found.from_tag);
}

#[test]
fn hashes_are_keyed() {
    let bytes = with(&[]);
    let other = read(&bytes, SEED + 1).expect("good");
    assert_ne!(other.call_id, good(&bytes).call_id);
}

#[test]
fn endpoints_of_uris() {
    let uris = [
        ("<sip:10.0.0.1>", vec!["10.0.0.1"]),
        ("<sips:a:b@10.0.0.1:5061;lr?to=x%40y>", vec!["10.0.0.1:5061"]),
        ("<sip:a@[::1]>", vec!["[::1]"]),
        // Before the `@` these are parts of the user.
        ("<sip:10.0.0.1:5060;x=y@10.0.0.2>", vec!["10.0.0.2"]),
        ("<SIP:a@h_1.example>", vec!["h_1.example"]),
        ("\\\"arik\\\" <sip:816666@10.0.0.1>", vec!["10.0.0.1"]),
        ("\"a, <sip:x@y>\" <sip:10.0.0.1>, <sip:10.0.0.2>", vec!["10.0.0.1", "10.0.0.2"]),
        ("sip:10.0.0.1:5060;expires=5,sip:10.0.0.2", vec!["10.0.0.1:5060", "10.0.0.2"]),
        ("<tel:+12125551212>", vec![]),
        ("<sip:a@10.0.0.1@10.0.0.2>", vec![]),
        ("<sip:a@10.0.0.1:65536>", vec![]),
        ("<sip:a@10.0.0.1:>", vec![]),
        ("<sip:a@10.0.0.1:5060x>", vec![]),
        ("<sip:a@[10.0.0.1]>", vec![]),
        ("<sip:a@[::1>", vec![]),
        ("<sip:a@>", vec![]),
        ("<sip:a@b c>", vec![]),
    ];
    for (uri, endpoints) in uris {
        let bytes = with(&[&format!("Contact: {uri}")]);
        assert_eq!(texts(&bytes, Place::Contact), endpoints, "{uri}");
    }
}

#[test]
fn what_must_be_there_once() {
    use Header::{CallId, ContentLength, ContentType, Cseq, From, To, Via};
    let of = |start: &str| NEEDED.iter().position(|line| line.starts_with(start)).expect("needed");
    for (start, header) in
        [("Via", Via), ("To", To), ("From", From), ("Call-ID", CallId), ("CSeq", Cseq)]
    {
        let without: Vec<_> = NEEDED.iter().copied().filter(|it| !it.starts_with(start)).collect();
        let found = read(&message(&without, b""), SEED);
        assert_eq!(found, Err(Refused::Missing(header)));
        if header != Via {
            let twice = with(&[NEEDED[of(start)]]);
            assert_eq!(read(&twice, SEED), Err(Refused::Repeated(header)));
        }
    }
    let twice = with(&["Content-Length: 0", "l: 0"]);
    assert_eq!(read(&twice, SEED), Err(Refused::Repeated(ContentLength)));
    let twice = with(&["c: text/plain", "Content-Type: application/sdp"]);
    assert_eq!(read(&twice, SEED), Err(Refused::Repeated(ContentType)));
}

#[test]
fn malformed_fields() {
    use Header::{Contact, ContentLength, ContentType, From, Via};
    let fields = [
        ("Via: SIP/2.0/UDP 10.0.0.1:65536", Via),
        ("Via: SIP/2.0/UDP 10.0.0.1:5060:5060", Via),
        ("Via: SIP/2.0/UDP", Via),
        ("Via: SIP/2.0/UDP10.0.0.1", Via),
        ("Via: SIP/1.0/UDP 10.0.0.1", Via),
        ("Via: HTTP/2.0/UDP 10.0.0.1", Via),
        ("Via: SIP/2.0/UDP 10.0.0.1;rport=99999", Via),
        ("Via: SIP/2.0/UDP 10.0.0.1;branch=\"", Via),
        ("Via: SIP/2.0/UDP 10.0.0.1, ", Via),
        ("Via:", Via),
        ("Contact: <sip:a@b", Contact),
        ("Contact: \"a <sip:a@b>", Contact),
        ("Contact: , <sip:a@b>", Contact),
        ("Content-Length: -1", ContentLength),
        ("Content-Length: 1x", ContentLength),
        ("Content-Length: 99999999999", ContentLength),
        ("Content-Length:", ContentLength),
        ("Content-Type: sdp", ContentType),
        ("Content-Type: multipart/mixed", ContentType),
        ("From: <sip:a@b>, <sip:c@d>", From),
    ];
    for (field, header) in fields {
        // `Via: …, ` is one that ends in a comma, which is passed over.
        let expected = if field.ends_with(", ") { None } else { Some(Refused::Malformed(header)) };
        assert_eq!(read(&with(&[field]), SEED).err(), expected, "{field}");
    }
    let wrong =
        ["1", "INVITE", "1INVITE", "1 INVITE x", "4294967296 INVITE", "-1 INVITE", "1 ", "1 ACK"];
    for cseq in wrong {
        let cseq = format!("CSeq: {cseq}");
        let lines = [&NEEDED[..5], &[&*cseq]].concat();
        let expected = Err(Refused::Malformed(Header::Cseq));
        assert_eq!(read(&message(&lines, b""), SEED), expected, "{cseq}");
    }
}

#[test]
fn malformed_headers() {
    assert_eq!(read(&with(&["no colon"]), SEED), Err(Refused::Line));
    assert_eq!(read(&with(&[": no name"]), SEED), Err(Refused::Line));
    assert_eq!(read(&with(&["a: b\rContact: <sip:10.0.0.1>"]), SEED), Err(Refused::Line));
    let cut = with(&[]);
    for end in NEEDED[0].len() + 2..cut.len() {
        assert_eq!(read(&cut[..end], SEED), Err(Refused::Unended));
    }
    for start in [
        "hello",
        "\0\0\0\0",
        "OPTIONS sip:a SIP/3.0",
        "OPTIONS  sip:a SIP/2.0",
        "OPTIONS sip:a b SIP/2.0",
        "OPTIONS SIP/2.0",
        "SIP/2.0 99 no",
        "SIP/2.0 1000 no",
        "SIP/2.0 200OK",
        "HTTP/1.1 200 OK",
        "GET / HTTP/1.1",
        "@PTIONS sip:a SIP/2.0",
    ] {
        let lines = [&[start], &NEEDED[1..]].concat();
        assert_eq!(read(&message(&lines, b""), SEED), Err(Refused::NotSip), "{start}");
    }
}

#[test]
fn expiry_that_is_no_number_is_an_hour() {
    let found = good(&with(&["Expires: Thu, 01 Dec 1994", "m: <sip:a@b>;expires=x"]));
    assert_eq!(found.expires, Some(3_600));
    assert_eq!(found.mentioned(Place::Contact).next().expect("one").expires, Some(3_600));
    assert!(good(&with(&["Contact: *", "Expires: 0"])).all_contacts);
}

#[test]
fn limits_are_told() {
    let long = with(&[&format!("Subject: {}", "x".repeat(SIP_MESSAGE_BYTES))]);
    assert_eq!(read(&long, SEED), Err(Refused::TooMuch(Limit::Bytes)));
    let fields = ["a: b"; crate::limits::HEADER_FIELDS_MAX];
    assert!(read(&with(&fields[NEEDED.len() - 1..]), SEED).is_ok());
    let more = read(&with(&fields[NEEDED.len() - 2..]), SEED);
    assert_eq!(more, Err(Refused::TooMuch(Limit::Fields)));
    // Request, To, From and Via are four.
    let contacts = ["<sip:a@b>"; SIP_MENTIONS_MAX].join(",");
    let few = format!("m: {}", &contacts[4 * 10..]);
    assert_eq!(good(&with(&[&few])).mentions.len(), SIP_MENTIONS_MAX);
    let many = format!("m: {}", &contacts[3 * 10..]);
    assert_eq!(read(&with(&[&many]), SEED), Err(Refused::TooMuch(Limit::Mentions)));
    // Ten proxies with names of 900 characters, as somebody recorded.
    let via = format!("Via: SIP/2.0/UDP {}0000;branch=z9hG4bK0", "a".repeat(900));
    assert_eq!(good(&with(&[&*via; 10])).mentions.len(), 14);
}

#[test]
fn methods_are_told_apart() {
    for (name, method) in [
        ("INVITE", Method::Invite),
        ("PRACK", Method::Prack),
        ("UPDATE", Method::Update),
        ("PUBLISH", Method::Publish),
        ("invite", Method::Other),
        ("X-NEW", Method::Other),
    ] {
        let start = format!("{name} sip:a@b SIP/2.0");
        let cseq = format!("CSeq: 1 {name}");
        let lines = [&[&*start], &NEEDED[1..5], &[&*cseq]].concat();
        let found = good(&message(&lines, b""));
        assert_eq!((found.start, found.cseq.method), (Start::Request(method), method));
    }
}

/// What `limits.rs` says of the room that a message and a session take.
#[test]
fn what_is_known_fits_the_stack() {
    assert!(size_of::<Message>() < 9 * 1_024, "{}", size_of::<Message>());
    let session = size_of::<crate::alg::sdp::Session>();
    assert!(session < 8 * 1_024, "{session}");
}
