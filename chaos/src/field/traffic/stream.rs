//! UDP streams: numbered datagrams at a fixed rate, each receipt with the kernel's time.
//!
//! Losses can be told apart: what the sender's kernel refused is in `stream-N.refused`, what the
//! receiving socket had no room for is in `sockets.log`, and the rest was lost on the way.

use std::io::{self, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;

use super::clock::{Pace, monotonic, sleep_until};
use super::sockets::{at, dropped_at};
use super::task::{Class, Signals, Task, Usage};
use super::{Ends, Error, Port, Side, StreamPlan};
use crate::field::limits::{DATAGRAM, HELLO, LOOK, START_WAIT, STREAM_BUFFER, STREAMS};
use crate::field::log::{self, Nanos, Receipt, now};

/// The number of the datagrams that only open a flow.
const OPENING: u64 = u64::MAX;

/// All streams of a run.
#[derive(Debug)]
pub(super) struct Streams {
    senders: Vec<Task<Sent>>,
    receivers: Vec<Task<Vec<Received>>>,
}

/// What the sender of a stream did: element N is the time of datagram N.
#[derive(Debug, Default)]
struct Sent {
    times: Vec<Nanos>,
    refused: Vec<(u64, Errno)>,
}

/// What the receiver of a stream saw.
#[derive(Debug)]
struct Received {
    stream: usize,
    receipts: Vec<Receipt>,
    /// Datagrams that the socket had no room for.
    dropped: u64,
}

impl Streams {
    /// Opens the flow of every stream, both ways, and starts it.
    pub(super) fn start(
        ends: &Ends<'_>,
        plans: &[StreamPlan],
        signals: &Signals,
    ) -> Result<Self, Error> {
        if plans.len() > STREAMS {
            return Err(Error::TooMany { kind: "streams", at_most: STREAMS });
        }
        let mut this = Self { senders: Vec::new(), receivers: Vec::new() };
        let mut receiving = [Vec::new(), Vec::new()];
        for (stream, plan) in plans.iter().enumerate() {
            let (sender, receiver) = OpenFlow::new(ends, stream)?.directed(plan.from);
            receiving[plan.from as usize].push((stream, receiver));
            let (signals, rate) = (signals.clone(), plan.per_second);
            let work = move || Ok(send(&sender, rate, &signals));
            let name = format!("stream-{stream}");
            this.senders.push(Task::start(&name, ends.of(plan.from), Class::Prompt, work)?);
        }
        for (from, sockets) in [Side::Client, Side::Server].into_iter().zip(receiving) {
            let signals = signals.clone();
            let work = move || receive(&sockets, &signals);
            let inside = ends.of(from.other());
            this.receivers.push(Task::start("receipts", inside, Class::Ordinary, work)?);
        }
        Ok(this)
    }

    /// Waits for the senders, who have been told to stop, and writes what they did.
    pub(super) fn finish_senders(
        &mut self,
        folder: &Path,
        usages: &mut Vec<Usage>,
    ) -> Result<(), Error> {
        for (stream, sender) in self.senders.drain(..).enumerate() {
            let sent = sender.join(usages)?;
            let times = (0..).zip(&sent.times).map(|(number, &at)| Receipt { number, at });
            log::write(folder, &format!("stream-{stream}.sent"), times)?;
            let refused = sent.refused.iter().map(|(number, errno)| format!("{number} {errno:?}"));
            log::write(folder, &format!("stream-{stream}.refused"), refused)?;
        }
        Ok(())
    }

    /// The same of the receivers; the lines of `sockets.log`.
    pub(super) fn finish_receivers(
        self,
        folder: &Path,
        usages: &mut Vec<Usage>,
    ) -> Result<Vec<String>, Error> {
        let mut lines = Vec::new();
        for receiver in self.receivers {
            for Received { stream, receipts, dropped } in receiver.join(usages)? {
                log::write(folder, &format!("stream-{stream}.received"), receipts)?;
                lines.push(format!("stream-{stream} {dropped}"));
            }
        }
        Ok(lines)
    }
}

/// The two sockets of a stream, between which datagrams pass both ways.
struct OpenFlow {
    client: UdpSocket,
    server: UdpSocket,
}

impl OpenFlow {
    fn new(ends: &Ends<'_>, stream: usize) -> Result<Self, Error> {
        let port = Port::stream(stream);
        let to = at(ends.server_address, port);
        let server = ends.server.run(|| UdpSocket::bind(to));
        let server = server.map_err(Error::io("bind a stream's socket"))?;
        let client = ends.client.run(|| UdpSocket::bind(at(ends.client_address, 0)));
        let client = client.map_err(Error::io("bind a stream's socket"))?;
        client.connect(to).map_err(Error::io("connect a stream's socket"))?;
        let this = Self { client, server };
        for socket in [&this.client, &this.server] {
            this.prepare(socket)?;
        }
        this.open()?;
        Ok(this)
    }

    fn prepare(&self, socket: &UdpSocket) -> Result<(), Error> {
        let failed = |errno: Errno| Error::io("prepare a stream's socket")(errno.into());
        setsockopt(socket, RcvBufForce, &STREAM_BUFFER).map_err(failed)?;
        setsockopt(socket, ReceiveTimestampns, &true).map_err(failed)?;
        socket.set_read_timeout(Some(HELLO)).map_err(Error::io("prepare a stream's socket"))
    }

    /// Sends openings until one has come through, and the server's answer too.
    fn open(&self) -> Result<(), Error> {
        let until = monotonic() + START_WAIT;
        let opening = datagram(OPENING);
        let mut buffer = [0; DATAGRAM];
        while monotonic() < until {
            // Refused or lost: the next one.
            let _ = self.client.send(&opening);
            let Ok((_, from)) = self.server.recv_from(&mut buffer) else { continue };
            self.server.connect(from).map_err(Error::io("connect a stream's socket"))?;
            let _ = self.server.send(&opening);
            if self.client.recv(&mut buffer).is_ok() {
                return Ok(());
            }
        }
        Err(Error::NotReady { kind: "a stream", ready: 0, wanted: 1 })
    }

    /// Sender and receiver, if datagrams go from `from`.
    fn directed(self, from: Side) -> (UdpSocket, UdpSocket) {
        match from {
            Side::Client => (self.client, self.server),
            Side::Server => (self.server, self.client),
        }
    }
}

pub(super) fn datagram(number: u64) -> [u8; DATAGRAM] {
    let mut bytes = [0; DATAGRAM];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes
}

fn send(socket: &UdpSocket, rate: u32, signals: &Signals) -> Sent {
    let mut sent = Sent::default();
    let mut pace = Pace::per_second(rate);
    while !signals.stopped() {
        pace.wait();
        let number = sent.times.len() as u64;
        let bytes = datagram(number);
        sent.times.push(now());
        // The first error may be that of an earlier datagram, told by ICMP; this one is not sent then.
        if socket.send(&bytes).is_err()
            && let Err(error) = socket.send(&bytes)
        {
            let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
            sent.refused.push((number, errno));
        }
    }
    sent
}

/// Looks into the sockets now and then: the times are the kernel's.
fn receive(sockets: &[(usize, UdpSocket)], signals: &Signals) -> Result<Vec<Received>, Error> {
    let mut receipts = vec![Vec::new(); sockets.len()];
    loop {
        // Read before the sockets are, so that the last look comes after the end.
        let last = signals.ended();
        for ((_, socket), receipts) in sockets.iter().zip(&mut receipts) {
            drain(socket, receipts)?;
        }
        if last {
            break;
        }
        sleep_until(monotonic() + LOOK);
    }
    let received = sockets.iter().zip(receipts).map(|((stream, socket), receipts)| {
        let local = socket.local_addr().map_err(Error::io("ask a socket's address"))?;
        Ok(Received { stream: *stream, receipts, dropped: dropped_at(local)? })
    });
    received.collect()
}

pub(super) fn drain(socket: &UdpSocket, receipts: &mut Vec<Receipt>) -> Result<(), Error> {
    let mut bytes = [0; DATAGRAM];
    while let Some(at) = stamped(socket, &mut bytes).map_err(Error::io("receive a stream"))? {
        let number = u64::from_le_bytes(*bytes.first_chunk().expect("longer than a number"));
        if number != OPENING {
            receipts.push(Receipt { number, at });
        }
    }
    Ok(())
}

/// The next datagram that waits, into `bytes`, and when it came; none if none waits.
pub(super) fn stamped(socket: &UdpSocket, bytes: &mut [u8]) -> io::Result<Option<Nanos>> {
    let mut control = nix::cmsg_space!(TimeSpec);
    loop {
        let mut slices = [IoSliceMut::new(bytes)];
        let flags = MsgFlags::MSG_DONTWAIT;
        match recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags) {
            Ok(message) => return Ok(Some(stamp(message.cmsgs()))),
            Err(Errno::EAGAIN) => return Ok(None),
            // What ICMP told of the other direction.
            Err(Errno::EINTR | Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The kernel's time of receipt; ours, should it have told none.
pub(super) fn stamp(messages: nix::Result<impl Iterator<Item = ControlMessageOwned>>) -> Nanos {
    let told = messages.ok().and_then(|mut messages| {
        messages.find_map(|message| {
            let ControlMessageOwned::ScmTimestampns(time) = message else { return None };
            Some(Duration::from(time))
        })
    });
    told.map_or_else(now, |time| time.as_nanos() as Nanos)
}
