//! The reviewed list of differences.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::{Compared, Difference};

/// `differences.tsv`: capture, packets (`3-9,12`), kind, reason; tab-separated. `#` starts a comment.
pub(crate) struct List {
    entries: Vec<Entry>,
}

struct Entry {
    capture: String,
    packets: BTreeSet<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// We judge otherwise, on purpose.
    Differs,
    /// It passes in Linux only because a connection-tracking helper expects it: an ALG's work.
    Helper,
}

impl List {
    pub(crate) fn read() -> Self {
        let lines = include_str!("differences.tsv").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { entries: lines.map(Entry::read).collect() }
    }

    /// What stands there as a difference of judgement.
    pub(crate) fn differences(&self) -> impl Iterator<Item = &str> {
        let differs = self.entries.iter().filter(|entry| entry.kind == Kind::Differs);
        differs.map(|entry| &*entry.capture)
    }

    /// Differences that are not listed, or not as what they are, and listed ones that are none.
    pub(crate) fn offences(&self, compared: &[Compared]) -> Vec<String> {
        let mut listed = self.packets();
        listed.retain(|(name, _), _| compared.iter().any(|capture| capture.name == *name));
        let mut offences = Vec::new();
        for capture in compared {
            for Difference { packet, expected, text } in &capture.differences {
                let kind = if *expected { Kind::Helper } else { Kind::Differs };
                let found = listed.remove(&(&*capture.name, *packet));
                if found != Some(kind) {
                    offences.push(format!("{} #{packet} is no {found:?}: {text}", capture.name));
                }
            }
        }
        let agree = listed.into_keys();
        offences.extend(agree.map(|(name, packet)| format!("{name} #{packet} agrees: unlist it")));
        offences
    }

    /// Entries about no capture that there is.
    pub(crate) fn strangers<'a>(&'a self, captures: &[Compared]) -> Vec<&'a str> {
        let names = self.entries.iter().map(|entry| &*entry.capture);
        names.filter(|name| captures.iter().all(|capture| capture.name != *name)).collect()
    }

    /// Every listed packet, by its capture and number.
    fn packets(&self) -> BTreeMap<(&str, usize), Kind> {
        let mut listed = BTreeMap::new();
        for Entry { capture, packets, kind } in &self.entries {
            for packet in packets {
                let twice = listed.insert((&**capture, *packet), *kind);
                assert_eq!(twice, None, "{capture} #{packet} is listed twice");
            }
        }
        listed
    }
}

impl Entry {
    fn read(line: &str) -> Self {
        let columns: Vec<_> = line.split('\t').collect();
        let [capture, packets, kind, reason] = columns[..] else {
            panic!("not four columns: {line}");
        };
        let kind = match kind {
            "differs" => Kind::Differs,
            "helper" => Kind::Helper,
            _ => panic!("neither `differs` nor `helper`: {line}"),
        };
        assert!(reason.len() > 20, "a reason is missing: {line}");
        let packets = packets.split(',').flat_map(range).collect();
        Self { capture: capture.to_owned(), packets, kind }
    }
}

/// `7`, or `7-9`.
fn range(text: &str) -> std::ops::RangeInclusive<usize> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().unwrap()..=last.parse().unwrap()
}
