//! What a packet means for its session, for every protocol: the one entrance to connection tracking.
//!
//! [`open`] judges a packet without a session, [`judge`] one that found its session. Both change
//! nothing; the change is an [`Update`], which [`SessionTable::commit`] applies once everything else
//! about the packet is decided.
//!
//! [`SessionTable::commit`]: crate::table::SessionTable::commit

#[cfg(test)]
mod tests;

use std::time::Duration;

use config::{Timeouts, WindowCheck};
use wire::{Icmp, Packet, Time, Transport, Version};

use crate::Reason;
use crate::limits::UDP_STREAM_AGE;
use crate::session::{CloseReason, Flags, Peer, Session};
use crate::tcp::{self, Segment, Stream, Tcp};

/// The part of the policy that tracking reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Idle lives.
    pub timeouts: Timeouts,
    /// `[integrity] tcp-window`.
    pub tcp_window: WindowCheck,
}

/// What tracking says of a packet that found its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Belongs to the session.
    Pass(Update),
    /// Belongs to the session, but opens it from the other side: pass it if the policy permits it
    /// as a first packet, else drop it with the policy's reason and leave the session alone.
    Ask(Update),
    /// Would begin a new session on this one's key: judge it as a first packet ([`open`], policy).
    /// If it is permitted, this session closes as [`CloseReason::Reopened`] and the new one opens;
    /// if not, it is dropped with the policy's reason and this session stays.
    Reopen,
    /// Contradicts the session.
    Invalid(Reason),
}

/// A decided change of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    tcp: Change,
    /// Flags to set.
    set: Flags,
    /// The new life from now on, nanoseconds; [`Update::KEEP`] leaves the deadline alone.
    life: u64,
    /// The state changed, so the life may have become shorter.
    stepped: bool,
    finished: Option<CloseReason>,
}

/// What becomes of the TCP tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Nothing: not TCP.
    None,
    /// A segment of an open connection.
    Stream(Stream),
    /// Anything else.
    Whole(Tcp),
}

impl Update {
    const KEEP: u64 = u64::MAX;

    /// Why the session is to be closed as soon as this packet has left.
    pub const fn finished(&self) -> Option<CloseReason> {
        self.finished
    }

    /// Whether the wheel must be told the new deadline; see [`crate::timer`].
    pub(crate) const fn stepped(&self) -> bool {
        self.stepped
    }

    /// Applies the change and counts the packet: `bytes` of IP datagram from `sender`.
    #[inline]
    pub(crate) fn apply(&self, session: &mut Session, sender: Peer, bytes: u32, now: Time) {
        match &self.tcp {
            Change::None => {}
            Change::Stream(stream) => session.tcp.take_stream(stream),
            Change::Whole(tcp) => session.tcp = *tcp,
        }
        session.flags.set(self.set, true);
        if self.life != Self::KEEP {
            session.deadline = Time(now.0.saturating_add(self.life));
        }
        if self.finished.is_some() {
            session.close_reason = self.finished;
        }
        session.count(sender, bytes, now);
    }

    /// A change for a protocol without states.
    fn plain(set: Flags, life: Duration) -> Self {
        Self { tcp: Change::None, set, life: nanos(life), stepped: false, finished: None }
    }
}

/// Judges the first packet of a session; its sender is the initiator. The update belongs into a
/// new session.
pub fn open(packet: &Packet, settings: &Settings) -> Result<Update, Reason> {
    let timeouts = &settings.timeouts;
    match &packet.body {
        Transport::Tcp(header) => {
            let tcp = Tcp::open(&header.into())?;
            let life = nanos(tcp.life(timeouts));
            let (tcp, set) = (Change::Whole(tcp), Flags::NONE);
            Ok(Update { tcp, set, life, stepped: true, finished: None })
        }
        Transport::Udp(_) => Ok(Update::plain(Flags::default(), timeouts.udp_first)),
        Transport::Icmp(icmp) => match Query::of(packet.version, icmp) {
            Some(Query::Request) => Ok(Update::plain(Flags::default(), timeouts.icmp)),
            Some(Query::Reply) | None => Err(Reason::IcmpUnsolicited),
        },
        Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => Ok(Update::plain(Flags::default(), timeouts.generic)),
    }
}

