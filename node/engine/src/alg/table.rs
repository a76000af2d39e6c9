//! What an engine keeps for its gateways.

use config::Alg;

use super::control::{Control, Controls};
use super::expect::Refused;
use super::pinholes::{Hint, Pinhole, Pinholes};
use super::speech::Speech;
use super::steering::{Rudder, Steered, Steering};
use crate::engine::Engine;
use crate::limits::{ALG_EXPIRIES_PER_TICK, ALG_FRAME_BYTES, ALG_STREAM_BYTES, ALG_TEXT_BYTES};
use crate::nat::Nat;
use crate::session::Session;
use crate::table::Twin;
use std::net::IpAddr;
use std::sync::Arc;
use wire::{Protocol, Time};

/// Control channels and what they have announced.
#[derive(Debug, Default)]
pub(crate) struct Algs {
    pub(crate) controls: Controls,
    pub(crate) pinholes: Pinholes,
    /// Where text is joined, where frames are written, and where other text is: nothing until a policy has
    /// gateways.
    pub(crate) text: Box<[u8]>,
    pub(crate) space: Box<[u8]>,
    pub(crate) draft: Box<[u8]>,
    pub(crate) counters: Counted,
    /// Where there are other workers.
    pub(crate) rudder: Option<Box<Rudder>>,
}

/// How a first packet begins its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// What a gateway is to read of the session.
    pub(crate) speech: Option<Speech>,
    /// Another session has announced it.
    pub(crate) announced: bool,
}

/// A pinhole that a session has come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// The session that announced it: its place, and its name as it is stored.
    pub(crate) parent: (u32, u64),
    pub(crate) used_up: bool,
}

/// A pinhole that stands open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The gateway.
    pub alg: Alg,
    /// The session that has announced it, as [`Engine::session_id`] takes it.
    pub parent: u64,
    /// IP protocol.
    pub protocol: Protocol,
    /// Who may come.
    pub from: IpAddr,
    /// To which endpoint.
    pub to: (IpAddr, u16),
    /// Whom that means.
    pub inside: (IpAddr, u16),
    /// Sessions that it may still let in.
    pub uses: u8,
    /// Until when.
    pub until: Time,
}

/// What was counted of gateways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Control channels that were read.
    pub channels: u64,
    /// Those that were not, for want of room: they pass, and nothing that they announce is let in.
    pub unread: u64,
    /// Pinholes opened.
    pub opened: u64,
    /// Sessions that came by one.
    pub used: u64,
    /// Pinholes whose time ended before anybody came.
    pub expired: u64,
    /// Announcements of another host than their sender.
    pub third_party: u64,
    /// Announcements of a port that services have.
    pub low_port: u64,
    /// Announcements for which there was no pinhole, or no port.
    pub no_room: u64,
    /// Announcements to a side of another family.
    pub families: u64,
    /// What looks like an announcement, and is none.
    pub malformed: u64,
    /// Messages that were too long to be read.
    pub too_long: u64,
    /// Directions of control channels that are not read any more: they speak another protocol.
    pub foreign: u64,
}

impl Counted {
    /// Counts what became of an announcement.
    pub(crate) const fn count(&mut self, refused: Option<Refused>) {
        let counter = match refused {
            None => &mut self.opened,
            Some(Refused::ThirdParty) => &mut self.third_party,
            Some(Refused::LowPort) => &mut self.low_port,
            Some(Refused::NoRoom | Refused::NoPort) => &mut self.no_room,
            Some(Refused::Families) => &mut self.families,
        };
        *counter += 1;
    }
}

impl Algs {
    /// Gives back what was taken for a pinhole.
    pub(crate) fn give_back(&mut self, hint: &Hint, pinhole: &Pinhole, nat: &mut Nat) {
        self.let_go(&Steered::of_pinhole(hint, pinhole));
        if pinhole.takes_port {
            nat.unreserve((hint.domain, hint.protocol), hint.to);
        }
    }

    /// Has all workers know that these sessions are here. `false`: there is no room.
    pub(crate) fn steer(&mut self, rows: &[Steered; 2]) -> bool {
        self.rudder.as_mut().is_none_or(|rudder| rudder.steer(rows))
    }

    pub(crate) fn let_go(&mut self, rows: &[Steered; 2]) {
        if let Some(rudder) = &mut self.rudder {
            rudder.let_go(rows);
        }
    }

    /// A session that was announced begins.
    pub(crate) fn begin_child(&mut self, session: &Session, twin: Option<&Twin>) {
        if session.is_child() && !self.steer(&Steered::of_session(session, twin)) {
            self.counters.no_room += 1;
        }
    }

    /// It is over.
    pub(crate) fn end_child(&mut self, session: &Session, twin: Option<&Twin>) {
        if session.is_child() {
            self.let_go(&Steered::of_session(session, twin));
        }
    }

    /// Takes the memory: not on the packet path.
    pub(crate) fn reserve(&mut self, seed: u64) {
        self.controls.reserve(seed);
        self.pinholes.reserve(seed);
        if self.space.is_empty() {
            self.text = vec![0; ALG_TEXT_BYTES].into();
            self.space = vec![0; ALG_FRAME_BYTES].into();
            self.draft = vec![0; ALG_STREAM_BYTES].into();
        }
    }

