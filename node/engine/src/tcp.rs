//! The TCP tracker: from the segments that pass, what both peers believe.
//!
//! The firewall stands in the middle. It sees what a peer sent, not what arrived: a segment may be
//! lost behind it, and two segments may change places before it. So a state here says what the
//! *sender of the last segment* must be in, and every bound is as wide as an honest peer may need.
//!
//! [`Tcp::judge`] decides and changes nothing; the new state travels in the [`Judgement`] and is
//! copied into the session when everything else about the packet is decided too. The order:
//! flags ([`Class::of`]) → transition table (`table.rs`) → window check (`window.rs`).
//!
//! Decisions where RFCs and practice leave room:
//! - *RST* (RFC 5961 §3): an open or closing connection closes only on the exact next number. One that
//!   is ahead of it but in the window passes and changes nothing: the receiver answers it with a
//!   challenge ACK, and the true sender then resets exactly.
//! - *SYN in an open connection* (RFC 5961 §4): passes, changes nothing, and is remembered. If the far
//!   end answers it with RST or SYN-ACK, both ends agree and the tracker follows them.
//! - *Simultaneous open and split handshake* (RFC 9293 §3.5): allowed; the initiator remains whoever
//!   sent the first SYN, and the connection is open when both SYNs are acknowledged.
//! - *TIME-WAIT* (RFC 9293 §3.6.1, RFC 6191): a SYN above the old sequence numbers may open a new
//!   connection, if policy permits it; an older one passes to the peer, who knows better.
//! - *Mid-stream pick-up*: none, unless a rule wants it; the first segment must be a SYN. Then
//!   `pickup.rs` opens with any ACK, and its sender is the initiator from then on.

mod flags;
mod handshake;
mod merge;
mod pickup;
mod record;
mod recover;
mod reset;
mod segment;
mod table;
#[cfg(test)]
mod tests;
mod window;
mod words;

use std::time::Duration;

use config::{Timeouts, WindowCheck};
use wire::plain::Ack;
use wire::{Seq, TcpFlags};

pub use self::flags::Class;
pub(crate) use self::merge::Standing;
pub(crate) use self::recover::Recovered;
pub use self::segment::Segment;
use self::segment::{Marks, Opening, SynOptions};
use self::table::Cell;
use self::window::{Fit, Numbers, Window};
use crate::limits::RETRANSMISSIONS_MAX;
use crate::session::{CloseReason, Peer};

/// What is known of one connection: 48 bytes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Tcp {
    /// Sequence space of each peer.
    windows: [Window; 2],
    /// Options of each peer's SYN.
    options: [SynOptions; 2],
    /// What each peer has done.
    marks: [Marks; 2],
    state: State,
    /// Options of a SYN that passed without changing anything.
    noted: SynOptions,
    /// Identical segments in a row.
    repeats: u8,
    opening: Opening,
    last: Last,
}

/// The states, named after RFC 9293 §3.3.2 but seen from the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// No segment yet.
    None,
    /// SYN from the initiator.
    SynSent,
    /// SYN-ACK from the responder.
    SynReceived,
    /// Both SYNs acknowledged.
    Established,
    /// FIN from one peer.
    FinWait,
    /// That FIN acknowledged.
    CloseWait,
    /// FIN from both peers.
    LastAck,
    /// Both FINs acknowledged.
    TimeWait,
    /// Reset.
    Close,
    /// SYN from both peers: simultaneous open.
    SynSent2,
    /// Picked up in the middle, and so far seen from the initiator only.
    PickedUp,
}

/// What the tracker says of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Belongs to the connection: pass it and take over the state.
    Accept(Accepted),
    /// Pass it, but it proves nothing: no longer life, no other state, only this note.
    Ignore(Tcp),
    /// A SYN for a new connection on a finished one's five-tuple: ask the policy as for any first
    /// packet, and close this session if it is permitted.
    Reopen,
    /// Drop it.
    Invalid(Invalid),
}

