//! Where operators' requests come in, on any node: read, compared with what is in force, and brought to
//! whoever leads, under an id that lets them be repeated.

mod answers;
mod check;
mod history;
mod status;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use cluster_core::NodeId;
use cluster_core::policy::coordinator::Answer;
use cluster_core::policy::log::{Action, Cause, Content, Stamp};
use cluster_core::policy::{Command, Epoch, Line, Log, PolicyText, RequestId};
use cluster_net::policy::{self, Ask, AskError};
use cluster_net::raft::Raft;
use cluster_net::transport::{CallError, Sender};
use config::api::{self, Committed, Confirmed, Error};
use config::limits::CHANGES_TOLD;
use ractor::ActorRef;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::aside::aside;
use super::check::Checker;
use super::driver::{PolicyMessage, Seen, Standing};
use super::lately::Lately;
use super::limits::{LEADER_LOOK, LEADER_PATIENCE, LOOK_PATIENCE, REQUEST_PATIENCE};
use super::room::BESIDE;
use super::{Author, InForce, compile, founding, say};
use crate::clock;

/// What requests are answered with.
pub(crate) struct Desk {
    pub(super) node: NodeId,
    pub(super) raft: Raft<Log>,
    pub(super) sender: Option<Sender>,
    pub(super) actor: ActorRef<PolicyMessage>,
    pub(super) in_force: watch::Receiver<InForce>,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) seen: watch::Receiver<Seen>,
    /// None on a witness.
    pub(super) checker: Option<Checker>,
    pub(super) lately: Lately,
}

/// A text that was read: what is odd about it, and how it differs from what it replaces.
struct Studied {
    text: PolicyText,
    parsed: Arc<config::Policy>,
    changes: Vec<config::Change>,
    warnings: Vec<config::Diagnostic>,
}

