//! Packets that wait until the backup has what they brought about.
//!
//! Under a rule with `replication = "sync"` a packet that creates state which the backup could not
//! derive (the first one, a SYN-ACK) waits for the record of its session to be acknowledged. All that
//! follow in the session queue behind it, in order. Each such change has a number; a record covers the
//! changes up to [`Engine::mark`] at the time it is made.
//!
//! A session with packets held knows no egress, so that none of its packets goes the straight way.
//!
//! Where packets leave without the backup rather than not at all, nothing is lost by waiting:
//!
//! ```text
//!  no room for one more of a session   all that wait, and that one, leave in order
//!  a wait took too long                so do they; from then on one session at a time waits, as a question
//!  that one is acknowledged            all wait again
//! ```

use std::net::IpAddr;

use config::Replication as Mode;
use wire::Time;

use super::{NoteKind, Replication, Role};
use crate::commit::Context;
use crate::engine::{Engine, Settings, Waiting};
use crate::fib::Fib;
use crate::ledger::Ledger;
use crate::limits::{HELD_FRAME_BYTES, SYNC_FRAMES, SYNC_LIFE, SYNC_PER_SESSION};
use crate::outbox::Outbox;
use crate::pending::{Bounds, Frame, Pending};
use crate::pipeline::{Change, Way};
use crate::session::{CloseReason, Flags, Peer, SessionId};
use crate::table::{Handle, Marks};
use crate::{PortId, Reason, RuleIndex};

/// What happens to packets that the backup does not confirm in time, and to first packets that find no
/// room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unconfirmed {
    /// They leave without: a slow backup must not cost connections.
    #[default]
    Forward,
    /// They are dropped: no connection that a takeover would lose.
    Drop,
}

/// The packets held, by their session's place.
pub(crate) type Held = Pending<u32, Packet>;

/// What is remembered with a packet that waits for the backup.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Packet {
    port: PortId,
    /// The next hop, if its link-layer address is missing.
    next: Option<IpAddr>,
    pub(super) waiting: Waiting,
    /// The change that it waits for.
    number: u64,
    /// Its session, as the table stores the name.
    session: u64,
}

impl Packet {
    /// Of so many packets that came in.
    pub(crate) const fn standing_for(self, packets: u32) -> Self {
        Self { waiting: Waiting { packets, ..self.waiting }, ..self }
    }

    /// How it came in.
    pub(crate) const fn waiting(self) -> Waiting {
        self.waiting
    }
}

pub(super) fn store(seed: u64) -> Held {
    let bounds = Bounds {
        per_queue: SYNC_PER_SESSION,
        frames: SYNC_FRAMES,
        frame_bytes: HELD_FRAME_BYTES,
        life: SYNC_LIFE,
    };
    Pending::with_bounds(bounds, seed)
}

impl Replication {
    /// The session in `place` has ended, and what it held is dropped.
    pub(super) fn drop_held(&mut self, place: u32, mut drop: impl FnMut(u32)) {
        while let Some(frame) = self.held.release(place) {
            drop(frame.meta.waiting.packets);
        }
    }
}

/// Whether a packet of a session that waits for the backup goes on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goes {
    /// It does not.
    Waits,
    /// It does, and nothing is before it.
    Alone,
    /// It does, behind those of its session that have just left by the outbox.
    Behind,
}

/// On the packet path.
impl Engine {
    /// Whether sessions of this rule wait for the backup; of a rule that is gone, they do.
    pub(crate) fn is_sync(&self, rule: Option<RuleIndex>) -> bool {
        let Replication { connected, role, .. } = self.replication;
        let mode = rule.map_or(Mode::Sync, |rule| self.policy.rule(rule).replication);
        connected && role == Role::Owner && mode == Mode::Sync
    }

    /// The packet in hand changed its session, and is to wait.
    pub(crate) fn begin_hold(&mut self, handle: Handle, kind: NoteKind) {
        if let Some(session) = self.table.get_mut(handle) {
            session.flags.set(Flags::HELD, true);
            session.forget_egress();
        }
        self.replication.mark += 1;
        self.replication.begun = true;
        self.note_session(handle, kind, true);
    }

