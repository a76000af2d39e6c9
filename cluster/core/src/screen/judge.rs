//! Rows against thresholds: what is found, before anybody is told.

use config::{Flood, Response, Scan, Screen};
use sketch::{Key as _, Measure, Place, Seed, Tally};
use wire::Time;

use super::attack::{Kind, Subject, Totals, Transport};
use super::baseline::Deviation;
use super::detector::Own;
use super::peers::Peers;
use super::screens::{Screens, ZoneScreen};
use super::state::{Generations, SourceState, Sums, second_of, with};
use super::window::{Set, generation};
use crate::NodeId;
use crate::limits::SCAN_QUIET;

/// Something at or above half of a threshold, or a scan at or above it.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) subject: Subject,
    pub(super) seen: u64,
    pub(super) threshold: u64,
    /// What passes under `drop`.
    pub(super) limit: u64,
    pub(super) peers: u64,
    pub(super) totals: Totals,
    /// What of the totals belongs to it, if it begins now.
    pub(super) part: Totals,
    pub(super) response: Response,
    /// Of scans and odd packets: who suffers, for the case that it is told in the place of the sources.
    pub(super) target: Option<Target>,
    pub(super) teller: bool,
    pub(super) deviation: Option<Deviation>,
}

/// A destination that several sources have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) totals: Totals,
    pub(super) peers: u64,
}

/// Different ports, or hosts, that a source failed at.
struct Scanned {
    /// Within the book that was read last: a tenth of a second.
    at_once: u64,
    fast: u64,
    slow: u64,
}

impl Scanned {
    /// How many are at or above which threshold.
    fn above(&self, scan: &Scan) -> Option<(u64, u32)> {
        let known = [
            (self.fast, scan.threshold),
            (self.at_once, scan.burst_threshold),
            (self.slow, scan.slow_threshold),
        ];
        known.into_iter().find(|(seen, threshold)| *seen >= u64::from(*threshold))
    }
}

/// All that is known, for the length of one judgement.
pub(super) struct Judge<'a> {
    pub(super) own: &'a Own,
    pub(super) peers: &'a Peers,
    pub(super) screens: &'a Screens,
    pub(super) seed: Seed,
    pub(super) node: NodeId,
    pub(super) now: Time,
}

/// Takes what one other node told: its rates, if they are news, whether its sets are, its sums.
type Each<'a> = dyn FnMut(NodeId, Option<&Tally>, bool, &Sums) + 'a;

/// A subject's sums and last second, of all nodes.
struct Joint {
    rates: Tally,
    sums: Sums,
    lowest: NodeId,
}

