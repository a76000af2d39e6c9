//! Rules of translation by numbers that outlive a commit: a session keeps the number of its rule, and what
//! was counted of a rule stays with its id.

use std::collections::BTreeMap;

use crate::limits::NAT_NAMES_MAX;

/// A rule of translation, by a number of this engine's own; see [`NatRule::NONE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatRule(pub(crate) u16);

impl NatRule {
    /// No rule, or one that has no number.
    pub const NONE: Self = Self(u16::MAX);
}

/// All ids that were ever seen, with what was counted.
#[derive(Debug, Default)]
pub(crate) struct Names {
    ids: Vec<Named>,
    by_id: BTreeMap<String, u16>,
}

#[derive(Debug)]
struct Named {
    id: String,
    hash: u32,
    sessions: u32,
    hits: u64,
}

impl Names {
    /// The number of an id, new or known. Beyond [`NAT_NAMES_MAX`] rules are not told apart.
    pub(crate) fn number(&mut self, id: &str) -> NatRule {
        if let Some(number) = self.by_id.get(id) {
            return NatRule(*number);
        }
        if self.ids.len() == NAT_NAMES_MAX {
            return NatRule::NONE;
        }
        let number = self.ids.len() as u16;
        self.ids.push(Named { id: id.to_owned(), hash: word_of(id), sessions: 0, hits: 0 });
        self.by_id.insert(id.to_owned(), number);
        NatRule(number)
    }

    /// The id of a number.
    pub(crate) fn id(&self, rule: NatRule) -> Option<&str> {
        self.ids.get(usize::from(rule.0)).map(|named| named.id.as_str())
    }

    /// A word for a rule that other nodes know, too; 0 if there is none.
    pub(crate) fn hash_of(&self, rule: NatRule) -> u32 {
        self.ids.get(usize::from(rule.0)).map_or(0, |named| named.hash)
    }

    /// The rule that a node means by this word.
    pub(crate) fn of_hash(&self, hash: u32) -> NatRule {
        let place = self.ids.iter().position(|named| named.hash == hash);
        place.map_or(NatRule::NONE, |place| NatRule(place as u16))
    }

    /// A session of these rules was opened here.
    #[inline]
    pub(crate) fn hit(&mut self, rules: [NatRule; 2]) {
        self.each(rules, |named| {
            named.hits += 1;
            named.sessions += 1;
        });
    }

    /// One came by a record.
    pub(crate) fn begun(&mut self, rules: [NatRule; 2]) {
        self.each(rules, |named| named.sessions += 1);
    }

    pub(crate) fn ended(&mut self, rules: [NatRule; 2]) {
        self.each(rules, |named| named.sessions = named.sessions.saturating_sub(1));
    }

    pub(crate) fn end_all(&mut self) {
        self.ids.iter_mut().for_each(|named| named.sessions = 0);
    }

    #[inline]
    fn each(&mut self, [source, destination]: [NatRule; 2], with: impl Fn(&mut Named)) {
        if let Some(named) = self.ids.get_mut(usize::from(source.0)) {
            with(named);
        }
        if destination != source
            && let Some(named) = self.ids.get_mut(usize::from(destination.0))
        {
            with(named);
        }
    }

    /// Id, hits and sessions of all.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (&str, u64, u32)> {
        self.ids.iter().map(|named| (named.id.as_str(), named.hits, named.sessions))
    }
}

/// The word by which all nodes know a rule of translation, from its id: FNV-1a (public domain), never 0.
#[must_use]
pub fn word_of(id: &str) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    id.bytes().fold(0x811c_9dc5, step).max(1)
}
