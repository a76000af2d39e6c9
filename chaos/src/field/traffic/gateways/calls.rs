//! Calls: a client and a server agree by SIP where their media go, and send some both ways.
//!
//! One thread sends and receives the media of all calls, another one speaks about them.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimestampns;

use super::sip::{self, Leg};
use super::{Cue, Diary, Error};
use crate::field::limits::{
    LOOK, MEDIA_PER_SECOND, MEDIA_PORTS, PATIENCE, SIP_RETRY, SIP_TURN, SOUND,
};
use crate::field::log::{self, Entry, Event, Receipt, now};
use crate::field::traffic::clock::{Pace, monotonic, sleep_until};
use crate::field::traffic::stream::stamped;
use crate::field::traffic::{Ends, Side, sockets};

/// A call that was answered.
pub(super) struct Call {
    leg: Leg,
    /// Of the client, of the server: the latter is that of all calls with it.
    control: (UdpSocket, Arc<UdpSocket>),
    /// Where each side listens for media, as it knows itself.
    own: [SocketAddr; 2],
    /// Where each side sends them.
    there: [SocketAddr; 2],
    /// Requests so far.
    number: u32,
}

/// The media of a call.
#[derive(Debug)]
pub(super) struct Media {
    id: u32,
    sockets: [UdpSocket; 2],
    there: [SocketAddr; 2],
    /// They begin after the cue: the side that speaks first.
    first: Option<Side>,
    sent: [Vec<Receipt>; 2],
    received: [Vec<Receipt>; 2],
    /// Turns since they began.
    turns: u64,
    strange: u64,
}

/// The server of calls at an address.
pub(super) fn listen(at: SocketAddr) -> Result<UdpSocket, Error> {
    let bound = || {
        let socket = UdpSocket::bind(at)?;
        socket.set_read_timeout(Some(SIP_TURN)).map(|()| socket)
    };
    bound().map_err(Error::io("listen for calls"))
}

impl Call {
    /// Calls the server. Media flow from now on, or after the cue, by turns of who is the first.
    pub(super) fn open(
        ends: &Ends<'_>,
        server: &Arc<UdpSocket>,
        (id, waits): (u32, bool),
        diary: &mut Diary,
    ) -> Result<(Self, Media), Error> {
        let to = server.local_addr().map_err(Error::io("ask a socket's address"))?;
        let client = ends.client.run(|| listen(sockets::at(ends.client_address, 0)))?;
        let own = client.local_addr().map_err(Error::io("ask a socket's address"))?;
        let sockets = [
            ends.client.run(|| media_socket(ends.client_address))?,
            ends.server.run(|| media_socket(to.ip()))?,
        ];
        let local = |socket: &UdpSocket| socket.local_addr();
        let mut places = [own; 2];
        for (place, socket) in places.iter_mut().zip(&sockets) {
            *place = local(socket).map_err(Error::io("ask a socket's address"))?;
        }
        let control = (client, Arc::clone(server));
        let leg = Leg { id, own, server: to };
        let mut call = Self { leg, control, own: places, there: places, number: 0 };
        call.there = call.invite().map_err(|event| Error::Dialog { what: "call", event })?;
        diary.note("controls", Entry::now(id, Event::Open));
        let speaker = if id.is_multiple_of(2) { Side::Client } else { Side::Server };
        let media = Media {
            id,
            sockets,
            there: call.there,
            first: waits.then_some(speaker),
            sent: Default::default(),
            received: Default::default(),
            turns: 0,
            strange: 0,
        };
        Ok((call, media))
    }

    /// Speaks about all calls: after the cue, and when all is over.
    pub(super) fn speak(mut calls: Vec<Self>, cue: &Cue) -> Diary {
        let mut diary = Diary::default();
        while !cue.goes_on() && !cue.stopped() {
            sleep_until(monotonic() + LOOK);
        }
        for call in calls.iter_mut().filter(|_| cue.goes_on()) {
            diary.note("controls", Entry::now(call.leg.id, Event::Sent));
            let event = match call.invite() {
                Ok(there) if there == call.there => Event::Echoed,
                // Its media go astray.
                Ok(_) => Event::Wrong,
                Err(event) => event,
            };
            diary.note("controls", Entry::now(call.leg.id, event));
        }
        while !cue.ended() {
            sleep_until(monotonic() + LOOK);
        }
        for call in &mut calls {
            let event = call.ask("BYE", false).map_or_else(|it| it, |_| Event::Closed);
            diary.note("controls", Entry::now(call.leg.id, event));
        }
        diary
    }

    /// Agrees, or agrees again, where media go; where each side is to send them.
    fn invite(&mut self) -> Result<[SocketAddr; 2], Event> {
        let (request, response) = self.ask("INVITE", true)?;
        self.acknowledge()?;
        let there = [sip::media(&response), sip::media(&request)];
        let [Some(to_server), Some(to_client)] = there else { return Err(Event::Wrong) };
        Ok([to_server, to_client])
    }

    /// A request and its answer, as they were heard; lost ones are said again.
    fn ask(&mut self, method: &str, offers: bool) -> Result<(String, String), Event> {
        self.number += 1;
        let media = |side: usize| offers.then_some(self.own[side]);
        let request = self.leg.request(method, self.number, media(0));
        let sequence = format!("{} {method}", self.number);
        let until = monotonic() + PATIENCE;
        while monotonic() < until {
            // Refused or lost: the next one.
            let _ = self.control.0.send_to(request.as_bytes(), self.leg.server);
            let again = monotonic() + SIP_RETRY;
            let Some((heard, from)) = hear(&self.control.1, self.leg.id, &sequence, again) else {
                continue;
            };
            let Some(answer) = sip::answer(&heard, self.leg.server, media(1)) else {
                return Err(Event::Wrong);
            };
            let _ = self.control.1.send_to(answer.as_bytes(), from);
            if let Some((response, _)) = hear(&self.control.0, self.leg.id, &sequence, again) {
                return Ok((heard, response));
            }
        }
        Err(Event::Timeout)
    }

