//! Handshakes, of those who call and of those who are called, up to the hello.

use core::net::SocketAddr;
use std::sync::Arc;

use cluster_core::NodeId;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, ConnectionError, Incoming};
use rustls::pki_types::CertificateDer;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answers;
use super::event::Event;
use super::frames::{self, FrameError};
use super::link::{self, Control, Met};
use super::protocol::{Close, Kind, cause, disowns};
use super::shared::Shared;
use crate::Counter;
use crate::codec;
use crate::limits::{CONTROL_FRAME_BYTES, HANDSHAKES, MEMBERS};
use crate::message::{ControlMessage, Hello};

/// A peer whose certificate was verified.
pub(super) struct Shaken {
    pub(super) node: NodeId,
    pub(super) kind: Kind,
    pub(super) version: u16,
    pub(super) connection: Connection,
}

/// Takes calls until the endpoint is closed.
pub(super) async fn accept(shared: Arc<Shared>) {
    let room = Arc::new(Semaphore::new(HANDSHAKES));
    let mut links = JoinSet::new();
    while let Some(incoming) = shared.endpoint.accept().await {
        while links.try_join_next().is_some() {}
        if !incoming.remote_address_validated() {
            // One round trip more, and a caller with a forged address costs nothing.
            let _ = incoming.retry();
            continue;
        }
        match Arc::clone(&room).try_acquire_owned() {
            Ok(permit) if links.len() < 3 * MEMBERS + HANDSHAKES => {
                let shared = Arc::clone(&shared);
                links.spawn(async move {
                    let arrived = arrive(&shared, incoming).await;
                    drop(permit);
                    match arrived {
                        Some(Arrived::Peer(met)) => {
                            link::run(&shared, *met).await;
                        }
                        Some(Arrived::Asker(node, connection)) => {
                            answers::serve(shared, node, connection).await;
                        }
                        None => {}
                    }
                });
            }
            Ok(_) | Err(_) => {
                shared.counters.count(Counter::HandshakesFull);
                incoming.refuse();
            }
        }
    }
}

/// Who called, and for what.
enum Arrived {
    Peer(Box<Met>),
    Asker(NodeId, Connection),
}

/// A caller, up to its hello. A bulk connection goes to the link of its peer.
async fn arrive(shared: &Arc<Shared>, incoming: Incoming) -> Option<Arrived> {
    let shaking = async { incoming.accept()?.await };
    let shaken = judge(shared, shaking, Counter::HandshakeLate).await?;
    match shaken.kind {
        Kind::Live => hear_hello(shared, shaken).await.map(|met| Arrived::Peer(Box::new(met))),
        Kind::Calls => Some(Arrived::Asker(shaken.node, shaken.connection)),
        Kind::Bulk => {
            let link = shared.switchboard.get(shaken.node);
            let taken = link
                .is_some_and(|link| link.bulk_arrivals.try_send(shaken.connection.clone()).is_ok());
            if !taken {
                shared.counters.count(Counter::BulkWithoutPeer);
                shaken.connection.close(Close::NoPeer.code(), b"");
            }
            None
        }
    }
}

/// The caller's hello, and the answer.
pub(super) async fn say_hello(
    shared: &Arc<Shared>,
    shaken: Shaken,
    address: SocketAddr,
) -> Option<Met> {
    let connection = shaken.connection.clone();
    let greeting = async {
        let mut control = connection.open_bi().await.map_err(|_| FrameError::Ended)?;
        link::greet(shared, &mut control.0).await?;
        let hello = frames::read(&mut control.1, CONTROL_FRAME_BYTES, shared.timing.frame).await?;
        Ok((control, hello))
    };
    let called = (&connection, Some(shaken.node));
    let (control, hello) = greeted(shared, called, greeting).await?;
    met(shared, shaken, control, hello, Some(address))
}

