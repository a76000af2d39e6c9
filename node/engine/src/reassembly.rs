//! Fragments on their way through the engine: held, completed, handed to their flow's owner, expired.

use wire::{FragmentKey, Time};

use crate::answer::{Answer, Unreachable};
use crate::commit::{Answerer, Body};
use crate::engine::{Content, Engine, Keyed, Origin, Reassembled, Waiting};
use crate::fib::FibChange;
use crate::fragment::{Datagram, GivenUp, Outcome};
use crate::latecomers::{begun_by, untranslate};
use crate::limits::{EXPIRIES_PER_TICK, TIMER_VISITS_PER_TURN};
use crate::replication::{Ending, Role};
use crate::table::Handle;
use crate::{Arrived, Decision, Pieces, PortId, Reason, Verdict};

impl Engine {
    /// Takes a fragment in; the last one of a datagram has the whole judged.
    pub(crate) fn fragment(
        &mut self,
        keyed: &Keyed,
        key: &FragmentKey,
        ingress: PortId,
        frame: &[u8],
        now: Time,
    ) -> Decision {
        if self.screening.is_some()
            && let Some(reason) = self.observe_fragment(keyed, ingress, now)
        {
            let decision = Decision::bare(Verdict::Drop(reason));
            self.ledger.settle(&decision);
            return decision;
        }
        let inserted = self.fragments.insert(*key, ingress.0, frame, &keyed.packet, now);
        self.give_up(inserted.given_up);
        let decision = match inserted.outcome {
            Outcome::Held => Decision::bare(Verdict::Hold),
            Outcome::Duplicate => Decision::bare(Verdict::Drop(Reason::FragmentDuplicate)),
            Outcome::Dropped { reason, released } => {
                self.ledger.expire(reason, released);
                self.observe_bad_fragment(&keyed.packet, ingress, reason);
                Decision::bare(Verdict::Drop(reason))
            }
            Outcome::Complete(datagram) => {
                self.ledger.resume(datagram.held());
                return self.complete(datagram, ingress, now);
            }
        };
        self.ledger.settle(&decision);
        decision
    }

    fn give_up(&mut self, given_up: GivenUp) {
        for (reason, packets) in given_up.reasons() {
            self.ledger.expire(reason, packets);
        }
    }

    fn complete(&mut self, mut datagram: Datagram, ingress: PortId, now: Time) -> Decision {
        let content = self.read(ingress, datagram.frame());
        let elsewhere = (!self.owns_all).then(|| self.owner_of_content(ingress, &content));
        if let Some(elsewhere) = elsewhere.flatten() {
            let packets = datagram.fragments();
            self.reassembled = Some(Reassembled { datagram, ingress });
            return Decision { packets, ..Decision::bare(Verdict::HandOff(elsewhere)) };
        }
        let decision = self.decide_whole(ingress, &content, &mut datagram, now);
        self.fragments.done(datagram);
        decision
    }

    /// Judges a datagram that another worker put together. What leaves goes to the outbox.
    pub fn decide_datagram(
        &mut self,
        ingress: PortId,
        datagram: &mut Datagram,
        now: Time,
    ) -> Decision {
        self.ledger.take(Origin::Peer, datagram.fragments());
        let content = self.read(ingress, datagram.frame());
        self.decide_whole(ingress, &content, datagram, now)
    }

    fn decide_whole(
        &mut self,
        ingress: PortId,
        content: &Content,
        datagram: &mut Datagram,
        now: Time,
    ) -> Decision {
        let packets = datagram.fragments();
        let pieces =
            Pieces { largest: datagram.largest(), fragmentable: !datagram.dont_fragment() };
        let arrived = Arrived { ingress, packets, pieces: Some(pieces) };
        let decision = match content {
            Content::Refused(reason) => {
                self.observe_refused(ingress, datagram.frame(), *reason);
                Decision::bare(Verdict::Drop(*reason))
            }
            Content::Ip(_) if self.replication.role == Role::Backup => {
                Decision::bare(Verdict::Drop(Reason::NotOwner))
            }
            Content::Ip(keyed) if keyed.fragment.is_none() => {
                self.decide_packet(keyed, arrived, &mut Body::Datagram(datagram), now)
            }
            // Reassembly takes every trace of fragmentation out, and makes nothing but IP.
            Content::Ip(_) | Content::Link | Content::Consume => {
                Decision::bare(Verdict::Drop(Reason::FragmentLength))
            }
        };
        let decision = Decision { packets, ..decision };
        self.ledger.settle(&decision);
        decision
    }

    /// The port and the datagram that the last verdict, [`Verdict::HandOff`], is about; `empty`, used
    /// before and given back, takes its place.
    pub fn exchange_datagram(&mut self, empty: Datagram) -> Option<(PortId, Datagram)> {
        let whole = self.reassembled.take()?;
        self.ledger.hand_off(true, whole.datagram.fragments());
        self.fragments.done(empty);
        Some((whole.ingress, whole.datagram))
    }

