//! Sessions that a control channel has announced: each lets in what comes from one host for one endpoint.
//!
//! A pinhole is of its parent: found by what its first packet looks like where it comes in, it names the
//! session that announced it, and goes with that. It lives for a short time only, and its first packet uses
//! it up unless it says otherwise.

use std::collections::VecDeque;
use std::net::IpAddr;

use wire::{Packet, Protocol, Time, Transport};

use super::speech::Speech;
use crate::limits::{CALL_LIFE, PINHOLE_LIFE, PINHOLES_MAX};
use crate::nat::FixedMap;
use crate::session::Peer;

/// What the first packet of an announced session looks like where it comes in. Its source port is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hint {
    pub(crate) domain: u16,
    pub(crate) protocol: Protocol,
    pub(crate) from: IpAddr,
    pub(crate) to: (IpAddr, u16),
}

/// An announced session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pinhole {
    /// The session that announced it: its place, and its name as it is stored.
    pub(crate) parent: (u32, u64),
    /// The side of its parent that will open it.
    pub(crate) opener: Peer,
    /// Whom its packets are for.
    pub(crate) inside: (IpAddr, u16),
    /// Who comes as they see it, and in which routing domain.
    pub(crate) seen: (u16, IpAddr),
    /// A port of a public address was taken for it.
    pub(crate) takes_port: bool,
    /// Sessions that it may still let in; [`ANY`] never ends.
    pub(crate) uses: u8,
    /// The call that it is of, or 0.
    pub(crate) call: u32,
    /// What its sessions speak, if that is read, too.
    pub(crate) speech: Option<Speech>,
    /// That is answered.
    pub(crate) answered: bool,
    pub(crate) until: Time,
}

/// Any number of sessions: media may pause for longer than theirs live.
pub(crate) const ANY: u8 = u8::MAX;

/// All of an engine.
#[derive(Debug, Default)]
pub(crate) struct Pinholes {
    /// Nothing until a policy has gateways.
    known: Option<FixedMap<Hint, Pinhole>>,
    /// In the order of their time.
    due: VecDeque<(Time, Hint)>,
}

impl Hint {
    /// That of a packet; `None` if it has no ports, nor what stands for one.
    pub(crate) fn of(packet: &Packet, domain: u16) -> Option<Self> {
        let port =
            if let Transport::Gre(gre) = &packet.body { gre.call_id()? } else { packet.ports()?.1 };
        let (protocol, to) = (packet.protocol, (packet.destination, port));
        Some(Self { domain, protocol, from: packet.source, to })
    }
}

impl Pinholes {
    /// Takes its memory: not on the packet path.
    pub(crate) fn reserve(&mut self, seed: u64) {
        let nobody = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let nothing = (
            Hint { domain: 0, protocol: Protocol(0), from: nobody, to: (nobody, 0) },
            Pinhole {
                parent: (0, 0),
                opener: Peer::Initiator,
                inside: (nobody, 0),
                seen: (0, nobody),
                takes_port: false,
                uses: 0,
                call: 0,
                speech: None,
                answered: false,
                until: Time::ZERO,
            },
        );
        if self.known.is_none() {
            self.known = Some(FixedMap::new(PINHOLES_MAX, seed, nothing));
            self.due.reserve_exact(PINHOLES_MAX as usize);
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.known.as_ref().is_none_or(|known| known.len() == 0)
    }

    pub(crate) fn len(&self) -> u32 {
        self.known.as_ref().map_or(0, FixedMap::len)
    }

    /// The pinhole that a packet finds.
    pub(crate) fn get(&self, hint: &Hint, now: Time) -> Option<&Pinhole> {
        self.known.as_ref()?.get(hint).filter(|pinhole| pinhole.until > now)
    }

    /// Makes one, which lives from now on. `false`: there is no room, or another session has announced the
    /// same.
    pub(crate) fn open(&mut self, hint: Hint, pinhole: Pinhole, now: Time) -> bool {
        let life = if pinhole.uses == ANY { CALL_LIFE } else { PINHOLE_LIFE };
        self.insert(hint, Pinhole { until: now + life, ..pinhole })
    }

    /// The same with its own end.
    pub(crate) fn insert(&mut self, hint: Hint, pinhole: Pinhole) -> bool {
        let Some(known) = self.known.as_mut() else { return false };
        let before = known.get(&hint).copied();
        if before.is_some_and(|other| other.parent != pinhole.parent)
            || !known.insert(hint, pinhole)
        {
            return false;
        }
        if let Some(before) = before {
            self.forget_time(&hint, before.until);
        }
        let at = self.due.partition_point(|(time, _)| *time <= pinhole.until);
        self.due.insert(at, (pinhole.until, hint));
        true
    }

    /// A packet has come by it; returns it if it is used up, and gone.
    pub(crate) fn claim(&mut self, hint: &Hint) -> Option<Pinhole> {
        let pinhole = self.known.as_mut()?.get_mut(hint)?;
        if pinhole.uses == ANY {
            return None;
        }
        pinhole.uses = pinhole.uses.saturating_sub(1);
        if pinhole.uses == 0 { self.close(hint) } else { None }
    }

    /// Shows all of them.
    pub(crate) fn each(&mut self, visit: impl FnMut(&Hint, &mut Pinhole)) {
        if let Some(known) = &mut self.known {
            known.change_all(visit);
        }
    }

    pub(crate) fn close(&mut self, hint: &Hint) -> Option<Pinhole> {
        let pinhole = self.known.as_mut()?.remove(hint)?;
        self.forget_time(hint, pinhole.until);
        Some(pinhole)
    }

    /// Each has one time: else whoever says the same again and again would fill the list with it.
    fn forget_time(&mut self, hint: &Hint, until: Time) {
        let first = self.due.partition_point(|(time, _)| *time < until);
        let same = self.due.range(first..).take_while(|(time, _)| *time == until);
        if let Some(at) = same.into_iter().position(|(_, it)| it == hint) {
            self.due.remove(first + at);
        }
    }

    /// One whose time is over.
    pub(crate) fn expire(&mut self, now: Time) -> Option<(Hint, Pinhole)> {
        while let Some((_, hint)) = self.due.pop_front_if(|(time, _)| *time <= now) {
            let known = self.known.as_mut()?;
            if known.get(&hint).is_some_and(|pinhole| pinhole.until <= now) {
                return Some((hint, known.remove(&hint)?));
            }
        }
        None
    }
}
