//! Bounded waits: the only way a test may wait for something outside its own process.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time between two looks: short beside anything that a test waits for.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// Looks at `ready` again and again until it says yes.
///
/// # Panics
/// After `limit`, with `what` in the message.
#[track_caller]
pub fn wait_for(limit: Duration, what: &str, mut ready: impl FnMut() -> bool) {
    wait_for_some(limit, what, || ready().then_some(()));
}

/// Looks at `find` again and again until it gives a value.
///
/// # Panics
/// After `limit`, with `what` in the message.
#[track_caller]
pub fn wait_for_some<T>(limit: Duration, what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_was_found() {
        let mut looks = 0;
        let found = wait_for_some(Duration::from_secs(5), "the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "in vain for a miracle")]
    fn ends_at_the_limit() {
        wait_for(Duration::from_millis(20), "a miracle", || false);
    }
}
