//! Lets nodes join while this one runs: an issuer for each token, at a port of its own.
//!
//! The cluster's port demands a member's certificate before it hears what a caller wants, so who has none yet
//! is heard at another one, which the token names. It is open until the token is used or has expired.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use cluster_core::NodeId;
use cluster_net::Counters;
use cluster_net::identity::Papers;
use cluster_net::join::{Issuer, Issuing, Joined, Known, Ledger};
use cluster_net::limits::TOKEN_SECONDS_MAX;
use cluster_net::store::{Member, Store, StoreError};
use cluster_net::token::{Token, TokenId, TokenRecord};
use config::api;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::limits::{STORE_PATIENCE, TOKENS_AT_ONCE};
use super::memory::{Note, Work};
use crate::clock;

/// Who was let in: for the log, which the other members follow.
pub(crate) type Admitted = (NodeId, Member);

/// What letting nodes in needs.
pub(super) struct Letting {
    papers: Papers,
    /// Where the node listens for its cluster; issuers are at other ports of the address.
    listen: SocketAddr,
    notes: SyncSender<Note>,
    counters: Arc<Counters>,
    admitted: mpsc::Sender<Admitted>,
    /// For issuers at work.
    room: Arc<Semaphore>,
}

/// The node's store, which another thread has.
struct Desk(SyncSender<Note>);

impl Desk {
    /// Has something done with the store. Blocks.
    fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = sync_channel(1);
        let taken = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&taken);
        let work: Work = Box::new(move |store: &mut Store| {
            // Of what its asker has given up nothing happens: nobody would hear of who was let in.
            if !begins.swap(true, Ordering::AcqRel) {
                drop(answer.send(work(store)));
            }
        });
        let busy = || StoreError::File(std::io::Error::other("the disk has too much to do"));
        self.0.try_send(Note::With(work)).map_err(|_| busy())?;
        match answered.recv_timeout(STORE_PATIENCE) {
            Ok(done) => done,
            Err(RecvTimeoutError::Timeout) if taken.swap(true, Ordering::AcqRel) => {
                answered.recv().map_err(|_| busy())?
            }
            Err(_) => Err(busy()),
        }
    }
}

impl Ledger for Desk {
    fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        self.with(move |store| store.token(id))
    }

    fn admit(&self, id: TokenId, node: NodeId, member: &Member) -> Result<Known, StoreError> {
        let member = member.clone();
        self.with(move |store| Known::of_admission(store, id, node, &member))
    }
}

impl Letting {
    /// Nobody is let in yet.
    pub(super) fn new(
        papers: Papers,
        listen: SocketAddr,
        (notes, admitted): (SyncSender<Note>, mpsc::Sender<Admitted>),
        counters: Arc<Counters>,
    ) -> Self {
        let room = Arc::new(Semaphore::new(TOKENS_AT_ONCE));
        Self { papers, listen, notes, counters, admitted, room }
    }

    /// Makes a token, and waits for its bearer beside.
    pub(super) async fn make(
        &self,
        request: api::TokenRequest,
    ) -> Result<api::TokenMade, api::Error> {
        let api::TokenRequest { seconds, replaces } = request;
        if !(1..=TOKEN_SECONDS_MAX).contains(&seconds) {
            return Err(api::Error::new(format!(
                "a token lives for 1 to {TOKEN_SECONDS_MAX} seconds"
            )));
        }
        let full = || api::Error::new("too many tokens wait for their bearer: let some expire");
        let permit = Arc::clone(&self.room).try_acquire_owned().map_err(|_| full())?;
        let authority = self.papers.authority().map_err(|error| said(&error))?;
        let desk = Desk(self.notes.clone());
        let identity = || self.papers.identity().map_err(|error| said(&error));
        let keys = (identity()?, authority);
        let issuer =
            Issuer::with_ledger(keys, desk, Arc::clone(&self.counters), seconds_of_the_epoch);
        let own_port = SocketAddr::new(self.listen.ip(), 0);
        let issuing = Issuing::start(Arc::new(issuer), own_port).map_err(|error| said(&error))?;
        let at = issuing.address().map_err(|error| said(&error))?;
        let token = Token::make(&identity()?, vec![at]).map_err(|error| said(&error))?;
        let now = seconds_of_the_epoch();
        let record = token.record(now, seconds, replaces.map(NodeId));
        let (id, desk) = (token.id(), Desk(self.notes.clone()));
        let kept = move || desk.with(move |store| store.add_token(id, &record, now));
        let kept = tokio::task::spawn_blocking(kept).await.map_err(|error| said(&error))?;
        kept.map_err(|error| said(&error))?;
        tracing::info!(%at, seconds, replaces, "a token was made, and its bearer is waited for");
        let waiting =
            wait(issuing, id, Duration::from_secs(seconds), self.admitted.clone(), permit);
        tokio::spawn(waiting);
        Ok(api::TokenMade { token: token.to_string(), seconds })
    }
}

/// Waits for the bearer of the token, and tells the log's actor of it.
async fn wait(
    mut issuing: Issuing,
    token: TokenId,
    within: Duration,
    admitted: mpsc::Sender<Admitted>,
    permit: OwnedSemaphorePermit,
) {
    let bearer = async {
        // Another token that still lives may be used here, too.
        loop {
            let joined = issuing.joined().await?;
            let Joined { node, kind, addresses, token: used } = joined;
            tracing::info!(%node, ?kind, ?addresses, "a node was let in");
            // The actor ends with the daemon.
            let _ = admitted.send((node, Member::new(kind, addresses))).await;
            if used == token {
                return Some(());
            }
        }
    };
    if timeout(within, bearer).await.is_err() {
        tracing::warn!("nobody came with a token before it expired");
    }
    issuing.stop().await;
    drop(permit);
}

fn said(error: &impl std::fmt::Display) -> api::Error {
    api::Error::new(error.to_string())
}

/// By which tokens expire: a clock before 1970 counts as 1970.
fn seconds_of_the_epoch() -> u64 {
    clock::unix_seconds().unwrap_or_default()
}
