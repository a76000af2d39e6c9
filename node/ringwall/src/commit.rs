//! `commit`: puts another policy in force, on every node.

use std::path::PathBuf;

use clap::Args;
use config::api::{self, CommitRequest, Committed};

use crate::failure::Failure;
use crate::insist::Insistence;
use crate::out::Out;
use crate::settled::{self, Settled};
use crate::span::{confirm_time, span};
use crate::{files, render};

#[derive(Args, Debug)]
#[command(after_help = "\
It returns when every node runs the policy, or certainly does not forward. If the connection breaks, or \
nobody can tell yet what came of it, it asks again for a minute, and nothing is done twice.\n\n\
Exit status: 0 done, 1 refused or failed (with --check: some node would refuse it), 2 usage, 3 in force, but \
a node did not say in time that it runs it, 4 not known: ask again with --request.")]
pub(crate) struct Options {
    #[command(flatten)]
    insistence: Insistence,
    /// Policy file; its lists are sent along
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Epoch that the file was made from: another one in force is a conflict
    #[arg(long, value_name = "EPOCH")]
    base: Option<u64>,
    /// On trial: the policy before comes back after this time (90s, 10m, 1h), unless `ringwall confirm`
    #[arg(long, value_name = "TIME", value_parser = confirm_time)]
    confirm: Option<u64>,
    /// Only tell what would change, and which firewall would refuse it, or could not be asked
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let path = &options.file;
    let text = files::read(path)?;
    let rejected = |diagnostics| Failure::Rejected { what: "policy", diagnostics };
    let text = files::inlined(path, &text).map_err(rejected)?;
    let request = |request| CommitRequest {
        file: path.to_string_lossy().into_owned(),
        text,
        comment: options.comment.clone(),
        base: options.base,
        confirm_milliseconds: options.confirm,
        check: options.check,
        request: Some(request),
    };
    let committed: Committed = options.insistence.post(api::COMMIT, request)?;
    print(&committed, out)
}

/// What is in force now, how it differs, and where it is not known to be.
pub(crate) fn print(committed: &Committed, out: &mut Out<'_>) -> Result<(), Failure> {
    if out.json() {
        out.value(committed)?;
    } else {
        tell(committed, out)?;
    }
    let heard = committed.unasked.iter().all(|it| it.down);
    if !committed.refused.is_empty() || !heard {
        return Err(Failure::Reported);
    }
    let may = "may forward under the policy before";
    settled::judge(&committed.missing, may)
}

