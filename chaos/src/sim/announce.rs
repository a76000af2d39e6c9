//! What the dialogs of hosts mean for the flows that they announce.

use super::dialog::News;
use super::flow::{Content, Part};
use super::invariants::{pinholes, survival, translation};
use super::world::{Event, World};

impl World {
    /// Whether all that a dialog has announced is open, or was.
    pub(crate) fn transfers_begun(&self, number: usize) -> bool {
        let Content::Dialog(dialog) = &self.flows[number].content else { return true };
        dialog.announced().iter().all(|round| match &self.flows[round.transfer].content {
            Content::Conversation(it) => it.acknowledged || it.over,
            Content::Dialog(_)
            | Content::Exchange(_)
            | Content::Denied(_)
            | Content::Forgery(_) => true,
        })
    }

    pub(crate) fn hear_news(&mut self, number: usize, news: Vec<News>) {
        for news in news {
            match news {
                News::Written(round) => self.flows[round.transfer].may_pass = true,
                // What a double failure has cost of it may be its numbers: what was said once is heard again.
                News::Heard(round, _)
                    if self.survival.is_exempt(number) && !self.flows[round.transfer].may_pass => {}
                News::Heard(..) => self.announced(number, news),
                News::Garbled(_) if self.survival.is_exempt(number) => {}
                News::Garbled(what) => {
                    self.breaks(survival::NAME, Some(format!("flow {number}: {what}")));
                }
            }
        }
    }

    /// The one that opens a transfer knows where to: from now on it must be let in.
    fn announced(&mut self, number: usize, news: News) {
        let News::Heard(round, to) = news else { return };
        let exempt = self.survival.is_exempt(number) || self.is_apart();
        let public = self.flows[number].translated && !round.way.passive;
        if !exempt {
            let found = pinholes::told(round.transfer, to, round.own, public);
            self.breaks(pinholes::NAME, found);
        }
        for flow in [round.transfer, round.intruder] {
            self.flows[flow].ends.there = Some((to.ip(), to.port()));
        }
        self.tally.announced += 1;
        self.survival.acknowledged(round.transfer);
        if exempt {
            self.excuse_transfer(round.transfer);
        }
        if public {
            let apart_until = self.apart_until();
            let seen = (6, to.ip(), to.port());
            let found = self.translations.seen(round.transfer, seen, self.now, apart_until);
            self.breaks(translation::NAME, found);
        }
        self.queue.push(self.now + round.delay, Event::Flow { flow: round.transfer });
    }

    /// A transfer has come; later somebody else tries the same.
    pub(crate) fn transfer_opens(&mut self, number: usize) {
        let Part::Transfer { intruder, intrudes_after } = self.flows[number].part else { return };
        self.tally.came += 1;
        if self.is_apart() {
            self.excuse_transfer(number);
        }
        if let Some(flow) = intruder {
            self.tally.intruders += 1;
            self.queue.push(self.now + intrudes_after, Event::Flow { flow });
        }
    }

    /// A dialog that breaks takes with it what nobody has used yet.
    pub(crate) fn dialog_breaks(&mut self, number: usize) {
        let Content::Dialog(dialog) = &self.flows[number].content else { return };
        let transfers: Vec<usize> = dialog.rounds.iter().map(|round| round.transfer).collect();
        transfers.into_iter().for_each(|it| self.excuse_transfer(it));
    }

    fn excuse_transfer(&mut self, number: usize) {
        self.survival.excuse(number);
        if let Part::Transfer { intruder: Some(intruder), .. } = self.flows[number].part {
            self.flows[intruder].may_pass = true;
        }
    }

    /// The invariant that a connection breaks.
    pub(crate) fn name_of_break(&self, number: usize) -> &'static str {
        let flow = &self.flows[number];
        match (&flow.part, &flow.content) {
            (Part::Transfer { .. }, Content::Conversation(it)) if !it.acknowledged => {
                pinholes::NAME
            }
            _ => survival::NAME,
        }
    }
}