/// Judges a packet that `sender` sends within `session`.
#[inline]
pub fn judge(
    session: &Session,
    sender: Peer,
    packet: &Packet,
    settings: &Settings,
    now: Time,
) -> Judgement {
    let timeouts = &settings.timeouts;
    match &packet.body {
        Transport::Tcp(header) => judge_tcp(session, sender, &header.into(), settings),
        Transport::Udp(_) => {
            let both = sender == Peer::Responder || session.flags.has(Flags::REPLY_SEEN);
            // A question and its answer are over quickly; only what lasts is a stream.
            let stream = both && session.age(now) > UDP_STREAM_AGE;
            let life = if stream { timeouts.udp_stream } else { timeouts.udp_first };
            Judgement::Pass(Update::plain(seen(sender).with(assured(stream)), life))
        }
        Transport::Icmp(icmp) => judge_query(session, sender, packet.version, icmp, timeouts),
        Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => {
            let set = seen(sender).with(assured(sender == Peer::Responder));
            Judgement::Pass(Update::plain(set, timeouts.generic))
        }
    }
}

#[inline]
fn judge_tcp(session: &Session, sender: Peer, segment: &Segment, settings: &Settings) -> Judgement {
    let Some(stream) = session.tcp.predict(sender, segment, settings.tcp_window) else {
        return judge_segment(session, sender, segment, settings);
    };
    Judgement::Pass(Update {
        life: nanos(stream.life(&settings.timeouts)),
        tcp: Change::Stream(stream),
        set: seen(sender).with(Flags::ASSURED),
        stepped: false,
        finished: None,
    })
}

/// What is not predicted.
#[cold]
#[inline(never)]
fn judge_segment(
    session: &Session,
    sender: Peer,
    segment: &Segment,
    settings: &Settings,
) -> Judgement {
    match session.tcp.judge(sender, segment, settings.tcp_window) {
        tcp::Judgement::Accept(accepted) => {
            Judgement::Pass(accept(session, sender, &accepted, &settings.timeouts))
        }
        tcp::Judgement::Ignore(tcp) => {
            let (tcp, set) = (Change::Whole(tcp), Flags::NONE);
            Judgement::Pass(Update { tcp, set, life: Update::KEEP, stepped: false, finished: None })
        }
        tcp::Judgement::Reopen => Judgement::Reopen,
        tcp::Judgement::Invalid(invalid) => Judgement::Invalid(invalid.into()),
    }
}

fn accept(
    session: &Session,
    sender: Peer,
    accepted: &tcp::Accepted,
    timeouts: &Timeouts,
) -> Update {
    let next = accepted.next;
    Update {
        tcp: Change::Whole(next),
        set: seen(sender).with(assured(next.state() == tcp::State::Established)),
        life: if accepted.renews { nanos(next.life(timeouts)) } else { Update::KEEP },
        stepped: next.state() != session.tcp.state(),
        finished: accepted.finished.then_some(CloseReason::TcpRst),
    }
}

fn judge_query(
    session: &Session,
    sender: Peer,
    version: Version,
    icmp: &Icmp,
    timeouts: &Timeouts,
) -> Judgement {
    let update = Update::plain(seen(sender), timeouts.icmp);
    let both = session.flags.has(Flags::BOTH_MAY_OPEN);
    match (Query::of(version, icmp), sender) {
        (Some(Query::Request), Peer::Initiator) | (Some(Query::Reply), Peer::Responder) => {
            Judgement::Pass(update)
        }
        (Some(_), _) if both => Judgement::Pass(update),
        // Some systems use one id for every ping: two of them pinging each other share a session.
        (Some(Query::Request), Peer::Responder) => {
            Judgement::Ask(Update { set: update.set.with(Flags::BOTH_MAY_OPEN), ..update })
        }
        (Some(Query::Reply), Peer::Initiator) | (None, _) => {
            Judgement::Invalid(Reason::IcmpUnsolicited)
        }
    }
}

/// The two sides of an ICMP exchange with an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Query {
    Request,
    Reply,
}

impl Query {
    /// Echo, timestamp, information and address mask in IPv4 (RFC 792, RFC 950), echo in IPv6
    /// (RFC 4443 §4). No other type opens a session.
    const fn of(version: Version, icmp: &Icmp) -> Option<Self> {
        match (version, icmp.kind) {
            (Version::V4, 8 | 13 | 15 | 17) | (Version::V6, 128) => Some(Self::Request),
            (Version::V4, 0 | 14 | 16 | 18) | (Version::V6, 129) => Some(Self::Reply),
            _ => None,
        }
    }
}

/// A life in nanoseconds, at most 584 years.
#[inline]
const fn nanos(life: Duration) -> u64 {
    life.as_secs().saturating_mul(1_000_000_000).saturating_add(life.subsec_nanos() as u64)
}

const fn seen(sender: Peer) -> Flags {
    match sender {
        Peer::Initiator => Flags::NONE,
        Peer::Responder => Flags::REPLY_SEEN,
    }
}

const fn assured(yes: bool) -> Flags {
    if yes { Flags::ASSURED } else { Flags::NONE }
}
