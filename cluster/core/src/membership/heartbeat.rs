//! The heartbeat: what a node says about itself, to one peer on one path.
//!
//! All numbers are big-endian. The length is constant in a version; a later revision of the same
//! version appends fields before the tag, which an older node authenticates and passes over.
//!
//! ```text
//!   0  version 1 · flags 1 · path 1 · role 1 · from 2 · to 2
//!   8  boot 4 · heard boot 4 (the boot of `to` that was heard last; 0: none)
//!  16  sequence 8 (of the boot, over all paths: so it orders what a node says, and stops replays)
//!  24  sent 8 (sender's clock, ns: opaque to others, who only give it back)
//!  32  echo: sent 8 · held 4 (µs) · BFD detect multiplier 1 · state 1 · diagnostic 1 · readiness 1
//!  48  acknowledged 8 (newest `sent` of a heartbeat of `to` that claimed, on any path)
//!  56  BFD: my discriminator 4 · your discriminator 4 · desired tx 4 (µs) · required rx 4 (µs)
//!  72  term 8 (highest noted on disk) · vote 2 (whose term; 0: nobody's) · fitness 2 · rank 2 · offer to 2
//!  88  offered term 8
//!  96  lease left 4 (µs) · lease length 4 (µs)
//! 104  policy digest 16
//! 120  members 8 (since the second revision; see [`Config::members`](super::Config::members))
//! 128  (later fields)
//!  -16 tag 16: SipHash-2-4-128 of everything before it
//! ```
//!
//! The tag's key is made from the cluster's secret, so that no other use of the secret shares it: with
//! `SipHash-2-4-128` keyed by its first 16 bytes, the hash of `"ringwall heartbeat 1"` and its last 16.
//! It keeps out strangers and accidents. A member that was taken over can lie; it could forward, too.

mod bytes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use siphasher::sip128::SipHasher24;

use self::bytes::{Reader, Writer};
use super::fitness::{Fitness, Readiness};
use super::liveness::{Control, Diagnostic, State};
use super::ownership::Role;
use crate::limits::HEARTBEAT_BYTES_MAX;
use crate::{Boot, NodeId, Term};

/// The version written and read.
pub const VERSION: u8 = 1;
/// Bytes of the tag at the end.
pub const TAG_LEN: usize = 16;
/// Bytes of a heartbeat of this version.
pub const HEARTBEAT_LEN: usize = 128 + TAG_LEN;

/// Bytes of a heartbeat of the first revision.
const FIRST_LEN: usize = 120 + TAG_LEN;
/// What is hashed with the cluster's secret to make the key.
const KEY_LABEL: &[u8; 20] = b"ringwall heartbeat 1";

const _: () = assert!(HEARTBEAT_LEN <= HEARTBEAT_BYTES_MAX, "what is sent can be read");

/// One path between two nodes: the fabric, or a data segment. Both ends number it alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub u8);

/// The contents of a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// What is true or not.
    pub flags: Flags,
    /// The path it is sent on.
    pub path: PathId,
    /// The sender's role.
    pub role: Role,
    /// The sender.
    pub from: NodeId,
    /// The peer it is for.
    pub to: NodeId,
    /// The sender's boot.
    pub boot: Boot,
    /// The receiver's boot, as far as the sender has heard it.
    pub heard_boot: Option<Boot>,
    /// Counts the sender's heartbeats of this boot.
    pub sequence: u64,
    /// When it was sent, by the sender's clock.
    pub sent_ns: u64,
    /// The `sent` of the receiver's last heartbeat on this path, or 0.
    pub echo_ns: u64,
    /// How long ago that was received.
    pub echo_held: Duration,
    /// The `sent` of the receiver's newest heartbeat on any path that claimed ownership, or 0.
    pub acknowledged_ns: u64,
    /// The path's session.
    pub control: Control,
    /// Whether the sender's replicas are complete.
    pub readiness: Readiness,
    /// The highest term that the sender ever claimed or voted for.
    pub term: Term,
    /// For whom it voted in that term: itself, if it claims.
    pub vote: Option<NodeId>,
    /// What speaks against the sender as an owner.
    pub fitness: Fitness,
    /// The sender's rank, as configured; higher is better.
    pub rank: u16,
    /// To whom the sender, an owner, offers the ownership, and which term to claim.
    pub offer: Option<(NodeId, Term)>,
    /// What is left of the sender's lease.
    pub lease_left: Duration,
    /// How long its leases last: a receiver waits for longer than that.
    pub lease: Duration,
    /// Digest of the policy that the sender runs.
    pub policy: [u8; 16],
    /// Who belongs to the cluster, for the sender; 0: it does not say.
    pub members: u64,
}

