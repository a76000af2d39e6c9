//! The terminal: taken for the screen, and given back as it was, whatever ends the screen.

use std::io::{self, Stdout, Write as _};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::signal::unix::{SignalKind, signal};

use super::draw;
use super::state::State;
use crate::limits::TOP_END;

/// The terminal as long as it shows the screen.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    ended: Arc<AtomicBool>,
    /// It is given back.
    closed: bool,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn open() -> io::Result<Self> {
        let ended = Arc::<AtomicBool>::default();
        listen(Arc::clone(&ended))?;
        restore_on_panic(std::thread::current().id());
        enable_raw_mode()?;
        // From here on dropping gives it back.
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        let terminal = terminal.inspect_err(|_| drop(restore()))?;
        let screen = Self { terminal, ended, closed: false };
        execute!(io::stdout(), EnterAlternateScreen)?;
        Ok(screen)
    }

    /// Draws what is different.
    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        self.terminal.draw(|frame| draw::screen(frame, state)).map(drop)
    }

    /// A signal said so.
    pub(super) fn is_told_to_end(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Gives the terminal back.
    pub(super) fn close(mut self) -> io::Result<()> {
        self.closed = true;
        restore()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if !self.closed {
            // The error that ends the screen is told, not this one.
            drop(restore());
        }
    }
}

/// Everything that was changed is set back, whatever of it fails.
fn restore() -> io::Result<()> {
    let screen = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let mode = disable_raw_mode();
    screen.and(mode).and_then(|()| io::stdout().flush())
}

/// Has a panic say what it has to say on a terminal where it can be read. Another thread cannot write there:
/// standard output belongs to the verb's. It says nothing, and its end is told.
fn restore_on_panic(screen: ThreadId) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        if std::thread::current().id() == screen {
            drop(restore());
            before(panic);
        }
    }));
}

/// Signals that end a program would leave the terminal as it is. Of a terminal that is gone the screen's
/// thread may never come back: then the program ends here.
fn listen(ended: Arc<AtomicBool>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut hangup, mut interrupt, mut terminate) = {
        let _guard = runtime.enter();
        let of = |kind| signal(kind);
        (of(SignalKind::hangup())?, of(SignalKind::interrupt())?, of(SignalKind::terminate())?)
    };
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        ended.store(true, Ordering::Relaxed);
        std::thread::sleep(TOP_END);
        // To give it back would wait for what that thread holds.
        std::process::exit(1);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}
