//! Panics in the log.

/// Logs a panic's message and place from now on, and nothing more: a backtrace takes hundreds of
/// milliseconds to resolve, and a flow actor must be back at its packets within fifty.
pub(super) fn log() {
    std::panic::set_hook(Box::new(|panic| {
        let cause = panic.payload_as_str().unwrap_or("(no message)");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let current = std::thread::current();
        let thread = current.name().unwrap_or("(unnamed)");
        tracing::error!(cause, place, thread, "panic");
    }));
}
