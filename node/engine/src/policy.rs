//! The policy in force: compiled from the operator's rules once, off the packet path, immutable,
//! shared by every engine. First match wins; no match is a deny.
//!
//! ```text
//! config::Policy ── compile ──► Policy { zone of each port, rules' facts, Indexed }
//!                                                                 │
//! Packet + zones ──► Question ────────── find ────────────────────┴──► RuleIndex ──► Rule
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use config::{Action, Alg, AlgUse, Integrity, OnChange, Replication, Timeouts};
use wire::Protocol;

use crate::ids::{PortId, RuleIndex, ZoneId};
use crate::nat::Translations;
use crate::screen::Screens;

mod addresses;
mod compile;
mod criteria;
mod indexed;
mod lives;
mod matcher;
mod names;
mod question;
#[cfg(test)]
mod tests;

pub use compile::CompileError;
pub(crate) use compile::linear as scan;
pub use criteria::Mismatch;
pub use indexed::Indexed;
pub use lives::LifeIndex;
pub use matcher::{Linear, Matcher};
pub use question::Question;

/// One epoch's policy.
#[derive(Debug)]
pub struct Policy {
    epoch: u64,
    zones: Box<[String]>,
    zone_sessions_max: Box<[Option<u32>]>, // by ZoneId
    zone_of_port: Box<[Option<ZoneId>]>,   // by PortId
    absent_ports: Box<[(ZoneId, String)]>,
    rules: Box<[Rule]>,
    by_id: BTreeMap<String, RuleIndex>,
    matcher: Indexed,
    timeouts: Timeouts,
    lives: lives::Lives,
    integrity: Integrity,
    picks_up: bool,
    has_algs: bool,
    names: names::Names,
    screens: Screens,
    translations: Translations,
}

impl Policy {
    /// Compiles `policy` as epoch `epoch` for a node whose ports are named `ports`, in `PortId`
    /// order. A port without a zone passes nothing.
    pub fn compile(
        policy: &config::Policy,
        epoch: u64,
        ports: &[&str],
    ) -> Result<Self, CompileError> {
        compile::compile(policy, epoch, ports)
    }

    /// Compiles a policy that is all in one text, without list files: what tests and benches have.
    pub fn from_text(text: &str, epoch: u64, ports: &[&str]) -> Result<Self, TextError> {
        let mut no_lists = |_: &str| Err("no list files here".to_owned());
        let checked = config::parse_policy("policy", text, &mut no_lists);
        let policy = checked.map_err(TextError::Wrong)?.value;
        Self::compile(&policy, epoch, ports).map_err(TextError::Beyond)
    }

    /// The version of the policy; grows with every commit.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the policy does with a new flow.
    pub fn judge(&self, question: &Question) -> Decision {
        let Some(index) = self.find(question) else { return Decision::NoRule };
        match self.rule(index).action {
            Action::Permit => Decision::Permit(index),
            Action::Deny => Decision::Deny(index),
            Action::Reject => Decision::Reject(index),
        }
    }

    /// The first rule that matches.
    pub fn find(&self, question: &Question) -> Option<RuleIndex> {
        self.matcher.find(question)
    }

    /// The scan over the same rules, rule by rule: what [`Policy::find`] must agree with.
    pub const fn linear(&self) -> &Linear {
        self.matcher.linear()
    }

    /// Memory of the index that finds rules, bytes.
    pub fn index_bytes(&self) -> usize {
        self.matcher.bytes()
    }

    /// Why a rule does not match, or `None` if it does: for `explain`.
    pub fn mismatch(&self, rule: RuleIndex, question: &Question) -> Option<Mismatch> {
        self.matcher.mismatch(rule, question)
    }

