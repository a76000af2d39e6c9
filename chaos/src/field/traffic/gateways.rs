//! Dialogs through gateways: control channels, and what they announce.
//!
//! To each server, of each way to announce a transfer (passive or active, short or extended):
//!
//! | before the fault | after the cue | log |
//! |---|---|---|
//! | a transfer is under way | nobody else comes by its pinhole | `transfers.log`, `uninvited.log` |
//! | one is announced | it is opened, and once only | `announced.log`, `uninvited.log` |
//! | announced, opened, closed, again and again | the same | `cycles.log` |
//! | a call's media flow | they flow | `calls.log`, `media-N-SIDE.sent`, `….received` |
//! | a call is answered | its media begin | the same |
//!
//! After the cue each control channel is asked for something, and announces anew: `controls.log`.

mod calls;
mod files;
mod sip;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use calls::{Call, Media};
use files::Dialog;

use super::task::{Class, Signals, Task, Usage};
use super::{Ends, Error};
use crate::field::limits::{CALLS_EACH, DIALOGS_EACH};
use crate::field::log::{self, Entry};
use crate::ftp::Way;

/// What a dialog is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Transfers,
    Waits,
    Cycles,
}

/// What the threads of dialogs look at.
#[derive(Clone, Debug, Default)]
struct Cue {
    signals: Signals,
    goes_on: Arc<AtomicBool>,
}

impl Cue {
    fn stopped(&self) -> bool {
        self.signals.stopped()
    }

    fn ended(&self) -> bool {
        self.signals.ended()
    }

    /// Whether what was announced is to be used now.
    fn goes_on(&self) -> bool {
        self.goes_on.load(Ordering::Relaxed)
    }
}

/// Lines of several logs.
#[derive(Debug, Default)]
struct Diary(BTreeMap<&'static str, Vec<Entry>>);

impl Diary {
    fn note(&mut self, log: &'static str, entry: Entry) {
        self.0.entry(log).or_default().push(entry);
    }

    fn add(&mut self, other: Self) {
        for (log, entries) in other.0 {
            self.0.entry(log).or_default().extend(entries);
        }
    }

    fn write(self, folder: &Path) -> Result<(), Error> {
        let mut logs = self.0.into_iter();
        Ok(logs
            .try_for_each(|(name, entries)| log::write(folder, &format!("{name}.log"), entries))?)
    }
}

/// All dialogs of a run.
#[derive(Debug)]
pub(super) struct Gateways {
    cue: Cue,
    files: Vec<Task<Diary>>,
    calls: Option<(Task<Diary>, Task<Vec<Media>>)>,
    /// What was noted at the start.
    diary: Diary,
}

impl Gateways {
    /// Opens those to these addresses of the server; returns when all is begun that is to stand before a
    /// fault.
    pub(super) fn start(
        ends: &Ends<'_>,
        servers: &[IpAddr],
        signals: &Signals,
    ) -> Result<Self, Error> {
        let cue = Cue { signals: signals.clone(), goes_on: Arc::default() };
        let mut this = Self { cue, files: Vec::new(), calls: None, diary: Diary::default() };
        let mut calls = Vec::new();
        for server in servers {
            this.open_files(ends, (*server, config::Alg::Ftp.ports().0).into())?;
            this.open_calls(ends, (*server, config::Alg::Sip.ports().0).into(), &mut calls)?;
        }
        if !calls.is_empty() {
            let (calls, media): (Vec<_>, Vec<_>) = calls.into_iter().unzip();
            let (cue, own) = (this.cue.clone(), this.cue.clone());
            let speak = move || Ok(Call::speak(calls, &cue));
            let speak = Task::start("calls", ends.client, Class::Ordinary, speak)?;
            let media = move || Media::flow(media, &own);
            this.calls = Some((speak, Task::start("media", ends.client, Class::Prompt, media)?));
        }
        Ok(this)
    }

    fn open_files(&mut self, ends: &Ends<'_>, server: SocketAddr) -> Result<(), Error> {
        let listener = ends.server.run(|| files::listen(server))?;
        let roles =
            [(Role::Transfers, DIALOGS_EACH), (Role::Waits, DIALOGS_EACH), (Role::Cycles, 1)];
        for way in Way::ALL {
            for role in roles.iter().flat_map(|(role, count)| vec![*role; *count]) {
                let id = self.files.len() as u32;
                let mut dialog = Dialog::open(ends, (id, way), &listener)?;
                let inside = ends.of(dialog.side());
                let begun = inside.run(|| dialog.begin(role))?;
                let cue = self.cue.clone();
                let play = move || Ok(dialog.play(role, begun, &cue));
                self.files.push(Task::start("files", inside, Class::Ordinary, play)?);
            }
        }
        Ok(())
    }

    fn open_calls(
        &mut self,
        ends: &Ends<'_>,
        server: SocketAddr,
        calls: &mut Vec<(Call, Media)>,
    ) -> Result<(), Error> {
        let listener = Arc::new(ends.server.run(|| calls::listen(server))?);
        for number in 0..2 * CALLS_EACH as u32 {
            let id = FIRST_CALL + calls.len() as u32;
            let waits = number < CALLS_EACH as u32;
            calls.push(Call::open(ends, &listener, (id, waits), &mut self.diary)?);
        }
        Ok(())
    }

    /// The fault is over: what was announced is used now.
    pub(super) fn go_on(&self) {
        self.cue.goes_on.store(true, Ordering::Relaxed);
    }

    /// Waits for the transfers, which have been told to stop.
    pub(super) fn finish_files(&mut self, usages: &mut Vec<Usage>) -> Result<(), Error> {
        for task in self.files.drain(..) {
            self.diary.add(task.join(usages)?);
        }
        Ok(())
    }

    /// Waits for the calls, which have been told to end, and writes all logs.
    pub(super) fn finish(mut self, folder: &Path, usages: &mut Vec<Usage>) -> Result<(), Error> {
        if let Some((speak, media)) = self.calls {
            for media in media.join(usages)? {
                media.finish(folder, &mut self.diary)?;
            }
            self.diary.add(speak.join(usages)?);
        }
        self.diary.write(folder)
    }
}

/// The number of the first call: above those of dialogs about files.
const FIRST_CALL: u32 = 1_000;
