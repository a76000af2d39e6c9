//! Brings messages to one receiver.
//!
//! ```text
//!            connect            send
//!  (nothing) ───────► link ◄──────────┐
//!     ▲  failed: wait, twice as long  │ done: the next message
//!     └───────────────────────────────┘ failed: the same message by a new link
//! ```
//!
//! UDP has no link that could fail: what it refuses is counted, and the next message is sent.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::Receiver;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{Counts, Item};
use crate::limits::{SYSLOG_PAUSE, SYSLOG_PAUSE_MOST, SYSLOG_TIMEOUT, SYSLOG_UDP_STEADY};

/// The task of a receiver.
pub(super) struct Delivery {
    to: Receiver,
    waiting: mpsc::Receiver<Item>,
    counts: Arc<Counts>,
    link: Option<Link>,
    /// How long it waits before it connects again.
    pause: Duration,
    /// It has been said that the receiver takes nothing.
    failing: bool,
    /// Messages in a row that were sent.
    sent_in_a_row: u32,
}

enum Link {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Delivery {
    pub(super) const fn new(
        to: Receiver,
        waiting: mpsc::Receiver<Item>,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            to,
            waiting,
            counts,
            link: None,
            pause: SYSLOG_PAUSE,
            failing: false,
            sent_in_a_row: 0,
        }
    }

    /// What waits for it.
    #[cfg(test)]
    pub(super) fn into_waiting(self) -> mpsc::Receiver<Item> {
        self.waiting
    }

    /// Delivers until nobody logs any more.
    pub(super) async fn run(mut self) {
        while let Some(item) = self.waiting.recv().await {
            match item {
                Item::Message(message) => self.deliver(&message).await,
                // Who asked may have given up.
                Item::Flush(done) => drop(done.send(())),
            }
        }
    }

    /// Until it is sent, or refused by UDP.
    async fn deliver(&mut self, message: &str) {
        while let Err(error) = self.attempt(message).await {
            self.counts.delivers.store(false, Ordering::Relaxed);
            self.sent_in_a_row = 0;
            if !core::mem::replace(&mut self.failing, true) {
                let receiver = self.to.to_string();
                tracing::warn!(receiver, %error, "a syslog receiver takes no messages; tried again");
            }
            if matches!(self.to, Receiver::Udp(_)) {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.link = None;
            sleep(self.pause).await;
            self.pause = SYSLOG_PAUSE_MOST.min(self.pause * 2);
        }
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        self.pause = SYSLOG_PAUSE;
        self.sent_in_a_row = self.sent_in_a_row.saturating_add(1);
        // That nobody is there, UDP tells with every other message at best.
        let enough = if matches!(self.to, Receiver::Udp(_)) { SYSLOG_UDP_STEADY } else { 1 };
        if self.failing && self.sent_in_a_row < enough {
            return;
        }
        self.counts.delivers.store(true, Ordering::Relaxed);
        if core::mem::replace(&mut self.failing, false) {
            tracing::info!(
                receiver = self.to.to_string(),
                "a syslog receiver takes messages again"
            );
        }
    }

    async fn attempt(&mut self, message: &str) -> io::Result<()> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let link = match &mut self.link {
            Some(link) => link,
            None => {
                let link = timeout(SYSLOG_TIMEOUT, Link::open(&self.to)).await.map_err(late)??;
                self.link.insert(link)
            }
        };
        timeout(SYSLOG_TIMEOUT, link.send(message)).await.map_err(late)?
    }
}

impl Link {
    async fn open(to: &Receiver) -> io::Result<Self> {
        match to {
            Receiver::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(Path::new(path))?;
                Ok(Self::Unix(socket))
            }
            Receiver::Udp(address) => {
                let any = match address {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
                socket.connect(address).await?;
                Ok(Self::Udp(socket))
            }
            Receiver::Tcp(address) => Ok(Self::Tcp(TcpStream::connect(address).await?)),
        }
    }

    async fn send(&mut self, message: &str) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.send(message.as_bytes()).await.map(drop),
            // One message a datagram (RFC 5426 §3.1).
            Self::Udp(socket) => socket.send(message.as_bytes()).await.map(drop),
            Self::Tcp(stream) => {
                check_open(stream)?;
                let framed = format!("{} {message}", message.len());
                stream.write_all(framed.as_bytes()).await
            }
        }
    }
}

/// Whether the other end has closed: what is written then is lost without an error. It has nothing to say,
/// so what it says is passed over.
fn check_open(stream: &TcpStream) -> io::Result<()> {
    let mut said = [0; 256];
    match stream.try_read(&mut said) {
        Ok(0) => Err(io::ErrorKind::ConnectionAborted.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}
