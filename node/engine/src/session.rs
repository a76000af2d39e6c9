//! The session: both directions of a five-tuple, in exactly three cache lines.
//!
//! ```text
//!   0  key 40 · deadline 8 · epoch 4 · fib generation 4 · flags 2 · close 1 · life 1 · idle 4
//!  64  TCP state 48 · egress of each direction 2 × 8
//! 128  packets 2 × 8 · bytes 2 × 8 · id 8 · conversation 8 · created 8 · rule 4 · zones 2 × 2
//! ```
//!
//! The first line answers "is it mine, is it current", the second is what the tracker and the
//! rewriting of the frame need, the third is counted into. Everything that has two sides is an array
//! indexed by the [`Peer`] who *sends*.

mod reason;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use config::Alg;
use wire::{Direction, FlowKey, Protocol, Time};

pub use self::reason::CloseReason;
use crate::policy::LifeIndex;
use crate::tcp::Tcp;
use crate::{PortId, RuleIndex, ZoneId};

/// One session of the table. Times are absolute here; a record for another node carries the rest
/// of the life instead.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Session {
    /// Canonical five-tuple with the routing domain: what the session is found by.
    pub key: FlowKey, //                      0
    /// When it ends if no packet comes. Written by every packet; the timer wheel asks for it.
    pub deadline: Time, //                   40
    /// The policy's epoch that `rule` and `zones` belong to (low 32 bits).
    pub epoch: u32, //                       48
    /// The generation of the FIB that the cached egresses were looked up in.
    fib_generation: u32, //                  52
    /// What is known about it, bit by bit.
    pub flags: Flags, //                     56
    /// Why it is about to end, once that is decided.
    pub close_reason: Option<CloseReason>, // 58
    /// Its rule's or service's own idle life, of `epoch`'s policy; 0 if it has none.
    pub life: LifeIndex, //                  59
    /// Last packet, in units of 2^24 ns (16.8 ms) after `created`; enough for 2.2 years.
    idle_mark: u32, //                       60
    /// The TCP tracker's state; idle for other protocols.
    pub tcp: Tcp, //                         64
    /// Where each peer's packets leave, by sender.
    egress: [Egress; 2], //                 112
    /// Packets, by sender.
    pub packets: [u64; 2], //               128
    /// Bytes of IP datagrams, by sender.
    pub bytes: [u64; 2], //                 144
    /// Its name, in 48 bits of its [`SessionId`]'s counter below the place of its origin.
    pub id: u64, //                         160
    /// The name of the session that this one was opened for (by an ALG), or its own.
    pub conversation: u64, //               168
    /// When its first packet came.
    pub created: Time, //                   176
    /// The rule that permitted it, within `epoch`.
    pub rule: RuleIndex, //                 184
    /// The zones of initiator and responder.
    pub zones: [ZoneId; 2], //              188
}

/// Who sends: the host whose packet opened the session, or the one it was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Peer {
    /// Sent the first packet.
    Initiator = 0,
    /// Was sent the first packet.
    Responder = 1,
}

/// Where packets of one direction leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// The port.
    pub port: PortId,
    /// The next hop's link-layer address.
    pub mac: [u8; 6],
}

/// Bits of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

/// A session's name in the whole cluster, for ever: which node opened it, in which run of the
/// daemon, and as the how-manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    /// The node's number.
    pub node: u16,
    /// The run of the node's daemon.
    pub boot: u32,
    /// Counts the sessions of that run, from 1.
    pub counter: u64,
}

/// What a new session starts with; see [`Session::new`].
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// The canonical key.
    pub key: FlowKey,
    /// Which way the first packet goes within the key.
    pub direction: Direction,
    /// The session's running number.
    pub id: u64,
    /// The permitting rule.
    pub rule: RuleIndex,
    /// The policy's epoch.
    pub epoch: u32,
    /// The zones of initiator and responder.
    pub zones: [ZoneId; 2],
}

impl Session {
    /// A slot of the table that holds nothing.
    pub(crate) fn empty() -> Self {
        let nowhere = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let (key, direction) = FlowKey::new(0, Protocol(0), nowhere, nowhere);
        let opening =
            Opening { key, direction, id: 0, rule: RuleIndex(0), epoch: 0, zones: [ZoneId(0); 2] };
        Self::new(&opening, Time::ZERO)
    }

    /// A session without packets yet, its own conversation, with a deadline that has come: the
    /// first [`Update`](crate::track::Update) gives it a life.
    pub fn new(opening: &Opening, now: Time) -> Self {
        let mut flags = Flags::default();
        flags.set(Flags::INITIATOR_REVERSE, opening.direction == Direction::Reverse);
        Self {
            key: opening.key,
            deadline: now,
            epoch: opening.epoch,
            fib_generation: 0,
            flags,
            close_reason: None,
            life: 0,
            idle_mark: 0,
            tcp: Tcp::IDLE,
            egress: [Egress::default(); 2],
            packets: [0; 2],
            bytes: [0; 2],
            id: opening.id,
            conversation: opening.id,
            created: now,
            rule: opening.rule,
            zones: opening.zones,
        }
    }

