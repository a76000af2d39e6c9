//! Texts that know their limit, and secrets that do not show.

use std::fmt;
use std::sync::Arc;

use crate::limits::{LINE_BYTES, POLICY_TEXT_BYTES, SECRET_BYTES};

/// A line for people: at most [`LINE_BYTES`] long.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line(Box<str>);

/// The text of a policy, its list files inlined: at most [`POLICY_TEXT_BYTES`] long. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyText(Arc<str>);

/// A secret: at most [`SECRET_BYTES`] long, and not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// What is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Line {
    /// `text` as it is.
    ///
    /// # Errors
    /// It is too long.
    pub fn new(text: &str) -> Result<Self, TooLong> {
        if text.len() <= LINE_BYTES { Ok(Self(text.into())) } else { Err(TooLong) }
    }

    /// The beginning of `text`: for reasons, which a machine wrote.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        let fits = |end: &usize| text.is_char_boundary(*end);
        let end = (0..=LINE_BYTES.min(text.len())).rev().find(fits).unwrap_or(0);
        Self(text[..end].into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PolicyText {
    /// `text` as it is.
    ///
    /// # Errors
    /// It is too long.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, TooLong> {
        let text = text.into();
        if text.len() <= POLICY_TEXT_BYTES { Ok(Self(text)) } else { Err(TooLong) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Secret {
    /// `bytes` as they are.
    ///
    /// # Errors
    /// They are too many.
    pub fn new(bytes: &[u8]) -> Result<Self, TooLong> {
        if bytes.len() <= SECRET_BYTES { Ok(Self(bytes.into())) } else { Err(TooLong) }
    }

    /// What is secret.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PolicyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyText({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_to_the_byte() {
        assert!(Line::new(&"a".repeat(LINE_BYTES)).is_ok());
        assert_eq!(Line::new(&"a".repeat(LINE_BYTES + 1)), Err(TooLong));
        assert!(PolicyText::new("a".repeat(POLICY_TEXT_BYTES)).is_ok());
        assert_eq!(PolicyText::new("a".repeat(POLICY_TEXT_BYTES + 1)), Err(TooLong));
        assert_eq!(Secret::new(&[0; SECRET_BYTES + 1]), Err(TooLong));
    }

    #[test]
    fn a_cut_falls_between_characters() {
        let cut = Line::cut(&"ä".repeat(LINE_BYTES));
        assert_eq!(cut.as_str().len(), LINE_BYTES);
        let cut = Line::cut(&format!("a{}", "ä".repeat(LINE_BYTES)));
        assert_eq!(cut.as_str().len(), LINE_BYTES - 1);
        assert_eq!(Line::cut("short").as_str(), "short");
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?}", Secret::new(b"hunter2").unwrap());
        assert_eq!(shown, "Secret(…)");
    }
}
