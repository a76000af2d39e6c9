#![allow(clippy::unwrap_used)]

use super::*;
use crate::parse_policy;

const BASE: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]
[addresses]
web = ["10.0.0.0/24"]
[services]
dns = ["udp/53", "tcp/53"]
[[rule]]
id = "a"
from = "trust"
destination = ["web", "192.0.2.1"]
service = "dns"
action = "permit"
[[rule]]
id = "b"
action = "deny"
from = "untrust"
[[rule]]
id = "c"
to = "trust"
action = "reject"
[[host-inbound]]
zone = "trust"
service = ["tcp/22"]
[timeouts]
icmp = "30s"
"#;

fn policy(text: &str) -> Policy {
    let checked = parse_policy("p.toml", text, &mut |name| Err(name.to_owned()));
    checked.unwrap_or_else(|all| panic!("{all:#?}")).value
}

/// The changes from `BASE` to `BASE` with `from` replaced by `to`, in words.
fn changes(replacements: &[(&str, &str)]) -> Vec<String> {
    let mut text = BASE.to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    diff(&policy(BASE), &policy(&text)).iter().map(ToString::to_string).collect()
}

#[test]
fn equal_policies_have_no_changes() {
    assert_eq!(diff(&policy(BASE), &policy(BASE)), []);
    assert_eq!(
        changes(&[("\n[[rule]]\nid = \"a\"", "\n# moved down\n\n[[rule]]\nid = \"a\"")]),
        [""; 0]
    );
}

#[test]
fn the_order_of_services_with_timeouts_has_a_meaning() {
    let with = |services: &str| {
        let rule = format!("[[rule]]\nid = \"r\"\naction = \"permit\"\nservice = [{services}]\n");
        policy(&format!("[zones]\n{rule}"))
    };
    let [one, two] =
        ["1h", "2h"].map(|time| format!("{{ protocol = \"tcp\", timeout = \"{time}\" }}"));
    let (before, after) = (with(&format!("{one}, {two}")), with(&format!("{two}, {one}")));
    let changes: Vec<_> = diff(&before, &after).iter().map(ToString::to_string).collect();
    let change = "service tcp for 3600s, tcp for 7200s → tcp for 7200s, tcp for 3600s";
    assert_eq!(changes, [format!("rule r changed: {change}")]);
}

