#![allow(clippy::unwrap_used)]

mod laws;
mod mutants;

use super::*;
use crate::parse_policy;

const BASE: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]
outer = ["out"]
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
[[screen]]
zone = "trust"
exempt = ["192.0.2.9"]
session-limit = { source = 100 }
connection-rate = { threshold = 50, action = "drop" }
[[nat-pool]]
name = "public"
addresses = ["203.0.113.0/31", "2001:db8::1"]
[[nat]]
id = "out"
type = "source"
from = "trust"
to = "outer"
source = ["10.0.0.0/8"]
service = ["tcp/80"]
translate = "pool:public"
mapping = "endpoint-independent"
[[nat]]
id = "in"
type = "destination"
destination = ["198.51.100.5"]
service = ["tcp/80"]
to-address = "10.0.0.5"
to-port = 8080
[[nat]]
id = "dmz"
type = "static"
from = "outer"
outside = "198.51.100.64/28"
inside = "10.1.0.64/28"
[[nat]]
id = "npt"
type = "nptv6"
outside = "2001:db8:1::/48"
inside = "fd00:1::/48"
[[nat]]
id = "six"
type = "nat64"
prefix = "64:ff9b::/96"
translate = "interface"
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
    assert_eq!(changes, ["~ rule r\n    service: in another order"]);
    let (both, more) = (format!("{one}, {two}"), format!("{two}, \"udp\", {one}"));
    let changes: Vec<_> =
        diff(&with(&both), &with(&more)).iter().map(ToString::to_string).collect();
    assert_eq!(changes, ["~ rule r\n    service: + udp, in another order"]);
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
    assert_eq!(changes(&[("[\"lan\"]", "[\"lan\", \"wifi\"]")]), ["~ zone trust: + wifi"]);
    assert_eq!(changes(&[("[\"lan\"]", "[\"wifi\"]")]), ["~ zone trust: + wifi, - lan"]);
    let limit = [("[\"lan\"]", "{ ports = \"lan\", sessions-max = 9 }")];
    assert_eq!(changes(&limit), ["~ zone trust: sessions-max (none) → 9"]);
    let limited = [("[addresses]", "dmz = { ports = \"d\", sessions-max = 9 }\n[addresses]")];
    assert_eq!(changes(&limited), ["+ zone dmz: d", "~ zone dmz: sessions-max (none) → 9"]);
    let dmz =
        [("[addresses]", "dmz = [\"d\"]\n[addresses]\nvpn = [\"::/0\", \"10.0.0.0-10.0.0.2\"]")];
    assert_eq!(changes(&dmz), ["+ zone dmz: d", "+ address vpn: 10.0.0.0/31, 10.0.0.2, ::/0"]);
    let set = [("\"10.0.0.0/24\"", "\"10.0.0.0/25\", \"2001:db8::/32\"")];
    assert_eq!(changes(&set), ["~ address web: + 2001:db8::/32, - 10.0.0.128/25"]);
}

