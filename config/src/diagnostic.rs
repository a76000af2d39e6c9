//! One problem in a file: where it is, what it is, and what to do about it.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A problem at a place in a file the operator wrote.
///
/// `Display` is the form of compilers, several lines without a final newline:
///
/// ```text
/// error: unknown zone `turst`
///   --> policy.toml:12:8
///    | from = "turst"
///    = hint: did you mean `trust`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Errors refuse the file, warnings do not.
    pub severity: Severity,
    /// File as it was named to the parser; the list file for a problem inside a list.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The line itself, cut if it is very long.
    pub source: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, file, line, column, message, source, hint } = self;
        write!(f, "{severity}: {message}\n  --> {file}:{line}:{column}\n   | {source}")?;
        match hint {
            Some(hint) => write!(f, "\n   = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted; something in it looks unintended.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A value that passed all checks, with what looked unintended.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked<T> {
    /// The value.
    pub value: T,
    /// Warnings in the order of the file.
    pub warnings: Vec<Diagnostic>,
}
