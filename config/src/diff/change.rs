//! One difference between two policies, as data. How it reads is told in `words.rs`.

use serde::{Deserialize, Serialize};

use super::members::Members;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    ZoneAdded {
        zone: String,
        ports: Vec<String>,
    },
    ZoneRemoved {
        zone: String,
    },
    ZoneChanged {
        zone: String,
        added: Vec<String>,
        removed: Vec<String>,
    },
    /// `sessions-max` of a zone; `None` is no limit.
    ZoneSessionsChanged {
        zone: String,
        old: Option<u32>,
        new: Option<u32>,
    },
    AddressSetAdded {
        set: String,
        prefixes: Members,
    },
    AddressSetRemoved {
        set: String,
        prefixes: Members,
    },
    /// In prefixes that make up the difference exactly.
    AddressSetChanged {
        set: String,
        added: Members,
        removed: Members,
    },
    RuleAdded {
        rule: String,
        place: Place,
        is: Vec<RuleField>,
    },
    RuleRemoved {
        rule: String,
        /// Where it was.
        place: Place,
        was: Vec<RuleField>,
    },
    RuleChanged {
        rule: String,
        fields: Vec<FieldChange>,
    },
    /// Rules that only made room for others have not moved.
    RuleMoved {
        rule: String,
        /// Its old position, from 1.
        from: usize,
        place: Place,
    },
    HostInboundChanged {
        zone: String,
        added: Members,
        removed: Members,
    },
    TimeoutChanged {
        timeout: String,
        old_seconds: u64,
        new_seconds: u64,
    },
    IntegrityChanged {
        option: String,
        old: String,
        new: String,
    },
    ScreenAdded {
        zone: String,
        is: Vec<RuleField>,
    },
    ScreenRemoved {
        zone: String,
        was: Vec<RuleField>,
    },
    /// Field by field: a detector is one.
    ScreenChanged {
        zone: String,
        fields: Vec<FieldChange>,
    },
    NatPoolAdded {
        pool: String,
        is: Vec<RuleField>,
    },
    NatPoolRemoved {
        pool: String,
        was: Vec<RuleField>,
    },
    NatPoolChanged {
        pool: String,
        fields: Vec<FieldChange>,
    },
    NatRuleAdded {
        rule: String,
        place: Place,
        is: Vec<RuleField>,
    },
    NatRuleRemoved {
        rule: String,
        /// Where it was among the rules of translation.
        place: Place,
        was: Vec<RuleField>,
    },
    NatRuleChanged {
        rule: String,
        fields: Vec<FieldChange>,
    },
    /// As of other rules.
    NatRuleMoved {
        rule: String,
        /// Its old position, from 1.
        from: usize,
        place: Place,
    },
}

/// Where a rule stands among those of its section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// From 1.
    pub position: usize,
    /// The rule before it; `None`: it is the first.
    pub after: Option<String>,
    /// The rule behind it; `None`: it is the last.
    pub before: Option<String>,
}

/// What one field of a rule, screen or pool says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleField {
    /// Key in the policy file.
    pub field: String,
    /// Its value, or the members of its list.
    pub value: Members,
}

/// One field of a rule, screen or pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Key in the policy file.
    pub field: String,
    /// What is different.
    #[serde(flatten)]
    pub difference: Difference,
}

/// What is different in a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Difference {
    /// A value, in the words of the policy file; empty: there is none.
    Value {
        /// What it was.
        old: String,
        /// What it is.
        new: String,
    },
    /// Members of a list. `any` is what a list says that is not there.
    List {
        /// What came.
        added: Members,
        /// What went.
        removed: Members,
        /// What stayed stands in another order, where that has a meaning.
        reordered: bool,
    },
}
