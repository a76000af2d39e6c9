//! The policy's actor and the other members: what comes in becomes a message, what goes out is a task that
//! sends back what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cluster_core::NodeId;
use cluster_core::policy::local::Report;
use cluster_core::policy::{Command, encode_command};
use cluster_net::policy::{self, Answer, Ask};
use cluster_net::raft::{Applied, Leadership, ProposeError};
use cluster_net::transport::Call;
use ractor::ActorRef;
use tokio::sync::{mpsc, oneshot, watch};
use wire::Time;

use super::driver::{Driver, PolicyMessage, Standing};
use super::limits::{APPEND_TIMEOUT, REQUEST_PATIENCE, WORD_TIMEOUT};
use crate::clock;

use crate::cluster::Admitted;

type Myself = ActorRef<PolicyMessage>;

/// Tells that the log has moved, once until it is looked at.
pub(super) async fn tell_applied(
    mut applied: mpsc::Receiver<Applied>,
    moved: Arc<AtomicBool>,
    myself: Myself,
) {
    while applied.recv().await.is_some() {
        if !moved.swap(true, Ordering::SeqCst) && myself.cast(PolicyMessage::Applied).is_err() {
            return;
        }
    }
}

/// Tells who leads.
pub(super) async fn tell_leadership(mut leadership: watch::Receiver<Leadership>, myself: Myself) {
    loop {
        let seen = *leadership.borrow_and_update();
        let told = myself.cast(PolicyMessage::Leadership(seen));
        if told.is_err() || leadership.changed().await.is_err() {
            return;
        }
    }
}

/// Tells what membership says.
pub(super) async fn tell_standing(mut standing: watch::Receiver<Standing>, myself: Myself) {
    loop {
        let seen = standing.borrow_and_update().clone();
        let told = myself.cast(PolicyMessage::Standing(seen));
        if told.is_err() || standing.changed().await.is_err() {
            return;
        }
    }
}

/// Tells who was let in.
pub(super) async fn tell_admitted(mut admitted: mpsc::Receiver<Admitted>, myself: Myself) {
    while let Some(admitted) = admitted.recv().await {
        if myself.cast(PolicyMessage::Admitted(admitted)).is_err() {
            return;
        }
    }
}

/// Passes on what members ask; the transport's queue is the bound, and `moved` of it is in the mailbox.
pub(super) async fn tell_calls(mut calls: mpsc::Receiver<Call>, myself: Myself) {
    while let Some(call) = calls.recv().await {
        if myself.cast(PolicyMessage::Asked(call)).is_err() {
            return;
        }
    }
}

/// Answers a member.
pub(super) fn answer(driver: &mut Driver, call: Call) {
    let Ok(ask) = Ask::decode(&call.message) else {
        // Dropped: the asker hears that it is refused.
        tracing::warn!(node = %call.node, "a question about the policy that cannot be read");
        return;
    };
    match ask {
        Ask::Report(report) if report.node == call.node => {
            call.answer(Answer::Noted.encode());
            let told = cluster_core::policy::coordinator::Input::Report(&report);
            driver.tell_coordinator(told);
        }
        // Nobody speaks for another.
        Ask::Report(_) => {}
        Ask::WantReport => {
            let answer = match driver.local.stands_still() {
                Some(why) => Answer::StandsStill(why.clone()),
                None => Answer::Report(driver.local.report()),
            };
            call.answer(answer.encode());
        }
        Ask::Clear { asked } if driver.leads() => {
            let node = call.node;
            driver.clear_later(node, asked, call);
            make_sure(driver, node, asked);
        }
        Ask::Clear { .. } => call.answer(Answer::NotLeading.encode()),
        Ask::Request(command) if driver.leads() => {
            let (answer, answered) = oneshot::channel();
            let message = PolicyMessage::Request(command, answer);
            drop(driver.myself.cast(message));
            tokio::spawn(async move {
                if let Ok(answer) = answered.await {
                    call.answer(Answer::Answered(Box::new(answer)).encode());
                }
            });
        }
        Ask::Request(_) => call.answer(Answer::NotLeading.encode()),
        Ask::Check(command) => {
            // A witness is asked by nobody, and does not answer.
            if let Some(checker) = driver.checker.clone() {
                tokio::spawn(checker.answer(call, *command));
            }
        }
    }
}

