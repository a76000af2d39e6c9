//! Finding the first rule that matches.

use super::criteria::{Criteria, Tables};
use super::{Mismatch, Question};
use crate::ids::RuleIndex;

/// Answers which rule decides. Every implementation gives the same answer for the same rules; none
/// allocates.
pub trait Matcher {
    /// The first rule, in the order of the policy file, whose every field matches.
    fn find(&self, question: &Question) -> Option<RuleIndex>;
}

/// Compares rule by rule: the reference that defines what is right.
#[derive(Debug, Default)]
pub struct Linear {
    criteria: Box<[Criteria]>,
    tables: Tables,
}

impl Linear {
    pub(super) fn new(criteria: Vec<Criteria>, tables: Tables) -> Self {
        Self { criteria: criteria.into(), tables }
    }

    pub(super) const fn parts(&self) -> (&[Criteria], &Tables) {
        (&self.criteria, &self.tables)
    }

    pub(super) fn mismatch(&self, rule: RuleIndex, question: &Question) -> Option<Mismatch> {
        self.criteria[rule.index()].mismatch(&self.tables, question)
    }
}

impl Matcher for Linear {
    fn find(&self, question: &Question) -> Option<RuleIndex> {
        let matches = |rule: &Criteria| rule.mismatch(&self.tables, question).is_none();
        self.criteria.iter().position(matches).map(|at| RuleIndex(at as u32))
    }
}
