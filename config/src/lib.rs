//! The operator's language: node file and policy file. Model, parser, difference, API types.
//!
//! Nothing here opens a file or a socket: texts come in as arguments, list files through a
//! callback. The same text always gives the same answer.
//!
//! `examples/` shows every key. What they cannot show:
//!
//! - **Problems**: one run reports all of them, each with file, line, column, the line itself and
//!   a hint; those of a list file name the list. A problem of TOML itself comes first and alone.
//! - **Addresses**: a word that starts with a digit or holds a colon is an address, a prefix or a
//!   range; any other is a name. A prefix with host bits set is an error, not a guess. A list file
//!   may be empty (a warning), a group may not.
//! - **Negation** belongs to a rule: `source = ["!blocked", "!10.0.0.1"]` is every address in none
//!   of these, of both families. Negated and plain entries do not mix.
//! - **ICMP**: `icmp/NAME` is the type of that name in each version that has it, `icmp/NUMBER` is
//!   of ICMPv4, whose protocol name `icmp` is; `icmp4/…` and `icmp6/…` say the version.
//! - **Shadowed rules** are a warning if one earlier rule takes all their packets. The search is
//!   bounded and certain: it may miss one, it never accuses wrongly.
//! - **Translation** ([`Nat`]): addresses of pools and of rules are written out, names stand in `source`
//!   and `destination` alone. An address outside is in one pool, or stands for one inside: else two
//!   would have it, and a reply would not find its node. A source rule with a pool is one for the families
//!   that the pool has.
//! - **Sections of later versions** are errors, since a protection that is silently not there is
//!   worse than none.
//! - **Lists inlined** ([`inline_lists`]) stand as `{ file = "…", content = "…" }`, so a revision
//!   needs no file, and messages still name the list and its line.

pub mod api;
pub mod limits;

mod access;
mod alg;
mod diagnostic;
mod diff;
mod fit;
mod nat;
mod node;
mod parse;
mod policy;
mod ranges;
mod screen;
mod text;

pub use access::{Access, Principal, Role, is_name};
pub use alg::{Alg, AlgUse};
pub use diagnostic::{Checked, Diagnostic, Severity};
pub use diff::{Change, Difference, FieldChange, Members, Place, RuleField, diff};
pub use fit::{Misfit, misfits};
pub use nat::{
    DestinationNat, DestinationTo, Filtering, Mapping, Nat, Nat64, NatKind, NatPool, NatRule,
    Pooling, PrefixNat, SourceNat, SourceTo, StaticNat,
};
pub use node::{
    Api, Checksum, Cluster, EventClass, Fabric, Facility, Log, LogFormat, Metrics, Node, OnExit,
    Placement, Port, Receiver, Remote, Syslog, Target, Unconfirmed, Vip, Wire, ZeroCopy,
};
pub use parse::{
    POLICY_SECTIONS, inline_lists, parse_checked_policy, parse_node, parse_policy, parse_witness,
};
pub use policy::{
    Action, AddressMatch, AddressSet, HostInbound, Integrity, OnChange, Policy, Replication, Rule,
    Service, Terms, Timeouts, WindowCheck, Zone,
};
pub use screen::{
    Baseline, Flood, PrefixLengths, Reaction, Response, Scan, Screen, SessionLimit, SynFlood,
};
