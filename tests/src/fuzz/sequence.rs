//! A sequence of packets and of all else that happens to an engine, out of bytes: each step is a
//! byte that says what, and a few that say how. Flows are few, so that packets meet in sessions, and
//! their sequence numbers are kept, so that segments are mostly in order.

use std::time::Duration;

use engine::PortId;
use wire::build::{Builder, Fragments, quotation};
use wire::{Packet, Protocol, TcpFlags};

use super::Depth;
use super::bytes::Bytes;
use super::engines::MACS;
use super::twins::{Twins, end_some, refuse};

/// Steps of one input: enough to fill the table many times, and a bound on the time it takes.
const STEPS_MAX: usize = 256;
/// Flags of most segments: SYN, SYN-ACK, ACK, PSH-ACK, FIN-ACK, RST, RST-ACK, ACK.
const FLAGS: [u8; 8] = [0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x14, 0x10];

pub(super) fn run(bytes: &[u8]) -> Depth {
    let mut sequence = Sequence {
        twins: Twins::new(),
        input: Bytes::new(bytes),
        numbers: [[1_000, 0xffff_ff00]; 8],
        last: Vec::new(),
    };
    for _ in 0..STEPS_MAX {
        if sequence.step().is_none() {
            break;
        }
    }
    sequence.twins.decide();
    let (straight, forwarded) = (sequence.twins.straight, sequence.twins.forwarded);
    sequence.twins.finish();
    match (straight, forwarded) {
        (_, 0) => Depth::Refused,
        (0, _) => Depth::Read,
        _ => Depth::Used,
    }
}

struct Sequence<'a> {
    twins: Twins,
    input: Bytes<'a>,
    /// Next sequence numbers of both peers of each flow.
    numbers: [[u32; 2]; 8],
    /// The frame before.
    last: Vec<u8>,
}

/// How a packet is made: `flow`, `v6`, `reply` and whether something is odd about its frame.
#[derive(Clone, Copy)]
struct Shape(u8);

impl Shape {
    fn flow(self) -> usize {
        usize::from(self.0 & 7)
    }

    fn builder(self) -> Builder<'static> {
        let (flow, reply) = (self.0 & 7, self.reply());
        if self.0 & 0x20 != 0 {
            let a = [0xfd00, 0xa, 0, 0, 0, 0, 0, u16::from(flow)];
            let b = [0xfd00, 0xb, 0, 0, 0, 0, 0, 1];
            if reply { Builder::v6(b, a) } else { Builder::v6(a, b) }
        } else {
            let (a, b) = ([10, 0, 0, flow], [198, 18, 0, 1]);
            if reply { Builder::v4(b, a) } else { Builder::v4(a, b) }
        }
    }

    fn reply(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// Over the wire instead of the router.
    fn wire(self) -> bool {
        self.0 & 0x10 != 0
    }

    fn odd(self) -> bool {
        self.0 & 0xc0 == 0xc0
    }

    fn port(self) -> u8 {
        u8::from(self.reply()) + 2 * u8::from(self.wire())
    }
}

