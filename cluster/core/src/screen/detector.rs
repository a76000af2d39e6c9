//! One node's detector: books and digests go in, events, actions and digests come out.

use sketch::{
    Book, Flow, Key as _, Measure, Noted as _, OddPair, Pair, Place, Rows, Seed, SpaceSaving, Tally,
};
use wire::Time;

use super::act::Acts;
use super::attack::{Attack, Counts, Kind, Output, Subject};
use super::baseline::{Baselines, Learning, Unusual};
use super::digest::{self, DigestError, Done, Teller};
use super::judge::{Finding, Judge, generations};
use super::live::Live;
use super::peers::Peers;
use super::screens::Screens;
use super::state::{Base, DestinationState, OddState, PairState, SourceState, second_of};
use crate::limits::{
    SAMPLE_EVERY, SCREEN_DESTINATIONS, SCREEN_ODDITIES, SCREEN_PAIRS, SCREEN_SOURCES, SYN_BYTES,
    TALKER_FLOWS, TALKER_SPAN,
};
use crate::{Boot, NodeId};

/// Who a detector is, and the secret of its sketches.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// This node.
    pub node: NodeId,
    /// This run of its daemon.
    pub boot: Boot,
    /// The cluster's: books and digests under another one are refused.
    pub seed: Seed,
}

/// Everything that this node has seen.
pub(super) struct Own {
    pub(super) sources: Rows<Place, SourceState>,
    pub(super) destinations: Rows<Place, DestinationState>,
    pub(super) pairs: Rows<Pair, PairState>,
    pub(super) oddities: Rows<OddPair, OddState>,
    /// By zone.
    pub(super) zones: Vec<Base>,
    /// Bytes of flows, of the running span and of the one before.
    pub(super) flows: [Flows; 2],
}

/// Bytes and packets of flows in one span.
pub(super) struct Flows {
    pub(super) began: Time,
    pub(super) bytes: SpaceSaving<Flow>,
    pub(super) packets: SpaceSaving<Flow>,
}

/// Attacks, by what workers and nodes have seen.
pub struct Detector {
    pub(super) settings: Settings,
    pub(super) screens: Screens,
    pub(super) own: Own,
    pub(super) peers: Peers,
    live: Live,
    acts: Acts,
    baselines: Baselines,
    teller: Teller,
    counts: Counts,
    second: u64,
    refreshed: Time,
    sampled: Time,
    /// This node forwarded since the last sample.
    forwarded: bool,
    second_of_day: u32,
    found: Vec<Finding>,
    suspects: Vec<Place>,
    out: Vec<Output>,
}

