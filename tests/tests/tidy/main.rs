//! The house rules that a machine can check, as ordinary tests: no network, no root.
//!
//! | file | rule |
//! |------|------|
//! | `layers.rs` | a crate imports only from lower levels; the pure crates stay pure |
//! | `tree.rs` | what may lie at the top of the tree |
//! | `size.rs` | function ≤ 70 lines, file ≤ 800, line ≤ 110 |
//! | `words.rs` | names, open ends, `unsafe`, limits without a reason |
//! | `reasons.rs` | every drop reason is explained, and hit by a test |
//! | `source.rs` | not a rule: reads the source files for the others |
//!
//! Each test lists all offences at once, as `file:line: what is wrong, and what to do`.

mod layers;
mod reasons;
mod size;
mod source;
mod tree;
mod words;

/// Fails with one line for each offence.
#[track_caller]
fn none(rule: &str, offences: impl IntoIterator<Item = String>) {
    let offences: Vec<String> = offences.into_iter().collect();
    let count = offences.len();
    assert!(offences.is_empty(), "{rule}: {count} offence(s)\n  {}", offences.join("\n  "));
}
