//! The policy of a cluster: commit with a base, rollback, confirm, revert, read.
//!
//! Numbers of revisions only grow; which number one has, the cluster says. A revision whose commit was
//! never answered has a number that nobody knows yet, above those before it: the first answer that names
//! it tells.

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::model::Model;

/// The policy as one node alone would keep it.
#[derive(Clone, Copy, Debug)]
pub struct Policies {
    /// Revisions that are kept, the running one included; older ones cannot be asked for.
    pub kept: usize,
}

/// All revisions that are kept, the running one last, and whether it waits to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyLog {
    revisions: VecDeque<Revision>,
    waits: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Revision {
    number: Number,
    text: Arc<str>,
}

/// The number of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    /// It was told.
    Is(u64),
    /// It was not told yet; it is above this one.
    Above(u64),
}

/// What is asked for. In a test each text should be another one, so that a read tells its writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PolicyCall {
    /// Put this text in force.
    Commit {
        /// The number that must run; `None` does not ask.
        base: Option<u64>,
        /// The policy, or a name for it.
        text: String,
        /// It ends by itself if nobody confirms it.
        #[serde(default)]
        confirm: bool,
    },
    /// Put an earlier text in force, under a new number. It also ends a wait for confirmation.
    Rollback {
        /// Its number; `None` is the revision before the running one. A number that no answer ever
        /// named is not known to be that of any revision.
        to: Option<u64>,
    },
    /// Keep what waits to be confirmed.
    Confirm {
        /// Its number; `None` is whatever waits.
        epoch: Option<u64>,
    },
    /// What a deadline does: a confirmation of `text` did not come, so the text before it is in force
    /// again. Whoever records a history calls it at the commit; it may be without an answer.
    Revert {
        /// The text that was not confirmed.
        text: String,
    },
    /// Which revision runs?
    Read,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PolicyAnswer {
    /// This revision runs.
    Running {
        /// Its number.
        epoch: u64,
        /// Its text, if that was told.
        #[serde(default)]
        text: Option<String>,
        /// Whether it waits to be confirmed, if that was told.
        #[serde(default)]
        waits: Option<bool>,
    },
    /// The base was another one than this, which runs.
    Conflict {
        /// Its number.
        running: u64,
    },
    /// Another revision waits to be confirmed.
    Waits,
    /// It is confirmed.
    Confirmed,
    /// It certainly did not and will not happen, for a reason that is not the log's: a node that cannot
    /// run it, another proposal, no quorum.
    Refused,
}

impl Model for Policies {
    type Call = PolicyCall;
    type Answer = PolicyAnswer;
    type State = PolicyLog;

    fn start(&self) -> PolicyLog {
        let nothing = Revision { number: Number::Is(0), text: "".into() };
        PolicyLog { revisions: VecDeque::from([nothing]), waits: false }
    }

    fn step(
        &self,
        log: &PolicyLog,
        call: &PolicyCall,
        answer: Option<&PolicyAnswer>,
    ) -> Option<PolicyLog> {
        match answer {
            None => self.done(log, call),
            Some(PolicyAnswer::Confirmed) => {
                let asked = matches!(call, PolicyCall::Confirm { .. });
                self.done(log, call).filter(|_| asked)
            }
            Some(PolicyAnswer::Running { epoch, text, waits }) => {
                let asked = !matches!(call, PolicyCall::Confirm { .. });
                let done = self.done(log, call).filter(|_| asked)?;
                let text_fits = text.as_ref().is_none_or(|text| **text == *done.running().text);
                let fits = text_fits && waits.is_none_or(|waits| waits == done.waits);
                done.told(*epoch).filter(|_| fits)
            }
            Some(PolicyAnswer::Conflict { running }) => {
                let PolicyCall::Commit { base: Some(base), .. } = call else { return None };
                log.clone().told(*running).filter(|_| base != running)
            }
            Some(PolicyAnswer::Waits) => {
                let asked = matches!(call, PolicyCall::Commit { .. });
                (asked && log.waits).then(|| log.clone())
            }
            Some(PolicyAnswer::Refused) => {
                let asked = !matches!(call, PolicyCall::Read);
                asked.then(|| log.clone())
            }
        }
    }
}

