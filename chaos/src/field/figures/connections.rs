//! Figures of the TCP connections: slow, young, and transfers.

use std::collections::BTreeMap;

use super::super::log::{Entry, Event, Nanos};
use super::{Figures, greatest, millis, percentile};

/// A handshake that took so many milliseconds needed a second SYN, which Linux sends after a second.
const RETRIED: f64 = 900.0;

/// The entries of each connection, in order.
pub(super) fn by_id(entries: &[Entry]) -> BTreeMap<u32, Vec<Entry>> {
    let mut all = BTreeMap::<u32, Vec<Entry>>::new();
    for entry in entries {
        all.entry(entry.id).or_default().push(*entry);
    }
    all
}

/// When `event` first happened to a connection.
pub(super) fn first(entries: &[Entry], event: Event) -> Option<Nanos> {
    entries.iter().find(|entry| entry.event == event).map(|entry| entry.at)
}

fn has(entries: &[Entry], event: Event) -> bool {
    first(entries, event).is_some()
}

/// Bytes told with `event`, if it happened.
fn bytes(entries: &[Entry], event: Event) -> Option<u64> {
    entries.iter().find(|entry| entry.event == event)?.bytes
}

/// Times from an event to the next entry of the same connection.
fn until_next(entries: &[Entry], event: Event) -> impl Iterator<Item = f64> {
    let pairs = entries.windows(2).filter(move |pair| pair[0].event == event);
    pairs.map(|pair| millis(pair[0].at, pair[1].at))
}

impl Figures {
    pub(super) fn slow(&mut self, entries: &[Entry]) {
        for connection in by_id(entries).values() {
            // One that never opened ended the run at its start, if the run was one at all.
            self.count(connection, has(connection, Event::Closed));
            let echo = until_next(connection, Event::Sent);
            self.slow_echo_ms = greatest(echo.chain(self.slow_echo_ms));
        }
    }

    pub(super) fn bulk(&mut self, entries: &[Entry]) {
        for transfer in by_id(entries).values() {
            let (ended, done) = (bytes(transfer, Event::Ended), bytes(transfer, Event::Done));
            self.count(transfer, done.is_some() && ended == done);
            self.bulk_bytes += transfer.iter().filter_map(|entry| entry.bytes).max().unwrap_or(0);
            let receiver: Vec<Entry> =
                transfer.iter().filter(|entry| entry.event != Event::Ended).copied().collect();
            let pauses = until_next(&receiver, Event::Paused);
            let stalled = receiver.windows(2).filter(|pair| pair[1].event == Event::Stalled);
            let stalled = stalled.map(|pair| millis(pair[0].at, pair[1].at));
            self.bulk_pause_ms = greatest(pauses.chain(stalled).chain(self.bulk_pause_ms));
        }
    }

    /// A connection that was opened, and whether all went well to its end.
    fn count(&mut self, connection: &[Entry], well: bool) {
        if !has(connection, Event::Open) {
            return;
        }
        let failures = [Event::Reset, Event::Timeout, Event::Stalled, Event::Wrong];
        let failed = failures.iter().any(|event| has(connection, *event));
        self.tcp_opened += 1;
        self.tcp_broken += u64::from(failed || !well);
        self.tcp_reset += u64::from(has(connection, Event::Reset));
    }

    pub(super) fn young(&mut self, entries: &[Entry]) {
        let all = by_id(entries);
        let mut opening = Vec::new();
        for connection in all.values() {
            let (tried, opened) =
                (first(connection, Event::Connect), first(connection, Event::Established));
            let echoed = first(connection, Event::Echoed);
            self.young_tried += u64::from(tried.is_some());
            self.young_opened += u64::from(opened.is_some());
            self.young_dead += u64::from(opened.is_some() && echoed.is_none());
            self.young_unanswered += u64::from(opened.is_none());
            self.young_reset += u64::from(has(connection, Event::Reset));
            opening.extend(tried.zip(opened));
        }
        if let (Some(fault), false) = (self.fault, all.is_empty()) {
            let halfway = all.values().filter(|connection| halfway(connection, fault));
            self.young_halfway = Some(halfway.count() as u64);
        }
        let span = |(tried, opened): &(Nanos, Nanos)| millis(*tried, *opened);
        let retried = opening.iter().filter(|pair| span(pair) >= RETRIED);
        self.young_retried = retried.count() as u64;
        self.young_open_max_ms = greatest(opening.iter().map(span));
        let fault = self.fault.unwrap_or(Nanos::MAX);
        let after = opening.iter().filter(|(tried, _)| *tried >= fault);
        self.young_opened_after = after.count() as u64;
        let before = opening.iter().filter(|(_, opened)| *opened < fault);
        let mut before: Vec<f64> = before.map(|pair| span(pair) * 1e3).collect();
        self.young_open_p50_us = percentile(&mut before, 0.5);
        self.young_open_p99_us = percentile(&mut before, 0.99);
    }
}

/// Whether the SYN-ACK had been seen at that time, and the echo not.
fn halfway(connection: &[Entry], at: Nanos) -> bool {
    first(connection, Event::Established).is_some_and(|opened| opened <= at)
        && first(connection, Event::Echoed).is_none_or(|echoed| echoed > at)
}
