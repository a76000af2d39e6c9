//! Which rows are told, and when: the most suspicious of those with news, as far as there is room.

use sketch::limits::ROW_REGISTERS;
use sketch::{Distinct, Key as _, Moments, Noted as _, Place};
use wire::Time;

use super::super::judge::generations;
use super::super::state::{Base, DestinationState, PairState, SourceState, second_of};
use super::*;
use crate::limits::{DIGEST_EVERY, DIGESTS_AT_ONCE, TALKER_FLOWS_TOLD, TALKER_SECONDS};

/// Rows with the most traffic that are told whether or not they are suspicious: they may be top talkers.
const TALKERS_TOLD: usize = 32;

/// What is told, and how far it has come.
pub(in crate::screen) struct Teller {
    last: Time,
    number: u64,
    /// The slot of a baseline that was told last.
    learned: Option<(Place, u8)>,
    /// When the span of flows ended that was told last.
    span: Time,
}

/// What this node does by its own judgement: sources that it blocks, each with its end, and destinations that
/// it guards.
pub(in crate::screen) struct Done<B, G> {
    pub(in crate::screen) blocks: B,
    pub(in crate::screen) guards: G,
}

/// Messages that are made one after the other.
struct Messages<'a> {
    settings: &'a Settings,
    number: &'a mut u64,
    done: Vec<Vec<u8>>,
    open: Option<Message>,
    body: Vec<u8>,
}

/// A row that has something to say, by how much it matters.
struct Candidate<K> {
    key: K,
    rank: u16,
    packets: f64,
}

impl Teller {
    pub(in crate::screen) const fn new(now: Time) -> Self {
        Self { last: now, number: 0, learned: None, span: now }
    }

    pub(in crate::screen) fn is_due(&self, now: Time) -> bool {
        now.since(self.last) >= DIGEST_EVERY
    }

    pub(in crate::screen) const fn learned_after(&self) -> Option<(Place, u8)> {
        self.learned
    }

    pub(in crate::screen) fn tell<'a>(
        &mut self,
        settings: &Settings,
        own: &mut Own,
        screens: &Screens,
        done: Done<impl Iterator<Item = (&'a Place, Time)>, impl Iterator<Item = &'a Place>>,
        learned: Option<(Place, u8, [Moments; Feature::COUNT])>,
        now: Time,
    ) -> Vec<Vec<u8>> {
        self.last = now;
        let Done { blocks, guards } = done;
        let (done, open, body) = (Vec::new(), None, Vec::new());
        let mut messages = Messages { settings, number: &mut self.number, done, open, body };
        // Guards first: there are few, and of blocks there may be more than leave at once.
        guards.for_each(|destination| messages.guard(destination));
        for (source, until) in blocks {
            messages.block(source, until, now);
        }
        if let Some((scope, hour, slot)) = learned {
            self.learned = Some((scope, hour));
            messages.learned(&scope, hour, &slot);
        }
        // Sources first: a scan must not wait for the floods that hide it.
        sources(own, screens, &mut messages, now);
        destinations(own, screens, &mut messages, now);
        zones(own, &mut messages, now);
        pairs(own, screens, &mut messages, now);
        let span = own.flows[0].began;
        if core::mem::replace(&mut self.span, span) != span {
            own.flow_rates(TALKER_FLOWS_TOLD).iter().for_each(|flow| messages.flow(span, flow));
        }
        messages.finish()
    }
}

impl Messages<'_> {
    /// Appends an item, in another message if need be. False: no more messages may leave now.
    fn push(&mut self, kind: u8) -> bool {
        loop {
            if self.open.is_none() {
                if self.done.len() >= DIGESTS_AT_ONCE {
                    return false;
                }
                *self.number += 1;
                self.open = Some(Message::new(self.settings, *self.number));
            }
            let open = self.open.as_mut().expect("it was just opened");
            if open.push(kind, &self.body) {
                return true;
            }
            if open.items == 0 {
                // An item that fits no message: none is that long, and none may stop the others.
                return true;
            }
            self.done.extend(self.open.take().map(Message::finish));
        }
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        self.done.extend(self.open.take().map(Message::finish));
        self.done
    }

    fn block(&mut self, source: &Place, until: Time, now: Time) {
        let left = until.since(now).as_millis();
        self.body.clear();
        source.store(&mut self.body);
        self.body.extend(u32::try_from(left).unwrap_or(u32::MAX).to_be_bytes());
        self.push(BLOCK);
    }

    fn guard(&mut self, destination: &Place) {
        let left = GUARD_TOLD_LIFE.as_millis() as u32;
        self.body.clear();
        destination.store(&mut self.body);
        self.body.extend(left.to_be_bytes());
        self.push(GUARD);
    }

    fn learned(&mut self, scope: &Place, hour: u8, slot: &[Moments]) {
        self.body.clear();
        scope.store(&mut self.body);
        self.body.push(hour);
        slot.iter().for_each(|moments| moments.encode(&mut self.body));
        self.push(LEARNED);
    }

    fn flow(&mut self, span: Time, (flow, packets, bytes): &(Flow, u64, u64)) {
        self.body.clear();
        flow.store(&mut self.body);
        [second_of(span), *packets, *bytes]
            .into_iter()
            .for_each(|it| put_count(it, &mut self.body));
        self.push(FLOW);
    }

    fn figures(&mut self, base: &Base, now: Time) {
        let second = second_of(now);
        let (rates, average) = (base.rates.last(second), base.rates.average(second));
        put_figures(&base.sums, &rates, &average, &mut self.body);
    }
}

