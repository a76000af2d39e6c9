use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const PIPE: u8 = b'|';

fn v4(address: [u8; 4]) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::from(address)))
}

fn v6(address: &str) -> Option<IpAddr> {
    Some(IpAddr::V6(address.parse().expect("an address")))
}

fn read(sender: Sender, line: &[u8]) -> Line {
    match sender {
        Sender::Client => command(line),
        Sender::Server => Replies::default().line(line),
    }
}

/// A line, what it announces, and the text that does.
type Good = (Sender, &'static [u8], Form, Option<IpAddr>, u16, &'static [u8]);

fn good() -> Vec<Good> {
    use Sender::{Client, Server};
    let eprt = Form::Eprt { delimiter: PIPE };
    let epsv = Form::Epsv { delimiter: PIPE };
    let near = v6("fd00:10:16:1::3");
    let far = v6("2001:470:1f11:81f:c999:d94:aa7c:2e3e");
    vec![
        (
            Client,
            b"PORT 172,23,0,3,128,235\r\n",
            Form::Port,
            v4([172, 23, 0, 3]),
            33_003,
            b"172,23,0,3,128,235",
        ),
        // A bounce (RFC 2577 §3): reported as it is.
        (Client, b"PORT 2,2,2,3,0,80\r\n", Form::Port, v4([2, 2, 2, 3]), 80, b"2,2,2,3,0,80"),
        (
            Client,
            b"port  010,0,0,001,4,0 \n",
            Form::Port,
            v4([10, 0, 0, 1]),
            1_024,
            b"010,0,0,001,4,0",
        ),
        (
            Client,
            b"EPRT |2|fd00:10:16:1::3|40467|\r\n",
            eprt,
            near,
            40_467,
            b"|2|fd00:10:16:1::3|40467|",
        ),
        (
            Client,
            b"EPRT |2|2001:470:1f11:81f:c999:d94:aa7c:2e3e|49189|\r\n",
            eprt,
            far,
            49_189,
            b"|2|2001:470:1f11:81f:c999:d94:aa7c:2e3e|49189|",
        ),
        (
            Client,
            b"EPRT |1|132.235.1.2|6275|\r\n",
            eprt,
            v4([132, 235, 1, 2]),
            6_275,
            b"|1|132.235.1.2|6275|",
        ),
        (
            Client,
            b"Eprt !1!10.0.0.1!65535!\n",
            Form::Eprt { delimiter: b'!' },
            v4([10, 0, 0, 1]),
            65_535,
            b"!1!10.0.0.1!65535!",
        ),
        (
            Server,
            b"227 Entering Passive Mode (10,220,50,76,64,155).\r\n",
            Form::Pasv,
            v4([10, 220, 50, 76]),
            16_539,
            b"10,220,50,76,64,155",
        ),
        (
            Server,
            b"227 Entering Passive Mode (199,233,217,249,221,90)\r\n",
            Form::Pasv,
            v4([199, 233, 217, 249]),
            56_666,
            b"199,233,217,249,221,90",
        ),
        (
            Server,
            b"227 Entering Passive Mode. 10,0,0,1,19,137\r\n",
            Form::Pasv,
            v4([10, 0, 0, 1]),
            5_001,
            b"10,0,0,1,19,137",
        ),
        (
            Server,
            b"227 =10,0,0,1,19,137\n",
            Form::Pasv,
            v4([10, 0, 0, 1]),
            5_001,
            b"10,0,0,1,19,137",
        ),
        (
            Server,
            b"227 10,0,0,1,19,137 is where, of 2 ports\r\n",
            Form::Pasv,
            v4([10, 0, 0, 1]),
            5_001,
            b"10,0,0,1,19,137",
        ),
        (
            Server,
            b"229 Entering extended passive mode (|||21002|).\r\n",
            epsv,
            None,
            21_002,
            b"|||21002|",
        ),
        (
            Server,
            b"229 Entering Extended Passive Mode (|||60931|)\r\n",
            epsv,
            None,
            60_931,
            b"|||60931|",
        ),
        (Server, b"229 Extended... |||5001|\r\n", epsv, None, 5_001, b"|||5001|"),
        (
            Server,
            b"229 Extended (!!!5001!)\r\n",
            Form::Epsv { delimiter: b'!' },
            None,
            5_001,
            b"!!!5001!",
        ),
    ]
}

#[test]
fn announcements_are_read_where_they_stand() {
    for (sender, line, form, address, port, text) in good() {
        let shown = String::from_utf8_lossy(line);
        let Line::Announces(found) = read(sender, line) else { panic!("{shown}") };
        assert_eq!((found.form, found.address, found.port), (form, address, port), "{shown}");
        assert_eq!(found.span.of(line), text, "{shown}");
    }
}

#[test]
fn the_beginning_of_an_announcement_is_kept_back() {
    for (sender, line, ..) in good() {
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
