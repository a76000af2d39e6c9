//! How the node stands to what its cluster agrees on: lines for `show policy` and `show cluster`.

use config::api::{self, Pending, PolicyStatus, Raft, Trial};
use serde::Serialize;

use crate::client::{Client, ClientError};
use crate::out::Out;
use crate::render::numbers;
use crate::table::{Table, duration, instant};

/// An answer of the API, and beside it how the node stands.
#[derive(Serialize)]
pub(super) struct With<'a, T> {
    #[serde(flatten)]
    pub(super) answer: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy_status: Option<&'a PolicyStatus>,
}

/// Asks the node; none if it does not tell, as an older one.
pub(super) fn ask(client: &Client) -> Result<Option<PolicyStatus>, ClientError> {
    match client.get(api::POLICY_STATUS) {
        Ok(status) => Ok(Some(status)),
        Err(ClientError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What becomes of the policy in force, and what is being tried.
pub(super) fn policy(status: &PolicyStatus, out: &mut Out<'_>) -> std::io::Result<()> {
    if status.source != status.epoch {
        out.line(format!("it says again what epoch {} said", status.source))?;
    }
    if let Some(Trial { epoch, fallback, left_milliseconds }) = status.trial {
        let left = duration(left_milliseconds);
        out.line(format!(
            "epoch {epoch} is ON TRIAL: epoch {fallback} comes back in {left} unless `ringwall confirm`"
        ))?;
    }
    if let Some(pending) = &status.pending {
        out.line(pending_line(pending))?;
    }
    if let Some(why) = &status.unable {
        out.line(format!("THIS NODE CANNOT RUN THE NEWEST POLICY, and does not forward: {why}"))?;
    }
    Ok(())
}

fn pending_line(pending: &Pending) -> String {
    let author = pending.author.as_ref().map(|author| format!(" by {author}")).unwrap_or_default();
    let since = pending.proposed_unix_seconds.map(|at| format!(" at {}", instant(at)));
    let since = since.unwrap_or_default();
    format!("epoch {} is being tried on every node, proposed{author}{since}", pending.epoch)
}

/// How the log does, and whether this node may begin to forward.
pub(super) fn log(status: &PolicyStatus, out: &mut Out<'_>) -> std::io::Result<()> {
    out.line(raft_line(&status.raft))?;
    let may = if status.may_forward { "may" } else { "MAY NOT" };
    out.line(format!("by its policy this node {may} begin to forward"))
}

fn raft_line(raft: &Raft) -> String {
    if let Some(why) = &raft.disk_failed {
        return format!(
            "log: IT STANDS STILL, as this node's disk failed ({why}); make room, and it goes on by itself"
        );
    }
    if !raft.running {
        return "log: it does not run".to_owned();
    }
    let leader = match (raft.own, raft.leader) {
        (true, Some(_)) => "this node leads".to_owned(),
        (true, None) => "this node was elected, and no majority answers it".to_owned(),
        (false, Some(leader)) => format!("node {leader} leads"),
        (false, None) => "NOBODY LEADS: nothing can be committed".to_owned(),
    };
    let entry = |it: Option<u64>| it.map_or_else(|| "none".to_owned(), |it| it.to_string());
    let (applied, last) = (entry(raft.applied), entry(raft.last));
    let learners = match raft.learners.as_slice() {
        [] => String::new(),
        learners => format!("; learners {}", numbers(learners)),
    };
    let span = |it: Option<u64>| it.map_or_else(|| "-".to_owned(), |it| format!("{it} µs"));
    let (half, most) = (span(raft.sync_p50_microseconds), span(raft.sync_p99_microseconds));
    format!(
        "log: {leader}, in term {}; entry {applied} of {last}; voters {}{learners}; \
         disk p50 {half}, p99 {most}",
        raft.term,
        numbers(&raft.voters)
    )
}

/// The members that the log names.
pub(super) fn members(status: &PolicyStatus, out: &mut Out<'_>) -> std::io::Result<()> {
    let raft = &status.raft;
    let mut table = Table::new(&["NODE", "NAME", "KIND", "VOTE", "ADDRESS"]);
    for member in &status.members {
        let vote = match (raft.voters.contains(&member.node), raft.learners.contains(&member.node))
        {
            (true, _) => "voter",
            (false, true) => "learner",
            (false, false) => "",
        };
        let [name, address] = [&member.name, &member.address].map(Clone::clone);
        table.row([
            member.node.to_string(),
            name,
            member.kind.name().to_owned(),
            vote.to_owned(),
            address,
        ]);
    }
    table.print("the log names no member", out)
}

#[cfg(test)]
mod tests {
    use config::api::{MemberKind, Pending, PolicyMember, PolicyStatus, Raft, Trial};

    use super::{log, members, policy, raft_line};
    use crate::out::Out;

    fn printed(
        tell: fn(&PolicyStatus, &mut Out<'_>) -> std::io::Result<()>,
        status: &PolicyStatus,
    ) -> Vec<String> {
        let mut bytes = Vec::new();
        tell(status, &mut Out::to(&mut bytes, false)).unwrap();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    fn raft() -> Raft {
        Raft {
            running: true,
            leader: Some(2),
            term: 3,
            voters: vec![1, 2, 3],
            learners: vec![4],
            applied: Some(41),
            last: Some(42),
            sync_p50_microseconds: Some(900),
            ..Raft::default()
        }
    }

    #[test]
    fn a_quiet_policy_has_nothing_to_be_told() {
        let status = PolicyStatus { epoch: 5, source: 5, ..PolicyStatus::default() };
        assert!(printed(policy, &status).is_empty());
    }

    #[test]
    fn what_moves_is_told() {
        let status = PolicyStatus {
            epoch: 5,
            source: 3,
            trial: Some(Trial { epoch: 5, fallback: 4, left_milliseconds: 598_000 }),
            pending: Some(Pending {
                epoch: 7,
                author: Some("ada".to_owned()),
                proposed_unix_seconds: Some(1_700_000_000),
                confirm_milliseconds: None,
            }),
            unable: Some("there is no port `dmz`".to_owned()),
            ..PolicyStatus::default()
        };
        let lines = [
            "it says again what epoch 3 said",
            "epoch 5 is ON TRIAL: epoch 4 comes back in 9m 58s unless `ringwall confirm`",
            "epoch 7 is being tried on every node, proposed by ada at 2023-11-14 22:13:20Z",
            "THIS NODE CANNOT RUN THE NEWEST POLICY, and does not forward: there is no port `dmz`",
        ];
        assert_eq!(printed(policy, &status), lines);
    }

    #[test]
    fn the_log_says_who_leads_and_how_far_it_is() {
        let status = PolicyStatus { raft: raft(), may_forward: true, ..PolicyStatus::default() };
        let lines = [
            "log: node 2 leads, in term 3; entry 41 of 42; voters 1, 2, 3; learners 4; \
             disk p50 900 µs, p99 -",
            "by its policy this node may begin to forward",
        ];
        assert_eq!(printed(log, &status), lines);
        let rows = [
            (Raft { own: true, ..raft() }, "this node leads"),
            (Raft { own: true, leader: None, ..raft() }, "no majority answers it"),
            (Raft { leader: None, ..raft() }, "NOBODY LEADS: nothing can be committed"),
            (Raft { running: false, ..raft() }, "log: it does not run"),
            (
                Raft { running: false, disk_failed: Some("full".to_owned()), ..raft() },
                "failed (full)",
            ),
        ];
        for (raft, part) in rows {
            assert!(raft_line(&raft).contains(part), "{raft:?}");
        }
        assert!(raft_line(&Raft { applied: None, ..raft() }).contains("entry none of 42"));
    }

    #[test]
    fn members_are_told_with_their_votes() {
        let member = |node, kind, name: &str| PolicyMember {
            node,
            kind,
            address: format!("10.0.9.{node}:7400"),
            name: name.to_owned(),
        };
        let named = vec![
            member(1, MemberKind::Firewall, "fw1"),
            member(3, MemberKind::Witness, "w"),
            member(4, MemberKind::Firewall, "fw4"),
            member(5, MemberKind::Firewall, "fw5"),
        ];
        let status = PolicyStatus { raft: raft(), members: named, ..PolicyStatus::default() };
        let lines = [
            "NODE  NAME  KIND      VOTE     ADDRESS",
            "1     fw1   firewall  voter    10.0.9.1:7400",
            "3     w     witness   voter    10.0.9.3:7400",
            "4     fw4   firewall  learner  10.0.9.4:7400",
            "5     fw5   firewall  -        10.0.9.5:7400",
        ];
        assert_eq!(printed(members, &status), lines);
    }
}
