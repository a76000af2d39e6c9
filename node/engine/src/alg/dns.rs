//! DNS over UDP: whether a datagram is a query or a response, and which belong together (RFC 1035 §4.1).
//! With that a session can end at its response, and what is no DNS is told from what is.
//!
//! Names are not followed: of a message only the header and the first question are read, whose name
//! cannot be a pointer, for there is nothing before it to point at.

#[cfg(test)]
mod tests;

use super::Span;

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// By which a response is known to be that to a query.
    pub id: u16,
    /// Whether it is a response.
    pub response: bool,
    /// What is done: 0 asks (RFC 1035), 4 notifies (RFC 1996), 5 updates (RFC 2136).
    pub opcode: u8,
    /// What came of it.
    pub rcode: u8,
    /// There was more to say than fits: the client will ask over TCP.
    pub truncated: bool,
    /// The first question.
    pub question: Option<Question>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where the name stands, its last byte (zero) included.
    pub name: Span,
    /// Its type.
    pub kind: u16,
    /// Its class.
    pub class: u16,
}

/// Why a datagram is no DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is shorter than its header, or than its question.
    Cut,
    /// It has more records than have room in it, or some that such a message has not.
    Counts,
    /// The name in its question is none.
    Name,
}

/// Bytes of the header.
const HEADER: usize = 12;
/// Bytes of the shortest record: the root, type, class, life, no data (RFC 1035 §3.2.1).
const RECORD: usize = 11;
/// Bytes of the shortest question: the root, type, class.
const QUESTION: usize = 5;
/// Bytes of the longest name (RFC 1035 §2.3.4).
const NAME: usize = 255;
/// Bytes of the longest label.
const LABEL: u8 = 63;
/// The operation "query".
const QUERY: u8 = 0;

/// Reads a datagram.
///
/// # Errors
/// [`Refused`] says why it is no DNS.
pub fn read(datagram: &[u8]) -> Result<Message, Refused> {
    let header = datagram.first_chunk::<HEADER>().ok_or(Refused::Cut)?;
    let [id0, id1, first, second, counts @ ..] = *header;
    let [questions, answers, authorities, additional] =
        [0, 2, 4, 6].map(|at| half(&counts, at).map_or(0, usize::from));
    let (response, opcode) = (first & 0x80 != 0, first >> 3 & 0xf);
    let records = answers + authorities + additional;
    let room = datagram.len() - HEADER;
    // RFC 9619: a query asks one question, or none where it is all about an option (RFC 7873 §5.4); its
    // answer is in the response.
    let asks = answers == 0 && questions + additional > 0;
    let usual = opcode != QUERY || questions <= 1 && (response || asks);
    if !usual || questions * QUESTION + records * RECORD > room {
        return Err(Refused::Counts);
    }
    let question = if questions > 0 { Some(question(datagram)?) } else { None };
    Ok(Message {
        id: u16::from_be_bytes([id0, id1]),
        response,
        opcode,
        rcode: second & 0xf,
        truncated: first & 0x02 != 0,
        question,
    })
}

/// The question behind the header.
fn question(datagram: &[u8]) -> Result<Question, Refused> {
    let mut at = HEADER;
    loop {
        let label = *datagram.get(at).ok_or(Refused::Cut)?;
        at += 1 + usize::from(label);
        if label > LABEL || at - HEADER > NAME {
            return Err(Refused::Name);
        }
        if label == 0 {
            break;
        }
    }
    let name = Span::new(HEADER, at);
    let kind = half(datagram, at).ok_or(Refused::Cut)?;
    let class = half(datagram, at + 2).ok_or(Refused::Cut)?;
    Ok(Question { name, kind, class })
}

/// Two bytes, big-endian.
fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*pair))
}