fn tell(committed: &Committed, out: &mut Out<'_>) -> Result<(), Failure> {
    let Committed { epoch, changes, warnings, .. } = committed;
    out.bytes(render::diagnostics(warnings).as_bytes())?;
    for change in changes {
        out.line(change.to_string())?;
    }
    if committed.more_changes > 0 {
        out.line(format!("… and {} more changes", committed.more_changes))?;
    }
    if changes.is_empty() {
        out.line("it says what the policy before says")?;
    }
    if committed.checked_only {
        for it in &committed.refused {
            out.line(format!("node {} would refuse it: {}", it.node, it.why))?;
        }
        for it in &committed.unasked {
            out.line(format!("node {} was not asked: {}", it.node, it.why))?;
        }
        return Ok(out.line("nothing changed")?);
    }
    let (excused, missing) = (&committed.excused, &committed.missing);
    let settled = Settled { took_milliseconds: committed.took_milliseconds, excused, missing };
    settled.tell(&format!("epoch {epoch} is in force"), out)?;
    if let Some(reverts) = committed.reverts {
        let left = span(reverts.in_milliseconds);
        out.line(format!(
            "epoch {epoch} is on trial: it reverts in {left} unless `ringwall confirm`"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use config::api::{Committed, Excused, Refused, Reverts, Unasked};
    use config::{Change, Diagnostic, Severity};

    use super::print;
    use crate::failure::Failure;
    use crate::out::Out;

    fn printed(committed: &Committed, json: bool) -> (String, Result<(), Failure>) {
        let mut bytes = Vec::new();
        let done = print(committed, &mut Out::to(&mut bytes, json));
        (String::from_utf8(bytes).unwrap(), done)
    }

    fn committed() -> Committed {
        let changes = vec![Change::ZoneRemoved { zone: "dmz".to_owned() }];
        Committed { epoch: 7, changes, took_milliseconds: 38, ..Committed::default() }
    }

    #[test]
    fn says_what_changed_and_where_it_is_in_force() {
        let (told, done) = printed(&committed(), false);
        assert_eq!(told, "- zone dmz\nepoch 7 is in force on every node (38 ms)\n");
        done.unwrap();
        let warning = Diagnostic {
            severity: Severity::Warning,
            file: "p.toml".to_owned(),
            line: 1,
            column: 1,
            message: "unused".to_owned(),
            source: "a".to_owned(),
            hint: None,
        };
        let warned = Committed { warnings: vec![warning], changes: Vec::new(), ..committed() };
        let (told, done) = printed(&warned, false);
        assert!(told.starts_with("warning: unused\n --> p.toml:1:1\n"), "{told}");
        let end =
            "it says what the policy before says\nepoch 7 is in force on every node (38 ms)\n";
        assert!(told.ends_with(end), "{told}");
        done.unwrap();
    }

    #[test]
    fn a_trial_says_when_it_ends_and_what_keeps_it() {
        let reverts = Some(Reverts { epoch: 8, in_milliseconds: 600_000 });
        let (told, done) = printed(&Committed { reverts, ..committed() }, false);
        let last = "epoch 7 is on trial: it reverts in 10m unless `ringwall confirm`";
        assert_eq!(told.lines().last(), Some(last));
        done.unwrap();
    }

    #[test]
    fn who_was_not_waited_for_is_named_and_is_no_failure() {
        let excused = vec![Excused { node: 3, why: "it is down".to_owned() }];
        let (told, done) = printed(&Committed { excused, ..committed() }, false);
        let lines = "epoch 7 is in force on every node that may forward (38 ms)\n\
                     node 3 was not waited for: it is down\n";
        assert_eq!(told, format!("- zone dmz\n{lines}"));
        done.unwrap();
    }

    #[test]
    fn who_did_not_say_that_it_runs_it_is_a_status_of_its_own() {
        let missing = Committed { missing: vec![2, 3], took_milliseconds: 10_000, ..committed() };
        let (told, done) = printed(&missing, false);
        assert_eq!(told, "- zone dmz\nepoch 7 is in force (10.0s)\n");
        let Err(Failure::Missing { nodes, .. }) = &done else { panic!("{done:?}") };
        assert_eq!(nodes, &[2, 3]);
        let (json, done) = printed(&missing, true);
        assert!(matches!(done, Err(Failure::Missing { .. })), "{done:?}");
        assert_eq!(serde_json::from_str::<Committed>(&json).unwrap(), missing);
    }

    #[test]
    fn a_check_changes_nothing_and_fails_where_a_node_would() {
        let check = Committed { epoch: 6, checked_only: true, ..committed() };
        let (told, done) = printed(&check, false);
        assert_eq!(told, "- zone dmz\nnothing changed\n");
        done.unwrap();
        let refused = vec![Refused { node: 2, why: "there is no port `dmz`".to_owned() }];
        let (told, done) = printed(&Committed { refused, ..check.clone() }, false);
        let line = "node 2 would refuse it: there is no port `dmz`";
        assert_eq!(told, format!("- zone dmz\n{line}\nnothing changed\n"));
        assert!(matches!(done, Err(Failure::Reported)), "{done:?}");
        let silent = |why: &str, down| Unasked { node: 3, why: why.to_owned(), down };
        let unasked = vec![silent("it is down", true)];
        let (told, done) = printed(&Committed { unasked, ..check.clone() }, false);
        assert_eq!(told, "- zone dmz\nnode 3 was not asked: it is down\nnothing changed\n");
        done.unwrap();
        let unasked = vec![silent("it did not answer", false)];
        let (_, done) = printed(&Committed { unasked, ..check }, false);
        assert!(matches!(done, Err(Failure::Reported)), "a commit would wait for it: {done:?}");
    }
}
