//! Whether a text could run on this node, asked without agreeing on anything: by an operator here, or by a
//! member for one elsewhere.

use std::sync::Arc;

use cluster_core::policy::local::Verdict;
use cluster_core::policy::log::Content;
use cluster_core::policy::{Action, Command, Epoch, PolicyText, Version};
use cluster_net::policy::Answer;
use cluster_net::transport::Call;
use tokio::sync::{Semaphore, oneshot};

use super::Implicit;
use super::aside::aside;
use super::limits::CHECKS;
use super::workbench::Order;

/// What a text is tried for. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    ports: Vec<String>,
    implicit: Vec<Implicit>,
    /// Each compiles a whole policy: they take turns.
    turn: Arc<Semaphore>,
}

impl Checker {
    pub(super) fn new(ports: Vec<String>, implicit: Vec<Implicit>) -> Self {
        Self { ports, implicit, turn: Arc::new(Semaphore::new(CHECKS)) }
    }

    /// What this node would say to a proposal of the text, but for its room on the disk: nothing is written.
    /// Nothing, if it is not wanted any more when its turn comes.
    async fn judge_if(
        &self,
        file: &str,
        (text, parsed): (PolicyText, Option<Arc<config::Policy>>),
        is_wanted: impl FnOnce() -> bool,
    ) -> Option<Verdict> {
        let _turn = self.turn.acquire().await.ok().filter(|_| is_wanted())?;
        let order = Order {
            // Any number will do.
            version: Version { epoch: Epoch(1), source: Epoch(1) },
            file: file.to_owned(),
            text,
            parsed,
            comment: None,
            strict: true,
            disk: None,
            ports: self.ports.clone(),
            implicit: self.implicit.clone(),
        };
        let (tell, told) = oneshot::channel();
        // Whoever asked may have gone.
        aside(move || drop(tell.send(order.compile().err())));
        let refused = told.await.ok()?;
        Some(refused.map_or(Verdict::Ready {}, |why| Verdict::Refused { why }))
    }

    /// The same for an operator of this node, where the text was parsed. Nothing, if there is no thread for
    /// it.
    pub(super) async fn judge(
        &self,
        file: &str,
        text: PolicyText,
        parsed: Arc<config::Policy>,
    ) -> Option<Verdict> {
        self.judge_if(file, (text, Some(parsed)), || true).await
    }

    /// Answers a member, unless it has given up meanwhile. What is no text is not answered.
    pub(super) async fn answer(self, call: Call, command: Command) {
        let Action::Propose { content: Content::Text { text }, file, .. } = command.action else {
            return;
        };
        let judged = self.judge_if(file.as_str(), (text, None), || call.is_wanted()).await;
        if let Some(verdict) = judged {
            call.answer(Answer::Checked(verdict).encode());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: &str = "[zones]\na = [\"lan\"]\n";

    async fn judged(text: &str) -> Verdict {
        let checker = Checker::new(vec!["lan".to_owned()], Vec::new());
        let text = PolicyText::new(text).expect("short");
        checker.judge_if("p.toml", (text, None), || true).await.expect("a thread")
    }

    #[tokio::test]
    async fn a_text_is_judged_as_a_proposal_of_it_would_be() {
        assert_eq!(judged(LAN).await, Verdict::Ready {});
        let wan = LAN.replace("lan", "wan");
        for (text, part) in [(wan.as_str(), "names port `wan`"), ("nonsense", "is not valid")] {
            let Verdict::Refused { why } = judged(text).await else { panic!("{text}") };
            assert!(why.as_str().contains(part), "{why}");
        }
    }

    #[tokio::test]
    async fn who_has_given_up_costs_nothing() {
        let checker = Checker::new(Vec::new(), Vec::new());
        let text = PolicyText::new(LAN).expect("short");
        assert_eq!(checker.judge_if("p.toml", (text, None), || false).await, None);
    }
}