    /// Who sends the packets that go this way within the key.
    #[inline]
    pub fn sender(&self, direction: Direction) -> Peer {
        if self.flags.has(Flags::INITIATOR_REVERSE) == (direction == Direction::Reverse) {
            Peer::Initiator
        } else {
            Peer::Responder
        }
    }

    /// Which way within the key the packets of `sender` go.
    #[inline]
    pub fn direction(&self, sender: Peer) -> Direction {
        let reverse = self.flags.has(Flags::INITIATOR_REVERSE);
        if reverse == (sender == Peer::Initiator) { Direction::Reverse } else { Direction::Forward }
    }

    /// Counts one packet of `bytes` (the IP datagram) and remembers when it came.
    #[inline]
    pub fn count(&mut self, sender: Peer, bytes: u32, now: Time) {
        let side = sender.index();
        self.packets[side] = self.packets[side].saturating_add(1);
        self.bytes[side] = self.bytes[side].saturating_add(u64::from(bytes));
        self.see(now);
    }

    /// Remembers when its last packet came.
    #[inline]
    pub(crate) fn see(&mut self, now: Time) {
        let mark = now.0.saturating_sub(self.created.0) >> IDLE_SHIFT;
        self.idle_mark = u32::try_from(mark).unwrap_or(u32::MAX);
    }

    /// When its last packet came, rounded down to 16.8 ms.
    pub fn last_seen(&self) -> Time {
        Time(self.created.0.saturating_add(u64::from(self.idle_mark) << IDLE_SHIFT))
    }

    /// Whether something changed that decides about packets: what another node must know at once.
    pub(crate) fn changes_class(&self, before: &Self) -> bool {
        let known = |session: &Self| {
            [Flags::REPLY_SEEN, Flags::ASSURED].map(|flag| session.flags.has(flag))
        };
        self.tcp.changes_class(&before.tcp)
            || known(self) != known(before)
            || self.close_reason != before.close_reason
    }

    /// How long it exists.
    pub fn age(&self, now: Time) -> Duration {
        now.since(self.created)
    }

    /// The egress of `sender`'s packets, if it was looked up in this generation of the FIB.
    #[inline]
    pub fn egress(&self, sender: Peer, generation: u32) -> Option<Egress> {
        let known = self.flags.has(Flags::egress_known(sender));
        (known && self.fib_generation == generation).then_some(self.egress[sender.index()])
    }

    /// Remembers the egress of `sender`'s packets; what an older generation said is forgotten, for
    /// the other direction too.
    pub fn set_egress(&mut self, sender: Peer, generation: u32, egress: Egress) {
        if self.fib_generation != generation {
            self.forget_egress();
            self.fib_generation = generation;
        }
        self.egress[sender.index()] = egress;
        self.flags.set(Flags::egress_known(sender), true);
    }

    /// The last port that `sender`'s packets were seen to leave by, of any generation; for showing
    /// and for ports that go away, not for forwarding.
    pub fn last_egress(&self, sender: Peer) -> Option<Egress> {
        (self.egress[sender.index()] != Egress::default()
            || self.flags.has(Flags::egress_known(sender)))
        .then_some(self.egress[sender.index()])
    }

    /// The session as the policy of this epoch may see it: without what only an older policy said,
    /// that its responder may open it too, and which life is its own.
    #[must_use]
    pub(crate) fn of_epoch(&self, epoch: u32) -> Self {
        let mut session = *self;
        if session.epoch != epoch {
            session.flags.set(Flags::BOTH_MAY_OPEN, false);
            session.life = 0;
        }
        session
    }