    /// The session that the packet in hand waits with, if it does.
    pub(crate) fn held_session(&self, context: &Context<'_>) -> Option<Handle> {
        // Without a peer a mark that is left means nothing.
        if !self.replication.connected {
            return None;
        }
        match context.plan.session {
            Change::Open { .. } | Change::Follow { .. } => {}
            Change::None
            | Change::Close { .. }
            | Change::Unreachable { .. }
            | Change::Deny { .. } => return None,
        }
        let (key, _) = context.keyed.flow?;
        let (handle, _) = self.table.locate(context.keyed.hash, &key)?;
        self.table.get(handle)?.flags.has(Flags::HELD).then_some(handle)
    }

    /// Whether the packet in hand goes on without the backup, because it cannot be held, or because the
    /// backup is silent and another session asks it already. What waits before it leaves then, too.
    pub(crate) fn goes_unconfirmed(&mut self, handle: Handle, bytes: usize, now: Time) -> Goes {
        let Replication { held, unconfirmed, silent, .. } = &self.replication;
        let place = handle.place();
        let alone = held.first(place).is_none();
        let waits = held.fits(place, bytes) && !(*silent && alone && !held.is_empty());
        if waits || *unconfirmed == Unconfirmed::Drop {
            return Goes::Waits;
        }
        self.replication.begun = false;
        self.replication.counters.holds_skipped += 1;
        self.let_leave(handle, u64::MAX, None, now);
        self.stop_holding(handle);
        if alone { Goes::Alone } else { Goes::Behind }
    }

    /// What the packet in hand is to be held with.
    pub(crate) fn wait_with(
        &mut self,
        handle: Handle,
        way: &Way,
        next: Option<IpAddr>,
        waiting: Waiting,
    ) -> Packet {
        let begun = std::mem::take(&mut self.replication.begun);
        let last = self.replication.held.last(handle.place()).map(|packet| packet.number);
        // What it waited for before was dropped with the packet: it is asked for again.
        if !begun && last.is_none() {
            self.begin_hold(handle, NoteKind::Changed);
            self.replication.begun = false;
        }
        let number = if begun { None } else { last }.unwrap_or(self.replication.mark);
        let session = self.table.get(handle).map_or(0, |session| session.id);
        Packet { port: way.port, next, waiting, number, session }
    }

    fn stop_holding(&mut self, handle: Handle) {
        if let Some(session) = self.table.get_mut(handle) {
            session.flags.set(Flags::HELD, false);
        }
    }
}

/// Control.
impl Engine {
    /// What becomes of packets that the backup does not confirm in time.
    pub const fn set_unconfirmed(&mut self, unconfirmed: Unconfirmed) {
        self.replication.unconfirmed = unconfirmed;
    }

    /// The number of the last change that packets wait for: a record made now covers all up to it.
    #[must_use]
    pub const fn mark(&self) -> u64 {
        self.replication.mark
    }

    /// The backup has the session as it was when its record was made, at this mark: what waited for
    /// that leaves by the outbox.
    pub fn release(&mut self, place: u32, id: SessionId, mark: u64, now: Time) {
        let Some((handle, session)) = self.table.at(place) else { return };
        let same = self.replication.origins.name(session.id) == id;
        if same {
            self.replication.silent = false;
        }
        if same && session.flags.has(Flags::HELD) {
            self.holder(place);
            self.let_leave(handle, mark, None, now);
            if self.replication.held.first(place).is_none() {
                self.stop_holding(handle);
            }
        }
    }

    /// When packets may next have waited too long.
    #[must_use]
    pub fn next_hold_expiry(&self) -> Option<Time> {
        self.replication.held.next_expiry()
    }

    /// Packets that wait for the backup.
    #[must_use]
    pub const fn held_for_backup(&self) -> usize {
        self.replication.held.len()
    }

    /// Ends waits that took too long, with all that queues behind them.
    pub(crate) fn expire_holds(&mut self, now: Time) {
        while self.next_hold_expiry().is_some_and(|expiry| expiry <= now) {
            let Some((place, number)) = self.oldest_hold() else { return };
            let Some(handle) = self.holder(place) else { continue };
            self.replication.counters.holds_expired += 1;
            self.replication.silent = true;
            self.nat.half = self.nat.own;
            match self.replication.unconfirmed {
                Unconfirmed::Forward if self.may_be_given_twice(handle) => {
                    self.close(handle, CloseReason::Conflict, now);
                }
                Unconfirmed::Forward => {
                    self.let_leave(handle, number, None, now);
                    if self.replication.held.first(place).is_none() {
                        self.stop_holding(handle);
                    }
                }
                // It goes on holding: what is sent again waits again.
                Unconfirmed::Drop => {
                    self.let_leave(handle, number, Some(Reason::HoldExpired), now);
                }
            }
        }
    }

