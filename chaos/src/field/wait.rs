//! Bounded waits, which end at once when the user wants an end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use super::failure::Failure;

/// Between two looks at something: short beside a second, long beside a look.
const POLL: Duration = Duration::from_millis(20);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From here on SIGINT and SIGTERM end waits, so that everything is taken down in order. To be called
/// before any other thread is started, which then has these signals blocked as well.
///
/// # Errors
/// [`Failure::System`].
pub fn watch_signals() -> Result<(), Failure> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block().map_err(Failure::call("block signals"))?;
    let wait = move || {
        if signals.wait().is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
    };
    let watcher = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
    watcher.map(drop).map_err(Failure::system("start a thread"))
}

/// Whether the user wants an end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Lets time pass.
pub(crate) fn pause(length: Duration) -> Result<(), Failure> {
    let end = Instant::now() + length;
    loop {
        if interrupted() {
            return Err(Failure::Interrupted);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(POLL));
    }
}

/// Looks again and again until `look` finds something; it says what it saw instead.
pub(crate) fn wait_for<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, Failure> {
    let end = Instant::now() + limit;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(seen) if Instant::now() >= end => {
                return Err(Failure::Late { what: what.to_owned(), seen });
            }
            Err(_) => pause(POLL)?,
        }
    }
}
