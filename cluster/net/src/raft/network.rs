//! openraft's questions to peers, as calls of the transport.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{RPCOption, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{EmptyNode, OptionalSend};

use super::store::RaftStore;
use super::types::{LogId, Snapshot, Types, Vote, node, number};
use super::wire::{self, Answer, Ask, Question, Refusal, Tag};
use crate::limits::{RAFT_BYTES_A_SECOND, RAFT_CALL_TIMEOUT};
use crate::transport::{CallError, Channel, Question as Asked, Sender, Urgency};
use crate::{Counter, Counters};

/// What asking and answering share.
#[derive(Debug)]
pub(super) struct Context {
    /// The way to the others; none for a node that is in no cluster.
    pub(super) sender: Option<Sender>,
    pub(super) counters: Arc<Counters>,
    pub(super) store: RaftStore,
    pub(super) own: u64,
    begun: Instant,
    /// Milliseconds from `begun` to the last word of a leader.
    heard: AtomicU64,
}

/// Why a peer did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Call(CallError),
    Unreadable,
    Refused(Refusal),
}

impl Context {
    pub(super) fn new(sender: Option<Sender>, store: RaftStore) -> Self {
        let counters = sender.as_ref().map(|sender| Arc::clone(sender.counters()));
        let (counters, own) = (counters.unwrap_or_default(), number(store.node()));
        Self { sender, counters, store, own, begun: Instant::now(), heard: AtomicU64::new(0) }
    }

    pub(super) fn hear_leader(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    /// How many peers are connected.
    pub(super) fn peers(&self) -> usize {
        self.sender.as_ref().map_or(0, |sender| sender.peers().len())
    }

    /// How long no leader was heard.
    pub(super) fn silence(&self) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(heard)
    }

    pub(super) async fn ask(
        &self,
        target: u64,
        body: Ask,
        tail: Bytes,
        urgency: Urgency,
        within: Duration,
    ) -> Result<Answer, Failure> {
        let sender = self.sender.as_ref().ok_or(Failure::Call(CallError::Down))?;
        let question = Question { generation: self.store.generation(), body };
        let message = wire::encode(Tag::Question, &question);
        let message = message.map_err(|_| Failure::Call(CallError::TooLarge))?;
        let asked = Asked { channel: Channel::Raft, message, tail, urgency };
        let answer = sender.call(node(target), asked, within).await.map_err(Failure::Call)?;
        let answer = wire::decode(Tag::Answer, &answer).map_err(|_| Failure::Unreadable)?;
        let Answer::Refused(refusal) = answer else { return Ok(answer) };
        if matches!(refusal, Refusal::Generation(_)) {
            self.counters.count(Counter::RaftRefusedForGeneration);
        }
        Err(Failure::Refused(refusal))
    }
}

/// How long a question of so many bytes may take.
pub(super) fn patience(bytes: usize) -> Duration {
    RAFT_CALL_TIMEOUT + Duration::from_secs((bytes / RAFT_BYTES_A_SECOND) as u64)
}

/// Makes openraft's ways to its peers.
pub(super) struct Network(pub(super) Arc<Context>);

impl RaftNetworkFactory<Types> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _: &EmptyNode) -> Peer {
        Peer { context: Arc::clone(&self.0), target, heartbeats: false }
    }

    async fn new_heartbeat_client(&mut self, target: u64, _: &EmptyNode) -> Peer {
        Peer { context: Arc::clone(&self.0), target, heartbeats: true }
    }
}

/// The way to one peer.
pub(super) struct Peer {
    context: Arc<Context>,
    target: u64,
    heartbeats: bool,
}

impl Peer {
    async fn prompt(&self, body: Ask, within: Duration) -> Result<Answer, RPCError<Types>> {
        let asked = self.context.ask(self.target, body, Bytes::new(), Urgency::Prompt, within);
        asked.await.map_err(|failure| self.error(failure, within))
    }

