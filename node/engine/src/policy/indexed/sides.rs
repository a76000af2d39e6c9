//! The address tests of all rules, one side at a time: equal ones become one *label*.

use std::collections::HashMap;

use super::super::addresses::Book;
use super::Hashing;

/// The label of rules that match any address.
pub(super) const ANY: u32 = 0;

/// One side (sources or destinations) of all rules.
#[derive(Debug)]
pub(super) struct Side {
    /// For each rule its label.
    pub(super) of_rule: Vec<u32>,
    /// What each label means; the first is [`ANY`].
    pub(super) labels: Vec<Label>,
    /// Labels that classes do not tell, because there would be too many classes. A rule of such a
    /// label is filed under [`ANY`] and compared in full.
    pub(super) opaque: Vec<bool>,
    /// Labels that classes tell, but that are filed under [`ANY`], because they lie over so many
    /// others.
    pub(super) relaxed: Vec<bool>,
}

/// Within (or, negated, in none of) some sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Label {
    pub(super) sets: Vec<u32>,
    pub(super) negate: bool,
}

impl Side {
    /// Gives each rule its label; `tests` are the rules' address tests in their order.
    pub(super) fn new(tests: impl Iterator<Item = Option<Label>>) -> Self {
        let mut known: HashMap<Label, u32, Hashing> = HashMap::default();
        let mut labels = vec![Label::default()];
        let mut of_rule = Vec::new();
        for test in tests {
            let Some(test) = test else {
                of_rule.push(ANY);
                continue;
            };
            let next = labels.len() as u32;
            let label = *known.entry(test).or_insert_with_key(|label| {
                labels.push(label.clone());
                next
            });
            of_rule.push(label);
        }
        let (opaque, relaxed) = (vec![false; labels.len()], vec![false; labels.len()]);
        Self { of_rule, labels, opaque, relaxed }
    }

    /// The label that a rule is filed under.
    pub(super) fn filed(&self, rule: usize) -> u32 {
        let label = self.of_rule[rule];
        let plain = !self.opaque[label as usize] && !self.relaxed[label as usize];
        if plain { label } else { ANY }
    }

    /// True if the rule is filed under a wider label than its own.
    pub(super) fn widened(&self, rule: usize) -> bool {
        self.filed(rule) != self.of_rule[rule]
    }

    pub(super) fn is_opaque(&self, rule: usize) -> bool {
        self.opaque[self.of_rule[rule] as usize]
    }
}

/// For each set the first one that holds the same addresses.
pub(super) fn same_sets(book: &Book) -> Vec<u32> {
    let mut first: HashMap<_, u32, Hashing> = HashMap::default();
    (0..book.sets() as u32).map(|set| *first.entry(book.content(set)).or_insert(set)).collect()
}
