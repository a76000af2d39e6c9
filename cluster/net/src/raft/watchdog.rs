//! What nobody else looks after: that somebody leads, that the log stays short, and what the driver
//! is told of the leader.

use core::time::Duration;
use std::sync::Arc;

use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::sync::watch;
use tokio::time::sleep;

use super::answer::Core;
use super::network::Context;
use super::status::metrics;
use super::types::node;
use super::{Leadership, Replicable};
use crate::Counter;
use crate::limits::{
    RAFT_LEADERLESS, RAFT_LEADERLESS_JITTER, RAFT_LOG_BYTES, RAFT_WATCH, RAFT_WELCOME,
};

/// Looks until Raft stops.
pub(super) async fn watch<M: Replicable>(
    core: Core<M>,
    context: Arc<Context>,
    leadership: Arc<watch::Sender<Leadership>>,
    seed: u64,
) {
    let mut bits = Bits(seed | 1);
    let mut changes = core.metrics();
    let mut last_campaign = tokio::time::Instant::now();
    let mut met = 0;
    loop {
        let seen = seen(&core, &context);
        leadership.send_if_modified(|known| core::mem::replace(known, seen) != seen);
        if !seen.running {
            return;
        }
        shorten(&core, &context).await;
        let now = context.peers();
        let came = core::mem::replace(&mut met, now) < now;
        // Two of three, or the second of two, are there again.
        let patience = if came { RAFT_WELCOME } else { RAFT_LEADERLESS };
        let due = leaderless(&core, &context, patience) && last_campaign.elapsed() > patience;
        if due {
            sleep(bits.below(if came { RAFT_WATCH } else { RAFT_LEADERLESS_JITTER })).await;
            if leaderless(&core, &context, patience) {
                context.counters.count(Counter::RaftLeaderless);
                // First as a question, so that the term of who is cut off does not grow.
                let _ = core.trigger().elect(true).await;
            }
            last_campaign = tokio::time::Instant::now();
        }
        tokio::select! {
            () = sleep(RAFT_WATCH) => {}
            changed = changes.changed() => if changed.is_err() { sleep(RAFT_WATCH).await },
        }
    }
}

fn seen<M: Replicable>(core: &Core<M>, context: &Context) -> Leadership {
    let metrics = metrics(core);
    let own = metrics.state.is_leader();
    // Who votes alone is a majority, and is acknowledged by nobody else.
    let sole = metrics.membership_config.voter_ids().eq([context.own]);
    let silent = if own {
        let acked = metrics.last_quorum_acked.as_ref();
        !sole && acked.is_some_and(|at| at.elapsed() > RAFT_LEADERLESS)
    } else {
        context.silence() > RAFT_LEADERLESS
    };
    let leader = metrics.current_leader.filter(|leader| !silent && own == (*leader == context.own));
    Leadership {
        leader: leader.map(node),
        own,
        term: metrics.current_term,
        running: metrics.running_state.is_ok(),
    }
}

/// Whether this node votes, and has heard of no leader for so long.
fn leaderless<M: Replicable>(core: &Core<M>, context: &Context, patience: Duration) -> bool {
    let metrics = metrics(core);
    let votes = metrics.membership_config.voter_ids().any(|voter| voter == context.own);
    votes && !metrics.state.is_leader() && context.silence() > patience
}

/// Bounds the log's bytes, beside openraft's bound on its entries.
async fn shorten<M: Replicable>(core: &Core<M>, context: &Context) {
    if context.store.log_bytes() <= RAFT_LOG_BYTES {
        return;
    }
    let (snapshot, applied, purged) = {
        let metrics = metrics(core);
        (metrics.snapshot, metrics.last_applied, metrics.purged)
    };
    // Both come back at once; what they begin is seen in a later look. An error means that Raft stops.
    if snapshot < applied {
        let _ = core.trigger().snapshot().await;
    }
    if let Some(upto) = snapshot.filter(|_| purged < snapshot) {
        let _ = core.trigger().purge_log(upto.index).await;
    }
}

/// Random pauses from a seed (xorshift64).
struct Bits(u64);

impl Bits {
    fn below(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX).max(1);
        Duration::from_nanos(self.0 % nanos)
    }
}
