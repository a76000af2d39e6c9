//! `commit --check`: what every firewall would say to a text. Nothing is put into the log.

use std::sync::Arc;

use cluster_core::NodeId;
use cluster_core::membership::Kind;
use cluster_core::policy::coordinator::Liveness;
use cluster_core::policy::local::Verdict;
use cluster_core::policy::log::{Action, Content, Stamp};
use cluster_core::policy::{Command, Epoch, Line};
use cluster_net::policy::{self, Answer, Ask, AskError};
use cluster_net::transport::CallError;
use config::api::{self, Committed, Refused, Unasked};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Desk, Studied, changed};
use crate::clock;
use crate::policy::limits::{CHECK_PATIENCE, DEAD_AFTER};
use crate::policy::{Author, Standing};

/// What a firewall said, or why it said nothing.
type Said = Result<Verdict, Silence>;

/// Why a firewall said nothing.
#[derive(Debug, PartialEq, Eq)]
struct Silence {
    why: String,
    down: bool,
}

impl Silence {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), down: false }
    }

    fn down() -> Self {
        Self { why: "it is down".to_owned(), down: true }
    }
}

impl Desk {
    /// What would change, and who would refuse it.
    pub(super) async fn check(
        &self,
        base: Epoch,
        request: &api::CommitRequest,
        studied: Studied,
        author: &Author,
    ) -> Committed {
        let Studied { text, parsed, changes, warnings } = studied;
        let content = Content::Text { text: text.clone() };
        let (file, comment) = (Line::cut(&request.file), Line::default());
        let action = Action::Propose { base, content, file, comment, confirm: None };
        let stamp = Stamp { author: Line::cut(author), wall: clock::wall() };
        let command = Command { request: None, stamp, action };
        let own = async {
            let Some(checker) = &self.checker else {
                // A witness runs no policy.
                return (self.node, Ok(Verdict::Ready {}));
            };
            let judged = timeout(CHECK_PATIENCE, checker.judge(&request.file, text, parsed)).await;
            let said = judged.map_err(|_| Silence::new("it checks others"));
            (
                self.node,
                said.and_then(|it| it.ok_or_else(|| Silence::new("it has no thread for that"))),
            )
        };
        let (own, others) = tokio::join!(own, self.ask_others(command));
        let mut said: Vec<_> = others.into_iter().chain([own]).collect();
        said.sort_by_key(|(node, _)| *node);
        let (refused, unasked) = sorted(said);
        let checked = Committed { epoch: base.0, warnings, ..Committed::default() };
        let checked = changed(checked, changes);
        Committed { checked_only: true, refused, unasked, ..checked }
    }

    /// Asks all other firewalls at once.
    async fn ask_others(&self, command: Command) -> Vec<(NodeId, Said)> {
        let ask = Arc::new(Ask::Check(Box::new(command)));
        let mut asked = JoinSet::new();
        for node in self.other_firewalls() {
            let Some(sender) = self.sender.clone() else { continue };
            let (ask, standing) = (Arc::clone(&ask), self.standing.clone());
            asked.spawn(async move {
                let said = tokio::select! {
                    biased;
                    // Sooner than the connection is given up.
                    () = is_down(standing.clone(), node) => Err(Silence::down()),
                    answer = policy::ask(&sender, node, &ask, CHECK_PATIENCE) => heard(answer),
                };
                match said {
                    // Without a connection it may be dead, which membership knows in a moment.
                    Err(silence) => match timeout(DEAD_AFTER, is_down(standing, node)).await {
                        Ok(()) => (node, Err(Silence::down())),
                        Err(_) => (node, Err(silence)),
                    },
                    Ok(verdict) => (node, Ok(verdict)),
                }
            });
        }
        asked.join_all().await
    }

    fn other_firewalls(&self) -> Vec<NodeId> {
        self.raft.look(|log, _| {
            let members = log.cluster().members().iter();
            let others = members.filter(|(node, _)| **node != self.node);
            others.filter(|(_, it)| it.kind == Kind::Firewall).map(|(node, _)| *node).collect()
        })
    }
}

/// Resolves when membership takes a node for dead.
async fn is_down(mut standing: watch::Receiver<Standing>, node: NodeId) {
    let dead = |standing: &Standing| {
        let known = standing.members.iter().find(|(member, _)| *member == node);
        known.is_some_and(|(_, liveness)| *liveness != Liveness::Alive)
    };
    // An error means that membership says nothing any more.
    if standing.wait_for(dead).await.is_err() {
        core::future::pending::<()>().await;
    }
}

fn heard(answer: Result<Answer, AskError>) -> Said {
    match answer {
        Ok(Answer::Checked(verdict)) => Ok(verdict),
        Err(AskError::Call(CallError::Late)) => {
            Err(Silence::new(format!("it did not answer within {} s", CHECK_PATIENCE.as_secs())))
        }
        Err(AskError::Call(CallError::Broken)) => {
            Err(Silence::new("it did not answer: does it run an older version?"))
        }
        Err(error @ AskError::Call(CallError::Down | CallError::TooLarge)) => {
            Err(Silence::new(error.to_string()))
        }
        Ok(_) | Err(AskError::Malformed) => Err(Silence::new(AskError::Malformed.to_string())),
    }
}

fn sorted(said: Vec<(NodeId, Said)>) -> (Vec<Refused>, Vec<Unasked>) {
    let (mut refused, mut unasked) = (Vec::new(), Vec::new());
    for (NodeId(node), said) in said {
        match said {
            Ok(Verdict::Ready {}) => {}
            Ok(Verdict::Refused { why }) => refused.push(Refused { node, why: why.to_string() }),
            Err(Silence { why, down }) => unasked.push(Unasked { node, why, down }),
        }
    }
    (refused, unasked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_and_who_was_not_asked_is_named() {
        let refused = Verdict::Refused { why: Line::cut("no port") };
        let late = heard(Err(AskError::Call(CallError::Late)));
        let said = [Ok(Verdict::Ready {}), heard(Ok(Answer::Checked(refused))), late];
        let said = (1..).map(NodeId).zip(said).collect();
        let (refused, unasked) = sorted(said);
        assert_eq!(refused, [Refused { node: 2, why: "no port".to_owned() }]);
        let why = "it did not answer within 10 s".to_owned();
        assert_eq!(unasked, [Unasked { node: 3, why, down: false }]);
        for error in [CallError::Down, CallError::TooLarge, CallError::Broken] {
            assert!(heard(Err(AskError::Call(error))).is_err());
        }
        assert!(heard(Ok(Answer::NotLeading)).is_err());
    }
}
