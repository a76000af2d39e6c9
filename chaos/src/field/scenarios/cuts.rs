//! Paths between the nodes, and links, that fail while both nodes live.

use std::time::{Duration, Instant};

use cluster_core::limits::SWITCHOVER_REST;

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::{Node, Segment};
use crate::field::limits::{AGREEMENT, HEALING};
use crate::field::mappings::Mappings;
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, masquerading, nothing_special};
use crate::field::traffic::Plan;

const BEFORE: Duration = Duration::from_millis(1_000);
/// Many detection times, and some of QUIC's.
const BROKEN: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(2);

pub(crate) const FABRIC_CUT: Scenario = Scenario {
    name: "fabric-cut",
    about: "the nodes do not hear each other on the fabric (by turns: its cable is pulled)",
    bars: &[
        Bar::none("takeovers"),
        Bar::none("tcp_broken"),
        Bar::none("young_dead"),
        Bar::none("overlap_ms"),
        Bar::none("overlap_frames"),
    ],
    peer: false,
    wants: nothing_special,
    run: |run| {
        let active = run.settle()?;
        let fault = match run.number % 3 {
            1 => Fault::Cut(Segment::Fabric),
            2 => Fault::Pull(Segment::Fabric, active),
            _ => Fault::Pull(Segment::Fabric, active.other()),
        };
        broken(run, fault)
    },
};

pub(crate) const LINK_CUT: Scenario = Scenario {
    name: "link-cut",
    about: "the cable of one data link is pulled: by turns each of both nodes",
    bars: &[
        Bar::most("takeovers", Of::Max, 1.0),
        Bar::none("tcp_broken"),
        Bar::none("young_dead"),
        Bar::none("overlap_ms"),
        Bar::none("overlap_frames"),
    ],
    peer: true,
    wants: nothing_special,
    run: |run| {
        // A link moves the ownership at most once in this time, whatever it does: its own fault, not that
        // of the run before, is what a run is to measure.
        if run.number > 1 {
            run.pause(SWITCHOVER_REST)?;
        }
        let active = run.settle()?;
        let fault = match run.number % 4 {
            1 => Fault::Pull(Segment::Lan, active),
            2 => Fault::Pull(Segment::Wan, active),
            3 => Fault::Pull(Segment::Lan, active.other()),
            _ => Fault::Pull(Segment::Wan, active.other()),
        };
        broken(run, fault)
    },
};

pub(crate) const ONE_WAY: Scenario = Scenario {
    name: "one-way",
    about: "nothing of one node reaches the other one (by turns: of the active, of the standby)",
    bars: &[
        Bar::none("overlap_ms"),
        Bar::none("overlap_frames"),
        Bar::none("tcp_broken"),
        Bar::none("young_dead"),
        Bar::most("takeovers", Of::Max, 1.0),
    ],
    peer: false,
    wants: nothing_special,
    run: |run| {
        let active = run.settle()?;
        let from: Node = if run.number % 2 == 1 { active } else { active.other() };
        broken(run, Fault::Deafen(from))
    },
};

/// Those of a firewall that translates last.
const SPLIT_BARS: &[Bar] = &[
    Bar::least("digests_agree", Of::Min, 1.0),
    Bar::most("heal_s", Of::Max, 10.0),
    Bar::none("restarts"),
    Bar::none("mappings_twice"),
    Bar::none("mappings_changed"),
    Bar::none("mappings_unlike"),
    Bar::least("mappings", Of::Min, 1_000.0),
    Bar::least("mappings_apart", Of::Min, 100.0),
];

/// Bars without those of mappings.
const UNTRANSLATED: usize = 3;

pub(crate) const SPLIT: Scenario = Scenario {
    name: "split",
    about: "every path between the nodes is cut, then healed",
    bars: SPLIT_BARS.split_at(UNTRANSLATED).0,
    peer: false,
    wants: nothing_special,
    run: split,
};

pub(crate) const NAT_SPLIT: Scenario = Scenario {
    name: "nat-split",
    about: "as split, with all clients behind the address that moves",
    bars: SPLIT_BARS,
    peer: false,
    wants: masquerading,
    run: split,
};

fn broken(run: &mut Run<'_>, fault: Fault) -> Result<(), Failure> {
    let half = run.half_load()?;
    let plan = Plan { probes: false, ..half };
    run.while_flowing(&plan, |run, _| {
        run.pause(BEFORE)?;
        run.strike(fault)?;
        run.pause(run.outlast(BROKEN))?;
        run.strike(Fault::Heal)?;
        run.pause(AFTER)
    })
}

/// One yields, the tables agree again, and no daemon was restarted: its process is the same.
fn split(run: &mut Run<'_>) -> Result<(), Failure> {
    let active = run.settle()?;
    let half = run.half_load()?;
    let plan = Plan { probes: false, ..half };
    let ids = run.site.pair()?.ids();
    run.while_flowing(&plan, |run, _| {
        run.pause(BEFORE)?;
        let before = Mappings::read(&run.site.pair()?.api(active))?;
        run.strike(Fault::CutAll)?;
        run.pause(BROKEN)?;
        let apart = mappings(run)?;
        run.strike(Fault::Heal)?;
        let healed = Instant::now();
        let settled = run.site.pair()?.settle_within(HEALING);
        run.measured("heal_s", healed.elapsed().as_secs_f64());
        run.measured("one_active", f64::from(u8::from(settled.is_ok())));
        let agreed = run.await_agreement(AGREEMENT);
        run.measured("digests_agree", f64::from(u8::from(agreed.is_ok())));
        let after = mappings(run)?;
        compare(run, &before, [&apart, &after]);
        run.pause(AFTER)
    })?;
    let restarts = run.site.pair()?.ids() != ids;
    run.measured("restarts", f64::from(u8::from(restarts)));
    Ok(())
}

/// What both nodes know at one moment: that between the first look at the second and the second look at the
/// first.
fn mappings(run: &mut Run<'_>) -> Result<[Mappings; 2], Failure> {
    let pair = run.site.pair()?;
    let looks = || Node::BOTH.map(|node| Mappings::read(&pair.api(node)));
    let ([one, other], [one_later, other_later]) = (looks(), looks());
    Ok([one?.still(&one_later?), other?.still(&other_later?)])
}

/// Before the cut, while both are apart, and when they agree again: a port is given to one flow alone, and
/// none that lives on gets another.
fn compare(run: &mut Run<'_>, before: &Mappings, both: [&[Mappings; 2]; 2]) {
    let (mut twice, mut changed) = (0, 0);
    for [one, other] in both {
        twice += before.twice([one, other]);
        changed += before.unlike(one) + before.unlike(other);
    }
    let [apart, after] = both;
    let unlike = after[0].unlike(&after[1]);
    let figures = [
        ("mappings", before.len()),
        ("mappings_twice", twice),
        ("mappings_changed", changed),
        ("mappings_unlike", unlike),
        ("mappings_apart", apart[0].beyond(&apart[1]) + apart[1].beyond(&apart[0])),
    ];
    figures.into_iter().for_each(|(name, count)| run.measured(name, count as f64));
}
