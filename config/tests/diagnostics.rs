//! Policies that are wrong: each kind of problem, where it is, and what to do.

use ringwall_config::{Diagnostic, limits, parse_policy};

/// `line:column message [hint]`; a warning and a foreign file say so in front.
fn shown(diagnostic: &Diagnostic) -> String {
    let Diagnostic { severity, file, line, column, message, hint, source: _ } = diagnostic;
    let file = if file == "p.toml" { String::new() } else { format!("{file}:") };
    let severity = match severity {
        ringwall_config::Severity::Error => "",
        ringwall_config::Severity::Warning => "warning: ",
    };
    let hint = hint.as_ref().map_or(String::new(), |hint| format!(" [{hint}]"));
    format!("{severity}{file}{line}:{column} {message}{hint}")
}

fn load(name: &str) -> Result<String, String> {
    match name {
        "good" => Ok("10.0.0.0/8\n".to_owned()),
        "bad" => Ok("# list\r\n10.0.0.1/8\r\n  what # ever\n::1-::\n".to_owned()),
        "empty" => Ok("# nothing\n\n".to_owned()),
        _ => Err("not there".to_owned()),
    }
}

/// All problems of `text`.
fn problems(text: &str) -> Vec<String> {
    match parse_policy("p.toml", text, &mut load) {
        Ok(checked) => checked.warnings.iter().map(shown).collect(),
        Err(all) => all.iter().map(shown).collect(),
    }
}

/// Problems of a policy with zones `a` and `b` in line 1 and `text` from line 2.
fn after_zones(text: &str) -> Vec<String> {
    problems(&format!("zones = {{ a = [\"p\"], b = [\"q\"] }}\n{text}"))
}

/// Problems of a rule that is good but for `line`, which is line 5.
fn in_rule(line: &str) -> Vec<String> {
    after_zones(&format!(
        "[[rule]]\nid = \"r\"\naction = \"deny\"\n{line}\n[addresses]\nweb = \"10.0.0.1\"\n"
    ))
}

const NAME_HINT: &str =
    "a name is a letter or `_`, then letters, digits, `-`, `_` or `.`, 63 at most";

#[test]
fn a_good_policy_has_no_problems() {
    assert_eq!(in_rule("from = \"a\""), [""; 0]);
    assert_eq!(problems("[zones]"), [""; 0]);
}

#[test]
fn syntax() {
    let cases = [
        ("[zones", "1:7 not valid TOML: unclosed table, expected `]`"),
        ("[zones]\na = [\"p\"]\na = [\"q\"]", "3:1 not valid TOML: duplicate key"),
        (
            "[zones]\nä = [",
            "2:1 not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`",
        ),
        (
            "x = 1\n[zones]\nb = @",
            "3:5 not valid TOML: string values must be quoted, expected literal string",
        ),
    ];
    for (text, problem) in cases {
        assert_eq!(problems(text).first().map(String::as_str), Some(problem), "{text}");
    }
}

#[test]
fn every_line_with_a_syntax_error_is_named_once() {
    let text = "[zones]\na = @ @\nb = [\"p\"]\nc = \"\n";
    let lines: Vec<_> = problems(text).iter().map(|line| line[..1].to_owned()).collect();
    assert_eq!(lines, ["2", "4"]);
}

#[test]
fn sections_and_keys() {
    assert_eq!(problems(""), ["1:1 a policy file has no `zones`"]);
    assert_eq!(
        after_zones("[adresses]"),
        ["2:2 unknown key `adresses` in a policy file [did you mean `addresses`?]"]
    );
    assert_eq!(
        in_rule("form = \"a\""),
        ["5:1 unknown key `form` in the rule [did you mean `from`?]"]
    );
    let keys = "id, description, from, to, source, destination, service, action, log, on-change, \
                replication, timeout, sessions-max, pick-up, alg";
    assert_eq!(
        in_rule("priority = 7"),
        [format!("5:1 unknown key `priority` in the rule [known keys: {keys}]")]
    );
    assert_eq!(
        after_zones("[[rule]]"),
        ["2:1 the rule has no `id`", "2:1 the rule has no `action`"]
    );
    assert_eq!(
        after_zones("[[host-inbound]]"),
        ["2:1 the host-inbound entry has no `service`", "2:1 the host-inbound entry has no `zone`",]
    );
}

