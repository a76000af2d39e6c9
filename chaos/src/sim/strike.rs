//! Faults begin and end.

use core::time::Duration;

use cluster_core::membership::{Fitness, Request};
use wire::Time;

use super::fault::{Fault, Target};
use super::log::Fact;
use super::network::Weather;
use super::topology::SEGMENTS;
use super::world::{Event, World};

/// A pause that nobody can take for a failure.
const HARMLESS: Duration = Duration::from_millis(20);

/// When an operator asks a daemon again that did not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// How long a commit may reach one node later than the other.
const COMMIT_LAG: core::ops::Range<u64> = 200..8_000;

impl World {
    /// Fault `number` begins or ends.
    pub(crate) fn strike(&mut self, number: usize, begins: bool) {
        let planned = self.faults[number].clone();
        let node = match begins {
            true => self.target(planned.target),
            false => self.struck[number].unwrap_or_default(),
        };
        if !begins && planned.fault == Fault::Drain && !self.nodes[node].answers() {
            // Whoever drained it asks again.
            self.queue.push(self.now + ASK_AGAIN, Event::Fault { number, begins });
            return;
        }
        let name = planned.fault.name();
        self.note(Fact::Fault { name, node, begins });
        if begins {
            self.tally.faults += 1;
            self.struck[number] = Some(node);
            self.excused[number] = self.may_break(node, &planned.fault, planned.lasts);
            self.queue.push(self.now + planned.lasts, Event::Fault { number, begins: false });
        }
        // At its end once more: for those that were opened meanwhile.
        if self.excused[number] {
            self.survival.excuse_all();
            self.translations.excuse_all();
        }
        self.apply(&planned.fault, node, begins);
    }

    fn owns(&self, node: usize) -> bool {
        self.nodes[node].daemon.as_ref().is_some_and(|it| it.owns())
    }

    fn target(&self, target: Target) -> usize {
        let owner = (0..2).find(|node| self.owns(*node)).unwrap_or_default();
        match target {
            Target::Owner => owner,
            Target::Standby => 1 - owner,
        }
    }

    /// Whether connections may break now: the owner is struck, or the heir of one that is gone, and the
    /// other node could not take its place without a loss.
    fn may_break(&self, node: usize, fault: &Fault, lasts: Duration) -> bool {
        let owner_answers = |node: usize| self.owns(node) && self.nodes[node].answers();
        let owns = self.owns(node) || !owner_answers(1 - node);
        let sound = self.nodes[1 - node].is_sound() && self.network.fabric_is_fair();
        match fault {
            Fault::Crash | Fault::Kill | Fault::Slow(_) | Fault::Down { .. } => !sound && owns,
            Fault::Drain | Fault::Switchover => false,
            Fault::Pause => owns && !sound && lasts > HARMLESS,
            // What is opened alone is not held for anybody, and what both have is settled by rank.
            Fault::Apart | Fault::Freeze => true,
            // Whoever commits to the heir of one that has just gone keeps it from taking over, until the
            // nodes agree on their policy: it might be the dead one's that is newer.
            Fault::Commit => !owner_answers(node) && !owner_answers(1 - node),
            Fault::Cut { .. } | Fault::Foul { .. } => false,
        }
    }

    fn apply(&mut self, fault: &Fault, node: usize, begins: bool) {
        match fault {
            Fault::Crash => self.crash(node, begins),
            Fault::Kill => self.kill(node, begins),
            Fault::Pause => self.pause(node, begins),
            Fault::Slow(longest) => self.slow(node, *longest, begins),
            Fault::Cut { segment, both } => {
                self.network.cut(*segment, node, begins, self.now);
                if *both {
                    self.network.cut(*segment, 1 - node, begins, self.now);
                }
            }
            Fault::Apart => {
                for segment in 0..SEGMENTS {
                    for node in 0..2 {
                        self.network.cut(segment, node, begins, self.now);
                    }
                }
                if !begins {
                    self.survival.excuse_all();
                    self.translations.excuse_all();
                }
            }
            Fault::Down { segment } => {
                self.network.take_down(*segment, node, begins, self.now);
                self.tell_fitness(node);
            }
            Fault::Foul { segment, weather } => {
                let weather = if begins { weather.clone() } else { Weather::FAIR };
                self.network.weather[*segment] = weather;
            }
            Fault::Switchover if begins => self.request(node, Request::Failover),
            Fault::Switchover => {}
            Fault::Drain => {
                self.request(node, if begins { Request::Drain } else { Request::Resume });
            }
            Fault::Commit if begins => self.commit_next(),
            Fault::Commit => {}
            Fault::Freeze => self.freeze(node, begins),
        }
    }

