//! What the policy's machines say to each other, by calls on [`Channel::Policy`].
//!
//! | who | asks whom | | and is answered |
//! |---|---|---|---|
//! | member | leader | how it stands | [`Answer::Noted`] |
//! | leader | member | how it stands | [`Answer::Report`], or [`Answer::StandsStill`] |
//! | member | leader | to be cleared | [`Answer::Cleared`] |
//! | any | leader | what an operator wants | [`Answer::Answered`] |
//! | any | member | whether it could run a text | [`Answer::Checked`] |
//!
//! Who does not lead answers [`Answer::NotLeading`].
//!
//! ```text
//! version u8 │ kind u8 │ body
//!
//! body: nothing, a number (u64, big-endian), or a layout of cluster_core::policy with its own version
//! ```
//!
//! Written by hand, as those layouts are: two builds of one cluster must read each other.

#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use cluster_core::NodeId;
use cluster_core::policy::local::{Report, Verdict};
use cluster_core::policy::{Command, Line, Malformed, coordinator};
use cluster_core::policy::{command, encode_command};
use wire::Time;

use crate::limits::{ANSWER_BYTES, CALL_BYTES};
use crate::transport::{Call, CallError, Channel, Question, Sender, Urgency};
use crate::{Counter, Counters};

/// Version of these messages, in the first byte.
const VERSION: u8 = 1;

/// Bytes of version and kind.
const HEAD_BYTES: usize = 2;

