//! Forged segments that must not reach the server, and a control that must.
//!
//! Numbers are read from a capture at the client; arrivals are seen by a capture at the server. A forged
//! segment is known by its window, which no segment of a slow connection has.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use socket2::{Domain, Protocol, Socket, Type};
use wire::TcpFlags;
use wire::build::Builder;

use super::capture::{Capture, Segment};
use super::sockets::at;
use super::task::{Class, Signals, Task, Usage};
use super::{Ends, Error, Port};
use crate::field::limits::PROBES;
use crate::field::log::{self, Entry, Event};

/// Window of the first forged segment; those of slow connections are about 500, and 64,240 in a SYN.
const FIRST_WINDOW: u16 = 30_000;
/// Source port of the first forged flow, below those that the client's kernel gives out.
const FIRST_PORT: u16 = 2_000;
/// How far outside the window a reset is: a quarter of all numbers.
const FAR: u32 = 1 << 30;
/// Data of a flow never seen.
const DATA: &[u8] = b"a flow never seen";

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Forged,
    Rst,
    Control,
}

impl Kind {
    const fn sent(self) -> Event {
        match self {
            Self::Forged => Event::ForgedSent,
            Self::Rst => Event::RstSent,
            Self::Control => Event::ControlSent,
        }
    }

    const fn arrived(self) -> Event {
        match self {
            Self::Forged => Event::ForgedArrived,
            Self::Rst => Event::RstArrived,
            Self::Control => Event::ControlArrived,
        }
    }
}

/// Where a connection is, as the client's last segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers {
    next: u32,
    ack: u32,
}

/// What the threads share; element N of `kinds` is that of segment N.
#[derive(Debug, Default)]
struct Known {
    numbers: BTreeMap<u16, Numbers>,
    kinds: Vec<Kind>,
    entries: Vec<Entry>,
}

/// The socket for forged segments, and both captures.
#[derive(Debug)]
pub(super) struct Probes {
    addresses: (IpAddr, IpAddr),
    socket: Socket,
    known: Arc<Mutex<Known>>,
    captures: [Task<()>; 2],
}

impl Probes {
    pub(super) fn start(ends: &Ends<'_>, signals: &Signals) -> Result<Self, Error> {
        let addresses = (ends.client_address, ends.server_address);
        // This protocol takes whole packets, and receives nothing.
        let raw = Some(Protocol::from(nix::libc::IPPROTO_RAW));
        let domain = Domain::for_address(at(ends.server_address, 0));
        let socket = ends.client.run(|| Socket::new(domain, Type::RAW, raw));
        let socket = socket.map_err(Error::io("make a socket for forged segments"))?;
        let known = Arc::<Mutex<Known>>::default();
        let capture = |name, inside, learn: fn(&mut Known, &Segment)| {
            let (known, signals) = (Arc::clone(&known), signals.clone());
            let opened = ends.of(inside).run(Capture::open)?;
            Task::start(name, ends.of(inside), Class::Ordinary, move || {
                while !signals.ended() {
                    if let Some(segment) = opened.next()? {
                        learn(&mut lock(&known), &segment);
                    }
                }
                Ok(())
            })
        };
        let captures = [
            capture("capture-client", super::Side::Client, Known::departed)?,
            capture("capture-server", super::Side::Server, Known::arrived)?,
        ];
        Ok(Self { addresses, socket, known, captures })
    }

    /// One round: see [`super::Traffic::probe`].
    pub(super) fn send(&self) -> Result<(), Error> {
        let connections = lock(&self.known).numbers.clone();
        if connections.is_empty() {
            return Err(Error::NoNumbers);
        }
        for (port, numbers) in connections {
            for kind in [Kind::Forged, Kind::Rst, Kind::Control] {
                self.send_one(kind, port, numbers)?;
            }
        }
        Ok(())
    }

    fn send_one(&self, kind: Kind, port: u16, numbers: Numbers) -> Result<(), Error> {
        let id = lock(&self.known).register(kind)?;
        let packet = packet(self.addresses, kind, id, port, numbers);
        let to = at(self.addresses.1, 0).into();
        let sent = self.socket.send_to(&packet, &to);
        sent.map(drop).map_err(Error::io("send a forged segment"))
    }

    /// Waits for the captures, who have been told to end, and writes `probes.log`.
    pub(super) fn finish(self, folder: &Path, usages: &mut Vec<Usage>) -> Result<(), Error> {
        for capture in self.captures {
            capture.join(usages)?;
        }
        let mut entries = core::mem::take(&mut lock(&self.known).entries);
        entries.sort_by_key(|entry| entry.at);
        Ok(log::write(folder, "probes.log", entries)?)
    }
}

impl Known {
    /// The number of a segment that is sent now.
    fn register(&mut self, kind: Kind) -> Result<u32, Error> {
        let id = self.kinds.len() as u32;
        if id >= PROBES {
            return Err(Error::TooMany { kind: "forged segments", at_most: PROBES as usize });
        }
        self.kinds.push(kind);
        self.entries.push(Entry::now(id, kind.sent()));
        Ok(id)
    }