    /// The session whose packets are held under this place. If a panic took it away, they are
    /// dropped.
    fn holder(&mut self, place: u32) -> Option<Handle> {
        let session = self.replication.held.first(place)?.session;
        let found = self.table.at(place).filter(|(_, found)| found.id == session);
        let handle = found.map(|(handle, _)| handle);
        if handle.is_none() {
            let Self { replication, ledger, .. } = self;
            replication.drop_held(place, |packets| ledger.expire(Reason::HoldClosed, packets));
        }
        handle
    }

    fn oldest_hold(&self) -> Option<(u32, u64)> {
        self.replication.held.oldest().map(|(place, packet)| (place, packet.number))
    }

    /// Nobody confirms any more.
    pub(super) fn release_all(&mut self, now: Time) {
        self.replication.silent = false;
        while let Some((place, _)) = self.oldest_hold() {
            let Some(handle) = self.holder(place) else { continue };
            if self.may_be_given_twice(handle) {
                self.close(handle, CloseReason::Conflict, now);
                continue;
            }
            self.let_leave(handle, u64::MAX, None, now);
            self.stop_holding(handle);
        }
    }

    /// Whether the port of a session that has just opened may be another's: the backup has not said that it
    /// knows of it, and gives it itself if it is alone. Its client asks again, and gets another one; but
    /// that of an announced one would find its pinhole used up, so such a session keeps what it has.
    fn may_be_given_twice(&self, handle: Handle) -> bool {
        let Some(session) = self.table.get(handle) else { return false };
        let Some(twin) = self.table.twin(handle, session) else { return false };
        let unanswered = session.packets[Peer::Responder.index()] == 0;
        let port = twin.key.source_port(twin.initiator);
        unanswered && !session.is_child() && twin.marks.has(Marks::PORT) && !self.nat.own.has(port)
    }

    /// What waited for changes up to `mark` leaves, or is dropped for `reason`.
    fn let_leave(&mut self, handle: Handle, mark: u64, reason: Option<Reason>, now: Time) {
        let place = handle.place();
        while self.replication.held.first(place).is_some_and(|packet| packet.number <= mark) {
            let Self { replication, settings, fib, ledger, outbox, pending, .. } = self;
            let Some(frame) = replication.held.release(place) else { return };
            let mut exit = Exit { settings, fib, ledger, outbox, pending, now };
            let wanted = match reason {
                Some(reason) => {
                    exit.ledger.expire(reason, frame.meta.waiting.packets);
                    None
                }
                None => exit.send(frame),
            };
            if let Some((port, next)) = wanted {
                self.want(port, next);
            }
        }
    }
}

/// The parts of an engine that a held packet leaves by.
struct Exit<'a> {
    settings: &'a Settings,
    fib: &'a Fib,
    ledger: &'a mut Ledger,
    outbox: &'a mut Outbox,
    pending: &'a mut Pending<(PortId, IpAddr), Waiting>,
    now: Time,
}

impl Exit<'_> {
    /// Sends a packet that was held, or lets it wait for its next hop, which is returned.
    fn send(&mut self, frame: Frame<'_, u32, Packet>) -> Option<(PortId, IpAddr)> {
        let Packet { port, next, waiting, .. } = frame.meta;
        let packets = waiting.packets;
        if self.settings.ports.get(port.index()).is_none_or(|port| !port.up) {
            self.ledger.expire(Reason::PortDown, packets);
            return None;
        }
        if let Some(next) = next {
            let Some(mac) = self.fib.resolve(port, next) else {
                let held = self.pending.hold((port, next), frame.bytes, self.now, waiting);
                if held.is_err() {
                    self.ledger.expire(Reason::NeighbourQueueFull, packets);
                }
                return held.is_ok().then_some((port, next));
            };
            if let Some(to) = frame.bytes.get_mut(..mac.len()) {
                to.copy_from_slice(&mac);
            }
        }
        if self.outbox.push(port, frame.bytes) {
            self.ledger.release(packets);
        } else {
            self.ledger.expire(Reason::TransmitFull, packets);
        }
        None
    }
}
