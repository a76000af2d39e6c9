//! Members of a list that came or went: counted, and the first few named.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::MEMBERS_TOLD;

/// Members of a list: a hundred thousand of them are still a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Vec<String>,
}

impl Members {
    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// More of them.
    pub(super) fn extend(&mut self, mut texts: impl Iterator<Item = String>) {
        let room = MEMBERS_TOLD.saturating_sub(self.first.len());
        let before = self.first.len();
        self.first.extend(texts.by_ref().take(room));
        self.count += self.first.len() - before + texts.count();
    }

    /// More of them, whose number is known; the texts are asked for only as far as they are told.
    pub(super) fn extend_counted(&mut self, count: usize, texts: impl Iterator<Item = String>) {
        let room = MEMBERS_TOLD.saturating_sub(self.first.len());
        self.first.extend(texts.take(room));
        self.count += count;
    }

    /// Each of them with `sign` in front.
    pub(super) fn signed(&self, sign: char) -> impl Iterator<Item = String> {
        let more = self.count - self.first.len();
        let rest = (more > 0).then(|| format!("{sign} {more} more"));
        self.first.iter().map(move |text| format!("{sign} {text}")).chain(rest)
    }
}

impl<T: Into<String>> FromIterator<T> for Members {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut members = Self::default();
        members.extend(texts.into_iter().map(Into::into));
        members
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join(", "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Members;
    use crate::limits::MEMBERS_TOLD;

    #[test]
    fn many_are_counted_and_few_are_told() {
        let few: Members = ["a", "b"].into_iter().collect();
        assert_eq!(few.to_string(), "a, b");
        assert_eq!(few.signed('+').collect::<Vec<_>>(), ["+ a", "+ b"]);
        let many: Members = (0..1_000).map(|number| number.to_string()).collect();
        assert_eq!((many.count, many.first.len()), (1_000, MEMBERS_TOLD));
        let more = 1_000 - MEMBERS_TOLD;
        assert!(many.to_string().ends_with(&format!("7 and {more} more")), "{many}");
        assert_eq!(many.signed('-').last(), Some(format!("- {more} more")));
        let mut known = few;
        known.extend_counted(70, ["c".to_owned()].into_iter());
        assert_eq!((known.count, known.first.len()), (72, 3));
    }
}
