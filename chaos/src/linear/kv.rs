//! A store of texts by key: get, put, append. The model is one key; see [`check_keys`](super::check_keys).

use core::fmt;
use std::sync::Arc;

use super::model::Model;

/// One key, with an empty text at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kv;

/// Its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(pub Arc<str>);

/// What is asked for, by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvCall {
    /// What is there?
    Get(String),
    /// Put this there.
    Put(String, String),
    /// Put this behind what is there.
    Append(String, String),
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvAnswer {
    /// This is there.
    Text(String),
    /// It is done.
    Done,
}

impl KvCall {
    /// The key that it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::Get(key) | Self::Put(key, _) | Self::Append(key, _) => key,
        }
    }
}

impl Model for Kv {
    type Call = KvCall;
    type Answer = KvAnswer;
    type State = Text;

    fn start(&self) -> Text {
        Text::default()
    }

    fn step(&self, state: &Text, call: &KvCall, answer: Option<&KvAnswer>) -> Option<Text> {
        let wrote = answer.is_none_or(|answer| *answer == KvAnswer::Done);
        match call {
            KvCall::Get(_) => match answer {
                Some(KvAnswer::Text(text)) => (**text == *state.0).then(|| state.clone()),
                Some(KvAnswer::Done) => None,
                None => Some(state.clone()),
            },
            KvCall::Put(_, text) => wrote.then(|| Text(text.as_str().into())),
            KvCall::Append(_, text) => wrote.then(|| Text(format!("{}{text}", state.0).into())),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        end(&self.0, f)
    }
}

impl fmt::Display for KvCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get(key) => write!(f, "get {key:?}"),
            Self::Put(key, text) => write!(f, "put {key:?} {text:?}"),
            Self::Append(key, text) => write!(f, "append {key:?} {text:?}"),
        }
    }
}

impl fmt::Display for KvAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => end(text, f),
            Self::Done => f.write_str("done"),
        }
    }
}

/// The end of a text: appended ones are long, and differ there.
fn end(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SHOWN: usize = 60;
    let length = text.chars().count();
    let shown: String = text.chars().skip(length.saturating_sub(SHOWN)).collect();
    if length <= SHOWN {
        write!(f, "{shown:?}")
    } else {
        write!(f, "…{shown:?} ({length} characters)")
    }
}
