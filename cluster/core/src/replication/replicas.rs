//! What a node asks its peer for, and how complete its replicas are: decided here for every driver.
//!
//! | event | asks for | the replicas are |
//! |---|---|---|
//! | connected | what is wanted: at first to join | being brought |
//! | connection lost | later: for what is missed, or the unended merge | not complete, unless it owns |
//! | owns | nothing but a merge: its table is the truth | complete |
//! | owns no more | nothing: it still has the best table, until another owns | as they were |
//! | follows another owner | to join, unless both tables are being merged | not complete |
//! | a split has healed | to merge | being brought, unless it owns |
//! | a bulk has ended | | complete, or as complete as they get |

use super::bulk::{Outcome, Purpose};
use crate::membership::Readiness;

#[cfg(test)]
mod tests;

/// One stream's replicas, and what they lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas {
    owner: bool,
    connected: bool,
    /// What is to be asked for as soon as there is a peer.
    wanted: Option<Purpose>,
    /// A merge was asked for and has not ended.
    merging: bool,
    readiness: Readiness,
}

/// What happens to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a connection to the peer.
    Connected,
    /// There is none any more.
    Lost,
    /// This node owns now.
    Owned,
    /// This node has ceased to own.
    Disowned,
    /// Another node owns, and this one stands by.
    Followed,
    /// Both nodes may have forwarded, and hear each other again.
    SplitHealed,
    /// What was asked for has come, or is not waited for any more.
    Ended(Purpose, Outcome),
}

impl Replicas {
    /// Those of a node that has just started: none.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            owner: false,
            connected: false,
            wanted: Some(Purpose::Join),
            merging: false,
            readiness: Readiness::BulkWaiting,
        }
    }

    /// How complete they are.
    #[must_use]
    pub const fn readiness(&self) -> Readiness {
        self.readiness
    }

    /// Takes an event; what is to be asked for now, by [`Input::Want`](super::Input::Want).
    pub fn handle(&mut self, event: Event) -> Option<Purpose> {
        match event {
            Event::Connected => {
                self.connected = true;
                self.ask()
            }
            Event::Lost => {
                self.lose();
                None
            }
            Event::Owned => {
                (self.owner, self.readiness) = (true, Readiness::Ready);
                self.ask()
            }
            Event::Disowned => {
                self.owner = false;
                None
            }
            Event::Followed => self.follow(),
            Event::SplitHealed => {
                self.wanted = Some(Purpose::Merge);
                self.ask()
            }
            Event::Ended(purpose, outcome) => {
                self.end(purpose, outcome);
                None
            }
        }
    }

    /// What changes from now on leaves no notes, so that tables must be compared anew; and nobody is to
    /// hand over to a node that does not hear of it.
    fn lose(&mut self) {
        if !core::mem::take(&mut self.connected) {
            return;
        }
        self.want_what_is_missed();
        if !self.owner {
            self.readiness = Readiness::BulkWaiting;
        }
    }

    fn follow(&mut self) -> Option<Purpose> {
        self.owner = false;
        // A merge brings all that a join would, and goes on whoever owns.
        if self.merging && self.connected {
            self.readiness = Readiness::BulkRunning;
            return None;
        }
        self.readiness = Readiness::BulkWaiting;
        self.want_what_is_missed();
        self.ask()
    }

    fn want_what_is_missed(&mut self) {
        let missed = if self.merging { Purpose::Merge } else { Purpose::Join };
        self.wanted = self.wanted.or(Some(missed));
    }

    fn ask(&mut self) -> Option<Purpose> {
        let purpose = self.wanted.filter(|_| self.connected)?;
        self.wanted = None;
        let merges = match purpose {
            Purpose::Merge => true,
            Purpose::Join | Purpose::Repair => false,
        };
        if self.owner && !merges {
            return None;
        }
        self.merging = merges;
        if !self.owner {
            self.readiness = Readiness::BulkRunning;
        }
        Some(purpose)
    }

    fn end(&mut self, purpose: Purpose, outcome: Outcome) {
        match (purpose, outcome) {
            (Purpose::Repair, _) => return,
            (Purpose::Merge, Outcome::Complete | Outcome::Abandoned) => self.merging = false,
            (Purpose::Merge, Outcome::DeadlinePassed) | (Purpose::Join, _) => {}
        }
        // Without a connection time tells nothing about them.
        if self.owner || !self.connected {
            return;
        }
        match outcome {
            Outcome::Complete => self.readiness = Readiness::Ready,
            Outcome::DeadlinePassed => self.readiness = Readiness::DeadlinePassed,
            Outcome::Abandoned => {}
        }
    }
}

impl Default for Replicas {
    fn default() -> Self {
        Self::new()
    }
}
