//! What is done about attacks: blocks with an end, rates; undone when it is over.

use std::collections::{BTreeMap, BTreeSet};

use config::Reaction;
use sketch::Place;
use wire::Time;

use super::attack::{Action, Kind, Output, RateLimit, Subject};
use super::guard::Guards;
use super::judge::Finding;
use crate::limits::BLOCKS_MAX;

/// What is being done.
#[derive(Default)]
pub(super) struct Acts {
    /// Blocked by this node: until when.
    blocks: BTreeMap<Place, Block>,
    /// Rates, by what they are for.
    rates: BTreeMap<(Kind, Subject), RateLimit>,
    /// Blocks that began.
    pub(super) begun: u64,
    /// Destinations whose SYNs are answered.
    pub(super) guards: Guards,
    /// Blocks that found no room.
    pub(super) unblocked: u64,
}

#[derive(Clone, Copy)]
struct Block {
    until: Time,
    /// The end that was said last.
    said: Time,
    /// Other nodes say so, not this one.
    foreign: bool,
}

impl Acts {
    /// An attack began, or goes on: then a block lasts longer, and a rate is said again.
    pub(super) fn meet(&mut self, finding: &Finding, now: Time, out: &mut Vec<Output>) {
        match self.wanted(finding, now) {
            Some(Action::Block { source, until }) => self.block(source, until, false, out),
            Some(Action::Proxy { destination }) => {
                self.guards.found(destination, now, out);
            }
            Some(Action::Drop(rate)) => {
                self.rates.insert((rate.kind, rate.subject), rate);
                out.push(Output::Act(Action::Drop(rate)));
            }
            None => {}
        }
    }

    /// It is over. A block stays until its end, unless the source was one of many that are forged.
    pub(super) fn end(
        &mut self,
        key: &(Kind, Subject),
        folded: bool,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        if let Some(rate) = self.rates.remove(key) {
            out.push(Output::Undo(Action::Drop(rate)));
        }
        if let (Kind::SynFlood, Subject::Destination(destination)) = key {
            self.guards.over(destination, now, out);
        }
        if let (true, Some(source)) = (folded, key.1.source())
            && let Some(block) = self.blocks.remove(&source)
        {
            out.push(Output::Undo(Action::Block { source, until: block.said }));
        }
    }

    /// Another node has blocked a source.
    pub(super) fn heard(&mut self, source: Place, until: Time, out: &mut Vec<Output>) {
        self.block(source, until, true, out);
    }

    /// Blocks whose end has come are forgotten: the XDP program's list forgets them by itself. Guards that
    /// nobody tells of any more end.
    pub(super) fn expire(&mut self, now: Time, out: &mut Vec<Output>) {
        self.guards.expire(now, out);
        self.blocks.retain(|_, block| block.until > now);
    }

    /// Undoes the blocks of a zone, as an operator or a new policy wants it.
    pub(super) fn unblock(&mut self, gone: impl Fn(&Place) -> bool, out: &mut Vec<Output>) {
        let places: BTreeSet<_> = self.blocks.keys().filter(|it| gone(it)).copied().collect();
        for source in places {
            let until = self.blocks.remove(&source).map_or(Time::ZERO, |block| block.said);
            out.push(Output::Undo(Action::Block { source, until }));
        }
    }

    /// Sources that this node blocks by its own judgement.
    pub(super) fn own_blocks(&self) -> impl Iterator<Item = (&Place, Time)> {
        self.blocks.iter().filter(|(_, it)| !it.foreign).map(|(source, it)| (source, it.until))
    }

    /// Rates that are held down now.
    pub(super) fn rates(&self) -> usize {
        self.rates.len()
    }

    /// All that is blocked.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (&Place, Time)> {
        self.blocks.iter().map(|(source, it)| (source, it.until))
    }

    /// A block is said when it begins, and then when its end has moved by a second at least.
    fn block(&mut self, source: Place, until: Time, foreign: bool, out: &mut Vec<Output>) {
        if !self.blocks.contains_key(&source) && self.blocks.len() >= BLOCKS_MAX {
            self.unblocked += 1;
            return;
        }
        let new = Block { until, said: Time::ZERO, foreign };
        let block = self.blocks.entry(source).or_insert_with(|| {
            self.begun += 1;
            new
        });
        block.until = block.until.max(until);
        block.foreign &= foreign;
        if block.until.since(block.said).as_secs() >= 1 {
            block.said = block.until;
            out.push(Output::Act(Action::Block { source, until: block.until }));
        }
    }

    /// What the policy wants done about a finding.
    fn wanted(&self, finding: &Finding, now: Time) -> Option<Action> {
        let source = finding.subject.source();
        // An attack may be told long before anything of it is dropped.
        let above = || {
            let (kind, subject, threshold) = (finding.kind, finding.subject, finding.limit);
            let above = kind.is_rate() && finding.seen > threshold;
            above.then_some(Action::Drop(RateLimit { kind, subject, threshold }))
        };
        match (finding.response.action, source, finding.subject) {
            (Reaction::Alarm, _, _) => None,
            (Reaction::Block, Some(source), _) => {
                Some(Action::Block { source, until: now + finding.response.block_for })
            }
            // What is answered in its place is no more than half of a flood away from being one again: a
            // finding is there from half of its threshold on, and without one for a while it is over. So it
            // is for who takes over from another node that guards.
            (Reaction::Proxy, None, Subject::Destination(destination))
                if finding.kind == Kind::SynFlood =>
            {
                let begins = finding.seen > finding.limit && self.guards.has_room();
                (self.guards.has(&destination) || begins).then_some(Action::Proxy { destination })
            }
            (Reaction::Drop | Reaction::Proxy | Reaction::Block, _, _) => above(),
        }
    }
}
