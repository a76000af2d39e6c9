//! Real-time scheduling for the thread that heartbeats depend on.

#![allow(unsafe_code, reason = "a system call that no safe crate offers")]

/// Lets the calling thread run before all others but those of a higher priority (`SCHED_FIFO`). What it
/// starts does not inherit that.
///
/// # Errors
/// The process has no `CAP_SYS_NICE`, or the system gives its group no real-time share.
pub fn run_first(priority: u8) -> std::io::Result<()> {
    let parameter = libc::sched_param { sched_priority: priority.into() };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the pointer is to a live value, which the call only reads.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::run_first;

    #[test]
    fn a_priority_that_does_not_exist_is_refused() {
        let refused = std::thread::spawn(|| run_first(200)).join().expect("no panic");
        assert!(refused.is_err(), "real-time priorities end at 99");
    }
}
