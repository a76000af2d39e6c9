//! Work that takes its time, on threads of its own with the favour that ordinary work has: those of the
//! runtime have more, as packets wait for them.

use super::limits::ORDINARY;

/// Does work on a thread of its own. Whoever waits for what comes of it sees it dropped if there is no
/// thread.
pub(super) fn aside(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name("policy-aside".to_owned());
    let spawned = thread.spawn(move || {
        // It can only fall, which everybody may.
        let _ = datapath::favour(ORDINARY);
        work();
    });
    if let Err(error) = spawned {
        tracing::error!(%error, "no thread for the policy's work: it is not done");
    }
}
