//! A disk in memory: it keeps apart what was written and what was synced, so that it can lose power.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// What the disk refuses from now on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The sync after so many that work. As with a kernel's, what it did not write is shown all the same, and
    /// no later sync writes it.
    Sync(usize),
    /// The next sync, and none after it.
    Hiccup,
    /// The write after so many that work.
    Write(usize),
    /// To become larger.
    Growth,
    /// Everything, after so many calls that work.
    Everything(usize),
}

#[derive(Debug, Default)]
struct State {
    /// What is certainly there.
    synced: Vec<u8>,
    /// What the system shows.
    shown: Vec<u8>,
    /// Places and bytes written since the last sync.
    since: Vec<(usize, Vec<u8>)>,
    /// Whether the length changed since then.
    resized: bool,
    fault: Option<Fault>,
    /// Syncs that failed.
    lost: u64,
}

/// The disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn refuse(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    pub(crate) fn mend(&self) {
        self.state().fault = None;
    }

    /// The same bytes for another run, after a regular end.
    pub(crate) fn restarted(&self) -> Self {
        let shown = self.state().shown.clone();
        Self::holding(shown)
    }

    /// The system forgets what it showed: what is not on the disk, and on no way there, is gone.
    pub(crate) fn evict(&self) {
        let mut state = self.state();
        let state = &mut *state;
        let mut left = state.synced.clone();
        left.resize(state.shown.len(), 0);
        for (at, bytes) in &state.since {
            if let Some(place) = left.get_mut(*at..*at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        }
        state.shown = left;
    }

    /// What is left after a loss of power: of the sectors written since the last sync, some.
    pub(crate) fn crashed(&self, seed: u64) -> Self {
        let state = self.state();
        let mut bits = Bits(seed | 1);
        let mut left = state.synced.clone();
        if bits.toss() {
            left.resize(state.shown.len(), 0);
        }
        for (at, bytes) in &state.since {
            for (index, sector) in sectors(*at, bytes) {
                if bits.toss() && index + sector.len() <= left.len() {
                    left[index..index + sector.len()].copy_from_slice(sector);
                }
            }
        }
        Self::holding(left)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn holding(bytes: Vec<u8>) -> Self {
        let state = State { synced: bytes.clone(), shown: bytes, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

/// A write, cut where sectors begin.
fn sectors(at: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    core::iter::from_fn(move || {
        let start = from;
        let end = (start + SECTOR - (at + start) % SECTOR).min(bytes.len());
        from = end;
        (start < end).then(|| (at + start, &bytes[start..end]))
    })
}

struct Bits(u64);

impl Bits {
    fn toss(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 63 == 1
    }
}

/// What a call to the disk is.
#[derive(PartialEq)]
enum Call {
    Read,
    Write,
    Sync,
    Grow,
}

impl State {
    fn allow(&mut self, call: &Call) -> io::Result<()> {
        let left = match &mut self.fault {
            Some(Fault::Sync(left)) if *call == Call::Sync => left,
            Some(Fault::Write(left)) if *call == Call::Write => left,
            Some(Fault::Everything(left)) => left,
            Some(Fault::Hiccup) if *call == Call::Sync => {
                self.fault = None;
                self.lose();
                return Err(io::Error::other("refused by the test"));
            }
            Some(Fault::Growth) if *call == Call::Grow => {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Some(Fault::Sync(_) | Fault::Hiccup | Fault::Write(_) | Fault::Growth) | None => {
                return Ok(());
            }
        };
        if *left == 0 {
            if *call == Call::Sync {
                self.lose();
            }
            return Err(io::Error::other("refused by the test"));
        }
        *left -= 1;
        Ok(())
    }

    /// Of the sectors that were to be synced, some are on the disk, and the others never will be.
    fn lose(&mut self) {
        self.lost += 1;
        let mut bits = Bits(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(self.lost) | 1);
        for (at, bytes) in self.since.drain(..) {
            for (index, sector) in sectors(at, &bytes) {
                let place = self.synced.get_mut(index..index + sector.len());
                if let Some(place) = place.filter(|_| bits.toss()) {
                    place.copy_from_slice(sector);
                }
            }
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().shown.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.allow(&Call::Read)?;
        let from = place(offset);
        let part = state.shown.get(from..from + out.len());
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        let length = place(length);
        if length > state.shown.len() {
            state.allow(&Call::Grow)?;
        }
        state.resized |= length != state.shown.len();
        state.shown.resize(length, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.allow(&Call::Sync)?;
        let state = &mut *state;
        if state.resized {
            state.synced.resize(state.shown.len(), 0);
        }
        for (at, bytes) in state.since.drain(..) {
            // One that was beyond a later end is gone.
            if let Some(place) = state.synced.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(&bytes);
            }
        }
        state.resized = false;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.allow(&Call::Write)?;
        let at = place(offset);
        let place = state.shown.get_mut(at..at + data.len());
        place.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        state.since.push((at, data.to_vec()));
        Ok(())
    }
}
