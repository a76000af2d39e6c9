//! Screens: what packets may not do where they enter by a zone that has one, and what is noted of all.
//!
//! ```text
//!                          ┌ blocked? a UDP flood? ──────────────────────► drop
//! packet ─► straight way ──┤
//!                          └ every hundredth: what its session carried ──► book
//! packet ─► long way ─► blocked? odd? a flood? ─► lookup ─► first packet? too many? ─► policy …
//! verdict or session event ──────────────────────► observation ──────────► book, meters
//! ```
//!
//! Two questions are apart. *What is above a threshold*, here and in this second, is dropped here and at
//! once, where the policy says more than `alarm`: `gate.rs`. *What is an attack*, and whose, the
//! detector of the cluster decides, by the books of all workers; what it blocks comes back as
//! [`Engine::block`].
//!
//! Thresholds a second hold for each worker by itself: a flow has one worker, and to cut a limit into parts
//! would cut down a single heavy flow that is within it. So at worst as many times the threshold pass as
//! there are workers, until the detector, who adds them up, finds that the sum is above it: then each worker
//! has its part of that limit ([`Engine::curb`]) until the sum is below. Sessions at once are shared by
//! slots, as `sessions-max` is.
//!
//! Without any screen there is nothing here but an empty option: a branch for each packet that always goes
//! the same way.

mod blocks;
mod compiled;
mod curbs;
mod drops;
mod gate;
mod guards;
mod marks;
mod meters;
mod observe;
mod oddity;
mod open;
#[cfg(test)]
mod tests;
mod timed;

use core::fmt;
use core::net::IpAddr;

use sketch::{Book, Key as _, Place, Seed};
use wire::{Packet, TcpFlags, Time, Transport, cookie};

use self::blocks::Blocks;
pub(crate) use self::compiled::Screens;
use self::compiled::ZoneScreen;
use self::curbs::Curbs;
pub(crate) use self::gate::{Gate, Guarded};
use self::guards::Guards;
use self::marks::Marks;
use self::meters::Meters;
use self::open::OpenSessions;
use crate::engine::Engine;
use crate::limits::{CARRIED_EVERY, NOTES_WAITING};
use crate::policy::Policy;
use crate::session::{Peer, Session};
use crate::table::Handle;
use crate::{Reason, ZoneId};
pub use sketch::Observation;

/// What a worker knows of attacks: of fixed size, whoever attacks.
pub(crate) struct Screening {
    /// This worker's own.
    own: Seed,
    book: Book,
    /// What is not in the book yet.
    waiting: Vec<Observation>,
    blocks: Blocks,
    curbs: Curbs,
    guards: Guards,
    meters: Meters,
    open: OpenSessions,
    /// Whose sessions `open` counts: those that are marked by this number.
    generation: u32,
    marks: Marks,
    /// Packets of open sessions until one is told of.
    until_carried: u32,
    dice: u32,
    /// The straight way has counted the packet in hand.
    metered: bool,
}

/// What is counted by the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Meter {
    /// First TCP packets of a source.
    SynsOfSource,
    /// First TCP packets to a destination.
    SynsToDestination,
    /// First TCP packets that enter by a zone.
    SynsOfZone,
    /// ICMP packets to a destination.
    Icmp,
    /// UDP packets to a destination.
    Udp,
    /// Fragments to a destination.
    Fragments,
    /// Completed handshakes of a source.
    Connections,
}

/// What a packet or a session is counted by: the hashes of its source, as its zone counts sources, and of its
/// destination. Made once a packet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sides {
    source: u64,
    destination: u64,
}

impl Sides {
    #[inline]
    const fn of(self, meter: Meter) -> u64 {
        meter.key(if meter.is_of_source() { self.source } else { self.destination })
    }

    /// Under which its session is counted: by source, by destination, by both.
    #[inline]
    const fn sessions(self, own: Seed) -> [u64; 3] {
        // An address may be source and destination of different sessions.
        [self.source, self.destination ^ GOLDEN_RATIO, own.join(self.source, self.destination)]
    }
}

/// 2^64 divided by the golden ratio: its multiples differ in their upper and in their lower bits.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

impl Meter {
    /// What it counts by for what has this hash. Nobody outside knows the hash, so a constant is enough to
    /// keep meters apart.
    #[inline]
    const fn key(self, hash: u64) -> u64 {
        hash ^ GOLDEN_RATIO.wrapping_mul(1 + self as u64)
    }

    /// How many there are.
    const ALL: usize = Self::Connections as usize + 1;

