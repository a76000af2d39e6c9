//! The top of the tree has room for what it has, and for nothing else.

use ringwall_tests::workspace;

use crate::none;

/// Everything that may lie at the root. `cluster` comes with clustering.
const TOP: [&str; 21] = [
    ".ci",
    ".git",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "actors",
    "chaos",
    "clippy.toml",
    "cluster",
    "config",
    "deny.toml",
    "node",
    "rustfmt.toml",
    "target",
    "tests",
];

#[test]
fn the_top_of_the_tree_is_fixed() {
    let entries = std::fs::read_dir(workspace()).expect("the root can be listed");
    let names = entries
        .map(|entry| entry.expect("a readable entry").file_name().into_string().expect("UTF-8"));
    none(
        "the top of the tree",
        names.filter(|name| !TOP.contains(&name.as_str())).map(|name| {
            format!("{name}: does not belong at the root; put it into the crate that uses it")
        }),
    );
}

#[test]
fn the_root_files_are_there() {
    let missing = TOP
        .iter()
        .filter(|name| ![".git", "target", "cluster"].contains(name))
        .filter(|name| !workspace().join(name).exists());
    none("root files", missing.map(|name| format!("{name}: missing")));
}

#[test]
fn a_member_of_the_workspace_has_content() {
    let empty = crate::source::rust()
        .filter(|source| source.path.ends_with("src/lib.rs") && source.text.trim().is_empty());
    none(
        "empty crates",
        empty.map(|source| format!("{}: a crate without content is not created", source.path)),
    );
}
