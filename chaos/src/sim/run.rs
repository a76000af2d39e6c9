//! One run, and what is told of it.

use std::fmt;

use super::invariants::Violation;
use super::log::LEGEND;
use super::topology::Sim;
use super::world::{Tally, World};
use crate::limits::{BAR_FAULTS, BAR_FLOWS, BAR_SECONDS};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it was told.
    pub sim: Sim,
    /// What was broken, if anything was.
    pub violation: Option<Violation>,
    /// What it saw.
    pub tally: Tally,
    /// Connections that had to survive, those of them that were completed, and those that a second
    /// failure excused.
    pub connections: [u64; 3],
    /// Times that both nodes could forward, all ways being cut.
    pub splits: u64,
    /// A digest of all that happened, and of how much.
    pub log: (u64, u64),
    /// The faults that were planned.
    pub faults: Vec<String>,
    /// The last events, or all of them.
    pub lines: Vec<String>,
    /// Where everybody stood at the end.
    pub picture: String,
}

/// Runs `sim`.
#[must_use]
pub fn run(sim: &Sim) -> Outcome {
    let mut world = World::new(*sim);
    world.run();
    Outcome::of(&world)
}

impl Outcome {
    /// Whether the run was long and wild enough to count.
    #[must_use]
    pub const fn counts(&self) -> bool {
        let Tally { flows, faults, .. } = self.tally;
        flows >= BAR_FLOWS && faults >= BAR_FAULTS && self.sim.seconds >= BAR_SECONDS
    }

    pub(super) fn of(world: &World) -> Self {
        let broken = world.violation.is_some();
        let told = broken || world.sim.log_all;
        let survival = &world.survival;
        Self {
            sim: world.sim,
            violation: world.violation.clone(),
            tally: world.tally,
            connections: [survival.acknowledged, survival.completed, survival.exempt],
            splits: world.overlap.splits,
            log: (world.log.digest(), world.log.count()),
            faults: world.faults.iter().map(ToString::to_string).collect(),
            lines: if told { world.log.lines() } else { Vec::new() },
            picture: if broken { world.picture() } else { String::new() },
        }
    }
}

/// What is told of a run that broke something: enough to see it again, and to begin to understand it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(violation) = &self.violation else {
            return write!(f, "seed {}: clean", self.sim.seed);
        };
        writeln!(f, "seed {}: {violation}", self.sim.seed)?;
        writeln!(f, "\nplanned:")?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "  {fault}"))?;
        writeln!(f, "\n{LEGEND}")?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "\n{}", self.picture)
    }
}