#[test]
fn types() {
    let cases = [
        ("from = 1", "5:8 expected a string, found an integer"),
        ("from = [\"a\"]", "5:8 expected a string, found a list"),
        ("source = [\"web\", 1.5]", "5:18 expected a string, found a floating-point number"),
        ("source = true", "5:10 expected a string, found a boolean"),
        ("service = 1979-05-27", "5:11 expected a string, found a date or time"),
        ("description = {}", "5:15 expected a string, found a table"),
    ];
    for (line, problem) in cases {
        assert_eq!(in_rule(line), [problem]);
    }
    assert_eq!(problems("zones = 1"), ["1:9 expected a table, found an integer"]);
    assert_eq!(
        after_zones("[rule]"),
        ["2:1 expected a list of tables, found a table [write `[[rule]]`]"]
    );
    assert_eq!(after_zones("rule = [1]"), ["2:9 expected a table, found an integer"]);
}

#[test]
fn timeouts_of_rules_and_services() {
    let hint = "a number and a unit from \"1s\" to \"365d\": \"30s\", \"5m\", \"2h\", \"5d\"";
    let effect = "5:1 `timeout` in a rule that opens no session [only a rule that permits has \
                  sessions]";
    assert_eq!(in_rule("timeout = \"5m\""), [effect]);
    let permit =
        |line: &str| after_zones(&format!("[[rule]]\nid = \"r\"\naction = \"permit\"\n{line}\n"));
    assert_eq!(permit("timeout = \"5m\""), [""; 0]);
    assert_eq!(permit("timeout = 5"), [format!("5:11 the unit is missing [{hint}]")]);
    assert_eq!(
        permit("service = { protocol = \"tcp\", timeout = \"5x\" }"),
        [format!("5:41 `5x` is no timeout [{hint}]")]
    );
}

#[test]
fn limits_of_sessions_and_pick_up() {
    let permit =
        |line: &str| after_zones(&format!("[[rule]]\nid = \"r\"\naction = \"permit\"\n{line}\n"));
    assert_eq!(permit("sessions-max = 1\npick-up = true"), [""; 0]);
    let range = "`sessions-max` must be from 1 to 67108864";
    for number in ["0", "-1", "67108865"] {
        assert_eq!(permit(&format!("sessions-max = {number}")), [format!("5:16 {range}")]);
    }
    assert_eq!(permit("sessions-max = \"1k\""), ["5:16 expected an integer, found a string"]);
    assert_eq!(permit("pick-up = 1"), ["5:11 expected true or false, found an integer"]);
    for line in ["sessions-max = 5", "pick-up = false"] {
        let key = line.split(' ').next().unwrap();
        let problem = format!("5:1 `{key}` in a rule that opens no session");
        assert_eq!(in_rule(line), [format!("{problem} [only a rule that permits has sessions]")]);
    }
    let beginning = "only a TCP connection has a beginning that can be missed";
    assert_eq!(
        permit("pick-up = true\nservice = [\"udp\", \"icmp\"]"),
        [format!("5:1 `pick-up` in a rule without TCP [{beginning}]")]
    );
    assert_eq!(permit("pick-up = true\nservice = [\"udp\", \"tcp/80\"]"), [""; 0]);
    assert_eq!(permit("pick-up = false\nservice = \"udp\""), [""; 0]);
    let forms = "forms are \"off\", \"auto\", or a list of \"ftp\", \"ftp/2121\", \"ftp/2000-2100\", \
                 \"ftp/any\"";
    assert_eq!(permit("alg = \"ftps\""), ["5:7 no gateway is called `ftps` [did you mean `ftp`?]"]);
    assert_eq!(
        permit("alg = \"gopher\""),
        [format!("5:7 no gateway is called `gopher` [{forms}]")]
    );
    assert_eq!(
        permit("alg = \"ftp\"\nservice = \"tcp/2121\""),
        [
            "5:7 `ftp` where no service of the rule is its own [write \"ftp/any\" if all of them are]"
        ]
    );
}