    fn acknowledge(&self) -> Result<(), Event> {
        let message = self.leg.request("ACK", self.number, None);
        let sequence = format!("{} ACK", self.number);
        let until = monotonic() + PATIENCE;
        while monotonic() < until {
            let _ = self.control.0.send_to(message.as_bytes(), self.leg.server);
            let again = monotonic() + SIP_RETRY;
            if hear(&self.control.1, self.leg.id, &sequence, again).is_some() {
                return Ok(());
            }
        }
        Err(Event::Timeout)
    }
}

/// The message of this transaction, and where it came from. Others were said twice, and are passed over.
fn hear(
    at: &UdpSocket,
    call: u32,
    sequence: &str,
    until: Duration,
) -> Option<(String, SocketAddr)> {
    let mut bytes = [0; 2_048];
    while monotonic() < until {
        let Ok((length, from)) = at.recv_from(&mut bytes) else { continue };
        let text = str::from_utf8(&bytes[..length]).unwrap_or_default();
        if sip::belongs(text, call, sequence) {
            return Some((text.to_owned(), from));
        }
    }
    None
}

/// At an even port, as RTP wants it (RFC 3550 §11).
fn media_socket(address: std::net::IpAddr) -> Result<UdpSocket, Error> {
    let mut ports = MEDIA_PORTS.step_by(2).map(|port| UdpSocket::bind(sockets::at(address, port)));
    let socket = ports.find_map(Result::ok);
    let socket = socket.ok_or(Error::TooMany { kind: "calls", at_most: MEDIA_PORTS.len() / 2 })?;
    let failed = |errno: Errno| Error::io("prepare a call's socket")(errno.into());
    setsockopt(&socket, ReceiveTimestampns, &true).map_err(failed)?;
    Ok(socket)
}

impl Media {
    /// Sends and receives until the traffic ends.
    pub(super) fn flow(mut calls: Vec<Self>, cue: &Cue) -> Result<Vec<Self>, Error> {
        let mut pace = Pace::per_second(MEDIA_PER_SECOND);
        loop {
            // Read before the sockets are, so that the last look comes after the end.
            let last = cue.ended();
            pace.wait();
            for call in &mut calls {
                if !cue.stopped() && (call.first.is_none() || cue.goes_on()) {
                    call.speak();
                }
                call.hear()?;
            }
            if last {
                return Ok(calls);
            }
        }
    }

    fn speak(&mut self) {
        for side in [Side::Client, Side::Server] {
            // The second one hears the first one before.
            if self.first.is_none_or(|first| first == side) || self.turns > 4 {
                let sent = &mut self.sent[side as usize];
                let number = sent.len() as u64;
                sent.push(Receipt { number, at: now() });
                let packet = packet(self.id, side, number);
                let (socket, to) = (&self.sockets[side as usize], self.there[side as usize]);
                // What the kernel refuses does not arrive; the first error may be an earlier one's.
                let _ = socket.send_to(&packet, to).or_else(|_| socket.send_to(&packet, to));
            }
        }
        self.turns += 1;
    }

    fn hear(&mut self) -> Result<(), Error> {
        for side in [Side::Client, Side::Server] {
            let socket = &self.sockets[side.other() as usize];
            let found = drain(socket, (self.id, side), &mut self.received[side as usize])?;
            self.strange += found;
        }
        Ok(())
    }

    /// Writes what was sent and received each way, and tells what does not belong there.
    pub(super) fn finish(self, folder: &Path, diary: &mut Diary) -> Result<(), Error> {
        if self.strange > 0 {
            diary.note("calls", Entry::now(self.id, Event::Wrong));
        }
        let ways = self.sent.into_iter().zip(self.received);
        for (side, (sent, received)) in ["client", "server"].into_iter().zip(ways) {
            log::write(folder, &format!("media-{}-{side}.sent", self.id), sent)?;
            log::write(folder, &format!("media-{}-{side}.received", self.id), received)?;
        }
        let event = if self.first.is_some() { Event::Connect } else { Event::Open };
        diary.note("calls", Entry::now(self.id, event));
        Ok(())
    }
}

/// RTP (RFC 3550 §5.1): who speaks is told by its source, which the call has given it.
fn packet(call: u32, side: Side, number: u64) -> [u8; SOUND] {
    let mut bytes = [0; SOUND];
    bytes[..2].copy_from_slice(&[0x80, 0]);
    bytes[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    bytes[4..8].copy_from_slice(&(number as u32 * 160).to_be_bytes());
    bytes[8..12].copy_from_slice(&source(call, side).to_be_bytes());
    bytes
}

const fn source(call: u32, side: Side) -> u32 {
    call << 1 | side as u32
}

/// What has come from a side of a call; how many others did.
fn drain(
    socket: &UdpSocket,
    (call, side): (u32, Side),
    receipts: &mut Vec<Receipt>,
) -> Result<u64, Error> {
    let (mut bytes, mut strange) = ([0; SOUND], 0);
    while let Some(at) = stamped(socket, &mut bytes).map_err(Error::io("receive media"))? {
        let number = u64::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if bytes == packet(call, side, number) {
            receipts.push(Receipt { number, at });
        } else {
            strange += 1;
        }
    }
    Ok(strange)
}