/// An accepted segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The tracker after the segment.
    pub next: Tcp,
    /// Whether the segment prolongs the session's life; a repeated SYN does not.
    pub renews: bool,
    /// A connection refused before it opened: nothing is left to track once this has passed.
    pub finished: bool,
}

/// What a segment of an open connection changes: half the bytes of the whole, written in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    end: Seq,
    ack: Seq,
    /// Scaled.
    window: u32,
    last: Last,
    marks: [Marks; 2],
    repeats: u8,
}

/// Why a segment is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Invalid {
    /// None of SYN, FIN, RST and ACK.
    NoFlags,
    /// SYN and FIN.
    SynFin,
    /// SYN and RST.
    SynRst,
    /// FIN and RST.
    FinRst,
    /// FIN without ACK.
    FinWithoutAck,
    /// URG with SYN-ACK or RST.
    UrgMisplaced,
    /// The first segment of all is not a plain SYN.
    NotSyn,
    /// The state does not allow such a segment.
    State,
    /// Bound I: starts beyond the window that the receiver offered.
    AboveWindow,
    /// Bound II: ends far below the window, further than any delay explains.
    BelowWindow,
    /// Bound III: acknowledges what was never sent.
    AckAhead,
    /// Bound IV: acknowledges far less than any delay explains, or brings new data with an old
    /// acknowledgment.
    AckBehind,
    /// New sequence numbers after the sender's FIN.
    AfterFin,
    /// Handshake: does not acknowledge the SYN of the other peer.
    SynUnacknowledged,
    /// RST whose sequence number is not to be expected (RFC 5961 §3).
    Reset,
}

/// The last segment that was accepted or noted: 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct Last {
    /// SYN: its end. ACK before the handshake: its acknowledgment. Other ACK: a fingerprint.
    mark: u32,
    /// Window field as sent.
    window: u16,
    class: Class,
    sender: Peer,
}

impl Tcp {
    /// A tracker before its first segment.
    pub const IDLE: Self = Self {
        windows: [Window::UNSEEN; 2],
        options: [SynOptions(0); 2],
        marks: [Marks(0); 2],
        state: State::None,
        noted: SynOptions(0),
        repeats: 0,
        opening: Opening(0),
        last: Last { mark: 0, window: 0, class: Class::None, sender: Peer::Initiator },
    };

    /// Why a session ends whose time is up in this state.
    pub const fn expiry_reason(&self) -> CloseReason {
        match self.state {
            State::Close => CloseReason::TcpRst,
            State::LastAck | State::TimeWait => CloseReason::TcpFin,
            State::None
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait
            | State::CloseWait
            | State::SynSent2
            | State::PickedUp => CloseReason::Timeout,
        }
    }

    /// The state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Judges the first segment of a session.
    pub fn open(segment: &Segment) -> Result<Self, Invalid> {
        match Class::of(segment.flags)? {
            Class::Syn => {
                let mut next = Self::IDLE;
                next.begin(Peer::Initiator, segment);
                next.state = State::SynSent;
                next.note(Peer::Initiator, Class::Syn, segment);
                Ok(next)
            }
            Class::SynAck | Class::Fin | Class::Ack | Class::Rst | Class::None => {
                Err(Invalid::NotSyn)
            }
        }
    }

    /// The answer of [`Self::judge`] to nearly every segment there is: an ACK of an open connection,
    /// with or without data, inside all bounds. `None` leaves the segment to [`Self::judge`].
    #[inline(always)]
    pub(crate) fn predict(&self, sender: Peer, ack: &Ack, check: WindowCheck) -> Option<Stream> {
        let plain = self.state == State::Established
            && self.marks[sender.index()].has(Marks::ACKED)
            && check == WindowCheck::Check;
        if !plain {
            return None;
        }
        let segment = Segment::from(ack);
        let numbers = self.numbers(sender, &segment);
        let (from, to) = self.pair(sender);
        (window::fit(from, to, &numbers) == Fit::In)
            .then(|| self.stream(sender, Class::Ack, &segment, numbers))
    }

