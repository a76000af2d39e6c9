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
    assert_eq!(seen, 9);
}

#[test]
fn policies_fit_their_nodes() {
    for (policy_name, node_name) in [
        ("policy.toml", "node.toml"),
        ("list-policy.toml", "node.toml"),
        ("nat-policy.toml", "node.toml"),
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

#[test]
fn what_translation_needs_of_a_node_is_told() {
    let nat = "[[nat-pool]]\nname = \"x\"\naddresses = \"192.0.2.1\"\ndomain = 7\n\
               [[nat]]\nid = \"any\"\ntype = \"source\"\ntranslate = \"interface\"\n\
               [[nat]]\nid = \"out\"\ntype = \"source\"\ntranslate = \"interface\"\nto = \"x\"\n\
               [[nat]]\nid = \"to-x\"\ntype = \"source\"\ntranslate = \"pool:x\"\nto = \"x\"\n\
               destination = \"192.0.2.9\"\n";
    let lines = |port: &str, node_name: &str| -> Vec<_> {
        let zones = format!("[zones]\nx = \"{port}\"\n");
        let policy = parse_policy("p", &format!("{zones}{nat}"), &mut |_| Err(String::new()));
        let misfits = misfits(&policy.expect("a good policy").value, &node(node_name));
        misfits.iter().map(ToString::to_string).filter(|line| !line.contains("no zone")).collect()
    };
    let domain = "pool x is of domain 7, which no port of this node is in";
    let other = |port: &str| {
        format!("nat rule to-x translates to pool x of another domain than port {port}")
    };
    let of_wan = [domain.to_owned(), other("wan")];
    assert_eq!(lines("wan", "node.toml"), of_wan);
    assert_eq!(lines("wan", "pair-node.toml"), of_wan, "it has a VIP");
    let wire = "nat rule out translates to the address of port outside, a wire's end: it has none";
    assert_eq!(lines("outside", "wire-node.toml"), [domain, wire, &other("outside")]);
    let pair = text("pair-node.toml").replace("port = \"wan\"", "port = \"lan\"");
    let pair = parse_node("n", &pair).expect("a good node").value;
    let policy = format!("[zones]\nx = \"wan\"\n{nat}");
    let policy = parse_policy("p", &policy, &mut |_| Err(String::new())).expect("good").value;
    let lines: Vec<_> = misfits(&policy, &pair).iter().map(ToString::to_string).collect();
    let vip = "nat rule out translates to the address of port wan, which has no VIP: no other node \
               could carry its sessions on";
    assert!(lines.iter().any(|line| line == vip), "{lines:#?}");
}