    fn crash(&mut self, node: usize, begins: bool) {
        let now = self.now;
        let it = &mut self.nodes[node];
        if begins {
            it.dark += 1;
            it.lose_daemon();
            it.lease = None;
            it.addresses = false;
            self.overlap.ends(node, now);
            self.overlap.forget(now);
        } else {
            it.dark -= 1;
            self.start(node);
        }
    }

    /// The kernel goes on, and with it the lease word; nobody reads the rings.
    fn kill(&mut self, node: usize, begins: bool) {
        let it = &mut self.nodes[node];
        if begins {
            it.killed += 1;
            it.lose_daemon();
            self.overlap.forget(self.now);
        } else {
            it.killed -= 1;
            self.start(node);
        }
    }

    fn pause(&mut self, node: usize, begins: bool) {
        let it = &mut self.nodes[node];
        if begins {
            it.pauses += 1;
        } else {
            it.pauses -= 1;
        }
        self.resume(node);
    }

    fn slow(&mut self, node: usize, longest: Duration, begins: bool) {
        let it = &mut self.nodes[node];
        if begins {
            it.slow.push(longest);
        } else if let Some(place) = it.slow.iter().position(|other| *other == longest) {
            it.slow.remove(place);
        }
        self.resume(node);
    }

    /// The machine stands still, its clock included. It cannot know that it did.
    fn freeze(&mut self, node: usize, begins: bool) {
        if !begins {
            let fault = |planned: &super::fault::Planned| planned.fault == Fault::Freeze;
            let lasted = self.faults.iter().find(|it| fault(it)).map(|planned| planned.lasts);
            self.nodes[node].clock.freeze(lasted.unwrap_or_default().as_nanos() as u64);
            let it = &self.nodes[node];
            let until = it.lease.map(|until| it.clock.world(until));
            if let Some(until) = until.filter(|until| *until > self.now) {
                let apart = self.network.apart_ago(self.now);
                let found = self.overlap.lease(node, until, apart, self.now);
                self.breaks(super::invariants::overlap::NAME, found);
            }
        }
        self.pause(node, begins);
    }

    /// What waits is looked at, now or never.
    fn resume(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        let runs = it.daemon.is_some() && it.pauses == 0;
        it.wake_at = if runs { self.now } else { Time::MAX };
    }

    fn tell_fitness(&mut self, node: usize) {
        let up = (1..SEGMENTS).all(|segment| self.network.has_link(segment, node));
        let fitness = if up { Fitness::FIT } else { Fitness::PORT_DOWN };
        let boot = self.nodes[node].boots;
        self.with(node, boot, |daemon, now, effects| daemon.fitness(fitness, now, effects));
    }

    /// The operator's tool waits for a daemon that does not run; here it gives up.
    fn request(&mut self, node: usize, request: Request) {
        let it = &self.nodes[node];
        if it.pauses == 0 {
            let boot = it.boots;
            self.with(node, boot, |daemon, now, effects| daemon.request(request, now, effects));
        }
    }

    fn commit_next(&mut self) {
        self.revision = self.revision.next();
        self.policy = self.revision.policy();
        for node in 0..2 {
            let at = self.now + self.dice[1].micros(COMMIT_LAG);
            self.queue.push(at, Event::Commit { node });
        }
    }
}
