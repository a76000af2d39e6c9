//! Messages as bytes: the only module that knows `bincode`. Another encoding is another body of this
//! file.
//!
//! ```text
//! control frame   length u32 be │ version u8 │ tag u8 │ body        (length counts what follows it)
//! joining frame   length u32 be │ version u8 │ tag u8 │ body
//! Raft            version u8 │ tag u8 │ body               (questions, answers, what the store keeps)
//! ```
//!
//! Version and tag stand outside of the encoding, so that a newer node can be told from nonsense. A
//! body is decoded within a limit on what it may claim; what is left over behind it refuses it; no
//! type contains itself, since nothing bounds the depth.

#[cfg(test)]
mod tests;

use core::fmt;

use bincode::config;
pub(crate) use bincode::{Decode, Encode};

use crate::limits::{CALL_BYTES, CONTROL_BODY_BYTES, JOIN_MESSAGE_BYTES};
use crate::message::ControlMessage;

/// Version of the encoding, in each message's first byte.
pub const VERSION: u8 = 1;

/// Bytes of version and tag.
const HEAD_BYTES: usize = 2;

/// Why bytes are no message, or a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// Not even a version and a tag.
    Truncated,
    /// A version that this node does not speak.
    Version(u8),
    /// A kind of message that this version does not know: pass it over.
    Tag(u8),
    /// The body cannot be decoded, or claims more than it may.
    Body,
    /// Bytes behind the body.
    Trailing,
    /// A part of the message is longer or larger than allowed.
    Limit,
}

/// The tag of each kind of message. Numbers are never used again.
#[derive(Clone, Copy)]
enum Tag {
    Hello = 1,
    Policy = 2,
    BulkRequest = 3,
    BulkProgress = 4,
    BulkEnd = 5,
    Digests = 6,
    Switchover = 7,
    Error = 8,
}

impl Tag {
    const ALL: [Self; 8] = [
        Self::Hello,
        Self::Policy,
        Self::BulkRequest,
        Self::BulkProgress,
        Self::BulkEnd,
        Self::Digests,
        Self::Switchover,
        Self::Error,
    ];
}

/// The message as version, tag and body.
///
/// # Errors
/// [`CodecError::Limit`] if a part of it, or all of it, is longer than a peer would take.
pub fn encode(message: &ControlMessage) -> Result<Vec<u8>, CodecError> {
    if !message.is_within_limits() {
        return Err(CodecError::Limit);
    }
    match message {
        ControlMessage::Hello(body) => frame(Tag::Hello as u8, body, CONTROL_BODY_BYTES),
        ControlMessage::Policy(body) => frame(Tag::Policy as u8, body, CONTROL_BODY_BYTES),
        ControlMessage::BulkRequest(body) => {
            frame(Tag::BulkRequest as u8, body, CONTROL_BODY_BYTES)
        }
        ControlMessage::BulkProgress(body) => {
            frame(Tag::BulkProgress as u8, body, CONTROL_BODY_BYTES)
        }
        ControlMessage::BulkEnd(body) => frame(Tag::BulkEnd as u8, body, CONTROL_BODY_BYTES),
        ControlMessage::Digests(body) => frame(Tag::Digests as u8, body, CONTROL_BODY_BYTES),
        ControlMessage::Switchover(body) => frame(Tag::Switchover as u8, body, CONTROL_BODY_BYTES),
        ControlMessage::Error(body) => frame(Tag::Error as u8, body, CONTROL_BODY_BYTES),
    }
}

