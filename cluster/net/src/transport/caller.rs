//! One task for each address of a peer: calls it whenever it is not connected.

use core::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::protocol::Kind;
use super::shared::{self, Shared};
use super::{arrival, link};

/// Keeps peers connected that are told of while the endpoint runs. Their tasks end with this one.
pub(super) async fn keep_more(shared: Arc<Shared>, mut told: mpsc::Receiver<SocketAddr>) {
    let mut kept = JoinSet::new();
    while let Some(address) = told.recv().await {
        kept.spawn(keep(Arc::clone(&shared), address));
    }
    // Nobody tells of more; the shared part has the sender, so this does not come before the end.
    while kept.join_next().await.is_some() {}
}

/// Keeps the peer at `address` connected, by whoever of the two called.
pub(super) async fn keep(shared: Arc<Shared>, address: SocketAddr) {
    let mut backoff = Backoff::new(shared.timing.reconnect, shared::seed());
    let mut known = None;
    loop {
        if let Some(node) = known {
            shared.switchboard.until_down(node).await;
        }
        if let Some(shaken) = arrival::shake_hands(&shared, address, Kind::Live).await {
            // Also of one that then refuses this connection, since it has another.
            known = Some(shaken.node);
            if let Some(met) = arrival::say_hello(&shared, shaken, address).await
                && link::run(&shared, met).await
            {
                backoff.reset();
            }
        }
        sleep(backoff.pause()).await;
    }
}
