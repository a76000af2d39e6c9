//! Ends the demo early: when it is interrupted, or hangs.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::report::Current;

/// Exit status: it hung.
const HUNG: i32 = 1;
/// Exit status after a signal: this and its number, as shells have it.
const SIGNALLED: i32 = 128;

/// What a demo has made and must not leave behind.
pub(super) trait Clear: Send + Sync {
    /// Ends and removes everything that is there, by force if it must be. Does no harm twice.
    fn clear(&self);
}

/// Why it ends.
enum End {
    Signal(SignalKind),
    Deadline(Duration),
}

/// Starts the watch, which lasts as long as the process.
pub(super) fn start(
    site: Arc<impl Clear + 'static>,
    current: Current,
    limit: Duration,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    // Made before anything is that would have to be cleaned up.
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = kinds.map(|kind| signal(kind).map(|it| (kind, it)));
    let signals = [interrupt?, terminate?, hangup?];
    drop(inside);
    let watch = std::thread::Builder::new().name("demo-watch".to_owned());
    watch.spawn(move || {
        let end = runtime.block_on(end(signals, limit));
        finish(&end, &*site, &current);
    })?;
    Ok(())
}

async fn end(signals: [(SignalKind, Signal); 3], limit: Duration) -> End {
    let [(interrupt, mut first), (terminate, mut second), (hangup, mut third)] = signals;
    tokio::select! {
        _ = first.recv() => End::Signal(interrupt),
        _ = second.recv() => End::Signal(terminate),
        _ = third.recv() => End::Signal(hangup),
        () = sleep(limit) => End::Deadline(limit),
    }
}

/// Standard output belongs to the thread that hangs.
fn finish(end: &End, site: &impl Clear, current: &Current) -> ! {
    let step = current.get();
    let (word, status) = match end {
        End::Signal(kind) => ("interrupted".to_owned(), SIGNALLED + kind.as_raw_value()),
        End::Deadline(limit) => (format!("not done after {} s", limit.as_secs()), HUNG),
    };
    let _ = writeln!(io::stderr(), "{word} during: {step}; cleaning up");
    site.clear();
    std::process::exit(status)
}
