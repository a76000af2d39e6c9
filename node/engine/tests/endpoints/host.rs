//! A host: smoltcp's stack, and a program that opens, sends, reads, waits and closes by plan.

use std::collections::VecDeque;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{RecvError, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, TcpTimestampGenerator};

use crate::dice::Dice;
use crate::plan::{Closing, Connection, Micros, Opening, Plan, SECOND};
use crate::segment::{self, SYN, Segment};

/// After this time of one-sided silence an end gives up; only where a connection is aborted, because
/// there the other end may never learn.
const GIVES_UP: Duration = Duration::from_secs(90);

/// After this time without progress a program gives up a connection that is open, or closing. This
/// stack needs it: after a third duplicate acknowledgment it stops its retransmission timer, and if
/// the window is full, or only the FIN is left, nothing starts it again.
const STRANDED: Micros = 200 * SECOND;

/// How often an end tries again to open at the same time as the other one, which may think that it
/// is done already.
const TRIES: u32 = 5;

pub(crate) struct Host {
    side: usize,
    interface: Interface,
    tube: Tube,
    sockets: SocketSet<'static>,
    ends: Vec<Running>,
}

/// One end of one connection.
struct Running {
    number: usize,
    plan: Connection,
    round: u32,
    socket: Option<SocketHandle>,
    begins: Micros,
    sent: usize,
    received: usize,
    paused: Option<Micros>,
    /// The pause is over.
    read_on: bool,
    finished: bool,
    closed: bool,
    /// Aborted, for whatever reason.
    gave_up: bool,
    /// The last sign of progress, and when it came.
    progress: (Progress, Micros),
    /// Tried to open at the same time as the other side, and was refused.
    refused: bool,
    tries: u32,
    opened: bool,
    /// What is added to its own sequence numbers on the way out.
    shift: u32,
    /// The stack's own initial sequence number, and the next one on the network.
    initial: Option<u32>,
    next_initial: u32,
}

/// What shows that a connection goes on: bytes acknowledged and read, and the stack's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    sent: usize,
    received: usize,
    state: Option<State>,
}

/// How an end fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Running,
    /// With this round.
    Done,
    /// Reset before everything was there.
    Broken,
    /// With all rounds.
    Over,
}

