//! A TCP peer: simple, but honest. Handshake, data both ways under the other's window, cumulative
//! acknowledgments, retransmission from the oldest segment with a timer that doubles, close by FIN;
//! resets are believed as RFC 5961 says.
//!
//! A connection is a conversation of rounds: the client asks, the server answers, both rest; after the
//! last one the client closes, then the server.

use core::time::Duration;

use wire::Time;

use super::frame::{ACK, FIN, PSH, RST, SYN, Segment};
use crate::limits::{RETRANSMISSIONS, RTO_FIRST, RTO_LONGEST};

/// Bytes of data in one segment.
const SEGMENT_BYTES: u32 = 700;

/// Segments that wait for an earlier one; beyond it they come again.
const EARLY_SEGMENTS: usize = 64;

/// One end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    state: State,
    iss: u32,
    /// The oldest number without an acknowledgment, and the next to be sent.
    una: u32,
    next: u32,
    /// One past the last byte that the program has written.
    written: u32,
    /// The program has closed: a FIN follows what is written.
    closes: bool,
    /// The next number that is expected.
    expected: u32,
    /// One past everything that the other end may send.
    edge: u32,
    finished: bool,
    /// What came before its time: start, end, and whether a FIN is the last of it.
    early: Vec<(u32, u32, bool)>,
    window: u32,
    /// Ours, as announced, and how it is scaled.
    own_window: u16,
    scale: Option<u8>,
    scales: [u8; 2],
    rto: Duration,
    retransmissions: u32,
    timer: Option<Time>,
    fate: Option<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Listen,
    SynSent,
    SynReceived,
    Open,
}

/// How a connection ended that did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    /// A reset came that had to be believed.
    Reset,
    /// Nothing was acknowledged any more.
    GivenUp,
}

