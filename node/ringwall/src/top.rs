//! `top`: talkers and attacks of all nodes on a terminal screen, live.
//!
//! ```text
//!        keys ─► State ─► draw::screen      this thread
//!                │  ▲
//!       what to ask │ answers               one of each at a time
//!                ▼  │
//!               poll::run ─► the daemon     a thread, since it waits
//! ```
//!
//! What is drawn is a function of the state, and the state one of keys, answers and time.

mod columns;
mod draw;
mod poll;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::crossterm::event::{self, Event};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::limits::{TOP_INTERVALS, TOP_TICK};
use crate::out::Out;

use poll::Poller;
use state::{Next, State};
use terminal::Screen;

#[derive(Args, Debug)]
#[command(after_help = "\
Keys: s, d, p, f: by source, destination, pair, flow. b, k, n: order by bandwidth, packets, new sessions. \
+ and -: more and fewer rows. > and <: longer and shorter interval. Space: pause. ?: help. q: leave.

`ringwall show top` and `ringwall show anomalies` tell the same once, for scripts.")]
pub(crate) struct Options {
    #[command(flatten)]
    daemon: Daemon,
}

pub(crate) fn run(options: &Options, out: &Out<'_>) -> Result<(), Failure> {
    if out.json() || !io::stdout().is_terminal() {
        let why = if out.json() { "a screen is no JSON" } else { "standard output is no terminal" };
        return Err(Failure::Usage(format!(
            "{why}: `ringwall show top` tells the same once, `ringwall show anomalies` the attacks"
        )));
    }
    let client = options.daemon.client()?;
    let poller = Poller::start(client)?;
    let mut screen = Screen::open()?;
    let ended = watch(&mut screen, &poller);
    screen.close()?;
    ended
}

/// Draws, and does what keys say, until one of them or a signal says to leave.
fn watch(screen: &mut Screen, poller: &Poller) -> Result<(), Failure> {
    let began = Instant::now();
    let mut state = State::new(TOP_INTERVALS[0]);
    screen.draw(&state)?;
    loop {
        if let Some(view) = state.ask(began.elapsed()) {
            poller.ask(view, began);
        }
        if screen.is_told_to_end() {
            return Ok(());
        }
        let seen = events(TOP_TICK)?;
        let keys = seen.iter().filter_map(Event::as_key_press_event);
        if keys.map(|key| state.key(key)).any(|next| next == Next::Leave) {
            return Ok(());
        }
        let answer = poller.answer()?;
        // Another size is an event as well.
        let changed = !seen.is_empty() || answer.is_some();
        answer.into_iter().for_each(|answer| state.answered(answer));
        if changed {
            screen.draw(&state)?;
        }
    }
}

/// What the terminal told, after so long at most.
fn events(wait: Duration) -> io::Result<Vec<Event>> {
    let mut seen = Vec::new();
    let mut wait = wait;
    while event::poll(wait)? {
        wait = Duration::ZERO;
        seen.push(event::read()?);
    }
    Ok(seen)
}
