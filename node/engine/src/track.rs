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
use wire::{Icmp, Packet, Plain, Protocol, Seq, TcpFlags, Time, Transport, Version};

use crate::Reason;
use crate::limits::UDP_STREAM_AGE;
use crate::proxy::Asked;
use crate::replication::Recovery;
use crate::session::{CloseReason, Flags, Peer, Session};
use crate::tcp::{self, Recovered, Segment, Stream, Tcp};

/// The part of the policy that tracking reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[integrity] tcp-window`.
    pub(crate) tcp_window: WindowCheck,
    usual: Lives,
    /// By [`LifeIndex`](crate::policy::LifeIndex), less one.
    own: Box<[Lives]>,
}

/// Idle lives, and those that nearly every packet gives in nanoseconds: worked out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lives {
    timeouts: Timeouts,
    established: u64,
    /// Established, but something is due that does not come.
    waiting: u64,
    udp_first: u64,
    udp_stream: u64,
}

impl Lives {
    fn new(timeouts: Timeouts) -> Self {
        let established = nanos(timeouts.tcp_established);
        Self {
            timeouts,
            established,
            waiting: established.min(nanos(timeouts.tcp_unacknowledged)),
            udp_first: nanos(timeouts.udp_first),
            udp_stream: nanos(timeouts.udp_stream),
        }
    }

    /// `usual`, but for what is open.
    fn own(usual: Timeouts, life: Duration) -> Self {
        let open = Timeouts { tcp_established: life, udp_stream: life, generic: life, ..usual };
        Self::new(open)
    }
}

impl Settings {
    /// Idle lives, those of rules and services in the order of the policy, and whether TCP windows
    /// are checked.
    #[must_use]
    pub fn new(timeouts: Timeouts, own: &[Duration], tcp_window: WindowCheck) -> Self {
        let own = own.iter().map(|life| Lives::own(timeouts, *life)).collect();
        Self { tcp_window, usual: Lives::new(timeouts), own }
    }

    /// These lives, scaled by `part / whole`, `own` being as many as before. Allocates nothing.
    pub(crate) fn scale(&mut self, timeouts: &Timeouts, own: &[Duration], part: u32, whole: u32) {
        let timeouts = timeouts.scaled(part, whole);
        self.usual = Lives::new(timeouts);
        for (lives, life) in self.own.iter_mut().zip(own) {
            *lives = Lives::own(timeouts, *life * part / whole);
        }
    }

    /// The lives of `session`, which is of the policy that these settings are of.
    #[inline(always)]
    fn lives(&self, session: &Session) -> &Lives {
        match session.life {
            0 => &self.usual,
            own => self.own.get(usize::from(own) - 1).unwrap_or(&self.usual),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(Timeouts::default(), &[], WindowCheck::default())
    }
}

/// How long a session lives after its last packet under these settings, nanoseconds.
pub(crate) fn life(session: &Session, settings: &Settings) -> u64 {
    let timeouts = &settings.lives(session).timeouts;
    nanos(match session.key.protocol() {
        Protocol::TCP => session.tcp.life(timeouts),
        Protocol::UDP if session.flags.has(Flags::ASSURED) => timeouts.udp_stream,
        Protocol::UDP => timeouts.udp_first,
        Protocol::ICMP | Protocol::ICMPV6 => timeouts.icmp,
        _ => timeouts.generic,
    })
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
    /// Its sender is to prove itself by answering an ACK of these numbers (RFC 5961).
    Challenge {
        /// Below all that the sender has acknowledged.
        sequence: Seq,
        /// After all that the sender is known to have sent.
        acknowledgment: Seq,
    },
    /// Contradicts the session.
    Invalid(Reason),
}

/// A decided change of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// The TCP tracker after the packet.
    tcp: Option<Tcp>,
    /// Flags to set.
    set: Flags,
    /// The new life from now on, nanoseconds; [`Update::KEEP`] leaves the deadline alone.
    life: u64,
    /// The life may have become shorter.
    stepped: bool,
    /// The sender showed how far it got while nobody looked.
    jumped: bool,
    finished: Option<CloseReason>,
}

impl Update {
    const KEEP: u64 = u64::MAX;

    /// Why the session is to be closed as soon as this packet has left.
    pub const fn finished(&self) -> Option<CloseReason> {
        self.finished
    }

    /// Whether this was the one segment that moved its sender's bounds after a takeover.
    pub(crate) const fn jumped(&self) -> bool {
        self.jumped
    }

    /// Whether the wheel must be told the new deadline; see [`crate::timer`].
    pub(crate) const fn stepped(&self) -> bool {
        self.stepped
    }