/// What an end says that has nothing to lose: numbers compare modulo 2^32.
fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl Peer {
    /// An end with its first number; `scale` is offered if there is one.
    pub(crate) const fn new(iss: u32, own_window: u16, scale: Option<u8>) -> Self {
        Self {
            state: State::Listen,
            iss,
            una: iss,
            next: iss,
            written: iss.wrapping_add(1),
            closes: false,
            expected: 0,
            edge: 0,
            finished: false,
            early: Vec::new(),
            window: 0,
            own_window,
            scale,
            scales: [0; 2],
            rto: RTO_FIRST,
            retransmissions: 0,
            timer: None,
            fate: None,
        }
    }

    /// Opens actively.
    pub(crate) fn open(&mut self, now: Time, out: &mut Vec<Segment>) {
        self.state = State::SynSent;
        self.next = self.iss.wrapping_add(1);
        self.arm(now);
        out.push(self.segment(SYN, self.iss, 0));
    }

    /// The program writes.
    pub(crate) fn write(&mut self, bytes: u32, now: Time, out: &mut Vec<Segment>) {
        self.written = self.written.wrapping_add(bytes);
        self.send(now, out);
    }

    /// The program has nothing more to say.
    pub(crate) fn close(&mut self, now: Time, out: &mut Vec<Segment>) {
        self.closes = true;
        self.send(now, out);
    }

    /// Whether the handshake is over as this end sees it: a client has seen the SYN-ACK.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Bytes received in order.
    pub(crate) fn received(&self, other: &Self) -> u32 {
        let all = self.expected.wrapping_sub(other.iss.wrapping_add(1));
        if self.is_open() { all - u32::from(self.finished) } else { 0 }
    }

    /// Whether the other end has closed.
    pub(crate) const fn has_finished(&self) -> bool {
        self.finished
    }

    /// Whether all is sent and acknowledged, a FIN included, and all is received.
    pub(crate) fn is_done(&self) -> bool {
        self.closes && self.finished && self.una == self.end()
    }

    pub(crate) const fn fate(&self) -> Option<Fate> {
        self.fate
    }

    pub(crate) const fn retransmissions(&self) -> u32 {
        self.retransmissions
    }

    pub(crate) const fn timer(&self) -> Option<Time> {
        self.timer
    }

    /// The number that the other end is to send next, for whoever wants to miss it.
    pub(crate) const fn expected(&self) -> u32 {
        self.expected
    }

    /// One past everything there is to send.
    fn end(&self) -> u32 {
        self.written.wrapping_add(u32::from(self.closes))
    }

    fn arm(&mut self, now: Time) {
        self.timer = Some(now + self.rto);
    }

    fn segment(&self, flags: u8, sequence: u32, payload: u32) -> Segment {
        let ack = if flags & ACK != 0 { self.expected } else { 0 };
        Segment { flags, sequence, ack, window: self.own_window, scale: self.scale, payload }
    }

    /// Sends what the other's window lets through.
    fn send(&mut self, now: Time, out: &mut Vec<Segment>) {
        if self.state != State::Open || self.fate.is_some() {
            return;
        }
        let limit = self.una.wrapping_add(self.window.max(1));
        while before(self.next, self.end()) && before(self.next, limit) {
            self.next = self.send_at(self.next, out);
            if self.timer.is_none() {
                self.arm(now);
            }
        }
    }

    /// Sends the segment that begins at `sequence`; where the next one does.
    fn send_at(&self, sequence: u32, out: &mut Vec<Segment>) -> u32 {
        let left = self.written.wrapping_sub(sequence);
        let payload = if before(sequence, self.written) { left.min(SEGMENT_BYTES) } else { 0 };
        let end = sequence.wrapping_add(payload);
        let fin = self.closes && end == self.written;
        let push = if payload > 0 { PSH } else { 0 };
        out.push(self.segment(ACK | push | if fin { FIN } else { 0 }, sequence, payload));
        end.wrapping_add(u32::from(fin))
    }

    /// The timer is due.
    pub(crate) fn time(&mut self, now: Time, out: &mut Vec<Segment>) {
        if self.timer.is_none_or(|at| at > now) || self.fate.is_some() {
            return;
        }
        self.timer = None;
        if self.retransmissions >= RETRANSMISSIONS {
            self.fate = Some(Fate::GivenUp);
            return;
        }
        self.retransmissions += 1;
        self.rto = (self.rto * 2).min(RTO_LONGEST);
        self.arm(now);
        match self.state {
            State::Listen => self.timer = None,
            State::SynSent => out.push(self.segment(SYN, self.iss, 0)),
            State::SynReceived => out.push(self.segment(SYN | ACK, self.iss, 0)),
            State::Open => {
                self.send_at(self.una, out);
            }
        }
    }

    /// A segment came.
    pub(crate) fn hear(&mut self, it: &Segment, now: Time, out: &mut Vec<Segment>) {
        if self.fate.is_some() {
            return;
        }
        match self.state {
            State::Listen if it.flags & (SYN | ACK | RST) == SYN => {
                self.agree(it);
                self.state = State::SynReceived;
                self.next = self.iss.wrapping_add(1);
                self.arm(now);
                out.push(self.segment(SYN | ACK, self.iss, 0));
            }
            State::Listen => {}
            State::SynSent => self.hear_answer(it, now, out),
            State::SynReceived if it.flags & (SYN | ACK | RST) == SYN => {
                out.push(self.segment(SYN | ACK, self.iss, 0));
            }
            State::SynReceived | State::Open => self.hear_stream(it, now, out),
        }
    }

    /// What both announce in their first segments.
    fn agree(&mut self, it: &Segment) {
        self.expected = it.sequence.wrapping_add(1);
        self.scales = match (self.scale, it.scale) {
            (Some(own), Some(other)) => [own, other],
            (None, _) | (_, None) => [0; 2],
        };
        self.window = u32::from(it.window);
        self.edge = self.expected.wrapping_add(u32::from(self.own_window) << self.scales[0]);
    }

    fn hear_answer(&mut self, it: &Segment, now: Time, out: &mut Vec<Segment>) {
        let ours = it.flags & ACK != 0 && it.ack == self.iss.wrapping_add(1);
        if !ours {
            return;
        }
        if it.flags & RST != 0 {
            self.fate = Some(Fate::Reset);
        } else if it.flags & SYN != 0 {
            self.agree(it);
            self.state = State::Open;
            self.acknowledged(it.ack, now);
            out.push(self.segment(ACK, self.next, 0));
            self.send(now, out);
        }
    }

    fn hear_stream(&mut self, it: &Segment, now: Time, out: &mut Vec<Segment>) {
        if it.flags & RST != 0 {
            return self.hear_reset(it, out);
        }
        if it.flags & SYN != 0 || !self.is_acceptable(it) {
            out.push(self.segment(ACK, self.next, 0));
            return;
        }
        if it.flags & ACK == 0 {
            return;
        }
        if self.state == State::SynReceived && it.ack == self.iss.wrapping_add(1) {
            self.state = State::Open;
        }
        if self.state != State::Open {
            return;
        }
        self.window = u32::from(it.window) << self.scales[1];
        if before(self.una, it.ack) && !before(self.next, it.ack) {
            self.acknowledged(it.ack, now);
        }
        self.take(it, out);
        self.send(now, out);
    }

    /// RFC 5961 §3.2: only the very number that is expected.
    fn hear_reset(&mut self, it: &Segment, out: &mut Vec<Segment>) {
        if it.sequence == self.expected {
            self.fate = Some(Fate::Reset);
        } else if self.is_acceptable(it) {
            out.push(self.segment(ACK, self.next, 0));
        }
    }

    /// RFC 9293 §3.10.7.4, first: some of it lies in the window. What does not is answered, and its
    /// acknowledgment is not looked at.
    fn is_acceptable(&self, it: &Segment) -> bool {
        let length = it.payload + u32::from(it.flags & FIN != 0);
        let last = it.sequence.wrapping_add(length.saturating_sub(1));
        !before(last, self.expected) && before(it.sequence, self.edge)
    }

    fn acknowledged(&mut self, ack: u32, now: Time) {
        self.una = ack;
        self.retransmissions = 0;
        self.rto = RTO_FIRST;
        self.timer = None;
        if self.una != self.next {
            self.arm(now);
        }
    }

    /// Takes data; what comes before its time waits for what is missing.
    fn take(&mut self, it: &Segment, out: &mut Vec<Segment>) {
        let fin = u32::from(it.flags & FIN != 0);
        let end = it.sequence.wrapping_add(it.payload).wrapping_add(fin);
        if it.payload + fin == 0 {
            return;
        }
        if self.early.len() < EARLY_SEGMENTS {
            self.early.push((it.sequence, end, fin == 1));
        }
        while let Some(place) = self.early.iter().position(|it| !before(self.expected, it.0)) {
            let (_, end, fin) = self.early.swap_remove(place);
            if before(self.expected, end) {
                self.expected = end;
                self.finished |= fin;
            }
        }
        self.edge = self.expected.wrapping_add(u32::from(self.own_window) << self.scales[0]);
        out.push(self.segment(ACK, self.next, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(from: &mut Vec<Segment>, to: &mut Peer, now: Time) -> Vec<Segment> {
        let mut out = Vec::new();
        from.drain(..).for_each(|it| to.hear(&it, now, &mut out));
        out
    }

    #[test]
    fn a_connection_opens_carries_data_both_ways_and_closes() {
        let now = Time::from_secs(1);
        let mut client = Peer::new(u32::MAX - 10, 30_000, Some(2));
        let mut server = Peer::new(7, 2_000, Some(3));
        let mut out = Vec::new();
        client.open(now, &mut out);
        let talk = |client: &mut Peer, server: &mut Peer, out: &mut Vec<Segment>| {
            while !out.is_empty() {
                let mut back = pass(out, server, now);
                *out = pass(&mut back, client, now);
            }
        };
        talk(&mut client, &mut server, &mut out);
        assert!(client.is_open() && server.is_open());
        client.write(5_000, now, &mut out);
        talk(&mut client, &mut server, &mut out);
        assert_eq!(server.received(&client), 5_000);
        let mut back = Vec::new();
        server.write(3, now, &mut back);
        server.close(now, &mut back);
        out = pass(&mut back, &mut client, now);
        client.close(now, &mut out);
        talk(&mut client, &mut server, &mut out);
        assert!(client.is_done() && server.is_done());
        assert_eq!(client.received(&server), 3);
    }

    #[test]
    fn what_is_lost_is_sent_again_until_nobody_can_be_there() {
        let mut client = Peer::new(1, 1_000, None);
        let (mut now, mut out) = (Time::ZERO, Vec::new());
        client.open(now, &mut out);
        let mut sent = 0;
        while let Some(at) = client.timer() {
            now = at;
            out.clear();
            client.time(now, &mut out);
            sent += out.len() as u32;
        }
        assert_eq!((sent, client.fate()), (RETRANSMISSIONS, Some(Fate::GivenUp)));
    }

    #[test]
    fn a_reset_is_believed_only_at_the_expected_number() {
        let now = Time::ZERO;
        let (mut client, mut out) = (Peer::new(1, 1_000, None), Vec::new());
        client.open(now, &mut out);
        let flags = SYN | ACK;
        let answer = Segment { flags, sequence: 100, ack: 2, window: 500, scale: None, payload: 0 };
        client.hear(&answer, now, &mut out);
        assert!(client.is_open());
        let reset = |sequence| Segment { flags: RST, sequence, ..answer };
        for sequence in [0, 100, 102, 50_000] {
            client.hear(&reset(sequence), now, &mut out);
            assert_eq!(client.fate(), None);
        }
        client.hear(&reset(101), now, &mut out);
        assert_eq!(client.fate(), Some(Fate::Reset));
    }
}