    /// Judges a segment of `sender`. Nothing changes until the caller copies the state that the
    /// judgement carries.
    pub fn judge(&self, sender: Peer, segment: &Segment, check: WindowCheck) -> Judgement {
        let class = match Class::of(segment.flags) {
            Ok(class) => class,
            Err(invalid) => return Judgement::Invalid(invalid),
        };
        match table::cell(sender, class, self.state) {
            Cell::Invalid => Judgement::Invalid(Invalid::State),
            Cell::Reopen => self.judge_reopen(sender, segment),
            Cell::Ignore => self.judge_ignored(sender, class, segment, check),
            Cell::To(state) => match class {
                Class::Fin | Class::Ack => self.judge_stream(sender, class, segment, state, check),
                Class::Syn => self.judge_syn(sender, segment, state),
                Class::SynAck => self.judge_syn_ack(sender, segment, state, check),
                Class::Rst => self.judge_reset(sender, segment, check),
                Class::None => Judgement::Invalid(Invalid::NoFlags),
            },
        }
    }

    /// How long the session lives after the last accepted segment.
    #[inline]
    pub fn life(&self, timeouts: &Timeouts) -> Duration {
        let life = idle_life(self.state, timeouts);
        if self.closes_with_data_on_its_way() {
            return life.max(timeouts.tcp_unacknowledged);
        }
        let waiting = is_waiting(self.repeats, self.marks, self.last);
        if waiting { life.min(timeouts.tcp_unacknowledged) } else { life }
    }

    /// Whether `sequence` may be that of a segment of `sender` still on its way, as an ICMP error
    /// must prove about the packet that it embeds (RFC 5927 §4.1).
    pub fn has_in_flight(&self, sender: Peer, sequence: Seq) -> bool {
        let (from, to) = (&self.windows[sender.index()], &self.windows[sender.other().index()]);
        // Before the handshake nothing is acknowledged: the least is the SYN itself.
        let least = from.floor(to).min(to.max_ack - 1);
        sequence.le(from.end) && sequence.ge(least)
    }

    /// FIN or ACK, with or without data: the life of a connection.
    fn judge_stream(
        &self,
        sender: Peer,
        class: Class,
        segment: &Segment,
        state: State,
        check: WindowCheck,
    ) -> Judgement {
        if self.is_half_seen() {
            return self.judge_half_seen(sender, class, segment, state, check);
        }
        let numbers = self.numbers(sender, segment);
        if check == WindowCheck::Check {
            let first_ack = !self.marks[sender.index()].has(Marks::ACKED);
            if first_ack && !self.acknowledges_syn(sender, segment) {
                return Judgement::Invalid(Invalid::SynUnacknowledged);
            }
            let (from, to) = self.pair(sender);
            if self.marks[sender.index()].has(Marks::FIN) && numbers.end.gt(from.end) {
                return Judgement::Invalid(Invalid::AfterFin);
            }
            match window::fit(from, to, &numbers) {
                Fit::In => {}
                Fit::Stale => return Judgement::Ignore(*self),
                Fit::Out(invalid) => return Judgement::Invalid(invalid),
            }
        }
        let stream = self.stream(sender, class, segment, numbers);
        let next = self.step(&stream, state, check);
        Judgement::Accept(Accepted { next, renews: true, finished: false })
    }

    /// What a segment of the stream changes, beside the state.
    #[inline(always)]
    fn stream(&self, sender: Peer, class: Class, segment: &Segment, numbers: Numbers) -> Stream {
        let (from, to) = self.pair(sender);
        let mut new = Marks::ACKED;
        new.set(Marks::FIN, class == Class::Fin);
        new.set(Marks::UNACKNOWLEDGED, numbers.end.gt(from.end));
        let mut marks = Marks::pair(self.marks);
        marks.set(sender, new);
        if numbers.ack == to.end {
            marks.clear(sender.other(), Marks::UNACKNOWLEDGED);
        }
        let marks = marks.split();
        let last = Last { mark: segment.fingerprint(), window: segment.window, class, sender };
        let repeats = if last == self.last { self.repeats.saturating_add(1) } else { 0 };
        let Numbers { end, ack, window, .. } = numbers;
        Stream { end, ack, window, last, marks, repeats }
    }

