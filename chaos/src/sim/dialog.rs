//! A control channel of FTP: a client and a server that announce where transfers will go, and each of these
//! is a flow of its own.
//!
//! ```text
//!  client  PORT, or PASV ──────────────► server       written: from now on the firewall may let it in
//!          ◄──────── 200, or 227 with an endpoint     heard: from now on it must
//!  a random time later one of them opens the transfer, and later still somebody else tries the same
//! ```

use core::time::Duration;
use std::net::SocketAddr;

use wire::Time;

use super::dice::Dice;
use super::hosts::frame::{Ends, Segment};
use super::hosts::tcp::Peer;
use crate::ftp::Way;
use crate::limits::ROUNDS_OF_DIALOG;

/// How often a client looks whether its transfer has begun, before it goes on.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Text of one end that is longer was never written: a segment far outside of what there is.
const TEXT_MOST: usize = 4_096;

/// A control channel and its program.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) peers: [Peer; 2],
    pub(crate) rounds: Vec<Round>,
    /// Rounds that the client has begun, those that the server knows of, and those whose answer came.
    begun: usize,
    known: usize,
    answered: usize,
    texts: [Text; 2],
    rest: Duration,
    rests_until: Option<Time>,
    pub(crate) acknowledged: bool,
    pub(crate) over: bool,
    closing: bool,
}

/// One announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) way: Way,
    /// What listens, as it knows itself.
    pub(crate) own: SocketAddr,
    /// The flows of the transfer, and of who tries the same once more.
    pub(crate) transfer: usize,
    pub(crate) intruder: usize,
    /// From hearing it to opening it, and from its being open to the intruder.
    pub(crate) delay: Duration,
    pub(crate) intrudes_after: Duration,
    /// Bytes of its line in its first segment; the rest is in a second one.
    cut: u32,
}

/// What one end says.
#[derive(Clone, Debug, Default)]
struct Text {
    written: Vec<u8>,
    /// As the other end hears it; in any order.
    heard: Vec<Option<u8>>,
    /// Bytes of it that were read.
    read: usize,
}

/// What a dialog tells the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// An announcement is on its way.
    Written(Round),
    /// It has come to the one that opens the transfer, who is told this.
    Heard(Round, SocketAddr),
    /// Something else came than may have been made of what was written.
    Garbled(&'static str),
}

impl Round {
    pub(crate) fn new(
        (way, own): (Way, SocketAddr),
        [transfer, intruder]: [usize; 2],
        dice: &mut Dice,
    ) -> Self {
        // Some come late, after whatever happens in between.
        let delay = match dice.below(4) {
            0 => dice.millis(0..5),
            1 => dice.millis(3_000..9_000),
            _ => dice.millis(5..1_500),
        };
        let intrudes_after = dice.millis(1..6_000);
        let cut = if dice.per_mille(300) { dice.within(1..12) as u32 } else { 0 };
        Self { way, own, transfer, intruder, delay, intrudes_after, cut }
    }
}

impl Dialog {
    pub(crate) fn new(peers: [Peer; 2], rounds: Vec<Round>, dice: &mut Dice) -> Self {
        Self {
            peers,
            rounds,
            begun: 0,
            known: 0,
            answered: 0,
            texts: Default::default(),
            rest: dice.millis(20..2_500),
            rests_until: None,
            acknowledged: false,
            over: false,
            closing: false,
        }
    }

    /// Makes it fit into so much time.
    pub(crate) fn hurry(&mut self, limit: Duration) {
        let most = limit / (2 * ROUNDS_OF_DIALOG as u32 + 4);
        self.rest = self.rest.min(most);
        self.rounds.iter_mut().for_each(|round| round.delay = round.delay.min(most));
    }

    /// About how long it takes in peace.
    pub(crate) fn duration(&self) -> Duration {
        let delays: Duration = self.rounds.iter().map(|round| round.delay + LOOK_AGAIN).sum();
        (self.rest + Duration::from_millis(60)) * (self.rounds.len() as u32 + 1) + delays
    }

    pub(crate) fn open(&mut self, now: Time, out: &mut [Vec<Segment>; 2]) {
        self.peers[0].open(now, &mut out[0]);
    }

    /// What the client has begun to announce.
    pub(crate) fn announced(&self) -> &[Round] {
        &self.rounds[..self.begun]
    }

    pub(crate) fn is_new(&self) -> bool {
        self.next_deadline().is_none() && !self.acknowledged && !self.over
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let timers = self.peers.iter().filter_map(Peer::timer);
        timers.chain(self.rests_until).min()
    }

    /// What `end` has written at this place, as it numbers that.
    pub(crate) fn text(&self, end: usize, segment: &Segment) -> Vec<u8> {
        let from = self.peers[end].place_of(segment.sequence) as usize;
        let text = self.texts[end].written.get(from..from + segment.payload as usize);
        text.unwrap_or_default().to_vec()
    }