impl Detector {
    /// A detector that has seen nothing.
    pub fn new(settings: Settings, screens: Screens, now: Time) -> Self {
        Self {
            settings,
            screens,
            own: Own::new(now),
            peers: Peers::default(),
            live: Live::default(),
            acts: Acts::default(),
            baselines: Baselines::new(),
            teller: Teller::new(now),
            counts: Counts::default(),
            second: second_of(now),
            refreshed: now,
            sampled: now,
            forwarded: true,
            second_of_day: 0,
            found: Vec::new(),
            suspects: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Other screens are in force. What they do not look for ends; what was seen stays.
    pub fn screen(&mut self, screens: Screens, now: Time) {
        self.screens = screens;
        let (screens, mut out) = (&self.screens, core::mem::take(&mut self.out));
        let keep = |kind: &Kind, subject: &Subject| looks_for(screens, kind, subject);
        self.live.keep(keep, now, &mut self.acts, &mut out);
        self.acts.guards.keep(|destination| guards(screens, destination), &mut out);
        let exempt = |place: &Place| screens.of(place.zone).is_none_or(|it| it.exempts(place));
        self.acts.unblock(exempt, &mut out);
        self.out = out;
    }

    /// Takes what a worker has noted, and leaves its book empty, for the zones of the policy, and told of the
    /// destinations under a flood. A book under another seed is emptied only.
    pub fn take(&mut self, book: &mut Book, now: Time) {
        self.counts.noted += book.noted();
        self.counts.evicted += book.evicted();
        if book.seed() == self.settings.seed && book.noted() > 0 {
            self.merge(book, now);
            self.judge_scans(now);
        }
        book.clear();
        book.aggregate(self.screens.aggregation());
        book.mute(self.live.flooded());
    }

    /// Takes note of SYNs that the XDP program has answered in the place of a destination: no worker sees
    /// them, and the flood that they are goes on.
    pub fn answered(&mut self, destination: Place, syns: u64, now: Time) {
        let count = u32::try_from(syns).unwrap_or(u32::MAX);
        let mut tally = Tally::default();
        (tally.packets, tally.bytes) = (syns, syns.saturating_mul(SYN_BYTES));
        // As a worker's book has a SYN that was one too many.
        [Measure::Syn, Measure::Denied].into_iter().for_each(|measure| tally.set(measure, count));
        let hash = destination.hash(self.settings.seed);
        self.own.destinations.change(hash, &destination, |row| row.value.base.add(&tally, now));
        self.own.zone(destination.zone).add(&tally, now);
    }

    /// Takes what another node has told.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn hear(&mut self, message: &[u8], now: Time) -> Result<(), DigestError> {
        let read = digest::read(message, &self.settings, &mut self.peers, now);
        let heard = read.inspect_err(|_| self.counts.digests_refused += 1)?;
        self.counts.digests_taken += 1;
        for (source, until) in heard.blocks {
            let screen = self.screens.of(source.zone);
            if screen.is_some_and(|screen| !screen.exempts(&source)) {
                self.acts.heard(source, until, &mut self.out);
            }
        }
        for (destination, until) in heard.guards {
            if guards(&self.screens, &destination) {
                self.acts.guards.heard(destination, until, now, &mut self.out);
            }
        }
        Ok(())
    }

    /// Time passes; wanted ten times a second. `second_of_day` is the local time of day, which hours are
    /// learned by; `forwards` says whether this node forwards now.
    pub fn tick(&mut self, now: Time, second_of_day: u32, forwards: bool) -> Vec<Output> {
        self.second_of_day = second_of_day;
        self.forwarded &= forwards;
        if second_of(now) > self.second {
            self.second = second_of(now);
            self.judge_rates(now);
            if now.since(self.sampled) >= SAMPLE_EVERY {
                self.sample(now, forwards);
            }
            let mut out = core::mem::take(&mut self.out);
            self.live.second(now, &mut self.acts, &mut out);
            self.acts.expire(now, &mut out);
            self.out = out;
            self.own.turn_flows(now);
        }
        if now.since(self.refreshed) >= SAMPLE_EVERY {
            self.refreshed = now;
            self.refresh(now);
        }
        core::mem::take(&mut self.out)
    }

    /// The messages that are due for all other nodes; each fits a datagram.
    pub fn digests(&mut self, now: Time) -> Vec<Vec<u8>> {
        if !self.teller.is_due(now) {
            return Vec::new();
        }
        let learned = self.baselines.next_slot(self.teller.learned_after());
        let done = Done { blocks: self.acts.own_blocks(), guards: self.acts.guards.own() };
        let (own, screens) = (&mut self.own, &self.screens);
        let digests = self.teller.tell(&self.settings, own, screens, done, learned, now);
        self.counts.digests_made += digests.len() as u64;
        digests
    }

    /// The attacks that go on.
    pub fn attacks(&self) -> impl Iterator<Item = &Attack> {
        self.live.iter()
    }

    /// Blocked sources of all nodes, each with its end.
    pub fn blocks(&self) -> impl Iterator<Item = (&Place, Time)> {
        self.acts.blocks()
    }

    /// Lets sources through again; [`Self::tick`] says so.
    pub fn unblock(&mut self, gone: impl Fn(&Place) -> bool) {
        self.acts.unblock(gone, &mut self.out);
    }

    /// How far the learning of each scope is.
    pub fn learning(&self) -> Vec<Learning> {
        let others: Vec<_> = self.peers.iter().map(|peer| &peer.learned).collect();
        self.baselines.learning(self.second_of_day, &self.screens, &others)
    }

    /// What was done since the detector began.
    pub fn counts(&self) -> Counts {
        let (begun, blocks) = (self.live.begun.clone(), self.acts.begun);
        Counts { begun, blocks, digests_lost: self.peers.lost(), ..self.counts.clone() }
    }

    /// Rates that are held down now: of sources, to destinations, into zones.
    pub fn curbs(&self) -> usize {
        self.acts.rates()
    }

    /// Destinations whose SYNs are answered in their place now, by this node's judgement or another's.
    pub fn guarded(&self) -> usize {
        self.acts.guards.len()
    }

    /// Attacks that were not followed, blocks that found no room, scopes that found none.
    pub const fn beyond_limits(&self) -> [u64; 3] {
        [self.live.untold, self.acts.unblocked, self.baselines.crowded]
    }

    /// Forgets every row and attack, as `clear` does; blocks stay.
    pub fn clear(&mut self, now: Time) {
        self.own = Own::new(now);
        self.peers.clear();
        let mut out = core::mem::take(&mut self.out);
        self.live.keep(|_, _| false, now, &mut self.acts, &mut out);
        self.out = out;
    }

    fn merge(&mut self, book: &Book, now: Time) {
        let seed = self.settings.seed;
        self.suspects.clear();
        for row in book.sources.iter() {
            let at = generations(&self.screens, row.key.zone, now);
            let take = |own: &mut sketch::Row<_, SourceState>| own.value.take(&row.value, now, &at);
            self.own.sources.change(row.key.hash(seed), &row.key, take);
            if !row.value.hosts.is_empty() {
                self.suspects.push(row.key);
            }
        }
        for row in book.destinations.iter() {
            let at = generations(&self.screens, row.key.zone, now);
            let take =
                |own: &mut sketch::Row<_, DestinationState>| own.value.take(&row.value, now, &at);
            self.own.destinations.change(row.key.hash(seed), &row.key, take);
        }
        for row in book.pairs.iter() {
            let at = generations(&self.screens, row.key.source.zone, now);
            let take = |own: &mut sketch::Row<_, PairState>| own.value.take(&row.value, now, &at);
            self.own.pairs.change(row.key.hash(seed), &row.key, take);
        }
        for row in book.oddities.iter() {
            let take = |own: &mut sketch::Row<_, OddState>| own.value.take(&row.value, now);
            self.own.oddities.change(row.key.hash(seed), &row.key, take);
        }
        for row in book.flows.iter() {
            self.own.flows[0].bytes.add(row.key, row.value.bytes);
            self.own.flows[0].packets.add(row.key, row.value.packets);
        }
        self.merge_scopes(book, now);
    }

    fn merge_scopes(&mut self, book: &Book, now: Time) {
        let modelled = |zone| self.screens.of(zone).is_some_and(|it| it.screen.baseline.is_some());
        for (zone, row) in (0..=u8::MAX).zip(&book.zones()) {
            if row.weight() == 0 && row.tally == Tally::default() {
                continue;
            }
            self.own.zone(zone).add(&row.tally, now);
            if modelled(zone) {
                self.baselines.gather(Place::zone(zone), row);
            }
        }
        for row in book.scopes.iter().filter(|row| modelled(row.key.zone)) {
            self.baselines.gather(row.key, &row.value);
        }
    }

    fn judge_scans(&mut self, now: Time) {
        let mut found = core::mem::take(&mut self.found);
        let judge = self.judge(now);
        self.suspects.iter().for_each(|place| judge.scan(place, &mut found));
        self.follow(found, now);
    }

    fn judge_rates(&mut self, now: Time) {
        if !self.screens.is_empty() {
            let mut found = core::mem::take(&mut self.found);
            self.judge(now).rates(&mut found);
            self.follow(found, now);
        }
    }

    fn sample(&mut self, now: Time, forwards: bool) {
        self.sampled = now;
        if !core::mem::replace(&mut self.forwarded, forwards) {
            return self.baselines.forget_gathered();
        }
        let peers = &self.peers;
        let others = || peers.iter().map(|peer| &peer.learned).collect();
        let unusual = self.baselines.sample(self.second_of_day, &self.screens, others);
        let found = unusual.into_iter().map(|it| self.unusual(it)).collect();
        self.follow(found, now);
    }

    fn unusual(&self, of: Unusual) -> Finding {
        let place = of.scope;
        let subject =
            if place.is_zone() { Subject::Zone(place.zone) } else { Subject::Destination(place) };
        Finding {
            kind: Kind::Unusual(of.deviation.feature),
            subject,
            seen: of.deviation.seen.round() as u64,
            // The judgement is made: what is unusual in being little is told as well.
            threshold: 0,
            limit: 0,
            peers: 0,
            totals: super::attack::Totals::default(),
            part: super::attack::Totals::default(),
            response: config::Response::default(),
            target: None,
            teller: true,
            deviation: Some(of.deviation),
        }
    }

    fn follow(&mut self, mut found: Vec<Finding>, now: Time) {
        let mut out = core::mem::take(&mut self.out);
        for finding in found.drain(..) {
            self.live.found(finding, now, &mut self.acts, &mut out);
        }
        self.out = out;
        self.found = found;
    }

    fn judge(&self, now: Time) -> Judge<'_> {
        let Settings { node, boot: _, seed } = self.settings;
        let (own, peers, screens) = (&self.own, &self.peers, &self.screens);
        Judge { own, peers, screens, seed, node, now }
    }

