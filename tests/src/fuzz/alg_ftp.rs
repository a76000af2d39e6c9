//! Lines of an FTP control connection, read as the client's and as the server's: what announces was kept
//! back since its first byte, stands where it is told, and another in its place is read as that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::alg::ftp::{
    self, Announcement, Form, Line, Replies, Sender, TEXT_BYTES, may_announce, print,
};

use super::Depth;

/// What is put in the place of an address.
const OTHERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(203, 0, 113, 250)), IpAddr::V6(Ipv6Addr::LOCALHOST)];

pub(super) fn run(stream: &[u8]) -> Depth {
    let mut replies = Replies::default();
    let mut depth = Depth::Refused;
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        let before = replies;
        let client = judge(line, Sender::Client, ftp::command(line), before);
        let server = judge(line, Sender::Server, replies.line(line), before);
        depth = depth.max(client).max(server);
    }
    depth
}

fn judge(line: &[u8], sender: Sender, read: Line, before: Replies) -> Depth {
    let found = match read {
        Line::Announces(found) => found,
        Line::Other => return Depth::Refused,
        Line::Asks(_) | Line::Auth | Line::Secured | Line::Malformed(_) => return Depth::Read,
    };
    for end in 0..line.len() {
        assert!(may_announce(&line[..end], sender), "{end} bytes of it were let go");
    }
    assert_eq!(plainly(&found, found.span.of(line)), (found.address, found.port));
    for other in OTHERS {
        let mut out = [0; TEXT_BYTES];
        let port = found.port ^ 0x0101;
        let Some(len) = print(found.form, other, port, &mut out) else { continue };
        let place = found.span.range();
        let line = [&line[..place.start], &out[..len], &line[place.end..]].concat();
        let told = if matches!(found.form, Form::Epsv { .. }) { None } else { Some(other) };
        let again = again(&line, sender, before);
        let Line::Announces(again) = again else {
            // The longer text may have made the line longer than is looked at.
            assert_eq!(again, Line::Other);
            continue;
        };
        assert_eq!((again.form, again.address, again.port), (found.form, told, port));
    }
    Depth::Used
}

fn again(line: &[u8], sender: Sender, mut before: Replies) -> Line {
    match sender {
        Sender::Client => ftp::command(line),
        Sender::Server => before.line(line),
    }
}

/// What the text says, read as a script would.
fn plainly(found: &Announcement, text: &[u8]) -> (Option<IpAddr>, u16) {
    let text = std::str::from_utf8(text).expect("ASCII");
    match found.form {
        Form::Port | Form::Pasv => {
            let numbers: Vec<u8> =
                text.split(',').map(|number| number.parse().expect("a byte")).collect();
            let [a, b, c, d, high, low] = numbers[..] else { panic!("six of them: {text}") };
            (Some(IpAddr::from([a, b, c, d])), u16::from_be_bytes([high, low]))
        }
        Form::Eprt { delimiter } | Form::Epsv { delimiter } => {
            let fields: Vec<&str> = text.split(char::from(delimiter)).collect();
            let [_, _, address, port, _] = fields[..] else { panic!("five of them: {text}") };
            (address.parse().ok(), port.parse().expect("a port"))
        }
    }
}
