//! Collects what is wrong with one file, and knows where in it everything stands.

use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::nearest::nearest;
use crate::limits::{DIAGNOSTICS_MAX, NAME_BYTES_MAX, SOURCE_LINE_BYTES_MAX, SUGGESTION_WORDS_MAX};
use crate::{Checked, Diagnostic, Severity, is_name};

/// A value of the file with its byte range.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// The text under the parser, and the diagnostics so far.
pub(crate) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    found: Vec<(usize, Diagnostic)>,
    errors: usize,
    beyond: usize,
    /// Known words that may still be compared with unknown ones.
    words_left: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let line_starts = core::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        let words_left = SUGGESTION_WORDS_MAX;
        Self { file, text, line_starts, found: Vec::new(), errors: 0, beyond: 0, words_left }
    }

    /// Parses the text as TOML. `None`: it is none, and every syntax error is reported.
    pub(crate) fn document(&mut self, bytes_max: usize) -> Option<Spanned<DeTable<'a>>> {
        let size = self.text.len();
        if size > bytes_max {
            self.error(&(0..0), format!("the file has {size} bytes, the limit is {bytes_max}"));
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(self.text);
        self.syntax_errors(&errors);
        errors.is_empty().then_some(table)
    }

    /// Reports the first error of each line: what follows in it is mostly its consequence.
    fn syntax_errors(&mut self, errors: &[Error]) {
        let end = self.text.len();
        let place = |error: &Error| error.span().unwrap_or(end..end);
        let mut errors: Vec<_> = errors.iter().map(|error| (place(error), error)).collect();
        errors.sort_by_key(|(span, _)| span.start);
        errors.dedup_by_key(|(span, _)| self.line(span.start));
        for (span, error) in errors {
            self.error(&span, format!("not valid TOML: {}", error.message()));
        }
    }

    pub(crate) fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.report(Severity::Error, span, message.into(), None);
    }

    pub(crate) fn error_hint(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report(Severity::Error, span, message.into(), Some(hint.into()));
    }

    pub(crate) fn warn(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report(Severity::Warning, span, message.into(), Some(hint.into()));
    }

    /// An unknown word where one of `known` is meant: the nearest of them is the hint.
    pub(crate) fn unknown<'n>(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        word: &str,
        known: impl Iterator<Item = &'n str>,
        otherwise: impl FnOnce() -> Option<String>,
    ) {
        // A search for each of many dangling names among many would take minutes.
        let affordable = if self.is_full() { 0 } else { self.words_left };
        let compared = known.take(affordable).inspect(|_| self.words_left -= 1);
        let hint = nearest(word, compared).map(|name| format!("did you mean `{name}`?"));
        let hint = hint.or_else(otherwise);
        self.report(Severity::Error, span, message.into(), hint);
    }

    fn report(
        &mut self,
        severity: Severity,
        span: &Range<usize>,
        message: String,
        hint: Option<String>,
    ) {
        if self.admit(severity) {
            let (line, column) = self.place(span.start);
            let source = clip(self.line_text(line));
            let file = self.file.to_owned();
            let diagnostic = Diagnostic { severity, file, line, column, message, source, hint };
            self.found.push((span.start, diagnostic));
        }
    }

    /// A diagnostic about another file, shown where `span` of this file refers to it.
    pub(crate) fn foreign(&mut self, span: &Range<usize>, mut diagnostic: Diagnostic) {
        if self.admit(diagnostic.severity) {
            diagnostic.source = clip(&diagnostic.source);
            self.found.push((span.start, diagnostic));
        }
    }

    fn admit(&mut self, severity: Severity) -> bool {
        self.errors += usize::from(severity == Severity::Error);
        self.beyond += usize::from(self.is_full());
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.found.len() >= DIAGNOSTICS_MAX
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// The text at `span`.
    pub(crate) fn text(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Line of a byte offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= offset)
    }

    fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.line_starts[line - 1];
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }

    fn line_text(&self, line: usize) -> &'a str {
        let start = self.line_starts[line - 1];
        let end = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        self.text.get(start..end).unwrap_or_default().trim_end_matches('\r')
    }

    /// The value with its warnings, or everything that was found, in the order of the file.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<Checked<T>, Vec<Diagnostic>> {
        let errors = self.errors;
        let diagnostics = self.diagnostics();
        match value {
            Some(value) if errors == 0 => Ok(Checked { value, warnings: diagnostics }),
            Some(_) | None => Err(diagnostics),
        }
    }

    fn diagnostics(mut self) -> Vec<Diagnostic> {
        if self.beyond > 0 {
            let message = format!("{} more problems are not shown", self.beyond);
            self.found.truncate(DIAGNOSTICS_MAX);
            self.beyond = 0;
            let end = self.text.len();
            let (line, column) = self.place(end);
            let severity = if self.errors > 0 { Severity::Error } else { Severity::Warning };
            let (file, source) = (self.file.to_owned(), clip(self.line_text(line)));
            let hint = None;
            let last = Diagnostic { severity, file, line, column, message, source, hint };
            self.found.push((usize::MAX, last));
        }
        self.found.sort_by_key(|(offset, _)| *offset);
        self.found.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }

    /// Checks a name the operator gave: letters, digits, `-`, `_`, `.`, a letter first.
    pub(crate) fn check_name(&mut self, kind: &str, name: &str, span: &Range<usize>) -> bool {
        let good = is_name(name);
        if !good {
            let message = format!("{} is not a good {kind} name", quoted(name));
            let hint = format!(
                "a name is a letter or `_`, then letters, digits, `-`, `_` or `.`, \
                 {NAME_BYTES_MAX} at most"
            );
            self.error_hint(span, message, hint);
        }
        good
    }
}

/// A word of the file for a message: in backticks, control characters escaped, cut if long.
pub(crate) fn quoted(word: &str) -> String {
    let shown: String = word.chars().take(NAME_BYTES_MAX + 1).collect();
    let rest = if shown.len() < word.len() { "…" } else { "" };
    format!("`{}{rest}`", shown.escape_debug())
}

fn clip(line: &str) -> String {
    if line.len() <= SOURCE_LINE_BYTES_MAX {
        return line.to_owned();
    }
    let mut end = SOURCE_LINE_BYTES_MAX;
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &line[..end])
}
