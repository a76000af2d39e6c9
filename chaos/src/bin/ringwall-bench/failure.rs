//! Why a benchmark did not come to a result.

use std::fmt;
use std::io;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Not here: a right or a program is missing. No failure unless `RINGWALL_REQUIRE_ALL` is set.
    Skipped(String),
    /// A namespace or a veth pair.
    Network(netns::Error),
    /// A socket or its memory.
    AfXdp(af_xdp::Error),
    /// The XDP program.
    Xdp(datapath::xdp::Error),
    /// Anything of the system's.
    Io { what: String, error: io::Error },
    /// The subject did not do its work, so its speed says nothing.
    Wrong(String),
}

impl Failure {
    /// For `map_err`.
    pub(crate) fn io(what: &str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { what: what.to_owned(), error }
    }

    /// Whether this is fine on a machine that lacks something.
    pub(crate) fn is_skip(&self) -> bool {
        let required = std::env::var_os("RINGWALL_REQUIRE_ALL").is_some();
        matches!(self, Self::Skipped(_)) && !required
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(why) => write!(f, "skipped: {why}"),
            Self::Network(error) => write!(f, "{error}"),
            Self::AfXdp(error) => write!(f, "{error}"),
            Self::Xdp(error) => write!(f, "{error}"),
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
            Self::Wrong(what) => write!(f, "no result: {what}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<netns::Error> for Failure {
    fn from(error: netns::Error) -> Self {
        Self::Network(error)
    }
}

impl From<af_xdp::Error> for Failure {
    fn from(error: af_xdp::Error) -> Self {
        Self::AfXdp(error)
    }
}

impl From<datapath::xdp::Error> for Failure {
    fn from(error: datapath::xdp::Error) -> Self {
        Self::Xdp(error)
    }
}
