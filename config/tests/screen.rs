//! `[[screen]]`: defaults, what differs from them, and what is refused.

use std::time::Duration;

use ringwall_config::{
    Flood, Policy, PrefixLengths, Reaction, Response, Scan, Screen, SessionLimit, parse_policy,
};

const ZONES: &str = "[zones]\na = \"p\"\nb = \"q\"\n[[screen]]\nzone = \"a\"\n";

fn policy(lines: &str) -> Policy {
    let text = format!("{ZONES}{lines}");
    let checked = parse_policy("p", &text, &mut |_| Err("no list".to_owned()));
    checked.unwrap_or_else(|all| panic!("{all:#?}")).value
}

fn screen(lines: &str) -> Screen {
    policy(lines).screens.remove(0)
}

/// Problems of a screen, with warnings, lines counted from its header's next one but one.
fn problems(lines: &str) -> Vec<String> {
    let text = format!("{ZONES}{lines}");
    let all = match parse_policy("p", &text, &mut |_| Err("no list".to_owned())) {
        Ok(checked) => checked.warnings,
        Err(all) => all,
    };
    let one = |it: &ringwall_config::Diagnostic| {
        let hint = it.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
        format!("{}:{} {}{hint}", it.line - 5, it.column, it.message)
    };
    all.iter().map(one).collect()
}

#[test]
fn without_a_screen_nothing_is_on_and_the_digest_is_as_before() {
    let checked = parse_policy("p", "zones = {}", &mut |_| Err(String::new())).expect("good");
    assert_eq!(checked.value.screens, []);
    let json = serde_json::to_string(&checked.value).expect("it serializes");
    assert!(!json.contains("screens"), "{json}");
}

