//! `history`: the policies that were in force, the newest first.

use clap::Args;
use config::api::{self, History, Revision};

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
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let history = options.daemon.client()?.get(api::HISTORY)?;
    print(&history, out)
}

fn print(history: &History, out: &mut Out<'_>) -> Result<(), Failure> {
    if out.json() {
        return Ok(out.value(history)?);
    }
    let mut table = Table::new(&["", "EPOCH", "WHEN", "AUTHOR", "CHANGES", "FILE", "COMMENT"]);
    history.revisions.iter().for_each(|revision| table.row(row(revision)));
    Ok(table.print("nothing was ever committed", out)?)
}

fn row(revision: &Revision) -> [String; 7] {
    [
        if revision.in_force { "*" } else { " " }.to_owned(),
        revision.epoch.to_string(),
        revision.committed_unix_seconds.map(instant).unwrap_or_default(),
        revision.author.clone().unwrap_or_default(),
        revision.changes.map(|count| count.to_string()).unwrap_or_default(),
        revision.file.clone(),
        revision.comment.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::print;
    use crate::out::Out;
    use config::api::{History, Revision};

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
            ..Revision::default()
        };
        let old = Revision { epoch: 9, file: "p.toml".to_owned(), ..Revision::default() };
        let mut bytes = Vec::new();
        let history = History { revisions: vec![new, old], ..History::default() };
        print(&history, &mut Out::to(&mut bytes, false)).unwrap();
        let expected = "   EPOCH  WHEN                  AUTHOR  CHANGES  FILE    COMMENT\n\
                        *  12     2023-11-14 22:13:20Z  ada     3        p.toml  open the web\n   \
                        9      -                     -       -        p.toml  -\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }
}
