//! The address book: `[addresses]`, its groups and its list files.

use core::ops::Range;

use toml::de::DeValue;

use super::Load;
use super::address::{AddressRange, looks_like_address};
use super::fields::{self, Fields};
use super::groups::{Group, Groups, Item};
use super::list;
use super::reader::{Reader, Value, quoted};
use crate::limits::RANGES_MAX;
use crate::{AddressSet, ranges};

impl Item for AddressRange {
    const KIND: &'static str = "address";
    const TOTAL_MAX: usize = RANGES_MAX;

    fn tidy(items: &mut Vec<Self>) {
        let AddressSet { name: _, v4, v6 } = set(None, items);
        items.clear();
        items.extend(v4.into_iter().map(|(first, last)| Self::V4(first, last)));
        items.extend(v6.into_iter().map(|(first, last)| Self::V6(first, last)));
    }
}

/// The set of `items`, merged.
pub(crate) fn set(name: Option<String>, items: &[AddressRange]) -> AddressSet {
    let mut set = AddressSet { name, v4: Vec::new(), v6: Vec::new() };
    for item in items {
        match *item {
            AddressRange::V4(first, last) => set.v4.push((first, last)),
            AddressRange::V6(first, last) => set.v6.push((first, last)),
        }
    }
    ranges::merge(&mut set.v4);
    ranges::merge(&mut set.v6);
    set
}

/// Parses `[addresses]`. A set's index is its index in the returned vector too.
pub(crate) fn book(
    reader: &mut Reader<'_>,
    value: Option<&Value<'_>>,
    load: &mut Load<'_>,
) -> (Groups<AddressRange>, Vec<AddressSet>) {
    let mut groups = Vec::new();
    let table = value.and_then(|value| Fields::open(reader, value, "[addresses]"));
    for (name, span, value) in table.iter().flat_map(Fields::entries) {
        if check_name(reader, name, &span) {
            groups.push(group(reader, name, span, value, load));
        }
    }
    let flat = Groups::flatten(reader, &mut groups);
    let named = groups.into_iter().enumerate();
    let sets = named.map(|(at, group)| set(Some(group.name), flat.items(at))).collect();
    (flat, sets)
}

fn check_name(reader: &mut Reader<'_>, name: &str, span: &Range<usize>) -> bool {
    if name == "any" {
        reader.error(span, "`any` means every address already");
        return false;
    }
    reader.check_name("address", name, span)
}

fn group(
    reader: &mut Reader<'_>,
    name: &str,
    span: Range<usize>,
    value: &Value<'_>,
    load: &mut Load<'_>,
) -> Group<AddressRange> {
    let mut group =
        Group { name: name.to_owned(), span, items: Vec::new(), references: Vec::new() };
    if fields::list(value).is_empty() {
        reader.error(&value.span(), format!("address `{name}` is empty"));
    }
    for value in fields::list(value) {
        if let DeValue::Table(_) = value.get_ref() {
            list_file(reader, value, load, &mut group.items);
        } else if let Some(text) = fields::string(reader, value) {
            match entry(reader, text, &value.span()) {
                Some(Entry::Range(range)) => group.items.push(range),
                Some(Entry::Name) => group.references.push((text.to_owned(), value.span())),
                Some(Entry::Any) => {
                    let hint = "write 0.0.0.0/0 and ::/0 for every address";
                    reader.error_hint(&value.span(), "`any` cannot be part of a group", hint);
                }
                None => {}
            }
        }
    }
    group
}

/// `{ file = "blocked.txt" }`, or with the list's `content` once it is inlined.
fn list_file(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    load: &mut Load<'_>,
    items: &mut Vec<AddressRange>,
) {
    let Some(fields) = Fields::new(reader, value, "a list", &["file", "content"]) else { return };
    if !reader.text(&fields.span).starts_with('{') {
        let hint = "write it in braces: name = { file = \"…\" }";
        return reader.error_hint(&fields.span, "a list is not a section of its own", hint);
    }
    let Some(file) = fields.required_string(reader, "file") else { return };
    if fields.get("content").is_some() {
        if let Some(content) = fields.string(reader, "content") {
            list::parse(reader, &value.span(), file, content, items);
        }
        return;
    }
    match load(file) {
        Ok(content) => list::parse(reader, &value.span(), file, &content, items),
        Err(why) => {
            let span = fields.get("file").map_or(value.span(), toml::Spanned::span);
            reader.error(&span, format!("cannot read the list {}: {why}", quoted(file)));
        }
    }
}

/// What one string in a list of addresses is.
pub(crate) enum Entry {
    Any,
    Range(AddressRange),
    /// The name of a set.
    Name,
}

/// Classifies `text`; a bad address is reported at `span`.
pub(crate) fn entry(reader: &mut Reader<'_>, text: &str, span: &Range<usize>) -> Option<Entry> {
    if text == "any" {
        return Some(Entry::Any);
    }
    if !looks_like_address(text) {
        if text.starts_with('!') {
            let hint = "negation belongs into the rule: source = [\"!name\"]";
            reader.error_hint(span, "a group cannot hold a negated address", hint);
            return None;
        }
        return Some(Entry::Name);
    }
    match AddressRange::parse(text) {
        Ok(range) => Some(Entry::Range(range)),
        Err(error) => {
            reader.error_hint(span, format!("{} {error}", quoted(text)), error.hint());
            None
        }
    }
}