#[test]
fn what_came_and_what_went_is_said_with_what_it_was() {
    let text = BASE
        .replace("untrust = [\"wan\"]\n", "")
        .replace("from = \"untrust\"\n", "to = \"trust\"\n");
    let text = text.replace("web = [\"10.0.0.0/24\"]\n", "").replace("\"web\", ", "");
    let text = text
        .replace("id = \"c\"", "id = \"d\"\ndescription = \"last\"\nlog = \"open\"")
        .replace("to = \"trust\"\naction = \"reject\"", "action = \"reject\"");
    let lines: Vec<_> =
        diff(&policy(BASE), &policy(&text)).iter().map(ToString::to_string).collect();
    let wanted = [
        "- zone untrust",
        "- address web: 10.0.0.0/24",
        "- rule c: action reject; to trust",
        "~ rule a\n    destination: - web",
        "~ rule b\n    from: untrust → any\n    to: any → trust",
        "+ rule d behind b: description last; action reject; log open",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn each_field_of_a_rule() {
    let cases = [
        ("id = \"a\"\n", "id = \"a\"\ndescription = \"DNS\"\n", "description: (none) → DNS"),
        ("id = \"a\"\nfrom = \"trust\"", "id = \"a\"\nfrom = \"untrust\"", "from: trust → untrust"),
        ("id = \"a\"\n", "id = \"a\"\nto = \"trust\"\n", "to: any → trust"),
        ("id = \"a\"\n", "id = \"a\"\nsource = \"!web\"\n", "source: + !web, - any"),
        (
            "\"192.0.2.1\"",
            "\"192.0.2.2-192.0.2.4\"",
            "destination: + 192.0.2.2/31, + 192.0.2.4, - 192.0.2.1",
        ),
        (
            "[\"web\", \"192.0.2.1\"]",
            "[\"!web\", \"!192.0.2.1\"]",
            "destination: + !web, + !192.0.2.1, - web, - 192.0.2.1",
        ),
        ("\"dns\"", "\"tcp/53\"", "service: - udp/53"),
        ("service = \"dns\"\n", "", "service: + any, - udp/53, - tcp/53"),
        ("\"permit\"", "\"deny\"", "action: permit → deny"),
        ("id = \"a\"\n", "id = \"a\"\nlog = [\"close\", \"open\"]\n", "log: + open, + close"),
        ("id = \"a\"\n", "id = \"a\"\non-change = \"kill\"\n", "on-change: rematch → kill"),
        ("id = \"a\"\n", "id = \"a\"\nreplication = \"async\"\n", "replication: sync → async"),
        ("id = \"a\"\n", "id = \"a\"\ntimeout = \"1h\"\n", "timeout: (none) → 3600s"),
        ("id = \"a\"\n", "id = \"a\"\nsessions-max = 9\n", "sessions-max: (none) → 9"),
        ("id = \"a\"\n", "id = \"a\"\npick-up = true\n", "pick-up: false → true"),
        ("id = \"a\"\n", "id = \"a\"\nalg = \"tftp/any\"\n", "alg: (none) → tftp/any"),
    ];
    for (from, to, change) in cases {
        assert_eq!(changes(&[(from, to)]), [format!("~ rule a\n    {change}")]);
    }
}

#[test]
fn a_moved_rule_keeps_its_id_and_names_its_neighbours() {
    let rule_c = "[[rule]]\nid = \"c\"\nto = \"trust\"\naction = \"reject\"\n";
    let text = BASE.replace(rule_c, "");
    let text = text.replacen("[[rule]]", &format!("{rule_c}[[rule]]"), 1);
    let place = Place { position: 1, after: None, before: Some("a".to_owned()) };
    let moved = Change::RuleMoved { rule: "c".to_owned(), from: 3, place };
    let changes = diff(&policy(BASE), &policy(&text));
    assert_eq!(changes[0].to_string(), "> rule c to the top, before a (position 3 → 1)");
    assert_eq!(changes, [moved]);
    let back = diff(&policy(&text), &policy(BASE));
    assert_eq!(back[0].to_string(), "> rule c behind b (position 1 → 3)");
}

#[test]
fn options_and_host_inbound() {
    assert_eq!(changes(&[("icmp = \"30s\"", "icmp = \"2m\"")]), ["~ timeout icmp: 30s → 120s"]);
    let off = [("[timeouts]", "[integrity]\ntcp-window = \"off\"\n[timeouts]")];
    assert_eq!(changes(&off), ["~ integrity tcp-window: check → off"]);
    let inbound = [("\"tcp/22\"", "\"tcp/2222\", \"icmp\"")];
    let words = "~ host-inbound of zone trust: + icmp4, + icmp6, + tcp/2222, - tcp/22";
    assert_eq!(changes(&inbound), [words]);
    let any = changes(&[("[\"tcp/22\"]", "\"any\"")]);
    assert_eq!(any, ["~ host-inbound of zone trust: + any, - tcp/22"]);
}

#[test]
fn screens() {
    let lines = changes(&[("session-limit = { source = 100 }\n", "icmp-flood = \"off\"\n")]);
    let wanted = "~ screen of zone trust\n    \
                  icmp-flood: threshold 1000, alarm (block-for 300s) → off\n    \
                  session-limit: source 100, alarm (block-for 300s) → off";
    assert_eq!(lines, [wanted]);
    let exempt = changes(&[("[\"192.0.2.9\"]", "\"web\"")]);
    assert_eq!(exempt, ["~ screen of zone trust\n    exempt: + web, - 192.0.2.9"]);
    let none = changes(&[("exempt = [\"192.0.2.9\"]\n", "")]);
    assert_eq!(none, ["~ screen of zone trust\n    exempt: - 192.0.2.9"]);
    let other = changes(&[("zone = \"trust\"\nexempt", "zone = \"untrust\"\nexempt")]);
    let says = "session-limit source 100, alarm (block-for 300s); \
                connection-rate threshold 50, drop (block-for 300s); exempt 192.0.2.9";
    assert_eq!(other, ["- screen of zone trust", &format!("+ screen of zone untrust: {says}")]);
    let more = changes(&[("[timeouts]", "[[screen]]\nzone = \"untrust\"\n[timeouts]")]);
    assert_eq!(more, ["+ screen of zone untrust: all defaults"]);
}

#[test]
fn pools() {
    let addresses = changes(&[("\"203.0.113.0/31\"", "\"203.0.113.0/32\"")]);
    assert_eq!(addresses, ["~ nat-pool public\n    addresses: - 203.0.113.1"]);
    let how = "name = \"public\"\npooling = \"arbitrary\"\ndomain = 7\n";
    let wanted = "~ nat-pool public\n    pooling: paired → arbitrary\n    domain: 0 → 7";
    assert_eq!(changes(&[("name = \"public\"\n", how)]), [wanted]);
    let renamed =
        [("name = \"public\"\n", "name = \"p\"\ndomain = 1\n"), ("pool:public", "pool:p")];
    let wanted = [
        "- nat-pool public: addresses 203.0.113.0/31, 2001:db8::1",
        "+ nat-pool p: domain 1; addresses 203.0.113.0/31, 2001:db8::1",
        "~ nat out\n    translate: pool:public → pool:p",
    ];
    assert_eq!(changes(&renamed), wanted);
    let first =
        "[[nat-pool]]\nname = \"a\"\naddresses = \"192.0.2.1\"\n[[nat-pool]]\nname = \"public\"";
    let more = changes(&[("[[nat-pool]]\nname = \"public\"", first)]);
    assert_eq!(more, ["+ nat-pool a: addresses 192.0.2.1"], "the others only made room");
}

#[test]
fn each_field_of_a_rule_of_translation() {
    let id = |id: &str| format!("id = \"{id}\"\n");
    let with = |rule: &str, line: &str| (id(rule), format!("{}{line}\n", id(rule)));
    let text = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let parity = "mapping = \"endpoint-independent\"\nport-parity = true\n\
                  filtering = \"address-dependent\"";
    let cases = [
        ("out", with("out", "description = \"x\""), "description: (none) → x"),
        ("out", text("to = \"outer\"\nsource", "source"), "to: outer → any"),
        ("out", text("[\"10.0.0.0/8\"]", "\"web\""), "source: + web, - 10.0.0.0/8"),
        ("out", with("out", "destination = \"web\""), "destination: + web, - any"),
        ("out", text("\"pool:public\"", "\"interface\""), "translate: pool:public → interface"),
        (
            "out",
            text("mapping = \"endpoint-independent\"", ""),
            "mapping: endpoint-independent → address-and-port-dependent",
        ),
        (
            "out",
            text("mapping = \"endpoint-independent\"", parity),
            "filtering: address-and-port-dependent → address-dependent\n    \
             port-parity: false → true",
        ),
        ("in", with("in", "from = \"untrust\""), "from: any → untrust"),
        ("in", text("\"10.0.0.5\"", "\"10.0.0.4/31\""), "to-address: 10.0.0.5 → 10.0.0.4/31"),
        ("in", text("to-port = 8080\n", ""), "to-port: 8080 → (none)"),
        ("in", text("[\"198.51.100.5\"]", "\"web\""), "destination: + web, - 198.51.100.5"),
        ("dmz", text("10.1.0.64/28", "10.2.0.64/28"), "inside: 10.1.0.64/28 → 10.2.0.64/28"),
        ("dmz", text("from = \"outer\"\noutside", "outside"), "from: outer → any"),
        (
            "npt",
            text("2001:db8:1::/48", "2001:db8:2::/48"),
            "outside: 2001:db8:1::/48 → 2001:db8:2::/48",
        ),
        ("npt", text("\"nptv6\"", "\"static\""), "type: nptv6 → static"),
        ("six", text("64:ff9b::/96", "64:ff9b:1::/96"), "prefix: 64:ff9b::/96 → 64:ff9b:1::/96"),
        ("six", with("six", "source = \"fd00::/8\""), "source: + fd00::/8, - any"),
    ];
    for (rule, (from, to), change) in cases {
        assert_eq!(changes(&[(&from, &to)]), [format!("~ nat {rule}\n    {change}")]);
    }
}

#[test]
fn rules_of_translation_that_came_went_and_moved() {
    let six = "[[nat]]\nid = \"six\"\ntype = \"nat64\"\nprefix = \"64:ff9b::/96\"\n\
               translate = \"interface\"\n";
    let out = "[[nat]]\nid = \"out\"";
    let moved = changes(&[(six, ""), (out, &format!("{six}{out}"))]);
    assert_eq!(moved, ["> nat six to the top, before out (position 5 → 1)"]);
    let says = "type nat64; from any; translate interface; prefix 64:ff9b::/96";
    let says = says.replace(" from any;", "");
    assert_eq!(changes(&[(six, "")]), [format!("- nat six: {says}")]);
    let other = six.replace("\"six\"", "\"sixth\"");
    let wanted = [format!("- nat six: {says}"), format!("+ nat sixth behind npt: {says}")];
    assert_eq!(changes(&[(six, &other)]), wanted);
    let all = diff(&Policy { nat: crate::Nat::default(), ..policy(BASE) }, &policy(BASE));
    let lines: Vec<_> = all.iter().map(ToString::to_string).collect();
    let wanted = [
        "+ nat-pool public: addresses 203.0.113.0/31, 2001:db8::1",
        "+ nat out to the top, before in: type source; from trust; to outer; translate \
         pool:public; mapping endpoint-independent; source 10.0.0.0/8; service tcp/80",
        "+ nat in behind out: type destination; to-address 10.0.0.5; to-port 8080; destination \
         198.51.100.5; service tcp/80",
        "+ nat dmz behind in: type static; from outer; outside 198.51.100.64/28; inside \
         10.1.0.64/28",
        "+ nat npt behind dmz: type nptv6; outside 2001:db8:1::/48; inside fd00:1::/48",
        &format!("+ nat six behind npt: {says}"),
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn a_change_survives_json() {
    let text = BASE.replace("\"permit\"", "\"deny\"");
    let text = text.replace("[\"web\", ", "[").replace("id = \"c\"", "id = \"d\"");
    let changes = diff(&policy(BASE), &policy(&text));
    assert_eq!(changes.len(), 3);
    for change in &changes {
        let json = serde_json::to_string(change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), *change);
    }
    let expected = concat!(
        r#"{"change":"rule-changed","rule":"a","fields":["#,
        r#"{"field":"action","old":"permit","new":"deny"},{"field":"destination","#,
        r#""added":{"count":0,"first":[]},"removed":{"count":1,"first":["web"]},"reordered":false}]}"#
    );
    assert_eq!(serde_json::to_string(&changes[1]).unwrap(), expected);
}
