//! Transfers: a stream of bytes that lasts as long as the traffic, every byte compared, every other
//! transfer towards the client.
//!
//! Each is paced by writing a turn's share every 5 ms; SO_MAX_PACING_RATE would need `unsafe`.

mod pattern;
mod transfer;

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

use transfer::{State, Transfer, Turn};

use super::clock::{Pace, monotonic};
use super::sockets::{at, begin_connect, listen};
use super::task::{Class, Ready, Signals, Task, Usage};
use super::{Ends, Error, Port, Side};
use crate::field::limits::{BULK_ARREARS, BULK_BUFFER, BULK_TURN};
use crate::field::log::{self, Entry, Event};

/// The threads of both ends.
#[derive(Debug)]
pub(super) struct Bulk {
    ends: [Task<Vec<Entry>>; 2],
}

impl Bulk {
    /// Opens `count` transfers of `rate` bytes a second together; each is counted in `ready`.
    pub(super) fn start(
        ends: &Ends<'_>,
        count: usize,
        rate: u64,
        ready: &Ready,
        signals: &Signals,
    ) -> Result<Self, Error> {
        let address = at(ends.server_address, Port::BULK);
        let listener = ends.server.run(|| listen(address))?;
        let from = ends.client_address;
        let share = rate * BULK_TURN.as_micros() as u64 / 1_000_000 / count.max(1) as u64;
        let share = share.max(1);
        let flags = signals.clone();
        let server = Task::start("bulk-server", ends.server, Class::Ordinary, move || {
            let mut end = End::new(Side::Server, share, Ready::default());
            end.run(&flags, |end| end.accept(&listener, count))?;
            Ok(end.entries)
        })?;
        let (flags, ready) = (signals.clone(), ready.clone());
        let client = Task::start("bulk-client", ends.client, Class::Ordinary, move || {
            let mut end = End::new(Side::Client, share, ready);
            for id in 0..count as u32 {
                let stream = begin_connect(from, address, Some(BULK_BUFFER));
                let stream = stream.map_err(Error::io("connect"))?;
                end.transfers.push(Transfer::new(Side::Client, stream, Some(id)));
            }
            end.run(&flags, |_| Ok(()))?;
            Ok(end.entries)
        })?;
        Ok(Self { ends: [client, server] })
    }

    /// Waits for both ends, who have been told to stop, and writes `bulk.log`.
    pub(super) fn finish(self, folder: &Path, usages: &mut Vec<Usage>) -> Result<(), Error> {
        let mut entries = Vec::new();
        for end in self.ends {
            entries.extend(end.join(usages)?);
        }
        entries.sort_by_key(|entry| entry.at);
        Ok(log::write(folder, "bulk.log", entries)?)
    }
}

/// One end of all transfers.
struct End {
    side: Side,
    /// Bytes of a transfer in each turn.
    share: u64,
    ready: Ready,
    transfers: Vec<Transfer>,
    entries: Vec<Entry>,
}

impl End {
    const fn new(side: Side, share: u64, ready: Ready) -> Self {
        Self { side, share, ready, transfers: Vec::new(), entries: Vec::new() }
    }

    /// Until the traffic has been told to stop and no transfer is left.
    fn run(
        &mut self,
        signals: &Signals,
        mut accept: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut pace = Pace::new(BULK_TURN);
        loop {
            let turns = pace.wait().min(BULK_ARREARS);
            accept(self)?;
            let stopped = signals.stopped();
            let turn = Turn { now: monotonic(), share: self.share * turns, stopped };
            for transfer in &mut self.transfers {
                if transfer.step(&turn, &mut self.entries) == Some(Event::Open) {
                    self.ready.one_more();
                }
            }
            if stopped && self.transfers.iter().all(|transfer| transfer.state() == State::Over) {
                return Ok(());
            }
        }
    }

    fn accept(&mut self, listener: &TcpListener, count: usize) -> Result<(), Error> {
        while self.transfers.len() < count {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(Error::io("accept a transfer")(error)),
            };
            let socket = socket2::SockRef::from(&stream);
            let prepared = stream.set_nonblocking(true);
            let prepared = prepared.and_then(|()| socket.set_send_buffer_size(BULK_BUFFER));
            prepared.map_err(Error::io("accept a transfer"))?;
            self.transfers.push(Transfer::new(self.side, stream, None));
        }
        Ok(())
    }
}