/// Bits of a heartbeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

/// Why a heartbeat is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// Shorter than any heartbeat, or longer than is read.
    Length = 0,
    /// Of another version of the format.
    Version,
    /// The tag does not fit: damaged, forged, or of another cluster.
    Tag,
    /// A number that the format does not know.
    Field,
    /// Sent by this node.
    Own,
    /// For another node.
    Misdirected,
    /// From a node that is no member.
    UnknownNode,
    /// Came by another path than it says, or by one that is not configured.
    Path,
    /// Of a boot of the peer that has ended.
    OldBoot,
    /// Not newer than the last one on its path.
    Replay,
}

/// The key of the tags.
#[derive(Clone)]
pub struct Key(SipHasher24);

impl Flags {
    /// The sender's forwarding has certainly ended.
    pub const ENDED: u8 = 1;
    /// The sender forwards alone, or did until it heard this peer.
    pub const ALONE: u8 = 1 << 1;
    /// The sender keeps its promise to the one it voted for: `acknowledged` counts for a lease.
    pub const BACKS: u8 = 1 << 2;
    /// The sender runs another policy than the last owner that it knows of, and does not claim.
    pub const STANDS_BACK: u8 = 1 << 3;
    /// The sender, who claims, replicates its sessions with this peer. Among two firewalls it need not say
    /// so.
    pub const NAMES_BACKUP: u8 = 1 << 4;

    /// Whether `bit` is set.
    #[must_use]
    pub const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// With `bit` set if `on`.
    #[must_use]
    pub const fn with(self, bit: u8, on: bool) -> Self {
        Self(if on { self.0 | bit } else { self.0 & !bit })
    }
}

impl Heartbeat {
    /// The bytes to send.
    #[must_use]
    pub fn encode(&self, key: &Key) -> [u8; HEARTBEAT_LEN] {
        let mut bytes = [0; HEARTBEAT_LEN];
        let (body, tag) = bytes.split_at_mut(HEARTBEAT_LEN - TAG_LEN);
        self.write(&mut Writer::new(body));
        tag.copy_from_slice(&key.tag(body).to_be_bytes());
        bytes
    }

    /// Reads what `key` authenticates. Who may say it, and whether it is new, is not asked here.
    ///
    /// # Errors
    /// Why it is no heartbeat.
    pub fn decode(bytes: &[u8], key: &Key) -> Result<Self, Refusal> {
        if !(FIRST_LEN..=HEARTBEAT_BYTES_MAX).contains(&bytes.len()) {
            return Err(Refusal::Length);
        }
        if bytes[0] != VERSION {
            return Err(Refusal::Version);
        }
        let (body, tag) = bytes.split_last_chunk::<TAG_LEN>().ok_or(Refusal::Length)?;
        if !key.fits(body, u128::from_be_bytes(*tag)) {
            return Err(Refusal::Tag);
        }
        Self::read(&mut Reader::new(body)).ok_or(Refusal::Field)
    }

    fn write(&self, w: &mut Writer<'_>) {
        w.u8(VERSION);
        w.u8(self.flags.0);
        w.u8(self.path.0);
        w.u8(self.role as u8);
        w.u16(self.from.0);
        w.u16(self.to.0);
        w.u32(self.boot.0);
        w.u32(self.heard_boot.map_or(0, |boot| boot.0));
        w.u64(self.sequence);
        w.u64(self.sent_ns);
        w.u64(self.echo_ns);
        w.micros(self.echo_held);
        w.u8(self.control.detect_multiplier);
        w.u8(self.control.state as u8);
        w.u8(self.control.diagnostic as u8);
        w.u8(self.readiness as u8);
        w.u64(self.acknowledged_ns);
        w.u32(self.control.my_discriminator);
        w.u32(self.control.your_discriminator);
        w.u32(self.control.desired_tx_us);
        w.u32(self.control.required_rx_us);
        w.u64(self.term.0);
        w.u16(self.vote.map_or(0, |node| node.0));
        w.u16(self.fitness.0);
        w.u16(self.rank);
        w.u16(self.offer.map_or(0, |(to, _)| to.0));
        w.u64(self.offer.map_or(0, |(_, term)| term.0));
        w.micros(self.lease_left);
        w.micros(self.lease);
        w.array(self.policy);
        w.u64(self.members);
    }

