//! The screens of a policy by the numbers of its zones: what is acted upon, and for whom.
//!
//! Only what drops stands here. What a detector merely tells, the book has anyway.

use core::net::IpAddr;

use config::{AddressSet, Flood, PrefixLengths, Reaction, Response, Screen};
use sketch::{Aggregation, Place};

use crate::ZoneId;
use crate::policy::CompileError;

/// All screens of one policy.
#[derive(Debug, Default)]
pub(crate) struct Screens {
    /// By `ZoneId`.
    zones: Box<[Option<ZoneScreen>]>,
    /// By the same: how many bits of a source count.
    aggregation: Box<[Aggregation]>,
}

/// The limits of one zone; `None` is any number.
#[derive(Debug)]
pub(crate) struct ZoneScreen {
    exempt: Option<Exempt>,
    /// First TCP packets a second: of a source, to a destination, of the zone.
    pub(super) syns: [Option<u32>; 3],
    /// ICMP packets a second to a destination.
    pub(super) icmp: Option<u32>,
    /// UDP packets a second to a destination.
    pub(super) udp: Option<u32>,
    /// Fragments a second to a destination.
    pub(super) fragments: Option<u32>,
    /// Completed handshakes of a source a second.
    pub(super) connections: Option<u32>,
    /// Sessions at once: of a source, to a destination, between the two.
    pub(super) sessions: [Option<u32>; 3],
    /// Packets that cannot be right are dropped.
    pub(super) drops_odd: bool,
    /// The lowest of all limits a second, and of those at once: while nobody has reached it, none need be
    /// looked at. The highest number where there are none.
    pub(super) lowest: u32,
    pub(super) fewest: u32,
    /// Whether there is any limit of first TCP packets.
    pub(super) counts_syns: bool,
}

/// Sources that a screen leaves alone.
#[derive(Debug)]
struct Exempt {
    sets: Box<[AddressSet]>,
    negate: bool,
}

impl Screens {
    /// # Errors
    /// If a screen is for a zone, or exempts a set, that does not exist.
    pub(crate) fn compile(policy: &config::Policy) -> Result<Self, CompileError> {
        let mut zones: Vec<_> = policy.zones.iter().map(|_| None).collect();
        let mut aggregation = vec![Aggregation::default(); policy.zones.len()];
        for screen in &policy.screens {
            let wrong = CompileError::ScreenOutOfRange { zone: screen.zone };
            let Some(zone) = zones.get_mut(screen.zone) else { return Err(wrong) };
            *zone = Some(ZoneScreen::compile(screen, &policy.sets).ok_or(wrong)?);
            let PrefixLengths { v4, v6 } = screen.aggregate;
            aggregation[screen.zone].source = (v4, v6);
        }
        if policy.screens.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { zones: zones.into(), aggregation: aggregation.into() })
    }

    /// Whether no zone has any: then nothing is noted, nor looked for.
    pub(crate) const fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// How the zones aggregate: what books are made with.
    pub(super) const fn aggregation(&self) -> &[Aggregation] {
        &self.aggregation
    }

    #[inline]
    pub(super) fn of(&self, zone: ZoneId) -> Option<&ZoneScreen> {
        self.zones.get(zone.index())?.as_ref()
    }

    /// The zone's limits of sessions at once, if it has any.
    #[inline]
    pub(super) fn sessions(&self, zone: ZoneId) -> Option<&[Option<u32>; 3]> {
        self.of(zone).filter(|screen| screen.limits_sessions()).map(|screen| &screen.sessions)
    }

    /// The source, as the zone that it enters by counts sources.
    #[inline]
    pub(super) fn source(&self, zone: ZoneId, number: u8, address: IpAddr) -> Place {
        let (v4, v6) = self.aggregation.get(zone.index()).copied().unwrap_or_default().source;
        Place::new(number, address, v4, v6)
    }
}

impl ZoneScreen {
    fn compile(screen: &Screen, sets: &[AddressSet]) -> Option<Self> {
        let exempt = screen.exempt.as_ref().map(|exempt| {
            let sets = exempt.sets.iter().map(|at| sets.get(*at).cloned());
            Some(Exempt { sets: sets.collect::<Option<_>>()?, negate: exempt.negate })
        });
        let exempt = match exempt {
            Some(exempt) => Some(exempt?),
            None => None,
        };
        let syns = screen.syn_flood.filter(|it| drops(&it.response));
        let syns = syns.map(|it| [Some(it.source), Some(it.destination), it.zone]);
        let syns = syns.unwrap_or_default();
        let [icmp, udp, fragments, connections] =
            [screen.icmp_flood, screen.udp_flood, screen.fragment_flood, screen.connection_rate]
                .map(threshold);
        let limits = syns.into_iter().chain([icmp, udp, fragments, connections]);
        let lowest = limits.flatten().min().unwrap_or(u32::MAX);
        let sessions = screen.session_limit.filter(|it| drops(&it.response));
        let sessions = sessions.map_or([None; 3], |it| [it.source, it.destination, it.pair]);
        let fewest = sessions.into_iter().flatten().min().unwrap_or(u32::MAX);
        Some(Self {
            exempt,
            syns,
            icmp,
            udp,
            fragments,
            connections,
            sessions,
            drops_odd: threshold(screen.anomalies).is_some(),
            lowest,
            fewest,
            counts_syns: syns != [None; 3],
        })
    }

    /// Whether there is any limit of sessions at once.
    #[inline]
    pub(super) const fn limits_sessions(&self) -> bool {
        self.fewest < u32::MAX
    }

    /// Whether nothing is done about a source.
    pub(super) fn exempts(&self, source: IpAddr) -> bool {
        let Some(Exempt { sets, negate }) = &self.exempt else { return false };
        sets.iter().any(|set| set.contains(source)) != *negate
    }
}

fn threshold(flood: Option<Flood>) -> Option<u32> {
    flood.filter(|it| drops(&it.response)).map(|it| it.threshold)
}

/// What is above the threshold is dropped, whatever else is done: a blocked source sends no more.
fn drops(response: &Response) -> bool {
    match response.action {
        Reaction::Alarm => false,
        Reaction::Drop | Reaction::Proxy | Reaction::Block => true,
    }
}
