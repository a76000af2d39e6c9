//! A TCP connection that lives through everything, and notices every pause.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netns::Namespace;

use super::limits::{PULSE_BYTES, PULSE_GAP, PULSE_PAUSE, SILENCE};
use super::report::Seen;
use super::transfer;

/// The connection and the thread that keeps it busy.
pub(super) struct Companion {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Pulse>>,
}

/// What it has gone through.
#[derive(Clone, Copy, Default)]
struct Pulse {
    exchanges: u64,
    longest: Duration,
}

impl Companion {
    pub(super) fn start(from: &Namespace, to: (IpAddr, u16)) -> io::Result<Self> {
        let mut stream = transfer::connect(from, to)?;
        exchange(&mut stream, 0)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || beat(stream, &told));
        Ok(Self { stop, thread })
    }

    /// Ends it: whether it went on all the time.
    pub(super) fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let pulse = self.thread.join().map_err(|_| "its thread panicked".to_owned())?;
        let Pulse { exchanges, longest } = pulse.map_err(|error| format!("broke: {error}"))?;
        let milliseconds = longest.as_secs_f64() * 1e3;
        let text = format!("{exchanges} exchanges, the longest took {milliseconds:.1} ms");
        if longest <= PULSE_GAP { Ok(text) } else { Err(text) }
    }
}

fn beat(mut stream: TcpStream, stop: &AtomicBool) -> io::Result<Pulse> {
    let mut pulse = Pulse::default();
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        exchange(&mut stream, pulse.exchanges)?;
        pulse.longest = pulse.longest.max(begun.elapsed());
        pulse.exchanges += 1;
        std::thread::sleep(PULSE_PAUSE);
    }
    Ok(pulse)
}

/// Sends a block with a number in it and reads it back.
pub(super) fn exchange(stream: &mut TcpStream, number: u64) -> io::Result<()> {
    let mut block = [0xa5; PULSE_BYTES];
    block[..8].copy_from_slice(&number.to_be_bytes());
    stream.write_all(&block)?;
    let mut answer = [0; PULSE_BYTES];
    stream.read_exact(&mut answer)?;
    if answer == block {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "came back changed"))
    }
}

/// A new connection with data both ways.
pub(super) fn exchanged(from: &Namespace, to: (IpAddr, u16)) -> Seen {
    let exchanged = transfer::connect(from, to).and_then(|mut stream| exchange(&mut stream, 0));
    exchanged.map(|()| "data went both ways".to_owned()).map_err(|error| error.to_string())
}

/// Established connections, each of which must have become silent.
pub(super) fn stopped(streams: &mut [TcpStream]) -> Seen {
    if streams.is_empty() {
        return Err("they were never open".to_owned());
    }
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            streams.iter_mut().map(|stream| scope.spawn(|| silent(stream))).collect();
        let seen = asked.into_iter().map(|asked| asked.join().expect("asking does not panic"));
        seen.reduce(|all, one| all.and(one)).expect("there is one at least")
    })
}

fn silent(stream: &mut TcpStream) -> Seen {
    let timed = stream.set_read_timeout(Some(SILENCE));
    timed.map_err(|error| format!("socket: {error}"))?;
    match exchange(stream, u64::MAX) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Ok(format!("nothing comes through for {:.1} s", SILENCE.as_secs_f64()))
        }
        Err(error) => Err(format!("not silence: {error}")),
        Ok(()) => Err("data still goes both ways".to_owned()),
    }
}
