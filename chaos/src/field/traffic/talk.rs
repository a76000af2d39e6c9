//! A connection over which messages are sent, each to be echoed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::Error;
use super::sockets::begin_connect;
use crate::field::limits::MESSAGE;

/// One connection, from the client's side.
#[derive(Debug)]
pub(super) struct Talk {
    stream: TcpStream,
    id: u32,
    /// Messages so far.
    number: u32,
    /// Bytes of the present one that have come back.
    back: usize,
}

/// What a look at a connection shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Not all yet.
    Nothing,
    /// The message, and nothing else.
    Echo,
    /// Other bytes.
    Wrong,
    /// The kernel gave the connection up.
    TimedOut,
    /// A reset, or an end that nobody asked for.
    Reset,
}

impl Talk {
    /// Sends a SYN; [`Watch`] tells when it is answered.
    pub(super) fn begin(id: u32, from: IpAddr, to: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: begin_connect(from, to, None)?, id, number: 0, back: 0 })
    }

    /// Whether the handshake is over, or why it failed.
    pub(super) fn established(&self) -> Result<(), Heard> {
        match self.stream.take_error() {
            Ok(None) => Ok(()),
            Ok(Some(error)) | Err(error) => Err(Heard::of(&error)),
        }
    }

    /// Sends the next message.
    pub(super) fn say(&mut self) -> Result<(), Heard> {
        (self.number, self.back) = (self.number + 1, 0);
        let message = message(self.id, self.number);
        self.stream.write_all(&message).map_err(|error| Heard::of(&error))
    }

    /// Reads what has come back.
    pub(super) fn hear(&mut self) -> Heard {
        let expected = message(self.id, self.number);
        // One byte more than is owed, so that too much shows.
        let mut bytes = [0; MESSAGE + 1];
        match self.stream.read(&mut bytes[self.back..]) {
            Ok(0) => Heard::Reset,
            Ok(length) => {
                let end = self.back + length;
                if self.number == 0 || expected.get(self.back..end) != bytes.get(self.back..end) {
                    return Heard::Wrong;
                }
                self.back = end;
                if end == MESSAGE { Heard::Echo } else { Heard::Nothing }
            }
            Err(error) if later(&error) => Heard::Nothing,
            Err(error) => Heard::of(&error),
        }
    }

    pub(super) const fn id(&self) -> u32 {
        self.id
    }
}

impl Heard {
    pub(super) fn of(error: &io::Error) -> Self {
        if error.kind() == ErrorKind::TimedOut { Self::TimedOut } else { Self::Reset }
    }
}

/// Whether there is only nothing to be read yet.
fn later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// The bytes of a message: every one depends on the connection and the message.
fn message(id: u32, number: u32) -> [u8; MESSAGE] {
    let mut word = (u64::from(id) << 32 | u64::from(number)) ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = [0; MESSAGE];
    for chunk in bytes.chunks_mut(8) {
        // Marsaglia's xorshift64.
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// What a client thread waits for.
pub(super) struct Watch {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Watch {
    pub(super) fn new() -> Result<Self, Error> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        Ok(Self { epoll, events: vec![EpollEvent::empty(); 256] })
    }

    /// Tells when the connection is open, or has failed.
    pub(super) fn opening(&self, talk: &Talk) -> Result<(), Error> {
        let event = EpollEvent::new(EpollFlags::EPOLLOUT, talk.id.into());
        self.epoll.add(&talk.stream, event).map_err(failed)
    }

    /// From now on tells when there is something to read.
    pub(super) fn open(&self, talk: &Talk) -> Result<(), Error> {
        let mut event = EpollEvent::new(EpollFlags::EPOLLIN, talk.id.into());
        self.epoll.modify(&talk.stream, &mut event).map_err(failed)
    }

    /// Tells nothing more of it.
    pub(super) fn forget(&self, talk: &Talk) -> Result<(), Error> {
        self.epoll.delete(&talk.stream).map_err(failed)
    }

    /// Waits at most `millis`; the connections of which there is news.
    pub(super) fn wait(&mut self, millis: u16) -> Result<Vec<u32>, Error> {
        match self.epoll.wait(&mut self.events, millis) {
            Ok(ready) => Ok(self.events[..ready].iter().map(|event| event.data() as u32).collect()),
            Err(Errno::EINTR) => Ok(Vec::new()),
            Err(errno) => Err(failed(errno)),
        }
    }
}

fn failed(errno: Errno) -> Error {
    Error::io("wait for sockets")(errno.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_differ() {
        let all = [message(0, 1), message(1, 0), message(0, 2), message(2, 1)];
        for (number, one) in all.iter().enumerate() {
            assert!(all[..number].iter().all(|other| other != one));
            assert!(one.chunks(8).all(|word| word != [0; 8]));
        }
    }

    /// A connection within this machine, and its far end.
    fn pair() -> (Talk, TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Talk { stream, id: 3, number: 0, back: 0 }, listener.accept().unwrap().0)
    }

    #[test]
    fn what_comes_back_is_compared() {
        let (mut talk, mut far) = pair();
        talk.say().unwrap();
        let mut bytes = [0; MESSAGE];
        far.read_exact(&mut bytes).unwrap();
        far.write_all(&bytes).unwrap();
        let mut heard = Heard::Nothing;
        while heard == Heard::Nothing {
            heard = talk.hear();
        }
        assert_eq!(heard, Heard::Echo);
        talk.say().unwrap();
        far.write_all(&bytes).unwrap();
        assert_eq!(talk.hear(), Heard::Wrong, "the echo of the message before");
    }

    #[test]
    fn an_end_and_unasked_bytes_are_told() {
        let (mut talk, mut far) = pair();
        far.write_all(b"x").unwrap();
        assert_eq!(talk.hear(), Heard::Wrong);
        let (mut talk, far) = pair();
        drop(far);
        assert_eq!(talk.hear(), Heard::Reset);
    }
}