impl Sequence<'_> {
    /// One step; `None` at the end of the input.
    fn step(&mut self) -> Option<()> {
        match self.input.next()? % 24 {
            0..=7 => self.tcp(),
            8..=10 => self.udp(),
            11 => self.echo(),
            12 => self.icmp_error(),
            13 => self.raw(),
            14 => self.pieces(),
            15 => self.piece(),
            16 => self.again(),
            17 => {
                let time = u64::from(self.input.half());
                self.twins.wait(Duration::from_millis(time * time / 1_000));
            }
            18 => {
                let which = self.input.byte();
                self.twins.set_policy(which);
            }
            19 | 20 => {
                let which = self.input.byte();
                self.twins.apply(which);
            }
            21 => self.port(),
            22 => self.twins.room = 1 + usize::from(self.input.byte() % 16),
            _ => self.control(),
        }
        Some(())
    }

    fn tcp(&mut self) {
        let shape = Shape(self.input.byte());
        let how = self.input.byte();
        let (own, other) = (usize::from(shape.reply()), usize::from(!shape.reply()));
        let mut flags = TcpFlags(FLAGS[usize::from(how & 7)]);
        let [mut seq, mut ack] = [own, other].map(|peer| self.numbers[shape.flow()][peer]);
        let data = vec![0x17; if how & 8 == 0 { 0 } else { usize::from(self.input.byte()) * 6 }];
        let mut window = 0xffff;
        if how & 0x80 != 0 {
            seq = seq.wrapping_add_signed(i32::from(self.input.half() as i16) * 4);
            ack = ack.wrapping_add_signed(i32::from(self.input.half() as i16) * 4);
            window = self.input.half();
            flags = TcpFlags(self.input.byte());
        } else {
            let ends = u32::from(flags.contains(TcpFlags::SYN) || flags.contains(TcpFlags::FIN));
            self.numbers[shape.flow()][own] = seq.wrapping_add(data.len() as u32 + ends);
        }
        let ports = if shape.reply() { (443, 5_000) } else { (5_000, 443) };
        let builder = shape.builder().tcp(ports.0, ports.1).seq(seq).ack(ack);
        let builder = builder.flags(flags).window(window).payload(&data);
        let builder = match how >> 4 & 3 {
            0 => builder,
            1 => builder.timestamps(7, 8),
            2 => builder.window_scale(how & 0x0f).sack_permitted().mss(1_000),
            _ => builder.sack(&[(seq, seq.wrapping_add(u32::from(how)))]),
        };
        self.arrive(shape, builder.frame().to_vec());
    }

    fn udp(&mut self) {
        let shape = Shape(self.input.byte());
        let data = vec![0x42; usize::from(self.input.byte()) * 6];
        let ports = if shape.reply() { (53, 4_000) } else { (4_000, 53) };
        let builder = shape.builder().udp(ports.0, ports.1).payload(&data);
        self.arrive(shape, builder.frame().to_vec());
    }

    fn echo(&mut self) {
        let shape = Shape(self.input.byte());
        let builder = shape.builder().payload(b"ping");
        let builder = match shape.reply() {
            true => builder.echo_reply(7, 1),
            false => builder.echo_request(7, 1),
        };
        self.arrive(shape, builder.frame().to_vec());
    }

    /// An error about the frame before, from its receiver.
    fn icmp_error(&mut self) {
        let shape = Shape(self.input.byte());
        let (kind, code) = (self.input.byte(), self.input.byte());
        let Ok(packet) = Packet::parse(&self.last) else { return };
        let rest = self.input.word();
        let quoted = quotation(&self.last, &packet);
        let builder = Builder::new(packet.destination, packet.source).payload(quoted);
        let kinds: [u8; 4] = if packet.source.is_ipv4() { [3, 4, 11, 12] } else { [1, 2, 3, 4] };
        let builder = builder.icmp(kinds[usize::from(kind & 3)], code & 0x0f, rest);
        let frame = builder.frame().to_vec();
        self.deliver(shape, frame);
    }

    /// Bytes of the input as they are.
    fn raw(&mut self) {
        let shape = Shape(self.input.byte());
        let len = usize::from(self.input.byte());
        let frame = self.input.take(len).to_vec();
        self.deliver(shape, frame);
    }

    /// A datagram in fragments, in an order of the input's.
    fn pieces(&mut self) {
        let shape = Shape(self.input.byte());
        let (id, len, mtu) = (self.input.byte(), self.input.byte(), self.input.byte());
        let data = vec![0x42; usize::from(len) * 7];
        let ports = if shape.reply() { (53, 4_000) } else { (4_000, 53) };
        let whole = shape.builder().udp(ports.0, ports.1).payload(&data).frame();
        let packet = Packet::parse(&whole).expect("what the builder makes is a packet");
        let mtu = 100 + 4 * usize::from(mtu);
        let Some(fragments) = Fragments::new(&whole, &packet, id.into(), mtu) else { return };
        let count = fragments.count();
        let start = self.input.byte();
        for index in 0..count {
            let index = if start & 1 == 0 { index } else { count - 1 - index };
            let mut out = vec![0; 2_048];
            let len = fragments.write(index, &mut out).expect("an MTU's bytes fit");
            out.truncate(len);
            // Now and then one is lost.
            if usize::from(start) != index + 2 {
                self.deliver(shape, out);
            }
        }
    }

    /// A fragment that belongs to nothing, or to what came before.
    fn piece(&mut self) {
        let shape = Shape(self.input.byte());
        let (id, at, len) = (self.input.byte(), self.input.byte(), self.input.byte());
        let more = len & 1 != 0;
        let data = vec![0x42; usize::from(len) * 4];
        let builder = shape.builder().fragment(id.into(), u16::from(at) * 8, more);
        let mut frame = vec![0; 2_048];
        let Some(len) = builder.raw(Protocol::UDP).payload(&data).write(&mut frame) else {
            return;
        };
        frame.truncate(len);
        self.deliver(shape, frame);
    }

    fn again(&mut self) {
        let shape = Shape(self.input.byte());
        let frame = self.last.clone();
        self.deliver(shape, frame);
    }

    /// Something about a frame may be odd.
    fn arrive(&mut self, shape: Shape, mut frame: Vec<u8>) {
        if shape.odd() {
            let (at, bits) = (usize::from(self.input.byte()), self.input.byte());
            let at = at % frame.len();
            frame[at] ^= bits;
            let padding = usize::from(self.input.byte() % 32);
            frame.resize(frame.len() + padding, 0);
        }
        self.deliver(shape, frame);
    }

    fn deliver(&mut self, shape: Shape, mut frame: Vec<u8>) {
        let port = shape.port();
        if let Some(to) = frame.get_mut(..6).filter(|_| !shape.wire()) {
            to.copy_from_slice(&MACS[usize::from(port)]);
        }
        self.last.clone_from(&frame);
        self.twins.arrive(PortId(u16::from(port)), frame);
    }

    fn port(&mut self) {
        let (which, mtu) = (self.input.byte(), self.input.byte());
        self.twins.both(|engine| {
            engine.set_port(PortId(u16::from(which & 3)), |port| {
                port.up = which & 0x30 != 0x30;
                port.mtu = 600 + 4 * u32::from(mtu);
                let trust = which & 0x40 != 0;
                port.checksum =
                    if trust { engine::Checksum::Trust } else { engine::Checksum::Verify };
            });
        });
    }

    fn control(&mut self) {
        let (what, how) = (self.input.byte(), self.input.byte());
        let now = self.twins.now;
        match what % 4 {
            0 => self.twins.share_slots(how),
            1 => self.twins.both(|engine| end_some(engine, how, now)),
            2 => self.twins.both(refuse),
            _ => self.twins.both(|engine| {
                assert!(!engine.recover().in_flight, "nothing was in hand");
            }),
        }
    }
}
