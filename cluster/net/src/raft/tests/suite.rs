//! openraft's own tests of a store.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tokio::sync::mpsc;

use super::super::machine::{Holder, Machine};
use super::super::store::RaftStore;
use super::super::types::Types;
use super::ledger::Ledger;
use super::{OWN, cluster};
use crate::store::tests::disk::Disk;

struct OnDisk;

impl StoreBuilder<Types, RaftStore, Machine<Ledger>, ()> for OnDisk {
    async fn build(&self) -> Result<((), RaftStore, Machine<Ledger>), StorageError<Types>> {
        let store = RaftStore::with_backend(Disk::new(), &cluster(), OWN).unwrap();
        let (told, _) = mpsc::channel(1);
        let machine = Machine { holder: Arc::new(Holder::new()), store: store.clone(), told };
        Ok(((), store, machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openraft_is_content_with_the_store() {
    Suite::test_all(OnDisk).await.unwrap();
}
