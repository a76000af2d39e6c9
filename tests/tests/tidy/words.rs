//! Words: names that say nothing, open ends, `unsafe`, and limits without a reason.

use proc_macro2::TokenTree;

use crate::none;
use crate::source::{Source, all, rust};

/// Names that say nothing, and what to do instead.
const EMPTY_NAMES: [(&str, &str); 7] = [
    ("util", "name it after what it does"),
    ("utils", "name it after what it does"),
    ("helper", "name it after what it does"),
    ("helpers", "name it after what it does"),
    ("common", "put it where its main user is"),
    ("manager", "say what it does: owner, table, supervisor"),
    ("misc", "name it after what it holds"),
];

/// Folders whose crates may hold `unsafe`, each block with its invariant.
const UNSAFE_ALLOWED: [&str; 2] = ["node/af-xdp/", "node/datapath/"];

/// Prefixes of the paths of crates that see no clock, thread, socket or file.
const PURE: [&str; 5] =
    ["node/sketch/src/", "node/wire/src/", "config/src/", "node/engine/src/", "cluster/core/src/"];

/// What such a crate must not name: the first two parts of paths of the standard library.
const IMPURE: [&str; 7] = [
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "time::Instant",
    "time::SystemTime",
    "net::UdpSocket",
];

/// Whether `word` stands in `line` as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(start, _)| {
        !part(line[..start].chars().next_back()) && !part(line[start + word.len()..].chars().next())
    })
}

#[test]
fn nothing_is_left_open() {
    // Put together here, so that this file does not trip over itself.
    let marks = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];
    let macros = [concat!("todo", "!"), concat!("unimplemented", "!")];
    let mut offences = Vec::new();
    for source in all().iter().filter(|source| source.kind() != "lock") {
        for (number, line) in (1..).zip(source.text.lines()) {
            let found = marks.iter().find(|mark| has_word(line, mark));
            let found = found.or_else(|| macros.iter().find(|name| line.contains(**name)));
            if let Some(mark) = found {
                offences.push(format!("{}: {mark}: do it, or file it", source.at(number)));
            }
        }
    }
    none("open ends", offences);
}

#[test]
fn the_text_is_about_the_project_alone() {
    let places = [
        concat!("/wo", "rk/"),
        concat!("/tmp/", "plan"),
        concat!("DESIGN", ".md"),
        concat!("crates", ".io"),
        concat!("help", "er-"),
    ];
    let mut offences = Vec::new();
    for source in all().iter().filter(|source| source.kind() != "lock") {
        for (number, line) in (1..).zip(source.text.lines()) {
            if let Some(place) = places.iter().find(|place| line.contains(**place)) {
                offences.push(format!("{}: {place}: means nothing to a reader", source.at(number)));
            }
        }
    }
    none("foreign places", offences);
}

#[test]
fn files_and_modules_have_names_that_say_something() {
    let offence = |source: &Source| {
        source.path.split('/').find_map(|part| {
            let stem = part.split('.').next().unwrap_or(part);
            let (name, instead) = EMPTY_NAMES.iter().find(|(name, _)| *name == stem)?;
            Some(format!("{}: `{name}`: {instead}", source.path))
        })
    };
    none("names of files", all().iter().filter_map(offence));
}

#[test]
fn types_and_functions_have_names_that_say_something() {
    let mut offences = Vec::new();
    for source in rust() {
        let tokens = source.tokens();
        for pair in tokens.windows(2) {
            let [TokenTree::Ident(keyword), TokenTree::Ident(name)] = pair else { continue };
            if !["struct", "enum", "trait", "mod", "fn", "type"].contains(&&*keyword.to_string()) {
                continue;
            }
            let words = words(&name.to_string());
            if let Some((_, instead)) = EMPTY_NAMES.iter().find(|(it, _)| words.contains(*it)) {
                let at = source.at(name.span().start().line);
                offences.push(format!("{at}: `{name}`: {instead}"));
            }
        }
    }
    none("names in code", offences);
}

/// The words of a name in camel or snake case, in lower case.
fn words(name: &str) -> std::collections::BTreeSet<String> {
    let mut spaced = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            spaced.push('_');
        }
        spaced.extend(letter.to_lowercase());
    }
    spaced.split('_').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn unsafe_stays_where_the_kernel_is_touched() {
    let mut offences = Vec::new();
    let elsewhere = |source: &&Source| !UNSAFE_ALLOWED.iter().any(|it| source.path.starts_with(it));
    for source in rust().filter(elsewhere) {
        for token in source.tokens() {
            if let TokenTree::Ident(word) = token
                && word == "unsafe"
            {
                let at = source.at(word.span().start().line);
                offences.push(format!("{at}: only node/af-xdp and node/datapath may hold it"));
            }
        }
    }
    none("unsafe", offences);
}

#[test]
fn the_pure_crates_name_nothing_of_the_system() {
    let mut offences = Vec::new();
    let pure =
        |source: &&Source| PURE.iter().any(|it| source.path.starts_with(it)) && !source.is_test();
    for source in rust().filter(pure) {
        for (number, line) in (1..).zip(source.text.lines()) {
            let code = line.split("//").next().unwrap_or(line);
            if let Some(name) = IMPURE.iter().find(|name| code.contains(**name)) {
                offences.push(format!("{}: {name}: take it as an argument", source.at(number)));
            }
        }
    }
    none("pure crates", offences);
}

/// The one file that may name the encoding of control messages, so that another is another body of it.
const CODEC: &str = "cluster/net/src/codec.rs";

#[test]
fn the_encoding_is_known_to_one_module() {
    let encoding = concat!("bin", "code");
    let names = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == encoding);
    let named: Vec<_> =
        rust().filter(|source| source.tokens().iter().any(names)).map(|it| &it.path).collect();
    assert_eq!(named, [CODEC], "only the codec may name it");
}

/// Shortest text that can tell a unit and a reason.
const REASON_CHARACTERS: usize = 30;

#[test]
fn every_limit_tells_its_unit_and_reason() {
    let mut offences = Vec::new();
    for source in rust().filter(|source| source.path.ends_with("/limits.rs")) {
        for item in source.syntax().items {
            let syn::Item::Const(item) = item else { continue };
            let told: usize = item.attrs.iter().map(doc_characters).sum();
            if told < REASON_CHARACTERS {
                let at = source.at(item.ident.span().start().line);
                offences.push(format!("{at}: {}: its doc tells unit and reason", item.ident));
            }
        }
    }
    none("limits", offences);
}

fn doc_characters(attribute: &syn::Attribute) -> usize {
    let syn::Meta::NameValue(meta) = &attribute.meta else { return 0 };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &meta.value else {
        return 0;
    };
    text.value().len()
}

#[test]
fn the_rules_recognise_words() {
    assert!(has_word("// MARK: later", "MARK"));
    assert!(!has_word("let BENCHMARKED = 1;", "MARK"));
    let name = words("FlowTableManager");
    assert!(name.contains("manager") && name.contains("table") && name.len() == 3);
    assert!(words("MAX_SESSIONS".to_lowercase().as_str()).contains("max"));
}
