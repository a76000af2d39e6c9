//! Why a run could not be carried out. That a bar is missed is none of these.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{log, traffic};

/// What kept the harness from doing or measuring something.
#[derive(Debug)]
pub enum Failure {
    /// Namespaces, links, routes.
    Network(netns::Error),
    /// The traffic.
    Traffic(traffic::Error),
    /// A log.
    Log(log::Error),
    /// A system call, with what it was for.
    System { what: String, error: io::Error },
    /// Something did not come about; with what was seen last.
    Late { what: String, seen: String },
    /// A program said no.
    Refused { what: String, said: String },
    /// A program ended by itself.
    Ended { what: String, output: PathBuf },
    /// An answer that is not understood.
    Strange { what: String, said: String },
    /// The user wants an end.
    Interrupted,
}

impl Failure {
    /// For `map_err`: a system call that was for `what`.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::System { what, error }
    }

    /// The same for calls by nix.
    pub(crate) fn call(what: impl Into<String>) -> impl FnOnce(nix::errno::Errno) -> Self {
        let what = what.into();
        move |errno| Self::System { what, error: errno.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(error) => write!(f, "the network: {error}"),
            Self::Traffic(error) => write!(f, "the traffic: {error}"),
            Self::Log(error) => write!(f, "a log: {error}"),
            Self::System { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Late { what, seen } => write!(f, "waited in vain for {what}; last seen: {seen}"),
            Self::Refused { what, said } => write!(f, "{what} was refused: {}", said.trim()),
            Self::Ended { what, output } => {
                write!(f, "{what} has ended by itself; it said: {}", output.display())
            }
            Self::Strange { what, said } => write!(f, "{what} answered strangely: {said}"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<netns::Error> for Failure {
    fn from(error: netns::Error) -> Self {
        Self::Network(error)
    }
}

impl From<traffic::Error> for Failure {
    fn from(error: traffic::Error) -> Self {
        Self::Traffic(error)
    }
}

impl From<log::Error> for Failure {
    fn from(error: log::Error) -> Self {
        Self::Log(error)
    }
}