    /// Once a minute: what is old makes room.
    fn refresh(&mut self, now: Time) {
        let screens = &self.screens;
        let at = |zone| generations(screens, zone, now);
        self.own.sources.change_all(|row| row.value.refresh(&at(row.key.zone)));
        self.own.destinations.change_all(|row| row.value.refresh());
        self.own.pairs.change_all(|row| row.value.refresh(&at(row.key.source.zone)));
        let longest = |zone| screens.of(zone).and_then(|it| it.screen.port_scan);
        let zones = 0..=u8::MAX;
        let life = zones.filter_map(longest).map(|scan| scan.slow_window).max();
        let life = life.unwrap_or(SAMPLE_EVERY);
        self.peers.iter_mut().for_each(|peer| peer.refresh(now, life));
    }
}

/// Whether a policy has SYNs to a destination answered in its place, if it is flooded.
fn guards(screens: &Screens, destination: &Place) -> bool {
    let syns = screens.of(destination.zone).and_then(|it| it.screen.syn_flood);
    syns.is_some_and(|syns| syns.response.action == config::Reaction::Proxy)
}

/// Whether a policy still has a detector of this kind for this subject.
fn looks_for(screens: &Screens, kind: &Kind, subject: &Subject) -> bool {
    let Some(of) = screens.of(subject.zone()) else { return false };
    let screen = &of.screen;
    let on = match kind {
        Kind::SynFlood => screen.syn_flood.is_some(),
        Kind::IcmpFlood => screen.icmp_flood.is_some(),
        Kind::UdpFlood => screen.udp_flood.is_some(),
        Kind::FragmentFlood => screen.fragment_flood.is_some(),
        Kind::PortScan(_) => screen.port_scan.is_some(),
        Kind::AddressSweep(_) => screen.address_sweep.is_some(),
        Kind::SessionLimit => screen.session_limit.is_some(),
        Kind::ConnectionRate => screen.connection_rate.is_some(),
        Kind::Odd(_) => screen.anomalies.is_some(),
        Kind::Unusual(_) => screen.baseline.is_some(),
    };
    on && subject.source().is_none_or(|source| !of.exempts(&source))
}

