//! One end of one transfer.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::super::Side;
use super::super::clock::monotonic;
use super::pattern::{self, PERIOD};
use crate::field::limits::{BULK_ARREARS, BULK_LINE, PATIENCE};
use crate::field::log::{Entry, Event, Nanos, now};

/// A pause so long is told with both its ends.
const PAUSE: Duration = Duration::from_millis(25);

/// What a turn gives to each transfer.
pub(super) struct Turn {
    pub(super) now: Duration,
    /// Bytes.
    pub(super) share: u64,
    pub(super) stopped: bool,
}

#[derive(Debug)]
pub(super) struct Transfer {
    side: Side,
    stream: TcpStream,
    /// At the server none until the client's first four bytes have told it.
    id: Option<u32>,
    state: State,
    bytes: u64,
    /// Bytes that may be sent.
    allowance: u64,
    moved: (Duration, Nanos),
    told: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The id is not through.
    Opening,
    Sending,
    Receiving,
    Over,
}

/// What a step came to: an event that is to be told, if any.
type Step = Result<Option<Event>, io::Error>;

impl Transfer {
    /// A transfer whose connection is being opened (at the client) or has been taken.
    pub(super) fn new(side: Side, stream: TcpStream, id: Option<u32>) -> Self {
        let (state, start) = (State::Opening, monotonic());
        let moved = (start, now());
        Self { side, stream, id, state, bytes: 0, allowance: 0, moved, told: start }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Moves what can be moved without waiting; the event, which is in `entries` too.
    pub(super) fn step(&mut self, turn: &Turn, entries: &mut Vec<Entry>) -> Option<Event> {
        let before = self.bytes;
        let step = match self.state {
            State::Opening => self.open(),
            State::Sending => self.send(turn),
            State::Receiving => self.receive(),
            State::Over => return None,
        };
        let event = match step {
            Ok(event) => event,
            Err(error) if would_block(&error) => None,
            Err(_) => Some(Event::Reset),
        };
        if self.bytes > before {
            self.progress(turn, before, entries);
        }
        let event = event.or_else(|| self.stalled(turn));
        if let Some(event) = event {
            self.tell(event, now(), self.bytes, entries);
            self.after(event);
        }
        event
    }

    fn after(&mut self, event: Event) {
        // A sender that has ended still holds its socket; the receiver tells of the rest.
        self.state = if event == Event::Open { self.role() } else { State::Over };
    }

    /// What this end does in this transfer: the client sends in every other.
    fn role(&self) -> State {
        let sender =
            if self.id.is_some_and(|id| id % 2 == 0) { Side::Client } else { Side::Server };
        if sender == self.side { State::Sending } else { State::Receiving }
    }

    fn open(&mut self) -> Step {
        match (self.side, self.id) {
            (Side::Client, Some(id)) => {
                if let Some(error) = self.stream.take_error()? {
                    return Err(error);
                }
                // Too short to be taken in part.
                self.stream.write_all(&id.to_le_bytes())?;
                Ok(Some(Event::Open))
            }
            (Side::Client | Side::Server, _) => {
                let mut bytes = [0; 4];
                // In one segment, as it was written.
                if self.stream.read(&mut bytes)? < bytes.len() {
                    return Ok(Some(Event::Reset));
                }
                self.id = Some(u32::from_le_bytes(bytes));
                self.state = self.role();
                Ok(None)
            }
        }
    }

    fn send(&mut self, turn: &Turn) -> Step {
        if turn.stopped {
            self.stream.shutdown(Shutdown::Write)?;
            return Ok(Some(Event::Ended));
        }
        self.allowance = (self.allowance + turn.share).min(turn.share * BULK_ARREARS);
        while self.allowance > 0 {
            let length = PERIOD.min(self.allowance as usize);
            let piece = pattern::bytes(self.id.unwrap_or(0), self.bytes, length);
            let sent = self.stream.write(piece)? as u64;
            self.bytes += sent;
            self.allowance -= sent;
        }
        Ok(None)
    }

    fn receive(&mut self) -> Step {
        let mut buffer = [0; PERIOD];
        loop {
            let length = self.stream.read(&mut buffer)?;
            if length == 0 {
                return Ok(Some(Event::Done));
            }
            let expected = pattern::bytes(self.id.unwrap_or(0), self.bytes, length);
            if buffer[..length] != *expected {
                return Ok(Some(Event::Wrong));
            }
            self.bytes += length as u64;
        }
    }

    /// A line now and then, and both ends of a pause.
    fn progress(&mut self, turn: &Turn, before: u64, entries: &mut Vec<Entry>) {
        let (moved, at) = core::mem::replace(&mut self.moved, (turn.now, now()));
        if self.state != State::Receiving {
            return;
        }
        let paused = turn.now.saturating_sub(moved) > PAUSE;
        if paused {
            self.tell(Event::Paused, at, before, entries);
        }
        if paused || turn.now.saturating_sub(self.told) >= BULK_LINE {
            self.told = turn.now;
            self.tell(Event::Progress, self.moved.1, self.bytes, entries);
        }
    }

    /// Nothing moved for too long.
    fn stalled(&self, turn: &Turn) -> Option<Event> {
        (turn.now.saturating_sub(self.moved.0) > PATIENCE).then_some(Event::Stalled)
    }

    fn tell(&self, event: Event, at: Nanos, bytes: u64, entries: &mut Vec<Entry>) {
        entries.extend(self.id.map(|id| Entry { id, event, at, bytes: Some(bytes) }));
    }
}

/// Whether there is only nothing to be had yet; a connection that is not open yet says so in its way.
fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transfer that receives, and the far end of its connection.
    fn receiver() -> (Transfer, TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let near = listener.accept().unwrap().0;
        (Transfer::new(Side::Server, near, None), far)
    }