impl Policies {
    /// The log after `call` took effect, where it can.
    fn done(&self, log: &PolicyLog, call: &PolicyCall) -> Option<PolicyLog> {
        match call {
            PolicyCall::Commit { base, text, confirm } => {
                let based = match base {
                    Some(base) => log.clone().told(*base)?,
                    None => log.clone(),
                };
                (!log.waits).then(|| self.with(based, text.as_str().into(), *confirm))
            }
            PolicyCall::Rollback { to } => {
                let text = log.earlier(*to)?;
                Some(self.with(log.clone(), text, false))
            }
            PolicyCall::Confirm { epoch } => {
                let known = match epoch {
                    Some(epoch) => log.clone().told(*epoch)?,
                    None => log.clone(),
                };
                log.waits.then_some(PolicyLog { waits: false, ..known })
            }
            PolicyCall::Revert { text } => {
                let runs = log.waits && *log.running().text == **text;
                let before = log.earlier(None).filter(|_| runs)?;
                Some(self.with(log.clone(), before, false))
            }
            PolicyCall::Read => Some(log.clone()),
        }
    }

    /// A new revision runs.
    fn with(&self, mut log: PolicyLog, text: Arc<str>, waits: bool) -> PolicyLog {
        let number = Number::Above(log.running().number.floor());
        log.revisions.push_back(Revision { number, text });
        while log.revisions.len() > self.kept.max(1) {
            log.revisions.pop_front();
        }
        log.waits = waits;
        log
    }
}

impl PolicyLog {
    fn running(&self) -> &Revision {
        self.revisions.back().expect("one revision is always kept")
    }

    /// The log, if the running revision can have this number: then it has.
    fn told(mut self, number: u64) -> Option<Self> {
        let running = self.revisions.back_mut()?;
        let possible = match running.number {
            Number::Is(known) => known == number,
            Number::Above(floor) => number > floor,
        };
        running.number = Number::Is(number);
        possible.then_some(self)
    }

    /// The text to go back to.
    fn earlier(&self, to: Option<u64>) -> Option<Arc<str>> {
        let mut all = self.revisions.iter().rev();
        let found = match to {
            Some(number) => all.find(|it| it.number == Number::Is(number)),
            None => all.nth(1),
        };
        found.map(|it| Arc::clone(&it.text))
    }
}

impl Number {
    /// No later revision has this number, or a lower one. Of several unknown ones in a row each is one
    /// above the one before it, at least.
    fn floor(self) -> u64 {
        match self {
            Self::Is(number) => number,
            Self::Above(floor) => floor.saturating_add(1),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(number) => number.fmt(f),
            Self::Above(floor) => write!(f, "above {floor}"),
        }
    }
}

impl fmt::Display for PolicyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Revision { number, text } = self.running();
        let waits = if self.waits { ", waits to be confirmed" } else { "" };
        write!(f, "epoch {number} runs, {text:?}{waits}")
    }
}

impl fmt::Display for PolicyCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: &Option<u64>| number.map(|it| format!(" {it}")).unwrap_or_default();
        match self {
            Self::Commit { base, text, confirm } => {
                let base = base.map(|base| format!(" on {base}")).unwrap_or_default();
                write!(f, "commit {text:?}{base}{}", if *confirm { " --confirm" } else { "" })
            }
            Self::Rollback { to } => write!(f, "rollback{}", number(to)),
            Self::Confirm { epoch } => write!(f, "confirm{}", number(epoch)),
            Self::Revert { text } => write!(f, "revert of {text:?}"),
            Self::Read => f.write_str("read"),
        }
    }
}

impl fmt::Display for PolicyAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { epoch, text, waits } => {
                write!(f, "epoch {epoch}")?;
                text.iter().try_for_each(|text| write!(f, " {text:?}"))?;
                if *waits == Some(true) { f.write_str(", waits to be confirmed") } else { Ok(()) }
            }
            Self::Conflict { running } => write!(f, "conflict: {running} runs"),
            Self::Waits => f.write_str("refused: another one waits to be confirmed"),
            Self::Confirmed => f.write_str("confirmed"),
            Self::Refused => f.write_str("refused"),
        }
    }
}