impl Judge<'_> {
    /// Rates of the second that has just ended.
    pub(super) fn rates(&self, found: &mut Vec<Finding>) {
        for row in self.own.sources.iter() {
            if let Some(screen) = self.screens.of(row.key.zone)
                && !screen.exempts(&row.key)
            {
                self.source(screen, &row.key, &row.value, found);
            }
        }
        for row in self.own.destinations.iter() {
            if let Some(screen) = self.screens.of(row.key.zone) {
                self.destination(&screen.screen, &row.key, found);
            }
        }
        self.pairs(found);
        self.zones(found);
        self.oddities(found);
    }

    fn source(
        &self,
        of: &ZoneScreen,
        place: &Place,
        state: &SourceState,
        found: &mut Vec<Finding>,
    ) {
        let screen = &of.screen;
        let joint =
            self.join(&state.base.rates.last(second_of(self.now)), &state.base.sums, |each| {
                self.peers.source(self.seed, place).for_each(|(node, told)| {
                    each(node, told.rates(self.now), false, &told.sums);
                });
            });
        let subject = Subject::Source(*place);
        let peers = || state.hosts.all(self.generations(place.zone).hosts).count();
        if let Some(syn) = screen.syn_flood {
            let rate = Rate::of(&joint, Measure::Syn, syn.source, &syn.response);
            rate.find(Kind::SynFlood, subject, &peers, self.node, found);
        }
        if let Some(limit) = screen.connection_rate {
            let rate = Rate::of(&joint, Measure::Completed, limit.threshold, &limit.response);
            rate.find(Kind::ConnectionRate, subject, &peers, self.node, found);
        }
        if let Some((limit, response)) = limit_of(screen, |it| it.source) {
            let open = Rate {
                seen: joint.sums.open(),
                ..Rate::of(&joint, Measure::Opened, limit, &response)
            };
            open.find(Kind::SessionLimit, subject, &peers, self.node, found);
        }
    }

    fn destination(&self, screen: &Screen, place: &Place, found: &mut Vec<Finding>) {
        let joint = self.joint_destination(place);
        let peers = || self.peers_of(place);
        let subject = Subject::Destination(*place);
        if let Some(syn) = screen.syn_flood {
            let rate = Rate::of(&joint, Measure::Syn, syn.alarm, &syn.response);
            let rate = Rate { limit: syn.destination.into(), ..rate };
            rate.find(Kind::SynFlood, subject, &peers, self.node, found);
        }
        let floods: [(Kind, Measure, Option<Flood>); 3] = [
            (Kind::IcmpFlood, Measure::Icmp, screen.icmp_flood),
            (Kind::UdpFlood, Measure::Udp, screen.udp_flood),
            (Kind::FragmentFlood, Measure::Fragment, screen.fragment_flood),
        ];
        for (kind, measure, flood) in floods {
            if let Some(flood) = flood {
                let rate = Rate::of(&joint, measure, flood.threshold, &flood.response);
                rate.find(kind, subject, &peers, self.node, found);
            }
        }
        if let Some((limit, response)) = limit_of(screen, |it| it.destination) {
            let open = Rate {
                seen: joint.sums.open(),
                ..Rate::of(&joint, Measure::Opened, limit, &response)
            };
            open.find(Kind::SessionLimit, subject, &peers, self.node, found);
        }
    }

    fn pairs(&self, found: &mut Vec<Finding>) {
        for row in self.own.pairs.iter() {
            let Some(of) = self.screens.of(row.key.source.zone) else { continue };
            let Some((limit, response)) = limit_of(&of.screen, |it| it.pair) else { continue };
            if of.exempts(&row.key.source) {
                continue;
            }
            let joint =
                Joint { rates: Tally::default(), sums: row.value.base.sums, lowest: self.node };
            let open = Rate {
                seen: joint.sums.open(),
                ..Rate::of(&joint, Measure::Opened, limit, &response)
            };
            open.find(Kind::SessionLimit, Subject::Pair(row.key), &|| 1, self.node, found);
        }
    }

    fn zones(&self, found: &mut Vec<Finding>) {
        for (zone, base) in (0..=u8::MAX).zip(&self.own.zones) {
            let Some(syn) = self.screens.of(zone).and_then(|it| it.screen.syn_flood) else {
                continue;
            };
            let Some(threshold) = syn.zone else { continue };
            let place = Place::zone(zone);
            let joint = self.join(&base.rates.last(second_of(self.now)), &base.sums, |each| {
                self.peers.destination(self.seed, &place).for_each(|(node, told)| {
                    each(node, told.rates(self.now), false, &told.sums);
                });
            });
            let rate = Rate::of(&joint, Measure::Syn, threshold, &syn.response);
            rate.find(Kind::SynFlood, Subject::Zone(zone), &|| 0, self.node, found);
        }
    }

    fn oddities(&self, found: &mut Vec<Finding>) {
        for row in self.own.oddities.iter() {
            let pair = row.key.pair;
            let Some(of) = self.screens.of(pair.source.zone) else { continue };
            let Some(anomalies) = of.screen.anomalies else { continue };
            let seen = row.value.last(second_of(self.now));
            if seen < u64::from(anomalies.threshold) || of.exempts(&pair.source) {
                continue;
            }
            let anomalies_seen = row.value.packets;
            let totals =
                Totals { anomalies: anomalies_seen, packets: anomalies_seen, ..Totals::default() };
            found.push(Finding {
                kind: Kind::Odd(row.key.oddity),
                subject: Subject::Pair(pair),
                seen,
                threshold: anomalies.threshold.into(),
                limit: 0,
                peers: 1,
                totals,
                part: totals,
                response: anomalies.response,
                target: Some(self.target(pair.destination)),
                teller: true,
                deviation: None,
            });
        }
    }

    /// Whether a source that has just failed scans: ports or hosts, at once, fast or slowly.
    pub(super) fn scan(&self, place: &Place, found: &mut Vec<Finding>) {
        let Some(of) = self.screens.of(place.zone).filter(|it| !it.exempts(place)) else { return };
        let Some(row) = self.own.sources.get(place.hash(self.seed), place) else { return };
        let at = self.generations(place.zone);
        let state = &row.value;
        let told = || self.peers.source(self.seed, place).map(|(_, told)| told);
        if let Some(scan) = of.screen.port_scan {
            let fast = told().filter_map(|it| Some(it.within(self.now, scan.window)?.ports));
            let slow =
                told().filter_map(|it| Some(it.within(self.now, scan.slow_window)?.slow_ports));
            let fast = with(state.ports.all(at.ports), fast);
            let slow = with(state.slow_ports.all(at.slow_ports), slow);
            let seen =
                Scanned { at_once: state.at_once()[0], fast: fast.count(), slow: slow.count() };
            self.push_scan(Kind::PortScan, &scan, place, &seen, found);
        }
        if let Some(scan) = of.screen.address_sweep {
            let fast = told().filter_map(|it| Some(it.within(self.now, scan.window)?.hosts));
            let slow =
                told().filter_map(|it| Some(it.within(self.now, scan.slow_window)?.slow_hosts));
            let fast = with(state.hosts.all(at.hosts), fast);
            let slow = with(state.slow_hosts.all(at.slow_hosts), slow);
            let seen =
                Scanned { at_once: state.at_once()[1], fast: fast.count(), slow: slow.count() };
            self.push_scan(Kind::AddressSweep, &scan, place, &seen, found);
        }
    }

    fn push_scan(
        &self,
        kind: fn(Transport) -> Kind,
        scan: &Scan,
        place: &Place,
        scanned: &Scanned,
        found: &mut Vec<Finding>,
    ) {
        let Some((seen, threshold)) = scanned.above(scan) else { return };
        let Some(row) = self.own.sources.get(place.hash(self.seed), place) else { return };
        let joint = self.join(&Tally::default(), &row.value.base.sums, |each| {
            let told = self.peers.source(self.seed, place);
            told.for_each(|(node, told)| {
                let news = told.within(self.now, scan.slow_window).is_some();
                each(node, None, news, &told.sums);
            });
        });
        let hosts = row.value.slow_hosts.all(self.generations(place.zone).slow_hosts).count();
        // A sweep has no one host that could be told in the place of its source.
        let target = (hosts == 1).then(|| self.target(row.value.target));
        found.push(Finding {
            kind: kind(transport(&joint.sums)),
            subject: Subject::Source(*place),
            seen,
            threshold: threshold.into(),
            limit: 0,
            peers: hosts,
            totals: joint.sums.totals(),
            part: joint.sums.totals(),
            response: scan.response,
            target,
            teller: joint.lowest == self.node,
            deviation: None,
        });
    }

    fn target(&self, place: Place) -> Target {
        let totals = self.joint_destination(&place).sums.totals();
        Target { place, totals, peers: self.peers_of(&place) }
    }

    /// A destination's sums and rates of all nodes.
    fn joint_destination(&self, place: &Place) -> Joint {
        let row = self.own.destinations.get(place.hash(self.seed), place);
        let (rates, sums) = row.map_or_else(Default::default, |row| {
            let base = &row.value.base;
            (base.rates.last(second_of(self.now)), base.sums)
        });
        self.join(&rates, &sums, |each| {
            self.peers.destination(self.seed, place).for_each(|(node, told)| {
                each(node, told.rates(self.now), false, &told.sums);
            });
        })
    }

    /// Different sources that came to a destination lately.
    fn peers_of(&self, place: &Place) -> u64 {
        let row = self.own.destinations.get(place.hash(self.seed), place);
        let at = self.generations(place.zone).hosts;
        let own = row.map_or_else(Set::new, |row| row.value.peers.all(at));
        let told = self.peers.destination(self.seed, place);
        with(own, told.filter_map(|(_, it)| Some(it.within(self.now, SCAN_QUIET)?.peers))).count()
    }

    /// Adds up what this node and each other one know.
    fn join(&self, rates: &Tally, sums: &Sums, others: impl FnOnce(&mut Each<'_>)) -> Joint {
        let mut joint = Joint { rates: *rates, sums: *sums, lowest: self.node };
        others(&mut |node, rates, news, sums| {
            if let Some(rates) = rates {
                joint.rates.merge(rates);
            }
            if rates.is_some() || news {
                joint.lowest = joint.lowest.min(node);
            }
            joint.sums.merge(sums);
        });
        joint
    }

    pub(super) fn generations(&self, zone: u8) -> Generations {
        generations(self.screens, zone, self.now)
    }
}

