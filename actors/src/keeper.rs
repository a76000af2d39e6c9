//! The lease actor: asks every so often whether all workers live, and renews both copies of the lease,
//! the workers' and the XDP program's.

use datapath::Lease;
use datapath::xdp::LeaseWord;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use wire::Time;

use crate::clock;
use crate::lease::{Pulse, renewal};
use crate::limits::LEASE_RENEWAL;
use crate::policy::Permit;

/// Time to renew.
pub struct Renew;

/// The behaviour; its state is [`Keeper`].
pub struct KeeperActor;

/// What the lease actor works with.
pub struct Keeper {
    /// A sign of life of each worker.
    pub pulses: Vec<Pulse>,
    /// The workers' copy.
    pub lease: Lease,
    /// The XDP program's copy.
    pub word: LeaseWord,
    /// What the policy says of it.
    pub permit: Permit,
    /// Whether the last renewal was refused, so that it is said once.
    pub stuck: bool,
}

impl Keeper {
    fn renew(&mut self) -> Result<(), ActorProcessingErr> {
        let Some(deadline) = renewal(&self.pulses, clock::now()) else {
            if !self.stuck {
                tracing::error!(
                    "a worker does not move: THE LEASE IS NOT RENEWED, nothing is forwarded"
                );
            }
            self.stuck = true;
            return Ok(());
        };
        if self.stuck {
            tracing::warn!("all workers move again: the lease is renewed");
        }
        self.stuck = false;
        // Without a policy nothing would pass anyway; the policy's actor says why.
        if !self.permit.take(clock::boottime()) {
            return Ok(());
        }
        self.lease.renew(deadline);
        self.word.renew(clock::of_kernel(deadline))?;
        Ok(())
    }
}

impl Actor for KeeperActor {
    type Msg = Renew;
    type State = Keeper;
    type Arguments = Keeper;

    async fn pre_start(
        &self,
        myself: ActorRef<Renew>,
        mut state: Keeper,
    ) -> Result<Keeper, ActorProcessingErr> {
        state.renew()?;
        let (permit, renewer) = (state.permit.clone(), myself.clone());
        // At once when a first policy runs: whoever committed it may try it.
        tokio::spawn(async move {
            loop {
                permit.opened().await;
                if renewer.cast(Renew).is_err() {
                    return;
                }
            }
        });
        myself.send_interval(LEASE_RENEWAL, || Renew);
        Ok(state)
    }

    async fn handle(
        &self,
        _: ActorRef<Renew>,
        Renew: Renew,
        state: &mut Keeper,
    ) -> Result<(), ActorProcessingErr> {
        state.renew()
    }

    /// A node that stops takes no more transit in; what its workers hold already may still leave.
    async fn post_stop(
        &self,
        _: ActorRef<Renew>,
        state: &mut Keeper,
    ) -> Result<(), ActorProcessingErr> {
        state.word.renew(Time(0))?;
        Ok(())
    }
}
