//! Diagnostics for people, with the place marked.

use core::fmt::Write as _;

use config::{Diagnostic, Severity};

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
    use super::{counted, diagnostics, indent};
    use config::{Diagnostic, Severity};

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
    fn counts_in_words() {
        let [error, warning] = [Severity::Error, Severity::Warning].map(|it| diagnostic(it, 1));
        assert_eq!(counted(&[]), "nothing to complain about");
        assert_eq!(counted(std::slice::from_ref(&error)), "1 error");
        let all = [error.clone(), error, warning];
        assert_eq!(counted(&all), "2 errors, 1 warning");
    }
}
