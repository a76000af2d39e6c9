//! One task for each address of a peer: calls it whenever it is not connected.

use core::net::SocketAddr;
use std::sync::Arc;

use tokio::time::sleep;

use super::backoff::Backoff;
use super::protocol::Kind;
use super::shared::{self, Shared};
use super::{arrival, link};

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
