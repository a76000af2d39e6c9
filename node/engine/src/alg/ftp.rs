//! FTP: the lines of a control connection that announce a data connection (RFC 959, RFC 2428), and those
//! after which it is encrypted (RFC 4217).
//!
//! | sender | line | announces |
//! |---|---|---|
//! | client | `PORT h1,h2,h3,h4,p1,p2` | the server will connect there (RFC 959 §4.1.2) |
//! | client | `EPRT \|1\|address\|port\|` | the same (RFC 2428 §2) |
//! | server | `227 … h1,h2,h3,h4,p1,p2 …` | the client will connect there (RFC 1123 §4.1.2.6) |
//! | server | `229 … (\|\|\|port\|)` | the same, at the server's own address (RFC 2428 §3) |
//!
//! The lines within a reply of several lines are text (RFC 959 §4.2), which a user may have chosen: a
//! listing by `STAT` has the names of files. So replies are read by [`Replies`], which knows when one is
//! open.
//!
//! Ports are reported as they are: a server that is told to connect to port 25 of a third host (RFC 2577
//! §3) is for the caller to see.

#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv4Addr};

use super::scan::Scan;
use super::{Span, text};
use crate::limits::FTP_LINE_BYTES;

/// Bytes that [`print()`] needs at most: `|2|`, an IPv6 address, `|65535|`.
pub const TEXT_BYTES: usize = 3 + 45 + 7;

/// What a line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A data connection will go there.
    Announces(Announcement),
    /// The client asks the server for an announcement.
    Asks(Ask),
    /// `AUTH`: the client asks for encryption (RFC 2228 §3, RFC 4217 §4).
    Auth,
    /// `234` or `235`: what was asked for by `AUTH` is agreed. Behind this line all is opaque.
    Secured,
    /// It looks like an announcement, and is none.
    Malformed(Flaw),
    /// It announces nothing.
    Other,
}

/// Where a data connection will go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// How it is written, which is how [`print()`] would write another in its place.
    pub form: Form,
    /// Where host and port stand: from the first number to the last, or from the first delimiter to the
    /// last.
    pub span: Span,
    /// The address; `None` is that of the server, to which the client already talks.
    pub address: Option<IpAddr>,
    /// The port, as it was written.
    pub port: u16,
}

/// How an announcement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `PORT`: six numbers.
    Port,
    /// `227`: six numbers.
    Pasv,
    /// `EPRT`: protocol, address and port.
    Eprt {
        /// What stands around each of them.
        delimiter: u8,
    },
    /// `229`: a port.
    Epsv {
        /// What stands around it, three times before.
        delimiter: u8,
    },
}

/// Which announcement a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `PASV`: a `227`.
    Pasv,
    /// `EPSV`: a `229`, of the connection's own family.
    Epsv,
    /// `EPSV 1`: a `229` for IPv4.
    EpsvV4,
    /// `EPSV 2`: a `229` for IPv6.
    EpsvV6,
    /// `EPSV ALL`: from now on only `EPSV` will be asked for, and no translator need look (RFC 2428 §4).
    EpsvAll,
}

/// Why a line that looks like an announcement is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It has no end, so that its last number may go on.
    Unfinished,
    /// Another line end, or a zero, in the middle of it: where it ends depends on who reads it.
    Control,
    /// Not six numbers up to 255, or no port up to 65535.
    Number,
    /// A delimiter is missing or not allowed.
    Delimiter,
    /// A network protocol other than 1 and 2.
    Protocol,
    /// No address of that protocol.
    Address,
    /// It has more than one thing that could be meant.
    Ambiguous,
    /// Something follows that does not belong there.
    Trailing,
}

/// Who sends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The one that opened the control connection.
    Client,
    /// The other one.
    Server,
}

/// Reads a line of the client, with its CRLF or LF.
pub fn command(line: &[u8]) -> Line {
    if line.len() > FTP_LINE_BYTES {
        return Line::Other;
    }
    let mut scan = Scan::new(line, content(line));
    let word = scan.take_while(|byte| byte.is_ascii_alphabetic()).of(line);
    let Some(verb) = Verb::named(word) else { return Line::Other };
    if !scan.is_at_end() && !scan.peek().is_some_and(is_blank) {
        return Line::Other;
    }
    scan.take_while(is_blank);
    match verb {
        Verb::Port => announced(line, || port(line, scan)),
        Verb::Eprt => announced(line, || eprt(line, scan)),
        Verb::Pasv => Line::Asks(Ask::Pasv),
        Verb::Epsv => epsv(text::trimmed(scan.rest())),
        Verb::Auth => Line::Auth,
    }
}

/// The replies of a server, which may have several lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replies {
    /// The code of the reply whose last line has not come yet.
    open: Option<[u8; 3]>,
}

