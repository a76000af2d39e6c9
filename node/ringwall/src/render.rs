//! Diagnostics for people, with the place marked; revisions, and what a conflict is about.

use core::fmt::Write as _;

use config::api::{self, Revision};
use config::{Diagnostic, Severity};

use crate::table::instant;

/// All of them, a blank line after each.
///
/// ```text
/// error: unknown zone `turst`
///   --> policy.toml:12:8
///    |
/// 12 | from = "turst"
///    |        ^
///    = hint: did you mean `trust`?
/// ```
pub(crate) fn diagnostics(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().fold(String::new(), |mut all, diagnostic| {
        all.push_str(&one(diagnostic));
        all.push('\n');
        all
    })
}

/// How many there are of each severity.
pub(crate) fn counted(diagnostics: &[Diagnostic]) -> String {
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    let errors = diagnostics.iter().filter(is_error).count();
    match (errors, diagnostics.len() - errors) {
        (0, 0) => "nothing to complain about".to_owned(),
        (errors, 0) => number(errors, "error"),
        (0, warnings) => number(warnings, "warning"),
        (errors, warnings) => {
            format!("{}, {}", number(errors, "error"), number(warnings, "warning"))
        }
    }
}

fn number(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What others changed under somebody's hands, who they are, and how to go on; nothing if that was not it.
pub(crate) fn conflict(error: &api::Error) -> String {
    let mut text = String::new();
    for it in &error.revisions {
        let _ = writeln!(text, "{}", revision(it));
    }
    for change in &error.changes {
        let _ = writeln!(text, "{change}");
    }
    if let Some(newest) = error.revisions.first() {
        let _ = writeln!(
            text,
            "take this over into your file, and commit it with `--base {}`",
            newest.epoch
        );
    }
    text
}

/// A revision in a line: `epoch 5, in force, 2023-11-14 22:13:20Z, ada, "less"`.
pub(crate) fn revision(revision: &Revision) -> String {
    let Revision { epoch, in_force, author, committed_unix_seconds, comment, .. } = revision;
    let parts = [
        Some(format!("epoch {epoch}")),
        in_force.then(|| "in force".to_owned()),
        committed_unix_seconds.map(instant),
        author.clone(),
        comment.as_ref().map(|comment| format!("\"{comment}\"")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// `node 3`, `nodes 2, 3`.
pub(crate) fn nodes(nodes: &[u16]) -> String {
    let plural = if nodes.len() == 1 { "" } else { "s" };
    format!("node{plural} {}", numbers(nodes))
}

/// `2, 3`; `none`.
pub(crate) fn numbers(nodes: &[u16]) -> String {
    let numbers: Vec<_> = nodes.iter().map(ToString::to_string).collect();
    if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
}

fn one(diagnostic: &Diagnostic) -> String {
    let Diagnostic { severity, file, line, column, message, source, hint } = diagnostic;
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let mut text = format!("{severity}: {message}\n{margin}--> {file}:{line}:{column}\n");
    if !source.is_empty() {
        let _ = writeln!(text, "{margin} |\n{number} | {source}");
    }
    if let Some(indent) = indent(source, *column) {
        let _ = writeln!(text, "{margin} | {indent}^");
    }
    if let Some(hint) = hint {
        let _ = writeln!(text, "{margin} = hint: {hint}");
    }
    text
}

/// What stands before the caret: as wide as the source before its place, tabs being tabs. `None`
/// where the line was cut before that place.
fn indent(source: &str, column: usize) -> Option<String> {
    let before = column.checked_sub(1)?;
    let shown = source.chars().count();
    let blank = |character| if character == '\t' { '\t' } else { ' ' };
    (before <= shown && shown > 0).then(|| source.chars().take(before).map(blank).collect())
}

#[cfg(test)]
mod tests {
    use super::{conflict, counted, diagnostics, indent, nodes};
    use config::api::{Error, Revision};
    use config::{Change, Diagnostic, Severity};

    fn diagnostic(severity: Severity, line: usize) -> Diagnostic {
        Diagnostic {
            severity,
            file: "p.toml".to_owned(),
            line,
            column: 8,
            message: "unknown zone `turst`".to_owned(),
            source: "from = \"turst\"".to_owned(),
            hint: Some("did you mean `trust`?".to_owned()),
        }
    }

    #[test]
    fn marks_the_place() {
        let expected = "error: unknown zone `turst`\n  --> p.toml:12:8\n   |\n12 | from = \"turst\"\n   \
                        |        ^\n   = hint: did you mean `trust`?\n\n";
        assert_eq!(diagnostics(&[diagnostic(Severity::Error, 12)]), expected);
    }

    #[test]
    fn the_caret_follows_tabs_and_stops_where_the_line_is_cut() {
        assert_eq!(indent("\tä = 1", 4).as_deref(), Some("\t  "));
        assert_eq!(indent("abc", 4).as_deref(), Some("   "), "just behind the end");
        assert_eq!(indent("abc…", 200), None);
        assert_eq!(indent("", 1), None);
    }

    #[test]
    fn a_conflict_says_who_changed_what_and_how_to_go_on() {
        let revision = |epoch, author: &str, in_force| Revision {
            epoch,
            in_force,
            author: Some(author.to_owned()),
            ..Revision::default()
        };
        let error = Error {
            changes: vec![Change::ZoneRemoved { zone: "dmz".to_owned() }],
            revisions: vec![revision(9, "max", true), revision(8, "ada", false)],
            ..Error::new("epoch 9 is in force, not 7")
        };
        let told = "epoch 9, in force, max\nepoch 8, ada\n- zone dmz\ntake this over into your file, \
                    and commit it with `--base 9`\n";
        assert_eq!(conflict(&error), told);
        assert_eq!(conflict(&Error::new("no")), "");
    }

    #[test]
    fn nodes_are_counted() {
        assert_eq!([&[3][..], &[2, 3]].map(nodes), ["node 3", "nodes 2, 3"]);
    }

    #[test]
    fn counts_in_words() {
        let [error, warning] = [Severity::Error, Severity::Warning].map(|it| diagnostic(it, 1));
        assert_eq!(counted(&[]), "nothing to complain about");
        assert_eq!(counted(std::slice::from_ref(&error)), "1 error");
        let all = [error.clone(), error, warning];
        assert_eq!(counted(&all), "2 errors, 1 warning");
    }
}
