//! Whatever the text: an answer, never a panic. And long lists are taken whole.

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::prelude::*;
use ringwall_config::{Service, diff, inline_lists, parse_node, parse_policy};

/// Pieces that a policy or node file is made of, good and bad, in any order.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "[zones]\n",
        "[addresses]\n",
        "[services]\n",
        "[[rule]]\n",
        "[[host-inbound]]\n",
        "[timeouts]\n",
        "[integrity]\n",
        "[[screen]]\n",
        "[[nat-pool]]\naddresses = [\"192.0.2.0/30\", \"2001:db8::1\"]\n",
        "[[nat]]\n",
        "type = \"source\"\ntranslate = \"pool:a\"\n",
        "type = \"destination\"\nto-address = \"10.0.0.1-10.0.0.2\"\n",
        "type = \"static\"\n",
        "type = \"nptv6\"\n",
        "type = \"nat64\"\nprefix = \"64:ff9b::/96\"\ntranslate = \"interface\"\n",
        "outside = \"2001:db8::/48\"\ninside = \"fd00::/48\"\n",
        "destination = \"b\"\nto-port = 65535\n",
        "mapping = \"endpoint-independent\"\n",
        "id = \"r\"\n",
        "syn-flood = { alarm = 9, action = \"proxy\" }\n",
        "port-scan = \"off\"\n",
        "exempt = [\"b\", \"::/0\"]\n",
        "[node]\n",
        "[[port]]\n",
        "[[wire]]\n",
        "[rule]\n",
        "id = \"a\"\n",
        "id = 1\n",
        "action = \"permit\"\n",
        "action = \"deny\"\n",
        "from = \"a\"\n",
        "source = [\"a\", \"!b\"]\n",
        "source = \"!a\"\n",
        "source = [\"10.0.0.0/8\"]\n",
        "a = \"b\"\n",
        "b = [\"a\", \"::/0\"]\n",
        "c = { file = \"l\" }\n",
        "d = { file = \"l\", content = \"::1\" }\n",
        "service = \"tcp/1-2\"\n",
        "service = [\"icmp/echo-request\", \"a\"]\n",
        "name = \"a\"\n",
        "interface = \"i\"\n",
        "ports = [\"a\", \"b\"]\n",
        "zone = \"a\"\n",
        "icmp = \"1s\"\n",
        "[a.b]\n",
        "a.b = 1\n",
        "x = '''\n",
        "\"\"\"",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "=",
        "\\",
        "\u{0}",
        "\r",
        "\n",
        "ü",
    ];
    prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}