impl Replies {
    /// Reads the server's next line, with its CRLF or LF.
    pub fn line(&mut self, line: &[u8]) -> Line {
        let Some((code, last)) = code(line) else { return Line::Other };
        match self.open {
            Some(open) if open != code || !last => return Line::Other,
            Some(_) => self.open = None,
            None if !last => {
                self.open = Some(code);
                return Line::Other;
            }
            None => {}
        }
        reply(line, code)
    }

    /// Those of which a reply of this code is open.
    pub const fn of(open: Option<[u8; 3]>) -> Self {
        Self { open }
    }

    /// The code of the reply whose last line has not come yet.
    pub const fn open(self) -> Option<[u8; 3]> {
        self.open
    }

    /// Whether a reply is open, so that the next line is text.
    pub const fn is_open(self) -> bool {
        self.open.is_some()
    }
}

/// Whether the beginning of a line, as far as it has come, could become one that announces. If not, it
/// can be let go: no text in it will have to be replaced. Within an open reply it says yes more often than
/// it must.
pub fn may_announce(prefix: &[u8], sender: Sender) -> bool {
    if prefix.len() >= FTP_LINE_BYTES {
        return false;
    }
    let words: [&[u8]; 2] = match sender {
        Sender::Client => [b"PORT", b"EPRT"],
        Sender::Server => [b"227", b"229"],
    };
    words.iter().any(|word| match prefix.get(word.len()) {
        Some(next) => is_blank(*next) && begins(prefix, word),
        None => begins(word, prefix),
    })
}

/// Writes an announcement of this form, and tells its length. `None` if `out` is too short
/// ([`TEXT_BYTES`] are enough), or the form has no place for an IPv6 address.
pub fn print(form: Form, address: IpAddr, port: u16, out: &mut [u8]) -> Option<usize> {
    let [high, low] = port.to_be_bytes();
    match (form, address) {
        (Form::Port | Form::Pasv, IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            text::print(out, format_args!("{a},{b},{c},{d},{high},{low}"))
        }
        (Form::Port | Form::Pasv, IpAddr::V6(_)) => None,
        (Form::Eprt { delimiter }, address) => {
            let (d, protocol) = (char::from(delimiter), if address.is_ipv4() { 1 } else { 2 });
            text::print(out, format_args!("{d}{protocol}{d}{address}{d}{port}{d}"))
        }
        (Form::Epsv { delimiter }, _) => {
            let d = char::from(delimiter);
            text::print(out, format_args!("{d}{d}{d}{port}{d}"))
        }
    }
}

/// A command that matters here.
#[derive(Clone, Copy)]
enum Verb {
    Port,
    Eprt,
    Pasv,
    Epsv,
    Auth,
}

impl Verb {
    fn named(word: &[u8]) -> Option<Self> {
        const VERBS: [(&[u8], Verb); 5] = [
            (b"PORT", Verb::Port),
            (b"EPRT", Verb::Eprt),
            (b"PASV", Verb::Pasv),
            (b"EPSV", Verb::Epsv),
            (b"AUTH", Verb::Auth),
        ];
        VERBS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, verb)| *verb)
    }
}

/// The line without its end.
fn content(line: &[u8]) -> Span {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Span::new(0, line.strip_suffix(b"\r").unwrap_or(line).len())
}

/// What `read` finds, unless the line has flaws of its own.
fn announced(line: &[u8], read: impl FnOnce() -> Result<Announcement, Flaw>) -> Line {
    let content = content(line).of(line);
    if !line.ends_with(b"\n") {
        return Line::Malformed(Flaw::Unfinished);
    }
    if content.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Line::Malformed(Flaw::Control);
    }
    read().map_or_else(Line::Malformed, Line::Announces)
}

fn port(line: &[u8], mut scan: Scan<'_>) -> Result<Announcement, Flaw> {
    let span = scan.take_while(is_of_six);
    let (address, port) = six(span.of(line)).ok_or(Flaw::Number)?;
    nothing_follows(scan)?;
    Ok(Announcement { form: Form::Port, span, address: Some(address), port })
}

fn eprt(line: &[u8], mut scan: Scan<'_>) -> Result<Announcement, Flaw> {
    let start = scan.at();
    let delimiter = scan.next().filter(|byte| is_delimiter(*byte)).ok_or(Flaw::Delimiter)?;
    let mut field = || scan.take_until(delimiter).map(|it| it.of(line)).ok_or(Flaw::Delimiter);
    let (protocol, address, port) = (field()?, field()?, field()?);
    let address = text::address(address);
    let address = match protocol {
        b"1" => address.filter(IpAddr::is_ipv4),
        b"2" => address.filter(IpAddr::is_ipv6),
        _ => return Err(Flaw::Protocol),
    };
    let address = Some(address.ok_or(Flaw::Address)?);
    let port = text::port(port).ok_or(Flaw::Number)?;
    let span = Span::new(start, scan.at());
    nothing_follows(scan)?;
    Ok(Announcement { form: Form::Eprt { delimiter }, span, address, port })
}

