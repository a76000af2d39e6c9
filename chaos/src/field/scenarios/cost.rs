//! What replication costs the active node, and what a first packet waits for.

use std::time::Duration;

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::{Node, Segment};
use crate::field::limits::RESYNC;
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, nothing_special};
use crate::field::traffic::{Plan, Side, StreamPlan};

/// One stretch of measuring.
const STRETCH: Duration = Duration::from_secs(3);
/// Traffic settles after something was started or stopped.
const SETTLE: Duration = Duration::from_millis(500);
/// Stretches with, and as many without, by turns.
const TURNS: u32 = 3;

pub(crate) const COST: Scenario = Scenario {
    name: "cost",
    about: "CPU a packet of the active node with and without a standby; how long first packets wait",
    bars: &[
        Bar::most("replication_cpu_ratio", Of::Median, 1.1),
        Bar::most("hold_p99_us", Of::Max, 2_000.0),
        Bar::none("takeovers"),
    ],
    peer: false,
    wants: nothing_special,
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    // Counts of holds begin with the daemon: those of earlier runs are not of this load.
    let site = &mut *run.site;
    Node::BOTH.iter().try_for_each(|node| site.firewalls.stop(&site.lab, *node))?;
    let active = run.settle()?;
    holds(run, active)?;
    established(run, active)
}

/// New connections within half of the capacity.
fn holds(run: &mut Run<'_>, active: Node) -> Result<(), Failure> {
    let half = run.half_load()?;
    let plan = Plan { probes: false, ..half };
    run.while_flowing(&plan, |run, _| run.pause(STRETCH * 2))?;
    let view = run.site.pair()?.api(active).cluster()?;
    let streams = || view.streams.iter();
    let worst = |it: Vec<Option<u64>>| it.into_iter().flatten().max();
    let figures = [
        ("hold_p50_us", worst(streams().map(|it| it.hold_p50_microseconds).collect())),
        ("hold_p99_us", worst(streams().map(|it| it.hold_p99_microseconds).collect())),
        ("holds", worst(streams().map(|it| Some(it.holds)).collect())),
    ];
    for (name, value) in figures {
        if let Some(value) = value {
            run.measured(name, value as f64);
        }
    }
    Ok(())
}

/// Established traffic alone, with a standby and without, by turns.
fn established(run: &mut Run<'_>, active: Node) -> Result<(), Failure> {
    let load_per_second = run.capacity()? / 2;
    let streams = vec![StreamPlan { per_second: 200, from: Side::Client }];
    let plan = Plan { streams, load_per_second, ..Plan::default() };
    run.while_flowing(&plan, |run, _| {
        let (mut with, mut without) = (Cost::default(), Cost::default());
        for _ in 0..TURNS {
            with.add(measure(run, active)?);
            run.strike(Fault::Stop(active.other()))?;
            without.add(measure(run, active)?);
            run.strike(Fault::Restart(active.other()))?;
            run.await_ready(active.other(), RESYNC)?;
        }
        run.measured("cpu_per_packet_with_ns", with.per_packet());
        run.measured("cpu_per_packet_without_ns", without.per_packet());
        run.measured("replication_cpu_ratio", with.per_packet() / without.per_packet());
        Ok(())
    })
}

/// CPU time of the daemon, and packets that it emitted.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    cpu: Duration,
    packets: u64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.packets += other.packets;
    }

    fn per_packet(self) -> f64 {
        self.cpu.as_nanos() as f64 / self.packets.max(1) as f64
    }
}

fn measure(run: &mut Run<'_>, node: Node) -> Result<Cost, Failure> {
    run.pause(SETTLE)?;
    let before = so_far(run, node)?;
    run.pause(STRETCH)?;
    let after = so_far(run, node)?;
    Ok(Cost { cpu: after.cpu - before.cpu, packets: after.packets - before.packets })
}

fn so_far(run: &mut Run<'_>, node: Node) -> Result<Cost, Failure> {
    let emitted = Segment::DATA.map(|segment| run.site.lab.emitted(segment, node));
    let packets = emitted.into_iter().sum::<Result<u64, Failure>>()?;
    let gone =
        || Failure::Late { what: "the active daemon".to_owned(), seen: "nothing".to_owned() };
    let cpu = run.site.pair()?.process(node).ok_or_else(gone)?.cpu()?;
    Ok(Cost { cpu, packets })
}
