use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const PIPE: u8 = b'|';

fn read(sender: Sender, line: &[u8]) -> Line {
    match sender {
        Sender::Client => command(line),
        Sender::Server => Replies::default().line(line),
    }
}

/// A line, the text that announces, the address that it tells, and the port.
type Good = (&'static str, &'static str, &'static str, u16);

const COMMANDS: [Good; 7] = [
    ("PORT 172,23,0,3,128,235\r\n", "172,23,0,3,128,235", "172.23.0.3", 33_003),
    // A bounce (RFC 2577 §3): reported as it is.
    ("PORT 2,2,2,3,0,80\r\n", "2,2,2,3,0,80", "2.2.2.3", 80),
    ("port  010,0,0,001,4,0 \n", "010,0,0,001,4,0", "10.0.0.1", 1_024),
    ("EPRT |1|132.235.1.2|6275|\r\n", "|1|132.235.1.2|6275|", "132.235.1.2", 6_275),
    ("EPRT |2|fd00:10::3|40467|\r\n", "|2|fd00:10::3|40467|", "fd00:10::3", 40_467),
    (
        "EPRT |2|2001:470:1f11:81f:c999:d94:aa7c:2e3e|49189|\r\n",
        "|2|2001:470:1f11:81f:c999:d94:aa7c:2e3e|49189|",
        "2001:470:1f11:81f:c999:d94:aa7c:2e3e",
        49_189,
    ),
    ("Eprt !1!10.0.0.1!65535!\n", "!1!10.0.0.1!65535!", "10.0.0.1", 65_535),
];

const REPLIES: [Good; 9] = [
    ("227 Entering Passive Mode (10,2,5,76,64,155).\r\n", "10,2,5,76,64,155", "10.2.5.76", 16_539),
    ("227 Entering Passive Mode (10,0,0,1,221,90)\r\n", "10,0,0,1,221,90", "10.0.0.1", 56_666),
    ("227 Entering Passive Mode. 10,0,0,1,19,137\r\n", "10,0,0,1,19,137", "10.0.0.1", 5_001),
    ("227 =10,0,0,1,19,137\n", "10,0,0,1,19,137", "10.0.0.1", 5_001),
    ("227 10,0,0,1,19,137 is it, of 2 ports\r\n", "10,0,0,1,19,137", "10.0.0.1", 5_001),
    ("229 Entering extended passive mode (|||21002|).\r\n", "|||21002|", "", 21_002),
    ("229 Entering Extended Passive Mode (|||60931|)\r\n", "|||60931|", "", 60_931),
    ("229 Extended... |||5001|\r\n", "|||5001|", "", 5_001),
    ("229 Extended (!!!5001!)\r\n", "!!!5001!", "", 5_001),
];

fn good() -> impl Iterator<Item = (Sender, Good)> {
    let commands = COMMANDS.into_iter().map(|good| (Sender::Client, good));
    commands.chain(REPLIES.into_iter().map(|good| (Sender::Server, good)))
}

/// The form of the text that announces.
fn form(sender: Sender, text: &str) -> Form {
    let first = text.as_bytes()[0];
    match (sender, first.is_ascii_digit()) {
        (Sender::Client, true) => Form::Port,
        (Sender::Client, false) => Form::Eprt { delimiter: first },
        (Sender::Server, true) => Form::Pasv,
        (Sender::Server, false) => Form::Epsv { delimiter: first },
    }
}

#[test]
fn announcements_are_read_where_they_stand() {
    for (sender, (line, text, address, port)) in good() {
        let Line::Announces(found) = read(sender, line.as_bytes()) else { panic!("{line}") };
        assert_eq!((found.form, found.port), (form(sender, text), port), "{line}");
        assert_eq!(found.address, address.parse().ok(), "{line}");
        assert_eq!(found.span.of(line.as_bytes()), text.as_bytes(), "{line}");
    }
}

#[test]
fn the_beginning_of_an_announcement_is_kept_back() {
    for (sender, (line, ..)) in good() {
        let line = line.as_bytes();
        for end in 0..line.len() {
            assert!(may_announce(&line[..end], sender), "{:?}", line[..end].escape_ascii());
        }
        assert!(matches!(read(sender, &line[..line.len() - 1]), Line::Malformed(Flaw::Unfinished)));
    }
}

#[test]
fn other_beginnings_are_let_go() {
    let client: [&[u8]; 7] =
        [b"PASV", b"PORTS", b"POST", b"EPSV", b"USER port", b" PORT", b"PORT\r"];
    let server: [&[u8]; 6] = [b"226", b"227-", b"2290", b"150 ", b" 227", b"228"];
    for prefix in client {
        assert!(!may_announce(prefix, Sender::Client), "{}", prefix.escape_ascii());
    }
    for prefix in server {
        assert!(!may_announce(prefix, Sender::Server), "{}", prefix.escape_ascii());
    }
    let endless = [b"PORT ".as_slice(), &[b' '; FTP_LINE_BYTES]].concat();
    assert!(!may_announce(&endless, Sender::Client), "no line is so long");
}

#[test]
fn what_looks_like_an_announcement_and_is_none_is_told() {
    use Flaw::{Address, Ambiguous, Control, Delimiter, Number, Protocol, Trailing};
    let client: [(&[u8], Flaw); 19] = [
        (b"PORT 256,0,0,1,4,0\r\n", Number),
        (b"PORT 10,0,0,1,4,256\r\n", Number),
        (b"PORT 10,0,0,1,4\r\n", Number),
        (b"PORT 10,0,0,1,4,0,1\r\n", Number),
        (b"PORT 10,0,0,1,,0\r\n", Number),
        (b"PORT 10,0,0,0001,4,0\r\n", Number),
        (b"PORT\r\n", Number),
        (b"PORT 10,0,0,1,4,0 PASV\r\n", Trailing),
        (b"PORT 10,0,0,1,4,0\rPASV\r\n", Control),
        (b"PORT 10,0,0,1,4,0\0\r\n", Control),
        (b"EPRT |1|10.0.0.1|65536|\r\n", Number),
        (b"EPRT |1|10.0.0.1|000080|\r\n", Number),
        (b"EPRT |1|10.0.0.1|80\r\n", Delimiter),
        (b"EPRT 1|1|10.0.0.1|80|\r\n", Delimiter),
        (b"EPRT |3|10.0.0.1|80|\r\n", Protocol),
        (b"EPRT |1|::1|80|\r\n", Address),
        (b"EPRT |2|10.0.0.1|80|\r\n", Address),
        (b"EPRT |2|fe80::1%1|80|\r\n", Address),
        (b"EPRT |1|10.0.0.1|80|x\r\n", Trailing),
    ];
    for (line, flaw) in client {
        assert_eq!(command(line), Line::Malformed(flaw), "{}", line.escape_ascii());
    }
    let server: [(&[u8], Flaw); 11] = [
        (b"227 Entering Passive Mode (256,0,0,1,4,0)\r\n", Number),
        (b"227 Entering Passive Mode (10,0,0,1,4,0,7)\r\n", Number),
        (b"227 Entering Passive Mode\r\n", Number),
        (b"227 (10,0,0,1,4,0) (10,0,0,2,4,0)\r\n", Ambiguous),
        (b"227 (10,0,0,1,4,0)\r(1)\r\n", Control),
        (b"229 (|||65536|)\r\n", Number),
        (b"229 (|||123456|)\r\n", Number),
        (b"229 (||||80|)\r\n", Number),
        (b"229 (|||80)\r\n", Delimiter),
        (b"229 Entering ...80.\r\n", Delimiter),
        (b"229 (|||80|) (|||81|)\r\n", Ambiguous),
    ];
    for (line, flaw) in server {
        let found = Replies::default().line(line);
        assert_eq!(found, Line::Malformed(flaw), "{}", line.escape_ascii());
    }
}

#[test]
fn what_else_matters_is_told() {
    let lines: [(Sender, &[u8], Line); 17] = [
        (Sender::Client, b"PASV\r\n", Line::Asks(Ask::Pasv)),
        (Sender::Client, b"pasv \n", Line::Asks(Ask::Pasv)),
        (Sender::Client, b"EPSV\r\n", Line::Asks(Ask::Epsv)),
        (Sender::Client, b"EPSV 1\r\n", Line::Asks(Ask::EpsvV4)),
        (Sender::Client, b"EPSV 2\r\n", Line::Asks(Ask::EpsvV6)),
        (Sender::Client, b"epsv all\r\n", Line::Asks(Ask::EpsvAll)),
        (Sender::Client, b"AUTH TLS\r\n", Line::Auth),
        (Sender::Client, b"auth ssl\r\n", Line::Auth),
        (Sender::Client, b"STOU\r\n", Line::Other),
        (Sender::Client, b"PASS PORT 10,0,0,1,4,0\r\n", Line::Other),
        (Sender::Client, b"PORTS 10,0,0,1,4,0\r\n", Line::Other),
        (Sender::Server, b"234 Proceed with negotiation.\r\n", Line::Secured),
        (Sender::Server, b"235 done\r\n", Line::Secured),
        (Sender::Server, b"99 PASV invalid\r\n", Line::Other),
        (Sender::Server, b"SSH-2.0-mod_sftp/0.9.7\r\n", Line::Other),
        (Sender::Server, b"200 PORT command successful.\r\n", Line::Other),
        (Sender::Server, b"125 FILE: all-data.txt.q9tg2_t1\r\n", Line::Other),
    ];
    for (sender, line, meaning) in lines {
        assert_eq!(read(sender, line), meaning, "{}", line.escape_ascii());
    }
}

/// RFC 959 §4.2: lines of a longer reply are text, even if they look like replies.
#[test]
fn the_lines_within_a_reply_announce_nothing() {
    let mut replies = Replies::default();
    let within: [&[u8]; 6] = [
        b"213-Status follows:\r\n",
        b"227 Entering Passive Mode (10,0,0,1,4,0)\r\n",
        b"229 (|||1024|)\r\n",
        b"227-\r\n",
        b"234 yes\r\n",
        b"\r\n",
    ];
    for line in within {
        assert_eq!(replies.line(line), Line::Other);
        assert!(replies.is_open());
    }
    assert_eq!(replies.line(b"213 End of status\r\n"), Line::Other);
    assert!(!replies.is_open());
    assert!(matches!(replies.line(b"229 (|||1024|)\r\n"), Line::Announces(_)));
    // The last line of a longer 227 is one.
    assert_eq!(replies.line(b"227-Listen: (10,0,0,1,4,0)\r\n"), Line::Other);
    assert!(matches!(replies.line(b"227 (10,0,0,1,4,1)\r\n"), Line::Announces(_)));
}

#[test]
fn a_line_that_is_too_long_announces_nothing() {
    let padded = |spaces: usize| [b"PORT ", &*b" ".repeat(spaces), b"1,1,1,1,4,0\r\n"].concat();
    let longest = padded(FTP_LINE_BYTES - padded(0).len());
    assert!(matches!(command(&longest), Line::Announces(_)));
    assert_eq!(command(&padded(FTP_LINE_BYTES)), Line::Other);
}

#[test]
fn an_announcement_is_written_only_where_it_fits() {
    let here = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let mut out = [0; TEXT_BYTES];
    assert_eq!(print(Form::Port, here, 1, &mut out), None, "no place for IPv6");
    assert_eq!(print(Form::Eprt { delimiter: PIPE }, here, 1, &mut out[..8]), None);
    assert_eq!(print(Form::Eprt { delimiter: PIPE }, here, 1, &mut out[..9]), Some(9));
    assert_eq!(&out[..9], b"|2|::1|1|");
}

fn delimiters() -> impl Strategy<Value = u8> {
    (33_u8..=126).prop_filter("tells fields apart", |byte| is_delimiter(*byte))
}

fn forms() -> impl Strategy<Value = Form> {
    prop_oneof![
        Just(Form::Port),
        Just(Form::Pasv),
        delimiters().prop_map(|delimiter| Form::Eprt { delimiter }),
        delimiters().prop_map(|delimiter| Form::Epsv { delimiter }),
    ]
}

/// The whole line that holds an announcement.
fn line(form: Form, text: &[u8]) -> (Sender, Vec<u8>) {
    let (sender, head, tail): (_, &[u8], &[u8]) = match form {
        Form::Port => (Sender::Client, b"PORT ", b""),
        Form::Eprt { .. } => (Sender::Client, b"EPRT ", b""),
        Form::Pasv => (Sender::Server, b"227 Passive (", b")."),
        Form::Epsv { .. } => (Sender::Server, b"229 Extended (", b")"),
    };
    (sender, [head, text, tail, b"\r\n"].concat())
}

/// Bytes that come near to being announcements.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let near = "(PORT|EPRT|227|229|PASV|[a-z]{0,4})[ -]?[ (]?[|,.0-9:a-f()!]{0,40}\r?\n?";
    prop_oneof![near.prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..80)]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(form in forms(), octets: [u8; 16], short: bool, port: u16) {
        let v4 = IpAddr::from([octets[0], octets[1], octets[2], octets[3]]);
        let short = short || matches!(form, Form::Port | Form::Pasv);
        let address = if short { v4 } else { IpAddr::from(octets) };
        let mut out = [0; TEXT_BYTES];
        let len = print(form, address, port, &mut out).expect("it fits");
        let (sender, line) = line(form, &out[..len]);
        let Line::Announces(found) = read(sender, &line) else { panic!("{line:?}") };
        let told = if matches!(form, Form::Epsv { .. }) { None } else { Some(address) };
        prop_assert_eq!((found.form, found.address, found.port), (form, told, port));
        prop_assert_eq!(found.span.of(&line), &out[..len]);
    }

    #[test]
    fn any_bytes_can_be_read(line in lines()) {
        for sender in [Sender::Client, Sender::Server] {
            let Line::Announces(found) = read(sender, &line) else { continue };
            prop_assert!(found.span.end as usize <= line.len() && !found.span.is_empty());
            for end in 0..line.len() {
                prop_assert!(may_announce(&line[..end], sender));
            }
            let address = found.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let mut out = [0; TEXT_BYTES];
            let len = print(found.form, address, found.port, &mut out).expect("it fits");
            let (start, end) = (found.span.start as usize, found.span.end as usize);
            let again = [&line[..start], &out[..len], &line[end..]].concat();
            let Line::Announces(again) = read(sender, &again) else { panic!("{again:?}") };
            prop_assert_eq!((again.address, again.port), (found.address, found.port));
        }
    }
}