async fn hear_hello(shared: &Arc<Shared>, shaken: Shaken) -> Option<Met> {
    let connection = shaken.connection.clone();
    let greeting = async {
        let mut control = connection.accept_bi().await.map_err(|_| FrameError::Ended)?;
        let hello = frames::read(&mut control.1, CONTROL_FRAME_BYTES, shared.timing.frame).await?;
        Ok((control, hello))
    };
    let (control, hello) = greeted(shared, (&connection, None), greeting).await?;
    met(shared, shaken, control, hello, None)
}

/// Calls, and verifies who answers.
pub(super) async fn shake_hands(
    shared: &Arc<Shared>,
    address: SocketAddr,
    kind: Kind,
) -> Option<Shaken> {
    // The name is not looked at: who answers says by its certificate which node it is.
    let connecting = shared.endpoint.connect_with(shared.client(kind), address, "ringwall");
    let Ok(connecting) = connecting else {
        shared.counters.count(Counter::PeerUnreachable);
        return None;
    };
    judge(shared, connecting, Counter::PeerUnreachable).await
}

/// Completes a handshake within its time, and names the peer.
async fn judge(
    shared: &Shared,
    shaking: impl Future<Output = Result<Connection, ConnectionError>>,
    silence: Counter,
) -> Option<Shaken> {
    let failed = match timeout(shared.timing.handshake, shaking).await {
        Ok(Ok(connection)) => return name(shared, connection),
        Ok(Err(error)) => cause(&error, silence),
        Err(_) => Some(silence),
    };
    failed.into_iter().for_each(|counter| shared.counters.count(counter));
    None
}

/// Who the peer is. The list of members may have changed during the handshake.
fn name(shared: &Shared, connection: Connection) -> Option<Shaken> {
    let named = certificate(&connection).ok_or(Counter::NoCertificate);
    let node = match named.and_then(|certificate| shared.judge.member(&certificate)) {
        Ok(node) => node,
        Err(counter) => {
            shared.counters.count(counter);
            connection.close(Close::NotAMember.code(), b"");
            return None;
        }
    };
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let protocol = data.and_then(|data| data.protocol);
    let Some((kind, version)) = protocol.as_deref().and_then(Kind::parse) else {
        shared.counters.count(Counter::NoCommonVersion);
        connection.close(Close::BadHello.code(), b"");
        return None;
    };
    Some(Shaken { node, kind, version, connection })
}

fn certificate(connection: &Connection) -> Option<CertificateDer<'static>> {
    let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.into_iter().next()
}

/// Completes an exchange of hellos within its time. Who was called may say that this node is no member.
async fn greeted<T>(
    shared: &Shared,
    (connection, called): (&Connection, Option<NodeId>),
    greeting: impl Future<Output = Result<T, FrameError>>,
) -> Option<T> {
    let (counter, close) = match timeout(shared.timing.handshake, greeting).await {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(FrameError::Oversized)) => (Some(Counter::OversizedFrame), Close::Oversized),
        Ok(Err(FrameError::Stalled)) | Err(_) => (Some(Counter::HandshakeLate), Close::Stalled),
        Ok(Err(FrameError::Ended)) => {
            let error = connection.close_reason();
            if let Some(node) = called.filter(|_| error.as_ref().is_some_and(disowns)) {
                // It is told again.
                let _ = shared.outlets.events.try_send(Event::Disowned { node });
            }
            let counter = error.map(|error| cause(&error, Counter::HandshakeLate));
            (counter.unwrap_or(Some(Counter::BadHello)), Close::BadHello)
        }
    };
    counter.into_iter().for_each(|counter| shared.counters.count(counter));
    connection.close(close.code(), b"");
    None
}

fn met(
    shared: &Shared,
    shaken: Shaken,
    control: Control,
    hello: Vec<u8>,
    called_at: Option<SocketAddr>,
) -> Option<Met> {
    let hello = match codec::decode(&hello) {
        Ok(ControlMessage::Hello(hello)) if hello.boot > 0 => hello,
        Ok(_) | Err(_) => {
            shared.counters.count(Counter::BadHello);
            shaken.connection.close(Close::BadHello.code(), b"");
            return None;
        }
    };
    let Shaken { node, version, connection, .. } = shaken;
    let hello: Hello = hello;
    Some(Met { node, version, hello, connection, control, called_at })
}