    /// Steps until there is an event.
    fn outcome(transfer: &mut Transfer) -> (Event, u64) {
        let turn = Turn { now: monotonic(), share: 1 << 20, stopped: false };
        let mut entries = Vec::new();
        loop {
            if let Some(event) = transfer.step(&turn, &mut entries) {
                assert_eq!(entries.last().map(|entry| entry.event), Some(event));
                return (event, transfer.bytes);
            }
        }
    }

    #[test]
    fn every_byte_is_compared_until_the_end() {
        for (spoilt, expected) in [(None, Event::Done), (Some(70_000), Event::Wrong)] {
            let (mut transfer, mut far) = receiver();
            let mut bytes = pattern::bytes(4, 0, PERIOD).to_vec();
            bytes.extend(pattern::bytes(4, PERIOD as u64, 100_000 - PERIOD));
            if let Some(place) = spoilt {
                bytes[place] ^= 1_u8;
            }
            let sender = std::thread::spawn(move || {
                far.write_all(&4_u32.to_le_bytes()).unwrap();
                // The other end may give it up before the last.
                let _ = far.write_all(&bytes);
            });
            let (event, bytes) = outcome(&mut transfer);
            assert_eq!(event, expected);
            assert!(spoilt.map_or(bytes == 100_000, |place| bytes <= place as u64), "{bytes}");
            drop(transfer);
            sender.join().unwrap();
        }
    }

    #[test]
    fn a_reset_and_silence_are_told() {
        let (mut transfer, mut far) = receiver();
        far.write_all(&4_u32.to_le_bytes()).unwrap();
        socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        assert_eq!(outcome(&mut transfer).0, Event::Reset);

        let (mut transfer, mut far) = receiver();
        transfer.stream.set_nonblocking(true).unwrap();
        far.write_all(&4_u32.to_le_bytes()).unwrap();
        let mut entries = Vec::new();
        let mut turn = Turn { now: transfer.moved.0, share: 1, stopped: false };
        while transfer.state() == State::Opening {
            assert_eq!(transfer.step(&turn, &mut entries), None);
        }
        turn.now += PATIENCE;
        assert_eq!(transfer.step(&turn, &mut entries), None);
        turn.now += Duration::from_millis(1);
        assert_eq!(transfer.step(&turn, &mut entries), Some(Event::Stalled));
        assert_eq!(transfer.state(), State::Over);
    }

    #[test]
    fn a_sender_keeps_to_its_share_and_makes_up_for_little() {
        let (near, mut far) = {
            let (transfer, far) = receiver();
            (transfer.stream, far)
        };
        let mut transfer = Transfer::new(Side::Client, near, Some(2));
        let mut entries = Vec::new();
        let mut turn = Turn { now: monotonic(), share: 1_000, stopped: false };
        assert_eq!(transfer.step(&turn, &mut entries), Some(Event::Open));
        for _ in 0..3 {
            assert_eq!(transfer.step(&turn, &mut entries), None);
        }
        turn.stopped = true;
        assert_eq!(transfer.step(&turn, &mut entries), Some(Event::Ended));
        assert_eq!(transfer.bytes, 3_000);
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        assert_eq!(all, [&2_u32.to_le_bytes(), pattern::bytes(2, 0, 3_000)].concat());
    }
}
