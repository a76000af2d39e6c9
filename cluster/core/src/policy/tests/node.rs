//! One node of the model: log, both machines, disk, workers, and its lease.

use std::collections::BTreeMap;

use wire::Time;

use super::Flaw;
use crate::NodeId;
use crate::policy::local::{Facts, Purpose};
use crate::policy::{
    Clocks, Coordinator, Epoch, Line, Local, Log, MachineBoot, PolicyText, Replicated, Version,
    WallTime,
};

/// A node. What is volatile is lost with `crash`.
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) is_witness: bool,
    pub(super) up: bool,
    pub(super) up_since: u64,
    pub(super) cut: bool,
    pub(super) paused_until: u64,
    /// The last time that it went, came, was cut or stopped.
    pub(super) disturbed: u64,
    pub(super) port_broken: bool,
    /// Its disk fails, and with it its log; whether it has noticed.
    pub(super) stalled: bool,
    pub(super) knows_stalled: bool,
    /// Counts its runs: what was under way for an earlier one is lost.
    pub(super) run: u32,
    pub(super) log: Log,
    pub(super) local: Local,
    pub(super) coordinator: Coordinator,
    /// What its workers run.
    pub(super) workers: Version,
    pub(super) lease_until: Option<u64>,
    /// Whether it would own if it could; else it stands by.
    pub(super) wants_lease: bool,
    pub(super) disk: Disk,
    /// When the trial that is open was first seen by this run, and when it is due here, once on disk.
    pub(super) trial_seen: Option<(Epoch, u64)>,
    pub(super) trial_due: Option<(Epoch, u64)>,
    /// Whether the wall clock jumped and the machine restarted since: then the due time is a bound only.
    pub(super) due_is_bound: bool,
    boottime_offset: u64,
    machine: u128,
    wall_offset: i64,
    flaw: Option<Flaw>,
}

/// What outlives a crash.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) busy_until: u64,
    pub(super) facts: Facts,
    pub(super) texts: BTreeMap<Epoch, PolicyText>,
    pub(super) log: Option<Log>,
}

impl Node {
    pub(super) fn new(id: NodeId, is_witness: bool, flaw: Option<Flaw>) -> Self {
        let clocks = Clocks::default();
        let mut it = Self {
            id,
            is_witness,
            up: true,
            up_since: 0,
            cut: false,
            paused_until: 0,
            disturbed: 0,
            port_broken: false,
            stalled: false,
            knows_stalled: false,
            run: 1,
            log: Log::default(),
            local: Local::new(id, Facts::default(), &clocks),
            coordinator: Coordinator::new(id),
            workers: Version::NONE,
            lease_until: None,
            wants_lease: true,
            disk: Disk::default(),
            trial_seen: None,
            trial_due: None,
            due_is_bound: false,
            boottime_offset: u64::from(id.0) * 1_000_000,
            machine: u128::from(id.0) << 64,
            wall_offset: 0,
            flaw,
        };
        it.plant();
        it
    }

    fn plant(&mut self) {
        self.log.flaw = self.flaw;
        self.local.flaw = self.flaw;
        self.coordinator.flaw = self.flaw;
    }

    pub(super) fn is_awake(&self, now: u64) -> bool {
        self.up && self.paused_until <= now
    }

    /// Whether its log takes part.
    pub(super) fn votes(&self, now: u64) -> bool {
        self.is_reachable(now) && !self.stalled
    }

    /// Whether others hear it.
    pub(super) fn is_reachable(&self, now: u64) -> bool {
        self.is_awake(now) && !self.cut
    }

    pub(super) fn forwards(&self, now: u64) -> bool {
        self.up && self.lease_until.is_some_and(|until| now < until)
    }

    pub(super) fn clocks(&self, now: u64) -> Clocks {
        let boottime = self.time(now);
        let wall = 1_700_000_000_000_i64 + now as i64 + self.wall_offset;
        let (machine, wall) = (MachineBoot(self.machine), WallTime(wall as u64));
        Clocks { now: boottime, boottime, machine, wall }
    }

    /// The model's time by this node's clocks.
    pub(super) fn time(&self, at: u64) -> Time {
        Time::from_millis(at + self.boottime_offset)
    }

    pub(super) fn jump_wall(&mut self, by: i64) {
        self.wall_offset += by;
    }

    pub(super) fn crash(&mut self, now: u64) {
        self.up = false;
        self.disturbed = now;
        self.lease_until = None;
        self.trial_seen = None;
    }

    /// Starts with what is on the disk; after a restart of the machine with another boottime.
    pub(super) fn start(&mut self, machine_too: bool, now: u64) {
        if machine_too {
            self.machine += 1;
            self.boottime_offset = self.boottime_offset.wrapping_mul(31) % 5_000_000;
            let span = self.disk.facts.trial.map(|it| it.deadline.span.as_millis() as u64);
            if let (Some((epoch, due)), Some(span), true) =
                (self.trial_due, span, self.wall_offset != 0)
            {
                self.trial_due = Some((epoch, due.max(now + span)));
                self.due_is_bound = true;
            }
        }
        self.up = true;
        // It does not start before its disk works.
        (self.stalled, self.knows_stalled) = (false, false);
        self.run += 1;
        (self.up_since, self.disturbed) = (now, now);
        self.workers = Version::NONE;
        self.log = self.disk.log.clone().unwrap_or_default();
        self.coordinator = Coordinator::new(self.id);
        self.coordinator.flaw = self.flaw;
        self.log.flaw = self.flaw;
        self.local = Local::with_flaw(self.id, self.disk.facts, self.flaw, &self.clocks(now));
    }

    /// Writes down what the log is now.
    pub(super) fn save_log(&mut self) {
        if self.flaw.is_none() {
            assert_eq!(Log::restore(&self.log.snapshot()).as_ref(), Ok(&self.log));
        }
        self.disk.log = Some(self.log.clone());
    }

    pub(super) fn text(&self, source: Epoch) -> Option<PolicyText> {
        self.log.text(source).or_else(|| self.disk.texts.get(&source)).cloned()
    }

    /// What the compiler says: a text may need what this node lacks, always or for now.
    pub(super) fn compile(&self, text: &str, purpose: Purpose) -> Result<(), Line> {
        let named = |word: &str| text.split(' ').any(|it| it == format!("{word}{}", self.id));
        let proposal = matches!(purpose, Purpose::Proposal(_));
        match () {
            () if self.is_witness => Ok(()),
            () if named("bad") && proposal => Err(Line::cut("no such port")),
            () if self.port_broken && named("port") => Err(Line::cut("port is gone")),
            () => Ok(()),
        }
    }

    /// The texts that belong to these facts.
    pub(super) fn save(&mut self, facts: Facts) {
        let texts = facts.sources().into_iter().filter(|it| *it != Epoch::NONE);
        let texts: BTreeMap<_, _> =
            texts.map(|it| (it, self.text(it).expect("the text of what runs"))).collect();
        (self.disk.facts, self.disk.texts) = (facts, texts);
        match (facts.trial, self.trial_seen) {
            (None, _) => self.trial_due = None,
            (Some(armed), Some((epoch, seen))) if epoch == armed.trial.epoch => {
                if self.trial_due.is_none_or(|(before, _)| before != epoch) {
                    let span = armed.trial.confirm.as_millis() as u64;
                    self.trial_due = Some((epoch, seen + span));
                    self.due_is_bound = false;
                }
            }
            (Some(_), _) => {}
        }
    }
}