    /// The number and kind of a forged segment; none of others.
    fn forged(&self, segment: &Segment) -> Option<(u32, Kind)> {
        let id = segment.window.checked_sub(FIRST_WINDOW)?;
        (segment.ports.1 == Port::PROBED)
            .then(|| self.kinds.get(usize::from(id)))?
            .map(|kind| (id.into(), *kind))
    }

    /// A segment was seen at the client: one of its own tells where its connection is.
    fn departed(&mut self, segment: &Segment) {
        if segment.ports.1 != Port::PROBED || self.forged(segment).is_some() {
            return;
        }
        if segment.flags.intersects(TcpFlags::RST | TcpFlags::FIN | TcpFlags::SYN) {
            self.numbers.remove(&segment.ports.0);
            return;
        }
        let next = segment.sequence.wrapping_add(segment.length);
        self.numbers.insert(segment.ports.0, Numbers { next, ack: segment.ack });
    }

    /// A segment was seen at the server.
    fn arrived(&mut self, segment: &Segment) {
        if let Some((id, kind)) = self.forged(segment) {
            let event = kind.arrived();
            self.entries.push(Entry { id, event, at: segment.at, bytes: None });
        }
    }
}

/// The IP packet of a forged segment.
fn packet(
    (client, server): (IpAddr, IpAddr),
    kind: Kind,
    id: u32,
    port: u16,
    Numbers { next, ack }: Numbers,
) -> Vec<u8> {
    let id = id as u16;
    let (port, flags, sequence, data) = match kind {
        Kind::Forged => (FIRST_PORT + id, TcpFlags::ACK | TcpFlags::PSH, next, DATA),
        Kind::Rst => (port, TcpFlags::RST, next.wrapping_add(FAR), &[][..]),
        Kind::Control => (port, TcpFlags::ACK, next.wrapping_sub(1), &[][..]),
    };
    let builder = Builder::new(client, server).bare().tcp(port, Port::PROBED);
    let builder = builder.flags(flags).seq(sequence).ack(ack).window(FIRST_WINDOW + id);
    let mut bytes = [0; 128];
    let length = builder.payload(data).write(&mut bytes).expect("headers and a few bytes fit");
    bytes[..length].to_vec()
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().expect("nobody panics with it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Packet, Transport};

    const NUMBERS: Numbers = Numbers { next: u32::MAX - 5, ack: 77 };

    fn segment(ports: (u16, u16), flags: TcpFlags, window: u16) -> Segment {
        Segment { at: 9, ports, flags, sequence: 100, ack: 200, window, length: 64 }
    }

    #[test]
    fn forged_segments_have_the_numbers_that_they_should() {
        for addresses in [("10.0.0.1", "10.0.1.1"), ("fd00::1", "fd01::1")] {
            let addresses = (addresses.0.parse().unwrap(), addresses.1.parse().unwrap());
            for (kind, port, sequence, length) in [
                (Kind::Forged, 2_003, u32::MAX - 5, DATA.len() as u32),
                (Kind::Rst, 10_007, (1 << 30) - 6, 0),
                (Kind::Control, 10_007, u32::MAX - 6, 0),
            ] {
                let bytes = packet(addresses, kind, 3, 10_007, NUMBERS);
                let packet = Packet::parse_ip(&bytes, 0, 0).unwrap();
                assert!(wire::checksum::transport_checksum_ok(&bytes, &packet));
                assert_eq!(packet.ports(), Some((port, Port::PROBED)));
                let Transport::Tcp(tcp) = &packet.body else { panic!("no segment") };
                assert_eq!((tcp.sequence.0, tcp.window), (sequence, 30_003), "{kind:?}");
                assert_eq!(packet.payload_len(), length);
            }
        }
    }

    #[test]
    fn the_clients_segments_tell_where_its_connections_are() {
        let mut known = Known::default();
        known.departed(&segment((10_001, Port::PROBED), TcpFlags::ACK, 500));
        known.departed(&segment((10_002, Port::SLOW), TcpFlags::ACK, 500));
        known.departed(&segment((Port::PROBED, 10_001), TcpFlags::ACK, 500));
        assert_eq!(known.numbers, BTreeMap::from([(10_001, Numbers { next: 164, ack: 200 })]));
        known.departed(&segment((10_001, Port::PROBED), TcpFlags::FIN | TcpFlags::ACK, 500));
        assert!(known.numbers.is_empty());
    }

    #[test]
    fn arrivals_are_known_by_their_window() {
        let mut known = Known::default();
        for (id, kind) in [Kind::Forged, Kind::Rst, Kind::Control].into_iter().enumerate() {
            assert_eq!(known.register(kind).unwrap(), id as u32);
        }
        for window in [500, 30_001, 30_003, 64_240] {
            known.arrived(&segment((10_001, Port::PROBED), TcpFlags::RST, window));
        }
        let arrived: Vec<_> = known.entries[3..].iter().map(|it| (it.id, it.event)).collect();
        assert_eq!(arrived, [(1, Event::RstArrived)]);
    }
}
