//! PPTP: the control messages that name calls (RFC 2637 §2). A call's packets are GRE, which has no
//! ports: its key says by the receiver's number of the call whose it is (§4.1).
//!
//! ```text
//!  0        2        4             8        10       12
//!  length   1        1a 2b 3c 4d   type     0        numbers of the call …
//! ```
//!
//! | message | at 12 | at 14 |
//! |---|---|---|
//! | Outgoing-Call-Request, Incoming-Call-Request | the sender's | |
//! | Call-Clear-Request, Call-Disconnect-Notify | the sender's | |
//! | Outgoing-Call-Reply, Incoming-Call-Reply | the sender's | the receiver's |
//! | Incoming-Call-Connected, WAN-Error-Notify, Set-Link-Info | the receiver's | |

#[cfg(test)]
mod tests;

use super::Span;
use crate::limits::PPTP_MESSAGE_BYTES;

/// A control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// What it says.
    pub kind: Kind,
    /// The number that its sender gave to the call: it is in the GRE packets to the sender.
    pub call: Option<CallId>,
    /// The number that the other side gave to it: it is in the GRE packets to the other side.
    pub peer: Option<CallId>,
    /// What came of it: 1 is success in every reply; why, in Call-Disconnect-Notify.
    pub result: Option<u8>,
}

/// The number of a call, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId {
    /// The number.
    pub number: u16,
    /// Its two bytes.
    pub span: Span,
}

impl CallId {
    /// Writes another number in its place. Nothing happens if `message` is not the one that was read.
    pub fn write(&self, message: &mut [u8], number: u16) {
        if let Some(place) = message.get_mut(self.span.range()).filter(|it| it.len() == 2) {
            place.copy_from_slice(&number.to_be_bytes());
        }
    }
}

/// The control messages (RFC 2637 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// §2.1.
    StartRequest,
    /// §2.2.
    StartReply,
    /// §2.3.
    StopRequest,
    /// §2.4.
    StopReply,
    /// §2.5.
    EchoRequest,
    /// §2.6.
    EchoReply,
    /// §2.7.
    OutgoingCallRequest,
    /// §2.8.
    OutgoingCallReply,
    /// §2.9.
    IncomingCallRequest,
    /// §2.10.
    IncomingCallReply,
    /// §2.11.
    IncomingCallConnected,
    /// §2.12.
    CallClearRequest,
    /// §2.13.
    CallDisconnectNotify,
    /// §2.14.
    WanErrorNotify,
    /// §2.15.
    SetLinkInfo,
}

/// Where a message has what, offsets in bytes.
struct Layout {
    kind: Kind,
    /// Bytes of the whole message.
    length: usize,
    call: Option<usize>,
    peer: Option<usize>,
    result: Option<usize>,
}

/// By type, from 1.
const LAYOUTS: [Layout; 15] = [
    layout(Kind::StartRequest, 156, None, None, None),
    layout(Kind::StartReply, 156, None, None, Some(14)),
    layout(Kind::StopRequest, 16, None, None, None),
    layout(Kind::StopReply, 16, None, None, Some(12)),
    layout(Kind::EchoRequest, 16, None, None, None),
    layout(Kind::EchoReply, 20, None, None, Some(16)),
    layout(Kind::OutgoingCallRequest, 168, Some(12), None, None),
    layout(Kind::OutgoingCallReply, 32, Some(12), Some(14), Some(16)),
    layout(Kind::IncomingCallRequest, 220, Some(12), None, None),
    layout(Kind::IncomingCallReply, 24, Some(12), Some(14), Some(16)),
    layout(Kind::IncomingCallConnected, 28, None, Some(12), None),
    layout(Kind::CallClearRequest, 16, Some(12), None, None),
    layout(Kind::CallDisconnectNotify, 148, Some(12), None, Some(14)),
    layout(Kind::WanErrorNotify, 40, None, Some(12), None),
    layout(Kind::SetLinkInfo, 24, None, Some(12), None),
];

const fn layout(
    kind: Kind,
    length: usize,
    call: Option<usize>,
    peer: Option<usize>,
    result: Option<usize>,
) -> Layout {
    Layout { kind, length, call, peer, result }
}

/// Bytes up to what each message has of its own.
const HEADER: usize = 12;
/// The message type of control messages; 2 is for management, and reserved.
const CONTROL: u16 = 1;
const MAGIC_COOKIE: [u8; 4] = [0x1a, 0x2b, 0x3c, 0x4d];

/// Why bytes are no control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The length is not that of the bytes, less than the message's type has, or more than
    /// [`PPTP_MESSAGE_BYTES`].
    Length,
    /// Another message type, or the magic cookie is wrong: the sides have lost step (§1.4).
    NotControl,
    /// A control message that RFC 2637 does not have.
    Kind(u16),
}

/// What the bytes of a control connection begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message of so many bytes, all of which are there.
    Complete(usize),
    /// The beginning of a message.
    Incomplete,
    /// Something else: nothing behind it can be read.
    NotPptp,
}

/// Tells how long the message is that `bytes` begin with.
pub fn message_len(bytes: &[u8]) -> Frame {
    let begin = bytes.get(2..HEADER.min(bytes.len())).unwrap_or_default();
    let known = [0, 1, MAGIC_COOKIE[0], MAGIC_COOKIE[1], MAGIC_COOKIE[2], MAGIC_COOKIE[3]];
    if begin.iter().zip(known).any(|(byte, known)| *byte != known) {
        return Frame::NotPptp;
    }
    let Some(length) = half(bytes, 0).map(usize::from) else { return Frame::Incomplete };
    match length {
        HEADER..=PPTP_MESSAGE_BYTES if length <= bytes.len() => Frame::Complete(length),
        HEADER..=PPTP_MESSAGE_BYTES => Frame::Incomplete,
        _ => Frame::NotPptp,
    }
}

/// Reads a message that is all of `bytes` ([`message_len`]).
///
/// # Errors
/// [`Refused`] says why it is none.
pub fn read(bytes: &[u8]) -> Result<Control, Refused> {
    let told = half(bytes, 0).map(usize::from) == Some(bytes.len());
    if !told || !(HEADER..=PPTP_MESSAGE_BYTES).contains(&bytes.len()) {
        return Err(Refused::Length);
    }
    if half(bytes, 2) != Some(CONTROL) || bytes.get(4..8) != Some(&MAGIC_COOKIE) {
        return Err(Refused::NotControl);
    }
    let kind = half(bytes, 8).ok_or(Refused::Length)?;
    let layout = usize::from(kind).checked_sub(1).and_then(|place| LAYOUTS.get(place));
    let layout = layout.ok_or(Refused::Kind(kind))?;
    if bytes.len() < layout.length {
        return Err(Refused::Length);
    }
    Ok(Control {
        kind: layout.kind,
        call: layout.call.and_then(|at| call_id(bytes, at)),
        peer: layout.peer.and_then(|at| call_id(bytes, at)),
        result: layout.result.and_then(|at| bytes.get(at).copied()),
    })
}

fn call_id(bytes: &[u8], at: usize) -> Option<CallId> {
    Some(CallId { number: half(bytes, at)?, span: Span::new(at, at + 2) })
}

/// Two bytes, big-endian.
fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*pair))
}
