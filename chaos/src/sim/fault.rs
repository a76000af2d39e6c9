//! What goes wrong, and when: drawn from the seed before the run begins.

use core::fmt;
use core::time::Duration;

use wire::Time;

use super::dice::Dice;
use super::network::Weather;
use super::topology::{SEGMENTS, Sim};
use crate::limits::{FAULTS, QUIET};

/// A fault with its time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) at: Time,
    pub(crate) lasts: Duration,
    pub(crate) target: Target,
    pub(crate) fault: Fault,
}

/// The node that it is for, told when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Owner,
    Standby,
}

/// The kinds of faults.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Power is lost: memory, lease word and all; the disk stays. Then it starts again.
    Crash,
    /// The daemon is killed: the lease word outlives it. Then it starts again.
    Kill,
    /// Nothing of the daemon runs; the clock goes on.
    Pause,
    /// Everything takes up to so long.
    Slow(Duration),
    /// Nothing of the node reaches the other one by this segment; or neither way.
    Cut { segment: usize, both: bool },
    /// The nodes do not reach each other in any way.
    Apart,
    /// The node's link to a segment is down.
    Down { segment: usize },
    /// A segment loses, delays and doubles.
    Foul { segment: usize, weather: Weather },
    /// The operator moves the ownership.
    Switchover,
    /// The operator takes the node out of service, and puts it back.
    Drain,
    /// Another policy is committed.
    Commit,
    /// The whole machine is frozen, its clock as well. Not drawn: leases cannot hold against it.
    Freeze,
}

impl Planned {
    /// The faults of a run, by time. Most runs have time to recover between two of them.
    pub(crate) fn roll_all(sim: &Sim) -> Vec<Self> {
        let mut dice = Dice::new(sim.seed, 1);
        let count = dice.within(FAULTS.0..FAULTS.1 + 1);
        let (first, last) = (3_000, sim.seconds * 1_000 - QUIET.as_millis() as u64);
        let span = (last - first) / count;
        let crowded = dice.per_mille(250);
        let mut all: Vec<Self> = (0..count)
            .map(|number| {
                let (from, room) =
                    if crowded { (first, last - first) } else { (first + number * span, span) };
                let at = from + dice.below(room / 2);
                let fault = Fault::roll(&mut dice);
                let longest = (last - at).min(if crowded { 4_000 } else { room / 2 });
                let lasts = fault.lasts(longest, &mut dice);
                let target = if dice.per_mille(700) { Target::Owner } else { Target::Standby };
                Self { at: Time::from_millis(at), lasts, target, fault }
            })
            .collect();
        all.sort_by_key(|planned| planned.at);
        all
    }
}

impl Fault {
    fn roll(dice: &mut Dice) -> Self {
        let segment = dice.below(SEGMENTS as u64) as usize;
        match dice.below(100) {
            0..18 => Self::Crash,
            18..28 => Self::Kill,
            28..42 => Self::Pause,
            42..50 => Self::Slow(dice.millis(2..30)),
            50..58 => Self::Cut { segment, both: dice.per_mille(500) },
            58..63 => Self::Apart,
            63..71 => Self::Down { segment },
            71..81 => Self::Foul { segment, weather: foul(segment, dice) },
            81..91 => Self::Switchover,
            91..95 => Self::Drain,
            _ => Self::Commit,
        }
    }

    fn lasts(&self, longest: u64, dice: &mut Dice) -> Duration {
        let long = longest.max(60);
        match self {
            // Around the detection time, and well above it.
            Self::Pause if dice.per_mille(500) => dice.millis(5..long.min(200)),
            Self::Crash
            | Self::Kill
            | Self::Pause
            | Self::Slow(_)
            | Self::Cut { .. }
            | Self::Apart
            | Self::Down { .. }
            | Self::Foul { .. }
            | Self::Drain
            | Self::Freeze => dice.millis(50..long),
            Self::Switchover | Self::Commit => Duration::ZERO,
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Slow(_) => "slow",
            Self::Cut { both: true, .. } => "cut",
            Self::Cut { both: false, .. } => "cut-one-way",
            Self::Apart => "apart",
            Self::Down { .. } => "link-down",
            Self::Foul { .. } => "foul-weather",
            Self::Switchover => "switchover",
            Self::Drain => "drain",
            Self::Commit => "commit",
            Self::Freeze => "freeze",
        }
    }
}

fn foul(segment: usize, dice: &mut Dice) -> Weather {
    let worst = if segment == 0 { 300 } else { 80 };
    let start = dice.within(40..400);
    let delay = start..start + dice.within(1..6_000);
    Weather { loss: dice.below(worst), doubled: dice.below(100), delay }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, name) = (self.at.as_nanos() / 1_000_000, self.fault.name());
        write!(f, "{at} ms {name} {:?} for {} ms", self.target, self.lasts.as_millis())
    }
}
