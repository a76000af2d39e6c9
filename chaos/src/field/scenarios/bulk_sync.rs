//! A standby joins an active node that has a million sessions, while traffic flows.

use std::time::Instant;

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::fill::fill;
use crate::field::limits::RESYNC;
use crate::field::run::{Run, Settings};
use crate::field::scenario::{Bar, Of, Scenario};
use crate::field::site::Wants;
use crate::field::traffic::Plan;
use crate::field::wait::wait_for;

pub(crate) const BULK_SYNC: Scenario = Scenario {
    name: "bulk-sync",
    about: "a standby fetches a million sessions (--sessions) while traffic flows",
    bars: &[
        Bar::most("bulk_s", Of::Max, 10.0),
        Bar::none("lost"),
        Bar::none("takeovers"),
        Bar::none("tcp_broken"),
    ],
    peer: false,
    wants: |settings: &Settings| Wants {
        // Lives shrink from 60 % on.
        sessions: settings.sessions.saturating_mul(2).next_power_of_two(),
        ..Wants::default()
    },
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    let active = run.settle()?;
    let standby = active.other();
    run.strike(Fault::Stop(standby))?;
    let sessions = fill(run.site, active, run.settings.sessions)?;
    run.measured("sessions", f64::from(sessions));
    let half = run.half_load()?;
    let plan = Plan { probes: false, ..half };
    run.while_flowing(&plan, |run, _| {
        let started = Instant::now();
        run.strike(Fault::Restart(standby))?;
        let api = run.site.pair()?.api(standby);
        wait_for(RESYNC, "a standby that is connected", || match api.cluster() {
            Ok(it) if it.streams.iter().any(|stream| stream.connected) => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
        let connected = Instant::now();
        run.note(format!("bulk begins {}", standby.name()));
        if run.await_ready(standby, RESYNC)? {
            run.measured("bulk_s", connected.elapsed().as_secs_f64());
            run.measured("start_to_ready_s", started.elapsed().as_secs_f64());
        }
        Ok(())
    })
}
