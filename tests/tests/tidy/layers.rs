//! The layer table: a crate imports only from lower levels, directly or through others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::process::Command;
use std::sync::LazyLock;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use ringwall_tests::workspace;

use crate::none;

/// Folder of each crate, and its level.
const LEVELS: [(&str, u8); 13] = [
    ("node/ringwall", 5),
    ("chaos", 5),
    ("tests", 5),
    ("actors", 4),
    ("cluster/net", 3),
    ("node/datapath", 2),
    ("cluster/core", 2),
    ("node/engine", 1),
    ("node/af-xdp", 1),
    ("node/netns", 1),
    ("node/sketch", 0),
    ("node/wire", 0),
    ("config", 0),
];

/// Crates whose answers depend on their arguments alone.
const PURE: [&str; 5] = ["node/sketch", "node/wire", "config", "node/engine", "cluster/core"];

/// What a pure crate must not reach, not even through others: runtimes, system calls, entropy.
const IMPURE: [&str; 12] = [
    "tokio",
    "ractor",
    "nix",
    "libc",
    "mio",
    "socket2",
    "rustix",
    "rand",
    "getrandom",
    "chrono",
    "rtnetlink",
    "aya",
];

/// Crates that only they themselves may use: they are products, not libraries.
const LEAVES: [&str; 3] = ["node/ringwall", "chaos", "tests"];

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    MetadataCommand::new()
        .manifest_path(workspace().join("Cargo.toml"))
        // Without this, cargo wants the manifests of other systems' packages, which it may not have.
        .other_options(["--filter-platform".into(), host()])
        .exec()
        .expect("cargo metadata answers")
});

fn host() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

/// The normal dependencies of every package, resolved for this machine.
static EDGES: LazyLock<BTreeMap<&PackageId, Vec<&PackageId>>> = LazyLock::new(|| {
    let resolve = METADATA.resolve.as_ref().expect("metadata with a resolved graph");
    let normal = |node: &'static cargo_metadata::Node| {
        node.deps
            .iter()
            .filter(|dep| dep.dep_kinds.iter().any(|it| it.kind == DependencyKind::Normal))
            .map(|dep| &dep.pkg)
            .collect()
    };
    resolve.nodes.iter().map(|node| (&node.id, normal(node))).collect()
});

/// The members of the workspace by folder.
fn members() -> BTreeMap<String, &'static PackageId> {
    let folder = |package: &'static cargo_metadata::Package| {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent()?.strip_prefix(workspace()).ok()?;
        Some((folder.to_string_lossy().into_owned(), &package.id))
    };
    METADATA.workspace_packages().into_iter().filter_map(folder).collect()
}

/// Everything that `root` reaches by normal dependencies, each with the path that leads there.
fn reached(root: &'static PackageId) -> BTreeMap<&'static PackageId, String> {
    let mut paths = BTreeMap::new();
    let mut queue = VecDeque::from([(root, METADATA[root].name.to_string())]);
    while let Some((from, path)) = queue.pop_front() {
        for to in EDGES.get(from).into_iter().flatten() {
            if !paths.contains_key(to) {
                let path = format!("{path} → {}", METADATA[to].name);
                paths.insert(*to, path.clone());
                queue.push_back((to, path));
            }
        }
    }
    paths
}

fn level(folder: &str) -> Option<u8> {
    LEVELS.iter().find(|(known, _)| *known == folder).map(|(_, level)| *level)
}

#[test]
fn every_crate_has_a_level() {
    let unknown = members().into_keys().filter(|folder| level(folder).is_none());
    none("levels", unknown.map(|folder| format!("{folder}: give it a level in tidy/layers.rs")));
}

#[test]
fn a_crate_imports_only_from_lower_levels() {
    let members = members();
    let mut offences = BTreeSet::new();
    for (folder, id) in &members {
        let paths = reached(id);
        for (other, other_id) in &members {
            let Some(path) = paths.get(other_id) else { continue };
            if level(other) >= level(folder) {
                offences.insert(format!("{folder} must not depend on {other}: {path}"));
            }
        }
    }
    none("layers", offences);
}

#[test]
fn the_pure_crates_reach_no_runtime_and_no_system() {
    let members = members();
    let mut offences = Vec::new();
    for folder in PURE {
        let Some(id) = members.get(folder) else { continue };
        for (package, path) in reached(id) {
            if IMPURE.contains(&METADATA[package].name.as_str()) {
                offences.push(format!("{folder} must stay pure: {path}"));
            }
        }
    }
    none("purity", offences);
}

#[test]
fn nobody_depends_on_a_product() {
    let members = members();
    let mut offences = Vec::new();
    for (folder, id) in &members {
        for leaf in LEAVES.iter().filter_map(|leaf| members.get(*leaf)) {
            if let Some(path) = reached(id).get(leaf) {
                offences.push(format!("{folder}: {path}"));
            }
        }
    }
    none("products are not libraries", offences);
}

#[test]
fn the_graph_is_not_empty() {
    let members = members();
    let binary = members.get("node/ringwall").expect("the product is a member");
    let reached = reached(binary);
    let wire = members.get("node/wire").expect("wire is a member");
    assert!(reached.contains_key(wire), "the product reaches the packet formats");
}