    /// Has `pass` send the datagram that the last verdict is about to the node that owns its flow: in
    /// pieces, as its sender made them.
    pub fn pass_datagram(&mut self, mut pass: impl FnMut(PortId, &[u8]) -> Result<(), Reason>) {
        let Some(Reassembled { mut datagram, ingress }) = self.reassembled.take() else { return };
        let (packets, largest) = (datagram.fragments(), datagram.largest());
        let mut passed = Ok(());
        datagram.refragment(largest, |piece| {
            // Without one of them the others come to nothing.
            passed = passed.and_then(|()| pass(ingress, piece));
        });
        self.ledger.pass(passed, packets);
        self.fragments.done(datagram);
    }

    /// The datagram could not be handed to its owner: dropped.
    pub fn drop_datagram(&mut self) {
        let Some(whole) = self.reassembled.take() else { return };
        self.ledger.hand_off(false, whole.datagram.fragments());
        self.fragments.done(whole.datagram);
    }
}

/// What time brings.
impl Engine {
    /// Ends what is over at `now`: sessions, fragments, packets without a next hop. Bounded; returns
    /// whether there is more to do.
    pub fn tick(&mut self, now: Time) -> bool {
        self.follow_shares();
        let behind = self.expire_sessions(now);
        self.expire_fragments(now);
        self.expire_waiting(now);
        self.expire_holds(now);
        self.ask_due(now);
        self.algs.expire(&mut self.nat, now);
        self.sweep(now) || behind
    }

    fn expire_sessions(&mut self, now: Time) -> bool {
        let Self {
            table, rules, ledger, events, replication, screening, policy, nat, algs, ..
        } = self;
        let advance = table.review(now, TIMER_VISITS_PER_TURN, |handle, session, twin| {
            let kept = replication.keeps(session, now);
            if kept.is_none() {
                let screening = screening.as_deref_mut();
                let mut ending =
                    Ending { replication, rules, ledger, events, screening, policy, nat, algs };
                ending.tell(handle.place(), session, twin, session.expiry_reason(), now);
            }
            kept
        });
        advance.behind
    }

    fn expire_fragments(&mut self, now: Time) {
        let Self { settings, fib, limiter, outbox, ledger, fragments, .. } = self;
        fragments.expire(now, EXPIRIES_PER_TICK, |over| {
            ledger.expire(Reason::FragmentTimeout, over.held);
            if !over.first.is_empty() {
                let mut answerer = Answerer { settings, fib, limiter, outbox, ledger };
                answerer.answer_about(Answer::Reassembly, PortId(over.ingress), over.first, now);
            }
        });
    }

    /// Packets whose next hop did not answer in time.
    fn expire_waiting(&mut self, now: Time) {
        while let Some(begun) = self.expire_one_waiting(now) {
            if let Some(handle) = begun {
                self.note_unreached(handle);
            }
        }
    }

    /// One of them, and the session that it was to begin; `None`: there is none.
    fn expire_one_waiting(&mut self, now: Time) -> Option<Option<Handle>> {
        let Self { settings, fib, limiter, outbox, ledger, pending, table, .. } = self;
        let waiting = pending.expire(now)?;
        let Waiting { ingress, packets, link, domain } = waiting.meta;
        // As it came in, so that the answer finds its sender.
        if let Some(addresses) = waiting.bytes.get_mut(..link.len()) {
            addresses.copy_from_slice(&link);
        }
        untranslate(table, waiting.bytes, domain);
        ledger.expire(Reason::NeighbourUnresolved, packets);
        if packets == 0 {
            return Some(None);
        }
        let came_in = settings.ports.get(ingress.index()).map_or(domain, |port| port.domain);
        let begun = begun_by(table, waiting.bytes, came_in);
        let mut answerer = Answerer { settings, fib, limiter, outbox, ledger };
        let answer = Answer::Unreachable(Unreachable::Host);
        answerer.answer_about(answer, ingress, waiting.bytes, now);
        Some(begun)
    }

    /// Sends what waited for this neighbour.
    pub(crate) fn release_waiting(&mut self, change: &FibChange) {
        let FibChange::NeighbourSet { port, address, mac, .. } = change else { return };
        while let Some(waiting) = self.pending.release((*port, *address)) {
            if let Some(to) = waiting.bytes.get_mut(..6) {
                to.copy_from_slice(mac);
            }
            if self.outbox.push(*port, waiting.bytes) {
                self.ledger.release(waiting.meta.packets);
            } else {
                self.ledger.expire(Reason::TransmitFull, waiting.meta.packets);
            }
        }
    }
}
