//! What the screen is about: how it was set by keys, and the newest that the daemon said.

use std::time::Duration;

use config::api::{Anomalies, Ports, SCREEN_ROWS, Status, Top, TopOrder, TopRequest, TopSide};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::limits::{TOP_INTERVALS, TOP_ROWS};

/// Everything that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) view: View,
    pub(super) interval: Duration,
    pub(super) paused: bool,
    pub(super) help: bool,
    /// The newest answer.
    pub(super) facts: Option<Facts>,
    /// By the two newest.
    pub(super) rates: Option<Rates>,
    /// Why there was no answer to the last question.
    pub(super) error: Option<String>,
    /// A question is under way.
    asked: bool,
    /// When the next one is due.
    next: Duration,
}

/// Which talkers are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) by: TopSide,
    pub(super) order: TopOrder,
    pub(super) rows: u32,
}

/// What the daemon said at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    /// When, since the screen began.
    pub(super) at: Duration,
    /// The same by the wall's clock.
    pub(super) unix_seconds: u64,
    /// What was asked.
    pub(super) view: View,
    pub(super) status: Status,
    pub(super) ports: Ports,
    pub(super) anomalies: Anomalies,
    pub(super) top: Top,
}

/// What the ports of the node received a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) packets: f64,
    pub(super) bits: f64,
}

/// Whether the screen goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stay,
    Leave,
}

impl State {
    pub(super) fn new(interval: Duration) -> Self {
        let (by, order) = (TopSide::Source, TopOrder::Bandwidth);
        Self {
            view: View { by, order, rows: SCREEN_ROWS },
            interval,
            paused: false,
            help: false,
            facts: None,
            rates: None,
            error: None,
            asked: false,
            next: Duration::ZERO,
        }
    }

    /// The question that is due now, if one is.
    pub(super) fn ask(&mut self, now: Duration) -> Option<View> {
        // What the view was changed to is asked for, even while time stands still.
        let known = self.facts.as_ref().is_some_and(|facts| facts.view == self.view);
        if self.asked || now < self.next || self.paused && known {
            return None;
        }
        self.asked = true;
        self.next = now + self.interval;
        Some(self.view)
    }

    /// What came of the question. What is shown stays beside an error.
    pub(super) fn answered(&mut self, answer: Result<Facts, String>) {
        self.asked = false;
        match answer {
            Ok(facts) => {
                self.error = None;
                self.rates = self.facts.as_ref().and_then(|before| Rates::between(before, &facts));
                self.facts = Some(facts);
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// A key was pressed.
    #[allow(clippy::wildcard_enum_match_arm)] // the keys that mean something, of very many
    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Next::Leave,
            KeyCode::Char(letter) if !control => return self.letter(letter),
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Esc => return Next::Leave,
            KeyCode::Tab => self.see(View { by: next_side(self.view.by), ..self.view }),
            _ => {}
        }
        Next::Stay
    }

    fn letter(&mut self, letter: char) -> Next {
        let view = self.view;
        match letter {
            'q' => return Next::Leave,
            '?' | 'h' => self.help = !self.help,
            ' ' => self.paused = !self.paused,
            's' => self.see(View { by: TopSide::Source, ..view }),
            'd' => self.see(View { by: TopSide::Destination, ..view }),
            'p' => self.see(View { by: TopSide::Pair, ..view }),
            'f' => self.see(View { by: TopSide::Flow, ..view }),
            'b' => self.see(View { order: TopOrder::Bandwidth, ..view }),
            'k' => self.see(View { order: TopOrder::Packets, ..view }),
            'n' => self.see(View { order: TopOrder::Sessions, ..view }),
            '+' | '=' => self.see(View { rows: more(&TOP_ROWS, view.rows), ..view }),
            '-' => self.see(View { rows: less(&TOP_ROWS, view.rows), ..view }),
            '>' | '.' => self.wait(more(&TOP_INTERVALS, self.interval)),
            '<' | ',' => self.wait(less(&TOP_INTERVALS, self.interval)),
            _ => {}
        }
        Next::Stay
    }

    fn see(&mut self, view: View) {
        if view != self.view {
            self.view = view;
            self.next = Duration::ZERO;
        }
    }

    /// Another interval counts from the last question.
    fn wait(&mut self, interval: Duration) {
        self.next = (self.next + interval).saturating_sub(self.interval);
        self.interval = interval;
    }
}

impl View {
    pub(super) const fn request(self) -> TopRequest {
        TopRequest { by: self.by, order: self.order, rows: self.rows }
    }
}

impl Rates {
    /// `None` where counters went back: the daemon was restarted between the two, or is another one.
    fn between(before: &Facts, now: &Facts) -> Option<Self> {
        let sum = |facts: &Facts| {
            let ports = &facts.ports.ports;
            let packets: u64 = ports.iter().map(|port| port.received_packets).sum();
            let bytes: u64 = ports.iter().map(|port| port.received_bytes).sum();
            (packets, bytes)
        };
        let seconds = now.at.checked_sub(before.at)?.as_secs_f64();
        let ((packets, bytes), (packets_before, bytes_before)) = (sum(now), sum(before));
        let packets = packets.checked_sub(packets_before)? as f64;
        let bits = bytes.checked_sub(bytes_before)? as f64 * 8.0;
        let same = before.status.pid == now.status.pid && seconds > 0.0;
        same.then(|| Self { packets: packets / seconds, bits: bits / seconds })
    }
}

const fn next_side(side: TopSide) -> TopSide {
    match side {
        TopSide::Source => TopSide::Destination,
        TopSide::Destination => TopSide::Pair,
        TopSide::Pair => TopSide::Flow,
        TopSide::Flow => TopSide::Source,
    }
}

/// The next step up; the highest stays.
fn more<T: Copy + PartialOrd>(steps: &[T], now: T) -> T {
    steps.iter().copied().find(|step| *step > now).unwrap_or(now)
}

/// The next step down; the lowest stays.
fn less<T: Copy + PartialOrd>(steps: &[T], now: T) -> T {
    steps.iter().rev().copied().find(|step| *step < now).unwrap_or(now)
}
