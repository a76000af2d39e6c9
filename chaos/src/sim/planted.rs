//! Mistakes that are made on purpose, so that each invariant can be seen to find one.

/// What is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Planted {
    /// Nothing.
    #[default]
    Nothing,
    /// A driver that leaves the lease word as it is when the lease ends.
    KeepsTheLease,
    /// A kernel whose program does not look at the lease word, and a worker that does not either.
    IgnoresTheLease,
    /// A driver that sends on what the engine dropped.
    PassesWhatIsDenied,
    /// A driver that does not give the engine's notes to replication.
    LosesNotes,
    /// A network that loses frames without a word.
    SwallowsFrames,
    /// A table that takes back what a session has counted.
    GoesBack,
    /// A network that lets a forger's frame in behind the firewall.
    LetsForgeryIn,
    /// A table that does not learn from records how sessions are translated.
    LosesTranslations,
    /// A driver that never asks for the owner's sessions.
    NeverJoins,
}
