//! Puts the content of list files into the policy itself, so that a revision stands alone.

use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Load;
use super::fields;
use super::reader::{Reader, quoted};
use crate::Diagnostic;
use crate::limits::POLICY_BYTES_MAX;

/// Gives every `{ file = "…" }` of `[addresses]` its `content`, read by `load`. The rest of the
/// text stays as it is, line by line, so that places in it stay true. A list that has its content
/// already keeps it.
///
/// # Errors
/// Syntax errors of the text, and lists that cannot be read. Nothing else is checked here.
pub fn inline_lists(
    file: &str,
    text: &str,
    load: &mut Load<'_>,
) -> Result<String, Vec<Diagnostic>> {
    let mut reader = Reader::new(file, text);
    let inlined = inline(&mut reader, text, load);
    reader.finish(inlined).map(|checked| checked.value)
}

fn inline(reader: &mut Reader<'_>, text: &str, load: &mut Load<'_>) -> Option<String> {
    let document = reader.document(POLICY_BYTES_MAX)?;
    let mut insertions = Vec::new();
    for (span, file) in list_files(text, document.get_ref()) {
        match load(&file) {
            Ok(content) => insertions.push((span.end, basic_string(&content))),
            Err(why) => {
                reader.error(&span, format!("cannot read the list {}: {why}", quoted(&file)));
            }
        }
    }
    insertions.sort_by_key(|(at, _)| *at);
    let added: usize = insertions.iter().map(|(_, content)| content.len() + 16).sum();
    let mut inlined = String::with_capacity(text.len() + added);
    let mut from = 0;
    for (at, content) in insertions {
        inlined.push_str(text.get(from..at)?);
        inlined.push_str(", content = ");
        inlined.push_str(&content);
        from = at;
    }
    inlined.push_str(text.get(from..)?);
    Some(inlined)
}

/// Place and name of each list file whose content is not there yet.
fn list_files(text: &str, document: &DeTable<'_>) -> Vec<(Range<usize>, String)> {
    let addresses = document.get("addresses").and_then(|value| value.get_ref().as_table());
    let values = addresses.into_iter().flat_map(|table| table.values()).flat_map(fields::list);
    let in_braces = |span| text.get::<Range<usize>>(span).is_some_and(|text| text.starts_with('{'));
    values.filter(|value| in_braces(value.span())).filter_map(list_file).collect()
}

fn list_file(value: &Spanned<DeValue<'_>>) -> Option<(Range<usize>, String)> {
    let table = value.get_ref().as_table().filter(|table| !table.contains_key("content"))?;
    let file = table.get("file")?;
    Some((file.span(), file.get_ref().as_str()?.to_owned()))
}

/// `content` as a TOML basic string on one line.
fn basic_string(content: &str) -> String {
    let mut quoted = String::with_capacity(content.len() + content.len() / 8 + 2);
    quoted.push('"');
    for character in content.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
