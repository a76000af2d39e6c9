//! From the operator's text to the model, or to everything that is wrong with it.

mod access;
mod address;
mod alg;
mod book;
mod cluster;
mod duration;
mod fields;
mod groups;
pub(crate) mod icmp;
mod inline;
mod list;
mod nat;
mod nearest;
mod node;
mod options;
mod paths;
mod ports;
mod reader;
mod rule;
mod screen;
mod service;
mod shadow;
mod syslog;
mod zones;

pub use inline::inline_lists;
pub use node::{parse_node, parse_witness};

use core::ops::Range;

use fields::Fields;
use reader::Reader;
use rule::Books;
use zones::Zones;

use crate::limits::POLICY_BYTES_MAX;
use crate::{Checked, Diagnostic, Policy};

/// Reads a list file by the name the policy gives it; the error is for people.
pub(crate) type Load<'l> = dyn FnMut(&str) -> Result<String, String> + 'l;

/// The sections of a policy file.
pub const POLICY_SECTIONS: [&str; 10] = [
    "zones",
    "addresses",
    "services",
    "rule",
    "host-inbound",
    "timeouts",
    "integrity",
    "screen",
    "nat-pool",
    "nat",
];

/// Parses and checks a policy. `file` names the text in diagnostics; `load` reads a list file by
/// the name the policy gives it (resolve it beside the policy file), its error is for people.
///
/// # Errors
/// Every problem of the text and of its lists, in the order of the text.
pub fn parse_policy(
    file: &str,
    text: &str,
    load: &mut Load<'_>,
) -> Result<Checked<Policy>, Vec<Diagnostic>> {
    let mut reader = Reader::new(file, text);
    let parsed = policy(&mut reader, load);
    if let Some((policy, spans)) = parsed.as_ref().filter(|_| reader.errors() == 0) {
        shadow::check(&mut reader, policy, &spans.rules);
        shadow::check_nat(&mut reader, policy, &spans.nat);
        nat::host::check(&mut reader, policy, &spans.nat);
    }
    reader.finish(parsed.map(|(policy, _)| policy))
}

/// The same of a text that an operator has had checked before: nobody is warned, which saves a fifth of the
/// time.
///
/// # Errors
/// As of [`parse_policy`].
pub fn parse_checked_policy(
    file: &str,
    text: &str,
    load: &mut Load<'_>,
) -> Result<Policy, Vec<Diagnostic>> {
    let mut reader = Reader::new(file, text);
    let parsed = policy(&mut reader, load);
    reader.finish(parsed.map(|(policy, _)| policy)).map(|checked| checked.value)
}

/// Where each rule stands.
struct Spans {
    rules: Vec<Range<usize>>,
    nat: Vec<Range<usize>>,
}

/// A policy, and where its rules stand.
fn policy(reader: &mut Reader<'_>, load: &mut Load<'_>) -> Option<(Policy, Spans)> {
    let document = reader.document(POLICY_BYTES_MAX)?;
    let document = Fields::document(document.get_ref(), "a policy file");
    document.check_keys(reader, &POLICY_SECTIONS, &[]);
    let zones = Zones::parse(reader, &document);
    let (addresses, sets) = book::book(reader, document.get("addresses"), load);
    let services = service::book(reader, document.get("services"));
    let mut books = Books { zones, addresses, services, sets };
    let (rules, of_rules) = rule::rules(reader, &mut books, &document);
    let host_inbound = rule::host_inbound(reader, &books, &document);
    let screens = screen::screens(reader, &mut books, &document);
    let (nat, of_nat) = nat::nat(reader, &mut books, &document);
    let policy = Policy {
        zones: books.zones.zones,
        sets: books.sets,
        rules,
        host_inbound,
        timeouts: options::timeouts(reader, document.get("timeouts")),
        integrity: options::integrity(reader, document.get("integrity")),
        screens,
        nat,
    };
    Some((policy, Spans { rules: of_rules, nat: of_nat }))
}
