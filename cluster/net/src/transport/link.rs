//! One connected peer: its control stream, its datagrams, its bulk connection.

use core::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use cluster_core::{Boot, NodeId};
use quinn::{Connection, ConnectionError, RecvStream, SendDatagramError, SendStream};
use tokio::sync::{mpsc, watch};
use tokio::task::coop::consume_budget;

use super::SendError;
use super::bulk;
use super::calls::{self, Line};
use super::event::{Datagram, Down, Event};
use super::frames::{self, FrameError};
use super::protocol::Close;
use super::shared::Shared;
use super::switchboard::{Plugged, Rank};
use crate::Counter;
use crate::codec::{self, CodecError};
use crate::limits::{BULK_QUEUE, CONTROL_FRAME_BYTES, CONTROL_QUEUE};
use crate::message::{ControlMessage, Hello};

/// What other tasks hold of a connected peer.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) rank: Rank,
    pub(super) connection: Connection,
    /// Between the look at the room for a datagram and its sending nobody else may send.
    gate: Mutex<()>,
    control: mpsc::Sender<Vec<u8>>,
    bulk: mpsc::Sender<Bytes>,
    /// Bulk connections that the peer opened.
    pub(super) bulk_arrivals: mpsc::Sender<Connection>,
    /// To ask the peer.
    pub(super) line: Line,
    /// Whether the driver was told that the peer is down.
    ended: watch::Sender<bool>,
    /// Why this end closed the connection, if it did.
    left: OnceLock<Down>,
}

/// The receiving ends of a link, for its own task.
pub(super) struct Queues {
    control: mpsc::Receiver<Vec<u8>>,
    pub(super) bulk: mpsc::Receiver<Bytes>,
    pub(super) bulk_arrivals: mpsc::Receiver<Connection>,
}

/// The control stream.
pub(super) type Control = (SendStream, RecvStream);

/// A peer whose handshake and hello are done.
pub(super) struct Met {
    pub(super) node: NodeId,
    pub(super) version: u16,
    pub(super) hello: Hello,
    pub(super) connection: Connection,
    pub(super) control: Control,
    /// Where the peer was called; `None` if it called.
    pub(super) called_at: Option<SocketAddr>,
}

/// Why a link's task ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection ended; it knows why.
    Ended,
    Oversized,
    Malformed,
    Stalled,
}

impl Link {
    fn new(met: &Met, own: NodeId) -> (Arc<Self>, Queues) {
        let (control, control_queue) = mpsc::channel(CONTROL_QUEUE);
        let (bulk, bulk_queue) = mpsc::channel(BULK_QUEUE);
        let (bulk_arrivals, arrivals) = mpsc::channel(1);
        let we_called = met.called_at.is_some();
        let link = Self {
            node: met.node,
            rank: Rank {
                boot: Boot(met.hello.boot),
                called_by_lower: we_called == (own < met.node),
            },
            connection: met.connection.clone(),
            gate: Mutex::new(()),
            control,
            bulk,
            bulk_arrivals,
            line: Line::new(),
            ended: watch::Sender::new(false),
            left: OnceLock::new(),
        };
        let queues = Queues { control: control_queue, bulk: bulk_queue, bulk_arrivals: arrivals };
        (Arc::new(link), queues)
    }

    /// Sends a datagram if there is room for it at once.
    pub(super) fn send_datagram(&self, bytes: Bytes) -> Result<(), SendError> {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.connection.max_datagram_size().ok_or(SendError::Down)?;
        if bytes.len() > most {
            return Err(SendError::TooLarge { most });
        }
        if self.connection.datagram_send_buffer_space() < bytes.len() {
            return Err(SendError::Full);
        }
        self.connection.send_datagram(bytes).map_err(|error| match error {
            // The path became narrower just now.
            SendDatagramError::TooLarge => SendError::TooLarge { most },
            SendDatagramError::UnsupportedByPeer
            | SendDatagramError::Disabled
            | SendDatagramError::ConnectionLost(_) => SendError::Down,
        })
    }

    /// Puts a control message into the queue.
    pub(super) fn send_control(&self, message: &ControlMessage) -> Result<(), SendError> {
        let frame = codec::encode(message).map_err(|_| SendError::Unsayable)?;
        self.control.try_send(frame).map_err(full)
    }

    /// Puts a bulk block into the queue.
    pub(super) fn send_bulk(&self, block: Bytes) -> Result<(), SendError> {
        self.bulk.try_send(block).map_err(full)
    }

    /// Closes the connection; the driver is told why.
    pub(super) fn leave(&self, close: Close, why: Down) {
        let _ = self.left.set(why);
        self.connection.close(close.code(), b"");
    }

    /// Closes the connection, and waits until the driver was told.
    async fn give_way(&self) {
        self.leave(Close::Duplicate, Down::Replaced);
        self.until_ended().await;
    }

