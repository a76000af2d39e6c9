//! Scheduling: real-time for the thread that heartbeats depend on, favour for the whole program.

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

/// Gives the calling thread, and what it starts from now on, more of a busy processor than ordinary
/// work has: a niceness of -20 (most) to 19.
///
/// # Errors
/// The process has no `CAP_SYS_NICE`.
pub fn favour(niceness: i8) -> std::io::Result<()> {
    // SAFETY: the call takes numbers only; process 0 is the calling thread.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness.into()) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::{favour, run_first};

    #[test]
    fn a_thread_can_step_back() {
        let stepped = std::thread::spawn(|| favour(19)).join().expect("no panic");
        assert!(stepped.is_ok(), "{stepped:?}");
    }

    #[test]
    fn a_priority_that_does_not_exist_is_refused() {
        let refused = std::thread::spawn(|| run_first(200)).join().expect("no panic");
        assert!(refused.is_err(), "real-time priorities end at 99");
    }
}
