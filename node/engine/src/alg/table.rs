//! What an engine keeps for its gateways.

use config::Alg;

use super::control::Controls;
use super::expect::Refused;
use super::pinholes::{Hint, Pinhole, Pinholes};
use crate::engine::Engine;
use crate::limits::{ALG_EXPIRIES_PER_TICK, ALG_FRAME_BYTES, ALG_TEXT_BYTES};
use crate::nat::Nat;
use wire::Time;

/// Control channels and what they have announced.
#[derive(Debug, Default)]
pub(crate) struct Algs {
    pub(crate) controls: Controls,
    pub(crate) pinholes: Pinholes,
    /// Where text is joined, and where frames are written: nothing until a policy has gateways.
    pub(crate) text: Box<[u8]>,
    pub(crate) space: Box<[u8]>,
    pub(crate) counters: Counted,
}

/// How a first packet begins its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    /// The gateway that is to read the session.
    pub(crate) alg: Option<Alg>,
    /// Another session has announced it.
    pub(crate) announced: bool,
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

impl Pinhole {
    /// Gives back what was taken for it.
    pub(crate) fn give_back(&self, hint: &Hint, nat: &mut Nat) {
        if self.takes_port {
            nat.unreserve((hint.domain, hint.protocol), hint.to);
        }
    }
}

impl Algs {
    /// Takes the memory: not on the packet path.
    pub(crate) fn reserve(&mut self, seed: u64) {
        self.controls.reserve(seed);
        self.pinholes.reserve(seed);
        if self.space.is_empty() {
            self.text = vec![0; ALG_TEXT_BYTES].into();
            self.space = vec![0; ALG_FRAME_BYTES].into();
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
                pinhole.give_back(hint, nat);
            }
        }
    }

    /// Pinholes that nobody came by in time.
    pub(crate) fn expire(&mut self, nat: &mut Nat, now: Time) {
        for _ in 0..ALG_EXPIRIES_PER_TICK {
            let Some((hint, pinhole)) = self.pinholes.expire(now) else { return };
            self.counters.expired += 1;
            self.forget(&hint, &pinhole);
            pinhole.give_back(&hint, nat);
        }
    }

    /// A session has come by a pinhole; returns the name of the one that announced it.
    pub(crate) fn claim(&mut self, hint: &Hint, nat: &mut Nat, now: Time) -> Option<u64> {
        let pinhole = *self.pinholes.get(hint, now)?;
        self.counters.used += 1;
        if let Some(gone) = self.pinholes.claim(hint) {
            self.forget(hint, &gone);
            gone.give_back(hint, nat);
        }
        Some(pinhole.parent.1)
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

    /// After a panic: ends what is known of sessions that are gone, and takes the ports of pinholes again.
    pub(crate) fn recount_announced(&mut self) {
        let Self { algs, nat, table, .. } = self;
        let gone =
            |(place, session): (u32, u64)| table.at(place).is_none_or(|it| it.1.id != session);
        while let Some(place) = algs.controls.find(gone) {
            algs.end(place, nat);
        }
        algs.pinholes.each(|hint, pinhole| {
            pinhole.takes_port = nat.reserve((hint.domain, hint.protocol), hint.to);
        });
    }

    /// Takes what the gateways of the policy in force need.
    pub(crate) fn prepare_algs(&mut self) {
        if self.policy.has_algs() {
            self.algs.reserve(self.settings.seed[1]);
            self.nat.prepare_announcements();
        }
    }
}