    /// Applies the change and counts the packet: `bytes` of IP datagram from `sender`.
    #[inline]
    pub(crate) fn apply(&self, session: &mut Session, sender: Peer, bytes: u32, now: Time) {
        if let Some(tcp) = self.tcp {
            session.tcp = tcp;
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

    /// A packet that is counted, and changes nothing.
    pub(crate) const fn noted() -> Self {
        Self::plain(Flags::NONE, Self::KEEP)
    }

    /// A change for a protocol without states.
    const fn plain(set: Flags, life: u64) -> Self {
        Self { tcp: None, set, life, stepped: false, jumped: false, finished: None }
    }
}

/// What a packet that holds no surprise does to its session: an [`Update`] that steps and finishes
/// nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    stream: Option<Stream>,
    set: Flags,
    life: u64,
}

impl Progress {
    /// As [`Update::apply`].
    #[inline(always)]
    pub(crate) fn apply(&self, session: &mut Session, sender: Peer, bytes: u32, now: Time) {
        if let Some(stream) = &self.stream {
            session.tcp.take_stream(stream);
        }
        session.flags.set(self.set, true);
        session.deadline = Time(now.0.saturating_add(self.life));
        session.count(sender, bytes, now);
    }
}

/// The answer of [`judge`] to nearly every packet there is; `None` leaves the packet to it.
#[inline(always)]
pub(crate) fn predict(
    session: &Session,
    sender: Peer,
    plain: &Plain,
    settings: &Settings,
    now: Time,
) -> Option<Progress> {
    let lives = settings.lives(session);
    if plain.key.protocol() == Protocol::UDP {
        let (set, life) = datagram(session, sender, lives, now);
        return Some(Progress { stream: None, set, life });
    }
    let stream = session.tcp.predict(sender, &plain.ack, settings.tcp_window)?;
    let life = if stream.is_waiting() { lives.waiting } else { lives.established };
    Some(Progress { stream: Some(stream), set: seen(sender).with(Flags::ASSURED), life })
}

/// What a UDP datagram does: flags to set, and the life from now on.
#[inline]
fn datagram(session: &Session, sender: Peer, lives: &Lives, now: Time) -> (Flags, u64) {
    let both = sender == Peer::Responder || session.flags.has(Flags::REPLY_SEEN);
    // A question and its answer are over quickly; only what lasts is a stream.
    let stream = both && session.age(now) > UDP_STREAM_AGE;
    let life = if stream { lives.udp_stream } else { lives.udp_first };
    (seen(sender).with(assured(stream)), life)
}

/// Judges the first packet of a session; its sender is the initiator. The update belongs into a
/// new session, whose own life, if its rule grants one, is not known here yet.
pub fn open(packet: &Packet, settings: &Settings) -> Result<Update, Reason> {
    let Lives { timeouts, udp_first, .. } = &settings.usual;
    match &packet.body {
        Transport::Tcp(header) => Ok(opened(Tcp::open(&header.into())?, timeouts)),
        Transport::Udp(_) => Ok(Update::plain(Flags::NONE, *udp_first)),
        Transport::Icmp(icmp) => match Query::of(packet.version, icmp) {
            Some(Query::Request | Query::Either) => {
                Ok(Update::plain(Flags::NONE, nanos(timeouts.icmp)))
            }
            Some(Query::Reply) | None => Err(Reason::IcmpUnsolicited),
        },
        Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => Ok(Update::plain(Flags::NONE, nanos(timeouts.generic))),
    }
}

/// Judges the first packet that is seen of a TCP connection, for a rule that picks it up in the middle;
/// `None` if there is nothing to be picked up.
pub fn pick_up(packet: &Packet, settings: &Settings) -> Option<Update> {
    let Transport::Tcp(header) = &packet.body else { return None };
    Some(opened(Tcp::pick_up(&header.into()).ok()?, &settings.usual.timeouts))
}

fn opened(tcp: Tcp, timeouts: &Timeouts) -> Update {
    let life = nanos(tcp.life(timeouts));
    Update { tcp: Some(tcp), stepped: true, ..Update::plain(Flags::NONE, life) }
}

/// Judges a packet that `sender` sends within `session`.
pub fn judge(
    session: &Session,
    sender: Peer,
    packet: &Packet,
    settings: &Settings,
    now: Time,
) -> Judgement {
    let lives = settings.lives(session);
    let timeouts = &lives.timeouts;
    match &packet.body {
        Transport::Tcp(header) => judge_tcp(session, sender, &header.into(), settings),
        Transport::Udp(_) => {
            let (set, life) = datagram(session, sender, lives, now);
            Judgement::Pass(Update::plain(set, life))
        }
        Transport::Icmp(icmp) => judge_query(session, sender, packet.version, icmp, timeouts),
        Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => {
            let set = seen(sender).with(assured(sender == Peer::Responder));
            Judgement::Pass(Update::plain(set, nanos(timeouts.generic)))
        }
    }
}

/// [`judge`], for a session that may be further on than it is known to be.
pub(crate) fn judge_recovering(
    session: &Session,
    sender: Peer,
    packet: &Packet,
    settings: &Settings,
    now: Time,
    recovery: &Recovery,
) -> Judgement {
    let Transport::Tcp(header) = &packet.body else {
        return judge(session, sender, packet, settings, now);
    };
    let segment = header.into();
    match session.tcp.recover(sender, &segment, settings.tcp_window, recovery) {
        Recovered::Strictly(judgement) => said(session, sender, judgement, settings),
        Recovered::Moved(judgement, jumped) => match said(session, sender, judgement, settings) {
            Judgement::Pass(update) => Judgement::Pass(Update { jumped, ..update }),
            other @ (Judgement::Ask(_)
            | Judgement::Reopen
            | Judgement::Challenge { .. }
            | Judgement::Invalid(_)) => other,
        },
        Recovered::Challenge { sequence, acknowledgment } => {
            Judgement::Challenge { sequence, acknowledgment }
        }
    }
}

/// Judges the SYN-ACK of a server to the SYN that was sent in its client's place, together with the client's
/// ACK, which has come before it. All in the client's numbers.
pub(crate) fn join(
    session: &Session,
    asked: &Asked,
    answer: &wire::Tcp,
    settings: &Settings,
) -> Judgement {
    let offered = asked.offer.window_scale();
    let answer = Segment {
        sequence: asked.cookie,
        payload: 0,
        window_scale: offered.map(|_| wire::cookie::SCALE),
        sack_permitted: asked.offer.stamped.is_some_and(|stamped| stamped.sack_permitted),
        sack: None,
        ..Segment::from(answer)
    };
    let Judgement::Pass(first) = judge_tcp(session, Peer::Responder, &answer, settings) else {
        return judge_tcp(session, Peer::Responder, &answer, settings);
    };
    let acknowledgment = Segment {
        sequence: asked.client + 1,
        acknowledgment: asked.cookie + 1,
        flags: TcpFlags::ACK,
        window: asked.window,
        window_scale: None,
        sack_permitted: false,
        ..answer
    };
    let mut answered = *session;
    if let Some(tcp) = first.tcp {
        answered.tcp = tcp;
    }
    match judge_tcp(&answered, Peer::Initiator, &acknowledgment, settings) {
        Judgement::Pass(second) => {
            Judgement::Pass(Update { set: first.set.with(second.set), ..second })
        }
        other @ (Judgement::Ask(_)
        | Judgement::Reopen
        | Judgement::Challenge { .. }
        | Judgement::Invalid(_)) => other,
    }
}

fn judge_tcp(session: &Session, sender: Peer, segment: &Segment, settings: &Settings) -> Judgement {
    let judgement = session.tcp.judge(sender, segment, settings.tcp_window);
    said(session, sender, judgement, settings)
}

/// What the tracker's word means for the session.
fn said(
    session: &Session,
    sender: Peer,
    judgement: tcp::Judgement,
    settings: &Settings,
) -> Judgement {
    match judgement {
        tcp::Judgement::Accept(accepted) => {
            Judgement::Pass(accept(session, sender, &accepted, &settings.lives(session).timeouts))
        }
        tcp::Judgement::Ignore(tcp) => {
            let (tcp, set) = (Some(tcp), Flags::NONE);
            Judgement::Pass(Update { tcp, ..Update::plain(set, Update::KEEP) })
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
    let life = next.life(timeouts);
    Update {
        tcp: Some(next),
        set: seen(sender).with(assured(next.state() == tcp::State::Established)),
        life: if accepted.renews { nanos(life) } else { Update::KEEP },
        // Not while it stays open: the straight way tells the wheel nothing either.
        stepped: next.state() != session.tcp.state()
            || (next.state() != tcp::State::Established && life < session.tcp.life(timeouts)),
        jumped: false,
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
    let update = Update::plain(seen(sender), nanos(timeouts.icmp));
    let both = session.flags.has(Flags::BOTH_MAY_OPEN);
    match (Query::of(version, icmp), sender) {
        (Some(Query::Request | Query::Either), Peer::Initiator)
        | (Some(Query::Reply | Query::Either), Peer::Responder) => Judgement::Pass(update),
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

/// The sides of an ICMP exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Query {
    Request,
    Reply,
    /// Answers a request, or comes unasked: a reply where there is a session, else a request.
    Either,
}

impl Query {
    /// Echo, timestamp, information and address mask in IPv4 (RFC 792, RFC 950), echo in IPv6
    /// (RFC 4443 §4), and there mobility (RFC 6275 §6.5 to §6.8): as RFC 4890 §4.3.2 wants it, those
    /// pass wherever a rule permits them. Its answers need a rule of their own if they come from
    /// another address than was asked (a home agent's, not the anycast one), or unasked. No other
    /// type opens a session.
    const fn of(version: Version, icmp: &Icmp) -> Option<Self> {
        match (version, icmp.kind) {
            (Version::V4, 8 | 13 | 15 | 17) | (Version::V6, 128 | 144 | 146) => Some(Self::Request),
            (Version::V4, 0 | 14 | 16 | 18) | (Version::V6, 129) => Some(Self::Reply),
            (Version::V6, 145 | 147) => Some(Self::Either),
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
