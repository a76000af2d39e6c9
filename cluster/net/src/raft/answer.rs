//! Answers to what peers ask.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use openraft::errors::{ChangeMembershipError, ClientWriteError, LinearizableReadError, RaftError};
use openraft::raft::TransferLeaderError;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest};
use openraft::{ChangeMembers, EmptyNode, ReadPolicy};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Replicable;
use super::machine::Machine;
use super::network::{Context, patience};
use super::status::metrics;
use super::types::{Command, Entry, LogId, Snapshot, SnapshotMeta, Types, Vote};
use super::wire::{self, Answer, Ask, Change, Generation, Question, Refusal, Tag};
use crate::Counter;
use crate::codec::CodecError;
use crate::limits::{RAFT_ANSWERS, RAFT_CHANGE_TIMEOUT};
use crate::transport::Call;

pub(super) type Core<M> = openraft::Raft<Types, Machine<M>>;

/// Answers until nobody can ask any more. As many at a time as the transport lets peers ask.
pub(super) async fn serve<M: Replicable>(
    core: Core<M>,
    context: Arc<Context>,
    mut calls: mpsc::Receiver<Call>,
) {
    let mut asked = JoinSet::new();
    while let Some(mut call) = calls.recv().await {
        while asked.try_join_next().is_some() {}
        if asked.len() >= RAFT_ANSWERS {
            // Dropping it refuses it.
            context.counters.count(Counter::CallsFull);
            continue;
        }
        let (core, context) = (core.clone(), Arc::clone(&context));
        asked.spawn(async move {
            let tail = Bytes::from(core::mem::take(&mut call.tail));
            let answer = respond(&core, &context, &call.message, tail).await;
            if let Ok(answer) = wire::encode(Tag::Answer, &answer) {
                call.answer(answer);
            }
        });
    }
}

async fn respond<M: Replicable>(
    core: &Core<M>,
    context: &Context,
    message: &[u8],
    tail: Bytes,
) -> Answer {
    let counters = &context.counters;
    let Ok(Question { generation, body }) = wire::decode(Tag::Question, message) else {
        counters.count(Counter::RaftMalformed);
        return Answer::Refused(Refusal::Malformed);
    };
    if let Err(refusal) = admit(context, generation, &body).await {
        return Answer::Refused(refusal);
    }
    match body {
        Ask::Propose(_) | Ask::ReadIndex | Ask::Change(_) => as_leader(core, body).await,
        Ask::Vote(_)
        | Ask::PreVote(_)
        | Ask::Append { .. }
        | Ask::Snapshot { .. }
        | Ask::Transfer { .. } => {
            let answer = protocol(core, context, body, tail).await;
            answer.unwrap_or_else(|refusal| {
                if refusal == Refusal::Malformed {
                    counters.count(Counter::RaftMalformed);
                }
                Answer::Refused(refusal)
            })
        }
    }
}

/// Whether who asks has this node's history. A node that has none yet takes over that of the leader
/// who sends it entries.
async fn admit(context: &Context, theirs: Option<Generation>, body: &Ask) -> Result<(), Refusal> {
    let ours = context.store.generation();
    let history = matches!(body, Ask::Append { .. } | Ask::Snapshot { .. });
    let client = matches!(body, Ask::Propose(_) | Ask::ReadIndex | Ask::Change(_));
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours == theirs => Ok(()),
        (Some(_), None) if client => Ok(()),
        (None, Some(theirs)) if history => {
            context.store.set_generation(theirs).await.map_err(|_| Refusal::Stopped)
        }
        (Some(_) | None, Some(_) | None) => {
            context.counters.count(Counter::RaftOtherGeneration);
            Err(Refusal::Generation(ours))
        }
    }
}

/// openraft's own messages.
async fn protocol<M: Replicable>(
    core: &Core<M>,
    context: &Context,
    body: Ask,
    tail: Bytes,
) -> Result<Answer, Refusal> {
    match body {
        Ask::Vote(ballot) => Ok(core.vote(ballot.into()).await.map_err(stopped)?.into()),
        Ask::PreVote(ballot) => Ok(core.pre_vote(ballot.into()).await.map_err(stopped)?.into()),
        Ask::Append { vote, before, entries, commit } => {
            let entries: Result<Vec<Entry>, CodecError> =
                entries.into_iter().map(wire::WireEntry::open).collect();
            let request = AppendEntriesRequest {
                vote: vote.into(),
                prev_log_id: before.map(LogId::from),
                entries: entries.map_err(|_| Refusal::Malformed)?,
                leader_commit: commit.map(LogId::from),
            };
            let done = core.append_entries(request).await.map_err(stopped)?;
            if !matches!(done, AppendEntriesResponse::HigherVote(_)) {
                context.hear_leader();
            }
            Ok(done.into())
        }
        Ask::Snapshot { vote, meta } => {
            context.hear_leader();
            install(core, context, vote.into(), meta, tail).await
        }
        Ask::Transfer { from, to, last } => {
            let request = TransferLeaderRequest::new(from.into(), to, last.map(LogId::from));
            Ok(match core.handle_transfer_leader(request).await.map_err(|_| Refusal::Stopped)? {
                Ok(()) => Answer::Transferring,
                Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                    Answer::VoteChanged { expected: (&expected).into(), actual: (&actual).into() }
                }
                Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                    let wired = |id: Option<LogId>| id.map(Into::into);
                    Answer::NotFlushed { expected: wired(expected), actual: wired(actual) }
                }
            })
        }
        Ask::Propose(_) | Ask::ReadIndex | Ask::Change(_) => Err(Refusal::Malformed),
    }
}