    /// The gateway that reads its packets.
    #[inline]
    #[must_use]
    pub fn alg(&self) -> Option<Alg> {
        let number = self.flags.0 >> Flags::QUERY_SHIFT & Flags::QUERY_MASK;
        gateways(self.key.protocol()).get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Has a gateway read its packets.
    pub(crate) fn set_alg(&mut self, alg: Alg) {
        let place = gateways(self.key.protocol()).iter().position(|it| *it == alg);
        self.set_number(place);
    }

    /// Whether another session has announced it.
    #[must_use]
    pub const fn is_child(&self) -> bool {
        self.conversation != self.id
    }

    /// The type of the ICMP query that opened it; `None` of another protocol, and where an older node told.
    #[must_use]
    pub fn query(&self) -> Option<u8> {
        let number = self.flags.0 >> Flags::QUERY_SHIFT & Flags::QUERY_MASK;
        queries(self.key.protocol()).get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Remembers the type of the ICMP query that opened it. No other type is remembered.
    pub(crate) fn set_query(&mut self, kind: u8) {
        self.set_number(queries(self.key.protocol()).iter().position(|query| *query == kind));
    }

    fn set_number(&mut self, place: Option<usize>) {
        let number = place.map_or(0, |place| place as u16 + 1);
        let rest = self.flags.0 & !(Flags::QUERY_MASK << Flags::QUERY_SHIFT);
        self.flags.0 = rest | number << Flags::QUERY_SHIFT;
    }

    /// Makes both directions look their egress up again.
    pub fn forget_egress(&mut self) {
        self.flags.set(Flags::egress_known(Peer::Initiator), false);
        self.flags.set(Flags::egress_known(Peer::Responder), false);
    }

    /// Whether a packet of `sender` is part of an exchange that both have taken part in.
    pub fn is_established_for(&self, sender: Peer) -> bool {
        sender == Peer::Responder || self.flags.has(Flags::REPLY_SEEN)
    }

    /// Why it ends when its deadline has passed: that close reason which was decided, else what the
    /// TCP state tells, else the timeout.
    pub fn expiry_reason(&self) -> CloseReason {
        self.close_reason.unwrap_or_else(|| self.tcp.expiry_reason())
    }
}

impl Peer {
    /// Both, initiator first.
    pub const BOTH: [Self; 2] = [Self::Initiator, Self::Responder];

    /// The place in arrays.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The peer at the far end.
    #[inline]
    pub const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

impl Flags {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// The initiator is the second end of the canonical key.
    pub const INITIATOR_REVERSE: Self = Self(1 << 0);
    /// The responder has answered.
    pub const REPLY_SEEN: Self = Self(1 << 1);
    /// Past its beginnings (TCP: handshake complete; UDP: a stream): the last to be evicted.
    pub const ASSURED: Self = Self(1 << 2);
    /// Its rule wants its end logged.
    pub const LOG_CLOSE: Self = Self(1 << 3);
    /// The policy permits the responder to open it too (ICMP queries both ways with one id). Clear
    /// it when the policy has changed and the session was asked about again.
    pub const BOTH_MAY_OPEN: Self = Self(1 << 4);
    /// In use; the table's own.
    pub(crate) const LIVE: Self = Self(1 << 5);
    /// An ICMP error has said that its packets find no destination.
    pub const UNREACHABLE: Self = Self(1 << 8);
    /// A SYN cookie has opened it: see [`crate::proxy`].
    pub const PROXIED: Self = Self(1 << 12);
    /// Its packets are translated: see [`crate::nat`].
    pub const TRANSLATED: Self = Self(1 << 13);
    /// Its packets wait for the backup.
    pub const HELD: Self = Self(1 << 14);
    /// Its record was made, and no packet has come since.
    pub(crate) const EXPORTED: Self = Self(1 << 15);
    /// Bits 9 to 11, from 1: the number of the ICMP type that opened it ([`queries`]), or that of the gateway
    /// that reads it ([`gateways`]).
    const QUERY_SHIFT: u32 = 9;
    const QUERY_MASK: u16 = 7;
    const INITIATOR_EGRESS_KNOWN: Self = Self(1 << 6);
    const RESPONDER_EGRESS_KNOWN: Self = Self(1 << 7);

    /// Whether all bits of `other` are set.
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets or clears the bits of `other`.
    #[inline]
    pub const fn set(&mut self, other: Self, on: bool) {
        self.0 = if on { self.0 | other.0 } else { self.0 & !other.0 };
    }

    /// The bits of both.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn egress_known(sender: Peer) -> Self {
        match sender {
            Peer::Initiator => Self::INITIATOR_EGRESS_KNOWN,
            Peer::Responder => Self::RESPONDER_EGRESS_KNOWN,
        }
    }
}

impl SessionId {
    /// The bits of a counter that count; above them stands the worker.
    pub(crate) const COUNTER_BITS: u32 = 48;

    /// Whether a session may have this name: a worker, and a count that starts at 1.
    pub(crate) const fn is_possible(self) -> bool {
        let count = self.counter & ((1 << Self::COUNTER_BITS) - 1);
        count != 0 && self.counter >> (Self::COUNTER_BITS + 8) == 0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.node, self.boot, self.counter)
    }
}

/// The ICMP types that open sessions, as `track::open` has them; there are at most seven.
const fn queries(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::ICMP => &[8, 13, 15, 17],
        Protocol::ICMPV6 => &[128, 144, 145, 146, 147],
        _ => &[],
    }
}

/// The gateways for control channels of a protocol; there are at most seven.
const fn gateways(protocol: Protocol) -> &'static [Alg] {
    match protocol {
        Protocol::TCP => &[Alg::Ftp, Alg::Sip, Alg::H323, Alg::Rtsp, Alg::Pptp],
        Protocol::UDP => &[Alg::Tftp, Alg::Sip, Alg::H323, Alg::Dns],
        _ => &[],
    }
}

/// Unit of [`Session::idle_mark`]: 2^24 ns.
const IDLE_SHIFT: u32 = 24;

const _: () = assert!(size_of::<Session>() == 192, "three cache lines");
const _: () = assert!(size_of::<FlowKey>() == 40);
const _: () = assert!(std::mem::offset_of!(Session, tcp) == 64);
const _: () = assert!(std::mem::offset_of!(Session, packets) == 128);
