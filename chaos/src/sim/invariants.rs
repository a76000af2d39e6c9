//! What must hold whatever happens. One file each; the world tells them what they ask for, and a run
//! ends with the first thing that one of them says.

pub(crate) mod agreement;
pub(crate) mod conservation;
pub(crate) mod forgery;
pub(crate) mod monotone;
pub(crate) mod overlap;
pub(crate) mod policy;
pub(crate) mod survival;
pub(crate) mod translation;

use std::fmt;

use wire::Time;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The name of the invariant.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
    /// When.
    pub at: Time,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_nanos() as f64 / 1e9;
        write!(f, "{} broken at {at:.6} s: {}", self.invariant, self.what)
    }
}