/// A snapshot that the machine cannot read would stop Raft for good, so it is looked at before.
async fn install<M: Replicable>(
    core: &Core<M>,
    context: &Context,
    vote: Vote,
    meta: wire::WireMeta,
    data: Bytes,
) -> Result<Answer, Refusal> {
    let meta = SnapshotMeta::try_from(meta).map_err(|_| Refusal::Malformed)?;
    if M::restore(&data).is_err() {
        context.counters.count(Counter::RaftSnapshotMalformed);
        return Err(Refusal::Impossible("the snapshot cannot be read".to_owned()));
    }
    let snapshot = Snapshot { meta, snapshot: data };
    let done = core.install_full_snapshot(vote, snapshot).await;
    Ok(Answer::Installed((&done.map_err(|_| Refusal::Stopped)?.vote).into()))
}

fn stopped(_: RaftError<Types>) -> Refusal {
    Refusal::Stopped
}

/// What only a leader does.
pub(super) async fn as_leader<M: Replicable>(core: &Core<M>, body: Ask) -> Answer {
    let done = match body {
        Ask::Propose(command) => propose(core, Bytes::from(command)).await,
        Ask::ReadIndex => read_index(core).await,
        Ask::Change(change) => {
            let changed = timeout(RAFT_CHANGE_TIMEOUT, members(core, change)).await;
            changed.unwrap_or(Err(Refusal::Unknown)).map(|()| Answer::Changed)
        }
        Ask::Vote(_)
        | Ask::PreVote(_)
        | Ask::Append { .. }
        | Ask::Snapshot { .. }
        | Ask::Transfer { .. } => Err(Refusal::Malformed),
    };
    done.unwrap_or_else(Answer::Refused)
}

async fn propose<M: Replicable>(core: &Core<M>, command: Bytes) -> Result<Answer, Refusal> {
    // A leader that has lost its quorum would let it wait for ever.
    let within: Duration = 5 * patience(command.len());
    let written = timeout(within, core.client_write(Command(command))).await;
    let written = written.map_err(|_| Refusal::Unknown)?.map_err(refusal)?;
    Ok(Answer::Proposed { index: written.log_id.index, outcome: written.data.0.to_vec() })
}

async fn read_index<M: Replicable>(core: &Core<M>) -> Result<Answer, Refusal> {
    let read = core.get_read_linearizer(ReadPolicy::ReadIndex).await;
    match read {
        Ok(linearizer) => Ok(Answer::ReadIndex(linearizer.read_log_id().index())),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
            Err(Refusal::NotLeader(forward.leader_id))
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            Err(Refusal::NotLeader(None))
        }
        Err(RaftError::Fatal(_)) => Err(Refusal::Stopped),
    }
}

async fn members<M: Replicable>(core: &Core<M>, change: Change) -> Result<(), Refusal> {
    let voters = |ids: &[u16]| ids.iter().map(|id| u64::from(*id)).collect::<BTreeSet<_>>();
    let changes = match change {
        Change::AddLearner(id) => {
            let added = core.add_learner(id.into(), EmptyNode::new(), true).await;
            return added.map(drop).map_err(refusal);
        }
        Change::Promote(id) => ChangeMembers::AddVoterIds(voters(&[id])),
        Change::Remove(id) => {
            let state = metrics(core).membership_config;
            if !state.voter_ids().any(|voter| voter == u64::from(id)) {
                ChangeMembers::RemoveNodes(voters(&[id]))
            } else {
                ChangeMembers::RemoveVoters(voters(&[id]))
            }
        }
        Change::Replace { old, new } => {
            let state = metrics(core).membership_config;
            let old = u64::from(old);
            let kept = state.voter_ids().filter(|voter| *voter != old);
            let all = kept.map(|voter| (voter, ())).chain([(new.into(), ())]);
            ChangeMembers::ReplaceAllVoters(all.collect::<BTreeMap<_, _>>().into_keys().collect())
        }
    };
    core.change_membership(changes, false).await.map(drop).map_err(refusal)
}

fn refusal(error: RaftError<Types, ClientWriteError<Types>>) -> Refusal {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            Refusal::NotLeader(forward.leader_id)
        }
        // Nothing was done: the change before this one is not agreed on yet, so ask again.
        RaftError::APIError(ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_),
        )) => Refusal::NotLeader(None),
        // Whether it stays in the log is decided by the next leader.
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) | RaftError::Fatal(_) => {
            Refusal::Unknown
        }
        RaftError::APIError(
            error @ (ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_)),
        ) => Refusal::Impossible(error.to_string()),
    }
}
