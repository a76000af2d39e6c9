//! The screen's part of the judgement: what it drops, and what `explain` says of it. Reads, counts nothing.

use wire::cookie::{self, Context, Proof};
use wire::{Packet, TcpFlags, Time, Transport};

use super::compiled::ZoneScreen;
use super::{Meter, Screening, Sides, oddity};
use crate::engine::{Engine, Keyed};
use crate::table::Handle;
use crate::{PortId, Reason};

/// A packet before the screen of the zone that it enters by. Made once for each that is judged.
pub(crate) struct Gate<'a> {
    screening: &'a Screening,
    screen: Option<&'a ZoneScreen>,
    number: u8,
    packet: &'a Packet,
    sides: Sides,
    now: Time,
    /// Nobody is blocked, held down or guarded, nor near a limit of this second: nothing need be looked up.
    calm: bool,
}

/// What a cookie says of a packet.
pub(crate) enum Guarded {
    /// Nothing: its destination is not guarded, or it is no ACK.
    No,
    /// It has none, or a wrong one.
    Wrong,
    /// It is right.
    Proven(Proof),
}

impl Engine {
    /// The gate that a packet goes through; `None` without any screen.
    #[inline]
    pub(crate) fn gate<'a>(
        &'a self,
        ingress: PortId,
        keyed: &'a Keyed,
        now: Time,
    ) -> Option<Gate<'a>> {
        let screening = self.screening.as_deref()?;
        let zone = self.policy.zone_of_port(ingress)?;
        let number = super::number(zone)?;
        let screen = self.policy.screens().of(zone);
        let lowest = screen.map_or(u32::MAX, |screen| screen.lowest);
        let calm = screening.is_quiet(now) && screening.meters.all_below(lowest, now);
        let Keyed { packet, sides, .. } = keyed;
        Some(Gate { screening, screen, number, packet, sides: *sides, now, calm })
    }
}

impl Gate<'_> {
    /// Why the packet is dropped, whatever it belongs to.
    pub(crate) fn entrance(&self) -> Option<Reason> {
        if self.is_blocked() {
            return Some(Reason::Blocked);
        }
        let screen = self.screen?;
        if screen.drops_odd && oddity::of_packet(self.packet).is_some() {
            return self.unless_exempt(Reason::Odd);
        }
        if self.calm {
            return None;
        }
        let (meter, limit, reason) = match self.packet.body {
            Transport::Icmp(_) => (Meter::Icmp, screen.icmp, Reason::IcmpFlood),
            // What the straight way has counted, it has judged.
            Transport::Udp(_) if !self.screening.metered => {
                (Meter::Udp, screen.udp, Reason::UdpFlood)
            }
            Transport::Udp(_)
            | Transport::Tcp(_)
            | Transport::Sctp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => return None,
        };
        let over = self.is_over(meter, limit);
        if over { self.unless_exempt(reason) } else { None }
    }

    /// Why the packet may not begin a session, before any rule is asked. Of a flood, who has answered a
    /// cookie is no part.
    pub(crate) fn beginning(&self, vouched: bool) -> Option<Reason> {
        let screen = self.screen?;
        if self.calm || !super::is_syn(self.packet) {
            return None;
        }
        let [of_source, to_destination, of_zone] = screen.syns;
        let flood = self.is_over(Meter::SynsOfSource, of_source)
            || !vouched
                && (self.is_over(Meter::SynsToDestination, to_destination)
                    || self.is_over_zone(of_zone));
        if flood {
            return self.unless_exempt(Reason::SynFlood);
        }
        let rate = self.is_over(Meter::Connections, screen.connections);
        if rate { self.unless_exempt(Reason::ConnectionRate) } else { None }
    }

    /// What the packet, a SYN, is answered with, if its destination is guarded: what a cookie is made
    /// with, and the MSS.
    #[inline]
    pub(crate) fn guards(&self) -> Option<(Context, u16)> {
        let guards = &self.screening.guards;
        if self.calm || guards.is_empty(self.now) || !cookie::is_answerable(self.packet) {
            return None;
        }
        Some((guards.context, guards.announces(self.sides.destination, self.now)?))
    }

    /// Whether the packet, which has no session, brings a right cookie.
    pub(crate) fn proof(&self) -> Guarded {
        let guards = &self.screening.guards;
        let Transport::Tcp(tcp) = &self.packet.body else { return Guarded::No };
        if self.calm {
            return Guarded::No;
        }
        let acknowledges = tcp.flags.contains(TcpFlags::ACK)
            && !tcp.flags.intersects(TcpFlags::SYN | TcpFlags::RST);
        if guards.is_empty(self.now)
            || !acknowledges
            || !guards.accepts(self.sides.destination, self.now)
        {
            return Guarded::No;
        }
        cookie::check(self.packet, &guards.context).map_or(Guarded::Wrong, Guarded::Proven)
    }

    /// Why a fragment is dropped before it is held.
    pub(super) fn fragment(&self) -> Option<Reason> {
        if self.is_blocked() {
            return Some(Reason::Blocked);
        }
        let limit = self.screen?.fragments;
        let over = self.is_over(Meter::Fragments, limit);
        if over { self.unless_exempt(Reason::FragmentFlood) } else { None }
    }

    /// Which limit one more session would go beyond, once `ending`, of the same key, is gone; `share` is
    /// this engine's part of a limit.
    pub(crate) fn session(
        &self,
        ending: Option<Handle>,
        share: impl Fn(u32) -> u32,
    ) -> Option<Reason> {
        let screen = self.screen?;
        let open = &self.screening.open;
        if !screen.limits_sessions() || open.all_below_anywhere(share(screen.fewest)) {
            return None;
        }
        let ends = ending.is_some_and(|ending| self.screening.counts(ending.place()));
        let reasons = [Reason::SourceSessions, Reason::DestinationSessions, Reason::PairSessions];
        let beyond = (0..3).find_map(|side| {
            let limit = share(screen.sessions[side]?);
            if open.all_below(limit, side) {
                return None;
            }
            let keys = self.sides.sessions(self.screening.own);
            let count = open.count(keys[side]).saturating_sub(u32::from(ends));
            (count >= limit).then_some(reasons[side])
        });
        beyond.and_then(|reason| self.unless_exempt(reason))
    }

    fn is_blocked(&self) -> bool {
        let Screening { blocks, .. } = self.screening;
        !self.calm && !blocks.is_empty(self.now) && blocks.has(self.sides.source, self.now)
    }

    #[inline]
    fn is_over(&self, meter: Meter, limit: Option<u32>) -> bool {
        limit.is_some_and(|limit| self.is_beyond(meter, self.sides.of(meter), limit))
    }

    fn is_over_zone(&self, limit: Option<u32>) -> bool {
        let key = || self.screening.meter_of_zone(self.number);
        limit.is_some_and(|limit| self.is_beyond(Meter::SynsOfZone, key(), limit))
    }

    #[inline]
    fn is_beyond(&self, meter: Meter, key: u64, limit: u32) -> bool {
        let Screening { meters, curbs, .. } = self.screening;
        meters.reaches(curbs.lowered(limit, key, self.now), meter, key, self.now)
    }

    fn unless_exempt(&self, reason: Reason) -> Option<Reason> {
        let exempt = self.screen.is_some_and(|screen| screen.exempts(self.packet.source));
        (!exempt).then_some(reason)
    }
}
