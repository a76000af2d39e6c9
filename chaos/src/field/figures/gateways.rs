//! Figures of dialogs through gateways: what was announced, and whether it came.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::super::limits::{MEDIA_BACK, OUTAGE_MARGIN};
use super::super::log::{self, Entry, Error, Event, Nanos, Receipt};
use super::connections::{by_id, first};
use super::{greatest, millis};

/// Those of a run. Without dialogs there are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Gateways {
    /// Transfers under way at the fault, and those that broke.
    pub transfers: Option<u64>,
    pub transfers_broken: Option<u64>,
    /// Transfers that were announced before the fault and opened after the takeover, and those of all
    /// announced ones that could not be opened, or broke.
    pub announced_used: Option<u64>,
    pub announced_lost: Option<u64>,
    /// Transfers that were announced and carried out in one go: all, those after the takeover, those that
    /// failed.
    pub cycles: Option<u64>,
    pub cycles_after: Option<u64>,
    pub cycles_failed: Option<u64>,
    /// Control channels that were asked for something after the takeover, and those that broke.
    pub controls: Option<u64>,
    pub controls_broken: Option<u64>,
    /// Sessions that nobody announced: tried, and let in.
    pub uninvited_tried: Option<u64>,
    pub uninvited: Option<u64>,
    /// Calls whose media flowed both ways at the fault; that were answered before it, and whose media began
    /// after the takeover; and of both those of which no sound came a takeover's time after the fault, one
    /// way or the other.
    pub calls: Option<u64>,
    pub calls_begun_after: Option<u64>,
    pub calls_lost: Option<u64>,
    /// Longest time between two packets of sound one way, from the fault on; the worst of all.
    pub media_gap_ms: Option<f64>,
    /// Packets of sound that never came: all, and those that were sent when nothing should be lost.
    pub media_lost: Option<u64>,
    pub media_lost_outside: Option<u64>,
}

/// What is known of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) fault: Nanos,
    /// When another node was active; without a takeover, never.
    pub(super) taken_over: Nanos,
}

/// What ends something that does not end well.
const FAILURES: [Event; 3] = [Event::Reset, Event::Timeout, Event::Wrong];

fn failed(entries: &[Entry]) -> bool {
    FAILURES.iter().any(|event| first(entries, *event).is_some())
}

fn count<'a>(all: &'a BTreeMap<u32, Vec<Entry>>, of: impl Fn(&'a [Entry]) -> bool) -> Option<u64> {
    Some(all.values().filter(|it| of(it)).count() as u64)
}

impl Gateways {
    pub(super) fn of(folder: &Path, when: When) -> Result<Self, Error> {
        let read = |name: &str| -> Result<_, Error> {
            Ok(log::read::<Entry>(folder, name)?.map(|entries| by_id(&entries)))
        };
        let mut this = Self::default();
        if let Some(all) = read("transfers.log")? {
            let before = |it: &[Entry]| first(it, Event::Open).is_some_and(|at| at < when.fault);
            this.transfers = count(&all, before);
            this.transfers_broken = count(&all, |it| first(it, Event::Done).is_none());
        }
        if let Some(all) = read("announced.log")? {
            let before = |it| first(it, Event::Announced).is_some_and(|at| at < when.fault);
            let after = |it| first(it, Event::Connect).is_some_and(|at| at > when.taken_over);
            this.announced_used = count(&all, |it| before(it) && after(it));
            this.announced_lost = count(&all, |it| first(it, Event::Done).is_none());
        }
        if let Some(all) = read("cycles.log")? {
            let after = |it| first(it, Event::Connect).is_some_and(|at| at > when.taken_over);
            this.cycles = Some(all.len() as u64);
            this.cycles_after = count(&all, after);
            this.cycles_failed = count(&all, |it| first(it, Event::Done).is_none());
        }
        if let Some(all) = read("controls.log")? {
            let asked = |it| first(it, Event::Sent).is_some_and(|at| at > when.taken_over);
            this.controls = count(&all, asked);
            let unanswered =
                |it| first(it, Event::Sent).is_some() && first(it, Event::Echoed).is_none();
            let open = |it| first(it, Event::Closed).is_none();
            this.controls_broken = count(&all, |it| failed(it) || unanswered(it) || open(it));
        }
        if let Some(all) = read("uninvited.log")? {
            this.uninvited_tried = Some(all.len() as u64);
            this.uninvited = count(&all, |it| first(it, Event::Open).is_some());
        }
        if let Some(all) = read("calls.log")? {
            this.calls(folder, &all, when)?;
        }
        Ok(this)
    }