    const fn is_of_source(self) -> bool {
        match self {
            Self::SynsOfSource | Self::Connections => true,
            Self::SynsToDestination
            | Self::SynsOfZone
            | Self::Icmp
            | Self::Udp
            | Self::Fragments => false,
        }
    }
}

/// The seed of all sketches of a cluster with this secret. Another one than that of the slots, so that
/// nobody learns of the one by watching the other.
#[must_use]
pub const fn seed(secret: [u64; 2]) -> Seed {
    // The words of "ringwall" and "sketches".
    Seed::new([secret[1] ^ 0x7269_6e67_7761_6c6c, secret[0] ^ 0x736b_6574_6368_6573])
}

/// Of what is counted here: another one than that of the session table.
const fn own_seed([left, right]: [u64; 2]) -> Seed {
    // The words of "screened" and "meters".
    Seed::new([left ^ 0x7363_7265_656e_6564, right ^ 0x6d65_7465_7273])
}

/// The number of a zone in observations. Zones beyond them, of which a policy has none, are not observed.
#[must_use]
pub fn number(zone: ZoneId) -> Option<u8> {
    u8::try_from(zone.0).ok()
}

/// Whether it is the first packet of a TCP connection.
fn is_syn(packet: &Packet) -> bool {
    let Transport::Tcp(tcp) = &packet.body else { return false };
    tcp.flags.contains(TcpFlags::SYN) && !tcp.flags.contains(TcpFlags::ACK)
}

impl Screening {
    fn new(seed: Seed, own: Seed, guards: Guards, places: usize, policy: &Policy) -> Self {
        Self {
            own,
            book: Book::new(seed, policy.screens().aggregation()),
            waiting: Vec::with_capacity(NOTES_WAITING),
            blocks: Blocks::new(),
            curbs: Curbs::new(),
            guards,
            meters: Meters::new(),
            open: OpenSessions::new(),
            generation: 1,
            marks: Marks::new(places),
            until_carried: CARRIED_EVERY,
            dice: 1,
            metered: false,
        }
    }

    /// Sessions are counted anew, as the sweep meets them: zones have other numbers, or a panic came in
    /// between.
    pub(crate) fn recount(&mut self) {
        self.open.clear();
        self.generation += 1;
    }

    fn hash_place(&self, place: &Place) -> u64 {
        place.hash(self.own)
    }

    /// What a packet of these addresses, which enters by this zone, is counted by.
    #[inline]
    pub(crate) fn sides(
        &self,
        screens: &Screens,
        (zone, number): (ZoneId, u8),
        source: IpAddr,
        destination: IpAddr,
    ) -> Sides {
        let source = self.hash_place(&screens.source(zone, number, source));
        Sides { source, destination: self.hash_place(&Place::of(number, destination)) }
    }

    /// Reads early what a first packet will be counted in: policy and routes are asked meanwhile.
    #[inline]
    fn touch(&self, screen: &ZoneScreen, sides: Sides) {
        let mut seen = self.meters.touch(sides.of(Meter::SynsOfSource))
            ^ self.meters.touch(sides.of(Meter::SynsToDestination));
        if screen.limits_sessions() {
            let [source, destination, pair] = sides.sessions(self.own);
            seen ^= self.open.touch(source) ^ self.open.touch(pair);
            if screen.sessions[1].is_some() {
                seen ^= self.open.touch(destination);
            }
        }
        core::hint::black_box(seen);
    }

    /// Counts a packet of these sides.
    #[inline]
    fn meter(&mut self, meter: Meter, sides: Sides, now: Time) {
        self.meters.add(meter, sides.of(meter), now);
    }

    fn meter_of_zone(&self, number: u8) -> u64 {
        Meter::SynsOfZone.key(self.hash_place(&Place::zone(number)))
    }

    /// Notes it, by and by.
    #[inline]
    fn note(&mut self, it: Observation) {
        if self.waiting.len() == NOTES_WAITING {
            self.settle();
        }
        self.waiting.push(it);
    }

    /// Notes in the book what waits.
    #[cold]
    fn settle(&mut self) {
        self.book.note_all(&self.waiting);
        self.waiting.clear();
    }

    /// Whether nobody is blocked, held down or guarded.
    #[inline]
    fn is_quiet(&self, now: Time) -> bool {
        self.blocks.is_empty(now) && self.curbs.is_empty(now) && self.guards.is_empty(now)
    }

    /// Whether the session in this place is among those that are counted.
    fn counts(&self, place: u32) -> bool {
        self.marks.counted(place) == self.generation
    }