fn load(name: &str) -> Result<String, String> {
    if name == "l" { Ok("10.0.0.1\n\"\\\u{1}# ü\n".to_owned()) } else { Err("none".to_owned()) }
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let _node = parse_node("n", text);
    let inlined = inline_lists("p", text, &mut load);
    match parse_policy("p", text, &mut load) {
        Ok(checked) => {
            prop_assert_eq!(diff(&checked.value, &checked.value), []);
            let inlined = inlined.map_err(|all| TestCaseError::fail(format!("{all:?}")))?;
            let again = parse_policy("p", &inlined, &mut |_| Err("read again".to_owned()));
            let again = again.map_err(|all| TestCaseError::fail(format!("{all:?}")))?;
            prop_assert_eq!(again.value, checked.value);
        }
        Err(all) => {
            prop_assert!(!all.is_empty());
            let lines = text.split('\n').count();
            for one in all.iter().filter(|one| one.file == "p") {
                prop_assert!((1..=lines).contains(&one.line), "{one}");
                prop_assert!(one.column >= 1);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_pieces_have_an_answer(pieces in vec(piece(), 0..24)) {
        check(&pieces.concat())?;
    }

    #[test]
    fn any_pieces_after_a_good_start_have_an_answer(pieces in vec(piece(), 0..8)) {
        let start = "[zones]\na = \"p\"\n[addresses]\nb = \"10.0.0.1\"\n";
        check(&format!("{start}{}", pieces.concat()))?;
    }

    #[test]
    fn any_text_has_an_answer(text in "(?s).{0,64}") {
        check(&text)?;
    }

    #[test]
    fn any_list_has_an_answer(list in "[0-9a-f:./#\\- \r\n\"\\\\]{0,64}") {
        let text = "zones = {}\naddresses.x = { file = \"l\" }";
        let mut load = |_: &str| Ok(list.clone());
        let checked = parse_policy("p", text, &mut load);
        let inlined = inline_lists("p", text, &mut load).expect("the list can be read");
        let again = parse_policy("p", &inlined, &mut |_| Err("read again".to_owned()));
        match (checked, again) {
            (Ok(first), Ok(second)) => prop_assert_eq!(first.value, second.value),
            (Err(first), Err(second)) => prop_assert_eq!(first, second),
            (first, second) => prop_assert!(false, "{first:?} {second:?}"),
        }
    }

    #[test]
    fn a_service_without_source_ports_says_itself(
        protocol in any::<u8>(),
        ports in any::<Option<(u16, u16)>>(),
        icmp in any::<Option<(u8, Option<u8>)>>(),
    ) {
        let ported = [6, 17, 132].contains(&protocol);
        let ports = ports.map(|(a, b)| (a.min(b), a.max(b))).filter(|_| ported);
        let icmp = icmp.filter(|_| [1, 58].contains(&protocol));
        let service = Service { destination_ports: ports, icmp, ..Service::of_protocol(protocol) };
        let text = format!("zones = {{}}\nrule = [{{ id = \"r\", action = \"deny\", service = \
             \"{service}\" }}]");
        let policy = parse_policy("p", &text, &mut load).expect(&text).value;
        prop_assert_eq!(policy.rules[0].services.as_deref(), Some(&[service][..]));
    }
}

#[test]
fn a_list_of_two_hundred_thousand_prefixes_is_taken_whole() {
    let count: u32 = 200_000;
    // Every second /28, so that none of them merge.
    let prefixes = (0..count).map(|at| Ipv4Addr::from_bits(at << 5));
    let list: String = prefixes.map(|network| format!("{network}/28\n")).collect();
    let text = "zones.a = \"p\"\naddresses.big = { file = \"l\" }\n\
                [[rule]]\nid = \"r\"\naction = \"deny\"\nsource = \"big\"\n";
    let mut load = |_: &str| Ok(list.clone());
    let policy = parse_policy("p", text, &mut load).expect("a good list").value;
    assert_eq!(policy.sets[0].v4.len(), count as usize);
    let held = |address: &str| policy.sets[0].contains(address.parse().expect("test address"));
    assert!(held("0.0.0.15") && !held("0.0.0.16") && held("0.0.0.32"));
    let inlined = inline_lists("p", text, &mut load).expect("a good list");
    let again = parse_policy("p", &inlined, &mut |_| Err("read again".to_owned()));
    assert_eq!(again.expect("the same").value, policy);
}

#[test]
fn groups_that_multiply_at_every_level_stay_small() {
    // Eight times eight levels: 2^24 addresses, if a group kept what it has twice.
    let mut text = "zones = {}\n[addresses]\ng0 = [\"10.0.0.0/24\", \"::/64\"]\n".to_owned();
    for level in 1..=8 {
        let below = level - 1;
        let names: Vec<_> = (0..8).map(|at| format!("g{below}.{at}")).collect();
        let aliases = names.iter().map(|name| format!("\"{name}\" = \"g{below}\"\n"));
        text.extend(aliases);
        text += &format!("g{level} = {names:?}\n");
    }
    let policy = parse_policy("p", &text, &mut load).unwrap_or_else(|all| panic!("{all:#?}")).value;
    assert!(policy.sets.iter().all(|set| set.v4.len() == 1 && set.v6.len() == 1));
}