/// The answer to who asked to be cleared.
pub(super) fn cleared(call: Call, index: u64) {
    call.answer(Answer::Cleared { index }.encode());
}

/// Makes sure by a round to a majority that this node still leads.
fn make_sure(driver: &Driver, node: NodeId, asked: Time) {
    let (raft, myself) = (driver.raft.clone(), driver.myself.clone());
    tokio::spawn(async move {
        if let Ok(index) = raft.ensure_linearizable(WORD_TIMEOUT).await {
            drop(myself.cast(PolicyMessage::Leading { node, asked, index }));
        }
    });
}

/// Asks the leader to clear this node.
pub(super) fn ask_clearance(driver: &Driver, asked: Time) {
    if driver.leads() {
        return make_sure(driver, driver.node, asked);
    }
    let Some((sender, leader)) = driver.sender.clone().zip(driver.leadership.leader) else {
        return;
    };
    let myself = driver.myself.clone();
    tokio::spawn(async move {
        let answer = policy::ask(&sender, leader, &Ask::Clear { asked }, WORD_TIMEOUT).await;
        if let Ok(Answer::Cleared { index }) = answer {
            drop(myself.cast(PolicyMessage::Cleared { asked, index }));
        }
    });
}

/// Tells the leader how this node stands.
pub(super) fn tell(driver: &mut Driver, report: Report) {
    if driver.leads() {
        let told = cluster_core::policy::coordinator::Input::Report(&report);
        return driver.tell_coordinator(told);
    }
    let Some((sender, leader)) = driver.sender.clone().zip(driver.leadership.leader) else {
        return;
    };
    tokio::spawn(async move {
        // A report that is lost is asked for.
        let _ = policy::ask(&sender, leader, &Ask::Report(report), WORD_TIMEOUT).await;
    });
}

/// Asks a member how it stands.
pub(super) fn ask_report(driver: &Driver, node: NodeId) {
    let Some(sender) = driver.sender.clone() else { return };
    let (myself, asked) = (driver.myself.clone(), clock::now());
    tokio::spawn(async move {
        let answer = policy::ask(&sender, node, &Ask::WantReport, WORD_TIMEOUT).await;
        let message = match answer {
            Ok(Answer::Report(report)) => PolicyMessage::Reported(Box::new(report)),
            Ok(Answer::StandsStill(why)) => PolicyMessage::StandsStill { node, asked, why },
            Ok(_) | Err(_) => return,
        };
        drop(myself.cast(message));
    });
}

/// Has an entry agreed on.
pub(super) fn append(driver: &Driver, command: Command) {
    let (raft, myself) = (driver.raft.clone(), driver.myself.clone());
    let within = if command.request.is_some() { REQUEST_PATIENCE } else { APPEND_TIMEOUT };
    tokio::spawn(async move {
        let proposed = propose(&raft, &command, within).await;
        match proposed {
            // What came of it is seen in the log.
            Ok(_) | Err(ProposeError::Unknown) => {}
            Err(error) => {
                tracing::warn!(?error, "an entry was not taken into the log");
                drop(myself.cast(PolicyMessage::NotAppended(Box::new(command))));
            }
        }
    });
}

/// Has a command agreed on, wherever it leads.
pub(super) async fn propose(
    raft: &cluster_net::raft::Raft<cluster_core::policy::Log>,
    command: &Command,
    within: Duration,
) -> Result<cluster_net::raft::Proposed, ProposeError> {
    raft.propose(Bytes::from(encode_command(command)), within).await
}
