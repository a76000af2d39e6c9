//! Files and calls through gateways, when the active node dies or hands over: what was announced comes.

use std::net::IpAddr;
use std::time::Duration;

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::{Node, SERVER, SERVER_OTHER};
use crate::field::limits::TAKEN_OVER;
use crate::field::pair::GATEWAYS;
use crate::field::run::{Run, Settings};
use crate::field::scenario::{Bar, Of, Scenario};
use crate::field::site::Wants;
use crate::field::traffic::{Plan, Side, StreamPlan};

/// Traffic before the fault: some announcements of each control channel that goes on making them.
const BEFORE: Duration = Duration::from_millis(1_200);
/// Traffic after what was announced before is used: a SYN that was lost is sent again.
const AFTER: Duration = Duration::from_millis(2_500);

/// First those of a death alone, last those of a handover alone; between them what both must hold.
const BARS: &[Bar] = &[
    Bar::most("gap_ms", Of::Median, 100.0),
    Bar::most("gap_ms", Of::Max, 200.0),
    // A packet's time more.
    Bar::most("media_gap_ms", Of::Median, 120.0),
    Bar::most("media_gap_ms", Of::Max, 220.0),
    Bar::none("media_lost_outside"),
    Bar::none("transfers_broken"),
    Bar::least("transfers", Of::Min, 16.0),
    Bar::none("announced_lost"),
    Bar::least("announced_used", Of::Min, 16.0),
    Bar::none("cycles_failed"),
    Bar::least("cycles_after", Of::Min, 40.0),
    Bar::none("controls_broken"),
    Bar::least("controls", Of::Min, 52.0),
    Bar::none("calls_lost"),
    Bar::least("calls", Of::Min, 6.0),
    Bar::least("calls_begun_after", Of::Min, 6.0),
    Bar::none("uninvited"),
    Bar::least("uninvited_tried", Of::Min, 32.0),
    Bar::none("tcp_broken"),
    Bar::none("young_dead"),
    Bar::none("overlap_ms"),
    Bar::none("overlap_frames"),
    Bar::most("takeovers", Of::Max, 1.0),
    Bar::least("takeovers", Of::Min, 1.0),
    Bar::none("lost"),
    Bar::none("media_lost"),
    Bar::none("tcp_reset"),
];

/// How many bars only a death has.
const SUDDEN: usize = 5;

/// Where the bars of a handover alone begin.
const UNHURRIED: usize = BARS.len() - 3;

pub(crate) const CRASH: Scenario = Scenario {
    name: "alg-crash",
    about: "as crash, with transfers, calls, and announcements that are used after it",
    bars: BARS.split_at(UNHURRIED).0,
    peer: false,
    wants,
    run: |run| through(run, Fault::Kill),
};

pub(crate) const SWITCHOVER: Scenario = Scenario {
    name: "alg-switchover",
    about: "the same with `cluster failover`",
    bars: BARS.split_at(SUDDEN).1,
    peer: false,
    wants,
    run: |run| through(run, Fault::Switchover),
};

fn wants(_: &Settings) -> Wants {
    Wants { policy: GATEWAYS, ..Wants::default() }
}

/// The fault comes when transfers and calls are under way, and others announced.
fn through(run: &mut Run<'_>, fault: fn(Node) -> Fault) -> Result<(), Failure> {
    let active = run.settle()?;
    let streams = [Side::Client, Side::Server].map(|from| StreamPlan { per_second: 1_000, from });
    let plan = Plan {
        streams: streams.to_vec(),
        slow: 100,
        young_per_second: 50,
        gateways: [SERVER, SERVER_OTHER].map(IpAddr::V4).to_vec(),
        ..Plan::default()
    };
    run.while_flowing(&plan, |run, traffic| {
        run.pause(BEFORE)?;
        run.strike(fault(active))?;
        run.pause(TAKEN_OVER)?;
        traffic.use_announced();
        run.pause(AFTER)
    })
}
