//! Bounds of the policy's driver.

use core::time::Duration;

/// Pause after a write of the node's facts that failed: a full disk is emptied by people.
pub(super) const DISK_AGAIN: Duration = Duration::from_secs(1);

/// Bytes of memory for each byte of a text while it is read, at the peak; `room/measured.rs` holds this and
/// the next ones against what they take.
pub(super) const MEMORY_PER_TEXT_BYTE: u64 = 40;

/// Bytes for each address range while a policy is compiled.
pub(super) const MEMORY_PER_RANGE: u64 = 400;

/// Bytes for each rule while a policy is compiled.
pub(super) const MEMORY_PER_RULE: u64 = 4_096;

/// Bytes for each service of a rule while a policy is compiled.
pub(super) const MEMORY_PER_SERVICE: u64 = 512;

/// Policies that may be worked on at once beside the one in force: a proposal, and a check.
pub(super) const MEMORY_COPIES: u64 = 2;

/// Memory that must be left for everything else, bytes.
pub(super) const MEMORY_SPARE: u64 = 16 << 20;

/// Compiled policies kept at once: what runs, the way back, and a proposal.
pub(super) const COMPILED_KEPT: usize = 3;

/// Niceness of work on a thread of its own: what ordinary programs have.
pub(super) const ORDINARY: i8 = 0;

/// Checks of a text under way on a node at once; more wait for their turn. Each compiles a whole policy, and
/// [`MEMORY_COPIES`] counts on that.
pub(super) const CHECKS: usize = 1;

/// How long a check waits for what other members say: as long as they may take for a proposal. Afterwards
/// they count as not asked.
pub(super) const CHECK_PATIENCE: Duration = cluster_core::limits::READY_WAIT;

/// How long a check waits for membership's word that a firewall which does not answer is dead: many times
/// what that takes.
pub(super) const DEAD_AFTER: Duration = Duration::from_secs(1);

/// How long an operator's request looks for somebody who leads before it says that nobody does: an election
/// takes two seconds at most.
pub(super) const LEADER_PATIENCE: Duration = Duration::from_secs(5);

/// How long a request may take altogether: a second more than the leader's own bound.
pub(super) const REQUEST_PATIENCE: Duration = Duration::from_secs(31);

/// Between two looks for a leader.
pub(super) const LEADER_LOOK: Duration = Duration::from_millis(20);

/// How long a report or a question for clearance is on its way; the next one comes sooner.
pub(super) const WORD_TIMEOUT: Duration = Duration::from_millis(400);

/// How long an entry that the leader appends by itself may take before it is appended again.
pub(super) const APPEND_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a change of Raft's members may take: a learner fetches all of the log first.
pub(super) const CHANGE_TIMEOUT: Duration = Duration::from_secs(20);

/// When a node that did not learn all in time may try again. One with another history never does, and the
/// leader has other things to look after.
pub(super) const LEARN_AGAIN: Duration = Duration::from_secs(60);

/// How long who is to leave still takes part in the log: it learns there that it is to forward nothing. Some
/// of the leader's heartbeats, by which it hears what is committed.
pub(super) const PARTING: Duration = Duration::from_secs(2);

/// How long an operator's `leave` waits until the node is out: as long as it is told to go, two changes of
/// Raft's members, and an election if it led.
pub(super) const LEAVE_PATIENCE: Duration = Duration::from_secs(50);

/// How often `leave` looks whether the node is out: short beside the seconds that it takes.
pub(super) const LEAVE_LOOK: Duration = Duration::from_millis(50);

/// How often the leader looks after members, zones and owner.
pub(super) const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// How often it looks whether a chore is over: the next one waits for that.
pub(super) const CHORE_LOOK: Duration = Duration::from_millis(20);

/// The pause before a shard that did not switch is told again.
pub(super) const SWITCH_AGAIN: Duration = Duration::from_millis(100);

/// How long a node without a cluster may take to run its first policy before it counts as started all the
/// same: parsing, compiling and two writes to the disk take a second at most.
pub(crate) const FIRST_POLICY: Duration = Duration::from_secs(20);

/// Between two looks whether it does.
pub(crate) const FIRST_POLICY_LOOK: Duration = Duration::from_millis(2);

/// Bytes of a text up to which the history counts its changes: longer ones take too long to be compared
/// each time.
pub(super) const COUNTED_BYTES: usize = 256 << 10;

/// How long the answer to a comparison or a linearizable look waits for the leader.
pub(super) const LOOK_PATIENCE: Duration = Duration::from_secs(2);
