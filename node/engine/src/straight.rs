//! The straight way: what nearly every packet is, decided and carried out in one go.
//!
//! An ACK or a UDP datagram of a session that lives, under the policy and the routes in force,
//! between two routed ports. It answers as the [`pipeline`](crate::pipeline), its slow twin, would,
//! or not at all: whatever is missing or odd takes the long way. What the long way checks and this
//! one does not, the session proves: its key holds the addresses and ports that its first packet
//! was let through with.
//!
//! First everything is decided and nothing changed, then everything is changed and nothing can
//! fail, as in the long way.

use wire::{Plain, Time};

use crate::engine::Engine;
use crate::rules::short_epoch;
use crate::session::{Egress, Flags, Peer, Session};
use crate::table::{Beyond, Guess, Handle, SessionTable, Side, Twin};
use crate::track::{self, Progress};
use crate::{Checksum, Decision, Mode, Port, PortId, State, Verdict};

/// A plain packet with its key's hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Straight {
    pub(crate) plain: Plain,
    pub(crate) hash: u64,
    /// Where the session probably is.
    pub(crate) guess: Guess,
}

/// What the straight way found out about a packet.
struct Course {
    sender: Peer,
    progress: Progress,
    egress: Egress,
    mac: [u8; 6],
}

impl Straight {
    pub(crate) const NONE: Self = Self { plain: Plain::NONE, hash: 0, guess: Guess::NONE };

    /// Reads a frame that arrived by `port`; `false` leaves something meaningless behind.
    #[inline(always)]
    pub(crate) fn read_from(&mut self, port: &Port, frame: &[u8], table: &SessionTable) -> bool {
        // A packet whose checksum a sender left to hardware needs more than a router's rewriting.
        if port.mode != Mode::Routed || port.checksum != Checksum::Verify {
            return false;
        }
        if port.mac != [0; 6] && frame.first_chunk() != Some(&port.mac) {
            return false;
        }
        let plain = self.plain.read_from(frame, port.domain) && self.plain.hop_limit > 1;
        if plain {
            self.hash = table.hash(&self.plain.key);
        }
        plain
    }
}

impl Engine {
    /// Decides about a packet and forwards it, or changes nothing.
    #[inline(never)]
    pub(crate) fn go_straight(
        &mut self,
        straight: &Straight,
        ingress: PortId,
        frame: &mut [u8],
        now: Time,
    ) -> Option<Decision> {
        let found = self.table.locate_at(straight.guess, straight.hash, &straight.plain.key)?;
        if self.table.get(found.0)?.flags.has(Flags::TRANSLATED) {
            self.go_translated(found, straight, ingress, frame, now)
        } else {
            self.go::<false>(found, straight, ingress, frame, now)
        }
    }

    /// The same of a packet of a translated session. Apart, so that others do not pay for it.
    #[inline(never)]
    fn go_translated(
        &mut self,
        found: (Handle, Side),
        straight: &Straight,
        ingress: PortId,
        frame: &mut [u8],
        now: Time,
    ) -> Option<Decision> {
        self.go::<true>(found, straight, ingress, frame, now)
    }

    #[inline(always)]
    fn go<const TRANSLATED: bool>(
        &mut self,
        found: (Handle, Side),
        straight: &Straight,
        ingress: PortId,
        frame: &mut [u8],
        now: Time,
    ) -> Option<Decision> {
        let (plain, handle) = (&straight.plain, found.0);
        let Course { sender, progress, egress, mac } =
            self.course::<TRANSLATED>(found, plain, ingress, frame, now)?;
        let session = self.table.get_mut(handle)?;
        let state = match session.is_established_for(sender) {
            true => State::Established,
            false => State::New,
        };
        progress.apply(session, sender, plain.ip_len, now);
        plain.route(frame, egress.mac, mac);
        let (session, rule) = (session.id, session.rule);
        if TRANSLATED {
            self.translate_plain(handle, sender, plain, frame);
        }
        if self.screening.is_some() {
            self.observe_straight(handle);
        }
        Some(Decision {
            verdict: Verdict::Forward(egress.port),
            state,
            session: Some(self.replication.origins.name(session)),
            rule: Some(rule),
            packets: 1,
            in_hand: true,
        })
    }

    /// Where the packet goes and what it means for its session; nothing changes.
    #[inline(always)]
    fn course<const TRANSLATED: bool>(
        &self,
        (handle, side): (Handle, Side),
        plain: &Plain,
        ingress: PortId,
        frame: &[u8],
        now: Time,
    ) -> Option<Course> {
        let session = self.table.get(handle)?;
        let sender = if TRANSLATED {
            translated_sender(session, self.table.twin(handle, session)?, side, plain)?
        } else {
            session.sender(plain.direction)
        };
        if session.deadline <= now || !self.is_current(session, sender, ingress) {
            return None;
        }
        let egress = session.egress(sender, self.fib.generation())?;
        let port = self.settings.ports.get(egress.port.index())?;
        let leaves = port.up && port.mode == Mode::Routed && plain.ip_len <= port.mtu;
        if !leaves || !plain.checksum_ok(frame) {
            return None;
        }
        let progress = track::predict(session, sender, plain, &self.tracking, now)?;
        Some(Course { sender, progress, egress, mac: port.mac })
    }

    /// Gives a plain packet the ends that it has beyond.
    #[inline(always)]
    fn translate_plain(&self, handle: Handle, sender: Peer, plain: &Plain, frame: &mut [u8]) {
        if let Some((session, twin)) = self.table.remains(handle) {
            let Beyond { key, direction, delta } = twin.beyond(session, sender);
            plain.translate(frame, (key, direction), delta);
        }
    }

    /// Whether the session is of the policy in force, and the packet enters from its sender's zone.
    #[inline(always)]
    fn is_current(&self, session: &Session, sender: Peer, ingress: PortId) -> bool {
        session.epoch == short_epoch(&self.policy)
            && self.policy.zone_of_port(ingress) == Some(session.zones[sender.index()])
    }
}

/// Who of a translated session sends a packet that it was found by; `None` if nobody does on this side, or if
/// the packet must become one of the other family.
#[inline(always)]
fn translated_sender(session: &Session, twin: &Twin, side: Side, plain: &Plain) -> Option<Peer> {
    let (direction, sender) = match side {
        Side::First => (session.direction(Peer::Initiator), Peer::Initiator),
        Side::Second => (twin.initiator.reversed(), Peer::Responder),
    };
    let fits = direction == plain.direction && twin.key.version() == session.key.version();
    fits.then_some(sender)
}
