//! What the hosts do: their frames go out to whom they believe to be the gateway, and what comes is
//! given to the flow that it belongs to.

use wire::Time;

use super::carry::flow_of;
use super::dialog::Dialog;
use super::dice::Dice;
use super::flow::{Content, Conversation, Flow};
use super::hosts::forger::Forgery;
use super::hosts::frame::{self, Body, Read, Segment};
use super::hosts::tcp::{Fate, Peer};
use super::invariants::{forgery, survival, translation};
use super::log::Fact;
use super::network::{End, Weather};
use super::planted::Planted;
use super::topology::{is_public, port_of, service};
use super::world::{Event, World};
use crate::limits::{HEALING, QUIET, UNREACHABLE_AFTER};

/// How long after it was sent a datagram must have been answered, in quiet times.
const ANSWERED_WITHIN: core::time::Duration = core::time::Duration::from_millis(500);

/// How long after the last fault's end everything is in order again.
const SETTLED_AFTER: core::time::Duration = core::time::Duration::from_secs(6);

impl World {
    /// A flow's timer, or its start.
    pub(crate) fn flow_due(&mut self, number: usize) {
        let now = self.now;
        let flow = &mut self.flows[number];
        if flow.due.take().is_some_and(|due| due > now) {
            return self.arm(number);
        }
        self.tally.flows += u64::from(!std::mem::replace(&mut flow.begun, true));
        let transfers_begun = self.transfers_begun(number);
        let flow = &mut self.flows[number];
        let (mut out, mut news) = ([Vec::new(), Vec::new()], Vec::new());
        let mut datagram = None;
        match &mut flow.content {
            Content::Conversation(it) if it.is_new() => {
                it.open(now, &mut out);
                self.log.note(now, Fact::Opens { flow: number });
            }
            Content::Conversation(it) => it.time(now, &mut out),
            Content::Dialog(it) if it.is_new() => it.open(now, &mut out),
            Content::Dialog(it) => it.time(transfers_begun, (now, &mut out), &mut news),
            Content::Denied(peer) if peer.timer().is_none() && peer.fate().is_none() => {
                peer.open(now, &mut out[0]);
            }
            Content::Denied(peer) => peer.time(now, &mut out[0]),
            Content::Exchange(it) if it.left > 0 && it.next <= now => {
                it.left -= 1;
                it.next = now + it.interval;
                datagram = Some(it.echo.next());
            }
            Content::Exchange(_) => {}
            Content::Forgery(_) => self.forge(number),
        }
        if let Some(datagram) = datagram {
            self.ask_echo(number, datagram);
        }
        self.hear_news(number, news);
        self.speak(number, &out);
    }

    /// What both ends of a TCP flow say, and when they are looked at next.
    fn speak(&mut self, number: usize, out: &[Vec<Segment>; 2]) {
        for (end, segments) in out.iter().enumerate() {
            for segment in segments {
                self.say(number, end, segment, false);
            }
        }
        self.follow(number);
        self.arm(number);
    }

    fn say(&mut self, number: usize, end: usize, segment: &Segment, forged: bool) {
        let ends = self.flows[number].ends;
        if let Some(node) = self.gateway(number, end) {
            self.tally.forged += u64::from(forged);
            let frame = match &self.flows[number].content {
                Content::Dialog(it) if !forged => {
                    ends.tcp_of(end, node, segment, (&it.text(end, segment), false))
                }
                Content::Dialog(_)
                | Content::Conversation(_)
                | Content::Exchange(_)
                | Content::Denied(_)
                | Content::Forgery(_) => ends.tcp(end, node, segment, forged),
            };
            self.send_to_gateway(ends.side_of(end), node, &frame);
        }
    }

    fn ask_echo(&mut self, number: usize, datagram: u64) {
        let ends = self.flows[number].ends;
        let Some(node) = self.gateway(number, 0) else { return };
        let frame = ends.udp(0, node, datagram);
        self.send_to_gateway(ends.side, node, &frame);
        if self.is_settled()
            && matches!(ends.ports[1], service::ECHO | service::HASTY | service::SHARED..)
        {
            let event = Event::Answered { flow: number, number: datagram };
            self.queue.push(self.now + ANSWERED_WITHIN, event);
        }
    }

    /// Whether nothing has been wrong for a while.
    fn is_settled(&self) -> bool {
        let quiet = self.end.since(self.now) + SETTLED_AFTER < QUIET;
        quiet && self.network.weather.iter().all(|it| *it == Weather::FAIR)
    }

