//! Threads of the traffic: where they run, how they are told to stop, and what they cost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use netns::Namespace;
use nix::time::{ClockId, clock_gettime};

use super::Error;
use super::clock::{monotonic, sleep_until};
use crate::field::limits::{LOOK, PRIORITY};

/// A thread that ends with a value.
#[derive(Debug)]
pub(super) struct Task<T> {
    handle: JoinHandle<(Result<T, Error>, Usage)>,
}

/// How a thread is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It times things.
    Prompt,
    /// It moves things.
    Ordinary,
}

impl<T: Send + 'static> Task<T> {
    /// Runs `work` on a thread inside the namespace.
    pub(super) fn start(
        name: &str,
        inside: &Namespace,
        class: Class,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let name = name.to_owned();
        let thread = std::thread::Builder::new().name(name.clone());
        let measured = move || {
            let scheduling = Scheduling::enter(class);
            let start = monotonic();
            let result = work();
            let cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
            let cpu = cpu.expect("a clock that every Linux has").into();
            (result, Usage { name, cpu, wall: monotonic() - start, scheduling })
        };
        let handle = inside.run(|| thread.spawn(measured)).map_err(Error::io("start a thread"))?;
        Ok(Self { handle })
    }

    /// Waits for its end.
    pub(super) fn join(self, usages: &mut Vec<Usage>) -> Result<T, Error> {
        let joined = self.handle.join();
        let (result, usage) = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        usages.push(usage);
        result
    }
}

/// Whether a thread got the scheduling it wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheduling {
    Fifo,
    Refused,
    Ordinary,
}

impl Scheduling {
    fn enter(class: Class) -> Self {
        match class {
            Class::Prompt if datapath::run_first(PRIORITY).is_ok() => Self::Fifo,
            Class::Prompt => Self::Refused,
            Class::Ordinary => Self::Ordinary,
        }
    }
}

/// What a thread cost: a line of `threads.log`.
#[derive(Debug)]
pub(super) struct Usage {
    name: String,
    cpu: Duration,
    wall: Duration,
    scheduling: Scheduling,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheduling = match self.scheduling {
            Scheduling::Fifo => "fifo",
            Scheduling::Refused => "refused",
            Scheduling::Ordinary => "ordinary",
        };
        let (cpu, wall) = (self.cpu.as_nanos(), self.wall.as_nanos());
        write!(f, "{} {cpu} {wall} {scheduling}", self.name)
    }
}

/// What all threads look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    stop: AtomicBool,
    end: AtomicBool,
}

impl Signals {
    /// Whether nothing new is to be sent.
    pub(super) fn stopped(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }

    /// Whether whoever only receives or answers is to end.
    pub(super) fn ended(&self) -> bool {
        self.0.end.load(Ordering::Relaxed)
    }

    pub(super) fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.stop();
        self.0.end.store(true, Ordering::Relaxed);
    }
}

/// Ends all threads when the traffic is given up.
#[derive(Debug, Default)]
pub(super) struct Guard(pub(super) Signals);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Counts what is ready at the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Ready(Arc<AtomicUsize>);

impl Ready {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until `wanted` are.
    pub(super) fn wait(
        &self,
        kind: &'static str,
        wanted: usize,
        until: Duration,
    ) -> Result<(), Error> {
        loop {
            let ready = self.0.load(Ordering::Relaxed);
            if ready >= wanted {
                return Ok(());
            }
            let now = monotonic();
            if now >= until {
                return Err(Error::NotReady { kind, ready, wanted });
            }
            sleep_until(now + LOOK);
        }
    }
}