    /// A segment with these data came to `end`.
    pub(crate) fn hear(
        &mut self,
        end: usize,
        (segment, data): (&Segment, &[u8]),
        (now, out): (Time, &mut [Vec<Segment>; 2]),
        news: &mut Vec<News>,
    ) {
        let place = self.peers[1 - end].place_of(segment.sequence) as usize;
        let have = self.came(end);
        if !self.texts[1 - end].put(place, data, have) {
            news.push(News::Garbled("other bytes at the same place"));
        }
        self.peers[end].hear(segment, now, &mut out[end]);
        let came = self.came(end);
        while let Some(line) = self.texts[1 - end].line(came) {
            match end {
                1 => self.command(&line, now, out, news),
                _ => self.reply(&line, now, news),
            }
        }
        self.go_on(false, now, out, news);
    }

    /// Bytes that came to `end` in order.
    fn came(&self, end: usize) -> usize {
        self.peers[end].received(&self.peers[1 - end]) as usize
    }

    /// Time has passed. `begun`: whether every transfer that was announced is open or over.
    pub(crate) fn time(
        &mut self,
        begun: bool,
        (now, out): (Time, &mut [Vec<Segment>; 2]),
        news: &mut Vec<News>,
    ) {
        for (peer, out) in self.peers.iter_mut().zip(out.iter_mut()) {
            peer.time(now, out);
        }
        self.go_on(begun, now, out, news);
    }

    fn go_on(&mut self, begun: bool, now: Time, out: &mut [Vec<Segment>; 2], news: &mut Vec<News>) {
        let [client, server] = &mut self.peers;
        if server.has_finished() {
            server.close(now, &mut out[1]);
        }
        if !client.is_open() || self.answered < self.begun || self.closing {
            return;
        }
        let until = *self.rests_until.get_or_insert(now + self.rest);
        if until > now {
            return;
        }
        self.rests_until = None;
        // There is one data connection at a time: an announcement gives up the one before it.
        if !begun {
            self.rests_until = Some(now + LOOK_AGAIN);
        } else if let Some(&round) = self.rounds.get(self.begun) {
            self.begun += 1;
            if !round.way.passive {
                news.push(News::Written(round));
            }
            self.write(0, &round.way.command(round.own), round.cut, now, out);
        } else {
            self.closing = true;
            self.peers[0].close(now, &mut out[0]);
        }
    }

    /// The server has heard a line.
    fn command(
        &mut self,
        line: &str,
        now: Time,
        out: &mut [Vec<Segment>; 2],
        news: &mut Vec<News>,
    ) {
        let Some(&round) = self.rounds.get(self.known) else {
            return news.push(News::Garbled("a command that was not given"));
        };
        self.known += 1;
        match (round.way.passive, round.way.heard(line, round.own.ip())) {
            (true, _) if line == round.way.command(round.own) => news.push(News::Written(round)),
            (false, Some(to)) => news.push(News::Heard(round, to)),
            (true | false, _) => news.push(News::Garbled("another command than was given")),
        }
        self.write(1, &round.way.reply(round.own), round.cut, now, out);
    }

    /// The client has heard a line.
    fn reply(&mut self, line: &str, now: Time, news: &mut Vec<News>) {
        let Some(&round) = self.rounds.get(self.answered) else {
            return news.push(News::Garbled("a reply that was not given"));
        };
        self.answered += 1;
        match (round.way.passive, round.way.heard(line, round.own.ip())) {
            (true, Some(to)) => news.push(News::Heard(round, to)),
            (false, _) if line == round.way.reply(round.own) => {}
            (true | false, _) => news.push(News::Garbled("another reply than was given")),
        }
        self.rests_until = Some(now + self.rest);
    }

    /// A line, perhaps in two segments.
    fn write(&mut self, end: usize, line: &str, cut: u32, now: Time, out: &mut [Vec<Segment>; 2]) {
        self.texts[end].written.extend(line.as_bytes());
        let len = line.len() as u32;
        for part in [cut.min(len), len.saturating_sub(cut)] {
            self.peers[end].write(part, now, &mut out[end]);
        }
    }
}

impl Text {
    /// Bytes have come; `false` if others had, at the same place. Those that are there already, in order,
    /// nobody looks at again.
    fn put(&mut self, place: usize, data: &[u8], have: usize) -> bool {
        let end = place + data.len();
        if end > TEXT_MOST {
            return true;
        }
        if self.heard.len() < end {
            self.heard.resize(end, None);
        }
        let places = self.heard[place..end].iter_mut().zip(data);
        let fresh = places.skip(have.saturating_sub(place));
        fresh.fold(true, |same, (at, byte)| same & (at.replace(*byte).unwrap_or(*byte) == *byte))
    }

    /// The next line, if it is whole within the first `came` bytes.
    fn line(&mut self, came: usize) -> Option<String> {
        let bytes = self.heard.get(self.read..came.min(self.heard.len()))?;
        let bytes: Vec<u8> = bytes.iter().map_while(|byte| *byte).collect();
        let len = bytes.iter().position(|byte| *byte == b'\n')? + 1;
        self.read += len;
        Some(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }
}

/// Both ends of a transfer, or of who tries the same: of the dialog between these.
pub(crate) fn transfer_ends(dialog: &Ends, way: Way, own: [u16; 2]) -> Ends {
    // Who does not announce opens it.
    let opener = if way.passive { 0 } else { 1 };
    let hosts = [dialog.hosts[opener], dialog.hosts[1 - opener]];
    let side = dialog.side_of(opener);
    Ends { v6: dialog.v6, side, hosts, ports: own, public: None, there: None }
}