    /// Reads a body of at least the length of this version.
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let _version = r.u8()?;
        let mut it = Self {
            flags: Flags(r.u8()?),
            path: PathId(r.u8()?),
            role: Role::from_code(r.u8()?)?,
            from: NodeId(r.u16()?),
            to: NodeId(r.u16()?),
            boot: Boot(r.u32()?),
            heard_boot: Some(Boot(r.u32()?)).filter(|boot| boot.0 != 0),
            sequence: r.u64()?,
            sent_ns: r.u64()?,
            echo_ns: r.u64()?,
            echo_held: r.micros()?,
            ..Self::default()
        };
        it.control.detect_multiplier = r.u8()?;
        it.control.state = state_of(r.u8()?)?;
        it.control.diagnostic = diagnostic_of(r.u8()?);
        it.readiness = readiness_of(r.u8()?);
        it.acknowledged_ns = r.u64()?;
        it.control.my_discriminator = r.u32()?;
        it.control.your_discriminator = r.u32()?;
        it.control.desired_tx_us = r.u32()?;
        it.control.required_rx_us = r.u32()?;
        it.term = Term(r.u64()?);
        it.vote = Some(NodeId(r.u16()?)).filter(|node| node.0 != 0);
        it.fitness = Fitness(r.u16()?);
        it.rank = r.u16()?;
        let (to, term) = (NodeId(r.u16()?), Term(r.u64()?));
        it.offer = (to.0 != 0).then_some((to, term));
        it.lease_left = r.micros()?;
        it.lease = r.micros()?;
        it.policy = r.array()?;
        it.members = r.u64().unwrap_or(0);
        Some(it)
    }
}

/// A state that is not known could mean anything: refused.
fn state_of(code: u8) -> Option<State> {
    [State::AdminDown, State::Down, State::Init, State::Up].get(usize::from(code)).copied()
}

/// A diagnostic is told to people only: one that is not known is none.
fn diagnostic_of(code: u8) -> Diagnostic {
    use Diagnostic::{AdminDown, NeighborDown, None, TimeExpired};
    let known = [TimeExpired, NeighborDown, AdminDown].into_iter().find(|it| *it as u8 == code);
    known.unwrap_or(None)
}

/// A readiness that is not known is none.
fn readiness_of(code: u8) -> Readiness {
    use Readiness::{BulkRunning, BulkWaiting, DeadlinePassed, Ready};
    let known = [Ready, DeadlinePassed, BulkRunning].into_iter().find(|it| *it as u8 == code);
    known.unwrap_or(BulkWaiting)
}

impl Refusal {
    /// Every refusal, in the order of the counters.
    pub const ALL: [Self; 10] = [
        Self::Length,
        Self::Version,
        Self::Tag,
        Self::Field,
        Self::Own,
        Self::Misdirected,
        Self::UnknownNode,
        Self::Path,
        Self::OldBoot,
        Self::Replay,
    ];

    /// The number of refusals: the length of a counter array.
    pub const COUNT: usize = Self::ALL.len();

    /// The name in counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Version => "version",
            Self::Tag => "tag",
            Self::Field => "field",
            Self::Own => "own",
            Self::Misdirected => "misdirected",
            Self::UnknownNode => "unknown-node",
            Self::Path => "path",
            Self::OldBoot => "old-boot",
            Self::Replay => "replay",
        }
    }
}

impl Key {
    /// The key of a cluster whose secret is `secret`.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        let (first, last) = secret.split_at(16);
        let first = first.first_chunk().expect("half of 32 bytes");
        let mut message = [0; KEY_LABEL.len() + 16];
        message[..KEY_LABEL.len()].copy_from_slice(KEY_LABEL);
        message[KEY_LABEL.len()..].copy_from_slice(last);
        let key = SipHasher24::new_with_key(first).hash(&message);
        Self(SipHasher24::new_with_key(&key.as_bytes()))
    }

    fn tag(&self, body: &[u8]) -> u128 {
        self.0.hash(body).as_u128()
    }

    /// Compares in constant time ([`siphasher::sip128::Hash128`] does).
    fn fits(&self, body: &[u8], tag: u128) -> bool {
        self.0.hash(body) == tag.into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}