    /// Counts a session that has begun to be one of this zone, if its zone has a limit.
    pub(crate) fn begun(
        &mut self,
        policy: &Policy,
        place: u32,
        session: &Session,
        zone: Option<ZoneId>,
    ) {
        let sides = zone.and_then(|zone| Some((zone, self.sides_of(policy, session, zone)?)));
        let counted = sides.map_or(0, |(zone, sides)| self.begun_as(policy.screens(), zone, sides));
        self.marks.count(place, counted);
    }

    /// Counts a session, as far as its zone has limits. Under which number; 0: it is not counted.
    #[inline]
    fn begun_as(&mut self, screens: &Screens, zone: ZoneId, sides: Sides) -> u32 {
        let Some(limits) = screens.sessions(zone) else { return 0 };
        let keys = sides.sessions(self.own);
        for (side, limit) in limits.iter().enumerate() {
            if limit.is_some() {
                self.open.begin(side, keys[side]);
            }
        }
        self.generation
    }

    /// The session has ended, or ended to be one of this zone.
    pub(crate) fn ended(
        &mut self,
        policy: &Policy,
        place: u32,
        session: &Session,
        zone: Option<ZoneId>,
    ) {
        if !self.counts(place) {
            return;
        }
        if let Some(zone) = zone
            && let Some(limits) = policy.screens().sessions(zone)
            && let Some(sides) = self.sides_of(policy, session, zone)
        {
            let keys = sides.sessions(self.own).into_iter().zip(limits);
            keys.filter(|(_, limit)| limit.is_some()).for_each(|(key, _)| self.open.end(key));
        }
        self.marks.count(place, 0);
    }

    /// What the session is counted by, if its zone has a limit.
    fn sides_of(&self, policy: &Policy, session: &Session, zone: ZoneId) -> Option<Sides> {
        let number = number(zone).filter(|_| policy.screens().sessions(zone).is_some())?;
        let direction = session.direction(Peer::Initiator);
        let (source, _) = session.key.source(direction);
        let (destination, _) = session.key.destination(direction);
        Some(self.sides(policy.screens(), (zone, number), source, destination))
    }
}

impl fmt::Debug for Screening {
    /// Neither secrets nor megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screening").field("noted", &self.book.noted()).finish_non_exhaustive()
    }
}

/// Control, between two bursts.
impl Engine {
    /// The screens of a policy that has just come in force, whose zones may have other numbers. Takes the
    /// memory for them with the first one, and gives it back with the last.
    pub(crate) fn set_screens(&mut self, same_zones: bool) {
        if self.policy.screens().is_empty() {
            self.screening = None;
            return;
        }
        let Some(screening) = &mut self.screening else {
            let seed = seed(self.settings.secret);
            let own = own_seed(self.settings.seed);
            let guards = Guards::new(cookie::Key::new(self.settings.secret), self.cookie_slot);
            let screening = Screening::new(seed, own, guards, self.table.capacity(), &self.policy);
            self.screening = Some(Box::new(screening));
            return;
        };
        // What was noted under the old numbers of zones would be told under the new ones.
        screening.waiting.clear();
        screening.book.clear();
        screening.book.aggregate(self.policy.screens().aggregation());
        // The detector says again what is above the new limits.
        screening.curbs.clear();
        if !same_zones {
            screening.blocks.clear();
            screening.guards.clear();
        }
        screening.recount();
    }

    /// Whether there are screens: then somebody should fetch the book, about ten times a second.
    #[must_use]
    pub const fn is_screening(&self) -> bool {
        self.screening.is_some()
    }

    /// Takes what was noted, and leaves `book`, which is empty, in its place. `false`: there are no screens.
    pub fn exchange_book(&mut self, book: &mut Book) -> bool {
        let Some(screening) = &mut self.screening else { return false };
        screening.settle();
        core::mem::swap(&mut screening.book, book);
        screening.book.aggregate(self.policy.screens().aggregation());
        true
    }

    /// Has `take` take what was observed since the last time, for who notes it elsewhere. It says how many it
    /// took, the first ones; the others are noted in the book here.
    #[inline]
    pub fn tell_observed(&mut self, take: impl FnOnce(&[Observation]) -> usize) {
        let Some(screening) = self.screening.as_deref_mut() else { return };
        let waiting = &mut screening.waiting;
        if waiting.is_empty() {
            return;
        }
        let taken = take(waiting);
        if let Some(left) = waiting.get(taken..).filter(|left| !left.is_empty()) {
            screening.book.note_all(left);
        }
        waiting.clear();
    }