#[test]
fn words() {
    let cases = [
        ("log = [\"opn\"]", "5:8 `opn` is no value of `log` [did you mean `open`?]"),
        (
            "on-change = \"drop\"",
            "5:13 `drop` is no value of `on-change` [one of keep, rematch, kill]",
        ),
        (
            "replication = \"asinc\"",
            "5:15 `asinc` is no value of `replication` [did you mean `async`?]",
        ),
    ];
    for (line, problem) in cases {
        assert_eq!(in_rule(line), [problem]);
    }
    assert_eq!(
        after_zones("[[rule]]\nid = \"r\"\naction = \"allow\""),
        ["4:10 `allow` is no value of `action` [one of permit, deny, reject]"]
    );
}

#[test]
fn names() {
    let names =
        [("1a", "`1a`"), ("a b", "`a b`"), ("ä", "`ä`"), ("", "``"), ("a\\u0007", "`a\\u{7}`")];
    for (written, quoted) in names {
        let problem = format!("2:1 {quoted} is not a good address name [{NAME_HINT}]");
        assert_eq!(
            after_zones(&format!("addresses.\"{written}\" = \"::\""))[0].replace("2:11", "2:1"),
            problem
        );
    }
    let long = "x".repeat(64);
    assert_eq!(
        after_zones(&format!("[[rule]]\nid = \"{long}\"\naction = \"deny\"")),
        [format!("3:6 `{long}` is not a good rule name [{NAME_HINT}]")]
    );
    assert_eq!(after_zones("[services]\ntcp = \"udp\""), ["3:1 `tcp` is a service already"]);
    assert_eq!(
        after_zones("[addresses]\nany = \"::1\""),
        ["3:1 `any` means every address already"]
    );
    assert_eq!(problems("[zones]\nany = \"p\""), ["2:1 `any` means every zone already"]);
}

#[test]
fn duplicate_ids() {
    let rules = "[[rule]]\nid = \"r\"\naction = \"deny\"\nfrom = \"a\"\n".repeat(2);
    assert_eq!(
        after_zones(&rules),
        ["7:6 rule `r` exists already, in line 3 [ids are unique: counters and sessions \
                 refer to them]"]
    );
}

#[test]
fn zones() {
    assert_eq!(
        problems("[zones]\ntrust = [\"p\", \"q\"]\nother = [\"r\", \"p\"]"),
        ["3:15 port `p` is in zone `trust` already [a port is in one zone only]"]
    );
    assert_eq!(problems("[zones]\na = []"), ["2:5 zone `a` has no ports [name its ports]"]);
    assert_eq!(
        problems("[zones]\na = { ports = [\"p\"], sessions-max = 0, size = 1 }"),
        [
            "2:37 `sessions-max` must be from 1 to 67108864",
            "2:40 unknown key `size` in the zone [known keys: ports, sessions-max]"
        ]
    );
    assert_eq!(problems("[zones.a]\nsessions-max = 9"), ["1:1 the zone has no `ports`"]);
    assert_eq!(in_rule("from = \"c\""), ["5:8 unknown zone `c` [zones: a, b]"]);
    assert_eq!(
        problems("[zones]\ntrust = \"p\"\n[[host-inbound]]\nzone = \"turst\"\nservice = \"any\""),
        ["4:8 unknown zone `turst` [did you mean `trust`?]"]
    );
}

#[test]
fn dangling_names() {
    assert_eq!(in_rule("source = [\"wbe\"]"), ["5:11 unknown address `wbe` [did you mean `web`?]"]);
    assert_eq!(in_rule("source = [\"!servers\"]"), ["5:11 unknown address `servers`"]);
    assert_eq!(in_rule("service = [\"http\"]"), ["5:12 unknown service `http`"]);
    assert_eq!(after_zones("[addresses]\nweb = [\"::1\", \"db\"]"), ["3:15 unknown address `db`"]);
    assert_eq!(
        after_zones("[services]\nweb = [\"tcp/80\", \"https\"]"),
        ["3:18 unknown service `https`"]
    );
}

#[test]
fn empty_groups() {
    assert_eq!(after_zones("[addresses]\nweb = []"), ["3:7 address `web` is empty"]);
    assert_eq!(after_zones("[services]\nweb = []"), ["3:7 service `web` is empty"]);
    assert_eq!(
        in_rule("source = []"),
        ["5:10 the list is empty [leave it out to match any address]"]
    );
    assert_eq!(
        in_rule("service = []"),
        ["5:11 the list is empty [leave it out to match any service]"]
    );
}