    /// The tracker after a segment that may change the state.
    fn step(&self, stream: &Stream, state: State, check: WindowCheck) -> Self {
        let mut next = *self;
        next.take_stream(stream);
        let state = match check {
            WindowCheck::Check => next.confirm(state),
            WindowCheck::Off => state,
        };
        next.enter(state);
        next
    }

    /// Takes a segment of the stream over.
    #[inline(always)]
    pub(crate) fn take_stream(&mut self, stream: &Stream) {
        let [initiator, responder] = &mut self.windows;
        match stream.last.sender {
            Peer::Initiator => stream.advance(initiator, responder),
            Peer::Responder => stream.advance(responder, initiator),
        }
        self.marks = stream.marks;
        self.repeats = stream.repeats;
        self.last = stream.last;
    }

    /// Segments that may be honest although the state does not expect them.
    #[cold]
    fn judge_ignored(
        &self,
        sender: Peer,
        class: Class,
        segment: &Segment,
        check: WindowCheck,
    ) -> Judgement {
        match class {
            Class::Syn => match sender {
                Peer::Initiator => self.note_syn(sender, segment),
                Peer::Responder if self.is_late(sender, segment) => Judgement::Ignore(*self),
                Peer::Responder => Judgement::Invalid(Invalid::State),
            },
            Class::SynAck => self.judge_late_syn_ack(sender, segment, check),
            // Data that overtook their SYN-ACK acknowledge the SYN (RFC 7413 §4.2.2), or what the initiator
            // sent by another way. It takes nothing of any other, so that only a forger gains if they pass;
            // what an old connection has to say, its ACK says below.
            Class::Ack
                if check == WindowCheck::Check
                    && segment.end() != segment.sequence
                    && !self.acknowledges_syn_or_later(sender, segment) =>
            {
                Judgement::Invalid(Invalid::SynUnacknowledged)
            }
            Class::Ack => {
                // A challenge ACK (RFC 5961 §4) of a peer that still holds an old connection. The
                // initiator resets that by this number (RFC 9293 §3.5.1, figure 9).
                let mut next = *self;
                next.note(sender, Class::Ack, segment);
                next.last.mark = segment.acknowledgment.0;
                Judgement::Ignore(next)
            }
            Class::Fin | Class::Rst | Class::None => Judgement::Invalid(Invalid::State),
        }
    }

    /// Holds a step of the table back until the numbers prove it: an ACK is not the ACK of the FIN,
    /// a repeated FIN is not the other peer's.
    fn confirm(&self, state: State) -> State {
        match state {
            State::FinWait | State::CloseWait | State::LastAck | State::TimeWait => {
                self.closing_state()
            }
            State::SynReceived if self.opening.is_simultaneous() && self.both_acked() => {
                State::Established
            }
            State::None
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::Close
            | State::SynSent2
            | State::PickedUp => state,
        }
    }

    /// How far the closing of a connection is, by FINs and their acknowledgments.
    fn closing_state(&self) -> State {
        let sent = Peer::BOTH.map(|peer| self.marks[peer.index()].has(Marks::FIN));
        let acked = Peer::BOTH.map(|peer| self.fin_acknowledged(peer));
        match (sent, acked) {
            ([true, true], [true, true]) => State::TimeWait,
            ([true, true], _) => State::LastAck,
            (_, [true, _] | [_, true]) => State::CloseWait,
            (_, [false, false]) => State::FinWait,
        }
    }

    fn fin_acknowledged(&self, peer: Peer) -> bool {
        let (from, to) = self.pair(peer);
        self.marks[peer.index()].has(Marks::FIN) && to.max_ack == from.end
    }

