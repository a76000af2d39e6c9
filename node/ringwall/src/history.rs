//! `history`: the policies that were in force, the newest first; or all that was decided lately.

use clap::Args;
use config::api::{self, Event, EventKind, History, Revision, RevisionKind};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::{Table, instant};

#[derive(Args, Debug)]
#[command(after_help = "\
`ringwall compare N M` tells how two of them differ, `ringwall rollback N` puts one in force again.")]
pub(crate) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// What else was decided: what came to nothing, was confirmed or reverted, members, settings
    #[arg(long)]
    events: bool,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let history = options.daemon.client()?.get(api::HISTORY)?;
    print(&history, options.events, out)
}

fn print(history: &History, events: bool, out: &mut Out<'_>) -> Result<(), Failure> {
    if out.json() {
        return Ok(out.value(history)?);
    }
    if events {
        let mut table = Table::new(&["ENTRY", "WHEN", "AUTHOR", "WHAT", "EPOCH", "NODE", ""]);
        history.events.iter().for_each(|event| table.row(event_row(event)));
        return Ok(table.print("nothing was decided lately", out)?);
    }
    let mut table =
        Table::new(&["", "EPOCH", "WHEN", "AUTHOR", "KIND", "CHANGES", "FILE", "COMMENT"]);
    history.revisions.iter().for_each(|revision| table.row(row(revision)));
    Ok(table.print("nothing was ever committed", out)?)
}

fn row(revision: &Revision) -> [String; 8] {
    [
        if revision.in_force { "*" } else { " " }.to_owned(),
        revision.epoch.to_string(),
        revision.committed_unix_seconds.map(instant).unwrap_or_default(),
        revision.author.clone().unwrap_or_default(),
        kind(revision),
        revision.changes.map(|count| count.to_string()).unwrap_or_default(),
        revision.file.clone(),
        revision.comment.clone().unwrap_or_default(),
    ]
}

/// How it came to be in force, and whose text it has again.
fn kind(revision: &Revision) -> String {
    let word = match revision.kind {
        RevisionKind::Commit => "commit",
        RevisionKind::Rollback => "rollback",
        RevisionKind::Revert => "revert",
    };
    let source = revision.source.filter(|source| *source != revision.epoch);
    source.map_or_else(|| word.to_owned(), |source| format!("{word} to {source}"))
}

fn event_row(event: &Event) -> [String; 7] {
    let number = |number: Option<u64>| number.map(|it| it.to_string()).unwrap_or_default();
    [
        event.index.to_string(),
        instant(event.unix_seconds),
        event.author.clone(),
        event_name(event.kind).to_owned(),
        number(event.epoch),
        number(event.node.map(u64::from)),
        event.text.clone(),
    ]
}

const fn event_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Commit => "commit",
        EventKind::Withdraw => "withdraw",
        EventKind::Confirm => "confirm",
        EventKind::Revert => "revert",
        EventKind::Member => "member",
        EventKind::Leave => "leave",
        EventKind::Zones => "zones",
        EventKind::Owner => "owner",
        EventKind::Setting => "setting",
        EventKind::Secret => "secret",
        EventKind::Recover => "recover",
    }
}

#[cfg(test)]
mod tests {
    use super::print;
    use crate::out::Out;
    use config::api::{Event, EventKind, History, Revision, RevisionKind};

    fn printed(history: &History, events: bool) -> String {
        let mut bytes = Vec::new();
        print(history, events, &mut Out::to(&mut bytes, false)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_runs_is_marked_and_what_is_not_known_is_left_out() {
        let new = Revision {
            epoch: 12,
            in_force: true,
            author: Some("ada".to_owned()),
            committed_unix_seconds: Some(1_700_000_000),
            comment: Some("open the web".to_owned()),
            file: "p.toml".to_owned(),
            changes: Some(3),
            kind: RevisionKind::Revert,
            source: Some(9),
        };
        let old = Revision { epoch: 9, file: "p.toml".to_owned(), ..Revision::default() };
        let history = History { revisions: vec![new, old], ..History::default() };
        let lines = [
            "   EPOCH  WHEN                  AUTHOR  KIND         CHANGES  FILE    COMMENT",
            "*  12     2023-11-14 22:13:20Z  ada     revert to 9  3        p.toml  open the web",
            "   9      -                     -       commit       -        p.toml  -",
        ];
        assert_eq!(printed(&history, false).lines().collect::<Vec<_>>(), lines);
        assert_eq!(printed(&history, true), "nothing was decided lately\n");
    }

    #[test]
    fn what_came_to_nothing_is_an_event() {
        let withdrawn = Event {
            index: 41,
            kind: EventKind::Withdraw,
            author: "ada".to_owned(),
            unix_seconds: 1_700_000_000,
            epoch: None,
            node: Some(2),
            text: "there is no port `dmz`".to_owned(),
        };
        let history = History { revisions: Vec::new(), events: vec![withdrawn] };
        let told = printed(&history, true);
        let row =
            "41     2023-11-14 22:13:20Z  ada     withdraw  -      2     there is no port `dmz`";
        assert_eq!(told.lines().nth(1), Some(row), "{told}");
    }
}
