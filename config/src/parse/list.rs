//! List files: one address, prefix or range a line; `#` starts a comment.

use core::ops::Range;

use super::address::AddressRange;
use super::reader::{Reader, quoted};
use crate::limits::RANGES_MAX;
use crate::{Diagnostic, Severity};

/// Appends what the list holds to `items`. Problems name the list's own file and line; `span` is
/// where the policy refers to the list.
pub(crate) fn parse(
    reader: &mut Reader<'_>,
    span: &Range<usize>,
    file: &str,
    content: &str,
    items: &mut Vec<AddressRange>,
) {
    let before = reader.errors();
    let held = items.len();
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    for (at, line) in content.lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        match AddressRange::parse(entry) {
            Ok(_) if items.len() >= RANGES_MAX => {
                return reader.error(span, format!("more than {RANGES_MAX} addresses"));
            }
            Ok(range) => items.push(range),
            Err(error) => {
                let column = line.len() - line.trim_start().len();
                let column = line[..column].chars().count() + 1;
                let message = format!("{} {error}", quoted(entry));
                let hint = Some(error.hint());
                let (file, source) = (file.to_owned(), line.to_owned());
                let severity = Severity::Error;
                let place = (at + 1, column);
                let (line, column) = place;
                let problem = Diagnostic { severity, file, line, column, message, source, hint };
                reader.foreign(span, problem);
            }
        }
    }
    if items.len() == held && reader.errors() == before {
        let message = format!("the list {} holds no address", quoted(file));
        reader.warn(span, message, "a set without addresses matches nothing");
    }
}