#[test]
fn order_without_meaning_is_no_change() {
    assert_eq!(changes(&[(r#""udp/53", "tcp/53""#, r#""tcp/53", "udp/53""#)]), [""; 0]);
    assert_eq!(changes(&[(r#""web", "192.0.2.1""#, r#""192.0.2.1/32", "web""#)]), [""; 0]);
    let swapped =
        [("trust = [\"lan\"]\nuntrust = [\"wan\"]", "untrust = [\"wan\"]\ntrust = [\"lan\"]")];
    assert_eq!(changes(&swapped), [""; 0]);
}

#[test]
fn zones_and_sets() {
    assert_eq!(changes(&[("[\"lan\"]", "[\"lan\", \"wifi\"]")]), ["zone trust changed: +wifi"]);
    assert_eq!(changes(&[("[\"lan\"]", "[\"wifi\"]")]), ["zone trust changed: +wifi -lan"]);
    let limit = [("[\"lan\"]", "{ ports = \"lan\", sessions-max = 9 }")];
    assert_eq!(changes(&limit), ["zone trust changed: sessions-max (none) → 9"]);
    let limited = [("[addresses]", "dmz = { ports = \"d\", sessions-max = 9 }\n[addresses]")];
    let added = ["zone dmz added: d", "zone dmz changed: sessions-max (none) → 9"];
    assert_eq!(changes(&limited), added);
    let dmz =
        [("[addresses]", "dmz = [\"d\"]\n[addresses]\nvpn = [\"::/0\", \"10.0.0.0-10.0.0.2\"]")];
    let added = ["zone dmz added: d", "address vpn added: 3 prefixes"];
    assert_eq!(changes(&dmz), added);
    let set = [("\"10.0.0.0/24\"", "\"10.0.0.0/25\", \"2001:db8::/32\"")];
    assert_eq!(changes(&set), ["address web changed: +1 -1 prefixes"]);
}

#[test]
fn what_is_gone_is_said() {
    let text = BASE
        .replace("untrust = [\"wan\"]\n", "")
        .replace("from = \"untrust\"\n", "to = \"trust\"\n");
    let text = text.replace("web = [\"10.0.0.0/24\"]\n", "").replace("\"web\", ", "");
    let text = text
        .replace("id = \"c\"", "id = \"d\"")
        .replace("to = \"trust\"\naction = \"reject\"", "action = \"reject\"");
    let lines: Vec<_> =
        diff(&policy(BASE), &policy(&text)).iter().map(ToString::to_string).collect();
    let wanted = [
        "zone untrust removed",
        "address web removed: 1 prefixes",
        "rule c removed",
        "rule a changed: destination 192.0.2.1, web → 192.0.2.1",
        "rule b changed: from untrust → any; to any → trust",
        "rule d added at position 3",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn each_field_of_a_rule() {
    let cases = [
        ("id = \"a\"\n", "id = \"a\"\ndescription = \"DNS\"\n", "description (none) → DNS"),
        ("id = \"a\"\nfrom = \"trust\"", "id = \"a\"\nfrom = \"untrust\"", "from trust → untrust"),
        ("id = \"a\"\n", "id = \"a\"\nto = \"trust\"\n", "to any → trust"),
        ("id = \"a\"\n", "id = \"a\"\nsource = \"!web\"\n", "source any → !web"),
        (
            "\"192.0.2.1\"",
            "\"192.0.2.2-192.0.2.4\"",
            "destination 192.0.2.1, web → 192.0.2.2-192.0.2.4, web",
        ),
        ("\"dns\"", "\"tcp/53\"", "service tcp/53, udp/53 → tcp/53"),
        ("\"permit\"", "\"deny\"", "action permit → deny"),
        ("id = \"a\"\n", "id = \"a\"\nlog = [\"close\", \"open\"]\n", "log (none) → open, close"),
        ("id = \"a\"\n", "id = \"a\"\non-change = \"kill\"\n", "on-change rematch → kill"),
        ("id = \"a\"\n", "id = \"a\"\nreplication = \"async\"\n", "replication sync → async"),
        ("id = \"a\"\n", "id = \"a\"\ntimeout = \"1h\"\n", "timeout (none) → 3600s"),
        ("id = \"a\"\n", "id = \"a\"\nsessions-max = 9\n", "sessions-max (none) → 9"),
        ("id = \"a\"\n", "id = \"a\"\npick-up = true\n", "pick-up false → true"),
    ];
    for (from, to, change) in cases {
        assert_eq!(changes(&[(from, to)]), [format!("rule a changed: {change}")]);
    }
}

#[test]
fn a_moved_rule_keeps_its_id() {
    let rule_c = "[[rule]]\nid = \"c\"\nto = \"trust\"\naction = \"reject\"\n";
    let text = BASE.replace(rule_c, "");
    let text = text.replacen("[[rule]]", &format!("{rule_c}[[rule]]"), 1);
    let moved = Change::RuleMoved { rule: "c".to_owned(), from: 3, to: 1 };
    assert_eq!(diff(&policy(BASE), &policy(&text)), [moved]);
}

#[test]
fn options_and_host_inbound() {
    assert_eq!(
        changes(&[("icmp = \"30s\"", "icmp = \"2m\"")]),
        ["timeout icmp changed: 30s → 120s"]
    );
    let off = [("[timeouts]", "[integrity]\ntcp-window = \"off\"\n[timeouts]")];
    assert_eq!(changes(&off), ["integrity tcp-window changed: check → off"]);
    let inbound = [("\"tcp/22\"", "\"tcp/2222\", \"icmp\"")];
    let words = "host-inbound of zone trust changed: +icmp4 +icmp6 +tcp/2222 -tcp/22";
    assert_eq!(changes(&inbound), [words]);
    assert_eq!(
        changes(&[("[\"tcp/22\"]", "\"any\"")]),
        ["host-inbound of zone trust changed: +any -tcp/22"]
    );
}

#[test]
fn a_change_survives_json() {
    let text = BASE.replace("\"permit\"", "\"deny\"");
    for change in diff(&policy(BASE), &policy(&text)) {
        let json = serde_json::to_string(&change).unwrap();
        assert!(json.starts_with(r#"{"change":"rule-changed","rule":"a""#), "{json}");
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change);
    }
}