    /// The session in this place has ended: its pinholes close with it.
    pub(crate) fn end(&mut self, place: u32, nat: &mut Nat) {
        let Some(control) = self.controls.end(place) else { return };
        for hint in control.hints() {
            let known = self.pinholes.get(hint, Time::ZERO);
            if known.is_some_and(|pinhole| pinhole.parent.1 == control.session)
                && let Some(pinhole) = self.pinholes.close(hint)
            {
                self.give_back(hint, &pinhole, nat);
            }
        }
    }

    /// Pinholes that nobody came by in time.
    pub(crate) fn expire(&mut self, nat: &mut Nat, now: Time) {
        for _ in 0..ALG_EXPIRIES_PER_TICK {
            let Some((hint, pinhole)) = self.pinholes.expire(now) else { return };
            self.counters.expired += 1;
            self.forget(&hint, &pinhole);
            self.give_back(&hint, &pinhole, nat);
        }
    }

    /// A session has come by a pinhole; returns the one that announced it, and whether others know a pinhole
    /// that is used up.
    pub(crate) fn claim(&mut self, hint: &Hint, nat: &mut Nat, now: Time) -> Option<Claimed> {
        let pinhole = *self.pinholes.get(hint, now)?;
        self.counters.used += 1;
        let gone = self.pinholes.claim(hint);
        if let Some(gone) = &gone {
            self.forget(hint, gone);
            self.give_back(hint, gone, nat);
            if let Some(control) = self.controls.at(pinhole.parent.0) {
                control.changes = control.changes.wrapping_add(1);
            }
        }
        Some(Claimed { parent: pinhole.parent, used_up: gone.is_some() })
    }

    /// Its parent has it no more.
    fn forget(&mut self, hint: &Hint, pinhole: &Pinhole) {
        let (place, session) = pinhole.parent;
        if let Some(control) = self.controls.at(place).filter(|it| it.session == session) {
            control.forget(hint);
        }
    }
}

/// What operators see.
impl Engine {
    /// What was counted of gateways.
    #[must_use]
    pub const fn alg_counters(&self) -> &Counted {
        &self.algs.counters
    }

    /// Control channels, and pinholes that stand open.
    #[must_use]
    pub fn alg_now(&self) -> (u32, u32) {
        (self.algs.controls.len(), self.algs.pinholes.len())
    }

    /// Control channels, by gateway.
    #[must_use]
    pub fn alg_channels(&self) -> Vec<(Alg, u32)> {
        let count = |alg| {
            (alg, self.algs.controls.all().filter(|it| it.speech.alg() == alg).count() as u32)
        };
        Alg::ALL.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    /// Pinholes that stand open, so many at most, those that close first.
    #[must_use]
    pub fn open_pinholes(&self, most: usize) -> Vec<Open> {
        let mut open: Vec<Open> =
            self.algs.controls.all().flat_map(|it| self.open_of(it)).collect();
        open.sort_by_key(|it| it.until);
        open.truncate(most);
        open
    }

    fn open_of<'a>(&'a self, control: &'a Control) -> impl Iterator<Item = Open> + 'a {
        control.hints().filter_map(|hint| {
            let pinhole = self.algs.pinholes.get(hint, Time::ZERO)?;
            Some(Open {
                alg: control.speech.alg(),
                parent: control.session,
                protocol: hint.protocol,
                from: hint.from,
                to: hint.to,
                inside: pinhole.inside,
                uses: pinhole.uses,
                until: pinhole.until,
            })
        })
    }

    /// After a panic: ends what is known of sessions that are gone, and takes the ports of pinholes again.
    pub(crate) fn recount_announced(&mut self) {
        let Self { algs, nat, table, .. } = self;
        let gone =
            |(place, session): (u32, u64)| table.at(place).is_none_or(|it| it.1.id != session);
        while let Some(place) = algs.controls.find(gone) {
            algs.end(place, nat);
        }
        let Algs { pinholes, rudder, .. } = algs;
        if let Some(rudder) = rudder {
            rudder.clear();
        }
        pinholes.each(|hint, pinhole| {
            pinhole.takes_port = nat.reserve((hint.domain, hint.protocol), hint.to);
            if let Some(rudder) = rudder {
                rudder.steer(&Steered::of_pinhole(hint, pinhole));
            }
        });
        for place in 0..table.places() {
            if let Some((handle, session)) = table.at(place) {
                algs.begin_child(session, table.twin(handle, session));
            }
        }
    }

    /// Has it tell the other workers of its node where announced sessions are, and go by what they tell.
    pub fn set_steering(&mut self, steering: Arc<Steering>) {
        let (worker, seed) = (self.settings.worker, self.settings.seed[0]);
        self.algs.rudder = Some(Box::new(Rudder::new(steering, worker, seed)));
    }

    /// What names in messages are hashed with: the same on every node, which goes on with calls of others.
    pub(crate) const fn name_seed(&self) -> u64 {
        self.settings.secret[1]
    }

    /// Takes what the gateways of the policy in force need.
    pub(crate) fn prepare_algs(&mut self) {
        if self.policy.has_algs() {
            self.algs.reserve(self.settings.seed[1]);
            self.nat.prepare_announcements();
        }
    }
}