/// Those with news: the most suspicious first, then those with the most traffic.
fn choose<K: Copy>(mut all: Vec<Candidate<K>>, suspicious: u16) -> Vec<K> {
    all.sort_by(|a, b| b.rank.cmp(&a.rank).then(b.packets.total_cmp(&a.packets)));
    let split = all.partition_point(|it| it.rank >= suspicious);
    let mut rest = all.split_off(split);
    rest.sort_by(|a, b| b.packets.total_cmp(&a.packets));
    rest.truncate(TALKERS_TOLD);
    all.into_iter().chain(rest).map(|it| it.key).collect()
}

fn candidate<K>(key: K, rank: u16, base: &Base, now: Time) -> Option<Candidate<K>> {
    let packets = base.rates.average(second_of(now)).packets;
    base.untold.then_some(Candidate { key, rank, packets })
}

fn sources(own: &mut Own, screens: &Screens, messages: &mut Messages<'_>, now: Time) {
    let seed = messages.settings.seed;
    let rank = |state: &SourceState| {
        // One failure alone may be a part of a scan that others see the rest of.
        let failed = state.base.sums.sum(Measure::FAILED) > 0;
        if failed { state.rank().max(1) } else { 0 }
    };
    let all = own.sources.iter();
    let all =
        all.filter_map(|it| candidate(it.key, rank(&it.value), &it.value.base, now)).collect();
    for place in choose(all, 1) {
        let at = generations(screens, place.zone, now);
        let told = own.sources.change_known(place.hash(seed), &place, |row| {
            let state = &mut row.value;
            messages.body.clear();
            place.store(&mut messages.body);
            messages.figures(&state.base, now);
            let sets = [
                state.ports.all(at.ports),
                state.hosts.all(at.hosts),
                state.slow_ports.all(at.slow_ports),
                state.slow_hosts.all(at.slow_hosts),
            ];
            sets.iter().for_each(|set| set.encode(&mut messages.body));
            let told = messages.push(SOURCE);
            if told {
                state.base.told(now);
            }
            told
        });
        if told == Some(false) {
            return;
        }
    }
}

fn destinations(own: &mut Own, screens: &Screens, messages: &mut Messages<'_>, now: Time) {
    let seed = messages.settings.seed;
    let second = second_of(now);
    let rank = |state: &DestinationState| {
        let rates = state.base.rates.last(second);
        let measures = [Measure::Syn, Measure::Udp, Measure::Icmp, Measure::Fragment, Measure::Odd];
        let most = measures.iter().map(|measure| rates.of(*measure)).max().unwrap_or(0);
        most.min(u32::from(u16::MAX)) as u16
    };
    let all = own.destinations.iter();
    let all =
        all.filter_map(|it| candidate(it.key, rank(&it.value), &it.value.base, now)).collect();
    for place in choose(all, BUSY) {
        let at = generations(screens, place.zone, now);
        let told = own.destinations.change_known(place.hash(seed), &place, |row| {
            let state = &mut row.value;
            messages.body.clear();
            place.store(&mut messages.body);
            messages.figures(&state.base, now);
            let sets = [state.ports.all(at.ports), state.peers.all(at.hosts)];
            sets.iter().for_each(|set| set.encode(&mut messages.body));
            let told = messages.push(DESTINATION);
            if told {
                state.base.told(now);
            }
            told
        });
        if told == Some(false) {
            return;
        }
    }
}

/// First packets a second that make a destination worth telling: an eighth of a small threshold.
const BUSY: u16 = 8;

fn zones(own: &mut Own, messages: &mut Messages<'_>, now: Time) {
    for (zone, base) in (0..=u8::MAX).zip(&mut own.zones) {
        if base.untold {
            messages.body.clear();
            Place::zone(zone).store(&mut messages.body);
            messages.figures(base, now);
            let none = Distinct::<{ ROW_REGISTERS }>::new();
            (0..2).for_each(|_| none.encode(&mut messages.body));
            if messages.push(DESTINATION) {
                base.told(now);
            }
        }
    }
}

fn pairs(own: &mut Own, screens: &Screens, messages: &mut Messages<'_>, now: Time) {
    let seed = messages.settings.seed;
    let rank = |state: &PairState| {
        let anomalies = state.base.sums.sum(Measure::ANOMALIES) > u64::from(TALKER_SECONDS);
        if anomalies { state.rank() } else { 0 }
    };
    let all = own.pairs.iter();
    let all =
        all.filter_map(|it| candidate(it.key, rank(&it.value), &it.value.base, now)).collect();
    for pair in choose(all, u16::MAX) {
        let at = generations(screens, pair.source.zone, now);
        let told = own.pairs.change_known(pair.hash(seed), &pair, |row| {
            let state = &mut row.value;
            messages.body.clear();
            pair.store(&mut messages.body);
            messages.figures(&state.base, now);
            state.ports.all(at.ports).encode(&mut messages.body);
            let told = messages.push(PAIR);
            if told {
                state.base.told(now);
            }
            told
        });
        if told == Some(false) {
            return;
        }
    }
}
