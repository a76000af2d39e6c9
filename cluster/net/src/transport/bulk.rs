//! The bulk connection beside a link: one stream in each direction, blocks in order. It may break and
//! come again while the link stays.

use core::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::event::{BulkBlock, Event};
use super::frames;
use super::link::{Fault, Link};
use super::protocol::{Close, Kind};
use super::shared::Shared;
use super::{arrival, shared};
use crate::Counter;
use crate::limits::BULK_BLOCK_BYTES;

/// Keeps the bulk connection of a link up. Who called the peer calls for bulk, too.
pub(super) async fn carry(
    shared: &Arc<Shared>,
    link: &Arc<Link>,
    queue: &mut mpsc::Receiver<Bytes>,
    arrivals: &mut mpsc::Receiver<Connection>,
    called_at: Option<SocketAddr>,
) -> Fault {
    let mut next = None;
    loop {
        let connection = match (next.take(), called_at) {
            (Some(connection), _) => connection,
            (None, Some(address)) => call(shared, link, address).await,
            (None, None) => match arrivals.recv().await {
                Some(connection) => connection,
                None => return Fault::Ended,
            },
        };
        let fault = tokio::select! {
            fault = carry_one(shared, link, &connection, queue) => fault,
            Some(newer) = arrivals.recv() => {
                next = Some(newer);
                Fault::Ended
            }
        };
        close(shared, &connection, fault);
        let lost = Event::BulkLost { node: link.node };
        if shared.outlets.events.send(lost).await.is_err() {
            return Fault::Ended;
        }
    }
}

/// Calls until the peer answers; the link ends this when the peer is gone.
async fn call(shared: &Arc<Shared>, link: &Link, address: SocketAddr) -> Connection {
    let mut backoff = Backoff::new(shared.timing.reconnect, shared::seed());
    loop {
        if let Some(met) = arrival::shake_hands(shared, address, Kind::Bulk).await {
            if met.node == link.node {
                return met.connection;
            }
            met.connection.close(Close::NoPeer.code(), b"");
        }
        sleep(backoff.pause()).await;
    }
}

async fn carry_one(
    shared: &Shared,
    link: &Link,
    connection: &Connection,
    queue: &mut mpsc::Receiver<Bytes>,
) -> Fault {
    tokio::select! {
        _ = connection.closed() => Fault::Ended,
        fault = write(shared, connection, queue) => fault,
        fault = read(shared, link, connection) => fault,
    }
}

async fn write(
    shared: &Shared,
    connection: &Connection,
    queue: &mut mpsc::Receiver<Bytes>,
) -> Fault {
    let Ok(mut stream): Result<SendStream, _> = connection.open_uni().await else {
        return Fault::Ended;
    };
    while let Some(block) = queue.recv().await {
        if let Err(error) = frames::write(&mut stream, &block, shared.timing.frame).await {
            return error.into();
        }
    }
    Fault::Ended
}

async fn read(shared: &Shared, link: &Link, connection: &Connection) -> Fault {
    let Ok(mut stream): Result<RecvStream, _> = connection.accept_uni().await else {
        return Fault::Ended;
    };
    let (node, boot) = (link.node, link.rank.boot);
    loop {
        let bytes = match frames::read(&mut stream, BULK_BLOCK_BYTES, shared.timing.frame).await {
            Ok(bytes) => bytes,
            Err(error) => return error.into(),
        };
        // A driver that is slow slows the sender down; what is urgent has another connection.
        if shared.outlets.bulk.send(BulkBlock { node, boot, bytes }).await.is_err() {
            return Fault::Ended;
        }
    }
}

fn close(shared: &Shared, connection: &Connection, fault: Fault) {
    let (counter, close) = match fault {
        Fault::Ended => return connection.close(Close::Done.code(), b""),
        Fault::Oversized => (Counter::OversizedFrame, Close::Oversized),
        Fault::Malformed => (Counter::Malformed, Close::Malformed),
        Fault::Stalled => (Counter::Stalled, Close::Stalled),
    };
    shared.counters.count(counter);
    connection.close(close.code(), b"");
}