    /// Drops all packets of a source until then. A place that is no source of its zone, one with another
    /// length, blocks nobody.
    pub fn block(&mut self, source: &Place, until: Time) {
        if let Some(screening) = &mut self.screening {
            screening.blocks.block(screening.hash_place(source), until);
        }
    }

    /// Lets a source through again before its time.
    pub fn unblock(&mut self, source: &Place) {
        if let Some(screening) = &mut self.screening {
            screening.blocks.unblock(screening.hash_place(source));
        }
    }

    /// Until then lets no more through than this worker's part of `limit`, if the policy has a limit. A
    /// place that the meter does not count by limits nobody.
    pub fn curb(&mut self, meter: Meter, place: &Place, limit: u32, until: Time) {
        let most = self.share(limit);
        if let Some(screening) = &mut self.screening {
            screening.curbs.set(meter.key(screening.hash_place(place)), most, until);
        }
    }

    /// Until then has SYNs to a destination answered with cookies, in its place: with this MSS, and without
    /// any memory of them.
    pub fn guard(&mut self, destination: &Place, mss: u16, until: Time) {
        if let Some(screening) = &mut self.screening {
            let hash = screening.hash_place(destination);
            screening.guards.guard(hash, mss, until);
            self.proxies.reserve(self.table.capacity());
        }
    }

    /// Says which slot of the wall clock it is ([`wire::cookie::slot`]): cookies are made in it.
    pub fn set_cookie_slot(&mut self, slot: u32) {
        self.cookie_slot = slot;
        if let Some(screening) = &mut self.screening {
            screening.guards.context.slot = slot;
        }
    }

    /// The policy's limit is all of it this worker's again.
    pub fn uncurb(&mut self, meter: Meter, place: &Place) {
        if let Some(screening) = &mut self.screening {
            screening.curbs.lift(meter.key(screening.hash_place(place)));
        }
    }

    /// Counts a session for the limits of its zone, if it is not counted: what the sweep does.
    pub(crate) fn count_open(&mut self, handle: Handle) {
        let Self { screening: Some(screening), table, rules, policy, .. } = self else { return };
        let (place, session) = (handle.place(), table.get(handle));
        if let Some(session) = session.filter(|_| !screening.counts(place)) {
            let (_, zone) = rules.place(session);
            screening.begun(policy, place, session, zone);
        }
    }
}

/// The long way's part.
impl Engine {
    /// What screens count a packet by.
    #[inline]
    pub(crate) fn sides(&self, ingress: crate::PortId, packet: &Packet) -> Sides {
        let Some(screening) = self.screening.as_deref() else { return Sides::default() };
        let zone = self.policy.zone_of_port(ingress);
        let Some((zone, number)) = zone.and_then(|zone| Some((zone, number(zone)?))) else {
            return Sides::default();
        };
        let (screens, Packet { source, destination, .. }) = (self.policy.screens(), *packet);
        let sides = screening.sides(screens, (zone, number), source, destination);
        if let Some(screen) = screens.of(zone).filter(|_| is_syn(packet)) {
            screening.touch(screen, sides);
        }
        sides
    }
}

/// The straight way's part.
impl Engine {
    /// Why a plain packet is dropped, though its session may be open.
    #[inline]
    pub(crate) fn screen_plain(
        &mut self,
        plain: &wire::Plain,
        ingress: crate::PortId,
        now: Time,
    ) -> Option<Reason> {
        let screening = self.screening.as_deref_mut()?;
        screening.metered = false;
        let zone = self.policy.zone_of_port(ingress)?;
        let screens = self.policy.screens();
        let number = number(zone)?;
        if !screening.blocks.is_empty(now) {
            let source = screens.source(zone, number, plain.key.source(plain.direction).0);
            if screening.blocks.has(screening.hash_place(&source), now) {
                return Some(Reason::Blocked);
            }
        }
        if plain.key.protocol() != wire::Protocol::UDP {
            return None;
        }
        let screen = screens.of(zone)?;
        let limit = screen.udp?;
        let (destination, _) = plain.key.destination(plain.direction);
        let destination = screening.hash_place(&Place::of(number, destination));
        let key = Meter::Udp.key(destination);
        let limit = screening.curbs.lowered(limit, key, now);
        let over = screening.meters.reaches(limit, Meter::Udp, key, now);
        screening.meters.add(Meter::Udp, key, now);
        screening.metered = true;
        let exempt = || screen.exempts(plain.key.source(plain.direction).0);
        (over && !exempt()).then_some(Reason::UdpFlood)
    }
}
