//! Destinations whose SYNs are answered in their place: those that this node found under a flood, and those
//! that others say are.
//!
//! Each node tells what it found itself, and never what it heard: a flood that is over is guarded nowhere,
//! and nodes do not keep it alive among themselves.

use std::collections::BTreeMap;

use sketch::Place;
use wire::Time;

use super::attack::{Action, Output};
use crate::limits::{GUARD_SAID_EVERY, PROXIED_MAX};

/// All that are guarded.
#[derive(Default)]
pub(super) struct Guards {
    all: BTreeMap<Place, Guard>,
}

struct Guard {
    /// This node found the flood, which is not over.
    own: bool,
    /// Until when other nodes say so.
    told_until: Time,
    /// When it was said last; it is said again, so that who carries it out need not remember.
    said: Option<Time>,
}

impl Guards {
    /// Whether it is guarded, whoever says so.
    pub(super) fn has(&self, destination: &Place) -> bool {
        self.all.contains_key(destination)
    }

    /// Whether one more finds room.
    pub(super) fn has_room(&self) -> bool {
        self.all.len() < PROXIED_MAX
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Those that this node found.
    pub(super) fn own(&self) -> impl Iterator<Item = &Place> {
        self.all.iter().filter(|(_, guard)| guard.own).map(|(destination, _)| destination)
    }

    /// This node has found it under a flood, or finds that it still is.
    pub(super) fn found(&mut self, destination: Place, now: Time, out: &mut Vec<Output>) {
        let guard = self.all.entry(destination).or_insert(Guard::NEW);
        guard.own = true;
        guard.say(destination, now, out);
    }

    /// Another node says so.
    pub(super) fn heard(
        &mut self,
        destination: Place,
        until: Time,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        if !self.has(&destination) && !self.has_room() {
            return;
        }
        let guard = self.all.entry(destination).or_insert(Guard::NEW);
        guard.told_until = guard.told_until.max(until);
        if guard.said.is_none_or(|said| now.since(said) >= GUARD_SAID_EVERY) {
            guard.say(destination, now, out);
        }
    }

    /// By what this node sees, the flood is over.
    pub(super) fn over(&mut self, destination: &Place, now: Time, out: &mut Vec<Output>) {
        if let Some(guard) = self.all.get_mut(destination) {
            guard.own = false;
            self.end(now, |_| false, out);
        }
    }

    /// What nobody says any more is guarded no longer.
    pub(super) fn expire(&mut self, now: Time, out: &mut Vec<Output>) {
        self.end(now, |_| false, out);
    }

    /// Ends those that a new policy does not guard.
    pub(super) fn keep(&mut self, keep: impl Fn(&Place) -> bool, out: &mut Vec<Output>) {
        self.end(Time::ZERO, |destination| !keep(destination), out);
    }

    fn end(&mut self, now: Time, gone: impl Fn(&Place) -> bool, out: &mut Vec<Output>) {
        self.all.retain(|destination, guard| {
            let stays = (guard.own || guard.told_until > now) && !gone(destination);
            if !stays {
                out.push(Output::Undo(Action::Proxy { destination: *destination }));
            }
            stays
        });
    }
}

impl Guard {
    const NEW: Self = Self { own: false, told_until: Time::ZERO, said: None };

    fn say(&mut self, destination: Place, now: Time, out: &mut Vec<Output>) {
        self.said = Some(now);
        out.push(Output::Act(Action::Proxy { destination }));
    }
}