/// The message in `bytes`, which are version, tag and body.
///
/// # Errors
/// Whatever is wrong with them; [`CodecError::Tag`] is a newer node's message and no fault.
pub fn decode(bytes: &[u8]) -> Result<ControlMessage, CodecError> {
    let (tag, body) = opened(bytes)?;
    let known = Tag::ALL.into_iter().find(|known| *known as u8 == tag);
    let message = match known.ok_or(CodecError::Tag(tag))? {
        Tag::Hello => ControlMessage::Hello(control(body)?),
        Tag::Policy => ControlMessage::Policy(control(body)?),
        Tag::BulkRequest => ControlMessage::BulkRequest(control(body)?),
        Tag::BulkProgress => ControlMessage::BulkProgress(control(body)?),
        Tag::BulkEnd => ControlMessage::BulkEnd(control(body)?),
        Tag::Digests => ControlMessage::Digests(control(body)?),
        Tag::Switchover => ControlMessage::Switchover(control(body)?),
        Tag::Error => ControlMessage::Error(control(body)?),
    };
    if message.is_within_limits() { Ok(message) } else { Err(CodecError::Limit) }
}

/// A message of the joining conversation as version, tag and body.
pub(crate) fn encode_joining<T: Encode>(tag: u8, body: &T) -> Result<Vec<u8>, CodecError> {
    frame(tag, body, JOIN_MESSAGE_BYTES)
}

/// The message of the joining conversation with this tag.
pub(crate) fn decode_joining<T: Decode<()>>(tag: u8, bytes: &[u8]) -> Result<T, CodecError> {
    let (found, body) = opened(bytes)?;
    if found != tag {
        return Err(CodecError::Tag(found));
    }
    whole(
        bincode::decode_from_slice(body, config::standard().with_limit::<{ JOIN_MESSAGE_BYTES }>()),
        body.len(),
    )
}

/// Something of Raft as version, tag and body.
pub(crate) fn encode_raft<T: Encode>(tag: u8, body: &T) -> Result<Vec<u8>, CodecError> {
    frame(tag, body, CALL_BYTES - HEAD_BYTES)
}

/// What stands in `bytes` of Raft under this tag.
pub(crate) fn decode_raft<T: Decode<()>>(tag: u8, bytes: &[u8]) -> Result<T, CodecError> {
    let (found, body) = opened(bytes)?;
    if found != tag {
        return Err(CodecError::Tag(found));
    }
    whole(
        bincode::decode_from_slice(body, config::standard().with_limit::<{ CALL_BYTES }>()),
        body.len(),
    )
}

fn control<T: Decode<()>>(body: &[u8]) -> Result<T, CodecError> {
    let limited = config::standard().with_limit::<{ CONTROL_BODY_BYTES }>();
    whole(bincode::decode_from_slice(body, limited), body.len())
}

fn whole<T>(
    decoded: Result<(T, usize), bincode::error::DecodeError>,
    length: usize,
) -> Result<T, CodecError> {
    match decoded {
        Ok((value, used)) if used == length => Ok(value),
        Ok(_) => Err(CodecError::Trailing),
        Err(_) => Err(CodecError::Body),
    }
}

fn frame<T: Encode>(tag: u8, body: &T, limit: usize) -> Result<Vec<u8>, CodecError> {
    let encoded = bincode::encode_to_vec(body, config::standard());
    // Writing numbers and texts into memory cannot fail otherwise.
    let encoded = encoded.ok().filter(|encoded| encoded.len() <= limit);
    let encoded = encoded.ok_or(CodecError::Limit)?;
    let mut bytes = vec![VERSION, tag];
    bytes.extend_from_slice(&encoded);
    Ok(bytes)
}

fn opened(bytes: &[u8]) -> Result<(u8, &[u8]), CodecError> {
    match bytes {
        [VERSION, tag, body @ ..] => Ok((*tag, body)),
        [version, _, ..] => Err(CodecError::Version(*version)),
        [] | [_] => Err(CodecError::Truncated),
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the message has no version and no tag"),
            Self::Version(version) => write!(f, "the message is of version {version}"),
            Self::Tag(tag) => write!(f, "a message with the unknown tag {tag}"),
            Self::Body => f.write_str("the message's body cannot be read"),
            Self::Trailing => f.write_str("there are bytes behind the message"),
            Self::Limit => f.write_str("a part of the message is beyond its limit"),
        }
    }
}

impl core::error::Error for CodecError {}
