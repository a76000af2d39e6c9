//! The far end of slow and young connections: sends back what each brings.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::sockets::{at, listen};
use super::task::{Class, Signals, Task};
use super::{Ends, Error, Port};
use crate::field::limits::LONGEST_SLEEP;

/// Events taken at once.
const EVENTS: usize = 256;

/// Listens, and answers until the end.
pub(super) fn start(ends: &Ends<'_>, signals: &Signals) -> Result<Task<()>, Error> {
    let listener = |port| listen(at(ends.server_address, port));
    let listeners: Result<Vec<_>, _> = ends
        .server
        .run(|| [Port::SLOW, Port::PROBED, Port::YOUNG].map(listener).into_iter().collect());
    let (listeners, signals) = (listeners?, signals.clone());
    Task::start("echo", ends.server, Class::Prompt, move || Echo::new(listeners)?.run(&signals))
}

struct Echo {
    epoll: Epoll,
    /// Element N has token N; connections have tokens after them.
    listeners: Vec<TcpListener>,
    streams: HashMap<u64, TcpStream>,
    next: u64,
}

impl Echo {
    fn new(listeners: Vec<TcpListener>) -> Result<Self, Error> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        for (token, listener) in (0..).zip(&listeners) {
            epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, token)).map_err(failed)?;
        }
        let next = listeners.len() as u64;
        Ok(Self { epoll, listeners, streams: HashMap::new(), next })
    }

    fn run(mut self, signals: &Signals) -> Result<(), Error> {
        let mut events = [EpollEvent::empty(); EVENTS];
        while !signals.ended() {
            let ready = match self.epoll.wait(&mut events, LONGEST_SLEEP.as_millis() as u16) {
                Ok(ready) => ready,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(failed(errno)),
            };
            for event in &events[..ready] {
                self.serve(event.data())?;
            }
        }
        Ok(())
    }

    fn serve(&mut self, token: u64) -> Result<(), Error> {
        if (token as usize) < self.listeners.len() {
            return self.accept(token as usize);
        }
        let Some(stream) = self.streams.get_mut(&token) else { return Ok(()) };
        if !answer(stream) {
            // Closed, so the kernel forgets it in the set of those watched, too.
            self.streams.remove(&token);
        }
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> Result<(), Error> {
        loop {
            let stream = match self.listeners[listener].accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // It ended before it was taken.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(Error::io("accept a connection")(error)),
            };
            stream.set_nonblocking(true).map_err(Error::io("accept a connection"))?;
            stream.set_nodelay(true).map_err(Error::io("accept a connection"))?;
            let event = EpollEvent::new(EpollFlags::EPOLLIN, self.next);
            self.epoll.add(&stream, event).map_err(failed)?;
            self.streams.insert(self.next, stream);
            self.next += 1;
        }
    }
}

/// Sends back what is there; false once the connection is over. The client has one message under way,
/// so there is always room for it.
fn answer(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 1_024];
    match stream.read(&mut bytes) {
        Ok(0) => false,
        Ok(length) => stream.write_all(&bytes[..length]).is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

fn failed(errno: Errno) -> Error {
    Error::io("wait for sockets")(errno.into())
}