    /// Whether FINs were sent, but not all data before them has been acknowledged. It may be sent
    /// again after a minute and more (RFC 6298 §2.5), and the lives of closing states are not made
    /// for that.
    fn closes_with_data_on_its_way(&self) -> bool {
        let closing = matches!(self.state, State::FinWait | State::CloseWait | State::LastAck);
        let on_its_way = |peer: Peer| {
            let (from, to) = self.pair(peer);
            let fin = u32::from(self.marks[peer.index()].has(Marks::FIN));
            to.max_ack.lt(from.end - fin)
        };
        closing && Peer::BOTH.into_iter().any(on_its_way)
    }

    fn both_acked(&self) -> bool {
        self.marks.iter().all(|marks| marks.has(Marks::ACKED))
    }

    /// Enters a state; `true` if it is another one.
    fn enter(&mut self, state: State) -> bool {
        let changed = self.state != state;
        self.state = state;
        changed
    }

    /// Remembers a segment that later ones may refer to.
    fn note(&mut self, sender: Peer, class: Class, segment: &Segment) {
        self.repeats = 0;
        self.last = Last { mark: segment.end().0, window: segment.window, class, sender };
    }

    #[inline(always)]
    fn pair(&self, sender: Peer) -> (&Window, &Window) {
        (&self.windows[sender.index()], &self.windows[sender.other().index()])
    }

    #[inline(always)]
    fn numbers(&self, sender: Peer, segment: &Segment) -> Numbers {
        let (_, to) = self.pair(sender);
        let has_ack = segment.flags.contains(TcpFlags::ACK)
            // Stacks that set ACK in a RST without meaning it.
            && !(segment.flags.contains(TcpFlags::RST) && segment.acknowledgment == Seq(0));
        let ack = if has_ack { segment.acknowledgment } else { to.end };
        let scale = if segment.flags.contains(TcpFlags::SYN) { 0 } else { self.scale(sender) };
        let sack = match segment.sack {
            Some(edge) if self.options[sender.other().index()].sack() => ack.max(edge),
            Some(_) | None => ack,
        };
        Numbers {
            sequence: segment.sequence,
            end: segment.end(),
            ack,
            sack,
            window: u32::from(segment.window) << scale,
        }
    }

    /// The scale of `sender`'s window: only if both SYNs offered scaling (RFC 7323 §2.2).
    fn scale(&self, sender: Peer) -> u8 {
        let both = self.options.iter().all(|options| options.scaling());
        if both { self.options[sender.index()].scale() } else { 0 }
    }
}

impl Accepted {
    const fn new(next: Tcp, renews: bool) -> Self {
        Self { next, renews, finished: false }
    }
}

impl Stream {
    /// Whether something is due that does not come, so that the session's life is a shorter one.
    #[inline(always)]
    pub(crate) fn is_waiting(&self) -> bool {
        is_waiting(self.repeats, self.marks, self.last)
    }

    #[inline(always)]
    fn advance(&self, from: &mut Window, to: &mut Window) {
        window::advance(from, to, self.end, self.ack, self.window);
    }
}

/// The life of a session in `state`, before the bound for unacknowledged data.
const fn idle_life(state: State, timeouts: &Timeouts) -> Duration {
    match state {
        State::None | State::Close => timeouts.tcp_close,
        State::SynSent | State::SynSent2 => timeouts.tcp_syn_sent,
        // One segment, which anybody may have forged, earns no more than an unfinished handshake.
        State::SynReceived | State::PickedUp => timeouts.tcp_syn_received,
        State::Established => timeouts.tcp_established,
        State::FinWait => timeouts.tcp_fin_wait,
        State::CloseWait => timeouts.tcp_close_wait,
        State::LastAck => timeouts.tcp_last_ack,
        State::TimeWait => timeouts.tcp_time_wait,
    }
}

/// Whether something is due that does not come: an acknowledgment, or an open window.
#[inline(always)]
fn is_waiting(repeats: u8, marks: [Marks; 2], last: Last) -> bool {
    repeats >= RETRANSMISSIONS_MAX
        || marks[0].or(marks[1]).has(Marks::UNACKNOWLEDGED)
        || (last.class == Class::Ack && last.window == 0)
}

const _: () = assert!(size_of::<Tcp>() == 48);
