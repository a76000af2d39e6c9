//! A Raft of one voter, for a node that is in no cluster: the same store and the same machine, and nobody
//! to ask. So a node's policy has one way onto its disk, whether others follow it or not.

use std::collections::BTreeSet;

use cluster_core::NodeId;
use tokio::sync::mpsc;

use super::machine::Applied;
use super::{Raft, RaftError, RaftStore, Replicable, Settings, nodes};

impl<M: Replicable> Raft<M> {
    /// Begins as the only voter, without a transport, and gives what is applied from now on. A new store
    /// is initialized; with one that has a history this node leads at once.
    ///
    /// # Errors
    /// If the store cannot be read, or is that of a cluster with other members.
    pub async fn start_alone(
        settings: Settings,
        store: RaftStore,
    ) -> Result<(Self, mpsc::Receiver<Applied>), RaftError> {
        let (raft, applied) = Self::begin(settings, None, store).await?;
        match raft.be_alone().await {
            Ok(()) => Ok((raft, applied)),
            Err(error) => {
                raft.stop().await;
                Err(error)
            }
        }
    }

    async fn be_alone(&self) -> Result<(), RaftError> {
        let members = self.members().await?;
        if members.is_empty() {
            return self.initialize().await;
        }
        let own = self.shared.own;
        if members == [own].into() { Ok(()) } else { Err(RaftError::NotAlone(members)) }
    }

    /// Who takes part, by this node's log.
    async fn members(&self) -> Result<BTreeSet<NodeId>, RaftError> {
        let run = self.now();
        let known = run.core.with_raft_state(|state| {
            let members = state.membership_state.effective();
            nodes(members.nodes().map(|(node, _)| *node))
        });
        known.await.map_err(|_| RaftError::Stopped)
    }
}