#[test]
fn cycles() {
    assert_eq!(
        after_zones("[addresses]\none = [\"::1\", \"two\"]\ntwo = \"three\"\nthree = \"one\""),
        ["5:9 address `one` contains itself [the cycle is one → two → three → one]"]
    );
    assert_eq!(
        after_zones("[services]\nself = [\"tcp/1\", \"self\"]"),
        ["3:18 service `self` contains itself [the cycle is self → self]"]
    );
}

#[test]
fn depth_of_groups_is_bounded_in_any_order() {
    let chain = |order: &mut dyn Iterator<Item = usize>| {
        let mut text = "[addresses]\n".to_owned();
        for at in order {
            text += &match at {
                0 => "g0 = \"::1\"\n".to_owned(),
                _ => format!("g{at} = \"g{}\"\n", at - 1),
            };
        }
        after_zones(&text)
    };
    let most = limits::GROUP_DEPTH_MAX;
    assert_eq!(chain(&mut (0..=most)), [""; 0]);
    assert_eq!(chain(&mut (0..=most).rev()), [""; 0]);
    let message = "address groups are nested more than 16 deep";
    for problems in [chain(&mut (0..=most + 1)), chain(&mut (0..=most + 1).rev())] {
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].ends_with(message), "{problems:?}");
    }
}

#[test]
fn addresses() {
    let forms = "an address, a prefix such as 10.0.0.0/8, or a range such as 10.0.0.1-10.0.0.9";
    let cases = [
        ("10.0.0.256", format!("`10.0.0.256` is not an address [{forms}]")),
        (
            "10.0.0.1/8",
            "`10.0.0.1/8` has bits set beyond its prefix length [the prefix is 10.0.0.0/8]"
                .to_owned(),
        ),
        (
            "2001:db8::1/32",
            "`2001:db8::1/32` has bits set beyond its prefix length [the prefix is 2001:db8::/32]"
                .to_owned(),
        ),
        (
            "10.0.0.0/33",
            "`10.0.0.0/33` has a bad prefix length [the length is a number from 0 to 32]"
                .to_owned(),
        ),
        (
            "::/129",
            "`::/129` has a bad prefix length [the length is a number from 0 to 128]".to_owned(),
        ),
        (
            "10.0.0.9-10.0.0.1",
            "`10.0.0.9-10.0.0.1` ends before it starts [the range is 10.0.0.1-10.0.0.9]".to_owned(),
        ),
        (
            "10.0.0.9-::1",
            "`10.0.0.9-::1` mixes IPv4 and IPv6 [both ends are IPv4 or both are IPv6]".to_owned(),
        ),
    ];
    for (address, problem) in &cases {
        assert_eq!(in_rule(&format!("source = \"{address}\"")), [format!("5:10 {problem}")]);
        assert_eq!(
            after_zones(&format!("[addresses]\nx = [\"{address}\"]")),
            [format!("3:6 {problem}")]
        );
    }
    assert_eq!(
        after_zones("[addresses]\nx = [\"!y\"]\ny = \"::1\""),
        ["3:6 a group cannot hold a negated address [negation belongs into the rule: source \
                 = [\"!name\"]]"]
    );
    assert_eq!(
        after_zones("[addresses]\nx = \"any\""),
        ["3:5 `any` cannot be part of a group [write 0.0.0.0/0 and ::/0 for every address]"]
    );
}

#[test]
fn negation_and_any() {
    let mixed = "negated and plain addresses are mixed [either all entries start with `!` (none of \
                 them may match) or none does]";
    assert_eq!(in_rule("source = [\"!web\", \"::1\"]"), [format!("5:19 {mixed}")]);
    assert_eq!(in_rule("destination = [\"web\", \"!::1\"]"), [format!("5:23 {mixed}")]);
    assert_eq!(in_rule("source = \"!any\""), ["5:10 `!any` matches nothing"]);
    assert_eq!(
        in_rule("source = [\"web\", \"any\"]"),
        ["5:18 `any` beside other addresses makes them pointless"]
    );
    assert_eq!(
        in_rule("service = [\"any\", \"gre\"]"),
        ["5:12 `any` beside other services makes them pointless"]
    );
    assert_eq!(
        in_rule("source = [\"any\"]\ndestination = \"any\"\nfrom = \"any\"\nservice = \"any\""),
        [""; 0]
    );
}

