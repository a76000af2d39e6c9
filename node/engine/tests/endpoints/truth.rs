//! What is true of a connection, told by the segments that its ends sent; and by it, which honest
//! segments the firewall may drop after all.

use engine::Reason;

use crate::plan::{Micros, SECOND};
use crate::segment::{ACK, FIN, RST, SYN, Segment};

/// One connection, over all rounds.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// By what each end sent.
    pub(crate) sent: Ends,
    /// By what of it the firewall passed.
    pub(crate) passed: Ends,
    /// The side whose SYN opened the session that the firewall holds; `None` without one.
    pub(crate) session: Option<usize>,
    /// When the last honest segment passed.
    pub(crate) last_passed: Micros,
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) ends: [End; 2],
    /// How many initial sequence numbers each end has had.
    pub(crate) incarnation: [u32; 2],
}

/// One end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    pub(crate) initial: Option<u32>,
    scale: Option<u8>,
    /// After the highest sequence number.
    pub(crate) end: u32,
    /// The highest acknowledgment: at least that far it has received (RCV.NXT).
    pub(crate) ack: Option<u32>,
    /// The right edge of the window that it offers.
    pub(crate) edge: u32,
    /// The largest window, bytes.
    pub(crate) window: u32,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

/// Why an honest segment may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Excuse {
    /// Its connection is over, and it opens none (RFC 9293 §3.10.7.1: a closed connection has no
    /// use for it).
    Over,
    /// A reset whose number its receiver does not take: below RCV.NXT (RFC 5961 §3.2).
    OldReset,
    /// It begins beyond every window that its sender can have heard of, so the sender broke RFC 9293
    /// §3.8.6 and the receiver takes nothing of it. This stack does so after a fast retransmission:
    /// it fills that segment whatever the window, and goes on from its end.
    BeyondWindow,
    /// A duplicate overtaken by more than the largest window: the receiver discards it because it
    /// acknowledges less than SND.UNA − MAX.SND.WND (RFC 5961 §5), or because all of it lies that far
    /// below RCV.NXT (RFC 9293 §3.10.7.4).
    Overtaken,
    /// Of a connection before the present one on the same ports (RFC 9293 §3.4.3: old duplicates).
    EarlierConnection,
}

impl Truth {
    /// Whether the firewall may drop this segment, and why.
    pub(crate) fn excuse(
        &self,
        side: usize,
        born: [u32; 2],
        segment: &Segment,
        reason: Reason,
    ) -> Option<Excuse> {
        let receiver = &self.sent.ends[1 - side];
        let newer = (0..2).any(|side| born[side] < self.passed.incarnation[side]);
        // A reset answers what it answers, and that may be an echo of an earlier connection.
        let initial = self.sent.ends[side].initial;
        let echo = initial.is_some_and(|initial| before(segment.sequence, initial));
        let opens = segment.has(SYN) && !segment.has(ACK);
        if newer || (echo && segment.has(RST)) {
            return Some(Excuse::EarlierConnection);
        }
        if reason == Reason::TcpNotSyn && self.session.is_none() && !opens {
            return Some(Excuse::Over);
        }
        let old = receiver.ack.is_some_and(|ack| before(segment.sequence, ack));
        if segment.has(RST) && old {
            return Some(Excuse::OldReset);
        }
        let sender = &self.passed.ends[side];
        let far_below = |number: u32, end: &End| {
            end.ack.is_some_and(|ack| before(number, ack.wrapping_sub(end.window)))
        };
        let overtaken = far_below(segment.end(), receiver)
            || (segment.has(ACK) && far_below(segment.ack, sender));
        if overtaken && reason == Reason::TcpWindow {
            return Some(Excuse::Overtaken);
        }
        (self.is_beyond(side, segment.sequence) && reason == Reason::TcpWindow)
            .then_some(Excuse::BeyondWindow)
    }

    /// Whether a number of `side` lies beyond every window that it can have heard of.
    pub(crate) fn is_beyond(&self, side: usize, number: u32) -> bool {
        let receiver = &self.passed.ends[1 - side];
        receiver.ack.is_some() && before(receiver.edge, number)
    }

    /// The least time without a segment after which the firewall may forget the connection: by its
    /// default timeouts, but never while data is on its way and may be sent again.
    pub(crate) fn shortest_silence(&self) -> Micros {
        let [one, other] = &self.passed.ends;
        let (Some(ack), Some(other_ack)) = (one.ack, other.ack) else { return 60 * SECOND };
        let sent = |end: &End| end.end.wrapping_sub(u32::from(end.fin));
        let on_its_way = before(ack, sent(other)) || before(other_ack, sent(one));
        let closing = one.fin || other.fin;
        if closing && !on_its_way { 60 * SECOND } else { 300 * SECOND }
    }

    /// Whether the connection is open both ways and nobody has begun to close it, as the firewall
    /// sees it and as it is.
    pub(crate) fn is_open(&self) -> bool {
        let closing = self.sent.ends.iter().any(|end| end.fin || end.rst);
        self.is_current() && !closing
    }

    /// Whether the firewall knows the connection that the ends are in, open or closing.
    pub(crate) fn is_current(&self) -> bool {
        self.is_known() && self.sent.incarnation == self.passed.incarnation
    }

    /// Whether there is a session, and the firewall knows the numbers of both ends.
    pub(crate) fn is_known(&self) -> bool {
        let known = |end: &End| end.initial.is_some() && end.ack.is_some();
        self.session.is_some() && self.passed.ends.iter().all(known)
    }
}

impl Ends {
    /// Takes in what a segment of `side` tells.
    pub(crate) fn take(&mut self, side: usize, segment: &Segment) {
        if segment.has(RST) {
            self.ends[side].rst = true;
            return;
        }
        if segment.has(SYN) && self.ends[side].initial != Some(segment.sequence) {
            self.begin(side, segment);
        }
        let scale = self.scale(side, segment);
        let end = &mut self.ends[side];
        if before(end.end, segment.end()) {
            end.end = segment.end();
        }
        end.fin |= segment.has(FIN);
        if segment.has(ACK) {
            let window = u32::from(segment.window) << scale;
            let edge = segment.ack.wrapping_add(window);
            let first = end.ack.is_none();
            end.edge = if first || before(end.edge, edge) { edge } else { end.edge };
            end.ack = end.ack.filter(|ack| !before(*ack, segment.ack)).or(Some(segment.ack));
            end.window = end.window.max(window);
        }
    }

    fn begin(&mut self, side: usize, segment: &Segment) {
        self.incarnation[side] += 1;
        self.ends[side] = End {
            initial: Some(segment.sequence),
            scale: segment.scale,
            end: segment.end(),
            window: segment.window.into(),
            ..End::default()
        };
        // What the other end acknowledged was of an earlier connection.
        self.ends[1 - side].ack = None;
    }

    fn scale(&self, side: usize, segment: &Segment) -> u8 {
        let both = self.ends.iter().all(|end| end.scale.is_some());
        let scale = self.ends[side].scale.filter(|_| both && !segment.has(SYN));
        scale.unwrap_or(0)
    }
}

/// Whether `one` comes before `other` in the circle of sequence numbers.
pub(crate) fn before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}