    /// The node that a host sends to; it asks if it knows none, or none that answers.
    fn gateway(&mut self, number: usize, end: usize) -> Option<usize> {
        let now = self.now;
        let flow = &self.flows[number];
        let (side, host) = (flow.ends.side_of(end), flow.ends.host_of(end));
        let unreachable = match &flow.content {
            Content::Conversation(it) => it.peers[end].retransmissions() >= UNREACHABLE_AFTER,
            Content::Dialog(it) => it.peers[end].retransmissions() >= UNREACHABLE_AFTER,
            Content::Exchange(_) | Content::Denied(_) | Content::Forgery(_) => false,
        };
        let neighbourhood = &mut self.hosts[side][host];
        let gateway = neighbourhood.gateway;
        if (gateway.is_none() || unreachable) && neighbourhood.asks(now) {
            for to in 0..2 {
                let ways = self.network.ways(side + 1, End::Hosts, End::Node(to));
                for way in ways.into_iter().flatten() {
                    self.queue.push(now + way, Event::Question { to, side, host });
                }
            }
        }
        gateway
    }

    /// The kernel of a node answers for an address that it has, if its program lets it.
    pub(crate) fn question(&mut self, to: usize, side: usize, host: usize) {
        let node = &self.nodes[to];
        let covered = node.has_lease(node.local(self.now), self.sim.planted);
        if node.has_power() && node.addresses && covered {
            self.tell_host(side, host, to);
        }
    }

    pub(crate) fn believe(&mut self, side: usize, host: usize, node: usize) {
        if self.hosts[side][host].gateway.replace(node) != Some(node) {
            self.note(Fact::Believes { side, host, node });
        }
    }

    fn send_to_gateway(&mut self, side: usize, to: usize, frame: &[u8]) {
        let segment = side + 1;
        for way in self.network.frame_ways(segment, End::Hosts, End::Node(to)).into_iter().flatten()
        {
            let (port, frame) = (port_of(segment), frame.to_vec());
            self.queue.push(self.now + way, Event::FrameToNode { to, port, frame });
        }
    }

    /// A frame comes to the hosts of a side.
    pub(crate) fn frame_to_hosts(&mut self, side: usize, bytes: &[u8]) {
        self.network.books.arrived += 1;
        self.tally.arrived += 1;
        let Some(read) = frame::read(bytes) else { return };
        let Some((number, end)) = flow_of(&read, self.flows.len()) else { return };
        self.breaks(forgery::NAME, forgery::passes(&read));
        self.note(Fact::Arrives { side, flow: number, end });
        let reads = matches!(self.flows[number].content, Content::Dialog(_));
        if !read.intact && !reads {
            self.breaks(
                survival::NAME,
                Some(format!("flow {number} got other data than were sent")),
            );
        }
        self.translated(number, end, &read);
        match read.body {
            Body::Tcp(segment) => {
                let data = frame::tcp_data(bytes).unwrap_or_default();
                self.segment(number, end, (&segment, data));
            }
            Body::Udp(datagram) => self.datagram(number, end, datagram),
            Body::Other => {}
        }
    }

    /// What the server of a translated flow sees its client as.
    fn translated(&mut self, number: usize, end: usize, read: &Read) {
        if end == 0 || !self.flows[number].translated {
            return;
        }
        let (source, port) = (read.source, read.ports.0);
        if !is_public(source) {
            let what = format!("flow {number} came out as {source}");
            return self.breaks(translation::NAME, Some(what));
        }
        self.tally.translated += 1;
        self.flows[number].ends.public = Some((source, port));
        let protocol = if matches!(read.body, Body::Tcp(_)) { 6 } else { 17 };
        let apart_until = self.apart_until();
        let public = (protocol, source, port);
        let found = self.translations.seen(number, public, self.now, apart_until);
        self.breaks(translation::NAME, found);
    }

    fn segment(&mut self, number: usize, end: usize, (segment, data): (&Segment, &[u8])) {
        let (mut out, mut news) = ([Vec::new(), Vec::new()], Vec::new());
        match &mut self.flows[number].content {
            Content::Conversation(it) => it.hear(end, segment, self.now, &mut out),
            Content::Dialog(it) => {
                it.hear(end, (segment, data), (self.now, &mut out), &mut news);
            }
            Content::Denied(_) | Content::Exchange(_) | Content::Forgery(_) => return,
        }
        self.hear_news(number, news);
        self.speak(number, &out);
    }

    fn datagram(&mut self, number: usize, end: usize, datagram: u64) {
        let ends = self.flows[number].ends;
        if end == 1 {
            if let Some(node) = self.gateway(number, 1) {
                let frame = ends.udp(1, node, datagram);
                self.send_to_gateway(ends.side_of(1), node, &frame);
            }
            return;
        }
        match &mut self.flows[number].content {
            Content::Exchange(it) => {
                if !it.echo.hear(datagram) {
                    let what = format!("flow {number} got an answer to what it never asked");
                    self.breaks(survival::NAME, Some(what));
                }
            }
            Content::Conversation(_)
            | Content::Dialog(_)
            | Content::Denied(_)
            | Content::Forgery(_) => {}
        }
    }

    pub(crate) fn must_be_answered(&mut self, number: usize, datagram: u64) {
        let answered = match &self.flows[number].content {
            Content::Exchange(it) => it.echo.is_answered(datagram),
            Content::Conversation(_)
            | Content::Dialog(_)
            | Content::Denied(_)
            | Content::Forgery(_) => true,
        };
        self.tally.answered += u64::from(answered);
        let what = format!("datagram {datagram} of flow {number} was not answered in a quiet time");
        self.breaks(survival::NAME, (!answered).then_some(what));
    }

