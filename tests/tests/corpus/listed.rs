//! The reviewed list of differences.

use std::collections::BTreeSet;

use crate::compare::{Compared, Difference};

/// `differences.tsv`: capture, packets (`3-9,12`; `0`: what is announced in all), reason;
/// tab-separated. `#` starts a comment.
pub(crate) struct List {
    entries: Vec<Entry>,
}

struct Entry {
    capture: String,
    packets: BTreeSet<usize>,
}

impl List {
    pub(crate) fn read() -> Self {
        let lines = include_str!("differences.tsv").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { entries: lines.map(Entry::read).collect() }
    }

    /// The captures of all entries.
    pub(crate) fn captures(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| &*entry.capture)
    }

    /// Differences that are not listed, and listed ones that are none.
    pub(crate) fn offences(&self, compared: &[Compared]) -> Vec<String> {
        let mut listed = self.packets();
        listed.retain(|(name, _)| compared.iter().any(|capture| capture.name == *name));
        let mut offences = Vec::new();
        for capture in compared {
            for Difference { packet, text } in &capture.differences {
                if !listed.remove(&(&*capture.name, *packet)) {
                    offences.push(format!("{} #{packet} is not listed: {text}", capture.name));
                }
            }
        }
        offences.extend(
            listed.iter().map(|(name, packet)| format!("{name} #{packet} agrees: unlist it")),
        );
        offences
    }

    /// Entries about no capture that there is.
    pub(crate) fn strangers<'a>(&'a self, captures: &[Compared]) -> Vec<&'a str> {
        let names = self.entries.iter().map(|entry| &*entry.capture);
        names.filter(|name| captures.iter().all(|capture| capture.name != *name)).collect()
    }

    /// Every listed packet, by its capture and number.
    fn packets(&self) -> BTreeSet<(&str, usize)> {
        let mut listed = BTreeSet::new();
        for Entry { capture, packets } in &self.entries {
            for packet in packets {
                let once = listed.insert((&**capture, *packet));
                assert!(once, "{capture} #{packet} is listed twice");
            }
        }
        listed
    }
}

impl Entry {
    fn read(line: &str) -> Self {
        let columns: Vec<_> = line.split('\t').collect();
        let [capture, packets, reason] = columns[..] else {
            panic!("not three columns: {line}");
        };
        assert!(reason.len() > 20, "a reason is missing: {line}");
        let packets = packets.split(',').flat_map(range).collect();
        Self { capture: capture.to_owned(), packets }
    }
}

/// `7`, or `7-9`.
fn range(text: &str) -> std::ops::RangeInclusive<usize> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().unwrap()..=last.parse().unwrap()
}