    /// Resolves when the driver was told that the peer is down.
    pub(super) async fn until_ended(&self) {
        // An error means that the task is gone already.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

fn full<T>(error: mpsc::error::TrySendError<T>) -> SendError {
    match error {
        mpsc::error::TrySendError::Full(_) => SendError::Full,
        mpsc::error::TrySendError::Closed(_) => SendError::Down,
    }
}

/// Lives through one connection, from its hello to its end. False: another connection is kept.
pub(super) async fn run(shared: &Arc<Shared>, mut met: Met) -> bool {
    let (link, queues) = Link::new(&met, shared.own);
    let replaced = match shared.switchboard.plug(&link) {
        Plugged::Refused => {
            shared.counters.count(Counter::DuplicateConnection);
            link.connection.close(Close::Duplicate.code(), b"");
            return false;
        }
        Plugged::Alone => None,
        Plugged::Instead(old) => Some(old),
    };
    let _in_use = InUse { shared, link: &link };
    if let Some(old) = replaced {
        shared.counters.count(Counter::DuplicateConnection);
        old.give_way().await;
    }
    // The caller plugs its link when it has this answer, so never before this end did.
    let greeted = met.called_at.is_some() || greet(shared, &mut met.control.0).await.is_ok();
    let (boot, node, version, hello) = (link.rank.boot, met.node, met.version, met.hello);
    let up = Event::PeerUp { node, boot, version, hello };
    if greeted && shared.outlets.events.send(up).await.is_ok() {
        let fault = carry(shared, &link, queues, met.control, met.called_at).await;
        let why = close(shared, &link, fault);
        tracing::info!(peer = node.0, ?why, "peer is down");
        let _ = shared.outlets.events.send(Event::PeerDown { node, boot, why }).await;
    }
    true
}

/// A link in the switchboard. However its task ends, it is taken out, and who waits for that hears.
struct InUse<'a> {
    shared: &'a Shared,
    link: &'a Arc<Link>,
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        self.shared.switchboard.unplug(self.link);
        self.link.ended.send_replace(true);
    }
}

/// Says hello.
pub(super) async fn greet(shared: &Shared, stream: &mut SendStream) -> Result<(), FrameError> {
    let hello = codec::encode(&ControlMessage::Hello(shared.hello()));
    let hello = hello.map_err(|_| FrameError::Oversized)?;
    frames::write(stream, &hello, shared.timing.frame).await
}

/// Carries everything until something ends.
async fn carry(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    mut queues: Queues,
    (mut send, mut receive): Control,
    called_at: Option<SocketAddr>,
) -> Fault {
    let Queues { control, bulk, bulk_arrivals } = &mut queues;
    tokio::select! {
        _ = link.connection.closed() => Fault::Ended,
        fault = read_control(shared, link, &mut receive) => fault,
        fault = write_control(shared, control, &mut send) => fault,
        fault = read_datagrams(shared, link) => fault,
        fault = calls::keep(shared, link) => fault,
        fault = bulk::carry(shared, link, bulk, bulk_arrivals, called_at) => fault,
    }
}

async fn read_control(shared: &Shared, link: &Link, stream: &mut RecvStream) -> Fault {
    loop {
        let frame = match frames::read(stream, CONTROL_FRAME_BYTES, shared.timing.frame).await {
            Ok(frame) => frame,
            Err(error) => return error.into(),
        };
        let message = match codec::decode(&frame) {
            Ok(ControlMessage::Hello(_)) => return Fault::Malformed,
            Ok(message) => message,
            Err(CodecError::Tag(_)) => {
                shared.counters.count(Counter::UnknownMessage);
                continue;
            }
            Err(
                CodecError::Truncated
                | CodecError::Version(_)
                | CodecError::Body
                | CodecError::Trailing
                | CodecError::Limit,
            ) => return Fault::Malformed,
        };
        let event = Event::Control { node: link.node, message };
        if shared.outlets.events.send(event).await.is_err() {
            return Fault::Ended;
        }
    }
}

async fn write_control(
    shared: &Shared,
    queue: &mut mpsc::Receiver<Vec<u8>>,
    stream: &mut SendStream,
) -> Fault {
    while let Some(frame) = queue.recv().await {
        if let Err(error) = frames::write(stream, &frame, shared.timing.frame).await {
            return error.into();
        }
    }
    Fault::Ended
}

async fn read_datagrams(shared: &Shared, link: &Link) -> Fault {
    let (node, boot) = (link.node, link.rank.boot);
    while let Ok(bytes) = link.connection.read_datagram().await {
        match shared.outlets.datagrams.try_send(Datagram { node, boot, bytes }) {
            Ok(()) => shared.counters.count(Counter::DatagramsReceived),
            Err(_) => shared.counters.count(Counter::DatagramReceiveFull),
        }
        // Reading is ready again and again under load; the control stream wants its turn.
        consume_budget().await;
    }
    Fault::Ended
}

/// Closes the connection and says why it ended, for the driver.
fn close(shared: &Shared, link: &Link, fault: Fault) -> Down {
    let (counter, close) = match fault {
        Fault::Ended => {
            let left = link.left.get().copied();
            return left.unwrap_or_else(|| ended(&link.connection));
        }
        Fault::Oversized => (Counter::OversizedFrame, Close::Oversized),
        Fault::Malformed => (Counter::Malformed, Close::Malformed),
        Fault::Stalled => (Counter::Stalled, Close::Stalled),
    };
    shared.counters.count(counter);
    link.connection.close(close.code(), b"");
    Down::Broke
}

fn ended(connection: &Connection) -> Down {
    let Some(error) = connection.close_reason() else {
        // A stream was ended by the peer, or the driver is gone: the connection follows.
        connection.close(Close::Done.code(), b"");
        return Down::Closed;
    };
    match error {
        ConnectionError::Reset => Down::Restarted,
        ConnectionError::TimedOut => Down::Silent,
        ConnectionError::LocallyClosed => Down::Left,
        ConnectionError::ApplicationClosed(_) if Close::Duplicate.is_why(&error) => Down::Replaced,
        ConnectionError::ApplicationClosed(_) if Close::NotAMember.is_why(&error) => Down::Removed,
        ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_) => {
            Down::Closed
        }
        ConnectionError::VersionMismatch
        | ConnectionError::TransportError(_)
        | ConnectionError::CidsExhausted => Down::Broke,
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Ended => Self::Ended,
            FrameError::Oversized => Self::Oversized,
            FrameError::Stalled => Self::Stalled,
        }
    }
}