    /// What a connection has come to.
    fn follow(&mut self, number: usize) {
        let now = self.now;
        let Some((peers, acknowledged, over)) = self.flows[number].connection() else { return };
        if *over {
            return;
        }
        let opens = peers[0].is_open() && !std::mem::replace(acknowledged, peers[0].is_open());
        let fate = peers.iter().find_map(Peer::fate);
        let done = peers.iter().all(Peer::is_done);
        *over = done || fate.is_some();
        if opens {
            self.log.note(now, Fact::Acknowledged { flow: number });
            self.survival.acknowledged(number);
            // Each of both nodes may have a half of it, and one of the halves is given up.
            if self.is_apart() {
                self.survival.excuse(number);
            }
            self.transfer_opens(number);
        }
        if done {
            self.note(Fact::Done { flow: number });
            self.survival.done(number);
            self.translations.over(number);
        } else if let Some(fate) = fate {
            self.note(Fact::Broken { flow: number, fate });
            self.translations.over(number);
            let found = self.survival.broke(number, fate);
            self.breaks(self.name_of_break(number), found);
            self.dialog_breaks(number);
        }
    }

    /// When the nodes were apart last.
    pub(crate) fn apart_until(&self) -> Option<Time> {
        let nanos = |ago: core::time::Duration| ago.as_nanos() as u64;
        let apart = self.network.apart_ago(self.now);
        apart.map(|ago| Time(self.now.0.saturating_sub(nanos(ago))) + HEALING)
    }

    pub(crate) fn is_apart(&self) -> bool {
        self.network.apart_ago(self.now).is_some_and(|ago| ago <= HEALING)
    }

    /// Makes sure that the flow is looked at when it is due.
    fn arm(&mut self, number: usize) {
        let flow = &mut self.flows[number];
        let next = flow.next_deadline().map(|at| at.max(self.now));
        if let Some(next) = next
            && flow.due.is_none_or(|due| next < due)
        {
            flow.due = Some(next);
            self.queue.push(next, Event::Flow { flow: number });
        }
    }

    fn forge(&mut self, number: usize) {
        let now = self.now;
        let dice: &mut Dice = &mut self.dice[0];
        let Content::Forgery(it) = &mut self.flows[number].content else { return };
        if it.left == 0 || it.next > now {
            return;
        }
        it.left -= 1;
        it.next = now + dice.millis(5..1_500);
        let kind = it.kind;
        let (victim, end) = match kind {
            Forgery::NeverSeen => (number, dice.below(2) as usize),
            Forgery::BlindReset | Forgery::OutOfWindow | Forgery::BlindFin => {
                let open: Vec<usize> =
                    (0..self.flows.len()).filter(|it| self.flows[*it].is_open()).collect();
                if open.is_empty() {
                    return;
                }
                (open[dice.below(open.len() as u64) as usize], dice.below(2) as usize)
            }
        };
        let expected = match &self.flows[victim].content {
            Content::Conversation(it) => it.peers[1 - end].expected(),
            Content::Dialog(it) => it.peers[1 - end].expected(),
            Content::Exchange(_) | Content::Denied(_) | Content::Forgery(_) => 0,
        };
        let segment = kind.segment(expected, dice);
        self.say(victim, end, &segment, true);
        if self.sim.planted == Planted::LetsForgeryIn {
            let frame = self.flows[victim].ends.tcp(end, 0, &segment, true);
            self.network.books.sent += 1;
            let side = self.flows[victim].ends.side_of(1 - end);
            self.queue.push(now, Event::FrameToHosts { side, frame });
        }
    }
}

impl Flow {
    /// Both ends of its connection, whether its client has seen the SYN-ACK, and whether it is over.
    fn connection(&mut self) -> Option<(&[Peer; 2], &mut bool, &mut bool)> {
        match &mut self.content {
            Content::Conversation(it) => {
                let Conversation { peers, acknowledged, over, .. } = &mut **it;
                Some((peers, acknowledged, over))
            }
            Content::Dialog(it) => {
                let Dialog { peers, acknowledged, over, .. } = &mut **it;
                Some((peers, acknowledged, over))
            }
            Content::Denied(_) | Content::Exchange(_) | Content::Forgery(_) => None,
        }
    }

    fn is_open(&self) -> bool {
        match &self.content {
            Content::Conversation(it) => it.acknowledged && !it.over,
            Content::Dialog(it) => it.acknowledged && !it.over,
            Content::Exchange(_) | Content::Denied(_) | Content::Forgery(_) => false,
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        match &self.content {
            Content::Conversation(it) => it.next_deadline(),
            Content::Dialog(it) => it.next_deadline(),
            Content::Denied(peer) => peer.timer().filter(|_| peer.fate() != Some(Fate::GivenUp)),
            Content::Exchange(it) => (it.left > 0).then_some(it.next),
            Content::Forgery(it) => (it.left > 0).then_some(it.next),
        }
    }
}
