//! A worker's queue of a real interface: an AF_XDP socket that may be gone for a while.

use std::os::fd::{AsFd, BorrowedFd};

use af_xdp::{Counters, Frame, Kick, Socket, Statistics, Umem};

use crate::port::Port;

/// One queue of one interface. Without a socket (its interface went away) it receives nothing and
/// what is sent to it piles up in the backlog, whose bound drops it with a counter.
#[derive(Debug)]
pub struct XskPort {
    socket: Option<Socket>,
    sending: bool,
}

impl XskPort {
    /// A port over an open socket.
    #[must_use]
    pub fn new(socket: Socket) -> Self {
        Self { socket: Some(socket), sending: false }
    }

    /// A port whose interface is not there.
    #[must_use]
    pub fn absent() -> Self {
        Self { socket: None, sending: false }
    }

    /// Whether the interface is there.
    #[must_use]
    pub fn present(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.check().is_ok())
    }

    /// Takes the socket out, to close it.
    pub fn take(&mut self) -> Option<Socket> {
        self.socket.take()
    }

    /// What to sleep on.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Whether frames pass between driver and worker without a copy; `None` without a socket.
    #[must_use]
    pub fn zero_copy(&self) -> Option<bool> {
        self.socket.as_ref().map(Socket::zero_copy)
    }

    /// What the socket and the kernel counted.
    #[must_use]
    pub fn statistics(&self) -> Option<(Counters, Statistics)> {
        let socket = self.socket.as_ref()?;
        Some((socket.counters(), socket.statistics().unwrap_or_default()))
    }
}

impl Port for XskPort {
    fn receive(&mut self, umem: &mut Umem, into: &mut Vec<Frame>, room: usize) -> usize {
        self.socket.as_mut().map_or(0, |socket| socket.receive(umem, into, room))
    }

    fn transmit(&mut self, umem: &mut Umem, backlog: &mut Vec<Frame>) {
        if let Some(socket) = &mut self.socket {
            socket.complete(umem);
            self.sending |= socket.transmit(umem, backlog) > 0;
        }
    }

    fn service(&mut self, umem: &mut Umem) {
        let Some(socket) = &mut self.socket else { return };
        if self.sending {
            // Any other outcome means later: the next turn kicks again. A socket whose interface
            // is gone sends nothing more; whoever watches the interfaces replaces it.
            self.sending = matches!(socket.kick(), Ok(Kick::Later(_)));
        }
        socket.complete(umem);
        socket.refill(umem);
        let _ = socket.wake_receive();
    }

    fn sending(&self) -> bool {
        self.sending
    }
}