// What fits its own limit fits a call.
const _: () = assert!(cluster_core::limits::COMMAND_BYTES + HEAD_BYTES <= CALL_BYTES);
const _: () = assert!(cluster_core::limits::ANSWER_BYTES + HEAD_BYTES <= ANSWER_BYTES);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To the leader: how the asker stands.
    Report(Report),
    /// To a member: how it stands.
    WantReport,
    /// To the leader: whether the asker may begin to forward.
    Clear {
        /// When, by the asker's CLOCK_BOOTTIME.
        asked: Time,
    },
    /// To the leader: what an operator wants, who asked another node.
    Request(Box<Command>),
    /// To a member: whether it could run what this would propose. Nothing is proposed.
    Check(Box<Command>),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Ask::Report`].
    Noted,
    /// To [`Ask::WantReport`]: how this node stands.
    Report(Report),
    /// To [`Ask::Clear`]: the node may forward, once it has applied an entry.
    Cleared {
        /// This one.
        index: u64,
    },
    /// To [`Ask::Request`]: how it ended.
    Answered(Box<coordinator::Answer>),
    /// To what is asked of a leader: this node does not lead; nothing was done.
    NotLeading,
    /// To [`Ask::Check`]: whether this node could run it.
    Checked(Verdict),
    /// To [`Ask::WantReport`]: this node takes part in no commit and does not forward, and why
    /// ([`cluster_core::policy::Local::stands_still`]).
    StandsStill(Line),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskError {
    /// The call.
    Call(CallError),
    /// The answer cannot be read, is to another question, or speaks for another node.
    Malformed,
}

/// A question of a peer. Who drops it refuses to answer.
#[derive(Debug)]
pub struct Asked {
    /// Who asks, by its certificate.
    pub node: NodeId,
    /// What.
    pub ask: Ask,
    call: Call,
}

/// Asks a peer, and waits for the answer `within` a time.
///
/// # Errors
/// Why there is none. A request may have been carried out all the same.
pub async fn ask(
    sender: &Sender,
    node: NodeId,
    ask: &Ask,
    within: Duration,
) -> Result<Answer, AskError> {
    let (message, urgency) = (ask.encode(), ask.urgency());
    let question = Question { channel: Channel::Policy, message, tail: Bytes::new(), urgency };
    let bytes = sender.call(node, question, within).await.map_err(AskError::Call)?;
    let answer = Answer::decode(&bytes).ok().filter(|answer| answer.is_from(node, ask));
    answer.ok_or_else(|| {
        sender.counters().count(Counter::PolicyMalformed);
        AskError::Malformed
    })
}

impl Asked {
    /// What a call asks. One that cannot be read, or that reports on another node than who calls, is
    /// refused and counted.
    #[must_use]
    pub fn read(mut call: Call, counters: &Counters) -> Option<Self> {
        let message = core::mem::take(&mut call.message);
        match Ask::decode(&message).ok().filter(|ask| ask.is_from(call.node)) {
            Some(ask) => Some(Self { node: call.node, ask, call }),
            None => {
                counters.count(Counter::PolicyMalformed);
                None
            }
        }
    }

    /// Answers.
    pub fn answer(self, answer: &Answer) {
        self.call.answer(answer.encode());
    }
}

impl Ask {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Report(report) => message(1, &report.encode()),
            Self::WantReport => message(2, &[]),
            Self::Clear { asked } => message(3, &asked.0.to_be_bytes()),
            Self::Request(command) => message(4, &encode_command(command)),
            Self::Check(command) => message(5, &encode_command(command)),
        }
    }

    /// The question in `bytes`.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (kind, body) = opened(bytes)?;
        match kind {
            1 => Report::decode(body).map(Self::Report),
            2 => nothing(body).map(|()| Self::WantReport),
            3 => number(body).map(|asked| Self::Clear { asked: Time(asked) }),
            4 => command(body).map(|command| Self::Request(Box::new(command))),
            5 => command(body).map(|command| Self::Check(Box::new(command))),
            _ => Err(Malformed::Tag),
        }
    }

    /// Whether it speaks for who asks.
    fn is_from(&self, asker: NodeId) -> bool {
        match self {
            Self::Report(report) => report.node == asker,
            Self::WantReport | Self::Clear { .. } | Self::Request(_) | Self::Check(_) => true,
        }
    }

    /// A clearance is worth less with every moment; a revision is long.
    const fn urgency(&self) -> Urgency {
        match self {
            Self::Clear { .. } => Urgency::Prompt,
            Self::Report(_) | Self::WantReport => Urgency::Usual,
            Self::Request(_) | Self::Check(_) => Urgency::Idle,
        }
    }
}

impl Answer {
    /// As bytes; times in whole milliseconds.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Noted => message(1, &[]),
            Self::Report(report) => message(2, &report.encode()),
            Self::Cleared { index } => message(3, &index.to_be_bytes()),
            Self::Answered(answer) => message(4, &answer.encode()),
            Self::NotLeading => message(5, &[]),
            Self::Checked(verdict) => message(6, &verdict.encode()),
            Self::StandsStill(why) => message(7, &why.encode()),
        }
    }

    /// The answer in `bytes`.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (kind, body) = opened(bytes)?;
        match kind {
            1 => nothing(body).map(|()| Self::Noted),
            2 => Report::decode(body).map(Self::Report),
            3 => number(body).map(|index| Self::Cleared { index }),
            4 => coordinator::Answer::decode(body).map(|it| Self::Answered(Box::new(it))),
            5 => nothing(body).map(|()| Self::NotLeading),
            6 => Verdict::decode(body).map(Self::Checked),
            7 => Line::decode(body).map(Self::StandsStill),
            _ => Err(Malformed::Tag),
        }
    }

    /// Whether it is this node's to that question.
    fn is_from(&self, node: NodeId, ask: &Ask) -> bool {
        match self {
            Self::Noted => matches!(ask, Ask::Report(_)),
            Self::Report(report) => matches!(ask, Ask::WantReport) && report.node == node,
            Self::Cleared { .. } => matches!(ask, Ask::Clear { .. }),
            Self::Answered(_) => matches!(ask, Ask::Request(_)),
            Self::NotLeading => !matches!(ask, Ask::WantReport | Ask::Check(_)),
            Self::Checked(_) => matches!(ask, Ask::Check(_)),
            Self::StandsStill(_) => matches!(ask, Ask::WantReport),
        }
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.extend_from_slice(&[VERSION, kind]);
    bytes.extend_from_slice(body);
    bytes
}

/// Kind and body.
const fn opened(bytes: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    match bytes {
        [VERSION, kind, body @ ..] => Ok((*kind, body)),
        [] | [VERSION] => Err(Malformed::Truncated),
        [version, ..] => Err(Malformed::Version(*version)),
    }
}

const fn nothing(body: &[u8]) -> Result<(), Malformed> {
    if body.is_empty() { Ok(()) } else { Err(Malformed::Trailing) }
}

fn number(body: &[u8]) -> Result<u64, Malformed> {
    let (number, rest) = body.split_first_chunk().ok_or(Malformed::Truncated)?;
    nothing(rest).map(|()| u64::from_be_bytes(*number))
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Malformed => {
                f.write_str("the answer cannot be read: do all nodes run one version?")
            }
        }
    }
}

impl core::error::Error for AskError {}