impl Host {
    pub(crate) fn new(side: usize, plan: &Plan, dice: &mut Dice) -> Self {
        let mut tube = Tube { received: VecDeque::new(), sent: Vec::new(), mtu: plan.mtu[side] };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = dice.next();
        let mut interface = Interface::new(config, &mut tube, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for v6 in [false, true] {
                let prefix = if v6 { 64 } else { 24 };
                addresses.push(IpCidr::new(address(side, v6), prefix)).expect("room for two");
            }
        });
        let routes = interface.routes_mut();
        let (IpAddress::Ipv4(v4), IpAddress::Ipv6(v6)) =
            (gateway(side, false), gateway(side, true))
        else {
            panic!("families")
        };
        routes.add_default_ipv4_route(v4).expect("room");
        routes.add_default_ipv6_route(v6).expect("room");
        let ends = plan.connections.iter().enumerate();
        let ends = ends.map(|(number, plan)| Running::new(number, side, plan)).collect();
        Self { side, interface, tube, sockets: SocketSet::new(Vec::new()), ends }
    }

    /// A packet arrives. Its acknowledgments are taken back into the stack's own numbers.
    pub(crate) fn arrive(&mut self, mut packet: Vec<u8>) {
        let ports = Segment::read(&packet).ports;
        if let Some(end) = self.ends.iter().find(|end| end.plan.ports[self.side] == ports[1]) {
            segment::shift_other(&mut packet, end.shift.wrapping_neg());
        }
        self.tube.received.push_back(packet);
    }

    /// Everything that is due: receives, runs the programs, sends. The packets that leave.
    pub(crate) fn turn(&mut self, now: Micros) -> Vec<Vec<u8>> {
        let instant = instant(now);
        self.interface.poll(instant, &mut self.tube, &mut self.sockets);
        for end in &mut self.ends {
            end.run(self.side, now, &mut self.sockets, &mut self.interface);
        }
        self.interface.poll(instant, &mut self.tube, &mut self.sockets);
        let mut packets = std::mem::take(&mut self.tube.sent);
        for packet in &mut packets {
            let segment = Segment::read(packet);
            let mut ends = self.ends.iter_mut();
            let end = ends.find(|end| end.plan.ports[self.side] == segment.ports[0]);
            segment::shift_own(packet, end.expect("a port of the plan").number(&segment));
        }
        packets
    }

    /// When it wants its next turn, if nothing arrives.
    pub(crate) fn wakes(&mut self, now: Micros) -> Option<Micros> {
        let stack = self.interface.poll_at(instant(now), &self.sockets);
        let stack = stack.map(|instant| instant.total_micros() as Micros);
        let ends = self.ends.iter().filter_map(|end| end.wakes());
        ends.chain(stack).min().map(|at| at.max(now + 1))
    }

    pub(crate) fn fate(&self, number: usize) -> Fate {
        self.ends[number].fate(self.side, &self.sockets)
    }

    /// Whether the program gave up, and not by plan.
    pub(crate) fn is_stranded(&self, number: usize) -> bool {
        let end = &self.ends[number];
        end.gave_up && !matches!(end.plan.ends[self.side].closing, Closing::Abort(_))
    }

    /// Whether an end waits for somebody to open.
    pub(crate) fn listens(&self, number: usize) -> bool {
        let socket = self.ends[number].socket;
        socket.is_some_and(|it| self.sockets.get::<Socket<'_>>(it).state() == State::Listen)
    }

    /// Both ends are done: the next round, or none.
    pub(crate) fn next_round(&mut self, number: usize, now: Micros) {
        let end = &mut self.ends[number];
        if let Some(handle) = end.socket.take() {
            self.sockets.remove(handle);
        }
        let next = Running::new(number, self.side, &end.plan);
        *end = Running {
            round: end.round + 1,
            begins: now + end.plan.rest,
            shift: end.shift,
            next_initial: end.next_initial,
            ..next
        };
    }

    /// In words, for a failure.
    pub(crate) fn tells(&self) -> String {
        let words = self.ends.iter().map(|end| {
            let state = end.socket.map(|handle| self.sockets.get::<Socket<'_>>(handle).state());
            format!(
                "  side {} connection {} round {}: {:?}, sent {} of {}, received {}, fin {}\n",
                self.side,
                end.number,
                end.round,
                state,
                end.sent,
                end.plan.ends[self.side].data,
                end.received,
                end.finished
            )
        });
        words.collect()
    }
}

impl Running {
    fn new(number: usize, side: usize, plan: &Connection) -> Self {
        Self {
            number,
            plan: plan.clone(),
            round: 0,
            socket: None,
            begins: plan.start,
            sent: 0,
            received: 0,
            paused: None,
            read_on: false,
            finished: false,
            closed: false,
            gave_up: false,
            progress: (Progress::default(), 0),
            refused: false,
            tries: 0,
            opened: false,
            shift: 0,
            initial: None,
            next_initial: plan.ends[side].initial,
        }
    }

    fn is_over(&self) -> bool {
        self.round >= self.plan.rounds
    }

    /// What to add to the numbers of a segment that leaves. A new initial sequence number is moved to
    /// where the plan wants it, and later ones above all that was sent (RFC 9293 §3.4.1).
    fn number(&mut self, segment: &Segment) -> u32 {
        if segment.has(SYN) && self.initial != Some(segment.sequence) {
            self.initial = Some(segment.sequence);
            self.shift = self.next_initial.wrapping_sub(segment.sequence);
        }
        let end = segment.end().wrapping_add(self.shift);
        let ahead = end.wrapping_add(70_000);
        if self.initial.is_some() && (ahead.wrapping_sub(self.next_initial) as i32) > 0 {
            self.next_initial = ahead;
        }
        self.shift
    }

    fn wakes(&self) -> Option<Micros> {
        match (self.is_over(), self.socket) {
            (true, _) => None,
            (false, None) => Some(self.begins),
            (false, Some(_)) => {
                let stranded = self.opened && !self.gave_up;
                let gives_up = stranded.then_some(self.progress.1 + STRANDED);
                self.paused.into_iter().chain(gives_up).min()
            }
        }
    }

    fn fate(&self, side: usize, sockets: &SocketSet<'_>) -> Fate {
        if self.is_over() {
            return Fate::Over;
        }
        if self.plan.opening == Opening::Refused(1 - side) {
            return Fate::Done;
        }
        let Some(handle) = self.socket else { return Fate::Running };
        let socket = sockets.get::<Socket<'_>>(handle);
        let state = socket.state();
        let done = match self.plan.opening {
            Opening::Refused(_) => state == State::Closed,
            Opening::By(_) | Opening::Both if self.plan.aborts() => {
                state == State::Closed || (self.finished && self.closed && state == State::TimeWait)
            }
            Opening::By(_) | Opening::Both => {
                let (own, other) = (self.plan.ends[side].data, self.plan.ends[1 - side].data);
                let whole = self.sent == own && self.received == other;
                if self.opened && !whole && state == State::Closed && !socket.can_recv() {
                    return Fate::Broken;
                }
                whole && (state == State::Closed || (self.finished && state == State::TimeWait))
            }
        };
        if done { Fate::Done } else { Fate::Running }
    }

    /// The program of this end.
    fn run(
        &mut self,
        side: usize,
        now: Micros,
        sockets: &mut SocketSet<'static>,
        interface: &mut Interface,
    ) {
        if self.is_over() || now < self.begins {
            return;
        }
        let handle = match self.socket {
            Some(handle) => handle,
            None if self.plan.opening == Opening::Refused(1 - side) => return,
            None => {
                let handle = sockets.add(self.new_socket(side));
                self.open(side, sockets.get_mut(handle), interface);
                self.socket = Some(handle);
                handle
            }
        };
        let socket = sockets.get_mut::<Socket<'_>>(handle);
        self.opened |= socket.may_send() && socket.remote_endpoint().is_some();
        let lost = socket.state() == State::Closed && self.received == 0 && !self.finished;
        let again = !self.opened || !self.gave_up;
        if self.plan.opening == Opening::Both && lost && again {
            self.tries += 1;
            if self.tries > TRIES {
                (self.opened, self.gave_up) = (true, true);
                return;
            }
            // The other side was not there yet, or took a refusal of an earlier try for one of this.
            // One listens now, and one tries again.
            (self.refused, self.opened, self.closed, self.sent) = (true, false, false, 0);
            self.open(side, socket, interface);
        }
        self.send(side, socket);
        self.read(side, now, socket);
        self.close(side, socket);
        self.watch(now, socket);
        // This stack sends keepalives, with a byte that means nothing, while data is on its way.
        let idle = socket.send_queue() == 0;
        let interval = self.plan.ends[side].keep_alive.filter(|_| idle);
        socket.set_keep_alive(interval.map(Duration::from_micros));
    }

    fn new_socket(&self, side: usize) -> Socket<'static> {
        let plan = &self.plan.ends[side];
        let buffer = |len: usize| SocketBuffer::new(vec![0; len]);
        let mut socket = Socket::new(buffer(plan.receive_buffer), buffer(plan.send_buffer));
        socket.set_nagle_enabled(plan.nagle);
        if !plan.delayed_ack {
            socket.set_ack_delay(None);
        }
        if plan.timestamps {
            const CLOCK: TcpTimestampGenerator = || 77;
            socket.set_tsval_generator(Some(CLOCK));
        }
        socket.set_timeout(self.plan.aborts().then_some(GIVES_UP));
        socket
    }

    fn open(&self, side: usize, socket: &mut Socket<'_>, interface: &mut Interface) {
        let (own, other) = (self.plan.ports[side], self.plan.ports[1 - side]);
        let connects = match self.plan.opening {
            Opening::By(opener) | Opening::Refused(opener) => opener == side,
            Opening::Both => !self.refused || side == 0,
        };
        if connects {
            let remote = (address(1 - side, self.plan.v6), other);
            let local = (address(side, self.plan.v6), own);
            socket.connect(interface.context(), remote, local).expect("a closed socket");
        } else {
            socket.listen((address(side, self.plan.v6), own)).expect("a closed socket");
        }
    }

    fn send(&mut self, side: usize, socket: &mut Socket<'_>) {
        let data = self.plan.ends[side].data;
        while self.sent < data && socket.can_send() {
            let (start, number, round) = (self.sent, self.number, self.round);
            let count = socket
                .send(|space| {
                    let count = space.len().min(data - start);
                    for (offset, byte) in space[..count].iter_mut().enumerate() {
                        *byte = content(number, round, side, start + offset);
                    }
                    (count, count)
                })
                .expect("it can send");
            self.sent += count;
        }
    }

    fn read(&mut self, side: usize, now: Micros, socket: &mut Socket<'_>) {
        if let Some((after, pause)) = self.plan.ends[side].pause
            && !self.read_on
            && self.received >= after
            // What is not read before the end of TIME-WAIT, this stack throws away.
            && socket.state() != State::TimeWait
        {
            let until = *self.paused.get_or_insert(now + pause);
            if now < until {
                return;
            }
            self.paused = None;
            self.read_on = true;
        }
        let limit = match self.plan.ends[side].pause {
            Some((after, _)) if !self.read_on && socket.state() != State::TimeWait => after,
            Some(_) | None => usize::MAX,
        };
        while self.received < limit {
            let (start, number, round) = (self.received, self.number, self.round);
            let read = socket.recv(|bytes| {
                let count = bytes.len().min(limit - start);
                for (offset, byte) in bytes[..count].iter().enumerate() {
                    let expected = content(number, round, 1 - side, start + offset);
                    assert_eq!(*byte, expected, "byte {} of connection {number}", start + offset);
                }
                (count, count)
            });
            match read {
                Ok(0) => return,
                Ok(count) => self.received += count,
                Err(RecvError::Finished) => {
                    self.finished = true;
                    return;
                }
                Err(RecvError::InvalidState) => return,
            }
        }
        if self.received >= limit && self.paused.is_none() {
            // Now the pause begins.
            self.read(side, now, socket);
        }
    }

    fn watch(&mut self, now: Micros, socket: &mut Socket<'_>) {
        let progress = Progress {
            sent: self.sent - socket.send_queue(),
            received: self.received,
            state: Some(socket.state()),
        };
        if self.progress.0 != progress || self.paused.is_some() {
            self.progress = (progress, now);
        } else if self.opened && !self.gave_up && now >= self.progress.1 + STRANDED {
            self.gave_up = true;
            socket.abort();
        }
    }

    fn close(&mut self, side: usize, socket: &mut Socket<'_>) {
        let plan = &self.plan.ends[side];
        if self.closed || !self.opened {
            return;
        }
        let sent = self.sent == plan.data;
        match plan.closing {
            Closing::Sent if sent => socket.close(),
            Closing::Received if sent && self.finished => socket.close(),
            Closing::Abort(after) if self.received >= after || self.finished => {
                self.gave_up = true;
                socket.abort();
            }
            Closing::Sent | Closing::Received | Closing::Abort(_) => return,
        }
        self.closed = true;
    }
}

/// The byte that `side` sends at this place.
fn content(number: usize, round: u32, side: usize, at: usize) -> u8 {
    (at * 167 + at / 251 + at / 65_000 * 3 + number * 31 + round as usize * 59 + side * 97) as u8
}

pub(crate) fn address(side: usize, v6: bool) -> IpAddress {
    match v6 {
        false => IpAddress::v4(10, 0, side as u8 + 1, 2),
        true => IpAddress::v6(0x2001, 0xdb8, side as u16 + 1, 0, 0, 0, 0, 2),
    }
}

fn gateway(side: usize, v6: bool) -> IpAddress {
    match v6 {
        false => IpAddress::v4(10, 0, side as u8 + 1, 1),
        true => IpAddress::v6(0x2001, 0xdb8, side as u16 + 1, 0, 0, 0, 0, 1),
    }
}

fn instant(now: Micros) -> Instant {
    Instant::from_micros(now as i64)
}

/// No frames in the way of IP packets, in and out.
struct Tube {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    mtu: usize,
}

impl Device for Tube {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Received(packet), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Sending<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}

/// The longest that a plan's pauses and silences may take, with room to spare.
pub(crate) const LONGEST: Micros = 7_200 * SECOND;
