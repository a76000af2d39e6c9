//! Typed access to TOML values: a wrong type, an unknown key, a missing key are reported once.

use core::ops::{Range, RangeInclusive};

use toml::de::{DeInteger, DeTable, DeValue};

use super::reader::{Reader, Value, quoted};

/// A table with the keys it may have.
pub(crate) struct Fields<'v, 'i> {
    table: &'v DeTable<'i>,
    /// Place of the table: its header or its braces.
    pub(crate) span: Range<usize>,
    what: &'static str,
}

impl<'v, 'i> Fields<'v, 'i> {
    /// `value` as a table of `keys`; unknown keys are reported.
    pub(crate) fn new(
        reader: &mut Reader<'_>,
        value: &'v Value<'i>,
        what: &'static str,
        keys: &[&str],
    ) -> Option<Self> {
        let fields = Self::open(reader, value, what)?;
        fields.check_keys(reader, keys, &[]);
        Some(fields)
    }

    /// The whole document.
    pub(crate) fn document(table: &'v DeTable<'i>, what: &'static str) -> Self {
        Self { table, span: 0..0, what }
    }

    /// `value` as a table whose keys are names.
    pub(crate) fn open(
        reader: &mut Reader<'_>,
        value: &'v Value<'i>,
        what: &'static str,
    ) -> Option<Self> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            wrong_type(reader, value, "a table");
        }
        table.map(|table| Self { table, span: value.span(), what })
    }

    /// Reports every key that is not among `keys`, nor among `others`, which are dealt with
    /// elsewhere.
    pub(crate) fn check_keys(&self, reader: &mut Reader<'_>, keys: &[&str], others: &[&str]) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !keys.contains(&name) && !others.contains(&name) {
                let message = format!("unknown key {} in {}", quoted(key.get_ref()), self.what);
                let all = || Some(format!("known keys: {}", keys.join(", ")));
                reader.unknown(&key.span(), message, key.get_ref(), keys.iter().copied(), all);
            }
        }
    }

    /// All entries in the order of the file: name, place of the name, value.
    pub(crate) fn entries(&self) -> Vec<(&'v str, Range<usize>, &'v Value<'i>)> {
        let entries = self.table.iter();
        let mut entries: Vec<_> =
            entries.map(|(key, value)| (key.get_ref().as_ref(), key.span(), value)).collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        entries
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'v Value<'i>> {
        self.table.get(key)
    }

    /// Place of `key` itself.
    pub(crate) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.get_key_value(key).map(|(key, _)| key.span())
    }

    pub(crate) fn required(&self, reader: &mut Reader<'_>, key: &str) -> Option<&'v Value<'i>> {
        let value = self.get(key);
        if value.is_none() {
            reader.error(&self.span, format!("{} has no `{key}`", self.what));
        }
        value
    }

    /// The string at `key`, if it is there.
    pub(crate) fn string(&self, reader: &mut Reader<'_>, key: &str) -> Option<&'v str> {
        string(reader, self.get(key)?)
    }

    /// The string at `key`, which must be there.
    pub(crate) fn required_string(&self, reader: &mut Reader<'_>, key: &str) -> Option<&'v str> {
        let value = self.required(reader, key)?;
        string(reader, value)
    }

    /// The integer at `key`, if it is there.
    pub(crate) fn integer(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        integer(reader, self.get(key)?, key, range)
    }

    /// The boolean at `key`, if it is there.
    pub(crate) fn boolean(&self, reader: &mut Reader<'_>, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            wrong_type(reader, value, "true or false");
        }
        boolean
    }

    /// The word at `key`, if it is there, as what it stands for.
    pub(crate) fn choice<T: Copy>(
        &self,
        reader: &mut Reader<'_>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        choice(reader, self.get(key)?, key, choices)
    }

    /// The tables of `[[key]]`.
    pub(crate) fn tables(&self, reader: &mut Reader<'_>, key: &str) -> &'v [Value<'i>] {
        let Some(value) = self.get(key) else { return &[] };
        let array = value.get_ref().as_array();
        if array.is_none() {
            let message = format!("expected a list of tables, found {}", kind(value.get_ref()));
            reader.error_hint(&value.span(), message, format!("write `[[{key}]]`"));
        }
        array.map_or(&[], |array| array)
    }
}

/// `value` as a string.
pub(crate) fn string<'v>(reader: &mut Reader<'_>, value: &'v Value<'_>) -> Option<&'v str> {
    let string = value.get_ref().as_str();
    if string.is_none() {
        wrong_type(reader, value, "a string");
    }
    string
}

/// `value` as an integer within `range`.
pub(crate) fn integer(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    key: &str,
    range: RangeInclusive<u32>,
) -> Option<u32> {
    let Some(number) = value.get_ref().as_integer() else {
        wrong_type(reader, value, "an integer");
        return None;
    };
    let number = as_u32(number).filter(|number| range.contains(number));
    if number.is_none() {
        let (least, most) = (range.start(), range.end());
        reader.error(&value.span(), format!("`{key}` must be from {least} to {most}"));
    }
    number
}

fn as_u32(number: &DeInteger<'_>) -> Option<u32> {
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}

/// `value` as one of the words of `choices`.
pub(crate) fn choice<T: Copy>(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    key: &str,
    choices: &[(&str, T)],
) -> Option<T> {
    let word = string(reader, value)?;
    let found = choices.iter().find(|(name, _)| *name == word);
    if found.is_none() {
        let names = || choices.iter().map(|(name, _)| *name);
        let all = || Some(format!("one of {}", names().collect::<Vec<_>>().join(", ")));
        let message = format!("{} is no value of `{key}`", quoted(word));
        reader.unknown(&value.span(), message, word, names(), all);
    }
    found.map(|(_, value)| *value)
}

/// A list, or a single value that stands for a list of one.
pub(crate) fn list<'v, 'i>(value: &'v Value<'i>) -> &'v [Value<'i>] {
    match value.get_ref() {
        DeValue::Array(array) => array,
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => core::slice::from_ref(value),
    }
}

/// The strings of a list, each with its place; anything else in it is reported.
pub(crate) fn strings<'v>(
    reader: &mut Reader<'_>,
    value: &'v Value<'_>,
) -> Vec<(&'v str, Range<usize>)> {
    let values = list(value).iter();
    values.filter_map(|value| Some((string(reader, value)?, value.span()))).collect()
}

fn wrong_type(reader: &mut Reader<'_>, value: &Value<'_>, wanted: &str) {
    let found = kind(value.get_ref());
    reader.error(&value.span(), format!("expected {wanted}, found {found}"));
}

/// What a value is, with its article.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a floating-point number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
