//! What the policy's machines say, in words.

use cluster_core::NodeId;
use cluster_core::policy::Outcome;
use cluster_core::policy::coordinator::{Excuse, Excused};
use cluster_core::policy::local::Event;
use cluster_core::policy::log::{Cause, Changed, Refusal, Withdrawal};
use config::api;

/// Tells people of what this node did by itself.
pub(super) fn event(event: &Event) {
    match event {
        Event::RevertedAlone { epoch } => {
            tracing::warn!(%epoch, "nobody confirmed the policy on trial in time: this node goes back");
        }
        Event::TookAgain { epoch } => {
            tracing::warn!(%epoch, "the policy on trial had been confirmed in time: it is taken again");
        }
        Event::CannotRun { version, why } => {
            let epoch = version.epoch.0;
            tracing::error!(
                epoch, %why,
                "THE POLICY IN FORCE CANNOT RUN HERE: this node forwards nothing; tried again"
            );
        }
    }
}

/// Why nothing happened.
pub(super) fn refusal(why: Refusal) -> String {
    match why {
        Refusal::Conflict { running } => conflict(running.0),
        Refusal::Busy { proposal } => format!(
            "another commit is under way (proposal {}): try again when it is over",
            proposal.0
        ),
        Refusal::OnTrial { epoch } => format!(
            "epoch {epoch} is on trial: `ringwall confirm` keeps it, `ringwall rollback` ends it; then \
             commit again"
        ),
        Refusal::NoSuchRevision { epoch } => {
            format!("epoch {epoch} is not kept: `ringwall history` lists those that are")
        }
        Refusal::NoFallback {} => {
            "the first policy cannot be on trial: there is none to go back to".to_owned()
        }
        Refusal::ConfirmTime {} => {
            "the time to confirm must be between a second and a day".to_owned()
        }
        Refusal::NotPending { running } => {
            format!("the commit is not under way any more; epoch {running} is in force")
        }
        Refusal::NotOnTrial { epoch, running } => {
            format!("epoch {epoch} is not on trial; epoch {running} is in force")
        }
        Refusal::NoSuchMember { node } => format!("there is no member {node}"),
        Refusal::Full {} => "there are as many of them as there may be".to_owned(),
        Refusal::StaleTerm { term } => format!("a later term, {term}, is recorded"),
        Refusal::StaleGeneration { generation } => {
            format!("a later generation, {generation}, is recorded")
        }
        Refusal::Witness { node } => format!("node {node} only votes: it has no slots"),
        Refusal::Weight { node } => {
            format!("the weight of node {node} is above {}", cluster_core::limits::WEIGHT_MAX)
        }
        Refusal::NoPlacementKey {} => "the cluster has no key for the placement yet".to_owned(),
        Refusal::Malformed {} => {
            "the entry cannot be read by this version: are all nodes of one version?".to_owned()
        }
    }
}

/// Another epoch is in force than a commit was made from.
pub(super) fn conflict(running: u64) -> String {
    format!(
        "epoch {running} is in force, not the one that this was made from: somebody else committed. Take \
         these changes in, and commit with `--base {running}`"
    )
}

/// Why a proposal came to nothing.
pub(super) fn withdrawal(who: Option<NodeId>, why: &Withdrawal) -> String {
    let node = who.map_or_else(|| "a node".to_owned(), |node| format!("node {node}"));
    match why {
        Withdrawal::Refused { why } => format!("{node} refuses it, so nothing changed: {why}"),
        Withdrawal::Unanswered {} => {
            format!("{node} did not say in time whether it can run it, so nothing changed")
        }
        Withdrawal::NobodyTried {} => {
            "no firewall is alive that could have tried it, so nothing changed".to_owned()
        }
        Withdrawal::Unwanted {} => "it was withdrawn, so nothing changed".to_owned(),
    }
}

/// Members that were not waited for.
pub(super) fn excused(excused: &[Excused]) -> Vec<api::Excused> {
    let one = |it: &Excused| api::Excused {
        node: it.node.0,
        why: match &it.why {
            Excuse::Down => "is down, and takes it before it forwards again".to_owned(),
            Excuse::Closed(why) => format!("does not forward: {why}"),
        },
    };
    excused.iter().map(one).collect()
}

/// An outcome as an entry of the history: its kind, which revision, which member, and in words.
pub(super) fn of_outcome(outcome: &Outcome) -> api::Event {
    use api::EventKind as Kind;
    let event = |kind, text: String| api::Event { kind, text, ..api::Event::default() };
    match outcome {
        Outcome::Proposed { epoch, .. } => {
            api::Event { epoch: Some(epoch.0), ..event(Kind::Commit, "proposed".to_owned()) }
        }
        Outcome::Committed { epoch, reverts_as } => {
            let trial = if reverts_as.is_some() { "in force, on trial" } else { "in force" };
            api::Event { epoch: Some(epoch.0), ..event(Kind::Commit, trial.to_owned()) }
        }
        Outcome::Withdrawn { who, why, .. } => {
            let node = who.map(|node| node.0);
            api::Event { node, ..event(Kind::Withdraw, withdrawal(*who, why)) }
        }
        Outcome::Confirmed { epoch } => {
            api::Event { epoch: Some(epoch.0), ..event(Kind::Confirm, "it stays".to_owned()) }
        }
        Outcome::Reverted { epoch, now, cause } => {
            let why = match cause {
                Cause::Deadline {} => "nobody confirmed it in time",
                Cause::Rollback {} => "rolled back",
            };
            let text = format!("epoch {epoch} went: {why}");
            api::Event { epoch: Some(now.0), ..event(Kind::Revert, text) }
        }
        Outcome::Changed { what } => changed(what),
        Outcome::Refused { why } => event(Kind::Withdraw, refusal(*why)),
    }
}

fn changed(what: &Changed) -> api::Event {
    use api::EventKind as Kind;
    let event = |kind, text: String| api::Event { kind, text, ..api::Event::default() };
    match what {
        Changed::Member { node } => {
            api::Event { node: Some(node.0), ..event(Kind::Member, "came, or changed".to_owned()) }
        }
        Changed::Left { node } => {
            api::Event { node: Some(node.0), ..event(Kind::Leave, "went".to_owned()) }
        }
        Changed::Zones { numbered } => event(Kind::Zones, format!("{numbered} have numbers")),
        Changed::Placement { term } => event(Kind::Owner, format!("since term {term}")),
        Changed::Setting { key } => event(Kind::Setting, key.to_string()),
        Changed::Secret { name } => event(Kind::Secret, name.to_string()),
        Changed::Shares { placement } => event(Kind::Owner, format!("of slots: table {placement}")),
        Changed::Recovered { generation } => {
            event(Kind::Recover, format!("generation {generation}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use cluster_core::policy::Line;

    use super::*;

    #[test]
    fn a_refusal_names_who_and_why() {
        let why = Withdrawal::Refused { why: Line::cut("zone b names port `wan`") };
        let told = withdrawal(Some(NodeId(2)), &why);
        assert_eq!(told, "node 2 refuses it, so nothing changed: zone b names port `wan`");
    }

    #[test]
    fn a_secret_is_told_by_its_name() {
        let what = Changed::Secret { name: Line::cut("ca") };
        let event = of_outcome(&Outcome::Changed { what });
        assert_eq!((event.kind, event.text.as_str()), (api::EventKind::Secret, "ca"));
    }
}
