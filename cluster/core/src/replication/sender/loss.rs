//! Acknowledgments, losses, and the connection's end.

use wire::Time;

use super::{Releases, Sender};
use crate::replication::note::Release;
use crate::replication::queues::{ANSWER, BULK_PENDING, HELD, Queue};
use crate::replication::window::Carried;

/// Why messages were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Overtaken,
    Expired,
    Connection,
}

impl Sender {
    /// The peer has applied what `ack` and `bits` cover. Whatever it makes after its own message
    /// `barrier` is made with that knowledge.
    pub(in crate::replication) fn acknowledge(
        &mut self,
        (ack, bits): (u64, u64),
        barrier: u64,
        now: Time,
        releases: &mut Releases,
    ) {
        if ack > self.window.last() {
            self.counters.impossible += 1;
            return;
        }
        let mut newest = None;
        for number in self.window.covered(ack, bits) {
            let Some(flight) = self.window.land(number) else { continue };
            self.window.acknowledged(number);
            newest = Some(flight.sent);
            self.counters.acknowledged += 1;
            flight.carried.iter().for_each(|item| self.arrived(item, barrier, now, releases));
            self.window.give_back(number, flight.carried);
        }
        if let Some(sent) = newest {
            self.rtt.measured(sent, now);
        }
        while let Some(number) = self.window.overtaken() {
            self.give_up(number, Cause::Overtaken);
        }
    }

    fn arrived(&mut self, item: &Carried, barrier: u64, now: Time, releases: &mut Releases) {
        match *item {
            Carried::Delete(index) => self.deletes.acknowledged(index, barrier),
            Carried::Record { place, id, held_up_to, noted, bits, .. } => {
                if bits & BULK_PENDING != 0 {
                    self.queues.clear(place, BULK_PENDING);
                }
                if held_up_to > 0 {
                    self.counters.released += 1;
                    self.holds.add(noted.age_nanos(now));
                    releases.push_back(Release { place, id, up_to: held_up_to });
                }
            }
        }
    }

    /// Gives up the messages whose time is over.
    pub(in crate::replication) fn expire(&mut self, now: Time) {
        if self.loss_deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        let timeout = self.rtt.timeout().as_nanos() as u64;
        let before = Time(now.as_nanos().saturating_sub(timeout));
        while let Some(number) = self.window.sent_by(before) {
            self.give_up(number, Cause::Expired);
        }
        self.rtt.expired();
    }

    /// There is a connection.
    pub(in crate::replication) fn connected(&mut self) {
        self.up = true;
    }

    /// There is none: nobody waits for acknowledgments that cannot come. Holds that end by this.
    pub(in crate::replication) fn connection_lost(&mut self) -> u64 {
        let held = self.held_in_flight();
        self.up = false;
        self.give_up_all();
        let held = held + u64::from(self.queues.clear_held());
        self.counters.degraded += held;
        held
    }

    /// The peer is another run of its daemon, and has nothing of what was sent.
    pub(in crate::replication) fn peer_restarted(&mut self) {
        self.give_up_all();
        self.deletes.forget_echo();
    }

    fn give_up_all(&mut self) {
        while let Some(number) = self.window.sent_by(Time::MAX) {
            self.give_up(number, Cause::Connection);
        }
    }

    fn held_in_flight(&self) -> u64 {
        let held = |item: &&Carried| match item {
            Carried::Record { held_up_to, .. } => *held_up_to > 0,
            Carried::Delete(_) => false,
        };
        self.window.under_way().flat_map(|flight| &flight.carried).filter(held).count() as u64
    }

    /// What a message carried waits again. The last item first, so that the order stays.
    fn give_up(&mut self, number: u64, cause: Cause) {
        let Some(flight) = self.window.land(number) else { return };
        let counter = match cause {
            Cause::Overtaken => &mut self.counters.lost_overtaken,
            Cause::Expired => &mut self.counters.lost_expired,
            Cause::Connection => &mut self.counters.lost_connection,
        };
        *counter += 1;
        flight.carried.iter().rev().for_each(|item| self.wait_again(item));
        self.window.give_back(number, flight.carried);
    }

    fn wait_again(&mut self, item: &Carried) {
        match *item {
            Carried::Delete(index) => self.deletes.send_again(index),
            Carried::Record { place, held_up_to, queue, noted, bits, .. } => {
                if bits & ANSWER != 0 && self.queues.queue(place).is_none() {
                    self.queues.set(place, ANSWER);
                }
                let held = held_up_to > 0 && self.up;
                let queue = if held { Queue::Insert } else { queue };
                self.queues.enqueue_again(place, queue, noted);
                if held {
                    self.queues.set(place, HELD);
                }
            }
        }
    }
}
