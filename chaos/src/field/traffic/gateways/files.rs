//! Clients and servers of files: a control channel each, and transfers that it announces.
//!
//! Both ends of a dialog are played by one thread, which says a thing at one and waits until it is heard at
//! the other; so each event has one time.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::{Cue, Diary, Error, Role};
use crate::field::limits::{
    CHUNK, CHUNK_TURN, CHUNKS_BRIEF, CYCLE_TURN, LOOK, PATIENCE, UNINVITED_PATIENCE,
};
use crate::field::log::{Entry, Event};
use crate::field::traffic::clock::{Pace, monotonic, sleep_until};
use crate::field::traffic::{Ends, Side, sockets};
use crate::ftp::Way;

/// One client and its server.
pub(super) struct Dialog {
    id: u32,
    way: Way,
    /// Of the client, of the server.
    control: [TcpStream; 2],
    /// Who announces listens here.
    listener: TcpListener,
    /// The address of the one that opens transfers.
    opener: IpAddr,
    diary: Diary,
}

/// Both ends of a transfer: who opened it, and who listened.
struct Transfer([TcpStream; 2]);

/// Something did not come about.
type Failed = Event;

fn failed(error: &std::io::Error) -> Failed {
    let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    if late { Event::Timeout } else { Event::Reset }
}

impl Dialog {
    /// Opens a control channel to the server that listens at `server`.
    pub(super) fn open(
        ends: &Ends<'_>,
        (id, way): (u32, Way),
        server: &TcpListener,
    ) -> Result<Self, Error> {
        let to = server.local_addr().map_err(Error::io("ask a socket's address"))?;
        let failed = Error::io("open a control channel");
        let client =
            ends.client.run(|| connect(ends.client_address, to, PATIENCE)).map_err(&failed)?;
        let (other, _) = server.accept().map_err(&failed)?;
        let control = [client, other];
        control.iter().try_for_each(prepare).map_err(failed)?;
        let sides = [(ends.client_address, Side::Client), (to.ip(), Side::Server)];
        let [opener, (own, side)] = if way.passive { sides } else { [sides[1], sides[0]] };
        let listener = ends.of(side).run(|| listen(sockets::at(own, 0)))?;
        let mut diary = Diary::default();
        diary.note("controls", Entry::now(id, Event::Open));
        Ok(Self { id, way, control, listener, opener: opener.0, diary })
    }

    /// Who opens its transfers; the thread that plays it is to be there.
    pub(super) const fn side(&self) -> Side {
        if self.way.passive { Side::Client } else { Side::Server }
    }

    /// Plays the dialog until the traffic ends.
    pub(super) fn play(mut self, role: Role, mut begun: Option<Begun>, cue: &Cue) -> Diary {
        match role {
            Role::Transfers => self.transfers(begun.take(), cue),
            Role::Waits => self.waits(begun.take(), cue),
            Role::Cycles => self.cycles(cue),
        }
        let id = self.id;
        // A failure has been told already; then this is no good end.
        if self.asks("QUIT\r\n", "221 Goodbye.\r\n").is_ok() {
            self.diary.note("controls", Entry::now(id, Event::Closed));
        }
        self.diary
    }

    /// What is to stand before the fault: an announcement, and the transfer if it is to be under way then.
    pub(super) fn begin(&mut self, role: Role) -> Result<Option<Begun>, Error> {
        let lost = |event| Error::Dialog { what: "announce a transfer", event };
        match role {
            Role::Cycles => Ok(None),
            Role::Waits => {
                let to = self.announce().map_err(lost)?;
                self.diary.note("announced", Entry::now(self.id, Event::Announced));
                Ok(Some(Begun { to, transfer: None }))
            }
            Role::Transfers => {
                let to = self.announce().map_err(lost)?;
                let transfer = self.join(to).map_err(lost)?;
                self.diary.note("transfers", Entry::now(self.id, Event::Open));
                Ok(Some(Begun { to, transfer: Some(transfer) }))
            }
        }
    }

    fn transfers(&mut self, begun: Option<Begun>, cue: &Cue) {
        let Some(Begun { to, transfer: Some(mut transfer) }) = begun else { return };
        let (mut pace, mut bytes, mut went_on) = (Pace::new(CHUNK_TURN), 0, false);
        let mut outcome = Ok(());
        while outcome.is_ok() && !cue.stopped() {
            if cue.goes_on() && !std::mem::replace(&mut went_on, true) {
                self.uninvited(to);
                self.speaks_on();
            }
            pace.wait();
            outcome = transfer.carry(self.id.is_multiple_of(2), bytes);
            bytes += CHUNK as u64;
        }
        let end = outcome.and_then(|()| transfer.close(self.id.is_multiple_of(2)));
        let event = end.err().unwrap_or(Event::Done);
        self.diary.note("transfers", Entry { bytes: Some(bytes), ..Entry::now(self.id, event) });
    }

    fn waits(&mut self, begun: Option<Begun>, cue: &Cue) {
        let Some(Begun { to, .. }) = begun else { return };
        while !cue.goes_on() {
            if cue.stopped() {
                return;
            }
            sleep_until(monotonic() + LOOK);
        }
        self.diary.note("announced", Entry::now(self.id, Event::Connect));
        let done = self.join(to).and_then(|transfer| {
            self.diary.note("announced", Entry::now(self.id, Event::Open));
            transfer.carry_briefly(self.id.is_multiple_of(2))
        });
        let event = done.err().unwrap_or(Event::Done);
        self.diary.note("announced", Entry::now(self.id, event));
        self.uninvited(to);
        self.speaks_on();
    }

