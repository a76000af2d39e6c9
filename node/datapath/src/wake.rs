//! Waking a worker that sleeps: an eventfd, written only when somebody sleeps.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use nix::sys::eventfd::{EfdFlags, EventFd};

/// The bell of one worker. Clones ring the same bell.
#[derive(Clone, Debug)]
pub struct Bell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sleeping: AtomicBool,
    event: EventFd,
}

impl Bell {
    /// A bell whose worker is awake.
    ///
    /// # Errors
    /// The kernel gives out no more file descriptors.
    pub fn new() -> std::io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self(Arc::new(Inner { sleeping: AtomicBool::new(false), event })))
    }

    /// Wakes the worker if it sleeps. To be called after work was put where the worker looks.
    pub fn ring(&self) {
        // Pairs with the fence in `lie_down`: either the worker sees the work, or we see it asleep.
        fence(Ordering::SeqCst);
        if self.0.sleeping.swap(false, Ordering::AcqRel) {
            // A full counter is a ringing bell, which is what we want.
            let _ = self.0.event.write(1);
        }
    }

    /// Announces sleep. The worker must look once more for work afterwards, and call
    /// [`get_up`](Self::get_up) if there is any.
    pub fn lie_down(&self) {
        self.0.sleeping.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Ends sleep and silences the bell.
    pub fn get_up(&self) {
        self.0.sleeping.store(false, Ordering::Release);
        // Nothing to read is the usual case: something else woke us.
        let _ = self.0.event.read();
    }

    /// Readable when the bell rings.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}