    fn calls(
        &mut self,
        folder: &Path,
        all: &BTreeMap<u32, Vec<Entry>>,
        when: When,
    ) -> Result<(), Error> {
        let (mut flowing, mut begun_after, mut dead) = (0, 0, 0);
        let (mut lost, mut outside) = (0, 0);
        for (id, entries) in all {
            let ways = ["client", "server"].map(|side| Way::read(folder, *id, side));
            let [client, server] = ways;
            let ways = [client?, server?];
            flowing += u64::from(ways.iter().all(|way| way.flowed(when.fault)));
            begun_after += u64::from(ways.iter().all(|way| way.began_after(when.taken_over)));
            dead += u64::from(failed(entries) || ways.iter().any(|way| way.is_dead(when.fault)));
            for way in &ways {
                let missing = way.missing();
                lost += missing.len() as u64;
                outside += missing.iter().filter(|at| !is_outage(**at, when.fault)).count() as u64;
                self.media_gap_ms =
                    greatest(way.gap(when.fault).into_iter().chain(self.media_gap_ms));
            }
        }
        (self.calls, self.calls_begun_after) = (Some(flowing), Some(begun_after));
        self.calls_lost = Some(dead);
        (self.media_lost, self.media_lost_outside) = (Some(lost), Some(outside));
        Ok(())
    }
}

/// Whether media that were sent then may be lost.
fn is_outage(at: Nanos, fault: Nanos) -> bool {
    let [margin, back] = [OUTAGE_MARGIN, MEDIA_BACK].map(|it| it.as_nanos() as u64);
    (fault.saturating_sub(margin)..fault.saturating_add(back)).contains(&at)
}

/// The media that one side of a call has sent.
struct Way {
    sent: Vec<Receipt>,
    received: Vec<Receipt>,
}

impl Way {
    fn read(folder: &Path, call: u32, side: &str) -> Result<Self, Error> {
        let read = |what: &str| log::read(folder, &format!("media-{call}-{side}.{what}"));
        let [sent, received] = [read("sent")?, read("received")?].map(Option::unwrap_or_default);
        Ok(Self { sent, received })
    }

    fn flowed(&self, at: Nanos) -> bool {
        self.received.iter().any(|it| it.at < at)
    }

    fn began_after(&self, at: Nanos) -> bool {
        self.sent.first().is_some_and(|it| it.at > at) && !self.received.is_empty()
    }

    fn heard(&self) -> BTreeSet<u64> {
        self.received.iter().map(|it| it.number).collect()
    }

    /// When those were sent that never came.
    fn missing(&self) -> Vec<Nanos> {
        let heard = self.heard();
        self.sent.iter().filter(|it| !heard.contains(&it.number)).map(|it| it.at).collect()
    }

    /// Whether nothing came of what was sent when it should have come.
    fn is_dead(&self, fault: Nanos) -> bool {
        let heard = self.heard();
        let late = self.sent.iter().filter(|it| it.at >= fault && !is_outage(it.at, fault));
        !late.into_iter().any(|it| heard.contains(&it.number))
    }

    fn gap(&self, fault: Nanos) -> Option<f64> {
        let pairs = self.received.windows(2).filter(|pair| pair[1].at >= fault);
        greatest(pairs.map(|pair| millis(pair[0].at, pair[1].at)))
    }
}
