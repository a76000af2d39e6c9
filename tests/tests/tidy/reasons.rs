//! Every drop reason and every anomaly is explained to the user, and produced by at least one test.

use std::collections::BTreeSet;

use engine::{Anomaly, Reason};
use proc_macro2::TokenTree;

use crate::none;
use crate::source::{Source, all, rust};
use ringwall_tests::workspace;

#[test]
fn every_reason_is_explained() {
    let unexplained = Reason::ALL.iter().filter(|reason| reason.explain().len() < 10);
    none("explanations", unexplained.map(|reason| format!("{reason}: say what happened")));
}

/// A reason counts as hit when a packet vector expects it (which its runner checks), or when test
/// code names it, for those that only a worker or a kernel can produce.
#[test]
fn every_reason_is_hit_by_a_test() {
    let mut hit: BTreeSet<String> = all().iter().filter(is_vector).flat_map(expected).collect();
    for source in rust() {
        hit.extend(named(&test_tokens(source)).into_iter().filter_map(|name| kebab(&name)));
    }
    let missing = Reason::ALL.iter().filter(|reason| !hit.contains(reason.name()));
    none(
        "tests of reasons",
        missing.map(|reason| format!("{reason}: write a vector with it, or a worker's test")),
    );
}

#[test]
fn every_anomaly_is_hit_by_a_vector() {
    let hit: BTreeSet<String> = all().iter().filter(is_vector).flat_map(expected).collect();
    let missing = Anomaly::ALL.iter().filter(|anomaly| !hit.contains(anomaly.name()));
    none(
        "vectors of anomalies",
        missing.map(|anomaly| format!("{}: write a vector that counts it", anomaly.name())),
    );
}

/// The page for users tells the anomalies in the program's own words, and its tables name no counter that
/// there is not: of screens the last column does.
#[test]
fn the_page_of_anomalies_tells_what_there_is() {
    let read = |name: &str| std::fs::read_to_string(workspace().join("node/ringwall").join(name));
    let [page, metrics] = ["ANOMALIES.md", "METRICS.md"].map(|name| read(name).expect(name));
    let flat = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let (list, screens) = page.split_once("\n## Screens\n").expect("what screens do stands last");
    let rows: Vec<&str> = list.lines().filter_map(|line| line.strip_prefix("| ")).collect();
    let dropped_as =
        screens.lines().filter_map(|line| line.strip_suffix(" |")?.rsplit(" | ").next());
    let mut offences = Vec::new();
    for anomaly in Anomaly::ALL {
        let (name, meaning) = (anomaly.name(), anomaly.explain());
        if !flat.contains(&format!("- `{name}`: {meaning}")) {
            offences.push(format!("{name} is not explained by: {meaning}"));
        }
        if !rows.iter().any(|row| row.contains(&format!("**`{name}`**"))) {
            offences.push(format!("{name} is nowhere in the table"));
        }
    }
    let named = rows.iter().copied().chain(dropped_as).flat_map(counters);
    for (kind, name) in named.filter(|(_, name)| !name.ends_with('…')) {
        let known = match kind {
            "**" => Anomaly::ALL.iter().any(|anomaly| anomaly.name() == name),
            "*" => metrics.contains(&format!("`ringwall_packets_{name}_total`")),
            _ => Reason::ALL.iter().any(|reason| reason.name() == name),
        };
        if !known {
            offences.push(format!("{kind}`{name}`{kind} is no counter"));
        }
    }
    assert!(rows.len() > 30, "the table is not read");
    none("the page of anomalies", offences);
}

/// The page of translation tells what is refused, in the program's own words.
#[test]
fn the_page_of_translation_tells_every_reason_of_its_own() {
    let page = std::fs::read_to_string(workspace().join("node/ringwall/NAT.md")).expect("NAT.md");
    let told = page.lines().filter_map(|line| line.strip_prefix("| `nat-"));
    let told: BTreeSet<&str> = told.filter_map(|rest| rest.split('`').next()).collect();
    let own: BTreeSet<&str> =
        Reason::ALL.iter().filter_map(|reason| reason.name().strip_prefix("nat-")).collect();
    assert!(!own.is_empty(), "translation has reasons");
    assert_eq!(told, own);
}

/// The names in a row of the table, each with the stars around it.
fn counters(row: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = row.split('`').collect();
    let names = parts.windows(3).step_by(2);
    names
        .map(|around| {
            let stars = around[2].len() - around[2].trim_start_matches('*').len();
            (&around[2][..stars], around[1])
        })
        .collect()
}

fn is_vector(source: &&Source) -> bool {
    source.path.starts_with("tests/vectors/") && source.kind() == "txt"
}

/// What a vector expects: the words behind `drop`, and counters that go up.
fn expected(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for line in source.text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let Some((_, expected)) = line.split_once("->") else { continue };
        let words: Vec<&str> = expected.split_whitespace().take_while(|it| *it != "#").collect();
        let behind = words.windows(2).filter(|pair| pair[0] == "drop").map(|pair| pair[1]);
        let counters = words.iter().filter_map(|word| word.split_once('+')).map(|(name, _)| name);
        found.extend(behind.chain(counters).map(str::to_owned));
    }
    found
}

/// The tokens of a file that only tests compile.
fn test_tokens(source: &Source) -> Vec<TokenTree> {
    if source.is_test() {
        return source.tokens();
    }
    let text = &source.text;
    let Some(start) = text.find("#[cfg(test)]\nmod ") else { return Vec::new() };
    Source { path: source.path.clone(), text: text[start..].to_owned() }.tokens()
}

/// The identifiers behind `Reason::`.
fn named(tokens: &[TokenTree]) -> BTreeSet<String> {
    let name = |window: &[TokenTree]| match window {
        [
            TokenTree::Ident(kind),
            TokenTree::Punct(_),
            TokenTree::Punct(_),
            TokenTree::Ident(name),
        ] => (kind == "Reason").then(|| name.to_string()),
        _ => None,
    };
    tokens.windows(4).filter_map(name).collect()
}

/// The reason's name, from its variant's.
fn kebab(variant: &str) -> Option<String> {
    let reason = Reason::ALL.iter().find(|reason| format!("{reason:?}") == variant)?;
    Some(reason.name().to_owned())
}

#[test]
fn names_are_found_in_vectors_and_in_code() {
    let vector = Source {
        path: "tests/vectors/made-up.txt".into(),
        text: "lan x -> drop no-rule held+1 # drop nothing\n# x -> drop land\n".into(),
    };
    assert!(is_vector(&&vector));
    assert_eq!(expected(&vector), ["no-rule", "held"]);
    let code = Source {
        path: "made-up.rs".into(),
        text: "fn f() { Reason::Land; }\n#[cfg(test)]\nmod tests { fn g() { Reason::NoRule; } }"
            .into(),
    };
    assert_eq!(named(&test_tokens(&code)), BTreeSet::from(["NoRule".to_owned()]));
    assert_eq!(kebab("NoRule"), Some("no-rule".into()));
}