#[test]
fn the_defaults_are_those_of_junos_and_of_snort() {
    let screen = screen("");
    assert_eq!(screen, Screen::of_zone(0));
    let syn = screen.syn_flood.expect("on");
    assert_eq!((syn.alarm, syn.source, syn.destination), (512, 1_024, 2_048));
    assert_eq!(syn.zone, None);
    assert_eq!(syn.response, Response { action: Reaction::Alarm, block_for: minutes(5) });
    let floods = [screen.icmp_flood, screen.udp_flood, screen.fragment_flood];
    assert_eq!(floods.map(|it| it.expect("on").threshold), [1_000; 3]);
    let scans = [screen.port_scan, screen.address_sweep].map(|it| it.expect("on"));
    let thresholds = scans.map(|it| (it.burst_threshold, it.threshold, it.slow_threshold));
    assert_eq!(thresholds, [(10, 20, 20), (10, 10, 10)]);
    assert_eq!(scans.map(|it| (it.window, it.slow_window)), [(minutes(1), minutes(240)); 2]);
    assert_eq!((screen.session_limit, screen.connection_rate), (None, None));
    assert_eq!(screen.aggregate, PrefixLengths { v4: 32, v6: 64 });
    assert!(screen.baseline.is_some() && screen.anomalies.is_some());
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[test]
fn what_is_written_differs_and_the_rest_stays() {
    let screen = screen(
        "action = \"block\"\nblock-for = \"1h\"\naggregate-v4 = 24\naggregate-v6 = 128\n\
         syn-flood = { alarm = 10, zone = 9000, action = \"drop\" }\nicmp-flood = \"off\"\n\
         port-scan = { threshold = 5, slow-window = \"1d\", action = \"drop\" }\n\
         session-limit = { pair = 7 }\nconnection-rate = { threshold = 30, block-for = \"2h\" }\n",
    );
    let hour = Response { action: Reaction::Block, block_for: minutes(60) };
    let syn = screen.syn_flood.expect("on");
    assert_eq!((syn.alarm, syn.source, syn.zone), (10, 1_024, Some(9_000)));
    assert_eq!(syn.response, Response { action: Reaction::Drop, ..hour });
    assert_eq!(screen.icmp_flood, None);
    assert_eq!(screen.udp_flood, Some(Flood { threshold: 1_000, response: hour }));
    let scan = Scan {
        threshold: 5,
        window: minutes(1),
        burst_threshold: 5,
        slow_threshold: 5,
        slow_window: minutes(1_440),
        response: Response { action: Reaction::Drop, ..hour },
    };
    assert_eq!(screen.port_scan, Some(scan));
    let limit = SessionLimit { source: None, destination: None, pair: Some(7), response: hour };
    assert_eq!(screen.session_limit, Some(limit));
    let response = Response { block_for: minutes(120), ..hour };
    assert_eq!(screen.connection_rate, Some(Flood { threshold: 30, response }));
    assert_eq!(screen.aggregate, PrefixLengths { v4: 24, v6: 128 });
}

#[test]
fn exempt_addresses_are_those_of_rules() {
    let policy = policy("exempt = [\"10.0.0.0/8\"]\n");
    let exempt = policy.screens[0].exempt.as_ref().expect("some");
    let is = |address: &str| exempt.matches(&policy.sets, address.parse().expect("an address"));
    assert!(is("10.1.2.3") && !is("11.1.2.3"));
    assert_eq!(policy.screen(0), policy.screens.first());
    assert_eq!(policy.screen(1), None);
}

#[test]
fn every_mistake_has_its_place() {
    let cases = [
        ("zones = 1", "1:1 unknown key `zones` in the screen [did you mean `zone`?]"),
        ("exempt = \"nobody\"", "1:10 unknown address `nobody`"),
        ("aggregate-v4 = 20", "1:16 `aggregate-v4` must be from 24 to 32"),
        (
            "aggregate-v6 = 65",
            "1:16 `aggregate-v6` must be from 48 to 64, or 128 [128 is each address by itself]",
        ),
        ("action = \"drp\"", "1:10 `drp` is no value of `action` [did you mean `drop`?]"),
        (
            "udp-flood = \"on\"",
            "1:13 `udp-flood` is a table or \"off\" [`udp-flood = \"off\"`, or a table of what \
             differs from the defaults]",
        ),
        ("udp-flood = 7", "1:13 expected a table, found an integer"),
        ("udp-flood = { threshold = 0 }", "1:27 `threshold` must be from 1 to 4000000"),
        (
            "action = \"proxy\"",
            "1:10 `proxy` is an action of `syn-flood` alone [say `syn-flood = { action = \"proxy\" }`]",
        ),
        (
            "udp-flood = { threshold = 9, action = \"proxy\" }",
            "1:39 `proxy` is an action of `syn-flood` alone [say `syn-flood = { action = \"proxy\" }`]",
        ),
        ("connection-rate = {}", "1:19 connection-rate has no `threshold`"),
        (
            "session-limit = {}",
            "1:17 session-limit limits nothing [`source`, `destination` or `pair`]",
        ),
        (
            "port-scan = { window = \"5h\" }",
            "1:13 `slow-window` is shorter than `window` [a slow scan takes longer than a fast one]",
        ),
        (
            "baseline = { learn = \"2h\" }",
            "1:22 `learn` is shorter than a day [each hour of the day is learned by itself]",
        ),
        (
            "block-for = \"1h\"",
            "1:1 `block-for` has no effect [no detector of this screen has the action `block`]",
        ),
        (
            "[[screen]]\nzone = \"a\"",
            "2:8 zone `a` has a screen already [write all detectors of a zone into one]",
        ),
        ("[[screen]]\nzone = \"c\"", "2:8 unknown zone `c` [zones: a, b]"),
        ("[[screen]]\naction = \"drop\"", "1:1 the screen has no `zone`"),
    ];
    for (lines, problem) in cases {
        assert_eq!(problems(lines), [problem], "{lines}");
    }
    let keys = "[screens]\n";
    let all = parse_policy("p", &format!("[zones]\n{keys}"), &mut |_| Err(String::new()));
    let all = all.expect_err("no such section");
    assert_eq!(all[0].hint.as_deref(), Some("did you mean `screen`?"));
}
