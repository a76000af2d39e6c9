//! Paths between the nodes, and links, that fail while both nodes live.

use std::time::{Duration, Instant};

use cluster_core::limits::SWITCHOVER_REST;

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::{Node, Segment};
use crate::field::limits::{AGREEMENT, HEALING};
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, nothing_special};
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

pub(crate) const SPLIT: Scenario = Scenario {
    name: "split",
    about: "every path between the nodes is cut, then healed",
    bars: &[
        Bar::least("digests_agree", Of::Min, 1.0),
        Bar::most("heal_s", Of::Max, 10.0),
        Bar::none("restarts"),
    ],
    peer: false,
    wants: nothing_special,
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
    run.settle()?;
    let half = run.half_load()?;
    let plan = Plan { probes: false, ..half };
    let before = run.site.pair()?.ids();
    run.while_flowing(&plan, |run, _| {
        run.pause(BEFORE)?;
        run.strike(Fault::CutAll)?;
        run.pause(BROKEN)?;
        run.strike(Fault::Heal)?;
        let healed = Instant::now();
        let settled = run.site.pair()?.settle_within(HEALING);
        run.measured("heal_s", healed.elapsed().as_secs_f64());
        run.measured("one_active", f64::from(u8::from(settled.is_ok())));
        let agreed = run.await_agreement(AGREEMENT);
        run.measured("digests_agree", f64::from(u8::from(agreed.is_ok())));
        run.pause(AFTER)
    })?;
    let restarts = run.site.pair()?.ids() != before;
    run.measured("restarts", f64::from(u8::from(restarts)));
    Ok(())
}
