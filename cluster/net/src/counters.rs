//! What was refused, lost or sent: one number for each cause.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $kebab:literal,)+) => {
        /// A cause, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Counter {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Counter {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Name in metrics and on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $kebab,)+
                }
            }

            /// What happened, for people.
            #[must_use]
            pub const fn explain(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)+),)+
                }
            }
        }
    };
}

impl Counter {
    /// The counter of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|counter| counter.name() == name)
    }

    /// Whether something was refused or lost, and not only done.
    #[must_use]
    pub const fn is_loss(self) -> bool {
        !matches!(self, Self::DatagramsSent | Self::DatagramsReceived | Self::Joined)
    }
}

counters! {
    /// A datagram on the port that cannot be QUIC: its fixed bit is not set (RFC 9000 §17).
    NotQuic = "not-quic",
    /// More handshakes under way than are worth it; the caller tries again.
    HandshakesFull = "handshakes-full",
    /// A handshake, or the hello after it, took too long.
    HandshakeLate = "handshake-late",
    /// A handshake failed for a reason that has no counter of its own.
    HandshakeFailed = "handshake-failed",
    /// A peer speaks no version of the protocol that this node speaks.
    NoCommonVersion = "no-common-version",
    /// A caller showed no certificate.
    NoCertificate = "no-certificate",
    /// A certificate was not made by this cluster's authority.
    ForeignCertificate = "foreign-certificate",
    /// A certificate of this authority that names no node of this cluster, or more than one.
    NamelessCertificate = "nameless-certificate",
    /// A certificate of a node that is not, or no longer, a member.
    NotAMember = "not-a-member",
    /// A certificate with this node's own number: an address of ours among the peers, or a stolen key.
    OwnIdentity = "own-identity",
    /// The peer refused this node's certificate or its call.
    RefusedByPeer = "refused-by-peer",
    /// Nobody answered at the address of a peer.
    PeerUnreachable = "peer-unreachable",
    /// A second connection to the same peer; both ends keep the same one.
    DuplicateConnection = "duplicate-connection",
    /// A bulk connection of a peer that has no control connection.
    BulkWithoutPeer = "bulk-without-peer",
    /// The first message of a connection was no hello, or contradicts the certificate.
    BadHello = "bad-hello",
    /// A frame longer than allowed.
    OversizedFrame = "oversized-frame",
    /// A frame that stopped in the middle, or a peer that takes none.
    Stalled = "stalled",
    /// A control message that cannot be read.
    Malformed = "malformed",
    /// A control message of a kind that this version does not know; it is passed over.
    UnknownMessage = "unknown-message",
    /// A datagram that found no room to be sent.
    DatagramSendFull = "datagram-send-full",
    /// A datagram longer than the path carries.
    DatagramTooLarge = "datagram-too-large",
    /// A received datagram that the driver had no room for.
    DatagramReceiveFull = "datagram-receive-full",
    /// A control message that found the peer's queue full.
    ControlSendFull = "control-send-full",
    /// A bulk block that found the peer's queue full.
    BulkSendFull = "bulk-send-full",
    /// Something to be sent to a peer that is not connected.
    PeerDown = "peer-down",
    /// Datagrams sent.
    DatagramsSent = "datagrams-sent",
    /// Datagrams received and handed to the driver.
    DatagramsReceived = "datagrams-received",
    /// A question to a peer that was not answered in time.
    CallLate = "call-late",
    /// A peer's question while nobody here answers any of its channel, or on a channel that is not known.
    CallUnwanted = "call-unwanted",
    /// A peer's question that found the queue full.
    CallsFull = "calls-full",
    /// A Raft message that cannot be read.
    RaftMalformed = "raft-malformed",
    /// A Raft message of a node with another generation of the cluster: its history is another one.
    RaftOtherGeneration = "raft-other-generation",
    /// A Raft snapshot that the state machine cannot read.
    RaftSnapshotMalformed = "raft-snapshot-malformed",
    /// A peer refused a Raft message because it has another generation of the cluster.
    RaftRefusedForGeneration = "raft-refused-for-generation",
    /// A Raft campaign that was begun because no leader was heard for long.
    RaftLeaderless = "raft-leaderless",
    /// A question or answer about the policy that cannot be read, or that speaks for another node.
    PolicyMalformed = "policy-malformed",
    /// Joiners that were given an identity.
    Joined = "joined",
    /// A joiner's proof came too soon after others.
    JoinTooOften = "join-too-often",
    /// A joiner with a token that was never made here, or with a wrong proof.
    JoinWrongToken = "join-wrong-token",
    /// A joiner with a token that was used before.
    JoinTokenUsed = "join-token-used",
    /// A joiner with a token that has expired.
    JoinTokenExpired = "join-token-expired",
    /// A joiner with a good token that asked for what it cannot have.
    JoinRefused = "join-refused",
    /// A joiner that went away, took too long or said nothing that can be read.
    JoinBroken = "join-broken",
}

/// The numbers of one endpoint. Shared by its tasks; there is nothing global.
#[derive(Debug)]
pub struct Counters {
    values: [AtomicU64; Counter::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self { values: [const { AtomicU64::new(0) }; Counter::ALL.len()] }
    }
}

impl Counters {
    /// One more.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// `count` more.
    pub fn add(&self, counter: Counter, count: u64) {
        self.values[counter as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize].load(Ordering::Relaxed)
    }

    /// All of them by name, those that are zero, too.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<&'static str, u64> {
        Counter::ALL.iter().map(|counter| (counter.name(), self.get(*counter))).collect()
    }

    /// All that are not zero.
    #[must_use]
    pub fn nonzero(&self) -> Vec<(Counter, u64)> {
        let all = Counter::ALL.iter().map(|counter| (*counter, self.get(*counter)));
        all.filter(|(_, value)| *value > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_each_is_explained() {
        let names: std::collections::BTreeSet<_> =
            Counter::ALL.iter().map(|counter| counter.name()).collect();
        assert_eq!(names.len(), Counter::ALL.len());
        for (at, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, at);
            assert_eq!(Counter::named(counter.name()), Some(*counter));
            assert!(counter.explain().trim().len() > 10, "{}", counter.name());
        }
    }

    #[test]
    fn only_what_was_counted_is_there() {
        let counters = Counters::default();
        counters.count(Counter::Malformed);
        counters.add(Counter::DatagramsSent, 3);
        assert_eq!(counters.get(Counter::DatagramsSent), 3);
        assert_eq!(counters.nonzero(), [(Counter::Malformed, 1), (Counter::DatagramsSent, 3)]);
        let all = counters.by_name();
        assert_eq!((all.len(), all["malformed"], all["stalled"]), (Counter::ALL.len(), 1, 0));
    }

    #[test]
    fn what_was_only_done_is_no_loss() {
        let done = Counter::ALL.iter().filter(|counter| !counter.is_loss());
        let done: Vec<_> = done.map(|counter| counter.name()).collect();
        assert_eq!(done, ["datagrams-sent", "datagrams-received", "joined"]);
    }
}
