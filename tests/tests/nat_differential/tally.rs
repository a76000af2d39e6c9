//! Both routers beside each other, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;

use crate::scenario::{Carried, Router, Seat, Step};

/// What was compared, and what one router alone carried.
#[derive(Default)]
pub(crate) struct Tally {
    /// Packets that both carried, by what they are.
    alike: BTreeMap<String, usize>,
    unlike: Vec<String>,
    /// Only one carried it: what, why the other did not, and the first of them.
    alone: BTreeMap<(String, String), (usize, String)>,
    neither: usize,
}

impl Tally {
    pub(crate) fn compare<A: Router, B: Router>(
        &mut self,
        ours: &mut Seat<A>,
        theirs: &mut Seat<B>,
        step: &Step,
        of: &str,
    ) {
        let name = step.name();
        let mut alone = |who: &str, why: &str| {
            let one = self.alone.entry((format!("{who}: {name}"), why.to_owned()));
            one.or_insert_with(|| (0, of.to_owned())).0 += 1;
        };
        match (ours.carry(step), theirs.carry(step)) {
            (Carried::As(ours), Carried::As(theirs)) if ours == theirs => {
                *self.alike.entry(name).or_default() += 1;
            }
            (Carried::As(ours), Carried::As(theirs)) => {
                let difference = Difference { step, ours, theirs };
                self.unlike.push(format!("{of}: {name}: {difference}"));
            }
            (Carried::As(_), Carried::Not(why)) => alone("ringwall", &why),
            (Carried::Not(why), Carried::As(_)) => alone("Linux", &why),
            (Carried::Not(_), Carried::Not(_)) => self.neither += 1,
        }
    }

    fn compared(&self) -> usize {
        self.alike.values().sum::<usize>() + self.unlike.len()
    }

    /// The figures are seen without `--nocapture` too: they are what the test is for.
    pub(crate) fn say(&self, what: &str) {
        // A line that cannot be written must not fail the test.
        let _ = writeln!(std::io::stderr(), "{what}: {self}");
    }

    #[track_caller]
    pub(crate) fn is_alike(&self) {
        assert!(self.unlike.is_empty(), "{}", self.unlike.join("\n"));
    }

    /// So many of each were compared from inside and from outside, and so many in all.
    #[track_caller]
    pub(crate) fn has_at_least(&self, kinds: &[(&str, usize)], all: usize) {
        assert!(self.compared() >= all, "too few are compared: {self}");
        for (kind, least) in kinds {
            for side in ["inside", "outside"] {
                let count = self.alike.get(&format!("{kind} from {side}")).copied();
                assert!(count.unwrap_or_default() >= *least, "too few {kind} from {side}: {self}");
            }
        }
    }

    /// One router alone carried a packet for these reasons of the other, each at most so often.
    #[track_caller]
    pub(crate) fn alone_only_for(&self, reasons: &[(&str, usize)]) {
        let mut counts = BTreeMap::<&str, usize>::new();
        for ((_, why), (count, _)) in &self.alone {
            *counts.entry(why).or_default() += count;
        }
        for (why, count) in counts {
            let listed = reasons.iter().find(|(reason, _)| *reason == why);
            let most = listed.map_or(0, |(_, most)| *most);
            assert!(count <= most, "{why}: {count}, at most {most} are known: {self}");
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} compared, {} unlike", self.compared(), self.unlike.len())?;
        for (name, count) in &self.alike {
            writeln!(f, "  alike: {name}: {count}")?;
        }
        for ((name, why), (count, example)) in &self.alone {
            writeln!(f, "  alone: {name}: {why}: {count} (first in {example})")?;
        }
        writeln!(f, "  by neither: {}", self.neither)
    }
}

struct Difference<'a> {
    step: &'a Step,
    ours: Vec<u8>,
    theirs: Vec<u8>,
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, ours, theirs } = self;
        let places =
            (0..ours.len().max(theirs.len())).filter(|at| ours.get(*at) != theirs.get(*at));
        writeln!(f, "bytes {:?} differ", places.collect::<Vec<_>>())?;
        for (who, bytes) in [("sent", &step.datagram), ("ringwall", ours), ("Linux", theirs)] {
            let shown = &bytes[..bytes.len().min(80)];
            writeln!(f, "    {who:8} {} bytes {shown:02x?}", bytes.len())?;
        }
        Ok(())
    }
}
