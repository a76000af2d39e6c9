//! Scheduling: real-time for the thread that heartbeats depend on, favour for the whole program.

#![allow(unsafe_code, reason = "a system call that no safe crate offers")]

use std::time::Duration;

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

/// What the kernel wants to know of a thread's scheduling (`sched_setattr(2)`), in its first version.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// Of an ordinary thread: the slice that it asks for, in nanoseconds.
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Gives the calling thread the favour of [`favour`], and short slices: it comes sooner to its turn, and has
/// less of it. For a thread that passes on what others wait for. Linux before 6.12 knows no slices, and
/// takes the niceness alone.
///
/// # Errors
/// The process has no `CAP_SYS_NICE`.
pub fn hurry(niceness: i8, slice: Duration) -> std::io::Result<()> {
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice: niceness.into(),
        priority: 0,
        runtime: slice.as_nanos() as u64,
        deadline: 0,
        period: 0,
    };
    // SAFETY: the pointer is to a live value of the size that it names, which the call only reads.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } {
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
    use super::{favour, hurry, run_first};
    use std::time::Duration;

    #[test]
    fn slices_are_the_kernels_business_and_a_niceness_may_fall() {
        let short = Duration::from_micros(200);
        let hurried = std::thread::spawn(move || hurry(5, short)).join().expect("no panic");
        assert!(hurried.is_ok(), "{hurried:?}");
    }

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