impl Own {
    pub(super) fn new(now: Time) -> Self {
        Self {
            sources: Rows::new(SCREEN_SOURCES),
            destinations: Rows::new(SCREEN_DESTINATIONS),
            pairs: Rows::new(SCREEN_PAIRS),
            oddities: Rows::new(SCREEN_ODDITIES),
            zones: Vec::new(),
            flows: [Flows::new(now), Flows::new(now)],
        }
    }

    fn zone(&mut self, zone: u8) -> &mut Base {
        if self.zones.len() <= usize::from(zone) {
            self.zones.resize(usize::from(zone) + 1, Base::default());
        }
        &mut self.zones[usize::from(zone)]
    }

    /// The heaviest flows of the last complete span, so many by bytes and by packets: each with packets and
    /// bytes a second.
    pub(super) fn flow_rates(&self, most: usize) -> Vec<(Flow, u64, u64)> {
        let [running, last] = &self.flows;
        let seconds = running.began.since(last.began).as_secs().max(1);
        let of = |table: &SpaceSaving<Flow>, flow: &Flow| {
            table.get(flow).map_or(0, |it| it.count / seconds)
        };
        let heaviest = |table: &SpaceSaving<Flow>| {
            table.heaviest().into_iter().take(most).map(|it| it.key).collect::<Vec<_>>()
        };
        let mut flows = [heaviest(&last.bytes), heaviest(&last.packets)].concat();
        flows.sort_unstable();
        flows.dedup();
        flows.into_iter().map(|it| (it, of(&last.packets, &it), of(&last.bytes, &it))).collect()
    }

    fn turn_flows(&mut self, now: Time) {
        if now.since(self.flows[0].began) >= TALKER_SPAN {
            self.flows.swap(0, 1);
            self.flows[0].clear(now);
        }
    }
}

impl Flows {
    fn new(began: Time) -> Self {
        let table = || SpaceSaving::new(TALKER_FLOWS);
        Self { began, bytes: table(), packets: table() }
    }

    fn clear(&mut self, now: Time) {
        self.began = now;
        self.bytes.clear();
        self.packets.clear();
    }
}