/// RFC 2428 §3: no argument, a protocol, or `ALL`.
fn epsv(argument: &[u8]) -> Line {
    match argument {
        b"" => Line::Asks(Ask::Epsv),
        b"1" => Line::Asks(Ask::EpsvV4),
        b"2" => Line::Asks(Ask::EpsvV6),
        all if all.eq_ignore_ascii_case(b"ALL") => Line::Asks(Ask::EpsvAll),
        _ => Line::Malformed(Flaw::Protocol),
    }
}

/// A reply's code, and whether the line is its last (RFC 959 §4.2).
fn code(line: &[u8]) -> Option<([u8; 3], bool)> {
    let (code, rest) = line.split_first_chunk::<3>()?;
    if !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    match rest.first() {
        Some(b'-') => Some((*code, false)),
        None | Some(b' ' | b'\t' | b'\r' | b'\n') => Some((*code, true)),
        Some(_) => None,
    }
}

fn reply(line: &[u8], code: [u8; 3]) -> Line {
    if line.len() > FTP_LINE_BYTES {
        return Line::Other;
    }
    let mut scan = Scan::new(line, content(line));
    scan.take(code.len());
    match &code {
        b"227" => announced(line, || entering_passive(line, scan)),
        b"229" => announced(line, || entering_extended(line, scan)),
        b"234" | b"235" => Line::Secured,
        _ => Line::Other,
    }
}

/// The only run of numbers with commas in the text. RFC 1123 §4.1.2.6 lets a server write them anywhere
/// in it; with two runs clients would differ about which one is meant.
fn entering_passive(line: &[u8], mut scan: Scan<'_>) -> Result<Announcement, Flaw> {
    let mut found = None;
    while !scan.is_at_end() {
        let run = scan.take_while(is_of_six);
        if run.is_empty() {
            scan.next();
        } else if run.of(line).contains(&b',') && run.len() > 1 && found.replace(run).is_some() {
            return Err(Flaw::Ambiguous);
        }
    }
    let span = found.ok_or(Flaw::Number)?;
    let (address, port) = six(span.of(line)).ok_or(Flaw::Number)?;
    Ok(Announcement { form: Form::Pasv, span, address: Some(address), port })
}

/// The only place with three delimiters, a port and a delimiter. Those other than `|` must follow a
/// parenthesis, since a sentence may end in three dots.
fn entering_extended(line: &[u8], mut scan: Scan<'_>) -> Result<Announcement, Flaw> {
    let mut found = None;
    let mut before = b' ';
    while let Some(delimiter) = scan.peek() {
        let allowed = is_delimiter(delimiter) && (delimiter == b'|' || before == b'(');
        let run = scan.rest().iter().take_while(|byte| **byte == delimiter).count();
        if allowed && run >= 3 {
            let announcement = extended(line, &mut scan, delimiter)?;
            if found.replace(announcement).is_some() {
                return Err(Flaw::Ambiguous);
            }
            before = delimiter;
        } else {
            scan.take(run);
            before = delimiter;
        }
    }
    found.ok_or(Flaw::Delimiter)
}

fn extended(line: &[u8], scan: &mut Scan<'_>, delimiter: u8) -> Result<Announcement, Flaw> {
    let start = scan.take(3);
    let number = scan.take_while(|byte| byte.is_ascii_digit());
    let port = text::port(number.of(line)).ok_or(Flaw::Number)?;
    if !scan.eat(delimiter) {
        return Err(Flaw::Delimiter);
    }
    let span = start.to(Span::new(scan.at(), scan.at()));
    Ok(Announcement { form: Form::Epsv { delimiter }, span, address: None, port })
}

/// `h1,h2,h3,h4,p1,p2`, and nothing else.
fn six(text: &[u8]) -> Option<(IpAddr, u16)> {
    let mut numbers = [0_u8; 6];
    let mut fields = text.split(|byte| *byte == b',');
    for number in &mut numbers {
        *number = text::byte(fields.next()?)?;
    }
    let [a, b, c, d, high, low] = numbers;
    let port = u16::from_be_bytes([high, low]);
    fields.next().is_none().then_some((IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port))
}

fn nothing_follows(mut scan: Scan<'_>) -> Result<(), Flaw> {
    scan.take_while(is_blank);
    if scan.is_at_end() { Ok(()) } else { Err(Flaw::Trailing) }
}

/// Whether `text` begins with `word` in any case.
fn begins(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word))
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const fn is_of_six(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b','
}

/// RFC 2428 §2 allows every visible character; those that stand in addresses and numbers, or around them,
/// could not be told from them.
const fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii_punctuation() && !matches!(byte, b'.' | b':' | b'(' | b')')
}