    fn error(&self, failure: Failure, timeout: Duration) -> RPCError<Types> {
        match failure {
            Failure::Call(CallError::Late) => RPCError::Timeout(Timeout {
                action: RPCTypes::AppendEntries,
                id: self.context.own,
                target: self.target,
                timeout,
            }),
            Failure::Call(error @ (CallError::Broken | CallError::TooLarge)) => {
                RPCError::Network(NetworkError::new(&error))
            }
            Failure::Call(error @ CallError::Down) => {
                RPCError::Unreachable(Unreachable::new(&error))
            }
            Failure::Unreadable => {
                RPCError::Network(NetworkError::from_string("the answer cannot be read"))
            }
            Failure::Refused(refusal) => {
                RPCError::Unreachable(Unreachable::from_string(format!("refused: {refusal:?}")))
            }
        }
    }
}

fn unexpected() -> RPCError<Types> {
    RPCError::Network(NetworkError::from_string("the answer is to another question"))
}

fn ballot(answer: Answer) -> Result<VoteResponse<Types>, RPCError<Types>> {
    let Answer::Vote { vote, granted, last } = answer else { return Err(unexpected()) };
    Ok(VoteResponse::new(Vote::from(vote), last.map(LogId::from), granted))
}

fn appended(answer: Answer) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
    match answer {
        Answer::Appended => Ok(AppendEntriesResponse::Success),
        Answer::AppendedUpTo(upto) => {
            Ok(AppendEntriesResponse::PartialSuccess(upto.map(LogId::from)))
        }
        Answer::Conflict => Ok(AppendEntriesResponse::Conflict),
        Answer::HigherVote(vote) => Ok(AppendEntriesResponse::HigherVote(vote.into())),
        Answer::Vote { .. }
        | Answer::Installed(_)
        | Answer::Transferring
        | Answer::VoteChanged { .. }
        | Answer::NotFlushed { .. }
        | Answer::Proposed { .. }
        | Answer::ReadIndex(_)
        | Answer::Changed
        | Answer::Refused(_) => Err(unexpected()),
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let bytes: usize = rpc.entries.iter().map(entry_bytes).sum();
        let urgency = if bytes == 0 { Urgency::Prompt } else { Urgency::Usual };
        // openraft's own limit is a heartbeat's, which is too short for what has to be written.
        let within = if self.heartbeats { option.soft_ttl() } else { patience(bytes) };
        let asked = self.context.ask(self.target, rpc.into(), Bytes::new(), urgency, within);
        appended(asked.await.map_err(|failure| self.error(failure, within))?)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        ballot(self.prompt(Ask::Vote((&rpc).into()), option.soft_ttl()).await?)
    }

    /// The trait would grant it without asking, and an isolated node's term would grow.
    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        ballot(self.prompt(Ask::PreVote((&rpc).into()), option.soft_ttl()).await?)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let Snapshot { meta, snapshot } = snapshot;
        let within = patience(snapshot.len());
        let body = Ask::Snapshot { vote: (&vote).into(), meta: (&meta).into() };
        let asked = self.context.ask(self.target, body, snapshot, Urgency::Idle, within);
        let answer = tokio::select! {
            answer = asked => answer.map_err(|failure| self.error(failure, within))?,
            closed = cancel => return Err(closed.into()),
        };
        let Answer::Installed(vote) = answer else { return Err(unexpected().into()) };
        Ok(SnapshotResponse::new(vote.into()))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let body = Ask::Transfer {
            from: request.from_leader().into(),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Into::into),
        };
        match self.prompt(body, option.soft_ttl()).await? {
            Answer::Transferring => Ok(Ok(())),
            Answer::VoteChanged { expected, actual } => Ok(Err(TransferLeaderError::VoteChanged {
                expected: expected.into(),
                actual: actual.into(),
            })),
            Answer::NotFlushed { expected, actual } => {
                Ok(Err(TransferLeaderError::LogNotFlushed {
                    expected: expected.map(LogId::from),
                    actual: actual.map(LogId::from),
                }))
            }
            Answer::Vote { .. }
            | Answer::Appended
            | Answer::AppendedUpTo(_)
            | Answer::Conflict
            | Answer::HigherVote(_)
            | Answer::Installed(_)
            | Answer::Proposed { .. }
            | Answer::ReadIndex(_)
            | Answer::Changed
            | Answer::Refused(_) => Err(unexpected()),
        }
    }
}

fn entry_bytes(entry: &super::types::Entry) -> usize {
    match &entry.payload {
        openraft::EntryPayload::Normal(command) => command.0.len(),
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => 1,
    }
}
