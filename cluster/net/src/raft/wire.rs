//! What Raft says and stores, as plain data for the codec, and openraft's own types from and to it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use openraft::{EmptyNode, EntryPayload};

use super::types::{
    Command, Entry, LeaderId, LogId, Membership, SnapshotMeta, StoredMembership, Types, Vote,
};
use crate::codec::{self, CodecError, Decode, Encode};
use crate::limits::RAFT_NODES;

/// What the bytes are. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Question = 1,
    Answer = 2,
    Vote = 3,
    LogId = 4,
    Entry = 5,
    SnapshotMeta = 6,
}

/// Which history a node has: how often a survivor went on alone, and who did the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Generation {
    /// One more than the last; the first is 1.
    pub number: u64,
    /// The node that began it.
    pub founder: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Question {
    pub(super) generation: Option<Generation>,
    pub(super) body: Ask,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Ask {
    Vote(Ballot),
    PreVote(Ballot),
    Append {
        vote: WireVote,
        before: Option<WireLogId>,
        entries: Vec<WireEntry>,
        commit: Option<WireLogId>,
    },
    /// The snapshot itself is the question's tail.
    Snapshot {
        vote: WireVote,
        meta: WireMeta,
    },
    Transfer {
        from: WireVote,
        to: u64,
        last: Option<WireLogId>,
    },
    Propose(Vec<u8>),
    ReadIndex,
    Change(Change),
}

/// A change of who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// Adds a node that does not vote, and waits until it has caught up.
    AddLearner(u16),
    /// Lets a learner vote.
    Promote(u16),
    /// Takes a node out, whatever it was.
    Remove(u16),
    /// Lets a learner vote in the place of a node that is taken out.
    Replace {
        /// Who goes.
        old: u16,
        /// Who comes.
        new: u16,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Answer {
    Vote { vote: WireVote, granted: bool, last: Option<WireLogId> },
    Appended,
    AppendedUpTo(Option<WireLogId>),
    Conflict,
    HigherVote(WireVote),
    Installed(WireVote),
    Transferring,
    VoteChanged { expected: WireVote, actual: WireVote },
    NotFlushed { expected: Option<WireLogId>, actual: Option<WireLogId> },
    Proposed { index: u64, outcome: Vec<u8> },
    ReadIndex(u64),
    Changed,
    Refused(Refusal),
}

/// Why a node does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum Refusal {
    /// It has another history.
    Generation(Option<Generation>),
    /// The question cannot be read.
    Malformed,
    /// It does not lead; perhaps this one does.
    NotLeader(Option<u64>),
    /// Nobody knows whether it will be done.
    Unknown,
    /// It cannot be done, for the log.
    Impossible(String),
    /// Its Raft has stopped.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct WireVote {
    term: u64,
    node: u64,
    committed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct WireLogId {
    term: u64,
    node: u64,
    index: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Ballot {
    vote: WireVote,
    last: Option<WireLogId>,
    transfer: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct WireEntry {
    id: WireLogId,
    payload: Payload,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Payload {
    Blank,
    Command(Vec<u8>),
    Members(Members),
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Members {
    voters: Vec<Vec<u64>>,
    nodes: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct WireMeta {
    last: Option<WireLogId>,
    members_at: Option<WireLogId>,
    members: Members,
}

pub(super) fn encode<T: Encode>(tag: Tag, value: &T) -> Result<Vec<u8>, CodecError> {
    codec::encode_raft(tag as u8, value)
}

pub(super) fn decode<T: Decode<()>>(tag: Tag, bytes: &[u8]) -> Result<T, CodecError> {
    codec::decode_raft(tag as u8, bytes)
}

impl From<&Vote> for WireVote {
    fn from(vote: &Vote) -> Self {
        let LeaderId { term, node_id } = *vote.leader_id();
        Self { term, node: node_id, committed: vote.is_committed() }
    }
}

impl From<WireVote> for Vote {
    fn from(wire: WireVote) -> Self {
        let leader = LeaderId { term: wire.term, node_id: wire.node };
        Self { leader_id: leader, committed: wire.committed }
    }
}

impl From<LogId> for WireLogId {
    fn from(id: LogId) -> Self {
        Self { term: id.leader_id.term, node: id.leader_id.node_id, index: id.index }
    }
}

impl From<WireLogId> for LogId {
    fn from(wire: WireLogId) -> Self {
        Self { leader_id: LeaderId { term: wire.term, node_id: wire.node }, index: wire.index }
    }
}

impl From<&VoteRequest<Types>> for Ballot {
    fn from(request: &VoteRequest<Types>) -> Self {
        Self {
            vote: (&request.vote).into(),
            last: request.last_log_id.map(Into::into),
            transfer: request.leadership_transfer,
        }
    }
}

impl From<Ballot> for VoteRequest<Types> {
    fn from(ballot: Ballot) -> Self {
        let mut request = Self::new(ballot.vote.into(), ballot.last.map(Into::into));
        request.leadership_transfer = ballot.transfer;
        request
    }
}

impl From<VoteResponse<Types>> for Answer {
    fn from(response: VoteResponse<Types>) -> Self {
        Self::Vote {
            vote: (&response.vote).into(),
            granted: response.vote_granted,
            last: response.last_log_id.map(Into::into),
        }
    }
}

impl From<AppendEntriesRequest<Types>> for Ask {
    fn from(request: AppendEntriesRequest<Types>) -> Self {
        Self::Append {
            vote: (&request.vote).into(),
            before: request.prev_log_id.map(Into::into),
            entries: request.entries.iter().map(Into::into).collect(),
            commit: request.leader_commit.map(Into::into),
        }
    }
}

impl From<AppendEntriesResponse<Types>> for Answer {
    fn from(response: AppendEntriesResponse<Types>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Appended,
            AppendEntriesResponse::PartialSuccess(upto) => Self::AppendedUpTo(upto.map(Into::into)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote((&vote).into()),
        }
    }
}

impl From<&Entry> for WireEntry {
    fn from(entry: &Entry) -> Self {
        let payload = match &entry.payload {
            EntryPayload::Blank => Payload::Blank,
            EntryPayload::Normal(command) => Payload::Command(command.0.to_vec()),
            EntryPayload::Membership(members) => Payload::Members(members.into()),
        };
        Self { id: entry.log_id.into(), payload }
    }
}

impl WireEntry {
    pub(super) fn open(self) -> Result<Entry, CodecError> {
        let payload = match self.payload {
            Payload::Blank => EntryPayload::Blank,
            Payload::Command(bytes) => EntryPayload::Normal(Command(Bytes::from(bytes))),
            Payload::Members(members) => EntryPayload::Membership(members.try_into()?),
        };
        Ok(Entry { log_id: self.id.into(), payload })
    }
}

impl From<&Membership> for Members {
    fn from(members: &Membership) -> Self {
        let sets = members.get_joint_config().iter();
        Self {
            voters: sets.map(|set| set.iter().copied().collect()).collect(),
            nodes: members.nodes().map(|(node, _)| *node).collect(),
        }
    }
}

impl TryFrom<Members> for Membership {
    type Error = CodecError;

    fn try_from(wire: Members) -> Result<Self, CodecError> {
        // Two sets while voters change, never more.
        if wire.voters.len() > 2 || wire.nodes.len() > RAFT_NODES {
            return Err(CodecError::Limit);
        }
        let sets = wire.voters.into_iter().map(|set| set.into_iter().collect::<BTreeSet<_>>());
        let nodes = wire.nodes.into_iter().map(|node| (node, EmptyNode::new()));
        let (sets, nodes) = (sets.collect::<Vec<_>>(), nodes.collect::<BTreeMap<_, _>>());
        if sets.is_empty() && nodes.is_empty() {
            return Ok(Self::default());
        }
        Self::new(sets, nodes).map_err(|_| CodecError::Body)
    }
}

impl From<&SnapshotMeta> for WireMeta {
    fn from(meta: &SnapshotMeta) -> Self {
        Self {
            last: meta.last_log_id.map(Into::into),
            members_at: meta.last_membership.log_id().map(Into::into),
            members: meta.last_membership.membership().into(),
        }
    }
}

impl TryFrom<WireMeta> for SnapshotMeta {
    type Error = CodecError;

    fn try_from(wire: WireMeta) -> Result<Self, CodecError> {
        let at = wire.members_at.map(Into::into);
        Ok(Self {
            last_log_id: wire.last.map(Into::into),
            last_membership: StoredMembership::new(at, wire.members.try_into()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(voters: &[&[u64]], nodes: &[u64]) -> Membership {
        let sets = voters.iter().map(|set| set.iter().copied().collect()).collect();
        let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (*node, EmptyNode::new())).collect();
        Membership::new(sets, nodes).unwrap()
    }

    fn entries() -> [Entry; 3] {
        let id = |index| LogId { leader_id: LeaderId { term: 7, node_id: 2 }, index };
        [
            Entry { log_id: id(3), payload: EntryPayload::Blank },
            Entry {
                log_id: id(4),
                payload: EntryPayload::Normal(Command(Bytes::from_static(b"abc"))),
            },
            Entry {
                log_id: id(300),
                payload: EntryPayload::Membership(members(&[&[1, 2], &[2, 3]], &[1, 2, 3, 4])),
            },
        ]
    }

    /// What stands in stores and is said by other versions: not to be changed, only added to.
    #[test]
    fn the_bytes_of_entries_do_not_change() {
        let golden: [&[u8]; 3] = [
            &[1, 5, 7, 2, 3, 0],
            &[1, 5, 7, 2, 4, 1, 3, b'a', b'b', b'c'],
            &[1, 5, 7, 2, 251, 44, 1, 2, 2, 2, 1, 2, 2, 2, 3, 4, 1, 2, 3, 4],
        ];
        for (entry, golden) in entries().iter().zip(golden) {
            let bytes = encode(Tag::Entry, &WireEntry::from(entry)).unwrap();
            assert_eq!(bytes, golden);
            let again: WireEntry = decode(Tag::Entry, &bytes).unwrap();
            assert_eq!(again.open().unwrap(), *entry);
        }
    }

    #[test]
    fn the_bytes_of_questions_do_not_change() {
        let generation = Some(Generation { number: 1, founder: 2 });
        let vote = WireVote { term: 5, node: 2, committed: true };
        let last = Some(WireLogId { term: 4, node: 1, index: 9 });
        let ballot = Ballot { vote, last, transfer: false };
        let meta = WireMeta {
            last,
            members_at: None,
            members: Members { voters: vec![vec![1]], nodes: vec![1] },
        };
        let entries = entries().iter().map(WireEntry::from).take(1).collect();
        let golden: [(Ask, &[u8]); 8] = [
            (Ask::Vote(ballot.clone()), &[0, 5, 2, 1, 1, 4, 1, 9, 0]),
            (Ask::PreVote(ballot), &[1, 5, 2, 1, 1, 4, 1, 9, 0]),
            (
                Ask::Append { vote, before: last, entries, commit: None },
                &[2, 5, 2, 1, 1, 4, 1, 9, 1, 7, 2, 3, 0, 0],
            ),
            (Ask::Snapshot { vote, meta }, &[3, 5, 2, 1, 1, 4, 1, 9, 0, 1, 1, 1, 1, 1]),
            (Ask::Transfer { from: vote, to: 3, last: None }, &[4, 5, 2, 1, 3, 0]),
            (Ask::Propose(vec![8]), &[5, 1, 8]),
            (Ask::ReadIndex, &[6]),
            (Ask::Change(Change::Replace { old: 1, new: 4 }), &[7, 3, 1, 4]),
        ];
        for (body, golden) in golden {
            let question = Question { generation, body };
            let bytes = encode(Tag::Question, &question).unwrap();
            let (head, rest) = bytes.split_at(5);
            assert_eq!((head, rest), (&[1, 1, 1, 1, 2][..], golden), "{question:?}");
            assert_eq!(decode::<Question>(Tag::Question, &bytes), Ok(question));
        }
    }

    #[test]
    fn a_membership_beyond_the_limits_is_refused() {
        let sets = |sets, nodes: u64| Members {
            voters: vec![vec![1]; sets],
            nodes: (1..=nodes).collect(),
        };
        let most = RAFT_NODES as u64;
        assert!(Membership::try_from(sets(2, most)).is_ok());
        assert_eq!(Membership::try_from(sets(3, 1)), Err(CodecError::Limit));
        assert_eq!(Membership::try_from(sets(1, most + 1)), Err(CodecError::Limit));
        let voter_without_node = Members { voters: vec![vec![1]], nodes: vec![2] };
        assert_eq!(Membership::try_from(voter_without_node), Err(CodecError::Body));
        let empty = Members { voters: vec![], nodes: vec![] };
        assert_eq!(Membership::try_from(empty), Ok(Membership::default()));
    }

    proptest! {
        /// A peer may say anything.
        #[test]
        fn nonsense_is_an_error_and_no_more(mut bytes in prop::collection::vec(any::<u8>(), 2..200)) {
            for tag in [Tag::Question, Tag::Answer, Tag::Entry, Tag::SnapshotMeta] {
                bytes[..2].copy_from_slice(&[codec::VERSION, tag as u8]);
                let _ = decode::<Question>(tag, &bytes);
                let _ = decode::<Answer>(tag, &bytes);
                let _ = decode::<WireEntry>(tag, &bytes).map(WireEntry::open);
                let _ = decode::<WireMeta>(tag, &bytes).map(SnapshotMeta::try_from);
            }
        }
    }
}