    /// Announcements and short transfers without a rest, so that a fault meets them in every state.
    fn cycles(&mut self, cue: &Cue) {
        let (mut pace, mut number, mut asked) = (Pace::new(CYCLE_TURN), self.id << 16, false);
        while !cue.stopped() {
            pace.wait();
            if cue.goes_on() && !std::mem::replace(&mut asked, true) {
                self.speaks_on();
            }
            self.diary.note("cycles", Entry::now(number, Event::Connect));
            let transfer = self.announce().and_then(|to| self.join(to));
            let done =
                transfer.and_then(|transfer| transfer.carry_briefly(number.is_multiple_of(2)));
            self.diary.note("cycles", Entry::now(number, done.err().unwrap_or(Event::Done)));
            if done.is_err() {
                return;
            }
            number += 1;
        }
    }

    /// After the fault: the control channel is heard, and announces once more.
    fn speaks_on(&mut self) {
        self.diary.note("controls", Entry::now(self.id, Event::Sent));
        let asked = self.asks("NOOP\r\n", "200 Command okay.\r\n");
        let transfer = asked.and_then(|()| self.announce()).and_then(|to| self.join(to));
        let done = transfer.and_then(|it| it.carry_briefly(true));
        self.diary.note("controls", Entry::now(self.id, done.err().unwrap_or(Event::Echoed)));
    }

    /// A second session by a pinhole that has let its one in.
    fn uninvited(&mut self, to: SocketAddr) {
        self.diary.note("uninvited", Entry::now(self.id, Event::Connect));
        let event = match connect(self.opener, to, UNINVITED_PATIENCE) {
            Ok(_) => Event::Open,
            Err(error) => failed(&error),
        };
        self.diary.note("uninvited", Entry::now(self.id, event));
    }

    /// Says where the next transfer goes; as the one that opens it has heard that.
    fn announce(&mut self) -> Result<SocketAddr, Failed> {
        let own = self.listener.local_addr().map_err(|error| failed(&error))?;
        let server = self.control[0].peer_addr().map_err(|error| failed(&error))?;
        let commanded = self.says(0, &self.way.command(own))?;
        let replied = self.says(1, &self.way.reply(own))?;
        let line = if self.way.passive { replied } else { commanded };
        self.way.heard(&line, server.ip()).ok_or(Event::Wrong)
    }

    fn asks(&mut self, command: &str, reply: &str) -> Result<(), Failed> {
        let heard = [self.says(0, command)?, self.says(1, reply)?];
        if heard == [command, reply] { Ok(()) } else { Err(Event::Wrong) }
    }

    /// A line of one end, as the other one hears it.
    fn says(&mut self, end: usize, line: &str) -> Result<String, Failed> {
        self.control[end].write_all(line.as_bytes()).map_err(|error| failed(&error))?;
        let (mut heard, mut byte) = (Vec::new(), [0]);
        while byte != *b"\n" {
            self.control[1 - end].read_exact(&mut byte).map_err(|error| failed(&error))?;
            heard.push(byte[0]);
        }
        String::from_utf8(heard).map_err(|_| Event::Wrong)
    }

    fn join(&self, to: SocketAddr) -> Result<Transfer, Failed> {
        let joined = || {
            let opener = connect(self.opener, to, PATIENCE)?;
            let ends = [opener, self.listener.accept()?.0];
            ends.iter().try_for_each(prepare)?;
            Ok(Transfer(ends))
        };
        joined().map_err(|error: std::io::Error| failed(&error))
    }
}

/// What was begun before the fault.
pub(super) struct Begun {
    to: SocketAddr,
    transfer: Option<Transfer>,
}

impl Transfer {
    /// Some bytes from one end to the other, each of them compared.
    fn carry(&mut self, forth: bool, place: u64) -> Result<(), Failed> {
        let sent: [u8; CHUNK] =
            std::array::from_fn(|at| (((place + at as u64) * 0x9e37) >> 7) as u8);
        let mut received = [0; CHUNK];
        let [sender, receiver] = self.directed(forth);
        let carried = sender.write_all(&sent).and_then(|()| receiver.read_exact(&mut received));
        carried.map_err(|error| failed(&error))?;
        if received == sent { Ok(()) } else { Err(Event::Wrong) }
    }

    /// The sender's end, as its receiver sees it.
    fn close(mut self, forth: bool) -> Result<(), Failed> {
        let [sender, receiver] = self.directed(forth);
        let closed = sender.shutdown(std::net::Shutdown::Write);
        match closed.and_then(|()| receiver.read(&mut [0])) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Event::Wrong),
            Err(error) => Err(failed(&error)),
        }
    }

    /// A short one as a whole.
    fn carry_briefly(mut self, forth: bool) -> Result<(), Failed> {
        (0..CHUNKS_BRIEF as u64).try_for_each(|it| self.carry(forth, it * CHUNK as u64))?;
        self.close(forth)
    }

    fn directed(&mut self, forth: bool) -> [&mut TcpStream; 2] {
        let [opener, listener] = &mut self.0;
        if forth { [opener, listener] } else { [listener, opener] }
    }
}

fn connect(from: IpAddr, to: SocketAddr, patience: Duration) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&sockets::at(from, 0).into())?;
    socket.connect_timeout(&to.into(), patience)?;
    Ok(socket.into())
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// A listener that waits with a bound.
pub(super) fn listen(on: SocketAddr) -> Result<TcpListener, Error> {
    let listener = sockets::listen(on)?;
    let bounded = || {
        listener.set_nonblocking(false)?;
        // The kernel keeps it for `accept`, too.
        SockRef::from(&listener).set_read_timeout(Some(PATIENCE))
    };
    bounded().map_err(Error::io("listen"))?;
    Ok(listener)
}
