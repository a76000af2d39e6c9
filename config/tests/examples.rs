//! The commented examples are right, and say what their comments say.

use std::fs;
use std::path::{Path, PathBuf};

use ringwall_config::{
    Node, Policy, inline_lists, misfits, parse_node, parse_policy, parse_witness,
};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn policy(name: &str) -> Policy {
    let mut load = |list: &str| fs::read_to_string(path(list)).map_err(|error| error.to_string());
    let checked = parse_policy(name, &text(name), &mut load);
    let checked = checked.unwrap_or_else(|all| panic!("{name}: {all:#?}"));
    assert_eq!(checked.warnings, [], "{name}");
    checked.value
}

fn node(name: &str) -> Node {
    let checked = parse_node(name, &text(name)).unwrap_or_else(|all| panic!("{name}: {all:#?}"));
    assert_eq!(checked.warnings, [], "{name}");
    checked.value
}

#[test]
fn every_example_parses_without_a_warning() {
    let mut seen = 0;
    for entry in fs::read_dir(path("")).expect("the examples are there") {
        let name = entry.expect("readable").file_name().into_string().expect("ASCII");
        match name.as_str() {
            "witness-node.toml" => drop(parse_witness(&name, &text(&name)).expect("a good file")),
            _ if name.ends_with("node.toml") => drop(node(&name)),
            _ if name.ends_with("policy.toml") => drop(policy(&name)),
            "bogons.txt" => {}
            other => panic!("no test knows the example {other}"),
        }
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn policies_fit_their_nodes() {
    for (policy_name, node_name) in [
        ("policy.toml", "node.toml"),
        ("list-policy.toml", "node.toml"),
        ("wire-policy.toml", "wire-node.toml"),
    ] {
        assert_eq!(misfits(&policy(policy_name), &node(node_name)), [], "{policy_name}");
    }
    let lines: Vec<_> = misfits(&policy("policy.toml"), &node("wire-node.toml"))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[2], "zone trust names port lan, which this node does not have");
}

#[test]
fn an_inlined_list_needs_no_file_and_means_the_same() {
    let name = "list-policy.toml";
    let mut load = |list: &str| fs::read_to_string(path(list)).map_err(|error| error.to_string());
    let inlined = inline_lists(name, &text(name), &mut load).expect("the list is there");
    let mut none = |list: &str| Err(format!("{list} was read"));
    let checked = parse_policy(name, &inlined, &mut none).unwrap_or_else(|all| panic!("{all:#?}"));
    assert_eq!(checked.value, policy(name), "lines of rules included");
    let again = inline_lists(name, &inlined, &mut none).expect("nothing is left to read");
    assert_eq!(again, inlined);
}
