//! Doors: ports of the server that revisions of a policy open and shut, and probes at each of them.
//!
//! Probes have numbers, and times as those of a stream have. Most of them are of one flow, which lives on
//! while its door opens and shuts; every tenth is the first packet of a flow of its own.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};

use super::clock::{Pace, monotonic, sleep_until};
use super::sockets::at;
use super::stream::{datagram, drain};
use super::task::{Class, Signals, Task, Usage};
use super::{Door, Ends, Error};
use crate::field::limits::{DOOR_FRESH, DOOR_PER_SECOND, LOOK, STREAM_BUFFER};
use crate::field::log::{self, Nanos, Receipt, now};

/// Probes at all doors.
#[derive(Debug)]
pub(super) struct Doors {
    senders: Vec<Task<Vec<Nanos>>>,
    receivers: Vec<Task<Vec<Receipt>>>,
}

impl Doors {
    /// Begins at once; whether anything comes through is the policy's business.
    pub(super) fn start(ends: &Ends<'_>, doors: usize, signals: &Signals) -> Result<Self, Error> {
        let mut this = Self { senders: Vec::new(), receivers: Vec::new() };
        for door in 0..doors {
            let to = at(ends.server_address, Door(door).port());
            let server = ends.server.run(|| UdpSocket::bind(to));
            let server = server.map_err(Error::io("bind a door's socket"))?;
            prepare(&server)?;
            let (from, own) = (at(ends.client_address, 0), signals.clone());
            let work = move || send(from, to, &own);
            let (client, name) = (ends.client, format!("door-{door}"));
            this.senders.push(Task::start(&name, client, Class::Prompt, work)?);
            let own = signals.clone();
            let work = move || receive(&server, &own);
            this.receivers.push(Task::start(&name, ends.server, Class::Ordinary, work)?);
        }
        Ok(this)
    }

    /// Waits for the senders, who have been told to stop, and writes what they did.
    pub(super) fn finish_senders(
        &mut self,
        folder: &Path,
        usages: &mut Vec<Usage>,
    ) -> Result<(), Error> {
        for (door, sender) in self.senders.drain(..).enumerate() {
            let sent = sender.join(usages)?;
            let sent = (0..).zip(&sent).map(|(number, &at)| Receipt { number, at });
            log::write(folder, &format!("door-{door}.sent"), sent)?;
        }
        Ok(())
    }

    /// The same of the receivers.
    pub(super) fn finish_receivers(
        self,
        folder: &Path,
        usages: &mut Vec<Usage>,
    ) -> Result<(), Error> {
        for (door, receiver) in self.receivers.into_iter().enumerate() {
            log::write(folder, &format!("door-{door}.received"), receiver.join(usages)?)?;
        }
        Ok(())
    }
}

fn prepare(socket: &UdpSocket) -> Result<(), Error> {
    let failed = |errno: nix::errno::Errno| Error::io("prepare a door's socket")(errno.into());
    setsockopt(socket, RcvBufForce, &STREAM_BUFFER).map_err(failed)?;
    setsockopt(socket, ReceiveTimestampns, &true).map_err(failed)
}

/// The time of a probe is taken before it is sent: it was not sent earlier.
fn send(from: SocketAddr, to: SocketAddr, signals: &Signals) -> Result<Vec<Nanos>, Error> {
    let flow = || {
        let socket = UdpSocket::bind(from)?;
        socket.connect(to).map(|()| socket)
    };
    let make = || flow().map_err(Error::io("make a probe's socket"));
    let lasting = make()?;
    let mut sent = Vec::new();
    let mut pace = Pace::per_second(DOOR_PER_SECOND);
    while !signals.stopped() {
        pace.wait();
        let number = sent.len() as u64;
        let fresh = number.is_multiple_of(DOOR_FRESH).then(make).transpose()?;
        sent.push(now());
        // What the kernel refuses does not arrive, like what a firewall refuses.
        let _ = fresh.as_ref().unwrap_or(&lasting).send(&datagram(number));
    }
    Ok(sent)
}

fn receive(socket: &UdpSocket, signals: &Signals) -> Result<Vec<Receipt>, Error> {
    let mut receipts = Vec::new();
    loop {
        // Read before the socket is, so that the last look comes after the end.
        let last = signals.ended();
        drain(socket, &mut receipts)?;
        if last {
            return Ok(receipts);
        }
        sleep_until(monotonic() + LOOK);
    }
}