/// A number that nobody else draws.
pub(super) fn random() -> u128 {
    let mut bytes = [0; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_err() {
        // Every Linux has it; without, the clock is the next best.
        bytes[..8].copy_from_slice(&clock::now().0.to_ne_bytes());
    }
    u128::from_ne_bytes(bytes)
}

impl Desk {
    /// Puts a policy in force on every node, or none.
    pub(crate) async fn commit(
        &self,
        request: api::CommitRequest,
        author: Author,
    ) -> Result<Committed, Error> {
        let id = self.id(request.request);
        let base = self.base(id, &request).await?;
        let studied = self.study(&request, base).await?;
        if request.check {
            return Ok(self.check(base, &request, studied, &author).await);
        }
        let Studied { text, parsed, changes, warnings } = studied;
        // It is compiled here as everywhere, once the log has it.
        self.lately.put(text.clone(), parsed);
        let action = Action::Propose {
            base,
            content: Content::Text { text },
            file: Line::cut(&request.file),
            comment: comment(request.comment.as_deref())?,
            confirm: request.confirm_milliseconds.map(Duration::from_millis),
        };
        let answer = self.submit(id, action, author).await?;
        match answers::committed(answer, request.confirm_milliseconds) {
            Ok(committed) => Ok(Committed { warnings, ..changed(committed, changes) }),
            Err(error) => Err(self.with_differences(error, base).await),
        }
    }

    /// Puts an earlier policy in force again; ends a trial if that is what it comes to.
    pub(crate) async fn rollback(
        &self,
        request: api::RollbackRequest,
        author: Author,
    ) -> Result<Committed, Error> {
        self.catch_up().await;
        let Earlier { running, to, action } =
            self.raft.look(|log, _| earlier(log, request.epoch))?;
        let changes = self.differences(running, to).await;
        let answer = self.submit(self.id(request.request), action, author).await?;
        let committed = answers::committed(answer, None)?;
        Ok(changed(committed, changes.unwrap_or_default()))
    }

    /// Keeps what is on trial.
    pub(crate) async fn confirm(
        &self,
        request: api::ConfirmRequest,
        author: Author,
    ) -> Result<Confirmed, Error> {
        let epoch = match request.epoch {
            Some(epoch) => Epoch(epoch),
            None => {
                self.catch_up().await;
                let trial = self.raft.look(|log, _| log.summary().trial);
                let none = || Error::new("no policy is on trial: there is nothing to confirm");
                trial.ok_or_else(none)?.epoch
            }
        };
        let id = self.id(request.request);
        answers::confirmed(self.submit(id, Action::Confirm { epoch }, author).await?)
    }

    fn id(&self, request: Option<api::RequestId>) -> RequestId {
        RequestId(request.map_or_else(random, |id| id.0))
    }

    /// The epoch that a commit replaces: what its author saw, or what is in force now. A conflict, and what a
    /// check finds, is told only of what all know: without a leader this node may have missed the latest.
    async fn base(&self, id: RequestId, request: &api::CommitRequest) -> Result<Epoch, Error> {
        let caught_up = self.raft.ensure_linearizable(LOOK_PATIENCE).await;
        let caught_up = caught_up.map(drop).map_err(|_| {
            self.disk_failed(false).unwrap_or_else(|| {
                Error::undecided(
                    "no node leads now, so what is in force elsewhere is not known here: nothing changed, \
                     try again",
                )
            })
        });
        if request.check {
            caught_up.clone()?;
        }
        let (running, is_known) =
            self.raft.look(|log, _| (log.summary().running.epoch, log.progress(id).is_some()));
        match request.base.map(Epoch) {
            Some(base) if base != running && !is_known => {
                caught_up?;
                let error = Error::new(say::conflict(running.0));
                Err(self.with_differences(error, base).await)
            }
            Some(base) => Ok(base),
            None => Ok(running),
        }
    }

    /// Waits, for a bounded time, until this node knows all that was agreed on before. Without a leader it
    /// knows what it knows, and whoever appends is told.
    async fn catch_up(&self) {
        let _ = self.raft.ensure_linearizable(LOOK_PATIENCE).await;
    }

    async fn study(&self, request: &api::CommitRequest, base: Epoch) -> Result<Studied, Error> {
        let before = self.said(base);
        let (file, text) = (request.file.clone(), request.text.clone());
        let work = move || -> Result<Studied, Error> {
            let config::Checked { value, warnings } = compile::parse(&file, &text, BESIDE)?;
            let parsed = Arc::new(value);
            let changes = config::diff(&*before.policy()?, &parsed);
            Ok(Studied { text: founding::text(&text)?, parsed, changes, warnings })
        };
        blocking(work).await
    }

    /// Brings a command to the leader, whoever that is, and waits for its answer.
    pub(super) async fn submit(
        &self,
        id: RequestId,
        action: Action,
        author: Author,
    ) -> Result<Answer, Error> {
        let stamp = Stamp { author: Line::cut(&author), wall: clock::wall() };
        let command = Command { request: Some(id), stamp, action };
        let begun = Instant::now();
        let deadline = begun + REQUEST_PATIENCE;
        let (mut led, mut asked) = (begun, false);
        loop {
            let leadership = *self.raft.leadership().borrow();
            if !leadership.running {
                return Err(self.disk_failed(asked).unwrap_or_else(|| self.stopped(asked)));
            }
            if let Some(leader) = leadership.leader {
                led = Instant::now();
                match self.ask(leader, &command, deadline).await {
                    Some(Answer::NotLeading) | None => {}
                    Some(answer @ Answer::Unknown { .. }) if Instant::now() >= deadline => {
                        return Ok(answer);
                    }
                    Some(Answer::Unknown { .. }) => asked = true,
                    Some(answer) => return Ok(answer),
                }
                asked |= leader != self.node || leadership.own;
            }
            let now = Instant::now();
            if now >= deadline || now - led >= LEADER_PATIENCE {
                return Err(self.leaderless(asked));
            }
            sleep(LEADER_LOOK).await;
        }
    }

    /// `None`: nobody knows whether it was heard; it may be asked again.
    async fn ask(&self, leader: NodeId, command: &Command, deadline: Instant) -> Option<Answer> {
        if leader == self.node {
            let (answer, answered) = oneshot::channel();
            let message = PolicyMessage::Request(Box::new(command.clone()), answer);
            self.actor.cast(message).ok()?;
            return timeout_at(deadline, answered).await.ok()?.ok();
        }
        let sender = self.sender.as_ref()?;
        let ask = Ask::Request(Box::new(command.clone()));
        let within = deadline.saturating_duration_since(Instant::now());
        match policy::ask(sender, leader, &ask, within).await {
            Ok(policy::Answer::Answered(answer)) => Some(*answer),
            Ok(_) => Some(Answer::NotLeading),
            Err(AskError::Call(CallError::Down | CallError::TooLarge)) => Some(Answer::NotLeading),
            Err(AskError::Call(CallError::Broken | CallError::Late) | AskError::Malformed) => None,
        }
    }

    /// This node's log stands still for its disk, if that is so; whether something was asked before.
    fn disk_failed(&self, asked: bool) -> Option<Error> {
        let why = self.raft.status().ailment?;
        let what = match asked {
            true => "what came of it is not known here",
            false => "nothing changed",
        };
        let text = format!(
            "the disk of this node failed ({why}), and its log stands still: {what}. Make room on the disk, \
             and it goes on by itself; or ask another node"
        );
        Some(if asked { Error::unknown(text) } else { Error::undecided(text) })
    }

    fn stopped(&self, asked: bool) -> Error {
        let epoch = self.in_force.borrow().version.epoch;
        let text = format!(
            "the log of this node has stopped: restart the daemon, or ask another node. Epoch {epoch} stays \
             in force here"
        );
        if asked { Error::unknown(text) } else { Error::undecided(text) }
    }

    /// Nobody leads: why, and what goes on all the same.
    fn leaderless(&self, asked: bool) -> Error {
        let status = self.raft.status();
        let standing = self.standing.borrow().clone();
        let heard = |node: &NodeId| {
            let it = standing.members.iter().find(|(member, _)| member == node);
            it.is_none_or(|(_, liveness)| {
                matches!(liveness, cluster_core::policy::coordinator::Liveness::Alive)
            })
        };
        let missing: Vec<String> = status
            .voters
            .iter()
            .filter(|node| **node != self.node && !heard(node))
            .map(ToString::to_string)
            .collect();
        let epoch = self.in_force.borrow().version.epoch;
        let who = match (missing.is_empty(), status.voters.len()) {
            (true, _) => "no node leads now: try again".to_owned(),
            (false, voters) => format!(
                "node {} is not heard, and {} of {voters} nodes must agree. If it is lost for good: \
                 `ringwall cluster recover --sole-survivor`",
                missing.join(", "),
                voters / 2 + 1
            ),
        };
        let text = format!("nothing can be agreed on: {who}. Epoch {epoch} stays in force here");
        if asked { Error::unknown(text) } else { Error::undecided(text) }
    }
}

/// A way back.
#[derive(Debug)]
struct Earlier {
    /// What is in force now.
    running: Epoch,
    /// Whose text comes back.
    to: Epoch,
    /// How.
    action: Action,
}

/// What is to be done to go back.
fn earlier(log: &Log, wanted: Option<u64>) -> Result<Earlier, Error> {
    let summary = log.summary();
    let running = summary.running.epoch;
    let to = match (wanted, summary.trial) {
        (Some(epoch), _) => Epoch(epoch),
        (None, Some(trial)) => trial.fallback,
        (None, None) => {
            let mut before = log.revisions().rev().map(|it| it.version.epoch);
            let before = before.find(|epoch| *epoch < running);
            before.ok_or_else(|| Error::new("there is no earlier revision"))?
        }
    };
    if let Some(trial) = summary.trial.filter(|it| it.fallback == to) {
        let action = Action::Revert { epoch: trial.epoch, cause: Cause::Rollback {} };
        return Ok(Earlier { running, to, action });
    }
    let file = log.revision(to).map(|it| it.file.clone()).unwrap_or_default();
    let comment = Line::cut(&format!("rollback to epoch {to}"));
    let content = Content::Again { of: to };
    let action = Action::Propose { base: running, content, file, comment, confirm: None };
    Ok(Earlier { running, to, action })
}

/// With the first of these changes, and the number of the others.
fn changed(committed: Committed, mut changes: Vec<config::Change>) -> Committed {
    let more_changes = changes.len().saturating_sub(CHANGES_TOLD);
    changes.truncate(CHANGES_TOLD);
    Committed { changes, more_changes, ..committed }
}

fn comment(text: Option<&str>) -> Result<Line, Error> {
    Line::new(text.unwrap_or_default()).map_err(|_| {
        let most = cluster_core::limits::LINE_BYTES;
        Error::new(format!("the comment is longer than {most} bytes"))
    })
}

/// Does work on a thread that may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let (tell, told) = oneshot::channel();
    // Whoever asked may have gone.
    aside(move || drop(tell.send(work())));
    told.await.map_err(|error| Error::new(format!("the answer was lost: {error}")))?
}

#[cfg(test)]
mod tests;
