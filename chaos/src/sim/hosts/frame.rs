//! Real frames of the hosts, and what they say.

use std::net::IpAddr;

use wire::build::Builder;
use wire::{Packet, TcpFlags, Transport};

use super::super::topology::{host_address, host_mac, node_mac, port_of};

/// What marks a forger's frame: a traffic class that nobody else uses, and that no router changes.
pub(crate) const FORGED: u8 = 0xb8;

/// Both ends of a flow: side and number of the host, port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) v6: bool,
    /// The client's side: 0 LAN, 1 WAN.
    pub(crate) side: usize,
    pub(crate) hosts: [usize; 2],
    pub(crate) ports: [u16; 2],
    /// What its server sees the client as, if that is another endpoint.
    pub(crate) public: Option<(IpAddr, u16)>,
}

/// A TCP segment as the hosts speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Segment {
    pub(crate) flags: u8,
    pub(crate) sequence: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) scale: Option<u8>,
    pub(crate) payload: u32,
}

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Tcp(Segment),
    /// A datagram with a number.
    Udp(u64),
    /// Anything else, as an ICMP error.
    Other,
}

/// A frame that has been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(crate) source: IpAddr,
    pub(crate) ports: (u16, u16),
    pub(crate) body: Body,
    pub(crate) forged: bool,
    /// Whether the data are those that stand at this place of the flow.
    pub(crate) intact: bool,
}

impl Ends {
    /// The side of the end `from` (0: client, 1: server).
    pub(crate) const fn side_of(&self, end: usize) -> usize {
        if end == 0 { self.side } else { 1 - self.side }
    }

    /// The host at that end.
    pub(crate) const fn host_of(&self, end: usize) -> usize {
        self.hosts[end]
    }

    fn builder(&self, end: usize, node: usize) -> Builder<'static> {
        let [from, to] = [end, 1 - end];
        let address = |end| host_address(self.side_of(end), self.hosts[end], self.v6);
        let side = self.side_of(from);
        let port = port_of(side + 1);
        let seen = self.public.filter(|_| from == 1).map(|(address, _)| address);
        Builder::new(address(from), seen.unwrap_or_else(|| address(to)))
            .ethernet(host_mac(side, self.hosts[from]), node_mac(node, port))
    }

    /// The port that `end` sends to.
    fn port_beyond(&self, end: usize) -> u16 {
        let seen = self.public.filter(|_| end == 1).map(|(_, port)| port);
        seen.unwrap_or(self.ports[1 - end])
    }

    /// A segment of `end`, to the gateway `node`.
    pub(crate) fn tcp(&self, end: usize, node: usize, segment: &Segment, forged: bool) -> Vec<u8> {
        let data: Vec<u8> =
            (0..segment.payload).map(|at| byte_at(segment.sequence.wrapping_add(at))).collect();
        let mut builder = self
            .builder(end, node)
            .traffic_class(if forged { FORGED } else { 0 })
            .tcp(self.ports[end], self.port_beyond(end))
            .flags(TcpFlags(segment.flags))
            .seq(segment.sequence)
            .ack(segment.ack)
            .window(segment.window);
        if segment.flags & SYN != 0 {
            builder = builder.mss(1_400);
            builder = segment.scale.map_or(builder, |scale| builder.window_scale(scale));
        }
        written(&builder.payload(&data))
    }

    /// A datagram of `end`, to the gateway `node`.
    pub(crate) fn udp(&self, end: usize, node: usize, number: u64) -> Vec<u8> {
        let data = number.to_be_bytes();
        let builder = self.builder(end, node).udp(self.ports[end], self.port_beyond(end));
        written(&builder.payload(&data))
    }
}

fn written(builder: &Builder<'_>) -> Vec<u8> {
    let mut out = [0; 1_514];
    let len = builder.write(&mut out).expect("hosts write frames that fit");
    out[..len].to_vec()
}

/// What stands at a place of a stream. The place is its sequence number, so that whoever gets the byte
/// can tell whether it is the right one.
const fn byte_at(sequence: u32) -> u8 {
    (sequence ^ (sequence >> 8) ^ (sequence >> 16)) as u8
}

/// Reads a frame; `None` if it is none that a host understands.
pub(crate) fn read(frame: &[u8]) -> Option<Read> {
    let packet = Packet::parse(frame).ok()?;
    let traffic_class = match frame[packet.network as usize] >> 4 {
        4 => frame[packet.network as usize + 1],
        _ => frame[packet.network as usize] << 4 | frame[packet.network as usize + 1] >> 4,
    };
    let mut intact = true;
    let body = match &packet.body {
        Transport::Tcp(tcp) => {
            let start = packet.transport as usize + usize::from(tcp.header_len);
            let data = &frame[start..packet.end as usize];
            let first = tcp.sequence.0;
            let mut places = (0..).map(|at| first.wrapping_add(at));
            intact = data.iter().all(|byte| places.next().map(byte_at) == Some(*byte));
            Body::Tcp(Segment {
                flags: tcp.flags.0,
                sequence: first,
                ack: tcp.acknowledgment.0,
                window: tcp.window,
                scale: tcp.window_scale,
                payload: data.len() as u32,
            })
        }
        Transport::Udp(_) => {
            let data = &frame[packet.transport as usize + 8..packet.end as usize];
            match data.first_chunk() {
                Some(number) => Body::Udp(u64::from_be_bytes(*number)),
                None => Body::Other,
            }
        }
        Transport::Icmp(_)
        | Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => Body::Other,
    };
    Some(Read {
        source: packet.source,
        ports: packet.ports().unwrap_or_default(),
        body,
        forged: traffic_class == FORGED,
        intact,
    })
}
