//! The layer of the log that hands events on to receivers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use config::Syslog;
use tokio::sync::mpsc;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::line::{Line, class, severity};
use super::message::Sender;
use super::{Counts, Item};

/// Makes messages of events, and puts them into queues.
#[derive(Debug)]
pub(in crate::run) struct SyslogLayer {
    sender: Sender,
    outlets: Vec<Outlet>,
}

/// The way to one receiver.
#[derive(Debug)]
pub(super) struct Outlet {
    settings: Syslog,
    queue: mpsc::Sender<Item>,
    counts: Arc<Counts>,
    /// One more with each message, also with one that finds no room: the receiver sees that it misses one.
    sequence: AtomicU32,
}

impl SyslogLayer {
    pub(super) const fn new(sender: Sender, outlets: Vec<Outlet>) -> Self {
        Self { sender, outlets }
    }
}

impl Outlet {
    pub(super) const fn new(
        settings: Syslog,
        queue: mpsc::Sender<Item>,
        counts: Arc<Counts>,
    ) -> Self {
        Self { settings, queue, counts, sequence: AtomicU32::new(0) }
    }

    fn put(&self, message: String) {
        if self.queue.try_send(Item::Message(message)).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S: Subscriber> Layer<S> for SyslogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(severity) = severity(event.metadata().level()) else { return };
        let Some(class) = class(event.metadata()) else { return };
        let wanted = |outlet: &&Outlet| outlet.settings.events.contains(&class);
        let mut outlets = self.outlets.iter().filter(wanted).peekable();
        if outlets.peek().is_none() {
            return;
        }
        let (line, now) = (Line::of(event, severity, class), SystemTime::now());
        for outlet in outlets {
            let sequence = outlet.sequence.fetch_add(1, Ordering::Relaxed);
            outlet.put(self.sender.message(&line, &outlet.settings, now, sequence));
        }
    }
}
