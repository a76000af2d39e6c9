//! What the engine is told back of what it noted.

use engine::session::SessionId;

/// Held packets of a session may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The session's place.
    pub place: u32,
    /// The session. If it has ended its hold has ended with it.
    pub id: SessionId,
    /// The number of the last one that may go.
    pub up_to: u64,
}
