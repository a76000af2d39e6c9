//! The files of the tree, read once for all rules.

use std::path::Path;
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};
use ringwall_tests::workspace;

/// Folders that hold no source: build output, and what tools leave behind.
const PASSED_OVER: [&str; 3] = ["target", "proptest-regressions", "node_modules"];

/// One text file of the tree.
pub(crate) struct Source {
    /// Path from the root of the tree, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The kind of file by its name: the extension, or the name where there is none.
    pub(crate) fn kind(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.rsplit_once('.').map_or(name, |(_, kind)| kind)
    }

    /// A folder or file that cargo or the house rules reserve for tests.
    pub(crate) fn is_test(&self) -> bool {
        let reserved = |part| ["tests", "benches", "tests.rs", "proptests.rs"].contains(&part);
        self.path.split('/').any(reserved)
    }

    /// The parsed Rust file.
    pub(crate) fn syntax(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{}: {error}", self.path))
    }

    /// All tokens of a Rust file, flat, in order; groups are walked into, comments are not tokens.
    pub(crate) fn tokens(&self) -> Vec<TokenTree> {
        let stream: TokenStream =
            self.text.parse().unwrap_or_else(|error| panic!("{}: {error}", self.path));
        let mut flat = Vec::new();
        flatten(stream, &mut flat);
        flat
    }

    /// `file:line`, as editors jump to.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

fn flatten(stream: TokenStream, into: &mut Vec<TokenTree>) {
    for tree in stream {
        let inner = if let TokenTree::Group(group) = &tree { Some(group.stream()) } else { None };
        into.push(tree);
        if let Some(inner) = inner {
            flatten(inner, into);
        }
    }
}

/// Every file below the root that is text, sorted by path. Hidden folders other than `.ci` and
/// nested repositories or build directories are passed over.
pub(crate) fn all() -> &'static [Source] {
    static ALL: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let mut found = Vec::new();
        walk(workspace(), &mut found);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(found.len() > 20, "found only {} files: is this the tree?", found.len());
        found
    });
    &ALL
}

/// The Rust files among them.
pub(crate) fn rust() -> impl Iterator<Item = &'static Source> {
    all().iter().filter(|source| source.kind() == "rs")
}

fn walk(folder: &Path, into: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && name != ".ci";
        if hidden || PASSED_OVER.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(&path, into);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let relative = path.strip_prefix(workspace()).expect("below the root");
            into.push(Source { path: relative.to_string_lossy().into_owned(), text });
        }
    }
}

#[test]
fn the_walk_sees_this_file_and_its_tokens() {
    let here = rust().find(|source| source.path.ends_with("tidy/source.rs")).expect("this file");
    assert!(here.is_test());
    assert!(!here.syntax().items.is_empty());
    let words = here.tokens();
    assert!(words.iter().any(|token| token.to_string() == "PASSED_OVER"));
    assert!(!words.iter().any(|token| token.to_string() == "editors"), "a comment is no token");
}