#[test]
fn services() {
    let forms = "forms are tcp/443, udp/5000-5999, sctp/2905, icmp/echo-request, icmp4/3/4, \
                 icmp6/128, gre, esp, ah, proto/89, or the name of a group in [services]";
    let port = "bad port [a port or a range such as 1000-2000, from 0 to 65535]";
    let cases = [
        ("tpc/80", format!("no such protocol [{forms}]")),
        ("", format!("no such protocol [{forms}]")),
        ("tcp/", port.to_owned()),
        ("tcp/http", port.to_owned()),
        ("tcp/65536", port.to_owned()),
        ("udp/+1", port.to_owned()),
        ("udp/1-2-3", port.to_owned()),
        ("sctp/20-10", "the range ends before it starts [the range is 10-20]".to_owned()),
        ("gre/1", "gre has no ports [write `gre`]".to_owned()),
        ("proto", "it needs a number [such as proto/89 for OSPF]".to_owned()),
        ("proto/256", "bad protocol [a number from 0 to 255]".to_owned()),
        ("proto/6", "this protocol has a name [write `tcp`]".to_owned()),
        ("proto/58", "this protocol has a name [write `icmp6`]".to_owned()),
        ("icmp/echo-reqest", "no such ICMP type [did you mean `echo-request`?]".to_owned()),
        (
            "icmp4/packet-too-big",
            "no such ICMP type [a number from 0 to 255 or a name such as \
             echo-request]"
                .to_owned(),
        ),
        ("icmp4/3/256", "bad ICMP code [a number from 0 to 255]".to_owned()),
        (
            "icmp/echo-request/0",
            "a code of both ICMP versions [codes differ between the \
             versions: write icmp4/… or icmp6/…]"
                .to_owned(),
        ),
    ];
    for (service, problem) in cases {
        assert_eq!(
            in_rule(&format!("service = [\"{service}\"]")),
            [format!("5:12 `{service}` is no service: {problem}")]
        );
    }
    assert_eq!(
        after_zones("[services]\nx = \"any\""),
        ["3:5 `any` cannot be part of a group [`any` stands alone; leave the rule's service \
                 out instead]"]
    );
}

#[test]
fn service_tables() {
    let cases = [
        ("{ ports = 1 }", "5:11 a service has no `protocol`"),
        (
            "{ protocol = \"icmp\" }",
            "5:24 `icmp` is no value of `protocol` [one of tcp, udp, sctp]",
        ),
        (
            "{ protocol = \"tcp\", port = 1 }",
            "5:31 unknown key `port` in a service [did you mean `ports`?]",
        ),
        ("{ protocol = \"tcp\", ports = 65536 }", "5:39 `port` must be from 0 to 65535"),
        (
            "{ protocol = \"tcp\", source-ports = \"x\" }",
            "5:46 `x`: bad port [a port or a range such as 1000-2000, from 0 to 65535]",
        ),
        ("{ protocol = \"tcp\", ports = true }", "5:39 expected a string, found a boolean"),
    ];
    for (table, problem) in cases {
        assert_eq!(in_rule(&format!("service = {table}")), [problem]);
    }
}

#[test]
fn lists() {
    let forms = "an address, a prefix such as 10.0.0.0/8, or a range such as 10.0.0.1-10.0.0.9";
    assert_eq!(
        after_zones("[addresses]\nx = [\"::1\", { file = \"bad\" }]"),
        [
            "bad:2:1 `10.0.0.1/8` has bits set beyond its prefix length [the prefix is 10.0.0.0/8]"
                .to_owned(),
            format!("bad:3:3 `what` is not an address [{forms}]"),
            "bad:4:1 `::1-::` ends before it starts [the range is ::-::1]".to_owned(),
        ]
    );
    assert_eq!(
        after_zones("[addresses]\nx = { file = \"nowhere\" }"),
        ["3:14 cannot read the list `nowhere`: not there"]
    );
    assert_eq!(
        after_zones("[addresses]\nx = { file = \"empty\" }"),
        ["warning: 3:5 the list `empty` holds no address [a set without addresses matches \
                 nothing]"]
    );
    assert_eq!(
        after_zones("[addresses]\nx = { fil = \"good\" }"),
        ["3:5 a list has no `file`", "3:7 unknown key `fil` in a list [did you mean `file`?]",]
    );
    assert_eq!(
        after_zones("[addresses.x]\nfile = \"good\""),
        ["2:1 a list is not a section of its own [write it in braces: name = { file = \"…\" }]"]
    );
}

