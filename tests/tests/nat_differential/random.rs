//! Random flows, always the same: TCP connections, datagrams with and without a checksum, echoes, all of them
//! also in fragments where they are long, and errors about any of it.

use std::net::{IpAddr, Ipv4Addr};

use wire::TcpFlags;
use wire::build::Builder;

use crate::datagram::{OUTER, UDP, fragments, word};
use crate::scenario::{Kind, SERVER, Side, Step};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 on, below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn port(&mut self) -> u16 {
        1_024 + self.below(60_000) as u16
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// One flow, and the packets of it so far, whole.
pub(crate) struct Case {
    pub(crate) steps: Vec<Step>,
    whole: Vec<Step>,
    /// Who begins, and who answers.
    ends: [(Ipv4Addr, u16); 2],
    sides: [Side; 2],
}

impl Case {
    /// Case `number`: its addresses are its own.
    pub(crate) fn new(kind: Kind, number: u16, dice: &mut Dice) -> Self {
        let [high, low] = number.to_be_bytes();
        let inside = match kind {
            Kind::Source => Ipv4Addr::new(10, 1, high, low),
            Kind::Destination => SERVER,
        };
        let outside = Ipv4Addr::new(198, 18, high, low);
        let (first, sides) = match kind {
            Kind::Source => ([inside, outside], [Side::Inside, Side::Outside]),
            Kind::Destination => ([outside, inside], [Side::Outside, Side::Inside]),
        };
        let ends = first.map(|it| (it, dice.port()));
        let mut this = Self { steps: Vec::new(), whole: Vec::new(), ends, sides };
        match dice.below(3) {
            0 => this.tcp(dice),
            1 => this.udp(dice),
            _ => this.echo(dice),
        }
        this
    }

    fn builder(&self, who: usize, dice: &mut Dice) -> Builder<'static> {
        let [from, to] = [self.ends[who].0, self.ends[1 - who].0].map(IpAddr::V4);
        let builder = Builder::new(from, to).bare().id(dice.next() as u16);
        let builder = builder.hop_limit(2 + dice.below(250) as u8);
        builder.traffic_class(dice.next() as u8 & 0xfc)
    }

    fn push(&mut self, who: usize, datagram: Vec<u8>, dice: &mut Dice) {
        let from = self.sides[who];
        let most = 64 + dice.below(1_400);
        let pieces = if datagram.len() > 1_500 || dice.below(6) == 0 && datagram.len() > 200 {
            let mut pieces = fragments(&datagram, most);
            let turns = dice.below(pieces.len());
            // The first fragment tells Linux and the test what it is: it stays first now and then only.
            pieces[1..].rotate_left(turns.min(1));
            pieces
        } else {
            vec![datagram.clone()]
        };
        self.steps.extend(pieces.into_iter().map(|datagram| Step { from, datagram, right: true }));
        self.whole.push(Step { from, datagram, right: true });
        if dice.below(3) == 0 {
            self.error(dice);
        }
    }

    fn tcp(&mut self, dice: &mut Dice) {
        let mut next = [dice.next() as u32, dice.next() as u32];
        let syn = TcpFlags::SYN;
        let segment =
            |this: &mut Self, who: usize, flags, data: &[u8], next: [u32; 2], dice: &mut Dice| {
                let ports = [this.ends[who].1, this.ends[1 - who].1];
                let builder = this.builder(who, dice).tcp(ports[0], ports[1]).flags(flags);
                let builder = builder.seq(next[who]).window(30_000);
                let ack = if flags == syn { 0 } else { next[1 - who] };
                let builder = if flags.contains(syn) {
                    builder.mss(1_460).window_scale(3)
                } else {
                    builder.timestamps(dice.next() as u32, 0)
                };
                write(&builder.ack(ack).payload(data))
            };
        for (who, flags) in [(0, syn), (1, syn | TcpFlags::ACK), (0, TcpFlags::ACK)] {
            let bytes = segment(self, who, flags, &[], next, dice);
            next[who] = next[who].wrapping_add(u32::from(flags.contains(syn)));
            self.push(who, bytes, dice);
        }
        for _ in 0..dice.below(8) {
            let (who, data) = (dice.below(2), dice.bytes(1_400));
            let bytes = segment(self, who, TcpFlags::ACK | TcpFlags::PSH, &data, next, dice);
            next[who] = next[who].wrapping_add(data.len() as u32);
            self.push(who, bytes, dice);
        }
        let end = [TcpFlags::FIN, TcpFlags::RST][dice.below(2)];
        for who in [0, 1] {
            let bytes = segment(self, who, end | TcpFlags::ACK, &[], next, dice);
            next[who] = next[who].wrapping_add(u32::from(end == TcpFlags::FIN));
            self.push(who, bytes, dice);
        }
    }

    fn udp(&mut self, dice: &mut Dice) {
        for turn in 0..2 + dice.below(6) {
            let who = if turn == 0 { 0 } else { dice.below(2) };
            let ports = [self.ends[who].1, self.ends[1 - who].1];
            let most = [30, 1_400, 4_000][dice.below(3)];
            let data = dice.bytes(most);
            let builder = self.builder(who, dice).udp(ports[0], ports[1]).payload(&data);
            let mut bytes = write(&builder);
            if dice.below(3) == 0 {
                let at = OUTER.transport(&bytes) + 6;
                bytes[at..at + 2].fill(0);
            }
            self.push(who, bytes, dice);
        }
    }

    fn echo(&mut self, dice: &mut Dice) {
        let id = u32::from(dice.next() as u16) << 16;
        for sequence in 0..1 + dice.below(4) as u32 {
            let most = [60, 1_400, 3_000][dice.below(3)];
            let data = dice.bytes(most);
            for (who, kind) in [(0, 8), (1, 0)] {
                let builder = self.builder(who, dice).icmp(kind, 0, id | sequence).payload(&data);
                self.push(who, write(&builder), dice);
            }
        }
    }

    /// About a packet that its receiver got, by the receiver, or by a router on its side.
    fn error(&mut self, dice: &mut Dice) {
        let about = &self.whole[dice.below(self.whole.len())];
        let who = usize::from(about.from == self.sides[0]);
        let mut quoted = about.datagram.clone();
        let header = OUTER.transport(&quoted);
        let most = [header + 8, header + 20, header + 8 + dice.below(500)][dice.below(3)];
        quoted.truncate(most.min(quoted.len()));
        let (kind, code) = [(3, 1), (3, 3), (3, 13), (11, 0), (12, 0), (3, 4)][dice.below(6)];
        let rest = if (kind, code) == (3, 4) { 1_300 } else { 0 };
        let (receiver, sender) = (self.ends[who].0, self.ends[1 - who].0);
        let by = match dice.below(2) {
            0 => receiver,
            // Another of the same network, which no case has.
            _ => Ipv4Addr::from_octets({
                let [a, b, _, low] = receiver.octets();
                [a, b, 200, low]
            }),
        };
        let builder = Builder::new(by.into(), sender.into()).bare().hop_limit(60);
        let builder = builder.icmp(kind, code, rest).payload(&quoted);
        let step = Step { from: self.sides[who], datagram: write(&builder), right: true };
        self.steps.push(step);
    }
}

/// Whether a step is a UDP datagram without a checksum.
pub(crate) fn has_no_checksum(step: &Step) -> bool {
    let bytes = &step.datagram;
    let first = OUTER.protocol(bytes) == UDP && OUTER.offset(bytes) == 0;
    first && word(bytes, OUTER.transport(bytes) + 6) == 0
}

fn write(builder: &Builder<'_>) -> Vec<u8> {
    let mut room = [0; 8_192];
    let length = builder.write(&mut room).expect("a packet that can be written");
    room[..length].to_vec()
}
