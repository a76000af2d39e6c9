//! A listener that serves so many connections at a time and no more, none of them for ever.
//!
//! One too many waits in the kernel's queue until another ends; one on which nothing moves is closed,
//! so that it does not keep the others waiting.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// What a listener may serve.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at a time.
    pub(super) connections: usize,
    /// The longest time in which nothing is read or written.
    pub(super) idle: Duration,
}

/// A listener within its bounds.
pub(super) struct Bounded<L> {
    listener: L,
    slots: Slots,
    idle: Duration,
}

impl<L> Bounded<L> {
    /// Bounds `listener`, which the log calls `name`.
    pub(super) fn new(listener: L, name: &'static str, bounds: Bounds) -> Self {
        let free = Arc::new(Semaphore::new(bounds.connections));
        let slots = Slots { free, name, most: bounds.connections };
        Self { listener, slots, idle: bounds.idle }
    }
}

/// Room for connections.
struct Slots {
    free: Arc<Semaphore>,
    name: &'static str,
    most: usize,
}

impl Slots {
    async fn next(&self) -> OwnedSemaphorePermit {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return slot;
        }
        let (listener, most) = (self.name, self.most);
        tracing::warn!(listener, most, "no more connections at a time; the next one waits");
        let slot = Arc::clone(&self.free).acquire_owned().await;
        slot.expect("nobody closes the semaphore")
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let slot = self.slots.next().await;
        let (io, address) = self.listener.accept().await;
        (Connection::new(io, self.idle, slot), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing has moved on it for too long.
pub(super) struct Connection<Io> {
    io: Io,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Given back with the connection.
    _slot: OwnedSemaphorePermit,
}

impl<Io> Connection<Io> {
    /// A connection that holds its `slot` until it ends.
    pub(super) fn new(io: Io, idle: Duration, slot: OwnedSemaphorePermit) -> Self {
        Self { io, idle, deadline: Box::pin(sleep(idle)), _slot: slot }
    }

    /// What was accepted.
    pub(super) fn inner(&self) -> &Io {
        &self.io
    }

    /// Passes on what the connection did; in vain for too long, an error ends it.
    fn watch<T>(
        &mut self,
        did: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if did.is_ready() {
            self.deadline.as_mut().reset(Instant::now() + self.idle);
            return did;
        }
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Connection<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let did = Pin::new(&mut this.io).poll_read(context, buffer);
        this.watch(did, context)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Connection<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let did = Pin::new(&mut this.io).poll_write(context, bytes);
        this.watch(did, context)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let did = Pin::new(&mut this.io).poll_flush(context);
        this.watch(did, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let did = Pin::new(&mut this.io).poll_shutdown(context);
        this.watch(did, context)
    }
}
