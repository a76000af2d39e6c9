//! The active node dies with many sessions, and comes back.

use std::time::{Duration, Instant};

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::fill::fill;
use crate::field::lab::Node;
use crate::field::limits::{AGREEMENT, RESYNC};
use crate::field::run::{Run, Settings};
use crate::field::scenario::{Bar, Of, Scenario};
use crate::field::site::Wants;
use crate::field::traffic::Plan;
use crate::field::wait::wait_for;

const AFTER_CRASH: Duration = Duration::from_millis(1_500);
/// How long nothing may be taken back unasked.
const AFTER_RETURN: Duration = Duration::from_secs(3);
/// Sessions, unless the user says another number.
const SESSIONS: u32 = 100_000;

pub(crate) const RETURN: Scenario = Scenario {
    name: "return",
    about: "the active node dies and is started again, with 100,000 sessions",
    bars: &[
        Bar::most("resync_s", Of::Max, 10.0),
        Bar::least("sessions", Of::Min, SESSIONS as f64),
        Bar::least("digests_agree", Of::Min, 1.0),
        Bar::most("takeovers", Of::Max, 1.0),
        Bar::none("tcp_broken"),
    ],
    peer: false,
    wants: |_: &Settings| Wants { sessions: 262_144, ..Wants::default() },
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    let active = run.settle()?;
    let sessions = fill(run.site, active, SESSIONS)?;
    run.measured("sessions", f64::from(sessions));
    let half = run.half_load()?;
    let plan = Plan { probes: false, ..half };
    run.while_flowing(&plan, |run, _| {
        run.pause(Duration::from_millis(500))?;
        run.strike(Fault::Kill(active))?;
        run.pause(AFTER_CRASH)?;
        run.strike(Fault::Restart(active))?;
        let begun = Instant::now();
        run.await_ready(active, RESYNC)?;
        let agreed = run.await_agreement(AGREEMENT);
        run.measured("digests_agree", f64::from(u8::from(agreed.is_ok())));
        run.measured("agreement_s", begun.elapsed().as_secs_f64());
        run.pause(AFTER_RETURN)
    })
}

impl Run<'_> {
    /// Waits until `node` stands by with complete replicas, and notes it; whether it came to that. That
    /// it did not is a result: the figure is missing then, and its bar does not hold.
    pub(super) fn await_ready(&mut self, node: Node, limit: Duration) -> Result<bool, Failure> {
        let api = self.site.pair()?.api(node);
        let ready = wait_for(limit, "a complete standby", || match api.cluster() {
            Ok(it) if it.role == "standby" && it.readiness == "ready" && it.fitness == "fit" => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        });
        match ready {
            Ok(()) => self.note(format!("resync done {}", node.name())),
            Err(Failure::Late { .. }) => self.look("not ready"),
            Err(other) => return Err(other),
        }
        Ok(ready.is_ok())
    }

    /// Waits until digests that were compared from now on prove that both tables are the same.
    pub(super) fn await_agreement(&mut self, limit: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        let pair = self.site.pair()?;
        let apis = Node::BOTH.map(|node| pair.api(node));
        wait_for(limit, "digests that agree", || {
            let views = apis.each_ref().map(|api| api.cluster());
            let agreed = views.iter().flatten().flat_map(|it| &it.streams).any(|stream| {
                let since = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                stream.in_sync_milliseconds.is_some_and(|ago| ago < since)
            });
            if agreed { Ok(()) } else { Err(format!("{views:?}")) }
        })
    }
}
