//! A worker's queues of a real interface: AF_XDP sockets that may be gone for a while.

use std::os::fd::{AsFd, BorrowedFd};

use af_xdp::{Counters, Frame, Kick, Later, Socket, Statistics, Umem};

use crate::port::Port;

/// The queues of one interface that one worker serves; usually one. Without a socket (the interface
/// went away) it receives nothing, and what is sent to it piles up in the backlog, whose bound drops
/// it with a counter.
#[derive(Debug, Default)]
pub struct XskPort {
    /// The first one sends, all receive.
    sockets: Vec<Socket>,
    sending: bool,
    stalled: bool,
}

impl XskPort {
    /// A port over open sockets; none is a port whose interface is not there.
    #[must_use]
    pub fn new(sockets: Vec<Socket>) -> Self {
        Self { sockets, sending: false, stalled: false }
    }

    /// Closes the sockets; the port is without an interface then.
    pub fn close(&mut self, umem: &mut Umem) {
        self.sending = false;
        for socket in self.sockets.drain(..) {
            socket.close(umem);
        }
    }

    /// What to sleep on.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd)
    }

    /// Whether frames pass between driver and worker without a copy; `None` without a socket.
    #[must_use]
    pub fn zero_copy(&self) -> Option<bool> {
        self.sockets.first().map(Socket::zero_copy)
    }

    /// What each socket and the kernel counted.
    pub fn statistics(&self) -> impl Iterator<Item = (Counters, Statistics)> {
        self.sockets.iter().map(|s| (s.counters(), s.statistics().unwrap_or_default()))
    }
}

impl Port for XskPort {
    fn receive(&mut self, umem: &mut Umem, into: &mut Vec<Frame>, room: usize) -> usize {
        let mut received = 0;
        for socket in &mut self.sockets {
            received += socket.receive(umem, into, room - received);
        }
        received
    }

    fn transmit(&mut self, umem: &mut Umem, backlog: &mut Vec<Frame>) {
        if let Some(socket) = self.sockets.first_mut() {
            socket.complete(umem);
            self.sending |= socket.transmit(umem, backlog) > 0;
        }
    }

    fn kick(&mut self) {
        if self.sending {
            let kicked = self.sockets.first_mut().map(Socket::kick);
            // Later: the next turn kicks again. A socket whose interface is down keeps its frames
            // until it is up; one whose interface is gone sends nothing more, and whoever watches
            // the interfaces replaces it.
            self.stalled = matches!(kicked, Some(Ok(Kick::Later(Later::Down)) | Err(_)));
            self.sending = matches!(kicked, Some(Ok(Kick::Later(_))));
        }
    }

    fn service(&mut self, umem: &mut Umem) {
        self.kick();
        for socket in &mut self.sockets {
            socket.complete(umem);
            socket.refill(umem);
            // Nothing to do about a failure here that the port's watcher does not see as well.
            let _ = socket.wake_receive();
        }
    }

    fn sending(&self) -> bool {
        self.sending && !self.stalled
    }

    fn stalled(&self) -> bool {
        self.stalled || self.sockets.is_empty()
    }
}