    /// The facts of a rule of this epoch.
    ///
    /// # Panics
    /// If `index` comes from a policy with more rules than this one.
    pub fn rule(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.index()]
    }

    /// All rules in the order of the file; a [`RuleIndex`] is a place in it.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule with this stable id.
    pub fn rule_by_id(&self, id: &str) -> Option<RuleIndex> {
        self.by_id.get(id).copied()
    }

    /// Where the rules of `old` are now: for each rule of `old`, in its order, the rule of the same
    /// id in this policy. Carries counters and sessions over a commit.
    pub fn map_from(&self, old: &Self) -> Vec<Option<RuleIndex>> {
        old.rules.iter().map(|rule| self.rule_by_id(&rule.id)).collect()
    }

    /// The zone of a port; `None` if the policy names it in no zone.
    pub fn zone_of_port(&self, port: PortId) -> Option<ZoneId> {
        self.zone_of_port.get(port.index()).copied().flatten()
    }

    /// The name of a zone of this epoch.
    ///
    /// # Panics
    /// If `zone` comes from a policy with more zones than this one.
    pub fn zone_name(&self, zone: ZoneId) -> &str {
        &self.zones[zone.index()]
    }

    /// The names of all zones; a [`ZoneId`] is a place in it.
    pub fn zones(&self) -> &[String] {
        &self.zones
    }

    /// Sessions that hosts of a zone may have opened at once, in the whole node.
    ///
    /// # Panics
    /// If `zone` comes from a policy with more zones than this one.
    pub fn zone_sessions_max(&self, zone: ZoneId) -> Option<u32> {
        self.zone_sessions_max[zone.index()]
    }

    /// Whether any rule picks TCP connections up in the middle.
    pub const fn picks_up(&self) -> bool {
        self.picks_up
    }

    /// Whether any rule has gateways.
    pub const fn has_algs(&self) -> bool {
        self.has_algs
    }

    /// Ports that a zone names and this node does not have: no error, since members of a cluster
    /// may have different ports, but worth a warning, since it may be a slip.
    pub fn absent_ports(&self) -> &[(ZoneId, String)] {
        &self.absent_ports
    }

    /// Idle times per protocol state.
    pub const fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The idle lives that rules and services grant instead; a [`LifeIndex`] is a place in it,
    /// counted from 1.
    pub fn own_lives(&self) -> &[Duration] {
        self.lives.different()
    }

    /// The life that `rule` grants a session whose first packet raises `question`: its own, or that
    /// of its first matching service that has one.
    pub fn life(&self, rule: RuleIndex, question: &Question) -> LifeIndex {
        self.lives.find(rule, question)
    }

    /// The hash of a rule's id, the same on every node; 0 if there is no such rule.
    pub(crate) fn name_of_rule(&self, rule: RuleIndex) -> u64 {
        self.names.of_rule(rule)
    }

    /// The hash of a zone's name, the same on every node; 0 if there is no such zone.
    pub(crate) fn name_of_zone(&self, zone: ZoneId) -> u32 {
        self.names.of_zone(zone)
    }

    /// The rule whose id has this hash; `None` if none or several have it.
    pub(crate) fn rule_named(&self, name: u64) -> Option<RuleIndex> {
        self.names.rule(name)
    }

    /// The zone whose name has this hash; `None` if none or several have it.
    pub(crate) fn zone_named(&self, name: u32) -> Option<ZoneId> {
        self.names.zone(name)
    }

    /// What its zones do about attacks.
    pub(crate) const fn screens(&self) -> &Screens {
        &self.screens
    }

    /// What of an address of the firewall's own is for translation and not for its host.
    pub fn public_use(
        &self,
        domain: u16,
        address: std::net::IpAddr,
    ) -> Option<crate::nat::PublicUse> {
        let mut public = self.translations.public_use(domain, address)?;
        // Tunnels by PPTP come to an address that stands for their hosts, unless its own host has some.
        let gre = Protocol::GRE.0;
        let of_host = self.translations.host().any(|(protocol, ..)| protocol == gre);
        if public.range && self.reads_pptp() && !of_host {
            public.served.push((gre, 0, 0));
        }
        Some(public)
    }

    fn reads_pptp(&self) -> bool {
        let mut algs = self.rules.iter().flat_map(|rule| &rule.algs);
        algs.any(|it| it.alg == Alg::Pptp)
    }

    /// The ids of the rules of translation, in the order of the file.
    pub fn translation_ids(&self) -> impl Iterator<Item = &str> {
        self.translations.rules.iter().map(String::as_str)
    }

    /// What it translates.
    pub(crate) const fn translations(&self) -> &Translations {
        &self.translations
    }

    /// Packet checks that can be switched.
    pub const fn integrity(&self) -> &Integrity {
        &self.integrity
    }
}

/// Why a text became no policy.
#[derive(Debug)]
pub enum TextError {
    /// It is wrong.
    Wrong(Vec<config::Diagnostic>),
    /// It is right, and cannot be compiled.
    Beyond(CompileError),
}

/// What a policy does with a new flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Open a session under this rule.
    Permit(RuleIndex),
    /// Drop: this rule denies it.
    Deny(RuleIndex),
    /// Answer and drop: this rule rejects it.
    Reject(RuleIndex),
    /// Drop: no rule matches.
    NoRule,
}

impl Decision {
    /// The rule that decided.
    pub const fn rule(self) -> Option<RuleIndex> {
        match self {
            Self::Permit(rule) | Self::Deny(rule) | Self::Reject(rule) => Some(rule),
            Self::NoRule => None,
        }
    }
}

/// What a rule says beyond which packets it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable id, the operator's name for the rule.
    pub id: String,
    /// What happens to the first packet of a session.
    pub action: Action,
    /// Log when a session opens, or, under deny and reject, when a packet is refused.
    pub log_open: bool,
    /// Log when a session closes.
    pub log_close: bool,
    /// What a policy change does to live sessions of the rule.
    pub on_change: OnChange,
    /// Whether the first packet waits for the backup.
    pub replication: Replication,
    /// Sessions that it may have at once, in the whole node.
    pub sessions_max: Option<u32>,
    /// Whether a TCP connection whose SYN was not seen may become a session.
    pub pick_up: bool,
    /// Gateways for its sessions.
    pub algs: Box<[AlgUse]>,
    /// Line in the policy file, from 1.
    pub line: usize,
}

impl Rule {
    /// The gateway for a session of the rule, by its protocol and the port that it is opened to.
    pub fn alg(&self, protocol: Protocol, port: u16) -> Option<Alg> {
        self.algs.iter().find(|it| it.is_for(protocol.0, port)).map(|it| it.alg)
    }
}
