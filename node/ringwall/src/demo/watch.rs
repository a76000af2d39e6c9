//! Ends the demo early: when it is interrupted, or hangs.

use std::io::{self, Write as _};
use std::sync::Arc;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::limits::DEADLINE;
use super::report::Current;
use super::site::Site;

/// Exit status: it hung.
const HUNG: i32 = 1;
/// Exit status after a signal: this and its number, as shells have it.
const SIGNALLED: i32 = 128;

/// Why it ends.
enum End {
    Signal(SignalKind),
    Deadline,
}

/// Starts the watch, which lasts as long as the process.
pub(super) fn start(site: Arc<Site>, current: Current) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    // Made before anything is that would have to be cleaned up.
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = kinds.map(|kind| signal(kind).map(|it| (kind, it)));
    let signals = [interrupt?, terminate?, hangup?];
    drop(inside);
    let watch = std::thread::Builder::new().name("demo-watch".to_owned());
    watch.spawn(move || {
        let end = runtime.block_on(end(signals));
        finish(&end, &site, &current);
    })?;
    Ok(())
}

async fn end(signals: [(SignalKind, Signal); 3]) -> End {
    let [(interrupt, mut first), (terminate, mut second), (hangup, mut third)] = signals;
    tokio::select! {
        _ = first.recv() => End::Signal(interrupt),
        _ = second.recv() => End::Signal(terminate),
        _ = third.recv() => End::Signal(hangup),
        () = sleep(DEADLINE) => End::Deadline,
    }
}

/// Standard output belongs to the thread that hangs.
fn finish(end: &End, site: &Site, current: &Current) -> ! {
    let (step, limit) = (current.get(), DEADLINE.as_secs());
    let (word, status) = match end {
        End::Signal(kind) => ("interrupted".to_owned(), SIGNALLED + kind.as_raw_value()),
        End::Deadline => (format!("not done after {limit} s"), HUNG),
    };
    let _ = writeln!(io::stderr(), "{word} during: {step}; cleaning up");
    site.clear();
    std::process::exit(status)
}