#[test]
fn the_source_line_of_a_list_is_the_lists() {
    let text = "zones = {}\naddresses.x = { file = \"bad\" }";
    let all = parse_policy("p.toml", text, &mut load).expect_err("the list is bad");
    let lines: Vec<_> = all.iter().map(|one| one.source.as_str()).collect();
    assert_eq!(lines, ["10.0.0.1/8", "  what # ever", "::1-::"]);
}

#[test]
fn options() {
    let units = "a number and a unit from \"1s\" to \"365d\": \"30s\", \"5m\", \"2h\", \"5d\"";
    assert_eq!(
        after_zones("[timeouts]\nicmp = 30"),
        [format!("3:8 the unit is missing [{units}]")]
    );
    assert_eq!(
        after_zones("[timeouts]\nicmp = \"30\""),
        [format!("3:8 `30` is no timeout [{units}]")]
    );
    assert_eq!(
        after_zones("[timeouts]\nicmp = \"0s\""),
        [format!("3:8 `0s` is no timeout [{units}]")]
    );
    assert_eq!(
        after_zones("[timeouts]\nudp-frst = \"1s\""),
        ["3:1 unknown key `udp-frst` in [timeouts] [did you mean `udp-first`?]"]
    );
    assert_eq!(
        after_zones("[integrity]\ntcp-window = \"on\""),
        ["3:14 `on` is no value of `tcp-window` [one of check, off]"]
    );
}

#[test]
fn shadowed_rules() {
    let rules = "[[rule]]\nid = \"all\"\naction = \"deny\"\nfrom = \"a\"\n\
                 [[rule]]\nid = \"ssh\"\naction = \"permit\"\nfrom = \"a\"\nservice = \"tcp/22\"\n\
                 [[rule]]\nid = \"rest\"\naction = \"permit\"\n";
    assert_eq!(
        after_zones(rules),
        ["warning: 6:1 rule `ssh` never matches [rule `all` in line 2 takes all its packets; \
                 move or remove one of them]"]
    );
}

#[test]
fn columns_count_characters_and_lines_of_windows_count_once() {
    assert_eq!(
        problems("zones = {}\r\ndescriptiön = 1\r\n")[0],
        "2:10 not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`"
    );
    let text = "zones = { \"ü\" = \"p\" }\r\n\r\nx = 1\r\n";
    assert_eq!(
        problems(text),
        [
            format!("1:11 `ü` is not a good zone name [{NAME_HINT}]"),
            "3:1 unknown key `x` in a policy file [known keys: zones, addresses, services, rule, \
             host-inbound, \
         timeouts, integrity, screen, nat-pool, nat]"
                .to_owned(),
        ]
    );
}

#[test]
fn a_flood_of_problems_is_cut_and_counted() {
    let lines: String = (0..1000).map(|at| format!("key{at} = 1\n")).collect();
    let all = problems(&format!("zones = {{}}\n{lines}"));
    assert_eq!(all.len(), limits::DIAGNOSTICS_MAX + 1);
    assert_eq!(all.last().map(String::as_str), Some("1002:1 800 more problems are not shown"));
}

#[test]
fn a_long_source_line_is_cut() {
    let text = format!("zones = {{}} # {}\nx = \"{}\"", "ä".repeat(500), "y".repeat(500));
    let all = parse_policy("p.toml", &text, &mut load).expect_err("x is unknown");
    assert_eq!(all[0].source.len(), limits::SOURCE_LINE_BYTES_MAX + "…".len());
}

#[test]
fn the_display_form_shows_the_line_and_the_hint() {
    let all = parse_policy("p.toml", "zones = {}\n[rle]", &mut load).expect_err("rle is unknown");
    let wanted = "error: unknown key `rle` in a policy file\n  --> p.toml:2:2\n   | [rle]\n   = \
         hint: did you mean `rule`?";
    assert_eq!(all[0].to_string(), wanted);
}