/// The windows of a zone, those of its screen or the usual ones.
pub(super) fn generations(screens: &Screens, zone: u8, now: Time) -> Generations {
    let defaults = Screen::of_zone(0);
    let screen = screens.of(zone).map(|it| &it.screen);
    let of = |scan: fn(&Screen) -> Option<Scan>| {
        screen.and_then(scan).or(scan(&defaults)).expect("the defaults have both")
    };
    let (ports, hosts) = (of(|it| it.port_scan), of(|it| it.address_sweep));
    Generations {
        ports: generation(now, ports.window),
        hosts: generation(now, hosts.window),
        slow_ports: generation(now, ports.slow_window),
        slow_hosts: generation(now, hosts.slow_window),
    }
}

fn limit_of(
    screen: &Screen,
    of: fn(&config::SessionLimit) -> Option<u32>,
) -> Option<(u32, Response)> {
    let limit = screen.session_limit.as_ref()?;
    Some((of(limit)?, limit.response))
}

/// What most of the failures were.
fn transport(sums: &Sums) -> Transport {
    let of = [
        (sums.of(Measure::FailedTcp), Transport::Tcp),
        (sums.of(Measure::FailedUdp), Transport::Udp),
        (sums.of(Measure::FailedOther), Transport::Icmp),
    ];
    let most = of.into_iter().rev().max_by_key(|(count, _)| *count);
    most.map_or(Transport::Tcp, |(_, transport)| transport)
}

/// Something a second, or at once, beside its threshold.
struct Rate {
    seen: u64,
    threshold: u64,
    limit: u64,
    totals: Totals,
    part: Totals,
    response: Response,
    lowest: NodeId,
}

impl Rate {
    fn of(joint: &Joint, measure: Measure, threshold: u32, response: &Response) -> Self {
        Self {
            seen: joint.rates.of(measure).into(),
            threshold: threshold.into(),
            limit: threshold.into(),
            totals: joint.sums.totals(),
            part: Sums::totals_of(&joint.rates),
            response: *response,
            lowest: joint.lowest,
        }
    }

    fn find(
        self,
        kind: Kind,
        subject: Subject,
        peers: &dyn Fn() -> u64,
        node: NodeId,
        found: &mut Vec<Finding>,
    ) {
        if self.seen * 2 >= self.threshold && self.seen > 0 {
            let Self { seen, threshold, limit, totals, part, response, lowest } = self;
            found.push(Finding {
                kind,
                subject,
                seen,
                threshold,
                limit,
                peers: peers(),
                totals,
                part,
                response,
                target: None,
                teller: lowest == node,
                deviation: None,
            });
        }
    }
}
